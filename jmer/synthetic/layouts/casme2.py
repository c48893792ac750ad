"""CASME II: recording numbers without zeros, and the sheet of 2014."""

from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout, turn
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None),
    *("Action Units", "Estimated Emotion"),
)
# No clip is called as one of those that published lists leave out.
NAMES = ("EP{:02d}_02f", "EP{:02d}_08", "EP{:02d}_2", "EP{:02d}_02_01", "EP{:02d}f")
NO_APEX = ("sub04", "EP12_01f")
INCOMPLETE = ("sub16", "EP01_08")


class Casme2Layout(FrameLayout):
    """CASME II: `CASME2_RAW_selected/sub01/EP02_01f/img46.jpg`, and cropped faces."""

    name = "casme2"
    words: ClassVar = {
        "negative": ("disgust", "repression", "others", "sadness", "fear"),
        "positive": ("happiness",),
        "surprise": ("surprise",),
        "disgust": ("disgust", "disgust", "disgust", "fear"),
        "happiness": ("happiness",),
        "repression": ("repression", "repression", "sadness"),
        "others": ("others",),
    }
    views: ClassVar = {"raw": ImageForm(640 / 480), "cropped": ImageForm(280 / 340)}
    corrected = (255, 256)

    def key(self, shot: Shot) -> tuple[str, str]:
        number = shot.subject + 1
        if self.quirks:  # two people in whose clips something is missing
            number = {1: 4, 2: 16, 4: 1, 16: 2}.get(number, number)
        subject = f"sub{number:02d}"
        for known in (NO_APEX, INCOMPLETE):
            if self.quirks and shot.count == 0 and subject == known[0]:
                return known
        return subject, turn(NAMES, shot.index).format(shot.count + 2)

    def pattern(self, shot: Shot, source: str) -> str:
        subject, clip = self.key(shot)
        root, file = {
            "raw": ("CASME2_RAW_selected", "img"),
            "cropped": ("Cropped", "reg_img"),
        }[source]
        return f"{root}/{subject}/{clip}/{file}{{n}}.jpg"

    def first(self, shot: Shot) -> int:
        return turn((46, 1, 86, 8), shot.index)

    def cells(self, shot: Shot) -> Cells:
        subject, clip = self.key(shot)
        units = shot.clip.action_units
        return [
            *(subject.removeprefix("sub"), clip, None, shot.onset, shot.apex),
            *(shot.offset, None, int(units) if units.isdigit() else units, shot.word),
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        name = "CASME2-coding-20140508.xlsx"
        return quirks.one_sheet(name, "Sheet1", list(HEADER), takes)

    def bend(self, take: Take, shot: Shot) -> None:
        if take.key == NO_APEX:
            take.apex, take.cells[4] = None, "/"
            take.quirks.append("no apex: `/`")
            take.problems.append(f"apex '/' of clip {take.title} is no frame number")
        elif take.key == INCOMPLETE:
            quirks.lose_frame(take, take.onset + 1, "cropped")
        elif shot.index % 4 == 0:
            quirks.spoil_text(take, 8)
            take.cells[0] = int(take.cells[0])
            take.quirks.append("the subject is a number")
        elif shot.index % 4 == 1:
            quirks.rename_ending(take, "JPG")
            quirks.as_text(take, 3, 4, 5)
        elif shot.index % 4 == 2:
            take.action_units = take.cells[7] = f"{take.action_units}?"
            take.quirks.append("action units are uncertain: `?`")
        else:
            for images in take.images.values():
                images.pattern = images.pattern.replace("/EP", "/ep")
            take.quirks.append("the folder is in lower case")

    def disturb(self, draft: Draft) -> None:
        draft.options = ("--missing-apex", "middle", "--missing-frames", "neighbour")
        quirks.untidy(draft, draft.books[0].sheets["Sheet1"])
        quirks.add_junk_sheets(draft, "Sheet2")
        quirks.leave_remains(draft)

"""CASME: folders named like their frames, and a table of our own name."""

from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout, turn
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None),
    *("Onset", "Total", "AU", "Emotion"),
)
UNPADDED = 92  # rows before this one have frame numbers without zeros


class CasmeLayout(FrameLayout):
    """CASME: `CASME_raw_selected/sub01/EP01_12/EP01_12-1.jpg`, and cropped faces."""

    name = "casme"
    words: ClassVar = {
        "negative": ("disgust", "tense", "repression", "sadness", "fear", "contempt"),
        "positive": ("amusement", "happiness"),
        "surprise": ("surprise",),
        "disgust": ("disgust", "disgust", "contempt"),
        "happiness": ("amusement", "happiness"),
        "repression": ("repression",),
        "others": ("tense", "tense", "sadness", "fear"),
    }
    views: ClassVar = {"raw": ImageForm(4 / 3), "cropped": ImageForm(280 / 340)}
    corrected = (189,)

    def key(self, shot: Shot) -> tuple[str, str]:
        return f"sub{shot.subject + 1:02d}", f"EP{shot.count + 1:02d}_{10 + shot.index}"

    def pattern(self, shot: Shot, source: str) -> str:
        subject, clip = self.key(shot)
        root, file = {
            "raw": ("CASME_raw_selected", f"{clip}-"),
            "cropped": ("Cropped", f"reg_{clip}-"),
        }[source]
        digits = "" if shot.index < UNPADDED else ":03d"
        return f"{root}/{subject}/{clip}/{file}{{n{digits}}}.jpg"

    def first(self, shot: Shot) -> int:
        return turn((1, 5, 93), shot.index)

    def cells(self, shot: Shot) -> Cells:
        return [
            *(shot.subject + 1, self.key(shot)[1], None, shot.onset, shot.apex, None),
            *(shot.offset, None, 1, len(shot.frames), shot.clip.action_units),
            shot.word,
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        return quirks.one_sheet("casme.xlsx", "Sheet1", list(HEADER), takes)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 5 == 0:
            take.cells[5] = shot.apex + 1
            take.quirks.append("a second apex")
        if shot.index % 5 == 1:
            quirks.spoil_text(take, 1, 11)
            take.cells[1] = take.cells[1].upper()
        if shot.index % 5 == 2:
            quirks.rename_ending(take, "JPG")
        if shot.index % 5 == 3:
            take.cells[0] = take.subject
            quirks.as_text(take, 3, 4, 6)
        if shot.index % 5 == 4:
            for source, images in take.images.items():
                images.pattern = self.pattern(shot, source).replace("{n}", "{n:03d}")
            take.quirks.append("frame numbers with three digits")

    def disturb(self, draft: Draft) -> None:
        quirks.untidy(draft, draft.books[0].sheets["Sheet1"])
        quirks.add_junk_sheets(draft, "Sheet2")
        quirks.leave_remains(draft)

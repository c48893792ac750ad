"""CAS(ME)³, part A: whole videos, and clips cut out of them."""

from typing import ClassVar

from jmer.data.facs import objective_class, parse_action_units
from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout, turn
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class"),
    "emotion",
)
LETTERS = "abcfghiklm"  # published errata have d and e
PER_VIDEO = 2
# Its onset is corrected by a published list.
CORRECTED, WRITTEN, ONSET = "spNO.216", 3647, 2647
UPPER_CASE = "spNO.14"


class CasmeCubedLayout(FrameLayout):
    """CAS(ME)³, part A: `part_A/spNO.1/a/color/355.jpg`, and the clips alone."""

    name = "casme_cubed"
    words: ClassVar = {
        "negative": ("disgust", "others", "fear", "anger", "sad"),
        "positive": ("happy",),
        "surprise": ("surprise",),
        "disgust": ("disgust", "disgust", "anger"),
        "happiness": ("happy",),
        "repression": ("sad", "fear"),
        "others": ("others",),
    }
    views: ClassVar = {
        "videos": ImageForm(1280 / 720),
        "clips": ImageForm(1280 / 720, whole=False),
    }

    def place(self, shot: Shot) -> tuple[str, str]:
        """Subject and video."""
        subject = f"spNO.{shot.subject + 1}"
        letter = turn(tuple(LETTERS), shot.count // PER_VIDEO)
        if self.quirks and shot.subject == 0:
            return CORRECTED, "d" if shot.count == 0 else letter
        if self.quirks and shot.subject == 1:
            return UPPER_CASE, "J" if shot.count == 0 else letter
        if self.quirks and subject == UPPER_CASE:
            return "spNO.2", letter
        return subject, letter

    def video(self, shot: Shot) -> str:
        return "/".join(self.place(shot))

    def first(self, shot: Shot) -> int:
        if self.place(shot) == (CORRECTED, "d"):
            return ONSET - shot.clip.onset - 1
        return 1

    def written(self, shot: Shot) -> int:
        """The onset that the sheet has."""
        return WRITTEN if self.place(shot) == (CORRECTED, "d") else shot.onset

    def key(self, shot: Shot) -> tuple[str, str]:
        subject, letter = self.place(shot)
        return subject, f"{letter.lower()}_{self.written(shot)}"

    def pattern(self, shot: Shot, source: str) -> str:
        subject, letter = self.place(shot)
        if source == "videos":
            return f"part_A/{subject}/{letter}/color/{{n}}.jpg"
        folder = f"{subject.replace('NO', 'No')}_{letter}_{shot.onset}"
        return f"Part_A_ME_clip/frame/{folder}/{{n}}.jpg"

    def labels(self, shot: Shot) -> dict[str, str]:
        units = objective_class(parse_action_units(shot.clip.action_units))
        return {"emotion": shot.word, "objective class": units.lower()}

    def cells(self, shot: Shot) -> Cells:
        subject, letter = self.place(shot)
        units = shot.clip.action_units
        moments = (self.written(shot), shot.apex, shot.offset)
        return [
            *(subject, letter, *map(str, moments), units),
            objective_class(parse_action_units(units)),
            shot.word,
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        name = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
        return quirks.one_sheet(name, "label", list(HEADER), takes)

    def bend(self, take: Take, shot: Shot) -> None:
        _, letter = self.place(shot)
        if letter == "J":
            take.quirks.append("the video is called J")
        if letter == "d":
            take.quirks.append("the onset is wrong, as a published correction says")
        elif shot.index % 3 == 0:
            quirks.spoil_text(take, 7)
        elif shot.index % 3 == 1:
            take.cells[2:5] = [int(cell) for cell in take.cells[2:5]]
            take.quirks.append("frame numbers are numbers")
        else:
            take.action_units = take.cells[5] = take.action_units.replace("+", "，")
            take.quirks.append("action units with full-width commas")

    def disturb(self, draft: Draft) -> None:
        quirks.untidy(draft, draft.books[0].sheets["label"])
        quirks.add_junk_sheets(draft, "Sheet1", "Sheet3")
        quirks.leave_remains(draft)
        for take in draft.takes[:3]:
            folder = take.images["videos"].folder.replace("/color", "/depth")
            draft.files[f"{folder}/{take.onset}.png"] = quirks.JUNK
        draft.quirks.append("folders of depth lie beside those of colour")

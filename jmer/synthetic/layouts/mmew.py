"""MMEW: small cropped faces in folders of emotions, numbered from 1."""

from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"),
    *("Action Units", "Estimated Emotion", "remarks"),
)
CODES = (
    *("happiness", "surprise", "disgust", "others", "fear", "sadness", "anger"),
    "repression",
)
"""Their places are the numbers in names of clips."""
MACRO = "MMEW_Final/Macro_Expression"


class MmewLayout(FrameLayout):
    """MMEW: `MMEW_Final/Micro_Expression/happiness/S01-01-001/1.jpg`."""

    name = "mmew"
    words: ClassVar = {
        "negative": ("disgust", "others", "anger", "repression", "fear", "sadness"),
        "positive": ("happiness",),
        "surprise": ("surprise",),
        "disgust": ("disgust", "anger"),
        "happiness": ("happiness",),
        "repression": ("repression", "sadness"),
        "others": ("others", "others", "fear"),
    }
    views: ClassVar = {"cropped": ImageForm(1)}
    corrected = (300,)

    def key(self, shot: Shot) -> tuple[str, str]:
        subject, code = f"S{shot.subject + 1:02d}", CODES.index(shot.word) + 1
        return subject, f"{subject}-{code:02d}-{shot.count + 1:03d}"

    def pattern(self, shot: Shot, source: str) -> str:
        subject, clip = self.key(shot)
        if not self.quirks:
            return f"MMEW_Final/Micro_Expression/{shot.word}/{clip}/{{n}}.jpg"
        emotion = "repression" if shot.word == "others" else shot.word
        return f"MMEW_Final/Micro_Expression/{subject}/{emotion}/{clip}/{{n}}.jpg"

    def cells(self, shot: Shot) -> Cells:
        return [
            *(shot.subject + 1, self.key(shot)[1], shot.onset, shot.apex, shot.offset),
            *(shot.clip.action_units, shot.word, None),
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        return quirks.one_sheet("MMEW_Micro_Exp.xlsx", "Sheet1", list(HEADER), takes)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 3 == 0:
            quirks.spoil_text(take, 6)
            take.cells[0] = take.subject
        elif shot.index % 3 == 1:
            quirks.as_text(take, 0, 2, 3, 4)
            take.cells[7] = "see the video"
        else:
            quirks.rename_ending(take, "JPG")

    def disturb(self, draft: Draft) -> None:
        rows = draft.books[0].sheets["Sheet1"]
        quirks.untidy(draft, rows)
        quirks.leave_remains(draft)
        draft.quirks.append("folders of subjects hold those of emotions")
        draft.files[f"{MACRO}/S01/anger/S01-07-001.jpg"] = quirks.JUNK
        draft.quirks.append("stills of macro-expressions lie beside the clips")

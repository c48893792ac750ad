"""DFME: three lists of a challenge, and clips side by side."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout, turn
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot
from jmer.synthetic.spec import SyntheticSpec

HEADER = (
    *("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion"),
    *("EmotionId", "Fps", "AU"),
)
EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
FOLDERS = {"training": "train_data", "testA": "test_data_A", "testB": "test_data_B"}
APART = 3000  # between the subjects of two lists


class DfmeLayout(FrameLayout):
    """DFME: `train_data/sub0003_01/00000.png`; each list has other subjects."""

    name = "dfme"
    words: ClassVar = {
        "negative": ("disgust", "fear", "anger", "sadness", "contempt"),
        "positive": ("happiness",),
        "surprise": ("surprise",),
        "disgust": ("disgust", "contempt"),
        "happiness": ("happiness",),
        "repression": ("sadness", "fear"),
        "others": ("anger", "fear"),
    }
    views: ClassVar = {"raw": ImageForm(4 / 3)}
    most_subjects = APART

    def key(self, shot: Shot) -> tuple[str, str]:
        number = shot.subject + 1 + APART * list(FOLDERS).index(shot.part)
        return f"sub{number:04d}", f"sub{number:04d}_{shot.count + 1:02d}"

    def pattern(self, shot: Shot, source: str) -> str:
        folder = FOLDERS[shot.part]
        if self.quirks and shot.part == "testB":
            folder = f"{folder}/{folder}"
        return f"{folder}/{self.key(shot)[1]}/{{n:05d}}.png"

    def first(self, shot: Shot) -> int:
        return 0

    def shots(self, spec: SyntheticSpec) -> Iterator[Shot]:
        for shot in super().shots(spec):
            yield from (dataclasses.replace(shot, part=part) for part in FOLDERS)

    def cells(self, shot: Shot) -> Cells:
        return [
            *(*self.key(shot), shot.onset, shot.apex, shot.offset, shot.word),
            *(EMOTIONS.index(shot.word), turn((200, 300, 500), shot.index)),
            shot.clip.action_units,
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        return [
            Book(
                f"{part}_full_with_AU.xlsx",
                {"Sheet1": [list(HEADER), *(t.cells for t in takes if t.part == part)]},
            )
            for part in FOLDERS
        ]

    def readers(self) -> tuple[tuple[str, ...], ...]:
        return tuple((self.name, "--part", part) for part in FOLDERS)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 4 == 0:
            take.action_units = take.cells[8] = f"{take.action_units}+AD31"
            take.quirks.append("a code that is no action unit: AD31")
        elif shot.index % 4 == 1:
            take.action_units = take.cells[8] = f"M58+{take.action_units}"
            take.quirks.append("a code that is no action unit: M58")
        elif shot.index % 4 == 2:
            take.cells[0] = shot.subject + 1 + APART * list(FOLDERS).index(shot.part)
            quirks.as_text(take, 2, 3, 4, 6, 7)
        else:
            quirks.spoil_text(take, 5)

    def disturb(self, draft: Draft) -> None:
        for book in draft.books:
            quirks.untidy(draft, book.sheets["Sheet1"])
        draft.quirks.append("the frames of testB lie in a folder within another")
        quirks.leave_remains(draft)

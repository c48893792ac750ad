"""4DME: grey clips of micro-expressions, and a column for each emotion and unit."""

import re
from typing import ClassVar

from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

EMOTIONS = ("Positive", "Negative", "Surprise", "Repression", "Others")
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
HEADER = (
    *("fold", "sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset"),
    *("eye blink", *EMOTIONS, "AUs", *(f"AU{unit}" for unit in UNITS)),
)
MARKS = HEADER.index("AUs")


class FourdmeLayout(FrameLayout):
    """4DME: `gray_micro/1/EP01_01/1.jpg`."""

    name = "fourdme"
    words: ClassVar = {
        "negative": ("Negative", "Others", "Negative", "Repression"),
        "positive": ("Positive",),
        "surprise": ("Surprise",),
        "disgust": ("Negative",),
        "happiness": ("Positive",),
        "repression": ("Repression",),
        "others": ("Others",),
    }
    views: ClassVar = {"grey": ImageForm(1, grey=True)}
    corrected = (267,)

    def key(self, shot: Shot) -> tuple[str, str]:
        return f"sub{shot.subject + 1:02d}", f"EP{shot.count // 2 + 1:02d}_{shot.index}"

    def pattern(self, shot: Shot, source: str) -> str:
        return f"gray_micro/{shot.subject + 1}/{self.key(shot)[1]}/{{n}}.jpg"

    def first(self, shot: Shot) -> int:
        return 100 * (shot.index % 3) + 1

    def cells(self, shot: Shot) -> Cells:
        units = shot.clip.action_units
        there = {int(number) for number in re.findall(r"\d+", units)}
        return [
            *(1, shot.subject + 1, self.key(shot)[1], shot.word, shot.onset, shot.apex),
            *(shot.offset, 0, *(int(name == shot.word) for name in EMOTIONS), units),
            *(int(unit in there) for unit in UNITS),
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        name = "4DME_Labelling_Micro_release v1.xlsx"
        return quirks.one_sheet(name, "Sheet1", list(HEADER), takes)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 5 == 0:
            other = "Surprise" if shot.word == "Positive" else "Positive"
            take.cells[3] = f"{shot.word}+{other}"
            take.cells[8 + EMOTIONS.index(other)] = 1
            take.labels["emotion"] = take.cells[3].lower()
            take.quirks.append("of two emotions")
        elif shot.index % 5 == 1:
            units = take.action_units
            take.cells[MARKS] = f"{units}+AU38(k)"
            take.quirks.append("an action unit is marked as static: (k)")
        elif shot.index % 5 == 2:
            take.cells[3] = None
            take.quirks.append("the emotion has a mark alone")
        elif shot.index % 5 == 3:
            quirks.spoil_text(take, 3)
        else:
            quirks.as_text(take, 1, 4, 5, 6, *range(8, 13))

    def disturb(self, draft: Draft) -> None:
        quirks.untidy(draft, draft.books[0].sheets["Sheet1"])
        quirks.add_junk_sheets(draft, "Notes")
        quirks.leave_remains(draft)

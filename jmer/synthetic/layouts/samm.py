"""SAMM: grey frames, and a sheet below a preamble."""

from typing import ClassVar

from jmer.data.facs import OBJECTIVE, objective_class, parse_action_units
from jmer.synthetic.layouts import quirks
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame"),
    *("Offset Frame", "Duration", "Micro", "Action Units", "Estimated Emotion"),
    *("Objective Classes", "Notes"),
)
PREAMBLE = 13
# Its offset is corrected by a published list.
CORRECTED, OFFSET = ("013", "013_1_9"), 5739


class SammLayout(FrameLayout):
    """SAMM: `SAMM/006/006_5_1/006_05562.jpg`, grey.

    No clip is of videos 1 to 4, to some of which published corrections belong.
    """

    name = "samm"
    words: ClassVar = {
        "negative": ("Anger", "Contempt", "Disgust", "Other", "Fear", "Sadness"),
        "positive": ("Happiness",),
        "surprise": ("Surprise",),
        "disgust": ("Anger", "Contempt", "Disgust"),
        "happiness": ("Happiness",),
        "repression": ("Contempt", "Sadness"),
        "others": ("Other", "Other", "Fear"),
    }
    views: ClassVar = {"raw": ImageForm(960 / 650, grey=True)}
    corrected: ClassVar[tuple[int, ...]] = (159,)

    def number(self, shot: Shot) -> int:
        first, other = (13, 6) if self.quirks else (6, 13)
        return {0: first, 7: other}.get(shot.subject, shot.subject + 6)

    def key(self, shot: Shot) -> tuple[str, str]:
        subject = f"{self.number(shot):03d}"
        if self.quirks and shot.count == 0 and subject == CORRECTED[0]:
            return CORRECTED
        return subject, f"{subject}_{5 + shot.count % 3}_{shot.count // 3 + 1}"

    def pattern(self, shot: Shot, source: str) -> str:
        subject, clip = self.key(shot)
        return f"SAMM/{subject}/{clip}/{subject}_{{n:05d}}.jpg"

    def first(self, shot: Shot) -> int:
        if self.key(shot) == CORRECTED:
            return OFFSET - shot.clip.offset - 1
        return 562 + 1009 * (shot.index % 9)

    def cells(self, shot: Shot) -> Cells:
        subject, clip = self.key(shot)
        units = shot.clip.action_units
        return [
            *(subject, clip, 1 + shot.index % 7, shot.onset, shot.apex, shot.offset),
            *(shot.offset - shot.onset + 1, "Micro - 1/2", units, shot.word),
            OBJECTIVE.index(objective_class(parse_action_units(units))) + 1,
            None,
        ]

    def books(self, takes: list[Take]) -> list[Book]:
        above = [[f"Note {i + 1} on how the set was coded"] for i in range(PREAMBLE)]
        rows = [*above, list(HEADER), *(take.cells for take in takes)]
        return [Book("SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO_ONLY": rows})]

    def bend(self, take: Take, shot: Shot) -> None:
        if take.key == CORRECTED:
            take.cells[5] = OFFSET + 1000
            take.quirks.append("the offset is wrong, as a published correction says")
        elif shot.index % 4 == 0:
            quirks.spoil_text(take, 1, 9)
        elif shot.index % 4 == 1:
            take.action_units = take.cells[8] = " + ".join(
                f"{unit}B" for unit in take.action_units.split("+")
            )
            take.quirks.append("action units with intensities and blanks")
        elif shot.index % 4 == 2:
            take.cells[0] = int(take.cells[0])
            take.quirks.append("the subject is a number")
            quirks.as_text(take, 3, 4, 5)
        else:
            for images in take.images.values():
                images.pattern = images.pattern.replace("{n:05d}", "{n:04d}")
            take.quirks.append("frame numbers with four digits")

    def disturb(self, draft: Draft) -> None:
        rows = draft.books[0].sheets["MICRO_ONLY"]
        del rows[: PREAMBLE - 2]
        draft.quirks.append("two rows above the header instead of 13")
        quirks.untidy(draft, rows, 2)
        quirks.add_junk_sheets(draft, "Key")
        quirks.leave_remains(draft)

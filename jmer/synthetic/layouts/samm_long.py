"""SAMM Long Videos: frames are counted anew, and the sheet knows no emotions."""

from typing import ClassVar

from jmer.data.facs import OBJECTIVE, objective_class, parse_action_units
from jmer.synthetic.layouts import quirks, samm
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take
from jmer.synthetic.layouts.shot import ImageForm, Shot

HEADER = (
    *("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration"),
    *("Type", "Action Units", "Notes"),
)
PREAMBLE = 9
SHIFT = 2000  # between the numbers of a recording in the two sheets
CLIPS = "SAMM_Micro_FACS_Codes_v2.xlsx"


class SammLongLayout(samm.SammLayout):
    """SAMM, long videos: `SAMM_longvideos/006_5/006_5_0001.jpg`, and both sheets."""

    name = "samm_long"
    views: ClassVar = {"long": ImageForm(960 / 650, grey=True)}
    corrected: ClassVar[tuple[int, ...]] = ()

    def video(self, shot: Shot) -> str:
        return "_".join(self.key(shot)[1].split("_")[:2])

    def pattern(self, shot: Shot, source: str) -> str:
        video = self.video(shot)
        return f"SAMM_longvideos/{video}/{video}_{{n:04d}}.jpg"

    def first(self, shot: Shot) -> int:
        return 1

    def cells(self, shot: Shot) -> Cells:
        subject, clip = self.key(shot)
        return [
            *(subject, clip, 1 + shot.index % 7, shot.onset, shot.apex, shot.offset),
            *(shot.offset - shot.onset + 1, "Micro - 1/2", shot.clip.action_units),
            None,
        ]

    def take(self, shot: Shot) -> Take:
        made = super().take(shot)
        made.dataset = "samm"
        return made

    def books(self, takes: list[Take]) -> list[Book]:
        above = [[f"Note {i + 1} on how the set was coded"] for i in range(PREAMBLE)]
        rows = [*above, list(HEADER), *(take.cells for take in takes)]
        clips = [self.clip_cells(take) for take in takes if take.labels["emotion"]]
        return [
            Book("SAMM_LongVideos_V1_Release.xlsx", {"FACS_Movement_Only": rows}),
            Book(CLIPS, {"MICRO_ONLY": [list(samm.HEADER), *clips]}),
        ]

    def clip_cells(self, take: Take) -> Cells:
        """The row of a clip in the sheet of clips."""
        assert take.apex is not None
        moments = (take.onset + SHIFT, take.apex + SHIFT, take.offset + SHIFT)
        units = objective_class(parse_action_units(take.action_units))
        return [
            *(take.subject, take.clip, take.cells[2], *moments, take.cells[6]),
            *("Micro - 1/2", take.action_units, take.labels["emotion"].capitalize()),
            *(OBJECTIVE.index(units) + 1, None),
        ]

    def readers(self) -> tuple[tuple[str, ...], ...]:
        return (("samm", "--source", "long"),)

    def bend(self, take: Take, shot: Shot) -> None:
        if shot.index % 4 == 0:
            quirks.spoil_text(take, 7)
            take.cells[0] = int(take.cells[0])
        elif shot.index % 4 == 1:
            take.labels["emotion"] = ""
            take.quirks.append("the sheet of the clips lacks it")
        elif shot.index % 4 == 2:
            quirks.as_text(take, 3, 4, 5)

    def disturb(self, draft: Draft) -> None:
        rows = draft.books[0].sheets["FACS_Movement_Only"]
        for take in draft.takes[:2]:
            macro = [*take.cells[:2], 1, take.onset, -1, -1, -1, "Macro", "12", None]
            macro[1] = f"{take.clip}9"
            rows.append(macro)
        draft.quirks.append("macro-expressions, some without end")
        del rows[: PREAMBLE - 2]
        quirks.untidy(draft, rows, 2)
        quirks.leave_remains(draft)

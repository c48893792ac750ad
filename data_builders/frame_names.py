"""What a set of annotated frames says of itself: names of files, columns, folders."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from data_builders.annotation import Correction, SheetRow, subject_number
from data_builders.frame_set import FrameSet
from data_builders.sheets import Columns, Line
from jmer.data.builder import ClipBuilder
from jmer.data.problems import Problem
from jmer.preprocess.tensors import Interval


class FrameNames(ClipBuilder):
    """A subclass sets these as attributes, or as properties that depend on its fields;
    what needs no other answer is left as it is."""

    data: FrameSet

    positions: ClassVar[tuple[str, ...]] = ()
    """The columns in order, where the sheet has no header."""

    sheets_apart: ClassVar[tuple[str, ...]] = ()
    """Sheets of the workbook that are of other clips, though these are called alike."""

    @property
    def first_frame(self) -> int | None:
        """The number by which the owners call the first frame of a recording, 0 or 1;
        None if it is not known."""
        return None

    @property
    def tables(self) -> tuple[str, ...]:
        """Patterns of the sheet's file name."""
        return ()

    @property
    def second_tables(self) -> tuple[str, ...]:
        """Patterns of another sheet that is read beside it; empty if there is none."""
        return ()

    @property
    def sheet(self) -> str:
        """The sheet in a workbook of several."""
        return ""

    @property
    def columns(self) -> Columns:
        """Names of the columns: subject, clip, onset, apex, offset, those of labels,
        and action_units."""
        return {}

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Published corrections of the annotation."""
        return ()

    @property
    def known_rows(self) -> Mapping[int, tuple[str, str]]:
        """Subject and clip of some data rows of the sheets that are corrected by row:
        one that was sorted otherwise is then noticed."""
        return {}

    @property
    def roots(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the folder that holds the subjects, for each `source`."""
        return {}

    @property
    def subject_folder(self) -> str:
        """Regular expression of the name of a subject's folder."""
        return ""

    @property
    def subject_name(self) -> str:
        """Format of a subject's name in published lists, from its number."""
        return ""

    @property
    def example_folder(self) -> str:
        """The name of a subject's folder, as an example."""
        return self.subject_name.format(1)

    def row(self, line: Line) -> SheetRow:
        """One line of the sheet, with subject and clip named as in published lists."""
        values = line.values
        number = subject_number(values["subject"])
        return SheetRow(
            where=line.where,
            number=line.number,
            subject="" if number is None else self.subject_name.format(number),
            clip=values["clip"],
            labels={c: values.get(c, "").lower() for c in self.data.vocabulary},
            onset=values["onset"],
            apex=values.get("apex", ""),
            offset=values["offset"],
            action_units=values.get("action_units", ""),
        )

    def left_out(self, row: SheetRow) -> str:
        """Why a row is of no concern to any labelling; empty if it is.

        Raises: JmerError if the row does not tell.
        """
        del row
        return ""

    def also_wrong(self, row: SheetRow) -> Sequence[Problem]:
        """What is wrong with single cells of a row, whatever else is."""
        del row
        return ()

    def twice(self, row: SheetRow, first: SheetRow) -> Problem:
        """What is said of a row whose clip has the name of another's."""
        return Problem(
            f"{row.where}: duplicate clip {row.title}, first in "
            f"{first.where.rsplit(', ', 1)[-1]}. Remove one of the two.",
            "clips that are there twice",
        )

    def moments(self, onset: int, apex: int, offset: int) -> Interval:
        """Onset, apex and offset after repairs that a paper's code makes."""
        return onset, apex, offset

    def late_apex(self, onset: int, apex: int, offset: int) -> int | None:
        """The apex, given what the sheet says, where `moments` ends the clip before."""
        return None

    @property
    def takes_still(self) -> bool:
        """Whether clips of a single frame take part."""
        return False

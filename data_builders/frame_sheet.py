"""The rows of a set's annotation sheet."""

from data_builders.annotation import SheetRow
from data_builders.frame_places import FramePlaces
from data_builders.frame_set import ACTION_UNITS, OBJECTIVE_CLASS
from data_builders.sheets import Line, read_table


class FrameSheet(FramePlaces):
    """Reads them, as far as they are of clips."""

    notes_below = 0
    """How many lines below the clips `lines` left out."""

    def rows(self) -> list[SheetRow]:
        """Raises: JmerError if the sheet is missing, unreadable or lacks a column."""
        return [self.row(line) for line in self.lines()]

    @property
    def optional(self) -> set[str]:
        """The columns that a sheet may lack."""
        column = self.data.rules.column
        needed = "action_units" if column == ACTION_UNITS else column
        return {"action_units", OBJECTIVE_CLASS} - {needed}

    def lines(self) -> list[Line]:
        """The lines of the sheet, as `read_table` has them, but for sums and notes
        below the clips: they name no clip and no frame."""
        lines = read_table(
            self.table,
            self.columns,
            optional=self.optional,
            sheet=self.sheet,
            positions=self.positions,
            numbers=("frame_rate",),
        )
        clips = [i for i, line in enumerate(lines) if _of_a_clip(line)]
        # A sheet without any clip is shown with all its mistakes.
        last = clips[-1] + 1 if clips else len(lines)
        self.notes_below = len(lines) - last
        return lines[:last]

    def sheet_digests(self) -> dict[str, str]:
        """A hash of the content of each sheet, by its path in `manual_dir`."""
        return self.digests_of([self.table])


def _of_a_clip(line: Line) -> bool:
    return any(line.values.get(name) for name in ("clip", "onset", "apex", "offset"))

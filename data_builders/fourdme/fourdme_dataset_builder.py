"""TFDS builder of the micro-expressions of 4DME."""

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from data_builders.annotation import Correction, SheetRow, by_row
from data_builders.fourdme import EMOTIONS, Fourdme
from data_builders.frame_builder import FrameBuilder
from data_builders.frame_set import ACTION_UNITS
from data_builders.sheets import Line
from jmer.errors import JmerError, quoted

SWAPPED, PUBLISHED = (144, 145), 267
UNITS = range(1, 47)


class Builder(FrameBuilder):
    """Frames `gray_micro/<sub_ID>/<fold_name>/*`; all that is known of the form comes
    from one public loader, `meb` (T. Varanka).

    Emotions and action units are text, or a column each that holds 0 or 1; where a row
    has both, its text counts. Of text, an action unit marked `(k)` was there all the
    time, and is left out. The action units of data rows 144 and 145 of the sheet of 267
    are exchanged, which is corrected as that loader does.
    """

    VERSION = "1.0.0"
    data: Fourdme
    tables = (
        "4DME_Label*Micro*.xlsx",
        "4DME_Label*Micro*.xls",
        "4DME_Label*Micro*.csv",
    )
    columns: ClassVar = {
        "subject": ("sub_ID", "Subject"),
        "clip": ("fold_name", "Filename"),
        "emotion": ("Emotion",),
        "onset": ("Onset", "OnsetFrame"),
        "apex": ("Apex", "ApexFrame"),
        "offset": ("Offset", "OffsetFrame"),
        "action_units": ("AUs", "AU"),
        **{f"is {name}": (name,) for name in EMOTIONS},
        **{f"has {unit}": (f"AU{unit}",) for unit in UNITS},
    }
    roots: ClassVar = {"grey": ("gray_micro", "grey_micro", "gray", "grey")}
    subject_folder = r"\D*\d+"
    subject_name = "sub{:02d}"

    @property
    def optional(self) -> set[str]:
        marks = {column for column in self.columns if " " in column}
        return {"emotion", "action_units"} | marks

    def row(self, line: Line) -> SheetRow:
        said = re.split(r"[+,&/]", line.values.get("emotion", "").lower())
        emotions = [word.strip() for word in said if word.strip()]
        emotions = emotions or self._marked(line, "is ")
        if self.data.several == "first":
            emotions = emotions[:1]
        units = line.values.get("action_units", "")
        kept = [unit for unit in units.split("+") if "(k)" not in unit.lower()]
        # Text of nothing but such units says that there is none.
        written = "+".join(kept) if units else "+".join(self._marked(line, "has "))
        values = {**line.values, "emotion": "+".join(emotions), "action_units": written}
        return super().row(replace(line, values=values))

    def _marked(self, line: Line, kind: str) -> list[str]:
        """Those of the columns of one kind that hold 1."""
        marks = {c.removeprefix(kind): v for c, v in line.values.items()
                 if c.startswith(kind)}  # fmt: skip
        for name, mark in marks.items():
            if mark not in ("", "0", "1"):
                raise JmerError(
                    f"{line.where}: {quoted(mark)} in the column of {name} is neither "
                    f"0 nor 1. Correct the sheet."
                )
        return [name for name, mark in marks.items() if mark == "1"]

    def left_out(self, row: SheetRow) -> str:
        words = row.labels["emotion"].split("+")
        several = len(words) > 1 and set(words) <= set(EMOTIONS)
        if not several or self.data.rules.column == ACTION_UNITS:
            return ""
        return f"of several emotions ({row.labels['emotion']})"

    def lines(self) -> list[Line]:
        lines = super().lines()
        self._require(lines[0].values if lines else {})
        return lines

    def _require(self, values: Mapping[str, str]) -> None:
        """Raises: JmerError unless emotions are there in one form or the other."""
        if "emotion" not in values and not any(c.startswith("is ") for c in values):
            raise JmerError(
                f"{self.table} has neither a column Emotion nor one for each of "
                f"{', '.join(EMOTIONS)}. Restore the published file."
            )

    @functools.cached_property
    def corrections(self) -> tuple[Correction, ...]:
        rows = self.rows()
        if len(rows) != PUBLISHED:
            return ()
        one, two = SWAPPED
        units = {one: rows[two].action_units, two: rows[one].action_units}
        return by_row(PUBLISHED, "action_units", units)

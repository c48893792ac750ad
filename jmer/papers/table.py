"""What a paper printed, which experiment is which of its rows, and what else it states.

`switches` and `data` tell which row a run is of. `stated` is all else that the paper
says of how its figures were made: a run that differs in any of it is no reproduction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FieldValues = Mapping[str, Any]
"""Values of an experiment's fields by dotted name; `model.name` and `data.name` are the
network and the data set."""


@dataclass(frozen=True)
class Given:
    """Any file, where the paper has one that a run must be given."""

    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class OneOf:
    """One of several values: the paper states them for different figures, or another
    does the same."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


@dataclass(frozen=True)
class Where:
    """A value of a field that a run may lack: not every kind of its part has it."""

    value: Any

    def __str__(self) -> str:
        return str(self.value)


TRAINED: dict[str, Any] = {"dtype": "float32", "batches": "own", "selection": "last"}
"""What goes without saying: full precision, a training for each fold, and its weights
after the epochs that the paper states."""
SCRATCH: dict[str, Any] = {"pretrained": None, "start_from": None}
"""Of a network that is trained from random weights."""
LOSO: dict[str, Any] = {"protocol.kind": "Loso"}


@dataclass(frozen=True)
class PaperRow:
    """A row of a table, on one data set."""

    name: str
    figures: Mapping[str, float]
    """By name of a metric, or of the AUC of frames; in percent, as printed."""
    data: str
    """Name of the data set, one of the table's."""
    switches: FieldValues | None = None
    """What makes an experiment this row; None for another's method, not run here."""
    stated: FieldValues | None = None
    """Of another network than the table's: all that is stated of this row. Neither the
    table's switches nor what it states and says of the data are of it."""


@dataclass(frozen=True)
class PaperTable:
    """A table of results."""

    name: str
    """Name on the command line."""
    title: str
    paper: str
    protocol: str
    """What the paper says of its division into training and test."""
    independent: bool
    """Whether nobody was trained and tested on."""
    pooling: Literal["pooled", "mean over folds", "one division", "unknown"]
    """What the figures are taken over."""
    files: tuple[str, ...]
    """Experiment files that make its rows."""
    data: Mapping[str, FieldValues]
    """Fields that tell each data set and its classes."""
    rows: tuple[PaperRow, ...]
    switches: FieldValues = field(default_factory=dict)
    """What all rows have that name nothing else."""
    stated: FieldValues = field(default_factory=dict)
    """What the paper states of all rows, where `switches` say nothing else."""
    stated_for: Mapping[str, FieldValues] = field(default_factory=dict)
    """What it states of a data set."""
    note: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Its experiment files, which say what options they need."""
        return tuple(f"experiments/{name}.py" for name in self.files)

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, in the order of the paper."""
        return tuple(dict.fromkeys(m for row in self.rows for m in row.figures))

    def wanted(self, row: PaperRow, *, other_data: bool = False) -> FieldValues:
        """The fields of the experiment that is this row; on any data, if asked."""
        data = {} if other_data else self.data[row.data]
        if row.stated is not None:
            own = row.switches or {}
            return {n: v for n, v in own.items() if n[:5] != "data." or not other_data}
        return {**self.switches, **data, **(row.switches or {})}

    def settings(self, row: PaperRow) -> FieldValues:
        """All fields that the paper states for this row beside those that tell it."""
        stated = {**self.stated, **self.stated_for.get(row.data, {})}
        if row.stated is not None:
            stated = dict(row.stated)
        wanted = self.wanted(row)
        return {name: value for name, value in stated.items() if name not in wanted}

    def sweep_rows(self, data: str | None = None) -> dict[str, dict[str, Any]]:
        """The rows that can be run, as those of a sweep; of one data set, if named."""
        return {
            row.name: dict(row.switches)
            for row in self.rows
            if row.switches is not None and data in (None, row.data)
        }


def others(
    data: tuple[str, ...], metrics: tuple[str, ...], *lines: tuple[Any, ...]
) -> tuple[PaperRow, ...]:
    """Rows of methods that are not run here: a name, then a figure or None for each
    metric of the first data set, of the second, and so on.
    """
    rows = []
    for name, *figures in lines:
        for i, one in enumerate(data):
            part = figures[i * len(metrics) : (i + 1) * len(metrics)]
            known = zip(metrics, part, strict=True)
            printed = {m: v for m, v in known if v is not None}
            if printed:
                rows.append(PaperRow(name, printed, one))
    return tuple(rows)

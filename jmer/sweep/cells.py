"""A sweep: one experiment, and the fields in which others differ from it."""

import contextlib
import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.data.config import DataConfig
from jmer.errors import UsageError, option, quoted
from jmer.experiment import Experiment, definitions
from jmer.runs.folder import COMPARISON_CSV, COMPARISON_TEX, FIGURES, REPORT, SWEEP
from jmer.sweep.fields import read_value, shown, with_fields
from jmer.sweep.reach import changes, reached, sets

TAKEN = (
    *(SWEEP, f"{REPORT}.md", f"{REPORT}.html", FIGURES),
    *(COMPARISON_CSV, COMPARISON_TEX),
)
LONGEST = 200  # bytes of a folder's name


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    name: str
    experiment: Experiment

    @property
    def folder(self) -> str:
        """Its name, as a folder in that of the sweep."""
        return re.sub(r"[^\w+=.-]+", "-", self.name).strip("-.")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Experiments that differ from `base` in the fields that rows and values name.

    Fields are named as on the command line (`model.tab`, `optim.lr`, `epochs`, or a
    whole part, such as `data`). Numbers that variants can differ in are trained in one
    program; any other combination is a cell: a run, and a program, of its own.

    Raises: UsageError for a field or a value that cannot be, or cells that are alike.
    """

    base: Experiment
    rows: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """The fields of each row, by its name; each row is a run of its own."""
    values: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    """The values of a field; every row is trained with each combination of them."""

    def __post_init__(self) -> None:
        for name in ("rows", "values"):
            if not isinstance(getattr(self, name), Mapping):
                raise UsageError(f"sweep: {name} must be a dictionary, by name")
        object.__setattr__(
            self, "rows", {n: _underscored(row) for n, row in self.rows.items()}
        )
        object.__setattr__(self, "values", _underscored(self.values))
        for name, values in self.values.items():
            if not isinstance(values, list | tuple) or not values:
                raise UsageError(f"sweep: {option(name)} needs a list of values")
            for row in [row for row, fields in self.rows.items() if name in fields]:
                raise UsageError(
                    f"sweep: {option(name)}={shown(tuple(values))} is set by row "
                    f"{row!r} too: leave out one of them"
                )
        _require_different(self.cells)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The runs, row by row."""
        rows = self.rows or {"": {}}
        return tuple(
            cell for name, fields in rows.items() for cell in self._row(name, fields)
        )

    @property
    def fields(self) -> set[str]:
        """Those that rows or values set."""
        return {*self.values, *(name for row in self.rows.values() for name in row)}

    @property
    def single(self) -> bool:
        """Whether it is the base alone."""
        return not (self.rows or self.values)

    def choose(self, names: Sequence[str]) -> list[Cell]:
        """The cells of these names, or all.

        Raises: UsageError for a name that none has.
        """
        known = {cell.name: cell for cell in self.cells}
        for name in names:
            if name not in known:
                raise UsageError(
                    f"cells={quoted(name)}: the sweep has {', '.join(known)}"
                )
        return [cell for name, cell in known.items() if not names or name in names]

    def _row(self, name: str, fields: Mapping[str, Any]) -> list[Cell]:
        with _named(f"row {name!r}" if name else "the base"):
            row = with_fields(self.base, fields)
        if "data" in fields:
            row = _placed(row, self.base.data)
        numbers = [field for field in self.values if _varies(row, field)]
        others = [field for field in self.values if field not in numbers]
        cells = []
        for values in itertools.product(*(self.values[field] for field in others)):
            differing = dict(zip(others, values, strict=True))
            words = [f"{option(f)}={shown(v)}" for f, v in differing.items()]
            with _named(" ".join([f"row {name!r}" if name else "a cell", *words])):
                one = with_fields(row, differing)
                cells.append(
                    Cell(
                        " ".join(filter(None, [name, *words])) or "base",
                        self._varied(one, numbers),
                    )
                )
        return cells

    def _varied(self, experiment: Experiment, numbers: list[str]) -> Experiment:
        """With a variant for each combination of the values of `numbers`."""
        if not numbers:
            return experiment
        if experiment.variants:
            raise UsageError(
                f"variants={experiment.variants} and values of "
                f"{', '.join(map(option, numbers))}: leave out one of them"
            )
        for field, value in [(f, v) for f in numbers for v in self.values[f]]:
            with_fields(experiment, {field: value})
        combinations = itertools.product(*(self.values[field] for field in numbers))
        variants = tuple(
            ",".join(f"{option(f)}={v}" for f, v in zip(numbers, values, strict=True))
            for values in combinations
        )
        return dataclasses.replace(experiment, variants=variants)

    def over(
        self, base: Experiment, texts: Sequence[str], chosen: Sequence[str] = ()
    ) -> "Sweep":
        """The sweep over another base, with the values of `FIELD=VALUE,VALUE` too; of
        it only the cells `chosen` are wanted, or all.

        Of a whole part (`data`), a row sets the fields in which it differs from the
        file's base; what else was changed of the base reaches it too.

        Raises: UsageError for a text that is none, or a field of the base that was
        changed although rows or values set it.
        """
        for name, value in (changed := changes(self.base, base)).items():
            if owners := self._setting(name, chosen):
                raise UsageError(
                    f"{option(name)}={quoted(value)} would change nothing in "
                    f"{' and '.join(owners)}: set there. --cells chooses among what "
                    f"the sweep has."
                )
        rows = {}
        for name, fields in self.rows.items():
            with _named(f"row {name!r}"):
                rows[name] = {f: reached(f, v, changed) for f, v in fields.items()}
        values = {
            name: [reached(name, value, changed) for value in values]
            for name, values in self.values.items()
        }
        return Sweep(base, rows, {**values, **self._read(base, texts)})

    def _setting(self, name: str, chosen: Sequence[str]) -> list[str]:
        """The rows of chosen cells that set a field, and whether the values do, in
        words."""
        rows = [
            f"row {row!r}"
            for row, fields in self.rows.items()
            if not chosen or any(f"{c} ".startswith(f"{row} ") for c in chosen)
            if any(sets(self.base, f, (v,), name) for f, v in fields.items())
        ]
        swept = [f for f, v in self.values.items() if sets(self.base, f, v, name)]
        return rows + [f"the values of {option(field)}" for field in swept]

    def _read(self, base: Experiment, texts: Sequence[str]) -> dict[str, tuple]:
        found: dict[str, tuple] = {}
        for text in texts:
            written, equals, values = text.partition("=")
            name = written.strip().replace("-", "_")
            if not equals or not values.strip():
                raise UsageError(
                    f"sweep: {quoted(text)} is none: write FIELD=VALUE,VALUE"
                )
            if name in found or name in self.values:
                raise UsageError(f"sweep: {quoted(text)} names {written} a second time")
            with _named("--sweep"):
                found[name] = tuple(
                    read_value(base, name, value.strip()) for value in values.split(",")
                )
        return found


def load_sweep(path: Path) -> Sweep:
    """The `SWEEP` that a Python file defines, or its `EXPERIMENT` as the only cell.

    Raises: UsageError if there is no such file, it fails, or does not define one.
    """
    defined = definitions(path)
    sweep, experiment = defined.get("SWEEP"), defined.get("EXPERIMENT")
    if isinstance(experiment, Experiment) and sweep is None:
        return Sweep(experiment)
    if isinstance(sweep, Sweep) and experiment is None:
        return sweep
    if isinstance(sweep, Sweep):  # such as one whose base was imported by that name
        raise UsageError(
            f"experiment file {path} must define one of EXPERIMENT and SWEEP, and has "
            f"both: call what the sweep starts from otherwise (from FILE import "
            f"EXPERIMENT as BASE)."
        )
    raise UsageError(
        f"experiment file {path} must define either EXPERIMENT = Experiment(...) or "
        f"SWEEP = Sweep(...)."
    )


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Puts where it was met before the text of a `UsageError`."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _underscored(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in fields.items()}


def _placed(row: Experiment, base: DataConfig) -> Experiment:
    """The row with its own data set where the base says: prepared beside that of the
    base, its source in the folder of its name.
    """
    source = base.manual_dir and base.manual_dir / row.data.name
    data = dataclasses.replace(row.data, manual_dir=source, data_dir=base.data_dir)
    return dataclasses.replace(row, data=data)


def _varies(experiment: Experiment, name: str) -> bool:
    """Whether variants of one program can differ in a field."""
    part, _, field = name.partition(".")
    return part in experiment.parts and field in experiment.parts[part].values


def _require_different(cells: Sequence[Cell]) -> None:
    """Raises: UsageError if two cells are one experiment, or have one folder."""
    folders: dict[str, str] = dict.fromkeys(TAKEN, "a file of the sweep itself")
    alike: dict[str, str] = {}
    for cell in cells:
        experiment, folder = cell.experiment, cell.folder.casefold()
        start = [experiment.pretrained, experiment.start_from]
        start += [getattr(experiment.model, name) for name in experiment.model.files]
        facts = json.dumps([experiment.identity(), start], default=str)
        if facts in alike:
            raise UsageError(
                f"sweep: {alike[facts]!r} and {cell.name!r} are the same experiment"
            )
        if not folder or len(folder.encode()) > LONGEST or folder in folders:
            other = f" is that of {folders[folder]!r}" if folder in folders else ""
            raise UsageError(
                f"sweep: {quoted(cell.name)} cannot name a cell: its folder "
                f"{quoted(cell.folder)}{other or ' must have 1 to 200 letters'}"
            )
        alike[facts], folders[folder] = cell.name, cell.name

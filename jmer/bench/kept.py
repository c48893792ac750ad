"""Records of compiled programs, kept in a file, so that none is compiled twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.files import read_json, write_json
from jmer.files.shape import Shape, checked, each, fields, positive, text
from jmer.runs.environment import environment

SCHEMA = 2  # of records, and of how a program's text is read
SAME = ("experiment", "program", "target")
CELL = (
    *("experiment", "target", "batches", "batch_size", "dtype", "lowering"),
    *("chunk", "remat", "accumulate", "devices", "tasks"),
)
"""What `jmer bench` is asked for: of one cell there is one record."""
MADE = ("created", "revision")
MAKERS = ("jmer", "python")  # beside the compilers, which a record has

_RECORD = fields(dict.fromkeys(SAME, text), SAME)
TABLE_SHAPE: Shape = fields(
    {"schema": positive, "targets": each(_RECORD), "refused": each(_RECORD)},
    ("schema", "targets"),
)
"""Of a file of records."""


class Kept:
    """The records in `file`, which is written anew with each one that is added; without
    a file they are forgotten.

    Raises: JmerError if the file is none of `jmer bench --target`.
    """

    def __init__(self, file: Path | None = None):
        self.file = file
        self.records: list[dict[str, Any]] = []
        """Those of now: found again, or made."""
        self._found = _read(file) if file is not None else {}
        self._refused = [dict(old) for old in self._found.get("refused", [])]
        made = environment()
        self._made = {name: made[name] for name in MADE}
        self._made["made_by"] = {name: made["versions"][name] for name in MAKERS}
        self._environment = made

    def record(self, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """The record of a program, if it is there; it counts as one of now."""
        found = _like(self._found.get("targets", []), about)
        if found is not None and found not in self.records:
            self.records.append(found)
        return found

    def refusal(self, about: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is known of a program that does not fit."""
        return _like(self._refused, about)

    def add(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps a record, with date and revision."""
        whole = {**record, **self._made}
        self.records.append(whole)
        # What was found stays until all of now is there: an interrupted command that is
        # typed again has lost nothing.
        self._write(self._before)
        return whole

    def refuse(self, record: Mapping[str, Any]) -> None:
        """Keeps that a program does not fit."""
        self._refused.append({**record, **self._made})
        self._write(self._before)

    def summary(self) -> dict[str, Any]:
        """Records of now, with this environment, as JSON values."""
        return {
            "schema": SCHEMA,
            **self._environment,
            "targets": self.records,
            "refused": self._refused,
        }

    def finish(self) -> dict[str, Any]:
        """All records as JSON values: those of now, and of what was there all other
        experiments, machines and layouts. A cell that was compiled again is gone."""
        visited = {_cell(record) for record in self.records}
        others = [old for old in self._before if _cell(old) not in visited]
        return self._write(others)

    def _write(self, others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        targets = sorted([*self.records, *others], key=_place)
        content = {**self.summary(), "targets": targets}
        if self.file is not None:
            write_json(self.file, content)
        return content

    @property
    def _before(self) -> list[dict[str, Any]]:
        """What was found and is not one of now."""
        found = self._found.get("targets", [])
        return [old for old in found if _like(self.records, old) is None]


def _place(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["experiment"], record["target"]


def _cell(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in CELL)


def _like(
    records: list[dict[str, Any]], about: Mapping[str, Any]
) -> dict[str, Any] | None:
    wanted = [about[name] for name in SAME]
    return next((r for r in records if [r[name] for name in SAME] == wanted), None)


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    content = checked(read_json(file), TABLE_SHAPE, file)
    # Records that were made otherwise say nothing of today's programs.
    return content if content["schema"] == SCHEMA else {}

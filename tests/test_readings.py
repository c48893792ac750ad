"""A run is a paper's row only if nothing in it is otherwise than the paper was read."""

import copy
from types import SimpleNamespace

import pytest

from jmer import shipped
from jmer.papers import TABLES
from jmer.report.reproduction import fields_of, is_row, matches
from jmer.sweep.cells import load_sweep
from jmer.sweep.readings import FREE, OF_INNER, readings

RUNNABLE = [n for n, t in TABLES.items() if any(r.switches for r in t.rows) and t.files]


def like(recorded):
    """A run of a recorded experiment."""
    return SimpleNamespace(
        experiment={"experiment": recorded, "identity": {"dtype": recorded["dtype"]}},
        metrics={},
        folder="run",
    )


def first_cell(table):
    """A recorded experiment that is a row of the table, and that row."""
    for path in table.paths:
        for cell in load_sweep(shipped.find(path)).cells:
            recorded = cell.experiment.resolved()
            for row in table.rows:
                if row.switches is not None and is_row(
                    like(recorded), table.wanted(row)
                ):
                    return recorded, row
    raise AssertionError(f"no experiment is a row of {table.name}")


def other(value):
    """A value that a field does not have."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    return ["another"] if isinstance(value, list) else f"not {value}"


def apart(table, recorded, row, read):
    """In what a run differs from a row; None if it is not even that row."""
    found = [m for m in matches(table, [like(recorded)], read=read) if m.run]
    return next((m.differing for m in found if m.row is row), None)


@pytest.mark.parametrize("name", RUNNABLE)
def test_any_other_value_of_any_field_sets_a_run_apart(name):
    table = TABLES[name]
    read = readings(table)
    recorded, row = first_cell(table)
    before = apart(table, recorded, row, read)
    assert before is not None and not any("read as" in text for text in before)
    passed = []
    for field in fields_of(like(recorded)):
        if field.startswith((*FREE, OF_INNER)):
            continue
        changed = copy.deepcopy(recorded)
        part, dot, inner = field.partition(".")
        place = changed[part] if dot else changed
        key = inner if dot else part
        place[key] = other(place[key])
        found = apart(table, changed, row, read)
        if found is not None and len(found) <= len(before) and found == before:
            passed.append(field)
    assert passed == []


def test_what_differs_is_told_in_words():
    table = TABLES["stanet-2"]
    recorded, row = first_cell(table)
    recorded["model"]["levels"] = 2
    recorded["data"]["exclude"] = ["sub01/a"]
    assert sorted(apart(table, recorded, row, readings(table))) == [
        "data.exclude sub01/a, read as none",
        "model.levels 2, read as 3",
    ]


def test_fields_that_a_run_of_before_lacks_are_not_asked_for():
    table = TABLES["stanet-2"]
    recorded, row = first_cell(table)
    before = apart(table, recorded, row, readings(table))
    del recorded["model"]["attended"]
    assert apart(table, recorded, row, readings(table)) == before

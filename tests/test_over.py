"""Curves of a sweep's scores over a number."""

import json

import pytest
from fabricated import make_run

from jmer.files import write_json
from jmer.report.over import axes_of
from jmer.report.sweep import write_sweep
from jmer.runs.run import read_run


def test_three_data_sets_by_numbers_of_frames_are_three_lines():
    """As in AMAN's figure 3; sets differ in other numbers, too, which are no axis."""
    names, fields = [], []
    for name, size in (("CASME II", 1), ("SAMM", 2), ("SMIC-HS", 3)):
        for n in (5, 1, 3):
            names.append(f"{name} model.n={n}")
            fields.append({"model.n": n, "data.name": name, "data.size": size})
    ((axis, lines),) = axes_of(names, fields)
    assert axis == ("model.n",)
    assert lines == {
        "CASME II": [(1, 1), (3, 2), (5, 0)],
        "SAMM": [(1, 4), (3, 5), (5, 3)],
        "SMIC-HS": [(1, 7), (3, 8), (5, 6)],
    }


def test_numbers_that_change_together_are_one_axis():
    """As in HSTA's figure 3."""
    counts = (2, 4, 8)
    fields = [{"model.num_frames": n, "data.frames": n, "epochs": 3} for n in counts]
    ((axis, lines),) = axes_of([f"{n} frames" for n in counts], fields)
    assert axis == ("model.num_frames", "data.frames")
    assert lines == {"frames": [(2, 0), (4, 1), (8, 2)]}


def test_two_numbers_that_are_crossed_are_two_axes():
    fields = [{"a": a, "b": b} for a in (1, 2, 3) for b in (1, 2, 4)]
    names = [f"a={one['a']} b={one['b']}" for one in fields]
    found = dict(axes_of(names, fields))
    assert [*found] == [("a",), ("b",)]
    assert [*found[("a",)]] == ["b=1", "b=2", "b=4"]
    assert found[("b",)]["a=2"] == [(1, 3), (2, 4), (4, 5)]


@pytest.mark.parametrize(
    "values", [(1, 2), ("a", "b", "c"), (True, False, None), (1, 2, "auto")]
)
def test_without_three_numbers_there_is_no_curve(values):
    names = [f"x={value}" for value in values]
    assert not list(axes_of(names, [{"x": value} for value in values]))


@pytest.mark.parametrize("others", [False, True], ids=["same clips", "other clips"])
def test_the_report_of_a_sweep_has_the_curve(tmp_path, others):
    """Where a number of the data set makes other clips, too, as frames do."""
    folder, cells = tmp_path / "sweep", []
    for n, wrong_every in ((1, 2), (2, 3), (4, 5)):
        name = f"model.n={n}"
        run = make_run(folder / name, name=f"toy: {name}", wrong_every=wrong_every)
        about = json.loads((run / "experiment.json").read_text())
        about["experiment"]["model"]["n"] = n
        if others:
            facts = {"model": {"n": n}, "data": {"frames": n}}
            about["identity"] = {**facts, "data_fingerprint": f"clips of {n}"}
        write_json(run / "experiment.json", about)
        cells.append({"name": name, "folder": name})
    write_json(folder / "sweep.json", {"cells": cells})
    text = write_sweep(folder)
    assert "## Scores over values" in text and "figures/over-model.n.png" in text
    assert (folder / "figures/over-model.n.png").read_bytes()[:4] == b"\x89PNG"
    accuracies = [read_run(folder / cell["folder"]).metrics["acc"] for cell in cells]
    assert accuracies == sorted(accuracies)

"""Comparisons say first in what their runs differ, and what makes them unfair."""

import json
from pathlib import Path

import pytest
from fabricated import make_run

import jmer
from jmer.files import write_json
from jmer.report import write_comparison
from jmer.runs.apart import apart


def made(folder: Path, name: str, **changes: object) -> Path:
    """A run with other fields (`experiment.optim.lr`), of `metrics.json` by `m.`."""
    run = make_run(folder / name, name=name, wrong_every=3)
    for file in ("experiment.json", "metrics.json"):
        content = json.loads((run / file).read_text(encoding="utf-8"))
        content.pop("seal", None)
        for where, value in changes.items():
            path = where.split("__")
            if (path[0] == "m") == (file == "metrics.json"):
                inner = content
                path = path[path[0] == "m" :]
                for part in path[:-1]:
                    inner = inner.setdefault(part, {})
                inner[path[-1]] = value
        write_json(run / file, content)
    return run


PLAIN = {"experiment__optim__lr": 0.001, "experiment__epochs": 5}


@pytest.mark.parametrize(
    ("change", "what", "values", "unfair"),
    [
        ({"experiment__optim__lr": 0.01}, "learning rate (optim.lr)",
         ("0.001", "0.01"), False),
        ({"experiment__epochs": 50}, "epochs", ("5", "50"), False),
        ({"experiment__model__filters": [4]}, "model.filters", ("[2]", "[4]"), False),
        ({"versions": {"jax": "0.12"}}, "version of jax", ("0.10", "0.12"), False),
        ({"device": {"kind": "H100", "count": 1, "platform": "gpu"}}, "device",
         ("1 × cpu", "1 × H100"), False),
        ({"data__fingerprint": "ffff"}, "content of the data set",
         ("0123456789abcdef", "ffff"), True),
        ({"m__protocol": "5 folds"}, "protocol",
         ("loso over 6 subjects", "5 folds"), True),
        ({"m__selection": "inner"}, "selection of the epoch", ("last", "inner"), True),
        ({"m__subject_independent": False}, "subjects kept apart", ("yes", "no"), True),
    ],
)  # fmt: skip
def test_what_differs_is_said_first(tmp_path, change, what, values, unfair):
    plain = {**PLAIN, "versions": {"jax": "0.10"}}
    runs = [made(tmp_path, "a", **plain), made(tmp_path, "b", **plain | change)]
    (found,) = apart([jmer.load_run(run) for run in runs])
    assert (found.what, found.values, bool(found.unfair)) == (what, values, unfair)
    text = write_comparison(runs, tmp_path / "out").replace("\\", "")
    said = f"The runs differ in {what} alone"
    assert 0 < text.index(said) < text.index("## Scores")
    assert f"| {what} | {values[0]} | {values[1]} |" in text
    assert ("This comparison is not fair" in text) == unfair
    line = f"they differ in {what}: {' | '.join(values)}\nsecond minus first"
    assert repr(jmer.compare(*runs)).startswith(line)


def test_runs_that_are_the_same(tmp_path):
    runs = [made(tmp_path, name, **PLAIN) for name in "ab"]
    text = write_comparison(runs, tmp_path / "out")
    assert "these runs are the same experiment" in text
    assert repr(jmer.compare(*runs)).startswith("second minus first")


def test_what_one_run_does_not_say_is_no_difference(tmp_path):
    older = made(tmp_path, "a")
    newer = made(tmp_path, "b", **PLAIN, experiment__engine__pack=3)
    assert not apart([jmer.load_run(older), jmer.load_run(newer)])

"""Runs by lists of folds that say something else are other runs, wherever lists lie."""

import pytest
from listed_runs import APART, MIXED, PEOPLE, listed_run, sides, write_lists

from jmer.cli import main
from jmer.report import write_comparison
from jmer.runs.apart import LISTS, apart
from jmer.runs.run import load_run

TRAIN = {"f1": [PEOPLE[3]], "f2": [PEOPLE[0]]}
OTHERS = [
    (APART, MIXED, {}),
    (APART, dict(zip(APART, reversed(APART.values()), strict=True)), {}),
    (
        sides(APART, TRAIN),
        sides(APART, {**TRAIN, "f1": PEOPLE[2:]}),
        {"train": "listed"},
    ),
]


def runs_of(place, first, second, *, same, **options):
    """Runs of two methods by two lists, at the same path or each at its own."""
    file = write_lists(place / "a.json", first)
    one = listed_run(place / "one", file, network="net", **options)
    other = write_lists(file if same else place / "b" / "b.json", second)
    return [one, listed_run(place / "two", other, network="network", **options)]


@pytest.mark.parametrize("same", [True, False], ids=["one path", "two paths"])
@pytest.mark.parametrize(("first", "second", "options"), OTHERS)
def test_other_lists_are_another_protocol(
    tmp_path, capsys, first, second, options, same
):
    runs = runs_of(tmp_path, first, second, same=same, **options)
    (found,) = [one for one in apart([load_run(r) for r in runs]) if one.what == LISTS]
    assert found.unfair and len({*found.values}) == 2
    assert found.values[0].startswith(f"{tmp_path / 'a.json'} (")
    text = write_comparison(runs, tmp_path / "out")
    assert "not fair, for the runs differ in lists of folds" in text
    words = [str(run) for run in runs]
    assert main(["meta", *words]) == 1
    assert "differ in lists of folds: " in capsys.readouterr().err
    page = tmp_path / "board.html"
    assert main(["leaderboard", *words, "--out", str(page)]) == 0
    assert "runs differ in lists of folds: net " in page.read_text(encoding="utf-8")
    assert "do not rank the methods" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("lists", [APART, MIXED], ids=["apart", "mixed"])
def test_the_same_lists_elsewhere_are_the_same(tmp_path, capsys, lists):
    runs = runs_of(tmp_path, lists, lists, same=False)
    told = {one.what for one in apart([load_run(run) for run in runs])}
    assert told == {"network (model.name)"}
    assert main(["meta", *map(str, runs)]) == 0
    capsys.readouterr()


def test_what_an_earlier_jmer_called_mixed_is_the_same_division(tmp_path):
    runs = runs_of(tmp_path, APART, APART, same=True)
    first, second = map(load_run, runs)
    first.metrics["protocol"] += ", NOT subject-independent"
    first.metrics["subject_independent"] = False
    assert {one.what for one in apart([first, second])} == {"network (model.name)"}

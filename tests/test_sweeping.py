"""Sweeps that run: planned, stopped, gone on with, and reported."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest

from jmer.cli import main
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError
from jmer.experiment import EngineConfig, Experiment
from jmer.models.stanet import STANetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig, SgdConfig
from jmer.runner.outcome import AllDiverged
from jmer.runner.training import Training
from jmer.sweep import plan as sweep_plan
from jmer.sweep import run as sweeping
from jmer.sweep.cells import Sweep
from jmer.sweep.plan import Planned, plan_sweep, plan_text, structure
from jmer.sweep.run import run_sweep
from jmer.train.planner import Measurement

BASE = Experiment(
    model=STSTNetConfig(size=7, filters=(2,)),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=3, per_subject=4),
    optim=SgdConfig(lr=0.01),
    epochs=3,
    batch_size=4,
    seeds=(0, 1),
    engine=EngineConfig(plan_seconds=0, devices=1),
)
SWEEP = Sweep(
    BASE,
    rows={"plain": {}, "shared": {"batches": "shared"}},
    values={"optim.lr": (0.01, 0.02)},
)


class Silent:
    """A view that keeps what it is told."""

    def __init__(self, said):
        self.say = said.append

    def begin(self, *args):
        pass

    evaluated = finished = close = begin


def sweep_in(folder, *, sweep=SWEEP, stopping=lambda: False, **options):
    """The report, and all that was said."""
    said: list[str] = []
    about = {"name": "toy", "command": "jmer run toy.py", "run_dir": folder}
    text = run_sweep(
        sweep.cells,
        chosen=sweep.choose(options.pop("cells", ())),
        overwrite=options.pop("overwrite", False),
        make_view=lambda: Silent(said),
        stopping=stopping,
        **about,
    )
    return text, "\n".join(said)


def evaluations(folder: Path) -> int:
    file = folder / "progress.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return sum(json.loads(line)["event"] == "evaluation" for line in lines)


def contents(folder: Path) -> dict:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A sweep that was stopped while its second cell trained, and gone on with."""
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    with pytest.raises(KeyboardInterrupt):
        sweep_in(folder, stopping=lambda: evaluations(folder / "shared") > 0)
    assert not (folder / "shared" / "metrics.json").exists()
    before = contents(folder / "plain")
    text, said = sweep_in(folder)
    return folder, before, text, said


def test_a_stopped_sweep_goes_on_and_runs_no_finished_cell_again(stopped):
    folder, before, _, said = stopped
    assert contents(folder / "plain") == before
    assert "plain: finished" in said
    assert (
        "shared: 12 tasks (3 folds, 2 seeds, 2 variants), time not measured, begun "
        "before"
    ) in said
    assert "to run: 1 program, 12 tasks, time not measured" in said
    assert evaluations(folder / "shared") == 3  # and none of them twice


def test_a_finished_sweep_runs_nothing(stopped, monkeypatch):
    folder, *_ = stopped
    monkeypatch.setattr(sweeping, "run", None)
    monkeypatch.setattr(sweep_plan, "load_everywhere", None)
    before = contents(folder / "plain") | contents(folder / "shared")
    _, said = sweep_in(folder)
    assert "2 cells, 2 finished" in said and "to run" not in said
    assert contents(folder / "plain") | contents(folder / "shared") == before


def test_every_cell_is_a_run_of_its_own(stopped):
    folder, *_ = stopped
    described = json.loads((folder / "shared" / "experiment.json").read_text())
    assert described["name"] == "toy: shared"
    assert described["experiment"]["batches"] == "shared"
    metrics = json.loads((folder / "shared" / "metrics.json").read_text())
    assert [v["values"] for v in metrics["variants"]] == [
        {"optim.lr": 0.01},
        {"optim.lr": 0.02},
    ]
    assert main(["report", str(folder / "shared")]) == 0


def test_the_report_has_a_row_for_each_cell_and_each_variant(stopped, capsys):
    folder, _, text, _ = stopped
    assert text == (folder / "report.md").read_text()
    assert (folder / "report.html").stat().st_size > 1000
    scores = text.split("## Scores")[1].split("##")[0]
    assert re.findall(r"^\| (plain|shared) ", scores, re.M) == ["plain", "shared"]
    variants = text.split("## Cells and variants")[1].split("##")[0]
    found = re.findall(r"^\| (\w+) \| optim.lr=(\S+) \| (\S+)", variants, re.M)
    metrics = json.loads((folder / "plain" / "metrics.json").read_text())
    assert [row[:2] for row in found] == [
        (name, lr) for name in ("plain", "shared") for lr in ("0.01", "0.02")
    ]
    assert [row[2] for row in found[:2]] == [
        f"{variant['acc']:.4f}" for variant in metrics["variants"]
    ]
    assert "is no result" in variants
    (folder / "report.md").unlink()
    assert main(["report", str(folder)]) == 0
    assert "## Cells and variants" in capsys.readouterr().out
    assert (folder / "report.md").read_text() == text


def test_all_variants_are_compared_and_named_by_what_differs(stopped):
    folder, _, text, _ = stopped
    names = [f"{n}, optim.lr={lr}" for n in ("plain", "shared") for lr in (0.01, 0.02)]
    paired = text.split("## Paired differences")[1]
    table = paired.split("All clips")[1].split("Each class")[0]
    assert re.findall(r"^\| ((?:plain|shared)[^|]*) \|", table, re.M) == names[1:]
    assert f"Each run minus {names[0]}, on the same clips" in paired
    assert "3 runs are compared" in paired
    with (folder / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    overall = [r for r in rows if (r["part"], r["score"]) == ("all", "acc")]
    assert [row["run"] for row in overall] == names
    values = [
        variant["acc"]
        for name in ("plain", "shared")
        for variant in json.loads((folder / name / "metrics.json").read_text())[
            "variants"
        ]
    ]
    assert [float(row["value"]) for row in overall] == pytest.approx(values)
    assert all(float(row["low"]) <= float(row["high"]) for row in overall)
    differences = [float(row["difference"]) for row in overall[1:]]
    assert differences == pytest.approx([v - values[0] for v in values[1:]])


def test_a_sweep_grows_but_is_not_mixed_with_another(stopped, tmp_path):
    folder, *_ = stopped
    described = (folder / "sweep.json").read_bytes()
    less = dataclasses.replace(SWEEP, rows={"plain": {}})
    with pytest.raises(JmerError, match="is another sweep, with a cell 'shared'"):
        sweep_in(folder, sweep=less)
    longer = dataclasses.replace(SWEEP, base=dataclasses.replace(BASE, epochs=4))
    with pytest.raises(JmerError, match=r"plain is the run .* epochs is 3 there and 4"):
        sweep_in(folder, sweep=longer)
    with pytest.raises(JmerError, match=r"plain has files but no sweep.json"):
        sweep_in(folder / "plain")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(JmerError, match="is a file"):
        sweep_in(file)
    more = {**SWEEP.rows, "third": {"batch_size": 2}}
    _, said = sweep_in(
        folder, sweep=dataclasses.replace(SWEEP, rows=more), cells=["plain"]
    )
    assert "1 cell, 1 finished" in said
    assert "third" in (folder / "sweep.json").read_text()
    report = (folder / "report.md").read_text()
    assert "Cells without results: third" in report
    with pytest.raises(JmerError, match="is another sweep, with a cell 'third'"):
        sweep_in(folder, cells=["plain"])
    sweeping._require_own(folder, SWEEP.cells, True)
    (folder / "sweep.json").unlink()
    with pytest.raises(JmerError, match="is no sweep"):
        sweep_in(folder)
    (folder / "sweep.json").write_bytes(described)


def test_a_run_is_finished_only_with_all_that_is_asked(stopped, tmp_path):
    state, finished = sweep_plan._stage, stopped[0] / "plain"
    experiment = SWEEP.cells[0].experiment
    folder = tmp_path / "plain"
    assert state(experiment, finished) == "finished"
    assert state(experiment, folder) == "new"
    for seeds in ((0,), (0, 1, 2)):
        more = dataclasses.replace(experiment, seeds=seeds)
        assert state(more, finished) == "begun"
    start = dataclasses.replace(experiment, start_from=tmp_path / "other")
    assert state(start, finished) == "begun"  # the run compares its content
    folder.mkdir()
    (folder / "experiment.json").write_bytes(
        (finished / "experiment.json").read_bytes()
    )
    assert state(experiment, folder) == "begun"
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(JmerError, match=r"metrics.json beside it was edited.*remove"):
        state(experiment, folder)


def test_a_cell_in_which_all_diverge_does_not_stop_the_others(
    stopped, tmp_path, monkeypatch
):
    folder = tmp_path / "sweep"

    def run(experiment, *, run_dir, **options):
        if run_dir.name == "plain":
            raise AllDiverged("every task diverged")
        for name in ("experiment", "metrics"):
            source = stopped[0] / "shared" / f"{name}.json"
            run_dir.mkdir(exist_ok=True)
            (run_dir / source.name).write_bytes(source.read_bytes())
        source = stopped[0] / "shared" / "predictions.csv"
        (run_dir / source.name).write_bytes(source.read_bytes())

    monkeypatch.setattr(sweeping, "run", run)
    text, said = sweep_in(folder)
    assert "cell plain has no result: every task diverged" in said
    assert "Cells without results: plain" in text
    assert "| shared |" in text


def test_the_plan_counts_programs_tasks_and_time():
    plain, shared = SWEEP.cells
    plans = [
        Planned(plain, Path("r/plain"), "finished"),
        Planned(shared, Path("r/shared"), "new", folds=3, seconds=90.0),
    ]
    assert plan_text(plans, Path("r")) == [
        "sweep in r: 2 cells, 1 finished",
        "  plain: finished",
        "  shared: 12 tasks (3 folds, 2 seeds, 2 variants), about 90.0 s",
        "to run: 1 program, 12 tasks, about 90.0 s",
        "times are of whole trainings, from a measured step of each structure; "
        "compiling comes on top",
    ]
    unknown = dataclasses.replace(plans[1], seconds=None)
    text = plan_text([*plans[1:], unknown], Path("r"))
    assert "to run: 2 programs, 24 tasks, time not measured" in text


def test_one_step_of_each_structure_is_measured(tmp_path, monkeypatch):
    engine = dataclasses.replace(BASE.engine, plan_seconds=1)
    sweep = Sweep(
        dataclasses.replace(BASE, engine=engine),
        rows={
            "a": {},
            "b": {"optim.lr": 0.5},
            "c": {"epochs": 30},
            "d": {"seeds": (5,), "batch_size": 2},
        },
    )
    measured = []

    def measure(layout, work, limit, **options):
        measured.append(options)
        return Measurement(layout, len(work.tasks) * 0.25, 0.0, 0)

    monkeypatch.setattr(sweep_plan, "measure", measure)
    plans = plan_sweep(sweep.cells, tmp_path, False, lambda text: None, lambda: False)
    assert measured == [{"steps": 1, "repeats": 1}] * 2
    # A quarter of a second for an epoch of a task; 3 folds.
    assert [one.seconds for one in plans] == [
        3 * 2 * 3 * 0.25,
        3 * 2 * 3 * 0.25,
        3 * 2 * 30 * 0.25,
        3 * 1 * 3 * 0.25,
    ]


def test_a_step_is_measured_in_truth(tmp_path):
    engine = dataclasses.replace(BASE.engine, plan_seconds=1)
    cells = Sweep(dataclasses.replace(BASE, engine=engine)).cells
    (one,) = plan_sweep(cells, tmp_path, False, str, lambda: False)
    assert one.seconds is not None and one.seconds > 0
    assert not list(tmp_path.iterdir())


def test_structures_differ_in_more_than_numbers():
    def changed(**fields):
        return structure(dataclasses.replace(BASE, **fields))

    same = structure(BASE)
    assert changed(optim=SgdConfig(lr=9.0)) == changed(epochs=7) == same
    assert changed(seeds=(9,)) == changed(variants=("optim.lr=1",)) == same
    assert changed(model=STSTNetConfig(size=7, filters=(3,))) != same
    assert changed(batch_size=5) != same
    assert changed(optim=SgdConfig(lr=0.01, momentum=0.5)) != same


@pytest.mark.slow
def test_the_ablation_of_stanet(tmp_path, monkeypatch):
    """Four rows, three learning rates, two seeds: one program a row."""
    from jmer.papers import table

    compiled = []
    real = Training._compiled

    def counted(self, pack, work):
        compiled.append(structure(self.session.experiment))
        return real(self, pack, work)

    monkeypatch.setattr(Training, "_compiled", counted)
    base = Experiment(
        model=STANetConfig(frames=3, size=29, width=4, lstm=6, levels=1),
        data=RandomClips(shapes=(("flow", (3, 29, 29, 2)),), subjects=3, per_subject=4),
        optim=AdamConfig(lr=1e-3),
        epochs=1,
        batch_size=4,
        seeds=(0, 1),
        engine=EngineConfig(plan_seconds=0, devices=1),
    )
    rows = table("stanet-2").sweep_rows()
    sweep = Sweep(base, rows=rows, values={"optim.lr": (1e-4, 1e-3, 1e-2)})

    def half() -> bool:
        return (tmp_path / "s" / "+SAB" / "metrics.json").exists()

    with pytest.raises(KeyboardInterrupt):
        sweep_in(tmp_path / "s", sweep=sweep, stopping=half)
    assert len(compiled) == 2
    before = contents(tmp_path / "s" / "base") | contents(tmp_path / "s" / "+SAB")
    text, said = sweep_in(tmp_path / "s", sweep=sweep)
    assert "to run: 2 programs, 36 tasks" in said
    after = contents(tmp_path / "s" / "base") | contents(tmp_path / "s" / "+SAB")
    assert before == after
    assert len(compiled) == 4 and len(set(compiled)) == 3
    assert max(compiled.count(one) for one in set(compiled)) == 2
    scores = text.split("## Scores")[1].split("##")[0]
    assert [name for name in rows if f"\n| {name} |" in scores] == list(rows)
    variants = text.split("## Cells and variants")[1].split("##")[0]
    assert variants.count("optim.lr=") == 12
    tests = text.split("## Paired differences")[1].split("Each class")[0]
    every = [f"{n}, optim.lr={lr}" for n in rows for lr in (0.0001, 0.001, 0.01)]
    assert [name for name in every if f"\n| {name} |" in tests] == every[1:]
    assert main(["report", str(tmp_path / "s"), "--table", "stanet-2"]) == 0

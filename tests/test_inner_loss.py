"""Losses of held-out training clips: what they are, where they are kept and shown."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from engine import make_program, result, table_of, tasks_of, train
from fabricated import make_run
from matplotlib.figure import Figure
from test_report import png_size
from toy import make_clips

import jmer
from jmer import trees
from jmer.audit.selection import check_selection
from jmer.files import read_json, write_json
from jmer.optim import AdamConfig, SgdConfig
from jmer.report import write_comparison, write_report
from jmer.report.curves import inner_loss
from jmer.report.draw import learning
from jmer.report.draw.lines import lines_png
from jmer.runner.outcome import inner_curve
from jmer.runs.curves import read_curves
from jmer.train.pack import History, result_of
from jmer.train.step import Data

PROGRAM = {"inner": True, "optim": SgdConfig(lr=0.05)}


@pytest.fixture(scope="module")
def clips():
    return make_clips()


def test_it_is_the_mean_cross_entropy_of_the_inner_clips(clips):
    """By NumPy, from the logits that the weights of then give."""
    tasks, program = tasks_of(clips)[:2], make_program(clips, **PROGRAM)
    states, record = train(program, clips, tasks, epochs=2)
    table = table_of(program, clips, tasks)
    for i in range(2):
        index = np.asarray(table.inner[i])[np.asarray(table.inner_weight[i]) > 0]
        state = jax.tree.map(lambda x, i=i: x[i], states)
        logits = np.asarray(
            program.trainer.logits(
                state, Data.of(clips.inputs, clips.label), index, np.ones(len(index))
            ),
            np.float64,
        )
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        expected = -np.log(shares[np.arange(len(index)), clips.label[index]]).mean()
        np.testing.assert_allclose(record.inner_loss[i], expected, rtol=1e-5)


def test_it_is_kept_with_the_other_figures_of_a_pack(clips, tmp_path):
    program = make_program(clips, inner=True, optim=AdamConfig(lr=0.05))
    seen = []
    out = result(
        program,
        clips,
        tasks_of(clips),
        tmp_path / "pack",
        watch=lambda p: seen.append(p.record.inner_loss),
    )
    np.testing.assert_array_equal(out.inner_loss, seen)
    curve = inner_curve([out], {*out.tasks})
    assert curve["epoch"] == [1, 2, 3, 4]
    np.testing.assert_allclose(curve["loss"], np.mean(seen, axis=1), rtol=1e-6)
    best = np.array(seen).argmin(0) + 1  # where losses decide, not UF1
    ties = out.inner_uf1.max(0) == out.inner_uf1[best - 1, np.arange(len(best))]
    np.testing.assert_array_equal(out.selected[ties], best[ties])


def test_without_inner_clips_there_is_none(clips, tmp_path):
    out = result(make_program(clips), clips, tasks_of(clips), tmp_path / "pack")
    assert np.isnan(out.inner_loss).all()
    assert inner_curve([out], {*out.tasks}) == {"epoch": [], "loss": []}


def test_packs_of_older_versions_have_none(clips, tmp_path):
    program = make_program(clips, **PROGRAM)
    out = result(program, clips, tasks_of(clips), tmp_path / "pack", epochs=2)
    flat = {
        f"history.{name}": getattr(out, name)
        for name in ("epoch", "alive", "loss", "test_logits", "inner_uf1")
    }
    history = History.of(flat, 1.0)
    assert np.isnan(trees.stack(history.records).inner_loss).all()
    assert {*flat} < {*history.flat()}
    older = result_of({**flat, "selected": out.selected}, out.tasks, 1.0)
    assert older.inner_loss.shape == (2, len(out.tasks))
    assert inner_curve([older], {*out.tasks})["loss"] == []


def finished(folder, losses=(1.5, 0.75, 1.25), unit="clip", name="one"):
    """A fabricated run that chose its epoch by `losses` of inner clips."""
    make_run(folder, name=name, wrong_every=3)
    about = read_json(folder / "experiment.json")
    about["experiment"] |= {"inner_unit": unit, "inner_criterion": "loss"}
    write_json(folder / "experiment.json", about)
    log = folder / "progress.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line, loss in zip(lines, losses, strict=True):
        line["inner_loss"] = loss
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_curve_of_a_run_and_its_legend(tmp_path, monkeypatch):
    drawn, real = [], learning._draw_curve
    monkeypatch.setattr(
        "jmer.report.draw.learning._draw_curve",
        lambda axes, name, x, y, held: (
            drawn.append((name, y.tolist(), held)) or real(axes, name, x, y, held)
        ),
    )
    for unit, held in (("clip", "clips"), ("subject", "subjects")):
        folder = finished(tmp_path / unit, unit=unit)
        write_report(folder)
        assert ("inner_loss", [1.5, 0.75, 1.25], held) in drawn
    assert read_curves(folder / "progress.jsonl")["inner_loss"][0].tolist() == [1, 2, 3]


def test_the_cells_of_a_comparison_in_one_figure(tmp_path, monkeypatch):
    import jmer.report.curves as curves

    panels = {}
    monkeypatch.setattr(
        curves,
        "lines_png",
        lambda axis, p, **how: panels.update(p) or lines_png(axis, p, **how),
    )
    runs = [finished(tmp_path / n, name=n) for n in ("conv", "mlp", "third")]
    write_json(
        runs[1] / "metrics.json",
        read_json(runs[1] / "metrics.json")
        | {"inner_curve": {"epoch": [1, 2], "loss": [0.5, 0.25]}},
    )
    text = write_comparison(runs, tmp_path / "out")
    assert "Losses of held-out training clips" in text
    lines, training = panels["validation loss"], panels["training loss"]
    # Of a run with variants, its results say which one is meant.
    assert lines == {
        "conv": [(1, 1.5), (2, 0.75), (3, 1.25)],
        "mlp": [(1, 0.5), (2, 0.25)],
        "third": [(1, 1.5), (2, 0.75), (3, 1.25)],
    }
    assert [*training] == ["conv", "mlp", "third"]
    assert (tmp_path / "out/figures/curves.png").read_bytes()[:4] == b"\x89PNG"


def test_runs_without_such_losses_are_compared_as_before(tmp_path):
    runs = [make_run(tmp_path / n, name=n, wrong_every=3) for n in ("a", "b")]
    runs.append(finished(tmp_path / "c", name="c"))  # one alone is no comparison
    assert "held-out training clips" not in write_comparison(runs, tmp_path / "out")


DAMAGED = [None, 7, {"epoch": [1]}, {"epoch": [1], "loss": ["x"]}, {"epoch": [1, 2]}]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_curve_of_the_results_is_left_out(tmp_path, damage):
    folder = finished(tmp_path / "run")
    found = read_json(folder / "metrics.json") | {"inner_curve": damage}
    write_json(folder / "metrics.json", found)
    assert inner_loss(jmer.load_run(folder))[1].tolist() == [1.5, 0.75, 1.25]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_overlays_of_any_number(count):
    curve = [(0, 3.0), (1, 2.0), (2, 2.5)]
    names = ["$x_{", "惊讶", "a name that is longer than there is room for in a legend"]
    named = {f"{names[i % 3]} {i}": curve for i in range(count)}
    width, _ = png_size(lines_png("epoch", {"validation loss": named}, epochs=True))
    assert width == 920


def test_the_legend_names_what_only_a_later_panel_has(monkeypatch):
    legends = []
    real = Figure.legend
    monkeypatch.setattr(
        Figure,
        "legend",
        lambda self, handles, names, **how: (
            legends.append((names, [h.get_color() for h in handles]))
            or real(self, handles, names, **how)
        ),
    )
    line = [(1, 0.5), (2, 0.25)]
    lines_png("frames", {"UF1": {"a": line}, "accuracy": {"b": line, "a": line}})
    ((names, colours),) = legends
    assert names == ["a", "b"] and len(set(colours)) == 2


AUDITED = [  # losses of three epochs, the criterion, what is wrong with the last one
    ([0.9, 0.8, 0.7], "loss", None),
    ([0.9, 0.6, 0.7], "loss", "epoch 2 has 0.6000"),
    ([0.5, 0.5, 0.5], "loss", None),
    ([0.9, 0.6, 0.7], "uf1", "epoch 2 has 0.6000"),  # of equal UF1, the lower loss
    ([np.nan] * 3, "loss", None),
]


@pytest.mark.parametrize(("losses", "criterion", "words"), AUDITED)
def test_the_audit_holds_the_epoch_to_the_losses(tmp_path, losses, criterion, words):
    folder = finished(tmp_path / "run")
    about = read_json(folder / "experiment.json")
    about["experiment"] |= {"inner_criterion": criterion, "epochs": 3}
    write_json(folder / "experiment.json", about)
    write_json(
        folder / "metrics.json",
        read_json(folder / "metrics.json") | {"selection": "inner"},
    )
    run = jmer.load_run(folder)
    shape = run.packs[0].inner_uf1.shape
    run.__dict__["packs"] = [
        replace(
            pack,
            inner_uf1=np.full(shape, 0.5),
            inner_loss=np.broadcast_to(np.array(losses)[:, None], shape),
            test_logits=_logits_of(run, pack),
        )
        for pack in run.packs
    ]
    found = check_selection(run)
    assert found.verdict == ("violation" if words else "ok"), found.text
    assert words is None or words in found.text
    assert ("kept no inner losses" in found.text) == bool(np.isnan(losses).any())


def _logits_of(run, pack):
    """What the predictions of the run came from, at every epoch."""
    p, made = run.predictions, np.zeros(pack.test_logits.shape)
    for i, task in enumerate(pack.tasks):
        own = (p.seed == task.seed) & (p.fold == task.fold)
        order = np.argsort(p.clip[own])
        made[:, i] = np.eye(3)[p.predicted[own][order]]
    return made

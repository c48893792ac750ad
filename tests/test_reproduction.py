"""Figures of runs beside those of the papers, and settings that are not theirs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jmer.cli import main
from jmer.data.splits import ClipHoldOut, Loso
from jmer.files import write_json
from jmer.papers import table
from jmer.report.render.markdown import render
from jmer.report.reproduction import matches, reproduction_page
from jmer.runs.run import read_run
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.sweep.cells import load_sweep
from jmer.sweep.fields import with_fields

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
UNUSED = "no row of this table, by their network, switches, data set or classes"
# Options that make an experiment of ours the paper's.
AS_PRINTED: dict[str, dict[str, Any]] = {
    "stanet": {"data.flow": "flownet2"},
    "aman": {"model.magnifier": "magnet.pth.tar", "model.backbone": "fer.pth"},
    "visual_memory": {
        **{"start_from": Path("spatial"), "pretrained": Path("motion.safetensors")},
        **{"model.steps_count": "alike"},
    },
}


def make_run(
    folder, name, fields=None, *, file="stanet_casme_ablation", ours=False, **changes
):
    """A finished run of a cell, with other fields, that gets 2 clips in 3 right; with
    the paper's settings but for `fields`, or with those that the file has."""
    (cell,) = load_sweep(EXPERIMENTS / f"{file}.py").choose([name])
    printed = {} if ours else AS_PRINTED.get(cell.experiment.model.name, {})
    experiment = with_fields(cell.experiment, {**printed, **(fields or {})})
    label = np.arange(12) % 3
    predicted = np.where(np.arange(12) < 8, label, (label + 1) % 3)
    text = {
        "dataset": np.full(12, "casme"),
        "subject": np.array([f"s{i // 3}" for i in range(12)]),
        "clip": np.array([f"c{i}" for i in range(12)]),
        "fold": np.array([f"s{i // 3}" for i in range(12)]),
    }
    zeros = np.zeros(12, int)
    predictions = Predictions(
        ("a", "b", "c"),
        **text,
        seed=zeros,
        variant=zeros,
        label=label,
        predicted=predicted,
        probabilities=np.eye(3, dtype=np.float32)[predicted],
    )
    folder.mkdir(parents=True)
    predictions.save(folder / "predictions.csv")
    about = {
        "protocol": "leave-one-subject-out, 4 folds",
        "selection": "last",
        "batches": "own",
        "subject_independent": True,
        "oracle": None,
        "diverged": [],
        "wall_seconds": 1.0,
        "throughput": None,
        "variants": [{"values": {}, "acc": 0.5, "uf1": 0.5, "uar": 0.5}],
    }
    write_json(folder / "metrics.json", score(predictions) | about | changes)
    described = {
        "name": name,
        "command": "jmer run x.py",
        "experiment": experiment.resolved(),
        "identity": {"dtype": experiment.dtype.replace("auto", "float32")},
        "versions": {},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": {"name": experiment.data.name, "config": "x", "fingerprint": "f"},
        "created": "",
    }
    write_json(folder / "experiment.json", described)
    return folder


def cells_of_row(text: str, row: str) -> list[str]:
    """The cells of the table's row, as the Markdown has them."""
    line = next(x for x in text.splitlines() if x.startswith(f"| {row} |"))
    return [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")]


@pytest.fixture
def runs(tmp_path):
    return [
        make_run(tmp_path / "sab", "+SAB"),
        make_run(tmp_path / "full", "+SAB+TAB+l1", {"batch_size": 4}),
    ]


def test_our_figure_stands_beside_the_papers(runs):
    text = render(reproduction_page(table("stanet-2"), runs))
    found = read_run(runs[0]).metrics
    low, high = found["ci95"]["acc"]
    ours = f"0.6667 [{low:.3f}, {high:.3f}]"
    assert cells_of_row(text, "+SAB") == ["+SAB", "CASME", "1", "0.731", ours]
    assert cells_of_row(text, "1") == [
        *("1", str(runs[0]), "leave-one-subject-out, 4 folds", "last"),
        *("4", "12", "1"),
    ]
    assert cells_of_row(text, "2")[1] == str(runs[1])
    assert cells_of_row(text, "+SAB+TAB+l1")[2] == "2"
    for row in ("base", "+SAB+l1"):
        assert cells_of_row(text, row)[2] == "not run"
    assert "2 of 4 rows run" in text and "experiments/stanet_casme_ablation.py" in text
    assert "subject-independent" not in text and "other data" not in text


def test_methods_of_others_are_not_ours_to_run(runs):
    text = render(reproduction_page(table("stanet-1"), runs))
    assert cells_of_row(text, "HIGO")[2] == "another method"
    assert cells_of_row(text, "STANet")[1:3] == ["CASME", "1"]
    assert f"{UNUSED}: {runs[0]}." in text


def test_all_runs_of_a_row_are_shown(runs, tmp_path):
    """None is chosen, least of all by its score."""
    again = make_run(tmp_path / "again", "+SAB", {"seeds": (1,)})
    found = matches(table("stanet-2"), [read_run(r) for r in (*runs, again)])
    assert [m.run.folder.name for m in found if m.row.name == "+SAB"] == [
        "sab",
        "again",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"model.sab": False, "model.tab": True},
        {"model.lambda_l1": 1e-7},
        {"data.classes": "meranet"},
        {"protocol": None},
    ],
)
def test_a_run_with_another_switch_or_set_or_classes_is_no_row(tmp_path, fields):
    from data_builders.smic import Smic

    if "protocol" in fields:
        fields = {"data": Smic(modality="flow", frames=20, size=192, flow="flownet2")}
    run = make_run(tmp_path / "run", "+SAB+l1", fields)
    found = matches(table("stanet-2"), [read_run(run)])
    assert [one.run for one in found] == [None] * 4


def test_a_variant_counts_by_its_own_numbers(tmp_path):
    variants = [{"values": {"model.lambda_l1": 1e-8}, "acc": 0, "uf1": 0, "uar": 0}]
    run = make_run(tmp_path / "run", "+SAB", variants=variants * 2)
    page = reproduction_page(table("stanet-2"), [run])
    text = render(page)
    assert cells_of_row(text, "+SAB+l1")[2] == "1"
    assert cells_of_row(text, "+SAB")[2] == "not run"
    assert "the first counts" in text


def test_figures_on_other_data_are_shown_only_if_asked_and_say_so(tmp_path):
    from data_builders.synthetic import Synthetic

    data = Synthetic(modality="flow", frames=20, size=192, resample="linear")
    run = make_run(tmp_path / "run", "+SAB", {"data": data})
    text = render(reproduction_page(table("stanet-2"), [run]))
    assert cells_of_row(text, "+SAB")[2] == "not run"
    assert f"{UNUSED}: {run}." in text
    text = render(reproduction_page(table("stanet-2"), [run], other_data=True))
    assert cells_of_row(text, "+SAB")[1:3] == ["synthetic, not CASME", "1"]
    assert "on other data than the paper's" in text


def test_protocols_that_mix_people_are_named(tmp_path):
    mixed = make_run(
        tmp_path / "mixed",
        "b4",
        file="hsta_table3",
        subject_independent=False,
        protocol="5 folds",
        fold_mean={"acc": 0.6, "f1": 0.5, "recall": 0.4},
    )
    text = render(reproduction_page(table("hsta-3"), [mixed]))
    assert "The paper's figures are not subject-independent" in text
    assert f"Runs that train and test on the same people: {mixed}." in text
    assert cells_of_row(text, "1")[2] == "5 folds (subjects mixed)"
    row = cells_of_row(text, "b4")
    assert row[3::2] == ["0.407", "0.351", "0.320"]
    assert row[4].startswith("0.6000 over folds; pooled 0.6667 [")
    assert row[6].startswith("0.4000 over folds; pooled ")
    assert "its figures are means over folds. So are ours, and beside them" in text
    text = render(reproduction_page(table("stanet-2"), [mixed]))
    assert "Runs that train and test" not in text  # it is none of the rows


WRONG = [
    (
        *("stanet_casme_ablation", "+SAB+TAB+l1", "stanet-2"),
        {"data.flow": "farneback", "optim.lr": 1e-2, "model.width": 4, "epochs": 1},
        [
            *("data.flow farneback, paper flownet2", "model.width 4, paper 64"),
            *("optim.lr 0.01, paper 1e-05", "epochs 1, paper 60"),
        ],
    ),
    (
        *("aman_table1", "k=9", "aman-1"),
        {"model.magnify": "linear", "data.size": 32, "model.size": 32},
        [
            *("data.size 32, paper 224", "model.size 32, paper 224"),
            "model.magnify linear, paper network",
        ],
    ),
    (
        *("aman_table1", "k=9", "aman-1"),
        {"model.magnifier": None, "model.pretrain": "none", "selection": "inner"},
        [
            *("model.magnifier none, paper the published network",),
            *("model.pretrain none, paper all", "selection inner, paper last"),
        ],
    ),
    (
        *("visual_memory_casme2", "base", "visual-memory-2"),
        {"model.phase": "spatial", "start_from": None},
        [
            "model.phase spatial, paper memory",
            "start-from none, paper a run of the spatial phase",
        ],
    ),
    (
        *("hsta_table3", "b4", "hsta-3"),
        {"model.dim_v": 96, "protocol": Loso(), "optim.warmup_epochs": 0},
        [
            *("model.dim-v 96, paper 768", "optim.warmup-epochs 0, paper 5"),
            *(
                "protocol.kind Loso, paper ClipLists or ClipKFold",
                "protocol.k missing, paper 5",
            ),
        ],
    ),
    (
        *("meranet_table1", "MERANet, CAS(ME)²", "meranet-1"),
        {"protocol": ClipHoldOut(fraction=0.25), "seeds": (1,), "dtype": "bfloat16"},
        [
            *("dtype bfloat16, paper float32", "protocol.fraction 0.25, paper 0.2"),
            "protocol.rounding class, paper total",
        ],
    ),
    (
        *("meranet_table1", "MERANet, CASME", "meranet-1"),
        {"data.window": "centred", "data.min_frames": 1, "inner_draw": "seed"},
        [
            *("data.window centred, paper inside", "data.min-frames 1, paper 16"),
            "inner-draw seed, paper split",
        ],
    ),
]


@pytest.mark.parametrize(("file", "cell", "name", "fields", "words"), WRONG)
def test_a_run_with_other_settings_is_apart_and_says_which(
    tmp_path, file, cell, name, fields, words
):
    run = make_run(tmp_path / "run", cell, fields, file=file)
    ours = [one for one in matches(table(name), [read_run(run)]) if one.run]
    assert [sorted(one.differing) for one in ours] == [sorted(words)]
    text = render(reproduction_page(table(name), [run]))
    assert "0 of " in text and "settings than the paper's" in text
    assert "not run" in text and "; ".join(ours[0].differing) in text.replace("\\", "")


@pytest.mark.parametrize(
    ("file", "cell", "name"),
    [
        ("stanet_table1", "CASME II", "stanet-1"),
        ("stanet_table1", "SMIC-HS", "stanet-1"),
        ("meranet_table1", "3DResNet, CASME", "meranet-1"),
        ("aman_table2", "SAMM", "aman-2"),
        ("hsta_table5", "SAMM", "hsta-5"),
        ("hsta_table7", "OF", "hsta-7"),
        ("visual_memory_casme2", "base", "visual-memory-1"),
    ],
)
def test_a_run_with_the_papers_settings_is_its_row(tmp_path, file, cell, name):
    run = make_run(tmp_path / "run", cell, file=file)
    found = [one for one in matches(table(name), [read_run(run)]) if one.run]
    assert [one.differing for one in found] == [()]
    assert "1 of " in render(reproduction_page(table(name), [run]))


def test_spotting_has_a_figure_once_it_was_scored(tmp_path):
    run = make_run(tmp_path / "run", "base", file="visual_memory_casme2")
    text = render(reproduction_page(table("visual-memory-1"), [run]))
    assert cells_of_row(text, "TCF")[3:5] == ["0.9424", "not spotted"]
    intervals = dict.fromkeys(("f1", "precision", "recall"), 0.5)
    found = {"auc": 0.8, "strs": 0.5, "frames": 9, "intervals": intervals, "drawn": {}}
    write_json(run / "spotting" / "spotting.json", found)
    text = render(reproduction_page(table("visual-memory-1"), [run]))
    assert cells_of_row(text, "TCF")[3:5] == ["0.9424", "0.8000"]


def test_the_command_prints_a_table_or_writes_it(runs, tmp_path, capsys):
    sweep = {"cells": [{"name": "+SAB", "folder": "sab"}, {"name": "x", "folder": "x"}]}
    write_json(tmp_path / "sweep.json", sweep)
    assert main(["report", "--table", "stanet-2", str(tmp_path)]) == 0
    assert cells_of_row(capsys.readouterr().out, "1")[1] == str(runs[0])
    out = tmp_path / "out"
    command = ["report", str(runs[0]), "--table", "stanet-2", "--out", str(out)]
    assert main(command) == 0
    assert "+SAB" in (out / "report.html").read_text()
    assert not (runs[0] / "report.md").exists()
    assert main(["report", "--table", "aman-3"]) == 0
    assert "not run" in capsys.readouterr().out
    assert main(["report", "--table", "hsta-9"]) == 2
    assert "table='hsta-9' must be one of stanet-1" in capsys.readouterr().err
    assert main(["report", str(runs[0]), "--other-data"]) == 2
    assert main(["report"]) == 2

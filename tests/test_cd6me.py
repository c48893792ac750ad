"""The composite of six sets that are labelled with action units."""

import collections
import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from numpy.testing import assert_array_equal
from remedies import said

import jmer
from data_builders.casme2 import Casme2
from data_builders.cd6me import SETS, Cd6me
from jmer.cli import main
from jmer.data import load
from jmer.data.action_units import units_of
from jmer.data.by_set import Lodo
from jmer.data.extract import Extract
from jmer.data.maker import builder_of
from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError
from jmer.experiment import load_experiment
from jmer.optim import AdamConfig
from jmer.papers import table
from jmer.papers.cd6me import CD6ME_TABLES
from jmer.report.reproduction import differences, is_row
from jmer.scores.units import UNIT_METRICS, constant_one
from jmer.sweep.cells import load_sweep
from jmer.synthetic.layouts.write import find_layout, synthesize
from jmer.synthetic.spec import SyntheticSpec

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
POSITIVES = (304, 280, 708, 134, 60, 252, 117, 75, 176, 277, 52, 86)
CLIPS = {"casme": 189, "casme2": 256, "samm": 159, "fourdme": 267, "mmew": 300}
CLIPS["casme_cubed"] = 860
HEADERS = {
    "casme": "Subject,Filename,OnsetF,ApexF1,OffsetF,AU,Emotion",
    "casme2": "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,"
    "Estimated Emotion",
    "samm": "Subject,Filename,Onset Frame,Apex Frame,Offset Frame,Action Units,"
    "Estimated Emotion",
    "fourdme": "sub_ID,fold_name,Onset,Apex,Offset,AUs,Emotion",
    "mmew": "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Action Units,"
    "Estimated Emotion",
    "casme_cubed": "Subject,Filename,Onset,Apex,Offset,AU,emotion,Objective class",
}
FILES = {
    "casme": "CASME.csv",
    "casme2": "CASME2-coding.csv",
    "samm": "SAMM_Micro_FACS_Codes.csv",
    "fourdme": "4DME_Label_Micro.csv",
    "mmew": "MMEW_Micro_Exp.csv",
    "casme_cubed": "cas(me)3_part_A_ME_label.csv",
}


def published_rows() -> list[list[str]]:
    """Of CAS(ME)³ as its sheet has them, where the table of labels is here."""
    file = SHARED / "labels" / "casme3_parta.csv"
    if not file.exists():
        return []
    with file.open(newline="") as table:
        names = ("subject", "clip", "onset", "apex", "offset", "au", "label")
        rows = list(csv.DictReader(table))
        return [[r[n] for n in names] + [r["objective_class"]] for r in rows]


def counted(texts) -> np.ndarray:
    """Clips that show each unit."""
    shown = [units_of(text) for text in texts]
    return np.array([sum(unit in own for own in shown) for unit in UNITS])


def write_sheets(root: Path) -> None:
    """Six sheets with the published numbers of clips and of units: of CAS(ME)³ its own
    one, where it is here, and for the rest made up."""
    rows: dict[str, list[list[str]]] = {name: [] for name in CLIPS}
    rows["casme_cubed"] = published_rows()
    left = np.array(POSITIVES) - counted(row[5] for row in rows["casme_cubed"])
    assert (left >= 0).all()
    made = [
        (name, i) for name, size in CLIPS.items() if not rows[name] for i in range(size)
    ]
    every = [set() for _ in made]
    place = 0
    for unit, count in zip(UNITS, left.tolist(), strict=True):
        for _ in range(count):
            every[place % len(made)].add(unit)
            place += 1
    for (name, i), own in zip(made, every, strict=True):
        side = "R" if i % 3 == 0 and name != "fourdme" else ""
        text = "+".join(f"{side}{unit}" for unit in sorted(own))
        clip = f"EP{i:03d}"
        rows[name].append([str(1 + i % 9), clip, "1", "2", "3", text, "disgust", ""])
    for kind, (_, folder) in SETS.items():
        file = root / folder / FILES[kind.name]
        file.parent.mkdir(parents=True)
        header = HEADERS[kind.name].split(",")
        with file.open("w", newline="") as table:
            lines = [row[: len(header)] for row in rows[kind.name]]
            csv.writer(table).writerows([header, *lines])


def test_it_has_the_published_clips_and_units(tmp_path):
    write_sheets(tmp_path)
    # What is corrected by row is so in the owners' sheets alone.
    config = Cd6me(manual_dir=tmp_path, data_dir=tmp_path / "out", errata=False)
    parts = builder_of(config).parts
    assert [part.data.name for part in parts] == [*CLIPS]
    found = {part.data.name: part.annotation for part in parts}
    assert not [p for one in found.values() for p in one.problems]
    assert {name: len(one.chosen) for name, one in found.items()} == CLIPS
    texts = [row.action_units for one in found.values() for row, _ in one.chosen]
    assert len(texts) == 2031 == sum(n for n, _ in SETS.values())
    assert_array_equal(counted(texts), POSITIVES)
    mean = float(UNIT_METRICS["f1"](constant_one(counted(texts), len(texts))))
    assert round(100 * mean, 1) == 17.8


def test_the_units_of_casme_cubed_are_those_of_its_digits():
    rows = published_rows()
    if not rows:
        pytest.skip("the table of labels is not on this machine")
    assert len(rows) == 860
    for row in rows:
        parts = row[5].replace(",", "+").split("+")
        digits = {int("".join(c for c in p if c.isdigit()) or 0) for p in parts}
        assert units_of(row[5]) & {*UNITS} == digits & {*UNITS}


SPEC = SyntheticSpec(subjects=3, clips=6, length=5, size=32, seed=3)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Six small sets below one folder, some called by the names that jmer has."""
    root = tmp_path_factory.mktemp("cd6me")
    for kind, (_, folder) in SETS.items():
        name = kind.name if kind is Casme2 else folder.lower()
        synthesize(find_layout(kind.name), SPEC, root / name)
    return root


def config_of(tree: Path, **fields) -> Cd6me:
    flow = {"modality": "apex-flow", "size": 8, "flow": "dis"}
    return Cd6me(manual_dir=tree, data_dir=tree / "prepared", **flow, **fields)


def test_the_six_layouts_are_read_as_one(tree):
    clips = load(config_of(tree))
    assert collections.Counter(clips.dataset.tolist()) == dict.fromkeys(CLIPS, 6)
    assert {name.split("-")[0] for name in clips.subject} == {*CLIPS}
    place = {(name, clip): i for i, (_, name, clip) in enumerate(clips.names)}
    for part in builder_of(config_of(tree)).parts:
        for item in part.items():
            own = part.example(item)
            i = place[f"{part.data.name}-{own['subject']}", own["clip_id"]]
            assert clips.dataset[i] == part.data.name
            assert clips.action_units[i] == own["action_units"]
            assert clips.label[i] == own["label"]
            assert_array_equal(clips.inputs["apex_flow"][i], own["apex_flow"])
    # Whatever the units of so few clips are.
    units = {unit for text in clips.action_units for unit in units_of(text)}
    made = Extract(action_units=tuple(sorted(units))).of(clips, {})
    assert made.label.any(0).all() and made.label.shape == (36, len(units))
    folds = make_folds(Lodo(), made)
    assert [fold.name for fold in folds] == sorted(CLIPS)
    assert len(make_folds(Loso(), made)) == len(set(clips.subject.tolist()))


@pytest.mark.slow
def test_machines_of_units_are_fitted_on_the_composite(tree, tmp_path):
    clips = load(config_of(tree))
    seen = collections.Counter(u for text in clips.action_units for u in units_of(text))
    units = sorted(seen, key=lambda unit: -seen[unit])[:2]
    run = tmp_path / "run"
    words = ["run", str(EXPERIMENTS / "baselines/svm_flow_cd6me.py")]
    words += ["--data.manual-dir", str(tree), "--data.data-dir", str(tree / "prepared")]
    words += ["--data.size", "8", "--data.flow", "dis", "--model.size", "8"]
    words += ["--data.align", "none", "--run-dir", str(run)]
    words += ["--extract.action-units", *map(str, units)]
    assert main(words) == 0
    made = jmer.load_run(run)
    assert made.predictions.predicted.shape == (36, 2)
    assert set(made.predictions.fold.tolist()) == set(CLIPS)
    one = table("cd6me-1")
    (row,) = (row for row in one.rows if row.name == "SVM on flow")
    # It is the row but for what is smaller here.
    assert not is_row(made, one.wanted(row))
    differing = list(differences(made, one.settings(row)))
    assert differing == ["model.size 8, paper 32"]


def test_frames_are_told_by_the_names_of_the_composite(tree):
    builder = builder_of(config_of(tree))
    names = {span[:3] for span in builder.spans()}
    shown = [builder.example(item) for item in builder.items()]
    assert names == {(x["dataset"], x["subject"], x["clip_id"]) for x in shown}
    assert len(builder.digests()) >= 6
    assert any("6 clips, where CD6ME has 189" in note for note in builder.notes())


def test_clips_are_left_out_of_the_set_that_has_them(tree):
    row = builder_of(config_of(tree)).parts[1].annotation.chosen[0][0]
    builder = builder_of(config_of(tree, exclude=(row.name,)))
    there = [len(part.survey.clips) for part in builder.parts]
    assert not builder.problems() and there[1] == 5
    with pytest.raises(JmerError, match="exclude"):
        load(config_of(tree, exclude=("nobody/nothing",)))


def test_a_set_that_is_not_there_is_named(tree, tmp_path):
    (tmp_path / "SAMM").mkdir()
    options = ["data", "check", "cd6me", "--manual-dir", str(tmp_path)]
    status, text = said(options)
    assert status and "has no folder CASME, CASME2, 4DME, MMEW, CASME3" in text
    assert "--manual-dir" in text
    status, text = said(["data", "check", "cd6me", "--manual-dir", str(tree)])
    assert not status, text


@pytest.mark.parametrize("name", ["cd6me_ststnet", "cd6me_offapexnet"])
def test_the_experiments_are_those_of_the_benchmark(name):
    made = load_experiment(EXPERIMENTS / f"{name}.py")
    assert made.extract.action_units == UNITS and made.protocol == Lodo()
    assert made.seeds == (45, 46, 47, 48, 49) and made.batch_size == 32
    assert made.optim == AdamConfig(lr=1e-4, weight_decay=1e-3) and made.epochs == 200


@pytest.mark.parametrize(
    ("name", "own"), [("STSTNet", (5e-5, 500)), ("Off-ApexNet", (1e-4, 3000))]
)
def test_a_row_of_the_table_has_the_epochs_of_its_network(name, own):
    (found,) = CD6ME_TABLES
    (row,) = [row for row in found.rows if row.name == name]
    stated = found.settings(row)
    assert (stated["optim.lr"], stated["epochs"]) == own
    assert stated["seeds"] == (45, 46, 47, 48, 49) and stated["batch_size"] == 32
    assert found.wanted(row)["data.name"] == "cd6me"
    assert not {"optim.lr", "epochs"} & {*found.wanted(row)}


@pytest.mark.parametrize("name", ["svm_flow_cd6me", "mdmo_cd6me"])
def test_the_baselines_are_those_of_the_benchmark(name):
    made = load_experiment(EXPERIMENTS / "baselines" / f"{name}.py")
    assert made.extract.action_units == UNITS and made.protocol == Lodo()
    assert made.optim.c == 28 and made.optim.gamma == 1 and made.optim.scaling == "all"
    assert made.model.kernel == "rbf" and made.model.takes_units
    # Room for all that a fold may train on.
    assert made.model.vectors >= sum(CLIPS.values()) - min(CLIPS.values())


def test_single_sets_have_the_units_that_they_show():
    cells = load_sweep(EXPERIMENTS / "cd6me_single.py").cells
    found = {
        cell.experiment.data.name: cell.experiment.extract.action_units
        for cell in cells
    }
    assert found == {
        "casme2": (1, 2, 4, 7, 12, 14, 15, 17),
        "samm": (2, 4, 7, 12),
        "casme": (1, 4, 9, 14),
        "mmew": (1, 2, 4, 5, 7, 10, 12, 14),
        "fourdme": (1, 2, 4, 6, 7, 12, 17, 45),
    }
    defaults = {(c.experiment.epochs, c.experiment.optim.lr) for c in cells}
    assert defaults == {(200, 1e-4)}


@pytest.mark.parametrize("classes", ["units", "aus"])
def test_clips_without_units_are_there_if_all_are_asked_for(classes, tmp_path):
    header = HEADERS["casme2"].split(",")
    rows = [["1", "EP01", "1", "2", "3", text, "others"] for text in ("4", "", "1+2")]
    for i, row in enumerate(rows):
        row[1] += str(i)
    with (tmp_path / FILES["casme2"]).open("w", newline="") as table:
        csv.writer(table).writerows([header, *rows])
    config = Casme2(manual_dir=tmp_path, data_dir=tmp_path / "out", classes=classes)
    made = builder_of(dataclasses.replace(config)).annotation
    labels = [label for _, label in made.chosen]
    assert labels == (["III", "none", "II"] if classes == "units" else ["III", "II"])

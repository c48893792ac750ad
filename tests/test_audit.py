"""Each flaw is found by the rule that it breaks, and a clean result breaks none."""

import contextlib
import csv
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from sealing import reseal
from toy import make_clips

import jmer
from jmer.audit.finding import RULES
from jmer.audit.run import audit_against
from jmer.audit.shared_images import check_images
from jmer.cli import main
from jmer.data.span import Span
from jmer.data.splits import ClipKFold, Loso, make_folds
from jmer.errors import JmerError
from jmer.runner.outcome import oracle_predictions
from jmer.runs.explain import set_of
from jmer.runs.folder import NEEDED
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score

EXPERIMENT = """
from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(size=8, filters=(2,)),
    data=Synthetic(subjects=4, clips=13, length=5, size=32, flow_size=8),
    optim=SgdConfig(lr=0.03),
    epochs=5,
    batch_size=4,
)
"""


def make_run(folder: Path, *options: str) -> Path:
    (folder / "tiny.py").write_text(EXPERIMENT)
    words = ["run", str(folder / "tiny.py"), "--run-dir", str(folder / "run")]
    assert main([*words, "--data.data-dir", str(folder / "tfds"), *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("clean"), "--seeds", "0", "1")


@pytest.fixture
def copy(clean, tmp_path) -> Path:
    """A copy to be damaged."""
    return shutil.copytree(clean, tmp_path / "run")


@pytest.fixture(scope="module")
def clips(clean):
    return set_of(jmer.load_run(clean))


def audited(folder: Path, clips, spans=()) -> dict[str, str]:
    """The verdict on each rule, of a run that was made like that."""
    reseal(folder)
    found = audit_against(jmer.load_run(folder), clips, spans)
    return {finding.rule: finding.verdict for finding in found.findings}


def broken(verdicts: dict[str, str]) -> set[str]:
    return {rule for rule, verdict in verdicts.items() if verdict == "violation"}


def rewrite(folder: Path, change) -> None:
    """Lets `change` edit the rows of the predictions, and scores them again."""
    path = folder / "predictions.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    rows = change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    reseal(folder)
    with contextlib.suppress(JmerError):  # of a clip that is tested twice
        state(folder, **score(Predictions.load(path)))


def state(folder: Path, **figures) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | figures))
    reseal(folder)


def metrics_of(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def respell(folder: Path, *names: str, change) -> None:
    """Writes columns of the predictions in another way, as a spreadsheet does."""
    path = folder / "predictions.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {n: change(row[n]) for n in names} for row in rows)
    reseal(folder)


@pytest.mark.parametrize(
    "change", [lambda s: s.replace("syn0", "syn"), str.upper, lambda s: f"{s}\u00a0"]
)
def test_damaged_names_are_taken_for_those_of_the_set(copy, clips, change):
    respell(copy, "subject", "fold", change=change)
    verdicts = audited(copy, clips)
    assert not broken(verdicts) and verdicts["known"] == "warning"
    assert verdicts["subjects"] == verdicts["never"] == verdicts["selection"] == "ok"
    found = audit_against(jmer.load_run(copy), clips)
    text = next(f.text for f in found.findings if f.rule == "known")
    assert "spelt otherwise" in text and change("syn01") in text


def test_a_leak_is_not_cleared_by_names_that_the_set_does_not_have(copy, clips):
    respell(copy, "subject", change=lambda s: s.replace("syn0", "person "))
    verdicts = audited(copy, clips)
    assert verdicts["known"] == "violation"
    assert verdicts["subjects"] == verdicts["clips"] == "unknown"


def test_a_clean_run_passes(clean, capsys):
    before = {path: path.read_bytes() for path in clean.glob("*.*")}
    assert main(["audit", str(clean)]) == 0
    page = capsys.readouterr().out
    assert "no rule is broken" in page and "leave-one-subject-out, 4 folds" in page
    assert max(map(len, page.splitlines()[1:])) <= 100
    record = json.loads((clean / "audit.json").read_text())
    verdicts = {found["rule"]: found["verdict"] for found in record["findings"]}
    assert set(verdicts) == set(RULES) and record["verdict"] == "sound"
    # Faces are drawn one by one, and 13 clips of 4 people are few.
    few = {"frames": "unknown", "size": "warning", "balance": "warning"}
    assert verdicts == dict.fromkeys(RULES, "ok") | few
    assert "No rule is broken" in (clean / "audit.md").read_text()
    assert all(path.read_bytes() == content for path, content in before.items())


def first(rows):
    """The rows of one clip, with every seed."""
    return [row for row in rows if row["clip"] == rows[0]["clip"]]


def move_to_another_fold(rows):
    other = next(row["fold"] for row in rows if row["fold"] != rows[0]["fold"])
    for row in first(rows):
        row["fold"] = other
    return rows


def repeat(rows):
    return [*rows, rows[0]]


def leave_out(rows):
    gone = first(rows)
    return [row for row in rows if row not in gone]


def rename(rows):
    for row in first(rows):
        row["clip"] = "of nobody"
    return rows


def relabel(rows):
    label = next(row["label"] for row in rows if row["label"] != rows[0]["label"])
    for row in first(rows):
        row["label"] = label
    return rows


def improve(rows):
    for row in rows:
        row["predicted"] = row["label"]
    return rows


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        # The clip trains in that fold, and so do others of its subject.
        (move_to_another_fold, {"subjects", "clips"}),
        (repeat, {"twice"}),
        (leave_out, {"never"}),
        (rename, {"known", "never"}),
        (relabel, {"labels"}),
        # By no epoch of any training.
        (improve, {"selection"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_predictions_that_were_edited(copy, clips, change, rules):
    rewrite(copy, change)
    assert broken(audited(copy, clips)) == rules


def test_the_best_epoch_on_the_test_clips(copy, clips):
    run = jmer.load_run(copy)
    folds = make_folds(Loso(), clips)
    wanted = {task for pack in run.packs for task in pack.tasks}
    best = oracle_predictions(run.packs, wanted, folds, clips)
    assert (best.predicted != run.predictions.predicted).any()
    best.save(copy / "predictions.csv")
    state(copy, **score(best))
    assert broken(audited(copy, clips)) == {"selection"}
    found = audit_against(jmer.load_run(copy), clips)
    (flaw,) = found.having("violation")
    assert ", the best on the test clips, not of epoch 5" in flaw.text


def test_the_figure_of_the_best_epoch(copy, clips):
    oracle = metrics_of(copy)["oracle"]
    assert oracle["uf1"] > metrics_of(copy)["uf1"]
    state(copy, uf1=oracle["uf1"])
    assert broken(audited(copy, clips)) == {"selection"}


def test_a_figure_averaged_over_folds(copy, clips):
    state(copy, uf1=metrics_of(copy)["fold_mean"]["f1"])
    assert broken(audited(copy, clips)) == {"pooling"}


@pytest.mark.parametrize(
    "figures",
    [
        {"acc": 0.77},
        {"n_subjects": 5},
        {"oracle": {"acc": 1.0, "uf1": 1.0, "uar": 1.0}},
    ],
    ids=str,
)
def test_a_figure_from_nowhere(copy, clips, figures):
    state(copy, **figures)
    assert broken(audited(copy, clips)) == {"metrics"}


def test_an_epoch_that_is_not_the_last(copy, clips):
    run = jmer.load_run(copy)
    packs = [replace(pack, selected=pack.selected - 1) for pack in run.packs]
    run.__dict__["packs"] = packs
    (flaw,) = audit_against(run, clips).having("violation")
    assert flaw.rule == "selection"
    assert flaw.details[0]["problem"] == "epoch 4 was kept, not the last, 5"


@pytest.mark.parametrize("epochs", [1, 60, 6])
def test_a_training_that_ended_before_the_epoch_that_is_claimed(copy, clips, epochs):
    about = json.loads((copy / "experiment.json").read_text(encoding="utf-8"))
    for part in ("experiment", "identity"):
        about[part]["epochs"] = epochs
    (copy / "experiment.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(copy)
    (flaw,) = audit_against(jmer.load_run(copy), clips).having("violation")
    assert flaw.rule == "selection"
    assert (
        f"ended with epoch 5, and the run says {epochs}" in flaw.details[0]["problem"]
    )


def test_a_seed_that_was_trained_and_left_out(copy, clips):
    run = jmer.load_run(copy)
    more = [
        replace(pack, tasks=tuple(replace(task, seed=7) for task in pack.tasks))
        for pack in run.packs
    ]
    run.__dict__["packs"] = [*run.packs, *more]
    found = {f.rule: f for f in audit_against(run, clips).having("warning")}
    assert "1 seed (7) was trained as well and left out" in found["selection"].text


def test_a_run_that_was_evaluated_once(copy, clips):
    run = jmer.load_run(copy)
    names = ("epoch", "alive", "loss", "test_logits", "inner_uf1", "inner_loss")
    last = [{n: getattr(pack, n)[-1:] for n in names} for pack in run.packs]
    packs = [replace(pack, **one) for pack, one in zip(run.packs, last, strict=True)]
    state(copy, oracle={name: metrics_of(copy)[name] for name in ("acc", "uf1", "uar")})
    run = jmer.load_run(copy)
    run.__dict__["packs"] = packs
    assert audit_against(run, clips).sound


def test_folds_that_cannot_be_derived(copy, clips):
    """One subject has all of a class, so that it cannot be held out."""
    label = np.where(clips.subject == clips.subject[0], 0, np.maximum(clips.label, 1))
    audit = audit_against(jmer.load_run(copy), replace(clips, label=label))
    assert any(
        "its folds cannot be derived: fold syn01" in line for line in audit.about
    )
    verdicts = {finding.rule: finding.verdict for finding in audit.findings}
    assert verdicts["subjects"] == "ok" and verdicts["never"] == "unknown"
    assert broken(verdicts) == {"labels"}


@pytest.mark.parametrize(("at", "rules"), [(4, set()), (2, {"selection"})])
def test_the_epoch_of_inner_clips(copy, clips, at, rules):
    """The last one was kept; it is right if it was the best on inner clips."""
    state(copy, selection="inner")
    run = jmer.load_run(copy)
    inner = np.full((5, 8), 0.25)
    inner[at] = 0.5
    run.__dict__["packs"] = [
        replace(pack, inner_uf1=inner[:, : len(pack.tasks)]) for pack in run.packs
    ]
    found = audit_against(run, clips)
    assert {flaw.rule for flaw in found.having("violation")} == rules
    if rules:
        assert "epoch 3 has 0.5000" in found.having("violation")[0].text


def test_frames_of_one_video(clean, clips):
    one, other = (
        np.flatnonzero(clips.subject == s)[0] for s in np.unique(clips.subject)[:2]
    )
    spans = [
        Span(*clips.names[one], "long", 10, 20),
        Span(*clips.names[other], "long", 20, 31),
    ]
    assert broken(audited(clean, clips, spans)) == {"frames"}
    spans[1] = spans[1]._replace(first=21)
    assert audited(clean, clips, spans)["frames"] == "ok"


def test_an_image_of_two_subjects(clean, clips):
    flow = clips.inputs["apex_flow"].copy()
    one, other = (
        np.flatnonzero(clips.subject == s)[0] for s in np.unique(clips.subject)[:2]
    )
    flow[other] = flow[one]
    found = check_images(replace(clips, inputs={"apex_flow": flow}))
    assert found.verdict == "violation" and len(found.details) == 1
    assert {found.details[0]["clip"], found.details[0]["the same in"]} == {
        "/".join(clips.names[one]),
        "/".join(clips.names[other]),
    }
    # One value everywhere is what stillness looks like; the same person may repeat.
    flow[other], flow[one] = 0, 0
    same = np.flatnonzero(clips.subject == clips.subject[one])
    flow[same[1]] = flow[same[2]]
    assert check_images(replace(clips, inputs={"apex_flow": flow})).verdict == "ok"


def test_a_frame_of_two_subjects():
    rng = np.random.default_rng(3)
    clip = rng.integers(0, 255, (12, 4, 5, 6, 3)).astype(np.uint8)
    intensity = np.zeros((12, 4), np.float32)  # alike in all clips, but no image
    clips = replace(make_clips(), inputs={"clip": clip, "intensity": intensity})
    assert check_images(clips).verdict == "ok"
    clip[7, 1] = clip[2, 3]
    found = check_images(clips)
    assert found.verdict == "violation"
    assert found.details == (
        {"clip": "toy/s0/clip2", "the same in": "toy/s2/clip7", "images": 1,
         "such as": "clip 3"},
    )  # fmt: skip


def test_without_the_data_set(copy, capsys):
    (copy / "audit.json").unlink(missing_ok=True)  # the clean run's own
    about = json.loads((copy / "experiment.json").read_text())
    about["data"]["fingerprint"] = "another"
    (copy / "experiment.json").write_text(json.dumps(about))
    reseal(copy)
    assert main(["audit", str(copy), "--out", str(copy / "elsewhere")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "fingerprint another, but that of synthetic" in said
    verdicts = audited(copy, None)
    unknown = {rule for rule, verdict in verdicts.items() if verdict == "unknown"}
    assert unknown == {"known", "labels", "images", "alike", "frames", "never"}
    assert verdicts["selection"] == verdicts["metrics"] == verdicts["subjects"] == "ok"
    rewrite(copy, repeat)
    assert main(["audit", str(copy), "--out", str(copy / "elsewhere")]) == 1
    written = json.loads((copy / "elsewhere/audit.json").read_text())
    assert written["verdict"] == "violation"
    assert not (copy / "audit.json").exists()
    assert broken(audited(copy, None)) == {"twice"}


def test_without_checkpoints(copy, clips):
    shutil.rmtree(copy / "checkpoints")
    verdicts = audited(copy, clips)
    assert verdicts["selection"] == "unknown" and not broken(verdicts)


def test_a_protocol_that_says_that_it_mixes_subjects(copy, clips):
    shutil.rmtree(copy / "checkpoints")
    protocol = ClipKFold(k=4, split_seed=1)
    about = json.loads((copy / "experiment.json").read_text())
    about["experiment"]["protocol"] = {"kind": "ClipKFold"} | asdict(protocol)
    about["identity"]["protocol"] = about["experiment"]["protocol"]
    (copy / "experiment.json").write_text(json.dumps(about))
    reseal(copy)
    fold_of = {
        clips.names[i][2]: fold.name
        for fold in make_folds(protocol, clips)
        for i in fold.test
    }
    rewrite(copy, lambda rows: [row | {"fold": fold_of[row["clip"]]} for row in rows])
    verdicts = audited(copy, clips)
    assert verdicts["subjects"] == "warning" and not broken(verdicts)


def test_a_training_that_diverged(copy, clips):
    fold = str(clips.subject[0])
    rewrite(copy, lambda rows: [row for row in rows if row["fold"] != fold])
    assert broken(audited(copy, clips)) == {"never"}
    lost = [{"seed": s, "fold": fold, "variant": 0, "epoch": 2} for s in (0, 1)]
    state(copy, diverged=lost)
    verdicts = audited(copy, clips)
    assert verdicts["never"] == "warning" and not broken(verdicts)


def test_a_score_that_is_no_number(copy, clips):
    state(copy, uf1="0.9")
    assert broken(audited(copy, clips)) == {"metrics"}


@pytest.mark.parametrize("name", ["metrics.json", "experiment.json", "predictions.csv"])
def test_a_damaged_run_is_one_error(copy, capsys, name):
    path = copy / name
    path.write_text(path.read_text()[:-40])
    assert main(["audit", str(copy)]) == 1
    error = capsys.readouterr().err
    assert str(path) in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "protocol", [{}, {"kind": "Dice"}, {"kind": "Loso", "k": 3}], ids=str
)
def test_a_protocol_of_another_version(copy, capsys, protocol):
    about = json.loads((copy / "experiment.json").read_text())
    about["experiment"]["protocol"] = protocol
    (copy / "experiment.json").write_text(json.dumps(about))
    reseal(copy)
    assert main(["audit", str(copy)]) == 1
    assert "is unknown to this jmer" in capsys.readouterr().err


def of_variants(folder: Path, p: Predictions) -> Path:
    """A run of nothing but results, without its set and its checkpoints."""
    p.save(folder / "predictions.csv")
    scores = [score(p.select(variant=v)) for v in (0, 1)]
    figures = dict.fromkeys(NEEDED["metrics.json"], 0) | scores[1]
    figures |= {"variant": 1, "diverged": [], "selection": "last", "protocol": "loso"}
    figures |= {"variants": [s | {"values": {}} for s in scores], "batches": "own"}
    figures |= {"subject_independent": True, "oracle": None, "throughput": None}
    (folder / "metrics.json").write_text(json.dumps(figures))
    about = {name: {} for name in NEEDED["experiment.json"]}
    about |= dict.fromkeys(("name", "command", "revision", "created"), "r")
    about["device"] = {"kind": "cpu", "count": 1, "platform": "cpu"}
    about["experiment"] = {"protocol": {"kind": "Loso"}, "data": {"name": "gone"}}
    about["data"] = {"name": "gone", "config": "none", "fingerprint": "0"}
    (folder / "experiment.json").write_text(json.dumps(about))
    return folder


def test_every_variant_is_checked(tmp_path, capsys):
    rng = np.random.default_rng(2)
    label = np.tile(np.arange(15) % 3, 2)
    answers = (label + rng.integers(0, 2, 30)) % 3
    subject = np.tile([f"s{i // 5}" for i in range(15)], 2)
    p = Predictions(
        classes=("a", "b", "c"),
        dataset=np.full(30, "set"),
        subject=subject,
        clip=np.tile([f"c{i}" for i in range(15)], 2),
        fold=subject,
        seed=np.zeros(30, int),
        variant=np.repeat([0, 1], 15),
        label=label,
        predicted=answers,
        probabilities=np.eye(3, dtype=np.float32)[answers],
    )
    folder = of_variants(tmp_path, p)
    assert not broken(audited(folder, None))
    variants = metrics_of(folder)["variants"]
    variants[0]["uar"] += 0.01
    state(folder, variants=variants)
    assert broken(audited(folder, None)) == {"metrics"}
    of_variants(tmp_path, p)
    rewrite(folder, lambda rows: [*rows, rows[-1]])
    assert main(["audit", str(folder)]) == 1
    assert "of seed 0, variant 1, clip set/s2/c14, times 2" in capsys.readouterr().out


def test_what_is_no_run(tmp_path, capsys):
    assert main(["audit", str(tmp_path)]) == 1
    assert "is no finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "--folds", "b"],
        ["a", "--stated", "uf1=1"],
        ["a", "--columns", "clip=x"],
    ],
    ids=str,
)
def test_wrong_usage(words, capsys):
    assert main(["audit", *words]) == 2
    assert "goes with" in (error := capsys.readouterr().err) or "needs one" in error

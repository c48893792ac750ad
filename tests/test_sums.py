"""What is read is what was written: a checksum in all that jmer reads again."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from fabricated import make_predictions
from sealing import reseal
from test_features import CLIPS, CONFIG, Frozen, seen

import jmer
from jmer.audit.unchanged import check_unchanged
from jmer.data.sums import needs_sums, require_unchanged, write_sums
from jmer.errors import JmerError
from jmer.files import Changed, read_json, write_json
from jmer.files.digest import digest_of_arrays
from jmer.files.seal import sealed, state, unsealed
from jmer.report.sweep import finished_cells
from jmer.runner.features import _about, _file, _write
from jmer.runner.outcome import write_scored
from jmer.runner.plan import Plan, _read, remembered
from jmer.runs.folder import marks, note
from jmer.runs.lines import line_of, read_lines
from jmer.runs.opening import open_run
from jmer.runs.packs import read_packs
from jmer.runs.run import Run, load_run, read_run
from jmer.scores.recognition import score
from jmer.train.checkpoint import Checkpoints
from jmer.train.probe import Layout
from jmer.weights.archive import read_weights, write_weights

# --- JSON


def test_no_bit_of_a_file_changes_what_is_read(tmp_path):
    file = tmp_path / "a.json"
    content = {"name": "é1", "numbers": [1, 2.5, None], "inner": {"sealed": True}}
    write_json(file, content)
    whole = file.read_bytes()
    assert read_json(file, required=True) == content
    refused = 0
    for place in range(0, 8 * len(whole), 5):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        try:
            assert read_json(file) == content
        except Changed as error:
            assert str(file) in str(error)
            refused += 1
    assert refused > len(whole)  # the others are blanks


@pytest.mark.parametrize("lost", [("seal",), ("sealed",)])
def test_half_a_seal_is_a_broken_one(lost):
    content = sealed({"a": 1, "b": [2]})
    assert state(content) == "kept" and unsealed(content) == {"a": 1, "b": [2]}
    assert state({n: x for n, x in content.items() if n not in lost}) == "broken"
    assert state({**content, "b": [3]}) == "broken"
    assert state(dict(reversed(content.items()))) == "broken"
    assert state(unsealed(content)) == state([content]) == "none"


def test_a_file_laid_out_anew_is_the_same(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"a": 1, "b": {"c": "x"}})
    file.write_text(
        json.dumps(json.loads(file.read_text("utf-8"))).replace(" ", "\r\n"), "utf-8"
    )
    assert read_json(file, required=True) == {"a": 1, "b": {"c": "x"}}


def test_arrays_are_told_apart_by_all_there_is_to_them():
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    different = [
        {"a": a},
        {"b": a},
        {"a": a.reshape(3, 2)},
        {"a": a.astype(np.float64)},
        {"a": a.view(np.int32)},
        {"a": -a},
        {"a": a, "b": a[:0]},
        {"a": a, "b": a[:, :0]},
    ]
    assert len({digest_of_arrays(one) for one in different}) == len(different)
    same = {"a": np.asfortranarray(a)}
    assert digest_of_arrays(same) == digest_of_arrays({"a": a})
    half = np.asarray(jnp.ones(3, jnp.bfloat16))
    assert digest_of_arrays({"a": half}) == digest_of_arrays({"a": half.view("V2")})


# --- checkpoints


def saved(folder: Path, *, tasks=(0, 1), epoch=2, run="mine", value=1.0) -> Path:
    arrays = {
        "params.a": np.full((len(tasks), 3, 2), value, np.float32),
        "history.epoch": np.array([1, 2], np.int32),
        "history.loss": np.ones((2, len(tasks)), np.float32),
    }
    told = [{"seed": seed, "fold": "s1", "variant": 0} for seed in tasks]
    notes = {"tasks": told, "finished": False, "seconds": 1.0, "run": run}
    notes["pack"] = folder.name
    checkpoints = Checkpoints(folder)
    checkpoints.save(epoch, arrays, notes)
    checkpoints.finish()
    checkpoints.close()
    return folder


def renamed(pack: Path, other: Path) -> None:
    (pack / "2").rename(pack / "1")


def notes_of_another(pack: Path, other: Path) -> None:
    shutil.copy(other / "2/meta/metadata", pack / "2/meta/metadata")


def arrays_of_another(pack: Path, other: Path) -> None:
    shutil.copy(other / "2/arrays/arrays.npz", pack / "2/arrays/arrays.npz")


def sums_of_another(pack: Path, other: Path) -> None:
    shutil.copy(other / "2/arrays/sums.json", pack / "2/arrays/sums.json")


def without_sums(pack: Path, other: Path) -> None:
    (pack / "2/arrays/sums.json").unlink()


def a_bit_of_a_name(pack: Path, other: Path) -> None:
    file = pack / "2/meta/metadata"
    file.write_bytes(file.read_bytes().replace(b'"s1"', b'"s3"', 1))


def a_seed(pack: Path, other: Path) -> None:
    file = pack / "2/meta/metadata"
    file.write_bytes(file.read_bytes().replace(b'"seed": 1', b'"seed": 3'))


def another_shape(pack: Path, other: Path) -> None:
    file = pack / "2/arrays/arrays.npz"
    file.write_bytes(file.read_bytes().replace(b"(2, 3, 2)", b"(2, 2, 3)"))


def fewer_tasks(pack: Path, other: Path) -> None:
    file = pack / "2/arrays/arrays.npz"
    file.write_bytes(file.read_bytes().replace(b"(2, 3, 2)", b"(1, 3, 2)"))


DAMAGES = [renamed, notes_of_another, arrays_of_another, sums_of_another, without_sums]
DAMAGES += [a_bit_of_a_name, a_seed, another_shape, fewer_tasks]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_checkpoint_that_is_not_what_was_saved(tmp_path, damage):
    pack = saved(tmp_path / "checkpoints/pack-0000")
    assert [p.tasks[1].seed for p in read_packs(tmp_path / "checkpoints")] == [1]
    damage(pack, saved(tmp_path / "other", value=2.0, run="other"))
    with pytest.raises(JmerError, match=r"pack-0000/[12] cannot be read .*Delete"):
        read_packs(tmp_path / "checkpoints")


def test_an_older_checkpoint_is_known_by_its_last_evaluation(tmp_path):
    pack = saved(tmp_path / "checkpoints/pack-0000")
    (pack / "2/arrays/sums.json").unlink()
    notes = pack / "2/meta/metadata"
    notes.write_text(json.dumps(unsealed(json.loads(notes.read_text("utf-8")))))
    (found,) = read_packs(tmp_path / "checkpoints")
    assert found.notes["seconds"] == 1.0
    (pack / "2").rename(pack / "3")
    with pytest.raises(JmerError, match="saved after epoch 2, and was renamed"):
        read_packs(tmp_path / "checkpoints")


def test_the_checkpoint_before_a_damaged_one_is_named(tmp_path):
    pack = saved(tmp_path / "checkpoints/pack-0000")
    shutil.copytree(pack / "2", tmp_path / "kept")
    saved(pack, epoch=4)
    shutil.copytree(tmp_path / "kept", pack / "2")
    without_sums(pack, pack)
    (pack / "4/arrays/arrays.npz").write_bytes(b"")
    with pytest.raises(JmerError, match=r"Delete .*pack-0000 to train"):
        read_packs(tmp_path / "checkpoints")  # the one before is damaged, too
    shutil.rmtree(pack / "2")
    shutil.copytree(tmp_path / "kept", pack / "2")
    with pytest.raises(JmerError, match=r"epoch 2 is whole: delete .*pack-0000/4 to"):
        read_packs(tmp_path / "checkpoints")
    shutil.rmtree(pack / "4")  # as it says
    assert len(read_packs(tmp_path / "checkpoints")) == 1


def test_checkpoints_of_another_run_or_pack(tmp_path):
    identity = {"epochs": 2}
    open_run(tmp_path, {"identity": identity, **marks(identity)}, overwrite=False)
    own = marks(identity)["run"]
    place = tmp_path / "checkpoints"
    saved(place / "pack-0000", run=own)
    saved(place / "pack-0001", run=own, tasks=(2, 3))
    assert len(read_packs(place)) == 2
    (place / "pack-0000").rename(place / "pack-0002")
    with pytest.raises(JmerError, match=r"was saved as .*/pack-0000, and renamed"):
        read_packs(place)
    (place / "pack-0002").rename(place / "pack-0000")
    saved(place / "pack-0002", run=own)
    with pytest.raises(JmerError, match="both hold fold s1, seed 0"):
        read_packs(place)
    shutil.rmtree(place / "pack-0002")
    saved(place / "pack-0003", run="other", tasks=(4,))
    with pytest.raises(JmerError, match="pack-0003 is a checkpoint of another run"):
        read_packs(place)


# --- results


def described(lr: float = 0.1) -> dict:
    experiment = {
        "optim": {"kind": "SgdConfig", "lr": lr},
        "model": {"name": "ststnet"},
        "data": {"name": "toy"},
        "protocol": {"kind": "Loso"},
        "dtype": "auto",
    }
    identity = {**experiment, "dtype": "float32", "data_fingerprint": "0"}
    about = {"name": "toy", "config": "toy", "fingerprint": "0"}
    about["classes"] = ["negative", "positive", "surprise"]
    return {
        "name": "sweep: cell",
        "command": "jmer run toy.py",
        "experiment": experiment,
        "identity": identity,
        "versions": {},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": about,
        "created": "today",
        **marks(identity),
    }


def finished(folder: Path, *, wrong_every: int = 3, lr: float = 0.1) -> Path:
    open_run(folder, described(lr), overwrite=False)
    (folder / "progress.jsonl").write_bytes(
        b"".join(line_of({"event": "note", "epoch": i}) for i in range(3))
    )
    again(folder, wrong_every=wrong_every)
    return folder


def again(folder: Path, *, wrong_every: int = 3) -> None:
    """As the run's command does, which trains nothing any more."""
    predictions = make_predictions(wrong_every)
    about = {
        "protocol": "loso",
        "selection": "last",
        "batches": "own",
        "subject_independent": True,
        "oracle": None,
        "diverged": [],
        "wall_seconds": 1.0,
        "throughput": None,
    }
    write_scored(folder, predictions, {**about, **score(predictions)})


@pytest.fixture
def run(tmp_path) -> Path:
    return finished(tmp_path / "run")


def edit(folder: Path, name: str, change) -> None:
    file = folder / name
    content = json.loads(file.read_text("utf-8"))
    change(content)
    file.write_text(json.dumps(content, indent=2), "utf-8")


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    content = file.read_text("utf-8")
    assert old in content
    file.write_text(content.replace(old, new, 1), "utf-8")


CHANGES = {
    "score": lambda f: edit(f, "metrics.json", lambda m: m.update(uf1=0.9)),
    "seal": lambda f: write_plain(f / "metrics.json"),
    "nothing": lambda f: (f / "metrics.json").write_bytes(b""),
    "half": lambda f: cut(f / "metrics.json", 90),
    "zeros": lambda f: (f / "metrics.json").write_bytes(bytes(300)),
    "subject": lambda f: replaced(f, "predictions.csv", "sub01", "sub02"),
    "row": lambda f: cut(f / "predictions.csv", 60),
    "blank": lambda f: replaced(f, "predictions.csv", "\n", "\n\n"),
    "log": lambda f: cut(f / "progress.jsonl", 20),
    "lines": lambda f: (f / "progress.jsonl").write_bytes(b""),
    "identity": lambda f: replaced(f, "experiment.json", '"lr": 0.1', '"lr": 0.2'),
    "plain": lambda f: write_plain(f / "experiment.json"),
    "command": lambda f: replaced(f, "experiment.json", "toy.py", "foe.py"),
}


def write_plain(file: Path) -> None:
    file.write_text(json.dumps(read_json(file)), "utf-8")


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_that_was_changed_is_refused_and_audited(run, change):
    assert check_unchanged(load_run(run)).verdict == "ok"
    before = {path.name for path in run.iterdir()}
    CHANGES[change](run)
    with pytest.raises(Changed, match=str(run)) as caught:
        load_run(run)
    assert "\n" not in str(caught.value)
    with pytest.raises(Changed, match=str(run)):
        read_run(run)
    found = check_unchanged(load_run(run, changed=True))
    assert found.verdict == "violation"
    named = {row["file"] for row in found.details}
    assert len(named) == 1 and named <= before


def test_the_remedies_work(run):
    """The command of the run writes anew what it says."""
    for name in ("metrics.json", "predictions.csv"):
        (run / name).write_text("{}", "utf-8")
        with pytest.raises(JmerError):
            load_run(run)
        again(run)
        load_run(run)
    CHANGES["command"](run)
    told = []
    open_run(run, described(), overwrite=False, say=told.append)
    assert "experiment.json was edited or damaged: it is written anew" in told[0]
    load_run(run)
    CHANGES["identity"](run)
    edit(run, "experiment.json", lambda a: a["identity"]["optim"].update(lr=0.3))
    with pytest.raises(Changed, match=r"lr is 0.3 there and 0.1 here.*--overwrite"):
        open_run(run, described(), overwrite=False)
    open_run(run, described(), overwrite=True)
    assert [path.name for path in run.iterdir()] == ["experiment.json"]


def test_what_is_noted_and_appended_later_is_no_change(run):
    note(run, "plan", {"tasks": 3})
    with (run / "progress.jsonl").open("ab") as file:
        file.write(line_of({"event": "note", "epoch": 3}))
    load_run(run)


def test_a_log_that_is_gone_is_said(run, capsys):
    (run / "progress.jsonl").unlink()
    assert load_run(run).curves == {}
    assert f"{run}/progress.jsonl is gone" in capsys.readouterr().err
    assert check_unchanged(Run(run)).verdict == "warning"


def test_an_experiment_that_is_not_that_of_its_identity(run):
    edit(run, "experiment.json", lambda a: a["experiment"]["optim"].update(lr=0.3))
    reseal(run)
    wanted = r"contradicts itself \(optim.lr is 0.1 in its identity and 0.3 in its exp"
    with pytest.raises(Changed, match=wanted):
        load_run(run)


def test_results_of_another_run(run, tmp_path):
    other = finished(tmp_path / "other", wrong_every=4, lr=0.2)
    for name in ("metrics.json", "predictions.csv", "progress.jsonl"):
        shutil.copy(other / name, run / name)
    with pytest.raises(Changed, match=r"is of another run than experiment\.json"):
        load_run(run)
    rows = check_unchanged(Run(run, changed=True)).details
    assert [row["file"] for row in rows] == ["metrics.json"]


def test_scores_that_are_not_those_of_the_predictions(run):
    for name in ("metrics.json", "experiment.json"):
        write_json(run / name, {**read_json(run / name), "checksums": None})
        write_plain(run / name)
    edit(run, "metrics.json", lambda m: m.pop("sums"))
    assert check_unchanged(Run(run)).verdict == "unknown"
    assert read_run(run).metrics["n_samples"] == 30
    edit(run, "metrics.json", lambda m: m.update(uar=0.9))
    with pytest.raises(Changed, match=r"says uar 0.9, but the predictions .* have 0"):
        read_run(run)


@pytest.mark.parametrize(
    "sums", [3, {"predictions.csv": None}, {"predictions.csv": {}}]
)
def test_checksums_that_are_none_are_no_traceback(run, sums):
    edit(run, "metrics.json", lambda m: m.update(sums=sums))
    reseal_metrics = unsealed(json.loads((run / "metrics.json").read_text("utf-8")))
    write_json(run / "metrics.json", reseal_metrics)
    if isinstance(sums, dict):
        with pytest.raises(Changed, match="has a checksum that is none"):
            load_run(run)
    assert check_unchanged(Run(run, changed=True)).rule == "unchanged"


def test_a_cell_in_the_folder_of_another(run, tmp_path):
    cells = [{"name": "cell", "folder": "run"}, {"name": "more", "folder": "more"}]
    write_json(tmp_path / "sweep.json", {"cells": cells})
    assert [*finished_cells(tmp_path)] == ["cell"]
    shutil.copytree(run, tmp_path / "more")
    with pytest.raises(Changed, match="more is the run 'sweep: cell', not cell 'more'"):
        finished_cells(tmp_path)


# --- logs


def test_a_damaged_line_is_named(tmp_path):
    file = tmp_path / "progress.jsonl"
    events = [{"event": "note", "epoch": i, "text": "é}"} for i in range(4)]
    lines = [line_of(event) for event in events]
    for damaged in (
        lines[1].replace(b'"epoch": 1', b'"epoch": 7'),
        lines[1][:-1] + b" ",
        b"{}\n",
        lines[1].replace(b'"crc"', b'"crd"'),
        bytes(40) + b"\n",
    ):
        file.write_bytes(b"".join([lines[0], damaged, *lines[2:]]))
        with pytest.raises(Changed, match=f"{file}: line 2 is not what jmer wrote"):
            [*read_lines(file)]
    file.write_bytes(b"".join(lines)[:-9])  # as a kill leaves it
    assert [*read_lines(file)] == events[:3]
    older = b'{"event": "note"}\n{"event": "no\n[1]\n'
    file.write_bytes(older + lines[0])
    assert [*read_lines(file)] == [{"event": "note"}, events[0]]


# --- features, plans, weights, sets


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    Frozen.computed.clear()
    seen()
    return _file(CONFIG, CLIPS, "backend")


@pytest.mark.parametrize("kind", ["fewer", "order", "poisoned", "bare", "of others"])
def test_features_of_others_are_refused(kept, kind):
    features = {"apex_flow": seen()[0]}
    bad = np.array(features["apex_flow"])
    about = _about(CONFIG, CLIPS)
    if kind == "fewer":
        _write(kept, {"apex_flow": bad[:5]}, about)
    elif kind == "of others":
        _write(kept, features, {**about, "names": "0"})
    else:
        with np.load(kept) as archive:
            arrays = dict(archive)
        if kind == "poisoned":
            bad[:, 0, 0, 0] = CLIPS.label
        arrays["apex_flow.bfloat16"] = bad[::-1].view("u2")
        if kind == "bare":
            del arrays["about"]
        np.savez(kept, **arrays)
    with pytest.raises(JmerError, match=f"{kept} is damaged .*: remove it"):
        seen()
    kept.unlink()
    assert "computed once" in seen()[1][0]


def test_a_plan_that_was_edited_is_not_remembered(tmp_path):
    file = tmp_path / "plan.json"
    plan = Plan(Layout(1, 4, "backend"), 1, "measured")
    write_json(file, remembered(plan, file))
    assert _read(file).layout.chunk == 4
    whole = file.read_text("utf-8")
    for old, new in (('"chunk": 4', '"chunk": 2'), ("backend", "patches"), ("1", "3")):
        file.write_text(whole.replace(old, new, 1), "utf-8")
        assert _read(file) is None
    file.write_text(json.dumps(unsealed(json.loads(whole))), "utf-8")
    assert _read(file) is None
    for key in ("other", None, 3):  # of another network, or of nobody knows which
        write_json(file, {**plan.record(), "key": key})
        assert _read(file) is None


def test_pretrained_weights_that_were_changed(tmp_path):
    file, arrays = tmp_path / "a.npz", {"params.a": np.arange(4.0)}
    write_weights(file, arrays, {"step": 3})
    found, about = read_weights(file)
    assert about == {"step": 3} and found["params.a"].tolist() == [0, 1, 2, 3]
    with np.load(file) as archive:
        whole = dict(archive)
    for change in (
        {"params.a": np.arange(4.0) + 1},
        {"params.a": np.arange(4.0).reshape(2, 2)},
        {"params.b": np.zeros(2)},
        {"about": np.array(str(whole["about"]).replace('"step": 3', '"step": 4'))},
        {"about": np.array("[1]")},
    ):
        np.savez(file, **{**whole, **change})
        with pytest.raises(JmerError, match=r"a.npz holds no weights .* or is damaged"):
            read_weights(file)
    np.savez(file, **arrays, about=np.array('{"step": 3}'))  # of an older version
    assert read_weights(file)[1] == {"step": 3}


@pytest.mark.parametrize("damage", ["shard", "labels", "gone", "copied", "sums"])
def test_a_prepared_set_that_was_changed(tmp_path, damage):
    folder = tmp_path / "set/recipe-1/1.0.0"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text('{"checksums": "all"}', "utf-8")
    (folder / "set.array_record").write_bytes(bytes(1000))
    (folder / "label.txt").write_text("negative\npositive\n", "utf-8")
    require_unchanged(folder)  # as older ones have none
    assert needs_sums(folder)
    write_sums(folder)
    require_unchanged(folder)
    if damage == "shard":
        (folder / "set.array_record").write_bytes(bytes(999) + b"\1")
    elif damage == "labels":
        (folder / "label.txt").write_text("positive\nnegative\n", "utf-8")
    elif damage == "gone":
        (folder / "label.txt").unlink()
    elif damage == "copied":
        folder = folder.rename(tmp_path / "set/recipe-1/1.0.1")
    else:
        replaced(folder, "sums.json", '"bytes": 1000', '"bytes": 1001')
    with pytest.raises(ValueError, match=r"prepared|cannot read|not what jmer wrote"):
        require_unchanged(folder)
    if damage != "copied":
        assert needs_sums(folder)


def test_imported_weights_say_for_certain_what_they_held_out(tmp_path):
    from test_weights import make_weights

    weights = make_weights()
    weights.save(tmp_path)
    for change in (
        {"held_out": {"s1": []}},
        {"classes": ["b", "a", "c"]},
        {"sources": ["other"]},
        {"tasks": [{"seed": 0, "fold": "s9", "variant": 0}]},
    ):
        edit(
            tmp_path, "weights.json", lambda index, change=change: index.update(change)
        )
        with pytest.raises(JmerError, match=r"weights.json .*import the weights again"):
            jmer.load_model(tmp_path)
        weights.save(tmp_path)
    assert jmer.load_model(tmp_path).tasks == weights.tasks

"""What is read is what was written: a checksum in all that jmer reads again."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from sealing import edit, replaced
from test_features import CLIPS, CONFIG, Frozen, seen

import jmer
from jmer.data.sums import needs_sums, require_unchanged, write_sums
from jmer.errors import JmerError
from jmer.files import Changed, read_json, write_json
from jmer.files.digest import digest_of_arrays
from jmer.files.seal import sealed, state, unsealed
from jmer.runner.features import _about, _file, _write
from jmer.runner.plan import Plan, _read, remembered
from jmer.runs.lines import line_of, read_lines
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

"""Checkpoints are whole or absent."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from absl import logging

from jmer.errors import JmerError
from jmer.train import checkpoint
from jmer.train.checkpoint import Checkpoints, flatten, unflatten

ARRAYS = {
    "params.a": np.arange(6, dtype=np.float32).reshape(3, 2),
    "alive": np.array([True, False, True]),
    "history.none": np.zeros((2, 0), np.float32),
}


def saved(folder: Path, epochs=(1,)) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for epoch in epochs:
        checkpoints.save(epoch, ARRAYS, {"epoch was": epoch})
    checkpoints.finish()
    return checkpoints


def test_the_latest_comes_back_to_the_bit(tmp_path):
    saved(tmp_path / "pack", epochs=(1, 2, 5)).close()
    again = Checkpoints(tmp_path / "pack")
    epoch, arrays, meta = again.restore()
    again.close()
    assert epoch == 5 and meta["epoch was"] == 5
    assert arrays.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)
    assert [p.name for p in (tmp_path / "pack").iterdir() if p.is_dir()] == ["5"]


def test_a_checkpoint_that_was_written_by_item_comes_back(tmp_path):
    """Handlers given by item, and `max_to_keep`: how jmer 0.1.0 used Orbax."""
    with ocp.CheckpointManager(
        (tmp_path / "pack").absolute(),
        options=ocp.CheckpointManagerOptions(max_to_keep=1),
        item_handlers={
            "arrays": checkpoint._Arrays(),
            "meta": ocp.JsonCheckpointHandler(),
        },
    ) as before:
        items = {"arrays": checkpoint._SaveArrays(ARRAYS)}
        items["meta"] = ocp.args.JsonSave({"epoch was": 3})
        before.save(3, args=ocp.args.Composite(**items))
    again = Checkpoints(tmp_path / "pack")
    epoch, arrays, meta = again.restore()
    assert epoch == 3 and meta == {"epoch was": 3}
    np.testing.assert_array_equal(arrays["params.a"], ARRAYS["params.a"])
    again.save(4, ARRAYS, {})
    again.finish()
    again.close()
    assert [p.name for p in (tmp_path / "pack").iterdir() if p.is_dir()] == ["4"]


def test_orbax_has_nothing_to_warn_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text))
    checkpoints = saved(tmp_path / "pack", epochs=(1, 2))
    checkpoints.restore()
    checkpoints.close()
    options = checkpoints._manager._options
    assert not said and options.max_to_keep is None


def test_a_half_written_checkpoint_is_not_taken(tmp_path):
    """Orbax writes under another name; a killed process leaves only that."""
    saved(tmp_path / "pack").close()
    shutil.copytree(
        tmp_path / "pack/1", tmp_path / "pack/2.orbax-checkpoint-tmp-1700000000"
    )
    again = Checkpoints(tmp_path / "pack")
    assert again.epoch == 1
    again.close()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit, in the middle of an array."""
    place = content.index(b"NUMPY") + 130
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b""])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, damage):
    saved(tmp_path / "pack").close()
    file = tmp_path / "pack/1/arrays/arrays.npz"
    file.write_bytes(damage(file.read_bytes()))
    again = Checkpoints(tmp_path / "pack")
    with pytest.raises(JmerError, match=r"pack/1 cannot be read.*Delete"):
        again.restore()
    again.close()


def test_none_yet(tmp_path):
    checkpoints = Checkpoints(tmp_path / "pack")
    assert checkpoints.epoch is None
    with pytest.raises(JmerError, match="no checkpoint"):
        checkpoints.restore()
    checkpoints.close()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JmerError, match=r"cannot write checkpoint .*--run-dir"):
        Checkpoints(tmp_path / "file" / "pack")


def test_a_disk_without_room_is_met_before_writing(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path / "pack")
    usage = shutil.disk_usage(tmp_path)._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        JmerError, match=r"pack: it takes 0\.0 MB, and 0\.5 MB are free"
    ):
        checkpoints.save(2, ARRAYS, {})
    assert checkpoints.epoch == 1
    checkpoints.close()


def test_flatten_names_leaves_by_path():
    tree = {"a": {"b": jnp.ones((2, 3))}, "c": (jnp.zeros(2), None)}
    flat = flatten(tree)
    assert list(flat) == ["a.b", "c.0"]
    back = unflatten(tree, flat, Path("here"))
    np.testing.assert_array_equal(back["a"]["b"], np.ones((2, 3)))
    with pytest.raises(JmerError, match=r"here has no array a\.b"):
        unflatten(tree, {"c.0": flat["c.0"]}, Path("here"))
    with pytest.raises(JmerError, match=r"a\.b has shape \(5,\)"):
        unflatten(tree, {**flat, "a.b": np.zeros((2, 5))}, Path("here"))

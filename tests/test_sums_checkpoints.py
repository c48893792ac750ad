"""Checkpoints are what was saved, of their own run and pack, or are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from jmer.errors import JmerError
from jmer.files.seal import unsealed
from jmer.runs.folder import marks
from jmer.runs.opening import open_run
from jmer.runs.packs import read_packs
from jmer.train.checkpoint import Checkpoints


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

"""A set that stays on disk is the set that was prepared, and is read row by row."""

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from test_streamed import EXPERIMENT

from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.data import load
from jmer.data.rows import RowFile
from jmer.errors import JmerError

TINY = {"subjects": 3, "clips": 7, "length": 5, "size": 32, "flow_size": 13}


@pytest.fixture(name="rows")
def _rows(tmp_path) -> tuple[RowFile, np.ndarray]:
    """A file of rows in another order, and the array that it stands for."""
    values = np.arange(5 * 2 * 3, dtype=np.int16).reshape(5, 2, 3)
    order = np.array([3, 1, 4, 0, 2])
    values.tofile(tmp_path / "x.rows")
    return RowFile(tmp_path / "x.rows", (5, 2, 3), np.int16, order), values[order]


@pytest.mark.parametrize(
    "index",
    [
        *(0, -1, slice(1, 4), slice(None, None, -2), np.array([4, 0, 0, 2])),
        *(np.array([], int), np.array([1, 0, 0, 1, 1], bool), np.int64(2)),
    ],
    ids=str,
)
def test_rows_are_indexed_as_an_array_is(rows, index):
    file, array = rows
    np.testing.assert_array_equal(file[index], array[index])
    assert file[index].shape == array[index].shape
    assert file.reshape(5, -1)[index].shape == array.reshape(5, -1)[index].shape


def test_rows_have_what_an_array_has(rows):
    file, array = rows
    np.testing.assert_array_equal(np.asarray(file), array)
    np.testing.assert_array_equal(np.stack(list(file)), array)
    for name in ("shape", "dtype", "ndim", "size", "nbytes"):
        assert getattr(file, name) == getattr(array, name)
    made = np.zeros((2, 2, 3), np.int16)
    file.read_into(made, np.array([4, 1]))
    np.testing.assert_array_equal(made, array[[4, 1]])
    with pytest.raises(IndexError):
        file[5]
    for shape in ((6, 5), (5, 7), (-1, 6)):
        with pytest.raises(ValueError, match="row by row"):
            file.reshape(*shape)


def test_rows_are_read_by_several_threads_at_once(rows):
    file, array = rows
    found: list[bool] = []

    def read() -> None:
        found.extend((file[i] == array[i]).all() for i in [*range(5)] * 50)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1000 and all(found)


def test_rows_that_were_cut_off_are_refused(rows):
    file, _ = rows
    os.truncate(file.file, 50)
    with pytest.raises(JmerError, match=r"x\.rows is damaged .ends too ear"):
        file[:]
    with pytest.raises(JmerError, match="has 50 bytes, not 60"):
        RowFile(file.file, file.shape, file.dtype, file.order)


@pytest.fixture(name="prepared", scope="module")
def _prepared(tmp_path_factory) -> Synthetic:
    config = Synthetic(data_dir=tmp_path_factory.mktemp("prepared"), **TINY)
    load(config)
    return config


@pytest.fixture(name="cache")
def _cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("JMER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_set_on_disk_is_the_set_in_memory(prepared, cache):
    told: list[str] = []
    memory = load(prepared)
    disk = load(prepared, room=0, say=told.append)
    assert (cache / "rows").is_dir()
    assert isinstance(disk.inputs["apex_flow"], RowFile)
    np.testing.assert_array_equal(disk.inputs["apex_flow"], memory.inputs["apex_flow"])
    assert disk.summary() == memory.summary()
    assert disk.names == memory.names
    assert len(told) == 1 and "as rows to" in told[0]
    # Written once, and only where there is too little room.
    load(prepared, room=0, say=told.append)
    assert len(told) == 1
    assert isinstance(load(prepared, room=1e9).inputs["apex_flow"], np.ndarray)


@pytest.mark.parametrize(
    "damage",
    [
        "a byte",
        "the end",
        "a name",
        "gone",
        "a folder",
        "a dead link",
        "no description",
    ],
)
def test_damaged_rows_are_refused_and_made_anew(prepared, cache, damage):
    load(prepared, room=0)
    (folder,) = (cache / "rows").iterdir()
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == [
        "apex_flow.rows",
        "rows.json",
    ]
    values, about = folder / "apex_flow.rows", folder / "rows.json"
    if damage == "a byte":
        content = bytearray(values.read_bytes())
        content[100] ^= 1
        values.write_bytes(content)
    elif damage == "the end":
        os.truncate(values, values.stat().st_size - 2)
    elif damage == "a name":
        about.write_text(about.read_text().replace("syn", "sun"))
    elif damage != "no description":
        values.unlink()
        if damage == "a folder":
            values.mkdir()
        elif damage == "a dead link":
            values.symlink_to(folder / "elsewhere")
    else:  # as a process leaves it that was killed
        about.unlink()
    if damage == "no description":
        assert len(load(prepared, room=0)) == 7
        return
    with pytest.raises(JmerError, match=r"remove .*/rows/[^ ]*, and it is ") as told:
        load(prepared, room=0)
    named = str(told.value).split("remove ")[-1].split(", and")[0]
    shutil.rmtree(named)
    assert len(load(prepared, room=0)) == 7


def test_a_run_from_disk_equals_one_from_memory(prepared, cache, tmp_path, capsys):
    """With the canary, which changes what is read; and what is drawn of the set."""
    text = EXPERIMENT.replace("flow", "apex_flow").replace("(64, 64", "(13, 13")
    start, end = text.index("    data=RandomClips"), text.index("    optim=SgdConfig")
    data = f"    data=Synthetic(data_dir=Path({str(prepared.data_dir)!r}), **{TINY}),\n"
    text = f"{text[:start]}{data}{text[end:]}".replace("chunk=3", "chunk=1")
    imports = (
        "from pathlib import Path",
        "from data_builders.synthetic import Synthetic",
    )
    text = "\n".join((*imports, text))
    (tmp_path / "own.py").write_text(text)
    for name in ("streamed", "resident"):
        words = ["run", str(tmp_path / "own.py"), "--run-dir", str(tmp_path / name)]
        assert main([*words, "--batches", "shared", "--engine.data", name]) == 0
        out = capsys.readouterr().out
        assert ("is streamed: blocks of" in out) == (name == "streamed")
        assert "and no bit of its training" in out
    assert list((cache / "rows").iterdir())
    one, other = ((tmp_path / n / "predictions.csv") for n in ("streamed", "resident"))
    assert one.read_text() == other.read_text()

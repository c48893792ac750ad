"""A file holds its old content or its new, and an error says what to do."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmer.errors import JmerError
from jmer.files import (
    make_folder,
    read_json,
    require_writable,
    write_bytes,
    write_json,
    write_text,
)

SCALAR = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(
    SCALAR | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=7,
)


@given(JSON)
def test_json_comes_back_as_it_went(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_writing_replaces_and_makes_the_folders(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "längst")
    write_text(path, "neu")
    assert path.read_bytes() == b"neu"
    assert list(path.parent.iterdir()) == [path]


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_content(tmp_path, monkeypatch, call):
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", no_space)
    else:
        monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(JmerError, match="No space left on device") as caught:
        write_text(path, "new")
    assert str(path) in str(caught.value)
    assert "Make room" in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    path = tmp_path / "metrics.json"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_values_that_are_not_json_keep_the_old_content(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"uf1": 0.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"uf1": float("nan")})
    assert read_json(path) == {"uf1": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_whether_a_place_can_be_written_leaves_no_trace(tmp_path):
    (tmp_path / "old").write_text("old")
    for name in ("old", "new", "folder/new"):
        require_writable(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "old"]
    assert (tmp_path / "old").read_text() == "old"
    for place in (tmp_path / "old/new", Path("/proc/new"), Path("/dev/null/new")):
        with pytest.raises(JmerError, match="cannot write"):
            require_writable(place)


def test_a_place_below_a_file_is_refused(tmp_path):
    blocker = tmp_path / "blocker"
    blocker.write_text("mine")
    for attempt in (
        lambda: write_bytes(blocker / "x" / "file", b"1"),
        lambda: write_bytes(blocker / "file", b"1"),
        lambda: make_folder(blocker),
    ):
        with pytest.raises(JmerError, match=f"cannot write {blocker}"):
            attempt()
    assert blocker.read_text() == "mine"


def test_a_place_that_the_system_refuses():
    place = Path("/proc/nowhere")
    if not place.parent.is_dir():
        pytest.skip("no /proc on this system")
    with pytest.raises(JmerError, match=r"cannot write /proc/nowhere.*No such file"):
        write_text(place / "file", "1")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "1")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"{'a': 1}"])
def test_broken_json_is_named(tmp_path, content):
    path = tmp_path / "experiment.json"
    path.write_bytes(content)
    with pytest.raises(JmerError, match="not valid JSON") as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "restore it" in str(caught.value)


def test_missing_json_is_named(tmp_path):
    path = tmp_path / "experiment.json"
    with pytest.raises(JmerError, match=f"cannot read {path}: No such file"):
        read_json(path)
    with pytest.raises(JmerError, match=f"cannot read {tmp_path}: Is a directory"):
        read_json(tmp_path)

"""Folders of a data set, looked into once by each reader."""

import pytest

from data_builders.disk import Disk
from jmer.errors import JmerError


def make(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)


def test_a_reader_keeps_what_it_saw_and_a_new_one_looks_again(tmp_path):
    make(tmp_path, "s1")
    (tmp_path / "img7.jpg").touch()
    old = Disk()
    assert [p.name for p in old.folders(tmp_path)] == ["s1"]
    assert old.child(tmp_path, "S2") is None and set(old.numbered(tmp_path)) == {7}
    make(tmp_path, "s2")
    (tmp_path / "img9.jpg").touch()
    assert [p.name for p in old.folders(tmp_path)] == ["s1"]
    assert old.child(tmp_path, "S2") is None and set(old.numbered(tmp_path)) == {7}
    new = Disk()
    assert [p.name for p in new.folders(tmp_path)] == ["s1", "s2"]
    assert new.child(tmp_path, "S2") == tmp_path / "s2"
    assert set(new.numbered(tmp_path)) == {7, 9}


def test_the_nearest_root_that_holds_what_it_should(tmp_path):
    make(tmp_path, "a/raw/x", "b/c/RAW/s1")
    disk = Disk()

    def holds(folder):
        return disk.child(folder, "s1") is not None

    assert disk.find_root(tmp_path, ["raw"], holds) == tmp_path / "b/c/RAW"
    assert disk.find_root(tmp_path, ["other"], holds) is None
    assert disk.find_root(tmp_path / "b/c/RAW", ["raw"], holds) == tmp_path / "b/c/RAW"


def test_two_folders_named_alike(tmp_path):
    make(tmp_path, "EP1", "ep1")
    with pytest.raises(JmerError, match=r"EP1 and .*ep1 are named alike"):
        Disk().child(tmp_path, "Ep1")

"""What can be wrong with a set of frames on disk: one damage a function."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from downloads import COLUMNS, Tree

from jmer.data import check, prepare
from jmer.errors import JmerError

Damage = Callable[[Tree], None]


def column(tree: Tree, name: str) -> int:
    return {"subject": 0, **COLUMNS[tree.name]}[name]


def frame_missing(tree: Tree) -> None:
    take = tree.loaded[1]
    take.path(take.apex).unlink()


def frame_cut(tree: Tree) -> None:
    take = tree.loaded[1]
    path = take.path(take.apex)
    path.write_bytes(path.read_bytes()[:-700])


def frame_empty(tree: Tree) -> None:
    take = tree.loaded[1]
    take.path(take.apex).write_bytes(b"")


def frame_of_another_kind(tree: Tree) -> None:
    take = tree.loaded[1]
    take.path(take.apex).write_bytes(b"GIF89a" + bytes(200))


def frame_twice(tree: Tree) -> None:
    take = tree.loaded[1]
    path = take.path(take.apex)
    shutil.copy(path, path.with_name(f"copy_{path.name}"))


def folder_missing(tree: Tree) -> None:
    shutil.rmtree(tree.loaded[1].folder)


def set_cell(name: str, value: object) -> Any:
    def damage(tree: Tree) -> None:
        tree.loaded[1].cells[column(tree, name)] = value
        tree.write_sheet()

    made: Any = damage  # which its tests ask for the column
    made.__name__ = f"{name}={value}"
    made.column = name
    return made


def row_twice(tree: Tree) -> None:
    tree.rows.append(tree.loaded[1].cells)
    tree.write_sheet()


def subject_blank(tree: Tree) -> None:
    tree.loaded[1].cells[COLUMNS[tree.name].get("subject", 0)] = "  "
    tree.write_sheet()


def offset_huge(tree: Tree) -> None:
    tree.loaded[1].cells[column(tree, "offset")] = 10**9
    tree.write_sheet()


def refuses(tree: Tree, words: str) -> None:
    problems, summary = check(tree.config)
    assert not summary
    assert len(problems) == 1, problems
    assert re.search(words, problems[0]), problems
    assert str(tree.root) in problems[0]
    with pytest.raises(JmerError, match=re.escape(problems[0])):
        prepare(tree.config)
    assert not list(tree.config.data_dir.rglob("dataset_info.json"))


# In whole videos and without a sheet, a folder says less of what should be there.
VIDEOS = ("casme_squared", "samm_long", "casme_cubed_c")


def copied(folder: Path, name: str) -> None:
    shutil.copytree(folder, folder.with_name(name))


def subject_twice(tree: Tree) -> None:
    home = tree.loaded[1].folder.parent
    copied(home, f"sub0{home.name[3:]}")


def folder_twice(tree: Tree) -> None:
    folder = tree.loaded[1].folder
    copied(folder, folder.name.lower())


def frame_is(kind: str) -> Damage:
    def damage(tree: Tree) -> None:
        take = tree.loaded[1]
        path = take.path(take.apex)
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path if kind == "loop" else "nowhere")

    damage.__name__ = kind
    return damage


def clip_in_other_letters(tree: Tree) -> None:
    row = list(tree.loaded[1].cells)
    row[1] = row[1].swapcase()
    tree.rows.append(row)
    tree.write_sheet()

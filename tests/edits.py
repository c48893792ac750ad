"""Edits of files: a damage happens in the current folder, a place that
`places.make_place` made, and returns the path that it happened to.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Reader = Callable[[], Any]
Damage = Callable[[], Path]
Case = tuple[str, tuple[Reader, ...], Damage]
"""The name of a damage, who reads what is damaged, and how it happens."""

Place = Path | Callable[[], Path]


def at(place: Place) -> Path:
    return place if isinstance(place, Path) else place()


def edit(place: Place, change: Callable[[Any], Any]) -> Damage:
    """Of a JSON file, by hand."""

    def damage() -> Path:
        content = json.loads(at(place).read_text())
        change(content)
        at(place).write_text(json.dumps(content, indent=2))
        return at(place)

    return damage


def put(place: Place, *keys: Any, value: Any) -> Damage:
    """Another value at a place in a JSON file."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value(content[keys[-1]]) if callable(value) else value

    return edit(place, change)


def rewrite(place: Place, change: Callable[[bytes], bytes]) -> Damage:
    def damage() -> Path:
        at(place).write_bytes(change(at(place).read_bytes()))
        return at(place)

    return damage


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def saved_again(place: Place, change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Of arrays, by somebody who knows NumPy."""

    def damage() -> Path:
        with np.load(at(place)) as archive:
            content = dict(archive)
        change(content)
        np.savez(at(place), **content)
        return at(place)

    return damage


def table(place: Path, change: Callable[[list[list[str]]], Any], **form: Any) -> Damage:
    """Of a CSV file, in a spreadsheet."""

    def damage() -> Path:
        rows = list(csv.reader(io.StringIO(place.read_text(encoding="utf-8"))))
        rows = change(rows) or rows
        text = io.StringIO()
        csv.writer(text, **{"lineterminator": "\n", **form}).writerows(rows)
        place.write_text(text.getvalue(), encoding="utf-8", newline="")
        return place

    return damage


def copied(source: Place, target: Place) -> Damage:
    """A file or folder over another."""

    def damage() -> Path:
        mine, its = at(target), at(source)
        if its.is_file():
            shutil.copyfile(its, mine)
        else:
            shutil.rmtree(mine, ignore_errors=True)
            shutil.copytree(its, mine)
        return mine

    return damage


def renamed(place: Place, name: Callable[[str], str]) -> Damage:
    def damage() -> Path:
        path = at(place)
        path.rename(path.with_name(name(path.name)))
        return path

    return damage


def swapped(first: Place, second: Place) -> Damage:
    def damage() -> Path:
        a, b = at(first), at(second)
        aside = a.with_name("aside")
        a.rename(aside)
        b.rename(a)
        aside.rename(b)
        return a

    return damage


def removed(place: Place) -> Damage:
    def damage() -> Path:
        path = at(place)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return path

    return damage


def folder_instead(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.mkdir()
        return path

    return damage


def file_instead(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.write_text("mine")
        return path

    return damage


def loop(place: Place) -> Damage:
    def damage() -> Path:
        path = removed(place)()
        path.symlink_to(path.name)
        return path

    return damage


def unreadable(place: Place) -> Damage:
    """To all but root."""

    def damage() -> Path:
        at(place).chmod(0)
        return at(place)

    return damage

"""Damages of files and folders: at random by a number, of any file that jmer wrote."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Change = Callable[[Rng, bytes], bytes]

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 2**70, 0.5, "", "0", "sub99", "\x00"),
    *([], {}, [[]], {"a": {}}, [None] * 3, float("nan"), float("inf")),
)


def flip(rng: Rng, content: bytes) -> bytes:
    """One bit, as memory or a disk does."""
    changed = bytearray(content)
    if changed:
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def flip_many(rng: Rng, content: bytes) -> bytes:
    for _ in range(int(rng.integers(2, 40))):
        content = flip(rng, content)
    return content


def truncate(rng: Rng, content: bytes) -> bytes:
    return content[: rng.integers(len(content))] if content else content


def append(rng: Rng, content: bytes) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 100)))


def zero(rng: Rng, content: bytes) -> bytes:
    """A block that was never written before the power went."""
    start = int(rng.integers(len(content) + 1))
    size = min(int(rng.integers(1, 4097)), len(content) - start)
    return content[:start] + bytes(size) + content[start + size :]


def repeat(rng: Rng, content: bytes) -> bytes:
    """A block twice."""
    start, stop = sorted(rng.integers(len(content) + 1, size=2).tolist())
    return content[:stop] + content[start:]


def empty(rng: Rng, content: bytes) -> bytes:
    return b""


BYTES: tuple[Change, ...] = (
    flip,
    flip,
    flip_many,
    truncate,
    append,
    zero,
    repeat,
    empty,
)


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON value: what holds it, and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _leaves(inner)


def edit_json(rng: Rng, content: bytes) -> bytes:
    """Another value, another type, a field gone or twice, a list in another order."""
    try:
        value = json.loads(content)
        places = list(_leaves(value))
    except (ValueError, TypeError):
        return flip(rng, content)
    if not places:
        return b"[]"
    holder, key = places[rng.integers(len(places))]
    kind, old = rng.integers(5), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(old, list) and len(old) > 1:
        old.reverse()
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, old)
    elif kind == 3 and type(old) in (int, float):
        holder[key] = old + (1 if isinstance(old, int) else 0.01)
    elif kind == 3 and isinstance(old, str):
        holder[key] = old[:-1] + chr(ord(old[-1:] or "a") ^ 1)
    else:
        holder[key] = VALUES[rng.integers(len(VALUES))]
    return json.dumps(value, indent=2).encode()


def edit_lines(rng: Rng, content: bytes) -> bytes:
    """Lines in another order, twice or gone."""
    lines = content.splitlines(keepends=True)
    i, j = rng.integers(len(lines) or 1, size=2).tolist()
    if not lines or i == j:
        return content + content
    kind = rng.integers(3)
    if kind == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 1:
        lines.insert(i, lines[j])
    else:
        del lines[i]
    return b"".join(lines)


def edit_cell(rng: Rng, content: bytes) -> bytes:
    """Another value in one cell of a table."""
    rows = list(csv.reader(io.StringIO(content.decode(errors="replace"))))
    rows = [row for row in rows if row]
    if not rows:
        return b"a,b\n"
    row = rows[rng.integers(len(rows))]
    column = int(rng.integers(len(row)))
    other = rows[rng.integers(len(rows))]
    choices = ("", "0", "1", "nan", "-1", "1e999", "x", other[column % len(other)])
    row[column] = choices[rng.integers(len(choices))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def damage(rng: Rng, folder: Path, foreign: Path) -> tuple[str, Path]:
    """Something happens to one file or folder in `folder`; `foreign` is another such
    folder. Returns what it was, and the path that it happened to."""
    every = sorted(folder.rglob("*"))
    files = [path for path in every if path.is_file()]
    file = files[rng.integers(len(files))]
    match rng.integers(10):
        case 0:
            file.unlink()
            return "deleted", file
        case 1:
            other = foreign / file.relative_to(folder)
            alike = [p for p in sorted(foreign.rglob(file.name)) if p.is_file()]
            other = other if other.is_file() or not alike else alike[0]
            if other.is_file():
                shutil.copyfile(other, file)
                return "of another", file
        case 2:
            other = files[rng.integers(len(files))]
            first, second = file.read_bytes(), other.read_bytes()
            file.write_bytes(second)
            other.write_bytes(first)
            return f"swapped with {other.name}", file
        case 3:
            folders = [path for path in every if path.is_dir()]
            if folders:
                return _folder(rng, folders[rng.integers(len(folders))], folders)
    changes = [*BYTES]
    if file.suffix == ".csv":
        changes += [edit_lines, edit_cell, edit_cell, edit_cell] * 2
    elif file.suffix == ".jsonl":
        changes += [edit_lines] * 4
    elif file.suffix == ".json" or file.name == "metadata":
        changes += [edit_json] * 12
    change = changes[rng.integers(len(changes))]
    file.write_bytes(change(rng, file.read_bytes()))
    return change.__name__, file


def _folder(rng: Rng, folder: Path, folders: list[Path]) -> tuple[str, Path]:
    other = folders[rng.integers(len(folders))]
    match rng.integers(4):
        case 0:
            shutil.rmtree(folder)
            return "folder deleted", folder
        case 1:
            name = folder.name
            new = str(int(name) + 1) if name.isdecimal() else f"{name}-2"
            folder.rename(folder.with_name(new))
            return f"folder renamed to {new}", folder
        case 2:
            shutil.copytree(folder, folder.with_name(f"{folder.name} (copy)"))
            return "folder twice", folder
        case _ if folder not in other.parents and other not in folder.parents:
            if folder != other:
                aside = folder.with_name("aside")
                folder.rename(aside)
                other.rename(folder)
                aside.rename(other)
            return f"folder swapped with {other}", folder
    return "nothing", folder

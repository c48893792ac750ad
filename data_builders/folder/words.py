"""The labels of a table of one's own, and the classes that they mean."""

import functools
from collections.abc import Mapping
from pathlib import Path

from data_builders.disk import looking
from data_builders.folder import Folder
from data_builders.frame_set import Labelling
from data_builders.sheets import Line, read_table
from jmer.data.asking import data_option
from jmer.errors import JmerError, quoted

EMPTY = ("", "-", "/", "nan", "n/a", "na", "none", "null")
"""What an empty cell may hold, in lower case."""
TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".xlsm", ".ods")
NEEDED = ("clip", "subject", "label")
Stamp = tuple[tuple[int, int], ...]


def table_of(data: Folder) -> Path:
    """The table. Raises: JmerError if none is given, or there is none."""
    if not data.table:
        raise JmerError(
            f"no table of clips is given: say where it is with "
            f"{data_option('table', 'FILE')}. `jmer data new folder` writes one to "
            f"fill in."
        )
    if data.unread:
        raise JmerError(f"the table {data.table} is not looked at here")
    typed = data.table_file
    for path in (typed, (data.manual_dir or Path()) / typed):
        if path.is_file():
            return path
    if typed.is_dir():
        raise JmerError(
            f"{typed} is a folder: give the table in it, a CSV file or a workbook"
            f"{_tables_in(typed)}, with {data_option('table', 'FILE')}, or begin one "
            f"with `jmer data new folder`."
        )
    raise JmerError(
        f"there is no table {typed}: give the file with {data_option('table', 'FILE')}"
    )


def _tables_in(folder: Path) -> str:
    """Up to three files of a folder that may be meant."""
    with looking(folder):
        found = sorted(
            path for path in folder.iterdir()
            if path.suffix.lower() in TABLES and path.is_file()
        )  # fmt: skip
    return f" (such as {', '.join(map(str, found[:3]))})" if found else ""


def lines(data: Folder) -> list[Line]:
    """The rows of the table. Raises: JmerError as `read_table`."""
    return read_table(
        table_of(data),
        data.names,
        optional=set(data.names) - set(NEEDED),
        numbers=("onset", "apex", "offset", "fps"),
        one_table=True,
        remedy=f"Say how columns are called with "
        f"{data_option('columns', 'clip=NAME', 'subject=NAME', 'label=NAME')}.",
    )


def labelling(data: Folder) -> Labelling:
    """The classes that take part, in the order of their labels, and their words.

    Raises: JmerError as `lines`, and for a class that was asked for and has no word.
    """
    return _labelling(data, _stamp(data))


@functools.lru_cache(maxsize=8)  # asked for each row
def _labelling(data: Folder, stamp: Stamp) -> Labelling:
    known = dict[str, list[str]]()
    for word, name in _meanings(data, stamp).items():
        if name:
            known.setdefault(name, []).append(word)
    if not known:
        raise JmerError(
            f"{data.table}: no row has a label. Fill in the column label: each word is "
            f"a class."
            if data.labels is None
            else f"{data.labels}: no word has a class. Fill in the column class."
        )
    wanted = [name.strip() for name in data.classes.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise JmerError(
                f"{data_option('classes', data.classes)}: no row of {data.table} is of "
                f"class {quoted(name)}. Classes are {', '.join(sorted(known))}."
            )
    order = dict.fromkeys(wanted or sorted(known))
    return Labelling({name: tuple(known[name]) for name in order}, column="label")


def words(data: Folder) -> tuple[str, ...]:
    """Every word that a row may hold, in lower case."""
    return tuple(word for word in _meanings(data, _stamp(data)) if word)


def is_mapped(data: Folder, word: str) -> bool:
    """Whether a word, in lower case, has a class, be it one that takes part or not."""
    return bool(_meanings(data, _stamp(data)).get(word))


def _stamp(data: Folder) -> Stamp:
    """What tells whether the table, or that of labels, was changed since."""
    files = [table_of(data), *([data.labels] if data.labels is not None else [])]
    found = [file.stat() for file in files if file.is_file()]
    return tuple((about.st_size, about.st_mtime_ns) for about in found)


@functools.lru_cache(maxsize=8)
def _meanings(data: Folder, stamp: Stamp) -> Mapping[str, str]:
    """The class of each word, in lower case; "" of one whose rows are left out."""
    del stamp  # another content
    if data.labels is None:
        found = dict[str, str]()
        for line in lines(data):
            word = line.values["label"]
            found.setdefault(word.lower(), word)
        return found
    made = dict[str, str]()
    for line in read_table(
        data.labels,
        {"label": ("label", "word", "emotion"), "class": ("class", "meaning")},
        one_table=True,
        remedy="It needs two columns, label and class.",
    ):
        word, name = line.values["label"].lower(), line.values["class"]
        if made.setdefault(word, name) != name:
            raise JmerError(
                f"{line.where}: label {quoted(word)} is of class {quoted(name)} here, "
                f"and of {quoted(made[word])} above. Remove one of the two rows."
            )
    return made

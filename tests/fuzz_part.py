"""A data set that is to be damaged: its rows before they are written, its folders."""

import csv
import itertools
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openpyxl
from fuzz_files import text_rows

from data_builders.frame_builder import FrameBuilder
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take

Change = Callable[[Path], object]
Columns = dict[str, int]

# How many folders a clip's frames lie below the one that holds the subjects; the
# `videos` of casme_cubed lie one deeper than its `clips`.
PLACES = {"casme": 2, "casme2": 2, "samm": 2, "smic": 4, "casme_squared": 2} | {
    "casme_cubed": 3
}
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")


class Chance(Protocol):
    """What a damage asks of its case."""

    rng: np.random.Generator
    folder: Path
    """Where there is room beside the tree."""

    def pick(self, things: Iterable[Any]) -> Any: ...

    def chance(self, share: float) -> bool: ...


def plain(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).lower()


@dataclass
class Part:
    """One data set of a tree: its rows before they are written, and its folders."""

    root: Path
    config: Any
    builder: FrameBuilder
    draft: Draft
    format: str = "xlsx"
    delimiter: str = ","
    encoding: str = "utf-8"
    merged: list[tuple[str, Cells, Cells]] = field(default_factory=list)
    """A column, and two rows that are one cell in it, if they still follow."""
    after: list[Change] = field(default_factory=list)
    """What is done to the written file, as functions of its path."""
    unreadable: str = ""
    """Why the sheet must be refused, whatever it holds."""
    doubtful: bool = False
    """Whether it may be refused; if it is not, it must read as it was written."""

    def __post_init__(self) -> None:
        part = getattr(self.config, "part", "")
        mine = [t for t in self.draft.takes if t.dataset == self.config.name]
        self.takes: list[Take] = [t for t in mine if t.part in ("", part)]
        self.book: Book | None = None
        for book in self.draft.books:
            for title, rows in book.sheets.items():
                if any(row is self.takes[0].cells for row in rows):
                    self.book, self.title, self.rows = book, title, rows
        if self.book is not None:
            self.place = self.root / self.book.path
            self.written = [list(map(said, take.cells)) for take in self.takes]
            self.columns = dict(self._columns())
        images = self.takes[0].images[self.config.source]
        depth = PLACES[self.config.name]
        if (self.config.name, self.config.source) == ("casme_cubed", "clips"):
            depth = 1
        self.home = (self.root / images.folder).parents[depth - 1]

    def _columns(self) -> Iterator[tuple[str, int]]:
        if self.builder.positions:
            yield from ((name, i) for i, name in enumerate(self.builder.positions))
            return
        header = next(r for r in self.rows if len(found(self, r)) >= 5)
        yield from found(self, header).items()

    @property
    def workbook(self) -> Book:
        """The one that holds the rows; there is none of a set without a sheet."""
        assert self.book is not None
        return self.book

    @property
    def table(self) -> Path:
        path = self.root / self.workbook.path
        return path.with_suffix(".csv") if self.format == "csv" else path

    @property
    def top(self) -> int:
        """How many rows stand above the clips."""
        at = [i for i, row in enumerate(self.rows) if row is self.takes[0].cells]
        return at[0] if at else 0 if self.builder.positions else 1

    def folder(self, take: Take) -> Path:
        return self.root / take.images[self.config.source].folder

    def frame(self, take: Take, number: int) -> Path:
        return take.images[self.config.source].path(self.root, number)

    def save(self) -> None:
        """Writes the sheets, and damages the file."""
        if self.book is None:
            return
        (self.root / self.book.path).unlink()
        if self.format == "csv":
            with self.table.open(
                "w", newline="", encoding=self.encoding, errors="replace"
            ) as file:
                csv.writer(file, delimiter=self.delimiter).writerows(self.rows)
        else:
            self._save_book()
        self.place = self.table
        for change in self.after:
            if self.place.is_file():
                moved = change(self.place)
                if isinstance(moved, Path) and not self.place.exists():
                    self.place = moved

    def _save_book(self) -> None:
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, rows in self.workbook.sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
            if rows is self.rows:
                for column, *both in self.merged:
                    for i, pair in enumerate(itertools.pairwise(rows), start=1):
                        if all(map(operator.is_, pair, both)):
                            sheet.merge_cells(f"{column}{i}:{column}{i + 1}")
        if not book.worksheets:
            book.create_sheet("Sheet")
        book.save(self.table)

    def grids(self) -> dict[str, list[list[str]]] | None:
        """The text of every cell of every sheet; None if it cannot be read."""
        if self.format == "csv":
            rows = text_rows(self.place, self.delimiter)
            return None if rows is None else {"": rows}
        return {
            title: [[said(cell) for cell in row] for row in rows]
            for title, rows in self.workbook.sheets.items()
        }


def said(cell: Any) -> str:
    """A cell of a workbook as text. Formulas that no program has computed are blank."""
    if cell is None or (isinstance(cell, str) and cell[:1] == "=" and len(cell) > 1):
        return ""
    if cell in ERRORS:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def found(part: Part, row: Cells) -> dict[str, int]:
    """Which columns a row names, and where."""
    names = [plain(said(cell)) for cell in row]
    at = {}
    for column, aliases in part.builder.columns.items():
        hit = [names.index(plain(a)) for a in aliases if plain(a) in names]
        if hit:
            at[column] = hit[0]
    return at


def subject_of(part: Part, number: int | None) -> str:
    """The published name."""
    if number is None:
        return ""
    if part.config.name == "casme_squared":
        known = (15, 16, *range(19, 28), *range(29, 39), 40)
        return f"s{known[number - 1]}" if 1 <= number <= len(known) else ""
    return part.builder.subject_name.format(number)

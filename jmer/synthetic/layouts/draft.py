"""What was written in a layout: clips, annotation sheets, and what to make of them."""

import csv
import dataclasses
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl

Cells = list[Any]
"""One row of a sheet: text, whole numbers, or None for a blank cell."""


@dataclass
class Images:
    """The files of a clip in one form in which the set is distributed."""

    pattern: str
    """Path below the root, with `{n}` for the number of a frame."""
    first: int
    last: int
    missing: list[int] = field(default_factory=list)
    """Numbers between the two for which there is no file."""

    def path(self, root: Path, number: int) -> Path:
        return root / self.pattern.format(n=number)

    @property
    def folder(self) -> str:
        return self.pattern.rsplit("/", 1)[0]

    @property
    def numbers(self) -> list[int]:
        """Of all frames that have a file."""
        span = range(self.first, self.last + 1)
        return [n for n in span if n not in self.missing]


@dataclass
class Take:
    """One annotated clip: what a correct reader returns, or what it must report."""

    dataset: str
    subject: str
    clip: str
    labels: dict[str, str]
    """The word in each column of labels, in lower case."""
    onset: int
    """Onset, apex and offset are numbers of frames, as their files have them."""
    apex: int | None
    """None where no apex is annotated."""
    offset: int
    action_units: str
    images: dict[str, Images]
    """By the `source` that reads them."""
    index: int
    """Of the clip in `generate(spec)`."""
    cells: Cells
    """Its row of the sheet; empty where there is no sheet."""
    part: str = ""
    """Where a set has several, the one it belongs to."""
    quirks: list[str] = field(default_factory=list)
    """What is irregular about it."""
    problems: list[str] = field(default_factory=list)
    """Words of what `jmer data check` must report, as long as the clip takes part."""

    @property
    def key(self) -> tuple[str, str]:
        return self.subject, self.clip

    @property
    def title(self) -> str:
        return f"{self.subject}/{self.clip}"


@dataclass
class Book:
    """A workbook (.xlsx), or a table (.csv) of a single sheet."""

    path: str
    sheets: dict[str, list[Cells]]

    def write(self, root: Path) -> None:
        target = root / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            (rows,) = self.sheets.values()
            text = io.StringIO(newline="")
            csv.writer(text).writerows(rows)
            target.write_text(text.getvalue(), encoding="utf-8", newline="")
            return
        book = openpyxl.Workbook()
        book.remove(book.worksheets[0])
        for title, rows in self.sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(target)


@dataclass
class Draft:
    """All that is written of one set. Its sheets share the cells of its clips."""

    takes: list[Take]
    books: list[Book] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """Content of other files by path: remains of programs and the like."""
    quirks: list[str] = field(default_factory=list)
    """What is irregular about the set as a whole."""
    options: tuple[str, ...] = ()
    """Options of `jmer data prepare` by which a set with problems can be read."""

    def write_sheets(self, root: Path) -> None:
        for book in self.books:
            book.write(root)

    def write_files(self, root: Path) -> None:
        for path, content in self.files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    @property
    def manifest(self) -> dict[str, Any]:
        """The same for programs of others, as JSON."""
        clips = [dataclasses.asdict(take) for take in self.takes]
        for clip in clips:
            del clip["cells"]
        return {
            "quirks": self.quirks,
            "options": list(self.options),
            "clips": clips,
        }

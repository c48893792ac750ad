"""What a damaged set means: a second reading of its files, slow and literal."""

import collections
import csv
import itertools
import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openpyxl
from downloads import label_of
from fuzz_files import images, shown, spoiled, text_rows, without_zeros

from data_builders.frame_builder import FrameBuilder
from data_builders.frame_set import ACTION_UNITS, OBJECTIVE_CLASS
from jmer.data.facs import objective_class, parse_action_units
from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take

Change = Callable[[Path], object]
Key = tuple[str, str]
Moments = tuple[int, int, int]
Columns = dict[str, int]
Rows = list[tuple[int, list[str]]]
"""With their numbers."""

# How many folders a clip's frames lie below the one that holds the subjects; the
# `videos` of casme_cubed lie one deeper than its `clips`.
PLACES = {"casme": 2, "casme2": 2, "samm": 2, "smic": 4, "casme_squared": 2} | {
    "casme_cubed": 3
}
KNOWN_TAGS = {"ne": "negative", "po": "positive", "sur": "surprise"}
NO_APEX = ("", "/", "-", "nan", "n/a", "na", "none", "null")
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")


class Chance(Protocol):
    """What a damage asks of its case."""

    rng: np.random.Generator
    folder: Path
    """Where there is room beside the tree."""

    def pick(self, things: Iterable[Any]) -> Any: ...

    def chance(self, share: float) -> bool: ...


def readable(name: str, classes: str) -> bool:
    """Whether a tree has all that a labelling reads: CASME II's objective classes are
    in a sheet of their own."""
    return (name, classes) != ("casme2", "objective")


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
        for change in self.after:
            if self.table.is_file():
                change(self.table)

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
            rows = text_rows(self.table, self.delimiter)
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


@dataclass
class Read:
    """One row of a damaged set: a clip, left out, or bad."""

    where: str
    title: str
    state: str
    why: str = ""
    key: Key = ("", "")
    record: tuple[Any, ...] = ()
    onset: int = 0
    apex: int = 0
    offset: int = 0
    places: tuple[str, ...] = ()
    """Folders that a problem may name instead of the row."""

    @property
    def frames(self) -> tuple[Path, ...]:
        return self.record[-1]

    def named_in(self, problem: str) -> bool:
        row = re.search(rf"{re.escape(self.where)}(?!\d)", problem)
        return bool(row) or any(place in problem for place in self.places)


@dataclass
class Verdict:
    """What must be made of one data set."""

    rows: list[Read] = field(default_factory=list)
    must_raise: str = ""
    may_raise: bool = False
    untouched: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    """Label, action units, onset, apex and offset of clips whose rows are as before."""

    @property
    def clips(self) -> list[Read]:
        return [row for row in self.rows if row.state == "clip"]

    @property
    def bad(self) -> list[Read]:
        return [row for row in self.rows if row.state == "bad"]

    @property
    def out(self) -> list[Read]:
        return [row for row in self.rows if row.state == "out"]

    @property
    def none_left(self) -> bool:
        return not self.clips


def refused(why: str) -> Verdict:
    return Verdict(must_raise=why, may_raise=True)


def verdict(part: Part) -> Verdict:
    """What must be made of a data set as it lies there."""
    if part.unreadable:
        return refused(part.unreadable)
    tree = Folders(part)
    if part.book is None:
        made = tree.must_raise and refused(tree.must_raise)
        return made or from_folders(part, tree)
    table = annotation(part)
    if isinstance(table, str):
        return refused(table)
    if tree.must_raise:
        return refused(tree.must_raise)
    where, index, rows = table
    made = Verdict(may_raise=part.doubtful)
    seen = set[Key]()
    comma = part.format == "csv" and part.delimiter != ","
    rows = [
        (number, [without_zeros(cell, comma) for cell in row]) for number, row in rows
    ]
    named = [n for n, row in rows if of_a_clip(row, index)]
    kept = {tuple(w): take for w, take in zip(part.written, part.takes, strict=True)}
    for number, row in rows:
        values = {c: row[i] if i < len(row) else "" for c, i in index.items()}
        if not any(values.values()):
            continue
        if named and number > named[-1]:
            made.rows.append(Read(where, "", "out"))
            continue
        one = read_row(part, tree, f"{where}, row {number}", values, seen)
        made.rows.append(one)
        take = kept.get(tuple(row[: len(part.written[0])]))
        if take is not None and one.state == "clip" and index == part.columns:
            label = label_of(part.config, take)
            middle = (take.onset + take.offset) // 2
            apex = middle if take.apex is None else take.apex
            # A word that the manifest does not have is compared in the sheet alone.
            label = label or one.record[0]
            record = (label, take.action_units, take.onset, apex, take.offset)
            made.untouched[one.key] = record
    return made


def of_a_clip(row: list[str], index: Columns) -> bool:
    """Whether it is more than a sum or a note."""
    names = ("clip", "onset", "apex", "offset")
    return any(row[index[n]] for n in names if n in index and index[n] < len(row))


def annotation(part: Part) -> tuple[str, Columns, Rows] | str:
    """The place, columns and rows of the annotation; text if there is none."""
    grids = part.grids()
    if grids is None:
        return "the table cannot be read"
    usable: dict[str, tuple[str, Columns, Rows] | str] = {}
    for title, rows in grids.items():
        place = f"{part.table}, sheet {title}" if title else f"{part.table}"
        if part.builder.positions:
            if any(any(row) for row in rows):
                index = {c: i for i, c in enumerate(part.builder.positions)}
                usable[title] = (place, index, list(enumerate(rows, start=1)))
            continue
        hit = with_header(part, rows)
        if isinstance(hit, str):
            usable[title] = hit
        elif hit:
            usable[title] = (place, *hit)
    preferred = part.builder.sheet
    if preferred in usable:
        return usable[preferred]
    if not usable:
        return "no sheet has the columns"
    return next(iter(usable.values())) if len(usable) == 1 else "several sheets fit"


def with_header(part: Part, rows: list[list[str]]) -> tuple[Columns, Rows] | str | None:
    """Columns and rows below the header; text if they cannot be told."""
    column = part.config.rules.column
    wanted = "action_units" if column == ACTION_UNITS else column
    needed = set(part.builder.columns) - ({"action_units", OBJECTIVE_CLASS} - {wanted})
    pairs = [
        [b or a for a, b in itertools.zip_longest(*two, fillvalue="")]
        for two in itertools.pairwise(rows)
    ]
    for top, row in [*enumerate(rows), *enumerate(pairs, start=1)]:
        index = found(part, row)
        if not needed <= index.keys():
            continue
        names = [plain(cell) for cell in row]
        if any(names.count(names[i]) > 1 for i in index.values()):
            return "a column is there twice"
        for above in rows[: top - (row is not rows[top])]:
            filled = sum(bool(above[index[c]]) for c in needed if index[c] < len(above))
            if filled >= len(needed) - 1:
                return "a clip stands above the header"
        return index, [(i + 1, r) for i, r in enumerate(rows) if i > top]
    return None


def whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,12}", text) else None


def only_number(text: str) -> int | None:
    numbers = re.findall(r"\d+", text)
    one = len(numbers) == 1 and len(numbers[0]) < 10 and not text.startswith("-")
    return int(numbers[0]) if one else None


def read_row(
    part: Part, tree: "Folders", where: str, values: dict[str, str], seen: set[Key]
) -> Read:
    """What one row means."""
    config, name = part.config, part.config.name
    row = Read(where, "", "bad")
    kind = values.get("kind", "").lower()
    if name == "casme_squared":
        if not kind.startswith(("macro", "micro")):
            row.why = "unknown kind"
            return row
        if kind.startswith("macro"):
            row.state = "out"
            return row
    number, clip = only_number(values["subject"]), values["clip"]
    subject = subject_of(part, number)
    if number is None or not (subject and clip):
        row.why = "no name"
        return row
    if name == "casme_squared":
        row.key = (subject, f"{clip}_{values['onset']}")
    elif name == "casme_cubed":
        row.key = (subject, f"{clip.lower()}_{values['onset']}")
    else:
        row.key = (subject, clip)
    plain_key = (subject, row.key[1].lower())
    if plain_key in seen:
        row.why = "duplicate"
        return row
    seen.add(plain_key)
    texts = {c: values[c] for c in ("onset", "apex", "offset")}
    units = values.get("action_units", "")
    for correction in part.builder.corrections if config.errata else ():
        if correction.key == row.key:
            texts[correction.field] = correction.value
    label = label_for(config, values, units)
    if label is None or label == "":
        row.state, row.why = ("bad", "label") if label is None else ("out", "")
        return row
    if row.key in config.rules.excluded:
        row.state = "out"
        return row
    row.places = tree.places(number, clip, values["onset"], texts["onset"])
    moments = interval(config, texts)
    if moments is None:
        row.why = "interval"
        return row
    folders = tree.find(number, clip, values["onset"], texts["onset"])
    folder = _one(folders)
    if folder is None:
        row.why = "folder"
        row.places += tuple(map(str, folders))
        return row
    return with_frames(config, row, label, units, moments, folder)


def with_frames(
    config: Any, row: Read, label: str, units: str, moments: Moments, folder: Path
) -> Read:
    row.onset, row.apex, row.offset = moments
    row.places += (str(folder),)
    files = wanted(folder, row.onset, row.offset, config.missing_frames)
    if files is None or any(map(spoiled, files)):
        row.why = "frames"
    elif len(files) < config.min_frames:
        row.state = "out"
    elif len(files) == 1 or not shown(files):
        row.why = "pixels"
    else:
        row.state = "clip"
        row.record = (label, units, *moments, files)
    return row


def subject_of(part: Part, number: int | None) -> str:
    """The published name."""
    if number is None:
        return ""
    if part.config.name == "casme_squared":
        known = (15, 16, *range(19, 28), *range(29, 39), 40)
        return f"s{known[number - 1]}" if 1 <= number <= len(known) else ""
    return part.builder.subject_name.format(number)


def label_for(config: Any, values: dict[str, str], units: str) -> str | None:
    """The class; empty if the labelling has none; None if the word is unknown."""
    rules = config.rules
    if rules.column == ACTION_UNITS:
        try:
            return objective_class(parse_action_units(units))
        except ValueError:
            return None
    if rules.column == "stimulus":
        (word,) = re.findall(r"\A[a-z]*", values["clip"].lower())
    else:
        word = values.get(rules.column, "").lower()
    if word not in config.vocabulary[rules.column]:
        return None
    return next((n for n, words in rules.classes.items() if word in words), "")


def interval(config: Any, texts: dict[str, str]) -> Moments | None:
    onset, offset = whole(texts["onset"]), whole(texts["offset"])
    apex = whole(texts["apex"])
    if onset is None or offset is None:
        return None
    if texts["apex"].lower() in NO_APEX and config.missing_apex == "middle":
        apex = (onset + offset) // 2
    if apex is None or not onset <= apex <= offset or offset - onset >= 10_000:
        return None
    return onset, apex, offset


def wanted(
    folder: Path, onset: int, offset: int, missing: str
) -> tuple[Path, ...] | None:
    """A file for each number from onset to offset; None if that cannot be."""
    there = {} if closed(folder) else images(folder)
    if any(len(paths) > 1 for paths in there.values()):
        return None
    span = range(onset, offset + 1)
    lacking = [n for n in span if n not in there]
    if lacking and (missing == "refuse" or len(lacking) == len(span)):
        return None
    return tuple(there[min(there, key=lambda k: (abs(k - n), k))][0] for n in span)


class Folders:
    """Where the frames of each clip lie."""

    def __init__(self, part: Part):
        self.part, self.name = part, part.config.name
        self.must_raise = ""
        self.by_key: dict[tuple[str], list[Path]] = collections.defaultdict(list)
        base = part.home
        pattern = re.compile(_subjects(part), re.IGNORECASE)
        self.subjects = [p for p in _folders(base) if pattern.fullmatch(p.name)]
        self.others = [p for p in _folders(base) if p not in self.subjects]
        if not self.subjects:
            self.must_raise = "no subjects"
            return
        if self.name == "smic":
            return
        if self.name == "casme_cubed" and part.config.source == "clips":
            for path in _folders(base):
                self.by_key[path.name.lower(),].append(path)
            return
        self.homes: dict[int, list[Path]] = collections.defaultdict(list)
        for path in self.subjects:
            self.homes[int(re.findall(r"\d+", path.name)[-1])].append(path)

    def places(
        self, number: int, clip: str, written: str, onset: str
    ) -> tuple[str, ...]:
        """Folders that a problem of this clip may name."""
        if self.name == "casme_cubed" and self.part.config.source == "clips":
            return ()
        homes = self.homes.get(self._home(number), [])
        return tuple(map(str, homes)) if len(homes) > 1 else ()

    def _home(self, number: int) -> int:
        if self.name == "casme_squared":
            return int(subject_of(self.part, number)[1:])
        return number

    def find(self, number: int, clip: str, written: str, onset: str) -> list[Path]:
        """The folder of a clip; none if there is none, several if it is not clear."""
        if self.name == "casme_cubed" and self.part.config.source == "clips":
            for moment in (written, onset):
                key = f"spno.{number}_{clip.lower()}_{moment}"
                if hits := self.by_key.get((key.lower(),)):
                    return hits
            return []
        homes = self.homes.get(self._home(number), [])
        home = _one(homes)
        if home is None:
            return homes
        if closed(home):
            return [home, home]  # it may be there: named, but not to be had
        inside = _folders(home)
        if self.name == "casme_squared":
            code = VIDEOS.get(clip.split("_")[0].lower())
            return [p for p in inside if code and f"_{code}" in p.name.lower()]
        there = [p for p in inside if p.name.lower() == clip.lower()]
        one = _one(there)
        if one is None or self.name != "casme_cubed":
            return there
        return [p for p in _folders(one) if p.name.lower() == "color"]


VIDEOS = {
    **{"disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402"},
    **{"happy1": "0502", "happy2": "0503", "happy3": "0505", "happy4": "0507"},
    "happy5": "0508",
}


def _subjects(part: Part) -> str:
    if part.config.name == "casme_cubed":
        clips = part.config.source == "clips"
        return r"spno\.\d+" + (r"_[a-m]_\d+" if clips else "")
    return part.builder.subject_folder


def _one(paths: list[Path]) -> Path | None:
    return paths[0] if len(paths) == 1 else None


def _folders(folder: Path) -> list[Path]:
    if closed(folder) or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir())


def closed(folder: Path) -> bool:
    """Whether we may not look into a folder."""
    return folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK)


def from_folders(part: Part, tree: Folders) -> Verdict:
    """SMIC: every folder of a clip is a row."""
    made, seen = Verdict(), set[Key]()
    for other in tree.others:
        if closed(other):
            return refused("closed")
        if any(p.name.lower() == "micro" for p in _folders(other)):
            return refused("clips of nobody")
    for subject in tree.subjects:
        if closed(subject):
            return refused("closed")
        micro = [p for p in _folders(subject) if p.name.lower() == "micro"]
        if len(micro) > 1:
            return refused("two folders micro")
        for emotion in _folders(micro[0]) if micro else ():
            for clip in sorted(emotion.iterdir()):
                one = _folder_row(part, subject, emotion, clip, seen)
                if isinstance(one, str):
                    return refused(one)
                if one is not None:
                    made.rows.append(one)
    return made


def _folder_row(
    part: Part, subject: Path, emotion: Path, clip: Path, seen: set[Key]
) -> Read | str | None:
    name = re.fullmatch(r"s(\d+)_(ne|po|sur)_(\d+)", clip.name.lower())
    if not clip.is_dir():
        return "a clip is no folder" if name else None
    if name is None:
        return "no name of a clip"
    number, tag, count = name.groups()
    home = re.findall(r"\d+", subject.name)[-1]
    if KNOWN_TAGS[tag] != emotion.name.lower() or int(number) != int(home):
        return "in the wrong place"
    if closed(clip):
        return "closed"
    there = images(clip)
    if any(len(paths) > 1 for paths in there.values()):
        return "two frames of one number"
    row = Read(str(clip), "", "bad", places=(str(clip),))
    row.key = (f"s{int(number):02d}", f"s{int(number):02d}_{tag}_{int(count):02d}")
    if row.key in seen:
        row.why = "duplicate"
        return row
    seen.add(row.key)
    if not there:
        row.why = "empty"
        return row
    texts = {"onset": str(min(there)), "apex": "", "offset": str(max(there))}
    moments = interval(part.config, texts)
    if moments is None:
        row.why = "interval"
        return row
    return with_frames(part.config, row, KNOWN_TAGS[tag], "", moments, clip)

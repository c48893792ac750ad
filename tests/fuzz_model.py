"""What a damaged set means: a second reading of its files, slow and literal."""

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from downloads import label_of
from fuzz_files import images, shown, spoiled, without_zeros
from fuzz_folders import Folders, closed, folders_in, only_one
from fuzz_part import Columns, Part, found, plain, subject_of

from data_builders.frame_set import ACTION_UNITS, OBJECTIVE_CLASS
from jmer.data.facs import objective_class, parse_action_units

Key = tuple[str, str]
Moments = tuple[int, int, int]
Rows = list[tuple[int, list[str]]]
"""With their numbers."""

KNOWN_TAGS = {"ne": "negative", "po": "positive", "sur": "surprise"}
NO_APEX = ("", "/", "-", "nan", "n/a", "na", "none", "null")


def readable(name: str, classes: str) -> bool:
    """Whether a tree has all that a labelling reads: CASME II's objective classes are
    in a sheet of their own."""
    return (name, classes) != ("casme2", "objective")


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
        place = f"{part.place}, sheet {title}" if title else f"{part.place}"
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
    folder = only_one(folders)
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


def label_for(config: Any, values: dict[str, str], units: str) -> str | None:
    """The class; empty if the labelling has none; None if the word is unknown."""
    rules = config.rules
    if rules.column == ACTION_UNITS:
        try:
            none = "none" if "none" in rules.classes else ""
            return objective_class(parse_action_units(units)) or none
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


def from_folders(part: Part, tree: Folders) -> Verdict:
    """SMIC: every folder of a clip is a row."""
    made, seen = Verdict(), set[Key]()
    for other in tree.others:
        if closed(other):
            return refused("closed")
        if any(p.name.lower() == "micro" for p in folders_in(other)):
            return refused("clips of nobody")
    for subject in tree.subjects:
        if closed(subject):
            return refused("closed")
        micro = [p for p in folders_in(subject) if p.name.lower() == "micro"]
        if len(micro) > 1:
            return refused("two folders micro")
        for emotion in folders_in(micro[0]) if micro else ():
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

"""Lists of who trains and is tested, as people write them down: CSV and JSON."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jmer.errors import JmerError, quoted
from jmer.files.inside import MOST_JSON

NAMES = ("clip", "clip_id", "filename", "name")
"""Columns that may name a clip, or the recording that it is of."""
SIDES = ("side", "split")
"""Columns that may say whether a line is of who trains or of who is tested."""
TRAIN, TEST = "train", "test"


class Row(NamedTuple):
    """A line of a list: the fold that it is of, and what its clip may be called; all
    clips of its subject, where it names none."""

    where: str
    fold: str
    subject: str
    clips: tuple[str, ...]
    side: str = TEST


def read_lists(file: Path, fold: str = "", side: str = TEST) -> Iterator[Row]:
    """The lines of a CSV file, or the entries of a JSON file. Of a list of one `fold`
    all are of that and its `side`; else the file says so.

    Raises: JmerError, naming the line, if one cannot be used.
    """
    if file.suffix.lower() == ".json":
        yield from _of_json(file)
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JmerError(
            f"{file} cannot be read as a list of clips ({error}): save it as CSV."
        ) from error
    if not lines:
        raise JmerError(f"{file} names nobody: fill it in, or remove it.")
    for number, line in enumerate(lines, start=2):
        told = {str(n).strip().lower(): str(v or "").strip() for n, v in line.items()}
        yield _of_line(f"{file}, line {number}", told, fold, side)


def _of_line(where: str, told: Mapping[str, str], fold: str, side: str) -> Row:
    """One line; a list without a column of clips is of whole subjects."""
    one_a_fold, whole = bool(fold), not {*NAMES} & {*told}
    clip = next((told[name] for name in NAMES if told.get(name)), "")
    fold = fold or told.get("fold", "")
    said = next((told[name].lower() for name in SIDES if told.get(name)), side)
    found = {"subject": told.get("subject", ""), "clip": clip or whole, "fold": fold}
    if lacking := [name for name, value in found.items() if not value]:
        raise JmerError(
            f"{where.replace(', line', ': line')} has no {lacking[0]}. A list of clips "
            f"has the columns subject and clip (or filename and onset; of whole "
            f"subjects, neither){'' if one_a_fold else ', and fold'}: correct it."
        )
    if said not in (TRAIN, TEST):
        raise JmerError(f"{where}: {quoted(said)} is no side: write {TRAIN} or {TEST}.")
    # One recording may have several clips, told apart by where they begin.
    onset = told.get("onset")
    names = (clip, f"{clip}_{onset}") if onset else (clip,)
    return Row(where, fold, told["subject"], () if whole else names, said)


def _of_json(file: Path) -> Iterator[Row]:
    """`{"FOLD": {"test": […], "train": […]}}`, or a list for each fold, which is
    tested. An entry is a subject, or `[subject, clip]`."""
    try:
        if file.stat().st_size > MOST_JSON:
            raise JmerError(f"{file} is too large for lists of clips: save it as CSV.")
        text = file.read_text(encoding="utf-8-sig")
        found = json.loads(text, object_pairs_hook=_each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise JmerError(
            f"{file} cannot be read as lists of clips ({error}): correct the JSON."
        ) from error
    if isinstance(found, list):
        found = {f"fold{i}": sides for i, sides in enumerate(found)}
    if not isinstance(found, dict) or not found:
        raise JmerError(
            f'{file} has no folds: write {{"NAME": {{"test": ["SUBJECT"]}}}}.'
        )
    for fold, sides in found.items():
        for side, entries in _sides(f"{file}, fold {fold}", sides):
            for entry in entries:
                yield _of_entry(f"{file}, fold {fold}", fold, side, entry)


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises: ValueError for a name that is there twice, of which
    one would be lost, or is empty."""
    found = dict(pairs)
    if len(found) < len(pairs) or "" in found:
        names = [name for name, _ in pairs]
        wrong = next(name for name in names if not name or names.count(name) > 1)
        raise ValueError(f"{wrong!r} is a name {'twice' if wrong else 'of nothing'}")
    return found


def _sides(where: str, sides: Any) -> Iterator[tuple[str, Sequence[Any]]]:
    sides = {TEST: sides} if isinstance(sides, list) else sides
    if not isinstance(sides, dict) or not {TEST} <= {*sides} <= {TEST, TRAIN}:
        raise JmerError(
            f"{where}: a fold is a list of who is tested, or has the lists {TEST} and "
            f"{TRAIN}: correct it."
        )
    for side, entries in sides.items():
        if not isinstance(entries, list) or not entries:
            raise JmerError(f"{where} names nobody to {side}: fill the list in.")
        yield side, entries


def _of_entry(where: str, fold: str, side: str, entry: Any) -> Row:
    if isinstance(entry, dict):
        entry = [entry.get("subject"), *([entry["clip"]] if "clip" in entry else [])]
    names = [entry] if isinstance(entry, str) else entry
    texts = isinstance(names, list) and all(isinstance(n, str) and n for n in names)
    if not texts or len(names) not in (1, 2):
        raise JmerError(
            f"{where}: {quoted(json.dumps(entry))} names nobody: write a subject, or "
            f'["SUBJECT", "CLIP"].'
        )
    return Row(where, fold, names[0], tuple(names[1:]), side)

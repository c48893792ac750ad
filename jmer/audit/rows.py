"""Tables of other people: a CSV file, its columns by name, its values checked."""

import csv
import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jmer.audit.roster import Name
from jmer.errors import JmerError, UsageError, quoted

COLUMNS = {
    "subject": ("subject",),
    "dataset": ("dataset",),
    "clip": ("clip",),
    "label": ("label", "emotion"),
    "predicted": ("predicted", "prediction"),
    "fold": ("fold",),
    "seed": ("seed",),
    "epoch": ("epoch",),
    "video": ("video", "filename"),
    "onset": ("onset",),
    "offset": ("offset",),
    "split": ("split",),
}
"""What a table may have, and how the column is called, in whatever case."""


@dataclass(frozen=True)
class ListedRow:
    """One line: values by the names in `COLUMNS`, of the columns that there are."""

    where: str
    values: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str) -> int | None:
        """A whole number; None where the column or the value is not there.

        Raises: JmerError if the value is something else.
        """
        text = self.text(name)
        if not text:
            return None
        # Spreadsheets write 12 as 12.0.
        if not re.fullmatch(r"-?\d{1,12}(\.0+)?", text):
            raise JmerError(
                f"{self.where}: {name} {quoted(text)} is no whole number. Correct it, "
                f"or leave it empty."
            )
        return int(text.partition(".")[0])

    @property
    def span(self) -> tuple[str, int, int] | None:
        """The video and its frames, None where they are not known, or the offset is
        before the onset.
        """
        onset, offset = self.number("onset"), self.number("offset")
        video = self.text("video")
        if onset is None or offset is None or not video or offset < onset:
            return None
        # A letter of a video may come in either case.
        scope = (self.text("dataset"), self.text("subject"), video.lower())
        return "/".join(scope), onset, offset

    @property
    def name(self) -> Name | None:
        """Data set, subject and clip. Where no column names the clip, its video and
        onset do; None without either.
        """
        clip = self.text("clip")
        if not clip and self.text("video"):
            onset = self.number("onset")
            video = self.text("video").lower()
            clip = video if onset is None else f"{video}_{onset}"
        return (self.text("dataset"), self.text("subject"), clip) if clip else None


def plain(text: str) -> str:
    """A value without what cannot be seen: blanks around it and of other kinds, marks
    of byte order, digits and letters of full width.
    """
    text = unicodedata.normalize("NFKC", text)
    seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


def parse_columns(words: Sequence[str]) -> dict[str, str]:
    """`subject=Subject` as a choice of columns.

    Raises: UsageError for a name that no table has.
    """
    chosen = {}
    for word in words:
        name, equals, column = word.partition("=")
        if not equals or name not in COLUMNS:
            raise UsageError(
                f"columns={word}: must be NAME=COLUMN with a name of "
                f"{', '.join(COLUMNS)}"
            )
        chosen[name] = column
    return chosen


def read_rows(
    path: Path, required: Sequence[str], chosen: Mapping[str, str] | None = None
) -> list[ListedRow]:
    """The lines of a CSV file; `chosen` names columns that are called otherwise.

    Raises: JmerError if it cannot be read, lacks a required column or value, or is
    empty.
    """
    header, lines = _read(path)
    columns = _columns(path, header, required, chosen or {})
    rows = []
    for number, line in lines:
        where = f"{path}, line {number}"
        if len(line) != len(header):
            raise JmerError(
                f"{where} has {len(line)} values for {len(header)} columns. Correct it."
            )
        values = {name: plain(line[place]) for name, place in columns.items()}
        row = ListedRow(where, values)
        trains = row.text("split").lower() == "train"
        for name in ("subject",) if trains else required:
            if not row.text(name):
                raise JmerError(f"{where}: {name} is empty. Fill it in.")
        rows.append(row)
    if not rows:
        raise JmerError(f"{path} has no rows: there is nothing to audit.")
    return rows


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Spreadsheets write semicolons where a comma is a decimal point.
            first = file.readline()
            file.seek(0)
            reader = csv.reader(
                file, strict=True, delimiter=max(",;\t", key=first.count)
            )
            lines = [(reader.line_num, line) for line in reader if line]
    except OSError as error:
        raise JmerError(f"cannot read {path}: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise JmerError(
            f"{path} is no CSV file in UTF-8 ({error}). Save it as one."
        ) from error
    if not lines:
        raise JmerError(f"{path} is empty: there is nothing to audit.")
    return [plain(name) for name in lines[0][1]], lines[1:]


def _columns(
    path: Path,
    header: Sequence[str],
    required: Sequence[str],
    chosen: Mapping[str, str],
) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, usual in COLUMNS.items():
        if name in chosen:
            places = [i for i, column in enumerate(header) if column == chosen[name]]
        else:
            places = [i for i, column in enumerate(header) if column.lower() in usual]
        if len(places) > 1:
            called = [header[place] for place in places]
            raise JmerError(
                f"{path} has two columns for {name}: {called[0]} and {called[1]}. "
                + (
                    f"Choose one with --columns "
                    f"{' or '.join(shlex.quote(f'{name}={c}') for c in called)}."
                    if len(set(called)) == len(called)
                    else "Rename one of the two in the file: no option can tell them "
                    "apart."
                )
            )
        if places:
            found[name] = places[0]
        elif name in required or name in chosen:
            raise JmerError(
                f"{path} has no column {chosen.get(name, name)}, but "
                f"{', '.join(header)}. Say which it is with --columns {name}=COLUMN."
            )
    return found

"""TFDS builder of FER2013."""

import collections
import contextlib
import csv
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from data_builders import places
from data_builders.fer2013 import EMOTIONS, PLUS, Fer2013, votes
from data_builders.sheet_files import is_file
from data_builders.sheets import whole
from jmer.data.asking import data_option
from jmer.data.builder import ClipBuilder
from jmer.data.tables import streamed
from jmer.errors import JmerError, quoted
from jmer.preprocess.clip_recipe import Shapes

TABLE = "fer2013.csv"
COLUMNS = ("emotion", "pixels", "usage")
SIZE = 48
USAGES = {"training": 28_709, "publictest": 3_589, "privatetest": 3_589}
COUNTS = dict(
    zip(EMOTIONS, (4_953, 547, 5_121, 8_989, 6_077, 4_002, 6_198), strict=True)
)
"""Published numbers of images."""
SHOWN = 20  # of many damaged rows


@dataclass(frozen=True)
class Rows:
    """What the table holds; images lie in one array, since there are many."""

    label: list[int]
    usage: list[str]
    images: UInt8[np.ndarray, "n 48 48 1"]
    problems: list[str]
    number: list[int]
    """Of each image in the published table, from 0."""
    left_out: int = 0
    """Images on which people do not agree, or which show no face."""


class Builder(ClipBuilder):
    """`image` is uint8 [48, 48, 1]: a clip of one frame, its onset, apex and offset.

    Who is shown is not known. A "subject" is therefore the use of an image (training,
    publictest, privatetest), of which training is never tested: leave-one-subject-out
    then has two folds, one a half of the test set, and people may be on both sides.
    """

    data: Fer2013
    VERSION = "1.0.0"
    some_train_only = True

    def class_names(self) -> tuple[str, ...]:
        return PLUS if self.voted else EMOTIONS

    @property
    def voted(self) -> bool:
        """Whether labels are those of FER+."""
        return self.data.labels == "fer+"

    @functools.cached_property
    def votes_table(self) -> Path:
        """Raises: JmerError if it is not there."""
        file = self.table.with_name(votes.TABLE)
        if not file.is_file():
            raise JmerError(
                f"no {votes.TABLE} in {file.parent}, which labels=fer+ needs: put it "
                f"beside {TABLE} as published (github.com/microsoft/FERPlus), or "
                f"choose {data_option('labels', 'fer2013')}."
            )
        return file

    def tensors(self) -> Shapes:
        return {"image": ((SIZE, SIZE, 1), np.uint8)}

    @functools.cached_property
    def table(self) -> Path:
        """Raises: JmerError if it is not there."""
        root = self.require_manual_dir()
        for path in (root / TABLE, root / "fer2013" / TABLE):
            if path.is_file():
                return path
        near = places.hint(root, lambda folder: is_file(folder / TABLE))
        raise JmerError(
            f"no {TABLE} in {root}: put it there as published, not the variant of "
            f"folders of images.{near}"
        )

    @functools.cached_property
    def rows(self) -> Rows:
        """Raises: JmerError if the table cannot be read or lacks a column."""
        rows = self._rows
        return self._by_votes(rows) if self.voted else rows

    def _by_votes(self, rows: Rows) -> Rows:
        """With the labels of FER+, and without the images that have none."""
        found, problems = votes.read_votes(self.votes_table)
        problems = [*rows.problems, *problems]
        counts = len(rows.number) + len(rows.problems), len(found)
        if counts[0] != counts[1]:
            problems.append(
                f"{self.votes_table} has {counts[1]} rows, and {self.table} {counts[0]}"
                f" images: they are told by their order. Restore the published files."
            )
        if problems:
            return Rows(rows.label, rows.usage, rows.images, problems, rows.number)
        for i, voted in enumerate(found):
            if voted.usage != rows.usage[i]:
                problem = (
                    f"{self.votes_table}, line {voted.line}: usage "
                    f"{quoted(voted.usage)} of an image that is {rows.usage[i]} in "
                    f"{self.table}: they are told by their order. Restore the "
                    f"published files."
                )
                return Rows(rows.label, rows.usage, rows.images, [problem], rows.number)
        kept = [i for i, voted in enumerate(found) if voted.label is not None]
        return Rows(
            [label for i in kept if (label := found[i].label) is not None],
            [rows.usage[i] for i in kept],
            rows.images[kept],
            [],
            kept,
            len(found) - len(kept),
        )

    @functools.cached_property
    def _rows(self) -> Rows:
        """By the table of images alone."""
        made = Rows([], [], np.zeros((0, SIZE, SIZE, 1), np.uint8), [], [])
        images: list[np.ndarray] = []
        for line, (emotion, pixels, usage) in self._cells():
            try:
                label, image = _label(emotion), _image(pixels)
                if usage.lower() not in USAGES:
                    raise ValueError(f"unknown usage {usage[:20]!r}; it must be one of "
                                     f"Training, PublicTest, PrivateTest")  # fmt: skip
            except ValueError as error:
                made.problems.append(
                    f"{self.table}, line {line}: {error}. Restore the published file, "
                    f"or remove the line."
                )
                continue
            made.label.append(label)
            made.usage.append(usage.lower())
            images.append(image)
        if not images and not made.problems:
            made.problems.append(f"{self.table} has no images. Restore the file.")
        number = list(range(len(images)))
        return Rows(made.label, made.usage, np.array(images), made.problems, number)

    def _cells(self) -> Iterator[tuple[int, tuple[str, str, str]]]:
        """Line numbers, and the three columns that are needed of each."""
        try:
            with contextlib.closing(streamed(self.table)) as lines:
                header = [cell.lower() for cell in next(lines, (0, []))[1]]
                if missing := [c for c in COLUMNS if c not in header]:
                    raise JmerError(
                        f"{self.table} has no column {missing[0]!r} in its first line: "
                        f"it needs emotion, pixels, Usage. Restore the published file."
                    )
                at = [header.index(column) for column in COLUMNS]
                for number, cells in lines:
                    if cells:
                        cells += [""] * (max(at) + 1 - len(cells))
                        emotion, pixels, usage = (cells[i] for i in at)
                        yield number, (whole(emotion), pixels, usage)
        except (OSError, ValueError, csv.Error) as error:
            raise JmerError(
                f"cannot read {self.table} ({error}): restore the published file."
            ) from error

    def problems(self) -> list[str]:
        found = self.rows.problems
        more = [f"{self.table}: {len(found) - SHOWN} more such lines."]
        return found[:SHOWN] + (more if len(found) > SHOWN else [])

    def summary(self) -> str:
        rows = self.rows
        names = self.class_names()
        of_class = collections.Counter(names[i] for i in rows.label)
        of_usage = collections.Counter(rows.usage)
        per_class = ", ".join(f"{of_class[name]} {name}" for name in names)
        lines = [f"{len(rows.label)} images, no subjects ({per_class})"]
        if rows.left_out:
            lines.append(
                f"  left out: {rows.left_out} images without a majority of "
                f"votes for one of these emotions"
            )
        theirs = (votes.COUNTS, votes.USAGES) if self.voted else (COUNTS, USAGES)
        for counts, published in zip((of_class, of_usage), theirs, strict=True):
            lines += [
                f"  note: {counts[name]} {name}, {number} were published"
                for name, number in published.items()
                if counts[name] != number
            ]
        return "\n".join(lines)

    def digests(self) -> dict[str, str]:
        files = [self.table, *([self.votes_table] if self.voted else [])]
        return self.digests_of(files)

    def items(self) -> range:
        return range(len(self.rows.label))

    def example(self, item: int) -> dict[str, Any]:
        usage = self.rows.usage[item]
        return {
            "image": self.rows.images[item],
            "label": self.rows.label[item],
            "subject": usage,
            "dataset": self.data.name,
            "clip_id": f"{self.rows.number[item]:05d}",
            "onset": 0,
            "apex": 0,
            "offset": 0,
            "action_units": "",
            "train_only": usage == "training",
        }


def _label(text: str) -> int:
    if text not in {f"{i}" for i in range(len(EMOTIONS))}:
        raise ValueError(f"unknown emotion {text[:20]!r}; it must be 0 to 6")
    return int(text)


def _image(text: str) -> UInt8[np.ndarray, "48 48 1"]:
    """Raises: ValueError unless `text` is 48x48 whole numbers of 0 to 255."""
    if not re.fullmatch("[0-9 ]+", text):
        raise ValueError("pixels are not all whole numbers")
    # Of digits and blanks, this parser makes the 83 million numbers in seconds.
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIZE * SIZE:
        raise ValueError(f"{values.size} pixels instead of {SIZE * SIZE}")
    if values.max() > 255:
        raise ValueError(f"pixel {values.max()} is not in 0..255")
    return values.astype(np.uint8).reshape(SIZE, SIZE, 1)

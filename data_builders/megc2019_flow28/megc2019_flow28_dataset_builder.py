"""TFDS builder of the flow images that were published with STSTNet."""

import collections
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_builders import places
from data_builders.disk import looking
from data_builders.sheet_files import is_file
from data_builders.sheets import whole
from jmer.data.builder import ClipBuilder
from jmer.data.summary import population
from jmer.data.tables import read_tables
from jmer.errors import JmerError, quoted
from jmer.preprocess.clip_recipe import Shapes

TABLE = "combined_3_class2_for_optical_flow.csv"
FOLDER = "STSNet_whole_norm_u_v_os"
COLUMNS = ("dataset", "sub", "filename_o", "label")
SIZE = 28


@dataclass(frozen=True)
class FlowImage:
    """One line of the table, and its image."""

    line: int
    dataset: str
    subject: str
    clip: str
    label: str
    image: Path


class Builder(ClipBuilder):
    """442 clips of 68 subjects: 250 negative, 109 positive, 83 surprise.

    `apex_flow` is uint8 [28, 28, 3]: horizontal flow, vertical flow and optical
    strain from onset to apex, each stretched to 0..255 over its own image by the
    authors (Liong et al. 2019, section III-A), so flow has no unit and its zero
    differs between clips. The PNG files store them as red, green and blue.
    """

    VERSION = "1.1.0"

    def class_names(self) -> tuple[str, ...]:
        return ("negative", "positive", "surprise")

    def tensors(self) -> Shapes:
        return {"apex_flow": ((SIZE, SIZE, 3), np.uint8)}

    @functools.cached_property
    def rows(self) -> list[FlowImage]:
        """Raises: JmerError if the table is missing or lacks a column."""
        root = self.require_manual_dir()
        table = root / TABLE
        try:
            read = read_tables(table)[0]
        except JmerError as error:
            near = places.hint(root, lambda folder: is_file(folder / TABLE))
            raise JmerError(
                f"{error} Give the folder that holds it and {FOLDER}/ as the manual "
                f"directory.{near}"
            ) from error
        # Blank lines count, but are no rows.
        lines = [(n, row) for n, row in zip(read.lines, read.rows, strict=True) if row]
        numbered = [
            (n, dict(itertools.zip_longest(lines[0][1], row, fillvalue="")))
            for n, row in lines[1:]
        ]
        missing = [c for c in COLUMNS if not numbered or c not in numbered[0][1]]
        if missing:
            raise JmerError(
                f"{table} has no row with column {missing[0]!r}: it needs "
                f"{', '.join(COLUMNS)}. Restore the published file."
            )
        return [self._row(root, i, line) for i, line in numbered]

    def _row(self, root: Path, line: int, values: dict[str, str]) -> FlowImage:
        dataset, subject, clip, label = (whole(values[c]) for c in COLUMNS)
        # The published names have a space before the dot.
        image = root / FOLDER / f"{subject}_{clip} .png"
        return FlowImage(line, dataset, subject, clip, label, image)

    def problems(self) -> list[str]:
        problems = []
        table = self.require_manual_dir() / TABLE
        seen: dict[tuple[str, str], int] = {}
        homes: dict[str, FlowImage] = {}
        for row in self.rows:
            where = f"{table}, line {row.line}"
            if not (row.dataset and row.subject and row.clip):
                problems.append(
                    f"{where}: dataset, subject or clip is empty. Fill it in or remove "
                    f"the line."
                )
                continue
            if row.label not in ("0", "1", "2"):
                problems.append(
                    f"{where}: unknown label {quoted(row.label)} of clip {row.clip}. "
                    f"It must be 0 (negative), 1 (positive) or 2 (surprise)."
                )
            key = (row.subject, row.clip)
            if key in seen:
                problems.append(
                    f"{where}: duplicate clip {row.clip} of subject {row.subject}, "
                    f"first on line {seen[key]}. Remove one of the two."
                )
            seen.setdefault(key, row.line)
            home = homes.setdefault(row.subject, row)
            if home.dataset != row.dataset:
                problems.append(
                    f"{where}: subject {row.subject} is in {row.dataset}, but in "
                    f"{home.dataset} on line {home.line}; a subject names one person. "
                    f"Prefix the names with their data set."
                )
            problems += self._image_problems(row, where)
        return problems

    def _image_problems(self, row: FlowImage, where: str) -> list[str]:
        if not is_file(row.image):
            return [
                f"{where}: image {row.image} of clip {row.clip} is missing. Restore "
                f"the file or remove the line."
            ]
        try:
            read_image(row.image)
        except JmerError as error:
            return [str(error)]
        return []

    def sources(self) -> list[Path]:
        table = self.require_manual_dir() / TABLE
        return [table, *(row.image for row in self.rows if is_file(row.image))]

    def summary(self) -> str:
        names = self.class_names()
        lines = [population(len(self.rows), len({r.subject for r in self.rows}))]
        for dataset in sorted({row.dataset for row in self.rows}):
            own = [row for row in self.rows if row.dataset == dataset]
            counts = collections.Counter(names[int(row.label)] for row in own)
            per_class = {name: counts[name] for name in names}
            found = population(len(own), len({r.subject for r in own}), per_class)
            lines.append(f"  {dataset}: {found}")
        return "\n".join(lines)

    def examples(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            yield {
                "apex_flow": read_image(row.image),
                "label": int(row.label),
                "subject": row.subject,
                "dataset": row.dataset,
                "clip_id": row.clip,
                "onset": -1,
                "apex": -1,
                "offset": -1,
                "action_units": "",
            }


def read_image(path: Path) -> np.ndarray:
    """A flow image, uint8 [28, 28, 3] in the order horizontal, vertical, strain.

    Raises: JmerError if the file is truncated, no PNG, or of another size.
    """
    with looking(path):
        content = path.read_bytes()
    # OpenCV decodes what is there of a truncated PNG, and leaves the rest black.
    whole = content.startswith(b"\x89PNG") and b"IEND" in content[-12:]
    try:
        image = (
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if whole
            else None
        )
    except cv2.error:  # more pixels than OpenCV believes
        image = None
    if image is None:
        raise JmerError(
            f"image {path} is truncated or no PNG ({len(content)} bytes). Restore it "
            f"from the published archive."
        )
    if image.shape != (SIZE, SIZE, 3):
        raise JmerError(
            f"image {path} is {image.shape[1]}x{image.shape[0]}, not {SIZE}x{SIZE}. "
            f"Restore it from the published archive."
        )
    return np.ascontiguousarray(image[..., ::-1])

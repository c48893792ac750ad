"""A prepared set whose clips stay on disk, as rows that can be read in any order.

The rows are made once, in jmer's cache folder: what TFDS stores is compressed clip by
clip, and unpacking it would take longer than the steps it is for.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.rows import RowFile
from jmer.data.stored import SPLIT, TYPES, stored
from jmer.data.sums import SUMS, has_sums
from jmer.errors import JmerError
from jmer.files import read_json, replacing, write_json
from jmer.files.cache import cache_folder, in_cache
from jmer.files.digest import written_file

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder

ABOUT = "rows.json"
FORMAT = 1


def size_of(builder: "ClipBuilder") -> int:
    """Bytes of the features of a prepared set."""
    clips = builder.info.splits[SPLIT].num_examples
    return clips * sum(
        math.prod(shape) * np.dtype(dtype).itemsize
        for shape, dtype in builder.tensors().values()
    )


def on_disk(
    builder: "ClipBuilder",
    say: Callable[[str], Any],
    stopping: Callable[[], bool] = lambda: False,
) -> ClipSet:
    """The clips of a prepared set, whose inputs are `RowFile`s; they are written first
    where need be, and another process that does so is waited for.

    Raises: JmerError if there is no room for them, or they are damaged; what reading
    the prepared set raises.
    """
    folder = Path(builder.data_dir)
    if not has_sums(folder):
        raise JmerError(
            f"{folder} was prepared before checksums, and is too large to be read "
            f"without: delete it and prepare it again."
        )
    key = written_file(folder / SUMS)["sha256"][:24]
    about = cache_folder() / "rows" / f"{builder.data.name}-{key}" / ABOUT
    if (clips := _read(about, builder)) is not None:
        return clips
    with in_cache(about, f"the rows of {folder}", say, stopping):
        # Another process may have made them in the meantime.
        clips = _read(about, builder)
        if clips is None:
            say(
                f"writing the {size_of(builder) / 1e9:.3g} GB of {builder.data.name} "
                f"as rows to {about.parent}, once"
            )
            _write(about, builder, stopping)
            clips = _read(about, builder)
        assert clips is not None
        return clips


def _write(about: Path, builder: "ClipBuilder", stopping: Callable[[], bool]) -> None:
    """What describes the rows is written last: they are whole where it is there."""
    columns: dict[str, list[Any]] = {name: [] for name in TYPES}
    tensors = builder.tensors()
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context(replacing(_file(about, name))) for name in tensors
        }
        for clip in stored(builder):
            if stopping():
                raise KeyboardInterrupt
            for name, column in columns.items():
                column.append(clip[name])
            for name, (_, dtype) in tensors.items():
                files[name].write(np.ascontiguousarray(clip[name], dtype).data)
    order = np.lexsort([columns[n] for n in ("clip_id", "subject", "dataset")])
    described = {
        "format": FORMAT,
        "set": str(builder.data_dir),
        "order": order.tolist(),
        "columns": columns,
    }
    clips = _clips(about, builder, described)
    write_json(about, {**described, "fingerprint": clips.fingerprint})


def _read(about: Path, builder: "ClipBuilder") -> ClipSet | None:
    """None if they are not there. Raises: JmerError if they are damaged."""
    if not about.exists():
        return None
    remedy = f"remove {about.parent}, and it is made anew from the prepared set."
    described = read_json(about, required=True, remedy=remedy)
    if described["format"] != FORMAT:
        return None
    clips = _clips(about, builder, described)
    if clips.fingerprint != described["fingerprint"]:
        raise JmerError(
            f"{about.parent} is damaged (its clips are not those that were written): "
            f"{remedy}"
        )
    return clips


def _clips(about: Path, builder: "ClipBuilder", told: Mapping[str, Any]) -> ClipSet:
    order = np.array(told["order"], np.int64)
    # Rows of before sessions were known say nothing of them.
    values = {"session": [""] * len(order), **told["columns"]}
    columns: dict[str, Any] = {
        name: np.array(values[name], kind)[order] for name, kind in TYPES.items()
    }
    inputs: dict[str, Any] = {
        name: RowFile(_file(about, name), (len(order), *shape), dtype, order)
        for name, (shape, dtype) in builder.tensors().items()
    }
    return ClipSet(
        name=builder.data.name,
        classes=tuple(builder.class_names()),
        inputs=inputs,
        **columns,
    )


def _file(about: Path, name: str) -> Path:
    return about.with_name(f"{name}.rows")

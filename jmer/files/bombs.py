"""Archives that are small on the disk and huge in memory are refused before they are
read.

What jmer writes is not compressed, and weights that others compress shrink by far less
than this.
"""

import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from jmer.errors import JmerError

ROOM = 256 * 2**20
"""Bytes that any archive may take, whatever its size."""
MOST_GROWTH = 8
"""By how much arrays may be larger in memory than in their file, beyond `ROOM`."""
MOST_PARTS = 100_000


def require_small(file: Path, opened: IO[bytes] | None = None) -> None:
    """Looks at what a zip file of arrays says of itself; what is none passes.

    Raises: JmerError if it would take more than 256 MiB and eight times its own size.
    """
    source = file if opened is None else opened
    size = (
        Path(file).stat().st_size
        if opened is None
        else os.fstat(opened.fileno()).st_size
    )
    _require(file, source, max(ROOM, MOST_GROWTH * size))


def _require(file: Path, source: Path | IO[bytes], most: int) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            parts = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # for its reader to complain of
    finally:
        if not isinstance(source, Path):
            source.seek(0)
    total, size = sum(part.file_size for part in parts), Path(file).stat().st_size
    if total > most or len(parts) > MOST_PARTS:
        raise JmerError(
            f"{file} is {size:,} bytes on the disk, but says that it "
            f"unpacks to {total:,} in {len(parts):,} parts, and at most {most:,} are "
            f"believed. It is damaged, or made to fill the memory: get it again from "
            f"where it came from."
        )


def load_arrays(file: Path, opened: IO[bytes]) -> dict[str, np.ndarray]:
    """All arrays of an open `.npz` file, by name; none with objects of Python.

    Raises: JmerError as `require_small`, or ValueError for an array that says it is
    larger than its part of the file; whatever NumPy raises for damaged ones.
    """
    require_small(file, opened)
    archive = np.load(opened, allow_pickle=False)
    if isinstance(archive, np.ndarray):
        raise ValueError("it is a single array")
    with archive:
        return {name: _array(archive, name) for name in archive.files}


def _array(archive: Any, name: str) -> np.ndarray:
    """One array; its header is believed only as far as there is data."""
    entry = name if name in archive.zip.namelist() else f"{name}.npy"
    size = archive.zip.getinfo(entry).file_size
    with archive.zip.open(entry) as part:
        version = np.lib.format.read_magic(part)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"{name} is of an unknown version")
        shape, _, dtype = read(part)
    if min(shape, default=1) < 0 or math.prod(shape) * max(dtype.itemsize, 1) > size:
        raise ValueError(f"{name} says that it has shape {shape}, but is cut short")
    return archive[name]

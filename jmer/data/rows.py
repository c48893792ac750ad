"""Clips in a file, row after row: a set that need not fit into memory."""

import math
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jmer.annotations import Int
from jmer.errors import JmerError


class RowFile:
    """An array [n, ...] whose rows lie in a file, each read when it is asked for.

    It has the shape and type of an array and is indexed along its first axis, by a
    number, a slice or an array of numbers, which gives arrays; `order` [n] says which
    row of the file each of its own is. Reading is safe from several threads.

    Raises: JmerError if the file cannot be read, or is shorter than its rows.
    """

    def __init__(
        self,
        file: Path,
        shape: tuple[int, ...],
        dtype: Any,
        order: Int[np.ndarray, " n"],
    ) -> None:
        self.file, self.shape, self.dtype = file, shape, np.dtype(dtype)
        self.order = order
        self._row = math.prod(shape[1:]) * self.dtype.itemsize
        try:
            self._opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._opened)
            found = os.fstat(self._opened).st_size
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        if found != self.nbytes:
            raise self._damaged(f"has {found} bytes, not {self.nbytes}")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self._row * self.shape[0]

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> np.ndarray:
        chosen = np.arange(len(self))[index]
        made = np.empty((np.size(chosen), *self.shape[1:]), self.dtype)
        self.read_into(made, np.atleast_1d(chosen))
        return made[0] if np.ndim(chosen) == 0 else made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("its rows are in a file, and an array of them is a copy")
        return self[:].astype(dtype or self.dtype, copy=False)

    def reshape(self, *shape: int) -> "RowFile":
        """The same rows, as many, of another shape."""
        values = math.prod(self.shape[1:])
        if shape == (len(self), -1):
            shape = (len(self), values)
        if shape[0] != len(self) or math.prod(shape[1:]) != values:
            raise ValueError(f"{self.shape} is not {shape}, row by row")
        return RowFile(self.file, shape, self.dtype, self.order)

    def read_into(self, made: np.ndarray, index: Int[np.ndarray, " m"]) -> None:
        """The rows `index`, in this order, to a contiguous array [m, ...] of its type;
        neighbours are read at once."""
        rows = self.order[index]
        if not made.size:
            return
        bits = made.reshape(-1).view(np.uint8).data
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
            self._fill(
                bits[start * self._row : stop * self._row], int(rows[start]) * self._row
            )

    def _fill(self, bits: memoryview, place: int) -> None:
        while len(bits):
            try:
                count = os.preadv(self._opened, [bits], place)
            except OSError as error:
                raise self._damaged(error.strerror or str(error)) from error
            if not count:
                raise self._damaged("ends too early")
            bits, place = bits[count:], place + count

    def _damaged(self, reason: str) -> JmerError:
        return JmerError(
            f"{self.file} is damaged ({reason}): remove {self.file.parent}, and it is "
            f"made anew from the prepared set."
        )

"""Output that ends no command: to a pipe that closed, a full disk, or an encoding that
lacks letters."""

import codecs
import errno
import io
import os
import select
import shutil
import sys
from typing import Any

PLAIN = {
    "–": "-",
    "—": "-",
    "…": "...",
    "±": "+/-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "\N{NO-BREAK SPACE}": " ",
}
"""What jmer prints beside ASCII, for terminals that have nothing else."""


def plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an encoding lacks; other letters are escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(PLAIN.get(x) or _escaped(x) for x in letters), error.end


def _escaped(letter: str) -> str:
    return letter.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error("jmer.plain", plain)


LEAST_WIDTH = 40


class Lasting(io.RawIOBase):
    """A descriptor to write to; once that fails, what is written is dropped."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, content: Any) -> int:
        while self.failure is None:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:  # another program made it one that does not wait
                select.select([], [self.descriptor], [])
            except OSError as error:
                self.failure = error
        return len(content)


def lenient() -> None:
    """Names of files may hold what the encoding of a stream lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="jmer.plain")


def take_over() -> None:
    """Makes the standard streams of this process such that no write to them fails: a
    training of hours does not end because nobody reads its progress.

    Where one is closed, the next file opened would take its place, and get what is
    printed: it becomes the null device.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or io.TextIOWrapper(
        io.FileIO(0, closefd=False), encoding="utf-8"
    )
    sys.stdout = _taken(sys.stdout, 1)
    sys.stderr = _taken(sys.stderr, 2)
    # In less, nothing can be read; of one column, help is never done.
    if (width := shutil.get_terminal_size().columns) < LEAST_WIDTH:
        os.environ["COLUMNS"] = str(LEAST_WIDTH)
    elif "COLUMNS" in os.environ:
        os.environ["COLUMNS"] = str(width)  # which may be no number


def _taken(stream: Any, descriptor: int) -> Any:
    if stream is not None and (
        type(stream) is not io.TextIOWrapper or stream.fileno() != descriptor
    ):
        return stream  # somebody else's
    return io.TextIOWrapper(
        io.BufferedWriter(Lasting(descriptor)),
        encoding=stream.encoding if stream else "utf-8",
        errors="jmer.plain",
        line_buffering=descriptor == 2 or os.isatty(descriptor),
    )


def failure() -> str | None:
    """Why what was printed is not where it should be; None if it is, or if whoever read
    it has stopped to."""
    if sys.stdout is None:
        return None
    try:
        sys.stdout.flush()
    except OSError as error:
        return _said(error)
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return _said(raw.failure) if isinstance(raw, Lasting) and raw.failure else None


def _said(error: OSError) -> str | None:
    gone = error.errno in (errno.EPIPE, errno.ECONNRESET)
    return None if gone else error.strerror or str(error)

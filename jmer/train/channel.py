"""The line between the processes of a run: what they tell one another, and who is lost.

The first process has a connection to each of the others. Whoever dies is missed at
once, since the system closes its connection; who is stopped, or cut off, is missed
when nothing has been heard for a while. The others are then told, and end.
"""

import contextlib
import json
import multiprocessing
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jmer.errors import JmerError, shortened
from jmer.files.ending import end_at_once

BEAT_SECONDS = 2.0  # between two signs of life
SILENCE_SECONDS = 16.0  # after which a process counts as lost
GRACE_SECONDS = 8.0  # to save what there is, once one is lost
WAKE_SECONDS = 0.2
HEADER = struct.Struct("!4sI")
MOST = 2**30  # bytes of a message
GO_ON = "The same command goes on from the last checkpoint."


class Lost(JmerError):
    """Another process of the run has ended before its time."""


class Member(NamedTuple):
    """One of the processes, for people."""

    number: int
    of: int
    host: str
    process: int

    def __str__(self) -> str:
        where = f"{self.host}, process id {self.process}"
        return f"process {self.number} of {self.of} ({where})"


class Link:
    """A connection that carries messages: four letters of kind, and bytes."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self._sending = threading.Lock()

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Raises: OSError if nobody is there any more."""
        with self._sending:
            self.connection.sendall(HEADER.pack(kind, len(content)) + content)

    def receive(self, most: int = MOST) -> tuple[bytes, bytes]:
        """The next message.

        Raises: EOFError at the end; OSError if the connection breaks; ValueError for
        what is no message of at most `most` bytes.
        """
        kind, size = HEADER.unpack(self._exactly(HEADER.size))
        if size > most or not kind.isalpha():
            raise ValueError("no message of jmer")
        return kind, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            part = self.connection.recv(min(missing, 2**20))
            if not part:
                raise EOFError
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class Channel:
    """The processes of a run, of which this is `members[index]`.

    `links` are this process's connections, by the number of the other: to all others
    for the first one, else to that one. `stopping` says that this process is to end.
    """

    def __init__(
        self,
        index: int,
        members: Sequence[Member],
        links: Mapping[int, Link],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.index, self.members = index, members
        self.lost: str | None = None
        """One sentence about the first process that was lost."""
        self._links, self._stopping = links, stopping
        self._news = threading.Condition()
        self._round = 0
        self._parts: dict[int, dict[int, bytes]] = {}
        self._results: dict[int, list[bytes]] = {}
        self._left: set[int] = set()
        self._closed = False
        self._heard = dict.fromkeys(links, time.monotonic())
        self._end: threading.Timer | None = None
        for other, link in links.items():
            self._start(self._listen, other, link)
        self._start(self._beat)

    @property
    def count(self) -> int:
        return len(self.members)

    def gather(self, content: bytes) -> list[bytes]:
        """The contents of all processes, in their order, on each of them.

        Raises: Lost if one of them has ended; KeyboardInterrupt once `stopping` says
        so.
        """
        number, self._round = self._round, self._round + 1
        if self.index:
            self._tell(0, b"PART", struct.pack("!I", number) + content)
            return self._await(lambda: self._results.pop(number, None), {0})
        others = set(self._links)

        def whole() -> list[bytes] | None:
            parts = self._parts.get(number, {})
            if parts.keys() != others:
                return None
            del self._parts[number]
            return [content, *(parts[i] for i in sorted(others))]

        result = self._await(whole, others)
        sizes = struct.pack(f"!{len(result)}I", *map(len, result))
        message = struct.pack("!I", number) + sizes + b"".join(result)
        for other in others:
            self._tell(other, b"ALLP", message)
        return result

    def close(self, words: str | None = None) -> None:
        """Leaves; with `words` where it ends before its time, and the others too."""
        with self._news:
            self._closed = True
            if self._end is not None:
                self._end.cancel()
        content = json.dumps(None if words is None else shortened(words)).encode()
        for other, link in self._links.items():
            self._tell(other, b"LEFT", content)
            link.close()

    def _await(self, ready: Callable[[], list[bytes] | None], of: set[int]) -> list:
        with self._news:
            while (result := ready()) is None:
                if self.lost is not None:
                    raise Lost(self.lost)
                if gone := self._left & of:
                    who = self.members[min(gone)]
                    raise Lost(f"{who} is done, and this one is not. {GO_ON}")
                if self._stopping():
                    raise KeyboardInterrupt
                self._news.wait(WAKE_SECONDS)
        return result

    def _tell(self, other: int, kind: bytes, content: bytes = b"") -> None:
        # Whoever listens to it learns that it is gone.
        with contextlib.suppress(OSError):
            self._links[other].send(kind, content)

    def _start(self, function: Callable[..., None], *of: object) -> None:
        threading.Thread(target=function, args=of, daemon=True).start()

    def _listen(self, other: int, link: Link) -> None:
        try:
            while self._take(other, *link.receive()):
                pass
        except (EOFError, OSError, ValueError):
            self._lose(other, "has died without a word: killed, or out of memory")

    def _take(self, other: int, kind: bytes, content: bytes) -> bool:
        """Takes in a message; False after the last one."""
        self._heard[other] = time.monotonic()
        if kind == b"LOST":
            self._miss(content.decode())
        elif kind == b"LEFT":
            words = json.loads(content)
            if words is not None:
                self._lose(other, f"has ended: {words}")
            with self._news:
                self._left.add(other)
                self._news.notify_all()
            return False
        elif kind in (b"PART", b"ALLP"):
            (number,) = struct.unpack_from("!I", content)
            with self._news:
                if kind == b"PART":
                    self._parts.setdefault(number, {})[other] = content[4:]
                else:
                    self._results[number] = _split(content[4:], self.count)
                self._news.notify_all()
        return True

    def _beat(self) -> None:
        before = time.monotonic()
        while not self._closed:
            time.sleep(BEAT_SECONDS)
            now = time.monotonic()
            if now - before > 2 * BEAT_SECONDS:
                # This process was stopped itself, and has not listened either.
                self._heard = dict.fromkeys(self._heard, now)
            before = now
            for other in self._links.keys() - self._left:
                self._tell(other, b"BEAT")
                if now - self._heard[other] > SILENCE_SECONDS:
                    self._lose(
                        other,
                        f"has not answered for {now - self._heard[other]:.0f} s: "
                        f"stopped, or cut off",
                    )

    def _lose(self, other: int, how: str) -> None:
        sentence = f"{self.members[other]} {how.removesuffix('.')}. {GO_ON}"
        if self._miss(sentence):
            for one in self._links:
                self._tell(one, b"LOST", sentence.encode())

    def _miss(self, sentence: str) -> bool:
        """Notes that one is lost; False if that is known, or this process is done."""
        with self._news:
            if self.lost is not None or self._closed:
                return False
            self.lost = sentence
            self._end = threading.Timer(GRACE_SECONDS, self._end_now)
            self._end.daemon = True
            self._end.start()
            self._news.notify_all()
        return True

    def _end_now(self) -> None:
        """Ends this process, whatever it is in the middle of: what it has saved is
        whole, and what it has not can be made again."""
        for child in multiprocessing.active_children():
            child.terminate()
        with contextlib.suppress(OSError, ValueError):
            if sys.stdout.isatty():  # of a live view
                sys.stdout.write("\x1b[?25h\n")
            sys.stdout.flush()
        end_at_once(1, f"error: {self.lost}")


def _split(content: bytes, count: int) -> list[bytes]:
    sizes = struct.unpack_from(f"!{count}I", content)
    parts, at = [], 4 * count
    for size in sizes:
        parts.append(content[at : at + size])
        at += size
    return parts

"""One owner of a place at a time: the lock of a folder or file that jmer writes."""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jmer.errors import JmerError
from jmer.files import writing
from jmer.files.ending import undoing

POLL_SECONDS = 0.2
TRIES = 5  # a reader that looks whether a lock is held, holds it for a moment
# A file system that knows no locks says one of these.
NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
# Of a folder from somebody else, the name may lead elsewhere, or to what never ends.
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
MOST = 1000  # bytes of a signature


class Owner(NamedTuple):
    """The process that holds a lock."""

    host: str
    process: int
    since: str
    born: int | None = None
    """When the process started, in ticks of its machine: numbers are used again."""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"

    @property
    def alive(self) -> bool:
        """False if it is known to be gone; a process of another machine may live."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:  # somebody else's
            pass
        return self.born is None or _born(self.process) in (None, self.born)

    @property
    def me(self) -> bool:
        """Whether it is this process."""
        mine = _me()
        return (self.host, self.process, self.born) == (
            mine.host,
            mine.process,
            mine.born,
        )


class InUse(JmerError):
    """Another process has the place."""


def tell(text: str) -> None:
    """On the error stream, at once."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def owned(
    lock: Path,
    what: str,
    *,
    wait: bool = False,
    advice: str = "Wait for it to end.",
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Holds `lock`, a file that is made for it, for as long as the block runs.

    `what` names to people what it protects. The system gives the lock back when its
    owner ends, however it ends; a file that a dead process left behind is taken over.
    With `wait`, the block begins once it is free, and `say` is told of whom it waits
    for; without, the error ends with `advice`.

    Raises: InUse naming the owner; JmerError if `lock` cannot be written;
    KeyboardInterrupt once `stopping` says so while it waits.
    """
    made = _missing(lock.parent)
    told, tries = False, 0
    while (descriptor := _take(lock, what, say)) is None:
        tries += 1
        if tries < TRIES:
            time.sleep(POLL_SECONDS / TRIES)
            continue
        owner = _owner(lock)
        who = f"{what} is in use by {owner or 'another process'}"
        if not wait:
            raise InUse(f"{who}. {advice}{_if_gone(lock, owner)}")
        if not told:
            say(f"{who}: waiting for it to end{_if_gone(lock, owner)}")
            told = True
        if stopping():
            raise KeyboardInterrupt
        time.sleep(POLL_SECONDS)

    def give_back() -> None:
        # First the name, then the lock: whoever opened the file in between sees that
        # it is no longer the one of that name.
        try:
            with contextlib.suppress(OSError):
                if lock.stat().st_ino == os.fstat(descriptor).st_ino:
                    lock.unlink()
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # what was put there stays
            for folder in made:
                folder.rmdir()

    try:
        with undoing(give_back):
            yield
    finally:
        give_back()


def holder(lock: Path) -> Owner | None:
    """The other process that holds `lock`, as far as can be told; writes nothing."""
    owner = _owner(lock)
    if owner is None or owner.me or not owner.alive:
        return None
    if owner.host == socket.gethostname():
        return owner
    with contextlib.suppress(OSError):
        descriptor = os.open(lock, READING)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return owner
        finally:
            os.close(descriptor)
    return owner


def _missing(folder: Path) -> list[Path]:
    """The folders that making `folder` will make, the innermost first."""
    missing = []
    for place in (folder, *folder.parents):
        if place.exists():
            break
        missing.append(place)
    return missing


def _take(lock: Path, what: str, say: Callable[[str], Any]) -> int | None:
    """The open file, locked and signed; None if somebody else has it."""
    with writing(lock):
        # Its last owner removes the folder if that is empty, at any moment.
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # it was there, and was gone when that was looked at
            if os.path.lexists(lock.parent) and not lock.parent.is_dir():
                raise
            return None
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            return None
        try:
            knows_locks = _knows_locks(descriptor)
            before = _owner(lock)
            taken = (
                _is_named(descriptor, lock)
                if knows_locks
                else knows_locks is False and _is_free(before)
            )
            if taken:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_me()._asdict()).encode(), 0)
            if taken and knows_locks is False:
                # Of several that sign at once, the last one has it.
                time.sleep(POLL_SECONDS)
                owner = _owner(lock)
                taken = owner is not None and owner.me
        except BaseException:
            os.close(descriptor)
            raise
    if not taken:
        os.close(descriptor)
        return None
    if before is not None and not before.me:
        say(f"{what} was left by {before}, which has ended: taking it over")
    return descriptor


def _knows_locks(descriptor: int) -> bool | None:
    """Locks the file: True if that is done, None if another has it; False where the
    file system has no locks, so that the signature alone decides."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _is_named(descriptor: int, lock: Path) -> bool:
    try:
        return lock.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:  # its owner has just ended
        return False


def _is_free(owner: Owner | None) -> bool:
    return owner is None or not owner.alive


def _if_gone(lock: Path, owner: Owner | None) -> str:
    """A remedy where nobody can know whether the owner lives."""
    if owner is None or owner.host == socket.gethostname():
        return ""
    return f" If it runs no more and this does not end, remove {lock}."


def _owner(lock: Path) -> Owner | None:
    """Who signed it; None if nobody did, or it cannot be read."""
    try:
        host, process, since, born = (
            json.loads(_content(lock)).get(name) for name in Owner._fields
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    texts = all(isinstance(t, str) and t.isprintable() for t in (host, since))
    if not texts or type(process) is not int or process < 1:
        return None
    return Owner(host, process, since, born if type(born) is int else None)


def _content(lock: Path) -> bytes:
    descriptor = os.open(lock, READING)
    try:
        return os.read(descriptor, MOST)
    finally:
        os.close(descriptor)


def _me() -> Owner:
    now = datetime.datetime.now().astimezone()
    since = now.strftime("%Y-%m-%d %H:%M:%S %z")
    return Owner(socket.gethostname(), os.getpid(), since, _born(os.getpid()))


def _born(process: int) -> int | None:
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])

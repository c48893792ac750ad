"""Folders of a data set: found by name, and looked into once."""

import contextlib
import functools
import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from data_builders.frame_numbers import numbered
from jmer.data.problems import Unusable
from jmer.errors import JmerError

DEPTH = 3


@contextlib.contextmanager
def looking(path: Path) -> Iterator[None]:
    """Turns an `OSError` met while reading `path` into one clear error.

    Raises: JmerError naming the path, the system's reason and the remedy.
    """
    try:
        yield
    except OSError as error:
        raise Unusable(
            f"cannot read {path}: {error.strerror or error}. Restore it, or make it "
            f"readable.",
            "what cannot be read",
        ) from error


def content_hash(path: Path) -> str:
    """16 digits that stand for the content of a file. Raises: JmerError if it cannot
    be read."""
    with looking(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def plain(name: str) -> str:
    """A name as it is compared: without regard to case, or to whether a letter and its
    accent are written as one, as sheets do, or as two, as disks of Macs do."""
    return unicodedata.normalize("NFC", name).lower()


def one_of(found: Sequence[Path]) -> Path | None:
    """The only one, None if there is none. Raises: JmerError if there are more."""
    if len(found) > 1:
        raise Unusable(
            f"{found[0]} and {found[1]} are named alike. Remove or rename one of the "
            f"two.",
            "folders that are there twice",
        )
    return found[0] if found else None


class Disk:
    """What lies in folders, as it was when this reader first looked.

    A data set is asked for the same folders again for every clip. Who should see what
    has changed on the disk makes a new reader.
    """

    def __init__(self) -> None:
        # Long recordings have thousands of frames: of the images, the last folders do.
        self._folders = functools.lru_cache(maxsize=4096)(_folders)
        self._named = functools.lru_cache(maxsize=4096)(self._by_name)
        self._numbered = functools.lru_cache(maxsize=256)(_numbered)

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders in a folder, sorted. Raises: JmerError if it cannot be read."""
        return self._folders(folder)

    def child(self, folder: Path, name: str) -> Path | None:
        """The folder of that name in a folder, without regard to case.

        Raises: JmerError if there are two, or the folder cannot be looked into.
        """
        return one_of(self._named(folder).get(plain(name), ()))

    def numbered(self, folder: Path) -> dict[int, Path]:
        """The images of a folder by the number in their names that counts frames.

        Raises: JmerError if two have the same number, or it is not clear which counts.
        """
        return self._numbered(folder)

    def find_root(
        self,
        base: Path,
        names: Iterable[str],
        holds: Callable[[Path], bool],
        *,
        depth: int = DEPTH,
    ) -> Path | None:
        """The nearest folder of one of the names, at most `depth` below `base`, that
        `holds` what it should; `base` itself may have any name.

        Raises: JmerError if two at the same depth have the same name; if there is none,
        and a folder could not be looked into.
        """
        if holds(base):
            return base
        level, closed = [base], list[JmerError]()
        for _ in range(depth):
            level = [p for folder in level for p in self._opened(folder, closed)]
            for name in names:
                named = [p for p in level if plain(p.name) == plain(name)]
                # Two ways to one folder are no contradiction.
                held = {
                    p.resolve(): p
                    for p in named
                    if self._opened(p, closed) and holds(p)
                }
                if found := one_of(list(held.values())):
                    return found
        if closed:
            raise closed[0]
        return None

    def _opened(self, folder: Path, closed: list[JmerError]) -> tuple[Path, ...]:
        """The folders in a folder; why not goes to `closed`."""
        try:
            return self.folders(folder)
        except JmerError as error:
            closed.append(error)
            return ()

    def _by_name(self, folder: Path) -> dict[str, tuple[Path, ...]]:
        """The folders in a folder, by name in lower case."""
        found: dict[str, tuple[Path, ...]] = {}
        for path in self.folders(folder):
            name = plain(path.name)
            found[name] = (*found.get(name, ()), path)
        return found


def _folders(folder: Path) -> tuple[Path, ...]:
    with looking(folder):
        return tuple(p for p in sorted(folder.iterdir()) if p.is_dir())


def _numbered(folder: Path) -> dict[int, Path]:
    with looking(folder):
        paths = sorted(folder.iterdir())
    return numbered(folder, paths)

"""Whatever happens to a file that jmer wrote: what is read is what was written, or one
clear error, or a note, names it. Never other numbers without a word, nor a traceback.
"""

import contextlib
import itertools
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import readers
from crafted_runs import of_checkpoints, of_results
from crafted_sets import of_others
from crafted_text import of_files, of_json, of_text
from damaging import damage
from places import Outcome, make_place, outcome

Reader = Callable[[], object]


CASES = (
    *(*of_text(), *of_json(), *of_files()),
    *(*of_checkpoints(), *of_results(), *of_others()),
)


class Target(NamedTuple):
    """What is damaged, another like it, and who reads it: some each time, one of the
    others in turn."""

    folder: str
    other: str
    cases: int
    always: tuple[Reader, ...]
    in_turn: tuple[Reader, ...] = ()


TARGETS = (
    Target(
        "done",
        "other",
        110,
        (readers.loaded, readers.compared, readers.audited),
        (readers.reported, readers.evaluated, readers.resumed),
    ),
    Target("stopped", "other-stopped", 50, (readers.gone_on,)),
    Target("sweep", "other-sweep", 40, (), (readers.swept, readers.sweep_reported)),
    Target("prepared", "other-prepared", 40, (readers.prepared,), (readers.shown,)),
    Target("features", "other-features", 30, (readers.features,)),
    Target("plans", "other-plans", 20, (readers.plan,)),
    Target("weights", "other-weights", 30, (readers.model, readers.weights_evaluated)),
    Target("pretrained", "other-pretrained", 20, (readers.pretrained,)),
)


Contents = dict[str, bytes | int]


def contents(folder: Path) -> Contents:
    """What is in each file below a folder, and of all that is no file its kind."""
    found: Contents = {}
    with contextlib.chdir(folder):
        for path in Path().rglob("*"):
            kind = stat.S_IFMT(path.lstat().st_mode)  # links are not followed
            found[str(path)] = path.read_bytes() if kind == stat.S_IFREG else kind
    return found


def put_back(folder: Path, pristine: Path, expected: Contents) -> None:
    """Makes a folder what a pristine one is, whose contents are expected: of hundreds
    of files a case changes a few, and neither their sizes nor their times tell."""
    found = contents(folder)
    same = {path for path, content in found.items() if expected.get(path) == content}
    for path in sorted(found.keys() - same, reverse=True):  # a folder after its files
        gone = folder / path
        gone.rmdir() if found[path] == stat.S_IFDIR else gone.unlink()
    for path in sorted(expected.keys() - same):
        if expected[path] == stat.S_IFDIR:
            (folder / path).mkdir()
        else:
            shutil.copy2(pristine / path, folder / path)


class Place:
    """The same folder for each case, as it was at the beginning."""

    def __init__(self, folder: Path):
        self.pristine = make_place(folder / "pristine")
        self.contents = contents(self.pristine)
        self.folder = Path(shutil.copytree(self.pristine, folder / "place"))
        self._expected: dict[Reader, Outcome] = {}

    @contextlib.contextmanager
    def fresh(self) -> Iterator[None]:
        put_back(self.folder, self.pristine, self.contents)
        with contextlib.chdir(self.folder):
            yield

    def expected(self, reader: Reader) -> Outcome:
        if reader not in self._expected:
            with self.fresh():
                found = outcome(reader)
            assert not found.failed, found.output
            self._expected[reader] = found
        return self._expected[reader]

    def judge(self, reader: Reader, found: Outcome, damaged: Path) -> str:
        """What is wrong with what a reader made of a damaged place; empty if nothing
        is."""
        expected = self.expected(reader)
        if not found.failed and found.result == expected.result:
            return ""
        known = expected.output.splitlines()
        new = [line for line in found.output.splitlines() if line not in known]
        text = " ".join(" ".join(new).split())
        # The folder of a set, or of a checkpoint, is enough of a name.
        folders = [*damaged.parents][: -1 if found.failed else -2]
        words = [folder.name for folder in folders if len(folder.name) > 4]
        names = [damaged.name, *map(str, folders), *words]
        if any(re.search(rf"(^|[\s/'\"`(]){re.escape(name)}", text) for name in names):
            return ""
        return f"{'an error without its name' if found.failed else 'SILENT'}: {text}"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    return Place(tmp_path_factory.mktemp("corruption"))


def cases(target: Target) -> Iterator[tuple[int, Reader]]:
    turns = itertools.cycle(target.in_turn or (None,))
    for number, turn in zip(range(target.cases), turns, strict=False):
        yield from ((number, reader) for reader in (*target.always, turn) if reader)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.folder)
def test_damage_at_random_is_told_or_changes_nothing(place, target):
    wrong = []
    seed = TARGETS.index(target)
    for number, reader in cases(target):
        rng = np.random.default_rng([seed, number])
        with place.fresh():
            what, path = damage(rng, Path(target.folder), Path(target.other))
            found = tried(reader)
        if bad := judged(place, reader, found, path):
            wrong.append(f"{number}: {reader.__name__}, {path} {what}: {bad}")
    assert not wrong, f"{len(wrong)} cases\n" + "\n".join(wrong)


def tried(reader: Reader) -> Outcome | AssertionError:
    """What a reader did, or what it must not do."""
    try:
        return outcome(reader)
    except AssertionError as error:
        return error


def judged(
    place: Place, reader: Reader, found: Outcome | AssertionError, path: Path
) -> str:
    """What is wrong with it; empty if nothing is."""
    if isinstance(found, AssertionError):
        return str(found)
    return place.judge(reader, found, path)


def in_turn(number: int, which: tuple[Reader, ...]) -> tuple[Reader, ...]:
    """Of many readers the first two, and of the others one after another."""
    rest = which[2:]
    return which if len(which) < 4 else (*which[:2], rest[number % len(rest)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({name.split(":")[0] for name, *_ in CASES}))
def test_damage_that_people_do_is_told_or_changes_nothing(place, kind):
    wrong = []
    for number, (name, which, damaging) in enumerate(CASES):
        for reader in in_turn(number, which) if name.split(":")[0] == kind else ():
            with place.fresh():
                path = damaging()
                found = tried(reader)
            if bad := judged(place, reader, found, path):
                wrong.append(f"{name}, {reader.__name__}: {bad}")
    assert not wrong, f"{len(wrong)} cases\n" + "\n".join(wrong)


def test_there_are_hundreds_of_damages():
    assert sum(target.cases for target in TARGETS) >= 300
    assert len({name for name, *_ in CASES}) == len(CASES) >= 60


def test_what_is_put_back_is_all_as_it_was(tmp_path):
    for name in ("a/b/c", "a/d", "e/f/g", "h"):
        (tmp_path / "was" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "was" / name).write_text(name)
    was = contents(tmp_path / "was")
    place = Path(shutil.copytree(tmp_path / "was", tmp_path / "place"))
    written = (place / "a/d").stat()
    (place / "a/d").write_text("a/D")  # of the same size, and no later
    os.utime(place / "a/d", ns=(written.st_atime_ns, written.st_mtime_ns))
    shutil.rmtree(place / "a/b")
    (place / "a/b").write_text("a file")
    (place / "e/f").rename(place / "i")
    (place / "h").unlink()
    (place / "h/j").mkdir(parents=True)
    (place / "h/j/k").touch()
    (place / "loop").symlink_to(place / "loop")
    os.mkfifo(place / "h/pipe")
    untouched = (place / "i/g").stat().st_mtime_ns
    put_back(place, tmp_path / "was", was)
    assert contents(place) == was == contents(tmp_path / "was")
    assert (place / "e/f/g").stat().st_mtime_ns == untouched

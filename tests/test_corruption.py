"""Whatever happens to a file that jmer wrote: what is read is what was written, or one
clear error, or a note, names it. Never other numbers without a word, nor a traceback.
"""

import contextlib
import itertools
import re
import shutil
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


class Place:
    """The same folder for each case, as it was at the beginning."""

    def __init__(self, folder: Path):
        self.pristine = make_place(folder / "pristine")
        self.folder = folder / "place"
        self._expected: dict[Reader, Outcome] = {}

    @contextlib.contextmanager
    def fresh(self) -> Iterator[None]:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.pristine, self.folder)
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

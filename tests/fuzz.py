"""Damaged sheets and trees by number, and what must come of each.

A case is drawn from (`SEED`, its number) alone. `fuzz_sheets` and `fuzz_trees` damage,
`fuzz_model` says on its own what the damaged files mean, and `judge` compares: every
row is a clip exactly as the files say, or counted among those left out, or named by
one clear error.
"""

import copy
import functools
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import fuzz_model
import fuzz_sheets
import fuzz_trees
import numpy as np
from downloads import CONFIGS, Tree, read, write
from fuzz_model import Verdict
from fuzz_part import PLACES, Part

from data_builders.megc2019 import Megc2019
from jmer.data import load, prepare
from jmer.data.maker import builder_of
from jmer.errors import JmerError
from jmer.preprocess.temporal import resample
from jmer.preprocess.tensors import resize

SEED = 20140508
NAMES = sorted(PLACES | {"megc2019": None})
REMEDY = re.compile(
    r"\b(restore|remove|correct|choose|put|fill|rename|give|save|ask|delete|add|make|"
    r"must be one of|allow)\b",
    re.IGNORECASE,
)
PLUMBING = re.compile(r"Traceback|Error\(|<class|object at 0x|\bNone\b.*argument")


@functools.cache
def base(name: str, quirks: bool) -> Tree:
    """An undamaged tree; none of its files is ever changed."""
    folder = Path(tempfile.mkdtemp(prefix="jmer-fuzz-", dir=_home()))
    return write(name, folder, quirks=quirks)


@functools.cache
def _home() -> str:
    return tempfile.mkdtemp(prefix="jmer-fuzz-")


def remove_trees() -> None:
    """Deletes all base trees."""
    shutil.rmtree(_home(), ignore_errors=True)
    base.cache_clear()
    _home.cache_clear()
    _files.cache_clear()


@functools.cache
def _files(name: str, quirks: bool, source: str, part: str) -> tuple[str, ...]:
    """What of a base tree a configuration can see, without the other images."""
    tree = base(name, quirks)
    unseen = {
        images.path(tree.root, number)
        for take in tree.draft.takes
        for kind, images in take.images.items()
        if (kind != source and source in take.images) or take.part not in ("", part)
        for number in images.numbers
    }
    paths = (p for p in tree.root.rglob("*") if p.is_file() and p not in unseen)
    return tuple(str(p.relative_to(tree.root)) for p in paths)


@dataclass
class Case:
    """One damaged set."""

    number: int
    folder: Path
    name: str = field(init=False)
    done: list[str] = field(default_factory=list)
    """What was damaged, in words."""

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng((SEED, self.number))
        self.name = self.pick(NAMES)
        self.quirks = bool(self.rng.random() < 0.3)
        tree = base(self.name, self.quirks)
        self.root = self.folder / "published"
        self.config: Any = self._config(tree)
        self.draft = copy.deepcopy(tree.draft)
        self._link(tree)
        self.parts = self._parts()

    def __str__(self) -> str:
        said = "".join(f"\n  - {words}" for words in self.done)
        return f"case {self.number}: {self.config}, quirks={self.quirks}{said}"

    def pick(self, things: Any) -> Any:
        things = list(things)
        return things[self.rng.integers(len(things))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _config(self, tree: Tree) -> Any:
        kind = CONFIGS[self.name]
        fields: dict[str, Any] = {"align": "none"}
        if self.name == "smic":
            fields["part"] = self.pick(("HS", "VIS", "NIR"))
        images = tree.draft.takes[0].images
        fields["source"] = self.pick(sorted(images))
        fields["missing_frames"] = self.pick(("refuse", "neighbour"))
        fields["errata"] = self.chance(0.7)
        if not issubclass(kind, Megc2019):
            fields["missing_apex"] = self.pick(("refuse", "middle"))
            known = [c for c in kind.labellings if fuzz_model.readable(self.name, c)]
            fields["classes"] = self.pick(known)
            fields["min_frames"] = self.pick((1, 1, 1, 6))
        if self.quirks:
            # Irregular sets have what would be refused without these.
            fields |= {"missing_frames": "neighbour", "errata": True}
            if "missing_apex" in fields:
                fields["missing_apex"] = "middle"
        recipe = {"size": 16, "frames": 3, "resample": "uniform"}
        places = {"manual_dir": self.root, "data_dir": self.folder / "prepared"}
        return kind(**places, **recipe, **fields)

    def _link(self, tree: Tree) -> None:
        """The files of a base tree without copying them: whoever changes one of them
        puts another in its place."""
        part = getattr(self.config, "part", "HS")
        folders = set[Path]()
        for place in _files(self.name, self.quirks, self.config.source, part):
            target = self.root / place
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            os.link(tree.root / place, target)
        (self.root / "notes").mkdir()

    def _parts(self) -> list[Part]:
        whole = isinstance(self.config, Megc2019)
        return [
            Part(self.root, config, builder_of(config), self.draft)
            for config in (self.config.parts if whole else (self.config,))
        ]

    def damage(self) -> "Case":
        """One to three damages."""
        for _ in range(self.rng.integers(1, 4)):
            part = self.pick(self.parts)
            sheets = part.book is not None and self.chance(0.55)
            module = fuzz_sheets if sheets else fuzz_trees
            damage = self.pick(module.DAMAGES)
            words = damage(self, part)
            self.done.append(f"{part.config.name}: {damage.__name__}: {words}")
        for part in self.parts:
            part.save()
        return self


def judge(case: Case, *, loading: bool) -> str:
    """Compares what is made of a case with what its files mean; `error`, `problems` or
    `set`.

    Raises: AssertionError if they differ; whatever else was raised instead of a
    JmerError.
    """
    builder = builder_of(case.config)
    verdicts = [fuzz_model.verdict(part) for part in case.parts]
    try:
        problems = [*builder.problems(), *builder.flaws()]
        summary = "" if problems else builder.summary()
    except JmerError as error:
        assert any(v.may_raise for v in verdicts), f"refused: {error}"
        assert_clear(case, str(error))
        outcome, expected = "error", str(error)
    else:
        raised = [v.must_raise for v in verdicts if v.must_raise]
        assert not raised, f"not refused: {raised}"
        outcome = "problems" if problems else "set"
        expected = problems[0] if problems else ""
        for problem in problems:
            assert_clear(case, problem)
        assert_named(verdicts, problems)
    if outcome == "set":
        builders = builder.parts if isinstance(case.config, Megc2019) else [builder]
        for one, verdict in zip(builders, verdicts, strict=True):
            assert_read(one, verdict)
        assert_counted(summary, verdicts)
    if loading:
        assert_prepared(case, verdicts, outcome, expected)
    return outcome


def assert_clear(case: Case, text: str) -> None:
    """It names something that is there, and a remedy."""
    assert f"{case.root}" in text, text
    assert REMEDY.search(text), f"no remedy: {text}"
    assert not PLUMBING.search(text), text
    assert len(text) < 3000, f"{len(text)} characters: {text[:300]}"


def assert_named(verdicts: list[Verdict], problems: list[str]) -> None:
    """Each row that means nothing is named once, and no other row is."""
    bad = [row for verdict in verdicts for row in verdict.bad]
    empty = any(verdict.none_left for verdict in verdicts)
    for row in bad:
        assert any(row.named_in(p) for p in problems), f"not named: {row}\n{problems}"
    for problem in problems:
        named = any(row.named_in(problem) for row in bad)
        assert named or (empty and "no clip" in problem), f"false alarm: {problem}"
    assert len(problems) <= len(bad) + len(verdicts) * empty, (problems, bad)


def assert_read(builder: Any, verdict: Verdict) -> None:
    """The clips are those of the files, each with its label, interval and frames."""
    clips = {
        (clip.row.subject, clip.row.clip): (
            *(builder.class_names()[clip.label], clip.row.action_units),
            *(clip.onset, clip.apex, clip.offset, clip.frames),
        )
        for clip in builder.survey[0]
    }
    assert len(clips) == len(builder.survey[0])
    expected = {row.key: row.record for row in verdict.clips}
    assert clips.keys() == expected.keys(), clips.keys() ^ expected.keys()
    for key, record in expected.items():
        assert clips[key] == record, (key, clips[key], record)
    for key, record in verdict.untouched.items():
        assert clips[key][:5] == record, (key, clips[key], record)


def assert_counted(summary: str, verdicts: list[Verdict]) -> None:
    """Rows are clips, or left out, and the summary says how many of each."""
    clips = [int(n) for n in re.findall(r"(?m)(?:^|: )(\d+) clips, ", summary)]
    left_out = sum(int(n) for n in re.findall(r"(?m)^  left out: (\d+) ", summary))
    assert clips == [len(v.clips) for v in verdicts], summary
    assert left_out == sum(len(v.out) for v in verdicts), summary


def assert_prepared(
    case: Case, verdicts: list[Verdict], outcome: str, expected: str
) -> None:
    """What is stored is what the files show; where nothing can be, nothing is left."""
    shown = {} if outcome != "set" else pixels(case, verdicts)
    if outcome == "set" and shown is not None:
        clips = load(case.config)
        names = zip(clips.dataset, clips.subject, clips.clip_id, strict=True)
        keys = [tuple(map(str, name)) for name in names]
        assert set(keys) == shown.keys() and len(keys) == len(shown)
        for i, key in enumerate(keys):
            assert np.array_equal(clips.inputs["clip"][i], shown[key]), key
        return
    try:
        prepare(case.config)
    except JmerError as error:
        text = str(error)
        assert text.startswith(expected), (text, expected)
        assert_clear(case, text)
    else:
        raise AssertionError("prepared what cannot be read")
    left = [p for p in case.config.data_dir.rglob("*") if p.is_file()]
    assert not left, left


def pixels(
    case: Case, verdicts: list[Verdict]
) -> dict[tuple[str, ...], np.ndarray] | None:
    """The stored form of each clip by data set, subject and clip; None if a frame
    cannot be decoded, or those of a clip differ in size."""
    made: dict[tuple[str, ...], np.ndarray] = {}
    for part, verdict in zip(case.parts, verdicts, strict=True):
        for row in verdict.clips:
            try:
                whole = [read(path) for path in row.frames]
            except (TypeError, cv2.error):  # OpenCV shows None, or refuses
                return None
            if len({frame.shape for frame in whole}) > 1:
                return None
            moments = (0, row.apex - row.onset, row.offset - row.onset)
            small = np.concatenate([resize(f[None], case.config.size) for f in whole])
            key = (part.config.name, *row.key)
            made[key] = resample(small, moments, case.config.frames, "uniform")[0]
    return made


def run(number: int, *, loading: bool) -> str:
    """Damages, judges and clears away case `number`."""
    folder = Path(tempfile.mkdtemp(prefix="jmer-case-"))
    case = None
    try:
        case = Case(number, folder).damage()
        return judge(case, loading=loading)
    except Exception as error:
        words = f"{case or number}\n{type(error).__name__}: {error}"
        raise AssertionError(words) from error
    finally:
        fuzz_trees.release(folder)
        shutil.rmtree(folder, ignore_errors=True)

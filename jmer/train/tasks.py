"""What distinguishes one training from another."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from flax import struct
from numpy.typing import DTypeLike

from jmer import keys
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, Rounding, shares, stratified
from jmer.errors import MOST_SEED, JmerError, is_whole

Selection = Literal["last", "inner"]
InnerUnit = Literal["subject", "clip"]
InnerDraw = Literal["seed", "split"]


@dataclasses.dataclass(frozen=True, order=True)
class Task:
    """One training: a fold, a seed, and a variant that differs in values only."""

    seed: int
    fold: str
    variant: int = 0

    def key(self) -> PRNGKeyArray:
        """Root of the task's random numbers: seed, then name of the fold.

        Variants share them, so that they are compared on the same draws.
        """
        return keys.named(keys.seed_key(self.seed), self.fold)


@dataclasses.dataclass(frozen=True)
class InnerSplit:
    """How inner clips, which choose the epoch, are held out of the training clips of a
    fold. Where the last epoch is taken there are none, and None stands in its place.

    Raises: ValueError for what is none of a field's values.
    """

    fraction: float
    """Share of the training clips that is held out; 0 to 1, exclusive."""
    unit: InnerUnit = "subject"
    """Whole subjects, drawn until they have that share of the clips, or single clips,
    that share of each class."""
    seed: int | None = None
    """What they are drawn by, 0 or more, so that all tasks of a fold have the same;
    None: by the seed of each task."""
    rounding: Rounding = "class"
    """How single clips are counted: each class by itself, or to the share of all."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"fraction is {self.fraction}, and not between 0 and 1")
        if self.seed is not None and not is_whole(self.seed, 0, MOST_SEED):
            raise ValueError(f"seed is {self.seed}, and no whole number from 0")
        for name, kind in (("unit", InnerUnit), ("rounding", Rounding)):
            if (value := getattr(self, name)) not in get_args(kind):
                known = " or ".join(map(repr, get_args(kind)))
                raise ValueError(f"{name} is {value!r}, and not {known}")


@struct.dataclass
class TaskTable:
    """What the program needs to know of each task; task axis first in every array."""

    key: PRNGKeyArray  # f
    seed: PRNGKeyArray  # f, root of the order of clips
    train: Bool[Array, "f n"]  # clips that the task learns from
    test: Int[Array, "f t"]  # clips to predict, padded with clip 0
    test_weight: Float[Array, "f t"]  # 0 where padded
    inner: Int[Array, "f v"]  # clips that choose the epoch, padded with clip 0
    inner_weight: Float[Array, "f v"]  # 0 where padded
    values: dict[str, Float[Array, " f"]]  # of fields that differ between variants


def make_table(
    tasks: Sequence[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
    *,
    inner: InnerSplit | None,
    values: Mapping[str, Sequence[float]] | None = None,
) -> TaskTable:
    """The table of `tasks`; array sizes depend on `folds` alone, not on the choice.

    `values` has the numbers of every variant, by name of the field.

    Raises: ValueError if there are no tasks, or one is of none of the `folds`;
    JmerError if inner clips cannot be spared.
    """
    by_name = {fold.name: fold for fold in folds}
    if not tasks:
        raise ValueError("tasks is empty: a table needs one at least")
    if unknown := sorted({task.fold for task in tasks} - by_name.keys()):
        raise ValueError(f"tasks of {unknown}: the folds are {sorted(by_name)}")
    longest = max(len(fold.test) for fold in folds)
    train = np.zeros((len(tasks), len(clips)), bool)
    choosing = []
    for row, task in zip(train, tasks, strict=True):
        learnt, chosen = divided(task, by_name[task.fold], clips, inner)
        row[learnt] = True
        choosing.append(chosen)
    room = 0
    if inner is not None:  # any inner set of any seed fits
        room = max(most for _, most in _inner_sizes(folds, clips, inner))
    return TaskTable(
        key=jnp.stack([task.key() for task in tasks]),
        seed=jnp.stack([keys.seed_key(task.seed) for task in tasks]),
        train=train,
        test=_padded([by_name[t.fold].test for t in tasks], longest),
        test_weight=_padded(
            [np.ones(len(by_name[t.fold].test)) for t in tasks], longest, np.float32
        ),
        inner=_padded(choosing, room),
        inner_weight=_padded([np.ones(len(c)) for c in choosing], room, np.float32),
        values={
            name: np.array([of_variant[task.variant] for task in tasks], np.float32)
            for name, of_variant in (values or {}).items()
        },
    )


def _padded(
    rows: Sequence[np.ndarray], size: int, dtype: DTypeLike = np.int32
) -> np.ndarray:
    table = np.zeros((len(rows), size), dtype)
    for target, row in zip(table, rows, strict=True):
        target[: len(row)] = row
    return table


def training_sizes(
    folds: Sequence[Fold], clips: ClipSet, inner: InnerSplit | None
) -> tuple[int, int]:
    """Bounds on how many clips a task of any seed trains on: (least, most).

    Raises: JmerError if inner clips cannot be spared.
    """
    sizes = [len(fold.train) for fold in folds]
    if inner is None:
        return min(sizes), max(sizes)
    _require_spare(folds, clips, inner)
    held_out = _inner_sizes(folds, clips, inner)
    least = min(n - most for n, (_, most) in zip(sizes, held_out, strict=True))
    most = max(n - least for n, (least, _) in zip(sizes, held_out, strict=True))
    return max(1, least), max(1, most)


def _inner_sizes(
    folds: Sequence[Fold], clips: ClipSet, inner: InnerSplit
) -> list[tuple[int, int]]:
    """Bounds on how many clips `inner_clips` holds out of each fold, whatever the seed:
    (least, most)."""
    _, subject = np.unique(clips.subject, return_inverse=True)
    # Who is passed over is alone in showing a class, and each another one.
    passed = clips.label.shape[1] if clips.of_units else len(clips.classes)
    found = []
    for fold in folds:
        able = fold.train[~clips.train_only[fold.train]]
        if inner.unit == "clip":
            _, of_label = np.unique(clips.label[able], return_counts=True)
            count = sum(shares(of_label.tolist(), inner.fraction, inner.rounding))
            found.append((count, count))
            continue
        of_subject = np.bincount(subject[fold.train])[np.unique(subject[able])]
        wanted = inner.fraction * len(fold.train)
        found.append(_drawn_until(wanted, sorted(of_subject.tolist()), passed))
    return found


def _drawn_until(wanted: float, sizes: list[int], passed: int) -> tuple[int, int]:
    """Bounds on the sum of `sizes`, smallest first, that are drawn in any order until
    it is `wanted`, where at most so many are passed over, and one at least is not."""
    reached = 1  # bit n: whether some of them sum to n
    for size in sizes:
        reached |= reached << size
    sums = [n for n in range(sum(sizes) + 1) if reached >> n & 1]
    enough = [n for n in sums if n >= wanted]
    others = sum(sizes[: max(1, len(sizes) - passed)])
    if others < wanted:  # the sum may fall short
        enough.append(others)
    short = max(n for n in sums if n < wanted)
    return min(enough), min(short + max(sizes, default=0), sum(sizes))


def divided(
    task: Task, fold: Fold, clips: ClipSet, inner: InnerSplit | None
) -> tuple[np.ndarray, np.ndarray]:
    """Clips that a task learns from, and those that choose its epoch, which are none
    if the last one is taken."""
    if inner is None:
        return fold.train, np.zeros(0, int)
    chosen = inner_clips(task, fold, clips, inner)
    learnt = np.setdiff1d(fold.train, chosen)
    return learnt, chosen[~clips.train_only[chosen]]


def inner_clips(
    task: Task, fold: Fold, clips: ClipSet, inner: InnerSplit
) -> np.ndarray:
    """Training clips held out to choose the epoch on, drawn by fold and seed.

    A subject whose absence would leave a class, or an action unit that others show,
    untrained is passed over. A subject's clips that are for training alone are held out
    with it, but choose nothing.

    Raises: JmerError if no subject or clip can be spared.
    """
    seed = task.seed if inner.seed is None else inner.seed
    chosen = _drawn(seed, fold, clips, inner)
    if not len(chosen):
        raise _none_to_spare(fold, inner.unit)
    return np.sort(chosen)


def _drawn(seed: int, fold: Fold, clips: ClipSet, inner: InnerSplit) -> np.ndarray:
    """Inner clips in the order of drawing; none if no seed has any."""
    rng = np.random.default_rng((seed, keys.name_code(f"inner/{fold.name}")))
    if inner.unit == "subject":
        return _whole_subjects(fold, clips, inner.fraction, rng)
    able = fold.train[~clips.train_only[fold.train]]
    return stratified(able, clips.label, inner.fraction, rng, inner.rounding)


def _require_spare(folds: Sequence[Fold], clips: ClipSet, inner: InnerSplit) -> None:
    """Raises: JmerError, with what can be done, if a fold has no inner clips."""
    single = dataclasses.replace(inner, unit="clip")
    for fold in folds:
        if _can_spare(fold, clips, inner):
            continue
        others = inner.unit == "subject" and not clips.of_units
        others = others and all(_can_spare(each, clips, single) for each in folds)
        instead = "--inner-unit clip or " if others else ""
        raise _none_to_spare(fold, inner.unit, instead)


def _can_spare(fold: Fold, clips: ClipSet, inner: InnerSplit) -> bool:
    return len(_drawn(0, fold, clips, inner)) > 0


def _none_to_spare(fold: Fold, unit: InnerUnit, instead: str = "") -> JmerError:
    return JmerError(
        f"fold {fold.name}: no training {unit} can be held out to choose the epoch "
        f"without losing a class. Use {instead}--selection last."
    )


def _whole_subjects(
    fold: Fold, clips: ClipSet, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    remaining = set(fold.train.tolist())
    chosen: list[int] = []
    able = fold.train[~clips.train_only[fold.train]]
    for subject in rng.permutation(np.unique(clips.subject[able])):
        if len(chosen) >= fraction * len(fold.train):
            break
        own = set(fold.train[clips.subject[fold.train] == subject].tolist())
        left = remaining - own
        if _covers(clips, left, fold.train):
            remaining = left
            chosen += sorted(own)
    return np.array(chosen, int)


def _covers(clips: ClipSet, left: set[int], train: np.ndarray) -> bool:
    """Whether the clips that are `left` of those of a fold still have every class, or
    every action unit that those show."""
    if clips.of_units:
        shown = clips.label[sorted(left)].any(0)
        return bool((shown == clips.label[train].any(0)).all())
    return len(set(clips.label[list(left)].tolist())) == len(clips.classes)

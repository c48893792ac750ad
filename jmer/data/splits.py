"""Who is held out of which fold: made once, on the host, and audited."""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from jmer.annotations import Bool, Int, Shaped
from jmer.data.clips import ClipSet
from jmer.errors import FieldCheck, JmerError, UsageError, quoted
from jmer.files.recorded import made_from
from jmer.text import counted, did_you_mean

Names = Shaped[np.ndarray, " clips"]
"""Of the subject of each clip, as text."""
Labels = Int[np.ndarray, " clips"]
Tested = Bool[np.ndarray, " clips"]
Rounding = Literal["class", "total"]
"""How a share of the clips of each class becomes whole clips: each class by itself to
the nearest number, or all together upwards, as scikit-learn divides."""


@dataclasses.dataclass(frozen=True)
class Fold:
    """One division of the clips: indices of those to train on and to test on.

    `name` is the held-out subject, or the number of the fold; random keys derive
    from it.
    """

    name: str
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A way to hold out clips: whole subjects, unless it says that it mixes them."""

    exhaustive: ClassVar[bool] = True
    """Whether every clip is tested exactly once."""
    subject_independent: ClassVar[bool] = True
    """Whether nobody is on both sides of a fold. Where not, every report says so."""
    by_class: ClassVar[bool] = False
    """Whether clips are drawn class by class, so that each must have one."""
    by_set: ClassVar[bool] = False
    """Whether folds are data sets, of which none is on both sides of a fold."""
    others_train: ClassVar[bool] = True
    """Whether all train in a fold that it does not test, where every clip is tested."""
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that name a file: results depend on its `content`, and not on its place.
    """
    later: ClassVar[Mapping[str, Any]] = {}
    """Fields that came after the first runs, and what those did; see `NetworkConfig`.
    """

    @classmethod
    def word(cls) -> str:
        """Its name on the command line.

        >>> [kind.word() for kind in (KFold, ClipHoldOut)]
        ['kfold', 'clip-hold-out']
        """
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    def groups(self, subjects: Names) -> list[tuple[str, list[str]]]:
        """Name and held-out subjects of each fold, given the subject of each clip.

        >>> Loso().groups(np.array(["b", "a", "b"]))
        [('a', ['a']), ('b', ['b'])]
        >>> subjects = np.repeat(["a", "b", "c", "d"], [9, 3, 3, 3])
        >>> [sorted(group) for _, group in KFold(k=2).groups(subjects)]
        [['a'], ['b', 'c', 'd']]
        """
        raise NotImplementedError

    def tested(self, subjects: Names, labels: Labels) -> list[tuple[str, Tested]]:
        """Name of each fold, and whether it tests each of the clips that have these
        subjects and labels.
        """
        del labels
        return [
            (name, np.isin(subjects, held_out))
            for name, held_out in self.groups(subjects)
        ]

    def divided(
        self, clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> list[tuple[str, Tested]]:
        """Name of each fold, and which it tests of those clips that are `among` them
        (indices): as `tested` says, unless a protocol goes by more.
        """
        return self.tested(clips.subject[among], clips.label[among])

    def trained(
        self, clips: ClipSet, name: str, test: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " train"]:
        """Indices of the clips that the fold of that name trains on, if it tests those
        of `test`: all others, but for those for training alone of somebody that it
        tests, where folds keep subjects apart.
        """
        out = np.isin(np.arange(len(clips)), test)
        if self.subject_independent:
            out |= clips.train_only & np.isin(clips.subject, clips.subject[test])
        return np.flatnonzero(~out)

    def keeps_apart(self, folds: Sequence[Fold], clips: ClipSet) -> bool:
        """Whether nobody is on both sides of one of its folds: as the protocol is, of
        folds that are written down as they are."""
        del folds, clips
        return self.subject_independent

    def remark(self) -> str:
        """What whoever starts a run may not expect, in a line; nothing, mostly."""
        return ""

    def content(self) -> str:
        """A hash of what `files` say; nothing where there are none."""
        return ""

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        """One line for reports."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Loso(Protocol):
    """Leave one subject out: as many folds as subjects."""

    def groups(self, subjects: Names) -> list[tuple[str, list[str]]]:
        return [(name, [name]) for name in np.unique(subjects).tolist()]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        return f"leave-one-subject-out, {counted(len(folds), 'fold')}"


@dataclasses.dataclass(frozen=True)
class KFold(Protocol):
    """Folds of whole subjects with about as many clips each."""

    k: int = 5
    """Number of folds, 2 or more."""
    split_seed: int = 0
    """Seed of the order in which subjects are dealt out."""

    def __post_init__(self) -> None:
        if self.k < 2:
            raise UsageError(f"protocol.k={self.k} must be at least 2")
        FieldCheck(self, "protocol").whole("k", least=2)
        _check_split_seed(self)

    def groups(self, subjects: Names) -> list[tuple[str, list[str]]]:
        sizes = _shuffled_sizes(subjects, self.split_seed)
        if len(sizes) < self.k:
            raise UsageError(
                f"protocol.k={self.k} folds need as many subjects; there are "
                f"{len(sizes)}. Choose a smaller k."
            )
        held_out: list[list[str]] = [[] for _ in range(self.k)]
        load = [0] * self.k
        # The largest first, each to the emptiest fold, balances the clips.
        for subject, size in sorted(sizes.items(), key=lambda item: -item[1]):
            target = load.index(min(load))
            held_out[target].append(subject)
            load[target] += size
        return [(f"fold{i}", group) for i, group in enumerate(held_out)]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        return f"{self.k}-fold by subject, split seed {self.split_seed}"


@dataclasses.dataclass(frozen=True)
class HoldOut(Protocol):
    """One division: some subjects are tested, the others train."""

    exhaustive: ClassVar[bool] = False

    fraction: float = 0.2
    """Share of the clips that is tested, about; 0 to 1, exclusive."""
    split_seed: int = 0
    """Seed of the choice of subjects."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise UsageError(
                f"protocol.fraction={self.fraction} must be between 0 and 1"
            )
        _check_split_seed(self)

    def groups(self, subjects: Names) -> list[tuple[str, list[str]]]:
        sizes = _shuffled_sizes(subjects, self.split_seed)
        held_out, wanted = list[str](), self.fraction * len(subjects)
        for subject in list(sizes)[:-1]:
            if sum(sizes[s] for s in held_out) >= wanted:
                break
            held_out.append(subject)
        return [("holdout", held_out)]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        tested = len(set(clips.subject[folds[0].test]))
        return f"hold-out of {counted(tested, 'subject')}, split seed {self.split_seed}"


@dataclasses.dataclass(frozen=True)
class ClipKFold(Protocol):
    """Folds of single clips, drawn at random: subjects are on both sides."""

    subject_independent: ClassVar[bool] = False

    k: int = 5
    """Number of folds, 2 or more."""
    split_seed: int = 0
    """Seed of the order in which clips are dealt out."""

    def __post_init__(self) -> None:
        if self.k < 2:
            raise UsageError(f"protocol.k={self.k} must be at least 2")
        FieldCheck(self, "protocol").whole("k", least=2)
        _check_split_seed(self)

    def tested(self, subjects: Names, labels: Labels) -> list[tuple[str, Tested]]:
        clips = len(subjects)
        if clips < self.k:
            raise UsageError(
                f"protocol.k={self.k} folds need as many clips; there are "
                f"{clips}. Choose a smaller k."
            )
        order = np.random.default_rng(self.split_seed).permutation(clips)
        fold = np.empty(clips, int)
        fold[order] = np.arange(clips) % self.k
        return [(f"fold{i}", fold == i) for i in range(self.k)]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        return (
            f"{self.k}-fold by clip, split seed {self.split_seed}, NOT "
            f"subject-independent"
        )


@dataclasses.dataclass(frozen=True)
class ClipHoldOut(Protocol):
    """One division of single clips, with a share of each class tested: subjects are
    on both sides.
    """

    exhaustive: ClassVar[bool] = False
    subject_independent: ClassVar[bool] = False
    by_class: ClassVar[bool] = True
    later: ClassVar[Mapping[str, Any]] = {"rounding": "class"}

    fraction: float = 0.25
    """Share of the clips of each class that is tested; 0 to 1, exclusive."""
    split_seed: int = 0
    """Seed of the choice of clips."""
    rounding: Rounding = "class"
    """How many clips that is. class: the share of each class, to the nearest number.
    total: the share of all clips, rounded up, of which the classes have their shares,
    as scikit-learn divides. Inner clips, if single clips, are counted likewise."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise UsageError(
                f"protocol.fraction={self.fraction} must be between 0 and 1"
            )
        FieldCheck(self, "protocol").choices()
        _check_split_seed(self)

    def tested(self, subjects: Names, labels: Labels) -> list[tuple[str, Tested]]:
        rng = np.random.default_rng(self.split_seed)
        every = np.arange(len(labels))
        chosen = stratified(every, labels, self.fraction, rng, self.rounding)
        return [("holdout", np.isin(every, chosen))]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        return (
            f"hold-out of {len(folds[0].test)} clips, split seed {self.split_seed}, "
            f"NOT subject-independent"
        )


def stratified(
    clips: Int[np.ndarray, " n"],
    label: Labels,
    fraction: float,
    rng: np.random.Generator,
    rounding: Rounding = "class",
) -> Int[np.ndarray, " tested"]:
    """`fraction` of those of `clips` (indices) that have each label: at least one of
    every label that several have, and never all.
    """
    values, sizes = np.unique(label[clips], return_counts=True)
    counts = shares(sizes.tolist(), fraction, rounding)
    chosen = []
    for value, count in zip(values, counts, strict=True):
        own = rng.permutation(clips[label[clips] == value])
        chosen.append(own[:count])
    return np.concatenate(chosen)


def shares(sizes: Sequence[int], fraction: float, rounding: Rounding) -> list[int]:
    """How many of each class are in a share of all: at least one of every class that
    has several, and never all.

    In total, what is left once each class is rounded down goes to the largest
    remainders, and of equal ones to the first.

    >>> shares([22, 17, 18], 0.2, "class"), shares([22, 17, 18], 0.2, "total")
    ([4, 3, 4], [5, 3, 4])
    """
    exact = [fraction * size for size in sizes]
    whole = [int(e + TINY) if rounding == "total" else round(e) for e in exact]
    counts = [min(max(c, 1), n - 1) for c, n in zip(whole, sizes, strict=True)]
    if rounding == "class":
        return counts
    left = math.ceil(fraction * sum(sizes) - TINY) - sum(counts)
    rest = [round(e - w, 6) for e, w in zip(exact, whole, strict=True)]
    for i in sorted(range(len(sizes)), key=lambda i: -rest[i]):
        if left > 0 and counts[i] < sizes[i] - 1:
            counts[i], left = counts[i] + 1, left - 1
    return counts


TINY = 1e-9
"""What the product of a share and a number may miss a whole number by."""


def _check_split_seed(protocol: Protocol) -> None:
    FieldCheck(protocol, "protocol").whole("split_seed", most=2**63 - 1)


def _shuffled_sizes(subjects: Names, seed: int) -> dict[str, int]:
    sizes = Counter(subjects.tolist())
    order = np.random.default_rng(seed).permutation(sorted(sizes))
    return {name: sizes[name] for name in order.tolist()}


def protocol_of(described: Mapping[str, Any]) -> Protocol:
    """A protocol from what `experiment.json` says of it.

    Raises: JmerError for one that this jmer does not know.
    """
    values = dict(described)
    kinds = {kind.__name__: kind for kind in protocols().values()}
    kind = kinds.get(name := values.pop("kind", None))
    known = {field.name for field in dataclasses.fields(kind)} if kind else set()
    if kind is None or not values.keys() <= known:
        raise JmerError(
            f"protocol {name} with {sorted(values)} is unknown to this jmer: install "
            f"the version that trained the run."
        )
    return made_from(kind, values, Path("experiment.json"), "experiment.protocol")


def protocols() -> dict[str, type[Protocol]]:
    """Every protocol that is defined by now, by its name on the command line."""
    # They define some, of what is defined here.
    import jmer.data.by_set  # noqa: F401
    import jmer.data.listed  # noqa: F401

    found, kinds = {}, [Protocol]
    for kind in kinds:
        kinds += kind.__subclasses__()
        found[kind.word()] = kind
    del found[Protocol.word()]
    return found


def chosen_protocol(word: str, before: Protocol) -> Protocol:
    """The protocol of that name; what it has in common with the one `before` (a
    fraction, a seed) stays as it was there.

    Raises: UsageError if none is called so.
    """
    known = protocols()
    if word not in known:
        raise UsageError(
            f"protocol={quoted(word)}: no protocol is called so"
            f"{did_you_mean(word, known)}. There are {', '.join(known)}."
        )
    kind = known[word]
    names = {f.name for f in dataclasses.fields(kind)}
    shared = [f.name for f in dataclasses.fields(before) if f.name in names]
    return kind(**{name: getattr(before, name) for name in shared})


def make_folds(protocol: Protocol, clips: ClipSet) -> list[Fold]:
    """The audited folds of a protocol over a data set.

    Clips that are for training alone train in every fold; where folds keep subjects
    apart, not in those that test their subject, nor, where folds are data sets, in that
    of their own.

    Raises: JmerError if a fold cannot be trained or the division is not sound.
    """
    subjects = set(clips.subject[clips.testable])
    if len(subjects) < 2:
        raise JmerError(
            f"data set {clips.name} has one subject, {min(subjects)}: nobody is "
            f"left to train on. Add subjects."
        )
    core = clips.testable
    folds = []
    for name, tested in protocol.divided(clips, core):
        test = core[tested]
        folds.append(Fold(name, protocol.trained(clips, name, test), test))
    try:
        audit(
            folds,
            clips,
            exhaustive=protocol.exhaustive,
            subject_independent=protocol.subject_independent,
            by_set=protocol.by_set,
        )
    except JmerError as error:
        named = [f"protocol.{n}={getattr(protocol, n)}: " for n in protocol.files]
        if not named:
            raise
        raise JmerError(f"{''.join(named)}{error}") from error
    return folds


def audit(
    folds: Sequence[Fold],
    clips: ClipSet,
    *,
    exhaustive: bool,
    subject_independent: bool = True,
    by_set: bool = False,
) -> None:
    """Checks that the division is what it says, and can be trained.

    Raises: JmerError if a clip is on both sides of a fold, or (with
    `subject_independent`) a subject, or (with `by_set`) a data set is; if a clip is
    tested twice or (with `exhaustive`) never, or is tested though it is for training
    alone; if two folds share a name, a side of a fold is empty, or a class (not an
    action unit) is missing
    from training.
    """
    tested = Counter(int(i) for fold in folds for i in fold.test)
    names = Counter(fold.name for fold in folds)
    for fold in folds:
        both = set(clips.subject[fold.train]) & set(clips.subject[fold.test])
        if both and subject_independent:
            raise JmerError(
                f"fold {fold.name}: subject {min(both)} is trained on and tested."
            )
        sets = set(clips.dataset[fold.train]) & set(clips.dataset[fold.test])
        if sets and by_set:
            raise JmerError(
                f"fold {fold.name}: data set {min(sets)} is trained on and tested."
            )
        shared = np.intersect1d(fold.train, fold.test)
        if len(shared):
            raise JmerError(
                f"fold {fold.name}: clip {clips.clip_id[shared[0]]} is trained on and "
                f"tested."
            )
        if names[fold.name] > 1:
            raise JmerError(f"two folds are called {fold.name}.")
        if not len(fold.train) or not len(fold.test):
            side = "test" if len(fold.train) else "train on"
            raise JmerError(f"fold {fold.name} has no clip to {side}.")
        if not clips.of_units:  # which fewer clips show, in some folds none
            known = set(clips.label[fold.train].tolist())
            if absent := set(range(len(clips.classes))) - known:
                _refuse_missing_class(fold, clips, min(absent))
    for i, subject in enumerate(clips.subject):
        if clips.train_only[i]:
            if tested[i]:
                raise JmerError(
                    f"clip {clips.clip_id[i]} of subject {subject} is tested, but is "
                    f"for training alone."
                )
        elif tested[i] > 1 or (exhaustive and not tested[i]):
            times = f"{tested[i]} times" if tested[i] else "never"
            raise JmerError(
                f"clip {clips.clip_id[i]} of subject {subject} is tested {times}."
            )


def _refuse_missing_class(fold: Fold, clips: ClipSet, label: int) -> None:
    holders = ", ".join(sorted(set(clips.subject[clips.label == label].tolist())))
    raise JmerError(
        f"fold {fold.name} of {clips.name}: class {clips.classes[label]!r} is missing "
        f"from its training clips (subjects that have it: {holders or 'none'}). Add "
        f"clips of other subjects, or drop or merge the class in the set's labels."
    )

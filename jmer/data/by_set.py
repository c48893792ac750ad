"""Folds that are data sets: what some have recorded is tested on what others have."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from jmer.annotations import Int
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, Protocol, Tested
from jmer.errors import JmerError, UsageError, quoted
from jmer.text import counted, did_you_mean


@dataclasses.dataclass(frozen=True)
class Lodo(Protocol):
    """Leave one data set out: as many folds as data sets of a composite, each named
    after the one that it tests. All others train, each with all of its people.

    What is for training alone does not train in the fold of its own data set, whoever
    it shows.
    """

    by_set: ClassVar[bool] = True

    def divided(
        self, clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> list[tuple[str, Tested]]:
        """Raises: JmerError if there is one data set only."""
        own = clips.dataset[among]
        names = np.unique(own).tolist()
        if len(names) < 2:
            raise JmerError(
                f"{clips.name} is one data set, {quoted(names[0])}: none is left to "
                f"train on. Choose a composite, such as that of "
                f"experiments/ststnet_megc2019.py, or --protocol loso."
            )
        return [(name, own == name) for name in names]

    def trained(
        self, clips: ClipSet, name: str, test: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " train"]:
        return np.flatnonzero(clips.dataset != name)

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        names = ", ".join(fold.name for fold in folds)
        return f"leave-one-data-set-out, {counted(len(folds), 'fold')} ({names})"


@dataclasses.dataclass(frozen=True)
class CrossSet(Protocol):
    """Train on some data sets of a composite and test on others: one fold. What is in
    neither list has no part in it.
    """

    by_set: ClassVar[bool] = True
    exhaustive: ClassVar[bool] = False

    train: tuple[str, ...] = ()
    """Data sets to train on (default: all that are not tested)."""
    test: tuple[str, ...] = ()
    """Data sets to test on."""

    def __post_init__(self) -> None:
        for field, names in (("train", self.train), ("test", self.test)):
            if twice := [name for name in names if names.count(name) > 1]:
                raise UsageError(f"protocol.{field}: {quoted(twice[0])} is given twice")
        if both := sorted({*self.train} & {*self.test}):
            raise UsageError(
                f"protocol.test={quoted(both[0])} is in protocol.train, too: a data "
                f"set is on one side"
            )

    def divided(
        self, clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> list[tuple[str, Tested]]:
        """Raises: UsageError if none is to be tested, or one is not in the set."""
        known = np.unique(clips.dataset).tolist()
        there = f"{clips.name} has {', '.join(known)}"
        if not self.test:
            raise UsageError(
                f"protocol.test: name the data sets to test on, as in --protocol.test "
                f"{known[-1]}; {there}"
            )
        for field, names in (("train", self.train), ("test", self.test)):
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"protocol.{field}={quoted(name)}: no data set is called so"
                        f"{did_you_mean(name, known)}; {there}"
                    )
        return [("+".join(self.test), np.isin(clips.dataset[among], self.test))]

    def trained(
        self, clips: ClipSet, name: str, test: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " train"]:
        if self.train:
            return np.flatnonzero(np.isin(clips.dataset, self.train))
        return np.flatnonzero(~np.isin(clips.dataset, self.test))

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        sides = (
            ", ".join(np.unique(clips.dataset[side]).tolist())
            for side in (folds[0].train, folds[0].test)
        )
        return "trained on {}, tested on {}".format(*sides)

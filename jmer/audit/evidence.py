"""What there is to check a run by, and its plain table of who is tested where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jmer.audit.roster import Name, Roster, Round, positions
from jmer.data.clips import ClipSet
from jmer.data.span import Span
from jmer.data.splits import Fold, Protocol, make_folds, protocol_of
from jmer.errors import JmerError, UsageError
from jmer.runs.folder import DESCRIPTION
from jmer.runs.folds import changed_since
from jmer.runs.run import Run

REMAINDER = (
    "The folds could not be derived, so clips of other folds are taken to train, as "
    "the protocol says."
)
LISTED = "The folds could not be derived, and by the protocol lists say who trains."
RESTORE = "Restore what it was, or name a copy of that with --lists."


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run, its protocol, and its data set with the folds that follow from the two.

    `clips` is None and `folds` empty where they cannot be had; `missing` says why.
    `changed` says why lists of folds, of which the run was made, do not tell them.
    `spans` are the frames that the clips were cut from, of those that are known.
    """

    run: Run
    protocol: Protocol
    clips: ClipSet | None
    folds: tuple[Fold, ...]
    spans: Sequence[Span]
    missing: str
    changed: str = ""

    @classmethod
    def of(
        cls,
        run: Run,
        clips: ClipSet | None,
        spans: Sequence[Span] = (),
        missing: str = "",
        lists: Path | None = None,
    ) -> "Evidence":
        """Derives the folds, where there is a set; by `lists` that lie elsewhere by
        now, if given.

        Raises: JmerError if this jmer does not know the protocol; UsageError for lists
        of a run that had none.
        """
        try:
            protocol = protocol_of(run.experiment["experiment"].get("protocol", {}))
        except JmerError as error:
            raise JmerError(f"{run.folder / DESCRIPTION}: {error}") from error
        if lists is not None:
            protocol = _with_lists(protocol, lists, run)
        folds: list[Fold] = []
        changed = changed_since(run, protocol) if clips is not None else ""
        if clips is not None and not changed:
            try:
                folds = make_folds(protocol, clips)
            except JmerError as error:
                missing = f"its folds cannot be derived: {error}"
        return cls(run, protocol, clips, tuple(folds), spans, missing, changed)

    @property
    def tested(self) -> dict[str, list[Name]] | None:
        """The test clips of each fold in their order; None where that is not known."""
        if self.clips is None or not self.folds:
            return None
        names = self.clips.names
        return {fold.name: [names[i] for i in fold.test] for fold in self.folds}

    def table(self) -> Roster:
        """Who was tested in which fold, by the predictions, and who trains in it."""
        p = self.run.predictions
        place = positions([*(self.clips.names if self.clips else ()), *p.names])
        index = np.array([place[name] for name in p.names])
        training = {fold.name: fold.train for fold in self.folds}
        whole = not self.folds and self.protocol.exhaustive
        remainder = whole and self.protocol.others_train
        folds = []
        for name in np.unique(p.fold).tolist():
            test = np.unique(index[p.fold == name])
            train = training.get(name, np.zeros(0, int))
            if remainder:
                train = np.setdiff1d(np.arange(len(place)), test)
                train = np.setdiff1d(train, self._kept_out(test))
            folds.append(Fold(name, train, test))
        return Roster(
            names=tuple(place),
            folds=tuple(folds),
            rounds=tuple(self._rounds(index, len(place))),
            spans={span[:3]: span[3:] for span in self.spans},
            sessions=self._sessions(),
            assumed=REMAINDER if remainder else LISTED if whole else "",
        )

    def _kept_out(self, test: np.ndarray) -> np.ndarray:
        """Clips for training alone of those that a fold tests, where it must not see
        them."""
        clips = self.clips
        if clips is None or not self.protocol.subject_independent:
            return np.zeros(0, int)
        tested = clips.subject[test[test < len(clips)]]
        return np.flatnonzero(clips.train_only & np.isin(clips.subject, tested))

    def _sessions(self) -> dict[Name, str]:
        """By what the set tells, or else the predictions."""
        p, clips = self.run.predictions, self.clips
        known = dict(zip(p.names, p.sessions.tolist(), strict=True))
        if clips is not None:
            told = zip(clips.names, clips.session.tolist(), strict=True)
            known |= {(name[0], name[1], name[2]): session for name, session in told}
        return {name: session for name, session in known.items() if session}

    def _rounds(self, index: np.ndarray, clips: int) -> Iterator[Round]:
        p, every = self.run.predictions, np.arange(clips)
        tests = {fold.name: fold.test for fold in self.folds}
        wanted = np.isin(every, np.concatenate([*tests.values()])) if tests else None
        several = len(np.unique(p.variant)) > 1
        for seed, variant in sorted(set(zip(p.seed.tolist(), p.variant.tolist(),
                                            strict=True))):  # fmt: skip
            own = index[(p.seed == seed) & (p.variant == variant)]
            lost = [
                tests.get(task["fold"], np.zeros(0, int))
                for task in self.run.metrics["diverged"]
                if (task["seed"], task["variant"]) == (seed, variant)
            ]
            yield Round(
                f"seed {seed}, variant {variant}" if several else f"seed {seed}",
                np.bincount(own, minlength=clips),
                wanted,
                np.isin(every, np.concatenate([np.zeros(0, int), *lost])),
            )


def _with_lists(protocol: Protocol, lists: Path, run: Run) -> Protocol:
    if "lists" not in protocol.files:
        raise UsageError(
            f"--lists: {run.folder} was not made from lists of folds, but by "
            f"{protocol.word()}: leave it out"
        )
    made: dict[str, Any] = {"lists": lists}
    return replace(protocol, **made)

"""Which clips each fold of trained weights was kept from: to test others is a leak."""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, make_folds, protocol_of
from jmer.errors import JmerError
from jmer.files.lock import tell
from jmer.runs.folder import CHECKPOINTS, DESCRIPTION, PREDICTIONS
from jmer.runs.folds import changed_since
from jmer.runs.run import Run
from jmer.runs.weights import INDEX, HeldOut, Weights

BY_CLIPS = "by the clips that each training held out"
BY_NAME = "by the name of the file"


@dataclasses.dataclass(frozen=True)
class KeptFrom:
    """What the weights in a folder were kept from.

    `clips` is None where nothing tells but the name of each file: its subject.
    """

    folder: Path
    clips: HeldOut | None

    @property
    def known(self) -> str:
        """How that is known, in words."""
        return BY_NAME if self.clips is None else BY_CLIPS

    def refuse_leaks(self, folds: Sequence[Fold], clips: ClipSet, remedy: str) -> None:
        """Raises: JmerError if a fold tests a clip that the weights of its name were
        not kept from: they may have trained on it, or chosen their epoch by it.
        """
        names = clips.names
        for fold in folds:
            own = None if self.clips is None else self.clips.get(fold.name, ())
            for name in (names[i] for i in fold.test):
                _, subject, clip = name
                if own is None and subject != fold.name:
                    raise JmerError(
                        f"fold {fold.name} tests clip {clip} of subject {subject}, but "
                        f"{self.folder} tells by the names of files alone what its "
                        f"weights were kept from: nothing says that those of "
                        f"{fold.name} have not seen {subject}. {remedy}"
                    )
                if own is not None and name not in own:
                    raise JmerError(
                        f"fold {fold.name} tests clip {clip}, which {self.folder} did "
                        f"not hold out of its fold of that name, and may have trained "
                        f"on. {remedy}"
                    )


def held_out(folds: Iterable[Fold], clips: ClipSet) -> HeldOut:
    """The clips that each of some folds tests."""
    names = clips.names
    return {fold.name: frozenset(names[i] for i in fold.test) for fold in folds}


def kept_from_weights(weights: Weights, folder: Path) -> KeptFrom:
    """Of weights in a folder of their own.

    Raises: JmerError if a training has another name there than its file had.
    """
    for task, source in zip(weights.tasks, weights.sources, strict=False):
        name, imported, _ = source.partition(" sha256 ")
        fold = name.partition("/")[0].split(".")[0]  # the folder's name, if it has one
        if weights.held_out is None and imported and fold != task.fold:
            raise JmerError(
                f"{folder / INDEX} calls weights of {name} those of {task.fold}: it "
                f"was edited. Import the checkpoints again."
            )
    return KeptFrom(folder, weights.held_out)


def kept_from_run(run: Run, clips: ClipSet) -> KeptFrom:
    """Of a run: what its checkpoints say. Those of older versions do not; then it is
    what follows from the protocol, if `clips` are those of the run and its lists of
    folds are as they were, or else what the predictions say.

    Raises: JmerError if the predictions say otherwise, as edited ones do.
    """
    said = _predicted(run)
    known, (made, changed) = run.held_out, _made(run, clips)
    if changed:
        instead = PREDICTIONS if known is None else CHECKPOINTS
        tell(f"{changed} Its folds are those that its {instead} tell")
    if known is None:
        known = made
    elif made is not None and (other := [f for f in known if known[f] != made.get(f)]):
        raise JmerError(
            f"fold {min(other)} of {run.folder} held out other clips than its protocol "
            f"does: its checkpoints, or {DESCRIPTION}, are of another run. Restore it "
            f"from a copy, or train again."
        )
    if known is None:
        return KeptFrom(run.folder, said)
    for fold, own in said.items():
        for name in sorted(own ^ known.get(fold, frozenset())):
            dataset, subject, clip = name
            raise JmerError(
                f"fold {fold} of {run.folder / PREDICTIONS} is not the one that was "
                f"trained: clip {clip} of subject {subject} ({dataset}) is "
                f"{'in the file' if name in own else 'in the training'} alone. The "
                f"file was changed after the run: restore it, or train again."
            )
    return KeptFrom(run.folder, known)


def _made(run: Run, clips: ClipSet) -> tuple[HeldOut | None, str]:
    """What the protocol of a run holds out; None if `clips` are of another set, or
    files that it names have changed, which is said then."""
    identity: Mapping[str, Any] = run.experiment.get("identity", {})
    if identity.get("data_fingerprint") != clips.fingerprint:
        return None, ""
    # A protocol of the user's own cannot be made from its name.
    with contextlib.suppress(JmerError):
        protocol = protocol_of(run.experiment["experiment"]["protocol"])
        if changed := changed_since(run, protocol):
            return None, changed
        return held_out(make_folds(protocol, clips), clips), ""
    return None, ""


def _predicted(run: Run) -> HeldOut:
    predictions = run.predictions
    found: dict[str, set[tuple[str, ...]]] = {}
    for fold, name in zip(predictions.fold.tolist(), predictions.names, strict=True):
        found.setdefault(str(fold), set()).add(tuple(map(str, name)))
    return {fold: frozenset(names) for fold, names in found.items()}

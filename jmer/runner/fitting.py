"""The fits of a run of baselines: each task at once, on the host, and saved."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from scipy.special import log_softmax

from jmer.arrays import Array
from jmer.baselines.config import FEATURES, BaselineConfig
from jmer.baselines.svm import Arrays, SvmConfig, require_vectors
from jmer.data.splits import Fold
from jmer.runner.laid_out import Pack
from jmer.runner.outcome import mean_of
from jmer.runner.progress import View
from jmer.runner.session import Session
from jmer.runner.stages import LOOKS, SAVES, stage
from jmer.runs.events import EventLog
from jmer.runs.folder import RUN
from jmer.runs.packs import PACK, place_of
from jmer.runs.weights import structure
from jmer.scores.labels import kind_of
from jmer.text import counted
from jmer.train.canary import Leak, Passed, differing, without
from jmer.train.checkpoint import Checkpoints, Flat, unflatten
from jmer.train.pack import PackResult, result_of
from jmer.train.tasks import Task
from jmer.train.variants import with_values

EPOCH = 1
"""The only evaluation of a fit."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What one fit found, and how it did."""

    arrays: Arrays
    logits: np.ndarray  # n k, of all clips of the set
    loss: float  # mean cross-entropy of the training clips, nats
    inner: tuple[float, float] = (np.nan, np.nan)
    """UF1 and loss on the inner clips, of the setting that was chosen."""


@dataclasses.dataclass(frozen=True)
class Fitting:
    """How packs of a session are fitted, and who is told of it."""

    session: Session
    view: View
    log: EventLog
    stopping: Callable[[], bool]

    def announce(self, done: int, todo: Sequence[Pack]) -> None:
        """What is about to be fitted, after the `done` tasks there are."""
        session, left = self.session, sum(len(pack.tasks) for pack in todo)
        if not todo:
            return
        self.view.say(
            f"{counted(left, 'task')} to fit ({counted(len(session.folds), 'fold')}; "
            f"{done} done), {session.experiment.model.name}"
        )
        self.view.begin(done + left, done, EPOCH, session.training_clips)

    def of(self, pack: Pack) -> PackResult:
        """The results of a pack, which are saved.

        Raises: Leak if held-out clips reach a fit; KeyboardInterrupt once `stopping`
        says so, with nothing saved: a fit takes seconds.
        """
        session, log = self.session, self.log
        begun = time.monotonic()
        fits = Fits.of(session)
        with stage("looking for leaks", LOOKS):
            passed = fits.without_leak(pack.tasks[0])
        self.view.say(str(passed))
        found = []
        with stage("training", SAVES, patient=True, counted=True):
            for task in pack.tasks:
                if self.stopping():
                    raise KeyboardInterrupt
                found.append(fits.fit(task))
                self.view.evaluated(1, EPOCH, EPOCH, found[-1].loss)
            arrays = fits.stacked(pack.tasks, found)
            seconds = time.monotonic() - begun
            notes = {
                RUN: pack.run,
                PACK: place_of(pack.folder),
                "plan": pack.plan.record(),
                "canary": passed.record(),
                **session.held_out(pack.tasks),
            }
            meta = {
                "tasks": [dataclasses.asdict(task) for task in pack.tasks],
                "finished": True,
                "seconds": seconds,
                **notes,
            }
            with contextlib.closing(Checkpoints(pack.folder)) as checkpoints:
                checkpoints.save(EPOCH + 1, arrays, meta)
                checkpoints.finish()
        result = result_of(arrays, pack.tasks, seconds)
        self._note(pack, result)
        log.write_tasks(result)
        return result

    def _note(self, pack: Pack, result: PackResult) -> None:
        self.log.write(
            event="evaluation",
            pack=pack.number,
            tasks=len(pack.tasks),
            epoch=EPOCH,
            loss=mean_of(result.loss),
            test_acc=None,
            inner_uf1=mean_of(result.inner_uf1),
            inner_loss=mean_of(result.inner_loss),
            diverged=0,
            seconds=round(result.seconds, 4),
        )


@dataclasses.dataclass(frozen=True)
class Fits:
    """The features of all clips, and the fits to those of a fold."""

    session: Session
    features: np.ndarray  # n d
    label: np.ndarray
    classes: int
    logits: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    """Of all clips, by the arrays of a fit."""

    @classmethod
    def of(cls, session: Session) -> "Fits":
        """Raises: UsageError as `require_vectors`."""
        network, classes = _baseline(session), len(session.clips.classes)
        require_vectors(network, max(len(fold.train) for fold in session.folds))
        features = np.asarray(session.data.rows[FEATURES], np.float32)
        return cls(
            session,
            features,
            np.asarray(session.clips.label),
            classes,
            _logits_of(network, classes, features),
        )

    def fit(self, task: Task) -> Fitted:
        """The fit of a task to its training clips, with the setting that does best on
        inner clips where there is a choice: fitted without them to choose, and then
        with them."""
        options, train = self._options(task), self.folds[task.fold].train
        inner = (np.nan, np.nan)
        if len(options.settings) > 1:
            chosen, inner = self._chosen(task, options)
        else:
            chosen = options.settings[0]
        arrays = self._fit(chosen, train)
        logits = self.logits(arrays)
        return Fitted(arrays, logits, _loss(logits[train], self.label[train]), inner)

    @functools.cached_property
    def folds(self) -> dict[str, Fold]:
        """By name."""
        return {fold.name: fold for fold in self.session.folds}

    def _options(self, task: Task) -> SvmConfig:
        options = self.session.experiment.optim
        assert isinstance(options, SvmConfig)
        values = self.session.variants[task.variant]
        return with_values(options, "optim", values)

    def _fit(self, options: SvmConfig, clips: np.ndarray) -> Arrays:
        """To these clips and no others: they are all that is handed over."""
        network = _baseline(self.session)
        features, label = self.features[clips], self.label[clips]
        return options.fit(network, features, label, self.classes)

    def _chosen(
        self, task: Task, options: SvmConfig
    ) -> tuple[SvmConfig, tuple[float, float]]:
        table = self.session.work([task]).table
        inner = np.asarray(table.inner[0])[np.asarray(table.inner_weight[0]) > 0]
        train = np.flatnonzero(np.asarray(table.train[0]))
        by_loss = self.session.experiment.inner_criterion == "loss"

        def tried(setting: SvmConfig) -> tuple[float, float]:
            logits = self.logits(self._fit(setting, train))[inner]
            label = self.label[inner]
            kind = kind_of(label)
            counts = kind.counts(label, kind.answer(logits), self.classes)
            return float(kind.goal(counts)), _loss(logits, label)

        def worth(score: tuple[float, float]) -> tuple[float, ...]:
            return (-score[1],) if by_loss else (score[0], -score[1])

        scores = [tried(setting) for setting in options.settings]
        best = max(range(len(scores)), key=lambda i: worth(scores[i]))
        return options.settings[best], scores[best]

    def without_leak(self, task: Task) -> Passed:
        """That a task's fit has the same bits with every clip replaced that it must not
        see, its features and its label.

        Raises: Leak otherwise.
        """
        begun, session = time.monotonic(), self.session
        unseen = np.ones(len(self.label), bool)
        unseen[self.folds[task.fold].train] = False
        other = without(session.data, unseen, self.classes)
        changed = dataclasses.replace(
            self,
            features=np.asarray(other.rows[FEATURES], np.float32),
            label=np.asarray(other.label),
        )
        first, second = self.fit(task).arrays, changed.fit(task).arrays
        if found := differing(first, second):
            raise Leak(
                f"clips that fold {task.fold} must not see change its fit: "
                f"{counted(len(found), 'array')}, the first {found[0]}."
            )
        took = time.monotonic() - begun
        return Passed(task, int(unseen.sum()), len(first), took)

    def stacked(self, tasks: Sequence[Task], found: Sequence[Fitted]) -> Flat:
        """What a finished pack holds, as `jmer.train.pack` saves it."""
        longest = max(len(fold.test) for fold in self.folds.values())
        logits = np.zeros((1, len(tasks), longest, self.classes), np.float32)
        for i, (task, one) in enumerate(zip(tasks, found, strict=True)):
            test = self.folds[task.fold].test
            logits[0, i, : len(test)] = one.logits[test]
        inner = np.array([one.inner for one in found], np.float32)
        names = found[0].arrays
        return {
            **{name: np.stack([one.arrays[name] for one in found]) for name in names},
            "history.epoch": np.array([EPOCH], np.int32),
            "history.loss": np.array([[one.loss for one in found]], np.float32),
            "history.alive": np.ones((1, len(tasks)), bool),
            "history.test_logits": logits,
            "history.inner_uf1": inner[None, :, 0],
            "history.inner_loss": inner[None, :, 1],
            "selected": np.full(len(tasks), EPOCH, np.int32),
        }


def _baseline(session: Session) -> BaselineConfig:
    network = session.experiment.model
    assert isinstance(network, BaselineConfig)
    return network


def _logits_of(
    network: BaselineConfig, classes: int, features: np.ndarray
) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    graphdef, (params, stats) = structure(network, classes)
    template = {"params": params, "stats": stats}

    @jax.jit
    def logits(state: dict[str, nnx.State], features: Array) -> Array:
        model = nnx.merge(graphdef, state["params"], state["stats"])
        return network.apply(model, {FEATURES: features})

    there = jnp.asarray(features)

    def of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        stacked = {name: value[None] for name, value in arrays.items()}
        one = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), template
        )
        state = unflatten(one, stacked, Path(FEATURES))
        return np.asarray(logits(jax.tree.map(lambda x: x[0], state), there))

    return of


def _loss(logits: np.ndarray, label: np.ndarray) -> float:
    """Mean cross-entropy, of classes or of units, nats. In NumPy: folds differ in size,
    and each size would be compiled."""
    wide = logits.astype(np.float64)
    if label.ndim == 2:
        return float(np.logaddexp(0, np.where(label, -wide, wide)).mean())
    return float(-log_softmax(wide, -1)[np.arange(len(label)), label].mean())

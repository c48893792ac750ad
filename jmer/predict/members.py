"""The trainings of a run that are asked together, and what they answer."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from jmer.annotations import Float
from jmer.arrays import Array
from jmer.errors import UsageError
from jmer.models.base import Inputs
from jmer.runs.run import Run
from jmer.scores.labels import UNITS
from jmer.text import did_you_mean
from jmer.train.numerics import pinned
from jmer.train.tasks import Task

BEST_INNER = "best-inner"
BATCH = 16
"""Clips that a network sees at once: always as many, so that one program serves."""


class Answer(NamedTuple):
    """What members say of clips: the first axis is that of members, the next clips.
    Of action units each has a probability by itself."""

    probabilities: Float[np.ndarray, "m n k"]
    intensity: Float[np.ndarray, "m n s"] | None
    """Of the last frames of each clip, where the network tells it."""
    steps: Float[np.ndarray, "m n s k"] | None
    """The same of each of these frames, where the network tells it."""


class Members:
    """All folds and seeds of a run, or some of them.

    `fold` is the name of one; `seed` one of the run's seeds; `member` best-inner for
    the training that was best on its own inner clips.

    Raises: JmerError if the run has no weights; UsageError if there is no such fold,
    seed or member.
    """

    def __init__(
        self,
        run: Run,
        *,
        fold: str | None = None,
        seed: int | None = None,
        member: str | None = None,
    ) -> None:
        self.run = run
        self.weights, self.kind = run.weights, run.kind
        self.network, self.classes = self.weights.config, self.weights.classes
        variant = run.metrics.get("variant", 0)
        self.rows = [
            i
            for i, task in enumerate(self.weights.tasks)
            if task.variant == variant
            and fold in (None, task.fold)
            and seed in (None, task.seed)
        ]
        if not self.rows:
            raise self._none(fold, seed)
        if member is not None:
            self.rows = [self._best(member)]

    @property
    def tasks(self) -> list[Task]:
        return [self.weights.tasks[row] for row in self.rows]

    def _none(self, fold: str | None, seed: int | None) -> UsageError:
        folds = sorted({task.fold for task in self.weights.tasks})
        if fold is not None and fold not in folds:
            some = ", ".join(folds[:6]) + (", …" if len(folds) > 6 else "")
            return UsageError(
                f"--fold {fold}: {self.run.folder} has no such fold"
                f"{did_you_mean(fold, folds)}; it has {some}"
            )
        seeds = sorted({task.seed for task in self.weights.tasks})
        return UsageError(
            f"--seed {seed}: {self.run.folder} has {', '.join(map(str, seeds))}"
        )

    def _best(self, member: str) -> int:
        if member != BEST_INNER:
            raise UsageError(
                f"--member {member}: must be {BEST_INNER}; --fold names a fold, and "
                f"without either all are asked"
            )
        scores = {
            task: float(pack.inner_uf1[list(pack.epoch).index(pack.selected[i]), i])
            for pack in self.run.packs
            for i, task in enumerate(pack.tasks)
            if pack.selected[i] in pack.epoch
        }
        found = {row: scores.get(self.weights.tasks[row], np.nan) for row in self.rows}
        known = {row: score for row, score in found.items() if np.isfinite(score)}
        if not known:
            raise UsageError(
                f"--member {BEST_INNER}: the trainings of {self.run.folder} have no "
                f"score on inner clips; leave it out to ask them all, or name one with "
                f"--fold"
            )
        return max(known, key=lambda row: known[row])

    def ask(self, inputs: Mapping[str, np.ndarray]) -> Answer:
        """Of clips [n, ...] by feature, n at most `BATCH`."""
        clips = len(next(iter(inputs.values())))
        filled = {
            name: np.resize(array, (BATCH, *array.shape[1:]))
            for name, array in inputs.items()
        }
        with pinned():  # whatever a notebook has set
            # What a network explains, it makes of clips as they are stored.
            apart = self.network.has_prefix and not self.spots
            seen = self._prefix(filled) if apart else filled
            every = [
                jax.device_get(self._answer(self._state(row), seen))
                for row in self.rows
            ]
        logits = np.stack([logits for logits, _ in every])[:, :clips]
        shown = {
            name: np.stack([one[name] for _, one in every])[:, :clips]
            for name in every[0][1]
        }
        steps = shown.get("step_logits")
        return Answer(
            self.kind.shares(logits),
            shown.get("intensity"),
            None if steps is None else self.kind.shares(steps),
        )

    def explained(
        self, inputs: Mapping[str, np.ndarray], row: int
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits [k] of one clip (without the axis of clips) by one member, and what
        the network has to show."""
        one = {name: array[None] for name, array in inputs.items()}
        with pinned():
            logits, shown = jax.device_get(self._explain(self._state(row), one))
        return logits[0], {name: value[0] for name, value in shown.items()}

    def arrays(self, row: int) -> dict[str, np.ndarray]:
        """Of one member, by path."""
        return {path: value[row] for path, value in self.weights.arrays.items()}

    @property
    def spots(self) -> bool:
        """Whether the network tells how far each frame shows an expression."""
        return "intensity" in self._shown

    @cached_property
    def _structure(self) -> tuple[nnx.GraphDef, tuple[nnx.State, nnx.State]]:
        return self.weights.states()

    def _state(self, row: int) -> tuple[nnx.State, nnx.State]:
        return jax.tree.map(lambda x: x[row], self._structure[1])

    @cached_property
    def _shown(self) -> dict[str, Any]:
        """Shapes of what the network has to show of one clip."""
        shapes = zip(self.network.inputs, self.network.input_shapes, strict=True)
        inputs = {n: jax.ShapeDtypeStruct((1, *s), np.float32) for n, s in shapes}
        if not hasattr(self._module(), "explain"):
            return {}
        with pinned():
            return dict(
                jax.eval_shape(self._explain, self._state(self.rows[0]), inputs)[1]
            )

    def _module(self) -> Any:
        return nnx.merge(self._structure[0], *self._state(self.rows[0]))

    @cached_property
    def _prefix(self) -> Any:
        return jax.jit(self.network.prefix)

    @cached_property
    def _explain(self) -> Any:
        def explain(
            state: tuple[nnx.State, nnx.State], inputs: Inputs
        ) -> tuple[Array, Mapping[str, Array]]:
            model = nnx.merge(self._structure[0], *state)
            logits, shown = self.network.explain(model, inputs)
            if self.kind is UNITS:
                logits = self.network.predict_units(model, inputs)
            return logits, shown

        return jax.jit(explain)

    @cached_property
    def _answer(self) -> Any:
        """Logits of clips as `prefix` leaves them, and by frame what `Answer` has."""
        wanted = ("intensity", "step_logits") if self.spots else ()
        of_units, network = self.kind is UNITS, self.network

        def answer(
            state: tuple[nnx.State, nnx.State], seen: Inputs
        ) -> tuple[Array, dict[str, Array]]:
            model = nnx.merge(self._structure[0], *state)
            if not wanted:
                ask = network.apply_units if of_units else network.apply
                return ask(model, seen, train=False), {}
            logits, shown = network.explain(model, seen)
            if of_units:
                logits = network.predict_units(model, seen)
            return logits, {name: shown[name] for name in wanted if name in shown}

        return jax.jit(answer)


def stacked(clips: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Clips as one batch."""
    return {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}

"""The training of one task: pure functions that know of no other."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct
from jax.typing import DTypeLike

from jmer import keys, trees
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray, Shaped
from jmer.errors import UsageError
from jmer.losses import label_loss
from jmer.models.base import Inputs, NetworkConfig, require_logits
from jmer.nn.lowering.choice import Lowering, current, use_lowering
from jmer.nn.remat import use_remat
from jmer.optim import Horizon, OptimConfig, trained_alone
from jmer.scores.labels import UNITS, kind_of
from jmer.targets.scopes import STEPS
from jmer.train.accumulate import in_parts
from jmer.train.batches import BatchPlan
from jmer.train.objective import (
    PLAIN,
    Labels,
    LossConfig,
    balanced_weights,
    mixed,
    use_loss,
)
from jmer.train.squares import TOGETHER, sum_of_squares
from jmer.train.tasks import TaskTable
from jmer.train.variants import Values, with_values

Criterion = Literal["uf1", "loss"]
Label: TypeAlias = Int[Array, " n"] | Bool[Array, "n k"]
"""Of each clip its class, or which action units it shows."""
Update: TypeAlias = Callable[
    ["TaskState", tuple[Array, Array, Array]], tuple["TaskState", Array]
]


@struct.dataclass
class Best:
    """The weights of the epoch that did best on the inner clips, and how well."""

    params: nnx.State
    stats: nnx.State
    uf1: Float[Array, ""]
    loss: Float[Array, ""]
    epoch: Int[Array, ""]


@struct.dataclass
class Average:
    """Moving means of the weights and statistics after each update."""

    params: nnx.State
    stats: nnx.State


@struct.dataclass
class TaskState:
    """All that changes while a task trains."""

    step: Int[Array, ""]
    params: nnx.State
    stats: nnx.State
    opt_state: optax.OptState
    alive: Bool[Array, ""]  # False once a loss or gradient was not finite
    best: Best | None
    average: Average | None = None
    stopped: Int[Array, ""] | None = None  # after that epoch; 0 while it trains

    @property
    def tested(self) -> Average:
        """What is evaluated and saved: the means where there are any."""
        return self.average or Average(self.params, self.stats)

    @property
    def trains(self) -> Bool[Array, ""]:
        """Whether it has neither diverged nor stopped."""
        return self.alive if self.stopped is None else self.alive & (self.stopped == 0)


@struct.dataclass
class Data:
    """The set on the device, the same for all tasks: whole, or the clips of a block of
    it, which `place` finds.

    Clips lie as rows: an array whose last axis has two or three values would be padded
    to 128 on a TPU, and one that convolutions read would be copied to another order, at
    every step and as a whole. As rows a batch is gathered, and shaped after.
    """

    rows: Mapping[str, Shaped[Array, "rows values"]]
    label: Label
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = struct.field(pytree_node=False)
    """Of a clip in each input."""
    place: Int[Array, " n"] | None = None
    """The row of each clip, where that is not its number; only of those there are."""

    @classmethod
    def of(cls, inputs: Inputs, label: Label) -> "Data":
        """The set of these inputs, clips first."""
        rows = {name: x.reshape(len(x), -1) for name, x in inputs.items()}
        return cls(rows, label, tuple((n, x.shape[1:]) for n, x in inputs.items()))

    @property
    def inputs(self) -> Inputs:
        """Those of all clips; not for a step."""
        return {
            name: self.rows[name].reshape(-1, *shape) for name, shape in self.shapes
        }

    def take(self, index: Int[Array, " b"]) -> Inputs:
        """The inputs of some clips."""
        if self.place is not None:
            index = self.place[index]
        return {
            name: _rows(self.rows[name], index).reshape(len(index), *shape)
            for name, shape in self.shapes
        }


def _rows(rows: Shaped[Array, "n values"], index: Int[Array, " b"]) -> Array:
    """Some rows, in order. Few long ones are taken one by one: a TPU's gather of them
    reads the whole set, a part of all rows after the other."""
    few = len(index) * FEW < len(rows)
    few &= rows.shape[1] * rows.dtype.itemsize >= LONG
    if current() != "tpu" or not few:
        return rows[index]
    return jnp.stack([jax.lax.dynamic_index_in_dim(rows, i, 0, False) for i in index])


LEAST_TESTED = 16
"""Clips that are tested at once, however small a batch is."""
FEW = 8
LONG = 2**16
"""Bytes."""


@struct.dataclass
class Record:
    """What an evaluation leaves behind."""

    loss: Float[Array, ""]  # mean training loss of the epoch just ended, nats
    alive: Bool[Array, ""]
    test_logits: Float[Array, "t k"]
    inner_uf1: Float[Array, ""]  # mean F1 of units; nan without inner clips
    inner_loss: Float[Array, ""]  # nats, mean cross-entropy; nan without inner clips
    stopped: Int[Array, ""] | None = None  # as of the task's state


@dataclasses.dataclass(frozen=True)
class Trainer:
    """One task's training, as functions to be mapped over tasks.

    The network, optimiser and sizes are static; `graphdef` is the network's structure.
    """

    network: NetworkConfig
    classes: int
    dtype: DTypeLike
    optim: OptimConfig
    epochs: int
    plan: BatchPlan
    inner: Criterion | None  # what chooses the epoch, if inner clips do
    lowering: Lowering
    remat: bool = False  # whether layers make their values anew for the gradients
    accumulate: int = 1  # parts of a batch, one after another
    loss: LossConfig = PLAIN
    ema: float = 0.0  # decay of the means of weights; 0 for none
    patience: int = 0  # epochs without a better one that end a task; 0 for none

    def build(self, key: PRNGKeyArray) -> nnx.Module:
        return self.network.build(
            self.classes, dtype=self.dtype, rngs=nnx.Rngs(params=key)
        )

    @property
    def takes_parts(self) -> bool:
        """Whether a batch may go through in parts: its statistics are none of all its
        clips."""
        stats = jax.eval_shape(self.init, jax.random.key(0)).stats
        return self.network.clips_apart and not jax.tree.leaves(stats)

    def require_parts(self) -> None:
        """Raises: UsageError if a batch goes through in parts, and must not."""
        if self.accumulate == 1 or self.takes_parts:
            return
        raise UsageError(
            f"--engine.accumulate {self.accumulate}: {self.network.name} learns from "
            f"statistics of whole batches, which parts do not have; save memory by "
            f"--engine.remat on instead"
        )

    @property
    def graphdef(self) -> nnx.GraphDef:
        model = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        return nnx.split(model, nnx.Param, nnx.BatchStat)[0]

    def init(self, key: PRNGKeyArray) -> TaskState:
        """The state before the first step, from the task's key."""
        model = self.build(keys.named(key, "init"))
        params, stats = nnx.state(model, nnx.Param), nnx.state(model, nnx.BatchStat)
        lowest = Best(params, stats, jnp.array(-1.0), jnp.array(jnp.inf), jnp.array(0))
        return TaskState(
            step=jnp.array(0),
            params=params,
            stats=stats,
            opt_state=self.rules({}, 1)[1].init(params),
            alive=jnp.array(True),
            best=lowest if self.inner else None,
            average=Average(params, stats) if self.ema else None,
            stopped=jnp.int32(0) if self.patience else None,
        )

    def rules(
        self, values: Values, clips: Int[jax.Array, ""] | int
    ) -> tuple[NetworkConfig, optax.GradientTransformation]:
        """The network and the optimiser of a task with these values of its variant,
        that trains on so many clips.
        """
        network = with_values(self.network, "model", values)
        optim = with_values(self.optim, "optim", values)
        horizon = Horizon(self.epochs, self.plan.updates(clips))
        rule = optim.transform(horizon, network.layers_above)
        return network, trained_alone(rule, network.frozen)

    def step(
        self,
        state: TaskState,
        key: PRNGKeyArray,
        inputs: Inputs,
        label: Label,
        weight: Float[Array, " b"],
        rules: tuple[NetworkConfig, optax.GradientTransformation] | None = None,
        class_weight: Float[Array, " k"] | None = None,
    ) -> tuple[TaskState, Float[Array, ""]]:
        """One update. A batch without weight, or a task that has diverged or stopped,
        changes nothing."""
        graphdef = self.graphdef
        network, optimiser = rules or self.rules({}, self.plan.size)
        step_key = keys.named(key, "step", state.step)
        labels: Array | Labels = label
        if self.loss.mixup:
            mixup_key = keys.named(step_key, "mixup")
            inputs, labels = mixed(inputs, label, weight, mixup_key, self.loss.mixup)

        def objective(
            params: nnx.State, inputs: Inputs, labels: Array | Labels, weight: Array
        ) -> tuple[Float[Array, ""], nnx.State]:
            model = nnx.merge(graphdef, params, state.stats, copy=True)
            label = labels.first if isinstance(labels, Labels) else labels
            with (
                use_lowering(self.lowering),
                use_remat(self.remat),
                use_loss(self.loss, labels, class_weight, network.name),
            ):
                loss = network.loss(model, inputs, label, weight=weight, key=step_key)
            return loss, nnx.state(model, nnx.BatchStat)

        gradient = jax.value_and_grad(objective, has_aux=True)
        if self.accumulate > 1:
            gradient = in_parts(gradient, self.accumulate)
        (loss, stats), grads = gradient(state.params, inputs, labels, weight)
        updates, opt_state = optimiser.update(grads, state.opt_state, state.params)
        together = TOGETHER.get(self.lowering, 1)
        finite = jnp.isfinite(loss) & jnp.isfinite(sum_of_squares(grads, together))
        empty = weight.sum() == 0
        moved = dataclasses.replace(
            state,
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=stats,
            opt_state=opt_state,
        )
        if state.average is not None:
            moved = dataclasses.replace(
                moved, average=self._averaged(state.average, moved)
            )
        alive = state.alive & (finite | empty)
        state = trees.select(state.trains & finite & ~empty, moved, state)
        return dataclasses.replace(state, alive=alive), loss

    def _averaged(self, average: Average, moved: TaskState) -> Average:
        """The means after one more update. Their weights, decay^i of the i-th before,
        sum to one from the first on: nothing of the weights before it is left."""
        share = (1 - self.ema) / (1 - self.ema ** moved.step.astype(jnp.float32))
        now = Average(moved.params, moved.stats)
        return jax.tree.map(lambda old, new: old + share * (new - old), average, now)

    def batch_shapes(self, data: Data) -> tuple[Inputs, Array]:
        """Shapes of the inputs and labels of a full batch as the network sees them in
        training: after what changes clips at random."""

        def batch(data: Data, index: Array) -> tuple[Inputs, Array]:
            version = jnp.zeros(index.shape, jnp.int32)
            inputs = self.network.augment(data.take(index), jax.random.key(0), version)
            return inputs, data.label[index]

        index = jax.ShapeDtypeStruct((self.plan.size,), jnp.int32)
        shapes: tuple[Inputs, Array] = jax.eval_shape(batch, data, index)
        return shapes

    def train_epoch(
        self,
        state: TaskState,
        task: TaskTable,
        data: Data,
        key: PRNGKeyArray,
        order: Int[Array, " n"],
    ) -> tuple[TaskState, Float[Array, ""]]:
        """One pass over the task's clips as they come in `order`; its mean loss.

        `key` is of the seed and the epoch, not of the task: tasks that see the same
        batch see it changed in the same way, which is done once for all of them.
        """
        index, weight = (
            self.plan.draw(key, task.train, data.label, self.classes)
            if self.plan.balanced
            else self.plan.batches(order, task.train)
        )
        update = self._update(task, data, key)
        steps = jnp.arange(self.plan.steps)
        with jax.named_scope(STEPS):
            state, losses = jax.lax.scan(update, state, (steps, index, weight))
        return state, _mean(losses, weight)

    def train_steps(
        self,
        state: TaskState,
        losses: Float[Array, " steps"],
        task: TaskTable,
        data: Data,
        key: PRNGKeyArray,
        order: Int[Array, " n"],
        first: Int[Array, ""],
        stop: Int[Array, ""],
    ) -> tuple[TaskState, Float[Array, " steps"], Float[Array, ""]]:
        """The steps of an epoch from `first` to before `stop`, of which `data` has the
        clips, as `train_epoch` does them; the losses of all steps so far, and the mean
        of the epoch, which holds once all are done.
        """
        if self.plan.steps == 1:  # compilers take a loop of one turn apart
            state, loss = self.train_epoch(state, task, data, key, order)
            return state, losses, loss
        index, weight = self.plan.batches(order, task.train)
        update = self._update(task, data, key)

        def step(
            number: Array, carry: tuple[TaskState, Array]
        ) -> tuple[TaskState, Array]:
            batch = number, index[number], weight[number]
            state, loss = update(carry[0], batch)
            return state, jax.lax.dynamic_update_index_in_dim(carry[1], loss, number, 0)

        with jax.named_scope(STEPS):
            state, losses = jax.lax.fori_loop(first, stop, step, (state, losses))
        return state, losses, _mean(losses, weight)

    def _update(self, task: TaskTable, data: Data, key: PRNGKeyArray) -> Update:
        """A step of an epoch: `(state, (number, index, weight)) -> (state, loss)`."""
        rules = self.rules(task.values, jnp.sum(task.train))
        class_weight = None
        if self.loss.class_weights == "balanced":
            class_weight = balanced_weights(data.label, task.train, self.classes)

        def update(
            state: TaskState, batch: tuple[Array, Array, Array]
        ) -> tuple[TaskState, Array]:
            number, index, w = batch
            index, version = self.plan.split(index)
            augment_key = keys.named(key, "augment", number)
            with use_lowering(self.lowering):
                inputs = data.take(index)
                inputs = self.network.augment(inputs, augment_key, version)
            label = data.label[index]
            return self.step(state, task.key, inputs, label, w, rules, class_weight)

        return update

    def logits(
        self,
        state: TaskState,
        data: Data,
        index: Int[Array, " t"],
        weight: Float[Array, " t"],
    ) -> Float[Array, "t k"]:
        """Evaluation-mode logits of the clips `index`; those of weight 0 are padding,
        and may be left uncomputed. Of many clips, so many at a time that a test needs
        no more memory than a step.
        """

        def of(part: tuple[Array, Array]) -> Array:
            tested = state.tested
            model = nnx.merge(self.graphdef, tested.params, tested.stats)
            with use_lowering(self.lowering):
                inputs = data.take(part[0])
                units = kind_of(data.label) is UNITS
                answer = self.network.apply_units if units else self.network.apply
                logits = answer(model, inputs, train=False, weight=part[1])
            require_logits(model, logits, len(part[0]), self.classes)
            return logits

        parts = -(-len(index) // max(2 * self.plan.size, LEAST_TESTED))
        if parts <= 1:
            return of((index, weight))
        size = -(-len(index) // parts)
        padding = (0, parts * size - len(index))
        rows = (jnp.pad(each, padding).reshape(parts, size) for each in (index, weight))
        found: Array = jax.lax.map(of, tuple(rows))
        return found.reshape(parts * size, -1)[: len(index)]

    def evaluate(
        self,
        state: TaskState,
        task: TaskTable,
        data: Data,
        epoch: Int[Array, ""],
        loss: Float[Array, ""],
    ) -> tuple[TaskState, Record]:
        """Test logits after `epoch` epochs; keeps the weights if inner clips say so.

        The test clips are only recorded: nothing of the task depends on them.
        """
        inner_uf1: Array = jnp.array(jnp.nan)
        inner_loss: Array = jnp.array(jnp.nan)
        if state.best is not None:
            inner_uf1, inner_loss = self._inner_scores(state, task, data)
            state = self._keep_best(state, inner_uf1, inner_loss, epoch)
        if state.stopped is not None:
            state = self._stop(state, epoch)
        test = self.logits(state, data, task.test, task.test_weight)
        found = loss, state.alive, test, inner_uf1, inner_loss
        return state, Record(*found, state.stopped)

    def _inner_scores(
        self, state: TaskState, task: TaskTable, data: Data
    ) -> tuple[Array, Array]:
        """UF1, or the mean F1 of action units, and mean loss on the inner clips."""
        logits = self.logits(state, data, task.inner, task.inner_weight)
        label, weight = data.label[task.inner], task.inner_weight
        kind = kind_of(label)
        counts = kind.counts(label, kind.answer(logits), self.classes, weight)
        if kind is UNITS:
            value = label_loss(logits, label)
        else:
            value = -jax.nn.log_softmax(logits)[jnp.arange(len(label)), label]
        return kind.goal(counts), (value * weight).sum() / weight.sum()

    def _keep_best(
        self, state: TaskState, uf1: Array, loss: Array, epoch: Array
    ) -> TaskState:
        """The better by the criterion wins; of equal UF1, the lower loss; then the
        earlier.
        """
        best = state.best
        assert best is not None
        better = loss < best.loss
        if self.inner == "uf1":
            better = (uf1 > best.uf1) | ((uf1 == best.uf1) & better)
        now = Best(state.tested.params, state.tested.stats, uf1, loss, epoch)
        best = trees.select(better & state.trains, now, best)
        return dataclasses.replace(state, best=best)

    def _stop(self, state: TaskState, epoch: Array) -> TaskState:
        """Ends a task that has diverged, or was not better for `patience` epochs."""
        assert state.best is not None and state.stopped is not None
        due = ~state.alive | (epoch - state.best.epoch >= self.patience)
        ends = due & (state.stopped == 0)
        return dataclasses.replace(
            state, stopped=jnp.where(ends, epoch, state.stopped).astype(jnp.int32)
        )


def _mean(losses: Float[Array, " s"], weight: Float[Array, "s b"]) -> Array:
    """Of the losses of steps, by the clips that counted in them."""
    counts = weight.sum(1)
    total = jnp.where(counts > 0, losses * counts, 0).sum()
    return total / counts.sum()

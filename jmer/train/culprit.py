"""Where, in a network, one clip of a batch reaches another."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jmer import keys, trees
from jmer.arrays import Array
from jmer.nn.lowering.choice import use_lowering
from jmer.train.step import Data, Trainer
from jmer.train.tasks import TaskTable

Heard = list[tuple[str, list[np.ndarray]]]


def where_it_enters(trainer: Trainer, task: TaskTable, data: Data, other: Data) -> str:
    """The innermost layer, first in the order of their work, whose result for the
    clips of `task` differs between the two sets: its place in the network and its kind.

    Runs batches layer by layer, uncompiled. `task` is one row of a table.
    """
    for index, weight in _mixed_batches(trainer, task):
        place = _place(
            _listen(trainer, task, data, index, weight),
            _listen(trainer, task, other, index, weight),
            np.flatnonzero(np.asarray(weight) > 0),
        )
        if place is not None:
            return place
    return "no layer of a single batch: look at augment() of the network"


def _place(first: "Listened", second: "Listened", counted: np.ndarray) -> str | None:
    """Where two runs of a batch part for its `counted` clips."""
    for (place, a), (_, b) in zip(first.heard, second.heard, strict=False):
        pairs = zip(a, b, strict=True)
        if any(_differ(x, y, counted, first.clips) for x, y in pairs):
            return place
    if first.loss.tobytes() != second.loss.tobytes():
        return "the loss, after the last layer"
    leaves = jax.tree_util.tree_leaves_with_path(first.grads)
    for (path, a), b in zip(leaves, jax.tree.leaves(second.grads), strict=True):
        if np.asarray(a).tobytes() != np.asarray(b).tobytes():
            return f"the gradient of {trees.path_name(path)}"
    return None


def _mixed_batches(
    trainer: Trainer, task: TaskTable
) -> Iterator[tuple[np.ndarray, jax.Array]]:
    """The batches of the first epoch that have clips which the task must not see, those
    with most of them first."""
    plan, train = trainer.plan, jnp.asarray(task.train)
    indices, weights = plan.batches(plan.order(task.seed, jnp.int32(0)), train)
    unseen = np.asarray((weights == 0).sum(1))
    for step in np.argsort(-unseen, kind="stable").tolist():
        if unseen[step] and weights[step].sum() > 0:
            yield np.asarray(indices[step]), weights[step]


class Listened(NamedTuple):
    """What was heard of a batch: what layers return, in the order of their ends."""

    heard: Heard
    loss: np.ndarray
    grads: Any
    clips: int


def _listen(
    trainer: Trainer,
    task: TaskTable,
    data: Data,
    index: np.ndarray,
    weight: jax.Array,
) -> Listened:
    state = trainer.init(task.key)
    clips, version = trainer.plan.split(jnp.asarray(index))
    inputs = jax.tree.map(jnp.asarray, data.take(np.asarray(clips)))
    label = jnp.asarray(data.label)[clips]
    seen = trainer.network.augment(inputs, keys.named(task.key, "augment"), version)
    key = keys.named(task.key, "step", 0)
    heard: Heard = []

    def loss_of(params: Any, hear: bool) -> Array:
        model = nnx.merge(trainer.graphdef, params, state.stats, copy=True)
        listening = _listening(model, heard) if hear else contextlib.nullcontext()
        with listening, use_lowering(trainer.lowering):
            return trainer.network.loss(model, seen, label, weight=weight, key=key)

    loss = np.asarray(loss_of(state.params, True))
    grads = jax.jit(jax.grad(functools.partial(loss_of, hear=False)))(state.params)
    return Listened(heard, loss, jax.device_get(grads), len(index))


@contextlib.contextmanager
def _listening(model: nnx.Module, heard: Heard) -> Iterator[None]:
    """Notes what the modules of `model` return, and the statistics they leave."""
    names = {
        id(module): ".".join(map(str, path)) or "the network itself"
        for path, module in nnx.iter_modules(model)
    }
    kinds = {type(module) for _, module in nnx.iter_modules(model)}
    before = {kind: kind.__call__ for kind in kinds if "__call__" in vars(kind)}

    def noted(kind: type, call: Any) -> Any:
        @functools.wraps(call)
        def wrapped(self: Any, *args: Any, **options: Any) -> Any:
            result = call(self, *args, **options)
            if id(self) in names:
                own = jax.tree.leaves((result, nnx.state(self, nnx.BatchStat)))
                place = f"{names[id(self)]} ({type(self).__name__})"
                heard.append((place, [np.asarray(x) for x in own]))
            return result

        return wrapped

    try:
        for kind, call in before.items():
            kind.__call__ = noted(kind, call)  # type: ignore[method-assign]
        yield
    finally:
        for kind, call in before.items():
            kind.__call__ = call  # type: ignore[method-assign]


def _differ(a: np.ndarray, b: np.ndarray, counted: np.ndarray, batch: int) -> bool:
    """Whether the rows of counted clips differ; all of it, where clips do not come
    first."""
    if a.ndim and len(a) and len(a) % batch == 0:
        a, b = (x.reshape(batch, -1)[counted] for x in (a, b))
    return a.tobytes() != b.tobytes()

"""Whether a network keeps what the engine promises, in one line of a test:

    jmer.testing.check_network(MyConfig(size=8))

Give the smallest size that the network has: it is trained some twenty times.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jmer import trees
from jmer.data.clips import ClipSet
from jmer.data.random_clips import CLASSES, RandomClips
from jmer.data.splits import Fold, Loso, make_folds
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.lowering.choice import LOWERINGS, Lowering
from jmer.optim import SgdConfig
from jmer.train.batches import BatchPlan, Mode
from jmer.train.canary import sing
from jmer.train.folds import Program
from jmer.train.mesh import make_mesh
from jmer.train.step import Data, TaskState, Trainer
from jmer.train.tasks import Task, TaskTable, make_table, training_sizes

RELATIVE, ABSOLUTE = 2e-3, 2e-4
"""How near two programs of the same training must come after two epochs of SGD."""


def check_network(
    config: NetworkConfig, *, subjects: int = 3, per_subject: int = 4
) -> None:
    """Trains the network on random clips of so many subjects and holds it to four
    promises:

    - its logits are finite, of float32 and [clips, classes], and no clip changes those
      of another in a test;
    - gradients are finite in float32 and in bfloat16;
    - no bit of a fold's training depends on a clip that it must not see, where each
      fold has batches of its own and where all read the same ones;
    - a fold comes out alike alone and beside others, by every lowering.

    Raises: AssertionError that says which one is broken; Leak naming the layer through
    which a clip came that must not be seen.
    """
    shapes = tuple(zip(config.inputs, config.input_shapes, strict=True))
    clips = RandomClips(
        shapes=shapes, subjects=subjects, per_subject=per_subject
    ).clips()
    seen: Inputs = clips.inputs
    if config.has_prefix:
        seen = jax.device_get(config.prefix(seen))
    data = Data.of(seen, clips.label)
    _check_outputs(config, seen)
    for dtype in (jnp.float32, jnp.bfloat16):
        _check_gradients(config, data, dtype)
    modes: tuple[Mode, ...] = ("own", "shared")
    for mode in modes:
        tiny = _Tiny(config, clips, data, mode)
        sing(tiny.program(len(tiny.tasks)), tiny.tasks, tiny.table, data)
        _check_packs(tiny)


def _check_outputs(config: NetworkConfig, seen: Inputs) -> None:
    model = config.build(len(CLASSES), dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    graphdef, state = nnx.split(model)
    # As one program: each operation by itself would be one more to compile.
    answer = jax.jit(lambda *arrays: nnx.merge(graphdef, state)(*arrays))
    arrays = [jnp.asarray(seen[name]) for name in config.inputs]
    logits = answer(*arrays)
    shape = len(arrays[0]), len(CLASSES)
    assert logits.shape == shape, f"logits are {logits.shape}, not {shape}"
    assert logits.dtype == jnp.float32, f"logits are {logits.dtype}, not float32"
    assert jnp.isfinite(logits).all(), "logits of normal random clips are not finite"
    few = answer(*(array[:1] for array in arrays))
    np.testing.assert_allclose(
        *(few, logits[:1], RELATIVE, ABSOLUTE),
        err_msg="other clips change the logits of a test clip",
    )


def _check_gradients(config: NetworkConfig, data: Data, dtype: Any) -> None:
    model = config.build(len(CLASSES), dtype=dtype, rngs=nnx.Rngs(params=0))
    parts: Any = nnx.split(model, nnx.Param, ...)
    graphdef, params, rest = parts
    inputs = data.take(jnp.arange(len(data.label)))
    weight = jnp.ones(len(data.label))

    def loss(params: Any) -> Any:
        model = nnx.merge(graphdef, params, rest, copy=True)
        key = jax.random.key(0)
        found = config.loss(
            model, inputs, jnp.asarray(data.label), weight=weight, key=key
        )
        return found[0] if isinstance(found, tuple) else found

    gradients = jax.jit(jax.grad(loss))(params)
    name = np.dtype(dtype).name
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        finite = bool(jnp.isfinite(leaf).all())
        assert finite, (
            f"the gradient of {trees.path_name(path)} in {name} is not finite"
        )


@dataclasses.dataclass(frozen=True)
class _Tiny:
    """The folds of one network on few clips."""

    config: NetworkConfig
    clips: ClipSet
    data: Data
    mode: Mode

    @property
    def tasks(self) -> list[Task]:
        return [Task(0, str(s)) for s in np.unique(self.clips.subject)]

    @property
    def folds(self) -> list[Fold]:
        return make_folds(Loso(), self.clips)

    @property
    def table(self) -> TaskTable:
        return make_table(self.tasks, self.folds, self.clips, inner=None)

    def program(self, chunk: int, lowering: Lowering = "patches") -> Program:
        sizes = training_sizes(self.folds, self.clips, inner=None)
        batch = max(2, len(self.clips) // 2)
        plan = BatchPlan.of(
            *(self.mode, batch, len(self.clips), *sizes),
            sampling="shuffled",
            versions=self.config.versions,
        )
        trainer = Trainer(
            network=self.config,
            classes=len(CLASSES),
            dtype=jnp.float32,
            optim=SgdConfig(lr=0.01),
            epochs=2,
            plan=plan,
            inner=None,
            lowering=lowering,
        )
        return Program(trainer, make_mesh(1), chunk, 1)

    def trained(self, program: Program, rows: Sequence[int]) -> TaskState:
        """The states of some tasks after two epochs, on the host."""
        table = trees.take(self.table, np.array(rows))
        table = jax.device_put(table, program.per_task)
        data = jax.device_put(self.data, program.shared)
        states = program.first_states(table.key)
        advance = program.compiled(table, data)
        for epoch in range(2):
            numbers = np.int32(epoch), np.ones(1, np.int32)
            states, _ = advance(
                states, table, data, *jax.device_put(numbers, program.shared)
            )
        found: TaskState = jax.device_get(states)
        return found


def _check_packs(tiny: _Tiny) -> None:
    every = range(len(tiny.tasks))
    alone = tiny.trained(tiny.program(1, "backend"), [0])
    for lowering in LOWERINGS:
        beside = tiny.trained(tiny.program(len(every), lowering), every)
        for (path, one), among in zip(
            jax.tree_util.tree_leaves_with_path((alone.params, alone.stats)),
            jax.tree.leaves((beside.params, beside.stats)),
            strict=True,
        ):
            np.testing.assert_allclose(
                *(among[0], one[0], RELATIVE, ABSOLUTE),
                err_msg=f"{trees.path_name(path)} of a fold beside others ({lowering}, "
                f"{tiny.mode} batches) is not that of the fold alone",
            )

"""ResNet-18 by its stages, and lower ones with weights that stay. He et al. 2016."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.errors import JmerError
from jmer.nn.pool import max_pool
from jmer.nn.residual import ConvNorm, ResidualBlock
from jmer.weights import torch_names
from jmer.weights.torch_files import read_state_dict
from jmer.weights.whole import read_whole

STAGES = 4
LOWER = 3  # of them that stay as they are
SEED = 0  # of weights that nobody trained


def stage(inputs: int, outputs: int, stride: int, **same: Any) -> nnx.List:
    """Two blocks, the first of which may halve the size."""
    first = ResidualBlock(inputs, outputs, stride=stride, rank=2, **same)
    return nnx.List([first, ResidualBlock(outputs, outputs, rank=2, **same)])


class Stages(nnx.Module):
    """Stem and the first stages of ResNet-18: features at a fourth of an image's sides,
    or half as much for each stage after the first.

    `width` channels after the first stage, twice as many after each later one.
    """

    def __init__(
        self,
        width: int,
        count: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.stem = ConvNorm(3, width, (7, 7), strides=(2, 2), **same)
        self.stages: nnx.List[nnx.List] = nnx.List()
        before = width
        for i in range(count):
            after = width * 2**i
            self.stages.append(stage(before, after, min(i + 1, 2), **same))
            before = after

    @typed
    def __call__(
        self,
        x: Float[Array, "b h w 3"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b H W c"]:
        """Of images that are normalised."""
        x = nnx.relu(self.stem(x, train=train, weight=weight))
        x = max_pool(x, (3, 3), strides=(2, 2), padding=(1, 1))
        for blocks in self.stages:
            for block in blocks:
                x = block(x, train=train, weight=weight)
        return x


Frozen = tuple[nnx.GraphDef, nnx.State]


def load_lower(width: int, file: Path | None) -> Frozen:
    """The lower stages, with the weights of a checkpoint or, without one, with random
    ones that are always the same; in host memory.

    Raises: JmerError as `read_resnet18`.
    """
    if file is not None:
        return _from_file(width, read_resnet18(width, file))
    return _random(width)


def filled(state: nnx.State, arrays: Mapping[str, np.ndarray], home: str) -> nnx.State:
    """`state` with the arrays of the same path below `home`."""
    leaves = []
    for path, variable in nnx.to_flat_state(state):
        kind = "params" if variable.type is nnx.Param else "stats"
        name = ".".join((kind, home, *map(str, path)))
        leaves.append((path, variable.replace(arrays[name])))
    return nnx.from_flat_state(leaves)


def _from_file(width: int, arrays: Mapping[str, np.ndarray]) -> Frozen:
    model = nnx.eval_shape(lambda: Stages(width, LOWER, rngs=nnx.Rngs(params=SEED)))
    graphdef, state = nnx.split(model)
    return graphdef, filled(state, arrays, "trunk")


@functools.lru_cache(maxsize=2)
def _random(width: int) -> Frozen:
    # It may be asked for while a program is traced, of which it is no part.
    with jax.ensure_compile_time_eval():
        graphdef, state = nnx.split(Stages(width, LOWER, rngs=nnx.Rngs(params=SEED)))
        return graphdef, jax.tree.map(np.asarray, state)


def read_resnet18(width: int, file: Path) -> Mapping[str, np.ndarray]:
    """The arrays of a ResNet-18 for images in torchvision's names, without `fc`: by
    path below `trunk`. A file that stays the same is read only once.

    Raises: JmerError if there is no such file, it cannot be read safely, or it holds
    another network.
    """
    try:
        about = file.stat()
    except OSError as error:
        raise JmerError(
            f"cannot read the weights of ResNet-18 from {file}: {error.strerror}. Give "
            f"a PyTorch checkpoint with torchvision's names."
        ) from error
    return _read(width, file.resolve(), about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=2)
def _read(width: int, file: Path, *version: int) -> Mapping[str, np.ndarray]:
    del version
    state = read_state_dict(file)
    try:
        shape, wanted = state["conv1.weight"].shape, (width, 3, 7, 7)
        if shape != wanted:
            raise ValueError(f"conv1.weight has shape {shape} instead of {wanted}")
        if "layer1.2.conv1.weight" in state or "layer1.0.conv3.weight" in state:
            raise ValueError("it is deeper")
        return read_whole(state, torch_names.resnet18, besides=("fc.",))
    except (KeyError, ValueError) as error:
        raise JmerError(
            f"{file} is no ResNet-18 of {width} channels ({error}); it holds "
            f"{', '.join([*state][:4]) or 'no tensors'}…"
        ) from error

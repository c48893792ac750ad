"""Residual blocks of images and clips."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn import remat
from jmer.nn.conv import Conv
from jmer.nn.init import kaiming
from jmer.nn.norm import BatchNorm

Shortcut = Literal["conv", "zeropad"]


class ConvNorm(nnx.Module):
    """Convolution without bias, then batch norm; an odd `kernel` keeps the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        kernel_init: nnx.Initializer = kaiming,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = Conv(
            inputs,
            outputs,
            kernel,
            strides=strides,
            padding=[n // 2 for n in kernel],
            bias=False,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = BatchNorm(outputs, dtype=dtype)

    @typed
    def __call__(
        self,
        x: Float[Array, "b *space c"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
        apart: int = 1,
    ) -> Float[Array, "b *out d"]:
        """Convolved, then normalised by the clips that count; `apart` as the norm has
        it."""
        return self.norm(self.conv(x), train=train, weight=weight, apart=apart)


class Gate(Protocol):
    """A module that weighs the values of a branch, and can show the weights."""

    def explain(self, x: Array) -> tuple[Array, dict[str, Array]]: ...


class ResidualBlock(nnx.Module):
    """ReLU(gate(y) + shortcut(x)), y after two convolutions of 3 pixels along each of
    `rank` axes. He et al. 2016, figure 5, left; without `gate` y stays as it is.

    Where the size changes, the shortcut is a convolution of one pixel with batch norm
    (their option B), or the subsampled input with zero channels added (option A).

    Raises: ValueError if zeros would have to fill fewer channels than there are.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        rank: int,
        gate: Gate | None = None,
        shortcut: Shortcut = "conv",
        kernel_init: nnx.Initializer = kaiming,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {
            "kernel_init": kernel_init,
            "dtype": dtype,
            "rngs": rngs,
        }
        window, strides = (3,) * rank, (stride,) * rank
        self.first = ConvNorm(inputs, outputs, window, strides=strides, **same)
        self.second = ConvNorm(outputs, outputs, window, **same)
        self.gate = nnx.data(gate)
        self.stride = stride
        self.shortcut = nnx.data(
            ConvNorm(inputs, outputs, (1,) * rank, strides=strides, **same)
            if shortcut == "conv" and (inputs, stride) != (outputs, 1)
            else None
        )
        self.zeros = outputs - inputs if self.shortcut is None else 0
        if self.zeros < 0:
            raise ValueError(f"{inputs=} channels cannot be padded to {outputs=}")

    @typed
    def __call__(
        self,
        x: Float[Array, "b *space c"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
        apart: int = 1,
    ) -> Float[Array, "b *out d"]:
        """The branch, weighed by its gate if it has one, plus the shortcut; ReLU."""
        return self.explain(x, train=train, weight=weight, apart=apart)[0]

    def explain(self, x: Array, **options: Any) -> tuple[Array, dict[str, Array]]:
        """The result, and what the gate shows."""
        weight = options.pop("weight", None)

        def call(
            block: ResidualBlock, x: Array, weight: Array | None
        ) -> tuple[Array, dict[str, Array]]:
            return block._explain(x, weight=weight, **options)

        return remat.layer(self, call, x, weight)

    def _explain(self, x: Array, **options: Any) -> tuple[Array, dict[str, Array]]:
        shown: dict[str, Array] = {}
        y: Array = nnx.relu(self.first(x, **options))
        y = self.second(y, **options)
        if self.gate is not None:
            y, shown = self.gate.explain(y)
        if self.shortcut is not None:
            return nnx.relu(y + self.shortcut(x, **options)), shown
        steps = (slice(None), *(slice(None, None, self.stride),) * (x.ndim - 2))
        width = [(0, 0)] * (x.ndim - 1) + [(0, self.zeros)]
        return nnx.relu(y + jnp.pad(x[steps], width).astype(y.dtype)), shown

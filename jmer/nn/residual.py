"""Residual blocks of images and clips."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn import remat
from jmer.nn.conv import Conv
from jmer.nn.init import kaiming
from jmer.nn.lowering.folded import fold, folds_of, unfold
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
        m = self.folds(x)
        y = self.folded(x, 1, m, train=train, weight=weight, apart=apart)
        return unfold(y, m)

    def folded(self, x: Array, n: int, m: int, **options: Any) -> Array:
        """The same where `n` pixels of a row share channels, and `m` of the result's
        (`lowering/folded.py`)."""
        return self.norm.folded(self.conv.folded(x, n, m), **options)

    def folds(self, x: Array) -> int:
        """How many pixels are to share channels in the result."""
        width = -(-x.shape[-2] // self.conv.strides[-1])
        return folds_of(width, len(self.norm.scale[...]))


class Gate(Protocol):
    """A module that weighs the values of a branch, and can show the weights."""

    def explain(self, x: Array) -> tuple[Array, dict[str, Array]]: ...


@runtime_checkable
class FoldedGate(Protocol):
    """One that can do it where `n` pixels share channels (`lowering/folded.py`)."""

    def folded(self, x: Array, n: int) -> tuple[Array, dict[str, Array]]: ...


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
        n, m = self._folds(x)
        x = fold(x, n)
        shown: dict[str, Array] = {}
        y: Array = nnx.relu(self.first.folded(x, n, m, **options))
        y = self.second.folded(y, m, m, **options)
        if m > 1 and isinstance(self.gate, FoldedGate):
            y, shown = self.gate.folded(y, m)
        elif self.gate is not None:
            y, shown = self.gate.explain(y)
        if self.shortcut is not None:
            x = self.shortcut.folded(x, n, m, **options)
        elif self.stride > 1 or self.zeros:
            x = self._subsampled(x)
        return unfold(nnx.relu(y + x.astype(y.dtype)), m), shown

    def _subsampled(self, x: Array) -> Array:
        steps = (slice(None), *(slice(None, None, self.stride),) * (x.ndim - 2))
        width = [(0, 0)] * (x.ndim - 1) + [(0, self.zeros)]
        return jnp.pad(x[steps], width)

    def _folds(self, x: Array) -> tuple[int, int]:
        """How many pixels are to share channels, on the way in and in the result."""
        subsampled = self.shortcut is None and (self.stride > 1 or self.zeros)
        alone = self.gate is not None and not isinstance(self.gate, FoldedGate)
        if subsampled or alone:
            return 1, 1
        n, m = folds_of(*x.shape[-2:]), self.first.folds(x)
        return n if self.stride * m % n == 0 else 1, m

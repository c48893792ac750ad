"""Which of several equal programs the layers become."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, get_args

import jax

Lowering = Literal["backend", "patches", "tpu", "gpu"]
"""`backend`: convolutions and pooling of the compiler's library (cuDNN, a TPU's matrix
unit), layer by layer as written. Under `vmap` JAX makes one grouped convolution of
them, or one dense convolution where all tasks share the input. `patches`: products of
pixel blocks with the kernel, and pooling by element-wise comparisons, with gradients
written out; what a CPU wants, where XLA's own gradients are up to 30 times slower, and
any convolution in a loop too. `tpu` and `gpu`: the library's convolutions, but other
programs in place of layers that the compiler for such a chip makes poor ones of.
"""

LOWERINGS: tuple[Lowering, ...] = get_args(Lowering)

_chosen: ContextVar[Lowering | None] = ContextVar("lowering", default=None)


@contextlib.contextmanager
def use_lowering(name: Lowering) -> Iterator[None]:
    """Layers called inside become that program. It changes roundings, not results, nor
    gradients. Forward mode and gradients of gradients are promised by `backend` alone:
    the others' are written out.
    """
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def current() -> Lowering:
    """The lowering asked for, or the one that suits the default device."""
    return _chosen.get() or default(jax.default_backend())


WORTH_TRYING: dict[str, tuple[Lowering, ...]] = {
    # On a CPU, convolutions in a loop are 10 to 30 times slower.
    "cpu": ("patches",),
    # Patches were 0.2 to 1.3 times as fast as `gpu` (experiments/benchmarks/h200.md).
    "gpu": ("gpu", "patches", "backend"),
    "tpu": ("tpu", "backend", "patches"),
}
"""Lowerings for a platform, the one that suits it first."""


def default(platform: str) -> Lowering:
    """The lowering that suits a platform (`cpu`, `gpu`, `tpu`)."""
    return WORTH_TRYING.get(platform, ("backend",))[0]

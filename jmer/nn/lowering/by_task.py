"""Convolution task by task, which a GPU is faster at where it is large.

Of a convolution mapped over tasks, whose clips and kernels both differ, JAX makes one
of as many groups. cuDNN's grouped convolutions keep an H100 at some 3e12
multiplications a second; the same work one task after another goes at its matrix
units' rate, and costs a launch a task: 42 times faster in a 3D ResNet-18, and slower
in networks of few channels (`experiments/benchmarks/h100.md`).
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes

UNROLLED = 8
"""Tasks that are written out; of more, a loop keeps programs small."""


def plain(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d], as the
    compiler's library has it."""
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(kernel),
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


def by_task(
    function: Callable[[Array, Array], Array],
) -> Callable[[Array, Array], Array]:
    """`function` of two arrays; mapped over both, one task after another. Over one of
    them, as JAX maps it: that is one larger convolution."""
    one = custom_vmap(function)

    @one.def_vmap
    def many(
        tasks: int, mapped: Sequence[bool], a: Array, b: Array
    ) -> tuple[Array, bool]:
        if not all(mapped):
            axes = tuple(0 if each else None for each in mapped)
            return jax.vmap(function, axes)(a, b), True
        if tasks <= UNROLLED:
            return jnp.stack([one(a[i], b[i]) for i in range(tasks)]), True
        return lax.map(lambda pair: one(*pair), (a, b)), True

    return one

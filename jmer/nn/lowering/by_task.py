"""Convolution task by task, the program that suits a GPU where it is large.

Of a convolution mapped over tasks, whose clips and kernels both differ, JAX makes one
of as many groups. cuDNN's grouped convolutions keep an H100 at some 3e12
multiplications a second; the same work one task after another goes at its matrix
units' rate, and costs a launch a task: 42 times faster in a 3D ResNet-18, and slower
in networks of few channels (`experiments/benchmarks/h100.md`).
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes

WORTH = 3e7
"""Multiplications of a task that take as long among groups as a launch does, some 10
microseconds."""
UNROLLED = 8
"""Tasks that are written out; of more, a loop keeps programs small."""


def convolve(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d]."""
    y = jax.eval_shape(lambda: plain(x, kernel, strides, padding, dilation))
    if y.size * math.prod(kernel.shape[:-1]) < WORTH:
        return plain(x, kernel, strides, padding, dilation)
    return _convolution(strides, padding, dilation)(x, kernel)


def plain(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """The same, as the compiler's library has it."""
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        jnp.asarray(x),
        jnp.asarray(kernel),
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


@functools.cache
def _convolution(
    strides: Sizes, padding: Pads, dilation: Sizes
) -> Callable[[Array, Array], Array]:
    of = functools.partial(plain, strides=strides, padding=padding, dilation=dilation)
    forward = _by_task(of)

    # JAX cannot transpose what is mapped by a rule of its own: gradients are written
    # out, each apart, so that the compiler drops the one that nobody asks for.
    @functools.cache
    def gradients(
        x: jax.ShapeDtypeStruct, kernel: jax.ShapeDtypeStruct
    ) -> tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]:
        def of_input(dy: Array, kernel: Array) -> Array:
            (dx,) = jax.linear_transpose(lambda x: of(x, kernel), x)(dy)
            return dx

        def of_kernel(dy: Array, x: Array) -> Array:
            (dkernel,) = jax.linear_transpose(lambda k: of(x, k), kernel)(dy)
            return dkernel

        return _by_task(of_input), _by_task(of_kernel)

    @jax.custom_vjp
    def convolution(x: Array, kernel: Array) -> Array:
        return forward(x, kernel)

    def there(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        return forward(x, kernel), (x, kernel)

    def back(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
        x, kernel = saved
        of_input, of_kernel = gradients(jax.typeof(x), jax.typeof(kernel))
        return of_input(dy, kernel), of_kernel(dy, x)

    convolution.defvjp(there, back)
    return convolution


def _by_task(
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

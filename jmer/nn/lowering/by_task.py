"""Convolution task by task, the program that suits a GPU.

Of a convolution mapped over tasks, whose clips and kernels both differ, JAX makes one
of as many groups. cuDNN's grouped convolutions take many times as long as the same work
one task after another: 42 times in a 3D ResNet-18 on an H100
(`experiments/benchmarks/h100.md`).
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes

UNROLLED = 8
"""Tasks that are written out; of more, a loop keeps programs small."""


def convolve(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d]."""
    return _convolution(strides, padding, dilation)(jnp.asarray(x), jnp.asarray(kernel))


def plain(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """The same, as the compiler's library has it."""
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        kernel,
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

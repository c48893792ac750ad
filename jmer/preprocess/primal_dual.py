"""The solver of TV-L1 flow at one level of the pyramid.

Zach, Pock and Bischof 2007. In turns, each pixel steps towards equal grey values, and
the field is denoised by total variation, each component by itself.

A CPU spends its time on passes over memory. What others read the neighbours of is
therefore kept in buffers with a border of zeros, written in place: differences are
then of two views of one buffer, and each step is one short vector loop.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, typed
from jmer.preprocess.warping import derivatives, medians, warped

STEP = 0.25  # of the dual variable; not more in two dimensions, to converge
DUAL_STEPS = 2
Dual = tuple[Array, Array]
"""The dual variable, across and along, in buffers."""
Turn = tuple[Array, Array, Dual]
"""Two images that are made from one another, and the dual variable."""
Step = Callable[[Array], Array]
"""From a flow to another."""


@typed
def refined(
    first: Float[Array, "n h w"],
    second: Float[Array, "n h w"],
    flow: Float[Array, "2 n h w"],
    *,
    attachment: float,
    tightness: float,
    slack: float,
    warps: int,
    iterations: int,
    median: bool,
    cubic: bool,
) -> Float[Array, "2 n h w"]:
    """The flow after all warps of this level; see `Tvl1`."""
    fall = slack ** (-1 / max(warps - 1, 1))

    def warp(k: Array, state: Turn) -> Turn:
        _, start, dual = state
        theta = tightness * slack * fall**k
        # Dual variables are stored times theta.
        dual = dual if slack == 1 else tuple(fall * part for part in dual)
        there = warped(second, start, cubic=cubic)
        gradient = derivatives(there, cubic=cubic)
        step = _data_step(there - first, gradient, start, attachment * theta)
        flow, dual = _alternate(step, start, dual, theta, iterations)
        return flow, smooth(flow), dual

    def smooth(flow: Array) -> Array:
        return medians(flow) if median else flow

    # Medians are part of the state so that they are stored: else XLA takes them anew
    # for each of the pixels that a warp reads.
    buffer = jnp.zeros(_bordered(flow.shape), flow.dtype)
    state = flow, smooth(flow), (buffer, buffer)
    return jax.lax.fori_loop(0, warps, warp, state)[0]


def _data_step(
    difference: Array, gradient: Array, origin: Array, most: float | Array
) -> Step:
    """From a flow to the one that the data ask for, linearised at `origin`.

    The three cases of Zach et al., eq. 14, are one clipped step.
    """
    x, y = gradient
    squared = x * x + y * y
    inverse = 1 / jnp.where(squared == 0, 1, squared)
    # Sums of two, spelt out: as reductions, they would be passes of their own.
    constant = difference - (x * origin[0] + y * origin[1])

    def step(flow: Array) -> Array:
        residual = constant + (x * flow[0] + y * flow[1])
        return flow - jnp.clip(residual * inverse, -most, most) * gradient

    return step


def _alternate(
    step: Step, flow: Array, dual: Dual, theta: float | Array, iterations: int
) -> tuple[Array, Dual]:
    """`iterations` of the data's step and of Chambolle's projection."""
    height, width = flow.shape[2:]
    # Nothing is to the right of the last column, nor below the last row.
    in_row = (np.arange(width) < width - 1).astype(np.float32)
    in_column = (np.arange(height) < height - 1).astype(np.float32)[:, None]

    def ascend(values: Array, dual: Dual) -> Dual:
        here = _view(values)
        right = in_row * (_view(values, right=1) - here)
        down = in_column * (_view(values, down=1) - here)
        norm = 1 / (1 + STEP / theta * jnp.sqrt(right * right + down * down))
        steps = (STEP * right, STEP * down)
        across, along = (
            _put(buffer, (_view(buffer) + change) * norm)
            for buffer, change in zip(dual, steps, strict=True)
        )
        return across, along

    def denoised(data: Array, dual: Dual) -> Array:
        across, along = dual
        divergence = (_view(across) - _view(across, right=-1)) + (
            _view(along) - _view(along, down=-1)
        )
        return _view(data) + divergence

    def iterate(turn: Array, state: Turn) -> Turn:
        del turn
        flow, data, dual = state
        data = _put(data, step(_view(flow)))
        values = data
        for _ in range(DUAL_STEPS):
            dual = ascend(values, dual)
            values = flow = _put(flow, denoised(data, dual))
        return flow, data, dual

    buffer = jnp.zeros(_bordered(flow.shape), flow.dtype)
    state = _put(buffer, flow), buffer, dual
    flow, _, dual = jax.lax.fori_loop(0, iterations, iterate, state)
    return _view(flow), dual


def _bordered(shape: tuple[int, ...]) -> tuple[int, ...]:
    *outer, height, width = shape
    return (*outer, height + 2, width + 2)


def _view(buffer: Array, *, right: int = 0, down: int = 0) -> Array:
    """The image in a buffer, or its neighbours that far to the right or down."""
    rows = slice(1 + down, buffer.shape[-2] - 1 + down)
    columns = slice(1 + right, buffer.shape[-1] - 1 + right)
    return buffer[..., rows, columns]


def _put(buffer: Array, image: Array) -> Array:
    return jax.lax.dynamic_update_slice(buffer, image, (0, 0, 1, 1))

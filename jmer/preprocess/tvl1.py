"""Dense optical flow of many pairs of images at once: TV-L1, in JAX."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from jmer.arrays import Array, Float, typed
from jmer.preprocess.pyramid import enlarged, pyramid, warped

BATCH = 8  # pairs in one call of the compiled program
STEP = 0.25  # of the dual variable; 1 / 4 at most, for convergence in two dimensions
DUAL_STEPS = 2
GREY = np.float32([0.299, 0.587, 0.114])  # of red, green and blue


def tvl1(
    first: UInt8[np.ndarray, "n h w *rgb"],
    second: UInt8[np.ndarray, "n h w *rgb"],
    *,
    attachment: float = 15.0,
    tightness: float = 0.3,
    warps: int = 5,
    iterations: int = 10,
) -> Float32[np.ndarray, "n h w 2"]:
    """Motion from `first` to `second`, RGB or grey, in pixels (right, down).

    Zach, Pock and Bischof 2007, with the projection of the dual variable as in Wedel
    et al. 2009: of all fields, the one with the least total variation plus
    `attachment` times the absolute difference of the grey values, 0 to 1, that it
    brings together. `tightness` couples the two terms. At each level of a pyramid, the
    second image is warped `warps` times, with `iterations` after each. These are the
    parameters of scikit-image, whose results it reproduces, without its early end.

    A pair's result does not depend on the others in the batch.

    Raises: ValueError unless both are uint8 images of one shape, 2 x 2 or more.
    """
    _check(first, second)
    n = len(first)
    flow = np.empty((*first.shape[:3], 2), np.float32)
    size = BATCH if n > 1 else 1
    for start in range(0, n, size):
        # The last batch is filled with pairs that are there already.
        rows = np.arange(start, start + size) % n
        part = solve(
            first[rows],
            second[rows],
            attachment,
            tightness,
            warps=warps,
            iterations=iterations,
        )
        there = flow[start : start + size]
        there[:] = np.asarray(part)[: len(there)]
    return flow


def _check(first: np.ndarray, second: np.ndarray) -> None:
    for images in (first, second):
        rgb = images.ndim == 4 and images.shape[3] == 3
        grey = images.ndim == 3
        if images.dtype != np.uint8 or not (rgb or grey) or min(images.shape[1:3]) < 2:
            raise ValueError(
                "expected uint8 images [n, h, w] or [n, h, w, 3] of 2 x 2 or more, "
                f"got {images.dtype} {images.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")


@partial(jax.jit, static_argnames=("warps", "iterations"))
def solve(first, second, attachment, tightness, *, warps, iterations) -> Array:
    """`tvl1` of one batch, as one program."""
    grey = [image / np.float32(255) for image in (first, second)]
    if first.ndim == 4:
        grey = [(image * GREY).sum(-1) for image in grey]
    levels = list(zip(*map(pyramid, grey), strict=True))
    flow = jnp.zeros((2, *levels[0][0].shape), np.float32)
    for pair in levels:
        flow = enlarged(flow, *pair[0].shape[1:])
        flow = _refined(*pair, flow, attachment, tightness, warps, iterations)
    return jnp.moveaxis(flow, 0, -1)


@typed
def _refined(
    first: Float[Array, "n h w"],
    second: Float[Array, "n h w"],
    flow: Float[Array, "2 n h w"],
    attachment,
    tightness,
    warps: int,
    iterations: int,
) -> Float[Array, "2 n h w"]:
    """The flow after the warps of one level."""
    most = attachment * tightness

    def warp(state, _):
        flow, dual = state
        there = warped(second, flow)
        gradient = jnp.stack([jnp.gradient(there, axis=k) for k in (2, 1)])
        squared = (gradient**2).sum(0)
        inverse = 1 / jnp.where(squared == 0, 1, squared)
        constant = there - first - (gradient * flow).sum(0)

        def iterate(_, state):
            flow, dual = state
            # Wedel et al., eq. 2.16: the three cases are one clipped step.
            difference = constant + (gradient * flow).sum(0)
            data = flow - jnp.clip(difference * inverse, -most, most) * gradient
            flow = data
            for _ in range(DUAL_STEPS):
                right, down = _forward(flow)
                norm = 1 + STEP / tightness * jnp.sqrt(right**2 + down**2)
                dual = (dual[0] + STEP * right) / norm, (dual[1] + STEP * down) / norm
                flow = data + _divergence(*dual)
            return flow, dual

        return jax.lax.fori_loop(0, iterations, iterate, (flow, dual)), None

    still = jnp.zeros_like(flow)
    state = flow, (still, still)
    return jax.lax.scan(warp, state, None, length=warps)[0][0]


def _forward(x: Array) -> tuple[Array, Array]:
    """Differences to the next pixel right and down, 0 in the last column or row."""
    right = jnp.pad(x[..., 1:] - x[..., :-1], [(0, 0)] * 3 + [(0, 1)])
    down = jnp.pad(x[..., 1:, :] - x[..., :-1, :], [(0, 0)] * 2 + [(0, 1), (0, 0)])
    return right, down


def _divergence(right: Array, down: Array) -> Array:
    """The adjoint of `_forward`, negated."""
    before = jnp.pad(right[..., :-1], [(0, 0)] * 3 + [(1, 0)])
    above = jnp.pad(down[..., :-1, :], [(0, 0)] * 2 + [(1, 0), (0, 0)])
    return right - before + down - above

"""Dense optical flow of many pairs of images at once: TV-L1, in JAX."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Shaped, typed
from jmer.data.parallel import shared_pool
from jmer.preprocess.primal_dual import refined
from jmer.preprocess.pyramid import blurred, enlarged, pyramid

BATCH = 16  # pairs in one call of the compiled program, on an accelerator
GREY = (0.299, 0.587, 0.114)  # of red, green and blue


@dataclass(frozen=True)
class Tvl1:
    """What `tvl1` minimises, and how far it goes. The defaults suit faces.

    `SCIKIT_IMAGE` has what `skimage.registration.optical_flow_tvl1` does if told
    nothing. Facial motion of 0.2 to 3 pixels needs more. Without `contrast`, a change
    of the light is taken for motion, and faint skin counts less than dark brows. With
    a small `tightness` and more iterations, the two terms come to agree.
    """

    attachment: float = 4.0
    """Weight of the grey values beside total variation: the less, the smoother."""
    tightness: float = 0.01
    """How far the two may differ as they take turns (theta of Zach et al. 2007)."""
    slack: float = 20.0
    """Times `tightness` at the first warp of a level, 1 at the last, and falling by the
    same factor between: far motion is reached first, then its bounds."""
    warps: int = 8
    """At each level of the pyramid."""
    iterations: int = 30
    """After each warp."""
    median: bool = False
    """3 x 3 medians of the flow before each warp (Wedel et al. 2009)."""
    blur: float = 0.7
    """Standard deviation of a Gaussian on the images first, in pixels; 0: none."""
    contrast: float = 1.25
    """Standard deviation of the window in which grey values are then set to mean 0 and
    deviation 1, in pixels; 0: left as they are."""
    floor: float = 0.03
    """Added, squared, to the variance there: what is less than this counts as noise, in
    grey values of 0 to 1."""
    cubic: bool = True
    """Interpolation by cubics through four pixels and derivatives of fourth order;
    else linear, and of second order."""


SUITED = Tvl1()
SCIKIT_IMAGE = Tvl1(
    attachment=15.0,
    tightness=0.3,
    slack=1.0,
    warps=5,
    iterations=10,
    blur=0.0,
    contrast=0.0,
    cubic=False,
)


def tvl1(
    first: Shaped[np.ndarray, "n h w *rgb"],
    second: Shaped[np.ndarray, "n h w *rgb"],
    config: Tvl1 = SUITED,
) -> Float[np.ndarray, "n h w 2"]:
    """Motion from `first` to `second`, RGB or grey, in pixels (right, down).

    Zach, Pock and Bischof 2007, with the pyramid of Sánchez, Meinhardt-Llopis and
    Facciolo 2013: of all fields, the one with the least total variation plus
    `attachment` times the absolute difference of the values that it brings together.

    A pair's result does not depend, to the bit, on the others in the batch: a CPU has
    a call for each, whose arrays stay in the cache, on all cores; an accelerator has
    batches of `BATCH`, filled up with pairs that are there already. The program is
    compiled once for each size of images.

    Raises: ValueError unless both are uint8 images of one shape, 4 x 4 or more.
    """
    _check(first, second)
    n = len(first)
    flow = np.empty((*first.shape[:3], 2), np.float32)
    on_cpu = jax.default_backend() == "cpu"
    size = 1 if on_cpu else BATCH

    def fill(start: int) -> None:
        rows = np.arange(start, start + size) % n
        part = np.asarray(solve(first[rows], second[rows], config))
        flow[start : start + size] = part[: n - start]

    starts = range(0, n, size)
    if on_cpu and n > 1:
        list(shared_pool().map(fill, starts))
    else:
        for start in starts:
            fill(start)
    return flow


def _check(first: np.ndarray, second: np.ndarray) -> None:
    for images in (first, second):
        rgb = images.ndim == 4 and images.shape[3] == 3
        known = images.dtype == np.uint8 and (rgb or images.ndim == 3)
        if not known or min(images.shape[1:3]) < 4:
            raise ValueError(
                "expected uint8 images [n, h, w] or [n, h, w, 3] of 4 x 4 or more, "
                f"got {images.dtype} {images.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")


@partial(jax.jit, static_argnames="config")
@typed
def solve(
    first: Shaped[Array, "n h w *rgb"],
    second: Shaped[Array, "n h w *rgb"],
    config: Tvl1,
) -> Float[Array, "n h w 2"]:
    """`tvl1` of one batch, as one program."""
    pair = [_prepared(images, config) for images in (first, second)]
    levels = list(zip(*map(pyramid, pair), strict=True))
    flow: Array = jnp.zeros((2, *levels[0][0].shape), np.float32)
    for one, other in levels:
        height, width = one.shape[1:]
        if flow.shape[2:] != (height, width):
            flow = enlarged(flow, height, width)
        flow = refined(
            one,
            other,
            flow,
            attachment=config.attachment,
            tightness=config.tightness,
            slack=config.slack,
            warps=config.warps,
            iterations=config.iterations,
            median=config.median,
            cubic=config.cubic,
        )
    return jnp.moveaxis(flow, 0, -1)


def _prepared(images: Array, config: Tvl1) -> Array:
    """Grey values in 0..1, or beside those around them."""
    image: Array = images.astype(np.float32) / 255
    if image.ndim == 4:
        shares = (share * image[..., k] for k, share in enumerate(GREY))
        image = jnp.asarray(sum(shares))
    if config.blur:
        image = blurred(image, config.blur)
    if config.contrast:
        image = image - blurred(image, config.contrast)
        variance = blurred(image**2, config.contrast)
        image = image / jnp.sqrt(variance + config.floor**2)
    return image

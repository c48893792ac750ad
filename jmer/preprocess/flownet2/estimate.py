"""Flow of many pairs of frames of any size by the published weights."""

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, UInt8

from jmer.arrays import Array
from jmer.errors import JmerError
from jmer.nn.lowering.choice import use_lowering
from jmer.preprocess.flownet2.stack import MULTIPLE
from jmer.preprocess.flownet2.weights import read_checkpoint

PIXELS = 2**19  # of the pairs in one call, which takes some 2 GB


def flownet2(
    first: UInt8[np.ndarray, "n h w *rgb"],
    second: UInt8[np.ndarray, "n h w *rgb"],
    weights: Path,
) -> Float32[np.ndarray, "n h w 2"]:
    """Motion from `first` to `second`, RGB or grey, in pixels (right, down).

    Ilg et al. 2017. Where a side is no multiple of 64, frames are stretched to the next
    one and the flow back again, its vectors with it, as the authors' scripts do:
    NVIDIA's crop the frames, and what they cut off would have no flow.

    Raises: JmerError for a file that is no checkpoint of it; ValueError unless both
    are uint8 images of one shape.
    """
    _check(first, second)
    if first.ndim == 3:
        first, second = (np.repeat(f[..., None], 3, axis=-1) for f in (first, second))
    graphdef, params = load_network(weights)
    n, height, width = first.shape[:3]
    sides = [-(-side // MULTIPLE) * MULTIPLE for side in (height, width)]
    # Calls of one size, no larger than need be: every size is a program to compile.
    most = max(PIXELS // (sides[0] * sides[1]), 1)
    size = -(-n // max(-(-n // most), 1)) or 1
    flow = np.empty((n, height, width, 2), np.float32)
    scale = np.array([width / sides[1], height / sides[0]], np.float32)
    for start in range(0, n, size):
        # The last call is filled with pairs that are there already.
        rows = np.arange(start, start + size) % n
        frames = [_stretched(f[rows], sides) for f in (first, second)]
        there = flow[start : start + size]
        found = np.asarray(_flow(graphdef, params, *frames))[: len(there)]
        there[:] = _stretched(found, (height, width)) * scale
    return flow


@functools.partial(jax.jit, static_argnums=0)
def _flow(
    graphdef: nnx.GraphDef, params: nnx.State, first: Array, second: Array
) -> Array:
    # An accelerator would round the products otherwise. The compiler's library is the
    # faster one on a CPU too, where there are no gradients.
    with jax.default_matmul_precision("float32"), use_lowering("backend"):
        frames = (f.astype(jnp.float32) for f in (first, second))
        return nnx.merge(graphdef, params)(*frames)


def _stretched(images: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """float32 images of that height and width, linear between centres of pixels."""
    if images.shape[1:3] == tuple(sides):
        return images
    resized = [
        cv2.resize(image.astype(np.float32), tuple(sides)[::-1]) for image in images
    ]
    return np.stack(resized)


def load_network(file: Path) -> tuple[nnx.GraphDef, nnx.State]:
    """The network and its weights; a file that stays the same is read only once.

    Raises: JmerError if there is no such file, or it is no checkpoint of FlowNet 2.0.
    """
    try:
        about = file.stat()
    except OSError as error:
        raise JmerError(
            f"cannot read the weights of FlowNet 2.0 from {file}: {error.strerror}. "
            f"Give NVIDIA's FlowNet2_checkpoint.pth.tar."
        ) from error
    return _load(file.resolve(), about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=1)  # they take 650 MB
def _load(file: Path, *version: int) -> tuple[nnx.GraphDef, nnx.State]:
    del version
    return nnx.split(read_checkpoint(file))


def _check(first: np.ndarray, second: np.ndarray) -> None:
    for images in (first, second):
        rgb = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or not (rgb or images.ndim == 3):
            raise ValueError(
                "expected uint8 images [n, h, w] or [n, h, w, 3], "
                f"got {images.dtype} {images.shape}"
            )
    if first.shape != second.shape:
        raise ValueError(f"images differ in shape: {first.shape} and {second.shape}")

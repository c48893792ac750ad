"""`python -m jmer.bench.lbp_top`: what LBP-TOP costs, beside NumPy.

Clips are noise, of the size and number of MEGC 2019's, whole and in color: 2.2 GB. Both
begin at these, and NumPy's levels of grey are told apart, as is what XLA needs to
compile. NumPy has one core. Copies of jmer's program are not kept between rounds.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jmer.annotations import Float, Shaped
from jmer.baselines.config import FEATURES
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.nn.lowering.choice import default
from jmer.runner.features import features

FRAMES, SIZE = 100, 128
PATTERNS = 16


def grey(clip: Shaped[np.ndarray, "t h w 3"]) -> Shaped[np.ndarray, "t h w"]:
    """Levels of grey as of `jmer.baselines.grey`, by NumPy."""
    red, green, blue = np.moveaxis(clip.astype(np.uint32), -1, 0)
    thousandths = 299 * red + 587 * green + 114 * blue
    return ((thousandths + 500) // 1000).astype(np.uint8)


def by_numpy(
    volume: Shaped[np.ndarray, "t h w"], network: LbpTopConfig
) -> Float[np.ndarray, " d"]:
    """The features of a clip for four neighbours and all patterns: comparisons of whole
    arrays, each made once, and a count of the patterns of each block and plane."""
    rx, ry, rt = network.radii
    t, h, w = volume.shape
    here = volume[rt : t - rt, ry : h - ry, rx : w - rx]

    def lighter(dt: int, dy: int, dx: int) -> np.ndarray:
        frames, rows = slice(rt + dt, t - rt + dt), slice(ry + dy, h - ry + dy)
        there = volume[frames, rows, rx + dx : w - rx + dx]
        return (there >= here).view(np.uint8)

    right, left = lighter(0, 0, rx), lighter(0, 0, -rx)
    above, below = lighter(0, -ry, 0), lighter(0, ry, 0)
    after, before = lighter(rt, 0, 0), lighter(-rt, 0, 0)
    planes = (
        (right, above, left, below),
        (right, after, left, before),
        (after, above, before, below),
    )
    made = np.zeros((network.blocks, network.blocks, 3, PATTERNS), np.float32)
    down, across = (
        [i * size // network.blocks for i in range(network.blocks + 1)]
        for size in here.shape[1:]
    )
    for plane, bits in enumerate(planes):
        codes = bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3
        for i in range(network.blocks):
            for j in range(network.blocks):
                block = codes[:, down[i] : down[i + 1], across[j] : across[j + 1]]
                counts = np.bincount(block.ravel(), minlength=PATTERNS)
                made[i, j, plane] = counts.astype(np.float32) / np.float32(block.size)
    return made.ravel()


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of all processors, and what was returned."""
    clock, processors = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - clock, time.process_time() - processors, found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m jmer.bench.lbp_top")
    parser.add_argument("--clips", type=int, default=442, help="default 442")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many")
    given = parser.parse_args()
    network = LbpTopConfig(frames=FRAMES, size=SIZE)
    shape = (given.clips, FRAMES, SIZE, SIZE, 3)
    lowering = default(jax.default_backend())
    clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def ours(count: int) -> np.ndarray:
        inputs = {"clip": clips[:count]}
        return np.asarray(features(network, inputs, lowering)[FEATURES])

    def plain() -> tuple[float, np.ndarray]:
        levels, made = 0.0, []
        for clip in clips:
            _, seconds, volume = timed(functools.partial(grey, clip))
            levels += seconds
            made.append(by_numpy(volume, network))
        return levels, np.stack(made)

    for one in range(given.rounds):
        compiling = timed(functools.partial(ours, network.prefix_batch))
        wall, cpu, found = timed(functools.partial(ours, given.clips))
        plain_wall, plain_cpu, (levels, expected) = timed(plain)
        apart = np.abs(found - expected).max()
        warm, warm_cpu = wall - compiling[0], cpu - compiling[1]
        print(
            f"round {one + 1}: jmer {wall:.2f} s, {warm:.2f} s but for compiling (of "
            f"processors {cpu:.2f} and {warm_cpu:.2f} s); NumPy {plain_wall:.2f} s "
            f"({plain_cpu:.2f}, {levels:.2f} of them to levels of grey): "
            f"{plain_wall / wall:.1f} and {plain_wall / warm:.1f} times as long; apart "
            f"by {apart:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()

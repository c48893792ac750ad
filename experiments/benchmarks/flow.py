"""Optical flow: TV-L1 in JAX beside scikit-image and OpenCV, speed and error.

Run: python experiments/benchmarks/flow.py --size 192 --pairs 8 --rounds 5 --json OUT

Libraries that are not there are left out. Rounds are interleaved, so that whatever else
the machine does slows all methods alike; compilation and imports are not counted.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jmer.preprocess.tvl1 import SCIKIT_IMAGE, tvl1

GREY = np.float32([0.299, 0.587, 0.114])
NOISE = (0.0, 0.5)
Method = Callable[[np.ndarray, np.ndarray], np.ndarray]


def methods() -> dict[str, Method]:
    """What there is on this machine: batches of RGB pairs to flow [n, h, w, 2]."""
    found: dict[str, Method] = {
        "jmer tvl1": tvl1,
        "jmer tvl1, as scikit-image": lambda a, b: tvl1(a, b, SCIKIT_IMAGE),
    }
    try:
        from skimage.registration import optical_flow_tvl1
    except ImportError:
        pass
    else:
        found["scikit-image tvl1"] = one_by_one(
            lambda a, b: np.moveaxis(optical_flow_tvl1(a, b)[::-1], 0, -1), scaled_grey
        )
    try:
        import cv2
    except ImportError:
        return found
    from jmer.preprocess.flow import dis, farneback

    found |= {"dis": one_by_one(dis), "farneback": one_by_one(farneback)}
    if hasattr(cv2, "optflow"):
        contrib = cv2.optflow.createOptFlow_DualTVL1()
        found["opencv-contrib tvl1"] = one_by_one(
            lambda a, b: contrib.calc(a, b, None),
            lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
        )
    return found


def one_by_one(one: Method, prepare: Callable = np.asarray) -> Method:
    return lambda first, second: np.stack(
        [one(prepare(a), prepare(b)) for a, b in zip(first, second, strict=True)]
    )


def scaled_grey(image: np.ndarray) -> np.ndarray:
    return image / np.float32(255) @ GREY


def speed(found: dict[str, Method], size: int, pairs: int, rounds: int) -> dict:
    """Milliseconds a pair of each method, in every round."""
    first, second = moving_texture(size, pairs)
    for method in found.values():
        method(first, second)
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, method in found.items():
            start = time.perf_counter()
            method(first, second)
            taken[name].append(1e3 * (time.perf_counter() - start) / pairs)
    return taken


def moving_texture(size: int, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB images of smooth noise, moved by 1 pixel or 2; needs no OpenCV."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).normal(size=(pairs, size, size, 3))
    smooth = gaussian_filter(noise, (0, 2, 2, 0))
    first = np.rint(128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    return first, np.roll(first, (1, 2), (1, 2))


def accuracy(found: dict[str, Method], size: int, clips: int, amplitudes) -> list[dict]:
    """End-point errors in pixels: means over the image, and over moving skin.

    Medians over faces of four sets; moving is what moves by more than a quarter of the
    largest motion.
    """
    from jmer.synthetic.pairs import expression_pair
    from jmer.synthetic.spec import SyntheticSpec

    cells = []
    for noise in NOISE:
        for amplitude in amplitudes:
            pairs = []
            for k in range(clips):
                spec = SyntheticSpec(
                    subjects=6, clips=12, size=size, noise=noise, seed=101 + k % 4
                )
                pairs.append(expression_pair(spec, 5 * k % 12, amplitude))
            first, second, true = (np.stack(x) for x in zip(*pairs, strict=True))
            speeds = np.linalg.norm(true, axis=-1)
            moving = speeds > speeds.max((1, 2), keepdims=True) / 4
            for name, method in found.items():
                error = np.linalg.norm(method(first, second) - true, axis=-1)
                skin = [e[m].mean() for e, m in zip(error, moving, strict=True)]
                cells.append(
                    {
                        "noise": noise,
                        "amplitude": amplitude,
                        "method": name,
                        "image": float(np.median(error.mean((1, 2)))),
                        "skin": float(np.median(skin)),
                    }
                )
    return cells


def speed_table(taken: dict[str, list[float]]) -> str:
    lines = ["| | ms a pair | pairs/s | against scikit-image |", "|---|---|---|---|"]
    reference = taken.get("scikit-image tvl1")
    for name, rounds in taken.items():
        middle = statistics.median(rounds)
        ratio = ""
        if reference:
            ratios = [r / t for r, t in zip(reference, rounds, strict=True)]
            middle_ratio = statistics.median(ratios)
            ratio = f"{middle_ratio:.1f}x [{min(ratios):.1f}..{max(ratios):.1f}]"
        span = f"{middle:.1f} [{min(rounds):.1f}..{max(rounds):.1f}]"
        lines.append(f"| {name} | {span} | {1e3 / middle:.0f} | {ratio} |")
    return "\n".join(lines)


def error_table(cells: list[dict], amplitudes) -> str:
    heads = [f"{a:g} px" for _ in NOISE for a in amplitudes]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for name in dict.fromkeys(cell["method"] for cell in cells):
        own = [cell for cell in cells if cell["method"] == name]
        shown = [f"{cell['image']:.4f} / {cell['skin']:.3f}" for cell in own]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=192, help="side, in pixels, even")
    options.add_argument("--pairs", type=int, default=8, help="pairs in a batch")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--clips", type=int, default=12, help="faces; 0: no errors")
    options.add_argument("--error-size", type=int, default=128, help="side of faces")
    options.add_argument(
        "--amplitudes", type=float, nargs="+", default=[0.2, 0.5, 1, 3], help="pixels"
    )
    options.add_argument("--json", type=Path, help="where to write every figure")
    given = options.parse_args()
    found = methods()
    device = jax.devices()[0]
    print(f"{device.platform}: {device.device_kind}, {given.size} x {given.size}\n")
    record = {
        "device": device.device_kind,
        "jax": jax.__version__,
        "size": given.size,
        "pairs": given.pairs,
        "milliseconds": speed(found, given.size, given.pairs, given.rounds),
    }
    print(speed_table(record["milliseconds"]))
    if given.clips and "dis" not in found:
        print("\nNo OpenCV, which draws the faces: errors are not measured.")
    elif given.clips:
        cells = accuracy(found, given.error_size, given.clips, given.amplitudes)
        record |= {"error_size": given.error_size, "clips": given.clips}
        record["errors"] = cells
        print(
            f"\nEnd-point error in pixels, image / moving skin, {given.clips} faces of"
        )
        print(f"{given.error_size} pixels; without noise, then with noise 0.5\n")
        print(error_table(cells, given.amplitudes))
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Images of one subject that are likely another's, altered: saved again, mirrored, a
little cropped or resized, lighter, or rounded.

Images are compared by a perceptual hash: the signs of the lowest frequencies of their
discrete cosine transform (as in Zauner 2010, "Implementation and benchmarking of
perceptual image hash functions", with more of them, since all faces are alike).
Neighbouring frames of a clip and clips of one person look the same and are no leak, so
that only those of different subjects are compared.

What the limit was chosen by: of 24 drawn faces none came nearer than 0.169 to another
person's, of 442 published flow images of 68 people none nearer than 0.196, of drawn
flow 0.148. Copies saved as JPEG of quality 50, mirrored, cut by up to 5 % or made
lighter are at most 0.118 from their originals; of quality 20 a few are missed, and of
flow that was saved as JPEG, more.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.fft import dctn

from jmer.audit.finding import Finding
from jmer.audit.roster import title
from jmer.audit.sides import sides_note
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.text import counted

LIMIT = 0.12
"""Share of the signs in which an image and a copy differ at most."""
SIDE = 32
"""Pixels to which images are shrunk first."""
LEAST = 8
"""Pixels of a side; less says too little."""
OF_IMAGES, OF_FLOW = 16, 8
"""Frequencies along each side. Flow is finer grained, and suffers more in its fine
grain."""
CUTS = tuple(itertools.product((0, 0.02, 0.04), repeat=4))
"""Shares that may be missing at each side."""
MOST_CUT = 500
"""Clips of a set, with more of which copies that are cropped are not searched for."""
MOST = 40_000
"""Clips of a set that are compared at all."""
BLOCK = 256


@dataclass(frozen=True, eq=False)
class Hashes:
    """Signs of some clips as they are [n, f, k], cut in several ways [n, f, v, k], and
    what mirroring does to them [k]; f are frames. `clips` are their places [n]."""

    clips: np.ndarray
    whole: np.ndarray
    cut: np.ndarray
    mirror: np.ndarray


def check_alike(clips: ClipSet, folds: Sequence[Fold] = ()) -> Finding:
    """Whether an input of one subject is likely another's, altered. Images whose bytes
    are the same are another rule's. Of pairs that not all are on both sides of one of
    the `folds`, it says how many are.
    """
    rule = "alike"
    if len(clips) > MOST:
        text = f"There are {len(clips)} clips, too many to be compared by looks."
        return Finding(rule, "unknown", text)
    found: dict[tuple[int, int], tuple[float, str]] = {}
    looked = []
    for name, array in clips.inputs.items():
        hashes = _hashes(name, array)
        if hashes is None:
            continue
        looked.append(name)
        for a, b, distance in _near(hashes, clips.subject):
            if not np.array_equal(array[a], array[b]):
                pair = min(a, b), max(a, b)
                found[pair] = min(found.get(pair, (1.0, name)), (distance, name))
    if not looked:
        text = "No input is an image of a size that tells people apart."
        return Finding(rule, "unknown", text)
    if not found:
        text = (
            f"{counted(len(clips), 'clip')} compared by looks ({', '.join(looked)}): "
            f"no two subjects have nearly the same."
        )
        return Finding(rule, "ok", text)
    rows = tuple(
        {
            "clip": title(clips.names[a]),
            "looks like": title(clips.names[b]),
            "input": name,
            "distance": round(distance, 3),
        }
        for (a, b), (distance, name) in sorted(
            found.items(), key=lambda item: item[1][0]
        )
    )
    text = (
        f"{counted(len(rows), 'pair')} of clips of different subjects "
        f"{'is' if len(rows) == 1 else 'are'} likely the same, saved again, mirrored, "
        f"cropped or made lighter, such as {rows[0]['clip']} and "
        f"{rows[0]['looks like']} (distance {rows[0]['distance']}; up to {LIMIT} is "
        f"likely). Look at both: a test clip may also be a training clip."
        f"{sides_note(found, folds)}"
    )
    return Finding(rule, "warning", text, rows)


def _hashes(name: str, array: np.ndarray) -> Hashes | None:
    """None of what is no image, or too small; without clips that show nothing."""
    if array.ndim < 3 or min(array.shape[-3:-1]) < LEAST:
        return None
    if array.ndim not in (4, 5):
        return None
    flow = "flow" in name
    n = OF_FLOW if flow else OF_IMAGES
    cuts = CUTS if len(array) <= MOST_CUT and not flow else CUTS[:1]
    places, signs = [], []
    for i in range(len(array)):
        frames = list(_frames(array[i]))
        planes = [_planes(frame, flow) for frame in frames]
        if all(plane.std() > 1e-3 for own in planes for plane in own[:1]):
            places.append(i)
            signs.append([_signs(own, n, cuts) for own in planes])
    if not places:
        return None
    cut = np.array(signs, np.float32)  # n f v k
    channels = cut.shape[-1] // (n * n - 1)
    mirror = np.where(np.arange(n * n)[1:] % n % 2, -1, 1)
    mirrored = np.tile(mirror, (channels, 1))
    if flow:
        mirrored[0] *= -1  # what moved to the left moves to the right
    every = mirrored.reshape(-1).astype(np.float32)
    return Hashes(np.array(places), cut[:, :, 0], cut, every)


def _frames(clip: np.ndarray) -> Iterator[np.ndarray]:
    """Of a sequence the first frame and the middle one, else the image itself."""
    if clip.ndim == 3:
        yield clip
    else:
        yield clip[0]
        yield clip[len(clip) // 2]


def _planes(frame: np.ndarray, flow: bool) -> list[np.ndarray]:
    """What is hashed on its own: the light of an image, each channel of flow."""
    frame = np.ascontiguousarray(frame, np.float32)
    if flow:
        return [np.ascontiguousarray(frame[..., c]) for c in range(frame.shape[-1])]
    return [frame.mean(-1)]


def _signs(
    planes: Sequence[np.ndarray], n: int, cuts: Sequence[tuple[float, ...]]
) -> np.ndarray:
    """+1 and -1 [v, k] for each way to cut."""
    small = np.empty((len(cuts), len(planes), SIDE, SIDE), np.float32)
    for i, (left, top, right, bottom) in enumerate(cuts):
        for c, plane in enumerate(planes):
            height, width = plane.shape
            rows = slice(round(top * height), height - round(bottom * height))
            columns = slice(round(left * width), width - round(right * width))
            cv2.resize(
                plane[rows, columns], (SIDE, SIDE), dst=small[i, c],
                interpolation=cv2.INTER_AREA,
            )  # fmt: skip
    found = dctn(small, axes=(-2, -1), norm="ortho")[..., :n, :n]
    found = found.reshape(len(cuts), len(planes), n * n)[..., 1:]
    return np.where(found.reshape(len(cuts), -1) >= 0, 1, -1)


def _near(hashes: Hashes, subject: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs of clips of different subjects within the limit, and their distance."""
    whole, cut = hashes.whole, hashes.cut
    _, frames, ways, k = cut.shape
    who = subject[hashes.clips]
    mirrored = whole * hashes.mirror
    block = max(1, BLOCK // ways)
    for start in range(0, len(cut), block):
        part = cut[start : start + block]
        same = np.zeros((len(part), len(whole)), np.float32)
        for frame in range(frames):
            own = part[:, frame].reshape(-1, k)
            likeness = np.maximum(own @ whole[:, frame].T, own @ mirrored[:, frame].T)
            same += likeness.reshape(len(part), ways, -1).max(1)
        distance = (1 - same / (frames * k)) / 2
        distance[who[start : start + block, None] == who[None]] = 1
        for a, b in np.argwhere(distance <= LIMIT):
            one, other = hashes.clips[start + a], hashes.clips[b]
            yield int(one), int(other), float(distance[a, b])

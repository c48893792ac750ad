"""Copies that were altered are found by their looks; people who look alike are not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from toy import make_clips

from jmer.audit.lookalikes import LIMIT, check_alike
from jmer.data.clips import ClipSet

SIZE = 64


def blurred(rng: np.random.Generator, width: float) -> np.ndarray:
    drawn = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)), (0, 0), width)
    return drawn / drawn.std()


def people(frames: int = 0, *, subjects: int = 6) -> ClipSet:
    """Clips whose faces share more than half of what there is to see; neighbouring
    frames, and clips of one person, are nearly the same."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    everyone = 3 * np.exp(-3 * (x**2 + y**2)) + blurred(rng, 9)
    faces = [everyone + blurred(rng, 3) for _ in range(subjects)]
    toy = make_clips(subjects, 2)
    drawn = []
    for i in range(len(toy)):
        clip = [faces[i // 2] + 0.1 * blurred(rng, 4) for _ in range(max(frames, 1))]
        grey = np.clip(120 + 25 * np.array(clip), 0, 255).astype(np.uint8)
        drawn.append(np.repeat(grey[..., None], 3, -1))
    made = np.array(drawn) if frames else np.array(drawn)[:, 0]
    return with_input(toy, "clip", made)


def with_input(clips: ClipSet, name: str, array: np.ndarray) -> ClipSet:
    import dataclasses

    return dataclasses.replace(clips, inputs={name: array})


def saved(image: np.ndarray, quality: int) -> np.ndarray:
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)


def cropped(image: np.ndarray, left: int, top: int, right: int = 0) -> np.ndarray:
    return cv2.resize(image[top:, left : SIZE - right], (SIZE, SIZE))


def smaller(image: np.ndarray) -> np.ndarray:
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (SIZE, SIZE))


def mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


ALTERED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "saved again": lambda x: saved(x, 90),
    "saved badly": lambda x: saved(x, 50),
    "mirrored": mirrored,
    "mirrored and saved": lambda x: saved(mirrored(x), 60),
    "resized": smaller,
    "cropped": lambda x: cropped(x, 2, 1, 2),
    "cropped at one side": lambda x: cropped(x, 2, 0),
    "mirrored and cropped": lambda x: cropped(mirrored(x), 1, 2, 1),
    "lighter": lambda x: np.clip(x.astype(int) + 30, 0, 255).astype(np.uint8),
    "of less contrast": lambda x: (0.6 * x + 40).astype(np.uint8),
    "rounded": lambda x: x // 8 * 8,
    "one value off": lambda x: x ^ (np.arange(x.size).reshape(x.shape) == 99),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
@pytest.mark.parametrize("frames", [0, 3])
def test_an_altered_copy_is_likely(alter, frames):
    clips = people(frames)
    array = clips.inputs["clip"].copy()
    one, other = 1, 10  # of the first person, and of the last
    copy = [alter(x) for x in array[one]] if frames else alter(array[one])
    array[other] = copy
    found = check_alike(with_input(clips, "clip", array))
    assert found.verdict == "warning"
    # The person whose clip it is has another that looks the same.
    pairs = {(row["clip"], row["looks like"]) for row in found.details}
    assert ("toy/s0/clip1", "toy/s5/clip10") in pairs
    assert pairs <= {(f"toy/s0/clip{i}", "toy/s5/clip10") for i in (0, 1)}
    assert all(0 <= row["distance"] <= LIMIT for row in found.details)
    assert "likely" in found.text and "toy/s5/clip10" in found.text


@pytest.mark.parametrize("frames", [0, 3])
def test_people_and_neighbouring_frames_are_no_copies(frames):
    found = check_alike(people(frames, subjects=12))
    assert found.verdict == "ok" and not found.details


def test_bytes_that_are_the_same_are_another_rules_finding():
    clips = people()
    array = clips.inputs["clip"].copy()
    array[10] = array[1]
    found = check_alike(with_input(clips, "clip", array))
    pairs = {(row["clip"], row["looks like"]) for row in found.details}
    assert ("toy/s0/clip1", "toy/s5/clip10") not in pairs


@pytest.mark.parametrize(
    "alter",
    [
        lambda x: np.round(x * 50) / 50,
        lambda x: x * 1.1,
        lambda x: x.astype(np.float16),
        lambda x: x[:, ::-1] * np.array([-1, 1, 1]),
    ],
    ids=["rounded", "scaled", "float16", "mirrored"],
)
def test_flow_is_compared_where_a_run_has_only_that(alter):
    clips = make_clips(6, 2)
    rng = np.random.default_rng(0)
    flow = [
        cv2.GaussianBlur(rng.normal(size=(28, 28, 3)), (0, 0), 2) for _ in range(12)
    ]
    array = np.array(flow)
    assert check_alike(with_input(clips, "apex_flow", array)).verdict == "ok"
    array[7] = alter(array[0])
    found = check_alike(with_input(clips, "apex_flow", array))
    assert [row["looks like"] for row in found.details] == ["toy/s3/clip7"]


@pytest.mark.parametrize("shape", [(12, 5), (12, 4, 4, 3), (12, 3, 8)], ids=str)
def test_what_is_no_image_cannot_be_told(shape):
    clips = with_input(make_clips(6, 2), "clip", np.ones(shape, np.float32))
    assert check_alike(clips).verdict == "unknown"


def test_blank_images_are_no_evidence():
    clips = with_input(make_clips(6, 2), "clip", np.full((12, 32, 32, 3), 7, np.uint8))
    assert not check_alike(clips).details

"""Clips with what networks showed of them, for pictures of it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jmer.models.base import NetworkConfig
from jmer.models.meranet import Resnet3dConfig
from jmer.models.stanet import STANetConfig
from jmer.report.attention import activation
from jmer.report.attention.case import Case
from jmer.train.tasks import Task

RNG = np.random.default_rng(1)
FACES = RNG.integers(0, 256, (5, 14, 14, 3)).astype(np.uint8)


def lightness(image: np.ndarray) -> np.ndarray:
    """Luminance of each pixel, 0 to 255."""
    return image.astype(float) @ (0.2126, 0.7152, 0.0722)


def case_of(network: NetworkConfig, **changes: Any) -> Case:
    fields: dict[str, Any] = {
        "folder": Path("runs/one"),
        "task": Task(3, "s7"),
        "subject_unseen": True,
        "classes": ("anger", "joy", "fear"),
        "dataset": "faces",
        "subject": "s7",
        "clip": "c1",
        "label": 1,
        "interval": (1, 3),
        "logits": np.array([0.2, 1.7, -0.4], np.float32),
        "weights": {},
    }
    return Case(**fields | {"network": network} | changes)


def of_stanet(**changes: Any) -> Case:
    shown = {
        "features": RNG.uniform(size=(4, 3, 3, 5)).astype(np.float32),
        "mask": RNG.uniform(size=(4, 3, 3, 5)).astype(np.float32),
        "frame_weight": np.array([0.1, 0.4, 0.3, 0.2], np.float32),
    }
    inputs = {"clip": FACES, "flow": RNG.normal(size=(4, 14, 14, 2))}
    fields: dict[str, Any] = {"inputs": inputs, "shown": shown}
    return case_of(STANetConfig(frames=4, size=64), **fields | changes)


def of_resnet3d(**changes: Any) -> Case:
    shown = {"features": RNG.normal(size=(3, 2, 2, 6)).astype(np.float32)}
    weights = {activation.HEAD: RNG.normal(size=(6, 3)).astype(np.float32)}
    seen = {"clip": FACES}
    fields: dict[str, Any] = {"inputs": seen, "shown": shown, "weights": weights}
    return case_of(Resnet3dConfig(frames=5, size=14), **fields | changes)


def read(content: bytes) -> np.ndarray:
    """RGB of a PNG."""
    image: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return image[..., ::-1]

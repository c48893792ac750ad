"""Kept features are read by the code that made them, or by code that makes the same.

Each feature has a version, which is part of the name of what is kept, and here a number
that its output for made-up clips comes to. Whoever changes an output finds the number
changed: `prefix_version` of that class goes up by one, and both go into the table.
"""

import dataclasses
import importlib
import pkgutil

import jax
import numpy as np
import pytest
from toy import clips_for

import jmer.baselines
from jmer.baselines.config import BaselineConfig
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.spotters import SpotterConfig
from jmer.runner.features import _file

PINNED = {
    "biwoof": (1, 0.583587),
    "flowpixels": (1, -0.2599738),
    "hog3d": (1, 1.131326),
    "hoof": (1, 0.006560043),
    "hoofspotter": (1, -0.003559456),
    "lbpsip": (1, 0.1603422),
    "lbpspotter": (1, -0.1855259),
    "lbptop": (1, 1.790649),
    "mdmo": (1, -8.38442),
}
"""The version of each, and what its output comes to."""


def small(kind):
    if issubclass(kind, SpotterConfig):
        return kind(frames=12, size=14, half=2, blocks=2)
    if issubclass(kind, FlowBaselineConfig):
        return kind(size=20)
    return kind(frames=11, size=17)


def every_baseline():
    """By name, whoever wrote it and forgot to say so here."""
    for module in pkgutil.iter_modules(jmer.baselines.__path__, "jmer.baselines."):
        for value in vars(importlib.import_module(module.name)).values():
            known = isinstance(value, type) and issubclass(value, BaselineConfig)
            if known and "name" in vars(value):
                yield value.name, value


BASELINES = dict(every_baseline())


def told(network) -> float:
    """What the features of three clips come to, each of them with a weight of its own:
    sums of bits of levels of grey, and of flow, that no generator of numbers draws."""
    inputs = {}
    for name, shape in network.shapes.items():
        places = np.arange(3 * np.prod(shape)).reshape(3, *shape)
        mixed = (places * 2654435761) % 2**32 >> 24
        inputs[name] = (
            mixed.astype(np.uint8)
            if name == "clip"
            else (np.sin(places * 0.37) + mixed / 256 - 0.5).astype(np.float32)
        )
    made = np.asarray(jax.jit(network.features)(inputs), np.float64)
    return float((made * np.cos(np.arange(made.size)).reshape(made.shape)).sum())


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_an_output_is_that_of_its_version(name):
    network = small(BASELINES[name])
    version, known = PINNED[name]
    assert network.prefix_version == version
    assert told(network) == pytest.approx(known, rel=1e-3, abs=1e-6)


def test_every_baseline_is_pinned():
    assert set(PINNED) == set(BASELINES)


def test_another_version_has_another_file():
    config = LbpTopConfig(frames=9, size=8, blocks=1)
    clips = clips_for(config)
    newer = type("Newer", (LbpTopConfig,), {"prefix_version": 2})
    other = newer(**dataclasses.asdict(config))
    assert _file(config, clips, "backend") != _file(other, clips, "backend")

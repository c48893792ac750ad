"""AMAN, small: networks, their twins, and clips for them."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.typing import DTypeLike

from jmer.models.aman import AmanConfig
from jmer.nn import use_lowering

CLASSES = 4
SMALL = AmanConfig(
    k=2, n=3, frames=5, size=36, width=2, magnify="linear", pretrain="none"
)
SWITCHES: dict[str, dict[str, Any]] = {
    "paper": {"magnify": "network", "rounded": False, "pretrain": "all"},
    "one factor": {"ma": "single:2.5", "amp_offset": 1, "pretrain": "frozen"},
    "means": {"ma": "mean", "fa": "mean", "pretrain": "all"},
    "other size": {
        **{"magnify": "network", "magnify_size": 20, "rounded": False},
        **{"fa": "mean", "amp_offset": 1, "pretrain": "frozen"},
    },
    "mean of factors": {"ma": "mean", "n": 1, "pretrain": "frozen"},
    "pooled": {"norm": "pooled", "pick": "without-onset"},
    "large frames": {
        **{"stored": 44, "pick": "linspace", "init": "he", "rounded": False},
        **{"magnify": "network", "pretrain": "all"},
    },
}
RNG = np.random.default_rng(3)
# Changes of the frames are such that few magnified pixels leave 0 to 255.
FACES = RNG.integers(60, 150, (5, 1, 36, 36, 3))
CLIP = (FACES + RNG.integers(0, 40, (5, 5, 36, 36, 3))).astype(np.uint8)


def pairs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[AmanConfig, Any]]:
    """A configuration and its twin, by the name of a switch."""
    pytest.importorskip("torch")
    from twins import aman

    @functools.cache
    def pair(name: str) -> tuple[AmanConfig, Any]:
        config = dataclasses.replace(SMALL, **SWITCHES[name])
        twin = aman.random_twin(config, CLASSES, seed=1)
        files: dict[str, Any] = aman.save(twin, tmp_path_factory.mktemp("weights"))
        return dataclasses.replace(config, **files), twin

    return pair


def split(
    config: AmanConfig = SMALL, dtype: DTypeLike = jnp.float32, seed: int = 0
) -> Any:
    """Its graph, parameters and statistics."""
    model = config.build(CLASSES, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def explain(
    graphdef: Any,
    params: Any,
    stats: Any,
    clip: Any,
    *,
    train: bool = False,
    weight: Any = None,
) -> tuple[jax.Array, dict[str, jax.Array], Any]:
    """Logits, what they came from, and the statistics afterwards."""
    model = nnx.merge(graphdef, params, stats, copy=True)
    with use_lowering("backend"):  # less to compile
        logits, shown = model.explain(clip, train=train, weight=weight)
    return logits, shown, nnx.state(model, nnx.BatchStat)


@functools.partial(jax.jit, static_argnums=0)
def seen(config: AmanConfig, clip: Any) -> Any:
    """What the frozen part makes of clips."""
    with use_lowering("backend"):
        return config.features(clip)

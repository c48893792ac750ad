"""The check of networks: what it passes, and what it finds."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import pytest
from flax import nnx

import jmer
from jmer import nn
from jmer.models.base import NetworkConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.train.canary import Leak


class Net(nnx.Module):
    def __init__(self, config, classes, dtype, rngs):
        self.conv = nn.Conv(2, 4, (3, 3), padding=(1, 1), dtype=dtype, rngs=rngs)
        self.norm = nn.BatchNorm(4, dtype=dtype)
        self.head = nn.Linear(4, classes, dtype=dtype, rngs=rngs)
        self.fault = config.fault

    def __call__(self, flow, *, train=False, key=None, weight=None):
        seen = None if self.fault == "norm" else weight
        x = nnx.relu(self.norm(self.conv(flow), train=train, weight=seen))
        if self.fault == "mixing":
            x = x - x.mean(0)
        if self.fault == "infinite":
            x = jnp.sqrt(x - x)  # 0, and of no finite slope
        x = self.head(x.mean((1, 2)))
        if self.fault == "half":
            return x
        return x[:, :2] if self.fault == "classes" else x.astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    name: ClassVar[str] = "checked"
    inputs: ClassVar[tuple[str, ...]] = ("flow",)
    fault: str = ""

    @property
    def input_shapes(self):
        return ((6, 6, 2),)

    def build(self, classes, *, dtype, rngs):
        dtype = jnp.float16 if self.fault == "half" else dtype
        return Net(self, classes, dtype, rngs)


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        pytest.param(
            STSTNetConfig(size=7, filters=(2, 3)), marks=pytest.mark.slow, id="ststnet"
        ),
    ],
)
def test_a_sound_network_passes(config):
    jmer.testing.check_network(config)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("classes", r"logits are \(12, 2\), not \(12, 3\)"),
        ("half", "logits are float16"),
        ("mixing", "other clips change"),
        ("infinite", "gradient of .* in float32 is not finite"),
    ],
)
def test_a_fault_is_found(fault, words):
    with pytest.raises(AssertionError, match=words):
        jmer.testing.check_network(Config(fault=fault))


def test_a_batch_norm_that_is_told_nothing_leaks():
    with pytest.raises(Leak, match="norm"):
        jmer.testing.check_network(Config(fault="norm"))

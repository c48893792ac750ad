"""The leak canary: it finds layers that mix clips, and passes those that do not."""

import dataclasses
import re
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import make_program, table_of, tasks_of
from flax import nnx
from test_networks import NETWORKS
from toy import clips_for, make_clips

from jmer import nn
from jmer.cli import main
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import NetworkConfig
from jmer.train.canary import Leak, differing, sing, without
from jmer.train.step import Data

TOGETHER = {"batch_size": 8}
MODES = {"shared": {"mode": "shared"}, "own together": {"mode": "own", **TOGETHER}}


class Net(nnx.Module):
    """Two linear layers with `mix` between them."""

    def __init__(self, mix: nnx.Module, classes: int, rngs: nnx.Rngs):
        self.first = nnx.Linear(147, 5, rngs=rngs)
        self.mix = mix
        self.head = nnx.Linear(5, classes, rngs=rngs)

    def __call__(self, apex_flow, *, train=False, key=None, weight=None):
        x = jnp.tanh(self.first(apex_flow.reshape(len(apex_flow), -1) / 10))
        return self.head(self.mix(x, train=train, weight=weight))


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """A user's own network on the toy set's 7 x 7 flow."""

    name: ClassVar[str] = "own"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)

    mix: type = nnx.Module

    @property
    def input_shapes(self):
        return ((7, 7, 3),)

    def build(self, classes, *, dtype, rngs):
        return Net(self.mix(rngs), classes, rngs)


class Plain(nnx.Module):
    def __init__(self, rngs):
        self.norm = nn.BatchNorm(5)

    def __call__(self, x, *, train, weight):
        return self.norm(x, train=train, weight=weight)


class ForgottenWeight(Plain):
    def __call__(self, x, *, train, weight):
        return self.norm(x, train=train)


class ForeignNorm(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(5, rngs=rngs)

    def __call__(self, x, *, train, weight):
        return self.norm(x, use_running_average=not train)


class Centred(nnx.Module):
    """Statistics over the batch axis, with no layer of their own."""

    def __init__(self, rngs):
        pass

    def __call__(self, x, *, train, weight):
        return x - x.mean(0)


class Largest(Centred):
    def __call__(self, x, *, train, weight):
        return x / jnp.abs(x).max(0)


class Ranked(Centred):
    def __call__(self, x, *, train, weight):
        return x + jnp.argsort(jnp.argsort(x, 0), 0) / 10


class AcrossClips(Centred):
    def __call__(self, x, *, train, weight):
        return jax.nn.softmax(x @ x.T) @ x


class OnlyTheStatistics(nnx.Module):
    """Its result is right; what it remembers is not."""

    def __init__(self, rngs):
        self.mean = nnx.BatchStat(jnp.zeros(5))

    def __call__(self, x, *, train, weight):
        if train:
            self.mean[...] = jax.lax.stop_gradient(x.mean(0))
        return x


@dataclasses.dataclass(frozen=True)
class Contrastive(Config):
    """Pulls clips of a class together, whoever they are of."""

    mix: type = Plain

    def loss(self, model, inputs, label, *, weight, key):
        logits = self.apply(model, inputs, train=True, key=key, weight=weight)
        near = jnp.square(logits[:, None] - logits[None]).sum(-1)
        same = label[:, None] == label[None]
        own = weighted_mean(cross_entropy(logits, label), weight)
        return own + 0.1 * (near * same).mean()


@dataclasses.dataclass(frozen=True)
class Unweighted(Config):
    """A mean over the batch that counts every clip."""

    mix: type = Plain

    def loss(self, model, inputs, label, *, weight, key):
        logits = self.apply(model, inputs, train=True, key=key, weight=weight)
        return cross_entropy(logits, label).mean()


@dataclasses.dataclass(frozen=True)
class Mixup(Config):
    """Blends each clip with another of the batch before the network sees it."""

    mix: type = Plain

    def augment(self, inputs, key, version):
        flow = inputs["apex_flow"]
        return {"apex_flow": 0.7 * flow + 0.3 * flow[::-1]}


@dataclasses.dataclass(frozen=True)
class SkewedGradient(Config):
    """A loss whose value is right and whose gradient is not."""

    mix: type = Plain

    def loss(self, model, inputs, label, *, weight, key):
        logits = self.apply(model, inputs, train=True, key=key, weight=weight)
        right = weighted_mean(cross_entropy(logits, label), weight)
        wrong = cross_entropy(logits, label).mean()
        return right + (wrong - jax.lax.stop_gradient(wrong))


def canary(network, **options):
    clips = make_clips(5, 4) if "apex_flow" in network.inputs else None
    clips = clips_for(network) if clips is None or network.name != "own" else clips
    program = make_program(clips, network=network, **options)
    tasks = tasks_of(clips)
    data = Data.of(clips.inputs, clips.label)
    return sing(program, tasks, table_of(program, clips, tasks), data)


LEAKS = {
    "weight forgotten": (Config(mix=ForgottenWeight), r"mix\.norm \(BatchNorm\)"),
    "batch norm of another library": (Config(mix=ForeignNorm), r"mix\.norm \(BatchNo"),
    "mean of the batch": (Config(mix=Centred), r"mix \(Centred\)"),
    "maximum of the batch": (Config(mix=Largest), r"mix \(Largest\)"),
    "rank in the batch": (Config(mix=Ranked), r"mix \(Ranked\)"),
    "attention across clips": (Config(mix=AcrossClips), r"mix \(AcrossClips\)"),
    "statistics alone": (Config(mix=OnlyTheStatistics), r"mix \(OnlyTheStat"),
    "contrastive loss": (Contrastive(), "at the loss, after the last layer"),
    "loss without weights": (Unweighted(), "at the loss, after the last layer"),
    "gradient alone": (SkewedGradient(), "at the gradient of "),
    "clips blended": (Mixup(), r"at first \(Linear\)"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found_and_its_place_is_named(leak, mode):
    network, place = LEAKS[leak]
    with pytest.raises(Leak, match=place) as raised:
        canary(network, chunk=5, **MODES[mode])
    assert re.search(r"fold s\d must not see", str(raised.value))
    assert ("--batches own" in str(raised.value)) == (mode == "shared")


@pytest.mark.parametrize("mode", MODES)
def test_own_networks_that_mind_the_weight_pass(mode):
    passed = canary(Config(mix=Plain), chunk=5, **MODES[mode])
    assert passed.clips == 4
    fold = passed.task.fold
    assert passed.record()["task"] == {"seed": 0, "fold": fold, "variant": 0}
    # Step, four arrays of linear layers, two and two of the norm, the loss, whether it
    # is alive; and what the optimiser has for each parameter.
    assert passed.arrays > 10


def test_batches_that_nobody_shares_cannot_leak():
    # Each task reads its own clips alone, whatever its layers do with a batch.
    assert canary(Config(mix=Centred), chunk=5, batch_size=2).clips == 4


QUICK = ("stanet", "hsta")


@pytest.mark.parametrize(
    "network",
    [
        # Two that have most parts; `test_every_promise` looks for leaks in all of them.
        pytest.param(n, id=n.name, marks=[pytest.mark.slow] * (n.name not in QUICK))
        for n in NETWORKS
    ],
)
def test_networks_of_jmer_pass_in_shared_batches(network):
    """In those of their own they do in `test_every_promise`."""
    assert canary(network, mode="shared", chunk=3, batch_size=12).clips == 4


@pytest.mark.parametrize("lowering", ["patches", "backend"])
@pytest.mark.parametrize("mode", MODES)
def test_ststnet_passes_in_both_lowerings_and_in_chunks(mode, lowering):
    from engine import NETWORK

    passed = canary(NETWORK, lowering=lowering, chunk=2, inner=True, **MODES[mode])
    assert passed.clips >= 4  # the clips that choose the epoch are unseen too


def test_other_clips_stay_and_unseen_ones_change_all_over():
    rng = np.random.default_rng(1)
    inputs = {
        "clip": rng.integers(0, 9, (6, 3, 2)).astype(np.uint8),
        "flow": rng.normal(size=(6, 4)).astype(np.float16),
    }
    data = Data.of(inputs, np.arange(6) % 3)
    unseen = np.array([0, 1, 0, 0, 1, 0], bool)
    other = without(data, unseen, 3)
    np.testing.assert_array_equal(other.label, [0, 2, 2, 0, 2, 2])
    for name, array in inputs.items():
        np.testing.assert_array_equal(other.inputs[name][~unseen], array[~unseen])
        assert other.inputs[name].dtype == array.dtype
        assert np.isfinite(other.inputs[name].astype(np.float32)).all()
        assert (other.inputs[name][unseen] != array[unseen]).mean() > 0.9
        assert (data.inputs[name] == array).all()  # the set itself is as it was


def test_bits_are_compared():
    tree = {"a": np.float32([1, np.nan]), "b": np.int32(3), "c": np.float32(0.0)}
    assert differing(tree, dict(tree)) == []
    changed = tree | {"a": np.nextafter(tree["a"], 2), "c": np.float32(-0.0)}
    assert differing(tree, changed) == ["a", "c"]


EXPERIMENT = """
import dataclasses
from typing import ClassVar

from flax import nnx

from jmer.data.random_clips import RandomClips
from jmer.experiment import Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import SgdConfig


class Net(nnx.Module):
    def __init__(self, classes, rngs):
        self.norm = nnx.BatchNorm(147, rngs=rngs)
        self.head = nnx.Linear(147, classes, rngs=rngs)

    def __call__(self, apex_flow, *, train=False, key=None, weight=None):
        x = apex_flow.reshape(len(apex_flow), -1)
        return self.head(self.norm(x, use_running_average=not train))


@dataclasses.dataclass(frozen=True)
class Own(NetworkConfig):
    name: ClassVar[str] = "own"
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)

    @property
    def input_shapes(self):
        return ((7, 7, 3),)

    def build(self, classes, *, dtype, rngs):
        return Net(classes, rngs)


EXPERIMENT = Experiment(
    model=Own(),
    data=RandomClips(shapes=(("apex_flow", (7, 7, 3)),), subjects=4, per_subject=4),
    optim=SgdConfig(lr=0.01),
    epochs=2,
    batch_size=4,
)
"""


def test_a_run_of_a_network_that_leaks_is_refused_before_it_is_trained(
    tmp_path, capsys
):
    file, run_dir = tmp_path / "own.py", tmp_path / "run"
    file.write_text(EXPERIMENT)
    words = ["run", str(file), "--run-dir", str(run_dir), "--engine.plan-seconds", "0"]
    assert main([*words, "--batches", "shared"]) == 1
    error = capsys.readouterr().err
    assert "the difference enters at norm (BatchNorm)" in error
    assert "--batches own" in error and "Traceback" not in error
    assert not (run_dir / "metrics.json").exists()
    # A file that defines classes of its own can be asked for help.
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(file), "--help"])
    assert stopped.value.code == 0 and "--optim.lr" in capsys.readouterr().out
    # The remedy: no batch has clips of several folds.
    assert main([*words, "--batches", "own", "--overwrite"]) == 0
    assert "canary: 4 clips that fold s000 must not see" in capsys.readouterr().out

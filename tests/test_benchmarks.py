"""The benchmark networks compute what their PyTorch twins compute."""

from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose

from jmer.errors import JmerError
from jmer.experiment import load_experiment
from jmer.losses import cross_entropy
from jmer.models.base import NetworkConfig

BENCHMARKS = Path(__file__).resolve().parent.parent / "experiments" / "benchmarks"
TINY = {
    "small_cnn": {"size": 11, "widths": (3, 5)},
    "residual2d": {"size": 21, "width": 3},
    "residual3d": {"frames": 3, "size": 13, "width": 2},
    "transformer": {"tokens": 5, "dim": 6, "heads": 2, "depth": 2},
}
TORCH_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
}
# A convolution and its norm are a `Sequential` there.
TORCH_MODULES = {
    f"{ours}.{layer}": f"{theirs}.{number}"
    for ours, theirs in (
        ("stem", "stem"),
        ("first", "conv1"),
        ("second", "conv2"),
        ("shortcut", "downsample"),
    )
    for number, layer in enumerate(("conv", "norm"))
}


def torch_entries(state):
    """Every leaf, by its name and with its layout in PyTorch."""
    for path, leaf in nnx.to_flat_state(state):
        *module, kind = path
        array = np.asarray(leaf[...])
        if kind == "kernel":  # [*window, c, d] to [d, c, *window]
            array = np.moveaxis(array, (-1, -2), (0, 1))
        name = ".".join(map(str, (*module, TORCH_NAMES.get(kind, kind))))
        for ours, theirs in TORCH_MODULES.items():
            name = name.replace(ours, theirs)
        yield name, array


def twins(name):
    """The config at a tiny size, the network, and a twin with the same parameters."""
    torch = pytest.importorskip("torch")
    config = load_experiment(BENCHMARKS / f"{name}.py").model
    config = replace(config, **TINY[name])
    model = config.build(3, dtype=np.float32, rngs=nnx.Rngs(params=0))
    peer = config.peer(3)
    values = {name: torch.tensor(a) for name, a in torch_entries(nnx.state(model))}
    missing = peer.load_state_dict(values, strict=False).missing_keys
    assert all(key.endswith("num_batches_tracked") for key in missing)
    return config, model, peer


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_networks_and_their_twins_agree(name):
    config, model, peer = twins(name)
    torch = pytest.importorskip("torch")
    (feature,), (shape,) = config.inputs, config.input_shapes
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    label = np.array([0, 2, 1, 1, 0])

    graphdef, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params, x):
        def loss(params):
            copy = nnx.merge(graphdef, params, rest, copy=True)
            logits = config.apply(copy, {feature: x}, train=True, weight=np.ones(5))
            return cross_entropy(logits, label).mean(), (logits, nnx.state(copy))

        return jax.grad(loss, has_aux=True)(params)

    gradients, (logits, after) = jax.device_get(step(params, x))
    ours = dict(torch_entries(gradients))

    turned = np.ascontiguousarray(x if x.ndim == 3 else np.moveaxis(x, -1, 1))
    expected = peer(torch.tensor(turned))
    torch.nn.functional.cross_entropy(expected, torch.tensor(label)).backward()
    assert_allclose(logits, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    theirs = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    assert theirs.keys() == ours.keys()
    for name, gradient in theirs.items():
        size = np.abs(gradient).max()
        assert_allclose(ours[name], gradient, 1e-3, 1e-4 * size + 1e-6, err_msg=name)
    tracked = dict(peer.named_buffers())
    for name, array in torch_entries(after):
        if name in tracked:
            assert_allclose(array, tracked[name].numpy(), 1e-4, 1e-5, err_msg=name)


def test_a_network_without_a_twin_says_so():
    @dataclass(frozen=True)
    class Unknown(NetworkConfig):
        name = "unknown"

    with pytest.raises(JmerError, match="unknown has no PyTorch twin"):
        Unknown().peer(3)

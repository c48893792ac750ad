"""Visual memory on clips that are filled up at their ends: only frames that are there
count, in training and in tests."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, filled, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.train.checkpoint import flatten

SMALL = VisualMemoryConfig(frames=5, steps=4, size=32, width=2, hidden=5, padded=True)
LENGTHS = np.array([5, 3, 2, 4])
PRESENT = (np.arange(5) < LENGTHS[:, None]).astype(np.uint8)
CLIP = np.random.default_rng(0).uniform(0, 255, (4, 5, 32, 32, 3)).astype(np.float32)
FLOW = normal(1, 4, 4, 32, 32, 2)
TARGET = np.random.default_rng(2).uniform(size=(4, 5)).astype(np.float32)
LABEL = np.array([0, 1, 2, 0], np.int32)
WEIGHT = np.ones(4, np.float32)
INPUTS = {"clip": CLIP, "flow": FLOW, "intensity": TARGET, "present": PRESENT}
KEY = keys.seed_key(0)
KINDS = {
    "joint": SMALL,
    "spatial": dataclasses.replace(SMALL, phase="spatial", intensity=False),
}


@pytest.fixture(scope="module")
def twins():
    pytest.importorskip("torch")
    from twins import visual_memory

    return visual_memory


def inputs_of(config, **others):
    return {name: {**INPUTS, **others}[name] for name in config.inputs}


@functools.cache
def split(config):
    model = config.build(3, dtype=jnp.float32, rngs=nnx.Rngs(params=0))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _explain(config, graphdef, params, stats, inputs):
    return config.explain(nnx.merge(graphdef, params, stats), inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _gradients(config, graphdef, params, stats, inputs):
    def objective(params):
        model = nnx.merge(graphdef, params, stats, copy=True)
        loss = config.loss(model, inputs, LABEL, weight=WEIGHT, key=None)
        return loss, nnx.state(model, nnx.BatchStat)

    return jax.value_and_grad(objective, has_aux=True)(params)


def evaluated(config, parts, inputs):
    return _explain(config, *parts, inputs)


def loss_of(config, parts, inputs):
    """The loss, its gradients and the statistics after it, by path."""
    (loss, stats), gradients = _gradients(config, *parts, inputs)
    return loss, flatten({"params": gradients, "stats": stats})


def test_the_network_is_told_which_frames_there_are():
    assert SMALL.inputs == ("clip", "flow", "intensity", "present")
    assert SMALL.input_shapes[-1] == (5,)
    assert KINDS["spatial"].inputs == ("clip", "present")
    assert "present" not in VisualMemoryConfig().inputs


@pytest.mark.parametrize("name", KINDS)
def test_evaluates_and_trains_as_its_twin(twins, name):
    """The twin leaves out the frames that are not there; ours weighs them with 0."""
    import torch

    config = KINDS[name]
    twin = twins.random_twin(config, 3, seed=1)
    graphdef, params, stats = split(config)
    parts = filled(graphdef, params, stats, twins.ours(config, twin.state_dict()))
    inputs = inputs_of(config)
    there = torch.tensor(PRESENT)
    clip, flow = (twins.channels_first(x).double() for x in (CLIP, FLOW))
    arguments = (clip, there) if name == "spatial" else (clip, flow, there)
    twin = twin.double()
    logits, shown = evaluated(config, parts, inputs)
    wanted = twin.explain(*arguments)
    close(logits, wanted[0].detach().numpy())
    theirs = PRESENT[:, -shown["step_logits"].shape[1] :] > 0
    close(shown["step_logits"][theirs], wanted[1].detach().numpy()[theirs])

    twin.train().drop.eval()
    steps, *found = twin.explain(*arguments)[1:]
    label = torch.tensor(LABEL).long()[:, None].expand(steps.shape[:2])
    each = torch.nn.functional.cross_entropy(
        steps.flatten(0, 1), label.flatten(), reduction="none"
    ).view(label.shape)
    own = torch.tensor(theirs).double()
    true = torch.tensor(TARGET)[:, 1:].double()
    shares = own / own.sum(1, keepdim=True)
    # A clip counts as much as any other.
    expected = (each * shares).sum(1).mean()
    if config.intensity:
        error = (found[0] - true).abs()
        expected = expected + (error * shares).sum(1).mean()
    expected.backward()
    loss, ours = loss_of(config, parts, inputs)
    assert_allclose(loss, expected.item(), rtol=1e-5)
    gradients = {
        n: 0 * p if p.grad is None else p.grad for n, p in twin.named_parameters()
    }
    theirs = twins.ours(config, dict(twin.state_dict()) | gradients)
    largest = max(np.abs(v).max() for n, v in theirs.items() if n.startswith("params"))
    for path, value in ours.items():
        if re.search(r"\.encoder\.\d\.bias$", path):  # which the norm takes away
            assert np.abs(theirs[path]).max() < 1e-9 * largest
            continue
        atol = 1e-4 * np.abs(theirs[path]).max()
        assert_allclose(value, theirs[path], 1e-4, atol, err_msg=path)


@pytest.mark.parametrize("name", KINDS)
def test_what_fills_up_a_clip_changes_no_bit(name):
    """Of a test, the loss, a gradient or a statistic."""
    config = KINDS[name]
    parts = split(config)
    other = {k: np.array(v, np.float32) for k, v in INPUTS.items() if k != "present"}
    rng = np.random.default_rng(7)
    for i, length in enumerate(LENGTHS):
        other["clip"][i, length:] = rng.uniform(0, 255, (5 - length, 32, 32, 3))
        other["flow"][i, length - 1 :] = rng.normal(size=(5 - length, 32, 32, 2))
        other["intensity"][i, length:] = rng.uniform(size=5 - length)
    one, two = inputs_of(config), inputs_of(config, **other)
    assert_array_equal(
        evaluated(config, parts, one)[0], evaluated(config, parts, two)[0]
    )
    (first, before), (second, after) = (loss_of(config, parts, x) for x in (one, two))
    assert first == second
    for path, value in before.items():
        assert_array_equal(value, after[path], err_msg=path)


def test_it_does_not_matter_how_much_a_clip_is_filled_up():
    """The memory goes on over all frames, a sequence at a time."""
    parts = split(SMALL)
    logits, shown = evaluated(SMALL, parts, INPUTS)
    longer = {
        name: np.pad(value, [(0, 0), (0, 6)] + [(0, 0)] * (value.ndim - 2))
        for name, value in INPUTS.items()
    }
    more, also = evaluated(dataclasses.replace(SMALL, frames=11), parts, longer)
    close(more, logits)
    for name, value in shown.items():
        for i, length in enumerate(LENGTHS):
            close(also[name][i, : length - 1], value[i, : length - 1])


def test_in_turn_as_at_once():
    """44 frames, of which 20 are seen at a time."""
    turns = dataclasses.replace(SMALL, frames=11)
    whole = dataclasses.replace(turns, padded=False)
    parts = split(SMALL)
    longer = {
        name: np.concatenate([INPUTS[name]] * 3, 1)[:, : 11 - (name == "flow")]
        for name in whole.inputs
    }
    expected = evaluated(whole, parts, longer)
    ones = np.ones((4, 11), np.uint8)
    found = evaluated(turns, parts, {**longer, "present": ones})
    close(found[0], expected[0])
    for name, value in expected[1].items():
        close(found[1][name], value)


def test_windows_lie_within_their_recordings():
    """Each of the windows of a recording, and of a short one what there is."""
    config = dataclasses.replace(SMALL, frames=12, steps=3, augmented=False)
    lengths = np.repeat([12, 7, 4, 3], 60)
    number = np.broadcast_to(np.arange(12, dtype=np.float32), (240, 12))
    inputs = {
        "clip": np.broadcast_to(
            number[..., None, None, None], (240, 12, 32, 32, 3)
        ).astype(np.uint8),
        "flow": np.zeros((240, 11, 32, 32, 2), np.float16),
        "intensity": number,
        "present": (number < lengths[:, None]).astype(np.uint8),
    }
    found = config.augment(inputs, KEY, jnp.zeros(240, int))
    start = np.array(found["intensity"][:, 0])
    assert_array_equal(found["intensity"], start[:, None] + np.arange(4))
    assert_array_equal(found["clip"][..., 3, 5, 1], found["intensity"])
    assert found["flow"].shape[1] == 3
    for length, starts in ((12, 9), (7, 4), (4, 1), (3, 1)):
        own = lengths == length
        assert set(start[own]) == set(range(starts))
        assert_array_equal(found["present"][own].sum(1), min(length, 4))

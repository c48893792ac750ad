"""Gates, worked out by hand, and the maximum that they use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


@pytest.mark.parametrize("shared", ["conv", "mlp"])
def test_a_channel_gate_multiplies_as_worked_out_by_hand(shared):
    gate = nn.ChannelGate(
        2, reduction=2, shared=shared, rank=3, rngs=nnx.Rngs(params=0)
    )
    shape = gate.squeeze.kernel[...].shape
    gate.squeeze.kernel[...] = jnp.array([1.0, -1.0]).reshape(shape)
    gate.excite.kernel[...] = jnp.array([2.0, 0.5]).reshape(*shape[:-2], 1, 2)
    # Two frames of one pixel. Channel 0: mean 2, maximum 3; channel 1: 0 and 4.
    x = jnp.array([[1, 4], [3, -4]], jnp.float32).reshape(1, 2, 1, 1, 2)
    # g(mean) = relu(2 - 0) (2, 0.5); g(maximum) = relu(3 - 4) (2, 0.5) = 0.
    weight = sigmoid([4, 1])
    y, shown = gate.explain(x)
    assert_allclose(shown["channel"], [weight], rtol=1e-6)
    assert_allclose(y.reshape(2, 2), [1, 4] * weight * [[1, 1], [3, -1]], rtol=1e-6)


def test_a_space_time_gate_multiplies_as_worked_out_by_hand():
    gate = nn.SpaceTimeGate((3, 1, 1), rngs=nnx.Rngs(params=0))
    # Of the frame before: the mean; of the same frame: twice the maximum.
    kernel = np.zeros((3, 1, 1, 2, 1), np.float32)
    kernel[0, 0, 0, 0], kernel[1, 0, 0, 1] = 1, 2
    gate.conv.kernel[...] = jnp.array(kernel)
    x = np.float32([[1, -2, 4], [0, 0.5, -2]])  # means 1 and -0.5, maxima 4 and 0.5
    y, shown = gate.explain(jnp.array(x).reshape(1, 2, 1, 1, 3))
    weight = sigmoid([8, 2])
    assert_allclose(shown["space_time"].ravel(), weight, rtol=1e-6)
    assert_allclose(y.reshape(2, 3), x * weight[:, None], rtol=1e-6)


def test_gates_act_one_after_another():
    rngs = nnx.Rngs(params=0)
    channel = nn.ChannelGate(6, reduction=3, rank=2, rngs=rngs)
    place = nn.SpaceTimeGate((3, 5), rngs=rngs)
    x = normal(0, 2, 4, 5, 6)
    middle, first = channel.explain(x)
    y, second = place.explain(middle)
    both, shown = nn.Gates([channel, place]).explain(x)
    assert_array_equal(both, y)
    assert set(shown) == {"channel", "space_time"}
    close(shown, {**first, **second}, 0)
    assert shown["space_time"].shape == (2, 4, 5)


def test_weights_are_float32_and_values_keep_their_type():
    rngs = nnx.Rngs(params=0)
    options = {"dtype": jnp.bfloat16, "rngs": rngs}
    gates = nn.Gates(
        [nn.ChannelGate(4, reduction=2, rank=1, **options),
         nn.SpaceTimeGate((3,), **options)]
    )  # fmt: skip
    y, shown = gates.explain(jnp.asarray(normal(0, 2, 5, 4), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert {w.dtype for w in shown.values()} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_lowerings_of_a_clip_agree(kernel):
    rngs = nnx.Rngs(params=0)
    gates = nn.Gates(
        [
            nn.ChannelGate(6, reduction=2, rank=3, rngs=rngs),
            nn.SpaceTimeGate((kernel,) * 3, rngs=rngs),
        ]
    )
    x = normal(0, 2, 9, 11, 10, 6)
    found = []
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            found.append(jax.jit(lambda x: pulled(lambda x: gates.explain(x)[0], x))(x))
    for other in found[1:]:
        close(other, found[0])


def test_a_reduction_must_divide_the_channels():
    with pytest.raises(ValueError, match="reduction=4"):
        nn.ChannelGate(6, reduction=4, rank=3, rngs=nnx.Rngs(params=0))


@pytest.mark.parametrize("axis", [1, -1])
def test_the_first_of_equal_values_gets_the_gradient_as_in_torch(axis):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(0, 3, (3, 7, 5)).astype(np.float32)
    y, pull = jax.vjp(lambda x: nn.max_along(x, axis), x)
    leaf = torch.tensor(x, requires_grad=True)
    expected = leaf.max(axis, keepdim=True).values
    dy = normal(1, *y.shape)
    expected.backward(torch.tensor(dy))
    assert_array_equal(y, expected.detach().numpy())
    assert_array_equal(pull(dy)[0], leaf.grad.numpy())

"""The linear layer against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn


def apply(x, kernel, bias, dtype=jnp.float32):
    layer = nn.Linear(*kernel.shape, dtype=dtype, rngs=nnx.Rngs(params=0))
    layer.kernel[...], layer.bias[...] = kernel, bias
    return layer(x)


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
@pytest.mark.parametrize("batch", [(), (2,), (2, 5)])
def test_linear_and_its_gradients_match_float64(lowering, batch):
    arrays = normal(0, *batch, 7), normal(1, 7, 3), normal(2, 3)
    with nn.use_lowering(lowering):
        actual = jax.jit(functools.partial(pulled, apply))(*arrays)
    with jax.enable_x64(True):
        wide = [jnp.asarray(a, jnp.float64) for a in arrays]
        exact = pulled(lambda x, kernel, bias: x @ kernel + bias, *wide)
        expected = jax.device_get(exact)
    close(actual, expected, 2e-6)


def test_linear_mapped_over_tasks_matches_a_loop():
    x, kernel, bias = normal(0, 3, 5, 7), normal(1, 3, 7, 2), normal(2, 3, 2)

    def loss(x, kernel, bias):
        return (apply(x, kernel, bias) ** 2).sum()

    step = jax.grad(loss, argnums=(0, 1, 2))
    alone = [step(*rows) for rows in zip(x, kernel, bias, strict=True)]
    loop = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    close(jax.vmap(step)(x, kernel, bias), loop)


def test_linear_computes_in_its_dtype_and_starts_as_in_torch():
    arrays = normal(0, 5, 7), normal(1, 7, 3), normal(2, 3)
    value, gradients = pulled(functools.partial(apply, dtype=jnp.bfloat16), *arrays)
    assert value.dtype == jnp.bfloat16
    assert {g.dtype for g in gradients} == {jnp.dtype(jnp.float32)}
    close(np.float32(value), np.float32(apply(*arrays)), 0.03)
    layer = nn.Linear(499, 101, rngs=nnx.Rngs(params=1))
    for values in (layer.kernel[...], layer.bias[...]):
        assert_allclose(np.abs(values).max(), 499**-0.5, rtol=0.05)


def test_linear_without_bias_is_the_product():
    layer = nn.Linear(7, 3, bias=False, rngs=nnx.Rngs(params=0))
    assert layer.bias is None
    assert len(jax.tree.leaves(nnx.state(layer))) == 1
    x = normal(0, 5, 7)
    for lowering in nn.LOWERINGS:
        with nn.use_lowering(lowering):
            close(layer(x), x @ np.array(layer.kernel[...]), 1e-6)


def test_linear_starts_as_its_initialisers_say():
    layer = nn.Linear(
        7,
        3,
        kernel_init=nnx.initializers.constant(2.0),
        bias_init=nnx.initializers.constant(-1.0),
        rngs=nnx.Rngs(params=0),
    )
    assert_array_equal(layer.kernel[...], np.full((7, 3), 2.0))
    assert_array_equal(layer.bias[...], np.full(3, -1.0))
    assert_array_equal(layer(np.ones((2, 7), np.float32)), np.full((2, 3), 13.0))

"""The bidirectional LSTM against PyTorch's, and by itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn
from jmer.weights import torch_names

X = normal(0, 3, 5, 7)


def split(dtype=jnp.float32):
    return nnx.split(nn.BiLSTM(7, 4, dtype=dtype, rngs=nnx.Rngs(params=0)))


@functools.partial(jax.jit, static_argnums=0)
def run(graphdef, params, x):
    return nnx.merge(graphdef, params)(x)


def test_is_pytorchs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    twin = torch.nn.LSTM(7, 4, batch_first=True, bidirectional=True)
    x = torch.tensor(X, requires_grad=True)
    expected, _ = twin(x)
    expected.backward(torch.tensor(normal(9, 3, 5, 8)))

    def ours(values):
        state = {name: value.detach().numpy() for name, value in values}
        flat = torch_names.lstm(state, "rnn", "rnn")
        return {path.removeprefix("params.rnn."): v for path, v in flat.items()}

    graphdef, params = split()
    params.replace_by_pure_dict(
        ours((f"rnn.{n}", p) for n, p in twin.named_parameters())
    )
    value, (d_params, dx) = pulled(functools.partial(run, graphdef), params, X)
    close(value, expected.detach().numpy())
    close(dx, x.grad.numpy())
    gradients = ours((f"rnn.{n}", p.grad) for n, p in twin.named_parameters())
    close(nnx.to_pure_dict(d_params), gradients)


def test_has_the_parameters_of_stanets():
    """Of our reading, for the paper prints none: 2 (4*128 (512 + 128) + 2*4*128)."""
    shapes = nnx.eval_shape(lambda: nn.BiLSTM(512, 128, rngs=nnx.Rngs(params=0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(shapes))) == 657_408


def test_each_half_sees_one_side_of_a_step():
    graphdef, params = split()
    changed = X.copy()
    changed[:, 2] += 1
    before, after = run(graphdef, params, X), run(graphdef, params, changed)
    assert_array_equal(before[:, :2, :4], after[:, :2, :4])
    assert_array_equal(before[:, 3:, 4:], after[:, 3:, 4:])
    assert (before[:, 2:, :4] != after[:, 2:, :4]).all()
    assert (before[:, :3, 4:] != after[:, :3, 4:]).all()


def test_begins_within_pytorchs_bounds():
    for leaf in jax.tree.leaves(split()[1]):
        assert np.abs(leaf).max() <= 0.5
        assert np.abs(leaf).max() > 0.4


def test_tasks_together_are_tasks_alone():
    graphdef = split()[0]
    lone = [nnx.state(nn.BiLSTM(7, 4, rngs=nnx.Rngs(params=seed))) for seed in range(3)]
    pack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *lone)
    together = jax.vmap(functools.partial(run, graphdef), (0, None))(pack, X)
    close(together, np.stack([run(graphdef, params, X) for params in lone]))


def test_bfloat16_comes_near_float32():
    wide, narrow = run(*split(), X), run(*split(jnp.bfloat16), X)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.02)
    assert (narrow != wide).any()

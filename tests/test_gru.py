"""Gated recurrent units against PyTorch's, and by themselves."""

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
IMAGES = normal(1, 2, 3, 6, 4, 5)


def vectors(dtype=jnp.float32, seed=0):
    return nnx.split(nn.GRU(7, 4, dtype=dtype, rngs=nnx.Rngs(params=seed)))


def images(dtype=jnp.float32, seed=0):
    rngs = nnx.Rngs(params=seed)
    return nnx.split(nn.ConvGRU(5, 3, kernel=5, dtype=dtype, rngs=rngs))


BOTH = pytest.mark.parametrize(
    ("split", "x"), [(vectors, X), (images, IMAGES)], ids=["GRU", "ConvGRU"]
)


@functools.partial(jax.jit, static_argnums=0)
def run(graphdef, params, x):
    return nnx.merge(graphdef, params)(x)


def assert_twins(torch, twin, call, ours, split, x, channels_last):
    """The same states, and gradients of a random projection of them."""
    axes = (0, 1, 4, 2, 3) if x.ndim == 5 else (0, 1, 2)
    seen = torch.tensor(x.transpose(axes).copy(), requires_grad=True)
    expected = call(twin, seen)
    shape = channels_last(expected.detach().numpy()).shape
    expected.backward(torch.tensor(normal(9, *shape).transpose(axes).copy()))
    graphdef, params = split()

    def paths(values):
        flat = ours({f"rnn.{n}": v.detach().numpy() for n, v in values})
        flat = {path.removeprefix("params.rnn."): v for path, v in flat.items()}
        tree = nnx.to_pure_dict(params)
        for path, value in flat.items():
            *parents, name = path.split(".")
            place = functools.reduce(dict.__getitem__, parents, tree)
            assert place[name].shape == value.shape
            place[name] = jnp.asarray(value)
        return tree

    wanted = paths((n, p.grad) for n, p in twin.named_parameters())
    params.replace_by_pure_dict(paths(twin.named_parameters()))
    value, (d_params, dx) = pulled(functools.partial(run, graphdef), params, x)
    close(value, channels_last(expected.detach().numpy()))
    close(dx, channels_last(seen.grad.numpy()))
    close(nnx.to_pure_dict(d_params), wanted)


def test_is_pytorchs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    twin = torch.nn.GRU(7, 4, batch_first=True)
    ours = functools.partial(torch_names.gru, source="rnn", target="rnn")
    assert_twins(torch, twin, lambda f, x: f(x)[0], ours, vectors, X, lambda x: x)


def test_of_images_is_its_twin():
    torch = pytest.importorskip("torch")
    from twins.visual_memory import conv_gru

    from jmer.peers.visual_memory import ConvGRU

    torch.manual_seed(0)
    ours = functools.partial(conv_gru, source="rnn", target="rnn", inputs=5)
    assert_twins(
        *(torch, ConvGRU(5, 3, 5), lambda f, x: f(x), ours, images, IMAGES),
        lambda x: np.moveaxis(x, 2, -1),
    )


def test_have_the_parameters_of_the_paper():
    """PyTorch's two biases a gate; in images, one."""

    def count(make):
        state = nnx.state(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(params=0))))
        return sum(leaf.size for leaf in jax.tree.leaves(state))

    assert count(functools.partial(nn.GRU, 256, 256)) == 394_752
    assert count(functools.partial(nn.ConvGRU, 256, 64)) == 3_010_752


@BOTH
def test_no_step_sees_what_follows(split, x):
    graphdef, params = split()
    changed = x.copy()
    changed[:, 2] += 1
    before, after = run(graphdef, params, x), run(graphdef, params, changed)
    assert_array_equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).all()


@BOTH
def test_tasks_together_are_tasks_alone(split, x):
    graphdef = split()[0]
    lone = [split(seed=seed)[1] for seed in range(3)]
    pack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *lone)
    together = jax.vmap(functools.partial(run, graphdef), (0, None))(pack, x)
    close(together, np.stack([run(graphdef, params, x) for params in lone]))


@BOTH
def test_bfloat16_comes_near_float32(split, x):
    wide, narrow = run(*split(), x), run(*split(jnp.bfloat16), x)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.02)
    assert (narrow != wide).any()

"""Pixels that share channels on TPUs: the same layers, and their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from numeric import close, normal, pulled
from numpy.testing import assert_array_equal

from jmer import nn
from jmer.nn.conv import conv
from jmer.nn.lowering import folded, gated


@pytest.mark.parametrize(
    ("reach", "stride", "padding", "n", "m"),
    [
        *[(3, 1, 1, 2, 2), (3, 2, 1, 2, 1), (1, 2, 0, 2, 1), (7, 2, 3, 1, 2)],
        *[(5, 1, 2, 4, 4), (2, 1, 0, 3, 3)],
    ],
)
def test_a_folded_convolution_is_the_same(reach, stride, padding, n, m):
    out = 12
    width = (out - 1) * stride + reach - 2 * padding
    width += -width % n
    x, kernel = normal(0, 2, 5, width, 3), normal(1, 3, reach, 3, 4)
    graphdef, state = nnx.split(
        nn.Conv(
            3, 4, (3, reach), strides=(2, stride), padding=(1, padding), bias=False,
            rngs=nnx.Rngs(params=0),
        )
    )  # fmt: skip

    def of(kernel):
        return nnx.merge(graphdef, jax.tree.map(lambda _: kernel, state))

    def plain(x, kernel):
        return of(kernel)(x)[:, :, :out]

    def with_folds(x, kernel):
        made = of(kernel).folded(folded.fold(x, n), n, m)
        return folded.unfold(made, m)[:, :, :out]

    with nn.use_lowering("backend"):
        both = jax.jit(
            lambda *of: (pulled(with_folds, *of), pulled(plain, *of)),
        )
        close(*both(x, kernel))


def test_rows_fold_where_it_fills_the_lanes_of_a_tpu():
    for lowering, width, channels, folds in (
        *[("tpu", 8, 64, 2), ("tpu", 8, 32, 4), ("tpu", 6, 32, 1), ("tpu", 7, 64, 1)],
        *[("tpu", 8, 128, 1), ("tpu", 8, 96, 1), ("tpu", 8, 16, 1)],
        *[("gpu", 8, 64, 1), ("patches", 8, 64, 1), ("backend", 8, 64, 1)],
    ):
        with nn.use_lowering(lowering):
            assert folded.folds_of(width, channels) == folds, (lowering, width)


@pytest.mark.parametrize(
    ("n", "dtype"), [(1, jnp.float32), (2, jnp.bfloat16), (3, jnp.float32)]
)
def test_pooling_by_products_is_exact_and_the_first_of_equals_wins(n, dtype):
    x = np.random.default_rng(0).integers(-3, 3, (2, 3, 4, 6, 5)).astype(np.float32)
    x = jnp.asarray(x / 3, dtype)

    def plain(x, axes):
        x = x.astype(jnp.float32)
        if axes == (1, 2, 3):
            x = x.reshape(2, -1, 5)
            return x.mean(1), nn.max_along(x, 1)[:, 0]
        return x.mean(-1), nn.max_along(x, -1)[..., 0]

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def run(function, axes, x):
        made, pull = jax.vjp(functools.partial(function, n=n), folded.fold(x, n))
        wanted, pull_plain = jax.vjp(functools.partial(plain, axes=axes), x)
        dy = tuple(jnp.asarray(normal(i, *made[0].shape)) for i in range(2))
        return made, folded.unfold(pull(dy)[0], n), wanted, pull_plain(dy)[0]

    for function, axes in ((gated.over_places, (1, 2, 3)), (gated.over_channels, (4,))):
        made, found, wanted, expected = run(function, axes, x)
        close(made[0], wanted[0], 1e-6)
        assert_array_equal(made[1], wanted[1])
        rtol = 1e-6 if dtype == jnp.float32 else 2**-8
        close(np.float32(found), np.float32(expected), rtol)


@pytest.mark.parametrize("kernel", [(3, 5, 3), (7,)])
def test_a_row_as_channels_convolves_its_pixels(kernel):
    rank = len(kernel)
    planes = normal(0, 2, 2, *(4, 5, 6)[-rank:])  # b, planes, space
    weights = normal(1, *kernel, 2, 1)
    space = "DHW"[-rank:]

    def plain(planes, weights):
        return lax.conv_general_dilated(
            jnp.moveaxis(planes, 1, -1), weights, (1,) * rank, "SAME",
            dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        )[..., 0]  # fmt: skip

    def by_rows(planes, weights):
        pair = planes[:, 0], planes[:, 1]
        return gated.rows_convolved(pair, weights, jnp.float32, conv)

    both = jax.jit(lambda *of: (pulled(by_rows, *of), pulled(plain, *of)))
    close(*both(planes, weights))


def gates(channels, rank):
    rngs = nnx.Rngs(params=1)
    return nn.Gates(
        [
            nn.ChannelGate(channels, rank=rank, rngs=rngs),
            nn.SpaceTimeGate((3,) * rank, rngs=rngs),
        ]
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "stride", "shortcut", "gated"),
    [
        *[(64, 64, 1, "conv", True), (64, 128, 2, "conv", False)],
        (16, 32, 1, "zeropad", False),
    ],
)
def test_a_block_of_folded_rows_is_the_same(inputs, outputs, stride, shortcut, gated):
    """Values, statistics and gradients, with a clip that does not count; and in
    evaluation."""
    block = nn.ResidualBlock(
        inputs, outputs, stride=stride, shortcut=shortcut, rank=2,
        gate=gates(outputs, 2) if gated else None, rngs=nnx.Rngs(params=0),
    )  # fmt: skip
    graphdef, params, stats = nnx.split(block, nnx.Param, nnx.BatchStat)
    x, weight = normal(0, 3, 5, 8, inputs), jnp.float32([1, 0, 1])

    @functools.partial(jax.jit, static_argnums=0)
    def run(lowering, params, x):
        def train(params, x):
            block = nnx.merge(graphdef, params, stats, copy=True)
            with nn.use_lowering(lowering):
                y = block(x, train=True, weight=weight)
                shown = block.explain(x)[1]
                return y, (nnx.state(block, nnx.BatchStat), block(x), shown)

        y, pull, others = jax.vjp(train, params, x, has_aux=True)
        return y, others, pull(jnp.asarray(normal(9, *y.shape)))

    close(run("tpu", params, x), run("backend", params, x), 2e-5)

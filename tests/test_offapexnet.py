"""Off-ApexNet against its plain PyTorch twin, in meb's size and in the paper's."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys
from jmer.errors import UsageError
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import describe
from jmer.models.offapexnet import OffApexNetConfig
from jmer.train.checkpoint import flatten, unflatten

MEB = OffApexNetConfig(unit=2.0, zero=0.25)
PAPER = OffApexNetConfig(streams="separate", kernel=5, hidden=(1024, 1024))
# Sides that halving rounds down, and hidden layers of different widths.
TINY = OffApexNetConfig(
    streams="separate", filters=(2, 3), kernel=5, hidden=(5, 4), size=11
)
EACH = pytest.mark.parametrize("config", [MEB, TINY], ids=["meb", "tiny"])
LABEL = np.arange(7, dtype=np.int32) % 3
ONES = np.ones(7, np.float32)
KEY = keys.named(keys.seed_key(0), "s1")


@pytest.fixture(scope="module")
def twins():
    """The twin's modules; skips without PyTorch."""
    pytest.importorskip("torch")
    from twins import offapexnet

    return offapexnet


def flow_for(config):
    shape = (7, *config.input_shapes[0])
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def split(config, dtype=jnp.float32):
    model = config.build(3, dtype=dtype, rngs=nnx.Rngs(params=0))
    return nnx.split(model, nnx.Param)


def split_of(twin, twins, config):
    """jmer's network with a twin's arrays."""
    graphdef, params = split(config)
    template = {"params": params}
    flat = twins.arrays(twin.state_dict(), config)
    assert {path: value.shape for path, value in flat.items()} == {
        path: value.shape for path, value in flatten(template).items()
    }
    return graphdef, unflatten(template, flat, "twin")["params"]


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def forward(graphdef, params, flow, *, train=False, key=None):
    return nnx.merge(graphdef, params, copy=True)(flow, train=train, key=key)


@functools.partial(jax.jit, static_argnums=0)
def loss_gradients(graphdef, params, flow, weight):
    def objective(params):
        model = nnx.merge(graphdef, params, copy=True)
        logits = model(flow, train=True, weight=weight)
        return weighted_mean(cross_entropy(logits, LABEL), weight)

    return jax.value_and_grad(objective)(params)


def close(actual, expected, rtol):
    """Each array to a share of its largest value."""
    assert set(actual) == set(expected)
    for path, value in expected.items():
        atol = rtol * np.abs(value).max()
        assert_allclose(actual[path], value, rtol, atol, err_msg=path)


def test_describes_the_network_of_meb():
    record = describe(OffApexNetConfig())
    assert record["name"] == "offapexnet" and "Gan" in record["paper"]
    # 2x6x9+6, 6x16x9+16, 784x1024+1024 and 1024x3+3
    assert record["parameters"] == record["trained"] == 114 + 880 + 803_840 + 3_075
    assert record["input"] == "apex_flow 28x28x3"


def test_the_network_of_the_paper_has_the_parameters_that_others_count():
    """2.66 million, in the table of Off-TANet (Zhang et al. 2021)."""
    params = jax.eval_shape(lambda: split(PAPER)[1])
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == 2 * (156 + 2_416) + 1_606_656 + 1_049_600 + 3_075 == 2_664_475


@pytest.mark.parametrize(("config", "classes"), [(MEB, 3), (PAPER, 3), (TINY, 5)])
def test_shape_and_dtype_of_logits(config, classes):
    def logits(flow):
        model = config.build(classes, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model(flow)

    shape = jax.ShapeDtypeStruct((11, *config.input_shapes[0]), jnp.uint8)
    found = jax.eval_shape(logits, shape)
    assert (found.shape, found.dtype) == ((11, classes), jnp.float32)


@EACH
def test_evaluates_as_its_twin(twins, config):
    flow = flow_for(config)
    twin = twins.random_twin(config, 3, seed=1)
    assert sum(p.numel() for p in twin.parameters()) == sum(
        x.size for x in jax.tree.leaves(split(config)[1])
    )
    logits = forward(*split_of(twin, twins, config), flow)
    expected = twin(twins.image(flow)).detach().numpy()
    close({"logits": logits}, {"logits": expected}, 1e-5)


@EACH
def test_loss_gradients_are_its_twins(twins, config):
    import torch

    flow = flow_for(config)
    twin = twins.random_twin(config, 3, seed=2)
    loss, gradients = loss_gradients(*split_of(twin, twins, config), flow, ONES)
    logits = twin(twins.image(flow))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(LABEL).long())
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    grads = {name: p.grad for name, p in twin.named_parameters()}
    close(flatten({"params": gradients}), twins.arrays(grads, config), 1e-4)


def test_strain_is_not_seen():
    flow = flow_for(TINY)
    other = flow.copy()
    other[..., 2] = 7
    model = split(TINY)
    assert_array_equal(forward(*model, flow), forward(*model, other))


def test_scale_of_stored_flow_is_two_fields():
    """Images of flow from 0 to 255 give what flow from -1 to 1 does."""
    image = np.random.default_rng(0).integers(0, 256, (7, 11, 11, 3)).astype(np.uint8)
    config = OffApexNetConfig(zero=127.5, unit=127.5, size=11, hidden=(5,))
    plain = OffApexNetConfig(size=11, hidden=(5,))
    flow = (image.astype(np.float32) - 127.5) / 127.5
    stored = forward(*split(config), image)
    assert_allclose(stored, forward(*split(plain), flow), rtol=1e-5)


@pytest.mark.parametrize(
    "change", [lambda x: x, lambda x: 0 * x, lambda x: 255 * abs(x)],
    ids=["flow", "still", "image"],
)  # fmt: skip
def test_gradients_are_finite_and_leave_clips_of_weight_0_out(change):
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    flow = change(flow_for(TINY))
    noisy = flow.copy()
    noisy[weight == 0] = 9 * flow[weight == 0] ** 3 + 7
    model = split(TINY)
    loss, gradients = loss_gradients(*model, flow, weight)
    assert np.isfinite(loss)
    for path, value in flatten(gradients).items():
        assert np.isfinite(value).all(), path
    found = loss_gradients(*model, noisy, weight)
    jax.tree.map(assert_array_equal, found, (loss, gradients))


def test_dropout_depends_on_the_key_and_on_training():
    model, flow = split(TINY), flow_for(TINY)
    other = keys.named(keys.seed_key(0), "s2")
    first = forward(*model, flow, train=True, key=KEY)
    assert_array_equal(first, forward(*model, flow, train=True, key=KEY))
    assert (first != forward(*model, flow, train=True, key=other)).any()
    assert_array_equal(
        forward(*model, flow, train=True), forward(*model, flow, key=KEY)
    )


def test_bfloat16_comes_near_float32():
    flow = flow_for(TINY)
    wide = forward(*split(TINY), flow)
    narrow = forward(*split(TINY, jnp.bfloat16), flow)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.03 * np.abs(wide).max())
    assert (narrow != wide).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 3),
        ("kernel", 4),
        ("kernel", -1),
        ("filters", (0, 3)),
        ("hidden", (4, 0)),
        ("dropout", 1.0),
        ("unit", 0.0),
        ("unit", float("nan")),
        ("zero", float("inf")),
        ("streams", "both"),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    with pytest.raises(UsageError, match=rf"model\.{field}="):
        OffApexNetConfig(**{field: value})

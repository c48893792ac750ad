"""Optimisers against PyTorch's, whose defaults and names of fields they keep."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from jmer.errors import UsageError
from jmer.optim import (
    AdamConfig,
    AdamWConfig,
    Horizon,
    RmspropConfig,
    SgdConfig,
    UntunedWarmupConfig,
    trained_alone,
)
from jmer.train.checkpoint import flatten

START = np.float32([3, -2, 0.5, 7, 1e-3])
CURVATURE = np.float32([1, 0.1, 5, 0.01, 2])
CENTRE = np.float32([0, 1, -1, 2, 0])


def path_of(config, steps=10, start=START, **options):
    """Parameters after each step on sum(CURVATURE * (x - CENTRE)^2) / 2."""
    transform = config.transform(**options)
    x = jnp.asarray(start)
    state = transform.init(x)
    path = []
    for _ in range(steps):
        updates, state = transform.update(CURVATURE * (x - CENTRE), state, x)
        x = optax.apply_updates(x, updates)
        path.append(x)
    return np.stack(path)


def torch_path(optimiser, steps=10, rates=None, start=START, **options):
    torch = pytest.importorskip("torch")
    x = torch.tensor(start, requires_grad=True)
    optimiser = getattr(torch.optim, optimiser)([x], **options)
    path = []
    for step in range(steps):
        if rates is not None:
            optimiser.param_groups[0]["lr"] = float(rates[step])
        optimiser.zero_grad()
        (torch.tensor(CURVATURE) * (x - torch.tensor(CENTRE)) ** 2 / 2).sum().backward()
        optimiser.step()
        path.append(x.detach().numpy().copy())
    return np.stack(path)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(
    ("lr", "betas", "epsilon"),
    [(1e-3, (0.9, 0.999), 1e-8), (0.1, (0.5, 0.7), 1e-2), (0.1, (0.0, 0.0), 1e-3)],
)
def test_adam_matches_torch(lr, betas, epsilon, decay):
    config = AdamConfig(lr, *betas, epsilon=epsilon, weight_decay=decay)
    options = {"lr": lr, "betas": betas, "eps": epsilon, "weight_decay": decay}
    assert_allclose(
        path_of(config), torch_path("Adam", **options), rtol=1e-5, atol=1e-6
    )


def test_adam_defaults_are_those_of_torch():
    assert_allclose(path_of(AdamConfig()), torch_path("Adam"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_sgd_matches_torch(momentum, decay):
    options = {"lr": 0.05, "momentum": momentum, "weight_decay": decay}
    expected = torch_path("SGD", **options)
    assert_allclose(path_of(SgdConfig(**options)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_rmsprop_matches_torch(decay):
    config = RmspropConfig(0.05, weight_decay=decay)
    options = {"lr": 0.05, "weight_decay": decay, "alpha": 0.99}
    expected = torch_path("RMSprop", **options)
    assert_allclose(path_of(config), expected, rtol=1e-5, atol=1e-6)


def test_rmsprop_of_tensorflow_by_hand():
    """Its mean of squares begins at 1, and epsilon is added below the root: with decay
    0.9, squares 4 and 1 make 0.9 + 0.4 = 1.3 and 1.17 + 0.1 = 1.27."""
    config = RmspropConfig(0.1, form="tensorflow", smoothing=0.9, epsilon=0.14)
    rule = config.transform()
    state = rule.init(jnp.zeros(1))
    for gradient, expected in ((2.0, -0.2 / 1.44**0.5), (-1.0, 0.1 / 1.41**0.5)):
        made, state = rule.update(jnp.array([gradient]), state, jnp.zeros(1))
        assert_allclose(made, [expected], rtol=1e-6)
    # The penalty is part of the gradient: 1 + 0.5 * 2 is the 2 from above.
    decayed = dataclasses.replace(config, weight_decay=0.5).transform()
    params = jnp.full(1, 2.0)
    made, _ = decayed.update(jnp.ones(1), decayed.init(params), params)
    assert_allclose(made, [-0.2 / 1.2], rtol=1e-6)


def test_first_updates_of_the_two_forms_of_rmsprop():
    """From a mean of 0, a first gradient of any size is a step of 10 lr; from 1, a
    small one is nearly a gradient's own."""
    for size in (1e-3, 1e-5):
        steps = []
        for form in ("torch", "tensorflow"):
            rule = RmspropConfig(1e-4, form=form, epsilon=1e-10).transform()
            made, _ = rule.update(
                jnp.array([size]), rule.init(jnp.zeros(1)), jnp.zeros(1)
            )
            steps.append(float(made[0]))
        assert_allclose(steps, [-1e-3, -1e-4 * size / 0.99**0.5], rtol=1e-3)


def test_rmsprop_falls_in_steps():
    """AMAN: a fifth after every 30 epochs."""
    config, horizon = RmspropConfig(1e-3, every=30), Horizon(50, 7)
    rates = [float(config.rate(step, horizon)) for step in (0, 30 * 7 - 1, 30 * 7)]
    assert_allclose(rates, [1e-3, 1e-3, 2e-4], rtol=1e-6)
    assert_allclose(config.rate(60 * 7, horizon), 4e-5, rtol=1e-6)
    short = RmspropConfig(0.05, every=1)
    expected = torch_path("RMSprop", rates=[0.05] * 4 + [0.01] * 4 + [0.002] * 2)
    found = path_of(short, horizon=Horizon(3, 4))
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_falls_in_steps(momentum):
    """DeepLab: a tenth after every 2,000 updates; the momentum stays."""
    rates = [0.05] * 4 + [0.005] * 4 + [0.0005] * 2
    expected = torch_path("SGD", rates=rates, lr=0.05, momentum=momentum)
    config = SgdConfig(0.05, momentum, every=1, factor=0.1)
    found = path_of(config, horizon=Horizon(3, 4))
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_rmsprop_clips_entries_of_the_gradient():
    def updates(config, gradient):
        transform = config.transform()
        return transform.update(gradient, transform.init(START), START)[0]

    gradient = CURVATURE * (START - CENTRE)
    assert (np.abs(gradient) > 0.4).sum() not in (0, len(gradient))
    clipped = updates(RmspropConfig(epsilon=1, clip=0.4), gradient)
    expected = updates(RmspropConfig(epsilon=1), np.clip(gradient, -0.4, 0.4))
    assert_allclose(clipped, expected, rtol=1e-6)
    assert not np.allclose(clipped, updates(RmspropConfig(epsilon=1), gradient))


def test_the_untuned_warm_up_is_that_of_its_paper():
    """Ma & Yarats 2021: 2 / (1 - beta2) = 2,000 updates."""
    config, at = UntunedWarmupConfig(lr=0.1), (1, 1000, 2000, 5000)
    assert_allclose([config.factor(t) for t in at], [0.0005, 0.5, 1, 1], rtol=1e-4)
    smooth = UntunedWarmupConfig(lr=0.1, warmup="exponential")
    expected = 1 - np.exp(-1e-3 * np.array(at))
    assert_allclose([smooth.factor(t) for t in at], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("updates", "peak"), [(1000, 0.0131), (900, 0.0118), (500, 0.0066)]
)
def test_meranets_learning_rate_never_leaves_the_warm_up(updates, peak):
    rates = UntunedWarmupConfig(lr=0.1).rate(
        np.arange(updates), Horizon(100, updates // 100)
    )
    assert_allclose(rates.max(), peak, atol=5e-5)
    assert 0.40 < rates.argmax() / updates < 0.44
    assert rates[-1] < 1e-5


def test_untuned_warm_up_is_adam_at_its_learning_rate():
    config, horizon = UntunedWarmupConfig(lr=5.0, weight_decay=0.1), Horizon(5, 2)
    rates = [config.rate(step, horizon) for step in range(10)]
    expected = torch_path("Adam", rates=rates, weight_decay=0.1)
    found = path_of(config, horizon=horizon)
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_radam_matches_torch():
    config = UntunedWarmupConfig(lr=0.1, warmup="radam")
    found = path_of(config, steps=20)  # rectified from the sixth update on
    expected = torch_path("RAdam", steps=20, lr=0.1)
    # The rectification is a small difference of large numbers, in float32.
    assert_allclose(found, expected, rtol=1e-3, atol=5e-4)


def test_adamw_matches_torch_and_spares_parameters_of_one_dimension():
    options = {"lr": 0.1, "weight_decay": 0.3}
    config, horizon = AdamWConfig(**options, warmup_epochs=2), Horizon(5, 2)
    rates = [config.rate(step, horizon) for step in range(10)]
    for start, decay in ((START, 0.0), (START[None], 0.3)):
        options["weight_decay"] = decay
        expected = torch_path("AdamW", rates=rates, start=start, **options)
        found = path_of(config, start=start, horizon=horizon)
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_adamw_warms_up_and_falls_along_a_cosine():
    config = AdamWConfig(final_lr=1.25e-7)
    horizon = Horizon(150, 21)
    rates = config.rate(np.arange(150 * 21), horizon)
    assert_allclose(rates[0], 1e-6, rtol=1e-5)
    assert_allclose(rates[5 * 21 - 1], 5e-5, rtol=1e-5)  # the end of the fifth epoch
    assert_allclose(np.diff(rates[: 5 * 21]), 49e-6 / (5 * 21 - 1), rtol=1e-2)
    middle = 5 * 21 + 145 * 21 // 2
    assert_allclose(rates[middle], (5e-5 + 1.25e-7) / 2, rtol=1e-3)
    assert_allclose(rates[-1], 1.25e-7, rtol=1e-2)


def test_learning_rates_decay_with_the_layers_above():
    params = {"low": jnp.ones((2, 2)), "high": jnp.ones((2, 2))}
    config = AdamWConfig(1.0, weight_decay=0.5, warmup_epochs=0, layer_decay=0.9)
    depth = {("low",): 3, ("high",): 0}
    transform = config.transform(Horizon(1, 10), depth.__getitem__)
    state = transform.init(params)
    updates, _ = transform.update(params, state, params)
    # The sign of the gradient, and half the parameter.
    assert_allclose(updates["high"], -1.5, rtol=1e-5)
    assert_allclose(updates["low"], -1.5 * 0.9**3, rtol=1e-5)


def decayed(weight_decay, only_matrices=False):
    """The formula of weight decay, in its own words."""

    def add(update, param):
        decays = param.ndim > 1 or not only_matrices
        return update + weight_decay * param if decays else update

    return optax.stateless(lambda updates, params: jax.tree.map(add, updates, params))


def wide_tree(seed):
    """Parameters as a network has them: matrices, vectors, and one that is neither."""
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (5, 7, 3), "bias": (7,), "scale": ()}
    values = {
        name: jnp.float32(rng.normal(size=shape)) for name, shape in shapes.items()
    }
    return nnx.State({"layer": {name: nnx.Param(v) for name, v in values.items()}})


@pytest.mark.parametrize(
    "decay", [0.0, 0.3, jnp.float32(0.3)], ids=["0", "0.3", "varied"]
)
@pytest.mark.parametrize("kind", [SgdConfig, AdamConfig, AdamWConfig, RmspropConfig])
def test_weight_decay_is_its_formula_bit_by_bit(kind, decay, monkeypatch):
    def updates():
        config = kind(lr=0.1)
        object.__setattr__(config, "weight_decay", decay)  # as variants do
        rule, params = config.transform(Horizon(5, 2)), wide_tree(0)
        state, path = rule.init(params), []
        for step in range(1, 4):
            made, state = rule.update(wide_tree(step), state, params)
            path.append(made)
        return jax.tree.leaves(path)

    found = updates()
    monkeypatch.setattr(
        optax, "add_decayed_weights", lambda value, mask=None: decayed(value, mask)
    )
    for a, b in zip(found, updates(), strict=True):
        assert_array_equal(a, b)


def test_checkpoints_name_the_state_of_an_optimiser_as_ever():
    """Unfinished runs hold it by these names."""
    params = wide_tree(0)
    leaves = [f"layer.{name}" for name in ("bias", "kernel", "scale")]
    moments = ["count", *(f"mu.{x}" for x in leaves), *(f"nu.{x}" for x in leaves)]
    names = {
        SgdConfig(momentum=0.9): [*(f"1.trace.{x}" for x in leaves), "2.count"],
        AdamConfig(weight_decay=0.1): [f"1.{x}" for x in moments],
        AdamWConfig(): [*(f"0.{x}" for x in moments), "3.count"],
        RmspropConfig(weight_decay=0.1): [*(f"2.nu.{x}" for x in leaves), "3.count"],
    }
    for config, expected in names.items():
        state = config.transform(Horizon(5, 2)).init(params)
        assert sorted(flatten(state)) == sorted(expected)
    rule = trained_alone(AdamWConfig().transform(), lambda path: path[-1] == "bias")
    prefix = "inner_states.trained.inner_state"
    kept = [f"{prefix}.{x}" for x in names[AdamWConfig()] if "bias" not in x]
    assert sorted(flatten(rule.init(params))) == sorted(kept)


NAN = float("nan")
BAD = [
    *(
        (kind, "lr", value)
        for kind in (AdamConfig, SgdConfig)
        for value in (0, -1, NAN)
    ),
    *(
        (kind, "weight_decay", value)
        for kind in (AdamConfig, SgdConfig)
        for value in (-1e-3, NAN)
    ),
    *((AdamConfig, beta, v) for beta in ("beta1", "beta2") for v in (-0.1, 1, NAN)),
    *((AdamConfig, "epsilon", value) for value in (-1e-8, NAN)),
    *((SgdConfig, "momentum", value) for value in (-0.1, 1, NAN)),
    *((AdamWConfig, "layer_decay", value) for value in (0, 1.1, NAN)),
    *((AdamWConfig, field, -1) for field in ("warmup_epochs", "warmup_lr", "final_lr")),
    *((RmspropConfig, "smoothing", value) for value in (-0.1, 1, NAN)),
    *((RmspropConfig, "clip", value) for value in (-1, NAN)),
    *((kind, "every", -1) for kind in (SgdConfig, RmspropConfig)),
    *(
        (kind, "factor", v)
        for kind in (SgdConfig, RmspropConfig)
        for v in (0, 1.1, NAN)
    ),
]


@pytest.mark.parametrize(("kind", "field", "value"), BAD)
def test_bad_fields_are_refused_by_the_name_of_the_option(kind, field, value):
    option = f"optim.{field.replace('_', '-')}={value}"
    with pytest.raises(UsageError, match=option):
        kind(**{field: value})

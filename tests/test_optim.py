"""Optimisers against PyTorch's, whose defaults and names of fields they keep."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from jmer.errors import UsageError
from jmer.optim import AdamConfig, SgdConfig

START = np.float32([3, -2, 0.5, 7, 1e-3])
CURVATURE = np.float32([1, 0.1, 5, 0.01, 2])
CENTRE = np.float32([0, 1, -1, 2, 0])


def path_of(config, steps=10):
    """Parameters after each step on sum(CURVATURE * (x - CENTRE)^2) / 2."""
    transform = config.transform()
    x = jnp.asarray(START)
    state = transform.init(x)
    path = []
    for _ in range(steps):
        updates, state = transform.update(CURVATURE * (x - CENTRE), state, x)
        x = optax.apply_updates(x, updates)
        path.append(x)
    return np.stack(path)


def torch_path(optimiser, steps=10, **options):
    torch = pytest.importorskip("torch")
    x = torch.tensor(START, requires_grad=True)
    optimiser = getattr(torch.optim, optimiser)([x], **options)
    path = []
    for _ in range(steps):
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
]


@pytest.mark.parametrize(("kind", "field", "value"), BAD)
def test_bad_fields_are_refused_by_the_name_of_the_option(kind, field, value):
    option = f"optim.{field.replace('_', '-')}={value}"
    with pytest.raises(UsageError, match=option):
        kind(**{field: value})

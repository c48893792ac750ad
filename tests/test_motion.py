"""Scenes that are made up: motion is what it is said to be, to a part of a pixel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys
from jmer.errors import UsageError
from jmer.pretrain.outline import Outline
from jmer.pretrain.scenes import (
    ALL,
    BACKGROUND,
    BLURRED,
    KINDS,
    STILL,
    STILL_BACKGROUND,
    Motions,
    photographed,
    random_sample,
    random_scene,
)
from jmer.pretrain.texture import NUMBERS, TERMS, random_texture

SIZE = 20
MOTIONS = Motions(size=SIZE, objects=3, factor=8, motion=2, magnified=6, noise=0)
KEYS = jax.random.split(keys.seed_key(3), 64)

scene_of = jax.jit(functools.partial(random_scene, MOTIONS))
samples_of = jax.jit(jax.vmap(functools.partial(random_sample, MOTIONS)))


@jax.jit
def drawn(scene, factor, tints=0.0):
    return scene.image(SIZE, factor, tints)


@pytest.fixture(scope="module")
def samples():
    return jax.device_get(samples_of(KEYS))


def analytic(texture, x, y):
    """Colours [n, c] of a texture at places [n], term by term, in float64."""
    t = jax.tree.map(lambda a: np.asarray(a, np.float64), texture)
    value = np.tile(t.plain, (len(x), 1))
    for k in range(TERMS):
        wave = np.cos(t.wave[k, 0] * x + t.wave[k, 1] * y + t.phase[k])
        away = ((x - t.spot[k, 0]) / t.extent[k, 0]) ** 2
        away += ((y - t.spot[k, 1]) / t.extent[k, 1]) ** 2
        value += np.outer(wave, t.wave_colour[k])
        value += np.outer(np.exp(-away / 2), t.spot_colour[k])
    return value


def grid(offset):
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    return x.ravel() - float(offset[0]), y.ravel() - float(offset[1])


def numbers(seed):
    return jax.random.uniform(jax.random.key(seed), (NUMBERS,))


def test_a_texture_is_the_sum_of_its_terms_at_any_place():
    texture = random_texture(numbers(0), SIZE)
    made = texture.image(SIZE, jnp.array([0.37, -1.62]))
    expected = analytic(texture, *grid((0.37, -1.62))).reshape(SIZE, SIZE, 3)
    assert_allclose(made, expected, atol=2e-2)
    assert expected.std() > 10


def test_blur_is_the_mean_of_shifts():
    """A Gaussian one: by quadrature over offsets, far from any border."""
    texture = random_texture(numbers(1), SIZE)
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    weights = weights / weights.sum()
    expected = sum(
        a * b * analytic(texture, *grid((1.5 * u, 1.5 * v)))
        for u, a in zip(nodes, weights, strict=True)
        for v, b in zip(nodes, weights, strict=True)
    )
    made = texture.blurred(1.5).image(SIZE, jnp.zeros(2))
    assert_allclose(made.reshape(-1, 3), expected, atol=0.05)
    assert np.ptp(made) < np.ptp(texture.image(SIZE, jnp.zeros(2)))


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.7])
def test_a_background_moves_by_exactly_its_motion_times_the_factor(factor):
    scene = scene_of(KEYS[0], 1.5, BACKGROUND)
    motion = np.asarray(scene.background_motion, float)
    assert 0.05 < np.hypot(*motion) <= 1.5
    expected = analytic(scene.background, *grid(factor * motion))
    expected = np.clip(expected, 0, 255).reshape(SIZE, SIZE, 3)
    assert_allclose(drawn(scene, factor), expected, atol=2e-2)


def test_figures_carry_their_textures_along():
    """Well inside a large figure, what is seen is its texture, moved."""
    scene = scene_of(KEYS[1], 1.5, ALL)
    large = scene.figures._replace(
        outline=Outline(
            centre=jnp.full((3, 2), SIZE / 2),
            radius=jnp.array([3.0, 4.0, 7.0]),
            waves=jnp.zeros((3, 4, 2)),
        ),
        shown=jnp.ones(3),
    )
    scene = scene._replace(figures=large)
    offset = 1.3 * np.asarray(scene.motions[2], float)
    texture = jax.tree.map(lambda x: x[2], large.texture)
    x, y = grid(offset)
    away = np.hypot(x - SIZE / 2, y - SIZE / 2)
    made = np.asarray(drawn(scene, 1.3)).reshape(-1, 3)
    inside, outside = away < 4.5, away > 9.5
    assert inside.sum() > 40 and outside.sum() > 40
    expected = np.clip(analytic(texture, x, y), 0, 255)
    assert_allclose(made[inside], expected[inside], atol=0.1)
    back = grid(1.3 * np.asarray(scene.background_motion, float))
    behind = np.clip(analytic(scene.background, *back), 0, 255)
    assert_allclose(made[outside], behind[outside], atol=0.1)


def test_an_edge_covers_pixels_by_their_distance():
    """Across the edge of a disc, cover goes from 1 to 0 as the normal distribution."""
    scene = scene_of(KEYS[1], 1.5, STILL)
    plain = jax.tree.map(jnp.zeros_like, scene.figures.texture)
    plain = plain._replace(
        extent=jnp.ones((3, TERMS, 2)), plain=jnp.full((3, 3), 200.0)
    )
    ground = jax.tree.map(lambda x: x[0], plain)._replace(plain=jnp.zeros(3))
    disc = scene.figures._replace(
        texture=plain,
        outline=Outline(
            centre=jnp.full((3, 2), 9.3),
            radius=jnp.full(3, 5.0),
            waves=jnp.zeros((3, 4, 2)),
        ),
        shown=jnp.array([0.0, 1.0, 0.0]),
    )
    made = drawn(scene._replace(background=ground, figures=disc), 1.0)
    x, y = grid((9.3, 9.3))
    away = np.hypot(x, y)
    total = np.asarray(made)[..., 0].sum() / 200
    assert_allclose(total, np.pi * (25 + 0.36), rtol=0.01)  # area under a Gaussian blur
    shares = np.asarray(made)[..., 0].ravel() / 200
    order = np.argsort(away)
    assert (np.diff(shares[order]) <= 1e-6).all()
    assert shares[away < 3].min() > 0.99 and shares[away > 7].max() < 0.01


def test_kinds_move_what_they_say():
    moving = {}
    for kind in range(KINDS):
        scene = scene_of(KEYS[2], 1.5, kind)
        moving[kind] = (
            bool(jnp.abs(scene.background_motion).max() > 0),
            bool(jnp.abs(scene.motions).max() > 0),
            bool(scene.figures.shown.max() > 0),
        )
    assert moving == {
        ALL: (True, True, True),
        BLURRED: (True, True, True),
        BACKGROUND: (True, True, False),
        STILL: (False, False, True),
        STILL_BACKGROUND: (False, True, True),
    }
    sharp, soft = (scene_of(KEYS[2], 1.5, kind).background for kind in (ALL, BLURRED))
    assert (soft.extent > sharp.extent).all()


def test_a_still_scene_stays(samples):
    scene = scene_of(KEYS[3], 1.5, STILL)
    first, later, magnified = (drawn(scene, f) for f in (0.0, 1.0, 7.0))
    assert_array_equal(first, later)
    assert_array_equal(first, magnified)


def test_samples_keep_their_limits(samples):
    """Of motion, before and after magnification, of factor, pixels and whole levels."""
    assert samples.onset.shape == (64, SIZE, SIZE, 3)
    for image in samples[:4]:
        assert 0 <= image.min() < 30 and 225 < image.max() <= 255
    for image in samples[:3]:
        assert_array_equal(image, np.rint(image))
    assert 1 <= samples.factor.min() < 1.5 and 6 < samples.factor.max() <= 8
    for longest in (0.01, 2.0):
        scene = scene_of(KEYS[4], longest, ALL)
        moves = np.vstack([scene.background_motion, scene.motions])
        lengths = np.hypot(*moves.T)
        assert (lengths <= longest * (1 + 1e-6)).all() and lengths.max() > longest / 4


def test_the_perturbation_is_constant_on_the_background_and_shared_by_the_target():
    """Frame and clean frame differ by a colour; so does the target from its own."""
    scene = scene_of(KEYS[5], 1.5, BACKGROUND)
    middle = scene.background._replace(plain=jnp.full(3, 127.0))
    soft = middle._replace(
        wave_colour=middle.wave_colour / 9, spot_colour=middle.spot_colour / 9
    )
    scene = scene._replace(background=soft)
    tints = jnp.zeros((4, 3)).at[0].set(jnp.array([5.0, -7.0, 11.0]))
    for factor in (1.0, 3.0):
        difference = drawn(scene, factor, tints) - drawn(scene, factor)
        assert_allclose(difference - tints[0], 0, atol=1e-3)


def test_samples_are_the_same_alone_and_in_a_batch(samples):
    alone = jax.jit(functools.partial(random_sample, MOTIONS))
    for i in (0, 17):
        for a, b in zip(alone(KEYS[i]), samples, strict=True):
            # Rounding may tip a level over.
            assert (np.abs(np.asarray(a) - b[i]) > 1e-3).mean() < 1e-3
    again = jax.device_get(samples_of(KEYS))
    jax.tree.map(assert_array_equal, again, samples)
    other = samples_of(jax.random.split(keys.seed_key(4), 64))
    assert not np.array_equal(other.onset, samples.onset)


def test_whole_levels_keep_their_mean():
    image = jnp.full((50, 50, 3), 102.3)
    made = np.asarray(photographed(image, 0.0, keys.seed_key(0)))
    assert set(np.unique(made)) == {102.0, 103.0}
    assert_allclose(made.mean(), 102.3, atol=0.02)


def test_noise_grows_with_light():
    spread = [
        float(photographed(jnp.full((60, 60, 3), level), 3.0, keys.seed_key(0)).std())
        for level in (31.875, 127.5)
    ]
    rounded = 1 / 6  # variance of a level drawn between its neighbours, on average
    assert_allclose(np.square(spread), np.array([2.25, 9.0]) + rounded, rtol=0.06)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 18}, "size=18 must be a multiple of 4"),
        ({"size": 4}, "size=4 must be a multiple of 4, 8 or more"),
        ({"factor": 0.5}, "factor=0.5 must be finite and at least 1"),
        ({"motion": float("nan")}, "motion=nan must be finite"),
        ({"objects": 0}, "objects=0 must be finite and at least 1"),
        ({"noise": -1.0}, "noise=-1.0 must be finite"),
    ],
)
def test_wrong_limits_are_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        Motions(**fields)

"""Measuring magnifiers: exact ones are found exact, and wrong ones wrong by as much."""

import functools

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

from jmer import keys
from jmer.pretrain.measure import SHORTEST, measure, registered, shifted_scene
from jmer.pretrain.texture import NUMBERS, random_texture

SIZE, MARGIN = 48, 9
TEXTURE = jax.jit(
    lambda key: random_texture(
        jax.random.uniform(key, (NUMBERS,)), SIZE, shortest=SHORTEST
    )
)(keys.seed_key(0))
find = jax.jit(functools.partial(registered, margin=MARGIN))
drawn = jax.jit(lambda offset: jnp.clip(TEXTURE.image(SIZE, offset), 0, 255))


@pytest.mark.parametrize("offset", [(0.03, -0.02), (0.4, 0.9), (-4.6, 2.7)], ids=str)
def test_an_offset_is_found_in_whole_grey_levels(offset):
    image = jnp.rint(drawn(jnp.array(offset)))
    assert_allclose(find(TEXTURE, image, jnp.array(offset)), offset, atol=2e-3)
    # What is expected only tells where to begin.
    hint = 0.8 * jnp.array(offset) + 0.1
    assert_allclose(find(TEXTURE, image, hint), offset, atol=2e-3)


def test_contrast_and_brightness_do_not_matter():
    image = 0.5 * drawn(jnp.array([1.3, 0.4])) + jnp.array([20.0, 60.0, -5.0])
    found = find(TEXTURE, image, jnp.array([1.0, 0.0]))
    assert_allclose(found, [1.3, 0.4], atol=2e-3)


def test_an_image_that_stayed_is_found_where_it_was():
    image = drawn(jnp.zeros(2))
    assert_allclose(find(TEXTURE, image, jnp.array([0.0, 5.0])), 0, atol=2e-3)


def test_noise_leaves_some_hundredths_of_a_pixel():
    """As little as least squares can: noise over slope, over the root of the number."""
    noise = 2 * jax.random.normal(keys.seed_key(1), (SIZE, SIZE, 3))
    image = drawn(jnp.array([0.9, -0.2])) + noise
    found = find(TEXTURE, image, jnp.array([1.0, 0.0]))
    inner = drawn(jnp.zeros(2))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    slope = jnp.sqrt(jnp.square(jnp.diff(inner, axis=1)).sum())
    assert 2 / slope < 0.02
    assert_allclose(found, [0.9, -0.2], atol=5 * 2 / slope)


SCENES, MEASURED, MOVED, TIMES = 2, 44, (0.2, 0.5), (2.0, 6.0)


def magnifier(share, aside=0.0):
    """One that knows the scenes, and adds `share` of the motion that it should; and
    `aside` of all motion at a right angle to it.
    """
    known = [shifted_scene(5, n, MEASURED) for n in range(SCENES)]
    textures, ways = jax.tree.map(lambda *x: jnp.stack(x), *known)
    lengths = jnp.array(MOVED)

    def image(texture, offset):
        return jnp.clip(texture.image(MEASURED, offset), 0, 255)

    firsts = jax.vmap(image, (0, None))(textures, jnp.zeros(2))

    def magnify(onset, frames, factors):
        which = jnp.abs(firsts - onset).sum((1, 2, 3)).argmin()
        texture, way = jax.tree.map(lambda x: x[which], (textures, ways))
        across = jnp.stack([-way[1], way[0]])
        times = lengths[:, None] * (1 + share * (factors - 1))
        sideways = aside * lengths[:, None] * factors
        offsets = times[..., None] * way + sideways[..., None] * across
        return jax.vmap(jax.vmap(lambda o: image(texture, o)))(offsets)[None]

    return magnify


@pytest.mark.parametrize(
    ("share", "aside", "found", "error"),
    [
        (1.0, 0.0, [2, 6], [0, 0]),
        (0.5, 0.0, [1.5, 3.5], [0.25, 2.5 / 6]),
        (0.0, 0.0, [1, 1], [0.5, 5 / 6]),
        (1.0, 0.1, [2, 6], [0.1, 0.1]),
    ],
)
def test_what_a_magnifier_does_is_what_is_measured(share, aside, found, error):
    result = measure(
        magnifier(share, aside),
        motions=MOVED,
        factors=TIMES,
        size=MEASURED,
        scenes=SCENES,
        seed=5,
    )
    assert result.found.shape == (2, 2, SCENES)
    for i in range(2):
        for n in range(SCENES):
            assert_allclose(result.found[i, :, n], found, rtol=0.01)
            assert_allclose(result.error[i, :, n], error, atol=0.01)
    rows = result.rows()
    assert [(r["motion"], r["factor"]) for r in rows] == [
        (pytest.approx(m), f) for m in MOVED for f in TIMES
    ]
    assert_allclose([r["error"] for r in rows], [*error, *error], atol=0.01)
    lines = result.table().splitlines()
    assert "x2" in lines[0] and "x6" in lines[0]
    assert lines[1].split()[:2] == ["0.20px", f"{100 * rows[0]['error']:.1f}%"]

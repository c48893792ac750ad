"""Convolutions in the shapes that a GPU's library is fast at."""

import functools

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from numeric import close, normal, pulled
from test_conv import check, geometries

from jmer.nn.lowering import by_task, cudnn
from jmer.train.multiplications import _parts

# x, kernel, strides, padding, dilation
STEMS = {
    "clips": ((2, 5, 9, 10, 3), (3, 7, 7, 3, 4), (1, 2, 2), ((1, 1), (3, 3), (3, 3))),
    "images": ((2, 13, 9, 2), (7, 7, 2, 4), (2, 2), ((3, 3), (3, 3))),
    "patches": ((2, 8, 12, 3), (4, 4, 3, 4), (4, 4), ((0, 0), (0, 0))),
    "more than the window": ((2, 11, 9, 1), (2, 1, 1, 4), (3, 2), ((0, 1), (2, 0))),
    "signals": ((2, 16, 3), (5, 3, 4), (3,), ((1, 4),)),
}
SHORT = {
    "clips": ((2, 2, 7, 6, 8), (3, 3, 3, 8, 4), (1, 1, 1), ((1, 1),) * 3),
    "images": ((2, 3, 3, 9), (3, 3, 9, 4), (1, 1), ((1, 1), (1, 1))),
    "uneven": ((2, 4, 9, 8), (2, 3, 8, 4), (1, 1), ((0, 0), (2, 0))),
}
CASES = {
    f"{kind} of {name}": (*case, (1,) * len(case[2]))
    for kind, cases in (("stem", STEMS), ("short axis", SHORT))
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_match_float64(name, monkeypatch):
    for worth in (0, cudnn.WORTH):
        monkeypatch.setattr(cudnn, "WORTH", worth)
        check(cudnn.convolve, CASES[name])


@settings(max_examples=10, deadline=None)
@given(geometries())
def test_convolutions_of_any_geometry_match_float64(drawn):
    check(cudnn.convolve, drawn[0])


@pytest.mark.parametrize("worth", [0, 1e9], ids=["task by task", "in groups"])
@pytest.mark.parametrize("own", [False, True], ids=["shared input", "own inputs"])
@pytest.mark.parametrize("name", ["stem of images", "short axis of clips"])
def test_of_several_tasks_each_has_its_own(name, own, worth, monkeypatch):
    monkeypatch.setattr(cudnn, "WORTH", worth)
    monkeypatch.setattr(by_task, "UNROLLED", 2)
    x, kernel, *geometry = CASES[name]
    tasks = 3
    x, kernel = normal(0, *((tasks,) if own else ()), *x), normal(1, tasks, *kernel)

    def one(x, kernel):
        return pulled(lambda *of: cudnn.convolve(*of, *geometry), x, kernel)

    found = jax.jit(jax.vmap(one, (0 if own else None, 0)))(x, kernel)
    for i in range(tasks):
        each = jax.tree.map(lambda a, i=i: a[i], found)
        close(each, one(x[i] if own else x, kernel[i]))


def convolutions(function, *arrays):
    """Shapes of both sides and the result of each convolution of a program, and its
    strides."""
    jaxpr = jax.make_jaxpr(function)(*arrays)
    found = []

    def look(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "conv_general_dilated":
                ends = (*equation.invars, *equation.outvars)
                shapes = [v.aval.shape for v in ends]
                found.append((*shapes, equation.params["window_strides"]))
            for inner in _parts(equation):
                look(inner)

    look(jaxpr.jaxpr)
    return found


def test_three_channels_of_a_stem_become_sixteen():
    x, kernel = jnp.zeros((8, 16, 112, 112, 3)), jnp.zeros((3, 7, 7, 3, 64))
    padding = ((1, 1), (3, 3), (3, 3))

    def stem(x, kernel):
        return cudnn.convolve(x, kernel, (1, 2, 2), padding, (1, 1, 1))

    ((seen, window, _, strides),) = convolutions(stem, x, kernel)
    assert seen == (8, 18, 59, 59, 16)
    assert window == (3, 4, 4, 16, 64)
    assert strides == (1, 1, 1)


@pytest.mark.parametrize(
    ("frames", "by_product"), [(2, True), (3, True), (4, False)], ids=str
)
def test_a_short_axis_has_its_kernels_gradient_by_a_product(frames, by_product):
    x, kernel = jnp.zeros((2, frames, 7, 7, 16)), jnp.zeros((3, 3, 3, 16, 8))

    def gradient(x, kernel):
        def loss(kernel):
            y = cudnn.convolve(x, kernel, (1,) * 3, ((1, 1),) * 3, (1,) * 3)
            return (y * y).sum()

        return jax.grad(loss)(kernel)

    made = [result for _, _, result, _ in convolutions(gradient, x, kernel)]
    assert (*x.shape[:-1], 8) in made
    assert (kernel.shape in made) != by_product


def test_patches_of_a_long_axis_beside_a_short_one_are_not_made():
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.bfloat16)
    kernel = (3, 3, 3, 64, 64)
    for side, few in ((28, True), (112, False)):
        out = shape((4, 2, side, side, 64))
        assert cudnn._is_short(out.shape, kernel) == few

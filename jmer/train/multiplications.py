"""The multiplications of a traced program, as the mathematics has them."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


class Multiplications(NamedTuple):
    """Those of one operation."""

    many: float
    channels: int | None
    """The fewer of a convolution's inputs and outputs; None of a product."""


def multiplications(jaxpr: Any, times: float = 1.0) -> Iterator[Multiplications]:
    """Those of each product and convolution of a traced program: a loop's as often as
    it turns, and of alternatives the dearest one's. Zeros around an image, and those
    between its values, are not counted."""
    for each in jaxpr.eqns:
        name = each.primitive.name
        if name == "conv_general_dilated":
            yield _of_convolution(each, times)
        elif name == "dot_general":
            (contracted, _), _ = each.params["dimension_numbers"]
            shape = each.invars[0].aval.shape
            length = math.prod(shape[axis] for axis in contracted)
            many = math.prod(each.outvars[0].aval.shape) * length
            yield Multiplications(many * times, None)
        turns = each.params["length"] if name == "scan" else 1
        inner = [list(multiplications(part, times * turns)) for part in _parts(each)]
        if name == "cond":
            inner = [max(inner, key=lambda part: sum(one.many for one in part))]
        for part in inner:
            yield from part


def _of_convolution(equation: Any, times: float) -> Multiplications:
    image, kernel = (each.aval.shape for each in equation.invars)
    made = equation.outvars[0].aval.shape
    params = equation.params
    numbers = params["dimension_numbers"]
    outputs, inputs, *taps = (kernel[axis] for axis in numbers.rhs_spec)
    many = times * made[numbers.out_spec[0]] * outputs * inputs
    for axis, (before, _) in enumerate(params["padding"]):
        inside = image[numbers.lhs_spec[2 + axis]]
        between = params["lhs_dilation"][axis]
        first = np.arange(made[numbers.out_spec[2 + axis]])[:, None]
        tap = np.arange(taps[axis])
        place = first * params["window_strides"][axis] - before
        place = place + tap * params["rhs_dilation"][axis]
        real = (place >= 0) & (place <= (inside - 1) * between)
        many *= int((real & (place % between == 0)).sum())
    return Multiplications(many, min(inputs, outputs))


def _parts(equation: Any) -> Iterator[Any]:
    """The programs within an operation."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part

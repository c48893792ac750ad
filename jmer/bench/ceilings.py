"""What this device can do at best, measured: a large product and a large copy."""

import dataclasses
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

REPEATS = 7


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """Rates of one device; on a CPU, of all its cores."""

    flops: float  # a second, of a float32 matrix product
    flops_bfloat16: float
    bytes: float  # a second, read and written by a copy


def measure_ceilings() -> Ceilings:
    """Takes a few seconds, and memory of about a gigabyte (a tenth on a CPU)."""
    on_cpu = jax.default_backend() == "cpu"
    side, values = (2048, 2**25) if on_cpu else (8192, 2**27)

    def product(dtype: DTypeLike) -> float:
        a = jnp.full((side, side), 1 / side, dtype)
        return 2 * side**3 / _seconds(jax.jit(jnp.dot), a, a)

    # In place: fresh pages would be measured otherwise.
    copy = jax.jit(lambda x: x + 1, donate_argnums=0)
    return Ceilings(
        flops=product(jnp.float32),
        flops_bfloat16=product(jnp.bfloat16),
        bytes=2 * 4 * values / _seconds(copy, jnp.ones(values, jnp.float32)),
    )


def _seconds(
    function: Callable[..., jax.Array], x: jax.Array, *rest: jax.Array
) -> float:
    """The median time of `function(x, *rest)`, whose result is the next `x`."""
    times = []
    for _ in range(REPEATS + 1):  # the first compiles
        start = time.monotonic()
        x = jax.block_until_ready(function(x, *rest))
        times.append(time.monotonic() - start)
    return statistics.median(times[1:])

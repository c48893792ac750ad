"""How alike the features of two frames are, over all small displacements."""

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float, typed

REACH = 20  # largest displacement, in pixels of the features
STEP = 2  # between neighbouring displacements
CHANNELS = (2 * (REACH // STEP) + 1) ** 2


@typed
def correlation(
    first: Float[Array, "b h w c"], second: Float[Array, "b h w c"]
) -> Float[Array, "b h w d"]:
    """Mean over channels of `first` at a pixel times `second` at a displaced one.

    Fischer et al. 2015, eq. 1, with patches of one pixel and displacements of -20 to 20
    in steps of 2 along both axes, rows before columns: 441 of them. Beyond its border
    `second` is 0. They divide by nothing; the published weights expect the mean.
    """
    h, w = first.shape[1:3]
    border = (REACH, REACH)
    second = jnp.pad(second, ((0, 0), border, border, (0, 0)))
    offsets = range(0, 2 * REACH + 1, STEP)

    def displaced(down):
        rows = lax.dynamic_slice_in_dim(second, down, h, axis=1)
        columns = [(first * rows[:, :, k : k + w]).mean(-1) for k in offsets]
        return jnp.stack(columns, axis=-1)

    # A loop over rows: all 441 products at once would take minutes to compile.
    maps = lax.map(displaced, jnp.arange(0, 2 * REACH + 1, STEP))
    return jnp.moveaxis(maps, 0, 3).reshape(*first.shape[:3], CHANNELS)

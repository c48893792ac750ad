"""How alike the features of two frames are, over all small displacements."""

import jax.numpy as jnp

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
    `second` is 0. The paper has the sum; the published weights expect the mean.
    """
    b, h, w, c = first.shape
    border = (REACH, REACH)
    second = jnp.pad(second, ((0, 0), border, border, (0, 0)))
    long = w + 2 * REACH

    def displaced(down: int) -> Array:
        # Of all pixels of a row with all of the other: most are of no use, but on a
        # CPU one matrix product takes a tenth of the time of 21 sums.
        rows = second[:, down : down + h]
        products = jnp.einsum("bhwc,bhvc->bhwv", first, rows) / c
        # What lies k to the right of pixel i is entry i * (long + 1) + k of the matrix.
        flat = jnp.pad(products.reshape(b, h, -1), ((0, 0), (0, 0), (0, w)))
        return flat.reshape(b, h, w, long + 1)[..., : 2 * REACH + 1 : STEP]

    maps = [displaced(down) for down in range(0, 2 * REACH + 1, STEP)]
    return jnp.concatenate(maps, axis=-1)

"""FlowNet 2.0, the whole stack. Ilg et al. 2017, figure 2."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jmer.arrays import Array, Float, typed
from jmer.preprocess.flownet2.parts import FlowNetC, FlowNetFusion, FlowNetS, FlowNetSD

WIDTH = 64
MULTIPLE = 64  # of which the sides of frames must be multiples
SCALE = 20.0  # pixels for a flow of 1 of C and of S; its inverse for SD
BRIGHTEST = 255.0


class FlowNet2(nnx.Module):
    """Motion between two RGB frames of values 0 to 255, in pixels (right, down).

    C estimates the flow, and two networks S correct it, each shown the frames, the
    second one moved back by the flow so far, that flow, and how much colours still
    differ. SD estimates it anew for small displacements, and a last network fuses the
    two. As in the published PyTorch code, the mean colour of the two frames goes first;
    enlarging by 4 is linear where a network S follows, and repeats pixels elsewhere.

    Raises: ValueError unless sides are multiples of 64.
    """

    def __init__(self, *, width: int = WIDTH, rngs: nnx.Rngs):
        self.flownetc = FlowNetC(width=width, rngs=rngs)
        self.flownets_1 = FlowNetS(width=width, rngs=rngs)
        self.flownets_2 = FlowNetS(width=width, rngs=rngs)
        self.flownets_d = FlowNetSD(width=width, rngs=rngs)
        self.flownetfusion = FlowNetFusion(width=width, rngs=rngs)

    @typed
    def __call__(
        self, first: Float[Array, "b h w 3"], second: Float[Array, "b h w 3"]
    ) -> Float[Array, "b h w 2"]:
        if any(side % MULTIPLE for side in first.shape[1:3]):
            raise ValueError(f"sides of {first.shape} must be multiples of {MULTIPLE}")
        mean = jnp.concatenate([first, second], axis=1).mean((1, 2), keepdims=True)
        first, second = ((frame - mean) / BRIGHTEST for frame in (first, second))

        def explained(flow: Array) -> tuple[Array, Array]:
            """The second frame moved back by `flow`, and what that leaves over."""
            moved = moved_back(second, flow)
            return moved, norm(first - moved)

        def stacked(flow: Array) -> Array:
            moved, error = explained(flow)
            seen = [first, second, moved, flow / SCALE, error]
            return jnp.concatenate(seen, axis=-1)

        flow = quadrupled(SCALE * self.flownetc(first, second))
        flow = quadrupled(SCALE * self.flownets_1(stacked(flow)))
        large = repeated(SCALE * self.flownets_2(stacked(flow)))
        both = jnp.concatenate([first, second], axis=-1)
        small = repeated(self.flownets_d(both) / SCALE)
        errors = [explained(flow)[1] for flow in (small, large)]
        seen = [first, small, large, norm(small), norm(large), *errors]
        return self.flownetfusion(jnp.concatenate(seen, axis=-1))


def norm(x: Array) -> Array:
    """Length of each pixel's vector, [b, h, w, 1]."""
    return jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))


def quadrupled(x: Array) -> Array:
    """Four times the size, linear between centres of pixels."""
    b, h, w, c = x.shape
    shape = (b, 4 * h, 4 * w, c)
    return jax.image.resize(x, shape, "linear", precision=lax.Precision.HIGHEST)


def repeated(x: Array) -> Array:
    """Four times the size, every pixel 4 x 4 times."""
    return x.repeat(4, axis=1).repeat(4, axis=2)


@typed
def moved_back(
    image: Float[Array, "b h w c"], flow: Float[Array, "b h w 2"]
) -> Float[Array, "b h w c"]:
    """`image` at the place that `flow` (right, down) points to from each pixel.

    Linear between the four pixels around it, each of them brought back inside.
    """
    b, h, w, c = image.shape
    x = jnp.arange(w) + flow[..., 0]
    y = jnp.arange(h)[:, None] + flow[..., 1]
    left, top = jnp.floor(x), jnp.floor(y)
    pixels = image.reshape(b, h * w, c)

    def at(row: Array, column: Array) -> Array:
        rows = jnp.clip(row, 0, h - 1).astype(jnp.int32)
        columns = jnp.clip(column, 0, w - 1).astype(jnp.int32)
        place = (rows * w + columns).reshape(b, h * w, 1)
        return jnp.take_along_axis(pixels, place, axis=1).reshape(image.shape)

    right, down = (x - left)[..., None], (y - top)[..., None]
    upper = (1 - right) * at(top, left) + right * at(top, left + 1)
    lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    return (1 - down) * upper + down * lower

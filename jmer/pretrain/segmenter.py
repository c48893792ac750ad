"""The network of motion of visual memory, trained on flow that is made up.

In place of FlyingThings3D, which Tokmakov et al. 2017 train on: figures that move
before a background that moves otherwise.
"""

import dataclasses
import math
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, PRNGKeyArray
from jmer.errors import FieldCheck
from jmer.losses import share_cross_entropy
from jmer.nn.lowering.choice import use_lowering
from jmer.optim import SgdConfig
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.outline import MARKS, Outline, random_outline
from jmer.pretrain.texture import NUMBERS, random_texture

QUARTER = 4  # pixels of a field along each side of one of the mask
SLIGHTEST = 0.25  # of the longest motion: what a figure moves against its background
TURN = 0.02  # pixels of motion that the background gains a pixel, at most
GREY = 127.5  # a texture's mean and about its range, for noise of -1 to 1


class FlowFields(NamedTuple):
    """Flow [b, h, w, 2] in pixels, and the share [b, i, j, 1] of figures, 0 to 1."""

    flow: Array
    mask: Array


@dataclasses.dataclass(frozen=True)
class MotionRecipe(PretrainRecipe):
    """Motion segmentation (Tokmakov et al. 2017), as the temporal net of
    `visual_memory` uses it: start that with `--pretrained FILE`.
    """

    name: ClassVar[str] = "motion"
    steps: ClassVar[int] = 10_000

    optim: SgdConfig = dataclasses.field(
        default_factory=lambda: SgdConfig(lr=0.003, momentum=0.9, weight_decay=0.005)
    )
    batch_size: int = 13
    """Fields of a step."""
    size: int = 64
    """Height and width of a field, in pixels; a multiple of 16."""
    width: int = 64
    """Channels of the first layer; all others are multiples of it."""
    flow_channels: Literal["polar", "uv"] = "polar"
    """What the network sees, as in `visual_memory`."""
    objects: int = 5
    """Most figures of a field; the fewest are none."""
    motion: float = 3.0
    """Longest motion of the background, and of figures beside it, in pixels."""
    noise: float = 0.2
    """Largest error of the flow, as a share of `motion`; its waves are as long as those
    of textures are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check = FieldCheck(self)
        check.at_least(1, "batch_size", "width", "objects")
        check.multiple(16, "size")
        check.must("motion", 0 < self.motion < math.inf, "be finite and positive")
        check.finite("noise")

    def build(self, dtype: DTypeLike, rngs: nnx.Rngs) -> nn.MPNet:
        return nn.MPNet(self.width, dtype=dtype, rngs=rngs)

    def batch(self, key: PRNGKeyArray) -> FlowFields:
        return jax.vmap(self._field)(jax.random.split(key, self.batch_size))

    def _field(self, key: PRNGKeyArray) -> FlowFields:
        size, most = self.size, self.objects
        moves = jax.random.uniform(keys.named(key, "moves"), (most + 1, 2))
        turns = jax.random.uniform(keys.named(key, "turns"), (2, 2), minval=-1)
        marks = jax.random.uniform(keys.named(key, "outlines"), (most, MARKS))
        count, strength = jax.random.uniform(keys.named(key, "field"), (2,))
        length = moves[:, 0].at[1:].set(SLIGHTEST + (1 - SLIGHTEST) * moves[1:, 0])
        angle = 2 * jnp.pi * moves[:, 1]
        ways = jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        moves = self.motion * length[:, None] * ways
        # A background turns, grows and shears by a little beside its motion.
        places = jnp.arange(size) - (size - 1) / 2
        grid = jnp.stack(jnp.meshgrid(places, places), -1)
        background = moves[0] + TURN * grid @ turns

        def paste(
            field: tuple[jax.Array, jax.Array],
            layer: tuple[Outline, jax.Array, jax.Array],
        ) -> tuple[tuple[jax.Array, jax.Array], None]:
            outline, move, shown = layer
            cover = shown * outline.cover(size, jnp.zeros(2))[..., None]
            flow, mask = field
            flow = flow + cover * (background + move - flow)
            return (flow, jnp.maximum(mask, cover)), None

        outlines: Outline = jax.vmap(lambda n: random_outline(n, size))(marks)
        shown = (jnp.arange(most) < jnp.floor(count * (most + 1))).astype(jnp.float32)
        field = (background, jnp.zeros((size, size, 1)))
        (flow, mask), _ = jax.lax.scan(paste, field, (outlines, moves[1:], shown))
        numbers = jax.random.uniform(keys.named(key, "noise"), (NUMBERS,))
        wrong = random_texture(numbers, size).image(size, jnp.zeros(2))[..., :2]
        flow = flow + self.motion * self.noise * strength * (wrong / GREY - 1)
        small = size // QUARTER
        mask = mask.reshape(small, QUARTER, small, QUARTER, 1).mean((1, 3))
        return FlowFields(flow, mask)

    def loss(self, model: nn.MPNet, batch: FlowFields) -> Array:
        """Cross-entropy of each place, whose truth is the share of figures in it."""
        flow = (
            nn.polar_flow(batch.flow) if self.flow_channels == "polar" else batch.flow
        )
        with use_lowering("backend"):  # as for the magnifier
            found = model(flow, train=True)
        return jnp.mean(share_cross_entropy(found, batch.mask))

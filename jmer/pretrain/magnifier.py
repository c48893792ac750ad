"""The magnification network, trained on scenes that are made up as it goes."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, PRNGKeyArray
from jmer.errors import FieldCheck
from jmer.magnet.magnify import HALF
from jmer.magnet.network import WIDTH, Magnet
from jmer.nn.lowering.choice import use_lowering
from jmer.optim import AdamConfig
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.scenes import Motions, Sample, random_sample


@dataclasses.dataclass(frozen=True)
class MagnifierRecipe(PretrainRecipe):
    """Learning-based motion magnification (Oh et al. 2018), as `aman` and others use
    it; its paper has 384 pixels and some 260,000 steps.
    """

    name: ClassVar[str] = "magnet"
    steps: ClassVar[int] = 260_000

    motions: Motions = dataclasses.field(default_factory=Motions)
    optim: AdamConfig = dataclasses.field(default_factory=lambda: AdamConfig(lr=1e-4))
    average: float = dataclasses.field(default=0.999, kw_only=True)
    """Share of the running mean of parameters that a step keeps, 0 to below 1; the mean
    is what is written. 0, as in the paper: the last parameters, which magnify by more
    or less from one step to the next."""
    batch_size: int = 4
    """Scenes of a step."""
    width: int = WIDTH
    """Channels of the first layer."""
    agreement: float = 0.1
    """Factor of the losses that keep texture and shape apart."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check = FieldCheck(self)
        check.at_least(1, "batch_size", "width")
        check.finite("agreement")

    def build(self, dtype: DTypeLike, rngs: nnx.Rngs) -> Magnet:
        return Magnet(width=self.width, dtype=dtype, rngs=rngs)

    def batch(self, key: PRNGKeyArray) -> Sample:
        keys = jax.random.split(key, self.batch_size)
        return jax.vmap(lambda key: random_sample(self.motions, key))(keys)

    def loss(self, model: Magnet, batch: Sample) -> Array:
        """Section 3.3: the target; and whatever differs in colour alone must not differ
        in shape, nor in texture what differs in place alone.

        The network is shown the onset and the frame in other colours, as the authors'
        code does. All differences are means of absolute values.
        """
        # On a CPU the library's gradients of these layers are fast enough, and compile
        # in a fraction of the time.
        with use_lowering("backend"):
            return self._loss(model, batch)

    def _loss(self, model: Magnet, batch: Sample) -> Array:
        images = jnp.stack(batch[:4]) / HALF - 1
        count, b = images.shape[:2]
        encoded = model.encoder(images.reshape(count * b, *images.shape[2:]))
        texture, shape = (x.reshape(count, b, *x.shape[1:]) for x in encoded)
        _, frame, clean, target = range(count)
        motion = model.manipulator.moved(shape[0], shape[frame])
        moved = model.manipulator(shape[frame], motion, batch.factor)
        made = model.decoder(model.decoder.enlarged(texture[frame]), moved)
        apart = (
            _distance(texture[0], texture[clean])
            + _distance(texture[frame], texture[target])
            + _distance(shape[clean], shape[frame])
        )
        return _distance(made, images[target]) + self.agreement * apart


def _distance(a: Array, b: Array) -> Array:
    return jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)).mean()

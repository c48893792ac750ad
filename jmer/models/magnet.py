"""The magnification network of Oh et al. 2018, which other networks see frames by."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from flax import nnx
from jax.typing import DTypeLike

from jmer.errors import FieldCheck, JmerError
from jmer.magnet.network import LEAST, MULTIPLE, WIDTH, Magnet
from jmer.magnet.weight_files import arrays
from jmer.models.base import Inputs, NetworkConfig
from jmer.weights.torch_names import PathArrays, TorchState


@dataclasses.dataclass(frozen=True)
class MagnetConfig(NetworkConfig):
    """The magnifier of AMAN. It tells no classes apart, and no experiment trains it."""

    name: ClassVar[str] = "magnet"
    paper: ClassVar[str] = (
        "Oh et al. 2018, Learning-based Video Motion Magnification, ECCV"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 928_144,
        "trained": 928_144,
        "input": "onset_frame 384x384x3, frame 384x384x3, factor ",
    }
    inputs: ClassVar[tuple[str, ...]] = ("onset_frame", "frame", "factor")
    paper_classes: ClassVar[tuple[str, ...]] = ()

    size: int = 384
    """Height and width of a frame, in pixels."""
    width: int = WIDTH
    """Channels of the first layer."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, "width")
        check.multiple(MULTIPLE, "size", least=LEAST)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        image = (self.size, self.size, 3)
        return (image, image, ())

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> Magnet:
        del classes
        return Magnet(width=self.width, dtype=dtype, rngs=rngs)

    def from_torch(self, state: TorchState) -> PathArrays:
        """The published `learning_based_mag.pth.tar`."""
        found = arrays(state, width=self.width)
        return {
            ".".join(["params", *map(str, path)]): value
            for path, value in found.items()
        }

    def apply(self, model: nnx.Module, inputs: Inputs, **options: Any) -> NoReturn:
        """Raises: JmerError, since there are no logits."""
        raise JmerError(
            f"{self.name} magnifies motion and tells no classes apart: choose another "
            f"network, such as aman, which sees frames by its weights."
        )

"""Onset-to-apex flow of the MEGC 2019 composite, 28x28."""

from dataclasses import dataclass
from typing import ClassVar

from jmer.data.config import DataConfig


@dataclass(frozen=True)
class Megc2019Flow28(DataConfig):
    """MEGC 2019 composite as flow images: SMIC, CASME II and SAMM, 3 classes."""

    name: ClassVar[str] = "megc2019_flow28"
    # Counted in the published list of clips.
    subject_sizes: ClassVar[tuple[int, ...]] = (
        *(1,) * 8,
        *(2,) * 7,
        *(3,) * 11,
        *(4,) * 10,
        *(5,) * 6,
        *(6,) * 4,
        *(7, 7, 8, 8, 8, 9, 9, 9),
        *(10,) * 4,
        *(11,) * 4,
        *(13, 19, 20, 22, 31, 39),
    )
    stored_as: ClassVar[str] = "uint8"

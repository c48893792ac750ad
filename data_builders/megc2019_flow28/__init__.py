"""Onset-to-apex flow of the MEGC 2019 composite, 28x28."""

from dataclasses import dataclass
from typing import ClassVar

from jmer.data.config import DataConfig


@dataclass(frozen=True)
class Megc2019Flow28(DataConfig):
    """MEGC 2019 composite as flow images: SMIC, CASME II and SAMM, 3 classes."""

    name: ClassVar[str] = "megc2019_flow28"

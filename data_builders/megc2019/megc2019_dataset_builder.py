"""TFDS builder of the MEGC 2019 composite."""

import functools

from data_builders.composite import CompositeBuilder
from data_builders.frame_builder import FrameBuilder
from data_builders.megc2019 import Megc2019


class Builder(CompositeBuilder):
    """The clips of SMIC HS, CASME II and SAMM that the challenge lists.

    The manual directory holds the three data sets, each in its own layout.
    """

    VERSION = "1.0.0"
    data: Megc2019

    @functools.cached_property
    def parts(self) -> list[FrameBuilder]:
        made = super().parts
        for part in made:
            part.beside = [other for other in made if other is not part]
        return made

    def class_names(self) -> tuple[str, ...]:
        return ("negative", "positive", "surprise")

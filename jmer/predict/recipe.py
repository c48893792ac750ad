"""How the training set of a run was made of frames, so that a video is made alike."""

import dataclasses
from typing import cast

import numpy as np

from data_builders.frame_set import FaceSet
from data_builders.synthetic import Synthetic
from jmer.data.config import DataConfig
from jmer.data.extract import fitted
from jmer.errors import JmerError
from jmer.models.base import NetworkConfig
from jmer.predict.faces import Cut
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.temporal import Method
from jmer.preprocess.tensors import Interval, features, neighbour_flow

BY_EXPRESSION = ("linear", "uniform", "random-sorted", "tim")
"""What is stored of a clip reaches from its onset to its offset."""
BY_FRAMES = ("none", "native", "apex-window")
"""Frames follow one another as in the recording."""
BY_APEX = ("sf", "apex-offset", "of", "dense")


@dataclasses.dataclass(frozen=True)
class Seen:
    """The recipe by which a run's clips were prepared."""

    data: str
    """Name of the set."""
    recipe: ClipRecipe
    method: Method | None = None
    """None: the recipe's `resample`."""
    cut: Cut = "none"
    filled: bool = False
    """Whether frames of the set are all face (see `Watcher`)."""
    synthetic: bool = False
    true_flow: bool = False
    """Whether the set has the true flow, which a video does not have."""

    @property
    def how(self) -> str:
        """How the frames of a clip are chosen."""
        return self.method or self.recipe.resample

    @property
    def by_expression(self) -> bool:
        """Whether a clip of the network is an expression, from onset to offset: else it
        is so many frames at a distance in time, or a whole recording."""
        return self.recipe.modality == "apex-flow" or self.how in BY_EXPRESSION

    @property
    def by_frames(self) -> bool:
        """Whether a clip is frames at a distance in time, which does not depend on how
        long an expression takes."""
        return self.recipe.modality != "apex-flow" and self.how in BY_FRAMES

    @property
    def needs_apex(self) -> bool:
        """Whether what is made of a clip depends on its apex."""
        recipe = self.recipe
        shown = recipe.modality == "apex-flow" or recipe.special in BY_APEX
        return shown or self.how == "apex-window"

    def arrays(
        self,
        frames: np.ndarray,
        interval: Interval,
        name: str,
        *,
        moments: list[np.ndarray] | None = None,
        frame_rate: float = 0.0,
        network: NetworkConfig,
    ) -> dict[str, np.ndarray]:
        """What the network sees of a clip [t, h, w, 3], of frames as they were cut; the
        arguments are those of `features`. What the loss alone sees is 0.

        Raises: as `features`.
        """
        made, _ = features(
            self.recipe,
            frames,
            interval,
            name,
            method=self.method,
            moments=moments,
            frame_rate=frame_rate,
        )
        if self.true_flow and "flow" in network.inputs and "flow" not in made:
            made["flow"] = neighbour_flow(made["clip"], self.recipe.flow)
        if "intensity" in network.inputs:
            made["intensity"] = np.zeros(len(made["clip"]), np.float32)
        # A small run sees smaller images than its set has.
        return {name: fitted(name, made[name], s) for name, s in network.shapes.items()}


def seen_by(data: DataConfig, network: NetworkConfig, run: object) -> Seen:
    """How the set `data` of a `run` was made of frames.

    Raises: JmerError if it was not made of frames, or not all that the network sees.
    """
    if isinstance(data, Synthetic):
        made = _synthetic(data)
    elif isinstance(data, FaceSet):
        cropped = getattr(data, "source", "") == "cropped" and data.align == "none"
        cut = "crop" if cropped else data.align
        made = Seen(data.name, data, cut=cut, filled=cropped)
    elif isinstance(data, ClipRecipe):
        made = Seen(data.name, data, cut=data.align)
    else:
        raise JmerError(
            f"{run} was trained on {data.name}, which jmer does not make of frames: it "
            f"cannot make the same of a video. Give a run of a set of clips, such as "
            f"folder, casme2 or synthetic."
        )
    have = {*made.recipe.shapes, *(("flow",) if made.true_flow else ())}
    if "clip" in have:
        have.add("intensity")
    if lacking := [name for name in network.inputs if name not in have]:
        raise JmerError(
            f"{run}: {network.name} sees {', '.join(lacking)}, which the recipe of "
            f"{data.name} does not make of frames. Give a run whose data set does."
        )
    return made


def _synthetic(data: Synthetic) -> Seen:
    kept = data.resample == "none"
    true_flow = kept and data.flow == "auto" and data.modality != "apex-flow"
    return Seen(
        data.name,
        data.stored,
        method=cast(Method, data.resample),
        cut="drawn",
        filled=True,
        synthetic=True,
        true_flow=true_flow,
    )

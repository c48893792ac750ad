"""Options with a recipe of `jmer pretrain` in them; importing this brings JAX along."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from jmer.errors import UsageError
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.magnifier import MagnifierRecipe
from jmer.pretrain.segmenter import MotionRecipe

RECIPES = {recipe.name: recipe for recipe in (MagnifierRecipe, MotionRecipe)}


@dataclasses.dataclass(frozen=True)
class PretrainOptions:
    """Train a part of networks on scenes that are made up as it goes: no data set.

    The file that it writes is what `aman` takes as `--model.magnifier` (magnet), or
    `visual_memory` as `--pretrained` (motion). The same command goes on where a stopped
    one ended, and with more `--steps` where a finished one did.
    """

    recipe: tyro.conf.OmitArgPrefixes[PretrainRecipe]
    out: Path
    """File of weights to write (.npz)."""
    steps: int
    """Updates in all."""
    seed: int = 0
    """Of the first weights and of all that is made up."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; parameters, losses and samples are float32."""
    save_every: int = 1000
    """Steps after which the file is written."""

    def __post_init__(self) -> None:
        for name in ("steps", "save_every"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise UsageError(f"{option}={getattr(self, name)} must be at least 1")
        if self.out.suffix != ".npz":
            raise UsageError(f"out={self.out} must end in .npz")

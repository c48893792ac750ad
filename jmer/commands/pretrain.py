"""Commands that train on what is made up, and measure the result."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from jmer.commands.parsing import parse
from jmer.errors import UsageError
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.magnifier import MagnifierRecipe
from jmer.pretrain.segmenter import MotionRecipe
from jmer.runner.interrupt import Interruption
from jmer.runner.progress import counting

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

    def __post_init__(self):
        for name in ("steps", "save_every"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise UsageError(f"{option}={getattr(self, name)} must be at least 1")
        if self.out.suffix != ".npz":
            raise UsageError(f"out={self.out} must end in .npz")


def pretrain(words: list[str]) -> int:
    if not words or words[0] not in RECIPES:
        usage = f"usage: jmer pretrain NAME [options]; NAME: {', '.join(RECIPES)}"
        if words and words[0] in ("-h", "--help"):
            print(usage)
            raise SystemExit(0)
        raise UsageError(f"the name of what is trained comes first. {usage}")
    name, *words = words
    recipe = RECIPES[name]
    out = Path(f"{name}.npz")
    default = PretrainOptions(recipe(), out=out, steps=recipe.steps)
    options = parse(PretrainOptions, f"jmer pretrain {name}", words, default)
    from jmer.pretrain.run import pretrain
    from jmer.runner.plan import keep_compiled_programs

    keep_compiled_programs()
    with Interruption() as interruption, counting(f"training {name}") as watch:
        begun = pretrain(
            options.recipe,
            options.out,
            steps=options.steps,
            every=options.save_every,
            seed=options.seed,
            dtype=options.dtype,
            watch=watch,
            stopping=interruption.asked,
        )
    before = f", {begun} of them before" if begun else ""
    print(f"{max(options.steps, begun)} steps{before}: {options.out}")
    return 0

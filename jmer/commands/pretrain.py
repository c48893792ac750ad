"""Commands that train on what is made up, and measure the result."""

import csv
import dataclasses
import functools
import io
from pathlib import Path
from typing import Literal

import tyro

from jmer.commands.parsing import parse
from jmer.errors import UsageError
from jmer.interrupt import Interruption
from jmer.magnet.network import MULTIPLE
from jmer.pretrain.magnifier import MagnifierRecipe
from jmer.pretrain.motion import MotionRecipe
from jmer.pretrain.recipe import Recipe
from jmer.progress import counting

RECIPES = {recipe.name: recipe for recipe in (MagnifierRecipe, MotionRecipe)}


@dataclasses.dataclass(frozen=True)
class PretrainOptions:
    """Train a part of networks on scenes that are made up as it goes: no data set.

    The file that it writes is what `aman` takes as `--model.magnifier` (magnet), or
    `visual_memory` as `--pretrained` (motion). The same command goes on where a stopped
    one ended, and with more `--steps` where a finished one did.
    """

    recipe: tyro.conf.OmitArgPrefixes[Recipe]
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
    from jmer.plan import keep_compiled_programs
    from jmer.pretrain.run import pretrain

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


@dataclasses.dataclass(frozen=True)
class MeasureOptions:
    """By how much a magnifier magnifies known motion: in percent how far off frames
    are, and the factor that came out.
    """

    weights: tyro.conf.Positional[Path]
    """A file of `jmer pretrain magnet`, or the published checkpoint."""
    motions: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0)
    """Motions before magnification, in pixels."""
    factors: tuple[float, ...] = (2, 3, 4, 5, 6, 7, 8, 9)
    """Factors; 1 is no magnification."""
    size: int = 96
    """Height and width of the scenes, in pixels."""
    scenes: int = 6
    """How many."""
    seed: int = 0
    """Of the scenes."""
    out: Path | None = None
    """Table to write as well (.csv)."""

    def __post_init__(self):
        for name, least in (("motions", 0.0), ("factors", 1.0)):
            values = getattr(self, name)
            if not values or not all(least < v < float("inf") for v in values):
                shown = " ".join(map(str, values)) or "none"
                raise UsageError(
                    f"{name}={shown} must all be finite and above {least:g}"
                )
        if self.scenes < 1:
            raise UsageError(f"scenes={self.scenes} must be at least 1")
        least = 4 * (int(max(self.motions) * max(self.factors)) + 3)
        if self.size < least or self.size % MULTIPLE:
            raise UsageError(
                f"size={self.size} must be a multiple of {MULTIPLE}, and at least "
                f"{least} for motions of {max(self.motions) * max(self.factors):g} "
                f"pixels"
            )
        if self.out is not None and self.out.suffix != ".csv":
            raise UsageError(f"out={self.out} must end in .csv")


def measure(words: list[str]) -> int:
    options = parse(MeasureOptions, "jmer weights measure", words)
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from jmer.files import write_text
    from jmer.magnet.frames import magnified
    from jmer.magnet.measure import measure
    from jmer.magnet.weights import load_magnet
    from jmer.nn import use_lowering
    from jmer.plan import keep_compiled_programs

    keep_compiled_programs()
    network = nnx.merge(*jax.tree.map(jnp.asarray, load_magnet(options.weights)))
    with use_lowering("backend"):  # without gradients the faster one on a CPU too
        found = measure(
            functools.partial(magnified, network),
            motions=options.motions,
            factors=options.factors,
            size=options.size,
            scenes=options.scenes,
            seed=options.seed,
        )
    print("how far from its place, over the motion; and the factor that came out")
    print(found.table())
    if options.out is not None:
        table = io.StringIO()
        rows = found.rows()
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(options.out, table.getvalue())
    return 0

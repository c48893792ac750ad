"""Commands of weights: published ones, trained ones, and how good a magnifier is."""

import dataclasses
import functools
from pathlib import Path

import tyro

from jmer.commands.parsing import parse
from jmer.errors import MOST_SEED, FieldCheck, UsageError


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Turn published PyTorch checkpoints, one a held-out subject, into weights."""

    network: tyro.conf.Positional[str]
    """Name of the network, as `jmer list models` prints it."""
    torch: Path
    """Folder of the checkpoints, each named after its subject (006.pth)."""
    out: Path
    """Folder to write."""


def weights_import(words: list[str]) -> int:
    options = parse(ImportOptions, "jmer weights import", words)
    from jmer.runs.importers import import_torch

    weights = import_torch(options.network, options.torch)
    weights.save(options.out)
    print(f"{len(weights.tasks)} weights of {weights.config.name} in {options.out}")
    return 0


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write the weights of one training as a PyTorch checkpoint."""

    weights: tyro.conf.Positional[Path]
    """Run directory, or folder of imported weights."""
    fold: str
    """Which training: name of its fold, the held-out subject under LOSO."""
    out: Path
    """File to write (.pth)."""
    seed: int | None = None
    """Its seed, where there are several."""

    def __post_init__(self) -> None:
        if self.out.suffix != ".pth":
            raise UsageError(f"out={self.out} must end in .pth")


def weights_export(words: list[str]) -> int:
    options = parse(ExportOptions, "jmer weights export", words)
    from jmer.runs.exporters import export_torch

    export_torch(options.weights, options.out, options.fold, options.seed)
    print(f"weights of fold {options.fold} in {options.out}")
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

    def __post_init__(self) -> None:
        from jmer.magnet.network import MULTIPLE

        for name, least in (("motions", 0.0), ("factors", 1.0)):
            values = getattr(self, name)
            if not values or not all(least < v < float("inf") for v in values):
                shown = " ".join(map(str, values)) or "none"
                raise UsageError(
                    f"{name}={shown} must all be finite and above {least:g}"
                )
        if self.scenes < 1:
            raise UsageError(f"scenes={self.scenes} must be at least 1")
        FieldCheck(self).whole("seed", most=MOST_SEED)
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
    from jmer.files.cells import csv_text
    from jmer.magnet.magnify import magnified
    from jmer.magnet.weight_files import load_magnet
    from jmer.nn import use_lowering
    from jmer.pretrain.measure import measure
    from jmer.runner.plan import keep_compiled_programs

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
        rows = found.rows()
        table = csv_text([[*rows[0]], *(row.values() for row in rows)], "\n")
        write_text(options.out, table)
    return 0

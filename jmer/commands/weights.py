"""Commands of weights: published ones, trained ones, and how good a magnifier is."""

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

import tyro

from jmer.commands.parsing import import_modules, parse
from jmer.errors import MOST_SEED, FieldCheck, UsageError


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Turn published PyTorch checkpoints, one a held-out subject or fold, into weights.

    Sizes of the network are those that the tensors tell. With the network first, its
    fields are options too (--model.heads 3), for what no tensor tells.
    """

    network: tyro.conf.Positional[str]
    """Name of the network, as `jmer list models` prints it."""
    torch: Path
    """Folder of the checkpoints, each named after its subject (006.pth), or of folders
    that hold one each and are named so (num_0/checkpoint-149.pth)."""
    out: Path
    """Folder to write."""
    classes: tuple[str, ...] = ()
    """The classes in the order of their labels (default: those of the paper)."""
    key: str | None = None
    """Where a file holds the arrays of several networks: under which key those lie that
    are meant."""
    file: str | None = None
    """Name of the checkpoint in the folder of each fold, where a folder has several."""


def weights_import(words: list[str]) -> int:
    kind: type = ImportOptions
    default = None
    if words and not words[0].startswith("-"):
        kind, default = _with_fields(words[0])
    options = parse(kind, "jmer weights import", words, default)
    from jmer.runs.importers import Reading, import_torch

    network = getattr(options, "model", None)
    given = {n: getattr(network, n) for n in _fields_given(words, network)}
    reading = Reading(given, options.classes, options.key, options.file)
    weights = import_torch(options.network, options.torch, reading)
    weights.save(options.out)
    print(f"{len(weights.tasks)} weights of {weights.config.name} in {options.out}")
    for line in _read_as(weights, network):
        print(line)
    return 0


def _with_fields(network: str) -> tuple[type, Any]:
    """The options of a network that is known, and their defaults."""
    from jmer.models.base import NetworkConfig, default_config

    config = default_config(network)
    field = ("model", NetworkConfig, dataclasses.field(default=config))
    kind = dataclasses.make_dataclass(
        "ImportOptions", [field], bases=(ImportOptions,), frozen=True
    )
    kind.__doc__ = ImportOptions.__doc__
    places = {"torch": tyro.MISSING, "out": tyro.MISSING}
    return kind, kind(network=network, model=config, **places)


def _fields_given(words: list[str], network: Any) -> list[str]:
    """Fields of the network that the words name, whatever they say of them."""
    known = {f.name for f in dataclasses.fields(network)} if network else set()
    typed = (word.partition("=")[0].replace("-", "_") for word in words)
    names = [word.removeprefix("__model.") for word in typed if "__model." in word]
    return [name if name in known else name.removeprefix("no_") for name in names]


def _read_as(weights: Any, network: Any) -> list[str]:
    """In which fields the network is another than its paper's, and its classes."""
    fields = [
        f"{f.name}={getattr(weights.config, f.name)}"
        for f in dataclasses.fields(weights.config)
        if getattr(weights.config, f.name) != getattr(type(network)(), f.name)
    ]
    read = [f"  read with {', '.join(fields)}"] if fields else []
    return [*read, f"  classes {', '.join(weights.classes)}"]


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
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Files or modules to run first, such as that of a network of your own."""

    def __post_init__(self) -> None:
        if self.out.suffix != ".pth":
            raise UsageError(f"out={self.out} must end in .pth")


def weights_export(words: list[str]) -> int:
    options = parse(ExportOptions, "jmer weights export", words)
    import_modules(options.imports)
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
    from jmer.pretrain.measure import COLUMNS, measure
    from jmer.report.render.place import has_columns, require_room
    from jmer.runner.plan import keep_compiled_programs

    if (out := options.out) is not None:
        require_room([out], "weights measure", known=has_columns(out, COLUMNS))
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
    if out is not None:
        rows = (row.values() for row in found.rows())
        write_text(out, csv_text([COLUMNS, *rows], "\n"))
    return 0

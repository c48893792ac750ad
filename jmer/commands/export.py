"""The command that makes a bundle of a run."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from jmer.commands.parsing import import_modules, note_owner, parse


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Write a run's networks as a folder that needs jmer, JAX and NumPy alone: programs
    for CPU, CUDA and TPU, weights, class names, and what they are.
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    out: Path
    """Folder to write, which appears when it is complete."""
    fold: str | None = None
    """The training that held this subject out, alone (default: all folds answer
    together, by the mean of their probabilities)."""
    seed: int | None = None
    """Which of the run's seeds (default: the first)."""
    onnx: bool = False
    """Write ONNX as well, compared with the network in onnxruntime."""
    licence: str | None = None
    """Under which licence the weights are passed on, for the manifest."""
    overwrite: bool = False
    """Replace a bundle that is there."""
    imports: Annotated[tuple[str, ...], tyro.conf.arg(name="import")] = ()
    """Files or modules to run first, such as that of a network of your own."""


def export(words: list[str]) -> int:
    options = parse(ExportOptions, "jmer export", words)
    note_owner([options.run])
    import_modules(options.imports)
    from jmer.files.lock import tell
    from jmer.runs.bundles import BundleOptions, write_bundle
    from jmer.runs.run import load_run
    from jmer.text import counted

    chosen = BundleOptions(options.fold, options.seed, options.licence, options.onnx)
    manifest = write_bundle(
        load_run(options.run),
        options.out,
        chosen,
        overwrite=options.overwrite,
        say=tell,
    )
    members = counted(len(manifest["ensemble"]["members"]), "member")
    names = ", ".join(each["name"] for each in manifest["inputs"])
    print(
        f"{manifest['network']['name']} of {members} in {options.out}: "
        f"`jmer.load_bundle({str(options.out)!r})({names})` in Python"
    )
    return 0

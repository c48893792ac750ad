"""A run's networks in a folder that works without jmer's other parts: `jmer.bundle`."""

import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.bundle.layout import (
    ARTIFACT,
    FORMAT,
    MANIFEST,
    MODULE,
    NETWORK,
    OLDEST,
    ONNX,
    PLATFORMS,
    WEIGHTS,
)
from jmer.bundle.safetensors import packed
from jmer.data.config import DataConfig
from jmer.data.random_clips import RandomClips
from jmer.errors import JmerError, UsageError
from jmer.files import make_folder, write_bytes, write_json, writing
from jmer.files.digest import written_file
from jmer.files.ending import undoing
from jmer.files.remains import folder_aside
from jmer.models.origin import origin
from jmer.runs.environment import environment
from jmer.runs.explain import data_of, seed_of
from jmer.runs.preparation import about_inputs, preparation
from jmer.runs.programs import Programs, programs_of, random_clips
from jmer.runs.run import Run
from jmer.runs.weights import Weights
from jmer.scores.labels import CLASSES, UNITS

NO_LICENCE = (
    "not stated. Weights learnt from a licensed data set are bound by its licence: ask "
    "its owners before passing them on"
)
COMBINED = {
    CLASSES: "mean of the members' probabilities (softmax of their logits)",
    UNITS: (
        "mean of the members' probabilities (sigmoid of their logits), each action "
        "unit by itself; one is found where that is above 0.5"
    ),
}


@dataclasses.dataclass(frozen=True)
class BundleOptions:
    """What of a run goes into a bundle."""

    fold: str | None = None
    """The training that held this subject out, alone (default: those of all folds)."""
    seed: int | None = None
    """Which of the run's seeds (default: the first)."""
    licence: str | None = None
    """Under which the weights are passed on."""
    onnx: bool = False
    """Whether ONNX files are written as well."""


def write_bundle(
    run: Run,
    out: Path,
    options: BundleOptions,
    *,
    overwrite: bool = False,
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Writes the bundle, all of it or nothing, and returns its manifest. The programs
    are tried on clips made of random numbers first, against the networks of the run.

    Raises: UsageError if something else is at `out`, or a bundle without `overwrite`;
    JmerError if the run has no such training or cannot be exported.
    """
    out = out.absolute()
    require_place(out, overwrite)
    seed = seed_of(run, options.seed)
    members = _members(run, options.fold, seed, say)
    data = data_of(run)
    programs = programs_of(members, stored_types(data, members.config.inputs))
    worst = agreement(members, programs)
    with _appearing(out, overwrite) as folder:
        for name, made in programs.made.items():
            write_bytes(folder / f"{name}{MODULE}", made.mlir_module_serialized)
            _write_artifact(folder / f"{name}{ARTIFACT}", made, say)
        members_first = {path: np.asarray(x) for path, x in members.arrays.items()}
        folds = [task.fold for task in members.tasks]
        about = {"format": "jmer", "first_axis": "members", "members": " ".join(folds)}
        write_bytes(folder / WEIGHTS, packed(members_first, about))
        if options.onnx:
            from jmer.runs.onnx import write_onnx

            write_onnx(folder, members, programs)
        manifest = _manifest(run, data, members, programs, options)
        manifest["agreement"] = worst
        manifest["files"] = {
            path.name: dict(written_file(path)) for path in sorted(folder.iterdir())
        }
        write_json(folder / MANIFEST, manifest)
    return manifest


def _members(
    run: Run, fold: str | None, seed: int, say: Callable[[str], Any]
) -> Weights:
    """The weights of the trainings that answer together, those that diverged left out.

    Raises: JmerError if there are none.
    """
    weights, variant = run.weights, run.metrics.get("variant", 0)
    lost = {(t.seed, t.subject, t.variant) for t in run.tasks if t.diverged}
    if fold is not None:
        rows = [weights.index(fold, seed, variant)]
    else:
        rows = [
            row
            for row, task in enumerate(weights.tasks)
            if (task.seed, task.variant) == (seed, variant)
        ]
    named = [(weights.tasks[row], row) for row in rows]
    kept = [(t, i) for t, i in named if (t.seed, t.fold, t.variant) not in lost]
    gone = [task.fold for task, _ in named if task not in {t for t, _ in kept}]
    if not kept:
        raise JmerError(
            f"{run.folder}: the training of fold {', '.join(gone)} diverged, and has "
            f"no weights worth passing on. Choose another --fold, or train again."
        )
    if gone:
        say(f"note: without fold {', '.join(gone)}, whose training diverged")
    kept.sort(key=lambda pair: pair[0].fold)
    chosen = [row for _, row in kept]
    return dataclasses.replace(
        weights,
        tasks=tuple(task for task, _ in kept),
        arrays={path: value[chosen] for path, value in weights.arrays.items()},
    )


def stored_types(data: DataConfig, names: tuple[str, ...]) -> dict[str, np.dtype]:
    """The type in which a set has each of its features."""
    shapes = getattr(data, "shapes", None)
    if isinstance(data, RandomClips):
        return {name: np.dtype(data.dtype) for name in names}
    if isinstance(shapes, Mapping):
        known = {name: np.dtype(kind) for name, (_, kind) in shapes.items()}
    else:
        known = {}
    return {name: known.get(name, np.dtype(data.stored_as)) for name in names}


CLOSE = 1e-5
"""Times the largest logit, or 1 if that is more: what roundings of another program are
allowed, where layers are many."""


def agreement(members: Weights, programs: Programs, clips: int = 3) -> float:
    """The largest difference of logits between the exported programs and the network as
    the run has it, on random clips, as a share of the largest logit (or 1).

    Raises: JmerError if it is more than rounding.
    """
    import jax

    from jmer.bundle.layout import FEATURES, LOGITS

    task = members.tasks[0]
    network, batch = members.config, random_clips(programs.inputs, clips)
    model = members.model(subject=task.fold, seed=task.seed, variant=task.variant)
    zeros = {  # for what the loss alone looks at
        name: np.zeros((clips, *shape), np.float32)
        for name, shape in zip(network.inputs, network.input_shapes, strict=True)
    }
    ask = network.predict_units if members.kind is UNITS else network.predict
    wanted = np.asarray(ask(model, {**zeros, **batch}))
    seen: Any = batch
    if FEATURES in programs.made:
        seen = jax.jit(programs.made[FEATURES].call)({}, batch)
    own = {path: value[0] for path, value in members.arrays.items()}
    found = jax.jit(programs.made[NETWORK].call)(own, seen)[LOGITS]
    largest = max(1.0, float(np.abs(wanted).max()))
    worst = float(np.abs(np.asarray(found) - wanted).max()) / largest
    if not worst <= CLOSE:
        raise JmerError(
            f"{network.name}: what was exported differs from the run's network by "
            f"{worst:.2g} of the largest logit, where {CLOSE:g} is allowed: nothing is "
            f"written."
        )
    return worst


def require_place(out: Path, overwrite: bool) -> None:
    """Raises: UsageError unless there is room for a bundle at `out`."""
    if not (out.exists() or out.is_symlink()):
        return
    if out.is_dir() and not out.is_symlink():
        with writing(out):
            there = {path.name for path in out.iterdir()}
        if not there:
            return
        known = {MANIFEST, WEIGHTS}
        endings = (MODULE, ARTIFACT, ONNX)
        other = sorted(n for n in there - known if not n.endswith(endings))
        if MANIFEST in there and not other:
            if overwrite:
                return
            raise UsageError(
                f"out={out}: a bundle is there already, and stays. Choose another "
                f"folder, or add --overwrite to replace it."
            )
    raise UsageError(
        f"out={out}: something is there already that is no bundle. Choose another "
        f"folder."
    )


@contextlib.contextmanager
def _appearing(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block is done."""
    make_folder(out.parent)
    with writing(out):
        remains = folder_aside(out)
        with undoing(lambda: shutil.rmtree(remains, ignore_errors=True)):
            try:
                whole = remains / "bundle"
                whole.mkdir()
                yield whole
                if out.exists():
                    out.rename(remains / "before")
                whole.rename(out)
            finally:
                before = remains / "before"
                if before.exists() and not out.exists():
                    before.rename(out)
                shutil.rmtree(remains, ignore_errors=True)


def _write_artifact(file: Path, made: Any, say: Callable[[str], Any]) -> None:
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        say(
            f"note: no {file.name}, which loaders without jmer read: pip install "
            f"'jmer[export]' and export again for it"
        )
        return
    write_bytes(file, bytes(made.serialize()))


def _manifest(
    run: Run,
    data: DataConfig,
    members: Weights,
    programs: Programs,
    options: BundleOptions,
) -> dict[str, Any]:
    network, about, of_units = members.config, run.experiment, members.kind is UNITS
    here = environment()
    epochs = {(t.seed, t.subject, t.variant): t.selected_epoch for t in run.tasks}
    scores = ["protocol", "selection", "n_samples", "n_subjects", "n_folds", "seeds"]
    scores += ["subject_independent", "ci95", "per_class", "confusion"]
    digest = hashlib.sha256()
    for path in sorted(members.arrays):
        digest.update(path.encode() + members.arrays[path].tobytes())
    return {
        "bundle": FORMAT if of_units else OLDEST,
        "versions": here["versions"],
        "trained_with": about.get("versions", {}),
        "platforms": list(PLATFORMS),
        "licence": {"code": "Apache-2.0", "weights": options.licence or NO_LICENCE},
        "network": {
            "name": network.name,
            "paper": getattr(network, "paper", ""),
            "fields": dataclasses.asdict(network),
            "code": origin(network)["kind"],
            "frozen_files": network.file_hashes,
            "weights_of_a_member": sum(x[0].size for x in members.arrays.values()),
        },
        **({"labels": members.kind.name} if of_units else {}),
        "classes": list(members.classes),
        "inputs": [about_inputs(spec, data) for spec in programs.inputs],
        "outputs": {
            "probabilities": ["b", len(members.classes)],
            **{
                spec.name: ["b", *spec.shape]
                for spec in programs.specs[NETWORK].gives
                if spec.name != "logits"
            },
        },
        "preparation": preparation(data),
        "ensemble": {
            "combined": COMBINED[members.kind],
            "members": [
                {
                    "fold": task.fold,
                    "seed": task.seed,
                    "variant": task.variant,
                    "epoch": epochs.get((task.seed, task.fold, task.variant)),
                }
                for task in members.tasks
            ],
        },
        "scores": {
            "of": (
                "the run: each clip by the member that held its subject out. No score "
                "of the members together is known, for every clip trained some of them"
            ),
            **{n: run.metrics[n] for n in run.kind.reported if n in run.metrics},
            **{n: run.metrics[n] for n in scores if n in run.metrics},
        },
        "data": {
            "name": data.word,
            "fingerprint": about["data"].get("fingerprint"),
            "n_clips": about["data"].get("n_clips"),
            "n_subjects": about["data"].get("n_subjects"),
        },
        "run": {"revision": about.get("revision"), "created": about.get("created")},
        "weights": {
            "file": WEIGHTS,
            "first_axis": "members, in the order of ensemble.members",
            "arrays_sha256": digest.hexdigest(),
        },
        "programs": {name: spec.record() for name, spec in programs.specs.items()},
    }

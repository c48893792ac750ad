"""Published PyTorch checkpoints as jmer weights."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError, UsageError
from jmer.files import content_hash
from jmer.models.base import NetworkConfig, default_config
from jmer.runs.weights import Weights
from jmer.train.tasks import Task
from jmer.weights.archive import has_weights, read_weights
from jmer.weights.torch_files import (
    Checkpoint,
    StateDict,
    read_checkpoint,
    read_state_dict,
)
from jmer.weights.whole import read_whole

KINDS = (".pth", ".pt", ".tar")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How checkpoints are read, beyond what they say of themselves."""

    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the network; they count for more than what a checkpoint says."""
    classes: tuple[str, ...] = ()
    """The classes in the order of labels (default: those of the network's paper)."""
    key: str | None = None
    """Under which key of a file the arrays lie, where several hold some."""
    file: str | None = None
    """Name of the checkpoint in the folder of each fold, where a folder has several."""


def import_torch(network: str, folder: Path, reading: Reading | None = None) -> Weights:
    """The checkpoints of `folder`, one for each held-out subject or fold, named after
    it; or of its folders, one in each, which are named so.

    The network has the sizes that the tensors tell. Every tensor is used.

    Raises: JmerError for an unknown network, a folder without checkpoints, one that
    cannot be read safely, or one of another network or with more in it; or without
    PyTorch.
    """
    config, reading = default_config(network), reading or Reading()
    files = _files(folder, reading.file)
    weights = [_one(config, file, fold, reading) for fold, file in files]
    first = weights[0]
    for one, (_, file) in zip(weights, files, strict=True):
        if (one.config, one.classes) != (first.config, first.classes):
            raise JmerError(
                f"{file} is of another size than {files[0][1]} beside it "
                f"({_difference(one, first)}): import them apart."
            )
    return Weights(
        config=first.config,
        classes=first.classes,
        tasks=tuple(task for one in weights for task in one.tasks),
        arrays={
            path: np.concatenate([one.arrays[path] for one in weights])
            for path in first.arrays
        },
        sources=tuple(source for one in weights for source in one.sources),
    )


def _files(folder: Path, name: str | None) -> list[tuple[str, Path]]:
    """Name of the fold and checkpoint of each."""
    if flat := _checkpoints(folder, name):
        return [(file.name.split(".")[0], file) for file in flat]
    found = []
    for home in sorted(p for p in folder.glob("*") if p.is_dir()):
        own = _checkpoints(home, name)
        if len(own) > 1:
            raise JmerError(
                f"{home} has {len(own)} checkpoints, {', '.join(p.name for p in own)}: "
                f"choose one with --file {own[-1].name}."
            )
        found += [(home.name, file) for file in own]
    if not found:
        called = "" if name is None else f" called {name}"
        raise JmerError(
            f"{folder} has no .pth, .pt or .tar file{called}: give the folder that "
            f"holds one checkpoint for each held-out subject, named after it (such as "
            f"006.pth), or a folder for each, named so (such as num_0/checkpoint.pth)."
        )
    return found


def _checkpoints(folder: Path, name: str | None) -> list[Path]:
    return sorted(
        p
        for p in folder.glob("*")
        if p.suffix in KINDS and p.is_file() and name in (None, p.name)
    )


def _one(config: NetworkConfig, file: Path, fold: str, reading: Reading) -> Weights:
    """The weights of one checkpoint, which fit the network."""
    found = read_checkpoint(file, reading.key)
    try:
        config = _sized(config, found, file, reading)
        flat = read_whole(found.state, config.from_torch)
    except (KeyError, ValueError, IndexError) as error:
        raise JmerError(
            f"{file} is no checkpoint of {config.name} ({_reason(error)}); it holds "
            f"{', '.join([*found.state][:4]) or 'no tensors'}…"
        ) from error
    classes = reading.classes or config.classes_of(found.told)
    head = flat.get("params.head.bias")
    if head is not None and len(head) != len(classes):
        raise JmerError(
            f"{file} is of {config.name} with {len(head)} classes, but {len(classes)} "
            f"are named ({', '.join(classes)}): name its own, in the order of their "
            f"labels, with --classes."
        )
    name = file.name if file.name.split(".")[0] == fold else f"{fold}/{file.name}"
    weights = Weights(
        config=config,
        classes=classes,
        tasks=(Task(seed=0, fold=fold),),
        arrays={path: value[np.newaxis] for path, value in flat.items()},
        sources=(f"{name} sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}",),
    )
    weights.states(file)
    return weights


def _sized(
    config: NetworkConfig, found: Checkpoint, file: Path, reading: Reading
) -> NetworkConfig:
    fields = {**config.fields_of(found.state, found.told), **reading.fields}
    try:
        return dataclasses.replace(config, **fields)
    except UsageError as error:
        raise UsageError(
            f"{file} does not tell all of its network: {error}. Say the rest with "
            f"--model.FIELD, such as --model.heads for the heads of attention."
        ) from error


def _reason(error: Exception) -> str:
    """A missing name is what a KeyError says."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _difference(one: Weights, other: Weights) -> str:
    for field in dataclasses.fields(one.config):
        values = [getattr(w.config, field.name) for w in (one, other)]
        if values[0] != values[1]:
            return f"{field.name} {values[0]} and {values[1]}"
    return f"classes {', '.join(one.classes)} and {', '.join(other.classes)}"


def read_trunk(network: NetworkConfig, file: Path | None) -> tuple[StateDict, str]:
    """The arrays of a trunk by jmer's path, and a hash of the file; empty without one.

    Raises: JmerError if the file cannot be read safely, or is of another trunk.
    """
    if file is None:
        return {}, ""
    if has_weights(file):
        return _read_part(network, file), content_hash(file)
    state = read_state_dict(file)
    try:
        arrays = read_whole(state, network.trunk_from_torch, network.trunk_besides)
    except (KeyError, ValueError, IndexError) as error:
        raise JmerError(
            f"{file} holds no trunk of {network.name} ({_reason(error)}); it holds "
            f"{', '.join([*state][:4]) or 'no tensors'}…"
        ) from error
    return arrays, content_hash(file)


def _read_part(network: NetworkConfig, file: Path) -> dict[str, np.ndarray]:
    """Of a file that `jmer pretrain` wrote, by the paths of the whole network."""
    flat, about = read_weights(file)
    trained = about.get("identity", {})
    part = network.pretrained_part(trained.get("network"), trained.get("recipe", {}))
    paths = (name.split(".", 1) for name in flat if name != "step")
    return {
        f"{kind}.{part}.{rest}": flat[f"{kind}.{rest}"]
        for kind, rest in paths
        if kind in ("params", "stats")
    }

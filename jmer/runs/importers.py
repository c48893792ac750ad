"""Published PyTorch checkpoints as jmer weights."""

import hashlib
from pathlib import Path

import numpy as np

from jmer.errors import JmerError
from jmer.files import content_hash
from jmer.models.base import NetworkConfig, default_config
from jmer.runs.weights import Weights
from jmer.train.tasks import Task
from jmer.weights.archive import has_weights, read_weights
from jmer.weights.torch_files import StateDict, read_state_dict


def import_torch(network: str, folder: Path) -> Weights:
    """The checkpoints of `folder`, one for each held-out subject, named after it.

    Raises: JmerError for an unknown network, a folder without checkpoints, one that
    cannot be read safely, or one of another network; or without PyTorch.
    """
    config = default_config(network)
    files = sorted(p for p in folder.glob("*") if p.suffix in (".pth", ".pt", ".tar"))
    if not files:
        raise JmerError(
            f"{folder} has no .pth, .pt or .tar file: give the folder that holds one "
            f"checkpoint for each held-out subject, named after it (such as 006.pth)."
        )
    weights = [_one(config, file) for file in files]
    return Weights(
        config=config,
        classes=config.paper_classes,
        tasks=tuple(task for one in weights for task in one.tasks),
        arrays={
            path: np.concatenate([one.arrays[path] for one in weights])
            for path in weights[0].arrays
        },
        sources=tuple(source for one in weights for source in one.sources),
    )


def _one(config: NetworkConfig, file: Path) -> Weights:
    """The weights of one checkpoint, which fit the network."""
    state = read_state_dict(file)
    try:
        flat = config.from_torch(state)
    except (KeyError, ValueError, IndexError) as error:
        raise JmerError(
            f"{file} is no checkpoint of {config.name} ({error}); it holds "
            f"{', '.join([*state][:4]) or 'no tensors'}…"
        ) from error
    weights = Weights(
        config=config,
        classes=config.paper_classes,
        tasks=(Task(seed=0, fold=file.name.split(".")[0]),),
        arrays={path: value[np.newaxis] for path, value in flat.items()},
        sources=(
            f"{file.name} sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}",
        ),
    )
    weights.states(file)
    return weights


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
        arrays = network.trunk_from_torch(state)
    except (KeyError, ValueError, IndexError) as error:
        raise JmerError(
            f"{file} holds no trunk of {network.name} ({error}); it holds "
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

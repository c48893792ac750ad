"""Published PyTorch checkpoints as jmer weights."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jmer.errors import JmerError
from jmer.models.base import default_config
from jmer.train.tasks import Task
from jmer.weights import Weights

StateDict = Mapping[str, np.ndarray]


def import_torch(network: str, folder: Path) -> Weights:
    """The checkpoints of `folder`, one for each held-out subject, named after it.

    They are read with `weights_only=True`: a stranger's file runs no code.

    Raises: JmerError for an unknown network, a folder without checkpoints, one that
    cannot be read safely, or one of another network; ImportError without PyTorch.
    """
    config = default_config(network)
    files = sorted(p for p in folder.glob("*") if p.suffix in (".pth", ".pt", ".tar"))
    if not files:
        raise JmerError(
            f"{folder} has no .pth, .pt or .tar file: give the folder that holds one "
            f"checkpoint for each held-out subject, named after it (such as 006.pth)."
        )
    flats = []
    for file in files:
        state = read_state_dict(file)
        try:
            flats.append(config.from_torch(state))
        except (KeyError, ValueError) as error:
            raise JmerError(
                f"{file} is no checkpoint of {network} ({error}); it holds "
                f"{', '.join(list(state)[:4])}…"
            ) from error
    return Weights(
        config=config,
        classes=config.paper_classes,
        tasks=tuple(Task(seed=0, fold=file.name.split(".")[0]) for file in files),
        arrays={path: np.stack([flat[path] for flat in flats]) for path in flats[0]},
        sources=tuple(
            f"{f.name} sha256 {hashlib.sha256(f.read_bytes()).hexdigest()}"
            for f in files
        ),
    )


def read_state_dict(file: Path) -> StateDict:
    """The arrays of a PyTorch checkpoint; wrappers and `module.` prefixes go.

    Raises: JmerError if PyTorch is missing, or refuses the file.
    """
    try:
        import torch
    except ImportError as error:
        raise JmerError(
            "reading PyTorch checkpoints needs PyTorch: pip install 'jmer[torch]'."
        ) from error
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise JmerError(
            f"{file} cannot be read as plain weights ({str(error).splitlines()[0]}). "
            f"It is damaged, or holds code, which is never run."
        ) from error
    state = state.get("state_dict", state)
    return {
        name.removeprefix("module."): value.numpy()
        for name, value in state.items()
        if hasattr(value, "numpy")
    }

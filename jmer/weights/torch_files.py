"""Checkpoints of PyTorch as plain arrays."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jmer.errors import JmerError
from jmer.files.bombs import require_small

StateDict = Mapping[str, np.ndarray]


def read_state_dict(file: Path) -> StateDict:
    """The arrays of a PyTorch checkpoint, in float32.

    It is read with `weights_only=True`: a stranger's file runs no code. Wrappers and
    `module.` prefixes go, and so does what is no tensor.

    Raises: JmerError if PyTorch is missing, or refuses the file.
    """
    try:
        import torch
    except ImportError as error:
        raise JmerError(
            "reading PyTorch checkpoints needs PyTorch: pip install 'jmer[torch]'."
        ) from error
    require_small(file)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files meet many kinds inside PyTorch
        reason = [*str(error).splitlines(), type(error).__name__][0]
        raise JmerError(
            f"{file} cannot be read as plain weights ({reason}). "
            f"It is damaged, or holds code, which is never run."
        ) from error
    if isinstance(state, Mapping):
        state = state.get("state_dict", state)
    return {
        str(name).removeprefix("module."): value.detach().float().numpy()
        for name, value in (state.items() if isinstance(state, Mapping) else ())
        if isinstance(value, torch.Tensor)
    }

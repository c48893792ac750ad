"""Trained weights as PyTorch checkpoints, for other programs and other networks."""

from pathlib import Path

from jmer.errors import JmerError
from jmer.files import replacing
from jmer.runs.run import find_weights


def export_torch(folder: Path, file: Path, fold: str, seed: int | None = None) -> None:
    """Writes the weights of one training of a run, or of imported weights.

    Raises: JmerError if there is no such training, its network has no names in
    PyTorch, PyTorch is missing, or the place cannot be written.
    """
    try:
        import torch
    except ImportError as error:
        raise JmerError(
            "writing PyTorch checkpoints needs PyTorch: pip install 'jmer[torch]'."
        ) from error
    weights = find_weights(folder)
    row = weights.index(fold, seed)
    arrays = {path: value[row] for path, value in weights.arrays.items()}
    state = weights.config.to_torch(arrays)
    with replacing(file) as opened:
        torch.save({name: torch.tensor(value) for name, value in state.items()}, opened)

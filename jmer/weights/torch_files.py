"""Checkpoints of PyTorch as plain arrays."""

import argparse
import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.files.bombs import require_small

StateDict = Mapping[str, np.ndarray]
SHOWN = 4  # names in an error


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file of PyTorch holds: arrays, and what it says of their training."""

    state: StateDict
    told: Mapping[str, Any]
    """The arguments that a training script wrote down (an `argparse.Namespace`)."""


def read_state_dict(file: Path) -> StateDict:
    """The arrays of a PyTorch checkpoint, in float32: see `read_checkpoint`."""
    return read_checkpoint(file).state


def read_checkpoint(file: Path, key: str | None = None) -> Checkpoint:
    """The arrays of a PyTorch checkpoint, in float32, and the arguments beside them.

    It is read with `weights_only=True`: a stranger's file runs no code. The arrays may
    lie in the file itself or under any key, such as `state_dict` or `model`; where
    several keys hold some, `key` says which are meant. `module.` prefixes go, and so
    does what is no tensor, and the state of an optimiser.

    Raises: JmerError if PyTorch is missing or refuses the file, or if it holds the
    arrays of several networks, or two of one name.
    """
    content = _load(file)
    if not isinstance(content, Mapping):
        return Checkpoint({}, {})
    told = [v for v in content.values() if isinstance(v, argparse.Namespace)]
    state = _chosen(file, content, key)
    arrays: dict[str, np.ndarray] = {}
    for name, value in state.items():
        if not _is_tensor(value):
            continue
        plain = str(name).removeprefix("module.")
        if plain in arrays:
            raise JmerError(
                f"{file} holds {plain} twice, with `module.` before it and without: "
                f"it is of two networks. Get it again from where it came from."
            )
        arrays[plain] = value.detach().float().numpy()
    return Checkpoint(arrays, vars(told[0]) if len(told) == 1 else {})


def _load(file: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise JmerError(
            "reading PyTorch checkpoints needs PyTorch: pip install 'jmer[torch]'."
        ) from error
    if not file.is_file():
        raise JmerError(f"{file} is no file: check its name, and that it is there.")
    require_small(file)
    try:
        with _plain_objects(torch):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files meet many kinds inside PyTorch
        reason = _reason(error)
        raise JmerError(
            f"{file} cannot be read as plain weights ({reason}). "
            f"It is damaged, or holds code, which is never run."
        ) from error


def _reason(error: Exception) -> str:
    """What PyTorch says in one line, without its advice to run the file's code."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if found := re.search(r"WeightsUnpickler error: ([^\n]*?)(\. |\.?\n|$)", text):
        return found[1]
    return [*text.splitlines(), type(error).__name__][0]


def _plain_objects(torch: Any) -> contextlib.AbstractContextManager[None]:
    """Lets through arguments of scripts: names, places and values, and no code."""
    plain = [argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath]
    with_them = getattr(torch.serialization, "safe_globals", None)
    if with_them is not None:
        return with_them(plain)
    torch.serialization.add_safe_globals(plain)  # PyTorch 2.4
    return contextlib.nullcontext()


def _chosen(
    file: Path, content: Mapping[Any, Any], key: str | None
) -> Mapping[Any, Any]:
    """Of a file's content, the mapping that holds the arrays."""
    inner = {
        str(name): value
        for name, value in content.items()
        if isinstance(value, Mapping) and any(map(_is_array, value.values()))
    }
    if key is not None:
        if key not in inner:
            raise JmerError(
                f"{file} holds no arrays under key={key}; it has some under "
                f"{', '.join(inner) or 'no key: leave it out'}."
            )
        return inner[key]
    bare = [str(name) for name, value in content.items() if _is_array(value)]
    if len(inner) > 1 or (inner and bare):
        names = ", ".join([*inner, *bare[:SHOWN]])
        raise JmerError(
            f"{file} holds the arrays of several networks: {names}. Choose one with "
            f"--key {min(inner)} where `jmer weights import` reads it; elsewhere give "
            f"a file that holds it alone."
        )
    return next(iter(inner.values()), content)


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_array(value: object) -> bool:
    """A score that was written down beside weights is none."""
    return _is_tensor(value) and getattr(value, "ndim", 0) > 0

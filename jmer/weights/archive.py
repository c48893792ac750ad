"""The weights of one network in one file, with what they are."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.files import write_bytes
from jmer.files.bombs import load_arrays
from jmer.files.digest import digest_of_arrays
from jmer.files.seal import sealed, state, unsealed
from jmer.files.shape import parse_json

ABOUT = "about"
ARRAYS = "arrays"
"""Of what is said about them, the field with their checksum."""


def write_weights(
    file: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Arrays by name and a JSON object, as a NumPy archive with their checksum; the old
    file stays whole until the new one is.

    Raises: JmerError if it cannot be written.
    """
    content = io.BytesIO()
    told = sealed({**about, ARRAYS: digest_of_arrays(arrays)})
    named: dict[str, Any] = {**arrays, ABOUT: np.array(json.dumps(told))}
    np.savez(content, allow_pickle=False, **named)
    write_bytes(file, content.getvalue())


def has_weights(file: Path) -> bool:
    """Whether it is such a file, whole or damaged within, and no PyTorch checkpoint."""
    try:
        with zipfile.ZipFile(file) as archive:
            return f"{ABOUT}.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_weights(file: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays, and what `write_weights` was told about them.

    Raises: JmerError if there is no such file, or it is damaged or another's.
    """
    try:
        # NumPy leaves a file open that it cannot read.
        with file.open("rb") as opened:
            arrays = load_arrays(file, opened)
        about = parse_json(str(arrays.pop(ABOUT)))
        _require_same(arrays, about)
    except FileNotFoundError as error:
        raise JmerError(f"cannot read {file}: {error.strerror}.") from error
    except Exception as error:  # of a damaged archive, NumPy lets many through
        reason = str(error) or type(error).__name__
        raise JmerError(
            f"{file} holds no weights that `jmer pretrain` wrote, or is damaged "
            f"({reason}): choose another file, or delete it and train again."
        ) from error
    return arrays, {n: x for n, x in unsealed(about).items() if n != ARRAYS}


def _require_same(arrays: Mapping[str, np.ndarray], about: Any) -> None:
    """Raises: ValueError if they are not what was written; earlier versions did not
    say."""
    if not isinstance(about, dict):
        raise ValueError(f"{ABOUT} is no JSON object")
    found = state(about)
    if found == "none":
        return
    if found == "broken" or about.get(ARRAYS) != digest_of_arrays(arrays):
        raise ValueError("its checksum is another")

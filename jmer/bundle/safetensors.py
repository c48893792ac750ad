"""Arrays by name in the format of safetensors, which every framework reads.

Eight bytes with the length of a JSON header, the header, the arrays one after another.
The library of that name does the same; it is not needed for it, since whoever uses a
bundle has JAX and NumPy alone.
"""

import json
from collections.abc import Mapping

import ml_dtypes
import numpy as np

TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
ALIGNED = 8


def packed(arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> bytes:
    """The content of such a file, with words `about` it.

    Raises: ValueError for a type that the format does not have.
    """
    header: dict[str, object] = {"__metadata__": dict(about)}
    parts, at = [], 0
    for name, array in sorted(arrays.items()):
        if array.dtype not in NAMES:
            raise ValueError(f"{name} has type {array.dtype}")
        content = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [at, at + len(content)],
        }
        parts.append(content)
        at += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNED)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of such a file, which are views of its content.

    Raises: ValueError, KeyError or TypeError if it is damaged.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    body = memoryview(content)[8 + length :]
    arrays = {}
    for name, about in header.items():
        if name != "__metadata__":
            start, stop = about["data_offsets"]
            values = np.frombuffer(body[start:stop], TYPES[about["dtype"]])
            arrays[name] = values.reshape(about["shape"])
    return arrays

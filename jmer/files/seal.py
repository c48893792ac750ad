"""A checksum in every JSON object that jmer writes: what is read is what was written.

The checksum is of the content, so that a file needs no list of checksums beside it, is
replaced in one step, and may be laid out anew by another program. A mark says that
there is one: a file without either is of a version that had none.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

MARK, SEAL = "sealed", "seal"
"""The last fields of a sealed object: that it is, and the checksum of all before."""

State = Literal["kept", "broken", "none"]


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` with its mark and its checksum, in place of those it may have."""
    marked = {**unsealed(content), MARK: "sha256"}
    return {**marked, SEAL: digest(marked)}


def unsealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` without them."""
    return {name: x for name, x in content.items() if name not in (MARK, SEAL)}


def state(content: Any) -> State:
    """Whether a JSON value is what was sealed; `none` if it never was."""
    if not isinstance(content, Mapping) or not {MARK, SEAL} & content.keys():
        return "none"
    marked = {name: value for name, value in content.items() if name != SEAL}
    intact = MARK in content and content.get(SEAL) == digest(marked)
    return "kept" if intact else "broken"


def digest(content: Any) -> str:
    """The SHA-256 of a JSON value, whatever its layout; the order of fields counts."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

"""What a run was made with: versions, device, source revision."""

import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jmer.data.machine import cores
from jmer.files import VERSION
from jmer.train.numerics import flags


def environment() -> dict[str, Any]:
    """Versions, device and source revision of this process."""
    devices = jax.devices()
    names = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "versions": {
            "jmer": VERSION,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in names},
        },
        "device": {
            "kind": devices[0].device_kind,
            "count": len(devices),
            "platform": devices[0].platform,
            "host_cores": cores(),
        },
        "flags": flags(),
        "revision": _revision(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _revision() -> str | None:
    """The commit that jmer is run from, `-dirty` if files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None

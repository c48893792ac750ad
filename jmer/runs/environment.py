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
        "revision": revision(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


CODE = ("*.py", "*.cfg")
HERE = Path(__file__).resolve().parent.parent
"""The package."""


def revision(package: Path = HERE) -> str | None:
    """The commit that jmer is run from, `-dirty` if code differs (not pages, or tables
    of what it measured). None outside git, and where git keeps something else around
    jmer, such as the project that it is installed for."""
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    changed = _git(package.parent, "diff", "--name-only", "HEAD", "--", *CODE)
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: Path, *words: str) -> str | None:
    """What it says in a folder; None if it cannot."""
    try:
        done = subprocess.run(
            ("git", *words),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

"""What of a machine this job may use: not the cores and memory of the whole node.

Affinity and control groups (version 1, 2 or both at once) say so. Whatever counts cores
or memory asks here.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")
GROUPS = "sys/fs/cgroup"
CLIP_BYTES = 1_000_000_000
"""What preparing a clip may take at once: its frames, as they are and as numbers."""


def cores(root: Path = ROOT) -> int:
    """Cores that this process may use, 1 or more; a part of one counts as one.

    `root` is the file system that says so.
    """
    count = _affine()
    for folder in _groups("cpu", root):
        with contextlib.suppress(OSError, ValueError, ArithmeticError):
            count = min(count, math.ceil(_quota(folder)))
    return max(1, count)


def memory(root: Path = ROOT) -> int | None:
    """Bytes that this job may have; None where nothing says how many."""
    known = [size for size in (_installed(),) if size]
    for folder in _groups("memory", root):
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # "max" is no number
                known.append(int(_read(folder / name)))
    return min((size for size in known if size > 0), default=None)


def clips_at_once(root: Path = ROOT) -> int:
    """How many clips to prepare side by side: one a core, as far as memory goes."""
    most = memory(root)
    fitting = cores(root) if most is None else most * 3 // 4 // CLIP_BYTES
    return max(1, min(cores(root), fitting))


def _affine() -> int:
    if (counted := getattr(os, "process_cpu_count", None)) is not None:
        return counted() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _quota(folder: Path) -> float:
    """Cores a group may keep busy. Raises: OSError or ValueError if nothing says."""
    try:
        quota, period = _read(folder / "cpu.max").split()
    except OSError:
        quota = _read(folder / "cpu.cfs_quota_us")
        period = _read(folder / "cpu.cfs_period_us")
    if float(quota) <= 0:
        return math.inf
    return float(quota) / float(period)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of this process's groups that may limit `controller`, each with all
    that it lies in: the tightest limit of them counts.

    Within a container the path may be that of the host: then only the top is there.
    """
    try:
        lines = _read(root / "proc/self/cgroup").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        parts = [p for p in PurePosixPath(path).parts if p not in ("/", "..")]
        inner = PurePosixPath(*parts)
        for mount in _mounts(controller, names, root):
            for place in (inner, *inner.parents):
                yield mount / place


def _mounts(controller: str, names: str, root: Path) -> list[Path]:
    base = root / GROUPS
    if not names:  # version 2, alone or beside version 1
        return [base, base / "unified"]
    if controller in names.split(","):
        return [base / names, base / controller]
    return []


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()

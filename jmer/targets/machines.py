"""Accelerators by name, as their compilers see them from a machine without one."""

import contextlib
import dataclasses
import functools
import importlib.util
import math
import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from jmer.errors import JmerError, UsageError, quoted
from jmer.text import did_you_mean

if TYPE_CHECKING:
    import jax

Platform = Literal["tpu", "gpu"]


@dataclasses.dataclass(frozen=True)
class Chip:
    """One kind of accelerator; figures are its maker's."""

    platform: Platform
    memory: int
    """Bytes that a program may use."""
    flops: float
    """Operations a second in bfloat16, at peak."""
    bandwidth: float
    """Bytes a second between the chip and its memory."""
    clock: float
    """Cycles a second."""

    @property
    def flops_a_cycle(self) -> float:
        """Operations of the matrix units in a cycle, at peak."""
        return self.flops / self.clock


_GIB = 2**30
# https://cloud.google.com/tpu/docs/v5e, …/v5p, …/v6e. The clocks are those by which
# the matrix units (4 of 128 x 128, 8 of 128 x 128, 4 of 256 x 256) reach the peak.
# 0.25 of the 16 GB of a v5e is the system's, as its compiler says.
_TPUS = {
    "v5e": Chip("tpu", int(15.75 * _GIB), 197e12, 819e9, 1.5e9),
    "v5p": Chip("tpu", int(95.74 * _GIB), 459e12, 2765e9, 1.75e9),
    "v6e": Chip("tpu", int(31.25 * _GIB), 918e12, 1640e9, 1.75e9),
}
# Data sheets of the SXM versions: dense bfloat16, memory and its bandwidth.
_GPUS = {
    "a100": Chip("gpu", 85_017_493_504, 312e12, 2039e9, 1.41e9),
    "h100": Chip("gpu", 84_942_979_072, 989e12, 3352e9, 1.98e9),
    "h200": Chip("gpu", 150_754_820_096, 989e12, 4800e9, 1.98e9),
}
CHIPS = {**_TPUS, **_GPUS}
_FLAT = {
    **{1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8"},
    **{128: "8x16", 256: "16x16"},
}
_CUBES = {
    **{1: "1x1x1", 4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4"},
    **{128: "4x4x8", 256: "4x8x8"},
}
_MOST_GPUS = 8  # of one machine
_CUDA_PLUGINS = ("jax_plugins.xla_cuda13", "jax_plugins.xla_cuda12")
_CUDA_PACKAGES = ("jax-cuda13-plugin", "jax-cuda12-plugin")


@dataclasses.dataclass(frozen=True)
class Target:
    """A machine to compile for."""

    name: str
    chip: Chip
    devices: int
    topology: str
    """As the compiler's plug-in names it."""

    @property
    def kind(self) -> str:
        """Name of the chip."""
        return self.name.split("-")[0]


def target(name: str) -> Target:
    """The machine of that name: `v5e-4` has four chips of v5e, `h100-8` eight of H100.

    As their makers count, the number of a v5p is twice that of its chips.

    Raises: UsageError if there is none.
    """
    asked = name.strip().lower().replace("v5litepod", "v5e")  # Google's name of both
    found = re.fullmatch(r"([a-z]\w+?)(?:[-x](\d+))?", asked)
    kind = found[1] if found else asked
    if not found or kind not in CHIPS:
        raise UsageError(
            f"--target {quoted(name)}: no such machine{did_you_mean(asked, _names())}. "
            f"There are {known()}."
        )
    given = int(found[2]) if found[2] else None
    if kind in _GPUS:
        devices = 1 if given is None else given
        if not 1 <= devices <= _MOST_GPUS:
            raise UsageError(
                f"--target {name}: one machine has 1 to {_MOST_GPUS} of them."
            )
        several = f"{kind}-{devices}" if devices > 1 else kind
        return Target(several, CHIPS[kind], devices, f"1x1x{devices}")
    sizes = _tpu_sizes(kind)
    given = min(sizes) if given is None else given
    if given not in sizes:
        raise UsageError(
            f"--target {name}: {kind} comes as "
            f"{', '.join(f'{kind}-{size}' for size in sizes)}."
        )
    topology = f"{kind}:{sizes[given]}"
    devices = math.prod(int(n) for n in sizes[given].split("x"))
    return Target(f"{kind}-{given}", CHIPS[kind], devices, topology)


def _tpu_sizes(kind: str) -> dict[int, str]:
    """Topologies of a TPU by the number in their names."""
    if kind == "v5p":  # its chips have two cores each, which are counted
        return {2 * chips: shape for chips, shape in _CUBES.items() if chips > 1}
    return _FLAT


def _names() -> list[str]:
    """Every name, those of a kind that stand for its smallest machine first."""
    sizes = {kind: _tpu_sizes(kind) for kind in _TPUS}
    sizes |= {kind: dict.fromkeys(range(1, _MOST_GPUS + 1), "") for kind in _GPUS}
    return [*CHIPS, *(f"{kind}-{size}" for kind in CHIPS for size in sizes[kind])]


def known() -> str:
    """All names, in words."""
    tpus = ", ".join(
        f"{kind}-{min(sizes)} to {kind}-{max(sizes)}"
        for kind, sizes in ((kind, _tpu_sizes(kind)) for kind in _TPUS)
    )
    gpus = ", ".join(_GPUS)
    return f"{tpus}, and {gpus} (h100-8 for eight of them)"


def prepare_for_compilers() -> None:
    """To be called before JAX starts: the host is a CPU, and plug-ins look for no
    device, lock none and ask no server."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["TPU_SKIP_MDS_QUERY"] = "1"
    os.environ["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"
    os.environ["TPU_WORKER_HOSTNAMES"] = "localhost"


@functools.cache
def devices(machine: Target) -> "tuple[jax.Device, ...]":
    """Its chips, to be compiled for.

    Raises: JmerError if the compiler's package is missing or too old.
    """
    from jax.experimental import topologies

    _require_package(machine)
    if machine.chip.platform == "gpu":
        _suppose_cudnn()
    options: dict[str, Any] = {"topology_name": machine.topology, "platform": "tpu"}
    if machine.chip.platform == "gpu":
        options = {
            "platform": "cuda",
            "topology": machine.topology,
            "target_config": _gpu_description(machine.kind),
        }
    try:
        with _quiet():
            found = topologies.get_topology_desc(**options)
    except Exception as error:  # plug-ins raise what they like
        reason = str(error).splitlines()[0][:200]
        raise JmerError(
            f"the compiler for {machine.name} does not start: {reason}. "
            f"{_remedy(machine)}"
        ) from error
    return tuple(found.devices)


def compiler_options(machine: Target) -> dict[str, Any]:
    """What a compiler without a device must be told: nothing can be tried out."""
    return {"xla_gpu_autotune_level": 0} if machine.chip.platform == "gpu" else {}


def compiler_versions(machine: Target) -> dict[str, str]:
    """Packages that decide what is compiled for it."""
    tpu = machine.chip.platform == "tpu"
    names = ("jax", "jaxlib", *(("libtpu",) if tpu else _CUDA_PACKAGES))
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _require_package(machine: Target) -> None:
    tpu = machine.chip.platform == "tpu"
    if not any(_is_there(name) for name in (("libtpu",) if tpu else _CUDA_PLUGINS)):
        package = "libtpu" if tpu else "JAX's plug-in for CUDA"
        raise JmerError(f"{machine.name} needs {package}: {_remedy(machine)}")


def _is_there(module: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def _remedy(machine: Target) -> str:
    extra = "tpu" if machine.chip.platform == "tpu" else "cuda"
    needs = "" if extra == "tpu" else " (with jax 0.12 or newer, Python 3.12)"
    return f"pip install 'jmer[{extra}]'{needs}."


def _suppose_cudnn() -> None:
    """Lets programs have cuDNN's attention where no cuDNN is to be compiled with: JAX
    asks for its version, which is that of `_gpu_description`."""
    from jax._src.cudnn import fused_attention_stablehlo as fused

    with contextlib.suppress(AttributeError):
        try:
            fused.check_cudnn_version()
        except RuntimeError:
            fused.check_cudnn_version = lambda: 91000


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines that plug-ins write past Python."""
    try:
        target = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        yield
        return
    kept = os.dup(target)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stderr.flush()
        os.dup2(nowhere, target)
        yield
    finally:
        os.dup2(kept, target)
        os.close(kept)
        os.close(nowhere)


def _gpu_description(kind: str) -> str:
    """What XLA wants to know of a GPU, in the text form of its `GpuTargetConfigProto`:
    limits of the architecture, and of the chip."""
    hopper = kind != "a100"
    chip = CHIPS[kind]
    names = {
        "a100": "NVIDIA A100-SXM4-80GB",
        "h100": "NVIDIA H100 80GB HBM3",
        "h200": "NVIDIA H200",
    }
    device = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 49_152,
        "shared_memory_per_core": 233_472 if hopper else 167_936,
        "threads_per_core_limit": 2048,
        "core_count": 132 if hopper else 108,
        "fpus_per_core": 128 if hopper else 64,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 65_535,
        "block_dim_limit_z": 65_535,
        "memory_bandwidth": int(chip.bandwidth),
        "l2_cache_size": (50 if hopper else 40) * 2**20,
        "clock_rate_ghz": chip.clock / 1e9,
        "device_memory_size": chip.memory,
        "shared_memory_per_block_optin": 232_448 if hopper else 166_912,
        "registers_per_core_limit": 65_536,
        "registers_per_block_limit": 65_536,
    }
    fields = " ".join(f"{name}: {value}" for name, value in device.items())
    capability = f"cuda_compute_capability {{ major: {9 if hopper else 8} minor: 0 }}"
    versions = (
        'driver_version: "13.0.0" runtime_version: "12.8.0" '
        'compile_time_toolkit_version: "12.8.0" dnn_version: "9.10.0"'
    )
    return (
        f'gpu_device_info {{ {fields} {capability} name: "{names[kind]}" {versions} }} '
        f'platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} '
        f'device_description_str: "{names[kind]}"'
    )

"""Why JAX has no device to work on, in one sentence that says what to type."""

import importlib.util
import os
import re
import traceback

import jax

from jmer.errors import quoted, shortened
from jmer.text import did_you_mean

NAMES = ("cpu", "cuda", "tpu", "rocm")
MADE_BY = "jax/_src/xla_bridge.py"
STARTING = ("backends", "_get_backend_uncached", "canonicalize_platform")
BEGINNINGS = ("Unable to initialize backend", "Unknown backend")
HELD = ("lockfile", "already in use", "in use by process", "Device or resource busy")
TOO_OLD = ("driver version is insufficient", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")
FULL = ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY", "out of memory")


def explain(error: BaseException) -> str | None:
    """What a user can do about an error of a backend, as it starts or for want of
    memory; None for any other error."""
    text = str(error)
    started = _comes_from_start(error) or text.startswith(BEGINNINGS)
    full = any(word in text for word in FULL)
    if full and (started or isinstance(error, jax.errors.JaxRuntimeError)):
        return _full(text)
    if not started:
        return None
    variable = "JAX_PLATFORM_NAME" if os.environ.get("JAX_PLATFORM_NAME") else ""
    variable = "JAX_PLATFORMS" if os.environ.get("JAX_PLATFORMS") else variable
    asked = os.environ.get(variable, "")
    name = _failed(text) or asked.split(",")[0]
    if problem := _device_problem(name, text):
        return problem
    wanted = f"{variable}={shortened(asked)}" if asked else f"the backend {name!r}"
    otherwise = "Type `export JAX_PLATFORMS=cpu` for the processor"
    if variable:
        otherwise = f"Type `unset {variable}` to take what there is, or `export "
        otherwise += f"{variable}=cpu` for the processor"
    if name in asked.split(",") and name not in (*NAMES, "gpu"):
        near = did_you_mean(name.strip().lower(), NAMES)
        return (
            f"{wanted}: JAX has no backend {quoted(name)}{near}. {otherwise}; others "
            f"are {', '.join(NAMES[1:])}."
        )
    why = _why(name, asked, text)
    return f"{wanted} cannot be used: {why}. {otherwise}{_remedy(name)}."


def _comes_from_start(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    if any(f.filename.endswith(MADE_BY) and f.name in STARTING for f in frames):
        return True
    # Of what JAX has compiled, it shows no frames of its own; with no GPU to be seen,
    # it shows no message either.
    return isinstance(error, AssertionError) and not str(error) and not _starts()


def _starts() -> bool:
    try:
        return bool(jax.local_devices())
    except Exception:
        return False


def _failed(text: str) -> str | None:
    """The backend that the message is about."""
    found = re.search(
        r"initialize backend '([^']*)'|Unknown backend:? '?([^' ]*)", text
    )
    return found and (found[1] or found[2])


def _device_problem(name: str, text: str) -> str | None:
    """What is wrong with a device that is there."""
    if any(word in text for word in HELD):
        return (
            f"the {name.upper()} is held by another process: {_last(text)}. End that "
            f"process (`sudo lsof -w /dev/accel* /dev/vfio/*` names it), or use "
            f"`export JAX_PLATFORMS=cpu`."
        )
    if any(word in text for word in TOO_OLD):
        return (
            f"this machine's NVIDIA driver is too old for this JAX: {_last(text)}. "
            f"`nvidia-smi` tells its version; install a newer driver or an older "
            f"CUDA (`pip install 'jax[cuda12]'`), or use `export JAX_PLATFORMS=cpu`."
        )
    return None


def _why(name: str, asked: str, text: str) -> str:
    if name in ("cuda", "gpu", "rocm") and asked.split(",")[0] in ("cuda", "gpu"):
        if not _has("jax_plugins.xla_cuda13") and not _has("jax_plugins.xla_cuda12"):
            return "this JAX was installed without CUDA"
        if name == "rocm":
            return "JAX takes gpu for NVIDIA's and AMD's at once, and needs all of them"
        return "no NVIDIA GPU is visible here"
    if name == "tpu" and not _has("libtpu"):
        return "libtpu is not installed"
    if name == "rocm" and "known backends" in text:
        return "this JAX was installed without ROCm"
    return _last(text) or "no such device is visible here"


def _remedy(name: str) -> str:
    extra = {"cuda": "cuda", "gpu": "cuda", "tpu": "tpu"}.get(name)
    if extra is None:
        return ""
    return f". For the {extra.upper()} backend: `pip install 'jmer[{extra}]'`"


def _full(text: str) -> str:
    return (
        f"the device has no room left: {_last(text)}. If another process is on it "
        f"(`nvidia-smi` shows them), wait for it or choose another with "
        f"CUDA_VISIBLE_DEVICES; else give `jmer run` a lower --batch-size or "
        f"--engine.chunk."
    )


def _last(text: str) -> str:
    """The message without what JAX says around it."""
    text = text.partition(" (set JAX_PLATFORMS")[0].partition(" (you may need to")[0]
    text = " ".join(text.split()).removesuffix(".")
    _, _, inner = text.partition("': ")
    return shortened(inner or text)


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

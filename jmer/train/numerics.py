"""The settings of JAX and XLA that change numbers: ours, or on record.

What JAX reads of the environment is pinned: a run has the same numbers wherever it is
started, and a task that diverges is frozen and reported whether or not somebody looks
for NaN. The flags of XLA are the machine's; those that may change a number are recorded
with a run, which goes on under the same ones only.
"""

import contextlib
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from jmer.errors import UsageError, shortened

BITS_BY_KERNEL = "jax_threefry_gpu_kernel_lowering"
PINNED: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_threefry_partitionable": True,
    BITS_BY_KERNEL: False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    "jax_random_seed_offset": 0,
    "jax_use_direct_linearize": True,
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_no_tracing": False,
}
"""By which numbers and keys are made, and what ends a program that meets a NaN."""
X64 = "jax_enable_x64"
EFFORT = ("jax_optimization_level", "jax_exec_time_optimization_effort")
"""Which programs the compiler makes; what they are by default, versions decide."""
READ_BY = "jax/_src/config.py"
HARMLESS = (
    "--xla_force_host_platform_device_count",
    "--xla_dump",
    "--xla_hlo_profile",
    "--xla_gpu_cuda_data_dir",
)
"""Flags of XLA, by how they begin, that change no number."""


def clean_environment(
    environment: MutableMapping[str, str], say: Callable[[str], Any]
) -> None:
    """Takes out of the environment, before JAX reads it, what is pinned here, and says
    so of each."""
    for name in (*PINNED, *EFFORT):
        variable = name.upper()
        if variable in environment:
            value = environment.pop(variable)
            if value.strip().lower() not in _defaults(name):
                say(
                    f"{variable}={value} is set aside: jmer's numbers do not depend on "
                    f"the environment"
                )


def _defaults(name: str) -> set[str]:
    """What is as good as not set."""
    value = PINNED.get(name, "")
    if isinstance(value, bool):
        return {"1", "true", "yes", "on", "t"} if value else {"0", "false", "off", ""}
    return {str(value).lower(), ""}


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """JAX under our settings; those of a notebook, or of an experiment's file, are back
    afterwards."""
    import jax

    here = {name: getattr(jax.config, name) for name in PINNED if _has(name)}
    changed = {n: v for n, v in here.items() if getattr(v, "value", v) != PINNED[n]}
    try:
        for name in changed:
            jax.config.update(name, PINNED[name])
        with contextlib.ExitStack() as stack:
            if getattr(jax.config, X64):  # by `with jax.enable_x64()`, for a thread
                changed.pop(X64)
                stack.enter_context(jax.enable_x64(False))
            yield
    finally:
        for name, value in changed.items():
            jax.config.update(name, getattr(value, "value", value))


@contextlib.contextmanager
def bits_by_kernel() -> Iterator[None]:
    """What is traced inside takes a GPU's random bits from JAX's kernel: the same ones,
    but the compiler need not write out twenty rounds for each array. For all threads.
    """
    import jax

    before = getattr(jax.config, BITS_BY_KERNEL)
    jax.config.update(BITS_BY_KERNEL, True)
    try:
        yield
    finally:
        jax.config.update(BITS_BY_KERNEL, before)


def _has(name: str) -> bool:
    import jax

    return hasattr(jax.config, name)


def flags() -> list[str]:
    """What the environment asks of XLA that may change a number."""
    words = os.environ.get("XLA_FLAGS", "").split()
    found = sorted(word for word in words if not word.startswith(HARMLESS))
    if tf32 := os.environ.get("NVIDIA_TF32_OVERRIDE"):
        found.append(f"NVIDIA_TF32_OVERRIDE={tf32}")
    return found


def explain_setting(error: BaseException) -> str | None:
    """Which variable of the environment JAX could not read, and what to type, if that
    is what the error is about; None for any other. JAX itself cannot be imported then.
    """
    chain = traceback.walk_tb(error.__traceback__)
    files = [frame.f_code.co_filename for frame, _ in chain]
    if not any(name.replace("\\", "/").endswith(READ_BY) for name in files):
        return None
    text = str(error)
    ours = {name: v for name, v in os.environ.items() if name.startswith("JAX_")}
    named = [name for name in ours if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
    valued = [n for n, v in ours.items() if f"'{v}'" in text or f'"{v}"' in text]
    found = named or valued
    if not found:
        return None
    name = found[0]
    return (
        f"{name}={shortened(ours[name])} is a setting that JAX cannot read "
        f"({shortened(' '.join(text.split()))}). Type `unset {name}`, or give it a "
        f"value that JAX knows."
    )


def require_known_flags() -> None:
    """Raises: UsageError for flags that this version of XLA does not know, for which it
    ends the process."""
    if not os.environ.get("XLA_FLAGS"):
        return
    code = (
        "from jaxlib import xla_client as x;"
        "x.CompileOptions().executable_build_options.debug_options"
    )
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
        _, there, unknown = done.stderr.partition("in XLA_FLAGS:")
        if done.returncode and there:
            raise UsageError(
                f"XLA_FLAGS has what this version of XLA does not know: "
                f"{' '.join(unknown.split())[:200]}. Take it out of the environment "
                f"(`unset XLA_FLAGS` drops all)."
            )

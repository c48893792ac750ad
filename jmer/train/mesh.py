"""The devices that tasks are spread over."""

import contextlib
import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh
from jax.typing import DTypeLike

from jmer.data.machine import cores
from jmer.train.folds import AXIS


def make_mesh(devices: int, among: Sequence[jax.Device] = ()) -> Mesh:
    """A mesh of one axis over the first `devices` devices of this process, or of those
    `among` which they are."""
    chosen = list(among or jax.local_devices())[:devices]
    return jax.make_mesh(
        (len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen
    )


def use_cpu_cores(count: int | None = None) -> None:
    """Makes `count` devices of a CPU, or one of each core it may use; each runs a
    thread. Does nothing once a backend has started, or if `XLA_FLAGS` says how many.
    """
    if "host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    with contextlib.suppress(RuntimeError):  # raised once a backend has started
        jax.config.update("jax_num_cpu_devices", count or cores())


def compute_dtype(name: str, platform: str) -> DTypeLike:
    """The dtype of matrix work: `auto` is bfloat16 on accelerators, else float32."""
    if name == "auto":
        return jnp.float32 if platform == "cpu" else jnp.bfloat16
    return jnp.dtype(name).type

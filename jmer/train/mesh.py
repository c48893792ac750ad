"""The devices that tasks are spread over."""

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh
from jax.typing import DTypeLike

from jmer.errors import UsageError
from jmer.train.folds import AXIS


def make_mesh(devices: int | None = None) -> Mesh:
    """A mesh of one axis over the first `devices` devices, or all of them.

    Raises: UsageError if there are fewer.
    """
    found = jax.devices()
    if devices is not None and not 1 <= devices <= len(found):
        raise UsageError(
            f"engine.devices={devices}, but there are {len(found)} "
            f"({found[0].platform}): choose 1 to {len(found)}"
        )
    chosen = found[:devices]
    return jax.make_mesh(
        (len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen
    )


def compute_dtype(name: str, mesh: Mesh) -> DTypeLike:
    """The dtype of matrix work: `auto` is bfloat16 on accelerators, else float32."""
    if name == "auto":
        on_cpu = mesh.devices.flat[0].platform == "cpu"
        return jnp.float32 if on_cpu else jnp.bfloat16
    return jnp.dtype(name).type

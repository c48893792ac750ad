"""What XLA is told of a program, beside the program."""

from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from jmer.nn.lowering.choice import Lowering

FEW_PASSES = {"xla_backend_optimization_level": 1}
ONCE: dict[str, dict[str, Any]] = {"cpu": FEW_PASSES}
"""By platform, settings for a program that runs once and for an instant, as the one of
first states. LLVM's later passes took a minute over MERANet's, and changed no bit."""


def compiler_options(
    platform: str, lowering: Lowering, dtype: DTypeLike
) -> dict[str, Any]:
    """Settings of the compiler for a program of this lowering that multiplies in
    `dtype`, on a platform (`cpu`, `gpu`, `tpu`). They change roundings, not results.
    """
    if platform != "gpu":
        return {}
    if lowering == "patches":
        # XLA 0.11 ends the process over some of these products, in a failed check of
        # its tiling for Triton (experiments/benchmarks/h200.md).
        return {"xla_gpu_enable_triton_gemm": False}
    if lowering == "gpu" and jnp.dtype(dtype).itemsize <= 4:
        # As tensor cores want them, float32 too (TF32), and as XLA lays out 16-bit
        # numbers in two dimensions by itself. In three, cuDNN turned the arrays of each
        # convolution to channels last, and its result back.
        return {"xla_gpu_force_conv_nhwc": True}
    return {}

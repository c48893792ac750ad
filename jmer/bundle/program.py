"""A program of a bundle, put back together from its StableHLO."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from jmer.bundle.layout import PLATFORMS, ArraySpec, ProgramSpec

Arrays = Mapping[str, Any]
Program = Callable[[Arrays, Arrays], Arrays]
"""From weights and inputs to results, all by name."""


def shapes_of(specs: tuple[ArraySpec, ...]) -> dict[str, jax.ShapeDtypeStruct]:
    """Arrays of a program, whose batches are of one size that nobody knows yet."""
    scope = export.SymbolicScope()
    made = {}
    for spec in specs:
        sides = ", ".join(map(str, ("b", *spec.shape)))
        shape = export.symbolic_shape(sides, scope=scope)
        made[spec.name] = jax.ShapeDtypeStruct(shape, jnp.dtype(spec.dtype))
    return made


def exported(
    function: Program, weights: Arrays, takes: tuple[ArraySpec, ...]
) -> export.Exported:
    """The function for all platforms, of weights of these shapes and batches of any
    size. No argument is left out, whether it is used or not.
    """
    traced = jax.jit(function, keep_unused=True)
    return export.export(traced, platforms=PLATFORMS)(weights, shapes_of(takes))


def put_together(module: bytes, spec: ProgramSpec, weights: Arrays) -> export.Exported:
    """What `exported` returned, of its serialised module.

    `jax.export.deserialize` needs FlatBuffers, which JAX does not bring along. All that
    it would read beside the module is what `spec` says, so a function of the same
    signature is exported here and gets that module.

    Raises: ValueError if this JAX does not know the calling convention; an error of
    JAX's own if it cannot read the module.
    """
    least, most = (
        export.minimum_supported_calling_convention_version,
        export.maximum_supported_calling_convention_version,
    )
    if not least <= spec.convention <= most:
        raise ValueError(f"it is called by version {spec.convention} of {least}–{most}")

    def signature(weights: Arrays, inputs: Arrays) -> Arrays:
        (batch, *_) = inputs[spec.takes[0].name].shape
        return {s.name: jnp.zeros((batch, *s.shape), s.dtype) for s in spec.gives}

    empty = exported(signature, weights, spec.takes)
    whole = dataclasses.replace(
        empty,
        fun_name=spec.name,
        mlir_module_serialized=module,
        calling_convention_version=spec.convention,
    )
    whole.mlir_module()  # which reads it
    return whole

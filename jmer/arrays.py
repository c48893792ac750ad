"""Array annotations, checked while tests run and free otherwise."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import jax
import numpy as np

from jmer.annotations import Bool, Float, Int, Real, Shaped

if TYPE_CHECKING:
    from jaxtyping import PRNGKeyArray

    # Records move between device and host; shapes are checked when tests run.
    Array = jax.Array | np.ndarray
else:
    Array = jax.Array | np.ndarray
    try:
        from jaxtyping import PRNGKeyArray
    except ImportError:
        PRNGKeyArray = jax.Array

F = TypeVar("F", bound=Callable)

if os.environ.get("JMER_TYPECHECK"):
    from beartype import beartype
    from jaxtyping import jaxtyped

    def typed(function: F) -> F:
        """Checks the annotated shapes and dtypes at every call."""
        return jaxtyped(typechecker=beartype)(function)
else:

    def typed(function: F) -> F:
        """Does nothing: shapes are checked in the tests."""
        return function


__all__ = [
    "Array",
    "Bool",
    "Float",
    "Int",
    "PRNGKeyArray",
    "Real",
    "Shaped",
    "typed",
]

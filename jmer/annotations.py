"""Annotations of arrays; they mean nothing where jaxtyping is not installed.

`jmer bench` runs where there is little more than JAX.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Real, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Real, Shaped
    except ImportError:

        class _Unread:
            """Stands for an annotation that nobody reads."""

            def __class_getitem__(cls, item: object) -> object:
                return Any

        Bool = Float = Int = Real = Shaped = _Unread

__all__ = ["Bool", "Float", "Int", "Real", "Shaped"]

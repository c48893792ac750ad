"""Numbers for each spatial axis of images and clips."""

from collections.abc import Sequence

Sizes = tuple[int, ...]
"""One for each axis: of windows, strides, pixels."""
Pads = tuple[tuple[int, int], ...]
"""Zeros in front of each axis, and behind it."""


def require_fit(
    space: Sizes,
    window: Sizes,
    strides: Sizes,
    padding: Pads,
    dilation: Sizes | None = None,
) -> None:
    """Raises: ValueError unless one window fits in the space at least, and all axes
    have their sizes."""
    rank = len(space)
    dilation = dilation or (1,) * rank
    every = {"window": window, "strides": strides, "dilation": dilation}
    for name, sizes in every.items():
        if len(sizes) != rank or min(sizes, default=0) < 1:
            raise ValueError(
                f"{name}={sizes} needs a number above 0 for each of {rank} spatial axes"
            )
    if len(padding) != rank:
        raise ValueError(f"padding={padding} needs a number for each of {rank} axes")
    padded = [n + low + high for n, (low, high) in zip(space, padding, strict=True)]
    extent = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if any(n < k for n, k in zip(padded, extent, strict=True)):
        raise ValueError(
            f"windows of {_by(extent)} do not fit in images of {_by(space)}"
            + (f", {_by(padded)} with padding" if padded != [*space] else "")
        )


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))

"""Numbers for each spatial axis of images and clips."""

Sizes = tuple[int, ...]
"""One for each axis: of windows, strides, pixels."""
Pads = tuple[tuple[int, int], ...]
"""Zeros in front of each axis, and behind it."""

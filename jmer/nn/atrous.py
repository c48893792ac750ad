"""Convolution whose window may reach beyond the image on all sides."""

from typing import Any

from flax import nnx

from jmer.arrays import Array, Float, typed
from jmer.nn.conv import Conv, conv


class AtrousConv(nnx.Module):
    """Convolution of 3x3 pixels that lie `dilation` apart; keeps the size.

    Along an axis no longer than `dilation`, all but the middle of the window lies in
    the padding, wherever the window stands: those products with zeros are left out.
    Their weights stay, as published ones have them, and their gradient is exactly zero.
    """

    def __init__(
        self, inputs: int, outputs: int, *, dilation: int, **options: Any
    ) -> None:
        around = (dilation, dilation)
        self.conv = Conv(
            inputs, outputs, (3, 3), padding=around, dilation=around, **options
        )

    @typed
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """As many pixels as came in, in the layer's dtype."""
        layer = self.conv
        beyond = [d >= n for d, n in zip(layer.dilation, x.shape[1:3], strict=True)]
        window = tuple(slice(1, 2) if b else slice(None) for b in beyond)
        padding = tuple(
            (0, 0) if b else p for b, p in zip(beyond, layer.padding, strict=True)
        )
        kernel = layer.kernel[...][window].astype(layer.dtype)
        x = x.astype(layer.dtype)
        y = conv(x, kernel, layer.strides, padding, layer.dilation)
        return y if layer.bias is None else y + layer.bias[...].astype(y.dtype)

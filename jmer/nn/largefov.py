"""The spatial network of DeepLab with a large field of view."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys
from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn.atrous import AtrousConv
from jmer.nn.conv import Conv
from jmer.nn.dropout import dropout
from jmer.nn.init import glorot
from jmer.nn.pool import avg_pool, max_pool

# Of each group: convolutions, widths of channels, dilation, stride of its max-pool.
GROUPS = ((2, 1, 1, 2), (2, 2, 1, 2), (3, 4, 1, 2), (3, 8, 1, 1), (3, 8, 2, 1))


class LargeFOV(nnx.Module):
    """Features of images at an eighth of their height and width, up to `fc6`.

    Chen et al. 2015: VGG-16 whose last two pools keep the size, with dilation after the
    first of them, and a wide convolution of 16 `width` features (1,024 at the paper's
    64) with dropout of one half.
    """

    def __init__(
        self,
        width: int = 64,
        *,
        fc6_dilation: int = 12,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"kernel_init": glorot, "dtype": dtype, "rngs": rngs}
        self.groups: nnx.List[nnx.List] = nnx.List()
        before = 3
        for count, widths, dilation, _ in GROUPS:
            around = (dilation, dilation)
            group: nnx.List[Conv] = nnx.List()
            for _ in range(count):
                sizes = before, widths * width, (3, 3)
                group.append(Conv(*sizes, padding=around, dilation=around, **same))
                before = widths * width
            self.groups.append(group)
        self.fc6 = AtrousConv(before, 16 * width, dilation=fc6_dilation, **same)

    @typed
    def __call__(
        self,
        x: Float[Array, "b h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "b i j d"]:
        """Features of RGB images; in training, with a key, dropout."""
        for group, (*_, stride) in zip(self.groups, GROUPS, strict=True):
            for layer in group:
                x = nnx.relu(layer(x))
            x = max_pool(x, (3, 3), strides=(stride, stride), padding=(1, 1))
        x = avg_pool(x, (3, 3), strides=(1, 1), padding=(1, 1))
        x = nnx.relu(self.fc6(x))
        return dropout(x, 0.5, keys.within(key, "fc6") if train else None)

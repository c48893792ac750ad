"""Residual blocks in plain PyTorch, which several networks share.

Modules have the names of torchvision's `r3d_18`, for images too.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
NORM: dict[int, Callable[..., nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def conv_norm(
    inputs: int, outputs: int, kernel: Sequence[int], stride: int | tuple[int, ...]
) -> nn.Sequential:
    """Convolution without bias that keeps the size at stride 1, then batch norm."""
    padding = tuple(n // 2 for n in kernel)
    rank = len(kernel)
    conv = CONV[rank](inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, NORM[rank](outputs))


class ResidualBlock(nn.Module):
    """Two convolutions of 3 pixels an axis beside a shortcut; `gate` in between."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        rank: int,
        gate: nn.Module | None = None,
        shortcut: str = "conv",
    ) -> None:
        super().__init__()
        self.conv1 = conv_norm(inputs, outputs, (3,) * rank, stride)
        self.conv2 = conv_norm(outputs, outputs, (3,) * rank, 1)
        self.gate = gate or nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            self.downsample = (
                conv_norm(inputs, outputs, (1,) * rank, stride)
                if shortcut == "conv"
                else ZeroPad(outputs - inputs, stride)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.gate(self.conv2(self.conv1(x).relu()))
        return (y + self.downsample(x)).relu()


class ZeroPad(nn.Module):
    """Every `stride`-th pixel, with channels of zeros behind the others."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            steps = torch.arange(0, x.shape[axis], self.stride, device=x.device)
            x = x.index_select(axis, steps)
        zeros = x.new_zeros(x.shape[0], self.channels, *x.shape[2:])
        return torch.cat([x, zeros], dim=1)

"""The magnification network in plain PyTorch, by the names of its published weights."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Config(Protocol):
    """What it needs of a `MagnetConfig`."""

    @property
    def width(self) -> int: ...


def conv(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs,
        outputs,
        side,
        stride,
        side // 2,
        padding_mode="reflect",
        bias=False,
    )


class MagnetBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x).relu())


class Alone(nn.Module):
    """A convolution by the name of a block's first."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, side)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv1(x)


def blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(MagnetBlock(channels) for _ in range(count)))


class Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.conv1, self.conv2 = conv(3, width, 7), conv(width, wide, stride=2)
        self.resblks = blocks(wide, 3)
        self.conv1_text, self.resblks_text = conv(wide, wide, stride=2), blocks(wide, 2)
        self.conv1_shape, self.resblks_shape = conv(wide, wide), blocks(wide, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.resblks(self.conv2(self.conv1(x).relu()).relu())
        texture = self.resblks_text(self.conv1_text(x).relu())
        return texture, self.resblks_shape(self.conv1_shape(x).relu())


class Manipulator(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convblks = nn.Sequential(Alone(2 * width, 7))
        self.convblks_after = nn.Sequential(Alone(2 * width, 3))
        self.resblks = blocks(2 * width, 1)

    def forward(self, before: Tensor, after: Tensor, factor: Tensor) -> Tensor:
        motion = self.convblks(after - before).relu()
        motion = (factor - 1)[:, None, None, None] * motion
        return after + self.resblks(self.convblks_after(motion))


class Decoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * width
        self.conv1_text = conv(wide, wide)
        self.resblks = blocks(2 * wide, 9)
        self.conv1, self.conv2 = conv(2 * wide, wide), conv(wide, 3, 7)

    def forward(self, texture: Tensor, shape: Tensor) -> Tensor:
        texture = functional.interpolate(texture, scale_factor=2, mode="nearest")
        x = torch.cat([self.conv1_text(texture).relu(), shape], 1)
        x = functional.interpolate(self.resblks(x), scale_factor=2, mode="nearest")
        return self.conv2(self.conv1(x).relu())


class Magnet(nn.Module):
    """Takes an onset frame and another [b, 3, h, w] of -1 to 1, and factors [b]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.encoder = Encoder(width)
        self.manipulator = Manipulator(width)
        self.decoder = Decoder(width)

    def forward(self, onset: Tensor, frame: Tensor, factor: Tensor) -> Tensor:
        before, (texture, after) = self.encoder(onset)[1], self.encoder(frame)
        return self.decoder(texture, self.manipulator(before, after, factor))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `MagnetConfig`; nothing in it would be written faster."""
    return Magnet(config.width)

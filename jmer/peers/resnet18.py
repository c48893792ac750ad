"""ResNet-18 of grey images in plain PyTorch, with torchvision's names."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jmer.peers.aman import DEVIATION, MEAN, BasicBlock


class _Config(Protocol):
    """What it needs of a `Resnet18Config`."""

    @property
    def width(self) -> int: ...

    @property
    def shown(self) -> int: ...


class Resnet18(nn.Module):
    """Logits of images [b, 1, h, w] of pixels from 0 to 255. He et al. 2016."""

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(self, config: _Config, classes: int) -> None:
        super().__init__()
        self.shown, width = config.shown, config.width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for i in range(4):
            after = width * 2**i
            before, stride = (after, 1) if i == 0 else (after // 2, 2)
            first = BasicBlock(before, after, stride)
            blocks = nn.Sequential(first, BasicBlock(after, after, 1))
            setattr(self, f"layer{i + 1}", blocks)
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        size = (self.shown, self.shown)
        x = functional.interpolate(x.to(self.fc.weight), size, mode="bilinear")
        mean, deviation = (
            torch.tensor(np.array(v, np.float32))[:, None, None].to(x)
            for v in (MEAN, DEVIATION)
        )
        x = (x.expand(-1, 3, -1, -1) / 255 - mean) / deviation
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `Resnet18Config`; nothing in it would be written faster."""
    return Resnet18(config, classes)

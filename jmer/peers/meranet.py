"""MERANet in plain PyTorch, written from Gajjala et al. 2021, section 3."""

from typing import Protocol

import torch
from torch import Tensor, nn

from jmer.peers.resnet3d import ResNet3d


class _Config(Protocol):
    """What it needs of a `MeranetConfig`."""

    @property
    def width(self) -> int: ...

    @property
    def shortcut(self) -> str: ...

    @property
    def deviation(self) -> str: ...

    @property
    def attn(self) -> str: ...

    @property
    def ca_shared(self) -> str: ...

    @property
    def reduction(self) -> int: ...

    @property
    def st_kernel(self) -> int: ...


class ChannelGate(nn.Module):
    """Equations 6 to 9, with convolutions or linear layers without bias."""

    def __init__(self, channels: int, *, reduction: int, shared: str) -> None:
        super().__init__()
        self.pools = nn.AdaptiveAvgPool3d(1), nn.AdaptiveMaxPool3d(1)
        hidden = channels // reduction
        self.conv = shared == "conv"
        if self.conv:
            self.squeeze: nn.Module = nn.Conv3d(channels, hidden, 1, bias=False)
            self.excite: nn.Module = nn.Conv3d(hidden, channels, 1, bias=False)
        else:
            self.squeeze = nn.Linear(channels, hidden, bias=False)
            self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scores = []
        for pool in self.pools:
            pooled = pool(x) if self.conv else pool(x).flatten(1)
            scores.append(self.excite(self.squeeze(pooled).relu()))
        return x * torch.sigmoid(scores[0] + scores[1]).reshape(*x.shape[:2], 1, 1, 1)


class SpaceTimeGate(nn.Module):
    """Equations 1 to 5."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 1, kernel, padding="same", bias=False)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        maximum, _ = x.max(1, keepdim=True)
        return x * torch.sigmoid(self.conv(torch.cat([mean, maximum], 1)))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `MeranetConfig`, which is written for speed already."""

    def gate(channels: int) -> nn.Module:
        gates = nn.Sequential()
        if config.attn in ("ca", "both"):
            channel = ChannelGate(
                channels, reduction=config.reduction, shared=config.ca_shared
            )
            gates.add_module("channel", channel)
        if config.attn in ("st", "both"):
            gates.add_module("space_time", SpaceTimeGate(config.st_kernel))
        return gates

    return ResNet3d(
        width=config.width,
        classes=classes,
        shortcut=config.shortcut,
        deviation=config.deviation,
        gate=gate,
    )

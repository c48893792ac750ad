"""MERANet in plain PyTorch, written from Gajjala et al. 2021, section 3."""

import torch
from torch import nn

from jmer.peers.resnet3d import ResNet3d


class ChannelGate(nn.Module):
    """Equations 6 to 9, with convolutions or linear layers without bias."""

    def __init__(self, channels, *, reduction, shared):
        super().__init__()
        self.pools = nn.AdaptiveAvgPool3d(1), nn.AdaptiveMaxPool3d(1)
        hidden = channels // reduction
        self.conv = shared == "conv"
        if self.conv:
            self.squeeze = nn.Conv3d(channels, hidden, 1, bias=False)
            self.excite = nn.Conv3d(hidden, channels, 1, bias=False)
        else:
            self.squeeze = nn.Linear(channels, hidden, bias=False)
            self.excite = nn.Linear(hidden, channels, bias=False)

    def forward(self, x):
        score = 0
        for pool in self.pools:
            pooled = pool(x) if self.conv else pool(x).flatten(1)
            score = score + self.excite(self.squeeze(pooled).relu())
        return x * torch.sigmoid(score).reshape(*x.shape[:2], 1, 1, 1)


class SpaceTimeGate(nn.Module):
    """Equations 1 to 5."""

    def __init__(self, kernel):
        super().__init__()
        self.conv = nn.Conv3d(2, 1, kernel, padding="same", bias=False)

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        maximum, _ = x.max(1, keepdim=True)
        return x * torch.sigmoid(self.conv(torch.cat([mean, maximum], 1)))


def build(config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `MeranetConfig`, which is written for speed already."""
    options = {"reduction": config.reduction, "shared": config.ca_shared}

    def gate(channels):
        gates = nn.Sequential()
        if config.attn in ("ca", "both"):
            gates.add_module("channel", ChannelGate(channels, **options))
        if config.attn in ("st", "both"):
            gates.add_module("space_time", SpaceTimeGate(config.st_kernel))
        return gates

    return ResNet3d(
        width=config.width, classes=classes, shortcut=config.shortcut, gate=gate
    )

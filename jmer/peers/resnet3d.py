"""A 3D ResNet-18 in plain PyTorch, written from Tran et al. 2018, table 1 (R3D).

Modules have the names of torchvision's `r3d_18`.
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from jmer.peers.residual import ResidualBlock, conv_norm


class _Config(Protocol):
    """What it needs of a `Resnet3dConfig`."""

    @property
    def width(self) -> int: ...

    @property
    def shortcut(self) -> str: ...

    @property
    def deviation(self) -> str: ...


class ResNet3d(nn.Module):
    """Clips [b, 3, t, h, w] in any unit; `gate(channels)` makes a block's gate."""

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        *,
        width: int = 64,
        classes: int = 3,
        shortcut: str = "conv",
        deviation: str = "channel",
        gate: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.over = (2, 3, 4) if deviation == "channel" else (1, 2, 3, 4)
        self.stem = conv_norm(3, width, (3, 7, 7), (1, 2, 2))
        before = width
        for stage in range(4):
            after, stride = width * 2**stage, 2 if stage else 1
            blocks = [
                ResidualBlock(
                    c, after, s, rank=3, gate=gate and gate(after), shortcut=shortcut
                )
                for c, s in ((before, stride), (after, 1))
            ]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            before = after
        self.fc = nn.Linear(before, classes)

    def forward(self, clip: Tensor) -> Tensor:
        x = clip.to(self.fc.weight.dtype)
        x = x - x.mean((2, 3, 4), keepdim=True)
        x = x / (x.square().mean(self.over, keepdim=True) + 1e-6).sqrt()
        x = self.stem(x).relu()
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return self.fc(x.mean((2, 3, 4)))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `Resnet3dConfig`, which is written for speed already."""
    return ResNet3d(
        width=config.width,
        classes=classes,
        shortcut=config.shortcut,
        deviation=config.deviation,
    )

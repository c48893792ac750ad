"""STSTNet in plain PyTorch, written from Liong et al. 2019, figure 2."""

from typing import Protocol

import torch
from torch import Tensor, nn


class _Config(Protocol):
    """What it needs of a `STSTNetConfig`."""

    @property
    def filters(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int: ...

    @property
    def dropout(self) -> float: ...


class STSTNet(nn.Module):
    """Three streams that share their image [b, 3, size, size] and meet at `fc`."""

    def __init__(
        self,
        *,
        filters: tuple[int, ...] = (3, 5, 8),
        size: int = 28,
        classes: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.streams = len(filters)
        for i, channels in enumerate(filters, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(3, channels, 3, padding=2))
            setattr(self, f"bn{i}", nn.BatchNorm2d(channels))
        self.pool = nn.MaxPool2d(3, stride=3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.mean = nn.AvgPool2d(2)
        side = ((size + 4) // 3) // 2
        self.fc = nn.Linear(side * side * sum(filters), classes)

    def features(self, image: Tensor) -> Tensor:
        streams = []
        for i in range(1, self.streams + 1):
            conv, norm = getattr(self, f"conv{i}"), getattr(self, f"bn{i}")
            streams.append(self.dropout(self.pool(norm(torch.relu(conv(image))))))
        return self.mean(torch.cat(streams, dim=1)).flatten(start_dim=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.features(image))


class TunedSTSTNet(nn.Module):
    """The same function as one would write it for speed: the streams as one."""

    def __init__(
        self,
        *,
        filters: tuple[int, ...] = (3, 5, 8),
        size: int = 28,
        classes: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        channels = sum(filters)
        self.streams = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=2),
            nn.ReLU(),
            nn.BatchNorm2d(channels),
            nn.MaxPool2d(3, stride=3, padding=1),
            nn.Dropout(dropout),
            nn.AvgPool2d(2),
        )
        side = ((size + 4) // 3) // 2
        self.fc = nn.Linear(side * side * channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.fc(self.streams(image).flatten(start_dim=1))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `STSTNetConfig`."""
    kind = TunedSTSTNet if tuned else STSTNet
    return kind(
        filters=config.filters,
        size=config.size,
        classes=classes,
        dropout=config.dropout,
    )

"""Off-ApexNet in plain PyTorch, from the layers that meb and the paper list."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Config(Protocol):
    """What it needs of an `OffApexNetConfig`."""

    @property
    def streams(self) -> str: ...

    @property
    def filters(self) -> tuple[int, int]: ...

    @property
    def kernel(self) -> int: ...

    @property
    def hidden(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int: ...

    @property
    def dropout(self) -> float: ...

    @property
    def zero(self) -> float: ...

    @property
    def unit(self) -> float: ...


class OffApexNet(nn.Module):
    """Flow [b, 3, size, size], of which the third channel, strain, is not used."""

    def __init__(self, config: _Config, classes: int) -> None:
        super().__init__()
        self.config = config
        first, second = config.filters
        self.apart = config.streams == "separate"
        names = ("u", "v") if self.apart else ("uv",)
        window, around = config.kernel, config.kernel // 2
        self.first, self.second = nn.ModuleDict(), nn.ModuleDict()
        for name in names:
            self.first[name] = nn.Conv2d(len(name), first, window, padding=around)
            self.second[name] = nn.Conv2d(first, second, window, padding=around)
        width = len(names) * second * (config.size // 4) ** 2
        dense: list[nn.Module] = []
        for units in config.hidden:
            dense += [nn.Dropout(config.dropout), nn.Linear(width, units), nn.ReLU()]
            width = units
        self.dense = nn.Sequential(*dense)
        self.drop = nn.Dropout(config.dropout)
        self.fc = nn.Linear(width, classes)

    def stream(self, name: str, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.first[name](x).relu(), 2)
        x = functional.max_pool2d(self.second[name](x).relu(), 2)
        return x.flatten(start_dim=1)

    def forward(self, image: Tensor) -> Tensor:
        u, v, _ = ((image - self.config.zero) / self.config.unit).unbind(dim=1)
        if self.apart:
            streams = [
                self.stream("u", u.unsqueeze(1)),
                self.stream("v", v.unsqueeze(1)),
            ]
            x = torch.cat(streams, dim=1)
        else:
            x = self.stream("uv", torch.stack([u, v], dim=1))
        return self.fc(self.drop(self.dense(x)))


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of an `OffApexNetConfig`, which has no other form for speed."""
    return OffApexNet(config, classes)

"""AMAN in plain PyTorch, written from the paper; torchvision's names in ResNet-18."""

from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jmer.peers.magnet import Magnet

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Config(Protocol):
    """What it needs of an `AmanConfig`."""

    @property
    def width(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def n(self) -> int: ...

    @property
    def magnify(self) -> str: ...

    @property
    def magnify_size(self) -> int: ...

    @property
    def factors(self) -> tuple[float, ...]: ...

    @property
    def amp_offset(self) -> float: ...

    @property
    def rounded(self) -> bool: ...

    @property
    def pick(self) -> str: ...

    @property
    def norm(self) -> str: ...

    @property
    def ma(self) -> str: ...

    @property
    def fa(self) -> str: ...


def picked(config: _Config) -> list[int]:
    """Numbers of the frames that the network sees."""
    n, frames = config.n, config.frames
    if config.pick == "linspace":
        return [round(i * (frames - 1) / max(n - 1, 1)) for i in range(n)]
    if config.pick == "step" or n == frames:
        return [int(i * frames / n + 1e-9) for i in range(n)]
    return [1 + int((i + 0.5) * (frames - 1) / n + 1e-9) for i in range(n)]


class BasicBlock(nn.Module):
    """He et al. 2016, figure 5, left."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.downsample(x)).relu()


class WeighedMean(nn.Module):
    """Equations 5 to 7: a mean over the axis before the last."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weight = torch.sigmoid(self.score(x))
        return (weight * x).sum(-2) / weight.sum(-2), weight[..., 0]


class Aman(nn.Module):
    """Logits of clips [b, 3, t, h, w], or of features [b, c, n, k, h, w] of the frozen
    part; `explain` adds the weights of factors and frames.
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self, config: _Config, classes: int, *, magnet_width: int = 16
    ) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for i in range(4):
            after = width * 2**i
            before, stride = (after, 1) if i == 0 else (after // 2, 2)
            first = BasicBlock(before, after, stride)
            blocks = nn.Sequential(first, BasicBlock(after, after, 1))
            setattr(self, f"layer{i + 1}", blocks)
        self.frozen: list[nn.Module] = [
            self.conv1,
            self.bn1,
            self.layer1,
            self.layer2,
            self.layer3,
        ]
        self.magnet = None
        if config.magnify == "network":
            self.magnet = Magnet(magnet_width)
            self.frozen.append(self.magnet)
        for part in self.frozen:
            part.requires_grad_(False)
        self.alpha = WeighedMean(8 * width) if config.ma == "attn" else None
        self.beta = WeighedMean(8 * width) if config.fa == "attn" else None
        self.fc = nn.Linear(8 * width, classes)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    @torch.no_grad()
    def magnified(self, clip: Tensor) -> Tensor:
        """Images [b, n, k, 3, h, w] of pixels, of [b, 3, t, h, w]."""
        config = self.config
        frames = clip[:, :, picked(config)].transpose(1, 2)
        onset = clip[:, :, :1].transpose(1, 2).expand_as(frames)
        by_factor = []
        for factor in config.factors:
            factor = factor + config.amp_offset
            if self.magnet is None:
                images = onset + factor * (frames - onset)
            else:
                images = self.by_network(self.magnet, onset, frames, factor)
            by_factor.append(images)
        images = torch.stack(by_factor, 2).clamp(0, 255)
        if config.rounded:
            images = images.round()
        if images.shape[-1] > config.size:
            sides = (config.size, config.size)
            small = functional.interpolate(
                images.flatten(0, 2), sides, mode="bilinear", antialias=True
            )
            images = small.unflatten(0, images.shape[:3])
            if config.rounded:
                images = images.round()
        return images

    def by_network(
        self, network: Magnet, onset: Tensor, frames: Tensor, factor: float
    ) -> Tensor:
        side = self.config.magnify_size or frames.shape[-1]
        pair = [
            functional.interpolate(x.flatten(0, 1), (side, side), mode="bilinear")
            / 127.5
            - 1
            for x in (onset, frames)
        ]
        made = network(*pair, torch.full((len(pair[0]),), factor).to(pair[0]))
        made = functional.interpolate(
            (made + 1) * 127.5, frames.shape[-2:], mode="bilinear"
        )
        return made.unflatten(0, frames.shape[:2])

    @torch.no_grad()
    def features(self, clip: Tensor) -> Tensor:
        """Of the third stage, [b, n, k, c, h, w]."""
        images = self.magnified(clip)
        mean, deviation = (
            torch.tensor(np.array(v, np.float32))[:, None, None].to(images)
            for v in (MEAN, DEVIATION)
        )
        x = ((images / 255 - mean) / deviation).flatten(0, 2)
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer3(self.layer2(self.layer1(x)))
        return x.unflatten(0, images.shape[:3])

    def explain(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        x = self.features(x) if x.ndim == 5 else x.movedim(1, 3)
        shown = {}
        if self.config.norm == "per-image":
            # As the authors do: batch norm sees one frame by one factor at a time.
            each = [self.layer4(one) for one in x.flatten(1, 2).unbind(1)]
            y = torch.stack(each, 1)
        else:
            y = self.layer4(x.flatten(0, 2)).unflatten(0, (len(x), -1))
        y = y.mean((3, 4)).unflatten(1, x.shape[1:3])
        for name, attention in (("factor", self.alpha), ("frame", self.beta)):
            if attention is None:
                y = y.mean(-2)
            else:
                y, shown[f"{name}_weight"] = attention(y)
        return self.fc(y), shown

    def forward(self, x: Tensor) -> Tensor:
        return self.explain(x)[0]


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of an `AmanConfig`; nothing in it would be written faster."""
    return Aman(config, classes)

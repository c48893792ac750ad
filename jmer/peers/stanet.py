"""STANet in plain PyTorch, written from the paper; torchvision's names in its trunk."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Config(Protocol):
    """What it needs of a `STANetConfig`."""

    @property
    def width(self) -> int: ...

    @property
    def input(self) -> str: ...

    @property
    def sab(self) -> bool: ...

    @property
    def mask(self) -> str: ...

    @property
    def levels(self) -> int: ...

    @property
    def tab(self) -> bool: ...

    @property
    def lstm(self) -> int: ...

    @property
    def affinity_scale(self) -> str: ...

    @property
    def attended(self) -> int: ...

    @property
    def directions(self) -> str: ...

    @property
    def summary(self) -> str: ...


def conv_norm(
    inputs: int, outputs: int, window: int, stride: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    padding = window // 2
    conv = nn.Conv2d(inputs, outputs, window, stride, padding, bias=False)
    return conv, nn.BatchNorm2d(outputs)


class BasicBlock(nn.Module):
    """He et al. 2016, figure 5, left."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = conv_norm(outputs, outputs, 3)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class SpatialAttention(nn.Module):
    """Section 3.1: down and up again, with sums across."""

    def __init__(self, channels: int, outputs: int, levels: int) -> None:
        super().__init__()

        def layers(count: int) -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(*conv_norm(channels, channels, 3)) for _ in range(count)
            )

        self.down, self.bottom, self.up = layers(levels), layers(1), layers(levels)
        self.mask = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            x = torch.relu(layer(x))
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = torch.relu(self.bottom[0](x))
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = functional.interpolate(
                x, skip.shape[-2:], mode="bilinear", align_corners=False
            )
            x = torch.relu(layer(x + skip))
        return torch.sigmoid(self.mask(x))


class STANet(nn.Module):
    """Logits of flow [b, 2, t, h, w]; `explain` adds the mask and frame weights."""

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(self, config: _Config, classes: int) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.conv1 = nn.Conv2d(
            3 if config.input == "rgb" else 2, width, 7, 2, 3, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        for i in range(4):
            after = width * 2**i
            before = after if i == 0 else after // 2
            first = BasicBlock(before, after, 1 if i == 0 else 2)
            setattr(
                self, f"layer{i + 1}", nn.Sequential(first, BasicBlock(after, after, 1))
            )
        if config.sab:
            middle = (1, 2, 4, 8)[config.attended - 1] * width
            outputs = middle if config.mask == "channels" else 1
            self.attention = SpatialAttention(middle, outputs, config.levels)
        both = config.directions == "both"
        if config.tab:
            self.lstm = nn.LSTM(
                8 * width, config.lstm, batch_first=True, bidirectional=both
            )
        state = (1 + both) * config.lstm
        self.fc = nn.Linear(state if config.summary == "state" else 8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )

    def explain(self, flow: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if self.config.input == "rgb":
            flow = colours(flow)
        b, _, t = flow.shape[:3]
        x = flow.transpose(1, 2).flatten(0, 1)
        x = functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        mask = weight = None
        stages = self.layer1, self.layer2, self.layer3, self.layer4
        for number, stage in enumerate(stages, start=1):
            x = stage(x)
            if self.config.sab and number == self.config.attended:
                mask = self.attention(x)
                x = (1 + mask) * x
        x = x.mean((2, 3)).unflatten(0, (b, t))
        if self.config.tab:
            states, (last, _) = self.lstm(x)
            product = states @ states.transpose(1, 2)
            if self.config.affinity_scale == "rsqrt":
                product = product / states.shape[-1] ** 0.5
            weight = torch.softmax(torch.tanh(product).sum(2), dim=1)
            x = (1 + weight)[..., None] * x
        if self.config.summary == "state":
            return self.fc(last.transpose(0, 1).flatten(1)), mask, weight
        whole = x.mean(1) if self.config.summary == "mean" else x[:, -1]
        return self.fc(whole), mask, weight

    def forward(self, flow: Tensor) -> Tensor:
        return self.explain(flow)[0]


def colours(flow: Tensor) -> Tensor:
    """The colour wheel of Baker et al. 2011 as a table of 55 hues, channels first."""
    hues = []
    corners = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1))
    for k, count in enumerate((15, 6, 4, 11, 13, 6)):
        here, there = torch.tensor(corners[k]), torch.tensor(corners[(k + 1) % 6])
        hues += [here + (there - here) * i / count for i in range(count)]
    wheel = torch.stack([*hues, hues[0]]).float()
    u, v = flow[:, 0], flow[:, 1]
    place = torch.atan2(v, u) / (2 * torch.pi) * 55
    place = torch.where(place < 0, place + 55, place).clamp(0, 55)
    low = place.floor().clamp(max=54).long()
    share = (place - low)[..., None]
    hue = (1 - share) * wheel[low] + share * wheel[low + 1]
    speed = (u**2 + v**2).sqrt()
    fastest = speed.amax((1, 2, 3), keepdim=True)
    speed = speed / torch.where(fastest > 0, fastest, 1)
    return (1 - speed[..., None] * (1 - hue)).movedim(-1, 1)


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `STANetConfig`; nothing in it would be written faster."""
    return STANet(config, classes)

"""Time-contrasted features with visual memory in plain PyTorch, written from the paper;
torchvision's names in VGG-16.
"""

from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN = (103.939, 116.779, 123.68)  # blue, green, red


class _Config(Protocol):
    """What it needs of a `VisualMemoryConfig`."""

    @property
    def phase(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def hidden(self) -> int: ...

    @property
    def fc6_dilation(self) -> int: ...

    @property
    def temporal_net(self) -> bool: ...

    @property
    def train_motion(self) -> bool: ...

    @property
    def flow_channels(self) -> str: ...

    @property
    def contrast(self) -> bool: ...

    @property
    def context(self) -> str: ...

    @property
    def context_dilation(self) -> int: ...

    @property
    def memory(self) -> str: ...

    @property
    def memory_channels(self) -> int: ...

    @property
    def intensity(self) -> bool: ...

    @property
    def padded(self) -> bool: ...

    @property
    def steps_count(self) -> str: ...


def conv(inputs: int, outputs: int, window: int, **options: Any) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, window, **options)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def conv_norm(inputs: int, outputs: int, window: int, bias: bool) -> nn.Sequential:
    layer = conv(inputs, outputs, window, padding=window // 2, bias=bias)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def large_fov(width: int) -> nn.Sequential:
    """Chen et al. 2015, up to what fc6 sees."""
    layers: list[nn.Module] = []
    before = 3
    for stage, (count, widths) in enumerate(((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))):
        dilation = 2 if stage == 4 else 1
        for _ in range(count):
            around = {"padding": dilation, "dilation": dilation}
            layers += [conv(before, widths * width, 3, **around), nn.ReLU()]
            before = widths * width
        layers.append(nn.MaxPool2d(3, 2 if stage < 3 else 1, 1))
    return nn.Sequential(*layers, nn.AvgPool2d(3, 1, 1))


class MotionNet(nn.Module):
    """Tokmakov et al. 2017, with half of its decoder."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [2, *(width * 2**i for i in range(4))]
        self.encoder = nn.ModuleList(
            conv_norm(sizes[i], sizes[i + 1], window, True)
            for i, window in enumerate((7, 5, 3, 3))
        )
        self.decoder = nn.ModuleList(
            [
                conv_norm(16 * width, 2 * width, 3, False),
                conv_norm(6 * width, width, 3, False),
            ]
        )
        self.mask = conv(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.encoder:
            skips.append(layer(x).relu())
            x = functional.max_pool2d(skips[-1], 2)
        for layer, skip in zip(self.decoder, (skips[3], skips[2]), strict=True):
            x = functional.interpolate(
                x, scale_factor=2, mode="bilinear", align_corners=False
            )
            x = layer(torch.cat([x, skip], 1)).relu()
        return self.mask(x).sigmoid()


class ConvGRU(nn.Module):
    """Ballas et al. 2016: gates of the input and the state side by side."""

    def __init__(self, inputs: int, hidden: int, window: int) -> None:
        super().__init__()
        self.hidden = hidden
        both = inputs + hidden
        self.gates = nn.Conv2d(both, 2 * hidden, window, padding=window // 2)
        self.new = nn.Conv2d(both, hidden, window, padding=window // 2)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.hidden, *x.shape[3:])
        states = []
        for now in x.unbind(1):
            gates = self.gates(torch.cat([now, state], 1)).sigmoid()
            reset, update = gates.chunk(2, 1)
            new = self.new(torch.cat([now, reset * state], 1)).tanh()
            state = (1 - update) * new + update * state
            states.append(state)
        return torch.stack(states, 1)


class VisualMemory(nn.Module):
    """Logits of a clip [b, 3, t, h, w] and its flow; `explain` adds those of each step
    and its intensity, and the motion.
    """

    def __init__(self, config: _Config, classes: int) -> None:
        super().__init__()
        self.config = config
        width, units = config.width, config.hidden
        channels = 2 * width
        self.features = large_fov(width)
        d = config.fc6_dilation
        self.fc6 = conv(8 * width, 16 * width, 3, padding=d, dilation=d)
        self.drop = nn.Dropout(0.5)
        self.reduce = nn.ModuleList(
            [conv(16 * width, 4 * width, 1), conv(4 * width, channels, 1)]
        )
        stacked = 2 * channels
        if config.temporal_net:
            self.motion = MotionNet(width)
            stacked += 1
        if config.contrast:
            same = {"bias": False}
            self.local = conv(channels, channels, 3, padding=1, **same)
            gap = config.context == "gap"
            apart = config.context_dilation
            around = {} if gap else {"padding": apart, "dilation": apart}
            self.context = conv(channels, channels, 1 if gap else 3, **around, **same)
            stacked += 3 * channels
        self.fuse = conv(stacked, units, 1)
        if config.memory == "convgru":
            self.memory: nn.Module = ConvGRU(units, config.memory_channels, 7)
        else:
            pixels = (config.size // 8) ** 2
            self.flatten = nn.ModuleList(
                [linear(pixels * units, units), linear(units, units)]
            )
        if config.memory == "gru":
            self.memory = nn.GRU(units, units, batch_first=True)
        seen = config.memory_channels if config.memory == "convgru" else units
        heads = {"classes": classes} | ({"intensity": 1} if config.intensity else {})
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(linear(seen, units), nn.ReLU(), linear(units, n))
                for name, n in heads.items()
            }
        )

    def explain(
        self,
        clip: Tensor,
        flow: Tensor | None = None,
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        b, _, t = clip.shape[:3]
        x = self.drop(self.fc6(self.features(_frames(clip))).relu())
        for layer in self.reduce:
            x = layer(x).tanh()
        parts = [_of_pair(x, b, 0), _of_pair(x, b, 1)]
        if self.config.contrast:
            gap = self.config.context == "gap"
            seen = x.mean((2, 3), keepdim=True) if gap else x
            local, context = self.local(x), self.context(seen).expand_as(x)
            parts += [
                _of_pair(local, b, 0) - _of_pair(context, b, 1),
                _of_pair(local, b, 0) - _of_pair(local, b, 1),
                _of_pair(local, b, 1) - _of_pair(context, b, 0),
            ]
        motion = None
        if self.config.temporal_net:
            assert flow is not None
            there = x.new_ones(b, t) if present is None else present
            motion = self._move(self._channels(flow), there[:, 1:].flatten() > 0)
            parts.append(motion)
        x = self.fuse(torch.cat(parts, 1)).relu().unflatten(0, (b, t - 1))
        if self.config.memory == "convgru":
            x = self.memory(x).mean((3, 4))
        else:
            x = x.flatten(2)
            for layer in self.flatten:
                x = layer(x).relu()
            if self.config.memory == "gru":
                x, _ = self.memory(x)
        steps = self.heads["classes"](x)
        intensity = None
        if self.config.intensity:
            intensity = self.heads["intensity"](x)[..., 0].sigmoid()
        counts = torch.ones_like(steps[..., 0])
        if self.config.steps_count == "by-intensity":
            assert intensity is not None
            counts = intensity
        if present is not None:
            counts = counts * present[:, 1:]
        each = steps.softmax(-1) * (counts / counts.sum(1, keepdim=True))[..., None]
        return each.sum(1).log(), steps, intensity, motion

    def train(self, mode: bool = True) -> Self:
        """What is not trained stays in evaluation mode."""
        super().train(mode)
        if self.config.phase == "memory":
            alone = [self.features, self.fc6, self.drop]
            if self.config.temporal_net and not self.config.train_motion:
                alone.append(self.motion)
            for part in alone:
                part.eval().requires_grad_(False)
        return self

    def _move(self, fields: Tensor, there: Tensor) -> Tensor:
        """The mask of each field that is `there`, which alone are seen; 0 elsewhere."""
        found = functional.avg_pool2d(self.motion(fields[there]), 2)
        mask = found.new_zeros(len(fields), *found.shape[1:])
        mask[there] = found
        return mask

    def _channels(self, flow: Tensor) -> Tensor:
        flow = flow.transpose(1, 2).flatten(0, 1)
        if self.config.flow_channels == "uv":
            return flow
        angle = torch.atan2(flow[:, 1], flow[:, 0]) / torch.pi
        size = flow.square().sum(1).sqrt()
        largest = size.amax((1, 2), keepdim=True)
        share = size / torch.where(largest > 0, largest, 1)
        return torch.stack([angle, share], 1)

    def forward(self, clip: Tensor, *others: Tensor) -> Tensor:
        """The intensity that frames learn comes behind flow, and is not looked at; last
        come the frames that are there.
        """
        flow = others[0] if self.config.temporal_net else None
        return self.explain(clip, flow, others[-1] if self.config.padded else None)[0]


class FrameClassifier(nn.Module):
    """The spatial network and a linear layer of its mean; logits of each frame too."""

    def __init__(self, config: _Config, classes: int) -> None:
        super().__init__()
        width, d = config.width, config.fc6_dilation
        self.features = large_fov(width)
        self.fc6 = conv(8 * width, 16 * width, 3, padding=d, dilation=d)
        self.drop = nn.Dropout(0.5)
        self.emotion = linear(16 * width, classes)
        self.padded = config.padded

    def explain(
        self, clip: Tensor, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.drop(self.fc6(self.features(_frames(clip))).relu())
        frames = self.emotion(x.mean((2, 3))).unflatten(0, (len(clip), -1))
        shares = frames.softmax(-1)
        if present is None:
            return shares.mean(1).log(), frames
        there = present[..., None].float()
        return ((shares * there).sum(1) / there.sum(1)).log(), frames

    def forward(self, clip: Tensor, *others: Tensor) -> Tensor:
        return self.explain(clip, others[-1] if self.padded else None)[0]


def _frames(clip: Tensor) -> Tensor:
    """Images [b * t, 3, h, w], blue first, of [b, 3, t, h, w]."""
    mean = clip.new_tensor(MEAN)[:, None, None]
    return clip.transpose(1, 2).flatten(0, 1).flip(1) - mean


def _of_pair(x: Tensor, clips: int, which: int) -> Tensor:
    """Maps of the first (0) or second (1) frame of every pair, [b * s, c, h, w]."""
    x = x.unflatten(0, (clips, -1))
    last = x.shape[1] - 1
    return x[:, which : which + last].flatten(0, 1)


def build(config: _Config, classes: int, *, tuned: bool) -> nn.Module:
    """The twin of a `VisualMemoryConfig`; nothing in it would be written faster."""
    kind = FrameClassifier if config.phase == "spatial" else VisualMemory
    return kind(config, classes)

"""FlowNet 2.0 in plain PyTorch, with the names of the published state dictionary.

Channels first; no custom kernels, so that it runs on a CPU. `width` is the channels of
the first layer, 64 in the published weights.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1


def conv(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, side, stride, padding=(side - 1) // 2)
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE))


def inter_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1))


def predict_flow(inputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, 2, 3, padding=1)


def deconv(inputs: int, outputs: int) -> nn.Sequential:
    layer = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE))


def correlation(
    first: Tensor, second: Tensor, reach: int = 20, step: int = 2
) -> Tensor:
    """[b, 441, h, w], by shifting the padded second features."""
    h, w = first.shape[2:]
    padded = functional.pad(second, (reach, reach, reach, reach))
    maps = []
    for down in range(0, 2 * reach + 1, step):
        for right in range(0, 2 * reach + 1, step):
            moved = padded[:, :, down : down + h, right : right + w]
            maps.append((first * moved).mean(1))
    return torch.stack(maps, 1)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Bilinear, with each of the four pixels clamped to the image."""
    b, _, h, w = image.shape
    x = torch.arange(w) + flow[:, 0]
    y = torch.arange(h)[:, None] + flow[:, 1]
    x0, y0 = x.floor(), y.floor()
    moved = torch.zeros_like(image)
    for down in (0, 1):
        for right in (0, 1):
            column = (x0 + right).clamp(0, w - 1).long()
            row = (y0 + down).clamp(0, h - 1).long()
            share_x = x - x0 if right else 1 - (x - x0)
            share_y = y - y0 if down else 1 - (y - y0)
            batch = torch.arange(b)[:, None, None]
            pixel = image[batch, :, row, column].permute(0, 3, 1, 2)
            moved = moved + (share_x * share_y)[:, None] * pixel
    return moved


class Refined(nn.Module):
    """The layers from 1/64 of the size up to a quarter, in C, S and SD."""

    def add_refinement(
        self, width: int, *, smooth: bool = False, bias: bool = True
    ) -> None:
        deep, skips, outputs = 16 * width, (8, 8, 4, 2), (8, 4, 2, 1)
        self.predict_flow6 = predict_flow(deep)
        inputs = deep
        for level, skip, output in zip((5, 4, 3, 2), skips, outputs, strict=True):
            setattr(self, f"deconv{level}", deconv(inputs, output * width))
            setattr(
                self,
                f"upsampled_flow{level + 1}_to_{level}",
                nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=bias),
            )
            inputs = (skip + output) * width + 2
            if smooth:
                setattr(self, f"inter_conv{level}", inter_conv(inputs, output * width))
            predicting = predict_flow(output * width if smooth else inputs)
            setattr(self, f"predict_flow{level}", predicting)

    def add_deep(self, width: int) -> None:
        self.conv4 = conv(4 * width, 8 * width, stride=2)
        self.conv4_1 = conv(8 * width, 8 * width)
        self.conv5 = conv(8 * width, 8 * width, stride=2)
        self.conv5_1 = conv(8 * width, 8 * width)
        self.conv6 = conv(8 * width, 16 * width, stride=2)
        self.conv6_1 = conv(16 * width, 16 * width)

    def finish(self, conv3: Tensor, conv2: Tensor) -> Tensor:
        conv4 = self.conv4_1(self.conv4(conv3))
        conv5 = self.conv5_1(self.conv5(conv4))
        x = self.conv6_1(self.conv6(conv5))
        flow = self.predict_flow6(x)
        for level, skip in zip((5, 4, 3, 2), (conv5, conv4, conv3, conv2), strict=True):
            finer = getattr(self, f"upsampled_flow{level + 1}_to_{level}")(flow)
            x = torch.cat([skip, getattr(self, f"deconv{level}")(x), finer], 1)
            smooth = getattr(self, f"inter_conv{level}", nn.Identity())
            flow = getattr(self, f"predict_flow{level}")(smooth(x))
        return flow


class FlowNetC(Refined):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv(3, width, 7, 2)
        self.conv2 = conv(width, 2 * width, 5, 2)
        self.conv3 = conv(2 * width, 4 * width, 5, 2)
        self.conv_redir = conv(4 * width, width // 2, 1)
        self.conv3_1 = conv(width // 2 + 441, 4 * width)
        self.add_deep(width)
        self.add_refinement(width)

    def forward(self, x: Tensor) -> Tensor:
        first, second = x[:, :3], x[:, 3:]
        conv2 = self.conv2(self.conv1(first))
        one, two = self.conv3(conv2), self.conv3(self.conv2(self.conv1(second)))
        alike = functional.leaky_relu(correlation(one, two), SLOPE)
        joined = torch.cat([self.conv_redir(one), alike], 1)
        return self.finish(self.conv3_1(joined), conv2)


class FlowNetS(Refined):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv(12, width, 7, 2)
        self.conv2 = conv(width, 2 * width, 5, 2)
        self.conv3 = conv(2 * width, 4 * width, 5, 2)
        self.conv3_1 = conv(4 * width, 4 * width)
        self.add_deep(width)
        self.add_refinement(width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        conv2 = self.conv2(self.conv1(x))
        return self.finish(self.conv3_1(self.conv3(conv2)), conv2)


class FlowNetSD(Refined):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0 = conv(6, width)
        self.conv1 = conv(width, width, stride=2)
        self.conv1_1 = conv(width, 2 * width)
        self.conv2 = conv(2 * width, 2 * width, stride=2)
        self.conv2_1 = conv(2 * width, 2 * width)
        self.conv3 = conv(2 * width, 4 * width, stride=2)
        self.conv3_1 = conv(4 * width, 4 * width)
        self.add_deep(width)
        self.add_refinement(width, smooth=True)

    def forward(self, x: Tensor) -> Tensor:
        conv1 = self.conv1_1(self.conv1(self.conv0(x)))
        conv2 = self.conv2_1(self.conv2(conv1))
        return self.finish(self.conv3_1(self.conv3(conv2)), conv2)


class FlowNetFusion(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv0 = conv(11, width)
        self.conv1 = conv(width, width, stride=2)
        self.conv1_1 = conv(width, 2 * width)
        self.conv2 = conv(2 * width, 2 * width, stride=2)
        self.conv2_1 = conv(2 * width, 2 * width)
        self.deconv1 = deconv(2 * width, half)
        self.deconv0 = deconv(2 * width + half + 2, quarter)
        self.inter_conv1 = inter_conv(2 * width + half + 2, half)
        self.inter_conv0 = inter_conv(width + quarter + 2, quarter)
        self.predict_flow2 = predict_flow(2 * width)
        self.predict_flow1 = predict_flow(half)
        self.predict_flow0 = predict_flow(quarter)
        self.upsampled_flow2_to_1 = nn.ConvTranspose2d(2, 2, 4, 2, 1)
        self.upsampled_flow1_to_0 = nn.ConvTranspose2d(2, 2, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        conv0 = self.conv0(x)
        conv1 = self.conv1_1(self.conv1(conv0))
        conv2 = self.conv2_1(self.conv2(conv1))
        finer = self.upsampled_flow2_to_1(self.predict_flow2(conv2))
        x = torch.cat([conv1, self.deconv1(conv2), finer], 1)
        finer = self.upsampled_flow1_to_0(self.predict_flow1(self.inter_conv1(x)))
        x = torch.cat([conv0, self.deconv0(x), finer], 1)
        return self.predict_flow0(self.inter_conv0(x))


class FlowNet2(nn.Module):
    """Takes frames [b, 3, 2, h, w] of values 0 to 255."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.flownetc = FlowNetC(width)
        self.flownets_1 = FlowNetS(width)
        self.flownets_2 = FlowNetS(width)
        self.flownets_d = FlowNetSD(width)
        self.flownetfusion = FlowNetFusion(width)

    def forward(self, frames: Tensor) -> Tensor:
        x = (frames - frames.mean((2, 3, 4), keepdim=True)) / 255
        first, second = x[:, :, 0], x[:, :, 1]
        x = torch.cat([first, second], 1)

        def length(y: Tensor) -> Tensor:
            return y.pow(2).sum(1, keepdim=True).sqrt()

        def linear(y: Tensor) -> Tensor:
            return functional.interpolate(
                y, scale_factor=4, mode="bilinear", align_corners=False
            )

        def nearest(y: Tensor) -> Tensor:
            return functional.interpolate(y, scale_factor=4, mode="nearest")

        flow = linear(20 * self.flownetc(x))
        moved = warp(second, flow)
        seen = torch.cat([x, moved, flow / 20, length(first - moved)], 1)
        flow = linear(20 * self.flownets_1(seen))
        moved = warp(second, flow)
        seen = torch.cat([x, moved, flow / 20, length(first - moved)], 1)
        large = nearest(20 * self.flownets_2(seen))
        small = nearest(self.flownets_d(x) / 20)
        errors = [length(first - warp(second, flow)) for flow in (small, large)]
        last = [first, small, large, length(small), length(large), *errors]
        return self.flownetfusion(torch.cat(last, 1))


def random_twin(seed: int, width: int) -> FlowNet2:
    """Weights such that every layer's values, and the flows, are of some size."""
    torch.manual_seed(seed)
    twin = FlowNet2(width).eval()
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if name.endswith("bias"):
                value.copy_(0.2 * torch.randn(value.shape))
                continue
            wide = "deconv" in name or "upsampled" in name
            # A value of a deconvolution has 4 of the kernel's 16 places.
            fan_in = value.shape[0] * 4 if wide else value[0].numel()
            value.copy_(torch.randn(value.shape) * (1.5 / fan_in) ** 0.5)
    return twin


def seen(first: np.ndarray, second: np.ndarray) -> Tensor:
    """jmer's frames [b, h, w, 3] as the twin takes them."""
    frames = [torch.as_tensor(f).float().movedim(-1, 1) for f in (first, second)]
    return torch.stack(frames, 2)

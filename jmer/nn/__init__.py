"""Layers that networks are built from: channels last, batch first, no random state."""

from jmer.nn.atrous import AtrousConv
from jmer.nn.attention import attention, attention_weights
from jmer.nn.block import ConvBlock
from jmer.nn.colour_wheel import wheel_colours
from jmer.nn.contrast import Context, TimeContrast
from jmer.nn.conv import Conv
from jmer.nn.cross import CrossFusion
from jmer.nn.drop_path import drop_path
from jmer.nn.dropout import dropout
from jmer.nn.gates import ChannelGate, Gates, Shared, SpaceTimeGate
from jmer.nn.gru import GRU, ConvGRU
from jmer.nn.hourglass import HourglassMask
from jmer.nn.imagenet import imagenet
from jmer.nn.init import (
    glorot,
    glorot_channels,
    kaiming,
    narrow_normal,
    torch_bias,
    torch_kernel,
)
from jmer.nn.largefov import LargeFOV
from jmer.nn.linear import Linear
from jmer.nn.lowering.choice import LOWERINGS, Lowering, use_lowering
from jmer.nn.lstm import BiLSTM
from jmer.nn.mpnet import MPNet, polar_flow
from jmer.nn.norm import BatchNorm
from jmer.nn.patch_embed import PatchEmbed, PatchTokens
from jmer.nn.pool import avg_pool, max_along, max_pool
from jmer.nn.residual import ConvNorm, ResidualBlock, Shortcut
from jmer.nn.sinusoid import sinusoid
from jmer.nn.transformer import (
    Attention,
    Perceptron,
    TransformerBlock,
    layer_norm,
    narrow_linear,
)

__all__ = [
    "GRU",
    "LOWERINGS",
    "AtrousConv",
    "Attention",
    "BatchNorm",
    "BiLSTM",
    "ChannelGate",
    "Context",
    "Conv",
    "ConvBlock",
    "ConvGRU",
    "ConvNorm",
    "CrossFusion",
    "Gates",
    "HourglassMask",
    "LargeFOV",
    "Linear",
    "Lowering",
    "MPNet",
    "PatchEmbed",
    "PatchTokens",
    "Perceptron",
    "ResidualBlock",
    "Shared",
    "Shortcut",
    "SpaceTimeGate",
    "TimeContrast",
    "TransformerBlock",
    "attention",
    "attention_weights",
    "avg_pool",
    "drop_path",
    "dropout",
    "glorot",
    "glorot_channels",
    "imagenet",
    "kaiming",
    "layer_norm",
    "max_along",
    "max_pool",
    "narrow_linear",
    "narrow_normal",
    "polar_flow",
    "sinusoid",
    "torch_bias",
    "torch_kernel",
    "use_lowering",
    "wheel_colours",
]

"""Layers that networks are built from: channels last, batch first, no random state."""

from jmer.nn.attention import attention
from jmer.nn.block import ConvBlock
from jmer.nn.colour import flow_colours
from jmer.nn.conv import Conv
from jmer.nn.dropout import dropout
from jmer.nn.gates import ChannelGate, Gates, Shared, SpaceTimeGate
from jmer.nn.hourglass import HourglassMask
from jmer.nn.init import glorot, glorot_channels, kaiming, torch_bias, torch_kernel
from jmer.nn.linear import Linear
from jmer.nn.lowering import LOWERINGS, Lowering, use_lowering
from jmer.nn.lstm import BiLSTM
from jmer.nn.norm import BatchNorm
from jmer.nn.pool import avg_pool, max_along, max_pool
from jmer.nn.residual import ConvNorm, ResidualBlock, Shortcut

__all__ = [
    "LOWERINGS",
    "BatchNorm",
    "BiLSTM",
    "ChannelGate",
    "Conv",
    "ConvBlock",
    "ConvNorm",
    "Gates",
    "HourglassMask",
    "Linear",
    "Lowering",
    "ResidualBlock",
    "Shared",
    "Shortcut",
    "SpaceTimeGate",
    "attention",
    "avg_pool",
    "dropout",
    "flow_colours",
    "glorot",
    "glorot_channels",
    "kaiming",
    "max_along",
    "max_pool",
    "torch_bias",
    "torch_kernel",
    "use_lowering",
]

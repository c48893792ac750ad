"""Layers that networks are built from: channels last, batch first, no random state."""

from jmer.nn.attention import attention
from jmer.nn.block import ConvBlock
from jmer.nn.conv import Conv
from jmer.nn.dropout import dropout
from jmer.nn.init import torch_bias, torch_kernel
from jmer.nn.linear import Linear
from jmer.nn.lowering import LOWERINGS, Lowering, use_lowering
from jmer.nn.norm import BatchNorm
from jmer.nn.pool import avg_pool, max_pool

__all__ = [
    "LOWERINGS",
    "BatchNorm",
    "Conv",
    "ConvBlock",
    "Linear",
    "Lowering",
    "attention",
    "avg_pool",
    "dropout",
    "max_pool",
    "torch_bias",
    "torch_kernel",
    "use_lowering",
]

"""Random twins of the visual-memory network, and arrays as they and jmer see them."""

from collections.abc import Mapping

import numpy as np
import torch
from twins.stanet import arrays, channels_first, randomise

from jmer.models.visual_memory import VisualMemoryConfig
from jmer.peers.visual_memory import build
from jmer.weights import torch_names

__all__ = ["arrays", "channels_first", "conv_gru", "ours", "random_twin"]


def random_twin(config: VisualMemoryConfig, classes: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return randomise(build(config, classes, tuned=False), seed)


def ours(
    config: VisualMemoryConfig, tensors: Mapping[str, torch.Tensor]
) -> torch_names.PathArrays:
    """jmer's arrays by path, of a state (or gradients by the same names) of a twin."""
    state = arrays(tensors)
    conv, norm = torch_names.conv, torch_names.batch_norm
    flat = torch_names.vgg16(state, "spatial") | conv(state, "fc6", "spatial.fc6.conv")
    if config.phase == "spatial":
        return flat | torch_names.linear(state, "emotion", "emotion")
    for i in range(2):
        flat |= conv(state, f"reduce.{i}", f"reduce.{i}")
    flat |= conv(state, "fuse", "fuse")
    if config.temporal_net:
        flat |= conv(state, "motion.mask", "motion.mask")
        for i in range(4):
            source, target = f"motion.encoder.{i}", f"motion.encoder.{i}"
            flat |= conv(state, f"{source}.0", f"{target}.layer.conv")
            bias = flat.pop(f"params.{target}.layer.conv.bias")
            flat[f"params.{target}.bias"] = bias
            flat |= norm(state, f"{source}.1", f"{target}.layer.norm")
        for i in range(2):
            source = f"motion.decoder.{i}"
            flat |= conv(state, f"{source}.0", f"{source}.conv")
            flat |= norm(state, f"{source}.1", f"{source}.norm")
    if config.contrast:
        flat |= conv(state, "local", "contrast.local")
        flat |= conv(state, "context", "contrast.context")
        path = "params.contrast.context.kernel"
        if config.context == "gap":
            flat[path] = flat[path][0, 0]
    if config.memory == "convgru":
        flat |= conv_gru(state, "memory", "memory", config.hidden)
    else:
        flat |= torch_names.linear(state, "flatten.0", "flatten.0")
        flat |= torch_names.linear(state, "flatten.1", "flatten.1")
        # PyTorch flattens channels first.
        side, path = config.size // 8, "params.flatten.0.kernel"
        kernel = flat[path].reshape(config.hidden, side, side, -1)
        flat[path] = kernel.transpose(1, 2, 0, 3).reshape(flat[path].shape)
    if config.memory == "gru":
        flat |= torch_names.gru(state, "memory", "memory")
    for head in ("classes", *(("intensity",) if config.intensity else ())):
        for layer, name in ((0, "wide"), (2, "narrow")):
            source, target = f"heads.{head}.{layer}", f"{head}.{name}"
            flat |= torch_names.linear(state, source, target)
    return flat


def conv_gru(
    state: torch_names.TorchState, source: str, target: str, inputs: int
) -> torch_names.PathArrays:
    """A twin's gates of input and state together as jmer's, of each apart."""
    flat: torch_names.PathArrays = {}
    parts: dict[str, list[np.ndarray]] = {"gates": [], "new": []}
    for name, seen in parts.items():
        layer = torch_names.conv(state, f"{source}.{name}", "x")
        kernel = layer["params.x.kernel"]
        seen += [kernel[:, :, :inputs], layer["params.x.bias"]]
        flat[f"params.{target}.{name}.kernel"] = kernel[:, :, inputs:]
    for i, name in enumerate(("kernel", "bias")):
        both = [part[i] for part in parts.values()]
        flat[f"params.{target}.input.{name}"] = np.concatenate(both, -1)
    return flat

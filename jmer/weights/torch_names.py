"""Entries of a PyTorch state dictionary as jmer's arrays, by path.

Each function takes the state, the name of a PyTorch module in it and the path of jmer's
module, and raises KeyError for an entry that is not there.
"""

from collections.abc import Mapping

import numpy as np

TorchState = Mapping[str, np.ndarray]
"""Arrays by PyTorch's names."""
PathArrays = dict[str, np.ndarray]
"""Arrays by path (`params.…`, `stats.…`)."""
LEAVES = {
    **{"kernel": "weight", "scale": "weight", "bias": "bias"},
    **{"mean": "running_mean", "var": "running_var"},
}
"""PyTorch's names of arrays, by jmer's."""


def conv(state: TorchState, source: str, target: str) -> PathArrays:
    """A convolution; kernels go from [d, c, *window] to [*window, c, d]."""
    kernel = np.moveaxis(state[f"{source}.weight"], (0, 1), (-1, -2))
    return _with_bias(state, source, target, kernel)


def linear(state: TorchState, source: str, target: str) -> PathArrays:
    """A linear layer; kernels go from [d, c] to [c, d]."""
    return _with_bias(state, source, target, state[f"{source}.weight"].T)


def patches(state: TorchState, source: str, target: str) -> PathArrays:
    """A convolution whose stride is its kernel, as `nn.PatchEmbed` has it."""
    arrays = conv(state, source, target)
    kernel = arrays[f"params.{target}.kernel"]
    arrays[f"params.{target}.kernel"] = kernel.reshape(-1, kernel.shape[-1])
    return arrays


def layer_norm(state: TorchState, source: str, target: str) -> PathArrays:
    """Scale and bias of a normalisation."""
    return {
        f"params.{target}.scale": state[f"{source}.weight"],
        f"params.{target}.bias": state[f"{source}.bias"],
    }


def batch_norm(state: TorchState, source: str, target: str) -> PathArrays:
    """Scale and bias, and the running statistics."""
    return {
        **layer_norm(state, source, target),
        f"stats.{target}.mean": state[f"{source}.running_mean"],
        f"stats.{target}.var": state[f"{source}.running_var"],
    }


def lstm(state: TorchState, source: str, target: str) -> PathArrays:
    """A `torch.nn.LSTM` of one layer in one direction or both, which are the first
    axis."""

    def both(name: str) -> np.ndarray:
        names = (f"{source}.{name}_l0", f"{source}.{name}_l0_reverse")
        return np.stack([state[n].T for n in names if n in state])

    return {
        f"params.{target}.input_kernel": both("weight_ih"),
        f"params.{target}.hidden_kernel": both("weight_hh"),
        f"params.{target}.input_bias": both("bias_ih"),
        f"params.{target}.hidden_bias": both("bias_hh"),
    }


def gru(state: TorchState, source: str, target: str) -> PathArrays:
    """A `torch.nn.GRU` of one layer and one direction."""
    names = {
        "weight_ih": "input_kernel",
        "weight_hh": "hidden_kernel",
        "bias_ih": "input_bias",
        "bias_hh": "hidden_bias",
    }
    return {
        f"params.{target}.{ours}": state[f"{source}.{name}_l0"].T
        for name, ours in names.items()
    }


def vgg16(state: TorchState, target: str) -> PathArrays:
    """The 13 convolutions of torchvision's `vgg16` without batch norm.

    Raises: ValueError if `state` has more layers than that, or others between them.
    """
    groups = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    found = sum(name.startswith("features.") for name in state)
    if found != 2 * sum(map(len, groups)):
        raise ValueError(f"{found} arrays of features are not VGG-16's 26")
    arrays: PathArrays = {}
    for i, group in enumerate(groups):
        for j, layer in enumerate(group):
            arrays |= conv(state, f"features.{layer}", f"{target}.groups.{i}.{j}")
    return arrays


def resnet18(state: TorchState, target: str = "trunk") -> PathArrays:
    """torchvision's `resnet18` without `fc`: stem, and four stages of two blocks."""
    arrays = {
        **conv(state, "conv1", f"{target}.stem.conv"),
        **batch_norm(state, "bn1", f"{target}.stem.norm"),
    }
    for block, path in _blocks(target):
        for number, place in ((1, "first"), (2, "second")):
            arrays |= conv(state, f"{block}.conv{number}", f"{path}.{place}.conv")
            arrays |= batch_norm(state, f"{block}.bn{number}", f"{path}.{place}.norm")
        arrays |= _shortcut(state, block, path)
    return arrays


def to_resnet18(
    arrays: Mapping[str, np.ndarray], trunk: str, head: str
) -> dict[str, np.ndarray]:
    """What `resnet18` and `linear` make arrays of: a state in torchvision's names."""
    modules = {
        f"{trunk}.stem.conv": "conv1",
        f"{trunk}.stem.norm": "bn1",
        head: "fc",
    }
    for block, path in _blocks(trunk):
        for number, place in ((1, "first"), (2, "second")):
            modules[f"{path}.{place}.conv"] = f"{block}.conv{number}"
            modules[f"{path}.{place}.norm"] = f"{block}.bn{number}"
        modules[f"{path}.shortcut.conv"] = f"{block}.downsample.0"
        modules[f"{path}.shortcut.norm"] = f"{block}.downsample.1"
    state = {}
    for path, value in arrays.items():
        module, _, leaf = path.split(".", 1)[1].rpartition(".")
        if leaf == "kernel":
            value = np.moveaxis(value, (-1, -2), (0, 1))
        state[f"{modules[module]}.{LEAVES[leaf]}"] = np.ascontiguousarray(value)
    return state


def r3d_18(state: TorchState, target: str = "trunk") -> PathArrays:
    """torchvision's `r3d_18` without `fc`: stem, and four stages of two blocks."""
    arrays = _conv_norm(state, "stem", f"{target}.stem")
    for block, path in _blocks(target):
        arrays |= _conv_norm(state, f"{block}.conv1", f"{path}.first")
        arrays |= _conv_norm(state, f"{block}.conv2", f"{path}.second")
        arrays |= _shortcut(state, block, path)
    return arrays


def transformer_block(state: TorchState, source: str, target: str) -> PathArrays:
    """A block of BEiT or VideoMAE: one matrix for queries, keys and values, and biases
    of queries and values apart; the perceptron is left out where `state` has none.
    """
    attention, inner = f"{source}.attn", f"params.{target}.attention"
    parts = np.split(state[f"{attention}.qkv.weight"], 3)
    arrays = {
        **layer_norm(state, f"{source}.norm1", f"{target}.norm1"),
        f"{inner}.query.bias": state[f"{attention}.q_bias"],
        f"{inner}.value.bias": state[f"{attention}.v_bias"],
        **linear(state, f"{attention}.proj", f"{target}.attention.out"),
    }
    for name, weight in zip(("query", "key", "value"), parts, strict=True):
        arrays[f"{inner}.{name}.kernel"] = np.ascontiguousarray(weight.T)
    if f"{source}.mlp.fc1.weight" in state:
        arrays |= layer_norm(state, f"{source}.norm2", f"{target}.norm2")
        arrays |= linear(state, f"{source}.mlp.fc1", f"{target}.mlp.wide")
        arrays |= linear(state, f"{source}.mlp.fc2", f"{target}.mlp.narrow")
    return arrays


def cross_fusion(state: TorchState, block: str, branch: int, target: str) -> PathArrays:
    """The way of one branch's class token through a block of CrossViT's kind."""
    arrays: PathArrays = {}
    for source, name in (("projs", "there"), ("revert_projs", "back")):
        passage = f"{block}.{source}.{branch}"
        arrays |= layer_norm(state, f"{passage}.0", f"{target}.{name}.norm")
        arrays |= linear(state, f"{passage}.2", f"{target}.{name}.linear")
    fusion = f"{block}.fusion.{branch}"
    arrays |= layer_norm(state, f"{fusion}.norm1", f"{target}.norm")
    names = ("wq", "query"), ("wk", "key"), ("wv", "value"), ("proj", "out")
    for source, name in names:
        layer = f"{target}.attention.{name}"
        arrays |= linear(state, f"{fusion}.attn.{source}", layer)
    return arrays


def _blocks(target: str) -> list[tuple[str, str]]:
    return [
        (f"layer{stage + 1}.{block}", f"{target}.stages.{stage}.{block}")
        for stage in range(4)
        for block in range(2)
    ]


def _conv_norm(state: TorchState, source: str, target: str) -> PathArrays:
    """`torch.nn.Sequential` of a convolution and a normalisation."""
    return {
        **conv(state, f"{source}.0", f"{target}.conv"),
        **batch_norm(state, f"{source}.1", f"{target}.norm"),
    }


def _shortcut(state: TorchState, block: str, path: str) -> PathArrays:
    if f"{block}.downsample.0.weight" not in state:
        return {}
    return _conv_norm(state, f"{block}.downsample", f"{path}.shortcut")


def _with_bias(
    state: TorchState, source: str, target: str, kernel: np.ndarray
) -> PathArrays:
    arrays = {f"params.{target}.kernel": np.ascontiguousarray(kernel)}
    if f"{source}.bias" in state:
        arrays[f"params.{target}.bias"] = state[f"{source}.bias"]
    return arrays

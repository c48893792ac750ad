"""Random twins of AMAN, their checkpoints as if published, and their arrays."""

from collections.abc import Mapping
from pathlib import Path

import torch
from twins.magnet import random_twin as random_magnet
from twins.stanet import arrays, randomise

from jmer.models.aman import AmanConfig
from jmer.peers.aman import Aman
from jmer.peers.magnet import Magnet
from jmer.weights import torch_names

MAGNET_WIDTH = 2
FROZEN = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.")


def random_twin(config: AmanConfig, classes: int, seed: int) -> Aman:
    torch.manual_seed(seed)
    twin = randomise(Aman(config, classes, magnet_width=MAGNET_WIDTH), seed)
    if isinstance(twin.magnet, Magnet):
        # Small, so that most magnified pixels stay within 0 to 255.
        twin.magnet.load_state_dict(random_magnet(seed, MAGNET_WIDTH).state_dict())
        twin.magnet.decoder.conv2.weight.data.mul_(0.1)
    return twin


def save(twin: Aman, folder: Path) -> dict[str, str]:
    """The fields of jmer's configuration that name files, with those of the twin.

    `module.` prefixes, and a head for other classes, as published files have them.
    """
    state = twin.state_dict()
    trunk = {
        f"module.{name}": value
        for name, value in state.items()
        if name.startswith((*FROZEN, "layer4."))
    }
    trunk["module.fc.weight"] = torch.ones(7, 3)
    torch.save({"epoch": 1, "state_dict": trunk}, folder / "backbone.pth.tar")
    files = {"backbone": str(folder / "backbone.pth.tar")}
    if isinstance(twin.magnet, Magnet):
        torch.save(twin.magnet.state_dict(), folder / "magnet.pth")
        files["magnifier"] = str(folder / "magnet.pth")
    return files


def ours(tensors: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """jmer's trained arrays by path, of a state (or gradients by the same names)."""
    state = arrays(tensors)
    trunk = torch_names.resnet18(state)
    flat = {
        path.replace("trunk.stages.3", "stage"): value
        for path, value in trunk.items()
        if ".trunk.stages.3." in path
    }
    flat |= torch_names.linear(state, "fc", "head")
    for source, target in (("alpha", "factor_score"), ("beta", "frame_score")):
        if f"{source}.score.weight" in state:
            flat |= torch_names.linear(state, f"{source}.score", target)
    return flat

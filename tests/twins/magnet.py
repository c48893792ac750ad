"""Random twins of the magnification network."""

import torch

from jmer.peers.magnet import Magnet


def random_twin(seed: int, width: int) -> Magnet:
    """With weights such that every block adds about as much as there is."""
    torch.manual_seed(seed)
    twin = Magnet(width).eval()
    with torch.no_grad():
        for value in twin.parameters():
            value.copy_(torch.randn(value.shape) * value[0].numel() ** -0.5)
    return twin

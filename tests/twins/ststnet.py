"""STSTNet in plain PyTorch, written from Liong et al. 2019, figure 2."""

import torch
from torch import nn


class STSTNet(nn.Module):
    """Three streams that share their image [b, 3, size, size] and meet at `fc`."""

    def __init__(self, *, filters=(3, 5, 8), size=28, classes=3, dropout=0.5):
        super().__init__()
        for i, channels in enumerate(filters, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(3, channels, 3, padding=2))
            setattr(self, f"bn{i}", nn.BatchNorm2d(channels))
        self.pool = nn.MaxPool2d(3, stride=3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.mean = nn.AvgPool2d(2)
        with torch.no_grad():
            features = self.features(torch.zeros(2, 3, size, size)).shape[1]
            for norm in (self.bn1, self.bn2, self.bn3):
                norm.reset_running_stats()
        self.fc = nn.Linear(features, classes)

    def features(self, image):
        streams = []
        for conv, norm in (
            (self.conv1, self.bn1),
            (self.conv2, self.bn2),
            (self.conv3, self.bn3),
        ):
            streams.append(self.dropout(self.pool(norm(torch.relu(conv(image))))))
        return self.mean(torch.cat(streams, dim=1)).flatten(start_dim=1)

    def forward(self, image):
        return self.fc(self.features(image))


def random_twin(seed: int, **options) -> STSTNet:
    """A twin in evaluation mode, none of whose arrays is trivial or regular."""
    torch.manual_seed(seed)
    twin = STSTNet(**options).eval()
    for name, value in twin.state_dict().items():
        if "bn" in name and value.is_floating_point():
            value.copy_(torch.randn(value.shape) * 0.3)
            if name.endswith(("weight", "var")):
                value.add_(1).abs_().add_(0.1)
    return twin


def image(flow) -> torch.Tensor:
    """jmer's flow [b, h, w, 3] as the authors read it: blue first, channels first."""
    return torch.tensor(flow[..., ::-1].transpose(0, 3, 1, 2).copy())


def arrays(state) -> dict:
    """NumPy copies of a state dictionary."""
    return {name: value.detach().numpy().copy() for name, value in state.items()}

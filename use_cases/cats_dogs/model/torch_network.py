"""The paper's network in PyTorch, layer by layer the same as `network.build`."""

import torch
from torch import nn

CHANNELS = (16, 32, 64, 128)
DENSE = (256, 512)
SIDE = 150


class Network(nn.Module):
    """Colour pictures in, the probability of a dog out."""

    def __init__(self, side: int = SIDE) -> None:
        """Build four convolutions, each with a pool, then three fully connected layers."""
        super().__init__()
        below = 3
        for number, channels in enumerate(CHANNELS, 1):
            self.add_module(f"conv{number}", nn.Conv2d(below, channels, 3, padding=1))
            self.add_module(f"pool{number}", nn.MaxPool2d(2))
            below, side = channels, side // 2
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(below * side * side, DENSE[0])
        self.dense2 = nn.Linear(*DENSE)
        self.answer = nn.Linear(DENSE[1], 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Give each picture (channels first) the probability that it shows a dog."""
        found = pictures
        for number in range(1, len(CHANNELS) + 1):
            found = self.get_submodule(f"pool{number}")(torch.relu(self.get_submodule(f"conv{number}")(found)))
        found = torch.relu(self.dense1(self.flatten(found)))
        dog: torch.Tensor = torch.sigmoid(self.answer(torch.relu(self.dense2(found))))
        return dog


def parameters(network: nn.Module) -> list[int]:
    """Count the parameters of each layer, as the last column of table 2 does."""
    return [sum(p.numel() for p in layer.parameters()) for layer in network.children()]

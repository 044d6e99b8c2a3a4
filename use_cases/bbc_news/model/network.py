"""The network of the thesis: five linear layers with LayerNorm and dropout, and how it lies in a checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transform import Vocabulary

WEIGHTS = "network.pt"
SHAPE = "network.json"


class Network(nn.Module):
    """Stem counts in, one score a class out."""

    def __init__(self, stems: int, hidden1: int, dropout: float, classes: int) -> None:
        """Build the layers for a vocabulary of that many stems."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(stems, hidden1),
            nn.LayerNorm(hidden1),
            nn.Linear(hidden1, 128),
            nn.Dropout(dropout),
            nn.Linear(128, 64),
            nn.Linear(64, classes),
        )

    def forward(self, counts: torch.Tensor) -> torch.Tensor:
        """Score each row of counts."""
        scores: torch.Tensor = self.layers(counts)
        return scores


@dataclass(frozen=True)
class Classifier:
    """A trained network with the vocabulary and the classes it was trained for."""

    network: Network
    vocabulary: Vocabulary
    classes: list[str]

    def probabilities(self, texts: list[str]) -> NDArray[np.float32]:
        """Give each text its probability of belonging to each class."""
        counts = torch.from_numpy(self.vocabulary.counts(texts))
        with torch.inference_mode():
            answer: NDArray[np.float32] = torch.softmax(self.network(counts), dim=1).numpy()
        return answer

    def save(self, folder: Path) -> None:
        """Write all that `load` needs; no pickled code, so a checkpoint can be read without trusting it."""
        self.vocabulary.save(folder)
        first, dropout = self.network.layers[0], self.network.layers[3]
        shape = {"hidden1": first.out_features, "dropout": dropout.p, "classes": self.classes}
        (folder / SHAPE).write_text(json.dumps(shape))
        torch.save(self.network.state_dict(), folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read a checkpoint, ready to answer."""
        shape = json.loads((folder / SHAPE).read_text())
        vocabulary = Vocabulary.load(folder)
        network = Network(len(vocabulary), shape["hidden1"], shape["dropout"], len(shape["classes"]))
        network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True, map_location="cpu"))
        return cls(network.eval(), vocabulary, shape["classes"])

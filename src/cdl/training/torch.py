"""Begin with earlier weights, in PyTorch: load, verify, freeze, and say how many parameters that is.

network = Network(...)
torch.warm_start(core_context, network)     # before the optimizer is made; nothing where nothing was asked for
optimizer = Adam(p for p in network.parameters() if p.requires_grad)
"""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cdl.training import warm
from cdl.training.failures import TrainingError
from cdl.training.warm import Parameters, WarmStart

WEIGHTS = "network.pt"
"""A `state_dict`, read without running what a pickle might say."""


def warm_start(context: Any, network: nn.Module, weights: str = WEIGHTS) -> Parameters | None:  # noqa: ANN401 - determined ships no types
    """Begin as `spec.warmStart` of the trial's Experiment says; None: from scratch."""
    start = warm.wanted()
    if start is None:
        return None
    with context.checkpoint.restore_path(start.checkpoint) as path:
        digest = warm.verified(Path(path), start)
        parameters = begin(network, Path(path), start, weights)
    warm.tell(context, start, parameters, digest)
    return parameters


def begin(network: nn.Module, folder: Path, start: WarmStart, weights: str = WEIGHTS) -> Parameters:
    """Load the weights of a checkpoint into a network and freeze what stays as it is.

    Raises:
        TrainingError: there are no weights, they do not fit, or a layer to freeze is not there.
    """
    try:
        stored = torch.load(folder / weights, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise TrainingError(f"warm start: {start.origin} holds no {weights}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise TrainingError(f"warm start: {weights} of {start.origin} holds no weights alone") from error
    own = network.state_dict()
    warm.fits(_shapes(stored), _shapes(own), start)
    stays = freeze(network, start)
    network.load_state_dict(stored)
    every = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return Parameters(
        total=sum(every.values()),
        loaded=sum(every[name] for name in every if name in stored),
        frozen=sum(every[name] for name in stays),
    )


def freeze(network: nn.Module, start: WarmStart) -> frozenset[str]:
    """Let the parameters of the named layers stay as they are; gives their names."""
    stays = warm.frozen([name for name, _ in network.named_parameters()], start)
    for name, parameter in network.named_parameters():
        if name in stays:
            parameter.requires_grad_(requires_grad=False)
    return stays


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}

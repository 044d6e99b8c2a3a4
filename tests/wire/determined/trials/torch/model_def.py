"""A tiny PyTorchTrial: one linear layer on generated points."""

import torch
from determined import pytorch
from torch import nn


class Points(torch.utils.data.Dataset):
    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(count, 4, generator=generator)
        self.y = (self.x.sum(1) > 0).long()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple:
        return self.x[index], self.y[index]


class Linear(pytorch.PyTorchTrial):
    def __init__(self, context: pytorch.PyTorchTrialContext, hparams: dict | None = None) -> None:
        self.context = context
        hparams = hparams or context.get_hparams()
        self.batch = hparams.get("global_batch_size", 16)
        self.model = context.wrap_model(nn.Linear(4, 2))
        optimizer = torch.optim.SGD(self.model.parameters(), lr=hparams.get("lr", 0.5))
        self.optimizer = context.wrap_optimizer(optimizer)

    def train_batch(self, batch, epoch_idx, batch_idx):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.context.backward(loss)
        self.context.step_optimizer(self.optimizer)
        return {"loss": loss}

    def evaluate_batch(self, batch):
        return {"accuracy": (self.model(batch[0]).argmax(1) == batch[1]).float().mean().item()}

    def build_training_data_loader(self):
        return pytorch.DataLoader(Points(64), batch_size=self.batch)

    def build_validation_data_loader(self):
        return pytorch.DataLoader(Points(32), batch_size=self.batch)

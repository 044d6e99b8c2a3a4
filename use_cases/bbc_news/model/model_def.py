"""The trial: what Determined trains, validates and keeps."""

from pathlib import Path

import torch
from determined import pytorch
from network import Classifier, Network
from prepare import Part, Prepared
from torch.utils.data import TensorDataset

from cdl.training import data


class NewsTrial(pytorch.PyTorchTrial):
    """One choice of hyperparameters for the news classifier."""

    def __init__(self, context: pytorch.PyTorchTrialContext) -> None:
        """Prepare the articles, build the network."""
        self.context = context
        self._data = found = Prepared.of(data.fetch())
        hparams = context.get_hparams()
        network = Network(len(found.vocabulary), hparams["hidden1"], hparams["dropout"], len(found.classes))
        self._network = network
        self.model = context.wrap_model(network)
        self.optimizer = context.wrap_optimizer(torch.optim.Adam(self.model.parameters(), lr=hparams["learning_rate"]))
        self._loss = torch.nn.CrossEntropyLoss()

    def build_training_data_loader(self) -> pytorch.DataLoader:
        """Shuffle the training part."""
        return pytorch.DataLoader(
            _rows(self._data.training), batch_size=self.context.get_per_slot_batch_size(), shuffle=True
        )

    def build_validation_data_loader(self) -> pytorch.DataLoader:
        """Keep the validation part in order."""
        return pytorch.DataLoader(_rows(self._data.validation), batch_size=256)

    def build_callbacks(self) -> dict[str, pytorch.PyTorchCallback]:
        """Put what serving needs into every checkpoint."""
        return {"servable": _Servable(Classifier(self._network, self._data.vocabulary, self._data.classes))}

    def train_batch(self, batch: list[torch.Tensor], epoch_idx: int, batch_idx: int) -> dict[str, torch.Tensor]:
        """Take one step."""
        del epoch_idx, batch_idx
        counts, labels = batch
        loss = self._loss(self.model(counts), labels)
        self.context.backward(loss)
        self.context.step_optimizer(self.optimizer)
        return {"loss": loss}

    def evaluate_full_dataset(self, data_loader: torch.utils.data.DataLoader[list[torch.Tensor]]) -> dict[str, float]:
        """Judge the whole validation part at once, so that a short last batch weighs no more than its rows."""
        hits, loss, rows = 0, 0.0, 0
        with torch.inference_mode():
            for counts, labels in data_loader:
                scores = self.model(self.context.to_device(counts))
                truth = self.context.to_device(labels)
                hits += int((scores.argmax(dim=1) == truth).sum())
                loss += float(self._loss(scores, truth)) * len(labels)
                rows += len(labels)
        return {"accuracy": hits / rows, "loss": loss / rows}


def _rows(part: Part) -> TensorDataset:
    return TensorDataset(torch.from_numpy(part.counts), torch.from_numpy(part.labels))


class _Servable(pytorch.PyTorchCallback):
    """Write the classifier beside Determined's own files."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def on_checkpoint_write_end(self, checkpoint_dir: str) -> None:
        """Save the weights, the vocabulary and the classes."""
        self._classifier.save(Path(checkpoint_dir))

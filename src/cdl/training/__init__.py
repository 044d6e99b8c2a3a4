"""The published kit for code that runs inside a trial: data of a pinned version, evaluation, Keras.

It imports nothing else of `cdl`. `determined`, `pachyderm_sdk` and `keras` load when a function needs them, so that a
PyTorch trial never pays for Keras, nor a Keras trial for PyTorch.
"""

from cdl.training.failures import TrainingError
from cdl.training.versions import Dataset

__all__ = ["Dataset", "TrainingError"]

"""The four kinds, version v1alpha1."""

from .datapipeline import DataPipeline
from .experiment import Experiment
from .modeldeployment import ModelDeployment
from .release import Release
from .resource import Resource, parse

KINDS = {kind.__name__: kind for kind in (DataPipeline, Experiment, ModelDeployment, Release)}

__all__ = ["KINDS", "DataPipeline", "Experiment", "ModelDeployment", "Release", "Resource", "parse"]

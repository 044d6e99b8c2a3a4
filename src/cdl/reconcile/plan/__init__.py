"""What would run, what is reused and why: worked out by the keys and decisions of the loop, from facts handed in."""

from .datapipeline import DataAhead, DataFacts, plan_data
from .experiment import ExperimentFacts, NewRelease, ReleaseAhead, plan_experiment
from .modeldeployment import DeploymentFacts, plan_deployment
from .stage import BUSY, Change, Estimate, Plan, ResourcePlan, Stage, Verdict
from .takeover import LikeSeen
from .whole import in_a_line, labelled, resource_plan, whole_plan

__all__ = [
    "BUSY",
    "Change",
    "DataAhead",
    "DataFacts",
    "DeploymentFacts",
    "Estimate",
    "ExperimentFacts",
    "LikeSeen",
    "NewRelease",
    "Plan",
    "ReleaseAhead",
    "ResourcePlan",
    "Stage",
    "Verdict",
    "in_a_line",
    "labelled",
    "plan_data",
    "plan_deployment",
    "plan_experiment",
    "resource_plan",
    "whole_plan",
]

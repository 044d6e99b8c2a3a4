"""The trials of an Experiment side by side: ranked, compared, drawn and written as a page."""

from .compared import ExperimentDiff, compare
from .facts import Searcher, SearchFacts
from .told import SearchTold, TrialTold, tell

__all__ = ["ExperimentDiff", "SearchFacts", "SearchTold", "Searcher", "TrialTold", "compare", "tell"]

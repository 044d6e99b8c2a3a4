"""`kopf run operators/experiment.py`: look after Experiments; settings come from the environment."""

from cdl.compose import operator
from cdl.settings import read

operator(read(), ("Experiment",)).register()

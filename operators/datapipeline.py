"""`kopf run operators/datapipeline.py`: look after DataPipelines; settings come from the environment."""

from cdl.compose import operator
from cdl.settings import read

operator(read(), ("DataPipeline",)).register()

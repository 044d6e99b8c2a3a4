"""`kopf run operators/modeldeployment.py`: look after ModelDeployments; settings come from the environment."""

from cdl.compose import operator
from cdl.settings import read

operator(read(), ("ModelDeployment",)).register()

"""The admission server, to be run by kopf itself: `kopf run -A --standalone operators/admission.py`.

`cdl-admission` is the same without kopf's command line, and keeps no memory of resources.
"""

from typing import Any

import kopf

from cdl import settings
from cdl.cli.admit import door
from cdl.kube import admission
from cdl.kube.client import Api

KNOWN = settings.read()
admission.register(kopf.get_default_registry(), Api.connect(KNOWN.kubeconfig))


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:  # noqa: ANN401 - kopf's arguments are many
    """Listen where the settings say."""
    admission.configure(settings, door(KNOWN))


@kopf.on.login()
def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - the same
    """Be to the API server who the settings say."""
    return admission.connection(Api.connect(KNOWN.kubeconfig))

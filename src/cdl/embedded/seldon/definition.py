"""Our own definition of SeldonDeployments, for API servers that have none.

It checks little: what an object may hold is judged by the controller, which says in its status what is wrong.
"""

from __future__ import annotations

from cdl.embedded.seldon.fields import Object
from cdl.embedded.seldon.refusals import GROUP, KIND, PLURAL, VERSION

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = f"{PLURAL}.{GROUP}"
MANAGER = "cdl-embedded-seldon"
OURS = {"app.kubernetes.io/managed-by": MANAGER}
_OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": NAME, "labels": OURS},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": KIND,
            "listKind": f"{KIND}List",
            "plural": PLURAL,
            "singular": "seldondeployment",
            "shortNames": ["sdep"],
            "categories": ["all"],
        },
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "description": "Servers of models, and how requests are shared out among them.",
                        "properties": {
                            "spec": {**_OPEN, "description": "Predictors, as Seldon Core 1 knows them."},
                            "status": {**_OPEN, "description": "What became of them."},
                        },
                    }
                },
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "additionalPrinterColumns": [
                    {"name": "State", "type": "string", "jsonPath": ".status.state"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".status.replicas"},
                    {"name": "URL", "type": "string", "jsonPath": ".status.address.url"},
                    {"name": "Message", "type": "string", "jsonPath": ".status.description", "priority": 1},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }
        ],
    },
}

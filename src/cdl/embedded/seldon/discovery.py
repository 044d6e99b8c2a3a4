"""What a Kubernetes client asks before it asks for objects."""

from __future__ import annotations

from cdl.embedded.seldon.fields import Object
from cdl.embedded.seldon.refusals import GROUP, KIND, PLURAL, VERSION

GROUP_VERSION = f"{GROUP}/{VERSION}"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_VERSIONS = [{"groupVersion": GROUP_VERSION, "version": VERSION}]
_GROUP = {"name": GROUP, "versions": _VERSIONS, "preferredVersion": _VERSIONS[0]}

PAGES: dict[str, Object] = {
    "/version": {
        "major": "1",
        "minor": "27",
        "gitVersion": "v1.27.0+cdl.embedded.seldon",
        "platform": "linux/amd64",
    },
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    f"/apis/{GROUP_VERSION}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {
                "name": PLURAL,
                "singularName": "seldondeployment",
                "namespaced": True,
                "kind": KIND,
                "shortNames": ["sdep"],
                "verbs": VERBS,
            },
            {
                "name": f"{PLURAL}/status",
                "singularName": "",
                "namespaced": True,
                "kind": KIND,
                "verbs": ["get", "patch", "update"],
            },
        ],
    },
}
HEALTH = ("/readyz", "/livez", "/healthz")

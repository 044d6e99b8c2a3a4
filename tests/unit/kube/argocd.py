"""Argo CD's reading of our kinds: the scripts that are shipped, in the Lua that it has, with the libraries it gives."""

from pathlib import Path

import yaml
from lupa import lua51

CONFIG = Path(__file__).parents[3] / "manifests" / "argocd" / "argocd-cm.yaml"
PREFIX = "resource.customizations.health.cdl.dev_"
SCRIPTS = {
    key.removeprefix(PREFIX): text for key, text in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["data"].items()
}
CLOSED = ("io", "os", "debug", "package", "require", "dofile", "loadfile", "python")
"""What Argo CD gives no script unless somebody says `useOpenLibs`, and what only our Lua has."""
WORST = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")
"""The health of an application is that of its worst resource; the worse, the later here."""


def runtime():
    """A Lua such as Argo CD gives a script."""
    lua = lua51.LuaRuntime()
    for name in CLOSED:
        lua.globals()[name] = None
    return lua


def health(lua, document):
    """What Argo CD shows of a resource: the status and the sentence."""
    if document["metadata"].get("deletionTimestamp"):
        return "Progressing", "Pending deletion"  # Argo CD's own word, before any script
    lua.globals().obj = lua.table_from(document, recursive=True)
    answer = lua.execute(SCRIPTS[document["kind"]])
    return answer.status, answer.message


def application(lua, documents):
    """What Argo CD shows of an application with these resources."""
    return max((health(lua, document)[0] for document in documents), key=WORST.index)

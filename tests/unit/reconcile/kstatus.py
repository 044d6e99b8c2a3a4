"""How Flux, kubectl's ApplySet and others read a status, as kstatus documents it, in our own words.

The rules, first match wins: an object that is being deleted terminates; a status about another generation than the
spec's is not up to date, so work goes on; a condition `Reconciling` that is True means work, `Stalled` means failure,
whichever comes first in the list; a condition `Ready` means done when True, and work for any other answer; an object
without any of these is taken to be done.
"""

from __future__ import annotations

CURRENT, IN_PROGRESS, FAILED, TERMINATING = "Current", "InProgress", "Failed", "Terminating"
ABNORMAL = {"Reconciling": IN_PROGRESS, "Stalled": FAILED}


def read(document):
    metadata, status = document["metadata"], document.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return TERMINATING
    if "observedGeneration" in status and status["observedGeneration"] != metadata.get("generation"):
        return IN_PROGRESS
    conditions = status.get("conditions") or []
    for condition in conditions:
        if condition["type"] in ABNORMAL and condition["status"] == "True":
            return ABNORMAL[condition["type"]]
    for condition in conditions:
        if condition["type"] == "Ready":
            return CURRENT if condition["status"] == "True" else IN_PROGRESS
    return CURRENT

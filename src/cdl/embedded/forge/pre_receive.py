"""What git runs before it takes a push: no import but Python's own, for it starts anew with every push.

The server says in FORGE_ORDERS what this pusher may do. Where several rules fit a branch, the most open one counts.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys

HEADS = "refs/heads/"


def refusal(old: str, new: str, ref: str) -> str:
    """Say why a ref may not be moved; empty: it may."""
    zero = "0" * len(new)
    if not ref.startswith((HEADS, "refs/tags/")):
        return f"You can only push branches and tags, not {ref}."
    orders = json.loads(os.environ.get("FORGE_ORDERS", "[]"))
    fitting = [rule for rule in orders if fnmatch.fnmatchcase(ref.removeprefix(HEADS), rule["name"])]
    if not ref.startswith(HEADS) or not fitting:
        return ""
    if not any(rule["push"] for rule in fitting):
        return "You are not allowed to push code to protected branches on this project."
    if new == zero:
        return "You can only delete protected branches using the web interface."
    if old == zero or any(rule["force"] for rule in fitting):
        return ""
    forced = subprocess.run(["git", "merge-base", "--is-ancestor", old, new], check=False, capture_output=True)
    return "You are not allowed to force push code to a protected branch on this project." if forced.returncode else ""


def main() -> int:
    """Read what is to be moved, say no with a sentence."""
    refusals = [said for line in sys.stdin if (said := refusal(*line.rstrip("\n").split(" ", 2)))]
    for said in dict.fromkeys(refusals):
        print(f"GitLab: {said}", file=sys.stderr)
    return 1 if refusals else 0


if __name__ == "__main__":
    sys.exit(main())

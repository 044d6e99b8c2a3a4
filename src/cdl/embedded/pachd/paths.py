"""Paths inside a commit: how they are cleaned, and which are refused."""

import re

from cdl.embedded.pachd.refusals import RefusedError

_FORBIDDEN = re.compile(r"[^\x20-\x7e]|[*?\[\]{}!()@+^]")


def clean(path: str) -> str:
    """Give a path its leading slash and take a trailing one."""
    return "/" + "/".join(part for part in path.split("/") if part)


def clean_file(path: str) -> str:
    """Clean the path of a file and refuse one that a commit cannot hold."""
    cleaned = clean(path)
    if cleaned == "/":
        raise RefusedError(f"path {path!r} names no file")
    check(cleaned)
    return cleaned


def check(path: str) -> None:
    """Refuse characters and elements that Pachyderm's paths cannot have."""
    if found := _FORBIDDEN.search(path):
        raise RefusedError(
            f"path {path!r} has the character {found.group()!r}; only printable ASCII "
            "without * ? [ ] { } ! ( ) @ + ^ is allowed"
        )
    if "/." in path and any(part in {".", ".."} for part in path.split("/")):
        raise RefusedError(f"path {path!r} has a relative element; '.' and '..' are not allowed")


def clean_tree(path: str) -> str:
    """Clean a path that is to be deleted: a trailing slash says "and everything below"."""
    cleaned = clean(path)
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def name(path: str) -> str:
    """Take the last element; directories keep their slash elsewhere, not here."""
    return path.rstrip("/").rsplit("/", 1)[-1]

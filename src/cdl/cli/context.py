"""What every verb starts from: the settings, read once."""

from __future__ import annotations

from pathlib import Path

from cdl.settings import Settings, read

from .refusal import Refusal

CLUSTER = "kubeconfig"
"""The file in a home folder that says it is a cluster's; `cdl up` writes it, `cdl down` takes it away."""


def settings_of(data: str | None = None) -> Settings:
    """Read the environment; a data folder on the command line wins. In a cluster's home a verb is about the cluster.

    Raises:
        Refusal: a variable cannot be read, the home is no folder, or the data folder is not there.
    """
    try:
        settings = read()
    except ValueError as error:
        raise Refusal(str(error)) from error
    if settings.home.exists() and not settings.home.is_dir():
        message = f"CDL_HOME: found {str(settings.home)!r}, which is a file, allowed: a folder, there already or not"
        raise Refusal(message)
    ours = settings.home.resolve() / CLUSTER
    if settings.kubeconfig is None and ours.is_file():
        settings = settings.model_copy(update={"kubeconfig": ours})
    if data is None:
        return settings
    folder = Path(data)
    if not folder.is_dir():
        message = f"--data: found {data!r}, allowed: an existing folder, or synthetic"
        raise Refusal(message)
    return settings.model_copy(update={"data": folder})

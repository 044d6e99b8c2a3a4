"""What a backup needs of the processes: a copy of the PostgreSQL that may be running, and a platform that is not."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cdl.cli.refusal import Refusal
from cdl.embedded.postgres.copy import copy
from cdl.embedded.postgres.folder import PostgresError

from . import database
from .processes import is_cluster, one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cdl.settings import Settings


@contextlib.contextmanager
def held_for_backup(settings: Settings) -> Iterator[Mapping[str, Path]]:
    """Keep others from starting and stopping the platform, and give folders that are to be kept beside the home's own.

    Raises:
        Refusal: a cluster runs here, or the history cannot be copied.
    """
    with one_at_a_time(settings) as stack, tempfile.TemporaryDirectory(prefix="cdl-backup-") as scratch:
        alive = stack.running()
        if is_cluster(alive):
            message = f"{settings.home} is in use by `cdl up`: an etcd is copied only at rest; `cdl down` first"
            raise Refusal(message)
        if not database.kept(settings):
            yield {}
            return
        server = alive.get(database.POSTGRES)
        target = Path(scratch) / "history"
        try:
            copy(settings.home.resolve() / "postgres", database.port_of(server) if server else None, target)
        except PostgresError as error:
            raise Refusal(str(error)) from error
        yield {"postgres": target}

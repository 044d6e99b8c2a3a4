"""What the steps of a DataPipeline printed in their newest jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pachyderm_sdk.api import pfs, pps

from .door import door
from .translate import OWNER, RAW_OWNER, notes_of, owner_mark, project_of
from .wire import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.meta import Key


class PachydermLogs:
    """Reads the logs that one pachd keeps."""

    def __init__(self, address: str, token: str | None = None) -> None:
        """Talk to the pachd at the address; nothing is asked yet."""
        self._client = connect(address, token)

    def lines(self, owner: Key) -> Iterator[str]:
        """Give the lines of every step's newest job, oldest first, each with its pipeline; changes nothing.

        An owner without pipelines has no lines.
        """
        with door(f"reading the logs of DataPipeline {owner.name}"):
            project = pfs.Project(name=project_of(owner))
            pipelines = self._client.pps.list_pipeline(projects=[project], details=True)
            for pipeline in [p.pipeline for p in pipelines if owner_mark(owner) in _marks(p)]:
                newest = next(iter(self._client.pps.list_job(pipeline=pipeline, number=1, history=-1)), None)
                for line in self._client.pps.get_logs(job=newest.job) if newest is not None else ():
                    yield f"{pipeline.name} {line.message.rstrip()}"


def _marks(found: pps.PipelineInfo) -> tuple[str | None, str | None]:
    noted = notes_of(found)
    return noted.get(OWNER), noted.get(RAW_OWNER)

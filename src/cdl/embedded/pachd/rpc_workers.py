"""Handlers about what runs right now: a worker's own service, and beginning a datum again.

All datums run in one server here, which therefore answers for every worker.
"""

from collections.abc import Iterable, Iterator

from cdl.embedded.pachd import jobs, pipelines, views, wire
from cdl.embedded.pachd.atwork import AtWork, Running, is_about
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.wire import Msg


class Workers:
    """Answers about running datums."""

    def __init__(self, engine: Engine, at_work: AtWork) -> None:
        self._store = engine.store
        self._at_work = at_work

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            "pps_v2.API/RestartDatum": self.RestartDatum,
            "pachyderm.worker.Worker/Status": self.Status,
            "pachyderm.worker.Worker/Cancel": self.Cancel,
        }

    async def RestartDatum(self, request: Msg) -> Msg:
        """Begin the running datums of a job again that read what every filter names."""
        job = jobs.get(self._store.db, request.job)
        filters = list(request.data_filters)
        chosen = self._chosen(job.set_id, filters, pipelines.get(self._store.db, request.job.pipeline).id)
        if not self._at_work.restart(chosen):
            raise RefusedError(
                f"datum matching filter [{' '.join(filters)}] could not be found for job ID {job.set_id}"
            )
        return wire.Empty()

    async def Status(self, _request: Msg) -> Msg:
        """Describe the datum that has run for the longest time; nothing when none runs."""
        for about in self._at_work.every():
            return wire.pps.WorkerStatus(
                worker_id=about.worker,
                job_id=about.job,
                datum_status={"started": views.stamp(about.since), "data": _files(about.data())},
            )
        return wire.pps.WorkerStatus()

    async def Cancel(self, request: Msg) -> Msg:
        """Begin datums again as RestartDatum does, of whichever pipeline the job is."""
        chosen = self._chosen(request.job_id, list(request.data_filters))
        return wire.worker.CancelResponse(success=self._at_work.restart(chosen))

    def _chosen(self, job: str, filters: list[str], pipeline: int | None = None) -> Iterator[Running]:
        for about in self._at_work.every():
            if about.job == job and pipeline in {None, about.pipeline}:
                data = about.data()
                if all(is_about(data, wanted) for wanted in filters):
                    yield about


def _files(data: Iterable[Msg]) -> list[Msg]:
    return [{"path": info.file.path, "hash": info.hash} for info in data]

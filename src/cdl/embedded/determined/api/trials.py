"""Trials: look, kill, metrics, progress, logs."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

from cdl.embedded.determined import views
from cdl.embedded.determined.errors import invalid, missing
from cdl.embedded.determined.fields import Tree, section, text
from cdl.embedded.determined.fields import number as numeric
from cdl.embedded.determined.logs import Line, TrialLog
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Report, Trial
from cdl.embedded.determined.store import dump
from cdl.embedded.determined.web import Answer, Call, Routes, page, seconds, stream

SORTS = {
    "SORT_BY_START_TIME": "startTime",
    "SORT_BY_END_TIME": "endTime",
    "SORT_BY_STATE": "state",
    "SORT_BY_BATCHES_PROCESSED": "totalBatchesProcessed",
    "SORT_BY_DURATION": "wallClockTime",
    "SORT_BY_RESTARTS": "restarts",
    "SORT_BY_BEST_VALIDATION_METRIC": "searcherMetricValue",
}
SOURCE, STREAM, AGENT = "task", "stdout", "local"
INVALID_HP = ("EXITED_REASON_INVALID_HP", "EXITED_REASON_INIT_INVALID_HP")


class Trials:
    """Endpoints of trials."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints; the fixed paths come before those with an id."""
        routes.add("GET", "/trials/metrics/trial_metrics", self.metrics)
        routes.add("GET", "/trials/metrics/training_metrics", self.training_metrics)
        routes.add("GET", "/trials/metrics/validation_metrics", self.validation_metrics)
        routes.add("GET", "/experiments/{id}/trials", self.list)
        routes.add("GET", "/trials/{id}", self.get)
        routes.add("GET", "/trials/{id}/workloads", self.workloads)
        routes.add("POST", "/trials/{id}/kill", self.kill)
        routes.add("GET", "/trials/{id}/logs", self.logs)
        routes.add("GET", "/trials/{id}/logs/fields", self.log_fields)
        routes.add("GET", "/tasks/{task}/logs", self.task_logs)
        routes.add("GET", "/tasks/{task}/logs/fields", self.log_fields)
        routes.add("POST", "/trials/{id}/metrics", self.report)
        routes.add("POST", "/trials/{id}/progress", self.progress)
        routes.add("POST", "/trials/{id}/runner/metadata", self.runner)
        routes.add("POST", "/trials/{id}/early_exit", self.early_exit)
        routes.add("GET", "/runs/{id}/metadata", self.get_metadata)
        routes.add("POST", "/runs/{id}/metadata", self.set_metadata)

    def list(self, call: Call) -> Answer:
        """List an experiment's trials."""
        found = self.ledger.experiment(call.id())
        shown = [views.trial(self.ledger, trial) for trial in self.ledger.trials(found.id)]
        states = call.queries("states")
        if states:
            shown = [trial for trial in shown if trial["state"] in states]
        key = SORTS.get(call.query("sortBy"), "id")
        shown.sort(key=lambda trial: (trial.get(key) is not None, trial.get(key)))
        if call.query("orderBy") == "ORDER_BY_DESC":
            shown.reverse()
        return page(call, "trials", shown)

    def get(self, call: Call) -> Answer:
        """Show one."""
        return {"trial": views.trial(self.ledger, self.ledger.trial(call.id()))}

    def workloads(self, call: Call) -> Answer:
        """List what a trial did, by step."""
        trial = self.ledger.trial(call.id())
        kinds = {"training": "training", "validation": "validation"}
        done = [
            (report.steps, {kinds[report.kind]: views.workload(report)})
            for report in self.ledger.reports(trial.id)
            if report.kind in kinds
        ]
        done += [
            (saved.steps, {"checkpoint": views.checkpoint_workload(saved)})
            for saved in self.ledger.checkpoints(trial.id)
        ]
        ordered = sorted(done, key=lambda each: each[0])
        return page(call, "workloads", [dict(shape) for _, shape in ordered])

    def kill(self, call: Call) -> Answer:
        """End one trial now; on an ended one nothing happens."""
        self.master.lifecycle.stop_trial(call.id())
        self.master.engine.settle()
        return {}

    def report(self, call: Call) -> Answer:
        """Take in metrics."""
        self.master.intake.metrics(call.id(), call.body)
        self.master.engine.settle()
        return {}

    def progress(self, call: Call) -> Answer:
        """Take note of how far a trial says it is."""
        trial = self.ledger.trial(call.id())
        share = min(max(numeric(call.body, "progress"), 0.0), 1.0)
        self.master.store.update("trials", trial.id, progress=share)
        return {}

    def runner(self, call: Call) -> Answer:
        """Take note of what a trial says it is doing."""
        trial = self.ledger.trial(call.id())
        self.master.store.update("trials", trial.id, runner_state=text(call.body, "state"))
        return {}

    def early_exit(self, call: Call) -> Answer:
        """Take note that a trial refuses its hyperparameters."""
        trial = self.ledger.trial(call.id())
        if call.body.get("reason") in INVALID_HP:
            self.master.store.update("trials", trial.id, invalid_hp=1)
        return {}

    def get_metadata(self, call: Call) -> Answer:
        """Return what user code wrote about its run."""
        return {"metadata": self.ledger.trial(call.id()).metadata}

    def set_metadata(self, call: Call) -> Answer:
        """Replace what user code wrote about its run."""
        trial = self.ledger.trial(call.id())
        metadata = section(call.body, "metadata")
        self.master.store.update("trials", trial.id, metadata=dump(metadata))
        return {"metadata": metadata}

    def metrics(self, call: Call) -> Answer:
        """Stream reports of trials, optionally of one kind."""
        return self._stream(call, call.query("group") or None)

    def training_metrics(self, call: Call) -> Answer:
        """Stream training reports."""
        return self._stream(call, "training")

    def validation_metrics(self, call: Call) -> Answer:
        """Stream validations."""
        return self._stream(call, "validation")

    def logs(self, call: Call) -> Answer:
        """Stream a trial's log lines."""
        return self._logs(call, self.ledger.trial(call.id()), "trialId")

    def task_logs(self, call: Call) -> Answer:
        """Stream the log lines of a trial's task."""
        return self._logs(call, self.ledger.trial_of_task(call.path("task")), "taskId")

    def log_fields(self, call: Call) -> Answer:
        """Stream once which values the filters of a log may have."""
        by_task = "task" in call.request.path_params
        trial = self.ledger.trial_of_task(call.path("task")) if by_task else self.ledger.trial(call.id())
        lines = list(TrialLog(self.master.place.log(trial.id, 1).parent).fresh())
        fields: Tree = {
            "agentIds": [AGENT],
            "containerIds": sorted({f"{trial.task_id}.{line.run_id}" for line in lines}),
            "rankIds": sorted({line.rank for line in lines if line.rank is not None}),
            "stdtypes": [STREAM],
            "sources": [SOURCE],
        }

        async def once() -> AsyncIterator[Tree]:
            yield fields

        return stream(once())

    def _stream(self, call: Call, kind: str | None) -> Answer:
        found: list[Report] = []
        for trial_id in call.queries("trialIds"):
            if not trial_id.isdigit():
                raise missing(f"trial {trial_id!r} not found")
            found += self.ledger.reports(self.ledger.trial(int(trial_id)).id, kind)

        async def each() -> AsyncIterator[Tree]:
            for report in found:
                yield {"metrics": [views.metrics(report)]}
                await asyncio.sleep(0)

        return stream(each())

    def _logs(self, call: Call, trial: Trial, owner: str) -> Answer:
        wanted = Wanted(call)
        log = TrialLog(self.master.place.log(trial.id, 1).parent)

        def container(line: Line) -> str:
            return f"{trial.task_id}.{line.run_id}"

        def shown(line: Line) -> Tree:
            tree = views.log_line(trial.id, container(line), line)
            if owner == "taskId":
                del tree["trialId"]
                tree["taskId"] = trial.task_id
            return tree

        async def each() -> AsyncIterator[Mapping[str, object]]:
            if not call.flag("follow"):
                for line in wanted.cut([line for line in log.fresh() if wanted.keeps(line, container(line))]):
                    yield shown(line)
                return
            left = wanted.limit or -1
            async for line in log.follow(lambda: self._ended(trial.id)):
                if left and wanted.keeps(line, container(line)):
                    left -= 1
                    yield shown(line)
                if not left:
                    return

        return stream(each())

    def _ended(self, trial_id: int) -> bool:
        busy = any(allocation.live for allocation in self.ledger.allocations(trial_id))
        return self.master.engine.closing or not (busy or self.ledger.trial(trial_id).live)


class Wanted:
    """The filters of a log request."""

    def __init__(self, call: Call) -> None:
        """Read them all before the first line is sent."""
        self.levels = {level.removeprefix("LOG_LEVEL_") for level in call.queries("levels")}
        self.ranks = {int(rank) for rank in call.queries("rankIds") if rank.lstrip("-").isdigit()}
        self.containers = set(call.queries("containerIds") or call.queries("allocationIds"))
        # Lines have one source, one stream and one agent here.
        self.silent = any(
            call.queries(name) and only not in call.queries(name)
            for name, only in (("sources", SOURCE), ("stdtypes", STREAM), ("agentIds", AGENT))
        )
        self.pattern = _pattern(call.query("searchText"), regex=bool(call.flag("enableRegex")))
        self.after = seconds(call.query("timestampAfter")) if call.query("timestampAfter") else None
        self.before = seconds(call.query("timestampBefore")) if call.query("timestampBefore") else None
        self.limit = call.whole("limit")
        self.newest_first = call.query("orderBy") == "ORDER_BY_DESC"

    def keeps(self, line: Line, container: str) -> bool:
        """Say whether a line passes every filter."""
        return (
            not self.silent
            and (not self.containers or container in self.containers)
            and (not self.levels or line.level in self.levels)
            and (not self.ranks or (line.rank or 0) in self.ranks)
            and self.pattern.search(line.text) is not None
            and (self.after is None or line.seen > self.after)
            and (self.before is None or line.seen < self.before)
        )

    def cut(self, lines: list[Line]) -> list[Line]:
        """Return the first lines, or the last ones newest first."""
        ordered = lines[::-1] if self.newest_first else lines
        return ordered[: self.limit] if self.limit > 0 else ordered


def _pattern(written: str, *, regex: bool) -> re.Pattern[str]:
    """Read what to search for; re2's and Python's words are the same for what people search."""
    try:
        return re.compile(written if regex else re.escape(written))
    except re.error as error:
        raise invalid(f"searchText {written!r} is not a regular expression: {error}") from error

"""Checkpoints: report, list by what is best, look, download, delete."""

from collections.abc import Iterable
from typing import Literal

from starlette.responses import StreamingResponse

from cdl.embedded.determined import storage, views
from cdl.embedded.determined.errors import invalid, refused
from cdl.embedded.determined.fields import Tree, items, section, text, texts
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Checkpoint, Experiment
from cdl.embedded.determined.store import dump
from cdl.embedded.determined.web import Answer, Call, Routes, page

ARCHIVES: dict[str, Literal["w", "w:gz"]] = {
    "application/gzip": "w:gz",
    "application/x-tar": "w",
    "application/octet-stream": "w:gz",
    "*/*": "w:gz",
}


class Checkpoints:
    """Endpoints of checkpoints."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("POST", "/checkpoints", self.report)
        routes.add("PATCH", "/checkpoints", self.patch)
        routes.add("DELETE", "/checkpoints", self.delete)
        routes.add("POST", "/checkpoints/rm", self.remove)
        routes.add("GET", "/checkpoints/{uuid}", self.get)
        routes.add("GET", "/checkpoints/{uuid}/metrics", self.metrics)
        routes.add("POST", "/checkpoints/{uuid}/metadata", self.metadata)
        routes.add("GET", "/experiments/{id}/checkpoints", self.of_experiment)
        routes.add("GET", "/trials/{id}/checkpoints", self.of_trial)
        routes.add("GET", "//checkpoints/{uuid}", self.download)
        routes.add("POST", "/trial-source-info", self.source)

    def report(self, call: Call) -> Answer:
        """Take in a checkpoint."""
        self.master.intake.checkpoint(call.body)
        return {}

    def get(self, call: Call) -> Answer:
        """Show one."""
        return {"checkpoint": self._shown(call.path("uuid"))}

    def of_experiment(self, call: Call) -> Answer:
        """List those of all trials."""
        parent = self.ledger.experiment(call.id())
        found = [c for trial in self.ledger.trials(parent.id) for c in self.ledger.checkpoints(trial.id)]
        return self._listed(call, parent, found)

    def of_trial(self, call: Call) -> Answer:
        """List those of one trial."""
        trial = self.ledger.trial(call.id())
        parent = self.ledger.experiment(trial.experiment_id)
        return self._listed(call, parent, self.ledger.checkpoints(trial.id))

    def metadata(self, call: Call) -> Answer:
        """Replace a checkpoint's metadata."""
        found = self.ledger.checkpoint(call.path("uuid"))
        changed = section(call.body, "checkpoint", "metadata")
        self.master.store.update("checkpoints", found.uuid, metadata=dump(changed))
        return {"checkpoint": self._shown(found.uuid)}

    def patch(self, call: Call) -> Answer:
        """Take note of which files remain."""
        with self.master.store.transaction():
            for one in items(call.body, "checkpoints"):
                tree = one if isinstance(one, dict) else {}
                found = self.ledger.checkpoint(text(tree, "uuid"))
                left = section(tree, "resources", "resources")
                self._remains(found, {name: str(size) for name, size in left.items()})
        return {}

    def delete(self, call: Call) -> Answer:
        """Delete checkpoints with their files; a registered one is kept and refused."""
        return self._remove(texts(call.body, "checkpointUuids"), ["*"])

    def remove(self, call: Call) -> Answer:
        """Delete the files that match."""
        return self._remove(texts(call.body, "checkpointUuids"), texts(call.body, "checkpointGlobs"))

    def download(self, call: Call) -> Answer:
        """Send the files as one archive."""
        found = self.ledger.checkpoint(call.path("uuid"))
        parent = self._parent(found)
        accepted = call.request.headers.get("accept", "*/*").split(",")[0].strip()
        kind = ARCHIVES.get(accepted)
        if kind is None:
            raise invalid(f"checkpoints are sent as {', '.join(ARCHIVES)}, not {accepted}")
        path = storage.folder(parent.storage, found.uuid)
        name, media = ("tar", "application/x-tar") if kind == "w" else ("tar.gz", "application/gzip")
        headers = {"Content-Disposition": f'attachment; filename="{found.uuid}.{name}"'}
        return StreamingResponse(storage.archive(path, kind), media_type=media, headers=headers)

    def metrics(self, call: Call) -> Answer:
        """List what trials reported that said they used this checkpoint."""
        found = self.ledger.checkpoint(call.path("uuid"))
        kind = call.query("metricGroup") or None
        rows = self.master.store.rows("SELECT trial_id FROM trial_sources WHERE checkpoint = ?", found.uuid)
        reports = [report for row in rows for report in self.ledger.reports(row["trial_id"], kind)]
        return {"metrics": [views.metrics(report) for report in reports]}

    def source(self, call: Call) -> Answer:
        """Take note that a trial uses a checkpoint; again is a success."""
        sent = section(call.body, "trialSourceInfo")
        values = (
            sent.get("trialId"),
            text(sent, "checkpointUuid"),
            sent.get("modelId") or 0,
            sent.get("modelVersion") or 0,
            text(sent, "trialSourceInfoType"),
        )
        self.master.store.run(
            "INSERT OR IGNORE INTO trial_sources (trial_id, checkpoint, model_id, version, kind)"
            " VALUES (?, ?, ?, ?, ?)",
            *(value if isinstance(value, str | int) else 0 for value in values),
        )
        return {"trialId": values[0], "checkpointUuid": values[1]}

    def _listed(self, call: Call, parent: Experiment, found: list[Checkpoint]) -> Answer:
        states = {state.removeprefix("STATE_") for state in call.queries("states")}
        kept = [c for c in found if not states or c.state in states]
        ordered = self._ordered(call, parent, kept)
        return page(call, "checkpoints", [views.checkpoint(self.ledger, c) for c in ordered])

    def _ordered(self, call: Call, parent: Experiment, found: list[Checkpoint]) -> list[Checkpoint]:
        """Sort; by a metric, better or smaller first and those without it last either way."""
        by, metric = call.query("sortByAttr"), call.query("sortByMetric")
        descending = call.query("orderBy") == "ORDER_BY_DESC"
        if metric or by == "SORT_BY_SEARCHER_METRIC":
            if not call.query("orderBy") and not metric:
                descending = not parent.smaller_is_better
            return self._by_score(parent, found, metric, -1 if descending else 1)
        keys = {
            "SORT_BY_UUID": lambda c: (c.uuid,),
            "SORT_BY_TRIAL_ID": lambda c: (c.trial_id or 0, c.steps),
            "SORT_BY_BATCH_NUMBER": lambda c: (c.steps, c.report_time),
            "SORT_BY_STATE": lambda c: (c.state,),
        }
        return sorted(found, key=keys.get(by, lambda c: (c.report_time,)), reverse=descending)

    def _by_score(self, parent: Experiment, found: Iterable[Checkpoint], metric: str, sign: int) -> list[Checkpoint]:
        scores = [(views.checkpoint_score(self.ledger, parent, c, metric), c) for c in found]
        scored = [(score * sign, c.report_time, c) for score, c in scores if score is not None]
        # of equals the first: which trial reached it, and when, does not depend on how long the others went on
        ordered = sorted(scored, key=lambda found: found[:2])
        return [c for *_, c in ordered] + [c for score, c in scores if score is None]

    def _remove(self, uuids: list[str], globs: list[str]) -> Answer:
        found = [self.ledger.checkpoint(uuid) for uuid in uuids]
        for one in found:
            if self.master.store.row("SELECT 1 FROM model_versions WHERE checkpoint = ?", one.uuid):
                raise refused(f"checkpoint {one.uuid} is registered as a model version and is kept")
        for one in found:
            self._remains(one, storage.remove(self._parent(one).storage, one.uuid, globs))
        return {}

    def _remains(self, found: Checkpoint, left: dict[str, str]) -> None:
        gone = set(found.resources) - set(left)
        state = "DELETED" if not left else "PARTIALLY_DELETED" if gone else found.state
        self.master.store.update("checkpoints", found.uuid, resources=dump(left), state=state)

    def _parent(self, found: Checkpoint) -> Experiment:
        trial = self.ledger.trial(found.trial_id or 0)
        return self.ledger.experiment(trial.experiment_id)

    def _shown(self, uuid: str) -> Tree:
        return views.checkpoint(self.ledger, self.ledger.checkpoint(uuid))

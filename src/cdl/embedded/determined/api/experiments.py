"""Experiments: create, look, change, stop, delete."""

import json
import operator
import secrets
import time
from collections.abc import Callable, Sequence

from cdl.embedded.determined import config as expconf
from cdl.embedded.determined import model_defs, previews, removal, views
from cdl.embedded.determined.api import templates
from cdl.embedded.determined.errors import ApiError, Code, invalid, missing, refused
from cdl.embedded.determined.fields import Tree, items, section, text, texts, truth, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Experiment, Project
from cdl.embedded.determined.states import ACTIVE, STOPPING_CANCELED, STOPPING_KILLED
from cdl.embedded.determined.store import dump
from cdl.embedded.determined.web import Answer, Call, Routes, page

SORTS = {
    "SORT_BY_NAME": "name",
    "SORT_BY_START_TIME": "startTime",
    "SORT_BY_END_TIME": "endTime",
    "SORT_BY_STATE": "state",
    "SORT_BY_NUM_TRIALS": "numTrials",
    "SORT_BY_PROGRESS": "progress",
    "SORT_BY_DESCRIPTION": "description",
    "SORT_BY_USER": "username",
}
BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "experimentIdFilter.gt": operator.gt,
    "experimentIdFilter.gte": operator.ge,
    "experimentIdFilter.lt": operator.lt,
    "experimentIdFilter.lte": operator.le,
}


class Experiments:
    """Endpoints of experiments."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints."""
        routes.add("POST", "/experiments", self.create)
        routes.add("GET", "/experiments", self.list)
        routes.add("GET", "/experiment/labels", self.all_labels)
        routes.add("GET", "/experiments/{id}", self.get)
        routes.add("PATCH", "/experiments/{id}", self.patch)
        routes.add("DELETE", "/experiments/{id}", self.delete)
        for verb in ("activate", "pause", "cancel", "kill", "archive", "unarchive"):
            routes.add("POST", f"/experiments/{{id}}/{verb}", getattr(self, verb))
        routes.add("PUT", "/experiments/{id}/labels/{label}", self.add_label)
        routes.add("DELETE", "/experiments/{id}/labels/{label}", self.remove_label)
        routes.add("GET", "/experiments/{id}/model_def", self.model_def)
        routes.add("GET", "/experiments/{id}/validation-history", self.history)
        routes.add("GET", "/experiments/{id}/searcher/best_searcher_validation_metric", self.best)
        routes.add("POST", "/preview-hp-search", self.preview)

    def create(self, call: Call) -> Answer:
        """Check a config, write the experiment, and start it when asked to."""
        body = call.body
        written = templates.completed(self.master, expconf.parse(text(body, "config")), text(body, "template"))
        home = self._home(body, written)
        site = self.master.site(int(time.time()), f"Experiment ({secrets.token_hex(3)})", home)
        full = expconf.expand(written, site)
        self._check(body, full)
        if truth(body, "validateOnly"):
            return {"experiment": self._unsaved(full, text(body, "config"), call), "config": full, "warnings": []}
        with self.master.store.transaction():
            number_ = self.master.lifecycle.create(
                full,
                text(body, "config"),
                self._model_def(body),
                call.user.id,
                project=home.id,
                parent=whole(body, "parentId") or None,
                paused=not truth(body, "activate"),
            )
        self.master.engine.settle()
        return self._shown(number_) | {"warnings": []}

    def list(self, call: Call) -> Answer:
        """List experiments, every filter narrowing."""
        found = [e for e in self.ledger.experiments() if _matches(e, call)]
        states, users = call.queries("states"), call.queries("users")
        if states:  # only an active one may show another state than it is kept with
            found = [e for e in found if e.state == ACTIVE or _in_states(f"STATE_{e.state}", states)]
        key, backwards = SORTS.get(call.query("sortBy"), "id"), call.query("orderBy") == "ORDER_BY_DESC"
        if key == "id" and not states and not users:
            return self._page_by_id(call, found[::-1] if backwards else found)
        shown = [views.experiment(self.ledger, e) for e in found]
        if states:
            shown = [e for e in shown if _in_states(str(e["state"]), states)]
        if users:
            shown = [e for e in shown if e["username"] in users]
        shown.sort(key=lambda e: (e.get(key) is not None, e.get(key)))
        if backwards:
            shown.reverse()
        return page(call, "experiments", shown)

    def _page_by_id(self, call: Call, found: Sequence[Experiment]) -> Answer:
        """Cut a page out of a list before anything is looked up: thousands may not be on it."""
        known = {e.id: e for e in found}
        told = page(call, "experiments", [{"id": e.id} for e in found])
        numbers = [whole(e, "id") for e in items(told, "experiments") if isinstance(e, dict)]
        return told | {"experiments": [views.experiment(self.ledger, known[n]) for n in numbers]}

    def get(self, call: Call) -> Answer:
        """Show one."""
        return self._shown(call.id())

    def patch(self, call: Call) -> Answer:
        """Change what people write about it; labels and name live in its config."""
        with self.master.store.transaction():
            found = self.ledger.experiment(call.id())
            changed = dict(found.config)
            for name in ("name", "description"):
                if isinstance(call.body.get(name), str):
                    changed[name] = call.body[name]
            if isinstance(call.body.get("labels"), list):
                changed["labels"] = sorted(set(texts(call.body, "labels")))
            if "resources" in call.body:
                changed["resources"] = _resources(found, section(call.body, "resources"))
            if "checkpointStorage" in call.body:
                changed["checkpoint_storage"] = _retention(found, section(call.body, "checkpointStorage"))
            notes = text(call.body, "notes", default=found.notes)
            self.master.store.update("experiments", found.id, config=dump(changed), notes=notes)
            if "checkpointStorage" in call.body:
                self.master.store.update("experiments", found.id, tidied=0)
        return {"experiment": views.experiment(self.ledger, self.ledger.experiment(call.id()))}

    def activate(self, call: Call) -> Answer:
        """Let it run."""
        self.master.lifecycle.pause(call.id(), paused=False)
        return self._done()

    def pause(self, call: Call) -> Answer:
        """Let its trials checkpoint and leave."""
        self.master.lifecycle.pause(call.id(), paused=True)
        return self._done()

    def cancel(self, call: Call) -> Answer:
        """End it, letting trials checkpoint."""
        self.master.lifecycle.stop(call.id(), STOPPING_CANCELED)
        return self._done()

    def kill(self, call: Call) -> Answer:
        """End it now."""
        self.master.lifecycle.stop(call.id(), STOPPING_KILLED)
        return self._done()

    def archive(self, call: Call) -> Answer:
        """Hide an ended experiment from lists."""
        return self._archive(call.id(), archived=True)

    def unarchive(self, call: Call) -> Answer:
        """Show it in lists again."""
        return self._archive(call.id(), archived=False)

    def delete(self, call: Call) -> Answer:
        """Remove an ended experiment with its trials, metrics, logs and checkpoint files."""
        removal.remove(self.master, [self.ledger.experiment(call.id())])
        return {}

    def add_label(self, call: Call) -> Answer:
        """Add a label; again is a success."""
        return self._relabel(call, add=True)

    def remove_label(self, call: Call) -> Answer:
        """Remove a label; absent is a success."""
        return self._relabel(call, add=False)

    def all_labels(self, _call: Call) -> Answer:
        """List labels, the most used first."""
        used: dict[str, int] = {}
        for found in self.ledger.experiments():
            for label in texts(found.config, "labels"):
                used[label] = used.get(label, 0) + 1
        return {"labels": sorted(used, key=lambda label: (-used[label], label))}

    def model_def(self, call: Call) -> Answer:
        """Return the files it was created with."""
        found = self.ledger.experiment(call.id())
        return {"b64Tgz": model_defs.encoded(self.master.store, found.model_def)}

    def history(self, call: Call) -> Answer:
        """List the validations that were the best so far."""
        found = self.ledger.experiment(call.id())
        reports = [r for t in self.ledger.trials(found.id) for r in self.ledger.reports(t.id, "validation")]
        best, listed = None, []
        for report in sorted(reports, key=lambda r: r.end_time):
            score = self.ledger.score(found, report)
            better = score is not None and (best is None or (score < best) == found.smaller_is_better)
            if better and score != best:
                best = score
                shown = views.metrics(report)
                listed.append({"trialId": report.trial_id, "endTime": shown["endTime"], "searcherMetric": score})
        return {"validationHistory": listed}

    def best(self, call: Call) -> Answer:
        """Return the best searcher metric of all trials; 404 means none yet."""
        shown = views.experiment(self.ledger, self.ledger.experiment(call.id()))
        if shown.get("bestTrialSearcherMetric") is None:
            raise missing(f"no validations yet in experiment {call.id()}")
        return {"metric": shown["bestTrialSearcherMetric"]}

    def preview(self, call: Call) -> Answer:
        """Say how many trials a search would train for how long, at most."""
        full = expconf.expand(section(call.body, "config"), self.master.site(whole(call.body, "seed"), "preview"))
        return {"summary": {"config": section(full, "searcher"), "trials": previews.of(full)}}

    def _home(self, body: Tree, written: Tree) -> Project:
        """Return the project the config or the request names; the config says it in words."""
        room, name = text(written, "workspace"), text(written, "project")
        if room and name:
            homes = [each for each in self.ledger.workspaces() if each.name == room]
            if not homes:
                raise missing(f"workspace '{room}' not found")
            inside = [each for each in self.ledger.projects(homes[0].id) if each.name == name]
            if not inside:
                raise missing(f"project '{name}' not found in workspace '{room}'")
            home = inside[0]
        else:
            home = self.ledger.project(whole(body, "projectId") or 1)
        if home.archived or self.ledger.workspace(home.workspace_id).archived:
            raise refused(f"project '{home.name}' is archived")
        return home

    def _check(self, body: Tree, full: Tree) -> None:
        if truth(body, "unmanaged"):
            raise ApiError(Code.UNIMPLEMENTED, "this master runs managed experiments only")
        slots = whole(full, "resources", "slots_per_trial")
        if slots > self.master.engine.slots.count:
            raise invalid(
                f"resources.slots_per_trial is {slots}, but this master has {self.master.engine.slots.count} slots; "
                f"start it with --slots {slots} or ask for fewer"
            )

    def _model_def(self, body: Tree) -> str:
        parent = whole(body, "parentId")
        if parent and not body.get("modelDefinition"):
            return self.ledger.experiment(parent).model_def
        return model_defs.keep(self.master.store, body)

    def _shown(self, experiment_id: int) -> Tree:
        found = self.ledger.experiment(experiment_id)
        return {"experiment": views.experiment(self.ledger, found), "config": found.config}

    def _unsaved(self, full: Tree, original: str, call: Call) -> Tree:
        start = time.time()
        shape = Experiment(0, "PAUSED", full, original, {}, "", call.user.id, start, None, False, "", None, 0.0, False)
        return views.experiment(self.ledger, shape)

    def _done(self) -> Answer:
        self.master.engine.settle()
        return {}

    def _archive(self, experiment_id: int, *, archived: bool) -> Answer:
        found = self.ledger.experiment(experiment_id)
        if found.live:
            raise refused(f"cannot archive experiment {found.id} in non terminal state {found.state}")
        self.master.store.update("experiments", found.id, archived=int(archived))
        return {}

    def _relabel(self, call: Call, *, add: bool) -> Answer:
        with self.master.store.transaction():
            found = self.ledger.experiment(call.id())
            labels = set(texts(found.config, "labels"))
            labels = labels | {call.path("label")} if add else labels - {call.path("label")}
            changed = found.config | {"labels": sorted(labels)}
            self.master.store.update("experiments", found.id, config=json.dumps(changed))
        return {"labels": sorted(labels)}


def _matches(found: Experiment, call: Call) -> bool:
    labels = set(texts(found.config, "labels"))
    ids = {int(one) for one in call.queries("experimentIdFilter.incl") if one.isdigit()}
    archived = call.flag("archived")
    return (
        set(call.queries("labels")) <= labels
        and call.query("name").lower() in text(found.config, "name").lower()
        and call.query("description").lower() in text(found.config, "description").lower()
        and (not ids or found.id in ids)
        and found.id not in {int(one) for one in call.queries("experimentIdFilter.notIn") if one.isdigit()}
        and all(fits(found.id, call.whole(key)) for key, fits in BOUNDS.items() if call.query(key))
        and (archived is None or archived == found.archived)
        and call.whole("projectId") in (0, found.project_id)
    )


def _in_states(state: str, wanted: list[str]) -> bool:
    """ACTIVE stands for everything it is enriched to."""
    running = ("STATE_QUEUED", "STATE_PULLING", "STATE_STARTING", "STATE_RUNNING")
    return state in wanted or (state in running and "STATE_ACTIVE" in wanted)


def _resources(found: Experiment, sent: Tree) -> Tree:
    kept = section(found.config, "resources")
    if "maxSlots" in sent:
        kept["max_slots"] = whole(sent, "maxSlots")
    return kept | {name: sent[name] for name in ("weight", "priority") if sent.get(name) is not None}


def _retention(found: Experiment, sent: Tree) -> Tree:
    names = {
        "saveExperimentBest": "save_experiment_best",
        "saveTrialBest": "save_trial_best",
        "saveTrialLatest": "save_trial_latest",
    }
    return found.storage | {ours: whole(sent, theirs) for theirs, ours in names.items() if theirs in sent}

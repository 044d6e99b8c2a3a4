"""What is done with experiments later: continue, move, look ahead of a clean-up, remove event files."""

import time
from dataclasses import replace

from cdl.embedded.determined import config as expconf
from cdl.embedded.determined import removal, templates, views
from cdl.embedded.determined.errors import invalid, refused
from cdl.embedded.determined.fields import Tree, section, text, whole
from cdl.embedded.determined.master import Master
from cdl.embedded.determined.records import Checkpoint, Experiment
from cdl.embedded.determined.retention import superfluous
from cdl.embedded.determined.web import Answer, Call, Routes

CONTINUED = ("single", "random", "grid")
NUMBERS = ("save_experiment_best", "save_trial_best", "save_trial_latest")


class Afterwards:
    """Endpoints of experiments that have run."""

    def __init__(self, master: Master) -> None:
        """Serve this master."""
        self.master = master
        self.ledger = master.ledger

    def add_to(self, routes: Routes) -> None:
        """Name the endpoints; the fixed path comes before those with an id."""
        routes.add("POST", "/experiments/continue", self.resume)
        routes.add("POST", "/experiments/{id}/move", self.move)
        routes.add("DELETE", "/experiments/{id}/tensorboard-files", self.remove_event_files)
        routes.add("GET", "//experiments/{id}/preview_gc", self.preview_removal)

    def resume(self, call: Call) -> Answer:
        """Run the trials of an ended experiment on from their latest checkpoints."""
        found = self.ledger.experiment(whole(call.body, "id"))
        if found.live:
            raise refused(f"experiment in non terminal state '{found.state}', try again later")
        override = expconf.parse(text(call.body, "overrideConfig") or "{}")
        kind = text(found.config, "searcher", "name")
        self._check(found, kind, override)
        site = self.master.site(int(time.time()), text(found.config, "name"))
        full = expconf.expand(templates.merged(override, found.config), site) if override else found.config
        self.master.lifecycle.reopen(found.id, full, again=kind == "single")
        self.master.engine.settle()
        return {"experiment": views.experiment(self.ledger, self.ledger.experiment(found.id)), "warnings": []}

    def move(self, call: Call) -> Answer:
        """Put an experiment into another project."""
        found = self.ledger.experiment(call.id())
        home = self.ledger.project(whole(call.body, "destinationProjectId"))
        if found.archived:
            raise refused(f"experiment ({found.id}) is archived and cannot be moved")
        if home.archived or self.ledger.workspace(home.workspace_id).archived:
            raise refused(f"project ({home.id}) is archived and cannot add new experiments")
        self.master.store.update("experiments", found.id, project_id=home.id)
        return {}

    def remove_event_files(self, call: Call) -> Answer:
        """Remove what TensorBoard would show of an experiment."""
        removal.tensorboard_files(self.master, self.ledger.experiment(call.id()))
        return {}

    def preview_removal(self, call: Call) -> Answer:
        """List the checkpoints that other numbers of ``checkpoint_storage.save_*`` would remove."""
        found = self.ledger.experiment(call.id())
        wished = found.storage | {name: call.whole(name, whole(found.storage, name)) for name in NUMBERS}
        doomed = superfluous(self.ledger, replace(found, config=found.config | {"checkpoint_storage": wished}))
        return {"checkpoints": [self._doomed(one) for one in doomed], "metric_name": found.metric}

    def _doomed(self, one: Checkpoint) -> Tree:
        shown = views.checkpoint(self.ledger, one)
        return {
            "TrialID": one.trial_id,
            "StepsCompleted": one.steps,
            "State": one.state,
            "UUID": one.uuid,
            "Resources": one.resources,
            "ReportTime": shown["reportTime"],
            "ValidationMetrics": section(shown, "training", "validationMetrics", "avgMetrics"),
        }

    def _check(self, found: Experiment, kind: str, override: Tree) -> None:
        if kind not in CONTINUED:
            raise invalid(f"experiments with the searcher '{kind}' cannot be continued, only {', '.join(CONTINUED)}")
        if kind != "single":
            if override:
                raise invalid(f"an override config is for the single searcher only, this experiment has '{kind}'")
            if all(trial.state == "COMPLETED" for trial in self.ledger.trials(found.id)):
                raise refused("experiment has been completed, cannot continue this experiment")
        for name in ("project", "workspace"):
            if override.get(name) is not None:
                raise invalid(f"'{name}' in override config cannot be specified, use `det experiment move` first")
        if text(override, "searcher", "name") not in ("", "single"):
            raise invalid(f"override config must have single searcher type, got {text(override, 'searcher', 'name')!r}")

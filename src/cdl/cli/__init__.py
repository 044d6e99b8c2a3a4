"""`cdl`: one verb a file, loaded when spoken."""

from __future__ import annotations

import importlib

import click

VERBS = {
    "init": "write a project of your own: resources, model, tests and a pipeline for GitLab",
    "run": "bring the platform up on this machine and drive a project to Ready",
    "stop": "end every process that `cdl run` started",
    "up": "start a Kubernetes API server, the engines and the operators on this machine",
    "down": "end every process that `cdl up` started",
    "render": "print a project's resources as an API server takes them",
    "plan": "show what applying a project would run, what it would reuse and why",
    "apply": "show the plan of a project, ask, and write its resources",
    "forge": "keep git repositories and merge requests on this machine, and production true to them",
    "labelstudio": "have people label items in Label Studio on this machine",
    "gitops": "follow a git repository: apply what its branch says, prune what left it",
    "get": "list resources",
    "describe": "show everything about one resource",
    "delete": "delete a resource and what it made",
    "wait": "come back when a condition holds, as kubectl wait does",
    "logs": "show the log of a step, a trial, a model server or a platform process",
    "predict": "ask a served model",
    "lineage": "walk from a model to everything behind it",
    "diff": "show what differs between two Releases",
    "exp": "look at experiments: trials, curves, logs, reports",
    "model": "list models, look at a version, take one to another machine",
    "data": "show the versions of datasets, compare two, write one out",
    "pachctl": "speak to the data engine as pachctl does",
    "export": "write a Release as attestation, bill of materials, model card or lineage events",
    "verify": "name the member of a Release that is missing or has changed",
    "rollback": "serve an earlier approved Release again, with all its members",
    "reproduce": "build a Release's model again and compare",
    "approve": "approve a Release",
    "reject": "reject a Release",
    "history": "show who did what, when and why",
    "audit": "take the history out to a file, and check that nobody changed it",
    "conformance": "compare how a model came to be with the workflow's flow chart",
    "level": "score a project by the levels of automation",
    "validate": "check a project's resources without touching anything",
    "backup": "write everything of this home folder to one file",
    "restore": "put back what `cdl backup` wrote",
    "doctor": "say what is installed, what runs and what is missing",
}


class Verbs(click.Group):
    """Loads a verb's module only when the verb is used: `cdl --help` imports no engine."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the verbs in the order of a day's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a verb."""
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"cdl.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cdl", message="%(prog)s %(version)s")
def main() -> None:
    """Continuous Deep Learning: models kept in production true to what is in git."""

"""`cdl pachctl`: what fingers know from pachctl, over whichever pachd the platform drives."""

from __future__ import annotations

import click

from . import files, jobs, pipelines, repos

COMMANDS: dict[str, tuple[str, dict[str, click.Command]]] = {
    "create": ("Create a repo or a pipeline.", {"repo": repos.create, "pipeline": pipelines.create}),
    "update": ("Update a pipeline.", {"pipeline": pipelines.update}),
    "list": (
        "List repos, branches, commits, files, pipelines, jobs or datums.",
        {
            "repo": repos.listed,
            "branch": repos.branches,
            "commit": repos.commits,
            "file": files.listed,
            "pipeline": pipelines.listed,
            "job": jobs.listed,
            "datum": jobs.datums,
        },
    ),
    "inspect": (
        "Show everything about a commit, a pipeline, a job or a datum.",
        {"commit": repos.commit, "pipeline": pipelines.inspect, "job": jobs.inspect, "datum": jobs.datum},
    ),
    "delete": ("Delete a repo or a pipeline.", {"repo": repos.delete, "pipeline": pipelines.delete}),
    "put": ("Write files.", {"file": files.put}),
    "get": ("Read files.", {"file": files.get}),
    "glob": ("List what a pattern matches.", {"file": files.glob}),
    "diff": ("List what differs.", {"file": files.diff}),
    "start": ("Start a stopped pipeline.", {"pipeline": pipelines.start}),
    "stop": ("Stop a pipeline or a job.", {"pipeline": pipelines.stop, "job": jobs.stop}),
    "run": ("Let a cron tick now.", {"cron": pipelines.run_cron}),
    "wait": ("Come back when a commit or a job is done.", {"commit": repos.wait, "job": jobs.wait}),
}


@click.group("pachctl", help="Speak to the data engine as pachctl does: create pipeline -f, put file, list job, logs.")
@click.option("--project", default="default", show_default=True, help="The project that names without one are in.")
@click.pass_context
def command(context: click.Context, project: str) -> None:
    """Hold the verbs, and remember the project."""
    context.obj = project


def _group(name: str, text: str, found: dict[str, click.Command]) -> click.Group:
    return click.Group(name, commands=found, help=text)


for verb, (said, below) in COMMANDS.items():
    command.add_command(_group(verb, said, below))
command.add_command(jobs.logs)

"""Play chapter 6 with merge requests: `python -m demos.gitops`, or `make demo-gitops`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import click

from . import clock
from .eyes import Eyes
from .platform import Platform, Stuck
from .project import ROOT, USE_CASES, Edit, Project, look_alike
from .turns import Story

SHARED = ROOT.parent / "shared" / "data"
FILES = {"bbc-news": "bbc-fulltext.tar.gz", "fashion-mnist": "train-images-idx3-ubyte.gz"}


def main() -> int:
    """Play the story of each use case; 1: something did not come to be."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was started must not be left behind
    data = Path(os.environ["CDL_DATA"]) if os.environ.get("CDL_DATA") else SHARED
    projects = [one for one in USE_CASES if options.only in {None, one.name}]
    real = not options.synthetic and all((data / one.name / FILES[one.name]).is_file() for one in projects)
    home = options.home.resolve()
    platform = Platform(home, data if real else home / "look-alikes", cluster=options.cluster)
    try:
        platform.start_afresh()
        told = f"real data from {data}" if real else "SYNTHETIC look-alikes: the figures say nothing about real data"
        click.echo(f"home {home}; {told}")
        address = platform.open_forge(options.port)
        edits = {one.name: () if real else look_alike(one, home / "look-alikes") for one in projects}
        stories = [_played(platform, project, edits[project.name]) for project in projects]
        _summary(platform, address, stories)
    except Stuck as stuck:
        click.echo(f"\nERROR: {stuck}\nlogs are in {home / 'logs'}", err=True)
        return 1
    finally:
        if not options.keep:
            click.echo(platform.cdl("stop").strip())
    if options.keep:
        click.echo(f"everything runs on: CDL_HOME={home} cdl get; CDL_HOME={home} cdl stop ends it")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demos.gitops", description=__doc__)
    names = [one.name for one in USE_CASES]
    usual = Path(os.environ.get("CDL_HOME", ".cdl")) / "demo-gitops"
    parser.add_argument("--only", choices=names, help="play one use case")
    parser.add_argument("--synthetic", action="store_true", help="generated data, even where the real one is at hand")
    parser.add_argument("--cluster", action="store_true", help="on a real API server, as `cdl up` starts one")
    parser.add_argument("--home", type=Path, default=usual, help="where everything lies (default: %(default)s)")
    parser.add_argument("--port", type=int, help="port of the forge")
    parser.add_argument("--keep", action="store_true", help="leave everything running, to look around")
    return parser.parse_args()


def _played(platform: Platform, project: Project, data: tuple[Edit, ...]) -> Story:
    eyes = Eyes(platform)
    eyes.heading(f"{project.name}: the repository and its data")
    story = Story(platform, project, data, eyes)
    story.set_up()
    story.first_model()
    story.rejected()
    better = story.promoted()
    story.reverted(better)
    return story


def _summary(platform: Platform, address: str, stories: list[Story]) -> None:
    turns = [turn for story in stories for turn in story.turns]
    click.echo("\nwhat stands in production (cdl get)\n")
    click.echo(platform.cdl("get", "-n", "production"))
    if events := platform.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp"):
        click.echo(f"what was told on the way (kubectl get events -A)\n\n{events}")
        click.echo(f"what there is (kubectl get cdl -A)\n\n{platform.kubectl('get', 'cdl', '-A')}")
    for story in stories:
        click.echo(f"what happened to {story.project.name} in production (cdl history)\n")
        click.echo(platform.cdl("history", "modeldeployment", story.project.name, "-n", "production"))
    click.echo("what the merge requests say\n")
    for story in stories:
        for turn in story.turns:
            click.echo(f"{address}/{story.project.path}/-/merge_requests/{turn.number}  {story.note(turn)}")
    busy = f"load {os.getloadavg()[2]:.1f} over the last 15 minutes on {os.cpu_count()} cores"
    click.echo(f"\nhow long it took ({busy})\n")
    for line in clock.table(turns):
        click.echo(line)
    click.echo()
    for turn in turns:
        if turn.outcome in {"promoted", "reverted"}:
            click.echo(clock.verdict(turn))


if __name__ == "__main__":
    sys.exit(main())

"""The files of a Release's data outlive the data engine: verified by name, compared without asking anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdl.api.v1alpha1 import Release
from cdl.loop.diff import gather
from cdl.loop.listing import files_kept
from cdl.loop.verify import Witnesses, verify
from cdl.ports.errors import NotPermitted
from cdl.reconcile.release import Silence, State, listed
from cdl.reconcile.release.diff import diff
from cdl.testing.world import NEWS

from .plan_project import PIPELINE, Project

DOWN = Silence("it does not run")
NOBODY = Silence("no git repository", asked=False)
MORE = {**NEWS, "sport/new.txt": "a goal late at night, long enough"}


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    project.apply()
    return project


def releases(project):
    return sorted(project.world.resources.list(Release), key=lambda r: r.spec.version)


def not_intact(project, release):
    world = project.world
    asked = Witnesses(world.artifacts, world.resources, world.data, world.training, NOBODY, world.signer)
    said = verify(asked, release)
    return {f"{f.member} {f.path}": f.state for f in said if f.member in {"data", "release"} and f.state.broken}


def commit_of(project, release, side):
    data = release.spec.members["data"][side]
    return project.world.data.committed(data["repo"], data["commit"], "default")


def test_a_release_has_a_list_of_its_files(project):
    (release,) = releases(project)
    assert listed.LEFT_OUT_ANNOTATION not in release.metadata.annotations
    sides = listed.unpacked(project.world.artifacts.contents[listed.address(release)])
    assert {side: sorted(files) for side, files in sides.items()} == {
        side: sorted(f"/{p}" for p in commit_of(project, release, side).files if not p.startswith("_"))
        for side in ("train", "test")
    }
    assert not_intact(project, release) == {}


def test_one_file_changed_behind_our_back_is_named_and_no_other(project):
    (release,) = releases(project)
    commit = commit_of(project, release, "train")
    path = sorted(p for p in commit.files if not p.startswith("_"))[1]
    commit.files[path] += b" and more"
    assert not_intact(project, release) == {f"data train /{path}": State.CHANGED, "data files": State.CHANGED}


def test_a_list_that_was_replaced_is_named_itself_and_not_believed(project):
    (release,) = releases(project)
    project.world.artifacts.contents[listed.address(release)] = listed.packed({"train": {}, "test": {}})
    assert not_intact(project, release) == {"release files": State.CHANGED}
    # Nor is one that is what its name says, but not what the dataset's version stands for.
    uri = project.world.artifacts.keep(listed.packed({"train": {}, "test": {}}), listed.SUFFIX)
    notes = {**release.metadata.annotations, listed.FILES_ANNOTATION: uri}
    forged = release.model_copy(update={"metadata": release.metadata.model_copy(update={"annotations": notes})})
    read = gather(project.world.artifacts, DOWN, forged)
    assert read.data == {"train": None, "test": None}


def test_two_releases_are_compared_when_their_data_is_gone(project):
    project.publish(MORE)
    project.apply()
    first, second = releases(project)
    project.world.data.forget(PIPELINE)
    old, new = (gather(project.world.artifacts, DOWN, release) for release in (first, second))
    told = {one.side: one for one in diff(old, new, full=False).data}
    assert all(not one.unread for one in told.values())
    assert [line for one in told.values() for line in one.first] == ["/sport/new.txt: added"]
    assert sum(one.added for one in told.values()) == 1


def test_a_release_without_a_list_asks_the_data_engine(project):
    (release,) = releases(project)
    bare = release.model_copy(update={"metadata": release.metadata.model_copy(update={"annotations": {}})})
    assert gather(project.world.artifacts, project.world.data, bare).data["train"]
    assert gather(project.world.artifacts, DOWN, bare).data == {"train": None, "test": None}


class Closed:
    """A data engine that shows nobody its files, as an operator sees it that looks after no DataPipelines."""

    def manifest(self, *_):
        raise NotPermitted("it does not look after DataPipelines")


def test_who_may_not_read_the_data_writes_a_release_all_the_same_and_says_why(project):
    (release,) = releases(project)
    engines = replace(project.world.engines, data=Closed())
    notes = files_kept(engines, "default", release.spec.members)
    assert notes == {
        listed.LEFT_OUT_ANNOTATION: "the data could not be read when the release was written: "
        "it does not look after DataPipelines"
    }

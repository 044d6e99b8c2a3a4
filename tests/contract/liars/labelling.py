"""Labelling engines that break one promise each."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from cdl.ports.errors import Rejected
from cdl.testing.memory import MemoryLabelling
from cdl.testing.memory.labelling import Project


class FoundsAnewEachTime(MemoryLabelling):
    def ensure_project(self, owner, title, config):
        self._choices(config)
        return self.found(title, config)


class TakesWhateverIsCalledAlike(MemoryLabelling):
    def ensure_project(self, owner, title, config):
        for name, kept in self.projects.items():
            if kept.title == title and kept.owner != owner:
                return name
        return super().ensure_project(owner, title, config)


class KeepsTheTitle(MemoryLabelling):
    def ensure_project(self, owner, title, config):
        before = {name: kept.title for name, kept in self.projects.items()}
        name = super().ensure_project(owner, title, config)
        self.projects[name].title = before.get(name, title)
        return name


class TakesAnyInterface(MemoryLabelling):
    def _choices(self, config):
        try:
            return super()._choices(config)
        except Rejected:
            return set()


class TakesChoicesAway(MemoryLabelling):
    def ensure_project(self, owner, title, config):
        kept = next((one for one in self.projects.values() if one.owner == owner), None)
        if kept is not None:
            self._choices(config)
            kept.config = config
        return super().ensure_project(owner, title, config)


class ForgetsNothing(MemoryLabelling):
    def forget(self, owner):
        pass


class ForgetsEverything(MemoryLabelling):
    def forget(self, owner):
        self.projects = {}


class DoublesTasks(MemoryLabelling):
    def add_tasks(self, project, tasks):
        kept, tasks = self._project(project), list(tasks)
        kept.tasks |= {str(next(self._numbers)): one for one in tasks}
        return len(tasks)


class KnowsTasksByTheirItem(MemoryLabelling):
    def add_tasks(self, project, tasks):
        there = {one.item for one in self._project(project).tasks.values()}
        return super().add_tasks(project, [one for one in tasks if one.item not in there])


class StripsTexts(MemoryLabelling):
    def add_tasks(self, project, tasks):
        return super().add_tasks(
            project,
            [
                dataclasses.replace(one, fields={name: " ".join(text.split()) for name, text in one.fields.items()})
                for one in tasks
            ],
        )


class MakesUpProjects(MemoryLabelling):
    def add_tasks(self, project, tasks):
        self.projects.setdefault(project, Project(None, "made up", "<View/>"))
        return super().add_tasks(project, tasks)


class HearsNothingInProjectsThatAreGone(MemoryLabelling):
    def annotations(self, project):
        return super().annotations(project) if project in self.projects else ()


class NamesNobody(MemoryLabelling):
    def annotations(self, project):
        return tuple(dataclasses.replace(one, annotator="somebody") for one in super().annotations(project))


class KeepsTheFirstMoment(MemoryLabelling):
    def annotations(self, project):
        then = datetime(2026, 1, 1, tzinfo=UTC)
        return tuple(dataclasses.replace(one, at=then) for one in super().annotations(project))


class KeepsTheOrderOfClicks(MemoryLabelling):
    def annotations(self, project):
        answers = self._project(project).answers
        return tuple(
            dataclasses.replace(one, label=";".join(answers[one.id].choices)) for one in super().annotations(project)
        )


class GivesThemAsTheyCame(MemoryLabelling):
    def annotations(self, project):
        return tuple(sorted(super().annotations(project), key=lambda one: one.at))


class TakesWhatWasSkipped(MemoryLabelling):
    def _fault(self, kept, one):
        return "" if one.skipped else super()._fault(kept, one)


class PassesOverInSilence(MemoryLabelling):
    def unusable(self, project):
        super().unusable(project)
        return ()


LIARS = {
    FoundsAnewEachTime: {
        "test_a_project_follows_what_is_wanted",
        "test_an_interface_that_contradicts_labels_is_refused",
        "test_an_owner_has_one_project_however_often_it_is_wanted",
        "test_nobody_said_anything_in_a_project_that_is_gone",
        "test_there_are_no_tasks_without_a_project",
        "test_what_is_forgotten_is_gone_and_nothing_else",
    },
    TakesWhateverIsCalledAlike: {"test_a_title_is_nobodys", "test_what_is_forgotten_is_gone_and_nothing_else"},
    KeepsTheTitle: {"test_a_project_follows_what_is_wanted"},
    TakesAnyInterface: {"test_an_interface_that_is_none_is_refused"},
    TakesChoicesAway: {"test_an_interface_that_contradicts_labels_is_refused"},
    ForgetsNothing: {
        "test_nobody_said_anything_in_a_project_that_is_gone",
        "test_there_are_no_tasks_without_a_project",
        "test_what_is_forgotten_is_gone_and_nothing_else",
    },
    ForgetsEverything: {"test_what_is_forgotten_is_gone_and_nothing_else"},
    DoublesTasks: {"test_a_task_is_there_once"},
    KnowsTasksByTheirItem: {"test_changed_content_is_another_task"},
    StripsTexts: {"test_people_see_the_fields_and_the_proposal"},
    MakesUpProjects: {"test_there_are_no_tasks_without_a_project"},
    HearsNothingInProjectsThatAreGone: {"test_nobody_said_anything_in_a_project_that_is_gone"},
    NamesNobody: {"test_annotations_are_ordered", "test_what_people_say_is_given"},
    KeepsTheFirstMoment: {"test_a_changed_annotation_is_the_same_one_later"},
    KeepsTheOrderOfClicks: {"test_several_choices_stand_in_order"},
    GivesThemAsTheyCame: {"test_annotations_are_ordered"},
    TakesWhatWasSkipped: {"test_what_is_no_annotation_has_its_reason"},
    PassesOverInSilence: {"test_what_is_no_annotation_has_its_reason"},
}

"""What every LabellingEngine must keep; subclass it, give it an engine and people, and run it with pytest."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cdl.ports.errors import Conflict, Rejected
from cdl.ports.labelling import Task

from .builders import owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdl.api.meta import Key
    from cdl.ports.labelling import LabellingEngine

KIND = "DataPipeline"
ANN, BOB = "ann@example.test", "bob@example.test"


def asking(*choices: str) -> str:
    """Give an interface that asks for a text which of these it is."""
    listed = "".join(f'<Choice value="{choice}"/>' for choice in choices)
    asked = f'<Choices name="label" toName="text" choice="multiple">{listed}</Choices>'
    return f'<View><Text name="text" value="$text"/>{asked}</View>'


NEWS = asking("politics", "sport", "tech")


def task(item: str, text: str = "", predicted: str = "") -> Task:
    """Give a task about a text."""
    content = text or f"the text of {item}"
    return Task(item, hashlib.sha256(content.encode()).hexdigest(), {"text": content}, predicted)


class LabellingEngineContract:
    """One test a promise of `cdl.ports.labelling`; what people do is done by the methods before the tests."""

    @pytest.fixture
    def engine(self) -> LabellingEngine:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def founded(self, engine: LabellingEngine, title: str, config: str) -> str:
        """Have somebody make a project of their own, and give its name."""
        raise NotImplementedError

    def shown(self, engine: LabellingEngine, project: str) -> tuple[str, str, list[tuple[Mapping[str, str], str]]]:
        """Give what people see of a project: title, interface, and each task's fields with what is proposed."""
        raise NotImplementedError

    def answered(
        self, engine: LabellingEngine, project: str, item: str, *choices: str, who: str = ANN, skipped: bool = False
    ) -> str:
        """Have somebody say something of an item's newest task, and give the engine's name of it."""
        raise NotImplementedError

    def changed(self, engine: LabellingEngine, project: str, answer: str, *choices: str) -> None:
        """Have somebody think better of it."""
        raise NotImplementedError

    def exists(self, engine: LabellingEngine, project: str) -> bool:
        """Tell whether a project is there."""
        raise NotImplementedError

    # --- projects ---

    def test_an_owner_has_one_project_however_often_it_is_wanted(self, engine: LabellingEngine) -> None:
        """The same call gives the same project, with its tasks."""
        mine = owner(KIND)
        first = engine.ensure_project(mine, "News", NEWS)
        engine.add_tasks(first, [task("/a.txt")])
        assert engine.ensure_project(mine, "News", NEWS) == first
        title, config, tasks = self.shown(engine, first)
        assert (title, config, len(tasks)) == ("News", NEWS, 1)

    def test_a_title_is_nobodys(self, engine: LabellingEngine) -> None:
        """Two owners, and a person, may call their projects alike."""
        theirs = self.founded(engine, "Twins", NEWS)
        one, other = (engine.ensure_project(owner(KIND), "Twins", NEWS) for _ in range(2))
        assert len({theirs, one, other}) == 3

    def test_a_project_follows_what_is_wanted(self, engine: LabellingEngine) -> None:
        """Title and interface change where they stand; what people said stays."""
        mine, wider = owner(KIND), asking("politics", "sport", "tech", "weather")
        project = engine.ensure_project(mine, "News", NEWS)
        engine.add_tasks(project, [task("/a.txt")])
        self.answered(engine, project, "/a.txt", "sport")
        assert engine.ensure_project(mine, "More news", wider) == project
        assert self.shown(engine, project)[:2] == ("More news", wider)
        assert [one.label for one in engine.annotations(project)] == ["sport"]

    def test_an_interface_that_is_none_is_refused(self, engine: LabellingEngine) -> None:
        """Nothing is made of it."""
        mine = owner(KIND)
        with pytest.raises(Rejected):
            engine.ensure_project(mine, "News", "<View><Text")
        project = engine.ensure_project(mine, "News", NEWS)
        with pytest.raises(Rejected):
            engine.ensure_project(mine, "News", "<View><Text")
        assert self.shown(engine, project)[1] == NEWS

    def test_an_interface_that_contradicts_labels_is_refused(self, engine: LabellingEngine) -> None:
        """A choice that somebody made stays a choice."""
        mine = owner(KIND)
        project = engine.ensure_project(mine, "News", NEWS)
        engine.add_tasks(project, [task("/a.txt")])
        self.answered(engine, project, "/a.txt", "sport")
        with pytest.raises(Rejected):
            engine.ensure_project(mine, "News", asking("politics", "tech"))
        assert self.shown(engine, project)[1] == NEWS

    def test_what_is_forgotten_is_gone_and_nothing_else(self, engine: LabellingEngine) -> None:
        """Forgetting twice is a success; the next project is a new one."""
        mine, theirs = owner(KIND), self.founded(engine, "Mine", NEWS)
        project, other = (engine.ensure_project(one, "Mine", NEWS) for one in (mine, owner(KIND)))
        engine.add_tasks(project, [task("/a.txt")])
        engine.forget(mine)
        engine.forget(mine)
        assert [self.exists(engine, one) for one in (project, other, theirs)] == [False, True, True]
        assert self.shown(engine, engine.ensure_project(mine, "Mine", NEWS))[2] == []

    # --- tasks ---

    def test_a_task_is_there_once(self, engine: LabellingEngine) -> None:
        """Named twice, named again, named among others: one task."""
        project = self._project(engine)
        one, other, third = task("/a.txt"), task("/b.txt"), task("/c.txt")
        assert engine.add_tasks(project, [one, other, one]) == 2
        assert engine.add_tasks(project, iter([other, third, one])) == 1
        assert engine.add_tasks(project, [third]) == 0
        assert engine.add_tasks(project, []) == 0
        texts = sorted(fields["text"] for fields, _ in self.shown(engine, project)[2])
        assert texts == [f"the text of /{name}.txt" for name in "abc"]

    def test_changed_content_is_another_task(self, engine: LabellingEngine) -> None:
        """What was said of the old one stays said of the old one."""
        project = self._project(engine)
        old, new = task("/a.txt", "old"), task("/a.txt", "new")
        engine.add_tasks(project, [old])
        self.answered(engine, project, "/a.txt", "sport")
        assert engine.add_tasks(project, [new]) == 1
        self.answered(engine, project, "/a.txt", "tech")
        found = {one.sha256: one.label for one in engine.annotations(project)}
        assert found == {old.sha256: "sport", new.sha256: "tech"}

    def test_people_see_the_fields_and_the_proposal(self, engine: LabellingEngine) -> None:
        """Text as it is, whatever is in it; a proposal that is no choice is not shown."""
        project = self._project(engine)
        text = '<b>Grüße</b> & "quotes"\n\t\' $text {{x}} \u2028 😀'
        engine.add_tasks(
            project, [task("/a.txt", text, "sport"), task("/b.txt", "b"), task("/c.txt", "c", "unheard of")]
        )
        shown = {fields["text"]: proposed for fields, proposed in self.shown(engine, project)[2]}
        assert {"a": shown.get(text), "b": shown.get("b"), "c": shown.get("c")} == {"a": "sport", "b": "", "c": ""}

    def test_there_are_no_tasks_without_a_project(self, engine: LabellingEngine) -> None:
        """A project may be removed by hand."""
        with pytest.raises(Conflict):
            engine.add_tasks(self._gone(engine), [task("/a.txt")])

    # --- annotations ---

    def test_what_people_say_is_given(self, engine: LabellingEngine) -> None:
        """By whom, of what, and when; a proposal is nobody's word."""
        project = self._project(engine)
        said, silent = task("/a.txt", predicted="tech"), task("/b.txt", predicted="tech")
        engine.add_tasks(project, [said, silent])
        assert engine.annotations(project) == ()
        answer = self.answered(engine, project, "/a.txt", "sport", who=BOB)
        (found,) = engine.annotations(project)
        assert (found.item, found.sha256, found.label) == (said.item, said.sha256, "sport")
        assert (found.annotator, found.id) == (BOB, answer)
        assert found.at.utcoffset() is not None
        assert found.task

    def test_a_changed_annotation_is_the_same_one_later(self, engine: LabellingEngine) -> None:
        """It keeps its name."""
        project = self._project(engine)
        engine.add_tasks(project, [task("/a.txt")])
        answer = self.answered(engine, project, "/a.txt", "sport")
        (before,) = engine.annotations(project)
        self.changed(engine, project, answer, "tech")
        (after,) = engine.annotations(project)
        assert (after.id, after.task, after.label) == (before.id, before.task, "tech")
        assert after.at - before.at > timedelta(0)

    def test_several_choices_stand_in_order(self, engine: LabellingEngine) -> None:
        """However they were clicked."""
        project = self._project(engine)
        engine.add_tasks(project, [task("/a.txt")])
        self.answered(engine, project, "/a.txt", "tech", "politics")
        assert [one.label for one in engine.annotations(project)] == ["politics;tech"]

    def test_annotations_are_ordered(self, engine: LabellingEngine) -> None:
        """By item and moment, and everybody's is given."""
        project = self._project(engine)
        engine.add_tasks(project, [task("/b.txt"), task("/a.txt")])
        for item, choice, who in (("/b.txt", "sport", ANN), ("/a.txt", "tech", BOB), ("/a.txt", "politics", ANN)):
            self.answered(engine, project, item, choice, who=who)
        found = [(one.item, one.label, one.annotator) for one in engine.annotations(project)]
        assert found == [("/a.txt", "tech", BOB), ("/a.txt", "politics", ANN), ("/b.txt", "sport", ANN)]

    def test_what_is_no_annotation_has_its_reason(self, engine: LabellingEngine) -> None:
        """Skipped, and a choice that nobody offered: passed over, and told."""
        project = self._project(engine)
        engine.add_tasks(project, [task("/a.txt"), task("/b.txt"), task("/c.txt")])
        self.answered(engine, project, "/a.txt", skipped=True)
        self.answered(engine, project, "/b.txt", "unheard of")
        self.answered(engine, project, "/c.txt", "sport")
        assert [one.item for one in engine.annotations(project)] == ["/c.txt"]
        reasons = engine.unusable(project)
        told = [("/a.txt", "skipped"), ("/b.txt", "unheard of")]
        assert [any(item in one and word in one for one in reasons) for item, word in told] == [True, True]
        assert len(reasons) == 2

    def test_nobody_said_anything_in_a_project_that_is_gone(self, engine: LabellingEngine) -> None:
        """It is told from one where nobody has said anything yet."""
        gone = self._gone(engine)
        with pytest.raises(Conflict):
            engine.annotations(gone)
        with pytest.raises(Conflict):
            engine.unusable(gone)

    def _project(self, engine: LabellingEngine) -> str:
        return engine.ensure_project(owner(KIND), "News", NEWS)

    def _gone(self, engine: LabellingEngine) -> str:
        mine: Key = owner(KIND)
        project = engine.ensure_project(mine, "News", NEWS)
        engine.forget(mine)
        return project

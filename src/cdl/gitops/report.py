"""Tell the forge how what is followed stands: a status for each resource, and one note for each merge request.

Nothing is an event here: every beat compares what there is with what was told, and tells the difference. A forge that
is away is tried again with growing patience; what is followed goes on meanwhile.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cdl.ports.errors import Conflict, PortError
from cdl.ports.forge import CommitState
from cdl.reconcile.gitops import State
from cdl.reconcile.review import Ending, ended, note, of_release, picture, picture_key, rest, settled, statuses

from .recalled import Recalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdl.ports.forge import Forge, MergeRequest
    from cdl.reconcile.review import Candidate, View

    from .recalled import Memory
    from .scene import Scene, Target
    from .viewing import Viewer

NOTE = "cdl"
"""The key of the note."""
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds between two tries of what fails."""
ASK_AGAIN = 5.0
"""Seconds until the forge is asked again what became of a merge request that nobody sees any more."""
REFRESH = 600.0
"""Seconds after which everything is told again, which changes nothing unless somebody took it away."""
HOLD = 30.0
"""Seconds for which a note stays as it is while its resources are being taken away: mostly it is over then."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Patience:
    """When what failed is tried again."""

    until: float = 0.0
    wait: float = 0.0
    said: str = ""


@dataclass(slots=True)
class Reporter:
    """Tells the forge, and asks it only what became of merge requests that are not open any more."""

    forge: Forge
    viewer: Viewer
    memory: Memory
    clock: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda _: None
    """Hears in one sentence what fails, once."""
    _told: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    """Statuses by commit and name."""
    _noted: dict[int, str] = field(default_factory=dict)
    _bodies: dict[int, tuple[View, str]] = field(default_factory=dict)
    _patience: dict[str, _Patience] = field(default_factory=dict)
    _held: dict[int, float] = field(default_factory=dict)
    _asked: dict[int, float] = field(default_factory=dict)
    _closed: dict[int, str] = field(default_factory=dict)
    """What the target got of merge requests that are not open any more."""
    _merged: dict[str, MergeRequest | None] = field(default_factory=dict)
    """Merge requests by what production got of them."""
    _finished: set[int] = field(default_factory=set)
    """Merge requests that are over, and of whose head nothing says any more that it works."""
    _fresh: float | None = None

    def beat(self, scene: Scene) -> None:
        """Look at everything once and tell what is new; whatever fails is tried again later."""
        main = next((one for one in scene.targets if not one.merge_request), None)
        if main is None or not main.sha:
            return
        self._renew(scene)
        self._try("branch", lambda: self._branch(main))
        for target in scene.targets:
            self._closed.pop(target.merge_request, None)
            self._finished.discard(target.merge_request)
            if target.merge_request and target.sha:
                self._try(f"!{target.merge_request}", lambda target=target: self._review(target, main))  # type: ignore[misc]  # bound now
        seen = {target.merge_request for target in scene.targets}
        for one in [one for one in self.memory.told.values() if not one.over and one.number not in seen]:
            self._try(f"!{one.number}", lambda one=one: self._ended(one, main))  # type: ignore[misc]  # bound now

    # --- what is told -------------------------------------------------------------------------------------------------

    def _branch(self, main: Target) -> None:
        """Tell of production; where to read more is the note of the merge request that it came by."""
        view = self.viewer.view(main)
        if view.state in {State.APPLIED, State.REFUSED}:
            self._statuses(view, self._address(main.sha))

    def _address(self, sha: str) -> str:
        if sha not in self._merged:
            self._merged = {sha: self.forge.merge_request_of(sha)}
        found = self._merged[sha]
        known = self.memory.told.get(found.number) if found is not None else None
        return known.address if known is not None and known.address else found.url if found is not None else ""

    def _review(self, target: Target, main: Target) -> None:
        """Tell of an open merge request."""
        number = target.merge_request
        view, known = self.viewer.view(target), self.memory.told.get(number)
        same = known is not None and known.sha == target.sha
        if same and self._going(number, view):
            return
        if known is not None and same and known.address:
            self._statuses(view, known.address)
        quick = self.viewer.beside(view, target, main, at_hand=True)
        if self.viewer.waits(quick, target, main):  # the whole takes a while, and where it stands is known now
            self._statuses(view, self._note(number, note(quick, known.rest if known is not None and same else None)))
        view = self.viewer.planned(self.viewer.beside(view, target, main), target, main)
        view = replace(view, candidates=tuple(map(self._shown, view.candidates)))
        body = self._body(number, view)
        address = self._note(number, note(view, body))
        told = Recalled(number=number, sha=target.sha, main=main.sha, rest=body, address=address)
        self.memory.tell(told if view.looked or known is None else told.model_copy(update={"rest": known.rest}))
        self._statuses(view, address)

    def _body(self, number: int, view: View) -> str:
        """Write all but where it stands, which takes a while where much is compared; of what is as it was, once."""
        known = self._bodies.get(number)
        if known is None or known[0] != view:
            known = self._bodies[number] = view, self.viewer.hidden(rest(view))
        return known[1]

    def _going(self, number: int, view: View) -> bool:
        """Say whether resources are just being taken away: what was told of them stands until it is clear why."""
        if not any(part.deleting or not part.there for part in view.parts):
            self._held.pop(number, None)
            return False
        return self.clock() - self._held.setdefault(number, self.clock()) < HOLD

    def _ended(self, one: Recalled, main: Target) -> None:
        """Tell the last word of a merge request, until production has settled."""
        merged_as = self._became(one)
        if merged_as is None:
            return
        if one.number not in self._finished:
            self._finish(one, f"{main.project}-mr-{one.number}", "merged" if merged_as else "closed without merging")
            self._finished.add(one.number)
        ending, over = self._ending(merged_as, one, main)
        address = self._note(one.number, ended(ending, one.rest))
        self.memory.tell(one.model_copy(update={"address": address, "over": over}))

    def _finish(self, one: Recalled, preview: str, how: str) -> None:
        """Leave no status at work under what is over: who approved and merged in one breath was quicker than a beat."""
        kept = self.viewer.kept(preview, one.sha)
        for status in self.forge.statuses(one.sha):
            _, _, place = status.name.partition("/")
            if not place.startswith(f"{preview}/") or status.state not in {CommitState.PENDING, CommitState.RUNNING}:
                continue
            state, said = CommitState.CANCELED, f"taken away: it is {how}"
            if kept is not None and "/Experiment/" in status.name:
                state, said = CommitState.SUCCESS, f"{kept.metadata.name} approved"
            self.forge.set_status(one.sha, status.name, state, self.viewer.hidden(said), one.address)

    def _became(self, one: Recalled) -> str | None:
        """Give what the target got of a merge request, empty where that is nothing; None: it is open after all."""
        now, number = self.clock(), one.number
        if number not in self._closed and now >= self._asked.get(number, now):
            found = self.forge.merge_request_of(one.sha)
            ours = found if found is not None and found.number == number else None
            if ours is not None and ours.open:
                self._asked[number] = now + ASK_AGAIN
            else:
                self._closed[number] = ours.merged_as if ours is not None else ""
        return self._closed.get(number)

    def _ending(self, merged_as: str, one: Recalled, main: Target) -> tuple[Ending, bool]:
        if not merged_as:
            return Ending(), True
        view = self.viewer.view(main)
        if main.sha == one.main != merged_as:
            return Ending(merged_as), False
        if view.state is State.REFUSED:
            return Ending(merged_as, trouble=view.sentence), False
        if not view.looked:
            return Ending(merged_as), False
        return Ending(merged_as, main.sha, view.parts), all(settled(part) for part in view.parts)

    def _shown(self, candidate: Candidate) -> Candidate:
        """Have the picture of its confusion matrix kept, once for all."""
        found = of_release(candidate.release).confusion
        content = picture(found[1]) if found is not None else b""
        if found is None or not content:
            return candidate
        key = picture_key(found[1])
        if key not in self.memory.pictures:
            name = f"confusion-{candidate.release.release.metadata.name}.png"
            self.memory.show(key, self.forge.attach(name, content))
        return replace(candidate, picture=self.memory.pictures[key])

    def _statuses(self, view: View, url: str) -> None:
        for told in statuses(view):
            if self._told.get((view.sha, told.name)) != (told, url):
                state, said = CommitState(told.state.value), self.viewer.hidden(told.description)
                self.forge.set_status(view.sha, told.name, state, said, url)
                self._told[view.sha, told.name] = (told, url)

    def _note(self, number: int, body: str) -> str:
        """Have the note say this, and give its address."""
        text, known = self.viewer.hidden(body), self.memory.told.get(number)
        if self._noted.get(number) == text and known is not None and known.address:
            return known.address
        address = self.forge.note(number, NOTE, text)
        self._noted[number] = text
        return address

    # --- when ---------------------------------------------------------------------------------------------------------

    def _renew(self, scene: Scene) -> None:
        """Forget what is not followed any more, and from time to time everything."""
        now = self.clock()
        if self._fresh is None or now - self._fresh >= REFRESH:
            self._told.clear()
            self._noted.clear()
            self._merged.clear()
            self._fresh = now
        numbers = {target.merge_request for target in scene.targets}
        self._bodies = {number: body for number, body in self._bodies.items() if number in numbers}
        shas = {target.sha for target in scene.targets}
        self._told = {key: told for key, told in self._told.items() if key[0] in shas}
        self.viewer.forget(target.project for target in scene.targets)

    def _try(self, what: str, tell: Callable[[], None]) -> None:
        """Tell; what fails is tried again later, at longer and longer intervals."""
        patience = self._patience.setdefault(what, _Patience())
        if self.clock() < patience.until:
            return
        try:
            tell()
        except (PortError, OSError) as error:
            self._failed(what, patience, self.viewer.hidden(str(error)), quick=isinstance(error, Conflict))
        except Exception as error:  # whatever is wrong with telling, following goes on
            log.exception("telling the forge of %s failed", what)
            self._failed(what, patience, f"{type(error).__name__}; the log has the traceback", quick=False)
        else:
            if patience.said:
                self.say(f"forge: {what}: told again")
            del self._patience[what]

    def _failed(self, what: str, patience: _Patience, said: str, *, quick: bool) -> None:
        patience.wait = (
            SHORTEST_WAIT if quick and not patience.wait else min(max(2 * patience.wait, SHORTEST_WAIT), LONGEST_WAIT)
        )
        patience.until = self.clock() + patience.wait
        if said != patience.said:
            patience.said = said
            self.say(f"forge: {what}: {said}; tried again")

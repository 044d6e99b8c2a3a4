"""What the forge is told of what is followed: one status a resource, one note a merge request, and nothing twice."""

from dataclasses import replace

import pytest

from cdl.ports.forge import CommitState
from tests.unit.gitops.reporting_rig import HOME, Followed

RUNNING, SUCCESS, FAILED, PENDING = (
    CommitState.RUNNING, CommitState.SUCCESS, CommitState.FAILED, CommitState.PENDING,
)  # fmt: skip


@pytest.fixture
def followed(tmp_path):
    followed = Followed(tmp_path)
    followed.push_main()
    return followed


def states(found):
    return {name.removeprefix("cdl/"): status.state for name, status in found.items()}


def test_a_merge_request_is_told_from_its_first_moment_to_its_last(followed):
    """Nothing looked at, at work, waiting for a person, approved, merged, served."""
    followed.settle()
    followed.approve(HOME, "news-1")
    seen = followed.propose(learning_rate=0.05)
    followed.beat()
    assert states(followed.statuses(seen.sha)) == {
        "sync/news-mr-1": SUCCESS,
        "news-mr-1/DataPipeline/news": PENDING,
        "news-mr-1/Experiment/news": PENDING,
    }
    assert len(followed.note(1)) < 2500
    assert "Production trains again" in followed.note(1)
    followed.work()
    followed.beat()
    assert states(followed.statuses(seen.sha))["news-mr-1/Experiment/news"] in {PENDING, RUNNING}
    followed.settle()
    followed.beat(times=2)
    told = followed.note(1)
    assert told.startswith("### `news-1` waits for a validator's approval")
    assert "| `accuracy` | 0.95 | 0.9 | +0.05 |" in told
    followed.approve("news-mr-1", "news-1")
    followed.beat(times=2)
    assert followed.note(1).startswith(
        f"### `news-1` is approved at `{seen.sha[:12]}`\n\nApproved by vera. Next: merge"
    )
    merged = followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.beat()
    assert followed.note(1).startswith(f"### Merged as `{merged[:12]}`\n\nProduction has not taken it up yet.")
    followed.follow(merged, learning_rate=0.05)
    followed.settle()
    followed.approve(HOME, "news-2")
    followed.beat(times=2)
    last = followed.note(1)
    assert "`news` serves `news-2` since" in last
    assert "| `accuracy` | 0.95 | 0.9 | +0.05 |" in last
    address = followed.reporter.memory.told[1].address
    assert {status.url for status in followed.forge.statuses(merged)} == {address}
    assert set(states(followed.statuses(merged)).values()) == {SUCCESS}


def test_what_was_told_is_not_told_again_by_whoever_starts_anew(followed):
    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    followed.settle()
    followed.beat(times=3)
    before, calls = followed.note(1), dict(followed.forge.written)
    followed.reporter = followed.again()
    followed.forge.texts.clear()
    followed.beat(times=3)
    assert set(followed.forge.texts) == {before}
    assert followed.forge.written == calls
    assert len(followed.statuses(seen.sha)) == 3


def test_two_at_once_end_in_one_note_and_one_status_a_name(followed):
    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    other = followed.again(folder="other")
    for _ in range(30):
        followed.work()
        followed.beat()
        other.beat(followed.scene)
    assert "waits for a validator" in followed.note(1)
    assert len(followed.forge.statuses(seen.sha)) == 3
    followed.forge.weather.calls.clear()
    for _ in range(3):
        followed.beat()
        other.beat(followed.scene)
    assert followed.forge.weather.calls == []


def test_the_planner_is_asked_once_for_a_head_and_what_it_led_to(followed):
    followed.settle()
    followed.propose(learning_rate=0.05)
    followed.beat(times=5)
    assert followed.plans == 1
    followed.settle()
    followed.beat(times=5)
    assert followed.plans == 2


def test_a_forge_that_is_away_is_tried_with_patience_and_told_in_the_end(followed):
    followed.settle()
    followed.propose(learning_rate=0.05)
    followed.forge.weather.down = True
    followed.beat(times=60)
    assert followed.said.count("forge: !1: nobody answers; tried again") == 1
    followed.forge.weather.clear_up()
    followed.beat(seconds=60, times=2)
    assert "Production trains again" in followed.note(1)
    assert followed.said[-1] == "forge: !1: told again"


def test_several_merge_requests_are_told_each_of_itself(followed):
    followed.settle()
    one, two = followed.propose("a", learning_rate=0.05), followed.propose("b", learning_rate=0.7)
    followed.settle()
    followed.beat(times=2)
    assert "`news-1` waits" in followed.note(1)
    assert followed.note(2).startswith("### Experiment `news` does not pass its gates")
    assert states(followed.statuses(two.sha))["news-mr-2/Experiment/news"] is FAILED
    told = followed.statuses(two.sha)["cdl/news-mr-2/Experiment/news"].description
    assert told.endswith("; see cdl logs experiment news -n news-mr-2")
    assert one.sha != two.sha


def test_of_a_commit_that_is_refused_only_that_is_told(followed):
    from cdl.reconcile.gitops import State

    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    head = followed.forge.push("lr")
    followed.change(1, sha=head, state=State.REFUSED, sentence="spec.config: missing")
    followed.beat()
    assert states(followed.statuses(head)) == {"sync/news-mr-1": FAILED}
    assert followed.note(1).startswith(f"### `{head[:12]}` cannot be applied\n\nspec.config: missing. Next: push")
    assert followed.statuses(seen.sha) == {}


def test_a_closed_one_gets_its_last_word_and_is_left_alone(followed):
    followed.settle()
    followed.propose(learning_rate=0.05)
    followed.settle()
    followed.beat(times=2)
    followed.forge.reviews[1].seen = type(followed.forge.reviews[1].seen)(
        1, "Take lr", "https://forge.test/project/-/merge_requests/1", "lr", "main",
        followed.previews[1].sha, open=False,
    )  # fmt: skip
    followed.close(1)
    followed.beat()
    assert followed.note(1).startswith("### Closed without merging")
    assert "`accuracy` | 0.95" in followed.note(1)
    followed.forge.weather.calls.clear()
    followed.beat(times=20)
    assert followed.forge.weather.calls == []


def test_nothing_is_left_at_work_under_what_is_over(followed):
    """Approved and merged between two beats; closed while it trains."""
    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    followed.settle()
    followed.beat(times=2)
    name = "news-mr-1/Experiment/news"
    assert states(followed.statuses(seen.sha))[name] in {PENDING, RUNNING}
    followed.approve("news-mr-1", "news-1")
    followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.beat()
    assert states(followed.statuses(seen.sha))[name] is SUCCESS
    assert followed.statuses(seen.sha)[f"cdl/{name}"].description == "news-1 approved"


def test_what_was_at_work_when_it_was_closed_is_called_off(followed):
    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    followed.work()
    followed.beat(times=2)
    review = followed.forge.reviews[1]
    review.seen = replace(review.seen, open=False)
    followed.close(1)
    followed.beat()
    found = states(followed.statuses(seen.sha))
    assert found.pop("sync/news-mr-1") is SUCCESS
    assert found["news-mr-1/Experiment/news"] is CommitState.CANCELED
    assert not {*found.values()} & {PENDING, RUNNING}


def test_what_is_closed_while_nobody_looks_is_told_by_whoever_starts_next(followed):
    followed.settle()
    seen = followed.propose(learning_rate=0.05)
    followed.settle()
    followed.beat(times=2)
    merged = followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.follow(merged, learning_rate=0.05)
    followed.reporter = followed.again()
    followed.settle()
    followed.beat(times=2)
    assert followed.note(1).startswith(f"### Merged as `{merged[:12]}`")


def test_while_a_preview_is_taken_away_its_note_stays(followed):
    """The forge says that it is closed a moment after its resources begin to go."""
    followed.settle()
    followed.propose(learning_rate=0.05)
    followed.settle()
    followed.beat(times=2)
    before = followed.note(1)
    for key in followed.previews[1].inventory:
        followed.world.resources.delete(key)
    followed.beat(times=3)
    followed.settle()
    followed.beat(times=3)
    assert followed.note(1) == before
    followed.beat(seconds=40)
    assert "it is not there yet" in followed.note(1)


def test_a_secret_in_a_message_is_told_to_nobody(followed):
    secret = "glpat-c4n4ry_of|the<tests>"
    followed.secrets = (secret, "hunter2-canary")
    followed.reporter = followed.again()
    seen = followed.propose(learning_rate=0.05)
    sentence = f"cannot fetch https://bot:hunter2-canary@git.example/x with {secret}"
    followed.change(1, sentence=sentence)
    followed.settle()
    target = followed.previews[1]
    for key in target.inventory:
        resource = followed.world.get(key)
        told = resource.status.model_copy(
            update={
                "conditions": tuple(
                    c.model_copy(update={"message": f"@all {sentence} {secret} {c.message}"})
                    for c in resource.status.conditions
                )
            }
        )
        followed.world.resources.write_status(key, told, resource.metadata.resource_version)
    followed.beat(times=2)
    everything = followed.note(1) + repr(followed.forge.statuses(seen.sha))
    for canary in ("c4n4ry", "hunter2"):
        assert canary not in everything
    assert "&#91;\u2060hidden&#93;" in everything or "[hidden]" in everything


def test_an_approval_of_the_merge_request_promotes_what_it_showed(followed):
    """The whole of it: candidate, approval at its head, merge, adoption, serving, and a revert."""
    by_review = {"approval": {"policy": "MergeRequest"}}
    followed.push_main(**by_review)
    followed.settle()
    followed.approve(HOME, "news-1")
    seen = followed.propose(learning_rate=0.05, **by_review)
    followed.settle()
    followed.beat(times=2)
    told = followed.note(1)
    assert told.startswith(f"### `news-1` waits for a validator's approval at `{seen.sha[:12]}`")
    assert "**Production adopts the Release: nothing is trained again.**" in told
    followed.forge.reviews[1].approvals["validator"] = seen.sha
    followed.settle()
    followed.beat(times=2)
    assert "Approved by validator. Next: merge it." in followed.note(1)
    assert states(followed.statuses(seen.sha))["news-mr-1/Experiment/news"] is SUCCESS
    merged = followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.follow(merged, learning_rate=0.05, **by_review)
    followed.settle()
    followed.beat(times=2)
    told = followed.note(1)
    assert told.startswith(f"### Merged as `{merged[:12]}`\n\nProduction: adopted as `news-2`, approved by validator; ")
    assert "; `news` serves `news-2` since" in told
    assert states(followed.statuses(merged))["production/ModelDeployment/news"] is SUCCESS
    back = followed.propose("revert", learning_rate=0.1, **by_review)
    followed.settle()
    followed.beat(times=2)
    assert "None: nothing was trained." in followed.note(2)
    followed.forge.reviews[2].approvals["validator"] = back.sha
    followed.settle()
    reverted = followed.forge.merge(2, back.sha)
    followed.close(2)
    followed.follow(reverted, learning_rate=0.1, **by_review)
    followed.settle()
    followed.beat(times=2)
    assert "`news` serves `news-1` since" in followed.note(2)
    assert followed.note(1) == told


def test_an_approval_that_is_taken_back_is_told_and_promotes_nothing(followed):
    by_review = {"approval": {"policy": "MergeRequest"}}
    followed.push_main(**by_review)
    followed.settle()
    followed.approve(HOME, "news-1")
    seen = followed.propose(learning_rate=0.05, **by_review)
    followed.settle()
    for _ in range(2):
        followed.forge.reviews[1].approvals["validator"] = seen.sha
        followed.settle()
        followed.beat(times=2)
        assert followed.note(1).startswith(f"### `news-1` is approved at `{seen.sha[:12]}`")
        assert states(followed.statuses(seen.sha))["news-mr-1/Experiment/news"] is SUCCESS
        followed.forge.reviews[1].approvals.clear()
        followed.settle()
        followed.beat(times=2)
        assert states(followed.statuses(seen.sha))["news-mr-1/Experiment/news"] is PENDING
        told = followed.note(1)
        assert told.startswith(
            f"### `news-1` waits again for a validator's approval at `{seen.sha[:12]}`\n\n"
            "its approval by validator in merge request "
        )
        assert "does not count any more" in told
        assert "approves this merge request; what is pushed later is approved anew." in told
    merged = followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.follow(merged, learning_rate=0.05, **by_review)
    followed.settle()
    followed.beat(times=2)
    assert "`news` serves `news-1`" in followed.note(1)
    assert "news-2 waits for its merge request" in followed.note(1)


def test_a_picture_is_kept_once_for_what_it_shows(followed, tmp_path):
    def with_confusion(release, read=followed._facts):
        found = read(release)
        return replace(found, report=found.report | {"classes": ["a", "@b"], "confusion": [[9, 1], [0, 4]], "n": 14})

    followed._facts = with_confusion
    followed.reporter = followed.again()
    followed.settle()
    for branch in ("one", "two"):
        followed.propose(branch, learning_rate=0.05)
    followed.settle()
    followed.beat(times=2)
    followed.reporter = followed.again()
    followed.beat(times=2)
    assert len(followed.forge.files) == 1
    (kept,) = followed.reporter.memory.pictures.values()
    assert kept.startswith("![")
    for number in (1, 2):
        assert kept in followed.note(number)
        assert "| 1 `a` | 9 | 1 |\n| 2 `@b` | 0 | 4 |" in followed.note(number)


def test_where_it_stands_is_told_before_what_takes_a_while_is_read(followed):
    """Code, files and a plan may take seconds; that training ended is not kept back for them."""
    followed.settle()
    followed.propose(learning_rate=0.05)
    followed.beat(times=2)
    followed.settle()
    seen = []

    def slowly(release, read=followed.reporter.viewer._facts):
        seen.append(followed.note(1))
        return read(release)

    followed.reporter.viewer._facts = slowly
    followed.beat()
    assert seen[0].startswith("### `news-1` waits for a validator's approval")
    assert "#### Data since production" not in seen[0]
    assert "#### Release" in followed.note(1)

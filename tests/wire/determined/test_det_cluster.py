"""What people see who type ``det`` about the cluster: templates, places, people, the queue, the machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.wire.determined.dets import Det
from tests.wire.determined.masters import Determined, Experiment, Server, create, ends, logs, state, until

ASHA = """
entrypoint: "true"
searcher: {name: adaptive_asha, metric: loss, max_trials: 20, divisor: 3, max_time: 27, time_metric: epochs,
           max_concurrent_trials: 4}
"""


@pytest.fixture
def running(sdk: Determined) -> Iterator[Experiment]:
    experiment = create(sdk, {"epochs": 999, "pause": 0.2})
    until(lambda: state(experiment) == "RUNNING")
    yield experiment
    experiment.kill()
    ends(experiment)


def test_the_console_script_finds_the_master(cluster: Server) -> None:
    script = Path(sys.executable).with_name("det")
    done = subprocess.run(
        [script, "-m", cluster.url, "version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert yaml.safe_load(done.stdout)["master"]["version"] == "0.38.1"


def test_templates(det: Det) -> None:
    det.ok("template create small", det.file("small.yaml", "resources: {slots_per_trial: 1}\n"))
    assert "small" in det.ok("template list")
    assert "slots_per_trial: 1" in det.ok("template list --details")
    det.ok("template set-value config small", det.file("smaller.yaml", "resources: {slots_per_trial: 0}\n"))
    assert yaml.safe_load(det.ok("template describe small")) == {"resources": {"slots_per_trial": 0}}
    det.ok("template set small", det.file("other.yaml", "description: set\n"))
    assert yaml.safe_load(det.ok("template describe small")) == {"description": "set"}
    det.ok("template remove small")
    assert "template 'small' not found" in det.no("template describe small")


def test_workspaces_and_projects(det: Det, sdk: Determined) -> None:
    assert "garden" in det.ok("workspace create garden")
    assert "exists already" in det.no("workspace create garden")
    det.ok("project create garden roses --description red --key ROS")
    assert "exists already" in det.no("project create garden roses")
    assert det.json("project describe garden roses")["key"] == "ROS"
    experiment = create(sdk, {"epochs": 0}, workspace="garden", project="roses")
    assert "roses" in det.ok("project list garden")
    assert "roses" in det.ok("workspace list-projects garden")
    assert "core" in det.ok("project list-experiments garden roses")
    det.ok("project create garden tulips")
    det.ok("experiment move", experiment.id, "garden", "tulips")
    (moved,) = det.json("project list-experiments garden tulips")
    assert (moved["id"], moved["workspaceName"], moved["projectName"]) == (experiment.id, "garden", "tulips")
    det.ok("project edit garden roses --new_name peonies --description pink")
    assert det.json("project describe garden peonies")["description"] == "pink"
    det.ok("project archive garden peonies")
    assert "is archived" in det.no("experiment move", experiment.id, "garden", "peonies")
    det.ok("project unarchive garden peonies")
    assert "default" in det.ok("workspace list-pools garden")
    ends(experiment)
    det.ok("workspace edit garden --name park")
    det.ok("workspace archive park")
    assert "is archived" in det.no("project create park daisies")
    det.ok("workspace unarchive park")
    assert det.json("workspace describe park")["numProjects"] == 2
    det.ok("project delete --yes park tulips")
    assert "not found" in det.no("experiment describe", experiment.id)
    det.ok("workspace delete --yes park")
    assert "park" not in det.ok("workspace list")
    assert "is immutable" in det.no("workspace archive Uncategorized")


def test_a_workspace_of_somebody_else_is_left_alone(det: Det) -> None:
    det.ok("workspace create private", user="admin")
    assert "may not change the workspace 'private'" in det.no("workspace delete --yes private")
    det.ok("workspace delete --yes private", user="admin")


@pytest.mark.slow
def test_a_workspace_may_have_a_checkpoint_storage_of_its_own(det: Det, sdk: Determined, tmp_path: Path) -> None:
    kept = f'{{"type": "directory", "container_path": "{tmp_path}"}}'
    det.ok("workspace create vaulted --checkpoint-storage-config", kept)
    det.ok("project create vaulted inner")
    experiment = create(sdk, {"epochs": 1}, workspace="vaulted", project="inner")
    assert ends(experiment) == "COMPLETED"
    (saved,) = experiment.list_checkpoints()
    assert (tmp_path / saved.uuid / "place.json").is_file()
    det.ok("workspace delete --yes vaulted")
    assert not (tmp_path / saved.uuid).exists()


def test_users(det: Det, cluster: Server) -> None:
    assert "logged in as user 'determined'" in det.ok("user whoami")
    assert "may not add users" in det.no("user create eve --password Secret123")
    det.ok("user create eve --password Secret123", user="admin")
    assert "exists already" in det.no("user create EVE --password Secret123", user="admin")
    assert "eve" in det.ok("user list")
    det.ok("user edit eve --display-name Evelyn", user="admin")
    assert "Evelyn" in det.ok("user list")
    assert "may not change other users" in det.no("user edit eve --admin true")
    det.ok("user rename eve eva", user="admin")
    login = Determined(cluster.url, user="eva", password="Secret123")
    login.get_user_by_name("eva").change_password("Another123")
    again = Determined(cluster.url, user="eva", password="Another123")
    assert again.whoami().username == "eva"
    det.ok("user deactivate eva", user="admin")
    assert "eva" not in det.ok("user list")
    assert "eva" in det.ok("user list --all")
    with pytest.raises(Exception, match=r"(?i)invalid credentials|unauthenticated|log in"):
        Determined(cluster.url, user="eva", password="Another123").whoami()
    det.ok("user activate eva", user="admin")
    assert Determined(cluster.url, user="eva", password="Another123").whoami().username == "eva"


def test_passwords_are_typed(det: Det, cluster: Server) -> None:
    det.ok("user create ada --password Secret123", user="admin")
    det.ok("user login ada", typed="Secret123\n")
    assert "nvalid" in det.no("user login ada", typed="Wrong1234\n")
    det.ok("user change-password ada", user="admin", typed="Another123\nAnother123\n")
    assert "do not match" in det.no("user change-password ada", user="admin", typed="Another123\nOther1234\n")
    assert Determined(cluster.url, user="ada", password="Another123").whoami().username == "ada"
    det.ok("user logout")
    assert "run as the user that started it" in det.no(
        "user link-with-agent-user ada --agent-uid 1 --agent-user a --agent-gid 1 --agent-group a", user="admin"
    )


@pytest.mark.slow
def test_the_queue_follows_priorities(det: Det, sdk: Determined, running: Experiment) -> None:
    first = create(sdk, {"epochs": 999, "pause": 0.2})
    until(lambda: state(first) == "RUNNING")
    later, sooner = create(sdk, {"epochs": 0}), create(sdk, {"epochs": 0})
    det.ok("job update --priority 5", f"job-{sooner.id}")
    rows = det.json("job list")["jobs"]
    assert [row["entityId"] for row in rows] == [str(each.id) for each in (running, first, sooner, later)]
    assert [row["summary"]["state"] for row in rows] == ["STATE_SCHEDULED"] * 2 + ["STATE_QUEUED"] * 2
    assert [row["summary"]["jobsAhead"] for row in rows] == [0, 0, 0, 1]
    assert "Priority" in det.ok("job list")
    det.ok("job update-batch", f"job-{later.id}.priority=4", f"job-{sooner.id}.priority=6")
    assert [row["entityId"] for row in det.json("job list")["jobs"]][2:] == [str(later.id), str(sooner.id)]
    assert "ordered by priority only" in det.no("job update --weight 2", f"job-{sooner.id}")
    assert "between 1 and 99" in det.no("job update --priority 0", f"job-{sooner.id}")
    for each in (first, later, sooner):
        each.kill()
        assert ends(each) == "CANCELED"


@pytest.mark.slow
def test_agents_and_slots(det: Det, sdk: Determined, running: Experiment) -> None:
    (agent,) = det.json("agent list")
    assert (agent["id"], agent["num_slots"], agent["enabled"]) == ("local", 2, True)
    slots = det.json("slot list")
    assert sorted(slot["task_name"].partition(" ")[0] for slot in slots) == ["FREE", "Trial"]
    task = next(iter(det.json("task list").values()))
    assert task["name"].endswith(f"(Experiment {running.id})")
    assert "only an admin may" in det.no("slot disable local 0")
    det.ok("agent disable --drain local", user="admin")
    assert state(running) == "RUNNING", "what runs may finish"
    waiting = create(sdk, {"epochs": 0})
    det.ok("agent disable local", user="admin")
    until(lambda: state(running) == "QUEUED")
    assert state(waiting) == "QUEUED"
    det.ok("slot enable local 1", user="admin")
    until(lambda: state(running) == "RUNNING")
    (held,) = [slot for slot in det.json("slot list") if slot["task_name"] != "FREE"]
    assert held["slot_id"] == "1"
    det.ok("agent enable local", user="admin")
    assert ends(waiting) == "COMPLETED"
    assert "of run 1" in logs(running)
    shown = sdk._session.get(f"/api/v1/trials/{running.list_trials()[0].id}").json()["trial"]
    assert shown["restarts"] == 0, "nobody is blamed"
    assert "agent 'other' not found" in det.no("agent disable other", user="admin")
    det.ok("slot disable local 0", user="admin")
    det.ok("slot enable local 0", user="admin")


def test_the_master_tells_of_itself(det: Det, sdk: Determined) -> None:
    assert yaml.safe_load(det.ok("version"))["master"]["version"] == "0.38.1"
    assert yaml.safe_load(det.ok("master info"))["clusterName"] == "embedded"
    assert "only an admin may" in det.no("master config show")
    shown = yaml.safe_load(det.ok("master config show", user="admin"))
    assert shown["webhooks"]["signing_key"] == "********"
    experiment = create(sdk, {"epochs": 0})
    assert ends(experiment) == "COMPLETED"
    assert f"experiment {experiment.id} is COMPLETED" in det.ok("master logs")
    assert len(det.ok("master logs --tail 1").splitlines()) == 1
    assert "those it was started with" in det.no("master config set --log.level DEBUG")
    det.ok("master cluster-message set -m maintenance", user="admin")
    assert "maintenance" in det.ok("master cluster-message get")
    det.ok("master cluster-message clear", user="admin")
    assert "maintenance" not in det.ok("master cluster-message get")


def test_a_search_is_previewed(det: Det) -> None:
    said = det.ok("preview-search", det.file("asha.yaml", ASHA))
    rows = [line.split("|") for line in said.splitlines() if "train" in line]
    assert [(int(count), text.strip()) for count, text in rows] == [
        (10, "train for 3 epochs"),
        (7, "train for 9 epochs"),
        (3, "train for 27 epochs"),
    ]


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("notebook list", [], "notebooks are not run by this master"),
        ("notebook start", [], "notebooks are not run by this master"),
        ("shell list", [], "shells are not run by this master"),
        ("shell start", [], "shells are not run by this master"),
        ("command list", [], "commands are not run by this master"),
        ("command run ls", [], "commands are not run by this master"),
        ("tensorboard list", [], "tensorboards are not run by this master"),
        ("tensorboard start", ["--config", "description=x", 1], "tensorboards are not run by this master"),
        ("resources raw 2024-01-01T00:00:00Z 2024-01-02T00:00:00Z", [], "keeps no accounts of past use"),
        ("resources aggregated 2024-01-01 2024-01-02", [], "keeps no accounts of past use"),
        ("resources allocations 2024-01-01T00:00:00Z 2024-01-02T00:00:00Z", [], "keeps no accounts of past use"),
        ("task kill 1", [], "generic tasks are not run by this master"),
        ("task config 1", [], "generic tasks are not run by this master"),
        ("task cleanup-logs", [], "logs are kept until"),
        ("token list", [], "Enterprise Edition"),
        ("rbac my-permissions", [], "Enterprise Edition"),
        ("user-group list", [], "Enterprise Edition"),
        ("resource-pool bindings add default Uncategorized", [], "one resource pool"),
        ("workspace list-members Uncategorized", [], "Enterprise Edition"),
        ("workspace bindings list Uncategorized", [], "not bound to Kubernetes namespaces"),
        ("config-policies describe experiment --workspace Uncategorized", [], "Enterprise Edition"),
    ],
)
def test_what_this_master_has_not_is_refused_in_a_sentence(det: Det, verb: str, words: list, said: str) -> None:
    assert said in det.no(verb, *words)

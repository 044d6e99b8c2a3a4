"""The labelling engine on the real Label Studio, which installs itself; people answer through its makers' library."""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import stat

import httpx
import psutil
import pytest

from cdl.engines.labelstudio import LabelStudio, interface
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.testing.builders import owner
from cdl.testing.labelling_contract import ANN, KIND, NEWS, LabellingEngineContract, task
from tests.wire.labelstudio.studios import PATIENCE, Studio

# Installing what its makers publish takes a minute or two, and the network.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]


@pytest.fixture(scope="module")
def shared_studio(tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("studio") / "home")
    studio.invitation = studio.start()
    yield studio
    studio.stop()


@pytest.fixture
def studio(shared_studio):
    """The one server, which runs whatever another test has done to it."""
    if not shared_studio.runs():
        shared_studio.start()
    return shared_studio


@pytest.fixture
def engine(studio):
    return LabelStudio(studio.url, studio.token)


@pytest.fixture
def project(engine):
    return engine.ensure_project(owner(KIND), "News", NEWS)


class TestLabelStudio(LabellingEngineContract):
    @pytest.fixture
    def engine(self, studio):
        self.studio = studio
        return LabelStudio(studio.url, studio.token)

    def founded(self, engine, title, config):
        return self.studio.ask("found", title, config)

    def shown(self, engine, project):
        title, config, tasks, _ = self.studio.ask("shown", project)
        return title, config, [(fields, proposed) for fields, proposed in tasks]

    def answered(self, engine, project, item, *choices, who=ANN, skipped=False):
        return self.studio.ask("answered", project, item, choices, who, skipped)

    def changed(self, engine, project, answer, *choices):
        self.studio.ask("changed", answer, choices)

    def exists(self, engine, project):
        return self.studio.ask("exists", project)


# --- the server ---


def test_it_says_how_to_sign_in_and_keeps_the_password_to_itself(studio):
    login = json.loads((studio.home / "label-studio" / "login.json").read_text())
    assert studio.invitation == (
        f"Label Studio at {studio.url}: sign in as {login['user']}, `cdl labelstudio password` prints the password\n"
    )
    assert studio.cdl("labelstudio", "password").stdout == f"{login['password']}\n"
    assert studio.cdl("labelstudio", "token").stdout == f"{login['token']}\n"
    kept = studio.home / "label-studio"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept / "login.json")] == [0o700, 0o600]
    for path in (*(studio.home / "logs").iterdir(), *(studio.home / "processes").glob("*.json")):
        assert not [secret for secret in (login["password"], login["token"]) if secret in path.read_text()]
    told = " ".join(psutil.Process(studio.pid).cmdline())
    assert login["password"] not in told
    assert login["token"] not in told


def test_somebody_signs_in_with_the_password(studio):
    login = json.loads((studio.home / "label-studio" / "login.json").read_text())
    with httpx.Client(base_url=studio.url, follow_redirects=True, trust_env=False, timeout=60) as browser:
        browser.get("/user/login/")
        form = {"email": login["user"], "password": login["password"]}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        browser.post("/user/login/", data=form, headers={"Referer": f"{studio.url}/user/login/"})
        assert browser.get("/api/current-user/whoami").json()["email"] == login["user"]


def test_nobody_makes_an_account_without_an_invitation(studio):
    with httpx.Client(base_url=studio.url, trust_env=False, timeout=60) as stranger:
        stranger.get("/user/login/")
        form = {"email": "eve@example.test", "password": "a long password", "how_find_us": "", "elaborate": ""}
        form["csrfmiddlewaretoken"] = stranger.cookies["csrftoken"]
        stranger.post("/user/signup/", data=form, headers={"Referer": f"{studio.url}/user/login/"})
        assert stranger.get("/api/current-user/whoami").status_code == 401
        head = {"Authorization": f"Token {studio.token}"}
        assert "eve@example.test" not in stranger.get("/api/users/", headers=head).text


def test_it_listens_on_loopback_alone_and_keeps_everything_in_its_home(studio):
    server = psutil.Process(studio.pid)
    listening = {one.laddr.ip for one in server.net_connections(kind="tcp") if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert (studio.home / "label-studio" / "data" / "label_studio.sqlite3").is_file()
    assert server.children(recursive=True) == []


def test_what_people_said_is_there_after_a_restart(studio, engine, project):
    engine.add_tasks(project, [task("/a.txt")])
    studio.ask("answered", project, "/a.txt", ["sport"], ANN, False)
    before, invitation = engine.annotations(project), studio.invitation
    assert studio.stop() == "stopped label-studio\n"
    assert not studio.runs()
    with pytest.raises(Unavailable, match=r"Label Studio at http://127\.0\.0\.1:\d+ does not answer"):
        engine.annotations(project)
    assert studio.start() == invitation
    assert LabelStudio(studio.url, studio.token).annotations(project) == before != ()


def test_a_killed_server_comes_back_and_what_runs_is_left_alone(studio, engine, project):
    engine.add_tasks(project, [task("/a.txt")])
    psutil.Process(studio.pid).kill()
    studio.start()
    process = studio.pid
    assert engine.add_tasks(project, [task("/a.txt")]) == 0
    studio.start()
    assert studio.pid == process


def test_a_port_that_is_taken_is_refused_and_not_replaced(studio):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = studio.cdl("labelstudio", "up", "--port", str(port))
    assert answer.returncode == 1
    assert answer.stderr == (f"Error: port {port} (label-studio) is in use by another program; choose another one\n")


def test_a_variable_meant_for_another_program_changes_nothing(studio):
    told = {name: b for name, b in psutil.Process(studio.pid).environ().items() if name.startswith("LABEL_STUDIO_")}
    assert set(told) == {"LABEL_STUDIO_USERNAME", "LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_USER_TOKEN"}
    assert os.environ.get("LABEL_STUDIO_USERNAME") is None


# --- the driver ---


def test_a_template_is_taken_by_label_studio_with_whatever_a_label_is_called(studio, engine):
    labels = ['a < b & "c"', "Grüße 😀", "it's", "$text", "{{x}}", "]]>", "<!-- -->"]
    project = engine.ensure_project(owner(KIND), "Odd labels", interface("text-classification", labels))
    engine.add_tasks(project, [task(f"/{number}") for number in range(len(labels))])
    for number, label in enumerate(labels):
        studio.ask("answered", project, f"/{number}", [label], ANN, False)
    assert [one.label for one in engine.annotations(project)] == labels
    pictures = engine.ensure_project(owner(KIND), "Pictures", interface("image-classification", ["cat", "dog"]))
    assert studio.ask("shown", pictures)[0] == "Pictures"


def test_a_token_of_the_new_kind_does_as_well(studio, project):
    engine = LabelStudio(studio.url, studio.ask("personal_token"))
    assert engine.add_tasks(project, [task("/a.txt")]) == 1
    assert engine.annotations(project) == ()


@pytest.mark.parametrize("token", ["wrong", "", "a.b.c", "Grüße\n", "a b"])
def test_a_wrong_token_is_told(studio, token):
    with pytest.raises(NotPermitted, match=r"^labelling project of DataPipeline .* answers 401"):
        LabelStudio(studio.url, token).ensure_project(owner(KIND), "News", NEWS)


def test_a_fault_in_an_interface_names_the_field(engine):
    with pytest.raises(Rejected, match=r"^labelling project of DataPipeline .*: label_config: "):
        engine.ensure_project(owner(KIND), "News", "<View><Text")


def test_two_of_us_at_once_make_one_project_and_one_task_each(studio):
    mine, tasks = owner(KIND), [task(f"/{number}.txt") for number in range(20)]

    def one_of_us(_):
        engine = LabelStudio(studio.url, studio.token)
        project = engine.ensure_project(mine, "Together", NEWS)
        engine.add_tasks(project, tasks)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        outcomes = [pool.submit(one_of_us, number) for number in range(3)]
        concurrent.futures.wait(outcomes)
    # Who looked while another tidied up may have been told to ask again.
    assert {one.exception() for one in outcomes if not isinstance(one.exception(), Unavailable | Conflict)} == {None}
    engine = LabelStudio(studio.url, studio.token)
    project = engine.ensure_project(mine, "Together", NEWS)
    engine.add_tasks(project, tasks)
    assert len(studio.ask("shown", project)[2]) == 20


def test_a_draft_is_nobodys_word_and_a_task_of_somebody_elses_is_left_alone(studio, engine, project):
    engine.add_tasks(project, [task("/a.txt")])
    studio.ask("drafted", project, ["sport"])
    said = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["sport"]}}]
    studio.ask("brought", project, [{"data": {"text": "mine"}, "annotations": [{"result": said}]}])
    assert engine.annotations(project) == ()
    (reason,) = engine.unusable(project)
    assert reason.endswith("is none of ours: its meta names no item")
    assert engine.add_tasks(project, [task("/b.txt")]) == 1
    assert len(studio.ask("shown", project)[2]) == 3


def test_many_tasks_are_listed_over_pages(engine, project):
    tasks = [task(f"/{number:04}.txt") for number in range(1100)]
    assert engine.add_tasks(project, tasks) == 1100
    assert engine.add_tasks(project, [*tasks, task("/new.txt")]) == 1


def test_what_json_or_a_database_cannot_hold_is_replaced(studio, engine, project):
    engine.add_tasks(project, [task("/a.txt", "a\0b")])
    assert [fields["text"] for fields, _ in studio.ask("shown", project)[2]] == ["a\ufffdb"]

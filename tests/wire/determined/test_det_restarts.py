"""A master that dies loses nothing, and a trial does not notice."""

import os
import subprocess
from pathlib import Path

from tests.wire.determined.masters import Server, config, create, ends, free_port, logs, state, until


def test_a_killed_master_finds_its_trial_again(own_server: Server) -> None:
    client = own_server.client()
    experiment = create(client, {"epochs": 10, "pause": 0.3}, checkpoint_storage={"save_trial_latest": 99})
    until(lambda: "epoch 2 of run 1" in (logs(experiment) if experiment.list_trials() else ""))
    running = {process.pid for process in own_server.trial_processes()}
    own_server.kill()
    assert running <= {process.pid for process in own_server.trial_processes()}
    own_server.start()
    assert state(experiment) == "RUNNING"
    assert ends(experiment) == "COMPLETED"
    (trial,) = experiment.list_trials()
    told = logs(experiment)
    assert told.count("epoch 1 of") == 1
    assert "epoch 10 of run 1" in told
    reports = list(client.iter_trials_metrics([trial.id], "validation"))
    assert [(each.steps_completed, each.trial_run_id) for each in reports] == [(n, 1) for n in range(1, 11)]
    assert len(experiment.list_checkpoints()) == 10


def test_a_trial_waits_out_a_master_that_is_away(own_server: Server) -> None:
    client = own_server.client()
    experiment = create(client, {"epochs": 6, "pause": 0.3})
    until(lambda: "epoch 1 of run 1" in (logs(experiment) if experiment.list_trials() else ""))
    own_server.kill()
    written = own_server.data / "logs" / "1" / "1.log"
    until(lambda: "Retrying" in written.read_text())
    own_server.start()
    assert ends(experiment) == "COMPLETED"
    reports = list(client.iter_trials_metrics([1], "validation"))
    assert [(each.steps_completed, each.trial_run_id) for each in reports] == [(n, 1) for n in range(1, 7)]
    assert [one["statusCode"] for one in allocations(own_server)] == [0]


def allocations(server: Server) -> list[dict]:
    session = server.client()._session
    task = session.get("/api/v1/trials/1").json()["trial"]["taskId"]
    return session.get(f"/api/v1/tasks/{task}").json()["task"]["allocations"]


def test_a_trial_that_ended_while_the_master_was_dead_is_not_run_again(own_server: Server) -> None:
    experiment = create(own_server.client(), entrypoint="echo begun; sleep 1")
    until(lambda: "begun\n" in (logs(experiment) if experiment.list_trials() else ""))
    own_server.kill()
    until(lambda: own_server.trial_processes() == [])
    own_server.start()
    assert ends(experiment) == "COMPLETED"
    assert [one["statusCode"] for one in allocations(own_server)] == [0]


def test_a_trial_that_was_lost_with_the_machine_runs_again_without_blame(own_server: Server) -> None:
    experiment = create(own_server.client(), {"epochs": 1})
    until(own_server.trial_processes)
    own_server.kill()
    for process in own_server.trial_processes():
        process.kill()
    own_server.start()
    assert ends(experiment) == "COMPLETED"
    assert [one["exitReason"] for one in allocations(own_server)] == ["lost", ""]
    assert own_server.client()._session.get("/api/v1/trials/1").json()["trial"]["restarts"] == 0


def test_a_stopped_master_leaves_no_process_and_continues(own_server: Server) -> None:
    experiment = create(own_server.client(), {"epochs": 8, "pause": 0.25})
    until(lambda: "epoch 2 of run 1" in (logs(experiment) if experiment.list_trials() else ""))
    assert own_server.stop() == 0
    assert own_server.trial_processes() == []
    own_server.start()
    assert ends(experiment) == "COMPLETED"
    told = logs(experiment)
    assert "continuing after epoch" in told
    assert "epoch 8 of run 2" in told
    assert told.count("epoch 1 of") == 1


def test_sessions_and_history_survive(own_server: Server) -> None:
    client = own_server.client()
    experiment = create(client, {"epochs": 1}, labels=["kept"])
    assert ends(experiment) == "COMPLETED"
    client.create_model("kept").register_version(experiment.list_checkpoints()[0].uuid)
    own_server.kill()
    (own_server.data / "runs" / "left-behind" / "work").mkdir(parents=True)
    own_server.start()
    until(lambda: list((own_server.data / "runs").iterdir()) == [])
    assert [found.id for found in client.list_experiments(labels=["kept"])] == [experiment.id]
    assert client.get_model("kept").get_version().model_version == 1
    assert "epoch 1 of run 1" in logs(experiment)


def refused(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_second_master_on_the_same_folder_is_refused(own_server: Server) -> None:
    second = Server(own_server.data, free_port())
    assert "is in use by another master" in refused(second.command())


def test_a_port_in_use_is_refused(own_server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "other", own_server.port)
    assert f"cannot listen on 127.0.0.1:{own_server.port}" in refused(second.command())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "determined: " in refused(Server(tmp_path / "file" / "data", free_port()).command())


def test_trials_see_nothing_of_the_operator(own_server: Server) -> None:
    own_server.stop()
    os.environ["OPERATOR_SECRET"] = "hush"
    try:
        own_server.start()
    finally:
        del os.environ["OPERATOR_SECRET"]
    experiment = create(
        own_server.client(), entrypoint="env", environment={"environment_variables": ["MINE=1=2", "BARE"]}
    )
    assert ends(experiment) == "COMPLETED"
    seen = logs(experiment)
    assert "hush" not in seen
    assert "MINE=1=2\n" in seen
    assert "BARE=\n" in seen
    assert "OMP_NUM_THREADS=1\n" in seen
    assert f"HOME={own_server.data}/home\n" in seen


def test_a_startup_hook_shapes_what_follows(own_server: Server, tmp_path: Path) -> None:
    model = tmp_path / "hooked"
    model.mkdir()
    (model / "startup-hook.sh").write_text("export FROM_HOOK=here\n")
    wish = config(entrypoint="env")
    experiment = own_server.client().create_experiment(wish, model)
    assert ends(experiment) == "COMPLETED"
    assert "FROM_HOOK=here\n" in logs(experiment)

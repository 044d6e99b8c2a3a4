"""The vault of a home folder: made once, readable by its owner alone, and told to nobody who is not meant."""

import hashlib
import json
import stat

from cdl.cli.platform import processes, vault
from cdl.settings import Settings

AT = {"pachd": 1, "determined": 2, "seldon": 3, "seldon-router": 4, "postgres": 5}


def settings(home, **more):
    return Settings(home=home, programs=home / "pipelines", **more)


def test_without_the_wish_there_is_none(tmp_path):
    plain = settings(tmp_path)
    assert (vault.options(plain), vault.told(plain), vault.hidden(plain)) == ((), {}, ())
    assert vault.opened(plain) is plain
    assert not (tmp_path / "vault").exists()


def test_what_was_hidden_once_stays_hidden(tmp_path):
    first = vault.options(settings(tmp_path, vault=True))
    files = {path.name: path.read_bytes() for path in (tmp_path / "vault").iterdir()}
    assert vault.options(settings(tmp_path)) == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "vault").iterdir()} == files


def test_only_its_owner_may_read_it_and_the_rules_hold_no_token(tmp_path):
    vault.options(settings(tmp_path, vault=True))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "vault").iterdir()}
    assert modes == {"vault.json": 0o600, "platform.token": 0o600, "evaluator.token": 0o600}
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    rules = (tmp_path / "vault" / "vault.json").read_text()
    for who in ("platform", "evaluator"):
        token = (tmp_path / "vault" / f"{who}.token").read_text()
        assert token not in rules
        assert json.loads(rules)["tokens"][who] == hashlib.sha256(token.encode()).hexdigest()


def test_no_command_and_no_environment_that_is_written_down_holds_a_token(tmp_path):
    kept = settings(tmp_path, vault=True)
    services = processes.engines(kept, AT)
    tokens = [(tmp_path / "vault" / f"{who}.token").read_text() for who in ("platform", "evaluator")]
    told = processes.told_of_engines(kept, AT)
    written = " ".join([*told.values(), *(word for s in services for word in (*s.command, *map(str, s.environment)))])
    assert not [token for token in tokens if token in written]
    assert "--vault" in services[0].command
    assert dict(processes.hidden(kept))["CDL_PACHD_TOKEN"] == tokens[0]
    assert told["CDL_PACHD_EVALUATOR_TOKEN_FILE"] == str(tmp_path / "vault" / "evaluator.token")
    for service in services:
        assert {"CDL_PACHD_TOKEN", "CDL_PACHD_EVALUATOR_TOKEN", "CDL_PACHD_TRIAL_TOKEN"} <= set(service.withheld)


def test_settings_that_are_printed_hold_no_token(tmp_path):
    shown = vault.opened(settings(tmp_path, vault=True))
    assert shown.pachd_token
    assert shown.pachd_token not in repr(shown)
    assert vault.opened(settings(tmp_path, vault=True, pachd_token="mine")).pachd_token == "mine"

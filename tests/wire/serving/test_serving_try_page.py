"""What the server sends for the page at `/`; a browser uses it in test_serving_try_browser.py."""

from __future__ import annotations

import re

import pytest

from tests.wire.serving.pages_release import IMAGE, TABLE, served

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def page(rows):
    return rows.client.get("/", headers=BROWSER)


def test_a_browser_gets_the_page_and_a_program_the_list_of_paths(rows, page):
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    listed = rows.client.get("/")
    assert "/v2/health/ready" in listed.json()["paths"]
    assert page.headers["vary"] == listed.headers["vary"] == "accept"


def test_the_page_may_load_and_ask_nobody_but_the_server(rows, page):
    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "<style" not in page.text
    assert not re.search(r"<script[^>]*>[^<]|\son\w+=|style=", page.text)


def test_everything_the_page_names_is_there_below_any_prefix(rows, page):
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert {"try/page.css", "try/page.js", "v2/docs"} <= set(named)
    for path in named:
        if not path.startswith("data:"):
            assert not path.startswith(("/", "http")), path
            assert rows.client.get(f"/{path}").status_code == 200, path
    script = rows.client.get("/try/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"


def test_data_never_becomes_markup(rows):
    script = rows.client.get("/try/page.js").text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", script)
    assert "://" not in script


def test_the_page_learns_which_release_answers_and_what_it_takes(rows, starter, tmp_path):
    told = rows.client.get("/try/model.json").json()
    assert (told["name"], told["release"], told["classes"]) == ("classifier", "rows-3", ["up", "down"])
    assert told["digest"].startswith("sha256:")
    assert [cell["label"] for cell in told["form"]["cells"]] == ["x 1", "x 2", "x 3", "x 4"]
    table = served(starter, tmp_path / "table", TABLE).client.get("/try/model.json").json()
    assert [cell["label"] for cell in table["form"]["cells"]] == ["length", "width", "weight"]


def test_what_the_page_sends_is_answered(starter, tmp_path):
    client = served(starter, tmp_path / "image", IMAGE).client
    told = client.get("/try/model.json").json()
    sent = {name: told["form"][name] for name in ("name", "datatype", "shape")}
    picture = [255 if place % 28 < 14 else 0 for place in range(784)]
    reply = client.post(f"/{told['path']}", json={"inputs": [{**sent, "data": picture}]})
    assert reply.status_code == 200
    assert reply.json()["outputs"][0]["data"][0] > 0.99
    assert reply.headers["x-cdl-digest"] == told["digest"]


def test_an_undeclared_interface_gets_a_form_of_json(starter, tiny):
    told = starter.serve(tiny, None).client.get("/try/model.json").json()
    assert (told["form"]["kind"], told["form"]["example"]["inputs"][0]["name"]) == ("raw", "input")

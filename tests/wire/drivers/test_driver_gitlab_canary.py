"""The forge's token shows nowhere: not in a status, an event, the ledger or the log, whatever the forge answers."""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cdl import compose
from cdl.loop.forges import Forges
from cdl.settings import Settings
from tests.unit.loop.merge_rig import MAIN, PROJECT, Town

CANARY = "glpat-Canary-0123456789"
ANSWERS = {
    401: {"message": "401 Unauthorized"},
    403: {"error": "insufficient_scope"},
    404: {"message": "404 Project Not Found"},
    500: {"message": "500 Internal Server Error"},
    200: "nonsense",
}


class Forge(BaseHTTPRequestHandler):
    """Answers everything the same, and keeps what it was shown."""

    status, seen = 200, []

    def do_GET(self):
        self.seen.append(self.headers.get("PRIVATE-TOKEN"))
        body = json.dumps(ANSWERS[self.status]).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def forge(request):
    handler = type("Answering", (Forge,), {"status": request.param, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("forge", ANSWERS, indirect=True)
def test_the_token_is_shown_to_the_forge_and_to_nobody_else(forge, tmp_path, caplog):
    address, seen = forge
    caplog.set_level(logging.DEBUG)
    settings = Settings(home=tmp_path / "home", forge=address, forge_token=CANARY, forge_projects=PROJECT)
    town = Town(tmp_path)
    town.world.forges = Forges(partial(compose.forge, settings), settings.roles)
    town.world.restart()
    town.apply(MAIN, town.commit("main"))
    town.settle_for(12)
    assert CANARY in seen, "the forge was not asked, so this shows nothing"
    status = town.experiment().status.model_dump_json()
    assert town.says()[0] in {"WaitingForApproval", "EngineUnavailable", "NotPermitted", "InternalFault"}
    told = [status, *(row.entry for row in town.world.ledger.rows()), *map(repr, town.world.planned), caplog.text]
    told += [r.model_dump_json() for r in town.releases()]
    assert len(town.releases()) == 1
    assert not [text for text in told if CANARY in text]

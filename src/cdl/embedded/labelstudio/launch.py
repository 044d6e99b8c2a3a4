"""Label Studio's server with its habits mended; run by the Python of its own environment, which has no cdl.

Told where by --data and --port, and by the variables LABEL_STUDIO_USERNAME, _PASSWORD and _USER_TOKEN who its first
user is: what stands in a command line is read by everybody on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import os
import socket
import sys
from typing import Any

LOOPBACK = "127.0.0.1"
KEPT = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")
"""Of the environment; it reads many names that anybody may have set for something else: CI, DEBUG, HOST, PASSWORD."""
PREFIXES = ("LABEL_STUDIO_", "LC_")
QUIET = {
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "DISABLE_SIGNUP_WITHOUT_LINK": "true",
}
"""It tells its makers nothing, and whoever finds the port makes no account."""


def main() -> None:
    """Serve until told to end, or prepare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", type=int)
    what.add_argument("--prepare", action="store_true", help="make an empty database and end")
    told = parser.parse_args()
    _narrow(told.data)
    if told.prepare:
        server = importlib.import_module("label_studio.server")
        server._setup_env()
        server._apply_database_migrations()
        return
    _must_be_free(told.port)
    server = importlib.import_module("label_studio.server")
    _mend(server)
    told_it = ["--no-browser", "--internal-host", LOOPBACK, "--port", str(told.port), "--data-dir", told.data]
    sys.argv = ["label-studio", "start", *told_it, "--enable-legacy-api-token", "--log-level", "WARNING"]
    server.main()


def _must_be_free(port: int) -> None:
    """End where somebody else has the port: Label Studio would take the next one, and say so in passing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            sys.exit(f"port {port} cannot be had: {error.strerror}")


def _narrow(data: str) -> None:
    """Leave in the environment what is meant for it; its folder first, for it makes one in the home otherwise."""
    for name in [name for name in os.environ if name not in KEPT and not name.startswith(PREFIXES)]:
        del os.environ[name]
    os.environ["LABEL_STUDIO_BASE_DATA_DIR"] = data
    for name, value in QUIET.items():
        os.environ.setdefault(f"LABEL_STUDIO_{name}", value)


def _mend(server: Any) -> None:  # noqa: ANN401 - Label Studio says nothing about its types
    """Have it take the port it is told or none, log no question asked, and know the token it is told."""
    create = server._create_user

    def create_and_check(*words: Any) -> Any:  # noqa: ANN401 - as above
        user = create(*words)
        # Who died between making the user and setting the token left a user with another one.
        token = importlib.import_module("rest_framework.authtoken.models").Token
        token.objects.filter(user=user).update(key=os.environ["LABEL_STUDIO_USER_TOKEN"])
        return user

    server._get_free_port = lambda port, debug: port  # noqa: ARG005 - called with these names; as above
    # Half of a log would be an operator that looks; what fails is logged elsewhere.
    importlib.import_module("django.core.servers.basehttp").WSGIRequestHandler.log_request = lambda *_: None
    server._create_user = create_and_check


if __name__ == "__main__":
    main()

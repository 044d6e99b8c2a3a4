"""The admission process: `cdl-admission`, in a cluster and on one machine."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from cdl.ports.errors import PortError
from cdl.settings import read

if TYPE_CHECKING:
    from cdl.kube.admission import Door
    from cdl.settings import Settings


def main() -> int:
    """Answer the API server's questions until told to stop."""
    from cdl.kube.admission import serve
    from cdl.kube.client import Api

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("kopf", "aiohttp.access"):  # they log each question, one with the answer
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = read()
        probe = f"http://{settings.admission_address}:{settings.metrics_port}/healthz" if settings.metrics_port else ""
        serve(Api.connect(settings.kubeconfig), door(settings), probe=probe)
    except (ValueError, PortError) as error:
        sys.stderr.write(f"cdl-admission: {error}\n")
        return 1
    return 0


def door(settings: Settings) -> Door:
    """Say where to listen.

    Raises:
        ValueError: there is no certificate; an API server speaks to nobody without one.
    """
    from cdl.kube.admission import Door

    files = {"CDL_ADMISSION_CERTIFICATE": settings.admission_certificate, "CDL_ADMISSION_KEY": settings.admission_key}
    for name, path in files.items():
        if path is None or not path.is_file():
            message = f"{name}: found {str(path) if path else 'nothing'}, expected a PEM file"
            raise ValueError(message)
    certificate, key = (path for path in files.values() if path is not None)
    return Door(settings.admission_address, settings.admission_port, certificate, key)


if __name__ == "__main__":
    sys.exit(main())

"""`cdl-operator`: reconcile resources of an API server, in a process that is started again when it dies."""

from __future__ import annotations

import sys

import click

from cdl import compose
from cdl.ports.errors import PortError

KINDS = {kind.lower(): kind for kind in compose.RECONCILED}


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(tuple(KINDS), case_sensitive=False))
@click.option("--once", is_flag=True, help="Do not start again what dies: a container's platform does that, too.")
def main(kinds: tuple[str, ...], *, once: bool) -> None:
    """Reconcile KINDS, or all of them; every setting is a variable CDL_<NAME>."""
    from cdl.kube import logs, supervisor
    from cdl.kube.election import identity
    from cdl.settings import read

    try:
        settings = read()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    logs.configure(settings.log_format, secrets=settings.secrets)
    wanted = tuple(KINDS[kind.lower()] for kind in dict.fromkeys(kinds)) or compose.RECONCILED
    me = identity()

    def child() -> int:
        try:
            operator = compose.operator(settings, wanted, me)
        except PortError as error:
            sys.stderr.write(f"cdl-operator: {error}\n")
            return supervisor.REFUSED
        operator.run()
        return supervisor.DONE

    compose.preload()
    sys.exit(child() if once else supervisor.supervise(child, name="cdl-operator"))


if __name__ == "__main__":
    main()

"""``python -m devmason``: send queued reports and create projects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from . import settings as settings_module
from ._version import __version__
from .client import Client
from .errors import DevmasonError
from .reporter import flush, warn
from .settings import Settings
from .spool import Spool


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit code: 1 if something is left to do, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="devmason", description=__doc__)
    parser.add_argument("--version", action="version", version=f"devmason {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    flushing = commands.add_parser("flush", help="send the queued reports of earlier runs")
    flushing.add_argument("--all", action="store_true", help="also send reports queued for other servers")
    registering = commands.add_parser("register", help="create a project, as its owner")
    registering.add_argument("project")
    registering.add_argument("--title", help="display name of the project")
    parsed = parser.parse_args(arguments)
    settings = settings_module.load()
    if not settings.url:
        warn("DEVMASON_SERVER_URL is not set")
        return 2
    try:
        if parsed.command == "flush":
            return _flush(settings, parsed.all)
        client = Client(settings.url, settings.username, settings.password)
        client.register(parsed.project, parsed.title)
        print(f"project {parsed.project} is registered at {client.url}")
        return 0
    except (DevmasonError, ValueError) as error:
        warn(str(error))
        return 2


def _flush(settings: Settings, to_any_server: bool) -> int:
    if settings.spool is None:
        warn("no directory for queued reports; set DEVMASON_SPOOL")
        return 2
    flushed = flush(settings, Spool(settings.spool), to_any_server=to_any_server)
    for reason in flushed.reasons:
        warn(reason)
    line = f"{flushed.sent} sent, {flushed.rejected} rejected, {flushed.left} left"
    if flushed.others:
        line += f", {flushed.others} for other servers (use --all to send them)"
    print(line)
    return 1 if flushed.left or flushed.rejected else 0


if __name__ == "__main__":
    sys.exit(main())

"""Reporting that neither loses a report nor disturbs the run that it is about."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, Optional, TypeVar

from . import limits
from .client import Client
from .errors import ConnectionFailed, DevmasonError, SpoolError
from .model import Build
from .settings import Settings
from .spool import Report, Spool

T = TypeVar("T")


def warn(message: str) -> None:
    """Print one line to standard error, and be content if there is none."""
    # A server's message may hold anything, such as what a terminal obeys.
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    with contextlib.suppress(Exception):
        print(f"devmason: {line}", file=sys.stderr, flush=True)


def report(settings: Settings, build: Build) -> bool:
    """Report a build and say where it is; where that fails keep it for the next run.

    Return whether it was sent. Takes ``settings.timeout`` seconds at most and raises nothing, whatever
    goes wrong. Reports that earlier runs left behind are sent in the time that is left.
    """
    try:
        if settings.missing is not None or settings.url is None or settings.project is None:
            warn("; ".join((f"not reported: {settings.missing} is not set", *settings.problems)))
            return False
        for problem in settings.problems:
            warn(problem)
        return _report(settings, Report(settings.url, settings.project, build.id, limits.fit(build)))
    except Exception as error:
        warn(f"not reported: {type(error).__name__}: {error}")
        return False


def _report(settings: Settings, report: Report) -> bool:
    deadline = time.monotonic() + settings.timeout
    spool = None if settings.spool is None else Spool(settings.spool)
    reason = "interrupted"
    try:
        client = _client(settings)
        build = _within(deadline, lambda: client.put(report.project, report.id, report.document))
    except DevmasonError as error:
        if error.is_permanent:
            _reject(spool, report, error)
            return False
        reason = str(error)
    except Exception as error:
        # A URL that is none, no thread to be had, a fault of this package: the report is kept all the same.
        reason = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        # Who interrupts a run is done with it; the report need not be lost for that.
        pass
    else:
        warn(f"reported to {build.url}")
        _send_waiting(settings, spool, deadline)
        return True
    _keep(spool, report, reason)
    return False


def _keep(spool: Optional[Spool], report: Report, reason: str) -> None:
    failed = f"could not report to {report.server} ({reason})"
    if spool is None:
        warn(f"{failed}, and there is no directory to keep the report in: set DEVMASON_SPOOL")
        return
    try:
        path, dropped = spool.add(report)
    except SpoolError as error:
        warn(f"{failed}, nor keep the report ({error})")
        return
    full = f"; the spool is full, {dropped} older ones were dropped" if dropped else ""
    warn(f"{failed}; the report is in {path} and is sent with the next one{full}")


def _reject(spool: Optional[Spool], report: Report, error: DevmasonError) -> None:
    refused = f"{report.server} refused the report ({error})"
    try:
        if spool is None:
            raise SpoolError("there is no directory for it")
        path = spool.reject(spool.add(report)[0], _reason(error))
    except SpoolError as spool_error:
        warn(f"{refused}, and it could not be kept ({spool_error})")
    else:
        warn(f"{refused}; it is in {path} and is not sent again")


def _send_waiting(settings: Settings, spool: Optional[Spool], deadline: float) -> None:
    if spool is None:
        return
    try:
        flushed = flush(settings, spool, deadline)
    except (SpoolError, KeyboardInterrupt) as error:
        warn(f"this report was sent; those of earlier runs were not ({error or 'interrupted'})")
        return
    if flushed.rejected:
        warn(f"{flushed.rejected} reports of earlier runs were refused, see {spool.directory}")


@dataclass
class Flushed:
    """What came of the reports that waited."""

    sent: int = 0
    rejected: int = 0
    #: How many still wait for this server.
    left: int = 0
    #: How many wait for other servers.
    others: int = 0
    #: Why some are left, a line each.
    reasons: list[str] = field(default_factory=list)


def flush(
    settings: Settings,
    spool: Spool,
    deadline: Optional[float] = None,
    *,
    to_any_server: bool = False,
) -> Flushed:
    """Send the reports that wait for this server, or all of them to it.

    All of that ends at the deadline; where there is none, each may take ``settings.timeout`` seconds.
    The credentials are this server's, and so are the reports: by default those for another are left.
    """
    flushed = Flushed()
    client: Optional[Client] = None
    # A server that is away is away for the next report, too, but a project may be missing alone.
    is_away = False
    for path in spool.waiting():
        try:
            report = spool.read(path)
        except SpoolError as error:
            # One file that cannot be read must not hold up the others.
            flushed.left += 1
            flushed.reasons.append(str(error))
            continue
        if report is None:
            flushed.rejected += path.with_suffix(".rejected").exists()
            continue
        if report.server != settings.url and not to_any_server:
            flushed.others += 1
            continue
        if is_away or (deadline is not None and time.monotonic() >= deadline):
            flushed.left += 1
            continue
        try:
            client = client or _client(settings)
            until = time.monotonic() + settings.timeout if deadline is None else deadline
            _within(until, _put(client, report))
        except DevmasonError as error:
            if error.is_permanent:
                spool.reject(path, _reason(error))
                flushed.rejected += 1
                flushed.reasons.append(f"{path.with_suffix('.rejected').name}: {error}")
            else:
                flushed.left += 1
                flushed.reasons.append(f"{path.name}: {error}")
                is_away = error.status not in (403, 404)
        else:
            spool.remove(path)
            flushed.sent += 1
    return flushed


def _put(client: Client, report: Report) -> Callable[[], object]:
    return lambda: client.put(report.project, report.id, report.document)


def _client(settings: Settings) -> Client:
    return Client(
        settings.url or "",
        settings.username,
        settings.password,
        timeout=settings.timeout,
        budget=settings.timeout,
    )


def _reason(error: DevmasonError) -> dict[str, object]:
    return {"status": error.status, "message": error.message, "payload": error.payload}


def _within(deadline: float, call: Callable[[], T]) -> T:
    """Call in a thread that is left behind at the deadline.

    Timeouts of sockets bound neither the resolution of a name nor a server that sends a byte now and
    then. What is left behind does no harm: the report is stored under its id, once.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="devmason", daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.0))
    if results:
        return results[0]
    raise errors[0] if errors else ConnectionFailed("no answer in time")

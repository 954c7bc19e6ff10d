"""Reporting that neither loses a report nor disturbs the run."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Callable, Optional, TypeVar

from . import limits
from .client import BuildRef, Client
from .errors import ConnectionFailed, DevmasonError, SpoolError
from .live import Live
from .model import Build
from .settings import Settings
from .spool import Report, Spool

T = TypeVar("T")


def warn(message: str) -> None:
    """Print one line to standard error, if there is one."""
    # A server's message may contain anything, such as terminal control sequences.
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    with contextlib.suppress(Exception):
        print(f"devmason: {line}", file=sys.stderr, flush=True)


def report(settings: Settings, build: Build, live: Optional[Live] = None) -> bool:
    """Report a build and print its URL; on failure, queue it for the next run.

    If ``live`` has begun the build, this ends it.

    Return whether it was sent. This takes ``settings.timeout`` seconds at most and never raises.
    The remaining time is used to send reports queued by earlier runs.
    """
    try:
        if settings.missing is not None or settings.url is None or settings.project is None:
            warn("; ".join((f"not reported: {settings.missing} is not set", *settings.problems)))
            return False
        for problem in settings.problems:
            warn(problem)
        return _report(settings, Report(settings.url, settings.project, build.id, limits.fit(build)), live)
    except Exception as error:
        warn(f"not reported: {type(error).__name__}: {error}")
        return False


def _report(settings: Settings, report: Report, live: Optional[Live]) -> bool:
    deadline = time.monotonic() + settings.timeout
    spool = None if settings.spool is None else Spool(settings.spool)
    reason = "interrupted"
    try:
        client = _client(settings)
        if live is not None:
            try:
                live.stop(deadline)
            finally:
                report = replace(report, begun=live.has_begun)
        build = _within(deadline, lambda: _send(client, report))
    except DevmasonError as error:
        if error.is_permanent:
            _reject(spool, report, error)
            return False
        reason = str(error)
    except Exception as error:
        # An invalid URL, no thread available, or a bug in this package: the report is queued anyway.
        reason = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        # The user interrupted the run; the report need not be lost.
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
        warn(f"{failed}; the report is lost, because there is no directory to save it in; set DEVMASON_SPOOL")
        return
    try:
        path, dropped = spool.add(report)
    except SpoolError as error:
        warn(f"{failed}, and could not save the report ({error})")
        return
    full = f"; the queue is full, {dropped} older reports were dropped" if dropped else ""
    warn(f"{failed}; saved in {path}, to be retried with the next report{full}")


def _reject(spool: Optional[Spool], report: Report, error: DevmasonError) -> None:
    refused = f"{report.server} refused the report ({error})"
    try:
        if spool is None:
            raise SpoolError("no directory to save it in")
        path = spool.reject(spool.add(report)[0], _reason(error))
    except SpoolError as spool_error:
        warn(f"{refused}, and it could not be saved ({spool_error})")
    else:
        warn(f"{refused}; saved in {path}; it will not be retried")


def _send_waiting(settings: Settings, spool: Optional[Spool], deadline: float) -> None:
    if spool is None:
        return
    try:
        flushed = flush(settings, spool, deadline)
    except (SpoolError, KeyboardInterrupt) as error:
        warn(f"this report was sent; queued reports of earlier runs were not ({error or 'interrupted'})")
        return
    if flushed.rejected:
        warn(f"the server refused {flushed.rejected} reports of earlier runs; see {spool.directory}")


@dataclass
class Flushed:
    """The outcome of sending queued reports."""

    sent: int = 0
    rejected: int = 0
    #: How many are still queued for this server.
    left: int = 0
    #: How many are queued for other servers.
    others: int = 0
    #: Why some are left, one line each.
    reasons: list[str] = field(default_factory=list)


def flush(
    settings: Settings,
    spool: Spool,
    deadline: Optional[float] = None,
    *,
    to_any_server: bool = False,
) -> Flushed:
    """Send the reports queued for this server, or all of them to it.

    The deadline covers everything; without one, each report may take ``settings.timeout`` seconds.
    The credentials are this server's, so by default reports for other servers are left.
    """
    flushed = Flushed()
    client: Optional[Client] = None
    # An unreachable server will not accept the next report either, but a missing project affects only
    # its own.
    is_away = False
    for path in spool.waiting():
        try:
            report = spool.read(path)
        except SpoolError as error:
            # One unreadable file must not block the others.
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
            _within(until, partial(_send, client, report))
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


def _send(client: Client, report: Report) -> BuildRef:
    send = client.complete if report.begun else client.put
    return send(report.project, report.id, report.document)


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
    """Call in a thread that is abandoned at the deadline.

    Socket timeouts cover neither DNS lookups nor a server that sends a byte now and then. An
    abandoned call is harmless: the report is stored once, under its id.
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
    raise errors[0] if errors else ConnectionFailed("timed out")

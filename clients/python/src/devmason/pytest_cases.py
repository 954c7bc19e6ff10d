"""Combines pytest's reports of phases into test cases."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import pytest

from .limits import cut
from .model import Failure, Status, Test

#: The attribute in which a report carries the exception's type, also from xdist's workers.
TYPE_ATTRIBUTE = "devmason_failure_type"

#: Severity, from left to right.
_ORDER: tuple[Status, ...] = ("passed", "skipped", "failed", "error")


@dataclass
class _Case:
    """A case whose phases (setup, call, teardown, and those of reruns) are still arriving."""

    nodeid: str
    file: Optional[str] = None
    line: Optional[int] = None
    status: Optional[Status] = None
    duration: float = 0.0
    failure: Optional[Failure] = None
    first_failure: Optional[Failure] = None
    reruns: int = 0
    stdout: str = ""
    stderr: str = ""
    properties: list[tuple[str, str]] = field(default_factory=list)
    failed_subtests: int = 0
    xpass: Optional[str] = None


class CaseCollector:
    """Collects the cases of a session from reports of their phases, in any order."""

    def __init__(self, config: pytest.Config) -> None:
        self._grouped = getattr(config.option, "dist", None) == "loadgroup"
        self._open: dict[tuple[str, str], _Case] = {}
        self._seen_collect_errors: set[str] = set()
        #: The cases that have ended, in that order.
        self.tests: list[Test] = []

    def add_phase(self, report: pytest.TestReport) -> None:
        """Add the report of one phase of a case."""
        # With --dist=each, every worker runs every case.
        worker = getattr(getattr(report, "node", None), "gateway", None)
        key = (getattr(worker, "id", ""), report.nodeid)
        case = self._open.setdefault(key, _Case(self._nodeid(report.nodeid)))
        description = _subtest_description(report)
        if description is not None:
            self._add_subtest(case, report, description)
            return
        self._locate(case, report)
        case.duration += report.duration
        case.stdout = cut(report.capstdout) or case.stdout
        case.stderr = cut(report.capstderr) or case.stderr
        if report.user_properties:
            case.properties = [(str(name), str(value)) for name, value in report.user_properties]
        if str(report.outcome) == "rerun":
            # The result of the attempt no longer counts: the next one begins with its setup.
            case.reruns += 1
            case.first_failure = case.first_failure or case.failure or _failure(report)
            case.status = case.failure = None
            return
        self._judge(case, report)
        # xdist reports "???" for a case that crashed its worker.
        if report.when == "teardown" or report.when not in ("setup", "call"):
            self._close(key)

    def add_collection(self, report: pytest.CollectReport) -> None:
        """Add the report of a module whose collection failed or was skipped."""
        if report.passed or report.nodeid in self._seen_collect_errors:
            return
        self._seen_collect_errors.add(report.nodeid)
        suite, name = _address(report.nodeid)
        failure = (
            Failure("CollectionError", "the tests could not be collected", cut(report.longreprtext))
            if report.failed
            else Failure("", _skip_reason(report), "")
        )
        self.tests.append(
            Test(
                name=name or "(session)",
                suite=suite,
                status="error" if report.failed else "skipped",
                failure=failure,
                stdout=cut(report.capstdout),
                stderr=cut(report.capstderr),
                file=report.nodeid.partition("::")[0] or None,
            )
        )

    def finish(self) -> list[Test]:
        """Return all cases. Those that have not ended were interrupted."""
        for key, case in list(self._open.items()):
            if case.status in (None, "passed"):
                case.status = "error"
                case.failure = Failure("", "interrupted before it ended", "")
            self._close(key)
        return self.tests

    def _nodeid(self, nodeid: str) -> str:
        """Return the id without the group that xdist appends, which is not part of the test's identity."""
        if self._grouped and nodeid.rfind("@") > nodeid.rfind("]"):
            return nodeid.rpartition("@")[0]
        return nodeid

    def _locate(self, case: _Case, report: pytest.TestReport) -> None:
        # A crashed worker's report lacks the line, but its setup may have been reported before.
        file, line, _ = report.location
        if line is not None or case.file is None:
            case.file = file
            case.line = None if line is None else line + 1

    def _judge(self, case: _Case, report: pytest.TestReport) -> None:
        reason = getattr(report, "wasxfail", None)
        if report.failed:
            status: Status = "failed" if report.when == "call" else "error"
            failure: Optional[Failure] = _failure(report)
        elif report.skipped:
            status = "skipped"
            message = _skip_reason(report) if reason is None else _xfail_reason(reason)
            failure = Failure("", message, cut(report.longreprtext) if reason is not None else "")
        else:
            status, failure = "passed", None
            if reason is not None:
                case.xpass = _xfail_reason(reason)
        if failure is not None:
            case.failure = failure if case.failure is None else _both(case.failure, failure)
        if case.status is None or _ORDER.index(status) > _ORDER.index(case.status):
            case.status = status

    def _add_subtest(self, case: _Case, report: pytest.TestReport, description: str) -> None:
        part = _Case(case.nodeid, duration=report.duration)
        self._locate(part, report)
        self._judge(part, report)
        case.failed_subtests += part.status == "failed"
        test = self._test(part)
        test.name = f"{test.name} {description}"
        self.tests.append(test)

    def _close(self, key: tuple[str, str]) -> None:
        self.tests.append(self._test(self._open.pop(key)))

    def _test(self, case: _Case) -> Test:
        suite, name = _address(case.nodeid)
        status: Status = case.status or "passed"
        failure = case.failure
        if status == "passed" and case.failed_subtests:
            status = "failed"
            failure = Failure("", f"{case.failed_subtests} of its subtests failed", "")
        elif status == "passed" and case.reruns:
            status, failure = "flaky", case.first_failure
        properties = list(case.properties)
        if case.xpass is not None:
            properties.append(("xpass", case.xpass))
        return Test(
            name=name,
            suite=suite,
            status=status,
            duration=case.duration,
            failure=failure,
            stdout=case.stdout,
            stderr=case.stderr,
            properties=properties,
            retries=case.reruns,
            file=case.file,
            line=case.line,
        )


def _address(nodeid: str) -> tuple[str, str]:
    """Return suite and name in the form of pytest's own JUnit file.

    >>> _address("tests/test_a.py::TestX::test_y[a::b]")
    ('tests.test_a.TestX', 'test_y[a::b]')
    """
    path, bracket, parameters = nodeid.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]), names[-1]


def _failure(report: pytest.TestReport) -> Failure:
    longrepr: Any = report.longrepr
    crash = getattr(longrepr, "reprcrash", None)
    text = report.longreprtext
    lines = text.strip().splitlines()
    message = crash.message if crash is not None else (lines[-1] if lines else "")
    return Failure(type=getattr(report, TYPE_ATTRIBUTE, ""), message=cut(message, 8192), text=cut(text))


def _both(first: Failure, second: Failure) -> Failure:
    """Return the failure of a case that failed and whose teardown failed as well."""
    return Failure(first.type, first.message, "\n\n".join(filter(None, (first.text, second.text))))


def _skip_reason(report: Union[pytest.TestReport, pytest.CollectReport]) -> str:
    longrepr: Any = report.longrepr
    reason = str(longrepr[2]) if isinstance(longrepr, tuple) else report.longreprtext
    return cut(reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason, 8192)


def _xfail_reason(reason: str) -> str:
    return cut(reason[len("reason: ") :] if reason.startswith("reason: ") else reason, 8192)


def _subtest_description(report: pytest.TestReport) -> Optional[str]:
    """Return the description of a subtest from a report of pytest 9 or pytest-subtests."""
    context = getattr(report, "context", None)
    if context is None or not hasattr(context, "kwargs"):
        return None
    parts = [f"[{context.msg}]"] if context.msg else []
    if context.kwargs:
        parts.append("(" + ", ".join(f"{k}={v!r}" for k, v in context.kwargs.items()) + ")")
    return " ".join(parts) or "(<subtest>)"

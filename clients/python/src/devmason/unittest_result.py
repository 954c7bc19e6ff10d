"""Collects the test cases of a unittest result.

The runners of unittest and of Django both use unittest results.
"""

from __future__ import annotations

import inspect
import io
import os
import time
import traceback
import unittest
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from .facts import client_record
from .limits import cut
from .live import Live
from .model import Build, Failure, Status, Step, Test, new_id, now
from .reporter import report, warn
from .settings import Settings

ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType], tuple[None, None, None]]

#: Severity, from left to right.
_ORDER: tuple[Status, ...] = ("passed", "skipped", "failed", "error")

_UNITTEST = str(Path(unittest.__file__).parent)


@dataclass
class _Open:
    """A test in progress."""

    test: unittest.TestCase
    began: float
    status: Optional[Status] = None
    failure: Optional[Failure] = None
    failed_parts: int = 0
    seconds: Optional[float] = None
    stdout: str = ""
    stderr: str = ""


class Collector:
    """Collects the cases of a run. One test runs at a time."""

    def __init__(self) -> None:
        self._open: Optional[_Open] = None
        #: The cases that have ended.
        self.tests: list[Test] = []

    def start(self, test: unittest.TestCase) -> None:
        """Record the start of a test."""
        self._open = _Open(test, time.perf_counter())

    def took(self, test: unittest.TestCase, seconds: float) -> None:
        """Set the duration of the current test, if it was measured elsewhere."""
        if self._open is not None and self._open.test is test:
            self._open.seconds = seconds

    def wrote(self, test: unittest.TestCase, stdout: str, stderr: str) -> None:
        """Set the output of the current test."""
        if self._open is not None and self._open.test is test and (stdout or stderr):
            self._open.stdout, self._open.stderr = cut(stdout), cut(stderr)

    def add(self, test: unittest.TestCase, status: Status, failure: Optional[Failure]) -> None:
        """Record an outcome of a test. There may be several, for example that of its ``tearDown``."""
        case = self._open
        parent = getattr(test, "test_case", None)
        if parent is not None:
            self._add_part(test, status, failure)
        elif case is None or case.test is not test:
            # The setup of a class or module, and in some versions a skipped test.
            self.tests.append(_test(_Open(test, 0.0, status, failure)))
        else:
            if failure is not None:
                case.failure = _both(case.failure, failure)
            if case.status is None or _ORDER.index(status) > _ORDER.index(case.status):
                case.status = status

    def stop(self, test: unittest.TestCase) -> None:
        """Record the end of the current test."""
        case = self._open
        if case is None or case.test is not test:
            return
        self._open = None
        if case.seconds is None:
            case.seconds = time.perf_counter() - case.began
        if case.failed_parts and case.status in (None, "passed"):
            case.status = "failed"
            case.failure = Failure("", f"{case.failed_parts} of its subtests failed", "")
        elif case.status is None:
            case.status = "error"
            case.failure = Failure("", "interrupted before it ended", "")
        self.tests.append(_test(case))

    def _add_part(self, test: unittest.TestCase, status: Status, failure: Optional[Failure]) -> None:
        self.tests.append(_test(_Open(test, 0.0, status, failure)))
        if self._open is None:
            return
        if status in ("failed", "error"):
            self._open.failed_parts += 1
        elif self._open.status is None:
            # A test with a skipped subtest gets no outcome of its own.
            self._open.status = "passed"


if TYPE_CHECKING:
    _Base = unittest.TestResult
else:
    _Base = object


class CollectingMixin(_Base):
    """Forwards the events of a unittest result to a collector. ``collecting`` creates the class."""

    collector: ClassVar[Collector]

    def startTest(self, test: unittest.TestCase) -> None:
        """Start a test."""
        super().startTest(test)
        self.collector.start(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Stop a test. Its output is not available afterwards."""
        self.collector.wrote(test, *buffered(self))
        super().stopTest(test)
        self.collector.stop(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Record a success."""
        super().addSuccess(test)
        self.collector.add(test, "passed", None)

    def addFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        """Record a failed assertion."""
        super().addFailure(test, err)
        self.collector.add(test, "failed", _failure(err))

    def addError(self, test: unittest.TestCase, err: ExcInfo) -> None:
        """Record any other exception."""
        super().addError(test, err)
        self.collector.add(test, "error", _failure(err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Record a skip."""
        super().addSkip(test, reason)
        self.collector.add(test, "skipped", Failure("", reason, ""))

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        """Record an expected failure."""
        super().addExpectedFailure(test, err)
        failure = _failure(err)
        failure.message = f"expected failure: {failure.message}"
        self.collector.add(test, "skipped", failure)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """Record an unexpected success."""
        super().addUnexpectedSuccess(test)
        self.collector.add(test, "failed", Failure("", "unexpected success", ""))

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Optional[ExcInfo]) -> None:
        """Record the outcome of a subtest."""
        super().addSubTest(test, subtest, err)
        if err is None:
            self.collector.add(subtest, "passed", None)
        else:
            kind = err[0]
            is_failure = kind is not None and issubclass(kind, test.failureException)
            self.collector.add(subtest, "failed" if is_failure else "error", _failure(err))

    def devmasonCase(self, test: unittest.TestCase, seconds: float, stdout: str, stderr: str) -> None:
        """Record the data from another process that ran the test."""
        self.collector.took(test, seconds)
        self.collector.wrote(test, stdout, stderr)


def collecting(base: type[unittest.TestResult], collector: Collector) -> type[unittest.TestResult]:
    """Return a result class that behaves like ``base`` and informs the collector."""
    # A class rather than an instance, because runners create their results themselves.
    return type(f"Collecting{base.__name__}", (CollectingMixin, base), {"collector": collector})


def buffered(result: unittest.TestResult) -> tuple[str, str]:
    """Return the output of the current test, if the result buffers it (``--buffer``)."""
    texts = []
    for name in ("_stdout_buffer", "_stderr_buffer"):
        buffer = getattr(result, name, None)
        texts.append(buffer.getvalue() if isinstance(buffer, io.StringIO) else "")
    return texts[0], texts[1]


class ReportedRun:
    """A run that is reported as a build with one step, when it ends or while it goes on. Never raises.

    ``members`` are additional members of its client record.
    """

    def __init__(self, settings: Settings, name: str, collector: Collector, **members: Optional[str]) -> None:
        self._settings = settings
        self._collector = collector
        self._members = members
        self._id = new_id()
        #: The step, which fails unless something says otherwise.
        self.step = Step(name, success=False)
        self._live = Live(settings, collector.tests, self._build).start()

    def end(self) -> None:
        """Report the run."""
        try:
            step = self.step
            step.finished = now()
            step.tests = self._collector.tests
            counts = dict.fromkeys(("passed", "skipped", "failed", "error"), 0)
            for test in step.tests:
                counts[test.status] += 1
            summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
            step.output = f"{summary or 'no tests'}\n"
            report(self._settings, self._build(), self._live)
        except Exception as error:
            warn(f"not reported: {type(error).__name__}: {error}")

    def _build(self) -> Build:
        settings, step = self._settings, self.step
        return Build(
            id=self._id,
            success=step.success,
            started=step.started,
            finished=step.finished,
            tags=list(settings.tags),
            client=dict(
                client_record(
                    environ=None,
                    directory=Path.cwd(),
                    user=settings.username,
                    runner=step.name,
                    **self._members,
                )
            ),
            results=[step],
        )


def _test(case: _Open) -> Test:
    suite, name = _address(case.test)
    file, line = _place(case.test)
    return Test(
        name=name,
        suite=suite,
        status=case.status or "error",
        duration=case.seconds,
        failure=case.failure,
        stdout=case.stdout,
        stderr=case.stderr,
        file=file,
        line=line,
    )


def _address(test: Any) -> tuple[str, str]:
    """Return suite and name of a test, a subtest, or the setup of a class or module."""
    parent = getattr(test, "test_case", None)
    if parent is not None:
        suite, name = _address(parent)
        return suite, f"{name} {_description(test)}"
    identity = str(test.id())
    # "setUpClass (tests.test_a.TestX)"
    holder, parenthesis, rest = identity.partition(" (")
    if parenthesis and rest.endswith(")"):
        return rest[:-1], holder
    if identity.startswith("unittest.loader."):
        # A module that could not be imported replaces its tests.
        return "", str(test._testMethodName)
    suite, _, name = identity.rpartition(".")
    return suite, name


def _description(subtest: Any) -> str:
    """Return a subtest's message and parameters as text."""
    description = str(subtest._subDescription())
    # After Django's pickling, the marker for no message is a different object, and would show as
    # "[<object ...>]".
    if type(subtest._message) is object:
        description = description.replace(f"[{subtest._message}]", "", 1).strip()
    return description or "(<subtest>)"


def _place(test: Any) -> tuple[Optional[str], Optional[int]]:
    """Return the test's location, relative to the working directory."""
    test = getattr(test, "test_case", test)
    try:
        method = inspect.unwrap(getattr(type(test), test._testMethodName))
        code = method.__code__
    except (AttributeError, ValueError):
        return None, None
    if code.co_filename.startswith(_UNITTEST):
        return None, None
    try:
        return os.path.relpath(code.co_filename), code.co_firstlineno
    except (OSError, ValueError):
        return code.co_filename, code.co_firstlineno


def _failure(err: ExcInfo) -> Failure:
    kind, value, trace = err
    if kind is None or value is None:
        return Failure()
    exception = traceback.TracebackException(kind, value, trace)
    # Omit the frames where unittest calls the test or raises on its behalf.
    frames = [frame for frame in exception.stack if not frame.filename.startswith(_UNITTEST)]
    exception.stack = traceback.StackSummary.from_list(frames)
    try:
        message = str(value)
    except Exception:
        message = "(message unavailable)"
    is_builtin = kind.__module__ == "builtins"
    name = kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"
    return Failure(name, cut(message, 8192), cut("".join(exception.format())))


def _both(first: Optional[Failure], second: Failure) -> Failure:
    if first is None:
        return second
    return Failure(first.type, first.message, "\n".join(filter(None, (first.text, second.text))))

"""The pytest plugin: ``pytest --devmason`` reports the session as one build.

With pytest-xdist only the controller reports, not its workers. Any error here only prints a
line to standard error; it changes neither the session nor its exit code.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

import pytest

if TYPE_CHECKING:
    from .model import Build
    from .pytest_cases import CaseCollector
    from .settings import Settings

# Nothing else is imported here: with the package installed, this module is loaded in every session,
# and most sessions don't report.

F = TypeVar("F", bound=Callable[..., Any])

_NAME = "devmason-session"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, on the command line and in pytest's configuration."""
    group = parser.getgroup("devmason", "reporting to a devmason server")
    group.addoption(
        "--devmason",
        action="store_true",
        default=False,
        help="report this session to the server at DEVMASON_SERVER_URL",
    )
    group.addoption("--devmason-project", metavar="PROJECT", help="the project to report to")
    group.addoption(
        "--devmason-tag",
        metavar="TAG",
        action="append",
        default=[],
        help="tag of the build; repeatable",
    )
    group.addoption(
        "--devmason-live",
        action="store_true",
        default=False,
        help="show the session on the server while it runs; a thread sends each test that ended",
    )
    # There is no option for the URL: a checkout must not decide where credentials from the environment
    # are sent.
    parser.addini("devmason", "report each session, like --devmason", "bool", default=False)
    parser.addini("devmason_project", "the project to report to", default="")
    parser.addini("devmason_live", "show sessions while they run", "bool", default=False)
    parser.addini("devmason_tags", "tags of the builds, one per line", "linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Start collecting, if this session is to be reported."""
    if not (config.option.devmason or config.getini("devmason")):
        return
    if config.option.collectonly:
        return
    is_worker = hasattr(config, "workerinput")
    try:
        session = _FailureTypes() if is_worker else _ReportedSession(config)
        config.pluginmanager.register(session, _NAME)
    except Exception as error:
        _warn(f"not reported: {type(error).__name__}: {error}")


def _warn(message: str) -> None:
    from .reporter import warn

    warn(message)


def _guarded(hook: F) -> F:
    """Wrap a hook so that an error in it ends the reporting, not the session."""

    @functools.wraps(hook)
    def guarded(self: _ReportedSession, *arguments: Any, **named: Any) -> None:
        if self.broken:
            return
        try:
            hook(self, *arguments, **named)
        except Exception as error:
            self.broken = True
            _warn(f"not reported: {type(error).__name__}: {error}")

    return guarded  # type: ignore[return-value]


class _FailureTypes:
    """Adds the exception's type to the report, which has only its text."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, Any, None]:
        from .pytest_cases import TYPE_ATTRIBUTE

        outcome = yield
        if call.excinfo is None or outcome.excinfo is not None:
            return
        kind = call.excinfo.type
        is_builtin = kind.__module__ in ("builtins", "_pytest.outcomes")
        name = kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"
        setattr(outcome.get_result(), TYPE_ATTRIBUTE, name)


class _ReportedSession(_FailureTypes):
    """A session that is reported when it ends."""

    def __init__(self, config: pytest.Config) -> None:
        from .live import Live
        from .model import new_id, now
        from .pytest_cases import CaseCollector
        from .settings import load

        self.broken = False
        self._config = config
        self._id = new_id()
        self._started = now()
        self._session: Optional[pytest.Session] = None
        self._errors: list[str] = []
        self._cases: CaseCollector = CaseCollector(config)
        self._settings: Settings = load(
            defaults={"DEVMASON_PROJECT": config.getini("devmason_project")},
            project=config.option.devmason_project,
            tags=[*config.getini("devmason_tags"), *config.option.devmason_tag],
            live=config.option.devmason_live or config.getini("devmason_live"),
        )
        self._live = Live(self._settings, self._cases.tests, self._head)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        # Sessions that only print something, such as --fixtures, don't get here.
        self._session = session
        self._live.start()

    @_guarded
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._cases.add_collection(report)

    @_guarded
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._cases.add_phase(report)

    @_guarded
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._errors.append(f"interrupted: {excinfo.exconly()}\n")

    @_guarded
    def pytest_internalerror(self, excrepr: object) -> None:
        self._errors.append(f"{excrepr}\n")

    @_guarded
    def pytest_unconfigure(self) -> None:
        # Not at the end of the session: the summary need not wait for the server.
        if self._session is None:
            return
        from .reporter import report

        report(self._settings, self._build(self._session), self._live)

    def _build(self, session: pytest.Session) -> Build:
        from .limits import cut
        from .model import now

        exit_code = int(session.exitstatus)
        tests = self._cases.finish()
        counts = dict.fromkeys(("passed", "flaky", "skipped", "failed", "error"), 0)
        for test in tests:
            counts[test.status] += 1
        summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        build = self._head()
        step = build.results[0]
        build.success = step.success = exit_code == 0
        build.finished = step.finished = now()
        step.output = f"{summary or 'no tests'}\n"
        step.errout = cut("".join(self._errors))
        step.tests = tests
        step.extras = {"exit_code": exit_code}
        return build

    def _head(self) -> Build:
        """Return the build without a result."""
        from .facts import client_record
        from .model import Build, Step

        return Build(
            id=self._id,
            success=False,
            started=self._started,
            tags=list(self._settings.tags),
            client=dict(
                client_record(
                    directory=self._config.rootpath,
                    user=self._settings.username,
                    pytest=pytest.__version__,
                    runner="pytest",
                )
            ),
            results=[Step("pytest", success=False, started=self._started)],
        )

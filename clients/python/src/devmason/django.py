"""Django's test runner with reporting: ``TEST_RUNNER = "devmason.django.DevmasonRunner"``.

Settings come from the environment first, then from Django's settings of the same names, such as
``PB_SERVER`` or ``DEVMASON_PROJECT``.
"""

from __future__ import annotations

import time
import traceback
import unittest
from typing import Any

from django.conf import settings as django_settings
from django.test.runner import (
    DiscoverRunner,
    ParallelTestSuite,
    RemoteTestResult,
    RemoteTestRunner,
)
from django.utils.version import get_version

from .settings import NAMES, Settings, load
from .unittest_result import Collector, ReportedRun, buffered, collecting


class DevmasonRemoteTestResult(RemoteTestResult):
    """A result in a ``--parallel`` process that sends a test's duration and output.

    The main process learns of starts and stops only when a whole class has ended. A result there
    that does not know this event ignores it.
    """

    def startTest(self, test: unittest.TestCase) -> None:
        """Start a test."""
        super().startTest(test)
        self._devmason_began = time.perf_counter()

    def stopTest(self, test: unittest.TestCase) -> None:
        """Stop a test."""
        seconds = time.perf_counter() - self._devmason_began
        self.events.append(("devmasonCase", self.test_index, seconds, *buffered(self)))
        super().stopTest(test)


class DevmasonRemoteTestRunner(RemoteTestRunner):
    """Runs the tests of a class in a ``--parallel`` process."""

    resultclass = DevmasonRemoteTestResult


class DevmasonParallelTestSuite(ParallelTestSuite):
    """Runs tests in several processes."""

    runner_class = DevmasonRemoteTestRunner


class DevmasonRunner(DiscoverRunner):
    """A ``DiscoverRunner`` that reports each run as a build with one step, ``django``."""

    parallel_test_suite = DevmasonParallelTestSuite

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._devmason_collector = Collector()

    def get_resultclass(self) -> Any:
        """Return Django's result class, extended to collect results."""
        base = super().get_resultclass() or unittest.TextTestResult
        return collecting(base, self._devmason_collector)

    def run_tests(self, *arguments: Any, **named: Any) -> Any:
        """Run the tests, report them, and return the number of failures."""
        import django

        version = get_version(django.VERSION)
        reported = ReportedRun(_settings(), "django", self._devmason_collector, django=version)
        try:
            failures = super().run_tests(*arguments, **named)
            reported.step.success = not failures
            return failures
        except BaseException:
            # Ctrl-C, or databases that could not be created: the results so far are reported.
            reported.step.errout = traceback.format_exc()
            raise
        finally:
            reported.end()


def _settings() -> Settings:
    defaults: dict[str, str] = {}
    for names in NAMES.values():
        for name in names:
            value = getattr(django_settings, name, None)
            if isinstance(value, (list, tuple)):
                value = ",".join(str(each) for each in value)
            if value:
                defaults[name] = str(value)
    return load(defaults=defaults)

"""Runs that people can watch: the build is open while the tests run, and its step has a log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Callable

from .client import Client, RunningStep
from .model import Build, Test
from .settings import Settings

#: The time between two appends to the log, in seconds.
_INTERVAL = 1.0


class Live:
    """Shows a run while it goes on: each case that ended is a line of the log of its step.

    Nothing depends on it. Whatever fails here, the report at the end of the run has everything.
    """

    def __init__(self, settings: Settings, tests: Sequence[Test], head: Callable[[], Build]) -> None:
        """Watch ``tests``, which grows. ``head`` returns the build; its step has no cases yet."""
        self._settings = settings
        self._tests = tests
        self._head = head
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devmason-live", daemon=True)
        #: Whether the server may have the build already.
        self.has_begun = False

    def start(self) -> Live:
        """Begin, if these settings ask for it."""
        if self._settings.live and self._settings.missing is None:
            self._thread.start()
        return self

    def stop(self, deadline: float) -> None:
        """Append what is left, until the deadline."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(max(deadline - time.monotonic(), 0.0))

    def _run(self) -> None:
        # Without a server there is nothing to watch. The report says so at the end.
        with contextlib.suppress(Exception):
            settings = self._settings
            build = self._head()
            client = Client(
                settings.url or "",
                settings.username,
                settings.password,
                timeout=settings.timeout,
                budget=settings.timeout,
            )
            self.has_begun = True
            running = client.begin(
                settings.project or "",
                tags=build.tags,
                client=build.client,
                started=build.started,
                id=build.id,
            )
            self._append(running.open(build.results[0].name, build.started))

    def _append(self, step: RunningStep) -> None:
        told = 0
        while True:
            is_last = self._stopping.wait(_INTERVAL)
            ended = list(self._tests[told:])
            if ended:
                step.write("".join(_lines(ended)))
                told += len(ended)
            if is_last:
                return


def _lines(tests: Iterable[Test]) -> Iterable[str]:
    for test in tests:
        took = "" if test.duration is None else f" ({test.duration:.2f} s)"
        name = "::".join(filter(None, (test.suite, test.name)))
        yield f"{test.status.upper()} {name}{took}\n"
        if test.failure is not None and test.status in ("failed", "error"):
            yield f"{(test.failure.text or test.failure.message).rstrip()}\n"

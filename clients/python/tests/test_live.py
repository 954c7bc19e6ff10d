"""Runs that are watched while they go on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from conftest import Run, Server, answering, fake, passing_on, read_request, said

from devmason.reporter import flush
from devmason.settings import Settings
from devmason.spool import Spool

#: Its second test waits for a file.
SAMPLE = """
import pathlib, time

def test_first(): pass

def test_second():
    while not pathlib.Path("go").exists(): time.sleep(0.01)
    assert False, "no <&>"
"""


@pytest.fixture
def sample(pytester: pytest.Pytester) -> Path:
    pytester.makepyfile(test_sample=SAMPLE)
    return pytester.path


@pytest.fixture
def begin(run: Run, pytester: pytest.Pytester) -> Callable[..., contextlib.AbstractContextManager[Any]]:
    """Start a session that goes on until it is told to."""

    @contextlib.contextmanager
    def begin(*arguments: str) -> Iterator[subprocess.Popen[str]]:
        assert run is not None
        session = subprocess.Popen(
            [sys.executable, "-m", "pytest", "--devmason", "--devmason-live", *arguments],
            cwd=pytester.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with session:
            try:
                yield session
            finally:
                session.kill()

    return begin


def log(server: Server, build: str) -> str:
    url = f"{server.url}/pony/builds/{build}/steps/0/log"
    with urllib.request.urlopen(url, timeout=30) as response:
        text: str = response.read().decode()
    return text


def watched(server: Server) -> str:
    """Return the id of the build, once its log has the first test."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for build in server.builds():
            if build["results"] and "test_first" in log(server, build["id"]):
                return str(build["id"])
        time.sleep(0.05)
    raise AssertionError("the test did not appear")


def test_a_session_can_be_watched_and_is_one_build_in_the_end(
    server: Server, begin: Callable[..., Any], sample: Path
) -> None:
    with begin() as session:
        build = watched(server)
        running = server.get(f"/pony/builds/{build}")
        assert (running["state"], running["results"][0]["state"]) == ("running", "running")
        assert running["client"]["runner"] == "pytest"
        (sample / "go").touch()
        _, errors = session.communicate(timeout=60)
    assert session.returncode == 1
    assert f"reported to {server.url}/pony/builds/{build}" in errors
    assert {name: case["status"] for name, case in server.cases().items()} == {
        "test_sample::test_first": "passed",
        "test_sample::test_second": "failed",
    }
    finished = server.builds()[0]
    assert finished["state"] == "finished" and finished["success"] is False
    assert finished["results"][0]["exit_code"] == 1
    text = log(server, build)
    assert text.startswith("PASSED test_sample::test_first (")
    assert "FAILED test_sample::test_second (" in text and "no <&>" in text
    assert text.endswith("1 passed, 1 failed\n")


@pytest.mark.usefixtures("sample")
def test_what_a_killed_session_said_is_there(server: Server, begin: Callable[..., Any]) -> None:
    with begin() as session:
        build = watched(server)
        session.kill()
        session.wait(timeout=60)
    assert server.get(f"/pony/builds/{build}")["state"] == "running"
    assert "PASSED test_sample::test_first" in log(server, build)


def test_a_session_whose_server_went_away_is_completed_later(
    server: Server, begin: Callable[..., Any], sample: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVMASON_TIMEOUT", "2")
    with begin() as session:
        build = watched(server)
        port = server.port
        server.stop()
        (sample / "go").touch()
        _, errors = session.communicate(timeout=60)
    assert session.returncode == 1 and "to be retried" in errors
    server.start(port)
    settings = Settings(url=server.url, project="pony", spool=spool)
    assert flush(settings, Spool(spool)).sent == 1
    assert len(server.cases()) == 2 and server.builds()[0]["state"] == "finished"
    assert log(server, build).endswith("1 passed, 1 failed\n")


def test_a_completion_whose_response_was_lost_is_repeated_without_effect(
    server: Server, begin: Callable[..., Any], sample: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = []

    def losing(connection: Any) -> None:
        request = read_request(connection)
        # The end of the build arrives, and nobody hears of it.
        answer = not request.startswith(b"DELETE")
        lost.extend([] if answer else [request])
        passing_on(server.port, connection, request, answer=answer)

    monkeypatch.setenv("DEVMASON_SERVER_URL", fake(losing))
    monkeypatch.setenv("DEVMASON_TIMEOUT", "3")
    with begin() as session:
        build = watched(server)
        (sample / "go").touch()
        session.communicate(timeout=60)
    assert lost
    settings = Settings(url=server.url, project="pony", spool=spool)
    assert flush(settings, Spool(spool), to_any_server=True).sent == 1
    assert server.builds()[0]["state"] == "finished" and len(server.cases()) == 2
    assert log(server, build).count("1 passed, 1 failed") == 1


@pytest.mark.usefixtures("sample")
def test_a_server_that_refuses_to_begin_changes_nothing(server: Server, run: Run, sample: Path) -> None:
    (sample / "go").touch()
    url = fake(answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    done = run("-m", "pytest", "--devmason", "--devmason-live", DEVMASON_SERVER_URL=url, DEVMASON_TIMEOUT="2")
    assert done.ret == 1 and len(said(done)) == 1
    # Sent later to a server that never heard of it.
    done = run("-m", "devmason", "flush", "--all")
    assert done.ret == 0 and len(server.cases()) == 2


def test_the_runner_of_unittest_can_be_watched_too(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_sample="import unittest\nclass TestSample(unittest.TestCase):\n    def test_a(self): pass\n"
    )
    done = run("-m", "devmason.unittest", "test_sample", DEVMASON_LIVE="1")
    assert done.ret == 0
    build = server.builds()[0]
    assert build["state"] == "finished" and build["success"] is True
    assert log(server, build["id"]).startswith("PASSED test_sample.TestSample::test_a")
    assert server.cases()["test_sample.TestSample::test_a"]["status"] == "passed"


def test_an_interrupted_session_tells_so_in_its_log(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_sample="def test_a(): raise KeyboardInterrupt\n")
    done = run("-m", "pytest", "--devmason", "--devmason-live")
    assert done.ret == 2
    assert "interrupted: KeyboardInterrupt" in log(server, server.builds()[0]["id"])

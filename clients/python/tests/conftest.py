"""Shared fixtures: the real server, and servers that fail in every way."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

pytest_plugins = ["pytester"]


def program() -> Path:
    """Return the server's program, which must exist."""
    given = os.environ.get("DEVMASON_SERVER")
    path = Path(given) if given else Path(__file__).parents[3] / "target/debug/devmason-server"
    if not path.is_file():
        pytest.fail(
            f"there is no {path}: build it with 'cargo build --bin devmason-server', or set DEVMASON_SERVER"
        )
    return path


class Server:
    """A server process with its own store."""

    def __init__(self, store: Path, port: int = 0) -> None:
        self._command = [str(program()), "--database-url", f"sqlite:{store}", "--listen"]
        self._log = store.with_suffix(".log")
        self.url = ""
        self.start(port)

    def start(self, port: int) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("DEVMASON_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, f"127.0.0.1:{port}"],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environ,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert " is ready at " in line, self._log.read_text()
        self.url = line.strip().rpartition(" ")[2]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def get(self, path: str) -> Any:
        url = path if path.startswith("http") else self.url + path
        with urllib.request.urlopen(url, timeout=30) as response:
            return json.load(response)

    def register(self, project: str) -> None:
        request = urllib.request.Request(
            f"{self.url}/{project}",
            data=json.dumps({"name": project}).encode(),
            headers={"Content-Type": "application/json"},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=30).close()

    def builds(self) -> list[Any]:
        """Return the builds of the project, newest first."""
        builds: list[Any] = self.get("/pony/builds")["builds"]
        return builds

    def cases(self) -> dict[str, Any]:
        """Return the cases of the only build, by full name."""
        builds = self.builds()
        assert len(builds) == 1, builds
        tests = self.get(f"/pony/builds/{builds[0]['id']}/tests?per_page=1000")["tests"]
        return {test["full_name"]: test for test in tests}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with a project ``pony``."""
    server = Server(tmp_path_factory.mktemp("server") / "store.db")
    server.register("pony")
    yield server
    server.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Return the spool directory, which does not exist yet."""
    return tmp_path / "spool"


class Run:
    """Runs Python in pytester's directory, in an environment that reports to the server."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pytester = pytester
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, **variables: str) -> pytest.RunResult:
        with self._monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            return self._pytester.run(sys.executable, *arguments, timeout=300)


@pytest.fixture
def run(server: Server, spool: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run Python so that it reports to the server, isolated from this machine's CI and settings."""
    for name in os.environ:
        if name.startswith(("DEVMASON_", "PB_", "GITHUB_", "GITLAB_", "CI_", "JENKINS_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("DEVMASON_SERVER_URL", server.url)
    monkeypatch.setenv("DEVMASON_PROJECT", "pony")
    monkeypatch.setenv("DEVMASON_SPOOL", str(spool))
    return Run(pytester, monkeypatch)


def said(done: pytest.RunResult) -> list[str]:
    """Return our lines on standard error."""
    return [line for line in done.errlines if line.startswith("devmason: ")]


def read_request(connection: socket.socket) -> bytes:
    """Read a request to the end of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def fake(answer: Callable[[socket.socket], None]) -> str:
    """Start a server that treats every connection alike; return its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            answer(connection)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def passing_on(port: int, connection: socket.socket, request: bytes, *, answer: bool = True) -> None:
    """Forward a request to the server at that port, and its response back unless it is to be lost."""
    with socket.create_connection(("127.0.0.1", port)) as behind:
        behind.sendall(request)
        while piece := behind.recv(65536):
            if answer:
                connection.sendall(piece)


def answering(text: str) -> Callable[[socket.socket], None]:
    """Return a function that answers each request with that text."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(text.encode())

    return answer

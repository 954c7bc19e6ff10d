"""Whatever happens to the server or the disk: nothing is lost, nothing is stored twice, no run changes."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from conftest import Run, Server, answering, fake, read_request

import devmason


def hang(connection: socket.socket) -> None:
    """Answer half, and then nothing."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\nLocation: /x\r\n\r\nhalf")
    time.sleep(600)


TROUBLES = {
    "500": answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    "429": answering(
        "HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ),
    "a page": answering("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"),
    "no HTTP": answering("220 mail.example.org ESMTP\r\n"),
    "half an answer": answering("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf"),
    "half an answer, then nothing": hang,
}


@pytest.fixture
def sample(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text("def test_passes(): pass\ndef test_fails(): assert False\n")


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_a_server_does_a_session_is_what_it_is_and_its_report_is_kept(
    server: Server, run: Run, environ: dict[str, str], trouble: str
) -> None:
    url = fake(TROUBLES[trouble])
    done = run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=url, DEVMASON_TIMEOUT="2")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("devmason: ")]
    assert len(lines) == 1, done.stderr
    spool = Path(environ["DEVMASON_SPOOL"])
    assert spool.stat().st_mode & 0o777 == 0o700
    (kept,) = spool.glob("*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    # It is sent to where somebody says that it goes.
    flushed = run("-m", "devmason", "flush", "--all")
    assert flushed.returncode == 0, flushed.stderr
    assert run("-m", "devmason", "flush").stdout.startswith("0 sent")
    assert len(server.builds()) == 1


@pytest.mark.usefixtures("sample")
def test_what_is_kept_goes_with_the_next_report_and_is_stored_once(
    server: Server, run: Run, environ: dict[str, str]
) -> None:
    port = server.port
    server.stop()
    assert run("-m", "pytest", "--devmason").returncode == 1
    server.start(port)
    assert run("-m", "pytest", "--devmason").returncode == 1
    assert len(server.builds()) == 2
    assert list(Path(environ["DEVMASON_SPOOL"]).glob("*.json")) == []
    assert run("-m", "devmason", "flush").returncode == 0
    assert len(server.builds()) == 2


@pytest.mark.usefixtures("sample")
def test_a_report_whose_answer_was_lost_is_stored_once(server: Server, run: Run) -> None:
    def lose(connection: socket.socket) -> None:
        request = read_request(connection)
        with socket.create_connection(("127.0.0.1", server.port)) as behind:
            behind.sendall(request)
            answer = b""
            while piece := behind.recv(65536):
                answer += piece
            # What only reads is answered, what stores is not.
            if request.startswith(b"GET "):
                connection.sendall(answer)

    assert (
        run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=fake(lose), DEVMASON_TIMEOUT="3").returncode
        == 1
    )
    assert len(server.builds()) == 1
    assert run("-m", "devmason", "flush", "--all").returncode == 0
    assert len(server.builds()) == 1


@pytest.mark.usefixtures("sample")
def test_a_spool_that_cannot_be_there_costs_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(
        "-m",
        "pytest",
        "--devmason",
        DEVMASON_SERVER_URL="http://127.0.0.1:9",
        DEVMASON_SPOOL=str(tmp_path / "file/spool"),
    )
    assert done.returncode == 1
    assert sum(line.startswith("devmason: ") for line in done.stderr.splitlines()) == 1, done.stderr


def test_what_the_server_refuses_for_good_is_put_aside(
    server: Server, run: Run, environ: dict[str, str]
) -> None:
    spool = Path(environ["DEVMASON_SPOOL"])
    port = server.port
    server.stop()
    (Path(environ["HOME"]) / "test_x.py").write_text("def test_x(): pass\n")
    assert run("-m", "pytest", "--devmason", str(Path(environ["HOME"]) / "test_x.py")).returncode == 0
    (kept,) = spool.glob("*.json")
    kept.write_text(
        kept.read_text()
        .replace('"success":true', '"success":"perhaps"')
        .replace('"success": true', '"success": "perhaps"')
    )
    server.start(port)
    flushed = run("-m", "devmason", "flush")
    assert flushed.returncode == 1, flushed.stdout
    assert [path.suffix for path in spool.iterdir()] == [".rejected"]
    assert run("-m", "devmason", "flush").stdout.startswith("0 sent, 0 rejected")
    assert server.builds() == []


def test_a_client_tries_again_and_stores_once(server: Server) -> None:
    count = 0

    def flaky(connection: socket.socket) -> None:
        nonlocal count
        request = read_request(connection)
        count += 1
        if count % 2:
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", server.port)) as behind:
            behind.sendall(request)
            while piece := behind.recv(65536):
                connection.sendall(piece)

    client = devmason.Client(fake(flaky))
    client.report("pony", devmason.Build(success=True, tags=["a"]))
    assert len(server.builds()) == 1

"""Whatever happens to server or disk: nothing is lost or stored twice, and runs are unaffected."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from conftest import Run, Server, answering, fake, passing_on, read_request, said


def hang(connection: socket.socket) -> None:
    """Send half a response, then nothing."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\nLocation: /x\r\n\r\nhalf")
    time.sleep(600)


def drip(connection: socket.socket) -> None:
    """Send a response so slowly that no socket timeout expires."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.2)


END = "Content-Length: 0\r\nConnection: close\r\n\r\n"

TROUBLES = {
    "500": answering(f"HTTP/1.1 500 Oops\r\n{END}"),
    "429": answering(f"HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\n{END}"),
    "401": answering(f"HTTP/1.1 401 Who\r\n{END}"),
    "404": answering(f"HTTP/1.1 404 Where\r\n{END}"),
    "elsewhere": answering(f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2/login\r\n{END}"),
    "a page": answering("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"),
    "no HTTP": answering("220 mail.example.org ESMTP\r\n"),
    "half an answer": answering("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf"),
    "half an answer, then nothing": hang,
    "an answer without end": drip,
}


@pytest.fixture
def sample(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sample="def test_passes(): pass\ndef test_fails(): assert False\n")


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_a_server_does_a_session_is_what_it_is_and_its_report_is_kept(
    server: Server, run: Run, spool: Path, trouble: str
) -> None:
    url = fake(TROUBLES[trouble])
    done = run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=url, DEVMASON_TIMEOUT="2")
    assert done.ret == 1
    done.assert_outcomes(passed=1, failed=1)
    assert len(said(done)) == 1
    assert spool.stat().st_mode & 0o777 == 0o700
    (kept,) = spool.iterdir()
    assert kept.suffix == ".json" and kept.stat().st_mode & 0o777 == 0o600
    # It is sent to the server given explicitly.
    assert run("-m", "devmason", "flush").outlines[0].startswith("0 sent")
    assert run("-m", "devmason", "flush", "--all").ret == 0
    assert list(spool.iterdir()) == []
    assert [build["id"] for build in server.builds()] == [kept.stem.partition("-")[2]]


@pytest.mark.usefixtures("sample")
def test_what_is_kept_goes_with_the_next_report_and_is_stored_once(
    server: Server, run: Run, spool: Path
) -> None:
    port = server.port
    server.stop()
    assert run("-m", "pytest", "--devmason").ret == 1
    (kept,) = spool.iterdir()
    content = kept.read_bytes()
    server.start(port)
    assert run("-m", "pytest", "--devmason").ret == 1
    assert list(spool.iterdir()) == []
    assert len(server.builds()) == 2
    # A sent report is put back.
    kept.write_bytes(content)
    kept.chmod(0o600)
    assert run("-m", "devmason", "flush").ret == 0
    assert list(spool.iterdir()) == []
    assert len(server.builds()) == 2


@pytest.mark.usefixtures("sample")
def test_a_report_whose_answer_was_lost_is_stored_once(server: Server, run: Run) -> None:
    def lose(connection: socket.socket) -> None:
        request = read_request(connection)
        passing_on(server.port, connection, request, answer=request.startswith(b"GET "))

    done = run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=fake(lose), DEVMASON_TIMEOUT="3")
    assert done.ret == 1
    assert len(server.builds()) == 1
    assert run("-m", "devmason", "flush", "--all").ret == 0
    assert len(server.builds()) == 1


@pytest.mark.usefixtures("sample")
def test_a_project_that_is_not_there_is_registered_and_gets_what_waits(
    server: Server, run: Run, spool: Path
) -> None:
    assert run("-m", "pytest", "--devmason", DEVMASON_PROJECT="zebra").ret == 1
    assert len(list(spool.glob("*.json"))) == 1
    # Its queued reports block nothing.
    done = run("-m", "pytest", "--devmason")
    assert said(done) == [f"devmason: reported to {server.url}/pony/builds/{server.builds()[0]['id']}"]
    assert len(server.builds()) == 1
    assert run("-m", "devmason", "register", "zebra").ret == 0
    assert run("-m", "devmason", "flush").ret == 0
    assert len(server.get("/zebra/builds")["builds"]) == 1


@pytest.mark.usefixtures("sample")
def test_a_spool_that_cannot_be_written_costs_a_line(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("file").touch()
    done = run(
        "-m",
        "pytest",
        "--devmason",
        DEVMASON_SERVER_URL="http://127.0.0.1:9",
        DEVMASON_SPOOL=str(pytester.path / "file/spool"),
    )
    assert done.ret == 1
    assert len(said(done)) == 1


@pytest.mark.usefixtures("sample")
def test_a_url_that_is_none_costs_a_line_without_its_password(run: Run) -> None:
    for url in (
        "ci.example.org",
        "http://[",
        "http://alice:tiger/lily@ci.example.org",
        "http://alice:tigerlily@127.0.0.1:9",
    ):
        done = run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=url)
        assert done.ret == 1
        (line,) = said(done)
        assert "tiger" not in line and "lily" not in line


@pytest.mark.usefixtures("sample")
def test_credentials_are_not_kept_with_a_report(run: Run, spool: Path) -> None:
    run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL="http://alice:swordfish@127.0.0.1:9")
    run(
        "-m",
        "pytest",
        "--devmason",
        DEVMASON_SERVER_URL="http://127.0.0.1:9",
        DEVMASON_USER="alice",
        DEVMASON_PASSWORD="swordfish",
    )
    kept = [path.read_text() for path in spool.iterdir()]
    assert len(kept) == 2
    assert not any("swordfish" in text for text in kept)


@pytest.mark.usefixtures("sample")
def test_what_a_server_refuses_for_good_is_put_aside_with_the_reason(
    server: Server, run: Run, spool: Path
) -> None:
    refusing = fake(answering(f"HTTP/1.1 400 Bad\r\n{END}"))
    done = run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL=refusing)
    assert done.ret == 1
    assert len(said(done)) == 1
    (rejected,) = spool.iterdir()
    assert rejected.suffix == ".rejected" and rejected.stat().st_mode & 0o777 == 0o600
    assert json.loads(rejected.read_text())["rejected"]["status"] == 400
    assert run("-m", "devmason", "flush", "--all").outlines == ["0 sent, 0 rejected, 0 left"]
    # After fixing the reason, a user renames it back.
    rejected.rename(rejected.with_suffix(".json"))
    assert run("-m", "devmason", "flush", "--all").ret == 0
    assert len(server.builds()) == 1


@pytest.mark.usefixtures("sample")
def test_a_refused_or_broken_file_holds_no_other_up(server: Server, run: Run, spool: Path) -> None:
    port = server.port
    server.stop()
    assert run("-m", "pytest", "--devmason").ret == 1
    assert run("-m", "pytest", "--devmason").ret == 1
    first, _ = sorted(spool.iterdir())
    entry = json.loads(first.read_text())
    entry["document"]["success"] = "perhaps"
    first.write_text(json.dumps(entry))
    half = spool / "0-half.json"
    half.write_text('{"server": "http://127')
    half.chmod(0o600)
    server.start(port)
    flushed = run("-m", "devmason", "flush")
    assert flushed.ret == 1
    assert flushed.outlines == ["1 sent, 2 rejected, 0 left"]
    assert {path.suffix for path in spool.iterdir()} == {".rejected"}
    assert len(server.builds()) == 1


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("trouble", ["429", "half an answer, then nothing", "an answer without end"])
def test_sending_what_waits_ends_and_loses_nothing_though_a_server_never_answers(
    run: Run, spool: Path, trouble: str
) -> None:
    assert run("-m", "pytest", "--devmason", DEVMASON_SERVER_URL="http://127.0.0.1:9").ret == 1
    kept = list(spool.iterdir())
    url = fake(TROUBLES[trouble])
    flushed = run("-m", "devmason", "flush", "--all", DEVMASON_SERVER_URL=url, DEVMASON_TIMEOUT="1")
    assert flushed.ret == 1
    assert flushed.outlines == ["0 sent, 0 rejected, 1 left"]
    assert len(said(flushed)) == 1
    assert list(spool.iterdir()) == kept

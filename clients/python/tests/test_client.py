"""The client against the real server, and against one whose responses are lost."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from conftest import Server, answering, fake, passing_on, read_request

import devmason

TAP = b"1..2\nok 1 - a\nnot ok 2 - b\n"


@pytest.fixture
def client(server: Server) -> devmason.Client:
    return devmason.Client(server.url, "alice", "secret")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Skip all waits; record their durations."""
    waits: list[float] = []
    monkeypatch.setattr("devmason.transport.time.sleep", waits.append)
    return waits


def unreliable(server: Server) -> str:
    """Return the URL of a server that loses every other response after processing the request."""
    count = 0

    def answer(connection: socket.socket) -> None:
        nonlocal count
        request = read_request(connection)
        count += 1
        passing_on(server.port, connection, request, answer=count % 2 == 0)

    return fake(answer)


def test_a_build_is_reported_whole(server: Server, client: devmason.Client) -> None:
    case = devmason.Test(name="x", suite="s", status="failed", failure=devmason.Failure("E", "no", "at b"))
    step = devmason.Step("test", success=False, output="out\x00\x1b[0m\n", tests=[case])
    build = devmason.Build(success=False, tags=["linux"], client={"host": "ci"}, results=[step])
    first, again = client.report("pony", build), client.report("pony", build)
    assert first == again and len(server.builds()) == 1
    document = client.get(first)
    assert document["results"][0]["output"] == "out\x00\x1b[0m\n"
    assert [test["failure"]["message"] for test in client.tests(first)] == ["no"]


def test_a_build_is_reported_step_by_step(client: devmason.Client) -> None:
    with client.begin("pony", tags=["nightly"]) as running:
        running.step(devmason.Step("compile", success=True))
        running.upload(TAP, "all results")
        assert client.get(running.build)["state"] == "running"
    document = client.get(running.build)
    assert [step["name"] for step in document["results"]] == ["compile", "all results"]
    assert (document["state"], document["success"]) == ("finished", False)


def test_a_step_that_runs_has_a_log_that_grows(server: Server) -> None:
    # Of every other request the answer is lost.
    client = devmason.Client(unreliable(server), "alice", "secret")
    with client.begin("pony") as running:
        with running.open("deploy", shell="sh") as step:
            step.write("one \U0001f40e\n")
            step.write("two\n", "err")
            step.write("three\udc80\n")
            document = client.get(step.url)
            assert (document["state"], document["success"], document["shell"]) == ("running", None, "sh")
            assert (document["output"], document["errout"]) == ("one \U0001f40e\nthree?\n", "two\n")
        failing = running.open("check")
        failing.end(False, [devmason.Test(name="x", status="failed")], exit_code=2)
        with pytest.raises(RuntimeError), running.open("broken"):
            raise RuntimeError
    build = client.get(running.build)
    results = [(step["name"], step["success"]) for step in build["results"]]
    assert results == [("deploy", True), ("check", False), ("broken", False)]
    assert (build["results"][1]["exit_code"], build["tests"]["failed"]) == (2, 1)


def test_another_process_goes_on_with_a_build(server: Server, client: devmason.Client) -> None:
    begun = client.begin("pony", id="ci-7")
    running = devmason.Client(server.url, "alice", "secret").running(begun.build.url)
    running.step(devmason.Step("compile", success=True))
    assert running.end(success=False) == begun.build
    assert client.get(begun.build)["success"] is False
    with pytest.raises(devmason.DevmasonError, match="finished"):
        client.running(begun.build)


def test_an_exception_ends_a_build_as_failed(client: devmason.Client) -> None:
    with pytest.raises(RuntimeError), client.begin("pony") as running:
        running.step(devmason.Step("compile", success=True))
        raise RuntimeError
    assert client.get(running.build)["success"] is False


@pytest.mark.usefixtures("waits")
def test_an_exception_in_a_block_is_not_hidden_by_a_server_that_went_away(
    server: Server, client: devmason.Client
) -> None:
    with pytest.raises(RuntimeError, match="own"), client.begin("pony"):
        server.stop()
        raise RuntimeError("own")


def test_report_files_are_uploaded_and_their_receipt_is_read(client: devmason.Client, tmp_path: Path) -> None:
    path = tmp_path / "results.tap"
    path.write_bytes(TAP)
    build = client.upload("pony", path, tags=["unit tests"], client={"branch": "main"})
    document = client.get(build)
    assert (document["tags"], document["client"]["branch"]) == (["unit tests"], "main")
    assert document["results"][0]["name"] == "results.tap"
    assert client.receipt(build)["uploads"][0]["format"] == "tap"
    with pytest.raises(devmason.RequestRefused) as refused:
        client.upload("pony", b"no report of any kind")
    assert refused.value.status == 415


def test_lists_are_gone_through_over_all_pages(client: devmason.Client) -> None:
    for _ in range(5):
        client.report("pony", devmason.Build(success=True))
    assert len(list(client.builds("pony", per_page=2))) == 5
    assert list(client.builds("pony", where="success:false")) == []


def test_a_refusal_says_what_is_wrong_and_no_password(server: Server, client: devmason.Client) -> None:
    with pytest.raises(devmason.NotFound) as missing:
        client.report("zebra", devmason.Build(success=True))
    assert missing.value.status == 404
    with pytest.raises(devmason.RequestRefused) as refused:
        client.report("pony", devmason.Build(success=True, tags=["a;b"]))
    assert refused.value.payload["field"].startswith("tags")
    client.register("mine")
    wrong = devmason.Client(server.url, "alice", "swordfish")
    with pytest.raises(devmason.AuthenticationFailed) as failed:
        wrong.register("mine", "Mine")
    with pytest.raises(devmason.PermissionDenied):
        devmason.Client(server.url, "bob", "b").register("mine", "Bob's")
    assert "swordfish" not in f"{failed.value}{failed.value!r}{wrong!r}"


def test_a_url_is_one_of_a_server() -> None:
    for bad in ("", "ci.example.org", "ftp://ci.example.org", "http://alice:sword/fish@ci.example.org"):
        with pytest.raises(ValueError, match="URL") as wrong:
            devmason.Client(bad)
        assert "fish" not in str(wrong.value)


@pytest.mark.usefixtures("waits")
def test_what_is_sent_again_because_an_answer_was_lost_is_stored_once(server: Server) -> None:
    client = devmason.Client(unreliable(server), "alice", "secret")
    client.report("pony", devmason.Build(success=True, tags=["a"]))
    client.upload("pony", TAP)
    with client.begin("pony") as running:
        step = devmason.Step("compile", success=True)
        running.step(step)
        running.step(step)
        running.step(devmason.Step("compile", success=True))
        running.upload(TAP)
    builds = server.builds()
    assert len(builds) == 3
    assert [len(build["results"]) for build in builds if build["id"] == running.build.id] == [3]


def test_waits_grow_until_the_retries_are_used_up(waits: list[float]) -> None:
    url = fake(answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    with pytest.raises(devmason.ServerUnavailable) as failed:
        devmason.Client(url, retries=3).project("pony")
    assert failed.value.status == 503
    assert len(waits) == 3
    for wait, most in zip(waits, (0.25, 0.5, 1.0)):
        assert most / 2 <= wait <= most


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(waits: list[float]) -> None:
    head = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: "
    with pytest.raises(devmason.ServerUnavailable):
        devmason.Client(fake(answering(f"{head}7\r\n\r\n")), retries=2).project("pony")
    assert waits == [7.0, 7.0]
    # A wait beyond the caller's budget is not started.
    with pytest.raises(devmason.ServerUnavailable):
        devmason.Client(fake(answering(f"{head}3600\r\n\r\n"))).project("pony")
    assert waits == [7.0, 7.0]


def test_a_refusal_is_not_tried_again(waits: list[float]) -> None:
    url = fake(answering("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    with pytest.raises(devmason.RequestRefused):
        devmason.Client(url).project("pony")
    assert waits == []


def test_credentials_go_to_no_other_server_than_their_own(server: Server) -> None:
    seen: list[bytes] = []

    def note(connection: socket.socket) -> None:
        seen.append(read_request(connection))

    other = fake(note)
    elsewhere = answering(
        f"HTTP/1.1 302 Found\r\nLocation: {other}/pony\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with pytest.raises(devmason.ProtocolError, match="unexpected redirect"):
        devmason.Client(fake(elsewhere), "alice", "secret").project("pony")
    # Only the path of a link counts.
    client = devmason.Client(server.url, "alice", "secret")
    assert client.get(f"{other}/pony")["name"] == "pony"
    assert seen == []

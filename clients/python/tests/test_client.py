"""The client against the real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Server

import devmason

TAP = b"1..2\nok 1 - a\nnot ok 2 - b\n"


@pytest.fixture
def client(server: Server) -> devmason.Client:
    return devmason.Client(server.url, "alice", "secret")


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
        running.upload(TAP, "results")
        assert client.get(running.build)["state"] == "running"
    document = client.get(running.build)
    assert [step["name"] for step in document["results"]] == ["compile", "results"]
    assert (document["state"], document["success"]) == ("finished", False)


def test_an_exception_ends_a_build_as_failed(client: devmason.Client) -> None:
    with pytest.raises(RuntimeError), client.begin("pony") as running:
        running.step(devmason.Step("compile", success=True))
        raise RuntimeError
    assert client.get(running.build)["success"] is False


def test_report_files_are_uploaded_and_their_receipt_is_read(client: devmason.Client, tmp_path: Path) -> None:
    path = tmp_path / "results.tap"
    path.write_bytes(TAP)
    build = client.upload("pony", path, tags=["unit"], client={"branch": "main"})
    document = client.get(build)
    assert (document["tags"], document["client"]["branch"]) == (["unit"], "main")
    assert client.receipt(build)["uploads"][0]["format"] == "tap"


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
    assert "swordfish" not in f"{failed.value}{failed.value!r}{wrong!r}"


def test_a_url_is_one_of_a_server() -> None:
    for bad in ("", "ci.example.org", "ftp://ci.example.org"):
        with pytest.raises(ValueError, match="http"):
            devmason.Client(bad)

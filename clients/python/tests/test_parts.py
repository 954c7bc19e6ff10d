"""Tests without a server: settings, the spool's limit, the length of a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devmason import Build, Failure, SpoolError, Step, Test
from devmason.facts import client_record
from devmason.limits import fit
from devmason.reporter import report
from devmason.settings import Settings, load
from devmason.spool import Report, Spool


def test_older_names_of_settings_count_where_the_newer_are_not_set() -> None:
    old = {"PB_SERVER": "http://a", "PB_PROJECT": "p", "PB_USER": "u", "PB_PASS": "w"}
    found = load(old)
    assert (found.url, found.project, found.username, found.password) == ("http://a", "p", "u", "w")
    assert load({**old, "DEVMASON_SERVER_URL": "http://b"}).url == "http://b"
    assert load({"PB_SERVER": "http://b"}, defaults={"DEVMASON_SERVER_URL": "http://a"}).url == "http://b"


def test_the_spool_is_in_the_users_state_directory_unless_said() -> None:
    assert load({"XDG_STATE_HOME": "/state"}).spool == Path("/state/devmason-python")
    assert load({"XDG_STATE_HOME": "state"}).spool == Path.home() / ".local/state/devmason-python"
    assert load({"DEVMASON_SPOOL": "/spool", "XDG_STATE_HOME": "/state"}).spool == Path("/spool")


def test_a_tag_that_the_server_would_refuse_is_left_out_and_said() -> None:
    found = load({"DEVMASON_TAGS": "linux, nightly,,latest"}, tags=["a;b", "linux"])
    assert found.tags == ("linux", "nightly")
    assert len(found.problems) == 2


def test_credentials_in_the_url_are_taken_out_of_it_and_never_shown() -> None:
    found = load({"DEVMASON_SERVER_URL": "https://alice:s%2Fw@ci.example.org/x"})
    assert (found.url, found.username, found.password) == ("https://ci.example.org/x", "alice", "s/w")
    assert "s/w" not in repr(found)


def test_a_full_spool_lets_the_oldest_go_and_takes_no_report_that_is_longer_than_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    reports = [Report("http://a", "pony", f"b{n}", {"x": "y" * 200}) for n in range(5)]
    dropped = [spool.add(each)[1] for each in reports]
    assert dropped == [0, 0, 0, 1, 1]
    assert [path.stem[-2:] for path in spool.waiting()] == ["b2", "b3", "b4"]
    with pytest.raises(SpoolError):
        spool.add(Report("http://a", "pony", "b9", {"x": "y" * 1000}))
    assert len(spool.waiting()) == 3


def test_a_spool_is_its_owners_alone_and_leads_nowhere_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    path, _ = spool.add(Report("http://a", "pony", "b1", {}))
    entry = json.loads(path.read_text())
    for changed in ({"project": ".."}, {"project": "a/b"}, {"id": ".."}, {"id": "a/b"}, {"id": "latest"}):
        path.write_text(json.dumps({**entry, **changed}))
        assert spool.read(path) is None
        path.with_suffix(".rejected").rename(path)
    with pytest.raises(SpoolError):
        spool.add(Report("http://a", "pony", "../b", {}))
    path.write_text(json.dumps(entry))
    path.chmod(0o644)
    with pytest.raises(SpoolError, match="readable by other users"):
        spool.read(path)
    victim = tmp_path / "victim"
    path.rename(victim)
    path.symlink_to(victim)
    for look in (spool.read, lambda path: spool.reject(path, {})):
        with pytest.raises(SpoolError):
            look(path)
    (tmp_path / "link").symlink_to(spool.directory)
    with pytest.raises(SpoolError, match="a symbolic link"):
        Spool(tmp_path / "link").waiting()
    spool.directory.chmod(0o777)
    with pytest.raises(SpoolError, match="writable by other users"):
        spool.waiting()
    spool.directory.chmod(0o755)
    assert spool.waiting() == [path]
    assert spool.directory.stat().st_mode & 0o777 == 0o700


def test_a_jobs_url_is_sent_without_credentials() -> None:
    def sent(url: str) -> object:
        return client_record({"GITLAB_CI": "true", "CI_JOB_URL": url}).get("job_url")

    assert sent("https://u:p@h:1/x?y=1") == "https://h:1/x?y=1"
    assert sent("https://u:p/w@h/x") is None
    assert sent("http://[") is None
    settings = Settings(url="http://alice:s%2Fw@h/x")
    assert (settings.url, settings.username, settings.password) == ("http://h/x", "alice", "s/w")


def test_a_fault_of_this_package_still_keeps_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("devmason.reporter._within", broken)
    settings = Settings(url="http://127.0.0.1:9", project="pony", spool=tmp_path / "spool")
    assert report(settings, Build(success=True)) is False
    assert len(list((tmp_path / "spool").glob("*.json"))) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_report_that_is_too_long_loses_what_is_needed_least_and_says_so() -> None:
    def build(text: int) -> Build:
        failed = Test("f", "failed", failure=Failure("E", "no", "t" * text), stdout="o" * text)
        return Build(
            False, results=[Step("s", False, tests=[Test("p", "passed", stdout="o" * text), failed])]
        )

    whole = fit(build(1000), 5000)["results"][0]
    assert "left_out" not in whole and whole["tests"][0]["stdout"] == "o" * 1000
    less = fit(build(2000), 5000)["results"][0]
    assert "passed" in less["left_out"]
    assert "stdout" not in less["tests"][0] and less["tests"][1]["stdout"] == "o" * 2000
    least = fit(build(100_000), 5000)["results"][0]
    assert len(least["tests"][1]["failure"]["text"]) < 3000
    many = Build(True, results=[Step("s", True, tests=[Test(f"p{n}", "passed") for n in range(200)])])
    assert fit(many, 5000)["results"][0]["tests"] == []


def test_what_is_no_json_is_told_as_text() -> None:
    extras = {"nan": float("nan"), "bytes": "\udcff", "set": {1}, 1: None}
    document = Build(True, results=[Step("s", True, extras=extras)]).document()  # type: ignore[arg-type]
    step = json.loads(json.dumps(document, allow_nan=False))["results"][0]
    assert (step["nan"], step["bytes"], step["set"], step["1"]) == (None, "\\udcff", "{1}", None)


def test_a_pull_request_is_known_by_its_own_commit_and_by_where_it_goes(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"head": {"sha": "h"}, "base": {"sha": "b"}}}')
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": "merged",
        "GITHUB_HEAD_REF": "f",
        "GITHUB_BASE_REF": "main",
        "GITHUB_JOB": "unit",
        "GITHUB_EVENT_PATH": str(event),
    }
    record = client_record(github)
    said = [record.get(name) for name in ("ci", "commit", "base_commit", "target_branch", "job")]
    assert said == ["github", "h", "b", "main", "unit"]
    event.write_text('{"ref": "refs/heads/main"}')
    assert client_record(github)["commit"] == "merged"
    jenkins = {"JENKINS_URL": "x", "GIT_COMMIT": "c", "BRANCH_NAME": "PR-1", "JOB_NAME": "it/PR-1"}
    assert client_record(jenkins)["job"] == "it"

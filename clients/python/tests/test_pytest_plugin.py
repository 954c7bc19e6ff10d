"""Sessions of pytest, as the server has them afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import Run, Server

SAMPLE = """
import sys, pytest

def test_passes(record_property):
    record_property("ticket", "42")
    print("to out"); print("to err", file=sys.stderr)

class TestClass:
    @pytest.mark.parametrize("value", ["a/b", "c d"])
    def test_value(self, value):
        assert value != "c d", "no <&>"

@pytest.fixture
def broken():
    raise RuntimeError("no fixture")

def test_errors(broken): pass
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.mark.xfail(reason="known")
def test_expected(): assert False
@pytest.mark.xfail(strict=True)
def test_unexpected(): pass
"""

EXPECTED = {
    "test_sample::test_passes": "passed",
    "test_sample.TestClass::test_value[a/b]": "passed",
    "test_sample.TestClass::test_value[c d]": "failed",
    "test_sample::test_errors": "error",
    "test_sample::test_skipped": "skipped",
    "test_sample::test_expected": "skipped",
    "test_sample::test_unexpected": "failed",
}


def write(tmp_path: Path, text: str, name: str = "test_sample.py") -> None:
    (tmp_path / name).write_text(text)


def statuses(server: Server) -> dict[str, str]:
    return {name: case["status"] for name, case in server.cases().items()}


def test_a_session_is_one_build_with_its_cases(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, SAMPLE)
    done = run("-m", "pytest", "--devmason", "--devmason-tag", "unit", DEVMASON_TAGS="nightly")
    assert done.returncode == 1, done.stderr
    assert statuses(server) == EXPECTED
    cases = server.cases()
    passes = cases["test_sample::test_passes"]
    assert (passes["stdout"], passes["stderr"]) == ("to out\n", "to err\n")
    assert {"name": "ticket", "value": "42"} in passes["properties"]
    assert passes["file"] == "test_sample.py" and passes["line"] and passes["duration"] is not None
    failed = cases["test_sample.TestClass::test_value[c d]"]["failure"]
    assert failed["type"] == "AssertionError" and "no <&>" in failed["message"]
    assert "test_sample.py" in failed["text"]
    assert cases["test_sample::test_skipped"]["failure"]["message"] == "not today"
    build = server.builds()[0]
    assert build["success"] is False and build["tags"] == ["nightly", "unit"]
    assert [step["name"] for step in build["results"]] == ["pytest"]
    assert build["client"]["host"] and build["client"]["python"]


def test_a_session_that_is_not_asked_for_is_not_reported(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, "def test_passes(): pass\n")
    assert run("-m", "pytest").returncode == 0
    assert run("-m", "pytest", "--devmason", "--collect-only").returncode == 0
    assert server.builds() == []


def test_with_xdist_the_session_is_reported_once(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, SAMPLE)
    assert run("-m", "pytest", "--devmason", "-n", "2").returncode == 1
    assert statuses(server) == EXPECTED


def test_a_worker_that_dies_is_an_error_of_its_case(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, "import os\ndef test_dies(): os._exit(9)\ndef test_lives(): pass\n")
    assert run("-m", "pytest", "--devmason", "-n", "1").returncode == 1
    found = statuses(server)
    assert found["test_sample::test_lives"] == "passed"
    assert [status for name, status in found.items() if "test_dies" in name] in (["failed"], ["error"])


def test_what_passed_on_a_rerun_is_flaky(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, "runs = []\ndef test_flaky():\n    runs.append(1)\n    assert len(runs) > 1\n")
    assert run("-m", "pytest", "--devmason", "--reruns", "2").returncode == 0
    case = server.cases()["test_sample::test_flaky"]
    assert (case["status"], case["retries"]) == ("flaky", 1)
    assert server.builds()[0]["success"] is True


def test_a_module_that_cannot_be_collected_is_an_error(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, "import nothing_of_that_name\n")
    assert run("-m", "pytest", "--devmason").returncode == 2
    cases = server.cases()
    assert [case["status"] for case in cases.values()] == ["error"]
    assert "nothing_of_that_name" in str(cases)


def test_a_session_that_is_interrupted_is_reported_as_failed(
    server: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    write(
        tmp_path,
        "import time\ndef test_first(): pass\n"
        f"def test_hangs():\n    open({str(ready)!r}, 'w').close()\n    time.sleep(600)\n",
    )
    session = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--devmason"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not ready.exists():
        assert session.poll() is None
        time.sleep(0.05)
    os.kill(session.pid, signal.SIGINT)
    assert session.wait() == 2
    assert statuses(server)["test_sample::test_first"] == "passed"
    assert server.builds()[0]["success"] is False


def test_the_configuration_file_may_ask_for_reports_but_not_say_where_they_go(
    server: Server, run: Run, tmp_path: Path
) -> None:
    write(tmp_path, "def test_passes(): pass\n")
    write(tmp_path, "[pytest]\ndevmason = true\ndevmason_project = pony\ndevmason_tags = one\n", "pytest.ini")
    assert run("-m", "pytest", DEVMASON_PROJECT="").returncode == 0
    assert server.builds()[0]["tags"] == ["one"]


def test_settings_that_are_missing_cost_a_line(server: Server, run: Run, tmp_path: Path) -> None:
    write(tmp_path, "def test_passes(): pass\n")
    done = run("-m", "pytest", "--devmason", DEVMASON_PROJECT="")
    assert done.returncode == 0
    assert "DEVMASON_PROJECT" in done.stderr
    assert server.builds() == []

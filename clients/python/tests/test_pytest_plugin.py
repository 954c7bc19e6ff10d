"""pytest sessions, as stored by the server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest
from conftest import Run, Server, said

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


@pytest.fixture
def sample(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sample=SAMPLE)


def statuses(server: Server) -> dict[str, str]:
    return {name: case["status"] for name, case in server.cases().items()}


@pytest.mark.usefixtures("sample")
def test_a_session_is_one_build_with_its_cases(server: Server, run: Run) -> None:
    done = run("-m", "pytest", "--devmason", "--devmason-tag", "unit", DEVMASON_TAGS="nightly")
    assert done.ret == 1
    assert said(done) == [f"devmason: reported to {server.url}/pony/builds/{server.builds()[0]['id']}"]
    assert statuses(server) == EXPECTED
    cases = server.cases()
    passes = cases["test_sample::test_passes"]
    assert (passes["stdout"], passes["stderr"]) == ("to out\n", "to err\n")
    assert passes["properties"] == [{"name": "ticket", "value": "42"}]
    assert passes["file"] == "test_sample.py" and passes["line"] and passes["duration"] is not None
    failed = cases["test_sample.TestClass::test_value[c d]"]["failure"]
    assert failed["type"] == "AssertionError" and "no <&>" in failed["message"]
    assert "test_sample.py" in failed["text"]
    assert cases["test_sample::test_errors"]["failure"]["type"] == "RuntimeError"
    assert cases["test_sample::test_skipped"]["failure"]["message"] == "not today"
    assert cases["test_sample::test_expected"]["failure"]["message"] == "known"
    assert "XPASS(strict)" in cases["test_sample::test_unexpected"]["failure"]["message"]
    build = server.builds()[0]
    assert build["success"] is False and build["tags"] == ["nightly", "unit"]
    assert [step["name"] for step in build["results"]] == ["pytest"]
    assert build["client"]["host"] and build["client"]["python"]


@pytest.mark.usefixtures("sample")
def test_cases_have_the_names_of_pytests_own_junit_file(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.mkpydir("package").joinpath("test_deep.py").write_text(
        "import pytest\n"
        "class TestA:\n"
        "    class TestB:\n"
        "        @pytest.mark.parametrize('p', ['x::y', 'a[b]', 'n/m.py', 'é'])\n"
        "        def test_c(self, p): pass\n"
    )
    run("-m", "pytest", "--devmason", "--junit-xml", "junit.xml")
    elements = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    names = [f"{element.get('classname')}::{element.get('name')}" for element in elements]
    assert sorted(server.cases()) == sorted(names)


@pytest.mark.usefixtures("sample")
def test_a_session_that_is_not_to_be_reported_is_not(server: Server, run: Run) -> None:
    assert run("-m", "pytest").ret == 1
    assert run("-m", "pytest", "--devmason", "--collect-only").ret == 0
    assert run("-m", "pytest", "--devmason", "--fixtures").ret == 0
    assert server.builds() == []


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize("distribution", ["load", "loadgroup", "worksteal"])
def test_with_xdist_the_session_is_reported_once(server: Server, run: Run, distribution: str) -> None:
    assert run("-m", "pytest", "--devmason", "-n", "2", "--dist", distribution).ret == 1
    assert statuses(server) == EXPECTED
    cases = server.cases()
    assert cases["test_sample.TestClass::test_value[c d]"]["failure"]["type"] == "AssertionError"
    assert cases["test_sample::test_passes"]["stdout"] == "to out\n"


def test_a_worker_that_dies_is_an_error_of_its_case(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_sample="import os\ndef test_dies(): os._exit(9)\ndef test_lives(): pass\n")
    assert run("-m", "pytest", "--devmason", "-n", "1").ret == 1
    assert statuses(server) == {"test_sample::test_dies": "error", "test_sample::test_lives": "passed"}
    assert "crashed" in server.cases()["test_sample::test_dies"]["failure"]["message"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_passed_on_a_rerun_is_flaky_and_what_never_did_has_failed(
    server: Server, run: Run, pytester: pytest.Pytester, workers: str
) -> None:
    pytester.makepyfile(
        test_sample="runs = []\n"
        "def test_flaky():\n    runs.append(1)\n    assert len(runs) > 1\n"
        "def test_fails(): assert False\n"
    )
    assert run("-m", "pytest", "--devmason", "--reruns", "2", "-n", workers).ret == 1
    found = {name: (case["status"], case["retries"]) for name, case in server.cases().items()}
    assert found == {"test_sample::test_flaky": ("flaky", 1), "test_sample::test_fails": ("failed", 2)}
    assert server.cases()["test_sample::test_flaky"]["failure"]["type"] == "AssertionError"


def test_a_case_whose_teardown_breaks_is_an_error_with_both_failures(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_sample="import pytest\n"
        "@pytest.fixture\ndef broken():\n    yield\n    raise RuntimeError('late')\n"
        "def test_passes(broken): pass\n"
        "def test_fails(broken): assert False, 'early'\n"
    )
    assert run("-m", "pytest", "--devmason").ret == 1
    cases = server.cases()
    assert statuses(server) == {"test_sample::test_passes": "error", "test_sample::test_fails": "error"}
    text = cases["test_sample::test_fails"]["failure"]["text"]
    assert "early" in text and "late" in text


def test_what_passes_unexpectedly_says_so(server: Server, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_sample="import pytest\n@pytest.mark.xfail(reason='known')\n"
        "def test_passes(record_property): record_property('a', 'b')\n"
    )
    assert run("-m", "pytest", "--devmason").ret == 0
    (case,) = server.cases().values()
    assert case["status"] == "passed"
    assert {each["name"]: each["value"] for each in case["properties"]} == {"a": "b", "xpass": "known"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_module_that_cannot_be_collected_is_an_error(
    server: Server, run: Run, pytester: pytest.Pytester, workers: str
) -> None:
    pytester.makepyfile(test_broken="import nothing_of_that_name", test_sample="def test_passes(): pass")
    assert run("-m", "pytest", "--devmason", "-n", workers).ret in (1, 2)
    errors = [case for case in server.cases().values() if case["status"] == "error"]
    assert [case["name"] for case in errors] == ["test_broken"]
    assert "nothing_of_that_name" in errors[0]["failure"]["text"]
    assert server.builds()[0]["success"] is False


def test_a_session_that_is_interrupted_is_reported_as_failed(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    ready = pytester.path / "ready"
    pytester.makepyfile(
        test_sample="import time\ndef test_first(): pass\n"
        f"def test_hangs():\n    open({str(ready)!r}, 'w').close()\n    time.sleep(600)\n"
    )
    session = pytester.popen(
        [sys.executable, "-m", "pytest", "--devmason"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell's background job ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not ready.exists():
        assert session.poll() is None
        time.sleep(0.05)
    session.send_signal(signal.SIGINT)
    assert session.wait() == 2
    assert statuses(server) == {"test_sample::test_first": "passed", "test_sample::test_hangs": "error"}
    assert "interrupted" in server.builds()[0]["results"][0]["errout"]
    assert server.builds()[0]["success"] is False


def test_a_session_that_pytest_itself_breaks_off_is_reported_as_failed(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_sample="import pytest\ndef test_first(): pass\ndef test_exits(): pytest.exit('enough', 7)\n"
    )
    assert run("-m", "pytest", "--devmason").ret == 7
    build = server.builds()[0]
    assert build["success"] is False
    assert build["results"][0]["exit_code"] == 7


def test_the_configuration_file_may_ask_for_reports_but_not_say_where_they_go(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_sample="def test_passes(): pass\n")
    pytester.makeini("[pytest]\ndevmason = true\ndevmason_project = pony\ndevmason_tags = one\n")
    assert run("-m", "pytest", DEVMASON_PROJECT="").ret == 0
    assert server.builds()[0]["tags"] == ["one"]
    done = run("-m", "pytest", DEVMASON_SERVER_URL="")
    assert done.ret == 0
    assert "DEVMASON_SERVER_URL" in said(done)[0]


def test_the_command_line_says_which_project_before_all_else(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_sample="def test_passes(): pass\n")
    assert run("-m", "pytest", "--devmason", "--devmason-project", "pony", DEVMASON_PROJECT="zebra").ret == 0
    assert len(server.builds()) == 1


def test_a_case_that_writes_what_is_no_text_is_reported(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_sample="import os\ndef test_writes():\n    os.write(1, b'\\xff\\x00\\x1b[31m')\n"
        "    raise ValueError('\\udcff')\n"
    )
    assert run("-m", "pytest", "--devmason", "-rN", "--tb", "no").ret == 1
    (case,) = server.cases().values()
    assert case["stdout"].endswith("\x00\x1b[31m")
    assert case["failure"]["type"] == "ValueError"


@pytest.mark.usefixtures("sample")
def test_a_fault_of_the_plugin_costs_a_line(server: Server, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from devmason.pytest_cases import CaseCollector\n"
        "def broken(*_): raise RuntimeError('broken')\n"
        "CaseCollector.add_phase = broken\n"
    )
    done = run("-m", "pytest", "--devmason")
    assert done.ret == 1
    assert said(done) == ["devmason: not reported: RuntimeError: broken"]
    assert server.builds() == []

"""The runners of unittest and Django."""

from __future__ import annotations

import re

import pytest
from conftest import Run, Server, said

UNITTEST = """
import sys
import unittest

class TestSample(unittest.TestCase):
    def test_passes(self): print("to out"); print("to err", file=sys.stderr)
    def test_fails(self): self.assertEqual(1, 2, "no")
    def test_errors(self): raise RuntimeError("boom")
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    @unittest.expectedFailure
    def test_unexpected(self): pass
    def test_parts(self):
        for n in range(2):
            with self.subTest(n=n): self.assertEqual(n, 0)
    def test_good_parts(self):
        with self.subTest("one"): pass

class TestTeardown(unittest.TestCase):
    def tearDown(self): raise RuntimeError("late")
    def test_fails(self): self.fail("early")

class TestBroken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no fixture")
    def test_never(self): pass

@unittest.skip("none of these")
class TestSkipped(unittest.TestCase):
    def test_never(self): pass
"""

EXPECTED = {
    "test_sample.TestSample::test_passes": "passed",
    "test_sample.TestSample::test_fails": "failed",
    "test_sample.TestSample::test_errors": "error",
    "test_sample.TestSample::test_skipped": "skipped",
    "test_sample.TestSample::test_expected": "skipped",
    "test_sample.TestSample::test_unexpected": "failed",
    "test_sample.TestSample::test_parts": "failed",
    "test_sample.TestSample::test_parts (n=1)": "failed",
    "test_sample.TestSample::test_good_parts": "passed",
    "test_sample.TestTeardown::test_fails": "error",
    "test_sample.TestBroken::setUpClass": "error",
    "test_sample.TestSkipped::test_never": "skipped",
    "test_module::setUpModule": "error",
    "test_import": "error",
}


def statuses(server: Server) -> dict[str, str]:
    return {name: case["status"] for name, case in server.cases().items()}


def told(run: pytest.RunResult) -> list[str]:
    """Return a run's output without durations and our own lines."""
    lines = [line for line in run.errlines if not line.startswith("devmason: ")]
    return [re.sub(r"\d+\.\d+s", "", line) for line in lines]


def test_a_run_of_unittest_is_one_build_with_its_cases(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_sample=UNITTEST,
        test_module="import unittest\ndef setUpModule(): raise RuntimeError('no module')\n"
        "class TestX(unittest.TestCase):\n    def test_never(self): pass\n",
        test_import="import nothing_of_that_name\n",
    )
    plain = run("-m", "unittest", "discover", "--buffer")
    done = run("-m", "devmason.unittest", "discover", "--buffer")
    assert done.ret == plain.ret == 1
    assert told(done) == told(plain)
    found = statuses(server)
    # Versions differ in whether they report passed subtests.
    assert {name: found[name] for name in found if "n=0" not in name and "[one]" not in name} == EXPECTED
    cases = server.cases()
    passes = cases["test_sample.TestSample::test_passes"]
    assert (passes["stdout"], passes["stderr"]) == ("to out\n", "to err\n")
    assert passes["file"] == "test_sample.py" and passes["line"] and passes["duration"] is not None
    failed = cases["test_sample.TestSample::test_fails"]["failure"]
    assert failed["type"] == "AssertionError" and "1 != 2 : no" in failed["message"]
    assert "test_sample.py" in failed["text"]
    assert cases["test_sample.TestSample::test_skipped"]["failure"]["message"] == "not today"
    late = cases["test_sample.TestTeardown::test_fails"]["failure"]["text"]
    assert "early" in late and "late" in late
    assert "nothing_of_that_name" in cases["test_import"]["failure"]["text"]
    build = server.builds()[0]
    assert build["success"] is False
    assert [step["name"] for step in build["results"]] == ["unittest"]


def test_a_run_of_unittest_succeeds_whether_or_not_the_server_is_there(
    server: Server, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_good="import unittest\nclass T(unittest.TestCase):\n    def test_x(self): pass\n"
    )
    assert run("-m", "devmason.unittest").ret == 0
    assert run("-m", "devmason.unittest", "test_good.T.test_x").ret == 0
    assert [build["success"] for build in server.builds()] == [True, True]
    done = run("-m", "devmason.unittest", DEVMASON_SERVER_URL="http://127.0.0.1:9", DEVMASON_TIMEOUT="1")
    assert done.ret == 0
    assert len(said(done)) == 1


SETTINGS = """
SECRET_KEY = "x"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
INSTALLED_APPS = ["ponies"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
TEST_RUNNER = "devmason.django.DevmasonRunner"
PB_SERVER = {url!r}
PB_PROJECT = "pony"
PB_USER = "alice"
PB_PASS = "secret"
DEVMASON_TAGS = ["django", "nightly"]
"""

MODELS = """
from django.db import models

class Pony(models.Model):
    name = models.CharField(max_length=20)
"""

TESTS = """
from django.test import SimpleTestCase, TestCase
from ponies.models import Pony

class TestFirst(TestCase):
    def test_passes(self):
        print("to out")
        Pony.objects.create(name="a")
        self.assertEqual(Pony.objects.count(), 1)
    def test_fails(self): self.assertEqual(1, 2)

class TestSecond(SimpleTestCase):
    def test_errors(self): raise RuntimeError("boom")
    def test_skipped(self): self.skipTest("not today")
    def test_parts(self):
        for n in range(2):
            with self.subTest(n=n): self.assertEqual(n, 0)

class TestBroken(SimpleTestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no fixture")
    def test_never(self): pass
"""


@pytest.fixture
def ponies(server: Server, pytester: pytest.Pytester) -> dict[str, str]:
    """Create a Django project, and return the environment it needs."""
    pytester.makepyfile(settings=SETTINGS.format(url=server.url))
    app = pytester.mkpydir("ponies")
    (app / "models.py").write_text(MODELS)
    (app / "tests.py").write_text(TESTS)
    return {"DJANGO_SETTINGS_MODULE": "settings", "DEVMASON_SERVER_URL": "", "DEVMASON_PROJECT": ""}


@pytest.mark.parametrize("parallel", ["1", "2"])
def test_djangos_runner_reports_as_the_settings_say(
    server: Server, run: Run, ponies: dict[str, str], parallel: str
) -> None:
    done = run("-m", "django", "test", "--parallel", parallel, **ponies)
    assert done.ret == 1
    (line,) = said(done)
    assert line.startswith("devmason: reported to ")
    found = statuses(server)
    # Django 4.2 attributes a class's error to its last test, if another process ran it.
    broken = [found.pop(name) for name in list(found) if "TestBroken" in name]
    assert broken == ["error"]
    assert {name: found[name] for name in found if "n=0" not in name} == {
        "ponies.tests.TestFirst::test_passes": "passed",
        "ponies.tests.TestFirst::test_fails": "failed",
        "ponies.tests.TestSecond::test_errors": "error",
        "ponies.tests.TestSecond::test_skipped": "skipped",
        "ponies.tests.TestSecond::test_parts": "failed",
        "ponies.tests.TestSecond::test_parts (n=1)": "failed",
    }
    cases = server.cases()
    assert cases["ponies.tests.TestFirst::test_passes"]["duration"] is not None
    assert "1 != 2" in cases["ponies.tests.TestFirst::test_fails"]["failure"]["message"]
    build = server.builds()[0]
    assert build["tags"] == ["django", "nightly"]
    assert build["success"] is False and build["client"]["django"]
    assert any(link["rel"] == "user" and link["href"].endswith("/alice") for link in build["links"])


@pytest.mark.parametrize("parallel", ["1", "2"])
def test_what_a_case_of_django_writes_is_reported(
    server: Server, run: Run, ponies: dict[str, str], parallel: str
) -> None:
    # Not TestBroken: Django itself fails on it with both options.
    classes = ("ponies.tests.TestFirst", "ponies.tests.TestSecond")
    run("-m", "django", "test", "--buffer", "--parallel", parallel, *classes, **ponies)
    assert server.cases()["ponies.tests.TestFirst::test_passes"]["stdout"] == "to out\n"


def test_a_run_of_django_is_what_it_is_when_the_server_is_away(run: Run, ponies: dict[str, str]) -> None:
    ponies.update(DEVMASON_SERVER_URL="http://127.0.0.1:9", DEVMASON_TIMEOUT="1")
    done = run("-m", "django", "test", "ponies.tests.TestFirst.test_passes", **ponies)
    assert done.ret == 0
    assert len(said(done)) == 1


def test_a_run_of_django_that_never_gets_to_its_tests_is_reported_as_failed(
    server: Server, run: Run, pytester: pytest.Pytester, ponies: dict[str, str]
) -> None:
    pytester.path.joinpath("settings.py").write_text(
        SETTINGS.format(url=server.url).replace('":memory:"', '"/nowhere/x", "TEST": {"NAME": "/nowhere/y"}')
    )
    assert run("-m", "django", "test", "--noinput", **ponies).ret != 0
    (build,) = server.builds()
    assert build["success"] is False
    assert "OperationalError" in build["results"][0]["errout"]

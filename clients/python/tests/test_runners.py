"""The runners of unittest and Django."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run, Server

UNITTEST = """
import unittest

class TestSample(unittest.TestCase):
    def test_passes(self): pass
    def test_fails(self): self.assertEqual(1, 2, "no")
    def test_errors(self): raise RuntimeError("boom")
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    def test_parts(self):
        for n in range(2):
            with self.subTest(n=n): self.assertEqual(n, 0)

class TestBroken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no fixture")
    def test_never(self): pass
"""


def statuses(server: Server) -> dict[str, str]:
    return {name: case["status"] for name, case in server.cases().items()}


def test_a_run_of_unittest_is_one_build_with_its_cases(server: Server, run: Run, tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(UNITTEST)
    plain = run("-m", "unittest", "discover")
    done = run("-m", "devmason.unittest", "discover")
    assert done.returncode == plain.returncode == 1
    found = statuses(server)
    prefix = "test_sample.TestSample::"
    assert found[f"{prefix}test_passes"] == "passed"
    assert found[f"{prefix}test_fails"] == "failed"
    assert found[f"{prefix}test_errors"] == "error"
    assert found[f"{prefix}test_skipped"] == found[f"{prefix}test_expected"] == "skipped"
    assert found[f"{prefix}test_parts (n=1)"] == "failed"
    assert found["test_sample.TestBroken::setUpClass"] == "error"
    assert server.builds()[0]["success"] is False


SETTINGS = """
SECRET_KEY = "x"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
TEST_RUNNER = "devmason.django.DevmasonRunner"
PB_SERVER = {url!r}
PB_PROJECT = "pony"
PB_USER = "alice"
PB_PASS = "secret"
"""

DJANGO = """
from django.test import SimpleTestCase

class TestFirst(SimpleTestCase):
    def test_passes(self): pass
    def test_fails(self): self.assertEqual(1, 2)

class TestSecond(SimpleTestCase):
    def test_errors(self): raise RuntimeError("boom")
    def test_skipped(self): self.skipTest("not today")
"""


@pytest.mark.parametrize("arguments", [(), ("--parallel", "2")])
def test_djangos_runner_reports_as_the_settings_say(
    server: Server, run: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "settings.py").write_text(SETTINGS.format(url=server.url))
    (tmp_path / "tests.py").write_text(DJANGO)
    done = run(
        "-m",
        "django",
        "test",
        *arguments,
        DJANGO_SETTINGS_MODULE="settings",
        DEVMASON_SERVER_URL="",
        DEVMASON_PROJECT="",
    )
    assert done.returncode == 1, done.stderr
    assert statuses(server) == {
        "tests.TestFirst::test_passes": "passed",
        "tests.TestFirst::test_fails": "failed",
        "tests.TestSecond::test_errors": "error",
        "tests.TestSecond::test_skipped": "skipped",
    }
    build = server.builds()[0]
    assert any(link["rel"] == "user" and link["href"].endswith("/alice") for link in build["links"])

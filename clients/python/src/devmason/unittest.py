"""The unittest runner: ``python -m devmason.unittest`` in place of ``python -m unittest``.

It accepts the same arguments, prints the same output and exits with the same code, and reports
the run afterwards.
"""

from __future__ import annotations

import traceback
import unittest
from typing import Any, Optional

from .settings import Settings, load
from .unittest_result import Collector, ReportedRun, collecting


class DevmasonTestRunner(unittest.TextTestRunner):
    """A ``TextTestRunner`` that reports each run as a build with one step, ``unittest``."""

    def __init__(self, *arguments: Any, devmason_settings: Optional[Settings] = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._settings = devmason_settings

    def run(self, test: Any) -> Any:
        """Run the tests, report them, and return the result."""
        collector = Collector()
        runner: Any = self
        base = runner.resultclass
        reported = ReportedRun(self._settings or load(), "unittest", collector)
        runner.resultclass = collecting(base, collector)
        try:
            result = super().run(test)
            reported.step.success = result.wasSuccessful()
            return result
        except BaseException:
            # Ctrl-C, or a result that broke: the results so far are reported.
            reported.step.errout = traceback.format_exc()
            raise
        finally:
            runner.resultclass = base
            reported.end()


def main() -> None:
    """Run like ``python -m unittest``."""
    unittest.main(module=None, testRunner=DevmasonTestRunner)


if __name__ == "__main__":
    import sys

    # Shown in the usage message.
    sys.argv[0] = "python -m devmason.unittest"
    main()

"""The unittest runner: ``python -m devmason.unittest`` in the place of ``python -m unittest``.

It takes the same arguments, writes the same, and exits with the same code; then the run is reported.
"""

from __future__ import annotations

import traceback
import unittest
from typing import Any, Optional

from .model import Step
from .settings import Settings, load
from .unittest_result import Collector, collecting, report_run


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
        step = Step("unittest", success=False)
        runner.resultclass = collecting(base, collector)
        try:
            result = super().run(test)
            step.success = result.wasSuccessful()
            return result
        except BaseException:
            # Ctrl-C, or a result that broke: what is known by now is reported.
            step.errout = traceback.format_exc()
            raise
        finally:
            runner.resultclass = base
            report_run(self._settings or load(), collector, step)


def main() -> None:
    """Run as ``python -m unittest`` does."""
    unittest.main(module=None, testRunner=DevmasonTestRunner)


if __name__ == "__main__":
    import sys

    # What the usage message shows.
    sys.argv[0] = "python -m devmason.unittest"
    main()

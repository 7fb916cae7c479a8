import logging
import re

from odoo.tests import HttpCase, tagged
from odoo.tools import file_open

from odoo.addons.web.tests.test_js import RE_FORBIDDEN_STATEMENTS, unit_test_error_checker

SUITE = "@pos_loyalty_engine"


class _Console(logging.Handler):
    """Keeps what the browser's console said, and takes nothing from whoever else listens."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


@tagged("post_install", "-at_install", "slow")
class TestHoot(HttpCase):
    """The unit tests of the till's code, in a headless browser."""

    def test_unit(self):
        # Only the console tells how many ran: a suite without a test succeeds as well.
        console = _Console()
        log = self._logger.getChild("browser")
        self.addCleanup(log.setLevel, log.level)
        self.addCleanup(log.removeHandler, console)
        log.setLevel(logging.INFO)
        log.addHandler(console)
        try:
            self.browser_js(
                "/web/tests?headless&loglevel=2&preset=desktop&timeout=15000"
                f"&id={self._hoot_id(SUITE)}",
                "",
                "",
                login="admin",
                timeout=600,
                success_signal="[HOOT] Test suite succeeded",
                error_checker=unit_test_error_checker,
            )
        except AssertionError as error:
            # Odoo says only that some failed; which, stands somewhere in a very long log.
            failed = [text for text in console.said if re.match(r'\[HOOT\] Test ".*" failed', text)]
            self.fail("\n\n".join(failed) or f"{error}")
        passed = re.search(r"Passed (\d+) tests", "\n".join(console.said))
        self.assertTrue(passed, "Hoot did not say how many tests passed.")
        self.assertGreater(int(passed.group(1)), 0, "Hoot ran no test of ours.")

    def test_all_tests_run(self):
        """No test is singled out: the others would not run."""
        paths = self.env["ir.asset"]._get_asset_paths("web.assets_unit_tests", {})
        tests = [
            path for path, *_rest in paths if re.search(r"pos_loyalty_engine/.*\.test\.js$", path)
        ]
        self.assertTrue(tests)
        for path in tests:
            with file_open(path.lstrip("/")) as source:
                self.assertIsNone(RE_FORBIDDEN_STATEMENTS.search(source.read()), path)

    @staticmethod
    def _hoot_id(name):
        """The id by which Hoot addresses a suite."""
        value = 0
        for char in name:
            value = ((value << 5) - value + ord(char)) & 0xFFFFFFFF
        return f"{value:08x}"

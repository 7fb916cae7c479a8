"""pytest plugin of bin/test for two processes: the tours and the unit tests of the browser, which
wait for what is drawn, go one after the other in one of them; any other class stays together."""

from unittest.mock import patch

import pytest

BROWSER_MODULES = ("test_hoot", "test_tours")


def _is_browser(item):
    return item.path.stem.startswith(BROWSER_MODULES)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    # They take longest, and come first.
    items.sort(key=lambda item: not _is_browser(item))
    for item in items:
        group = "browser" if _is_browser(item) else item.nodeid.rsplit("::", 1)[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def _stored_files_stay(load_registry):
    """After each class Odoo sweeps files away that no record has. The processes share a folder of
    files, and neither sees which ones the other has in its transaction."""
    from odoo.tests import TransactionCase

    with patch.object(TransactionCase, "_gc_filestore"):
        yield

"""pytest plugin of bin/test for several processes. A class stays in one of them; the tours, which
wait for what is drawn, all go one after the other in the same one."""

from unittest.mock import patch

import pytest
from xdist.scheduler import LoadScopeScheduling

# What takes longest comes first.
FIRST = TOURS, UNITS = "test_tours", "test_hoot"


class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        return TOURS if f"/{TOURS}" in nodeid else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: [not item.path.stem.startswith(stem) for stem in FIRST])


@pytest.fixture(scope="session", autouse=True)
def _stored_files_stay(load_registry):
    """After each class Odoo sweeps files away that no record has. The processes share a folder of
    files, and neither sees which ones the other has in its transaction."""
    from odoo.tests import TransactionCase

    with patch.object(TransactionCase, "_gc_filestore"):
        yield

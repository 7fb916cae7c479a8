"""pytest plugin of bin/test for two processes: the classes that take long come first, so that
neither process is left with a long one at the end."""

import pytest

# Odoo's tags of what runs in a browser, or does thousands of things.
LONG = {"tour", "slow"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not LONG & getattr(item.cls, "test_tags", set()))

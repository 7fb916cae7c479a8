"""Waits of the module, shortened: what takes a day in a shop may take seconds here.

Their order stays: a process counts as dead after every limit of its own, and a request is late for
longer than that.
"""

import importlib
from datetime import timedelta

MODELS = "odoo.addons.pos_loyalty_engine.models"


def install(waits):
    """Set constants of the module.

    :param waits: dict of ``file.NAME`` to a number, or a list of numbers; a timedelta's in seconds
    """
    for path, value in waits.items():
        file, name = path.split(".")
        module = importlib.import_module(f"{MODELS}.{file}")
        old = getattr(module, name)
        if isinstance(old, timedelta):
            value = timedelta(seconds=value)
        elif isinstance(old, tuple):
            value = tuple(value)
        setattr(module, name, value)

"""Odoo's command line as a file, with the drill's hooks in the module.

``DRILL_HOOKS`` has, as JSON: ``kills`` and ``refusals`` (folders, see ``kills.py`` and
``refusals.py``), ``waits`` (see ``waits.py``) and ``without`` (names of ``without.py``).
"""

import importlib
import json
import logging
import os
import sys
from pathlib import Path

MODULE = "pos_loyalty_engine"
RECOVERY = f"odoo.addons.{MODULE}.models.loyalty_engine_recovery"


def hook(name, *arguments):
    """Let ``install`` of a file of this folder change the loaded module."""
    importlib.import_module(name).install(*arguments)


def install():
    wanted = json.loads(os.environ["DRILL_HOOKS"])
    # How long each piece of its work takes.
    logging.getLogger(RECOVERY).setLevel(logging.DEBUG)
    hook("waits", wanted["waits"])
    hook("without", wanted["without"])
    hook("refusals", Path(wanted["refusals"]))
    # Last, so that kills come around what the others have changed.
    hook("kills", Path(wanted["kills"]))


def main():
    from odoo.cli import main as run_odoo
    from odoo.modules import loading

    load = loading.load_openerp_module

    def load_and_hook(name):
        load(name)
        if name == MODULE:
            install()

    loading.load_openerp_module = load_and_hook
    warm_up_before_forks()
    run_odoo()


def warm_up_before_forks():
    """Let the process that forks the workers know what each of them would find out by itself: so
    many are killed here that most of the time would go into that."""
    from odoo import api
    from odoo.modules.registry import Registry
    from odoo.service import server

    preload = server.preload_registries

    def preload_and_warm_up(names):
        code = preload(names)
        for name in names:
            with Registry(name).cursor() as cr:
                api.Environment(cr, api.SUPERUSER_ID, {})["ir.http"].routing_map()
        return code

    server.preload_registries = preload_and_warm_up


if __name__ == "__main__":
    # This file's own folder goes last: its names are nobody else's to find.
    sys.path.append(sys.path.pop(0))
    main()

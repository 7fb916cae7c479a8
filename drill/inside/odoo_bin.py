"""Odoo's command line as a file, with the drill's hooks in the module.

``DRILL_HOOKS`` has, as JSON: ``kills`` (a folder, see ``kills.py``), ``waits`` (see ``waits.py``)
and ``without`` (names of ``without.py``).
"""

import importlib
import json
import os
import sys
from pathlib import Path

MODULE = "pos_loyalty_engine"


def hook(name, *arguments):
    """Let ``install`` of a file of this folder change the loaded module."""
    importlib.import_module(name).install(*arguments)


def install():
    wanted = json.loads(os.environ["DRILL_HOOKS"])
    hook("waits", wanted["waits"])
    hook("without", wanted["without"])
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
    run_odoo()


if __name__ == "__main__":
    # This file's own folder goes last: its names are nobody else's to find.
    sys.path.append(sys.path.pop(0))
    main()

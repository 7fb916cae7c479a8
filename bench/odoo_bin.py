"""Odoo's command line as a file.

With ``--workers`` Odoo starts the file that it was started from a second time, for long polls; it
can't do that with ``python -m odoo``.
"""

import sys

if __name__ == "__main__":
    # This file's own folder, which is nobody else's package.
    sys.path.pop(0)
    from odoo.cli import main

    main()

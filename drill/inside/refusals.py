"""A connection that is refused: a file in a folder names a text, and the first request that has it
in its body goes to a port where nobody listens.

No fault of the sandbox can do that: who reads a request has taken its connection.
"""

import contextlib
import os
from dataclasses import replace

#: The discard port, closed everywhere.
NOBODY_LISTENS = "http://127.0.0.1:9"


def install(folder):
    from odoo.addons.pos_loyalty_engine.engine import transport

    line = transport._Line
    send = line.send

    def send_or_be_refused(self, request, deadline):
        for name in os.listdir(folder):
            if name.encode() in (request.body or b""):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(folder / name)
                    request = replace(request, url=NOBODY_LISTENS)
        return send(self, request, deadline)

    line.send = send_or_be_refused

"""``python -m sandbox``: start the sandbox on this machine."""

import argparse
import contextlib
import ipaddress
import signal
import sys
import threading
from pathlib import Path

from . import options
from .app import Sandbox
from .server import PortInUse, bind, make_server
from .store import Store, StoreError, default_path


def loopback(text: str) -> str:
    """An address of this machine alone."""
    host = "127.0.0.1" if text == "localhost" else text
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if local:
        return host
    raise argparse.ArgumentTypeError(f"{text} is not a loopback address such as 127.0.0.1")


def port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A Loyalty Engine to run on one's own machine. See sandbox/README.md.",
    )
    parser.add_argument("--host", type=loopback, default="127.0.0.1", help="[127.0.0.1]")
    parser.add_argument("--port", type=port, default=8071, help="0 picks a free one [8071]")
    parser.add_argument(
        "--data", type=Path, default=default_path(), metavar="FILE", help="[%(default)s]"
    )
    parser.add_argument("--reset", action="store_true", help="start over with the demo data")
    readings = parser.add_argument_group("readings: what the public sources leave open")
    options.add_arguments(readings)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    chosen = read_arguments(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        try:
            # The port first: a start that fails must not have emptied the data before.
            listener = stack.enter_context(bind(chosen.host, chosen.port))
            store = stack.enter_context(
                contextlib.closing(Store(chosen.data.expanduser(), chosen.reset))
            )
            app = Sandbox(store, options.from_arguments(chosen))
            stack.callback(app.close)
        except (StoreError, PortInUse, options.OptionError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
        server = make_server(listener, app)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
        sys.stdout.write(f"Loyalty Engine sandbox on http://{host}:{server.port}\n")
        sys.stdout.flush()
        stop.wait()
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())

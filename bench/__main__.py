"""``python -m bench``: see ``bin/bench --help``."""

import argparse
import os
import signal
import sys

from . import identify, report, sale, spend, start
from .servers import BenchError

BENCHES = {
    "report": report,
    "identify": identify,
    "start": start,
    "sale": sale,
    "spend": spend,
}


def main():
    """The exit code: 0 all bounds hold, 1 one is broken, 3 it could not be measured."""
    parser = argparse.ArgumentParser(prog="bin/bench")
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, bench in BENCHES.items():
        description = bench.__doc__.strip()
        bench.add_arguments(
            commands.add_parser(
                name,
                help=description.splitlines()[0],
                description=description,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    arguments = parser.parse_args()
    # An end from outside is an end like any other: everything that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    if load > 1:
        print(f"This machine is busy (load {load:.1f}): measure again when it isn't.")
    try:
        broken = BENCHES[arguments.bench].run(arguments)
    except BenchError as error:
        print(f"\nbin/bench: {error}", file=sys.stderr)
        return 3
    if broken:
        print(f"\nBroken: {', '.join(broken)}.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m drill``: see ``bin/drill --help``."""

import argparse
import collections
import os
import queue
import random
import signal
import sys
import threading
import time

from bench.figures import Table
from bench.servers import BenchError

from .books import Books, Findings
from .inside.kills import places
from .plan import BUSY_ELSEWHERE, POINTS_AT_FIRST, make_plan
from .stage import Stage, Weather
from .till import Till

SHOWN = 15


def main():
    """The exit code: 0 every promise was kept, 1 one was broken, 3 it could not be tried."""
    parser = argparse.ArgumentParser(prog="bin/drill", description=__doc__)
    parser.add_argument("--sales", type=int, default=300, metavar="N", help="[%(default)s]")
    parser.add_argument("--tills", type=int, default=6, metavar="N", help="[%(default)s]")
    parser.add_argument("--seed", type=int, metavar="N", help="of an earlier run, to replay it")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="NAME", help="protections that are off"
    )
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(10**6)
    # An end from outside is an end like any other: everything that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    print(f"Seed {arguments.seed}, load {load:.1f}.")
    try:
        clean = run(arguments)
    except BenchError as error:
        print(f"\nbin/drill: {error}", file=sys.stderr)
        return 3
    if not clean:
        print(f"\nA promise is broken. To replay it: bin/drill --seed {arguments.seed}", end="")
        print(f" --sales {arguments.sales} --tills {arguments.tills}")
    return 0 if clean else 1


def run(arguments):
    """:return: whether every promise was kept"""
    plan = make_plan(arguments.seed, arguments.sales, places())
    with Stage(arguments.tills, arguments.without) as stage:
        members = stage.add_members(plan.members)
        vouchers = [stage.add_voucher(members[one.member], one.reward) for one in plan.vouchers]
        pure = {
            members[number]: POINTS_AT_FIRST[plan.members[number]] for number in plan.pure_members
        }
        busy = [members[n] for n, kind in enumerate(plan.members) if kind == BUSY_ELSEWHERE]
        begin = time.monotonic()
        with Weather(stage, plan.seed, busy):
            sold = sell(stage, plan, members, vouchers)
        selling = time.monotonic() - begin
        begin = time.monotonic()
        stage.settle()
        found = Books(stage, sold, pure).compare()
        tell(plan, sold, found, selling, time.monotonic() - begin)
    return found.is_clean


def sell(stage, plan, members, vouchers):
    """Sell everything, at all tills side by side; :return: list of Sold"""
    waiting = queue.SimpleQueue()
    for sale in plan.sales:
        waiting.put(sale)
    sold, errors = [], []

    def work(number):
        try:
            till = Till(stage, number, members, vouchers)
            while not errors:
                sale = waiting.get_nowait()
                time.sleep(sale.pause)
                sold.append(till.sell(sale))
        except queue.Empty:
            return
        except Exception as error:  # told by the main thread
            errors.append(error)
            raise

    tills = [
        threading.Thread(target=work, args=(number,)) for number in range(len(stage.shop["tills"]))
    ]
    for till in tills:
        till.start()
    for till in tills:
        till.join()
    if errors:
        raise BenchError(f"A till failed: {errors[0]!r}") from errors[0]
    return sold


def tell(plan, sold, found, selling, settling):
    table = Table(f"{len(plan.sales)} sales, seed {plan.seed}")
    table.row("selling", selling, "s")
    table.row("until everything was at rest", settling, "s")
    for state, count in sorted(collections.Counter(one.state for one in sold).items()):
        table.row(f"sales: {state}", count)
    table.row("of them with something spent", sum(bool(one.carried) for one in sold))
    for where, count in sorted(
        collections.Counter(sale.mishap.where for sale in plan.sales if sale.mishap).items()
    ):
        table.row(f"mishaps: {where}", count)
    table.row("longest wait for the step that spends", max(one.waited for one in sold), "s")
    for kind, count in sorted(collections.Counter(kind for kind, _ in found.flagged).items()):
        table.row(f"told to a person: {kind}", count)
    for column in Findings.COLUMNS:
        table.row(column, len(found.by_column[column]), most=0)
        for text in found.by_column[column][:SHOWN]:
            table.note(f"  {text}")


if __name__ == "__main__":
    sys.exit(main())

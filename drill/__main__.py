"""Sells on a real Odoo with everything going wrong, and compares three books afterwards.

Seeded random sales at several tills, each with a mishap of its own: the engine drops, delays,
refuses or garbles a request, an Odoo process is killed at a write, a till is gone or does things
twice. Beside them directed stories, which random faults hardly ever tell. Then all faults are taken
off, and when everything has come to rest Odoo's orders, the ledger and the engine's events are held
against each other.

Exit code 0: every promise was kept; 1: one was broken, with the seed to replay it; others: it could
not be tried.
"""

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

from . import directed
from .books import MOST_IN_STATE, Findings, compare
from .inside.kills import places
from .inside.without import PROTECTIONS
from .mutations import check_mutations, proven
from .plan import BUSY_ELSEWHERE, POINTS_AT_FIRST, make_plan
from .stage import Stage, Weather
from .till import Till

SALES = 300
SHOWN = 15
#: Seconds between two lines that say how far it is.
TELL_EVERY = 30


def main():
    """The exit code."""
    arguments = parse()
    if arguments.list:
        print("\n".join(directed.STORIES))
        return 0
    # An end from outside is an end like any other: everything that was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"Seed {arguments.seed}; load of this machine {os.getloadavg()[0]:.1f}.")
    try:
        clean = run(arguments)
    except BenchError as error:
        print(f"\nbin/drill: {error}", file=sys.stderr)
        return 3
    if not clean:
        again = f"--seed {arguments.seed} --tills {arguments.tills}"
        if arguments.sales is not None:
            again += f" --sales {arguments.sales}"
        if arguments.mutations is not None:
            again += f" --mutations {' '.join(arguments.mutations)}"
        print(f"\nA promise is broken. To replay it: bin/drill {again}")
    return 0 if clean else 1


def parse():
    parser = argparse.ArgumentParser(
        prog="bin/drill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sales", type=int, metavar="N", help=f"[{SALES}]")
    parser.add_argument("--tills", type=int, default=10, metavar="N", help="[%(default)s]")
    parser.add_argument("--seed", type=int, metavar="N", help="of an earlier run, to replay it")
    parser.add_argument(
        "--stories", nargs="*", metavar="NAME", help="these alone; none: only random sales [all]"
    )
    parser.add_argument("--list", action="store_true", help="the names of the stories")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="NAME", help="protections that are off"
    )
    parser.add_argument(
        "--mutations",
        nargs="*",
        metavar="NAME",
        help="switch protections off in turn, these, or as many as a number says, or all: the drill"
        " must find the damage; sells only where --sales says so",
    )
    arguments = parser.parse_args()
    if arguments.tills < 2:
        parser.error("at least two tills are needed: one that has points as a payment, and another")
    if arguments.sales is None and arguments.mutations is None:
        arguments.sales = SALES
    if arguments.stories is None:
        arguments.stories = [name for name, tell in directed.STORIES.items() if not tell.is_long]
    if unknown := set(arguments.stories) - set(directed.STORIES):
        parser.error(f"there is no story {', '.join(map(repr, unknown))}: see --list")
    if unknown := set(arguments.without) - set(PROTECTIONS):
        parser.error(f"there is no protection {', '.join(unknown)}: {', '.join(PROTECTIONS)}")
    if unknown := {name for name in arguments.mutations or () if not name.isdigit()} - proven():
        parser.error(f"there is no mutation {', '.join(unknown)}: {', '.join(sorted(proven()))}")
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(10**6)
    return arguments


def run(arguments):
    """:return: whether every promise was kept"""
    is_clean = True
    with Stage(arguments.tills, arguments.without) as stage:
        if arguments.sales is not None:
            is_clean = drill(stage, arguments)
        if arguments.mutations is not None:
            is_clean = check_mutations(stage, arguments.mutations, arguments.seed) and is_clean
    return is_clean


def drill(stage, arguments):
    """Tell the stories, sell, and compare; :return: whether every promise was kept"""
    plan = make_plan(arguments.seed, arguments.sales, places())
    begin = time.monotonic()
    tellers = directed.tell_all(stage, arguments.stories)
    told = time.monotonic() - begin
    members = stage.add_members(plan.members)
    vouchers = [
        stage.add_voucher(members[one.member], one.reward) if one.reward else stage.add_own_code()
        for one in plan.vouchers
    ]
    busy = [members[n] for n, kind in enumerate(plan.members) if kind == BUSY_ELSEWHERE]
    begin, before = time.monotonic(), stage.processor_seconds()
    with Weather(stage, plan.seed, busy):
        sold, answers = sell(stage, plan, members, vouchers)
    selling = time.monotonic() - begin
    taken = {who: seconds - before[who] for who, seconds in stage.processor_seconds().items()}
    begin = time.monotonic()
    stage.settle()
    pure = {members[n]: POINTS_AT_FIRST[plan.members[n]] for n in plan.pure_members}
    found = compare(stage, sold, pure, tellers)
    tell(plan, sold, tellers, answers, found, told, selling, taken, time.monotonic() - begin)
    return found.is_clean


def sell(stage, plan, members, vouchers):
    """Sell everything, at all tills side by side.

    :return: (list of Sold, Counter of what tills were told)
    """
    waiting = queue.SimpleQueue()
    for sale in plan.sales:
        waiting.put(sale)
    sold, errors, answers = [], [], collections.Counter()

    def work(ids):
        try:
            till = Till(stage, ids)
            try:
                while not errors:
                    sale = waiting.get_nowait()
                    time.sleep(sale.pause)
                    sold.append(till.sell(sale, members, vouchers))
            finally:
                answers.update(till.answers)
        except queue.Empty:
            return
        except Exception as error:  # told by the main thread
            errors.append(error)
            raise

    tills = [threading.Thread(target=work, args=(ids,)) for ids in stage.shop["tills"]]
    for till in tills:
        till.start()
    told_at = time.monotonic()
    while any(till.is_alive() for till in tills):
        time.sleep(0.2)
        if time.monotonic() - told_at >= TELL_EVERY:
            told_at = time.monotonic()
            print(f"  {len(sold)} of {len(plan.sales)} sold", flush=True)
    if errors:
        raise BenchError(f"A till failed: {errors[0]!r}") from errors[0]
    return sold, answers


def tell(plan, sold, tellers, answers, found, told, selling, taken, settling):
    table = Table(f"{len(plan.sales)} sales, seed {plan.seed}")
    table.row("directed stories", told, "s")
    for teller in tellers:
        table.row(f"  {teller.name[:40]}", teller.seconds, "s")
    table.row("selling", selling, "s")
    for who, seconds in taken.items():
        table.row(f"  processor time of {who}", 1000 * seconds / max(len(sold), 1), "ms a sale")
    table.row("until everything was at rest", settling, "s")
    for state, count in sorted(collections.Counter(one.state for one in sold).items()):
        table.row(f"sales: {state}", count)
    table.row("of them with something spent", sum(bool(one.carried) for one in sold))
    mishaps = (sale.mishap for sale in plan.sales if sale.mishap)
    for (where, name), count in sorted(
        collections.Counter((mishap.where, mishap.name) for mishap in mishaps).items()
    ):
        table.row(f"mishap: {where}, {name}", count)
    for (route, status), count in sorted(answers.items()):
        table.row(f"{route}: {status}", count)
    longest = max((one.waited for one in sold), default=0)
    table.row("longest wait for the step that spends", longest, "s")
    for state, seconds in sorted(found.longest.items()):
        most = MOST_IN_STATE.get(state)
        table.row(f"longest stay: {state}", seconds, "s", most=most)
    for kind, count in sorted(collections.Counter(kind for kind, _ in found.flagged).items()):
        table.row(f"told to a person: {kind}", count)
    tell_findings(table, found)


def tell_findings(table, found):
    for column in Findings.COLUMNS:
        table.row(column, len(found.by_column[column]), most=0)
        for text in found.by_column[column][:SHOWN]:
            table.note(f"  {text}")


if __name__ == "__main__":
    sys.exit(main())

"""What identifying a member adds to the engine's own time.

Real calls of ``/pos_loyalty_engine/identify`` by logged-in cashiers on ``odoo --workers 2``, and
real scans in Chromium, from the scanner's Enter to the member's name on the screen. What the engine
has been busy with, by its own log, is taken off: the rest is ours, with the network in between.
Members are identified by the engine's id (member and wallet in one round trip) and by their account
number (two), half of them are linked to a customer.
"""

import json
import random
import time

from . import customers, engines
from .browser import Browser
from .figures import Table, median, percentile
from .servers import BenchError, Cashier, Database, OdooServer, SandboxProcess, wait_until
from .till import Till

P50_MOST = 60  # milliseconds
P95_MOST = 150
LATENCIES = (0, 0.1)  # seconds
# A cashier may look up 60 members a minute: each asks less often than that here.
PER_CASHIER = 40
WARM_UP = 8
CODES = ("engine id", "account number")


def add_arguments(parser):
    parser.add_argument("--members", type=int, default=1000, metavar="N", help="[%(default)s]")
    parser.add_argument(
        "--calls", type=int, default=160, metavar="N", help="for each latency [%(default)s]"
    )
    parser.add_argument(
        "--scans", type=int, default=40, metavar="N", help="for each latency [%(default)s]"
    )
    parser.add_argument("--no-browser", action="store_true", help="the server alone")


def run(arguments):
    """The names of the bounds that are broken."""
    broken = []
    tills = 0 if arguments.no_browser else -(-arguments.scans // PER_CASHIER)
    cashiers = len(LATENCIES) * (-(-(arguments.calls + WARM_UP) // PER_CASHIER) + tills)
    with SandboxProcess() as sandbox, Database("shop") as database:
        members = sandbox.add_members(arguments.members)
        shop = database.in_odoo(
            "make", cashiers=cashiers, products=200, connection=engines.connection(sandbox)
        )
        customers.add(
            database,
            [(m["id"], m["accountNumber"], m["authIdentifier"]) for m in members[::2]],
        )
        with OdooServer(database, workers=2, cron_threads=1) as odoo:
            desk = Desk(sandbox, odoo, shop, members)
            for latency in LATENCIES:
                broken += desk.call(latency, arguments.calls)
            if tills:
                with Browser() as browser:
                    for latency in LATENCIES:
                        broken += desk.scan(browser, latency, arguments.scans)
    return broken


class Desk:
    """Where members are identified."""

    def __init__(self, sandbox, odoo, shop, members):
        self._sandbox = sandbox
        self._odoo = odoo
        self._shop = shop
        self._logins = iter(shop["cashiers"])
        # Always the same ones.
        self._members = random.Random(1).sample(members, len(members))
        self._seen = 0

    def call(self, latency, count):
        table = Table(f"Server: {count} look-ups, the engine answers after {latency * 1000:.0f} ms")
        self._set_latency(latency)
        spent = {kind: [] for kind in CODES}
        cashier = None
        for number in range(-WARM_UP, count):
            if (number + WARM_UP) % PER_CASHIER == 0:
                cashier = Cashier(self._odoo, next(self._logins))
            kind = CODES[number % 2]
            member = self._next_member()
            self._read_engine_time()
            answer, milliseconds = cashier.timed_call(
                "/pos_loyalty_engine/identify",
                config_id=self._shop["config_id"],
                session_id=self._shop["session_id"],
                code=_code(member, kind),
            )
            if answer["status"] != "found":
                raise BenchError(f"A member was not identified: {json.dumps(answer)}")
            engine = self._read_engine_time()
            if number >= 0:
                spent[kind].append((milliseconds, engine))
        _tell(table, spent)
        return table.broken

    def scan(self, browser, latency, count):
        table = Table(
            f"Browser: {count} scans, the engine answers after {latency * 1000:.0f} ms,"
            " from the scan to the name"
        )
        self._set_latency(latency)
        spent = {kind: [] for kind in CODES}
        for first in range(0, count, PER_CASHIER):
            cashier = Cashier(self._odoo, next(self._logins))
            with browser.page(self._odoo, cashier) as page:
                till = Till(page, self._odoo, self._shop["config_id"])
                till.start()
                till.wait_for_pictures()
                for number in range(first - 2, min(first + PER_CASHIER, count)):
                    kind = CODES[number % 2]
                    member = self._next_member()
                    # Closer together than customers ever are, but one is done before the next.
                    time.sleep(0.5)
                    self._read_engine_time()
                    milliseconds = till.scan(_code(member, kind), _name(member))
                    engine = self._read_engine_time()
                    if number >= first:
                        spent[kind].append((milliseconds, engine))
        _tell(table, spent)
        return table.broken

    def _next_member(self):
        member = self._members.pop()
        self._members.insert(0, member)
        return member

    def _set_latency(self, latency):
        rules = [{"kind": "latency", "seconds": latency}] if latency else []
        self._sandbox.faults(*rules)

    def _read_engine_time(self):
        """Milliseconds in which the engine was busy with an answer since the last reading."""
        requests = []

        def are_answered():
            requests[:] = self._sandbox.requests(after=self._seen)
            return all(request["ms"] is not None for request in requests)

        wait_until(are_answered, "the engine had answered", 10, pause=0.01)
        self._seen = max([self._seen, *(request["id"] for request in requests)])
        spans = sorted(
            (begin, begin + request["ms"])
            for request in requests
            for begin in [engines.milliseconds(request["arrivedAt"])]
        )
        busy, until = 0.0, 0.0
        for begin, end in spans:
            busy += max(0.0, end - max(begin, until))
            until = max(until, end)
        return busy


def _code(member, kind):
    return member["id"] if kind == "engine id" else member["accountNumber"]


def _name(member):
    return f"{member['givenName']} {member['familyName']}"


def _tell(table, spent):
    for kind, pairs in spent.items():
        added = [milliseconds - engine for milliseconds, engine in pairs]
        table.row(f"{kind}: all, p50", median([pair[0] for pair in pairs]), "ms")
        table.row(f"{kind}: the engine, p50", median([pair[1] for pair in pairs]), "ms")
        table.row(f"{kind}: added, p50", median(added), "ms", most=P50_MOST)
        table.row(f"{kind}: added, p95", percentile(added, 0.95), "ms", most=P95_MOST)

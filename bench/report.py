"""How fast waiting reports leave, and that each arrives exactly once.

Real ``odoo --workers 2 --max-cron-threads 2`` against the sandbox engine, whose every answer takes
20 ms:
  1. sales are paid, one after the other, as a till does it: how long until their event is there;
  2. many reports wait: how many leave in a second, none twice, none lost, none refused with 429;
  3. fewer wait, and the process that sends is killed in the middle of a batch.
"""

import collections
import json
import time
import uuid
from datetime import datetime, timezone

from . import engines
from .figures import Table, median, percentile
from .servers import (
    STOP_LIMIT,
    BenchError,
    Cashier,
    Database,
    OdooServer,
    SandboxProcess,
    wait_until,
)

LATENCY = 0.02  # seconds
LEAST_PER_SECOND = 55
MOST_PER_SECOND = 100  # the engine's own limit (D-REWARDS)
# A job whose process was killed is taken up when a job process looks next: within 70 s.
CRON_LOOKS_AFTER = 70
LATE_AFTER = 5


def add_arguments(parser):
    parser.add_argument("--reports", type=_count, default=5000, help="that wait [%(default)s]")
    parser.add_argument("--sales", type=_count, default=30, help="paid one by one [%(default)s]")
    parser.add_argument(
        "--killed", type=_count, default=1000, help="that wait at the kill [%(default)s]"
    )
    parser.add_argument("--kill", action="store_true", help="only the round with the kill")


def _count(text):
    number = int(text)
    if not 3 <= number <= 100_000:
        raise ValueError(text)
    return number


def run(arguments):
    """The names of the bounds that are broken."""
    broken = []
    with SandboxProcess() as sandbox, Database("shop") as database:
        shop = database.in_odoo(
            "make", cashiers=1, products=3, connection=engines.connection(sandbox)
        )
        sandbox.faults(kind="latency", seconds=LATENCY)
        with OdooServer(database, workers=2, cron_threads=2) as odoo:
            bench = Outbox(sandbox, database, odoo)
            broken += bench.sell(Till(odoo, shop), 5 if arguments.kill else arguments.sales)
            if not arguments.kill:
                broken += bench.drain(arguments.reports)
            broken += bench.kill(arguments.killed)
    return broken


class Till:
    """Pays orders the way a till sends them."""

    def __init__(self, odoo, shop):
        self._cashier = Cashier(odoo, shop["cashiers"][0])
        self._shop = shop

    def sell(self, member_ref):
        """Pay an order; :return: (its uuid, when the server had stored it, seconds since 1970)"""
        order_uuid = str(uuid.uuid4())
        lines = [
            [
                0,
                0,
                {
                    "uuid": str(uuid.uuid4()),
                    "product_id": product["id"],
                    "qty": 1,
                    "price_unit": product["price"],
                    "price_subtotal": product["price"],
                    "price_subtotal_incl": product["price"],
                    "tax_ids": [],
                    "discount": 0,
                    "pack_lot_ids": [],
                },
            ]
            for product in self._shop["products"]
        ]
        total = sum(product["price"] for product in self._shop["products"])
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        payment = {
            "uuid": str(uuid.uuid4()),
            "name": now,
            "amount": total,
            "payment_method_id": self._shop["payment_method_id"],
        }
        order = {
            "uuid": order_uuid,
            "name": f"Order {order_uuid}",
            "session_id": self._shop["session_id"],
            "date_order": now,
            "lines": lines,
            "payment_ids": [[0, 0, payment]],
            "amount_total": total,
            "amount_paid": total,
            "amount_tax": 0,
            "amount_return": 0,
            "state": "paid",
            "to_invoice": False,
            "last_order_preparation_change": "{}",
            "loyalty_engine_member_ref": member_ref,
            "loyalty_engine_member_code": member_ref,
        }
        self._cashier.call_model("pos.order", "sync_from_ui", [order])
        return order_uuid, time.time()


class Outbox:
    """The outbox of a running server, and the books of the engine that it is sent to."""

    def __init__(self, sandbox, database, odoo):
        self._sandbox = sandbox
        self._database = database
        self._odoo = odoo
        self._seen = 0
        self._statuses = collections.Counter()
        self._arrivals = []

    # === What is measured ===

    def sell(self, till, count):
        table = Table(f"{count} sales, one after the other")
        stored = {}
        for number in range(count):
            member = engines.MEMBERS[number % len(engines.MEMBERS)]
            order_uuid, at = till.sell(member.id)
            stored[order_uuid] = at
            # As far apart as customers at one till never are: the job has gone to sleep again.
            time.sleep(0.7)
        self._wait_until_settled(60)
        self._read_requests()
        delays = [
            (at - stored[order_uuid]) * 1000
            for order_uuid, at in self._arrivals
            if order_uuid in stored
        ]
        if len(delays) != count:
            raise BenchError(f"{count} sales were paid, {len(delays)} events arrived.")
        table.row("from the stored sale to its event, p50", median(delays), "ms")
        table.row("the same, p95", percentile(delays, 0.95), "ms")
        return table.broken

    def drain(self, count):
        table = Table(
            f"{count:,} waiting reports, the engine answers after {LATENCY * 1000:.0f} ms"
        )
        self._start_books()
        begin = time.monotonic()
        expected = self._fill(count)
        self._wait_until_settled(count / 20 + 120)
        seconds = time.monotonic() - begin
        table.row("from the first waiting to the last sent", seconds, "s")
        table.row("reports a second", count / seconds, "", least=LEAST_PER_SECOND)
        self._check_books(table, expected)
        return table.broken

    def kill(self, count):
        table = Table(f"{count:,} waiting reports, the sending process is killed in a batch")
        self._database.query("UPDATE loyalty_engine SET late_after = %s", (LATE_AFTER,))
        self._start_books()
        begin = time.monotonic()
        expected = self._fill(count)
        wait_until(lambda: self._count_events() > count * 0.4, "40 % had arrived", count / 20 + 120)
        killed, claimed, arrived = self._kill_sender()
        table.note(
            f"process {killed} killed with {claimed} reports on their way, of which the engine"
            f" had taken {arrived}"
        )
        at = time.monotonic()
        before = self._count_events()
        wait_until(
            lambda: self._count_events() > before, "another process goes on", CRON_LOOKS_AFTER + 30
        )
        table.row("until another process goes on", time.monotonic() - at, "s")
        self._wait_until_settled(count / 20 + 120)
        table.row("from the first waiting to the last settled", time.monotonic() - begin, "s")
        self._check_books(table, expected)
        table.row(
            "reports that went a second time",
            self._database.value(
                "SELECT count(*) FROM loyalty_engine_report WHERE sends > 1 AND order_uuid IN %s",
                (tuple(expected),),
            ),
        )
        return table.broken

    # === How ===

    def _start_books(self):
        self._read_requests()
        self._statuses.clear()
        self._arrivals.clear()

    def _fill(self, count):
        """Let ``count`` reports wait, each with the facts of a real sale; :return: their uuids"""
        uuids = [str(uuid.uuid4()) for _number in range(count)]
        self._database.insert(
            """
            WITH sale AS (
                SELECT *, row_number() OVER (ORDER BY id) - 1 AS number, count(*) OVER () AS sales
                  FROM loyalty_engine_report
                 WHERE pos_order_id IS NOT NULL)
            INSERT INTO loyalty_engine_report (
                engine_id, company_id, kind, order_uuid, config_id, reference, occurred_at,
                member_ref, state, facts, sends, due_at, create_uid, create_date)
            SELECT engine_id, company_id, kind, new.uuid, config_id, reference, occurred_at,
                   -- Not everybody is a member.
                   CASE WHEN new.number % 3 > 0 THEN member_ref END,
                   'waiting', jsonb_set(facts::jsonb, '{transaction_id}', to_jsonb(new.uuid)),
                   0, now() AT TIME ZONE 'UTC', create_uid, create_date
              FROM (VALUES %s) AS new (uuid, number)
              JOIN sale ON sale.number = new.number %% sale.sales
            """.replace("% 3", "%% 3"),
            [(order_uuid, number) for number, order_uuid in enumerate(uuids)],
        )
        self._wake()
        return uuids

    def _wake(self):
        """Wake the job, as a paid sale does."""
        self._database.query(
            "INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT res_id, now() AT TIME ZONE 'UTC'"
            " FROM ir_model_data WHERE module = 'pos_loyalty_engine'"
            " AND name = 'ir_cron_send_reports'"
        )
        engines.notify_jobs(self._database.name)

    def _count_events(self):
        return self._sandbox.control("GET", "events", limit=0)["count"]

    def _wait_until_settled(self, limit):
        def is_settled():
            self._read_requests()
            return not self._database.value(
                "SELECT count(*) FROM loyalty_engine_report"
                " WHERE state IN ('waiting', 'sending', 'unknown')"
            )

        try:
            wait_until(is_settled, "every report was settled", limit, pause=0.25)
        except BenchError as error:
            rows = self._database.query(
                "SELECT state, sends, due_at, reason, order_uuid FROM loyalty_engine_report"
                " WHERE state IN ('waiting', 'sending', 'unknown') ORDER BY id LIMIT 10"
            )
            raise BenchError(
                f"{error} The first that aren't:\n" + "\n".join(map(str, rows))
            ) from None

    def _read_requests(self):
        """Go through the engine's log as it grows: it keeps the last ten thousand alone."""
        for request in self._sandbox.requests(after=self._seen):
            if self._seen and request["id"] != self._seen + 1:
                raise BenchError("The engine's log was read too rarely to tell every request.")
            if request["status"] is None:
                # Still being answered: the next reading begins with it.
                break
            self._seen = request["id"]
            self._statuses[request["status"]] += 1
            if (request["method"], request["path"]) == ("POST", "/v1/events"):
                at = engines.milliseconds(request["arrivedAt"]) / 1000
                self._arrivals.append((json.loads(request["body"])["payload"]["transactionId"], at))

    def _check_books(self, table, expected):
        self._read_requests()
        taken = collections.Counter(
            event["payload"]["transactionId"] for event in self._sandbox.events()
        )
        lost = [one for one in expected if not taken[one]]
        twice = [one for one in expected if taken[one] > 1]
        unsent = self._database.query(
            "SELECT order_uuid, state, reason FROM loyalty_engine_report"
            " WHERE order_uuid IN %s AND state != 'sent'",
            (tuple(expected),),
        )
        table.row("lost", len(lost), most=0)
        table.row("arrived twice", len(twice), most=0)
        table.row("not settled as sent", len(unsent), most=0)
        table.row("answered with 429", self._statuses[429], most=0)
        table.row("most requests in one second", self._peak(), most=MOST_PER_SECOND)
        others = {status: n for status, n in self._statuses.items() if status not in (200, 429)}
        if others:
            table.note(f"other answers: {others}")
        for name, found in (("lost", lost), ("twice", twice), ("not sent", unsent)):
            for one in found[:10]:
                table.note(f"{name}: {one}")

    def _peak(self):
        """The most events that arrived within any second."""
        times, most, first = sorted(at for _uuid, at in self._arrivals), 0, 0
        for last, at in enumerate(times):
            while at - times[first] >= 1:
                first += 1
            most = max(most, last - first + 1)
        return most

    def _kill_sender(self):
        """Kill the process that sends, while some of a batch has arrived and some has not.

        :return: (its pid, reports on their way, of these taken by the engine)
        """
        claimed_query = "SELECT order_uuid FROM loyalty_engine_report WHERE state = 'sending'"
        for _attempt in range(50):
            sender = self._odoo.running_job()
            claimed = {one for (one,) in self._database.query(claimed_query)}
            after = max(0, self._count_events() - 70)
            arrived = claimed & {
                event["payload"]["transactionId"] for event in self._sandbox.events(after=after)
            }
            if sender and len(claimed) // 4 < len(arrived) < len(claimed) * 3 // 4:
                sender.kill()
                sender.wait(STOP_LIMIT)
                claimed = {one for (one,) in self._database.query(claimed_query)}
                events = {e["payload"]["transactionId"] for e in self._sandbox.events(after=after)}
                if claimed:
                    return sender.pid, len(claimed), len(claimed & events)
            time.sleep(0.05)
        raise BenchError("No process could be caught in the middle of a batch.")

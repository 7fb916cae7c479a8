"""Three books held against each other: Odoo's orders, the ledger, the engine's events.

The tills' own book is the fourth: what a customer was told has to be in Odoo.
"""

import collections
from dataclasses import dataclass, field
from decimal import Decimal

from .stage import LATE_AFTER, MINUTE, OPEN_REPORTS, OPEN_ROWS

#: Seconds that two busy cores add: what is shortened is the module's waits, not the machine's work.
SLACK = 30
#: Seconds that a row may be in a state: in a shop a minute and a half, and two minutes longer than
#: a request can be late.
MOST_IN_STATE = {
    "spending": 1.5 * MINUTE + SLACK,
    "unknown": LATE_AFTER + 2 * MINUTE + SLACK,
}
#: Seconds that the step that spends may take a customer at most.
MOST_WAIT = 8.0
#: Seconds until all events are read.
EVENTS_LIMIT = 120
PAID_STATES = ("paid", "done", "invoiced")
NEEDED_A_PERSON = ("stranded", "made_good")

#: What was sold before the stage was begun anew is cancelled.
ORDERS = "SELECT uuid, state, amount_total FROM pos_order WHERE NOT COALESCE(is_refund, FALSE)"
CARRIED = """
    SELECT pos_order.uuid, line.loyalty_engine_redemption
      FROM pos_order_line line JOIN pos_order ON pos_order.id = line.order_id
     WHERE line.loyalty_engine_redemption IS NOT NULL
    UNION
    SELECT pos_order.uuid, payment.loyalty_engine_redemption
      FROM pos_payment payment JOIN pos_order ON pos_order.id = payment.pos_order_id
     WHERE payment.loyalty_engine_redemption IS NOT NULL
"""
ROWS = """
    SELECT uuid, kind, state, order_uuid, COALESCE(benefit_ref, name), is_local, is_overdue
      FROM loyalty_engine_redemption
"""
#: How long each row was in a state; what was noted meanwhile is no new one.
STAYS = """
    SELECT redemption.uuid, step.to_state,
           extract(epoch FROM lead(step.at) OVER (PARTITION BY redemption_id ORDER BY step.id)
               - step.at)
      FROM loyalty_engine_redemption_step step
      JOIN loyalty_engine_redemption redemption ON redemption.id = step.redemption_id
     WHERE step.from_state IS DISTINCT FROM step.to_state
"""
CASES = "SELECT kind, reference, order_uuid FROM loyalty_engine_case"
#: What goes back with a return; the others go back because their sale is off.
RETURNS = """
    SELECT order_uuid FROM loyalty_engine_report
     WHERE kind = 'points_refund' AND pos_order_id IS NOT NULL
"""
#: States that a row is in only for a while.
PASSING = ("spending", "unknown", "returning")


@dataclass
class Row:
    """:param voucher: the benefit at the engine, or a code of our own"""

    uuid: str
    kind: str
    state: str
    order_uuid: str
    voucher: str
    is_local: bool
    is_overdue: bool

    @property
    def is_owner(self):
        """Whether this row says that its voucher was used."""
        return self.state in (("settled",) if self.is_local else ("settled", *NEEDED_A_PERSON))

    @property
    def is_missing(self):
        return self.state == "spent" and self.is_overdue


@dataclass
class Findings:
    """Sentences, by the column of the table in which they count."""

    COLUMNS = (
        "spent twice",
        "given back twice",
        "lost",
        "discount for nothing",
        "below zero",
        "still open",
        "sale lost",
        "reported twice",
        "not reported",
        "too long",
        "false alarm",
        "not as told",
    )
    by_column: dict = field(default_factory=lambda: collections.defaultdict(list))
    flagged: list = field(default_factory=list)
    #: By state, how long a row was in it at most: seconds.
    longest: dict = field(default_factory=dict)

    def note(self, column, text):
        if column not in self.COLUMNS:
            raise ValueError(column)
        self.by_column[column].append(text)

    @property
    def is_clean(self):
        return not any(self.by_column.values())


class Books:
    """What there is when everything has come to rest.

    :param stage: Stage
    :param events: all events of the engine
    :param sold: list of Sold, the tills' own book
    :param pure: ids of members whose points nobody but us touches, with what they had at first
    :param flagged: uuids of orders of which a manager must know: their discount can't be backed,
        or Odoo doesn't take them
    :param patient: uuids of redemptions that lived with the waits of a shop
    :param foreign: ids of vouchers that another channel has burned
    """

    def __init__(self, stage, events, sold, pure, flagged=(), patient=(), foreign=()):
        query = stage.database.query
        self._sold = sold
        self._pure = pure
        self._expected_flags = set(flagged)
        self._patient, self._foreign = set(patient), set(foreign)
        self._orders = {uuid: (state, total) for uuid, state, total in query(ORDERS)}
        self._rows = {row[0]: Row(*row) for row in query(ROWS)}
        self._returns = {uuid for (uuid,) in query(RETURNS)}
        self._stays = query(STAYS)
        self._open = query(OPEN_ROWS) + query(OPEN_REPORTS)
        self._cases, self._orders_of_cases = collections.defaultdict(set), set()
        for kind, reference, order_uuid in query(CASES):
            self._cases[kind].add(reference)
            self._orders_of_cases.add(order_uuid)
        # By redemption, the stored paid orders that carry it; and by order what it carries.
        self._carried_by = collections.defaultdict(list)
        self._carried = collections.defaultdict(set)
        for order_uuid, redemption_uuid in query(CARRIED):
            if self._orders.get(order_uuid, ("",))[0] in PAID_STATES:
                self._carried_by[redemption_uuid].append(order_uuid)
                self._carried[order_uuid].add(redemption_uuid)
        self._events = events
        self._burns = collections.defaultdict(list)
        for burn in stage.sandbox.burns():
            self._burns[burn["benefit"]].append(burn)
        self._members = {member["id"]: member for member in stage.sandbox.members()}
        self.found = Findings()

    def compare(self):
        """:return: Findings"""
        self._compare_points()
        self._compare_vouchers()
        self._compare_rows()
        self._compare_sales()
        self._compare_balances()
        self._compare_times()
        return self.found

    # === Spent, and given back ===

    def _count(self, event_type):
        """Events of a type, by the redemption that they name."""
        counted = collections.Counter()
        for event in self._events:
            if event["type"] == event_type:
                counted[event["payload"].get("redemptionId")] += 1
        return counted

    def _compare_points(self):
        taken, given = self._count("REDEEMED_POINTS"), self._count("POINTS_REFUND")
        for uuid, count in taken.items():
            if count > 1:
                self.found.note("spent twice", f"points of {uuid} were taken {count} times")
            if uuid not in self._rows:
                self.found.note("lost", f"points of {uuid} were taken, the ledger has no such row")
        for uuid, count in given.items():
            if count > 1:
                self.found.note("given back twice", f"points of {uuid}: {count} times")
            if not taken[uuid] and uuid not in self._returns:
                self.found.note("given back twice", f"points of {uuid} were never taken")
        for row in self._rows.values():
            if row.kind == "points":
                self._compare_one(row, bool(taken[row.uuid]), bool(given[row.uuid]))

    def _compare_vouchers(self):
        rows = [row for row in self._rows.values() if row.kind == "voucher"]
        owners = collections.defaultdict(list)
        for row in rows:
            if row.is_owner:
                owners[row.voucher].append(row)
        missing = {row.voucher for row in rows if row.is_missing}
        for benefit, burns in self._burns.items():
            if len(burns) > 1:
                self.found.note("spent twice", f"voucher {benefit} was burned {len(burns)} times")
            if benefit not in owners and benefit not in missing and benefit not in self._foreign:
                self.found.note("lost", f"voucher {benefit} was burned, no row says so")
        for voucher, found in owners.items():
            if len(found) > 1:
                text = f"voucher {voucher} is used up by {len(found)} rows"
                self.found.note("spent twice", text)
        sales = collections.defaultdict(set)
        for row in rows:
            sales[row.voucher].update(self._carried_by.get(row.uuid, ()))
        for voucher, orders in sales.items():
            if len(orders) > 1:
                self.found.note("spent twice", f"voucher {voucher} is on {len(orders)} paid orders")
        for row in rows:
            # Of a code of our own there is no other evidence than the row itself.
            is_burned = row.is_local or row.voucher in self._burns
            self._compare_one(row, is_burned and row.is_owner, False)

    def _compare_one(self, row, is_taken, is_given):
        """A row, what the engine did for it, and the paid order that has its discount."""
        on_order = self._carried_by.get(row.uuid, ())
        is_booked = row.state in ("settled", "returned", *NEEDED_A_PERSON)
        if is_taken and not (is_booked or row.is_missing):
            self.found.note("lost", f"{row.kind} {row.uuid} was taken, its row says {row.state}")
        if row.state == "settled" and not on_order:
            self.found.note("lost", f"{row.kind} {row.uuid} is settled, no paid order has it")
        if row.state in ("settled", "returned") and not is_taken:
            self.found.note(
                "discount for nothing", f"{row.kind} {row.uuid} is {row.state}, nothing was taken"
            )
        if row.state == "returned" and not is_given:
            self.found.note("lost", f"points of {row.uuid} are returned, no event says so")
        if row.state == "stranded" and not self._has_case(row.uuid):
            self.found.note("lost", f"{row.kind} {row.uuid} is stranded, nobody was told")
        if on_order and row.state != "settled" and not self._is_flagged(row.uuid, on_order):
            text = f"{row.kind} {row.uuid} is {row.state}, a paid order has its discount"
            self.found.note("discount for nothing", text)

    def _is_flagged(self, uuid, orders):
        return all(
            order in self._expected_flags and f"{order} {uuid}" in self._cases["unbacked"]
            for order in orders
        )

    def _is_told(self, order_uuid):
        return order_uuid in self._expected_flags and order_uuid in self._orders_of_cases

    def _has_case(self, uuid):
        return any(uuid in references for references in self._cases.values())

    def _compare_rows(self):
        for uuid, *rest in self._open:
            self.found.note("still open", f"{uuid}: {rest}")
        unknown = set(self._carried_by) - set(self._rows)
        for uuid in unknown:
            self.found.note("discount for nothing", f"{uuid} is on a paid order and in no ledger")
        for reference in self._cases["differs"]:
            self.found.note("false alarm", f"the discount of {reference} is right")
        for reference in self._cases["total"]:
            self.found.note("false alarm", f"the total of order {reference} is right")
        self.found.flagged = sorted(
            (kind, reference) for kind, found in self._cases.items() for reference in found
        )

    # === Sales, and their reports ===

    def _compare_sales(self):
        reported = collections.Counter(
            event["payload"].get("transactionId")
            for event in self._events
            if event["type"] == "POS_SALE"
        )
        for uuid, count in reported.items():
            if count > 1:
                self.found.note("reported twice", f"order {uuid}: {count} times")
        for uuid, (state, _total) in self._orders.items():
            if state in PAID_STATES and not reported[uuid]:
                self.found.note("not reported", f"order {uuid}")
        for one in self._sold:
            state, total = self._orders.get(one.order_uuid, ("not there", 0))
            if one.state == "paid":
                if state not in PAID_STATES and self._is_told(one.order_uuid):
                    # Odoo doesn't take it, and a person knows.
                    continue
                if state not in PAID_STATES:
                    self.found.note("sale lost", f"{one.name} is paid, its order is {state}")
                elif Decimal(str(total)).quantize(Decimal("0.01")) != one.total:
                    self.found.note("sale lost", f"{one.name}: {one.total} became {total}")
                if self._carried.get(one.order_uuid, set()) != set(one.carried):
                    self.found.note("sale lost", f"{one.name} lost or won a discount")
            for note in one.notes:
                self.found.note("lost", f"{one.name}: {note}")

    def _compare_balances(self):
        """A balance may never be below zero, not even between two reactions."""
        moves = collections.defaultdict(list)
        for event in self._events:
            if event["points"] and event["reactedAt"]:
                moves[event["memberId"]].append((event["reactedAt"], event["points"]))
        for member, points in self._pure.items():
            lowest = balance = points
            for _at, change in sorted(moves[member], key=lambda move: (move[0], -move[1])):
                balance += change
                lowest = min(lowest, balance)
            if lowest < 0:
                self.found.note("below zero", f"member {member} had {lowest} points")
            if balance != self._members[member]["points"]:
                self.found.note(
                    "lost", f"member {member} has {self._members[member]['points']}, not {balance}"
                )

    def _compare_times(self):
        for uuid, state, seconds in self._stays:
            if state not in PASSING or seconds is None or uuid in self._patient:
                continue
            seconds = float(seconds)
            self.found.longest[state] = max(seconds, self.found.longest.get(state, 0.0))
            if seconds > MOST_IN_STATE.get(state, seconds):
                self.found.note("too long", f"{uuid} was {state} for {seconds:.0f} s")
        for one in self._sold:
            if one.waited > MOST_WAIT + 0.5:
                self.found.note("too long", f"{one.name} waited {one.waited:.1f} s")


def compare(stage, sold, pure, tellers):
    """:param tellers: of stories, with books of their own
    :return: Findings of the books, and of the stories
    """
    flagged, patient, foreign, sold, pure = set(), set(), set(), list(sold), dict(pure)
    # Of a long run they are many.
    events = stage.sandbox.control("GET", "events", timeout=EVENTS_LIMIT)["events"]
    for teller in tellers:
        pure.update(teller.members)
        flagged |= teller.flagged
        patient |= teller.patient
        foreign |= teller.burned_elsewhere
        sold += teller.sold
        teller.check_at_last(events)
    found = Books(stage, events, sold, pure, flagged, patient, foreign).compare()
    for teller in tellers:
        for text in teller.findings:
            found.note("not as told", text)
    return found

"""A till without a browser: the calls that a till makes, in their order.

It does what ``static/src/app`` does, with two differences: nobody presses a second time (what isn't
spent at the first press is let go), and goods and discounts have no taxes. It keeps a book of its
own: what it has told its customers.
"""

import collections
import contextlib
import functools
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal

import requests

from bench.servers import BenchError, ServerRefused

from .mishaps import BALANCE, CHECK, REPORT, RETURN, SPEND

#: Seconds that a till waits: for the step that spends, for the look after it, for other answers.
SPEND_LIMIT = 8
LOOK_LIMIT = 2
ANSWER_LIMIT = 10
#: How long a till tries to bring an order to the server. Seconds.
SYNC_LIMIT = 120
#: How long a customer who pays offline is ahead of the order. Seconds.
OFFLINE = 12
CENT = Decimal("0.01")
#: Steps that are about the server's copy of an order that is not paid yet.
NEEDS_STORED = ("delete", "cancel", "deleted elsewhere")


class Gone(Exception):
    """The till is no more: stolen, broken, its browser closed."""


@dataclass
class Sold:
    """What a till knows of a sale.

    :param state: "paid", "given up", "gone", or "open"
    :param carried: by uuid of the redemption what it took off, Decimal
    :param waited: how long the customer waited for the step that spends, seconds
    """

    name: str
    order_uuid: str
    state: str = "open"
    total: Decimal = Decimal(0)
    carried: dict = field(default_factory=dict)
    waited: float = 0.0
    notes: list = field(default_factory=list)


class Till:
    """One of the shop's tills. ``answers`` counts what it was told, by route and status.

    :param ids: of the point of sale, as the shop has them
    :param key: by which the server tells it from others
    """

    def __init__(self, stage, ids, key=None):
        self.stage = stage
        self.ids = ids
        self.key = key or f"till-{ids['config_id']}"
        self.answers = collections.Counter()
        self.cashier = stage.cashier(ids["login"])

    @functools.cached_property
    def neighbour(self):
        """Somebody else's browser that sees the same orders."""
        return self.stage.cashier(self.ids["login"])

    # === One step after the other ===

    def open(self, member, basket=((2, 2),), name="", is_stored=True):
        """An order with goods; :return: Order

        :param is_stored: whether the server has it already
        """
        order = Order(self, member, basket, name)
        if is_stored:
            self.bring(order, "draft")
        return order

    def hold_points(self, order, points):
        """:return: the redemption as the till sees it; None where it isn't held"""
        return self._held(
            order,
            self.ask(
                "hold_points",
                order,
                member_ref=order.member,
                points=points,
                due=str(order.left),
                presented="scan",
            ),
        )

    def hold_voucher(self, order, voucher):
        """:param voucher: dict with ``code``
        :return: the redemption as the till sees it; None where it isn't held
        """
        answer = self.ask(
            "hold_voucher", order, member_ref=order.member, code=voucher["code"], presented="scan"
        )
        return self._held(order, answer, voucher["code"])

    def _held(self, order, answer, code=""):
        if not answer or answer["status"] != "held":
            return None
        order.add(answer["redemption"], code)
        return answer["redemption"]

    def spend(self, order, held, is_deaf=False, is_asked_again=False):
        """Spend what is held, as long as a customer waits.

        :return: redemptions that are spent for all that the till knows
        """
        begin = time.monotonic()
        answer = self._ask_to_spend(order, held, call_limit=SPEND_LIMIT - LOOK_LIMIT)
        if is_asked_again:
            answer = self._ask_to_spend(order, held)
        if is_deaf:
            answer = None
        elif not answer or answer["status"] != "done":
            answer = self.ask("redemptions", order, call_limit=LOOK_LIMIT)
        order.sold.waited = time.monotonic() - begin
        wanted = {one["uuid"] for one in held}
        return [
            row
            for row in (answer or {}).get("redemptions", [])
            if row["uuid"] in wanted
            and row["state"] in ("spent", "settled")
            and not row["is_dropped"]
        ]

    def _ask_to_spend(self, order, held, **limits):
        return self.ask(
            "spend",
            order,
            till_key=self.key,
            claims=order.claims(held),
            asked_at=time.time(),
            **limits,
        )

    def spend_as_neighbour(self, order, held):
        """Ask for the same at the same time over another connection, and don't wait for it."""

        def ask():
            with contextlib.suppress(requests.RequestException, ServerRefused):
                self.neighbour.call(
                    "/pos_loyalty_engine/spend",
                    config_id=self.ids["config_id"],
                    session_id=self.ids["session_id"],
                    order_uuid=order.uuid,
                    till_key=self.key,
                    claims=order.claims(held),
                )

        threading.Thread(target=ask, daemon=True).start()

    def release(self, order, redemptions):
        if redemptions:
            uuids = [one["uuid"] for one in redemptions]
            self.ask("release", order, uuids=uuids, till_key=self.key)

    def close(self, order, spent):
        """Take the payment: from now on the customer has the goods, and the discounts."""
        order.sold.carried = {one["uuid"]: order.worth[one["uuid"]] for one in spent}
        order.sold.total = order.total - sum(order.discounts.values())
        order.sold.state = "paid"

    def pay(self, order, spent):
        self.close(order, spent)
        self.bring(order, "paid")

    def bring(self, order, state):
        """Bring an order to the server, however often it takes."""
        self._insist(lambda: order.sync(state))

    def take_back(self, order, redemption_uuid):
        """All that was sold comes back, and is paid back as it was paid: points with points."""
        self._insist(lambda: order.take_back(redemption_uuid))

    @staticmethod
    def _insist(send):
        deadline = time.monotonic() + SYNC_LIMIT
        while True:
            try:
                send()
                return
            except (requests.RequestException, ServerRefused) as error:
                if time.monotonic() > deadline:
                    # The last line is the error; before it is where it happened.
                    why = str(error).strip().rpartition("\n")[2]
                    raise BenchError(f"An order can't be brought to the server: {why}") from error
            time.sleep(0.5)

    def give_up(self, order, method="remove_from_ui"):
        """Delete or cancel an order for which something may be spent.

        :raises Gone: where the server can't be told, so that nobody knows whether it has heard: the
            discount is not this order's any more
        """
        answer = self.ask("abandon", order, till_key=self.key)
        if not answer or answer["status"] != "done":
            raise Gone
        with contextlib.suppress(requests.RequestException, ServerRefused):
            self.cashier.call_model("pos.order", method, order.server_ids())
        order.sold.state = "given up"

    def is_protected_from_neighbour(self, order):
        """Whether somebody else is refused who wants to delete the order."""
        try:
            self.neighbour.call_model("pos.order", "remove_from_ui", order.server_ids())
        except ServerRefused:
            return True
        except requests.RequestException:
            # The server died of something else; it is not known what it would have said.
            return True
        return False

    # === A sale of the plan ===

    def sell(self, sale, members, vouchers):
        """Sell as planned; :return: Sold

        :param members: the engine's ids, by their number in the plan
        :param vouchers: dicts with ``id`` and ``code``, by their number in the plan
        """
        order = Order(self, members[sale.member], sale.basket, f"sale {sale.number}")
        try:
            self._sell(order, sale, vouchers)
        except Gone:
            order.sold.state = "gone"
        finally:
            order.take_faults_off()
        return order.sold

    def _sell(self, order, sale, vouchers):
        mishap = sale.mishap
        step = mishap.at if mishap and mishap.where == "till" else ""
        fault = mishap if mishap and mishap.where == "engine" else None
        if mishap and mishap.where == "server":
            self.stage.arm_kill(mishap.at)
        if sale.is_draft_first or step in NEEDS_STORED:
            self.bring(order, "draft")
        held = []
        for wish in sale.wishes:
            if wish.voucher is None:
                held.append(self.hold_points(order, wish.points))
            else:
                if fault and fault.at == CHECK:
                    order.aim_at_code(fault.rule, vouchers[wish.voucher]["code"])
                held.append(self.hold_voucher(order, vouchers[wish.voucher]))
        held = [one for one in held if one]
        if step == "held":
            raise Gone
        if step == "release":
            self.release(order, held[:1])
            del held[:1]
        spent = self._spend_as_planned(order, held, fault, step) if held else []
        if step == "paying":
            self.ask("renew", order, till_key=self.key, at_payment=True)
        if step in ("spent", "paying"):
            raise Gone
        if step == "take off" and spent:
            # Off the order first, and then told: an answer that gets lost can do no harm then.
            self.release(order, [spent.pop()])
        if step in ("delete", "cancel"):
            methods = {"delete": "remove_from_ui", "cancel": "action_pos_order_cancel"}
            self.give_up(order, methods[step])
            return
        if step == "deleted elsewhere" and spent and not self.is_protected_from_neighbour(order):
            order.sold.notes.append("another till could delete the order at payment")
        self.close(order, spent)
        if step == "offline":
            time.sleep(OFFLINE)
        if fault and fault.at == REPORT:
            # Spent points name the order, too.
            skip = sum(one["kind"] == "points" for one in spent)
            order.aim(fault.rule, "POST", "/events", body=f'"{order.uuid}"', skip=skip)
        for _time in range(2 if step == "sync twice" else 1):
            self.bring(order, "paid")
        self.release(order, [one for one in held if one["uuid"] not in order.sold.carried])
        if step == "return" and order.tender:
            self.take_back(order, order.tender[0])

    def _spend_as_planned(self, order, held, fault, step):
        if fault:
            order.aim_at_spending(fault, held[0])
        if step in ("spending", "spend twice"):
            self.spend_as_neighbour(order, held)
        if step == "spending":
            # Long enough for the request to be on its way.
            time.sleep(0.05)
            raise Gone
        return self.spend(order, held, is_deaf=step == "deaf", is_asked_again=step == "spend again")

    # === Calls ===

    def ask(self, route, order, call_limit=ANSWER_LIMIT, **values):
        """The answer of one of the module's routes; None where none came."""
        try:
            answer = self.cashier.call(
                f"/pos_loyalty_engine/{route}",
                call_limit=call_limit,
                config_id=self.ids["config_id"],
                session_id=self.ids["session_id"],
                order_uuid=order.uuid,
                **values,
            )
        except (requests.RequestException, ServerRefused) as error:
            self.answers[route, type(error).__name__] += 1
            return None
        self.answers[route, answer["status"]] += 1
        return answer


class Order:
    """An order as its till has it.

    :param member: the engine's id
    :param basket: pairs of (number of a product, quantity)
    :param name: of the sale, for the findings
    """

    def __init__(self, till, member, basket, name):
        self.till = till
        self.member = member
        self.uuid = str(uuid.uuid4())
        self.sold = Sold(name, self.uuid)
        shop = till.stage.shop
        self._lines = [
            (str(uuid.uuid4()), shop["products"][product], quantity) for product, quantity in basket
        ]
        self.total = sum(
            (_cents(product["price"]) * quantity for _id, product, quantity in self._lines),
            Decimal(0),
        )
        #: By uuid of a redemption, what it takes off.
        self.worth = {}
        # By uuid of a redemption that is a payment, its points.
        self._points = {}
        self._codes = {}
        self._faults = []
        # Uuid to id of the lines that the server has; None: not known.
        self._known = {}

    # === Redemptions ===

    @property
    def left(self):
        """What there is to pay."""
        return self.total - sum(self.worth.values())

    def add(self, redemption, code=""):
        (discount,) = redemption["discounts"]
        self.worth[redemption["uuid"]] = Decimal(discount["value"])
        self._codes[redemption["uuid"]] = code
        if redemption["booking"] == "payment" and redemption["kind"] == "points":
            self._points[redemption["uuid"]] = redemption["points"]

    @property
    def discounts(self):
        """What this order carries that makes it cheaper, by uuid of the redemption."""
        return {one: worth for one, worth in self.sold.carried.items() if one not in self._points}

    @property
    def tender(self):
        """Uuids of the redemptions that this order carries as payments."""
        return [one for one in self.sold.carried if one in self._points]

    def code(self, redemption):
        """Of a voucher, as it was scanned."""
        return self._codes[redemption["uuid"]]

    def claims(self, held):
        return [{"uuid": one["uuid"], "amount": str(self.worth[one["uuid"]])} for one in held]

    # === Faults that are aimed at requests of this order ===

    def aim(self, rule, method, path, **limits):
        """Let one request go wrong: ``limits`` says which of those to this address."""
        if rule["kind"] == "refused":
            self.till.stage.refuse(limits["body"].strip('"'))
            return
        rule = {"times": 1, **rule, "method": method, "path": path, **limits}
        self._faults.append(self.till.stage.sandbox.add_fault(**rule))

    def aim_at_code(self, rule, code):
        self.aim(rule, "POST", "/commands/validate_voucher", body=f'"{code}"')

    def aim_at_spending(self, mishap, redemption):
        """At the request that spends or gives back a redemption, or the look before it."""
        if mishap.at == BALANCE:
            self.aim(mishap.rule, "GET", f"/users/{self.member}/wallet")
        elif mishap.at not in (SPEND, RETURN):
            return
        elif redemption["kind"] == "points":
            skip = 1 if mishap.at == RETURN else 0
            self.aim_at_points(mishap.rule, redemption, skip)
        elif mishap.at == SPEND:
            self.aim_at_code(mishap.rule, self.code(redemption))

    def aim_at_points(self, rule, redemption, skip=0):
        """:param skip: 0 at the event that spends, 1 at the one that gives back"""
        self.aim(rule, "POST", "/events", body=f'"redemptionId":"{redemption["uuid"]}"', skip=skip)

    def take_faults_off(self):
        for number in self._faults:
            self.till.stage.sandbox.remove_fault(number)
        self._faults.clear()

    # === The server's copy ===

    def server_ids(self):
        found = self.till.cashier.call_model(
            "pos.order", "search_read", [("uuid", "=", self.uuid)], ["id"]
        )
        return [row["id"] for row in found]

    def sync(self, state):
        """Send the order as a till sends it: whole, with what the server has already by its id."""
        known = self._read_known() if self._known is None else self._known
        self._known = None
        total = self.total - sum(self.discounts.values())
        lines = [self._line(known, *line) for line in self._lines]
        for redemption_uuid, amount in self.discounts.items():
            product = {"id": self.till.stage.shop["discount_product_id"], "price": -amount}
            line = self._line(known, _child(self.uuid, redemption_uuid), product, 1)
            line[2]["loyalty_engine_redemption"] = redemption_uuid
            lines.append(line)
        payments = self._payments(total) if state == "paid" else []
        stored = self._send(self.uuid, state, total, lines, payments)
        self._known = {line["uuid"]: line["id"] for line in stored["pos.order.line"]}

    def take_back(self, redemption_uuid):
        """A return of all the goods, paid back as the sale was paid: with points, and money."""
        shop, known, lines = self.till.stage.shop, self._read_known(), []
        for line_uuid, product, quantity in self._lines:
            line = self._line({}, _child(line_uuid, "return"), product, -quantity)
            line[2]["refunded_orderline_id"] = known[line_uuid]
            lines.append(line)
        worth = self.worth[redemption_uuid]
        payments = [
            {"payment_method_id": shop["points_method_id"], "amount": -float(worth)},
            {"payment_method_id": shop["payment_method_id"], "amount": -float(self.total - worth)},
        ]
        self._send(
            _child(self.uuid, "return"), "paid", -self.total, lines, payments, is_refund=True
        )

    def _send(self, order_uuid, state, total, lines, payments, **values):
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        return self.till.cashier.call_model(
            "pos.order",
            "sync_from_ui",
            [
                {
                    "uuid": order_uuid,
                    "name": f"Order {order_uuid}",
                    "access_token": _child(order_uuid, "token"),
                    "session_id": self.till.ids["session_id"],
                    "date_order": now,
                    "lines": lines,
                    "payment_ids": [
                        [0, 0, {**payment, "uuid": _child(order_uuid, number), "name": now}]
                        for number, payment in enumerate(payments)
                    ],
                    "amount_total": float(total),
                    "amount_paid": float(total) if payments else 0,
                    "amount_tax": 0,
                    "amount_return": 0,
                    "state": state,
                    "to_invoice": False,
                    "last_order_preparation_change": "{}",
                    "loyalty_engine_member_ref": self.member,
                    "loyalty_engine_member_code": self.member,
                    **values,
                }
            ],
        )

    def _payments(self, total):
        """Points that are tender, and money for the rest."""
        shop, carried = self.till.stage.shop, self.sold.carried
        points = [
            {
                "payment_method_id": shop["points_method_id"],
                "amount": float(carried[one]),
                "loyalty_engine_redemption": one,
                "loyalty_engine_points": self._points[one],
            }
            for one in self.tender
        ]
        rest = total - sum(carried[one] for one in self.tender)
        return [{"payment_method_id": shop["payment_method_id"], "amount": float(rest)}, *points]

    def _read_known(self):
        found = self.till.cashier.call_model(
            "pos.order.line", "search_read", [("order_id.uuid", "=", self.uuid)], ["uuid"]
        )
        return {row["uuid"]: row["id"] for row in found}

    def _line(self, known, line_uuid, product, quantity):
        amount = float(product["price"] * quantity)
        values = {
            "uuid": line_uuid,
            "product_id": product["id"],
            "qty": quantity,
            "price_unit": float(product["price"]),
            "price_subtotal": amount,
            "price_subtotal_incl": amount,
            "tax_ids": [],
            "discount": 0,
            "pack_lot_ids": [],
        }
        return [1, known[line_uuid], values] if line_uuid in known else [0, 0, values]


def _child(order_uuid, name):
    """A uuid that is the same each time that an order is sent."""
    return str(uuid.uuid5(uuid.UUID(order_uuid), str(name)))


def _cents(amount):
    return Decimal(str(amount)).quantize(CENT, rounding=ROUND_HALF_UP)

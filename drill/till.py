"""A till without a browser: the calls that a till makes, in their order, for one sale.

It keeps a book of its own: what it has told its customers. It does what ``static/src/app`` does,
with two differences: nobody presses a second time (what isn't spent at the first press is let go),
and goods and discounts have no taxes.
"""

import contextlib
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
#: How long a till tries to bring a paid order to the server. Seconds.
SYNC_LIMIT = 120
CENT = Decimal("0.01")


class Gone(Exception):
    """The till is no more: stolen, broken, its browser closed."""


@dataclass
class Sold:
    """What a till knows of a sale.

    :param state: "paid", "given up", "gone", or how far it is
    :param carried: by uuid of the redemption what it took off, Decimal
    :param waited: the longest that the customer waited for the step that spends, seconds
    """

    number: int
    order_uuid: str
    state: str = "open"
    total: Decimal = Decimal(0)
    carried: dict = field(default_factory=dict)
    waited: float = 0.0
    notes: list = field(default_factory=list)


class Till:
    """One of the shop's tills.

    :param number: of the point of sale in the shop
    :param members: the engine's ids, by their number in the plan
    :param vouchers: dicts with ``id`` and ``code``, by their number in the plan
    """

    def __init__(self, stage, number, members, vouchers):
        self._stage = stage
        self._members = members
        self._vouchers = vouchers
        self.ids = stage.shop["tills"][number]
        self.key = f"till-{number}"
        self.cashier = stage.cashier(number)
        # The till of somebody else who sees the same orders: calls of another connection.
        self.neighbour = stage.cashier(number)

    # === A sale ===

    def sell(self, sale):
        """Sell as planned; :return: Sold"""
        order = _Order(self, sale, self._members[sale.member])
        sold = Sold(sale.number, order.uuid)
        try:
            self._sell(sale, order, sold)
        except Gone:
            sold.state = "gone"
        finally:
            order.take_faults_off()
        return sold

    def _sell(self, sale, order, sold):
        mishap = sale.mishap
        till_step = mishap.at if mishap and mishap.where == "till" else ""
        if mishap and mishap.where == "server":
            self._stage.arm_kill(mishap.at)
        self._bring(order, "draft")
        member = self._members[sale.member]
        held = [one for wish in sale.wishes if (one := order.hold(wish, member, mishap))]
        if till_step == "held":
            raise Gone
        if till_step == "release" and held:
            self.ask("release", order, uuids=[held[0]["uuid"]], till_key=self.key)
            del held[0]
        spent = []
        if held:
            spent = self._spend(order, sold, held, mishap, till_step)
        if till_step in ("spent", "paying"):
            if till_step == "paying":
                self.ask("renew", order, till_key=self.key, at_payment=True)
            raise Gone
        carried = {one["uuid"]: order.worth[one["uuid"]] for one in spent}
        if till_step == "take off" and carried:
            order.take_off(carried, next(iter(carried)))
        if till_step in ("delete", "cancel") and self._give_up(order, till_step):
            sold.state = "given up"
            return
        if till_step == "deleted elsewhere":
            self._delete_as_neighbour(order, sold, bool(spent))
        sold.carried, sold.total = carried, order.total - sum(carried.values())
        sold.state = "paid"
        if till_step == "offline":
            time.sleep(12)
        if mishap and mishap.where == "engine" and mishap.at == REPORT:
            # Spent points name the order too.
            skip = sum(one["kind"] == "points" for one in spent)
            order.aim(mishap.rule, "POST", "/events", body=f'"{order.uuid}"', skip=skip)
        self._bring(order, "paid", carried)
        if till_step == "sync twice":
            self._bring(order, "paid", carried)
        idle = [one["uuid"] for one in held if one["uuid"] not in carried]
        if idle:
            self.ask("release", order, uuids=idle, till_key=self.key)

    # === The step that spends ===

    def _spend(self, order, sold, held, mishap, till_step):
        """Spend what is held; :return: redemptions that are spent for all that the till knows"""
        if mishap and mishap.where == "engine":
            order.aim_at_spending(mishap, held[0])
        claims = [{"uuid": one["uuid"], "amount": str(order.worth[one["uuid"]])} for one in held]
        if till_step == "spending":
            threading.Thread(
                target=self.ask,
                args=("spend", order),
                kwargs={"claims": claims, "till_key": self.key},
                daemon=True,
            ).start()
            time.sleep(0.05)
            raise Gone
        begin = time.monotonic()
        if till_step == "spend twice":
            second = threading.Thread(
                target=self._ask_as_neighbour, args=("spend", order, claims), daemon=True
            )
            second.start()
        answer = self.ask(
            "spend", order, call_limit=SPEND_LIMIT - LOOK_LIMIT, till_key=self.key, claims=claims
        )
        if till_step == "spend again":
            answer = self.ask("spend", order, till_key=self.key, claims=claims)
        if till_step == "deaf":
            answer = None
        elif not answer or answer["status"] != "done":
            answer = self.ask("redemptions", order, call_limit=LOOK_LIMIT)
        sold.waited = time.monotonic() - begin
        rows = (answer or {}).get("redemptions", [])
        wanted = {one["uuid"] for one in held}
        return [
            row
            for row in rows
            if row["uuid"] in wanted
            and row["state"] in ("spent", "settled")
            and not row["is_dropped"]
        ]

    def _ask_as_neighbour(self, route, order, claims):
        with contextlib.suppress(requests.RequestException, BenchError):
            self.neighbour.call(
                f"/pos_loyalty_engine/{route}",
                config_id=self.ids["config_id"],
                session_id=self.ids["session_id"],
                order_uuid=order.uuid,
                till_key=self.key,
                claims=claims,
            )

    # === Other ends than paid ===

    def _give_up(self, order, how):
        """Delete or cancel an order for which something may be spent.

        :return: whether nobody will pay it. Where the server can't be told, it stays as it is.
        """
        answer = self.ask("abandon", order, till_key=self.key)
        if not answer or answer["status"] != "done":
            # Nobody knows whether the server has heard: the discount is not this order's any more.
            raise Gone
        method = "remove_from_ui" if how == "delete" else "action_pos_order_cancel"
        with contextlib.suppress(requests.RequestException, BenchError):
            self.cashier.call_model("pos.order", method, order.server_ids())
        return True

    def _delete_as_neighbour(self, order, sold, is_spent):
        """Another till may not delete an order that is at payment with something spent."""
        if not is_spent:
            return
        with contextlib.suppress(requests.RequestException):
            try:
                self.neighbour.call_model("pos.order", "remove_from_ui", order.server_ids())
            except ServerRefused:
                return
            sold.notes.append("another till could delete it at payment")

    def _bring(self, order, state, carried=None):
        """Bring an order to the server, however often it takes."""
        deadline = time.monotonic() + SYNC_LIMIT
        while True:
            try:
                order.sync(state, carried)
                return
            except (requests.RequestException, ServerRefused) as error:
                if time.monotonic() > deadline:
                    raise BenchError(f"An order can't be brought to the server: {error}") from error
            time.sleep(0.5)

    # === Calls ===

    def ask(self, route, order, call_limit=ANSWER_LIMIT, **values):
        """The answer of one of the module's routes; None where none came."""
        try:
            return self.cashier.call(
                f"/pos_loyalty_engine/{route}",
                call_limit=call_limit,
                config_id=self.ids["config_id"],
                session_id=self.ids["session_id"],
                order_uuid=order.uuid,
                **values,
            )
        except (requests.RequestException, ServerRefused):
            return None


class _Order:
    """An order as its till has it."""

    def __init__(self, till, sale, member):
        self._till = till
        self._member = member
        self._stage = till._stage
        self.uuid = str(uuid.uuid4())
        shop = self._stage.shop
        self._lines = [
            (str(uuid.uuid4()), shop["products"][product], quantity)
            for product, quantity in sale.basket
        ]
        self.total = sum(
            _cents(product["price"]) * quantity for _id, product, quantity in self._lines
        )
        self.worth = {}
        self._names = {}
        self._faults = []

    # === Faults that are aimed at requests of this order ===

    def aim(self, rule, method, path, **limits):
        """Let one request go wrong: ``limits`` says which of those to this address."""
        rule = {**rule, "method": method, "path": path, "times": 1, **limits}
        self._faults.append(self._stage.sandbox.add_fault(**rule))

    def aim_at_spending(self, mishap, redemption):
        """At the request that spends or gives back a redemption, or the look before it."""
        if mishap.at == BALANCE:
            self.aim(mishap.rule, "GET", f"/users/{redemption['member_ref']}/wallet")
        elif mishap.at not in (SPEND, RETURN):
            return
        elif redemption["kind"] == "points":
            skip = 1 if mishap.at == RETURN else 0
            self.aim(mishap.rule, "POST", "/events", body=f'"{redemption["uuid"]}"', skip=skip)
        elif mishap.at == SPEND:
            code = f'"{self._names[redemption["uuid"]]}"'
            self.aim(mishap.rule, "POST", "/commands/validate_voucher", body=code)

    def take_faults_off(self):
        for number in self._faults:
            self._stage.sandbox.remove_fault(number)

    # === Redemptions ===

    def hold(self, wish, member, mishap):
        """:return: the redemption as the till sees it; None where it isn't held"""
        left = self.total - sum(self.worth.values())
        if wish.voucher is not None:
            voucher = self._till._vouchers[wish.voucher]
            if mishap and mishap.where == "engine" and mishap.at == CHECK:
                code = f'"{voucher["code"]}"'
                self.aim(mishap.rule, "POST", "/commands/validate_voucher", body=code)
            answer = self._till.ask(
                "hold_voucher", self, member_ref=member, code=voucher["code"], presented="scan"
            )
        else:
            answer = self._till.ask(
                "hold_points",
                self,
                member_ref=member,
                points=wish.points,
                due=str(left),
                presented="scan",
            )
        if not answer or answer["status"] != "held":
            return None
        redemption = answer["redemption"]
        self.worth[redemption["uuid"]] = min(self._value(redemption, left), left)
        if wish.voucher is not None:
            self._names[redemption["uuid"]] = voucher["code"]
        return redemption

    def _value(self, redemption, left):
        if redemption["kind"] == "points":
            return Decimal(redemption["amount"])
        (discount,) = redemption["discounts"]
        if discount["type"] == "PERCENTAGE":
            return _cents(left * Decimal(discount["value"]) / 100)
        return Decimal(discount["value"])

    def take_off(self, carried, redemption_uuid):
        """Off the order first, and then told: an answer that gets lost can do no harm then."""
        del carried[redemption_uuid]
        self._till.ask("release", self, uuids=[redemption_uuid], till_key=self._till.key)

    # === The server's copy ===

    def server_ids(self):
        found = self._till.cashier.call_model(
            "pos.order", "search_read", [("uuid", "=", self.uuid)], ["id"]
        )
        return [row["id"] for row in found]

    def sync(self, state, carried=None):
        """Send the order as a till sends it: whole, with what the server has already by its id."""
        call_model = self._till.cashier.call_model
        shop, known = self._stage.shop, self._known_lines()
        total = self.total - sum((carried or {}).values())
        lines = [self._line(known, *line) for line in self._lines]
        for redemption_uuid, amount in (carried or {}).items():
            line = self._line(
                known,
                str(uuid.uuid5(uuid.UUID(self.uuid), redemption_uuid)),
                {"id": shop["discount_product_id"], "price": -amount},
                1,
            )
            line[2]["loyalty_engine_redemption"] = redemption_uuid
            lines.append(line)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        payment = {
            "uuid": str(uuid.uuid5(uuid.UUID(self.uuid), "payment")),
            "name": now,
            "amount": float(total),
            "payment_method_id": shop["payment_method_id"],
        }
        paid = state == "paid"
        call_model(
            "pos.order",
            "sync_from_ui",
            [
                {
                    "uuid": self.uuid,
                    "name": f"Order {self.uuid}",
                    "access_token": str(uuid.uuid5(uuid.UUID(self.uuid), "token")),
                    "session_id": self._till.ids["session_id"],
                    "date_order": now,
                    "lines": lines,
                    "payment_ids": [[0, 0, payment]] if paid else [],
                    "amount_total": float(total),
                    "amount_paid": float(total) if paid else 0,
                    "amount_tax": 0,
                    "amount_return": 0,
                    "state": state,
                    "to_invoice": False,
                    "last_order_preparation_change": "{}",
                    "loyalty_engine_member_ref": self._member,
                    "loyalty_engine_member_code": self._member,
                }
            ],
        )

    def _known_lines(self):
        found = self._till.cashier.call_model(
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


def _cents(amount):
    return Decimal(str(amount)).quantize(CENT, rounding=ROUND_HALF_UP)

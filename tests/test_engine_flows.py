"""The client against the sandbox engine, with the faults that networks have."""

from __future__ import annotations

import json
import unittest
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ..engine import (
    DEFAULT_EVENT_TEMPLATE,
    DEFAULT_ORDER_TEMPLATE,
    DEFAULT_REDEEM_TEMPLATE,
    Discount,
    DiscountUnreadable,
    EngineAuthFailed,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineSettings,
    EngineThrottled,
    EngineUnreachable,
    LoyaltyEngineClient,
    PointsFacts,
    Position,
    SaleFacts,
    SaleLine,
    SalePayment,
    SaleRedemption,
    build_order,
    build_points_event,
    build_sale_event,
    fact_path,
    points_path,
    read_discounts,
)
from ..sandbox import demo
from .sandbox_process import SandboxProcess

MEMBER = demo.MEMBERS[0]


def sale(total: str = "12.50") -> SaleFacts:
    return SaleFacts(
        transaction_id=str(uuid.uuid4()),
        store_id="372",
        cashier_id="hr.employee,5",
        currency="EUR",
        currency_decimals=2,
        total=Decimal(total),
        occurred_at=datetime.now(timezone.utc) - timedelta(seconds=30),
        lines=(SaleLine(sku="TEA-1", quantity=Decimal(1), amount=Decimal(total)),),
        payments=(SalePayment(kind="cash", amount=Decimal(total)),),
    )


def event_body(facts: SaleFacts, subject: str | None = MEMBER.id) -> bytes:
    return build_sale_event(
        facts, DEFAULT_EVENT_TEMPLATE, "POS_SALE", subject, "pos-config-3", "decimal"
    )


def an_hour_ago() -> datetime:
    return datetime.now(timezone.utc) - timedelta(hours=1)


class FlowCase(unittest.TestCase):
    sandbox: SandboxProcess

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.sandbox = SandboxProcess(reactor_delay=0.1)
        cls.sandbox.__enter__()
        cls.addClassCleanup(cls.sandbox.__exit__, None, None, None)

    def setUp(self) -> None:
        self.sandbox.reset()
        self.engine = self.connect()

    def connect(self, **more: Any) -> LoyaltyEngineClient:
        values: dict[str, Any] = {
            "rewards_url": self.sandbox.rewards_url,
            "receipts_url": self.sandbox.receipts_url,
            "token_url": self.sandbox.token_url,
            "api_key": demo.API_KEY,
            "client_id": demo.CLIENT_ID,
            "client_secret": demo.CLIENT_SECRET,
            "event_secret": demo.EVENT_SECRET,
            "deadline": 10.0,
        }
        engine = LoyaltyEngineClient(EngineSettings(**{**values, **more}))
        self.addCleanup(engine.close)
        return engine


class TestMembers(FlowCase):
    def test_identify(self) -> None:
        for identifier in (MEMBER.id, MEMBER.account_number):
            user, wallet = self.engine.get_member(identifier)
            self.assertEqual(user.id, MEMBER.id)
            self.assertEqual(user.account_number, MEMBER.account_number)
            self.assertEqual(user.auth_identifier, MEMBER.auth_identifier)
            self.assertEqual(user.external_identifier, MEMBER.external_identifier)
            self.assertEqual(user.given_name, MEMBER.given_name)
            self.assertEqual(wallet.balance, MEMBER.points)
            self.assertEqual(wallet.tier_name, MEMBER.tier)

    def test_every_reading_of_a_wallet(self) -> None:
        for key in ("pointsBalance", "points", "balance"):
            for tier in ("object", "name"):
                self.sandbox.set_options(wallet_balance_key=key, wallet_tier=tier)
                wallet = self.engine.get_wallet(MEMBER.id)
                self.assertEqual((wallet.balance, wallet.tier_name), (MEMBER.points, MEMBER.tier))
        self.sandbox.set_options(wallet_balance_key="missing")
        self.assertIsNone(self.engine.get_wallet(MEMBER.id).balance)

    def test_nobody(self) -> None:
        for identifier in (str(uuid.uuid4()), "9999999", "auth0|nobody", "a/b", "50%"):
            with self.subTest(identifier), self.assertRaises(EngineRejected) as caught:
                self.engine.get_member(identifier)
            self.assertEqual(caught.exception.status, 404)

    def test_restricted(self) -> None:
        restricted = next(member for member in demo.MEMBERS if member.restricted)
        self.assertTrue(self.engine.get_user(restricted.id).is_restricted)

    def test_negative_balance(self) -> None:
        below = next(member for member in demo.MEMBERS if member.points < 0)
        self.assertEqual(self.engine.get_wallet(below.id).balance, below.points)

    def test_tiers_and_settings(self) -> None:
        self.assertEqual(
            [tier.name for tier in self.engine.list_tiers()],
            [tier["name"] for tier in demo.TIERS],
        )
        self.assertEqual(self.engine.get_setting("pointsCurrencyValue"), "0.01")
        with self.assertRaises(EngineRejected):
            self.engine.get_setting("no.such/setting")

    def test_event_types(self) -> None:
        names = {kind.name for kind in self.engine.list_event_types()}
        self.assertEqual(names, {kind["name"] for kind in demo.EVENT_TYPES})
        kind = self.engine.get_event_type("POS_SALE")
        self.assertEqual((kind.is_private, kind.is_active), (True, True))
        self.assertEqual(kind.schema, demo.SALE_SCHEMA)


class TestSales(FlowCase):
    def test_event_and_its_points(self) -> None:
        for shape in ("list", "object"):
            for event_id in ("number", "uuid"):
                self.sandbox.set_options(reactions_shape=shape, event_id=event_id)
                facts = sale()
                event = self.engine.report_event(event_body(facts))
                self.assertEqual((event.type, event.subject), ("POS_SALE", MEMBER.id))
                self.assertEqual(event.payload["transactionId"], facts.transaction_id)
                self.assertIsNotNone(event.reported_at)
                self.sandbox.wait_for_reactors()
                reactions = self.engine.get_event_reactions(event.id)
                self.assertEqual((reactions.points, reactions.count), (12, 1))
                self.assertEqual(self.engine.get_event(event.id).payload, event.payload)

    def test_what_the_engine_holds(self) -> None:
        facts = sale()
        self.engine.report_event(event_body(facts))
        (held,) = self.sandbox.events()
        sent = json.loads(event_body(facts))
        self.assertEqual(held["payload"], sent["payload"])
        self.assertEqual(held["occurredAt"], sent["occurredAt"])
        self.assertEqual(held["memberId"], MEMBER.id)

    def test_sale_without_a_member(self) -> None:
        event = self.engine.report_event(event_body(sale(), subject=None))
        self.assertEqual(event.subject, "")

    def test_with_the_admin_token(self) -> None:
        self.connect(event_secret="").report_event(event_body(sale()))

    def test_rehearsal(self) -> None:
        for path, reading in (("/events/", "events"), ("/commands/", "commands")):
            self.sandbox.set_options(test_reaction_path=reading)
            engine = self.connect(test_reaction_path=f"{path}test_reaction")
            self.assertEqual(engine.test_reaction(event_body(sale("99.99"))).points, 99)
        self.assertEqual(self.sandbox.events(), [])

    def test_rejected(self) -> None:
        body = json.loads(event_body(sale()))
        for change in ({"type": "NO_SUCH"}, {"payload": {"total": "12"}}, {"more": 1}):
            with self.subTest(change=change), self.assertRaises(EngineRejected):
                self.engine.report_event(json.dumps({**body, **change}).encode())

    def test_order(self) -> None:
        for member in (MEMBER.auth_identifier, None):
            facts = sale()
            body = build_order(facts, DEFAULT_ORDER_TEMPLATE, member, "decimal")
            receipt = self.engine.report_order(body)
            held = self.sandbox.orders()[-1]
            self.assertEqual(held["id"], receipt.id)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.engine.get_wallet(MEMBER.id).balance, MEMBER.points + 12)

    def test_search(self) -> None:
        path = fact_path(DEFAULT_EVENT_TEMPLATE)
        sales = [sale() for _ in range(3)]
        for facts in sales[:2]:
            self.engine.report_event(event_body(facts))
        found = self.engine.find_events(
            path or "",
            {facts.transaction_id: an_hour_ago() for facts in sales},
            "POS_SALE",
        )
        self.assertEqual(found.keys(), {facts.transaction_id for facts in sales[:2]})


class TestVouchers(FlowCase):
    def code(self, reward: str = "5.00 off") -> str:
        return str(self.sandbox.add_benefit(MEMBER.id, reward)["code"])

    def test_wallet(self) -> None:
        for key in ("vouchers", "benefits"):
            self.sandbox.set_options(wallet_vouchers_key=key)
            wallet = self.engine.get_wallet(MEMBER.id)
            codes = [entry.code for entry in demo.BENEFITS if entry.member_id == MEMBER.id]
            self.assertEqual([benefit.code for benefit in wallet.benefits], codes)
            self.assertIs(wallet.benefits_complete, True)
            self.assertEqual(wallet.benefits[0].name, "5.00 off")
            self.assertEqual(wallet.benefits[0].owner_id, MEMBER.id)
        self.sandbox.set_options(wallet_vouchers_key="missing")
        wallet = self.engine.get_wallet(MEMBER.id)
        self.assertEqual((wallet.benefits, wallet.benefits_complete), ((), False))
        self.assertEqual(wallet.balance, MEMBER.points)

    def test_what_they_are_worth(self) -> None:
        for code, worth in (
            ("MIA-FIVE", Discount("ABSOLUTE", Decimal(5))),
            ("MIA-TEN", Discount("PERCENTAGE", Decimal(10))),
            ("MIA-PIE", Discount("FIXED", Decimal(9), ("APPLE-PIE",))),
            (
                "MIA-CROISSANT",
                Discount("PERCENTAGE", Decimal(20), ("BUTTER-CROISSANT", "CHEESE-CROISSANT")),
            ),
        ):
            for reading in ("reward", "top", "benefit", "none"):
                with self.subTest(code=code, reading=reading):
                    self.sandbox.set_options(voucher_answer=reading)
                    check = self.engine.validate_voucher(code, True, MEMBER.id)
                    told = check.discounts
                    if reading == "none":
                        self.assertIsNone(told)
                        told = self.engine.list_discounts(check.reward.id)
                    self.assertEqual(read_discounts(told, 2), (worth,))
        check = self.engine.validate_voucher("MIA-THIRTY", True)
        self.assertEqual(check.reward.min_amount, 30)
        check = self.engine.validate_voucher("MIA-HARBOUR", True, "", "harbour-kiosk")
        self.assertEqual(check.reward.venues, (demo.VENUES[1]["id"],))
        check = self.engine.validate_voucher("MIA-THREE", True)
        with self.assertRaises(DiscountUnreadable):
            read_discounts(check.discounts, 2)

    def test_check_redeem_and_burn(self) -> None:
        wallet = self.engine.get_wallet(MEMBER.id)
        (later,) = [benefit for benefit in wallet.benefits if benefit.code == "Mia later"]
        self.assertIsNone(later.redeemed_at)
        with self.assertRaises(EngineRejected):
            self.engine.validate_voucher(later.code, True)
        redeemed = self.engine.redeem_benefit(later.id, Position(8.5, 50))
        self.assertIsNotNone(redeemed.redeemed_at)
        checked = self.engine.validate_voucher(later.code, True, MEMBER.id, "corner-bakery")
        self.assertIsNone(checked.burned_at)
        burned = self.engine.validate_voucher(later.code, False, MEMBER.id, "corner-bakery")
        found = self.engine.get_benefit(later.id)
        self.assertEqual(found.burned_at, burned.burned_at)
        self.assertEqual(found.validated_at, checked.validated_at)
        # By the engine's own clock, whole seconds: what a ledger compares `burned_at` with.
        self.assertLess(abs(burned.engine_time - burned.burned_at), timedelta(seconds=5))
        (burn,) = self.sandbox.burns(later.id)
        self.assertEqual(burn["userIdentifier"], MEMBER.id)
        with self.assertRaises(EngineRejected):
            self.engine.validate_voucher(later.code, True)

    def test_what_each_fault_means_for_a_burn(self) -> None:
        for rule, kind, done in (
            ({"kind": "drop_before"}, EngineOutcomeUnknown, 0),
            ({"kind": "drop_after"}, EngineOutcomeUnknown, 1),
            ({"kind": "late", "seconds": 0}, EngineOutcomeUnknown, 1),
            ({"kind": "error", "done": True}, EngineOutcomeUnknown, 1),
            ({"kind": "unreadable"}, EngineOutcomeUnknown, 1),
            ({"kind": "refuse", "status": 409, "done": True}, EngineOutcomeUnknown, 1),
            ({"kind": "refuse", "status": 422}, EngineRejected, 0),
            ({"kind": "refuse", "status": 200}, EngineRejected, 0),
            ({"kind": "throttle"}, EngineThrottled, 0),
        ):
            with self.subTest(rule=rule):
                self.sandbox.reset()
                code = self.code()
                burn = {
                    "path": "/commands/validate_voucher",
                    "body": '"allowFutureValidation":false',
                }
                self.sandbox.faults(**rule, **burn)
                self.engine.validate_voucher(code, True)
                with self.assertRaises(kind):
                    self.engine.validate_voucher(code, False, deadline=2.0)
                if done:
                    # One of them only when the client has given up.
                    self.sandbox.wait_until(self.sandbox.burns, "it burned")
                self.assertEqual(len(self.sandbox.burns()), done)
                sent = [entry for entry in self.sandbox.requests() if b":false" in entry["body"]]
                self.assertEqual(len(sent), 1)

    def test_refused_in_every_reading(self) -> None:
        for reading, kind in (
            ("422", EngineRejected),
            ("400", EngineRejected),
            ("404", EngineRejected),
            ("200", EngineRejected),
            # A conflict may be our own doing: look it up.
            ("409", EngineOutcomeUnknown),
        ):
            self.sandbox.set_options(voucher_refusal=reading)
            with self.subTest(reading=reading), self.assertRaises(kind):
                self.engine.validate_voucher("MIA-USED", True)


class TestPoints(FlowCase):
    def facts(self, points: int = 500) -> PointsFacts:
        return PointsFacts(
            redemption_id=str(uuid.uuid4()),
            transaction_id=str(uuid.uuid4()),
            points=Decimal(points),
            amount=Decimal(points) / 100,
            currency="EUR",
            currency_decimals=2,
            till_id="pos-1",
            occurred_at=datetime.now(timezone.utc),
        )

    def report(self, kind: str, facts: PointsFacts) -> str:
        body = build_points_event(facts, DEFAULT_REDEEM_TEMPLATE, kind, MEMBER.id, "pos-1")
        return self.engine.report_event(body, event_secret="").id

    def test_spent_found_and_given_back(self) -> None:
        facts = self.facts()
        spent = self.report("REDEEMED_POINTS", facts)
        found = self.engine.find_events(
            points_path(DEFAULT_REDEEM_TEMPLATE),
            {facts.redemption_id: an_hour_ago()},
            "REDEEMED_POINTS",
        )
        self.assertEqual(found[facts.redemption_id].id, spent)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.engine.get_event_reactions(spent).points, -500)
        self.assertEqual(self.engine.get_wallet(MEMBER.id).balance, MEMBER.points - 500)
        self.report("POINTS_REFUND", facts)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.engine.get_wallet(MEMBER.id).balance, MEMBER.points)

    def test_sale_that_tells_of_it(self) -> None:
        used = (
            SaleRedemption(kind="voucher", redemption_id="r-1", amount=Decimal(5), benefit_id="b"),
            SaleRedemption(
                kind="points", redemption_id="r-2", points=Decimal(250), amount=Decimal("2.50")
            ),
        )
        facts = replace(sale(), redemptions=used, earning_total=Decimal(10))
        event = self.engine.report_event(event_body(facts))
        self.assertEqual(len(event.payload["redemptions"]), 2)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.engine.get_event_reactions(event.id).points, 10)


class TestFaults(FlowCase):
    def report(self, **options: Any) -> SaleFacts:
        facts = sale()
        self.engine.report_event(event_body(facts), **options)
        return facts

    def test_what_each_fault_means(self) -> None:
        for rule, kind, done in (
            ({"kind": "drop_before"}, EngineOutcomeUnknown, 0),
            ({"kind": "drop_after"}, EngineOutcomeUnknown, 1),
            ({"kind": "down"}, EngineOutcomeUnknown, 0),
            ({"kind": "error", "status": 503}, EngineOutcomeUnknown, 0),
            ({"kind": "error", "status": 500, "done": True}, EngineOutcomeUnknown, 1),
            ({"kind": "unreadable", "form": "html"}, EngineOutcomeUnknown, 1),
            ({"kind": "unreadable", "form": "garbage"}, EngineOutcomeUnknown, 1),
            ({"kind": "unreadable", "form": "empty"}, EngineOutcomeUnknown, 1),
            ({"kind": "unreadable", "form": "incomplete"}, EngineOutcomeUnknown, 1),
            ({"kind": "throttle", "retry_after": 2}, EngineThrottled, 0),
        ):
            with self.subTest(rule=rule):
                self.sandbox.reset()
                self.sandbox.faults(**rule, path="/events")
                with self.assertRaises(kind):
                    self.report()
                self.assertEqual(len(self.sandbox.events()), done)
                sent = [each for each in self.sandbox.requests() if each["path"] == "/v1/events"]
                self.assertEqual(len(sent), 1)

    def test_slow(self) -> None:
        self.sandbox.faults(kind="latency", seconds=6, path="/events")
        with self.assertRaises(EngineOutcomeUnknown):
            self.report(deadline=2.0)

    def test_late(self) -> None:
        self.sandbox.faults(kind="late", seconds=0.2, path="/events")
        with self.assertRaises(EngineOutcomeUnknown):
            self.report(deadline=2.0)
        self.sandbox.wait_until(lambda: len(self.sandbox.events()) == 1, "the late event is there")

    def test_token_that_was_withdrawn(self) -> None:
        self.engine.get_user(MEMBER.id)
        self.sandbox.faults(kind="wrong_token", times=1)
        self.assertEqual(self.engine.get_user(MEMBER.id).id, MEMBER.id)
        self.sandbox.faults(kind="wrong_token")
        with self.assertRaises(EngineAuthFailed):
            self.engine.get_user(MEMBER.id)

    def test_wrong_credentials(self) -> None:
        for change in ({"api_key": "another"}, {"client_secret": "another"}):
            with self.assertRaises(EngineAuthFailed):
                self.connect(**change).get_user(MEMBER.id)
        with self.assertRaises(EngineAuthFailed):
            self.connect(event_secret="another").report_event(event_body(sale()))

    def test_read_over_a_shaky_line(self) -> None:
        self.sandbox.faults(kind="drop_before", times=1, path="/users/*")
        self.assertEqual(self.engine.get_user(MEMBER.id).id, MEMBER.id)

    def test_down_and_back(self) -> None:
        self.engine.get_user(MEMBER.id)
        self.sandbox.stop()
        try:
            with self.assertRaises(EngineUnreachable):
                self.report()
            with self.assertRaises(EngineUnreachable):
                self.engine.get_user(MEMBER.id)
        finally:
            self.sandbox.start()
        facts = self.report()
        (held,) = self.sandbox.events()
        self.assertEqual(held["payload"]["transactionId"], facts.transaction_id)

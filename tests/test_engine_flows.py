"""The client against the sandbox engine, with the faults that networks have."""

from __future__ import annotations

import json
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ..engine import (
    DEFAULT_EVENT_TEMPLATE,
    DEFAULT_ORDER_TEMPLATE,
    EngineAuthFailed,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineSettings,
    EngineThrottled,
    EngineUnreachable,
    LoyaltyEngineClient,
    SaleFacts,
    SaleLine,
    SalePayment,
    build_order,
    build_sale_event,
    fact_path,
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
            {facts.transaction_id for facts in sales},
            "POS_SALE",
            datetime.now(timezone.utc) - timedelta(hours=1),
        )
        self.assertEqual(found.keys(), {facts.transaction_id for facts in sales[:2]})


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

import json
import time
import uuid
from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

import psycopg2

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..controllers import redemption as redemption_controller
from ..models import loyalty_engine_lookup
from ..models.loyalty_engine import SECRETS
from ..models.loyalty_engine_redemption import LedgerBusy
from ..sandbox import demo
from .common import MANAGER, TillCase, new_user

LATE = 900
RECOVERY = "odoo.addons.pos_loyalty_engine.models.loyalty_engine_recovery"
REDEEMER = "odoo.addons.pos_loyalty_engine.models.loyalty_engine_redeemer"


@tagged("post_install", "-at_install")
class RedemptionCase(TillCase):
    """Spending as a till asks for it; what the tests write and what the ledger writes is one
    transaction here. That they are several in truth is what the drill is for."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine.write(
            {"accepts_vouchers": True, "points_value_source": "fixed", "points_ready": True}
        )
        cls.config.loyalty_engine_points_booking = "discount"
        cls.recovery = cls.env.ref("pos_loyalty_engine.ir_cron_recover_redemptions")
        cls.audit = cls.env.ref("pos_loyalty_engine.ir_cron_audit_redemptions")

    def setUp(self):
        super().setUp()
        self.sandbox.set_options(reactor_delay=0, reward_currency=self.config.currency_id.name)
        self.order_uuid = str(uuid.uuid4())

    # === As a till ===

    def hold_points(self, points=500, order_uuid=None, **values):
        return self.ask(
            "hold_points",
            **{
                "order_uuid": order_uuid or self.order_uuid,
                "member_ref": self.member.id,
                "due": "40.00",
                "points": points,
                "presented": "scan",
                **values,
            },
        )

    def held_points(self, *arguments, **values):
        answer = self.hold_points(*arguments, **values)
        self.assertEqual(answer["status"], "held", answer)
        return answer["redemption"]

    def spend(
        self,
        *redemptions,
        order_uuid=None,
        till_key="till-1",
        status="done",
        asked_at=None,
        **amounts,
    ):
        """Spend held redemptions; :return: their states, by uuid

        :param asked_at: when, by the till; None: it doesn't know what time it is here
        :param amounts: what is taken off for them, if not what their points are worth, by uuid
        """
        answer = self.ask(
            "spend",
            order_uuid=order_uuid or self.order_uuid,
            till_key=till_key,
            claims=[
                {"uuid": one["uuid"], "amount": amounts.get(one["uuid"], one["amount"])}
                for one in redemptions
            ],
            asked_at=asked_at,
        )
        self.assertEqual(answer["status"], status, answer)
        return {one["uuid"]: one for one in answer["redemptions"]}

    def spent_points(self, points=500):
        redemption = self.held_points(points)
        states = self.spend(redemption)
        self.assertEqual(states[redemption["uuid"]]["state"], "spent")
        return redemption

    def row(self, redemption):
        self.env.invalidate_all()
        return self.env["loyalty.engine.redemption"].search([("uuid", "=", redemption["uuid"])])

    def assertState(self, redemption, state):
        self.assertEqual(self.row(redemption).state, state)

    # === What passes meanwhile ===

    def recover(self):
        with self.enter_registry_test_mode(), self.assertNoLogs(RECOVERY, "ERROR"):
            self.recovery.method_direct_trigger()
        self.env.invalidate_all()

    def let_pass(self, seconds):
        """Let this time pass for all redemptions."""
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_redemption
               SET sent_at = sent_at - %(passed)s, spent_at = spent_at - %(passed)s,
                   hold_until = hold_until - %(passed)s,
                   lease_until = lease_until - %(passed)s, look_up_at = look_up_at - %(passed)s,
                   create_date = create_date - %(passed)s
            """,
            {"passed": timedelta(seconds=seconds)},
        )
        self.env.invalidate_all()

    def spend_too_late(self, redemption, **fault):
        """Spend it; the request is on its way until it counts as never arrived, and arrives when
        the faults are cleared.

        :param fault: of which request, as the sandbox has it
        """
        self.sandbox.faults(kind="hold", **fault)
        with patch(f"{REDEEMER}.SPEND_LIMIT", 2.5):
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "unknown")
        self.end_the_rest()
        self.let_pass(LATE)
        self.recover()
        self.assertState(redemption, "released")

    def pay(self, *redemptions, order_uuid=None, off=5):
        """Store the order, paid, with a line for each redemption that it carries.

        :param off: what each takes off
        """
        order = self.sell(quantity=4, uuid=order_uuid or self.order_uuid)
        for redemption in redemptions:
            order.lines[0].copy(
                {
                    "order_id": order.id,
                    "loyalty_engine_redemption": redemption["uuid"],
                    "qty": 1,
                    "price_unit": -off,
                }
            )
        order._compute_prices()
        return order

    def points(self):
        return self.sandbox.member(self.member.id)["points"]

    def cases(self, kind=None):
        return self.env["loyalty.engine.case"].search([("kind", "=", kind)] if kind else [])


@tagged("post_install", "-at_install")
class TestRedemption(RedemptionCase):
    FIVE, TEN, PIE, THIRTY, HARBOUR, THREE, LATER, USED, OLD = (
        demo.BENEFITS[number] for number in (0, 1, 2, 4, 5, 6, 7, 8, 9)
    )

    # === Points ===

    def test_points_from_hold_to_sale(self):
        """Held, spent with one event, settled by the order that carries it."""
        before = self.points()
        redemption = self.held_points(500)
        self.assertEqual(redemption["amount"], "5")
        self.assertEqual(self.points(), before)

        self.spend(redemption)
        self.sandbox.wait_for_reactors()
        (event,) = self.events("REDEEMED_POINTS")
        self.assertEqual(event["subject"], self.member.id)
        self.assertEqual(event["payload"]["points"], 500)
        self.assertEqual(event["payload"]["redemptionId"], redemption["uuid"])
        self.assertEqual(event["payload"]["transactionId"], self.order_uuid)
        self.assertEqual(self.points(), before - 500)

        self.pay(redemption)
        self.recover()
        row = self.row(redemption)
        self.assertEqual(row.state, "settled")
        self.assertEqual(row.points_taken, 500)
        # Settled first, and then its reaction is seen.
        self.assertEqual(
            row.step_ids.mapped("to_state"), ["held", "spending", "spent", "settled", "settled"]
        )
        self.assertEqual(row.step_ids[:3].user_id, self.cashier)
        self.assertEqual(row.step_ids[:3].mapped("config_id"), self.config)
        self.assertFalse(self.cases())

    def test_what_nobody_waits_for_any_more_is_not_sent(self):
        """A busy server takes a request up when the till has long given it up."""
        redemption = self.held_points(500)
        spent = self.spend(redemption, asked_at=time.time() - 6)
        self.assertEqual(spent[redemption["uuid"]]["state"], "held")
        self.assertFalse(self.events("REDEEMED_POINTS"))

        self.spend(redemption, asked_at=time.time() - 1)
        self.assertState(redemption, "spent")

    def test_a_till_with_a_wrong_clock_can_spend(self):
        for asked_at in (time.time() + 3600, 10**400, "noon"):
            order_uuid = str(uuid.uuid4())
            redemption = self.held_points(100, order_uuid)
            self.spend(redemption, order_uuid=order_uuid, asked_at=asked_at)
            self.assertState(redemption, "spent")

    def test_money_is_counted_down_and_points_up(self):
        self.engine.write({"points_value": 0.0033, "points_step": 10})
        redemption = self.held_points(None, amount="1.00")
        # 303 points are worth 0.9999: 0.99. In tens 310 are needed, of which 1.00 is taken.
        self.assertEqual((redemption["points"], redemption["amount"]), (310, "1"))
        redemption = self.held_points(305)
        self.assertEqual((redemption["points"], redemption["amount"]), (300, "0.99"))

    def test_never_more_than_the_order_is_worth(self):
        redemption = self.held_points(5000, due="3.456")
        self.assertEqual((redemption["points"], redemption["amount"]), (346, "3.456"))

    def test_bounds(self):
        self.engine.write({"points_min": 100, "points_max": 600, "points_max_day": 700})
        for points in (99, 601):
            self.assertEqual(self.hold_points(points)["status"], "limit")
        self.spent_points(600)
        other = str(uuid.uuid4())
        self.assertEqual(self.hold_points(101, other)["status"], "limit")
        self.assertEqual(self.hold_points(100, other)["status"], "held")

    def test_the_daily_maximum_counts_at_the_spend_too(self):
        self.engine.points_max_day = 1000
        self.sandbox.adjust(self.member.id, points=5000)
        first = self.held_points(1000)
        self.let_pass(1000)
        self.recover()
        other = str(uuid.uuid4())
        self.spend(self.held_points(1000, other), order_uuid=other)
        refused = self.spend(first)[first["uuid"]]
        self.assertEqual(refused["state"], "refused")
        self.assertIn("1000", refused["reason"])
        self.assertEqual(len(self.events("REDEEMED_POINTS")), 1)

    def test_what_others_hold_is_not_available(self):
        balance = self.points()
        self.held_points(500)
        answer = self.hold_points(balance - 499, str(uuid.uuid4()), due="1000")
        self.assertEqual(answer, {"status": "too_many", "available": balance - 500})

    def other_connection(self):
        """The same tenant, once more: each company needs a connection of its own."""
        other = self.engine.copy({"name": "Again", "rewards_url": f"{self.engine.rewards_url}/"})
        other.write({name: self.engine[name] for name in SECRETS})
        other.points_ready = True
        return other

    def connect(self, engine):
        """As a till of another company is, while a session is open."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE pos_config SET loyalty_engine_id = %s WHERE id = %s",
            (engine.id, self.config.id),
        )
        self.env.invalidate_all()

    def test_what_another_connection_to_the_same_tenant_holds_is_not_available(self):
        balance = self.points()
        self.engine.points_max_day = 700
        first = self.held_points(500)
        self.connect(self.other_connection())
        other = str(uuid.uuid4())
        answer = self.hold_points(balance - 499, other, due="1000")
        self.assertEqual(answer, {"status": "too_many", "available": balance - 500})
        self.config.loyalty_engine_id.points_max_day = 700
        self.assertEqual(self.hold_points(201, other)["status"], "limit")
        # Nor is what it has spent, as long as the balance may not show it.
        self.connect(self.engine)
        self.sandbox.set_options(redeem_reactor="held")
        self.spend(first)
        self.connect(self.engine.search([("name", "=", "Again")]))
        answer = self.hold_points(balance - 499, other, due="1000")
        self.assertEqual(answer, {"status": "too_many", "available": balance - 500})

    def test_a_voucher_stays_claimed_when_the_client_id_is_exchanged(self):
        redeemer = self.env["loyalty.engine.redeemer"]
        issuer = redeemer._background_terms(self.engine).issuer
        self.engine.client_id = "another"
        self.assertEqual(redeemer._background_terms(self.engine).issuer, issuer)
        self.assertEqual(redeemer._background_terms(self.other_connection()).issuer, issuer)
        # Another tenant's are others.
        self.engine.rewards_url = "http://127.0.0.1:9/v1"
        self.assertNotEqual(redeemer._background_terms(self.engine).issuer, issuer)

    def test_members_that_the_engine_never_told_of_are_not_tried_endlessly(self):
        self.assertEqual(self.hold_points()["status"], "held")
        with patch.object(loyalty_engine_lookup, "MISSES_PER_WINDOW", 3):
            for _time in range(3):
                answer = self.ask("points_terms", member_ref="nobody", order_uuid=self.order_uuid)
                self.assertEqual(answer["status"], "unknown")
            for route in ("points_terms", "vouchers"):
                more = {"order_uuid": self.order_uuid} if route == "points_terms" else {}
                self.assertEqual(self.ask(route, member_ref="x", **more)["status"], "limited")
            self.assertEqual(self.hold_points(member_ref="nobody")["status"], "limited")
            # Whom it has told of is asked for as before.
            self.assertEqual(self.hold_points(300)["status"], "held")

    def test_a_member_goes_by_one_name(self):
        """Two names were two members, each with the whole balance."""
        answer = self.hold_points(member_ref=self.member.account_number)
        self.assertEqual(answer["status"], "unknown")

    def test_a_second_amount_replaces_the_first(self):
        first = self.held_points(500)
        second = self.held_points(300)
        self.assertState(first, "released")
        self.assertState(second, "held")

    def test_a_second_amount_that_is_refused_leaves_the_first(self):
        first = self.held_points(500)
        self.assertEqual(self.hold_points(self.points() + 1, due="1000")["status"], "too_many")
        self.assertState(first, "held")

    def claim(self, redemption, amount):
        """Spend what is held with less taken off than it was held for."""
        return self.spend({**redemption, "amount": amount})[redemption["uuid"]]

    def test_no_more_points_than_the_order_takes_off(self):
        """Goods went after they were held: they are lowered to the fewest that are worth it."""
        before = self.points()
        redemption = self.held_points(500)
        spent = self.claim(redemption, "3.00")
        self.assertEqual(
            (spent["points"], spent["amount"], spent["frozen_amount"]), (300, "3", "3")
        )
        (event,) = self.events("REDEEMED_POINTS")
        self.assertEqual(event["payload"]["points"], 300)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.points(), before - 300)
        # The others are free again.
        other = str(uuid.uuid4())
        self.assertEqual(self.hold_points(before - 300, other, due="1000")["status"], "held")

    def test_points_are_lowered_in_whole_steps_and_never_raised(self):
        self.engine.points_step = 40
        self.sandbox.adjust(self.member.id, points=5000)
        for claimed, points in (("3.01", 320), ("4.79", 480), ("4.80", 480), ("9.00", 480)):
            with self.subTest(claimed=claimed):
                self.order_uuid = str(uuid.uuid4())
                redemption = self.held_points(500)
                self.assertEqual(redemption["points"], 480)
                spent = self.claim(redemption, claimed)
                self.assertEqual(spent["points"], points)
                self.assertLessEqual(float(spent["frozen_amount"]), 4.80)

    def test_points_that_were_lowered_and_not_sent_are_held_as_before(self):
        redemption = self.held_points(500)
        self.sandbox.faults(kind="throttle", method="POST", path="/events")
        held = self.claim(redemption, "3.00")
        self.assertEqual((held["state"], held["points"], held["amount"]), ("held", 500, "5"))
        self.sandbox.clear_faults()
        self.end_the_rest()
        self.assertEqual(self.claim(redemption, "5.00")["points"], 500)

    def test_nothing_is_spent_for_what_takes_nothing_off(self):
        redemption = self.held_points(500)
        self.assertEqual(self.claim(redemption, "0")["state"], "held")
        self.assertFalse(self.events("REDEEMED_POINTS"))

    def test_what_is_sent_counts_until_its_reaction_is_seen(self):
        balance = self.points()
        self.sandbox.set_options(redeem_delay=5)
        self.spent_points(500)
        answer = self.hold_points(balance - 499, str(uuid.uuid4()), due="1000")
        self.assertEqual(answer["status"], "too_many")
        self.assertEqual(answer["available"], balance - 500)

    def test_a_reaction_that_was_seen_counts_once(self):
        balance = self.points()
        self.spent_points(500)
        self.sandbox.wait_for_reactors()
        answer = self.ask("points_terms", member_ref=self.member.id, order_uuid=str(uuid.uuid4()))
        self.assertEqual(answer["balance"], balance - 500)
        self.assertEqual(answer["available"], balance - 500)

    def reactions_asked(self):
        return [one for one in self.sandbox.requests() if one["path"].endswith("/reactions")]

    def test_reactions_that_are_not_to_be_read(self):
        """What was sent is subtracted for as long as it can be late; nobody asks."""
        self.engine.can_read_reactions = False
        balance = self.points()
        self.spent_points(500)
        self.sandbox.wait_for_reactors()
        terms = {"member_ref": self.member.id, "order_uuid": str(uuid.uuid4())}
        self.assertEqual(self.ask("points_terms", **terms)["available"], balance - 1000)
        self.let_pass(LATE + 10)
        self.assertEqual(self.ask("points_terms", **terms)["available"], balance - 500)
        self.assertFalse(self.reactions_asked())

    def test_reactions_that_can_not_be_read(self):
        """The member can still spend what is surely there."""
        balance, other = self.points(), str(uuid.uuid4())
        spent = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        for fault in (
            {"kind": "refuse", "status": 404},
            {"kind": "refuse", "status": 403},
            {"kind": "unreadable"},
        ):
            with self.subTest(**fault):
                self.sandbox.faults(path="/events/*/reactions", **fault)
                answer = self.hold_points(balance - 1000, other)
                self.assertEqual(answer["status"], "held", answer)
                self.assertFalse(self.row(spent).shown_at)
                # It counts as not shown yet.
                answer = self.hold_points(balance - 999, other, due="1000")
                self.assertEqual(answer, {"status": "too_many", "available": balance - 1000})
        self.assertTrue(self.reactions_asked())

    def test_refused_at_the_spend_when_another_channel_was_faster(self):
        redemption = self.held_points(500)
        self.sandbox.adjust(self.member.id, points=-(self.points() - 499))
        spent = self.spend(redemption)[redemption["uuid"]]
        self.assertEqual(spent["state"], "refused")
        self.assertIn("499", spent["reason"])
        self.assertFalse(self.events("REDEEMED_POINTS"))

    def test_an_expired_hold_is_spent_if_there_is_enough(self):
        redemption = self.held_points(500)
        self.let_pass(1000)
        self.recover()
        self.assertState(redemption, "expired")
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")

    def test_an_expired_hold_is_not_spent_twice(self):
        """What another order has spent since then isn't there any more."""
        balance = self.points()
        first = self.held_points(balance, due="1000")
        self.let_pass(1000)
        self.recover()
        other = str(uuid.uuid4())
        second = self.held_points(balance, other, due="1000")
        self.spend(second, order_uuid=other)
        self.assertEqual(self.spend(first)[first["uuid"]]["state"], "refused")
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.points(), 0)

    def test_asked_twice_spent_once(self):
        redemption = self.held_points(500)
        for _time in range(2):
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")
        self.assertEqual(len(self.events("REDEEMED_POINTS")), 1)

    def test_a_paid_or_cancelled_order_spends_nothing(self):
        redemption = self.held_points(500)
        self.pay()
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "refused")
        self.assertFalse(self.events("REDEEMED_POINTS"))

    def test_fraud_limits(self):
        self.engine.own_card_only = True
        for presented in ("picked", "typed", None):
            self.assertEqual(self.hold_points(presented=presented)["status"], "needs_card")
        self.engine.write({"manager_pin": "4711", "pin_above": 4.99})
        self.assertEqual(self.hold_points(), {"status": "needs_pin", "is_wrong": False})
        self.assertEqual(self.hold_points(pin="4712"), {"status": "needs_pin", "is_wrong": True})
        self.assertEqual(self.hold_points(pin="4711")["status"], "held")
        self.assertEqual(self.hold_points(499)["status"], "held")

    def test_a_pin_that_is_no_pin(self):
        self.engine.write({"manager_pin": "4711", "pin_above": 1})
        self.assertEqual(self.hold_points(pin="47ä1"), {"status": "needs_pin", "is_wrong": True})

    def test_other_credentials_are_tested_before_points_are_spent(self):
        for name in ("client_id", "api_key", "rewards_url", "redeem_event_type"):
            with self.subTest(changed=name):
                self.engine.points_ready = True
                self.engine[name] = {"redeem_event_type": "OTHER"}.get(name, "http://127.0.0.1:9")
                self.assertFalse(self.engine.points_ready)

    def test_switched_off(self):
        self.engine.points_ready = False
        self.assertEqual(self.hold_points(), {"status": "off"})
        self.engine.write({"points_ready": True, "database_uuid": "another"})
        self.assertEqual(self.hold_points(), {"status": "copy"})

    def test_a_browser_that_lies(self):
        for values in (
            {"points": -5},
            {"points": "NaN"},
            {"points": None, "amount": "1e400"},
            {"order_uuid": ["x"]},
            {"order_uuid": "x" * 65},
            {"member_ref": {"id": 1}},
            {"due": None},
        ):
            with self.subTest(values=values):
                self.assertIn(self.hold_points(**values)["status"], ("failed", "limit"))
        self.assertFalse(self.env["loyalty.engine.redemption"].search([]))

    # === The answer is lost: whether it happened is what the engine says later ===

    def spend_with(self, kind, redemption, **rule):
        self.sandbox.faults(kind=kind, method="POST", path="/events", **rule)
        with mute_logger("odoo.addons.pos_loyalty_engine.models.loyalty_engine_redeemer"):
            state = self.spend(redemption)[redemption["uuid"]]["state"]
        self.sandbox.clear_faults()
        return state

    def test_done_and_the_answer_lost_is_found_at_once(self):
        redemption = self.held_points(500)
        self.assertEqual(self.spend_with("drop_after", redemption), "spent")
        self.assertEqual(len(self.events("REDEEMED_POINTS")), 1)

    def test_not_done_is_known_only_when_it_can_no_longer_arrive(self):
        redemption = self.held_points(500)
        self.assertEqual(self.spend_with("drop_before", redemption), "unknown")
        self.recover()
        self.assertState(redemption, "unknown")
        balance = self.points()
        answer = self.hold_points(balance - 499, str(uuid.uuid4()), due="1000")
        self.assertEqual(answer["status"], "too_many")
        # Asked again, it is not sent again.
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "unknown")
        for passed in (10, 60, 300):
            self.let_pass(passed)
            self.recover()
            self.assertState(redemption, "unknown")
        self.let_pass(LATE)
        self.recover()
        self.assertState(redemption, "released")
        self.assertFalse(self.events("REDEEMED_POINTS"))

    def test_what_arrives_late_is_found_and_given_back(self):
        """Looked up as absent, then it lands; the order was paid without it."""
        before = self.points()
        redemption = self.held_points(500)
        with patch(f"{REDEEMER}.SPEND_LIMIT", 2.5):
            self.assertEqual(self.spend_with("late", redemption, seconds=4), "unknown")
        self.pay()
        self.sandbox.wait_until(lambda: self.events("REDEEMED_POINTS"), "the late event came")
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.points(), before - 500)
        self.end_the_rest()
        self.let_pass(70)
        self.recover()
        self.recover()
        self.assertState(redemption, "returning")
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.recover()
        self.assertState(redemption, "returned")
        self.assertEqual(self.points(), before)
        self.assertEqual(len(self.events("POINTS_REFUND")), 1)

    def test_engine_down_leaves_it_held(self):
        redemption = self.held_points(500)
        self.sandbox.stop()
        try:
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "held")
        finally:
            self.sandbox.start()
        self.end_the_rest()
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")

    def test_with_too_little_time_left_nothing_is_sent(self):
        redemption = self.held_points(500)
        self.sandbox.faults(kind="latency", path="/users/*/wallet", seconds=1.5)
        with patch(f"{REDEEMER}.SPEND_LIMIT", 2.0):
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "held")
        self.assertFalse(self.row(redemption).sent_at)
        self.assertFalse(self.events("REDEEMED_POINTS"))

    def test_nothing_is_sent_of_which_nobody_would_hear(self):
        """Writing that it is being sent has taken all of the time."""
        redemption = self.held_points(500)
        with patch(f"{REDEEMER}.LEAST_ANSWER", 100):
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "held")
        self.assertFalse(self.row(redemption).sent_at)
        self.assertFalse(self.events("REDEEMED_POINTS"))
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")

    def test_the_guard_keeps_to_the_time(self):
        redemption = self.held_points(500)
        ledger = self.env["loyalty.engine.redemption"]
        row, balance = ledger._row(redemption["uuid"]), Decimal(5000)
        arguments = {"balance": balance, "read_at": row["create_date"]}
        with self.assertRaises(LedgerBusy):
            ledger._begin_spending(row, Decimal(5), "till-1", time.monotonic(), **arguments)
        limits = []

        def wait_for_lock(_ledger, _order_uuid):
            self.env.cr.execute("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'")
            limits.extend(self.env.cr.fetchone())
            time.sleep(0.3)

        with (
            patch.object(type(ledger), "_check_order_is_open", wait_for_lock),
            self.assertRaises(LedgerBusy),
            self.env.cr.savepoint(),
        ):
            ledger._begin_spending(row, Decimal(5), "till-1", time.monotonic() + 0.3, **arguments)
        self.assertState(redemption, "held")
        (milliseconds,) = limits
        self.assertTrue(0 < milliseconds <= 300, milliseconds)

    def test_a_sender_that_died_is_looked_up(self):
        redemption = self.held_points(500)
        sent_at = self.begin_spending(redemption)
        self.recover()
        self.assertState(redemption, "spending")
        self.let_pass(13)
        # A run comes in time by itself.
        dead = sent_at + timedelta(seconds=13)
        self.assertTrue(
            self.env["ir.cron.trigger"].search(
                [
                    ("cron_id", "=", self.recovery.id),
                    ("call_at", ">", sent_at + timedelta(seconds=10)),
                    ("call_at", "<", dead),
                ]
            )
        )
        self.recover()
        self.assertState(redemption, "unknown")
        self.let_pass(LATE)
        self.recover()
        self.assertState(redemption, "released")

    def begin_spending(self, redemption):
        """Write that it is being spent, as a process that dies before it sends.

        :return: when that was
        """
        with self.enter_registry_test_mode():
            ledger = self.env["loyalty.engine.redemption"]
            row = ledger._alone("_row", redemption["uuid"])
            self.assertTrue(
                ledger._alone(
                    "_begin_spending",
                    row,
                    Decimal(5),
                    "till-1",
                    time.monotonic() + 5,
                    balance=Decimal(5000),
                    read_at=row["create_date"],
                )
            )
        self.assertState(redemption, "spending")
        return self.row(redemption).sent_at

    def test_a_dead_sender_waits_for_no_slow_engine(self):
        """However many connections there are, and however slow the engine: first of all, and once
        more at the end, it is seen who is dead."""
        redemption, last = self.held_points(500), []
        self.begin_spending(redemption)
        self.let_pass(13)
        recovery = type(self.env["loyalty.engine.recovery"])

        def look_up(recovery, engine):
            last.append(self.row(redemption).state)
            self.env.cr.execute(
                "UPDATE loyalty_engine_redemption SET state = 'spending' WHERE uuid = %s",
                (redemption["uuid"],),
            )

        with patch.object(recovery, "_look_up_unknown", look_up):
            self.recover()
        self.assertEqual(last, ["unknown"])
        self.assertState(redemption, "unknown")

    # === The sale dies after the spend ===

    def settle_refund(self):
        self.sandbox.wait_for_reactors()
        self.recover()
        self.recover()
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.recover()

    def test_taken_off_after_the_spend_comes_back_once(self):
        before = self.points()
        redemption = self.spent_points(500)
        answer = self.ask(
            "release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]], till_key="till-1"
        )
        self.assertEqual(answer["status"], "done")
        self.settle_refund()
        self.settle_refund()
        self.assertState(redemption, "returned")
        self.assertEqual(self.points(), before)
        (refund,) = self.events("POINTS_REFUND")
        self.assertEqual(refund["payload"]["redemptionId"], redemption["uuid"])
        self.assertEqual(refund["payload"]["points"], 500)

    def test_cancelled_order(self):
        before = self.points()
        order = self.draft()
        redemption = self.spent_points(500)
        with self.assertRaises(UserError):
            order.action_pos_order_cancel()
        self.assertEqual(
            self.ask("abandon", order_uuid=self.order_uuid, till_key="till-2")["status"],
            "at_payment",
        )
        self.assertEqual(
            self.ask("abandon", order_uuid=self.order_uuid, till_key="till-1")["status"], "done"
        )
        order.action_pos_order_cancel()
        self.settle_refund()
        self.assertState(redemption, "returned")
        self.assertEqual(self.points(), before)

    def test_deleted_order(self):
        order = self.draft()
        redemption = self.spent_points(500)
        self.assertDeletedAfterTheLease(order, redemption)

    def assertDeletedAfterTheLease(self, order, redemption):
        """Not while a till is at the payment; then what was spent goes back."""
        with self.assertRaises(UserError):
            self.env["pos.order"].remove_from_ui(order.ids)
        self.let_pass(200)
        order.unlink()
        self.settle_refund()
        self.assertState(redemption, "returned")

    def test_deleted_where_no_connection_is(self):
        """At a till that this one trusts, and that knows nothing of redemptions."""
        order = self.draft()
        redemption = self.spent_points(500)
        self.env.cr.execute("UPDATE pos_config SET loyalty_engine_id = NULL")
        self.env.invalidate_all()
        self.assertDeletedAfterTheLease(order, redemption)

    def test_found_by_whether_the_order_is_here(self):
        order, missing = self.draft(), self.spent_points(500)
        redemptions = self.env["loyalty.engine.redemption"]
        found = self.row(missing)
        self.assertEqual(redemptions.search([("pos_order_id", "=", order.id)]), found)
        self.assertEqual(redemptions.search([("pos_order_id", "!=", False)]), found)
        self.assertFalse(redemptions.search([("pos_order_id", "=", False)]))
        self.assertEqual(redemptions.search([("pos_order_id", "ilike", order.name)]), found)
        self.assertFalse(redemptions.search([("pos_order_id", "!=", order.id)]))
        self.let_pass(200)
        order.unlink()
        self.assertEqual(redemptions.search([("pos_order_id", "=", False)]), found)
        self.assertFalse(redemptions.search([("pos_order_id", "!=", False)]))

    def test_an_order_that_is_not_here_is_not_lost(self):
        redemption = self.spent_points(500)
        self.settle_refund()
        self.assertState(redemption, "spent")
        self.let_pass(24 * 3600 + 60)
        self.recover()
        self.assertTrue(self.row(redemption).is_overdue)
        self.assertState(redemption, "spent")
        case = self.cases("missing")
        case.note = "The till broke."
        with self.assertRaisesRegex(UserError, "Give Back"):
            case.action_close()
        # It comes after three days, from a till that was offline.
        self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        self.assertEqual(case.state, "closed")
        self.assertFalse(case.activity_ids)

    def test_a_person_decides_that_it_is_lost(self):
        before = self.points()
        redemption = self.spent_points(500)
        self.let_pass(24 * 3600 + 60)
        self.recover()
        case = self.cases("missing")
        self.assertEqual(self.engine.case_count, 1)
        self.assertEqual(self.config.loyalty_engine_case_count, 1)
        self.row(redemption).action_give_back()
        self.env.invalidate_all()
        # It waits until it is known that the points were taken; the person has done their part.
        case.note = "The till broke."
        case.action_close()
        self.assertEqual(case.state, "closed")
        self.assertFalse(case.activity_ids)
        self.settle_refund()
        self.assertState(redemption, "returned")
        self.assertFalse(self.row(redemption).is_overdue)
        self.assertEqual(self.points(), before)

    def test_a_missing_order_that_comes_without_it_is_no_case(self):
        for is_paid in (True, False):
            redemption = self.spent_points(200)
            self.let_pass(24 * 3600 + 60)
            self.recover()
            case = self.cases("missing").filtered(lambda case: case.state == "open")
            self.assertEqual(len(case), 1)
            if is_paid:
                self.pay()
            else:
                self.row(redemption).action_give_back()
            self.settle_refund()
            self.assertState(redemption, "returned")
            self.assertEqual(case.state, "closed")
            self.assertFalse(case.activity_ids)
            self.order_uuid = str(uuid.uuid4())

    def test_more_given_than_was_spent_is_a_case(self):
        """A till that takes off what was held, and spends next to nothing of it."""
        redemption = self.held_points(500)
        spent = self.spend(redemption, **{redemption["uuid"]: "0.01"})[redemption["uuid"]]
        self.assertEqual((spent["state"], spent["points"]), ("spent", 1))
        self.pay(redemption, off=5)
        self.recover()
        case = self.cases("differs")
        self.assertIn("gave 5.00", case.what)
        self.assertIn("it is 0.01", case.what)

    def test_taken_off_while_it_is_sent_and_never_left(self):
        redemption = self.held(self.FIVE.code)
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET state = 'spending', is_dropped = TRUE"
        )
        ledger = self.env["loyalty.engine.redemption"]
        ledger._alone("_write_answer", redemption["uuid"], "held", reason="429")
        self.assertState(redemption, "released")
        again = self.held(self.FIVE.code)
        self.assertNotEqual(again["uuid"], redemption["uuid"])

    def test_paid_without_it(self):
        redemption = self.spent_points(500)
        self.pay()
        self.settle_refund()
        self.assertState(redemption, "returned")

    def test_the_line_of_another_order_counts_for_nothing(self):
        redemption = self.spent_points(500)
        self.pay(redemption, order_uuid=str(uuid.uuid4()))
        self.pay()
        self.settle_refund()
        self.assertState(redemption, "returned")
        self.assertEqual(len(self.cases("unbacked")), 1)

    def test_an_order_that_stood_open_for_days_is_looked_at_by_the_audit(self):
        """Each minute only what was made of late is: there may be a great many."""
        self.pay(self.held(self.FIVE.code))
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE pos_order_line SET create_date = create_date - interval '3 days'"
        )
        self.recover()
        self.assertFalse(self.cases("unbacked"))
        with self.enter_registry_test_mode():
            self.audit.method_direct_trigger()
        self.assertEqual(len(self.cases("unbacked")), 1)

    def test_sold_where_no_connection_is(self):
        """At a till that this one trusts, say; its order may come with or without the discount."""
        held, spent = self.held(self.FIVE.code), self.spent_points(500)
        self.config.flush_recordset()
        self.env.cr.execute(
            "UPDATE pos_config SET loyalty_engine_id = NULL WHERE id = %s", (self.config.id,)
        )
        self.env.invalidate_all()
        self.pay(held, spent)
        self.recover()
        self.assertState(spent, "settled")
        self.assertTrue(self.row(spent).is_compared)
        case = self.cases("unbacked")
        self.assertEqual(case.reference, f"{self.order_uuid} {held['uuid']}")

    def test_turns_up_before_the_refund_has_left(self):
        redemption = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        self.ask(
            "release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]], till_key="till-1"
        )
        self.recover()
        self.recover()
        self.assertState(redemption, "returning")
        self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        self.send_reports()
        self.assertFalse(self.events("POINTS_REFUND"))

    def test_only_what_was_taken_is_given_back(self):
        """A reactor that is switched off takes nothing: nothing is given back, a person is told."""
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.spent_points(500)
        self.pay()
        self.settle_refund()
        self.assertState(redemption, "spent")
        self.let_pass(LATE + 10)
        self.recover()
        self.assertState(redemption, "stranded")
        (case,) = self.cases("points")
        with self.assertRaises(UserError):
            case.action_close()
        case.note = "The balance was right."
        case.action_close()
        self.assertState(redemption, "made_good")
        self.assertFalse(self.events("POINTS_REFUND"))

    def test_another_amount_than_the_server_computes_is_flagged(self):
        redemption = self.spent_points(400)
        order = self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        (case,) = self.cases("differs")
        self.assertEqual(order.state, "paid")
        self.assertIn("5", case.what)
        self.assertFalse(self.cases("total"))

    def test_another_total_than_the_server_computes_is_flagged(self):
        """Once for an order, whatever it carries; the sale stands as the till has sold it."""
        points, voucher = self.spent_points(500), self.held(self.FIVE.code)
        self.spend(voucher, **{voucher["uuid"]: "5"})
        order = self.pay(points, voucher)
        self.assertEqual(order.amount_total, 30)
        order.amount_total = 29.5
        self.recover()
        (case,) = self.cases("total")
        self.assertEqual(order.amount_total, 29.5)
        self.assertEqual((case.order_uuid, case.member_ref), (order.uuid, self.member.id))
        for total in ("29.50", "30.00"):
            self.assertIn(total, case.what)
        self.assertFalse(self.cases("differs"))

    def test_a_copy_recovers_nothing(self):
        redemption = self.spent_points(500)
        self.pay()
        self.engine.database_uuid = "another"
        self.settle_refund()
        self.assertState(redemption, "spent")

    def draft(self):
        """The order as the till has synced it: not paid yet."""
        return self.env["pos.order"].create(
            {
                "uuid": self.order_uuid,
                "session_id": self.pos_session.id,
                "amount_total": 0,
                "amount_tax": 0,
                "amount_paid": 0,
                "amount_return": 0,
            }
        )

    # === Vouchers ===

    def hold(self, code="", order_uuid=None, **values):
        return self.ask(
            "hold_voucher",
            **{
                "order_uuid": order_uuid or self.order_uuid,
                "member_ref": self.member.id,
                "code": code,
                "presented": "scan",
                **values,
            },
        )

    def held(self, code, **values):
        answer = self.hold(code, **values)
        self.assertEqual(answer["status"], "held", answer)
        return answer["redemption"]

    def burns(self, benefit):
        return self.sandbox.burns(benefit.id)

    def test_a_voucher_from_hold_to_sale(self):
        redemption = self.held(self.FIVE.code)
        self.assertEqual(
            redemption["discounts"],
            [{"type": "ABSOLUTE", "value": "5.00", "skus": [], "venues": []}],
        )
        self.assertNotIn(self.FIVE.code, str(redemption))
        self.assertFalse(self.burns(self.FIVE))
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")
        self.assertEqual(len(self.burns(self.FIVE)), 1)
        self.pay(redemption)
        self.recover()
        row = self.row(redemption)
        self.assertEqual(row.state, "settled")
        self.assertFalse(row.code)
        self.assertEqual(row.code_shown, "M…E")

    def test_chosen_from_the_wallet_and_redeemed_first(self):
        redemption = self.held("", benefit=self.LATER.id)
        self.assertTrue(self.sandbox.benefit(self.LATER.id)["redeemedAt"])
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")
        self.assertEqual(len(self.burns(self.LATER)), 1)

    def test_on_one_order_at_a_time(self):
        first = self.held(self.FIVE.code)
        other = str(uuid.uuid4())
        answer = self.hold(self.FIVE.code, order_uuid=other)
        self.assertEqual(answer, {"status": "held_elsewhere", "where": self.config.name})
        # How another company calls its tills is nobody's business.
        ours = self.row(first).company_id
        move = "UPDATE loyalty_engine_redemption SET company_id = %s"
        self.env.cr.execute(move, (self.other_company.id,))
        answer = self.hold(self.FIVE.code, order_uuid=other)
        self.assertEqual(answer, {"status": "held_elsewhere", "where": ""})
        self.env.cr.execute(move, (ours.id,))
        self.assertEqual(self.held(self.FIVE.code)["uuid"], first["uuid"])
        self.ask("release", order_uuid=self.order_uuid, uuids=[first["uuid"]])
        self.assertState(first, "released")
        self.assertEqual(self.hold(self.FIVE.code, order_uuid=other)["status"], "held")

    def test_on_one_order_at_a_time_whichever_connection_asks(self):
        redemption = self.held(self.FIVE.code)
        self.connect(self.other_connection())
        answer = self.hold(self.FIVE.code, order_uuid=str(uuid.uuid4()))
        self.assertEqual(answer["status"], "held_elsewhere")
        (card,) = (
            card
            for card in self.ask("vouchers", member_ref=self.member.id)["vouchers"]
            if card["benefit"] == self.FIVE.id
        )
        self.assertEqual(card["state"], "held")
        self.assertState(redemption, "held")

    def test_two_tills_on_one_voucher_leave_no_code_in_the_log(self):
        """The other one's row is not to be seen yet when this one inserts its own: neither Odoo's
        log has the code, nor the statement that PostgreSQL refuses, which is in its own."""
        self.held(self.LATER.code, benefit=self.LATER.id)
        ledger = type(self.env["loyalty.engine.redemption"])
        claims, add, refused = ledger._claims, ledger._add, []

        def watched_add(ledger, values):
            try:
                return add(ledger, values)
            except psycopg2.errors.UniqueViolation as error:
                refused.append(f"{error} {error.cursor.query.decode()}")
                raise

        with (
            patch.object(ledger, "_claims", autospec=True) as looked,
            patch.object(ledger, "_add", watched_add),
            self.assertNoLogs("odoo.sql_db", "WARNING"),
        ):
            looked.side_effect = lambda *args: [] if looked.call_count == 1 else claims(*args)
            answer = self.hold(self.LATER.code, order_uuid=str(uuid.uuid4()))
        self.assertEqual(answer["status"], "held_elsewhere")
        self.assertEqual(looked.call_count, 2)
        self.assertEqual(len(refused), 1)
        self.assertIn("INSERT INTO loyalty_engine_redemption", refused[0])
        self.assertNotIn(self.LATER.code, refused[0])

    def test_a_static_code_is_on_an_order_once(self):
        self.sandbox.add_benefit(self.member.id, demo.BENEFITS[10].reward_id, code="SPRING")
        first = self.held("SPRING", member_ref="")
        self.assertEqual(self.held("SPRING", member_ref="")["uuid"], first["uuid"])
        other = self.held("SPRING", member_ref="", order_uuid=str(uuid.uuid4()))
        self.assertNotEqual(other["uuid"], first["uuid"])

    def test_codes_are_passed_as_they_are(self):
        for code in (
            "NO\u00a0BREAK",
            "\x1d01GS1\x1d21",
            "ZERO\u200bWIDTH",
            " blanks ",
            "Case",
            "\ttab\n",
        ):
            with self.subTest(code=code):
                self.sandbox.add_benefit(self.member.id, self.FIVE.reward_id, code=code)
                redemption = self.held(code)
                self.assertEqual(self.row(redemption).code, code)
                self.ask("release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]])
        for code in ("NU\0L", "\ud800", "x" * 5001, "", 7, ["x"]):
            with self.subTest(code=code):
                self.assertEqual(self.hold(code)["status"], "failed")

    def test_what_has_expired_counts_as_long_as_it_can_be_spent(self):
        """An order that stood aside for too long, and is taken up again."""
        self.engine.most_vouchers = 1
        first = self.held(self.FIVE.code)
        points = self.held_points(500)
        self.let_pass(1000)
        self.recover()
        self.assertEqual([self.row(one).state for one in (first, points)], ["expired"] * 2)
        self.assertEqual(self.hold(self.TEN.code)["status"], "limit")
        again = self.held(self.FIVE.code)
        self.assertState(first, "released")
        more = self.held_points(700)
        self.assertState(points, "released")
        states = self.spend(again, more)
        self.assertEqual(states[again["uuid"]]["state"], "spent")
        self.assertEqual(states[more["uuid"]]["state"], "spent")
        for one in (first, points):
            self.assertEqual(self.spend(one)[one["uuid"]]["state"], "released")

    def test_an_expired_hold_that_another_took_is_refused(self):
        first = self.held(self.FIVE.code)
        self.let_pass(1000)
        other = str(uuid.uuid4())
        second = self.held(self.FIVE.code, order_uuid=other)
        self.assertState(first, "expired")
        self.assertEqual(self.spend(first)[first["uuid"]]["state"], "refused")
        states = self.spend(second, order_uuid=other)
        self.assertEqual(states[second["uuid"]]["state"], "spent")
        self.assertEqual(len(self.burns(self.FIVE)), 1)

    def test_what_can_not_be_used(self):
        for benefit, status in (
            (self.HARBOUR, "refused"),
            (self.THREE, "unreadable"),
            (self.USED, "refused"),
            (self.OLD, "refused"),
        ):
            with self.subTest(code=benefit.code):
                answer = self.hold(benefit.code)
                self.assertIn(answer["status"], (status, "rejected"))
                self.assertTrue(answer["reason"])
        self.assertEqual(self.hold("no such code")["status"], "unknown")
        for refusal, status in (("404", "unknown"), ("422", "rejected"), ("400", "rejected")):
            with self.subTest(refusal=refusal):
                self.sandbox.set_options(voucher_refusal=refusal)
                self.assertEqual(self.hold(self.USED.code)["status"], status)
        self.assertFalse(self.env["loyalty.engine.redemption"].search([]))

    def test_limits(self):
        self.engine.write({"most_vouchers": 2, "most_of_a_reward": 1})
        self.held(self.FIVE.code)
        again = self.sandbox.add_benefit(self.member.id, self.FIVE.reward_id)
        self.assertEqual(self.hold(again["code"])["status"], "limit")
        self.held(self.TEN.code)
        self.assertEqual(self.hold(self.THIRTY.code)["status"], "limit")

    def test_nothing_is_redeemed_in_vain(self):
        """A benefit that is not redeemed yet can't be given back once it is."""
        self.engine.most_vouchers = 1
        self.held(self.FIVE.code)
        chosen = {"benefit": self.LATER.id}
        self.assertEqual(self.hold(**chosen)["status"], "limit")
        self.engine.most_vouchers = 0
        self.sandbox.set_options(reward_currency="XYZ")
        self.assertEqual(self.hold(**chosen)["status"], "refused")
        self.assertFalse(self.sandbox.benefit(self.LATER.id)["redeemedAt"])
        self.sandbox.set_options(reward_currency=self.config.currency_id.name)
        self.assertEqual(self.hold(**chosen)["status"], "held")
        self.assertTrue(self.sandbox.benefit(self.LATER.id)["redeemedAt"])

    def test_what_was_cancelled_for_an_order_is_not_on_it_again(self):
        """Before it is known to be free again."""
        self.import_codes("Flyer 1")
        redemption = self.held("Flyer 1")
        self.spend(redemption)
        self.ask(
            "release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]], till_key="till-1"
        )
        answer = self.hold("Flyer 1")
        self.assertEqual(answer["status"], "limit")
        self.assertIn("taken off again", answer["reason"])

    def test_a_voucher_that_the_engine_gives_twice(self):
        """What is used here stays claimed for a while; later the engine's word counts."""
        for _time in range(2):
            self.sandbox.add_benefit(self.member.id, demo.BENEFITS[10].reward_id, code="SPRING")
        redemption = self.held("SPRING")
        self.spend(redemption)
        self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        other = {"order_uuid": str(uuid.uuid4())}
        self.assertEqual(self.hold("SPRING", **other)["status"], "limit")
        self.let_pass(700)
        self.assertEqual(self.hold("SPRING", **other)["status"], "held")

    def test_what_was_cancelled_leaves_room_for_another(self):
        self.engine.most_vouchers = 1
        five = self.held(self.FIVE.code)
        self.spend(five)
        self.assertEqual(self.hold(self.TEN.code)["status"], "limit")
        self.ask("release", order_uuid=self.order_uuid, uuids=[five["uuid"]], till_key="till-1")
        self.held(self.TEN.code)

    def test_a_wallet_takes_the_members_own_card(self):
        """A code is its bearer's; what a cashier picks from a wallet is not."""
        self.engine.own_card_only = True
        for member in (self.member.id, ""):
            values = {"benefit": self.LATER.id, "presented": "picked", "member_ref": member}
            self.assertEqual(self.hold(**values)["status"], "needs_card")
        self.assertEqual(self.hold(self.FIVE.code, member_ref="")["status"], "held")

    def test_wallet_of_what_is_on_the_order(self):
        self.held(self.TEN.code)
        self.sandbox.set_options(reward_currency="JPY")
        answer = self.ask("vouchers", member_ref=self.member.id, order_uuid=self.order_uuid)
        states = {card["benefit"]: card["state"] for card in answer["vouchers"]}
        self.assertEqual(states[self.TEN.id], "on_order")
        self.assertNotEqual(states[self.LATER.id], "on_order")
        self.assertEqual(states[self.FIVE.id], "other_currency")

    def test_wallet(self):
        self.held(self.TEN.code)
        answer = self.ask("vouchers", member_ref=self.member.id)
        states = {card["benefit"]: card for card in answer["vouchers"]}
        for benefit, state in (
            (self.FIVE, "usable"),
            (self.TEN, "held"),
            (self.LATER, "usable"),
            (self.HARBOUR, "other_venue"),
            (self.THREE, "unreadable"),
            (self.USED, "burned"),
            (self.OLD, "expired"),
        ):
            with self.subTest(code=benefit.code):
                self.assertEqual(states[benefit.id]["state"], state)
        self.assertEqual(states[self.TEN.id]["where"], self.config.name)
        self.assertEqual(states[self.THIRTY.id]["min_amount"], "30")
        self.assertNotIn(self.FIVE.code, str(answer))

    def discounts_asked(self):
        return [one for one in self.sandbox.requests() if one["path"].endswith("/discounts")]

    def test_wallet_whose_discounts_are_read_one_by_one(self):
        """Each reward once; one that can't be read is a card, not a failed list."""
        self.sandbox.set_options(wallet_discounts=False)
        self.sandbox.faults(kind="refuse", path=f"/rewards/{self.TEN.reward_id}/discounts")
        answer = self.ask("vouchers", member_ref=self.member.id)
        self.assertEqual(answer["status"], "found")
        states = {card["benefit"]: card["state"] for card in answer["vouchers"]}
        self.assertEqual(states[self.FIVE.id], "usable")
        self.assertEqual(states[self.TEN.id], "unreadable")
        paths = [one["path"] for one in self.discounts_asked()]
        self.assertEqual(len(paths), len(set(paths)))

    def test_wallet_whose_discounts_take_too_long(self):
        """All of it takes no longer than a cashier waits for one answer."""
        self.engine.till_deadline = 1
        self.sandbox.set_options(wallet_discounts=False)
        self.sandbox.faults(kind="latency", path="/rewards/*/discounts", seconds=0.7)
        answer = self.ask("vouchers", member_ref=self.member.id)
        self.assertEqual(answer["status"], "found")
        self.assertEqual(len(answer["vouchers"]), len(self.sandbox.benefits(member=self.member.id)))
        self.assertLessEqual(len(self.discounts_asked()), 2)

    def test_who_is_unknown_takes_no_longer_than_one_answer(self):
        """The member who is looked up first, and what is then asked about them."""
        self.engine.till_deadline = 1
        self.sandbox.faults(kind="latency", path="/users/*", seconds=0.6)
        self.env.cr.execute("DELETE FROM loyalty_engine_member")
        for route in ("points_terms", "vouchers"):
            answer = self.ask(route, member_ref=self.member.id, order_uuid=self.order_uuid)
            self.assertEqual(answer["status"], "slow")
            self.env.cr.execute("DELETE FROM loyalty_engine_member")

    def test_the_place_of_a_till_goes_along(self):
        """With the check, with redeeming what is in the wallet, and with the burn."""
        self.config.write({"loyalty_engine_latitude": 50, "loyalty_engine_longitude": 8.5})
        held = self.held("", benefit=self.LATER.id)
        self.assertEqual(self.spend(held)[held["uuid"]]["state"], "spent")
        told = [
            json.loads(one["body"]).get("position")
            for one in self.sandbox.requests()
            if one["path"].endswith(("/redeem_benefit", "/validate_voucher"))
        ]
        self.assertEqual(told, [{"longitude": 8.5, "latitude": 50}] * 3)

    def test_a_burn_is_dated_by_one_clock(self):
        """That of the database says when ours was sent; it may be ahead of this machine's."""
        ledger = self.env["loyalty.engine.redemption"]
        ahead = timedelta(seconds=30)
        sent_at = fields.Datetime.now() + ahead
        client = self.engine._client()
        client.validate_voucher(self.FIVE.code, allow_future_validation=False)
        row = {"benefit_ref": self.FIVE.id, "sent_at": sent_at}
        redeemer = self.env["loyalty.engine.redeemer"]
        with patch.object(type(ledger), "_now", lambda _self: fields.Datetime.now() + ahead):
            self.assertTrue(redeemer._is_burned(client, row, 5))
            row["sent_at"] += timedelta(seconds=10)
            self.assertFalse(redeemer._is_burned(client, row, 5))

    def test_a_wallet_with_more_vouchers_than_are_shown(self):
        for most, is_complete in ((100, True), (2, False)):
            with (
                self.subTest(most=most),
                patch.object(redemption_controller, "MOST_VOUCHERS_LISTED", most),
            ):
                answer = self.ask("vouchers", member_ref=self.member.id)
                self.assertEqual(answer["is_complete"], is_complete)

    def test_a_check_takes_no_longer_than_one_answer(self):
        """However many questions it is made of, each of which is answered in time."""
        self.engine.write({"till_deadline": 1, "voucher_user": "account_number"})
        check = "/commands/validate_voucher"
        for slow, never_asked, values in (
            (("/benefits/*",), check, {"benefit": self.LATER.id}),
            (("/benefits/*", "/commands/redeem_benefit"), check, {"benefit": self.LATER.id}),
            (("/benefits/*", "/users/*"), check, {"benefit": self.FIVE.id}),
            (("/users/*", check), "/discounts", {"code": self.FIVE.code}),
            ((check, "/rewards/*/discounts"), "-", {"code": self.FIVE.code, "member_ref": ""}),
        ):
            with self.subTest(slow=slow):
                self.sandbox.reset()
                self.sandbox.set_options(
                    voucher_answer="none", reward_currency=self.config.currency_id.name
                )
                self.sandbox.faults(
                    *({"kind": "latency", "path": path, "seconds": 0.6} for path in slow)
                )
                self.assertEqual(self.hold(**values)["status"], "slow")
                asked = [one["path"] for one in self.sandbox.requests()]
                self.assertFalse([path for path in asked if path.endswith(never_asked)])
                self.env["loyalty.engine.health"]._note_success(self.engine.id)
        self.assertFalse(self.env["loyalty.engine.redemption"].search([]))

    def import_codes(self, *lines):
        """As from a file that a manager uploads."""
        columns = ["engine_id/.id", "name", "code", "discount_type", "value"]
        content = "\n".join(f'{self.engine.id},Flyer,"{code}",ABSOLUTE,5' for code in lines)
        upload = self.env["base_import.import"].create(
            {
                "res_model": "loyalty.engine.code",
                "file": content.encode(),
                "file_type": "text/csv",
                "file_name": "codes.csv",
            }
        )
        options = {"quoting": '"', "separator": ",", "has_headers": False}
        result = upload.execute_import(columns, columns, options)
        self.assertFalse(result["messages"], result["messages"])

    def test_where_an_own_code_is(self):
        self.import_codes("Flyer 1", "Flyer 2")
        first, second = self.env["loyalty.engine.code"].search([], order="id")
        held = self.held("Flyer 1")
        self.assertEqual(first.redemption_id, self.row(held))
        self.assertFalse(second.redemption_id)
        self.ask("release", order_uuid=self.order_uuid, uuids=[held["uuid"]])
        (first + second).invalidate_recordset()
        self.assertFalse(first.redemption_id)

    def test_a_file_of_codes_need_not_name_the_only_connection(self):
        codes = self.env["loyalty.engine.code"].with_company(self.company)
        self.assertEqual(codes.default_get(["engine_id"])["engine_id"], self.engine.id)
        self.engine.copy()
        self.assertFalse(codes.default_get(["engine_id"])["engine_id"])

    def test_own_codes_are_there_once_and_in_no_log(self):
        """What PostgreSQL refuses is told by its own log, and by Odoo's."""
        self.import_codes("Flyer 1", "Flyer 2")
        codes = self.env["loyalty.engine.code"]
        first, second = codes.search([], order="id")
        with self.assertNoLogs("odoo.sql_db", "WARNING"):
            for change in (
                lambda: self.import_codes("Flyer 3", "Flyer 1"),
                lambda: self.import_codes("Flyer 4", "Flyer 4"),
                lambda: second.write({"code": "Flyer 1"}),
            ):
                with self.assertRaisesRegex((AssertionError, ValidationError), "there already"):
                    change()
        first.write({"code": "Flyer 1"})
        self.assertEqual(codes.search([], order="id").mapped("code"), ["Flyer 1", "Flyer 2"])

    def test_own_codes_are_imported_as_they_are(self):
        self.import_codes(" Flyer 1 ", "flyer 2")
        self.assertEqual(self.held(" Flyer 1 ")["discounts"][0]["value"], "5.0000")
        self.assertEqual(self.hold("Flyer 1")["status"], "unknown")

    def test_own_codes_need_no_engine(self):
        """Neither one that answers, nor one that is asked; what needs it waits with all else."""
        self.engine.voucher_user = "account_number"
        self.import_codes("Flyer 1", "Flyer 2")
        voucher, own = self.held(self.FIVE.code), self.held("Flyer 1")
        self.env["loyalty.engine.health"]._note_failure(self.engine.id, "down")
        self.env.cr.execute("UPDATE loyalty_engine_health SET failures = 3")
        self.rest_on()
        self.sandbox.stop()
        try:
            states = self.spend(voucher, own, status="down")
            self.assertEqual({one["state"] for one in states.values()}, {"held"})
            self.assertEqual(self.spend(own)[own["uuid"]]["state"], "spent")
            # The breaker lets one go and try.
            self.end_the_rest()
            other = str(uuid.uuid4())
            own = self.held("Flyer 2", order_uuid=other)
            self.assertEqual(self.spend(own, order_uuid=other)[own["uuid"]]["state"], "spent")
        finally:
            self.sandbox.start()

    @mute_logger("odoo.addons.pos_loyalty_engine.controllers.till")
    def test_own_codes_are_not_guessed_while_the_engine_is_down(self):
        self.sandbox.faults(kind="drop_before", path="/commands/*")
        for has_own, limited in ((False, False), (True, True)):
            if has_own:
                self.env["loyalty.engine.code"].create(
                    {
                        "engine_id": self.engine.id,
                        "name": "Flyer",
                        "code": "F1",
                        "discount_type": "PERCENTAGE",
                        "value": 10,
                    }
                )
            with (
                self.subTest(has_own=has_own),
                patch.object(loyalty_engine_lookup, "MISSES_PER_WINDOW", 3),
            ):
                statuses = {self.hold(f"guess {number}")["status"] for number in range(5)}
                self.assertEqual("limited" in statuses, limited, statuses)

    def test_own_codes(self):
        """A pool that the engine doesn't validate: single use, and free again if the sale dies."""
        self.env["loyalty.engine.code"].create(
            {
                "engine_id": self.engine.id,
                "name": "Flyer",
                "code": " Flyer 1",
                "discount_type": "PERCENTAGE",
                "value": 10,
            }
        )
        self.sandbox.stop()
        try:
            redemption = self.held(" Flyer 1")
            self.assertEqual(
                self.hold(" Flyer 1", order_uuid=str(uuid.uuid4()))["status"], "held_elsewhere"
            )
            self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")
            self.pay()
            self.recover()
            self.assertState(redemption, "released")
            other = str(uuid.uuid4())
            again = self.held(" Flyer 1", order_uuid=other)
            self.assertNotEqual(again["uuid"], redemption["uuid"])
            self.assertTrue(again["is_local"])
            self.spend(again, order_uuid=other)
            self.pay(again, order_uuid=other)
            self.recover()
            self.let_pass(24 * 3600)
            answer = self.hold(" Flyer 1", order_uuid=str(uuid.uuid4()))
            self.assertEqual(answer["status"], "limit")
            self.assertIn("used", answer["reason"])
        finally:
            self.sandbox.start()

    def test_the_report_names_the_vouchers(self):
        """The engine's own by its ids, the shop's by their pool, and no other order's."""
        self.import_codes("Flyer 1")
        other = str(uuid.uuid4())
        others = self.held(self.TEN.code, order_uuid=other)
        vouchers = (self.held(self.FIVE.code), self.held("Flyer 1"), others)
        sale = self.pay(*vouchers)._loyalty_engine_sale().to_json()
        sender = self.env["loyalty.engine.sender"]

        def named():
            body = json.loads(sender._body(self.engine, "sale", sale, self.member.id, None))
            return {
                used["redemptionId"]: (used.get("benefitId"), used.get("rewardId"))
                for used in body["payload"]["redemptions"]
            }

        five, own, others = (voucher["uuid"] for voucher in vouchers)
        reward = self.row(vouchers[0]).reward_ref
        self.assertTrue(reward)
        self.assertEqual(
            named(), {five: (self.FIVE.id, reward), own: (None, "own Flyer"), others: (None, None)}
        )
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET reward_ref = %s WHERE uuid = %s",
            ("not\na name", five),
        )
        with self.assertLogs("odoo.addons.pos_loyalty_engine.models.loyalty_engine_sender"):
            self.assertEqual(
                named(), {five: (None, None), own: (None, "own Flyer"), others: (None, None)}
            )

    def test_a_manager_of_another_company_sees_nothing_of_it(self):
        self.import_codes("Flyer 1")
        # 5.00 off for points worth 4.00: a case.
        self.pay(self.spent_points(400))
        self.recover()
        managers = [
            new_user(self, login, MANAGER, companies=company)
            for login, company in (("le_here", self.company), ("le_there", self.other_company))
        ]
        for model in ("", ".report", ".redemption", ".redemption.step", ".case", ".code"):
            with self.subTest(model=model):
                here, there = (
                    self.env[f"loyalty.engine{model}"].with_user(manager).search([])
                    for manager in managers
                )
                self.assertTrue(here)
                self.assertFalse(there)

    def test_burned_in_vain_is_a_case(self):
        redemption = self.held(self.FIVE.code)
        self.spend(redemption)
        self.pay()
        self.recover()
        self.assertState(redemption, "stranded")
        (case,) = self.cases("burned")
        self.assertEqual(case.member_ref, self.member.id)
        self.assertEqual(case.activity_ids.user_id, self.engine.responsible_id)
        self.assertIn(self.member.id, case.activity_ids.note)
        case.note = "A new voucher was given."
        case.action_close()
        self.assertState(redemption, "made_good")
        self.assertFalse(case.activity_ids)

    def test_burned_and_the_answer_lost(self):
        redemption = self.held(self.FIVE.code)
        self.sandbox.faults(kind="drop_after", path="/commands/validate_voucher")
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "spent")
        self.assertEqual(len(self.burns(self.FIVE)), 1)

    def test_burned_by_another_channel_is_no_burn_of_ours(self):
        redemption = self.held(self.FIVE.code)
        self.sandbox.faults(kind="drop_before", path="/commands/validate_voucher")
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "unknown")
        self.sandbox.clear_faults()
        self.let_pass(LATE)
        self.end_the_rest()
        self.recover()
        self.assertState(redemption, "released")

    def test_found_by_the_audit(self):
        """It arrives after the time in which a request can be late."""
        redemption = self.held(self.FIVE.code)
        self.spend_too_late(redemption, path="/commands/validate_voucher")
        self.sandbox.clear_faults()
        self.sandbox.wait_until(lambda: self.burns(self.FIVE), "the burn came")
        with self.enter_registry_test_mode():
            self.audit.method_direct_trigger()
        self.recover()
        self.assertState(redemption, "stranded")
        self.assertEqual(len(self.cases("burned")), 1)

    def test_stops_at_the_first_that_is_not_confirmed(self):
        points = self.held_points(500)
        first, second = self.held(self.FIVE.code), self.held(self.TEN.code)
        self.sandbox.faults(kind="refuse", path="/commands/validate_voucher", times=1)
        states = self.spend(second, first, points)
        self.assertEqual(states[points["uuid"]]["state"], "spent")
        self.assertEqual(states[first["uuid"]]["state"], "refused")
        self.assertEqual(states[second["uuid"]]["state"], "held")
        self.assertFalse(self.burns(self.TEN))

    def test_expected_as_it_was_when_it_was_spent(self):
        """One is spent, the next one refused: the first was counted with the second on the order,
        and is worth no more without it."""
        self.product.default_code = "APPLE-PIE"
        ten, pie = self.held(self.TEN.code), self.held(self.PIE.code)
        self.sandbox.faults(kind="refuse", path="/commands/validate_voucher", skip=1)
        # One of four pies for 9.00 instead of 10.00, and 10 % of the rest.
        states = self.spend(ten, pie, **{ten["uuid"]: "3.90", pie["uuid"]: "1.00"})
        self.assertEqual(states[ten["uuid"]]["state"], "spent")
        self.assertEqual(states[pie["uuid"]]["state"], "refused")
        # What comes after finds the first one frozen.
        self.sandbox.clear_faults()
        five = self.held(self.FIVE.code)
        self.spend(five, **{five["uuid"]: "5.00"})
        self.assertEqual(self.row(five).spent_with, {ten["uuid"]: "3.9", five["uuid"]: None})
        order = self.pay(ten, off=3.9)
        order.lines[0].copy(
            {
                "order_id": order.id,
                "loyalty_engine_redemption": five["uuid"],
                "qty": 1,
                "price_unit": -5,
            }
        )
        order._compute_prices()
        self.recover()
        self.assertState(ten, "settled")
        self.assertState(five, "settled")
        self.assertFalse(self.cases())

    def test_second_tab(self):
        """Another page at the same till spends what is left, and nothing twice; while the first one
        may be at the payment it takes nothing off."""
        first, second = self.held(self.FIVE.code), self.held(self.TEN.code)
        self.spend(first, **{first["uuid"]: "5.00"})
        states = self.spend(first, second, till_key="tab 2", **{second["uuid"]: "3.50"})
        self.assertEqual({one["state"] for one in states.values()}, {"spent"})
        self.assertEqual(states[first["uuid"]]["frozen_amount"], "5")
        self.assertEqual(len(self.burns(self.FIVE)), 1)
        self.assertEqual(len(self.burns(self.TEN)), 1)
        take_off = {"order_uuid": self.order_uuid, "uuids": [first["uuid"]], "till_key": "tab 2"}
        self.assertEqual(self.ask("release", **take_off)["status"], "at_payment")
        self.let_pass(200)
        self.assertEqual(self.ask("release", **take_off)["status"], "done")
        self.recover()
        self.assertState(first, "stranded")

    def test_burned_at_once(self):
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.FIVE.code)
        self.assertEqual(redemption["state"], "spent")
        self.assertEqual(len(self.burns(self.FIVE)), 1)
        # What it is worth follows the basket until it comes to paying.
        self.assertIsNone(redemption["frozen_amount"])
        order = self.pay(redemption)
        expected = order._loyalty_engine_expected_discounts([redemption], self.engine)
        self.assertEqual(expected, {redemption["uuid"]: Decimal("5.00")})

    def test_burned_at_once_and_paid(self):
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.FIVE.code)
        spent = self.spend({**redemption, "amount": "5.00"})[redemption["uuid"]]
        self.assertEqual((spent["state"], spent["frozen_amount"]), ("spent", "5"))
        self.assertTrue(self.row(redemption).lease_until)
        # Frozen once.
        self.spend({**redemption, "amount": "4.00"})
        order = self.pay(redemption)
        self.recover()
        row = self.row(redemption)
        self.assertEqual((row.state, row.claimed_amount), ("settled", 5))
        given = order._loyalty_engine_given_discounts()
        self.assertEqual(given, {redemption["uuid"]: Decimal("5.00")})
        self.assertEqual(len(self.burns(self.FIVE)), 1)
        self.assertFalse(self.cases())

    def store(self, redemption, quantity, off, state="draft"):
        """As a till stores the order: so many goods at 10.00, and what the voucher takes off."""
        order = self.env["pos.order"].search([("uuid", "=", self.order_uuid)])
        goods = (self.product, {"qty": quantity, "price_unit": 10}, 10 * quantity)
        discount = (
            self.engine.discount_product_id,
            {
                "qty": 1,
                "price_unit": -off,
                "loyalty_engine_redemption": redemption["uuid"],
            },
            -off,
        )
        lines = [
            {
                **values,
                "uuid": str(uuid.uuid4()),
                "product_id": product.id,
                "tax_ids": [[6, 0, self.product.taxes_id.ids]],
                "price_subtotal": round(amount / 1.1, 2),
                "price_subtotal_incl": amount,
            }
            for product, values, amount in (goods, discount)
        ]
        total = 10 * quantity - off
        payment = {"amount": total, "payment_method_id": self.cash_payment_method.id}
        result = self.env["pos.order"].sync_from_ui(
            [
                {
                    "uuid": self.order_uuid,
                    "id": order.id,
                    "access_token": str(uuid.uuid4()),
                    "session_id": self.pos_session.id,
                    "amount_total": total,
                    "amount_tax": round(total - total / 1.1, 2),
                    "amount_paid": total if state == "paid" else 0,
                    "amount_return": 0,
                    "lines": [
                        *([2, line.id] for line in order.lines),
                        *([0, 0, line] for line in lines),
                    ],
                    "payment_ids": [[0, 0, payment]] if state == "paid" else [],
                    "state": state,
                    "last_order_preparation_change": "{}",
                }
            ]
        )
        self.env.invalidate_all()
        return self.env["pos.order"].browse(result["pos.order"][0]["id"])

    def test_burned_at_once_follows_the_basket(self):
        """Burned at the scan, then a product is added: claimed, stored and expected is what it
        takes off in the end."""
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.TEN.code)
        self.assertEqual((redemption["state"], redemption["frozen_amount"]), ("spent", None))
        self.store(redemption, 3, 3)
        states = self.spend(redemption, **{redemption["uuid"]: "4.00"})
        self.assertEqual(states[redemption["uuid"]]["frozen_amount"], "4")
        order = self.store(redemption, 4, 4, state="paid")
        self.assertEqual((order.state, order.amount_total, order.amount_paid), ("paid", 36, 36))
        self.assertAlmostEqual(sum(order.lines.mapped("price_subtotal_incl")), 36)
        self.recover()
        row = self.row(redemption)
        self.assertEqual((row.state, row.claimed_amount), ("settled", 4))
        self.assertTrue(row.is_compared)
        worth = {redemption["uuid"]: Decimal("4.00")}
        self.assertEqual(order._loyalty_engine_given_discounts(), worth)
        self.assertEqual(order._loyalty_engine_expected_discounts([redemption], self.engine), worth)
        self.assertEqual(len(self.burns(self.TEN)), 1)
        self.assertFalse(self.cases())

    def test_burned_at_once_is_claimed_without_the_engine(self):
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.FIVE.code)
        self.env["loyalty.engine.health"]._note_failure(self.engine.id, "down")
        self.env.cr.execute("UPDATE loyalty_engine_health SET failures = 3")
        self.rest_on()
        states = self.spend(redemption, **{redemption["uuid"]: "5.00"})
        self.assertEqual(states[redemption["uuid"]]["frozen_amount"], "5")

    def test_burned_at_once_and_not_claimed(self):
        """The ledger is busy when it comes to the claim: the answer is no refusal, and the sale is
        settled all the same, by what the order carries."""
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.TEN.code)
        with patch.object(
            self.env.registry["loyalty.engine.redemption"], "_freeze", side_effect=LedgerBusy
        ):
            states = self.spend(redemption, **{redemption["uuid"]: "4.00"})
        told = states[redemption["uuid"]]
        self.assertEqual((told["state"], told["frozen_amount"]), ("spent", None))
        self.store(redemption, 4, 4, state="paid")
        self.recover()
        self.assertState(redemption, "settled")
        self.assertTrue(self.row(redemption).is_compared)
        self.assertEqual(len(self.burns(self.TEN)), 1)
        self.assertFalse(self.cases())

    def test_burned_at_once_and_cancelled(self):
        """The customer walks away: the voucher is gone, and a person gives another one."""
        self.engine.burn_moment = "at_once"
        redemption = self.held(self.TEN.code)
        order = self.store(redemption, 3, 3)
        self.recover()
        self.assertState(redemption, "spent")
        order.action_pos_order_cancel()
        self.recover()
        self.assertState(redemption, "stranded")
        (case,) = self.cases("burned")
        self.assertIn("10 % off", case.what)
        self.assertEqual(len(self.burns(self.TEN)), 1)

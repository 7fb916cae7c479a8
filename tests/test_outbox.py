import json
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.modules.migration import exec_script
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..engine import EngineAuthFailed, EngineRejected, Event
from ..models import loyalty_engine_sender
from ..sandbox import demo
from .common import CASHIER, MANAGER, LoyaltyEngineCase, new_user

SENDER = "odoo.addons.pos_loyalty_engine.models.loyalty_engine_sender"
REPORT = "odoo.addons.pos_loyalty_engine.models.loyalty_engine_report"
CONNECTION = "odoo.addons.pos_loyalty_engine.models.loyalty_engine"
MIGRATION = Path(__file__).parent.parent / "migrations/19.0.1.1.0/post-report_way.py"


@tagged("post_install", "-at_install")
class TestOutbox(LoyaltyEngineCase):
    def setUp(self):
        super().setUp()
        # Everything that is due is due at once.
        self.patch(loyalty_engine_sender, "LOOK_UP_AFTER", (0,))
        self.patch(loyalty_engine_sender, "SHORT_WAIT", 0)

    def _overdue(self, order, hours=24):
        """Let the time pass in which a request can arrive late."""
        report = self.report_of(order)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET sent_at = sent_at - interval '1 hour' * %(hours)s,"
            " due_at = due_at - interval '1 hour' * %(hours)s WHERE id = %(id)s",
            {"hours": hours, "id": report.id},
        )

    def test_a_sale_is_reported_field_by_field(self):
        order = self.sell(quantity=3, discount=10, member=self.member)
        self.assertEqual(self.report_of(order).state, "waiting")
        self.assertEqual(self.events(), [])

        self.send_reports()

        (event,) = self.events()
        self.assertEqual(event["subject"], self.member.id)
        self.assertEqual(event["executor"], f"pos-{self.config.id}")
        self.assertEqual(
            event["occurredAt"], f"{order.date_order.isoformat(timespec='milliseconds')}Z"
        )
        self.assertEqual(
            event["payload"],
            {
                "transactionId": order.uuid,
                "receiptNumber": order.pos_reference,
                "storeId": "372",
                "tillId": f"pos-{self.config.id}",
                "cashierId": f"user-{self.env.uid}",
                "currency": "USD",
                "total": 27.0,
                "totalWithoutTax": 24.55,
                "tax": 2.45,
                "discount": 3.0,
                "lines": [
                    {
                        "sku": "TEN",
                        "quantity": 3,
                        "unitPrice": 10.0,
                        "amount": 27.0,
                        "amountWithoutTax": 24.55,
                        "discount": 3.0,
                        "category": "Tens",
                    }
                ],
                "payments": [{"kind": "cash", "amount": 27.0}],
                "redemptions": [],
                "earningTotal": 27.0,
            },
        )
        report = self.report_of(order)
        self.assertEqual(report.state, "sent")
        self.assertEqual(report.event_ref, str(event["id"]))
        self.assertIn(f"id: {event['id']}", report.answer)
        self.assertNotIn(self.member.id, report.answer)
        self.assertEqual(order.loyalty_engine_report_state, "sent")

    def test_nothing_of_a_person_leaves_with_a_sale(self):
        secrets = {
            "name": "Miriam Bergstroem",
            "email": "miriam@example.com",
            "phone": "+46701234567",
            "street": "Strandvaegen 7",
            "city": "Norrkoeping",
            "zip": "60221",
            "vat": "SE556000000001",
            "ref": "customer-4711",
            "comment": "allergic to nuts",
        }
        self.env.user.write({"name": "Carola Cashier", "email": "carola@example.com"})
        customer = self.env["res.partner"].create({**secrets, "loyalty_engine_ref": self.member.id})
        order = self.sell(
            member=self.member,
            partner_id=customer.id,
            general_customer_note="call Miriam",
            internal_note="met at school",
        )
        self.send_reports()
        bodies = [
            request["body"]
            for request in self.sandbox.requests()
            if request["path"].endswith("/events") and request["method"] == "POST"
        ]
        self.assertEqual(len(bodies), 1)
        text = bodies[0].decode()
        self.assertIn(order.uuid, text)
        for secret in (*secrets.values(), "Carola", "carola@", "Miriam", "met at school"):
            self.assertNotIn(secret, text)

    def test_a_sale_to_anybody_is_reported_without_subject(self):
        self.sell()
        self.send_reports()
        (event,) = self.events()
        self.assertFalse(event.get("subject"))

    def test_amounts_in_the_smallest_unit(self):
        self.engine.amount_unit = "minor"
        self.sell(quantity=3, discount=10)
        self.send_reports()
        (event,) = self.events()
        self.assertEqual(event["payload"]["total"], 2700)
        self.assertEqual(event["payload"]["lines"][0]["amountWithoutTax"], 2455)
        self.assertEqual(event["payload"]["lines"][0]["quantity"], 3)

    def test_a_cashier_has_no_rights_to_the_outbox_and_needs_none(self):
        cashier = new_user(self, "le_cashier", CASHIER)
        order = self.sell(member=self.member)
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM loyalty_engine_report")
        self.env.invalidate_all()
        order.with_user(cashier).action_pos_order_paid()
        self.assertEqual(self.report_of(order).state, "waiting")

    def test_paid_twice_is_reported_once(self):
        order = self.sell()
        self.env["loyalty.engine.report"]._freeze(order)
        self.send_reports()
        self.send_reports()
        self.assertEqual(len(self.events()), 1)

    def test_a_return_is_no_sale(self):
        self.create_backend_pos_order(
            {
                "pos_config": self.config,
                "line_data": [{"product_id": self.product.id, "qty": 1}],
                "payment_data": [{"payment_method_id": self.cash_payment_method.id}],
                "refund_data": [{"payment_method_id": self.cash_payment_method.id}],
            }
        )
        self.send_reports()
        self.assertEqual(len(self.events()), 1)

    def test_nothing_is_written_down_where_reporting_is_off(self):
        self.engine.reporting = "off"
        self.assertFalse(self.report_of(self.sell()))

    # === A fault of ours ===

    def test_a_fault_of_ours_does_not_refuse_the_sale(self):
        with (
            mute_logger(REPORT),
            patch.object(
                type(self.env["pos.order"]), "_loyalty_engine_sale", side_effect=ZeroDivisionError
            ),
        ):
            order = self.sell(member=self.member)
        self.assertEqual(order.state, "paid")
        self.assertEqual(self.report_of(order).state, "not_built")
        self.assertEqual(self.engine.activity_ids.user_id, self.engine.responsible_id)
        self.assertEqual(self.config.loyalty_engine_trouble_count, 1)

        self.run_net()
        self.send_reports()
        (event,) = self.events()
        self.assertEqual(event["payload"]["transactionId"], order.uuid)
        self.assertEqual(event["subject"], self.member.id)

    @mute_logger("odoo.addons.pos_loyalty_engine.models.pos_order")
    def test_a_fault_beside_the_outbox_does_not_refuse_the_sale(self):
        for name in ("_loyalty_engine_refunds", "_loyalty_engine_claims"):
            with (
                self.subTest(name=name),
                patch.object(type(self.env["pos.order"]), name, side_effect=ZeroDivisionError),
            ):
                order = self.sell()
                self.assertEqual(order.state, "paid")
                self.assertEqual(self.report_of(order).state, "waiting")

    def test_a_fault_in_the_database_does_not_refuse_the_sale(self):
        def break_the_transaction(order):
            order.env.cr.execute("SELECT 1/0")

        with (
            mute_logger(REPORT, "odoo.sql_db"),
            patch.object(
                type(self.env["pos.order"]), "_loyalty_engine_sale", break_the_transaction
            ),
        ):
            order = self.sell()
        self.env.flush_all()
        self.assertEqual(order.state, "paid")

    @mute_logger(CONNECTION, REPORT, "odoo.sql_db")
    def test_no_trouble_with_a_job_refuses_a_sale_or_the_opening_of_a_till(self):
        def break_the_transaction(cron, *_arguments):
            cron.env.cr.execute("SELECT 1/0")

        def sell_and_open():
            order = self.sell(member=self.member)
            order.lines.loyalty_engine_redemption = str(uuid.uuid4())
            self.env.flush_all()
            self.env.cr.execute("DELETE FROM loyalty_engine_report")
            order.action_pos_order_paid()
            self.config.open_ui()
            self.config.current_session_id.load_data_params()
            self.engine.write({"locale": "en", "points_value_source": "fixed"})
            self.env.flush_all()
            return self.report_of(order).state

        with patch.object(self.registry["ir.cron"], "_trigger_list", break_the_transaction):
            self.assertEqual(sell_and_open(), "not_built", "the safety net builds it")
        names = ("send_reports", "recover_redemptions", "refresh_points_values")
        for name in names:
            self.env.ref(f"pos_loyalty_engine.ir_cron_{name}").unlink()
        self.assertEqual(sell_and_open(), "waiting")

    def test_a_till_without_connection_opens_without_us(self):
        with patch.object(
            type(self.env["loyalty.engine.recovery"]), "_wake", side_effect=ZeroDivisionError
        ):
            self.pos_config_eur.open_ui()
            self.pos_config_eur.current_session_id.load_data_params()

    def test_the_safety_net_finds_sales_without_a_row(self):
        with patch.object(type(self.env["loyalty.engine.report"]), "_freeze", return_value=None):
            order = self.sell()
        self.assertFalse(self.report_of(order))
        self.run_net()
        self.assertEqual(self.report_of(order).state, "waiting")

    def test_the_safety_net_leaves_sales_from_before_the_connection(self):
        with patch.object(type(self.env["loyalty.engine.report"]), "_freeze", return_value=None):
            order = self.sell()
        self.config.loyalty_engine_since = fields.Datetime.add(fields.Datetime.now(), minutes=1)
        self.run_net()
        self.assertFalse(self.report_of(order))

    def test_what_was_sold_while_reporting_was_off_is_never_reported(self):
        self.engine.reporting = "off"
        order = self.sell()
        self.env.flush_all()
        # Reporting was on before, and the sale was an hour ago.
        for query in (
            "UPDATE pos_order SET create_date = create_date - interval '1 hour'",
            "UPDATE pos_config SET loyalty_engine_since = now() - interval '2 days'",
            "UPDATE loyalty_engine SET reporting_since = now() - interval '2 days'",
        ):
            self.env.cr.execute(query)
        self.env.invalidate_all()
        self.engine.reporting = "event"
        self.run_net()
        self.assertFalse(self.report_of(order))

    def run_net(self):
        with self.enter_registry_test_mode():
            self.env.ref("pos_loyalty_engine.ir_cron_build_missing").method_direct_trigger()
        self.env.invalidate_all()

    @mute_logger(SENDER)
    def test_a_warning_goes_when_all_is_well_again(self):
        self.engine.sale_event_type = "NO_SUCH_TYPE"
        order = self.sell()
        self.send_reports()
        self.run_net()
        self.assertEqual(len(self.engine.activity_ids), 1)
        self.engine.sale_event_type = "POS_SALE"
        self.report_of(order).action_retry()
        self.send_reports()
        self.run_net()
        self.assertFalse(self.engine.activity_ids)

    def test_what_waits_is_sent_at_once_by_the_button(self):
        order = self.sell()
        self.env.flush_all()
        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = due_at + interval '1 day'")
        self.send_reports()
        self.assertFalse(self.events())
        self.report_of(order).action_retry()
        self.send_reports()
        self.assertEqual(len(self.events()), 1)
        with self.assertRaises(UserError):
            self.report_of(order).action_retry()

    def test_a_sale_that_comes_late_says_when_it_was(self):
        sold_at = fields.Datetime.now().replace(microsecond=0) - timedelta(days=3)
        self.sell(date_order=sold_at)
        self.send_reports()
        (event,) = self.events()
        self.assertEqual(event["occurredAt"][:19], sold_at.isoformat())

    def test_what_waits_for_a_day_is_seen(self):
        self.engine.database_uuid = "somewhere else"
        order = self.sell()
        self.run_net()
        self.assertFalse(self.engine.activity_ids)
        self.assertEqual(self.config.loyalty_engine_trouble_count, 0)
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET create_date = create_date - interval '2 days'"
        )
        for _run in range(2):
            self.run_net()
        self.assertEqual(len(self.engine.activity_ids), 1)
        self.assertEqual(self.config.loyalty_engine_trouble_count, 1)
        self.assertEqual((self.engine.trouble_count, self.engine.waiting_count), (1, 1))
        self.assertTrue(self.report_of(order).needs_person)

    # === The engine in trouble ===

    def test_engine_down_then_back(self):
        self.sandbox.stop()
        try:
            order = self.sell()
            self.send_reports()
            report = self.report_of(order)
            self.assertEqual((report.state, report.sends), ("waiting", 0))
            self.assertTrue(self.engine._health().resume_at)
        finally:
            self.sandbox.start()
        self.end_the_rest()
        self.send_reports()
        self.assertEqual(len(self.events()), 1)
        self.assertEqual(self.report_of(order).state, "sent")

    def test_a_connection_rests_after_a_failure(self):
        self.sandbox.stop()
        try:
            self.sell()
            self.send_reports()
        finally:
            self.sandbox.start()
        self.rest_on()
        self.send_reports()
        self.assertEqual(self.events(), [], "it is still resting")
        self.assertTrue(self.engine.rests_until)
        self.assertTrue(self.engine.rest_reason)
        self.end_the_rest()
        self.assertFalse(self.engine.rests_until)
        self.send_reports()
        self.assertEqual(len(self.events()), 1)

    def test_drop_after_doing_is_looked_up_not_repeated(self):
        self.sandbox.faults(kind="drop_after", method="POST", path="/events", times=1)
        order = self.sell()
        self.send_reports()
        self.end_the_rest()
        self.send_reports()
        self.assertEqual(len(self.events()), 1)
        report = self.report_of(order)
        self.assertEqual((report.state, report.sends), ("sent", 1))
        self.assertFalse(self.engine._health().failures)

    def test_drop_before_doing_goes_again_only_after_the_late_time(self):
        self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=1)
        order = self.sell()
        self.send_reports()
        self.end_the_rest()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "unknown")
        self.assertEqual(self.events(), [])
        first = self.report_of(order).body

        # Another mapping changes nothing about a report that may have been taken.
        self.engine.amount_unit = "minor"
        self._overdue(order)
        self.send_reports()
        (event,) = self.events()
        report = self.report_of(order)
        self.assertEqual((report.state, report.sends, report.body), ("sent", 2, first))
        self.assertEqual(event["payload"]["transactionId"], order.uuid)

    def _change_everything(self):
        """The manager reports otherwise from now on: other way, other type, other payload."""
        self.engine.write(
            {
                "reporting": "order",
                "sale_event_type": "ANOTHER_SALE",
                "event_template": json.dumps({"order": {"id": "$transaction_id"}}),
            }
        )

    def test_what_was_taken_is_found_where_it_went(self):
        self.sandbox.faults(kind="drop_after", method="POST", path="/events", times=1)
        order = self.sell()
        with patch.object(loyalty_engine_sender, "LOOK_UP_AFTER", (600,)):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "unknown")
        self.end_the_rest()
        self._change_everything()
        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = sent_at")
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual((report.state, report.sends), ("sent", 1))

    def test_what_was_not_taken_goes_again_where_it_went(self):
        self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=1)
        order = self.sell()
        self.send_reports()
        self.end_the_rest()
        self._change_everything()
        self._overdue(order)
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")
        self.assertEqual(len(self.events()), 1)
        self.assertEqual(self.events("ORDER_PLACED"), [])

    def _update_from_before_the_way(self):
        """The module is updated from the version that did not write down where a report goes."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET way = NULL, event_type = NULL, event_path = NULL"
        )
        self.env.invalidate_all()
        exec_script(self.env.cr, "19.0.1.0.0", str(MIGRATION), "pos_loyalty_engine", "post")
        self.env.flush_all()

    def test_what_was_taken_before_an_update_is_found(self):
        self.sandbox.faults(kind="drop_after", method="POST", path="/events", times=1)
        order = self.sell()
        with patch.object(loyalty_engine_sender, "LOOK_UP_AFTER", (600,)):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "unknown")
        self._update_from_before_the_way()
        self.end_the_rest()
        self._overdue(order)
        self.send_reports()
        self.assertEqual(len(self.events()), 1)
        self.assertEqual((self.report_of(order).state, self.report_of(order).sends), ("sent", 1))

    def test_what_waits_at_an_update_goes_where_it_went(self):
        self.engine.reporting = "order"
        self.sandbox.faults(kind="throttle", method="POST", path="/orders", times=1)
        order = self.sell()
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "waiting")
        self.assertTrue(report.body)
        self._update_from_before_the_way()
        self.end_the_rest()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")
        self.assertEqual(len(self.events("ORDER_PLACED")), 1)
        self.assertEqual(self.events(), [])

    def test_a_forbidden_second_sending_is_looked_up(self):
        orders = [self.sell(), self.sell()]
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET sends = 1 WHERE order_uuid = %s", (orders[0].uuid,)
        )

        second = orders[0].uuid.encode()

        def answer(_client, body, **_options):
            if second in body:
                raise EngineAuthFailed("no", status=403)
            return Event(id="1")

        with (
            patch.object(loyalty_engine_sender, "LOOK_UP_AFTER", (600,)),
            patch("odoo.addons.pos_loyalty_engine.engine.LoyaltyEngineClient.report_event", answer),
        ):
            self.send_reports()
        self.assertEqual([self.report_of(order).state for order in orders], ["unknown", "sent"])

    def test_a_request_that_arrives_after_the_look_up_counts_once(self):
        self.engine.background_deadline = 1
        self.sandbox.faults(kind="late", method="POST", path="/events", seconds=1, times=1)
        order = self.sell()
        self.send_reports()
        self.end_the_rest()
        self.assertEqual(self.report_of(order).state, "unknown")
        self.sandbox.wait_until(lambda: self.events(), "the late event")

        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = sent_at")
        self.send_reports()
        self.assertEqual(len(self.events()), 1)
        self.assertEqual(self.report_of(order).state, "sent")

    def test_a_long_search_stops_nobody(self):
        """The engine has more events than can be read in time: what is in doubt is looked for
        later, what waits goes all the same, and no till is told that the engine is down."""
        self.engine.background_deadline = 1
        self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=1)
        lost = self.sell()
        self.send_reports()
        self.end_the_rest()
        for _sale in range(3):
            self.sell()
        self.send_reports()
        self.assertEqual(len(self.events()), 3)
        self._overdue(lost, hours=1)
        waiting = self.sell()
        self.sandbox.faults(kind="latency", method="GET", path="/events", seconds=0.4)
        self._search_in_vain()
        self.assertEqual(self.report_of(waiting).state, "sent")
        report = self.report_of(lost)
        self.assertEqual((report.state, report.sends), ("unknown", 1))
        self.assertGreater(report.due_at, fields.Datetime.now())
        self.assertFalse(self.engine._health().failures)
        # The list only gets longer: in the end such a search decides like one without a result.
        self._overdue(lost)
        self._search_in_vain()
        self.assertEqual(self.report_of(lost).sends, 2)

    def test_a_list_that_fails_stops_nobody(self):
        """Reports are taken and can't be looked for: what waits goes all the same, no till is told
        that the engine is down, and in the end a person, or the report itself, goes on."""
        for kind in ("error", "unreadable"):
            with self.subTest(kind=kind):
                self.sandbox.reset()
                self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=1)
                lost = self.sell()
                self.send_reports()
                self.end_the_rest()
                self._overdue(lost, hours=1)
                waiting = self.sell()
                self.sandbox.faults(kind=kind, method="GET", path="/events")
                self.send_reports()
                self.assertEqual(self.report_of(waiting).state, "sent")
                self.assertFalse(self.engine._health().failures)
                if kind == "error":
                    report = self.report_of(lost)
                    self.assertEqual((report.state, report.sends), ("unknown", 1))
                    self._overdue(lost)
                    self.send_reports()
                self.assertEqual(self.report_of(lost).state, "sent")
                self.assertEqual(self.report_of(lost).sends, 2)

    def test_refused_and_nobody_can_look_is_not_surely_refused(self):
        """The first sending may have been taken: sent again, it is looked for first."""
        order = self.sell()
        self.send_reports()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET state = 'unknown', refused = TRUE, due_at = sent_at"
        )
        self.sandbox.faults(kind="unreadable", method="GET", path="/events")
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual((report.state, report.refused), ("dead", False))
        self.sandbox.clear_faults()
        report.action_retry()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")
        self.assertEqual(len(self.events()), 1)

    def test_a_late_sale_leaves_nothing_else_undecided(self):
        """What was paid three days ago is looked for among the events of three days; of what was
        sent just now it is soon known that it isn't there."""
        self.engine.background_deadline = 3
        self.patch(loyalty_engine_sender, "CLOCK_MARGIN", 0)
        # One after the other: a list in no order says of nothing that it isn't there.
        for _sale in range(12):
            self.sell()
            self.send_reports()
        self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=2)
        now = fields.Datetime.now()
        late, fresh = (self.sell(date_order=now - timedelta(days=days)) for days in (3, 0))
        self.send_reports()
        self.end_the_rest()
        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = sent_at")
        # The transaction's clock stands still since before the others were reported.
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET (sent_at, occurred_at)"
            " = (SELECT clock, clock FROM (SELECT clock_timestamp() AT TIME ZONE 'UTC') now(clock))"
            " WHERE order_uuid = %s",
            (fresh.uuid,),
        )
        self.sandbox.faults(kind="latency", method="GET", path="/events", seconds=0.3)
        self._search_in_vain()
        late, fresh = self.report_of(late), self.report_of(fresh)
        self.assertEqual((late.state, fresh.state), ("unknown", "unknown"))
        self.assertLess(late.due_at - now, timedelta(minutes=2), "tried again")
        self.assertGreater(fresh.due_at - now, timedelta(minutes=5), "waits for a late arrival")

    def _search_in_vain(self):
        """Send and look up, while a search takes longer than its time."""
        client = "odoo.addons.pos_loyalty_engine.engine.client"
        with patch(f"{client}.SEARCH_PAGE", 1), patch(f"{client}.LARGEST_SEARCH_PAGE", 1):
            self.send_reports()

    def test_a_refused_second_sending_is_looked_up_before_it_is_dead(self):
        """The engine takes a report, the answer is lost, and the second sending is refused."""
        for taken in (True, False):
            with self.subTest(taken=taken):
                self.sandbox.reset()
                order = self.sell()
                self.send_reports()
                self.env.cr.execute(
                    "UPDATE loyalty_engine_report SET state = 'waiting', due_at = sent_at"
                    " WHERE order_uuid = %s",
                    (order.uuid,),
                )
                if not taken:
                    self.sandbox.reset()
                with patch(
                    "odoo.addons.pos_loyalty_engine.engine.LoyaltyEngineClient.report_event",
                    side_effect=EngineRejected(409, "DUPLICATE", "already reported"),
                ):
                    self.send_reports()
                self.end_the_rest()
                self.send_reports()
                self.assertEqual(self.report_of(order).state, "sent" if taken else "dead")

    def test_a_process_that_died_in_the_middle_leaves_an_unknown_outcome(self):
        order = self.sell()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET state = 'sending', sends = 1,"
            " sent_at = now() AT TIME ZONE 'UTC' WHERE order_uuid = %s",
            (order.uuid,),
        )
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "unknown")
        self.assertEqual(self.events(), [])

    @mute_logger(SENDER)
    def test_refused_is_dead_with_the_reason_and_goes_again_when_mended(self):
        self.engine.sale_event_type = "NO_SUCH_TYPE"
        order = self.sell()
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "dead")
        self.assertTrue(report.reason)
        self.assertEqual(len(self.engine.activity_ids), 1)
        refused = report.body

        self.engine.sale_event_type = "POS_SALE"
        report.action_retry()
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "sent")
        self.assertEqual(report.earlier_bodies, refused)
        self.assertEqual(len(self.events()), 1)

    def test_what_nobody_can_be_told_of_is_written_down_all_the_same(self):
        """Somebody has deleted the type of activity, for one."""

        def fail(engine, _summary):
            engine.env.cr.execute("SELECT 1 FROM nothing_like_it")

        self.engine.sale_event_type = "NO_SUCH_TYPE"
        order = self.sell()
        engines = self.registry["loyalty.engine"]
        with (
            patch.object(engines, "_alert_person", fail),
            mute_logger(SENDER, "odoo.sql_db"),
            self.assertLogs(CONNECTION, "ERROR") as logged,
        ):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "dead")
        self.assertIn("nobody was told", logged.output[0])

    @mute_logger(REPORT, SENDER)
    def test_what_can_not_be_built_is_sent_by_no_button_and_stops_no_other(self):
        orders = self.registry["pos.order"]
        with patch.object(orders, "_loyalty_engine_sale", side_effect=ZeroDivisionError):
            not_built = self.sell()
        self.engine.sale_event_type = "NO_SUCH_TYPE"
        refused = self.sell()
        self.send_reports()
        self.engine.sale_event_type = "POS_SALE"
        self.assertEqual(self.engine.trouble_count, 2)
        with patch.object(orders, "_loyalty_engine_sale", side_effect=ZeroDivisionError):
            with self.assertRaisesRegex(UserError, "still"):
                self.report_of(not_built).action_retry()
            self.engine.action_retry_troubled()
        self.send_reports()
        self.assertEqual(self.report_of(refused).state, "sent")
        self.assertEqual(self.report_of(not_built).state, "not_built")
        self.engine.action_retry_troubled()
        self.send_reports()
        self.assertEqual(self.report_of(not_built).state, "sent")

    def test_a_poisoned_row_stops_no_other(self):
        poisoned = self.sell()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET facts = '{\"currency\": 1}' WHERE order_uuid = %s",
            (poisoned.uuid,),
        )
        order = self.sell()
        self.send_reports()
        self.assertEqual(self.report_of(poisoned).state, "dead")
        self.assertEqual(self.report_of(order).state, "sent")

    def test_refused_credentials_tell_the_responsible_and_keep_the_reports(self):
        self.sandbox.faults(kind="wrong_token")
        order = self.sell()
        with mute_logger(SENDER):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "waiting")
        self.assertEqual(len(self.engine.activity_ids), 1)

    def test_one_forbidden_report_stops_no_other(self):
        restricted = next(member for member in demo.MEMBERS if member.restricted)
        # Since we have asked.
        self.env["loyalty.engine.member"]._confirm(self.engine.id, restricted.id)
        forbidden = self.sell(member=restricted)
        others = [self.sell() for _sale in range(3)]
        self.sandbox.set_options(restricted_subject="refuse")
        self.send_reports()
        self.assertEqual([self.report_of(order).state for order in others], ["sent"] * 3)
        self.assertEqual(self.report_of(forbidden).state, "dead")

    def test_throttled_waits(self):
        self.sandbox.faults(kind="throttle", method="POST", path="/events", times=1)
        order = self.sell()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "waiting")
        health = self.engine._health()
        self.assertTrue(health.resume_at)
        self.assertEqual(health.failures, 0)

    def test_a_pause_that_the_engine_asked_for_is_kept(self):
        """Nothing else is asked in the same run, and no answer to somebody else ends it."""
        self.sandbox.faults(kind="drop_before", method="POST", path="/events", times=1)
        order = self.sell()
        with patch.object(loyalty_engine_sender, "LOOK_UP_AFTER", (600,)):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "unknown")
        self.end_the_rest()
        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = sent_at")
        self.sandbox.faults(
            {"kind": "throttle", "method": "POST", "path": "/events", "retry_after": 300},
        )
        self.sell()
        self.send_reports()
        lists = [one for one in self.sandbox.requests() if one["method"] == "GET"]
        self.assertFalse([one for one in lists if one["path"].startswith("/v1/events")])
        health = self.env["loyalty.engine.health"]
        with self.enter_registry_test_mode():
            health._note_success(self.engine.id)
            health._note_failure(self.engine.id, "down")
        self.env.invalidate_all()
        pause = self.engine._health().resume_at - fields.Datetime.now()
        self.assertGreater(pause, timedelta(minutes=4))

    def test_a_fault_of_ours_takes_no_other_outcome_along(self):
        orders = [self.sell(), self.sell()]
        words = loyalty_engine_sender._in_short
        broken = iter([RuntimeError])

        def in_short(answer):
            for error in broken:
                raise error
            return words(answer)

        with (
            patch.object(loyalty_engine_sender, "_in_short", in_short),
            patch.object(loyalty_engine_sender, "LOOK_UP_AFTER", (600,)),
            self.assertLogs(loyalty_engine_sender._logger.name, "ERROR"),
        ):
            self.send_reports()
        states = sorted(self.report_of(order).state for order in orders)
        self.assertEqual(states, ["sent", "unknown"])
        self.end_the_rest()
        self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = sent_at")
        self.send_reports()
        self.assertEqual({self.report_of(order).state for order in orders}, {"sent"})
        self.assertEqual(len(self.events()), 2)

    def test_another_database_sends_nothing(self):
        self.engine.database_uuid = "somewhere else"
        order = self.sell()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "waiting")
        self.engine.action_use_this_database()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")

    # === Codes that could not be verified at the till ===

    def test_an_unverified_code_is_resolved_before_reporting(self):
        order = self.sell(loyalty_engine_member_code=self.member.account_number)
        self.send_reports()
        (event,) = self.events()
        self.assertEqual(event["subject"], self.member.id)
        self.assertEqual(self.report_of(order).member_ref, self.member.id)

    def test_a_code_of_nobody_is_reported_without_member(self):
        order = self.sell(loyalty_engine_member_code="0000000")
        self.send_reports()
        (event,) = self.events()
        self.assertFalse(event.get("subject"))
        self.assertIn("belongs to nobody", self.report_of(order).answer)

    def test_the_word_of_a_till_is_looked_up(self):
        made_up, real = str(uuid.uuid4()), self.member.id
        orders = [self.sell(loyalty_engine_member_ref=ref) for ref in (made_up, real, real)]
        self.send_reports()
        subjects = {
            event["payload"]["transactionId"]: event.get("subject") for event in self.events()
        }
        self.assertEqual([subjects[order.uuid] for order in orders], [None, real, real])
        self.assertFalse(self.report_of(orders[0]).member_ref)
        orders.append(self.sell(loyalty_engine_member_ref=real))
        self.send_reports()
        self.assertEqual(len(self.events()), 4)
        asked = [each for each in self.sandbox.requests() if each["path"] == f"/v1/users/{real}"]
        self.assertEqual(len(asked), 1, "once, and never again")

    def test_a_code_without_an_answer_stops_no_other(self):
        code = demo.MEMBERS[1].account_number
        for status in (403, 405, 500):
            with self.subTest(status=status):
                self.sandbox.reset()
                kind = "refuse" if status < 500 else "error"
                self.sandbox.faults(kind=kind, status=status, path=f"/users/{code}")
                stuck = self.sell(loyalty_engine_member_code=code)
                order = self.sell(loyalty_engine_member_code=self.member.account_number)
                self.send_reports()
                self.assertEqual(self.report_of(order).state, "sent")
                report = self.report_of(stuck)
                self.assertEqual((report.state, report.member_asks), ("waiting", 1))
                self.assertGreater(report.due_at, self.env.cr.now())
                self.assertFalse(self.engine._health().resume_at)

    def test_members_who_take_long_to_ask_for_keep_no_other_sale(self):
        asked_for = self.sell(loyalty_engine_member_code=self.member.account_number)
        order = self.sell()
        with patch.object(loyalty_engine_sender, "RESOLVE_LIMIT", -1):
            self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")
        self.assertEqual(self.report_of(asked_for).state, "waiting")
        self.send_reports()
        self.assertEqual(self.report_of(asked_for).member_ref, self.member.id)

    def test_a_code_without_an_answer_ends_with_a_person(self):
        self.sandbox.faults(kind="error", status=500, path="/users/*")
        order = self.sell(loyalty_engine_member_code=self.member.account_number)
        with patch.object(loyalty_engine_sender, "ASK_AGAIN_AFTER", (0, 0)):
            for _run in range(3):
                self.env.cr.execute("UPDATE loyalty_engine_report SET due_at = create_date")
                self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "dead")
        self.assertIn("500", report.reason)
        self.assertEqual(len(self.engine.activity_ids), 1)
        self.sandbox.reset()
        report.action_retry()
        self.send_reports()
        (event,) = self.events()
        self.assertEqual(event["subject"], self.member.id)

    def test_a_wrong_address_costs_no_member(self):
        orders = [
            self.sell(loyalty_engine_member_code=self.member.account_number),
            self.sell(member=self.member),
        ]
        right = self.engine.rewards_url
        self.engine.rewards_url = f"{right}/nothing-here"
        self.send_reports()
        reports = self.report_of(orders[0]) | self.report_of(orders[1])
        self.assertEqual(set(reports.mapped("state")), {"dead"})
        self.engine.rewards_url = right
        reports.action_retry()
        self.send_reports()
        self.assertEqual([event["subject"] for event in self.events()], [self.member.id] * 2)

    def test_an_engine_that_answers_nothing_rests(self):
        self.sandbox.faults(kind="error", status=500, path="/users/*")
        for member in demo.MEMBERS[:4]:
            self.sell(loyalty_engine_member_code=member.account_number)
        self.send_reports()
        self.assertTrue(self.engine._health().resume_at)
        asked = [each for each in self.sandbox.requests() if each["path"].startswith("/v1/users/")]
        self.assertEqual(len(asked), 3)

    # === Archived ===

    def test_a_connection_in_use_is_not_archived(self):
        with self.assertRaisesRegex(ValidationError, self.config.name):
            self.engine.action_archive()

    def test_what_waits_at_an_archived_connection_is_sent(self):
        order = self.sell()
        self.env.flush_all()
        self.env.cr.execute("UPDATE pos_config SET loyalty_engine_id = NULL")
        self.env.invalidate_all()
        self.engine.action_archive()
        self.send_reports()
        self.assertEqual(self.report_of(order).state, "sent")

    # === As orders of the Receipts service ===

    def test_reported_as_an_order(self):
        self.engine.reporting = "order"
        self.sell(member=self.member)
        self.send_reports()
        self.assertEqual(self.events(), [])
        (event,) = self.events("ORDER_PLACED")
        self.assertIn(self.member.auth_identifier, json.dumps(event))

    def test_an_order_that_nobody_can_look_for_goes_twice_at_most(self):
        self.engine.reporting = "order"
        self.sandbox.faults(kind="drop_after", method="POST", path="/orders")
        order = self.sell()
        for _sending in range(3):
            self.send_reports()
            self.end_the_rest()
            self._overdue(order)
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual((report.state, report.sends), ("dead", 2))
        self.assertEqual(len(self.events("ORDER_PLACED")), 2)
        self.assertEqual(len(self.engine.activity_ids), 1)

    def test_a_wrong_address_costs_an_order_no_member(self):
        self.engine.reporting = "order"
        self.env["loyalty.engine.member"]._confirm(self.engine.id, self.member.id)
        order = self.sell(member=self.member)
        self.sandbox.faults(
            {"kind": "refuse", "status": 404, "path": "/users/*"},
            {"kind": "refuse", "status": 404, "path": "*/orders"},
        )
        self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "dead")
        self.sandbox.clear_faults()
        report.action_retry()
        self.send_reports()
        (event,) = self.events("ORDER_PLACED")
        self.assertIn(self.member.auth_identifier, json.dumps(event))

    def test_an_order_whose_member_can_not_be_named_says_so(self):
        self.engine.reporting = "order"
        nameless = replace(self.engine._client().get_user(self.member.id), auth_identifier=None)
        order = self.sell(member=self.member)
        sender = self.registry["loyalty.engine.sender"]
        with patch.object(sender, "_ask_for", return_value=nameless):
            self.send_reports()
        report = self.report_of(order)
        self.assertEqual(report.state, "sent")
        self.assertIn("no auth identifier", report.answer)

    # === What a person sees to ===

    def dead_report(self):
        self.sandbox.faults(kind="refuse", method="POST", path="/events")
        report = self.report_of(self.sell())
        self.send_reports()
        self.sandbox.clear_faults()
        report.invalidate_recordset()
        self.assertEqual(report.state, "dead")
        return report

    def test_done_by_hand(self):
        report = self.dead_report()
        self.assertEqual(self.config.loyalty_engine_trouble_count, 1)
        with self.assertRaises(AccessError):
            report.with_user(new_user(self, "le_c", CASHIER)).action_done_by_hand()
        manager = new_user(self, "le_m", MANAGER)
        report.with_user(manager).action_done_by_hand()
        self.assertEqual(report.state, "by_hand")
        self.assertIn(manager.name, report.answer)
        self.assertFalse(report.needs_person)
        self.env.invalidate_all()
        self.assertFalse(self.config.loyalty_engine_trouble_count)
        with self.assertRaises(UserError):
            report.action_retry()
        self.send_reports()
        self.assertFalse(self.events())

    def test_what_can_not_go_stays_listed(self):
        report = self.dead_report()
        self.engine.reporting = "off"
        with self.assertRaisesRegex(UserError, "doesn't report"):
            report.action_retry()
        self.engine.write({"reporting": "event", "database_uuid": "another"})
        with self.assertRaisesRegex(UserError, "another database"):
            self.engine.action_retry_troubled()
        self.assertEqual(report.state, "dead")
        self.assertTrue(report.needs_person)

    def test_nobody_is_told_of_keys_that_nothing_waits_for(self):
        self.engine.api_key = False
        self.send_reports()
        self.assertFalse(self.engine.activity_ids)
        self.sell()
        self.send_reports()
        self.assertRegex(self.engine.activity_ids.summary, "not filled in")

    def test_mended_credentials_are_used_at_once(self):
        report = self.report_of(self.sell())
        self.engine.api_key = "wrong"
        self.send_reports()
        report.invalidate_recordset()
        self.assertEqual(report.state, "waiting")
        self.assertTrue(self.engine.rests_until)
        self.engine.api_key = demo.API_KEY
        self.send_reports()
        report.invalidate_recordset()
        self.assertEqual(report.state, "sent")

    # === Who may ===

    def test_only_managers_retry(self):
        cashier = new_user(self, "le_cashier", CASHIER)
        report = self.report_of(self.sell())
        with self.assertRaises(AccessError):
            report.with_user(cashier).action_retry()
        with self.assertRaises(AccessError):
            report.with_user(cashier).read(["state"])
        self.send_reports()
        with self.assertRaises(UserError):
            report.action_retry()

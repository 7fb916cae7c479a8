import hashlib
import json
import uuid
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.modules.migration import exec_script
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..engine import DEFAULT_REDEEM_TEMPLATE
from ..models import loyalty_engine_case
from ..sandbox import demo
from .common import MANAGER, new_user
from .test_redemption import LATE, RECOVERY, RedemptionCase

FIVE, TEN, PIE = demo.BENEFITS[:3]
MIGRATIONS = Path(__file__).parent.parent / "migrations/19.0.1.2.0"


class LeftBehind(RedemptionCase):
    """Several redemptions, each of an order of its own."""

    def spent_apart(self, *points):
        """Spend these points, each for another order; :return: the redemptions"""
        redemptions = []
        for amount in points:
            order_uuid = str(uuid.uuid4())
            redemption = self.held_points(amount, order_uuid)
            self.spend(redemption, order_uuid=order_uuid)
            redemptions.append(redemption)
        self.sandbox.wait_for_reactors()
        # The second one has looked for the reaction of the first.
        self.env.cr.execute("UPDATE loyalty_engine_redemption SET shown_at = NULL")
        return redemptions

    def woken_at(self, cron):
        """When a job is to run, beside its turn."""
        return self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)]).mapped("call_at")

    def held_voucher(self, benefit, order_uuid):
        answer = self.ask(
            "hold_voucher",
            order_uuid=order_uuid,
            member_ref=self.member.id,
            code=benefit.code,
            presented="scan",
        )
        self.assertEqual(answer["status"], "held", answer)
        return answer["redemption"]

    def unknown_vouchers(self, *benefits):
        """Vouchers whose burns are lost on the way, each of another order."""
        redemptions = []
        self.sandbox.faults(kind="drop_before", path="/commands/validate_voucher", body="false")
        for benefit in benefits:
            order_uuid = str(uuid.uuid4())
            redemption = self.held_voucher(benefit, order_uuid)
            states = self.spend(redemption, order_uuid=order_uuid)
            self.assertEqual(states[redemption["uuid"]]["state"], "unknown")
            self.end_the_rest()
            redemptions.append(redemption)
        self.sandbox.clear_faults()
        return redemptions


@tagged("post_install", "-at_install")
class TestRecovery(LeftBehind):
    # === What can't be told of one redemption stops only that one ===

    def reactions_of(self, redemption):
        return f"/events/{self.row(redemption).event_ref}/reactions"

    def test_a_reaction_that_can_not_be_read(self):
        for fault in (
            {"kind": "refuse", "status": 404},
            {"kind": "unreadable", "form": "garbage"},
            {"kind": "error", "status": 500},
        ):
            bad, good = self.spent_apart(100, 50)
            self.sandbox.faults(path=self.reactions_of(bad), **fault)
            with self.subTest(fault=fault):
                self.recover()
                self.assertFalse(self.row(bad).shown_at)
                self.assertTrue(self.row(good).shown_at)
            self.sandbox.clear_faults()

    def test_a_voucher_that_can_not_be_looked_up(self):
        bad, good = self.unknown_vouchers(FIVE, TEN)
        self.sandbox.faults(kind="error", status=500, path=f"/benefits/{FIVE.id}")
        self.let_pass(LATE)
        self.recover()
        self.assertState(bad, "unknown")
        self.assertState(good, "released")
        # Not for ever.
        self.let_pass(24 * 3600)
        self.recover()
        self.assertState(bad, "stranded")
        self.assertEqual(self.cases("burned").redemption_id, self.row(bad))

    def test_an_engine_that_is_out_of_reach_for_good(self):
        (redemption,) = self.unknown_vouchers(FIVE)
        self.sandbox.faults(kind="refuse", status=401)
        self.let_pass(6 * 24 * 3600)
        self.recover()
        self.assertState(redemption, "unknown")
        self.let_pass(24 * 3600)
        self.recover()
        self.assertState(redemption, "stranded")
        self.assertEqual(self.cases("burned").redemption_id, self.row(redemption))
        self.assertIn("perhaps", self.cases("burned").name)

    def test_points_that_nobody_can_see_coming_back_are_a_persons(self):
        """After a day where the engine says nothing of them, after a week where it says nothing."""
        for fault, days in (
            ({"status": 403, "path": "/events/*/reactions"}, 1),
            ({"status": 401}, 7),
        ):
            with self.subTest(fault=fault):
                redemption = self.spent_points(100)
                self.sandbox.wait_for_reactors()
                self.ask("abandon", order_uuid=self.order_uuid, till_key="till-1")
                self.recover()
                self.assertState(redemption, "returning")
                self.send_reports()
                self.sandbox.faults(kind="refuse", **fault)
                for hours, state in ((-1, "returning"), (1, "stranded")):
                    self.env.cr.execute(
                        "UPDATE loyalty_engine_report SET due_at = NULL, taken_at = %s"
                        " WHERE kind = 'points_refund'",
                        (self.env.cr.now() - timedelta(days=days, hours=hours),),
                    )
                    self.recover()
                    self.assertState(redemption, state)
                self.assertTrue(
                    self.cases("points").filtered_domain(
                        [("redemption_id", "=", self.row(redemption).id)]
                    )
                )
                self.sandbox.clear_faults()
                self.end_the_rest()
                self.order_uuid = str(uuid.uuid4())

    def test_what_can_be_asked_about_is_asked_about_however_old_it_is(self):
        """The server was off for more than a week."""
        (redemption,) = self.unknown_vouchers(FIVE)
        self.let_pass(8 * 24 * 3600)
        self.recover()
        self.assertState(redemption, "released")

    def test_an_address_where_it_would_seem_never_to_have_arrived(self):
        (redemption,) = self.unknown_vouchers(FIVE)
        # The same address, and the same tenant
        self.engine.rewards_url += "/"
        self.engine.client_id = "another"
        self.recover()
        self.assertState(redemption, "unknown")
        self.engine.rewards_url = "http://127.0.0.1:9/v1"
        self.let_pass(LATE + 10)
        self.recover()
        self.assertState(redemption, "stranded")

    def test_none_waits_for_ever_behind_the_others(self):
        """With room for one in each run, and one that never gets an answer."""
        bad, good = self.spent_apart(100, 50)
        self.sandbox.faults(kind="error", status=500, path=self.reactions_of(bad))
        with patch(f"{RECOVERY}.BATCH", 1):
            for _run in range(2):
                self.recover()
        self.assertTrue(self.row(good).shown_at)

    def test_an_engine_that_is_down_is_asked_once(self):
        self.unknown_vouchers(FIVE, TEN, PIE)
        self.let_pass(10)
        self.sandbox.stop()
        asked = []
        client = type(self.engine._client())
        get_benefit = client.get_benefit

        def count(client, *arguments, **values):
            asked.append(arguments)
            return get_benefit(client, *arguments, **values)

        try:
            with patch.object(client, "get_benefit", count):
                self.recover()
        finally:
            self.sandbox.start()
        self.assertEqual(len(asked), 1)

    def test_what_is_paid_is_settled_before_anybody_is_asked(self):
        """Also by a process that dies while it asks."""
        redemption = self.spent_points(100)
        self.pay(redemption)
        recovery = self.env["loyalty.engine.recovery"]
        with (
            patch.object(type(recovery), "_ask", side_effect=RuntimeError("planted")) as ask,
            self.enter_registry_test_mode(),
            mute_logger("odoo.addons.base.models.ir_cron"),
        ):
            self.recovery.method_direct_trigger()
        ask.assert_called()
        self.assertState(redemption, "settled")

    def test_a_bug_of_ours_stops_only_its_row(self):
        bad, good = self.spent_apart(100, 50)
        ledger = type(self.env["loyalty.engine.redemption"])
        end = ledger._end
        for redemption in (bad, good):
            self.pay(order_uuid=self.row(redemption).order_uuid)

        def fail(ledger, redemption_uuid, late_after):
            if redemption_uuid == bad["uuid"]:
                raise RuntimeError("planted")
            return end(ledger, redemption_uuid, late_after)

        with (
            patch.object(ledger, "_end", fail),
            mute_logger(RECOVERY),
            self.enter_registry_test_mode(),
        ):
            self.recovery.method_direct_trigger()
        self.assertState(bad, "spent")
        self.assertState(good, "returning")

    # === The audit ===

    def audited(self):
        with self.enter_registry_test_mode():
            self.audit.method_direct_trigger()
        self.env.invalidate_all()

    def test_all_of_them_though_only_one_at_a_time(self):
        redemptions = self.unknown_vouchers(FIVE, TEN, PIE)
        self.let_pass(LATE)
        self.recover()
        for redemption in redemptions:
            self.assertState(redemption, "released")
        # All three arrive in the end.
        for benefit in (FIVE, TEN, PIE):
            self.burn(benefit)
        with patch(f"{RECOVERY}.BATCH", 1):
            self.audited()
        self.assertEqual([self.row(redemption).state for redemption in redemptions], ["spent"] * 3)

    def test_an_engine_that_is_down_is_audited_later(self):
        redemption, *_others = self.unknown_vouchers(FIVE, TEN)
        self.let_pass(LATE)
        self.recover()
        self.burn(FIVE)
        self.sandbox.stop()
        try:
            self.audited()
        finally:
            self.sandbox.start()
        self.assertEqual(len(self.woken_at(self.audit)), 1)
        self.audited()
        self.assertState(redemption, "spent")

    def test_points_that_it_finds_are_waited_for(self):
        """They have just arrived, and their reaction is on its way: no person is needed yet."""
        redemption = self.held_points(500)
        self.spend_too_late(redemption, path="/events", body=redemption["uuid"])
        self.sandbox.set_options(redeem_reactor="held")
        self.sandbox.clear_faults()
        self.sandbox.wait_until(lambda: self.events("REDEEMED_POINTS"), "the event came")
        self.audited()
        self.recover()
        self.assertState(redemption, "spent")
        self.sandbox.set_options(redeem_reactor="on")
        self.sandbox.wait_for_reactors()
        # It was asked about just now.
        self.recover()
        self.assertState(redemption, "spent")
        self.let_pass(5)
        self.recover()
        self.assertState(redemption, "returning")
        self.assertFalse(self.cases())

    def burn(self, benefit):
        self.engine._client().validate_voucher(benefit.code, allow_future_validation=False)

    # === When the job is woken ===

    def test_in_the_language_of_whoever_is_told(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.engine.responsible_id.lang = "fr_FR"
        spoken = {}
        for model, method, run in (
            ("loyalty.engine.recovery", "_list_missing_orders", self.recover),
            ("loyalty.engine.recovery", "_look_up_unknown", self.recover),
            ("loyalty.engine.recovery", "_audit", self.audited),
            ("loyalty.engine.sender", "_send_waiting", self.send_reports),
        ):

            def work(job, *_arguments, method=method):
                spoken[method] = job.env.lang
                return 0

            with patch.object(self.registry[model], method, work):
                run()
        self.assertEqual(set(spoken.values()), {"fr_FR"})
        self.assertEqual(len(spoken), 4)

    def test_somebody_is_told_again_of_an_open_case(self):
        """An activity goes with its user, and can be ticked off."""
        self.spent_apart(100)
        self.let_pass(24 * 3600 + 60)
        self.recover()
        case = self.cases("missing")
        case.activity_ids.unlink()
        self.audited()
        self.audited()
        self.assertEqual(case.activity_ids.user_id, self.engine.responsible_id)
        self.assertEqual(len(case.activity_ids), 1)

    def test_at_the_start_of_a_till(self):
        self.env["ir.cron.trigger"].search([]).unlink()
        session = self.pos_session.with_user(self.cashier)
        session.load_data_params()
        self.assertTrue(self.woken_at(self.recovery))

    def test_when_an_unknown_outcome_is_due(self):
        redemption = self.held_points(500)
        self.sandbox.faults(kind="drop_before", method="POST", path="/events")
        with mute_logger("odoo.addons.pos_loyalty_engine.models.loyalty_engine_redeemer"):
            self.spend(redemption)
        self.sandbox.clear_faults()
        self.end_the_rest()
        self.let_pass(61)
        self.recover()
        self.assertIn(self.row(redemption).look_up_at, self.woken_at(self.recovery))

    def test_when_points_that_go_back_may_have_been_taken(self):
        """Their reaction is seconds late: they are back within a minute all the same."""
        self.sandbox.set_options(redeem_reactor="held")
        redemption = self.spent_points(500)
        self.ask(
            "release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]], till_key="till-1"
        )
        self.env["ir.cron.trigger"].search([]).unlink()
        self.recover()
        self.assertState(redemption, "spent")
        (again,) = self.woken_at(self.recovery)
        self.assertLess(again - fields.Datetime.now(), timedelta(seconds=10))

    def test_what_an_archived_connection_left_open(self):
        redemption = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        self.pay()
        self.env.flush_all()
        self.env.cr.execute("UPDATE pos_config SET loyalty_engine_id = NULL")
        self.env.invalidate_all()
        self.engine.action_archive()
        self.recover()
        self.assertState(redemption, "returning")

    def test_points_are_looked_for_as_what_they_were_sent(self):
        """The connection was changed while nobody knew what had come of them."""
        redemption = self.held_points(500)
        self.sandbox.faults(
            {"kind": "drop_after", "method": "POST", "path": "/events"},
            {"kind": "drop_before", "method": "GET", "path": "/events"},
        )
        self.assertEqual(self.spend(redemption)[redemption["uuid"]]["state"], "unknown")
        self.sandbox.clear_faults()
        self.end_the_rest()
        template = json.loads(self.engine.redeem_template)
        template["elsewhere"] = template.pop("redemptionId")
        self.engine.write(
            {"redeem_event_type": "SOMETHING_ELSE", "redeem_template": json.dumps(template)}
        )
        self.let_pass(61)
        self.recover()
        self.assertState(redemption, "spent")

    def update_from_before(self, script, stage):
        self.env.flush_all()
        exec_script(
            self.env.cr, "19.0.1.1.0", str(MIGRATIONS / script), "pos_loyalty_engine", stage
        )
        self.env.invalidate_all()

    def test_points_from_before_an_update_are_looked_for(self):
        redemption = self.spent_points(500)
        before = self.row(redemption)
        where = (before.event_type, before.event_path)
        self.assertEqual(where, ("REDEEMED_POINTS", "redemptionId"))
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET event_type = NULL, event_path = NULL"
        )
        self.update_from_before("post-where_points_went.py", "post")
        after = self.row(redemption)
        self.assertEqual((after.event_type, after.event_path), where)

    def test_a_voucher_from_before_an_update_is_claimed(self):
        redemption = self.held_voucher(FIVE, self.order_uuid)
        key = hashlib.sha256(f"{FIVE.code}\0".encode()).hexdigest()
        self.env.cr.execute("UPDATE loyalty_engine_redemption SET claim_key = %s", (key,))
        self.update_from_before("pre-claims_of_a_tenant.py", "pre")
        answer = self.ask(
            "hold_voucher", order_uuid=str(uuid.uuid4()), code=FIVE.code, presented="scan"
        )
        self.assertEqual(answer["status"], "held_elsewhere")
        self.assertState(redemption, "held")

    def test_two_claims_from_before_an_update_leave_one(self):
        """Two connections, one tenant: the one that may still be open keeps the voucher."""
        first = self.held_voucher(FIVE, self.order_uuid)
        self.spend(first)
        second = self.held_voucher(TEN, str(uuid.uuid4()))
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'loyalty_engine_redemption'"
            " AND indexdef LIKE '%(claim_key)%'"
        )
        for (name,) in self.env.cr.fetchall():
            self.env.cr.execute(f'DROP INDEX "{name}"')
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET claim_key = 'one', state ="
            " CASE WHEN uuid = %s THEN 'settled' ELSE state END",
            (first["uuid"],),
        )
        self.update_from_before("pre-claims_of_a_tenant.py", "pre")
        keys = [self.row(one).claim_key for one in (first, second)]
        self.assertEqual(len(set(keys)), 2)
        self.assertEqual(len(keys[1]), 64, "as it is looked for")

    # === What a person has put right is not put right once more ===

    def dead_refund(self):
        redemption = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        self.pay()
        self.recover()
        self.assertState(redemption, "returning")
        self.sandbox.faults(kind="refuse", path="/events", body="POINTS_REFUND")
        self.send_reports()
        self.sandbox.clear_faults()
        report = self.env["loyalty.engine.report"].search([("kind", "=", "points_refund")])
        self.assertEqual(report.state, "dead")
        return redemption, report

    def test_a_refund_that_failed_is_sent_again(self):
        redemption, _report = self.dead_refund()
        self.engine.action_retry_troubled()
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.recover()
        self.assertState(redemption, "returned")
        self.assertEqual(self.points(), self.member.points)

    def test_one_that_may_have_been_taken_is_looked_for_before(self):
        """Points that came back twice are nobody's to notice."""
        redemption, report = self.dead_refund()
        # The engine has it, and nobody could say so.
        report.action_retry()
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET state = 'dead', sends = 1 WHERE id = %s", (report.id,)
        )
        report.invalidate_recordset()
        report.action_retry()
        self.assertEqual(self.report(report).state, "unknown")
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.report(report).state, "sent")
        self.assertEqual(len(self.events("POINTS_REFUND")), 1)
        self.recover()
        self.assertState(redemption, "returned")

    def test_not_once_a_person_has_it(self):
        redemption, report = self.dead_refund()
        self.recover()
        self.assertState(redemption, "stranded")
        case = self.cases("points")
        case.note = "Given back by hand."
        for retry in (report.action_retry, self.engine.action_retry_troubled):
            with self.assertRaisesRegex(UserError, "twice"):
                retry()
        case.action_close()
        self.assertEqual(self.report(report).state, "by_hand")
        for retry in (report.action_retry, report.action_done_by_hand):
            with self.assertRaisesRegex(UserError, "Nothing of this has failed"):
                retry()
        self.assertFalse(self.engine.trouble_count)
        self.assertFalse(self.config.loyalty_engine_trouble_count)
        self.send_reports()
        self.assertFalse(self.events("POINTS_REFUND"))

    def test_points_that_have_a_case_are_not_simply_taken_off_the_list(self):
        redemption, report = self.dead_refund()
        for state in ("returning", "stranded"):
            self.assertState(redemption, state)
            with self.assertRaisesRegex(UserError, "case"):
                report.action_done_by_hand()
            self.recover()
        self.assertEqual(self.report(report).state, "dead")

    def test_others_go_all_the_same(self):
        _redemption, report = self.dead_refund()
        self.recover()
        sale = self.env["loyalty.engine.report"].search([("kind", "=", "sale")])
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET state = 'dead' WHERE id IN %s", (tuple(sale.ids),)
        )
        self.engine.action_retry_troubled()
        # It was sent, and not refused: it is looked for first.
        self.assertEqual(set(self.report(sale).mapped("state")), {"unknown"})
        self.assertEqual(self.report(report).state, "dead")

    def test_settled_when_its_order_comes_after_the_refusal(self):
        """The engine has refused to give them back, and then the order comes: nothing is owed."""
        redemption = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        self.ask(
            "release", order_uuid=self.order_uuid, uuids=[redemption["uuid"]], till_key="till-1"
        )
        self.recover()
        self.sandbox.faults(kind="refuse", path="/events", body="POINTS_REFUND")
        self.send_reports()
        self.sandbox.clear_faults()
        self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        self.assertFalse(self.cases("points"))

    def report(self, reports):
        reports.invalidate_recordset()
        return reports

    def available(self):
        answer = self.ask("points_terms", member_ref=self.member.id, order_uuid=str(uuid.uuid4()))
        self.assertEqual(answer["status"], "found")
        return answer["available"]

    def test_points_of_a_closed_case_can_be_spent(self):
        """A reactor that is switched off takes nothing: the points count as gone until a person
        has looked at the balance."""
        before = self.points()
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.spent_points(500)
        self.pay()
        self.let_pass(LATE + 10)
        self.recover()
        self.assertState(redemption, "stranded")
        self.assertEqual(self.available(), before - 500)
        case = self.cases("points")
        case.note = "The balance was right."
        case.action_close()
        self.assertEqual(self.available(), before)

    def test_a_sale_whose_points_are_not_taken(self):
        before = self.points()
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.spent_points(500)
        self.pay(redemption)
        self.recover()
        self.assertState(redemption, "settled")
        self.assertFalse(self.cases())
        self.let_pass(24 * 3600 + 60)
        self.recover()
        self.recover()
        (case,) = self.cases("points")
        self.assertEqual(self.available(), before - 500)
        case.note = "Taken by hand, by an event that the reactor took."
        case.action_close()
        self.assertState(redemption, "settled")
        self.assertEqual(self.available(), before)

    def test_a_sale_for_which_the_engine_took_less(self):
        template = json.dumps({**DEFAULT_REDEEM_TEMPLATE, "amount": "$amount"})
        self.engine.redeem_template = template
        self.engine.points_ready = True
        self.sandbox.set_options(redeem_points_per_unit=10)
        redemption = self.spent_points(500)
        self.sandbox.wait_for_reactors()
        self.pay(redemption)
        for _time in range(2):
            self.recover()
        self.assertState(redemption, "settled")
        case = self.cases("points")
        self.assertEqual(len(case), 1)
        self.assertRegex(case.what, "for 500 points.* taken 50\\.")

    def test_nobody_waits_longer_than_a_week_for_a_reaction(self):
        before = self.points()
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.spent_points(500)
        self.pay(redemption)
        self.recover()
        self.let_pass(7 * 24 * 3600 - 60)
        self.assertEqual(self.available(), before - 500)
        self.let_pass(120)
        self.assertEqual(self.available(), before)

    # === Cases ===

    def test_says_what_a_burned_voucher_was_worth_and_for_whom(self):
        partner = self.env["res.partner"].create(
            {"name": "Mia Muster", "loyalty_engine_ref": self.member.id}
        )
        for benefit, amount, words in (
            (FIVE, "4.50", "4.50 USD"),
            (TEN, "0", "10 % off"),
            (PIE, "0", "a price of 9.00 USD on APPLE-PIE"),
        ):
            redemption = self.held_voucher(benefit, self.order_uuid)
            row = self.row(redemption)
            self.env.cr.execute(
                "UPDATE loyalty_engine_redemption SET state = 'spent', claimed_amount = %s,"
                " sent_at = now() AT TIME ZONE 'UTC' WHERE uuid = %s",
                (float(amount), redemption["uuid"]),
            )
            self.env.invalidate_all()
            row.sudo()._strand(redemption["uuid"], ("spent",), "Why.")
            case = self.cases("burned").filtered(
                lambda case, about=row: case.redemption_id == about
            )
            with self.subTest(words=words):
                for said in ("Why.", words, partner.display_name, row.code_shown):
                    self.assertIn(said, case.what)

    def test_only_the_button_closes_a_case(self):
        redemption = self.held_voucher(FIVE, self.order_uuid)
        self.spend(redemption)
        self.pay()
        self.recover()
        manager, other = (
            new_user(self, login, MANAGER) for login in ("le_manager", "le_other_manager")
        )
        case = self.cases("burned").with_user(manager)
        for name, value in (
            ("state", "closed"),
            ("closed_by_id", self.env.uid),
            ("what", "Nothing."),
            ("redemption_id", False),
        ):
            with self.subTest(name=name), self.assertRaises(AccessError):
                case.write({name: value})
        case.note = "A new voucher was given."
        case.message_post(body="By post.")
        case.action_close()
        self.assertEqual((case.state, case.closed_by_id), ("closed", manager))
        self.assertState(redemption, "made_good")
        with self.assertRaisesRegex(UserError, "closed"):
            case.note = "None was given."
        case.with_user(other).action_close()
        self.assertEqual(case.closed_by_id, manager)

    # === A paid order that is cancelled here ===

    def cancelled(self):
        order = self.env["pos.order"].create(
            {
                "uuid": self.order_uuid,
                "session_id": self.pos_session.id,
                "amount_total": 0,
                "amount_tax": 0,
                "amount_paid": 0,
                "amount_return": 0,
            }
        )
        order.action_pos_order_cancel()
        return order

    def sync(self, order, state="paid"):
        """As a till does that has sold an order."""
        line = {
            "uuid": str(uuid.uuid4()),
            "product_id": self.product.id,
            "qty": 4,
            "price_unit": 10,
            "price_subtotal": 36.36,
            "price_subtotal_incl": 40,
            "tax_ids": [[6, 0, self.product.taxes_id.ids]],
        }
        payment = {"amount": 40, "payment_method_id": self.cash_payment_method.id}
        # One was stored before, and taken off.
        payments = [[2, 0], [0, 0, payment]]
        return (
            self.env["pos.order"]
            .with_user(self.cashier)
            .with_company(self.company)
            .sync_from_ui(
                [
                    {
                        "uuid": order.uuid,
                        "id": order.id,
                        "session_id": self.pos_session.id,
                        "amount_total": 40,
                        "amount_tax": 3.64,
                        "amount_paid": 40,
                        "amount_return": 0,
                        "lines": [[0, 0, line]],
                        "payment_ids": payments if state == "paid" else [],
                        "state": state,
                        "last_order_preparation_change": "{}",
                    }
                ]
            )
        )

    def test_a_sale_of_an_order_that_was_cancelled_here(self):
        order = self.cancelled()
        for _time in range(2):
            result = self.sync(order)
            self.assertEqual(result["pos.order"][0]["state"], "cancel")
        (case,) = self.cases("cancelled")
        self.assertEqual(case.order_uuid, order.uuid)
        self.assertEqual(case.config_id, self.config)
        for said in ("40 USD", f"40 ({self.cash_payment_method.name})", order.uuid):
            self.assertIn(said, case.what)
        self.assertEqual(case.activity_ids.user_id, self.engine.responsible_id)

    def test_an_open_order_that_was_cancelled_here_is_no_sale(self):
        self.sync(self.cancelled(), state="draft")
        self.assertFalse(self.cases())

    def test_a_fault_of_ours_never_stops_the_sync(self):
        order = self.cancelled()
        with (
            patch.object(
                loyalty_engine_case.LoyaltyEngineCase, "_open", side_effect=RuntimeError("planted")
            ),
            mute_logger("odoo.addons.pos_loyalty_engine.models.pos_order"),
        ):
            result = self.sync(order)
        self.assertEqual(result["pos.order"][0]["state"], "cancel")
        self.assertFalse(self.cases())

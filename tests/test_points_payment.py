import uuid
from datetime import timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import uninstall_hook
from ..models.pos_payment_method import TERMINAL
from .common import MANAGER, LoyaltyEngineCase, new_user
from .test_redemption import LATE, RedemptionCase

REPORT = "odoo.addons.pos_loyalty_engine.models.loyalty_engine_report_refund"


def set_up_points(engine, *configs, **values):
    """Run the wizard as an administrator does; :return: the payment method"""
    wizard = engine.env["loyalty.engine.points.payment"].create(
        {
            "company_id": engine.company_id.id,
            "config_ids": [(6, 0, [config.id for config in configs])],
            **values,
        }
    )
    wizard.action_set_up()
    return wizard._existing_method()


@tagged("post_install", "-at_install")
class TestSetUp(LoyaltyEngineCase):
    def test_makes_account_journal_and_method(self):
        method = set_up_points(self.engine, self.config)
        account, journal = method.outstanding_account_id, method.journal_id
        self.assertEqual(method.use_payment_terminal, TERMINAL)
        self.assertEqual(method.payment_method_type, "terminal")
        self.assertEqual(method.company_id, self.company)
        self.assertEqual(method.type, "bank")
        self.assertEqual(journal.type, "bank")
        self.assertEqual(journal.company_id, self.company)
        self.assertEqual(journal.default_account_id, account)
        self.assertEqual(account.account_type, "liability_current")
        self.assertFalse(account.reconcile)
        self.assertTrue(account.with_company(self.company).code)
        self.assertIn(method, self.config.payment_method_ids)
        self.assertEqual(self.config.loyalty_engine_points_booking, "payment")

    def test_again_it_finds_what_is_there(self):
        method = set_up_points(self.engine, self.config)
        counts = [
            self.env[name].with_context(active_test=False).search_count([])
            for name in ("account.account", "account.journal", "pos.payment.method")
        ]
        self.assertEqual(set_up_points(self.engine, self.config), method)
        self.assertEqual(
            counts,
            [
                self.env[name].with_context(active_test=False).search_count([])
                for name in ("account.account", "account.journal", "pos.payment.method")
            ],
        )

    def test_a_method_that_was_put_away_comes_back(self):
        method = set_up_points(self.engine)
        method.active = False
        self.assertEqual(set_up_points(self.engine, self.config), method)
        self.assertTrue(method.active)

    def test_without_this_module_it_takes_no_points_and_is_put_away(self):
        method = set_up_points(self.engine, self.config)
        self.env.flush_all()
        uninstall_hook(self.env)
        self.env.invalidate_all()
        self.assertFalse(method.active)
        self.assertFalse(method.use_payment_terminal)

    def test_an_account_of_the_owners_choice(self):
        own = self.env["account.account"].create(
            {
                "name": "Loyalty provision",
                "code": "224455",
                "account_type": "liability_current",
                "company_ids": [(6, 0, self.company.ids)],
            }
        )
        method = set_up_points(self.engine)
        self.assertEqual(set_up_points(self.engine, account_id=own.id), method)
        self.assertEqual(method.outstanding_account_id, own)
        self.assertEqual(method.journal_id.default_account_id, own)

    def test_each_company_has_its_own(self):
        method = set_up_points(self.engine)
        other = self.setup_other_company()["company"]
        wizard = self.env["loyalty.engine.points.payment"].create({"company_id": other.id})
        wizard.action_set_up()
        self.assertNotEqual(wizard._existing_method(), method)
        self.assertEqual(wizard._existing_method().journal_id.company_id, other)
        self.assertIn(other, wizard._existing_method().outstanding_account_id.company_ids)

    def test_a_code_that_is_taken(self):
        self.env["account.journal"].create(
            {"name": "Patents", "code": "PTS", "type": "general", "company_id": self.company.id}
        )
        self.assertEqual(set_up_points(self.engine).journal_id.code, "PTS1")

    def test_named_in_every_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        wizards = self.env["loyalty.engine.points.payment"]
        named = []

        def name(wizard, record, words):
            named.append(record)
            return name_everywhere(wizard, record, lambda env: f"{words(env)} ({env.lang})")

        name_everywhere = type(wizards)._name_everywhere
        with patch.object(type(wizards), "_name_everywhere", name):
            method = set_up_points(self.engine)
        self.assertEqual({method, method.journal_id, method.outstanding_account_id}, set(named))
        for record in named:
            self.assertTrue(record.with_context(lang="fr_FR").name.endswith("(fr_FR)"))
            self.assertTrue(record.with_context(lang="en_US").name.endswith("(en_US)"))

    def test_only_for_administrators(self):
        manager = new_user(self, "le_manager", MANAGER, "account.group_account_manager")
        with self.assertRaises(AccessError):
            self.env["loyalty.engine.points.payment"].with_user(manager).create(
                {"company_id": self.company.id}
            )

    def refuse(self, change, words):
        with self.assertRaises(ValidationError) as caught:
            change()
            self.env.flush_all()
        self.assertIn(words, str(caught.exception))

    def test_a_point_of_sale_needs_the_method(self):
        needed = "needs one payment method"
        self.refuse(lambda: self.config.write({"loyalty_engine_points_booking": "payment"}), needed)
        method = set_up_points(self.engine, self.config)
        for change in (
            lambda: self.config.write({"payment_method_ids": [(3, method.id)]}),
            lambda: method.write({"config_ids": [(3, self.config.id)]}),
            lambda: method.write({"active": False}),
        ):
            self.refuse(change, needed)

    def test_without_a_connection_the_method_is_free(self):
        method = set_up_points(self.engine, self.config)
        self.config.loyalty_engine_id = False
        settings = self.env["res.config.settings"].create({"pos_config_id": self.config.id})
        self.assertTrue(settings.pos_loyalty_engine_points_idle)
        self.config.payment_method_ids = [(3, method.id)]
        method.active = False
        self.env.flush_all()
        self.refuse(lambda: self.config.write({"loyalty_engine_id": self.engine.id}), "needs one")

    def test_neither_a_new_point_of_sale_nor_a_copy_takes_it_along(self):
        method = set_up_points(self.engine, self.config)
        for config in (
            self.env["pos.config"].create({"name": "New till"}),
            self.config.copy({"name": "Copied till"}),
        ):
            self.assertNotIn(method, config.payment_method_ids)
            self.assertFalse(config.loyalty_engine_points_booking)

    def test_no_fast_payment(self):
        method = set_up_points(self.engine, self.config)
        self.refuse(
            lambda: self.config.write({"fast_payment_method_ids": [(4, method.id)]}),
            "fast payment",
        )

    def test_points_are_no_money_at_the_bank(self):
        method = set_up_points(self.engine)
        bank = self.bank_payment_method
        self.refuse(lambda: method.write({"outstanding_account_id": False}), "outstanding account")
        self.refuse(lambda: method.write({"journal_id": bank.journal_id.id}), "another payment")
        self.refuse(lambda: bank.write({"journal_id": method.journal_id.id}), "another payment")

    def test_what_the_till_is_told(self):
        self.engine.points_ready = True
        set_up_points(self.engine, self.config)
        data = self.engine._till_data(self.config)
        self.assertEqual(data["points_booking"], "payment")
        self.assertFalse(data["points_payment_earns"])

    def test_stays_as_it_is_while_a_session_is_open(self):
        set_up_points(self.engine, self.config)
        self.config.open_ui()
        with self.assertRaises(UserError):
            self.config.loyalty_engine_points_booking = "discount"


@tagged("post_install", "-at_install")
class TestPointsPayment(RedemptionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pos_session.action_pos_session_closing_control()
        cls.method = set_up_points(cls.engine, cls.config)
        cls.liability = cls.method.outstanding_account_id
        cls.config.open_ui()
        cls.pos_session = cls.config.current_session_id
        cls.pos_session.set_opening_control(0, "")

    def spent_payment(self, amount="10.00", order_uuid=None, due=None):
        """Points for this amount, taken for an order."""
        redemption = self.held_points(
            None, order_uuid=order_uuid or self.order_uuid, amount=amount, due=due or amount
        )
        self.assertEqual(redemption["booking"], "payment")
        states = self.spend(redemption, order_uuid=order_uuid)
        self.assertEqual(states[redemption["uuid"]]["state"], "spent")
        self.sandbox.wait_for_reactors()
        return redemption

    def pay_with(self, *payments, quantity=4, order_uuid=None, **values):
        """A paid order as a till stores it.

        :param payments: (method, amount, redemption or None)
        """
        order = self.draft_order(quantity, order_uuid or self.order_uuid, **values)
        self.add_payments(order, payments)
        return order

    def draft_order(self, quantity, order_uuid, **values):
        order, _refund = self.create_backend_pos_order(
            {
                "pos_config": self.config,
                "order_data": {"uuid": order_uuid, **values},
                "line_data": [{"product_id": self.product.id, "qty": quantity}],
            }
        )
        return order

    def add_payments(self, order, payments):
        for method, amount, redemption in payments:
            order.add_payment(
                {
                    "pos_order_id": order.id,
                    "payment_method_id": method.id,
                    "amount": amount,
                    "loyalty_engine_redemption": redemption and redemption["uuid"],
                    "loyalty_engine_points": redemption and redemption["points"],
                }
            )
        order._process_saved_order(False)
        self.assertIn(order.state, ("paid", "done"))

    def give_back(self, sold, amount, quantity=None, method=None):
        """Return goods of an order, and pay them back in points.

        :param amount: above 0
        """
        refund = self.env["pos.order"].browse(sold.refund()["res_id"])
        if quantity:
            refund.lines.qty = -quantity
            refund.lines._onchange_amount_line_all()
            refund._compute_prices()
        rest = -refund.amount_total - amount
        self.assertGreaterEqual(rest, 0)
        payments = [(method or self.method, -amount, None)]
        if rest:
            payments.append((self.cash_payment_method, -rest, None))
        self.add_payments(refund, payments)
        return refund

    def settle(self):
        """Let recovery and outbox do all that they can do now."""
        for _time in range(2):
            self.recover()
            self.send_reports()
            self.sandbox.wait_for_reactors()

    def refunds(self):
        return self.env["loyalty.engine.report"].search([("kind", "=", "points_refund")])

    # === Sales ===

    def test_a_sale_partly_paid_with_points(self):
        before = self.points()
        redemption = self.spent_payment("10.00")
        self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.settle()
        self.assertState(redemption, "settled")
        self.assertEqual(self.points(), before - 1000)
        self.assertFalse(self.cases())

    def test_amount_is_what_the_points_are_worth_and_never_more_than_asked(self):
        self.engine.write({"points_value": 0.0033, "points_step": 10})
        redemption = self.held_points(None, amount="1.00", due="1.00")
        self.assertEqual((redemption["points"], redemption["amount"]), (310, "1"))
        redemption = self.held_points(1250, due="40.00")
        self.assertEqual((redemption["points"], redemption["amount"]), (1250, "4.12"))

    def test_points_again_once_the_first_were_taken_off(self):
        first = self.spent_payment("10.00")
        answer = self.hold_points(None, amount="1.00", due="1.00")
        self.assertEqual(answer["status"], "limit")
        self.ask("release", order_uuid=self.order_uuid, uuids=[first["uuid"]], till_key="till-1")
        second = self.spent_payment("2.00")
        self.pay_with((self.cash_payment_method, 38, None), (self.method, 2, second))
        self.settle()
        self.assertState(first, "returned")
        self.assertState(second, "settled")
        self.assertEqual(self.points(), self.member.points - 200)

    def test_removed_before_the_order_was_paid(self):
        redemption = self.spent_payment("10.00")
        self.pay_with((self.cash_payment_method, 40, None))
        self.settle()
        self.assertState(redemption, "returned")
        self.assertEqual(self.points(), self.member.points)

    def test_a_payment_of_another_order_counts_for_nothing(self):
        redemption = self.spent_payment("10.00")
        self.pay_with(
            (self.cash_payment_method, 30, None),
            (self.method, 10, redemption),
            order_uuid=str(uuid.uuid4()),
        )
        self.pay_with((self.cash_payment_method, 40, None))
        self.settle()
        self.assertState(redemption, "returned")
        self.assertEqual(len(self.cases("unbacked")), 1)

    def test_not_in_the_back_office(self):
        order = self.draft_order(1, self.order_uuid)
        wizard = (
            self.env["pos.make.payment"]
            .with_context(active_id=order.id, active_ids=order.ids)
            .create({"payment_method_id": self.method.id, "amount": 10})
        )
        with self.assertRaisesRegex(UserError, "at the till"):
            wizard.check()
        self.assertFalse(order.payment_ids)

    def test_points_that_were_taken_stay_points(self):
        """Odoo lets a manager correct the payments of a paid order."""
        redemption = self.spent_payment("10.00")
        cash, bank = self.cash_payment_method, self.bank_payment_method
        order = self.pay_with((cash, 30, None), (self.method, 10, redemption))
        money, points = order.payment_ids.sorted(lambda payment: -payment.amount)
        for payment, values in (
            (points, {"payment_method_id": cash.id}),
            (points, {"amount": 5}),
            (money, {"payment_method_id": self.method.id}),
        ):
            with self.subTest(values=values), self.assertRaisesRegex(UserError, "at the till"):
                order.write({"payment_ids": [(1, payment.id, values)]})
        with self.assertRaisesRegex(UserError, "at the till"):
            points.unlink()
        more = {"payment_method_id": self.method.id, "amount": 5}
        with self.assertRaisesRegex(UserError, "at the till"):
            order.write({"payment_ids": [(0, 0, more), (1, money.id, {"amount": 25})]})
        order.write({"payment_ids": [(1, money.id, {"payment_method_id": bank.id})]})
        self.assertEqual(money.payment_method_id, bank)
        # What a till says of what it has sold is stored, whatever it is.
        from_till = points.with_context(is_sync_from_ui=True)
        from_till.amount = 11
        self.assertEqual(points.amount, 11)

    def test_an_order_that_stands_open_is_not_said_to_be_missing(self):
        redemption = self.spent_payment("10.00")
        order = self.draft_order(4, self.order_uuid)
        self.let_pass(24 * 3600 + 60)
        self.recover()
        case = self.cases("missing")
        self.assertIn("stands open", case.name)
        self.assertEqual(case.pos_order_id, order)
        self.assertEqual(case.action_open_order()["res_id"], order.id)
        self.add_payments(
            order, [(self.cash_payment_method, 30, None), (self.method, 10, redemption)]
        )
        self.settle()
        self.assertEqual(case.state, "closed")

    def test_report_of_the_sale(self):
        redemption = self.spent_payment("10.00")
        self.pay_with(
            (self.cash_payment_method, 10, None),
            (self.bank_payment_method, 20, None),
            (self.method, 10, redemption),
            loyalty_engine_member_ref=self.member.id,
        )
        self.settle()
        (event,) = self.events()
        payload = event["payload"]
        self.assertEqual(payload["total"], 40)
        self.assertEqual(payload["earningTotal"], 30)
        self.assertEqual(
            sorted(payload["payments"], key=lambda payment: payment["kind"]),
            [
                {"kind": "bank", "amount": 20.0},
                {"kind": "cash", "amount": 10.0},
                {"kind": "points", "amount": 10.0},
            ],
        )
        self.assertEqual(
            payload["redemptions"],
            [
                {
                    "kind": "points",
                    "redemptionId": redemption["uuid"],
                    "points": 1000,
                    "amount": 10.0,
                }
            ],
        )
        self.assertEqual(event["points"], 30)

    def test_points_that_earn_points(self):
        self.engine.points_payment_earns = True
        redemption = self.spent_payment("10.00")
        self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.settle()
        (event,) = self.events()
        self.assertEqual(event["payload"]["earningTotal"], 40)

    def test_points_that_were_paid_out_are_listed(self):
        """Goods left the order after its points were taken, at a till that let them."""
        redemption = self.spent_payment("12.00")
        order = self.pay_with(
            (self.method, 12, redemption), (self.cash_payment_method, -2, None), quantity=1
        )
        self.settle()
        (case,) = self.cases("total")
        self.assertEqual(case.order_uuid, order.uuid)
        for amount in ("12.00", "10.00"):
            self.assertIn(amount, case.what)
        (event,) = self.events()
        self.assertEqual(event["payload"]["earningTotal"], 0)

    def test_a_claim_that_is_none_is_not_reported(self):
        """What the till writes is a claim: a strange one neither leaves nor stops the report."""
        self.pay_with(
            (self.cash_payment_method, 30, None),
            (self.method, 10, {"uuid": "Mia Marmalade", "points": 1}),
        )
        self.settle()
        (event,) = self.events()
        self.assertEqual(event["payload"]["redemptions"], [])

    # === What accounting makes of points as tender ===

    def close(self, cash=0):
        data = self.pos_session.get_closing_control_data()
        self.pos_session.post_closing_cash_details(cash)
        # As the till's popup does: a difference for each method that it has counted.
        counted = [
            (method["id"], 0)
            for method in data["non_cash_payment_methods"]
            if method["type"] == "bank"
        ]
        self.assertEqual(self.pos_session.close_session_from_ui(counted), {"successful": True})
        self.assertEqual(self.pos_session.state, "closed")
        return self.pos_session._get_related_account_moves().line_ids

    def assertBooks(self, lines, points, sales, tax):
        """The liability is ``points`` lower, sales and taxes are whole, nothing is left open."""
        on = lambda account: lines.filtered(lambda line: line.account_id == account)  # noqa: E731
        self.assertEqual(sum(on(self.liability).mapped("balance")), points)
        taxes = lines.filtered("tax_line_id")
        self.assertEqual(round(sum(taxes.mapped("balance")), 2), -tax)
        # A tax without an account of its own is booked on that of the sales.
        income = (lines - taxes).filtered(lambda line: line.account_id.account_type == "income")
        self.assertEqual(round(sum(income.mapped("balance")), 2), -sales)
        open_lines = lines.filtered(
            lambda line: line.account_id.account_type == "asset_receivable" and not line.reconciled
        )
        self.assertFalse(open_lines)
        self.assertEqual(round(sum(lines.mapped("balance")), 2), 0)

    def assertSaid(self, words):
        self.assertTrue(
            any(words in body for body in self.pos_session.message_ids.mapped("body")), words
        )

    def test_cash_card_and_points(self):
        redemption = self.spent_payment("10.00")
        self.pay_with(
            (self.cash_payment_method, 10, None),
            (self.bank_payment_method, 20, None),
            (self.method, 10, redemption),
        )
        self.settle()
        lines = self.close(cash=10)
        self.assertBooks(lines, points=10, sales=36.36, tax=3.64)
        payment = self.pos_session.bank_payment_ids.filtered(
            lambda payment: payment.pos_payment_method_id == self.method
        )
        self.assertEqual(payment.amount, 10)
        # No bank statement is waited for.
        self.assertTrue(payment.is_matched and payment.is_reconciled)
        self.assertEqual(payment.state, "paid")
        self.assertSaid("as in the ledger")
        self.assertFalse(self.cases())

    def test_an_invoiced_sale(self):
        redemption = self.spent_payment("10.00")
        order = self.pay_with(
            (self.cash_payment_method, 30, None),
            (self.method, 10, redemption),
            partner_id=self.partner_adgu.id,
            to_invoice=True,
        )
        self.assertEqual(order.account_move.amount_total, 40)
        self.assertEqual(order.account_move.payment_state, "paid")
        lines = self.close(cash=30)
        self.assertEqual(
            sum(lines.filtered(lambda line: line.account_id == self.liability).mapped("balance")),
            10,
        )
        self.assertFalse(order.account_move.amount_residual)

    def test_a_return_paid_back_in_points(self):
        redemption = self.spent_payment("12.00")
        sold = self.pay_with((self.cash_payment_method, 28, None), (self.method, 12, redemption))
        self.settle()
        self.give_back(sold, 5, quantity=1)
        lines = self.close(cash=23)
        self.assertBooks(lines, points=7, sales=27.27, tax=2.73)

    def test_more_given_back_than_taken_in_a_session(self):
        redemption = self.spent_payment("10.00")
        sold = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.settle()
        self.close(cash=30)
        self.config.open_ui()
        self.pos_session = self.config.current_session_id
        self.pos_session.set_opening_control(30, "")
        self.give_back(sold, 10, quantity=1)
        lines = self.close(cash=30)
        self.assertBooks(lines, points=-10, sales=-9.09, tax=-0.91)

    def test_not_counted_when_the_session_closes(self):
        redemption = self.spent_payment("10.00")
        self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        methods = {
            method["id"]: method
            for method in self.pos_session.get_closing_control_data()["non_cash_payment_methods"]
        }
        self.assertEqual(methods[self.method.id]["type"], "loyalty_engine")
        self.assertEqual(methods[self.method.id]["amount"], 10)
        self.assertEqual(methods[self.bank_payment_method.id]["type"], "bank")

    def test_a_payment_without_points_is_a_case(self):
        order = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, None))
        self.close(cash=30)
        case = self.cases("unbacked")
        self.assertEqual(case.order_uuid, order.uuid)
        self.assertSaid("1 of them")

    def test_a_payment_of_another_amount_is_a_case(self):
        redemption = self.spent_payment("9.00")
        self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.close(cash=30)
        self.settle()
        self.assertEqual(self.cases("differs").reference, redemption["uuid"])
        self.assertSaid("1 of them")

    def test_what_can_not_be_compared_stops_no_closing(self):
        redemption = self.spent_payment("10.00")
        self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        with (
            patch.object(
                type(self.pos_session),
                "_loyalty_engine_open_differences",
                side_effect=RuntimeError,
            ),
            mute_logger("odoo.addons.pos_loyalty_engine.models.pos_session"),
        ):
            self.close(cash=30)

    # === A return that is paid back in points ===

    def sold_for_points(self, amount="12.00"):
        redemption = self.spent_payment(amount)
        value = float(amount)
        sold = self.pay_with(
            (self.cash_payment_method, 40 - value, None), (self.method, value, redemption)
        )
        self.settle()
        self.assertState(redemption, "settled")
        return sold, redemption

    def test_points_come_back_once(self):
        sold, redemption = self.sold_for_points()
        self.assertEqual(self.points(), self.member.points - 1200)
        refund = self.give_back(sold, 10, quantity=1)
        for _time in range(2):
            self.env["loyalty.engine.report"]._freeze_refunds(refund)
            self.settle()
        (event,) = self.events("POINTS_REFUND")
        self.assertEqual(event["subject"], self.member.id)
        self.assertEqual(event["payload"]["points"], 1000)
        self.assertEqual(event["payload"]["transactionId"], refund.uuid)
        self.assertEqual(self.refunds().order_uuid, event["payload"]["redemptionId"])
        self.assertNotEqual(event["payload"]["redemptionId"], redemption["uuid"])
        self.assertEqual(self.points(), self.member.points - 200)
        row = self.row(redemption)
        self.assertEqual((row.state, row.points_back, row.amount_back), ("settled", 1000, 10))
        self.assertFalse(self.cases())

    def test_in_parts_all_points_come_back_and_no_more(self):
        self.engine.points_value = 0.0033
        sold, redemption = self.sold_for_points("3.33")
        self.assertEqual(self.points(), self.member.points - 1010)
        for amount in (1.11, 1.11, 1.11):
            self.give_back(sold, amount, quantity=1)
            self.settle()
        self.assertEqual(
            [event["payload"]["points"] for event in self.events("POINTS_REFUND")],
            [336, 337, 337],
        )
        self.assertEqual(self.points(), self.member.points)
        self.assertEqual(self.row(redemption).points_back, 1010)

    def test_never_more_than_the_sale_took(self):
        sold, _redemption = self.sold_for_points()
        self.give_back(sold, 20, quantity=2)
        self.settle()
        self.assertEqual(self.points(), self.member.points)
        (case,) = self.cases()
        self.assertIn("20.00 USD. Only 12.00 USD", case.what)
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.assertEqual(self.points(), self.member.points)
        self.assertEqual(len(self.events("POINTS_REFUND")), 1)
        self.assertEqual(len(self.cases()), 2)
        self.assertEqual(sorted(self.refunds().mapped("state")), ["dead", "sent"])
        # A manager who sends it again changes nothing about that.
        self.refunds().filtered(lambda report: report.state == "dead").action_retry()
        self.settle()
        self.assertEqual(len(self.events("POINTS_REFUND")), 1)

    def test_a_sale_without_points(self):
        sold = self.pay_with((self.cash_payment_method, 40, None))
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.assertFalse(self.events("POINTS_REFUND"))
        self.assertEqual(self.refunds().state, "dead")
        self.assertEqual(len(self.cases()), 1)

    def test_waits_until_it_is_seen_that_points_were_taken(self):
        self.sandbox.set_options(reactor_delay=2)
        redemption = self.held_points(None, amount="10.00", due="10.00")
        self.spend(redemption)
        sold = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.give_back(sold, 10, quantity=1)
        self.recover()
        self.assertEqual(self.refunds().state, "checking")
        self.sandbox.wait_for_reactors()
        self.let_pass(5)
        self.settle()
        self.assertEqual(self.refunds().state, "sent")
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.points(), self.member.points)

    def test_what_was_never_taken_is_not_given_back(self):
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.held_points(None, amount="10.00", due="10.00")
        self.spend(redemption)
        sold = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.give_back(sold, 10, quantity=1)
        self.recover()
        self.assertEqual(self.refunds().state, "checking")
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET create_date = create_date - %s",
            (timedelta(seconds=1000),),
        )
        self.settle()
        self.assertEqual(self.refunds().state, "dead")
        self.assertEqual(len(self.cases("points")), 1)
        self.assertEqual(self.points(), self.member.points)
        # The reaction comes after all: they go back, and nobody is to do it by hand.
        self.env["loyalty.engine.redemption"]._alone(
            "_note_shown", redemption["uuid"], Decimal(1000)
        )
        self.refunds().action_retry()
        self.settle()
        self.assertEqual(self.refunds().state, "sent")
        self.assertEqual(self.cases("points").state, "closed")

    def test_points_that_a_manager_has_taken_by_hand_can_be_given_back(self):
        self.sandbox.set_options(redeem_reactor="off")
        redemption = self.held_points(None, amount="10.00", due="10.00")
        self.spend(redemption)
        sold = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.let_pass(25 * 3600)
        self.settle()
        case = self.cases("points")
        case.note = "1000 points taken by hand."
        case.action_close()
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.assertEqual(self.refunds().state, "sent")
        self.assertEqual(self.events("POINTS_REFUND")[0]["payload"]["points"], 1000)

    def test_points_of_an_order_that_came_after_all_can_be_given_back(self):
        """A manager had taken it for lost."""
        redemption = self.spent_payment("10.00")
        self.let_pass(3600)
        self.row(redemption).action_give_back()
        sold = self.pay_with((self.cash_payment_method, 30, None), (self.method, 10, redemption))
        self.settle()
        self.assertState(redemption, "settled")
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.assertEqual(self.refunds().state, "sent")
        self.assertEqual(self.points(), self.member.points)

    def test_a_fault_of_ours_never_stops_the_return(self):
        sold, _redemption = self.sold_for_points()
        with (
            patch.object(
                type(self.env["loyalty.engine.report"]), "_insert_refund", side_effect=RuntimeError
            ),
            mute_logger(REPORT),
        ):
            self.give_back(sold, 10, quantity=1)
        self.assertFalse(self.refunds())
        with self.enter_registry_test_mode():
            self.env.ref("pos_loyalty_engine.ir_cron_build_missing").method_direct_trigger()
        self.settle()
        self.assertEqual(self.points(), self.member.points - 200)

    def test_the_safety_net_passes_over_what_is_there(self):
        sold, _redemption = self.sold_for_points()
        queries = []
        for _return in range(3):
            self.give_back(sold, 4, quantity=1)
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            with self.enter_registry_test_mode():
                self.env.ref("pos_loyalty_engine.ir_cron_build_missing").method_direct_trigger()
            queries.append(self.env.cr.sql_log_count - before)
        self.assertEqual(len(self.refunds()), 3)
        self.assertLessEqual(queries[2], queries[1])

    def test_lost_answer_of_the_engine(self):
        """Sent, and the answer lost: looked up by our id, and never given twice."""
        sold, _redemption = self.sold_for_points()
        self.give_back(sold, 10, quantity=1)
        self.recover()
        self.sandbox.faults(kind="drop_after", method="POST", path="/events", times=1)
        with mute_logger("odoo.addons.pos_loyalty_engine.models.loyalty_engine_sender"):
            self.send_reports()
        self.sandbox.clear_faults()
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET due_at = due_at - interval '10 seconds'"
            " WHERE state = 'unknown'"
        )
        self.end_the_rest()
        self.settle()
        self.assertEqual(self.refunds().state, "sent")
        self.assertEqual(len(self.events("POINTS_REFUND")), 1)

    def test_points_as_a_discount_are_no_payment(self):
        sold, redemption = self.sold_for_points()
        self.env.cr.execute("UPDATE loyalty_engine_redemption SET booking = 'discount'")
        self.assertEqual(Decimal(self.terms(sold.uuid)["amount"]), 0)
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.assertFalse(self.events("POINTS_REFUND"))

    def terms(self, *sold, amount="40.00", **values):
        return self.ask("refund_terms", sold=list(sold), amount=amount, **values)

    def test_what_the_till_is_told(self):
        sold, _redemption = self.sold_for_points()
        answer = self.terms(sold.uuid, amount="5.00", promised="10.00")
        self.assertEqual((Decimal(answer["amount"]), answer["points"]), (2, 200))
        answer = self.terms(sold.uuid)
        self.assertEqual(answer["status"], "found")
        self.assertEqual((Decimal(answer["amount"]), answer["points"]), (12, 1200))
        self.give_back(sold, 10, quantity=1)
        # Also what is not decided yet.
        for _time in range(2):
            answer = self.terms(sold.uuid)
            self.assertEqual((Decimal(answer["amount"]), answer["points"]), (2, 200))
            self.settle()
        other = self.terms(str(uuid.uuid4()))
        self.assertEqual((Decimal(other["amount"]), other["points"]), (0, 0))
        for lie in ("x", ["x" * 65], [7], None):
            answer = self.ask("refund_terms", sold=lie, amount="1.00")
            self.assertEqual(answer["status"], "failed")
        self.assertEqual(self.terms(sold.uuid, amount="NaN")["status"], "failed")

    # === Points that a return gives back are followed until they are there ===

    def give_points_back(self, **options):
        redemption = self.spent_payment("12.00")
        sold = self.pay_with((self.cash_payment_method, 28, None), (self.method, 12, redemption))
        self.settle()
        self.sandbox.set_options(**options)
        self.give_back(sold, 10, quantity=1)
        self.settle()
        self.recover()
        report = self.refunds()
        self.assertEqual(report.state, "sent")
        return report

    def test_all_of_them_came(self):
        report = self.give_points_back()
        self.assertTrue(report.points_known)
        self.assertEqual(report.points_earned, 1000)
        self.assertFalse(self.cases())

    def test_a_cap_has_kept_some_of_them(self):
        report = self.give_points_back(refund_cap=300)
        self.assertEqual(report.points_earned, 300)
        (case,) = self.cases("points")
        self.assertIn("300 points have come back", case.what)

    def test_none_came(self):
        report = self.give_points_back(refund_reactor="off")
        self.assertFalse(report.points_known)
        self.assertFalse(self.cases())
        # Its answer was lost, and it was found only now: the reaction may be on its way.
        late = {"passed": timedelta(seconds=LATE + 10)}
        self.env.cr.execute("UPDATE loyalty_engine_report SET sent_at = sent_at - %(passed)s", late)
        self.recover()
        self.assertFalse(self.cases())
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET taken_at = taken_at - %(passed)s", late
        )
        for _time in range(2):
            self.recover()
        self.assertEqual(len(self.cases("points")), 1)

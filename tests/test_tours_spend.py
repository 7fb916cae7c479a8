from unittest.mock import patch

from odoo import api
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .spend_tour_case import FIVE, MIA, TEN, SpendTourCase


@tagged("post_install", "-at_install", "tour")
class TestToursSpend(SpendTourCase):
    """Vouchers and points are spent at a till, or not."""

    # === Vouchers ===

    def test_voucher_scan(self):
        self.tour("voucher_scan")
        order = self.sold(35)
        self.assertEqual(self.discounts(order), [5])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.burned(), [FIVE.id])
        report = self.report(order)
        self.assertEqual(report["total"], 35)
        (used,) = report["redemptions"]
        self.assertEqual((used["benefitId"], used["rewardId"]), (FIVE.id, FIVE.reward_id))

    def test_voucher_choice(self):
        self.tour("voucher_choice")
        order = self.sold(36)
        self.assertEqual(self.discounts(order), [4])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 4)})
        self.assertEqual(self.burned(), [TEN.id])
        # Of 10.00 and of 20.00, 0.91 and 1.82 are tax, and of the 3.00 that they cost less, 0.27.
        self.assertAlmostEqual(order.amount_tax, 0.91 + 1.82 - 0.27)
        self.assertEqual(self.report(order)["total"], 36)

    # === Points ===

    def test_points(self):
        self.tour("points")
        order = self.sold(35)
        self.assertEqual(self.discounts(order), [5])
        (event,) = self.events("REDEEMED_POINTS")
        self.assertEqual(event["payload"]["points"], 500)
        self.assertEqual(event["payload"]["transactionId"], order.uuid)
        self.assertEqual(self.points(), MIA.points - 500)
        self.assertEqual(self.ledger(order), {"points": ("settled", 5)})
        self.assertEqual(self.report(order)["total"], 35)

    def test_both(self):
        """Points, a percentage, and tax that is in the price."""
        self.tour("both")
        order = self.sold(33)
        self.assertEqual(self.discounts(order), [3, 4])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 4), "points": ("settled", 3)})
        self.assertEqual(self.burned(), [TEN.id])
        self.assertEqual(self.points(), MIA.points - 300)
        self.assertEqual(self.report(order)["total"], 33)

    # === When it does not work out ===

    def test_refused(self):
        """Another till of another system burns the voucher first: nothing of it is on the sale."""
        client = self.engine._client()
        with self.once_held(
            lambda: client.validate_voucher(FIVE.code, allow_future_validation=False)
        ):
            self.tour("refused")
        order = self.sold(40)
        self.assertEqual(self.discounts(order), [])
        self.assertEqual(self.ledger(order), {"voucher": ("refused", 5)})
        self.assertEqual(len(self.burned()), 1)
        self.assertEqual(self.report(order)["total"], 40)

    def test_down_at_spend(self):
        """The engine goes down between check and payment: the sale closes without the voucher."""
        with self.once_held(self.sandbox.stop):
            self.tour("down_at_spend")
        self.sandbox.start()
        order = self.sold(40)
        self.assertEqual(self.discounts(order), [])
        self.assertEqual(self.burned(), [])
        self.assertEqual(self.ledger(order), {})
        self.end_the_rest()
        self.assertEqual(self.report(order)["total"], 40)

    def test_unclear(self):
        """A burn that arrives after the sale, an answer about points that got lost: both sales
        close without a discount. Afterwards the points come back, and the voucher is a case."""
        self.engine.till_deadline = 1
        self.sandbox.faults(
            {
                "kind": "late",
                "path": "/commands/validate_voucher",
                "body": '"allowFutureValidation":false',
                "seconds": 2,
                "times": 1,
            },
            {"kind": "drop_after", "body": '"type":"REDEEMED_POINTS"', "times": 1},
            # While the till waits, nobody can look whether they were taken.
            {"kind": "error", "method": "GET", "path": "/events", "status": 503},
        )
        self.tour("spend_unclear")
        self.sandbox.clear_faults()
        self.end_the_rest()
        first, second = self.env["pos.order"].search(
            [("config_id", "=", self.config.id)], order="id"
        )
        for order in (first, second):
            self.assertEqual((order.state, order.amount_total, order.amount_paid), ("paid", 40, 40))
            self.assertEqual(self.discounts(order), [])
        self.sandbox.wait_until(self.burned, "the late burn came")
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.points(), MIA.points - 500)

        self.let_pass(70)
        self.recover()
        self.assertEqual(self.ledger(first), {"voucher": ("stranded", 5)})
        self.assertEqual(self.ledger(second), {"points": ("returning", 5)})
        self.assertEqual(self.env["loyalty.engine.case"].search([]).mapped("kind"), ["burned"])
        self.send_reports()
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.ledger(second), {"points": ("returned", 5)})
        (refund,) = self.events("POINTS_REFUND")
        self.assertEqual(refund["payload"]["points"], 500)
        sales = [event["payload"]["total"] for event in self.events()]
        self.assertEqual(sales, [40, 40])
        # The second sale has earned its points as well.
        self.assertEqual(self.points(), MIA.points + 40)

    # === Ways to pay ===

    def test_fast_payment(self):
        self.config.write(
            {
                "use_fast_payment": True,
                "fast_payment_method_ids": [(6, 0, self.bank_payment_method.ids)],
            }
        )
        self.tour("fast_payment")
        order = self.sold(35)
        self.assertEqual(len(order.payment_ids), 1)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.report(order)["total"], 35)

    def test_double_click(self):
        self.tour("double_click")
        order = self.sold(35)
        self.assertEqual(len(order.payment_ids), 1)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.report(order)["total"], 35)

    def test_terminal(self):
        """Spent before the terminal is asked, once; a retry and the validation that follows by
        itself spend nothing."""
        self.config.auto_validate_terminal_payment = True
        self.tour("terminal")
        order = self.sold(35)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.report(order)["total"], 35)

    def test_single_terminal(self):
        """The request that leaves by itself waits for a press while something is held."""
        self.config.write(
            {
                "payment_method_ids": [(6, 0, self.bank_payment_method.ids)],
                "auto_validate_terminal_payment": True,
            }
        )
        self.tour("single_terminal")
        order = self.sold(35)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.report(order)["total"], 35)

    def test_cash_rounding(self):
        """A payment in cash that covered the old total covers the new one, rounded as cash is."""
        rounding = self.env["account.cash.rounding"].create(
            {
                "name": "Five cents",
                "rounding": 0.05,
                "rounding_method": "HALF-UP",
                "strategy": "add_invoice_line",
                "profit_account_id": self.company.default_cash_difference_income_account_id.id,
                "loss_account_id": self.company.default_cash_difference_expense_account_id.id,
            }
        )
        self.config.write(
            {
                "cash_rounding": True,
                "only_round_cash_method": True,
                "rounding_method": rounding.id,
            }
        )
        self.ten_dollars_no_tax.list_price = 10.02
        client = self.engine._client()
        with self.once_held(
            lambda: client.validate_voucher(FIVE.code, allow_future_validation=False)
        ):
            self.tour("cash_rounding")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.state, "paid")
        self.assertAlmostEqual(order.amount_total, 40.02)
        self.assertAlmostEqual(order.amount_paid, 40)
        self.assertEqual(self.discounts(order), [])
        self.assertEqual(self.ledger(order), {"voucher": ("refused", 5)})
        # The one burn is the other system's.
        self.assertEqual(self.burned(), [FIVE.id])
        report = self.report(order)
        self.assertEqual((report["total"], report["discount"]), (40.02, 0))
        self.assertEqual(report["payments"], [{"kind": "cash", "amount": 40}])
        self.assertEqual(report["redemptions"], [])

    def test_refused_sync(self):
        """The server refuses the paid order once. What was spent for it stays, and is not spent
        again."""
        orders = self.env.registry["pos.order"]
        stored, refusals = orders.sync_from_ui, []

        @api.model
        def refuse_once(model, sent):
            if not refusals and any(order.get("state") == "paid" for order in sent):
                refusals.append(sent)
                raise UserError(self.env._("Not today"))
            return stored(model, sent)

        with patch.object(orders, "sync_from_ui", refuse_once), mute_logger("odoo.http"):
            self.tour("refused_sync")
        self.assertEqual(len(refusals), 1)
        order = self.sold(35)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})

    # === Elsewhere, and later ===

    def test_reload(self):
        """A page that is loaded anew knows what is held, and what is spent."""
        self.tour("spend_reload")
        order = self.sold(35)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})

    def test_other_till(self):
        """An order for which one voucher is spent and one held is paid at another point of sale."""
        next_till = self.config.copy({"name": "Next till"})
        next_till.trusted_config_ids = self.config
        self.config.trusted_config_ids = next_till
        self.tour("spend_save")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual((order.state, order.amount_total), ("draft", 31.5))
        self.assertEqual(self.burned(), [FIVE.id])
        self.tour("spend_other_till", config=next_till)
        self.assertEqual(self.sold(31.5, next_till), order)
        self.assertEqual(self.discounts(order), [3.5, 5])
        self.assertEqual(self.burned(), [FIVE.id, TEN.id])
        self.recover()
        rows = self.env["loyalty.engine.redemption"].search([("order_uuid", "=", order.uuid)])
        self.assertEqual(rows.mapped("state"), ["settled", "settled"])
        self.assertEqual(sorted(rows.mapped("claimed_amount")), [3.5, 5])
        self.assertFalse(self.env["loyalty.engine.case"].search([]))

    def test_device_sync(self):
        """What another device stores leaves this one's unsent goods, member and voucher alone."""
        self.tour("spend_device_sync")
        order = self.sold(54)
        self.assertEqual(order.general_customer_note, "No sugar")
        self.assertEqual(order.loyalty_engine_member_ref, MIA.id)
        self.assertEqual(self.discounts(order), [6])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 6)})
        self.assertEqual(self.burned(), [TEN.id])
        self.assertEqual(self.report(order)["total"], 54)

    def test_delete(self):
        """Points that were spent for an order that is deleted come back."""
        self.tour("spend_delete")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.mapped("state"), ["cancel"])
        self.assertEqual(self.points(), 0)
        self.assertEqual(self.ledger(order), {"points": ("returning", 12.5)})
        self.send_reports()
        self.assertEqual(self.points(), MIA.points)
        self.assertEqual(self.ledger(order), {"points": ("returned", 12.5)})

import contextlib
import threading
import time
from unittest.mock import patch

from odoo import api
from odoo.exceptions import UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..sandbox import demo
from .common import LoyaltyEngineCase

MIA = demo.MEMBERS[0]
FIVE, TEN = demo.BENEFITS[:2]
# Seconds to wait for what a tour does
PATIENCE = 60


@tagged("post_install", "-at_install", "tour")
class TestToursSpend(LoyaltyEngineCase, HttpCase):
    """Vouchers and points at a real till in a real browser. After each tour three books are
    compared: Odoo's order, the ledger, and what the sandbox has burned, taken and been told."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        products = (
            cls.ten_dollars_with_10_incl + cls.twenty_dollars_with_10_incl + cls.ten_dollars_no_tax
        )
        products.categ_id = cls.env["product.category"].create({"name": "Round figures"})
        for product, sku in zip(products, ("TEN", "TWENTY", "PLAIN"), strict=True):
            product.default_code = sku
        cls.cashier = new_test_user(
            cls.env,
            "le_cashier",
            groups="base.group_user,point_of_sale.group_pos_user",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )
        cls.engine.write(
            {"accepts_vouchers": True, "points_value_source": "fixed", "points_ready": True}
        )
        cls.config.loyalty_engine_points_booking = "discount"
        cls.recovery = cls.env.ref("pos_loyalty_engine.ir_cron_recover_redemptions")
        cls.env["barcode.rule"].create(
            {
                "name": "Vouchers",
                "barcode_nomenclature_id": cls.company.nomenclature_id.id,
                "type": "loyalty_engine_voucher",
                "pattern": "MIA-TEN",
                "sequence": 1,
                "encoding": "any",
            }
        )

    def setUp(self):
        super().setUp()
        # The sandbox forgets its options with the rest.
        self.sandbox.set_options(reactor_delay=0, reward_currency=self.config.currency_id.name)

    # === A tour, and what happens beside it ===

    def tour(self, name):
        self.start_tour(
            f"/pos/ui/{self.config.id}", f"pos_loyalty_engine_{name}", login=self.cashier.login
        )
        self.env.invalidate_all()

    @contextlib.contextmanager
    def once_held(self, do):
        """Do something as soon as the till has had its voucher checked."""
        done, failures = threading.Event(), []

        def watch():
            try:
                ends = time.monotonic() + PATIENCE
                while not done.is_set() and time.monotonic() < ends:
                    if self.checks():
                        do()
                        return
                    time.sleep(0.02)
                failures.append("the voucher was never checked")
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        self.assertFalse(failures)

    def checks(self):
        """The checks of a voucher without burning it."""
        return [
            request
            for request in self.sandbox.requests()
            if request["path"].endswith("/validate_voucher")
            and b'"allowFutureValidation": true' in request["body"].replace(b":t", b": t")
            and request["status"] == 200
        ]

    # === The three books ===

    def sold(self, total):
        """The one paid order."""
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual(order.mapped("state"), ["paid"])
        self.assertEqual(order.amount_total, total)
        self.assertEqual(order.amount_paid, total)
        self.assertAlmostEqual(sum(order.lines.mapped("price_subtotal_incl")), total)
        return order

    def recover(self):
        with self.enter_registry_test_mode():
            self.recovery.method_direct_trigger()
        self.env.invalidate_all()

    def ledger(self, order):
        """State and value of the order's redemptions after recovery, by kind."""
        self.recover()
        rows = self.env["loyalty.engine.redemption"].search([("order_uuid", "=", order.uuid)])
        return {
            row.kind: (row.state, float(row.claimed_amount or 0))
            for row in rows
            if row.state not in ("released", "expired")
        }

    def discounts(self, order):
        """What the order's discount lines take off, by redemption."""
        taken = {}
        for line in order.lines.filtered("loyalty_engine_redemption"):
            uuid = line.loyalty_engine_redemption
            taken[uuid] = round(taken.get(uuid, 0) - line.price_subtotal_incl, 2)
        return sorted(taken.values())

    def burned(self):
        """The benefits that were burned in this test."""
        return [burn["benefit"] for burn in self.sandbox.burns()]

    def points(self):
        self.sandbox.wait_for_reactors()
        return self.sandbox.member(MIA.id)["points"]

    def report(self, order):
        """What the engine was told of the sale."""
        self.send_reports()
        self.sandbox.wait_for_reactors()
        (event,) = self.events()
        self.assertEqual(event["payload"]["transactionId"], order.uuid)
        return event["payload"]

    # === Vouchers ===

    def test_voucher_scan(self):
        self.tour("voucher_scan")
        order = self.sold(35)
        self.assertEqual(self.discounts(order), [5])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.report(order)["total"], 35)

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

    def test_double_click(self):
        self.tour("double_click")
        order = self.sold(35)
        self.assertEqual(len(order.payment_ids), 1)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})

    def test_terminal(self):
        """Spent before the terminal is asked, once; a retry and the validation that follows by
        itself spend nothing."""
        self.config.auto_validate_terminal_payment = True
        self.tour("terminal")
        order = self.sold(35)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})

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
        self.config.trusted_config_ids = self.config.copy({"name": "Next till"})
        self.tour("spend_save")
        order = self.env["pos.order"].search([("config_id", "=", self.config.id)])
        self.assertEqual((order.state, order.amount_total), ("draft", 35))
        self.assertEqual(self.burned(), [])
        self.tour("spend_other_till")
        self.assertEqual(self.sold(35), order)
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})

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

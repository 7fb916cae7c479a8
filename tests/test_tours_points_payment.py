from ..sandbox import demo
from .common import TourCase
from .test_points_payment import set_up_points

MIA = demo.MEMBERS[0]


class TestToursPointsPayment(TourCase):
    """Points as a payment at a real till: taken, undone, taken again, given back with a return, and
    closed. Afterwards the books of Odoo, the ledger and the sandbox are compared."""

    def test_points_payment(self):
        self.engine.write(
            {
                "points_value_source": "fixed",
                "points_ready": True,
                "manager_pin": "4711",
                "pin_above": 4,
            }
        )
        method = set_up_points(self.engine, self.config)
        self.tour("points_payment")

        # Odoo's books
        sold, returned = self.env["pos.order"].search(
            [("config_id", "=", self.config.id), ("state", "=", "done")], order="id"
        )
        self.assertEqual((sold.amount_total, returned.amount_total), (40, -10))
        payment = sold.payment_ids.filtered(lambda one: one.payment_method_id == method)
        self.assertEqual((payment.amount, payment.loyalty_engine_points), (5, 500))
        back = returned.payment_ids.filtered(lambda one: one.payment_method_id == method)
        self.assertEqual((back.amount, back.loyalty_engine_points), (-5, -500))
        session = sold.session_id
        self.assertEqual(session.state, "closed")
        lines = session._get_related_account_moves().line_ids
        self.assertFalse(
            lines.filtered(
                lambda line: (
                    line.account_id.account_type == "asset_receivable" and not line.reconciled
                )
            )
        )
        self.assertEqual(
            sum(
                lines.filtered(
                    lambda line: line.account_id == method.outstanding_account_id
                ).mapped("balance")
            ),
            0,
        )
        self.assertTrue(
            any("as in the ledger" in body for body in session.message_ids.mapped("body"))
        )

        # The ledger
        for _time in range(3):
            with self.enter_registry_test_mode():
                self.env.ref(
                    "pos_loyalty_engine.ir_cron_recover_redemptions"
                ).method_direct_trigger()
            self.send_reports()
            self.sandbox.wait_for_reactors()
        undone, kept = self.env["loyalty.engine.redemption"].search([], order="id")
        self.assertEqual((undone.state, undone.points), ("returned", 300))
        self.assertEqual((kept.state, kept.points, kept.points_back), ("settled", 500, 500))
        self.assertEqual(kept.uuid, payment.loyalty_engine_redemption)
        self.assertFalse(self.env["loyalty.engine.case"].search([]))

        # The engine's
        self.assertEqual(
            [event["payload"]["points"] for event in self.events("REDEEMED_POINTS")], [300, 500]
        )
        self.assertEqual(
            sorted(event["payload"]["points"] for event in self.events("POINTS_REFUND")),
            [300, 500],
        )
        (sale,) = self.events()
        self.assertEqual(sale["payload"]["earningTotal"], 35)
        self.assertEqual(sale["points"], 35)
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points + 35)

from odoo.tests import tagged

from .spend_tour_case import FIVE, MIA, TEN, SpendTourCase


@tagged("post_install", "-at_install", "-standard", "beside")
class TestToursBeside(SpendTourCase):
    """Beside pos_restaurant, pos_discount, pos_loyalty, pos_hr and pos_online_payment."""

    # The database of bin/test has none of them: .ci/beside makes one, and runs these there.
    __test__ = False

    def paid(self):
        """The paid orders, the oldest first."""
        orders = self.env["pos.order"].search([("config_id", "=", self.config.id)], order="id")
        return orders.filtered(lambda order: order.state == "paid")

    def test_restaurant(self):
        """A bill is split, another one tipped after it was paid, a third one moved."""
        floor = self.env["restaurant.floor"].create(
            {"name": "Terrace", "pos_config_ids": [(6, 0, self.config.ids)]}
        )
        self.env["restaurant.table"].create(
            [
                {
                    "table_number": number,
                    "floor_id": floor.id,
                    "seats": 4,
                    "position_h": 100 * number,
                    "position_v": 100,
                }
                for number in (2, 4)
            ]
        )
        self.config.write(
            {
                "module_pos_restaurant": True,
                "iface_splitbill": True,
                "iface_tipproduct": True,
                "tip_product_id": self.env.ref("point_of_sale.product_product_tip").id,
            }
        )
        self.config.set_tip_after_payment = True
        self.tour("beside_restaurant")

        orders = self.paid()
        self.assertEqual(len(orders), 3)
        by_discounts = {tuple(self.discounts(order)): order for order in orders}
        self.assertEqual(sorted(by_discounts), [(), (5,)])
        tipped = by_discounts[5,]
        self.assertEqual(
            sorted((orders - tipped).mapped("amount_total")),
            [10, 50],
        )
        self.assertTrue(tipped.is_tipped)
        self.assertEqual((tipped.amount_paid, tipped.tip_amount), (25, 2))
        goods = tipped.lines.filtered(lambda line: line.product_id != self.config.tip_product_id)
        self.assertAlmostEqual(sum(goods.mapped("price_subtotal_incl")), 25)
        self.assertEqual(self.ledger(tipped), {"voucher": ("settled", 5)})
        self.assertEqual(self.burned(), [FIVE.id])
        rows = self.env["loyalty.engine.redemption"].search([])
        self.assertEqual(sorted(rows.mapped("state")), ["released", "settled"])
        self.assertFalse(self.env["loyalty.engine.case"].search([]))

        self.send_reports()
        self.sandbox.wait_for_reactors()
        redeemed = {
            event["payload"]["transactionId"]: event["payload"]["redemptions"]
            for event in self.events()
        }
        self.assertEqual(set(redeemed), set(orders.mapped("uuid")))
        self.assertEqual([uuid for uuid, some in redeemed.items() if some], [tipped.uuid])

    def test_discounts(self):
        """Promotions of Odoo's own, a discount on everything, a cashier without a login."""
        employee = (
            self.env["hr.employee"].sudo().create({"name": "Casey", "company_id": self.company.id})
        )
        self.config.write(
            {
                "module_pos_hr": True,
                "basic_employee_ids": [(6, 0, employee.ids)],
                "module_pos_discount": True,
                "discount_product_id": self.env.ref("pos_discount.product_product_consumable").id,
                "discount_pc": 10,
            }
        )
        self.env["loyalty.program"].search([]).active = False
        self.env["loyalty.program"].create(
            {
                "name": "From four on",
                "program_type": "promotion",
                "trigger": "auto",
                "applies_on": "current",
                "pos_config_ids": [(6, 0, self.config.ids)],
                "rule_ids": [(0, 0, {"minimum_qty": 4})],
                "reward_ids": [
                    (
                        0,
                        0,
                        {
                            "reward_type": "discount",
                            "discount": 10,
                            "discount_mode": "percent",
                            "discount_applicability": "cheapest",
                        },
                    )
                ],
            }
        )
        card = self.card_of_odoo(100)
        again = self.sandbox.add_benefit(MIA.id, FIVE.reward_id, code="MIA-FIVE-2")
        self.tour("beside_discounts")

        first, second, third = self.paid()
        self.assertEqual((first.amount_total, first.amount_paid), (44.09, 44.09))
        self.assertEqual(self.discounts(first), [5])
        self.assertEqual(self.ledger(first), {"voucher": ("settled", 5)})
        self.assertEqual((second.amount_total, second.amount_paid), (32, 32))
        self.assertEqual(self.discounts(second), [4])
        self.assertEqual(self.ledger(second), {"voucher": ("settled", 4)})
        # 100 points of Odoo's card for 10.00, and a point for each of the 35.00 before that.
        self.assertEqual((third.amount_total, third.amount_paid), (25, 25))
        self.assertEqual(third.partner_id, card.partner_id)
        self.assertEqual(card.points, 35)
        self.assertEqual(self.discounts(third), [5])
        self.assertEqual(self.ledger(third), {"voucher": ("settled", 5)})
        self.assertEqual(self.burned(), [FIVE.id, TEN.id, again["id"]])
        self.assertFalse(self.env["loyalty.engine.case"].search([]))
        self.send_reports()
        self.sandbox.wait_for_reactors()
        # Several are sent side by side.
        totals = [event["payload"]["total"] for event in self.events()]
        self.assertEqual(sorted(totals), [25, 32, 44.09])
        # The engine's points are the member's alone, for what was paid.
        self.assertEqual(self.points(), MIA.points + 25)

    def card_of_odoo(self, points):
        """A customer who is the member Mia, and has a card of pos_loyalty with these points."""
        program = self.env["loyalty.program"].create(
            {
                "name": "Odoo's card",
                "program_type": "loyalty",
                "trigger": "auto",
                "applies_on": "both",
                "pos_config_ids": [(6, 0, self.config.ids)],
                "rule_ids": [(0, 0, {"reward_point_mode": "money", "reward_point_amount": 1})],
                "reward_ids": [
                    (
                        0,
                        0,
                        {
                            "reward_type": "discount",
                            "discount": 10,
                            "discount_mode": "per_order",
                            "discount_applicability": "order",
                            "required_points": 100,
                            "description": "Ten for the card",
                        },
                    )
                ],
            }
        )
        return self.give_to_mia(program, points)

    def give_to_mia(self, program, points):
        """:return: a card of pos_loyalty, of a customer who is the member Mia"""
        customer = self.env["res.partner"].create({"name": "Mia", "loyalty_engine_ref": MIA.id})
        return self.env["loyalty.card"].create(
            {"program_id": program.id, "partner_id": customer.id, "points": points}
        )

    def test_ewallet(self):
        """It pays what a voucher has left to pay: money of the customer's, and no discount."""
        self.env["loyalty.program"].search([]).active = False
        program = self.env["loyalty.program"].browse(
            self.env["loyalty.program"].create_from_template("ewallet")["res_id"]
        )
        wallet = self.give_to_mia(program, 50)
        self.tour("beside_ewallet")
        order = self.paid()
        self.assertEqual((order.amount_total, order.amount_paid), (0, 0))
        self.assertEqual(wallet.points, 15)
        self.assertEqual(self.discounts(order), [5])
        self.assertEqual(self.ledger(order), {"voucher": ("settled", 5)})
        self.assertEqual(self.burned(), [FIVE.id])
        self.assertFalse(self.env["loyalty.engine.case"].search([]))

    def test_online_payment(self):
        """What is held is spent before the customer sees the code to pay with, and not after."""
        self.env["payment.provider"].sudo().create(
            {
                "name": "Nobody",
                "code": "none",
                "state": "test",
                "is_published": True,
                "company_id": self.company.id,
                "payment_method_ids": [(6, 0, self.env.ref("payment.payment_method_unknown").ids)],
            }
        )
        method = self.env["pos.payment.method"].create(
            {"name": "Online payment", "is_online_payment": True}
        )
        self.config.payment_method_ids += method
        client = self.engine._client()
        with self.once_held(
            lambda: client.validate_voucher(FIVE.code, allow_future_validation=False)
        ):
            self.tour("beside_online_payment")
        order = self.sold(36)
        self.assertEqual(self.discounts(order), [4])
        self.assertEqual(self.burned(), [FIVE.id, TEN.id])
        states = {
            row.state: float(row.claimed_amount)
            for row in self.env["loyalty.engine.redemption"].search([])
        }
        self.recover()
        self.assertEqual(states.pop("refused"), 5)
        rows = self.env["loyalty.engine.redemption"].search([("order_uuid", "=", order.uuid)])
        self.assertEqual(sorted(rows.mapped("state")), ["refused", "settled"])
        self.assertEqual(self.report(order)["total"], 36)

"""Discounts on real orders: the till's total, the stored one, the server's own, the invoice's and
the reported one are the same, to the cent."""

import uuid

from odoo import fields
from odoo.tests import tagged

from odoo.addons.point_of_sale.tests.common import CommonPosTest

from ..models.pos_order_discount import discount_base_lines, plan_discounts, to_money
from .discount_baskets import DECIMALS, METHODS, Shop, random_basket

# Orders for each rounding method and currency.
ORDERS = 7


@tagged("post_install", "-at_install")
class TestDiscountOrders(CommonPosTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = Shop(cls.env)
        # Another currency than the company's, at a rate that leaves crumbs.
        cls.env["res.currency.rate"].create(
            {"currency_id": cls.shop.currencies[3].id, "rate": 1.37, "company_id": cls.company.id}
        )
        cls.engine = cls.env["loyalty.engine"].create(
            {
                "name": "Engine",
                "company_id": cls.company.id,
                "environment": "custom",
                "rewards_url": "https://rewards.example.com/v1",
                "token_url": "https://auth.example.com/oauth/token",
                "reporting": "event",
            }
        )
        cls.hot = cls.env["product.category"].create(
            {
                "name": "Hot",
                "parent_id": cls.env["product.category"].create({"name": "Drinks"}).id,
            }
        )
        cls.configs = {
            decimals: cls.config_in(cls.shop.currencies[decimals]) for decimals in DECIMALS
        }
        cls.products = {}

    @classmethod
    def config_in(cls, currency):
        journal = cls.env["account.journal"].create(
            {
                "name": f"Sales {currency.name}",
                "type": "sale",
                "code": f"S{currency.decimal_places}",
                "company_id": cls.company.id,
                "currency_id": currency.id,
            }
        )
        pricelist = cls.env["product.pricelist"].create(
            {"name": currency.name, "currency_id": currency.id}
        )
        config = cls.env["pos.config"].create(
            {
                "name": f"Till {currency.name}",
                "journal_id": journal.id,
                "invoice_journal_id": journal.id,
                "use_pricelist": True,
                "available_pricelist_ids": [(6, 0, pricelist.ids)],
                "pricelist_id": pricelist.id,
                "payment_method_ids": [(6, 0, cls.bank_payment_method.ids)],
                "loyalty_engine_id": cls.engine.id,
            }
        )
        config.open_ui()
        return config

    # === The till's part ===

    def product_of(self, line):
        """A product with the codes of a basket's line; what is no goods is a tip."""
        if not line["goods"]:
            return self.env.ref("point_of_sale.product_product_tip")
        sku = next((code for code in line["codes"] if code.isupper()), False)
        is_hot = any(code.startswith("Drinks") for code in line["codes"])
        if (sku, is_hot) not in self.products:
            self.products[sku, is_hot] = self.env["product.product"].create(
                {
                    "name": sku or "Something",
                    "default_code": sku,
                    "type": "service",
                    "available_in_pos": True,
                    "categ_id": self.hot.id
                    if is_hot
                    else self.env["product.category"].search([], limit=1).id,
                }
            )
        return self.products[sku, is_hot]

    def till_line(self, product, price, taxes, **values):
        return [
            0,
            0,
            {
                "uuid": str(uuid.uuid4()),
                "product_id": product.id,
                "full_product_name": product.name,
                "price_unit": price,
                "qty": 1,
                "discount": 0,
                "tax_ids": [[6, 0, taxes.ids]],
                "price_subtotal": 0,
                "price_subtotal_incl": 0,
                **values,
            },
        ]

    def goods(self, basket, currency):
        return [
            self.till_line(
                self.product_of(line),
                float(to_money(line["price"], currency)),
                self.shop.taxes_of(line["taxes"]),
                qty=line["quantity"],
                discount=line["discount"],
            )
            for line in basket["lines"]
        ]

    def send(self, config, lines, total, state="draft", order=None, **values):
        """Store an order as a till sends it."""
        paid = state == "paid"
        payment = {
            "uuid": str(uuid.uuid4()),
            "name": fields.Datetime.to_string(fields.Datetime.now()),
            "amount": total,
            "payment_method_id": self.bank_payment_method.id,
        }
        result = self.env["pos.order"].sync_from_ui(
            [
                {
                    "uuid": order.uuid if order else str(uuid.uuid4()),
                    "id": order.id if order else False,
                    "session_id": config.current_session_id.id,
                    "company_id": self.company.id,
                    "pricelist_id": config.pricelist_id.id,
                    "fiscal_position_id": False,
                    "partner_id": self.partner_mobt.id,
                    "user_id": self.env.uid,
                    "date_order": fields.Datetime.to_string(fields.Datetime.now()),
                    "sequence_number": 1,
                    "name": "/",
                    "amount_total": total,
                    "amount_tax": 0,
                    "amount_paid": total if paid else 0,
                    "amount_return": 0,
                    "lines": lines,
                    "payment_ids": [[0, 0, payment]] if paid else [],
                    "state": state,
                    "to_invoice": paid,
                    "access_token": str(uuid.uuid4()),
                    "last_order_preparation_change": "{}",
                    **values,
                }
            ]
        )
        return self.env["pos.order"].browse(result["pos.order"][0]["id"])

    def discount_lines(self, order, redemptions):
        """The discount lines that the till would make, and what they take off."""
        basket = order._loyalty_engine_basket()
        outcomes = plan_discounts(basket, redemptions, self.engine.discount_units)
        lines = [
            self.till_line(
                self.engine.discount_product_id,
                base_line["price_unit"],
                base_line["tax_ids"],
                full_product_name="Voucher",
                loyalty_engine_redemption=outcome.uuid,
                extra_tax_data=self.env["account.tax"]._export_base_line_extra_tax_data(base_line),
            )
            for outcome in outcomes.values()
            for base_line in discount_base_lines(basket, outcome)
        ]
        given = {
            outcome.uuid: to_money(outcome.amount, basket.currency)
            for outcome in outcomes.values()
            if outcome.amount
        }
        return lines, given, basket.total - sum(outcome.amount for outcome in outcomes.values())

    def sell(self, basket):
        """A paid and invoiced order of this basket: the order, what each redemption took off, and
        the total at the till; None where there is nothing to be paid."""
        config = self.configs[basket["decimals"]]
        currency = self.shop.currencies[basket["decimals"]]
        self.company.tax_calculation_rounding_method = basket["method"]
        self.engine.discount_units = basket["units"]
        draft = self.send(config, self.goods(basket, currency), 0)
        lines, given, total = self.discount_lines(draft, basket["redemptions"])
        if total <= 0 or not given:
            return None
        total = to_money(total, currency)
        order = self.send(config, lines, float(total), state="paid", order=draft)
        return order, given, total

    # === Tests ===

    def test_all_totals_are_the_same(self):
        for method in METHODS:
            for decimals in DECIMALS:
                with self.subTest(method=method, decimals=decimals):
                    fitting = (
                        basket
                        for basket in map(random_basket, range(1000))
                        if (basket["method"], basket["decimals"]) == (method, decimals)
                        and not any(line["combo"] for line in basket["lines"])
                    )
                    sold = 0
                    while sold < ORDERS:
                        sold += self.check(next(fitting))

    def check(self, basket):
        sale = self.sell(basket)
        if not sale:
            return False
        order, given, total = sale
        money = order._loyalty_engine_money
        self.assertEqual(order.state, "done" if order.account_move else "paid")
        self.assertEqual(money(order.amount_total), total, "stored")
        self.assertEqual(order._loyalty_engine_given_discounts(), given)
        expected = order._loyalty_engine_expected_discounts(basket["redemptions"])
        self.assertEqual({uuid: worth for uuid, worth in expected.items() if worth}, given)
        order._compute_prices()
        self.assertEqual(money(order.amount_total), total, "the server's own")
        invoice = order.account_move
        off_by = self.invoice_differs_by(order)
        self.assertEqual(money(invoice.amount_total), total + off_by, "the invoice's")
        self.assertTrue(not off_by or any(line["quantity"] < 0 for line in basket["lines"]))
        facts = order._loyalty_engine_sale()
        self.assertEqual(facts.total, total, "the reported one")
        self.assertEqual(sum(line.amount for line in facts.lines), total)
        self.assertEqual(
            sum(line.amount_without_tax for line in facts.lines), facts.total_without_tax
        )
        if not any(line["discount"] for line in basket["lines"]):
            self.assertEqual(facts.discount, sum(given.values()))
        self.assertEqual(len(facts.lines), len(basket["lines"]))
        return True

    def invoice_differs_by(self, order):
        """By what an invoice of the same goods differs without any discount of ours: Odoo rounds
        returns apart from sales at the till, and together with them on an invoice."""
        goods = order.lines.filtered(lambda line: not line.loyalty_engine_redemption)
        base_lines = goods._prepare_tax_base_line_values()
        currency = order.currency_id
        at_the_till = self.shop.total(base_lines, currency)
        for base_line in base_lines:
            base_line["is_refund"] = False
        return to_money(self.shop.total(base_lines, currency) - at_the_till, currency)

"""Discounts on real orders: the till's total, the stored one, the server's own, the invoice's and
the reported one are the same, to the cent."""

import uuid
from decimal import Decimal
from itertools import count

from odoo import fields
from odoo.tests import tagged

from odoo.addons.point_of_sale.tests.common import CommonPosTest

from ..models.pos_order_discount import discount_base_lines, plan_discounts, to_money
from .discount_baskets import DECIMALS, METHODS, Shop, random_basket

# Orders for each rounding method and currency, and how many of them have a set (combo) among them.
ORDERS = 10
WITH_SETS = 3


def has_set(basket):
    return any(line["combo"] for line in basket["lines"])


@tagged("post_install", "-at_install")
class TestDiscountOrders(CommonPosTest):
    """A shop with a till for each currency, that sells baskets as a till does."""

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
        cls.menu = cls.env["product.product"].create(
            {
                "name": "Menu",
                "default_code": "MENU",
                "type": "combo",
                "available_in_pos": True,
                "combo_ids": [
                    (
                        0,
                        0,
                        {
                            "name": "Dishes",
                            "combo_item_ids": [
                                (0, 0, {"product_id": cls.ten_dollars_no_tax.product_variant_id.id})
                            ],
                        },
                    )
                ],
            }
        )
        cls.config = cls.configs[2]
        cls.company.tax_calculation_rounding_method = "round_per_line"
        cls.engine.discount_units = "one"
        cls.tea, cls.cake = (
            cls.env["product.product"].create(
                {"name": name, "default_code": name, "type": "service", "available_in_pos": True}
            )
            for name in ("TEA", "CAKE")
        )
        # 10 %, included
        cls.tax = cls.shop.taxes[0]

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

    def with_set(self, basket, lines):
        """The lines of a basket with the line of their set, and which of them are its parts, as a
        till tells it."""
        parts = [
            line[2]["uuid"]
            for line, wanted in zip(lines, basket["lines"], strict=True)
            if wanted["combo"]
        ]
        if not parts:
            return {"lines": lines}
        quantity = next(line["combo"][1] for line in basket["lines"] if line["combo"])
        parent = self.till_line(self.menu, 0, self.env["account.tax"], qty=quantity)
        parents = {part: {"combo_parent_id": parent[2]["uuid"]} for part in parts}
        return {
            "lines": [*lines, parent],
            "relations_uuid_mapping": {"pos.order.line": parents},
        }

    def order_data(self, config, lines, total, state="draft", order=None, **values):
        """An order as a till sends it."""
        paid = state == "paid"
        payment = {
            "uuid": str(uuid.uuid4()),
            "name": fields.Datetime.to_string(fields.Datetime.now()),
            "amount": total,
            "payment_method_id": self.bank_payment_method.id,
        }
        return {
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

    def store(self, orders):
        """Store orders, without what takes long and changes no total: print and history."""
        pos_order = self.env["pos.order"].with_context(generate_pdf=False, tracking_disable=True)
        result = pos_order.sync_from_ui(orders)
        return self.env["pos.order"].browse([row["id"] for row in result["pos.order"]])

    def send(self, config, lines, total, **values):
        """Store an order as a till sends it."""
        return self.store([self.order_data(config, lines, total, **values)])

    def discount_lines(self, order, redemptions):
        """The discount lines that the till would make, and what they take off."""
        basket = order._loyalty_engine_basket(self.engine.sku_source)
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

    def sell(self, baskets):
        """Paid and invoiced orders of these baskets, all of one method and currency: of each the
        basket, the order, what each redemption took off, and the total at the till. Left out where
        there is nothing to be paid, or nothing taken off."""
        config = self.configs[baskets[0]["decimals"]]
        currency = self.shop.currencies[baskets[0]["decimals"]]
        self.shop.round_by(baskets[0]["method"])
        drafts = self.store(
            [
                self.order_data(
                    config, total=0, **self.with_set(basket, self.goods(basket, currency))
                )
                for basket in baskets
            ]
        )
        sales = []
        paid = []
        for basket, draft in zip(baskets, drafts, strict=True):
            self.engine.discount_units = basket["units"]
            lines, given, total = self.discount_lines(draft, basket["redemptions"])
            if total > 0 and given:
                total = to_money(total, currency)
                sales.append((basket, draft, given, total))
                paid.append(self.order_data(config, lines, float(total), "paid", draft))
        self.store(paid)
        return sales

    # === Totals ===

    def test_all_totals_are_the_same(self):
        sold = with_set = 0
        for method in METHODS:
            for decimals in DECIMALS:
                with self.subTest(method=method, decimals=decimals):
                    for basket, *sale in self.sell(self.baskets_of(method, decimals)):
                        self.check(basket, *sale)
                        sold += 1
                        with_set += has_set(basket)
        self.assertGreater(sold, 50)
        self.assertGreater(with_set, 10)

    def baskets_of(self, method, decimals):
        """Baskets of which something is to be paid, and something taken off."""
        baskets = []
        wanted = {True: WITH_SETS, False: ORDERS - WITH_SETS}
        seeds = count()
        while any(wanted.values()):
            basket = random_basket(next(seeds))
            if (basket["method"], basket["decimals"]) != (method, decimals):
                continue
            if wanted[has_set(basket)]:
                before, after = self.shop.solve(basket).totals
                if before > after > 0:
                    baskets.append(basket)
                    wanted[has_set(basket)] -= 1
        return baskets

    def check(self, basket, order, given, total):
        money = order._loyalty_engine_money
        self.engine.discount_units = basket["units"]
        self.assertEqual(order.state, "done")
        self.assertEqual(money(order.amount_total), total, "stored")
        self.assertEqual(order._loyalty_engine_given_discounts(), given)
        expected = order._loyalty_engine_expected_discounts(basket["redemptions"], self.engine)
        self.assertEqual({uuid: worth for uuid, worth in expected.items() if worth}, given)
        order._compute_prices()
        self.assertEqual(money(order.amount_total), total, "the server's own")
        off_by = self.invoice_differs_by(order)
        self.assertEqual(money(order.account_move.amount_total), total + off_by, "the invoice's")
        if off_by:
            self.assertEqual(basket["method"], "round_globally")
            self.assertTrue(any(line["quantity"] < 0 for line in basket["lines"]))
        facts = order._loyalty_engine_sale()
        self.assertEqual(facts.total, total, "the reported one")
        self.assertEqual(sum(line.amount for line in facts.lines), total)
        self.assertEqual(
            sum(line.amount_without_tax for line in facts.lines), facts.total_without_tax
        )
        if not any(line["discount"] for line in basket["lines"]):
            self.assertEqual(facts.discount, sum(given.values()))
        goods = order.lines.filtered(lambda line: not line.loyalty_engine_redemption)
        self.assertEqual(len(facts.lines), len(goods))
        parts = order.lines.filtered("combo_parent_id")
        self.assertEqual(len(parts), sum(bool(line["combo"]) for line in basket["lines"]))

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

    # === One order ===

    def redemption(self, discount_type, value, skus=(), **values):
        return {
            "uuid": str(uuid.uuid4()),
            "kind": "voucher",
            "booking": "discount",
            "state": "spent",
            "discounts": [
                {"type": discount_type, "value": value, "skus": list(skus), "venues": []}
            ],
            "min_amount": None,
            "max_amount": None,
            "frozen_amount": None,
            **values,
        }

    def tea_and_cake(self):
        """2 x 3.00 and 1 x 4.00: a draft."""
        return self.send(
            self.config,
            [
                self.till_line(self.tea, 3.0, self.tax, qty=2),
                self.till_line(self.cake, 4.0, self.tax),
            ],
            10.0,
        )

    def pay(self, draft, *redemptions, **values):
        lines, given, total = self.discount_lines(draft, redemptions)
        for line in lines:
            line[2].update(values)
        return self.send(self.config, lines, total / 100, state="paid", order=draft), given

    def test_the_server_judges_without_what_was_frozen(self):
        order = self.tea_and_cake()
        tea = self.redemption("FIXED", "1.00", ["TEA"])
        points = self.redemption("ABSOLUTE", "9.00", kind="points")
        frozen = {**points, "frozen_amount": "2.50"}

        def expected(redemptions):
            return order._loyalty_engine_expected_discounts(redemptions, self.engine)

        self.assertEqual(expected([tea])[tea["uuid"]], Decimal("2.00"))
        self.assertEqual(
            expected([tea, points]),
            {tea["uuid"]: Decimal("2.00"), points["uuid"]: Decimal("8.00")},
        )
        self.assertEqual(expected([frozen])[points["uuid"]], Decimal("2.50"))
        self.assertEqual(order._loyalty_engine_given_discounts(), {})

    def test_a_category_and_those_above_it_stand_for_a_product(self):
        order = self.tea_and_cake()
        self.tea.categ_id = self.hot
        for code in ("Hot", "Drinks / Hot", "Drinks"):
            voucher = self.redemption("PERCENTAGE", "100", [code])
            worth = order._loyalty_engine_expected_discounts([voucher], self.engine)
            self.assertEqual(worth[voucher["uuid"]], Decimal("3.00"), code)

    def test_a_set_is_one_product_with_its_parts(self):
        order = self.tea_and_cake()
        parent = order.lines.create(
            {
                "order_id": order.id,
                "product_id": self.menu.id,
                "qty": 2,
                "price_unit": 0,
                "price_subtotal": 0,
                "price_subtotal_incl": 0,
            }
        )
        order.lines[:2].combo_parent_id = parent
        order.lines[1].qty = 2
        voucher = self.redemption("PERCENTAGE", "100", ["MENU"])
        worth = order._loyalty_engine_expected_discounts([voucher], self.engine)
        self.assertEqual(worth[voucher["uuid"]], Decimal("7.00"), "one menu: a tea and a cake")

    def test_a_tip_has_no_discount(self):
        tip = self.env.ref("point_of_sale.product_product_tip")
        order = self.send(
            self.config,
            [
                self.till_line(self.tea, 3.0, self.tax),
                self.till_line(tip, 2.0, self.env["account.tax"]),
            ],
            5.0,
        )
        voucher = self.redemption("ABSOLUTE", "9.00")
        worth = order._loyalty_engine_expected_discounts([voucher], self.engine)
        self.assertEqual(worth[voucher["uuid"]], Decimal("3.00"))

    def test_a_discount_is_reported_on_what_it_was_on(self):
        draft = self.tea_and_cake()
        cake = draft.lines.filtered(lambda line: line.product_id == self.cake)
        voucher = self.redemption("ABSOLUTE", "1.50")
        details = {"kind": "voucher", "points": 0, "parts": {cake.uuid: 1.5}}
        order, _given = self.pay(draft, voucher, loyalty_engine_details=details)
        facts = order._loyalty_engine_sale()
        self.assertEqual(
            [(line.sku, line.amount, line.discount) for line in facts.lines],
            [
                ("TEA", Decimal("6.00"), Decimal("0.00")),
                ("CAKE", Decimal("2.50"), Decimal("1.50")),
            ],
        )
        self.assertEqual(facts.discount, Decimal("1.50"))
        (redemption,) = facts.redemptions
        self.assertEqual(redemption.redemption_id, voucher["uuid"])
        self.assertEqual((redemption.kind, redemption.points), ("voucher", None))
        self.assertEqual(redemption.amount, Decimal("1.50"))

    def test_a_discount_earns_points_only_where_the_connection_says_so(self):
        order, _given = self.pay(self.tea_and_cake(), self.redemption("ABSOLUTE", "1.50"))
        self.assertEqual(order._loyalty_engine_sale().earning_total, Decimal("8.50"))
        self.engine.discounts_earn = True
        facts = order._loyalty_engine_sale()
        self.assertEqual((facts.total, facts.earning_total), (Decimal("8.50"), Decimal("10.00")))

    def test_points_taken_off_are_reported_as_points(self):
        points = self.redemption("ABSOLUTE", "2.00", kind="points")
        details = {"kind": "points", "points": 200, "parts": {}}
        order, _given = self.pay(self.tea_and_cake(), points, loyalty_engine_details=details)
        facts = order._loyalty_engine_sale()
        (redemption,) = facts.redemptions
        self.assertEqual((redemption.kind, redemption.points), ("points", Decimal(200)))
        # Not told what they are on: on everything.
        self.assertEqual([line.amount for line in facts.lines], [Decimal("4.80"), Decimal("3.20")])
        self.assertEqual(facts.total, Decimal("8.00"))

    def test_whatever_a_till_claims_is_stored_and_reported(self):
        for details in (False, [], "x", {"parts": []}, {"parts": {"?": "x"}, "points": "many"}):
            with self.subTest(details=details):
                voucher = self.redemption("ABSOLUTE", "1.00")
                order, given = self.pay(
                    self.tea_and_cake(), voucher, loyalty_engine_details=details
                )
                self.assertEqual(order._loyalty_engine_given_discounts(), given)
                facts = order._loyalty_engine_sale()
                self.assertEqual(sum(line.amount for line in facts.lines), facts.total)

    def test_a_refund_claims_nothing(self):
        order, given = self.pay(self.tea_and_cake(), self.redemption("ABSOLUTE", "1.00"))
        self.assertTrue(given)
        refund = order._refund()
        self.assertEqual(len(refund.lines), 3)
        self.assertFalse(refund._loyalty_engine_claims())
        self.assertFalse(any(refund.lines.mapped("loyalty_engine_details")))

    def test_the_product_of_discounts_is_loaded_and_on_no_shelf(self):
        product = self.engine.discount_product_id
        self.assertEqual(product, self.env.ref("pos_loyalty_engine.product_discount"))
        self.assertFalse(product.taxes_id)
        self.assertIn(product, self.config._get_special_products())
        data = self.config.current_session_id.load_data([])
        self.assertIn(product.id, [row["id"] for row in data["product.product"]])
        (config,) = data["pos.config"]
        self.assertIn(product.id, config["_pos_special_products_ids"])
        self.assertEqual(config["_loyalty_engine"]["discount_product_id"], product.id)

    def test_a_connection_from_before_gets_the_product(self):
        self.env.cr.execute("ALTER TABLE loyalty_engine ALTER discount_product_id DROP NOT NULL")
        self.env.cr.execute("UPDATE loyalty_engine SET discount_product_id = NULL")
        self.env["loyalty.engine"]._complete_discount_products()
        self.assertTrue(self.engine.discount_product_id)

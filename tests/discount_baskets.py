"""Baskets for the tests of discounts, as plain data: made at random here, by Hypothesis in
test_discounts.py, and written down for the till's tests in static/tests/unit/data/baskets.js.

A basket is ``{"method", "decimals", "units", "lines", "redemptions"}``. A line has its price in the
currency's smallest unit (with taxes or without, as its taxes say), a quantity, a discount in
percent, one of ``TAX_SETS``, whether it is goods, its codes, and the set it is a part of or None.
"""

import json
import random

from ..models.pos_order_discount import (
    Entry,
    discount_base_lines,
    plan_discounts,
    read_basket,
    to_units,
    total_of,
)

METHODS = ("round_per_line", "round_globally")
DECIMALS = (2, 0, 3)
CODES = ("TEA", "COFFEE", "CAKE", "Drinks", "Drinks / Hot", "MENU")
QUANTITIES = (1, 1, 1, 2, 3, 7, 0.5, 0.333, 1.25, 2.755)
LINE_DISCOUNTS = (0, 0, 0, 10, 33.33, 100)
PERCENTAGES = ("5", "10", "12.5", "33.33", "50", "99.9", "100")

# As Odoo knows them; a group by the places of its taxes.
TAXES = (
    {"amount_type": "percent", "amount": 10, "price_include": True},
    {"amount_type": "percent", "amount": 21, "price_include": True},
    {"amount_type": "percent", "amount": 15, "price_include": False},
    {"amount_type": "percent", "amount": 5.5, "price_include": False},
    {"amount_type": "fixed", "amount": 0.25, "price_include": False},
    {"amount_type": "fixed", "amount": 0.1, "price_include": True},
    {
        "amount_type": "percent",
        "amount": 3,
        "price_include": False,
        "include_base_amount": True,
        "sequence": 0,
    },
    {"amount_type": "group", "amount": 0, "price_include": False, "children": (2, 3)},
    {"amount_type": "division", "amount": 20, "price_include": True},
)
TAX_SETS = (
    (),
    (0,),
    (1,),
    (2,),
    (2, 3),
    (0, 1),
    (0, 4),
    (2, 4),
    (1, 5),
    (2, 6),
    (7,),
    (8,),
)


def random_basket(seed):
    """The same basket for the same seed, on any machine."""
    pick = random.Random(seed)
    decimals = pick.choice(DECIMALS)
    lines = [random_line(pick) for _ in range(pick.randint(1, 6))]
    if pick.random() < 0.2:
        lines += random_combo(pick)
    return {
        "method": pick.choice(METHODS),
        "decimals": decimals,
        "units": pick.choice(("one", "all")),
        "lines": lines,
        "redemptions": [random_redemption(pick, i, decimals) for i in range(pick.randint(1, 4))],
    }


def random_line(pick):
    is_return = pick.random() < 0.1
    quantity = pick.choice(QUANTITIES)
    return {
        "price": pick.choice((pick.randint(1, 500), pick.randint(1, 20_000))),
        "quantity": -quantity if is_return else quantity,
        "discount": pick.choice(LINE_DISCOUNTS),
        "taxes": pick.choice(TAX_SETS),
        "goods": not is_return and pick.random() < 0.95,
        "codes": tuple(pick.sample(CODES, pick.randint(0, 2))),
        "combo": None,
    }


def random_combo(pick):
    quantity = pick.choice((1, 2, 3))
    combo = ("set", quantity, ("MENU",))
    return [
        {**random_line(pick), "quantity": quantity, "goods": True, "combo": combo}
        for _ in range(pick.randint(1, 3))
    ]


def random_redemption(pick, number, decimals):
    is_points = pick.random() < 0.25

    def money(most):
        return f"{pick.randint(1, most) / 10**decimals:.{decimals}f}"

    def discount():
        kind = "ABSOLUTE" if is_points else pick.choice(("ABSOLUTE", "PERCENTAGE", "FIXED"))
        is_for_order = is_points or pick.random() < 0.5
        return {
            "type": kind,
            "value": pick.choice(PERCENTAGES) if kind == "PERCENTAGE" else money(2_000),
            "skus": () if is_for_order else tuple(pick.sample(CODES, pick.randint(1, 2))),
        }

    return {
        "uuid": f"00000000-0000-4000-8000-{pick.randint(0, 999):09d}{number:03d}",
        "kind": "points" if is_points else "voucher",
        "booking": "payment" if is_points and pick.random() < 0.2 else "discount",
        "state": pick.choice(("held", "held", "held", "spending", "refused", "unknown")),
        "discounts": [discount() for _ in range(1 if is_points else pick.choice((1, 1, 2)))],
        "min_amount": money(5_000) if pick.random() < 0.2 else None,
        "max_amount": money(50_000) if pick.random() < 0.2 else None,
        "frozen_amount": money(1_000) if pick.random() < 0.15 else None,
    }


def for_the_till(shop, count):
    """The text of baskets.js: taxes, and baskets with what the server makes of them."""
    baskets = []
    for seed in range(count):
        basket = random_basket(seed)
        _read, outcomes, lines, totals = shop.solve(basket)
        baskets.append(
            {
                **basket,
                "outcomes": [
                    [outcome.amount, outcome.reason, outcome.short] for outcome in outcomes.values()
                ],
                "made": [shop.describe(line) for made in lines.values() for line in made],
                "totals": totals,
            }
        )
    rows = ",\n".join(json.dumps(basket, separators=(",", ":")) for basket in baskets)
    # As text: a linter would take minutes to read this much as code.
    return (
        "// Written by tests/test_discounts.py: baskets, and what the server makes of them.\n"
        f"export const TAXES = JSON.parse(`{json.dumps(TAXES)}`);\n\n"
        f"export const BASKETS = JSON.parse(`[\n{rows}\n]`);\n"
    )


class Shop:
    """What baskets are calculated with: a company's taxes and currencies."""

    def __init__(self, env):
        self.env = env
        self.company = env.company
        self.currencies = {
            decimals: env["res.currency"].create(
                {"name": f"LE{'ABCD'[decimals]}", "symbol": "¤", "rounding": 10**-decimals}
            )
            for decimals in DECIMALS
        }
        self.taxes = []
        for place, tax in enumerate(TAXES):
            self.taxes.append(
                env["account.tax"].create(
                    {
                        "name": f"Discount test {place}",
                        "amount_type": tax["amount_type"],
                        "amount": tax["amount"],
                        "price_include_override": "tax_included"
                        if tax["price_include"]
                        else "tax_excluded",
                        "include_base_amount": tax.get("include_base_amount", False),
                        "sequence": tax.get("sequence", 1),
                        "children_tax_ids": [
                            (4, self.taxes[child].id) for child in tax.get("children", ())
                        ],
                    }
                )
            )

    def taxes_of(self, places):
        return self.env["account.tax"].union(*(self.taxes[place] for place in places))

    def places_of(self, tax_ids):
        ids = [tax.id for tax in self.taxes]
        return sorted(ids.index(tax_id) for tax_id in tax_ids)

    def base_line(self, line, currency, rate=1.0):
        price = float(f"{line['price'] * currency.rounding:.{currency.decimal_places}f}")
        return self.env["account.tax"]._prepare_base_line_for_taxes_computation(
            None,
            price_unit=price,
            quantity=line["quantity"],
            discount=line["discount"],
            tax_ids=self.taxes_of(line["taxes"]),
            currency_id=currency,
            rate=rate,
            is_refund=line["quantity"] * price < 0,
        )

    def read(self, basket, rate=1.0):
        """The basket as the server reads it; the company rounds by its method from now on."""
        currency = self.currencies[basket["decimals"]]
        if self.company.tax_calculation_rounding_method != basket["method"]:
            self.company.tax_calculation_rounding_method = basket["method"]
        return read_basket(
            [
                Entry(
                    base_line=self.base_line(line, currency, rate),
                    is_goods=line["goods"],
                    codes=tuple(line["codes"]),
                    combo=line["combo"] and (*line["combo"][:2], tuple(line["combo"][2])),
                )
                for line in basket["lines"]
            ],
            self.company,
            currency,
        )

    def stored(self, base_line):
        """A discount's base line as an order gives it back: made from what its line stores."""
        account_tax = self.env["account.tax"]
        return account_tax._prepare_base_line_for_taxes_computation(
            {
                "extra_tax_data": json.loads(
                    json.dumps(account_tax._export_base_line_extra_tax_data(base_line))
                )
            },
            price_unit=base_line["price_unit"],
            quantity=1,
            tax_ids=base_line["tax_ids"],
            currency_id=base_line["currency_id"],
            rate=base_line["rate"],
            is_refund=True,
        )

    def describe(self, base_line):
        """A discount's line: its taxes, price, base and taxes, rounded as far as they can be the
        same in two languages."""
        manual = base_line["manual_tax_amounts"] or {}
        return [
            self.places_of(base_line["tax_ids"].ids),
            round(base_line["price_unit"], 6) + 0.0,
            round(base_line["manual_total_excluded_currency"] or 0, 6) + 0.0,
            [
                round(manual[tax_id]["tax_amount_currency"], 6) + 0.0
                for tax_id in sorted(manual, key=int)
            ],
        ]

    def total(self, base_lines, currency):
        """What an order with these lines costs, in units, by Odoo's own summary."""
        account_tax = self.env["account.tax"]
        account_tax._add_tax_details_in_base_lines(base_lines, self.company)
        account_tax._round_base_lines_tax_details(base_lines, self.company)
        summary = account_tax._get_tax_totals_summary(base_lines, currency, self.company)
        total = to_units(summary["total_amount_currency"], currency)
        parts = sum(to_units(total_of(base_line), currency) for base_line in base_lines)
        assert total == parts, (total, parts)
        return total

    def solve(self, basket, rate=1.0):
        """The answer to a basket: what is read, each outcome, the lines, and the order's total
        with the lines of the first redemption, of the first two, and so on."""
        read = self.read(basket, rate)
        outcomes = plan_discounts(read, basket["redemptions"], basket["units"])
        lines = {uuid: discount_base_lines(read, outcome) for uuid, outcome in outcomes.items()}
        currency = read.currency
        base_lines = [self.base_line(line, currency, rate) for line in basket["lines"]]
        totals = [self.total(base_lines, currency)]
        for made in lines.values():
            base_lines += [self.stored(base_line) for base_line in made]
            totals.append(self.total(base_lines, currency))
        return read, outcomes, lines, totals

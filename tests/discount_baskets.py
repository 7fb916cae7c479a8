"""Baskets for the tests of discounts, as plain data, and the shop that calculates them.

A basket is ``{"method", "decimals", "rate", "units", "lines", "redemptions"}``. A line has its
price in the currency's smallest unit (with taxes or without, as its taxes say), a quantity, a
discount in percent, one of ``TAX_SETS``, whether it is goods, its codes, and the set it is a part
of or None.
"""

import json
import random
from copy import copy
from dataclasses import dataclass

from ..models.pos_order_discount import (
    Basket,
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


class Tape:
    """Choices read from bytes: the same for the same bytes, and the simplest (the first, the
    smallest, no) where those are 0 or used up. So Hypothesis makes baskets simpler by making bytes
    smaller, and needs no time for each choice."""

    # As much as the largest basket takes, or nearly: what is beyond is simple.
    SIZE = 240

    def __init__(self, data):
        self._data = data
        self._place = 0

    def number(self, least, most):
        span = most - least + 1
        # Three bits more than it takes, so that no number comes up much more often than another.
        end = self._place + (span.bit_length() + 10) // 8
        value = int.from_bytes(self._data[self._place : end], "big")
        self._place = end
        return least + value % span

    def choice(self, options):
        return options[self.number(0, len(options) - 1)]

    def chance(self, percent):
        return self.number(1, 100) > 100 - percent

    def sample(self, options, count):
        rest = list(options)
        return tuple(rest.pop(self.number(0, len(rest) - 1)) for _ in range(count))


def random_basket(seed):
    """The same basket for the same seed, on any machine."""
    tape = Tape(random.Random(seed).randbytes(Tape.SIZE))
    return make_basket(tape, tape.choice(METHODS), tape.choice(DECIMALS))


def make_basket(tape, method, decimals):
    lines = [make_line(tape) for _ in range(tape.choice((1, 2, 3, 3, 4, 6)))]
    if tape.chance(20):
        lines += make_set(tape)
    return {
        "method": method,
        "decimals": decimals,
        # Of the company's currency; the till knows one only.
        "rate": tape.choice((1.0, 1.0, 1.37)),
        "units": tape.choice(("one", "all")),
        "lines": lines,
        "redemptions": [
            make_redemption(tape, i, decimals) for i in range(tape.choice((1, 1, 2, 2, 3, 4)))
        ],
    }


def make_line(tape):
    is_return = tape.chance(10)
    quantity = tape.choice(QUANTITIES)
    most = tape.choice((500, 500, 20_000, 20_000, 20_000, 20_000, 50_000_000))
    return {
        "price": tape.number(1, most),
        "quantity": -quantity if is_return else quantity,
        "discount": tape.choice(LINE_DISCOUNTS),
        "taxes": tape.choice(TAX_SETS),
        "goods": not is_return and not tape.chance(5),
        "codes": tape.sample(CODES, tape.number(0, 2)),
        "combo": None,
    }


def make_set(tape):
    quantity = tape.choice((1, 2, 3))
    combo = ("set", quantity, ("MENU",))
    return [
        {**make_line(tape), "quantity": quantity, "goods": True, "combo": combo}
        for _ in range(tape.number(1, 3))
    ]


def make_redemption(tape, number, decimals):
    is_points = tape.chance(25)

    def money(most):
        return f"{tape.number(1, most) / 10**decimals:.{decimals}f}"

    def make_discount():
        kind = "ABSOLUTE" if is_points else tape.choice(("ABSOLUTE", "PERCENTAGE", "FIXED"))
        is_for_order = is_points or tape.chance(50)
        return {
            "type": kind,
            "value": tape.choice(PERCENTAGES)
            if kind == "PERCENTAGE"
            else money(tape.choice((2_000, 2_000, 30_000))),
            "skus": () if is_for_order else tape.sample(CODES, tape.number(1, 2)),
        }

    return {
        "uuid": f"00000000-0000-4000-8000-{tape.number(0, 999):09d}{number:03d}",
        "kind": "points" if is_points else "voucher",
        "booking": "payment" if is_points and tape.chance(20) else "discount",
        "state": tape.choice(
            ("held", "held", "held", "held", "held", "spending", "refused", "unknown")
        ),
        "discounts": [make_discount() for _ in range(1 if is_points else tape.choice((1, 1, 2)))],
        "min_amount": money(5_000) if tape.chance(10) else None,
        "max_amount": money(50_000) if tape.chance(10) else None,
        "frozen_amount": money(1_000) if tape.chance(15) else None,
    }


@dataclass(frozen=True)
class Solution:
    """The server's answer to a basket: as it was read, each outcome, the lines of each as an order
    stores them, and what the order costs without them and with them."""

    basket: dict
    read: Basket
    outcomes: dict
    lines: dict
    totals: tuple


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

    def within(self, env):
        """The same shop in another transaction's environment."""
        shop = copy(self)
        shop.env = env
        shop.company = self.company.with_env(env)
        shop.currencies = {
            decimals: currency.with_env(env) for decimals, currency in self.currencies.items()
        }
        shop.taxes = [tax.with_env(env) for tax in self.taxes]
        return shop

    def taxes_of(self, places):
        return self.env["account.tax"].union(*(self.taxes[place] for place in places))

    def places_of(self, tax_ids):
        ids = [tax.id for tax in self.taxes]
        return sorted(ids.index(tax_id) for tax_id in tax_ids)

    def round_by(self, method):
        """The company rounds by this method from now on."""
        if self.company.tax_calculation_rounding_method != method:
            self.company.tax_calculation_rounding_method = method

    def base_line(self, line, currency, rate):
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
        """A discount's line: its taxes, price, base and taxes, as far as they can be the same in
        two languages."""
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
        # What a line comes to by itself is the same in every order.
        new = [base_line for base_line in base_lines if "tax_details" not in base_line]
        account_tax._add_tax_details_in_base_lines(new, self.company)
        account_tax._round_base_lines_tax_details(base_lines, self.company)
        summary = account_tax._get_tax_totals_summary(base_lines, currency, self.company)
        total = to_units(summary["total_amount_currency"], currency)
        parts = sum(to_units(total_of(base_line), currency) for base_line in base_lines)
        assert total == parts, (total, parts)
        return total

    def solve(self, basket):
        currency = self.currencies[basket["decimals"]]
        self.round_by(basket["method"])
        base_lines = [self.base_line(line, currency, basket["rate"]) for line in basket["lines"]]
        entries = [
            Entry(
                base_line=base_line,
                is_goods=line["goods"],
                codes=line["codes"],
                combo=line["combo"],
            )
            for line, base_line in zip(basket["lines"], base_lines, strict=True)
        ]
        read = read_basket(entries, self.company, currency)
        outcomes = plan_discounts(read, basket["redemptions"], basket["units"])
        lines = {
            uuid: [self.stored(base_line) for base_line in discount_base_lines(read, outcome)]
            for uuid, outcome in outcomes.items()
        }
        made = [base_line for stored in lines.values() for base_line in stored]
        total = self.total([*base_lines, *made], currency)
        return Solution(basket, read, outcomes, lines, (read.total, total))

    def for_the_till(self, solution):
        """A basket with what the till has to make of it."""
        return {
            **solution.basket,
            "outcomes": [
                [outcome.amount, outcome.reason, outcome.short]
                for outcome in solution.outcomes.values()
            ],
            "made": [self.describe(line) for made in solution.lines.values() for line in made],
            "totals": solution.totals,
        }


def write_for_hoot(shop, count):
    """The text of baskets.js: taxes, and baskets with what the server makes of them."""
    baskets = [shop.for_the_till(shop.solve(random_basket(seed))) for seed in range(count)]
    rows = ",\n".join(json.dumps(basket, separators=(",", ":")) for basket in baskets)
    # As text: a linter would take minutes to read this much as code.
    return (
        "// Written by tests/test_discounts.py: baskets, and what the server makes of them.\n"
        f"export const TAXES = JSON.parse(`{json.dumps(TAXES)}`);\n\n"
        f"export const BASKETS = JSON.parse(`[\n{rows}\n]`);\n"
    )

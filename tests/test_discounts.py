"""What a discount comes to, on thousands of baskets: the arithmetic with Odoo's own taxes."""

import os
import unittest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import tagged
from odoo.tools import file_open, file_path

from odoo.addons.point_of_sale.tests.common import CommonPosTest

from ..models.pos_order_discount import allocate, portion
from .discount_baskets import (
    CODES,
    DECIMALS,
    METHODS,
    PERCENTAGES,
    QUANTITIES,
    TAX_SETS,
    Shop,
    for_the_till,
)

# How many baskets are tried. LOYALTY_BASKETS=200000 bin/test tests/test_discounts.py takes a night.
BASKETS = int(os.environ.get("LOYALTY_BASKETS", "5000"))
# With LOYALTY_WRITE_BASKETS=1 the baskets of the till's tests are written anew.
WRITES = os.environ.get("LOYALTY_WRITE_BASKETS") == "1"
TILL_BASKETS = "pos_loyalty_engine/static/tests/unit/data/baskets.js"
GROUPS = len(METHODS) * len(DECIMALS)

MONEY = st.integers(min_value=1, max_value=30_000)
LINES = st.fixed_dictionaries(
    {
        "price": st.one_of(st.integers(1, 500), MONEY),
        "quantity": st.one_of(st.sampled_from(QUANTITIES), st.sampled_from((-1, -0.5, -2))),
        "discount": st.sampled_from((0, 0, 0, 10, 33.33, 100)),
        "taxes": st.sampled_from(TAX_SETS),
        "codes": st.lists(st.sampled_from(CODES), max_size=2, unique=True),
        "combo": st.one_of(st.none(), st.none(), st.just(("set", 2, ("MENU",)))),
    }
).map(lambda line: {**line, "goods": line["quantity"] > 0})


@st.composite
def discounts(draw, decimals):
    kind = draw(st.sampled_from(("ABSOLUTE", "PERCENTAGE", "FIXED")))
    value = (
        draw(st.sampled_from(PERCENTAGES))
        if kind == "PERCENTAGE"
        else f"{draw(MONEY) / 10**decimals:.{decimals}f}"
    )
    skus = draw(st.one_of(st.just([]), st.lists(st.sampled_from(CODES), max_size=2, unique=True)))
    return {"type": kind, "value": value, "skus": skus}


@st.composite
def baskets(draw, method, decimals):
    redemptions = [
        {
            "uuid": f"{number}",
            "kind": draw(st.sampled_from(("voucher", "voucher", "points"))),
            "booking": "discount",
            "state": "held",
            "discounts": draw(st.lists(discounts(decimals), min_size=1, max_size=2)),
        }
        for number in range(draw(st.integers(1, 3)))
    ]
    return {
        "method": method,
        "decimals": decimals,
        "units": draw(st.sampled_from(("one", "all"))),
        "lines": draw(st.lists(LINES, min_size=1, max_size=6)),
        "redemptions": redemptions,
    }


class TestWholeNumbers(unittest.TestCase):
    # How fast a busy machine makes up examples says nothing of what is tested.
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
    def test_nothing_is_lost_and_no_share_too_large(self, amount, weights):
        whole = sum(weights)
        shares = allocate(min(amount, whole), weights)
        self.assertEqual(sum(shares), min(amount, whole))
        for share, weight in zip(shares, weights, strict=True):
            self.assertTrue(0 <= share <= weight)

    def test_halves_go_up(self):
        self.assertEqual([portion(5, part, 10) for part in (0, 1, 2, 3)], [0, 1, 1, 2])


@tagged("post_install", "-at_install", "slow")
class TestDiscounts(CommonPosTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = Shop(cls.env)

    def check(self, basket, rate=1.0):
        """Whatever the basket: worth its amount to the unit, within the face value, above zero."""
        read, outcomes, lines, totals = self.shop.solve(basket, rate)
        self.assertEqual(totals[0], read.total)
        for before, after, outcome in zip(totals, totals[1:], outcomes.values(), strict=False):
            self.assertEqual(before - after, outcome.amount, "worth is the difference it makes")
        given_in_all = totals[0] - totals[-1]
        self.assertGreaterEqual(given_in_all, 0)
        self.assertLessEqual(given_in_all, max(0, read.room), "never below zero")
        for outcome in outcomes.values():
            self.assertEqual(sum(outcome.sets.values()), outcome.amount)
            self.assertEqual(len(lines[outcome.uuid]), len(outcome.sets))
            self.assertNotEqual(bool(outcome.amount), bool(outcome.reason))
        return read, outcomes

    def test_generated_baskets(self):
        for method in METHODS:
            for decimals in DECIMALS:
                with self.subTest(method=method, decimals=decimals):
                    self.generate(method, decimals)

    def generate(self, method, decimals):
        @settings(
            max_examples=-(-BASKETS // GROUPS),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(baskets(method, decimals), st.sampled_from((1.0, 1.0, 1.37)))
        def check(basket, rate):
            self.check(basket, rate)

        check()

    def test_the_till_is_tested_on_the_same_numbers(self):
        text = for_the_till(self.shop, 300)
        if WRITES:
            with open(file_path(TILL_BASKETS), "w") as target:
                target.write(text)
        with file_open(TILL_BASKETS) as source:
            self.assertEqual(source.read(), text)

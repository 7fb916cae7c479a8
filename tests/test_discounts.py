"""What a discount comes to, on thousands of baskets: the server's arithmetic with Odoo's own taxes,
the words of the discounts, and the till's arithmetic in a real browser, on the same baskets."""

import gc
import json
import os
import random
import unittest
from unittest.mock import patch

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from odoo.tests import HttpCase, tagged
from odoo.tools import file_open, file_path

from odoo.addons.point_of_sale.tests.common import CommonPosTest

from ..models.pos_order_discount import allocate, plan_discounts, portion, to_units, total_of
from .common import CASHIER, new_user
from .discount_baskets import (
    DECIMALS,
    METHODS,
    TAXES,
    Shop,
    Tape,
    make_basket,
    write_for_hoot,
)
from .face_value import cost_of, counted, frozen_units, goods_of, is_frozen, less, place_of, worth

# How many baskets are tried, by the server and by the till.
BASKETS = int(os.environ.get("LOYALTY_BASKETS", "5000"))
# The till is given so many at once.
PART = 150
# With LOYALTY_WRITE_BASKETS=1 the baskets of the till's unit tests are written anew.
WRITES = os.environ.get("LOYALTY_WRITE_BASKETS") == "1"
HOOT_BASKETS = "pos_loyalty_engine/static/tests/unit/data/baskets.js"
GROUPS = [(method, decimals) for method in METHODS for decimals in DECIMALS]
# Taxes and bases are rounded each by itself: by so many units a line may differ from fractions.
CRUMBS = 3


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
class TestDiscounts(CommonPosTest, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shop = Shop(cls.env)
        cls.cashier = new_user(cls, "le_baskets", CASHIER)

    # === Whatever the basket ===

    def check(self, solution):
        self.check_totals(solution)
        self.check_prices(solution)
        self.check_worth_alone(solution)
        self.check_worth_together(solution)

    def check_totals(self, solution):
        """Each redemption takes off its amount, to the unit; nothing is brought below zero."""
        read, outcomes = solution.read, solution.outcomes
        before, after = solution.totals
        given_in_all = sum(outcome.amount for outcome in outcomes.values())
        self.assertEqual(before - after, given_in_all, "worth is the difference it makes")
        self.assertLessEqual(given_in_all, max(0, read.room), "never below zero")
        for uuid, outcome in outcomes.items():
            made = solution.lines[uuid]
            self.assertEqual(
                sum(to_units(total_of(line), read.currency) for line in made), -outcome.amount
            )
            self.assertEqual(sum(outcome.sets.values()), outcome.amount)
            self.assertTrue(all(amount > 0 for amount in outcome.sets.values()))
            self.assertEqual(len(made), len(outcome.sets))

    def check_prices(self, solution):
        """What discounts are calculated on is what the goods cost, less their fixed taxes."""
        basket, read = solution.basket, solution.read
        costs = [cost_of(line, basket["decimals"]) for line in basket["lines"]]
        lefts = [
            max(0, cost - fixed)
            for line, (cost, fixed) in zip(basket["lines"], costs, strict=True)
            if line["goods"]
        ]
        for piece, left in zip(read.pieces, lefts, strict=True):
            # Odoo rounds the order as a whole, and distributes what is missing over its lines.
            self.assertAlmostEqual(piece.left, left, delta=CRUMBS * len(costs))
        room = sum(
            cost
            for line, (cost, _fixed) in zip(basket["lines"], costs, strict=True)
            if line["goods"] or cost < 0
        )
        self.assertAlmostEqual(read.room, room, delta=CRUMBS * len(costs))

    def check_worth_alone(self, solution):
        """Each discount by itself is worth what it says, within one smallest unit."""
        basket, read = solution.basket, solution.read
        goods = goods_of(basket, [piece.left for piece in read.pieces])
        for redemption in basket["redemptions"]:
            for discount in redemption["discounts"]:
                alone = {
                    "uuid": "alone",
                    "kind": redemption["kind"],
                    "booking": "discount",
                    "state": "held",
                    "discounts": [discount],
                }
                outcome = plan_discounts(read, [alone], basket["units"])["alone"]
                face = worth(discount, goods, basket["units"], basket["decimals"])
                self.assertAlmostEqual(
                    outcome.amount, min(face, max(0, read.room)), delta=1, msg=discount
                )
                self.assertNotEqual(bool(outcome.amount), bool(outcome.reason))

    def check_worth_together(self, solution):
        """Each redemption is worth what it says of what the ones before it have left."""
        basket, read, outcomes = solution.basket, solution.read, solution.outcomes
        decimals = basket["decimals"]
        redemptions = counted(basket["redemptions"], read.room, decimals)
        for redemption in basket["redemptions"]:
            if redemption not in redemptions:
                self.assertEqual(outcomes[redemption["uuid"]].amount, 0)
        if any(len(redemption["discounts"]) > 1 for redemption in redemptions):
            # Both are told as one amount.
            return
        goods = goods_of(basket, [piece.left for piece in read.pieces])
        left = sum(piece.left for piece in goods)
        queue = sorted(redemptions, key=place_of)
        taken = 0
        for i, redemption in enumerate(queue):
            (discount,) = redemption["discounts"]
            units = basket["units"]
            if is_frozen(redemption):
                discount = {
                    **discount,
                    "type": "ABSOLUTE",
                    "value": redemption["frozen_amount"],
                }
                units = "all"
            kept_free = sum(
                frozen_units(later, decimals)
                for later in queue[i + 1 :]
                if is_frozen(later) and not is_frozen(redemption)
            )
            limit = max(0, read.room - taken - kept_free)
            amount = outcomes[redemption["uuid"]].amount
            if discount["skus"] and i:
                # Which of these goods the ones before were on is not told: not more than alone.
                # (A selling price of half a kilo may take more off than that of a dearer whole.)
                is_price_of_one = units == "one" and discount["type"] == "FIXED"
                face = limit if is_price_of_one else worth(discount, goods, units, decimals)
                self.assertLessEqual(amount, min(face, limit) + 1)
            else:
                face = worth(discount, less(goods, taken), units, decimals)
                self.assertAlmostEqual(amount, min(face, limit), delta=1, msg=redemption)
            taken += amount
            self.assertLessEqual(taken, left)

    # === Thousands of baskets ===

    def generate(self, shop, method, decimals, start, count):
        """Make up baskets, solve and check them: a list of what the till has to come to."""
        solved = []
        # The same ones each time, others in each part; any where somebody looks for more.
        is_looking = "LOYALTY_BASKETS" in os.environ
        origin = random.getrandbits(64) if is_looking else f"{method} {decimals} {start}"

        @seed(origin)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.binary(min_size=Tape.SIZE, max_size=Tape.SIZE).map(
                lambda data: make_basket(Tape(data), method, decimals)
            )
        )
        def check(basket):
            self.made_up.add(json.dumps(basket, default=str))
            solution = shop.solve(basket)
            self.check(solution)
            solved.append(shop.for_the_till(solution))

        # Looking for garbage takes a sixth of the time.
        gc.disable()
        try:
            check()
        finally:
            gc.enable()
        return solved

    def test_generated_baskets(self):
        """The till's own code, in its own page, comes to the same as the server on each basket. It
        asks for some, and calculates while the server goes on to the next."""
        share = -(-BASKETS // len(GROUPS))
        parts = iter(
            [
                (*group, start, min(PART, share - start))
                for group in GROUPS
                for start in range(0, share, PART)
            ]
        )
        failures = []
        self.made_up = set()
        # What is there before is no garbage. Hypothesis looks for some at the start of each part.
        gc.freeze()
        self.addCleanup(gc.unfreeze)

        def next_baskets(session):
            part = next(parts, None)
            try:
                return part and self.generate(self.shop.within(session.sudo().env), *part)
            except BaseException as failure:
                failures.append(failure)
                raise

        # A method that can be called from outside for as long as this test runs.
        self.enterContext(
            patch.object(
                self.registry["pos.session"],
                "loyalty_engine_next_baskets",
                next_baskets,
                create=True,
            )
        )
        modules = "odoo.loader.modules"
        bundle = "pos_loyalty_engine.assets_test_baskets"
        helper = "@pos_loyalty_engine/../tests/generic_helpers/basket_util"
        try:
            self.browser_js(
                f"/pos/ui/{self.pos_config_usd.id}",
                f"{modules}.get('@web/core/assets').loadBundle('{bundle}').then("
                f"() => {modules}.get('{helper}').compareAll({json.dumps(TAXES)}))",
                f"{modules}.has('@pos_loyalty_engine/app/utils/loyalty_discounts')",
                login=self.cashier.login,
                timeout=max(600, BASKETS / 10),
                success_signal=f"{share * len(GROUPS)} baskets are the same",
            )
        finally:
            if failures:
                raise failures[0]
        self.assertGreater(len(self.made_up), 0.9 * share * len(GROUPS), "hardly one comes twice")

    def test_the_till_is_tested_on_the_same_numbers(self):
        text = write_for_hoot(self.shop, 300)
        if WRITES:
            with open(file_path(HOOT_BASKETS), "w") as target:
                target.write(text)
        with file_open(HOOT_BASKETS) as source:
            self.assertEqual(source.read(), text)

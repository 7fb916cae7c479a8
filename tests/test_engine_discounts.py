"""What a discount object means, and everything that must not be taken for one."""

from __future__ import annotations

import json
import unittest
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..engine import (
    ABSOLUTE,
    FIXED,
    PERCENTAGE,
    Discount,
    DiscountUnreadable,
    answers,
    read_discounts,
)

VENUE = "5a4db0c5-0000-4000-8000-000000000701"


def read(entry: dict[str, Any], decimals: int = 2) -> Discount:
    # As it comes: fractions are Decimal, never float.
    (discount,) = read_discounts(answers.parse_json(json.dumps([entry]).encode()), decimals)
    return discount


class TestRead(unittest.TestCase):
    def test_worth(self) -> None:
        for kind, value, decimals, worth in (
            ("ABSOLUTE", 500, 2, "5.00"),  # D-DISC: "$5" is 500
            ("ABSOLUTE", 500, 0, "500"),  # JPY has no smaller unit (I)
            ("ABSOLUTE", 500, 3, "0.500"),  # KWD has three decimals (I)
            ("ABSOLUTE", 500.0, 2, "5.00"),  # C-SPEC: any number
            ("ABSOLUTE", 1, 2, "0.01"),
            ("ABSOLUTE", 10_000_000, 2, "100000.00"),  # C-SPEC's limit of prices and values
            ("PERCENTAGE", 50, 2, "50"),  # D-DISC: 50 is 50 %
            ("PERCENTAGE", 100, 2, "100"),
            ("PERCENTAGE", 12.5, 0, "12.5"),
            ("FIXED", 199, 2, "1.99"),  # D-DISC: "price override"; the unit is (I)
            ("FIXED", 0, 2, "0.00"),  # a gift
        ):
            with self.subTest(kind=kind, value=value, decimals=decimals):
                discount = read({"type": kind, "value": value}, decimals)
                self.assertEqual((discount.type, str(discount.value)), (kind, worth))
                self.assertEqual((discount.skus, discount.venues), ((), ()))

    def test_products(self) -> None:
        for entry, skus in (
            ({"sku": None, "productSku": None}, ()),  # C-SPEC: both may be left out
            ({"sku": ""}, ()),
            ({"sku": "TEA-1"}, ("TEA-1",)),  # D-VOU
            ({"sku": "TEA-1,TEA-2"}, ("TEA-1", "TEA-2")),  # D-DISC: a comma is recommended
            ({"sku": " TEA 1 , tea-2,,TEA 1"}, ("TEA 1", "tea-2")),
            ({"productSku": "TEA-1"}, ("TEA-1",)),  # C-SPEC; the meaning is (I)
            ({"sku": "TEA-1", "productSku": "TEA-1"}, ("TEA-1",)),
        ):
            with self.subTest(entry=entry):
                self.assertEqual(read({"type": "PERCENTAGE", "value": 5, **entry}).skus, skus)

    def test_venues(self) -> None:
        for venues, names in (
            (None, ()),
            ([], ()),
            ([{"id": VENUE}], (VENUE,)),  # C-SPEC DiscountDefinition.venues
            ([{"id": VENUE, "externalIdentifier": "372"}], (VENUE, "372")),  # D-VENUE
            ([VENUE, {"externalIdentifier": "372"}], (VENUE, "372")),  # (I)
        ):
            with self.subTest(venues=venues):
                entry = {"type": "ABSOLUTE", "value": 1, "venues": venues}
                self.assertEqual(read(entry).venues, names)

    def test_several(self) -> None:
        # D-DISC: one or more for a reward
        entries = [{"type": "ABSOLUTE", "value": 1}, {"type": "PERCENTAGE", "value": 2}]
        self.assertEqual([each.type for each in read_discounts(entries, 2)], [ABSOLUTE, PERCENTAGE])
        self.assertEqual(read_discounts([], 2), ())

    def test_unreadable(self) -> None:
        good = {"type": "ABSOLUTE", "value": 500, "sku": "A", "venues": [{"id": VENUE}]}
        self.assertTrue(read(good))
        for change in (
            {"type": "BOGOF"},
            {"type": "absolute"},
            {"type": None},
            {"type": ["ABSOLUTE"]},
            {"value": None},
            {"value": "500"},
            {"value": True},
            {"value": 0},
            {"value": -500},
            {"value": 4.5},
            {"value": 10_000_001},
            {"value": 10**40},
            {"type": "PERCENTAGE", "value": 0},
            {"type": "PERCENTAGE", "value": 100.01},
            {"type": "PERCENTAGE", "value": 1e-7},
            {"type": "FIXED", "value": -1},
            {"sku": ","},
            {"sku": "  "},
            {"sku": 17},
            {"sku": ["A"]},
            {"sku": "A" * 257},
            {"sku": ",".join(map(str, range(1001)))},
            {"productSku": "B"},
            {"venues": {}},
            {"venues": VENUE},
            {"venues": [{}]},
            {"venues": [{"id": VENUE}, None]},
            {"venues": [{"id": ""}]},
        ):
            with self.subTest(change=str(change)[:60]):
                with self.assertRaises(DiscountUnreadable) as caught:
                    read({**good, **change})
                self.assertRegex(str(caught.exception), r"^[A-Z][^\n]+\.$", "words for a cashier")
                # One that can't be read spoils the reward, not only itself.
                with self.assertRaises(DiscountUnreadable):
                    read_discounts([good, {**good, **change}], 2)
        # A new kind may be all different: its name is what a person must be told.
        with self.assertRaisesRegex(DiscountUnreadable, "kind"):
            read({"type": "BOGOF", "value": {"buy": 1}})
        for data in (None, {}, "ABSOLUTE", 5, [None], [[]], [good] * 51):
            with self.subTest(data=str(data)[:30]), self.assertRaises(DiscountUnreadable):
                read_discounts(data, 2)


class TestStored(unittest.TestCase):
    def test_refused(self) -> None:
        good = Discount(FIXED, Decimal("1.00"), ("A",), (VENUE,)).to_json()
        self.assertEqual(Discount.from_json(good).to_json(), good)
        for change in (
            {"type": "BOGOF"},
            {"value": 1},
            {"value": "one"},
            {"value": "NaN"},
            {"value": "-1"},
            {"value": "1e400"},
            {"value": "1e-400"},
            {"skus": "A"},
            {"skus": [1]},
            {"venues": None},
            {"more": 1},
        ):
            with self.subTest(change=change), self.assertRaises(DiscountUnreadable):
                Discount.from_json({**good, **change})
        for data in (None, [], {}, "A"):
            with self.subTest(data=data), self.assertRaises(DiscountUnreadable):
                Discount.from_json(data)


#: Whatever JSON can hold, with the names and words that mean something oftener than by chance.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("", ",", "A", "A,B", "ABSOLUTE", "PERCENTAGE", "FIXED", VENUE))
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("id", "externalIdentifier")), inner)
    ),
    max_leaves=5,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(("ABSOLUTE", "PERCENTAGE", "FIXED")) | ANYTHING},
        optional={
            name: st.integers(-2, 200) | ANYTHING if name == "value" else ANYTHING
            for name in ("value", "sku", "productSku", "venues")
        },
    )
    | ANYTHING,
    max_size=3,
)


class TestProperties(unittest.TestCase):
    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(ENTRIES, st.sampled_from((0, 2, 3)))
    def test_read_rightly_or_refused(self, data: list[Any], decimals: int) -> None:
        try:
            discounts = read_discounts(data, decimals)
        except DiscountUnreadable:
            return
        self.assertEqual(len(discounts), len(data))
        for entry, discount in zip(data, discounts, strict=True):
            self.assertEqual(discount.type, entry["type"])
            self.assertGreaterEqual(discount.value, 0)
            if discount.type == PERCENTAGE:
                self.assertTrue(0 < discount.value <= 100)
                self.assertEqual(discount.value, entry["value"])
            else:
                # Back in the smallest unit it is what was told, to the last digit.
                self.assertEqual(discount.value * 10**decimals, entry["value"])
            # What limits it is still there.
            self.assertEqual(bool(discount.skus), bool(entry.get("sku") or entry.get("productSku")))
            self.assertEqual(bool(discount.venues), bool(entry.get("venues")))
            stored = json.loads(json.dumps(discount.to_json()))
            self.assertEqual(Discount.from_json(stored), discount)

"""What a discount object means: plain numbers, and no opinion on baskets.

The engine "does not enforce how these fields are used" (D-DISC), so that reading them is money.
What can't be read beyond doubt is refused as a whole: half of a reward's discounts would be another
reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from .answers import read_number, read_venues
from .errors import EngineAnswerUnreadable

#: Money off, once: its value is in the currency's smallest unit at the engine (D-DISC).
ABSOLUTE = "ABSOLUTE"
#: Percent off, 50 for half (D-DISC).
PERCENTAGE = "PERCENTAGE"
#: Sold at this price: "a discount or price override" (D-DISC), in the smallest unit (I).
FIXED = "FIXED"

#: All types there are (C-SPEC `DiscountDefinition.type`).
TYPES = (ABSOLUTE, PERCENTAGE, FIXED)

#: Largest value that is believed (C-SPEC: 10,000,000 for prices and values of rewards).
_MOST = Decimal(10_000_000)
#: No currency has more, and no percentage that a person wrote.
_MOST_DECIMALS = 6
#: Most discounts of one reward, products of one discount, and characters of one product.
_MOST_DISCOUNTS = 50
_MOST_SKUS = 1000
_LONGEST_SKU = 256


class DiscountUnreadable(ValueError):
    """The worth of a voucher can't be read beyond doubt; the text says why, for the cashier."""


@dataclass(frozen=True)
class Discount:
    """One discount of a reward. Money is in currency units, never in the smallest unit.

    Makes no impossible one: raises DiscountUnreadable.
    """

    #: One of `TYPES`.
    type: str
    #: ABSOLUTE: money taken off, once. FIXED: the price it is sold at. PERCENTAGE: above 0 to 100.
    value: Decimal
    #: Which products; () is the whole order. One alone may be a code of a category (D-DISC).
    skus: tuple[str, ...] = ()
    #: Where it may be given, ids and external identifiers alike; () is anywhere.
    venues: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise DiscountUnreadable("This kind of discount is not known here.")
        # 0 is no discount, but a fixed price of 0 is a gift.
        if not self.value.is_finite() or self.value < 0 or (not self.value and self.type != FIXED):
            raise DiscountUnreadable("The discount's value is not above 0.")
        if self.type == PERCENTAGE and self.value > 100:
            raise DiscountUnreadable("The discount is more than 100 %.")
        if self.value > _MOST or self.value != round(self.value, _MOST_DECIMALS):
            raise DiscountUnreadable("The discount's value has more digits than can be true.")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, the number as text."""
        return {
            "type": self.type,
            "value": format(self.value, "f"),
            "skus": list(self.skus),
            "venues": list(self.venues),
        }

    @classmethod
    def from_json(cls, data: Any) -> Discount:
        """Return the discount that `to_json` gave; DiscountUnreadable for anything else."""
        try:
            if data.keys() != {"type", "value", "skus", "venues"} or type(data["value"]) is not str:
                raise TypeError
            value = Decimal(data["value"])
            skus, venues = (_texts(data[name]) for name in ("skus", "venues"))
        except (AttributeError, TypeError, InvalidOperation):
            raise DiscountUnreadable("A stored discount can't be read.") from None
        return cls(data["type"], value, skus, venues)


def read_discounts(data: Any, decimals: int) -> tuple[Discount, ...]:
    """Return what the engine's list of discount objects means (C-SPEC `DiscountDefinition`).

    `decimals` are those of the currency: 2 for EUR, 0 for JPY, 3 for KWD. An empty list is a
    voucher that takes nothing off by itself, such as a gift handed over. Raises DiscountUnreadable
    where one of them is not certain.
    """
    if not isinstance(data, list):
        raise DiscountUnreadable("The voucher's discounts are not told.")
    if len(data) > _MOST_DISCOUNTS:
        raise DiscountUnreadable("The voucher has more discounts than can be true.")
    return tuple(_read(entry, decimals) for entry in data)


def _read(entry: Any, decimals: int) -> Discount:
    if not isinstance(entry, dict):
        raise DiscountUnreadable("The discount is not an object.")
    kind, value = entry.get("type"), read_number(entry.get("value"))
    if kind not in TYPES:
        # Before anything else is complained of: it may be new, and all of it different.
        raise DiscountUnreadable("This kind of discount is not known here.")
    if value is None:
        raise DiscountUnreadable("The discount's value is not a number.")
    try:
        venues = read_venues(entry.get("venues"))
    except EngineAnswerUnreadable:
        raise DiscountUnreadable("The discount's venues can't be read.") from None
    return Discount(
        type=kind,
        value=value if kind == PERCENTAGE else _money(value, decimals),
        skus=_read_skus(entry.get("sku"), entry.get("productSku")),
        venues=venues,
    )


def _money(minor: Decimal, decimals: int) -> Decimal:
    """Return currency units of an amount in the smallest unit, with all their decimals."""
    if minor != minor.to_integral_value():
        raise DiscountUnreadable("The discount's value is not in the currency's smallest unit.")
    if minor > _MOST:
        raise DiscountUnreadable("The discount's value has more digits than can be true.")
    return Decimal(int(minor)).scaleb(-decimals)


def _read_skus(sku: Any, product_sku: Any) -> tuple[str, ...]:
    """Read `sku`, in which several are best separated by commas (D-DISC).

    `productSku` has no published meaning (C-SPEC only names it). It is taken where there is no
    `sku` (I); two that differ are none.
    """
    found = {_split(text) for text in (sku, product_sku) if text not in (None, "")}
    if len(found) > 1:
        raise DiscountUnreadable("The discount names products in two ways that differ.")
    return found.pop() if found else ()


def _split(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str):
        raise DiscountUnreadable("The discount's products are not a text.")
    skus = dict.fromkeys(name.strip() for name in text.split(","))
    # A comma too many is a slip; but a list of nothing else is not the whole order.
    skus.pop("", None)
    if not 0 < len(skus) <= _MOST_SKUS or max(map(len, skus)) > _LONGEST_SKU:
        raise DiscountUnreadable("The discount's products can't be read.")
    return tuple(skus)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(type(value) is str for value in values):
        raise TypeError
    return tuple(values)

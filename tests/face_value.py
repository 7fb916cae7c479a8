"""What discounts are worth by their words, in fractions: independent of both calculations, and of
Odoo's taxes. For the tests of discounts; see docs/discounts.md for the words."""

from dataclasses import dataclass
from fractions import Fraction

from .discount_baskets import TAXES

COUNTING = ("held", "spending", "spent", "settled")


def fraction(number):
    return Fraction(str(number))


# === What goods cost ===


def cost_of(line, decimals):
    """A line with its taxes, and its fixed taxes alone, in the currency's smallest unit."""
    quantity = fraction(line["quantity"])
    net = quantity * line["price"] * (1 - fraction(line["discount"]) / 100)
    fixed = fixed_included = Fraction(0)
    rate = extra = Fraction(0)
    for place in line["taxes"]:
        for tax in (TAXES[child] for child in TAXES[place].get("children", (place,))):
            amount = fraction(tax["amount"])
            if tax["amount_type"] == "fixed":
                fixed += amount * quantity * 10**decimals
                if tax["price_include"]:
                    fixed_included += amount * quantity * 10**decimals
            elif tax["price_include"]:
                continue
            elif tax.get("include_base_amount"):
                # It comes first, and the others are on what it makes of the price.
                extra = amount / 100
            else:
                rate += amount / 100
    return net * (1 + extra) * (1 + rate) + fixed - fixed_included, fixed


# === What a discount is worth ===


@dataclass(frozen=True)
class Goods:
    quantity: Fraction
    codes: frozenset
    combo: tuple | None
    left: int


def goods_of(basket, lefts):
    goods = [line for line in basket["lines"] if line["goods"]]
    return [
        Goods(fraction(line["quantity"]), frozenset(line["codes"]), line["combo"], left)
        for line, left in zip(goods, lefts, strict=True)
    ]


def less(goods, taken):
    """Goods that ``taken`` has been taken off, on whichever of them."""
    return [*goods, Goods(Fraction(1), frozenset(), None, -taken)]


def articles_of(goods, skus):
    """Quantity and price of each article that one of ``skus`` stands for: a line, or a set."""
    articles = []
    sets = {}
    for piece in goods:
        if piece.codes.intersection(skus):
            articles.append((piece.quantity, piece.left))
        elif piece.combo and set(piece.combo[2]).intersection(skus):
            key, quantity, _codes = piece.combo
            sets[key] = (Fraction(quantity), sets.get(key, (0, 0))[1] + piece.left)
    return [*articles, *sets.values()]


def worth(discount, goods, units, decimals):
    """What a discount is worth on goods that nothing else is on."""
    left = Fraction(sum(piece.left for piece in goods))
    value = fraction(discount["value"])
    money = value * 10**decimals
    articles = [(Fraction(1), left)]
    if discount["skus"]:
        articles = articles_of(goods, discount["skus"])
        if units == "one" and articles:
            # One unit of the dearest, or what there is of it.
            articles = [
                max(
                    ((min(1, quantity), left / max(1, quantity)) for quantity, left in articles),
                    key=lambda article: article[1],
                )
            ]
        left = Fraction(sum(left for _quantity, left in articles))
    if discount["type"] == "PERCENTAGE":
        return left * value / 100
    if discount["type"] == "ABSOLUTE":
        return min(money, left)
    # A price has no parts of the smallest unit: that of 0.333 kg is rounded like any other.
    return sum(
        max(Fraction(0), left - int(money * quantity + Fraction(1, 2)))
        for quantity, left in articles
    )


# === One after the other ===


def is_frozen(redemption):
    return bool(redemption["frozen_amount"])


def frozen_units(redemption, decimals):
    return fraction(redemption["frozen_amount"]) * 10**decimals


def fits(redemption, room, decimals):
    """Whether the basket is neither too small nor too large; what is spent fits always."""
    least, most = redemption["min_amount"], redemption["max_amount"]
    return is_frozen(redemption) or (
        (not least or room >= fraction(least) * 10**decimals)
        and (not most or room <= fraction(most) * 10**decimals)
    )


def counted(redemptions, room, decimals):
    return [
        redemption
        for redemption in redemptions
        if redemption["booking"] == "discount"
        and redemption["state"] in COUNTING
        and fits(redemption, room, decimals)
    ]


def place_of(redemption):
    """Where a redemption of one discount comes in the order of calculation."""
    (discount,) = redemption["discounts"]
    stage = 2 if redemption["kind"] == "points" else 0 if discount["skus"] else 1
    kinds = ("FIXED", "PERCENTAGE", "ABSOLUTE")
    kind = 2 if is_frozen(redemption) else kinds.index(discount["type"])
    return stage, not is_frozen(redemption), kind, redemption["uuid"]

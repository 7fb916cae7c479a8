"""What vouchers and points are worth on an order: the server's own calculation.

The same as static/src/app/utils/loyalty_discounts.js, where the till calculates and the order of
calculation is explained. A change of one is a change of both; the baskets in
static/tests/unit/data/baskets.js hold them together. Nothing here writes: what a till claims is
compared, never corrected.

Amounts are whole numbers of the currency's smallest unit ("units"), with taxes.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import accumulate

from odoo import models

# The states in which a redemption takes something off the order.
COUNTING_STATES = ("held", "spending", "spent", "settled")
TYPES = ("FIXED", "PERCENTAGE", "ABSOLUTE")
MILLION = 1_000_000


# === Whole numbers ===


def portion(amount, part, whole):
    """``amount * part / whole``, rounded half up; whole numbers, none of them negative."""
    return (2 * amount * part + whole) // (2 * whole)


def allocate(amount, weights):
    """``amount`` in whole parts, in proportion to ``weights``."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    reached = [portion(amount, total, whole) for total in accumulate(weights)]
    return [share - before for share, before in zip(reached, [0, *reached], strict=False)]


def millionths(number):
    return math.floor(number * MILLION + 0.5)


def to_units(amount, currency):
    """An amount of money, a number or its text, in units of the currency."""
    return math.floor(float(amount) / currency.rounding + 0.5)


def to_money(units, currency):
    """Units as an exact amount of money."""
    return Decimal(f"{units * currency.rounding:.{currency.decimal_places}f}")


# === The basket ===


@dataclass(frozen=True)
class Entry:
    """A line of an order that is no discount of ours."""

    base_line: dict
    is_goods: bool
    codes: tuple = ()
    # The set it is a part of: (key, quantity, codes)
    combo: tuple | None = None


@dataclass
class Piece:
    """Goods that discounts are taken off: a line, or what a voucher for one unit left of it."""

    base_line: dict
    taxes: models.BaseModel
    codes: tuple
    combo: tuple | None
    quantity: float
    left: int
    is_used: bool = False

    @property
    def tax_key(self):
        return key_of_taxes(self.taxes)


@dataclass(frozen=True)
class Article:
    """What is sold under one code: a line, or a set with its parts. ``quantities`` is that of each
    piece: parts of a set have the same, unless a voucher was on one of them by itself."""

    pieces: list
    quantities: list

    @property
    def quantity(self):
        return max(self.quantities)

    @property
    def left(self):
        return sum(piece.left for piece in self.pieces)

    @property
    def left_of_one(self):
        return sum(
            piece.left / max(quantity, 1)
            for piece, quantity in zip(self.pieces, self.quantities, strict=True)
        )


@dataclass(frozen=True)
class Basket:
    company: models.BaseModel
    currency: models.BaseModel
    total: int
    room: int
    pieces: list


@dataclass(frozen=True)
class Step:
    redemption: dict
    type: str
    value: str
    skus: tuple

    @property
    def is_frozen(self):
        return _is_frozen(self.redemption)

    def is_for_one(self, units):
        return bool(self.skus) and units == "one" and not self.is_frozen

    @property
    def rank(self):
        stage = 3 if self.redemption["kind"] == "points" else 1 if self.skus else 2
        return stage, not self.is_frozen, TYPES.index(self.type), self.redemption["uuid"]


@dataclass
class Outcome:
    """What a redemption comes to. ``reason``: why that is nothing, ``short``: what was spent and
    the basket can't carry, ``sets``: key of the taxes to amount."""

    uuid: str
    amount: int = 0
    reason: str = ""
    short: int = 0
    sets: dict = field(default_factory=lambda: defaultdict(int))


def key_of_taxes(taxes):
    return tuple(sorted(taxes.ids))


def base_of(base_line):
    """A rounded base line without taxes, with the cents that Odoo distributes over an order."""
    details = base_line["tax_details"]
    return details["total_excluded_currency"] + details["delta_total_excluded_currency"]


def total_of(base_line):
    """A rounded base line with taxes: what it costs."""
    taxes_data = base_line["tax_details"]["taxes_data"]
    return sum((data["tax_amount_currency"] for data in taxes_data), base_of(base_line))


def read_basket(entries, company, currency):
    """What :func:`plan_discounts` works on."""
    account_tax = company.env["account.tax"]
    base_lines = [entry.base_line for entry in entries]
    account_tax._add_tax_details_in_base_lines(base_lines, company)
    account_tax._round_base_lines_tax_details(base_lines, company)
    goods = [entry for entry in entries if entry.is_goods]
    # Lines of other origin may carry a key that would keep them apart.
    plain = [{**entry.base_line, "computation_key": None} for entry in goods]
    # Fixed taxes (deposits, recycling fees) are never discounted.
    discountable = account_tax._prepare_discountable_base_lines(plain, company)
    totals = [to_units(total_of(base_line), currency) for base_line in base_lines]
    return Basket(
        company=company,
        currency=currency,
        total=sum(totals),
        # Goods, less returns and other discounts: no order is brought below zero.
        room=sum(
            total
            for entry, total in zip(entries, totals, strict=True)
            if entry.is_goods or total < 0
        ),
        pieces=[
            Piece(
                base_line=base_line,
                taxes=rest["tax_ids"],
                codes=entry.codes,
                combo=entry.combo,
                quantity=base_line["quantity"],
                left=max(0, to_units(total_of(rest), currency)),
            )
            for entry, base_line, rest in zip(goods, plain, discountable, strict=True)
        ],
    )


def _find_articles(pieces, codes):
    """What is sold under one of ``codes``; without codes, every piece."""
    wanted = set(codes)
    articles = {}
    for i, piece in enumerate(pieces):
        if not wanted or wanted.intersection(piece.codes):
            articles[i] = Article([piece], [piece.quantity])
        elif piece.combo and wanted.intersection(piece.combo[2]):
            key, quantity, _codes = piece.combo
            article = articles.setdefault((key, piece.is_used), Article([], []))
            article.pieces.append(piece)
            article.quantities.append(quantity)
    return list(articles.values())


def _cut_one_unit(pieces, articles):
    """One unit of the dearest article that no voucher has been used on, cut out of it."""
    if not articles:
        return []
    article = min(articles, key=lambda article: (article.pieces[0].is_used, -article.left_of_one))
    alike = defaultdict(list)
    for piece, quantity in zip(article.pieces, article.quantities, strict=True):
        alike[quantity].append(piece)
    cut = [
        unit for quantity, group in alike.items() for unit in _cut_group(pieces, group, quantity)
    ]
    return [Article(cut, [min(1, article.quantity)])]


def _cut_group(pieces, group, quantity):
    """One unit of pieces that are sold ``quantity`` times, or what there is of it."""
    if quantity <= 1:
        return group
    # A third of a million is not 333333: by the quantities, and once for all of them.
    lefts = [piece.left for piece in group]
    shares = allocate(portion(sum(lefts), MILLION, millionths(quantity)), lefts)
    return [
        _cut_piece(pieces, piece, 1 / quantity, left)
        for piece, left in zip(group, shares, strict=True)
    ]


def _cut_piece(pieces, piece, share, left):
    """Take ``share`` of a piece (more than 0, less than 1), which is worth ``left``; the rest stays
    as a piece of its own."""

    def scale(factor, left):
        combo = piece.combo and (piece.combo[0], piece.combo[1] * factor, piece.combo[2])
        return replace(piece, quantity=piece.quantity * factor, combo=combo, left=left)

    unit = scale(share, left)
    place = next(i for i, candidate in enumerate(pieces) if candidate is piece)
    pieces[place : place + 1] = [unit, scale(1 - share, piece.left - left)]
    return unit


# === The plan ===


def _is_given(text):
    return text not in (None, "", False)


def _is_frozen(redemption):
    """Whether the engine has been told the amount: it is spent, and no basket changes it."""
    return _is_given(redemption.get("frozen_amount"))


def _counts(redemption):
    """Whether a redemption takes something off the order."""
    return redemption["booking"] != "payment" and redemption["state"] in COUNTING_STATES


def _steps_of(redemption):
    """The discounts of a redemption; what is spent is one amount, whatever it came from."""
    discounts = redemption.get("discounts") or []
    if not _is_frozen(redemption):
        return [
            Step(redemption, discount["type"], discount["value"], tuple(discount["skus"]))
            for discount in discounts
        ]
    skus = (
        tuple(sku for discount in discounts for sku in discount["skus"])
        if all(discount["skus"] for discount in discounts)
        else ()
    )
    return [Step(redemption, "ABSOLUTE", redemption["frozen_amount"], skus)]


def _offs_of(step, articles, currency):
    """How much a step takes off each piece, before the limits of the order."""
    if step.type == "FIXED":
        offs = []
        for article in articles:
            price = portion(to_units(step.value, currency), millionths(article.quantity), MILLION)
            offs += allocate(max(0, article.left - price), [piece.left for piece in article.pieces])
        return offs
    lefts = [piece.left for article in articles for piece in article.pieces]
    if step.type == "PERCENTAGE":
        amount = portion(sum(lefts), millionths(float(step.value)), 100 * MILLION)
    else:
        amount = to_units(step.value, currency)
    return allocate(min(amount, sum(lefts)), lefts)


def _articles_of(step, pieces, units):
    """The articles that a step is for; a selling price for the order is one for all of it."""
    articles = _find_articles(pieces, step.skus)
    if not step.skus:
        return [Article(list(pieces), [1])] if step.type == "FIXED" and articles else articles
    return _cut_one_unit(pieces, articles) if step.is_for_one(units) else articles


def _limit_reason(redemption, basket):
    least, most = redemption.get("min_amount"), redemption.get("max_amount")
    if _is_given(least) and basket.room < to_units(least, basket.currency):
        return "too_small"
    if _is_given(most) and basket.room > to_units(most, basket.currency):
        return "too_large"
    return ""


def _empty_reason(step, articles):
    """Why a step takes nothing off."""
    if not articles and step.skus:
        return "missing"
    return (
        "cheaper"
        if step.type == "FIXED" and any(article.left for article in articles)
        else "nothing_left"
    )


def plan_discounts(basket, redemptions, units):
    """What each redemption takes off the basket, which stays as it is.

    :param redemptions: dictionaries as the till knows them
    :param units: ``"one"`` or ``"all"``: whether a discount on SKUs is on one unit or on all
    :return: an :class:`Outcome` for each uuid
    """
    pieces = [replace(piece) for piece in basket.pieces]
    outcomes = {
        redemption["uuid"]: Outcome(
            redemption["uuid"],
            reason="" if _is_frozen(redemption) else _limit_reason(redemption, basket),
        )
        for redemption in redemptions
    }
    steps = sorted(
        (
            step
            for redemption in redemptions
            if _counts(redemption) and not outcomes[redemption["uuid"]].reason
            for step in _steps_of(redemption)
        ),
        key=lambda step: step.rank,
    )
    room = basket.room
    for i, step in enumerate(steps):
        outcome = outcomes[step.redemption["uuid"]]
        uncut = list(pieces)
        articles = _articles_of(step, pieces, units)
        targets = [piece for article in articles for piece in article.pieces]
        offs = _offs_of(step, articles, basket.currency)
        # What is spent comes before what may still change, wherever it stands.
        reserved = (
            0
            if step.is_frozen
            else sum(
                to_units(later.value, basket.currency)
                for later in steps[i + 1 :]
                if later.is_frozen
            )
        )
        off = min(sum(offs), max(0, room - reserved))
        for piece, share in zip(targets, allocate(off, offs), strict=True):
            piece.left -= share
            if share:
                outcome.sets[piece.tax_key] += share
        if not off:
            # It is on nothing, and leaves the unit to the next.
            pieces[:] = uncut
        elif step.is_for_one(units):
            for piece in targets:
                piece.is_used = True
        room -= off
        outcome.amount += off
        outcome.reason = "" if outcome.amount else outcome.reason or _empty_reason(step, articles)
        if step.is_frozen:
            outcome.short = to_units(step.value, basket.currency) - off
    return outcomes


def discount_base_lines(basket, outcome):
    """The base lines of one redemption's discount, one for each set of taxes.

    Odoo splits an amount into its base and its taxes, for each set of taxes by itself. The
    computation key keeps redemptions apart when an order is rounded, so that each is worth its
    amount to the unit.
    """
    account_tax = basket.company.env["account.tax"]
    lines = []
    for key, units in outcome.sets.items():
        for base_line in account_tax._prepare_global_discount_lines(
            [piece.base_line for piece in basket.pieces if piece.tax_key == key],
            basket.company,
            "fixed",
            float(to_money(units, basket.currency)),
            computation_key=f"loyalty_engine,{outcome.uuid}",
        ):
            _make_exact(base_line, -float(to_money(units, basket.currency)), basket)
            lines.append(base_line)
    return lines


def _make_exact(base_line, amount, basket):
    """See to it that a discount's line comes to ``amount``.

    Odoo's split is one unit off now and then (1 in 150 baskets), and the till can't keep a line
    with taxes and a base of 0: such a small amount is all base.
    """
    taxes = base_line["manual_tax_amounts"]
    if not taxes:
        base_line["price_unit"] = amount
        return
    taxes_data = base_line["tax_details"]["taxes_data"]
    is_all_tax = basket.currency.is_zero(
        amount - sum(tax_data["tax_amount_currency"] for tax_data in taxes_data)
    )
    for suffix, currency, total in (
        ("_currency", basket.currency, amount),
        ("", basket.company.currency_id, amount / base_line["rate"]),
    ):
        tax = 0.0 if is_all_tax else sum(data[f"tax_amount{suffix}"] for data in taxes_data)
        base = currency.round(currency.round(total) - tax)
        if suffix:
            base_line["price_unit"] += base - base_line["manual_total_excluded_currency"]
        base_line[f"manual_total_excluded{suffix}"] = base
    if is_all_tax:
        for values in taxes.values():
            values.update(tax_amount_currency=0.0, tax_amount=0.0)


# === The order ===


class PosOrder(models.Model):
    _inherit = "pos.order"

    def _loyalty_engine_expected_discounts(self, redemptions, engine):
        """What each redemption should take off this order, by the server's own calculation.

        :param redemptions: dictionaries as the till knows them (``uuid``, ``kind``, ``booking``,
            ``state``, ``discounts``, ``min_amount``, ``max_amount``, ``frozen_amount``). With a
            frozen amount that is what is expected, as far as the goods carry it; without, what the
            discounts come to.
        :param engine: the connection that they were redeemed with
        :return: uuid to the worth, a Decimal in the order's currency, with taxes
        """
        self.ensure_one()
        basket = self._loyalty_engine_basket(engine.sku_source)
        return {
            uuid: to_money(outcome.amount, basket.currency)
            for uuid, outcome in plan_discounts(basket, redemptions, engine.discount_units).items()
        }

    def _loyalty_engine_given_discounts(self):
        """What the discount lines of this order take off it: uuid to a Decimal, with taxes."""
        self.ensure_one()
        if not any(self.lines.mapped("loyalty_engine_redemption")):
            return {}
        base_lines = self._loyalty_engine_rounded_base_lines()
        given = defaultdict(int)
        for base_line in base_lines:
            uuid = base_line["record"].loyalty_engine_redemption
            if uuid:
                given[uuid] -= to_units(total_of(base_line), self.currency_id)
        return {uuid: to_money(units, self.currency_id) for uuid, units in given.items()}

    def _loyalty_engine_total_differs(self):
        """What this order's lines come to, by Odoo's own sum, where that is another total than the
        till's: a Decimal, with taxes; None where it is the same.

        Smallest units more or less don't count, one for each tax: a till rounds the taxes of what
        is taken back by themselves. Nor does the rounding of cash, nor a tip that came afterwards.
        """
        self.ensure_one()
        base_lines = self._loyalty_engine_rounded_base_lines()
        units = partial(to_units, currency=self.currency_id)
        total = sum(units(total_of(line)) for line in base_lines)
        allowed = max(1, len(self.lines.tax_ids_after_fiscal_position))
        tips = sum(
            units(total_of(line))
            for line in base_lines
            if line["record"].product_id == self.config_id.tip_product_id
        )
        totals = {total, total - tips}
        if self.config_id.cash_rounding and self.config_id.rounding_method:
            exact = float(to_money(total, self.currency_id))
            totals.add(units(self.config_id.rounding_method.round(exact)))
        if any(abs(units(self.amount_total) - each) <= allowed for each in totals):
            return None
        return to_money(total, self.currency_id)

    def _loyalty_engine_rounded_base_lines(self):
        """The base lines of this order, with amounts that add up to its total."""
        base_lines = self._prepare_tax_base_line_values()
        self.env["account.tax"]._add_tax_details_in_base_lines(base_lines, self.company_id)
        self.env["account.tax"]._round_base_lines_tax_details(base_lines, self.company_id)
        return base_lines

    def _loyalty_engine_basket(self, sku_source):
        config = self.config_id
        not_goods = config._get_special_products() | config.tip_product_id
        lines = self.lines.filtered(lambda line: not line.loyalty_engine_redemption)
        entries = [
            Entry(
                base_line=base_line,
                is_goods=line.qty > 0 and line.price_unit > 0 and line.product_id not in not_goods,
                codes=line._loyalty_engine_codes(sku_source),
                combo=line._loyalty_engine_combo(sku_source),
            )
            for line, base_line in zip(lines, lines._prepare_tax_base_line_values(), strict=True)
        ]
        return read_basket(entries, self.company_id, self.currency_id)

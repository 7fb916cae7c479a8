/**
 * What vouchers and points are worth on a basket. Pure: reads, calculates, writes nothing.
 *
 * [models/pos_order_discount.py] is the same in Python. A change of one is a change of both; the
 * baskets in static/tests/unit/data/baskets.js hold them together.
 *
 * Amounts in here are whole numbers of the currency's smallest unit ("units": cents, fils, yen), so
 * that nothing is lost; all of them are with taxes, as the customer pays.
 *
 * The order of calculation, each step on what the steps before have left:
 *   1. discounts on SKUs, 2. discounts on the order, 3. points;
 *   within each: what is spent already, then selling prices, percentages, amounts.
 * A percentage is off the price, an amount is as good as money: so an amount does not make the
 * percentage smaller, and the customer pays less than the other way round.
 */
import { roundPrecision } from "@web/core/utils/numbers";
import { accountTaxHelpers } from "@account/helpers/account_tax";

/** The states in which a redemption takes something off the order. */
const COUNTING_STATES = ["held", "spending", "spent", "settled"];
const TYPES = ["FIXED", "PERCENTAGE", "ABSOLUTE"];
const MILLION = 1000000;

// -------------------------------------------------------------------------------------------------
// Whole numbers
// -------------------------------------------------------------------------------------------------

/** `amount * part / whole`, rounded half up; exact for whole numbers, none of them negative. */
export function portion(amount, part, whole) {
    const [a, p, w] = [amount, part, whole].map(BigInt);
    return Number((2n * a * p + w) / (2n * w));
}

/** `amount` in whole parts, in proportion to `weights`: none is larger than its weight is to all. */
export function allocate(amount, weights) {
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    let reached = 0;
    let given = 0;
    return weights.map((weight) => {
        reached += weight;
        const share = whole ? portion(amount, reached, whole) - given : 0;
        given += share;
        return share;
    });
}

function millionths(number) {
    return Math.floor(number * MILLION + 0.5);
}

/** An amount of money, a number or its text, in units of the currency. */
export function toUnits(amount, currency) {
    return Math.round(Number(amount) / currency.rounding);
}

/** Units as an amount of money. */
export function toMoney(units, currency) {
    return Number((units * currency.rounding).toFixed(currency.decimal_places));
}

// -------------------------------------------------------------------------------------------------
// The basket
// -------------------------------------------------------------------------------------------------

/** What a rounded base line costs, with the cents that Odoo distributes over an order. */
function totalOf({ tax_details }) {
    return tax_details.taxes_data.reduce(
        (sum, { tax_amount_currency }) => sum + tax_amount_currency,
        tax_details.total_excluded_currency + tax_details.delta_total_excluded_currency
    );
}

/** By which taxes are the same set. */
export function keyOfTaxes(taxes) {
    return taxes
        .map((tax) => tax.id)
        .sort((a, b) => a - b)
        .join("_");
}

/**
 * @typedef {Object} Entry a line of the order that is no discount of ours
 * @property {Object} baseLine as `accountTaxHelpers` prepares it
 * @property {boolean} isGoods whether a discount may be on it; others only limit what can be given
 * @property {string[]} codes SKU and categories of its product
 * @property {{key: string, quantity: number, codes: string[]}|null} combo the set it is a part of
 *
 * @param {Entry[]} entries
 * @param {Object} company
 * @param {Object} currency
 * @returns what `planDiscounts` works on
 */
export function readBasket(entries, company, currency) {
    const baseLines = entries.map(({ baseLine }) => baseLine);
    accountTaxHelpers.add_tax_details_in_base_lines(baseLines, company);
    accountTaxHelpers.round_base_lines_tax_details(baseLines, company);
    const goods = entries.filter(({ isGoods }) => isGoods);
    // Lines of other origin may carry a key that would keep them apart.
    const plain = goods.map(({ baseLine }) => ({ ...baseLine, computation_key: null }));
    // Fixed taxes (deposits, recycling fees) are never discounted.
    const discountable = accountTaxHelpers.prepare_discountable_base_lines(plain, company);
    return {
        company,
        currency,
        total: baseLines.reduce((sum, line) => sum + toUnits(totalOf(line), currency), 0),
        pieces: goods.map(({ codes, combo }, i) => ({
            place: i,
            baseLine: plain[i],
            taxes: discountable[i].tax_ids,
            taxKey: keyOfTaxes(discountable[i].tax_ids),
            codes,
            combo,
            quantity: plain[i].quantity,
            left: Math.max(0, toUnits(totalOf(discountable[i]), currency)),
            isUsed: false,
        })),
        // Goods, less returns and other discounts: no order is brought below zero.
        room: entries
            .filter(({ isGoods, baseLine }) => isGoods || totalOf(baseLine) < 0)
            .reduce((sum, { baseLine }) => sum + toUnits(totalOf(baseLine), currency), 0),
    };
}

/**
 * What is sold under one of `codes`, each with its pieces: a line, or a set with its parts.
 * Without codes: every piece. `quantities` is that of each piece: parts of a set have the same,
 * unless a voucher was on one of them by itself.
 */
function findArticles(pieces, codes) {
    const matches = (candidates) => codes.some((code) => candidates.includes(code));
    const articles = new Map();
    for (const piece of pieces) {
        const { combo } = piece;
        if (!codes.length || matches(piece.codes)) {
            articles.set(piece, { pieces: [piece], quantities: [piece.quantity] });
        } else if (combo && matches(combo.codes)) {
            const key = `${combo.key} ${piece.isUsed}`;
            if (!articles.has(key)) {
                articles.set(key, { pieces: [], quantities: [] });
            }
            articles.get(key).pieces.push(piece);
            articles.get(key).quantities.push(combo.quantity);
        }
    }
    return [...articles.values()];
}

function quantityOf({ quantities }) {
    return Math.max(...quantities);
}

function leftOf(pieces) {
    return pieces.reduce((sum, { left }) => sum + left, 0);
}

/**
 * One unit of the dearest article, cut out of it: one that no voucher has been used on, if there is
 * one. Of what is weighed or measured, at most 1 of the product's unit.
 */
function cutOneUnit(pieces, articles) {
    const leftOfOne = ({ pieces, quantities }) =>
        pieces.reduce((sum, { left }, i) => sum + left / Math.max(quantities[i], 1), 0);
    const isUsed = (article) => article.pieces[0].isUsed;
    const [article] = articles.toSorted(
        (a, b) => isUsed(a) - isUsed(b) || leftOfOne(b) - leftOfOne(a)
    );
    if (!article) {
        return [];
    }
    const cut = [...new Set(article.quantities)].flatMap((quantity) => {
        const group = article.pieces.filter((_piece, i) => article.quantities[i] === quantity);
        return cutGroup(pieces, group, quantity);
    });
    return [{ pieces: cut, quantities: [Math.min(1, quantityOf(article))] }];
}

/** One unit of pieces that are sold `quantity` times, or what there is of it. */
function cutGroup(pieces, group, quantity) {
    if (quantity <= 1) {
        return group;
    }
    // A third of a million is not 333333: by the quantities, and once for all of them.
    const shares = allocate(
        portion(leftOf(group), MILLION, millionths(quantity)),
        group.map(({ left }) => left)
    );
    return group.map((piece, i) => cutPiece(pieces, piece, 1 / quantity, shares[i]));
}

/**
 * Take `share` of a piece (more than 0, less than 1), which is worth `left`; the rest stays behind as
 * a piece of its own.
 */
function cutPiece(pieces, piece, share, left) {
    const scale = (factor, left) => ({
        ...piece,
        quantity: piece.quantity * factor,
        combo: piece.combo && { ...piece.combo, quantity: piece.combo.quantity * factor },
        left,
    });
    const unit = scale(share, left);
    pieces.splice(pieces.indexOf(piece), 1, unit, scale(1 - share, piece.left - left));
    return unit;
}

// -------------------------------------------------------------------------------------------------
// The plan
// -------------------------------------------------------------------------------------------------

/** Whether a redemption takes something off the order. */
function counts({ booking, state }) {
    return booking !== "payment" && COUNTING_STATES.includes(state);
}

function isGiven(text) {
    return text !== null && text !== undefined && text !== "";
}

/** Whether the engine has been told the amount: it is spent, and no basket changes it. */
function isFrozen({ frozen_amount }) {
    return isGiven(frozen_amount);
}

/** The discounts of a redemption as steps; what is spent is one amount, whatever it came from. */
function stepsOf(redemption) {
    const discounts = redemption.discounts || [];
    if (isFrozen(redemption)) {
        const isForOrder = discounts.some(({ skus }) => !skus.length);
        const skus = isForOrder ? [] : discounts.flatMap(({ skus }) => skus);
        return [{ redemption, type: "ABSOLUTE", value: redemption.frozen_amount, skus }];
    }
    return discounts.map(({ type, value, skus }) => ({ redemption, type, value, skus }));
}

function compareSteps(a, b) {
    const rank = ({ redemption, skus, type }) => [
        redemption.kind === "points" ? 3 : skus.length ? 1 : 2,
        isFrozen(redemption) ? 0 : 1,
        TYPES.indexOf(type),
    ];
    const [ranks, others] = [rank(a), rank(b)];
    const place = ranks.findIndex((value, i) => value !== others[i]);
    if (place >= 0) {
        return ranks[place] - others[place];
    }
    // Any order would do, as long as the server's is the same.
    const [uuid, other] = [a.redemption.uuid, b.redemption.uuid];
    return uuid < other ? -1 : Number(uuid > other);
}

/** How much a step takes off each piece, before the limits of the order. */
function offsOf({ type, value }, articles, currency) {
    const pieces = articles.flatMap((article) => article.pieces);
    if (type === "FIXED") {
        return articles.flatMap((article) => {
            const { pieces } = article;
            const left = leftOf(pieces);
            const quantity = millionths(quantityOf(article));
            const price = portion(toUnits(value, currency), quantity, MILLION);
            return allocate(
                Math.max(0, left - price),
                pieces.map((piece) => piece.left)
            );
        });
    }
    const left = leftOf(pieces);
    const amount =
        type === "PERCENTAGE"
            ? portion(left, millionths(Number(value)), 100 * MILLION)
            : toUnits(value, currency);
    return allocate(
        Math.min(amount, left),
        pieces.map((piece) => piece.left)
    );
}

/** Whether a step is on one unit of the products that it is for. */
function isForOne({ redemption, skus }, { units }) {
    return skus.length > 0 && units === "one" && !isFrozen(redemption);
}

/** The articles that a step is for; a selling price for the order is one for all of it. */
function articlesOf(step, pieces, settings) {
    const { type, skus } = step;
    const articles = findArticles(pieces, skus);
    if (!skus.length) {
        return type === "FIXED" && articles.length ? [{ pieces, quantities: [1] }] : articles;
    }
    return isForOne(step, settings) ? cutOneUnit(pieces, articles) : articles;
}

/** Why a redemption does not fit this basket: `{code, value}`, or null. */
function limitReason({ min_amount, max_amount }, { room, currency }) {
    if (isGiven(min_amount) && room < toUnits(min_amount, currency)) {
        return { code: "too_small", value: min_amount };
    }
    if (isGiven(max_amount) && room > toUnits(max_amount, currency)) {
        return { code: "too_large", value: max_amount };
    }
    return null;
}

/** Why a step takes nothing off. */
function emptyReason({ type, skus }, articles) {
    if (!articles.length && skus.length) {
        return { code: "missing", value: skus.join(", ") };
    }
    const isCheap = type === "FIXED" && articles.some(({ pieces }) => leftOf(pieces));
    return { code: isCheap ? "cheaper" : "nothing_left", value: "" };
}

/**
 * What each redemption takes off the basket.
 *
 * @param {Object} basket of `readBasket`; it stays as it is
 * @param {Object[]} redemptions
 * @param {Object} settings
 * @param {"one"|"all"} settings.units whether a discount on SKUs is on one unit or on all of them
 * @returns {{
 *   outcomes: Object[], one for each redemption: `uuid`, `amount`, `reason` ({code, value} or null),
 *     `short` (what was spent and the basket can't carry), `sets` (Map: key of the taxes to
 *     amount), `parts` (Map: place of the goods in the basket to amount)
 *   steps: Object[], in the order of calculation: `redemption`, `before`, `off`, `after`
 * }} amounts in units
 */
export function planDiscounts(basket, redemptions, settings) {
    const pieces = basket.pieces.map((piece) => ({ ...piece }));
    const outcomes = new Map();
    for (const redemption of redemptions) {
        outcomes.set(redemption.uuid, {
            uuid: redemption.uuid,
            amount: 0,
            reason: isFrozen(redemption) ? null : limitReason(redemption, basket),
            short: 0,
            sets: new Map(),
            parts: new Map(),
        });
    }
    const queue = redemptions
        .filter((redemption) => counts(redemption) && !outcomes.get(redemption.uuid).reason)
        .flatMap(stepsOf)
        .toSorted(compareSteps);
    const steps = [];
    let given = 0;
    for (const [i, step] of queue.entries()) {
        const outcome = outcomes.get(step.redemption.uuid);
        const uncut = [...pieces];
        const articles = articlesOf(step, pieces, settings);
        const targets = articles.flatMap((article) => article.pieces);
        const offs = offsOf(step, articles, basket.currency);
        // What is spent comes before what may still change, wherever it stands.
        const reserved = isFrozen(step.redemption) ? 0 : frozenAmount(queue.slice(i + 1), basket);
        const limit = Math.max(0, basket.room - given - reserved);
        const off = Math.min(
            offs.reduce((sum, share) => sum + share, 0),
            limit
        );
        for (const [j, share] of allocate(off, offs).entries()) {
            const { taxKey } = targets[j];
            targets[j].left -= share;
            if (share) {
                outcome.sets.set(taxKey, (outcome.sets.get(taxKey) || 0) + share);
                const { place } = targets[j];
                outcome.parts.set(place, (outcome.parts.get(place) || 0) + share);
            }
        }
        if (!off) {
            // It is on nothing, and leaves the unit to the next.
            pieces.splice(0, pieces.length, ...uncut);
        } else if (isForOne(step, settings)) {
            targets.forEach((piece) => (piece.isUsed = true));
        }
        outcome.amount += off;
        outcome.reason = outcome.amount ? null : outcome.reason || emptyReason(step, articles);
        if (isFrozen(step.redemption)) {
            outcome.short = toUnits(step.value, basket.currency) - off;
        }
        const before = basket.total - given;
        given += off;
        steps.push({ redemption: step.redemption, before, off, after: before - off });
    }
    return { outcomes: [...outcomes.values()], steps };
}

function frozenAmount(steps, { currency }) {
    return steps
        .filter(({ redemption }) => isFrozen(redemption))
        .reduce((sum, { value }) => sum + toUnits(value, currency), 0);
}

// -------------------------------------------------------------------------------------------------
// The lines
// -------------------------------------------------------------------------------------------------

/**
 * The lines that a plan asks for, one for each redemption and set of taxes.
 *
 * Odoo splits an amount into its base and its taxes (`prepare_global_discount_lines`), for each set
 * of taxes by itself, and says by `extra_tax_data` how it did. The computation key keeps redemptions
 * apart when an order is rounded, so that each is worth its amount to the unit.
 *
 * @returns {Object[]} `{redemption: uuid, taxes, sources, parts, price_unit, extra_tax_data}`; `sources`
 *  are the records of the goods, `parts` how much money is off each of them
 */
export function discountLines(basket, { outcomes }) {
    const lines = [];
    for (const { uuid, sets, parts } of outcomes) {
        for (const [key, units] of sets) {
            const pieces = basket.pieces.filter((piece) => piece.taxKey === key);
            const amount = toMoney(units, basket.currency);
            const baseLines = accountTaxHelpers.prepare_global_discount_lines(
                pieces.map(({ baseLine }) => baseLine),
                basket.company,
                "fixed",
                amount,
                { computation_key: `loyalty_engine,${uuid}` }
            );
            for (const baseLine of baseLines) {
                makeExact(baseLine, -amount, basket);
                lines.push({
                    redemption: uuid,
                    taxes: pieces[0].taxes,
                    sources: pieces.map((piece) => piece.baseLine.record),
                    parts: pieces.map(({ place }) =>
                        toMoney(parts.get(place) || 0, basket.currency)
                    ),
                    price_unit: baseLine.price_unit,
                    extra_tax_data: accountTaxHelpers.export_base_line_extra_tax_data(baseLine),
                });
            }
        }
    }
    return lines;
}

/**
 * See to it that a discount's line comes to `amount`.
 *
 * Odoo's split is one unit off now and then (1 in 150 baskets), and a base of 0 beside taxes is lost
 * when a line is read again: such a small amount is all base.
 */
function makeExact(baseLine, amount, { currency, company }) {
    const taxes = Object.values(baseLine.manual_tax_amounts || {});
    if (!taxes.length) {
        baseLine.price_unit = amount;
        return;
    }
    const taxOf = (suffix) =>
        baseLine.tax_details.taxes_data.reduce((sum, data) => sum + data[`tax_amount${suffix}`], 0);
    const isAllTax = toUnits(amount - taxOf("_currency"), currency) === 0;
    for (const [suffix, { rounding }] of [
        ["_currency", currency],
        ["", company.currency_id],
    ]) {
        const field = `manual_total_excluded${suffix}`;
        const tax = isAllTax ? 0 : taxOf(suffix);
        const base = roundPrecision(roundPrecision(amount, rounding) - tax, rounding);
        if (suffix) {
            baseLine.price_unit += base - baseLine[field];
        }
        baseLine[field] = base;
    }
    if (isAllTax) {
        taxes.forEach((amounts) =>
            Object.assign(amounts, { tax_amount_currency: 0, tax_amount: 0 })
        );
    }
}

/**
 * The taxes to store on a discount line. A line's taxes are mapped by the order's fiscal position,
 * here and on the server: what comes out must be the taxes of the goods.
 *
 * @param {Object[]} taxes of the goods, mapped
 * @param {Object[]} sources the lines with the goods
 * @param {Object} [fiscalPosition]
 */
export function taxesBeforeMapping(taxes, sources, fiscalPosition) {
    const map = (list) => fiscalPosition?.getTaxesAfterFiscalPosition(list) ?? list;
    const leadsToThem = (list) => keyOfTaxes(map(list)) === keyOfTaxes(taxes);
    const isOneOfThem = (tax) =>
        map([tax]).some(({ id }) => taxes.some((other) => other.id === id));
    const candidates = [taxes, ...sources.map(({ tax_ids }) => tax_ids.filter(isOneOfThem))];
    return candidates.find(leadsToThem) || taxes;
}

/**
 * Solves the baskets of tests/discount_baskets.py with the till's own code, in Hoot
 * (static/tests/unit/data/baskets.js) and in a till (tests/test_discounts.py).
 */
import { translationIsReady } from "@web/core/l10n/translation";
import { rpc } from "@web/core/network/rpc";
import { accountTaxHelpers } from "@account/helpers/account_tax";
import {
    discountLines,
    planDiscounts,
    readBasket,
    toMoney,
    toUnits,
} from "@pos_loyalty_engine/app/utils/loyalty_discounts";

const COMPANY_CURRENCY = { id: 1, rounding: 0.01, decimal_places: 2 };

/** The taxes that lines name by their places, as a till has them. */
export function makeTaxes(definitions) {
    const taxes = [];
    for (const [place, tax] of definitions.entries()) {
        taxes.push({
            id: place + 1,
            include_base_amount: false,
            is_base_affected: true,
            has_negative_factor: false,
            sequence: 1,
            ...tax,
            children_tax_ids: (tax.children || []).map((child) => taxes[child]),
            tax_group_id: { id: 1, sequence: 1 },
        });
    }
    return taxes;
}

function prepare(values, currency) {
    return accountTaxHelpers.prepare_base_line_for_taxes_computation(
        { extra_tax_data: values.extra_tax_data },
        { currency_id: currency, ...values }
    );
}

function sold({ price, quantity, discount, taxes: places }, taxes, currency) {
    const price_unit = toMoney(price, currency);
    return prepare(
        {
            price_unit,
            quantity,
            discount,
            tax_ids: places.map((place) => taxes[place]),
            is_refund: quantity * price_unit < 0,
        },
        currency
    );
}

/** A basket as the till reads it. */
export function read({ method, decimals, lines }, taxes) {
    const currency = { id: 2, rounding: Number(`1e-${decimals}`), decimal_places: decimals };
    const entries = lines.map((line) => ({
        baseLine: sold(line, taxes, currency),
        isGoods: line.goods,
        codes: line.codes,
        combo: line.combo && {
            key: line.combo[0],
            quantity: line.combo[1],
            codes: line.combo[2],
        },
    }));
    const company = { currency_id: COMPANY_CURRENCY, tax_calculation_rounding_method: method };
    return readBasket(entries, company, currency);
}

/** What an order with these discount lines costs: made from what the lines store. */
function totalOf(basket, taxes, { company, currency }, made) {
    const baseLines = basket.lines.map((line) => sold(line, taxes, currency));
    for (const { price_unit, extra_tax_data, taxes: tax_ids } of made) {
        baseLines.push(
            prepare(
                {
                    price_unit,
                    tax_ids,
                    extra_tax_data: JSON.parse(JSON.stringify(extra_tax_data)),
                    quantity: 1,
                    discount: 0,
                    is_refund: true,
                },
                currency
            )
        );
    }
    accountTaxHelpers.add_tax_details_in_base_lines(baseLines, company);
    accountTaxHelpers.round_base_lines_tax_details(baseLines, company);
    const summary = accountTaxHelpers.get_tax_totals_summary(baseLines, currency, company);
    return toUnits(summary.total_amount_currency, currency);
}

function describe(line) {
    const amounts = line.extra_tax_data.manual_tax_amounts || {};
    return [
        line.taxes.map(({ id }) => id - 1).sort((a, b) => a - b),
        line.price_unit,
        line.extra_tax_data.manual_total_excluded_currency || 0,
        Object.keys(amounts)
            .sort((a, b) => a - b)
            .map((id) => amounts[id].tax_amount_currency),
    ];
}

/** Whether lists are the same, but for the dust of binary fractions: the server rounds to 0.000001. */
function isSame(one, other) {
    if (Array.isArray(one)) {
        return one.length === other.length && one.every((item, i) => isSame(item, other[i]));
    }
    return typeof one === "number" ? Math.abs(one - other) < 0.000002 : one === other;
}

/**
 * What the till makes of a basket, beside what the server made of it.
 *
 * @returns {{actual: Object, expected: Object}|null} null if both are the same
 */
export function findDifference(basket, taxes) {
    const basketRead = read(basket, taxes);
    const plan = planDiscounts(basketRead, basket.redemptions, basket);
    const made = discountLines(basketRead, plan);
    const actual = {
        outcomes: plan.outcomes.map(({ amount, reason, short }) => [
            amount,
            reason?.code || "",
            short,
        ]),
        made: made.map(describe),
        totals: [basketRead.total, totalOf(basket, taxes, basketRead, made)],
    };
    const { outcomes, made: lines, totals } = basket;
    const expected = { outcomes, made: lines, totals };
    const isRight = Object.keys(expected).every((name) => isSame(actual[name], expected[name]));
    return isRight ? null : { actual, expected };
}

/** Ask the server for baskets until there are no more, and tell the console how they come out. */
export async function compareAll(definitions) {
    const model = "pos.session";
    const method = "loyalty_engine_next_baskets";
    const ask = () =>
        rpc(`/web/dataset/call_kw/${model}/${method}`, { model, method, args: [[]], kwargs: {} });
    // Odoo's summary of an order has a text in it.
    await translationIsReady;
    const taxes = makeTaxes(definitions);
    let same = 0;
    let baskets = await ask();
    while (baskets) {
        const next = ask();
        for (const basket of baskets) {
            const difference = findDifference(basket, taxes);
            if (difference) {
                console.error(JSON.stringify({ basket, ...difference }));
                return;
            }
            same++;
        }
        baskets = await next;
    }
    console.log(`${same} baskets are the same`);
}

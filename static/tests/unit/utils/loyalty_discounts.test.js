import { expect, test } from "@odoo/hoot";
import { allowTranslations } from "@web/../tests/web_test_helpers";
import { accountTaxHelpers } from "@account/helpers/account_tax";
import {
    allocate,
    discountLines,
    planDiscounts,
    portion,
    readBasket,
    taxesBeforeMapping,
    toMoney,
    toUnits,
} from "@pos_loyalty_engine/app/utils/loyalty_discounts";
import { BASKETS, TAXES } from "../data/baskets";

const COMPANY_CURRENCY = { id: 1, rounding: 0.01, decimal_places: 2 };

const taxes = [];
for (const [place, tax] of TAXES.entries()) {
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

function shop(basket) {
    return {
        company: {
            currency_id: COMPANY_CURRENCY,
            tax_calculation_rounding_method: basket.method,
        },
        currency: {
            id: 2,
            rounding: Number(`1e-${basket.decimals}`),
            decimal_places: basket.decimals,
        },
    };
}

function prepare(values, currency) {
    return accountTaxHelpers.prepare_base_line_for_taxes_computation(
        { extra_tax_data: values.extra_tax_data },
        { currency_id: currency, ...values }
    );
}

function sold({ price, quantity, discount, taxes: places }, currency) {
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

function read(basket) {
    const { company, currency } = shop(basket);
    const entries = basket.lines.map((line) => ({
        baseLine: sold(line, currency),
        isGoods: line.goods,
        codes: line.codes,
        combo: line.combo && {
            key: line.combo[0],
            quantity: line.combo[1],
            codes: line.combo[2],
        },
    }));
    return readBasket(entries, company, currency);
}

/** What an order with these discount lines costs: made from what the lines store. */
function totalOf(basket, lines) {
    const { company, currency } = shop(basket);
    const baseLines = basket.lines.map((line) => sold(line, currency));
    for (const { price_unit, extra_tax_data, taxes: tax_ids } of lines) {
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
    const round = (number) => Number((number || 0).toFixed(6)) + 0;
    const amounts = line.extra_tax_data.manual_tax_amounts || {};
    return [
        line.taxes.map(({ id }) => id - 1).sort((a, b) => a - b),
        round(line.price_unit),
        round(line.extra_tax_data.manual_total_excluded_currency),
        Object.keys(amounts)
            .sort((a, b) => a - b)
            .map((id) => round(amounts[id].tax_amount_currency)),
    ];
}

test("each of some hundred baskets comes to what the server calculates", () => {
    // For the name of a subtotal, in Odoo's summary of an order.
    allowTranslations();
    for (const [i, expected] of BASKETS.entries()) {
        const basket = read(expected);
        const plan = planDiscounts(basket, expected.redemptions, expected);
        const made = discountLines(basket, plan);
        const totals = [totalOf(expected, [])];
        for (const j of plan.outcomes.keys()) {
            const uuids = plan.outcomes.slice(0, j + 1).map(({ uuid }) => uuid);
            totals.push(
                totalOf(
                    expected,
                    made.filter(({ redemption }) => uuids.includes(redemption))
                )
            );
        }
        const outcomes = plan.outcomes.map(({ amount, reason, short }) => [
            amount,
            reason?.code || "",
            short,
        ]);
        const actual = { i, outcomes, made: made.map(describe), totals };
        const { made: wanted } = expected;
        // One assertion for a basket, and no text where it holds: there are many.
        if (
            JSON.stringify(actual) !==
            JSON.stringify({
                i,
                outcomes: expected.outcomes,
                made: wanted,
                totals: expected.totals,
            })
        ) {
            expect(actual).toEqual({
                i,
                outcomes: expected.outcomes,
                made: wanted,
                totals: expected.totals,
            });
        }
    }
    expect(BASKETS.length).toBeGreaterThan(200);
});

test("a plan leaves the basket as it is", () => {
    const expected = BASKETS.find(({ outcomes }) => outcomes.some(([amount]) => amount));
    const basket = read(expected);
    const before = basket.pieces.map(({ left, quantity }) => [left, quantity]);
    const first = planDiscounts(basket, expected.redemptions, expected);
    const second = planDiscounts(basket, expected.redemptions, expected);
    expect(basket.pieces.map(({ left, quantity }) => [left, quantity])).toEqual(before);
    expect(second.outcomes.map(({ amount }) => amount)).toEqual(
        first.outcomes.map(({ amount }) => amount)
    );
});

test("amounts are split without a remainder, whatever their size", () => {
    expect(allocate(100, [1, 1, 1])).toEqual([33, 34, 33]);
    expect(allocate(0, [5, 7])).toEqual([0, 0]);
    expect(allocate(5, [0, 0])).toEqual([0, 0]);
    expect(portion(999999999999, 999999999999, 999999999999)).toBe(999999999999);
    expect(portion(1, 1, 2)).toBe(1);
});

test("a line's taxes are stored as they are before mapping, where mapping changes them again", () => {
    const [domestic, export_, special] = [1, 2, 3].map((id) => ({ id }));
    // Domestic becomes export, export becomes special.
    const chain = new Map([
        [1, export_],
        [2, special],
    ]);
    const position = {
        getTaxesAfterFiscalPosition: (list) => list.map((tax) => chain.get(tax.id) || tax),
    };
    const source = { tax_ids: [domestic] };
    expect(taxesBeforeMapping([export_], [source], position)).toEqual([domestic]);
    expect(taxesBeforeMapping([special], [{ tax_ids: [special] }], position)).toEqual([special]);
    expect(taxesBeforeMapping([export_], [source], undefined)).toEqual([export_]);
});

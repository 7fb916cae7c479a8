import { expect, test } from "@odoo/hoot";
import { allowTranslations } from "@web/../tests/web_test_helpers";
import {
    allocate,
    planDiscounts,
    portion,
    taxesBeforeMapping,
} from "@pos_loyalty_engine/app/utils/loyalty_discounts";
import {
    findDifference,
    makeTaxes,
    read,
} from "@pos_loyalty_engine/../tests/generic_helpers/basket_util";
import { BASKETS, TAXES } from "../data/baskets";

const taxes = makeTaxes(TAXES);

test("each of some hundred baskets comes to what the server calculates", () => {
    // For the name of a subtotal, in Odoo's summary of an order.
    allowTranslations();
    const differences = BASKETS.map((basket) => findDifference(basket, taxes));
    expect(differences.filter(Boolean)).toEqual([]);
    expect(BASKETS.length).toBeGreaterThan(200);
});

test("a plan leaves the basket as it is", () => {
    const expected = BASKETS.find(({ outcomes }) => outcomes.some(([amount]) => amount));
    const basket = read(expected, taxes);
    const before = basket.pieces.map(({ left, quantity }) => [left, quantity]);
    const first = planDiscounts(basket, expected.redemptions, expected);
    const second = planDiscounts(basket, expected.redemptions, expected);
    expect(basket.pieces.map(({ left, quantity }) => [left, quantity])).toEqual(before);
    expect(second.outcomes.map(({ amount }) => amount)).toEqual(
        first.outcomes.map(({ amount }) => amount)
    );
});

test("one set of two is that also after a voucher was on one of its parts", () => {
    const part = (price, codes) => ({
        price,
        quantity: 2,
        discount: 0,
        taxes: [],
        goods: true,
        codes,
        combo: ["set", 2, ["MENU"]],
    });
    const lines = [part(300, ["TEA"]), part(100, []), part(200, [])];
    const basket = read({ method: "round_per_line", decimals: 2, lines }, taxes);
    const free = (uuid, sku) => ({
        uuid,
        kind: "voucher",
        booking: "discount",
        state: "held",
        discounts: [{ type: "PERCENTAGE", value: "100", skus: [sku] }],
    });
    const { outcomes } = planDiscounts(basket, [free("1", "TEA"), free("2", "MENU")], {
        units: "one",
    });
    // A tea of one set, and the other set.
    expect(outcomes.map(({ amount }) => amount)).toEqual([300, 600]);
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

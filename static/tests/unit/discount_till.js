import { setupTill } from "./utils";

/** A product of the mock data that nothing else here sells. */
const DISCOUNT_PRODUCT = 12;

/** A till whose connection takes vouchers; see `setupTill`. */
export async function setupDiscountTill(connection = {}) {
    return setupTill(
        {},
        {
            discount_product_id: DISCOUNT_PRODUCT,
            sku_source: "barcode",
            sku_reading: "applies_to",
            units: "one",
            ...connection,
        }
    );
}

let count = 0;

/** A redemption as the server tells it, with one discount for the whole order. */
export function redemption(type, value, { skus = [], ...values } = {}) {
    count++;
    return {
        uuid: `uuid-${String(count).padStart(3, "0")}`,
        kind: "voucher",
        booking: "discount",
        state: "held",
        name: "Coffee on us",
        code: "PRO…3XP",
        points: 0,
        amount: "0",
        discounts: [{ type, value, skus, venues: [] }],
        min_amount: null,
        max_amount: null,
        reason: "",
        frozen_amount: null,
        ...values,
    };
}

/** What is to be paid, without the dust of binary fractions. */
export function total(order) {
    return order.currency.round(order.priceIncl) + 0;
}

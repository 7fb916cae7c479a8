import { expect, test } from "@odoo/hoot";
import { queryAllTexts } from "@odoo/hoot-dom";
import { mountWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder } from "@point_of_sale/../tests/unit/utils";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { redemption, setupDiscountTill, total } from "../discount_till";
import { addProduct, watchDialogs } from "../redemption_utils";
import { watchNotifications } from "../utils";

definePosModels();

async function setup() {
    const { store } = await setupDiscountTill();
    const order = await getFilledOrder(store);
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    return { store, order, notifications: watchNotifications(store) };
}

test("a discount takes one line, and has no price a unit", async () => {
    const { order } = await setup();
    order.lines[0].price_type = "manual";
    await mountWithCleanup(OrderSummary);
    const discounts = order.loyaltyEngineDiscountLines.length;
    expect(".orderline").toHaveCount(2 + discounts);
    // That of the goods whose price was changed
    expect(".orderline .price-per-unit").toHaveCount(1);
});

test("discounts stand below the goods, also below those that come later", async () => {
    const { store, order } = await setup();
    await addProduct(store, order, { price_unit: 7 });
    expect(order.lines.at(-1).isLoyaltyEngineDiscount).toBe(false);
    await mountWithCleanup(OrderSummary);
    const names = queryAllTexts(".orderline .product-name");
    expect(names).toHaveLength(order.lines.length);
    const isDiscount = names.map((name) => name.includes("Coffee on us"));
    expect(isDiscount.indexOf(true)).toBe(3);
    expect(isDiscount.lastIndexOf(false)).toBe(2);
});

test("the numpad does not change a discount, and says why", async () => {
    const { store, order, notifications } = await setup();
    const [line] = order.loyaltyEngineDiscountLines;
    order.selectOrderline(line);
    const summary = await mountWithCleanup(OrderSummary);
    for (const numpadMode of ["quantity", "discount", "price"]) {
        store.numpadMode = numpadMode;
        await summary.updateSelectedOrderline({ buffer: "7", key: "7" });
        await summary.updateSelectedOrderline({ buffer: null, key: "Backspace" });
    }
    expect(await summary.onOrderlineLongPress(new Event("press"), line)).toBe(false);
    expect(total(order)).toBe(12.85);
    expect(notifications).toHaveLength(7);
    expect(notifications[0]).toInclude("comes from the Loyalty Engine");
});

test("the numpad changes goods as always", async () => {
    const { order, notifications } = await setup();
    order.selectOrderline(order.lines[0]);
    const summary = await mountWithCleanup(OrderSummary);
    await summary.updateSelectedOrderline({ buffer: "6", key: "6" });
    expect(order.lines[0].qty).toBe(6);
    expect(notifications).toEqual([]);
});

test("a discount is not given back alone, and a refund claims nothing", async () => {
    const { store, order, notifications } = await setup();
    order.state = "paid";
    const screen = await mountWithCleanup(TicketScreen);
    screen.setSelectedOrder(order);
    const [line] = order.loyaltyEngineDiscountLines;
    screen.getToRefundDetail(line).qty = 1;
    await screen.onDoRefund();
    expect(notifications).toHaveLength(1);
    expect(store.getOrder().isRefund).toBe(false);
    screen.getToRefundDetail(order.lines[0]).qty = 3;
    await screen.onDoRefund();
    const refund = store.getOrder();
    expect(refund.isRefund).toBe(true);
    expect(refund.lines).toHaveLength(2);
    expect(refund.loyaltyEngineDiscountLines).toEqual([]);
});

test("goods that are returned take their discounts along", async () => {
    const { store, order } = await setup();
    order.state = "paid";
    const screen = await mountWithCleanup(TicketScreen);
    screen.setSelectedOrder(order);
    const [first, second] = order.lines;
    screen.getToRefundDetail(first).qty = 3;
    screen.getToRefundDetail(second).qty = 2;
    await screen.onDoRefund();
    expect(store.getOrder().lines).toHaveLength(4);
    expect(total(store.getOrder())).toBe(-12.85);
});

test("what is returned comes to what was paid, to the cent", async () => {
    const { store } = await setupDiscountTill();
    const paidAndReturned = [];
    for (const value of [0.5, 0.99, 1.37, 2.29, 3.33, 4.55, 5, 6.66, 7.77, 9.99]) {
        const order = await getFilledOrder(store);
        for (const line of order.lines) {
            for (const tax of line.tax_ids) {
                Object.assign(tax, { amount: 19, price_include: false });
            }
        }
        order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", value.toFixed(2))]);
        const paid = total(order);
        order.state = "paid";
        const screen = await mountWithCleanup(TicketScreen);
        screen.setSelectedOrder(order);
        for (const line of order.lines.filter((one) => !one.isLoyaltyEngineDiscount)) {
            screen.getToRefundDetail(line).qty = line.qty;
        }
        await screen.onDoRefund();
        paidAndReturned.push([paid, -total(store.getOrder())]);
    }
    expect(paidAndReturned.map(([, returned]) => returned)).toEqual(
        paidAndReturned.map(([paid]) => paid)
    );
});

test("whoever chooses again has chosen no discount", async () => {
    const { store, order } = await setup();
    order.state = "paid";
    const screen = await mountWithCleanup(TicketScreen);
    screen.setSelectedOrder(order);
    // All that the one discount line was on, and a part of the other's
    screen.getToRefundDetail(order.lines[0]).qty = 3;
    screen.getToRefundDetail(order.lines[1]).qty = 1;
    const dialogs = watchDialogs(store, ({ cancel }) => cancel());
    await screen.onDoRefund();
    expect(dialogs).toHaveLength(1);
    const chosen = order.loyaltyEngineDiscountLines.map(
        (line) => screen.getToRefundDetail(line).qty
    );
    expect(chosen.every((qty) => qty === 0)).toBe(true);
});

test("a part of the goods that a discount was on: the cashier is asked", async () => {
    const { store, order } = await setup();
    order.state = "paid";
    const screen = await mountWithCleanup(TicketScreen);
    screen.setSelectedOrder(order);
    screen.getToRefundDetail(order.lines[0]).qty = 1;
    let isSure = false;
    const dialogs = watchDialogs(store, ({ confirm, cancel }) => (isSure ? confirm() : cancel()));
    await screen.onDoRefund();
    expect(store.getOrder().isRefund).toBe(false);
    // 5.00 x 10.35 / 17.85
    expect(dialogs[0].body).toMatch(/took .*2\.90 off these goods and others/);
    isSure = true;
    await screen.onDoRefund();
    expect(total(store.getOrder())).toBe(-3.45);
});

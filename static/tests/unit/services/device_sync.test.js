import { expect, test } from "@odoo/hoot";
import { Deferred, tick } from "@odoo/hoot-mock";
import { MockServer, onRpc } from "@web/../tests/web_test_helpers";
import { ConnectionLostError } from "@web/core/network/rpc";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { found } from "../utils";
import { TOTAL, setupSpending, spend, times, watchDialogs } from "../redemption_utils";

definePosModels();

/** Another device has stored something, and it arrives here. */
function syncDevices(store) {
    return store.deviceSync.collect({
        static_records: {},
        session_id: odoo.pos_session_id,
        device_identifier: `not ${store.device.identifier}`,
    });
}

const storedDiscounts = (order) =>
    MockServer.env["pos.order.line"].search_count([
        ["order_id", "=", order.id],
        ["loyalty_engine_redemption", "=", "v1"],
    ]);

/** The discount lines as another device, which has the order too, makes and stores them. */
function storeDiscountElsewhere(order) {
    for (const line of order.loyaltyEngineDiscountLines) {
        const values = line.serializeForORM({ keepCommands: true });
        delete values.id;
        MockServer.env["pos.order.line"].create({
            ...values,
            uuid: `${line.uuid} elsewhere`,
            order_id: order.id,
        });
    }
}

/** Another device sells less of something, and that arrives here. */
async function sellLessElsewhere(store, line) {
    MockServer.env["pos.order.line"].write([line.id], { qty: 2 });
    await syncDevices(store);
    expect(line.qty).toBe(2);
}

test("a member, goods and a discount that were not sent yet stay on the order", async () => {
    const { store, desk, order } = await setupSpending({ members: { 1000001: found(1) } });
    await desk.addVoucher(order, { code: "v1" });
    await store.loyaltyEngineDesk.identify("1000001", { order });
    const product_tmpl_id = store.models["product.template"].get(5);
    await store.addLineToOrder({ product_tmpl_id, qty: 1, price_unit: 3 }, order);
    const total = order.priceIncl;
    expect(total).toBeGreaterThan(TOTAL - 5);
    MockServer.env["pos.order"].write([order.id], { general_customer_note: "No sugar" });
    await syncDevices(store);
    expect(order.general_customer_note).toBe("No sugar");
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
    expect(order.priceIncl).toBe(total);
    await store.syncAllOrders({ orders: [order] });
    const [stored] = MockServer.env["pos.order"].read([order.id], ["loyalty_engine_member_ref"]);
    expect(stored.loyalty_engine_member_ref).toBe("ref-1");
    expect(storedDiscounts(order)).toBe(order.loyaltyEngineDiscountLines.length);
});

test("a member whose sending failed stays on the order", async () => {
    const { store, order } = await setupSpending({ members: { 1000001: found(1) } });
    await store.syncAllOrders({ orders: [order] });
    await store.loyaltyEngineDesk.identify("1000001", { order });
    let isBroken = true;
    onRpc("pos.order", "sync_from_ui", ({ parent }) => {
        if (isBroken) {
            throw new ConnectionLostError("sync_from_ui");
        }
        return parent();
    });
    await store.syncAllOrders({ orders: [order] });
    isBroken = false;
    MockServer.env["pos.order"].write([order.id], { general_customer_note: "No sugar" });
    await syncDevices(store);
    expect(order.general_customer_note).toBe("No sugar");
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
});

for (const isStored of [false, true]) {
    test(`what another device took off too is taken off once (${
        isStored ? "both are stored" : "theirs is stored"
    })`, async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        const count = order.loyaltyEngineDiscountLines.length;
        if (isStored) {
            await store.syncAllOrders({ orders: [order] });
            order.lines.forEach((line) => (line.write_date ??= order.write_date));
        }
        storeDiscountElsewhere(order);
        await syncDevices(store);
        expect(order.priceIncl).toBe(TOTAL - 5);
        // Those that the server has had longer stay, so that both devices keep the same.
        const kept = order.loyaltyEngineDiscountLines.map(({ uuid }) => /elsewhere/.test(uuid));
        expect(kept).toEqual(Array(count).fill(!isStored));
        expect(storedDiscounts(order)).toBe(isStored ? 2 * count : count);
        // As it is paid the server learns of it: what it is not told now, it is never told.
        order.state = "paid";
        await store.syncAllOrders({ orders: [order] });
        expect(storedDiscounts(order)).toBe(count);
    });
}

test("goods that another device has changed after the spend are noticed before money moves", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await gate.mayPay(order);
    await sellLessElsewhere(store, order.lines[0]);
    const dialogs = watchDialogs(store, (props) => props.cancel());
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs[0].title).toBe("The basket is not the one that this was redeemed for");
    expect(times(ledger, "spend")).toBe(1);
});

for (const isSpent of [false, true]) {
    test(`what another device took off is not made again (${
        isSpent ? "spent" : "held"
    })`, async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        if (isSpent) {
            await gate.mayPay(order);
        }
        await store.syncAllOrders({ orders: [order] });
        const lines = order.loyaltyEngineDiscountLines;
        lines.forEach((line) => (line.write_date ??= order.write_date));
        Object.assign(ledger.rows[0], isSpent ? { is_dropped: true } : { state: "released" });
        ledger.asked.length = 0;
        MockServer.env["pos.order.line"].unlink(lines.map(({ id }) => id));
        await syncDevices(store);
        expect(order.loyaltyEngineDiscountLines).toHaveLength(0);
        expect(await gate.mayPay(order)).toBe(true);
        expect(ledger.asked).toEqual(["redemptions"]);
        expect(order.priceIncl).toBe(TOTAL);
    });
}

test("goods that another device has changed during the spend: nothing goes on by itself", async () => {
    const answer = new Deferred();
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: { spend: () => answer },
    });
    await desk.addVoucher(order, { code: "v1" });
    const pressed = gate.mayPay(order);
    await tick();
    await sellLessElsewhere(store, order.lines[0]);
    spend(ledger, "v1", "5.00");
    const dialogs = watchDialogs(store, (props) => props.cancel?.());
    answer.resolve({ status: "done", redemptions: ledger.rows });
    expect(await pressed).toBe(false);
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs.map(({ title }) => title)).toEqual([
        "Not everything was redeemed",
        "The basket is not the one that this was redeemed for",
    ]);
    expect(times(ledger, "spend")).toBe(1);
});

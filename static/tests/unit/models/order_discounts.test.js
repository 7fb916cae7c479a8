import { expect, test } from "@odoo/hoot";
import { tick } from "@odoo/hoot-mock";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { redemption, setupDiscountTill, total } from "../discount_till";

definePosModels();

/** 3 x 3.00 + 15 %, and 2 x 3.00 + 25 %: 10.35 + 7.50 = 17.85. The first has a SKU. */
async function setup(connection) {
    const { store } = await setupDiscountTill(connection);
    const order = await getFilledOrder(store);
    return { store, order, lines: () => order.loyaltyEngineDiscountLines };
}

function snapshot(order) {
    return order.loyaltyEngineDiscountLines.map((line) => [
        line.uuid,
        line.loyalty_engine_redemption,
        line.price_unit,
        JSON.stringify(line.extra_tax_data),
    ]);
}

test("without a connection nothing is there, and nothing happens", async () => {
    const store = await setupPosEnv();
    const order = await getFilledOrder(store);
    order.recomputeLoyaltyEngineDiscounts();
    expect(order.loyaltyEngineRedemptions).toEqual([]);
    expect(order.loyaltyEngineExplanation).toEqual([]);
    expect(order.loyaltyEngineBlocked).toBe("");
    expect(total(order)).toBe(17.85);
});

test("an amount goes off the order, a line for each set of taxes, to the cent", async () => {
    const { order, lines } = await setup();
    const voucher = redemption("ABSOLUTE", "5.00");
    order.setLoyaltyEngineRedemptions([voucher]);
    expect(total(order)).toBe(12.85);
    expect(lines()).toHaveLength(2);
    for (const line of lines()) {
        expect(line.loyalty_engine_redemption).toBe(voucher.uuid);
        expect(line.full_product_name).toBe("Coffee on us");
        expect(line.extra_tax_data.computation_key).toBe(`loyalty_engine,${voucher.uuid}`);
        expect(line.qty).toBe(1);
    }
    expect(lines().map((line) => line.loyalty_engine_details)).toEqual([
        { kind: "voucher", points: 0, parts: { [order.lines[0].uuid]: 2.9 } },
        { kind: "voucher", points: 0, parts: { [order.lines[1].uuid]: 2.1 } },
    ]);
    // 5.00 in the proportion of 10.35 to 7.50
    expect(lines().map((line) => line.priceIncl)).toEqual([-2.9, -2.1]);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(5);
    expect(order.loyaltyEngineRedemptions[0].reason).toBe("");
});

test("a second run changes nothing, and marks nothing to be sent", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("PERCENTAGE", "12.5"),
        redemption("ABSOLUTE", "1.99"),
    ]);
    const before = snapshot(order);
    order._dirty = false;
    order.lines.forEach((line) => (line._dirty = false));
    order.recomputeLoyaltyEngineDiscounts();
    await tick();
    expect(snapshot(order)).toEqual(before);
    expect(order.isDirty()).toBe(false);
});

test("what the server gives back of a line is no change", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    for (const line of lines()) {
        // As PostgreSQL stores it: keys in another order, and no -0
        const stored = JSON.parse(JSON.stringify(line.extra_tax_data));
        line.extra_tax_data = Object.fromEntries(Object.entries(stored).reverse());
        line.loyalty_engine_details = JSON.parse(JSON.stringify(line.loyalty_engine_details));
    }
    const before = snapshot(order);
    order.recomputeLoyaltyEngineDiscounts();
    expect(snapshot(order)).toEqual(before);
});

test("a split that somebody changed is set right", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    const split = () =>
        lines()
            .map(({ price_unit, qty, discount, tax_ids, extra_tax_data }) => ({
                price_unit,
                qty,
                discount,
                taxes: tax_ids.map(({ id }) => id),
                extra_tax_data,
            }))
            .sort((a, b) => a.price_unit - b.price_unit);
    const right = split();
    const edits = {
        quantity: (line) => (line.qty = 3),
        discount: (line) => (line.discount = 50),
        price: (line) => (line.price_unit = -1),
        base: (line) =>
            (line.extra_tax_data = { ...line.extra_tax_data, manual_total_excluded_currency: -1 }),
        split: (line) => (line.extra_tax_data = false),
        taxes: (line) => line.update({ tax_ids: [["clear"]] }),
    };
    for (const [what, edit] of Object.entries(edits)) {
        edit(lines()[0]);
        order.recomputeLoyaltyEngineDiscounts();
        await tick();
        expect(split()).toEqual(right, { message: what });
        expect(total(order)).toBe(12.85, { message: what });
    }
});

test("a till without the product takes nothing off, and can't be paid at", async () => {
    const { order, lines } = await setup({ discount_product_id: 999 });
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    expect(lines()).toHaveLength(0);
    expect(total(order)).toBe(17.85);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(0);
    expect(order.loyaltyEngineBlocked).toInclude("missing at this till");
});

test("percentages come before amounts, and points last", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("ABSOLUTE", "2.00", { kind: "points", name: "200 points" }),
        redemption("ABSOLUTE", "5.00", { name: "Five off" }),
        redemption("PERCENTAGE", "10", { name: "Ten percent" }),
        redemption("PERCENTAGE", "50", { name: "Half a test", skus: ["test_test"] }),
    ]);
    expect(order.loyaltyEngineExplanation).toEqual([
        { name: "Half a test", before: 17.85, off: 1.73, after: 16.12 },
        { name: "Ten percent", before: 16.12, off: 1.61, after: 14.51 },
        { name: "Five off", before: 14.51, off: 5, after: 9.51 },
        { name: "200 points", before: 9.51, off: 2, after: 7.51 },
    ]);
    expect(total(order)).toBe(7.51);
});

test("never below zero", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("ABSOLUTE", "15.00"),
        redemption("ABSOLUTE", "15.00"),
        redemption("PERCENTAGE", "50"),
    ]);
    expect(total(order)).toBe(0);
    const worths = order.loyaltyEngineRedemptions.map(({ worth }) => worth);
    expect(worths).toEqual([8.92, 0, 8.93]);
    expect(order.loyaltyEngineRedemptions[1].reason).toBe("There is nothing left to take it off.");
});

test("discounts follow the basket", async () => {
    const { store, order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "10")]);
    expect(total(order)).toBe(16.06);
    const [kept] = lines();
    order.lines[0].setQuantity(6);
    await tick();
    // 28.20 less 2.82
    expect(total(order)).toBe(25.38);
    expect(lines()[0].uuid).toBe(kept.uuid);
    order.removeOrderline(order.lines[1]);
    await tick();
    expect(total(order)).toBe(18.63);
    expect(lines()).toHaveLength(1);
    await store.addLineToOrder(
        { product_tmpl_id: store.models["product.template"].get(6), qty: 2 },
        order
    );
    await tick();
    expect(total(order)).toBe(25.38);
    expect(lines()).toHaveLength(2);
});

test("discounts follow price list and fiscal position", async () => {
    const { store, order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "50")]);
    order.fiscal_position_id = store.models["account.fiscal.position"].get(2);
    await tick();
    // No taxes at all: half of 15.00
    expect(total(order)).toBe(7.5);
    expect(lines()).toHaveLength(1);
    order.fiscal_position_id = false;
    await tick();
    expect(total(order)).toBe(8.92);
    order.setPricelist(false);
    await tick();
    // 3 x 100 + 15 %, and 2 x 100 + 25 %: half of 595.00
    expect(total(order)).toBe(297.5);
});

test("a basket without goods has no discount", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    for (const line of order.lines.filter((line) => !line.isLoyaltyEngineDiscount)) {
        order.removeOrderline(line);
    }
    await tick();
    expect(lines()).toHaveLength(0);
    expect(total(order)).toBe(0);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(0);
});

test("a voucher that no longer fits loses its line, not its place", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00", { min_amount: "15.00" })]);
    expect(total(order)).toBe(12.85);
    order.removeOrderline(order.lines[1]);
    await tick();
    expect(lines()).toHaveLength(0);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(0);
    expect(order.loyaltyEngineRedemptions[0].reason).toMatch(/Only for purchases from .*15\.00/);
    order.lines[0].setQuantity(6);
    await tick();
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(5);
});

test("the smallest basket is that of the goods, before any voucher", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("ABSOLUTE", "10.00"),
        redemption("ABSOLUTE", "1.00", { min_amount: "17.85", max_amount: "17.85" }),
        redemption("ABSOLUTE", "1.00", { max_amount: "17.84" }),
    ]);
    expect(order.loyaltyEngineRedemptions.map(({ worth }) => worth)).toEqual([10, 1, 0]);
    expect(order.loyaltyEngineRedemptions[2].reason).toMatch(/up to .*17\.84/);
});

test("one unit of a SKU, or all of them", async () => {
    const { store, order } = await setup();
    const voucher = redemption("PERCENTAGE", "100", { skus: ["test_test"] });
    order.setLoyaltyEngineRedemptions([voucher]);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(3.45);
    store.config._loyalty_engine.units = "all";
    order.recomputeLoyaltyEngineDiscounts();
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(10.35);
});

test("each voucher takes a unit of its own, as long as there is one", async () => {
    const { order } = await setup();
    const coffee = () => redemption("FIXED", "1.00", { skus: ["test_test"] });
    order.setLoyaltyEngineRedemptions([coffee(), coffee(), coffee(), coffee()]);
    expect(order.loyaltyEngineRedemptions.map(({ worth }) => worth)).toEqual([2.45, 2.45, 2.45, 0]);
    expect(order.loyaltyEngineRedemptions[3].reason).toInclude("not higher");
});

test("a voucher that takes nothing off leaves the dearest unit to the next", async () => {
    const { store, order } = await setup();
    // 3.45 and 3.75, of one category
    const category = store.models["product.category"].get(1);
    for (const line of order.lines) {
        line.product_id.product_tmpl_id.categ_id = category;
        line.setQuantity(1);
    }
    order.setLoyaltyEngineRedemptions([
        redemption("FIXED", "3.75", { skus: [category.name] }),
        redemption("PERCENTAGE", "100", { skus: [category.name] }),
    ]);
    expect(order.loyaltyEngineRedemptions.map(({ worth }) => worth)).toEqual([0, 3.75]);
});

test("a product that is missing is named", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "100", { skus: ["TEA"] })]);
    const [{ worth, reason }] = order.loyaltyEngineRedemptions;
    expect(worth).toBe(0);
    expect(reason).toBe("Not in this order: TEA.");
});

test("products that a voucher is for are to be added, where the connection says so", async () => {
    const { store, order } = await setup();
    const toAdd = (...skuLists) =>
        order.loyaltyEngineToAdd(skuLists.map((skus) => ({ skus }))).map(({ barcode }) => barcode);
    for (const [id, barcode] of [
        [8, "CHAIR"],
        [9, "TABLE"],
    ]) {
        store.models["product.template"].get(id).product_variant_ids[0].barcode = barcode;
    }
    const voucher = [{ type: "ABSOLUTE", value: "1.00", skus: ["CHAIR"], venues: [] }];
    expect(toAdd(["CHAIR"])).toEqual([]);
    store.config._loyalty_engine.sku_reading = "add";
    // The first that is sold here; one for each discount, and the same only once.
    expect(toAdd(["TEA", "TABLE", "CHAIR"])).toEqual(["TABLE"]);
    expect(toAdd(["CHAIR"], ["TABLE"], ["CHAIR"], [])).toEqual(["CHAIR", "TABLE"]);
    expect(toAdd(["TEA"])).toEqual([]);
    expect(toAdd(["CHAIR", "test_test"])).toEqual([]);
    expect(order.loyaltyEngineWorth(voucher).toAdd.map(({ barcode }) => barcode)).toEqual([
        "CHAIR",
    ]);
    expect(order.loyaltyEngineWorth(voucher, { min_amount: "100.00" }).toAdd).toEqual([]);
});

test("a category of a product, and those above it, may stand for it", async () => {
    const { store, order } = await setup();
    const [food, goods] = [4, 1].map((id) => store.models["product.category"].get(id));
    food.parent_id = goods;
    store.models["product.template"].get(6).categ_id = food;
    for (const code of ["Food", "Goods / Food", "Goods"]) {
        order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "100", { skus: [code] })]);
        expect(order.loyaltyEngineRedemptions[0].worth).toBe(3.75);
    }
    order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "100", { skus: ["food"] })]);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(0);
});

test("a selling price for the whole order", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("FIXED", "10.00")]);
    expect(total(order)).toBe(10);
});

test("returns limit what can be given, and have no discount themselves", async () => {
    const { store, order } = await setup();
    await store.addLineToOrder(
        {
            product_tmpl_id: store.models["product.template"].get(6),
            qty: -4,
            price_unit: 3,
        },
        order
    );
    // 17.85 less 15.00 returned
    expect(total(order)).toBe(2.85);
    order.setLoyaltyEngineRedemptions([redemption("PERCENTAGE", "10")]);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(1.79);
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    expect(order.loyaltyEngineRedemptions[0].worth).toBe(2.85);
    expect(total(order)).toBe(0);
});

test("a tip stays a tip", async () => {
    const { store, order } = await setup();
    const tip = store.models["product.product"].get(1);
    store.config.tip_product_id = tip;
    await store.addLineToOrder(
        { product_id: tip, product_tmpl_id: tip.product_tmpl_id, price_unit: 2, qty: 1 },
        order
    );
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "50.00")]);
    expect(total(order)).toBe(2);
});

test("points as a payment, refused, released and unknown ones take nothing off", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("ABSOLUTE", "1.00", { kind: "points", booking: "payment" }),
        ...["refused", "released", "unknown", "expired", "returned", "stranded"].map((state) =>
            redemption("ABSOLUTE", "1.00", { state })
        ),
    ]);
    expect(lines()).toHaveLength(0);
    expect(total(order)).toBe(17.85);
});

test("what the server says of a redemption comes first", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("ABSOLUTE", "1.00", { state: "refused", reason: "Used already." }),
    ]);
    expect(order.loyaltyEngineRedemptions[0].reason).toBe("Used already.");
});

test("what is spent keeps its amount, and what is held makes room", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("PERCENTAGE", "100"),
        redemption("ABSOLUTE", "9.00", { kind: "points", state: "spent", frozen_amount: "9.00" }),
    ]);
    expect(order.loyaltyEngineRedemptions.map(({ worth }) => worth)).toEqual([8.85, 9]);
    order.lines[0].setQuantity(6);
    await tick();
    expect(order.loyaltyEngineRedemptions.map(({ worth }) => worth)).toEqual([19.2, 9]);
    expect(order.loyaltyEngineBlocked).toBe("");
});

test("a basket that can't carry what was spent can't be paid", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([
        redemption("PERCENTAGE", "50", { state: "spent", frozen_amount: "8.93" }),
    ]);
    expect(total(order)).toBe(8.92);
    expect(order.loyaltyEngineBlocked).toBe("");
    order.removeOrderline(order.lines[0]);
    await tick();
    expect(total(order)).toBe(0);
    expect(order.loyaltyEngineBlocked).toMatch(/spent for .*8\.93.*carry only .*7\.50/);
    order.lines[0].setQuantity(3);
    await tick();
    expect(order.loyaltyEngineBlocked).toBe("");
});

test("nothing recomputes an order that is no draft", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    const before = snapshot(order);
    order.state = "paid";
    order.setLoyaltyEngineRedemptions([]);
    order.recomputeLoyaltyEngineDiscounts();
    expect(snapshot(order)).toEqual(before);
    expect(order.loyaltyEngineBlocked).toBe("");
});

test("after a reload lines stay as they are until the redemptions are known", async () => {
    const { store, order } = await setup();
    const voucher = redemption("ABSOLUTE", "5.00");
    order.setLoyaltyEngineRedemptions([voucher]);
    const before = snapshot(order);
    order.restoreState(JSON.parse(JSON.stringify(order.uiState)));
    order.recomputeLoyaltyEngineDiscounts();
    expect(snapshot(order)).toEqual(before);
    expect(order.loyaltyEngineBlocked).toInclude("not known yet");
    order.setLoyaltyEngineRedemptions([voucher]);
    expect(snapshot(order)).toEqual(before);
    expect(order.loyaltyEngineBlocked).toBe("");
    expect(store.getOrder().uuid).toBe(order.uuid);
});

test("a line that another till has just added is not this till's to take away", async () => {
    const { store, order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([]);
    const other = redemption("ABSOLUTE", "1.00");
    store.models["pos.order.line"].create({
        order_id: order,
        product_id: store.models["product.product"].get(12),
        qty: 1,
        price_unit: -1,
        price_type: "automatic",
        loyalty_engine_redemption: other.uuid,
    });
    order.recomputeLoyaltyEngineDiscounts();
    expect(lines()).toHaveLength(1);
    expect(order.loyaltyEngineBlocked).toInclude("not known yet");
    // The server's word
    order.setLoyaltyEngineRedemptions([]);
    expect(lines()).toHaveLength(0);
    expect(order.loyaltyEngineBlocked).toBe("");
});

test("what a voucher would be worth beside the others", async () => {
    const { order } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "15.00")]);
    const worth = (type, value, skus = [], limits = {}) =>
        order.loyaltyEngineWorth([{ type, value, skus, venues: [] }], limits);
    // 17.85 - 1.79 - 15.00, and 17.85 less 50 % leaves no room for all of the 15.00
    expect(worth("PERCENTAGE", "10").amount).toBe(1.79);
    expect(worth("PERCENTAGE", "50").amount).toBe(2.85);
    expect(worth("ABSOLUTE", "1.00", ["TEA"])).toEqual({
        amount: 0,
        reason: "Not in this order: TEA.",
        toAdd: [],
    });
    expect(worth("ABSOLUTE", "1.00", [], { min_amount: "20.00" }).amount).toBe(0);
    expect(order.loyaltyEngineWorth([])).toEqual({ amount: 0, reason: "", toAdd: [] });
    expect(total(order)).toBe(2.85);
});

test("a voucher without a discount is a gift, and takes nothing off", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "1", { discounts: [] })]);
    expect(lines()).toHaveLength(0);
    expect(order.loyaltyEngineRedemptions[0].reason).toBe("");
});

test("a discount line is nobody's but the engine's", async () => {
    const { order, lines } = await setup();
    order.setLoyaltyEngineRedemptions([redemption("ABSOLUTE", "5.00")]);
    const [line] = lines();
    const before = snapshot(order);
    expect(line.setQuantity(3)).not.toBe(true);
    line.setDiscount(50);
    line.setUnitPrice(0);
    expect(line.canBeMergedWith(lines()[1])).toBe(false);
    expect(order.lines[0].canBeMergedWith(line)).toBe(false);
    expect(line.isGlobalDiscountApplicable()).toBe(false);
    expect(order.lines[0].isGlobalDiscountApplicable()).toBe(true);
    expect(order.removeOrderline(line)).toBe(false);
    expect(snapshot(order)).toEqual(before);
    expect(order.getOrderlines().map((line) => line.isLoyaltyEngineDiscount)).toEqual([
        false,
        false,
        true,
        true,
    ]);
    expect(order.getLastOrderline().isLoyaltyEngineDiscount).toBe(false);
    expect(line.orderDisplayProductName.name).toBe("Coffee on us");
});

test("what is sent and stored says whose discount it is", async () => {
    const { order } = await setup();
    const voucher = redemption("ABSOLUTE", "5.00");
    order.setLoyaltyEngineRedemptions([voucher]);
    order.setOrderPrices();
    const sent = order.serializeForORM({ keepCommands: true });
    expect(sent.amount_total).toBe(12.85);
    const claims = sent.lines.map(([, , values]) => values.loyalty_engine_redemption || false);
    expect(claims).toEqual([false, false, voucher.uuid, voucher.uuid]);
});

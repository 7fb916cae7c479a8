import { describe, expect, test } from "@odoo/hoot";
import { waitUntil } from "@odoo/hoot-dom";
import { advanceTime, Deferred, tick } from "@odoo/hoot-mock";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { RPCError } from "@web/core/network/rpc";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { getFilledOrder } from "@point_of_sale/../tests/unit/utils";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { isGtin } from "@pos_loyalty_engine/app/services/redemption_desk";
import { found, watchNotifications } from "../utils";
import {
    TOTAL,
    addProduct,
    duration,
    freeze,
    loseAnswer,
    payIn,
    points,
    setupSpending,
    spend,
    states,
    times,
    voucher,
    watchDialogs,
} from "../redemption_utils";

definePosModels();

describe("add and take off", () => {
    test("what a voucher is for is added, where the connection says so", async () => {
        const discounts = [{ type: "ABSOLUTE", value: "1.00", skus: ["CHAIR"], venues: [] }];
        const { store, order, desk } = await setupSpending({
            answers: {
                hold_voucher: ({ code }) => ({
                    status: "held",
                    redemption: voucher(code, { discounts }),
                }),
            },
        });
        const [chair] = store.models["product.template"].get(8).product_variant_ids;
        chair.default_code = "CHAIR";
        const chairs = () => order.lines.filter((line) => line.product_id === chair);
        await desk.addVoucher(order, { code: "A" });
        expect(chairs()).toHaveLength(0);
        expect(order.loyaltyEngineRedemptions[0].reason).toBe("Not in this order: CHAIR.");
        store.config._loyalty_engine.sku_reading = "add";
        await desk.addVoucher(order, { code: "B" });
        expect(chairs()).toHaveLength(1);
        expect(order.loyaltyEngineRedemptions[0].worth).toBe(1);
        // A third one finds it there.
        await desk.addVoucher(order, { code: "C" });
        expect(chairs()).toHaveLength(1);
    });

    test("a voucher is held for an order that the server has, and is on the order", async () => {
        const { desk, order, ledger } = await setupSpending({
            answers: {
                hold_voucher: ({ order_uuid }, rows) => {
                    expect(order.isSynced).toBe(true);
                    expect(order_uuid).toBe(order.uuid);
                    rows.push(voucher());
                    return { status: "held", redemption: voucher() };
                },
            },
        });
        expect(order.isSynced).toBe(false);
        const answer = desk.addVoucher(order, { code: "PROMO-7HD3XP" });
        expect(order.uiState.loyaltyEngine.step.kind).toBe("add");
        expect((await answer).status).toBe("held");
        expect(order.uiState.loyaltyEngine.step).toBe(null);
        expect(order.priceIncl).toBe(TOTAL - 5);
        expect(states(order)).toEqual(["v1 held"]);
        expect(ledger.asked).toEqual(["hold_voucher"]);
    });

    for (const [answer, words] of [
        [{ status: "held_elsewhere", where: "Till 2" }, "This voucher is in use at Till 2."],
        [{ status: "unknown" }, "There is no such voucher."],
        [{ status: "limit", reason: "One a day." }, "One a day."],
        [{ status: "refused", reason: "Used up." }, "Used up."],
        [{ status: "busy" }, "Somebody else was quicker. Try again."],
        [{ status: "down" }, "The Loyalty Engine does not answer."],
        [{ status: "refused" }, "The Loyalty Engine refuses this shop's access. Tell the manager."],
    ]) {
        test(`not held (${JSON.stringify(answer)}): words, and the order as it was`, async () => {
            const { store, desk, order } = await setupSpending({
                answers: { hold_voucher: () => answer },
            });
            const texts = watchNotifications(store);
            await desk.addVoucher(order, { code: "X" });
            expect(texts).toEqual([words]);
            expect(order.priceIncl).toBe(TOTAL);
            expect(states(order)).toEqual([]);
        });
    }

    test("what was taken off earns points only where the connection says so", async () => {
        const { store, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "X" });
        expect(order.loyaltyEngineEligibleTotal).toBeCloseTo(TOTAL - 5);
        store.config._loyalty_engine.discounts_earn = true;
        expect(order.loyaltyEngineEligibleTotal).toBeCloseTo(TOTAL);
    });

    test("a hold whose answer was lost is shown, and can be taken off", async () => {
        const { desk, order } = await setupSpending({
            answers: {
                hold_voucher: (_params, rows) => {
                    rows.push(voucher());
                    return new Deferred();
                },
            },
        });
        const answer = desk.addVoucher(order, { code: "X" });
        await tick();
        await advanceTime(6100);
        expect((await answer).status).toBe("slow");
        expect(states(order)).toEqual(["v1 held"]);
    });

    test("a hold that comes when the order is paid already is let go", async () => {
        const held = new Deferred();
        const { desk, order, ledger } = await setupSpending({
            answers: { hold_voucher: () => held },
        });
        const answer = desk.addVoucher(order, { code: "X" }, { isSilent: true });
        await tick();
        order.state = "paid";
        held.resolve({ status: "held", redemption: voucher() });
        expect((await answer).status).toBe("stopped");
        await tick();
        expect(ledger.asked).toEqual(["hold_voucher", "release"]);
        expect(ledger.params.uuids).toEqual(["v1"]);
        expect(order.loyaltyEngineRedemptions).toEqual([]);
    });

    test("what is held is taken off with one tap, and the open payment follows", async () => {
        const { store, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        const payment = payIn(store, order, "cash");
        expect(payment.amount).toBeCloseTo(TOTAL - 5);
        await desk.remove(order, order.loyaltyEngineShown[0]);
        expect(order.priceIncl).toBe(TOTAL);
        expect(payment.amount).toBe(TOTAL);
        expect(times(ledger, "release")).toBe(1);
    });

    test("what was taken off offline stays off, whatever the server still holds", async () => {
        const { store, book, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        store.data.network.offline = true;
        await desk.remove(order, order.loyaltyEngineShown[0]);
        expect(order.priceIncl).toBe(TOTAL);
        store.data.network.offline = false;
        await book.refresh(order);
        expect(ledger.rows[0].state).toBe("held");
        expect(order.priceIncl).toBe(TOTAL);
        // Until it is put on again by hand
        ledger.answers.hold_voucher = () => ({ status: "held", redemption: voucher() });
        await desk.addVoucher(order, { code: "v1" });
        expect(order.priceIncl).toBe(TOTAL - 5);
    });

    test("with money moving nothing is added or taken off", async () => {
        const { store, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        const payment = payIn(store, order, "bank");
        const texts = watchNotifications(store);
        for (const status of ["waiting", "waitingCard", "timeout", "done", "reversing"]) {
            payment.setPaymentStatus(status);
            await desk.addVoucher(order, { code: "v2" });
            await desk.remove(order, order.loyaltyEngineShown[0]);
            expect(states(order)).toEqual(["v1 held"]);
        }
        expect(texts).toHaveLength(10);
        expect(ledger.asked).toEqual(["hold_voucher"]);
        for (const status of ["pending", "retry"]) {
            payment.setPaymentStatus(status);
            expect(desk.whyNot(order)).toBe("");
        }
    });

    test("points tell the member, how the card came, and what is due", async () => {
        const { desk, order, ledger, store } = await setupSpending({
            members: { 1000001: found(1), "ref-1": found(1) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order, presented: "scan" });
        await desk.addPoints(order, { points: 200 });
        expect(ledger.params).toMatchObject({
            member_ref: "ref-1",
            presented: "scan",
            points: 200,
            due: "17.85",
        });
        // Asking for the balance again takes nothing from the card that was shown.
        await store.loyaltyEngineDesk.refresh(order);
        await desk.addPoints(order, { amount: "1.00" });
        expect(ledger.params).toMatchObject({ presented: "scan", amount: "1.00", due: "17.85" });
    });

    test("an amount of points takes the place of the one before", async () => {
        const { gate, desk, order, ledger, store } = await setupSpending({
            members: { 1000001: found(1) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        for (const uuid of ["p1", "p2"]) {
            ledger.answers.hold_points = (params, rows) => {
                rows.forEach((row) => (row.state = "released"));
                rows.push(points(uuid));
                return { status: "held", redemption: points(uuid) };
            };
            expect(desk.dueForPoints(order)).toBe(TOTAL);
            await desk.addPoints(order, { points: 200 });
            expect(states(order)).toEqual([`${uuid} held`]);
            expect(order.priceIncl).toBe(TOTAL - 2);
        }
        expect(await gate.mayPay(order)).toBe(true);
    });

    test("points that were left out are put back for their member only", async () => {
        const { gate, desk, order, ledger, store } = await setupSpending({
            members: { 1000001: found(1), 1000002: found(2) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        ledger.answers.spend = (params, rows) => ({ status: "down", redemptions: rows });
        watchDialogs(store);
        expect(await gate.mayPay(order)).toBe(false);
        expect(states(order)).toEqual(["p1 refused"]);
        await store.loyaltyEngineDesk.identify("1000002", { order });
        const texts = watchNotifications(store);
        desk.putBack(order, order.loyaltyEngineShown[0]);
        expect(texts).toEqual(["This is another member's: take it off."]);
        expect(states(order)).toEqual(["p1 refused"]);
    });

    for (const [values, connection, words] of [
        [{}, {}, /A used voucher can't be used again/],
        [{ is_local: true }, {}, /^• Voucher v1$/],
        [{ kind: "points" }, { can_read_reactions: true }, /soon but not at once/],
        [{ kind: "points" }, {}, /The manager gets a note to give the points back/],
    ]) {
        test(`what becomes of what was redeemed is told: ${words}`, async () => {
            const { store, gate, desk, order } = await setupSpending({
                answers: {
                    hold_voucher: (params, rows) => {
                        rows.push(voucher("v1", values));
                        return { status: "held", redemption: voucher("v1", values) };
                    },
                },
                connection,
            });
            await desk.addVoucher(order, { code: "v1" });
            await gate.mayPay(order);
            const dialogs = watchDialogs(store, ({ cancel }) => cancel());
            await desk.remove(order, order.loyaltyEngineShown[0]);
            expect(`${dialogs[0].body}`).toMatch(words);
        });
    }

    test("a member who came with the customer was only picked", async () => {
        const { desk, order, ledger, store } = await setupSpending({
            members: { 1000001: found(1) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        expect(ledger.params.presented).toBe("picked");
    });

    test("what is of a member leaves with the member", async () => {
        const { desk, order, store, ledger } = await setupSpending({
            members: { 1000001: found(1), 1000002: found(2) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        await desk.addVoucher(order, { code: "v1" });
        await store.loyaltyEngineDesk.identify("1000002", { order });
        await desk.steps.running(order);
        expect(states(order)).toEqual(["v1 held"]);
        expect(ledger.rows[0].state).toBe("released");
    });

    test("a price list that a new member's customer brings comes along", async () => {
        const { desk, order, store } = await setupSpending({
            members: { 1000001: found(1), 1000002: found(2, { partner_id: 3 }) },
        });
        const pricelist = store.models["product.pricelist"].get(2);
        const customer = store.models["res.partner"].get(3);
        customer.update({ property_product_pricelist: pricelist });
        store.config.use_presets = false;
        expect(order.pricelist_id?.id).not.toBe(2);
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        await store.loyaltyEngineDesk.identify("1000002", { order });
        await waitUntil(() => order.partner_id === customer);
        expect(order.pricelist_id).toBe(pricelist);
    });

    test("a customer's price list comes along while what was the former one's leaves", async () => {
        const { desk, order, store } = await setupSpending({
            members: { "ref-1": found(1, { partner_id: 3 }) },
        });
        const [linked, plain] = [3, 4].map((id) => store.models["res.partner"].get(id));
        const pricelist = store.models["product.pricelist"].get(2);
        linked.update({ loyalty_engine_ref: "ref-1" });
        plain.update({ property_product_pricelist: pricelist });
        store.config.use_presets = false;
        order.setPartner(linked);
        await waitUntil(() => order.loyaltyEngineMember?.wallet);
        await desk.addPoints(order, { points: 200 });
        order.setPartner(plain);
        await waitUntil(() => !order.loyaltyEngineMember);
        await desk.steps.untilFree(order);
        expect(states(order)).toEqual([]);
        expect(order.pricelist_id).toBe(pricelist);
    });

    for (const how of ["identify", "offer"]) {
        test(`another card while the points are being spent (${how})`, async () => {
            const answer = new Deferred();
            const { gate, desk, order, store, ledger } = await setupSpending({
                members: { 1000001: found(1), 1000002: answer },
            });
            store.setOrder(order);
            await store.loyaltyEngineDesk.identify("1000001", { order });
            await desk.addPoints(order, { points: 200 });
            const spending = new Deferred();
            const route = ledger.answers.spend;
            ledger.answers.spend = async ({ claims }, rows) => {
                await spending;
                claims.forEach(({ uuid, amount }) => spend(ledger, uuid, amount));
                return { status: "done", redemptions: rows.map((row) => ({ ...row })) };
            };
            const lookup =
                how === "offer"
                    ? store.loyaltyEngineDesk.offer("1000002", () => {})
                    : store.loyaltyEngineDesk.identify("1000002", { order });
            // Until the engine has answered nobody else is on the order.
            expect(order.loyaltyEngineMember.ref).toBe("ref-1");
            const paid = gate.mayPay(order);
            answer.resolve(found(2));
            await tick();
            spending.resolve();
            expect(await paid).toBe(true);
            await lookup;
            ledger.answers.spend = route;
            expect(order.loyaltyEngineMember.ref).toBe("ref-1");
            expect(states(order)).toEqual(["p1 spent"]);
        });
    }

    test("a card that can't be checked takes the place of the member, and of the points", async () => {
        const { desk, order, store, ledger } = await setupSpending({
            members: { 1000001: found(1), 1000002: { status: "down" } },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        await store.loyaltyEngineDesk.identify("1000002", { order });
        await desk.steps.running(order);
        expect(order.loyaltyEngineMember.code).toBe("1000002");
        expect(states(order)).toEqual([]);
        expect(ledger.rows[0].state).toBe("released");
    });

    test("an empty order with a voucher is not given to the next customer", async () => {
        const { store, desk } = await setupSpending();
        const order = store.addNewOrder();
        order.update({ pricelist_id: false, fiscal_position_id: false });
        expect(store.getEmptyOrder().uuid).toBe(order.uuid);
        await desk.addVoucher(order, { code: "v1" });
        expect(store.getEmptyOrder().uuid).not.toBe(order.uuid);
    });

    test("what came onto a return all the same can be taken off", async () => {
        const { desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        order.is_refund = true;
        expect((await desk.addVoucher(order, { code: "v2" }, { isSilent: true })).status).toBe(
            "stopped"
        );
        await desk.remove(order, order.loyaltyEngineShown[0]);
        expect(states(order)).toEqual([]);
    });

    test("the member of something spent stays", async () => {
        const { gate, desk, order, store } = await setupSpending({
            members: { 1000001: found(1), 1000002: found(2) },
        });
        await store.loyaltyEngineDesk.identify("1000001", { order });
        await desk.addPoints(order, { points: 200 });
        await gate.spendFor(order);
        const texts = watchNotifications(store);
        await store.loyaltyEngineDesk.identify("1000002", { order });
        store.loyaltyEngineDesk.remove(order);
        expect(order.loyaltyEngineMember.ref).toBe("ref-1");
        expect(texts).toHaveLength(2);
    });
});

describe("the basket is closed", () => {
    test("while something is spent, nothing changes", async () => {
        const answer = new Deferred();
        const { store, gate, desk, order, ledger } = await setupSpending({
            answers: { spend: () => answer },
        });
        await desk.addVoucher(order, { code: "v1" });
        const pressed = gate.mayPay(order);
        const texts = watchNotifications(store);
        await addProduct(store, order);
        await store.setDiscountFromUI(order.lines[0], 50);
        expect(payIn(store, order, "cash")).toBe("One moment: this order is being worked on.");
        await desk.addVoucher(order, { code: "v2" });
        expect(order.priceIncl).toBe(TOTAL - 5);
        expect(order.payment_ids).toHaveLength(0);
        expect(texts).toHaveLength(3);
        spend(ledger, "v1", "5.00");
        answer.resolve({ status: "done", redemptions: ledger.rows });
        expect(await pressed).toBe(true);
    });

    test("a product that is scanned while a voucher is checked comes after it", async () => {
        const held = new Deferred();
        const { store, desk, order } = await setupSpending({
            answers: { hold_voucher: () => held },
        });
        const added = desk.addVoucher(order, { code: "v1" });
        const scanned = addProduct(store, order, { qty: 1 });
        await tick();
        expect(order.lines[0].qty).toBe(3);
        held.resolve({ status: "held", redemption: voucher() });
        await added;
        await scanned;
        expect(order.lines[0].qty).toBe(4);
        expect(order.loyaltyEngineShown).toHaveLength(1);
    });

    test("afterwards a change asks: the basket as it is, or the redemption cancelled", async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        let isSure = false;
        const dialogs = watchDialogs(store, (props) => (isSure ? props.confirm() : props.cancel()));
        await addProduct(store, order);
        expect(dialogs).toHaveLength(1);
        expect(dialogs[0].body).toMatch(/The manager gets a note/);
        expect(order.priceIncl).toBe(TOTAL - 5);
        isSure = true;
        await addProduct(store, order);
        expect(ledger.rows[0].state).toBe("returning");
        expect(states(order)).toEqual([]);
        expect(order.priceIncl).toBeGreaterThan(TOTAL);
    });

    test("goods that came another way are noticed before money moves", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        expect(gate.standsBefore(order)).toBe(false);
        order.lines[0].setQuantity(2);
        expect(gate.standsBefore(order)).toBe(true);
        const dialogs = watchDialogs(store, (props) => props.cancel());
        expect(await gate.mayPay(order)).toBe(false);
        expect(dialogs[0].title).toBe("The basket is not the one that this was redeemed for");
        // Nobody is asked who puts it right.
        const summary = await mountWithCleanup(OrderSummary);
        order.selectOrderline(order.lines[0]);
        await summary.updateSelectedOrderline({ buffer: "3", key: "3" });
        expect(dialogs).toHaveLength(1);
        expect(gate.standsBefore(order)).toBe(false);
        expect(await desk.mayChangeBasket(order)).toBe(false);
        expect(dialogs).toHaveLength(2);
    });

    test("a line that stands at nothing is no goods, and what pays isn't either", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await addProduct(store, order);
        const added = order.lines.at(-1);
        const without = order.loyaltyEngineBasket;
        added.setQuantity(0);
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        order.removeOrderline(added);
        expect(gate.standsBefore(order)).toBe(false);
        expect(order.loyaltyEngineBasket).not.toBe(without);
        const [{ product_id }] = order.lines;
        for (const [program_type, isGoods] of [
            ["ewallet", false],
            ["promotion", true],
        ]) {
            const line = store.models["pos.order.line"].create({
                ...{ order_id: order, product_id, qty: 1, price_unit: -3 },
            });
            line.reward_id = { program_id: { program_type } };
            order.triggerRecomputeAllPrices();
            expect(order.loyaltyEngineHasOtherGoods).toBe(isGoods);
            line.delete();
        }
    });

    test("neither a quotation that is settled nor a long press changes it unasked", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        const dialogs = watchDialogs(store, (props) => props.cancel());
        await store._processSaleOrder({});
        const summary = await mountWithCleanup(OrderSummary);
        // What is pressed is not what is selected.
        order.deselectOrderline();
        await summary.onOrderlineLongPress(new Event("press"), order.lines[0]);
        expect(dialogs).toHaveLength(2);
    });

    test("goods of another order come onto one from elsewhere only if that may change", async () => {
        const { store, book, order, ledger } = await setupSpending();
        await store.syncAllOrders({ orders: [order] });
        book.known.clear();
        ledger.rows.push(voucher("v1", { state: "spent", frozen_amount: "5.00" }));
        const dialogs = watchDialogs(store, (props) => props.cancel());
        const source = await getFilledOrder(store);
        expect(await store.mergeOrders(source, order)).toBe(order);
        expect(dialogs).toHaveLength(1);
        expect(source.lines).toHaveLength(2);
    });

    test("a screen that is covered meanwhile covers no question", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        const source = await getFilledOrder(store);
        watchDialogs(store, (props) => {
            expect.step(`covered: ${store.ui.isBlocked}`);
            props.cancel();
        });
        store.ui.block();
        await store.mergeOrders(source, order);
        expect.verifySteps(["covered: false"]);
        expect(store.ui.isBlocked).toBe(true);
        store.ui.unblock();
    });

    test("a tip is no goods", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        await store.setTip(3);
        expect(order.getTip()).toBe(3);
        expect(gate.standsBefore(order)).toBe(false);
    });

    test("the prices stay when the customer's would be others", async () => {
        const { store, gate, desk, order } = await setupSpending();
        const [pricelist, ...others] = store.models["product.pricelist"].getAll();
        expect(others.length).toBeGreaterThan(0);
        order.setPricelist(pricelist);
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        order.setPricelist(others[0]);
        expect(order.pricelist_id.id).toBe(pricelist.id);
    });
});

describe("the order is deleted", () => {
    test("nothing is asked where there was nothing", async () => {
        const { store, order, ledger } = await setupSpending();
        expect(await store._onBeforeDeleteOrder(order)).toBe(true);
        expect(ledger.asked).toEqual([]);
    });

    test("the server gives back what was spent, then it may be deleted", async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        watchDialogs(store, ({ confirm }) => confirm());
        expect(await store.deleteOrders([order])).toBe(true);
        expect(times(ledger, "abandon")).toBe(1);
        expect(store.models["pos.order"].getBy("uuid", order.uuid)).toBe(undefined);
    });

    test("the cashier is asked before something redeemed is given up", async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        const dialogs = watchDialogs(store, ({ cancel }) => cancel());
        await store.onDeleteOrder(order);
        expect(dialogs.map(({ title }) => `${title}`)).toEqual(["Existing orderlines"]);
        await gate.mayPay(order);
        // Also by what asks nothing itself, such as the closing of the register
        expect(await store.deleteOrders([order])).toBe(false);
        expect(`${dialogs[1].title}`).toBe("Already redeemed. Delete the order?");
        expect(dialogs[1].body).toMatch(/A used voucher can't be used again/);
        expect(dialogs).toHaveLength(2);
        expect(times(ledger, "abandon")).toBe(0);
        expect(order.priceIncl).toBe(TOTAL - 5);
    });

    test("not while it is being paid at another till", async () => {
        const { store, desk, order } = await setupSpending({
            answers: { abandon: () => ({ status: "at_payment", where: "Till 2" }) },
        });
        await desk.addVoucher(order, { code: "v1" });
        const dialogs = watchDialogs(store);
        expect(await store.deleteOrders([order])).toBe(false);
        expect(dialogs[0].body).toBe("This order is being paid at Till 2.");
        expect(store.models["pos.order"].getBy("uuid", order.uuid)).toBe(order);
    });

    test("offline: what is only held may go, what was spent may not", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        store.data.network.offline = true;
        expect(await store._onBeforeDeleteOrder(order)).toBe(true);
        store.data.network.offline = false;
        await desk.addVoucher(order, { code: "v2" });
        await gate.mayPay(order);
        store.data.network.offline = true;
        const dialogs = watchDialogs(store, ({ confirm }) => confirm?.());
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect(dialogs[1].body).toMatch(/the till is offline/i);
        const texts = watchNotifications(store);
        store.removeOrder(order, false);
        expect(texts).toHaveLength(1);
        expect(store.models["pos.order"].getBy("uuid", order.uuid)).toBe(order);
        expect(order.priceIncl).toBe(TOTAL - 5);
    });

    test("the server gives back, and Odoo can't delete it: it stays, without the discount", async () => {
        const { store, gate, desk, order } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        patchWithCleanup(store.data, {
            call(model, method) {
                return method === "action_pos_order_cancel"
                    ? Promise.reject(new Error("refused"))
                    : super.call(...arguments);
            },
        });
        watchDialogs(store, ({ confirm }) => confirm());
        await expect(store.deleteOrders([order])).rejects.toThrow("refused");
        expect(store.models["pos.order"].getBy("uuid", order.uuid)).toBe(order);
        expect(order.priceIncl).toBe(TOTAL);
        expect(gate.standsBefore(order)).toBe(false);
        expect(order.loyaltyEngineIsClosed).toBe(false);
    });

    test("the server gives back, and its answer is lost: it stays, without the discount", async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        loseAnswer(ledger, "abandon");
        ledger.answers.release = (_params, redemptions) => ({ status: "done", redemptions });
        const dialogs = watchDialogs(store, ({ confirm }) => confirm?.());
        const answers = [];
        await duration(() => store.deleteOrders([order]).then((answer) => answers.push(answer)));
        expect(answers).toEqual([false]);
        expect(dialogs).toHaveLength(2);
        expect(order.priceIncl).toBe(TOTAL);
        expect(gate.standsBefore(order)).toBe(false);
        // It is told again, and then it may go.
        await advanceTime(100);
        expect(states(order)).toEqual([]);
        expect(await store.deleteOrders([order])).toBe(true);
    });

    test("of an order from elsewhere nothing is given up that is not known", async () => {
        const { store, gate, book, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await gate.mayPay(order);
        book.known.clear();
        order.uiState.loyaltyEngine.redemptions = null;
        ledger.answers.redemptions = () => ({ status: "failed" });
        watchDialogs(store, ({ confirm }) => confirm?.());
        expect(await store.deleteOrders([order])).toBe(false);
        expect(times(ledger, "abandon")).toBe(0);
        delete ledger.answers.redemptions;
        expect(await store.deleteOrders([order])).toBe(true);
        expect(times(ledger, "abandon")).toBe(1);
    });

    test("removed without a question, what is held is given up", async () => {
        const { store, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        store.removeOrder(order, false);
        await tick();
        expect(times(ledger, "abandon")).toBe(1);
    });
});

describe("taken off first, then told", () => {
    const setupSpent = async () => {
        const till = await setupSpending();
        await till.desk.addVoucher(till.order, { code: "v1" });
        await till.gate.mayPay(till.order);
        till.dialogs = watchDialogs(till.store, (props) => props.confirm?.());
        till.ledger.asked.length = 0;
        till.texts = watchNotifications(till.store);
        till.remove = () => till.desk.remove(till.order, till.order.loyaltyEngineShown[0]);
        return till;
    };

    test("it is off the order, and off the server's draft, before the server is told", async () => {
        const till = await setupSpent();
        const { order, ledger, store } = till;
        patchWithCleanup(store, {
            syncAllOrders() {
                expect.step(`saved ${order.priceIncl}`);
                return super.syncAllOrders(...arguments);
            },
        });
        ledger.answers.release = (_params, rows) => {
            expect.step(`told ${order.priceIncl}`);
            rows[0].is_dropped = true;
            return { status: "done", redemptions: rows };
        };
        expect(await till.remove()).toBe(true);
        expect.verifySteps([`saved ${TOTAL}`, `told ${TOTAL}`]);
        expect(states(order)).toEqual([]);
    });

    test("the server's answer is lost: it stays off, says so, and is told again", async () => {
        const till = await setupSpent();
        const { gate, order, ledger } = till;
        loseAnswer(ledger, "release");
        const answers = [];
        await duration(() => till.remove().then((answer) => answers.push(answer, states(order))));
        expect(answers).toEqual([true, ["v1 unknown"]]);
        expect(till.texts).toEqual([
            "Taken off. The server has not confirmed it yet, and is told again.",
        ]);
        expect(order.priceIncl).toBe(TOTAL);
        expect(gate.standsBefore(order)).toBe(false);
        expect(order.loyaltyEngineIsClosed).toBe(false);
        await advanceTime(100);
        expect(ledger.asked).toEqual(["release", "release"]);
        expect(states(order)).toEqual([]);
    });

    test("the request is lost: it stays off, although the server has it as spent", async () => {
        const till = await setupSpent();
        const { book, desk, order, ledger } = till;
        ledger.answers.release = (_params, redemptions) => ({ status: "done", redemptions });
        await till.remove();
        expect(states(order)).toEqual(["v1 unknown"]);
        await book.refresh(order);
        expect(order.priceIncl).toBe(TOTAL);
        expect(times(ledger, "release")).toBe(2);
        // Paid without it, the server is told once more, and nobody waits.
        desk.letGo(order);
        await tick();
        expect(times(ledger, "release")).toBe(3);
    });

    for (const status of ["at_payment", "copy"]) {
        test(`the server says no (${status}): it is back as it was`, async () => {
            const till = await setupSpent();
            const { gate, order, ledger } = till;
            ledger.answers.release = () => ({ status });
            order.lines[0].setQuantity(2);
            expect(gate.standsBefore(order)).toBe(true);
            expect(await till.remove()).toBe(false);
            expect(states(order)).toEqual(["v1 spent"]);
            expect(till.texts[0]).toMatch(/Nothing was changed/);
            // The goods that it was redeemed for are still the others.
            expect(gate.standsBefore(order)).toBe(true);
            order.lines[0].setQuantity(3);
            expect(gate.standsBefore(order)).toBe(false);
            expect(order.priceIncl).toBeCloseTo(TOTAL - 5);
        });
    }

    test("offline, what was spent stays on", async () => {
        const till = await setupSpent();
        till.store.data.network.offline = true;
        expect(await till.remove()).toBe(false);
        expect(till.order.priceIncl).toBe(TOTAL - 5);
        expect(till.ledger.asked).toEqual([]);
    });

    test("the draft can't be saved: the server is told nothing, and it is back", async () => {
        const till = await setupSpent();
        patchWithCleanup(till.store, { syncAllOrders: () => Promise.reject(new RPCError()) });
        expect(await till.remove()).toBe(false);
        expect(states(till.order)).toEqual(["v1 spent"]);
        expect(till.ledger.asked).toEqual([]);
    });
});

describe("a server that says nothing", () => {
    test("an order that is not saved in time holds nothing", async () => {
        const { store, desk, order, ledger } = await setupSpending();
        freeze(store, ledger);
        const texts = watchNotifications(store);
        expect(await duration(() => desk.addVoucher(order, { code: "v1" }))).toBeWithin(5000, 5500);
        expect(texts).toEqual([
            "The order could not be saved, so nothing can be redeemed with it.",
        ]);
        expect(order.loyaltyEngineIsBusy).toBe(false);
    });

    for (const isSpent of [false, true]) {
        test(`taking off what is ${
            isSpent ? "spent" : "held"
        } ends, and so does deleting`, async () => {
            const { store, gate, desk, order, ledger } = await setupSpending();
            await desk.addVoucher(order, { code: "v1" });
            if (isSpent) {
                await gate.mayPay(order);
            }
            watchDialogs(store, (props) => props.confirm?.());
            freeze(store, ledger);
            const removed = () => desk.remove(order, order.loyaltyEngineShown[0]);
            expect(await duration(removed)).toBeLessThan(13000);
            expect(order.loyaltyEngineIsBusy).toBe(false);
            expect(await duration(() => store._onBeforeDeleteOrder(order))).toBeLessThan(13000);
            expect(order.loyaltyEngineIsBusy).toBe(false);
        });
    }

    test("the step that spends takes 8 seconds", async () => {
        const { store, gate, desk, order, ledger } = await setupSpending();
        await desk.addVoucher(order, { code: "v1" });
        await desk.addVoucher(order, { code: "v2" });
        watchDialogs(store);
        freeze(store, ledger);
        expect(await duration(() => gate.mayPay(order))).toBeWithin(8000, 8500);
        expect(order.priceIncl).toBe(TOTAL);
        expect(gate.standsBefore(order)).toBe(false);
    });
});

describe("codes that nothing in the shop has", () => {
    test("a GTIN is known by its check digit", async () => {
        for (const code of ["4006381333931", "96385074", "036000291452", "10614141000415"]) {
            expect(isGtin(code)).toBe(true);
        }
        for (const code of ["4006381333930", "1000001", "PROMO-7HD3XP", "123456789", ""]) {
            expect(isGtin(code)).toBe(false);
        }
    });

    test("no member has it: it may be a voucher", async () => {
        const { store, order, ledger } = await setupSpending();
        store.setOrder(order);
        await store.loyaltyEngineDesk.offer("PROMO-1", () => expect.step("not found"));
        expect(ledger.asked).toEqual(["hold_voucher"]);
        expect(states(order)).toEqual(["PROMO-1 held"]);
        expect.verifySteps([]);
    });

    test("a second one, scanned while the first is being held, waits its turn", async () => {
        const first = new Deferred();
        const { store, desk, order } = await setupSpending({
            answers: {
                hold_voucher: async ({ code }, rows) => {
                    await (code === "PROMO-1" && first);
                    rows.push(voucher(code));
                    return { status: "held", redemption: voucher(code) };
                },
            },
        });
        store.setOrder(order);
        const held = desk.addVoucher(order, { code: "PROMO-1" });
        const offered = store.loyaltyEngineDesk.offer("PROMO-2", () => expect.step("not found"));
        await tick();
        first.resolve();
        await held;
        await offered;
        expect(states(order)).toEqual(["PROMO-1 held", "PROMO-2 held"]);
        expect.verifySteps([]);
    });

    test("not while a payment is under way: that is said, and the code is asked again later", async () => {
        const { store, order, ledger } = await setupSpending();
        store.setOrder(order);
        payIn(store, order, "cash").payment_status = "waiting";
        const texts = watchNotifications(store);
        await store.loyaltyEngineDesk.offer("PROMO-1", () => expect.step("not found"));
        expect(texts).toHaveLength(1);
        expect(texts[0]).toMatch(/A payment was already taken/);
        expect.verifySteps([]);
        expect(ledger.asked).toEqual([]);
        expect(store.loyaltyEngineDesk.mayOffer({ code: "PROMO-1", type: "product" })).toBe(true);
    });

    test("on a return nothing is a voucher", async () => {
        const { store, order, ledger } = await setupSpending();
        store.setOrder(order);
        order.is_refund = true;
        await store.loyaltyEngineDesk.offer("PROMO-1", () => expect.step("not found"));
        expect.verifySteps(["not found"]);
        expect(ledger.asked).toEqual([]);
        expect(store.loyaltyEngineDesk.mayOffer({ code: "PROMO-1", type: "product" })).toBe(false);
    });

    test("neither has it: said once, and not asked again", async () => {
        const { store, ledger } = await setupSpending({
            answers: { hold_voucher: () => ({ status: "unknown" }) },
        });
        const texts = watchNotifications(store);
        const member = store.loyaltyEngineDesk;
        await member.offer("PROMO-1", () => expect.step("not found"));
        expect.verifySteps(["not found"]);
        expect(texts).toEqual(['Neither a member nor a voucher has the code "PROMO-1".']);
        expect(member.mayOffer({ code: "PROMO-1", type: "product" })).toBe(false);
        expect(times(ledger, "hold_voucher")).toBe(1);
    });

    test("the engine says why a voucher can't be used, and may be asked again", async () => {
        const { store } = await setupSpending({
            answers: { hold_voucher: () => ({ status: "rejected", reason: "Used in May." }) },
        });
        const texts = watchNotifications(store);
        const member = store.loyaltyEngineDesk;
        await member.offer("PROMO-1", () => expect.step("not found"));
        expect.verifySteps(["not found"]);
        expect(texts).toEqual(["Used in May."]);
        expect(member.mayOffer({ code: "PROMO-1", type: "product" })).toBe(false);
        await advanceTime(31 * 1000);
        expect(member.mayOffer({ code: "PROMO-1", type: "product" })).toBe(true);
    });

    test("a product that the shop lacks, and a till without vouchers, ask for no voucher", async () => {
        const { store, ledger } = await setupSpending({ connection: { vouchers: false } });
        await store.loyaltyEngineDesk.offer("PROMO-1", () => {});
        store.config._loyalty_engine.vouchers = true;
        await store.loyaltyEngineDesk.offer("4006381333931", () => {});
        expect(ledger.asked).toEqual([]);
    });

    test("an engine that fails is left alone for a while", async () => {
        const { store } = await setupSpending({
            answers: { hold_voucher: () => ({ status: "down" }) },
        });
        const member = store.loyaltyEngineDesk;
        await member.offer("PROMO-1", () => expect.step("not found"));
        expect(member.mayOffer({ code: "PROMO-2", type: "product" })).toBe(false);
        expect.verifySteps([]);
    });
});

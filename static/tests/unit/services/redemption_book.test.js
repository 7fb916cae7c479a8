import { expect, test } from "@odoo/hoot";
import { advanceTime, Deferred, tick } from "@odoo/hoot-mock";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { watchNotifications } from "../utils";
import {
    TOTAL,
    duration,
    freeze,
    setupSpending,
    states,
    times,
    voucher,
    watchDialogs,
} from "../redemption_utils";

definePosModels();

test("an order made here is not asked about", async () => {
    const { store, book, order, ledger } = await setupSpending();
    await store.syncAllOrders({ orders: [order] });
    await book.ensure(order);
    expect(ledger.asked).toEqual([]);
});

test("an order from elsewhere is asked about once, again only if that failed", async () => {
    const { store, book, order, ledger } = await setupSpending();
    await store.syncAllOrders({ orders: [order] });
    book.known.clear();
    ledger.rows.push(voucher());
    ledger.answers.redemptions = () => ({ status: "busy" });
    await book.ensure(order);
    expect(order.priceIncl).toBe(TOTAL);
    delete ledger.answers.redemptions;
    await book.ensure(order);
    await book.ensure(order);
    expect(ledger.asked).toEqual(["redemptions", "redemptions"]);
    expect(order.priceIncl).toBe(TOTAL - 5);
});

const setupStrange = async (...rows) => {
    const till = await setupSpending();
    await till.store.syncAllOrders({ orders: [till.order] });
    till.book.known.clear();
    till.ledger.rows.push(...rows);
    till.texts = watchNotifications(till.store);
    return till;
};

test("an order from elsewhere is looked up before it is paid, once", async () => {
    const { gate, order, ledger } = await setupStrange();
    expect(gate.standsBefore(order)).toBe(true);
    expect(await gate.mayPay(order)).toBe(true);
    expect(gate.standsBefore(order)).toBe(false);
    expect(ledger.asked).toEqual(["redemptions"]);
});

test("what was spent for it elsewhere is on it before it is paid", async () => {
    const row = voucher("v1", { state: "spent", frozen_amount: "5.00" });
    const { gate, order, texts } = await setupStrange(row);
    expect(await gate.mayPay(order)).toBe(false);
    expect(order.priceIncl).toBe(TOTAL - 5);
    expect(texts).toEqual(["Vouchers and points were checked again. Look at the total."]);
    expect(await gate.mayPay(order)).toBe(true);
});

test("a look that runs is waited for, and not doubled", async () => {
    const { gate, book, order, ledger } = await setupStrange();
    const answer = new Deferred();
    ledger.answers.redemptions = () => answer;
    book.ensure(order);
    book.ensure(order);
    const pressed = gate.mayPay(order);
    await tick();
    answer.resolve({ status: "found", redemptions: [] });
    expect(await pressed).toBe(true);
    expect(ledger.asked).toEqual(["redemptions"]);
});

test("a server that can't say holds up no sale, and is not asked twice", async () => {
    const { store, gate, order, ledger } = await setupStrange();
    freeze(store, ledger);
    const answers = [];
    const pressed = () => gate.mayPay(order).then((answer) => answers.push(answer));
    expect(await duration(pressed)).toBeWithin(3000, 3500);
    expect(answers).toEqual([true]);
    expect(gate.standsBefore(order)).toBe(false);
    expect(ledger.asked).toEqual(["redemptions"]);
});

test("nothing is added to an order from elsewhere before it is known", async () => {
    const row = voucher("v1", { state: "spent", frozen_amount: "5.00" });
    const { desk, order, ledger, texts } = await setupStrange(row);
    ledger.answers.redemptions = () => ({ status: "failed" });
    await desk.addVoucher(order, { code: "v2" });
    expect(texts).toEqual(["The server does not say what is redeemed on this order. Try again."]);
    expect(times(ledger, "hold_voucher")).toBe(0);
    delete ledger.answers.redemptions;
    await desk.addVoucher(order, { code: "v2" });
    expect(states(order)).toEqual(["v1 spent", "v2 held"]);
});

test("with a discount of which nothing can be learnt the cashier decides", async () => {
    const { store, gate, book, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await gate.mayPay(order);
    book.known.clear();
    order.uiState.loyaltyEngine.redemptions = null;
    ledger.answers.redemptions = () => ({ status: "failed" });
    let isSure = false;
    const dialogs = watchDialogs(store, (props) => (isSure ? props.confirm() : props.cancel()));
    expect(await gate.mayPay(order)).toBe(false);
    expect(order.priceIncl).toBe(TOTAL - 5);
    isSure = true;
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs.map(({ title }) => title)).toEqual([
        "Vouchers and points can't be checked now",
        "Vouchers and points can't be checked now",
    ]);
    expect(order.priceIncl).toBe(TOTAL);
    expect(gate.standsBefore(order)).toBe(false);
});

test("what is still being spent elsewhere is followed until it is clear", async () => {
    const { store, book, order, ledger } = await setupSpending();
    await store.syncAllOrders({ orders: [order] });
    book.known.clear();
    ledger.rows.push(voucher("v1", { state: "spending", frozen_amount: "5.00" }));
    await book.ensure(order);
    expect(states(order)).toEqual(["v1 spending"]);
    await advanceTime(2100);
    ledger.rows[0].state = "spent";
    await advanceTime(5100);
    expect(states(order)).toEqual(["v1 spent"]);
    await advanceTime(60000);
    expect(times(ledger, "redemptions")).toBe(3);
});

test("what is dropped at the server is gone", async () => {
    const { gate, book, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    Object.assign(ledger.rows[0], { state: "spent", is_dropped: true, frozen_amount: "5.00" });
    await book.refresh(order);
    expect(order.priceIncl).toBe(TOTAL);
    expect(gate.standsBefore(order)).toBe(false);
});

test("what is held is renewed while the order is worked on, and not for ever", async () => {
    const { store, desk, order, ledger } = await setupSpending();
    store.router.state.current = "PaymentScreen";
    await desk.addVoucher(order, { code: "v1" });
    await advanceTime(2 * 60 * 1000);
    await advanceTime(2 * 60 * 1000);
    expect(times(ledger, "renew")).toBe(2);
    expect(ledger.params).toMatchObject({ at_payment: true });
    store.addNewOrder();
    await advanceTime(2 * 60 * 1000);
    expect(times(ledger, "renew")).toBe(2);
    store.setOrder(order);
    for (let i = 0; i < 40; i++) {
        await advanceTime(2 * 60 * 1000);
    }
    expect(times(ledger, "renew")).toBeWithin(25, 31);
});

test("what is learnt while it is being renewed begins no second renewal", async () => {
    const answer = new Deferred();
    const { book, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    ledger.answers.renew = () => answer;
    await advanceTime(2 * 60 * 1000);
    await book.refresh(order);
    delete ledger.answers.renew;
    answer.resolve({ status: "done" });
    await tick();
    await advanceTime(2 * 60 * 1000);
    expect(times(ledger, "renew")).toBe(2);
});

test("an order without redemptions is not renewed", async () => {
    const { desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await desk.remove(order, order.loyaltyEngineShown[0]);
    await advanceTime(3600 * 1000);
    expect(times(ledger, "renew")).toBe(0);
});

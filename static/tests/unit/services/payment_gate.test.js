import { expect, test } from "@odoo/hoot";
import { advanceTime, animationFrame, Deferred, tick } from "@odoo/hoot-mock";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { batched } from "@web/core/utils/timing";
import { effect } from "@web/core/utils/reactive";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { CustomerDisplayPosAdapter } from "@point_of_sale/app/customer_display/customer_display_adapter";
import { stateInWords } from "@pos_loyalty_engine/app/utils/redemption_words";
import { watchNotifications } from "../utils";
import {
    TOTAL,
    UNKNOWN,
    addProduct,
    duration,
    freeze,
    payIn,
    setupSpending,
    spend,
    states,
    times,
    voucher,
    watchDialogs,
} from "../redemption_utils";

definePosModels();

test("pos_online_payment deletes no payment that this till has stored", async () => {
    patchWithCleanup(PosStore.prototype, {
        updateOnlinePaymentsDataWithServer(order, next) {
            expect.step(`${order.name} ${Boolean(this.models)} ${next}`);
        },
    });
    const { store } = await setupSpending();
    const ask = (name, next, ...payments) =>
        store.updateOnlinePaymentsDataWithServer({ name, payment_ids: payments }, next);
    const cash = { payment_method_id: {} };
    const online = { payment_method_id: { is_online_payment: true } };
    ask("none", 0);
    ask("cash, not stored", 0, cash);
    ask("cash, stored", 0, { ...cash, isSynced: true });
    ask("cash, stored", 5, { ...cash, isSynced: true });
    ask("online too", 0, { ...cash, isSynced: true }, online);
    expect.verifySteps([
        "none true 0",
        "cash, not stored true 0",
        "cash, stored true false",
        "cash, stored true 5",
        "online too true 0",
    ]);
});

test("an order without redemptions is not asked about, and not waited for", async () => {
    const { gate, desk, order, ledger } = await setupSpending();
    expect(gate.standsBefore(order)).toBe(false);
    expect(desk.guardsBasket(order)).toBe(false);
    expect(await gate.mayPay(order)).toBe(true);
    desk.letGo(order);
    expect(ledger.asked).toEqual([]);
});

test("each is spent once, for what it takes off", async () => {
    const { gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await desk.addPoints(order, { points: 200 });
    expect(gate.standsBefore(order)).toBe(true);
    const total = order.priceIncl;
    expect(await gate.mayPay(order)).toBe(true);
    expect(times(ledger, "spend")).toBe(1);
    expect(ledger.params.claims).toEqual([
        { uuid: "v1", amount: "5.00" },
        { uuid: "p1", amount: "2.00" },
    ]);
    expect(order.priceIncl).toBe(total);
    expect(states(order)).toEqual(["v1 spent", "p1 spent"]);
    expect(gate.standsBefore(order)).toBe(false);
    expect(await gate.spendFor(order)).toBe(true);
    expect(times(ledger, "spend")).toBe(1);
});

test("who asks meanwhile gets the same promise, and a second press nothing", async () => {
    const { gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    const presses = [gate.mayPay(order), gate.mayPay(order)];
    expect(gate.spendFor(order)).toBe(gate.spendFor(order));
    expect(await Promise.all(presses)).toEqual([true, false]);
    expect(times(ledger, "spend")).toBe(1);
});

test("a refusal: off the order, the payment follows, and nothing goes on by itself", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: {
            spend: (_params, rows) => {
                Object.assign(rows[0], { state: "refused", reason: "already used" });
                return { status: "done", redemptions: rows };
            },
        },
    });
    await desk.addVoucher(order, { code: "v1" });
    const payment = payIn(store, order, "cash");
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(order.priceIncl).toBe(TOTAL);
    expect(payment.amount).toBe(TOTAL);
    expect(states(order)).toEqual(["v1 refused"]);
    expect(dialogs).toHaveLength(1);
    expect(dialogs[0].body).toMatch(/Voucher v1: already used/);
    expect(dialogs[0].body).toMatch(/New total: \$.17\.85/);
    expect(dialogs[0].body).toMatch(/Nothing was charged/);
    // Another press pays, and asks nobody.
    expect(gate.standsBefore(order)).toBe(false);
    expect(times(ledger, "spend")).toBe(1);
});

test("money that the customer has handed over stays what it is", async () => {
    const { store, gate, desk, order } = await setupSpending({
        answers: {
            spend: (_params, rows) => {
                rows[0].state = "refused";
                return { status: "done", redemptions: rows };
            },
        },
    });
    await desk.addVoucher(order, { code: "v1" });
    const payment = payIn(store, order, "cash");
    payment.setAmount(50);
    watchDialogs(store);
    await gate.mayPay(order);
    expect(payment.amount).toBe(50);
});

test("what was not its turn yet stays on the order, for the next press", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: {
            spend: (_params, rows) => {
                spend(ledger, "p1", "2.00");
                rows[1].state = "refused";
                return { status: "done", redemptions: rows };
            },
        },
    });
    await desk.addPoints(order, { points: 200 });
    await desk.addVoucher(order, { code: "v1" });
    await desk.addVoucher(order, { code: "v2" });
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(states(order)).toEqual(["p1 spent", "v1 refused", "v2 held"]);
    expect(dialogs[0].body).toMatch(/Voucher v2: not tried yet/);
    delete ledger.answers.spend;
    expect(await gate.mayPay(order)).toBe(true);
    expect(ledger.params.claims).toEqual([{ uuid: "v2", amount: "5.00" }]);
});

for (const status of ["done", "down"]) {
    test(`the engine could not be asked (${status}): the sale goes on without`, async () => {
        const { store, gate, book, desk, order, ledger } = await setupSpending({
            answers: { spend: (_params, redemptions) => ({ status, redemptions }) },
        });
        await desk.addVoucher(order, { code: "v1" });
        await desk.addVoucher(order, { code: "v2" });
        const dialogs = watchDialogs(store);
        expect(await gate.mayPay(order)).toBe(false);
        expect(states(order)).toEqual(["v1 refused", "v2 refused"]);
        expect(order.priceIncl).toBe(TOTAL);
        expect(dialogs).toHaveLength(1);
        expect(gate.standsBefore(order)).toBe(false);
        // A look changes no total; the cashier may.
        await book.refresh(order);
        expect(order.priceIncl).toBe(TOTAL);
        desk.putBack(order, order.loyaltyEngineShown[0]);
        expect(states(order)).toEqual(["v1 held", "v2 refused"]);
        delete ledger.answers.spend;
        expect(await gate.mayPay(order)).toBe(true);
        expect(order.priceIncl).toBe(TOTAL - 5);
        // What stayed aside becomes free.
        desk.letGo(order);
        await tick();
        expect(ledger.params.uuids).toEqual(["v2"]);
    });
}

test("offline nothing is sent, and the sale goes on without", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    store.data.network.offline = true;
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs[0].body).toMatch(/the till is offline/);
    expect(order.priceIncl).toBe(TOTAL);
    expect(gate.standsBefore(order)).toBe(false);
    expect(times(ledger, "spend")).toBe(0);
});

test("a silent spend is looked at once; what is spent then is spent", async () => {
    const { gate, desk, order, ledger } = await setupSpending({
        answers: {
            spend: ({ claims }) => {
                spend(ledger, claims[0].uuid, claims[0].amount);
                return new Deferred();
            },
        },
    });
    await desk.addVoucher(order, { code: "v1" });
    let result = null;
    gate.mayPay(order).then((answer) => (result = answer));
    await advanceTime(7900);
    expect(result).toBe(null);
    await advanceTime(200);
    expect(result).toBe(true);
    expect(times(ledger, "redemptions")).toBe(1);
    expect(order.priceIncl).toBe(TOTAL - 5);
});

test("a frozen server takes 8 seconds, and the sale goes on without", async () => {
    const silent = () => new Deferred();
    const { store, gate, desk, order } = await setupSpending({
        answers: { spend: silent, redemptions: silent },
    });
    await desk.addVoucher(order, { code: "v1" });
    const dialogs = watchDialogs(store);
    let result = null;
    gate.mayPay(order).then((answer) => (result = answer));
    await advanceTime(7900);
    expect(result).toBe(null);
    await advanceTime(200);
    expect(result).toBe(false);
    expect(states(order)).toEqual(["v1 unknown"]);
    expect(order.priceIncl).toBe(TOTAL);
    expect(dialogs[0].body).toMatch(/Voucher v1: no answer in time/);
    expect(dialogs[0].body).toMatch(/To ask again/);
    expect(dialogs[0].body).toMatch(/points come back by themselves/);
    expect(gate.standsBefore(order)).toBe(false);
});

test("the server does not know either: said otherwise, and as payable", async () => {
    const { store, gate, desk, order } = await setupSpending({
        answers: { spend: UNKNOWN },
    });
    await desk.addVoucher(order, { code: "v1" });
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs[0].body).toMatch(/Voucher v1: not known whether redeemed/);
    expect(dialogs[0].body).not.toMatch(/no answer in time|To ask again/);
    expect(dialogs[0].body).toMatch(/points come back by themselves/);
    expect(order.priceIncl).toBe(TOTAL);
    expect(gate.standsBefore(order)).toBe(false);
});

test("no answer in time: a look learns that the server does not know", async () => {
    const { store, gate, book, desk, order, ledger } = await setupSpending({
        answers: {
            spend: (_params, rows) => {
                rows[0].state = "spending";
                return { status: "done", redemptions: rows };
            },
        },
    });
    const wordsOf = () => stateInWords(order.loyaltyEngineShown[0]).words;
    await desk.addVoucher(order, { code: "v1" });
    watchDialogs(store);
    await gate.mayPay(order);
    expect(wordsOf()).toMatch(/^no answer in time/);
    await book.refresh(order);
    expect(wordsOf()).toMatch(/^no answer in time/);
    ledger.rows[0].state = "unknown";
    await book.refresh(order);
    expect(wordsOf()).toMatch(/^not known whether redeemed/);
});

for (const state of ["held", "spending", "unknown"]) {
    test(`a silent spend of which the ledger says "${state}" is off the order`, async () => {
        const { store, gate, desk, order } = await setupSpending({
            answers: {
                spend: (_params, rows) => {
                    rows[0].state = state;
                    return Promise.reject(new Error("gone"));
                },
            },
        });
        await desk.addVoucher(order, { code: "v1" });
        watchDialogs(store);
        expect(await gate.mayPay(order)).toBe(false);
        expect(states(order)).toEqual(["v1 unknown"]);
        expect(order.priceIncl).toBe(TOTAL);
    });
}

test("what is found spent after all comes back, while nobody has paid", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: { spend: UNKNOWN },
    });
    await desk.addVoucher(order, { code: "v1" });
    const payment = payIn(store, order, "cash");
    watchDialogs(store);
    await gate.mayPay(order);
    expect(payment.amount).toBe(TOTAL);
    const texts = watchNotifications(store);
    spend(ledger, "v1", "5.00");
    await advanceTime(2100);
    expect(states(order)).toEqual(["v1 spent"]);
    expect(payment.amount).toBeCloseTo(TOTAL - 5);
    expect(texts).toEqual(["Redeemed after all, and on the order again: Voucher v1"]);
});

test("whoever counts money for the old total must close a dialog with the new one", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: { spend: UNKNOWN },
    });
    await desk.addVoucher(order, { code: "v1" });
    store.router.state.current = "PaymentScreen";
    const dialogs = watchDialogs(store);
    await gate.mayPay(order);
    dialogs.length = 0;
    const texts = watchNotifications(store);
    spend(ledger, "v1", "5.00");
    await advanceTime(2100);
    expect(texts).toEqual([]);
    expect(dialogs).toHaveLength(1);
    expect(dialogs[0].title).toInclude(`${(TOTAL - 5).toFixed(2)}`);
    expect(dialogs[0].body).toInclude("Redeemed after all, and on the order again: Voucher v1");
});

test("the customer reads of a voucher once, not of each state that it goes through", async () => {
    const { gate, desk, order } = await setupSpending();
    const told = [];
    effect(
        batched((order) => {
            const adapter = new CustomerDisplayPosAdapter();
            adapter.formatOrderData(order);
            told.push(adapter.data.loyaltyEngine?.vouchers);
        }),
        [order]
    );
    await desk.addVoucher(order, { code: "v1" });
    await animationFrame();
    expect(told.at(-1)).toEqual(["Voucher v1"]);
    const before = told.length;
    await gate.mayPay(order);
    await animationFrame();
    expect(states(order)).toEqual(["v1 spent"]);
    expect(told.length).toBe(before);
});

test("what is found spent after a payment was taken changes no total", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        answers: { spend: UNKNOWN },
    });
    await desk.addVoucher(order, { code: "v1" });
    watchDialogs(store);
    await gate.mayPay(order);
    payIn(store, order, "bank").setPaymentStatus("done");
    spend(ledger, "v1", "5.00");
    await advanceTime(2100);
    expect(times(ledger, "redemptions")).toBe(1);
    expect(states(order)).toEqual(["v1 unknown"]);
    expect(order.priceIncl).toBe(TOTAL);
});

test("a voucher that the basket gives no right to is not burned, but let go", async () => {
    const { gate, desk, order, ledger } = await setupSpending({
        answers: {
            hold_voucher: (_params, rows) => {
                rows.push(voucher("v1", { min_amount: "100.00" }));
                return { status: "held", redemption: rows[0] };
            },
        },
    });
    await desk.addVoucher(order, { code: "v1" });
    expect(order.priceIncl).toBe(TOTAL);
    expect(gate.standsBefore(order)).toBe(false);
    expect(await gate.mayPay(order)).toBe(true);
    desk.letGo(order);
    await tick();
    expect(ledger.asked).toEqual(["hold_voucher", "release"]);
});

test("a look at an order from elsewhere is part of the time that the step has", async () => {
    const { store, gate, book, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    book.known.clear();
    watchDialogs(store);
    freeze(store, ledger);
    let looks = 0;
    ledger.answers.redemptions = async (_params, rows) => {
        if (!looks++) {
            await new Promise((resolve) => setTimeout(resolve, 2500));
        }
        return { status: "found", redemptions: rows };
    };
    expect(await duration(() => gate.mayPay(order))).toBeWithin(8000, 8500);
});

test("without the product of discounts a voucher is not redeemed, and the reason is told", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending({
        connection: { discount_product_id: 999999 },
    });
    await desk.addVoucher(order, { code: "v1" });
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(dialogs.map(({ title }) => title)).toEqual(["This order can't be paid as it is"]);
    expect(dialogs[0].body).toBe(order.loyaltyEngineBlocked);
    expect(times(ledger, "spend")).toBe(0);
    await desk.remove(order, order.loyaltyEngineShown[0]);
    expect(await gate.mayPay(order)).toBe(true);
});

test("with a payment taken nothing is spent: it leaves the order", async () => {
    const { store, gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    payIn(store, order, "bank").setPaymentStatus("done");
    const dialogs = watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(ledger.asked).toEqual(["hold_voucher", "release"]);
    expect(order.priceIncl).toBe(TOTAL);
    expect(dialogs[0].body).toMatch(/take what is still to pay/);
    expect(dialogs[0].body).not.toMatch(/Nothing was charged/);
    expect(gate.standsBefore(order)).toBe(false);
});

test("an order that was paid before keeps what was spent for it, and asks nobody", async () => {
    const { gate, desk, order, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await gate.mayPay(order);
    order.state = "paid";
    expect(gate.standsBefore(order)).toBe(false);
    // The server has refused to store it.
    order.state = "draft";
    expect(await gate.mayPay(order)).toBe(true);
    expect(order.priceIncl).toBe(TOTAL - 5);
    expect(times(ledger, "spend")).toBe(1);
});

const TEN_PERCENT = [{ type: "PERCENTAGE", value: "10", skus: [], venues: [] }];

async function burnAtOnce(answers = {}) {
    const row = voucher("v1", { state: "spent", discounts: TEN_PERCENT });
    const hold_voucher = (_params, rows) => {
        rows.push(row);
        return { status: "held", redemption: { ...row } };
    };
    const till = await setupSpending({ answers: { ...answers, hold_voucher } });
    await till.desk.addVoucher(till.order, { code: "v1" });
    return till;
}

test("burned at once: follows the basket, and is claimed when it comes to paying", async () => {
    const { store, gate, order, ledger } = await burnAtOnce();
    expect(order.priceIncl).toBeCloseTo(TOTAL - 1.79);
    expect(order.loyaltyEngineIsClosed).toBe(false);
    await addProduct(store, order);
    const total = order.priceIncl;
    const worth = order.loyaltyEngineValueOf(order.loyaltyEngineShown[0]);
    expect(worth).toBeGreaterThan(1.79);
    expect(gate.standsBefore(order)).toBe(true);
    expect(await gate.mayPay(order)).toBe(true);
    expect(ledger.params.claims).toEqual([{ uuid: "v1", amount: worth.toFixed(2) }]);
    expect(order.priceIncl).toBe(total);
    expect(order.loyaltyEngineIsClosed).toBe(true);
    expect(gate.standsBefore(order)).toBe(false);
});

test("burned at once: it stays on the order, whatever becomes of the claim", async () => {
    const { store, gate, order, ledger } = await burnAtOnce({
        spend: () => ({ status: "busy" }),
        redemptions: () => ({ status: "busy" }),
    });
    const total = order.priceIncl;
    expect(await gate.mayPay(order)).toBe(true);
    const payment = payIn(store, order, "bank");
    payment.setPaymentStatus("done");
    expect(await gate.mayPay(order)).toBe(true);
    expect(order.priceIncl).toBe(total);
    expect(states(order)).toEqual(["v1 spent"]);
    expect(times(ledger, "release")).toBe(0);
});

test("burned at once, and given up: said, and told to the server", async () => {
    const { store, desk, order, ledger } = await burnAtOnce();
    const dialogs = watchDialogs(store, (props) => props.confirm?.());
    await desk.remove(order, order.loyaltyEngineShown[0]);
    expect(dialogs[0].body).toMatch(/A used voucher can't be used again/);
    expect(ledger.rows[0].state).toBe("returning");
    expect(order.priceIncl).toBe(TOTAL);
});

test("burned at once: its order becomes no other one's without a question", async () => {
    const { store, desk, order, ledger } = await burnAtOnce();
    let isSure = false;
    const dialogs = watchDialogs(store, (props) => (isSure ? props.confirm() : props.cancel()));
    expect(await desk.mayDissolve(order)).toBe(false);
    expect(dialogs).toHaveLength(1);
    expect(ledger.asked).toEqual(["hold_voucher"]);
    isSure = true;
    expect(await desk.mayDissolve(order)).toBe(true);
    expect(ledger.rows[0].state).toBe("returning");
});

test("burned at once, and points: both are claimed by one press", async () => {
    const { gate, desk, order, ledger } = await burnAtOnce();
    await desk.addPoints(order, { points: 200 });
    const total = order.priceIncl;
    expect(await gate.mayPay(order)).toBe(true);
    expect(ledger.params.claims).toEqual([
        { uuid: "v1", amount: "1.79" },
        { uuid: "p1", amount: "2.00" },
    ]);
    expect(order.priceIncl).toBe(total);
    expect(times(ledger, "spend")).toBe(1);
});

test("burned at once, and points refused: the voucher stays, and the next press claims it", async () => {
    const { store, gate, desk, order, ledger } = await burnAtOnce({
        spend: (_params, rows) => {
            rows[1].state = "refused";
            return { status: "done", redemptions: rows };
        },
    });
    await desk.addPoints(order, { points: 200 });
    watchDialogs(store);
    expect(await gate.mayPay(order)).toBe(false);
    expect(states(order)).toEqual(["v1 spent", "p1 refused"]);
    delete ledger.answers.spend;
    expect(await gate.mayPay(order)).toBe(true);
    expect(ledger.params.claims).toEqual([{ uuid: "v1", amount: "1.79" }]);
});

test("several: how far it is is looked at, and only when it takes long", async () => {
    const answer = new Deferred();
    const { gate, desk, order, ledger } = await setupSpending({
        answers: { spend: () => answer },
    });
    await desk.addVoucher(order, { code: "v1" });
    await desk.addVoucher(order, { code: "v2" });
    const pressed = gate.mayPay(order);
    await advanceTime(900);
    expect(times(ledger, "redemptions")).toBe(0);
    spend(ledger, "v1", "5.00");
    await advanceTime(200);
    expect(order.uiState.loyaltyEngine.step).toMatchObject({ done: 1, of: 2 });
    spend(ledger, "v2", "5.00");
    answer.resolve({ status: "done", redemptions: ledger.rows });
    expect(await pressed).toBe(true);
    await advanceTime(3000);
    expect(times(ledger, "redemptions")).toBe(1);
});

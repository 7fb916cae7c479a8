import { expect, test } from "@odoo/hoot";
import { Deferred, tick } from "@odoo/hoot-mock";
import { waitUntil } from "@odoo/hoot-dom";
import { mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { PosPayment } from "@point_of_sale/app/models/pos_payment";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { TOTAL, setupSpending, spend, times, voucher, watchDialogs } from "../redemption_utils";

definePosModels();

/** A card method with a terminal that takes what is asked. */
function useTerminal(store, values = {}) {
    const method = store.models["pos.payment.method"].find((item) => item.type === "bank");
    Object.defineProperty(method, "payment_terminal", {
        value: { fastPayments: false, ...values },
        configurable: true,
    });
    patchWithCleanup(method, { use_payment_terminal: "test" });
    patchWithCleanup(PosPayment.prototype, {
        async pay() {
            expect.step(`charge ${this.amount.toFixed(2)}`);
            this.setPaymentStatus("done");
            return true;
        },
    });
    return method;
}

async function mountScreen(till) {
    const screen = await mountWithCleanup(PaymentScreen, {
        props: { orderUuid: till.order.uuid },
    });
    till.store.router.state.current = "PaymentScreen";
    return screen;
}

const REFUSE = (_params, rows) => {
    Object.assign(rows[0], { state: "refused", reason: "already used" });
    return { status: "done", redemptions: rows };
};

test("without redemptions a request leaves as it always did", async () => {
    const till = await setupSpending();
    const method = useTerminal(till.store, { fastPayments: true });
    const screen = await mountScreen(till);
    screen.addNewPaymentLine(method);
    // In the same tick: nothing was waited for.
    expect.verifySteps([`charge ${TOTAL}`]);
    expect(till.ledger.asked).toEqual([]);
});

test("everything is spent before the terminal is asked", async () => {
    const till = await setupSpending({
        answers: {
            spend: ({ claims }, rows) => {
                expect.step("spend");
                spend(till.ledger, claims[0].uuid, claims[0].amount);
                return { status: "done", redemptions: rows };
            },
        },
    });
    const method = useTerminal(till.store, { fastPayments: true });
    const screen = await mountScreen(till);
    await till.desk.addVoucher(till.order, { code: "v1" });
    await screen.addNewPaymentLine(method);
    await till.gate.spends.get(till.order.uuid);
    await tick();
    expect.verifySteps(["spend", "charge 12.85"]);
});

test("a retry spends nothing again, and asks nobody", async () => {
    const till = await setupSpending();
    const method = useTerminal(till.store);
    const screen = await mountScreen(till);
    await till.desk.addVoucher(till.order, { code: "v1" });
    await screen.addNewPaymentLine(method);
    const [line] = till.order.payment_ids;
    await screen.sendPaymentRequest(line);
    line.setPaymentStatus("retry");
    await screen.sendPaymentRequest(line);
    expect.verifySteps(["charge 12.85", "charge 12.85"]);
    expect(times(till.ledger, "spend")).toBe(1);
});

test("after a refusal nothing is sent: the line has the new due, and waits", async () => {
    const till = await setupSpending({ answers: { spend: REFUSE } });
    const method = useTerminal(till.store);
    const screen = await mountScreen(till);
    await till.desk.addVoucher(till.order, { code: "v1" });
    await screen.addNewPaymentLine(method);
    const [line] = till.order.payment_ids;
    const dialogs = watchDialogs(till.store);
    await screen.sendPaymentRequest(line);
    expect.verifySteps([]);
    expect(dialogs).toHaveLength(1);
    expect(line.amount).toBe(TOTAL);
    expect(line.payment_status).toBe("pending");
    await screen.sendPaymentRequest(line);
    expect.verifySteps([`charge ${TOTAL}`]);
});

test("a double click charges once", async () => {
    const answer = new Deferred();
    const till = await setupSpending({ answers: { spend: () => answer } });
    const method = useTerminal(till.store);
    const screen = await mountScreen(till);
    await till.desk.addVoucher(till.order, { code: "v1" });
    await screen.addNewPaymentLine(method);
    const [line] = till.order.payment_ids;
    const clicks = [screen.sendPaymentRequest(line), screen.sendPaymentRequest(line)];
    // Nor does anything else happen to the payments meanwhile.
    await screen.addNewPaymentLine(till.store.models["pos.payment.method"].get(1));
    screen.deletePaymentLine(line.uuid);
    screen.numberBuffer.set("3");
    screen.updateSelectedPaymentline();
    expect(till.order.payment_ids).toHaveLength(1);
    expect(line.amount).toBeCloseTo(12.85);
    spend(till.ledger, "v1", "5.00");
    answer.resolve({ status: "done", redemptions: till.ledger.rows });
    await Promise.all(clicks);
    expect.verifySteps(["charge 12.85"]);
    expect(times(till.ledger, "spend")).toBe(1);
});

test("a line that is gone when the answer comes is not sent", async () => {
    const answer = new Deferred();
    const till = await setupSpending({ answers: { spend: () => answer } });
    const method = useTerminal(till.store);
    const screen = await mountScreen(till);
    await till.desk.addVoucher(till.order, { code: "v1" });
    await screen.addNewPaymentLine(method);
    const [line] = till.order.payment_ids;
    const click = screen.sendPaymentRequest(line);
    till.order.removePaymentline(line);
    spend(till.ledger, "v1", "5.00");
    answer.resolve({ status: "done", redemptions: till.ledger.rows });
    await click;
    expect.verifySteps([]);
});

for (const [name, change] of [
    ["that was paid in the meantime", ({ order }) => (order.state = "paid")],
    ["whose line was sent in the meantime", (_till, line) => line.setPaymentStatus("waitingCard")],
]) {
    test(`an order ${name} is not charged`, async () => {
        const till = await setupSpending();
        const method = useTerminal(till.store);
        const screen = await mountScreen(till);
        await till.desk.addVoucher(till.order, { code: "v1" });
        await screen.addNewPaymentLine(method);
        const [line] = till.order.payment_ids;
        patchWithCleanup(till.gate, {
            async mayPay() {
                const mayPay = await super.mayPay(...arguments);
                change(till, line);
                return mayPay;
            },
        });
        await screen.sendPaymentRequest(line);
        expect(times(till.ledger, "spend")).toBe(1);
        expect.verifySteps([]);
    });
}

for (const [isHeld, steps] of [
    [true, []],
    [false, [`charge ${TOTAL}`]],
]) {
    test(`one single terminal, ${isHeld ? "something" : "nothing"} held: ${
        isHeld ? "the request waits for a press" : "the request leaves by itself"
    }`, async () => {
        const till = await setupSpending();
        const method = useTerminal(till.store, { fastPayments: true });
        const others = till.store.config.payment_method_ids.filter(({ id }) => id !== method.id);
        till.store.config.update({ payment_method_ids: [["unlink", ...others]] });
        if (isHeld) {
            await till.desk.addVoucher(till.order, { code: "v1" });
        }
        const screen = await mountScreen(till);
        await tick();
        expect.verifySteps(steps);
        expect(till.order.payment_ids).toHaveLength(1);
        if (isHeld) {
            await screen.sendPaymentRequest(till.order.payment_ids[0]);
            expect.verifySteps(["charge 12.85"]);
        }
    });
}

// --- Validate ---

async function validate(till, { fastPaymentMethod = null } = {}) {
    const validation = new OrderPaymentValidation({
        pos: till.store,
        orderUuid: till.order.uuid,
        fastPaymentMethod,
    });
    await validation.validateOrder(false);
    return validation;
}

function pay(till, id = 1) {
    return till.order.addPaymentline(till.store.models["pos.payment.method"].get(id)).data;
}

test("Validate spends when every check has passed, and not before", async () => {
    const till = await setupSpending();
    await till.desk.addVoucher(till.order, { code: "v1" });
    // Not paid: a check refuses, and nothing is spent.
    await validate(till);
    expect(times(till.ledger, "spend")).toBe(0);
    pay(till);
    await validate(till);
    expect(times(till.ledger, "spend")).toBe(1);
    expect(till.order.state).toBe("paid");
    expect(till.order.amount_total).toBeCloseTo(12.85);
});

test("Validate without redemptions makes no request of ours", async () => {
    const till = await setupSpending();
    pay(till);
    await validate(till);
    expect(till.order.state).toBe("paid");
    expect(till.ledger.asked).toEqual([]);
});

test("a refusal at Validate leaves a draft that the next press pays", async () => {
    const till = await setupSpending({ answers: { spend: REFUSE } });
    await till.desk.addVoucher(till.order, { code: "v1" });
    const payment = pay(till);
    watchDialogs(till.store);
    await validate(till);
    expect(till.order.state).toBe("draft");
    expect(payment.amount).toBe(TOTAL);
    await validate(till);
    expect(till.order.state).toBe("paid");
    expect(till.order.amount_total).toBe(TOTAL);
    expect(times(till.ledger, "spend")).toBe(1);
});

test("a fast payment that is refused leaves no payment behind; the next one pays", async () => {
    const till = await setupSpending({ answers: { spend: REFUSE } });
    const method = till.store.models["pos.payment.method"].get(2);
    await till.desk.addVoucher(till.order, { code: "v1" });
    watchDialogs(till.store);
    await validate(till, { fastPaymentMethod: method });
    expect(till.order.state).toBe("draft");
    expect(till.order.payment_ids).toHaveLength(0);
    await validate(till, { fastPaymentMethod: method });
    expect(till.order.state).toBe("paid");
    expect(till.order.amount_paid).toBe(TOTAL);
});

test("nobody validates while something is being spent", async () => {
    const answer = new Deferred();
    const till = await setupSpending({ answers: { spend: () => answer } });
    await till.desk.addVoucher(till.order, { code: "v1" });
    pay(till);
    const presses = [validate(till), validate(till)];
    till.store.setOrder(till.order);
    await waitUntil(() => till.order.loyaltyEngineIsBusy);
    await till.store.validateOrderFast(till.store.models["pos.payment.method"].get(2));
    expect(till.order.payment_ids).toHaveLength(1);
    spend(till.ledger, "v1", "5.00");
    answer.resolve({ status: "done", redemptions: till.ledger.rows });
    await Promise.all(presses);
    expect(till.order.state).toBe("paid");
    expect(times(till.ledger, "spend")).toBe(1);
});

test("before an online payment is shown, everything is spent; elsewhere a check spends nothing", async () => {
    const till = await setupSpending();
    await till.desk.addVoucher(till.order, { code: "v1" });
    const payment = pay(till, 2);
    const validation = new OrderPaymentValidation({
        pos: till.store,
        orderUuid: till.order.uuid,
    });
    expect(await validation.isOrderValid()).toBe(true);
    expect(times(till.ledger, "spend")).toBe(0);
    patchWithCleanup(payment.payment_method_id, { is_online_payment: true });
    expect(await validation.isOrderValid()).toBe(true);
    expect(times(till.ledger, "spend")).toBe(1);
});

test("where no connection is, nothing is sold with a discount of another till", async () => {
    const store = await setupPosEnv();
    const order = await getFilledOrder(store);
    store.models["pos.order.line"].create({
        order_id: order,
        product_id: order.lines[0].product_id,
        price_unit: -5,
        qty: 1,
        loyalty_engine_redemption: "r1",
    });
    let answer = "cancel";
    const dialogs = watchDialogs(store, (props) => props[answer]?.());
    const till = { store, order };
    const screen = await mountScreen(till);
    await screen.addNewPaymentLine(useTerminal(store));
    await screen.sendPaymentRequest(order.payment_ids[0]);
    // Before a terminal is asked, too
    expect.verifySteps([]);
    expect(dialogs).toHaveLength(1);
    dialogs.length = 0;
    order.removePaymentline(order.payment_ids[0]);
    order.addPaymentline(store.models["pos.payment.method"].get(1)).data.setAmount(TOTAL);
    const validation = new OrderPaymentValidation({ pos: store, orderUuid: order.uuid });
    expect(await validation.isOrderValid()).toBe(false);
    expect(dialogs).toHaveLength(1);
    expect(order.loyaltyEngineDiscountLines).toHaveLength(1);
    answer = "confirm";
    expect(await validation.isOrderValid()).toBe(false);
    expect(order.loyaltyEngineDiscountLines).toHaveLength(0);
    expect(order.totalDue).toBe(TOTAL);
    expect(await validation.isOrderValid()).toBe(true);
    expect(dialogs).toHaveLength(2);
});

test("what this basket gives no right to is free again once the sale is made", async () => {
    const till = await setupSpending({
        answers: {
            hold_voucher: (_params, rows) => {
                rows.push(voucher("v1", { min_amount: "100.00" }));
                return { status: "held", redemption: rows[0] };
            },
        },
    });
    await till.desk.addVoucher(till.order, { code: "v1" });
    pay(till);
    await validate(till);
    expect(till.order.state).toBe("paid");
    expect(till.ledger.rows[0].state).toBe("released");
    expect(times(till.ledger, "spend")).toBe(0);
});

test("a fast payment that money was moved for stays after a refusal", async () => {
    const till = await setupSpending({ answers: { spend: REFUSE } });
    await till.desk.addVoucher(till.order, { code: "v1" });
    watchDialogs(till.store);
    const validation = new OrderPaymentValidation({
        pos: till.store,
        orderUuid: till.order.uuid,
        fastPaymentMethod: till.store.models["pos.payment.method"].get(2),
    });
    validation.loyaltyEngineFastPayment.setPaymentStatus("done");
    await validation.shouldHideValidationBehindFeedbackScreen();
    expect(till.order.payment_ids).toHaveLength(1);
});

test("an online payment of an order that can't be paid spends nothing, nor does one that is done", async () => {
    const till = await setupSpending();
    await till.desk.addVoucher(till.order, { code: "v1" });
    const payment = pay(till, 2);
    patchWithCleanup(payment.payment_method_id, { is_online_payment: true });
    payment.setAmount(1);
    const validation = new OrderPaymentValidation({
        pos: till.store,
        orderUuid: till.order.uuid,
    });
    expect(await validation.isOrderValid()).toBe(false);
    payment.setAmount(till.order.totalDue);
    payment.setPaymentStatus("done");
    expect(await validation.isOrderValid()).toBe(true);
    expect(till.ledger.asked).toEqual(["hold_voucher"]);
});

test("an online payment is not shown after a refusal", async () => {
    const till = await setupSpending({ answers: { spend: REFUSE } });
    await till.desk.addVoucher(till.order, { code: "v1" });
    const payment = pay(till, 2);
    patchWithCleanup(payment.payment_method_id, { is_online_payment: true });
    watchDialogs(till.store);
    const validation = new OrderPaymentValidation({
        pos: till.store,
        orderUuid: till.order.uuid,
    });
    expect(await validation.isOrderValid()).toBe(false);
});

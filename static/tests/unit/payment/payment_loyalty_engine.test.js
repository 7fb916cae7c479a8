import { describe, expect, test } from "@odoo/hoot";
import { advanceTime, Deferred, tick } from "@odoo/hoot-mock";
import { ConnectionLostError } from "@web/core/network/rpc";
import { mountWithCleanup, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder } from "@point_of_sale/../tests/unit/utils";
import { ClosePosPopup } from "@point_of_sale/app/components/popups/closing_popup/closing_popup";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { PaymentLoyaltyEngine } from "@pos_loyalty_engine/app/utils/payment/payment_loyalty_engine";
import {
    TOTAL,
    UNKNOWN,
    duration,
    freeze,
    loseAnswer,
    points,
    setupSpending,
    spend,
    times,
    voucher,
    watchDialogs,
} from "../redemption_utils";
import { found, watchNotifications } from "../utils";

definePosModels();

/** Points at one cent each, held as a payment. */
const HOLD = ({ amount, points: wanted }, rows) => {
    const count = wanted ?? Math.ceil(Number(amount) * 100 - 1e-6);
    const row = points(`p${rows.length + 1}`, {
        booking: "payment",
        points: count,
        amount: (count / 100).toFixed(2),
    });
    rows.push(row);
    return { status: "held", redemption: { ...row } };
};

async function setupPoints({ answers = {}, connection = {}, isMember = true } = {}) {
    const till = await setupSpending({
        answers: { hold_points: HOLD, ...answers },
        connection: { points_booking: "payment", ...connection },
        members: { 1000001: found(1) },
    });
    const { store, order, ledger } = till;
    const method = store.models["pos.payment.method"].find((item) => item.type === "bank");
    patchWithCleanup(method, { use_payment_terminal: "loyalty_engine" });
    const terminal = new PaymentLoyaltyEngine(store, method);
    Object.defineProperty(method, "payment_terminal", { value: terminal, configurable: true });
    if (isMember) {
        await store.loyaltyEngineDesk.identify("1000001", { order, presented: "scan" });
    }
    const screen = await mountWithCleanup(PaymentScreen, { props: { orderUuid: order.uuid } });
    store.router.state.current = "PaymentScreen";
    ledger.asked.length = 0;
    const dialogs = watchDialogs(store, (props) => till.reply?.(props));
    const add = async (amount) => {
        await screen.addNewPaymentLine(method);
        const line = order.payment_ids.at(-1);
        if (amount !== undefined) {
            line.setAmount(amount);
        }
        return line;
    };
    return Object.assign(till, {
        method,
        terminal,
        screen,
        dialogs,
        add,
        points: store.loyaltyEnginePointsPayment,
    });
}

/** What a line claims, and how far it is. */
const stateOf = (line) => [
    line.getAmount(),
    line.payment_status,
    line.loyalty_engine_redemption || "",
    line.loyalty_engine_points || 0,
];

describe("taking", () => {
    test("amount first, then held and spent, and the line claims it", async () => {
        const till = await setupPoints();
        const line = await till.add();
        // What the member's points are worth, and nothing was asked yet.
        expect(line.getAmount()).toBe(12.5);
        expect(till.ledger.asked).toEqual([]);
        line.setAmount(5);
        await till.screen.sendPaymentRequest(line);
        expect(till.ledger.asked).toEqual(["hold_points", "spend"]);
        expect(till.ledger.params.claims).toEqual([{ uuid: "p1", amount: "5.00" }]);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
        expect(till.order.remainingDue).toBe(12.85);
        expect(till.dialogs).toEqual([]);
        expect(till.order.loyaltyEngineEligibleTotal).toBeCloseTo(12.85);
        // It is tender: the basket stays open, and takes nothing off.
        expect(till.order.loyaltyEngineIsClosed).toBe(false);
        expect(till.order.totalDue).toBe(TOTAL);
    });

    test("points are no cash: goods that leave the order afterwards are not paid out", async () => {
        const till = await setupPoints();
        await till.screen.sendPaymentRequest(await till.add(12.5));
        expect(till.gate.standsBefore(till.order)).toBe(false);
        const [line] = till.order.lines;
        const quantity = line.getQuantity();
        line.setQuantity(0);
        expect(till.order.totalDue).toBeLessThan(12.5);
        expect(till.order.loyaltyEngineOverpaid).toBeCloseTo(12.5 - till.order.totalDue);
        expect(await till.gate.mayPay(till.order)).toBe(false);
        expect(till.dialogs.at(-1).title).toBe("More points were taken than the sale comes to");
        // Offline they can't be undone: the cashier decides, and the server tells the manager.
        till.store.data.network.offline = true;
        till.reply = (props) => props.cancel();
        expect(await till.gate.mayPay(till.order)).toBe(false);
        till.reply = (props) => props.confirm();
        expect(await till.gate.mayPay(till.order)).toBe(true);
        till.store.data.network.offline = false;
        line.setQuantity(quantity);
        expect(till.gate.standsBefore(till.order)).toBe(false);
        expect(till.order.loyaltyEngineOverpaid).toBe(0);
    });

    test("what is asked for is the amount, and how the card was shown", async () => {
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) => {
                    expect.step([params.amount, params.due, params.presented, params.member_ref]);
                    return HOLD(params, rows);
                },
            },
        });
        await till.screen.sendPaymentRequest(await till.add(5));
        expect.verifySteps([["5.00", "17.85", "scan", "ref-1"]]);
    });

    test("the amount is corrected to what the points are worth", async () => {
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) => HOLD({ points: 490 }, rows),
            },
        });
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([4.9, "done", "p1", 490]);
        expect(till.ledger.params.claims).toEqual([{ uuid: "p1", amount: "4.90" }]);
        expect(till.order.remainingDue).toBe(12.95);
    });

    test("the server has the claim before anything is taken", async () => {
        const till = await setupPoints();
        patchWithCleanup(till.store, {
            async syncAllOrders({ orders } = {}) {
                const [line] = orders[0].payment_ids;
                expect.step(`saved ${line.loyalty_engine_redemption} ${line.payment_status}`);
                expect(till.ledger.asked).toEqual(["hold_points"]);
                return super.syncAllOrders(...arguments);
            },
        });
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect.verifySteps(["saved p1 waiting"]);
        expect(line.payment_status).toBe("done");
    });

    test("an order that can't be saved takes no points", async () => {
        const till = await setupPoints();
        patchWithCleanup(till.store, {
            async syncAllOrders() {
                throw new ConnectionLostError("");
            },
        });
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        await tick();
        expect(till.ledger.asked).toEqual(["hold_points", "release"]);
    });

    test("a double click takes them once", async () => {
        const answer = new Deferred();
        const till = await setupPoints({ answers: { spend: () => answer } });
        const line = await till.add(5);
        const clicks = [
            till.screen.sendPaymentRequest(line),
            till.screen.sendPaymentRequest(line),
            till.terminal.sendPaymentRequest(line.uuid),
        ];
        await tick();
        expect(line.loyaltyEngineStatusInWords).toBe("Taking the points…");
        // Nothing else happens to the order meanwhile.
        await till.screen.addNewPaymentLine(till.store.models["pos.payment.method"].get(1));
        till.screen.deletePaymentLine(line.uuid);
        await till.screen.sendForceDone(line);
        expect(line.payment_status).toBe("waiting");
        expect(till.order.payment_ids).toHaveLength(1);
        await tick();
        spend(till.ledger, "p1", "5.00");
        answer.resolve({ status: "done", redemptions: till.ledger.rows });
        await Promise.all(clicks);
        expect(times(till.ledger, "hold_points")).toBe(1);
        expect(times(till.ledger, "spend")).toBe(1);
        expect(line.payment_status).toBe("done");
    });

    test("vouchers are spent first, and the points alone after that", async () => {
        const till = await setupPoints();
        await till.desk.addVoucher(till.order, { code: "v1" });
        const line = await till.add(5);
        till.ledger.asked.length = 0;
        await till.screen.sendPaymentRequest(line);
        expect(till.ledger.asked).toEqual(["spend", "hold_points", "spend"]);
        expect(till.ledger.params.claims).toEqual([{ uuid: "p2", amount: "5.00" }]);
        expect(stateOf(line)).toEqual([5, "done", "p2", 500]);
        expect(till.order.remainingDue).toBe(7.85);
    });

    test("fully paid with points, the sale is validated where that is set", async () => {
        const till = await setupPoints();
        patchWithCleanup(till.store.config, { auto_validate_terminal_payment: true });
        patchWithCleanup(till.screen, { validateOrder: () => expect.step("validate") });
        const line = await till.add(TOTAL);
        await till.screen.sendPaymentRequest(line);
        expect.verifySteps(["validate"]);
    });
});

describe("not taken", () => {
    const refused = async (till, amount = 5) => {
        const line = await till.add(amount);
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("retry");
        expect(till.store.paymentTerminalInProgress).toBe(false);
        expect(till.dialogs).toHaveLength(1);
        expect(line.loyaltyEngineStatusInWords).toBe(till.dialogs[0].body);
        return { line, words: till.dialogs[0].body };
    };

    test("without a member", async () => {
        const till = await setupPoints({ isMember: false });
        const { words } = await refused(till);
        expect(words).toInclude("Scan the member's card");
        expect(till.ledger.asked).toEqual([]);
    });

    test("without an amount", async () => {
        const { words } = await refused(await setupPoints(), 0);
        expect(words).toBe("Type an amount first.");
    });

    test("for more than is left to pay", async () => {
        const till = await setupPoints();
        const { words } = await refused(till, TOTAL + 1);
        expect(words).toInclude("17.85 are left to pay");
        expect(till.ledger.asked).toEqual([]);
    });

    test("offline", async () => {
        const till = await setupPoints();
        patchWithCleanup(till.desk.service, { isOffline: () => true });
        const { words } = await refused(till);
        expect(words).toInclude("The till is offline");
        expect(till.ledger.asked).toEqual([]);
    });

    test("where points are no payment any more", async () => {
        const till = await setupPoints();
        patchWithCleanup(till.desk.connection, { points_booking: "discount" });
        const { words } = await refused(till);
        expect(words).toInclude("Points are no payment here");
        expect(till.ledger.asked).toEqual([]);
    });

    test("where no connection is set", async () => {
        const till = await setupPoints();
        till.store.loyaltyEnginePointsPayment = null;
        await refused(till);
        expect(till.ledger.asked).toEqual([]);
        till.store.loyaltyEnginePointsPayment = till.points;
    });

    test("of a member whose code could not be checked", async () => {
        const till = await setupPoints({ isMember: false });
        till.order.setLoyaltyEngineMember({ code: "1000001", trouble: "down" });
        const { words } = await refused(till);
        expect(words).toInclude("could not be checked yet");
        expect(till.ledger.asked).toEqual([]);
    });

    test("while something else is done with the order, and once it is paid", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        const wait = new Deferred();
        const step = till.desk.steps.during(till.order, { kind: "look" }, () => wait);
        expect(till.points.whyNot(till.order, line)).toInclude("being worked on");
        expect(await till.terminal.sendPaymentReversal(line.uuid)).toBe(false);
        wait.resolve();
        await step;
        expect(till.points.whyNot(till.order, line)).toBe("");
        till.order.state = "paid";
        expect(till.points.whyNot(till.order, line)).toBe("This sale is paid.");
        till.order.state = "draft";
        expect(till.ledger.asked).toEqual([]);
    });

    test("a fault leaves a line that can be sent again, and other terminals usable", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        line.setPaymentStatus("waiting");
        till.store.paymentTerminalInProgress = true;
        patchWithCleanup(till.points, { take: () => Promise.reject(new Error("a bug")) });
        await expect(till.terminal.sendPaymentRequest(line.uuid)).rejects.toThrow("a bug");
        expect(line.payment_status).toBe("retry");
        expect(till.store.paymentTerminalInProgress).toBe(false);
    });

    test("after a hold whose answer is lost, the next one takes its place", async () => {
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) => {
                    HOLD(params, rows);
                    return { status: "failed" };
                },
            },
        });
        await refused(till);
        expect(till.ledger.asked).toEqual(["hold_points"]);
        expect(till.order.loyaltyEngineShown).toHaveLength(0);
        till.ledger.answers.hold_points = HOLD;
        const [line] = till.order.payment_ids;
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("done");
    });

    test("what the server has dropped meanwhile pays nothing", async () => {
        const till = await setupPoints({
            answers: {
                spend: ({ claims }, rows) => {
                    spend(till.ledger, claims[0].uuid, "5.00");
                    rows[0].is_dropped = true;
                    return { status: "done", redemptions: rows };
                },
            },
        });
        const { line } = await refused(till);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
    });

    test("with no points at all nobody is asked to take less", async () => {
        const till = await setupPoints({
            answers: { hold_points: () => ({ status: "too_many", available: 0 }) },
        });
        const { words } = await refused(till);
        expect(words).toBe("Only 0 points are available.");
    });

    test("less is offered once", async () => {
        const till = await setupPoints({
            answers: { hold_points: () => ({ status: "too_many", available: 320 }) },
        });
        till.reply = (props) => props.confirm?.();
        await till.screen.sendPaymentRequest(await till.add(5));
        expect(times(till.ledger, "hold_points")).toBe(2);
        expect(till.dialogs.map(({ title }) => title)).toEqual(["Not enough points", "Points"]);
    });

    test("a line that is removed while the PIN is typed takes nothing", async () => {
        const till = await setupPoints({
            answers: { hold_points: () => ({ status: "needs_pin" }) },
        });
        const line = await till.add(5);
        till.reply = (props) => {
            if (props.getPayload) {
                till.order.removePaymentline(line);
                props.getPayload("4711");
            }
        };
        await till.terminal._take(till.order, line);
        expect(times(till.ledger, "hold_points")).toBe(1);
    });

    for (const [status, words, answer] of [
        ["slow", "takes too long"],
        ["down", "does not answer"],
        ["needs_card", "Scan the member's own card"],
        ["limit", "At most 100 points", { reason: "At most 100 points" }],
        ["copy", "a copy of the shop's database"],
        ["unknown", "doesn't know this member"],
    ]) {
        test(`held: ${status}`, async () => {
            const till = await setupPoints({
                answers: { hold_points: () => ({ status, ...answer }) },
            });
            const { line, words: told } = await refused(till);
            expect(told).toInclude(words);
            expect(stateOf(line)).toEqual([5, "retry", "", 0]);
            expect(times(till.ledger, "spend")).toBe(0);
        });
    }

    test("refused when it was spent: the line waits, and can be tried again", async () => {
        const till = await setupPoints({
            answers: {
                spend: (_params, rows) => {
                    Object.assign(rows[0], { state: "refused", reason: "Only 3 points are left." });
                    return { status: "done", redemptions: rows };
                },
            },
        });
        const { line, words } = await refused(till);
        expect(words).toBe("No points were taken: Only 3 points are left.");
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        expect(till.order.loyaltyEngineShown).toEqual([]);
        delete till.ledger.answers.spend;
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([5, "done", "p2", 500]);
    });

    test("the engine was down when it came to spending: what was held is free again", async () => {
        const till = await setupPoints({
            answers: { spend: (_params, rows) => ({ status: "down", redemptions: rows }) },
        });
        const { words } = await refused(till);
        expect(words).toInclude("The Loyalty Engine does not answer");
        await tick();
        expect(till.ledger.rows[0].state).toBe("released");
    });

    test("unknown: nothing is sent again, and a retry only asks", async () => {
        const till = await setupPoints({ answers: { spend: UNKNOWN } });
        const { line, words } = await refused(till);
        expect(words).toInclude("Nobody knows yet");
        expect(stateOf(line)).toEqual([5, "retry", "p1", 500]);
        expect(till.order.remainingDue).toBe(TOTAL);
        till.ledger.asked.length = 0;
        await till.screen.sendPaymentRequest(line);
        expect(till.ledger.asked).toEqual(["redemptions"]);
        expect(line.payment_status).toBe("retry");
        // It is found after all.
        spend(till.ledger, "p1", "5.00");
        await till.screen.sendPaymentRequest(line);
        expect(till.ledger.asked).toEqual(["redemptions", "redemptions"]);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
    });

    test("unknown, and another amount typed: never more than is left to pay", async () => {
        const till = await setupPoints({ answers: { spend: UNKNOWN } });
        const { line } = await refused(till);
        // It never arrived.
        till.ledger.rows[0].state = "released";
        line.setAmount(20);
        till.ledger.answers.hold_points = ({ amount, due }) => {
            expect.step([amount, due]);
            return { status: "limit", reason: "" };
        };
        await till.screen.sendPaymentRequest(line);
        expect.verifySteps([["20.00", "17.85"]]);
    });

    test("no answer in time has words of its own", async () => {
        const till = await setupPoints({
            answers: {
                spend: (_params, rows) => {
                    rows[0].state = "spending";
                    return { status: "done", redemptions: rows };
                },
            },
        });
        const { line, words } = await refused(till);
        expect(words).toInclude("No answer came in time");
        expect(stateOf(line)).toEqual([5, "retry", "p1", 500]);
        till.ledger.rows[0].state = "unknown";
        await till.screen.sendPaymentRequest(line);
        expect(till.dialogs.at(-1).body).toInclude("Nobody knows yet");
    });

    test("unknown, and the line removed: the server is told", async () => {
        const till = await setupPoints({ answers: { spend: UNKNOWN } });
        const { line } = await refused(till);
        till.screen.deletePaymentLine(line.uuid);
        await tick();
        expect(till.ledger.params.uuids).toEqual(["p1"]);
        expect(till.order.payment_ids).toHaveLength(0);
        expect(till.order.loyaltyEngineShown).toEqual([]);
    });

    test("unknown, and paid otherwise: the sale goes on without the points", async () => {
        const till = await setupPoints({ answers: { spend: UNKNOWN } });
        await refused(till);
        const cash = till.store.models["pos.payment.method"].find((item) => item.is_cash_count);
        // Odoo lets nobody pay otherwise while a line waits: it is removed.
        till.screen.deletePaymentLine(till.order.payment_ids[0].uuid);
        till.order.addPaymentline(cash);
        patchWithCleanup(OrderPaymentValidation.prototype, {
            async finalizeValidation() {
                expect.step("paid");
            },
        });
        const validation = new OrderPaymentValidation({
            pos: till.store,
            orderUuid: till.order.uuid,
        });
        await validation.validateOrder();
        expect.verifySteps(["paid"]);
        expect(till.order.payment_ids.map((line) => line.getAmount())).toEqual([TOTAL]);
        expect(times(till.ledger, "spend")).toBe(1);
    });

    test("fewer points than asked for: the cashier decides", async () => {
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) =>
                    params.points === undefined
                        ? { status: "too_many", available: 320 }
                        : HOLD(params, rows),
            },
        });
        till.reply = (props) => props.cancel?.();
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect(till.dialogs[0].body).toInclude("Only 320 points are available");
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        till.reply = (props) => props.confirm?.();
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([3.2, "done", "p1", 320]);
    });

    test("a manager's PIN, typed wrong once", async () => {
        const pins = ["1234", "4711"];
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) => {
                    expect.step(`pin ${params.pin}`);
                    return params.pin === "4711"
                        ? HOLD(params, rows)
                        : { status: "needs_pin", is_wrong: Boolean(params.pin) };
                },
            },
        });
        till.reply = (props) => props.getPayload?.(pins.shift());
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect.verifySteps(["pin ", "pin 1234", "pin 4711"]);
        expect(till.dialogs.map(({ title }) => title)).toEqual([
            "Manager's PIN",
            "The PIN was not right. Try again",
        ]);
        expect(line.payment_status).toBe("done");
    });

    test("no PIN, no points", async () => {
        const till = await setupPoints({
            answers: { hold_points: () => ({ status: "needs_pin" }) },
        });
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("retry");
        expect(line.loyaltyEngineStatusInWords).toBe("This takes the manager's PIN.");
    });

    test("a server that books points as a discount takes none for a payment", async () => {
        const till = await setupPoints({
            answers: {
                hold_points: (params, rows) => {
                    const answer = HOLD(params, rows);
                    rows[0].booking = "discount";
                    return { ...answer, redemption: { ...rows[0] } };
                },
            },
        });
        await refused(till);
        await tick();
        expect(till.ledger.rows[0].state).toBe("released");
        expect(till.order.loyaltyEngineDiscountLines).toHaveLength(0);
    });
});

describe("a server that says nothing", () => {
    const press = async (till) => {
        const line = await till.add(5);
        const kinds = new Set();
        const ms = await duration(
            () => till.screen.sendPaymentRequest(line),
            () => kinds.add(till.order.uiState.loyaltyEngine.step?.kind)
        );
        expect(line.payment_status).toBe("retry");
        expect(till.order.loyaltyEngineIsBusy).toBe(false);
        return { ms, kinds, line };
    };

    test("from the start: nothing is held, and the till goes on", async () => {
        const till = await setupPoints();
        freeze(till.store, till.ledger);
        const { ms, kinds } = await press(till);
        expect(ms).toBeWithin(6000, 6500);
        expect(kinds.has("spend")).toBe(false);
    });

    test("from the saving on: nothing is spent", async () => {
        const till = await setupPoints();
        freeze(till.store, till.ledger);
        till.ledger.answers.hold_points = HOLD;
        const { ms, kinds, line } = await press(till);
        expect(ms).toBeWithin(5000, 5500);
        expect(kinds.has("spend")).toBe(false);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        expect(times(till.ledger, "spend")).toBe(0);
    });

    test("slow before the spending: the 8 seconds are those of the whole press", async () => {
        const till = await setupPoints();
        till.store.loyaltyEnginePointsPayment.service.timeLimit = 9;
        till.ledger.answers.hold_points = async (params, rows) => {
            await new Promise((resolve) => setTimeout(resolve, 7100));
            return HOLD(params, rows);
        };
        const { ms, line } = await press(till);
        expect(ms).toBeWithin(7000, 8000);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        expect(times(till.ledger, "spend")).toBe(0);
        await advanceTime(100);
        expect(till.ledger.rows[0].state).toBe("released");
    });

    test("what is stored after all stands for nothing, and can be tried again", async () => {
        const till = await setupPoints();
        const stored = new Deferred();
        onRpc("pos.order", "sync_from_ui", async ({ parent }) => {
            const answer = parent();
            await stored;
            return answer;
        });
        till.ledger.answers.hold_points = HOLD;
        const line = await till.add(5);
        await duration(() => till.screen.sendPaymentRequest(line));
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        stored.resolve();
        await advanceTime(100);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
    });

    test("from the spending on: that step takes 8 seconds", async () => {
        const till = await setupPoints();
        till.ledger.answers.spend = () => {
            freeze(till.store, till.ledger);
            return new Deferred();
        };
        const { ms, kinds, line } = await press(till);
        expect(kinds.has("spend")).toBe(true);
        expect(ms).toBeWithin(8000, 8500);
        expect(stateOf(line)).toEqual([5, "retry", "p1", 500]);
    });

    test("an undo ends", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        freeze(till.store, till.ledger);
        expect(await duration(() => till.screen.sendPaymentReverse(line))).toBeLessThan(13000);
        expect(till.order.loyaltyEngineIsBusy).toBe(false);
    });
});

describe("taken back", () => {
    const taken = async (options) => {
        const till = await setupPoints(options);
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        till.ledger.asked.length = 0;
        return { ...till, line };
    };

    test("undone: the points are given back and the line goes", async () => {
        const { screen, line, ledger, order } = await taken();
        await screen.sendPaymentReverse(line);
        expect(ledger.asked).toEqual(["release"]);
        expect(ledger.params.uuids).toEqual(["p1"]);
        expect(order.payment_ids).toHaveLength(0);
        expect(order.loyaltyEngineShown).toEqual([]);
        expect(order.remainingDue).toBe(TOTAL);
    });

    test("an undo that the server does not hear of changes nothing", async () => {
        const { screen, line, order, dialogs } = await taken({
            answers: { release: () => ({ status: "down" }) },
        });
        await screen.sendPaymentReverse(line);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
        expect(dialogs.at(-1).title).toBe("The points could not be given back");
        expect(order.remainingDue).toBe(12.85);
    });

    test("the answer to an undo is lost: the line goes, and no other takes these points", async () => {
        const till = await taken();
        const { screen, line, ledger, order, store } = till;
        loseAnswer(ledger, "release");
        const texts = watchNotifications(store);
        const shown = [];
        await duration(() =>
            screen
                .sendPaymentReverse(line)
                .then(() => shown.push(...order.loyaltyEngineShown.map(({ state }) => state)))
        );
        expect(shown).toEqual(["unknown"]);
        expect(order.payment_ids).toHaveLength(0);
        expect(texts).toEqual([
            "Taken off. The server has not confirmed it yet, and is told again.",
        ]);
        await advanceTime(100);
        expect(times(ledger, "release")).toBe(2);
        expect(order.loyaltyEngineShown).toEqual([]);
        expect(order.remainingDue).toBe(TOTAL);
    });

    test("what was undone is told again before other points are taken", async () => {
        const till = await taken();
        const { screen, line, ledger, order } = till;
        ledger.answers.release = (_params, redemptions) => ({ status: "done", redemptions });
        await screen.sendPaymentReverse(line);
        expect(order.loyaltyEngineShown.map(({ state }) => state)).toEqual(["unknown"]);
        delete ledger.answers.release;
        ledger.asked.length = 0;
        const other = await till.add(3);
        await screen.sendPaymentRequest(other);
        expect(ledger.asked).toEqual(["release", "hold_points", "spend"]);
        expect(stateOf(other)).toEqual([3, "done", "p2", 300]);
    });

    test("offline nothing is undone", async () => {
        const { screen, line, ledger, desk } = await taken();
        patchWithCleanup(desk.service, { isOffline: () => true });
        await screen.sendPaymentReverse(line);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
        expect(ledger.asked).toEqual([]);
    });

    test("an order that Odoo can't delete is not paid with what was given back", async () => {
        const { store, order, line, gate } = await taken();
        watchDialogs(store, ({ confirm }) => confirm());
        expect(await store._onBeforeDeleteOrder(order)).toBe(true);
        expect(stateOf(line)).toEqual([0, "retry", "", 0]);
        expect(order.remainingDue).toBe(TOTAL);
        await store.postSyncAllOrders([order]);
        expect(stateOf(line)).toEqual([0, "retry", "", 0]);
        expect(gate.standsBefore(order)).toBe(false);
    });

    test("an order with taken points is not deleted without the server", async () => {
        const { store, order, ledger } = await taken({
            answers: { abandon: () => ({ status: "down" }) },
        });
        watchDialogs(store, ({ confirm }) => confirm?.());
        expect(await store._onBeforeDeleteOrder(order)).toBe(false);
        expect(order.remainingDue).toBe(12.85);
        delete ledger.answers.abandon;
        expect(await store._onBeforeDeleteOrder(order)).toBe(true);
        expect(times(ledger, "abandon")).toBe(2);
    });

    test("the server's answer to a sync does not undo the payment", async () => {
        const { store, line, order } = await taken();
        line.update({
            amount: 9,
            payment_status: "waiting",
            loyalty_engine_redemption: false,
            loyalty_engine_points: 0,
        });
        await store.postSyncAllOrders([order]);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
        // What is paid stays as the server has it.
        line.update({ loyalty_engine_redemption: false });
        order.state = "paid";
        await store.postSyncAllOrders([order]);
        expect(line.loyalty_engine_redemption).toBe(false);
    });
});

describe("a page that was left", () => {
    const leave = (till, line, status, claim) => {
        line.update({
            payment_status: status,
            loyalty_engine_redemption: claim || false,
        });
        till.book.known.delete(till.order.uuid);
        till.ledger.asked.length = 0;
    };

    test("spent in the meantime: the line is done", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        till.ledger.rows.push(
            points("p1", { booking: "payment", points: 490, state: "spent", frozen_amount: "4.90" })
        );
        leave(till, line, "waiting", "p1");
        await till.terminal.resume(till.order);
        expect(till.ledger.asked).toEqual(["redemptions"]);
        expect(stateOf(line)).toEqual([4.9, "done", "p1", 490]);
    });

    test("not spent: the line can be sent again", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        till.ledger.rows.push(points("p1", { booking: "payment", state: "released" }));
        leave(till, line, "waiting", "p1");
        await till.terminal.resume(till.order);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
    });

    test("nobody can say: the line waits, and takes nothing", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        leave(till, line, "waiting", "p1");
        till.ledger.answers.redemptions = () => ({ status: "failed" });
        await till.terminal.resume(till.order);
        expect(stateOf(line)).toEqual([5, "retry", "p1", 0]);
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("retry");
        expect(times(till.ledger, "hold_points")).toBe(0);
    });

    test("undone before it was left: the line goes", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        leave(till, line, "reversing");
        await till.terminal.resume(till.order);
        expect(till.order.payment_ids).toHaveLength(0);
        expect(till.ledger.asked).toEqual([]);
    });

    test("a line that waits for a press, is done, or is just being sent is left alone", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        await till.terminal.resume(till.order);
        expect(line.payment_status).toBe("pending");
        const answer = new Deferred();
        till.ledger.answers.spend = () => answer;
        const request = till.screen.sendPaymentRequest(line);
        await tick();
        await till.terminal.resume(till.order);
        expect(line.payment_status).toBe("waiting");
        let isCancelled = false;
        till.terminal.sendPaymentCancel(till.order, line.uuid).then(() => (isCancelled = true));
        await tick();
        expect(isCancelled).toBe(false);
        spend(till.ledger, "p1", "5.00");
        answer.resolve({ status: "done", redemptions: till.ledger.rows });
        await request;
        await tick();
        expect(isCancelled).toBe(true);
        await till.terminal.resume(till.order);
        expect(line.payment_status).toBe("done");
        expect(times(till.ledger, "redemptions")).toBe(0);
    });

    test("what another line has, or is no payment, is not taken up", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        await till.screen.sendPaymentRequest(line);
        till.ledger.rows.push(voucher("v1", { state: "spent", frozen_amount: "1.00" }));
        till.book.set(till.order, till.ledger.rows);
        const other = await till.add(3);
        till.ledger.asked.length = 0;
        await till.screen.sendPaymentRequest(other);
        expect(till.ledger.asked).toEqual(["hold_points", "spend"]);
        expect(stateOf(other)).toEqual([3, "done", "p3", 300]);
    });

    test("nothing was taken yet", async () => {
        const till = await setupPoints();
        const line = await till.add(5);
        leave(till, line, "waiting");
        await till.terminal.resume(till.order);
        expect(till.ledger.asked).toEqual(["redemptions"]);
        expect(stateOf(line)).toEqual([5, "retry", "", 0]);
        expect(line.loyaltyEngineStatusInWords).toBe("No points were taken.");
    });

    test("taken at another till, with no line of this order: taken up by the next one", async () => {
        const till = await setupPoints();
        const line = await till.add(8);
        till.ledger.rows.push(
            points("p1", { booking: "payment", points: 500, state: "spent", frozen_amount: "5.00" })
        );
        till.book.known.delete(till.order.uuid);
        await till.screen.sendPaymentRequest(line);
        expect(times(till.ledger, "hold_points")).toBe(0);
        expect(stateOf(line)).toEqual([5, "done", "p1", 500]);
    });

    test("never for more than is left to pay", async () => {
        const till = await setupPoints();
        const line = await till.add(8);
        till.ledger.rows.push(
            points("p1", {
                booking: "payment",
                points: 2000,
                state: "spent",
                frozen_amount: "20.00",
            })
        );
        till.book.known.delete(till.order.uuid);
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("retry");
        expect(till.dialogs[0].body).toInclude("Remove the line");
    });
});

describe("a return", () => {
    const setupReturn = async (answer) => {
        const till = await setupPoints({ isMember: false });
        onRpc("/pos_loyalty_engine/refund_terms", async (request) => {
            till.asked = (await request.json()).params;
            return answer;
        });
        till.order.is_refund = true;
        for (const line of till.order.lines) {
            line.setQuantity(-line.qty, true);
        }
        const sold = await getFilledOrder(till.store);
        till.order.lines.forEach((line, index) =>
            line.update({ refunded_orderline_id: sold.lines[index] })
        );
        till.store.setOrder(till.order);
        return Object.assign(till, { sold });
    };

    test("gives points back, up to what was paid with them", async () => {
        const till = await setupReturn({ status: "found", amount: "5.00", points: 500 });
        const line = await till.add();
        expect(line.getAmount()).toBe(-TOTAL);
        await till.screen.sendPaymentRequest(line);
        expect(till.asked).toMatchObject({
            sold: [till.sold.uuid],
            amount: "17.85",
            promised: "0.00",
        });
        expect(stateOf(line)).toEqual([-5, "done", "", -500]);
        expect(line.loyaltyEnginePointsInWords).toBe("500");
    });

    test("gives back no more than the goods that come back are worth", async () => {
        const till = await setupReturn({ status: "found", amount: "17.85", points: 1785 });
        const line = await till.add();
        line.setAmount(-20);
        await till.screen.sendPaymentRequest(line);
        expect(till.asked).toEqual([]);
        expect(till.dialogs.pop().body).toInclude("17.85 are left to pay back");
        line.setAmount(-TOTAL);
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([-TOTAL, "done", "", -1785]);
        expect(till.gate.standsBefore(till.order)).toBe(false);
        // One of them is kept after all: nobody pays for it by getting too many points.
        till.order.lines[0].setQuantity(0);
        expect(till.gate.standsBefore(till.order)).toBe(true);
        expect(await till.gate.mayPay(till.order)).toBe(false);
        expect(till.dialogs.pop().title).toInclude("More points go back");
    });

    test("of a sale without points nothing", async () => {
        const till = await setupReturn({ status: "found", amount: "0", points: 0 });
        const line = await till.add();
        await till.screen.sendPaymentRequest(line);
        expect(line.payment_status).toBe("retry");
        expect(till.dialogs[0].body).toInclude("No points are left");
        // Nothing can be validated with it.
        expect(till.order.isRefundInProcess()).toBe(true);
    });

    test("what another line of the return gives back is told", async () => {
        const till = await setupReturn({ status: "found", amount: "5.00", points: 500 });
        await till.screen.sendPaymentRequest(await till.add());
        await till.screen.sendPaymentRequest(await till.add());
        expect(till.asked).toMatchObject({ amount: "12.85", promised: "5.00" });
    });

    test("a return of no sale gives no points", async () => {
        const till = await setupReturn({ status: "found", amount: "5.00", points: 500 });
        till.order.lines.forEach((line) => line.update({ refunded_orderline_id: undefined }));
        const line = await till.add();
        await till.screen.sendPaymentRequest(line);
        expect(till.asked).toEqual([]);
        expect(line.payment_status).toBe("retry");
    });

    test("not while the server can't be asked", async () => {
        const till = await setupReturn({ status: "copy" });
        const line = await till.add();
        await till.screen.sendPaymentRequest(line);
        expect(stateOf(line)).toEqual([-TOTAL, "retry", "", 0]);
    });
});

const offered = ({ screen }) => screen.payment_methods_from_config.map(({ id }) => id);

test("where points are no payment the method is not offered", async () => {
    const till = await setupPoints({ connection: { points_booking: "discount" } });
    expect(offered(till)).not.toInclude(till.method.id);
    expect(till.desk.offersPoints(till.order)).toBe(true);
});

test("where they are, points are not offered as a discount", async () => {
    const till = await setupPoints();
    expect(offered(till)).toInclude(till.method.id);
    expect(till.desk.offersPoints(till.order)).toBe(false);
});

test("points that are being taken elsewhere for a payment stop no other payment", async () => {
    const till = await setupPoints();
    till.book.set(till.order, [points("p1", { booking: "payment", state: "spending" })]);
    expect(till.order.loyaltyEngineUnspent).toEqual([]);
    expect(till.gate.standsBefore(till.order)).toBe(false);
    till.book.set(till.order, [points("p2", { state: "spending" })]);
    expect(till.gate.standsBefore(till.order)).toBe(true);
});

test("a voucher closes the basket, points as a payment don't", async () => {
    const till = await setupPoints();
    till.book.set(till.order, [points("p1", { booking: "payment", state: "spent" })]);
    expect(till.order.loyaltyEngineIsClosed).toBe(false);
    expect(till.order.uiState.loyaltyEngine.closedBasket).toBe(false);
    till.book.set(till.order, [voucher("v1", { state: "spent", frozen_amount: "5.00" })]);
    expect(till.order.loyaltyEngineIsClosed).toBe(true);
});

test("the receipt names the points", async () => {
    const till = await setupPoints();
    const line = await till.add(5);
    await till.screen.sendPaymentRequest(line);
    till.order.addPaymentline(
        till.store.models["pos.payment.method"].find((item) => item.is_cash_count)
    );
    await mountWithCleanup(OrderReceipt, { props: { order: till.order } });
    expect(".pos-receipt .paymentlines:eq(0)").toHaveText(/\(500\)/);
    expect(".pos-receipt .paymentlines:eq(1)").not.toHaveText(/\(/);
});

test("points are not counted when a session is closed", async () => {
    const till = await setupPoints();
    await mountWithCleanup(ClosePosPopup, {
        props: {
            orders_details: { quantity: 1, amount: 30 },
            opening_notes: "",
            default_cash_details: {
                id: 1,
                name: "Cash",
                amount: 0,
                opening: 0,
                payment_amount: 0,
                moves: [],
            },
            non_cash_payment_methods: [
                { id: 2, name: "Card", amount: 20, number: 1, type: "bank" },
                { id: 9, name: "Points", amount: 10, number: 1, type: "loyalty_engine" },
            ],
            is_manager: true,
            amount_authorized_diff: null,
            close: () => {},
        },
    });
    const overview = ".payment-methods-overview > div";
    expect(`${overview}:contains("Card"):contains("Counted")`).toHaveCount(1);
    expect(`${overview}:contains("Points"):contains("10.00")`).toHaveCount(1);
    expect(`${overview}:contains("Points"):contains("Counted")`).toHaveCount(0);
    expect(`${overview}:contains("Points"):contains("Difference")`).toHaveCount(0);
    expect("span:contains('Points Count')").toHaveCount(0);
    expect("span:contains('Card Count')").toHaveCount(1);
    expect(till.store.config.cash_control).toBe(true);
});

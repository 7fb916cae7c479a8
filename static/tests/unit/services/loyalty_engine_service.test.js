import { beforeEach, expect, test } from "@odoo/hoot";
import { advanceTime, Deferred } from "@odoo/hoot-mock";
import { browser } from "@web/core/browser/browser";
import {
    makeMockServer,
    makeServerError,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";
import { LoyaltyEngineService } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import { found } from "../utils";

let isOffline;
let service;

beforeEach(async () => {
    isOffline = false;
    service = new LoyaltyEngineService({
        configId: 3,
        sessionId: () => 7,
        timeLimit: 5,
        spendLimit: 8,
        tillKey: () => "device-1",
        isOffline: () => isOffline,
    });
});

async function serve(route, answer) {
    await serveAll({ [route]: answer });
}

async function serveAll(answers) {
    for (const [route, answer] of Object.entries(answers)) {
        onRpc(`/pos_loyalty_engine/${route}`, async (request) => {
            const { params } = await request.json();
            expect.step(params);
            return answer(params);
        });
    }
    await makeMockServer();
}

test("identify sends till and code and reads the member", async () => {
    await serve("identify", () => found(1, { partner_id: 12 }));
    expect(await service.identify("1000001")).toEqual({
        status: "found",
        member: {
            ref: "ref-1",
            accountNumber: "1000001",
            name: "Member 1",
            tier: "Gold",
            points: 1250,
            pointValue: 0.01,
            readAt: "2026-01-02T10:11:12.000Z",
        },
        partnerId: 12,
    });
    await service.identify("1000001", { isGuess: true });
    const asked = { config_id: 3, session_id: 7, code: "1000001" };
    expect.verifySteps([
        { ...asked, is_guess: false },
        { ...asked, is_guess: true },
    ]);
});

test("what is not known is not taken for zero", async () => {
    await serve("identify", () => found(1, { points: null, points_value: null, name: "" }));
    const { member, partnerId } = await service.identify("1000001");
    expect(member.points).toBe(null);
    expect(member.pointValue).toBe(null);
    expect(member.name).toBe(false);
    expect(partnerId).toBe(false);
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "1000001", is_guess: false }]);
});

test("each trouble of the engine comes through", async () => {
    const statuses = [
        "unknown",
        "ambiguous",
        "restricted",
        "slow",
        "down",
        "refused",
        "not_configured",
    ];
    await serve("identify", ({ code }) => ({ status: code }));
    for (const status of statuses) {
        expect(await service.identify(status)).toEqual({ status });
    }
    expect.verifySteps(
        statuses.map((code) => ({ config_id: 3, session_id: 7, code, is_guess: false }))
    );
});

test("limited says how long to wait", async () => {
    await serve("identify", () => ({ status: "limited", retry_after: 42 }));
    expect(await service.identify("x")).toEqual({ status: "limited", retryAfter: 42 });
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "x", is_guess: false }]);
});

test("an answer that nobody agreed on is a failure", async () => {
    const answers = [null, {}, { status: "surprise" }];
    await serve("identify", ({ code }) => answers[code]);
    for (const code in answers) {
        expect(await service.identify(code)).toEqual({ status: "failed" });
    }
    expect.verifySteps(
        ["0", "1", "2"].map((code) => ({ config_id: 3, session_id: 7, code, is_guess: false }))
    );
});

test("an offline till asks nobody", async () => {
    isOffline = true;
    await serve("identify", () => found());
    expect(await service.identify("1000001")).toEqual({ status: "offline" });
    expect(await service.linkCustomer("ref-1", 12)).toEqual({ status: "offline" });
    expect((await service.receipt("uuid")).pointsEarned).toBe(null);
    expect.verifySteps([]);
});

test("a lost connection is offline, a server error is a failure", async () => {
    onRpc("/pos_loyalty_engine/identify", () => new Response("", { status: 502 }), { pure: true });
    onRpc("/pos_loyalty_engine/link_customer", () => {
        throw makeServerError({ message: "boom" });
    });
    await makeMockServer();
    expect(await service.identify("1000001")).toEqual({ status: "offline" });
    expect(await service.linkCustomer("ref-1", 12)).toEqual({ status: "failed" });
});

test("the till's own clock ends a look-up one second after the server's", async () => {
    await serve("identify", () => new Deferred());
    let answer = null;
    service.identify("1000001").then((result) => (answer = result));
    await advanceTime(5900);
    expect(answer).toBe(null);
    await advanceTime(200);
    expect(answer).toEqual({ status: "slow" });
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "1000001", is_guess: false }]);
});

test("linking says linked or taken", async () => {
    const answers = [{ status: "linked" }, { status: "taken", by: "customer" }, { status: "down" }];
    await serve("link_customer", () => answers.shift());
    expect(await service.linkCustomer("ref-1", 12)).toEqual({ status: "linked" });
    expect(await service.linkCustomer("ref-1", 12)).toEqual({ status: "taken" });
    expect(await service.linkCustomer("ref-1", 12)).toEqual({ status: "down" });
    const asked = { config_id: 3, session_id: 7, member_ref: "ref-1", partner_id: 12 };
    expect.verifySteps([asked, asked, asked]);
});

test("a receipt waits half a second and no longer", async () => {
    await serve("receipt", () => new Deferred());
    let answer = null;
    service.receipt("uuid").then((result) => (answer = result));
    await advanceTime(450);
    expect(answer).toBe(null);
    await advanceTime(100);
    expect(answer).toEqual({
        isNobodys: false,
        pointsEarned: null,
        points: null,
    });
    expect.verifySteps([{ config_id: 3, session_id: 7, order_uuid: "uuid" }]);
});

test("a receipt tells points and balance, zero included", async () => {
    await serve("receipt", () => ({
        state: "sent",
        points_earned: 0,
        points: 1250,
    }));
    expect(await service.receipt("uuid")).toEqual({
        isNobodys: false,
        pointsEarned: 0,
        points: 1250,
    });
    expect.verifySteps([{ config_id: 3, session_id: 7, order_uuid: "uuid" }]);
});

// --- Vouchers and points ---

const TILL = { config_id: 3, session_id: 7 };

function redemption(uuid, values = {}) {
    return { uuid, kind: "voucher", booking: "discount", state: "held", ...values };
}

test("vouchers come as the server tells them", async () => {
    const answers = [
        { status: "found", vouchers: [{ benefit: "b1" }], is_complete: false },
        { status: "found" },
        { status: "limited", retry_after: 7 },
    ];
    await serve("vouchers", () => answers.shift());
    expect(await service.vouchers("ref-1")).toEqual({
        status: "found",
        vouchers: [{ benefit: "b1" }],
        isComplete: false,
    });
    expect((await service.vouchers("ref-1")).status).toBe("failed");
    expect(await service.vouchers("ref-1")).toEqual({
        status: "limited",
        reason: "",
        retryAfter: 7,
    });
    const asked = { ...TILL, member_ref: "ref-1" };
    expect.verifySteps([asked, asked, asked]);
});

test("a voucher is held by its code as it is, or by the engine's id", async () => {
    await serve("hold_voucher", () => ({ status: "held", redemption: redemption("r1") }));
    const code = " pro MO\t3xp ";
    const answer = await service.holdVoucher("order-1", {
        code,
        memberRef: "m",
        presented: "scan",
    });
    expect(answer.status).toBe("held");
    expect(answer.redemption.uuid).toBe("r1");
    await service.holdVoucher("order-1", { benefit: "b1" });
    const asked = { ...TILL, order_uuid: "order-1" };
    expect.verifySteps([
        { ...asked, member_ref: "m", presented: "scan", code: " pro MO\t3xp ", is_guess: false },
        { ...asked, member_ref: "", presented: "picked", benefit: "b1" },
    ]);
});

test("why something is not held comes through", async () => {
    const answers = [
        { status: "held_elsewhere", where: "Till 2" },
        { status: "too_many", available: 12 },
        { status: "refused", reason: "used up" },
        { status: "limit", reason: "one a day" },
        { status: "needs_card" },
        { status: "needs_pin" },
        { status: "unreadable" },
        { status: "unknown" },
        { status: "down" },
        // Held, and nothing is: no answer that anybody agreed on
        { status: "held" },
        { status: "surprise" },
    ];
    const expected = [
        { status: "held_elsewhere", where: "Till 2" },
        { status: "too_many", available: 12 },
        { status: "refused", reason: "used up" },
        { status: "limit", reason: "one a day" },
        { status: "needs_card" },
        { status: "needs_pin" },
        { status: "unreadable" },
        { status: "unknown" },
        { status: "down" },
        { status: "failed" },
        { status: "failed" },
    ];
    await serve("hold_points", () => answers.shift());
    for (const wanted of expected) {
        const answer = await service.holdPoints("o", { memberRef: "m", points: 5, due: "1.00" });
        expect(answer).toMatchObject(wanted);
    }
    const asked = {
        ...TILL,
        order_uuid: "o",
        member_ref: "m",
        presented: "picked",
        points: 5,
        due: "1.00",
        pin: "",
    };
    expect.verifySteps(expected.map(() => asked));
});

test("points are held as points or as money, with a PIN where there is one", async () => {
    await serve("hold_points", () => ({ status: "needs_pin" }));
    await service.holdPoints("o", { memberRef: "m", amount: "2.50", due: "4.00" });
    await service.holdPoints("o", { memberRef: "m", points: 250, due: "4.00", pin: "1234" });
    const asked = {
        ...TILL,
        order_uuid: "o",
        member_ref: "m",
        presented: "picked",
        due: "4.00",
    };
    expect.verifySteps([
        { ...asked, amount: "2.50", pin: "" },
        { ...asked, points: 250, pin: "1234" },
    ]);
});

test("a spend has the seconds that the step may take, a look at it three", async () => {
    await serveAll({ spend: () => new Deferred(), redemptions: () => new Deferred() });
    const claims = [{ uuid: "r1", amount: "5.00" }];
    let answer = null;
    service.spend("o", claims).then((result) => (answer = result));
    await advanceTime(7900);
    expect(answer).toBe(null);
    await advanceTime(200);
    expect(answer.status).toBe("slow");
    answer = null;
    service.redemptions("o").then((result) => (answer = result));
    await advanceTime(2900);
    expect(answer).toBe(null);
    await advanceTime(200);
    expect(answer.status).toBe("slow");
    expect.verifySteps([
        { ...TILL, order_uuid: "o", till_key: "device-1", claims },
        { ...TILL, order_uuid: "o" },
    ]);
});

test("a spend says when it was asked for, by the server's clock", async () => {
    let now = 500;
    patchWithCleanup(browser, { performance: { now: () => now } });
    // The second answer took longer to come, the third one tells nothing.
    const times = [1000.2, 1001.1, "noon"];
    await serveAll({
        renew: () => ({ status: "done", server_time: times.shift() }),
        spend: () => ({ status: "done", redemptions: [] }),
    });
    const spend = { ...TILL, order_uuid: "o", till_key: "device-1", claims: [] };
    const renew = { ...TILL, order_uuid: "o", till_key: "device-1", at_payment: true };

    await service.spend("o", []);
    expect.verifySteps([spend]);

    await service.renew("o", true);
    now = 1500;
    await service.renew("o", true);
    await service.renew("o", true);
    now = 2500;
    await service.spend("o", []);
    expect.verifySteps([renew, renew, renew, { ...spend, asked_at: 1002.2 }]);
});

test("lists without a list are failures, never empty", async () => {
    await serveAll({
        redemptions: () => ({ status: "found" }),
        release: () => ({ status: "done", redemptions: null }),
    });
    expect((await service.redemptions("o")).status).toBe("failed");
    expect((await service.release("o", ["r1"])).status).toBe("failed");
    expect.verifySteps([
        { ...TILL, order_uuid: "o" },
        { ...TILL, order_uuid: "o", till_key: "device-1", uuids: ["r1"] },
    ]);
});

test("an order that is being paid elsewhere is told with the till", async () => {
    const answers = [
        { status: "at_payment", where: "Till 2" },
        { status: "done" },
        { status: "down" },
    ];
    await serve("abandon", () => answers.shift());
    expect(await service.abandon("o")).toEqual({ status: "at_payment", where: "Till 2" });
    expect(await service.abandon("o")).toEqual({ status: "done" });
    expect((await service.abandon("o")).status).toBe("down");
    const asked = { ...TILL, order_uuid: "o", till_key: "device-1" };
    expect.verifySteps([asked, asked, asked]);
});

test("offline, nothing of vouchers and points is asked", async () => {
    isOffline = true;
    for (const ask of [
        () => service.vouchers("m"),
        () => service.holdVoucher("o", { code: "x" }),
        () => service.holdPoints("o", { points: 1 }),
        () => service.pointsTerms("o", "m"),
        () => service.redemptions("o"),
        () => service.release("o", []),
    ]) {
        expect((await ask()).status).toBe("offline");
    }
});

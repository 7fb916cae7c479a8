import { beforeEach, expect, test } from "@odoo/hoot";
import { advanceTime, Deferred } from "@odoo/hoot-mock";
import { makeMockServer, makeServerError, onRpc } from "@web/../tests/web_test_helpers";
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
        isOffline: () => isOffline,
    });
});

async function serve(route, answer) {
    onRpc(`/pos_loyalty_engine/${route}`, async (request) => {
        const { params } = await request.json();
        expect.step(params);
        return answer(params);
    });
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
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "1000001" }]);
});

test("what is not known is not taken for zero", async () => {
    await serve("identify", () => found(1, { points: null, points_value: null, name: "" }));
    const { member, partnerId } = await service.identify("1000001");
    expect(member.points).toBe(null);
    expect(member.pointValue).toBe(null);
    expect(member.name).toBe(false);
    expect(partnerId).toBe(false);
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "1000001" }]);
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
    expect.verifySteps(statuses.map((code) => ({ config_id: 3, session_id: 7, code })));
});

test("limited says how long to wait", async () => {
    await serve("identify", () => ({ status: "limited", retry_after: 42 }));
    expect(await service.identify("x")).toEqual({ status: "limited", retryAfter: 42 });
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "x" }]);
});

test("an answer that nobody agreed on is a failure", async () => {
    const answers = [null, {}, { status: "surprise" }];
    await serve("identify", ({ code }) => answers[code]);
    for (const code in answers) {
        expect(await service.identify(code)).toEqual({ status: "failed" });
    }
    expect.verifySteps(["0", "1", "2"].map((code) => ({ config_id: 3, session_id: 7, code })));
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
    expect.verifySteps([{ config_id: 3, session_id: 7, code: "1000001" }]);
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
    expect(answer).toEqual({ pointsEarned: null, points: null, readAt: false });
    expect.verifySteps([{ config_id: 3, session_id: 7, order_uuid: "uuid" }]);
});

test("a receipt tells points and balance, zero included", async () => {
    await serve("receipt", () => ({
        state: "sent",
        points_earned: 0,
        points: 1250,
        read_at: "2026-01-02T10:11:13.000Z",
    }));
    expect(await service.receipt("uuid")).toEqual({
        pointsEarned: 0,
        points: 1250,
        readAt: "2026-01-02T10:11:13.000Z",
    });
    expect.verifySteps([{ config_id: 3, session_id: 7, order_uuid: "uuid" }]);
});

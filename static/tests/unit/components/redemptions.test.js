import { expect, test } from "@odoo/hoot";
import { Deferred, tick } from "@odoo/hoot-mock";
import {
    animationFrame,
    click,
    edit,
    press,
    queryAll,
    queryAllTexts,
    queryOne,
    resize,
    waitFor,
    waitUntil,
} from "@odoo/hoot-dom";
import { mockService, mountWithCleanup, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";
import { RedemptionList } from "@pos_loyalty_engine/app/components/redemption_list/redemption_list";
import { RedeemingOverlay } from "@pos_loyalty_engine/app/components/redeeming_overlay/redeeming_overlay";
import { found, scanned, watchNotifications } from "../utils";
import { points, setupSpending, times, voucher } from "../redemption_utils";

definePosModels();

const TERMS = {
    status: "found",
    balance: 1250,
    available: 1250,
    rate: "0.01",
    step: 1,
    min: 0,
    max: 0,
    booking: "discount",
};

const inWallet = (name, values = {}) => ({
    benefit: name,
    name,
    code: "PRO…3XP",
    expires_at: null,
    is_redeemed: true,
    discounts: [{ type: "ABSOLUTE", value: "5.00", skus: [], venues: [] }],
    min_amount: null,
    max_amount: null,
    state: "usable",
    where: "",
    ...values,
});

/** A till with a member on the order, and windows that can be seen. */
async function setupWindows(options = {}) {
    const till = await setupSpending({ members: { 1000001: found(1) }, ...options });
    await till.store.loyaltyEngineDesk.identify("1000001", {
        order: till.order,
        presented: "scan",
    });
    await mountWithCleanup(MainComponentsContainer);
    return till;
}

// --- The strip ---

test("the strip offers what is switched on, and a voucher without a member too", async () => {
    const till = await setupSpending({ members: { 1000001: found(1) } });
    await mountWithCleanup(MemberPanel, { props: { order: till.order } });
    expect(".o_pos_loyalty_engine_open_vouchers").toHaveCount(1);
    expect(".o_pos_loyalty_engine_open_points").toHaveCount(0);
    await till.store.loyaltyEngineDesk.identify("1000001", { order: till.order });
    await animationFrame();
    expect(".o_pos_loyalty_engine_open_vouchers").toHaveCount(1);
    expect(".o_pos_loyalty_engine_open_points").toHaveCount(1);
});

test("where nothing is switched on the strip is as it was", async () => {
    const till = await setupSpending({
        members: { 1000001: found(1) },
        connection: { vouchers: false, points_booking: "" },
    });
    await till.store.loyaltyEngineDesk.identify("1000001", { order: till.order });
    await mountWithCleanup(MemberPanel, { props: { order: till.order } });
    expect(".o_pos_loyalty_engine_open_vouchers").toHaveCount(0);
    expect(".o_pos_loyalty_engine_open_points").toHaveCount(0);
});

test("held, spending, spent, unknown, unanswered and refused look different", async () => {
    const { order, desk } = await setupSpending();
    await desk.addVoucher(order, { code: "v0" });
    const rows = ["held", "spending", "spent", "unknown", "refused"].map((state) =>
        voucher(state, {
            state,
            discounts: [{ type: "ABSOLUTE", value: "1.00", skus: [], venues: [] }],
            frozen_amount: state === "spent" ? "1.00" : null,
            reason: state === "refused" ? "used before" : "",
        })
    );
    rows.push(voucher("unanswered", { state: "unknown", isUnanswered: true }));
    order.setLoyaltyEngineRedemptions(rows);
    await mountWithCleanup(RedemptionList, { props: { order } });
    const icons = queryAll(".o_pos_loyalty_engine_redemption > i").map((el) => el.className);
    expect(new Set(icons).size).toBe(6);
    expect(queryAllTexts(".o_pos_loyalty_engine_redemption_state")).toEqual([
        "redeemed when the sale is paid",
        "being redeemed",
        "redeemed",
        "not known whether redeemed; not in this total: go on without",
        "used before",
        "no answer in time; not in this total: look again, or go on without",
    ]);
    // What can't be helped has no button; what is unclear can be looked at.
    const buttons = (state) =>
        queryAll(`[data-state="${state}"] button`).map((el) => el.title || el.ariaLabel);
    expect(buttons("held")).toEqual(["Take it off"]);
    expect(buttons("spending")).toEqual(["Look again"]);
    expect(buttons("spent")).toEqual(["Cancel the redemption"]);
    expect(buttons("unknown")).toEqual(["Look again", "Look again"]);
    expect(buttons("refused")).toEqual(["Dismiss"]);
});

test("a voucher that the basket gives no right to says why", async () => {
    const { order } = await setupSpending();
    order.setLoyaltyEngineRedemptions([voucher("v1", { min_amount: "100.00" })]);
    await mountWithCleanup(RedemptionList, { props: { order } });
    expect(".o_pos_loyalty_engine_redemption_state").toHaveText(/^Only for purchases from/);
    expect(".o_pos_loyalty_engine_redemption_worth").toHaveText("");
});

test("one that was burned at once, for a basket that it is not for, says both", async () => {
    const { order } = await setupSpending();
    order.setLoyaltyEngineRedemptions([voucher("v1", { state: "spent", min_amount: "100.00" })]);
    await mountWithCleanup(RedemptionList, { props: { order } });
    expect(".o_pos_loyalty_engine_redemption > i").toHaveClass("fa-check-circle");
    expect(".o_pos_loyalty_engine_redemption_state").toHaveText(/^Only for purchases from/);
});

test("of many the one that was added last is seen", async () => {
    const { order, desk } = await setupSpending();
    for (const code of ["v1", "v2", "v3", "v4", "v5"]) {
        await desk.addVoucher(order, { code });
    }
    await mountWithCleanup(MemberPanel, { props: { order } });
    const list = queryOne(".o_pos_loyalty_engine_redemptions");
    const isSeen = (name) => {
        const row = queryOne(`.o_pos_loyalty_engine_redemption:contains(${name})`);
        const [top, bottom] = [row.offsetTop - list.offsetTop, row.offsetHeight];
        return top >= list.scrollTop - 1 && top + bottom <= list.scrollTop + list.clientHeight + 1;
    };
    expect(list.scrollHeight).toBeGreaterThan(list.clientHeight);
    expect(isSeen("v5")).toBe(true);
    await desk.addVoucher(order, { code: "v6" });
    await animationFrame();
    expect(isSeen("v6")).toBe(true);
    expect(isSeen("v1")).toBe(false);
});

test("one tap takes a held voucher off", async () => {
    const { order, desk, ledger } = await setupSpending();
    await desk.addVoucher(order, { code: "v1" });
    await mountWithCleanup(RedemptionList, { props: { order } });
    await click(".o_pos_loyalty_engine_take_off");
    await desk.steps.running(order);
    await animationFrame();
    expect(".o_pos_loyalty_engine_redemption").toHaveCount(0);
    expect(times(ledger, "release")).toBe(1);
});

test("the step that spends says how far it is", async () => {
    const { order } = await setupSpending();
    order.uiState.loyaltyEngine.step = { kind: "spend", done: 0, of: 3 };
    await mountWithCleanup(RedeemingOverlay, { props: { order } });
    expect(".o_pos_loyalty_engine_progress").toHaveText("Redeeming… 1 of 3");
    order.uiState.loyaltyEngine.step.done = 1;
    await animationFrame();
    expect(".o_pos_loyalty_engine_progress").toHaveText("Redeeming… 2 of 3");
});

// --- Vouchers ---

test("usable vouchers come first, the best on top, the others grey with the reason", async () => {
    const till = await setupWindows({
        answers: {
            vouchers: () => ({
                status: "found",
                vouchers: [
                    inWallet("burned", { state: "burned" }),
                    inWallet("small", {
                        discounts: [{ type: "ABSOLUTE", value: "1.00", skus: [], venues: [] }],
                    }),
                    inWallet("held", { state: "held", where: "Till 2" }),
                    inWallet("here", { state: "on_order", where: "Till 1" }),
                    inWallet("abroad", { state: "other_currency" }),
                    inWallet("large"),
                    inWallet("basket", { min_amount: "100.00" }),
                    inWallet("strange", { discounts: null }),
                ],
            }),
        },
    });
    till.desk.openVouchers(till.order);
    await waitFor(".o_pos_loyalty_engine_voucher");
    const cards = queryAll(".o_pos_loyalty_engine_voucher").map((el) => [
        el.querySelector(".fw-bolder").textContent,
        el.disabled,
        el.querySelector(".o_pos_loyalty_engine_voucher_reason")?.textContent || "",
    ]);
    expect(cards.slice(0, 2)).toEqual([
        ["large", false, ""],
        ["small", false, ""],
    ]);
    expect(cards.slice(2).every(([, isDisabled]) => isDisabled)).toBe(true);
    const reasons = Object.fromEntries(cards.map(([name, , reason]) => [name, reason]));
    expect(reasons.burned).toBe("Already used");
    expect(reasons.held).toBe("In use at Till 2");
    expect(reasons.here).toBe("Already on this order");
    expect(reasons.abroad).toBe("In another currency");
    expect(reasons.basket).toMatch(/^Only for purchases from/);
    expect(reasons.strange).toBe("Can't be read here");
    await click(".o_pos_loyalty_engine_voucher:first");
    await animationFrame();
    await till.desk.steps.running(till.order);
    expect(till.ledger.params.benefit).toBe("large");
    await animationFrame();
    expect(".modal").toHaveCount(0);
});

test("a card says what taking it does besides", async () => {
    const chair = [{ type: "ABSOLUTE", value: "1.00", skus: ["CHAIR"], venues: [] }];
    const till = await setupWindows({
        connection: { sku_reading: "add" },
        answers: {
            vouchers: () => ({
                status: "found",
                vouchers: [
                    inWallet("fresh", { is_redeemed: false }),
                    inWallet("chair", { discounts: chair }),
                    inWallet("later", { discounts: chair, min_amount: "100.00" }),
                ],
            }),
        },
    });
    till.store.models["product.template"].get(8).product_variant_ids[0].default_code = "CHAIR";
    till.desk.openVouchers(till.order);
    await waitFor(".o_pos_loyalty_engine_voucher");
    expect(queryAllTexts(".o_pos_loyalty_engine_voucher_fresh")).toEqual([
        "Not redeemed yet: is redeemed when you add it",
    ]);
    expect(queryAllTexts(".o_pos_loyalty_engine_voucher_added")).toEqual(["Adds Wood chair"]);
    expect(".o_pos_loyalty_engine_voucher:disabled").toHaveCount(1);
});

test("a code goes to the engine as it is; a refusal stays in the window", async () => {
    const codes = [];
    const till = await setupWindows({
        answers: {
            hold_voucher: ({ code }) => {
                codes.push(code);
                return { status: "unknown" };
            },
        },
    });
    till.desk.openVouchers(till.order);
    await waitFor("input.o_pos_loyalty_engine_voucher_code");
    await click("input.o_pos_loyalty_engine_voucher_code");
    await edit(" Pro mo-7hd3xp ");
    await press("Enter");
    await waitFor(".modal .o_pos_loyalty_engine_words:contains(There is no such voucher)");
    expect(codes).toEqual([" Pro mo-7hd3xp "]);
});

test("a scan lands in the window, whatever the barcode rules take it for", async () => {
    let handlers;
    mockService("barcode_reader", () => ({
        register(map, isExclusive) {
            handlers = isExclusive ? map : handlers;
            return () => {};
        },
    }));
    const till = await setupWindows();
    till.desk.openVouchers(till.order);
    await waitFor("input.o_pos_loyalty_engine_voucher_code");
    handlers.price(scanned("2100000012345", "price"));
    await tick();
    await till.desk.steps.running(till.order);
    expect(till.ledger.params.code).toBe("2100000012345");
});

for (const isSmall of [false, true]) {
    test(`a card that is refused ${
        isSmall ? "opens no keyboard on a phone" : "leaves the cursor in the field"
    }`, async () => {
        await resize({ width: isSmall ? 400 : 1366 });
        const till = await setupWindows({
            answers: {
                vouchers: () => ({ status: "found", vouchers: [inWallet("b1")] }),
                hold_voucher: () => ({ status: "rejected", reason: "Not today." }),
            },
        });
        till.desk.openVouchers(till.order);
        await waitFor(".o_pos_loyalty_engine_voucher");
        await click(".o_pos_loyalty_engine_voucher");
        await waitFor(".modal:contains(Not today.)");
        expect("input.o_pos_loyalty_engine_voucher_code:focus").toHaveCount(isSmall ? 0 : 1);
    });
}

test("a wallet that can't be fetched is no empty one", async () => {
    const till = await setupWindows({ answers: { vouchers: () => ({ status: "down" }) } });
    till.desk.openVouchers(till.order);
    await waitFor(".modal:contains(The Loyalty Engine does not answer)");
    expect(".modal:contains(has no vouchers)").toHaveCount(0);
    delete till.ledger.answers.vouchers;
    await click(".modal button:contains(Try again)");
    await waitFor(".modal:contains(has no vouchers)");
});

test("a window that was closed says the result elsewhere", async () => {
    const held = new Deferred();
    const till = await setupWindows({ answers: { hold_voucher: () => held } });
    till.desk.openVouchers(till.order);
    await waitFor("input.o_pos_loyalty_engine_voucher_code");
    await click("input.o_pos_loyalty_engine_voucher_code");
    await edit("X");
    await press("Enter");
    const texts = watchNotifications(till.store);
    till.store.dialog.closeAll();
    await animationFrame();
    held.resolve({ status: "unknown" });
    await till.desk.steps.running(till.order);
    await tick();
    expect(texts).toEqual(["There is no such voucher."]);
});

// --- Points ---

async function openPoints(options = {}) {
    const till = await setupWindows({
        answers: { points_terms: () => ({ ...TERMS, ...options.terms }), ...options.answers },
    });
    till.desk.openPoints(till.order);
    await waitFor(".o_pos_loyalty_engine_points_entry");
    const words = () => queryAllTexts(".modal .o_pos_loyalty_engine_words").at(0);
    const type = async (text) => {
        await click(".o_pos_loyalty_engine_points_entry");
        await edit(text);
        await animationFrame();
    };
    return { till, words, type };
}

test("points show what they are worth and what is left, before they are used", async () => {
    const { till, type } = await openPoints();
    await type("300");
    expect(".o_pos_loyalty_engine_points_worth").toHaveText(/= \$.3\.00/);
    expect(".o_pos_loyalty_engine_points_left").toHaveText("950");
    await press("Enter");
    await tick();
    await till.desk.steps.running(till.order);
    expect(till.ledger.params).toMatchObject({ points: 300, due: "17.85", presented: "scan" });
});

test("a part of a cent is worth nothing, as the server counts", async () => {
    const { type } = await openPoints({ terms: { rate: "0.0125" } });
    await type("35");
    expect(".o_pos_loyalty_engine_points_worth").toHaveText(/= \$.0\.43/);
});

test("money is money: to the cent, and in points", async () => {
    const { till, type } = await openPoints({ terms: { rate: "0.03", step: 10 } });
    await click(".o_pos_loyalty_engine_as_money");
    await type("2.50");
    // 2.50 / 0.03 = 83.3, in steps of ten
    expect(".o_pos_loyalty_engine_points_worth").toHaveText("= 90 points");
    await click(".o_pos_loyalty_engine_points_confirm");
    await tick();
    await till.desk.steps.running(till.order);
    expect(till.ledger.params).toMatchObject({ amount: "2.50" });
    expect(till.ledger.params.points).toBe(undefined);
});

for (const [terms, entry, words] of [
    [{ available: 200 }, "201", "Only 200 points are available."],
    [{ max: 100 }, "101", "100 points at most."],
    [{ min: 50 }, "49", "50 points at least."],
    [{ step: 25 }, "30", "Only in steps of 25 points."],
    [{ balance: 9999, available: 9999 }, "1786", "1,785 points pay for this whole sale."],
    [{}, "abc", "That is no number."],
]) {
    test(`${entry} points with ${JSON.stringify(terms)} can't be used`, async () => {
        const result = await openPoints({ terms });
        await result.type(entry);
        expect(result.words()).toBe(words);
        expect(".o_pos_loyalty_engine_points_confirm").toHaveProperty("disabled", true);
    });
}

test("all, and enough for the sale", async () => {
    await openPoints({ terms: { available: 1234, step: 100 } });
    expect(".o_pos_loyalty_engine_points_cover").toHaveProperty("disabled", true);
    await click(".o_pos_loyalty_engine_points_all");
    await animationFrame();
    expect(".o_pos_loyalty_engine_points_entry").toHaveValue("1200");
});

test("enough for the sale is not more than the sale", async () => {
    await openPoints({ terms: { balance: 99999, available: 99999, step: 100 } });
    await click(".o_pos_loyalty_engine_points_cover");
    await animationFrame();
    // 1,785 in steps of a hundred; what is beyond the sale is nobody's gain, and said.
    expect(".o_pos_loyalty_engine_points_entry").toHaveValue("1800");
    expect(".o_pos_loyalty_engine_points_worth").toHaveText(/= \$.17\.85/);
    expect(".o_pos_loyalty_engine_points_confirm").toHaveProperty("disabled", false);
});

test("the manager's PIN is asked for where it takes one", async () => {
    const { till, type } = await openPoints({
        answers: {
            hold_points: ({ pin }, rows) => {
                if (pin !== "1234") {
                    return { status: "needs_pin", is_wrong: Boolean(pin) };
                }
                rows.push(points());
                return { status: "held", redemption: points() };
            },
        },
    });
    const pins = [undefined, "1", "1234"];
    patchWithCleanup(till.desk, {
        askForPin(isAgain) {
            expect.step(`asked ${isAgain ? "again" : ""}`);
            return pins.shift();
        },
    });
    await type("200");
    await press("Enter");
    await waitFor(".modal .o_pos_loyalty_engine_words:contains(PIN)");
    expect.verifySteps(["asked "]);
    await press("Enter");
    await waitUntil(() => !pins.length);
    await tick();
    await till.desk.steps.running(till.order);
    expect.verifySteps(["asked ", "asked again"]);
    expect(till.order.loyaltyEngineShown).toHaveLength(1);
});

for (const [status, words] of [
    ["down", "The Loyalty Engine does not answer."],
    ["off", "This is switched off here."],
]) {
    test(`no terms (${status}): words, and no way to spend blindly`, async () => {
        const till = await setupWindows({ answers: { points_terms: () => ({ status }) } });
        till.desk.openPoints(till.order);
        await waitFor(`.modal .o_pos_loyalty_engine_words:contains("${words}")`);
        expect(".o_pos_loyalty_engine_points_confirm").toHaveCount(0);
    });
}

// --- Receipt and customer display ---

test("of a balance that may have the points already nothing is subtracted", async () => {
    const { order, store } = await setupSpending({ members: { 1000001: found(1) } });
    await store.loyaltyEngineDesk.identify("1000001", { order });
    order.setLoyaltyEngineRedemptions([points("p1", { state: "spent" })]);
    expect(order.loyaltyEngineRedeemed.pointsLeft).toBe("1,050");
    await store.loyaltyEngineDesk.identify("1000001", { order });
    expect(order.loyaltyEngineRedeemed.pointsSpent).toBe("200");
    expect(order.loyaltyEngineRedeemed.pointsLeft).toBe("");
});

test("receipt and customer display tell what was redeemed, and what is left", async () => {
    const { order, store } = await setupSpending({ members: { 1000001: found(1) } });
    await store.loyaltyEngineDesk.identify("1000001", { order });
    expect(order.loyaltyEngineRedeemed).toBe(null);
    order.setLoyaltyEngineRedemptions([
        voucher("v1"),
        points("p1"),
        voucher("v2", { state: "refused" }),
    ]);
    expect(order.loyaltyEngineRedeemed).toEqual({
        vouchers: ["Voucher v1"],
        pointsSpent: "200",
        pointsLeft: "1,050",
    });
    // Of points as many as the order takes, and of vouchers those that it gives a right to.
    order.lines[0].setQuantity(0.1);
    order.lines[1].setQuantity(0);
    order.recomputeLoyaltyEngineDiscounts();
    expect(order.loyaltyEngineRedeemed.vouchers).toEqual(
        order.loyaltyEngineShown
            .filter(({ kind, worth }) => kind === "voucher" && worth)
            .map(({ name }) => name)
    );
    const held = order.loyaltyEngineShown.find(({ kind }) => kind === "points");
    expect(held.worth).toBeLessThan(2);
    expect(order.loyaltyEngineRedeemed?.pointsSpent || "0").toBe(`${Math.round(held.worth * 100)}`);
    // What was held and never spent is not on the receipt.
    order.state = "paid";
    expect(order.loyaltyEngineRedeemed).toBe(null);
    order.uiState.loyaltyEngine.redemptions = [voucher("v1", { state: "spent" })];
    expect(order.loyaltyEngineRedeemed).toEqual({
        vouchers: ["Voucher v1"],
        pointsSpent: "",
        pointsLeft: "",
    });
});

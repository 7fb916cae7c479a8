import { expect, test } from "@odoo/hoot";
import { click, press, queryAll, queryFirst, queryOne, queryText, waitFor } from "@odoo/hoot-dom";
import { advanceTime, animationFrame, Deferred } from "@odoo/hoot-mock";
import { contains, mountWithCleanup, onRpc } from "@web/../tests/web_test_helpers";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";
import { found, setupTill } from "../utils";

definePosModels();

const PANEL = ".o_pos_loyalty_engine_panel";

async function mountPanel(answers, connection) {
    const till = await setupTill(answers, connection);
    await mountWithCleanup(MainComponentsContainer);
    await mountWithCleanup(MemberPanel, { props: { order: till.order } });
    return till;
}

/** Let answers of the server arrive and be drawn. */
async function settle() {
    await animationFrame();
    await animationFrame();
}

test("without a connection there is no panel", async () => {
    const store = await setupPosEnv();
    await getFilledOrder(store);
    await mountWithCleanup(OrderSummary);
    expect(".order-summary").toHaveCount(1);
    expect(PANEL).toHaveCount(0);
});

test("with a connection it stands under the lines", async () => {
    const { store } = await setupTill();
    await getFilledOrder(store);
    await mountWithCleanup(OrderSummary);
    expect(`.order-summary`).toHaveCount(1);
    expect(PANEL).toHaveCount(1);
    expect(".o_pos_loyalty_engine_add").toHaveText("Member\nScan the card, or type the code");
});

test("tier, name, points, value, age and estimate", async () => {
    const { store, desk } = await setupTill({ A: found(1) });
    await getFilledOrder(store);
    await mountWithCleanup(OrderSummary);
    await desk.identify("A");
    await settle();
    expect(".o_pos_loyalty_engine_tier").toHaveText("Gold");
    expect(".o_pos_loyalty_engine_name").toHaveText("Member 1");
    expect(".o_pos_loyalty_engine_points").toHaveText("1,250 pts");
    expect(".o_pos_loyalty_engine_value").toHaveText("≈ $ 12.50");
    expect(".o_pos_loyalty_engine_age").toHaveText("now");
    expect(".o_pos_loyalty_engine_estimate").toHaveText("+ ≈ 17");
});

test("the estimate follows the basket once that rests", async () => {
    const { store, desk } = await setupTill({ A: found(1) });
    const order = await getFilledOrder(store);
    await mountWithCleanup(OrderSummary);
    await desk.identify("A");
    await settle();
    order.lines[0].setQuantity(10);
    await animationFrame();
    expect(".o_pos_loyalty_engine_estimate").toHaveText("+ ≈ 17");
    await advanceTime(300);
    await animationFrame();
    const estimate = order.loyaltyEngineEstimatedPoints;
    expect(estimate).toBeGreaterThan(17);
    expect(".o_pos_loyalty_engine_estimate").toHaveText(`+ ≈ ${estimate}`);
    // Another order's is shown at once.
    store.addNewOrder();
    await animationFrame();
    expect(".o_pos_loyalty_engine_estimate").toHaveCount(0);
});

test("the age grows by one slow timer, and a stale balance is marked", async () => {
    const { desk } = await mountPanel({ A: found(1) });
    await desk.identify("A");
    await settle();
    await advanceTime(12000);
    await animationFrame();
    expect(".o_pos_loyalty_engine_age").toHaveText("10 s");
    await advanceTime(180000);
    await animationFrame();
    expect(".o_pos_loyalty_engine_age").toHaveText("3 min");
    expect(".o_pos_loyalty_engine_refresh").not.toHaveClass("text-warning");
    await advanceTime(180000);
    await animationFrame();
    expect(".o_pos_loyalty_engine_refresh").toHaveClass("text-warning");
});

test("what is not known is not shown as zero", async () => {
    const { desk } = await mountPanel({ A: found(1, { points: null, tier: null, name: "" }) });
    await desk.identify("A");
    await settle();
    expect(".o_pos_loyalty_engine_points").toHaveText("points unknown");
    expect(".o_pos_loyalty_engine_value").toHaveCount(0);
    expect(".o_pos_loyalty_engine_tier").toHaveCount(0);
    expect(".o_pos_loyalty_engine_name").toHaveText("1000001");
});

test("while a member is looked up it says so, and can be removed", async () => {
    const answer = new Deferred();
    const { desk, order } = await mountPanel({ A: answer });
    desk.identify("A");
    await animationFrame();
    expect(".o_pos_loyalty_engine_looking_up").toHaveText("Looking up A");
    await contains(".o_pos_loyalty_engine_remove").click();
    expect(".o_pos_loyalty_engine_add").toHaveCount(1);
    expect(order.loyaltyEngineMember).toBe(null);
});

test("a code that could not be checked is shown as such, and can be checked again", async () => {
    const answers = { A: { status: "down" } };
    const { desk } = await mountPanel(answers);
    await desk.identify("A");
    await settle();
    expect(".o_pos_loyalty_engine_unverified").toHaveText(
        "A · will be checked when the sale is reported"
    );
    expect(queryOne(".o_pos_loyalty_engine_unverified").title).toBe(
        "The Loyalty Engine does not answer."
    );
    answers.A = found(1);
    await contains(".o_pos_loyalty_engine_refresh").click();
    await settle();
    expect(".o_pos_loyalty_engine_name").toHaveText("Member 1");
});

test("a code kept while offline is checked when the till is online again", async () => {
    const { store, desk } = await mountPanel({ A: found(1) });
    store.data.network.offline = true;
    await desk.identify("A");
    await settle();
    expect(".o_pos_loyalty_engine_unverified").toHaveCount(1);
    store.data.network.offline = false;
    window.dispatchEvent(new CustomEvent("pos-network-online"));
    await waitFor(".o_pos_loyalty_engine_name");
});

test("the wallet of a member from elsewhere is fetched by itself", async () => {
    const { order, asked } = await mountPanel({ "ref-1": found(1) });
    order.update({ loyalty_engine_member_code: "A", loyalty_engine_member_ref: "ref-1" });
    await waitFor(".o_pos_loyalty_engine_name");
    expect(asked).toEqual(["ref-1"]);
});

test("removed with one tap", async () => {
    const { desk, order } = await mountPanel({ A: found(1) });
    await desk.identify("A");
    await settle();
    await contains(".o_pos_loyalty_engine_remove").click();
    expect(".o_pos_loyalty_engine_add").toHaveCount(1);
    expect(order.loyalty_engine_member_code).toBe("");
});

// --- Typing a code ---

test("a typed code identifies by keyboard alone", async () => {
    const { order } = await mountPanel({ 1000001: found(1) });
    await click(".o_pos_loyalty_engine_add");
    await waitFor(".o_pos_loyalty_engine_code:focus");
    await contains(".o_pos_loyalty_engine_code").edit(" 1000001 ", { confirm: false });
    await press("Enter");
    await settle();
    expect(".modal").toHaveCount(0);
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(".o_pos_loyalty_engine_name").toHaveText("Member 1");
});

for (const [pace, how] of [
    [20, "scan"],
    [120, "typed"],
]) {
    test(`a character each ${pace} ms in the field: ${how}`, async () => {
        const { order } = await mountPanel({ 1000001: found(1) });
        await click(".o_pos_loyalty_engine_add");
        await waitFor(".o_pos_loyalty_engine_code:focus");
        const input = queryOne(".o_pos_loyalty_engine_code");
        let time = 1000;
        for (const key of "1000001") {
            const press = new KeyboardEvent("keydown", { key, bubbles: true });
            Object.defineProperty(press, "timeStamp", { value: (time += pace) });
            input.dispatchEvent(press);
            input.value += key;
            input.dispatchEvent(new InputEvent("input", { bubbles: true }));
        }
        await press("Enter");
        await settle();
        expect(order.uiState.loyaltyEngine.presented).toEqual({ code: "1000001", how });
    });
}

test("a code that was pasted was not scanned", async () => {
    const { order } = await mountPanel({ 1000001: found(1) });
    await click(".o_pos_loyalty_engine_add");
    await waitFor(".o_pos_loyalty_engine_code:focus");
    const input = queryOne(".o_pos_loyalty_engine_code");
    await press(["ctrl", "v"]);
    input.value = "1000001";
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    await press("Enter");
    await settle();
    expect(order.uiState.loyaltyEngine.presented.how).toBe("typed");
});

test("a code that nobody has is said in the popup, where it can be corrected", async () => {
    const { order } = await mountPanel({ 1000001: found(1) });
    await click(".o_pos_loyalty_engine_add");
    await waitFor(".modal");
    await contains(".o_pos_loyalty_engine_code").edit("nobody", { confirm: false });
    await contains(".modal .btn-primary").click();
    await settle();
    expect(".o_pos_loyalty_engine_words").toHaveText('No member has the code "nobody".');
    expect(".o_notification").toHaveCount(0);
    expect(".o_pos_loyalty_engine_code").toBeFocused();
    expect(order.loyaltyEngineMember).toBe(null);
    await contains(".o_pos_loyalty_engine_code").edit("1000001", { confirm: false });
    await contains(".modal .btn-primary").click();
    await settle();
    expect(".modal").toHaveCount(0);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
});

test("a code that can't be checked closes the popup and is kept", async () => {
    const { order } = await mountPanel({ A: { status: "slow" } });
    await click(".o_pos_loyalty_engine_add");
    await waitFor(".modal");
    await contains(".o_pos_loyalty_engine_code").edit("A", { confirm: false });
    await contains(".modal .btn-primary").click();
    await settle();
    expect(".modal").toHaveCount(0);
    expect(order.loyaltyEngineMember.trouble).toBe("slow");
    expect(queryText(".o_notification")).toInclude("takes too long");
});

test("a popup that was closed does not lose the answer", async () => {
    const answer = new Deferred();
    const { order } = await mountPanel({ A: answer });
    await click(".o_pos_loyalty_engine_add");
    await waitFor(".modal");
    await contains(".o_pos_loyalty_engine_code").edit("A", { confirm: false });
    await contains(".modal .btn-primary").click();
    await contains(".modal .btn-secondary").click();
    expect(".modal").toHaveCount(0);
    answer.resolve({ status: "unknown" });
    await settle();
    expect(queryText(".o_notification")).toInclude('No member has the code "A".');
    expect(order.loyaltyEngineMember).toBe(null);
});

// --- Linking ---

test("a customer is linked in two clicks", async () => {
    const { desk, order } = await mountPanel({ A: found(1) });
    onRpc("/pos_loyalty_engine/link_customer", async (request) => {
        const { params } = await request.json();
        expect.step([params.member_ref, params.partner_id]);
        return { status: "linked" };
    });
    await desk.identify("A");
    await settle();
    await click(".o_pos_loyalty_engine_link");
    await waitFor(".partner-info[data-id='3']");
    await click(".partner-info[data-id='3']");
    await settle();
    expect.verifySteps([["ref-1", 3]]);
    expect(order.partner_id.id).toBe(3);
    expect(".o_pos_loyalty_engine_link").toHaveCount(0);
});

test("the order's own customer is linked in two clicks", async () => {
    const { store, desk, order } = await mountPanel({ A: found(1) });
    onRpc("/pos_loyalty_engine/link_customer", () => {
        expect.step("link");
        return { status: "taken" };
    });
    order.setPartner(store.models["res.partner"].get(3));
    await desk.identify("A");
    await settle();
    await click(".o_pos_loyalty_engine_link");
    await waitFor(".modal");
    expect(queryText(".modal-body")).toInclude("Is Administrator the member Member 1?");
    await click(queryFirst(".modal .btn-primary"));
    await settle();
    expect.verifySteps(["link"]);
    // Somebody else is linked already: it can be tried with another one
    expect(queryText(".o_notification")).toInclude("already linked");
    expect(".o_pos_loyalty_engine_link").toHaveCount(1);
});

test("a linked member needs no link", async () => {
    const { desk } = await mountPanel({ A: found(1, { partner_id: 3 }) });
    await desk.identify("A");
    await settle();
    expect(".o_pos_loyalty_engine_link").toHaveCount(0);
});

// --- Receipt ---

test("the receipt of an order without a member has nothing of ours", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    await mountWithCleanup(OrderReceipt, { props: { order } });
    expect(".pos-receipt").toHaveCount(1);
    expect(queryAll("[class*='o_pos_loyalty_engine']")).toHaveLength(0);
});

test("an estimate on the receipt is called one", async () => {
    const { store, desk } = await setupTill({ A: found(1) });
    const order = await getFilledOrder(store);
    await desk.identify("A");
    await mountWithCleanup(OrderReceipt, { props: { order } });
    expect(".o_pos_loyalty_engine_receipt_title").toHaveText("Member · Gold");
    expect(queryText(".o_pos_loyalty_engine_receipt_estimate")).toInclude(
        "about 17 points (estimate)"
    );
    expect(queryText(".o_pos_loyalty_engine_receipt_balance")).toInclude("before this sale");
});

test("earned points on the receipt are not called an estimate", async () => {
    const { store, desk } = await setupTill({ A: found(1) });
    const order = await getFilledOrder(store);
    await desk.identify("A");
    order.uiState.loyaltyEngine.receipt = { pointsEarned: 17, points: 1267 };
    await mountWithCleanup(OrderReceipt, { props: { order } });
    expect(".o_pos_loyalty_engine_receipt_estimate").toHaveCount(0);
    expect(queryText(".o_pos_loyalty_engine_receipt_earned")).toInclude("17 points");
    expect(queryText(".o_pos_loyalty_engine_receipt_balance")).toInclude("1,267 points");
    expect(queryText(".pos-receipt")).not.toInclude("estimate");
});

import { expect, test } from "@odoo/hoot";
import { advanceTime, Deferred, tick } from "@odoo/hoot-mock";
import { waitUntil } from "@odoo/hoot-dom";
import { MockServer, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";
import { getFilledOrder } from "@point_of_sale/../tests/unit/utils";
import { found, scanned, setupTill, watchNotifications } from "../utils";

definePosModels();

test("a member is found and the order carries code, id and wallet", async () => {
    const { desk, order } = await setupTill({ 1000001: found(1) });
    const answer = desk.identify("1000001");
    expect(order.loyaltyEngineMember.code).toBe("1000001");
    expect(order.loyaltyEngineMember.ref).toBe("");
    expect(order.uiState.loyaltyEngine.lookingUp).toBe("1000001");
    expect((await answer).status).toBe("found");
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect(order.loyaltyEngineMember.wallet.name).toBe("Member 1");
    expect(order.uiState.loyaltyEngine.lookingUp).toBe(false);
});

test("of two fast scans the last one wins, whichever answer comes first", async () => {
    const first = new Deferred();
    const second = new Deferred();
    const { desk, order } = await setupTill({ A: first, B: second });
    const answers = [desk.identify("A"), desk.identify("B")];
    second.resolve(found(2));
    await answers[1];
    first.resolve(found(1));
    expect((await answers[0]).status).toBe("superseded");
    expect(order.loyalty_engine_member_code).toBe("B");
    expect(order.loyaltyEngineMember.wallet.ref).toBe("ref-2");
});

test("an answer for a member that was removed is dropped", async () => {
    const answer = new Deferred();
    const { desk, order } = await setupTill({ A: answer });
    const lookup = desk.identify("A");
    desk.remove(order);
    answer.resolve(found(1));
    expect((await lookup).status).toBe("superseded");
    expect(order.loyaltyEngineMember).toBe(null);
    expect(order.uiState.loyaltyEngine.lookingUp).toBe(false);
});

test("an answer goes to the order that asked, not to the current one", async () => {
    const answer = new Deferred();
    const { store, desk, order } = await setupTill({ A: answer });
    const partner = store.models["res.partner"].get(3);
    const lookup = desk.identify("A");
    const other = store.addNewOrder();
    answer.resolve(found(1, { partner_id: partner.id }));
    await lookup;
    await tick();
    expect(other.loyaltyEngineMember).toBe(null);
    expect(other.partner_id).toBe(undefined);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect(order.partner_id.id).toBe(partner.id);
});

test("an answer that comes after the payment changes nothing, and the code stays", async () => {
    const answer = new Deferred();
    const { desk, order } = await setupTill({ A: answer });
    const lookup = desk.identify("A");
    order.state = "paid";
    answer.resolve(found(1));
    expect((await lookup).status).toBe("superseded");
    expect(order.loyalty_engine_member_code).toBe("A");
    expect(order.loyaltyEngineMember.ref).toBe("");
    expect(order.uiState.loyaltyEngine.lookingUp).toBe(false);
});

test("a card that is shown while the paid sale is being sent is told so, and not asked about", async () => {
    const { store, desk, order } = await setupTill({ A: found(1) });
    order.state = "paid";
    const texts = watchNotifications(store);
    expect((await desk.identify("A")).status).toBe("superseded");
    expect(texts).toEqual(["This sale is paid."]);
    expect(order.loyalty_engine_member_code).toBeEmpty();
});

test("a code that nobody has leaves the order as it was", async () => {
    const { store, desk, order } = await setupTill({ 1000001: found(1) });
    const texts = watchNotifications(store);
    await desk.identify("nobody");
    expect(order.loyaltyEngineMember).toBe(null);
    await desk.identify("1000001");
    await desk.identify("nobody");
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(order.loyaltyEngineMember.wallet.name).toBe("Member 1");
    expect(texts).toEqual(['No member has the code "nobody".', 'No member has the code "nobody".']);
});

for (const [status, words] of Object.entries({
    ambiguous: 'Several members have the code "X". Use the account number.',
    restricted: "This member's account is restricted: it is not on the order.",
})) {
    test(`${status}: its own words, and no member`, async () => {
        const { store, desk, order } = await setupTill({ X: { status } });
        const texts = watchNotifications(store);
        await desk.identify("X");
        expect(order.loyaltyEngineMember).toBe(null);
        expect(texts).toEqual([words]);
    });
}

for (const [status, words] of Object.entries({
    slow: "The Loyalty Engine takes too long to answer.",
    down: "The Loyalty Engine does not answer.",
    limited: "Too many members were looked up. Wait 42 seconds.",
    refused: "The Loyalty Engine refuses this shop's access. Tell the manager.",
    not_configured: "The Loyalty Engine is not set up here. Tell the manager.",
})) {
    test(`${status}: its own words, and the code is kept`, async () => {
        const { store, desk, order } = await setupTill({ X: { status, retry_after: 42 } });
        const texts = watchNotifications(store);
        await desk.identify("X");
        expect(order.loyaltyEngineMember).toEqual({
            code: "X",
            ref: "",
            wallet: null,
            trouble: status,
        });
        expect(texts).toEqual([
            `${words} The code stays with the order and is checked when the sale is reported.`,
        ]);
    });
}

test("where nothing is reported, a kept code is not said to be checked then", async () => {
    const { store, desk } = await setupTill({ X: { status: "down" } }, { is_reporting: false });
    const texts = watchNotifications(store);
    await desk.identify("X");
    expect(texts).toEqual(["The Loyalty Engine does not answer. The code stays with the order."]);
});

test("offline the code is kept, and checked once the till is back", async () => {
    const { store, desk, order, asked } = await setupTill({ 1000001: found(1) });
    store.data.network.offline = true;
    await desk.identify("1000001");
    expect(order.loyaltyEngineMember.trouble).toBe("offline");
    desk.ensureWallet(order);
    expect(asked).toEqual([]);
    store.data.network.offline = false;
    await desk.onOnline(order);
    expect(order.loyaltyEngineMember.wallet.name).toBe("Member 1");
    expect(asked).toEqual(["1000001"]);
});

test("a refresh that fails keeps member and balance", async () => {
    const answers = { 1000001: found(1), "ref-1": { status: "down" } };
    const { store, desk, order, asked } = await setupTill(answers);
    await desk.identify("1000001");
    const texts = watchNotifications(store);
    await desk.refresh(order);
    expect(asked).toEqual(["1000001", "ref-1"]);
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect(order.loyaltyEngineMember.wallet.points).toBe(1250);
    expect(texts).toEqual(["The Loyalty Engine does not answer."]);
});

test("a refresh brings the new balance and keeps the code", async () => {
    const answers = { 1000001: found(1), "ref-1": found(1, { points: 7 }) };
    const { desk, order } = await setupTill(answers);
    await desk.identify("1000001");
    await desk.refresh(order);
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(order.loyaltyEngineMember.wallet.points).toBe(7);
});

test("a member that came with the order gets its wallet once", async () => {
    const { desk, order, asked } = await setupTill({ "ref-1": { status: "down" } });
    order.update({ loyalty_engine_member_code: "1000001", loyalty_engine_member_ref: "ref-1" });
    await desk.ensureWallet(order);
    await desk.ensureWallet(order);
    expect(asked).toEqual(["ref-1"]);
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
});

test("a stored code that turns out to be nobody's is taken off", async () => {
    const { store, desk, order } = await setupTill();
    const texts = watchNotifications(store);
    order.update({ loyalty_engine_member_code: "nobody" });
    await desk.ensureWallet(order);
    expect(order.loyaltyEngineMember).toBe(null);
    expect(texts).toEqual(['No member has the code "nobody".']);
});

// --- Codes that no product has ---

test("a code that no product has is offered, and not asked again when nobody has it", async () => {
    const { store, desk, order, asked } = await setupTill({ 1000001: found(1) });
    const texts = watchNotifications(store);
    expect(desk.mayOffer(scanned("stranger"))).toBe(true);
    await desk.offer("stranger", () => expect.step("not found"));
    expect.verifySteps(["not found"]);
    expect(texts).toEqual(['No member has the code "stranger".']);
    expect(order.loyaltyEngineMember).toBe(null);
    expect(desk.mayOffer(scanned("stranger"))).toBe(false);
    expect(desk.mayOffer(scanned("1000001"))).toBe(true);
    await desk.offer("1000001", () => expect.step("not found"));
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect(asked).toEqual(["stranger", "1000001"]);
    await advanceTime(11 * 60 * 1000);
    expect(desk.mayOffer(scanned("stranger"))).toBe(true);
});

test("an offered code is no claim before the engine knows it", async () => {
    const answer = new Deferred();
    const { desk, order } = await setupTill({ stranger: answer });
    const offer = desk.offer("stranger", () => {});
    expect(order.loyaltyEngineMember).toBe(null);
    expect(desk.mayOffer(scanned("another"))).toBe(false);
    answer.resolve({ status: "unknown" });
    await offer;
    expect(desk.mayOffer(scanned("another"))).toBe(true);
});

test("a member's code is a claim at once: the sale may be paid before the answer comes", async () => {
    const answers = { 1000001: new Deferred(), 1000002: new Deferred() };
    const { store, desk, order } = await setupTill(answers);
    const unknown = desk.offer("1000002", () => expect.step("not found"));
    expect(order.loyaltyEngineMember.code).toBe("1000002");
    answers[1000002].resolve({ status: "unknown" });
    await unknown;
    expect(order.loyaltyEngineMember).toBe(null);
    expect.verifySteps(["not found"]);
    const offer = desk.offer("1000001", () => expect.step("not found"));
    order.state = "paid";
    answers[1000001].resolve(found(1));
    await offer;
    expect(order.loyalty_engine_member_code).toBe("1000001");
    expect(store.getOrder()).toBe(order);
});

test("a code that is scanned twice while it is asked for is asked for once", async () => {
    const answer = new Deferred();
    const { desk, order, asked } = await setupTill({ 1000001: answer, 1000002: found(2) });
    const offer = desk.offer("1000001", () => expect.step("not found"));
    expect(desk.mayOffer(scanned("1000001"))).toBe(true);
    await desk.offer("1000001", () => expect.step("not found"));
    // Another member's takes its place.
    expect(desk.mayOffer(scanned("1000002"))).toBe(true);
    await desk.offer("1000002", () => expect.step("not found"));
    answer.resolve(found(1));
    await offer;
    expect(order.loyaltyEngineMember.ref).toBe("ref-2");
    expect(asked).toEqual(["1000001", "1000002"]);
    expect.verifySteps([]);
});

test("a member who is known stays when what is scanned can't be checked", async () => {
    const { store, desk, order } = await setupTill({
        1000001: found(1),
        1234567: { status: "down" },
    });
    await desk.identify("1000001");
    const texts = watchNotifications(store);
    await desk.offer("1234567", () => expect.step("not found"));
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
    expect(texts).toEqual(["The Loyalty Engine does not answer."]);
});

test("somebody who has just become a member is asked for again soon", async () => {
    const { desk } = await setupTill();
    await desk.offer("1000001", () => expect.step("not found"));
    expect.verifySteps(["not found"]);
    expect(desk.mayOffer(scanned("1000001"))).toBe(false);
    await advanceTime(31 * 1000);
    expect(desk.mayOffer(scanned("1000001"))).toBe(true);
});

test("while the engine does not answer, only codes that name a member are offered", async () => {
    const { desk, order } = await setupTill({
        stranger: { status: "down" },
        1234567: { status: "down" },
        7654321: { status: "down" },
    });
    await desk.offer("stranger", () => expect.step("not found"));
    expect.verifySteps(["not found"]);
    expect(order.loyaltyEngineMember).toBe(null);
    expect(desk.mayOffer(scanned("another"))).toBe(false);
    expect(desk.mayOffer(scanned("1234567"))).toBe(true);
    await desk.offer("1234567", () => expect.step("not found"));
    expect(order.loyaltyEngineMember.code).toBe("1234567");
    expect(order.loyaltyEngineMember.trouble).toBe("down");
    // Of codes that nobody could check the last one counts
    await desk.offer("7654321", () => expect.step("not found"));
    expect(order.loyaltyEngineMember.code).toBe("7654321");
    expect.verifySteps([]);
    await advanceTime(61 * 1000);
    expect(desk.mayOffer(scanned("another"))).toBe(true);
});

test("codes that are merely tried wait for as long as the server says", async () => {
    const { desk } = await setupTill({ stranger: { status: "limited", retry_after: 240 } });
    await desk.offer("stranger", () => expect.step("not found"));
    expect.verifySteps(["not found"]);
    await advanceTime(61 * 1000);
    expect(desk.mayOffer(scanned("another"))).toBe(false);
    expect(desk.mayOffer(scanned("1234567"))).toBe(true);
    await advanceTime(180 * 1000);
    expect(desk.mayOffer(scanned("another"))).toBe(true);
});

test("offline, a code with the shop's prefix is a member's, and what may be a product's is not", async () => {
    const { store, desk, order } = await setupTill({}, { member_code_prefix: "LOY-" });
    store.data.network.offline = true;
    const texts = watchNotifications(store);
    for (const code of ["LOY-", "4711-A"]) {
        await desk.offer(code, () => expect.step(`not found ${code}`));
    }
    expect(order.loyaltyEngineMember).toBe(null);
    expect.verifySteps(["not found LOY-", "not found 4711-A"]);
    texts.length = 0;
    await desk.offer("LOY-4711-A", () => expect.step("not found"));
    expect(order.loyaltyEngineMember).toMatchObject({ code: "LOY-4711-A", trouble: "offline" });
    expect(texts).toEqual([
        "The till is offline. The code stays with the order and is checked when the sale is reported.",
    ]);
    expect.verifySteps([]);
});

test("offline, the member's own card scanned again takes nothing away", async () => {
    const { store, desk, order } = await setupTill({ 1000001: found(1) });
    await desk.identify("1000001");
    store.data.network.offline = true;
    await desk.offer("1000001", () => expect.step("not found"));
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
    expect(order.loyaltyEngineMember.wallet.points).toBe(1250);
    expect.verifySteps([]);
});

test("codes that can't be a member's are not offered", async () => {
    const { store, desk } = await setupTill();
    for (const type of ["weight", "price", "discount", "quantity"]) {
        expect(desk.mayOffer(scanned("2100005000000", type))).toBe(false);
    }
    expect(desk.mayOffer({ ...scanned("00012345678905"), ai: "01" })).toBe(false);
    expect(desk.mayOffer(scanned("1000001"))).toBe(true);
    // What the shop sells, on a screen that takes no products
    const [product] = store.models["product.template"].get(5).product_variant_ids;
    store.router.state.current = "PaymentScreen";
    expect(desk.mayOffer(scanned(product.barcode))).toBe(false);
    expect(desk.mayOffer(scanned("1000001"))).toBe(true);
    store.router.state.current = "TicketScreen";
    expect(desk.mayOffer(scanned("1000001"))).toBe(false);
});

test("what the barcode rules take for something else is offered too", async () => {
    const { store, desk, order } = await setupTill({ 1000001: found(1) });
    const reader = new BarcodeReader(null, store.env.services);
    patchWithCleanup(reader.notification, { add: () => expect.step("not found") });
    reader.showNotFoundNotification(scanned("1000001", "lot"));
    expect.verifySteps(["not found"]);
    reader.loyaltyEngineDesk = desk;
    reader.showNotFoundNotification(scanned("1000001", "lot"));
    await waitUntil(() => order.loyaltyEngineMember?.ref);
    expect.verifySteps([]);
});

test("an offer does not push off a look-up that is running", async () => {
    const answer = new Deferred();
    const { desk, order } = await setupTill({ 1000001: answer });
    const lookup = desk.identify("1000001");
    expect(desk.mayOffer(scanned("stranger"))).toBe(false);
    answer.resolve(found(1));
    await lookup;
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
});

// --- Customers ---

async function setupLinked(answers) {
    const till = await setupTill(answers);
    const [linked, plain] = [3, 4].map((id) => till.store.models["res.partner"].get(id));
    linked.update({ loyalty_engine_ref: "ref-1" });
    return { ...till, linked, plain };
}

test("the member's customer is selected", async () => {
    const { desk, order, linked, asked } = await setupLinked({
        1000001: found(1, { partner_id: 3 }),
    });
    await desk.identify("1000001");
    await tick();
    expect(order.partner_id.id).toBe(linked.id);
    expect(asked).toEqual(["1000001"]);
});

test("a customer that is not loaded is fetched", async () => {
    const answers = {};
    const { store, desk, order } = await setupTill(answers);
    const partnerId = MockServer.env["res.partner"].create({ name: "From afar" });
    answers.A = found(1, { partner_id: partnerId });
    expect(store.models["res.partner"].get(partnerId)).toBe(undefined);
    await desk.identify("A");
    await waitUntil(() => order.partner_id);
    expect(order.partner_id.name).toBe("From afar");
});

test("an order to be invoiced keeps its customer", async () => {
    const { desk, order, plain } = await setupLinked({ A: found(1, { partner_id: 3 }) });
    order.setPartner(plain);
    order.setToInvoice(true);
    await desk.identify("A");
    await tick();
    expect(order.partner_id.id).toBe(plain.id);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
});

test("choosing a linked customer identifies the member", async () => {
    const { store, order, linked, asked } = await setupLinked({
        "ref-1": found(1, { partner_id: 3 }),
    });
    store.setPartnerToCurrentOrder(linked);
    await waitUntil(() => order.loyaltyEngineMember?.wallet);
    expect(order.loyalty_engine_member_code).toBe("ref-1");
    expect(asked).toEqual(["ref-1"]);
    // The same customer again is no news
    store.setPartnerToCurrentOrder(linked);
    await tick();
    expect(asked).toEqual(["ref-1"]);
});

test("a member that came with the customer leaves with the customer", async () => {
    const { store, order, linked, plain } = await setupLinked({
        "ref-1": found(1, { partner_id: 3 }),
    });
    store.setPartnerToCurrentOrder(linked);
    await waitUntil(() => order.loyaltyEngineMember?.wallet);
    store.setPartnerToCurrentOrder(plain);
    await tick();
    expect(order.loyaltyEngineMember).toBe(null);
});

test("a customer whom something else sets brings the member, and takes it along", async () => {
    const { order, linked, plain } = await setupLinked({ "ref-1": found(1, { partner_id: 3 }) });
    // As a quotation that is settled and a loyalty card do
    order.setPartner(linked);
    await waitUntil(() => order.loyaltyEngineMember?.wallet);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    order.setPartner(plain);
    await tick();
    expect(order.loyaltyEngineMember).toBe(null);
});

test("an order that is made for a customer has the member", async () => {
    const { store, linked } = await setupLinked({ "ref-1": found(1, { partner_id: 3 }) });
    const count = store.models["pos.order"].length;
    const order = store.addNewOrder({ partner_id: linked });
    expect(store.models["pos.order"].length).toBe(count + 1);
    await waitUntil(() => order.loyaltyEngineMember?.wallet);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
});

test("another till's customer takes the member along too", async () => {
    const { order, linked, plain } = await setupLinked({ "ref-1": found(1, { partner_id: 3 }) });
    order.setPartner(linked);
    await waitUntil(() => order.loyaltyEngineMember?.wallet);
    // As an order that comes from the server
    order.initState();
    expect(order.uiState.loyaltyEngine.customersRef).toBe("ref-1");
    order.setPartner(plain);
    await tick();
    expect(order.loyaltyEngineMember).toBe(null);
});

test("a customer who was chosen by mistake does not come back with the answer", async () => {
    const answer = new Deferred();
    const { desk, order, linked, plain } = await setupLinked({
        1000002: found(2),
        "ref-1": answer,
    });
    await desk.identify("1000002");
    for (const partner of [plain, false]) {
        order.setPartner(linked);
        await tick();
        expect(order.uiState.loyaltyEngine.lookingUp).toBe("ref-1");
        order.setPartner(partner);
        await tick();
        expect(order.loyaltyEngineMember.ref).toBe("ref-2");
    }
    answer.resolve(found(1, { partner_id: 3 }));
    await tick();
    expect(order.loyaltyEngineMember.ref).toBe("ref-2");
    expect(order.partner_id).toBe(undefined);
});

test("a member whose card was scanned stays whoever the customer is", async () => {
    const { store, desk, order, plain } = await setupLinked({
        1000001: found(1, { partner_id: 3 }),
    });
    await desk.identify("1000001");
    await tick();
    store.setPartnerToCurrentOrder(plain);
    await tick();
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    store.setPartnerToCurrentOrder(false);
    await tick();
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
});

// --- Orders ---

test("an empty order with a member is not given to the next customer", async () => {
    const { store, desk, order } = await setupTill({ 1000001: found(1) });
    order.update({ pricelist_id: false, fiscal_position_id: false });
    expect(store.getEmptyOrder().uuid).toBe(order.uuid);
    await desk.identify("1000001");
    const next = store.getEmptyOrder();
    expect(next.uuid).not.toBe(order.uuid);
    expect(next.loyaltyEngineMember).toBe(null);
});

test("a member that is found while the order is stored is not lost", async () => {
    const { store, desk } = await setupTill({ 1000001: found(1) });
    const order = await getFilledOrder(store);
    const stored = new Deferred();
    onRpc("pos.order", "sync_from_ui", async ({ parent }) => {
        const answer = parent();
        await stored;
        return answer;
    });
    const synced = store.syncAllOrders();
    await tick();
    await desk.identify("1000001");
    stored.resolve();
    await synced;
    expect(order.isSynced).toBe(true);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect(order.loyaltyEngineMember.wallet.name).toBe("Member 1");
    expect(order.isDirty()).toBe(true);
});

test("what another till did to a stored order stays", async () => {
    const { store, desk } = await setupTill({ 1000001: found(1) });
    const order = await getFilledOrder(store);
    await desk.identify("1000001");
    await store.syncAllOrders();
    order.update({ loyalty_engine_member_code: "other", loyalty_engine_member_ref: "ref-2" });
    store.addPendingOrder([order.id]);
    await store.syncAllOrders();
    expect(order.isDirty()).toBe(false);
    expect(order.loyalty_engine_member_ref).toBe("ref-2");
});

// --- Receipt ---

async function setupPaid(receipt) {
    const till = await setupTill({ 1000001: found(1) });
    onRpc("/pos_loyalty_engine/receipt", async () => {
        expect.step("receipt");
        return receipt();
    });
    const order = await getFilledOrder(till.store);
    await till.desk.identify("1000001");
    order.state = "paid";
    await till.store.syncAllOrders();
    patchWithCleanup(till.store.printer, {
        print: async (component, { order }) => {
            expect.step(order.loyaltyEngineReceipt.earned || "estimate");
            return true;
        },
    });
    return { ...till, order };
}

test("a printed receipt tells what the sale has earned", async () => {
    const { store, order } = await setupPaid(() => ({
        state: "sent",
        points_earned: 17,
        points: 1267,
        read_at: "2026-01-02T10:11:13.000Z",
    }));
    await store.printReceipt({ order });
    expect.verifySteps(["receipt", "17"]);
    expect(order.loyaltyEngineReceipt.balance).toBe("1,267");
    // It is known now, and printed again without asking
    await store.printReceipt({ order });
    expect.verifySteps(["17"]);
});

test("a receipt waits half a second, then prints the estimate, and asks again next time", async () => {
    const answer = new Deferred();
    const { store, order } = await setupPaid(() => answer);
    const printed = store.printReceipt({ order });
    await advanceTime(450);
    expect.verifySteps(["receipt"]);
    await advanceTime(100);
    await printed;
    expect.verifySteps(["estimate"]);
    answer.resolve({ state: "sent", points_earned: 17, points: 1267, read_at: "2026-01-02" });
    await store.printReceipt({ order });
    expect.verifySteps(["receipt", "17"]);
});

test("the receipts of others ask nobody", async () => {
    const { store, desk, order } = await setupPaid(() => ({ state: "waiting" }));
    await store.printReceipt({ order, basic: true });
    expect.verifySteps(["estimate"]);
    const plain = await getFilledOrder(store);
    plain.state = "paid";
    await desk.readReceipt(plain);
    expect.verifySteps([]);
});

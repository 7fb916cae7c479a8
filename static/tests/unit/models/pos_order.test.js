import { expect, test } from "@odoo/hoot";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { getFilledOrder, setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { setupTill } from "../utils";

definePosModels();

const WALLET = {
    ref: "ref-1",
    accountNumber: "1000001",
    name: "Mia",
    tier: "Gold",
    points: 1250,
    pointValue: 0.01,
    readAt: "2026-01-02T10:11:12.000Z",
    seenAt: 1,
};
const MEMBER = { code: "1000001", ref: "ref-1", wallet: WALLET };

test("without a connection nothing is there", async () => {
    const store = await setupPosEnv();
    const order = await getFilledOrder(store);
    order.update({ loyalty_engine_member_code: "1000001" });
    expect(store.loyaltyEngineDesk).toBe(null);
    expect(order.loyaltyEngineMember).toBe(null);
    expect(order.loyaltyEngineEstimatedPoints).toBe(0);
    expect(order.loyaltyEngineReceipt).toBe(null);
});

test("code and id are synced, what the engine told is not", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    order.setLoyaltyEngineMember(MEMBER);
    const sent = order.serializeForORM({ keepCommands: true });
    expect(sent.loyalty_engine_member_code).toBe("1000001");
    expect(sent.loyalty_engine_member_ref).toBe("ref-1");
    expect(JSON.stringify(sent)).not.toInclude("Mia");
    expect(order.loyaltyEngineMember.wallet.name).toBe("Mia");
    order.setLoyaltyEngineMember();
    expect(order.loyaltyEngineMember).toBe(null);
    expect(order.serializeForORM().loyalty_engine_member_code).toBe("");
});

test("a refreshed balance leaves nothing to sync", async () => {
    const { order } = await setupTill();
    order.setLoyaltyEngineMember(MEMBER);
    order._dirty = false;
    order.setLoyaltyEngineMember({ ...MEMBER, wallet: { ...WALLET, points: 1300 } });
    expect(order.isDirty()).toBe(false);
    expect(order.loyaltyEngineMember.wallet.points).toBe(1300);
});

test("a reload keeps the wallet and forgets the look-up", async () => {
    const { store, order } = await setupTill();
    order.setLoyaltyEngineMember(MEMBER);
    order.uiState.loyaltyEngine.lookingUp = "1000001";
    const stored = order.serializeForIndexedDB();
    store.models["pos.order"].delete(order);
    store.models.loadConnectedData({ "pos.order": [stored] });
    const reloaded = store.models["pos.order"].getBy("uuid", stored.uuid);
    expect(reloaded.loyaltyEngineMember.wallet).toEqual(WALLET);
    expect(reloaded.uiState.loyaltyEngine.lookingUp).toBe(false);
});

test("an order from before this module can be restored", async () => {
    const { order } = await setupTill();
    const { loyaltyEngine, ...older } = order.uiState;
    expect(loyaltyEngine.wallet).toBe(null);
    order.restoreState(older);
    order.setLoyaltyEngineMember(MEMBER);
    expect(order.loyaltyEngineMember.wallet.name).toBe("Mia");
});

test("the wallet of another member is not shown", async () => {
    const { order } = await setupTill();
    order.setLoyaltyEngineMember(MEMBER);
    // As another till changed it
    order.update({ loyalty_engine_member_code: "1000002", loyalty_engine_member_ref: "ref-2" });
    expect(order.loyaltyEngineMember.ref).toBe("ref-2");
    expect(order.loyaltyEngineMember.wallet).toBe(null);
});

test("a paid order keeps its member", async () => {
    const { order } = await setupTill();
    order.setLoyaltyEngineMember(MEMBER);
    order.state = "paid";
    expect(() => order.setLoyaltyEngineMember()).toThrow();
    expect(order.loyaltyEngineMember.ref).toBe("ref-1");
});

test("the estimate is the rate on the total, rounded down", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    expect(order.priceIncl).toBe(17.85);
    expect(order.loyaltyEngineEstimatedPoints).toBe(17);
});

test("the estimate does not lose a point to binary fractions", async () => {
    // 17.85 * 20 = 356.99999999999994
    const { store } = await setupTill({}, { estimated_points_per_unit: 20 });
    const order = await getFilledOrder(store);
    expect(order.loyaltyEngineEstimatedPoints).toBe(357);
});

test("no rate, no estimate", async () => {
    const { store } = await setupTill({}, { estimated_points_per_unit: 0 });
    const order = await getFilledOrder(store);
    expect(order.loyaltyEngineEstimatedPoints).toBe(0);
});

test("a return is not estimated to earn", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    order.lines.forEach((line) => line.setQuantity(-1));
    expect(order.loyaltyEngineEstimatedPoints).toBe(0);
});

test("what points are worth", async () => {
    const { order } = await setupTill();
    expect(order.loyaltyEnginePointsValue).toBe("");
    order.setLoyaltyEngineMember(MEMBER);
    expect(order.loyaltyEnginePointsValue).toBe("$\u00a012.50");
    order.setLoyaltyEngineMember({ ...MEMBER, wallet: { ...WALLET, points: null } });
    expect(order.loyaltyEnginePointsValue).toBe("");
    order.setLoyaltyEngineMember({ ...MEMBER, wallet: { ...WALLET, pointValue: null } });
    expect(order.loyaltyEnginePointsValue).toBe("");
});

test("the receipt says earned points only when the engine has told them", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    expect(order.loyaltyEngineReceipt).toBe(null);
    order.setLoyaltyEngineMember(MEMBER);
    const before = order.loyaltyEngineReceipt;
    expect(before.earned).toBe("");
    expect(before.estimate).toBe("17");
    expect(before.balance).toBe("1,250");
    expect(before.balanceTime).not.toBe("");
    order.uiState.loyaltyEngine.receipt = { pointsEarned: 18, points: 1268 };
    const after = order.loyaltyEngineReceipt;
    expect(after.tier).toBe("Gold");
    expect(after.earned).toBe("18");
    expect(after.balance).toBe("1,268");
    expect(after.balanceTime).toBe("");
});

test("the receipt of a code that was not checked promises nothing but the check", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    order.setLoyaltyEngineMember({ code: "1000001", trouble: "offline" });
    expect(order.loyaltyEngineReceipt).toEqual({
        tier: "",
        isCheckedLater: true,
        earned: "",
        estimate: "17",
        balance: "",
        balanceTime: "",
    });
});

test("where nothing is reported, no code is checked later", async () => {
    const { store } = await setupTill({}, { is_reporting: false, estimated_points_per_unit: 0 });
    const order = await getFilledOrder(store);
    order.setLoyaltyEngineMember({ code: "1000001", trouble: "offline" });
    expect(order.loyaltyEngineReceipt.isCheckedLater).toBe(false);
});

test("a sale that was reported for a kept code was checked", async () => {
    const { store } = await setupTill();
    const order = await getFilledOrder(store);
    order.setLoyaltyEngineMember({ code: "1000001", trouble: "offline" });
    order.uiState.loyaltyEngine.receipt = { pointsEarned: 17, points: 17 };
    expect(order.loyaltyEngineReceipt.isCheckedLater).toBe(false);
    expect(order.loyaltyEngineReceipt.earned).toBe("17");
});

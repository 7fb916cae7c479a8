import { expect, getFixture, test } from "@odoo/hoot";
import { queryAllTexts } from "@odoo/hoot-dom";
import { mountWithCleanup, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import { ReceiptScreen } from "@point_of_sale/app/screens/receipt_screen/receipt_screen";
import { found } from "../utils";
import { points, setupSpending, voucher } from "../redemption_utils";

definePosModels();

/** A sale that was paid with a voucher and points, and its page loaded again. */
async function setupPaid() {
    const till = await setupSpending({ members: { 1000001: found(1), "ref-1": found(1) } });
    const { store, gate, desk, order, ledger } = till;
    onRpc("/pos_loyalty_engine/receipt", () => ({
        state: "sent",
        points_earned: 10,
        points: 1060,
        read_at: "2026-01-02T10:11:13.000Z",
    }));
    await store.loyaltyEngineDesk.identify("1000001", { order, presented: "scan" });
    await desk.addVoucher(order, { code: "v1" });
    await desk.addPoints(order, { points: 200 });
    await gate.mayPay(order);
    order.state = "paid";
    await store.syncAllOrders({ orders: [order], force: true });
    Object.assign(order.uiState.loyaltyEngine, { redemptions: null, receipt: null });
    ledger.rows = [
        voucher("v1", { state: "settled", frozen_amount: "5.00" }),
        points("p1", { state: "settled", frozen_amount: "2.00" }),
    ];
    return till;
}

const TOLD = ["This sale 10 points", "Voucher used Voucher v1", "Points used 200 points"];
const BALANCE = "Balance 1,060 points";

/** What a receipt says of points and vouchers, drawn by itself at this moment. */
async function draw(component, props) {
    expect(component).toBe(OrderReceipt);
    const paper = document.createElement("div");
    getFixture().append(paper);
    await mountWithCleanup(component, { props, target: paper });
    return queryAllTexts(".o_pos_loyalty_engine_receipt > .d-flex", { root: paper }).map((text) =>
        text.replace(/\s+/g, " ")
    );
}

test("the e-mailed receipt is drawn with what was earned, redeemed and is left", async () => {
    const { store, order } = await setupPaid();
    const screen = await mountWithCleanup(ReceiptScreen, { props: { orderUuid: order.uuid } });
    let drawn;
    patchWithCleanup(store.env.services.renderer, {
        async toJpeg(component, props) {
            drawn = await draw(component, props);
            return "the image";
        },
    });
    onRpc("pos.order", "action_send_receipt", ({ args }) => {
        expect(args).toEqual([[order.id], "mia@example.com", "the image", null]);
        expect.step("sent");
        return true;
    });
    await screen.sendReceipt.call({
        action: "action_send_receipt",
        destination: "mia@example.com",
        name: "Email",
    });
    expect.verifySteps(["sent"]);
    expect(drawn).toEqual([...TOLD, BALANCE]);
});

test("the reprinted receipt too", async () => {
    const { store, order } = await setupPaid();
    let printed;
    patchWithCleanup(store.printer, {
        async print(component, props) {
            printed = await draw(component, props);
            return true;
        },
    });
    await store.printReceipt({ order });
    expect(printed).toEqual([...TOLD, BALANCE]);
});

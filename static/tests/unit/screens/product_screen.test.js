import { expect, test } from "@odoo/hoot";
import { Deferred, tick } from "@odoo/hoot-mock";
import { mountWithCleanup, onRpc } from "@web/../tests/web_test_helpers";
import { waitUntil } from "@odoo/hoot-dom";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { setupPosEnv } from "@point_of_sale/../tests/unit/utils";
import { ProductScreen } from "@point_of_sale/app/screens/product_screen/product_screen";
import { barcodeActions } from "@pos_loyalty_engine/app/utils/barcodes";
import { found, scanned, setupTill } from "../utils";

definePosModels();

async function mountScreen(store) {
    onRpc("product.template", "load_product_from_pos", () => ({
        "product.template": [],
        "product.product": [],
        "product.template.attribute.exclusion": [],
    }));
    const screen = await mountWithCleanup(ProductScreen, {
        props: { orderUuid: store.getOrder().uuid },
    });
    store.router.state.current = "ProductScreen";
    screen.barcodeReader = { showNotFoundNotification: () => expect.step("not found") };
    return screen;
}

test("without a connection an unknown code stays Odoo's business", async () => {
    const store = await setupPosEnv();
    store.addNewOrder();
    const screen = await mountScreen(store);
    await screen._barcodeProductAction(scanned("1000001"));
    expect.verifySteps(["not found"]);
});

test("a product is sold, and the engine not asked", async () => {
    const { store, asked, order } = await setupTill();
    const screen = await mountScreen(store);
    await screen._barcodeProductAction(scanned("test_test"));
    expect(order.lines).toHaveLength(1);
    expect(asked).toEqual([]);
});

test("a code that no product has may be a member's", async () => {
    const { store, order } = await setupTill({ 1000001: found(1) });
    const screen = await mountScreen(store);
    await screen._barcodeProductAction(scanned("1000001"));
    await waitUntil(() => order.loyaltyEngineMember?.ref);
    expect(order.loyalty_engine_member_ref).toBe("ref-1");
    expect.verifySteps([]);
});

test("a code that nobody has ends in Odoo's message, once asked", async () => {
    const { store, asked } = await setupTill();
    const screen = await mountScreen(store);
    await screen._barcodeProductAction(scanned("nobody"));
    await expect.waitForSteps(["not found"]);
    await screen._barcodeProductAction(scanned("nobody"));
    expect.verifySteps(["not found"]);
    expect(asked).toEqual(["nobody"]);
});

test("weights and prices are not offered", async () => {
    const { store, asked } = await setupTill();
    const screen = await mountScreen(store);
    await screen._barcodeProductAction(scanned("2100005000000", "weight"));
    expect.verifySteps(["not found"]);
    expect(asked).toEqual([]);
});

test("scanning goes on while the engine is asked", async () => {
    const answer = new Deferred();
    const { store, order } = await setupTill({ 1000001: answer, A: answer });
    const screen = await mountScreen(store);
    // Each of these is awaited by the barcode reader before the next scan
    await screen._barcodeProductAction(scanned("1000001"));
    expect(order.uiState.loyaltyEngine.lookingUp).toBe("1000001");
    await screen._barcodeProductAction(scanned("test_test"));
    expect(barcodeActions(screen).loyalty_engine_member(scanned("A"))).toBe(undefined);
    await screen._barcodeProductAction(scanned("test_test"));
    expect(order.totalQuantity).toBe(2);
    expect(order.loyaltyEngineMember.ref).toBe("");
    answer.resolve(found(1));
    await waitUntil(() => order.loyaltyEngineMember.ref);
    expect(order.loyalty_engine_member_code).toBe("A");
});

test("offline a scanned account number is kept", async () => {
    const { store, order } = await setupTill();
    const screen = await mountScreen(store);
    store.data.network.offline = true;
    await screen._barcodeProductAction(scanned("1000001"));
    await tick();
    expect(order.loyaltyEngineMember.code).toBe("1000001");
    expect(order.loyaltyEngineMember.trouble).toBe("offline");
});

/**
 * What a screen with a `currentOrder` does with members' and vouchers' codes. The barcode reader takes
 * the next scan when an action is done: none of these waits for the engine.
 */
export const barcodeActions = (screen) => ({
    loyalty_engine_member({ code }) {
        screen.pos.loyaltyEngineDesk.identify(code, {
            order: screen.currentOrder,
            presented: "scan",
        });
    },
    loyalty_engine_voucher({ code }) {
        screen.pos.loyaltyEngineRedemptionDesk.addVoucher(screen.currentOrder, { code });
    },
});

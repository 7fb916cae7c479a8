import { onMounted, onWillUnmount } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { ReceiptScreen } from "@point_of_sale/app/screens/receipt_screen/receipt_screen";

patch(ReceiptScreen.prototype, {
    setup() {
        super.setup(...arguments);
        if (this.pos.loyaltyEngineDesk) {
            let stop;
            onMounted(() => (stop = this.pos.loyaltyEngineDesk.followReceipt(this.currentOrder)));
            onWillUnmount(() => stop());
        }
    },

    async _sendReceiptToCustomer() {
        await this.pos.readLoyaltyEngineReceipt(this.currentOrder);
        return super._sendReceiptToCustomer(...arguments);
    },
});

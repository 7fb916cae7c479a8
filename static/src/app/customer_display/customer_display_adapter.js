import { toRaw } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { CustomerDisplayPosAdapter } from "@point_of_sale/app/customer_display/customer_display_adapter";

patch(CustomerDisplayPosAdapter.prototype, {
    formatOrderData(order) {
        const result = super.formatOrderData(...arguments);
        // What changes in it changes lines or payments too, which Odoo watches: a request for each
        // state that a redemption goes through would tell the customer nothing, and cost the cashier.
        const redeemed = toRaw(order).loyaltyEngineRedeemed;
        if (redeemed) {
            this.data.loyaltyEngine = redeemed;
        }
        return result;
    },
});

import { patch } from "@web/core/utils/patch";
import { CustomerDisplayPosAdapter } from "@point_of_sale/app/customer_display/customer_display_adapter";

patch(CustomerDisplayPosAdapter.prototype, {
    formatOrderData(order) {
        const result = super.formatOrderData(...arguments);
        const redeemed = order.loyaltyEngineRedeemed;
        if (redeemed) {
            this.data.loyaltyEngine = redeemed;
        }
        return result;
    },
});

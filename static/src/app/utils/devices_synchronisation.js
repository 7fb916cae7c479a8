import { patch } from "@web/core/utils/patch";
import DevicesSynchronisation from "@point_of_sale/app/utils/devices_synchronisation";

// What another device has stored of an order replaces it here, with all that was not sent yet. Odoo then
// takes the order for unchanged, and forgets which lines were deleted: ours are put right after that.
patch(DevicesSynchronisation.prototype, {
    async processDynamicRecords() {
        this.loyaltyEngineIsLoading = true;
        return super.processDynamicRecords(...arguments);
    },

    async readDataFromServer() {
        try {
            return await super.readDataFromServer(...arguments);
        } finally {
            this.loyaltyEngineIsLoading = false;
            this.pos.restoreLoyaltyEngine(this.pos.getOpenOrders());
        }
    },
});

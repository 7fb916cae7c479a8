import { patch } from "@web/core/utils/patch";
import { BarcodeReader } from "@point_of_sale/app/services/barcode_reader_service";

patch(BarcodeReader.prototype, {
    // A member's code may look like a lot's or a customer's to the shop's barcode rules, and then
    // never comes to be looked for as a product.
    showNotFoundNotification(code) {
        if (!this.loyaltyEngineDesk?.mayOffer(code)) {
            return super.showNotFoundNotification(...arguments);
        }
        this.loyaltyEngineDesk.offer(code.code, () => super.showNotFoundNotification(code));
    },
});

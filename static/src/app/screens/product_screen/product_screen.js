import { ConnectionLostError } from "@web/core/network/rpc";
import { patch } from "@web/core/utils/patch";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { ProductScreen } from "@point_of_sale/app/screens/product_screen/product_screen";
import { barcodeActions } from "@pos_loyalty_engine/app/utils/barcodes";

patch(ProductScreen.prototype, {
    setup() {
        super.setup(...arguments);
        if (this.pos.loyaltyEngineDesk) {
            useBarcodeReader(barcodeActions(this));
        }
    },

    async _barcodeProductAction(code) {
        const desk = this.pos.loyaltyEngineDesk;
        if (!desk?.mayOffer(code) || (await this._loyaltyEngineHasProduct(code))) {
            return super._barcodeProductAction(...arguments);
        }
        desk.offer(code.code, () => super._barcodeProductAction(code));
    },

    async _loyaltyEngineHasProduct(code) {
        try {
            return Boolean(await this._getProductByBarcode(code));
        } catch (error) {
            if (error instanceof ConnectionLostError) {
                return false;
            }
            throw error;
        }
    },
});

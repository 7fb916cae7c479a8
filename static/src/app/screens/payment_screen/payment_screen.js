import { patch } from "@web/core/utils/patch";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";

patch(PaymentScreen, {
    components: { ...PaymentScreen.components, MemberPanel },
});

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        if (this.pos.loyaltyEngineDesk) {
            // The card is often shown only when it comes to paying.
            useBarcodeReader({ loyalty_engine_member: this._barcodeLoyaltyEngineMemberAction });
        }
    },

    _barcodeLoyaltyEngineMemberAction(code) {
        this.pos.loyaltyEngineDesk.identify(code.code, { order: this.currentOrder });
    },
});

import { patch } from "@web/core/utils/patch";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { refundInWords } from "@pos_loyalty_engine/app/utils/discount_words";

// Given back alone, a discount would make the customer pay.
patch(TicketScreen.prototype, {
    async onDoRefund() {
        const order = this.getSelectedOrder();
        const details = order && this._getRefundableDetails(order.getPartner(), order);
        if (details?.length && details.every(({ line }) => line.isLoyaltyEngineDiscount)) {
            this.pos.notification.add(refundInWords(), { type: "warning" });
            return;
        }
        return super.onDoRefund(...arguments);
    },
});

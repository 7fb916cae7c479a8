import { patch } from "@web/core/utils/patch";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { fixedLineInWords } from "@pos_loyalty_engine/app/utils/discount_words";

// A discount of the engine is what the engine says: neither the numpad nor a long press changes it.
patch(OrderSummary.prototype, {
    async updateSelectedOrderline() {
        if (this._refusesLoyaltyEngineDiscount(this.currentOrder?.getSelectedOrderline())) {
            this.numberBuffer.reset();
            return;
        }
        return super.updateSelectedOrderline(...arguments);
    },

    async onOrderlineLongPress(ev, orderline) {
        if (this._refusesLoyaltyEngineDiscount(orderline)) {
            return false;
        }
        return super.onOrderlineLongPress(...arguments);
    },

    _refusesLoyaltyEngineDiscount(line) {
        if (line?.isLoyaltyEngineDiscount) {
            this.pos.notification.add(fixedLineInWords(), { type: "warning" });
            return true;
        }
        return false;
    },
});

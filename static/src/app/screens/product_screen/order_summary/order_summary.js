import { patch } from "@web/core/utils/patch";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";
import { fixedLineInWords } from "@pos_loyalty_engine/app/utils/discount_words";

patch(OrderSummary, {
    components: { ...OrderSummary.components, MemberPanel },
});

patch(OrderSummary.prototype, {
    async updateSelectedOrderline() {
        const mayChange = this._loyaltyEngineMayChange(this.currentOrder?.getSelectedOrderline());
        if (mayChange !== true && !(await mayChange)) {
            this.numberBuffer.reset();
            return;
        }
        return super.updateSelectedOrderline(...arguments);
    },

    async onOrderlineLongPress(ev, orderline) {
        const mayChange = this._loyaltyEngineMayChange(orderline);
        if (mayChange !== true && !(await mayChange)) {
            return false;
        }
        return super.onOrderlineLongPress(...arguments);
    },

    /**
     * A discount of the engine is what the engine says, and what was redeemed was redeemed for this
     * basket; a tip may still be changed.
     *
     * @returns {boolean | Promise<boolean>} at once where nobody has to be asked
     */
    _loyaltyEngineMayChange(line) {
        if (line?.isLoyaltyEngineDiscount) {
            this.pos.notification.add(fixedLineInWords(), { type: "warning" });
            return false;
        }
        const desk = this.pos.loyaltyEngineRedemptionDesk;
        const order = this.currentOrder;
        return !desk?.guardsBasket(order) || !line || line.isTipLine()
            ? true
            : desk.mayChangeBasket(order);
    },
});

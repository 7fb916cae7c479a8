import { patch } from "@web/core/utils/patch";
import { OrderSummary } from "@point_of_sale/app/screens/product_screen/order_summary/order_summary";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";

patch(OrderSummary, {
    components: { ...OrderSummary.components, MemberPanel },
});

patch(OrderSummary.prototype, {
    // What was redeemed was redeemed for this basket.
    async updateSelectedOrderline() {
        const mayChange = this._loyaltyEngineMayChange();
        if (mayChange !== true && !(await mayChange)) {
            this.numberBuffer.reset();
            return;
        }
        return super.updateSelectedOrderline(...arguments);
    },

    async onOrderlineLongPress() {
        const mayChange = this._loyaltyEngineMayChange();
        if (mayChange !== true && !(await mayChange)) {
            return;
        }
        return super.onOrderlineLongPress(...arguments);
    },

    _loyaltyEngineMayChange() {
        const desk = this.pos.loyaltyEngineRedemptionDesk;
        const order = this.pos.getOrder();
        const line = order?.getSelectedOrderline();
        // A tip may still be changed, and without a line nothing is.
        return !desk?.guardsBasket(order) || !line || line.isTipLine()
            ? true
            : desk.mayChangeBasket(order);
    },
});

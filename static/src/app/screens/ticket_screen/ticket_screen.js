import { patch } from "@web/core/utils/patch";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";

patch(TicketScreen.prototype, {
    // The return of one customer does not go onto the order that another one's member waits on.
    _getEmptyOrder(partner) {
        const order = super._getEmptyOrder(...arguments);
        return order.loyaltyEngineMember ? this.pos.addNewOrder({ partner_id: partner }) : order;
    },
});

import { patch } from "@web/core/utils/patch";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";

patch(TicketScreen.prototype, {
    // The return of one customer does not go onto an order that is another one's.
    _getEmptyOrder(partner) {
        const order = super._getEmptyOrder(...arguments);
        const isTheirs = Boolean(partner && order.getPartner() === partner);
        return order.loyaltyEngineIsSomebodys && !isTheirs
            ? this.pos.addNewOrder({ partner_id: partner })
            : order;
    },
});

import { patch } from "@web/core/utils/patch";
import { formatCurrency } from "@web/core/currency";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { TicketScreen } from "@point_of_sale/app/screens/ticket_screen/ticket_screen";
import { partRefundInWords, refundInWords } from "@pos_loyalty_engine/app/utils/discount_words";

// A discount goes back with all of the goods that it was on: alone the customer would pay for it, and
// without it get more than was paid.
patch(TicketScreen.prototype, {
    async onDoRefund() {
        const order = this.getSelectedOrder();
        const details = order ? this._getRefundableDetails(order.getPartner(), order) : [];
        if (details.length && details.every(({ line }) => line.isLoyaltyEngineDiscount)) {
            this.pos.notification.add(refundInWords(), { type: "warning" });
            return;
        }
        const chosen = new Map(details.map(({ line, qty }) => [line.uuid, qty]));
        const whole = [];
        let kept = 0;
        for (const discount of order?.loyaltyEngineDiscountLines || []) {
            const isThere = discount.qty - discount.refundedQty > 0 && !chosen.has(discount.uuid);
            const goods = isThere ? discount.loyaltyEngineGoods : [];
            if (!goods.some(({ uuid }) => chosen.has(uuid))) {
                continue;
            }
            const isWhole = goods.every(({ uuid, qty, refundedQty }) => {
                const left = qty - refundedQty - (chosen.get(uuid) || 0);
                return left < 0 || this.pos.isProductQtyZero(left);
            });
            if (isWhole) {
                whole.push(discount);
            } else {
                kept -= discount.priceIncl;
            }
        }
        const isMeant =
            !kept ||
            (await ask(this.dialog, partRefundInWords(formatCurrency(kept, order.currency.id))));
        if (!isMeant) {
            return;
        }
        const added = whole.map((discount) => this.getToRefundDetail(discount));
        added.forEach((detail) => (detail.qty = detail.line.qty));
        await super.onDoRefund(...arguments);
        const refund = this.pos.getOrder();
        const returned = (refund?.lines || []).filter(
            (line) => line.refunded_orderline_id?.isLoyaltyEngineDiscount
        );
        for (const line of returned) {
            line.extra_tax_data = line.refunded_orderline_id.extra_tax_data;
        }
        if (returned.length) {
            // Odoo does not look at extra_tax_data.
            refund.triggerRecomputeAllPrices();
        }
        // Odoo may have given up: nothing stays chosen that nobody has chosen.
        for (const detail of added.filter((detail) => !detail.destination_order_uuid)) {
            detail.qty = 0;
        }
    },
});

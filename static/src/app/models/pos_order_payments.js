import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
// Patched there first: what points are earned on.
import "@pos_loyalty_engine/app/models/pos_order";

patch(PosOrder.prototype, {
    /** What was taken with points for this order, in currency units. */
    get loyaltyEnginePaidWithPoints() {
        return this.payment_ids
            .filter((payment) => payment.isLoyaltyEnginePoints && payment.isDone())
            .reduce((sum, payment) => sum + payment.getAmount(), 0);
    },

    /** What a return gives back in points, in currency units. */
    get loyaltyEngineGivenBack() {
        return this.payment_ids
            .filter((payment) => payment.loyalty_engine_points < 0)
            .reduce((sum, payment) => sum - payment.getAmount(), 0);
    },

    /**
     * What was taken with points beyond what the order comes to by now: it would be paid out in cash.
     * Of a return, what it gives back in points beyond that: the customer would have to pay for it.
     *
     * @returns {number} currency units; 0 = nothing
     */
    get loyaltyEngineOverpaid() {
        const taken = this.loyaltyEnginePaidWithPoints;
        const back = this.loyaltyEngineGivenBack;
        const beyond = back
            ? back - Math.max(0, -this.totalDue, -this.priceIncl)
            : taken - Math.max(0, this.totalDue, this.priceIncl);
        return Math.max(0, this.currency.round(beyond));
    },

    /** What is paid with points earns none, unless the connection says that it does. */
    get loyaltyEngineEligibleTotal() {
        const total = super.loyaltyEngineEligibleTotal;
        return this.loyaltyEngineConnection?.points_payment_earns
            ? total
            : total - this.loyaltyEnginePaidWithPoints;
    },

    /**
     * Let a payment stand for no points any more.
     *
     * @param {Object} payment
     * @returns {() => void} puts it back as it was
     */
    takeOffLoyaltyEngineClaim(payment) {
        const { tender } = this.uiState.loyaltyEngine;
        const kept = tender[payment.uuid];
        const { amount, payment_status, loyalty_engine_redemption, loyalty_engine_points } =
            payment;
        delete tender[payment.uuid];
        payment.update({
            amount: 0,
            payment_status: payment_status === "done" ? "retry" : payment_status,
            loyalty_engine_redemption: false,
            loyalty_engine_points: 0,
        });
        return () => {
            payment.update({
                amount,
                payment_status,
                loyalty_engine_redemption,
                loyalty_engine_points,
            });
            if (kept) {
                tender[payment.uuid] = kept;
            }
        };
    },

    removePaymentline(line) {
        const terminal = line.isLoyaltyEnginePoints && line.payment_method_id.payment_terminal;
        const claim = terminal && line.loyalty_engine_redemption;
        const { tender, paymentWords } = this.uiState.loyaltyEngine;
        delete tender[line.uuid];
        delete paymentWords[line.uuid];
        const result = super.removePaymentline(...arguments);
        if (claim) {
            terminal.onRemoved(this, claim);
        }
        return result;
    },
});

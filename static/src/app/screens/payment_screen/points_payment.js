import { onMounted } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";

const isPoints = (method) => method.use_payment_terminal === "loyalty_engine";

// Points as a payment: see utils/payment/payment_loyalty_engine.js.
patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        const booking = this.pos.config._loyalty_engine?.points_booking;
        if (booking !== "payment") {
            // A button that can never work is none.
            this.payment_methods_from_config = this.payment_methods_from_config.filter(
                (method) => !isPoints(method)
            );
        }
        onMounted(() => this._resumeLoyaltyEnginePayments());
    },

    _resumeLoyaltyEnginePayments() {
        const line = this.paymentLines.find((payment) => payment.isLoyaltyEnginePoints);
        line?.payment_method_id.payment_terminal?.resume(this.currentOrder);
    },

    /** No more than the member's points are worth, as far as that is known; the cashier may change it. */
    async addNewPaymentLine(method) {
        const isAdded = await super.addNewPaymentLine(...arguments);
        const line = isAdded && this.paymentLines.at(-1);
        if (line && isPoints(method) && !this.isRefundOrder) {
            const worth = this._loyaltyEngineWorth();
            if (worth < line.getAmount()) {
                line.setAmount(worth);
                this.numberBuffer.set(line.getAmount().toString());
            }
        }
        return isAdded;
    },

    _loyaltyEngineWorth() {
        const { points, pointValue } = this.currentOrder.loyaltyEngineMember?.wallet || {};
        if (!Number.isFinite(points) || !Number.isFinite(pointValue)) {
            return Infinity;
        }
        const unit = 10 ** this.currentOrder.currency.decimal_places;
        // A cent that is lost to binary fractions is none.
        return Math.max(0, Math.floor(points * pointValue * unit + 1e-6) / unit);
    },

    /** Nobody can say in the engine's place that points were taken. */
    async sendForceDone(line) {
        return line.isLoyaltyEnginePoints ? undefined : super.sendForceDone(...arguments);
    },

    async sendPaymentReverse(line) {
        const result = await super.sendPaymentReverse(...arguments);
        if (line.isLoyaltyEnginePoints && line.getPaymentStatus() === "reversed") {
            // Nothing is left of it.
            line.pos_order_id.removePaymentline(line);
            this.numberBuffer.reset();
        }
        return result;
    },
});

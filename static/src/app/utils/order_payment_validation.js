import { patch } from "@web/core/utils/patch";
import OrderPaymentValidation from "@point_of_sale/app/utils/order_payment_validation";

// Two of the three gates before which everything held is spent; the third is in the payment screen.
patch(OrderPaymentValidation.prototype, {
    setup(vals) {
        const order = vals.pos.models["pos.order"].getBy("uuid", vals.orderUuid);
        const before = new Set(order?.payment_ids.map(({ uuid }) => uuid));
        super.setup(...arguments);
        // The payment that this validation has brought along
        this.loyaltyEngineFastPayment =
            vals.fastPaymentMethod && this.order.payment_ids.find(({ uuid }) => !before.has(uuid));
    },

    /** Whether the gate lets the order pass. */
    async _loyaltyEngineMayPay() {
        const gate = this.pos.loyaltyEnginePaymentGate;
        return !gate?.standsBefore(this.order) || gate.mayPay(this.order);
    },

    // Not a gate: checks that come later may still refuse the sale. But nobody validates an order
    // that is being worked on.
    async askBeforeValidation() {
        if (this.order.loyaltyEngineIsBusy) {
            return false;
        }
        return super.askBeforeValidation(...arguments);
    },

    // An online payment takes the customer's money while the order is checked. pos_online_payment
    // calls this one as its super: all other checks have passed, and no code is shown yet.
    async isOrderValid() {
        const { order } = this;
        const isValid = await super.isOrderValid(...arguments);
        if (isValid && order.loyaltyEngineIsUnredeemable) {
            await this.pos.loyaltyEngineAskToLeaveOut(order);
            this._loyaltyEngineTakeBackFastPayment();
            return false;
        }
        const isOnline = order.payment_ids.some(
            (payment) =>
                payment.payment_method_id.is_online_payment && payment.getPaymentStatus() !== "done"
        );
        if (!isValid || !isOnline) {
            return isValid;
        }
        if (!(await this._loyaltyEngineMayPay())) {
            return false;
        }
        // The server takes this payment, of the total that it knows.
        if (order.uiState.loyaltyEngine.redemptions?.length) {
            await this.pos.syncAllOrders({ orders: [order] });
        }
        return true;
    },

    // Every check has passed; what comes now is the sale.
    async shouldHideValidationBehindFeedbackScreen() {
        if (!(await this._loyaltyEngineMayPay())) {
            this._loyaltyEngineTakeBackFastPayment();
            return;
        }
        this.pos.loyaltyEngineRedemptionDesk?.letGo(this.order);
        return super.shouldHideValidationBehindFeedbackScreen(...arguments);
    },

    // The payment that one press has added is not seen from the product screen: the next press adds
    // its own, for what is due then.
    _loyaltyEngineTakeBackFastPayment() {
        const payment = this.loyaltyEngineFastPayment;
        if (payment && this.order.payment_ids.includes(payment) && !payment.payment_status) {
            this.order.removePaymentline(payment);
        }
    },
});

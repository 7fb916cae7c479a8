import { _t } from "@web/core/l10n/translation";
import { formatCurrency } from "@web/core/currency";
import { patch } from "@web/core/utils/patch";
import { PosPayment } from "@point_of_sale/app/models/pos_payment";
import { formatPoints } from "@pos_loyalty_engine/app/utils/member_words";

patch(PosPayment.prototype, {
    get isLoyaltyEnginePoints() {
        return this.payment_method_id?.use_payment_terminal === "loyalty_engine";
    },

    /** The points that were taken, or given back, with this payment; "" = none. */
    get loyaltyEnginePointsInWords() {
        return this.loyalty_engine_points ? formatPoints(Math.abs(this.loyalty_engine_points)) : "";
    },

    /** How far this payment with points is, for a cashier. */
    get loyaltyEngineStatusInWords() {
        const { paymentWords } = this.pos_order_id.uiState.loyaltyEngine;
        switch (this.getPaymentStatus()) {
            case "pending":
                return this._loyaltyEnginePendingWords;
            case "waiting":
                return this.pos_order_id.isRefund
                    ? _t("Looking at the sale…")
                    : _t("Taking the points…");
            case "reversing":
                return _t("Giving the points back…");
            case "reversed":
                return _t("Taken back");
            case "done":
                return this.pos_order_id.isRefund
                    ? _t("Given back when the return is paid")
                    : _t("Points taken");
            default:
                return paymentWords[this.uuid] || _t("No points were taken");
        }
    },

    get _loyaltyEnginePendingWords() {
        const { currency, isRefund, loyaltyEngineConnection } = this.pos_order_id;
        const rate = loyaltyEngineConnection?.points_value;
        return rate && !isRefund
            ? _t(
                  "Type an amount, then take the points: 100 are worth %s",
                  formatCurrency(100 * rate, currency.id)
              )
            : _t("Type an amount, then take the points");
    },

    /** What the line tells the cashier, until it is tried again. */
    setLoyaltyEngineWords(words) {
        this.pos_order_id.uiState.loyaltyEngine.paymentWords[this.uuid] = words;
    },
});

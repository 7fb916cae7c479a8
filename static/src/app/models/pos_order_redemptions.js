import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { formatPoints } from "@pos_loyalty_engine/app/utils/member_words";
import { isGone, isOpen, isSpent } from "@pos_loyalty_engine/app/utils/redemption_words";

// Payment lines with these are still paper: no money has moved, none is being moved.
const UNPAID = new Set([undefined, null, false, "", "pending", "retry", "reversed"]);

function emptyState() {
    return {
        // What is being done about the redemptions of this order, and nothing else may be done
        // meanwhile: null or { kind: "add" | "remove" | "spend", done, of }
        step: null,
        // What was sold when something was spent, see loyaltyEngineBasket; false = nothing is spent
        closedBasket: false,
        // Redemptions (uuids) that were taken off while the server could not be told
        dropped: [],
    };
}

patch(PosOrder.prototype, {
    initState() {
        super.initState(...arguments);
        Object.assign(this.uiState.loyaltyEngine, emptyState());
    },

    restoreState(uiState) {
        super.restoreState(...arguments);
        // Whoever did something is gone with the page that it was done in.
        this.uiState.loyaltyEngine = {
            ...emptyState(),
            ...this.uiState.loyaltyEngine,
            step: null,
        };
    },

    /** The redemptions of this order that a cashier should see. */
    get loyaltyEngineRedemptions() {
        return (this.uiState.loyaltyEngine.redemptions || []).filter((item) => !isGone(item));
    },

    /** Whether something was spent for this order: then its basket is closed. */
    get loyaltyEngineIsClosed() {
        return this.loyaltyEngineRedemptions.some(isSpent);
    },

    /** Whether money has moved for this order, or is just being moved. */
    get loyaltyEnginePaymentTaken() {
        return this.payment_ids.some((payment) => !UNPAID.has(payment.payment_status));
    },

    /** What must be spent before this order may be paid. */
    get loyaltyEngineUnspent() {
        return this.loyaltyEngineRedemptions.filter(
            (item) =>
                isOpen(item) &&
                // A voucher that this basket gives no right to is not burned for nothing.
                (item.state === "spending" ||
                    !this.currency.isZero(this.loyaltyEngineValueOf(item.uuid)))
        );
    },

    /**
     * The goods of this order: what a redemption was judged on. Tips come after that.
     *
     * @returns {string} equal for equal goods, whatever lines they are on
     */
    get loyaltyEngineBasket() {
        const quantities = {};
        for (const line of this.lines) {
            if (line.loyalty_engine_redemption || line.isTipLine()) {
                continue;
            }
            const key = [line.product_id.id, line.price_unit, line.discount || 0].join(" ");
            quantities[key] = (quantities[key] || 0) + line.qty;
        }
        return Object.keys(quantities)
            .sort()
            .map((key) => `${key} ${quantities[key].toFixed(6)}`)
            .join("; ");
    },

    // The prices are those at which something was redeemed; a customer may still be chosen.
    setPricelist() {
        if (this.uiState.loyaltyEngine.step || this.loyaltyEngineIsClosed) {
            return;
        }
        return super.setPricelist(...arguments);
    },

    addPaymentline() {
        if (this.uiState.loyaltyEngine.step) {
            return {
                status: false,
                data: _t("One moment: this order is being worked on."),
            };
        }
        return super.addPaymentline(...arguments);
    },

    /**
     * What a redemption takes off this order, in currency units with taxes.
     *
     * @param {string} uuid of the redemption
     */
    loyaltyEngineValueOf(uuid) {
        const value = this.lines
            .filter((line) => line.loyalty_engine_redemption === uuid)
            .reduce((sum, line) => sum - line.priceIncl, 0);
        const paid = this.payment_ids
            .filter((payment) => payment.loyalty_engine_redemption === uuid)
            .reduce((sum, payment) => sum + payment.getAmount(), 0);
        return this.currency.round(value + paid);
    },

    /**
     * What receipt and customer display tell of redemptions, as texts; null where there is none.
     *
     * @returns {{vouchers: string[], pointsSpent: string, pointsLeft: string} | null} `pointsLeft`
     *  is what the member has left for all this till knows; "" = not known
     */
    get loyaltyEngineRedeemed() {
        const spent = this.loyaltyEngineRedemptions.filter(
            (item) => isSpent(item) || (isOpen(item) && !this.finalized)
        );
        if (!this.loyaltyEngineConnection || !spent.length) {
            return null;
        }
        const points = spent.reduce((sum, { points }) => sum + (points || 0), 0);
        const { wallet } = this.loyaltyEngineMember || {};
        const { receipt } = this.uiState.loyaltyEngine;
        const isNew = Number.isFinite(receipt?.points);
        const left = isNew ? receipt.points : (wallet?.points ?? NaN) - points;
        return {
            vouchers: spent.filter(({ kind }) => kind === "voucher").map(({ name }) => name),
            pointsSpent: points ? formatPoints(points) : "",
            pointsLeft: points && Number.isFinite(left) ? formatPoints(left) : "",
        };
    },
});

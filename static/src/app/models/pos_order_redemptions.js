import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { isPaying } from "@pos_loyalty_engine/app/utils/discount_line";
import { formatPoints } from "@pos_loyalty_engine/app/utils/member_words";
import {
    closesBasket,
    isGone,
    isOnOrder,
    isOpen,
    isSpent,
    isTender,
    isUnclaimed,
} from "@pos_loyalty_engine/app/utils/redemption_words";

// Payment lines with these are still paper: no money has moved, none is being moved.
const UNPAID = new Set([undefined, null, false, "", "pending", "retry", "reversed"]);

function emptyState() {
    return {
        // What is being done about the redemptions of this order, and nothing else may be done
        // meanwhile: null or { kind: "add" | "remove" | "look" | "spend", done, of }
        step: null,
        // How the member with this code came onto the order here: { code, how }, how being "scan",
        // "typed" or "picked" (with the customer)
        presented: null,
        // What was sold when something was spent, see loyaltyEngineBasket; false = nothing is spent
        closedBasket: false,
        // Redemptions (uuids) that were taken off while the server could not be told
        dropped: [],
        // Payments (uuids) that are done with points, as field values: see PointsPayment.restore
        tender: {},
        // What payments (uuids) with points tell the cashier
        paymentWords: {},
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
    get loyaltyEngineShown() {
        return this.loyaltyEngineRedemptions.filter((item) => !isGone(item));
    },

    /** Whether it is a certain customer's, though it may have no lines yet. */
    get loyaltyEngineIsSomebodys() {
        return Boolean(this.loyaltyEngineMember || this.loyaltyEngineShown.some(isOnOrder));
    },

    /** Whether something is being done with its redemptions: nothing else may be, meanwhile. */
    get loyaltyEngineIsBusy() {
        return Boolean(this.uiState.loyaltyEngine.step);
    },

    /** Whether something was spent that the basket gave a right to: then it is closed. */
    get loyaltyEngineIsClosed() {
        return Boolean(this.uiState.loyaltyEngine.redemptions?.some(closesBasket));
    },

    /** Whether money has moved for this order, or is just being moved. */
    get loyaltyEnginePaymentTaken() {
        return this.payment_ids.some((payment) => !UNPAID.has(payment.payment_status));
    },

    /** What must be spent, or claimed where it was burned at once, before this order may be paid. */
    get loyaltyEngineUnspent() {
        return this.loyaltyEngineRedemptions.filter(
            (item) =>
                (isOpen(item) || isUnclaimed(item)) &&
                // Points that are a payment are spent by their payment.
                !isTender(item) &&
                // A voucher that this basket gives no right to is not burned for nothing.
                (item.state === "spending" ||
                    !this.currency.isZero(this.loyaltyEngineValueOf(item)))
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
            if (line.isLoyaltyEngineDiscount || line.isTipLine() || isPaying(line.reward_id)) {
                continue;
            }
            const key = [line.product_id.id, line.price_unit, line.discount || 0].join(" ");
            quantities[key] = (quantities[key] || 0) + line.qty;
        }
        // A line without a quantity is none: Odoo takes it off before the order is paid.
        return Object.keys(quantities)
            .sort()
            .map((key) => [key, quantities[key].toFixed(6)])
            .filter(([, quantity]) => Number(quantity))
            .map((pair) => pair.join(" "))
            .join("; ");
    },

    /** Whether the goods are others than when something was spent, and that can still be helped. */
    get loyaltyEngineHasOtherGoods() {
        const { closedBasket } = this.uiState.loyaltyEngine;
        return Boolean(
            closedBasket &&
                this.loyaltyEngineIsClosed &&
                !this.loyaltyEnginePaymentTaken &&
                closedBasket !== this.loyaltyEngineBasket
        );
    },

    // The prices are those at which something was redeemed; a customer may still be chosen.
    setPricelist() {
        if (this.loyaltyEngineIsBusy || this.loyaltyEngineIsClosed) {
            return;
        }
        return super.setPricelist(...arguments);
    },

    addPaymentline() {
        if (this.loyaltyEngineIsBusy) {
            return {
                status: false,
                data: _t("One moment: this order is being worked on."),
            };
        }
        return super.addPaymentline(...arguments);
    },

    /** An amount as the server reads it: a decimal number, to the cent. */
    loyaltyEngineDecimal(amount) {
        return amount.toFixed(this.currency.decimal_places);
    },

    /**
     * What a redemption is worth on this order, in currency units with taxes.
     *
     * @param {Object} redemption of `loyaltyEngineRedemptions`
     */
    loyaltyEngineValueOf({ uuid, booking, worth }) {
        return booking === "payment"
            ? this.payment_ids
                  .filter((payment) => payment.loyalty_engine_redemption === uuid)
                  .reduce((sum, payment) => sum + payment.getAmount(), 0)
            : worth;
    },

    /**
     * What the receipt tells of points and vouchers, line by line.
     *
     * @returns {{kind: string, label: string, value: string}[]}
     */
    get loyaltyEngineReceiptRows() {
        const { earned, estimate, balance, balanceTime } = this.loyaltyEngineReceipt || {};
        const { vouchers = [], pointsSpent, pointsLeft } = this.loyaltyEngineRedeemed || {};
        const inPoints = (points) => points && _t("%s points", points);
        const about = !earned && estimate && _t("about %s points (estimate)", estimate);
        const before = balanceTime && _t("Balance before this sale, %s", balanceTime);
        return [
            { kind: "earned", label: _t("This sale"), value: inPoints(earned) },
            { kind: "estimate", label: _t("This sale"), value: about },
            ...vouchers.map((value) => ({ kind: "voucher", label: _t("Voucher used"), value })),
            { kind: "spent", label: _t("Points used"), value: inPoints(pointsSpent) },
            { kind: "left", label: _t("Left after that"), value: inPoints(pointsLeft) },
            { kind: "balance", label: before || _t("Balance"), value: inPoints(balance) },
        ].filter(({ value }) => value);
    },

    /**
     * What receipt and customer display tell of redemptions, as texts; null where there is none.
     *
     * @returns {{vouchers: string[], pointsSpent: string, pointsLeft: string} | null} `pointsLeft`
     *  is what was left of the balance that this till has seen; "" = not known
     */
    get loyaltyEngineRedeemed() {
        // What this order gives no right to is not redeemed for it.
        const isShown = (item) =>
            isSpent(item) ||
            (isOpen(item) &&
                !this.finalized &&
                !this.currency.isZero(this.loyaltyEngineValueOf(item)));
        const spent = this.loyaltyEngineRedemptions.filter(isShown);
        if (!this.loyaltyEngineConnection || !spent.length) {
            return null;
        }
        // Of what is held, as many as the order takes.
        const pointsOf = (item) =>
            isSpent(item) || isTender(item)
                ? item.points
                : Math.ceil(item.points * Math.min(1, item.worth / item.amount) - 1e-6);
        const points = spent
            .filter((item) => item.points)
            .reduce((sum, item) => sum + pointsOf(item), 0);
        const { wallet } = this.loyaltyEngineMember || {};
        const { receipt } = this.uiState.loyaltyEngine;
        // A balance of afterwards has them, or soon will: the one with the receipt says enough.
        const isLater =
            Number.isFinite(receipt?.points) ||
            spent.some(({ uuid }) => wallet?.spentBefore?.includes(uuid));
        const left = isLater ? NaN : (wallet?.points ?? NaN) - points;
        return {
            vouchers: spent.filter(({ kind }) => kind === "voucher").map(({ name }) => name),
            pointsSpent: points ? formatPoints(points) : "",
            pointsLeft: points && Number.isFinite(left) ? formatPoints(left) : "",
        };
    },
});

import { formatCurrency } from "@web/core/currency";
import { patch } from "@web/core/utils/patch";
import { roundPrecision } from "@web/core/utils/numbers";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import { formatPoints, formatTime } from "@pos_loyalty_engine/app/utils/member_words";

function emptyState() {
    return {
        // What the engine told of the member, and when by this till's clock (ms): see setLoyaltyEngineMember
        wallet: null,
        // The code that is being looked up
        lookingUp: false,
        // Why the stored code could not be checked: a status of LoyaltyEngineService
        trouble: false,
        // What this till claimed since the order was last sent: { code, ref } as field values
        unsent: null,
        // What the engine told of this sale once it was reported: { pointsEarned, points, readAt }
        receipt: null,
    };
}

patch(PosOrder.prototype, {
    initState() {
        super.initState(...arguments);
        this.uiState.loyaltyEngine = emptyState();
    },

    restoreState(uiState) {
        super.restoreState(...arguments);
        // No look-up survives a reload, and an order may be older than this module.
        this.uiState.loyaltyEngine = {
            ...emptyState(),
            ...uiState.loyaltyEngine,
            lookingUp: false,
        };
    },

    /** The connection that this point of sale uses, as far as a till may know it; or null. */
    get loyaltyEngineConnection() {
        return this.config?._loyalty_engine || null;
    },

    /**
     * The member of this order, or null.
     *
     * `code` is what was scanned or typed, `ref` the engine's id once the engine has confirmed it,
     * `wallet` what the engine told about the member, `trouble` why the code is not confirmed.
     */
    get loyaltyEngineMember() {
        const code = this.loyalty_engine_member_code;
        if (!this.loyaltyEngineConnection || !code) {
            return null;
        }
        const ref = this.loyalty_engine_member_ref || "";
        const { wallet, trouble } = this.uiState.loyaltyEngine;
        return {
            code,
            ref,
            // Another till may have changed the member since this one read a wallet.
            wallet: ref && wallet?.ref === ref ? wallet : null,
            trouble: ref ? false : trouble,
        };
    },

    /** What points are earned on: the amount to pay, with taxes, in the order's currency. */
    get loyaltyEngineEligibleTotal() {
        return this.priceIncl;
    },

    /** Points that this order will probably earn; 0 where no estimate can be made. */
    get loyaltyEngineEstimatedPoints() {
        const rate = this.loyaltyEngineConnection?.estimated_points_per_unit || 0;
        return Math.max(0, roundPrecision(rate * this.loyaltyEngineEligibleTotal, 1, "DOWN"));
    },

    /** What the receipt tells the member, as texts; null where there is no member. */
    get loyaltyEngineReceipt() {
        const member = this.loyaltyEngineMember;
        if (!member) {
            return null;
        }
        const { receipt } = this.uiState.loyaltyEngine;
        const estimate = this.loyaltyEngineEstimatedPoints;
        const isNew = receipt && receipt.points !== null;
        const points = isNew ? receipt.points : member.wallet?.points ?? null;
        return {
            tier: member.wallet?.tier || "",
            isVerified: Boolean(member.ref || receipt),
            earned:
                receipt && receipt.pointsEarned !== null ? formatPoints(receipt.pointsEarned) : "",
            estimate: estimate ? formatPoints(estimate) : "",
            balance: points === null ? "" : formatPoints(points),
            // The balance before this sale says of when it is.
            balanceTime: isNew || points === null ? "" : formatTime(member.wallet.readAt),
        };
    },

    /** What the member's points are worth in money, formatted; "" where it is not known. */
    get loyaltyEnginePointsValue() {
        const { points, pointValue } = this.loyaltyEngineMember?.wallet || {};
        const isKnown = Number.isFinite(points) && Number.isFinite(pointValue);
        return isKnown ? formatCurrency(points * pointValue, this.currency.id) : "";
    },

    /**
     * Give this order a member, or none.
     *
     * @param {Object} [member]
     * @param {string} [member.code] as scanned or typed; "" = no member
     * @param {string} [member.ref] the engine's id, if the engine has confirmed the code
     * @param {Object} [member.wallet] `member` of `LoyaltyEngineService.identify`, with `isLinked`
     *  and `seenAt` (ms, this till's clock)
     * @param {string} [member.trouble] why the code could not be checked
     * @throws {Error} when the order is paid
     */
    setLoyaltyEngineMember({ code = "", ref = "", wallet = null, trouble = false } = {}) {
        this.assertEditable();
        const claims = { loyalty_engine_member_code: code, loyalty_engine_member_ref: ref };
        Object.assign(this.uiState.loyaltyEngine, { wallet, trouble, unsent: claims });
        this.update(claims);
    },

    /** Keep the member that was set while the server stored the order without it. */
    restoreLoyaltyEngineMember() {
        const { unsent } = this.uiState.loyaltyEngine;
        if (unsent && !this.finalized) {
            this.update(unsent);
        }
    },
});

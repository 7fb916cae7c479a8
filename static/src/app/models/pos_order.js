import { formatCurrency } from "@web/core/currency";
import { deepEqual } from "@web/core/utils/objects";
import { patch } from "@web/core/utils/patch";
import { roundPrecision } from "@web/core/utils/numbers";
import { PosOrder } from "@point_of_sale/app/models/pos_order";
import {
    reasonInWords,
    noProductInWords,
    shortInWords,
    unknownInWords,
} from "@pos_loyalty_engine/app/utils/discount_words";
import {
    discountLines,
    keyOfTaxes,
    planDiscounts,
    readBasket,
    taxesBeforeMapping,
    toMoney,
} from "@pos_loyalty_engine/app/utils/loyalty_discounts";
import { discountsLast, isDiscountLine } from "@pos_loyalty_engine/app/utils/discount_line";
import { formatPoints, formatTime } from "@pos_loyalty_engine/app/utils/member_words";

// The orders whose discounts are being recomputed: what that writes asks for no recomputation.
const recomputing = new Set();

function emptyState() {
    return {
        // What the engine told of the member, and when by this till's clock (ms): see setLoyaltyEngineMember
        wallet: null,
        // The code that is being looked up
        lookingUp: false,
        // Why the stored code could not be checked: a status of LoyaltyEngineService
        trouble: false,
        // The id of the member who the order's customer is; "" = nobody
        customersRef: "",
        // What this till claimed and the server has not taken yet: { code, ref } as field values
        unsent: null,
        // What of that is on its way
        sending: null,
        // What the engine told of this sale once it was reported: { pointsEarned, points, isNobodys }
        receipt: null,
        // The redemptions of this order as the server tells them; null while they are not known
        redemptions: null,
        // What they come to on this basket: see recomputeLoyaltyEngineDiscounts
        outcome: null,
    };
}

patch(PosOrder.prototype, {
    initState() {
        super.initState(...arguments);
        this.uiState.loyaltyEngine = emptyState();
        this.uiState.loyaltyEngine.customersRef = this.loyaltyEngineCustomersRef;
    },

    restoreState(uiState) {
        super.restoreState(...arguments);
        // No look-up survives a reload, another till may have redeemed something in the meantime,
        // and an order may be older than this module.
        this.uiState.loyaltyEngine = {
            ...emptyState(),
            customersRef: this.loyaltyEngineCustomersRef,
            ...uiState.loyaltyEngine,
            lookingUp: false,
            redemptions: null,
            outcome: null,
        };
    },

    /** The connection that this point of sale uses, as far as a till may know it; or null. */
    get loyaltyEngineConnection() {
        return this.config?._loyalty_engine || null;
    },

    /**
     * Whether it has discounts of another till, where no connection is: they can't be redeemed, and no
     * gate stands before money moves.
     */
    get loyaltyEngineIsUnredeemable() {
        return !this.loyaltyEngineConnection && this.loyaltyEngineDiscountLines.length > 0;
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

    /** The id of the member who the customer is linked with; "" = nobody. */
    get loyaltyEngineCustomersRef() {
        return this.partner_id?.loyalty_engine_ref || "";
    },

    /**
     * What points are earned on: the amount to pay, with taxes, in the order's currency. What vouchers
     * and points have taken off earns where the connection says so.
     */
    get loyaltyEngineEligibleTotal() {
        const earning = this.loyaltyEngineConnection?.discounts_earn
            ? this.loyaltyEngineDiscountLines
            : [];
        return earning.reduce((total, line) => total - line.priceIncl, this.priceIncl);
    },

    /** Points that this order will probably earn; 0 where no estimate can be made. */
    get loyaltyEngineEstimatedPoints() {
        const rate = this.loyaltyEngineConnection?.estimated_points_per_unit || 0;
        return Math.max(0, roundPrecision(rate * this.loyaltyEngineEligibleTotal, 1, "DOWN"));
    },

    /** What the receipt tells the member, as texts; null where there is no member. */
    get loyaltyEngineReceipt() {
        const member = this.loyaltyEngineMember;
        const { receipt } = this.uiState.loyaltyEngine;
        if (!member || receipt?.isNobodys) {
            return null;
        }
        const estimate = this.loyaltyEngineEstimatedPoints;
        const isNew = receipt && receipt.points !== null;
        const points = isNew ? receipt.points : member.wallet?.points ?? null;
        return {
            tier: member.wallet?.tier || "",
            isCheckedLater: Boolean(
                !member.ref && !receipt && this.loyaltyEngineConnection?.is_reporting
            ),
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
     * @param {Object} [member.wallet] `member` of `LoyaltyEngineService.identify`, with
     *  `isLinked`, `seenAt` (ms, this till's clock) and `spentBefore` (uuids of redemptions)
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
        this.uiState.loyaltyEngine.customersRef = this.loyaltyEngineCustomersRef;
        if (unsent && !this.finalized) {
            this.update(unsent);
        }
    },

    // === What vouchers and points take off ===

    /** The discount lines of redemptions. */
    get loyaltyEngineDiscountLines() {
        return this.lines.filter(isDiscountLine);
    },

    /**
     * The redemptions of this order as the server told them, each with what it comes to on this
     * basket: `worth` (money, with taxes), `reason` (why it takes nothing off; "" = it does).
     */
    get loyaltyEngineRedemptions() {
        const { redemptions, outcome } = this.uiState.loyaltyEngine;
        return (redemptions || []).map((redemption) => {
            const { worth = 0, reason = "" } = outcome?.redemptions[redemption.uuid] || {};
            return { ...redemption, worth, reason: redemption.reason || reason };
        });
    },

    /** How the discounts were calculated, in order: `{name, before, off, after}`, money with taxes. */
    get loyaltyEngineExplanation() {
        return this.uiState.loyaltyEngine.outcome?.explanation || [];
    },

    /** The product of discount lines; undefined where this till has not got it. */
    get loyaltyEngineDiscountProduct() {
        const id = this.loyaltyEngineConnection?.discount_product_id;
        return this.models["product.product"].get(id);
    },

    /** Why this order can't be paid as it is, for the cashier; "" where it can. */
    get loyaltyEngineBlocked() {
        if (!this.loyaltyEngineConnection || this.finalized) {
            return "";
        }
        const { redemptions, outcome } = this.uiState.loyaltyEngine;
        if (redemptions?.length && !this.loyaltyEngineDiscountProduct) {
            return noProductInWords();
        }
        return this.loyaltyEngineHasUnknown ? unknownInWords() : outcome?.short || "";
    },

    /** Whether there are discounts of which this till knows nothing: another one has added them. */
    get loyaltyEngineHasUnknown() {
        const { redemptions } = this.uiState.loyaltyEngine;
        const known = new Set(redemptions?.map(({ uuid }) => uuid));
        return this.loyaltyEngineDiscountLines.some(
            (line) => !known.has(line.loyalty_engine_redemption)
        );
    },

    /**
     * The redemptions of this order, as the server tells them now: all of them, in whatever state.
     * A discount line of any other is removed.
     *
     * @param {Object[]} redemptions
     */
    setLoyaltyEngineRedemptions(redemptions) {
        this.uiState.loyaltyEngine.redemptions = [...redemptions];
        if (this.finalized) {
            return;
        }
        const known = new Set(redemptions.map(({ uuid }) => uuid));
        for (const line of this.loyaltyEngineDiscountLines) {
            if (!known.has(line.loyalty_engine_redemption)) {
                line.delete();
            }
        }
        this.recomputeLoyaltyEngineDiscounts();
    },

    /**
     * What a voucher would be worth on this basket, beside the redemptions that are on it.
     *
     * @param {Object[]} discounts
     * @param {Object} [limits]
     * @param {string|null} [limits.min_amount]
     * @param {string|null} [limits.max_amount]
     * @returns {{amount: number, reason: string, toAdd: Object[]}} `amount`: how much less is to be
     *  paid; `reason`: why that is nothing; `toAdd`: the products that would be added for it
     */
    loyaltyEngineWorth(discounts, { min_amount = null, max_amount = null } = {}) {
        const candidate = {
            // After every other: a UUID is of hexadecimal digits.
            uuid: "~",
            kind: "voucher",
            booking: "discount",
            state: "held",
            frozen_amount: null,
            discounts,
            min_amount,
            max_amount,
        };
        const redemptions = this.uiState.loyaltyEngine.redemptions || [];
        const basket = this._readLoyaltyEngineBasket();
        const totals = [redemptions, [...redemptions, candidate]].map((list) =>
            planDiscounts(basket, list, this.loyaltyEngineConnection)
        );
        const [without, withIt] = totals.map(({ steps }) => steps.at(-1)?.after ?? basket.total);
        const { reason } = totals[1].outcomes.at(-1);
        const amount = without - withIt;
        // It may take away from another as much as it gives. One without discounts is a gift.
        const nothingLeft = discounts.length ? { code: "nothing_left" } : null;
        return {
            amount: toMoney(amount, this.currency),
            reason: amount ? "" : reasonInWords(reason || nothingLeft, this.currency),
            toAdd: reason?.code === "missing" ? this.loyaltyEngineToAdd(discounts) : [],
        };
    },

    /**
     * The products that these discounts are on and this order lacks, where the connection says that
     * they are to be added: of each discount the first one that this till sells.
     *
     * @param {Object[]} discounts
     */
    loyaltyEngineToAdd(discounts) {
        const { sku_reading, sku_source } = this.loyaltyEngineConnection || {};
        if (sku_reading !== "add") {
            return [];
        }
        const goods = this.lines.filter((line) => line.isLoyaltyEngineGoods);
        const present = new Set(
            goods.flatMap((line) => [
                ...line.loyaltyEngineCodes,
                ...(line.combo_parent_id?.loyaltyEngineCodes || []),
            ])
        );
        const products = discounts
            .filter(({ skus }) => !skus.some((sku) => present.has(sku)))
            .flatMap(({ skus }) => {
                const sold = this.models["product.product"].filter((product) =>
                    skus.includes(product[sku_source])
                );
                return sold.toSorted(
                    (a, b) => skus.indexOf(a[sku_source]) - skus.indexOf(b[sku_source])
                )[0];
            });
        return [...new Set(products.filter(Boolean))];
    },

    /**
     * Bring the discount lines in line with the basket and the redemptions.
     *
     * Writes only what changes: a second run changes nothing. Does nothing on an order that is no
     * draft, and while the redemptions are not known; a line of a redemption that this till doesn't
     * know (another till has just added it) stays as it is.
     */
    recomputeLoyaltyEngineDiscounts() {
        const { redemptions } = this.uiState.loyaltyEngine;
        const connection = this.loyaltyEngineConnection;
        if (!connection || this.finalized || !redemptions || recomputing.has(this.uuid)) {
            return;
        }
        recomputing.add(this.uuid);
        try {
            const basket = this._readLoyaltyEngineBasket();
            const counted = this.loyaltyEngineDiscountProduct ? redemptions : [];
            const plan = planDiscounts(basket, counted, connection);
            this._writeLoyaltyEngineLines(discountLines(basket, plan), redemptions);
            this.uiState.loyaltyEngine.outcome = this._describeLoyaltyEnginePlan(plan, redemptions);
        } finally {
            recomputing.delete(this.uuid);
        }
    },

    _readLoyaltyEngineBasket() {
        const entries = this.lines
            .filter((line) => !isDiscountLine(line))
            .map((line) => {
                const parent = line.combo_parent_id;
                return {
                    baseLine: line.getBaseLine(),
                    isGoods: line.isLoyaltyEngineGoods,
                    codes: line.loyaltyEngineCodes,
                    combo: parent && {
                        key: parent.uuid,
                        quantity: parent.qty,
                        codes: parent.loyaltyEngineCodes,
                    },
                };
            });
        return readBasket(entries, this.company, this.currency);
    },

    _writeLoyaltyEngineLines(wanted, redemptions) {
        const known = new Map(redemptions.map((redemption) => [redemption.uuid, redemption]));
        const keyOf = (uuid, taxes) => `${uuid} ${keyOfTaxes(taxes)}`;
        const present = new Map();
        // Of two for the same, from two devices, the one that the server has had longer stays.
        for (const line of this.loyaltyEngineDiscountLines.toSorted(
            (a, b) => b.isSynced - a.isSynced || a.id - b.id
        )) {
            const key = keyOf(line.loyalty_engine_redemption, line.tax_ids);
            if (present.has(key)) {
                line.delete();
            } else if (known.has(line.loyalty_engine_redemption)) {
                present.set(key, line);
            }
        }
        for (const line of wanted) {
            const { redemption, taxes, sources, parts, price_unit, extra_tax_data } = line;
            const { kind, name, points = 0 } = known.get(redemption);
            const stored = taxesBeforeMapping(taxes, sources, this.fiscal_position_id);
            const key = keyOf(redemption, stored);
            const taken = sources.map(({ uuid }, i) => [uuid, parts[i]]).filter(([, part]) => part);
            const values = {
                // Somebody else may have written on the line: all that its worth depends on.
                qty: 1,
                discount: 0,
                price_unit,
                extra_tax_data,
                full_product_name: name,
                loyalty_engine_details: { kind, points, parts: Object.fromEntries(taken) },
            };
            if (present.has(key)) {
                this._updateLoyaltyEngineLine(present.get(key), values);
                present.delete(key);
            } else {
                // Of pos_restaurant: an order that has courses shows no line without one.
                const course_id = sources[0]?.course_id;
                this._createLoyaltyEngineLine(redemption, stored, {
                    ...values,
                    ...(course_id && { course_id }),
                });
            }
        }
        present.forEach((line) => line.delete());
    },

    _createLoyaltyEngineLine(redemption, taxes, values) {
        // Not by addLineToOrder, which rounds the price, and may select or merge the line.
        this.models["pos.order.line"].create({
            order_id: this,
            product_id: this.loyaltyEngineDiscountProduct,
            price_type: "automatic",
            tax_ids: [["link", ...taxes]],
            loyalty_engine_redemption: redemption,
            ...values,
        });
    },

    _updateLoyaltyEngineLine(line, values) {
        const changes = Object.entries(values).filter(
            ([name, value]) => !deepEqual(line[name], value)
        );
        if (changes.length) {
            line.update(Object.fromEntries(changes));
            // Odoo does not look at extra_tax_data.
            this.triggerRecomputeAllPrices();
        }
    },

    _describeLoyaltyEnginePlan({ outcomes, steps }, redemptions) {
        const money = (units) => toMoney(units, this.currency);
        const names = new Map(redemptions.map(({ uuid, name }) => [uuid, name]));
        const short = outcomes.find((outcome) => outcome.short);
        return {
            redemptions: Object.fromEntries(
                outcomes.map(({ uuid, amount, reason }) => [
                    uuid,
                    { worth: money(amount), reason: reasonInWords(reason, this.currency) },
                ])
            ),
            explanation: steps.map(({ redemption, before, off, after }) => ({
                name: redemption.name,
                before: money(before),
                off: money(off),
                after: money(after),
            })),
            short: short
                ? shortInWords(
                      names.get(short.uuid),
                      money(short.amount + short.short),
                      money(short.amount),
                      this.currency
                  )
                : "",
        };
    },

    // The numpad stays with the goods.
    getOrderlines() {
        return discountsLast(super.getOrderlines(...arguments));
    },

    getLastOrderline() {
        const last = super.getLastOrderline(...arguments);
        return last?.isLoyaltyEngineDiscount
            ? this.lines.findLast((line) => !isDiscountLine(line) && !line.is_reward_line)
            : last;
    },

    removeOrderline(line) {
        return line.isLoyaltyEngineDiscount ? false : super.removeOrderline(...arguments);
    },
});

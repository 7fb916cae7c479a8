import { browser } from "@web/core/browser/browser";
import { ConnectionLostError, rpc, RPCError } from "@web/core/network/rpc";

const ROUTES = "/pos_loyalty_engine";

// Seconds. The server gives up first and says why; the till's own clock only covers a server that
// doesn't answer at all.
const GRACE = 1;
const RECEIPT_LIMIT = 0.5;
// Asking for the state of an order's redemptions; when a spend is silent, the last part of the time
// that the step may take.
export const LOOK_LIMIT = 3;

// Answers after which what was asked for may have been done all the same
export const UNSURE = new Set(["slow", "offline", "busy", "failed"]);

const IDENTIFY_STATUSES = new Set([
    "found",
    "unknown",
    "ambiguous",
    "restricted",
    "slow",
    "down",
    "limited",
    "refused",
    "not_configured",
]);

// What can go wrong with any question
const TROUBLES = new Set([
    "slow",
    "down",
    "busy",
    "limited",
    "refused",
    "not_configured",
    "copy",
    "off",
    "offline",
]);

const HOLD_STATUSES = new Set([
    "held",
    "held_elsewhere",
    "unknown",
    "rejected",
    "unreadable",
    "limit",
    "too_many",
    "needs_card",
    "needs_pin",
]);

/**
 * A voucher or an amount of points on one order, as server and till speak of it.
 *
 * @typedef {Object} Redemption
 * @property {string} uuid
 * @property {"voucher" | "points"} kind
 * @property {"discount" | "payment"} booking
 * @property {string} state of the ledger, see utils/redemption_words.js
 * @property {string} name
 * @property {string} code shortened; "" for points
 * @property {string} member_ref the engine's id of the member; "" = nobody's
 * @property {number} points 0 for vouchers
 * @property {string} amount currency units as a decimal number: what the points are worth
 * @property {Object[]} discounts
 * @property {string | null} min_amount of the basket, currency units
 * @property {string | null} max_amount
 * @property {string} reason for the cashier; "" = none
 * @property {string | null} frozen_amount currency units: what was claimed when it was spent
 * @property {string} held_until in ISO 8601
 */

/**
 * A voucher in a member's wallet.
 *
 * @typedef {Object} Voucher
 * @property {string} benefit the engine's id of it
 * @property {string} name
 * @property {string} code shortened
 * @property {string | null} expires_at in ISO 8601
 * @property {boolean} is_redeemed
 * @property {Object[] | null} discounts null = they can't be read
 * @property {string | null} min_amount of the basket, currency units
 * @property {string | null} max_amount
 * @property {"usable" | "burned" | "expired" | "held" | "on_order" | "other_venue"
 *  | "other_currency" | "unreadable"} state
 * @property {string} where the till that holds it, or ""
 */

/**
 * Every call that a till makes to the server about the Loyalty Engine.
 *
 * It speaks the engine's words (member, wallet, points) and knows no class of the point of sale.
 * Expected trouble is an answer, not an error: no method throws because the till is offline, the
 * server or the engine is down or slow, or the server refuses.
 */
export class LoyaltyEngineService {
    /**
     * @param {Object} params
     * @param {number} params.configId
     * @param {() => number} params.sessionId the open session; another one may follow it
     * @param {number} params.timeLimit seconds that the server gives the engine
     * @param {number} [params.spendLimit] seconds that the step that spends may take in all
     * @param {() => string} [params.tillKey] what tells this till from others, and this page from
     *  another one at the same till
     * @param {() => boolean} params.isOffline whether the till already knows that it is offline
     */
    constructor({ configId, sessionId, timeLimit, spendLimit = 7.5, tillKey, isOffline }) {
        this.configId = configId;
        this.sessionId = sessionId;
        this.timeLimit = timeLimit;
        this.spendLimit = spendLimit;
        this.tillKey = tillKey;
        this.isOffline = isOffline;
        // Milliseconds between the server's clock and this page's; null while that is not known
        this.ahead = null;
    }

    /**
     * Ask who the member with this code is.
     *
     * @param {string} code as scanned or typed, or the engine's id of a member
     * @param {Object} [options]
     * @param {boolean} [options.isGuess] nothing in the shop has the code, and the till tries it
     * @returns {Promise<{
     *  status: "found" | "unknown" | "ambiguous" | "restricted" | "slow" | "down" | "limited"
     *      | "refused" | "not_configured" | "offline" | "failed",
     *  member?: {
     *      ref: string,
     *      accountNumber: string | false,
     *      name: string | false,
     *      tier: string | false,
     *      points: number | null,
     *      pointValue: number | null,
     *      readAt: string,
     *  },
     *  partnerId?: number | false,
     *  retryAfter?: number,
     * }>} `member` and `partnerId` with "found" only; `points` null = unknown; `pointValue` is
     *  what one point is worth in the company's currency, null = unknown; `readAt` in ISO 8601;
     *  `retryAfter` in seconds with "limited"
     */
    async identify(code, { isGuess = false } = {}) {
        const question = { code, is_guess: isGuess };
        const answer = await this._ask("identify", question, this.timeLimit + GRACE);
        if (answer.status === "found") {
            const { member } = answer;
            return {
                status: "found",
                member: {
                    ref: member.ref,
                    accountNumber: member.account_number || false,
                    name: member.name || false,
                    tier: member.tier || false,
                    points: member.points ?? null,
                    pointValue: member.points_value ?? null,
                    readAt: member.read_at,
                },
                partnerId: answer.partner_id || false,
            };
        }
        if (answer.status === "limited") {
            return { status: "limited", retryAfter: answer.retry_after || 0 };
        }
        return { status: IDENTIFY_STATUSES.has(answer.status) ? answer.status : trouble(answer) };
    }

    /**
     * Remember that a customer is this member.
     *
     * @param {string} memberRef the engine's id of the member
     * @param {number} partnerId
     * @returns {Promise<{status: string}>} "linked", "taken" (one of the two has another partner),
     *  or one of the troubles of `identify`
     */
    async linkCustomer(memberRef, partnerId) {
        const answer = await this._ask(
            "link_customer",
            { member_ref: memberRef, partner_id: partnerId },
            this.timeLimit + GRACE
        );
        const known = ["linked", "taken"].includes(answer.status);
        return {
            status: known || IDENTIFY_STATUSES.has(answer.status) ? answer.status : trouble(answer),
        };
    }

    /**
     * Ask what a reported sale has earned. It waits half a second at most: a receipt does not wait
     * longer.
     *
     * @param {string} orderUuid
     * @returns {Promise<{pointsEarned: number | null, points: number | null, isNobodys: boolean}>}
     *  null = not known (yet); `points` is the balance; `isNobodys` = the sale was reported without a
     *  member
     */
    async receipt(orderUuid) {
        const answer = await this._ask("receipt", { order_uuid: orderUuid }, RECEIPT_LIMIT);
        return {
            pointsEarned: answer.points_earned ?? null,
            points: answer.points ?? null,
            isNobodys: answer.is_nobodys === true,
        };
    }

    // --- Vouchers and points ---

    /**
     * Ask for the vouchers of a member.
     *
     * @param {string} memberRef the engine's id of the member
     * @returns {Promise<{status: string, retryAfter?: number, vouchers?: Voucher[],
     *  isComplete?: boolean}>} "found", or a trouble; `isComplete`: there are no others
     */
    async vouchers(memberRef, orderUuid) {
        const answer = await this._ask(
            "vouchers",
            { member_ref: memberRef, order_uuid: orderUuid },
            this.timeLimit + GRACE
        );
        return answer.status === "found" && Array.isArray(answer.vouchers)
            ? {
                  status: "found",
                  vouchers: answer.vouchers,
                  isComplete: answer.is_complete !== false,
              }
            : this._told(answer);
    }

    /**
     * Check a voucher and hold it for an order that the server has.
     *
     * @param {string} orderUuid
     * @param {Object} voucher
     * @param {string} [voucher.code] as scanned or typed: codes may hold any character
     * @param {string} [voucher.benefit] the engine's id of a voucher in the wallet
     * @param {string} [voucher.memberRef] the engine's id of the member; "" = nobody's
     * @param {"scan" | "typed" | "picked"} [voucher.presented] how the member came onto the order
     * @param {boolean} [voucher.isGuess] nothing in the shop has the code, and the till tries it
     * @returns {Promise<{
     *  status: "held" | "held_elsewhere" | "unknown" | "unreadable" | "limit" | "needs_card"
     *      | "refused" | string,
     *  redemption?: Redemption,
     *  reason?: string,
     *  where?: string,
     * }>} `redemption` with "held", `reason` with "refused" and "limit" where there is one, `where`
     *  (a till) with "held_elsewhere"
     */
    async holdVoucher(
        orderUuid,
        { code, benefit, memberRef = "", presented = "picked", isGuess = false }
    ) {
        const voucher = benefit ? { benefit } : { code, is_guess: isGuess };
        const answer = await this._ask(
            "hold_voucher",
            { order_uuid: orderUuid, member_ref: memberRef, presented, ...voucher },
            this.timeLimit + GRACE
        );
        return this._held(answer);
    }

    /**
     * Hold points of a member for an order that the server has.
     *
     * @param {string} orderUuid
     * @param {Object} points
     * @param {string} points.memberRef
     * @param {"scan" | "typed" | "picked"} [points.presented] how the member came onto the order
     * @param {number} [points.points] either this
     * @param {string} [points.amount] or this: currency units, as a decimal number
     * @param {string} points.due currency units: what is left to pay
     * @param {string} [points.pin] of a manager
     * @returns {Promise<{
     *  status: "held" | "too_many" | "limit" | "needs_card" | "needs_pin" | string,
     *  redemption?: Redemption,
     *  available?: number,
     *  reason?: string,
     * }>} `available` points with "too_many"
     */
    async holdPoints(
        orderUuid,
        { memberRef, presented = "picked", points, amount, due, pin = "" }
    ) {
        const wanted = points === undefined ? { amount } : { points };
        const answer = await this._ask(
            "hold_points",
            { order_uuid: orderUuid, member_ref: memberRef, presented, due, pin, ...wanted },
            this.timeLimit + GRACE
        );
        return this._held(answer);
    }

    /**
     * Ask under which terms a member's points may be spent on an order.
     *
     * @param {string} orderUuid
     * @param {string} memberRef
     * @returns {Promise<{
     *  status: string,
     *  terms?: {
     *      balance: number, available: number, rate: string, step: number, min: number, max: number,
     *      booking: "discount" | "payment",
     *  },
     * }>} points (`min` and `max` 0 = no limit), and `rate` in currency units a point
     */
    async pointsTerms(orderUuid, memberRef) {
        const { status, ...terms } = await this._ask(
            "points_terms",
            { order_uuid: orderUuid, member_ref: memberRef },
            this.timeLimit + GRACE
        );
        return status === "found" ? { status, terms } : this._told({ status, ...terms });
    }

    /**
     * Ask what a return of these orders can give back to a payment with points.
     *
     * @param {string[]} sold uuids of the orders
     * @param {Object} wanted currency units, as decimal numbers
     * @param {string} wanted.amount
     * @param {string} wanted.promised by other payments of the same return
     * @returns {Promise<{status: string, amount?: string, points?: number}>} "found" with so much of
     *  the amount as can be given back, and the points for it; or a trouble
     */
    async refundTerms(sold, wanted) {
        const { status, amount, points, ...answer } = await this._ask(
            "refund_terms",
            { sold, ...wanted },
            this.timeLimit + GRACE
        );
        return status === "found" ? { status, amount, points } : this._told({ status, ...answer });
    }

    /**
     * Take redemptions off an order: what is held becomes free, what was spent is given back where
     * it can be.
     *
     * @param {string} orderUuid
     * @param {string[]} uuids of the redemptions
     * @returns {Promise<{status: string, redemptions?: Redemption[], where?: string}>} "done" with
     *  all redemptions of the order; "at_payment" with the till where somebody pays; or a trouble
     */
    async release(orderUuid, uuids) {
        const answer = await this._ask(
            "release",
            { order_uuid: orderUuid, till_key: this.tillKey(), uuids },
            this.timeLimit + GRACE
        );
        return answer.status === "at_payment"
            ? { status: "at_payment", where: answer.where || "" }
            : this._list(answer, "done");
    }

    /**
     * Spend what an order holds. May be asked again: what is spent is not spent twice.
     *
     * @param {string} orderUuid
     * @param {{uuid: string, amount: string}[]} claims what each takes off the order, in currency
     *  units
     * @param {Object} [options]
     * @param {number} [options.waited] seconds that the cashier has waited already
     * @returns {Promise<{status: string, redemptions?: Redemption[]}>} "done" with all redemptions
     *  of the order; "slow", "offline", "busy" and "failed" say nothing about what was spent; after
     *  any other trouble nothing was
     */
    async spend(orderUuid, claims, { waited = 0 } = {}) {
        // A busy server may take this up when the till has long given up: it is to see that.
        const clock =
            this.ahead === null
                ? {}
                : { asked_at: (browser.performance.now() + this.ahead) / 1000 - waited };
        const answer = await this._ask(
            "spend",
            { order_uuid: orderUuid, till_key: this.tillKey(), claims, ...clock },
            this.spendLimit - waited
        );
        return this._list(answer, "done");
    }

    /**
     * Ask what became of the redemptions of an order.
     *
     * @param {string} orderUuid
     * @param {{isForReceipt?: boolean}} [options] a receipt waits half a second at most
     * @returns {Promise<{status: string, redemptions?: Redemption[]}>} "found", or a trouble
     */
    async redemptions(orderUuid, { isForReceipt = false } = {}) {
        const answer = await this._ask(
            "redemptions",
            { order_uuid: orderUuid },
            isForReceipt ? RECEIPT_LIMIT : LOOK_LIMIT
        );
        return this._list(answer, "found");
    }

    /**
     * Say that an order is still worked on: what it holds stays held.
     *
     * @param {string} orderUuid
     * @param {boolean} isAtPayment
     * @returns {Promise<{status: string}>} "done", or a trouble
     */
    async renew(orderUuid, isAtPayment) {
        const answer = await this._ask(
            "renew",
            { order_uuid: orderUuid, till_key: this.tillKey(), at_payment: isAtPayment },
            this.timeLimit + GRACE
        );
        return answer.status === "done" ? { status: "done" } : this._told(answer);
    }

    /**
     * Ask whether an order may be deleted, and that what it holds or has spent be given back.
     *
     * @param {string} orderUuid
     * @returns {Promise<{status: string, where?: string}>} "done"; "at_payment" with the till where
     *  somebody pays; or a trouble
     */
    async abandon(orderUuid) {
        const answer = await this._ask(
            "abandon",
            { order_uuid: orderUuid, till_key: this.tillKey() },
            this.timeLimit + GRACE
        );
        if (answer.status === "at_payment") {
            return { status: "at_payment", where: answer.where || "" };
        }
        return answer.status === "done" ? { status: "done" } : this._told(answer);
    }

    _held(answer) {
        if (answer.status === "held" && !answer.redemption?.uuid) {
            return { status: "failed" };
        }
        if (!HOLD_STATUSES.has(answer.status)) {
            return this._told(answer);
        }
        const { status, redemption, reason = "", where = "", available = null } = answer;
        return { status, redemption, reason, where, available };
    }

    _list(answer, status) {
        return answer.status === status && Array.isArray(answer.redemptions)
            ? { status, redemptions: answer.redemptions }
            : this._told(answer);
    }

    _told(answer) {
        return {
            status: TROUBLES.has(answer.status) ? answer.status : "failed",
            reason: answer.reason || "",
            retryAfter: answer.retry_after || 0,
        };
    }

    /** An answer takes time to come: the clock of the quickest one is nearest to the truth. */
    _readClock(serverTime) {
        if (Number.isFinite(serverTime)) {
            const ahead = serverTime * 1000 - browser.performance.now();
            this.ahead = Math.max(this.ahead ?? ahead, ahead);
        }
    }

    /**
     * @param {string} route
     * @param {Object} params
     * @param {number} limit seconds
     */
    async _ask(route, params, limit) {
        if (this.isOffline()) {
            return { status: "offline" };
        }
        const request = rpc(
            `${ROUTES}/${route}`,
            { config_id: this.configId, session_id: this.sessionId(), ...params },
            { silent: true }
        );
        let timer;
        const clock = new Promise((resolve) => {
            timer = browser.setTimeout(() => {
                request.abort?.(false);
                resolve({ status: "slow" });
            }, limit * 1000);
        });
        try {
            const answer = (await Promise.race([request, clock])) || {};
            this._readClock(answer.server_time);
            return answer;
        } catch (error) {
            if (error instanceof ConnectionLostError) {
                return { status: "offline" };
            }
            if (error instanceof RPCError) {
                return { status: "failed" };
            }
            throw error;
        } finally {
            browser.clearTimeout(timer);
        }
    }
}

function trouble(answer) {
    return answer.status === "offline" ? "offline" : "failed";
}

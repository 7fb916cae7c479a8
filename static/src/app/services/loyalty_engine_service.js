import { browser } from "@web/core/browser/browser";
import { ConnectionLostError, rpc, RPCError } from "@web/core/network/rpc";

const ROUTES = "/pos_loyalty_engine";

// Seconds. The server gives up first and says why; the till's own clock only covers a server that
// doesn't answer at all.
const GRACE = 1;
const RECEIPT_LIMIT = 0.5;

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
     * @param {() => boolean} params.isOffline whether the till already knows that it is offline
     */
    constructor({ configId, sessionId, timeLimit, isOffline }) {
        this.configId = configId;
        this.sessionId = sessionId;
        this.timeLimit = timeLimit;
        this.isOffline = isOffline;
    }

    /**
     * Ask who the member with this code is.
     *
     * @param {string} code as scanned or typed, or the engine's id of a member
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
    async identify(code) {
        const answer = await this._ask("identify", { code }, this.timeLimit + GRACE);
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
     * @returns {Promise<{pointsEarned: number | null, points: number | null, readAt: string | false}>}
     *  null = not known (yet); `points` is the balance
     */
    async receipt(orderUuid) {
        const answer = await this._ask("receipt", { order_uuid: orderUuid }, RECEIPT_LIMIT);
        return {
            pointsEarned: answer.points_earned ?? null,
            points: answer.points ?? null,
            readAt: answer.read_at || false,
        };
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
            return (await Promise.race([request, clock])) || {};
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

import { _t } from "@web/core/l10n/translation";
import { formatPoints, inWords } from "@pos_loyalty_engine/app/utils/member_words";

// The states of the ledger in which the discount is on the order
const ON_ORDER = new Set(["held", "spending", "spent", "settled"]);
// Gone at the engine, for this order
const SPENT = new Set(["spent", "settled"]);
// Still to be spent before the order is paid
const OPEN = new Set(["held", "spending"]);
// What the cashier has nothing to do with any more
const GONE = new Set(["released", "returning", "returned", "stranded", "made_good"]);
// Nobody knows yet
const UNCLEAR = new Set(["spending", "unknown"]);

/** @param {{state: string}} redemption */
export const isOnOrder = ({ state }) => ON_ORDER.has(state);
export const isSpent = ({ state }) => SPENT.has(state);
export const isOpen = ({ state }) => OPEN.has(state);
export const isGone = ({ state, is_dropped }) => is_dropped || GONE.has(state);
/** Paid with, rather than taken off the price. */
export const isTender = ({ booking }) => booking === "payment";
export const isUnclear = ({ state }) => UNCLEAR.has(state);
/** The engine was asked for it, and perhaps has done it. */
export const isSent = (redemption) => isSpent(redemption) || isUnclear(redemption);
/** Burned at once: what it is worth follows the basket until it is claimed at the payment. */
export const isUnclaimed = (redemption) =>
    isSpent(redemption) && !isTender(redemption) && redemption.frozen_amount === null;
/** The basket must stay as it is for the sake of a redemption. */
export const closesBasket = (redemption) =>
    isSpent(redemption) && !isTender(redemption) && !isUnclaimed(redemption);

/**
 * How a redemption is shown.
 *
 * @param {Object} redemption
 * @returns {{icon: string, color: string, words: string}}
 */
export function stateInWords({ state, reason, isTakenOff, isUnanswered }) {
    if (isTakenOff) {
        return { icon: "fa-undo", color: "text-warning", words: untoldInWords() };
    }
    switch (state) {
        case "held":
            return {
                icon: "fa-bookmark-o",
                color: "text-muted",
                words: _t("redeemed when the sale is paid"),
            };
        case "spending":
            return {
                icon: "fa-circle-o-notch fa-spin",
                color: "text-info",
                words: _t("being redeemed"),
            };
        case "spent":
        case "settled":
            return { icon: "fa-check-circle", color: "text-success", words: _t("redeemed") };
        case "unknown":
            return isUnanswered
                ? {
                      icon: "fa-hourglass-o",
                      color: "text-warning",
                      words: _t(
                          "no answer in time; not in this total: look again, or go on without"
                      ),
                  }
                : {
                      icon: "fa-question-circle",
                      color: "text-warning",
                      words: _t("not known whether redeemed; not in this total: go on without"),
                  };
        case "expired":
            return {
                icon: "fa-clock-o",
                color: "text-danger",
                words: _t("waited too long; add it again"),
            };
        default:
            return {
                icon: "fa-times-circle",
                color: "text-danger",
                words: reason || _t("not redeemed"),
            };
    }
}

/** It is off the order, and whether the server knows is not known. */
export function untoldInWords() {
    return _t("Taken off. The server has not confirmed it yet, and is told again.");
}

/**
 * What a redemption is called.
 *
 * @param {Object} redemption
 */
export function nameInWords({ kind, name, points }) {
    return kind === "points" ? _t("%s points", formatPoints(points)) : name || _t("Voucher");
}

/**
 * Why a voucher or points could not be added, for a cashier.
 *
 * @param {{status: string}} answer of `LoyaltyEngineService`, or of `RedemptionDesk`
 */
export function holdInWords({ status, reason, where, available, retryAfter, words }) {
    switch (status) {
        case "stopped":
            return words;
        case "held_elsewhere":
            return where
                ? _t("This voucher is in use at %s.", where)
                : _t("This voucher is in use at another till.");
        case "unknown":
            return _t("There is no such voucher.");
        case "rejected":
            return reason || _t("There is no such voucher.");
        case "unreadable":
            return _t("What this voucher is worth can't be read. Tell the manager.");
        case "limit":
            return reason || _t("No more can be redeemed with this sale.");
        case "too_many":
            return available === null
                ? _t("The member doesn't have that many points.")
                : _t("Only %s points are available.", formatPoints(available));
        case "needs_card":
            return _t(
                "Scan the member's own card first: nobody else's points and vouchers are spent."
            );
        case "needs_pin":
            return _t("The PIN was not right.");
        case "at_payment":
            return where
                ? _t("This order is being paid at %s.", where)
                : _t("This order is being paid at another till.");
        case "busy":
            return _t("Somebody else was quicker. Try again.");
        case "off":
            return _t("This is switched off here.");
        case "copy":
            return _t("This is a copy of the shop's database: nothing is redeemed here.");
        case "unsaved":
            return _t("The order could not be saved, so nothing can be redeemed with it.");
        case "unread":
            return _t("The server does not say what is redeemed on this order. Try again.");
        case "limited":
            return retryAfter
                ? _t("Too many codes were checked. Wait %s seconds.", retryAfter)
                : _t("Too many codes were checked. Wait a little.");
        case "offline":
            return _t("The till is offline: nothing can be redeemed now.");
        case "refused":
            return reason || inWords({ status });
        default:
            return inWords({ status });
    }
}

import { _t } from "@web/core/l10n/translation";
import { formatFloat } from "@web/core/utils/numbers";

const { DateTime } = luxon;

/**
 * What the answer to a look-up means, for a cashier.
 *
 * @param {{status: string, retryAfter?: number}} answer of `LoyaltyEngineService`
 * @param {string} code as it was scanned or typed
 */
export function inWords(answer, code) {
    switch (answer.status) {
        case "unknown":
            return _t('No member has the code "%s".', code);
        case "ambiguous":
            return _t('Several members have the code "%s". Use the account number.', code);
        case "restricted":
            return _t("This member's account is restricted: it is not on the order.");
        case "slow":
            return _t("The Loyalty Engine takes too long to answer.");
        case "down":
            return _t("The Loyalty Engine does not answer.");
        case "offline":
            return _t("The till is offline.");
        case "limited":
            return answer.retryAfter
                ? _t("Too many members were looked up. Wait %s seconds.", answer.retryAfter)
                : _t("Too many members were looked up. Wait a little.");
        case "refused":
            return _t("The Loyalty Engine refuses this shop's access. Tell the manager.");
        case "not_configured":
            return _t("The Loyalty Engine is not set up here. Tell the manager.");
        default:
            return _t("The shop's server could not ask the Loyalty Engine.");
    }
}

/** @param {boolean} isReporting whether the sale will be reported */
export function keptInWords(isReporting) {
    return isReporting
        ? _t("The code stays with the order and is checked when the sale is reported.")
        : _t("The code stays with the order.");
}

/** @param {number} points */
export function formatPoints(points) {
    return formatFloat(points, { digits: [16, 2], trailingZeros: false });
}

/**
 * The age of something, as short as can be.
 *
 * @param {number} seconds
 */
export function ageInWords(seconds) {
    if (seconds < 5) {
        return _t("now");
    }
    if (seconds < 60) {
        return _t("%s s", Math.floor(seconds / 5) * 5);
    }
    if (seconds < 3600) {
        return _t("%s min", Math.floor(seconds / 60));
    }
    return _t("%s h", Math.floor(seconds / 3600));
}

/**
 * The time of day, with the date where it was not today.
 *
 * @param {string} isoTime
 */
export function formatTime(isoTime) {
    const time = DateTime.fromISO(isoTime);
    const isToday = time.hasSame(DateTime.now(), "day");
    return time.toLocaleString(isToday ? DateTime.TIME_SIMPLE : DateTime.DATETIME_SHORT);
}

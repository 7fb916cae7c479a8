import { formatCurrency } from "@web/core/currency";
import { _t } from "@web/core/l10n/translation";

/**
 * Why a voucher is worth nothing on this basket, for a cashier.
 *
 * @param {{code: string, value: string}|null} reason of `planDiscounts`
 * @param {Object} currency
 */
export function reasonInWords(reason, currency) {
    switch (reason?.code) {
        case undefined:
            return "";
        case "too_small":
            return _t("Only for purchases from %s.", formatCurrency(+reason.value, currency.id));
        case "too_large":
            return _t("Only for purchases up to %s.", formatCurrency(+reason.value, currency.id));
        case "missing":
            return _t("Not in this order: %s.", reason.value);
        case "cheaper":
            return _t("The price is not higher than the voucher's price already.");
        default:
            return _t("There is nothing left to take it off.");
    }
}

/**
 * Why an order with something spent can't be paid as it is.
 *
 * @param {string} name of the voucher
 * @param {number} spent
 * @param {number} carried what of it finds room on the order
 * @param {Object} currency
 */
export function shortInWords(name, spent, carried, currency) {
    return _t(
        "%(name)s was spent for %(spent)s, and this order can carry only %(carried)s of it.",
        {
            name,
            spent: formatCurrency(spent, currency.id),
            carried: formatCurrency(carried, currency.id),
        }
    );
}

export function unknownInWords() {
    return _t("The vouchers of this order are not known yet: ask the Loyalty Engine once more.");
}

export function noProductInWords() {
    return _t("The product for loyalty discounts is missing at this till. Tell the manager.");
}

export function fixedLineInWords() {
    return _t(
        "This discount comes from the Loyalty Engine. Its amount follows the basket; take it off in the loyalty panel."
    );
}

/** The question before goods are returned without a discount that was on them and on others. */
export function partRefundInWords(amount) {
    return {
        title: _t("Sold with a discount"),
        body: _t(
            "Vouchers or points took %s off these goods and others together. That is given back only with all of them: this return pays the full price of what is chosen.",
            amount
        ),
        confirmLabel: _t("Give back the full price"),
        cancelLabel: _t("Choose again"),
    };
}

export function refundInWords() {
    return _t("A discount is only given back together with what it was on.");
}

import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { browser } from "@web/core/browser/browser";
import { formatCurrency } from "@web/core/currency";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { LOOK_LIMIT, UNSURE } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import {
    closesBasket,
    holdInWords,
    isOpen,
    isSpent,
    nameInWords,
    stateInWords,
} from "@pos_loyalty_engine/app/utils/redemption_words";

// While several are spent: how far it is, in milliseconds
const PROGRESS_EVERY = 1000;

/**
 * What stands before money moves: it sees to it that nothing is charged before what an order holds was
 * spent, and that the cashier knows the total. An order without redemptions passes it with one look at
 * a list.
 */
export class PaymentGate {
    /** @param {import("./redemption_desk").RedemptionDesk} desk */
    constructor(desk) {
        this.desk = desk;
        this.pos = desk.pos;
        this.service = desk.service;
        this.steps = desk.steps;
        this.book = desk.book;
        // By order uuid: the running spend, as a promise
        this.spends = new Map();
        // Uuids of the orders that a press is paying just now
        this.pressed = new Set();
    }

    /** Whether an order can't simply be paid. No request, and nothing to wait for. */
    standsBefore(order) {
        if (order.finalized) {
            return false;
        }
        return (
            order.loyaltyEngineIsBusy ||
            this.book.mustAsk(order) ||
            order.loyaltyEngineUnspent.length > 0 ||
            order.loyaltyEngineHasOtherGoods ||
            Boolean(order.loyaltyEngineBlocked) ||
            order.loyaltyEngineOverpaid > 0
        );
    }

    /**
     * The gate before money moves: spends what is held, or says why the order can't be paid as it
     * is. Whoever comes while a spend runs waits for it and is turned back, as a second click.
     *
     * @param {Object} order
     * @returns {Promise<boolean>} whether the caller may go on, with the total that it knows
     */
    async mayPay(order) {
        if (!this.standsBefore(order)) {
            return true;
        }
        const running = this.spends.get(order.uuid) || this.steps.running(order);
        if (running) {
            await running;
            return false;
        }
        const started = Date.now();
        if (this.book.mustAsk(order) || order.loyaltyEngineHasUnknown) {
            const isSame = await this._learn(order);
            if (!isSame || !this.standsBefore(order)) {
                return isSame;
            }
        }
        // What the cashier takes to answer a question is no waiting.
        const waited = (Date.now() - started) / 1000;
        if (order.loyaltyEngineHasOtherGoods || order.loyaltyEngineBlocked) {
            await this._tellBlocked(order);
            return false;
        }
        // Asked for only where it is so: who presses twice must meet the running spend at once.
        if (order.loyaltyEngineOverpaid && !(await this._mayPayOut(order))) {
            return false;
        }
        return this.spendFor(order, waited);
    }

    async _tellBlocked(order) {
        const words = order.loyaltyEngineBlocked;
        const spent = this.book.all(order).filter(closesBasket);
        if (!spent.length) {
            this.pos.dialog.add(AlertDialog, {
                title: _t("This order can't be paid as it is"),
                body: words,
            });
            return;
        }
        await this.desk.askAboutSpent(order, spent, {
            title: _t("The basket is not the one that this was redeemed for"),
            words,
            keep: _t("I put the goods back"),
        });
    }

    /** Points are no cash. Where they can't be undone, the sale goes on, and the manager is told. */
    async _mayPayOut(order) {
        if (order.loyaltyEngineGivenBack) {
            this.pos.dialog.add(AlertDialog, {
                title: _t("More points go back than the return comes to"),
                body: _t(
                    "%s too much: remove the payment with points, and give them back for the new total.",
                    formatCurrency(order.loyaltyEngineOverpaid, order.currency.id)
                ),
            });
            return false;
        }
        const title = _t("More points were taken than the sale comes to");
        const excess = formatCurrency(order.loyaltyEngineOverpaid, order.currency.id);
        if (this.service.isOffline()) {
            return ask(this.pos.dialog, {
                title,
                body: _t(
                    "%s too much, and offline the points can't be undone. The manager gets a note when it is paid out.",
                    excess
                ),
                confirmLabel: _t("Pay it out"),
                cancelLabel: _t("Change the sale"),
            });
        }
        this.pos.dialog.add(AlertDialog, {
            title,
            body: _t(
                "%s too much: undo the payment with points, and take it again for the new total.",
                excess
            ),
        });
        return false;
    }

    /**
     * Learn what an order from elsewhere holds. Where the server can't say and nothing on the order
     * speaks of a redemption, the sale goes on.
     *
     * @returns {Promise<boolean>} whether the total is the one that the cashier knows
     */
    async _learn(order) {
        const before = order.totalDue;
        const isLearnt = await this.steps.during(order, { kind: "look" }, () =>
            this.book.learnt(order)
        );
        if (isLearnt) {
            const isSame = order.currency.isZero(order.totalDue - before);
            if (!isSame) {
                this.desk.notify(
                    _t("Vouchers and points were checked again. Look at the total."),
                    "info"
                );
            }
            return isSame;
        }
        this.book.unasked.add(order.uuid);
        if (!order.loyaltyEngineHasUnknown) {
            return true;
        }
        await askToGoWithout(this.pos.dialog, order, {
            title: _t("Vouchers and points can't be checked now"),
            body: _t(
                "The server does not answer. The discounts can be taken off this order to close the sale without them: what was redeemed already is given back later, or the manager is told."
            ),
            cancelLabel: _t("Try again later"),
        });
        return false;
    }

    /**
     * Let one press pay an order that does not stand as it is; another one meanwhile does nothing.
     *
     * @param {Object} order
     * @param {() => Promise<any>} pay
     */
    async once(order, pay) {
        if (order.loyaltyEngineIsBusy || this.pressed.has(order.uuid)) {
            return;
        }
        this.pressed.add(order.uuid);
        try {
            return await pay();
        } finally {
            this.pressed.delete(order.uuid);
        }
    }

    // --- Spend ---

    /**
     * Spend what an order holds. One promise an order: who asks while it runs gets the same answer.
     * What is spent is skipped.
     *
     * @param {Object} order
     * @param {number} [waited] seconds that the cashier has waited already: one limit for all of it
     * @returns {Promise<boolean>} true when everything is spent and the total is what it was
     */
    spendFor(order, waited = 0) {
        if (!this.spends.has(order.uuid)) {
            this.spends.set(
                order.uuid,
                this._spend(order, waited).finally(() => this.spends.delete(order.uuid))
            );
        }
        return this.spends.get(order.uuid);
    }

    async _spend(order, waited) {
        const before = order.totalDue;
        order.recomputeLoyaltyEngineDiscounts();
        const unspent = order.finalized ? [] : order.loyaltyEngineUnspent;
        if (!order.currency.isZero(order.totalDue - before)) {
            this._explain(order, []);
            return false;
        }
        if (!unspent.length) {
            return true;
        }
        if (order.loyaltyEnginePaymentTaken) {
            const unburned = unspent.filter((item) => !isSpent(item));
            return !unburned.length || this._tooLate(order, unburned);
        }
        const basket = order.loyaltyEngineBasket;
        await this.steps.during(order, { kind: "spend", of: unspent.length }, async () => {
            const list = await this.askToSpend(order, unspent, waited);
            // Before anything else can change it
            order.uiState.loyaltyEngine.closedBasket ||= list.some(closesBasket) && basket;
            this.book.set(order, list);
        });
        const wanted = new Set(unspent.map(({ uuid }) => uuid));
        const left = this.book.all(order).filter(({ uuid }) => wanted.has(uuid));
        const isSame = order.currency.isZero(order.totalDue - before);
        if (left.length === wanted.size && left.every(isSpent) && isSame) {
            return true;
        }
        this._explain(order, unspent);
        return false;
    }

    async askToSpend(order, unspent, waited = 0) {
        if (this.service.isOffline()) {
            return without(this.book.all(order), unspent, "refused", _t("the till is offline"));
        }
        const claims = unspent.map((redemption) => ({
            uuid: redemption.uuid,
            amount: order.loyaltyEngineDecimal(order.loyaltyEngineValueOf(redemption)),
        }));
        let look;
        // Part of the seconds that the step may take, and no more than that.
        const timer = browser.setTimeout(
            () => (look = this.service.redemptions(order.uuid)),
            (this.service.spendLimit - waited - LOOK_LIMIT) * 1000
        );
        const stopWatching = this._watchProgress(order, claims);
        const answer = await this.service.spend(order.uuid, claims, { waited });
        browser.clearTimeout(timer);
        stopWatching();
        if (answer.status === "done") {
            return this._withoutUnasked(answer.redemptions, unspent);
        }
        // Nobody knows what was spent, or nothing was: the ledger does. Asked once.
        const state = await (look || this.service.redemptions(order.uuid));
        const isSent = UNSURE.has(answer.status);
        if (state.status === "found") {
            return isSent
                ? without(state.redemptions, unspent, "unknown", "", isOpen)
                : this._withoutUnasked(state.redemptions, unspent, holdInWords(answer));
        }
        return without(
            this.book.all(order),
            unspent,
            isSent ? "unknown" : "refused",
            holdInWords(answer)
        );
    }

    /**
     * Where the engine could not be asked, the sale goes on without all that it was to be asked
     * for. What merely was not its turn yet stays on the order: another press tries it.
     */
    _withoutUnasked(redemptions, unspent, words) {
        const wanted = new Set(unspent.map(({ uuid }) => uuid));
        const first = redemptions.find((item) => wanted.has(item.uuid) && !isSpent(item));
        const isHeld = ({ state }) => state === "held" || state === "expired";
        const reason = words || _t("the Loyalty Engine could not be asked");
        const list =
            first && isHeld(first)
                ? without(redemptions, unspent, "refused", reason, isHeld)
                : redemptions;
        // What is still being spent when the time is over is left out of this sale.
        return without(list, unspent, "unknown", "", ({ state }) => state === "spending");
    }

    /** Money has moved for a total with a discount that was never spent: it leaves the order. */
    _tooLate(order, unspent) {
        const uuids = unspent.map(({ uuid }) => uuid);
        this.book.set(
            order,
            without(
                this.book.all(order),
                unspent,
                "refused",
                _t("not redeemed: a payment was already taken")
            ),
            { drop: uuids }
        );
        this.service.release(order.uuid, uuids);
        this._explain(order, unspent);
        return false;
    }

    /** While several are spent one after the other: show how far it is. */
    _watchProgress(order, claims) {
        const { step } = order.uiState.loyaltyEngine;
        if (claims.length < 2) {
            return () => {};
        }
        const wanted = new Set(claims.map(({ uuid }) => uuid));
        let isOver = false;
        let timer;
        const look = async () => {
            const answer = await this.service.redemptions(order.uuid);
            if (!isOver) {
                if (answer.status === "found") {
                    step.done = answer.redemptions.filter(
                        (item) => wanted.has(item.uuid) && isSpent(item)
                    ).length;
                }
                timer = browser.setTimeout(look, PROGRESS_EVERY);
            }
        };
        timer = browser.setTimeout(look, PROGRESS_EVERY);
        return () => {
            isOver = true;
            browser.clearTimeout(timer);
        };
    }

    /** What did not work out, and what is to pay now. Nothing goes on by itself. */
    _explain(order, unspent) {
        const now = new Map(this.book.all(order).map((item) => [item.uuid, item]));
        const lines = [];
        for (const redemption of unspent) {
            const item = now.get(redemption.uuid) || { ...redemption, state: "refused" };
            if (!isSpent(item)) {
                const words = isOpen(item)
                    ? _t("not tried yet: it is still on this order")
                    : stateInWords(item).words;
                lines.push(`• ${nameInWords(item)}: ${words}`);
            }
        }
        if (!lines.length) {
            lines.push(_t("The order has changed in the meantime."));
        }
        const unclear = [...now.values()].filter(({ state }) => state === "unknown");
        if (unclear.some(({ isUnanswered }) => isUnanswered)) {
            lines.push("", _t("To ask again before you take the payment, tap ⟳ beside it."));
        }
        if (unclear.length) {
            lines.push(
                "",
                _t(
                    "What is not known now is found out later: points come back by themselves, " +
                        "and the manager is told of a voucher."
                )
            );
        }
        lines.push(
            "",
            _t("New total: %s", formatCurrency(order.totalDue, order.currency.id)),
            order.loyaltyEnginePaymentTaken
                ? _t("Tell the customer, and take what is still to pay.")
                : _t("Nothing was charged. Tell the customer, then take the payment again.")
        );
        this.book.tellTotal({
            title: _t("Not everything was redeemed"),
            body: lines.join("\n"),
        });
    }
}

/**
 * Redemptions as a till goes on without them: what the server says of them may be another thing. What
 * is unknown here for want of an answer is marked, to be told from what the server does not know.
 *
 * @param {Object[]} redemptions
 * @param {Object[]} some of them
 * @param {string} state
 * @param {string} reason
 * @param {(redemption: Object) => boolean} [isMeant]
 */
function without(redemptions, some, state, reason, isMeant = () => true) {
    const uuids = new Set(some.map(({ uuid }) => uuid));
    return redemptions.map((item) =>
        uuids.has(item.uuid) && !isSpent(item) && isMeant(item)
            ? {
                  ...item,
                  state,
                  reason,
                  isSetAside: state === "refused",
                  isUnanswered: state === "unknown",
              }
            : item
    );
}

/** Let the cashier take the discounts off an order, where nobody can say whether they are good. */
export async function askToGoWithout(dialog, order, words) {
    if (await ask(dialog, { ...words, confirmLabel: _t("Go on without discounts") })) {
        order.setLoyaltyEngineRedemptions([]);
    }
}

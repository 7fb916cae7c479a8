import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { browser } from "@web/core/browser/browser";
import { formatCurrency } from "@web/core/currency";
import {
    closesBasket,
    isGone,
    isOnOrder,
    isSent,
    isSpent,
    isTender,
    isUnclear,
    nameInWords,
} from "@pos_loyalty_engine/app/utils/redemption_words";

// Milliseconds. Holds end after 15 minutes, the lease of a till at payment after 3.
const RENEW_EVERY = 2 * 60 * 1000;
// Times: an order that nobody has touched for an hour is not worked on.
const RENEW_AT_MOST = 30;
// Looks at what is being spent elsewhere, in milliseconds
const LOOKS = [2000, 5000, 10000, 20000, 40000];

/**
 * A till's copy of the ledger: what the server has said of the redemptions of its orders, and what the
 * cashier has done about them since. Discount lines are made of it, and whatever the server says is
 * taken over here.
 */
export class RedemptionBook {
    /**
     * @param {import("@point_of_sale/app/services/pos_store").PosStore} pos
     * @param {import("./loyalty_engine_service").LoyaltyEngineService} service
     * @param {import("./order_steps").OrderSteps} steps
     */
    constructor(pos, service, steps) {
        this.pos = pos;
        this.service = service;
        this.steps = steps;
        // Uuids of the orders whose redemptions this till knows
        this.known = new Set();
        // By order uuid: the running look at an order from elsewhere, as a promise
        this.looks = new Map();
        // Uuids of the orders from elsewhere of which the server could not say what they hold
        this.unasked = new Set();
        // By order uuid: { timer, times, basket } of the next renewal
        this.renewals = new Map();
        // Uuids of the orders with something unclear that is looked at now and then
        this.watched = new Set();
        this.closeTotal = () => {};
    }

    /** An order that was made here has nothing that its till does not know of. */
    onNewOrder(order) {
        this.known.add(order.uuid);
    }

    onRemoved(order) {
        browser.clearTimeout(this.renewals.get(order.uuid)?.timer);
        for (const memory of [this.renewals, this.known, this.unasked]) {
            memory.delete(order.uuid);
        }
    }

    // --- Known to this till ---

    /**
     * Fetch the redemptions of an order that was not made on this page: after a reload, or from
     * another till. Once for each order; whoever wants them again refreshes.
     *
     * @param {Object} order
     */
    async ensure(order) {
        if (this._isStrange(order) && !this.looks.has(order.uuid)) {
            const look = this.refresh(order).finally(() => this.looks.delete(order.uuid));
            this.looks.set(order.uuid, look);
            // Without an answer it is asked again when the order is shown the next time.
            await look;
        }
    }

    /**
     * The server has sent an order: where it lacks the discount of something that is on it here,
     * another till has perhaps taken it off. Then nothing is known of the order any more.
     *
     * @param {Object} order
     */
    doubt(order) {
        const carried = new Set(
            order.loyaltyEngineDiscountLines.map((line) => line.loyalty_engine_redemption)
        );
        const isLost = (item) =>
            isOnOrder(item) &&
            !isTender(item) &&
            Number(item.frozen_amount ?? item.worth) > 0 &&
            !carried.has(item.uuid);
        const items = order.loyaltyEngineRedemptions;
        if (!order.finalized && !order.loyaltyEngineIsBusy && items.some(isLost)) {
            this.known.delete(order.uuid);
            this.unasked.delete(order.uuid);
            order.uiState.loyaltyEngine.redemptions = null;
            if (this._isCurrent(order)) {
                this.ensure(order);
            }
        }
    }

    /** Whether an order may have redemptions of which this page knows nothing yet. */
    _isStrange(order) {
        return !this.known.has(order.uuid) && order.isSynced && !order.finalized;
    }

    /** Whether the server has to be asked what an order holds before it is paid; once is enough. */
    mustAsk(order) {
        return this._isStrange(order) && !this.unasked.has(order.uuid);
    }

    /** @returns {Promise<{status: string} | undefined>} why nothing is known of an order */
    async know(order) {
        if (this._isStrange(order) && !(await this.learnt(order))) {
            return { status: "unread" };
        }
    }

    /** @returns {Promise<boolean>} whether the server has answered; waits for a running look */
    learnt(order) {
        return this.looks.get(order.uuid) || this.look(order);
    }

    /**
     * @param {Object} order
     * @returns {Promise<boolean>} whether the server has answered
     */
    async refresh(order) {
        await this.steps.running(order);
        return this.look(order);
    }

    async look(order) {
        const before = order.uiState.loyaltyEngine.redemptions;
        const answer = await this.ask(order);
        if (!answer.redemptions) {
            return false;
        }
        this.known.add(order.uuid);
        // Something else was learnt meanwhile, or the order is paid: that is newer.
        if (before === order.uiState.loyaltyEngine.redemptions && !order.finalized) {
            const unknown = new Set(
                this.all(order)
                    .filter(({ state }) => state === "unknown")
                    .map(({ uuid }) => uuid)
            );
            this.set(order, answer.redemptions);
            const found = this.all(order).filter((item) => unknown.has(item.uuid) && isSpent(item));
            const [paid, off] = [found.filter(isTender), found.filter((item) => !isTender(item))];
            if (off.length) {
                this._tellNewTotal(
                    order,
                    _t(
                        "Redeemed after all, and on the order again: %s",
                        off.map(nameInWords).join(", ")
                    )
                );
            }
            if (paid.length) {
                this._tell(
                    _t(
                        "Taken after all: %s. Try their payment again to use them; without it they go back.",
                        paid.map(nameInWords).join(", ")
                    )
                );
            }
        }
        return true;
    }

    /** Whoever counts money for the old total must not miss the new one. */
    _tellNewTotal(order, words) {
        if (!this._isCurrent(order) || this.pos.router.state.current !== "PaymentScreen") {
            return this._tell(words);
        }
        const total = formatCurrency(order.totalDue, order.currency.id);
        this.tellTotal({
            title: _t("New total: %s", total),
            body: _t("%s. Take no more than the new total.", words),
        });
    }

    /** Show a dialog that names a total, instead of an older one with another. */
    tellTotal(props) {
        this.closeTotal();
        this.closeTotal = this.pos.dialog.add(AlertDialog, props);
    }

    _tell(words) {
        this.pos.notification.add(words, { type: "success" });
    }

    /** What the server may not have heard is told again: the answer is the same list. */
    ask(order) {
        const untold = this.all(order).filter(({ isTakenOff }) => isTakenOff);
        return untold.length
            ? this.service.release(
                  order.uuid,
                  untold.map(({ uuid }) => uuid)
              )
            : this.service.redemptions(order.uuid);
    }

    /** Look a few times at what is not clear yet. */
    _watchUnclear(order) {
        if (this.watched.has(order.uuid)) {
            return;
        }
        const look = (times) => {
            const isWanted = this._isOpen(order) && this.all(order).some(isUnclear);
            if (!isWanted || times === LOOKS.length) {
                this.watched.delete(order.uuid);
                return;
            }
            this.watched.add(order.uuid);
            browser.setTimeout(async () => {
                await this.refresh(order);
                look(times + 1);
            }, LOOKS[times]);
        };
        look(0);
    }

    /**
     * Know the redemptions of a paid order, for its receipt. Waits half a second at most.
     *
     * @param {Object} order
     */
    async readReceipt(order) {
        const isWanted =
            order.finalized && order.isSynced && !this.all(order).length && this.hasClaims(order);
        if (isWanted) {
            const answer = await this.service.redemptions(order.uuid, { isForReceipt: true });
            if (answer.status === "found") {
                order.uiState.loyaltyEngine.redemptions = answer.redemptions;
            }
        }
    }

    // --- What is on an order ---

    all(order) {
        return order.uiState.loyaltyEngine.redemptions || [];
    }

    /**
     * Take over what the server says, and make discounts of it. What is off the order for the
     * cashier comes back by itself only if it is surely spent: the total changes for nothing less.
     * What the cashier has taken off doesn't come back: the server may be giving it back just now.
     *
     * @param {Object} order
     * @param {Object[]} redemptions
     * @param {Object} [options]
     * @param {string[]} [options.drop] what is off the order whatever the server still holds
     * @param {string[]} [options.take] what the cashier has just put on it
     */
    set(order, redemptions, { drop = [], take = [] } = {}) {
        const state = order.uiState.loyaltyEngine;
        state.dropped = [...new Set([...state.dropped, ...drop])].filter(
            (uuid) => !take.includes(uuid)
        );
        const before = new Map(this.all(order).map((item) => [item.uuid, item]));
        const isTaken = order.loyaltyEnginePaymentTaken;
        const list = redemptions
            .filter((item) => !isGone(item))
            .filter((item) => isSent(item) || !state.dropped.includes(item.uuid))
            .map((item) => {
                if (take.includes(item.uuid)) {
                    return item;
                }
                if (state.dropped.includes(item.uuid)) {
                    return { ...item, state: "unknown", isTakenOff: true };
                }
                const known = before.get(item.uuid);
                // The customer has paid, or is just paying, without it.
                const isTooLate =
                    isTaken && !isTender(item) && isOnOrder(item) && !(known && isOnOrder(known));
                const wasUnclear = known?.state === "unknown";
                const isUnanswered = wasUnclear && item.state === "spending";
                if (isTooLate || isUnanswered) {
                    return { ...item, state: "unknown", isUnanswered };
                }
                if ((wasUnclear || known?.isSetAside) && item.state === "held") {
                    const reason = known.reason || _t("not redeemed; it can be put back");
                    return { ...item, state: "refused", reason, isSetAside: true };
                }
                return item;
            });
        const followPayment = this._coveringPayment(order);
        order.setLoyaltyEngineRedemptions(list);
        followPayment();
        if (list.some(closesBasket)) {
            state.closedBasket ||= order.loyaltyEngineBasket;
        } else {
            state.closedBasket = false;
        }
        this._keepHeld(order);
        this._watchUnclear(order);
    }

    /**
     * Remember which payment covers the whole order, to keep it so.
     *
     * @returns {() => void} sets it to what is due then
     */
    _coveringPayment(order) {
        const [payment, ...others] = order.payment_ids;
        const due = () =>
            order.shouldRound(payment.payment_method_id)
                ? order.config.rounding_method.round(order.totalDue)
                : order.totalDue;
        const isCovering =
            payment && !others.length && order.currency.isZero(payment.getAmount() - due());
        return () => {
            if (
                isCovering &&
                order.payment_ids.length === 1 &&
                order.payment_ids[0] === payment &&
                !order.loyaltyEnginePaymentTaken &&
                !order.finalized
            ) {
                payment.setAmount(due());
                // What was typed before belongs to the old amount.
                this.pos.numberBuffer.reset();
            }
        };
    }

    mayHaveRedemptions(order) {
        return (
            this.all(order).some((item) => isOnOrder(item) || item.state === "unknown") ||
            this.hasClaims(order)
        );
    }

    /** Whether lines or payments of an order stand for a redemption. */
    hasClaims(order) {
        return (
            order.loyaltyEngineDiscountLines.length > 0 ||
            order.payment_ids.some((payment) => payment.loyalty_engine_redemption)
        );
    }

    mayHaveSpent(order) {
        return (
            this.all(order).some(
                (item) => item.state !== "held" && (isOnOrder(item) || item.state === "unknown")
            ) ||
            // Of another till's order this one may know nothing.
            (!this.known.has(order.uuid) && this.hasClaims(order))
        );
    }

    // --- Held while the order is worked on ---

    _keepHeld(order) {
        const renewal = this.renewals.get(order.uuid);
        browser.clearTimeout(renewal?.timer);
        this.renewals.delete(order.uuid);
        if (order.finalized || !this.all(order).some(isOnOrder)) {
            return;
        }
        const next = { basket: order.loyaltyEngineBasket, times: 0 };
        this.renewals.set(order.uuid, next);
        const arm = () =>
            (next.timer = browser.setTimeout(async () => {
                if (!this._isOpen(order) || !this.all(order).some(isOnOrder)) {
                    this.renewals.delete(order.uuid);
                    return;
                }
                const basket = order.loyaltyEngineBasket;
                next.times = basket === next.basket ? next.times + 1 : 0;
                next.basket = basket;
                if (next.times < RENEW_AT_MOST) {
                    if (this._isCurrent(order)) {
                        await this.renew(order);
                    }
                    // What was learnt meanwhile has begun a renewal of its own.
                    if (this.renewals.get(order.uuid) === next) {
                        arm();
                    }
                }
            }, RENEW_EVERY));
        arm();
    }

    /** Tell the server that an order with redemptions is still worked on here. */
    renew(order) {
        const isAtPayment = this.pos.router.state.current === "PaymentScreen";
        return this.service.renew(order.uuid, isAtPayment);
    }

    _isCurrent(order) {
        return order.uuid === this.pos.selectedOrderUuid;
    }

    _isOpen(order) {
        return !order.finalized && Boolean(this.pos.models["pos.order"].getBy("uuid", order.uuid));
    }
}

import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { browser } from "@web/core/browser/browser";
import { formatCurrency } from "@web/core/currency";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { DiscountsPopup } from "@pos_loyalty_engine/app/components/popups/discounts_popup/discounts_popup";
import { PointsPopup } from "@pos_loyalty_engine/app/components/popups/points_popup/points_popup";
import { RedeemingOverlay } from "@pos_loyalty_engine/app/components/redeeming_overlay/redeeming_overlay";
import { VoucherPopup } from "@pos_loyalty_engine/app/components/popups/voucher_popup/voucher_popup";
import { LOOK_LIMIT, UNSURE } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import {
    closesBasket,
    holdInWords,
    isGone,
    isOnOrder,
    isOpen,
    isSent,
    isSpent,
    isTender,
    isUnclear,
    nameInWords,
    stateInWords,
    untoldInWords,
} from "@pos_loyalty_engine/app/utils/redemption_words";

// Milliseconds: how long an order is kept waiting for being saved.
const SAVE_LIMIT = 5000;
// Milliseconds. Holds end after 15 minutes, the lease of a till at payment after 3.
const RENEW_EVERY = 2 * 60 * 1000;
// Times: an order that nobody has touched for an hour is not worked on.
const RENEW_AT_MOST = 30;
// Looks at what is being spent elsewhere, in milliseconds
const LOOKS = [2000, 5000, 10000, 20000, 40000];
// While several are spent: how far it is, in milliseconds
const PROGRESS_EVERY = 1000;

/**
 * Vouchers and points of an order: added, taken off, spent before it is paid.
 *
 * The server keeps the ledger, and decides. The till holds a copy with each order, makes discount
 * lines of it, and sees to it that nothing is charged before what is held was spent. One thing is
 * done at a time with an order (its `step`); meanwhile its basket and its payments stay as they are.
 *
 * For an order without redemptions nothing here asks, waits or changes anything.
 */
export class RedemptionDesk {
    /**
     * @param {import("@point_of_sale/app/services/pos_store").PosStore} pos
     * @param {import("./loyalty_engine_service").LoyaltyEngineService} service
     */
    constructor(pos, service) {
        this.pos = pos;
        this.service = service;
        // By order uuid: the running step, as a promise
        this.steps = new Map();
        // By order uuid: the running spend, as a promise
        this.spends = new Map();
        // Uuids of the orders whose redemptions this till knows
        this.known = new Set();
        // By order uuid: the running look at an order from elsewhere, as a promise
        this.looks = new Map();
        // Uuids of the orders from elsewhere of which the server could not say what they hold
        this.unasked = new Set();
        // By order uuid: { timer, times, basket } of the next renewal
        this.renewals = new Map();
        // Uuids of the orders that a press is paying just now
        this.pressed = new Set();
        // Uuids of the orders with something unclear that is looked at now and then
        this.watched = new Set();
        // Uuids of the orders that may be deleted: the server has agreed
        this.abandoned = new Set();
    }

    get connection() {
        return this.pos.config._loyalty_engine;
    }

    // --- What may be done ---

    offersVouchers(order) {
        return Boolean(this.connection.vouchers && order && !order.finalized);
    }

    offersPoints(order) {
        return Boolean(
            // Where points are a payment, they are paid with.
            this.connection.points_booking === "discount" &&
                order?.loyaltyEngineMember?.ref &&
                !order.finalized
        );
    }

    /** Why nothing can be done with the redemptions of an order now, or "". */
    whyNot(order) {
        if (order.finalized) {
            return _t("This sale is paid.");
        }
        if (order.uiState.loyaltyEngine.step) {
            return _t("One moment: this order is being worked on.");
        }
        if (order.loyaltyEnginePaymentTaken) {
            return _t("A payment was already taken or is under way: nothing can be changed now.");
        }
        return "";
    }

    /** Why nothing can be redeemed with an order now, or "". */
    whyNotAdd(order) {
        return (
            this.whyNot(order) ||
            (isReturn(order) ? _t("Nothing can be redeemed with a return.") : "")
        );
    }

    /** Wait until nothing is being done with an order. */
    async untilFree(order) {
        while (this.steps.has(order.uuid)) {
            await this.steps.get(order.uuid);
        }
    }

    isBusy(order) {
        return Boolean(order?.uiState.loyaltyEngine.step);
    }

    // --- Add and take off ---

    /**
     * Hold a voucher for an order.
     *
     * @param {Object} order
     * @param {{code?: string, benefit?: string}} voucher the code as scanned or typed, or the
     *  engine's id of a voucher in the wallet
     * @param {Object} [options]
     * @param {boolean} [options.isSilent] the caller tells the cashier the result
     * @returns {Promise<{status: string}>} "held", or why not: see `holdInWords`
     */
    addVoucher(order, voucher, { isSilent = false } = {}) {
        return this._add(order, isSilent, () =>
            this.service.holdVoucher(order.uuid, { ...voucher, ...this._memberOf(order) })
        );
    }

    /**
     * Hold points of the order's member.
     *
     * @param {Object} order
     * @param {{points?: number, amount?: string, pin?: string}} wanted points, or currency units
     * @param {Object} [options]
     * @param {boolean} [options.isSilent]
     */
    addPoints(order, wanted, { isSilent = false } = {}) {
        const due = this._asText(order, this.dueForPoints(order));
        return this._add(order, isSilent, () =>
            this.service.holdPoints(order.uuid, { ...wanted, ...this._memberOf(order), due })
        );
    }

    /** What points can pay of an order: those that it holds would be replaced. */
    dueForPoints(order) {
        const held = order.loyaltyEngineRedemptions.filter(isHeldPoints);
        return order.currency.round(
            held.reduce((due, item) => due + item.worth, Math.max(0, order.totalDue))
        );
    }

    _memberOf(order) {
        const member = order.loyaltyEngineMember;
        const { presented } = order.uiState.loyaltyEngine;
        return {
            memberRef: member?.ref || "",
            // On another till than the one where the card was shown, nobody has seen a card.
            presented: presented?.code === member?.code ? presented?.how : undefined,
        };
    }

    async _add(order, isSilent, hold) {
        const words = this.whyNotAdd(order);
        const answer = words
            ? { status: "stopped", words }
            : await this._during(order, { kind: "add" }, () => this._hold(order, hold));
        if (answer.status === "held") {
            await this._addProducts(order, answer.redemption);
        }
        if (!isSilent && answer.status !== "held") {
            this.notify(holdInWords(answer));
        }
        return answer;
    }

    async _hold(order, hold) {
        const trouble = (await this._know(order)) || (await this._save(order));
        if (trouble) {
            return trouble;
        }
        const answer = await hold();
        if (UNSURE.has(answer.status)) {
            // It may be held all the same: then it is shown, and can be taken off.
            await this._look(order);
        }
        if (answer.status !== "held") {
            return answer;
        }
        const { redemption } = answer;
        this.known.add(order.uuid);
        if (order.finalized || order.loyaltyEnginePaymentTaken) {
            this.service.release(order.uuid, [redemption.uuid]);
            return { status: "stopped", words: this.whyNotAdd(order) };
        }
        // The server holds points once for an order.
        const isReplaced = (item) => redemption.kind === "points" && isHeldPoints(item);
        this._set(
            order,
            [
                ...this._all(order).filter(
                    (item) => item.uuid !== redemption.uuid && !isReplaced(item)
                ),
                redemption,
            ],
            { take: [redemption.uuid] }
        );
        return answer;
    }

    /** Add what a voucher is for, where that is to be added: as if the cashier had tapped it. */
    async _addProducts(order, { discounts }) {
        for (const product of order.loyaltyEngineToAdd(discounts || [])) {
            await this.pos.addLineToOrder(
                { product_tmpl_id: product.product_tmpl_id, product_id: product },
                order
            );
        }
    }

    /**
     * Put something back on the order that was left out because the engine could not be asked.
     *
     * @param {Object} order
     * @param {Object} redemption
     */
    putBack(order, redemption) {
        const isOthers =
            redemption.member_ref && redemption.member_ref !== order.loyaltyEngineMember?.ref;
        const words =
            this.whyNotAdd(order) || (isOthers ? _t("This is another member's: take it off.") : "");
        if (words) {
            return this.notify(words);
        }
        const change = { state: "held", reason: "", isSetAside: false };
        this._set(
            order,
            this._all(order).map((item) =>
                item.uuid === redemption.uuid ? { ...item, ...change } : item
            ),
            { take: [redemption.uuid] }
        );
    }

    /**
     * Take a redemption off an order. What is only held leaves at once; of what was spent the
     * cashier is asked first.
     *
     * @param {Object} order
     * @param {Object} redemption
     */
    async remove(order, redemption) {
        if (!isOnOrder(redemption)) {
            if (redemption.isSetAside) {
                this.service.release(order.uuid, [redemption.uuid]);
            }
            return this._set(
                order,
                this._all(order).filter(({ uuid }) => uuid !== redemption.uuid),
                { drop: [redemption.uuid] }
            );
        }
        const words = this.whyNot(order);
        if (words) {
            return this.notify(words);
        }
        if (isSpent(redemption)) {
            return this._askAboutSpent(order, [redemption]);
        }
        return this._release(order, [redemption]);
    }

    /** @returns {Promise<boolean>} whether they are off the order */
    async _release(order, redemptions) {
        const answer = await this._during(order, { kind: "remove" }, () =>
            this._takeOff(order, redemptions, (uuids) => this.service.release(order.uuid, uuids))
        );
        if (!answer.isOff) {
            this.notify(_t("%s Nothing was changed: try again.", holdInWords(answer)), "danger");
        } else if (answer.status !== "done" && redemptions.some(isSent)) {
            this.notify(untoldInWords());
        }
        return answer.isOff;
    }

    /**
     * Take redemptions off an order, and then tell the server. In this order, because what the
     * server gives back must be nowhere in a sale, whatever becomes of its answer.
     *
     * @param {Object} order
     * @param {Object[]} redemptions
     * @param {(uuids: string[]) => Promise<{status: string}>} tell
     * @returns {Promise<{status: string, isOff: boolean}>} the server's answer; they are off unless
     *  it surely did nothing. What is only held stays off even then: a hold ends by itself
     */
    async _takeOff(order, redemptions, tell) {
        const uuids = redemptions.map(({ uuid }) => uuid);
        const mustBeTold = redemptions.some(isSent);
        if (mustBeTold && this.service.isOffline()) {
            return { status: "offline", isOff: false };
        }
        const { closedBasket, dropped } = order.uiState.loyaltyEngine;
        const before = this._all(order);
        const claims = order.payment_ids
            .filter((payment) => uuids.includes(payment.loyalty_engine_redemption))
            .map((payment) => order.takeOffLoyaltyEngineClaim(payment));
        this._set(order, before, { drop: uuids });
        // Nor must the server find them on its draft any more, should this till die.
        const trouble = await this._save(order);
        const isUntold = Boolean(trouble && mustBeTold);
        const answer = isUntold ? trouble : await tell(uuids);
        const { status } = answer;
        const isRefused =
            status === "at_payment" ||
            (mustBeTold && status !== "done" && (isUntold || !UNSURE.has(status)));
        if (isRefused) {
            claims.forEach((putBack) => putBack());
            // The goods that they were redeemed for, not those that are there now
            order.uiState.loyaltyEngine.closedBasket = closedBasket;
            this._set(order, before, { take: uuids.filter((uuid) => !dropped.includes(uuid)) });
        } else if (answer.redemptions) {
            this._set(order, answer.redemptions);
        }
        return { ...answer, isOff: !isRefused };
    }

    /** A choice, not a mishap: what was spent may not come back. */
    async _askAboutSpent(order, redemptions, wording = {}) {
        const isSure = await this._mayLose(redemptions, wording);
        const whyNot = isSure && this.whyNot(order);
        if (whyNot) {
            this.notify(whyNot);
        }
        return Boolean(isSure && !whyNot && (await this._release(order, redemptions)));
    }

    /** Ask whether these redemptions, which are spent, are to be given up. */
    _mayLose(redemptions, { title, words = "", confirm, keep }) {
        const lines = redemptions.map((redemption) => `• ${nameInWords(redemption)}`);
        if (words) {
            lines.unshift(words, "");
        }
        const hasVoucher = redemptions.some(
            ({ kind, is_local }) => kind === "voucher" && !is_local
        );
        const hasPoints = redemptions.some(({ kind }) => kind === "points");
        if (hasPoints) {
            lines.push(
                "",
                this.connection.can_read_reactions
                    ? _t("Points go back to the member's account, soon but not at once.")
                    : _t("The manager gets a note to give the points back.")
            );
        }
        if (hasVoucher) {
            lines.push(
                "",
                _t("A used voucher can't be used again. The manager gets a note of it.")
            );
        }
        return ask(this.pos.dialog, {
            title: title || _t("Already redeemed. Cancel it?"),
            body: lines.join("\n"),
            confirmLabel: confirm || _t("Cancel the redemption"),
            cancelLabel: keep || _t("Keep it"),
        });
    }

    // --- Known to this till ---

    /** An order that was made here has nothing that its till does not know of. */
    onNewOrder(order) {
        this.known.add(order.uuid);
    }

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
     * The server has sent an order: where it lacks the discount of something that was spent,
     * another till has perhaps taken it off. Then nothing is known of the order any more.
     *
     * @param {Object} order
     */
    doubt(order) {
        const carried = new Set(
            order.loyaltyEngineDiscountLines.map((line) => line.loyalty_engine_redemption)
        );
        const isLost = (item) =>
            closesBasket(item) && Number(item.frozen_amount) > 0 && !carried.has(item.uuid);
        if (!order.finalized && !this.isBusy(order) && this._all(order).some(isLost)) {
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

    /** @returns {Promise<{status: string} | undefined>} why nothing is known of an order */
    async _know(order) {
        if (this._isStrange(order) && !(await this._learnt(order))) {
            return { status: "unread" };
        }
    }

    /** @returns {Promise<boolean>} whether the server has answered; waits for a running look */
    _learnt(order) {
        return this.looks.get(order.uuid) || this._look(order);
    }

    /**
     * @param {Object} order
     * @returns {Promise<boolean>} whether the server has answered
     */
    async refresh(order) {
        const running = this.steps.get(order.uuid);
        if (running) {
            await running;
        }
        return this._look(order);
    }

    async _look(order) {
        const before = order.uiState.loyaltyEngine.redemptions;
        const answer = await this._askFor(order);
        if (!answer.redemptions) {
            return false;
        }
        this.known.add(order.uuid);
        // Something else was learnt meanwhile, or the order is paid: that is newer.
        if (before === order.uiState.loyaltyEngine.redemptions && !order.finalized) {
            const unknown = new Set(
                this._all(order)
                    .filter(({ state }) => state === "unknown")
                    .map(({ uuid }) => uuid)
            );
            this._set(order, answer.redemptions);
            const found = this._all(order).filter(
                (item) => unknown.has(item.uuid) && isSpent(item)
            );
            const [paid, off] = [found.filter(isTender), found.filter((item) => !isTender(item))];
            if (off.length) {
                this.notify(
                    _t(
                        "Redeemed after all, and on the order again: %s",
                        off.map(nameInWords).join(", ")
                    ),
                    "success"
                );
            }
            if (paid.length) {
                this.notify(
                    _t(
                        "Taken after all: %s. Try their payment again to use them; without it they go back.",
                        paid.map(nameInWords).join(", ")
                    ),
                    "success"
                );
            }
        }
        return true;
    }

    /** What the server may not have heard is told again: the answer is the same list. */
    _askFor(order) {
        const untold = this._all(order).filter(({ isTakenOff }) => isTakenOff);
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
            const isWanted = this._isOpen(order) && this._all(order).some(isUnclear);
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

    _all(order) {
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
    _set(order, redemptions, { drop = [], take = [] } = {}) {
        const state = order.uiState.loyaltyEngine;
        state.dropped = [...new Set([...state.dropped, ...drop])].filter(
            (uuid) => !take.includes(uuid)
        );
        const before = new Map(this._all(order).map((item) => [item.uuid, item]));
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

    // --- Held while the order is worked on ---

    _keepHeld(order) {
        const renewal = this.renewals.get(order.uuid);
        browser.clearTimeout(renewal?.timer);
        this.renewals.delete(order.uuid);
        if (order.finalized || !this._all(order).some(isOnOrder)) {
            return;
        }
        const next = { basket: order.loyaltyEngineBasket, times: 0 };
        this.renewals.set(order.uuid, next);
        const arm = () =>
            (next.timer = browser.setTimeout(async () => {
                if (!this._isOpen(order) || !this._all(order).some(isOnOrder)) {
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
                    arm();
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

    // --- Spend ---

    /** Whether an order can't simply be paid. No request, and nothing to wait for. */
    standsBefore(order) {
        if (order.finalized) {
            return false;
        }
        return (
            this.isBusy(order) ||
            this._mustAsk(order) ||
            order.loyaltyEngineUnspent.length > 0 ||
            this._hasOtherGoods(order) ||
            Boolean(order.loyaltyEngineBlocked)
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
        const running = this.spends.get(order.uuid) || this.steps.get(order.uuid);
        if (running) {
            await running;
            return false;
        }
        if (this._mustAsk(order) || order.loyaltyEngineHasUnknown) {
            const isSame = await this._learn(order);
            if (!isSame || !this.standsBefore(order)) {
                return isSame;
            }
        }
        if (this._hasOtherGoods(order) || order.loyaltyEngineBlocked) {
            await this._askAboutSpent(order, this._all(order).filter(closesBasket), {
                title: _t("The basket is not the one that this was redeemed for"),
                words: order.loyaltyEngineBlocked,
                keep: _t("I put the goods back"),
            });
            return false;
        }
        return this.spendFor(order);
    }

    /** Whether the server has to be asked what an order holds before it is paid; once is enough. */
    _mustAsk(order) {
        return this._isStrange(order) && !this.unasked.has(order.uuid);
    }

    /**
     * Learn what an order from elsewhere holds. Where the server can't say and nothing on the order
     * speaks of a redemption, the sale goes on.
     *
     * @returns {Promise<boolean>} whether the total is the one that the cashier knows
     */
    async _learn(order) {
        const before = order.totalDue;
        const isLearnt = await this._during(order, { kind: "look" }, () => this._learnt(order));
        if (isLearnt) {
            const isSame = order.currency.isZero(order.totalDue - before);
            if (!isSame) {
                this.notify(
                    _t("Vouchers and points were checked again. Look at the total."),
                    "info"
                );
            }
            return isSame;
        }
        this.unasked.add(order.uuid);
        if (!order.loyaltyEngineHasUnknown) {
            return true;
        }
        const isSure = await ask(this.pos.dialog, {
            title: _t("Vouchers and points can't be checked now"),
            body: _t(
                "The server does not answer. The discounts can be taken off this order to close the sale without them: what was redeemed already is given back later, or the manager is told."
            ),
            confirmLabel: _t("Go on without discounts"),
            cancelLabel: _t("Try again later"),
        });
        if (isSure) {
            order.setLoyaltyEngineRedemptions([]);
        }
        return false;
    }

    /**
     * Let one press pay an order that does not stand as it is; another one meanwhile does nothing.
     *
     * @param {Object} order
     * @param {() => Promise<any>} pay
     */
    async once(order, pay) {
        if (this.isBusy(order) || this.pressed.has(order.uuid)) {
            return;
        }
        this.pressed.add(order.uuid);
        try {
            return await pay();
        } finally {
            this.pressed.delete(order.uuid);
        }
    }

    /** Whether the goods are others than when something was spent, and that can still be helped. */
    _hasOtherGoods(order) {
        const { closedBasket } = order.uiState.loyaltyEngine;
        return Boolean(
            closedBasket &&
                order.loyaltyEngineIsClosed &&
                !order.loyaltyEnginePaymentTaken &&
                closedBasket !== order.loyaltyEngineBasket
        );
    }

    /**
     * Spend what an order holds. One promise an order: who asks while it runs gets the same answer.
     * What is spent is skipped.
     *
     * @param {Object} order
     * @returns {Promise<boolean>} true when everything is spent and the total is what it was
     */
    spendFor(order) {
        if (!this.spends.has(order.uuid)) {
            this.spends.set(
                order.uuid,
                this._spend(order).finally(() => this.spends.delete(order.uuid))
            );
        }
        return this.spends.get(order.uuid);
    }

    async _spend(order) {
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
        await this._during(order, { kind: "spend", of: unspent.length }, async () => {
            const list = await this._askToSpend(order, unspent);
            // Before anything else can change it
            order.uiState.loyaltyEngine.closedBasket ||= list.some(closesBasket) && basket;
            this._set(order, list);
        });
        const wanted = new Set(unspent.map(({ uuid }) => uuid));
        const left = this._all(order).filter(({ uuid }) => wanted.has(uuid));
        const isSame = order.currency.isZero(order.totalDue - before);
        if (left.length === wanted.size && left.every(isSpent) && isSame) {
            return true;
        }
        this._explain(order, unspent);
        return false;
    }

    async _askToSpend(order, unspent) {
        if (this.service.isOffline()) {
            return this._without(order, unspent, "refused", _t("the till is offline"));
        }
        const claims = unspent.map((redemption) => ({
            uuid: redemption.uuid,
            amount: this._asText(order, order.loyaltyEngineValueOf(redemption)),
        }));
        let look;
        // Part of the seconds that the step may take, and no more than that.
        const timer = browser.setTimeout(
            () => (look = this.service.redemptions(order.uuid)),
            (this.service.spendLimit - LOOK_LIMIT) * 1000
        );
        const stopWatching = this._watchProgress(order, claims);
        const answer = await this.service.spend(order.uuid, claims);
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
        return this._without(order, unspent, isSent ? "unknown" : "refused", holdInWords(answer));
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

    _without(order, unspent, state, reason) {
        return without(this._all(order), unspent, state, reason);
    }

    /** Money has moved for a total with a discount that was never spent: it leaves the order. */
    _tooLate(order, unspent) {
        const uuids = unspent.map(({ uuid }) => uuid);
        this._set(
            order,
            this._without(
                order,
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

    /** What did not work out, and what is to pay now. Nothing goes on by itself. */
    _explain(order, unspent) {
        const now = new Map(this._all(order).map((item) => [item.uuid, item]));
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
        this.pos.dialog.add(AlertDialog, {
            title: _t("Not everything was redeemed"),
            body: lines.join("\n"),
        });
    }

    // --- The basket is closed ---

    /** Whether the basket of an order can't simply be changed. Nothing to wait for. */
    guardsBasket(order) {
        return Boolean(
            order && !order.finalized && (this.isBusy(order) || order.loyaltyEngineIsClosed)
        );
    }

    /**
     * Let the cashier choose between the change and what was redeemed.
     *
     * @param {Object} order
     * @returns {Promise<boolean>} whether the basket may be changed
     */
    async mayChangeBasket(order) {
        const { step } = order.uiState.loyaltyEngine;
        if (step?.kind === "spend") {
            this.notify(_t("Vouchers and points are being redeemed: wait a moment."));
            return false;
        }
        await this.steps.get(order.uuid);
        if (!this.guardsBasket(order)) {
            return !order.finalized;
        }
        if (order.loyaltyEnginePaymentTaken) {
            this.notify(
                _t(
                    "Something was redeemed for this basket, and a payment taken: it stays as it is."
                )
            );
            return false;
        }
        return this._askAboutSpent(order, this._all(order).filter(closesBasket), {
            title: _t("This basket stays as it is: something was redeemed for it"),
            keep: _t("Leave the basket as it is"),
        });
    }

    /**
     * Take everything off an order whose goods become another order's.
     *
     * @param {Object} order
     * @returns {Promise<boolean>} whether it carries nothing any more
     */
    async mayDissolve(order) {
        await this.ensure(order);
        // Also what closes no basket: it is gone at the engine.
        const spent = this._all(order).filter(isSpent);
        if (spent.length && !(await this._askAboutSpent(order, spent))) {
            return false;
        }
        const held = this._all(order).filter(isOnOrder);
        if (held.length) {
            if (!(await this._release(order, held))) {
                return false;
            }
            this.notify(
                _t("Taken off, as the order becomes another: %s", held.map(nameInWords).join(", "))
            );
        }
        const isFree = !this._hasClaims(order);
        if (!isFree) {
            this.notify(
                _t("Vouchers and points of this order are not known here: open it first."),
                "danger"
            );
        }
        return isFree;
    }

    // --- The member leaves ---

    /**
     * Take off what belongs to a member who is no longer the order's.
     *
     * @param {Object} order
     * @param {string} ref the engine's id of the member who is there now; "" = none
     */
    async onMemberChanged(order, ref) {
        const others = this._all(order).filter(
            (item) => item.state === "held" && item.member_ref && item.member_ref !== ref
        );
        if (others.length && !this.whyNot(order) && (await this._release(order, others))) {
            this.notify(
                _t("Taken off, as the member is another: %s", others.map(nameInWords).join(", "))
            );
        }
    }

    /** Whether something is on an order that only its member may have. */
    holdsForMember(order) {
        return this._all(order).some((item) => isOnOrder(item) && item.member_ref);
    }

    /** Uuids of the points that are spent for an order: a balance may have them or not. */
    spentPoints(order) {
        return this._all(order)
            .filter((item) => item.kind === "points" && isSpent(item))
            .map(({ uuid }) => uuid);
    }

    /** Why the member of an order has to stay, or "". */
    whyMemberStays(order) {
        if (this.isBusy(order)) {
            return this.whyNot(order);
        }
        const isNeeded = this._all(order).some((item) => isSpent(item) && item.member_ref);
        return isNeeded ? _t("Something of this member was already redeemed for this order.") : "";
    }

    // --- The order is deleted ---

    /** An order is to be deleted: asked first where something was redeemed for it. */
    async isDeletionMeant(order) {
        await this._know(order);
        const spent = order.finalized ? [] : this._all(order).filter(isSpent);
        return (
            !spent.length ||
            this._mayLose(spent, {
                title: _t("Already redeemed. Delete the order?"),
                confirm: _t("Delete the order"),
                keep: _t("Keep the order"),
            })
        );
    }

    /**
     * Ask whether an order may be deleted.
     *
     * @param {Object} order
     * @returns {Promise<boolean>}
     */
    async mayDelete(order) {
        if (order.finalized || !this._mayHaveRedemptions(order)) {
            return true;
        }
        if (this.isBusy(order)) {
            this.notify(this.whyNot(order));
            return false;
        }
        const answer = await this._during(order, { kind: "remove" }, () => this._abandon(order));
        if (answer.status === "done") {
            this.abandoned.add(order.uuid);
            return true;
        }
        const isAtPayment = answer.status === "at_payment";
        // Holds end by themselves.
        if (!isAtPayment && !answer.mayHaveSpent) {
            return true;
        }
        this.pos.dialog.add(AlertDialog, {
            title: _t("This order can't be deleted now"),
            body: isAtPayment
                ? holdInWords(answer)
                : _t(
                      "Vouchers or points were redeemed for it, and the server can't be told that they are to be given back. %s",
                      holdInWords(answer)
                  ),
        });
        return false;
    }

    /** What an order has is off it before it is given up: it may stay, if Odoo can't delete it. */
    async _abandon(order) {
        const trouble = await this._know(order);
        const mayHaveSpent = this._mayHaveSpent(order);
        if (trouble && mayHaveSpent) {
            return { ...trouble, mayHaveSpent };
        }
        const answer = await this._takeOff(
            order,
            this._all(order).filter((item) => isOnOrder(item) || isSent(item)),
            () => this.service.abandon(order.uuid)
        );
        return { ...answer, mayHaveSpent };
    }

    /**
     * An order is removed without anybody having asked: only what surely has nothing spent.
     *
     * @param {Object} order
     * @returns {boolean}
     */
    mayRemove(order) {
        if (order.finalized || this.abandoned.has(order.uuid) || !this._mayHaveRedemptions(order)) {
            return true;
        }
        if (this._mayHaveSpent(order)) {
            this.notify(
                _t("An order for which something was redeemed can only be deleted by hand."),
                "danger"
            );
            return false;
        }
        this.service.abandon(order.uuid);
        return true;
    }

    onRemoved(order) {
        browser.clearTimeout(this.renewals.get(order.uuid)?.timer);
        for (const memory of [this.renewals, this.known, this.unasked, this.abandoned]) {
            memory.delete(order.uuid);
        }
    }

    _mayHaveRedemptions(order) {
        return (
            this._all(order).some((item) => isOnOrder(item) || item.state === "unknown") ||
            this._hasClaims(order)
        );
    }

    /** Whether lines or payments of an order stand for a redemption. */
    _hasClaims(order) {
        return (
            order.loyaltyEngineDiscountLines.length > 0 ||
            order.payment_ids.some((payment) => payment.loyalty_engine_redemption)
        );
    }

    _mayHaveSpent(order) {
        return (
            this._all(order).some(
                (item) => item.state !== "held" && (isOnOrder(item) || item.state === "unknown")
            ) ||
            // Of another till's order this one may know nothing.
            (!this.known.has(order.uuid) && this._hasClaims(order))
        );
    }

    // --- Paid ---

    /** What this basket gave no right to becomes free again. Nobody waits for it. */
    letGo(order) {
        const idle = this._all(order).filter(
            ({ state, isSetAside, isTakenOff }) => state === "held" || isSetAside || isTakenOff
        );
        if (idle.length) {
            this.service.release(
                order.uuid,
                idle.map(({ uuid }) => uuid)
            );
        }
    }

    /**
     * Know the redemptions of a paid order, for its receipt. Waits half a second at most.
     *
     * @param {Object} order
     */
    async readReceipt(order) {
        const isWanted =
            order.finalized && order.isSynced && !this._all(order).length && this._hasClaims(order);
        if (isWanted) {
            const answer = await this.service.redemptions(order.uuid, { isForReceipt: true });
            if (answer.status === "found") {
                order.uiState.loyaltyEngine.redemptions = answer.redemptions;
            }
        }
    }

    // --- Codes that nothing in the shop has ---

    /**
     * Try a scanned code as a voucher: one that no product and no member has. Not one that looks
     * like a product's (a GTIN with its right check digit): the shop merely lacks that product, and
     * the engine must not be asked for every such scan.
     *
     * @param {Object} order
     * @param {string} code
     * @returns {Promise<{status: string} | null>} null = not tried
     */
    offer(order, code) {
        return this.offersVouchers(order) && !isReturn(order) && !isGtin(code)
            ? this.addVoucher(order, { code }, { isSilent: true })
            : null;
    }

    // --- Windows ---

    openVouchers(order) {
        const words = this.whyNotAdd(order);
        if (words) {
            return this.notify(words);
        }
        this.pos.dialog.add(VoucherPopup, { order, desk: this });
    }

    openPoints(order) {
        const words = this.whyNotAdd(order);
        if (words) {
            return this.notify(words);
        }
        this.pos.dialog.add(PointsPopup, { order, desk: this });
    }

    openExplanation(order) {
        this.pos.dialog.add(DiscountsPopup, { order });
    }

    notify(words, type = "warning") {
        this.pos.notification.add(words, { type });
    }

    // --- One thing at a time ---

    /**
     * Do one thing with an order, while everything else about it waits.
     *
     * @template T
     * @param {Object} order
     * @param {{kind: "add" | "remove" | "look" | "spend", of?: number}} step
     * @param {() => Promise<T>} work
     * @returns {Promise<T>}
     */
    _during(order, { kind, of = 1 }, work) {
        const state = order.uiState.loyaltyEngine;
        state.step = { kind, of, done: 0 };
        const close = this.pos.env.services.overlay.add(
            RedeemingOverlay,
            { order },
            { sequence: 100 }
        );
        const run = work().finally(() => {
            this.steps.delete(order.uuid);
            state.step = null;
            close();
        });
        // Who waits for the step wants to know when it is over, not how it ended.
        this.steps.set(
            order.uuid,
            run.catch(() => {})
        );
        return run;
    }

    /**
     * Let the server have the order as it is. Waits 5 seconds at most.
     *
     * @returns {Promise<{status: string} | undefined>} why it has not
     */
    async _save(order) {
        if (order.isSynced && !order.isDirty()) {
            return;
        }
        let timer;
        const clock = new Promise((resolve) => {
            timer = browser.setTimeout(() => resolve({ status: "unsaved" }), SAVE_LIMIT);
        });
        try {
            return await Promise.race([this._sync(order), clock]);
        } finally {
            browser.clearTimeout(timer);
        }
    }

    async _sync(order) {
        try {
            await this.pos.syncAllOrders({ orders: [order], throw: true });
        } catch (error) {
            if (error instanceof ConnectionLostError) {
                return { status: "offline" };
            }
            if (error instanceof RPCError) {
                return { status: "unsaved" };
            }
            throw error;
        }
        if (!order.isSynced) {
            return { status: "unsaved" };
        }
    }

    /** An amount as the server reads it: a decimal number, to the cent. */
    _asText(order, amount) {
        return amount.toFixed(order.currency.decimal_places);
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

/** Points that come off the price and were not spent; what was left out is still held at the server. */
function isHeldPoints({ kind, booking, state, isSetAside }) {
    return kind === "points" && booking === "discount" && (state === "held" || isSetAside);
}

function isReturn(order) {
    return order.isRefund || order.getHasRefundLines();
}

/** Whether a code is a GTIN (EAN, UPC): 8, 12, 13 or 14 digits, the last of them the check digit. */
export function isGtin(code) {
    if (!/^(\d{8}|\d{12,14})$/.test(code)) {
        return false;
    }
    const sum = [...code]
        .reverse()
        .reduce((total, digit, place) => total + Number(digit) * (place % 2 ? 3 : 1), 0);
    return sum % 10 === 0;
}

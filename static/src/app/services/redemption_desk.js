import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { NumberPopup } from "@point_of_sale/app/components/popups/number_popup/number_popup";
import { ask, makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { openPopup } from "@pos_loyalty_engine/app/utils/popups";
import { saveOrder } from "@pos_loyalty_engine/app/utils/save_order";
import { UNSURE } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import {
    closesBasket,
    holdInWords,
    isOnOrder,
    isSent,
    isSpent,
    nameInWords,
    untoldInWords,
} from "@pos_loyalty_engine/app/utils/redemption_words";

/**
 * Vouchers and points of an order: added and taken off, and what else may be done with an order that
 * has some.
 *
 * The server keeps the ledger, and decides. For an order of which this page knows that it
 * has no redemptions, nothing here asks, waits or changes anything.
 */
export class RedemptionDesk {
    /** @param {import("./redemption_book").RedemptionBook} book */
    constructor(book) {
        this.book = book;
        this.pos = book.pos;
        this.service = book.service;
        this.steps = book.steps;
        // Uuids of the orders that may be deleted: the server has agreed
        this.abandoned = new Set();
    }

    // --- What may be done ---

    get connection() {
        return this.pos.config._loyalty_engine;
    }

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
        if (order.loyaltyEngineIsBusy) {
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

    // --- Add and take off ---

    /**
     * Hold a voucher for an order.
     *
     * @param {Object} order
     * @param {{code?: string, benefit?: string, isGuess?: boolean}} voucher the code as scanned or
     *  typed, or the engine's id of a voucher in the wallet; `isGuess`: nobody says that it is one
     * @param {Object} [options]
     * @param {boolean} [options.isSilent] the caller tells the cashier the result
     * @returns {Promise<{status: string}>} "held", or why not: see `holdInWords`
     */
    addVoucher(order, voucher, { isSilent = false } = {}) {
        return this._add(order, isSilent, () =>
            this.service.holdVoucher(order.uuid, { ...voucher, ...this.memberOf(order) })
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
        const due = order.loyaltyEngineDecimal(this.dueForPoints(order));
        return this._add(order, isSilent, () =>
            this.service.holdPoints(order.uuid, { ...wanted, ...this.memberOf(order), due })
        );
    }

    /** What points can pay of an order: those that it holds would be replaced. */
    dueForPoints(order) {
        const held = order.loyaltyEngineRedemptions.filter(isHeldPoints);
        return order.currency.round(
            held.reduce((due, item) => due + item.worth, Math.max(0, order.totalDue))
        );
    }

    memberOf(order) {
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
            : await this.steps.during(order, { kind: "add" }, () => this._hold(order, hold));
        if (answer.status === "held") {
            await this._addProducts(order, answer.redemption);
        }
        if (!isSilent && answer.status !== "held") {
            this.notify(holdInWords(answer));
        }
        return answer;
    }

    async _hold(order, hold) {
        const trouble = (await this.book.know(order)) || (await saveOrder(this.pos, order));
        if (trouble) {
            return trouble;
        }
        const answer = await hold();
        if (UNSURE.has(answer.status)) {
            // It may be held all the same: then it is shown, and can be taken off.
            await this.book.look(order);
        }
        if (answer.status !== "held") {
            return answer;
        }
        const { redemption } = answer;
        this.book.known.add(order.uuid);
        if (order.finalized || order.loyaltyEnginePaymentTaken) {
            this.service.release(order.uuid, [redemption.uuid]);
            return { status: "stopped", words: this.whyNotAdd(order) };
        }
        // The server holds points once for an order.
        const isReplaced = (item) => redemption.kind === "points" && isHeldPoints(item);
        this.book.set(
            order,
            [
                ...this.book
                    .all(order)
                    .filter((item) => item.uuid !== redemption.uuid && !isReplaced(item)),
                redemption,
            ],
            { take: [redemption.uuid] }
        );
        return answer;
    }

    /** Add what a voucher is for, where that is to be added: as if the cashier had tapped it. */
    async _addProducts(order, { discounts }) {
        for (const product of order.loyaltyEngineToAdd(discounts || [])) {
            const values = { product_tmpl_id: product.product_tmpl_id, product_id: product };
            // Other modules follow what is added to the current order: courses, rewards.
            await (order.uuid === this.pos.selectedOrderUuid
                ? this.pos.addLineToCurrentOrder(values)
                : this.pos.addLineToOrder(values, order));
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
        this.book.set(
            order,
            this.book
                .all(order)
                .map((item) => (item.uuid === redemption.uuid ? { ...item, ...change } : item)),
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
            return this.book.set(
                order,
                this.book.all(order).filter(({ uuid }) => uuid !== redemption.uuid),
                { drop: [redemption.uuid] }
            );
        }
        const words = this.whyNot(order);
        if (words) {
            return this.notify(words);
        }
        if (isSpent(redemption)) {
            return this.askAboutSpent(order, [redemption]);
        }
        return this._release(order, [redemption]);
    }

    /** @returns {Promise<boolean>} whether they are off the order */
    async _release(order, redemptions) {
        const answer = await this.steps.during(order, { kind: "remove" }, () =>
            this.takeOff(order, redemptions, (uuids) => this.service.release(order.uuid, uuids))
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
    async takeOff(order, redemptions, tell) {
        const uuids = redemptions.map(({ uuid }) => uuid);
        const mustBeTold = redemptions.some(isSent);
        if (mustBeTold && this.service.isOffline()) {
            return { status: "offline", isOff: false };
        }
        const { closedBasket, dropped } = order.uiState.loyaltyEngine;
        const before = this.book.all(order);
        const claims = order.payment_ids
            .filter((payment) => uuids.includes(payment.loyalty_engine_redemption))
            .map((payment) => order.takeOffLoyaltyEngineClaim(payment));
        this.book.set(order, before, { drop: uuids });
        // Nor must the server find them on its draft any more, should this till die.
        const trouble = await saveOrder(this.pos, order);
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
            this.book.set(order, before, { take: uuids.filter((uuid) => !dropped.includes(uuid)) });
        } else if (answer.redemptions) {
            this.book.set(order, answer.redemptions);
        }
        return { ...answer, isOff: !isRefused };
    }

    /** A choice, not a mishap: what was spent may not come back. */
    async askAboutSpent(order, redemptions, wording = {}) {
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

    // --- The basket is closed ---

    /** Whether the basket of an order can't simply be changed. Nothing to wait for. */
    guardsBasket(order) {
        return Boolean(
            order && !order.finalized && (order.loyaltyEngineIsBusy || order.loyaltyEngineIsClosed)
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
        await this.steps.running(order);
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
        if (order.loyaltyEngineHasOtherGoods) {
            // How else could it be put right? Before it is paid the gate looks again.
            return true;
        }
        return this.askAboutSpent(order, this.book.all(order).filter(closesBasket), {
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
        await this.book.know(order);
        // Also what closes no basket: it is gone at the engine.
        const spent = this.book.all(order).filter(isSpent);
        if (spent.length && !(await this.askAboutSpent(order, spent))) {
            return false;
        }
        const held = this.book.all(order).filter(isOnOrder);
        if (held.length) {
            if (!(await this._release(order, held))) {
                return false;
            }
            this.notify(
                _t("Taken off, as the order becomes another: %s", held.map(nameInWords).join(", "))
            );
        }
        const isFree = !this.book.hasClaims(order);
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
        const others = this.book
            .all(order)
            .filter((item) => item.state === "held" && item.member_ref && item.member_ref !== ref);
        if (others.length && !this.whyNot(order) && (await this._release(order, others))) {
            this.notify(
                _t("Taken off, as the member is another: %s", others.map(nameInWords).join(", "))
            );
        }
    }

    /** Whether something is on an order that only its member may have. */
    holdsForMember(order) {
        return this.book.all(order).some((item) => isOnOrder(item) && item.member_ref);
    }

    /** Uuids of the points that are spent for an order: a balance may have them or not. */
    spentPoints(order) {
        return this.book
            .all(order)
            .filter((item) => item.kind === "points" && isSpent(item))
            .map(({ uuid }) => uuid);
    }

    /** Why the member of an order has to stay, or "". */
    whyMemberStays(order) {
        if (order.loyaltyEngineIsBusy) {
            return this.whyNot(order);
        }
        const isNeeded = this.book.all(order).some((item) => isSpent(item) && item.member_ref);
        return isNeeded ? _t("Something of this member was already redeemed for this order.") : "";
    }

    // --- The order is deleted ---

    /** An order is to be deleted: asked first where something was redeemed for it. */
    async isDeletionMeant(order) {
        await this.book.know(order);
        const spent = order.finalized ? [] : this.book.all(order).filter(isSpent);
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
        if (order.finalized || !this.book.mayHaveRedemptions(order)) {
            return true;
        }
        if (order.loyaltyEngineIsBusy) {
            this.notify(this.whyNot(order));
            return false;
        }
        const answer = await this.steps.during(order, { kind: "remove" }, () =>
            this._abandon(order)
        );
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
        const trouble = await this.book.know(order);
        const mayHaveSpent = this.book.mayHaveSpent(order);
        if (trouble && mayHaveSpent) {
            return { ...trouble, mayHaveSpent };
        }
        const answer = await this.takeOff(
            order,
            this.book.all(order).filter((item) => isOnOrder(item) || isSent(item)),
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
        if (
            order.finalized ||
            this.abandoned.has(order.uuid) ||
            !this.book.mayHaveRedemptions(order)
        ) {
            return true;
        }
        if (this.book.mayHaveSpent(order)) {
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
        this.book.onRemoved(order);
        this.abandoned.delete(order.uuid);
    }

    // --- Paid ---

    /** What this basket gave no right to becomes free again. Nobody waits for it. */
    letGo(order) {
        const idle = this.book
            .all(order)
            .filter(
                ({ state, isSetAside, isTakenOff }) => state === "held" || isSetAside || isTakenOff
            );
        if (idle.length) {
            this.service.release(
                order.uuid,
                idle.map(({ uuid }) => uuid)
            );
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
            ? this.addVoucher(order, { code, isGuess: true }, { isSilent: true })
            : null;
    }

    // --- Windows ---

    openVouchers(order) {
        const words = this.whyNotAdd(order);
        if (words) {
            return this.notify(words);
        }
        openPopup(this.pos, "VoucherPopup", { order, desk: this });
    }

    openPoints(order) {
        const words = this.whyNotAdd(order);
        if (words) {
            return this.notify(words);
        }
        openPopup(this.pos, "PointsPopup", { order, desk: this });
    }

    /**
     * @param {boolean} isAgain the one before was wrong
     * @returns {Promise<string | undefined>} a manager's PIN, as it was typed
     */
    askForPin(isAgain) {
        return makeAwaitable(this.pos.dialog, NumberPopup, {
            title: isAgain ? _t("The PIN was not right. Try again") : _t("Manager's PIN"),
            formatDisplayedValue: (typed) => typed.replace(/./g, "•"),
        });
    }

    openExplanation(order) {
        openPopup(this.pos, "DiscountsPopup", { order });
    }

    notify(words, type = "warning") {
        this.pos.notification.add(words, { type });
    }
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

import { _t } from "@web/core/l10n/translation";
import { formatCurrency } from "@web/core/currency";
import {
    isGone,
    isSpent,
    isTender,
    isUnclear,
} from "@pos_loyalty_engine/app/utils/redemption_words";
import { saveOrder } from "@pos_loyalty_engine/app/utils/save_order";

// Seconds: with less than that left of the step's limit, spending is not begun.
const LEAST_TO_SPEND = 1;

/**
 * Points as tender: taken for a payment line of an order, and given back with a return.
 *
 * A line claims the redemption that it stands for. It is held and then spent by one press, because
 * here the amount comes first; what else an order holds was spent before, by the gate before each payment.
 * The book keeps the redemptions of an order, the steps lock it meanwhile, and the gate knows what a
 * silent spend is.
 */
export class PointsPayment {
    /** @param {import("./payment_gate").PaymentGate} gate */
    constructor(gate) {
        this.gate = gate;
        this.pos = gate.pos;
        this.service = gate.service;
        this.steps = gate.steps;
        this.book = gate.book;
        this.desk = gate.desk;
    }

    /** Why nothing can be taken or given back with a line now, or "". */
    whyNot(order, payment) {
        const amount = payment.getAmount();
        if (order.finalized) {
            return _t("This sale is paid.");
        }
        if (this.desk.connection.points_booking !== "payment") {
            return _t("Points are no payment here. Tell the manager.");
        }
        if (order.loyaltyEngineIsBusy) {
            return _t("One moment: this order is being worked on.");
        }
        if (order.currency.isZero(amount)) {
            return _t("Type an amount first.");
        }
        if (this.service.isOffline()) {
            return _t("The till is offline: points can't be used now. Take another payment.");
        }
        const { remainingDue } = order;
        if (amount < 0) {
            return order.currency.round(remainingDue - amount) > 0
                ? _t(
                      "%s are left to pay back: no points go back for more.",
                      formatCurrency(Math.max(0, -remainingDue), order.currency.id)
                  )
                : "";
        }
        if (!payment.loyalty_engine_redemption && order.currency.round(amount - remainingDue) > 0) {
            return _t(
                "%s are left to pay: no points are taken for more.",
                formatCurrency(remainingDue, order.currency.id)
            );
        }
        const member = order.loyaltyEngineMember;
        if (!member) {
            return _t("Whose points? Scan the member's card, or type the code.");
        }
        return member.ref
            ? ""
            : _t("The member's code could not be checked yet. Check it, then try again.");
    }

    // --- Taking ---

    /**
     * Take points for a payment line: as many as its amount is worth, never for more. The amount is
     * corrected to what they are worth.
     *
     * @param {Object} order
     * @param {Object} payment
     * @param {Object} [wanted]
     * @param {number} [wanted.points] so many at most, instead of what the amount is worth
     * @param {string} [wanted.pin] of a manager
     * @returns {Promise<{status: string}>} "spent"; "unanswered" when nobody has told in time,
     *  "unclear" when nobody knows yet; "not_taken" with `reason`; or why nothing could be held: see
     *  `holdInWords`
     */
    take(order, payment, wanted = {}) {
        return this.steps.during(order, { kind: "add" }, () => this._take(order, payment, wanted));
    }

    async _take(order, payment, { points, pin = "" }) {
        const started = Date.now();
        const earlier = await this._takeUp(order, payment);
        if (earlier) {
            return earlier;
        }
        const amount = order.loyaltyEngineDecimal(payment.getAmount());
        // This line's own amount is not paid yet.
        const due = order.loyaltyEngineDecimal(order.remainingDue);
        const answer = await this.service.holdPoints(order.uuid, {
            ...this.desk.memberOf(order),
            ...(points === undefined ? { amount } : { points }),
            due,
            pin,
        });
        if (answer.status !== "held") {
            // It may be held all the same: a hold that nothing claims ends by itself, or with the
            // next one for this order.
            return answer;
        }
        const { redemption } = answer;
        // One limit for all that one press does, and nothing was asked to be spent yet.
        const waited = () => (Date.now() - started) / 1000;
        const isTooLate = () => waited() > this.service.spendLimit - LEAST_TO_SPEND;
        if (isTooLate()) {
            this.service.release(order.uuid, [redemption.uuid]);
            return tookTooLong();
        }
        if (!isTender(redemption)) {
            this.service.release(order.uuid, [redemption.uuid]);
            return { status: "off" };
        }
        this._claim(payment, redemption);
        this.book.set(
            order,
            [...this.book.all(order).filter(({ uuid }) => uuid !== redemption.uuid), redemption],
            { take: [redemption.uuid] }
        );
        // The server must know what the line claims before anything is taken: a page that is loaded
        // again has the order as the server has it.
        const trouble = await saveOrder(this.pos, order);
        if (trouble) {
            this._unclaim(payment);
            this.drop(order, redemption.uuid);
            return trouble;
        }
        if (isTooLate()) {
            this._unclaim(payment);
            this.drop(order, redemption.uuid);
            return tookTooLong();
        }
        order.uiState.loyaltyEngine.step.kind = "spend";
        return this._spend(order, payment, redemption, waited());
    }

    async _spend(order, payment, redemption, waited) {
        const list = await this.gate.askToSpend(order, [redemption], waited);
        this.book.set(order, list);
        const item = list.find(({ uuid }) => uuid === redemption.uuid);
        if (item && isSpent(item) && !item.is_dropped) {
            return this._adopt(order, payment, item);
        }
        if (item && isUnclear(item)) {
            // The claim stays with the line: who tries it again asks what came of it.
            return unclear(item);
        }
        this._unclaim(payment);
        this.drop(order, redemption.uuid);
        return { status: "not_taken", reason: item?.reason || "" };
    }

    /**
     * What came of an earlier attempt of this line; or points that were taken for this order and that
     * no line claims, because the till died or the order came from another one.
     *
     * @returns {Promise<{status: string} | null>} null = nothing is in the way of taking points
     */
    async _takeUp(order, payment) {
        const isKnown = !payment.loyalty_engine_redemption && this.book.known.has(order.uuid);
        const all = this.book.all(order);
        if (isKnown && !this._unclaimed(order, all) && !all.some((item) => item.isTakenOff)) {
            return null;
        }
        const answer = await this.book.ask(order);
        if (!answer.redemptions) {
            return answer;
        }
        this.book.known.add(order.uuid);
        this.book.set(order, answer.redemptions);
        const claim = payment.loyalty_engine_redemption;
        const item = claim
            ? answer.redemptions.find(({ uuid }) => uuid === claim)
            : this._unclaimed(order, this.book.all(order));
        if (item && !isGone(item)) {
            if (isSpent(item)) {
                return this._adopt(order, payment, item);
            }
            if (isUnclear(item)) {
                return unclear(item);
            }
        }
        this._unclaim(payment);
        return null;
    }

    _unclaimed(order, redemptions) {
        const claims = new Set(order.payment_ids.map((line) => line.loyalty_engine_redemption));
        return redemptions.find(
            (item) => isTender(item) && isSpent(item) && !isGone(item) && !claims.has(item.uuid)
        );
    }

    /** The points are taken: the line stands for them, and for no more than they pay. */
    _adopt(order, payment, item) {
        const amount = Number(item.frozen_amount ?? item.amount);
        if (order.currency.round(amount - order.remainingDue) > 0) {
            return {
                status: "stopped",
                words: _t(
                    "Points worth %(worth)s were taken for this order already, and %(due)s are left to pay. Remove the line: the points go back to the member.",
                    {
                        worth: formatCurrency(amount, order.currency.id),
                        due: formatCurrency(order.remainingDue, order.currency.id),
                    }
                ),
            };
        }
        this._claim(payment, { ...item, amount });
        order.uiState.loyaltyEngine.tender[payment.uuid] = {
            amount,
            loyalty_engine_redemption: item.uuid,
            loyalty_engine_points: item.points,
            payment_status: "done",
        };
        return { status: "spent" };
    }

    _claim(payment, { uuid, points, amount }) {
        payment.setAmount(Number(amount));
        payment.update({ loyalty_engine_redemption: uuid, loyalty_engine_points: points });
    }

    _unclaim(payment) {
        payment.update({ loyalty_engine_redemption: false, loyalty_engine_points: 0 });
    }

    // --- Taken back before the sale is paid ---

    /**
     * Undo a line that is done: the points go back.
     *
     * @returns {Promise<{status: string, isOff: boolean}>} "done", or why the server has not said so;
     *  `isOff` false = the line is as it was
     */
    undo(order, payment) {
        return this.steps.during(order, { kind: "remove" }, async () => {
            const claim = payment.loyalty_engine_redemption;
            if (!claim) {
                return { status: "done", isOff: true };
            }
            const trouble = await this.book.know(order);
            if (trouble) {
                return { ...trouble, isOff: false };
            }
            // Of a line that is done the points are spent, whatever else is known of them.
            const item = this.book.all(order).find(({ uuid }) => uuid === claim);
            return this.desk.takeOff(order, [item || { uuid: claim, state: "spent" }], (uuids) =>
                this.service.release(order.uuid, uuids)
            );
        });
    }

    /**
     * Let go of what a line claimed that isn't there any more. Nobody waits for it: what the server
     * is not told is given back once the order is paid without it.
     *
     * @param {Object} order
     * @param {string} redemptionUuid
     */
    drop(order, redemptionUuid) {
        this.book.set(
            order,
            this.book.all(order).filter(({ uuid }) => uuid !== redemptionUuid),
            { drop: [redemptionUuid] }
        );
        this.service.release(order.uuid, [redemptionUuid]);
    }

    /**
     * What became of a line that was being worked on when its page was left.
     *
     * @returns {Promise<{status: string} | null>} as `take`; null = nothing was taken
     */
    resume(order, payment) {
        return this.steps.during(order, { kind: "look" }, () => this._takeUp(order, payment));
    }

    /**
     * The server's answer to a sync replaces the whole order, and with it a payment that was taken in
     * the meantime.
     */
    restore(order) {
        if (order.finalized) {
            return;
        }
        const { tender, dropped } = order.uiState.loyaltyEngine;
        for (const payment of order.payment_ids) {
            if (dropped.includes(payment.loyalty_engine_redemption)) {
                // Let go of because storing it took too long: by now it is stored.
                this._unclaim(payment);
                payment.setPaymentStatus("retry");
                continue;
            }
            const values = tender[payment.uuid];
            if (values && payment.loyalty_engine_redemption !== values.loyalty_engine_redemption) {
                payment.update(values);
            }
        }
    }

    // --- Giving back with a return ---

    /**
     * Let a line of a return give points back, as far as the sale was paid with points. They move
     * once the return is paid.
     *
     * @returns {Promise<{status: string, isLess?: boolean}>} "spent", `isLess` when it is less than
     *  the line had; "nothing" where the sale has no points left; or a trouble
     */
    giveBack(order, payment) {
        return this.steps.during(order, { kind: "look" }, async () => {
            const sold = [
                ...new Set(
                    order.lines
                        .map((line) => line.refunded_orderline_id?.order_id?.uuid)
                        .filter(Boolean)
                ),
            ];
            if (!sold.length) {
                return { status: "nothing" };
            }
            const { currency } = order;
            const promised = order.payment_ids
                .filter((line) => line !== payment && line.isLoyaltyEnginePoints)
                .reduce(
                    (sum, line) => sum - (line.loyalty_engine_points ? line.getAmount() : 0),
                    0
                );
            const asked = -payment.getAmount();
            const answer = await this.service.refundTerms(sold, {
                amount: order.loyaltyEngineDecimal(asked),
                promised: order.loyaltyEngineDecimal(promised),
            });
            if (answer.status !== "found") {
                return answer;
            }
            const amount = Number(answer.amount);
            if (currency.isZero(amount) || !answer.points) {
                return { status: "nothing" };
            }
            payment.setAmount(-amount);
            payment.update({ loyalty_engine_points: -answer.points });
            return { status: "spent", isLess: currency.round(asked - amount) > 0 };
        });
    }
}

function tookTooLong() {
    return {
        status: "stopped",
        words: _t("That took too long, and no points were taken. Try again, or go on without."),
    };
}

/** Whether points were taken is not known: for want of an answer, or because that was the answer. */
function unclear({ state, isUnanswered }) {
    return { status: isUnanswered || state === "spending" ? "unanswered" : "unclear" };
}

import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { formatCurrency } from "@web/core/currency";
import { ask } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { PaymentInterface } from "@point_of_sale/app/utils/payment/payment_interface";
import { register_payment_method } from "@point_of_sale/app/services/pos_store";
import { formatPoints } from "@pos_loyalty_engine/app/utils/member_words";
import { holdInWords, untoldInWords } from "@pos_loyalty_engine/app/utils/redemption_words";

/**
 * Points of a member as a payment, as the payment screen knows terminals. It asks and tells; what is
 * done is done by `PointsPayment`.
 */
export class PaymentLoyaltyEngine extends PaymentInterface {
    setup() {
        super.setup(...arguments);
        this.supports_reversals = true;
        // By payment uuid: the request that runs, as a promise
        this.requests = new Map();
    }

    /** The amount comes first. */
    get fastPayments() {
        return false;
    }

    /** Null where no connection is set. */
    get points() {
        return this.pos.loyaltyEnginePointsPayment;
    }

    _payment(uuid) {
        return this.pos.models["pos.payment"].getBy("uuid", uuid);
    }

    // --- Send ---

    sendPaymentRequest(uuid) {
        super.sendPaymentRequest(...arguments);
        if (!this.requests.has(uuid)) {
            this.requests.set(
                uuid,
                this._request(this._payment(uuid)).finally(() => this.requests.delete(uuid))
            );
        }
        return this.requests.get(uuid);
    }

    /** @returns {Promise<boolean>} whether the line is done */
    async _request(payment) {
        const order = payment.pos_order_id;
        payment.setLoyaltyEngineWords("");
        const words = this.points
            ? this.points.whyNot(order, payment)
            : holdInWords({ status: "not_configured" });
        if (words) {
            return this._refuse(payment, words);
        }
        try {
            return payment.getAmount() < 0
                ? await this._giveBack(order, payment)
                : this._conclude(payment, await this._take(order, payment));
        } catch (error) {
            // Otherwise no terminal could be used any more.
            payment.setPaymentStatus("retry");
            this.pos.paymentTerminalInProgress = false;
            throw error;
        }
    }

    /** Take points, with what the cashier has to say to it. */
    async _take(order, payment) {
        const wanted = {};
        for (;;) {
            const answer = await this.points.take(order, payment, wanted);
            if (answer.status === "needs_pin") {
                wanted.pin = await this.points.desk.askForPin(Boolean(wanted.pin));
                if (!wanted.pin) {
                    return { status: "stopped", words: _t("This takes the manager's PIN.") };
                }
            } else if (answer.status === "too_many" && answer.available > 0 && !wanted.points) {
                if (!(await this._askForLess(payment, answer.available))) {
                    return answer;
                }
                wanted.points = answer.available;
            } else {
                return answer;
            }
            if (order.finalized || !order.payment_ids.includes(payment)) {
                return { status: "stopped", words: _t("This sale is paid.") };
            }
        }
    }

    _askForLess(payment, available) {
        return ask(this.pos.dialog, {
            title: _t("Not enough points"),
            body: _t(
                "Only %(available)s points are available. Take these, and the rest otherwise?",
                {
                    available: formatPoints(available),
                }
            ),
            confirmLabel: _t("Take these"),
            cancelLabel: _t("Take none"),
        });
    }

    _conclude(payment, answer) {
        switch (answer?.status) {
            case "spent":
                return true;
            case "unanswered":
                return this._refuse(
                    payment,
                    _t(
                        "No answer came in time. Try again to ask whether the points were taken; or remove the line and take another payment: then they come back by themselves."
                    ),
                    _t("No answer in time")
                );
            case "unclear":
                return this._refuse(
                    payment,
                    _t(
                        "Nobody knows yet whether the points were taken. Remove the line and take another payment: then they come back by themselves."
                    ),
                    _t("Not known yet")
                );
            case "not_taken":
                return this._refuse(
                    payment,
                    answer.reason
                        ? _t("No points were taken: %s", answer.reason)
                        : _t("No points were taken.")
                );
            case "unknown":
                return this._refuse(payment, _t("The Loyalty Engine doesn't know this member."));
            default:
                return this._refuse(payment, holdInWords(answer || {}));
        }
    }

    _refuse(payment, words, title = _t("Points")) {
        payment.setLoyaltyEngineWords(words);
        this.pos.dialog.add(AlertDialog, { title, body: words });
        return false;
    }

    // --- A return ---

    async _giveBack(order, payment) {
        const answer = await this.points.giveBack(order, payment);
        if (answer.status === "nothing") {
            return this._refuse(
                payment,
                _t("No points are left of what was returned: pay it back otherwise.")
            );
        }
        if (answer.status !== "spent") {
            return this._refuse(payment, holdInWords(answer));
        }
        if (answer.isLess) {
            this.pos.notification.add(
                _t(
                    "Only %s of this sale was paid with points: pay the rest back otherwise.",
                    formatCurrency(-payment.getAmount(), order.currency.id)
                ),
                { type: "warning" }
            );
        }
        return true;
    }

    // --- Undo ---

    /** Called for a line that waits. What was held for it becomes free, what was taken comes back. */
    async sendPaymentCancel(order, uuid) {
        super.sendPaymentCancel(...arguments);
        await this.requests.get(uuid);
        return true;
    }

    async sendPaymentReversal(uuid) {
        super.sendPaymentReversal(...arguments);
        const payment = this._payment(uuid);
        const order = payment.pos_order_id;
        if (!this.points || order.loyaltyEngineIsBusy) {
            return false;
        }
        const answer = await this.points.undo(order, payment);
        if (answer.isOff) {
            payment.setLoyaltyEngineWords("");
            if (answer.status !== "done") {
                this.pos.notification.add(untoldInWords(), { type: "warning" });
            }
            return true;
        }
        this.pos.dialog.add(AlertDialog, {
            title: _t("The points could not be given back"),
            body: _t("%s Nothing was changed: try again.", holdInWords(answer)),
        });
        return false;
    }

    /** A line was removed with what it claimed. */
    onRemoved(order, redemptionUuid) {
        this.points?.drop(order, redemptionUuid);
    }

    // --- A page that was left ---

    /**
     * Find out what became of the lines that were being worked on when the page was left.
     *
     * @param {Object} order
     */
    async resume(order) {
        for (const payment of [...order.payment_ids]) {
            const status = payment.getPaymentStatus();
            const isLeft =
                payment.isLoyaltyEnginePoints &&
                ["waiting", "waitingCancel", "reversing"].includes(status);
            if (!isLeft || this.requests.has(payment.uuid) || !this.points) {
                continue;
            }
            if (status === "reversing" && !payment.loyalty_engine_redemption) {
                order.removePaymentline(payment);
                continue;
            }
            const answer = await this.points.resume(order, payment);
            if (answer?.status === "spent") {
                payment.setPaymentStatus("done");
                continue;
            }
            payment.setPaymentStatus("retry");
            if (answer) {
                this._conclude(payment, answer);
            } else {
                payment.setLoyaltyEngineWords(_t("No points were taken."));
            }
        }
    }
}

register_payment_method("loyalty_engine", PaymentLoyaltyEngine);

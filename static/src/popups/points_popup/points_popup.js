import { Component, status, useEffect, useRef, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { Dialog } from "@web/core/dialog/dialog";
import { formatCurrency } from "@web/core/currency";
import { localization } from "@web/core/l10n/localization";
import { parseFloat } from "@web/views/fields/parsers";
import { registry } from "@web/core/registry";
import { roundPrecision } from "@web/core/utils/numbers";
import {
    BACKSPACE,
    DECIMAL,
    getButtons,
    Numpad,
    ZERO,
} from "@point_of_sale/app/components/numpad/numpad";
import { formatPoints } from "@pos_loyalty_engine/app/utils/member_words";
import { holdInWords } from "@pos_loyalty_engine/app/utils/redemption_words";

/** How many points a member spends on an order, typed as points or as money. */
export class PointsPopup extends Component {
    static template = "pos_loyalty_engine.PointsPopup";
    static components = { Dialog, Numpad };
    static props = { order: Object, desk: Object, close: Function };

    setup() {
        this.state = useState({
            // null = being fetched
            terms: null,
            trouble: "",
            typed: "",
            isMoney: false,
            words: "",
            isBusy: false,
        });
        this.inputRef = useRef("input");
        this.formatPoints = formatPoints;
        this.readTerms();
        useEffect(
            (input) => input?.focus(),
            () => [this.inputRef.el]
        );
    }

    async readTerms() {
        const { order, desk } = this.props;
        Object.assign(this.state, { terms: null, trouble: "" });
        const answer = await desk.service.pointsTerms(order.uuid, order.loyaltyEngineMember.ref);
        if (answer.status !== "found") {
            this.state.trouble = holdInWords(answer);
            return;
        }
        this.state.terms = { ...answer.terms, rate: Number(answer.terms.rate) };
    }

    // --- What the entry means ---

    get due() {
        return this.props.desk.dueForPoints(this.props.order);
    }

    /** The most points that can be spent, whatever the order costs. */
    get most() {
        const { available, max, step } = this.state.terms;
        return roundPrecision(Math.min(available, max || available), step || 1, "DOWN");
    }

    /** Points that pay for the whole order. */
    get toCover() {
        return this._pointsFor(this.due);
    }

    get canCover() {
        return this.toCover > 0 && this.toCover <= this.most;
    }

    /** "All" of them, as far as the order takes them. */
    get all() {
        return Math.max(0, Math.min(this.most, this.toCover));
    }

    get entered() {
        try {
            return this.state.typed ? parseFloat(this.state.typed) : 0;
        } catch {
            return NaN;
        }
    }

    get points() {
        return this.state.isMoney ? this._pointsFor(this.entered) : this.entered;
    }

    get money() {
        const { rate } = this.state.terms;
        if (this.state.isMoney) {
            return this.entered;
        }
        const unit = 10 ** this.props.order.currency.decimal_places;
        // As the server counts: a part of a cent is none, one that binary fractions lose is.
        return Math.min(Math.floor(this.points * rate * unit + 1e-6) / unit, this.due);
    }

    _pointsFor(money) {
        const { rate, step } = this.state.terms;
        return rate ? roundPrecision(money / rate, step || 1, "UP") : NaN;
    }

    /** Why the entry can't be spent, or "". */
    get objection() {
        const { available, min, step } = this.state.terms;
        const { points } = this;
        if (!Number.isFinite(points) || points < 0) {
            return _t("That is no number.");
        }
        if (!points) {
            return "";
        }
        if (points > available) {
            return _t("Only %s points are available.", formatPoints(available));
        }
        if (points > this.most) {
            return _t("%s points at most.", formatPoints(this.most));
        }
        if (points < min) {
            return _t("%s points at least.", formatPoints(min));
        }
        if (points > this.toCover) {
            return _t("%s points pay for this whole sale.", formatPoints(this.toCover));
        }
        if (step && Math.abs(points - roundPrecision(points, step)) > step / 1000) {
            return _t("Only in steps of %s points.", formatPoints(step));
        }
        return "";
    }

    get canConfirm() {
        return !this.state.isBusy && this.points > 0 && !this.objection;
    }

    // --- As texts ---

    format(amount) {
        return formatCurrency(amount, this.props.order.currency.id);
    }

    get rateInWords() {
        return _t("100 points = %s", this.format(100 * this.state.terms.rate));
    }

    get worthInWords() {
        return this.state.isMoney
            ? _t("= %s points", formatPoints(this.points))
            : `= ${this.format(this.money)}`;
    }

    get leftInWords() {
        return formatPoints(this.state.terms.available - this.points);
    }

    get entryTitle() {
        return this.state.isMoney ? _t("Amount") : _t("Points");
    }

    // --- Entering ---

    get padButtons() {
        return getButtons([DECIMAL, ZERO, BACKSPACE]);
    }

    onPad(value) {
        this.state.typed =
            value === "Backspace" ? this.state.typed.slice(0, -1) : this.state.typed + value;
        this.state.words = "";
        this.inputRef.el?.focus();
    }

    onKeydown(ev) {
        if (ev.key === "Enter") {
            ev.preventDefault();
            this.confirm();
        }
    }

    setMoney(isMoney) {
        if (this.state.isMoney !== isMoney) {
            Object.assign(this.state, { isMoney, typed: "", words: "" });
            this.inputRef.el?.focus();
        }
    }

    enter(points) {
        const typed = `${points}`.replace(".", localization.decimalPoint);
        Object.assign(this.state, { isMoney: false, typed, words: "" });
        this.inputRef.el?.focus();
    }

    async confirm() {
        if (!this.canConfirm) {
            return;
        }
        const { order, desk } = this.props;
        const wanted = this.state.isMoney
            ? { amount: this.money.toFixed(order.currency.decimal_places) }
            : { points: this.points };
        Object.assign(this.state, { isBusy: true, words: "" });
        let answer = await desk.addPoints(order, wanted, { isSilent: true });
        while (answer.status === "needs_pin") {
            const pin = await desk.askForPin(Boolean(wanted.pin));
            if (!pin) {
                break;
            }
            wanted.pin = pin;
            answer = await desk.addPoints(order, wanted, { isSilent: true });
        }
        const isHere = status(this) === "mounted";
        if (answer.status === "held") {
            return isHere && this.props.close();
        }
        if (!isHere) {
            return desk.notify(holdInWords(answer));
        }
        Object.assign(this.state, { isBusy: false, words: holdInWords(answer) });
    }
}

registry.category("lazy_components").add("PointsPopup", PointsPopup);

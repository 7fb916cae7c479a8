import { Component, onMounted, onWillStart, status, useRef, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { Dialog } from "@web/core/dialog/dialog";
import { formatCurrency } from "@web/core/currency";
import { registry } from "@web/core/registry";
import { holdInWords } from "@pos_loyalty_engine/app/utils/redemption_words";
import { useEveryScan } from "@pos_loyalty_engine/popups/scanner_hook";

const { DateTime } = luxon;

/** A field for a voucher's code, and below it the vouchers that the member has. */
export class VoucherPopup extends Component {
    static template = "pos_loyalty_engine.VoucherPopup";
    static components = { Dialog };
    static props = { order: Object, desk: Object, close: Function };

    setup() {
        this.state = useState({
            code: "",
            words: "",
            isBusy: false,
            // null = being fetched
            cards: null,
            isComplete: true,
            trouble: "",
        });
        this.inputRef = useRef("input");
        onWillStart(() => {
            this.readWallet();
        });
        // On a phone that would open the keyboard, over the cards.
        onMounted(() => this.env.isSmall || this.inputRef.el.focus());
        useEveryScan((code) => this.onScan(code));
    }

    get member() {
        return this.props.order.loyaltyEngineMember;
    }

    async readWallet() {
        if (!this.member?.ref) {
            this.state.cards = [];
            return;
        }
        Object.assign(this.state, { cards: null, trouble: "" });
        const { order, desk } = this.props;
        const answer = await desk.service.vouchers(this.member.ref, order.uuid);
        if (answer.status !== "found") {
            Object.assign(this.state, { cards: [], trouble: holdInWords(answer) });
            return;
        }
        this.state.isComplete = answer.isComplete;
        this.state.cards = answer.vouchers
            .map((voucher) => this._card(voucher))
            .sort((a, b) => Boolean(a.reason) - Boolean(b.reason) || b.amount - a.amount);
    }

    _card(voucher) {
        const { order } = this.props;
        const standing = voucherInWords(voucher);
        const worth =
            !standing && voucher.discounts
                ? order.loyaltyEngineWorth(voucher.discounts, voucher)
                : {
                      amount: 0,
                      reason: standing || voucherInWords({ state: "unreadable" }),
                      toAdd: [],
                  };
        const isUsable = Boolean(worth.amount || worth.toAdd.length);
        return {
            benefit: voucher.benefit,
            name: voucher.name,
            code: voucher.code,
            amount: worth.amount,
            worth: worth.amount ? formatCurrency(worth.amount, order.currency.id) : "",
            isRedeemed: voucher.is_redeemed,
            added: worth.toAdd.map(({ display_name }) => display_name).join(", "),
            reason: isUsable ? "" : worth.reason,
            expiry: voucher.expires_at
                ? DateTime.fromISO(voucher.expires_at).toLocaleString(DateTime.DATE_MED)
                : "",
        };
    }

    onScan(code) {
        this.state.code = code;
        // Not returned: the barcode reader waits for what a handler returns.
        this.confirm();
    }

    onKeydown(ev) {
        if (ev.key === "Enter") {
            ev.preventDefault();
            this.confirm();
        }
    }

    async confirm() {
        // A scanner may add a line end; whatever else is in a code belongs to it.
        const code = this.state.code.replace(/[\r\n]+$/, "");
        if (code.trim()) {
            await this._add({ code });
        }
    }

    async choose(card) {
        if (!card.reason) {
            await this._add({ benefit: card.benefit });
        }
    }

    async _add(voucher) {
        if (this.state.isBusy) {
            return;
        }
        Object.assign(this.state, { isBusy: true, words: "" });
        const answer = await this.props.desk.addVoucher(this.props.order, voucher, {
            isSilent: true,
        });
        const isHere = status(this) === "mounted";
        if (answer.status === "held") {
            return isHere && this.props.close();
        }
        if (!isHere) {
            return this.props.desk.notify(holdInWords(answer));
        }
        Object.assign(this.state, { isBusy: false, words: holdInWords(answer) });
        if (voucher.code || !this.env.isSmall) {
            this.inputRef.el.focus();
            this.inputRef.el.select();
        }
    }
}

/**
 * Why a voucher in the wallet can't be used, or "" if nothing stands against it.
 *
 * @param {import("../../app/services/loyalty_engine_service").Voucher} voucher
 */
function voucherInWords({ state, where }) {
    switch (state) {
        case "usable":
            return "";
        case "burned":
            return _t("Already used");
        case "expired":
            return _t("Expired");
        case "held":
            return where ? _t("In use at %s", where) : _t("In use at another till");
        case "on_order":
            return _t("Already on this order");
        case "other_currency":
            return _t("In another currency");
        case "other_venue":
            return _t("Not for this shop");
        default:
            return _t("Can't be read here");
    }
}

registry.category("lazy_components").add("VoucherPopup", VoucherPopup);

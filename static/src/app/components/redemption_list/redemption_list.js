import { Component, useEffect, useRef } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { formatCurrency } from "@web/core/currency";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import {
    isOnOrder,
    isSpent,
    isUnclaimed,
    isUnclear,
    nameInWords,
    stateInWords,
} from "@pos_loyalty_engine/app/utils/redemption_words";

/** What was applied to an order, a line each, and how far it is. */
export class RedemptionList extends Component {
    static template = "pos_loyalty_engine.RedemptionList";
    static props = { order: Object };

    setup() {
        this.pos = usePos();
        this.desk = this.pos.loyaltyEngineRedemptionDesk;
        const list = useRef("list");
        // Where there is no room for all, the one that was added last is seen.
        useEffect(
            () => {
                list.el.scrollTop = list.el.scrollHeight;
            },
            () => [this.props.order.uuid, this.props.order.loyaltyEngineShown.length]
        );
    }

    get rows() {
        const { order } = this.props;
        return order.loyaltyEngineShown.map((redemption) => {
            const { icon, color, words } = stateInWords(redemption);
            const worth = isOnOrder(redemption) ? order.loyaltyEngineValueOf(redemption) : 0;
            const isHeld = redemption.state === "held";
            const isIdle = (isHeld || isUnclaimed(redemption)) && order.currency.isZero(worth);
            return {
                redemption,
                icon: isIdle && isHeld ? "fa-pause-circle-o" : icon,
                color: isIdle ? "text-warning" : color,
                words: isIdle ? redemption.reason || _t("takes nothing off this basket") : words,
                // As it should be: a line is enough. What went wrong has all its words.
                isPlain: !isIdle && isOnOrder(redemption),
                name: nameInWords(redemption),
                code: redemption.code,
                worth: worth ? `− ${formatCurrency(worth, order.currency.id)}` : "",
                isUnclear: isUnclear(redemption),
                removal: this._removal(redemption),
            };
        });
    }

    /** What the button at the end of a line does, in a word; "" = there is none. */
    _removal(redemption) {
        const { order } = this.props;
        if (isUnclear(redemption) || order.finalized) {
            return "";
        }
        if (!isOnOrder(redemption)) {
            return _t("Dismiss");
        }
        if (order.loyaltyEnginePaymentTaken) {
            return "";
        }
        return isSpent(redemption) ? _t("Cancel the redemption") : _t("Take it off");
    }

    remove(redemption) {
        this.desk.remove(this.props.order, redemption);
    }

    putBack(redemption) {
        this.desk.putBack(this.props.order, redemption);
    }

    refresh() {
        this.desk.book.refresh(this.props.order);
    }
}

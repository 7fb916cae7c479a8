import { Component, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";

/** Says what is being done with an order, and catches what is clicked meanwhile. */
export class RedeemingOverlay extends Component {
    static template = "pos_loyalty_engine.RedeemingOverlay";
    static props = { order: Object };

    setup() {
        this.order = useState(this.props.order);
    }

    get step() {
        return this.order.uiState.loyaltyEngine.step;
    }

    get words() {
        switch (this.step?.kind) {
            case "spend":
                return this.step.of > 1
                    ? _t("Redeeming… %(now)s of %(all)s", {
                          now: Math.min(this.step.done + 1, this.step.of),
                          all: this.step.of,
                      })
                    : _t("Redeeming…");
            case "remove":
                return _t("Taking it off…");
            default:
                return _t("Checking…");
        }
    }
}

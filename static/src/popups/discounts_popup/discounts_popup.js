import { Component } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { registry } from "@web/core/registry";
import { formatCurrency } from "@web/core/currency";

/** How the discounts of an order were calculated, step by step. */
export class DiscountsPopup extends Component {
    static template = "pos_loyalty_engine.DiscountsPopup";
    static components = { Dialog };
    static props = { order: Object, close: Function };

    get steps() {
        return this.props.order.loyaltyEngineExplanation;
    }

    format(amount) {
        return formatCurrency(amount, this.props.order.currency.id);
    }
}

registry.category("lazy_components").add("DiscountsPopup", DiscountsPopup);

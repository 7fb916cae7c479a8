import { patch } from "@web/core/utils/patch";
import { Orderline } from "@point_of_sale/app/components/orderline/orderline";

patch(Orderline.prototype, {
    /** A discount is no goods: it has no price a unit, and needs no second line for that. */
    get lineScreenValues() {
        const values = super.lineScreenValues;
        return this.line.isLoyaltyEngineDiscount ? { ...values, displayPriceUnit: "" } : values;
    },
});

import { patch } from "@web/core/utils/patch";
import { OrderDisplay } from "@point_of_sale/app/components/order_display/order_display";
import { discountsLast } from "@pos_loyalty_engine/app/utils/discount_line";

// On the screen and on the receipt discounts stand below what they are on.
patch(OrderDisplay.prototype, {
    get comboSortedLines() {
        return discountsLast(super.comboSortedLines);
    },
});

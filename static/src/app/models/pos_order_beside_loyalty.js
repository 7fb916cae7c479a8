import { patch } from "@web/core/utils/patch";
import { isDiscountLine, isPaying } from "@pos_loyalty_engine/app/utils/discount_line";
import { PosOrder } from "@point_of_sale/app/models/pos_order";

/** The same order for who counts its lines, with other ones in their place. */
const withLines = (order, lines, others = {}) =>
    Object.create(order, { getOrderlines: { value: () => lines }, ...others });

/** The same order without discounts of ours: what is left of it, and what that costs. */
function withoutDiscounts(order) {
    const taken = order.loyaltyEngineDiscountLines.reduce(
        (sum, line) => sum + line.prices.total_included,
        0
    );
    const goods = order.getOrderlines().filter((line) => !isDiscountLine(line));
    return withLines(order, goods, {
        priceIncl: { value: order.currency.round(order.priceIncl - taken) },
    });
}

// Of pos_loyalty, where that is installed. It takes each line for a product, with a quantity and a
// price that may be the lowest of all: a discount of ours is none. Its discounts are on the goods, ours
// take what they leave: so neither follows the other round and round.
patch(PosOrder.prototype, {
    /** A discount makes the amount smaller that points are earned on, and is no product. */
    pointsForPrograms() {
        if (!this.loyaltyEngineDiscountLines.length) {
            return super.pointsForPrograms(...arguments);
        }
        const lines = this.getOrderlines().map((line) =>
            isDiscountLine(line) ? Object.create(line, { getQuantity: { value: () => 0 } }) : line
        );
        return super.pointsForPrograms.apply(withLines(this, lines), arguments);
    },

    _get_regular_order_lines() {
        return super._get_regular_order_lines(...arguments).filter((line) => !isDiscountLine(line));
    },

    _getRewardLineValues({ reward }) {
        return this.loyaltyEngineDiscountLines.length && !isPaying(reward)
            ? super._getRewardLineValues.apply(withoutDiscounts(this), arguments)
            : super._getRewardLineValues(...arguments);
    },
});

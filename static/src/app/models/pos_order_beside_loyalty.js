import { patch } from "@web/core/utils/patch";
import { PosOrder } from "@point_of_sale/app/models/pos_order";

/** The same order for who counts its lines, with other ones in their place. */
const withLines = (order, lines) => Object.create(order, { getOrderlines: { value: () => lines } });

const goodsOf = (order) => order.getOrderlines().filter((line) => !line.isLoyaltyEngineDiscount);

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
            line.isLoyaltyEngineDiscount
                ? Object.create(line, { getQuantity: { value: () => 0 } })
                : line
        );
        return super.pointsForPrograms.apply(withLines(this, lines), arguments);
    },

    _get_regular_order_lines() {
        return super
            ._get_regular_order_lines(...arguments)
            .filter((line) => !line.isLoyaltyEngineDiscount);
    },

    _getRewardLineValues() {
        return this.loyaltyEngineDiscountLines.length
            ? super._getRewardLineValues.apply(withLines(this, goodsOf(this)), arguments)
            : super._getRewardLineValues(...arguments);
    },
});

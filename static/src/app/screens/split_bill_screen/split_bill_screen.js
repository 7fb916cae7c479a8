import { patch } from "@web/core/utils/patch";
import { registry } from "@web/core/registry";

// Of pos_restaurant, where that is installed: an application, it comes first in the till's bundle.
const SplitBillScreen = registry.category("pos_pages").get("SplitBillScreen", null)?.component;

// What was redeemed stays with the order that it was redeemed for: the guest who goes first pays goods.
if (SplitBillScreen) {
    patch(SplitBillScreen.prototype, {
        onClickLine(line) {
            if (!line.isLoyaltyEngineDiscount) {
                super.onClickLine(...arguments);
            }
        },

        async createSplittedOrder() {
            if (await this._loyaltyEngineMaySplit()) {
                return super.createSplittedOrder(...arguments);
            }
        },

        // These two split, and go on with whatever order is there then.
        async paySplittedOrder() {
            if (await this._loyaltyEngineMaySplit()) {
                return super.paySplittedOrder(...arguments);
            }
        },

        async transferSplittedOrder(event) {
            event.stopPropagation();
            if (await this._loyaltyEngineMaySplit()) {
                return super.transferSplittedOrder(...arguments);
            }
        },

        async _loyaltyEngineMaySplit() {
            const desk = this.pos.loyaltyEngineRedemptionDesk;
            const order = this.currentOrder;
            return (
                !this.getNumberOfProducts() ||
                !desk?.guardsBasket(order) ||
                desk.mayChangeBasket(order)
            );
        },
    });
}

import { batched } from "@web/core/utils/timing";
import { patch } from "@web/core/utils/patch";
import { isDiscountLine } from "@pos_loyalty_engine/app/utils/discount_line";
import { PosStore } from "@point_of_sale/app/services/pos_store";

// What else than lines an order's discounts depend on.
const FIELDS = ["lines", "partner_id", "pricelist_id", "fiscal_position_id", "preset_id"];

// Discounts follow the basket: whoever changes it, and before it is shown again.
patch(PosStore.prototype, {
    async setup() {
        await super.setup(...arguments);
        if (!this.config._loyalty_engine) {
            return;
        }
        const waiting = new Set();
        const recompute = batched(() => {
            // While the device synchronisation loads, it does that itself, in time.
            const orders = this.deviceSync.loyaltyEngineIsLoading ? [] : [...waiting];
            waiting.clear();
            orders.forEach((order) => order.recomputeLoyaltyEngineDiscounts());
        });
        const onChange = (order) => {
            if (order?.uiState.loyaltyEngine?.redemptions?.length && !order.finalized) {
                waiting.add(order);
                recompute();
            }
        };
        const onLine = (line) => {
            // Discount lines of ours follow the basket, and don't lead it.
            if (line && !isDiscountLine(line)) {
                onChange(line.order_id);
            }
        };
        const lines = this.models["pos.order.line"];
        const orders = this.models["pos.order"];
        lines.addEventListener("create", ({ ids }) => lines.readMany(ids).forEach(onLine));
        lines.addEventListener("update", ({ id }) => onLine(lines.get(id)));
        orders.addEventListener("update", ({ id, fields }) => {
            if (fields?.some((field) => FIELDS.includes(field))) {
                onChange(orders.get(id));
            }
        });
    },
});

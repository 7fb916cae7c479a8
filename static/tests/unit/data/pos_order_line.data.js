import { patch } from "@web/core/utils/patch";
import { PosOrderLine } from "@point_of_sale/../tests/unit/data/pos_order_line.data";

// For good: the properties of a model's records are made by the first test that loads it.
patch(PosOrderLine.prototype, {
    _load_pos_data_fields() {
        return [
            ...super._load_pos_data_fields(),
            "loyalty_engine_redemption",
            "loyalty_engine_details",
        ];
    },
});

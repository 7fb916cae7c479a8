import { onMounted } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { Chrome } from "@point_of_sale/app/pos_app";
import { fetchPopups } from "@pos_loyalty_engine/app/utils/popups";

patch(Chrome.prototype, {
    setup() {
        super.setup(...arguments);
        if (this.pos.loyaltyEngineDesk) {
            onMounted(() => {
                fetchPopups();
            });
        }
    },
});

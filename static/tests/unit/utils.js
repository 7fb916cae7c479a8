import { onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { Deferred } from "@odoo/hoot-mock";
import { PosConfig } from "@point_of_sale/../tests/unit/data/pos_config.data";
import { ResPartner } from "@point_of_sale/../tests/unit/data/res_partner.data";
import { setupPosEnv } from "@point_of_sale/../tests/unit/utils";

export const CONNECTION = {
    id: 1,
    name: "Sandbox",
    points_value: 0.01,
    is_reporting: true,
    estimated_points_per_unit: 1,
    time_limit: 5,
};

/** An answer of the server for a member. */
export function found(number = 1, { partner_id = false, ...member } = {}) {
    return {
        status: "found",
        partner_id,
        member: {
            ref: `ref-${number}`,
            account_number: `100000${number}`,
            name: `Member ${number}`,
            tier: "Gold",
            points: 1250,
            points_value: 0.01,
            read_at: "2026-01-02T10:11:12.000Z",
            ...member,
        },
    };
}

/**
 * A till with a connection, for one test only: the mock data that all modules share stays as it is.
 *
 * @param {Object<string, Object|Deferred>} answers by code; a function or a Deferred gives it later
 * @param {Object} [connection]
 */
export async function setupTill(answers = {}, connection = {}) {
    patchWithCleanup(PosConfig.prototype, {
        _load_pos_data_read() {
            const records = super._load_pos_data_read(...arguments);
            records[0]._loyalty_engine = { ...CONNECTION, ...connection };
            return records;
        },
    });
    patchWithCleanup(ResPartner.prototype, {
        _load_pos_data_fields() {
            return [...super._load_pos_data_fields(...arguments), "loyalty_engine_ref"];
        },
    });
    const asked = [];
    onRpc("/pos_loyalty_engine/identify", async (request) => {
        const { params } = await request.json();
        asked.push(params.code);
        return await (answers[params.code] || { status: "unknown" });
    });
    const store = await setupPosEnv();
    const order = store.addNewOrder();
    store.router.state.current = "ProductScreen";
    return { store, desk: store.loyaltyEngineDesk, order, asked };
}

/** A barcode as the barcode reader has read it. */
export function scanned(code, type = "product") {
    return { code, base_code: code, type };
}

/** The texts of the notifications that are given from now on. */
export function watchNotifications(store) {
    const texts = [];
    patchWithCleanup(store.notification, {
        add(message, options) {
            texts.push(`${message}`);
            return super.add(message, options);
        },
    });
    return texts;
}

export { Deferred };

import { onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { advanceTime, Deferred, freezeTime } from "@odoo/hoot-mock";
import { PosOrderLine } from "@point_of_sale/../tests/unit/data/pos_order_line.data";
import { getFilledOrder } from "@point_of_sale/../tests/unit/utils";
import { setupTill } from "./utils";

const DISCOUNT_PRODUCT = 13;

/** A redemption as the server tells it: a voucher of 5.00. */
export function voucher(uuid = "v1", values = {}) {
    return {
        uuid,
        kind: "voucher",
        booking: "discount",
        state: "held",
        name: `Voucher ${uuid}`,
        code: "PRO…3XP",
        member_ref: "",
        points: 0,
        amount: "0",
        discounts: [{ type: "ABSOLUTE", value: "5.00", skus: [], venues: [] }],
        min_amount: null,
        max_amount: null,
        reason: "",
        frozen_amount: null,
        held_until: "2026-01-02T10:26:12Z",
        is_dropped: false,
        ...values,
    };
}

/** The same for points: 200 of them, worth 2.00. */
export function points(uuid = "p1", values = {}) {
    return voucher(uuid, {
        kind: "points",
        name: "Points",
        code: "",
        member_ref: "ref-1",
        points: 200,
        amount: "2.00",
        discounts: [{ type: "ABSOLUTE", value: "2.00", skus: [], venues: [] }],
        ...values,
    });
}

/**
 * A till whose server keeps a ledger. What it answers may be changed for each route.
 *
 * @param {Object} [options]
 * @param {Object<string, (params: Object, rows: Object[]) => any>} [options.answers] by route,
 *  instead of the ledger's own
 * @param {Object} [options.connection]
 * @param {Object} [options.members] as `answers` of `setupTill`
 */
export async function setupSpending({ answers = {}, connection = {}, members = {} } = {}) {
    patchWithCleanup(PosOrderLine.prototype, {
        _load_pos_data_fields() {
            return [...super._load_pos_data_fields(...arguments), "loyalty_engine_redemption"];
        },
    });
    const ledger = { rows: [], asked: [], answers };
    const route = (name, answer) =>
        onRpc(`/pos_loyalty_engine/${name}`, async (request) => {
            const { params } = await request.json();
            ledger.asked.push(name);
            ledger.params = params;
            return (ledger.answers[name] || answer)(params, ledger.rows);
        });
    const all = (status) => ({ status, redemptions: ledger.rows.map((row) => ({ ...row })) });
    const hold = (row) => {
        ledger.rows.push(row);
        return { status: "held", redemption: { ...row } };
    };
    route("hold_voucher", ({ code }) => hold(voucher(code)));
    route("hold_points", () => hold(points()));
    route("redemptions", () => all("found"));
    route("renew", () => ({ status: "done" }));
    route("abandon", () => ({ status: "done" }));
    route("points_terms", () => ({ status: "off" }));
    route("vouchers", () => ({ status: "found", vouchers: [] }));
    route("release", ({ uuids }) => {
        for (const row of ledger.rows.filter(({ uuid }) => uuids.includes(uuid))) {
            row.state = row.state === "held" ? "released" : "returning";
        }
        return all("done");
    });
    route("spend", ({ claims }) => {
        for (const { uuid, amount } of claims) {
            spend(ledger, uuid, amount);
        }
        return all("done");
    });
    const till = await setupTill(members, {
        vouchers: true,
        points_booking: "discount",
        spend_limit: 8,
        discount_product_id: DISCOUNT_PRODUCT,
        units: "one",
        sku_source: "default_code",
        ...connection,
    });
    const { store } = till;
    const order = await getFilledOrder(store);
    store.setOrder(order);
    return {
        ...till,
        order,
        ledger,
        book: store.loyaltyEngineRedemptionBook,
        desk: store.loyaltyEngineRedemptionDesk,
        gate: store.loyaltyEnginePaymentGate,
    };
}

/** An answer to "spend": it was sent, and not even the engine says what came of it. */
export const UNKNOWN = (_params, rows) => {
    rows[0].state = "unknown";
    return { status: "done", redemptions: rows };
};

export function spend(ledger, uuid, amount) {
    const row = ledger.rows.find((item) => item.uuid === uuid);
    Object.assign(row, { state: "spent", frozen_amount: amount });
}

/** The server does what it is asked for, and its answer is lost; the next one isn't. */
export function loseAnswer(ledger, route) {
    ledger.answers[route] = ({ uuids }, rows) => {
        delete ledger.answers[route];
        for (const row of rows.filter(({ uuid }) => !uuids || uuids.includes(uuid))) {
            row.is_dropped = true;
        }
        return new Deferred();
    };
}

/** A server that says nothing any more, whatever it is asked for. */
export function freeze(store, ledger) {
    for (const route of ["hold_points", "hold_voucher", "redemptions", "release", "spend"]) {
        ledger.answers[route] = () => new Deferred();
    }
    ledger.answers.abandon = () => new Deferred();
    patchWithCleanup(store, { syncAllOrders: () => new Deferred() });
}

/**
 * How long something takes by the till's clock, in milliseconds, to the next 500; a minute at most.
 * From here to the end of the test time passes only where the test lets it, however busy the machine.
 *
 * @param {() => Promise<any>} work
 * @param {() => void} [look] called each 500
 */
export async function duration(work, look = () => {}) {
    freezeTime();
    let isOver = false;
    let ms = 0;
    work().then(() => (isOver = true));
    for (; !isOver && ms < 60000; ms += 500) {
        await advanceTime(500);
        look();
    }
    return ms;
}

/** How often a route was asked. */
export function times(ledger, route) {
    return ledger.asked.filter((name) => name === route).length;
}

/** The dialogs that are opened from now on: their props, answered by `answer`. */
export function watchDialogs(store, answer = () => {}) {
    const dialogs = [];
    patchWithCleanup(store.dialog, {
        add(component, props, options) {
            dialogs.push({ name: component.name, ...props });
            answer(props, component);
            options?.onClose?.();
            return () => {};
        },
    });
    return dialogs;
}

/** What the order of `setupSpending` comes to */
export const TOTAL = 17.85;

export async function addProduct(store, order, values = {}) {
    const product_tmpl_id = store.models["product.template"].get(5);
    return store.addLineToOrder({ product_tmpl_id, ...values }, order);
}

export function payIn(store, order, type) {
    const method = store.models["pos.payment.method"].find((item) => item.type === type);
    return order.addPaymentline(method).data;
}

export const states = (order) =>
    order.loyaltyEngineShown.map(({ uuid, state }) => `${uuid} ${state}`);

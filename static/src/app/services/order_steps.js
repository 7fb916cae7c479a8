import { RedeemingOverlay } from "@pos_loyalty_engine/app/components/redeeming_overlay/redeeming_overlay";

/**
 * One thing at a time is done with the redemptions of an order: its step. Meanwhile its basket and its
 * payments stay as they are.
 */
export class OrderSteps {
    /** @param {import("@point_of_sale/app/services/pos_store").PosStore} pos */
    constructor(pos) {
        this.pos = pos;
        // By order uuid, as a promise
        this.steps = new Map();
    }

    /** @returns {Promise<void> | undefined} the end of the step that runs, however it ends */
    running(order) {
        return this.steps.get(order.uuid);
    }

    /** Wait until nothing is being done with an order. */
    async untilFree(order) {
        while (this.steps.has(order.uuid)) {
            await this.steps.get(order.uuid);
        }
    }

    /**
     * Do one thing with an order, while everything else about it waits.
     *
     * @template T
     * @param {Object} order
     * @param {{kind: "add" | "remove" | "look" | "spend", of?: number}} step
     * @param {() => Promise<T>} work
     * @returns {Promise<T>}
     */
    during(order, { kind, of = 1 }, work) {
        const state = order.uiState.loyaltyEngine;
        state.step = { kind, of, done: 0 };
        const close = this.pos.env.services.overlay.add(
            RedeemingOverlay,
            { order },
            { sequence: 100 }
        );
        const run = work().finally(() => {
            this.steps.delete(order.uuid);
            state.step = null;
            close();
        });
        // Who waits for the step wants to know when it is over, not how it ended.
        this.steps.set(
            order.uuid,
            run.catch(() => {})
        );
        return run;
    }
}

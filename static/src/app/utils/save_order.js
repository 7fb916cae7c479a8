import { browser } from "@web/core/browser/browser";
import { ConnectionLostError, RPCError } from "@web/core/network/rpc";

// Milliseconds: how long an order is kept waiting for being saved.
const SAVE_LIMIT = 5000;

/**
 * Let the server have the order as it is. Waits 5 seconds at most.
 *
 * @returns {Promise<{status: string} | undefined>} why it has not
 */
export async function saveOrder(pos, order) {
    if (order.isSynced && !order.isDirty()) {
        return;
    }
    let timer;
    const clock = new Promise((resolve) => {
        timer = browser.setTimeout(() => resolve({ status: "unsaved" }), SAVE_LIMIT);
    });
    try {
        return await Promise.race([sync(pos, order), clock]);
    } finally {
        browser.clearTimeout(timer);
    }
}

async function sync(pos, order) {
    try {
        await pos.syncAllOrders({ orders: [order], throw: true });
    } catch (error) {
        if (error instanceof ConnectionLostError) {
            return { status: "offline" };
        }
        if (error instanceof RPCError) {
            return { status: "unsaved" };
        }
        throw error;
    }
    if (!order.isSynced) {
        return { status: "unsaved" };
    }
}

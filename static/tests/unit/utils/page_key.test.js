import { expect, test } from "@odoo/hoot";
import { patchWithCleanup } from "@web/../tests/web_test_helpers";
import { browser } from "@web/core/browser/browser";
import { definePosModels } from "@point_of_sale/../tests/unit/data/generate_model_definitions";
import { takePageKey } from "@pos_loyalty_engine/app/utils/page_key";
import { setupTill } from "../utils";

definePosModels();

/** What runs when the page is left. */
function watchLeaving() {
    const leave = [];
    patchWithCleanup(browser, {
        addEventListener: (type, listener) => type === "pagehide" && leave.push(listener),
    });
    return leave;
}

test("a page keeps its key over a reload", async () => {
    const keys = [];
    const leave = watchLeaving();
    keys.push(takePageKey());
    leave.at(-1)();
    keys.push(takePageKey());
    leave.at(-1)();
    keys.push(takePageKey());
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set(keys).size).toBe(1);
});

test("another tab has another key, a duplicated one too", async () => {
    watchLeaving();
    const first = takePageKey();
    // A duplicate starts with a copy of what the tab has stored.
    expect(takePageKey()).not.toBe(first);
    browser.sessionStorage.clear();
    expect(takePageKey()).not.toBe(first);
});

test("a till is told from others by its page, and not by its device", async () => {
    const { desk, store } = await setupTill();
    const key = desk.service.tillKey();
    expect(key).toMatch(/^[0-9a-f-]{36}$/);
    expect(desk.service.tillKey()).toBe(key);
    expect(key).not.toBe(`${store.device.identifier}`);
});

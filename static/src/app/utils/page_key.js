import { browser } from "@web/core/browser/browser";
import { uuidv4 } from "@point_of_sale/utils";

const NAME = "pos_loyalty_engine_page";

/**
 * What tells this page from all others, in other tabs at the same till too: a lease of a payment
 * belongs to a page. It outlives a reload, and lies in the tab's storage only between two pages:
 * who duplicates a tab copies its storage, and must not get its key.
 *
 * @returns {string}
 */
export function takePageKey() {
    const key = browser.sessionStorage.getItem(NAME) || uuidv4();
    browser.sessionStorage.removeItem(NAME);
    browser.addEventListener("pagehide", () => browser.sessionStorage.setItem(NAME, key));
    return key;
}

import { _t } from "@web/core/l10n/translation";
import { browser } from "@web/core/browser/browser";
import { loadBundle } from "@web/core/assets";
import { registry } from "@web/core/registry";

const BUNDLE = "pos_loyalty_engine.assets_popups";
// As long as a cashier waits for anything that is not paid for, in milliseconds
const LIMIT = 3000;
const popups = registry.category("lazy_components");
// A second press while one is on its way opens no second one.
let isOnItsWay = false;

/** Fetch all dialogs: once the till stands, so that its start waits for nothing that it doesn't show. */
export async function fetchPopups() {
    try {
        await loadBundle(BUNDLE);
    } catch {
        // Whoever opens one tries again.
    }
}

/**
 * Show a dialog. One that the till could not fetch yet is waited for, and the cashier told if it
 * doesn't come.
 *
 * @param {Object} pos
 * @param {string} name under which it is registered
 * @param {Object} props
 */
export async function openPopup(pos, name, props) {
    if (isOnItsWay) {
        return;
    }
    if (!popups.contains(name)) {
        isOnItsWay = true;
        const limit = new Promise((resolve) => browser.setTimeout(resolve, LIMIT));
        await Promise.race([fetchPopups(), limit]);
        isOnItsWay = false;
    }
    if (popups.contains(name)) {
        pos.dialog.add(popups.get(name), props);
    } else {
        pos.notification.add(_t("This can't be opened now: the server does not answer."), {
            type: "warning",
        });
    }
}

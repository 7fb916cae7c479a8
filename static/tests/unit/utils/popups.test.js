import { after, expect, test } from "@odoo/hoot";
import { advanceTime, Deferred } from "@odoo/hoot-mock";
import { assets } from "@web/core/assets";
import { registry } from "@web/core/registry";
import { allowTranslations, patchWithCleanup } from "@web/../tests/web_test_helpers";
import { openPopup } from "@pos_loyalty_engine/app/utils/popups";

const popups = registry.category("lazy_components");

/** A till that tells what it shows, and whose dialogs come when ``loadBundle`` says so. */
function setup(loadBundle) {
    allowTranslations();
    after(() => popups.remove("TestPopup"));
    patchWithCleanup(assets, { loadBundle });
    return {
        dialog: { add: (popup, { order }) => expect.step(`${popup} of ${order}`) },
        notification: { add: (words) => expect.step(`${words}`) },
    };
}

const NOT_NOW = "This can't be opened now: the server does not answer.";

test("a dialog that the till has is shown at once", async () => {
    const pos = setup(() => expect.step("fetched"));
    popups.add("TestPopup", "dialog");
    openPopup(pos, "TestPopup", { order: 1 });
    expect.verifySteps(["dialog of 1"]);
});

test("a dialog that is not here yet is fetched, and shown once", async () => {
    const fetched = new Deferred();
    const pos = setup((name) => {
        expect.step(name);
        return fetched;
    });
    const [first, second] = [1, 2].map((order) => openPopup(pos, "TestPopup", { order }));
    popups.add("TestPopup", "dialog");
    fetched.resolve();
    await Promise.all([first, second]);
    expect.verifySteps(["pos_loyalty_engine.assets_popups", "dialog of 1"]);
    // The next one is not in anybody's way.
    await openPopup(pos, "TestPopup", { order: 3 });
    expect.verifySteps(["dialog of 3"]);
});

test("a dialog that can't be fetched is told, and tried again", async () => {
    let isOffline = true;
    const pos = setup(async () => {
        if (isOffline) {
            throw new Error("Failed to fetch");
        }
        popups.add("TestPopup", "dialog");
    });
    await openPopup(pos, "TestPopup", { order: 1 });
    expect.verifySteps([NOT_NOW]);
    isOffline = false;
    await openPopup(pos, "TestPopup", { order: 1 });
    expect.verifySteps(["dialog of 1"]);
});

test("nobody waits for a dialog for longer than three seconds, and none opens by itself", async () => {
    const fetched = new Deferred();
    const pos = setup(() => fetched);
    const opened = openPopup(pos, "TestPopup", { order: 1 });
    await advanceTime(2900);
    expect.verifySteps([]);
    await advanceTime(200);
    await opened;
    expect.verifySteps([NOT_NOW]);
    popups.add("TestPopup", "dialog");
    fetched.resolve();
    await advanceTime(100);
    expect.verifySteps([]);
});

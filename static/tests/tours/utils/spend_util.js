/* global posmodel */

import { run } from "@point_of_sale/../tests/generic_helpers/utils";

const PANEL = ".o_pos_loyalty_engine_panel";

const row = (name) => `${PANEL} .o_pos_loyalty_engine_redemption:contains("${name}")`;

export function isHeld(name, worth = "") {
    return {
        content: `${name} is held${worth && ` and takes off ${worth}`}`,
        trigger: `${row(name)}[data-state="held"]:contains("${worth}")`,
    };
}

export function isIn(state, name) {
    return { content: `${name} is ${state}`, trigger: `${row(name)}[data-state="${state}"]` };
}

export function nothingIsOnOrder() {
    return {
        content: "no voucher and no points are on the order",
        trigger: `${PANEL}:not(:has(.o_pos_loyalty_engine_redemption))`,
    };
}

/** The total changes before the server is told; under the overlay nobody could go on. */
export function takeOff(name) {
    return [
        {
            content: `take ${name} off`,
            trigger: `${row(name)} .o_pos_loyalty_engine_take_off`,
            run: "click",
        },
        {
            content: "the server was told",
            trigger: `body:not(:has(.o_pos_loyalty_engine_overlay)):not(:has(${row(name)}))`,
        },
    ];
}

export function openVouchers() {
    return {
        content: "open the vouchers",
        trigger: `${PANEL} .o_pos_loyalty_engine_open_vouchers`,
        run: "click",
    };
}

const card = (name) => `.modal .o_pos_loyalty_engine_voucher:contains("${name}")`;

export function offers(name, worth) {
    return {
        content: `${name} is offered, worth ${worth}`,
        trigger: `${card(name)}:not(:disabled):contains("${worth}")`,
    };
}

export function refuses(name, reason) {
    return {
        content: `${name} can't be used: ${reason}`,
        trigger: `${card(name)}:disabled:contains("${reason}")`,
    };
}

export function choose(name) {
    return { content: `choose ${name}`, trigger: card(name), run: "click" };
}

export function typeVoucher(code) {
    return [
        {
            content: `type ${code}`,
            trigger: ".modal input.o_pos_loyalty_engine_voucher_code",
            run: `edit ${code}`,
        },
        {
            content: "apply it",
            trigger: ".modal .o_pos_loyalty_engine_voucher_confirm",
            run: "click",
        },
    ];
}

export function vouchersSay(words) {
    return {
        content: `the window says: ${words}`,
        trigger: `.modal .o_pos_loyalty_engine_words:contains("${words}")`,
    };
}

export function openPoints() {
    return {
        content: "open the points",
        trigger: `${PANEL} .o_pos_loyalty_engine_open_points`,
        run: "click",
    };
}

export function pointsAre(available, rate) {
    return [
        {
            content: `${available} points are available`,
            trigger: `.modal .o_pos_loyalty_engine_available:contains("${available} pts")`,
        },
        {
            content: `the rate is shown: ${rate}`,
            trigger: `.modal .o_pos_loyalty_engine_rate:contains("${rate}")`,
        },
    ];
}

/** On the pad of the window, key by key. */
export function typePoints(keys) {
    return [...keys].map((key) => ({
        content: `press ${key}`,
        trigger: `.modal .numpad button[value="${key}"]`,
        run: "click",
    }));
}

export function pointsAreWorth(worth, left) {
    return [
        {
            content: `they are worth ${worth}`,
            trigger: `.modal .o_pos_loyalty_engine_points_worth:contains("${worth}")`,
        },
        {
            content: `${left} are left`,
            trigger: `.modal .o_pos_loyalty_engine_points_left:contains("${left}")`,
        },
    ];
}

export function pointsSay(words) {
    return {
        content: `the window says: ${words}`,
        trigger: `.modal .o_pos_loyalty_engine_words:contains("${words}")`,
    };
}

export function asMoney() {
    return {
        content: "type money instead",
        trigger: ".modal .o_pos_loyalty_engine_as_money",
        run: "click",
    };
}

export function press(what) {
    return {
        content: `press "${what}"`,
        trigger: `.modal .o_pos_loyalty_engine_points_${what}:enabled`,
        run: "click",
    };
}

export function windowIsClosed() {
    return { content: "the window is closed", trigger: "body:not(:has(.modal))" };
}

/** What is told after a spend that did not work out. */
export function isExplained(...words) {
    return words.map((text) => ({
        content: `the cashier reads: ${text}`,
        trigger: `.modal:contains("Not everything was redeemed"):contains("${text}")`,
    }));
}

export function understood() {
    return { content: "close the message", trigger: ".modal .btn-primary", run: "click" };
}

export function receiptTells(kind, words) {
    return {
        content: `the receipt tells: ${words}`,
        trigger: `.receipt-screen .o_pos_loyalty_engine_receipt_${kind}:contains("${words}")`,
    };
}

/**
 * Let a payment method have a terminal that takes whatever is asked, and remember what that was.
 *
 * @param {string} name of the method
 */
export function giveTerminal(name, { fastPayments = true } = {}) {
    return run(() => {
        const methods = posmodel.models["pos.payment.method"];
        const method = methods.find((candidate) => candidate.name === name);
        window.charged = [];
        method.use_payment_terminal = "tour";
        method.payment_terminal = {
            fastPayments,
            async sendPaymentRequest(uuid) {
                const line = posmodel.getOrder().getPaymentlineByUuid(uuid);
                window.charged.push(line.amount);
                await new Promise((resolve) => setTimeout(resolve, 50));
                return !window.declines;
            },
            async sendPaymentCancel() {
                return true;
            },
        };
    }, `${name} has a terminal`);
}

export function declines(isDeclining) {
    return run(
        () => (window.declines = isDeclining),
        `cards are ${isDeclining ? "declined" : "taken"}`
    );
}

export function wasCharged(...amounts) {
    return {
        content: `the terminal was asked for ${amounts.join(", ") || "nothing"}`,
        trigger: "body",
        async run() {
            // A second request would come at once.
            await new Promise((resolve) => setTimeout(resolve, 200));
            const charged = window.charged.map((amount) => amount.toFixed(2)).join(" ");
            const expected = amounts.map((amount) => amount.toFixed(2)).join(" ");
            if (charged !== expected) {
                throw new Error(`Charged ${charged || "nothing"} instead of ${expected}`);
            }
        },
    };
}

export function clickOnce(trigger, content) {
    return { content, trigger, run: "click" };
}

export function clickTwice(trigger, content) {
    return {
        content: `${content}, twice`,
        trigger,
        run() {
            this.anchor.click();
            this.anchor.click();
        },
    };
}

/** Requests of ours, from now on. */
export function watchRequests() {
    return run(() => {
        window.asked = [];
        const open = XMLHttpRequest.prototype.open;
        XMLHttpRequest.prototype.open = function (method, url) {
            if (`${url}`.includes("/pos_loyalty_engine/")) {
                window.asked.push(`${url}`.split("/").pop());
            }
            return open.apply(this, arguments);
        };
    }, "watch what is asked");
}

export function wereAsked(...routes) {
    return run(() => {
        if (`${window.asked}` !== `${routes}`) {
            throw new Error(`Asked ${window.asked || "nothing"} instead of ${routes || "nothing"}`);
        }
    }, `asked: ${routes.join(", ") || "nothing"}`);
}

/** Another device, which has this order too, stores a note on it, and that arrives here. */
export function anotherDeviceNotes(note) {
    return run(async () => {
        const order = posmodel.getOrder();
        // Of what is stored in the same second as before Odoo's synchronisation tells nothing.
        await new Promise((resolve) => setTimeout(resolve, 2000));
        await posmodel.data.orm.write("pos.order", [order.id], { general_customer_note: note });
        await posmodel.deviceSync.collect({
            static_records: {},
            session_id: odoo.pos_session_id,
            device_identifier: "another",
        });
        if (order.general_customer_note !== note) {
            throw new Error("What another device has stored did not arrive here.");
        }
    }, `another device notes "${note}"`);
}

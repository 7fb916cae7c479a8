import { negate } from "@point_of_sale/../tests/generic_helpers/utils";

const PANEL = ".o_pos_loyalty_engine_panel";

export function isNone() {
    return { content: "no member is on the order", trigger: `${PANEL} .o_pos_loyalty_engine_add` };
}

/** @param {string} points as shown, without the unit */
export function is(name, points, tier) {
    return [
        {
            content: `the member is ${name}`,
            trigger: `${PANEL} .o_pos_loyalty_engine_name:contains("${name}")`,
        },
        {
            content: `with ${points} points`,
            trigger: `${PANEL} .o_pos_loyalty_engine_points:contains("${points} pts")`,
        },
        {
            content: `of tier ${tier}`,
            trigger: `${PANEL} .o_pos_loyalty_engine_tier:contains("${tier}")`,
        },
    ];
}

export function isUnverified(code) {
    return {
        content: `the code ${code} is kept unverified`,
        trigger: `${PANEL} .o_pos_loyalty_engine_unverified:contains("${code}")`,
    };
}

export function estimateIs(points) {
    return {
        content: `about ${points} points are to be earned`,
        trigger: `${PANEL} .o_pos_loyalty_engine_estimate:contains("${points}")`,
    };
}

export function remove() {
    return {
        content: "remove the member",
        trigger: `${PANEL} .o_pos_loyalty_engine_remove`,
        run: "click",
    };
}

export function openPopup() {
    return {
        content: "open the popup for a member's code",
        trigger: ".o_pos_loyalty_engine_button",
        run: "click",
    };
}

export function type(code) {
    return [
        {
            content: `type ${code}`,
            trigger: ".modal input.o_pos_loyalty_engine_code",
            run: `edit ${code}`,
        },
        { content: "look it up", trigger: ".modal .modal-footer .btn-primary", run: "click" },
    ];
}

export function popupSays(words) {
    return {
        content: `the popup says: ${words}`,
        trigger: `.modal .o_pos_loyalty_engine_words:contains("${words}")`,
    };
}

export function popupIsClosed() {
    return { content: "the popup is closed", trigger: negate(".o_pos_loyalty_engine_code") };
}

export function startLink() {
    return {
        content: "link a customer",
        trigger: `${PANEL} .o_pos_loyalty_engine_link`,
        run: "click",
    };
}

export function isLinked() {
    return {
        content: "there is nothing left to link",
        trigger: `${PANEL}:has(.o_pos_loyalty_engine_name):not(:has(.o_pos_loyalty_engine_link))`,
    };
}

export function receiptEstimates(points, where = ".receipt-screen") {
    return {
        content: `the receipt estimates ${points} points, and says that it does`,
        trigger: `${where} .o_pos_loyalty_engine_receipt_estimate:contains("about ${points} points (estimate)")`,
    };
}

export function receiptTells(earned, balance, where = ".receipt-screen") {
    return [
        {
            content: `the receipt tells ${earned} earned points`,
            trigger: `${where} .o_pos_loyalty_engine_receipt_earned:contains("${earned} points")`,
        },
        {
            content: `and a balance of ${balance}`,
            trigger: `${where} .o_pos_loyalty_engine_receipt_balance:contains("${balance} points")`,
        },
    ];
}

export function receiptIsPlain() {
    return {
        content: "the receipt says nothing of members",
        trigger: `.receipt-screen .pos-receipt:not(:has(.o_pos_loyalty_engine_receipt))`,
    };
}

/* global posmodel */

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import { negate, run, scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
import { patient } from "@pos_loyalty_engine/../tests/tours/utils/patience_util";
import {
    FIVE,
    TEN,
    identify,
    openRegister,
    payCash,
    scanFive,
    sellThreeProducts,
} from "@pos_loyalty_engine/../tests/tours/utils/sale_util";
import * as Spend from "@pos_loyalty_engine/../tests/tours/utils/spend_util";

// Beside other modules of Odoo. Their own helpers can't be used: in most databases of this module
// they are not installed.

function add(name, steps) {
    registry.category("web_tour.tours").add(`pos_loyalty_engine_beside_${name}`, {
        steps: () => patient([steps(), Chrome.endTour()]),
    });
}

/** Nothing recomputes on and on: a rested order stays as it is. */
function standsStill() {
    return run(async () => {
        const state = () => JSON.stringify(posmodel.getOrder().lines.map((line) => line.raw));
        await new Promise((resolve) => setTimeout(resolve, 300));
        const before = state();
        let writes = 0;
        posmodel.models["pos.order.line"].addEventListener("update", () => writes++);
        await new Promise((resolve) => setTimeout(resolve, 300));
        if (writes || state() !== before) {
            throw new Error(`The order does not stand still: ${writes} writes`);
        }
    }, "the order stands still");
}

// --- pos_restaurant ---

const clickTable = (number) => ({
    content: `table ${number}`,
    trigger: `.floor-map .table:has(.label:contains("${number}"))`,
    run: "click",
});

const split = (name) => ({
    content: `choose ${name}`,
    trigger: `.splitbill-screen .orderline:has(.product-name:contains("${name}"))`,
    run: "click",
});

/** An order without a table and without goods belongs to the customer whose card was scanned. */
const startWithACard = () =>
    run(() => {
        posmodel.addNewOrder().setLoyaltyEngineMember({ code: "1000022" });
        if (posmodel.addNewOrder().loyaltyEngineMember) {
            throw new Error("The next customer has the order of the one before.");
        }
    }, "a card is scanned before the customer has a table");

const isNobodys = () =>
    run(() => {
        if (posmodel.getOrder().loyaltyEngineMember || !posmodel.getOrder().table_id) {
            throw new Error("The table has the order of another customer.");
        }
    }, "the table's order is its own");

add("restaurant", () => [
    openRegister(),
    startWithACard(),
    clickTable(2),
    isNobodys(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.totalAmountIs("35.00"),

    // One guest pays the product without tax. The voucher can't be handed on.
    ProductScreen.clickControlButton("Split"),
    split(FIVE.name),
    split("Ten dollars no tax"),
    {
        content: "one product is chosen, and no discount",
        trigger: ".splitbill-screen .order-info:contains('10.00'):contains('1 product(s)')",
    },
    {
        content: "split",
        trigger: ".splitbill-screen .split-order-button",
        run: "click",
    },
    Spend.nothingIsOnOrder(),
    ProductScreen.totalAmountIs("10.00"),
    payCash(),
    ReceiptScreen.totalAmountContains("10.00"),
    {
        content: "back to the rest of the bill",
        trigger: ".receipt-screen .button.next[name='resume']",
        run: "click",
    },

    // The rest carries it, and a tip comes when it is paid.
    Spend.isHeld(FIVE.name, "5.00"),
    ProductScreen.totalAmountIs("25.00"),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    PaymentScreen.clickValidate(),
    {
        content: "the tip is on what was paid",
        trigger: ".tip-screen .total-amount:contains('25.00')",
    },
    { content: "a tip", trigger: ".tip-screen .custom-amount-form input", run: "edit 2" },
    { content: "settle", trigger: ".tip-screen .button.highlight.next", run: "click" },
    ReceiptScreen.isShown(),
    Spend.receiptTells("voucher", FIVE.name),
    ReceiptScreen.clickNextOrder(),

    // An order moves onto another table's: what it held is free again, and nobody has it twice.
    clickTable(4),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    {
        content: "back to the floor",
        trigger: ".pos-leftheader .table-button",
        run: "click",
    },
    clickTable(2),
    sellThreeProducts(),
    scan_barcode(TEN.code),
    Spend.isHeld(TEN.name, "4.00"),
    ProductScreen.clickControlButton("Transfer"),
    clickTable(4),
    Notification.has("Taken off"),
    ProductScreen.totalAmountIs("50.00"),
    Spend.nothingIsOnOrder(),
    payCash(),
    ReceiptScreen.totalAmountContains("50.00"),
]);

// --- pos_discount, pos_loyalty and pos_hr ---

add("discounts", () => [
    { content: "the register", trigger: ".open-register-btn", run: "click" },
    { content: "log in", trigger: ".login-overlay .select-cashier", run: "click" },
    Dialog.confirm("Open Register"),
    sellThreeProducts(),
    // Of pos_loyalty: 1.00 off from four products on. A discount of ours is no product.
    scanFive(),
    ProductScreen.totalAmountIs("35.00"),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    ProductScreen.totalAmountIs("44.09"),
    standsStill(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("44.09"),
    ReceiptScreen.clickNextOrder(),

    // Of pos_discount: 10 % off the goods, not off what ours leave
    sellThreeProducts(),
    scan_barcode(TEN.code),
    Spend.isHeld(TEN.name, "4.00"),
    ProductScreen.clickControlButton("Discount"),
    Dialog.confirm(),
    ProductScreen.totalAmountIs("32.00"),
    standsStill(),
    payCash(),
    ReceiptScreen.totalAmountContains("32.00"),
    ReceiptScreen.clickNextOrder(),

    // A card of pos_loyalty's own beside the engine's member: earned on, and spent, on one order
    identify(),
    sellThreeProducts(),
    scan_barcode("MIA-FIVE-2"),
    Spend.isHeld(FIVE.name, "5.00"),
    {
        content: "the customer's card has enough for a reward",
        trigger: ".product-screen .control-buttons .more-btn.active",
        run: "click",
    },
    {
        content: "take a reward",
        trigger: ".modal .control-buttons button.highlight:contains('Reward')",
        run: "click",
    },
    {
        content: "the one of the card",
        trigger: ".selection-item:contains('Ten for the card')",
        run: "click",
    },
    ProductScreen.totalAmountIs("25.00"),
    standsStill(),
    payCash(),
    Spend.receiptTells("voucher", FIVE.name),
    ReceiptScreen.totalAmountContains("25.00"),
]);

add("ewallet", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.totalAmountIs("35.00"),
    ProductScreen.clickControlButtonMore(),
    {
        content: "pay with the eWallet",
        trigger: ".modal .control-buttons button.highlight:contains('eWallet Pay')",
        run: "click",
    },
    ProductScreen.totalAmountIs("0.00"),
    Spend.isHeld(FIVE.name, "5.00"),
    standsStill(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    Spend.receiptTells("voucher", FIVE.name),
    ReceiptScreen.totalAmountContains("0.00"),
]);

// --- pos_online_payment ---

const QR = ".modal img[alt='QR Code to pay']";

add("online_payment", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Online payment"),
    PaymentScreen.selectedPaymentlineHas("Online payment", "35.00"),
    PaymentScreen.clickValidate(),
    // Refused: no code is shown, so that nobody pays
    Spend.isExplained(FIVE.name, "40.00", "Nothing was charged"),
    { content: "no code is shown", trigger: negate(QR) },
    Spend.understood(),
    PaymentScreen.selectedPaymentlineHas("Online payment", "40.00"),
    scan_barcode(TEN.code),
    Spend.isHeld(TEN.name, "4.00"),
    PaymentScreen.selectedPaymentlineHas("Online payment", "36.00"),
    PaymentScreen.clickValidate(),
    // Spent, and only then shown
    { content: "the code", trigger: QR },
    Spend.isIn("spent", TEN.name),
    // The customer has no phone after all: pos_online_payment takes its payment back by itself
    Dialog.cancel(),
    PaymentScreen.emptyPaymentlines("36.00"),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.selectedPaymentlineHas("Cash", "36.00"),
    Spend.watchRequests(),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    Spend.wereAsked(),
    ReceiptScreen.totalAmountContains("36.00"),
]);

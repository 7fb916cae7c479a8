import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import { refresh, scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
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

const VALIDATE = ".payment-screen .button.next.validation-button";
const SEND = ".payment-screen .send_payment_request";

function add(name, steps) {
    registry.category("web_tour.tours").add(`pos_loyalty_engine_${name}`, {
        steps: () => patient([steps(), Chrome.endTour()]),
    });
}

const leaveBasket = () => ({
    content: "leave the basket as it is",
    trigger: ".modal:contains('stays as it is') .btn-secondary",
    run: "click",
});

const takeDeclinedPaymentOff = () => [
    { content: "it can be sent again", trigger: SEND },
    {
        content: "take the declined payment off",
        trigger: ".payment-screen .paymentline .delete-button",
        run: "click",
    },
];

// --- Vouchers ---

// A code that nothing in the shop has, and no member: a voucher, here without a member
add("voucher_scan", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.totalAmountIs("35.00"),
    // The same voucher is there once, however often it is scanned
    Spend.takeOff(FIVE.name),
    Spend.nothingIsOnOrder(),
    ProductScreen.totalAmountIs("40.00"),
    scanFive(),
    // It follows the basket
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    ProductScreen.totalAmountIs("45.00"),
    ProductScreen.clickNumpad("1"),
    ProductScreen.totalAmountIs("35.00"),
    ProductScreen.clickPayButton(),
    // A barcode rule of its own, where it comes to paying
    scan_barcode(TEN.code),
    Spend.isHeld(TEN.name, "4.00"),
    PaymentScreen.totalIs("31.00"),
    Spend.takeOff(TEN.name),
    PaymentScreen.totalIs("35.00"),
    PaymentScreen.clickPaymentMethod("Cash"),
    Spend.watchRequests(),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    Spend.wereAsked("spend"),
    Spend.receiptTells("voucher", FIVE.name),
    ReceiptScreen.totalAmountContains("35.00"),
]);

add("voucher_choice", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    Spend.openVouchers(),
    Spend.offers(FIVE.name, "5.00"),
    Spend.offers(TEN.name, "4.00"),
    Spend.refuses("Apple pie", "Not in this order"),
    Spend.refuses("3.00 off at the harbour", "Not for this shop"),
    Spend.refuses("Three for two", "Can't be read"),
    Spend.refuses(FIVE.name, "Already used"),
    Spend.refuses(FIVE.name, "Expired"),
    Spend.typeVoucher("NO-SUCH-CODE"),
    Spend.vouchersSay("There is no such voucher"),
    Spend.choose(TEN.name),
    Spend.windowIsClosed(),
    Spend.isHeld(TEN.name, "4.00"),
    ProductScreen.totalAmountIs("36.00"),
    // The card in the wallet is taken
    Spend.openVouchers(),
    Spend.refuses(TEN.name, "Already on this order"),
    Dialog.cancel(),
    payCash(),
    Spend.receiptTells("voucher", TEN.name),
    ReceiptScreen.totalAmountContains("36.00"),
]);

// --- Points ---

add("points", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    Spend.openPoints(),
    Spend.pointsAre("1,250", "100 points = $ 1.00"),
    Spend.typePoints("9999"),
    Spend.pointsSay("Only 1,250 points are available"),
    Spend.press("all"),
    Spend.pointsAreWorth("12.50", "0"),
    Spend.asMoney(),
    Spend.typePoints("5"),
    Spend.pointsAreWorth("500 points", "750"),
    Spend.press("confirm"),
    Spend.windowIsClosed(),
    Spend.isHeld("500 points", "5.00"),
    ProductScreen.totalAmountIs("35.00"),
    payCash(),
    Spend.receiptTells("spent", "500 points"),
    Spend.receiptTells("left", "750 points"),
    ReceiptScreen.totalAmountContains("35.00"),
]);

add("both", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    Spend.openPoints(),
    Spend.typePoints("300"),
    Spend.pointsAreWorth("3.00", "950"),
    Spend.press("confirm"),
    Spend.isHeld("300 points", "3.00"),
    Spend.openVouchers(),
    Spend.choose(TEN.name),
    Spend.windowIsClosed(),
    Spend.isHeld(TEN.name, "4.00"),
    // Ten per cent of 40.00, then 3.00
    ProductScreen.totalAmountIs("33.00"),
    {
        content: "how it comes about",
        trigger: ".o_pos_loyalty_engine_explain",
        run: "click",
    },
    {
        content: "from 40.00 to 33.00",
        trigger:
            ".modal .o_pos_loyalty_engine_explanation:contains('40.00'):contains('4.00'):contains('3.00'):contains('33.00')",
    },
    { content: "close it", trigger: ".modal .modal-footer .btn-primary", run: "click" },
    payCash(),
    Spend.receiptTells("voucher", TEN.name),
    Spend.receiptTells("spent", "300 points"),
    ReceiptScreen.totalAmountContains("33.00"),
]);

// --- When it does not work out ---

// Meanwhile somebody uses the voucher at another place.
add("refused", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.selectedPaymentlineHas("Cash", "35.00"),
    PaymentScreen.clickValidate(),
    Spend.isExplained(FIVE.name, "40.00", "Nothing was charged"),
    Spend.understood(),
    Spend.isIn("refused", FIVE.name),
    PaymentScreen.selectedPaymentlineHas("Cash", "40.00"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("40.00"),
]);

// Meanwhile the engine goes down.
add("down_at_spend", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    Spend.isExplained(FIVE.name, "could not be asked", "40.00"),
    Spend.understood(),
    PaymentScreen.selectedPaymentlineHas("Cash", "40.00"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("40.00"),
]);

// No answer in time, and what came of it is not known: two sales, each closed without a discount.
add("spend_unclear", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    Spend.isExplained(FIVE.name, "not known whether redeemed", "found out later", "40.00"),
    Spend.understood(),
    Spend.isIn("unknown", FIVE.name),
    PaymentScreen.selectedPaymentlineHas("Cash", "40.00"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("40.00"),
    ReceiptScreen.clickNextOrder(),

    identify(),
    sellThreeProducts(),
    Spend.openPoints(),
    Spend.typePoints("500"),
    Spend.press("confirm"),
    Spend.isHeld("500 points", "5.00"),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    Spend.isExplained("500 points", "not known whether redeemed", "come back by themselves"),
    Spend.understood(),
    Spend.isIn("unknown", "500 points"),
    PaymentScreen.selectedPaymentlineHas("Cash", "40.00"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("40.00"),
]);

// --- Ways to pay ---

add("fast_payment", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    Spend.clickTwice(
        ".product-screen .fast-pay-button:contains('Bank')",
        "pay from the product screen"
    ),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("35.00"),
]);

add("double_click", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    Spend.clickTwice(VALIDATE, "validate"),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("35.00"),
]);

add("terminal", () => [
    openRegister(),
    Spend.giveTerminal("Bank", { fastPayments: false }),
    Spend.declines(true),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    Spend.isIn("held", FIVE.name),
    Spend.clickTwice(SEND, "send"),
    Spend.isIn("spent", FIVE.name),
    Spend.wasCharged(35),
    // Declined: the voucher is spent, and the basket closed
    PaymentScreen.clickBack(),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    leaveBasket(),
    ProductScreen.totalAmountIs("35.00"),
    ProductScreen.clickPayButton(),
    Spend.declines(false),
    Spend.watchRequests(),
    Spend.clickOnce(SEND, "retry"),
    // It validates by itself
    ReceiptScreen.isShown(),
    Spend.wasCharged(35, 35),
    Spend.wereAsked(),
    ReceiptScreen.totalAmountContains("35.00"),
]);

add("single_terminal", () => [
    openRegister(),
    Spend.giveTerminal("Bank"),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    { content: "the request waits for a press", trigger: SEND },
    Spend.wasCharged(),
    Spend.isIn("held", FIVE.name),
    { content: "send it", trigger: SEND, run: "click" },
    ReceiptScreen.isShown(),
    Spend.wasCharged(35),
    ReceiptScreen.totalAmountContains("35.00"),
]);

// 40.02 with the voucher is 35.02, and cash is paid in steps of 0.05. It is refused.
add("cash_rounding", () => [
    openRegister(),
    ProductScreen.clickDisplayedProduct("Ten dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Twenty dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    ProductScreen.totalAmountIs("40.02"),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.selectedPaymentlineHas("Cash", "35.00"),
    PaymentScreen.clickValidate(),
    Spend.isExplained(FIVE.name, "40.02"),
    Spend.understood(),
    PaymentScreen.selectedPaymentlineHas("Cash", "40.00"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
]);

// The server refuses the paid order, which is a draft again: its voucher stays spent.
add("refused_sync", () => [
    openRegister(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    {
        content: "the server says no",
        trigger: ".modal:contains('Not today') .btn-primary",
        run: "click",
    },
    Spend.isIn("spent", FIVE.name),
    PaymentScreen.selectedPaymentlineHas("Cash", "35.00"),
    Spend.watchRequests(),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    Spend.wereAsked(),
    ReceiptScreen.totalAmountContains("35.00"),
]);

// --- Elsewhere, and later ---

// Another device stores something on an order on which this one has work that it has not sent yet.
add("spend_device_sync", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    Spend.openVouchers(),
    Spend.choose(TEN.name),
    Spend.isHeld(TEN.name, "4.00"),
    ProductScreen.clickDisplayedProduct("Twenty dollars no tax"),
    ProductScreen.totalAmountIs("54.00"),
    Spend.anotherDeviceNotes("No sugar"),
    Spend.isHeld(TEN.name, "6.00"),
    ProductScreen.totalAmountIs("54.00"),
    payCash(),
    Spend.receiptTells("voucher", TEN.name),
    ReceiptScreen.totalAmountContains("54.00"),
]);

add("spend_reload", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.totalAmountIs("35.00"),
    refresh(),
    Spend.isHeld(FIVE.name, "5.00"),
    ProductScreen.totalAmountIs("35.00"),
    Spend.giveTerminal("Bank"),
    Spend.declines(true),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    Spend.isIn("spent", FIVE.name),
    Spend.wasCharged(35),
    // Spent, and not paid
    refresh(),
    Spend.isIn("spent", FIVE.name),
    PaymentScreen.totalIs("35.00"),
    takeDeclinedPaymentOff(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
    ReceiptScreen.totalAmountContains("35.00"),
]);

// One voucher is spent, the payment declined; another one is held.
add("spend_save", () => [
    openRegister(),
    Spend.giveTerminal("Bank"),
    Spend.declines(true),
    sellThreeProducts(),
    scanFive(),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    Spend.isIn("spent", FIVE.name),
    Spend.wasCharged(35),
    takeDeclinedPaymentOff(),
    PaymentScreen.clickBack(),
    scan_barcode(TEN.code),
    Spend.isHeld(TEN.name, "3.50"),
    {
        content: "save the order for another till",
        trigger: ".product-screen .control-buttons button:has(.fa-upload)",
        run: "click",
    },
    Notification.has("Order saved for later"),
    Spend.nothingIsOnOrder(),
]);

// At a point of sale that has never seen the order
add("spend_other_till", () => [
    openRegister(),
    // Odoo would show the other till's order at once, and stumbles when it is loaded anew.
    Chrome.createFloatingOrder(),
    Chrome.clickOrders(),
    TicketScreen.selectOrderByPrice("31.50"),
    TicketScreen.loadSelectedOrder(),
    Spend.isIn("spent", FIVE.name),
    Spend.isHeld(TEN.name, "3.50"),
    ProductScreen.totalAmountIs("31.50"),
    // The basket is closed here too
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    leaveBasket(),
    ProductScreen.totalAmountIs("31.50"),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    PaymentScreen.clickValidate(),
    Spend.receiptTells("voucher", FIVE.name),
    Spend.receiptTells("voucher", TEN.name),
    ReceiptScreen.totalAmountContains("31.50"),
]);

add("spend_delete", () => [
    openRegister(),
    identify(),
    sellThreeProducts(),
    Spend.openPoints(),
    Spend.press("all"),
    Spend.press("confirm"),
    Spend.isHeld("1,250 points", "12.50"),
    Spend.giveTerminal("Bank"),
    Spend.declines(true),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Bank"),
    Spend.isIn("spent", "1,250 points"),
    Spend.wasCharged(27.5),
    PaymentScreen.clickBack(),
    ProductScreen.clickControlButtonMore(),
    {
        content: "cancel the order",
        trigger: ".modal .control-buttons button:contains('Cancel Order')",
        run: "click",
    },
    Dialog.is({ title: "Existing orderlines" }),
    Dialog.confirm(),
    Dialog.confirm("Delete the order"),
    Spend.nothingIsOnOrder(),
]);

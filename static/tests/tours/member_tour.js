/* global posmodel */

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as OfflineUtil from "@point_of_sale/../tests/generic_helpers/offline_util";
import * as PartnerList from "@point_of_sale/../tests/pos/tours/utils/partner_list_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import { refresh, run, scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
import * as Member from "@pos_loyalty_engine/../tests/tours/utils/member_util";
import { patient } from "@pos_loyalty_engine/../tests/tours/utils/patience_util";

// Members of the sandbox and products of the shop, as the Python side of these tours has them
const MIA = { code: "1000011", ref: "c0ffee00-0000-4000-8000-000000000001" };
const OTTO = { code: "1000022" };
const RITA = { code: "1000077" };

const openRegister = () => [Chrome.startPoS(), Dialog.confirm("Open Register")];

const sellThreeProducts = () => [
    ProductScreen.clickDisplayedProduct("Ten dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Twenty dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    ProductScreen.totalAmountIs("40.00"),
];

const payCash = () => [
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
];

function add(name, steps) {
    registry.category("web_tour.tours").add(`pos_loyalty_engine_${name}`, {
        steps: () => patient([steps(), Chrome.endTour()]),
    });
}

add("sale", () => [
    openRegister(),
    Member.isNone(),
    scan_barcode(MIA.code),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    sellThreeProducts(),
    Member.estimateIs("40"),
    payCash(),
    Member.receiptEstimates("40"),
    ReceiptScreen.clickNextOrder(),
    Member.isNone(),
]);

// The main job, on what bin/demo makes
add("demo", () => [
    openRegister(),
    scan_barcode(MIA.code),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    ["Butter Croissant", "Apple Pie", "Rye Bread"].map((name) =>
        ProductScreen.clickDisplayedProduct(name)
    ),
    payCash(),
    Member.receiptEstimates("19"),
]);

// After it was reported: the receipt from the list of orders
add("demo_reprint", () => [
    Chrome.startPoS(),
    Chrome.clickOrders(),
    TicketScreen.selectFilter("Paid"),
    TicketScreen.selectOrderByPrice("19.78"),
    run(() => (window.print = () => {}), "no print dialog"),
    {
        content: "print the receipt again",
        trigger: ".ticket-screen button:contains('Print Receipt')",
        run: "click",
    },
    Member.receiptTells("19", "1,269", ".render-container"),
]);

add("codes", () => [
    openRegister(),
    // A code that nobody has: not a product's, not a member's
    scan_barcode("7777777"),
    Notification.has("could not find any product"),
    Notification.has('No member has the code "7777777"'),
    Member.isNone(),
    scan_barcode(RITA.code),
    Notification.has("account is restricted"),
    Member.isNone(),
    // Typed
    Member.openPopup(),
    Member.type("8888888"),
    Member.popupSays('No member has the code "8888888"'),
    Member.type(OTTO.code),
    Member.popupIsClosed(),
    Member.is("Otto Oatcake", "430", "Silver"),
    // Replaced by the engine's id on another card
    scan_barcode(MIA.ref),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    // Scanned into the popup, with the cursor elsewhere
    Member.openPopup(),
    run(() => document.activeElement.blur(), "the cursor is not in the field"),
    scan_barcode(OTTO.code),
    Member.popupIsClosed(),
    Member.is("Otto Oatcake", "430", "Silver"),
    // Removed, and sold to nobody
    Member.remove(),
    Member.isNone(),
    sellThreeProducts(),
    payCash(),
    Member.receiptIsPlain(),
]);

add("customer", () => [
    openRegister(),
    ProductScreen.clickPartnerButton(),
    ProductScreen.clickCustomer("ADGU"),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    Member.isLinked(),
    // Another customer takes the place, and the member goes along
    ProductScreen.clickPartnerButton(),
    ProductScreen.clickCustomer("LOWE"),
    Member.isNone(),
    // A scanned card selects the customer
    scan_barcode(MIA.code),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    ProductScreen.customerIsSelected("ADGU"),
    sellThreeProducts(),
    payCash(),
    Member.receiptEstimates("40"),
]);

add("link", () => [
    openRegister(),
    scan_barcode(MIA.code),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    Member.startLink(),
    PartnerList.clickPartner("ADGU"),
    Notification.has("ADGU is now linked to this member"),
    Member.isLinked(),
    ProductScreen.customerIsSelected("ADGU"),
    sellThreeProducts(),
    payCash(),
]);

add("down", () => [
    openRegister(),
    scan_barcode(MIA.code),
    Notification.has("The Loyalty Engine does not answer"),
    Member.isUnverified(MIA.code),
    sellThreeProducts(),
    payCash(),
    Member.receiptEstimates("40"),
    {
        content: "the receipt does not claim a check",
        trigger: ".o_pos_loyalty_engine_receipt:contains('checked later')",
    },
]);

add("offline", () => [
    openRegister(),
    // A draft that knows the server
    sellThreeProducts(),
    OfflineUtil.setOfflineMode(),
    scan_barcode(MIA.code),
    Notification.has("The till is offline"),
    Member.isUnverified(MIA.code),
    payCash(),
    Member.receiptEstimates("40"),
    OfflineUtil.setOnlineMode(),
    run(async () => {
        await posmodel.syncAllOrders();
        if (!posmodel.models["pos.order"].some((order) => order.isSynced && order.finalized)) {
            throw new Error("The sale did not reach the server");
        }
    }, "the sale reaches the server"),
]);

add("reload", () => [
    openRegister(),
    scan_barcode(MIA.code),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    sellThreeProducts(),
    refresh(),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    ProductScreen.totalAmountIs("40.00"),
    {
        content: "save the order for another till",
        trigger: ".product-screen .control-buttons button:has(.fa-upload)",
        run: "click",
    },
    Notification.has("Order saved for later"),
    Member.isNone(),
]);

// In a browser that has never seen the order
add("other_till", () => [
    Chrome.startPoS(),
    Chrome.clickOrders(),
    TicketScreen.selectOrderByPrice("40.00"),
    TicketScreen.loadSelectedOrder(),
    Member.is("Mia Marmalade", "1,250", "Gold"),
    payCash(),
    Member.receiptEstimates("40"),
]);

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Notification from "@point_of_sale/../tests/generic_helpers/notification_util";
import * as NumberPopup from "@point_of_sale/../tests/generic_helpers/number_popup_util";
import * as Numpad from "@point_of_sale/../tests/generic_helpers/numpad_util";
import * as Order from "@point_of_sale/../tests/generic_helpers/order_widget_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";
import { inLeftSide } from "@point_of_sale/../tests/pos/tours/utils/common";
import { refresh, scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
import * as Member from "@pos_loyalty_engine/../tests/tours/utils/member_util";
import { patient } from "@pos_loyalty_engine/../tests/tours/utils/patience_util";

const LINE = ".paymentlines .o_pos_loyalty_engine_payment";

const press = (what, words) => ({ content: words, trigger: `${LINE} .${what}`, run: "click" });

const takePoints = () => press("send_payment_request", "take the points");

const undo = () => press("send_payment_reversal", "give them back");

const isDone = (points) => [
    { content: "the points are taken", trigger: `${LINE}[data-status="done"]` },
    {
        content: `${points} of them`,
        trigger: `.paymentlines .paymentline.selected .payment-name:contains("Points (${points})")`,
    },
];

const receiptNames = (points) => ({
    content: `the receipt names ${points} points`,
    trigger: `.receipt-screen .pos-receipt .paymentlines:contains("Points (${points})")`,
});

registry.category("web_tour.tours").add("pos_loyalty_engine_points_payment", {
    steps: () =>
        patient([
            Chrome.startPoS(),
            Dialog.confirm("Open Register"),
            scan_barcode("1000011"),
            Member.is("Mia Marmalade", "1,250", "Gold"),
            ProductScreen.clickDisplayedProduct("Ten dollars with 10 included"),
            ProductScreen.clickDisplayedProduct("Twenty dollars with 10 included"),
            ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
            ProductScreen.totalAmountIs("40.00"),
            {
                content: "points are no discount here",
                trigger: ".o_pos_loyalty_engine_panel:not(:has(.o_pos_loyalty_engine_open_points))",
            },
            ProductScreen.clickPayButton(),

            // What the member has, and nothing is taken before somebody says so
            PaymentScreen.clickPaymentMethod("Points", true, {
                amount: "12.50",
                remaining: "40.00",
            }),
            PaymentScreen.enterPaymentLineAmount("Points", "3", true, { amount: "3.00" }),
            takePoints(),
            isDone("300"),
            PaymentScreen.remainingIs("37.00"),
            undo(),
            PaymentScreen.emptyPaymentlines("40.00"),

            // Above 4.00 the manager is needed
            PaymentScreen.clickPaymentMethod("Points"),
            PaymentScreen.enterPaymentLineAmount("Points", "5", true, { amount: "5.00" }),
            takePoints(),
            NumberPopup.enterValue("4711"),
            NumberPopup.isShown("••••"),
            Dialog.confirm(),
            isDone("500"),
            PaymentScreen.remainingIs("35.00"),
            refresh(),
            PaymentScreen.clickPaymentline("Points", "5.00"),
            isDone("500"),
            PaymentScreen.clickPaymentMethod("Cash", true, { amount: "35.00", remaining: "0.0" }),
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
            receiptNames("500"),
            ReceiptScreen.clickNextOrder(),

            // Goods for 10.00 come back: 5.00 of that sale were points
            Chrome.clickOrders(),
            TicketScreen.selectFilter("Paid"),
            TicketScreen.selectOrderByPrice("40.00"),
            inLeftSide(
                [
                    Order.hasLine({ productName: "Ten dollars no tax", run: "click" }),
                    Order.hasLine({ productName: "Ten dollars no tax", withClass: ".selected" }),
                    Numpad.click("1"),
                ].flat()
            ),
            TicketScreen.confirmRefund(),
            PaymentScreen.totalIs("-10.00"),
            PaymentScreen.clickPaymentMethod("Points", true, { amount: "-10.00" }),
            PaymentScreen.clickRefundButton(),
            Notification.has("5.00 of this sale was paid with points"),
            isDone("500"),
            PaymentScreen.clickPaymentMethod("Cash", true, { amount: "-5.00", remaining: "0.0" }),
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
            receiptNames("500"),
            ReceiptScreen.clickNextOrder(),

            // Closing: points are shown, not counted
            Chrome.clickMenuOption("Close Register"),
            {
                content: "points are shown with nothing to count",
                trigger:
                    ".close-pos-popup .payment-methods-overview > div:contains('Points'):not(:contains('Counted'))",
            },
            {
                content: "there is no field for them",
                trigger: ".close-pos-popup:not(:has(span:contains('Points Count')))",
            },
            ProductScreen.closeWithCashAmount("30.00"),
            ProductScreen.cashDifferenceIs("0.00"),
            {
                trigger: ".modal .modal-footer .btn-primary:contains('Close Register')",
                run: "click",
                expectUnloadPage: true,
            },
            {
                trigger: "button:contains(backend)",
                run: "click",
                expectUnloadPage: true,
            },
            { trigger: "body", expectUnloadPage: true },
        ]),
});

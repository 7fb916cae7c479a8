import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import { scan_barcode } from "@point_of_sale/../tests/generic_helpers/utils";
import * as Member from "@pos_loyalty_engine/../tests/tours/utils/member_util";
import * as Spend from "@pos_loyalty_engine/../tests/tours/utils/spend_util";

// A member of the sandbox, and vouchers of hers
const MIA = { code: "1000011" };
export const FIVE = { code: "MIA-FIVE", name: "5.00 off" };
export const TEN = { code: "MIA-TEN", name: "10 % off" };

export const openRegister = () => [Chrome.startPoS(), Dialog.confirm("Open Register")];

export const identify = () => [scan_barcode(MIA.code), Member.is("Mia Marmalade", "1,250", "Gold")];

// 10.00 and 20.00 with 10 % included, 10.00 without tax
export const sellThreeProducts = () => [
    ProductScreen.clickDisplayedProduct("Ten dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Twenty dollars with 10 included"),
    ProductScreen.clickDisplayedProduct("Ten dollars no tax"),
    ProductScreen.totalAmountIs("40.00"),
];

export const scanFive = () => [scan_barcode(FIVE.code), Spend.isHeld(FIVE.name, "5.00")];

export const payCash = () => [
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("Cash"),
    PaymentScreen.clickValidate(),
    ReceiptScreen.isShown(),
];

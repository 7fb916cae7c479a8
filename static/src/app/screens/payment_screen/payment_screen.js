import { patch } from "@web/core/utils/patch";
import { useBarcodeReader } from "@point_of_sale/app/hooks/barcode_reader_hook";
import { PaymentScreen } from "@point_of_sale/app/screens/payment_screen/payment_screen";
import { MemberPanel } from "@pos_loyalty_engine/app/components/member_panel/member_panel";
import { barcodeActions } from "@pos_loyalty_engine/app/utils/barcodes";

patch(PaymentScreen, {
    components: { ...PaymentScreen.components, MemberPanel },
});

patch(PaymentScreen.prototype, {
    setup() {
        super.setup(...arguments);
        // The card is often shown only when it comes to paying.
        if (this.pos.loyaltyEngineDesk) {
            useBarcodeReader(barcodeActions(this));
        }
    },

    get loyaltyEngineIsBusy() {
        return Boolean(this.currentOrder?.loyaltyEngineIsBusy);
    },

    // With one single terminal the request leaves by itself: not before what is held was spent, and
    // that waits for a press.
    onMounted() {
        const gate = this.pos.loyaltyEnginePaymentGate;
        this.loyaltyEngineIsEntering = Boolean(gate?.standsBefore(this.currentOrder));
        try {
            return super.onMounted(...arguments);
        } finally {
            this.loyaltyEngineIsEntering = false;
        }
    },

    // The gate before money moves: send, retry, fast payment on adding a line, QR, cash machine.
    async sendPaymentRequest(line) {
        const gate = this.pos.loyaltyEnginePaymentGate;
        const order = line.pos_order_id;
        if (gate?.standsBefore(order)) {
            if (this.loyaltyEngineIsEntering || !(await gate.mayPay(order))) {
                return;
            }
            // A return's have no status.
            const isWaiting = ["pending", "retry"].includes(line.getPaymentStatus() || "pending");
            if (order.finalized || !order.payment_ids.includes(line) || !isWaiting) {
                return;
            }
        }
        if (order.loyaltyEngineIsUnredeemable) {
            return this.pos.loyaltyEngineAskToLeaveOut(order);
        }
        return super.sendPaymentRequest(...arguments);
    },

    // --- While an order is being worked on, its payments stay as they are ---

    async addNewPaymentLine() {
        if (this.loyaltyEngineIsBusy) {
            return false;
        }
        return super.addNewPaymentLine(...arguments);
    },

    updateSelectedPaymentline() {
        if (this.loyaltyEngineIsBusy) {
            this.numberBuffer.reset();
            return;
        }
        return super.updateSelectedPaymentline(...arguments);
    },

    deletePaymentLine() {
        if (this.loyaltyEngineIsBusy) {
            return;
        }
        return super.deletePaymentLine(...arguments);
    },
});

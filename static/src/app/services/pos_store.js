import { markRaw } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { patch } from "@web/core/utils/patch";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { LoyaltyEngineService } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import { MemberDesk } from "@pos_loyalty_engine/app/services/member_desk";
import { OrderSteps } from "@pos_loyalty_engine/app/services/order_steps";
import { askToGoWithout, PaymentGate } from "@pos_loyalty_engine/app/services/payment_gate";
import { PointsPayment } from "@pos_loyalty_engine/app/services/points_payment";
import { RedemptionBook } from "@pos_loyalty_engine/app/services/redemption_book";
import { RedemptionDesk } from "@pos_loyalty_engine/app/services/redemption_desk";
import { takePageKey } from "@pos_loyalty_engine/app/utils/page_key";

patch(PosStore.prototype, {
    async processServerData() {
        const result = await super.processServerData(...arguments);
        const connection = this.config._loyalty_engine;
        const pageKey = connection && takePageKey();
        // Null where no connection is set: nothing is asked then.
        const service =
            connection &&
            new LoyaltyEngineService({
                configId: this.config.id,
                sessionId: () => this.session.id,
                timeLimit: connection.time_limit,
                spendLimit: connection.spend_limit,
                tillKey: () => pageKey,
                isOffline: () => this.data.network.offline,
            });
        const book = connection && new RedemptionBook(this, service, new OrderSteps(this));
        const desk = connection && new RedemptionDesk(book);
        const gate = connection && new PaymentGate(desk);
        Object.assign(this, {
            loyaltyEngineDesk: connection ? markRaw(new MemberDesk(this, service)) : null,
            loyaltyEngineRedemptionBook: connection ? markRaw(book) : null,
            loyaltyEngineRedemptionDesk: connection ? markRaw(desk) : null,
            loyaltyEnginePaymentGate: connection ? markRaw(gate) : null,
            loyaltyEnginePointsPayment: connection ? markRaw(new PointsPayment(gate)) : null,
        });
        if (this.barcodeReader) {
            this.barcodeReader.loyaltyEngineDesk = this.loyaltyEngineDesk;
        }
        if (connection) {
            this._followLoyaltyEngineCustomers();
            this._keepLoyaltyEnginePayments();
        }
        return result;
    },

    // Whoever sets the customer: the list of customers, a quotation that is settled, a loyalty card.
    // What the server sends names no fields.
    _followLoyaltyEngineCustomers() {
        this.models["pos.order"].addEventListener("update", ({ id, fields }) => {
            if (fields?.includes("partner_id")) {
                // Not before the customer's price list has come along.
                Promise.resolve().then(() =>
                    this.loyaltyEngineDesk.onCustomerChanged(this.models["pos.order"].get(id))
                );
            }
        });
    },

    // Of pos_online_payment, whose patches come later than these. Where it finds an order on the server
    // that is not paid online it deletes its payments there: this till has stored them.
    _keepLoyaltyEnginePayments() {
        const update = this.updateOnlinePaymentsDataWithServer;
        const isOnline = (payment) => payment.payment_method_id.is_online_payment;
        if (update) {
            this.updateOnlinePaymentsDataWithServer = (order, next) => {
                const isStored =
                    order.payment_ids.some((payment) => payment.isSynced) &&
                    !order.payment_ids.some(isOnline);
                return update.call(this, order, isStored && next === 0 ? false : next);
            };
        }
    },

    async preSyncAllOrders(orders) {
        const result = await super.preSyncAllOrders(...arguments);
        if (this.loyaltyEngineDesk) {
            for (const { uiState } of orders) {
                uiState.loyaltyEngine.sending = uiState.loyaltyEngine.unsent;
            }
        }
        return result;
    },

    // The server's answer replaces the whole order, and with it a member that came in the meantime.
    async postSyncAllOrders(orders) {
        const result = await super.postSyncAllOrders(...arguments);
        if (this.loyaltyEngineDesk) {
            for (const { uiState } of orders) {
                const { unsent, sending } = uiState.loyaltyEngine;
                uiState.loyaltyEngine.unsent = unsent === sending ? null : unsent;
            }
        }
        this.restoreLoyaltyEngine(orders);
        return result;
    },

    /** Put right what orders of the server's have brought about here. */
    restoreLoyaltyEngine(orders) {
        // Not while the till is being loaded
        if (this.loyaltyEngineDesk) {
            for (const order of orders) {
                order.restoreLoyaltyEngineMember();
                this.loyaltyEngineRedemptionBook.doubt(order);
                this.loyaltyEnginePointsPayment.restore(order);
                order.recomputeLoyaltyEngineDiscounts();
            }
        }
    },

    createNewOrder() {
        const order = super.createNewOrder(...arguments);
        this.loyaltyEngineRedemptionBook?.onNewOrder(order);
        if (order.partner_id) {
            this.loyaltyEngineDesk?.onCustomerChanged(order);
        }
        return order;
    },

    /**
     * Tell why an order can't be paid as it is at this till, and take the discounts off where the
     * cashier wants that. For the other total it takes another press.
     *
     * @param {Object} order one that `loyaltyEngineIsUnredeemable`
     */
    async loyaltyEngineAskToLeaveOut(order) {
        await askToGoWithout(this.dialog, order, {
            title: _t("Vouchers and points can't be redeemed at this till"),
            body: _t(
                "They were put on this order at another till: pay it there, or take the discounts off. What was redeemed already is then given back later, or the manager is told."
            ),
            cancelLabel: _t("Pay it there"),
        });
    },

    // --- The basket of an order for which something is being, or was, redeemed ---

    async addLineToOrder(vals, order) {
        const desk = this.loyaltyEngineRedemptionDesk;
        if (desk?.guardsBasket(order) && !this._loyaltyEngineIsTip(vals)) {
            if (!(await desk.mayChangeBasket(order))) {
                return;
            }
        }
        return super.addLineToOrder(...arguments);
    },

    // A tip comes on top of the sale; what was redeemed for it doesn't change.
    _loyaltyEngineIsTip({ product_id }) {
        return Boolean(product_id && product_id.id === this.config.tip_product_id?.id);
    },

    /** @returns {Promise<boolean>} asks where something was redeemed for the basket */
    async _loyaltyEngineMayChange(order) {
        const desk = this.loyaltyEngineRedemptionDesk;
        return !desk?.guardsBasket(order) || desk.mayChangeBasket(order);
    },

    async setDiscountFromUI(line) {
        if (!(await this._loyaltyEngineMayChange(line.order_id))) {
            return;
        }
        return super.setDiscountFromUI(...arguments);
    },

    async selectPricelist() {
        if (!(await this._loyaltyEngineMayChange(this.getOrder()))) {
            return;
        }
        return super.selectPricelist(...arguments);
    },

    // Of pos_sale. It changes the customer before it adds the goods of a quotation.
    async _processSaleOrder() {
        if (!(await this._loyaltyEngineMayChange(this.getOrder()))) {
            return;
        }
        return super._processSaleOrder(...arguments);
    },

    // Of pos_restaurant. The lines of one order become another one's; what was redeemed can't follow.
    async mergeOrders(sourceOrder, destOrder) {
        const desk = this.loyaltyEngineRedemptionDesk;
        if (desk && !(await this._loyaltyEngineMayMerge(sourceOrder, destOrder))) {
            return destOrder;
        }
        const member = desk && sourceOrder.loyaltyEngineMember;
        const result = await super.mergeOrders(...arguments);
        if (member && !destOrder.loyaltyEngineMember) {
            destOrder.setLoyaltyEngineMember(member);
        }
        return result;
    },

    async _loyaltyEngineMayMerge(sourceOrder, destOrder) {
        // Whoever moves a table covers the screen meanwhile, and with it what is asked here.
        const isCovered = this.ui.isBlocked;
        if (isCovered) {
            this.ui.unblock();
        }
        try {
            for (const order of [sourceOrder, destOrder]) {
                await this.loyaltyEngineRedemptionBook.know(order);
                if (!(await this._loyaltyEngineMayChange(order))) {
                    return false;
                }
            }
            return await this.loyaltyEngineRedemptionDesk.mayDissolve(sourceOrder);
        } finally {
            if (isCovered) {
                this.ui.block();
            }
        }
    },

    // Each press brings a payment of its own along.
    async validateOrderFast() {
        const gate = this.loyaltyEnginePaymentGate;
        const order = this.getOrder();
        return gate?.standsBefore(order)
            ? gate.once(order, () => super.validateOrderFast(...arguments))
            : super.validateOrderFast(...arguments);
    },

    // --- Deleting ---

    async _onBeforeDeleteOrder(order) {
        const desk = this.loyaltyEngineRedemptionDesk;
        // What the device synchronisation gives up, another device has: nobody is asked.
        const isMeant =
            !desk || this.deviceSync.loyaltyEngineIsLoading || (await desk.isDeletionMeant(order));
        if (!isMeant || (desk && !(await desk.mayDelete(order)))) {
            return false;
        }
        return super._onBeforeDeleteOrder(...arguments);
    },

    removeOrder(order) {
        const desk = this.loyaltyEngineRedemptionDesk;
        if (desk && !desk.mayRemove(order)) {
            return;
        }
        const result = super.removeOrder(...arguments);
        desk?.onRemoved(order);
        return result;
    },

    // The next customer gets another one.
    getEmptyOrder() {
        const order = super.getEmptyOrder(...arguments);
        return order.loyaltyEngineIsSomebodys ? this.addNewOrder() : order;
    },

    // In a restaurant the one order without a table is meant: one that is nobody's yet.
    createOrderIfNeeded(data) {
        const orders = this.models["pos.order"];
        const count = orders.length;
        const order = super.createOrderIfNeeded(...arguments);
        const isNew = orders.length > count;
        return isNew || !order.loyaltyEngineIsSomebodys
            ? order
            : orders.find((one) => one.isDirectSale && !one.loyaltyEngineIsSomebodys) ||
                  this.createNewOrder(data);
    },

    // Of pos_restaurant: a free table gets an order that has no lines and no table.
    async setTable(table) {
        const isTaken = table.getOrders().some((order) => !order.finalized);
        const isSomebodys = (order) =>
            !order.finalized &&
            !order.table_id &&
            !order.lines.length &&
            order.loyaltyEngineIsSomebodys;
        if (isTaken || !this.models["pos.order"].some(isSomebodys)) {
            return super.setTable(...arguments);
        }
        this.deviceSync.readDataFromServer();
        this.addNewOrder({ table_id: table });
    },

    async printReceipt({ basic = false, order = this.getOrder() } = {}) {
        if (!basic) {
            await this.readLoyaltyEngineReceipt(order);
        }
        return super.printReceipt(...arguments);
    },

    /** Know what a receipt tells of points and vouchers. Waits half a second at most. */
    async readLoyaltyEngineReceipt(order) {
        if (this.loyaltyEngineDesk) {
            await Promise.all([
                this.loyaltyEngineDesk.readReceipt(order),
                this.loyaltyEngineRedemptionBook.readReceipt(order),
            ]);
        }
    },
});

import { markRaw } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { PosStore } from "@point_of_sale/app/services/pos_store";
import { LoyaltyEngineService } from "@pos_loyalty_engine/app/services/loyalty_engine_service";
import { MemberDesk } from "@pos_loyalty_engine/app/services/member_desk";

patch(PosStore.prototype, {
    async processServerData() {
        const result = await super.processServerData(...arguments);
        const connection = this.config._loyalty_engine;
        // Null where no connection is set: then nothing in this module does anything.
        this.loyaltyEngineDesk = connection
            ? markRaw(
                  new MemberDesk(
                      this,
                      new LoyaltyEngineService({
                          configId: this.config.id,
                          sessionId: () => this.session.id,
                          timeLimit: connection.time_limit,
                          isOffline: () => this.data.network.offline,
                      })
                  )
              )
            : null;
        if (this.barcodeReader) {
            this.barcodeReader.loyaltyEngineDesk = this.loyaltyEngineDesk;
        }
        return result;
    },

    setPartnerToCurrentOrder() {
        const order = this.getOrder();
        const previous = order.partner_id;
        const result = super.setPartnerToCurrentOrder(...arguments);
        this.loyaltyEngineDesk?.onCustomerChanged(order, previous);
        return result;
    },

    async preSyncAllOrders(orders) {
        const result = await super.preSyncAllOrders(...arguments);
        if (this.loyaltyEngineDesk) {
            orders.forEach((order) => (order.uiState.loyaltyEngine.unsent = null));
        }
        return result;
    },

    // The server's answer replaces the whole order, and with it a member that came in the meantime.
    async postSyncAllOrders(orders) {
        const result = await super.postSyncAllOrders(...arguments);
        if (this.loyaltyEngineDesk) {
            orders.forEach((order) => order.restoreLoyaltyEngineMember());
        }
        return result;
    },

    // An order without lines but with a member is somebody's: the next customer gets another one.
    getEmptyOrder() {
        const order = super.getEmptyOrder(...arguments);
        return order.loyaltyEngineMember ? this.addNewOrder() : order;
    },

    async printReceipt({ basic = false, order = this.getOrder() } = {}) {
        if (!basic) {
            await this.loyaltyEngineDesk?.readReceipt(order);
        }
        return super.printReceipt(...arguments);
    },
});

import { ConnectionLostError, RPCError } from "@web/core/network/rpc";
import { _t } from "@web/core/l10n/translation";
import { browser } from "@web/core/browser/browser";
import { ask, makeAwaitable } from "@point_of_sale/app/utils/make_awaitable_dialog";
import { PartnerList } from "@point_of_sale/app/screens/partner_list/partner_list";
import { openPopup } from "@pos_loyalty_engine/app/utils/popups";
import { holdInWords } from "@pos_loyalty_engine/app/utils/redemption_words";
import { formatPoints, inWords, keptInWords } from "@pos_loyalty_engine/app/utils/member_words";

// The engine has answered, and there is no member to put on the order.
const NO_MEMBER = new Set(["unknown", "ambiguous", "restricted"]);

// The engine could not be asked.
const ENGINE_TROUBLE = new Set(["slow", "down", "limited", "refused", "offline", "failed"]);

// A code of which the documentation says that it names a member: the engine's id (a UUID) or the
// account number of 7 digits (D-TX). Other codes may be members' too (auth identifiers).
const MEMBER_CODE = /^(\d{7}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

// Barcodes that a shop makes itself, with a number in them: nobody's card
const SHOP_TYPES = new Set(["weight", "price", "discount", "quantity"]);

// Where a member may be identified
const SCREENS = new Set(["ProductScreen", "PaymentScreen"]);

const REMEMBERED = 200;
// Milliseconds
const STRANGER_FOR = 10 * 60 * 1000;
// Somebody may just have become a member.
const NEW_MEMBER_AFTER = 30 * 1000;
const PAUSE_AFTER_TROUBLE = 60 * 1000;
const RECEIPT_LOOKS = [1000, 3000];

/**
 * What happens to the member of an order: looked up, kept, changed, removed, linked to a customer.
 *
 * Nothing here holds up a sale. A look-up runs beside the cashier's work and its answer goes to the
 * order that it was made for, if that order still waits for it.
 */
export class MemberDesk {
    /**
     * @param {import("@point_of_sale/app/services/pos_store").PosStore} pos
     * @param {import("./loyalty_engine_service").LoyaltyEngineService} service
     */
    constructor(pos, service) {
        this.pos = pos;
        this.service = service;
        // By order uuid, the one look-up whose answer still counts
        this.lookups = new Map();
        // By order uuid, the member whose wallet was fetched without being asked for
        this.fetched = new Map();
        // By code that nobody has, until when (ms) it is not asked again
        this.strangers = new Map();
        // Until when (ms) codes that no product has are not offered to the engine
        this.pausedUntil = 0;
        // By order uuid, the running question what a sale has earned
        this.receipts = new Map();
    }

    /** @returns {import("./redemption_desk").RedemptionDesk} */
    get redemptions() {
        return this.pos.loyaltyEngineRedemptionDesk;
    }

    // --- Identify ---

    /**
     * Look up a member for an order, the current one if nothing else is said. The code is on the
     * order at once, as a claim, so that a sale that is paid before the answer comes is reported
     * for it; it is taken off again if nobody has it.
     *
     * @param {string} code as scanned or typed
     * @param {Object} [options]
     * @param {Object} [options.order]
     * @param {boolean} [options.isSilent] the caller tells the cashier the result
     * @param {"scan" | "typed" | "picked"} [options.presented] where the code comes from
     * @returns {Promise<{status: string, retryAfter?: number}>} as of the service; "superseded"
     *  when the answer came too late to matter
     */
    async identify(
        code,
        { order = this.pos.getOrder(), isSilent = false, presented = "picked" } = {}
    ) {
        if (order.finalized) {
            this.pos.notification.add(this.redemptions.whyNot(order), { type: "warning" });
            return { status: "superseded" };
        }
        if (!order.loyaltyEngineIsBusy && this._mustStay(order, code)) {
            return { status: "superseded" };
        }
        const pending = this.lookups.get(order.uuid);
        const before = pending ? pending.before : this._snapshot(order);
        const isSame = before && [before.code, before.ref].includes(code);
        if (!this._isKeptFor(order)) {
            order.setLoyaltyEngineMember(isSame ? before : { code });
        }
        const answer = await this._lookUp(order, code, before);
        if (answer.status === "superseded") {
            return answer;
        }
        if (this._mustStay(order, code, before)) {
            order.setLoyaltyEngineMember(before || {});
            return { status: "superseded" };
        }
        if (answer.status === "found") {
            // Asking again takes nothing from a card that was shown.
            const isShown = isSame && presented === "picked";
            this._welcome(order, isSame ? before.code : code, answer, !isShown && presented);
        } else if (NO_MEMBER.has(answer.status)) {
            order.setLoyaltyEngineMember(isSame ? {} : before || {});
        } else if (isSame && before.ref) {
            order.setLoyaltyEngineMember(before);
        } else {
            this._keepUnchecked(order, code, answer.status);
        }
        this._markFetched(order);
        if (!isSilent && answer.status !== "found") {
            this.tell(answer, code, order);
        }
        return answer;
    }

    /**
     * Whether a scanned code that nothing in the shop has is worth asking the engine. Not while a
     * look-up runs, but for a member's code, not again for a while for a code that nobody had, and not
     * soon after the engine failed to answer: a product that is missing in the shop must not flood it.
     *
     * @param {{code: string, type: string}} parsed as the barcode reader has read it
     */
    mayOffer({ code, type, ai }) {
        const order = this.pos.getOrder();
        const lookup = order && this.lookups.get(order.uuid);
        const now = Date.now();
        return Boolean(
            code &&
                !ai &&
                !SHOP_TYPES.has(type) &&
                !this._isProduct(code) &&
                SCREENS.has(this.pos.router.state.current) &&
                order &&
                !order.finalized &&
                (!lookup || lookup.code === code || this._isMembers(code)) &&
                (now >= this.pausedUntil || this._isMembers(code)) &&
                now >= (this.strangers.get(code) || 0)
        );
    }

    /** Whether the shop itself sells under a code, though nobody takes it on this screen. */
    _isProduct(code) {
        return ["product.product", "product.uom"].some((model) =>
            this.pos.models[model]?.getBy("barcode", code)
        );
    }

    /** Whether a code is surely a member's. Other members' codes look like any product's. */
    _isMembers(code) {
        const prefix = this.pos.config._loyalty_engine.member_code_prefix;
        return (
            MEMBER_CODE.test(code) ||
            Boolean(prefix && code.startsWith(prefix) && code.length > prefix.length)
        );
    }

    /**
     * Ask the engine about a scanned code that nothing in the shop has.
     *
     * @param {string} code
     * @param {() => any} notFound says what the point of sale says of an unknown code
     */
    async offer(code, notFound) {
        const order = this.pos.getOrder();
        const lookup = this.lookups.get(order.uuid);
        if (lookup?.code === code) {
            // Scanned twice
            return;
        }
        const before = lookup ? lookup.before : this._snapshot(order);
        // As a claim, so that a sale that is paid before the answer comes is reported for it.
        const isClaimed = !before?.ref && this._isMembers(code) && !this._isKeptFor(order);
        if (isClaimed) {
            order.setLoyaltyEngineMember({ code });
        }
        const isGuess = !this._isMembers(code);
        const answer = await this._lookUp(order, code, before, { isGuess });
        if (answer.status === "superseded") {
            return;
        }
        if (isClaimed || lookup) {
            order.setLoyaltyEngineMember(before || {});
        }
        if (answer.status === "found") {
            if (!this._mustStay(order, code)) {
                this._welcome(order, code, answer, "scan");
            }
        } else if (answer.status === "unknown") {
            await this._offerAsVoucher(order, code, notFound);
        } else if (NO_MEMBER.has(answer.status)) {
            this.tell(answer, code, order);
        } else {
            this._pauseAfter(isGuess ? answer : {});
            if (isGuess) {
                await notFound();
            } else if (!before?.ref && before?.code !== code && !this._mustStay(order, code)) {
                // It may be a product's, too: a member who is known stays.
                this._keepUnchecked(order, code, answer.status);
            }
            this.tell(answer, code, order);
        }
    }

    /** Whether something is on an order, or being done with it, for the member who is there. */
    _isKeptFor(order) {
        return order.loyaltyEngineIsBusy || this.redemptions.holdsForMember(order);
    }

    /**
     * No member has it, so it may be a voucher. In this order because a member is only looked up,
     * while the check of a voucher leaves a trace at the engine.
     */
    async _offerAsVoucher(order, code, notFound) {
        const answer = await this.redemptions.offer(order, code);
        if (answer?.status === "rejected") {
            // Or a product's that the shop has not got
            remember(this.strangers, code, Date.now() + NEW_MEMBER_AFTER);
            await notFound();
            this.pos.notification.add(holdInWords(answer), { type: "warning" });
            return;
        }
        if (answer && answer.status !== "unknown") {
            if (answer.status !== "held") {
                if (ENGINE_TROUBLE.has(answer.status)) {
                    this._pauseAfter(answer);
                }
                this.pos.notification.add(holdInWords(answer), { type: "warning" });
            }
            return;
        }
        const pause = this._isMembers(code) ? NEW_MEMBER_AFTER : STRANGER_FOR;
        remember(this.strangers, code, Date.now() + pause);
        await notFound();
        if (answer) {
            this.pos.notification.add(
                _t('Neither a member nor a voucher has the code "%s".', code),
                { type: "warning" }
            );
        } else {
            this.tell({ status: "unknown" }, code, order);
        }
    }

    /** Codes that nobody says are a member's can wait: told once, and not with each scan. */
    _pauseAfter({ retryAfter }) {
        this.pausedUntil = Date.now() + (retryAfter * 1000 || PAUSE_AFTER_TROUBLE);
    }

    /** Put a code on the order that could not be checked: it may be another member's. */
    _keepUnchecked(order, code, trouble) {
        order.setLoyaltyEngineMember({ code, trouble });
        this.redemptions.onMemberChanged(order, "");
    }

    /** Whether another code can't take the place of the member; then the cashier is told why. */
    _mustStay(order, code, member = order.loyaltyEngineMember) {
        const { code: present, ref } = member || {};
        const words = this.redemptions.whyMemberStays(order);
        if (!words || [present, ref].includes(code)) {
            return false;
        }
        this.pos.notification.add(words, { type: "warning" });
        return true;
    }

    /**
     * Ask again for the wallet, or for a code that could not be checked.
     *
     * @param {Object} order
     */
    refresh(order) {
        const { ref, code } = order.loyaltyEngineMember;
        return this.identify(ref || code, { order });
    }

    /**
     * Fetch the wallet of a member that came with the order (after a reload, from another till).
     * Once for each member of an order; whoever wants it again refreshes.
     *
     * @param {Object} order
     */
    ensureWallet(order) {
        const member = order.loyaltyEngineMember;
        const isFetched = this.fetched.get(order.uuid) === fetchKey(member);
        if (
            !member ||
            member.wallet ||
            order.finalized ||
            isFetched ||
            this.lookups.has(order.uuid)
        ) {
            return;
        }
        this._markFetched(order);
        return this._recheck(order);
    }

    _markFetched(order) {
        remember(this.fetched, order.uuid, fetchKey(order.loyaltyEngineMember));
    }

    /**
     * Check a code that was scanned while the till was offline, now that it no longer is.
     *
     * @param {Object} order
     */
    onOnline(order) {
        const member = order.loyaltyEngineMember;
        if (member && !member.ref && !order.finalized && !this.lookups.has(order.uuid)) {
            return this._recheck(order);
        }
    }

    async _recheck(order) {
        const { ref, code } = order.loyaltyEngineMember;
        const answer = await this.identify(ref || code, { order, isSilent: true });
        if (NO_MEMBER.has(answer.status)) {
            this.tell(answer, code, order);
        }
    }

    /**
     * Take the member off an order.
     *
     * @param {Object} order
     */
    remove(order) {
        if (this._mustStay(order)) {
            return;
        }
        this._settle(order);
        order.setLoyaltyEngineMember();
        return this.redemptions.onMemberChanged(order, "");
    }

    /**
     * Let the cashier type a code.
     *
     * @param {Object} order
     */
    openPopup(order) {
        openPopup(this.pos, "MemberPopup", {
            identify: (code, presented) =>
                this.identify(code, { order, isSilent: true, presented }),
            tell: (answer, code) => this.tell(answer, code, order),
        });
    }

    /**
     * Tell the cashier what came of a look-up. A notification: nothing to close while selling.
     *
     * @param {{status: string}} answer
     * @param {string} code
     * @param {Object} order
     */
    tell(answer, code, order) {
        const member = order.loyaltyEngineMember;
        const isKept = !NO_MEMBER.has(answer.status) && member?.code === code && !member.ref;
        const words = inWords(answer, code);
        const kept = keptInWords(order.loyaltyEngineConnection?.is_reporting);
        this.pos.notification.add(isKept ? `${words} ${kept}` : words, { type: "warning" });
    }

    /** The one place that waits for the engine to say who somebody is. */
    async _lookUp(order, code, before, options) {
        const lookup = { before, code };
        this.lookups.set(order.uuid, lookup);
        order.uiState.loyaltyEngine.lookingUp = code;
        // What is being done for the order is done for the member who is on it.
        await this.redemptions.steps.untilFree(order);
        const answer = await this.service.identify(code, options);
        await this.redemptions.steps.untilFree(order);
        // Another scan came, the member was removed, or the order is paid or gone.
        const isWanted =
            this.lookups.get(order.uuid) === lookup &&
            !order.finalized &&
            this.pos.models["pos.order"].getBy("uuid", order.uuid);
        if (!isWanted) {
            if (this.lookups.get(order.uuid) === lookup) {
                this._settle(order);
            }
            return { status: "superseded" };
        }
        this._settle(order);
        return answer;
    }

    _settle(order) {
        this.lookups.delete(order.uuid);
        order.uiState.loyaltyEngine.lookingUp = false;
    }

    _isCurrent(order) {
        return order.uuid === this.pos.selectedOrderUuid;
    }

    _snapshot(order) {
        return order.loyaltyEngineMember && { ...order.loyaltyEngineMember };
    }

    _welcome(order, code, { member, partnerId }, presented) {
        const wallet = {
            ...member,
            isLinked: Boolean(partnerId),
            seenAt: Date.now(),
            spentBefore: this.redemptions.spentPoints(order),
        };
        if (presented) {
            order.uiState.loyaltyEngine.presented = { code, how: presented };
        }
        order.setLoyaltyEngineMember({ code, ref: member.ref, wallet });
        this.redemptions.onMemberChanged(order, member.ref);
        if (this.pos.ui.isSmall && this._isCurrent(order)) {
            // On a phone the order is not beside the products.
            const parts = [member.tier, member.name || member.accountNumber];
            if (member.points !== null) {
                parts.push(_t("%s points", formatPoints(member.points)));
            }
            this.pos.notification.add(parts.filter(Boolean).join(" · "), { type: "success" });
        }
        return this._selectCustomer(order, member.ref, partnerId);
    }

    // --- Customers ---

    /**
     * Follow the customer: a linked one brings a member, and takes it along.
     *
     * @param {Object} order
     */
    onCustomerChanged(order) {
        if (!order || order.finalized) {
            return;
        }
        const ref = order.loyaltyEngineCustomersRef;
        const { customersRef: brought, lookingUp } = order.uiState.loyaltyEngine;
        if (brought && lookingUp === brought && ref !== brought) {
            // The answer would bring the former customer back.
            const before = this.lookups.get(order.uuid)?.before;
            this._settle(order);
            order.setLoyaltyEngineMember(before || {});
        }
        order.uiState.loyaltyEngine.customersRef = ref;
        const member = order.loyaltyEngineMember;
        if (ref && member && [member.ref, member.code].includes(ref)) {
            return;
        }
        // A member that was scanned or typed stays whoever the customer is.
        if (member && member.code === brought) {
            this.remove(order);
        }
        if (ref) {
            this.identify(ref, { order });
        }
    }

    /**
     * Link the order's member to a customer: the order's own if it has one, else one to choose.
     *
     * @param {Object} order
     */
    async linkCustomer(order) {
        const { ref, wallet } = order.loyaltyEngineMember;
        const partner = await this._chooseCustomer(order, wallet);
        if (!partner) {
            return;
        }
        const { status } = await this.service.linkCustomer(ref, partner.id);
        if (status !== "linked") {
            this.pos.notification.add(
                status === "taken"
                    ? _t("%s or this member is already linked to somebody else.", partner.name)
                    : inWords({ status }, ref),
                { type: "warning" }
            );
            return;
        }
        this.pos.notification.add(_t("%s is now linked to this member.", partner.name), {
            type: "success",
        });
        await this._readPartner(partner.id);
        if (order.loyaltyEngineMember?.wallet?.ref === ref && !order.finalized) {
            order.uiState.loyaltyEngine.wallet.isLinked = true;
            await this._selectCustomer(order, ref, partner.id);
        }
    }

    async _chooseCustomer(order, wallet) {
        const partner = order.partner_id;
        if (!partner) {
            return makeAwaitable(this.pos.dialog, PartnerList, { partner: null });
        }
        const isSure = await ask(this.pos.dialog, {
            title: _t("Link this customer"),
            body: _t("Is %(customer)s the member %(member)s?", {
                customer: partner.name,
                member: wallet.name || wallet.accountNumber || wallet.ref,
            }),
            confirmLabel: _t("Link"),
            cancelLabel: _t("Discard"),
        });
        return isSure && partner;
    }

    async _selectCustomer(order, ref, partnerId) {
        // An invoice and a return are for the customer that they are for.
        const isBound = order.partner_id && (order.isToInvoice() || order.getHasRefundLines());
        if (!partnerId || order.partner_id?.id === partnerId || isBound) {
            return;
        }
        const partner =
            this.pos.models["res.partner"].get(partnerId) || (await this._readPartner(partnerId));
        // A customer's price list would not come along now.
        await this.redemptions.steps.untilFree(order);
        if (!partner || order.finalized || order.loyaltyEngineMember?.ref !== ref) {
            return;
        }
        if (this._isCurrent(order)) {
            this.pos.setPartnerToCurrentOrder(partner);
        } else {
            order.setPartner(partner);
        }
    }

    async _readPartner(partnerId) {
        try {
            const partners = await this.pos.data.read("res.partner", [partnerId]);
            return partners[0];
        } catch (error) {
            // The sale goes on with the member alone.
            if (!(error instanceof ConnectionLostError || error instanceof RPCError)) {
                throw error;
            }
        }
    }

    // --- Receipt ---

    /**
     * Learn what a paid order has earned, for its receipt. Waits half a second at most.
     *
     * @param {Object} order
     */
    async readReceipt(order) {
        const isKnown = order.uiState.loyaltyEngine.receipt?.pointsEarned != null;
        if (!order.loyaltyEngineMember || !order.finalized || !order.isSynced || isKnown) {
            return;
        }
        if (!this.receipts.has(order.uuid)) {
            this.receipts.set(order.uuid, this.service.receipt(order.uuid));
        }
        try {
            const answer = await this.receipts.get(order.uuid);
            if (answer.pointsEarned !== null || answer.points !== null || answer.isNobodys) {
                order.uiState.loyaltyEngine.receipt = answer;
            }
        } finally {
            this.receipts.delete(order.uuid);
        }
    }

    /**
     * Keep a shown receipt up to date: a few looks, then never again.
     *
     * @param {Object} order
     * @returns {() => void} to stop looking
     */
    followReceipt(order) {
        const timers = RECEIPT_LOOKS.map((delay) =>
            browser.setTimeout(() => this.readReceipt(order), delay)
        );
        return () => timers.forEach((timer) => browser.clearTimeout(timer));
    }
}

function fetchKey(member) {
    return member && `${member.code} ${member.ref}`;
}

/** Keep the newest entries only: a till may run for weeks. */
function remember(map, key, value) {
    map.delete(key);
    map.set(key, value);
    if (map.size > REMEMBERED) {
        map.delete(map.keys().next().value);
    }
}

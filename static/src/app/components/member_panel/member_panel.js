import { Component, useEffect, useExternalListener, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { browser } from "@web/core/browser/browser";
import { useDebounced } from "@web/core/utils/timing";
import { RedemptionList } from "@pos_loyalty_engine/app/components/redemption_list/redemption_list";
import { usePos } from "@point_of_sale/app/hooks/pos_hook";
import {
    ageInWords,
    formatPoints,
    formatTime,
    inWords,
} from "@pos_loyalty_engine/app/utils/member_words";

// Seconds after which a balance is no longer taken for granted
const STALE = 300;
// Milliseconds without a change of the basket
const AT_REST = 300;

/**
 * Follows the basket by itself, and once that rests: with each product it would have the browser lay out
 * the whole order a second time.
 */
class EstimatedPoints extends Component {
    static template = "pos_loyalty_engine.EstimatedPoints";
    static props = { order: Object };

    setup() {
        this.formatPoints = formatPoints;
        this.state = useState({ points: this.estimate });
        const show = useDebounced((points) => (this.state.points = points), AT_REST);
        useEffect(
            (points) => {
                show(points);
            },
            () => [this.estimate]
        );
    }

    get estimate() {
        return this.props.order.loyaltyEngineEstimatedPoints;
    }
}

/** One line about the member of an order, and what the cashier can do about it. */
export class MemberPanel extends Component {
    static template = "pos_loyalty_engine.MemberPanel";
    static components = { EstimatedPoints, RedemptionList };
    static props = { order: Object };

    setup() {
        this.pos = usePos();
        this.desk = this.pos.loyaltyEngineDesk;
        this.redemptionDesk = this.pos.loyaltyEngineRedemptionDesk;
        this.state = useState({ now: Date.now() });
        this.formatPoints = formatPoints;
        useEffect(
            (orderUuid, code, ref) => {
                this.desk.ensureWallet(this.props.order);
            },
            () => [this.props.order.uuid, this.member?.code, this.member?.ref]
        );
        useEffect(
            (seenAt) => seenAt && this._watchAge(seenAt),
            () => [this.wallet?.seenAt]
        );
        useEffect(
            () => {
                this.redemptionDesk.book.ensure(this.props.order);
            },
            () => [this.props.order.uuid, this.props.order.isSynced]
        );
        useExternalListener(window, "pos-network-online", () => {
            this.desk.onOnline(this.props.order);
            this.redemptionDesk.book.ensure(this.props.order);
        });
    }

    get member() {
        return this.props.order.loyaltyEngineMember;
    }

    get wallet() {
        return this.member?.wallet;
    }

    get lookingUp() {
        return this.props.order.uiState.loyaltyEngine.lookingUp;
    }

    get name() {
        return this.wallet.name || this.wallet.accountNumber || this.member.code;
    }

    get age() {
        return Math.max(0, (this.state.now - this.wallet.seenAt) / 1000);
    }

    get isStale() {
        return this.age > STALE;
    }

    get ageInWords() {
        return ageInWords(this.age);
    }

    get refreshTitle() {
        return _t("Balance of %s. Ask again", formatTime(this.wallet.readAt));
    }

    get troubleInWords() {
        return this.member.trouble
            ? inWords({ status: this.member.trouble }, this.member.code)
            : "";
    }

    /** One timer, as slow as the shown age allows: every 5 s, after a minute every minute. */
    _watchAge(seenAt) {
        let timer;
        const tick = () => {
            this.state.now = Date.now();
            timer = browser.setTimeout(tick, this.state.now - seenAt < 60000 ? 5000 : 60000);
        };
        tick();
        return () => browser.clearTimeout(timer);
    }

    // --- Vouchers and points ---

    get offersVouchers() {
        return this.redemptionDesk.offersVouchers(this.props.order);
    }

    get offersPoints() {
        return this.redemptionDesk.offersPoints(this.props.order);
    }

    get hasRedemptions() {
        return this.props.order.loyaltyEngineShown.length > 0;
    }

    get hasExplanation() {
        return this.props.order.loyaltyEngineExplanation.length > 0;
    }

    openVouchers() {
        this.redemptionDesk.openVouchers(this.props.order);
    }

    openPoints() {
        this.redemptionDesk.openPoints(this.props.order);
    }

    explain() {
        this.redemptionDesk.openExplanation(this.props.order);
    }

    identify() {
        this.desk.openPopup(this.props.order);
    }

    refresh() {
        this.desk.refresh(this.props.order);
    }

    remove() {
        this.desk.remove(this.props.order);
    }

    linkCustomer() {
        this.desk.linkCustomer(this.props.order);
    }
}

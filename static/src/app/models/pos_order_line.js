import { patch } from "@web/core/utils/patch";
import { _t } from "@web/core/l10n/translation";
import { PosOrderline } from "@point_of_sale/app/models/pos_order_line";
import { fixedLineInWords } from "@pos_loyalty_engine/app/utils/discount_words";

patch(PosOrderline.prototype, {
    /** Whether this line is the discount of a redemption (and no copy or refund of such a line). */
    get isLoyaltyEngineDiscount() {
        return Boolean(this.loyalty_engine_redemption);
    },

    /** Whether a voucher may be on this line: not returns, other discounts, tips and top-ups. */
    get isLoyaltyEngineGoods() {
        return (
            !this.isLoyaltyEngineDiscount &&
            this.qty > 0 &&
            this.price_unit > 0 &&
            !this.isTipLine() &&
            !this.config._pos_special_products_ids?.includes(this.product_id.id)
        );
    },

    /** The goods that this discount is on; what is not told of is on all of them. */
    get loyaltyEngineGoods() {
        const { lines } = this.order_id;
        const parts = this.loyalty_engine_details?.parts || {};
        const goods = lines.filter(({ uuid }) => parts[uuid]);
        return goods.length ? goods : lines.filter((line) => line.isLoyaltyEngineGoods);
    },

    /**
     * What the engine may call this line's product: its SKU, and its category and the ones above
     * that, each by its full name ("Drinks / Coffee") and by its own.
     */
    get loyaltyEngineCodes() {
        const sku = this.product_id[this.order_id.loyaltyEngineConnection?.sku_source];
        const names = [];
        for (let category = this.product_id.product_tmpl_id?.categ_id; category; ) {
            names.unshift(category.name);
            category = category.parent_id;
        }
        const paths = names.map((_name, i) => names.slice(0, i + 1).join(" / "));
        return [sku, ...paths, ...names].filter(Boolean);
    },

    // The name of the voucher: Odoo would set the product's each time the line is loaded.
    setFullProductName() {
        if (!this.isLoyaltyEngineDiscount || !this.full_product_name) {
            super.setFullProductName(...arguments);
        }
    },

    get orderDisplayProductName() {
        return this.isLoyaltyEngineDiscount
            ? { name: this.full_product_name, attributeString: "" }
            : super.orderDisplayProductName;
    },

    // A discount that is given back comes to what it was, to the cent, also in its taxes. Odoo keeps
    // these for the other sign, as the server reads them.
    getBaseLine(opts = {}) {
        const { extra_tax_data, refunded_orderline_id } = this;
        return refunded_orderline_id?.isLoyaltyEngineDiscount && extra_tax_data
            ? super.getBaseLine({ ...opts, extra_tax_data: reversed(extra_tax_data) })
            : super.getBaseLine(...arguments);
    },

    canBeMergedWith(orderline) {
        return (
            !this.isLoyaltyEngineDiscount &&
            !orderline.isLoyaltyEngineDiscount &&
            super.canBeMergedWith(...arguments)
        );
    },

    setQuantity() {
        return this.isLoyaltyEngineDiscount
            ? { title: _t("Loyalty discount"), body: fixedLineInWords() }
            : super.setQuantity(...arguments);
    },

    setDiscount() {
        return this.isLoyaltyEngineDiscount ? undefined : super.setDiscount(...arguments);
    },

    setUnitPrice() {
        return this.isLoyaltyEngineDiscount ? undefined : super.setUnitPrice(...arguments);
    },

    // Of pos_discount: it works on the goods, and ours take what it leaves.
    isGlobalDiscountApplicable() {
        return (
            !this.isLoyaltyEngineDiscount &&
            (super.isGlobalDiscountApplicable?.(...arguments) ?? true)
        );
    },
});

const AMOUNTS = new Set([
    "quantity",
    "manual_total_excluded",
    "manual_total_excluded_currency",
    "base_amount",
    "base_amount_currency",
    "tax_amount",
    "tax_amount_currency",
]);

/** The same taxes of the opposite quantity: amounts, also those of each tax below them. */
function reversed(data) {
    const turn = (name, value) => {
        if (value && typeof value === "object") {
            return reversed(value);
        }
        return AMOUNTS.has(name) ? value && -value : value;
    };
    return Object.fromEntries(
        Object.entries(data).map(([name, value]) => [name, turn(name, value)])
    );
}

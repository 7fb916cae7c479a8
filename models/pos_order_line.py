from odoo import api, fields, models

from .pos_config import is_self_order


class PosOrderLine(models.Model):
    _inherit = "pos.order.line"

    # Written by the till: a claim, which the ledger confirms or not. A copy claims nothing.
    loyalty_engine_redemption = fields.Char(
        string="Redemption",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="The redemption that this line is the discount of.",
    )

    _loyalty_engine_claims_idx = models.Index(
        "(create_date) WHERE loyalty_engine_redemption IS NOT NULL"
    )

    # A claim too: {"kind", "points", "parts": {uuid of a line with goods: money off it}}.
    loyalty_engine_details = fields.Json(copy=False, readonly=True)

    @api.model
    def _load_pos_data_fields(self, config):
        names = super()._load_pos_data_fields(config)
        if is_self_order():
            return names
        return [*names, "loyalty_engine_redemption", "loyalty_engine_details"]

    def _loyalty_engine_codes(self, sku_source):
        """What the engine may call this line's product: its SKU, and its category and the ones
        above that, each by its full name ("Drinks / Coffee") and by its own."""
        codes = [self.product_id[sku_source]]
        category = self.product_id.categ_id
        while category:
            codes += [category.complete_name, category.name]
            category = category.parent_id
        return tuple(code for code in codes if code)

    def _loyalty_engine_combo(self, sku_source):
        """The set that this line is a part of: its key, quantity and codes; or None."""
        parent = self.combo_parent_id
        if not parent:
            return None
        return parent.uuid, parent.qty, parent._loyalty_engine_codes(sku_source)

    def _loyalty_engine_detail(self, name, kind, default):
        """A part of what the till claims of this discount, if it is of the right kind."""
        details = self.loyalty_engine_details
        value = details.get(name) if isinstance(details, dict) else None
        return value if isinstance(value, kind) else default

    def _loyalty_engine_part_on(self, line):
        """How much money of this discount is off ``line``, as the till claims it; 0 = nothing."""
        part = self._loyalty_engine_detail("parts", dict, {}).get(line.uuid)
        return max(0, part) if isinstance(part, int | float) else 0

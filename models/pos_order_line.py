from odoo import api, fields, models


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

    @api.model
    def _load_pos_data_fields(self, config):
        return [*super()._load_pos_data_fields(config), "loyalty_engine_redemption"]

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

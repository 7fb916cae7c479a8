from odoo import fields, models


class PosOrderLine(models.Model):
    _inherit = "pos.order.line"

    # Written by the till: a claim.
    loyalty_engine_redemption = fields.Char(
        string="Redemption", copy=False, readonly=True, index="btree_not_null"
    )

from odoo import fields, models


class PosPayment(models.Model):
    _inherit = "pos.payment"

    # Written by the till: a claim.
    loyalty_engine_redemption = fields.Char(
        string="Redemption", copy=False, readonly=True, index="btree_not_null"
    )

from odoo import fields, models


class PosPayment(models.Model):
    _inherit = "pos.payment"

    # Written by the till: claims.
    loyalty_engine_redemption = fields.Char(
        string="Redemption", copy=False, readonly=True, index="btree_not_null"
    )
    _loyalty_engine_claims_idx = models.Index(
        "(create_date) WHERE loyalty_engine_redemption IS NOT NULL"
    )
    loyalty_engine_points = fields.Float(
        string="Points",
        copy=False,
        readonly=True,
        digits=(16, 4),
        help="Points that this payment took; below 0 where it gave points back.",
    )

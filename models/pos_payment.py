from odoo import api, fields, models
from odoo.exceptions import UserError

from .pos_config import hide_from_guests


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

    @api.model
    def _load_pos_data_read(self, records, config):
        return hide_from_guests(super()._load_pos_data_read(records, config))

    # Points that were taken can't be exchanged for money in the back office, nor the other way
    # about: a member would have paid twice, or not at all. What a till has sold is stored as it is.

    def write(self, vals):
        if not self.env.context.get("is_sync_from_ui"):
            self._check_loyalty_engine_exchange(vals)
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_loyalty_engine(self):
        if not self.env.context.get("is_sync_from_ui"):
            self._check_loyalty_engine_exchange({"amount": 0})

    def _check_loyalty_engine_exchange(self, vals):
        """:raises UserError: where a paid order's points would become money, or money points"""
        method = self.env["pos.payment.method"].browse(vals.get("payment_method_id"))
        for payment in self:
            is_other = method and method != payment.payment_method_id
            is_changed = is_other or (
                "amount" in vals
                and payment.currency_id.compare_amounts(vals["amount"], payment.amount)
            )
            is_points = (is_changed and payment.loyalty_engine_redemption) or (
                is_other and method._is_loyalty_engine_points()
            )
            if is_points and payment.pos_order_id.state not in ("draft", "cancel"):
                raise UserError(
                    self.env._(
                        "Points are taken and given back at the till, where the member is: this "
                        "payment stays as it is. Return the goods to give the points back."
                    )
                )

from odoo import api, fields, models
from odoo.exceptions import UserError

from .pos_config import is_self_order


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
    def _load_pos_data_fields(self, config):
        names = super()._load_pos_data_fields(config)
        if not is_self_order():
            return names
        # No name would be all of them.
        names = names or self.fields_get(attributes=())
        return [name for name in names if not name.startswith("loyalty_engine_")]

    # Points that were taken can't be exchanged for money in the back office, nor the other way
    # about: a member would have paid twice, or not at all. What a till has sold is stored as it is.

    @api.model_create_multi
    def create(self, vals_list):
        payments = super().create(vals_list)
        if not self.env.context.get("is_sync_from_ui"):
            payments._check_loyalty_engine_taken()
        return payments

    def _check_loyalty_engine_taken(self):
        """:raises UserError: for points on a paid order that nobody has taken"""
        for payment in self:
            is_taken = payment.amount > 0 and payment.payment_method_id._is_loyalty_engine_points()
            if is_taken and payment.pos_order_id.state not in ("draft", "cancel"):
                raise UserError(
                    self.env._("Points are taken at the till: here nobody would take them.")
                )

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

from odoo import models
from odoo.exceptions import UserError


class PosMakePayment(models.TransientModel):
    _inherit = "pos.make.payment"

    def check(self):
        """:raises UserError: for a payment with points, which only a till can take"""
        if self.payment_method_id._is_loyalty_engine_points() and self.amount > 0:
            raise UserError(
                self.env._(
                    "Points are taken at the till, where the member is: nothing would be taken "
                    "from the member here."
                )
            )
        return super().check()

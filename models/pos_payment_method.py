from odoo import api, models
from odoo.exceptions import ValidationError

TERMINAL = "loyalty_engine"


class PosPaymentMethod(models.Model):
    _inherit = "pos.payment.method"

    def _get_payment_terminal_selection(self):
        return [
            *super()._get_payment_terminal_selection(),
            (TERMINAL, self.env._("Points (Loyalty Engine)")),
        ]

    def _is_loyalty_engine_points(self):
        """Whether this method takes points of members as tender."""
        self.ensure_one()
        return self.use_payment_terminal == TERMINAL

    @api.constrains("use_payment_terminal", "journal_id", "outstanding_account_id")
    def _check_loyalty_engine_books(self):
        """Points are no money: they go against what the shop owes its members.

        :raises ValidationError: where they would be booked as money at the bank
        """
        for method in self.filtered(lambda method: method._is_loyalty_engine_points()):
            if method.type != "bank" or not method.outstanding_account_id:
                raise ValidationError(
                    self.env._(
                        "%s takes points, so it needs a bank journal of its own and, as the "
                        "outstanding account, the account of what is owed to members. Set Up "
                        "Points as a Payment, in the points of the connection, makes both.",
                        method.name,
                    )
                )
        for journal in self.journal_id:
            methods = journal.with_context(active_test=False).pos_payment_method_ids
            points = methods.filtered(lambda method: method._is_loyalty_engine_points())
            if points and len(methods) > 1:
                raise ValidationError(
                    self.env._(
                        "%(method)s takes points, so the journal %(journal)s can't be another "
                        "payment method's as well.",
                        method=points[0].name,
                        journal=journal.name,
                    )
                )

    @api.constrains("use_payment_terminal", "config_ids", "active")
    def _check_loyalty_engine_configs(self):
        self.env["pos.config"].search(
            [
                ("company_id", "in", self.company_id.ids),
                ("loyalty_engine_points_booking", "=", "payment"),
            ]
        )._check_loyalty_engine_points_booking()

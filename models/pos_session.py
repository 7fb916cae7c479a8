import logging

from odoo import models
from odoo.tools import formatLang

from .loyalty_engine_redemption import LedgerBusy, decimal_of

_logger = logging.getLogger(__name__)

# States of the ledger in which points were taken for the order that carries them
TAKEN_STATES = ("spent", "settled")


class PosSession(models.Model):
    _inherit = "pos.session"

    def load_data_params(self):
        """A till starts, perhaps after it died: what it has left behind is looked at now."""
        if self.config_id.loyalty_engine_id:
            self.env["loyalty.engine.recovery"].sudo()._wake()
        return super().load_data_params()

    # Whoever closes a session counts what is there to count: points lie in no drawer, and no bank
    # tells how many came in. A type of its own keeps them out of the count, and of the differences.
    def get_closing_control_data(self):
        data = super().get_closing_control_data()
        points = self.payment_method_ids.filtered(lambda method: method._is_loyalty_engine_points())
        for method in data["non_cash_payment_methods"]:
            if method["id"] in points.ids:
                method["type"] = "loyalty_engine"
        return data

    def _create_combine_account_payment(self, payment_method, amounts, diff_amount):
        is_given = self.currency_id.compare_amounts(amounts["amount"], 0) < 0
        if not is_given or not payment_method._is_loyalty_engine_points():
            return super()._create_combine_account_payment(payment_method, amounts, diff_amount)
        # More was given back than taken. Odoo exchanges the accounts of such a payment and then
        # computes one of them anew, which leaves the receivable open. A payment that goes out needs
        # no exchange.
        receivable = self._get_receivable_account(payment_method)
        payment = (
            self.env["account.payment"]
            .with_context(pos_payment=True)
            .create(
                {
                    "amount": -amounts["amount"],
                    "payment_type": "outbound",
                    "journal_id": payment_method.journal_id.id,
                    "force_outstanding_account_id": payment_method.outstanding_account_id.id,
                    "destination_account_id": receivable.id,
                    "memo": self.env._(
                        "%(method)s given back in %(session)s",
                        method=payment_method.name,
                        session=self.name,
                    ),
                    "pos_payment_method_id": payment_method.id,
                    "pos_session_id": self.id,
                    "company_id": self.company_id.id,
                }
            )
        )
        payment.action_post()
        return payment.move_id.line_ids.filtered(lambda line: line.account_id == receivable)

    def _validate_session(self, *arguments, **values):
        result = super()._validate_session(*arguments, **values)
        if self.state == "closed":
            self.sudo()._loyalty_engine_check_books()
        return result

    # === The two books of points as a payment: Odoo's payments, and the ledger ===

    def _loyalty_engine_check_books(self):
        """Compare the points payments of a closed session with the ledger, and say what came of it
        in the session's messages; a difference becomes a case. Never stops the closing."""
        self.ensure_one()
        payments = self._get_closed_orders().payment_ids.filtered(
            lambda payment: (
                payment.payment_method_id._is_loyalty_engine_points() and payment.amount > 0
            )
        )
        if not payments or not self.config_id.loyalty_engine_id:
            return
        try:
            with self.env.cr.savepoint():
                differing = self._loyalty_engine_open_differences(payments)
        except LedgerBusy:
            _logger.warning("loyalty engine: ledger not compared with session %s", self.name)
            return
        except Exception:
            _logger.exception("loyalty engine: ledger not compared with session %s", self.name)
            return
        amount = formatLang(self.env, sum(payments.mapped("amount")), currency_obj=self.currency_id)
        self.message_post(
            body=self.env._(
                "Paid with points: %(amount)s in %(count)s payments; %(wrong)s of them are not in "
                "the ledger of redemptions like this. There is a case for each.",
                amount=amount,
                count=len(payments),
                wrong=len(differing),
            )
            if differing
            else self.env._(
                "Paid with points: %(amount)s in %(count)s payments, as in the ledger of "
                "redemptions.",
                amount=amount,
                count=len(payments),
            )
        )

    def _loyalty_engine_open_differences(self, payments):
        """Open a case for each payment that the ledger doesn't carry like this.

        :return: these payments
        """
        ledger = self.env["loyalty.engine.redemption"]
        engine = self.config_id.loyalty_engine_id
        # Through a cursor of the ledger's own: these orders were stored long ago.
        rows = {
            row["uuid"]: row
            for row in ledger._alone(
                "_rows",
                "redemption.engine_id = %(engine)s AND redemption.order_uuid IN %(orders)s",
                engine=engine.id,
                orders=tuple(payments.pos_order_id.mapped("uuid")),
            )
        }
        differing = payments.browse()
        for payment in payments:
            order, claim = payment.pos_order_id, payment.loyalty_engine_redemption or ""
            row = rows.get(claim)
            if not row or row["order_uuid"] != order.uuid or row["state"] not in TAKEN_STATES:
                kind, reference = "unbacked", f"{order.uuid} {claim}"
                what = self.env._(
                    "No points were taken for this payment. The sale stands as it is."
                )
            elif self.currency_id.compare_amounts(
                payment.amount, float(decimal_of(row["claimed_amount"]))
            ):
                # As recovery calls it, which may have found it first.
                kind, reference = "differs", claim
                what = self.env._(
                    "%(taken)s were taken for this payment of %(paid)s. The sale stands as it is.",
                    taken=formatLang(
                        self.env, row["claimed_amount"], currency_obj=self.currency_id
                    ),
                    paid=formatLang(self.env, payment.amount, currency_obj=self.currency_id),
                )
            else:
                continue
            differing |= payment
            self.env["loyalty.engine.case"]._open(
                engine,
                kind,
                reference,
                self.env._(
                    "A payment with points that the ledger has otherwise: %s",
                    order.pos_reference or order.name,
                ),
                what,
                config_id=self.config_id.id,
                order_uuid=order.uuid,
                member_ref=order.loyalty_engine_member_ref,
            )
        return differing

import logging
import uuid
from datetime import timedelta, timezone

from psycopg2.extras import Json

from odoo import api, models
from odoo.exceptions import UserError

from .pos_payment_method import TERMINAL

_logger = logging.getLogger(__name__)

# Makes the id of a refund of the id of its payment: always the same one, and no redemption's.
REFUND_NAMESPACE = uuid.UUID("0b8e6d0a-5d8c-4c57-9a55-4f0f0c9f2f6e")
# How far back the safety net looks for paid returns without a row in the outbox.
SAFETY_NET_DAYS = 60


class LoyaltyEngineReport(models.Model):
    """Points that a return gives back, because the sale was paid with points.

    The facts are frozen in the transaction of the return, with what is wanted; how much of it the
    sale allows is decided by recovery, where the ledger is: checking → waiting, or dead.
    """

    _inherit = "loyalty.engine.report"

    _unseen_refund_idx = models.Index(
        "(engine_id, due_at) WHERE kind = 'points_refund' AND state = 'sent'"
        " AND points_known IS NOT TRUE"
    )

    @api.model
    def _freeze_refunds(self, order):
        """Write down what a paid return gives back in points; never raises, never waits."""
        payments = order._loyalty_engine_refunds()
        if not payments:
            return
        self.env.flush_all()
        try:
            with self.env.cr.savepoint():
                for payment in payments:
                    self._insert_refund(payment)
                self.env["loyalty.engine.recovery"]._wake()
        except Exception:
            _logger.exception("loyalty engine: refund of order %s not written down", order.uuid)
            # The safety net finds paid returns without a row.

    @api.model
    def _refund_uuid(self, payment_uuid):
        return str(uuid.uuid5(REFUND_NAMESPACE, payment_uuid))

    @api.model
    def _insert_refund(self, payment):
        """:return: whether it was not there yet"""
        order = payment.pos_order_id
        config = order.config_id
        currency = order.currency_id
        refund_uuid = self._refund_uuid(payment.uuid)
        employee = order["employee_id"] if "employee_id" in order._fields else None
        return self._insert_row(
            engine_id=config.loyalty_engine_id.id,
            company_id=order.company_id.id,
            kind="points_refund",
            order_uuid=refund_uuid,
            pos_order_id=order.id,
            config_id=config.id,
            reference=order.pos_reference or order.name,
            occurred_at=order.date_order,
            state="checking",
            facts=Json(
                {
                    "wanted": f"{order._loyalty_engine_money(-payment.amount):f}",
                    "sold": order.lines.refunded_orderline_id.order_id.mapped("uuid"),
                    "redemption_id": refund_uuid,
                    "transaction_id": order.uuid,
                    "currency": currency.name,
                    "currency_decimals": currency.decimal_places,
                    "store_id": config.loyalty_engine_store or None,
                    "till_id": f"pos-{config.id}",
                    "cashier_id": f"employee-{employee.id}"
                    if employee
                    else f"user-{order.user_id.id}",
                    "occurred_at": order.date_order.replace(tzinfo=timezone.utc).isoformat(),
                }
            ),
        )

    @api.model
    def _cron_build_missing(self):
        result = super()._cron_build_missing()
        for payment in self._refunds_without_row():
            try:
                with self.env.cr.savepoint():
                    self._insert_refund(payment)
            except Exception:
                _logger.exception("loyalty engine: refund %s not written down", payment.uuid)
        self.env["ir.cron"]._commit_progress()
        return result

    @api.model
    def _refunds_without_row(self):
        """:return: the payments in points of paid returns that the outbox lacks, oldest first"""
        self.env.cr.execute(
            """
            SELECT payment.id, payment.uuid
              FROM pos_payment payment
              JOIN pos_payment_method method ON method.id = payment.payment_method_id
              JOIN pos_order ON pos_order.id = payment.pos_order_id
              JOIN pos_session session ON session.id = pos_order.session_id
              JOIN pos_config config ON config.id = session.config_id
             WHERE method.use_payment_terminal = %(terminal)s
               AND payment.amount < 0
               AND payment.uuid IS NOT NULL
               AND pos_order.state IN ('paid', 'done')
               AND config.loyalty_engine_id IS NOT NULL
               AND payment.create_date >= GREATEST(%(oldest)s, config.loyalty_engine_since)
             ORDER BY payment.id
            """,
            {
                "terminal": TERMINAL,
                "oldest": self.env.cr.now() - timedelta(days=SAFETY_NET_DAYS),
            },
        )
        payments = {self._refund_uuid(key): payment for payment, key in self.env.cr.fetchall()}
        rows = self.search_fetch(
            [("kind", "=", "points_refund"), ("order_uuid", "in", list(payments))], ["order_uuid"]
        )
        missing = payments.keys() - set(rows.mapped("order_uuid"))
        return self.env["pos.payment"].browse(sorted(payments[key] for key in missing))

    def action_done_by_hand(self):
        refunds = self.filtered(lambda report: report.kind == "points_refund")
        open_ones = [
            ("uuid", "in", refunds.mapped("order_uuid")),
            ("state", "in", ("returning", "stranded")),
        ]
        if self.env["loyalty.engine.redemption"].search_count(open_ones, limit=1):
            raise UserError(
                self.env._(
                    "There is a case for these points, or will be in a minute: say there what was "
                    "done."
                )
            )
        return super().action_done_by_hand()

    def _retry(self):
        """Points that an order took go back only as long as nobody else sees to them: the ledger
        says so, in a transaction of its own.

        :raises UserError: when all of these are a person's by now
        """
        ledger = self.env["loyalty.engine.redemption"]
        refunds = self.filtered(lambda report: report.kind == "points_refund")
        goes = {
            report: ledger._alone("_send_again", report.order_uuid, report.id) for report in refunds
        }
        refused = refunds.filtered(lambda report: goes[report] is False)
        if refused and refused == self:
            raise UserError(
                self.env._(
                    "These points are given back by hand, or have been: see the case of their "
                    "redemption. Sent again, they would come back twice."
                )
            )
        # What goes was written in the ledger's own transaction, which this one does not see.
        rest = self.filtered(lambda report: goes.get(report) is None)
        return super(LoyaltyEngineReport, rest)._retry()

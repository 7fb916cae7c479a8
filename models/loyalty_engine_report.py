import logging
from datetime import timedelta

from psycopg2.extras import Json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

_logger = logging.getLogger(__name__)

# How far back, and how many at once, the safety net looks for paid orders without a row.
SAFETY_NET_DAYS = 60
SAFETY_NET_BATCH = 500
# On their way to the engine
OPEN_STATES = ("waiting", "sending", "unknown")
FAILED_STATES = ("dead", "not_built")
# What is on its way for longer needs a person: a copy of the database, an engine that stays down.
STALLED_AFTER = timedelta(days=1)


class LoyaltyEngineReport(models.Model):
    """The outbox: one row for everything that the engine must be told.

    A sale's facts are frozen in the order's own transaction. One job per database builds the bytes,
    stores them, and sends them; from then on the same bytes go. States:

    waiting → sending → sent, or dead (refused), or unknown (looked up, and sent again only when a
    request can no longer arrive late). What is dead ends by_hand where a person sees to it. Points
    that a return gives back are checking first, until recovery has looked what its sale allows. A
    row whose facts could not be frozen is not_built, until the safety net makes it good.
    """

    _name = "loyalty.engine.report"
    _description = "Report to the Loyalty Engine"
    _order = "id desc"
    _rec_name = "reference"

    engine_id = fields.Many2one(
        "loyalty.engine", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    kind = fields.Selection(
        [("sale", "Sale"), ("points_refund", "Points Given Back")], required=True, readonly=True
    )
    order_uuid = fields.Char(
        string="UUID",
        required=True,
        readonly=True,
        index=True,
        help="Of the order; of points that are given back, of the redemption that took them.",
    )
    pos_order_id = fields.Many2one(
        "pos.order", string="Order", readonly=True, index=True, ondelete="set null"
    )
    config_id = fields.Many2one(
        "pos.config", string="Point of Sale", readonly=True, index=True, ondelete="set null"
    )
    reference = fields.Char(string="Receipt Number", readonly=True)
    occurred_at = fields.Datetime(string="Time of Sale", readonly=True)
    member_ref = fields.Char(
        string="Member", readonly=True, help="The member's id at the Loyalty Engine."
    )
    member_code = fields.Char(
        string="Code Not Yet Verified",
        readonly=True,
        help="Scanned while the engine could not be asked; resolved before the report is sent.",
    )
    submitter = fields.Char(
        readonly=True,
        groups="base.group_no_one",
        help="The member's auth identifier, where sales are reported as orders.",
    )
    state = fields.Selection(
        [
            ("not_built", "Not Built"),
            ("checking", "To Be Checked"),
            ("waiting", "Waiting"),
            ("sending", "Sending"),
            ("unknown", "Outcome Unknown"),
            ("sent", "Sent"),
            ("dead", "Failed"),
            ("by_hand", "Done by Hand"),
        ],
        required=True,
        readonly=True,
    )
    needs_person = fields.Boolean(
        compute="_compute_needs_person",
        search="_search_needs_person",
        help="It has failed, or is on its way for longer than a day.",
    )
    reason = fields.Char(readonly=True)
    facts = fields.Json(readonly=True, groups="base.group_no_one")
    body = fields.Text(readonly=True, help="The bytes that were sent, or will be sent again.")
    way = fields.Selection(
        [("event", "Event"), ("order", "Order")],
        string="Sent As",
        readonly=True,
        help="Frozen with the body, as are the two below: a report that may have been taken goes "
        "where it went, and is looked for there.",
    )
    event_type = fields.Char(readonly=True)
    event_path = fields.Char(readonly=True, help="Where our id stands in the payload.")
    earlier_bodies = fields.Text(
        readonly=True, help="What was sent before and definitely refused, one per line."
    )
    answer = fields.Text(readonly=True, help="What the engine answered.")
    event_ref = fields.Char(
        string="Id at the Engine", readonly=True, help="Of the event, or of the order."
    )
    points_earned = fields.Float(readonly=True, digits=(16, 4))
    points_known = fields.Boolean(readonly=True)
    member_asks = fields.Integer(
        string="Times the Member Was Asked For",
        readonly=True,
        help="Without an answer for this code. After a day and a half it needs a person.",
    )
    sends = fields.Integer(string="Times Sent", readonly=True)
    sent_at = fields.Datetime(string="Last Sent", readonly=True)
    taken_at = fields.Datetime(
        string="Known to Be Taken Since",
        readonly=True,
        help="Later than it was sent, where the answer was lost.",
    )
    due_at = fields.Datetime(string="Next Step", readonly=True)
    refused = fields.Boolean(
        readonly=True, help="The engine said no, so that the body may be built anew."
    )

    _once = models.Constraint(
        "unique(engine_id, kind, order_uuid)", "This is already in the outbox."
    )
    _due_idx = models.Index(
        "(engine_id, state, due_at) WHERE state IN ('waiting', 'sending', 'unknown')"
    )
    _trouble_idx = models.Index("(config_id) WHERE state IN ('dead', 'not_built')")

    @api.depends("state", "create_date")
    def _compute_needs_person(self):
        concerned = self.filtered_domain(self._needs_person_domain())
        for report in self:
            report.needs_person = report in concerned

    def _search_needs_person(self, operator, _value):
        return self._needs_person_domain() if operator == "in" else NotImplemented

    @api.model
    def _needs_person_domain(self):
        stalled = (
            Domain("state", "in", OPEN_STATES)
            & Domain("create_date", "<", self.env.cr.now() - STALLED_AFTER)
            & (Domain("kind", "!=", "sale") | Domain("engine_id.reporting", "!=", "off"))
        )
        return Domain("state", "in", FAILED_STATES) | stalled

    # === Freezing: in the order's own transaction ===

    @api.model
    def _freeze(self, order):
        """Write the facts of a paid order into the outbox; never raises, never waits.

        A fault of ours leaves a row "not built" and tells a person; the sale is stored either way.
        """
        # Whatever is wrong with the order itself belongs to Odoo, and must not be caught below.
        self.env.flush_all()
        try:
            with self.env.cr.savepoint():
                if self._insert_facts(order):
                    # In this savepoint: one more would cost each sale two queries.
                    self.env["loyalty.engine"]._trigger_job("ir_cron_send_reports")
        except Exception:
            _logger.exception("loyalty engine: report of order %s not built", order.uuid)
            self._note_not_built(order)

    @api.model
    def _insert_facts(self, order):
        """:return: whether a row was written (False: off, not a sale, or already there)"""
        if order.config_id.loyalty_engine_id.reporting == "off":
            return False
        if not order._loyalty_engine_is_sale():
            return False
        return self._insert(
            order, state="waiting", facts=Json(order._loyalty_engine_sale().to_json())
        )

    @api.model
    def _insert(self, order, **values):
        """Insert the row of ``order``, or leave the one that is there, in one statement."""
        ref, code = order.loyalty_engine_member_ref, order.loyalty_engine_member_code
        return self._insert_row(
            engine_id=order.config_id.loyalty_engine_id.id,
            company_id=order.company_id.id,
            kind="sale",
            order_uuid=order.uuid,
            pos_order_id=order.id,
            config_id=order.config_id.id,
            reference=order.pos_reference or order.name,
            occurred_at=order.date_order,
            member_ref=ref or None,
            member_code=None if ref else code or None,
            **values,
        )

    @api.model
    def _insert_row(self, **values):
        """:return: whether it was not there yet"""
        now = self.env.cr.now()
        values = {
            "sends": 0,
            "due_at": now,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
            **values,
        }
        self.env.cr.execute(
            f"INSERT INTO loyalty_engine_report ({', '.join(values)})"
            f" VALUES ({', '.join(['%s'] * len(values))}) ON CONFLICT DO NOTHING",
            tuple(values.values()),
        )
        return self.env.cr.rowcount == 1

    @api.model
    def _note_not_built(self, order):
        try:
            with self.env.cr.savepoint():
                self._insert(
                    order,
                    state="not_built",
                    reason=self.env._("The sale could not be written down; the log says why."),
                )
                engine = order.config_id.loyalty_engine_id
                speaker = self.with_context(lang=engine._told_in())
                engine._alert(
                    speaker.env._("Sales that could not be prepared for the Loyalty Engine")
                )
        except Exception:
            # The safety net finds paid orders that have no row at all.
            _logger.exception("loyalty engine: order %s left to the safety net", order.uuid)

    @api.model
    def _cron_build_missing(self):
        """The safety net: write the rows that paid orders lack, and build those that failed."""
        self.env.cr.execute(
            """
            SELECT pos_order.id
              FROM pos_order
              JOIN pos_session session ON session.id = pos_order.session_id
              JOIN pos_config config ON config.id = session.config_id
              JOIN loyalty_engine engine ON engine.id = config.loyalty_engine_id
              LEFT JOIN loyalty_engine_report report
                     ON report.order_uuid = pos_order.uuid
                    AND report.engine_id = engine.id
                    AND report.kind = 'sale'
             WHERE pos_order.state IN ('paid', 'done')
               AND engine.reporting != 'off'
               AND pos_order.create_date >= %(oldest)s
               AND (report.state = 'not_built' OR (report.id IS NULL AND pos_order.create_date
                    >= GREATEST(config.loyalty_engine_since, engine.reporting_since)))
               AND pos_order.amount_total >= 0
               AND pos_order.is_refund IS NOT TRUE
             ORDER BY pos_order.id
             LIMIT %(limit)s
            """,
            {
                "oldest": self.env.cr.now() - timedelta(days=SAFETY_NET_DAYS),
                "limit": SAFETY_NET_BATCH,
            },
        )
        orders = self.env["pos.order"].browse(row[0] for row in self.env.cr.fetchall())
        self.env["ir.cron"]._commit_progress(remaining=len(orders))
        for order in orders:
            try:
                with self.env.cr.savepoint():
                    self._build_missing(order)
            except Exception:
                _logger.exception("loyalty engine: report of order %s still not built", order.uuid)
            if not self.env["ir.cron"]._commit_progress(1):
                break
        self._wake_sender()
        self._alert_stalled()
        self.env["loyalty.engine"]._end_alerts()

    @api.model
    def _alert_stalled(self):
        """Tell a person of what is on its way for too long."""
        stalled = self._read_group(
            [("needs_person", "=", True), ("state", "in", OPEN_STATES)], ["engine_id"]
        )
        for (engine,) in stalled:
            speaker = self.with_context(lang=engine._told_in())
            engine._alert(speaker.env._("Sales that wait for longer than a day to be reported"))

    @api.model
    def _build_missing(self, order):
        if not self._insert_facts(order):
            self.search([("order_uuid", "=", order.uuid), ("state", "=", "not_built")])._build()

    def _build(self):
        """Write down what could not be written when the order was stored."""
        for report in self:
            report.write(
                {
                    "state": "waiting",
                    "reason": False,
                    "facts": report.pos_order_id._loyalty_engine_sale().to_json(),
                    "due_at": fields.Datetime.now(),
                }
            )

    @api.model
    def _wake_sender(self, at=None):
        self.env["loyalty.engine"]._wake_job("ir_cron_send_reports", at)

    # === What a manager can do ===

    def action_retry(self):
        """Send again what failed, and at once what waits. The body is built anew only after a
        definite refusal.

        :raises AccessError: for others than managers of the point of sale
        :raises UserError: when nothing of the selection has failed, or waits
        """
        self.env["loyalty.engine"]._check_manager()
        self.check_access("read")
        failed = self.sudo().filtered(lambda report: report.state in FAILED_STATES)
        waiting = self.sudo().filtered(lambda report: report.state in ("waiting", "unknown"))
        if not failed and not waiting:
            raise UserError(self.env._("Nothing of this has failed."))
        self._check_sends(failed | waiting)
        not_built = failed.filtered(lambda report: report.state == "not_built")
        for report in not_built.filtered("pos_order_id"):
            try:
                with self.env.cr.savepoint():
                    report._build()
            except Exception:
                # It stays as it was; the others go.
                _logger.exception("loyalty engine: report %s still not built", report.order_uuid)
        if not waiting and set(failed.mapped("state")) == {"not_built"}:
            raise UserError(self.env._("It still can't be prepared; the server's log says why."))
        self.env.flush_all()
        (failed - not_built)._retry()
        self._hurry(waiting.ids)
        self.env.invalidate_all()
        self._wake_sender()

    @api.model
    def _check_sends(self, reports):
        """Leave what can't go where it is: listed as failed.

        :raises UserError: when a connection sends nothing of this
        """
        for engine in reports.engine_id:
            mine = reports.filtered(lambda report, engine=engine: report.engine_id == engine)
            if engine.is_other_database:
                raise UserError(
                    self.env._("%s was set up on another database: it sends nothing.", engine.name)
                )
            if engine.reporting == "off" and "sale" in mine.mapped("kind"):
                raise UserError(self.env._("%s doesn't report sales.", engine.name))

    def action_done_by_hand(self):
        """Take what has failed off the list: a person has told the engine, or it need not know.

        :raises AccessError: for others than managers of the point of sale
        :raises UserError: when nothing of this has failed, or a case is about it
        """
        self.env["loyalty.engine"]._check_manager()
        self.check_access("read")
        failed = self.sudo().filtered(lambda report: report.state in FAILED_STATES)
        if not failed:
            raise UserError(self.env._("Nothing of this has failed."))
        failed._note_by_hand()

    def _note_by_hand(self):
        for report in self:
            done = self.env._("Done by hand: %s", self.env.user.name)
            report.write(
                {
                    "state": "by_hand",
                    "due_at": False,
                    "answer": "\n".join(filter(None, [report.answer, done])),
                }
            )

    def _retry(self):
        self._resend(self.ids)

    @api.model
    def _hurry(self, report_ids):
        """What waits for its time is due now: sent, or looked for. A member who is asked for once
        more is so as for the first time."""
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET due_at = LEAST(due_at, %s),"
            " member_asks = CASE WHEN state = 'waiting' THEN 0 ELSE member_asks END"
            " WHERE id IN %s AND state IN ('waiting', 'unknown')",
            (self.env.cr.now(), tuple(report_ids) or (0,)),
        )

    @api.model
    def _resend(self, report_ids):
        # Whoever was nobody is asked for anew: perhaps it was not the right engine that said so.
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_report AS report
               SET submitter = NULL,
                   member_ref = NULLIF(pos_order.loyalty_engine_member_ref, ''),
                   member_code = CASE WHEN pos_order.loyalty_engine_member_ref > '' THEN NULL
                       ELSE NULLIF(pos_order.loyalty_engine_member_code, '') END
              FROM pos_order
             WHERE pos_order.id = report.pos_order_id AND report.id IN %s
               AND report.kind = 'sale' AND report.state = 'dead' AND report.refused
               AND report.member_ref IS NULL AND report.member_code IS NULL
            """,
            (tuple(report_ids) or (0,),),
        )
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_report
               SET due_at = %s, reason = NULL, refused = FALSE,
                   -- What was never allowed to be given back is judged anew.
                   state = CASE WHEN kind = 'points_refund' AND jsonb_exists(facts, 'wanted')
                       THEN 'checking'
                       -- What was not refused may have been taken: it is looked for first.
                       WHEN body IS NOT NULL AND NOT COALESCE(refused, FALSE) THEN 'unknown'
                       ELSE 'waiting' END,
                   sends = CASE WHEN refused THEN 0 ELSE LEAST(sends, 1) END,
                   earlier_bodies = CASE WHEN refused
                       THEN concat_ws(E'\\n', earlier_bodies, body) ELSE earlier_bodies END,
                   body = CASE WHEN refused THEN NULL ELSE body END
             WHERE id IN %s AND state = 'dead'
            """,
            (self.env.cr.now(), tuple(report_ids) or (0,)),
        )

    def action_open_order(self):
        return self.pos_order_id._loyalty_engine_form()

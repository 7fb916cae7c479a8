from decimal import ROUND_FLOOR, Decimal

from psycopg2.extras import Json

from odoo import api, fields, models

from ..engine import PointsFacts
from .loyalty_engine_redemption import SENT_OPEN_STATES, decimal_of


class LoyaltyEngineRedemption(models.Model):
    """What a return gives back of the points that a sale was paid with. The row of the sale says
    how much of it is gone already: two returns at once meet there."""

    _inherit = "loyalty.engine.redemption"

    points_back = fields.Float(
        string="Points Given Back",
        readonly=True,
        digits=(16, 4),
        help="With returns, after the sale had taken them.",
    )
    amount_back = fields.Float(string="Value Given Back", readonly=True, digits=(16, 4))

    @api.model
    def _returnable(self, engine_id, order_uuids):
        """What returns of these orders can give back to one payment with points.

        :return: (row or None, Decimal of its value that is left)
        """
        rows = self._rows(
            "redemption.engine_id = %(engine)s AND redemption.order_uuid IN %(orders)s"
            " AND redemption.kind = 'points' AND redemption.booking = 'payment'"
            " AND redemption.state IN ('spent', 'settled') AND redemption.is_dropped IS NOT TRUE",
            engine=engine_id,
            orders=tuple(order_uuids) or ("",),
        )
        left = {row["uuid"]: self._value_left(row) for row in rows}
        row = max(rows, key=lambda row: left[row["uuid"]], default=None)
        return row, left[row["uuid"]] if row else Decimal(0)

    @api.model
    def _value_left(self, row):
        return decimal_of(row["claimed_amount"]) - decimal_of(row["amount_back"])

    @api.model
    def _points_for(self, row, amount):
        """The points that go back with ``amount``; with the last of it, all that is left of them.

        Rounded down, to whole points where whole ones were taken: never more than were taken.
        """
        taken = decimal_of(row["points_taken"] if row["shown_at"] else row["points"])
        worth = decimal_of(row["claimed_amount"])
        back = decimal_of(row["amount_back"]) + amount
        unit = Decimal(1) if taken == taken.to_integral_value() else Decimal("0.0001")
        share = taken if back >= worth else (taken * back / worth).quantize(unit, ROUND_FLOOR)
        return max(share - decimal_of(row["points_back"]), Decimal(0))

    @api.model
    def _refund_terms(self, engine_id, order_uuids, wanted, promised):
        """What a till may promise: :meth:`_returnable`, without what other returns still wait for.

        :param wanted: Decimal
        :param promised: Decimal, by other payments of the same return
        :return: dict with ``amount`` (text), at most what is wanted, and ``points`` for it
        """
        row, left = self._returnable(engine_id, order_uuids)
        self.env.cr.execute(
            """
            SELECT COALESCE(SUM((facts ->> 'wanted')::numeric), 0) FROM loyalty_engine_report
             WHERE engine_id = %s AND kind = 'points_refund' AND state = 'checking'
               AND jsonb_exists_any(facts -> 'sold', %s)
            """,
            (engine_id, list(order_uuids)),
        )
        promised += decimal_of(self.env.cr.fetchone()[0])
        amount = min(max(left - promised, Decimal(0)), wanted)
        if not amount:
            return {"amount": "0", "points": 0}
        points = self._points_for(row, promised + amount) - self._points_for(row, promised)
        return {"amount": f"{amount:f}", "points": float(points)}

    @api.model
    def _allot_refund(self, report_id, late_after):
        """Decide how many points a return gives back, and let the outbox send them; what the sale
        doesn't allow is a person's to clear up.

        Only of what a seen reaction took, as with an order that is lost.

        :param late_after: seconds in which a request can be late
        :return: whether it is decided
        """
        self.env.cr.execute(
            """
            SELECT engine_id, config_id, reference, facts, create_date
              FROM loyalty_engine_report WHERE id = %s AND state = 'checking'
            """,
            (report_id,),
        )
        report = self.env.cr.dictfetchone()
        if not report:
            return True
        facts, engine_id = report["facts"], report["engine_id"]
        wanted = Decimal(facts["wanted"])
        row, left = self._returnable(engine_id, facts["sold"])
        age = (self.env.cr.now() - report["create_date"]).total_seconds()
        is_clear = row and row["state"] == "settled" and row["shown_at"]
        if not is_clear and age <= late_after and self._is_open(engine_id, facts["sold"]):
            return False
        amount = min(wanted, left) if is_clear else Decimal(0)
        points = self._points_for(row, amount) if amount else Decimal(0)
        if points > 0:
            self._move(
                row["uuid"],
                ("settled",),
                "settled",
                self.env._("%s points given back with a return", f"{points:f}"),
                points_back=decimal_of(row["points_back"]) + points,
                amount_back=decimal_of(row["amount_back"]) + amount,
            )
            self._send_refund(report_id, facts, row["member_ref"], points, amount)
            self.env["loyalty.engine.case"]._close(
                "points", facts["redemption_id"], self.env._("The points go back by themselves.")
            )
        else:
            self.env.cr.execute(
                """
                UPDATE loyalty_engine_report SET state = 'dead', due_at = NULL, reason = %s
                 WHERE id = %s
                """,
                (self.env._("No points of this sale are left to be given back."), report_id),
            )
        if points <= 0 or amount < wanted:
            self._open_short_refund(report, row, wanted, amount if points > 0 else Decimal(0))
        return True

    @api.model
    def _is_open(self, engine_id, order_uuids):
        """Whether it may still become clear what was taken for these orders."""
        return bool(
            self._rows(
                "redemption.engine_id = %(engine)s AND redemption.order_uuid IN %(orders)s"
                " AND redemption.kind = 'points' AND redemption.booking = 'payment'"
                " AND redemption.is_dropped IS NOT TRUE"
                " AND (redemption.state IN %(open)s"
                "      OR (redemption.state = 'settled' AND redemption.shown_at IS NULL))",
                engine=engine_id,
                orders=tuple(order_uuids) or ("",),
                open=SENT_OPEN_STATES,
            )
        )

    @api.model
    def _send_refund(self, report_id, facts, member_ref, points, amount):
        facts = {name: value for name, value in facts.items() if name not in ("wanted", "sold")}
        facts = PointsFacts.from_json({**facts, "points": f"{points:f}", "amount": f"{amount:f}"})
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_report
               SET state = 'waiting', due_at = %s, member_ref = %s, facts = %s
             WHERE id = %s
            """,
            (self.env.cr.now(), member_ref, Json(facts.to_json()), report_id),
        )

    @api.model
    def _open_short_refund(self, report, row, wanted, amount):
        facts = report["facts"]
        self.env["loyalty.engine.case"]._open(
            self.env["loyalty.engine"].browse(report["engine_id"]),
            "points",
            facts["redemption_id"],
            self.env._("A return gave back more than its sale took: %s", report["reference"]),
            self.env._(
                "The return was paid back in points: %(wanted)s %(currency)s. Only %(amount)s "
                "%(currency)s of that could be given back by itself, because no more of the points "
                "that the sale took is left, or it can't be seen that they were taken. Please look "
                "at the member's balance, and correct it where points are missing.",
                wanted=f"{wanted:f}",
                amount=f"{amount:.{facts['currency_decimals']}f}",
                currency=facts["currency"],
            ),
            config_id=report["config_id"],
            order_uuid=facts["transaction_id"],
            member_ref=row["member_ref"] if row else False,
        )

    # === Whether points that were given back came ===

    @api.model
    def _unallotted_refunds(self, engine_id, most):
        """Returns whose points are not decided yet: dicts with ``id`` and ``uuid``, in another
        order each time."""
        self.env.cr.execute(
            """
            SELECT id, order_uuid AS uuid FROM loyalty_engine_report
             WHERE engine_id = %s AND kind = 'points_refund' AND state = 'checking'
             ORDER BY random() LIMIT %s
            """,
            (engine_id, most),
        )
        return self.env.cr.dictfetchall()

    @api.model
    def _unseen_refunds(self, engine_id, most):
        """Points refunds that the engine has, and whose reactions have not been seen: dicts with
        ``id``, ``uuid``, ``event_ref`` and ``since`` when it has them, those first that have waited
        longest.

        Those of a redemption only as long as it waits for its points.
        """
        self.env.cr.execute(
            """
            SELECT report.id, report.order_uuid AS uuid, report.event_ref,
                   COALESCE(report.taken_at, report.sent_at) AS since
              FROM loyalty_engine_report report
              LEFT JOIN loyalty_engine_redemption redemption
                     ON redemption.uuid = report.order_uuid
             WHERE report.engine_id = %s AND report.kind = 'points_refund'
               AND report.state = 'sent' AND report.points_known IS NOT TRUE
               AND (redemption.id IS NULL OR redemption.state = 'returning')
               AND (report.due_at IS NULL OR report.due_at <= %s)
             ORDER BY report.due_at NULLS FIRST, report.id
             LIMIT %s
            """,
            (engine_id, self.env.cr.now(), most),
        )
        return self.env.cr.dictfetchall()

    @api.model
    def _put_off_refund(self, report_id, until):
        self.env.cr.execute(
            "UPDATE loyalty_engine_report SET due_at = %s WHERE id = %s", (until, report_id)
        )

    @api.model
    def _note_refund_reaction(self, report_id, points, late_after):
        """Write down what a points refund has given; what is missing is a person's.

        :param points: Decimal; None as long as no reaction can be seen
        :param late_after: seconds after which nobody waits for one any more
        """
        self.env.cr.execute(
            "SELECT *, order_uuid AS uuid FROM loyalty_engine_report WHERE id = %s", (report_id,)
        )
        report = self.env.cr.dictfetchone()
        now = self.env.cr.now()
        since = report["taken_at"] or report["sent_at"]
        if points is None and (now - since).total_seconds() <= late_after:
            self._put_off_refund(report_id, now)
            return
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_report
               SET points_known = TRUE, points_earned = %s, due_at = NULL
             WHERE id = %s
            """,
            (points or 0, report_id),
        )
        if not self._row(report["uuid"]):
            self._note_back_with_return(report, points)
        elif points is None:
            why = self.env._("The engine has the refund, and no points of it can be seen.")
            self._strand(report["uuid"], ("returning",), why)
        else:
            self._returned(report["uuid"], points)

    @api.model
    def _note_back_with_return(self, report, points):
        facts = report["facts"]
        promised = Decimal(facts["points"])
        if points is not None and points >= promised:
            return
        self.env["loyalty.engine.case"]._open(
            self.env["loyalty.engine"].browse(report["engine_id"]),
            "points",
            f"{report['uuid']} back",
            self.env._("A return's points have not all come back: %s", report["reference"]),
            self.env._(
                "The return was paid back with %(promised)s points. The Loyalty Engine has been "
                "told, and %(back)s points have come back to the member. Please look at the "
                "balance there, and give the rest by hand.",
                promised=f"{promised:f}",
                back=f"{points or 0:f}",
            ),
            config_id=report["config_id"],
            order_uuid=facts["transaction_id"],
            member_ref=report["member_ref"],
        )

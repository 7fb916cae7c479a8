import logging
import time
from datetime import timedelta

from odoo import api, models

from ..engine import (
    EngineAuthFailed,
    EngineError,
    EngineLookupIncomplete,
    EngineRejected,
)

_logger = logging.getLogger(__name__)

# Seconds after which a process that sends counts as dead: every wait of its is shorter.
SENDER_DEAD_AFTER = 30
# When an unknown outcome is looked up, in seconds after it was sent; the last time is when it can
# no longer arrive late (the connection's late_after).
LOOK_UP_AFTER = (5, 60, 300, 900)
# What one run does at most of each kind, and for how many seconds it asks the engine one by one;
# the next one goes on.
BATCH = 200
RUN_LIMIT = 30
# An order that has not come after so long is listed for a person.
ORDER_MISSING_AFTER = timedelta(hours=24)
AUDIT_DAYS = 7


class LoyaltyEngineRecovery(models.AbstractModel):
    """Clears up what was left behind, by what the engine and the stored orders tell.

    It alone ends redemptions: settled, being given back, needing a person. Runs each minute, when a
    till is opened, and after an order with redemptions was stored; two runs at once do no harm,
    because each step is one conditional UPDATE.
    """

    _name = "loyalty.engine.recovery"
    _description = "Recovery of Redemptions"

    @api.model
    def _wake(self):
        self.env["loyalty.engine"]._wake_job("ir_cron_recover_redemptions")

    @api.model
    def _cron_recover(self):
        """Take every open redemption as far as it goes today. Never raises: Odoo switches off a job
        that keeps failing."""
        for engine in self._engines():
            for work in (
                self._expire_holds,
                self._doubt_dead_senders,
                self._look_up_unknown,
                self._look_for_reactions,
                self._end_spent,
                self._compare_settled,
                self._follow_refunds,
                self._allot_refunds,
                self._list_missing_orders,
                self._flag_unbacked,
            ):
                try:
                    work(engine)
                except Exception:
                    self.env.cr.rollback()
                    _logger.exception("loyalty engine %s: recovery stopped", engine.id)
                if not self.env["ir.cron"]._commit_progress():
                    return

    @api.model
    def _engines(self):
        """Connections that spend: set up on this database. A copy spends and refunds nothing."""
        return self.env["loyalty.engine"].search(
            [("database_uuid", "=", self.env["loyalty.engine"]._current_database_uuid())]
        )

    @api.model
    def _ledger(self, method, *arguments, **values):
        return self.env["loyalty.engine.redemption"]._alone(method, *arguments, **values)

    @api.model
    def _each(self, rows, work, limit=None):
        """Do ``work`` for each row: what goes wrong with one doesn't stop the others.

        :param limit: seconds after which no further row is begun; the next run goes on
        """
        ends = time.monotonic() + limit if limit else None
        for row in rows:
            if ends and time.monotonic() > ends:
                return
            try:
                work(row)
            except EngineError as error:
                _logger.info("loyalty engine %s: %s", row["engine_id"], error)
                # Nor will it answer for the next one.
                return
            except Exception:
                _logger.exception("loyalty engine: redemption %s not cleared up", row["uuid"])

    @api.model
    def _rows(self, engine, condition, **values):
        return self._ledger(
            "_rows",
            f"redemption.engine_id = %(engine)s AND {condition}",
            engine=engine.id,
            **values,
        )[:BATCH]

    # === What nobody works on any more ===

    @api.model
    def _expire_holds(self, engine):
        rows = self._rows(
            engine,
            "redemption.state = 'held' AND redemption.hold_until <= %(now)s",
            now=self.env.cr.now(),
        )
        self._each(rows, lambda row: self._ledger("_move", row["uuid"], ("held",), "expired"))

    @api.model
    def _doubt_dead_senders(self, engine):
        def doubt(row):
            self._ledger(
                "_move",
                row["uuid"],
                ("spending",),
                "unknown",
                self.env._("its sender ended without an answer"),
                look_up_at=self.env.cr.now(),
            )

        rows = self._rows(
            engine,
            "redemption.state = 'spending' AND redemption.sent_at <= %(dead)s",
            dead=self.env.cr.now() - timedelta(seconds=SENDER_DEAD_AFTER),
        )
        self._each(rows, doubt)

    # === Unknown outcomes ===

    @api.model
    def _look_up_unknown(self, engine):
        rows = self._rows(
            engine,
            "redemption.state = 'unknown' AND redemption.look_up_at <= %(now)s",
            now=self.env.cr.now(),
        )
        if rows:
            self._judge(engine, rows, self._look_up(engine, rows))

    @api.model
    def _look_up(self, engine, rows):
        """What the engine says of rows.

        :return: dict of uuid to (whether it is there: True, False, None = can't be told; event id);
            without those for which the engine could not be asked
        """
        redeemer = self.env["loyalty.engine.redeemer"]
        try:
            terms = redeemer._background_terms(engine)
        except EngineAuthFailed as error:
            _logger.warning("loyalty engine %s: %s", engine.id, error)
            return {}
        deadline = engine.background_deadline
        points = [row for row in rows if row["kind"] == "points"]
        answers = {}
        # No transaction stays open while the engine is asked.
        self.env["ir.cron"]._commit_progress()
        if points:
            try:
                found = redeemer._find_events(terms, points, deadline)
                answers.update((row["uuid"], (False, None)) for row in points)
            except EngineLookupIncomplete as error:
                found = error.found
                answers.update((row["uuid"], (None, None)) for row in points)
            except EngineRejected:
                found = {}
                answers.update((row["uuid"], (None, None)) for row in points)
            except EngineError as error:
                _logger.info("loyalty engine %s: %s", engine.id, error)
                found = {}
            answers.update((uuid, (True, event.id)) for uuid, event in found.items())

        def look(row):
            try:
                answers[row["uuid"]] = (redeemer._is_burned(terms.client, row, deadline), None)
            except (EngineLookupIncomplete, EngineRejected):
                answers[row["uuid"]] = (None, None)

        self._each([row for row in rows if row["kind"] == "voucher"], look, RUN_LIMIT)
        return answers

    @api.model
    def _judge(self, engine, rows, answers):
        """What is there is spent. What isn't is looked for again, until it can no longer arrive;
        only then is it known that it never happened."""
        self._each(rows, lambda row: self._judge_one(engine, row, answers))

    @api.model
    def _judge_one(self, engine, row, answers):
        now = self._ledger("_now")
        is_there, event_ref = answers.get(row["uuid"], (None, None))
        age = (now - row["sent_at"]).total_seconds()
        if is_there:
            self._ledger("_move", row["uuid"], ("unknown",), "spent", event_ref=event_ref)
        elif age < engine.late_after or row["uuid"] not in answers:
            steps = [step for step in LOOK_UP_AFTER if age < step < engine.late_after]
            due = row["sent_at"] + timedelta(seconds=min([*steps, engine.late_after]))
            soonest = now + timedelta(seconds=LOOK_UP_AFTER[0])
            self._ledger("_put_off", row["uuid"], max(due, soonest))
        elif is_there is None:
            why = self.env._("Nobody can tell whether the engine has taken it.")
            self._ledger("_strand", row["uuid"], ("unknown",), why)
        else:
            note = self.env._("it never arrived")
            self._ledger("_move", row["uuid"], ("unknown",), "released", note)

    # === What the engine has taken ===

    @api.model
    def _look_for_reactions(self, engine):
        """See when what was spent is part of the balance. After the time in which a request can be
        late it is asked once an hour only: reactors may be switched off."""
        if not engine.can_read_reactions:
            return
        now = self.env.cr.now()
        rows = self._rows(
            engine,
            "redemption.kind = 'points' AND redemption.shown_at IS NULL"
            " AND redemption.event_ref IS NOT NULL"
            " AND redemption.state NOT IN ('released', 'expired', 'refused')"
            " AND redemption.sent_at > %(week)s"
            " AND (redemption.look_up_at IS NULL OR redemption.look_up_at <= %(now)s)",
            now=now,
            week=now - timedelta(days=AUDIT_DAYS),
        )
        if not rows:
            return
        client, deadline = self._client(engine)

        def look(row):
            reactions = client.get_event_reactions(row["event_ref"], deadline=deadline)
            now = self._ledger("_now")
            if reactions.points is not None:
                self._ledger("_note_shown", row["uuid"], -reactions.points)
            elif (now - row["sent_at"]).total_seconds() > engine.late_after:
                self._ledger("_put_off", row["uuid"], now + timedelta(hours=1))

        if client:
            self._each(rows, look, RUN_LIMIT)

    @api.model
    def _client(self, engine):
        """:return: (client, deadline in seconds); (None, None) where it isn't filled in"""
        try:
            client, deadline = engine._client(), engine.background_deadline
        except EngineAuthFailed as error:
            _logger.warning("loyalty engine %s: %s", engine.id, error)
            return None, None
        # No transaction stays open while the engine is asked.
        self.env["ir.cron"]._commit_progress()
        return client, deadline

    # === The one writer of ends ===

    @api.model
    def _end_spent(self, engine):
        rows = self._rows(
            engine,
            # Whatever may have ended: an order that isn't here is not looked at again and again.
            "redemption.state = 'spent' AND (redemption.is_dropped"
            " OR EXISTS (SELECT 1 FROM pos_order WHERE pos_order.uuid = redemption.order_uuid"
            "               AND pos_order.state != 'draft')"
            " OR EXISTS (SELECT 1 FROM loyalty_engine_tombstone tombstone"
            "             WHERE tombstone.order_uuid = redemption.order_uuid))",
        )
        self._each(rows, lambda row: self._ledger("_end", row["uuid"], engine.late_after))
        if rows:
            self.env["loyalty.engine.report"]._wake_sender()

    @api.model
    def _compare_settled(self, engine):
        rows = self._rows(engine, "redemption.state = 'settled' AND NOT redemption.is_compared")
        self._each(rows, lambda row: self._ledger("_compare", row["uuid"]))

    @api.model
    def _follow_refunds(self, engine):
        """Points that are being given back: returned when the engine's reaction is seen; settled
        when their order turns up, carrying them, before the refund has left."""
        rows = self._rows(engine, "redemption.state = 'returning'")
        if not rows:
            return
        client, deadline = self._client(engine)
        self._each(rows, lambda row: self._follow_refund(engine, client, deadline, row), RUN_LIMIT)

    @api.model
    def _follow_refund(self, engine, client, deadline, row):
        if self._ledger("_call_off_refund", row["uuid"]):
            return
        refund = self._ledger("_refund_of", row["uuid"])
        if refund["state"] == "dead":
            why = self.env._("The engine did not take the points refund.")
            self._ledger("_strand", row["uuid"], ("returning",), why)
        elif refund["state"] == "sent" and client:
            back = client.get_event_reactions(refund["event_ref"], deadline=deadline).points
            age = (self._ledger("_now") - refund["sent_at"]).total_seconds()
            if back is not None:
                self._ledger("_returned", row["uuid"], back)
            elif age > engine.late_after:
                why = self.env._("The engine has the refund, and gave no points for it.")
                self._ledger("_strand", row["uuid"], ("returning",), why)

    @api.model
    def _allot_refunds(self, engine):
        """Returns that were paid back in points: decide how many points that are."""
        reports = self.env["loyalty.engine.report"].search(
            [
                ("engine_id", "=", engine.id),
                ("kind", "=", "points_refund"),
                ("state", "=", "checking"),
            ],
            order="id",
            limit=BATCH,
        )
        late_after, report_ids = engine.late_after, reports.ids
        self.env["ir.cron"]._commit_progress()
        for report_id in report_ids:
            self._ledger("_allot_refund", report_id, late_after)
        if report_ids:
            self.env["loyalty.engine.report"]._wake_sender()

    # === For a person ===

    @api.model
    def _list_missing_orders(self, engine):
        """Spent, and the order that should carry it has not come: not lost yet, it may lie on a
        till that is offline. A person decides."""
        rows = self._rows(
            engine,
            "redemption.state = 'spent' AND NOT redemption.is_overdue"
            " AND NOT redemption.is_dropped"
            " AND (redemption.sent_at < %(old)s OR (redemption.sent_at < %(closed)s AND EXISTS ("
            "   SELECT 1 FROM pos_session WHERE pos_session.id = redemption.session_id"
            "      AND pos_session.state = 'closed')))",
            old=self.env.cr.now() - ORDER_MISSING_AFTER,
            closed=self.env.cr.now() - timedelta(minutes=5),
        )
        self._each(rows, lambda row: self._ledger("_list_missing", row["uuid"]))

    @api.model
    def _flag_unbacked(self, engine):
        """Paid orders with a discount of ours that no settled redemption backs."""
        self._ledger("_flag_unbacked", engine.id, AUDIT_DAYS)

    @api.model
    def _cron_audit(self):
        """Once a day: look again at what was sent and counted as never arrived."""
        for engine in self._engines():
            rows = self._rows(
                engine,
                "redemption.state = 'released' AND redemption.sent_at > %(since)s",
                since=self.env.cr.now() - timedelta(days=AUDIT_DAYS),
            )
            try:
                for uuid, (is_there, event_ref) in (
                    self._look_up(engine, rows).items() if rows else ()
                ):
                    if is_there:
                        self._ledger("_found_after_all", uuid, event_ref)
            except Exception:
                self.env.cr.rollback()
                _logger.exception("loyalty engine %s: audit stopped", engine.id)
            if not self.env["ir.cron"]._commit_progress():
                return
        self._wake()

    @api.model
    def _note_found(self, row, answers):
        is_there, event_ref = answers.get(row["uuid"], (False, None))
        if is_there:
            self._ledger("_found_after_all", row["uuid"], event_ref)

import logging
import math
import random
import time
from datetime import datetime, timedelta

from odoo import api, models

from ..engine import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupCutShort,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
)

_logger = logging.getLogger(__name__)

# Seconds after which a process that sends counts as dead: it has 6.5 for all that it sends, and an
# answer that is still written later counts all the same. docs/reliability.md counts from here.
SENDER_DEAD_AFTER = 12
# When an unknown outcome is looked up, in seconds after it was sent; the last time is when it can
# no longer arrive late (the connection's late_after).
LOOK_UP_AFTER = (5, 60, 300, 900)
# What one run does at most of each kind; the next one goes on.
BATCH = 200
# For so many seconds one kind of question is put to a connection, a run asks at all, and one kind
# of work that asks nobody is done. Runs are short: each begins with what can't wait.
ASK_LIMIT = 5
RUN_LIMIT = 20
WORK_LIMIT = 2
# So many questions in a row without an answer of any use, and the next ones wait for the next run.
FAILURES_UNTIL_STOP = 3
# A reaction that somebody waits for is looked for again after so many seconds, and more rarely the
# longer it takes; points are to be back within a minute.
REACTION_AFTER = 5
# What got no answer of any use is asked again, after the others; for a reaction that never comes,
# because reactors may be switched off, once an hour is enough.
ASK_AGAIN_AFTER = timedelta(minutes=5)
LATE_REACTION_AFTER = timedelta(hours=1)
# What the engine can't tell for so long, though it can be reached, is a person's.
GIVE_UP_AFTER = timedelta(hours=24)
# What could not be asked about at all for so long, because the engine was never reached, too.
NEVER_ASKED_FOR = timedelta(days=7)
# An order that has not come after so long is listed for a person.
ORDER_MISSING_AFTER = timedelta(hours=24)
# Points of a sale that the engine has not taken after so long too.
NOT_TAKEN_AFTER = timedelta(hours=24)
AUDIT_DAYS = 7
# An order that stood open for longer is not looked at when it is paid.
LONGEST_DRAFT = timedelta(days=30)
# The audit runs once a day; it looks at nothing twice in so long.
AUDITED_AGAIN_AFTER = timedelta(hours=20)
# An audit that could not ask the engine tries again.
AUDIT_RETRY = timedelta(hours=1)

KINDS = ("points", "voucher")

HAS_NO_CASE = (
    "NOT EXISTS (SELECT 1 FROM loyalty_engine_case listed"
    " WHERE listed.kind = 'points' AND listed.reference = redemption.uuid)"
)
DUE = "(redemption.look_up_at IS NULL OR redemption.look_up_at <= %(now)s)"


def _sent_alike(rows):
    """Points in groups of those that were sent as the same type of event, with our id in the same
    place: the settings may have been changed since."""
    groups = {}
    for row in rows:
        groups.setdefault((row["event_type"], row["event_path"]), []).append(row)
    return groups.values()


class LoyaltyEngineRecovery(models.AbstractModel):
    """Clears up what was left behind, by what the engine and the stored orders tell.

    It alone ends redemptions: settled, being given back, needing a person. Runs each minute, when a
    till is opened, and after an order with redemptions was stored; two runs at once do no harm,
    because each step is one conditional UPDATE.
    """

    _name = "loyalty.engine.recovery"
    _description = "Recovery of Redemptions"

    @api.model
    def _wake(self, at=None):
        self.env["loyalty.engine"]._wake_job("ir_cron_recover_redemptions", at)

    @api.model
    def _expect_answer(self, sent_at):
        """See to it that a run comes when who sends now can only be dead."""
        self._wake(sent_at + timedelta(seconds=SENDER_DEAD_AFTER))

    @api.model
    def _cron_recover(self):
        """Take every open redemption as far as it goes today. Never raises: Odoo switches off a job
        that keeps failing.

        Dead senders come first, after the asking, and last, and what is paid comes first: nothing
        of theirs waits for an engine that is slow, or is lost with a process that dies meanwhile.
        """
        engines = list(self._engines())
        self._do(
            (
                "_doubt_dead_senders",
                "_expire_holds",
                "_settle_paid",
                "_give_up_moved",
            ),
            engines,
        )
        self._ask(engines)
        self._do(
            (
                "_doubt_dead_senders",
                "_end_spent",
                "_compare_settled",
                "_judge_refunds",
                "_allot_refunds",
                "_list_missing_orders",
                "_list_not_taken",
                "_list_taken_less",
                "_flag_unbacked",
                "_doubt_dead_senders",
            ),
            engines,
        )
        self._schedule_next(engines)

    @api.model
    def _do(self, works, engines):
        """What asks nobody: quick, and done for every connection in each run."""
        for engine in engines:
            speaker = self.with_context(lang=engine._told_in())
            for work in works:
                speaker._work_alone(work, engine)

    @api.model
    def _ask(self, engines):
        """Ask the engines, each as long as it answers, in another order each time."""
        ends = time.monotonic() + RUN_LIMIT
        for engine in random.sample(engines, len(engines)):
            speaker = self.with_context(lang=engine._told_in())
            for work in ("_look_up_unknown", "_look_for_reactions", "_follow_refunds"):
                if time.monotonic() > ends:
                    return
                if not speaker._work_alone(work, engine):
                    speaker._work_alone("_give_up_unasked", engine)
                    break

    @api.model
    def _work_alone(self, work, engine):
        """Do one piece of work; what goes wrong with it stops neither the others nor the job.

        :param work: the name of a method of this model
        :return: whether the engine could be asked
        """
        begin = time.monotonic()
        try:
            getattr(self, work)(engine)
        except EngineError as error:
            self.env.cr.rollback()
            _logger.info("loyalty engine %s: can't be asked: %s", engine.id, error)
            return False
        except Exception:
            self.env.cr.rollback()
            _logger.exception("loyalty engine %s: recovery stopped", engine.id)
        finally:
            seconds = time.monotonic() - begin
            _logger.debug("loyalty engine %s: %s: %.2f s", engine.id, work, seconds)
        self.env["ir.cron"]._commit_progress()
        return True

    @api.model
    def _schedule_next(self, engines):
        """Come back when the next unknown outcome is to be looked up."""
        due_at = self._ledger("_next_look_up", [engine.id for engine in engines])
        if due_at:
            self._wake(due_at)

    @api.model
    def _engines(self):
        """Connections that spend, or have spent: archived ones too, but only those that were set up
        on this database. A copy spends and refunds nothing."""
        engines = self.env["loyalty.engine"].with_context(active_test=False)
        return engines.search([("database_uuid", "=", engines._current_database_uuid())])

    @api.model
    def _ledger(self, method, *arguments, **values):
        return self.env["loyalty.engine.redemption"]._alone(method, *arguments, **values)

    @api.model
    def _each(self, rows, work, limit=WORK_LIMIT):
        """Do ``work`` for each row, for ``limit`` seconds; the next run, at once, goes on.

        What goes wrong with one row doesn't stop the others.
        """
        ends = time.monotonic() + limit
        for row in rows:
            if time.monotonic() > ends:
                self._wake()
                break
            try:
                work(row)
            except Exception:
                _logger.exception("loyalty engine: redemption %s not cleared up", row["uuid"])

    @api.model
    def _ask_each(self, rows, ask, put_off):
        """Ask the engine about each row, for ``ASK_LIMIT`` seconds; the next run goes on, at once
        where the engine answers.

        A row that gets no answer of any use stops only itself.

        :param ask: function of a row
        :param put_off: function of a row that got no answer: it is to come after the others
        :return: the rows that were asked about
        :raises EngineError: when the engine can't be asked at all
        """
        ends, failures, asked = time.monotonic() + ASK_LIMIT, 0, []
        for row in rows:
            if failures >= FAILURES_UNTIL_STOP:
                break
            if time.monotonic() > ends:
                if not failures:
                    self._wake()
                break
            try:
                ask(row)
                failures = 0
            except EngineError as error:
                if not self._is_about_the_row(error):
                    raise
                _logger.info("loyalty engine: redemption %s: %s", row["uuid"], error)
                failures += not isinstance(error, EngineRejected)
                put_off(row)
            except Exception:
                _logger.exception("loyalty engine: redemption %s not asked about", row["uuid"])
                put_off(row)
            asked.append(row)
        return asked

    @api.model
    def _is_about_the_row(self, error):
        """Whether the engine may well answer for others. One thing may be forbidden for a reason of
        its own (403); one that takes too long may be so too."""
        is_forbidden = isinstance(error, EngineAuthFailed) and error.status == 403
        return is_forbidden or isinstance(error, EngineRejected | EngineOutcomeUnknown)

    @api.model
    def _rows(self, engine, condition, **values):
        """At most ``BATCH`` rows, in another order each time: none waits behind those that stay."""
        return self._ledger("_some_rows", engine.id, condition, values, "random()", BATCH)

    @api.model
    def _due_rows(self, engine, condition, **values):
        """At most ``BATCH`` rows whose turn it is, those first that have waited longest."""
        return self._rows_in_turn(
            engine, f"{condition} AND {DUE}", {**values, "now": self.env.cr.now()}
        )

    @api.model
    def _rows_in_turn(self, engine, condition, values):
        order = "redemption.look_up_at NULLS FIRST, redemption.sent_at"
        rows = self._ledger("_some_rows", engine.id, condition, values, order, BATCH)
        return sorted(rows, key=lambda row: (row["look_up_at"] or datetime.min, row["sent_at"]))

    # === What nobody works on any more ===

    @api.model
    def _expire_holds(self, engine):
        rows = self._rows(
            engine,
            "redemption.state = 'held' AND redemption.hold_until <= %(now)s",
            now=self.env.cr.now(),
        )
        self._move_all(rows, ("held",), "expired")

    @api.model
    def _doubt_dead_senders(self, engine):
        rows = self._rows(
            engine,
            "redemption.state = 'spending' AND redemption.sent_at <= %(dead)s",
            dead=self.env.cr.now() - timedelta(seconds=SENDER_DEAD_AFTER),
        )
        self._move_all(
            rows,
            ("spending",),
            "unknown",
            self.env._("its sender ended without an answer"),
            look_up_at=self.env.cr.now(),
        )

    @api.model
    def _move_all(self, rows, *step, **values):
        """The same step for all rows in one transaction: what comes next is not kept waiting."""
        if rows:
            self._ledger("_move_each", [row["uuid"] for row in rows], *step, **values)

    # === Unknown outcomes ===

    @api.model
    def _give_up_moved(self, engine):
        """What was sent to another address is a person's: where the engine is asked by now, it
        would seem never to have arrived."""
        if engine.moved_at:
            self._give_up(engine, engine.moved_at)

    @api.model
    def _give_up_unasked(self, engine):
        """What could not be asked about for days is a person's, where it still can't be."""
        self._give_up(engine, self.env.cr.now() - NEVER_ASKED_FOR)

    @api.model
    def _give_up(self, engine, before):
        rows = self._rows(
            engine,
            "redemption.state = 'unknown' AND redemption.sent_at < %(before)s",
            before=before,
        )
        self._each(rows, self._strand_unknown)
        refunds = self._ledger("_unseen_refunds", engine.id, BATCH)
        self._each([row for row in refunds if row["since"] < before], self._give_up_refund)

    @api.model
    def _give_up_refund(self, row):
        """Points that nobody has seen coming back: a person is told."""
        self._ledger("_note_refund_reaction", row["id"], None, late_after=0)

    @api.model
    def _strand_unknown(self, row):
        why = self.env._("Nobody can tell whether the engine has taken it.")
        self._ledger("_strand", row["uuid"], ("unknown",), why)

    @api.model
    def _look_up_unknown(self, engine):
        rows = self._due_rows(engine, "redemption.state = 'unknown'")
        # What is known of the ones is written down before the others are asked about.
        for kind in KINDS:
            alike = [row for row in rows if row["kind"] == kind]
            if alike:
                asked, answers = self._look_up(engine, alike)
                self._judge(engine, asked, answers)

    @api.model
    def _look_up(self, engine, rows):
        """What the engine says of rows.

        :return: (rows that it was asked about, dict of uuid to (whether it is there: True, False,
            None = can't be told; event id), without those that it gave no answer about)
        :raises EngineError: when it can't be asked at all
        """
        redeemer = self.env["loyalty.engine.redeemer"]
        terms, deadline = redeemer._background_terms(engine), engine.background_deadline
        # No transaction stays open while the engine is asked.
        self.env["ir.cron"]._commit_progress()
        points, vouchers = ([row for row in rows if row["kind"] == kind] for kind in KINDS)
        answers = {}
        for alike in _sent_alike(points):
            answers.update(self._look_up_points(terms, alike, deadline))

        def look(row):
            try:
                answers[row["uuid"]] = (redeemer._is_burned(terms.client, row, deadline), None)
            except (EngineLookupIncomplete, EngineRejected, EngineAnswerUnreadable):
                answers[row["uuid"]] = (None, None)

        # No answer is judged like any other: it is looked up again.
        return points + self._ask_each(vouchers, look, lambda row: None), answers

    @api.model
    def _look_up_points(self, terms, rows, deadline):
        """All in one search: they went to the same place."""
        found, undecided = {}, {row["uuid"] for row in rows}
        is_silent = False
        try:
            found = self.env["loyalty.engine.redeemer"]._find_events(terms, rows, deadline)
            undecided = set()
        except EngineLookupIncomplete as error:
            found, undecided = error.found, error.undecided
            is_silent = isinstance(error, EngineLookupCutShort)
            _logger.info("loyalty engine %s: %s", terms.engine_id, error)
        except EngineError as error:
            if not self._is_about_the_row(error):
                raise
            _logger.info("loyalty engine %s: %s", terms.engine_id, error)
            is_silent = not isinstance(error, EngineRejected | EngineAnswerUnreadable)
        answers = {uuid: (True, event.id) for uuid, event in found.items()}
        for row in rows:
            if row["uuid"] not in undecided:
                answers.setdefault(row["uuid"], (False, None))
            elif not is_silent:
                answers[row["uuid"]] = (None, None)
        return answers

    @api.model
    def _judge(self, engine, rows, answers):
        """What is there is spent. What isn't is looked for again, until it can no longer arrive;
        only then is it known that it never happened."""
        # What was asked is written down, however long that takes.
        self._each(rows, lambda row: self._judge_one(engine, row, answers), limit=math.inf)

    @api.model
    def _judge_one(self, engine, row, answers):
        now = self._ledger("_now")
        is_there, event_ref = answers.get(row["uuid"], (None, None))
        age = (now - row["sent_at"]).total_seconds()
        is_silent = row["uuid"] not in answers and age < GIVE_UP_AFTER.total_seconds()
        if is_there:
            self._ledger("_move", row["uuid"], ("unknown",), "spent", event_ref=event_ref)
        elif age < engine.late_after or is_silent:
            steps = [step for step in LOOK_UP_AFTER if age < step < engine.late_after]
            due = row["sent_at"] + timedelta(seconds=min([*steps, engine.late_after]))
            soonest = now + timedelta(seconds=LOOK_UP_AFTER[0])
            self._ledger("_put_off", row["uuid"], max(due, soonest))
        elif is_there is None:
            self._strand_unknown(row)
        else:
            note = self.env._("it never arrived")
            self._ledger("_move", row["uuid"], ("unknown",), "released", note)

    # === What the engine has taken, and given back ===

    @api.model
    def _look_for_reactions(self, engine):
        """See when what was spent is part of the balance."""
        if not engine.can_read_reactions:
            return
        rows = self._due_rows(
            engine,
            "redemption.kind = 'points' AND redemption.shown_at IS NULL"
            " AND redemption.event_ref IS NOT NULL"
            " AND redemption.state NOT IN ('released', 'expired', 'refused')"
            " AND redemption.sent_at > %(week)s",
            week=self.env.cr.now() - timedelta(days=AUDIT_DAYS),
        )
        if not rows:
            return
        late_after = engine.late_after
        client, deadline = self._client(engine)

        def look(row):
            points = self._points_of(client, row["event_ref"], deadline)
            if points is not None:
                self._ledger("_note_shown", row["uuid"], -points)
            else:
                due = self._ledger("_now") + self._pause_for(row, late_after)
                self._ledger("_put_off", row["uuid"], due)

        self._ask_each(rows, look, self._put_off)

    @api.model
    def _follow_refunds(self, engine):
        """Points that the engine was told to give back: see whether they came."""
        rows = self._ledger("_unseen_refunds", engine.id, BATCH)
        if not rows:
            return
        late_after = engine.late_after
        client, deadline = self._client(engine)

        def look(row):
            points = self._points_of(client, row["event_ref"], deadline)
            self._ledger("_note_refund_reaction", row["id"], points, late_after)

        def put_off(row):
            now = self._ledger("_now")
            if row["since"] < now - GIVE_UP_AFTER:
                self._give_up_refund(row)
            else:
                self._ledger("_put_off_refund", row["id"], now + ASK_AGAIN_AFTER)

        self._ask_each(rows, look, put_off)

    @api.model
    def _client(self, engine):
        """:return: (client, deadline in seconds)
        :raises EngineAuthFailed: when the connection is not filled in
        """
        client, deadline = engine._client(), engine.background_deadline
        # No transaction stays open while the engine is asked.
        self.env["ir.cron"]._commit_progress()
        return client, deadline

    @api.model
    def _points_of(self, client, event_ref, deadline):
        """What an event has given or taken; None where no reaction can be seen."""
        try:
            return client.get_event_reactions(event_ref, deadline=deadline).points
        except (EngineRejected, EngineAnswerUnreadable) as error:
            _logger.info("loyalty engine: reactions of event %s: %s", event_ref, error)
            return None

    @api.model
    def _put_off(self, row):
        self._ledger("_put_off", row["uuid"], self._ledger("_now") + ASK_AGAIN_AFTER)

    # === The one writer of ends ===

    @api.model
    def _settle_paid(self, engine):
        rows = self._rows(
            engine,
            "redemption.state = 'spent' AND EXISTS ("
            " SELECT 1 FROM pos_order WHERE pos_order.uuid = redemption.order_uuid"
            "    AND pos_order.state NOT IN ('draft', 'cancel'))",
        )
        self._each(rows, lambda row: self._ledger("_settle", row["uuid"]))

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
        waiting = [row for row in rows if row["kind"] == "points" and not row["shown_at"]]
        if waiting:
            # Points go back when they are seen to be taken; the next minute could be too late.
            pause = min(self._pause_for(row, engine.late_after) for row in waiting)
            self._wake(self._ledger("_now") + pause)

    @api.model
    def _pause_for(self, row, late_after):
        """How long a reaction that was not there yet is left alone. While somebody waits for it,
        the last look is when it is late."""
        age = self._ledger("_seconds_spent", row)
        if age > late_after:
            return LATE_REACTION_AFTER
        return timedelta(seconds=max(REACTION_AFTER, min(age / 2, late_after - age)))

    @api.model
    def _compare_settled(self, engine):
        rows = self._rows(engine, "redemption.state = 'settled' AND NOT redemption.is_compared")
        self._each(rows, lambda row: self._ledger("_compare", row["uuid"]))

    @api.model
    def _judge_refunds(self, engine):
        """Points that are being given back: settled when their order turns up, carrying them, and
        nothing was given yet; a person's when the engine did not take the refund."""
        rows = self._rows(engine, "redemption.state = 'returning'")
        self._each(rows, lambda row: self._ledger("_judge_refund", row["uuid"]))

    @api.model
    def _allot_refunds(self, engine):
        """Returns that were paid back in points: decide how many points that are."""
        late_after = engine.late_after
        rows = self._ledger("_unallotted_refunds", engine.id, BATCH)
        self._each(rows, lambda row: self._ledger("_allot_refund", row["id"], late_after))
        if rows:
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
    def _list_not_taken(self, engine):
        """A sale has had its points, and the engine has not taken them."""
        if not engine.can_read_reactions:
            return
        now = self.env.cr.now()
        rows = self._rows(
            engine,
            "redemption.kind = 'points' AND redemption.state = 'settled'"
            " AND redemption.shown_at IS NULL"
            f" AND redemption.sent_at BETWEEN %(week)s AND %(day)s AND {HAS_NO_CASE}",
            week=now - timedelta(days=AUDIT_DAYS),
            day=now - NOT_TAKEN_AFTER,
        )
        self._each(rows, lambda row: self._ledger("_list_not_taken", row["uuid"]))

    @api.model
    def _list_taken_less(self, engine):
        """A sale has had its points, and the engine has taken fewer."""
        rows = self._rows(
            engine,
            "redemption.kind = 'points' AND redemption.state = 'settled'"
            " AND redemption.points_taken < redemption.points"
            f" AND redemption.sent_at > %(week)s AND {HAS_NO_CASE}",
            week=self.env.cr.now() - timedelta(days=AUDIT_DAYS),
        )
        self._each(rows, lambda row: self._ledger("_list_taken_less", row["uuid"]))

    @api.model
    def _flag_unbacked(self, engine):
        """Paid orders with a discount of ours that no redemption backs: those of the last day. The
        audit looks further back."""
        self._flag_unbacked_of(engine, timedelta(days=1), timedelta(days=1))

    @api.model
    def _flag_unbacked_of(self, engine, age, longest_draft):
        rows = self._ledger("_unbacked", engine.id, age, longest_draft, BATCH)
        self._each(
            rows,
            lambda row: self._ledger("_flag_unbacked", engine.id, row["order_id"], row["uuid"]),
        )

    # === The audit ===

    @api.model
    def _cron_audit(self):
        """Once a day: look again at all that was sent and counted as never arrived. One batch for
        each connection; by the progress that it reports Odoo goes on until nothing is left."""
        done = remaining = 0
        for engine in self._engines():
            speaker = self.with_context(lang=engine._told_in())
            try:
                speaker._flag_unbacked_of(engine, timedelta(days=AUDIT_DAYS), LONGEST_DRAFT)
                done += speaker._audit(engine)
                remaining += self._ledger("_count_rows", engine.id, *self._to_be_audited())
            except EngineError as error:
                self.env.cr.rollback()
                _logger.info("loyalty engine %s: can't be audited: %s", engine.id, error)
                self.env["loyalty.engine"]._wake_job(
                    "ir_cron_audit_redemptions", self.env.cr.now() + AUDIT_RETRY
                )
            except Exception:
                self.env.cr.rollback()
                _logger.exception("loyalty engine %s: audit stopped", engine.id)
        self._wake()
        self.env["loyalty.engine.case"]._remind()
        self.env["ir.cron"]._commit_progress(done, remaining=remaining)

    @api.model
    def _to_be_audited(self):
        """:return: (condition of rows, its values)"""
        since = self.env.cr.now() - timedelta(days=AUDIT_DAYS)
        condition = f"redemption.state = 'released' AND redemption.sent_at > %(since)s AND {DUE}"
        return condition, {"since": since, "now": self.env.cr.now()}

    @api.model
    def _audit(self, engine):
        """:return: number of rows that were looked at
        :raises EngineError: when the engine can't be asked at all
        """
        rows = self._rows_in_turn(engine, *self._to_be_audited())
        asked, answers = self._look_up(engine, rows) if rows else ([], {})

        def note(row):
            self._ledger("_put_off", row["uuid"], self._ledger("_now") + AUDITED_AGAIN_AFTER)
            is_there, event_ref = answers.get(row["uuid"], (None, None))
            if is_there:
                self._ledger("_found_after_all", row["uuid"], event_ref)

        self._each(asked, note, limit=math.inf)
        return len(asked)

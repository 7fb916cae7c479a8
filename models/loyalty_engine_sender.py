import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from functools import partial

import psycopg2

from odoo import api, fields, models

from ..engine import (
    BodyError,
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupCutShort,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineThrottled,
    EngineUnreachable,
    PointsFacts,
    SaleFacts,
    fact_path,
    points_path,
)
from ..engine.pace import Pace

_logger = logging.getLogger(__name__)

# The engine allows 100 requests a second for an API key (D-REWARDS). Reports keep to 60 of them,
# so that tills always find room.
REQUESTS_PER_SECOND = 60
THREADS = 8
# About one second's worth: so many reports at most are in doubt when a process is killed.
BATCH = 64
# So many outcomes in doubt, one after the other, and the rest of the batch stays at home.
UNKNOWNS_UNTIL_STOP = 3
# When a report whose outcome is unknown is looked for, in seconds after it was sent; the last time
# is when it can no longer arrive late (the connection's late_after).
LOOK_UP_AFTER = (5, 60, 300, 900)
LOOK_UP_BATCH = 500
# A search that takes longer than its time is tried again so many seconds later. When the report is
# so old it decides like one that can't reach back far enough: the list only gets longer.
CUT_SHORT_PAUSE = 60
CUT_SHORT_UNTIL = 2 * 3600
# The engine's clock and ours may differ by so much, in seconds.
CLOCK_MARGIN = 300
MOST_SENDINGS = 5
# Where nobody can look whether it came: each time may count.
MOST_SENDINGS_UNSEEN = 2
# For so many seconds members are asked for, one after the other, before others' sales go on. Odoo
# ends a job that says nothing for two minutes.
RESOLVE_LIMIT = 20
# What the engine answers where a code is nobody's, or none that it could be asked for (I).
NOBODYS = frozenset({400, 404, 422})
# When a member is asked for again whom the engine gave no answer for, in seconds; after the last
# time the report needs a person.
ASK_AGAIN_AFTER = (60, 300, 1800, 7200, 28800, 86400)
THROTTLE_PAUSE = 5
REFUSED_CREDENTIALS_PAUSE = 300
# What is due so soon is waited for within the job: cron itself wakes once a minute.
SHORT_WAIT = 6

# Who bought is not clear yet: a code, a member whom the engine has never confirmed (the till's word
# alone), or a member whose auth identifier an order needs.
TO_BE_ASKED_FOR = """
    report.member_code IS NOT NULL OR (report.member_ref IS NOT NULL AND (
        (%(reporting)s = 'order' AND report.submitter IS NULL) OR NOT EXISTS (
            SELECT 1 FROM loyalty_engine_member AS member
             WHERE member.engine_id = report.engine_id AND member.ref = report.member_ref
               AND member.is_confirmed)))
"""

# One pace per connection and process, so that it holds from batch to batch.
_paces: dict[tuple[str, int], Pace] = {}


@dataclass(frozen=True)
class _Outcome:
    """What became of one report; ``error`` None means that the engine took it."""

    report_id: int
    sends: int
    event_ref: str = ""
    answer: str = ""
    error: EngineError | None = None
    left: bool = True


def _in_short(answer):
    """What the engine answered to a report: what is of use to a person, and of no member."""
    words = {
        "id": answer.id,
        "type": getattr(answer, "type", ""),
        "reportedAt": getattr(answer, "reported_at", None),
    }
    return ", ".join(f"{name}: {word}"[:200] for name, word in words.items() if word)


class LoyaltyEngineSender(models.AbstractModel):
    """Sends the outbox: the one job of a database that talks to the engine in the background.

    Rows are claimed and committed before anything leaves; requests run in plain threads that never
    touch Odoo; answers are written and committed after. An unknown outcome is looked up by our id,
    and the same bytes go again only when the first request can no longer arrive.
    """

    _name = "loyalty.engine.sender"
    _description = "Sender of Loyalty Engine Reports"

    # === The job ===

    @api.model
    def _cron_send(self):
        """Send what is due, until nothing is or the job's time is over. Never raises: Odoo switches
        off a job that keeps failing."""
        cron = self.env["ir.cron"]
        self._recover()
        time_left = cron._commit_progress(remaining=self._count_due())
        # For the whole job: each thread keeps its connection to the engine alive.
        with ThreadPoolExecutor(THREADS, thread_name_prefix="loyalty-engine-sender") as threads:
            while time_left > 0:
                done = 0
                for engine in self._sending_engines():
                    speaker = self.with_context(lang=engine._told_in())
                    done += speaker._work_alone("_send_waiting", engine, threads)
                    if not self._has_to_wait(engine):
                        done += speaker._work_alone("_look_up_unknown", engine)
                time_left = cron._commit_progress(done, remaining=self._count_due())
                if not done and not self._wait_for_next(time_left):
                    break
        self._schedule_next()

    @api.model
    def _work_alone(self, work, engine, *arguments):
        """Run one piece of work; what goes wrong with it stops neither the others nor the job.

        :param work: the name of a method of this model
        """
        try:
            return getattr(self, work)(engine, *arguments)
        except psycopg2.errors.SerializationFailure:
            # Somebody pressed a button on one of the rows: they are claimed next time.
            self.env.cr.rollback()
        except Exception:
            self.env.cr.rollback()
            _logger.exception("loyalty engine %s: sending stopped", engine.id)
            self._rest(engine, 60, "internal error")
        return 0

    @api.model
    def _recover(self):
        """What is marked as being sent was left by a process that ended: its outcome is unknown.

        No other process can be at it: Odoo never runs a job twice at the same time.
        """
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_report
               SET state = 'unknown', due_at = sent_at + %s * interval '1 second'
             WHERE state = 'sending'
            """,
            (LOOK_UP_AFTER[0],),
        )

    @api.model
    def _sending_engines(self):
        """Connections that may send now: set up on this database, not resting after a failure.

        Also archived ones, of which something may still wait.
        """
        engines = self.env["loyalty.engine"].with_context(active_test=False)
        engines = engines.search([("database_uuid", "=", engines._current_database_uuid())])
        resting = self.env["loyalty.engine.health"].search(
            [("engine_id", "in", engines.ids), ("resume_at", ">", self.env.cr.now())]
        )
        return engines - resting.engine_id

    @api.model
    def _has_to_wait(self, engine):
        """Whether the engine has asked for a pause by now: too many requests, or credentials that
        it refuses. What merely failed tells nothing of the next request."""
        paused = [("resume_at", ">", self.env.cr.now()), ("failures", "=", 0)]
        health = self.env["loyalty.engine.health"]
        return bool(health.search_count([("engine_id", "=", engine.id), *paused], limit=1))

    @api.model
    def _open_domain(self):
        return [
            ("engine_id", "in", self._sending_engines().ids),
            ("state", "in", ("waiting", "unknown")),
            # What is given back is an event of its own, also where sales are not reported.
            "|",
            ("kind", "!=", "sale"),
            ("engine_id.reporting", "!=", "off"),
        ]

    @api.model
    def _count_due(self):
        return self.env["loyalty.engine.report"].search_count(
            [*self._open_domain(), ("due_at", "<=", self.env.cr.now())]
        )

    @api.model
    def _next_due(self):
        """When the next row of a connection that may send is due; None = nothing is open."""
        row = self.env["loyalty.engine.report"].search(self._open_domain(), order="due_at", limit=1)
        return row.due_at or None

    @api.model
    def _wait_for_next(self, time_left):
        """Wait for a row that is due within seconds; :return: whether one is due now."""
        due_at = self._next_due()
        self.env["ir.cron"]._commit_progress()
        if due_at is None:
            return False
        wait = (due_at - fields.Datetime.now()).total_seconds() + 0.1
        if wait > min(SHORT_WAIT, time_left):
            return False
        time.sleep(max(wait, 0))
        return True

    @api.model
    def _schedule_next(self):
        """Wake the job again when the next row is due, or the next connection has rested."""
        resting = self.env["loyalty.engine.health"].search(
            [("resume_at", ">", self.env.cr.now())], order="resume_at", limit=1
        )
        moments = [at for at in (self._next_due(), resting.resume_at) if at]
        if moments:
            self.env["loyalty.engine.report"]._wake_sender(at=min(moments))

    # === Sending ===

    @api.model
    def _send_waiting(self, engine, threads):
        """Claim a batch, send it, write what came back.

        :return: number of rows that are a step further
        """
        if not self._has_waiting(engine):
            return 0
        client, pace = self._client_and_pace(engine)
        if client is None:
            return 0
        resolved = self._resolve_members(engine, client, pace)
        if self._has_to_wait(engine):
            return resolved
        claimed = self._claim(engine)
        self.env["ir.cron"]._commit_progress()
        if not claimed:
            return resolved
        outcomes = self._post(engine, client, pace, threads, claimed)
        self._write_outcomes(engine, outcomes)
        self._judge_health(engine, outcomes)
        self.env["ir.cron"]._commit_progress()
        return resolved + sum(outcome.left for outcome in outcomes)

    @api.model
    def _has_waiting(self, engine):
        """Whether something is due: nobody hears of a connection that isn't filled in before."""
        return bool(
            self.env["loyalty.engine.report"].search_count(
                [
                    ("engine_id", "=", engine.id),
                    ("state", "=", "waiting"),
                    ("due_at", "<=", self.env.cr.now()),
                ],
                limit=1,
            )
        )

    @api.model
    def _client_and_pace(self, engine):
        try:
            client = engine._client()
        except EngineAuthFailed as error:
            self._refused(engine, error)
            return None, None
        key = (self.env.cr.dbname, engine.id)
        return client, _paces.setdefault(key, Pace(REQUESTS_PER_SECOND))

    @api.model
    def _claim(self, engine):
        """Take the next batch: bytes are stored, and the claim is to be committed, before sending.
        With them where they go, which stays as it is, whatever becomes of the settings.

        :return: list of (report id, times sent, body, way, event type)
        """
        self.env.cr.execute(
            f"""
            UPDATE loyalty_engine_report AS report
               SET state = 'sending', sends = sends + 1, sent_at = %(now)s
             WHERE id IN (
                SELECT id
                  FROM loyalty_engine_report AS report
                 WHERE engine_id = %(engine)s AND state = 'waiting' AND due_at <= %(now)s
                   AND (kind != 'sale' OR (%(reporting)s != 'off'
                   AND (body IS NOT NULL OR NOT ({TO_BE_ASKED_FOR}))))
                 ORDER BY due_at, id
                 LIMIT %(limit)s
                   FOR UPDATE SKIP LOCKED)
            RETURNING id, kind, sends, body, way, event_type, facts, member_ref, submitter
            """,
            {
                "engine": engine.id,
                "now": self.env.cr.now(),
                "reporting": engine.reporting,
                "limit": BATCH,
            },
        )
        claimed, built, impossible = [], [], []
        rows = sorted(self.env.cr.fetchall(), key=lambda row: row[0])
        for report_id, kind, sends, body, way, event_type, facts, member_ref, submitter in rows:
            if body is None:
                way, event_type, event_path = self._destination(engine, kind)
                try:
                    body = self._body(engine, kind, facts, member_ref, submitter).decode()
                except ValueError as error:
                    impossible.append((report_id, str(error)[:500]))
                    continue
                built.append((report_id, body, way, event_type, event_path))
            claimed.append((report_id, sends, body, way, event_type))
        if built:
            self._update(
                "body = new.body, way = new.way, event_type = new.event_type,"
                " event_path = new.event_path",
                "(id, body, way, event_type, event_path)",
                built,
            )
        if impossible:
            self._update(
                "state = 'dead', refused = TRUE, sends = report.sends - 1, reason = new.reason",
                "(id, reason)",
                impossible,
            )
            self._alert_failed(engine)
        return claimed

    @api.model
    def _destination(self, engine, kind):
        """Where a report that is built now goes, and is looked for.

        :return: (way, event type, path to our id in the payload); an order has no event of ours
        """
        if kind == "points_refund":
            return (
                "event",
                engine.refund_event_type,
                points_path(engine._template("refund_template")),
            )
        if engine.reporting == "order":
            return "order", "", ""
        return "event", engine.sale_event_type, fact_path(engine._template("event_template"))

    @api.model
    def _body(self, engine, kind, facts, member_ref, submitter):
        if kind == "points_refund":
            return engine._points_body(PointsFacts.from_json(facts), member_ref, is_refund=True)
        sale = self._with_vouchers(engine, SaleFacts.from_json(facts))
        return engine._sale_body(sale, member_ref, submitter or None)

    @api.model
    def _with_vouchers(self, engine, sale):
        """``sale``, with which vouchers it was that were redeemed. The ledger knows them, and is
        read here and not while an order is stored; what it doesn't know stays the till's claim."""
        uuids = [used.redemption_id for used in sale.redemptions if used.kind == "voucher"]
        if not uuids:
            return sale
        self.env.cr.execute(
            "SELECT uuid, benefit_ref, reward_ref FROM loyalty_engine_redemption"
            " WHERE engine_id = %s AND order_uuid = %s AND uuid = ANY(%s)",
            (engine.id, sale.transaction_id, uuids),
        )
        known = {
            uuid: {"benefit_id": benefit_ref or None, "reward_id": reward_ref or None}
            for uuid, benefit_ref, reward_ref in self.env.cr.fetchall()
        }

        def named(used):
            try:
                return replace(used, **known.get(used.redemption_id, {}))
            except BodyError as error:
                # No report is lost to an id that can't be told.
                _logger.warning("Sale %s without a voucher's id: %s", sale.transaction_id, error)
                return used

        return replace(sale, redemptions=tuple(map(named, sale.redemptions)))

    @api.model
    def _post(self, engine, client, pace, threads, claimed):
        """Send a claimed batch; the threads never touch Odoo.

        :return: list of _Outcome, one for each row
        """
        # The event secret is that of the event type of sales.
        own_event_type = engine.sale_event_type
        deadline = engine.background_deadline
        stop = threading.Event()
        doubts, forbidden = [], []

        def send_one(report_id, sends, body, way, event_type):
            pace.wait()
            if stop.is_set():
                return _Outcome(report_id, sends, left=False)
            try:
                if way == "order":
                    send = client.report_order
                elif event_type == own_event_type:
                    send = client.report_event
                else:
                    send = partial(client.report_event, event_secret="")
                answer = send(body.encode(), reference=f"report {report_id}", deadline=deadline)
                taken = _Outcome(report_id, sends, event_ref=answer.id, answer=_in_short(answer))
            except (EngineUnreachable, EngineThrottled, EngineAuthFailed) as error:
                forbidden.append(report_id)
                # One sale may be forbidden for a reason of its own (403): the next ones tell.
                is_own = isinstance(error, EngineAuthFailed) and error.status == 403
                if not is_own or len(forbidden) >= UNKNOWNS_UNTIL_STOP:
                    stop.set()
                return _Outcome(report_id, sends, error=error, left=False)
            except EngineError as error:
                if isinstance(error, EngineOutcomeUnknown):
                    doubts.append(report_id)
                    if len(doubts) >= UNKNOWNS_UNTIL_STOP:
                        stop.set()
                return _Outcome(report_id, sends, error=error)
            except Exception as error:
                # A fault of ours takes no other report's outcome along.
                _logger.exception("loyalty engine: report %s", report_id)
                unknown = EngineOutcomeUnknown(type(error).__name__)
                return _Outcome(report_id, sends, error=unknown)
            doubts.clear()
            return taken

        return list(threads.map(send_one, *zip(*claimed, strict=True)))

    @api.model
    def _write_outcomes(self, engine, outcomes):
        sent, dead, doubted, unknown, home = [], [], [], [], []
        for outcome in outcomes:
            error = outcome.error
            is_refused = isinstance(error, EngineRejected) or self._is_forbidden_alone(
                outcome, outcomes
            )
            if is_refused and outcome.sends == 1:
                dead.append((outcome.report_id, str(error)[:500]))
            elif not outcome.left and not is_refused:
                # Certainly not sent: as if it had never been claimed.
                home.append((outcome.report_id, str(error)[:500] if error else None))
            elif error is None:
                sent.append((outcome.report_id, outcome.event_ref, outcome.answer))
            elif is_refused:
                # A second sending: perhaps it was refused because the first was taken after all.
                doubted.append((outcome.report_id, str(error)[:500]))
            else:
                unknown.append((outcome.report_id, str(error)[:500]))
        if sent:
            self._write_sent(sent)
        if dead:
            self._update(
                "state = 'dead', refused = TRUE, reason = new.reason, answer = new.reason,"
                " due_at = NULL",
                "(id, reason)",
                dead,
            )
            self._alert_failed(engine)
        for refused, rows in (("TRUE", doubted), ("FALSE", unknown)):
            if rows:
                self._update(
                    f"state = 'unknown', refused = {refused}, reason = new.reason,"
                    " answer = new.reason,"
                    f" due_at = report.sent_at + interval '{LOOK_UP_AFTER[0]} seconds'",
                    "(id, reason)",
                    rows,
                )
        if home:
            self._update(
                "state = 'waiting', sends = report.sends - 1, sent_at = NULL,"
                " reason = COALESCE(new.reason::varchar, report.reason)",
                "(id, reason)",
                home,
            )

    @api.model
    def _write_sent(self, sent):
        """:param sent: list of (report id, id of the event, the engine's answer in short)"""
        self._update(
            "state = 'sent', taken_at = now() AT TIME ZONE 'UTC', event_ref = new.ref,"
            " reason = NULL, due_at = NULL,"
            " answer = concat_ws(E'\\n', report.answer, new.answer)",
            "(id, ref, answer)",
            sent,
        )

    @staticmethod
    def _is_forbidden_alone(outcome, outcomes):
        """Whether the engine forbids this report, and takes others with the same credentials."""
        return (
            isinstance(outcome.error, EngineAuthFailed)
            and outcome.error.status == 403
            and any(other.left and not other.error for other in outcomes)
        )

    @api.model
    def _update(self, assignments, columns, rows):
        """Update many rows of the outbox by one statement: ``new`` has the values, ``report`` the
        row as it is."""
        self.env.cr.execute_values(
            f"UPDATE loyalty_engine_report AS report SET {assignments}, write_date = now() AT TIME"
            f" ZONE 'UTC' FROM (VALUES %s) AS new {columns} WHERE report.id = new.id",
            rows,
            page_size=LOOK_UP_BATCH,
        )

    # === Members who must be asked for first ===

    @api.model
    def _resolve_members(self, engine, client, pace):
        """Ask whose the codes are that were scanned while the engine could not be asked, whether
        members are members of whom only the till has told, and by which auth identifier an order
        names its member (D-TX).

        A code that nobody has is reported without a member: the sale counts all the same. One that
        the engine gives no answer for waits by itself, and is a person's in the end.

        :return: number of rows that are a step further
        """
        by_order = engine.reporting == "order"
        self.env.cr.execute(
            f"""
            SELECT id, member_ref, member_code, member_asks
              FROM loyalty_engine_report AS report
             WHERE engine_id = %(engine)s AND state = 'waiting' AND body IS NULL
               AND due_at <= %(now)s AND kind = 'sale' AND ({TO_BE_ASKED_FOR})
             ORDER BY due_at, id
             LIMIT %(limit)s
            """,
            {
                "engine": engine.id,
                "now": self.env.cr.now(),
                "reporting": engine.reporting,
                "limit": BATCH,
            },
        )
        members, resolved, later, in_a_row = {}, [], [], 0
        ends = time.monotonic() + RESOLVE_LIMIT
        for report_id, ref, code, asks in self.env.cr.fetchall():
            if time.monotonic() > ends:
                break
            if (ref or code) not in members:
                try:
                    member = self._member_of(engine, client, pace, ref, code, by_order)
                except EngineError as error:
                    is_forbidden = isinstance(error, EngineAuthFailed) and error.status == 403
                    is_own = is_forbidden or isinstance(
                        error, (EngineOutcomeUnknown, EngineRejected)
                    )
                    if is_own:
                        later.append((report_id, asks or 0, str(error)[:500]))
                        in_a_row += 1
                    is_enough = in_a_row >= UNKNOWNS_UNTIL_STOP
                    if not is_own or (is_enough and not is_forbidden):
                        self._judge_error(engine, error)
                    if not is_own or is_enough:
                        break
                    continue
                members[ref or code], in_a_row = member, 0
            member_ref, auth_identifier = members[ref or code]
            note = None
            if not member_ref:
                note = self.env._(
                    "Reported without a member: the code belongs to nobody, or to a member who is "
                    "restricted."
                )
            elif by_order and not auth_identifier:
                note = self.env._(
                    "Reported without a member: the engine names no auth identifier of this one."
                )
            resolved.append((report_id, member_ref, auth_identifier, note))
        for ref, _auth_identifier in members.values():
            if ref:
                self.env["loyalty.engine.member"]._confirm(engine.id, ref)
        if resolved:
            self._update(
                "member_ref = new.ref::varchar, member_code = NULL, submitter = new.submitter,"
                " answer = COALESCE(new.note, report.answer)",
                "(id, ref, submitter, note)",
                resolved,
            )
        self._ask_later(engine, later)
        self.env["ir.cron"]._commit_progress()
        return len(resolved) + len(later)

    @api.model
    def _member_of(self, engine, client, pace, ref, code, by_order):
        """The member of a report: by a linked customer if the engine has confirmed that one, else
        the engine is asked.

        :return: (engine's id or None: nobody's, auth identifier or "")
        :raises EngineError: when the engine gives no answer
        """
        readings = [ref] if ref else engine._readings(code)
        linked = self.env["res.partner"]._loyalty_engine_linked(readings, engine.company_id)
        if len(linked) == 1 and linked.loyalty_engine_ref:
            ref, auth_identifier = linked.loyalty_engine_ref, linked.loyalty_engine_auth_identifier
            is_known = self.env["loyalty.engine.member"]._is_confirmed(engine.id, ref)
            if is_known and (auth_identifier or not by_order):
                return ref, auth_identifier or ""
            # The customer may be another tenant's member; the code itself decides then.
            readings = list(dict.fromkeys([ref, *readings]))
        deadline = engine.background_deadline
        # No transaction stays open while the engine is asked.
        self.env["ir.cron"]._commit_progress()
        user = self._ask_for(client, pace, readings, deadline)
        return (user.id, user.auth_identifier or "") if user else (None, "")

    @api.model
    def _ask_later(self, engine, rows):
        """Put off what the engine gave no answer for.

        :param rows: list of (report id, times asked before, the engine's words)
        """
        again = [
            (report_id, asks + 1, self.env.cr.now() + timedelta(seconds=ASK_AGAIN_AFTER[asks]), why)
            for report_id, asks, why in rows
            if asks < len(ASK_AGAIN_AFTER)
        ]
        dead = [(report_id, why) for report_id, asks, why in rows if asks >= len(ASK_AGAIN_AFTER)]
        if again:
            self._update(
                "member_asks = new.asks, due_at = new.due_at, reason = new.reason",
                "(id, asks, due_at, reason)",
                again,
            )
        if dead:
            # Nothing was sent: the body is built once it is known whose the sale is.
            self._update(
                "state = 'dead', refused = TRUE, member_asks = 0, due_at = NULL,"
                " reason = new.reason, answer = new.reason",
                "(id, reason)",
                dead,
            )
            self._alert_failed(engine)

    @api.model
    def _ask_for(self, client, pace, readings, deadline):
        """The member whom one of the readings names; None where nobody is, or may be processed."""
        for reading in readings:
            pace.wait()
            try:
                user = client.get_user(reading, deadline=deadline)
            except ValueError:
                continue
            except EngineRejected as error:
                # A wrong address, for one, says nothing of whose the code is.
                if error.status not in NOBODYS and error.status >= 400:
                    raise
                continue
            return None if user.is_restricted else user
        return None

    # === Unknown outcomes ===

    @api.model
    def _look_up_unknown(self, engine):
        """Look at the engine for reports whose outcome is unknown.

        :return: number of rows that are a step further
        """
        reports = self.env["loyalty.engine.report"].search(
            [
                ("engine_id", "=", engine.id),
                ("state", "=", "unknown"),
                ("due_at", "<=", self.env.cr.now()),
            ],
            order="due_at",
            limit=LOOK_UP_BATCH,
        )
        # By where they went, which is not always where the next ones go.
        alike = reports.grouped(lambda report: (report.kind, report.event_type, report.event_path))
        return sum(self._look_up_alike(engine, *where, group) for where, group in alike.items())

    @api.model
    def _look_up_alike(self, engine, kind, event_type, path, reports):
        """:param event_type: "" where the engine can't be asked for these reports
        :param path: where our id stands in the payload
        """
        rows = {
            report.order_uuid: (report.id, report.sent_at, report.sends, report.refused)
            for report in reports
        }
        # Whether the engine lists by the time of the sale or of the report is not published.
        since = {
            report.order_uuid: min(report.sent_at, report.occurred_at).replace(tzinfo=timezone.utc)
            - timedelta(seconds=CLOCK_MARGIN)
            for report in reports
        }
        client, pace = self._client_and_pace(engine)
        if client is None:
            return 0
        late_after, deadline = engine.late_after, engine.background_deadline
        self.env["ir.cron"]._commit_progress()
        found, undecided, is_cut_short = {}, set(rows), False
        if event_type and path:
            pace.wait()
            try:
                found = client.find_events(path, since, event_type, deadline=deadline)
                undecided = set()
                self.env["loyalty.engine.health"]._note_success(engine.id)
            except EngineLookupIncomplete as error:
                found, undecided = error.found, error.undecided
                is_cut_short = isinstance(error, EngineLookupCutShort)
                _logger.info("loyalty engine %s: %s", engine.id, error)
            except (EngineRejected, EngineAuthFailed, EngineAnswerUnreadable) as error:
                _logger.info("loyalty engine %s: reports can't be looked up: %s", engine.id, error)
            except EngineOutcomeUnknown as error:
                # That the list fails says nothing of what is sent: what waits goes on meanwhile.
                is_cut_short = True
                _logger.info("loyalty engine %s: not looked up: %s", engine.id, error)
            except EngineError as error:
                # Nothing is known yet: asked again once the connection has rested.
                self._judge_error(engine, error)
                self.env["ir.cron"]._commit_progress()
                return 0
        self._write_look_up(
            engine, rows, found, late_after, kind, undecided, undecided if is_cut_short else ()
        )
        self.env["ir.cron"]._commit_progress()
        return len(rows)

    @api.model
    def _write_look_up(self, engine, rows, found, late_after, kind, undecided, cut_short):
        """What was not found is looked for again, until it can no longer arrive late. Then it goes
        again if it may, and otherwise to a person.

        :param undecided: what may be there although it was not found
        :param cut_short: what another search may say more about: nothing is decided for two hours
        """
        now = self.env.cr.now()
        sent, later, again, dead = [], [], [], []
        for order_uuid, (report_id, sent_at, sends, refused) in rows.items():
            age = (now - sent_at).total_seconds()
            if order_uuid in found:
                event = found[order_uuid]
                sent.append((report_id, event.id, _in_short(event)))
            elif order_uuid in cut_short and age < max(CUT_SHORT_UNTIL, late_after):
                later.append((report_id, now + timedelta(seconds=CUT_SHORT_PAUSE)))
            elif refused:
                # Not there, and refused when it was sent again: nothing came of either. Where
                # nobody can look, the first may have been taken all the same.
                dead.append((report_id, order_uuid not in undecided))
            elif age < late_after:
                steps = [step for step in LOOK_UP_AFTER if age < step < late_after]
                later.append((report_id, sent_at + timedelta(seconds=min([*steps, late_after]))))
            elif order_uuid not in undecided and sends < MOST_SENDINGS:
                again.append((report_id, now))
            elif kind == "sale" and sends < MOST_SENDINGS_UNSEEN:
                # A sale that counts twice is seen, one that never counts is not. Of points it is
                # the other way about: they go again only where it is told that they never came.
                again.append((report_id, now))
            else:
                dead.append((report_id, False))
        if sent:
            self._write_sent(sent)
        if later:
            self._update("due_at = new.due_at", "(id, due_at)", later)
        if again:
            self._update("state = 'waiting', due_at = new.due_at", "(id, due_at)", again)
        if dead:
            self._update(
                "state = 'dead', due_at = NULL, refused = new.refused", "(id, refused)", dead
            )
            self._alert_failed(engine)

    # === Health ===

    @api.model
    def _judge_health(self, engine, outcomes):
        for outcome in outcomes:
            error = outcome.error
            if self._is_forbidden_alone(outcome, outcomes):
                continue
            if error and not isinstance(error, EngineRejected):
                self._judge_error(engine, error)
                return
        # Also a refusal is an answer: the engine is there.
        self.env["loyalty.engine.health"]._note_success(engine.id)

    @api.model
    def _judge_error(self, engine, error):
        if isinstance(error, EngineAuthFailed):
            self._refused(engine, error)
        elif isinstance(error, EngineThrottled):
            pause = error.retry_after or THROTTLE_PAUSE
            self._rest(engine, min(pause, 600) * random.uniform(1, 1.5), str(error))
        else:
            self.env["loyalty.engine.health"]._note_failure(engine.id, str(error))

    @api.model
    def _refused(self, engine, error):
        self._rest(engine, REFUSED_CREDENTIALS_PAUSE, str(error))
        engine._alert(
            self.env._("The Loyalty Engine refuses the credentials of this connection")
            if error.status
            else self.env._("Sales wait to be reported, and this connection is not filled in")
        )

    @api.model
    def _rest(self, engine, seconds, reason):
        self.env["loyalty.engine.health"]._note_pause(engine.id, seconds, reason)

    @api.model
    def _alert_failed(self, engine):
        engine._alert(self.env._("Sales that the Loyalty Engine did not take"))

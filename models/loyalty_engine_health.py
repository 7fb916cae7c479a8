import logging

import psycopg2

from odoo import api, fields, models

_logger = logging.getLogger(__name__)

# After this many failures in a row no cashier waits for the engine any more.
FAILURES_UNTIL_DOWN = 3
FIRST_PAUSE = 5
LONGEST_PAUSE = 120


class LoyaltyEngineHealth(models.Model):
    """Circuit breaker of one connection, shared by all server processes.

    A row is written only on a failure and on the first success after one, through a cursor of its
    own: what a failing call tells must outlive the transaction that made it.
    """

    _name = "loyalty.engine.health"
    _description = "Loyalty Engine Health"
    _log_access = False

    engine_id = fields.Many2one("loyalty.engine", required=True, ondelete="cascade")
    failures = fields.Integer(help="Failures in a row.")
    resume_at = fields.Datetime(help="Nothing is sent in the background before.")
    reason = fields.Char(help="What the last failure was.")

    _engine_uniq = models.Constraint("unique(engine_id)", "A connection has one health record.")

    def _admits_cashier(self, may_probe=True):
        """Whether a cashier's request goes to the engine; else it is answered at once.

        Once the pause of a connection that is down is over, one request goes and tries it.

        :param may_probe: whether this may be that request
        """
        if self.failures < FAILURES_UNTIL_DOWN:
            return True
        return may_probe and self._let_one_probe(self.engine_id.id)

    @api.model
    def _note_failure(self, engine_id, reason):
        """Count a failure: the pause doubles from 5 seconds to at most 120."""
        self._write_alone(
            """
            INSERT INTO loyalty_engine_health AS health (engine_id, failures, resume_at, reason)
            VALUES (%(engine)s, 1, %(now)s + %(first)s * interval '1 second', %(reason)s)
            ON CONFLICT (engine_id) DO UPDATE
               SET failures = health.failures + 1,
                   resume_at = GREATEST(health.resume_at, %(now)s + interval '1 second'
                       * LEAST(%(longest)s, %(first)s * 2 ^ LEAST(health.failures, 10))),
                   reason = %(reason)s
            """,
            engine=engine_id,
            first=FIRST_PAUSE,
            longest=LONGEST_PAUSE,
            reason=reason[:200],
        )

    @api.model
    def _note_pause(self, engine_id, seconds, reason):
        """Let background sending rest, without holding anything against the engine: it answered.
        What it asked for, nothing else makes shorter."""
        self._write_alone(
            """
            INSERT INTO loyalty_engine_health AS health (engine_id, failures, resume_at, reason)
            VALUES (%(engine)s, 0, %(now)s + %(seconds)s * interval '1 second', %(reason)s)
            ON CONFLICT (engine_id) DO UPDATE
               SET failures = 0, reason = EXCLUDED.reason,
                   resume_at = GREATEST(health.resume_at, EXCLUDED.resume_at)
            """,
            engine=engine_id,
            seconds=seconds,
            reason=reason[:200],
        )

    @api.model
    def _note_success(self, engine_id):
        """End what failures have brought about, and a pause that is over."""
        self._write_alone(
            """
            UPDATE loyalty_engine_health SET failures = 0, resume_at = NULL, reason = NULL
             WHERE engine_id = %(engine)s AND (failures > 0 OR resume_at <= %(now)s)
            """,
            engine=engine_id,
        )

    @api.model
    def _let_one_probe(self, engine_id):
        """Let one caller try a connection whose pause is over; the others stay answered at once.

        :return: whether the caller is the one
        """
        return bool(
            self._write_alone(
                """
                UPDATE loyalty_engine_health
                   SET resume_at = %(now)s + %(first)s * interval '1 second'
                 WHERE engine_id = %(engine)s AND resume_at <= %(now)s
                """,
                engine=engine_id,
                first=FIRST_PAUSE,
            )
        )

    @api.model
    def _write_alone(self, query, **values):
        """Run ``query`` in a transaction of its own; another process's note made first wins."""
        try:
            with self.env.registry.cursor() as cr:
                # Losing is met each day with an engine that is down: nothing for the log.
                cr.execute(query, {**values, "now": cr.now()}, log_exceptions=False)
                return cr.rowcount
        except psycopg2.errors.SerializationFailure:
            _logger.debug("loyalty engine %s: health noted by another process", values["engine"])
            return 0

from datetime import timedelta

from odoo import api, fields, models

# What a cashier may ask of the engine. A busy till identifies a member every ten seconds or so;
# whoever tries account numbers one after the other meets the second limit long before a match.
# Codes that a till merely tries, because no product has them, have the same limits for themselves:
# a shop that lacks some products must not keep its members waiting.
LOOKUPS_PER_MINUTE = 60
MISSES_PER_WINDOW = 20
MISS_WINDOW = timedelta(minutes=10)


class LoyaltyEngineLookup(models.Model):
    """One row per code that a cashier looked up, kept only as long as the limits look back.

    Rows tell who asked and whether there was a member, never for whom: no code is stored.
    """

    _name = "loyalty.engine.lookup"
    _description = "Loyalty Engine Look-up"
    _log_access = False

    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    asked_at = fields.Datetime(required=True)
    missed = fields.Boolean(required=True)
    is_guess = fields.Boolean(required=True, default=False)

    _user_asked_idx = models.Index("(user_id, asked_at)")

    @api.model
    def _seconds_to_wait(self, is_guess=False):
        """Seconds until the current user may look up again; 0 = at once.

        :param is_guess: nobody says that it is a member's code, or a voucher's
        """
        now = self.env.cr.now()
        self.env.cr.execute(
            """
            SELECT count(*) FILTER (WHERE asked_at > %(minute)s),
                   count(*) FILTER (WHERE missed),
                   min(asked_at) FILTER (WHERE asked_at > %(minute)s),
                   min(asked_at) FILTER (WHERE missed)
              FROM loyalty_engine_lookup
             WHERE user_id = %(user)s AND asked_at > %(window)s AND is_guess = %(is_guess)s
            """,
            {
                "user": self.env.uid,
                "minute": now - timedelta(minutes=1),
                "window": now - MISS_WINDOW,
                "is_guess": is_guess,
            },
        )
        asked, missed, first_asked, first_missed = self.env.cr.fetchone()
        until = now
        if asked >= LOOKUPS_PER_MINUTE:
            until = max(until, first_asked + timedelta(minutes=1))
        if missed >= MISSES_PER_WINDOW:
            until = max(until, first_missed + MISS_WINDOW)
        return -(-(until - now).total_seconds() // 1)

    @api.model
    def _record(self, missed, is_guess=False):
        self.env.cr.execute(
            "INSERT INTO loyalty_engine_lookup (user_id, asked_at, missed, is_guess)"
            " VALUES (%s, %s, %s, %s)",
            (self.env.uid, self.env.cr.now(), missed, is_guess),
        )

    @api.autovacuum
    def _gc_lookups(self):
        self.env.cr.execute(
            "DELETE FROM loyalty_engine_lookup WHERE asked_at < %s",
            (self.env.cr.now() - MISS_WINDOW,),
        )

from odoo import api, fields, models

# The connections to the same tenant as ``engine``. A member, and a wallet, are one there. Two with
# one address may be of one tenant; members' ids are unique beyond a tenant.
ENGINES_OF_TENANT = """(
    SELECT other.id FROM loyalty_engine own
      JOIN loyalty_engine other ON rtrim(other.rewards_url, '/') = rtrim(own.rewards_url, '/')
     WHERE own.id = %(engine)s)"""


class LoyaltyEngineMember(models.Model):
    """A small row per member who was confirmed, or whose points are spent here: what the tills of a
    database queue at.

    Odoo's transactions see the database as it was when they began. Who merely waits for a lock goes
    on with an old sum; who has to *update* a row that another one updated meanwhile is refused, and
    begins anew with a fresh one.
    """

    _name = "loyalty.engine.member"
    _description = "Loyalty Engine Member"
    _log_access = False

    engine_id = fields.Many2one("loyalty.engine", required=True, ondelete="cascade")
    ref = fields.Char(required=True, help="The member's id at the Loyalty Engine.")
    turns = fields.Integer(default=0)
    is_confirmed = fields.Boolean(
        help="The engine has told of this member: a till's word is taken for it from then on."
    )

    _ref_uniq = models.Constraint("unique(engine_id, ref)", "A member has one row.")

    @api.model
    def _ensure(self, engine_id, ref):
        """Insert the member's row; to be committed before :meth:`_lock`."""
        self.env.cr.execute(
            "INSERT INTO loyalty_engine_member (engine_id, ref, turns) VALUES (%s, %s, 0)"
            " ON CONFLICT DO NOTHING",
            (engine_id, ref),
            log_exceptions=False,
        )

    @api.model
    def _confirm(self, engine_id, ref):
        """Note that the engine knows this member; once, because :meth:`_lock` needs the row."""
        self.env.cr.execute(
            "INSERT INTO loyalty_engine_member AS member (engine_id, ref, turns, is_confirmed)"
            " VALUES (%s, %s, 0, TRUE) ON CONFLICT (engine_id, ref)"
            " DO UPDATE SET is_confirmed = TRUE WHERE member.is_confirmed IS NOT TRUE",
            (engine_id, ref),
        )

    @api.model
    def _is_confirmed(self, engine_id, ref):
        """Whether the engine has ever told of this member."""
        confirmed = [("engine_id", "=", engine_id), ("ref", "=", ref), ("is_confirmed", "=", True)]
        return bool(self.search_count(confirmed, limit=1))

    @api.model
    def _lock(self, engine_id, ref):
        """Take the member's turn; must be the first statement of its transaction.

        :raises psycopg2.errors.SerializationFailure: when another till had the turn meanwhile
        """
        self.env.cr.execute(
            "UPDATE loyalty_engine_member SET turns = turns + 1"
            f" WHERE ref = %(member)s AND engine_id IN {ENGINES_OF_TENANT}",
            {"engine": engine_id, "member": ref},
            # Met each day, and begun anew: nothing for the log, least of all whose turn it was.
            log_exceptions=False,
        )

import hashlib
import logging
import random
import time
import uuid
from datetime import timedelta
from decimal import Decimal

import psycopg2
from psycopg2.extras import Json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .loyalty_engine_member import ENGINES_OF_TENANT

_logger = logging.getLogger(__name__)

# Short transactions that met another one run again, so often, after 5 to 50 ms.
MOST_TRIES = 10
SHORTEST_BREAK, LONGEST_BREAK = 0.005, 0.05
# Seconds that one waits for a lock while a cashier waits, such as that of an order being stored.
LOCK_LIMIT = 2.0
# From the first spend to the end of the payment, renewed by the till.
LEASE = timedelta(minutes=3)
# For so long a reaction that has not been seen is waited for.
REACTION_AWAITED = timedelta(days=7)
# Within that time the engine's word that a voucher can be used may be from just before it was.
REUSED_AFTER = timedelta(minutes=10)
# Seconds until an unknown outcome is looked up for the first time after the till did.
FIRST_LOOK_UP = 5

STATES = [
    ("held", "Held"),
    ("spending", "Being Spent"),
    ("unknown", "Outcome Unknown"),
    ("spent", "Spent"),
    ("settled", "Settled"),
    ("refused", "Refused"),
    ("released", "Released"),
    ("expired", "Expired"),
    ("returning", "Being Given Back"),
    ("returned", "Given Back"),
    ("stranded", "Needs a Person"),
    ("made_good", "Made Good"),
]
# What claims a voucher's code: everything but the states in which it was certainly not used.
FREE_STATES = ("released", "expired", "refused", "returned")
# What was sent to the engine, or may have been, and is part of its balance only once it was shown.
SENT_STATES = (
    "spending",
    "unknown",
    "spent",
    "settled",
    "returning",
    "returned",
    "stranded",
    "made_good",
)
# Its discount, or its payment, is on the order.
ON_ORDER_STATES = ("held", "spending", "spent", "settled")
# Sent, and taken off its order again.
OFF_STATES = ("returning", "returned", "stranded", "made_good")
# Sent, or perhaps sent, and not yet ended.
SENT_OPEN_STATES = ("spending", "unknown", "spent")
# Used, as far as we know. A code that only this database knows stays so.
USED_STATES = ("settled", "stranded", "made_good")
ENDED_STATES = ("settled", "returned", "stranded", "made_good", "released", "refused", "expired")

# What other connections to the same tenant do counts too.
OF_TENANT = f"redemption.engine_id IN {ENGINES_OF_TENANT}"


class LedgerBusy(Exception):
    """A short transaction met others, each time or until its time was over; nothing was written."""


class HeldElsewhere(Exception):
    """Another order has a claim on this voucher. ``where`` is the name of its till."""

    def __init__(self, where):
        super().__init__(where)
        self.where = where


class NotSpendable(Exception):
    """A redemption can't be spent (any more); ``args[0]`` says why, in the cashier's words."""


class LoyaltyEngineRedemption(models.Model):
    """The ledger: one row for each voucher, and each amount of points, on one order.

    Rows are written only by the methods here, each in a short transaction of its own
    (:meth:`_alone`): what was written down before a request left must be there whatever becomes of
    the transaction that asked for it. The transaction of a web request, or of an order being
    stored, never reads, locks or writes a row of this table.

    docs/protocol.md tells the states and why each rule is there.
    """

    _name = "loyalty.engine.redemption"
    _description = "Redemption at the Loyalty Engine"
    _order = "id desc"
    _rec_name = "name"

    uuid = fields.Char(string="Redemption ID", required=True, readonly=True)
    engine_id = fields.Many2one(
        "loyalty.engine", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    config_id = fields.Many2one(
        "pos.config", string="Point of Sale", readonly=True, ondelete="set null"
    )
    session_id = fields.Many2one("pos.session", readonly=True, ondelete="set null")
    order_uuid = fields.Char(string="Order UUID", required=True, readonly=True, index=True)
    pos_order_id = fields.Many2one(
        "pos.order", string="Order", compute="_compute_pos_order_id", search="_search_pos_order_id"
    )
    kind = fields.Selection(
        [("voucher", "Voucher"), ("points", "Points")], required=True, readonly=True
    )
    booking = fields.Selection(
        [("discount", "Discount"), ("payment", "Payment")],
        required=True,
        readonly=True,
        default="discount",
    )
    state = fields.Selection(
        STATES,
        required=True,
        readonly=True,
    )
    name = fields.Char(string="Reward", readonly=True)
    member_ref = fields.Char(
        string="Member", readonly=True, index=True, help="The member's id at the Loyalty Engine."
    )
    code = fields.Char(
        string="Whole Code",
        readonly=True,
        groups="base.group_system",
        help="The voucher's code; emptied once the voucher is used or let go.",
    )
    code_shown = fields.Char(string="Code", readonly=True)
    claim_key = fields.Char(readonly=True, groups="base.group_system")
    benefit_ref = fields.Char(string="Voucher at the Engine", readonly=True)
    reward_ref = fields.Char(string="Reward at the Engine", readonly=True)
    is_local = fields.Boolean(
        string="Own Code", readonly=True, help="A code that only this database knows."
    )
    discounts = fields.Json(readonly=True)
    min_amount = fields.Float(readonly=True, digits=(16, 4))
    max_amount = fields.Float(readonly=True, digits=(16, 4))
    points = fields.Float(readonly=True, digits=(16, 4))
    amount = fields.Float(
        string="Value of the Points", readonly=True, digits=(16, 4), help="In the order's currency."
    )
    claimed_amount = fields.Float(
        string="Value on the Order",
        readonly=True,
        digits=(16, 4),
        help="What the till took off the order for it when it was spent.",
    )
    spent_with = fields.Json(
        readonly=True,
        help="The redemptions that the till counted with when it claimed the value: their ids, "
        "each with its amount if that was frozen before, else null.",
    )
    hold_until = fields.Datetime(readonly=True)
    lease_until = fields.Datetime(
        readonly=True, help="Until then the till is at the payment of this order."
    )
    lease_key = fields.Char(readonly=True, groups="base.group_system")
    sent_at = fields.Datetime(readonly=True)
    spent_at = fields.Datetime(
        string="Known to Be Spent Since",
        readonly=True,
        help="A request that arrives late is found hours after it was sent; from then on it is "
        "waited for what the engine makes of it.",
    )
    event_type = fields.Char(
        string="Sent as Event Type",
        readonly=True,
        help="Of points, with the path to our id in its payload: they are looked for where they "
        "went, whatever the connection says by now.",
    )
    event_path = fields.Char(readonly=True)
    event_ref = fields.Char(string="Event at the Engine", readonly=True)
    shown_at = fields.Datetime(
        string="In the Balance Since",
        readonly=True,
        help="When the engine had taken the points, as its reaction says.",
    )
    points_taken = fields.Float(
        readonly=True, digits=(16, 4), help="What the engine's reaction has really taken."
    )
    look_up_at = fields.Datetime(string="Looked Up Next", readonly=True)
    is_dropped = fields.Boolean(
        string="Taken off the Order",
        readonly=True,
        help="The cashier has taken it off, or given the order up, after it was sent.",
    )
    is_overdue = fields.Boolean(
        string="Order Missing",
        readonly=True,
        help="Spent, and its order has not come for a day or was left behind in a closed session.",
    )
    is_compared = fields.Boolean(
        readonly=True,
        help="What the till took off the stored order was compared with the server's own sum.",
    )
    reason = fields.Char(readonly=True)
    step_ids = fields.One2many("loyalty.engine.redemption.step", "redemption_id", readonly=True)

    _uuid_uniq = models.Constraint("unique(uuid)", "A redemption is in the ledger once.")
    # One row claims a voucher: whoever comes second is told where it is.
    _claim_uniq = models.UniqueIndex(
        "(claim_key) WHERE claim_key IS NOT NULL"
        " AND state NOT IN ('released', 'expired', 'refused', 'returned')",
        "Another order has a claim on this voucher.",
    )
    _open_idx = models.Index(
        "(state, look_up_at) WHERE state IN ('held', 'spending', 'unknown', 'spent', 'returning')"
    )
    _benefit_idx = models.Index("(benefit_ref) WHERE benefit_ref IS NOT NULL")
    _uncompared_idx = models.Index("(engine_id) WHERE state = 'settled' AND NOT is_compared")
    _unshown_idx = models.Index(
        "(member_ref) WHERE kind = 'points' AND shown_at IS NULL"
        " AND state NOT IN ('released', 'expired', 'refused')"
    )

    def _compute_pos_order_id(self):
        orders = self.env["pos.order"]._loyalty_engine_by_uuid(self.mapped("order_uuid"))
        for redemption in self:
            redemption.pos_order_id = orders.get(redemption.order_uuid)

    @api.model
    def _search_pos_order_id(self, operator, value):
        orders = self.env["pos.order"]
        if operator == "any":
            return Domain("order_uuid", "in", orders._search(value).subselect("uuid"))
        if operator != "in":
            return NotImplemented
        ids = [order_id for order_id in value if order_id]
        domain = Domain("order_uuid", "in", orders.browse(ids).mapped("uuid"))
        if len(ids) < len(value):
            # False: those whose order is not here
            domain |= Domain("order_uuid", "not in", orders._search([]).subselect("uuid"))
        return domain

    # === Short transactions ===

    @api.model
    def _alone(self, method, *arguments, **values):
        """Call a method of the ledger in a short transaction of its own; :return: its answer.

        Calls it again when another transaction came between. Not with Odoo's ``retrying``: that one
        sleeps for seconds.

        :param method: its name
        :raises LedgerBusy: when others came between each time
        """
        for turn in range(MOST_TRIES):
            if turn:
                time.sleep(random.uniform(SHORTEST_BREAK, LONGEST_BREAK))
            try:
                with self.env.registry.cursor() as cr:
                    ledger = self.with_env(self.env(cr=cr, su=True))
                    answer = getattr(ledger, method)(*arguments, **values)
                    ledger.env.flush_all()
                return answer
            except (
                psycopg2.errors.SerializationFailure,
                psycopg2.errors.UniqueViolation,
                psycopg2.errors.DeadlockDetected,
                psycopg2.errors.LockNotAvailable,
            ) as error:
                _logger.debug("loyalty engine: ledger was busy (%s)", type(error).__name__)
        raise LedgerBusy()

    # === Reading ===

    @api.model
    def _rows(self, condition, **values):
        """Rows as plain dictionaries, oldest first, points before vouchers.

        Points come first wherever several are spent: they can be given back.
        """
        self.env.cr.execute(
            f"""
            SELECT redemption.*, config.name AS till
              FROM loyalty_engine_redemption redemption
              LEFT JOIN pos_config config ON config.id = redemption.config_id
             WHERE {condition}
             ORDER BY redemption.kind, redemption.id
            """,
            values,
        )
        return self.env.cr.dictfetchall()

    @api.model
    def _of_order(self, engine_id, order_uuid):
        """All rows of an order, in the order in which they are spent."""
        return self._rows(
            "redemption.engine_id = %(engine)s AND redemption.order_uuid = %(order)s",
            engine=engine_id,
            order=order_uuid,
        )

    @api.model
    def _row(self, redemption_uuid):
        return next(iter(self._rows("redemption.uuid = %(uuid)s", uuid=redemption_uuid)), None)

    @api.model
    def _now(self):
        """The database's clock."""
        return self.env.cr.now()

    @api.model
    def _views_of_order(self, engine_id, order_uuid):
        return [self._till_view(row) for row in self._of_order(engine_id, order_uuid)]

    @api.model
    def _till_view(self, row):
        """What a till may know of a redemption: dict, amounts as text in the order's currency."""
        return {
            "uuid": row["uuid"],
            "kind": row["kind"],
            "booking": row["booking"],
            "state": row["state"],
            "name": row["name"] or "",
            "code": row["code_shown"] or "",
            "member_ref": row["member_ref"] or "",
            "points": row["points"] or 0,
            "amount": _text(row["amount"]) or "0",
            "discounts": row["discounts"] or [],
            "min_amount": _text(row["min_amount"]),
            "max_amount": _text(row["max_amount"]),
            "frozen_amount": _text(row["claimed_amount"]),
            "reason": row["reason"] or "",
            "held_until": f"{row['hold_until'].isoformat()}Z" if row["hold_until"] else None,
            "is_dropped": bool(row["is_dropped"]),
            "is_local": bool(row["is_local"]),
        }

    @api.model
    def _taken(self, engine_id, member_ref, read_at, with_holds, but="", but_order=""):
        """Points of a member that a balance read at ``read_at`` doesn't show as gone.

        What was sent is subtracted, in whatever state, until its reaction was seen before the
        balance was read, or a person has cleared it. Nobody waits longer than a week for a
        reaction; where reactions can't be read, as long as a request can be late.

        :param read_at: when the reading of the balance began, by the database's clock
        :param with_holds: whether what other orders merely hold counts too
        :param but: uuid of the redemption that asks
        :param but_order: uuid of the order that asks: what it holds itself doesn't count
        """
        self.env.cr.execute(
            f"""
            SELECT COALESCE(SUM(redemption.points), 0)
              FROM loyalty_engine_redemption redemption
              JOIN loyalty_engine engine ON engine.id = redemption.engine_id
             WHERE {OF_TENANT} AND redemption.member_ref = %(member)s
               AND redemption.kind = 'points' AND redemption.uuid != %(but)s
               AND (
                    (%(with_holds)s AND redemption.state = 'held'
                        AND redemption.order_uuid != %(but_order)s
                        AND redemption.hold_until > %(now)s)
                    OR redemption.state IN ('spending', 'unknown')
                    OR (redemption.state IN %(sent)s
                        AND redemption.sent_at IS NOT NULL
                        AND (redemption.shown_at IS NULL OR redemption.shown_at > %(read_at)s)
                        AND redemption.sent_at > %(read_at)s - CASE WHEN engine.can_read_reactions
                            THEN %(most)s ELSE engine.late_after * interval '1 second' END)
               )
            """,
            {
                "engine": engine_id,
                "member": member_ref,
                "but": but,
                "but_order": but_order,
                "with_holds": with_holds,
                "now": self.env.cr.now(),
                "sent": SENT_STATES,
                "read_at": read_at,
                "most": REACTION_AWAITED,
            },
        )
        return decimal_of(self.env.cr.fetchone()[0])

    # === The one writer ===

    @api.model
    def _move(self, redemption_uuid, from_states, to, note="", **values):
        """Take a redemption from one of ``from_states`` to the state ``to``, and note the step.

        One conditional UPDATE: of two that try the same, one does it.

        :return: whether it was this one
        """
        values["state"] = to
        if to in ENDED_STATES:
            values["look_up_at"] = None
        if to == "spent" and to not in from_states:
            values["spent_at"] = self.env.cr.now()
        if to != "spent":
            # Nobody waits for its order any more.
            values["is_overdue"] = False
        names = ", ".join(f"{name} = %({name})s" for name in values)
        shortened = ", code = NULL" if to in ENDED_STATES and to != "expired" else ""
        self.env.cr.execute(
            f"""
            WITH before AS (
                SELECT id, state FROM loyalty_engine_redemption WHERE uuid = %(uuid_)s
            )
            UPDATE loyalty_engine_redemption redemption
               SET {names}{shortened}, write_date = %(now_)s, write_uid = %(user_)s
              FROM before
             WHERE redemption.id = before.id AND redemption.state IN %(from_)s
         RETURNING redemption.id, before.state
            """,
            {
                **values,
                "uuid_": redemption_uuid,
                "from_": tuple(from_states),
                "now_": self.env.cr.now(),
                "user_": self.env.uid,
            },
            log_exceptions=False,
        )
        moved = self.env.cr.fetchone()
        if moved:
            self._note_step(moved[0], moved[1], to, note or values.get("reason") or "")
        return bool(moved)

    @api.model
    def _move_each(self, redemption_uuids, *step, **values):
        for redemption_uuid in redemption_uuids:
            self._move(redemption_uuid, *step, **values)

    @api.model
    def _note_step(self, redemption_id, from_state, to_state, note=""):
        """:param note: why, in words; who and at which till is known from the environment"""
        self.env.cr.execute(
            """
            INSERT INTO loyalty_engine_redemption_step
                (redemption_id, at, user_id, config_id, from_state, to_state, note)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            """,
            (
                redemption_id,
                self.env.cr.now(),
                self.env.uid,
                self.env.context.get("loyalty_engine_config_id"),
                from_state,
                to_state,
                note[:500],
            ),
        )

    @api.model
    def _add(self, values):
        """Insert a held row.

        :return: the row
        """
        now = self.env.cr.now()
        code = values.get("code")
        values = {
            "uuid": str(uuid.uuid4()),
            "state": "held",
            "booking": "discount",
            "points": 0,
            "amount": 0,
            "is_local": False,
            "is_dropped": False,
            "is_overdue": False,
            "is_compared": False,
            **values,
            # Written once nobody else has the voucher: PostgreSQL's own log tells what it refuses.
            "code": None,
            "discounts": Json(values.get("discounts") or []),
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        self.env.cr.execute(
            f"INSERT INTO loyalty_engine_redemption ({', '.join(values)})"
            f" VALUES ({', '.join(['%s'] * len(values))}) RETURNING id",
            tuple(values.values()),
            # Whoever comes second is told by `_alone`.
            log_exceptions=False,
        )
        redemption_id = self.env.cr.fetchone()[0]
        if code:
            self.env.cr.execute(
                "UPDATE loyalty_engine_redemption SET code = %s WHERE id = %s",
                (code, redemption_id),
            )
        self._note_step(redemption_id, None, "held")
        return self._row(values["uuid"])

    # === Holding ===

    @api.model
    def _claim_key(self, issuer, code, static_owner=""):
        """What one row at a time may claim: a code, or, of a static one, its use by one member.

        :param issuer: where the code is of: two connections may be of one tenant
        """
        claim = hashlib.sha256(f"{code}\0{static_owner}".encode()).hexdigest()
        return hashlib.sha256(f"{issuer} {claim}".encode()).hexdigest()

    @api.model
    def _hold_voucher(self, values, most, most_of_a_reward):
        """Claim a voucher for an order.

        :param values: dict, with ``engine_id``, ``order_uuid``, ``claim_key``
        :param most: vouchers on the order; 0 = no limit
        :param most_of_a_reward: vouchers of the same reward; 0 = no limit
        :return: the row; that of the same order if it has the voucher already
        :raises HeldElsewhere: when another order claims it
        :raises NotSpendable: when it was used, or the order has too many
        """
        for row in self._claims(values["claim_key"]):
            is_here = row["order_uuid"] == values["order_uuid"]
            if row["state"] in USED_STATES:
                if row["is_local"] or row["sent_at"] > self.env.cr.now() - REUSED_AFTER:
                    raise NotSpendable(self.env._("This voucher has been used."))
                # The engine has just said that it can be used: it may be used more than once, or
                # was not used after all.
                self._give_up_claim(row["uuid"])
            elif is_here and row["state"] in SENT_OPEN_STATES and row["is_dropped"]:
                raise NotSpendable(
                    self.env._("This voucher was redeemed for this order, and taken off again.")
                )
            elif is_here:
                return row
            elif row["state"] != "held" or row["hold_until"] > self.env.cr.now():
                # What another company's tills are called is nobody's business.
                is_ours = row["company_id"] == values["company_id"]
                raise HeldElsewhere((is_ours and row["till"]) or "")
            else:
                self._move(row["uuid"], ("held",), "expired")
        self._release_expired(values["claim_key"], values["order_uuid"])
        self._check_voucher_limits(values, most, most_of_a_reward)
        return self._add({**values, "kind": "voucher"})

    @api.model
    def _release_expired(self, claim_key, order_uuid):
        """A voucher that is held again counts once on its order."""
        for row in self._rows(
            "redemption.claim_key = %(key)s AND redemption.order_uuid = %(order)s"
            " AND redemption.state = 'expired'",
            key=claim_key,
            order=order_uuid,
        ):
            self._move(row["uuid"], ("expired",), "released")

    @api.model
    def _give_up_claim(self, redemption_uuid):
        self.env.cr.execute(
            "UPDATE loyalty_engine_redemption SET claim_key = NULL WHERE uuid = %s",
            (redemption_uuid,),
        )

    @api.model
    def _check_voucher_limits(self, values, most, most_of_a_reward):
        """Refuse one more voucher on an order; parameters as of :meth:`_hold_voucher`. What has
        expired counts: until it is taken off it can still be spent.

        :raises NotSpendable: when the order has too many
        """
        on_order = [
            row
            for row in self._of_order(values["engine_id"], values["order_uuid"])
            if row["kind"] == "voucher"
            and (row["state"] == "expired" or row["state"] not in (*FREE_STATES, *OFF_STATES))
            and not row["is_dropped"]
        ]
        if most and len(on_order) >= most:
            raise NotSpendable(self.env._("At most %s vouchers on a sale.", most))
        reward_ref = values.get("reward_ref")
        alike = [row for row in on_order if row["reward_ref"] == reward_ref]
        if reward_ref and most_of_a_reward and len(alike) >= most_of_a_reward:
            raise NotSpendable(
                self.env._(
                    "At most %(most)s of %(name)s on a sale.", most=most_of_a_reward, **values
                )
            )

    @api.model
    def _claims(self, claim_key):
        """Rows that claim a voucher."""
        return self._rows(
            "redemption.claim_key = %(key)s AND redemption.state NOT IN %(free)s",
            key=claim_key,
            free=FREE_STATES,
        )

    @api.model
    def _ensure_member(self, engine_id, member_ref):
        self.env["loyalty.engine.member"]._ensure(engine_id, member_ref)

    @api.model
    def _confirm_member(self, engine_id, member_ref):
        self.env["loyalty.engine.member"]._confirm(engine_id, member_ref)

    @api.model
    def _hold_points(self, values, balance, read_at, most_a_day):
        """Claim points of a member for an order, in the place of what it merely held before; that
        stays where the answer is no.

        :param balance: Decimal, as read from the engine from ``read_at`` on
        :param most_a_day: points of a member in 24 hours; 0 = no limit
        :return: (row or None, points that are available: Decimal)
        :raises NotSpendable: when a limit is in the way
        """
        engine_id, member_ref = values["engine_id"], values["member_ref"]
        self.env["loyalty.engine.member"]._lock(engine_id, member_ref)
        order_uuid = values["order_uuid"]
        before = [row for row in self._of_order(engine_id, order_uuid) if row["kind"] == "points"]
        for row in before:
            is_off = row["is_dropped"] or row["state"] in OFF_STATES
            if row["state"] in SENT_STATES and not is_off:
                raise NotSpendable(self.env._("Points were spent on this order already."))
        points = decimal_of(values["points"])
        available = balance - self._taken(
            engine_id, member_ref, read_at, with_holds=True, but_order=order_uuid
        )
        if points > available:
            return None, available
        self._check_day(engine_id, member_ref, points, most_a_day, order_uuid)
        for row in before:
            self._move(row["uuid"], ("held", "expired"), "released")
        return self._add({**values, "kind": "points"}), available

    @api.model
    def _check_day(self, engine_id, member_ref, points, most_a_day, order_uuid, with_holds=True):
        """Refuse more points of a member than may be spent in 24 hours; 0 = no limit.

        :param points: Decimal, to be spent besides those of the last 24 hours
        :param order_uuid: what this order itself holds doesn't count
        :param with_holds: whether what other orders merely hold counts too
        :raises NotSpendable: when that is too much
        """
        if not most_a_day:
            return
        rows = self._rows(
            f"{OF_TENANT} AND redemption.member_ref = %(member)s AND redemption.kind = 'points'"
            " AND COALESCE(redemption.sent_at, redemption.create_date) > %(since)s"
            " AND redemption.state NOT IN %(free)s"
            " AND (redemption.state != 'held'"
            "      OR (%(with_holds)s AND redemption.order_uuid != %(order)s))",
            engine=engine_id,
            member=member_ref,
            since=self.env.cr.now() - timedelta(days=1),
            free=FREE_STATES,
            with_holds=with_holds,
            order=order_uuid,
        )
        if sum((decimal_of(row["points"]) for row in rows), points) > most_a_day:
            raise NotSpendable(self.env._("At most %s points a day.", most_a_day))

    @api.model
    def _renew(self, engine_id, order_uuid, hold_seconds, till_key, at_payment):
        """Keep what an order holds, and a till's lease of its payment."""
        now = self.env.cr.now()
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_redemption
               SET hold_until = %(hold)s
             WHERE engine_id = %(engine)s AND order_uuid = %(order)s AND state = 'held'
            """,
            {
                "engine": engine_id,
                "order": order_uuid,
                "hold": now + timedelta(seconds=hold_seconds),
            },
        )
        if at_payment:
            self.env.cr.execute(
                """
                UPDATE loyalty_engine_redemption
                   SET lease_until = %(until)s
                 WHERE engine_id = %(engine)s AND order_uuid = %(order)s
                   AND lease_key = %(key)s AND state IN ('spending', 'unknown', 'spent')
                """,
                {
                    "engine": engine_id,
                    "order": order_uuid,
                    "key": till_key,
                    "until": now + LEASE,
                },
            )

    @api.model
    def _drop(self, engine_id, order_uuid, uuids=None, till_key=None, note=""):
        """Take redemptions off an order: what is held is free again, what was sent is marked, and
        goes back as soon as it is known that it was taken.

        :param uuids: which; None = all, because the order is given up
        :param till_key: who asks; another till may not while one is at the payment of the order
        :raises HeldElsewhere: when another till is at the payment of the order
        """
        now, sent = self.env.cr.now(), SENT_OPEN_STATES
        rows = [
            row
            for row in self._of_order(engine_id, order_uuid)
            if uuids is None or row["uuid"] in uuids
        ]
        for row in rows:
            is_leased = row["lease_until"] and row["lease_until"] > now and row["state"] in sent
            if is_leased and row["lease_key"] != till_key:
                raise HeldElsewhere(row["till"] or "")
        for row in rows:
            if self._move(row["uuid"], ("held", "expired"), "released", note):
                continue
            if row["state"] in sent and not row["is_dropped"]:
                self._move(
                    row["uuid"],
                    (row["state"],),
                    row["state"],
                    note or self.env._("taken off the order"),
                    is_dropped=True,
                )
        if uuids is None:
            self.env.cr.execute(
                """
                UPDATE loyalty_engine_redemption SET lease_until = NULL, lease_key = NULL
                 WHERE engine_id = %s AND order_uuid = %s AND lease_until IS NOT NULL
                """,
                (engine_id, order_uuid),
            )
        return self._of_order(engine_id, order_uuid)

    # === Spending: write first, send after ===

    @api.model
    def _spent_with(self, rows, claims):
        """What a till counts with that claims the value of some redemptions of an order.

        :param rows: all of the order
        :param claims: their uuids
        :return: dict of uuid to the amount that is frozen, as text; None for what is claimed now
        """
        return {
            row["uuid"]: None if row["uuid"] in claims else _text(row["claimed_amount"])
            for row in rows
            if row["uuid"] in claims
            or (row["state"] in ("spent", "settled") and not row["is_dropped"])
        }

    @api.model
    def _begin_spending(
        self,
        row,
        amount,
        till_key,
        until,
        balance=None,
        read_at=None,
        most_a_day=0,
        event_type="",
        event_path="",
    ):
        """The guard: from held to spending, just before the request leaves.

        :param row: as it is to be spent: of points with as many as the claim is worth
        :param amount: Decimal, what the till takes off the order for it, frozen from now on; None
            when no payment is near: see :meth:`_freeze`
        :param till_key: the till that is at the payment; "" when no payment is near
        :param until: when it is too late to send, on the monotonic clock
        :param balance: Decimal, of points: read again from ``read_at`` on
        :param most_a_day: points of a member in 24 hours; 0 = no limit
        :param event_type: as what points are sent; ``event_path``: where our id stands in it
        :return: whether it is this one that sends
        :raises NotSpendable: when it can't be spent
        :raises LedgerBusy: when it is too late to send; it stays held
        """
        self._limit_locks(until)
        if row["kind"] == "points":
            self.env["loyalty.engine.member"]._lock(row["engine_id"], row["member_ref"])
        self._check_order_is_open(row["order_uuid"])
        if row["state"] == "expired" and row["claim_key"]:
            self._check_claim(row)
        if row["kind"] == "points":
            taken = self._taken(
                row["engine_id"], row["member_ref"], read_at, with_holds=False, but=row["uuid"]
            )
            if balance - taken < decimal_of(row["points"]):
                reason = self.env._(
                    "Only %s points are left.", _text(max(balance - taken, Decimal(0)))
                )
                self._move(row["uuid"], ("held", "expired"), "refused", reason=reason)
                return False
            self._check_day(
                row["engine_id"],
                row["member_ref"],
                decimal_of(row["points"]),
                most_a_day,
                row["order_uuid"],
                with_holds=False,
            )
        # Checked again just now.
        self._move(row["uuid"], ("expired",), "held")
        now = self.env.cr.now()
        is_begun = self._move(
            row["uuid"],
            ("held",),
            "spent" if row["is_local"] else "spending",
            sent_at=now,
            points=row["points"],
            amount=row["amount"],
            claimed_amount=amount,
            spent_with=Json(row["spent_with"]),
            event_type=event_type,
            event_path=event_path,
            reason=None,
            **self._lease(till_key),
        )
        if is_begun and not row["is_local"]:
            self.env["loyalty.engine.recovery"]._expect_answer(now)
        if time.monotonic() >= until:
            raise LedgerBusy()
        return is_begun

    @api.model
    def _lease(self, till_key):
        """What says that a till is at the payment; nothing where none is near."""
        if not till_key:
            return {}
        return {"lease_until": self.env.cr.now() + LEASE, "lease_key": till_key}

    @api.model
    def _limit_locks(self, until):
        """Wait in this transaction for no lock beyond ``until``, on the monotonic clock.

        Its first statement: SET, unlike SELECT, does not decide yet which data is seen.

        :raises LedgerBusy: when that is over
        """
        left = min(until - time.monotonic(), LOCK_LIMIT)
        if left <= 0:
            raise LedgerBusy()
        # 0 would mean for ever.
        self.env.cr.execute("SET LOCAL lock_timeout = %s", (max(int(left * 1000), 1),))

    @api.model
    def _freeze(self, redemption_uuid, amount, till_key, spent_with):
        """At the payment: keep what the till takes off for a voucher that was burned before.

        :param amount: Decimal
        :param spent_with: what the till counted with: see :meth:`_spent_with`
        """
        self._move(
            redemption_uuid,
            ("spent",),
            "spent",
            self.env._("at the payment"),
            claimed_amount=amount,
            spent_with=Json(spent_with),
            **self._lease(till_key),
        )

    @api.model
    def _check_claim(self, row):
        """Refuse an expired hold whose voucher another order holds by now."""
        for other in self._claims(row["claim_key"]):
            if other["state"] != "held" or other["hold_until"] > self.env.cr.now():
                raise NotSpendable(self.env._("This voucher is on another order by now."))
            self._move(other["uuid"], ("held",), "expired")

    @api.model
    def _check_order_is_open(self, order_uuid):
        """Refuse to spend for an order that the server knows to be paid, cancelled or deleted.

        The order's row is locked meanwhile, so that nobody cancels it in between.
        """
        self.env.cr.execute(
            "SELECT state FROM pos_order WHERE uuid = %s FOR SHARE",
            (order_uuid,),
            log_exceptions=False,
        )
        states = [state for (state,) in self.env.cr.fetchall()]
        self.env.cr.execute(
            "SELECT 1 FROM loyalty_engine_tombstone WHERE order_uuid = %s", (order_uuid,)
        )
        if any(state != "draft" for state in states) or self.env.cr.fetchone():
            raise NotSpendable(self.env._("This order is paid or cancelled already."))

    @api.model
    def _write_answer(self, redemption_uuid, to, **values):
        """Write what became of a request, also when recovery has taken its sender for dead.

        :param to: "spent", "refused", "unknown"; or "held": nothing left, or nothing happened
        """
        if to == "held" and self._row(redemption_uuid)["is_dropped"]:
            # The cashier has taken it off meanwhile.
            to = "released"
        if to in ("held", "released"):
            values.update(sent_at=None, claimed_amount=None)
        if to == "unknown":
            values["look_up_at"] = self.env.cr.now() + timedelta(seconds=FIRST_LOOK_UP)
        is_certain = to in ("spent", "refused")
        from_states = ("spending", "unknown") if is_certain else ("spending",)
        self._move(redemption_uuid, from_states, to, **values)

    @api.model
    def _refuse(self, redemption_uuid, reason):
        self._move(redemption_uuid, ("held", "expired"), "refused", reason=reason)

    # === What the engine has taken ===

    @api.model
    def _unshown(self, engine_id, member_ref, limit):
        """A member's latest spendings whose reactions have not been seen yet."""
        return self._rows(
            f"{OF_TENANT} AND redemption.member_ref = %(member)s"
            " AND redemption.kind = 'points' AND redemption.shown_at IS NULL"
            " AND redemption.event_ref IS NOT NULL AND redemption.sent_at > %(since)s"
            " AND redemption.state NOT IN ('released', 'expired', 'refused')",
            engine=engine_id,
            member=member_ref,
            # Later than that nobody waits for a reaction.
            since=self.env.cr.now() - REACTION_AWAITED,
        )[-limit:]

    @api.model
    def _note_shown(self, redemption_uuid, points_taken):
        """Its reaction was seen: a balance that is read from now on has it.

        :param points_taken: Decimal
        """
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_redemption SET shown_at = %s, points_taken = %s
             WHERE uuid = %s AND shown_at IS NULL
         RETURNING id, state
            """,
            (self.env.cr.now(), points_taken, redemption_uuid),
        )
        for redemption_id, state in self.env.cr.fetchall():
            note = self.env._("%s points were taken", f"{points_taken:f}")
            self._note_step(redemption_id, state, state, note)

    # === Who may end an order ===

    @api.model
    def _check_lease(self, order_uuids):
        """Refuse to cancel or delete orders while a till is at their payment.

        :return: uuids of the orders that have redemptions
        :raises UserError: naming the till
        """
        rows = self._alone(
            "_rows", "redemption.order_uuid IN %(orders)s", orders=tuple(order_uuids)
        )
        now = self._alone("_now")
        for row in rows:
            if row["state"] in SENT_OPEN_STATES and row["lease_until"] and row["lease_until"] > now:
                raise UserError(
                    self.env._(
                        "%s is taking the payment of this order: it can be cancelled there, or in "
                        "a few minutes.",
                        row["till"],
                    )
                )
        return sorted({row["order_uuid"] for row in rows})

    # === What a person can do ===

    @api.model
    def _made_good(self, redemption_uuid, note):
        """A person has put it right, the member's balance too: it counts there no longer."""
        self._move(redemption_uuid, ("stranded",), "made_good", note)
        self.env.cr.execute(
            """
            UPDATE loyalty_engine_redemption
               SET shown_at = %s, points_taken = COALESCE(points_taken, points)
             WHERE uuid = %s AND kind = 'points' AND shown_at IS NULL
               AND state IN ('settled', 'made_good')
            """,
            (self.env.cr.now(), redemption_uuid),
        )

    def action_give_back(self):
        """Take for lost the order of what was spent: points go back, a voucher becomes a case.

        :raises AccessError: for others than managers of the point of sale
        """
        self.env["loyalty.engine"]._check_manager()
        self.check_access("read")
        for redemption in self.sudo():
            if redemption.state not in ("spent", "unknown", "spending"):
                raise UserError(self.env._("Nothing of this is spent and open."))
            if redemption.pos_order_id.state not in (False, "draft", "cancel"):
                raise UserError(self.env._("The order of this is paid."))
            try:
                self._alone(
                    "_drop",
                    redemption.engine_id.id,
                    redemption.order_uuid,
                    [redemption.uuid],
                    note=self.env._("taken for lost by a manager"),
                )
            except HeldElsewhere as error:
                raise UserError(
                    self.env._("%s is taking the payment of this order.", error.where)
                ) from error
        self.env["loyalty.engine.recovery"]._wake()

    def action_open_order(self):
        return self.pos_order_id._loyalty_engine_form()


class LoyaltyEngineRedemptionStep(models.Model):
    """What happened to a redemption, and by whom: written with the step itself, never changed."""

    _name = "loyalty.engine.redemption.step"
    _description = "Step of a Redemption"
    _log_access = False
    _order = "id"

    redemption_id = fields.Many2one(
        "loyalty.engine.redemption", required=True, index=True, ondelete="cascade", readonly=True
    )
    at = fields.Datetime(required=True, readonly=True)
    user_id = fields.Many2one("res.users", readonly=True, ondelete="set null")
    config_id = fields.Many2one(
        "pos.config", string="Point of Sale", readonly=True, ondelete="set null"
    )
    from_state = fields.Selection(STATES, string="From", readonly=True)
    to_state = fields.Selection(STATES, string="To", required=True, readonly=True)
    note = fields.Char(readonly=True)


class LoyaltyEngineTombstone(models.Model):
    """An order that was deleted, so that it is known from one that has not come yet.

    Written in the transaction that deletes the order.
    """

    _name = "loyalty.engine.tombstone"
    _description = "Deleted Order with Redemptions"
    _log_access = False

    order_uuid = fields.Char(required=True)
    at = fields.Datetime(required=True)
    user_id = fields.Many2one("res.users", ondelete="set null")

    _order_uniq = models.Constraint("unique(order_uuid)", "An order is deleted once.")


def decimal_of(value):
    """A number of the database, or None, as an exact decimal."""
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value or 0)


def _text(value):
    """A number as the shortest text without an exponent; None for None."""
    if value is None:
        return None
    text = f"{decimal_of(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

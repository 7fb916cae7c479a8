import logging
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING

from odoo import api, models

from ..engine import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupIncomplete,
    EngineRejected,
    LoyaltyEngineClient,
    PointsFacts,
    Position,
    build_points_event,
    build_validate_voucher,
    points_path,
)
from .loyalty_engine_redemption import LedgerBusy, NotSpendable, decimal_of

_logger = logging.getLogger(__name__)

# Seconds that all redemptions of an order have; the till's own clock allows 7.5.
SPEND_LIMIT = 6.5
# With less than this left nothing more is sent.
LEAST_TIME = 1.0
# Once it is written down that something is sent, it is with so much left.
LEAST_ANSWER = 0.3
# Of these seconds a till waits so long at most for the look-up of an unknown outcome.
TILL_LOOK_UP = 3.0
# How often one looks whether another request for the same redemption has its answer.
POLL = 0.1
# Reactions that are read before a balance is: those of the member's latest spendings.
MOST_REACTIONS = 3
# The engine's clock and ours may differ by so much, in seconds.
CLOCK_MARGIN = timedelta(seconds=300)
# A burn's time and ours are compared by the engine's clock; it tells whole seconds.
BURN_MARGIN = timedelta(seconds=2)


@dataclass(frozen=True)
class Terms:
    """What spending needs to know of a till and its connection, as plain data: while the engine
    is asked, no transaction is open."""

    engine_id: int
    # Where its vouchers are of
    issuer: str
    company_id: int
    client: LoyaltyEngineClient
    deadline: float
    redeem_event_type: str
    redeem_template: dict
    amount_unit: str
    can_read_reactions: bool = True
    points_step: int = 1
    points_max_day: int = 0
    # Of the till
    currency_id: int = 0
    currency: str = ""
    decimals: int = 2
    config_id: int = 0
    session_id: int = 0
    hold_seconds: int = 0
    store: str = ""
    venue: str = ""
    position: Position | None = None
    voucher_user: str = "none"
    reward_unit: str = "decimal"
    was_failing: bool = False

    def reward_amount(self, amount):
        """A limit of a reward in currency units; None where there is none."""
        if not amount:
            return None
        return amount.scaleb(-self.decimals) if self.reward_unit == "minor" else amount

    @property
    def redeem_path(self):
        return points_path(self.redeem_template)

    def redeem_body(self, facts, member_ref):
        """:raises ValueError: when the template or the facts don't make a valid body"""
        return build_points_event(
            facts,
            self.redeem_template,
            self.redeem_event_type,
            subject=member_ref,
            executor=facts.till_id,
            amount_unit=self.amount_unit,
        )


class LoyaltyEngineRedeemer(models.AbstractModel):
    """Spends for a cashier who waits: reads, holds, and sends what was written down before.

    The ledger itself is `loyalty.engine.redemption`; what was left behind is cleared up by
    `loyalty.engine.recovery`.
    """

    _name = "loyalty.engine.redeemer"
    _description = "Spending at the Loyalty Engine"

    @api.model
    def _terms(self, config, session_id):
        """:raises EngineAuthFailed: when the connection is not filled in"""
        engine = config.loyalty_engine_id.sudo()
        latitude, longitude = config.loyalty_engine_latitude, config.loyalty_engine_longitude
        return replace(
            self._background_terms(engine),
            deadline=engine.till_deadline,
            currency_id=config.currency_id.id,
            currency=config.currency_id.name,
            decimals=config.currency_id.decimal_places,
            config_id=config.id,
            session_id=session_id,
            hold_seconds=engine.hold_minutes * 60,
            store=config.loyalty_engine_store or "",
            venue=config.loyalty_engine_venue or "",
            position=Position(longitude, latitude) if latitude or longitude else None,
            voucher_user=engine.voucher_user,
            reward_unit=engine.reward_unit,
            was_failing=bool(engine._health().failures),
        )

    @api.model
    def _background_terms(self, engine):
        """The same where no till asks.

        :raises EngineAuthFailed: when the connection is not filled in
        """
        engine = engine.sudo()
        return Terms(
            engine_id=engine.id,
            issuer=engine.issuer,
            company_id=engine.company_id.id,
            client=engine._client(),
            deadline=engine.background_deadline,
            redeem_event_type=engine.redeem_event_type,
            redeem_template=engine._template("redeem_template"),
            amount_unit=engine.amount_unit,
            can_read_reactions=engine.can_read_reactions,
            points_step=engine.points_step,
            points_max_day=engine.points_max_day,
        )

    # === The balance ===

    @api.model
    def _read_balance(self, terms, member_ref, ends):
        """The member's balance, and since when what was spent is known to be part of it.

        A reaction that can't be read leaves its spending as not shown yet.

        :param ends: when to give up, on the monotonic clock
        :return: (Decimal points, datetime of the database's clock)
        :raises EngineError: when it can't be read
        """
        ledger = self.env["loyalty.engine.redemption"]
        if terms.can_read_reactions:
            for row in ledger._alone("_unshown", terms.engine_id, member_ref, MOST_REACTIONS):
                self._look_for_reaction(terms, row, ends)
        read_at = ledger._alone("_now")
        balance = terms.client.get_wallet(member_ref, deadline=time_left(ends)).balance
        if balance is None:
            raise EngineAnswerUnreadable("the wallet has no balance")
        return balance, read_at

    @api.model
    def _look_for_reaction(self, terms, row, ends):
        """:raises EngineError: when the engine can't be asked"""
        try:
            reactions = terms.client.get_event_reactions(row["event_ref"], deadline=time_left(ends))
        except (EngineRejected, EngineAuthFailed, EngineAnswerUnreadable) as error:
            _logger.info("loyalty engine %s: %s", terms.engine_id, error)
            return
        if reactions.points is not None:
            self.env["loyalty.engine.redemption"]._alone(
                "_note_shown", row["uuid"], -reactions.points
            )

    @api.model
    def _available(self, terms, member_ref, order_uuid, ends):
        """:param ends: when to give up, on the monotonic clock
        :return: (balance, what of it an order can have): Decimal points
        :raises EngineError: when the balance can't be read
        """
        balance, read_at = self._read_balance(terms, member_ref, ends)
        taken = self.env["loyalty.engine.redemption"]._alone(
            "_taken", terms.engine_id, member_ref, read_at, with_holds=True, but_order=order_uuid
        )
        return balance, balance - taken

    @api.model
    def _hold_points(self, terms, values, ends):
        """Read the balance, and hold points for an order.

        :param ends: when to give up, on the monotonic clock
        :return: (row or None, points that are available)
        :raises EngineError: when the balance can't be read
        """
        ledger = self.env["loyalty.engine.redemption"]
        ledger._alone("_ensure_member", terms.engine_id, values["member_ref"])
        balance, read_at = self._read_balance(terms, values["member_ref"], ends)
        return ledger._alone("_hold_points", values, balance, read_at, terms.points_max_day)

    # === Spending ===

    @api.model
    def _spend(self, terms, order_uuid, claims, till_key, waited=0.0):
        """Spend what an order holds, one after the other, until one isn't confirmed.

        :param claims: dict of uuid to Decimal, what the till takes off the order for each; None
            where that will be known at the payment
        :param till_key: the till that is at the payment; "" when no payment is near
        :param waited: seconds that have passed already since the till asked
        :return: list of rows as the till sees them
        :raises LedgerBusy: when the ledger could not be read
        """
        ends = time.monotonic() + SPEND_LIMIT - waited
        ledger = self.env["loyalty.engine.redemption"]
        rows = ledger._alone("_of_order", terms.engine_id, order_uuid)
        spent_with = ledger._spent_with(rows, claims) if till_key else None
        for row in rows:
            if row["uuid"] in claims and not self._spend_one(
                terms, {**row, "spent_with": spent_with}, claims[row["uuid"]], till_key, ends
            ):
                break
        return ledger._alone("_views_of_order", terms.engine_id, order_uuid)

    @api.model
    def _spend_one(self, terms, row, amount, till_key, ends):
        """:return: whether it is spent for certain, or needn't be: the next one may follow"""
        ledger = self.env["loyalty.engine.redemption"]
        if row["state"] in ("spent", "settled"):
            self._freeze(row, amount, till_key)
            return not row["is_dropped"]
        if row["state"] == "spending":
            return self._await_other(row["uuid"], ends)
        if row["state"] not in ("held", "expired") or ends - time.monotonic() < LEAST_TIME:
            return False
        asked = row
        if row["kind"] == "points":
            # Whatever a till claims: the balance, and the day's limit, were checked for this.
            amount = min(amount, decimal_of(row["amount"]))
            asked = _worth(row, amount, terms.points_step)
            if not asked["points"]:
                # Nothing is taken off for them: they stay held, and the rest may go on.
                return True
        send = balance = read_at = None
        try:
            # Whatever can go wrong before goes wrong before the row says that it is being sent.
            if row["kind"] == "points":
                balance, read_at = self._read_balance(terms, row["member_ref"], ends)
            if not row["is_local"]:
                send = self._request(terms, asked, amount, ends)
            began = ledger._alone(
                "_begin_spending",
                asked,
                amount,
                till_key,
                ends - LEAST_TIME,
                balance=balance,
                read_at=read_at,
                most_a_day=terms.points_max_day,
                event_type=terms.redeem_event_type,
                event_path=terms.redeem_path,
            )
        except NotSpendable as error:
            ledger._alone("_refuse", row["uuid"], str(error))
            return False
        except (EngineError, LedgerBusy, ValueError) as error:
            self._note(terms.engine_id, error)
            return False
        if not began:
            return self._await_other(row["uuid"], ends)
        return row["is_local"] or self._send(terms, row, send, ends)

    @api.model
    def _needs_engine(self, engine_id, order_uuid, uuids):
        """Whether something of these still has to be asked of the engine."""
        return any(
            row["uuid"] in uuids and not row["is_local"] and row["state"] in ("held", "expired")
            for row in self.env["loyalty.engine.redemption"]._alone(
                "_of_order", engine_id, order_uuid
            )
        )

    @api.model
    def _freeze(self, row, amount, till_key):
        """At the payment: what was burned before is worth what the till takes off for it now."""
        if row["state"] != "spent" or row["claimed_amount"] is not None or not till_key:
            return
        try:
            self.env["loyalty.engine.redemption"]._alone(
                "_freeze", row["uuid"], amount, till_key, row["spent_with"]
            )
        except LedgerBusy:
            _logger.info("loyalty engine: amount of %s not frozen", row["uuid"])

    @api.model
    def _await_other(self, redemption_uuid, ends):
        """Wait until the one that sends has its answer; :return: whether it is spent."""
        ledger = self.env["loyalty.engine.redemption"]
        while True:
            state = ledger._alone("_row", redemption_uuid)["state"]
            if state != "spending":
                return state in ("spent", "settled")
            if ends - time.monotonic() < POLL:
                return False
            time.sleep(POLL)

    @api.model
    def _request(self, terms, row, amount, ends):
        """The request that spends a row, ready to be sent.

        :return: function of the seconds it may take; it returns the event's id, None for a voucher
        :raises EngineError: when the member's identifier can't be read
        :raises ValueError: when the template, the code or the facts don't make a valid body
        """
        client, reference = terms.client, f"redemption {row['uuid']}"
        if row["kind"] == "voucher":
            user = self._user_identifier(terms, row["member_ref"], time_left(ends))
            # Also what can't be said is to fail here, and not once the row says that it is sent.
            build_validate_voucher(row["code"], False, user, terms.venue, terms.position)

            def burn(deadline):
                before = datetime.now(timezone.utc)
                check = client.validate_voucher(
                    row["code"],
                    allow_future_validation=False,
                    user_identifier=user,
                    venue_identifier=terms.venue,
                    position=terms.position,
                    reference=reference,
                    deadline=deadline,
                )
                after = datetime.now(timezone.utc)
                if check.burned_at and not self._is_later(check, check.burned_at, before, after):
                    # Burned by somebody else: what sounds like success is none.
                    raise EngineRejected(200, message=self.env._("The voucher has been used."))

            return burn
        facts = PointsFacts(
            redemption_id=row["uuid"],
            transaction_id=row["order_uuid"],
            points=decimal_of(row["points"]),
            amount=amount,
            currency=terms.currency,
            currency_decimals=terms.decimals,
            store_id=terms.store or None,
            till_id=f"pos-{terms.config_id}",
            cashier_id=f"user-{self.env.uid}",
            occurred_at=datetime.now(timezone.utc),
        )
        body = terms.redeem_body(facts, row["member_ref"])

        def deduct(deadline):
            return client.report_event(
                body, reference=reference, deadline=deadline, event_secret=""
            ).id

        return deduct

    @api.model
    def _send(self, terms, row, send, ends):
        """Send what was written down, and write down what came of it."""
        if ends - time.monotonic() < LEAST_ANSWER:
            # Writing took so long that nobody would hear the answer.
            self._write(row, "held", points=row["points"], amount=row["amount"])
            return False
        try:
            event_ref = send(min(time_left(ends), terms.deadline))
        except EngineRejected as error:
            self._write(row, "refused", reason=(error.message or str(error))[:200])
            return False
        except EngineError as error:
            self._note(terms.engine_id, error)
            if error.nothing_happened:
                # As it was held: another claim may be worth all of it.
                self._write(
                    row,
                    "held",
                    points=row["points"],
                    amount=row["amount"],
                    reason=str(error)[:200],
                )
                return False
            self._write(row, "unknown", reason=str(error)[:200])
            return self._look_up_now(terms, row, ends)
        self._write(row, "spent", event_ref=event_ref)
        if terms.was_failing:
            self.env["loyalty.engine.health"]._note_success(terms.engine_id)
        return True

    @api.model
    def _write(self, row, to, **values):
        """Write what became of a request; where even that fails, recovery finds the row."""
        try:
            self.env["loyalty.engine.redemption"]._alone("_write_answer", row["uuid"], to, **values)
        except LedgerBusy:
            _logger.warning("loyalty engine: answer for %s not written", row["uuid"])

    @api.model
    def _user_identifier(self, terms, member_ref, deadline):
        """How the member is named to the engine along with a voucher; "" = not at all."""
        if terms.voucher_user == "none" or not member_ref:
            return ""
        if terms.voucher_user == "ref":
            return member_ref
        return getattr(terms.client.get_user(member_ref, deadline=deadline), terms.voucher_user)

    # === Looking whether it happened ===

    @api.model
    def _look_up_now(self, terms, row, ends):
        """Look once whether it happened after all; what isn't found stays unknown."""
        left = min(TILL_LOOK_UP, ends - time.monotonic())
        if left < LEAST_TIME:
            return False
        row = self.env["loyalty.engine.redemption"]._alone("_row", row["uuid"])
        try:
            if row["kind"] == "points":
                found = self._find_events(terms, [row], left)
                event_ref = found[row["uuid"]].id if row["uuid"] in found else None
                is_there = bool(event_ref)
            else:
                is_there, event_ref = self._is_burned(terms.client, row, left), None
        except EngineError:
            return False
        if is_there:
            self._write(row, "spent", event_ref=event_ref)
        return is_there

    @api.model
    def _find_events(self, terms, rows, deadline):
        """The events that spent the points of these rows, by our id in their payload.

        :param rows: all of one type of event, with our id in the same place
        :return: dict of uuid to Event; what is not in it is not there
        :raises EngineError: when that can't be said
        """
        return terms.client.find_events(
            # A row that an older version has written while this one was being installed
            rows[0]["event_path"] or terms.redeem_path,
            {
                row["uuid"]: row["sent_at"].replace(tzinfo=timezone.utc) - CLOCK_MARGIN
                for row in rows
            },
            rows[0]["event_type"] or terms.redeem_event_type,
            deadline=deadline,
        )

    @api.model
    def _is_burned(self, client, row, deadline):
        """Whether a voucher was burned since we sent our burn, by the engine's own clock.

        A refused check proves nothing: who burned it is not told.

        :raises EngineError: when that can't be said
        """
        if not row["benefit_ref"]:
            raise EngineLookupIncomplete("the voucher can't be looked up by its code")
        benefit = client.get_benefit(row["benefit_ref"], deadline=deadline)
        if benefit.burned_at is None:
            return False
        # What was sent is dated by the database's clock, which need not be this machine's.
        sent_at, now = row["sent_at"], self.env["loyalty.engine.redemption"]._alone("_now")
        return self._is_later(
            benefit,
            benefit.burned_at,
            *(at.replace(tzinfo=timezone.utc) for at in (sent_at, now)),
        )

    @api.model
    def _is_later(self, answer, at, than, now):
        """Whether ``at``, by the engine's clock, is not before ``than``, by one of ours.

        :param answer: what the engine has just answered, with its clock where it tells it
        :param now: by the same clock as ``than``
        """
        ahead = (answer.engine_time or now) - now
        return at >= than + ahead - BURN_MARGIN

    @api.model
    def _note(self, engine_id, error):
        """Let the circuit breaker know of a failure."""
        _logger.info("loyalty engine %s: %s", engine_id, error)
        if isinstance(error, EngineError) and not isinstance(
            error, (EngineRejected, EngineAuthFailed)
        ):
            self.env["loyalty.engine.health"]._note_failure(engine_id, str(error))


def _worth(row, amount, step):
    """Points as they are to be spent: no more than the claim is worth. The fewest, in whole steps,
    that are worth at least as much at the rate at which they were held; never more than are held.

    :param amount: Decimal, what the till takes off the order for them
    """
    points, worth = decimal_of(row["points"]), decimal_of(row["amount"])
    if amount >= worth:
        return row
    needed = (points * amount / worth / step).to_integral_value(ROUND_CEILING) * step
    return {**row, "points": min(points, needed), "amount": amount}


def time_left(ends):
    """Seconds until ``ends``, at least a moment: a limit of 0 would mean none."""
    return max(ends - time.monotonic(), 0.05)

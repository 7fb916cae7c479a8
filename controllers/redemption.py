import functools
import re
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

from odoo import fields, http
from odoo.http import request
from odoo.tools import consteq

from ..engine import (
    DiscountUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineOutcomeUnknown,
    read_discounts,
)
from ..models.loyalty_engine_redeemer import time_left
from ..models.loyalty_engine_redemption import (
    FREE_STATES,
    OF_TENANT,
    ON_ORDER_STATES,
    REUSED_AFTER,
    USED_STATES,
    HeldElsewhere,
    LedgerBusy,
    NotSpendable,
)
from ..models.pos_order import LONGEST_TEXT
from .till import TillController

LONGEST_CODE = 5000  # C-SPEC `CodeDefinition.value`
LONGEST_REF = 512
LONGEST_KEY = 64
LONGEST_NUMBER = 24
FAR_FUTURE = 1e12  # seconds since 1970
MOST_CLAIMS = 30
MOST_VOUCHERS_LISTED = 100
# NUL, and halves of characters: PostgreSQL has no place for them.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Refusal(Exception):
    """The answer to the till is no: ``answer`` says why."""

    def __init__(self, status, **answer):
        super().__init__(status)
        self.answer = {"status": status, **answer}


def route(path):
    """A route of the till. What is refused is an answer, not an error."""

    def decorate(endpoint):
        @http.route(f"/pos_loyalty_engine/{path}", type="jsonrpc", auth="user")
        @functools.wraps(endpoint)
        def answered(self, *arguments, **values):
            try:
                return endpoint(self, *arguments, **values)
            except Refusal as refusal:
                return refusal.answer
            except HeldElsewhere as error:
                return {"status": "held_elsewhere", "where": error.where}
            except NotSpendable as error:
                return {"status": "limit", "reason": str(error)}
            except DiscountUnreadable as error:
                return {"status": "unreadable", "reason": str(error)}
            except LedgerBusy:
                return {"status": "busy"}

        return answered

    return decorate


class RedemptionController(TillController):
    """What the till asks for when vouchers and points are spent. The routes check who asks and
    what was sent; the ledger and the redeemer do the work in transactions of their own."""

    # === Vouchers ===

    @route("vouchers")
    def vouchers(self, config_id, session_id, member_ref, order_uuid=""):
        """The vouchers in a member's wallet, with what they are worth and whether they are free.

        :param order_uuid: the order that they would be for: what is on it already is told apart
        :return: dict with ``status`` "found", ``vouchers`` and ``is_complete`` (there are no
            others), or why there are none
        """
        config, terms = self._spending(config_id, session_id, "accepts_vouchers")
        member_ref = _text(member_ref, LONGEST_REF)
        order_uuid = _text(order_uuid, LONGEST_KEY, optional=True)
        engine = config.loyalty_engine_id.sudo()

        answer = self._ask_about(
            engine, member_ref, lambda client, ends: self._read_vouchers(client, member_ref, ends)
        )
        if answer["status"] != "found":
            return answer
        vouchers, is_complete = answer["value"]
        ledger = self._ledger()
        claims = ledger._alone(
            "_rows",
            f"{OF_TENANT} AND redemption.benefit_ref IN %(benefits)s"
            " AND redemption.state NOT IN %(free)s"
            " AND (redemption.state NOT IN %(used)s OR redemption.sent_at > %(since)s)",
            engine=terms.engine_id,
            benefits=tuple(benefit.id for benefit, _raw in vouchers) or ("",),
            free=FREE_STATES,
            used=USED_STATES,
            since=request.env.cr.now() - REUSED_AFTER,
        )
        claimed = {row["benefit_ref"]: row for row in claims}
        return {
            "status": "found",
            "vouchers": [
                self._card(terms, benefit, raw, claimed.get(benefit.id), order_uuid)
                for benefit, raw in vouchers
            ],
            "is_complete": is_complete,
        }

    def _read_vouchers(self, client, member_ref, ends):
        """The vouchers of a wallet, each with its raw discounts: None where those can't be read, or
        not in the time that a cashier waits for all of it.

        :param ends: when to give up, on the monotonic clock
        :return: (list of them, whether these are all)
        :raises EngineError: when the wallet can't be read
        """
        wallet = client.get_wallet(member_ref, deadline=time_left(ends))
        benefits = wallet.benefits[:MOST_VOUCHERS_LISTED]
        vouchers, by_reward = [], {}
        for benefit in benefits:
            reward = benefit.reward
            raw = reward and reward.discounts
            if reward and raw is None:
                left = ends - time.monotonic()
                if reward.id not in by_reward and left > 0:
                    try:
                        by_reward[reward.id] = client.list_discounts(reward.id, deadline=left)
                    except (EngineError, ValueError):
                        by_reward[reward.id] = None
                raw = by_reward.get(reward.id)
            vouchers.append((benefit, raw))
        return vouchers, wallet.benefits_complete and len(benefits) == len(wallet.benefits)

    @route("hold_voucher")
    def hold_voucher(
        self,
        config_id,
        session_id,
        order_uuid,
        member_ref="",
        code="",
        benefit="",
        presented="picked",
        is_guess=False,
    ):
        """Check a voucher without burning it, and hold it for an order.

        :param code: as scanned or typed; goes to the engine as it is
        :param benefit: the engine's id of a voucher that was chosen from the wallet, instead
        :param presented: how the member came onto the order: "scan", "typed" or "picked"
        :param is_guess: nothing in the shop has the code, and the till tries it
        """
        config, terms = self._spending(config_id, session_id, "accepts_vouchers")
        engine = config.loyalty_engine_id.sudo()
        order_uuid = _text(order_uuid, LONGEST_KEY)
        member_ref = _text(member_ref, LONGEST_REF, optional=True)
        # A code is its bearer's; what is chosen from a wallet is a member's.
        if engine.own_card_only and (member_ref or benefit) and presented != "scan":
            raise Refusal("needs_card")
        is_guess = is_guess is True
        lookups = config.env["loyalty.engine.lookup"].sudo()
        codes = config.env["loyalty.engine.code"]
        # While the engine says nothing, only our own codes can be told from others: they are tried
        # as seldom as codes that a till merely guesses.
        is_blind = bool(engine._health().failures) and codes._has_any(engine)
        wait = lookups._seconds_to_wait(is_guess) or (is_blind and lookups._seconds_to_wait(True))
        if wait:
            raise Refusal("limited", retry_after=wait)
        code = _text(code, LONGEST_CODE, optional=bool(benefit))
        own = codes._find(engine, code) if code else None
        limits = (engine.most_vouchers, engine.most_of_a_reward)
        at_once = engine.burn_moment == "at_once"
        if own:
            values = self._own_values(terms, own)
        else:
            benefit = _text(benefit, LONGEST_REF, optional=True)
            answer = self._ask(
                engine,
                lambda client: self._check(
                    client, terms, member_ref, code, benefit, order_uuid, limits
                ),
                rejected="rejected",
            )
            missed = answer["status"] in ("unknown", "rejected")
            if not missed and answer["status"] != "found" and code and codes._has_any(engine):
                lookups._record(missed=True, is_guess=True)
            else:
                lookups._record(missed=missed, is_guess=is_guess)
            if answer["status"] != "found":
                return answer
            values = self._checked_values(terms, *answer["value"], member_ref, order_uuid)
        values.update(self._order_values(terms, order_uuid), member_ref=member_ref or None)
        ledger = self._ledger()
        row = ledger._alone("_hold_voucher", values, *limits)
        if at_once and row["state"] == "held":
            # No transaction stays open while the engine is asked.
            request.env.cr.commit()
            request.env["loyalty.engine.redeemer"].sudo()._spend(
                terms, order_uuid, {row["uuid"]: None}, ""
            )
            row = ledger._alone("_row", row["uuid"])
            if row["state"] == "refused":
                raise Refusal("refused", reason=row["reason"])
        return self._held(row)

    def _check(self, client, terms, member_ref, code, benefit_id, order_uuid, limits):
        """Redeem the benefit if that wasn't done yet, and check its code without burning it: all of
        it in the time that a cashier waits.

        :return: (code, Benefit or None, Reward or None, raw discounts or None)
        :raises EngineError: when that can't be done, or not in time
        :raises Refusal, DiscountUnreadable, NotSpendable: when it would be redeemed in vain
        """
        ends = time.monotonic() + terms.deadline
        redeemer = request.env["loyalty.engine.redeemer"].sudo()
        benefit = None
        if benefit_id:
            benefit = client.get_benefit(benefit_id, deadline=time_left(ends))
            if not benefit.redeemed_at:
                self._check_unredeemed(client, terms, benefit, order_uuid, limits, ends)
                try:
                    client.redeem_benefit(
                        benefit_id, position=terms.position, deadline=time_left(ends)
                    )
                except EngineOutcomeUnknown:
                    if not client.get_benefit(benefit_id, deadline=time_left(ends)).redeemed_at:
                        raise
                benefit = client.get_benefit(benefit_id, deadline=time_left(ends))
            code = benefit.code or code
        if not code:
            raise Refusal("refused", reason=request.env._("This voucher has no code."))
        check = client.validate_voucher(
            code,
            allow_future_validation=True,
            user_identifier=redeemer._user_identifier(terms, member_ref, time_left(ends)),
            venue_identifier=terms.venue,
            position=terms.position,
            deadline=time_left(ends),
        )
        benefit = check.benefit or benefit
        if check.burned_at or (benefit and benefit.burned_at):
            raise Refusal("refused", reason=request.env._("This voucher has been used."))
        reward = check.reward or (benefit and benefit.reward)
        raw = check.discounts
        if raw is None and reward:
            raw = self._read_discounts(client, reward, ends)
        return code, benefit, reward, raw

    def _check_unredeemed(self, client, terms, benefit, order_uuid, limits, ends):
        """Refuse before it is redeemed what would be refused after that: there is no way back."""
        if not benefit.reward:
            return
        raw = self._read_discounts(client, benefit.reward, ends)
        values = self._checked_values(
            terms, benefit.code or "", benefit, benefit.reward, raw, "", order_uuid
        )
        about = {**values, "engine_id": terms.engine_id, "order_uuid": order_uuid}
        self._ledger()._alone("_check_voucher_limits", about, *limits)

    def _read_discounts(self, client, reward, ends):
        raw = reward.discounts
        return client.list_discounts(reward.id, deadline=time_left(ends)) if raw is None else raw

    def _checked_values(self, terms, code, benefit, reward, raw, member_ref, order_uuid):
        """What the ledger keeps of a checked voucher.

        :raises DiscountUnreadable: when what it is worth can't be read without guessing
        :raises Refusal: when it isn't for this till
        """
        if _is_foreign(reward, terms):
            raise Refusal(
                "refused", reason=request.env._("This voucher is in %s.", reward.currency)
            )
        if not raw:
            raise DiscountUnreadable(request.env._("The engine does not say what it is worth."))
        discounts = [
            discount
            for discount in read_discounts(raw, terms.decimals)
            if not discount.venues or terms.venue in discount.venues
        ]
        if not discounts or (reward and reward.venues and terms.venue not in reward.venues):
            raise Refusal("refused", reason=request.env._("This voucher is for another store."))
        is_static = bool(reward) and reward.code_type.upper() == "STATIC"
        ledger = request.env["loyalty.engine.redemption"]
        return {
            "name": (reward and reward.name) or request.env._("Voucher"),
            "reward_ref": reward.id if reward else None,
            "benefit_ref": benefit.id if benefit else None,
            "code": code,
            "code_shown": shortened(code),
            # A static code is everybody's: it is claimed for a member, or else for one order.
            "claim_key": ledger._claim_key(
                terms.issuer, code, (member_ref or f"order {order_uuid}") if is_static else ""
            ),
            "discounts": [discount.to_json() for discount in discounts],
            "min_amount": terms.reward_amount(reward and reward.min_amount),
            "max_amount": terms.reward_amount(reward and reward.max_amount),
        }

    def _own_values(self, terms, own):
        """What the ledger keeps of a code that only this database knows.

        :raises Refusal: when it has expired
        """
        today = fields.Date.context_today(own)
        if own.expires_on and own.expires_on < today:
            raise Refusal("refused", reason=request.env._("This code has expired."))
        return {
            "is_local": True,
            "name": own.name,
            "reward_ref": f"own {own.name}"[:LONGEST_TEXT],
            "code": own.code,
            "code_shown": shortened(own.code),
            "claim_key": own._claim_key(terms.engine_id, own.code),
            "discounts": [own._discount().to_json()],
            "min_amount": own.min_amount or None,
        }

    def _card(self, terms, benefit, raw, claim, order_uuid):
        """A voucher of the wallet as the till shows it.

        :param claim: the row of the ledger that has it, or None
        """
        reward = benefit.reward
        state, discounts = "usable", None
        try:
            discounts = read_discounts(raw or [], terms.decimals)
        except DiscountUnreadable:
            state = "unreadable"
        if not discounts:
            state = "unreadable"
        elif _is_foreign(reward, terms):
            state = "other_currency"
        elif not any(not one.venues or terms.venue in one.venues for one in discounts) or (
            reward and reward.venues and terms.venue not in reward.venues
        ):
            state = "other_venue"
        if claim:
            is_here = claim["order_uuid"] == order_uuid and not claim["is_dropped"]
            state = "on_order" if is_here and claim["state"] in ON_ORDER_STATES else "held"
        if _is_expired(benefit):
            state = "expired"
        if benefit.burned_at:
            state = "burned"
        return {
            "benefit": benefit.id,
            "name": (reward and reward.name) or request.env._("Voucher"),
            "code": shortened(benefit.code),
            "expires_at": benefit.expires_at.isoformat() if benefit.expires_at else None,
            "is_redeemed": bool(benefit.redeemed_at),
            "discounts": [one.to_json() for one in discounts] if discounts else None,
            "min_amount": _plain(terms.reward_amount(reward and reward.min_amount)),
            "max_amount": _plain(terms.reward_amount(reward and reward.max_amount)),
            "state": state,
            "where": ((claim and claim["company_id"] == terms.company_id and claim["till"]) or ""),
        }

    # === Points ===

    @route("points_terms")
    def points_terms(self, config_id, session_id, member_ref, order_uuid):
        """On what terms a member's points can be spent on an order just now."""
        config, terms = self._spending(config_id, session_id, "points_ready")
        member_ref = _text(member_ref, LONGEST_REF)
        order_uuid = _text(order_uuid, LONGEST_KEY)
        engine = config.loyalty_engine_id.sudo()
        rate = engine._known_points_value()
        if not config.loyalty_engine_points_booking or not rate:
            return {"status": "off"}
        answer = {
            "rate": f"{Decimal(repr(rate)):f}",
            "step": engine.points_step,
            "min": engine.points_min,
            "max": engine.points_max,
            "booking": config.loyalty_engine_points_booking,
            "pin_above": engine.pin_above,
        }
        redeemer = request.env["loyalty.engine.redeemer"].sudo()
        asked = self._ask_about(
            engine,
            member_ref,
            lambda client, ends: redeemer._available(terms, member_ref, order_uuid, ends),
        )
        if asked["status"] != "found":
            return asked
        balance, available = asked["value"]
        return {
            "status": "found",
            "balance": float(balance),
            "available": float(max(available, Decimal(0))),
            **answer,
        }

    @route("hold_points")
    def hold_points(
        self,
        config_id,
        session_id,
        order_uuid,
        member_ref,
        due,
        points=None,
        amount=None,
        presented="picked",
        pin="",
    ):
        """Hold points of a member for an order.

        :param due: text, what is left to pay, in the order's currency; never more is taken
        :param points: how many; or ``amount``, as text: as many as are worth that
        :param pin: the manager's, where the amount takes one
        """
        config, terms = self._spending(config_id, session_id, "points_ready")
        member_ref = _text(member_ref, LONGEST_REF)
        order_uuid = _text(order_uuid, LONGEST_KEY)
        engine = config.loyalty_engine_id.sudo()
        booking = config.loyalty_engine_points_booking
        rate = engine._known_points_value()
        if not booking or not rate:
            raise Refusal("off")
        if engine.own_card_only and presented != "scan":
            raise Refusal("needs_card")
        points, amount = self._points_wanted(engine, terms, rate, points, amount, due)
        if engine.pin_above and amount > Decimal(repr(engine.pin_above)):
            self._check_pin(config, engine, pin)
        values = {
            **self._order_values(terms, order_uuid),
            "booking": booking,
            "member_ref": member_ref,
            "name": request.env._("Points"),
            "points": points,
            "amount": amount,
            "discounts": [{"type": "ABSOLUTE", "value": f"{amount:f}", "skus": [], "venues": []}],
        }
        redeemer = request.env["loyalty.engine.redeemer"].sudo()
        asked = self._ask_about(
            engine, member_ref, lambda client, ends: redeemer._hold_points(terms, values, ends)
        )
        if asked["status"] != "found":
            return asked
        row, available = asked["value"]
        if row is None:
            return {"status": "too_many", "available": float(max(available, Decimal(0)))}
        return self._held(row)

    def _points_wanted(self, engine, terms, rate, points, amount, due):
        """How many points, and what they are worth on this order.

        :return: (Decimal points, Decimal amount in the order's currency)
        :raises Refusal: when that is none, or beyond a limit
        """
        rate, decimals, step = Decimal(repr(rate)), terms.decimals, Decimal(engine.points_step)
        due = _number(due)
        if points is not None:
            points = (_number(points) // step) * step
        else:
            points = engine._amount_to_points(min(_number(amount), due), rate, decimals, step)
        # What is more than the order is worth would be lost.
        points = min(points, engine._amount_to_points(due, rate, decimals, step))
        value = min(engine._points_to_amount(points, rate, decimals), due)
        if amount is not None:
            value = min(value, _number(amount))
        if points <= 0 or value <= 0:
            raise Refusal("limit", reason=request.env._("That is worth nothing on this order."))
        if engine.points_min and points < engine.points_min:
            raise Refusal("limit", reason=request.env._("At least %s points.", engine.points_min))
        if engine.points_max and points > engine.points_max:
            raise Refusal(
                "limit", reason=request.env._("At most %s points on a sale.", engine.points_max)
            )
        return points, value

    def _check_pin(self, config, engine, pin):
        """:raises Refusal: when it isn't the manager's; who tries too often has to wait"""
        lookups = config.env["loyalty.engine.lookup"].sudo()
        if wait := lookups._seconds_to_wait():
            raise Refusal("limited", retry_after=wait)
        pin = pin.encode(errors="replace") if isinstance(pin, str) else b""
        if not consteq(pin, (engine.manager_pin or "").encode()):
            if pin:
                lookups._record(missed=True)
            raise Refusal("needs_pin", is_wrong=bool(pin))

    @route("refund_terms")
    def refund_terms(self, config_id, session_id, sold, amount, promised="0"):
        """What a return of these orders can give back to a payment with points.

        A till's promise: the server decides when the return is paid.

        :param sold: list of text, uuids of the orders
        :param amount: text, what the payment wants to give back, in the order's currency
        :param promised: text, what other payments of the same return give back
        """
        config = self._check_till(config_id, session_id)
        engine = config.loyalty_engine_id.sudo()
        if not engine:
            raise Refusal("not_configured")
        if engine.is_other_database:
            raise Refusal("copy")
        if config.loyalty_engine_points_booking != "payment":
            raise Refusal("off")
        if not isinstance(sold, list) or len(sold) > MOST_CLAIMS:
            raise Refusal("failed")
        sold = [_text(one, LONGEST_KEY) for one in sold]
        terms = self._ledger()._alone(
            "_refund_terms", engine.id, sold, _number(amount), _number(promised)
        )
        return {"status": "found", **terms}

    # === The order's redemptions ===

    @route("spend")
    def spend(self, config_id, session_id, order_uuid, till_key, claims, asked_at=None):
        """Spend what an order holds, before it is paid.

        :param claims: list of dict with ``uuid`` and ``amount``, text in the order's currency: what
            the till takes off the order for it
        :param asked_at: when the till has asked, by this server's clock as far as the till knows
            it, in seconds since 1970. What has waited for a worker until the till gave up is not
            sent any more
        """
        config, terms = self._spending(config_id, session_id)
        order_uuid = _text(order_uuid, LONGEST_KEY)
        till_key = _text(till_key, LONGEST_KEY)
        if not isinstance(claims, list) or len(claims) > MOST_CLAIMS:
            return {"status": "failed"}
        claims = {
            _text(claim.get("uuid"), LONGEST_KEY): _number(claim.get("amount")) for claim in claims
        }
        admits = config.loyalty_engine_id.sudo()._health()._admits_cashier()
        redeemer = request.env["loyalty.engine.redeemer"].sudo()
        # Nothing of this transaction is at hand any more while the engine is asked.
        request.env.cr.rollback()
        # Codes that only this database knows need no engine.
        is_down = not admits and redeemer._needs_engine(terms.engine_id, order_uuid, claims)
        rows = redeemer._spend(
            terms, order_uuid, {} if is_down else claims, till_key, waited=_seconds_since(asked_at)
        )
        return {
            "status": "down" if is_down else "done",
            "redemptions": rows,
            "server_time": time.time(),
        }

    @route("redemptions")
    def redemptions(self, config_id, session_id, order_uuid):
        """All redemptions of an order, as they are now."""
        _config, engine_id, order_uuid = self._order(config_id, session_id, order_uuid)
        return {
            "status": "found",
            "redemptions": self._views(engine_id, order_uuid),
            "server_time": time.time(),
        }

    @route("release")
    def release(self, config_id, session_id, order_uuid, uuids, till_key=""):
        """Take redemptions off an order: held ones are free again, spent ones are given back."""
        if not isinstance(uuids, list) or len(uuids) > MOST_CLAIMS:
            return {"status": "failed"}
        return self._drop(config_id, session_id, order_uuid, till_key, uuids)

    @route("abandon")
    def abandon(self, config_id, session_id, order_uuid, till_key):
        """Give up an order's redemptions, because it is about to be deleted."""
        return self._drop(config_id, session_id, order_uuid, till_key, None)

    def _drop(self, config_id, session_id, order_uuid, till_key, uuids):
        config, engine_id, order_uuid = self._order(config_id, session_id, order_uuid)
        till_key = _text(till_key, LONGEST_KEY, optional=True)
        try:
            self._ledger()._alone("_drop", engine_id, order_uuid, uuids, till_key)
        except HeldElsewhere as error:
            raise Refusal("at_payment", where=error.where) from error
        config.env["loyalty.engine.recovery"].sudo()._wake()
        return {"status": "done", "redemptions": self._views(engine_id, order_uuid)}

    @route("renew")
    def renew(self, config_id, session_id, order_uuid, till_key, at_payment=False):
        """Keep what an order holds while it is worked on, and the till's lease of its payment."""
        config, engine_id, order_uuid = self._order(config_id, session_id, order_uuid)
        hold_seconds = config.loyalty_engine_id.sudo().hold_minutes * 60
        till_key = _text(till_key, LONGEST_KEY)
        self._ledger()._alone(
            "_renew", engine_id, order_uuid, hold_seconds, till_key, bool(at_payment)
        )
        return {"status": "done", "server_time": time.time()}

    # === What every route needs ===

    def _ledger(self):
        return request.env["loyalty.engine.redemption"].sudo()

    def _held(self, row):
        redemption = self._ledger()._till_view(row)
        return {"status": "held", "redemption": redemption, "server_time": time.time()}

    def _views(self, engine_id, order_uuid):
        return self._ledger()._alone("_views_of_order", engine_id, order_uuid)

    def _order(self, config_id, session_id, order_uuid):
        """:return: (configuration, id of its connection, uuid of the order)"""
        config = self._check_till(config_id, session_id, open_session=False)
        engine = config.loyalty_engine_id.sudo()
        if not engine:
            raise Refusal("not_configured")
        return config, engine.id, _text(order_uuid, LONGEST_KEY)

    def _spending(self, config_id, session_id, switch=None):
        """:return: (configuration, Terms)
        :raises Refusal: where nothing is spent, or not this
        """
        config = self._check_till(config_id, session_id)
        engine = config.loyalty_engine_id.sudo()
        if not engine:
            raise Refusal("not_configured")
        if engine.is_other_database:
            raise Refusal("copy")
        if switch and not engine[switch]:
            raise Refusal("off")
        try:
            return config, config.env["loyalty.engine.redeemer"].sudo()._terms(config, session_id)
        except EngineAuthFailed:
            raise Refusal("refused") from None

    def _ask_about(self, engine, member_ref, call):
        """Ask for something of a member's. One of whom the engine has never told is looked up
        first, as a code is: counted, limited, and taken by no other name than the engine's id.

        :param call: function of the client, and of when to give up, on the monotonic clock
        :raises Refusal: where the cashier has to wait
        """
        engine_id, ledger = engine.id, self._ledger()
        ends = time.monotonic() + engine.till_deadline
        if request.env["loyalty.engine.member"].sudo()._is_confirmed(engine_id, member_ref):
            return self._ask(engine, lambda client: call(client, ends))
        lookups = request.env["loyalty.engine.lookup"].sudo()
        if wait := lookups._seconds_to_wait():
            raise Refusal("limited", retry_after=wait)

        def look_up_and_call(client):
            user = client.get_user(member_ref, deadline=time_left(ends))
            if user.id != member_ref or user.is_restricted:
                raise ValueError("no member whose points or vouchers can be used")
            ledger._alone("_confirm_member", engine_id, member_ref)
            return call(client, ends)

        answer = self._ask(engine, look_up_and_call)
        lookups._record(missed=answer["status"] == "unknown")
        return answer

    def _order_values(self, terms, order_uuid):
        return {
            "engine_id": terms.engine_id,
            "company_id": terms.company_id,
            "currency_id": terms.currency_id,
            "config_id": terms.config_id,
            "session_id": terms.session_id,
            "order_uuid": order_uuid,
            "hold_until": request.env.cr.now() + timedelta(seconds=terms.hold_seconds),
        }


def _seconds_since(moment):
    """How long ago that was, of a moment that a till names; 0 for one that is none, or to come."""
    is_number = isinstance(moment, int | float) and abs(moment) < FAR_FUTURE
    return max(0.0, time.time() - moment) if is_number else 0.0


def shortened(code):
    """A code as it may be shown: enough to tell it from others, too little to use it."""
    if not code:
        return ""
    return f"{code[:3]}…{code[-3:]}" if len(code) > 8 else f"{code[:1]}…{code[-1:]}"


def _is_foreign(reward, terms):
    """Whether a reward is worth something in another currency than the order's."""
    return bool(reward and reward.currency and reward.currency.upper() != terms.currency)


def _is_expired(benefit):
    """A voucher that was redeemed or validated once doesn't expire any more (D-BEN)."""
    return bool(
        benefit.expires_at
        and benefit.expires_at < datetime.now(timezone.utc)
        and not benefit.redeemed_at
        and not benefit.validated_at
    )


def _plain(amount):
    return None if amount is None else f"{amount:f}"


def _text(value, longest, optional=False):
    """A text of the browser's, as it is, whatever its characters.

    :raises Refusal: for what can't be one, or can't be stored as one
    """
    if optional and not value:
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= longest or UNSTORABLE.search(value):
        raise Refusal("failed")
    return value


def _number(value):
    """A number of the browser's, at least 0.

    :raises Refusal: for what isn't one
    """
    try:
        number = Decimal(str(value)[:LONGEST_NUMBER])
    except InvalidOperation:
        raise Refusal("failed") from None
    if not number.is_finite() or not 0 <= number < 10**12:
        raise Refusal("failed")
    return number

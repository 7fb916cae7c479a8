"""Protections of the module, each of which can be switched off: the drill must see the damage.

Named as in ``tests/protocol``. What is changed is the loaded module, never a file.
"""

import time
import uuid
from datetime import timedelta
from decimal import Decimal

PROTECTIONS = {}


def protection(switch_off):
    """Register a function that switches off the protection of its name."""
    PROTECTIONS[switch_off.__name__] = switch_off
    return switch_off


def install(names):
    """Switch these protections off.

    :raises KeyError: for a name that is none
    """
    for name in names:
        PROTECTIONS[name]()


def _models():
    from odoo.addons.pos_loyalty_engine import models

    return models


def _replace(owner, name):
    """Decorate a function to take the place of a method, which it gets as its first argument."""

    def decorate(function):
        method = getattr(owner, name)

        def replaced(self, *arguments, **values):
            return function(method, self, *arguments, **values)

        replaced.__dict__.update(getattr(method, "__dict__", {}))
        setattr(owner, name, replaced)

    return decorate


def _ledger():
    return _models().loyalty_engine_redemption.LoyaltyEngineRedemption


def _ends():
    return _models().loyalty_engine_redemption_end.LoyaltyEngineRedemption


def _recovery():
    return _models().loyalty_engine_recovery.LoyaltyEngineRecovery


def _redeemer():
    return _models().loyalty_engine_redeemer.LoyaltyEngineRedeemer


@protection
def write_first():
    """The row says "held" while the request is under way."""

    @_replace(_ledger(), "_alone")
    def _alone(original, self, method, *arguments, **values):
        answer = original(self, method, *arguments, **values)
        if method == "_begin_spending" and answer:
            original(self, "_move", arguments[0]["uuid"], ("spending",), "held")
        return answer

    @_replace(_ledger(), "_move")
    def _move(original, self, redemption_uuid, from_states, to, *arguments, **values):
        if to in ("spent", "refused", "unknown"):
            from_states = (*from_states, "held")
        return original(self, redemption_uuid, from_states, to, *arguments, **values)


@protection
def one_spends():
    """Who has seen "held" writes "spending", whatever it is by now."""

    @_replace(_ledger(), "_move")
    def _move(original, self, redemption_uuid, from_states, to, *arguments, **values):
        if to == "spending":
            from_states = (*from_states, "spending", "unknown", "spent")
        return original(self, redemption_uuid, from_states, to, *arguments, **values)


@protection
def one_claim():
    """A voucher may be held by several orders."""

    @_replace(_ledger(), "_claim_key")
    def _claim_key(_original, _self, *_arguments, **_values):
        return str(uuid.uuid4())


@protection
def lock():
    """The lock that looks right: it waits, and then sums up an old snapshot."""

    member = _models().loyalty_engine_member.LoyaltyEngineMember

    @_replace(member, "_lock")
    def _lock(_original, self, engine_id, ref):
        self.env.cr.execute(
            "SELECT 1 FROM loyalty_engine_member WHERE engine_id = %s AND ref = %s FOR UPDATE",
            (engine_id, ref),
        )


@protection
def judged_at_spend():
    """What was available when it was held is taken to be so when it is spent."""

    @_replace(_ledger(), "_taken")
    def _taken(original, self, engine_id, member_ref, read_at, with_holds, **values):
        if with_holds:
            return original(self, engine_id, member_ref, read_at, with_holds, **values)
        return Decimal(0)


@protection
def subtracted_until_shown():
    """What is settled is thought to be in the balance."""
    _models().loyalty_engine_redemption.SENT_STATES = ("spent",)


@protection
def late_is_awaited():
    """What is not there has never happened."""

    @_replace(_recovery(), "_judge")
    def _judge(_original, self, _engine, rows, answers):
        for row in rows:
            is_there, event_ref = answers.get(row["uuid"], (None, None))
            if is_there:
                self._ledger("_move", row["uuid"], ("unknown",), "spent", event_ref=event_ref)
            elif is_there is False:
                self._ledger("_move", row["uuid"], ("unknown",), "released", "never arrived")


@protection
def audit():
    """Nobody looks again."""

    @_replace(_recovery(), "_cron_audit")
    def _cron_audit(_original, _self):
        return None


@protection
def event_is_evidence():
    """A balance that is lower is taken for a deduction."""

    @_replace(_redeemer(), "_find_events")
    def _find_events(original, self, terms, rows, deadline):
        found = dict(original(self, terms, rows, deadline))
        for row in rows:
            balance = terms.client.get_wallet(row["member_ref"], deadline=deadline).balance
            if row["uuid"] not in found and balance < BALANCES.get(row["uuid"], balance):
                found[row["uuid"]] = _Event("0")
        return found

    @_replace(_ledger(), "_begin_spending")
    def _begin_spending(original, self, row, *arguments, balance=None, **values):
        BALANCES[row["uuid"]] = balance
        return original(self, row, *arguments, balance=balance, **values)


#: Of the process: what was read before a redemption was spent.
BALANCES = {}


class _Event:
    def __init__(self, event_id):
        self.id = event_id


@protection
def patience():
    """An order that isn't here after some seconds is lost."""

    @_replace(_ends(), "_fate")
    def _fate(original, self, row):
        fate = original(self, row)
        now = self.env.cr.now()
        is_leased = row["lease_until"] and row["lease_until"] > now
        if fate == "open" and not is_leased and now - row["sent_at"] > timedelta(seconds=3):
            return "gone"
        return fate

    @_replace(_recovery(), "_end_spent")
    def _end_spent(original, self, engine):
        for row in self._rows(engine, "redemption.state = 'spent'"):
            self._ledger("_end", row["uuid"], engine.late_after)
        return original(self, engine)


@protection
def lease():
    """A till at payment is no reason to wait."""
    _models().loyalty_engine_redemption.LEASE = timedelta(0)


@protection
def dead_are_doubted():
    """Whoever sends is thought to be alive, for ever."""

    @_replace(_recovery(), "_doubt_dead_senders")
    def _doubt_dead_senders(_original, _self, _engine):
        return None


@protection
def reaction_first():
    """What was sent is given back, whether or not anything was taken."""

    @_replace(_ends(), "_give_back")
    def _give_back(original, self, row, why, late_after):
        if row["kind"] == "points" and not row["shown_at"]:
            row = {**row, "shown_at": self.env.cr.now(), "points_taken": row["points"]}
        return original(self, row, why, late_after)

    @_replace(_ends(), "_queue_refund")
    def _queue_refund(original, self, row):
        return original(self, {**row, "points_taken": row["points_taken"] or row["points"]})


@protection
def return_is_awaited():
    """A return that got no answer goes again at once."""
    _resend_at_once(looked_up=True)


@protection
def return_is_looked_up():
    """A return goes again without looking whether it arrived."""
    _resend_at_once(looked_up=False)


def _resend_at_once(looked_up):
    sender = _models().loyalty_engine_sender.LoyaltyEngineSender

    @_replace(sender, "_write_look_up")
    def _write_look_up(original, self, engine, rows, found, late_after, *_terms):
        wait = 0 if looked_up else late_after
        found = found if looked_up else {}
        return original(self, engine, rows, found, wait, "sale", undecided=(), cut_short=())


@protection
def stop_at_failure():
    """All that an order holds is spent, whatever came of the first."""

    @_replace(_redeemer(), "_spend_one")
    def _spend_one(original, self, terms, row, amount, till_key, ends):
        original(self, terms, row, amount, till_key, time.monotonic() + 5)
        return True


@protection
def carried_is_settled():
    """An order that was paid is taken to be paid without it."""

    @_replace(_ends(), "_fate")
    def _fate(original, self, row):
        fate = original(self, row)
        return "paid without it" if fate == "paid with it" else fate


@protection
def manager_is_told():
    """Nobody hears of a discount that nothing backs."""

    @_replace(_ends(), "_flag_unbacked")
    def _flag_unbacked(_original, _self, *_arguments):
        return None

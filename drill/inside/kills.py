"""The process dies at a write that was named before: a file in a folder arms it.

A file is called like the place, such as ``before _begin_spending``: the first process that comes
there takes the file away and ends itself with SIGKILL. ``after`` a write it is committed, and
nobody is told. With a redemption's uuid behind it only the write of that redemption is meant.

Recovery dies at most every ``JOB_LIVES`` seconds, and not so soon after the sender did: the traps
wait for its next run meanwhile. Without that none of its runs would ever end, and Odoo gives a job
up for a while after three deaths in a row.
"""

import contextlib
import functools
import os
import signal
import time

#: The ledger's short transactions that write.
LEDGER_WRITES = (
    "_ensure_member",
    "_confirm_member",
    "_hold_voucher",
    "_hold_points",
    "_renew",
    "_drop",
    "_begin_spending",
    "_write_answer",
    "_freeze",
    "_refuse",
    "_note_shown",
    "_move",
    "_move_each",
    "_put_off",
    "_settle",
    "_end",
    "_strand",
    "_judge_refund",
    "_note_refund_reaction",
    "_put_off_refund",
    "_list_missing",
    "_list_not_taken",
    "_list_taken_less",
    "_found_after_all",
    "_compare",
    "_allot_refund",
    "_flag_unbacked",
)
#: What the sender of the outbox does between two commits.
SENDER_STEPS = ("_claim", "_post", "_write_outcomes")
#: Seconds for which recovery lives after a job has died
JOB_LIVES = 10
#: An order is stored: before its transaction, and when it is committed.
ORDER = "sync_from_ui"


def places():
    """The names of all places at which a process can be killed."""
    return [f"{when} {step}" for step in _steps() for when in ("before", "after")]


def _steps():
    return (*LEDGER_WRITES, *SENDER_STEPS, ORDER)


def install(folder):
    from odoo.http import request

    from odoo.addons.point_of_sale.models.pos_order import PosOrder
    from odoo.addons.pos_loyalty_engine.models.loyalty_engine_redemption import (
        LoyaltyEngineRedemption,
    )
    from odoo.addons.pos_loyalty_engine.models.loyalty_engine_sender import LoyaltyEngineSender

    last_death = folder / "a job has died"

    def die_if_armed(*places):
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / place)
                if not request:
                    last_death.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    def die_at(place, redemption):
        """At a write of the ledger: also where recovery has died just now if this one is meant."""
        if redemption:
            die_if_armed(f"{place} {redemption}")
        if request or not _is_young(last_death):
            die_if_armed(place)

    alone = LoyaltyEngineRedemption._alone

    @functools.wraps(alone)
    def _alone(self, method, *arguments, **values):
        if method not in LEDGER_WRITES:
            return alone(self, method, *arguments, **values)
        redemption = _redemption_of(*arguments)
        die_at(f"before {method}", redemption)
        answer = alone(self, method, *arguments, **values)
        die_at(f"after {method}", redemption)
        return answer

    LoyaltyEngineRedemption._alone = _alone

    for name in SENDER_STEPS:
        setattr(LoyaltyEngineSender, name, _mortal(LoyaltyEngineSender, name, die_if_armed))

    sync = PosOrder.sync_from_ui

    @functools.wraps(sync)
    def sync_from_ui(self, orders):
        die_if_armed(f"before {ORDER}")
        self.env.cr.postcommit.add(lambda: die_if_armed(f"after {ORDER}"))
        return sync(self, orders)

    PosOrder.sync_from_ui = sync_from_ui


def _is_young(file):
    with contextlib.suppress(FileNotFoundError):
        return time.time() - file.stat().st_mtime < JOB_LIVES
    return False


def _redemption_of(row=None, *_others):
    """The uuid of what a write of the ledger is about, which it gets as a row or as it is."""
    uuid = row.get("uuid") if isinstance(row, dict) else row
    return uuid if isinstance(uuid, str) else ""


def _mortal(owner, name, die_if_armed):
    method = getattr(owner, name)

    @functools.wraps(method)
    def step(self, *arguments, **values):
        die_if_armed(f"before {name}")
        answer = method(self, *arguments, **values)
        die_if_armed(f"after {name}")
        return answer

    return step

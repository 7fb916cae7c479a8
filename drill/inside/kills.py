"""The process dies at a write that was named before: a file in a folder arms it.

A file is called like the place, such as ``before _begin_spending``: the first process that comes
there takes the file away and ends itself with SIGKILL. ``after`` a write it is committed, and
nobody is told. With a redemption's uuid behind it only the write of that redemption is meant.
"""

import contextlib
import functools
import os
import signal

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
    "_put_off",
    "_settle",
    "_end",
    "_strand",
    "_judge_refund",
    "_note_refund_reaction",
    "_put_off_refund",
    "_list_missing",
    "_list_not_taken",
    "_found_after_all",
    "_compare",
    "_allot_refund",
    "_flag_unbacked",
)
#: What the sender of the outbox does between two commits.
SENDER_STEPS = ("_claim", "_post", "_write_outcomes")
#: An order is stored: before its transaction, and when it is committed.
ORDER = "sync_from_ui"


def places():
    """The names of all places at which a process can be killed."""
    return [f"{when} {step}" for step in _steps() for when in ("before", "after")]


def _steps():
    return (*LEDGER_WRITES, *SENDER_STEPS, ORDER)


def install(folder):
    from odoo.addons.point_of_sale.models.pos_order import PosOrder
    from odoo.addons.pos_loyalty_engine.models.loyalty_engine_redemption import (
        LoyaltyEngineRedemption,
    )
    from odoo.addons.pos_loyalty_engine.models.loyalty_engine_sender import LoyaltyEngineSender

    def die_if_armed(place, redemption=""):
        for name in (place, f"{place} {redemption}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(folder / name)
                os.kill(os.getpid(), signal.SIGKILL)

    alone = LoyaltyEngineRedemption._alone

    @functools.wraps(alone)
    def _alone(self, method, *arguments, **values):
        if method not in LEDGER_WRITES:
            return alone(self, method, *arguments, **values)
        redemption = _redemption_of(*arguments)
        die_if_armed(f"before {method}", redemption)
        answer = alone(self, method, *arguments, **values)
        die_if_armed(f"after {method}", redemption)
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

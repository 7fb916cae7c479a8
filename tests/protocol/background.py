"""What happens by itself: time passes, and jobs look after what was left behind."""

from __future__ import annotations

from .machine import Courtesy, Happening, Protection, Temptation
from .server_side import AT_WORK, MOST_ATTEMPTS
from .world import (
    DEDUCT,
    GIVE_BACK,
    WITHOUT_CLAIM,
    Event,
    Kind,
    Message,
    Return,
    Sending,
    State,
    Step,
    Stored,
    Till,
    more,
)

# === Time ===


def clock(machine, world):
    """Holds run out, leases run out, and the time passes in which a request may arrive late."""
    for number, row in enumerate(world.redemptions):
        order = world.orders[machine.order_of[number]]
        if row.state is State.HELD and order.till in AT_WORK and not row.has_expired:
            yield _expire(machine, world, number)
        if row.state is State.UNKNOWN and not row.too_late:
            awaited = machine.late_is_bounded and (row.sendings or _is_underway(world, number))
            if not awaited:
                yield Happening(
                    f"time: a request for {machine.names[number]} can't arrive any more",
                    world.with_row(number, too_late=True),
                )
        if row.returning is Return.UNKNOWN and not row.return_too_late:
            awaited = machine.late_is_bounded and _is_underway(world, number, returning=True)
            if not awaited:
                yield Happening(
                    f"time: a return for {machine.names[number]} can't arrive any more",
                    world.with_row(number, return_too_late=True),
                )
    if machine.scenario.lease_runs_out and world.faults:
        for number, order in enumerate(world.orders):
            if order.leased and order.till is Till.PAYING:
                yield Happening(
                    f"time: the lease of till {number + 1} runs out at payment",
                    world.failed().with_order(number, leased=False),
                )


def _expire(machine, world, number):
    written = machine.has(Courtesy.EXPIRY_IS_WRITTEN)
    changes = {"state": State.EXPIRED} if written else {"overdue": True}
    return Happening(
        f"time: the hold on {machine.names[number]} runs out",
        world.with_row(number, has_expired=True, **changes),
    )


def _is_underway(world, number, returning=False):
    return any(
        message.redemption == number and (message.what == GIVE_BACK) == returning
        for message in world.underway
    )


# === Recovery ===


def recovery(machine, world):
    """The job that looks after rows whose process is gone, and alone writes how they end."""
    for number, row in enumerate(world.redemptions):
        name = machine.names[number]
        if row.state is State.SPENDING:
            if not row.sendings:
                yield Happening(
                    f"recovery: nobody is spending {name}, it is unknown",
                    world.with_row(number, state=State.UNKNOWN),
                )
            elif machine.scenario.slow_server and world.faults:
                yield Happening(
                    f"recovery: thinks the process spending {name} dead, it is unknown",
                    world.failed().with_row(number, state=State.UNKNOWN),
                )
        elif row.state is State.UNKNOWN or (
            row.state is State.RELEASED and row.attempts and machine.has(Protection.AUDIT)
        ):
            yield from _look_up(machine, world, number)
        elif row.state is State.SPENT:
            yield from _end(machine, world, number)
        yield from _see_reaction(machine, world, number)
        yield from _compare_with_order(machine, world, number)


def _look_up(machine, world, number):
    row, name = world.redemptions[number], machine.names[number]
    order = world.orders[machine.order_of[number]]
    unlisted = machine.scenario.events_unlisted and machine.kinds[number] is Kind.POINTS
    if unlisted and machine.has(Protection.EVENT_IS_EVIDENCE):
        if row.too_late:
            yield Happening(
                f"recovery: {name} can't be looked up, a person decides",
                world.with_row(number, state=State.STRANDED),
            )
        return
    if _is_found(machine, world, number):
        if row.state is State.UNKNOWN:
            yield Happening(
                f"recovery: {name} is found, it is spent",
                world.with_row(number, state=State.SPENT),
            )
        else:
            # No order has it: for those it was gone.
            yield Happening(
                f"audit: {name} is found after all, it is spent and goes back",
                world.with_row(number, state=State.SPENT, dropped=True),
            )
        return
    if row.state is not State.UNKNOWN:
        return
    if row.too_late or not machine.has(Protection.LATE_IS_AWAITED):
        again = not machine.has(Protection.NEVER_HELD_AGAIN) and order.till in AT_WORK
        state = State.HELD if again else State.RELEASED
        yield Happening(
            f"recovery: {name} is not there, it is {state.value}",
            world.with_row(number, state=state),
        )
    elif (
        machine.has(Temptation.BURN_AGAIN)
        and machine.kinds[number] is Kind.VOUCHER
        and order.till is Till.SPENDING
        and row.attempts < MOST_ATTEMPTS
    ):
        attempt = row.attempts + 1
        yield Happening(
            f"recovery: {name} is not there, it is burned again",
            world.with_row(
                number,
                state=State.SPENDING,
                attempts=attempt,
                sendings=more(row.sendings, Sending(attempt, Step.WRITTEN)),
            ),
        )


def _is_found(machine, world, number):
    """Whether the engine shows that it did what was asked for."""
    row, engine = world.redemptions[number], world.engine
    if machine.kinds[number] is Kind.VOUCHER:
        if engine.burned_by is None:
            return False
        # The burn may be another row's: the index tells whose it is.
        return row.state is State.UNKNOWN or not any(
            machine.kinds[other] is Kind.VOUCHER and claim.state not in WITHOUT_CLAIM
            for other, claim in enumerate(world.redemptions)
        )
    if machine.has(Protection.EVENT_IS_EVIDENCE):
        return Event(DEDUCT, number) in engine.events
    return engine.balance <= machine.scenario.balance - machine.scenario.points


def _end(machine, world, number):
    """What is spent belongs to a stored paid order, or goes back, or waits."""
    row, name = world.redemptions[number], machine.names[number]
    order = world.orders[machine.order_of[number]]
    carried = number in order.carries and machine.has(Protection.CARRIED_IS_SETTLED)
    if order.stored is Stored.PAID and carried:
        yield Happening(
            f"recovery: the paid order carries {name}, it is settled",
            world.with_row(number, state=State.SETTLED),
        )
        return
    leased = order.leased and machine.has(Protection.LEASE)
    is_dead = (
        row.dropped
        or order.stored is Stored.PAID
        or (order.stored is Stored.DELETED and not leased)
        or (order.till is Till.PAID and not machine.has(Protection.PATIENCE))
    )
    if not is_dead:
        return
    if machine.kinds[number] is Kind.VOUCHER:
        yield Happening(
            f"recovery: no order has {name}, it is stranded",
            world.with_row(number, state=State.STRANDED),
        )
    elif row.reaction_seen or not machine.has(Protection.REACTION_FIRST):
        yield Happening(
            f"recovery: no order has {name}, it is given back",
            world.with_row(number, state=State.RETURNING, returning=Return.QUEUED),
        )
    elif Event(DEDUCT, number) in world.engine.ignored:
        yield Happening(
            f"recovery: no reaction took the points of {name} in all that time, a person decides",
            world.with_row(number, state=State.STRANDED),
        )


def _see_reaction(machine, world, number):
    event, engine = Event(DEDUCT, number), world.engine
    if (
        not world.redemptions[number].reaction_seen
        and event in engine.events
        and event not in engine.unreacted
        and event not in engine.ignored
    ):
        yield Happening(
            f"recovery: sees the reaction for {machine.names[number]}",
            world.with_row(number, reaction_seen=True),
        )


def _compare_with_order(machine, world, number):
    """A stored paid order with a discount that isn't settled."""
    row, name = world.redemptions[number], machine.names[number]
    at = machine.order_of[number]
    order = world.orders[at]
    if order.stored is not Stored.PAID or number not in order.carries:
        return
    if (
        row.returning is Return.QUEUED
        and not row.returns
        and machine.has(Courtesy.RETURN_CALLED_OFF)
    ):
        yield Happening(
            f"recovery: the paid order carries {name}, its return is called off",
            world.with_row(number, state=State.SETTLED, returning=Return.NONE),
        )
    if (
        row.state in (State.RETURNED, State.STRANDED, State.RELEASED)
        and not order.flagged
        and machine.has(Protection.MANAGER_IS_TOLD)
    ):
        yield Happening(
            f"recovery: tells the manager about the discount of sale {at + 1}",
            world.with_order(at, flagged=True),
        )


# === The outbox, for events that give points back ===


def outbox(machine, world):
    """Sends what gives points back, and looks it up when it doesn't know whether it arrived."""
    for number, row in enumerate(world.redemptions):
        if row.state is not State.RETURNING:
            continue
        name = machine.names[number]
        if row.returning is Return.QUEUED:
            attempt = row.returns + 1
            yield Happening(
                f"outbox: gives back {name}",
                world.with_row(number, returning=Return.SENDING, returns=attempt).sent(
                    Message(GIVE_BACK, number, attempt)
                ),
            )
        elif row.returning is Return.SENDING:
            is_underway = Message(GIVE_BACK, number, row.returns) in world.underway
            if world.faults or not is_underway:
                given_up = world.failed() if is_underway else world
                yield Happening(
                    f"outbox: no answer in time to the return of {name}",
                    given_up.with_row(number, returning=Return.UNKNOWN, return_too_late=False),
                )
        elif row.returning is Return.UNKNOWN:
            yield from _look_return_up(machine, world, number)


def _look_return_up(machine, world, number):
    row, name = world.redemptions[number], machine.names[number]
    found = Event(GIVE_BACK, number) in world.engine.events
    if found and machine.has(Protection.RETURN_IS_LOOKED_UP):
        yield Happening(
            f"outbox: the return of {name} is found",
            world.with_row(number, returning=Return.DONE, state=State.RETURNED),
        )
    elif row.return_too_late or not machine.has(Protection.RETURN_IS_AWAITED):
        yield Happening(
            f"outbox: the return of {name} is not there, it goes again",
            world.with_row(number, returning=Return.QUEUED),
        )

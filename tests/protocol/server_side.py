"""What the server does while a cashier waits: check and hold, then spend.

Each happening is one committed transaction, or one step of a process that may die after it.
"""

from __future__ import annotations

from .machine import Courtesy, Happening, Protection
from .world import (
    BURN,
    DEDUCT,
    WITHOUT_CLAIM,
    Kind,
    Message,
    Sending,
    State,
    Step,
    Stored,
    Till,
    more,
    without,
)

#: An attempt that never reached the engine may be followed by one more.
MOST_ATTEMPTS = 2
#: What a process that counted points no longer needs.
FORGOTTEN = {"balance_read": None, "seen_before_reading": (), "earlier_sum": None}
AT_WORK = (Till.WORKING, Till.SPENDING)
#: Rows of which the ledger knows that the engine took points for them, or may have.
SENT = (State.SPENDING, State.UNKNOWN)
SENT_OPEN = (*SENT, State.SPENT)


# === Check and hold ===


def hold(machine, world):
    """The cashier adds a voucher or points: they are checked, and held for this sale."""
    for number, row in enumerate(world.redemptions):
        if world.orders[machine.order_of[number]].till is not Till.WORKING:
            continue
        if row.attempts or row.state not in WITHOUT_CLAIM:
            continue
        if machine.kinds[number] is Kind.VOUCHER:
            if world.engine.burned_by is None and not _claimed_by_another(machine, world, number):
                yield Happening(
                    f"server: holds {machine.names[number]}",
                    _forget_overdue(machine, world, number).with_row(number, state=State.HELD),
                )
        else:
            yield from _judge(machine, world, number, at_spend=False)


def _claimed_by_another(machine, world, number):
    """Whether the unique index refuses one more row for the voucher."""
    if not machine.has(Protection.ONE_CLAIM):
        return False
    return any(
        other != number
        and machine.kinds[other] is Kind.VOUCHER
        and _claims(world.redemptions[other])
        for other in range(len(machine.kinds))
    )


def _claims(row):
    return row.state not in WITHOUT_CLAIM and not row.overdue


def _forget_overdue(machine, world, number):
    """Write down that holds of the same voucher have run out, which their place needs."""
    for other, row in enumerate(world.redemptions):
        if other != number and machine.kinds[other] is Kind.VOUCHER and row.overdue:
            world = world.with_row(other, state=State.EXPIRED, overdue=False)
    return world


# === The guard: are there points enough? ===


def _judge(machine, world, number, at_spend):
    """Read the balance from the engine, then count it against what others claim, and write."""
    row, name = world.redemptions[number], machine.names[number]
    if row.balance_read is None:
        yield Happening(
            f"server: reads a balance of {world.engine.balance} for {name}",
            world.with_row(
                number,
                balance_read=world.engine.balance,
                seen_before_reading=tuple(
                    other
                    for other, another in enumerate(world.redemptions)
                    if another.reaction_seen
                ),
            ),
        )
        return
    available = _available(machine, world, number, at_spend)
    if not machine.has(Protection.LOCK):
        if row.earlier_sum is None:
            yield Happening(
                f"server: finds {available} points available for {name}",
                world.with_row(number, earlier_sum=available),
            )
            return
        # What others have written since then is not in its snapshot.
        available = row.earlier_sum
    decided = world.with_row(number, **FORGOTTEN)
    if available < machine.scenario.points:
        if at_spend:
            yield Happening(
                f"server: refuses {name}, {available} points are available",
                decided.with_row(number, state=State.REFUSED),
            )
    elif at_spend:
        yield from _begin(machine, decided, number)
    else:
        yield Happening(
            f"server: holds {name}, {available} points were available",
            decided.with_row(number, state=State.HELD),
        )


def _available(machine, world, number, at_spend):
    """Points that are left of the balance that was read."""
    row = world.redemptions[number]
    left = row.balance_read
    for other, claim in enumerate(world.redemptions):
        if (
            other != number
            and machine.kinds[other] is Kind.POINTS
            and _is_subtracted(machine, claim, other in row.seen_before_reading, at_spend)
        ):
            left -= machine.scenario.points
    return left


def _is_subtracted(machine, claim, seen_before_reading, at_spend):
    if claim.state in WITHOUT_CLAIM or (at_spend and not machine.has(Protection.JUDGED_AT_SPEND)):
        return False
    if claim.state is State.HELD:
        # At the spend who comes first is served; the other one's guard will see it.
        return not at_spend and not claim.overdue
    if claim.state in SENT:
        return True
    if machine.has(Protection.SUBTRACTED_UNTIL_SHOWN):
        return not seen_before_reading
    return claim.state is State.SPENT


# === Spend ===


def spend(machine, world):
    """What is held is spent, one after the other.

    Once begun, it goes on without the till: that may have gone on, or be no more.
    """
    for number, row in enumerate(world.redemptions):
        order = world.orders[machine.order_of[number]]
        if order.till is Till.WORKING or row.attempts >= MOST_ATTEMPTS:
            continue
        if not _may_be_spent(machine, row):
            continue
        if machine.kinds[number] is Kind.VOUCHER and _claimed_by_another(machine, world, number):
            continue
        if order.stored is not Stored.DRAFT and machine.has(Courtesy.NOTHING_FOR_THE_DEAD):
            continue
        if machine.has(Protection.STOP_AT_FAILURE) and not all(
            _is_out_of_the_way(world.redemptions[earlier])
            for earlier in machine.rows_of[machine.order_of[number]]
            if earlier < number
        ):
            continue
        if machine.kinds[number] is Kind.VOUCHER:
            yield from _begin(machine, world, number)
        else:
            yield from _judge(machine, world, number, at_spend=True)


def _may_be_spent(machine, row):
    # A hold that ran out is as good as another, if nobody has taken its place.
    if row.state in (State.HELD, State.EXPIRED):
        return not (row.sendings and machine.has(Protection.ONE_SPENDS))
    # A second process saw 'held' before the first one wrote: two clicks, two tabs.
    return row.state is State.SPENDING and not machine.has(Protection.ONE_SPENDS)


def drop(machine, world):
    """The server hears that something was taken off an order after it was sent."""
    for number, row in enumerate(world.redemptions):
        order = world.orders[machine.order_of[number]]
        if (
            row.state in SENT_OPEN
            and not row.dropped
            and order.till is Till.PAYING
            and number not in order.carries
            and machine.scenario.minds_change
            and machine.has(Protection.TAKEN_OFF_FIRST)
        ):
            yield Happening(
                f"server: hears that {machine.names[number]} is off its order",
                world.with_row(number, dropped=True),
            )


def release(machine, world):
    """What is still held when its till has gone on is let go: by the till's word, or by time."""
    for number, row in enumerate(world.redemptions):
        gone_on = world.orders[machine.order_of[number]].till not in AT_WORK
        if row.state in (State.HELD, State.EXPIRED) and gone_on:
            yield Happening(
                f"server: releases {machine.names[number]}",
                world.with_row(number, state=State.RELEASED, overdue=False, **FORGOTTEN),
            )


def _is_out_of_the_way(earlier):
    """Confirmed, or out of the order before anything was asked of the engine."""
    return earlier.state is State.SPENT or (earlier.state in WITHOUT_CLAIM and not earlier.attempts)


def _begin(machine, world, number):
    """``held`` to ``spending``, committed before the request leaves."""
    row, order = world.redemptions[number], machine.order_of[number]
    failed_before = any(
        world.redemptions[earlier].attempts
        and world.redemptions[earlier].state in (State.UNKNOWN, State.REFUSED, State.RELEASED)
        for earlier in machine.rows_of[order]
        if earlier < number
    )
    if failed_before and machine.kinds[number] is Kind.VOUCHER:
        world = world.with_order(order, went_on_after_failure=True)
    attempt = row.attempts + 1
    yield Happening(
        f"server: {machine.names[number]} is spending",
        world.with_row(
            number,
            state=State.SPENDING if machine.has(Protection.WRITE_FIRST) else State.HELD,
            attempts=attempt,
            overdue=False,
            too_late=False,
            sendings=more(row.sendings, Sending(attempt, Step.WRITTEN)),
        ),
    )


def sending(machine, world):
    """A process sends its request, waits, and writes down what it was told. It may die anywhere."""
    for number, row in enumerate(world.redemptions):
        for process in row.sendings:
            if process.step is Step.WRITTEN:
                yield from _send(machine, world, number, process)
            elif process.step is Step.ASKED:
                yield from _wait(machine, world, number, process)
            else:
                yield from _write_answer(machine, world, number, process)


def _send(machine, world, number, process):
    row, name = world.redemptions[number], machine.names[number]
    what = BURN if machine.kinds[number] is Kind.VOUCHER else DEDUCT
    others = without(row.sendings, process)
    yield Happening(
        f"server: asks the engine to {what} for {name}",
        world.with_row(number, sendings=more(others, process._replace(step=Step.ASKED))).sent(
            Message(what, number, process.attempt)
        ),
    )
    if world.faults:
        yield Happening(
            f"server: dies before it asks to {what} for {name}",
            world.failed().with_row(number, sendings=others),
        )
        if row.state is State.SPENDING:
            yield Happening(
                f"server: can't connect, {name} is held again",
                world.failed().with_row(number, sendings=others, state=State.HELD),
            )


def _wait(machine, world, number, process):
    row, name = world.redemptions[number], machine.names[number]
    what = BURN if machine.kinds[number] is Kind.VOUCHER else DEDUCT
    is_underway = Message(what, number, process.attempt) in world.underway
    # Where the answer is lost already, running out of time is no fault of its own.
    if world.faults or not is_underway:
        given_up = world.failed() if is_underway else world
        state = State.UNKNOWN if row.state is State.SPENDING else row.state
        yield Happening(
            f"server: no answer in time, {name} is {state.value}",
            given_up.with_row(number, sendings=without(row.sendings, process), state=state),
        )


def _write_answer(machine, world, number, process):
    row, name = world.redemptions[number], machine.names[number]
    said_yes = process.step is Step.TOLD_YES
    over = [State.SPENDING]
    if machine.has(Courtesy.ANSWER_OVER_UNKNOWN):
        over.append(State.UNKNOWN)
    if not machine.has(Protection.WRITE_FIRST):
        over.append(State.HELD)
    state = row.state
    if state in over:
        state = State.SPENT if said_yes else State.REFUSED
    others = without(row.sendings, process)
    yield Happening(
        f"server: writes that the engine said {'yes' if said_yes else 'no'}: {name} is"
        f" {state.value}",
        world.with_row(number, sendings=others, state=state),
    )
    if world.faults:
        yield Happening(
            f"server: dies before it writes the answer for {name}",
            world.failed().with_row(number, sendings=others),
        )

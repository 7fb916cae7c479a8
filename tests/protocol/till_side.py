"""What people do at tills: the one with the sale, and others that see its order."""

from __future__ import annotations

from .machine import Happening, Protection
from .world import State, Stored, Till, without

BEFORE_PAID = (Till.WORKING, Till.SPENDING, Till.PAYING)


def till(machine, world):
    """A sale from the basket to the stored order, or to its end before that."""
    for number, order in enumerate(world.orders):
        name = f"till {number + 1}"
        if order.till is Till.WORKING:
            yield Happening(f"{name}: Validate", _validate(world, number))
            yield Happening(f"{name}: gives the sale up", _give_up(machine, world, number))
        elif order.till is Till.SPENDING:
            yield from _go_on(machine, world, number)
            yield from _die(machine, world, number)
        elif order.till is Till.PAYING:
            told = [machine.names[row] for row in order.carries]
            yield Happening(
                f"{name}: paid, with the discount of {' and '.join(told) or 'nothing'}",
                world.with_order(number, till=Till.PAID),
            )
            given_up = (
                _leave(world, number)
                if machine.scenario.minds_change
                else _give_up(machine, world, number)
            )
            yield Happening(f"{name}: gives the sale up", given_up)
            yield from _die(machine, world, number)
            if machine.scenario.minds_change:
                yield from _take_off(machine, world, number)
        elif order.till is Till.LEFT:
            # At once, or a day later by a manager who has it in a list.
            yield Happening(
                f"server: hears that nobody will pay the order of sale {number + 1}",
                _give_up(machine, world, number),
            )
        elif order.till is Till.PAID:
            yield Happening(
                f"{name}: the paid order reaches the server",
                world.with_order(number, till=Till.DELIVERED, stored=Stored.PAID, leased=False),
            )


def _validate(world, number):
    # From here on there may be something spent that only this till knows what to do with.
    return world.with_order(number, till=Till.SPENDING, leased=True)


def _go_on(machine, world, number):
    """At any time: a till waits for eight seconds, whatever the server is doing then.

    What isn't spent by then is not in the order, even if the server spends it a moment later.
    """
    name = f"till {number + 1}"
    states = {row: world.redemptions[row].state for row in machine.rows_of[number]}
    spent = tuple(row for row, state in states.items() if state is State.SPENT)
    if not machine.has(Protection.TILL_GOES_ON) and spent != tuple(states):
        return
    spent = tuple(row for row in spent if not world.redemptions[row].dropped)
    names = " and ".join(machine.names[row] for row in spent) or "nothing"
    yield Happening(
        f"{name}: goes on, {names} is spent",
        world.with_order(number, till=Till.PAYING, carries=spent),
    )
    if spent and world.faults:
        yield Happening(
            f"{name}: goes on without: it never heard that {names} is spent",
            world.failed().with_order(number, till=Till.PAYING),
        )


def _give_up(machine, world, number):
    """The order is deleted at the server."""
    if world.orders[number].till is Till.WORKING:
        # No process spends yet: what is held is let go in the same transaction.
        for row in machine.rows_of[number]:
            if world.redemptions[row].state is State.HELD:
                world = world.with_row(row, state=State.RELEASED)
    return world.with_order(number, till=Till.GONE, stored=Stored.DELETED, carries=(), leased=False)


def _leave(world, number):
    return world.with_order(number, till=Till.LEFT, carries=())


def _die(machine, world, number):
    """The till is lost with all that it knew."""
    if machine.scenario.till_dies and world.faults:
        yield Happening(f"till {number + 1}: is lost", _leave(world.failed(), number))


def _take_off(machine, world, number):
    """The cashier doesn't want a discount any more that is spent already."""
    for row in world.orders[number].carries:
        name = f"till {number + 1}: takes {machine.names[row]} off"
        off = world.with_order(number, carries=without(world.orders[number].carries, row))
        if machine.has(Protection.TAKEN_OFF_FIRST):
            yield Happening(name, off)
        else:
            yield Happening(name, off.with_row(row, dropped=True))
            if world.faults:
                yield Happening(
                    f"{name}: the server does, the till doesn't hear of it",
                    world.failed().with_row(row, dropped=True),
                )


def other_till(machine, world):
    """Somebody else deletes the order at the server, and no till is told in time."""
    if not machine.scenario.deleted_elsewhere or not world.faults:
        return
    for number, order in enumerate(world.orders):
        if order.stored is Stored.DRAFT and order.till in BEFORE_PAID:
            yield Happening(
                f"another till: deletes the order of sale {number + 1}",
                world.failed().with_order(number, stored=Stored.DELETED),
            )

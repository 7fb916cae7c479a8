"""The engine and the way there: nobody here knows anything of ours."""

from __future__ import annotations

from .machine import Happening
from .world import BURN, DEDUCT, GIVE_BACK, Event, Return, Sending, State, Step, more, without


def network(machine, world):
    """A request arrives and is done at once; its answer may get lost, or the request itself."""
    for message in sorted(set(world.underway)):
        name = f"{message.what}, {machine.names[message.redemption]}"
        gone = world._replace(underway=without(world.underway, message))
        done = _do(gone, message)
        yes = done is not gone
        answered = _answer(done, message, yes)
        if answered:
            yield Happening(f"engine: {name}: {'done' if yes else 'refused'}, answers", answered)
            if world.faults:
                yield Happening(f"engine: {name}: its answer gets lost", done.failed())
        else:
            yield Happening(f"engine: {name}: nobody waits for the answer", done)
        if world.faults:
            yield Happening(f"network: {name}: the request gets lost", gone.failed())


def _do(world, message):
    """The world in which the engine has done what it is asked for; the same where it refuses."""
    engine = world.engine
    if message.what == BURN:
        if engine.burned_by is not None:
            return world
        return world.with_engine(burned_by=message.redemption)
    # It takes the same event twice: no rule about duplicates is published.
    event = Event(message.what, message.redemption)
    return world.with_engine(
        events=more(engine.events, event), unreacted=more(engine.unreacted, event)
    )


def _answer(world, message, yes):
    """The world in which the process that waits for this answer has it; None where none waits."""
    row = world.redemptions[message.redemption]
    if message.what == GIVE_BACK:
        if row.returning is not Return.SENDING or row.returns != message.attempt:
            return None
        # The outbox writes it down in one go: if it dies before, the answer is as good as lost.
        return world.with_row(message.redemption, state=State.RETURNED, returning=Return.DONE)
    waiting = Sending(message.attempt, Step.ASKED)
    if waiting not in row.sendings:
        return None
    told = waiting._replace(step=Step.TOLD_YES if yes else Step.TOLD_NO)
    return world.with_row(message.redemption, sendings=more(without(row.sendings, waiting), told))


def reactors(machine, world):
    """A reactor takes or gives the points of an event, some time after the event was taken."""
    engine = world.engine
    for event in sorted(set(engine.unreacted)):
        left = without(engine.unreacted, event)
        name = machine.names[event.redemption]
        if event.what == DEDUCT and machine.scenario.reactor_off:
            yield Happening(
                f"engine: no reactor takes the points of {name}",
                world.with_engine(unreacted=left, ignored=more(engine.ignored, event)),
            )
        else:
            points = points_of(machine, event)
            yield Happening(
                f"engine: reaction, {points:+d} points for {name}",
                world.with_engine(unreacted=left, balance=engine.balance + points),
            )


def points_of(machine, event):
    """What an event does to the balance."""
    return -machine.scenario.points if event.what == DEDUCT else machine.scenario.points


def other_channel(machine, world):
    """The member spends points elsewhere."""
    if world.engine.other_channel_waits:
        points = machine.scenario.points
        yield Happening(
            f"other channel: -{points} points",
            world.with_engine(other_channel_waits=False, balance=world.engine.balance - points),
        )

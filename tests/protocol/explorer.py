"""The search: from the beginning to every world that can be reached, nearest first."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from .background import clock, outbox, recovery
from .engine_side import network, other_channel, reactors
from .promises import Promises
from .server_side import drop, hold, release, sending, spend
from .till_side import other_till, till

ACTORS = (
    *(till, hold, spend, drop, release, sending),
    *(network, reactors, other_channel, other_till),
    *(clock, recovery, outbox),
)

FAULT = "   (a fault)"

#: A search that goes on longer has a scenario that is too large.
MOST_WORLDS = 500_000


@dataclass
class Findings:
    """What a search came upon.

    :param worlds: how many there are
    :param endings: in how many of them nothing more can happen
    :param states: of rows of the ledger, in any of them
    :param stories: by broken promise the shortest way to break it, one line for each happening
    """

    worlds: int = 0
    endings: int = 0
    states: set = field(default_factory=set)
    stories: dict = field(default_factory=dict)

    def tell(self):
        """The stories, to be read."""
        return "\n\n".join(
            "\n".join([f"{broken.value}:", *(f"  {n:>2}. {s}" for n, s in enumerate(story, 1))])
            for broken, story in self.stories.items()
        )


def happenings(machine, world):
    """Everything that can happen next."""
    for actor in ACTORS:
        yield from actor(machine, world)


def explore(machine, until=None):
    """Visit every world that can be reached.

    A world with a broken promise is not followed any further.

    :param until: stop when this promise is broken
    """
    findings, promises = Findings(), Promises(machine)
    start = machine.start()
    came_from = {start: None}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        next_worlds = {happening.world for happening in happenings(machine, world)}
        findings.endings += not next_worlds
        findings.states.update(row.state for row in world.redemptions)
        broken = promises.broken_in(world, at_rest=not next_worlds)
        if broken:
            if broken not in findings.stories:
                findings.stories[broken] = _tell(machine, came_from, world)
            if broken is until:
                break
            continue
        for found in next_worlds:
            if found not in came_from:
                came_from[found] = world
                waiting.append(found)
        if len(came_from) > MOST_WORLDS:
            raise OverflowError(f"More than {MOST_WORLDS} worlds: {machine.scenario.name}")
    findings.worlds = len(came_from)
    return findings


def _tell(machine, came_from, world):
    """The story that ends in ``world``."""
    lines = []
    while (before := came_from[world]) is not None:
        line = next(story for story, after in happenings(machine, before) if after == world)
        lines.append(line + FAULT if world.faults < before.faults else line)
        world = before
    return lines[::-1]


def always_ends(machine):
    """Whether every story comes to an end, so that "when nothing more can happen" does come."""
    leads_to, waiting = {}, [machine.start()]
    while waiting:
        world = waiting.pop()
        if world not in leads_to:
            leads_to[world] = {happening.world for happening in happenings(machine, world)}
            waiting.extend(leads_to[world])
    # Worlds are taken away once all that lead to them are: one in a circle never is.
    ways_in = Counter(after for found in leads_to.values() for after in found)
    taken, waiting = 0, [machine.start()]
    while waiting:
        taken += 1
        for after in leads_to[waiting.pop()]:
            ways_in[after] -= 1
            if not ways_in[after]:
                waiting.append(after)
    return taken == len(leads_to)

"""What is explored: a scenario, the protections that are on, and how the world begins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from .world import Engine, Kind, Order, Redemption, World


class Protection(str, Enum):
    """A rule that keeps damage away. Each has a test that finds the damage without it."""

    TILL_GOES_ON = "a till goes on when its time is over, whatever came of the spending"
    WRITE_FIRST = "'spending' is written before the request leaves"
    ONE_SPENDS = "'held' becomes 'spending' by one conditional write"
    ONE_CLAIM = "one row at a time claims a voucher"
    LOCK = "others' claims are counted and one's own is written under the member's lock"
    JUDGED_AT_SPEND = "others' claims are counted again when a hold becomes spending"
    SUBTRACTED_UNTIL_SHOWN = "what was sent is subtracted until the balance is sure to show it"
    LATE_IS_AWAITED = "'not there' is believed when no request can arrive any more"
    NEVER_HELD_AGAIN = "what was unknown is never held again"
    AUDIT = "what was sent and then released is looked for again"
    EVENT_IS_EVIDENCE = "a deduction is proved by its event and not by a balance"
    PATIENCE = "an order that is not here is not taken for lost"
    LEASE = "while a till is at payment nothing else decides about its order"
    REACTION_FIRST = "points go back when the deduction's reaction was seen"
    RETURN_IS_AWAITED = "a return goes again when its first request can't arrive any more"
    RETURN_IS_LOOKED_UP = "a return is looked for before it goes again"
    TAKEN_OFF_FIRST = "a till takes a discount off its order before it tells the server"
    STOP_AT_FAILURE = "spending stops at the first redemption that is not confirmed"
    CARRIED_IS_SETTLED = "what is found to be spent is settled where a stored paid order has it"
    MANAGER_IS_TOLD = "a paid order whose discount isn't settled is shown to the manager"


class Courtesy(str, Enum):
    """A rule that spares somebody trouble; the promises hold without it."""

    EXPIRY_IS_WRITTEN = "a hold runs out by a write"
    ANSWER_OVER_UNKNOWN = "an answer counts when its row is called unknown already"
    RETURN_CALLED_OFF = "a return that has not left is called off when its order turns up"
    NOTHING_FOR_THE_DEAD = "nothing is spent for an order that the server has as deleted or paid"


class Temptation(str, Enum):
    """A rule that looks helpful and does harm."""

    BURN_AGAIN = "a burn that timed out and is not there is tried again"


@dataclass(frozen=True)
class Scenario:
    """Who sells what to the member, and what may go wrong.

    :param sales: for each sale what is spent, in this order
    :param faults: how many things may go wrong in one story
    :param balance: points of the member at the beginning
    :param points: what each redemption of points, and the other channel, takes
    :param slow_server: recovery may think a server process dead that is only slow
    :param minds_change: the cashier may take off what is spent already
    :param till_dies: the till may be lost before its sale is paid
    :param deleted_elsewhere: somebody else may delete the order at the server
    :param lease_runs_out: the till may be at payment for longer than its lease
    :param reactor_off: deductions are taken as events, but no points go
    :param other_channel: the member spends points elsewhere too, at any time
    :param events_unlisted: the tenant's events can't be looked up
    :param ends_flagged: a discount may stay without points, and the manager is told: nobody can
        prevent that here
    """

    name: str
    sales: tuple[tuple[Kind, ...], ...]
    faults: int
    balance: int = 10
    points: int = 6
    slow_server: bool = False
    deleted_elsewhere: bool = False
    minds_change: bool = False
    till_dies: bool = False
    lease_runs_out: bool = False
    reactor_off: bool = False
    other_channel: bool = False
    events_unlisted: bool = False
    ends_flagged: bool = False


class Happening(NamedTuple):
    """One thing that can happen next: how the story tells it, and the world afterwards."""

    story: str
    world: World


class Machine:
    """A scenario with rules.

    :param without: protections and courtesies that are off
    :param tempted: temptations that are on
    :param late_is_bounded: no request arrives later than the time that recovery waits for it
    """

    def __init__(self, scenario, *, without=(), tempted=(), late_is_bounded=True, faults=None):
        self.scenario = scenario
        self.late_is_bounded = late_is_bounded
        self.faults = scenario.faults if faults is None else faults
        self.rules = (frozenset(Protection) | frozenset(Courtesy)) - frozenset(without)
        self.rules |= frozenset(tempted)
        self.kinds = [kind for sale in scenario.sales for kind in sale]
        self.order_of = [number for number, sale in enumerate(scenario.sales) for _kind in sale]
        self.rows_of = [
            tuple(row for row, order in enumerate(self.order_of) if order == number)
            for number in range(len(scenario.sales))
        ]
        self.names = [
            f"redemption {number} ({kind.value})" for number, kind in enumerate(self.kinds, 1)
        ]

    def has(self, rule):
        return rule in self.rules

    def start(self):
        """The world before anything has happened."""
        return World(
            engine=Engine(
                balance=self.scenario.balance, other_channel_waits=self.scenario.other_channel
            ),
            redemptions=tuple(Redemption() for _kind in self.kinds),
            orders=tuple(Order() for _sale in self.scenario.sales),
            faults=self.faults,
        )

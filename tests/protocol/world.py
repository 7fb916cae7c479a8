"""What there is at one moment. Worlds are values: an actor never changes one, it makes another."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(str, Enum):
    """What is spent."""

    VOUCHER = "voucher"
    POINTS = "points"


class State(str, Enum):
    """Of a row of the ledger."""

    NO_ROW = "no row"
    HELD = "held"
    SPENDING = "spending"
    SPENT = "spent"
    SETTLED = "settled"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    RELEASED = "released"
    EXPIRED = "expired"
    RETURNING = "returning"
    RETURNED = "returned"
    STRANDED = "stranded"


#: Rows in these states claim nothing.
WITHOUT_CLAIM = frozenset((State.NO_ROW, State.REFUSED, State.RELEASED, State.EXPIRED))
#: Rows that stay as they are.
ENDS = frozenset((State.SETTLED, State.RETURNED, State.STRANDED)) | WITHOUT_CLAIM


class Step(str, Enum):
    """How far a server process has come with one request to the engine."""

    WRITTEN = "'spending' is committed, nothing is sent yet"
    ASKED = "the request has left"
    TOLD_YES = "the engine said yes, nothing is written yet"
    TOLD_NO = "the engine said no, nothing is written yet"


class Return(str, Enum):
    """Of the event that gives points back, in the outbox."""

    NONE = "none"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DONE = "done"


class Till(str, Enum):
    """How far the till is with its sale."""

    WORKING = "working on the basket"
    SPENDING = "spending"
    PAYING = "at payment"
    PAID = "paid, the order has not reached the server"
    DELIVERED = "paid, the order is at the server"
    LEFT = "given up or lost, the server doesn't know yet"
    GONE = "the sale is no more"


class Stored(str, Enum):
    """The order as the server has it."""

    DRAFT = "draft"
    PAID = "paid"
    DELETED = "deleted"


# What the engine is asked for.
BURN = "burn"
DEDUCT = "deduct"
GIVE_BACK = "give back"


class Message(NamedTuple):
    """A request on its way to the engine."""

    what: str
    redemption: int
    attempt: int


class Event(NamedTuple):
    """An event that the engine has taken."""

    what: str
    redemption: int


class Engine(NamedTuple):
    """The engine's books. Nothing here is known to anybody before he has asked."""

    balance: int
    #: Whose request burned the voucher.
    burned_by: int | None = None
    events: tuple[Event, ...] = ()
    #: Events whose reactor has not run yet.
    unreacted: tuple[Event, ...] = ()
    #: Events that no reactor will ever take.
    ignored: tuple[Event, ...] = ()
    #: Whether another channel still means to spend points of the member.
    other_channel_waits: bool = False


class Sending(NamedTuple):
    """A server process in the middle of a request. If it dies, nobody remembers."""

    attempt: int
    step: Step


class Redemption(NamedTuple):
    """A row of the ledger, with what server processes have in their memory about it."""

    state: State = State.NO_ROW
    #: Times that it went into ``spending``.
    attempts: int = 0
    #: No request of its last attempt can arrive any more.
    too_late: bool = False
    #: Its deduction was seen in the list of reactions.
    reaction_seen: bool = False
    returning: Return = Return.NONE
    #: Times that the event that gives back was sent.
    returns: int = 0
    return_too_late: bool = False
    #: Its time is over, and nobody has written that down.
    overdue: bool = False
    #: The cashier took it off the order after it was sent, or it can't be on it any more.
    dropped: bool = False
    #: A hold runs out once in a story: more would tell nothing new.
    has_expired: bool = False
    # In the memory of a server process.
    sendings: tuple[Sending, ...] = ()
    balance_read: int | None = None
    #: Redemptions whose reaction had been seen when that reading began.
    seen_before_reading: tuple[int, ...] = ()
    #: What it found to be available in a look before its last one.
    earlier_sum: int | None = None


class Order(NamedTuple):
    """A sale: its till's copy and the server's."""

    till: Till = Till.WORKING
    stored: Stored = Stored.DRAFT
    #: Redemptions whose discount is in the till's copy.
    carries: tuple[int, ...] = ()
    #: The lease: the till is at payment, nobody else decides about the order.
    leased: bool = False
    #: A manager was told that its discount is not covered.
    flagged: bool = False
    #: Damage done: something was burned although a redemption before it had failed.
    went_on_after_failure: bool = False


class World(NamedTuple):
    engine: Engine
    redemptions: tuple[Redemption, ...]
    orders: tuple[Order, ...]
    underway: tuple[Message, ...] = ()
    #: How many more things may go wrong in this story.
    faults: int = 0

    def with_engine(self, **values):
        return self._replace(engine=self.engine._replace(**values))

    def with_row(self, number, **values):
        rows = self.redemptions
        return self._replace(
            redemptions=(*rows[:number], rows[number]._replace(**values), *rows[number + 1 :])
        )

    def with_order(self, number, **values):
        orders = self.orders
        return self._replace(
            orders=(*orders[:number], orders[number]._replace(**values), *orders[number + 1 :])
        )

    def sent(self, message):
        return self._replace(underway=more(self.underway, message))

    def failed(self):
        """The same, with one fault less to come."""
        return self._replace(faults=self.faults - 1)


def more(things, thing):
    """With ``thing`` in it; sorted, so that the order of what happened makes no other world."""
    return tuple(sorted((*things, thing)))


def without(things, thing):
    """With one ``thing`` less."""
    at = things.index(thing)
    return things[:at] + things[at + 1 :]

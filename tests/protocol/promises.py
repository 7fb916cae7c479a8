"""What must hold, whatever happens; and what must be true when nothing more can happen."""

from __future__ import annotations

from enum import Enum

from .engine_side import points_of
from .world import DEDUCT, ENDS, GIVE_BACK, Event, Kind, State, Till

HAS_DISCOUNT = (Till.PAID, Till.DELIVERED)


class Broken(str, Enum):
    """How a promise can be broken."""

    # Nothing is spent twice.
    TWO_DISCOUNTS = "two sales have a discount from one burned voucher"
    DEDUCTED_TWICE = "points were taken twice for one redemption"
    BELOW_ZERO = "the member's points are below zero"
    RETURNED_TWICE = "points were given back twice"
    RETURNED_UNTAKEN = "points were given back that were never taken"
    # Nothing is given away.
    FREE_DISCOUNT = "a paid sale has a discount that nothing was spent for"
    DISCOUNT_AND_RETURN = "a paid sale has its discount, its points were given back, none is told"
    DISCOUNT_AND_DEBT = "a paid sale has its discount, and a person is told to make good for it"
    TOLD = "a paid sale has its discount, its points were given back, the manager is told"
    NEEDLESS_BURN = "a voucher is burned after another redemption of its sale had failed"
    # Nothing that was spent is lost, and no sale waits.
    LOST = "something was spent, and no list and no order says so"
    BURN_IN_NO_BOOK = "the voucher is burned, and not exactly one row owns the burn"
    NOT_SPENT = "a row says that something was spent, and nothing was"
    NEVER_ENDS = "a row is left open for ever"
    SALE_WAITS = "a sale can't go on"


class Promises:
    """Finds the broken promise of a world."""

    def __init__(self, machine):
        self._machine = machine
        rows = range(len(machine.kinds))
        self._vouchers = [row for row in rows if machine.kinds[row] is Kind.VOUCHER]
        self._points = [row for row in rows if machine.kinds[row] is Kind.POINTS]

    def broken_in(self, world, at_rest):
        """How a promise is broken, or None.

        :param at_rest: nothing more can happen in this world
        """
        return self._always(world) or (self._at_rest(world) if at_rest else None)

    # === In every world ===

    def _always(self, world):
        engine = world.engine
        if self._vouchers:
            discounts = self._paid_discounts(world, self._vouchers)
            if len(discounts) > 1:
                return Broken.TWO_DISCOUNTS
            if discounts and engine.burned_by is None:
                return Broken.FREE_DISCOUNT
            if any(order.went_on_after_failure for order in world.orders):
                return Broken.NEEDLESS_BURN
        for row in self._points:
            taken = engine.events.count(Event(DEDUCT, row))
            given = engine.events.count(Event(GIVE_BACK, row))
            if taken > 1:
                return Broken.DEDUCTED_TWICE
            if given > 1:
                return Broken.RETURNED_TWICE
            if given and (not taken or Event(DEDUCT, row) in engine.ignored):
                return Broken.RETURNED_UNTAKEN
            if not taken and self._paid_discounts(world, [row]):
                return Broken.FREE_DISCOUNT
        if self._points and not self._machine.scenario.other_channel:
            coming = sum(points_of(self._machine, event) for event in engine.unreacted)
            if engine.balance + coming < 0:
                return Broken.BELOW_ZERO
        return None

    def _paid_discounts(self, world, rows):
        """Those of ``rows`` whose discount a paid sale has."""
        order_of = self._machine.order_of
        return [
            row
            for row in rows
            if world.orders[order_of[row]].till in HAS_DISCOUNT
            and row in world.orders[order_of[row]].carries
        ]

    # === When nothing more can happen ===

    def _at_rest(self, world):
        if any(order.till not in (Till.DELIVERED, Till.GONE) for order in world.orders):
            return Broken.SALE_WAITS
        burned = world.engine.burned_by is not None
        owners = [row for row in self._vouchers if _owns_burn(world.redemptions[row])]
        for row in range(len(world.redemptions)):
            if found := self._end_is_wrong(world, row):
                return found
        if burned and len(owners) != 1:
            return Broken.BURN_IN_NO_BOOK
        if owners and not burned:
            return Broken.NOT_SPENT
        return None

    def _end_is_wrong(self, world, row):
        state = world.redemptions[row].state
        order = world.orders[self._machine.order_of[row]]
        if state not in ENDS:
            return Broken.NEVER_ENDS
        has_discount = row in order.carries
        if self._machine.kinds[row] is Kind.POINTS:
            taken = Event(DEDUCT, row) in world.engine.events
            booked = state in (State.SETTLED, State.RETURNED, State.STRANDED)
            if taken and not booked:
                return Broken.LOST
            # Where nobody can look, a person is asked to: that may turn out to be nothing.
            may_be_nothing = self._machine.scenario.events_unlisted and state is State.STRANDED
            if booked and not taken and not may_be_nothing:
                return Broken.NOT_SPENT
            if has_discount and Event(GIVE_BACK, row) in world.engine.events:
                return Broken.TOLD if order.flagged else Broken.DISCOUNT_AND_RETURN
        if has_discount and state is State.STRANDED:
            return Broken.DISCOUNT_AND_DEBT
        return None


def _owns_burn(row):
    return row.state in (State.SETTLED, State.STRANDED)

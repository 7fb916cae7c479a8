"""What is explored, and the damage that each protection keeps away."""

from __future__ import annotations

from typing import NamedTuple

from .machine import Courtesy, Machine, Protection, Scenario, Temptation
from .promises import Broken
from .world import Kind

V, P = Kind.VOUCHER, Kind.POINTS

VOUCHER = Scenario(
    "a voucher", ((V,),), faults=3, slow_server=True, minds_change=True, till_dies=True
)
POINTS = Scenario("points", ((P,),), faults=3, slow_server=True, minds_change=True, till_dies=True)
DELETED_ELSEWHERE = Scenario(
    "points, the order may be deleted on another till", ((P,),), faults=2, deleted_elsewhere=True
)
LEASE_RUNS_OUT = Scenario(
    "points, the order may be deleted when a payment takes longer than its lease",
    ((P,),),
    faults=2,
    deleted_elsewhere=True,
    lease_runs_out=True,
    ends_flagged=True,
)
REACTOR_OFF = Scenario("points that no reactor takes", ((P,),), faults=1, reactor_off=True)
OTHER_CHANNEL = Scenario(
    "points, spent elsewhere too, events can't be looked up",
    ((P,),),
    faults=2,
    other_channel=True,
    events_unlisted=True,
)
TWO_TILLS_POINTS = Scenario("two tills, points for one of them", ((P,), (P,)), faults=1)
TWO_TILLS_VOUCHER = Scenario("two tills, one voucher", ((V,), (V,)), faults=2)
BOTH = Scenario("points and a voucher on one sale", ((P, V),), faults=2, deleted_elsewhere=True)

SCENARIOS = (
    VOUCHER,
    POINTS,
    DELETED_ELSEWHERE,
    LEASE_RUNS_OUT,
    REACTOR_OFF,
    OTHER_CHANNEL,
    TWO_TILLS_POINTS,
    TWO_TILLS_VOUCHER,
    BOTH,
)


class Damage(NamedTuple):
    """What happens in a scenario with other rules, at so many faults."""

    rules: tuple[Protection | Courtesy | Temptation, ...]
    scenario: Scenario
    faults: int
    broken: Broken

    def machine(self):
        """The machine without these protections and courtesies, and with these temptations."""
        return Machine(
            self.scenario,
            without=[rule for rule in self.rules if not isinstance(rule, Temptation)],
            tempted=[rule for rule in self.rules if isinstance(rule, Temptation)],
            faults=self.faults,
        )

    def title(self):
        return " + ".join(rule.name for rule in self.rules)


_P, _B = Protection, Broken

#: By protection: the scenario with the fewest faults that needs it. Where it takes two to let the
#: damage through, each is useful alone, and the pair is here.
DAMAGES = (
    Damage((_P.TILL_GOES_ON,), POINTS, 1, _B.SALE_WAITS),
    Damage((_P.WRITE_FIRST,), VOUCHER, 1, _B.BURN_IN_NO_BOOK),
    Damage((_P.WRITE_FIRST,), POINTS, 1, _B.DEDUCTED_TWICE),
    Damage((_P.ONE_SPENDS,), POINTS, 0, _B.DEDUCTED_TWICE),
    Damage((_P.ONE_CLAIM,), TWO_TILLS_VOUCHER, 1, _B.TWO_DISCOUNTS),
    Damage((_P.LOCK,), TWO_TILLS_POINTS, 0, _B.BELOW_ZERO),
    Damage((_P.JUDGED_AT_SPEND,), TWO_TILLS_POINTS, 0, _B.BELOW_ZERO),
    Damage((_P.SUBTRACTED_UNTIL_SHOWN,), TWO_TILLS_POINTS, 0, _B.BELOW_ZERO),
    Damage((_P.LATE_IS_AWAITED,), TWO_TILLS_POINTS, 1, _B.BELOW_ZERO),
    Damage((_P.LATE_IS_AWAITED, _P.NEVER_HELD_AGAIN), POINTS, 1, _B.DEDUCTED_TWICE),
    Damage((_P.LATE_IS_AWAITED, _P.AUDIT), POINTS, 1, _B.LOST),
    Damage((_P.LATE_IS_AWAITED, _P.AUDIT), VOUCHER, 1, _B.BURN_IN_NO_BOOK),
    Damage((_P.EVENT_IS_EVIDENCE,), OTHER_CHANNEL, 1, _B.FREE_DISCOUNT),
    Damage((_P.PATIENCE,), POINTS, 0, _B.TOLD),
    Damage((_P.PATIENCE,), VOUCHER, 0, _B.DISCOUNT_AND_DEBT),
    Damage((_P.LEASE,), DELETED_ELSEWHERE, 1, _B.TOLD),
    Damage((_P.LEASE,), BOTH, 1, _B.DISCOUNT_AND_DEBT),
    Damage((_P.REACTION_FIRST,), REACTOR_OFF, 0, _B.RETURNED_UNTAKEN),
    Damage((_P.RETURN_IS_AWAITED,), POINTS, 1, _B.RETURNED_TWICE),
    Damage((_P.RETURN_IS_LOOKED_UP,), POINTS, 1, _B.RETURNED_TWICE),
    Damage((_P.STOP_AT_FAILURE,), BOTH, 1, _B.NEEDLESS_BURN),
    Damage((_P.TAKEN_OFF_FIRST,), POINTS, 1, _B.TOLD),
    Damage((_P.CARRIED_IS_SETTLED,), POINTS, 0, _B.TOLD),
    Damage((_P.CARRIED_IS_SETTLED,), VOUCHER, 0, _B.DISCOUNT_AND_DEBT),
    Damage((_P.MANAGER_IS_TOLD,), LEASE_RUNS_OUT, 2, _B.DISCOUNT_AND_RETURN),
    Damage((Temptation.BURN_AGAIN,), VOUCHER, 1, _B.BURN_IN_NO_BOOK),
)

"""The protocol of section "Spending" is explored to its end: see ``tests/protocol``."""

import unittest

from .protocol.explorer import FAULT, always_ends, explore, happenings
from .protocol.machine import Courtesy, Machine, Protection, Temptation
from .protocol.promises import Broken, Promises
from .protocol.scenarios import (
    BOTH,
    DAMAGES,
    LEASE_RUNS_OUT,
    OTHER_CHANNEL,
    POINTS,
    REACTOR_OFF,
    SCENARIOS,
    TWO_TILLS_POINTS,
    TWO_TILLS_VOUCHER,
    VOUCHER,
)
from .protocol.world import DEDUCT, GIVE_BACK, Event, State, Stored, Till


class TestMachineAsBuilt(unittest.TestCase):
    def assertKept(self, machine):
        findings = explore(machine)
        unavoidable = {Broken.TOLD} if machine.scenario.ends_flagged else set()
        self.assertLessEqual(set(findings.stories), unavoidable, "\n\n" + findings.tell())
        return findings

    def test_every_promise_is_kept(self):
        states = set()
        for scenario in SCENARIOS:
            with self.subTest(scenario.name):
                findings = self.assertKept(Machine(scenario))
                self.assertGreater(findings.endings, 10)
                self.assertEqual(bool(findings.stories), scenario.ends_flagged)
                states |= findings.states
        self.assertEqual(states, set(State), "a machine that does nothing breaks nothing either")

    def test_courtesies_are_courtesies(self):
        for scenario in SCENARIOS:
            with self.subTest(scenario.name):
                self.assertKept(Machine(scenario, without=Courtesy, faults=2 - len(scenario.sales)))

    def test_every_story_ends(self):
        for scenario in SCENARIOS:
            with self.subTest(scenario.name):
                self.assertTrue(always_ends(Machine(scenario, faults=2 - len(scenario.sales))))

    def test_vouchers_stand_requests_that_arrive_at_any_time(self):
        for scenario in (VOUCHER, TWO_TILLS_VOUCHER, REACTOR_OFF):
            with self.subTest(scenario.name):
                self.assertKept(Machine(scenario, late_is_bounded=False, faults=1))


class TestWithoutProtection(unittest.TestCase):
    def assertFound(self, machine, broken):
        findings = explore(machine, until=broken)
        self.assertIn(broken, findings.stories, "the explorer doesn't see the damage")
        return findings.stories[broken]

    def test_each_damage_is_found(self):
        for damage in DAMAGES:
            with self.subTest(damage.title(), scenario=damage.scenario.name):
                self.assertFound(damage.machine(), damage.broken)

    def test_each_damage_comes_from_what_is_off(self):
        """With the same faults and everything on, nothing is broken."""
        for scenario, faults in {(damage.scenario, damage.faults) for damage in DAMAGES}:
            if faults < scenario.faults:
                with self.subTest(scenario.name, faults=faults):
                    self.assertFalse(explore(Machine(scenario, faults=faults)).stories)

    def test_each_protection_and_temptation_has_its_damage(self):
        rules = {rule for damage in DAMAGES for rule in damage.rules}
        self.assertEqual(rules - set(Courtesy), set(Protection) | set(Temptation))

    def test_a_pair_is_needed_where_a_pair_is_named(self):
        for damage in DAMAGES:
            for rule in damage.rules if len(damage.rules) > 1 else ():
                with self.subTest(damage.title(), alone=rule.name):
                    machine = Machine(damage.scenario, without=[rule], faults=damage.faults)
                    self.assertFalse(explore(machine).stories)

    def test_what_only_the_engine_could_prevent(self):
        for scenario, broken in (
            (POINTS, Broken.RETURNED_TWICE),
            (TWO_TILLS_POINTS, Broken.BELOW_ZERO),
        ):
            with self.subTest(broken.value):
                self.assertFound(Machine(scenario, late_is_bounded=False), broken)
        # Between our reading and our event the member spends elsewhere.
        machine = Machine(OTHER_CHANNEL, faults=0)
        world = machine.start()
        for line in (
            "reads a balance of 10",
            "holds",
            "Validate",
            "reads a balance of 10",
            "other channel",
            "is spending",
            "asks the engine",
            "answers",
            "reaction",
        ):
            world = next(after for story, after in happenings(machine, world) if line in story)
        self.assertEqual(world.engine.balance, -2)

    def test_a_story_can_be_told_again(self):
        (damage,) = [one for one in DAMAGES if one.rules == (Protection.STOP_AT_FAILURE,)]
        machine = damage.machine()
        story = self.assertFound(machine, damage.broken)
        world = machine.start()
        for line in story:
            can_happen = dict(happenings(machine, world))
            world = can_happen[line.removesuffix(FAULT)]
        self.assertEqual(Promises(machine).broken_in(world, at_rest=False), damage.broken)
        self.assertEqual(sum(line.endswith(FAULT) for line in story), 1)


class TestPromises(unittest.TestCase):
    """Each promise, on a world that is made by hand to break it."""

    def assertBroken(self, broken, machine, world, at_rest=True):
        self.assertEqual(Promises(machine).broken_in(world, at_rest), broken)

    def setUp(self):
        self.points, self.voucher = Machine(POINTS), Machine(VOUCHER)

    def sold(self, machine, state, *events, carries=(0,), **engine):
        """A paid sale that carries the discount of its redemption, which is in this state."""
        world = machine.start().with_row(0, state=state).with_engine(events=events, **engine)
        return world.with_order(0, till=Till.DELIVERED, stored=Stored.PAID, carries=carries)

    def test_a_good_end_breaks_nothing(self):
        self.assertBroken(
            None, self.points, self.sold(self.points, State.SETTLED, Event(DEDUCT, 0))
        )
        self.assertBroken(None, self.voucher, self.sold(self.voucher, State.SETTLED, burned_by=0))

    def test_points(self):
        taken, given = Event(DEDUCT, 0), Event(GIVE_BACK, 0)
        for broken, state, events, carries in (
            (Broken.DEDUCTED_TWICE, State.SETTLED, (taken, taken), (0,)),
            (Broken.RETURNED_TWICE, State.RETURNED, (taken, given, given), ()),
            (Broken.RETURNED_UNTAKEN, State.RETURNED, (given,), ()),
            (Broken.FREE_DISCOUNT, State.SETTLED, (), (0,)),
            (Broken.LOST, State.RELEASED, (taken,), ()),
            (Broken.NOT_SPENT, State.STRANDED, (), ()),
            (Broken.NEVER_ENDS, State.SPENT, (taken,), (0,)),
            (Broken.DISCOUNT_AND_RETURN, State.RETURNED, (taken, given), (0,)),
            (Broken.DISCOUNT_AND_DEBT, State.STRANDED, (taken,), (0,)),
        ):
            with self.subTest(broken.value):
                world = self.sold(self.points, state, *events, carries=carries)
                self.assertBroken(broken, self.points, world)

    def test_points_that_wait_for_their_reaction_count(self):
        machine, taken = Machine(TWO_TILLS_POINTS), (Event(DEDUCT, 0), Event(DEDUCT, 1))
        world = machine.start().with_engine(events=taken, unreacted=taken)
        self.assertBroken(Broken.BELOW_ZERO, machine, world, at_rest=False)

    def test_a_return_that_the_manager_knows_of(self):
        machine = Machine(LEASE_RUNS_OUT)
        world = self.sold(machine, State.RETURNED, Event(DEDUCT, 0), Event(GIVE_BACK, 0))
        self.assertBroken(Broken.TOLD, machine, world.with_order(0, flagged=True))

    def test_vouchers(self):
        for broken, state, burned_by, carries in (
            (Broken.FREE_DISCOUNT, State.SETTLED, None, (0,)),
            (Broken.BURN_IN_NO_BOOK, State.RELEASED, 0, ()),
            (Broken.NOT_SPENT, State.STRANDED, None, ()),
            (Broken.NEVER_ENDS, State.UNKNOWN, 0, ()),
            (Broken.DISCOUNT_AND_DEBT, State.STRANDED, 0, (0,)),
        ):
            with self.subTest(broken.value):
                world = self.sold(self.voucher, state, carries=carries, burned_by=burned_by)
                self.assertBroken(broken, self.voucher, world)

    def test_two_sales(self):
        machine = Machine(TWO_TILLS_VOUCHER)
        world = self.sold(machine, State.SETTLED, burned_by=0).with_row(1, state=State.SETTLED)
        both = world.with_order(1, till=Till.DELIVERED, stored=Stored.PAID, carries=(1,))
        self.assertBroken(Broken.TWO_DISCOUNTS, machine, both, at_rest=False)
        # The other one has no discount, and yet its row says that it burned the voucher.
        neither = world.with_order(1, till=Till.GONE, stored=Stored.DELETED)
        self.assertBroken(Broken.BURN_IN_NO_BOOK, machine, neither)

    def test_a_sale_that_waits(self):
        world = self.points.start().with_order(0, till=Till.SPENDING)
        self.assertBroken(Broken.SALE_WAITS, self.points, world)
        self.assertBroken(None, self.points, world, at_rest=False)

    def test_a_burn_after_a_failure(self):
        machine = Machine(BOTH)
        world = machine.start().with_order(0, went_on_after_failure=True)
        self.assertBroken(Broken.NEEDLESS_BURN, machine, world, at_rest=False)

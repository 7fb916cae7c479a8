"""Stories that random faults hardly ever tell. Each plays with members of its own.

A story says only what is special about it; that nothing is spent twice or lost is for the books,
which are compared when all stories are told and everything has come to rest.
"""

import contextlib
import threading
import time

from bench.servers import BenchError, wait_until

from .stage import JOBS, LATE_AFTER
from .till import Till

#: Points of a member at the beginning: enough for one redemption, not for two.
POINTS = 700
SPENT = 500
#: Seconds after which a request that is held back here has been given up and looked up.
LOOKED_UP = 9

#: Told at the same time.
SIDE_BY_SIDE = 4

STORIES = {}


def story(needs_stage=False):
    """Register a story.

    :param needs_stage: it changes what others would notice, and is told alone
    """

    def decorate(tell):
        tell.needs_stage = needs_stage
        STORIES[tell.__name__.replace("_", " ")] = tell
        return tell

    return decorate


class Teller:
    """What a story is told with.

    :param findings: list of sentences about what was not as it should be
    """

    def __init__(self, stage, name, number):
        self.stage = stage
        self.name = name
        self.sandbox = stage.sandbox
        self.number = number
        self.findings = []
        self.seconds = 0.0
        self.sold = []
        self.members = {}
        #: Orders of which a manager has to be told that their discount is not backed.
        self.flagged = set()
        self.till = self.another_till(0)

    def another_till(self, number, key=None):
        """A till of the shop; the same one again is another browser at it."""
        count = len(self.stage.shop["tills"])
        return Till(self.stage, (self.number + number) % count, key)

    def member(self, points=POINTS, is_pure=True):
        """:return: the engine's id of a new member"""
        (member,) = self.sandbox.add_members(1, points=points)
        if is_pure:
            self.members[member["id"]] = points
        return member["id"]

    def order(self, member=None, till=None):
        order = (till or self.till).open(member or self.member(), name=self.name)
        self.sold.append(order.sold)
        return order

    def expect(self, is_so, text):
        if not is_so:
            self.findings.append(f"{self.name}: {text}")

    # === The ledger ===

    def state(self, redemption):
        return self.query("state", redemption)

    def query(self, column, redemption):
        rows = self.stage.database_of_thread(
            f"SELECT {column} FROM loyalty_engine_redemption WHERE uuid = %s",
            (redemption["uuid"],),
        )
        return rows[0][0]

    def expect_state(self, redemption, *states, limit=0):
        """Within so many seconds."""
        deadline = time.monotonic() + limit
        while (state := self.state(redemption)) not in states and time.monotonic() < deadline:
            time.sleep(0.3)
        self.expect(state in states, f"the {redemption['kind']} is {state}, not {states}")

    def wait_for_state(self, redemption, state, limit=60):
        wait_until(
            lambda: self.state(redemption) == state,
            f"in '{self.name}' the {redemption['kind']} was {state}, not {self.state(redemption)}",
            limit,
            0.2,
        )

    def cases(self, redemption):
        """Kinds of the to-dos about a redemption."""
        rows = self.stage.database_of_thread(
            "SELECT kind FROM loyalty_engine_case WHERE reference LIKE %s",
            (f"%{redemption['uuid']}%",),
        )
        return {kind for (kind,) in rows}

    def let_holds_expire(self, member):
        self.stage.database_of_thread(
            "UPDATE loyalty_engine_redemption"
            "   SET hold_until = hold_until - interval '1 hour', state = 'expired'"
            " WHERE member_ref = %s AND state = 'held'",
            (member,),
        )

    # === The engine's books ===

    def points(self, member):
        return self.sandbox.member(member)["points"]

    def events(self, redemption, kind):
        return [
            event
            for event in self.sandbox.events()
            if event["type"] == kind and event["payload"].get("redemptionId") == redemption["uuid"]
        ]

    @contextlib.contextmanager
    def held_back(self, order, redemption):
        """The next request about a redemption is on its way, and arrives when this ends."""
        if redemption["kind"] == "points":
            order.aim_at_points({"kind": "hold"}, redemption)
        else:
            order.aim_at_code({"kind": "hold"}, order.code(redemption))
        yield
        order.take_faults_off()


def tell(stage, names, number=0):
    """Tell one story after the other; :return: list of Teller"""
    tellers = []
    for at, name in enumerate(names, number):
        teller = Teller(stage, name, at)
        begin = time.monotonic()
        try:
            STORIES[name](teller)
        except BenchError as error:
            teller.findings.append(str(error))
        teller.seconds = time.monotonic() - begin
        tellers.append(teller)
    return tellers


def tell_all(stage, names):
    """Those that share the stage side by side, then the others alone; :return: list of Teller"""
    shared = [name for name in names if not STORIES[name].needs_stage]
    alone = [name for name in names if STORIES[name].needs_stage]
    tellers, errors = [], []

    def work(number):
        try:
            tellers.extend(tell(stage, shared[number::SIDE_BY_SIDE], number))
        except Exception as error:  # told by the caller
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(SIDE_BY_SIDE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [*tellers, *tell(stage, alone)]


# === A request that is looked up as absent, and then lands ===


def _spend_late(t, hold, until):
    """Spend something whose request arrives when ``until(redemption)`` returns.

    :return: (order, redemption), paid without it
    """
    order = t.order()
    redemption = hold(order)
    with t.held_back(order, redemption):
        spent = t.till.spend(order, [redemption])
        t.expect(not spent, "what got no answer counts as spent")
        t.till.pay(order, spent)
        until(redemption)
    return order, redemption


def _points(t):
    return lambda order: t.till.hold_points(order, SPENT)


def _voucher(t):
    return lambda order: t.till.hold_voucher(order, t.stage.add_voucher(order.member))


def _looked_up(_redemption):
    time.sleep(LOOKED_UP)


@story()
def points_that_land_after_a_look(t):
    order, redemption = _spend_late(t, _points(t), _looked_up)
    t.expect_state(redemption, "returned", limit=60)
    t.expect(t.points(order.member) >= POINTS, "the points did not come back")


@story()
def burn_that_lands_after_a_look(t):
    _order, redemption = _spend_late(t, _voucher(t), _looked_up)
    t.expect_state(redemption, "stranded", limit=60)
    t.expect(t.cases(redemption) == {"burned"}, "nobody was told of the voucher")


@story()
def points_that_land_when_nobody_waits_any_more(t):
    _order, redemption = _spend_late(t, _points(t), lambda r: t.wait_for_state(r, "released"))
    t.expect(len(t.events(redemption, "REDEEMED_POINTS")) == 1, "the event did not land")


@story()
def burn_that_lands_when_nobody_waits_any_more(t):
    _spend_late(t, _voucher(t), lambda r: t.wait_for_state(r, "released"))


@story()
def points_back_that_land_after_a_look(t):
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    t.till.spend(order, [redemption])
    with t.held_back(order, redemption):
        t.till.give_up(order)
        t.wait_for_state(redemption, "returning")
        time.sleep(LOOKED_UP)
    t.expect_state(redemption, "returned", limit=60)
    t.expect(len(t.events(redemption, "POINTS_REFUND")) == 1, "not given back once")


@story()
def report_that_lands_after_a_look(t):
    order = t.order()
    order.aim({"kind": "late", "seconds": 5}, "POST", "/events", body=f'"{order.uuid}"')
    t.till.pay(order, [])
    time.sleep(LOOKED_UP)
    order.take_faults_off()


# === Points ===


@story(needs_stage=True)
def reaction_held_back_while_a_second_till_spends(t):
    member = t.member()
    t.sandbox.set_options(redeem_reactor="held")
    first, other = t.order(member), t.another_till(1)
    redemption = t.till.hold_points(first, SPENT)
    t.till.pay(first, t.till.spend(first, [redemption]))
    t.wait_for_state(redemption, "settled")
    second = t.order(member, other)
    more = other.hold_points(second, SPENT)
    t.expect(more is None, "points are held that are spent already")
    other.pay(second, other.spend(second, [more]) if more else [])
    t.sandbox.set_options(redeem_reactor="on")


@story()
def twenty_tills_on_one_member(t):
    """Every one of them holds the points, one after the other's hold ran out; all spend at once."""
    member = t.member()
    tills = [t.another_till(number, f"many-{number}") for number in range(20)]
    held = []
    for till in tills:
        order = t.order(member, till)
        held.append((till, order, till.hold_points(order, SPENT)))
        t.let_holds_expire(member)
    t.expect(all(redemption for _till, _order, redemption in held), "a hold that ran out counts")
    spent = []

    def spend(till, order, redemption):
        found = till.spend(order, [redemption])
        spent.extend(found)
        till.pay(order, found)

    threads = [threading.Thread(target=spend, args=one) for one in held if one[2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.expect(len(spent) <= 1, f"{len(spent)} tills spent the same points")


@story()
def another_channel_spends_while_nobody_knows(t):
    """The balance is lower, and yet nothing of ours has happened."""
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.till.hold_points(order, SPENT)
    order.aim_at_points({"kind": "drop_before"}, redemption)
    order.aim({"kind": "latency", "seconds": 0.7}, "GET", "/events")
    spender = threading.Timer(0.3, t.sandbox.adjust, (member,), {"points": -SPENT})
    spender.start()
    spent = t.till.spend(order, [redemption])
    spender.join()
    t.till.pay(order, spent)
    t.expect(not spent, "what another channel spent counts as ours")
    t.expect_state(redemption, "released", limit=LATE_AFTER + 40)


@story()
def another_channel_earns_while_nobody_knows(t):
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.till.hold_points(order, SPENT)
    order.aim_at_points({"kind": "drop_after"}, redemption)
    order.aim({"kind": "drop_before", "times": 2}, "GET", "/events")
    spent = t.till.spend(order, [redemption])
    t.sandbox.adjust(member, points=SPENT)
    t.till.pay(order, spent)
    t.expect_state(redemption, "settled", "returned", limit=60)


@story(needs_stage=True)
def reactor_that_is_switched_off(t):
    t.sandbox.set_options(redeem_reactor="off")
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    t.till.spend(order, [redemption])
    t.till.give_up(order)
    t.wait_for_state(redemption, "stranded", limit=LATE_AFTER + 60)
    t.sandbox.set_options(redeem_reactor="on")
    t.expect(t.cases(redemption) == {"points"}, "nobody was told")
    t.expect(not t.events(redemption, "POINTS_REFUND"), "what was never taken was given back")


@story(needs_stage=True)
def refund_that_is_capped(t):
    t.sandbox.set_options(refund_cap=100)
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    t.till.spend(order, [redemption])
    t.till.give_up(order)
    t.wait_for_state(redemption, "returned")
    t.sandbox.set_options(refund_cap=-1)
    t.expect(t.cases(redemption) == {"points"}, "nobody was told that points are missing")


# === Several redemptions ===


def _three(t, rule):
    order = t.order()
    redemptions = [
        t.till.hold_points(order, 100),
        *(t.till.hold_voucher(order, t.stage.add_voucher(order.member)) for _time in range(2)),
    ]
    order.aim_at_code(rule, order.code(redemptions[1]))
    spent = t.till.spend(order, redemptions)
    states = [t.state(one) for one in redemptions]
    t.expect(states[0] == "spent", f"the points are {states[0]}")
    t.expect(states[2] in ("held", "expired"), f"the third one is {states[2]}")
    t.till.pay(order, spent)
    t.till.release(order, redemptions[1:])
    return states[1]


@story()
def second_of_three_refused(t):
    t.expect(_three(t, {"kind": "refuse"}) == "refused", "a refusal is not one")


@story()
def second_of_three_unknown(t):
    t.expect(_three(t, {"kind": "drop_before"}) == "unknown", "what nobody knows is known")


@story()
def second_of_three_throttled(t):
    t.expect(_three(t, {"kind": "throttle"}) == "held", "what never happened is not held")


@story()
def same_voucher_at_two_tills(t):
    """The second one holds it when the first one's hold ran out; both spend at once."""
    member, other = t.member(), t.another_till(1)
    voucher = t.stage.add_voucher(member)
    first, second = t.order(member), t.order(member, other)
    mine = t.till.hold_voucher(first, voucher)
    t.expect(other.hold_voucher(second, voucher) is None, "a voucher is held twice")
    t.let_holds_expire(member)
    theirs = other.hold_voucher(second, voucher)
    first.aim_at_code({"kind": "latency", "seconds": 0.5, "times": 2}, voucher["code"])
    spender = threading.Thread(target=lambda: other.pay(second, other.spend(second, [theirs])))
    spender.start()
    t.till.pay(first, t.till.spend(first, [mine]))
    spender.join()


@story()
def answer_lost_while_another_till_burns(t):
    """The first one's request never arrives, the second one burns: whose burn is it?"""
    member, other = t.member(), t.another_till(1)
    voucher = t.stage.add_voucher(member)
    first = t.order(member)
    mine = t.till.hold_voucher(first, voucher)
    first.aim_at_code({"kind": "drop_before"}, voucher["code"])
    spent = t.till.spend(first, [mine])
    second = t.order(member, other)
    theirs = other.hold_voucher(second, voucher)
    other.pay(second, other.spend(second, [theirs]) if theirs else [])
    if not spent:
        # The cashier tries once more to see whether it is there by now.
        time.sleep(LOOKED_UP)
        spent = [one for one in t.till.spend(first, [mine]) if one["uuid"] == mine["uuid"]]
    t.till.pay(first, spent)


@story()
def two_clicks(t):
    order = t.order()
    redemption = t.till.hold_points(order, 300)
    order.aim(
        {"kind": "latency", "seconds": 0.4, "times": 2}, "GET", f"/users/{order.member}/wallet"
    )
    t.till.spend_as_neighbour(order, [redemption])
    t.till.pay(order, t.till.spend(order, [redemption]))
    t.expect(len(t.events(redemption, "REDEEMED_POINTS")) == 1, "not taken once")


# === Orders ===


@story()
def cancelled_elsewhere_while_at_the_terminal(t):
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    spent = t.till.spend(order, [redemption])
    t.expect(t.till.is_protected_from_neighbour(order), "another till could delete it")
    other = t.another_till(0, key="another")
    answer = other.ask("abandon", order, till_key=other.key)
    t.expect(answer and answer["status"] == "at_payment", f"another till was told {answer}")
    time.sleep(3)
    t.till.pay(order, spent)
    t.expect_state(redemption, "settled", limit=30)


@story()
def paid_offline_comes_after_three_days(t):
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    t.till.close(order, t.till.spend(order, [redemption]))
    time.sleep(5)
    t.stage.database_of_thread(
        "UPDATE loyalty_engine_redemption SET sent_at = sent_at - interval '3 days',"
        " lease_until = lease_until - interval '3 days' WHERE uuid = %s",
        (redemption["uuid"],),
    )
    wait_until(lambda: "missing" in t.cases(redemption), "the order was listed", 60)
    t.expect_state(redemption, "spent")
    t.till.bring(order, "paid")
    t.expect_state(redemption, "settled", limit=30)


@story()
def order_arrives_while_recovery_runs(t):
    for _time in range(3):
        order = t.order()
        redemption = t.till.hold_points(order, 100)
        spent = t.till.spend(order, [redemption])
        wakers = [threading.Timer(0.05 * n, t.stage.wake, JOBS) for n in range(8)]
        for waker in wakers:
            waker.start()
        t.till.pay(order, spent)
        for waker in wakers:
            waker.join()
        t.expect_state(redemption, "settled", limit=30)


@story()
def payment_longer_than_its_lease(t):
    """Nobody can prevent that, but a manager must be told."""
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    spent = t.till.spend(order, [redemption])
    wait_until(
        lambda: not t.till.is_protected_from_neighbour(order), "the lease ran out", 60, pause=2
    )
    t.wait_for_state(redemption, "returned", limit=60)
    t.till.pay(order, spent)
    t.flagged.add(order.uuid)
    wait_until(lambda: "unbacked" in t.cases(redemption), "the manager was told", 60)


# === Resends ===


def _resend(t, answer):
    """Points go back by a second request, because the first is gone; it is answered like this."""
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    t.till.spend(order, [redemption])
    order.aim_at_points({"kind": "drop_before"}, redemption)
    # The first rule takes the first request, and this one what comes after.
    order.aim_at_points(answer, redemption)
    t.till.give_up(order)
    t.expect_state(redemption, "returned", "stranded", limit=LATE_AFTER + 90)
    order.take_faults_off()


@story()
def resend_answered_409(t):
    _resend(t, {"kind": "refuse", "status": 409, "done": True})


@story()
def resend_answered_422(t):
    _resend(t, {"kind": "refuse", "status": 422})


@story()
def resend_answered_200_with_fail(t):
    _resend(t, {"kind": "refuse", "status": 200, "done": True})


# === The server dies ===


def _killed(t, place, hold, states):
    order = t.order()
    redemption = hold(order)
    t.stage.arm_kill(place)
    spent = t.till.spend(order, [redemption])
    t.till.pay(order, spent)
    t.expect_state(redemption, *states, limit=LATE_AFTER + 60)


@story(needs_stage=True)
def killed_before_points_are_asked_for(t):
    _killed(t, "after _begin_spending", _points(t), ("released",))


@story(needs_stage=True)
def killed_before_the_answer_is_written(t):
    _killed(t, "before _write_answer", _points(t), ("returned",))


@story(needs_stage=True)
def killed_after_the_burn(t):
    _killed(t, "before _write_answer", _voucher(t), ("stranded",))


@story(needs_stage=True)
def all_of_odoo_killed_with_the_order_unpaid(t):
    order = t.order()
    redemption = t.till.hold_points(order, SPENT)
    spent = t.till.spend(order, [redemption])
    t.stage.restart()
    t.till.pay(order, spent)
    t.expect_state(redemption, "settled", limit=60)

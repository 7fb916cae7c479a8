"""Stories that random faults hardly ever tell. Each plays with members of its own.

A story says only what is special about it; that nothing is spent twice or lost is for the books,
which are compared when all stories are told and everything has come to rest.
"""

import contextlib
import threading
import time

import requests

from bench.servers import BenchError, Database, ServerRefused, wait_until

from .stage import JOBS
from .till import Gone, Till

#: Points of a member at the beginning: enough for one redemption, not for two.
POINTS = 700
SPENT = 500
#: Seconds after which a request that is held back here has been given up and looked up.
LOOKED_UP = 9

#: Seconds until a cashier believes that something can't be held.
HOLD_LIMIT = 20
#: Seconds that a row may be "being spent" in a shop.
MOST_SPENDING = 90
#: Told at the same time.
SIDE_BY_SIDE = 8

#: How many wait for their turn at a member.
QUEUED = """
    SELECT COUNT(*) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND query LIKE '%loyalty_engine_member%'
"""

STORIES = {}


def story(needs_stage=False, is_long=False):
    """Register a story.

    :param needs_stage: it changes what others would notice, and is told alone
    :param is_long: it is told only where it is asked for
    """

    def decorate(tell):
        tell.needs_stage, tell.is_long = needs_stage, is_long
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
        self._at_last = []
        self.sold = []
        self.members = {}
        #: Uuids of orders of which a manager has to be told.
        self.flagged = set()
        #: Uuids of redemptions that live with the waits of a shop.
        self.patient = set()
        #: Ids of vouchers that another channel burns.
        self.burned_elsewhere = set()
        self.till = self.another_till(0)

    def another_till(self, number, key=None):
        """A till that books points as a discount; the same one again is another browser at it."""
        tills = self.stage.shop["tills"][::2]
        return Till(self.stage, tills[(self.number + number) % len(tills)], key)

    def till_with_points_as_payment(self):
        tills = self.stage.shop["tills"][1::2]
        return Till(self.stage, tills[self.number % len(tills)])

    def till_of(self, connection, key=None):
        """:param connection: one of OTHERS"""
        return Till(self.stage, self.stage.shop["others"][connection], key)

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

    def hold_points(self, order, points):
        """The cashier tries until they are held; :return: the redemption"""
        return self._hold(lambda: order.till.hold_points(order, points))

    def hold_voucher(self, order, voucher):
        return self._hold(lambda: order.till.hold_voucher(order, voucher))

    def _hold(self, hold):
        return wait_until(hold, f"in '{self.name}' something was held", HOLD_LIMIT, 0.5)

    def spend(self, order, redemption):
        """The cashier tries until it is spent: for other stories the engine may be down just now.

        :return: list of the redemption
        """
        return wait_until(
            lambda: order.till.spend(order, [redemption]),
            f"in '{self.name}' something was spent",
            HOLD_LIMIT,
            0.5,
        )

    def send(self, order, redemption, *more):
        """The same, where it need not succeed: they try until a request about it has left.

        :return: list of all those that are spent for all that the till knows
        """
        spent = []

        def has_left():
            spent[:] = order.till.spend(order, [redemption, *more])
            return spent or self.state(redemption) != "held"

        wait_until(has_left, f"in '{self.name}' a request left", HOLD_LIMIT, 0.5)
        return spent

    def expect(self, is_so, text):
        if not is_so:
            self.findings.append(f"{self.name}: {text}")

    def expect_at_last(self, redemption, *states):
        """When everything has come to rest."""
        self._at_last.append(lambda _events: self.expect_state(redemption, *states))

    def expect_case_at_last(self, redemption, kind):
        def check(_events):
            found = self.cases(redemption)
            self.expect(found == {kind}, f"of the {redemption['kind']} a person has {found}")

        self._at_last.append(check)

    def expect_at_last_events(self, redemption, *kinds):
        """One event of each kind, and no other."""

        def check(events):
            for kind in ("REDEEMED_POINTS", "POINTS_REFUND"):
                count = len(self.events(redemption, kind, events))
                self.expect(count == kinds.count(kind), f"{count} events {kind}")

        self._at_last.append(check)

    def check_at_last(self, events):
        """:param events: all that the engine has"""
        for check in self._at_last:
            check(events)

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

    def sendings(self, uuid, kind="points_refund"):
        """How often it was tried to give the points of a redemption back, or to report a sale."""
        rows = self.stage.database_of_thread(
            "SELECT sends FROM loyalty_engine_report WHERE kind = %s AND order_uuid = %s",
            (kind, uuid),
        )
        return rows[0][0] if rows else 0

    def wait_until_sent_back(self, redemption):
        """Until a first request has tried to give points back: who ends a story earlier takes off
        the fault that it is about."""
        wait_until(
            lambda: self.stage.database_of_thread(
                "SELECT 1 FROM loyalty_engine_report WHERE kind = 'points_refund'"
                " AND state IN ('unknown', 'sent') AND order_uuid = %s",
                (redemption["uuid"],),
            ),
            f"in '{self.name}' the points were sent back",
            60,
            0.2,
        )

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

    @contextlib.contextmanager
    def turn_of(self, member):
        """Keep the turn of a member, so that whoever spends has to wait.

        :return: function that tells whether several do
        """

        def is_waited_for():
            # A transaction sees the activity of when it first looked: each look has its own.
            return self.stage.database_of_thread(QUEUED)[0][0] >= 2

        with Database("drill") as database:
            database.query("BEGIN")
            database.query(
                "SELECT 1 FROM loyalty_engine_member WHERE ref = %s FOR UPDATE", (member,)
            )
            yield is_waited_for
            database.query("COMMIT")

    # === The engine's books ===

    def points(self, member):
        return self.sandbox.member(member)["points"]

    def events(self, redemption, kind, events=None):
        return [
            event
            for event in (self.sandbox.events() if events is None else events)
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
        except (BenchError, requests.RequestException) as error:
            teller.findings.append(str(error))
        except Gone:
            teller.findings.append(f"{name}: the server did not answer")
        teller.seconds = time.monotonic() - begin
        tellers.append(teller)
    return tellers


def tell_all(stage, names):
    """Those that need the stage, one by one, then the others side by side: what comes of a story
    only after a while comes while others are told.

    :return: list of Teller
    """
    shared = [name for name in names if not STORIES[name].needs_stage]
    alone = [name for name in names if STORIES[name].needs_stage]
    tellers, errors = tell(stage, alone), []

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
    return tellers


# === A request that is looked up as absent, and then lands ===


def _spend_late(t, hold, until):
    """Spend something whose request arrives when ``until(redemption)`` returns.

    :return: (order, redemption), paid without it
    """
    order = t.order()
    redemption = hold(order)
    with t.held_back(order, redemption):
        spent = t.send(order, redemption)
        t.expect(not spent, "what got no answer counts as spent")
        t.till.pay(order, spent)
        until(redemption)
    return order, redemption


def _points(t):
    return lambda order: t.hold_points(order, SPENT)


def _voucher(t):
    return lambda order: t.hold_voucher(order, t.stage.add_voucher(order.member))


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
    order, redemption = _spend_late(t, _points(t), lambda r: t.wait_for_state(r, "released"))
    t.expect_at_last(redemption, "returned")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", "POINTS_REFUND")


@story()
def burn_that_lands_when_nobody_waits_any_more(t):
    _order, redemption = _spend_late(t, _voucher(t), lambda r: t.wait_for_state(r, "released"))
    t.expect_at_last(redemption, "stranded")


@story()
def second_till_spends_before_the_points_land(t):
    """Looked up as absent, and still on its way: the points are not free."""
    member = t.member()
    first, second, other = t.order(member), None, t.another_till(1)
    redemption = t.hold_points(first, SPENT)
    with t.held_back(first, redemption):
        t.till.pay(first, t.send(first, redemption))
        _looked_up(redemption)
        second = t.order(member, other)
        more = other.hold_points(second, SPENT)
        t.expect(more is None, "points are held that may be spent already")
        other.pay(second, other.spend(second, [more]) if more else [])


@story()
def points_back_that_land_after_a_look(t):
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    with t.held_back(order, redemption):
        t.till.give_up(order)
        t.wait_for_state(redemption, "returning")
        time.sleep(LOOKED_UP)
    t.expect_state(redemption, "returned", limit=60)
    t.expect(len(t.events(redemption, "POINTS_REFUND")) == 1, "not given back once")


@story()
def points_back_whose_answer_is_lost(t):
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    order.aim_at_points({"kind": "drop_after"}, redemption)
    t.till.give_up(order)
    t.wait_until_sent_back(redemption)
    t.expect_at_last(redemption, "returned")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", "POINTS_REFUND")


@story()
def report_that_lands_after_a_look(t):
    order = t.order()
    order.aim({"kind": "late", "seconds": 5}, "POST", "/events", body=f'"{order.uuid}"')
    t.till.pay(order, [])
    time.sleep(LOOKED_UP)
    order.take_faults_off()


@story(needs_stage=True)
def sent_again_and_then_the_first_one_lands(t):
    """Later than anything can be late: only the engine can tell, by the bytes that are the same."""
    t.sandbox.set_options(duplicates="conflict")
    sold, given_up = t.order(), t.order()
    redemption = t.hold_points(given_up, SPENT)
    t.spend(given_up, redemption)
    sold.aim({"kind": "hold"}, "POST", "/events", body=f'"{sold.uuid}"')
    with t.held_back(given_up, redemption):
        t.till.give_up(given_up)
        t.till.pay(sold, [])
        wait_until(
            lambda: t.sendings(redemption["uuid"]) > 1 and t.sendings(sold.uuid, "sale") > 1,
            "both were sent again",
            90,
            0.5,
        )
        t.wait_for_state(redemption, "returned")
    sold.take_faults_off()
    time.sleep(1)
    t.sandbox.set_options(duplicates="accept")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", "POINTS_REFUND")


# === Points ===


@story(needs_stage=True)
def reaction_held_back_while_a_second_till_spends(t):
    member = t.member()
    t.sandbox.set_options(redeem_reactor="held")
    first, other = t.order(member), t.another_till(1)
    redemption = t.hold_points(first, SPENT)
    t.till.pay(first, t.spend(first, redemption))
    t.wait_for_state(redemption, "settled")
    second = t.order(member, other)
    more = other.hold_points(second, SPENT)
    t.expect(more is None, "points are held that are spent already")
    other.pay(second, other.spend(second, [more]) if more else [])
    t.sandbox.set_options(redeem_reactor="on")


@story()
def twenty_tills_on_one_member(t):
    """Every one of them holds the points, one after the other's hold ran out; all spend at once,
    and begin to when several of them queue at the member already."""
    member = t.member()
    tills = [t.another_till(number, f"many-{number}") for number in range(20)]
    held = []
    for till in tills:
        order = t.order(member, till)
        held.append((till, order, t.hold_points(order, SPENT)))
        t.let_holds_expire(member)
    spent = []

    def spend(till, order, redemption):
        found = till.spend(order, [redemption])
        spent.extend(found)
        till.pay(order, found)

    threads = [threading.Thread(target=spend, args=one) for one in held]
    try:
        with t.turn_of(member) as is_waited_for:
            for thread in threads:
                thread.start()
            wait_until(is_waited_for, f"in '{t.name}' several waited for the member's turn", 10)
    finally:
        for thread in threads:
            thread.join()
    t.expect(len(spent) <= 1, f"{len(spent)} tills spent the same points")


@story()
def another_channel_spends_while_nobody_knows(t):
    """The balance is lower, and yet nothing of ours has happened."""
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.hold_points(order, SPENT)
    order.aim_at_points({"kind": "drop_before"}, redemption)
    order.aim({"kind": "latency", "seconds": 0.7}, "GET", "/events")
    spender = threading.Timer(0.3, t.sandbox.adjust, (member,), {"points": -SPENT})
    spender.start()
    spent = t.send(order, redemption)
    spender.join()
    t.till.pay(order, spent)
    t.expect(not spent, "what another channel spent counts as ours")
    t.expect_at_last(redemption, "released")


@story()
def another_channel_earns_while_nobody_knows(t):
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.hold_points(order, SPENT)
    order.aim_at_points({"kind": "drop_after"}, redemption)
    order.aim({"kind": "drop_before", "times": 2}, "GET", "/events")
    spent = t.send(order, redemption)
    t.sandbox.adjust(member, points=SPENT)
    t.till.pay(order, spent)
    t.expect_state(redemption, "settled", "returned", limit=60)


@story()
def points_expire_while_nobody_knows(t):
    """Ours were taken, and the rest is gone by itself: that is no second deduction."""
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.hold_points(order, SPENT)
    order.aim_at_points({"kind": "drop_after"}, redemption)
    order.aim({"kind": "drop_before", "times": 2}, "GET", "/events")
    spent = t.send(order, redemption)
    t.sandbox.adjust(member, points=SPENT - POINTS)
    t.till.pay(order, spent)
    t.expect_at_last(redemption, "settled", "returned")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", *([] if spent else ["POINTS_REFUND"]))


@story()
def another_channel_burns_while_nobody_knows(t):
    """Whose burn it was can't be told. The sale goes without, and a person is told."""
    order = t.order()
    voucher = t.stage.add_voucher(order.member)
    t.burned_elsewhere.add(voucher["id"])
    redemption = t.hold_voucher(order, voucher)
    order.aim_at_code({"kind": "drop_before"}, voucher["code"])
    spent = t.send(order, redemption)
    t.expect(not spent, "a burn that never arrived counts as ours")
    t.stage.burn_elsewhere(voucher)
    t.till.pay(order, spent)
    t.expect_at_last(redemption, "stranded")
    t.expect_case_at_last(redemption, "burned")


@story()
def another_channel_spends_while_points_go_back(t):
    """A balance tells nothing of a refund, either."""
    member = t.member(is_pure=False)
    order = t.order(member)
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    order.aim_at_points({"kind": "drop_after"}, redemption)
    t.till.give_up(order)
    t.wait_until_sent_back(redemption)
    t.sandbox.adjust(member, points=-POINTS)
    t.expect_at_last(redemption, "returned")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", "POINTS_REFUND")


@story(needs_stage=True)
def reactor_that_is_switched_off(t):
    t.sandbox.set_options(redeem_reactor="off")
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    t.till.give_up(order)
    # It reacts within a moment, or never.
    time.sleep(1)
    t.sandbox.set_options(redeem_reactor="on")
    t.expect_at_last(redemption, "stranded")
    t.expect_case_at_last(redemption, "points")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS")


@story(needs_stage=True)
def refund_that_is_capped(t):
    t.sandbox.set_options(refund_cap=100)
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    t.till.give_up(order)
    t.wait_for_state(redemption, "returned")
    t.sandbox.set_options(refund_cap=-1)
    t.expect(t.cases(redemption) == {"points"}, "nobody was told that points are missing")


# === Several redemptions ===


def _three(t, rule):
    order = t.order()
    redemptions = [
        t.hold_points(order, 100),
        *(t.hold_voucher(order, t.stage.add_voucher(order.member)) for _time in range(2)),
    ]
    order.aim_at_code(rule, order.code(redemptions[1]))
    spent = t.send(order, *redemptions)
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
def second_of_three_unreachable(t):
    state = _three(t, {"kind": "refused"})
    t.expect(state == "held", "what has not left is not held")


@story()
def second_of_three_throttled(t):
    t.expect(_three(t, {"kind": "throttle"}) == "held", "what never happened is not held")


@story()
def same_voucher_at_two_tills(t):
    """The second one holds it when the first one's hold ran out; both spend at once."""
    member, other = t.member(), t.another_till(1)
    voucher = t.stage.add_voucher(member)
    first, second = t.order(member), t.order(member, other)
    mine = t.hold_voucher(first, voucher)
    t.expect(other.hold_voucher(second, voucher) is None, "a voucher is held twice")
    t.let_holds_expire(member)
    theirs = t.hold_voucher(second, voucher)
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
    mine = t.hold_voucher(first, voucher)
    first.aim_at_code({"kind": "drop_before"}, voucher["code"])
    spent = t.send(first, mine)
    second = t.order(member, other)
    theirs = other.hold_voucher(second, voucher)
    other.pay(second, other.spend(second, [theirs]) if theirs else [])
    if not spent:
        # The cashier tries once more to see whether it is there by now.
        time.sleep(LOOKED_UP)
        spent = [one for one in t.till.spend(first, [mine]) if one["uuid"] == mine["uuid"]]
    t.till.pay(first, spent)


@story()
def own_code_at_two_tills(t):
    other, code = t.another_till(1), t.stage.add_own_code()
    first, second = t.order(), t.order(till=other)
    mine = t.hold_voucher(first, code)
    t.expect(other.hold_voucher(second, code) is None, "a code of our own is held twice")
    t.till.pay(first, t.spend(first, mine))
    again = other.hold_voucher(second, code)
    t.expect(again is None, "a code of our own is held again after it was spent")
    other.pay(second, other.spend(second, [again]) if again else [])


@story()
def own_code_of_a_sale_that_dies(t):
    """Nobody but us knows of it: it can be used again, and once."""
    code = t.stage.add_own_code()
    first = t.order()
    t.till.spend(first, [mine := t.hold_voucher(first, code)])
    t.till.give_up(first)
    t.expect_state(mine, "released", limit=30)
    second = t.order()
    again = t.hold_voucher(second, code)
    t.till.pay(second, t.spend(second, again))
    t.expect_at_last(again, "settled")


@story()
def points_as_payment_twice_at_once(t):
    """Tender, not a discount: two clicks, and an order that is synced again."""
    till = t.till_with_points_as_payment()
    order = t.order(till=till)
    redemption = t.hold_points(order, SPENT)
    t.expect(redemption["booking"] == "payment", f"points are booked as {redemption['booking']}")
    till.spend_as_neighbour(order, [redemption])
    till.pay(order, t.spend(order, redemption))
    till.bring(order, "paid")
    t.expect_at_last(redemption, "settled")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS")


@story()
def points_as_payment_for_a_sale_that_dies(t):
    till = t.till_with_points_as_payment()
    order = t.order(till=till)
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    till.give_up(order)
    t.expect_at_last(redemption, "returned")
    t.expect_at_last_events(redemption, "REDEEMED_POINTS", "POINTS_REFUND")


@story()
def return_paid_back_in_points(t):
    """The server dies when it has decided how many points that are."""
    till = t.till_with_points_as_payment()
    order = t.order(till=till)
    redemption = t.hold_points(order, SPENT)
    till.pay(order, t.spend(order, redemption))
    t.wait_for_state(redemption, "settled")
    wait_until(lambda: t.query("shown_at", redemption), "the points were taken", 30)
    t.stage.arm_kill("after _allot_refund")
    till.take_back(order, redemption["uuid"])
    wait_until(lambda: t.points(order.member) >= POINTS, "the points came back", 60, 0.5)


@story()
def two_clicks(t):
    order = t.order()
    redemption = t.hold_points(order, 300)
    order.aim(
        {"kind": "latency", "seconds": 0.4, "times": 2}, "GET", f"/users/{order.member}/wallet"
    )
    t.till.spend_as_neighbour(order, [redemption])
    t.till.pay(order, t.send(order, redemption))
    t.expect(len(t.events(redemption, "REDEEMED_POINTS")) == 1, "not taken once")


# === Orders ===


@story()
def cancelled_elsewhere_while_at_the_terminal(t):
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    spent = t.spend(order, redemption)
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
    redemption = t.hold_points(order, SPENT)
    t.till.close(order, t.spend(order, redemption))
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
        redemption = t.hold_points(order, 100)
        spent = t.spend(order, redemption)
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
    redemption = t.hold_points(order, SPENT)
    spent = t.spend(order, redemption)
    wait_until(
        lambda: not t.till.is_protected_from_neighbour(order), "the lease ran out", 60, pause=2
    )
    t.wait_for_state(redemption, "returned", limit=60)
    t.till.pay(order, spent)
    t.flagged.add(order.uuid)
    wait_until(lambda: "unbacked" in t.cases(redemption), "the manager was told", 30)


@story()
def cancelled_while_paid_for_longer_than_the_lease(t):
    """Odoo takes no paid order whose copy it has cancelled, and says nothing: a manager is told."""
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    spent = t.spend(order, redemption)

    def cancel():
        with contextlib.suppress(ServerRefused):
            t.till.neighbour.call_model("pos.order", "action_pos_order_cancel", order.server_ids())
            return True

    wait_until(cancel, "the lease ran out", 60, pause=2)
    t.wait_for_state(redemption, "returned")
    t.till.pay(order, spent)
    t.flagged.add(order.uuid)


# === Connections that are set up otherwise ===


@story()
def burned_at_once(t):
    """Burned when it is scanned: given up afterwards, it is a case."""
    till = t.till_of("at once")
    paid, given_up = t.order(till=till), t.order(till=till)
    sold, wasted = (
        t.hold_voucher(order, t.stage.add_voucher(order.member)) for order in (paid, given_up)
    )
    till.pay(paid, t.spend(paid, sold))
    t.expect(paid.sold.carried, "what was burned at once is not on the order")
    till.give_up(given_up)
    t.expect_at_last(sold, "settled")
    t.expect_at_last(wasted, "stranded")
    t.expect_case_at_last(wasted, "burned")


@story(needs_stage=True)
def reactions_that_are_not_read(t):
    """What was sent is subtracted for as long as a request can be late, in whatever state."""
    member, till = t.member(), t.till_of("blind")
    t.sandbox.set_options(redeem_reactor="held")
    first, second = t.order(member, till), t.order(member, till)
    redemption = t.hold_points(first, SPENT)
    till.pay(first, t.spend(first, redemption))
    t.wait_for_state(redemption, "settled")
    more = till.hold_points(second, SPENT)
    t.expect(more is None, "points are held that are spent already")
    till.pay(second, till.spend(second, [more]) if more else [])
    t.sandbox.set_options(redeem_reactor="on")


@story()
def points_that_nobody_sees_taken(t):
    """Without reactions it can't be told what to give back: a person does."""
    till = t.till_of("blind")
    order = t.order(till=till)
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    till.give_up(order)
    t.expect_at_last(redemption, "stranded")
    t.expect_case_at_last(redemption, "points")


@story(needs_stage=True)
def reactions_that_are_forbidden(t):
    """Readable as far as the owner knows, and refused."""
    member, other = t.member(), t.another_till(1)
    first, second = t.order(member), t.order(member, other)
    first.aim({"kind": "refuse", "status": 403, "times": 100}, "GET", "/events/*/reactions")
    redemption = t.hold_points(first, SPENT)
    t.till.pay(first, t.spend(first, redemption))
    t.wait_for_state(redemption, "settled")
    more = other.hold_points(second, SPENT)
    t.expect(more is None, "points are held that are spent already")
    other.pay(second, other.spend(second, [more]) if more else [])
    first.take_faults_off()


# === Resends ===


def _resend(t, answer):
    """Points go back by a second request, because the first is gone; it is answered like this."""
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    t.spend(order, redemption)
    order.aim_at_points({"kind": "drop_before"}, redemption)
    # The first rule takes the first request, and this one what comes after.
    order.aim_at_points(answer, redemption)
    t.till.give_up(order)
    t.wait_for_state(redemption, "returning")
    wait_until(
        lambda: t.sendings(redemption["uuid"]) > 1,
        f"in '{t.name}' the points were sent back again",
        60,
        0.5,
    )
    t.expect_state(redemption, "returned", "stranded", limit=60)
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
    t.stage.arm_kill(place, redemption)
    spent = t.send(order, redemption)
    t.till.pay(order, spent)
    t.expect_at_last(redemption, *states)


@story()
def killed_before_points_are_asked_for(t):
    _killed(t, "after _begin_spending", _points(t), ("released",))


@story()
def asked_again_after_the_server_died(t):
    """The points are taken, and the process dies before it writes that down."""
    order = t.order()
    redemption = t.hold_points(order, 300)
    t.stage.arm_kill("before _write_answer", redemption)
    t.send(order, redemption)
    t.till.pay(order, t.till.spend(order, [redemption]))
    t.expect_at_last(redemption, "returned", "settled")
    t.expect(len(t.events(redemption, "REDEEMED_POINTS")) == 1, "not taken once")


@story()
def killed_after_the_burn(t):
    _killed(t, "before _write_answer", _voucher(t), ("stranded",))


@story(needs_stage=True)
def all_of_odoo_killed_with_the_order_unpaid(t):
    order = t.order()
    redemption = t.hold_points(order, SPENT)
    spent = t.spend(order, redemption)
    t.stage.restart()
    t.till.pay(order, spent)
    t.expect_state(redemption, "settled", limit=60)


@story(needs_stage=True, is_long=True)
def sender_killed_with_the_waits_of_a_shop(t):
    """How long is it "being spent" where nothing is shortened, and no job is woken?"""
    with t.stage.as_installed():
        order = t.order()
        redemption = t.hold_points(order, SPENT)
        t.patient.add(redemption["uuid"])
        t.stage.arm_kill("before _write_answer", redemption)
        t.till.pay(order, t.send(order, redemption))
        begin = time.monotonic()
        wait_until(lambda: t.state(redemption) != "spending", "it was spending no more", 150, 0.5)
        seconds = time.monotonic() - begin
        t.expect(seconds <= MOST_SPENDING, f"it was spending for {seconds:.0f} s")

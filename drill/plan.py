"""What each sale will be and what will happen to it: the same for the same seed.

When things happen is not planned: tills, servers and the engine run side by side, and a replay
meets the same sales and mishaps in a slightly different order.
"""

import random
from dataclasses import dataclass

from .mishaps import every_mishap

#: Of a hundred sales so many have no mishap: what they meet is the mishaps of others.
SALES_WITHOUT_MISHAP = 20
#: Members, by what happens to them.
RICH, POOR, BUSY_ELSEWHERE = range(3)
POINTS_AT_FIRST = {RICH: 20_000, POOR: 700, BUSY_ELSEWHERE: 5_000}
#: Name to discount, as the engine writes it: money in the smallest unit. What percentages are worth
#: is another test's matter.
REWARDS = {
    "5.00 off": {"type": "ABSOLUTE", "value": 500},
    "4.00 off": {"type": "ABSOLUTE", "value": 400},
    "2.50 off": {"type": "ABSOLUTE", "value": 250},
}
#: What a code of our own takes off, in the shop's currency.
OWN_CODE_VALUE = 3
#: Of a hundred vouchers so many are codes of our own, which the engine doesn't know.
OWN_CODES = 15
#: Of a hundred sales so many are on the server before they are paid for; an offline till's, and
#: those whose redemptions are all that is asked for, come when they are paid.
STORED_AS_DRAFT = 40
#: Of the shop's three products, one that is worth more than all that is ever taken off.
DEAR = 2


@dataclass(frozen=True)
class Wish:
    """A voucher, by its number in the plan, or an amount of points."""

    voucher: int | None = None
    points: int = 0


@dataclass(frozen=True)
class Sale:
    number: int
    member: int
    basket: tuple
    wishes: tuple
    mishap: object
    is_draft_first: bool
    pause: float


@dataclass(frozen=True)
class Voucher:
    """:param reward: one of REWARDS; "" for a code of our own"""

    member: int
    reward: str


@dataclass(frozen=True)
class Plan:
    """:param members: for each what it is there for (RICH, POOR, BUSY_ELSEWHERE)"""

    seed: int
    members: tuple
    vouchers: tuple
    sales: tuple

    @property
    def pure_members(self):
        """Those whose points nobody else touches: theirs may never be below zero."""
        return [number for number, kind in enumerate(self.members) if kind != BUSY_ELSEWHERE]


def make_plan(seed, sales, places):
    """:param places: where a server process can be killed"""
    dice = random.Random(seed)
    members = (*[RICH] * max(2, sales // 100), *[POOR] * max(4, sales // 50), *[BUSY_ELSEWHERE] * 2)
    mishaps = every_mishap(places)
    # Each of them comes as often as the others, in an order of its own.
    upcoming = []
    vouchers, planned = [], []
    contested = None
    for number in range(sales):
        member = dice.randrange(len(members))
        wishes = []
        if contested is not None:
            # The next sale, at another till, wants the voucher of the one before.
            wishes.append(Wish(voucher=contested))
            member, contested = vouchers[contested].member, None
        else:
            for _count in range(dice.choices((0, 1, 2, 3), (10, 70, 15, 5))[0]):
                if dice.random() < 0.5:
                    is_own = dice.randrange(100) < OWN_CODES
                    vouchers.append(Voucher(member, "" if is_own else dice.choice(list(REWARDS))))
                    wishes.append(Wish(voucher=len(vouchers) - 1))
                elif not any(wish.points for wish in wishes):
                    wishes.append(Wish(points=100 * dice.randint(1, 5)))
            if wishes and wishes[0].voucher is not None and dice.random() < 0.15:
                contested = wishes[0].voucher
        if not upcoming:
            upcoming = dice.sample(mishaps, len(mishaps))
        has_one = wishes and dice.randrange(100) >= SALES_WITHOUT_MISHAP
        planned.append(
            Sale(
                number=number,
                member=member,
                basket=(
                    (DEAR, dice.randint(1, 3)),
                    *(
                        (dice.randrange(3), dice.randint(1, 3))
                        for _line in range(dice.randint(0, 3))
                    ),
                ),
                wishes=tuple(wishes),
                mishap=upcoming.pop() if has_one else None,
                is_draft_first=dice.randrange(100) < STORED_AS_DRAFT,
                pause=dice.uniform(0, 0.1),
            )
        )
    return Plan(seed, members, tuple(vouchers), tuple(planned))

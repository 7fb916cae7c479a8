"""What vouchers and points cost where they are used, and where they are not.

*Validate*: real sales in Chromium on ``odoo --workers 2``, plain ones and such with a voucher by
turns, from pressing Validate to the receipt. What the engine was busy with is taken off: the rest
of the difference is ours. A plain sale must make no call of the engine and no request more.

*Validate while Odoo stands still*: all of its processes are stopped; the cashier must be able to
go on after 8 seconds.

*Adding a product* with a member on the order: beside the same till without the module, and both
beside ``pos_loyalty`` with a loyalty program, by turns in one run. No request, and the same time.
"""

import contextlib
import json
import time
from urllib.parse import urlsplit

from . import engines
from .browser import Browser
from .figures import Table, half_of_them, median, percentile
from .servers import BenchError, Cashier, Database, OdooServer, SandboxProcess
from .till import Till

MOST_ADDED = 100  # milliseconds beside the engine's own, at Validate
MOST_RATIO = 1.10
MOST_WAIT = 8  # seconds at the step that spends, whatever happens
SIDES = {"without": False, "with": True, "loyalty": False, "both": True}
PAIRS = {"with / without": ("with", "without"), "both / loyalty": ("both", "loyalty")}
ROUTES = "/pos_loyalty_engine/"
LATENCY = 0.05  # seconds: an engine on the same machine would be no engine
# Seconds after each sale: a cashier may look up 60 codes in a minute, and here it is 1.5 a sale.
PAUSE = 1.0


def add_arguments(parser):
    parser.add_argument("--sales", type=int, default=20, metavar="N", help="[%(default)s]")
    parser.add_argument(
        "--products", type=int, default=8, metavar="N", help="added in each turn [%(default)s]"
    )
    parser.add_argument("--turns", type=int, default=20, metavar="N", help="[%(default)s]")
    parser.add_argument("--freezes", type=int, default=3, metavar="N", help="[%(default)s]")


def run(arguments):
    """The names of the bounds that are broken."""
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess(reward_currency="USD"))
        browser = stack.enter_context(Browser())
        (member,) = sandbox.add_members(1)
        tills, servers = {}, {}
        for side, is_ours in SIDES.items():
            database = stack.enter_context(Database(side))
            shop = database.in_odoo(
                "make",
                cashiers=1,
                products=50,
                connection=engines.spending(sandbox) if is_ours else None,
                program=side in ("loyalty", "both"),
            )
            odoo = stack.enter_context(OdooServer(database, workers=2, cron_threads=0))
            servers[side] = odoo
            page = stack.enter_context(browser.page(odoo, Cashier(odoo, shop["cashiers"][0])))
            tills[side] = till = Till(page, odoo, shop["config_id"])
            till.start()
            till.wait_for_pictures()
        broken = add_products(tills, member, arguments.turns, arguments.products)
        broken += validate(tills["with"], tills["without"], sandbox, member, arguments.sales)
        broken += freeze(tills["with"], servers["with"], sandbox, member, arguments.freezes)
    return broken


def add_products(tills, member, turns, products):
    table = Table(f"Adding a product, {turns} turns of {products}")
    drawn, busy, requests = ({side: [] for side in tills} for _figure in range(3))
    for turn in range(-1, turns):
        for side, till in tills.items() if turn % 2 else reversed(tills.items()):
            till.show()
            till.new_order(member["id"] if SIDES[side] else None)
            milliseconds, busy_with_each, asked = till.add_products(products)
            if turn >= 0:
                drawn[side].append(median(milliseconds))
                busy[side].append(busy_with_each)
                requests[side] += asked
    for name, figures in (("until it is drawn", drawn), ("browser busy", busy)):
        for side in tills:
            table.row(f"{side}: {name}, p50", median(figures[side]), "ms")
        for pair, (one, other) in PAIRS.items():
            ratios = [a / b for a, b in zip(figures[one], figures[other], strict=True)]
            # What is drawn is drawn at the next sixtieth of a second: too coarse for a bound.
            most = MOST_RATIO if figures is busy else None
            table.row(f"{pair}: {name}, median of pairs", median(ratios), most=most)
            table.note(half_of_them(ratios, 3))
    for name, (one, other) in PAIRS.items():
        more = {_path(address) for address in requests[one]} - {
            _path(address) for address in requests[other]
        }
        table.row(f"{name}: requests that only the one makes", len(more), most=0)
        if more:
            table.note(json.dumps(sorted(more)))
    return table.broken


def validate(till, bare, sandbox, member, sales):
    table = Table(f"Validate, {sales} sales each, the engine answers after {LATENCY * 1000:.0f} ms")
    sandbox.faults(kind="latency", seconds=LATENCY)
    plain, spent, engine, calls, wanted = [], [], [], 0, []
    bare.show()
    usual = []
    for _sale in range(3):
        bare.new_order(None)
        bare.add_products(1)
        bare.pay()
        usual.append(len(bare.validate()["requests"]))
    till.show()
    for number in range(-2, 2 * sales):
        has_voucher = bool(number % 2)
        till.new_order(member["id"])
        till.add_products(1)
        if has_voucher:
            till.hold_voucher(sandbox.add_benefit(member["id"], "5.00 off")["code"])
        till.pay()
        sandbox.clear_requests()
        found = till.validate()
        asked = [
            request
            for request in sandbox.requests()
            if request["path"].endswith("/commands/validate_voucher")
            or not has_voucher
            and engines.milliseconds(request["arrivedAt"]) < found["receiptAt"]
        ]
        time.sleep(PAUSE)
        if number < 0:
            continue
        if has_voucher:
            if len(asked) != 1:
                raise BenchError(f"The voucher was burned by {len(asked)} requests.")
            spent.append(found["milliseconds"])
            engine.append(asked[0]["ms"])
        else:
            plain.append(found["milliseconds"])
            calls += len(asked)
            wanted.append(found["requests"])
    table.row("plain: all, p50", median(plain), "ms")
    table.row("with a voucher: all, p50", median(spent), "ms")
    table.row("with a voucher: all, p95", percentile(spent, 0.95), "ms")
    table.row("with a voucher: the engine, p50", median(engine), "ms")
    # Each beside the plain sale just before it: a machine is not equally fast all the time.
    added = [
        one - its_engine - other
        for one, its_engine, other in zip(spent, engine, plain, strict=True)
    ]
    table.row("with a voucher: added, median of pairs", median(added), "ms", most=MOST_ADDED)
    table.note(half_of_them(added, 0))
    table.row("plain: calls of the engine before the receipt", calls, most=0)
    more = median([len(requests) for requests in wanted]) - median(usual)
    table.row("plain: requests more than without the module, p50", more, most=0)
    ours = {_path(each) for requests in wanted for each in requests if ROUTES in each}
    table.row("plain: requests of ours before the receipt", len(ours), most=0)
    if ours:
        table.note(json.dumps(sorted(ours)))
    return table.broken


def freeze(till, odoo, sandbox, member, freezes):
    """Odoo answers nothing from Validate on: the cashier reads why, and can take the payment."""
    table = Table(f"Validate with a voucher while Odoo stands still, {freezes} times")
    sandbox.clear_faults()
    waited = []
    for _number in range(freezes):
        till.new_order(member["id"])
        till.add_products(1)
        till.hold_voucher(sandbox.add_benefit(member["id"], "5.00 off")["code"])
        till.pay()
        with odoo.frozen():
            waited.append(till.validate_in_vain() / 1000)
    table.row("until the cashier can go on, longest", max(waited), "s", most=MOST_WAIT)
    return table.broken


def _path(address):
    return urlsplit(address).path

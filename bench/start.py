"""What the module adds to the start of a till.

Two databases from the same template, one with the module and a connection, with the same products
and customers; in the one the customers are linked to members. Both are started in Chromium by
turns, with an empty profile (first start) and again in the same one (next start), until products
are shown.
"""

from . import customers, engines
from .browser import Browser
from .figures import Table, half_of_them, median
from .servers import Cashier, Database, OdooServer, SandboxProcess
from .till import Till

MOST_RATIO = 1.05
# Bytes, minified: for members, reports and receipts, and for what spends. The latter is in every
# till from the start, because a till that is offline must be able to judge an order that it finds.
# Dialogs come after the start.
MOST_SCRIPT = 60_000 + 100_000
SIDES = ("without", "with")
STARTS = ("first", "next")


def add_arguments(parser):
    parser.add_argument("--pairs", type=int, default=15, metavar="N", help="[%(default)s]")
    parser.add_argument(
        "--customers",
        type=int,
        nargs="+",
        default=[10, 100_000],
        metavar="N",
        help="how many there are, in rising order [%(default)s]",
    )
    parser.add_argument("--products", type=int, default=200, metavar="N", help="[%(default)s]")


def run(arguments):
    """The names of the bounds that are broken."""
    broken = []
    with SandboxProcess() as sandbox, Database("without") as without, Database("with") as with_:
        databases = {"without": without, "with": with_}
        shops = {
            side: database.in_odoo(
                "make",
                cashiers=1,
                products=arguments.products,
                connection=engines.spending(sandbox) if side == "with" else None,
            )
            for side, database in databases.items()
        }
        before = 0
        for count in sorted(arguments.customers):
            added = range(before, count)
            customers.add(without, [None for _number in added])
            customers.add(with_, [_member(number) for number in added])
            before = count
            broken += measure(databases, shops, count, arguments.pairs)
    return broken


def measure(databases, shops, count, pairs):
    table = Table(f"{count:,} customers")
    starts, scripts = start(databases, shops, pairs)
    for kind in STARTS:
        both = {side: [found[kind] for found in starts[side]] for side in SIDES}
        times = {side: [found["milliseconds"] for found in both[side]] for side in SIDES}
        for side in SIDES:
            table.row(f"{kind} start, {side}, median", median(times[side]), "ms")
        ratios = [a / b for a, b in zip(times["with"], times["without"], strict=True)]
        table.row(f"{kind} start, with / without, median of pairs", median(ratios), most=MOST_RATIO)
        table.note(half_of_them(ratios, 3))
        for name in ("requests", "bytes"):
            table.row(
                f"{kind} start, {name} more",
                round(
                    median([found[name] for found in both["with"]])
                    - median([found[name] for found in both["without"]])
                ),
            )
    table.row("script of the start, without", scripts["without"][0], "bytes")
    for number, (when, most) in enumerate({"of the start": MOST_SCRIPT, "after it": None}.items()):
        more = scripts["with"][number] - scripts["without"][number]
        table.row(f"script {when}, more", more, "bytes", most=most)
    loads = {
        side: databases[side].in_odoo(
            "load", login=shops[side]["cashiers"][0], session_id=shops[side]["session_id"]
        )
        for side in SIDES
    }
    for name, unit in (("queries", ""), ("milliseconds", "ms"), ("bytes", ""), ("customers", "")):
        for side in SIDES:
            table.row(f"server's load, {side}: {name}", loads[side][name], unit)
    return table.broken


def start(databases, shops, pairs):
    """Start both tills by turns.

    :return: (by side a list of starts, by side bytes of script: of the start, and after it)
    """
    starts, scripts = {side: [] for side in SIDES}, {}
    with (
        OdooServer(databases["without"], workers=0, cron_threads=0) as without,
        OdooServer(databases["with"], workers=0, cron_threads=0) as with_,
        Browser() as browser,
    ):
        servers = {"without": without, "with": with_}
        cashiers = {side: Cashier(servers[side], shops[side]["cashiers"][0]) for side in SIDES}
        for number in range(-1, pairs):
            # Who goes first changes: what the one warms up or uses up is the other's too.
            for side in SIDES if number % 2 else reversed(SIDES):
                with browser.page(servers[side], cashiers[side]) as page:
                    till = Till(page, servers[side], shops[side]["config_id"])
                    found = {}
                    for kind in STARTS:
                        found[kind] = till.start()
                        till.wait_for_pictures()
                    if number < 0:
                        # The very first one builds the bundles.
                        scripts[side] = till.scripts()
                    else:
                        starts[side].append(found)
    return starts, scripts


def _member(number):
    return (
        f"c0ffee00-0000-4000-9000-{number:012d}",
        f"{3000000 + number}",
        f"bench|member-{number:07d}",
    )

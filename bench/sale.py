"""What a sale takes while the engine is up, slow, and down.

Sales with a member at a real till in Chromium on ``odoo --workers 2``: one product, cash, receipt.
With the engine up, with one that answers after four seconds, and with none: by turns, and as long
as the till waits for nothing of it, they take the same time. Afterwards each sale must be at the
engine, once: sent by Odoo's own jobs, which nobody wakes here.
"""

import json
import time

from . import engines
from .browser import Browser
from .figures import Table, median, percentile
from .servers import Cashier, Database, OdooServer, SandboxProcess, wait_until
from .till import SCAN, Till

MOST_LONGER = 1000  # milliseconds, of a sale with the engine down
STATES = ("up", "slow", "down")
STEPS = ("product", "payment", "validate", "sale")
SLOW = 4  # seconds
# Seconds: a connection that has failed rests for up to two minutes, jobs come each five.
REPORTED_WITHIN = 600


def add_arguments(parser):
    parser.add_argument(
        "--sales", type=int, default=10, metavar="N", help="for each state [%(default)s]"
    )


def run(arguments):
    """The names of the bounds that are broken."""
    with SandboxProcess() as sandbox, Database("shop") as database:
        (member,) = sandbox.add_members(1)
        shop = database.in_odoo(
            "make", cashiers=1, products=50, connection=engines.connection(sandbox)
        )
        times = {state: [] for state in STATES}
        with (
            OdooServer(database, workers=2, cron_threads=1) as odoo,
            Browser() as browser,
            browser.page(odoo, Cashier(odoo, shop["cashiers"][0])) as page,
        ):
            till = Till(page, odoo, shop["config_id"])
            till.start()
            till.wait_for_pictures()
            _sell(page, till, member)
            for _turn in range(arguments.sales):
                for state in STATES:
                    if state == "slow":
                        sandbox.faults(kind="latency", seconds=SLOW)
                    if state == "down":
                        sandbox.stop()
                    times[state].append(_sell(page, till, member))
                    if state == "slow":
                        sandbox.clear_faults()
                    if state == "down":
                        sandbox.start()
            sold = database.value("SELECT count(*) FROM pos_order WHERE state != 'draft'")
            began = time.monotonic()
            wait_until(lambda: len(_reported(sandbox)) >= sold, "all are reported", REPORTED_WITHIN)
            reported_after = time.monotonic() - began
        reported = _reported(sandbox)
    table = Table(f"{arguments.sales} sales with a member for each state of the engine")
    medians = {}
    for state in STATES:
        for step in STEPS:
            taken = [sale[step] for sale in times[state]]
            medians[state, step] = median(taken)
            table.row(f"engine {state}: {step}, p50", median(taken), "ms")
        sales = [sale["sale"] for sale in times[state]]
        table.row(f"engine {state}: sale, p95", percentile(sales, 0.95), "ms")
    for state in ("slow", "down"):
        longer = medians[state, "sale"] - medians["up", "sale"]
        table.row(f"sale with the engine {state}: longer, p50", longer, "ms", most=MOST_LONGER)
    table.row("until the last one was reported by itself", reported_after, "s")
    table.row("sold and not reported", sold - len(set(reported)), most=0)
    table.row("reported twice", len(reported) - len(set(reported)), most=0)
    return table.broken


def _reported(sandbox):
    """The ids of the sales that the engine has been told of."""
    return [
        event["payload"]["transactionId"]
        for event in sandbox.events()
        if event["type"] == "POS_SALE"
    ]


def _sell(page, till, member):
    # The answer is waited for by nobody: the scan puts the code on the order at once.
    page.value(f"({SCAN})({json.dumps(member['accountNumber'])}, '')")
    time.sleep(0.3)
    return till.sell()

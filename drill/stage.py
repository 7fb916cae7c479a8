"""Where it all happens: a sandbox engine, a database, an Odoo server that may be killed."""

import contextlib
import itertools
import json
import os
import random
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psutil
import requests

from bench import engines
from bench.servers import (
    BenchError,
    Cashier,
    Database,
    OdooServer,
    SandboxProcess,
    ServerRefused,
    wait_until,
)
from engine import EngineSettings, LoyaltyEngineClient
from sandbox import demo

from .plan import OWN_CODE_VALUE, POINTS_AT_FIRST, REWARDS

#: Seconds. Waits of the module that are settings of a connection.
LATE_AFTER = 20
TILL_DEADLINE = 1.5
BACKGROUND_DEADLINE = 3.0
#: What a minute is in a shop, for which a job may have to wait there.
MINUTE = 16
#: The engine has our clock. A shop's five minutes are thousands of events here, each time.
CLOCK_MARGIN = 5
#: Seconds. Waits of the module that are constants: set in the loaded server (inside/waits.py).
WAITS = {
    "loyalty_engine_redeemer.SPEND_LIMIT": 5.0,
    "loyalty_engine_redeemer.TILL_LOOK_UP": 1.0,
    "loyalty_engine_redeemer.LEAST_TIME": 0.5,
    "loyalty_engine_redemption.LEASE": 15,
    "loyalty_engine_redemption.FIRST_LOOK_UP": 2,
    "loyalty_engine_recovery.SENDER_DEAD_AFTER": 8,
    "loyalty_engine_recovery.LOOK_UP_AFTER": (2, 6, 12),
    "loyalty_engine_recovery.ASK_AGAIN_AFTER": 2,
    "loyalty_engine_recovery.LATE_REACTION_AFTER": 10,
    "loyalty_engine_recovery.ORDER_MISSING_AFTER": 30,
    "loyalty_engine_recovery.AUDITED_AGAIN_AFTER": 50,
    "loyalty_engine_recovery.AUDIT_RETRY": 2,
    "loyalty_engine_redeemer.CLOCK_MARGIN": CLOCK_MARGIN,
    "loyalty_engine_sender.LOOK_UP_AFTER": (2, 6, 12),
    "loyalty_engine_sender.CUT_SHORT_PAUSE": 4,
    "loyalty_engine_sender.CLOCK_MARGIN": CLOCK_MARGIN,
    "loyalty_engine_sender.THROTTLE_PAUSE": 0.5,
    "loyalty_engine_health.FIRST_PAUSE": 0.5,
    "loyalty_engine_health.LONGEST_PAUSE": 2,
    # One cashier here serves as many customers as twenty do.
    "loyalty_engine_lookup.LOOKUPS_PER_MINUTE": 100_000,
    "loyalty_engine_lookup.MISSES_PER_WINDOW": 100_000,
}
#: How often the jobs are woken, which in a shop run each minute. Seconds.
JOBS_EVERY = 1.5
JOBS = ("ir_cron_recover_redemptions", "ir_cron_send_reports")
NET, AUDIT = "ir_cron_build_missing", "ir_cron_audit_redemptions"
#: These run more seldom: one time in so many. The audit must come before what it looks for is
#: thousands of events back, as it does in a shop.
SELDOM = {NET: 10, AUDIT: 40}
WORKERS = 6
CRON_WORKERS = 2
#: By name, connections with a till of their own, for what is a setting of a connection.
OTHERS = {
    "at once": {"burn_moment": "at_once"},
    "blind": {"can_read_reactions": False},
}
#: Seconds until everything has come to rest with the faults off.
REST_LIMIT = 240

OPEN_ROWS = """
    SELECT uuid, kind, state, order_uuid FROM loyalty_engine_redemption
     WHERE state IN ('held', 'spending', 'unknown', 'returning')
        OR (state = 'spent' AND NOT is_overdue)
"""
OPEN_REPORTS = """
    SELECT order_uuid, kind, state, reason FROM loyalty_engine_report
     WHERE state IN ('checking', 'not_built', 'waiting', 'sending', 'unknown')
"""

UNREPORTED = """
    SELECT uuid, 'sale', state, name FROM pos_order
     WHERE state IN ('paid', 'done') AND NOT COALESCE(is_refund, FALSE) AND NOT EXISTS (
        SELECT 1 FROM loyalty_engine_report report
         WHERE report.order_uuid = pos_order.uuid AND report.kind = 'sale')
"""

#: Orders stay where they are, with other uuids: Odoo's own tables are not ours to empty.
FORGET = """
    TRUNCATE loyalty_engine_redemption_step, loyalty_engine_case, loyalty_engine_redemption,
        loyalty_engine_report, loyalty_engine_tombstone, loyalty_engine_member,
        loyalty_engine_health CASCADE;
    UPDATE pos_order_line SET loyalty_engine_redemption = NULL;
    UPDATE pos_payment SET loyalty_engine_redemption = NULL;
    UPDATE pos_order SET state = 'cancel', uuid = gen_random_uuid();
"""


class Stage:
    """As ``with Stage(tills=8) as stage:``.

    :param tills: points of sale, each with an open session and a cashier
    :param without: names of protections that are off (``inside/without.py``)
    """

    def __init__(self, tills, without=()):
        self.without = tuple(without)
        self._tills = tills
        self._waits = WAITS
        self._open = contextlib.ExitStack()
        self._stop = threading.Event()
        self._sessions = {}
        self._logging_in = threading.Lock()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            # Faults alone refuse a request here: many tills share one key, and one machine.
            self.sandbox = stack.enter_context(
                SandboxProcess(rate_limit=100_000, rate_burst=100_000, points_per_unit=3)
            )
            self.kills = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.refusals = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.database = stack.enter_context(Database("drill"))
            connection = {
                **engines.connection(self.sandbox),
                "points_value_source": "fixed",
                "accepts_vouchers": True,
                "points_ready": True,
                "till_deadline": TILL_DEADLINE,
                "background_deadline": BACKGROUND_DEADLINE,
            }
            self.shop = self.database.in_odoo(
                "make",
                shop="drill.shop",
                tills=self._tills,
                connection=connection,
                others=OTHERS,
            )
            # Shorter than the settings allow: so are the drill's other waits.
            self.database.query("UPDATE loyalty_engine SET late_after = %s", (LATE_AFTER,))
            self._add_rewards()
            self._hooks = {"DRILL_HOOKS": ""}
            self._hook()
            self.odoo = stack.enter_context(
                OdooServer(
                    self.database,
                    workers=WORKERS,
                    cron_threads=CRON_WORKERS,
                    program="drill/inside/odoo_bin.py",
                    environment=self._hooks,
                )
            )
            self._background(stack, self._wake_jobs)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc_info):
        self._open.close()

    def _hook(self):
        """What the server is to be started with."""
        wanted = {
            "kills": str(self.kills),
            "refusals": str(self.refusals),
            "waits": self._waits,
            "without": self.without,
        }
        self._hooks["DRILL_HOOKS"] = json.dumps(wanted)

    def _add_rewards(self):
        self._rewards = {
            name: self.sandbox.add_reward(name, [discount], currency=self.shop["currency"])
            for name, discount in REWARDS.items()
        }

    def begin_anew(self, without):
        """With other protections off, and as if nothing had been sold before."""
        self.without = tuple(without)
        self._hook()
        self.odoo.kill()
        self.database.query(FORGET)
        self.sandbox.reset()
        self._add_rewards()
        self.odoo.start(log_mode="a")

    def _background(self, stack, work):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(self._stop.set)

    # === Who is there ===

    def add_members(self, kinds):
        """Members with points as their ``kinds`` have them; :return: list of the engine's ids"""
        return [
            self.sandbox.add_members(1, points=POINTS_AT_FIRST[kind])[0]["id"] for kind in kinds
        ]

    def add_voucher(self, member, reward="5.00 off"):
        """:param reward: one of REWARDS
        :return: dict with ``id`` and ``code``
        """
        return self.sandbox.add_benefit(member, self._rewards[reward]["id"])

    def add_own_code(self, value=OWN_CODE_VALUE):
        """A code that the engine doesn't know; :return: dict with ``code``, which is its name too:
        the ledger keeps that."""
        code = f"OWN {uuid.uuid4()}"
        self.database_of_thread(
            "INSERT INTO loyalty_engine_code"
            " (engine_id, company_id, name, code, discount_type, value)"
            " VALUES (%(engine)s, %(company)s, %(code)s, %(code)s, 'ABSOLUTE', %(value)s)",
            {
                "engine": self.shop["engine_id"],
                "company": self.shop["company_id"],
                "code": code,
                "value": value,
            },
        )
        return {"code": code}

    def burn_elsewhere(self, voucher):
        """Another channel burns a voucher."""
        settings = EngineSettings(
            rewards_url=self.sandbox.rewards_url,
            receipts_url=self.sandbox.receipts_url,
            token_url=self.sandbox.token_url,
            api_key=demo.API_KEY,
            client_id=demo.CLIENT_ID,
            client_secret=demo.CLIENT_SECRET,
            audience=demo.AUDIENCE,
        )
        with contextlib.closing(LoyaltyEngineClient(settings)) as client:
            client.validate_voucher(voucher["code"], allow_future_validation=False)

    def cashier(self, login):
        """The calls of a till's cashier, over a connection of its own; the session is the same for
        all of a cashier's browsers, and waited for while the server is restarted."""

        def log_in():
            with contextlib.suppress(requests.RequestException, ServerRefused):
                return Cashier(self.odoo, login)
            return None

        with self._logging_in:
            if login not in self._sessions:
                cashier = wait_until(log_in, f"{login} is logged in", 60)
                self._sessions[login] = cashier.session_id
        return Cashier(self.odoo, login, session_id=self._sessions[login])

    # === What passes ===

    def _wake_jobs(self):
        """The jobs of a shop, as often as the waits are shorter here."""
        for turn in itertools.count():
            if self._stop.wait(JOBS_EVERY):
                return
            if self._waits:
                self.wake(*JOBS, *(job for job, times in SELDOM.items() if turn % times == 0))

    def wake(self, *jobs):
        self.database_of_thread(
            "INSERT INTO ir_cron_trigger (cron_id, call_at) SELECT res_id, now() AT TIME ZONE 'UTC'"
            " FROM ir_model_data WHERE module = 'pos_loyalty_engine' AND name IN %s",
            (jobs,),
        )
        engines.notify_jobs(self.database.name)

    def database_of_thread(self, text, values=None):
        """The rows of one statement over a connection of its own: threads can't share one."""
        with Database("drill") as database:
            return database.query(text, values)

    def arm_kill(self, place, redemption=None):
        """Let the next process that comes to ``place`` die there.

        :param redemption: as a till sees it: only where it is about this one
        """
        (self.kills / (f"{place} {redemption['uuid']}" if redemption else place)).touch()

    def refuse(self, text):
        """Let the connection be refused to the next request that has ``text`` in its body."""
        (self.refusals / text).touch()

    def disarm(self):
        """Take off all kills and refusals."""
        for folder in (self.kills, self.refusals):
            for trap in folder.iterdir():
                trap.unlink(missing_ok=True)

    def restart(self):
        """All processes of Odoo die at once, and come back."""
        self.odoo.kill()
        self.odoo.start(log_mode="a")

    @contextlib.contextmanager
    def as_installed(self):
        """With the waits of a shop, and jobs that run when Odoo runs them: each minute."""
        self._set_waits({})
        try:
            yield
        finally:
            self._set_waits(WAITS)

    def _set_waits(self, waits):
        self._waits = waits
        self._hook()
        self.restart()

    def processor_seconds(self):
        """Processor time that was taken so far, by who took it. What the database takes is not
        told: its processes are not ours."""
        return {
            "Odoo": _processor_seconds(self.odoo.process.pid),
            "the sandbox": _processor_seconds(self.sandbox.process.pid),
            "the drill itself": sum(os.times()[:2]),
        }

    # === Rest ===

    def settle(self, limit=REST_LIMIT):
        """Take all faults off and let everything come to rest, the daily audit included.

        :return: what is still open after ``limit`` seconds: rows and reports
        """
        self.disarm()
        self.sandbox.clear_faults()
        self.sandbox.set_options(
            redeem_reactor="on", refund_reactor="on", redeem_delay=-1, refund_delay=-1
        )
        # The quarter of an hour in which nobody works on an order any more.
        self.database.query(
            "UPDATE loyalty_engine_redemption SET hold_until = hold_until - interval '1 hour'"
            " WHERE state = 'held'"
        )
        for job in (None, AUDIT):
            deadline = time.monotonic() + limit
            if job:
                # A day later.
                self.database.query(
                    "UPDATE loyalty_engine_redemption SET look_up_at = NULL"
                    " WHERE state = 'released'"
                )
                self.wake(job)
                time.sleep(JOBS_EVERY)
            while (left := self._open_rows()) and time.monotonic() < deadline:
                time.sleep(0.5)
            self.sandbox.wait_for_reactors(30)
            if left:
                break
        return left

    def _open_rows(self):
        query = self.database.query
        return query(OPEN_ROWS) + query(OPEN_REPORTS) + query(UNREPORTED)


def _processor_seconds(pid):
    """Of a process and those that it has started, the ended ones included."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return sum(process.cpu_times()[:4]) + sum(
            _processor_seconds(child.pid) for child in process.children()
        )
    return 0.0


class Weather:
    """What changes by itself while tills sell: reactors lag, other channels earn and spend.

    :param busy: the engine's ids of members who are busy elsewhere too
    """

    def __init__(self, stage, seed, busy):
        self._stage = stage
        self._dice = random.Random(seed)
        self._busy = busy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._blow, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._stop.set()
        self._thread.join()

    def _blow(self):
        sandbox = self._stage.sandbox
        while not self._stop.wait(self._dice.uniform(0.2, 0.8)):
            if self._dice.random() < 0.3:
                sandbox.set_options(
                    redeem_delay=self._dice.choice((-1, 0, 2, 4)),
                    refund_delay=self._dice.choice((-1, 0, 2)),
                )
            elif self._busy:
                sandbox.adjust(
                    self._dice.choice(self._busy), points=self._dice.choice((-300, -100, 100, 250))
                )


__all__ = ["BenchError", "Stage", "Weather"]

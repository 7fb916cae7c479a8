"""A sandbox engine in a process of its own, for tests that need the real thing over HTTP."""

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

REPOSITORY = Path(__file__).resolve().parent.parent
READY = "Loyalty Engine sandbox on "
START_LIMIT = 15.0  # seconds
CALL_LIMIT = 10.0


class SandboxError(Exception):
    """The sandbox didn't start, or refused a control call."""


class SandboxProcess:
    """Start the sandbox as ``with SandboxProcess(wallet_balance_key="points") as sandbox:``.

    :param data: its data file; a temporary one, removed at the end, where none is given
    :param port: 0 picks a free one, which it keeps over restarts
    :param options: options of ``sandbox/options.py``, as the command line takes them
    """

    def __init__(self, data=None, port=0, **options):
        self._folder = None if data else tempfile.mkdtemp(prefix="loyalty_sandbox_")
        self.data = Path(data) if data else Path(self._folder) / "sandbox.sqlite3"
        self.port = port
        self.options = options
        self.process = None
        # Never through a proxy of the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc_info):
        self.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def rewards_url(self):
        return f"{self.url}/v1"

    @property
    def receipts_url(self):
        return f"{self.url}/receipts/v1"

    @property
    def token_url(self):
        return f"{self.url}/oauth/token"

    def command(self, *arguments):
        """The command line, for tests of what it refuses."""
        return [sys.executable, "-m", "sandbox", *arguments]

    def start(self, *arguments):
        """Start it, again on the same port and data, and wait until it is ready."""
        if self.process:
            raise SandboxError("The sandbox runs already.")
        switches = []
        for name, value in self.options.items():
            switch = name.replace("_", "-")
            if isinstance(value, bool):
                switches.append(f"--{switch}" if value else f"--no-{switch}")
            else:
                switches += [f"--{switch}", str(value)]
        self.process = subprocess.Popen(
            self.command(
                *("--port", str(self.port), "--data", str(self.data), *switches, *arguments)
            ),
            cwd=REPOSITORY,
            env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        try:
            line = self._first_line()
            if not line.startswith(READY):
                raise SandboxError(f"The sandbox didn't start: {line!r}; see its error output.")
        except BaseException:
            self.kill()
            raise
        self.port = int(line.rpartition(":")[2])
        return self

    def _first_line(self):
        line, deadline = b"", time.monotonic() + START_LIMIT
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise SandboxError(f"The sandbox wasn't ready after {START_LIMIT:.0f} s.")
                part = os.read(self.process.stdout.fileno(), 1000)
                if not part:
                    break
                line += part
        return line.decode().strip()

    def stop(self):
        """End it cleanly; its exit code, ``None`` where it doesn't run."""
        if not self.process:
            return None
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CALL_LIMIT)
        return self.kill()

    def kill(self):
        """End it with SIGKILL, as a crash would; its exit code."""
        if not self.process:
            return None
        process, self.process = self.process, None
        process.kill()
        code = process.wait(CALL_LIMIT)
        process.stdout.close()
        return code

    # Control calls

    def control(self, method, path, body=None, *, timeout=CALL_LIMIT, **query):
        """Call ``/_sandbox/<path>``; the JSON answer.

        :raise SandboxError: it was refused
        """
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{path}" + (f"?{urlencode(query)}" if query else ""),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise SandboxError(json.load(error)["message"]) from None

    def faults(self, *rules, **rule):
        """Let these rules be in force and no others: dictionaries, or the fields of one rule."""
        every = [*rules, rule] if rule else list(rules)
        return self.control("PUT", "faults", {"rules": every})["rules"]

    def add_fault(self, **rule):
        """Add one rule to those in force; its ``id``, for :meth:`remove_fault`."""
        return self.control("POST", "faults", rule)["rules"][-1]["id"]

    def remove_fault(self, number):
        """Take one rule off; what it held back is done now."""
        self.control("DELETE", f"faults/{number}")

    def clear_faults(self):
        """Take all rules off; what they held back is done now."""
        self.control("DELETE", "faults")

    def set_options(self, **options):
        return self.control("PUT", "options", options)["options"]

    def events(self, **query):
        """All events, oldest first, each with ``memberId`` and the ``points`` it gave or None."""
        return self.control("GET", "events", **query)["events"]

    def orders(self):
        return self.control("GET", "orders")["orders"]

    def members(self, **query):
        return self.control("GET", "members", **query)["members"]

    def member(self, member_id):
        """The member with this engine id."""
        (found,) = self.members(search=member_id)
        return found

    def add_members(self, count=1, **values):
        """Add invented members; the first 1000 of them."""
        body = {"count": count, **values}
        return self.control("POST", "members", body, timeout=60)["members"]

    def adjust(self, member_id, **change):
        """Add ``points=``, or set ``restricted=``; the member afterwards."""
        return self.control("POST", f"members/{member_id}/adjust", change)

    def rewards(self):
        return self.control("GET", "rewards")["rewards"]

    def add_reward(self, name, discounts=(), **fields):
        """Add a reward, its discounts and other fields as the API writes them; the reward."""
        body = {"name": name, "discounts": list(discounts), **fields}
        return self.control("POST", "rewards", body)

    def add_benefit(self, member, reward, **values):
        """Give ``member`` (id, account number, auth identifier) a voucher of ``reward`` (id, name).

        :param values: ``code`` instead of one made up, ``redeemed=False``, ``expiresAt``
        :return: the voucher, with ``id`` and ``code``
        """
        return self.control("POST", f"members/{member}/benefits", {"reward": reward, **values})

    def benefits(self, **query):
        """All vouchers, or those of one ``member=``: ``state``, times, and how often it burned."""
        return self.control("GET", "benefits", **query)["benefits"]

    def benefit(self, benefit_id):
        """The voucher with this id."""
        (found,) = self.benefits(id=benefit_id)
        return found

    def burns(self, benefit_id=None):
        """The burns that were done, oldest first, each with the ``request`` that did it."""
        burns = self.control("GET", "burns")["burns"]
        return [burn for burn in burns if benefit_id in (None, burn["benefit"])]

    def requests(self, **query):
        """The requests that came in, oldest first; ``body`` in bytes as they came."""
        entries = self.control("GET", "requests", **query)["requests"]
        for entry in entries:
            entry["body"] = base64.b64decode(entry.pop("body_base64"))
        return entries

    def clear_requests(self):
        self.control("DELETE", "requests")

    def reset(self):
        """Data, faults, options and the list of requests as they were at the start."""
        self.control("POST", "reset", {})

    def wait_for_reactors(self, limit=CALL_LIMIT):
        """Return when every event has had its reactors."""
        self.wait_until(
            lambda: not self.control("GET", "events", limit=0)["waiting"],
            "the reactors fired",
            limit,
        )

    def wait_until(self, condition, what, limit=CALL_LIMIT):
        """Return when ``condition()`` holds.

        :raise SandboxError: it doesn't within ``limit`` seconds
        """
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise SandboxError(f"Waited {limit:.0f} s in vain until {what}.")
            time.sleep(0.02)

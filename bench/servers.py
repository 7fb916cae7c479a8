"""The real things that are measured: Odoo's server, its database, the sandbox engine."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg2
import psycopg2.extras
import requests

REPOSITORY = Path(__file__).resolve().parent.parent
MODULE = "pos_loyalty_engine"
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
LOGS = Path(os.environ.get("BENCH_LOGS", "."))
START_LIMIT = 120.0  # seconds
STOP_LIMIT = 8.0
CALL_LIMIT = 60.0


class BenchError(Exception):
    """It could not be measured; the text says why."""


class ServerRefused(BenchError):
    """Odoo answered with an error; ``kind`` is the name of its class."""

    def __init__(self, text, kind):
        super().__init__(text)
        self.kind = kind


def load_sandbox_process():
    """The tests' own way to run a sandbox. Their package can't be imported outside of Odoo."""
    path = REPOSITORY / "tests" / "sandbox_process.py"
    spec = importlib.util.spec_from_file_location("bench.sandbox_process", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SandboxProcess


SandboxProcess = load_sandbox_process()


class Database:
    """One of the databases that ``bin/bench`` has made."""

    def __init__(self, name):
        self.name = f"ple_bench_{name}_{os.environ['BENCH_KEY']}"
        self.conf = FOLDER / f"bench-{name}.conf"
        self.log = LOGS / f"bench-{name}.log"
        self._connection = None

    def __enter__(self):
        self._connection = psycopg2.connect(dbname=self.name)
        self._connection.autocommit = True
        return self

    def __exit__(self, *exc_info):
        self._connection.close()

    def query(self, text, values=None):
        """The rows of one statement, which is a transaction of its own."""
        with self._connection.cursor() as cr:
            cr.execute(text, values)
            return cr.fetchall() if cr.description else []

    def value(self, text, values=None):
        return self.query(text, values)[0][0]

    def insert(self, text, rows):
        with self._connection.cursor() as cr:
            psycopg2.extras.execute_values(cr, text, rows, page_size=1000)

    def in_odoo(self, task, shop="bench.shop", **arguments):
        """What a function of ``bench/shop.py``, or of the module that ``shop`` names, returns; run
        in an Odoo of its own and committed."""
        result = subprocess.run(
            [sys.executable, "-m", shop, task, json.dumps(arguments)],
            env={
                **os.environ,
                "ODOO_RC": str(self.conf),
                "PYTHONPATH": f"{REPOSITORY}:{os.environ['ODOO_ROOT']}",
            },
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=START_LIMIT * 2,
        )
        if result.returncode:
            raise BenchError(f"The shop could not be prepared ({task}):\n{result.stderr[-3000:]}")
        return json.loads(result.stdout.splitlines()[-1])


class OdooServer:
    """``odoo`` on a database, as ``with OdooServer(database, workers=2) as odoo:``.

    :param workers: 0 is one process with threads, as without ``--workers``
    :param cron_threads: processes (or threads) for scheduled jobs
    :param program: the file that starts it
    :param environment: dict of variables that only this server gets
    """

    def __init__(
        self, database, workers, cron_threads, program="bench/odoo_bin.py", environment=None
    ):
        self.database = database
        self._environment = environment or {}
        self.port, gevent_port = _free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            *(sys.executable, str(REPOSITORY / program), "-c", str(database.conf)),
            *("--workers", str(workers), "--max-cron-threads", str(cron_threads)),
            *("--http-port", str(self.port), "--gevent-port", str(gevent_port)),
        ]
        self.process = None

    def __enter__(self):
        return self.start()

    def start(self, log_mode="w"):
        """Start it, and return when it answers."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.environ["ODOO_ROOT"],
            **self._environment,
        }
        with open(self.database.log, log_mode) as log:
            self.process = subprocess.Popen(
                self._command, cwd=FOLDER, env=environment, stdout=log, stderr=log
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def kill(self):
        """End all of its processes at the same moment with SIGKILL, as a power cut would."""
        # Stopped first: the one that starts new ones must not outlive another.
        for process in self._suspend():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    @contextlib.contextmanager
    def frozen(self):
        """It takes requests and answers none, as on a machine that is out of memory."""
        everyone = self._suspend()
        try:
            yield
        finally:
            for process in everyone:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _suspend(self):
        everyone = [psutil.Process(self.process.pid), *self.descendants()]
        for process in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        return everyone

    def _wait(self):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(requests.RequestException):
                # A page, and not /web/health: the registry is to be loaded too.
                if requests.get(f"{self.url}/web/login", timeout=START_LIMIT).ok:
                    return
            time.sleep(0.2)
        raise BenchError(f"Odoo did not start; its log is {self.database.log}")

    def __exit__(self, *exc_info):
        everyone = [self.process.pid, *(child.pid for child in self.descendants())]
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_LIMIT)
        for process in _alive(everyone[1:]):
            process.kill()
        self.process.kill()
        self.process.wait()

    def descendants(self):
        """Its worker processes, those of the browser's long polls and of jobs included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def running_job(self):
        """The worker process that has a scheduled job's row locked, or None."""
        rows = self.database.query(
            "SELECT substring(application_name FROM '[0-9]+$')::int"
            "  FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE relation = 'ir_cron'::regclass AND mode = 'RowShareLock'"
            "   AND state = 'idle in transaction'"
        )
        pids = {pid for (pid,) in rows}
        return next((child for child in self.descendants() if child.pid in pids), None)


class Cashier:
    """A logged-in user's calls, over one connection that is kept alive.

    :param session_id: of a session that is logged in already
    """

    def __init__(self, odoo, login, password="bench", session_id=None):
        self._odoo = odoo
        self._session = requests.Session()
        # Neither a proxy nor a password of the environment.
        self._session.trust_env = False
        if session_id:
            self._session.cookies["session_id"] = session_id
            return
        self.call(
            "/web/session/authenticate",
            db=odoo.database.name,
            login=login,
            password=password,
        )

    @property
    def session_id(self):
        return self._session.cookies["session_id"]

    def call(self, route, call_limit=CALL_LIMIT, **params):
        """The result of a JSON-RPC route.

        :param call_limit: seconds until it is given up
        :raises ServerRefused: where the server answers with an error
        :raises requests.RequestException: where it doesn't answer
        """
        answer = self._session.post(
            f"{self._odoo.url}{route}",
            json={"jsonrpc": "2.0", "id": 1, "method": "call", "params": params},
            timeout=call_limit,
        ).json()
        if "error" in answer:
            data = answer["error"].get("data", {})
            raise ServerRefused(
                f"{route}: {data.get('debug') or answer['error']}", data.get("name", "")
            )
        return answer.get("result")

    def timed_call(self, route, **params):
        """(the result of a route, milliseconds from sending to having read it)"""
        begin = time.monotonic()
        result = self.call(route, **params)
        return result, (time.monotonic() - begin) * 1000

    def call_model(self, model, method, *args, **kwargs):
        return self.call(
            f"/web/dataset/call_kw/{model}/{method}",
            model=model,
            method=method,
            args=args,
            kwargs=kwargs,
        )


def wait_until(condition, what, limit, pause=0.1):
    """Return what ``condition()`` returns, once that is true.

    :raises BenchError: where it isn't within ``limit`` seconds
    """
    deadline = time.monotonic() + limit
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise BenchError(f"Waited {limit:.0f} s in vain until {what}.")
        time.sleep(pause)
    return result


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _alive(pids):
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield psutil.Process(pid)

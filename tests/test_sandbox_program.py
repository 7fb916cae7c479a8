"""The sandbox engine as a program: its control calls, its page, its start and its end."""

import contextlib
import json
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import unittest
from pathlib import Path

from ..sandbox import demo
from .sandbox_case import KEY, MIA, SandboxCase, sale
from .sandbox_process import CALL_LIMIT, REPOSITORY, SandboxError, SandboxProcess

BROWSER_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
    "--dump-dom",
)


def unlimited_memory():
    """Odoo limits the address space of its process; Chromium reserves far more than it uses."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


class TestSandboxControl(SandboxCase):
    def test_requests_are_remembered(self):
        event = json.dumps(sale(), separators=(",", ":")).encode()
        self.assertEqual(self.report(event)[0], 200)
        self.read("/v1/events?limit=3&order=ASC")
        posted, token, listed = self.sandbox.requests()
        self.assertEqual((posted["method"], posted["path"]), ("POST", "/v1/events"))
        self.assertEqual((posted["status"], posted["body"]), (200, event))
        self.assertLessEqual({"x-api-key", "authorization"}, set(posted["headers"]))
        self.assertEqual(token["path"], "/oauth/token")
        self.assertEqual((listed["path"], listed["query"]), ("/v1/events", "limit=3&order=ASC"))
        self.assertEqual(self.sandbox.requests(after=posted["id"], limit=1)[0]["id"], token["id"])
        self.sandbox.clear_requests()
        self.assertEqual(self.sandbox.requests(), [])

    def test_connections_stay_open(self):
        for _attempt in range(5):
            self.accepted(sale())
            self.refused_quietly()
        self.assertEqual(len({request["connection"] for request in self.sandbox.requests()}), 1)

    def refused_quietly(self):
        self.assertEqual(self.report({"type": "nonsense"})[0], 400)

    def test_head_has_no_body(self):
        status, _answer, headers = self.send("HEAD", "/v1/rewards", headers=KEY)
        self.assertEqual(status, 200)
        self.assertGreater(int(headers["Content-Length"]), 2)
        self.assertEqual(self.send("GET", "/v1", headers=KEY)[0], 200)

    def test_members_are_added(self):
        added = self.sandbox.add_members(100)
        self.assertEqual(len({member["accountNumber"] for member in added}), 100)
        self.assertEqual(
            self.read(f"/v1/users/{added[99]['accountNumber']}")["id"], added[99]["id"]
        )
        (one,) = self.sandbox.add_members(accountNumber="7654321", points=600, givenName="Zoe")
        self.assertEqual((one["accountNumber"], one["tier"]), ("7654321", "Silver"))
        self.assertEqual(self.sandbox.members(search="zoe"), [one])
        for values in (
            {"accountNumber": "7654321"},
            {"accountNumber": 7},
            {"points": 1.5},
            {"earned": -1},
            {"restricted": "no"},
            {"nonsense": 1},
            {"count": 0},
            {"count": 100_001},
        ):
            with self.subTest(values=values), self.assertRaises(SandboxError):
                self.sandbox.add_members(**values)
        self.assertEqual(len(self.sandbox.members()), len(demo.MEMBERS) + 101)

    def test_a_member_is_adjusted(self):
        self.assertEqual(self.sandbox.adjust(MIA.id, points=-2000)["points"], MIA.points - 2000)
        self.assertIs(self.sandbox.adjust(MIA.account_number, restricted=True)["restricted"], True)
        for member_id, change in ((MIA.id, {"points": "1"}), ("nobody", {"points": 1})):
            with self.assertRaises(SandboxError):
                self.sandbox.adjust(member_id, **change)

    def test_options(self):
        self.assertEqual(self.sandbox.set_options(money_unit="minor")["money_unit"], "minor")
        for values in (
            {"nonsense": 1},
            {"money_unit": "cents"},
            {"money_unit": []},
            {"reactor_delay": 5.1},
            {"reactor_delay": True},
            {"reactor_delay": "1"},
            {"list_order_required": 1},
            {"total_key": ""},
            {"points_per_unit": 2, "rate_limit": 0},
        ):
            with self.subTest(values=values), self.assertRaises(SandboxError):
                self.sandbox.set_options(**values)
        options = self.sandbox.control("GET", "options")["options"]
        self.assertEqual((options["money_unit"], options["points_per_unit"]), ("minor", 1))
        options = self.sandbox.control("DELETE", "options")["options"]
        self.assertEqual((options["money_unit"], options["reactor_delay"]), ("decimal", 0))

    def test_reset(self):
        token = self.token
        first = self.accepted(sale())["id"]
        self.sandbox.add_members()
        self.sandbox.faults(kind="down")
        self.sandbox.set_options(unknown_fields="ignore")
        self.sandbox.reset()
        self.assertEqual(self.sandbox.events(), [])
        self.assertEqual(self.sandbox.requests(), [])
        self.assertEqual(len(self.sandbox.members()), len(demo.MEMBERS))
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points)
        self.assertEqual(self.sandbox.control("GET", "faults")["rules"], [])
        self.refused(sale(extra=1))
        # Tokens live on, as the real ones would, and an event's id is never given out again.
        self.assertEqual(self.send("GET", "/v1/tenant", headers={**KEY, **token})[0], 200)
        self.assertGreater(self.accepted(sale())["id"], first)

    def test_only_this_machine_steers(self):
        for headers, status in (
            ({"Host": "engine.example"}, 403),
            ({"Host": "127.0.0.1.engine.example"}, 403),
            ({"Host": f"localhost:{self.sandbox.port}"}, 200),
        ):
            with self.subTest(headers=headers):
                self.assertEqual(self.send("GET", "/_sandbox/events", headers=headers)[0], status)
        # A web page of another site can send this without being asked, and nothing else.
        status, _answer, _headers = self.send(
            "POST", "/_sandbox/reset", {}, {"Content-Type": "text/plain"}
        )
        self.assertEqual(status, 415)

    def test_what_is_not_there(self):
        for path in ("nonsense", "page/../demo.py", "page/demo.py"):
            self.assertEqual(self.send("GET", f"/_sandbox/{path}")[0], 404)
        self.assertEqual(self.send("DELETE", "/_sandbox/members")[0], 405)
        self.assertEqual(self.send("GET", "/_sandbox/events?limit=x")[0], 400)


class TestSandboxPage(SandboxCase):
    def test_the_page_loads_nothing_from_elsewhere(self):
        status, _answer, headers = self.send("GET", "/", headers={"Accept": "text/html"})
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertEqual(self.send("GET", "/")[0], 404)
        for name in ("index.html", "page.css", "page.js"):
            text = (REPOSITORY / "sandbox" / "page" / name).read_text(encoding="utf-8")
            self.assertNotRegex(text, r"https?://")

    def test_the_page_in_a_browser(self):
        self.accepted(sale(total=42, executor="<img src=x>"))
        self.accepted(sale(subject=None))
        self.sandbox.faults(kind="throttle", path="/nowhere", times=3)
        self.sandbox.add_benefit(MIA.id, "10 % off", code="<b>bold</b>")
        self.sandbox.wait_for_reactors()
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        self.assertTrue(browser, "Chromium is not installed")
        with tempfile.TemporaryDirectory() as profile:
            page = subprocess.run(
                [browser, *BROWSER_SWITCHES, f"--user-data-dir={profile}", f"{self.sandbox.url}/"],
                capture_output=True,
                timeout=60,
                check=True,
                preexec_fn=unlimited_memory,
                text=True,
            ).stdout
        for text in (
            f"{MIA.given_name} {MIA.family_name}",
            MIA.account_number,
            "1,292 pts",
            "POS_SALE",
            "+42 pts",
            "Not a member",
            "throttle · /nowhere (0 of 3 so far)",
            "Running, 1 fault set",
            "MIA-CROISSANT",
            "not redeemed",
            "&lt;b&gt;bold",
        ):
            self.assertIn(text, page)


class TestSandboxProcess(unittest.TestCase):
    def run_sandbox(self, *arguments):
        process = SandboxProcess()
        self.addCleanup(process.__exit__)
        return subprocess.run(
            process.command(*arguments),
            cwd=REPOSITORY,
            capture_output=True,
            timeout=30,
            text=True,
        )

    def refusal(self, *arguments):
        """The one sentence on the error output of a start that fails."""
        result = self.run_sandbox(*arguments)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertNotIn("Traceback", result.stderr)
        return result.stderr.strip().splitlines()[-1]

    def test_data_survive_stop_and_kill(self):
        with SandboxProcess(reactor_delay=0) as sandbox:
            case = SandboxCase("accepted")
            case.sandbox = sandbox
            self.addCleanup(case.doCleanups)
            for end in (sandbox.stop, sandbox.kill):
                case.connection = case.connect()
                case.accepted(sale())
                sandbox.set_options(wallet_tier="name")
                sandbox.faults(kind="latency", seconds=0)
                port = sandbox.port
                self.assertEqual(end(), 0 if end == sandbox.stop else -signal.SIGKILL)
                sandbox.start()
                self.assertEqual(sandbox.port, port)
                self.assertEqual(sandbox.control("GET", "faults")["rules"], [])
                options = sandbox.control("GET", "options")["options"]
                self.assertEqual(options["wallet_tier"], "name")
            sandbox.wait_for_reactors()
            self.assertEqual([event["points"] for event in sandbox.events()], [12, 12])
            sandbox.stop()
            sandbox.start("--reset")
            self.assertEqual(sandbox.events(), [])
            self.assertEqual(sandbox.member(MIA.id)["points"], MIA.points)
            options = sandbox.control("GET", "options")["options"]
            self.assertEqual(options["wallet_tier"], "object")

    def test_vouchers_survive_too(self):
        with SandboxProcess() as sandbox:
            given = sandbox.add_benefit(MIA.id, sandbox.add_reward("Own")["id"])
            sandbox.kill()
            sandbox.start()
            self.assertEqual(sandbox.benefit(given["id"]), given)

    def test_a_file_from_before_there_were_vouchers(self):
        with SandboxProcess() as sandbox:
            sandbox.adjust(MIA.id, points=1)
            sandbox.stop()
            with contextlib.closing(sqlite3.connect(sandbox.data)) as connection, connection:
                for table in ("burn", "benefit", "reward"):
                    connection.execute(f"DROP TABLE {table}")
                connection.execute("PRAGMA user_version = 1")
            sandbox.start()
            self.assertEqual(sandbox.member(MIA.id)["points"], MIA.points + 1, "nothing is lost")
            self.assertEqual(len(sandbox.benefits()), len(demo.BENEFITS))
            sandbox.stop()
            with contextlib.closing(sqlite3.connect(sandbox.data)) as connection, connection:
                connection.execute("PRAGMA user_version = 99")
            text = self.refusal("--port", "0", "--data", str(sandbox.data))
            self.assertIn("another version", text)

    def test_what_waited_at_a_kill_is_done_after_the_start(self):
        with SandboxProcess(reactor_delay=1) as sandbox:
            case = SandboxCase("accepted")
            case.sandbox = sandbox
            self.addCleanup(case.doCleanups)
            case.connection = case.connect()
            case.accepted(sale())
            sandbox.kill()
            sandbox.start()
            sandbox.wait_for_reactors()
            self.assertEqual(sandbox.member(MIA.id)["points"], MIA.points + 12)

    def test_interrupt_ends_it_cleanly_in_the_middle_of_a_request(self):
        with SandboxProcess() as sandbox:
            sandbox.faults(kind="latency", seconds=30)
            with socket.create_connection(("127.0.0.1", sandbox.port), CALL_LIMIT) as client:
                client.sendall(b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                sandbox.wait_until(sandbox.requests, "the request arrived")
                sandbox.process.send_signal(signal.SIGINT)
                self.assertEqual(sandbox.process.wait(CALL_LIMIT), 0)
                self.assertEqual(client.recv(100), b"")

    def test_a_port_in_use(self):
        with SandboxProcess() as sandbox, SandboxProcess() as other:
            sandbox.adjust(MIA.id, points=1)
            sandbox.stop()
            port = str(other.port)
            text = self.refusal("--port", port, "--data", str(sandbox.data), "--reset")
            self.assertIn(f"Port {port}", text)
            self.assertIn("--port", text)
            sandbox.start()
            self.assertEqual(sandbox.member(MIA.id)["points"], MIA.points + 1, "nothing is lost")

    def test_a_data_file_in_use(self):
        with SandboxProcess() as sandbox:
            text = self.refusal("--port", "0", "--data", str(sandbox.data))
            self.assertIn("Another sandbox uses", text)

    def test_files_of_others_are_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            text_file = Path(folder) / "letter.txt"
            text_file.write_text("Dear Sir or Madam, " * 100, encoding="utf-8")
            database = Path(folder) / "other.sqlite3"
            connection = sqlite3.connect(database)
            connection.execute("CREATE TABLE member (name)")
            connection.commit()
            connection.close()
            for path in (text_file, database):
                before = path.read_bytes()
                text = self.refusal("--port", "0", "--data", str(path), "--reset")
                self.assertIn("name another file", text)
                self.assertEqual(path.read_bytes(), before)
            text = self.refusal("--port", "0", "--data", folder)
            self.assertIn("can't be", text)

    def test_addresses_of_other_machines_are_refused(self):
        for host in ("0.0.0.0", "192.168.1.1", "::", "engine.example"):
            self.assertIn("not a loopback address", self.refusal("--host", host, "--port", "0"))

    def test_options_that_cannot_be(self):
        with tempfile.TemporaryDirectory() as folder:
            data = ("--data", str(Path(folder) / "data"), "--port", "0")
            self.assertIn("reactor_delay", self.refusal(*data, "--reactor-delay", "6"))
            self.assertIn("money-unit", self.refusal(*data, "--money-unit", "cents"))

    def test_help(self):
        result = self.run_sandbox("--help")
        self.assertEqual(result.returncode, 0)
        for switch in ("--reactor-delay", "--wallet-balance-key", "--duplicates", "--reset"):
            self.assertIn(switch, result.stdout)

    def test_the_manual_names_everything(self):
        manual = (REPOSITORY / "sandbox" / "README.md").read_text(encoding="utf-8")
        with SandboxProcess() as sandbox:
            options = sandbox.control("GET", "options")["options"]
            kinds = sandbox.control("GET", "faults")["kinds"]
        for name in (*options, *kinds):
            self.assertIn(f"`{name}`", manual)

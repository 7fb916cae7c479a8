"""The sandbox engine fails as it is told to."""

import http.client
import json

from .sandbox_case import JSON, KEY, MIA, SandboxCase, sale, secret
from .sandbox_process import SandboxError


class TestSandboxFaults(SandboxCase):
    def setUp(self):
        super().setUp()
        self.headers = {**KEY, **JSON, **secret()}

    def outcome(self, connection=None):
        """What a client sees of a sale: a status, or the exception's class."""
        try:
            return self.send("POST", "/v1/events", sale(), self.headers, connection)[0]
        except (OSError, http.client.HTTPException) as error:
            return type(error)

    def stored(self):
        return len(self.sandbox.events())

    def test_latency(self):
        self.sandbox.faults(kind="latency", seconds=0.3)
        self.assertEqual(self.outcome(), 200)
        (request,) = self.sandbox.requests()
        self.assertGreaterEqual(request["ms"], 300)
        self.assertEqual((request["fault"], self.stored()), ("latency", 1))

    def test_error(self):
        self.sandbox.faults(kind="error", status=502)
        self.assertEqual((self.outcome(), self.stored()), (502, 0))
        self.sandbox.faults(kind="error", status=599, done=True)
        self.assertEqual((self.outcome(), self.stored()), (599, 1))
        self.sandbox.faults(kind="error", rate=0)
        self.assertEqual(self.outcome(), 200)
        self.sandbox.faults(kind="error", rate=0.5)
        self.assertEqual({self.outcome() for _attempt in range(60)}, {200, 503})

    def test_refuse(self):
        for status, answer_status in ((None, 422), (409, 409), (422, 422), (200, 200)):
            rule = {} if status is None else {"status": status}
            self.sandbox.faults(kind="refuse", **rule)
            found, answer, _headers = self.send("POST", "/v1/events", sale(), self.headers)
            self.assertEqual((found, answer["status"]), (answer_status, "fail"))
            self.assertEqual(self.stored(), 0)
        self.sandbox.faults(kind="refuse", status=409, done=True)
        self.assertEqual((self.outcome(), self.stored()), (409, 1))

    def test_hold(self):
        number = self.sandbox.add_fault(kind="hold", times=1)
        held = self.connect()
        held.request("POST", "/v1/events", json.dumps(sale()), self.headers)
        self.sandbox.wait_until(self.sandbox.requests, "it arrived")
        self.assertEqual(self.outcome(), 200, "others go on")
        self.assertEqual(self.stored(), 1)
        self.sandbox.remove_fault(number)
        self.assertEqual(held.getresponse().status, 200)
        self.assertEqual(self.stored(), 2)

    def test_hold_until_after_the_client_gave_up(self):
        self.sandbox.faults(kind="hold")
        held = self.connect(timeout=0.3)
        held.request("POST", "/v1/events", json.dumps(sale()), self.headers)
        with self.assertRaises(TimeoutError):
            held.getresponse()
        held.close()
        self.assertEqual(self.stored(), 0)
        self.sandbox.clear_faults()
        self.sandbox.wait_until(lambda: self.stored() == 1, "it was done after all")

    def test_only_some_bodies_and_not_the_first(self):
        till = '"till-9"'
        self.sandbox.faults(kind="error", body=till, skip=1, times=1)

        def status(executor):
            body = sale(executor=executor)
            return self.send("POST", "/v1/events", body, self.headers)[0]

        statuses = [status(name) for name in ("till-9", "till-3", "till-9", "till-9")]
        self.assertEqual(statuses, [200, 200, 503, 200])

    def test_a_burn_alone(self):
        # Check and burn have one address: what they carry tells them apart.
        self.sandbox.faults(
            kind="drop_after", path="/commands/*", body='"allowFutureValidation": false'
        )
        headers = {**KEY, **JSON, **self.token}
        path = "/v1/commands/validate_voucher"
        body = {"code": "MIA-FIVE", "allowFutureValidation": True}
        self.assertEqual(self.send("POST", path, body, headers)[0], 200)
        with self.assertRaises(http.client.RemoteDisconnected):
            self.send("POST", path, {**body, "allowFutureValidation": False}, headers)
        self.assertEqual(len(self.sandbox.burns()), 1)

    def test_throttle(self):
        self.sandbox.faults(kind="throttle", retry_after=7)
        status, _answer, headers = self.send("POST", "/v1/events", sale(), self.headers)
        self.assertEqual((status, headers["Retry-After"], self.stored()), (429, "7", 0))
        self.sandbox.faults(kind="throttle")
        status, _answer, headers = self.send("POST", "/v1/events", sale(), self.headers)
        self.assertEqual(status, 429)
        self.assertNotIn("Retry-After", headers)

    def test_wrong_token(self):
        self.sandbox.faults(kind="wrong_token", times=1)
        # What carries no token can't have a wrong one.
        self.assertTrue(self.token)
        self.assertEqual((self.outcome(), self.stored()), (401, 0))
        self.assertEqual(self.outcome(), 200)

    def test_drop_before(self):
        self.sandbox.faults(kind="drop_before", times=1)
        self.assertEqual((self.outcome(), self.stored()), (http.client.RemoteDisconnected, 0))
        self.assertEqual(self.outcome(), 200)

    def test_drop_after(self):
        self.sandbox.faults(kind="drop_after", times=1)
        self.assertEqual((self.outcome(), self.stored()), (http.client.RemoteDisconnected, 1))
        (request,) = self.sandbox.requests()
        self.assertEqual((request["status"], request["fault"]), (None, "drop_after"))

    def test_down(self):
        self.sandbox.faults(kind="down")
        self.assertEqual((self.outcome(), self.stored()), (ConnectionResetError, 0))
        self.sandbox.clear_faults()
        self.assertEqual(self.outcome(), 200)

    def test_late(self):
        self.sandbox.faults(kind="late", seconds=0.2, times=1)
        impatient = self.connect(timeout=0.5)
        impatient.request("POST", "/v1/events", json.dumps(sale()), self.headers)
        with self.assertRaises(TimeoutError):
            impatient.getresponse()
        self.assertEqual(self.stored(), 0, "nothing is done as long as the client waits")
        impatient.close()
        self.sandbox.wait_until(lambda: self.stored() == 1, "it was done after all")
        self.assertIsNone(self.sandbox.requests()[0]["status"])

    def test_unreadable(self):
        for number, (form, expected) in enumerate(
            {
                "html": "text/html; charset=utf-8",
                "garbage": "application/json",
                "empty": "application/json",
                "incomplete": "application/json",
            }.items(),
            start=1,
        ):
            with self.subTest(form=form):
                self.sandbox.faults(kind="unreadable", form=form)
                status, answer, headers = self.send("POST", "/v1/events", sale(), self.headers)
                self.assertEqual((status, headers["Content-Type"]), (200, expected))
                complete = {"status": "success", "data": {}} if form == "incomplete" else None
                self.assertEqual(answer, complete)
                self.assertEqual(self.stored(), number, "it was done")

    def test_limited_to_an_endpoint_and_a_number(self):
        self.sandbox.faults(
            {"kind": "error", "status": 500, "method": "POST", "path": "/v1/events"},
            {"kind": "error", "status": 501, "path": "/users/*", "times": 2},
        )
        self.assertEqual(self.outcome(), 500)
        user = f"/v1/users/{MIA.id}"
        token = {**KEY, **self.token}
        statuses = [self.send("GET", user, headers=token)[0] for _attempt in range(3)]
        self.assertEqual(statuses, [501, 501, 200])
        self.assertEqual(self.send("GET", "/v1/events", headers=token)[0], 200)
        rules = self.sandbox.control("GET", "faults")["rules"]
        self.assertEqual([rule["fired"] for rule in rules], [1, 2])

    def test_several_at_once(self):
        self.sandbox.faults({"kind": "latency", "seconds": 0.1}, {"kind": "drop_after"})
        self.assertEqual((self.outcome(), self.stored()), (http.client.RemoteDisconnected, 1))
        self.assertGreaterEqual(self.sandbox.requests()[0]["ms"], 100)

    def test_added_and_taken_off_one_by_one(self):
        self.sandbox.control("POST", "faults", {"kind": "error"})
        answer = self.sandbox.control("POST", "faults", {"kind": "latency", "seconds": 0})
        first, second = answer["rules"]
        answer = self.sandbox.control("DELETE", f"faults/{first['id']}")
        self.assertEqual(answer["rules"], [second])
        self.assertEqual(self.outcome(), 200)

    def test_rules_that_cannot_be(self):
        self.sandbox.faults(kind="error", status=500)
        for rule in (
            {},
            {"kind": "nonsense"},
            {"kind": "latency", "seconds": 31},
            {"kind": "latency", "seconds": -1},
            {"kind": "latency", "seconds": "1"},
            {"kind": "late", "seconds": 121},
            {"kind": "error", "status": 499},
            {"kind": "error", "status": 600},
            {"kind": "error", "rate": 1.1},
            {"kind": "error", "done": 1},
            {"kind": "error", "times": 0},
            {"kind": "error", "path": ""},
            {"kind": "error", "body": 5},
            {"kind": "error", "skip": -1},
            {"kind": "error", "status": 200},
            {"kind": "error", "status": 0},
            {"kind": "refuse", "status": 500},
            {"kind": "refuse", "status": 201},
            {"kind": "unreadable", "form": "nonsense"},
            {"kind": "error", "fired": 1},
        ):
            with self.subTest(rule=rule), self.assertRaises(SandboxError):
                self.sandbox.control("PUT", "faults", {"rules": [rule]})
        with self.assertRaises(SandboxError):
            self.sandbox.faults(*[{"kind": "error"}] * 51)
        self.assertEqual(self.outcome(), 500, "the rule from before is still there")

    def test_the_way_out_is_never_blocked(self):
        self.sandbox.faults(kind="down")
        self.assertEqual(self.stored(), 0)
        status, _answer, _headers = self.send("GET", "/", headers={"Accept": "text/html"})
        self.assertEqual(status, 200)

"""The sandbox engine answers as is published, and refuses what the published rules refuse."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from jsonschema import Draft6Validator

from ..sandbox import demo
from .sandbox_case import (
    CREDENTIALS,
    JSON,
    KEY,
    MIA,
    OTTO,
    RESTRICTED,
    SandboxCase,
    sale,
    sale_with,
    secret,
)


class TestSandboxAccess(SandboxCase):
    def test_a_token_for_client_credentials(self):
        status, answer, _headers = self.send("POST", "/oauth/token", CREDENTIALS, JSON)
        self.assertEqual(status, 200)
        self.assertEqual(answer["token_type"], "Bearer")
        self.assertEqual(answer["expires_in"], 24 * 60 * 60)
        self.assertEqual(set(answer), {"access_token", "expires_in", "scope", "token_type"})

    def test_no_token_for_others(self):
        for name, status in (
            ("client_id", 401),
            ("client_secret", 401),
            ("audience", 403),
            ("grant_type", 403),
        ):
            for wrong in ("wrong", None):
                body = {**CREDENTIALS, name: wrong}
                with self.subTest(name=name, wrong=wrong):
                    found, answer, _headers = self.send("POST", "/oauth/token", body, JSON)
                    self.assertEqual(found, status)
                    self.assertNotIn("access_token", answer)

    def test_a_token_ends(self):
        self.sandbox.set_options(token_lifetime=1)
        token = self.token
        self.sandbox.wait_until(
            lambda: self.send("GET", "/v1/tenant", headers={**KEY, **token})[0] == 401,
            "the token ended",
        )
        self.assertEqual(self.read("/v1/tenant")["id"], demo.TENANT["id"])

    def test_the_api_key_is_needed_everywhere(self):
        token = self.token
        for method, path in (
            ("GET", "/v1"),
            ("GET", "/v1/rewards"),
            ("GET", "/v1/tenant"),
            ("POST", "/v1/events"),
            ("POST", "/receipts/v1/orders"),
        ):
            for headers in (token, {**token, "X-Api-Key": "wrong"}):
                with self.subTest(path=path, headers=len(headers)):
                    status, answer, _headers = self.send(method, path, b"{}", {**headers, **JSON})
                    self.assertEqual((status, answer), (403, {"message": "Forbidden"}))

    def test_the_key_alone_opens_only_what_is_public(self):
        for path in ("/v1", "/v1/rewards", f"/v1/rewards/{demo.REWARDS[0]['id']}"):
            self.assertEqual(self.send("GET", path, headers=KEY)[0], 200, path)
        for path in (
            f"/v1/users/{MIA.id}",
            f"/v1/users/{MIA.id}/wallet",
            "/v1/tenant",
            "/v1/settings",
            "/v1/settings/pointsCurrencyValue",
            "/v1/event_types",
            "/v1/event_types/POS_SALE",
            "/v1/events",
            "/v1/events/1",
            "/v1/events/1/reactions",
            "/v1/tiers",
            "/v1/benefits",
            f"/v1/benefits/{demo.BENEFITS[0].id}",
        ):
            # An event type's secret reports events and opens nothing else.
            for headers in ({}, {"Authorization": "Bearer nonsense"}, secret()):
                with self.subTest(path=path, headers=headers):
                    status, answer, _headers = self.send("GET", path, headers={**KEY, **headers})
                    self.assertEqual(status, 401)
                    self.assertEqual(answer["status"], "fail")
        for path in ("/v1/events/test_reaction", "/receipts/v1/orders"):
            for headers in ({}, secret()):
                with self.subTest(path=path, headers=headers):
                    headers = {**KEY, **JSON, **headers}
                    self.assertEqual(self.send("POST", path, sale(), headers)[0], 401)

    def test_a_private_event_type_needs_its_secret_or_a_token(self):
        self.refused(sale(), 401, Authorization="")
        self.refused(sale(), 401, Authorization="Bearer nonsense")
        for form in ("{}", "Basic {}"):
            self.refused(sale(), 401, Authorization=form.format(demo.EVENT_SECRET))
        self.refused(sale(), 403, **secret("POINTS_REFUND"))
        self.accepted(sale())
        status, _answer = self.report(sale(), **self.token)
        self.assertEqual(status, 200)

    def test_json_is_needed(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            with self.subTest(kind=kind):
                self.refused(sale(), 415, **{"Content-Type": kind})
                headers = {"Content-Type": kind}
                status, _answer, _headers = self.send("POST", "/oauth/token", CREDENTIALS, headers)
                self.assertEqual(status, 415)
        self.accepted(sale())

    def test_a_body_that_is_no_object(self):
        for body in (
            b"",
            b"{",
            b"[]",
            b'"x"',
            b"\xff",
            json.dumps(sale(total=float("nan"))).encode(),
            json.dumps(sale(total=4242)).replace("4242", "1e999").encode(),
            b'{"a":' * 100_000,
        ):
            with self.subTest(body=body[:50]):
                self.refused(body)

    def test_too_much_is_not_read(self):
        try:
            status = self.report(b" " * (1024 * 1024 + 1))[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413  # it hung up before everything was sent
        self.assertEqual(status, 413)
        self.assertEqual(self.sandbox.events(), [])

    def test_what_is_not_there(self):
        for path in ("/v1/nothing", "/v2/tenant", "/v1/users", "/nothing"):
            self.assertEqual(self.read(path, 404)["status"], "fail")
        status, answer, headers = self.send("DELETE", "/v1/events", headers={**KEY, **self.token})
        self.assertEqual((status, answer["status"]), (405, "fail"))
        self.assertEqual(headers["Allow"], "GET, HEAD, POST")

    def test_a_slash_at_the_end(self):
        self.assertEqual(self.read("/v1/tiers/"), self.read("/v1/tiers"))


class TestSandboxRate(SandboxCase):
    def burst(self, count):
        """Statuses of ``count`` requests, sent over eight connections at once."""
        waiting = iter(range(count))
        lock = threading.Lock()

        def work(_number):
            connection = self.connect()
            found = []
            while True:
                with lock:
                    if next(waiting, None) is None:
                        return found
                found.append(self.send("GET", "/v1", headers=KEY, connection=connection))

        with ThreadPoolExecutor(8) as threads:
            return [answer for part in threads.map(work, range(8)) for answer in part]

    def test_the_published_limits_are_the_default(self):
        options = self.sandbox.control("GET", "options")["options"]
        self.assertEqual((options["rate_limit"], options["rate_burst"]), (100, 400))

    def test_a_burst_and_then_429(self):
        self.sandbox.set_options(rate_limit=1, rate_burst=40)
        answers = self.burst(200)
        statuses = [status for status, _body, _headers in answers]
        self.assertEqual(set(statuses), {200, 429})
        self.assertGreaterEqual(statuses.count(200), 40)
        self.assertLess(statuses.count(200), 100)
        _status, body, headers = next(answer for answer in answers if answer[0] == 429)
        self.assertEqual(body, {"message": "Too Many Requests"})
        self.assertNotIn("Retry-After", headers)

    def test_it_goes_on_later(self):
        self.sandbox.set_options(rate_limit=10, rate_burst=5)
        self.assertIn(429, [answer[0] for answer in self.burst(20)])
        self.sandbox.wait_until(
            lambda: self.send("GET", "/v1", headers=KEY)[0] == 200, "requests are allowed again"
        )

    def test_readings_of_a_429(self):
        self.sandbox.set_options(
            rate_limit=1, rate_burst=1, retry_after=3, gateway_errors="envelope"
        )
        throttled = next(answer for answer in self.burst(10) if answer[0] == 429)
        self.assertEqual(throttled[1], {"status": "fail", "message": "Too Many Requests"})
        self.assertEqual(throttled[2]["Retry-After"], "3")

    def test_tokens_and_control_calls_are_not_counted(self):
        self.sandbox.set_options(rate_limit=1, rate_burst=1)
        for _attempt in range(5):
            self.assertTrue(self.token)
            self.assertEqual(self.sandbox.events(), [])


class TestSandboxMembers(SandboxCase):
    def test_find_a_member(self):
        for value in (MIA.id, MIA.account_number):
            user = self.read(f"/v1/users/{value}")
            self.assertEqual(user["id"], MIA.id)
            self.assertEqual(user["accountNumber"], MIA.account_number)
            self.assertEqual(user["authIdentifier"], MIA.auth_identifier)
            self.assertIs(user["isRestricted"], False)
            self.assertEqual(user["profile"]["givenName"], MIA.given_name)
        self.assertIs(self.read(f"/v1/users/{RESTRICTED.id}")["isRestricted"], True)

    def test_other_identifiers_by_option(self):
        auth = f"/v1/users/{MIA.auth_identifier.replace('|', '%7C')}"
        external = f"/v1/users/{MIA.external_identifier}"
        for path in (auth, external, "/v1/users/0000000"):
            self.read(path, 404)
        self.sandbox.set_options(user_by_auth_identifier=True)
        self.assertEqual(self.read(auth)["id"], MIA.id)
        self.read(external, 404)
        self.sandbox.set_options(user_by_external_identifier=True)
        self.assertEqual(self.read(external)["id"], MIA.id)

    def test_a_wallet(self):
        wallet = self.read(f"/v1/users/{MIA.id}/wallet")
        self.assertEqual(set(wallet), {"pointsBalance", "tier", "vouchers"})
        self.assertEqual(wallet["pointsBalance"], MIA.points)
        self.assertEqual(wallet["tier"]["name"], MIA.tier)
        mine = [entry.id for entry in demo.BENEFITS if entry.member_id == MIA.id]
        self.assertEqual([entry["id"] for entry in wallet["vouchers"]], mine)
        self.read("/v1/users/00000000-0000-4000-8000-000000000000/wallet", 404)

    def test_readings_of_a_wallet(self):
        path = f"/v1/users/{MIA.id}/wallet"
        for key in ("points", "pointsBalance", "balance"):
            self.sandbox.set_options(wallet_balance_key=key)
            self.assertEqual(self.read(path)[key], MIA.points)
        self.sandbox.set_options(
            wallet_balance_key="missing", wallet_tier="name", wallet_vouchers_key="benefits"
        )
        wallet = self.read(path)
        self.assertEqual(set(wallet), {"tier", "benefits"})
        self.assertEqual(wallet["tier"], MIA.tier)

    def test_a_wallet_by_account_number_by_option(self):
        path = f"/v1/users/{MIA.account_number}/wallet"
        self.read(path, 404)
        self.sandbox.set_options(wallet_by="any")
        self.assertEqual(self.read(path)["pointsBalance"], MIA.points)

    def test_the_demo_data_fit(self):
        self.assertGreaterEqual(len(demo.MEMBERS), 6)
        tiers = {member["id"]: member["tier"] for member in self.sandbox.members()}
        for member in demo.MEMBERS:
            self.assertRegex(member.account_number, r"^\d{7}$")
            self.assertEqual(str(uuid.UUID(member.id)), member.id)
            self.assertEqual(tiers[member.id], member.tier)
        for event_type in demo.EVENT_TYPES:
            Draft6Validator.check_schema(event_type["schema"])

    def test_locale(self):
        for path in ("tiers", "rewards", "benefits", f"users/{MIA.id}/wallet"):
            self.read(f"/v1/{path}?locale=de")
            self.read(f"/v1/{path}?locale=xx", 400)


class TestSandboxTenant(SandboxCase):
    def test_settings(self):
        self.assertEqual(self.read("/v1/settings/pointsCurrencyValue")["value"], "0.01")
        self.assertEqual(
            self.read("/v1/settings"), [{"name": "pointsCurrencyValue", "value": "0.01"}]
        )
        self.read("/v1/settings/some/other.setting", 404)
        for name in ("x", "with_underscore", "x" * 65, "digits1"):
            self.read(f"/v1/settings/{name}", 400)

    def test_event_types(self):
        types = self.read("/v1/event_types")
        self.assertLessEqual(
            {"POS_SALE", "REDEEMED_POINTS", "POINTS_REFUND"}, {kind["name"] for kind in types}
        )
        by_name = self.read("/v1/event_types/POS_SALE")
        self.assertEqual(self.read(f"/v1/event_types/{by_name['id']}"), by_name)
        self.assertIs(by_name["isPrivate"], True)
        self.assertEqual(by_name["schema"], demo.SALE_SCHEMA)
        self.assertNotIn(demo.EVENT_SECRET, json.dumps(types))
        self.read("/v1/event_types/NOT_THERE", 404)

    def test_tiers_rewards_and_benefits(self):
        self.assertEqual(
            [tier["name"] for tier in self.read("/v1/tiers")],
            [
                "Bronze",
                "Silver",
                "Gold",
            ],
        )
        rewards = self.read("/v1/rewards")
        self.assertEqual(len(rewards), 10)
        self.assertEqual(self.read(f"/v1/rewards/{rewards[0]['id']}"), rewards[0])
        discounts = self.read(f"/v1/rewards/{rewards[0]['id']}/discounts")
        self.assertEqual((discounts[0]["type"], discounts[0]["value"]), ("ABSOLUTE", 500))
        benefits = self.read("/v1/benefits")
        benefit = self.read(f"/v1/benefits/{benefits[0]['id']}")
        self.assertEqual(benefit, benefits[0])
        self.assertLessEqual(
            {
                "id",
                "type",
                "createdAt",
                "redeemedAt",
                "expiresAt",
                "burnedAt",
                "reward",
                "owner",
                "code",
            },
            set(benefit),
        )
        for path in ("rewards/x", "rewards/x/discounts", "benefits/x"):
            self.read(f"/v1/{path}", 404)
        self.assertEqual(self.read("/v1/tenant")["name"], demo.TENANT["name"])
        self.assertTrue(self.read("/v1"))


class TestSandboxEvents(SandboxCase):
    def test_a_sale_is_stored_and_gives_points(self):
        event = sale(total=12.99)
        answer = self.accepted(event)
        for name, value in event.items():
            self.assertEqual(answer[name], value)
        self.assertIsInstance(answer["id"], int)
        self.assertNotIn("reactedAt", answer)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points + 12)
        (stored,) = self.sandbox.events()
        self.assertEqual((stored["points"], stored["memberId"]), (12, MIA.id))
        self.assertEqual(self.read(f"/v1/events/{answer['id']}"), answer)
        (reaction,) = self.read(f"/v1/events/{answer['id']}/reactions")
        self.assertEqual(reaction["points"], 12)

    def test_every_identifier_is_a_subject(self):
        for subject in (MIA.id, MIA.account_number, MIA.auth_identifier):
            self.accepted(sale(subject=subject))
        self.assertEqual({event["memberId"] for event in self.sandbox.events()}, {MIA.id})

    def test_points_are_earned_towards_a_tier(self):
        self.accepted(sale(total=2000, subject=OTTO.id))
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.member(OTTO.id)["tier"], "Gold")

    def test_reactors_are_asynchronous(self):
        self.sandbox.set_options(reactor_delay=5)
        event = self.accepted(sale())
        self.assertEqual(self.read(f"/v1/events/{event['id']}/reactions"), [])
        wallet = self.read(f"/v1/users/{MIA.id}/wallet")
        self.assertEqual(wallet["pointsBalance"], MIA.points)

    def test_minor_units(self):
        self.sandbox.set_options(money_unit="minor")
        for total, currency in ((1299, "EUR"), (1299, "JPY"), (12990, "KWD")):
            self.accepted(sale_with(total=total, currency=currency))
        self.sandbox.wait_for_reactors()
        self.assertEqual([event["points"] for event in self.sandbox.events()], [12, 1299, 12])

    def test_the_rate_and_key_of_the_reactor(self):
        self.sandbox.set_options(points_per_unit=2.5, total_key="totalWithoutTax")
        self.accepted(sale())
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.events()[0]["points"], 26)  # 10.50 * 2.5 = 26.25

    def test_a_sale_without_a_member(self):
        self.accepted(sale(subject=None))
        self.sandbox.wait_for_reactors()
        (event,) = self.sandbox.events()
        self.assertEqual((event["subject"], event["points"]), (None, None))
        self.sandbox.reset()
        self.sandbox.set_options(missing_subject="refuse")
        self.refused(sale(subject=None))

    def test_type(self):
        for kind in (
            "P",
            "pos_sale",
            "POS_SALE_V2",
            "POS__SALE",
            "_POS",
            "POS_",
            "POS-SALE",
            "POS_SALE\n",
            "A" * 65,
            "",
            7,
            None,
        ):
            with self.subTest(kind=kind):
                self.assertIn("type must", self.refused(sale(type=kind)))
        for kind in ("AB", "A" * 64):
            self.assertIn("no event type", self.refused(sale(type=kind)))

    def test_occurred_at(self):
        for moment in (
            "2026-01-02T10:11:12Z",
            "2026-01-02T10:11:12.Z",
            "2026-01-02 10:11:12.000Z",
            "2026-01-02T10:11:12.000+01:00",
            "2026-02-30T10:11:12.000Z",
            "2026-01-02T29:11:12.000Z",
            "2026-01-02",
            "x2026-01-02T10:11:12.000Z",
            "",
            1767348672,
        ):
            with self.subTest(moment=moment):
                self.assertIn("occurredAt", self.refused(sale(occurredAt=moment)))
        for moment in ("2026-01-02T10:11:12.1", "2026-01-02T10:11:12.000000Z"):
            self.assertEqual(self.accepted(sale(occurredAt=moment))["occurredAt"], moment)
        event = self.accepted(sale(occurredAt=None))
        self.assertEqual(event["occurredAt"], event["reportedAt"])

    def test_subject_and_executor(self):
        for name in ("subject", "executor"):
            for value in ("", "x" * 129, 7, {}):
                with self.subTest(name=name, value=value):
                    self.assertIn(name, self.refused(sale(**{name: value})))
        self.accepted(sale(executor="x" * 128))
        self.sandbox.reset()
        self.refused(sale(subject="x" * 128), 404)  # long enough, but nobody

    def test_unknown_subject(self):
        self.assertIn("not a user", self.refused(sale(subject="0000000"), 404))
        # What finds a user by option is no subject.
        self.sandbox.set_options(user_by_external_identifier=True)
        self.refused(sale(subject=MIA.external_identifier), 404)
        self.sandbox.set_options(unknown_subject="accept")
        self.accepted(sale(subject="0000000"))

    def test_restricted_subject_by_option(self):
        self.accepted(sale(subject=RESTRICTED.id))
        self.sandbox.reset()
        self.sandbox.set_options(restricted_subject="refuse")
        self.refused(sale(subject=RESTRICTED.id), 403)

    def test_payload_against_the_schema(self):
        for changes in (
            {"transactionId": None},
            {"transactionId": ""},
            {"currency": None},
            {"currency": "eur"},
            {"currency": "EURO"},
            {"total": None},
            {"total": "12.50"},
            {"total": True},
            {"lines": {}},
            {"lines": [{"sku": 7}]},
            {"email": "someone@example.com"},
            {"lines": [{"sku": "A", "customer": "Somebody"}]},
            {"payments": [{"kind": "card", "holder": "Somebody"}]},
        ):
            with self.subTest(changes=changes):
                self.assertIn("payload", self.refused(sale_with(**changes)))
        for payload in ({}, None, [], "x"):
            with self.subTest(payload=payload):
                self.refused(sale(payload=payload))
        self.accepted(sale(payload={"transactionId": "1", "currency": "EUR", "total": 0}))

    def test_unknown_fields(self):
        self.assertIn("Unknown field", self.refused(sale(idempotencyKey="1")))
        self.sandbox.set_options(unknown_fields="ignore")
        self.accepted(sale(idempotencyKey="1"))

    def test_intrinsic_types_cannot_be_reported(self):
        for kind in ("ORDER_PLACED", "POINTS_ADJUSTED"):
            self.assertIn("intrinsic", self.refused(sale(type=kind), **self.token))

    def test_a_type_that_is_switched_off(self):
        self.assertIn("off", self.refused(sale(type="RETIRED_SALE"), **secret("RETIRED_SALE")))

    def test_what_earns(self):
        self.accepted(sale_with(earningTotal=5.5, redemptions=[]))
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.events()[0]["points"], 5)
        for redemptions in ([{"kind": "card"}], [{"kind": "points", "code": "X"}], {}):
            self.sandbox.reset()
            self.refused(sale_with(redemptions=redemptions))

    def test_an_identical_event_counts_twice_by_default(self):
        event = sale()
        self.assertNotEqual(self.accepted(event)["id"], self.accepted(event)["id"])
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points + 24)

    def test_an_identical_event_refused_by_option(self):
        for reading, status in (("conflict", 409), ("fail", 200)):
            with self.subTest(reading=reading):
                self.sandbox.reset()
                self.sandbox.set_options(duplicates=reading)
                event = sale()
                self.accepted(event)
                again = dict(reversed(event.items()))  # the same thing in another order
                found, answer = self.report(again)
                self.assertEqual((found, answer["status"]), (status, "fail"))
                self.accepted({**event, "occurredAt": "2026-01-02T10:11:13.000Z"})
                self.accepted(sale())
                self.assertEqual(len(self.sandbox.events()), 3)

    def test_list(self):
        ids = [self.accepted(sale(executor=f"till-{number}"))["id"] for number in range(12)]

        def listed(query=""):
            return [event["id"] for event in self.read(f"/v1/events{query}")]

        self.assertEqual(listed(), ids[:10])
        self.assertEqual(listed("?order=DESC"), ids[:1:-1])
        self.assertEqual(listed("?limit=3&skip=2&order=ASC"), ids[2:5])
        self.assertEqual(listed("?limit=1000&order=DESC"), ids[::-1])
        self.assertEqual(listed("?limit=5&skip=99&order=ASC"), [])
        self.assertEqual(listed("?order=ASC&limit=20&filter=x"), ids)
        for query in (
            "limit=0&order=ASC",
            "limit=1001&order=ASC",
            "limit=x&order=ASC",
            "limit=-1&order=ASC",
            "limit=1.5&order=ASC",
            "skip=-1&order=ASC",
            "skip=x&order=ASC",
            "order=asc",
            "order=NEWEST",
            "limit=5",
            "skip=0",
        ):
            with self.subTest(query=query):
                self.read(f"/v1/events?{query}", 400)

    def test_readings_of_a_list(self):
        self.accepted(sale())
        self.sandbox.set_options(
            list_order_required=False, list_filter="refuse", event_list_delay=60
        )
        self.assertEqual(self.read("/v1/events?limit=5"), [])
        self.read("/v1/events?filter=x", 400)

    def test_readings_of_an_event(self):
        self.sandbox.set_options(event_id="uuid", event_reacted_at=True, reactions_shape="object")
        event = self.accepted(sale())
        self.assertEqual(str(uuid.UUID(event["id"])), event["id"])
        self.sandbox.wait_for_reactors()
        self.assertTrue(self.read(f"/v1/events/{event['id']}")["reactedAt"])
        reactions = self.read(f"/v1/events/{event['id']}/reactions")
        self.assertEqual((reactions["points"], len(reactions["reactions"])), (12, 1))

    def test_an_event_that_is_not_there(self):
        for value in ("1", "0", "x", "9" * 18, "9" * 30, "-1", "%C2%B2"):
            self.read(f"/v1/events/{value}", 404)
            self.read(f"/v1/events/{value}/reactions", 404)

    def test_test_reaction_has_no_effect(self):
        status, answer = self.post("/v1/events/test_reaction", sale(total=42))
        self.assertEqual(status, 200)
        self.assertEqual([reaction["points"] for reaction in answer["data"]], [42])
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.sandbox.events(), [])
        self.assertEqual(self.sandbox.member(MIA.id)["points"], MIA.points)
        for event in (sale(type="pos_sale"), sale(payload={}), sale(type="ORDER_PLACED")):
            self.assertEqual(self.post("/v1/events/test_reaction", event)[0], 400)
        self.assertEqual(self.post("/v1/events/test_reaction", sale(subject="0000000"))[0], 404)
        status, answer = self.post("/v1/events/test_reaction", sale(subject=None))
        self.assertEqual((status, answer["data"]), (200, []))

    def test_readings_of_the_path_of_test_reaction(self):
        for reading, events, commands in (
            ("events", 200, 404),
            ("commands", 404, 200),
            ("both", 200, 200),
        ):
            self.sandbox.set_options(test_reaction_path=reading)
            self.assertEqual(self.post("/v1/events/test_reaction", sale())[0], events)
            self.assertEqual(self.post("/v1/commands/test_reaction", sale())[0], commands)


class TestSandboxPoints(SandboxCase):
    def move(self, kind, points=100, **payload):
        """Spend points or give them back; the event as the control call shows it later."""
        payload = {"points": points, "redemptionId": "r-1", "transactionId": "t-1", **payload}
        event = {"type": kind, "subject": MIA.id, "payload": payload}
        status, answer = self.report(event, kind)
        self.assertEqual(status, 200, answer)
        return answer["data"]

    def balance(self):
        return self.read(f"/v1/users/{MIA.id}/wallet")["pointsBalance"]

    def test_spent_and_given_back(self):
        spent = self.move("REDEEMED_POINTS", 500)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.balance(), MIA.points - 500)
        (reaction,) = self.read(f"/v1/events/{spent['id']}/reactions")
        self.assertEqual((reaction["points"], reaction["reactor"]["name"]), (-500, "Points spent"))
        self.assertEqual(spent["payload"]["redemptionId"], "r-1")
        self.move("POINTS_REFUND", 500)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.balance(), MIA.points)

    def test_below_zero(self):
        # S: 500 points less 1000 are -500
        self.move("REDEEMED_POINTS", MIA.points + 500)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.balance(), -500)

    def test_the_schema(self):
        for payload in (
            {"points": 0},
            {"points": -5},
            {"points": "5"},
            {"redemptionId": "r-1"},
            {"points": 5, "name": "Mia"},
        ):
            with self.subTest(payload=payload):
                event = {"type": "REDEEMED_POINTS", "subject": MIA.id, "payload": payload}
                self.assertEqual(self.report(event, "REDEEMED_POINTS")[0], 400)
        self.assertEqual(self.sandbox.events(), [])

    def test_rehearsed(self):
        event = {"type": "REDEEMED_POINTS", "subject": MIA.id, "payload": {"points": 500}}
        _status, answer = self.post("/v1/events/test_reaction", event)
        self.assertEqual([reaction["points"] for reaction in answer["data"]], [-500])
        self.assertEqual(self.balance(), MIA.points)

    def test_a_reactor_of_its_own_pace(self):
        self.sandbox.set_options(redeem_delay=3600)
        self.move("REDEEMED_POINTS")
        self.move("POINTS_REFUND", 7)
        self.sandbox.wait_until(lambda: self.balance() == MIA.points + 7, "the refund was quick")
        self.assertEqual([event["points"] for event in self.sandbox.events()], [None, 7])

    def test_a_reactor_that_is_held(self):
        self.sandbox.set_options(redeem_reactor="held")
        spent = self.move("REDEEMED_POINTS")
        self.move("POINTS_REFUND", 7)
        self.sandbox.wait_until(lambda: self.balance() == MIA.points + 7, "the other one fired")
        self.assertEqual(self.read(f"/v1/events/{spent['id']}/reactions"), [])
        self.sandbox.set_options(redeem_reactor="on")
        self.sandbox.wait_for_reactors(limit=2)
        self.assertEqual(self.balance(), MIA.points - 93)

    def test_a_reactor_that_is_off(self):
        self.sandbox.set_options(redeem_reactor="off")
        self.move("REDEEMED_POINTS")
        self.sandbox.wait_for_reactors()
        self.sandbox.set_options(redeem_reactor="on")
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.balance(), MIA.points, "what it missed, it missed")

    def test_a_refund_that_is_capped(self):
        # D-CAPS: room for 100 of 200, the rest is forfeited
        self.sandbox.set_options(refund_cap=100)
        self.move("POINTS_REFUND", 200)
        self.sandbox.wait_for_reactors()
        self.assertEqual(self.balance(), MIA.points + 100)

    def test_readings_of_our_id(self):
        self.sandbox.set_options(redemption_id="dropped")
        self.assertNotIn("redemptionId", self.move("REDEEMED_POINTS")["payload"])
        properties = self.read("/v1/event_types/REDEEMED_POINTS")["schema"]["properties"]
        self.assertNotIn("redemptionId", properties)
        self.assertIn("points", properties)
        self.sandbox.set_options(redemption_id="refused")
        event = {"type": "POINTS_REFUND", "subject": MIA.id, "payload": {"points": 5}}
        self.assertEqual(self.report(event, "POINTS_REFUND")[0], 200)
        event["payload"]["redemptionId"] = "r-1"
        self.assertEqual(self.report(event, "POINTS_REFUND")[0], 400)
        self.accepted(sale())


class TestSandboxOrders(SandboxCase):
    path = "/receipts/v1/orders"

    def order(self, **changes):
        order = {
            "submitter": {"authIdentifier": MIA.auth_identifier},
            "transactionId": "1",
            "currency": "EUR",
            "total": 20.5,
            "items": [{"sku": "A", "quantity": 1, "amount": 20.5}],
            **changes,
        }
        return {name: value for name, value in order.items() if value is not None}

    def test_an_order_raises_the_intrinsic_event(self):
        status, answer = self.post(self.path, self.order())
        self.assertEqual((status, answer["status"]), (200, "success"))
        (stored,) = self.sandbox.orders()
        self.assertEqual(stored["id"], answer["data"]["id"])
        self.assertEqual(stored["body"], self.order())
        self.sandbox.wait_for_reactors()
        (event,) = self.sandbox.events()
        self.assertEqual((event["type"], event["memberId"]), ("ORDER_PLACED", MIA.id))
        self.assertEqual(event["points"], 20)
        self.assertEqual(event["payload"]["transactionId"], "1")
        self.assertNotIn("submitter", event["payload"])

    def test_an_order_without_a_member(self):
        self.assertEqual(self.post(self.path, self.order(submitter=None))[0], 200)
        self.sandbox.wait_for_reactors()
        self.assertIsNone(self.sandbox.events()[0]["points"])

    def test_what_is_refused(self):
        for changes, status in (
            ({"submitter": {"authIdentifier": "nobody"}}, 404),
            # Only the auth identifier counts here (D-TX).
            ({"submitter": {"authIdentifier": MIA.id}}, 404),
            ({"submitter": {"authIdentifier": MIA.account_number}}, 404),
            ({"submitter": MIA.auth_identifier}, 400),
            ({"submitter": {"authIdentifier": ""}}, 400),
            ({"submitter": {"id": MIA.id}}, 400),
            ({"customer": {"email": "someone@example.com"}}, 400),
            ({"items": [{"sku": "A", "first_name": "Somebody"}]}, 400),
        ):
            with self.subTest(changes=changes):
                self.assertEqual(self.post(self.path, self.order(**changes))[0], status)
        self.assertEqual(self.sandbox.orders(), [])
        self.assertEqual(self.sandbox.events(), [])

    def test_readings_of_submitter(self):
        text = self.order(submitter=MIA.auth_identifier)
        for reading, with_object, with_text in (("text", 400, 200), ("either", 200, 200)):
            self.sandbox.set_options(order_submitter=reading)
            self.assertEqual(self.post(self.path, self.order())[0], with_object)
            self.assertEqual(self.post(self.path, text)[0], with_text)

    def test_an_identical_order(self):
        for reading, status, count in (("accept", 200, 2), ("conflict", 409, 1)):
            self.sandbox.reset()
            self.sandbox.set_options(duplicates=reading)
            self.assertEqual(self.post(self.path, self.order())[0], 200)
            self.assertEqual(self.post(self.path, self.order())[0], status)
            self.assertEqual(len(self.sandbox.orders()), count)
            self.assertEqual(len(self.sandbox.events()), count)

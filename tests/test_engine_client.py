"""What each method asks for, with which rights, in which time. Real HTTP on 127.0.0.1."""

from __future__ import annotations

import contextlib
import threading
import unittest
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from time import sleep
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, unquote, urlsplit

from ..engine import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupCutShort,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineSettings,
    EngineThrottled,
    EngineUnreachable,
    LoyaltyEngineClient,
    Position,
    Wallet,
    answers,
    client,
    transport,
)
from ..engine.transport import Deadline
from .logs import everything_logged
from .scripted_server import (
    PATIENCE,
    Peer,
    Received,
    ScriptedServer,
    answer,
    hang_up,
    raw,
    reset,
    token,
)

UUID = "8d68cb91-202a-4c62-a867-8f9a8a1e2f50"
KEY, ID, SECRET, EVENT_SECRET = "key-4711", "client-4711", "secret-4711", "event-4711"
NOW = datetime(2026, 1, 2, 10, 0, tzinfo=timezone.utc)


class ClientCase(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.tokens = self.stack.enter_context(
            ScriptedServer(script=lambda _received: token(f"admin-{len(self.tokens.received)}"))
        )

    def serve(self, *steps: Any, **options: Any) -> ScriptedServer:
        return self.stack.enter_context(ScriptedServer(*steps, **options))

    def client(
        self, server: ScriptedServer, observe: Any = None, **more: Any
    ) -> LoyaltyEngineClient:
        values: dict[str, Any] = {
            "rewards_url": f"{server.url}/v1",
            "receipts_url": f"{server.url}/receipts/v1",
            "token_url": f"{self.tokens.url}/oauth/token",
            "api_key": KEY,
            "client_id": ID,
            "client_secret": SECRET,
            "deadline": PATIENCE,
            "background_deadline": PATIENCE,
        }
        made = LoyaltyEngineClient(EngineSettings(**{**values, **more}), observe)
        self.stack.callback(made.close)
        return made


class TestEndpoints(ClientCase):
    def test_every_read(self) -> None:
        event = {"id": 7, "type": "SOLD"}
        for call, path, data in (
            (lambda c: c.get_user(UUID), f"/v1/users/{UUID}", {"id": UUID}),
            (lambda c: c.get_wallet(UUID), f"/v1/users/{UUID}/wallet?locale=en", {"points": 5}),
            (lambda c: c.list_tiers(), "/v1/tiers?locale=en", [{"id": "t"}]),
            (lambda c: c.get_setting("a.b/c"), "/v1/settings/a.b%2Fc", {"value": "0.01"}),
            (
                lambda c: c.list_event_types(),
                "/v1/event_types?limit=1000&order=ASC",
                [{"name": "SOLD"}],
            ),
            (lambda c: c.get_event_type("SOLD"), "/v1/event_types/SOLD", {"name": "SOLD"}),
            (lambda c: c.get_event("7"), "/v1/events/7", event),
            (lambda c: c.get_event_reactions("7"), "/v1/events/7/reactions", []),
            (lambda c: c.get_benefit(UUID), f"/v1/benefits/{UUID}?locale=en", {"id": UUID}),
            (lambda c: c.list_benefits(), "/v1/benefits?locale=en", [{"id": UUID}]),
            (lambda c: c.list_discounts("r1"), "/v1/rewards/r1/discounts", [{"type": "NEW"}]),
            (lambda c: c.list_events(), "/v1/events?limit=100&skip=0&order=DESC", [event]),
            (
                lambda c: c.list_events(5, 10, "ASC", {"type": "SOLD"}),
                "/v1/events?limit=5&skip=10&order=ASC&filter=%7B%22type%22%3A+%22SOLD%22%7D",
                [event],
            ),
            (
                lambda c: c.list_events(where="type=SOLD"),
                "/v1/events?limit=100&skip=0&order=DESC&filter=type%3DSOLD",
                [],
            ),
        ):
            with self.subTest(path):
                server = self.serve(answer(data))
                call(self.client(server, locale="en"))
                self.assertEqual(server.paths(), [f"GET {path}"])
                headers = server.received[0].headers
                # D-AUTH, D-ADMIN, C-SDK
                self.assertEqual(headers["x-api-key"], KEY)
                self.assertRegex(headers["authorization"], r"^Bearer admin-\d+$")
                self.assertEqual(headers["accept"], "application/json")
                self.assertNotIn("content-type", headers)

    def test_every_change(self) -> None:
        for call, path, settings in (
            (lambda c: c.report_event(b"{}"), "/v1/events", {}),
            (lambda c: c.report_order(b"{}"), "/receipts/v1/orders", {}),
            (lambda c: c.test_reaction(b"{}"), "/v1/events/test_reaction", {}),
            (
                lambda c: c.test_reaction(b"{}"),
                "/v1/commands/test_reaction",
                {"test_reaction_path": "/commands/test_reaction"},
            ),
        ):
            with self.subTest(path):
                reactions = [] if "test" in path else {"id": 7}
                server = self.serve(answer(reactions))
                call(self.client(server, **settings))
                self.assertEqual(server.paths(), [f"POST {path}"])
                received = server.received[0]
                self.assertEqual(received.body, b"{}")
                self.assertEqual(received.headers["content-type"], "application/json")
                self.assertEqual(received.headers["x-api-key"], KEY)
                self.assertRegex(received.headers["authorization"], r"^Bearer admin-\d+$")

    def test_identifiers_in_paths(self) -> None:
        for identifier in (
            "auth0|1",
            "a/b",
            "a?b#c",
            "ä ö",
            "50%",
            "a+b",
            "...",
            "a" * 512,
            "a;b=c",
        ):
            with self.subTest(identifier[:9]):
                server = self.serve(answer({"id": "1"}))
                self.client(server).get_user(identifier)
                path = server.received[0].path
                self.assertEqual(unquote(path), f"/v1/users/{identifier}")
                self.assertEqual(path.count("/"), 3)
                self.assertNotIn("?", path)

    def test_identifiers_that_are_none(self) -> None:
        engine = self.client(self.serve())
        for identifier in ("", ".", "..", "a" * 513, "a\nb", "a\x00", "\u202e"):
            for call in (engine.get_user, engine.get_wallet, engine.get_event, engine.get_member):
                with self.subTest(identifier=identifier[:9]), self.assertRaises(ValueError):
                    call(identifier)
        for name in ("", "a", "a" * 65, "a b", "a1", "ä"):
            with self.subTest(name=name), self.assertRaises(ValueError):
                engine.get_setting(name)
        for arguments in ((0,), (1001,), (1, -1), (1, 0, "desc")):
            with self.subTest(arguments=arguments), self.assertRaises(ValueError):
                engine.list_events(*arguments)
        self.assertEqual(self.tokens.received, [], "nothing was asked at all")

    def test_order_without_an_address(self) -> None:
        server = self.serve()
        with self.assertRaisesRegex(EngineAuthFailed, "address of the Receipts"):
            self.client(server, receipts_url="").report_order(b"{}")

    def test_order_that_is_answered_with_nothing(self) -> None:
        # Its answer is unpublished (I); a success that is told to have no content is one.
        for step in (raw(b"", status=201), raw(b"", status=204), answer(None)):
            server = self.serve(step)
            self.assertEqual(self.client(server).report_order(b"{}").id, "")

    def test_event_that_is_answered_with_nothing(self) -> None:
        server = self.serve(raw(b"", status=204))
        with self.assertRaises(EngineAnswerUnreadable) as caught:
            self.client(server).report_event(b"{}")
        self.assertEqual(caught.exception.endpoint, "POST /events")

    def test_observer(self) -> None:
        calls: list[Any] = []
        server = self.serve(answer({"points": 1}), answer([]))
        engine = self.client(server, lambda *call: calls.append(call[:2]))
        engine.get_wallet(UUID)
        with self.assertRaises(EngineAnswerUnreadable):
            engine.get_wallet(UUID)
        self.assertEqual(
            calls,
            [
                ("POST token", "ok"),
                ("GET /users/{id}/wallet", "ok"),
                ("GET /users/{id}/wallet", "EngineAnswerUnreadable"),
            ],
        )

    def test_close(self) -> None:
        server = self.serve(script=lambda received: answer({"id": UUID, "points": 1}))
        with self.client(server) as engine:
            engine.get_member(UUID)
        self.assertEqual(engine._transport._idle, [])
        self.assertIsNone(engine._threads)


class TestVouchers(ClientCase):
    #: Not pattern-checked, not trimmed, not upper-cased; and it must not be told.
    code = " sésame-Öffne-17 "

    def test_what_is_sent(self) -> None:
        for call, path, body in (
            (
                lambda c: c.validate_voucher(self.code, True),
                "validate_voucher",
                {"code": self.code, "allowFutureValidation": True},
            ),
            (
                lambda c: c.validate_voucher(
                    self.code, False, "m1", "v1", Position(8.5, 50), "ref-1"
                ),
                "validate_voucher",
                {
                    "code": self.code,
                    "allowFutureValidation": False,
                    "userIdentifier": "m1",
                    "venueIdentifier": "v1",
                    "position": {"longitude": 8.5, "latitude": 50},
                },
            ),
            (lambda c: c.redeem_benefit(UUID), "redeem_benefit", {"benefitId": UUID}),
            (
                lambda c: c.redeem_benefit(UUID, Position(8.5, 50)),
                "redeem_benefit",
                {"benefitId": UUID, "position": {"longitude": 8.5, "latitude": 50}},
            ),
        ):
            with self.subTest(body=body):
                server = self.serve(answer({"id": UUID}))
                call(self.client(server, event_secret=EVENT_SECRET))
                self.assertEqual(server.paths(), [f"POST /v1/commands/{path}"])
                self.assertEqual(server.received[0].json, body)
                headers = server.received[0].headers
                self.assertRegex(headers["authorization"], r"^Bearer admin-\d+$")

    def test_what_comes_back(self) -> None:
        benefit = {"id": UUID, "burnedAt": "2026-01-02T10:00:00.000Z", "reward": {"id": "r1"}}
        server = self.serve(*[answer(benefit)] * 3, raw(b"", status=204))
        engine = self.client(server)
        self.assertEqual(engine.get_benefit(UUID).burned_at, NOW)
        check = engine.validate_voucher("1", False)
        self.assertEqual((check.benefit.id, check.reward.id, check.burned_at), (UUID, "r1", NOW))
        self.assertEqual(engine.redeem_benefit(UUID).id, UUID)
        self.assertIsNone(engine.redeem_benefit(UUID), "redeemed, and nothing is told")

    def test_the_engines_clock(self) -> None:
        # RFC 9110; the ledger compares `burnedAt` with it.
        said = "Date: Fri, 02 Jan 2026 10:00:00 GMT\r\n"
        for headers, time in ((said, NOW), ("", None), ("Date: soon\r\n", None)):
            for call in (
                lambda c: c.get_benefit(UUID),
                lambda c: c.validate_voucher("1", True),
                lambda c: c.redeem_benefit(UUID),
            ):
                with self.subTest(headers=headers):
                    server = self.serve(answer({"id": UUID}, headers=headers))
                    self.assertEqual(call(self.client(server)).engine_time, time)

    def test_what_each_answer_means(self) -> None:
        for step, kind, nothing_happened in (
            (answer(status=404), EngineRejected, True),
            (answer(status=422), EngineRejected, True),
            (answer(envelope="fail"), EngineRejected, True),
            (raw(b"", status=429), EngineThrottled, True),
            (answer(status=409), EngineOutcomeUnknown, False),
            (raw(b"", status=503), EngineOutcomeUnknown, False),
            (answer(envelope="error"), EngineOutcomeUnknown, False),
            (raw(b"<html>"), EngineAnswerUnreadable, False),
            (answer({"valid": False}), EngineAnswerUnreadable, False),
            (hang_up, EngineOutcomeUnknown, False),
        ):
            for burn in (True, False):
                with self.subTest(kind=kind.__name__, burn=burn):
                    server = self.serve(step, answer({"id": UUID}))
                    with self.assertRaises(kind) as caught:
                        self.client(server).validate_voucher(self.code, not burn)
                    self.assertIs(type(caught.exception), kind)
                    self.assertIs(caught.exception.nothing_happened, nothing_happened)
                    self.assertEqual(len(server.received), 1, "sent once, a check too")

    def test_what_cannot_be_asked(self) -> None:
        engine = self.client(self.serve())
        for call in (
            lambda: engine.validate_voucher("", True),
            lambda: engine.validate_voucher(self.code, 1),  # type: ignore[arg-type]
            lambda: engine.validate_voucher(self.code, True, "a\n"),
            lambda: engine.redeem_benefit(""),
            lambda: engine.get_benefit(".."),
            lambda: engine.list_discounts(""),
        ):
            with self.assertRaises(ValueError) as caught:
                call()
            self.assertNotIn("17", str(caught.exception))
        self.assertEqual(self.tokens.received, [], "nothing was asked at all")

    def test_no_code_is_told(self) -> None:
        told = self.stack.enter_context(everything_logged())

        def echo(received: Received) -> Any:
            code = received.json["code"]
            words = f"No voucher {code} ({code.strip()}, {code.upper()}) of {UUID} here"
            return answer({"message": words, "code": words}, status=400, envelope=None)

        server = self.serve(script=echo)
        engine = self.client(server)
        for code in (self.code, "17", "x-17-x" * 100):
            with self.assertRaises(EngineRejected) as caught:
                engine.validate_voucher(code, True, UUID, reference="ref-1")
            error = caught.exception
            self.assertIn("No voucher", error.message)
            told.write(f"{error!s} {error!r} {vars(error)}")
        request = transport.Request("POST x", "u", body=b"17", secrets=("17",))
        benefit = answers.read_benefit({"id": UUID, "code": {"value": "17"}})
        told.write(f"{request!r} {benefit!r} {answers.VoucherCheck(benefit=benefit)!r}")
        self.assertIn("ref-1", told.getvalue())
        self.assertNotIn(UUID, told.getvalue().replace(repr(benefit), ""))
        # The ports of the servers may have the digits of the short one.
        for hidden in ("sésame", "SÉSAME", "Öffne", "ÖFFNE", "x-17", "X-17", "voucher 17", "b'17"):
            self.assertNotIn(hidden, told.getvalue())
        self.assertNotIn("17", repr(benefit).replace(UUID, ""))


class TestRights(ClientCase):
    def test_one_token_for_all(self) -> None:
        server = self.serve(answer({"id": 1}), answer({"id": 2}))
        engine = self.client(server)
        engine.get_user("1")
        engine.report_event(b"{}")
        self.assertEqual(len(self.tokens.received), 1)

    def test_event_secret(self) -> None:
        # D-TUT1: a private event type is reported with its secret, without any token.
        server = self.serve(answer({"id": 1}), answer([]))
        engine = self.client(server, event_secret=EVENT_SECRET, client_id="", client_secret="")
        engine.report_event(b"{}")
        self.assertEqual(server.received[0].headers["authorization"], f"Bearer {EVENT_SECRET}")
        self.assertEqual(self.tokens.received, [])
        with self.assertRaisesRegex(EngineAuthFailed, "no client id"):
            engine.test_reaction(b"{}")

    def test_event_secret_of_another_type(self) -> None:
        # D-TUT1: each private type has its own; the settings' is that of the sale.
        for own, sent in ((None, EVENT_SECRET), ("other-4711", "other-4711"), ("", "admin-1")):
            self.tokens.received.clear()
            server = self.serve(answer({"id": 1}))
            engine = self.client(server, event_secret=EVENT_SECRET)
            engine.report_event(b"{}", event_secret=own)
            self.assertEqual(server.received[0].headers["authorization"], f"Bearer {sent}")

    def test_refused_then_renewed(self) -> None:
        for status in (401, 403):
            for call in (lambda c: c.get_event("7"), lambda c: c.report_event(b"{}")):
                server = self.serve(raw(b"", status=status), answer({"id": 7}))
                self.tokens.received.clear()
                self.assertEqual(call(self.client(server)).id, "7")
                self.assertEqual(
                    [received.headers["authorization"] for received in server.received],
                    ["Bearer admin-1", "Bearer admin-2"],
                )

    def test_refused_twice(self) -> None:
        server = self.serve(*[raw(b"", status=401)] * 3)
        engine = self.client(server)
        with self.assertRaises(EngineAuthFailed):
            engine.report_event(b"{}")
        self.assertEqual((len(server.received), len(self.tokens.received)), (2, 2))
        # Not a token for every call that follows.
        with self.assertRaises(EngineAuthFailed):
            engine.report_event(b"{}")
        self.assertEqual((len(server.received), len(self.tokens.received)), (3, 2))

    def test_event_secret_that_is_refused(self) -> None:
        server = self.serve(raw(b"", status=401), answer({"id": 1}))
        with self.assertRaises(EngineAuthFailed):
            self.client(server, event_secret=EVENT_SECRET).report_event(b"{}")
        self.assertEqual((len(server.received), len(self.tokens.received)), (1, 0))

    def test_no_token(self) -> None:
        for step, kind in (
            (raw(b"", status=500), EngineUnreachable),
            (raw(b"", status=401), EngineAuthFailed),
            (raw(b"", status=429), EngineThrottled),
        ):
            server = self.serve(answer({"id": 1}))
            tokens = self.serve(step)
            engine = self.client(server, token_url=f"{tokens.url}/oauth/token")
            with self.assertRaises(kind) as caught:
                engine.report_event(b"{}")
            self.assertTrue(caught.exception.nothing_happened)
            self.assertEqual(server.received, [])

    def test_nothing_secret_is_told(self) -> None:
        told = self.stack.enter_context(everything_logged())

        def echo(received: Received) -> Any:
            words = [KEY, ID, SECRET, EVENT_SECRET, "mia@example.com", received.path]
            text = " ".join([*words, *received.headers.values()])
            return answer({"message": text, "code": text}, status=400, envelope=None)

        server = self.serve(script=echo)
        engine = self.client(server, event_secret=EVENT_SECRET)
        for call in (
            lambda: engine.get_user(UUID),
            lambda: engine.get_wallet(UUID),
            lambda: engine.report_event(b'{"mia":1}', reference="ref-1"),
            lambda: engine.redeem_benefit(UUID),
        ):
            with self.assertRaises(EngineRejected) as caught:
                call()
            told.write(f"{caught.exception!s} {caught.exception!r} {vars(caught.exception)}")
        told.write(repr(engine.settings))
        self.assertIn("ref-1", told.getvalue())
        for hidden in (KEY, ID, SECRET, EVENT_SECRET, "admin-1", UUID, "mia"):
            self.assertNotIn(hidden, told.getvalue())


class TestDeadline(ClientCase):
    def test_covers_the_token_too(self) -> None:
        def late(step: Any) -> Any:
            def wait(peer: Peer, received: Received) -> Any:
                peer.wait(0.6)
                return step(peer, received)

            return wait

        server = self.serve(late(answer({"id": 1})))
        tokens = self.serve(late(token()))
        engine = self.client(server, token_url=f"{tokens.url}/oauth/token")
        with self.assertRaises(EngineError):
            engine.report_event(b"{}", deadline=0.9)

    def test_of_the_settings(self) -> None:
        server = self.serve(script=lambda _received: answer({"id": 1, "value": "x", "points": 1}))
        engine = self.client(server, deadline=7.0, background_deadline=14.0)
        for seconds, calls in (
            (
                7.0,
                (
                    lambda own: engine.get_user("1", deadline=own),
                    lambda own: engine.get_wallet("1", deadline=own),
                    lambda own: engine.get_member("1", deadline=own),
                    lambda own: engine.get_setting("ab", deadline=own),
                    lambda own: engine.test_reaction(b"{}", deadline=own),
                    lambda own: engine.get_benefit("1", deadline=own),
                    lambda own: engine.list_benefits(deadline=own),
                    lambda own: engine.redeem_benefit("1", deadline=own),
                    lambda own: engine.validate_voucher("1", True, deadline=own),
                    lambda own: engine.list_discounts("1", deadline=own),
                ),
            ),
            (
                14.0,
                (
                    lambda own: engine.report_event(b"{}", deadline=own),
                    lambda own: engine.report_order(b"{}", deadline=own),
                    lambda own: engine.get_event("1", deadline=own),
                ),
            ),
        ):
            for index, call in enumerate(calls):
                for own in (None, 9.0):
                    with (
                        self.subTest(seconds=seconds, index=index, own=own),
                        mock.patch.object(client, "Deadline", side_effect=Deadline) as made,
                    ):
                        # Only the time counts: a rehearsal is answered otherwise.
                        with contextlib.suppress(EngineAnswerUnreadable):
                            call(own)
                        made.assert_called_once_with(own or seconds)

    def test_impossible(self) -> None:
        engine = self.client(self.serve())
        for seconds in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                engine.get_user("1", deadline=seconds)


class TestMember(ClientCase):
    def by_path(self, user: Any, wallet: Any) -> ScriptedServer:
        return self.serve(
            script=lambda received: wallet if received.path.endswith("/wallet") else user
        )

    def test_both_at_once(self) -> None:
        both = threading.Barrier(2)

        def together(data: Any) -> Any:
            def step(peer: Peer, received: Received) -> Any:
                # One after the other they would wait for each other in vain.
                both.wait(PATIENCE / 2)
                return answer(data)(peer, received)

            return step

        server = self.by_path(together({"id": UUID}), together({"points": 5}))
        engine = self.client(server)
        for _ in range(2):
            user, wallet = engine.get_member(UUID)
            self.assertEqual((user.id, wallet.balance), (UUID, 5))
        self.assertEqual(server.connections, 2, "both are kept alive")
        self.assertEqual(len(self.tokens.received), 1)

    def test_account_number(self) -> None:
        # The wallet's path takes the id (C-SPEC), which only the user's answer tells.
        server = self.by_path(answer({"id": UUID}), answer({"points": 5}))
        _user, wallet = self.client(server).get_member("1234567")
        self.assertEqual(wallet.balance, 5)
        self.assertEqual(server.paths(), ["GET /v1/users/1234567", f"GET /v1/users/{UUID}/wallet"])

    def test_no_such_member(self) -> None:
        server = self.by_path(answer(status=404), answer({"points": 5}))
        for identifier in (UUID, "1234567"):
            with self.assertRaises(EngineRejected) as caught:
                self.client(server).get_member(identifier)
            self.assertEqual(caught.exception.status, 404)

    def test_wallet_that_fails(self) -> None:
        for step, kind in (
            (answer(status=404), EngineRejected),
            (raw(b"", status=500), EngineOutcomeUnknown),
            (answer([]), EngineAnswerUnreadable),
            (raw(b"", status=429), EngineThrottled),
        ):
            for identifier in (UUID, "1234567"):
                server = self.by_path(answer({"id": UUID}), step)
                user, wallet = self.client(server).get_member(identifier)
                self.assertEqual(user.id, UUID)
                self.assertIsNone(wallet.balance)
                self.assertIsInstance(wallet.error, kind)
                self.assertEqual(wallet, Wallet())

    def test_wallet_that_hangs(self) -> None:
        def silent(peer: Peer, received: Received) -> Any:
            peer.wait(PATIENCE)
            return answer({"points": 5})(peer, received)

        server = self.by_path(answer({"id": UUID}), silent)
        user, wallet = self.client(server).get_member(UUID, deadline=2.0)
        self.assertEqual(user.id, UUID)
        self.assertIsInstance(wallet.error, EngineOutcomeUnknown)

    def test_no_thread_is_free(self) -> None:
        server = self.by_path(answer({"id": UUID}), answer({"points": 5}))
        engine = self.client(server)
        free = threading.Event()
        self.stack.callback(free.set)
        late = threading.Timer(6.0, free.set)
        late.start()
        self.stack.callback(late.cancel)
        for _ in range(client.MEMBER_THREADS):
            engine._start(free.wait, PATIENCE)
        user, wallet = engine.get_member(UUID, deadline=2.0)
        self.assertEqual(user.id, UUID)
        self.assertIsInstance(wallet.error, EngineOutcomeUnknown)
        self.assertFalse(free.is_set(), "it was not waited for")

    def test_many_threads(self) -> None:
        def own(received: Received) -> Any:
            identifier = urlsplit(received.path).path.split("/")[3]
            return answer({"id": identifier, "points": int(identifier[:8], 16)})

        server = self.serve(script=own)
        engine = self.client(server)
        wrong: list[Any] = []

        def ask(start: int) -> None:
            for number in range(start, start + 20):
                identifier = f"{number:08x}{UUID[8:]}"
                user, wallet = engine.get_member(identifier)
                if (user.id, wallet.balance) != (identifier, number):
                    wrong.append((user, wallet))

        threads = [threading.Thread(target=ask, args=(1000 * each,)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual((wrong, len(server.received)), ([], 320))
        self.assertLessEqual(server.connections, 16)
        self.assertEqual(len(self.tokens.received), 1)


class TestFindEvents(ClientCase):
    """Events of the last hours, one a minute, newest first; not found is only said if known."""

    def setUp(self) -> None:
        super().setUp()
        self.stack.enter_context(mock.patch.object(client, "SEARCH_PAGE", 10))
        self.stack.enter_context(mock.patch.object(client, "LARGEST_SEARCH_PAGE", 10))
        self.events = [self.event(number) for number in range(100)]
        self.server = self.serve(script=lambda received: answer(self.page(received)))
        self.engine = self.client(self.server)

    def event(self, number: int, **more: Any) -> dict[str, Any]:
        time = (NOW - timedelta(minutes=number)).isoformat().replace("+00:00", ".000Z")
        return {
            "id": number,
            "type": "SOLD",
            "payload": {"order": {"id": f"o{number}"}},
            "reportedAt": time,
            "occurredAt": time,
            **more,
        }

    def page(self, received: Received) -> Any:
        query = dict(parse_qsl(urlsplit(received.path).query))
        self.assertEqual(query["order"], "DESC")
        return self.events[int(query["skip"]) :][: int(query["limit"])]

    def find(self, *references: str, minutes: int = 50, pages: int = 20) -> dict[str, str]:
        since = NOW - timedelta(minutes=minutes)
        wanted = dict.fromkeys(references, since)
        found = self.engine.find_events("order.id", wanted, "SOLD", pages)
        return {reference: event.id for reference, event in found.items()}

    def test_found(self) -> None:
        self.assertEqual(self.find("o3", "o25"), {"o3": "3", "o25": "25"})
        self.assertEqual(len(self.server.received), 3, "no further than needed")

    def test_nothing_to_find(self) -> None:
        self.assertEqual(self.find(), {})
        self.assertEqual(self.server.received, [])

    def test_not_there(self) -> None:
        self.assertEqual(self.find("o3", "nowhere"), {"o3": "3"})
        self.assertEqual(len(self.server.received), 6, "until events are older than 50 minutes")

    def test_not_there_in_the_whole_list(self) -> None:
        self.assertEqual(self.find("nowhere", minutes=10_000), {})
        self.events.clear()
        self.assertEqual(self.find("nowhere"), {})

    def test_not_far_enough(self) -> None:
        with self.assertRaisesRegex(EngineLookupIncomplete, "4 pages") as caught:
            self.find("o3", "nowhere", pages=4)
        self.assertEqual(caught.exception.found.keys(), {"o3"})
        self.assertEqual(caught.exception.undecided, {"nowhere"})
        self.assertIsInstance(caught.exception, EngineOutcomeUnknown)

    def test_each_is_looked_for_as_far_back_as_it_can_be(self) -> None:
        wanted = {
            "late": NOW - timedelta(days=1),
            "fresh": NOW - timedelta(minutes=15),
            "o3": NOW - timedelta(minutes=15),
        }
        with self.assertRaises(EngineLookupIncomplete) as caught:
            self.engine.find_events("order.id", wanted, "SOLD", 2)
        self.assertEqual(caught.exception.undecided, {"late"})
        self.assertEqual(caught.exception.found.keys(), {"o3"})
        # In no order at all nothing is known of what isn't found.
        self.events.reverse()
        with self.assertRaises(EngineLookupIncomplete) as caught:
            self.engine.find_events("order.id", wanted, "SOLD", 2)
        self.assertEqual(caught.exception.undecided, wanted.keys())

    def find_slowly(self, seconds: float, deadline: float) -> None:
        def slowly(received: Received) -> Any:
            sleep(seconds)
            return answer(self.page(received))

        self.server._script = slowly
        since = NOW - timedelta(days=10)
        wanted = dict.fromkeys(("o3", "nowhere"), since)
        self.engine.find_events("order.id", wanted, "SOLD", deadline=deadline)

    def test_time_is_over_between_two_pages(self) -> None:
        with self.assertRaisesRegex(EngineLookupCutShort, "no time left after") as caught:
            self.find_slowly(0.3, deadline=1.0)
        self.assertEqual(caught.exception.found.keys(), {"o3"})

    def test_time_is_over_before_the_first_page(self) -> None:
        with self.assertRaises(EngineOutcomeUnknown) as caught:
            self.find_slowly(0.8, deadline=0.4)
        self.assertNotIsInstance(caught.exception, EngineLookupIncomplete)

    def test_pages_grow(self) -> None:
        with mock.patch.object(client, "LARGEST_SEARCH_PAGE", 35):
            self.assertEqual(self.find("o99", minutes=1000), {"o99": "99"})
        asked = [parse_qsl(urlsplit(received.path).query) for received in self.server.received]
        pages = [(int(query["skip"]), int(query["limit"])) for query in map(dict, asked)]
        self.assertEqual(pages, [(0, 10), (10, 20), (30, 35), (65, 35)])

    def test_other_types_and_payloads(self) -> None:
        self.events[3]["type"] = "RETURNED"
        self.events[4]["payload"] = {"order": "o4"}
        self.events[5].update(type="RETURNED", payload=None)
        self.events[6]["payload"] = {"order": {"id": 6}}
        self.events[7]["payload"] = {"order": {"id": True}}
        self.assertEqual(self.find("o3", "o4", "o5", "6", "True", "o8"), {"6": "6", "o8": "8"})

    def test_a_list_without_payloads_says_nothing_of_what_is_not_there(self) -> None:
        del self.events[5]["payload"]
        with self.assertRaisesRegex(EngineLookupIncomplete, "without their payload") as caught:
            self.find("o3", "o5")
        self.assertEqual(caught.exception.found.keys(), {"o3"})
        self.assertEqual(caught.exception.undecided, {"o5"})
        self.assertEqual(self.find("o3", "o8"), {"o3": "3", "o8": "8"})

    def test_what_was_seen_before_the_list_failed_counts(self) -> None:
        failures = {
            400: EngineLookupIncomplete,
            403: EngineLookupIncomplete,
            200: EngineLookupIncomplete,
            500: EngineLookupCutShort,
        }
        for status, kind in failures.items():
            with self.subTest(status=status):

                def script(received: Received, status: int = status) -> Any:
                    page = self.page(received)
                    return answer(page) if "skip=0" in received.path else raw(b"?", status=status)

                self.server._script = script
                with self.assertRaises(EngineOutcomeUnknown) as caught:
                    self.find("o3", "o25")
                self.assertIs(type(caught.exception), kind)
                self.assertEqual(caught.exception.found.keys(), {"o3"})
                self.assertEqual(caught.exception.undecided, {"o25"})

    def test_newest_of_two(self) -> None:
        self.events[9] = self.event(9, payload={"order": {"id": "o5"}})
        self.assertEqual(self.find("o5", "o9"), {"o5": "5"})

    def test_events_that_arrive_meanwhile(self) -> None:
        def page(received: Received) -> Any:
            self.events.insert(0, self.event(-len(self.events)))
            return self.page(received)

        self.server._script = lambda received: answer(page(received))
        self.assertEqual(self.find("o3", "o45"), {"o3": "3", "o45": "45"})

    def test_engine_with_a_smaller_page(self) -> None:
        self.server._script = lambda received: answer(self.page(received)[:3])
        self.assertEqual(self.find("o25", "nowhere"), {"o25": "25"})

    def test_engine_without_pages(self) -> None:
        self.server._script = lambda _received: answer(self.events[:10])
        with self.assertRaisesRegex(EngineLookupIncomplete, "same events again"):
            self.find("nowhere")

    def test_oldest_first(self) -> None:
        self.events.reverse()
        with self.assertRaisesRegex(EngineLookupIncomplete, "5 pages"):
            self.find("nowhere", pages=5)
        self.assertEqual(self.find("nowhere"), {}, "the end of the list is the end")

    def test_oldest_first_within_a_minute(self) -> None:
        for number, event in enumerate(self.events):
            time = (NOW - timedelta(days=1, milliseconds=number)).isoformat()
            event.update(reportedAt=time, occurredAt=time)
        self.events.reverse()
        with self.assertRaises(EngineLookupIncomplete):
            self.find("nowhere", pages=5)

    def test_no_order_at_all(self) -> None:
        self.events = [self.events[each] for number in range(50) for each in (number, -1 - number)]
        self.assertEqual(self.find("o45"), {"o45": "45"})

    def test_event_reported_long_after_it_occurred(self) -> None:
        yesterday = (NOW - timedelta(days=1)).isoformat()
        self.events[9].update(occurredAt=yesterday)
        self.assertEqual(self.find("o25"), {"o25": "25"})

    def test_a_little_disorder(self) -> None:
        self.events[10:12] = reversed(self.events[10:12])
        self.events[15:17] = reversed(self.events[15:17])
        self.assertEqual(self.find("nowhere"), {})
        self.assertEqual(len(self.server.received), 6)

    def test_listed_by_report_or_by_occurrence(self) -> None:
        # Paid offline yesterday, reported now: it stands at another place in each of the two.
        yesterday = (NOW - timedelta(days=1)).isoformat().replace("+00:00", ".000Z")
        late = self.event(3, occurredAt=yesterday)
        self.events[3] = late
        self.assertEqual(self.find("o3", "nowhere", minutes=50), {"o3": "3"})
        self.events.append(self.events.pop(3))
        self.assertEqual(self.find("o3", minutes=2 * 24 * 60), {"o3": "3"})

    def test_events_without_times(self) -> None:
        for event in self.events:
            event.update(reportedAt=None, occurredAt=None)
        self.assertEqual(self.find("nowhere", pages=20), {}, "only the end of the list is known")
        with self.assertRaises(EngineLookupIncomplete):
            self.find("nowhere", pages=5)

    def test_engine_that_fails(self) -> None:
        self.server._script = lambda _received: raw(b"", status=503)
        with self.assertRaises(EngineOutcomeUnknown):
            self.find("o3")

    def test_deadline_is_for_all_pages(self) -> None:
        def late(peer: Peer, received: Received) -> Any:
            peer.wait(0.1)
            return answer(self.page(received))(peer, received)

        self.server._script = lambda _received: late
        with self.assertRaises(EngineError):
            self.engine.find_events(
                "order.id", {"nowhere": NOW - timedelta(days=1)}, "SOLD", deadline=0.55
            )
        self.assertLess(len(self.server.received), 10)


class TestWrites(ClientCase):
    def test_sent_once_whatever_happens(self) -> None:
        for step in (reset, hang_up, raw(b"", status=503), raw(b"", status=429), raw(b"<html>")):
            for call in (
                lambda c: c.report_event(b"{}"),
                lambda c: c.report_order(b"{}"),
                lambda c: c.test_reaction(b"{}"),
                lambda c: c.redeem_benefit(UUID),
                lambda c: c.validate_voucher("1", True),
                lambda c: c.validate_voucher("1", False),
            ):
                server = self.serve(step, answer({"id": 1}))
                with self.assertRaises(EngineError):
                    call(self.client(server))
                self.assertEqual(len(server.received), 1)

"""The admin token: fetched once for all threads, renewed in time, and after a refusal."""

from __future__ import annotations

import threading
import unittest
from contextlib import ExitStack
from typing import Any

from ..engine import (
    EngineAuthFailed,
    EngineSettings,
    EngineThrottled,
    EngineUnreachable,
)
from ..engine.credentials import LONGEST_LIFE, PAUSE, UNTOLD_LIFE, AdminToken
from ..engine.transport import Deadline, Transport
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


class TestAdminToken(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.now = 1000.0

    def serve(self, *steps: Any, **options: Any) -> tuple[ScriptedServer, AdminToken]:
        server = self.stack.enter_context(ScriptedServer(*steps, **options))
        transport = Transport()
        self.stack.callback(transport.close)
        settings = EngineSettings(
            rewards_url="http://127.0.0.1:1",
            token_url=f"{server.url}/oauth/token",
            api_key="key",
            client_id="client-id",
            client_secret="client-secret",
        )
        return server, AdminToken(settings, transport, clock=lambda: self.now)

    def test_request(self) -> None:
        # D-ZD, D-TOKEN, C-SDK
        server, admin = self.serve(token("t1"))
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        received = server.received[0]
        self.assertEqual((received.method, received.path), ("POST", "/oauth/token"))
        self.assertEqual(received.headers["content-type"], "application/json")
        self.assertNotIn("x-api-key", received.headers)
        self.assertEqual(
            received.json,
            {
                "client_id": "client-id",
                "client_secret": "client-secret",
                "audience": "wlloyalty.net",
                "grant_type": "client_credentials",
            },
        )

    def test_kept_until_shortly_before_its_end(self) -> None:
        server, admin = self.serve(token("t1"), token("t2"))
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        self.now += 86400 - 301
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        self.now += 2
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t2")
        self.assertEqual(len(server.received), 2)

    def test_short_life(self) -> None:
        _server, admin = self.serve(token("t1", 100), token("t2", 100))
        admin.get(Deadline(PATIENCE))
        self.now += 89
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        self.now += 2
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t2")

    def test_life_that_is_not_told_or_not_believed(self) -> None:
        for told, life in (
            (None, UNTOLD_LIFE),
            ("86400", UNTOLD_LIFE),
            (True, UNTOLD_LIFE),
            (-5, UNTOLD_LIFE),
            (10**9, LONGEST_LIFE),
        ):
            with self.subTest(told=told):
                _server, admin = self.serve(token("t1", told), token("t2"))
                admin.get(Deadline(PATIENCE))
                self.now += life - 301
                self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
                self.now += 302
                self.assertEqual(admin.get(Deadline(PATIENCE)), "t2")

    def test_renewal_that_fails_harms_nobody_while_the_old_one_is_valid(self) -> None:
        server, admin = self.serve(token("t1"), raw(b"", status=503), token("t2"))
        admin.get(Deadline(PATIENCE))
        self.now += 86400 - 200
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t1")
        self.assertEqual(len(server.received), 2, "not tried again at once")
        self.now += PAUSE
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t2")

    def test_expired_token_is_not_used(self) -> None:
        _server, admin = self.serve(token("t1"), raw(b"", status=503))
        admin.get(Deadline(PATIENCE))
        self.now += 86400
        with self.assertRaises(EngineUnreachable):
            admin.get(Deadline(PATIENCE))

    def test_eight_threads_fetch_one(self) -> None:
        def slow(peer: Peer, received: Received) -> None:
            peer.wait(0.2)
            token(f"t{received.connection}")(peer, received)

        server, admin = self.serve(script=lambda _received: slow)
        start, tokens = threading.Barrier(8), []

        def fetch() -> None:
            start.wait(PATIENCE)
            tokens.append(admin.get(Deadline(PATIENCE)))

        threads = [threading.Thread(target=fetch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(tokens, ["t1"] * 8)
        self.assertEqual(len(server.received), 1)

    def test_threads_that_wait_keep_their_deadline(self) -> None:
        asked, free = threading.Event(), threading.Event()

        def stuck(peer: Peer, received: Received) -> None:
            asked.set()
            free.wait(PATIENCE)
            token()(peer, received)

        _server, admin = self.serve(stuck)
        first = threading.Thread(target=admin.get, args=(Deadline(PATIENCE),))
        first.start()
        asked.wait(PATIENCE)
        threading.Timer(3.0, free.set).start()
        with self.assertRaises(EngineUnreachable):
            admin.get(Deadline(0.2))
        first.join(PATIENCE)

    def test_renewed_after_a_refusal(self) -> None:
        server, admin = self.serve(token("t1"), token("t2"), token("t3"))
        admin.get(Deadline(PATIENCE))
        self.assertEqual(admin.renew("t1", Deadline(PATIENCE)), "t2")
        # Another thread with the old one takes what is there.
        self.assertEqual(admin.renew("t1", Deadline(PATIENCE)), "t2")
        self.assertEqual(admin.get(Deadline(PATIENCE)), "t2")
        # Refused too: a new one for every call would help nobody.
        self.assertIsNone(admin.renew("t2", Deadline(PATIENCE)))
        self.assertEqual(len(server.received), 2)
        self.now += PAUSE
        self.assertEqual(admin.renew("t2", Deadline(PATIENCE)), "t3")

    def test_refused(self) -> None:
        for status in (400, 401, 403, 404):
            with self.subTest(status=status):
                # RFC 6749, 5.2
                body = {"error": "access_denied", "error_description": "client-secret is wrong"}
                _server, admin = self.serve(answer(body, status=status, envelope=None))
                with self.assertRaises(EngineAuthFailed) as caught:
                    admin.get(Deadline(PATIENCE))
                text = str(caught.exception)
                self.assertIn("POST token: no token: HTTP", text)
                self.assertIn("access_denied, *** is wrong", text)
                self.assertNotIn("client-secret", text)

    def test_throttled(self) -> None:
        _server, admin = self.serve(raw(b"", status=429, headers="Retry-After: 3\r\n"))
        with self.assertRaises(EngineThrottled) as caught:
            admin.get(Deadline(PATIENCE))
        self.assertEqual(caught.exception.retry_after, 3)

    def test_whatever_else_happens_nothing_was_sent_to_the_engine(self) -> None:
        def silent(peer: Peer, _received: Received) -> None:
            peer.wait(1.0)

        for name, steps in {
            "down": (raw(b"", status=500),),
            "redirect": (raw(b"", status=302, headers="Location: /x\r\n"),),
            "no json": (raw(b"<html>"),),
            "no token": (answer({"expires_in": 1}, envelope=None),),
            "token that is no text": (token(7),),  # type: ignore[arg-type]
            "token with a line break": (token("a\r\nX: 1"),),
            "token without end": (token("a" * 20000),),
            "nothing": (raw(b""),),
            "reset": (reset, reset),
            "end": (hang_up, hang_up),
            "silence": (silent,),
        }.items():
            with self.subTest(name):
                _server, admin = self.serve(*steps)
                with self.assertRaises(EngineUnreachable) as caught:
                    admin.get(Deadline(0.5))
                self.assertIn("POST token", str(caught.exception))

    def test_no_credentials(self) -> None:
        settings = EngineSettings(
            rewards_url="http://127.0.0.1:1", token_url="http://127.0.0.1:1/t", api_key="key"
        )
        with self.assertRaisesRegex(EngineAuthFailed, "no client id"):
            AdminToken(settings, Transport()).get(Deadline(PATIENCE))

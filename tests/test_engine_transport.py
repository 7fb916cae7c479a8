"""What the end of a request means, and how long it may take. Real sockets on 127.0.0.1."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
import unittest
from contextlib import ExitStack, redirect_stdout
from typing import Any
from unittest import mock

import requests

from ..engine import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineThrottled,
    EngineUnreachable,
    transport,
)
from ..engine.transport import Deadline, Request, Transport, judge_envelope
from .logs import everything_logged
from .scripted_server import (
    PATIENCE,
    Peer,
    Received,
    ScriptedServer,
    answer,
    certificate,
    hang_up,
    raw,
    reset,
)

JUST_NOW = transport.FRESH_FOR_WRITES


class AfterSending(Deadline):
    """Begins when the request goes out: a busy machine must not end it before."""

    def __init__(self, seconds: float) -> None:
        super().__init__(PATIENCE)
        self._seconds: float | None = seconds

    def remaining(self) -> float:
        if self._seconds and transport._running.sent:
            self._ends, self._seconds = time.monotonic() + self._seconds, None
        return super().remaining()


class TransportCase(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.transport = self.make_transport()
        # A busy machine must not make a connection old.
        self.stack.enter_context(mock.patch.object(transport, "FRESH_FOR_WRITES", 3600.0))

    def make_transport(self, **options: Any) -> Transport:
        made = Transport(**options)
        self.stack.callback(made.close)
        return made

    def serve(self, *steps: Any, **options: Any) -> ScriptedServer:
        return self.stack.enter_context(ScriptedServer(*steps, **options))

    def read(self, url: str, ends: Deadline | float = PATIENCE, **options: Any) -> Any:
        request = Request("GET /users/{id}", f"{url}/users/member-1", is_read=True, **options)
        return self.call(request, ends)

    def call(self, request: Request, ends: Deadline | float) -> Any:
        deadline = ends if isinstance(ends, Deadline) else Deadline(ends)
        return self.transport.call(request, deadline, judge_envelope)

    def write(self, url: str, ends: Deadline | float = PATIENCE, **options: Any) -> Any:
        request = Request("POST /events", f"{url}/events", body=b'{"a":1}', **options)
        return self.call(request, ends)


class TestNotSent(TransportCase):
    """Nothing left: it may be sent again."""

    def test_refused(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            for call in (self.read, self.write):
                with self.assertRaises(EngineUnreachable) as caught:
                    call(url)
                self.assertIn("refused", str(caught.exception))

    def test_unknown_host(self) -> None:
        error = socket.gaierror(socket.EAI_NONAME, "no such name")
        with (
            mock.patch("socket.getaddrinfo", side_effect=error),
            self.assertRaisesRegex(EngineUnreachable, "name was not found"),
        ):
            self.write("http://engine.invalid")

    def test_malformed_host(self) -> None:
        with self.assertRaises(EngineUnreachable):
            self.write(f"http://{'a' * 70}.invalid")

    def test_resolver_that_hangs(self) -> None:
        ended = threading.Event()
        self.addCleanup(ended.set)

        def hang(*_args: Any, flags: int = 0, **_options: Any) -> Any:
            if not flags:
                ended.wait(PATIENCE)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        with (
            mock.patch("socket.getaddrinfo", hang),
            self.assertRaisesRegex(EngineUnreachable, "in time"),
        ):
            self.write("http://engine.invalid", 0.2)

    def test_host_that_is_silent(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as full:
            address = listener.getsockname()
            for _ in range(4):
                waiting = full.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)
            with self.assertRaisesRegex(EngineUnreachable, "no connection in time|no time left"):
                self.write(f"http://127.0.0.1:{address[1]}", 0.3)

    def test_second_address_is_tried_in_time(self) -> None:
        server = self.serve(answer(1))
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, ExitStack() as full:
            for _ in range(4):
                waiting = full.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(silent.getsockname())
            stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            two = [(*stream, silent.getsockname()), (*stream, ("127.0.0.1", server.port))]
            with mock.patch("socket.getaddrinfo", return_value=two):
                self.assertEqual(self.write("http://engine.invalid", 3.0), 1)

    def test_no_time_left(self) -> None:
        server = self.serve(answer())
        passed = Deadline(PATIENCE).part(0.0)
        request = Request("POST /events", server.url, body=b"{}")
        with self.assertRaises(EngineUnreachable):
            self.transport.call(request, passed, judge_envelope)
        self.assertEqual(server.received, [])

    def test_tls_handshake_that_hangs(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            with self.assertRaises(EngineUnreachable):
                self.write(url, 0.3)

    def test_tls_that_is_none(self) -> None:
        server = self.serve(reset)
        with self.assertRaisesRegex(EngineUnreachable, "TLS|no connection"):
            self.write(server.url.replace("http:", "https:"), 3.0)

    def test_certificate_that_nobody_vouches_for(self) -> None:
        tls, _authority = self.stack.enter_context(certificate("127.0.0.1"))
        server = self.serve(answer(), tls=tls)
        with self.assertRaisesRegex(EngineUnreachable, "certificate is not trusted"):
            self.write(server.url)
        self.assertEqual(server.received, [])
        self.assertEqual(server.connections, 1, "a certificate is not asked for twice")

    def test_certificate_of_another_host(self) -> None:
        tls, authority = self.stack.enter_context(certificate("elsewhere.example"))
        self.transport = self.make_transport(ca_file=authority)
        server = self.serve(answer(), tls=tls)
        with self.assertRaisesRegex(EngineUnreachable, "certificate is not trusted"):
            self.write(server.url)

    def test_error_before_sending_that_is_no_network_error(self) -> None:
        with (
            mock.patch.object(transport, "_connect", side_effect=ZeroDivisionError),
            self.assertRaises(ZeroDivisionError),
        ):
            self.write("http://127.0.0.1:1")


class TestOutcomeUnknown(TransportCase):
    """It went out: it may have happened."""

    def test_reset_after_the_request(self) -> None:
        server = self.serve(reset, answer())
        with self.assertRaisesRegex(EngineOutcomeUnknown, "lost"):
            self.write(server.url)
        self.assertEqual(len(server.received), 1, "a change is never sent twice")

    def test_connection_closed_after_the_request(self) -> None:
        server = self.serve(hang_up, answer())
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url)
        self.assertEqual(len(server.received), 1, "a change is never sent twice")

    def test_statuses(self) -> None:
        for status in (301, 302, 303, 307, 308, 304, 408, 409, 425, 500, 502, 503, 504, 599, 999):
            with self.subTest(status=status):
                elsewhere = self.serve(answer())
                header = f"Location: {elsewhere.url}/x\r\n" if status < 400 else ""
                server = self.serve(raw(b"", status=status, headers=header))
                with self.assertRaises(EngineOutcomeUnknown) as caught:
                    self.write(server.url)
                self.assertEqual(caught.exception.status, status)
                self.assertEqual(len(server.received), 1)
                self.assertEqual(elsewhere.received, [])

    def test_unreadable_answers(self) -> None:
        for name, body, headers in (
            ("nothing that is told to be nothing", b"<html>", "Content-Type: text/html\r\n"),
            ("a list", b"[]", ""),
            ("no envelope", b'{"id":"1"}', ""),
            ("another word", b'{"status":"ok","data":{}}', ""),
            ("a number", b'{"status":200,"data":{}}', ""),
            ("NaN", b'{"status":"success","data":NaN}', ""),
            ("Infinity", b'{"status":"success","data":{"points":-Infinity}}', ""),
            ("half of it", b'{"status":"success","da', ""),
            ("no text", b"\xff\xfe\x00", ""),
            ("nesting without end", b"[" * 200_000, ""),
            ("a number without end", b'{"status":"success","data":' + b"9" * 9999 + b"}", ""),
            ("compressed", b"\x1f\x8b", "Content-Encoding: gzip\r\n"),
        ):
            with self.subTest(name):
                server = self.serve(raw(body, headers=headers))
                with self.assertRaises(EngineAnswerUnreadable):
                    self.write(server.url)

    def test_answer_that_is_too_large(self) -> None:
        def flood(peer: Peer, _received: Received) -> bool:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(transport.MAX_ANSWER // 65536):
                peer.send(b" " * 65536)
            peer.send(b'{"status":"success","data":1}')
            return False

        server = self.serve(flood)
        with self.assertRaisesRegex(EngineAnswerUnreadable, "too large"):
            self.write(server.url)

    def test_redirect_that_is_too_large(self) -> None:
        sent = []

        def flood(peer: Peer, _received: Received) -> bool:
            peer.send(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n")
            for _ in range(4 * transport.MAX_ANSWER // 65536):
                peer.send(b" " * 65536)
                sent.append(65536)
            return False

        server = self.serve(flood)
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url)
        self.assertLess(sum(sent), 3 * transport.MAX_ANSWER)

    def test_answer_that_is_cut_off(self) -> None:
        def cut(peer: Peer, _received: Received) -> bool:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
            peer.send(b'{"status":"success","data":1}')
            return False

        server = self.serve(cut)
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url)

    def test_answer_that_is_no_http(self) -> None:
        def babble(peer: Peer, _received: Received) -> bool:
            peer.send(b"220 mail.example ESMTP\r\n")
            return False

        server = self.serve(babble)
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url)

    def test_broken_chunks(self) -> None:
        def chunks(peer: Peer, _received: Received) -> bool:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
            return False

        server = self.serve(chunks)
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url)

    def test_bug_of_a_library_after_sending(self) -> None:
        server = self.serve(answer())
        with (
            mock.patch.object(transport, "_read_body", side_effect=ZeroDivisionError),
            self.assertRaises(EngineOutcomeUnknown),
        ):
            self.write(server.url)

    def test_envelope_error(self) -> None:
        body = {"status": "error", "message": "Try later"}
        server = self.serve(answer(body, envelope=None))
        with self.assertRaisesRegex(EngineOutcomeUnknown, "HTTP 200, Try later"):
            self.write(server.url)


class TestDefiniteAnswers(TransportCase):
    def test_success(self) -> None:
        for status in (200, 201, 202):
            server = self.serve(answer({"id": "e1"}, status=status))
            self.assertEqual(self.write(server.url), {"id": "e1"})

    def test_data_without_a_status(self) -> None:
        server = self.serve(answer({"data": 1}, envelope=None))
        self.assertEqual(self.write(server.url), 1)

    def test_chunks(self) -> None:
        def chunks(peer: Peer, _received: Received) -> None:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in (b'{"status":"suc', b'cess","data":7}'):
                peer.send(b"%x\r\n%s\r\n" % (len(part), part))
            peer.send(b"0\r\n\r\n")

        server = self.serve(chunks, answer(8))
        self.assertEqual(self.write(server.url), 7)
        self.assertEqual(self.write(server.url), 8)
        self.assertEqual(server.connections, 1)

    def test_told_to_be_nothing(self) -> None:
        server = self.serve(raw(b""), answer())
        self.assertIsNone(self.write(server.url))

    def test_rejected(self) -> None:
        for status in (400, 402, 404, 405, 410, 413, 415, 422, 451):
            with self.subTest(status=status):
                body = {"status": "fail", "code": "E7", "message": "No such thing"}
                server = self.serve(answer(body, status=status, envelope=None))
                with self.assertRaises(EngineRejected) as caught:
                    self.write(server.url)
                error = caught.exception
                self.assertEqual((error.status, error.code), (status, "E7"))
                self.assertEqual(error.message, "No such thing")

    def test_rejected_without_json(self) -> None:
        server = self.serve(raw(b"<h1>No</h1>", status=404))
        with self.assertRaises(EngineRejected) as caught:
            self.write(server.url)
        self.assertEqual((caught.exception.status, caught.exception.message), (404, ""))

    def test_envelope_fail(self) -> None:
        body = {"status": "fail", "message": "No"}
        server = self.serve(answer(body, envelope=None))
        with self.assertRaises(EngineRejected) as caught:
            self.write(server.url)
        self.assertEqual((caught.exception.status, caught.exception.message), (200, "No"))

    def test_throttled(self) -> None:
        far = "Fri, 31 Dec 2100 23:59:59 GMT"
        for value, seconds in (
            ("7", 7.0),
            ("0", 0.0),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            (far, transport.MAX_RETRY_AFTER),
            ("99999999999999", None),
            ("soon", None),
            ("-1", None),
            ("", None),
        ):
            with self.subTest(value):
                server = self.serve(raw(b"", status=429, headers=f"Retry-After: {value}\r\n"))
                with self.assertRaises(EngineThrottled) as caught:
                    self.write(server.url)
                self.assertEqual(caught.exception.retry_after, seconds)

    def test_no_right(self) -> None:
        for status in (401, 403):
            server = self.serve(answer(status=status))
            with self.assertRaises(EngineAuthFailed) as caught:
                self.write(server.url)
            self.assertEqual(caught.exception.status, status)

    def test_tls(self) -> None:
        tls, authority = self.stack.enter_context(certificate("127.0.0.1"))
        self.transport = self.make_transport(ca_file=authority)
        server = self.serve(answer(1), answer(2), tls=tls)
        self.assertEqual(self.write(server.url), 1)
        self.assertEqual(self.write(server.url), 2)
        self.assertEqual(server.connections, 1)

    def test_ipv6(self) -> None:
        try:
            server = self.serve(answer(1), host="::1")
        except OSError:
            self.fail("this machine has no loopback of IPv6")
        self.assertEqual(self.write(server.url), 1)


class TestDeadline(TransportCase):
    """The server would go on and answer properly: without the deadline these calls succeed."""

    BODY = b'{"status":"success","data":1}'
    HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)

    def drip_head(self, peer: Peer, _received: Received) -> None:
        peer.drip(self.HEAD, 0.1)
        peer.send(self.BODY)

    def drip_body(self, peer: Peer, _received: Received) -> None:
        peer.send(self.HEAD)
        peer.drip(self.BODY, 0.2)

    def silent(self, peer: Peer, _received: Received) -> None:
        peer.wait(5.0)
        peer.send(self.HEAD + self.BODY)

    def test_whole_call(self) -> None:
        for step, call in (
            (self.drip_head, self.write),
            (self.drip_body, self.write),
            (self.silent, self.write),
            (self.silent, self.read),
        ):
            with self.subTest(step=step.__name__, call=call.__name__):
                server = self.serve(step, step)
                with self.assertRaisesRegex(EngineOutcomeUnknown, "no answer in time"):
                    call(server.url, AfterSending(0.5))
                self.assertLessEqual(len(server.received), 1)

    def test_whole_call_over_tls(self) -> None:
        tls, authority = self.stack.enter_context(certificate("127.0.0.1"))
        self.transport = self.make_transport(ca_file=authority)
        for step in (self.drip_head, self.drip_body):
            with self.subTest(step=step.__name__):
                server = self.serve(step, tls=tls)
                with self.assertRaisesRegex(EngineOutcomeUnknown, "no answer in time"):
                    self.write(server.url, AfterSending(0.5))

    def test_on_a_connection_that_is_reused(self) -> None:
        server = self.serve(answer(1), self.drip_head)
        self.write(server.url)
        with self.assertRaisesRegex(EngineOutcomeUnknown, "no answer in time"):
            self.write(server.url, AfterSending(0.5))
        self.assertEqual(server.connections, 1)

    def test_does_not_rest_on_the_limit_of_requests(self) -> None:
        # Odoo's test suite raises that limit to 10, and compares it with a number.
        send, limits = requests.Session.send, []

        def patched(session: Any, request: Any, **options: Any) -> Any:
            limits.append(options["timeout"])
            return send(session, request, **{**options, "timeout": 10})

        server = self.serve(self.silent)
        with (
            mock.patch.object(requests.Session, "send", patched),
            self.assertRaises(EngineOutcomeUnknown),
        ):
            self.write(server.url, AfterSending(0.5))
        self.assertEqual([type(limit) for limit in limits], [float])

    def test_body_that_nobody_takes(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            request = Request("POST /events", url, body=b" " * 32_000_000)
            with self.assertRaises(EngineOutcomeUnknown):
                self.transport.call(request, AfterSending(0.5), judge_envelope)

    def test_every_wait_of_a_socket(self) -> None:
        passed = Deadline(PATIENCE).part(0.0)
        one, two = socket.socketpair()
        with two, transport._PlainSocket(fileno=one.detach()) as sock:
            two.sendall(b"what is there already")
            with transport._running.until(passed):
                for wait in (
                    lambda: sock.recv_into(bytearray(5)),
                    lambda: sock.send(b"a"),
                    lambda: sock.sendall(b"a"),
                ):
                    with self.assertRaises(TimeoutError):
                        wait()
                self.assertFalse(transport._running.sent)
            two.setblocking(False)
            with self.assertRaises(BlockingIOError):
                two.recv(1)

    def test_tls_handshake_of_a_socket(self) -> None:
        tls, authority = self.stack.enter_context(certificate("127.0.0.1"))
        server = self.serve(answer(), tls=tls)
        context = self.make_transport(ca_file=authority)._tls()
        with (
            socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain,
            transport._running.until(Deadline(PATIENCE).part(0.0)),
            self.assertRaises(TimeoutError),
        ):
            context.wrap_socket(plain, server_hostname="127.0.0.1")

    def test_impossible_deadlines(self) -> None:
        for seconds in (0, -1, float("nan"), float("inf"), 1e9, True, "5"):
            with self.subTest(seconds=seconds), self.assertRaises(ValueError):
                Deadline(seconds)  # type: ignore[arg-type]


class TestReads(TransportCase):
    """A read changes nothing: it is repeated once, on a new connection."""

    def test_repeated_after_a_reset(self) -> None:
        server = self.serve(reset, answer(1))
        self.assertEqual(self.read(server.url), 1)
        self.assertEqual([received.connection for received in server.received], [1, 2])

    def test_repeated_once(self) -> None:
        server = self.serve(reset, reset, answer(1))
        with self.assertRaises(EngineOutcomeUnknown):
            self.read(server.url)
        self.assertEqual(len(server.received), 2)

    def test_repeated_after_a_refusal(self) -> None:
        server = self.serve(answer(1))
        connect, tries = transport._connect, []

        def second_time(*args: Any) -> socket.socket:
            tries.append(args)
            if len(tries) == 1:
                raise ConnectionRefusedError
            return connect(*args)

        with mock.patch.object(transport, "_connect", second_time):
            self.assertEqual(self.read(server.url), 1)

    def test_not_repeated_after_an_answer(self) -> None:
        for status in (404, 429, 500, 503):
            server = self.serve(raw(b"", status=status), answer(1))
            with self.assertRaises(EngineError):
                self.read(server.url)
            self.assertEqual(len(server.received), 1)


class TestConnections(TransportCase):
    def test_kept_alive(self) -> None:
        server = self.serve(answer(1), answer(2), answer(status=404), answer(4))
        self.read(server.url)
        self.write(server.url)
        with self.assertRaises(EngineRejected):
            self.read(server.url)
        self.read(server.url)
        self.assertEqual([received.connection for received in server.received], [1, 1, 1, 1])

    def test_kept_alive_from_one_thread_to_the_next(self) -> None:
        server = self.serve(answer(1), answer(2))
        for _ in range(2):
            thread = threading.Thread(target=self.read, args=(server.url,))
            thread.start()
            thread.join(PATIENCE)
        self.assertEqual([received.connection for received in server.received], [1, 1])

    def test_not_shared_at_the_same_time(self) -> None:
        both = threading.Barrier(2)

        def together(peer: Peer, received: Received) -> bool | None:
            both.wait(PATIENCE)
            return answer(1)(peer, received)

        server = self.serve(together, together)
        threads = [threading.Thread(target=self.read, args=(server.url,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(sorted(received.connection for received in server.received), [1, 2])

    def test_change_on_a_connection_that_answered_just_now(self) -> None:
        server = self.serve(answer(1), answer(2))
        self.read(server.url)
        self.write(server.url)
        self.assertEqual([received.connection for received in server.received], [1, 1])

    def test_just_now_is_sooner_than_servers_close(self) -> None:
        # Node.js closes what is idle for 5 s; others later.
        self.assertTrue(0 < JUST_NOW < 5)

    def test_change_on_a_new_connection_otherwise(self) -> None:
        # The first one is reset as soon as it is used again, as a stale one is.
        def by_connection(received: Received) -> Any:
            seen = [each.connection for each in server.received].count(received.connection)
            return answer(received.connection) if seen == 1 else reset

        server = self.serve(script=by_connection)
        with mock.patch.object(transport, "FRESH_FOR_WRITES", 0.0):
            self.read(server.url)
            self.assertEqual(self.write(server.url), 2)

    def test_answer_of_one_host_does_not_vouch_for_another(self) -> None:
        one, two = self.serve(answer(1), answer(2)), self.serve(answer(3), answer(4))
        self.write(one.url)
        self.write(two.url)
        self.transport._idle[-1]._answered[f"127.0.0.1:{one.port}"] -= 7200
        self.write(two.url)
        self.write(one.url)
        self.assertEqual([received.connection for received in one.received], [1, 2])
        self.assertEqual([received.connection for received in two.received], [1, 1])

    def test_read_on_a_connection_that_is_too_old(self) -> None:
        server = self.serve(answer(1), answer(2))
        with mock.patch.object(transport, "FRESH_FOR_READS", 0.0):
            self.read(server.url)
            self.read(server.url)
        self.assertEqual([received.connection for received in server.received], [1, 2])

    def test_connection_that_failed_is_not_used_again(self) -> None:
        def late(peer: Peer, received: Received) -> None:
            peer.wait(4.0)
            answer("the answer to the first")(peer, received)

        server = self.serve(late, answer("the answer to the second"))
        with self.assertRaises(EngineOutcomeUnknown):
            self.write(server.url, AfterSending(0.5))
        self.assertEqual(self.write(server.url), "the answer to the second")

    def test_close(self) -> None:
        server = self.serve(answer(1), answer(2))
        self.read(server.url)
        self.transport.close()
        self.read(server.url)
        self.assertEqual(self.transport._idle, [])
        self.assertEqual([received.connection for received in server.received], [1, 2])

    def test_idle_sessions_are_bounded(self) -> None:
        server = self.serve(script=lambda _received: answer(1))
        with mock.patch.object(transport, "MAX_IDLE_SESSIONS", 0):
            self.read(server.url)
        self.assertEqual(self.transport._idle, [])

    def test_no_proxy_no_netrc_no_cookie(self) -> None:
        server = self.serve(answer(1, headers="Set-Cookie: a=1; Path=/\r\n"), answer(2))
        self.stack.enter_context(
            mock.patch.dict("os.environ", {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""})
        )
        self.stack.enter_context(
            mock.patch("requests.sessions.get_netrc_auth", return_value=("user", "password"))
        )
        self.read(server.url, headers={"Authorization": "Bearer mine"})
        self.read(server.url, headers={"Authorization": "Bearer mine"})
        for received in server.received:
            self.assertEqual(received.headers["authorization"], "Bearer mine")
            self.assertNotIn("cookie", received.headers)


class TestWords(TransportCase):
    """What is told of a request holds no identifier, header, secret or body."""

    SECRET = "key-4711-secret"
    HIDDEN = ("member-1", SECRET, "mia@example.com", "127.0.0.1", '{"a":1}')

    def setUp(self) -> None:
        super().setUp()
        self.told = self.stack.enter_context(everything_logged())

    def options(self) -> dict[str, Any]:
        return {
            "headers": {"X-Api-Key": self.SECRET},
            "secrets": (self.SECRET, "member-1"),
            "reference": "00012-003-0007",
        }

    def assert_hidden(self, text: str) -> None:
        for hidden in self.HIDDEN:
            self.assertNotIn(hidden, text)

    def test_log(self) -> None:
        server = self.serve(answer({"name": "mia@example.com"}), reset, reset, answer(status=404))
        self.read(server.url, **self.options())
        for _ in range(2):
            with self.assertRaises(EngineError):
                self.read(server.url, **self.options())
        with self.assertRaises(EngineError):
            self.read("http://127.0.0.1:1", **self.options())
        told = self.told.getvalue()
        self.assertIn("GET /users/{id} 200 ok", told)
        self.assertIn("GET /users/{id} - EngineOutcomeUnknown", told)
        self.assertIn("GET /users/{id} 404 EngineRejected", told)
        self.assertIn("00012-003-0007", told)
        self.assert_hidden(told)

    def test_log_of_others_is_left_alone(self) -> None:
        server = self.serve(answer(1))
        requests.get(f"{server.url}/of/another", timeout=PATIENCE)
        self.assertIn("/of/another", self.told.getvalue())

    def test_debugging_of_http_prints_nothing(self) -> None:
        server = self.serve(answer(1))
        printed = io.StringIO()
        with (
            mock.patch.object(http.client.HTTPConnection, "debuglevel", 1),
            redirect_stdout(printed),
        ):
            self.read(server.url, **self.options())
        self.assertEqual(printed.getvalue(), "")

    def test_errors(self) -> None:
        words = f"User member-1 <mia@example.com> of {self.SECRET}\r\n\x1b[31m\u202eis no \x00one"
        body = {"message": words + "!" * 9999, "code": self.SECRET}
        server = self.serve(
            answer(body, status=404, envelope=None),
            answer(body, status=500, envelope=None),
            answer(body, status=401, envelope=None),
            reset,
            raw(b"mia@example.com"),
        )
        for kind in (
            EngineRejected,
            EngineOutcomeUnknown,
            EngineAuthFailed,
            EngineOutcomeUnknown,
            EngineAnswerUnreadable,
        ):
            with self.assertRaises(kind) as caught:
                self.write(server.url, **self.options())
            error = caught.exception
            self.assert_hidden(str(error))
            self.assert_hidden(repr(error))
            self.assert_hidden(repr(vars(error)))
            self.assertIsNone(error.__cause__)
            self.assertIsNone(error.__context__, "its text has the path in it")
            self.assertEqual(error.endpoint, "POST /events")
            self.assertLess(len(str(error)), 500)
            self.assertTrue(str(error).isprintable())

    def test_observer(self) -> None:
        seen: list[Any] = []
        self.transport = self.make_transport(observe=lambda *call: seen.append(call))
        server = self.serve(answer(1), raw(b"", status=429))
        self.read(server.url)
        with self.assertRaises(EngineThrottled):
            self.read(server.url)
        self.assertEqual(
            [call[:2] for call in seen],
            [("GET /users/{id}", "ok"), ("GET /users/{id}", "EngineThrottled")],
        )

    def test_observer_that_fails(self) -> None:
        self.transport = self.make_transport(observe=mock.Mock(side_effect=ZeroDivisionError))
        server = self.serve(answer(1))
        self.assertEqual(self.write(server.url), 1)

    def test_headers(self) -> None:
        server = self.serve(answer(1))
        self.write(server.url, **self.options())
        headers = server.received[0].headers
        self.assertEqual(headers["accept"], "application/json")
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["accept-encoding"], "identity")
        self.assertEqual(json.loads(server.received[0].body), {"a": 1})

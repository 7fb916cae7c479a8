"""One request to the engine: its time limit, its connection, and what its end means.

`requests` carries the bytes. What it leaves open is settled here:

* Its time limit applies to each read, so that a server which drips one byte a second never meets
  it. Here the sockets themselves keep the deadline of the request that their thread is making.
* Whether a failed request may have reached the engine decides everything that follows. The sockets
  note when the first byte of a request goes out; exceptions are not guessed from.
* A kept-alive connection may have died unnoticed, and then turns a plain reset into an unknown
  outcome. What changes something goes on one that answered seconds ago, or on a new one.
* `urllib3` logs whole paths, with identifiers. In our requests it is silent; we log the template.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection

from . import answers
from .errors import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineThrottled,
    EngineUnreachable,
    describe_failure,
)
from .settings import check_deadline

#: Largest answer that is read, in bytes.
MAX_ANSWER = 8 * 1024 * 1024
#: Seconds since its last answer for which a connection is trusted with a change. Usual servers
#: close an idle one after 5 s or more.
FRESH_FOR_WRITES = 3.0
#: The same for a read, which may be repeated. Later a firewall may have forgotten the connection.
FRESH_FOR_READS = 50.0
#: Sessions kept for the next request; more are closed after theirs.
MAX_IDLE_SESSIONS = 16
#: Longest wait that a Retry-After is believed, in seconds.
MAX_RETRY_AFTER = 3600.0

#: 4xx that don't say whether the thing was done: too slow, in conflict, too early.
_UNCLEAR_STATUSES = frozenset({408, 409, 425})

#: Called after each request: endpoint template, "ok" or the error's class, milliseconds.
Observer = Callable[[str, str, float], None]

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)


class Deadline:
    """The moment at which a call with everything that it needs must have ended."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + check_deadline(seconds)

    def remaining(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self._ends - time.monotonic())

    def part(self, share: float) -> Deadline:
        """Return a deadline for a share of what is left."""
        part = Deadline.__new__(Deadline)
        part._ends = time.monotonic() + self.remaining() * share
        return part


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came: `content` is None where the server says that there is none."""

    status: int
    content: bytes | None = field(repr=False)
    retry_after: float | None = None
    #: The server's clock by its Date header, in whole seconds.
    date: datetime | None = None


@dataclass(frozen=True)
class Request:
    """A request. `endpoint` names it in logs and errors; `url` holds identifiers, is in neither."""

    endpoint: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    #: Repeating it changes nothing, so that it may be repeated.
    is_read: bool = False
    #: Values that must not come back in an error's text.
    secrets: tuple[str, ...] = field(default=(), repr=False)
    #: Our own word for it in the log.
    reference: str = ""

    @property
    def method(self) -> str:
        return self.endpoint.partition(" ")[0]


class Transport:
    """Makes requests. Sessions are used by one thread at a time and kept alive between them.

    They are lent rather than kept per thread, because Odoo's threaded server answers each till's
    request in a thread of its own: a session per thread would never be used twice.
    """

    def __init__(self, ca_file: str = "", observe: Observer | None = None) -> None:
        self._ca_file = ca_file
        self._observe = observe
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._context: ssl.SSLContext | None = None
        self._closed = False

    def close(self) -> None:
        """Close idle connections; one that is in use is closed after its request."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def call(
        self, request: Request, deadline: Deadline, judge: Callable[[Answer, Request], _T]
    ) -> _T:
        """Make `request` and return what `judge` makes of the answer.

        Raises an EngineError. A read is repeated once, on a new connection, where the first was
        refused or lost and time is left.
        """
        begun = time.monotonic()
        status, outcome = 0, "ok"
        try:
            answer = self._exchange(request, deadline)
            status = answer.status
            return judge(answer, request)
        except BaseException as error:
            outcome = type(error).__name__
            if isinstance(error, EngineError):
                error.endpoint = request.endpoint
            raise
        finally:
            self._tell(request, status, outcome, (time.monotonic() - begun) * 1000)

    def _exchange(self, request: Request, deadline: Deadline) -> Answer:
        end = self._attempt(request, deadline)
        if isinstance(end, _Failure) and end.may_pass and request.is_read and deadline.remaining():
            end = self._attempt(request, deadline, fresh=0.0)
        if isinstance(end, _Failure):
            # Raised here, out of reach of the exception behind it: its text has the path in it.
            raise end.error
        return end

    def _attempt(
        self, request: Request, deadline: Deadline, fresh: float | None = None
    ) -> Answer | _Failure:
        if deadline.remaining() <= 0:
            return _Failure(EngineUnreachable("no time left to send it"))
        if fresh is None:
            fresh = FRESH_FOR_READS if request.is_read else FRESH_FOR_WRITES
        with self._lend() as line, _running.until(deadline):
            line.drop_unless_fresh(request.url, fresh)
            try:
                answer = line.send(request, deadline)
            except Exception as error:
                if not _running.sent and not isinstance(error, _NETWORK_ERRORS):
                    raise
                return _failure(error, _running.sent)
            line.answered(request.url)
            return answer

    @contextlib.contextmanager
    def _lend(self) -> Iterator[_Line]:
        with self._lock:
            # The last one returned: its connections are the freshest.
            line = self._idle.pop() if self._idle else None
        if line is None:
            line = _Line(self._tls())
        try:
            yield line
        except BaseException:
            line.close()
            raise
        with self._lock:
            kept = not self._closed and len(self._idle) < MAX_IDLE_SESSIONS
            if kept:
                self._idle.append(line)
        if not kept:
            line.close()

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            # Once: reading the authorities takes longer than a handshake.
            if self._context is None:
                context = ssl.create_default_context(cafile=self._ca_file or DEFAULT_CA_BUNDLE_PATH)
                context.sslsocket_class = _TLSSocket
                self._context = context
            return self._context

    def _tell(self, request: Request, status: int, outcome: str, milliseconds: float) -> None:
        _logger.debug(
            "%s %s %s %.0f ms %s",
            request.endpoint,
            status or "-",
            outcome,
            milliseconds,
            request.reference,
        )
        if self._observe:
            try:
                self._observe(request.endpoint, outcome, milliseconds)
            except Exception:
                _logger.exception("The observer of the engine's calls failed.")


def judge_envelope(answer: Answer, request: Request) -> Any:
    """Return `data` of a successful answer (D-BEN, D-RECEIPTS), or raise what the answer means.

    `status` in the envelope is success, fail or error (C-REACT); any 2xx will do (C-SPEC). None
    where the server says that there is no content.
    """
    document, code, message = read_failure(answer, request)
    reason = describe_failure(answer.status, code, message)
    if answer.status == 429:
        raise EngineThrottled(answer.retry_after)
    if answer.status in (401, 403):
        raise EngineAuthFailed(reason, status=answer.status)
    if 400 <= answer.status < 500 and answer.status not in _UNCLEAR_STATUSES:
        raise EngineRejected(answer.status, code, message)
    if not 200 <= answer.status < 300:
        raise EngineOutcomeUnknown(reason, status=answer.status)
    if answer.content is None:
        return None
    verdict = document.get("status") if isinstance(document, dict) else None
    if verdict == "fail":
        raise EngineRejected(answer.status, code, message)
    if verdict == "error":
        raise EngineOutcomeUnknown(reason, status=answer.status)
    if verdict == "success" or (
        isinstance(document, dict) and "status" not in document and "data" in document
    ):
        return document.get("data")
    raise EngineAnswerUnreadable("the answer is not the engine's", status=answer.status)


def read_failure(answer: Answer, request: Request) -> tuple[Any, str, str]:
    """Return (document, code, message): what an answer says of a failure, cleaned."""
    try:
        document = answers.parse_json(answer.content or b"")
    except EngineAnswerUnreadable:
        return None, "", ""
    return document, *answers.read_failure(document, request.secrets)


class _Running(threading.local):
    """What this thread's request must keep: its sockets ask, and tell when it goes out."""

    deadline: Deadline | None = None
    sent = False

    @contextlib.contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        self.deadline, self.sent = deadline, False
        try:
            yield
        finally:
            self.deadline = None


_running = _Running()


class _KeepsDeadline:
    """For a socket: every wait ends with the request's deadline, and sending is noted."""

    def _limit(self) -> None:
        if _running.deadline is not None:
            left = _running.deadline.remaining()
            if left <= 0:
                raise TimeoutError("the deadline has passed")
            self.settimeout(left)  # type: ignore[attr-defined]

    def do_handshake(self, *args: Any) -> None:
        self._limit()
        super().do_handshake(*args)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        self._limit()
        return super().recv_into(*args)  # type: ignore[misc, no-any-return]

    def send(self, *args: Any) -> int:
        self._limit()
        _running.sent = True
        return super().send(*args)  # type: ignore[misc, no-any-return]

    def sendall(self, *args: Any) -> None:
        self._limit()
        _running.sent = True
        super().sendall(*args)  # type: ignore[misc]


class _PlainSocket(_KeepsDeadline, socket.socket):
    pass


class _TLSSocket(_KeepsDeadline, ssl.SSLSocket):
    pass


class _PlainConnection(HTTPConnection):
    # Switched on for the whole process it would print every header.
    debuglevel = 0

    def connect(self) -> None:
        self.sock = _connect(self.host, self.port)


class _TLSConnection(HTTPSConnection):
    debuglevel = 0

    def connect(self) -> None:
        plain = _connect(self.host, self.port)
        try:
            self.sock = self.ssl_context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        self.is_verified = True


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=4, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs["ssl_context"] = self._context
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def drop_connections(self) -> None:
        self.poolmanager.clear()


class _Session(requests.Session):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        # A .netrc would replace our Authorization, a proxy of the environment see our traffic.
        self.trust_env = False
        # Nothing is carried from one member's request to the next.
        self.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = "pos-loyalty-engine"
        self.adapters.clear()
        self.adapter = _Adapter(context)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        # Even when it isn't to follow, a redirect's whole body would be read to look for one.
        return None


class _Line:
    """A session with its connections, and when each host last answered on it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._session = _Session(context)
        self._answered: dict[str, float] = {}

    def close(self) -> None:
        self._answered.clear()
        self._session.close()

    def answered(self, url: str) -> None:
        self._answered[urlsplit(url).netloc] = time.monotonic()

    def drop_unless_fresh(self, url: str, seconds: float) -> None:
        last = self._answered.get(urlsplit(url).netloc)
        if last is not None and time.monotonic() - last >= seconds:
            self._answered.clear()
            self._session.adapter.drop_connections()

    def send(self, request: Request, deadline: Deadline) -> Answer:
        headers = {
            "Accept": "application/json",
            # What is not compressed can't grow while it is read.
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        prepared = self._session.prepare_request(
            requests.Request(request.method, request.url, headers=headers, data=request.body)
        )
        response = self._session.send(
            prepared,
            # One number, and never the only limit: Odoo's tests compare it with 10, and raise it.
            timeout=max(deadline.remaining(), 0.001),
            allow_redirects=False,
            stream=True,
        )
        with response:
            return Answer(
                status=response.status_code,
                content=_read_body(response),
                retry_after=_read_retry_after(response.headers.get("Retry-After", "")),
                date=_read_date(response.headers.get("Date", "")),
            )


class _UnreadableBody(Exception):
    """The body can't be taken as it is."""


def _read_body(response: requests.Response) -> bytes | None:
    declared = response.headers.get("Content-Length", "")
    chunks, size = [], 0
    while chunk := response.raw.read(65536, decode_content=False):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER:
            raise _UnreadableBody("the answer is too large")
    if declared.isdecimal() and size < int(declared):
        raise _UnreadableBody("the answer is cut off")
    if not size and (declared == "0" or response.status_code == 204):
        return None
    return b"".join(chunks)


def _read_retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After, which may also name a date (RFC 9110)."""
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        seconds = float(value)
    else:
        moment = _read_date(value)
        if moment is None:
            return None
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _read_date(value: str) -> datetime | None:
    """Return a date of HTTP's (RFC 9110), always in UTC; None for anything else."""
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError):
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


def _connect(host: str, port: int) -> socket.socket:
    deadline = _running.deadline
    assert deadline is not None
    addresses = _resolve(host, port, deadline)
    failure: OSError = OSError("the host has no address")
    for tried, (family, kind, protocol, _name, address) in enumerate(addresses):
        left = deadline.remaining()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        sock = _PlainSocket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # One silent address must not use up the time of those after it.
            sock.settimeout(left / (len(addresses) - tried))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure


def _resolve(host: str, port: int, deadline: Deadline) -> list[Any]:
    """Look a host up, in a thread: the resolver knows no time limit but its own, longer one."""
    found: SimpleQueue[Any] = SimpleQueue()

    def look_up(flags: int = 0) -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
        except (OSError, UnicodeError) as error:
            found.put(error)

    look_up(socket.AI_NUMERICHOST)
    addresses: Any = found.get()
    if isinstance(addresses, Exception):
        threading.Thread(target=look_up, name="loyalty-engine-dns", daemon=True).start()
        try:
            addresses = found.get(timeout=deadline.remaining())
        except Empty:
            raise TimeoutError("the host was not found in time") from None
    if isinstance(addresses, UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "the host's name is malformed")
    if isinstance(addresses, Exception):
        raise addresses
    return list(addresses)


@dataclass(frozen=True)
class _Failure:
    error: EngineError
    #: A second try may fare better: the connection was refused or lost, not slow.
    may_pass: bool = False


_NETWORK_ERRORS = (
    OSError,
    http.client.HTTPException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    _UnreadableBody,
)


def _failure(error: Exception, sent: bool) -> _Failure:
    """Say what an exception means, in words without its own: they hold the path."""
    chain = list(_chain(error))
    if isinstance(error, _UnreadableBody):
        return _Failure(EngineAnswerUnreadable(str(error)))
    slow = any(isinstance(link, TimeoutError) for link in chain)
    if sent:
        words = "no answer in time" if slow else "the connection was lost before the answer"
        return _Failure(EngineOutcomeUnknown(words), may_pass=not slow)
    for kind, words, may_pass in (
        (socket.gaierror, "the host's name was not found", True),
        (ConnectionRefusedError, "the connection was refused", True),
        (ssl.SSLCertVerificationError, "the host's certificate is not trusted", False),
        (TimeoutError, "no connection in time", False),
        (ssl.SSLError, "the TLS handshake failed", False),
    ):
        if any(isinstance(link, kind) for link in chain):
            return _Failure(EngineUnreachable(words), may_pass)
    return _Failure(EngineUnreachable("no connection"), may_pass=True)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class _NotOurs(logging.Filter):
    """Drops what urllib3 logs of our requests: whole paths, with the members' identifiers."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _running.deadline is None


for _name in ("connectionpool", "connection", "poolmanager", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_NotOurs())

"""The admin token: one for all threads, kept for its life, fetched anew before its end."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from . import answers
from .errors import (
    EngineAuthFailed,
    EngineError,
    EngineOutcomeUnknown,
    EngineThrottled,
    EngineUnreachable,
    describe_failure,
)
from .settings import EngineSettings
from .transport import Answer, Deadline, Request, Transport, read_failure

#: Seconds that a token is trusted for where the answer names none, and the most that is believed:
#: tokens live 24 hours (D-TOKEN).
UNTOLD_LIFE = 3600.0
LONGEST_LIFE = 24 * 3600.0
#: A token is renewed this many seconds before its end, or for its last tenth if it lives shortly.
RENEW_BEFORE = 300.0
#: Seconds between two fetches that something went wrong in: "a token per call may result in
#: throttling or extra usage costs" (D-TOKEN).
PAUSE = 60.0


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float
    ends_at: float


class AdminToken:
    """Fetches the admin token (client credentials, D-TOKEN, C-SDK) and keeps it for all threads."""

    def __init__(
        self,
        settings: EngineSettings,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._no_renewal_before = float("-inf")

    def get(self, deadline: Deadline) -> str:
        """Return a token that is valid by what the engine said of it.

        Whatever goes wrong here, the request that needs the token has not been sent:
        EngineUnreachable, EngineThrottled or EngineAuthFailed, never an unknown outcome.
        """
        token, now = self._token, self._clock()
        if token is None or now >= token.ends_at:
            return self._replace(token, deadline)
        if now >= token.renew_at and self._lock.acquire(blocking=False):
            # One thread renews; the others, and this one if it fails, go on with what they have.
            try:
                if self._token is token:
                    return self._fetch(deadline.part(0.5))
            except EngineError:
                self._token = replace(token, renew_at=now + PAUSE)
            finally:
                self._lock.release()
        return token.value

    def renew(self, refused: str, deadline: Deadline) -> str | None:
        """Return a token in place of one that the engine refused.

        None where that would not help: one was fetched after a refusal less than a minute ago.
        """
        with self._held(deadline):
            token = self._token
            if token is not None and token.value != refused:
                return token.value
            if self._clock() < self._no_renewal_before:
                return None
            self._no_renewal_before = self._clock() + PAUSE
            return self._fetch(deadline)

    def _replace(self, old: _Token | None, deadline: Deadline) -> str:
        with self._held(deadline):
            token = self._token
            if token is not None and token is not old:
                return token.value
            return self._fetch(deadline)

    @contextlib.contextmanager
    def _held(self, deadline: Deadline) -> Iterator[None]:
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise EngineUnreachable("another thread did not get a token in time")
        try:
            yield
        finally:
            self._lock.release()

    def _fetch(self, deadline: Deadline) -> str:
        settings = self._settings
        if not settings.client_id:
            raise EngineAuthFailed("the connection has no client id and secret")
        body = {
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "audience": settings.audience,
            "grant_type": "client_credentials",
        }
        request = Request(
            endpoint="POST token",
            url=settings.token_url,
            body=json.dumps(body).encode("ascii"),
            # Fetching a token twice does no harm.
            is_read=True,
            secrets=(settings.client_secret, settings.client_id),
        )
        begun = self._clock()
        try:
            value, life = self._transport.call(request, deadline, _judge_token)
        except EngineOutcomeUnknown as error:
            unknown = EngineUnreachable(f"no token: {error.reason}", endpoint=error.endpoint)
            raise unknown from None
        life = min(life or UNTOLD_LIFE, LONGEST_LIFE)
        self._token = _Token(
            value=value,
            renew_at=begun + life - min(RENEW_BEFORE, life / 10),
            ends_at=begun + life,
        )
        return value


def _judge_token(answer: Answer, request: Request) -> tuple[str, float | None]:
    document, code, message = read_failure(answer, request)
    reason = describe_failure(answer.status, code, message)
    if answer.status == 429:
        raise EngineThrottled(answer.retry_after)
    if 400 <= answer.status < 500:
        raise EngineAuthFailed(f"no token: {reason}", status=answer.status)
    if not 200 <= answer.status < 300:
        raise EngineUnreachable(f"no token: {reason}")
    return answers.read_token(document)

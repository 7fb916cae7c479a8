"""What a failed call says about its effect, because that decides what may be done next.

Every error has two class attributes: `nothing_happened` (the engine did nothing with the request)
and `may_resend` (the same bytes may go again: that can neither do the thing twice nor is it
hopeless). No text here ever holds a header, a secret, a code or a profile.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .answers import Event

#: Longest text of the engine's own that is kept, in characters.
MESSAGE_LIMIT = 300


class EngineError(Exception):
    """A call to the engine did not do what it was made for.

    `endpoint` is the method and path template, such as "GET /users/{id}"; never an id.
    """

    nothing_happened: ClassVar[bool] = False
    may_resend: ClassVar[bool] = False

    def __init__(self, reason: str, *, endpoint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.endpoint = endpoint

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.reason}" if self.endpoint else self.reason


class EngineUnreachable(EngineError):
    """Nothing was sent: refused, no address, TLS handshake failed, connect time-out, no token."""

    nothing_happened = True
    may_resend = True


class EngineRejected(EngineError):
    """The engine said no: a 4xx, or a 2xx whose envelope says `fail`.

    Nothing happened if these bytes went for the first time. The answer to a second sending may mean
    that the first one was done: look before believing it. `status` is the HTTP status, `code` and
    `message` are the engine's own words, cleaned ("" where it said none).
    """

    nothing_happened = True
    may_resend = False

    def __init__(
        self, status: int, code: str = "", message: str = "", *, endpoint: str = ""
    ) -> None:
        super().__init__(describe_failure(status, code, message), endpoint=endpoint)
        self.status = status
        self.code = code
        self.message = message


class EngineThrottled(EngineError):
    """HTTP 429: too many requests (100/s with bursts of 400 for an API key, D-REWARDS).

    `retry_after`: seconds to wait as the engine asks, or None where it names none.
    """

    nothing_happened = True
    may_resend = True

    def __init__(self, retry_after: float | None = None, *, endpoint: str = "") -> None:
        wait = "" if retry_after is None else f", wait {retry_after:g} s"
        super().__init__(f"HTTP 429, too many requests{wait}", endpoint=endpoint)
        self.retry_after = retry_after


class EngineAuthFailed(EngineError):
    """Refused for want of rights (401 or 403, with a fresh token), or not set up to be sent at all.

    The same bytes may go again once the owner has mended the connection; until then each try fails.
    `status` is None where nothing was asked because credentials or an address are missing.
    """

    nothing_happened = True
    may_resend = True

    def __init__(self, reason: str, *, status: int | None = None, endpoint: str = "") -> None:
        super().__init__(reason, endpoint=endpoint)
        self.status = status


class EngineOutcomeUnknown(EngineError):
    """It may have happened, or may still happen: look it up before anything else.

    Read time-out, reset, 3xx, 408, 409, 425, 5xx, an envelope that says `error`, an unreadable
    answer. `status` is the HTTP status, or None where none came.
    """

    nothing_happened = False
    may_resend = False

    def __init__(self, reason: str, *, status: int | None = None, endpoint: str = "") -> None:
        super().__init__(reason, endpoint=endpoint)
        self.status = status


class EngineAnswerUnreadable(EngineOutcomeUnknown):
    """The engine answered, and what it says can't be understood without guessing."""


class EngineLookupIncomplete(EngineOutcomeUnknown):
    """A search ended before it had seen enough for all that it was for.

    `found` holds what it did find, `undecided` what may still be there. Anything else is not there.
    """

    def __init__(
        self,
        reason: str,
        *,
        found: Mapping[str, Event] | None = None,
        undecided: Collection[str] = (),
        endpoint: str = "",
    ) -> None:
        super().__init__(reason, endpoint=endpoint)
        self.found = dict(found or {})
        self.undecided = frozenset(undecided)


class EngineLookupCutShort(EngineLookupIncomplete):
    """The time for a search was over while the engine still answered: another one may get further.

    It says nothing against the engine.
    """


def describe_failure(status: int, code: str = "", message: str = "") -> str:
    """Return an HTTP status with the engine's own, already cleaned words."""
    return ", ".join(filter(None, (f"HTTP {status}", code, message)))


def clean_text(text: object, secrets: Iterable[str] = (), limit: int = MESSAGE_LIMIT) -> str:
    """Return text of the engine's that may be stored and shown: one line, bounded, without secrets.

    `secrets` are the values that must not come back (keys, tokens, the identifier asked for), in
    capital letters or small ones. Addresses of mail are masked too: an auth identifier often is
    one.
    """
    if not isinstance(text, str):
        return ""
    # Before anything is cut: half a secret is still one.
    for secret in secrets:
        if secret:
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    start = text[: 4 * limit]
    start = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in start)
    words = ["***" if "@" in word else word for word in start.split()]
    if len(text) > len(start):
        # Half a word may be half an address.
        words[-1:] = ["…"]
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1] + "…"

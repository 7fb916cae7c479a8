"""The Loyalty Engine's endpoints, in its own words."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from . import answers, bodies
from .answers import (
    Benefit,
    Event,
    EventType,
    OrderReceipt,
    Reactions,
    Tier,
    User,
    VoucherCheck,
    Wallet,
)
from .bodies import Position
from .credentials import AdminToken
from .errors import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupCutShort,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineUnreachable,
)
from .settings import EngineSettings
from .transport import Answer, Deadline, Observer, Request, Transport, judge_envelope

_T = TypeVar("_T")

#: Most entries that a list gives at once (C-SPEC `ListQueryParams`).
MAX_LIMIT = 1000
#: Events read at once in a search: on its first page, and at most, because their payloads, whole
#: baskets, must fit into one answer.
SEARCH_PAGE = 200
LARGEST_SEARCH_PAGE = 500
#: Wallets read at once beside their users, over all threads that share a client.
MEMBER_THREADS = 8
#: Disorder in a list of events that is still called newest first: clocks differ a little.
ORDER_TOLERANCE = timedelta(minutes=1)

_LONGEST_IDENTIFIER = 512  # C-SPEC, of the auth identifier
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SETTING_NAME = re.compile(r"[a-zA-Z./]{2,64}")  # C-SPEC


class LoyaltyEngineClient:
    """Speaks to one tenant of the engine; one for many threads.

    Every method takes `deadline`, the seconds for the whole call with everything that it needs (a
    token, a second page), and raises a subclass of `EngineError`; ValueError means that an argument
    can't be asked for at all, and nothing was. What changes something is sent once; a read is
    repeated once where the connection failed and time is left. Every request carries the API key
    (D-AUTH) and, but for events with a secret of their own, the admin token (D-ADMIN).

    `observe(endpoint, outcome, milliseconds)` is called after every request, in the thread that
    made it; outcome is "ok" or the name of the error's class. Make a client after a fork.
    """

    def __init__(self, settings: EngineSettings, observe: Observer | None = None) -> None:
        self.settings = settings
        self._transport = Transport(settings.ca_file, observe)
        self._token = AdminToken(settings, self._transport)
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> LoyaltyEngineClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. Calls that still run end as they would; later ones still work."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads:
            threads.shutdown(wait=False)
        self._transport.close()

    # Members

    def get_user(self, identifier: str, *, deadline: float | None = None) -> User:
        """Return the member with this engine id or account number (D-TX).

        Whether an auth identifier is found too is not published. `EngineRejected` with status 404:
        there is none (I). ValueError for what can't stand in a path: empty, longer than 512, "." or
        "..", control characters. Default deadline: `settings.deadline`.
        """
        return self._get_user(identifier, self._waited_for(deadline))

    def get_wallet(self, user_id: str, *, deadline: float | None = None) -> Wallet:
        """Return what the member with this engine id has: points, tier, vouchers (C-SPEC, S).

        A balance that the answer doesn't tell beyond doubt is None. Default deadline:
        `settings.deadline`.
        """
        return self._get_wallet(user_id, self._waited_for(deadline))

    def get_member(self, identifier: str, *, deadline: float | None = None) -> tuple[User, Wallet]:
        """Return member and wallet, in the time of one round trip where that can be.

        Both are asked for at once where `identifier` is an engine id (a UUID, D-USER); an account
        number needs the user's answer first, because the wallet's path takes the id (C-SPEC).
        Raises what `get_user` raises; where only the wallet fails, its balance is None and
        `wallet.error` says why. Default deadline: `settings.deadline`.
        """
        ends = self._waited_for(deadline)
        if not _UUID.fullmatch(identifier):
            user = self._get_user(identifier, ends)
            return user, self._try_wallet(user.id, ends)
        wallet = self._start(self._try_wallet, identifier, ends)
        return self._get_user(identifier, ends), self._wallet_of(wallet, ends)

    def list_tiers(self, *, deadline: float | None = None) -> list[Tier]:
        """Return the tenant's tiers (C-SPEC `GET /tiers`).

        Default deadline: `settings.deadline`.
        """
        return self._read(
            "/tiers",
            read=lambda data: answers.read_list(data, answers.read_tier, "tiers"),
            ends=self._waited_for(deadline),
            query=self._locale(),
        )

    def get_setting(self, name: str, *, deadline: float | None = None) -> str:
        """Return a setting of the tenant's, a text, such as `pointsCurrencyValue` (D-PTS, C-SPEC).

        ValueError for a name that no setting can have. Default deadline: `settings.deadline`.
        """
        if not _SETTING_NAME.fullmatch(name):
            raise ValueError("A setting's name has 2 to 64 letters, dots and slashes.")
        return self._read(
            "/settings/{name}", name, read=answers.read_setting, ends=self._waited_for(deadline)
        )

    # Events

    def list_event_types(self, *, deadline: float | None = None) -> list[EventType]:
        """Return the tenant's event types, at most 1000 (C-SPEC).

        Default deadline: `settings.deadline`.
        """
        return self._read(
            "/event_types",
            read=lambda data: answers.read_list(data, answers.read_event_type, "event types"),
            ends=self._waited_for(deadline),
            query={"limit": str(MAX_LIMIT), "order": "ASC"},
        )

    def get_event_type(self, name: str, *, deadline: float | None = None) -> EventType:
        """Return one event type with its schema (C-SPEC `GET /event_types/{identifier}`).

        That its name is an identifier is (I). Default deadline: `settings.deadline`.
        """
        return self._read(
            "/event_types/{name}",
            name,
            read=answers.read_event_type,
            ends=self._waited_for(deadline),
        )

    def report_event(
        self,
        body: bytes,
        *,
        reference: str = "",
        event_secret: str | None = None,
        deadline: float | None = None,
    ) -> Event:
        """Report an event: `POST /events`, sent once, never repeated (S, D-TUT1).

        `body` is what `bodies.build_sale_event` or `build_points_event` returns; `reference` is our
        word for it in logs. Goes with `event_secret`, the settings' own where it is None, and with
        the admin token where that is "": each private event type has a secret of its own. Points
        come some seconds later (D-REACT). Default deadline: `settings.background_deadline`.
        """
        return self._write(
            self.settings.rewards_url,
            "/events",
            body,
            read=answers.read_event,
            ends=self._in_background(deadline),
            reference=reference,
            event_secret=self.settings.event_secret if event_secret is None else event_secret,
        )

    def list_events(
        self,
        limit: int = 100,
        skip: int = 0,
        order: str = "DESC",
        where: Mapping[str, Any] | str | None = None,
        *,
        deadline: float | None = None,
    ) -> list[Event]:
        """Return reported events, 1 to 1000 after the first `skip` (C-SPEC `ListQueryParams`).

        By what "ASC" and "DESC" order is not published. `where` goes as `filter`, which has no
        published syntax; an object is sent as JSON (I). Default deadline:
        `settings.background_deadline`.
        """
        return self._list_events(limit, skip, order, where, self._in_background(deadline))

    def find_events(
        self,
        reference_path: str,
        references: Mapping[str, datetime],
        event_type: str,
        max_pages: int = 40,
        *,
        deadline: float | None = None,
    ) -> dict[str, Event]:
        """Return the events of `event_type` that carry one of `references`, by reference.

        `reference_path` leads to it in the payload, with dots ("transactionId", "order.id"; see
        `bodies.fact_path`). `references` tells of each from when on it can be there. Reads newest
        first, until each is found or events are older than that. Because it isn't published whether
        a list goes by when events occurred or were reported, older means by both: give the earlier
        of the two, less a margin for the engine's clock.

        A reference that is not in the result is not there. Where that can't be said,
        EngineLookupIncomplete is raised, with what was found: the search could not go back far
        enough for all of them, or the list tells no payloads; EngineLookupCutShort where only its
        time was over, or the list failed on the way. `deadline` is for all pages together, by
        default `settings.background_deadline`.
        """
        ends = self._in_background(deadline)
        keys = reference_path.split(".")
        found: dict[str, Event] = {}
        undecided = set(references)
        seen: set[str] = set()
        last: list[Event] = []
        newest_first, is_blind = True, False
        limit = SEARCH_PAGE
        for _page in range(max_pages if references else 0):
            try:
                events = self._list_events(limit, len(seen), "DESC", None, ends)
            except EngineError as error:
                is_over = not ends.remaining()
                ended = _end_of_search(error, is_over)
                if not seen or ended is None:
                    raise
                # What was seen before counts all the same.
                why = "no time left" if is_over else f"the list failed ({error})"
                raise ended(
                    f"{why} after {len(seen)} events",
                    found=found,
                    undecided=undecided,
                    endpoint="GET /events",
                ) from error
            # An empty page is the end; a short one may be the engine's own limit.
            if not events:
                undecided = set()
                break
            new = [event for event in events if event.id not in seen]
            seen.update(event.id for event in new)
            for event in new:
                reference = _value_at(event.payload, keys)
                if event.type == event_type and reference in references:
                    found.setdefault(reference, event)
                is_blind = is_blind or (event.type == event_type and event.payload is None)
            # In another order only the end of the list tells that there is no more.
            newest_first = newest_first and _fall(last + new)
            last = new[-1:] or last
            undecided = {
                reference
                for reference in references.keys() - found.keys()
                if not (newest_first and _older(last[0], references[reference]))
            }
            if not undecided:
                break
            if not new:
                raise EngineLookupIncomplete(
                    "the engine lists the same events again",
                    found=found,
                    undecided=undecided,
                    endpoint="GET /events",
                )
            limit = min(2 * limit, LARGEST_SEARCH_PAGE)
        if undecided:
            raise EngineLookupIncomplete(
                f"{max_pages} pages of events do not reach back far enough",
                found=found,
                undecided=undecided,
                endpoint="GET /events",
            )
        if is_blind and len(found) < len(references):
            raise EngineLookupIncomplete(
                "the engine lists events without their payload",
                found=found,
                undecided=references.keys() - found.keys(),
                endpoint="GET /events",
            )
        return found

    def get_event(self, event_id: str, *, deadline: float | None = None) -> Event:
        """Return a reported event (C-SPEC `GET /events/{id}`).

        Default deadline: `settings.background_deadline`.
        """
        return self._read(
            "/events/{id}", event_id, read=answers.read_event, ends=self._in_background(deadline)
        )

    def get_event_reactions(self, event_id: str, *, deadline: float | None = None) -> Reactions:
        """Return what an event has set off by now (C-SPEC `GET /events/{id}/reactions`).

        Default deadline: `settings.background_deadline`.
        """
        return self._get_reactions(event_id, self._in_background(deadline))

    def get_earned(
        self, event_id: str, user_id: str, *, deadline: float | None = None
    ) -> tuple[Reactions, Wallet]:
        """Return what an event has set off by now, and the wallet of its member, both asked for at
        once.

        Raises what `get_event_reactions` raises; where only the wallet fails, its balance is None
        and `wallet.error` says why. Default deadline: `settings.deadline`.
        """
        ends = self._waited_for(deadline)
        wallet = self._start(self._try_wallet, user_id, ends)
        return self._get_reactions(event_id, ends), self._wallet_of(wallet, ends)

    def test_reaction(self, body: bytes, *, deadline: float | None = None) -> Reactions:
        """Return what an event would set off, without reporting it.

        Its path has two published readings, hence a setting. That it has no effect is told by its
        name alone (C-SPEC "checkPossibleReactors") (I): it is treated as a change, and sent once.
        Default deadline: `settings.deadline`.
        """
        return self._write(
            self.settings.rewards_url,
            self.settings.test_reaction_path,
            body,
            read=answers.read_reactions,
            ends=self._waited_for(deadline),
        )

    def probe_event_secret(self, event_type: str, *, deadline: float | None = None) -> None:
        """See whether the event secret is refused, with an event that can't be taken.

        Its time has not the published form (C-SPEC `EventDefinition.occurredAt`), and it is about
        nobody: taken all the same, it would give no points. Returns where the engine refuses that;
        raises EngineAuthFailed where it refuses the secret. Whether it looks at the secret first is
        not published: to return is a good sign and no proof (I). Default deadline:
        `settings.deadline`.
        """
        ends = self._waited_for(deadline)
        body = json.dumps({"type": event_type, "occurredAt": "never", "payload": {}}).encode()
        with contextlib.suppress(EngineRejected):
            self._write(
                self.settings.rewards_url,
                "/events",
                body,
                read=lambda data: None,
                ends=ends,
                reference="probe",
                event_secret=self.settings.event_secret,
            )

    # Vouchers

    def get_benefit(self, benefit_id: str, *, deadline: float | None = None) -> Benefit:
        """Return a benefit (D-BEN `GET /benefits/{id}`), with the engine's clock.

        Default deadline: `settings.deadline`.
        """
        return self._read(
            "/benefits/{id}",
            benefit_id,
            read=answers.read_benefit,
            ends=self._waited_for(deadline),
            query=self._locale(),
        )

    def list_benefits(self, *, deadline: float | None = None) -> list[Benefit]:
        """Return benefits (C-SPEC `GET /benefits`), whose and how many is not published.

        A member's own are in the wallet. Default deadline: `settings.deadline`.
        """
        return self._read(
            "/benefits",
            read=lambda data: answers.read_list(data, answers.read_benefit, "benefits"),
            ends=self._waited_for(deadline),
            query=self._locale(),
        )

    def redeem_benefit(
        self,
        benefit_id: str,
        position: Position | None = None,
        *,
        reference: str = "",
        deadline: float | None = None,
    ) -> Benefit | None:
        """Make a benefit's code ready to be checked and burned (D-BEN): sent once.

        That it was redeemed is the answer's success; the benefit is None where the (unpublished)
        answer doesn't tell it. What a second time is answered with is not published either.
        BodyError for what can't be asked. Default deadline: `settings.deadline`.
        """
        return self._write(
            self.settings.rewards_url,
            "/commands/redeem_benefit",
            bodies.build_redeem_benefit(benefit_id, position),
            read=answers.read_redeemed,
            ends=self._waited_for(deadline),
            reference=reference,
        )

    def validate_voucher(
        self,
        code: str,
        allow_future_validation: bool,
        user_identifier: str = "",
        venue_identifier: str = "",
        position: Position | None = None,
        reference: str = "",
        *,
        deadline: float | None = None,
    ) -> VoucherCheck:
        """Check a code, or burn it where `allow_future_validation` is False (S): sent once.

        A burn is final (S). Its code must be that of a redeemed benefit (S, D-VOU); it is passed as
        it is, and comes back in no log, error or repr. `user_identifier` and `venue_identifier` say
        who uses it and where (C-SPEC); which identifiers count is not published. A check that
        succeeds may still tell of a `burned_at`: read it. BodyError, without the code, for what
        can't be asked. Default deadline: `settings.deadline`.
        """
        return self._write(
            self.settings.rewards_url,
            "/commands/validate_voucher",
            bodies.build_validate_voucher(
                code, allow_future_validation, user_identifier, venue_identifier, position
            ),
            read=answers.read_voucher_check,
            ends=self._waited_for(deadline),
            reference=reference,
            # An error may tell the code without the blanks around it.
            secrets=(code, code.strip(), user_identifier),
        )

    def list_discounts(self, reward_id: str, *, deadline: float | None = None) -> list[Any]:
        """Return a reward's discounts as they come (C-SPEC), for `discounts.read_discounts`.

        Default deadline: `settings.deadline`.
        """
        return self._read(
            "/rewards/{id}/discounts",
            reward_id,
            read=lambda data: answers.read_list(data, lambda entry: entry, "discounts"),
            ends=self._waited_for(deadline),
        )

    # Receipts

    def report_order(
        self, body: bytes, *, reference: str = "", deadline: float | None = None
    ) -> OrderReceipt:
        """Report an order to the Receipts service: `POST /orders`, sent once (S, D-TX).

        `body` is what `bodies.build_order` returns. Raises EngineAuthFailed where the connection
        has no address of the Receipts service. Default deadline: `settings.background_deadline`.
        """
        ends = self._in_background(deadline)
        if not self.settings.receipts_url:
            raise EngineAuthFailed(
                "the connection has no address of the Receipts service", endpoint="POST /orders"
            )
        return self._write(
            self.settings.receipts_url,
            "/orders",
            body,
            read=answers.read_order_receipt,
            ends=ends,
            reference=reference,
        )

    def probe_receipts(self, *, deadline: float | None = None) -> None:
        """See whether somebody answers at the address of the Receipts service.

        Reads `/orders`, of which nothing is published: any refusal is an answer too (I). It tells
        nothing of whether orders are taken. Default deadline: `settings.deadline`.
        """
        with contextlib.suppress(EngineRejected, EngineAuthFailed):
            self._read(
                "/orders",
                read=lambda data: None,
                ends=self._waited_for(deadline),
                base=self.settings.receipts_url,
            )

    # How the above is asked for

    def _get_user(self, identifier: str, ends: Deadline) -> User:
        return self._read("/users/{id}", identifier, read=answers.read_user, ends=ends)

    def _get_wallet(self, user_id: str, ends: Deadline) -> Wallet:
        return self._read(
            "/users/{id}/wallet", user_id, read=answers.read_wallet, ends=ends, query=self._locale()
        )

    def _try_wallet(self, user_id: str, ends: Deadline) -> Wallet:
        try:
            return self._get_wallet(user_id, ends)
        except EngineError as error:
            return Wallet(error=error)

    def _wallet_of(self, asked: Future[Wallet], ends: Deadline) -> Wallet:
        try:
            return asked.result(timeout=ends.remaining())
        except FutureTimeout:
            asked.cancel()
            late = EngineOutcomeUnknown("no answer in time", endpoint="GET /users/{id}/wallet")
            return Wallet(error=late)

    def _get_reactions(self, event_id: str, ends: Deadline) -> Reactions:
        return self._read(
            "/events/{id}/reactions", event_id, read=answers.read_reactions, ends=ends
        )

    def _list_events(
        self,
        limit: int,
        skip: int,
        order: str,
        where: Mapping[str, Any] | str | None,
        ends: Deadline,
    ) -> list[Event]:
        if not 1 <= limit <= MAX_LIMIT or skip < 0 or order not in ("ASC", "DESC"):
            raise ValueError("A list takes a limit of 1 to 1000, a skip of 0 or more, ASC or DESC.")
        query = {"limit": str(limit), "skip": str(skip), "order": order}
        if where:
            query["filter"] = where if isinstance(where, str) else json.dumps(where)
        return self._read(
            "/events",
            read=lambda data: answers.read_list(data, answers.read_event, "events"),
            ends=ends,
            query=query,
        )

    def _read(
        self,
        path: str,
        identifier: str = "",
        *,
        read: Callable[[Any], _T],
        ends: Deadline,
        query: Mapping[str, str] | None = None,
        base: str = "",
    ) -> _T:
        asked = re.sub(r"\{\w+\}", lambda _name: _segment(identifier), path)
        request = Request(
            endpoint=f"GET {path}",
            url=(base or self.settings.rewards_url)
            + asked
            + (f"?{urlencode(query)}" if query else ""),
            is_read=True,
            # A short one is part of ordinary words, and tells nothing.
            secrets=(identifier, quote(identifier, safe="")) if len(identifier) > 3 else (),
        )
        return self._call(request, read, ends)

    def _write(
        self,
        base: str,
        path: str,
        body: bytes,
        *,
        read: Callable[[Any], _T],
        ends: Deadline,
        reference: str = "",
        event_secret: str = "",
        secrets: tuple[str, ...] = (),
    ) -> _T:
        request = Request(
            endpoint=f"POST {path}",
            url=base + path,
            body=body,
            reference=reference,
            secrets=secrets,
        )
        return self._call(request, read, ends, event_secret)

    def _call(
        self, request: Request, read: Callable[[Any], _T], ends: Deadline, event_secret: str = ""
    ) -> _T:
        def judge(answer: Answer, request: Request) -> _T:
            return answers.stamped(read(judge_envelope(answer, request)), answer.date)

        def call(bearer: str) -> _T:
            return self._transport.call(self._authorized(request, bearer), ends, judge)

        if event_secret:
            return call(event_secret)
        token = self._token.get(ends)
        try:
            return call(token)
        except EngineAuthFailed:
            # Nothing happened, so that even a change may go again, once, with a fresh token.
            renewed = self._token.renew(token, ends)
            if renewed is None:
                raise
        return call(renewed)

    def _authorized(self, request: Request, bearer: str) -> Request:
        settings = self.settings
        return replace(
            request,
            headers={"X-Api-Key": settings.api_key, "Authorization": f"Bearer {bearer}"},
            secrets=(
                *request.secrets,
                bearer,
                settings.api_key,
                settings.client_id,
                settings.client_secret,
                settings.event_secret,
            ),
        )

    def _start(self, function: Callable[..., _T], *args: Any) -> Future[_T]:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(MEMBER_THREADS, "loyalty-engine")
            return self._threads.submit(function, *args)

    def _locale(self) -> dict[str, str]:
        return {"locale": self.settings.locale} if self.settings.locale else {}

    def _waited_for(self, deadline: float | None) -> Deadline:
        return Deadline(self.settings.deadline if deadline is None else deadline)

    def _in_background(self, deadline: float | None) -> Deadline:
        return Deadline(self.settings.background_deadline if deadline is None else deadline)


def _segment(identifier: str) -> str:
    """Return an identifier as one segment of a path; ValueError for what can't be one."""
    if not 0 < len(identifier) <= _LONGEST_IDENTIFIER or identifier in (".", ".."):
        raise ValueError("That can't be an identifier: it is empty, too long, or only dots.")
    if not identifier.isprintable():
        raise ValueError("That can't be an identifier: it has a control character.")
    return quote(identifier, safe="")


def _end_of_search(error: EngineError, is_over: bool) -> type[EngineLookupIncomplete] | None:
    """Return what a page that failed makes of the search; None where it says nothing of it."""
    if is_over and isinstance(error, (EngineUnreachable, EngineOutcomeUnknown)):
        return EngineLookupCutShort
    if isinstance(error, (EngineRejected, EngineAuthFailed, EngineAnswerUnreadable)):
        return EngineLookupIncomplete
    return EngineLookupCutShort if isinstance(error, EngineOutcomeUnknown) else None


def _value_at(payload: Any, keys: list[str]) -> str:
    for key in keys:
        payload = payload.get(key) if isinstance(payload, dict) else None
    return str(payload) if type(payload) in (str, int) else ""


def _fall(events: list[Event]) -> bool:
    """Tell whether events go from new to old, by either of their times."""

    def fall(times: Iterable[datetime | None]) -> bool:
        known = [time for time in times if time is not None]
        oldest = itertools.accumulate(known, min)
        pairs = zip(known[1:], oldest, strict=False)
        in_order = all(time <= before + ORDER_TOLERANCE for time, before in pairs)
        return in_order and known[:1] >= known[-1:]

    return fall(event.reported_at for event in events) or fall(
        event.occurred_at for event in events
    )


def _older(event: Event, since: datetime) -> bool:
    times = [time for time in (event.reported_at, event.occurred_at) if time is not None]
    return bool(times) and max(times) < since

"""Reads what the engine answers into frozen dataclasses; the only place that knows its spellings.

Tolerant in names, strict in meaning: every published or probable spelling of a name is accepted,
a value that isn't certain is None ("unknown") where the caller can live without it, and raises
`EngineAnswerUnreadable` where it can't. Response bodies are mostly unpublished; readings of ours
are tagged (I).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar

from .errors import EngineAnswerUnreadable, EngineError, clean_text

_T = TypeVar("_T")

#: Longest name, id or identifier that is kept, in characters (auth identifiers: 512, C-SPEC).
_LONGEST_TEXT = 512
#: What no database and no request takes: NUL, and halves of characters.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: Longest code of a voucher, in characters (C-SPEC `CodeDefinition.value`).
_LONGEST_CODE = 5000
#: No balance, price or number of points is as long as this many digits before the point.
_MOST_DIGITS = 15

# C-SPEC's pattern of `occurredAt`, with room for an offset; fractions of any length.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d):?(\d\d))?")

#: What a tenant that keeps no names writes in their place (D-USER).
_NAME_PLACEHOLDERS = frozenset({"REDACTED", "UNKNOWN"})


@dataclass(frozen=True)
class User:
    """A member: `GET /users/{id}` (D-TUT1, S, D-USER; the profile: C-SPEC `UserDefinition`).

    `account_number`, `auth_identifier` and `external_identifier` are "" where the engine gives
    none; so are the names where the tenant keeps none.
    """

    id: str
    account_number: str = ""
    auth_identifier: str = ""
    external_identifier: str = ""
    given_name: str = field(default="", repr=False)
    family_name: str = field(default="", repr=False)
    #: Restricted processing, GDPR (D-USER).
    is_restricted: bool = False


@dataclass(frozen=True)
class Wallet:
    """What a member has: `GET /users/{id}/wallet`. Its JSON is unpublished: all names are (I).

    `balance` is in points, may be negative (S), and None means unknown, never 0. `tier_name` is ""
    where none is told. `benefits` are those that could be read, in the engine's order;
    `benefits_complete` tells that there are no others. `error` is set by
    `LoyaltyEngineClient.get_member` alone: the member is known, the wallet could not be read.
    """

    balance: Decimal | None = None
    tier_name: str = ""
    benefits: tuple[Benefit, ...] = ()
    benefits_complete: bool = False
    error: EngineError | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Reward:
    """What a voucher is worth, and when (C-SPEC `RewardDefinition`, C-REACT, D-CONFIG).

    `min_amount` and `max_amount` limit the sale's total: as told, their unit is not published. None
    is no limit, and so is () of `venues`, which are ids and external identifiers. `discounts` is
    the engine's own list, for `discounts.read_discounts`; None where it isn't told here. Texts are
    "" where they aren't.
    """

    id: str = ""
    name: str = ""
    summary: str = ""
    #: Three letters.
    currency: str = ""
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    venues: tuple[str, ...] = ()
    discounts: list[Any] | None = field(default=None, repr=False)
    #: OTP, POOL, STATIC or HUMAN (C-SPEC).
    code_type: str = ""


@dataclass(frozen=True)
class Dated:
    """Carries the engine's own clock: the answer's `Date` header, whole seconds, None without."""

    engine_time: datetime | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True)
class Benefit(Dated):
    """A voucher that a member owns: `GET /benefits/{id}` (D-BEN).

    It has no state but its times (D-BEN), which are the engine's. `code` is exactly as told, "" for
    none and for one that the reward hides (D-CODELESS). `owner_id` and `name`, that of its reward,
    are "" where they aren't told.
    """

    id: str
    type: str = ""
    name: str = ""
    code: str = field(default="", repr=False)
    created_at: datetime | None = None
    redeemed_at: datetime | None = None
    #: When its code was checked or burned for the first time.
    validated_at: datetime | None = None
    burned_at: datetime | None = None
    expires_at: datetime | None = None
    owner_id: str = ""
    reward: Reward | None = None


@dataclass(frozen=True)
class VoucherCheck(Dated):
    """A code was checked or burned: `POST /commands/validate_voucher`, unpublished, all names (I).

    That it was is the answer's success; each of these is None where the answer doesn't tell it.
    `discounts` are the engine's own list (D-VOU), for `discounts.read_discounts`.
    """

    benefit: Benefit | None = None
    reward: Reward | None = None
    discounts: list[Any] | None = field(default=None, repr=False)
    validated_at: datetime | None = None
    burned_at: datetime | None = None


@dataclass(frozen=True)
class Event:
    """A reported event (fields: D-VIEW, D-HOOK). `id` is text of any form, never assume a UUID."""

    id: str
    type: str = ""
    subject: str = ""
    occurred_at: datetime | None = None
    #: When the engine took it, by its own clock.
    reported_at: datetime | None = None
    #: When its reactions were done (D-VIEW "reacted at"; the spelling is (I)).
    reacted_at: datetime | None = None
    payload: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reactions:
    """What an event set off: `GET /events/{id}/reactions`, unpublished, all names (I).

    `points` is the sum of its movements of points (negative: taken), None where no reaction tells
    a number: unknown, not 0. `count` is how many reactions are listed; 0 means that none has been
    seen *yet*, because they run some seconds after the event (D-REACT).
    """

    points: Decimal | None = None
    count: int = 0


@dataclass(frozen=True)
class EventType:
    """An event type (C-SPEC `EventTypeDefinition`); `schema` is JSON Schema draft 6 (D-SCHEMA)."""

    name: str
    id: str = ""
    is_private: bool | None = None
    is_active: bool | None = None
    schema: Mapping[str, Any] | None = field(default=None, repr=False)

    def keeps(self, path: str) -> bool:
        """Return whether the engine keeps a text at `path` of a payload, as in "order.id".

        For certain: what a schema doesn't name may be dropped without a word (I); a type without a
        schema takes all.
        """
        schema: Any = self.schema
        if schema is None:
            return True
        for name in path.split("."):
            properties = schema.get("properties")
            schema = properties.get(name) if isinstance(properties, dict) else None
            if not isinstance(schema, dict):
                return False
        return schema.get("type", "string") in ("string", ["string"])


@dataclass(frozen=True)
class Tier:
    """A tier (C-REACT `TierType`, C-SPEC `TierDefinition`); the higher `priority`, the higher."""

    id: str
    name: str = ""
    points_requirement: Decimal | None = None
    priority: int | None = None


@dataclass(frozen=True)
class OrderReceipt:
    """The Receipts service took an order; `id` is "" where its (unpublished) answer names none."""

    id: str = ""


def parse_json(content: bytes) -> Any:
    """Return the JSON in `content`, numbers with a fraction as Decimal.

    Raises EngineAnswerUnreadable, also for NaN, Infinity, numbers beyond measure, and nesting
    without end.
    """
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise EngineAnswerUnreadable("the answer is not JSON") from None


def read_user(data: Any) -> User:
    """Read a member; raises EngineAnswerUnreadable without an id."""
    user = _object(data, "user")
    profile = user.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    restricted = user.get("isRestricted")
    if restricted is not None and not isinstance(restricted, bool):
        raise EngineAnswerUnreadable("isRestricted of the user is neither true nor false")
    return User(
        id=_id(user, "user"),
        account_number=_account_number(user.get("accountNumber")),
        auth_identifier=_text(user.get("authIdentifier")),
        external_identifier=_text(user.get("externalIdentifier")),
        given_name=_person_name(profile.get("givenName")),
        family_name=_person_name(profile.get("familyName")),
        is_restricted=bool(restricted),
    )


def read_wallet(data: Any) -> Wallet:
    """Read a wallet (I): balance from `points`, `pointsBalance` or `balance`.

    Two of them that disagree are no balance; a bool, a text or a fraction of a type is none either.
    Benefits are in `vouchers` or `benefits`; one that can't be read is left out, and told of.
    """
    wallet = _object(data, "wallet")
    balances = {
        number
        for name in ("points", "pointsBalance", "balance")
        if (number := read_number(wallet.get(name))) is not None
    }
    tier = wallet.get("tier")
    if tier is None:
        tier = wallet.get("currentTier")
    lists = [wallet[name] for name in ("vouchers", "benefits") if wallet.get(name) is not None]
    told = lists[0] if len(lists) == 1 and isinstance(lists[0], list) else None
    benefits = [benefit for entry in told or () if (benefit := _try_benefit(entry)) is not None]
    return Wallet(
        balance=balances.pop() if len(balances) == 1 else None,
        tier_name=_text(tier) if isinstance(tier, str) else _tier_name(tier),
        benefits=tuple(benefits),
        benefits_complete=told is not None and len(told) == len(benefits),
    )


def read_benefit(data: Any) -> Benefit:
    """Read a benefit (D-BEN).

    Raises EngineAnswerUnreadable without an id, and where a time, or a limit of its reward, is
    there but can't be read: a voucher must not look unburned, or free of a limit, for a spelling.
    """
    benefit = _object(data, "benefit")
    code = benefit.get("code")
    parts = code if isinstance(code, dict) else {}
    value = parts.get("value") if parts else code
    reward = benefit.get("reward")
    told = read_reward(reward) if reward is not None else None
    owner = benefit.get("owner")
    hidden = isinstance(reward, dict) and reward.get("hideCode") is True
    return Benefit(
        id=_id(benefit, "benefit"),
        type=_text(benefit.get("type")),
        name=_text(benefit.get("name")) or (told.name if told else ""),
        code=value if isinstance(value, str) and len(value) <= _LONGEST_CODE and not hidden else "",
        created_at=_moment(benefit, "createdAt"),
        redeemed_at=_moment(benefit, "redeemedAt"),
        validated_at=_moment(parts, "validatedAt") or _moment(benefit, "validatedAt"),
        burned_at=_moment(benefit, "burnedAt"),
        expires_at=_moment(benefit, "expiresAt"),
        owner_id=_subject(owner),
        reward=told,
    )


def read_reward(data: Any) -> Reward:
    """Read a reward; EngineAnswerUnreadable for a limit that is there but can't be read."""
    reward = _object(data, "reward")
    currency = reward.get("currency")
    currency = "" if currency is None else currency
    if not isinstance(currency, str):
        raise EngineAnswerUnreadable("the reward's currency is not a text")
    discounts = reward.get("discounts")
    return Reward(
        id=_identifier(reward.get("id")),
        name=_text(reward.get("name")),
        summary=_text(reward.get("summary")),
        currency=currency.upper(),
        min_amount=_limit(reward, "minTransactionAmount"),
        max_amount=_limit(reward, "maxTransactionAmount"),
        venues=read_venues(reward.get("venues")),
        discounts=discounts if isinstance(discounts, list) else None,
        code_type=_text(reward.get("codeType")),
    )


def read_venues(data: Any) -> tuple[str, ...]:
    """Return what a list of venues names them by, () where it is empty or not told.

    An `id` (C-SPEC) and, where it is told, the `externalIdentifier`, such as a store's number
    (D-VENUE); a bare id is (I). EngineAnswerUnreadable for one without any: it is a limit.
    """
    names: dict[str, None] = {}
    for venue in _list(data, "venues") if data is not None else ():
        told = venue if isinstance(venue, dict) else {"id": venue}
        own = [_identifier(told.get(name)) for name in ("id", "externalIdentifier")]
        if not any(own):
            raise EngineAnswerUnreadable("a venue has no id")
        names.update(dict.fromkeys(filter(None, own)))
    return tuple(names)


def read_voucher_check(data: Any) -> VoucherCheck:
    """Read the answer to a code that was checked or burned (I).

    It is the benefit, or has it under `benefit`; the reward is under `reward` in either. The
    discounts are the first list under `discounts` in it, in the reward, or in the benefit's reward;
    limits that stand beside such a list count too. EngineAnswerUnreadable for a success that tells
    of a code which isn't valid: after a burn that may be its result.
    """
    if data is None:
        return VoucherCheck()
    check = _object(data, "voucher")
    if any(check.get(name, True) is not True for name in ("valid", "isValid")):
        raise EngineAnswerUnreadable("the code was accepted, but is not called valid")
    is_benefit = "owner" in check or "burnedAt" in check or isinstance(check.get("code"), dict)
    inner = check.get("benefit", check if is_benefit else None)
    benefit = read_benefit(inner) if inner is not None else None
    owned = benefit.reward if benefit else None
    reward: Reward | None
    if check.get("reward") is not None:
        reward = read_reward(check["reward"])
    elif owned is None and isinstance(check.get("discounts"), list):
        reward = replace(read_reward(check), id="")
    else:
        reward = owned
    lists = (check.get("discounts"), reward and reward.discounts, owned and owned.discounts)
    return VoucherCheck(
        benefit=benefit,
        reward=reward,
        discounts=next((found for found in lists if isinstance(found, list)), None),
        validated_at=_moment(check, "validatedAt") or (benefit.validated_at if benefit else None),
        burned_at=_moment(check, "burnedAt") or (benefit.burned_at if benefit else None),
    )


def read_redeemed(data: Any) -> Benefit | None:
    """Read the answer to a benefit's redemption, unpublished (I): the benefit, where it is told."""
    return _try_benefit(data)


def stamped(read: _T, engine_time: datetime | None) -> _T:
    """Return what was read with the engine's clock in it, where it has room for that."""
    return replace(read, engine_time=engine_time) if isinstance(read, Dated) else read


def read_event(data: Any) -> Event:
    """Read an event; raises EngineAnswerUnreadable without an id (`data.id` is (I))."""
    event = _object(data, "event")
    kind = event.get("type")
    if isinstance(kind, dict):
        kind = kind.get("name")
    payload = event.get("payload")
    return Event(
        id=_id(event, "event"),
        type=_text(kind),
        subject=_subject(event.get("subject")),
        occurred_at=read_time(event.get("occurredAt")),
        reported_at=read_time(event.get("reportedAt")),
        reacted_at=read_time(event.get("reactedAt")),
        payload=payload if isinstance(payload, dict) else None,
    )


def read_reactions(data: Any) -> Reactions:
    """Read the reactions of an event, or of a rehearsal (I).

    A list, or an object with the list under `reactions` and perhaps its sum under `points`. A sum
    that the list contradicts is unknown, and so is that of an empty list: 0 may become something.
    """
    told = None
    if isinstance(data, dict):
        told = read_number(data.get("points"))
        if told is not None and "reactions" not in data:
            return Reactions(points=told)
        data = data.get("reactions")
    entries = [_object(entry, "reaction") for entry in _list(data, "reactions")]
    points = [read_number(entry.get("points")) for entry in entries]
    moved = [number for number in points if number is not None]
    total = sum(moved, Decimal(0)) if moved else None
    contradicted = told is not None and told != total
    return Reactions(points=None if contradicted else total, count=len(entries))


def read_event_type(data: Any) -> EventType:
    """Read an event type; raises EngineAnswerUnreadable without a name."""
    kind = _object(data, "event type")
    name = _text(kind.get("name"))
    if not name:
        raise EngineAnswerUnreadable("an event type has no name")
    schema = kind.get("schema")
    private, active = kind.get("isPrivate"), kind.get("isActive")
    return EventType(
        name=name,
        id=_text(kind.get("id")),
        is_private=private if isinstance(private, bool) else None,
        is_active=active if isinstance(active, bool) else None,
        schema=schema if isinstance(schema, dict) else None,
    )


def read_tier(data: Any) -> Tier:
    """Read a tier; raises EngineAnswerUnreadable without an id."""
    tier = _object(data, "tier")
    priority = tier.get("priority")
    return Tier(
        id=_id(tier, "tier"),
        name=_tier_name(tier),
        points_requirement=read_number(tier.get("pointsRequirement")),
        priority=priority if type(priority) is int else None,
    )


def read_setting(data: Any) -> str:
    """Read a setting's value, a text (C-SPEC); EngineAnswerUnreadable where there is none."""
    value = data.get("value") if isinstance(data, dict) else data
    if not isinstance(value, str):
        raise EngineAnswerUnreadable("the setting has no text as its value")
    return value


def read_order_receipt(data: Any) -> OrderReceipt:
    """Read the answer to an order (I): any successful answer will do, an id is a bonus."""
    return OrderReceipt(id=_identifier(data.get("id")) if isinstance(data, dict) else "")


def read_list(data: Any, read_one: Callable[[Any], _T], what: str) -> list[_T]:
    """Read a list (C-SDK: `data` is an array), each entry with `read_one`."""
    return [read_one(entry) for entry in _list(data, what)]


def read_token(document: Any) -> tuple[str, float | None]:
    """Read a token and its life in seconds, None where it isn't told (C-SDK `Auth0Payload`)."""
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not 0 < len(token) <= 16384:
        raise EngineAnswerUnreadable("the answer holds no access token")
    if not all("!" <= char <= "~" for char in token):
        raise EngineAnswerUnreadable("the access token can't be sent in a header")
    life = read_number(document.get("expires_in"))
    return token, float(life) if life is not None and life > 0 else None


def read_failure(document: Any, secrets: Iterable[str] = ()) -> tuple[str, str]:
    """Return (code, message) of an answer that is no success, "" for what it doesn't tell.

    `message`: C-REACT; `error` and `error_description`: the token endpoint (RFC 6749); `code`: (I).
    """
    if not isinstance(document, dict):
        return "", ""
    secrets = tuple(secrets)
    message = document.get("message")
    if isinstance(message, list):
        message = "; ".join(word for word in message[:20] if isinstance(word, str))
    code = document.get("code")
    if type(code) is int:
        code = str(code)
    return (
        clean_text(code, secrets, 64) or clean_text(document.get("error"), secrets, 64),
        clean_text(message, secrets) or clean_text(document.get("error_description"), secrets),
    )


def read_number(value: Any) -> Decimal | None:
    """Return a JSON number as Decimal; None for anything else: text, bool, absurdly large."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number if number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS else None


def read_time(value: Any) -> datetime | None:
    """Return a time as aware datetime in UTC, None where it can't be read.

    C-SPEC's pattern leaves "Z" optional: without a zone it is taken for UTC (I).
    """
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    base, fraction, _z, sign, hours, minutes = match.groups()
    try:
        time = datetime.fromisoformat(base).replace(
            microsecond=int((fraction or "0").ljust(6, "0")[:6]), tzinfo=timezone.utc
        )
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return time + offset if sign == "-" else time - offset
    except (ValueError, OverflowError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _object(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise EngineAnswerUnreadable(f"the {what} is not an object")
    return data


def _list(data: Any, what: str) -> list[Any]:
    if not isinstance(data, list):
        raise EngineAnswerUnreadable(f"the {what} are not a list")
    return data


def _try_benefit(data: Any) -> Benefit | None:
    try:
        return read_benefit(data)
    except EngineAnswerUnreadable:
        return None


def _moment(record: Mapping[str, Any], name: str) -> datetime | None:
    """Read a time whose absence means something: None is "not yet", never "not understood"."""
    value = record.get(name)
    moment = read_time(value)
    if moment is None and value is not None:
        raise EngineAnswerUnreadable(f"{name} is not a time")
    return moment


def _limit(record: Mapping[str, Any], name: str) -> Decimal | None:
    """Read an amount whose absence means that there is no limit."""
    value = record.get(name)
    number = read_number(value)
    if value is not None and (number is None or number < 0):
        raise EngineAnswerUnreadable(f"{name} is not an amount")
    return number


def _id(record: Mapping[str, Any], what: str) -> str:
    value = _identifier(record.get("id"))
    if not value:
        raise EngineAnswerUnreadable(f"the {what} has no id")
    return value


def _identifier(value: Any) -> str:
    # A numeric id of events is hinted at (C-SPEC `HandleEventReactionCommand.eventId`).
    if type(value) is int:
        return str(value)
    return _text(value)


def _subject(value: Any) -> str:
    # What is sent is a text; what comes back may be the whole user (I).
    return _identifier(value.get("id") if isinstance(value, dict) else value)


def _account_number(value: Any) -> str:
    # Seven digits (D-USER): as a number it would have lost its leading zeros (I).
    return f"{value:07d}" if type(value) is int and value >= 0 else _text(value)


def _person_name(value: Any) -> str:
    name = clean_text(value, limit=64)
    return "" if name in _NAME_PLACEHOLDERS else name


def _tier_name(tier: Any) -> str:
    if not isinstance(tier, dict):
        return ""
    details = tier.get("details")
    details = details if isinstance(details, dict) else {}
    return _text(tier.get("name")) or _text(details.get("name"))


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or _UNSTORABLE.search(value):
        return ""
    return value

"""What may go out: bodies built from an allow-list, never from a whole record.

`SaleFacts` is the allow-list of a sale, `PointsFacts` that of points spent or given back. A builder
sees nothing else, so nothing else can be sent: no name, no address, no note (S: "Never include
PII"). What the tenant calls a fact is told by a template.

A template is a JSON object. A text "$total" in it stands for a fact, "$$" for a dollar sign; a
list of one object with "$each" ("lines", "payments" or "redemptions") is repeated for each of them,
and in it their own facts come first ("$amount" of the line). Everything else is a fixed extra. A
fact that is None drops its key, and an object that becomes empty thereby is dropped too.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, TypeVar

_T = TypeVar("_T")

#: Money as a number with a decimal point, or as a whole number of the currency's smallest unit.
AMOUNT_UNITS = ("decimal", "minor")

#: Event types have neither digits nor small letters, 2 to 64 long (C-SPEC `EventDefinition.type`).
EVENT_TYPE_PATTERN = r"(?=.{2,64}\Z)[A-Z]+(_[A-Z]+)*"

#: What a sale is called where the tenant has no names of its own. Keys are the tenant's choice (S).
DEFAULT_EVENT_TEMPLATE: Mapping[str, Any] = {
    "transactionId": "$transaction_id",
    "receiptNumber": "$receipt_number",
    "storeId": "$store_id",
    "tillId": "$till_id",
    "cashierId": "$cashier_id",
    "currency": "$currency",
    "total": "$total",
    "totalWithoutTax": "$total_without_tax",
    "tax": "$tax",
    "discount": "$discount",
    "lines": [
        {
            "$each": "lines",
            "sku": "$sku",
            "quantity": "$quantity",
            "unitPrice": "$unit_price",
            "amount": "$amount",
            "amountWithoutTax": "$amount_without_tax",
            "discount": "$discount",
            "category": "$category",
        }
    ],
    "payments": [{"$each": "payments", "kind": "$kind", "amount": "$amount"}],
    "earningTotal": "$earning_total",
    "redemptions": [
        {
            "$each": "redemptions",
            "kind": "$kind",
            "redemptionId": "$redemption_id",
            "points": "$points",
            "amount": "$amount",
            "benefitId": "$benefit_id",
            "rewardId": "$reward_id",
        }
    ],
}

#: A reading (I) of `POST /orders`, whose fields are unpublished: only that it carries transaction,
#: total, line items, location and cashier (S), and that `submitter` names a member by
#: authIdentifier (D-TX; as an object: D-RECEIPTS, of the sibling `POST /receipts`). It is dropped
#: without a member.
DEFAULT_ORDER_TEMPLATE: Mapping[str, Any] = {
    **DEFAULT_EVENT_TEMPLATE,
    "occurredAt": "$occurred_at",
    "submitter": {"authIdentifier": "$member_auth_identifier"},
}


#: What spent points are called, after the published example of `REDEEMED_POINTS` (D-PTS, S), with
#: an id of ours by which the event is found again.
DEFAULT_REDEEM_TEMPLATE: Mapping[str, Any] = {
    "points": "$points",
    "redemptionId": "$redemption_id",
    "transactionId": "$transaction_id",
    "storeId": "$store_id",
    "tillId": "$till_id",
    "cashierId": "$cashier_id",
}

#: The compensating event carries the inverse value (S): here by the tenant's reactor, which adds
#: what the other's takes; "$minus_points" is for a tenant with one reactor for both.
DEFAULT_REFUND_TEMPLATE: Mapping[str, Any] = DEFAULT_REDEEM_TEMPLATE


class BodyError(ValueError):
    """A body can't be built from these facts, in words for the owner."""


class TemplateError(BodyError):
    """A template can't be used; the text names the place, such as "lines[0].sku"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SaleLine:
    """One line of a sale. Amounts are in currency units, `quantity` in the product's unit.

    `amount` is with tax and after discounts, `discount` what was taken off it (positive).
    """

    sku: str | None = None
    quantity: Decimal
    unit_price: Decimal | None = None
    amount: Decimal
    amount_without_tax: Decimal | None = None
    discount: Decimal | None = None
    category: str | None = None

    def __post_init__(self) -> None:
        _check_texts(self, optional=("sku", "category"))
        _check_numbers(
            self,
            needed=("quantity", "amount"),
            optional=("unit_price", "amount_without_tax", "discount"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SalePayment:
    """One payment of a sale: `kind` is a word such as "cash", `amount` is in currency units."""

    kind: str
    amount: Decimal

    def __post_init__(self) -> None:
        _check_codes(self, needed=("kind",))
        _check_numbers(self, needed=("amount",))


@dataclass(frozen=True, kw_only=True, slots=True)
class SaleRedemption:
    """A voucher or points used on a sale: `kind` is "voucher" or "points", never a code.

    `amount` is what it took off, or paid, in currency units. `benefit_id` and `reward_id` are the
    engine's; a code that the engine doesn't validate has no benefit, and its pool as the reward.
    """

    kind: str
    redemption_id: str
    points: Decimal | None = None
    amount: Decimal
    benefit_id: str | None = None
    reward_id: str | None = None

    def __post_init__(self) -> None:
        _check_codes(self, needed=("kind", "redemption_id"))
        _check_texts(self, optional=("benefit_id", "reward_id"))
        _check_numbers(self, needed=("amount",), optional=("points",))


@dataclass(frozen=True, kw_only=True, slots=True)
class SaleFacts:
    """All that may be told of a sale. Amounts are Decimal in currency units; None means untold.

    `earning_total` is what earns points: `total`, less what was paid with points where that earns
    nothing, and with what vouchers and points took off where that earns too. `cashier_id` is an id,
    never a name: it takes no space and no "@". `occurred_at` is the time of the sale, with its
    zone. BodyError for a value of another type or out of bounds.
    """

    transaction_id: str
    receipt_number: str | None = None
    store_id: str | None = None
    till_id: str | None = None
    cashier_id: str | None = None
    currency: str
    currency_decimals: int
    total: Decimal
    total_without_tax: Decimal | None = None
    tax: Decimal | None = None
    discount: Decimal | None = None
    earning_total: Decimal | None = None
    occurred_at: datetime
    lines: tuple[SaleLine, ...] = ()
    payments: tuple[SalePayment, ...] = ()
    redemptions: tuple[SaleRedemption, ...] = ()

    def __post_init__(self) -> None:
        _check_texts(
            self,
            needed=("transaction_id",),
            optional=("receipt_number", "store_id", "till_id"),
        )
        _check_codes(self, optional=("cashier_id",))
        _check_numbers(
            self,
            needed=("total",),
            optional=("total_without_tax", "tax", "discount", "earning_total"),
        )
        _check_currency_and_time(self)
        for name, kind in _PARTS.items():
            _check_parts(self, name, kind)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, decimals and the time (in UTC) as text."""
        return {
            name: [_to_json(part) for part in value] if name in _PARTS else _plain(value)
            for name, value in _facts(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SaleFacts:
        """Return the facts that `to_json` gave. Keys that are no fact are dropped; BodyError."""
        values = _known(data, cls)
        for name, part in _PARTS.items():
            entries = values.get(name, [])
            if not isinstance(entries, list):
                raise BodyError(f"{name} must be a list")
            values[name] = tuple(_from_json(entry, part) for entry in entries)
        return _from_json(values, cls)


@dataclass(frozen=True, kw_only=True, slots=True)
class PointsFacts:
    """All that may be told of points spent, or given back.

    `points` are above 0 in both; `amount` is what they are worth, in currency units.
    `redemption_id` is ours, `transaction_id` that of the sale. The rest is as in `SaleFacts`.
    """

    redemption_id: str
    transaction_id: str
    points: Decimal
    amount: Decimal
    currency: str
    currency_decimals: int
    store_id: str | None = None
    till_id: str | None = None
    cashier_id: str | None = None
    occurred_at: datetime

    def __post_init__(self) -> None:
        _check_texts(self, needed=("transaction_id",), optional=("store_id", "till_id"))
        _check_codes(self, needed=("redemption_id",), optional=("cashier_id",))
        _check_numbers(self, needed=("points", "amount"))
        if self.points <= 0 or self.amount < 0:
            raise BodyError("points must be above 0, and amount not below it")
        _check_currency_and_time(self)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, decimals and the time (in UTC) as text."""
        return _to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PointsFacts:
        """Return the facts that `to_json` gave. Keys that are no fact are dropped; BodyError."""
        return _from_json(data, cls)


@dataclass(frozen=True, slots=True)
class Position:
    """A place on earth, in degrees (C-SPEC): -180 to 180 and -90 to 90; BodyError beyond."""

    longitude: float
    latitude: float

    def __post_init__(self) -> None:
        for name, most in (("longitude", 180), ("latitude", 90)):
            value = getattr(self, name)
            if type(value) not in (int, float) or not -most <= value <= most:
                raise BodyError(f"{name} must be a number from -{most} to {most}")


def check_event_template(template: object) -> None:
    """Raise TemplateError where `build_sale_event` could not use `template`."""
    _check_template(template, _SALE_NAMES, _PART_NAMES)


def check_order_template(template: object) -> None:
    """Raise TemplateError where `build_order` could not use `template`."""
    _check_template(template, _SALE_NAMES | {"member_auth_identifier"}, _PART_NAMES)


def check_points_template(template: object) -> None:
    """Raise TemplateError where `build_points_event` could not use `template`.

    It must tell the points, else no reactor could move them.
    """
    _check_template(template, _POINTS_NAMES | {"minus_points"}, {})
    if fact_path(template, "points") is None and fact_path(template, "minus_points") is None:
        raise TemplateError("The template must tell $points or $minus_points.")


def points_path(template: object) -> str:
    """Return where in the payload our redemption's id stands, "" where it is not told.

    It is what `LoyaltyEngineClient.find_events` looks for.
    """
    return fact_path(template, "redemption_id") or ""


def fact_path(template: object, fact: str = "transaction_id") -> str | None:
    """Return where in the body's payload a fact of the sale stands, as in "order.id".

    None where it stands nowhere, or only where such a path does not lead: in a list, or under a key
    with a dot.
    """
    if not isinstance(template, dict):
        return None
    for key, value in template.items():
        if value == f"${fact}":
            path: str | None = key
        else:
            below = fact_path(value, fact)
            path = f"{key}.{below}" if below else None
        if path and "." not in key:
            return path
    return None


def build_sale_event(
    facts: SaleFacts,
    template: object,
    event_type: str,
    subject: str | None,
    executor: str | None,
    amount_unit: str,
) -> bytes:
    """Return the body of `POST /events` for a sale (C-SPEC `EventDefinition`), as ASCII JSON.

    `subject` is the member's id, account number or auth identifier (D-TUT1), None for a sale
    without one (S; that such an event has no subject is (I)). `executor` is an id of who did it,
    if not the member (D-VIEW).
    `amount_unit` is "decimal" (12.50) or "minor" (1250). The same arguments give the same bytes.
    BodyError for what the engine would refuse or what can't be told exactly, TemplateError.
    """
    check_event_template(template)
    filler = _Filler(facts, SaleFacts, amount_unit)
    return _event(filler, template, event_type, subject, executor)


def build_points_event(
    facts: PointsFacts,
    template: object,
    event_type: str,
    subject: str,
    executor: str | None,
    amount_unit: str = "decimal",
) -> bytes:
    """Return the body of `POST /events` for points spent or given back, as ASCII JSON (D-PTS, S).

    Everything is as in `build_sale_event`, but that there is always a member.
    """
    if subject is None:
        raise BodyError("Points are always a member's: the subject is missing.")
    check_points_template(template)
    filler = _Filler(facts, PointsFacts, amount_unit)
    return _event(filler, template, event_type, subject, executor)


def build_redeem_benefit(benefit_id: str, position: Position | None = None) -> bytes:
    """Return the body of `POST /commands/redeem_benefit` (C-SPEC), as ASCII JSON."""
    _check_argument("benefit's id", benefit_id, _LONGEST_IDENTIFIER)
    return _encode({"benefitId": benefit_id, **_place(position)})


def build_validate_voucher(
    code: str,
    allow_future_validation: bool,
    user_identifier: str = "",
    venue_identifier: str = "",
    position: Position | None = None,
) -> bytes:
    """Return the body of `POST /commands/validate_voucher` (C-SPEC), as ASCII JSON.

    The code is passed as it is, whatever its characters: 1 to 5000 (C-SPEC). "" leaves an
    identifier out. BodyError for what can't be asked, without the code in its text.
    """
    if type(code) is not str or not 0 < len(code) <= _LONGEST_CODE:
        raise BodyError(f"A code has 1 to {_LONGEST_CODE} characters.")
    if type(allow_future_validation) is not bool:
        raise BodyError("allow_future_validation must be True or False: False burns.")
    named = {"userIdentifier": user_identifier, "venueIdentifier": venue_identifier}
    told = {name: value for name, value in named.items() if value != ""}
    for name, value in told.items():
        _check_argument(name, value, _LONGEST_IDENTIFIER)
    return _encode(
        {
            "code": code,
            "allowFutureValidation": allow_future_validation,
            **told,
            **_place(position),
        }
    )


def build_order(
    facts: SaleFacts,
    template: object,
    member_auth_identifier: str | None,
    amount_unit: str,
) -> bytes:
    """Return the body of `POST /orders` for a sale, as ASCII JSON.

    The fields of an order are unpublished, hence all of them are the template's (I); those of the
    member are left out where `member_auth_identifier` is None.
    `member_auth_identifier` (D-TX) has at most 512 characters (C-SPEC). `amount_unit` and what is
    raised are as in `build_sale_event`.
    """
    if member_auth_identifier is not None:
        _check_argument("auth identifier", member_auth_identifier, _LONGEST_IDENTIFIER)
    check_order_template(template)
    filler = _Filler(facts, SaleFacts, amount_unit, member_auth_identifier=member_auth_identifier)
    return _encode(filler.object(template))


# Bounds

_LONGEST_TEXT = 256
_MOST_DIGITS = 12
_MOST_DECIMALS = 6
#: Largest body, in bytes. No limit of the engine's is published; a gateway's usual one is 1 MB.
_LARGEST_BODY = 1_000_000
_LARGEST_TEMPLATE = 32_768
_LONGEST_SUBJECT = 128  # C-SPEC
_LONGEST_IDENTIFIER = 512  # C-SPEC, of the auth identifier
_LONGEST_CODE = 5000  # C-SPEC `CodeDefinition.value`
_DEEPEST_TEMPLATE = 8

_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{_LONGEST_TEXT}}}")
_CODE = re.compile(r"[A-Za-z0-9._:/,#+-]{1,64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_PARTS: Mapping[str, type] = MappingProxyType(
    {"lines": SaleLine, "payments": SalePayment, "redemptions": SaleRedemption}
)
_SALE_NAMES = frozenset(field.name for field in fields(SaleFacts)) - _PARTS.keys()
_PART_NAMES = {name: frozenset(f.name for f in fields(part)) for name, part in _PARTS.items()}
_POINTS_NAMES = frozenset(field.name for field in fields(PointsFacts))
#: What is a number but not money.
_COUNTS = frozenset({"quantity", "points", "minus_points"})


def _check_values(
    record: object,
    pattern: re.Pattern[str],
    words: str,
    needed: Iterable[str],
    optional: Iterable[str],
) -> None:
    for name in (*needed, *optional):
        value = getattr(record, name)
        if value is None and name in optional:
            continue
        # No subclass: nothing that carries more than its characters.
        if type(value) is not str or not pattern.fullmatch(value):
            raise BodyError(f"{name} must be {words}")


def _check_texts(record: object, needed: Iterable[str] = (), optional: Iterable[str] = ()) -> None:
    words = f"a text of 1 to {_LONGEST_TEXT} characters, none a control"
    _check_values(record, _TEXT, words, needed, optional)


def _check_codes(record: object, needed: Iterable[str] = (), optional: Iterable[str] = ()) -> None:
    words = "a code of 1 to 64 letters, digits and . _ : / , # + -"
    _check_values(record, _CODE, words, needed, optional)


def _check_numbers(
    record: object, needed: Iterable[str] = (), optional: Iterable[str] = ()
) -> None:
    for name in (*needed, *optional):
        value = getattr(record, name)
        if value is None and name in optional:
            continue
        if type(value) is not Decimal or not value.is_finite():
            raise BodyError(f"{name} must be a Decimal")
        # Digits and exponent first: within them, Decimal's own arithmetic is exact.
        exact = len(value.as_tuple().digits) <= 28 and -28 <= _exponent(value) <= _MOST_DIGITS
        if not exact or value.adjusted() >= _MOST_DIGITS:
            raise BodyError(f"{name} must be below 10^{_MOST_DIGITS}")
        if -_exponent(value.normalize()) > _MOST_DECIMALS:
            raise BodyError(f"{name} must have at most {_MOST_DECIMALS} decimals")


def _check_currency_and_time(facts: Any) -> None:
    if type(facts.currency) is not str or not _CURRENCY.fullmatch(facts.currency):
        raise BodyError("currency must be a code of three capital letters")
    if type(facts.currency_decimals) is not int or not 0 <= facts.currency_decimals <= 6:
        raise BodyError("currency_decimals must be a whole number from 0 to 6")
    if not isinstance(facts.occurred_at, datetime) or facts.occurred_at.utcoffset() is None:
        raise BodyError("occurred_at must be a time with its zone")
    if not 2000 <= facts.occurred_at.year < 2200:
        raise BodyError("occurred_at must lie between the years 2000 and 2199")


def _check_argument(name: str, value: object, longest: int) -> None:
    # No subclass: nothing that carries more than its characters.
    if type(value) is not str or not 0 < len(value) <= longest or _CONTROL.search(value):
        raise BodyError(f"The {name} must have 1 to {longest} characters, none a control.")


def _check_parts(facts: SaleFacts, name: str, kind: type) -> None:
    parts = getattr(facts, name)
    if type(parts) is not tuple or any(type(part) is not kind for part in parts):
        raise BodyError(f"{name} must be a tuple of {kind.__name__}")


# Facts as plain JSON


def _facts(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _to_json(record: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in _facts(record).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return value


def _known(data: Any, kind: type) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise BodyError(f"the facts of a {kind.__name__} must be an object")
    return {field.name: data[field.name] for field in fields(kind) if field.name in data}


def _from_json(data: Any, kind: type[_T]) -> _T:
    values = _known(data, kind)
    for field in fields(kind):  # type: ignore[arg-type]
        # Annotations are text here, and the only place that tells numbers from texts.
        if field.name in values and "Decimal" in str(field.type):
            values[field.name] = _decimal(field.name, values[field.name])
        elif field.type == "datetime":
            values[field.name] = _time(field.name, values.get(field.name))
    try:
        return kind(**values)
    except TypeError:
        raise BodyError(f"a fact of the {kind.__name__} is missing") from None


def _decimal(name: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    if type(value) is str and len(value) <= 40:
        with contextlib.suppress(InvalidOperation):
            return Decimal(value)
    raise BodyError(f"{name} is not the text of a number")


def _time(name: str, value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BodyError(f"{name} is not the text of a time") from None


# Templates

#: For each kind of part the facts that it has of its own.
_Parts = Mapping[str, frozenset[str]]


def _check_template(template: object, names: frozenset[str], parts: _Parts) -> None:
    if not isinstance(template, dict):
        raise TemplateError("The template must be a JSON object.")
    _check_node(template, names, parts, ())
    if len(json.dumps(template)) > _LARGEST_TEMPLATE:
        raise TemplateError(f"The template is longer than {_LARGEST_TEMPLATE} characters.")


def _check_node(
    node: object, names: frozenset[str], parts: _Parts, place: tuple[object, ...]
) -> None:
    if len(place) > _DEEPEST_TEMPLATE:
        raise TemplateError(f"{_spell(place)}: deeper than {_DEEPEST_TEMPLATE} levels.")
    if isinstance(node, str):
        if node.startswith("$") and not node.startswith("$$") and node[1:] not in names:
            known = ", ".join(sorted(names))
            raise TemplateError(f"{_spell(place)}: {node!r:.40} is no fact. There are: {known}.")
    elif isinstance(node, list):
        part = _repeated(node)
        if part is None:
            for index, entry in enumerate(node):
                _check_node(entry, names, parts, (*place, index))
            return
        if not isinstance(part, str) or part not in parts:
            words = f"must be one of {', '.join(parts)}" if parts else "has nothing to repeat here"
            raise TemplateError(f"{_spell((*place, 0))}: $each {words}.")
        entry = {key: value for key, value in node[0].items() if key != "$each"}
        # Nothing is repeated inside of what is repeated.
        _check_node(entry, names | parts[part], {}, (*place, 0))
    elif isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str) or not key:
                raise TemplateError(f"{_spell(place)}: a key must be a text.")
            if key.startswith("$"):
                words = "stands alone in a list, as [{...}]" if key == "$each" else "is no key"
                raise TemplateError(f"{_spell(place)}: {key!r:.40} {words}.")
            _check_node(value, names, parts, (*place, key))
    elif isinstance(node, float) and not math.isfinite(node):
        raise TemplateError(f"{_spell(place)}: not a number of JSON.")
    elif node is not None and not isinstance(node, (bool, int, float)):
        raise TemplateError(f"{_spell(place)}: not a value of JSON.")


def _repeated(node: list[Any]) -> object:
    """Return what a list is repeated for, None for a plain list."""
    if len(node) == 1 and isinstance(node[0], dict):
        return node[0].get("$each")
    return None


def _spell(place: Iterable[object]) -> str:
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step!s:.40}" for step in place)
    return words.lstrip(".") or "the template"


def _place(position: Position | None) -> dict[str, Any]:
    if position is None:
        return {}
    if type(position) is not Position:
        raise BodyError("the position must be a Position")
    return {"position": {"longitude": position.longitude, "latitude": position.latitude}}


def _event(
    filler: _Filler,
    template: object,
    event_type: str,
    subject: str | None,
    executor: str | None,
) -> bytes:
    if type(event_type) is not str or not re.fullmatch(EVENT_TYPE_PATTERN, event_type):
        raise BodyError("An event type has 2 to 64 capital letters, with single _ between words.")
    for name, value in (("subject", subject), ("executor", executor)):
        if value is not None:
            _check_argument(name, value, _LONGEST_SUBJECT)
    event = {
        "type": event_type,
        "subject": subject,
        "executor": executor,
        "occurredAt": _utc(filler.occurred_at),
        "payload": filler.object(template),
    }
    return _encode({key: value for key, value in event.items() if value is not None})


#: Stands for what is left out because its fact is None.
_DROPPED = object()


class _Filler:
    """Puts facts into checked templates, money in the tenant's unit."""

    def __init__(
        self,
        facts: SaleFacts | PointsFacts,
        kind: type,
        amount_unit: str,
        **more: str | None,
    ) -> None:
        # No subclass: it could answer for a field with anything.
        if type(facts) is not kind:
            raise BodyError(f"the facts must be {kind.__name__}")
        if type(amount_unit) is not str or amount_unit not in AMOUNT_UNITS:
            raise BodyError(f"The unit of amounts must be one of {', '.join(AMOUNT_UNITS)}.")
        self.occurred_at = facts.occurred_at
        self._decimals = facts.currency_decimals
        self._minor = amount_unit == "minor"
        self._parts: dict[str, list[dict[str, Any]]] = {}
        self._known: dict[str, Any] = {**_facts(facts), **more}
        if isinstance(facts, SaleFacts):
            self._parts = {name: list(map(_facts, getattr(facts, name))) for name in _PARTS}
        else:
            self._known["minus_points"] = -facts.points

    def object(self, template: Any) -> dict[str, Any]:
        """Return a whole template, filled."""
        filled = self._fill(template, self._known)
        return filled if isinstance(filled, dict) else {}

    def _fill(self, node: Any, known: Mapping[str, Any]) -> Any:
        if isinstance(node, str):
            if not node.startswith("$"):
                return node
            return node[1:] if node.startswith("$$") else self._tell(node[1:], known)
        if isinstance(node, list):
            part = _repeated(node)
            if isinstance(part, str):
                entry = {key: value for key, value in node[0].items() if key != "$each"}
                filled = [self._fill(entry, {**known, **own}) for own in self._parts[part]]
            else:
                filled = [self._fill(entry, known) for entry in node]
            return [value for value in filled if value is not _DROPPED]
        if isinstance(node, dict):
            pairs = {key: self._fill(value, known) for key, value in node.items()}
            kept = {key: value for key, value in pairs.items() if value is not _DROPPED}
            return kept if kept or not pairs else _DROPPED
        return node

    def _tell(self, name: str, known: Mapping[str, Any]) -> Any:
        value = known[name]
        if value is None:
            return _DROPPED
        if isinstance(value, datetime):
            return _utc(value)
        if not isinstance(value, Decimal):
            return value
        if name in _COUNTS:
            return _exact(value, 0)
        if not self._minor:
            return _exact(value, self._decimals)
        minor = value.scaleb(self._decimals)
        if minor != minor.to_integral_value():
            raise BodyError(f"{name} is no whole number of the currency's smallest unit")
        return int(minor)


def _exact(value: Decimal, decimals: int) -> Decimal:
    """Return the same number with at least `decimals` places and no zeros beyond them."""
    value = value.normalize() + 0  # and -0 becomes 0
    return value.quantize(Decimal(1).scaleb(min(-decimals, _exponent(value))))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _utc(time: datetime) -> str:
    """Write a time as C-SPEC's pattern of `occurredAt` wants it: UTC with fractions of a second."""
    time = time.astimezone(timezone.utc)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


def _encode(body: Any) -> bytes:
    text = _write(body)
    if len(text) > _LARGEST_BODY:
        raise BodyError(f"The body is larger than {_LARGEST_BODY} bytes.")
    return text.encode("ascii")


def _write(value: Any) -> str:
    """Write JSON; Python's own writer knows no Decimal, and a float would lose 12.50's last 0."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)}:{_write(value[key])}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value, allow_nan=False)

"""What a request must look like. Every rule names its source."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jsonschema import Draft6Validator
from jsonschema.exceptions import best_match
from werkzeug.wrappers import Request

from .errors import Refusal
from .options import Options

EVENT_TYPE = re.compile(r"[A-Z]+(_[A-Z]+)*", re.ASCII)
OCCURRED_AT = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d+Z?", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SETTING_NAME = re.compile(r"[a-zA-Z./]{2,64}", re.ASCII)
EVENT_FIELDS = frozenset({"type", "subject", "executor", "payload", "occurredAt"})
REDEEM_FIELDS = frozenset({"benefitId", "position"})
VALIDATE_FIELDS = frozenset(
    {"code", "allowFutureValidation", "userIdentifier", "venueIdentifier", "position"}
)
LOCALES = frozenset({"en", "fr", "de", "it", "es", "nl", "ar", "tr"})
PERSONAL_KEYS = frozenset(
    {
        *("name", "firstname", "givenname", "lastname", "familyname", "customername"),
        *("email", "emailaddress", "phone", "mobile", "phonenumber", "telephonenumber"),
        *("birthdate", "street", "streetaddress", "postcode"),
    }
)
"""Keys that no order may carry: never include personal data (S). A stand-in for a human reviewer;
the real service can't see it."""


def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body.

    :raise Refusal: 415 for another ``Content-Type`` (D-RECEIPTS, D-TOKEN), 400 for anything but
        an object
    """
    if request.mimetype != "application/json":
        raise Refusal(415, "Content-Type must be application/json.")
    try:
        body = json.loads(request.get_data(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object.")
    return body


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def check_event(body: dict[str, Any], options: Options) -> None:
    """The limits of ``EventDefinition`` (C-SPEC), all but the payload's own schema."""
    _check_fields(body, EVENT_FIELDS, options)
    kind = body.get("type")
    if not isinstance(kind, str) or not 2 <= len(kind) <= 64 or not EVENT_TYPE.fullmatch(kind):
        raise Refusal(400, "type must be 2 to 64 characters like REGISTERED_ACCOUNT.")
    for name in ("subject", "executor"):
        if name in body:
            value = body[name]
            if not isinstance(value, str) or not 1 <= len(value) <= 128:
                raise Refusal(400, f"{name} must be a text of 1 to 128 characters.")
    if not isinstance(body.get("payload", {}), dict):
        raise Refusal(400, "payload must be an object.")
    if "occurredAt" in body:
        _check_moment(body["occurredAt"])


def check_redeem(body: dict[str, Any], options: Options) -> None:
    """The limits of ``RedeemBenefitCommand`` (C-SPEC)."""
    _check_fields(body, REDEEM_FIELDS, options)
    if not isinstance(body.get("benefitId"), str) or not UUID.fullmatch(body["benefitId"]):
        raise Refusal(400, "benefitId must be a UUID.")
    _check_position(body)


def check_validate(body: dict[str, Any], options: Options) -> None:
    """The limits of ``ValidateVoucherCommand`` (C-SPEC)."""
    _check_fields(body, VALIDATE_FIELDS, options)
    for name in ("code", "userIdentifier", "venueIdentifier"):
        if name in body or name == "code":
            value = body.get(name)
            if not isinstance(value, str) or not value:
                raise Refusal(400, f"{name} must be a text of at least 1 character.")
    if not isinstance(body.get("allowFutureValidation", False), bool):
        raise Refusal(400, "allowFutureValidation must be true or false.")
    _check_position(body)


def _check_fields(body: dict[str, Any], known: frozenset[str], options: Options) -> None:
    if options.unknown_fields == "refuse" and (unknown := sorted(set(body) - known)):
        raise Refusal(400, f"Unknown field: {unknown[0]}.")


def _check_position(body: dict[str, Any]) -> None:
    if "position" not in body:
        return
    position = body["position"]
    limits = {"longitude": 180, "latitude": 90}
    if not isinstance(position, dict) or set(position) != set(limits):
        raise Refusal(400, "position must be {longitude, latitude}.")
    for name, most in limits.items():
        value = position[name]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not -most <= value <= most:
            raise Refusal(400, f"{name} must be a number from -{most} to {most}.")


def _check_moment(value: Any) -> None:
    # The published pattern accepts a 39th of January; a moment that doesn't exist can't be meant.
    text = value if isinstance(value, str) else ""
    moment = OCCURRED_AT.fullmatch(text) and text[:19]
    try:
        datetime.strptime(moment or "", "%Y-%m-%dT%H:%M:%S")
    except ValueError as error:
        raise Refusal(
            400, "occurredAt must be like 2026-01-02T10:11:12.000Z, with parts of a second."
        ) from error


def check_payload(payload: dict[str, Any], schema: dict[str, Any]) -> None:
    """A payload against its event type's JSON Schema, draft 6, before it is stored (D-SCHEMA)."""
    error = best_match(Draft6Validator(schema).iter_errors(payload))
    if error:
        path = "/".join(map(str, error.absolute_path))
        raise Refusal(400, f"payload{'/' + path if path else ''}: {error.message[:200]}")


def read_page(arguments: Mapping[str, str], options: Options) -> tuple[int, int, bool]:
    """Limit, skip, and whether the newest come first, of a list (C-SPEC ``ListQueryParams``)."""
    if "filter" in arguments and options.list_filter == "refuse":
        raise Refusal(400, "filter is not understood.")
    limit = _read_integer(arguments, "limit", int(options.list_limit), 1, 1000)
    skip = _read_integer(arguments, "skip", 0, 0, 2**53)
    order = arguments.get("order")
    paged = "limit" in arguments or "skip" in arguments
    if order is None and paged and options.list_order_required:
        raise Refusal(400, "order must be given with limit and skip.")
    order = order or options.list_order
    if order not in ("ASC", "DESC"):
        raise Refusal(400, "order must be ASC or DESC.")
    return limit, skip, order == "DESC"


def _read_integer(
    arguments: Mapping[str, str], name: str, default: int, low: int, high: int
) -> int:
    text = arguments.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,16}", text, re.ASCII) or not low <= int(text) <= high:
        raise Refusal(400, f"{name} must be a number from {low} to {high}.")
    return int(text)


def check_locale(arguments: Mapping[str, str]) -> None:
    """A ``locale`` is one of those that content has (C-SPEC)."""
    if "locale" in arguments and arguments["locale"] not in LOCALES:
        raise Refusal(400, f"locale must be one of {', '.join(sorted(LOCALES))}.")


def check_not_personal(value: Any, path: str = "") -> None:
    """No key of an order that speaks of a person, on any level (S)."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key.replace("_", "").lower() in PERSONAL_KEYS:
                raise Refusal(400, f"{path}{key} looks like personal data.")
            check_not_personal(entry, f"{path}{key}/")
    elif isinstance(value, list):
        for entry in value:
            check_not_personal(entry, path)

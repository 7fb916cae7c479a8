"""The page, and the calls with which people and tests steer the sandbox. They need no key."""

import ipaddress
import json
import re
import sqlite3
import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from . import demo, rules
from .api import answer, tier_of
from .clock import stamp
from .errors import Refusal, failure
from .faults import FORMS, KINDS, LIMITS, FaultError
from .options import OptionError, describe
from .requestlog import LONGEST
from .vouchers import state_of

PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "index.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
}

MOST_ROWS = 100_000
MOST_POINTS = 10**12
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
MEMBER_FIELDS = {
    "id": "id",
    "accountNumber": "account_number",
    "authIdentifier": "auth_identifier",
    "externalIdentifier": "external_identifier",
    "givenName": "given_name",
    "familyName": "family_name",
    "restricted": "restricted",
    "points": "points",
    "earned": "earned",
}

ENDPOINTS = (
    ("GET", "/", "show_page"),
    ("GET", "/_sandbox/page/<name>", "show_file"),
    ("GET", "/_sandbox/state", "read_state"),
    ("GET", "/_sandbox/faults", "list_faults"),
    ("PUT", "/_sandbox/faults", "put_faults"),
    ("POST", "/_sandbox/faults", "add_fault"),
    ("DELETE", "/_sandbox/faults", "clear_faults"),
    ("DELETE", "/_sandbox/faults/<int:number>", "remove_fault"),
    ("GET", "/_sandbox/options", "read_options"),
    ("PUT", "/_sandbox/options", "put_options"),
    ("DELETE", "/_sandbox/options", "clear_options"),
    ("GET", "/_sandbox/events", "list_events"),
    ("GET", "/_sandbox/orders", "list_orders"),
    ("GET", "/_sandbox/members", "list_members"),
    ("POST", "/_sandbox/members", "add_members"),
    ("POST", "/_sandbox/members/<value>/adjust", "adjust_member"),
    ("POST", "/_sandbox/members/<value>/benefits", "give_benefit"),
    ("GET", "/_sandbox/rewards", "list_rewards"),
    ("POST", "/_sandbox/rewards", "add_reward"),
    ("GET", "/_sandbox/benefits", "list_benefits"),
    ("GET", "/_sandbox/burns", "list_burns"),
    ("GET", "/_sandbox/requests", "list_requests"),
    ("DELETE", "/_sandbox/requests", "clear_requests"),
    ("POST", "/_sandbox/reset", "reset"),
)


class Control:
    """Answers what is asked of the sandbox itself. Faults and limits don't apply here."""

    def __init__(self, sandbox: Any):
        self._sandbox = sandbox
        self._changing = threading.Lock()
        self._routes = Map(
            [Rule(path, endpoint=name, methods=[method]) for method, path, name in ENDPOINTS]
        ).bind("")

    def __call__(self, request: Request) -> Response:
        try:
            _check_local(request)
            path = request.path if request.path == "/" else request.path.rstrip("/")
            name, values = self._routes.match(path, request.method)
            result = getattr(self, name)(request, **values)
            return result if isinstance(result, Response) else answer(result)
        except NotFound:
            return answer(failure("There is nothing at this address."), 404)
        except MethodNotAllowed:
            return answer(failure("This method is not allowed."), 405)
        except Refusal as refusal:
            return answer(failure(refusal.message), refusal.status)
        except (OptionError, FaultError) as error:
            return answer(failure(str(error)), 400)

    # The page

    def show_page(self, request: Request) -> Response:
        if "text/html" not in request.headers.get("Accept", ""):
            raise NotFound
        return self.show_file(request, "index.html")

    def show_file(self, request: Request, name: str) -> Response:
        if name not in PAGE_FILES:
            raise NotFound
        policy = {
            "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
            "Cache-Control": "no-store",
        }
        return Response((PAGE / name).read_bytes(), 200, policy, mimetype=PAGE_FILES[name])

    def read_state(self, request: Request) -> dict[str, Any]:
        """What the page shows: the first members, the newest events, the faults."""
        store = self._sandbox.store
        rows, member_count = store.members(request.args.get("search", "")[:100], 50)
        members = [_describe_member(row) for row in rows]
        for member in members:
            vouchers = store.benefits(member_id=member["id"])
            member["vouchers"] = [_describe_benefit(row) for row in vouchers]
        events, waiting = store.count_events()
        return {
            "members": members,
            "memberCount": member_count,
            "events": [
                _describe_event(row) for row in store.events_with_points(0, 50, newest_first=True)
            ],
            "eventCount": events,
            "waiting": waiting,
            "faults": self._sandbox.faults.describe(),
            "faultKinds": KINDS,
            "faultForms": FORMS,
            "options": self._sandbox.options.differences(),
            "access": {
                "Rewards API": request.host_url + "v1",
                "Receipts API": request.host_url + "receipts/v1",
                "Token": request.host_url + "oauth/token",
                "API key": demo.API_KEY,
                "Client id": demo.CLIENT_ID,
                "Client secret": demo.CLIENT_SECRET,
                "Audience": demo.AUDIENCE,
                "Secret of POS_SALE": demo.EVENT_SECRET,
            },
        }

    # Faults

    def list_faults(self, request: Request) -> dict[str, Any]:
        return {
            "rules": self._sandbox.faults.describe(),
            "kinds": KINDS,
            "forms": FORMS,
            "limits": LIMITS,
        }

    def put_faults(self, request: Request) -> dict[str, Any]:
        self._sandbox.faults.put(rules.read_object(request).get("rules"))
        return self.list_faults(request)

    def add_fault(self, request: Request) -> dict[str, Any]:
        self._sandbox.faults.put([rules.read_object(request)], add=True)
        return self.list_faults(request)

    def clear_faults(self, request: Request) -> dict[str, Any]:
        self._sandbox.faults.put([])
        return self.list_faults(request)

    def remove_fault(self, request: Request, number: int) -> dict[str, Any]:
        self._sandbox.faults.remove(number)
        return self.list_faults(request)

    # Options

    def read_options(self, request: Request) -> dict[str, Any]:
        return {"options": asdict(self._sandbox.options), "known": describe()}

    def put_options(self, request: Request) -> dict[str, Any]:
        return self._set_options(request, lambda now: now.changed(rules.read_object(request)))

    def clear_options(self, request: Request) -> dict[str, Any]:
        return self._set_options(request, lambda now: self._sandbox.start_options)

    def _set_options(self, request: Request, change: Callable[[Any], Any]) -> dict[str, Any]:
        with self._changing:
            self._sandbox.options = change(self._sandbox.options)
            self._sandbox.store.keep_options(self._sandbox.options.differences())
        self._sandbox.rate.refill()
        # Reactors that were held may fire now.
        self._sandbox.reactors.notice()
        return self.read_options(request)

    # Data

    def list_events(self, request: Request) -> dict[str, Any]:
        store = self._sandbox.store
        after, limit = _read_number(request, "after", 0), _read_number(request, "limit", MOST_ROWS)
        count, waiting = store.count_events()
        rows = store.events_with_points(after, limit)
        return {
            "events": [_describe_event(row) for row in rows],
            "count": count,
            "waiting": waiting,
        }

    def list_orders(self, request: Request) -> dict[str, Any]:
        rows = self._sandbox.store.orders(_read_number(request, "limit", MOST_ROWS))
        return {
            "orders": [
                {
                    "id": row["id"],
                    "body": json.loads(row["body"]),
                    "event": row["event_id"],
                    "storedAt": stamp(row["created_at"]),
                }
                for row in rows
            ]
        }

    def list_members(self, request: Request) -> dict[str, Any]:
        limit = _read_number(request, "limit", MOST_ROWS)
        rows, count = self._sandbox.store.members(request.args.get("search", "")[:100], limit)
        return {"members": [_describe_member(row) for row in rows], "count": count}

    def add_members(self, request: Request) -> dict[str, Any]:
        """Add ``count`` invented members, or one with the fields given; shows the first 1000."""
        body = rules.read_object(request)
        count = _integer("count", body.pop("count", 1), 1, MOST_ROWS)
        values = {}
        for name, value in body.items():
            if name not in MEMBER_FIELDS:
                raise Refusal(400, f"A member has no field {name!r}.")
            if name in ("points", "earned"):
                lowest = 0 if name == "earned" else -MOST_POINTS
                _integer(name, value, lowest, MOST_POINTS)
            elif name == "restricted":
                _boolean(name, value)
            else:
                _text(name, value, 512)
            values[MEMBER_FIELDS[name]] = value
        try:
            rows = self._sandbox.store.add_members(count, values)
        except sqlite3.IntegrityError as error:
            raise Refusal(409, "Another member has one of these identifiers.") from error
        return {"members": [_describe_member(row) for row in rows]}

    def adjust_member(self, request: Request, value: str) -> dict[str, Any]:
        """Add ``points`` to a balance, or say whether the member is ``restricted``."""
        body = rules.read_object(request)
        points = _integer("points", body.get("points", 0), -MOST_POINTS, MOST_POINTS)
        restricted = body.get("restricted")
        if restricted is not None:
            _boolean("restricted", restricted)
        store = self._sandbox.store
        member = self._find_member(value)
        store.adjust_member(member["id"], points, restricted)
        return _describe_member(store.find_member(member["id"], "id"))

    def _find_member(self, value: str) -> Any:
        columns = ("id", "account_number", "auth_identifier")
        member = self._sandbox.store.find_member(value, *columns)
        if member is None:
            raise Refusal(404, "There is no such member.")
        return member

    # Vouchers

    def give_benefit(self, request: Request, value: str) -> dict[str, Any]:
        """Give a member a voucher of a ``reward``, named by its id or its name."""
        body = rules.read_object(request)
        if unknown := sorted(set(body) - {"reward", "code", "redeemed", "expiresAt"}):
            raise Refusal(400, f"A benefit has no field {unknown[0]!r}.")
        member = self._find_member(value)
        named = [
            reward
            for reward in self._sandbox.store.rewards()
            if body.get("reward") in (reward["id"], reward["name"])
        ]
        if len(named) != 1:
            raise Refusal(404, "There is no such reward, or there are several of this name.")
        _boolean("redeemed", body.get("redeemed", True))
        if (code := body.get("code")) is not None:
            _text("code", code, 5000)
        expires_at = body.get("expiresAt")
        if expires_at is not None and not TIME.fullmatch(str(expires_at)):
            raise Refusal(400, "expiresAt must be like 2026-01-02T10:11:12.000Z.")
        row = self._sandbox.vouchers.give(
            member,
            named[0],
            code=code,
            redeemed=body.get("redeemed", True),
            expires_at=expires_at,
        )
        return _describe_benefit(row)

    def list_rewards(self, request: Request) -> dict[str, Any]:
        return {"rewards": self._sandbox.store.rewards()}

    def add_reward(self, request: Request) -> dict[str, Any]:
        """Add a reward with the fields given; its ``discounts`` may be as wrong as they like."""
        body = rules.read_object(request)
        reward = {**demo.REWARDS[0], "id": str(uuid.uuid4()), "discounts": []}
        if unknown := sorted(set(body) - set(reward)):
            raise Refusal(400, f"A reward has no field {unknown[0]!r}.")
        reward.update(body)
        for name in ("id", "name"):
            _text(name, reward[name], 512)
        if not isinstance(reward["venues"], list) or not isinstance(reward["hideCode"], bool):
            raise Refusal(400, "venues must be a list, and hideCode true or false.")
        try:
            self._sandbox.store.add_reward(reward)
        except sqlite3.IntegrityError as error:
            raise Refusal(409, "Another reward has this id.") from error
        return reward

    def list_benefits(self, request: Request) -> dict[str, Any]:
        """Every voucher, those of one ``member``, or one by its ``id``, and what became of it."""
        columns = {"id": request.args["id"]} if "id" in request.args else {}
        if member := request.args.get("member"):
            columns["member_id"] = self._find_member(member)["id"]
        rows = self._sandbox.store.benefits(_read_number(request, "limit", MOST_ROWS), **columns)
        return {"benefits": [_describe_benefit(row) for row in rows]}

    def list_burns(self, request: Request) -> dict[str, Any]:
        """Every burn that was done, with the ``request`` that did it."""
        burns = [
            {
                "benefit": row["benefit_id"],
                "code": row["code"],
                "memberId": row["member_id"],
                "reward": row["reward_id"],
                "burnedAt": row["burned_at"],
                "request": row["request"],
                "userIdentifier": row["user_identifier"],
                "venueIdentifier": row["venue_identifier"],
            }
            for row in self._sandbox.store.burns()
        ]
        return {"burns": burns, "count": len(burns)}

    def list_requests(self, request: Request) -> dict[str, Any]:
        after, limit = _read_number(request, "after", 0), _read_number(request, "limit", LONGEST)
        return {"requests": self._sandbox.log.list(after, limit)}

    def clear_requests(self, request: Request) -> dict[str, Any]:
        self._sandbox.log.clear()
        return {"requests": []}

    def reset(self, request: Request) -> dict[str, Any]:
        with self._changing:
            self._sandbox.reset()
        return {"status": "success"}


def _check_local(request: Request) -> None:
    """This machine only, and no web page from elsewhere.

    A page of another site can't send JSON here without being asked (its browser would ask first
    and get no leave), and can't name this machine as another host.
    """
    host = request.host.rsplit(":", 1)[0].strip("[]")
    try:
        local = ipaddress.ip_address(request.remote_addr or "").is_loopback and (
            host == "localhost" or ipaddress.ip_address(host).is_loopback
        )
    except ValueError:
        local = False
    if not local:
        raise Refusal(403, "Only this machine may ask.")
    if request.method == "POST" and request.mimetype != "application/json":
        raise Refusal(415, "Content-Type must be application/json.")


def _read_number(request: Request, name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Refusal(400, f"{name} must be a whole number.")
    return int(text)


def _integer(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Refusal(400, f"{name} must be a whole number from {low} to {high}.")
    return value


def _text(name: str, value: Any, longest: int) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise Refusal(400, f"{name} must be a text of 1 to {longest} characters.")


def _boolean(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise Refusal(400, f"{name} must be true or false.")


def _describe_member(row: Any) -> dict[str, Any]:
    member = {name: row[column] for name, column in MEMBER_FIELDS.items()}
    member["restricted"] = bool(row["restricted"])
    member["tier"] = tier_of(row["earned"])["name"]
    return member


def _describe_benefit(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "code": row["code"],
        "memberId": row["member_id"],
        "reward": row["reward_id"],
        "name": json.loads(row["reward"])["name"],
        "state": state_of(row),
        "createdAt": row["created_at"],
        "redeemedAt": row["redeemed_at"],
        "validatedAt": row["validated_at"],
        "burnedAt": row["burned_at"],
        "expiresAt": row["expires_at"],
        "burns": row["burns"],
    }


def _describe_event(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "type": row["type"],
        "subject": row["subject"],
        "memberId": row["member_id"],
        "memberName": row["member_name"],
        "executor": row["executor"],
        "payload": json.loads(row["payload"]),
        "occurredAt": row["occurred_at"],
        "reportedAt": stamp(row["reported_at"]),
        "reactedAt": stamp(row["reacted_at"]) if row["reacted_at"] else None,
        "points": row["points"],
    }

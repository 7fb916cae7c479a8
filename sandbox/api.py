"""The endpoints of the Rewards API, of the Receipts API, and of the token service."""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from enum import Enum
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from . import access, demo, reactors, rules
from .clock import stamp
from .errors import Refusal, envelope, failure
from .options import Options
from .store import DuplicateEvent, Store
from .vouchers import Vouchers


class Level(Enum):
    """What a request must bring besides the API key (D-AUTH)."""

    NOTHING = "not even a key"
    KEY = "nothing"
    EVENT = "an event type's secret or an admin token"
    ADMIN = "an admin token"


# Which endpoints take the key alone is known of few (D-ANON: rewards, venues); the others want the
# token.
ENDPOINTS = (
    ("POST", "/oauth/token", "give_token", Level.NOTHING),
    ("GET", "/v1", "read_root", Level.KEY),
    ("GET", "/v1/tenant", "read_tenant", Level.ADMIN),
    ("GET", "/v1/users/<value>", "read_user", Level.ADMIN),
    ("GET", "/v1/users/<value>/wallet", "read_wallet", Level.ADMIN),
    ("GET", "/v1/settings", "list_settings", Level.ADMIN),
    ("GET", "/v1/settings/<path:name>", "read_setting", Level.ADMIN),
    ("GET", "/v1/event_types", "list_event_types", Level.ADMIN),
    ("GET", "/v1/event_types/<value>", "read_event_type", Level.ADMIN),
    ("POST", "/v1/events", "report_event", Level.EVENT),
    ("GET", "/v1/events", "list_events", Level.ADMIN),
    ("POST", "/v1/events/test_reaction", "check_possible_reactors", Level.ADMIN),
    ("POST", "/v1/commands/test_reaction", "check_possible_reactors", Level.ADMIN),
    ("GET", "/v1/events/<value>", "read_event", Level.ADMIN),
    ("GET", "/v1/events/<value>/reactions", "list_reactions", Level.ADMIN),
    ("GET", "/v1/tiers", "list_tiers", Level.ADMIN),
    ("GET", "/v1/rewards", "list_rewards", Level.KEY),
    ("GET", "/v1/rewards/<value>", "read_reward", Level.KEY),
    ("GET", "/v1/rewards/<value>/discounts", "list_discounts", Level.ADMIN),
    ("GET", "/v1/benefits", "list_benefits", Level.ADMIN),
    ("GET", "/v1/benefits/<value>", "read_benefit", Level.ADMIN),
    ("POST", "/v1/commands/redeem_benefit", "redeem_benefit", Level.ADMIN),
    ("POST", "/v1/commands/validate_voucher", "validate_voucher", Level.ADMIN),
    ("GET", "/v1/venues", "list_venues", Level.KEY),
    ("GET", "/v1/venues/<value>", "read_venue", Level.KEY),
    ("POST", "/receipts/v1/orders", "place_order", Level.ADMIN),
)


class Api:
    """Answers requests as the engine would.

    :param sandbox: the running sandbox: ``store``, ``options``, ``reactors``, ``rate``,
        ``vouchers``
    """

    def __init__(self, sandbox: Any):
        self._sandbox = sandbox
        self._routes = Map(
            [
                Rule(path, endpoint=(name, level), methods=[method])
                for method, path, name, level in ENDPOINTS
            ]
        ).bind("")

    @property
    def _options(self) -> Options:
        return self._sandbox.options

    @property
    def _store(self) -> Store:
        return self._sandbox.store

    @property
    def _vouchers(self) -> Vouchers:
        return self._sandbox.vouchers

    def __call__(self, request: Request) -> Response:
        """The answer to one request; what is refused is an answer too."""
        try:
            return self._answer(request)
        except Refusal as refusal:
            return self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> Response:
        """The answer to a refused request."""
        if refusal.gateway and self._options.gateway_errors == "bare":
            body: dict[str, Any] = {"message": refusal.message}
        else:
            body = failure(refusal.message)
        return answer(body, refusal.status, refusal.headers)

    def _answer(self, request: Request) -> Response:
        # C-SPEC writes collections with a slash at the end, the documentation without (I).
        path = request.path.rstrip("/")
        try:
            (name, level), values = self._routes.match(path, request.method)
        except NotFound:
            raise Refusal(404, "There is nothing at this address.") from None
        except MethodNotAllowed as error:
            allowed = ", ".join(sorted(error.valid_methods or ()))
            raise Refusal(405, "This method is not allowed.", {"Allow": allowed}) from None
        if level is not Level.NOTHING:
            self._sandbox.rate.take(access.check_key(request), self._options)
        if level is Level.EVENT:
            access.read_bearer(request)
        elif level is Level.ADMIN:
            self._check_admin(request)
        result = getattr(self, name)(request, **values)
        return answer(result if name == "give_token" else envelope(result))

    def _check_admin(self, request: Request) -> None:
        if not self._store.is_token(access.read_bearer(request)):
            raise Refusal(401, "The token is not valid or has ended.")

    # Tokens

    def give_token(self, request: Request) -> dict[str, Any]:
        """An admin token for client credentials (D-TOKEN, D-ZD, C-SDK)."""
        body = rules.read_object(request)
        if body.get("grant_type") != "client_credentials":
            raise Refusal(403, "grant_type must be client_credentials.")
        if (body.get("client_id"), body.get("client_secret")) != (
            demo.CLIENT_ID,
            demo.CLIENT_SECRET,
        ):
            raise Refusal(401, "client_id or client_secret is wrong.")
        if body.get("audience") != demo.AUDIENCE:
            raise Refusal(403, "These credentials have no access to this audience.")
        lifetime = self._options.token_lifetime
        return {
            "access_token": self._store.give_token(lifetime),
            "expires_in": int(lifetime),
            "scope": "",
            "token_type": "Bearer",
        }

    # The tenant

    def read_root(self, request: Request) -> dict[str, Any]:
        return {"name": "Loyalty Engine sandbox"}

    def read_tenant(self, request: Request) -> dict[str, Any]:
        return demo.TENANT

    def list_settings(self, request: Request) -> list[dict[str, str]]:
        return [{"name": name, "value": value} for name, value in demo.SETTINGS.items()]

    def read_setting(self, request: Request, name: str) -> dict[str, str]:
        if not rules.SETTING_NAME.fullmatch(name):
            raise Refusal(400, "A setting's name has 2 to 64 letters, dots and slashes.")
        if name not in demo.SETTINGS:
            raise Refusal(404, "There is no such setting.")
        return {"name": name, "value": demo.SETTINGS[name]}

    def _event_types(self) -> list[dict[str, Any]]:
        reading = self._options.redemption_id
        return [
            kind if reading == "kept" else _without_redemption_id(kind, reading == "dropped")
            for kind in demo.EVENT_TYPES
        ]

    def list_event_types(self, request: Request) -> list[dict[str, Any]]:
        return self._event_types()

    def read_event_type(self, request: Request, value: str) -> dict[str, Any]:
        # Whether {identifier} is the id or the name is not public: both (I).
        for event_type in self._event_types():
            if value in (event_type["id"], event_type["name"]):
                return event_type
        raise Refusal(404, "There is no such event type.")

    def list_tiers(self, request: Request) -> list[dict[str, Any]]:
        rules.check_locale(request.args)
        return list(demo.TIERS)

    def list_venues(self, request: Request) -> list[dict[str, Any]]:
        rules.check_locale(request.args)
        return list(demo.VENUES)

    def read_venue(self, request: Request, value: str) -> dict[str, Any]:
        rules.check_locale(request.args)
        return _by_id(demo.VENUES, value, "venue")

    # Rewards and vouchers

    def list_rewards(self, request: Request) -> list[dict[str, Any]]:
        rules.check_locale(request.args)
        limit, skip, descending = rules.read_page(request.args, self._options)
        rewards = [self._vouchers.describe_reward(reward) for reward in self._store.rewards()]
        return rewards[:: -1 if descending else 1][skip : skip + limit]

    def read_reward(self, request: Request, value: str) -> dict[str, Any]:
        rules.check_locale(request.args)
        return self._vouchers.describe_reward(_by_id(self._store.rewards(), value, "reward"))

    def list_discounts(self, request: Request, value: str) -> list[dict[str, Any]]:
        return _by_id(self._store.rewards(), value, "reward")["discounts"]

    def list_benefits(self, request: Request) -> list[dict[str, Any]]:
        """Everybody's; by whom they may be filtered is not public."""
        rules.check_locale(request.args)
        page = rules.read_page(request.args, self._options)
        return [self._vouchers.describe(row) for row in self._store.benefits(*page)]

    def read_benefit(self, request: Request, value: str) -> dict[str, Any]:
        rules.check_locale(request.args)
        found = [self._vouchers.describe(row) for row in self._store.benefits(id=value)]
        return _by_id(found, value, "benefit")

    def redeem_benefit(self, request: Request) -> dict[str, Any] | None:
        body = rules.read_object(request)
        rules.check_redeem(body, self._options)
        return self._vouchers.redeem(body["benefitId"])

    def validate_voucher(self, request: Request) -> dict[str, Any]:
        body = rules.read_object(request)
        rules.check_validate(body, self._options)
        return self._vouchers.validate(body, request.environ["sandbox.request"])

    # Members

    def _find_user(self, value: str, anything: bool = True) -> Any:
        columns = ["id"]
        if anything:
            columns.append("account_number")  # D-TX
            if self._options.user_by_auth_identifier:
                columns.append("auth_identifier")
            if self._options.user_by_external_identifier:
                columns.append("external_identifier")
        member = self._store.find_member(value, *columns)
        if member is None:
            raise Refusal(404, "There is no such user.")
        return member

    def read_user(self, request: Request, value: str) -> dict[str, Any]:
        """A member by engine id or account number (D-TX); the profile as it was given (C-SPEC)."""
        member = self._find_user(value)
        return {
            "id": member["id"],
            "accountNumber": member["account_number"],
            "authIdentifier": member["auth_identifier"],
            "externalIdentifier": member["external_identifier"],
            "isRestricted": bool(member["restricted"]),
            "profile": {
                "givenName": member["given_name"],
                "familyName": member["family_name"],
                "emailAddress": "EXAMPLE@EXAMPLE.COM",
                "attributes": {},
            },
            "flags": {},
            "createdAt": stamp(member["created_at"]),
        }

    def read_wallet(self, request: Request, value: str) -> dict[str, Any]:
        """Balance, tier and vouchers (S); the names in it are not public."""
        rules.check_locale(request.args)
        options = self._options
        member = self._find_user(value, options.wallet_by == "any")
        tier = tier_of(member["earned"])
        wallet = {"tier": tier if options.wallet_tier == "object" else tier["name"]}
        if options.wallet_vouchers_key != "missing":
            wallet[options.wallet_vouchers_key] = self._vouchers.of_member(member["id"])
        if options.wallet_balance_key != "missing":
            wallet[options.wallet_balance_key] = member["points"]
        return wallet

    # Events

    def report_event(self, request: Request) -> dict[str, Any]:
        """Store an event; its reactors fire later (D-TUT1, D-REACT)."""
        body = rules.read_object(request)
        # Who may report is looked at first, as is usual: nothing is published (I).
        self._check_event_secret(body.get("type"), request)
        rules.check_event(body, self._options)
        event_type = self._check_event_type(body["type"])
        rules.check_payload(body.get("payload", {}), event_type["schema"])
        member_id = self._find_subject(body.get("subject"), "id", "account_number")
        return self._describe_event(self._add_event(body, member_id))

    def _check_event_secret(self, name: Any, request: Request) -> None:
        if not isinstance(name, str) or name not in demo.EVENT_SECRETS:
            return
        bearer = access.read_bearer(request)
        if bearer != demo.EVENT_SECRETS[name]:
            if bearer in demo.EVENT_SECRETS.values():
                raise Refusal(403, "This secret is another event type's.")
            self._check_admin(request)

    def _check_event_type(self, name: str) -> dict[str, Any]:
        if name in demo.INTRINSIC_EVENT_TYPES:
            raise Refusal(400, f"{name} is intrinsic and can't be reported.")  # D-EVT, D-REP
        event_type = next((kind for kind in self._event_types() if kind["name"] == name), None)
        if event_type is None:
            raise Refusal(400, f"There is no event type {name}.")
        if not event_type["isActive"]:
            raise Refusal(400, f"The event type {name} is switched off.")
        return event_type

    def _find_subject(self, subject: str | None, *columns: str) -> str | None:
        """Engine id of the member that ``subject`` names: by ``columns`` or the auth identifier.

        ``None`` where there is no subject, or nobody has that name and the options allow it.
        """
        options = self._options
        if subject is None:
            if options.missing_subject == "refuse":
                raise Refusal(400, "There is no subject.")
            return None
        member = self._store.find_member(subject, *columns, "auth_identifier")
        if member is None:
            if options.unknown_subject == "refuse":
                raise Refusal(404, "The subject is not a user.")
            return None
        if member["restricted"] and options.restricted_subject == "refuse":
            raise Refusal(403, "The subject is restricted.")
        return member["id"]

    def _add_event(
        self,
        body: Mapping[str, Any],
        member_id: str | None,
        order: dict[str, Any] | None = None,
    ) -> Any:
        options = self._options
        now = time.time()
        payload = body.get("payload", {})
        if options.redemption_id == "dropped":
            payload = {name: value for name, value in payload.items() if name != "redemptionId"}
        identity = [body.get(name) for name in ("type", "subject", "executor", "occurredAt")]
        values = {
            "type": body["type"],
            "subject": body.get("subject"),
            "member_id": member_id,
            "executor": body.get("executor"),
            "payload": json.dumps(payload, ensure_ascii=False),
            "occurred_at": body.get("occurredAt") or stamp(now),
            "reported_at": now,
            "digest": hashlib.sha256(
                json.dumps([*identity, payload], sort_keys=True).encode()
            ).hexdigest(),
            # Without a member there is no balance that a reactor could change.
            "react_at": None if member_id is None else now + reactors.delay(body["type"], options),
        }
        try:
            row = self._store.add_event(values, once=options.duplicates != "accept", order=order)
        except DuplicateEvent:
            status = 409 if options.duplicates == "conflict" else 200
            raise Refusal(status, "This was reported before.") from None
        self._sandbox.reactors.notice()
        return row

    def _describe_event(self, row: Any) -> dict[str, Any]:
        event = {
            "id": row["id"] if self._options.event_id == "number" else row["uuid"],
            "type": row["type"],
            "subject": row["subject"],
            "executor": row["executor"],
            "payload": json.loads(row["payload"]),
            "occurredAt": row["occurred_at"],
            "reportedAt": stamp(row["reported_at"]),
        }
        if self._options.event_reacted_at:
            event["reactedAt"] = stamp(row["reacted_at"]) if row["reacted_at"] else None
        return event

    def _find_event(self, value: str) -> Any:
        row = None
        if self._options.event_id == "uuid":
            row = self._store.find_event("uuid", value)
        elif value.isascii() and value.isdigit() and len(value) <= 18:
            row = self._store.find_event("id", int(value))
        if row is None:
            raise Refusal(404, "There is no such event.")
        return row

    def list_events(self, request: Request) -> list[dict[str, Any]]:
        limit, skip, descending = rules.read_page(request.args, self._options)
        before = time.time() - self._options.event_list_delay
        rows = self._store.list_events(limit, skip, descending, before)
        return [self._describe_event(row) for row in rows]

    def read_event(self, request: Request, value: str) -> dict[str, Any]:
        return self._describe_event(self._find_event(value))

    def list_reactions(self, request: Request, value: str) -> Any:
        """What the event did; empty as long as its reactors haven't fired."""
        rows = self._store.reactions(self._find_event(value)["id"])
        return self._describe_reactions(
            {
                "id": row["id"],
                "reactor": {"name": row["reactor"]},
                "points": row["points"],
                "createdAt": stamp(row["created_at"]),
            }
            for row in rows
        )

    def check_possible_reactors(self, request: Request) -> Any:
        """What an event would do; nothing happens (C-SPEC ``checkPossibleReactors``; S)."""
        place = request.path.split("/")[2]
        if self._options.test_reaction_path not in (place, "both"):
            raise Refusal(404, "There is nothing at this address.")
        body = rules.read_object(request)
        rules.check_event(body, self._options)
        event_type = self._check_event_type(body["type"])
        payload = body.get("payload", {})
        rules.check_payload(payload, event_type["schema"])
        member_id = self._find_subject(body.get("subject"), "id", "account_number")
        reaction = reactors.react(body["type"], payload, self._options)
        # Nobody's event changes no balance.
        found = [] if reaction is None or member_id is None else [reaction]
        return self._describe_reactions(
            {"reactor": {"name": name}, "points": points} for name, points in found
        )

    def _describe_reactions(self, reactions: Any) -> Any:
        found = list(reactions)
        if self._options.reactions_shape == "list":
            return found
        return {"points": sum(entry["points"] for entry in found), "reactions": found}

    # Orders

    def place_order(self, request: Request) -> dict[str, Any]:
        """Store an order and report ``ORDER_PLACED`` for it (S, D-TX).

        What an order holds besides its ``submitter`` is not public: any object without personal
        data (S) is taken.
        """
        body = rules.read_object(request)
        rules.check_not_personal(body)
        submitter = self._read_submitter(body.get("submitter"))
        member_id = self._find_subject(submitter)
        order = {"id": str(uuid.uuid4()), "body": json.dumps(body, ensure_ascii=False)}
        payload = {name: value for name, value in body.items() if name != "submitter"}
        event = {"type": "ORDER_PLACED", "payload": payload}
        if submitter is not None:
            event["subject"] = submitter
        self._add_event(event, member_id, order)
        return {"id": order["id"], **body}

    def _read_submitter(self, value: Any) -> str | None:
        """The auth identifier of who ordered (D-TX)."""
        if value is None:
            return None
        form = self._options.order_submitter
        if isinstance(value, dict) and form != "text" and list(value) == ["authIdentifier"]:
            value = value["authIdentifier"]
        elif form == "object":
            raise Refusal(400, "submitter must be {authIdentifier}.")
        if not isinstance(value, str) or not 1 <= len(value) <= 512:
            raise Refusal(400, "submitter must be an authIdentifier of 1 to 512 characters.")
        return value


def tier_of(earned: int) -> dict[str, Any]:
    """The highest tier that ``earned`` points reach (D-TIER)."""
    reached = [tier for tier in demo.TIERS if tier["pointsRequirement"] <= earned]
    return max(reached, key=lambda tier: tier["priority"])


def _without_redemption_id(event_type: dict[str, Any], is_open: bool) -> dict[str, Any]:
    """An event type of points whose schema doesn't name ``redemptionId``; others as they are."""
    schema = event_type["schema"]
    if "redemptionId" not in schema["properties"]:
        return event_type
    names = {name: kind for name, kind in schema["properties"].items() if name != "redemptionId"}
    schema = {**schema, "properties": names, "additionalProperties": is_open}
    return {**event_type, "schema": schema}


def _by_id(entries: Any, value: str, what: str) -> dict[str, Any]:
    for entry in entries:
        if entry["id"] == value:
            return entry
    raise Refusal(404, f"There is no such {what}.")


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        status,
        headers,
        mimetype="application/json",
    )

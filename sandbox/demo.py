"""The invented tenant: credentials, members, event types, rewards. Nothing in here is real.

Plain constants without imports of the rest, so that a demo can set itself up from them.
"""

from dataclasses import dataclass
from decimal import Decimal

TENANT = {
    "id": "5a4db0c5-0000-4000-8000-000000000001",
    "name": "Sandbox Corner Shop",
    "slug": "sandbox-corner-shop",
}

# Not a UUID: keys of other formats are in use (C-SPEC says uuid, a public example is none).
API_KEY = "sandbox-api-key-0123456789abcdefghijklmn"
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"
AUDIENCE = "wlloyalty.net"
EVENT_SECRET = "sandbox-event-secret-pos-sale"
"""Secret of the event type ``POS_SALE``. Each private type has a secret of its own (D-TUT1)."""

SETTINGS = {"pointsCurrencyValue": "0.01"}
"""Values are strings (C-SPEC); ``pointsCurrencyValue`` is what one point is worth (D-PTS)."""

POINT_VALUE = Decimal(SETTINGS["pointsCurrencyValue"])
"""Currency units that one point is worth."""


def _tier(number, name, description, points, priority):
    return {
        "id": f"5a4db0c5-0000-4000-8000-00000000010{number}",
        "name": name,
        "description": description,
        "artworkUrl": None,
        "priority": priority,
        "pointsRequirement": points,
        "calculation": "LIFETIME_EARN",
        "accumulationPeriod": None,
        "effectivity": None,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }


TIERS = (
    _tier(1, "Bronze", "Where everyone starts.", 0, 1),
    _tier(2, "Silver", "From 500 points earned.", 500, 2),
    _tier(3, "Gold", "From 2,000 points earned.", 2000, 3),
)
"""A higher ``priority`` is a higher tier (D-TIER); ``pointsRequirement`` in points earned."""


@dataclass(frozen=True)
class Member:
    """A member of the invented tenant.

    ``points`` is the balance at the start and may be negative (S); ``earned`` are the points
    earned in a lifetime, from which the tier follows (D-TIER).
    """

    id: str
    account_number: str
    auth_identifier: str
    given_name: str
    family_name: str
    tier: str
    points: int
    earned: int
    external_identifier: str | None = None
    restricted: bool = False


def _member(number, given_name, family_name, tier, points, earned, **more):
    return Member(
        id=f"c0ffee00-0000-4000-8000-00000000000{number}",
        account_number=f"{1000000 + 11 * number}",
        auth_identifier=f"demo|member-000{number}",
        external_identifier=f"CRM-{number:04d}",
        given_name=given_name,
        family_name=family_name,
        tier=tier,
        points=points,
        earned=earned,
        **more,
    )


MEMBERS = (
    _member(1, "Mia", "Marmalade", "Gold", 1250, 2600),
    _member(2, "Otto", "Oatcake", "Silver", 430, 900),
    _member(3, "Pia", "Pretzel", "Bronze", 80, 80),
    _member(4, "Ringo", "Rhubarb", "Gold", 98765, 120000),
    _member(5, "Nell", "Newcomer", "Bronze", 0, 0),
    _member(6, "Basil", "Below-Zero", "Bronze", -50, 200),
    _member(7, "Rita", "Restricted", "Silver", 300, 600, restricted=True),
)

INTRINSIC_EVENT_TYPES = frozenset(
    {
        "REGISTERED_ACCOUNT",
        "CLOSED_ACCOUNT",
        "CONSENT_GIVEN",
        "CONSENT_REVOKED",
        "POINTS_ADJUSTED",
        "PURCHASED_REWARD",
        "REDEEMED_VOUCHER",
        "ORDER_PLACED",
        "BURNED_VOUCHER",
        "VOUCHER_GIVEN",
        "REFERRAL_TRANCHE_ACTIVATION",
        "PROFILE_UPDATED",
        "POINTS_EXPIRED",
    }
)
"""Raised by the engine itself; a client can't report them (D-EVT, D-STATIC, S, C-SPEC)."""


def _closed_object(required=(), **properties):
    """A draft-6 schema of an object that takes nothing but ``properties``."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def _schema(required, **properties):
    return {
        "$schema": "http://json-schema.org/draft-06/schema#",
        **_closed_object(required, **properties),
    }


_NUMBER = {"type": "number"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 128}
_WHERE = {"transactionId": _TEXT, "storeId": _TEXT, "tillId": _TEXT, "cashierId": _TEXT}

SALE_SCHEMA = _schema(
    ("transactionId", "currency", "total"),
    **_WHERE,
    receiptNumber=_TEXT,
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    total=_NUMBER,
    totalWithoutTax=_NUMBER,
    tax=_NUMBER,
    discount=_NUMBER,
    lines={
        "type": "array",
        "items": _closed_object(
            sku=_TEXT,
            quantity=_NUMBER,
            unitPrice=_NUMBER,
            amount=_NUMBER,
            amountWithoutTax=_NUMBER,
            discount=_NUMBER,
            category=_TEXT,
        ),
    },
    payments={"type": "array", "items": _closed_object(kind=_TEXT, amount=_NUMBER)},
    earningTotal=_NUMBER,
    redemptions={
        "type": "array",
        "items": _closed_object(
            kind={"enum": ["voucher", "points"]},
            redemptionId=_TEXT,
            points=_NUMBER,
            amount=_NUMBER,
            benefitId=_TEXT,
            rewardId=_TEXT,
        ),
    },
)

POINTS_SCHEMA = _schema(
    ("points",),
    **_WHERE,
    points={"type": "number", "exclusiveMinimum": 0},
    amount={"type": "number", "minimum": 0},
    redemptionId=_TEXT,
)

# Where the engine finds a transaction's own id and its value in a payload (C-SPEC).
_TRANSACTION_MAPPING = {
    "metaType": "TRANSACTION",
    "metaPayloadConfig": {
        "__type": "TRANSACTION",
        "metaEventIdPath": "$.transactionId",
        "valuePath": "$.total",
        "currency": "EUR",
        "valueFactor": 1,
        "operationType": "UPSERT",
    },
}


def _event_type(number, name, description, schema, *, active=True, mappings=()):
    return {
        "id": f"5a4db0c5-0000-4000-8000-00000000020{number}",
        "name": name,
        "description": description,
        "isPrivate": True,
        "isActive": active,
        "schema": schema,
        "metaTypeMappings": list(mappings),
        "enhancers": [],
        "omitFromUserActivity": False,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }


EVENT_TYPES = (
    _event_type(
        1,
        "POS_SALE",
        "A sale at a point of sale, by a member or not.",
        SALE_SCHEMA,
        mappings=(_TRANSACTION_MAPPING,),
    ),
    _event_type(2, "REDEEMED_POINTS", "Points spent at a point of sale.", POINTS_SCHEMA),
    _event_type(3, "POINTS_REFUND", "Points given back.", POINTS_SCHEMA),
    _event_type(4, "RETIRED_SALE", "A type that is switched off.", SALE_SCHEMA, active=False),
)

EVENT_SECRETS = {
    "POS_SALE": EVENT_SECRET,
    "REDEEMED_POINTS": "sandbox-event-secret-redeemed-points",
    "POINTS_REFUND": "sandbox-event-secret-points-refund",
    "RETIRED_SALE": "sandbox-event-secret-retired-sale",
}


def _venue(number, name, external_identifier):
    return {
        "id": f"5a4db0c5-0000-4000-8000-{700 + number:012d}",
        "type": "TENANT",
        "name": name,
        "externalIdentifier": external_identifier,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
    }


VENUES = (
    _venue(1, "Corner Bakery", "corner-bakery"),
    _venue(2, "Harbour Kiosk", "harbour-kiosk"),
)
"""``externalIdentifier`` is a store's own number (D-VENUE)."""


def _discount(number, kind, value, **more):
    return {
        "id": f"5a4db0c5-0000-4000-8000-{400 + number:012d}",
        "type": kind,
        "value": value,
        "sku": None,
        "productSku": None,
        "venues": [],
        **more,
    }


def _reward(number, name, summary, discounts, kind="VOUCHER", code_type="OTP", **more):
    return {
        "id": f"5a4db0c5-0000-4000-8000-{300 + number:012d}",
        "type": kind,
        "name": name,
        "summary": summary,
        "description": summary,
        "price": 500,
        "purchasable": kind == "VOUCHER",
        "codeType": code_type,
        "code": None,
        "hideCode": False,
        "currency": "EUR",
        "minTransactionAmount": None,
        "maxTransactionAmount": None,
        "venues": [],
        "redemptionChannels": ["IN_STORE"],
        "discounts": list(discounts),
        "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z",
        **more,
    }


REWARDS = (
    # An absolute value is in the currency's smallest unit: 500 is 5.00 (D-DISC).
    _reward(1, "5.00 off", "Five off your basket.", [_discount(1, "ABSOLUTE", 500)]),
    _reward(2, "10 % off", "Ten per cent off.", [_discount(2, "PERCENTAGE", 10)]),
    _reward(
        3,
        "Apple pie for 9.00",
        "One apple pie at a fixed price.",
        [_discount(3, "FIXED", 900, sku="APPLE-PIE")],
    ),
    _reward(
        4,
        "Staff offer",
        "Five per cent off.",
        [_discount(4, "PERCENTAGE", 5)],
        kind="GENERIC_OFFER",
        code_type=None,
        price=0,
    ),
    _reward(
        5,
        "20 % off croissants",
        "Butter or cheese.",
        [_discount(5, "PERCENTAGE", 20, sku="BUTTER-CROISSANT,CHEESE-CROISSANT")],
    ),
    _reward(
        6,
        "8.00 off from 30.00",
        "Eight off a basket of thirty or more.",
        [_discount(6, "ABSOLUTE", 800)],
        minTransactionAmount=30,
    ),
    _reward(
        7,
        "3.00 off at the harbour",
        "Only at the Harbour Kiosk.",
        [_discount(7, "ABSOLUTE", 300)],
        venues=[{"id": VENUES[1]["id"]}],
    ),
    # No type that is published: whoever guesses at it gives money away.
    _reward(8, "Three for two", "Three rolls, two paid.", [_discount(8, "THREE_FOR_TWO", 1)]),
    _reward(
        9,
        "Welcome, 1.00 off",
        "The same code for everyone.",
        [_discount(9, "ABSOLUTE", 100)],
        code_type="STATIC",
        code="WELCOME",
    ),
    _reward(
        10,
        "2.50 off",
        "A code from a list that was made beforehand.",
        [_discount(10, "ABSOLUTE", 250)],
        code_type="POOL",
    ),
)
"""Rewards at the start. ``minTransactionAmount`` is in currency units, which is not public."""


@dataclass(frozen=True)
class Benefit:
    """A voucher that a member has at the start. Its state follows from the times (D-BEN)."""

    id: str
    reward_id: str
    member_id: str
    code_id: str
    code: str
    redeemed_at: str | None
    burned_at: str | None
    expires_at: str
    created_at: str = "2025-01-01T09:00:00.000Z"


def _benefit(number, reward, member, code, *, redeemed=True, burned=False, year=2099):
    return Benefit(
        id=f"5a4db0c5-0000-4000-8000-{500 + number:012d}",
        code_id=f"5a4db0c5-0000-4000-8000-{600 + number:012d}",
        reward_id=REWARDS[reward - 1]["id"],
        member_id=MEMBERS[member - 1].id,
        code=code,
        redeemed_at="2025-01-02T09:00:00.000Z" if redeemed else None,
        burned_at="2025-01-03T09:00:00.000Z" if burned else None,
        expires_at=f"{year}-12-31T23:59:59.000Z",
    )


BENEFITS = (
    _benefit(1, 1, 1, "MIA-FIVE"),
    _benefit(2, 2, 1, "MIA-TEN"),
    _benefit(3, 3, 1, "MIA-PIE"),
    _benefit(4, 5, 1, "MIA-CROISSANT"),
    _benefit(5, 6, 1, "MIA-THIRTY"),
    _benefit(6, 7, 1, "MIA-HARBOUR"),
    _benefit(7, 8, 1, "MIA-THREE"),
    # A code is what it is: capital and small letters, blanks and all.
    _benefit(8, 1, 1, "Mia later", redeemed=False),
    _benefit(9, 1, 1, "MIA-USED", burned=True),
    _benefit(10, 1, 1, "MIA-OLD", redeemed=False, year=2025),
    _benefit(11, 9, 1, "WELCOME"),
    _benefit(12, 10, 1, "POOL-0001"),
    _benefit(13, 1, 2, "OTTO-FIVE"),
    _benefit(14, 9, 2, "WELCOME"),
    _benefit(15, 2, 3, "PIA-TEN"),
)

"""The readings: where the public sources leave a choice, an option makes it.

The default of each is the most careful one: what works with it should work with the others.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any


class OptionError(ValueError):
    """An option that doesn't exist, or a value that it can't take. The text says which."""


def _choice(text: str, default: str, *others: str) -> Any:
    return field(default=default, metadata={"help": text, "choices": (default, *others)})


def _number(text: str, default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"help": text, "range": (low, high)})


def _flag(text: str, default: bool) -> Any:
    return field(default=default, metadata={"help": text})


def _text(text: str, default: str) -> Any:
    return field(default=default, metadata={"help": text})


def _delay(what: str) -> Any:
    text = f"the same for {what} alone; -1: as reactor_delay"
    return _number(text, -1, -1, 3600)


def _reactor(what: str) -> Any:
    text = f"the reactor of {what}: on, off, or held, so that events wait until it is on again"
    return _choice(text, "on", "off", "held")


@dataclass(frozen=True)
class Options:
    """How this sandbox reads what is not settled. Times in seconds."""

    reactor_delay: float = _number(
        "seconds from an event to its reaction: almost instant to a few (D-REACT)", 0.5, 0, 5
    )
    reward_currency: str = _text("currency of every reward; empty: each one's own", "")
    sale_delay: float = _delay("a sale")
    redeem_delay: float = _delay("points spent")
    refund_delay: float = _delay("points given back")
    sale_reactor: str = _reactor("a sale")
    redeem_reactor: str = _reactor("points spent")
    refund_reactor: str = _reactor("points given back")
    redeem_points_per_unit: float = _number(
        "points spent for a whole currency unit of the payload's amount; 0: the payload's points",
        0,
        0,
        100000,
    )
    refund_cap: float = _number(
        "most points that one refund gives back: a cap on earning forfeits the rest (D-CAPS);"
        " -1: no cap",
        -1,
        -1,
        1e12,
    )
    redemption_id: str = _choice(
        "redemptionId in the payloads of points: kept, dropped without a word (the schema doesn't"
        " name it and is open), or refused (the schema is closed)",
        "kept",
        "dropped",
        "refused",
    )
    points_per_unit: float = _number("points for a whole currency unit", 1, 0, 1000)
    money_unit: str = _choice("unit of amounts in payloads", "decimal", "minor")
    total_key: str = _text("key of a payload or order that holds the total", "total")
    earning_key: str = _text(
        "key that holds the part of the total that earns, where there is one", "earningTotal"
    )
    token_lifetime: float = _number(
        "seconds that an admin token lives: 24 hours (D-TOKEN)", 86400, 1, 86400
    )
    user_by_auth_identifier: bool = _flag(
        "GET /users/{id} finds the auth identifier too (unknown)", False
    )
    user_by_external_identifier: bool = _flag(
        "GET /users/{id} finds the external identifier too (unknown)", False
    )
    wallet_by: str = _choice(
        "what GET /users/{userId}/wallet takes: the engine id, or what GET /users/{id} takes",
        "id",
        "any",
    )
    wallet_balance_key: str = _choice(
        "key of the balance in a wallet (pointsBalance is the one that C-SPEC hints at);"
        " missing: no balance at all",
        "pointsBalance",
        "points",
        "balance",
        "missing",
    )
    wallet_tier: str = _choice("the tier in a wallet: an object or its name", "object", "name")
    wallet_vouchers_key: str = _choice(
        "key of the vouchers in a wallet; missing: none are told", "vouchers", "benefits", "missing"
    )
    wallet_discounts: bool = _flag("rewards in a wallet tell their discounts (unknown)", True)
    wallet_burned: bool = _flag("burned vouchers stay in the wallet (unknown)", True)
    unredeemed_code: str = _choice(
        "the code of a benefit that is not redeemed yet (unknown)", "shown", "hidden"
    )
    redeem_again: str = _choice(
        "redeem_benefit of what is redeemed already (unknown)", "refuse", "accept"
    )
    redeem_answer: str = _choice(
        "answer of redeem_benefit: the benefit, or no data (unknown)", "benefit", "empty"
    )
    voucher_answer: str = _choice(
        "where validate_voucher tells the discounts: data.reward, data itself,"
        " data.benefit.reward, nowhere",
        "reward",
        "top",
        "benefit",
        "none",
    )
    voucher_refusal: str = _choice(
        "status for a voucher that can't be used now (unknown); 200: with status fail",
        "422",
        "400",
        "404",
        "409",
        "200",
    )
    voucher_owner: str = _choice(
        "userIdentifier of validate_voucher: another's voucher is refused, it is ignored,"
        " or it must be given too (unknown)",
        "enforce",
        "ignore",
        "require",
    )
    venue_by: str = _choice("venueIdentifier takes", "any", "id", "externalIdentifier")
    missing_venue: str = _choice(
        "a voucher of certain venues without venueIdentifier (unknown)", "refuse", "accept"
    )
    static_codes: str = _choice(
        "a static code: each member's once, whose must be told; or anyone's, as often as they like"
        " (no tracking, D-STATIC)",
        "member",
        "anyone",
    )
    amount_limits: str = _choice(
        "unit of a reward's minTransactionAmount and maxTransactionAmount (unknown)",
        "decimal",
        "minor",
    )
    event_id: str = _choice("id of an event (C-SPEC hints at a number)", "number", "uuid")
    event_reacted_at: bool = _flag(
        "an event read back carries reactedAt (the console shows it, D-VIEW)", False
    )
    event_list_delay: float = _number(
        "seconds until GET /events shows an event that was reported", 0, 0, 60
    )
    reactions_shape: str = _choice(
        "answer of reactions and test_reaction: a list, or an object with the sum (D-VIEW)",
        "list",
        "object",
    )
    test_reaction_path: str = _choice(
        "/events/test_reaction (C-SPEC), /commands/test_reaction (S), or both",
        "events",
        "commands",
        "both",
    )
    unknown_subject: str = _choice("an event or order for nobody we know", "refuse", "accept")
    missing_subject: str = _choice(
        "an event or order without a member: all sales should be reported (S)", "accept", "refuse"
    )
    restricted_subject: str = _choice(
        "an event or order for a restricted member (D-USER)", "accept", "refuse"
    )
    unknown_fields: str = _choice("top-level fields that C-SPEC lacks", "refuse", "ignore")
    duplicates: str = _choice(
        "an identical event or order: accepted again, 409, or 200 with status fail"
        " (a detection exists, its rule is not public, D-ENH)",
        "accept",
        "conflict",
        "fail",
    )
    order_submitter: str = _choice(
        "submitter of an order: {authIdentifier} (D-RECEIPTS), a text (D-TX), either",
        "object",
        "text",
        "either",
    )
    list_limit: float = _number("entries of a list without a limit (unknown)", 10, 1, 1000)
    list_order: str = _choice("order of a list that doesn't name one (unknown)", "ASC", "DESC")
    list_order_required: bool = _flag(
        "a list with limit or skip must name its order (C-SPEC flags it as required)", True
    )
    list_filter: str = _choice(
        "a filter, whose syntax is not public: ignored or refused", "ignore", "refuse"
    )
    gateway_errors: str = _choice(
        "body for a bad key and for throttling: {message} alone, or in the envelope",
        "bare",
        "envelope",
    )
    rate_limit: float = _number("requests a second for each API key (D-REWARDS)", 100, 1, 100000)
    rate_burst: float = _number("requests in a burst (D-REWARDS)", 400, 1, 100000)
    retry_after: float = _number(
        "Retry-After of a 429 in seconds; 0: none is sent (none is documented)", 0, 0, 3600
    )

    def changed(self, values: Mapping[str, Any]) -> "Options":
        """These options with ``values`` instead.

        :raise OptionError: a name or a value that isn't one
        """
        known = {entry.name: entry for entry in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise OptionError(f"There is no option {name!r}.")
            _check(name, value, known[name])
        return replace(self, **values)

    def differences(self) -> dict[str, Any]:
        """What is not at its default."""
        default = asdict(Options())
        return {name: value for name, value in asdict(self).items() if value != default[name]}


def _check(name: str, value: Any, entry: Any) -> None:
    if choices := entry.metadata.get("choices"):
        if value not in choices:
            raise OptionError(f"Option {name} takes one of {', '.join(choices)}.")
    elif bounds := entry.metadata.get("range"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not bounds[0] <= value <= bounds[1]:
            raise OptionError(f"Option {name} takes a number from {bounds[0]} to {bounds[1]}.")
    elif isinstance(entry.default, bool):
        if not isinstance(value, bool):
            raise OptionError(f"Option {name} takes true or false.")
    elif not isinstance(value, str) or not 1 <= len(value) <= 64:
        raise OptionError(f"Option {name} takes a text of 1 to 64 characters.")


def describe() -> list[dict[str, Any]]:
    """Name, default, help and possible values of every option, for the page and the manual."""
    return [
        {"name": entry.name, "default": entry.default, **entry.metadata}
        for entry in fields(Options)
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A command-line switch for each option; one that isn't given is ``None``."""
    for entry in fields(Options):
        switch = "--" + entry.name.replace("_", "-")
        text = f"{entry.metadata['help']} [{entry.default}]".replace("%", "%%")
        if isinstance(entry.default, bool):
            parser.add_argument(switch, action=argparse.BooleanOptionalAction, help=text)
        elif "range" in entry.metadata:
            parser.add_argument(switch, type=float, metavar="N", help=text)
        else:
            parser.add_argument(switch, choices=entry.metadata.get("choices"), help=text)


def from_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line names."""
    values = {entry.name: getattr(arguments, entry.name) for entry in fields(Options)}
    return {name: value for name, value in values.items() if value is not None}

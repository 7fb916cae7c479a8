"""Vouchers: what a benefit goes through, and how the engine tells of it.

A benefit has no state but its times (D-BEN). Only the code of one that is redeemed can be checked
or burned (S), a burn is final (S), and a redeemed one doesn't expire (D-BEN).
"""

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from . import demo
from .clock import stamp
from .errors import Refusal
from .options import Options
from .reactors import DECIMALS
from .store import Store

LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Of a code that is made up: none that is mistaken for another."""

REASONS = {
    "burned": "This voucher was used before.",
    "expired": "This voucher has expired.",
    "not redeemed": "This voucher is not redeemed yet.",
}


class Vouchers:
    """Redeems benefits, checks and burns codes.

    :param sandbox: the running sandbox: ``store``, ``options``
    """

    def __init__(self, sandbox: Any):
        self._sandbox = sandbox

    @property
    def _options(self) -> Options:
        return self._sandbox.options

    @property
    def _store(self) -> Store:
        return self._sandbox.store

    # What is told

    def describe(self, row: Any, *, discounts: bool = True) -> dict[str, Any]:
        """A benefit as is published (D-BEN)."""
        reward = json.loads(row["reward"])
        hidden = self._options.unredeemed_code == "hidden" and not row["redeemed_at"]
        times = [row[f"{name}_at"] for name in ("created", "redeemed", "validated")]
        code = {
            "id": row["code_id"],
            "createdAt": row["created_at"],
            "updatedAt": max(filter(None, times)),
            "redeemedAt": row["redeemed_at"],
            "validatedAt": row["validated_at"],
            "value": None if hidden else row["code"],
        }
        return {
            "id": row["id"],
            "type": "VOUCHER",
            "createdAt": row["created_at"],
            "redeemedAt": row["redeemed_at"],
            "expiresAt": row["expires_at"],
            "burnedAt": row["burned_at"],
            "reward": self.describe_reward(reward, discounts=discounts),
            "owner": {"id": row["member_id"], "accountNumber": row["account_number"]},
            "code": None if reward["hideCode"] else code,
        }

    def describe_reward(self, reward: dict[str, Any], *, discounts: bool = True) -> dict[str, Any]:
        told = {name: value for name, value in reward.items() if discounts or name != "discounts"}
        if self._options.reward_currency:
            told["currency"] = self._options.reward_currency
        if self._options.amount_limits == "minor":
            for name in ("minTransactionAmount", "maxTransactionAmount"):
                if reward[name] is not None:
                    amount = Decimal(str(reward[name])).scaleb(DECIMALS.get(told["currency"], 2))
                    told[name] = int(amount)
        return told

    def of_member(self, member_id: str) -> list[dict[str, Any]]:
        """What a wallet tells of vouchers."""
        options = self._options
        return [
            self.describe(row, discounts=options.wallet_discounts)
            for row in self._store.benefits(member_id=member_id)
            if options.wallet_burned or not row["burned_at"]
        ]

    # What is done

    def redeem(self, benefit_id: str) -> dict[str, Any] | None:
        """Make a benefit's code ready to be used; raises ``REDEEMED_VOUCHER`` (D-BEN, D-STATIC).

        :raise Refusal: there is none, it is redeemed already, it has expired
        """
        row = next(iter(self._store.benefits(id=benefit_id)), None)
        if row is None:
            raise Refusal(404, "There is no such benefit.")
        if state_of(row) == "expired":
            raise self._refusal(REASONS["expired"])
        now = time.time()
        event = _event("REDEEMED_VOUCHER", row, now)
        times = {"redeemed_at": stamp(now)}
        done = self._store.change_benefit(benefit_id, "redeemed_at", event, **times)
        if not done and self._options.redeem_again == "refuse":
            raise self._refusal("This voucher is redeemed already.")
        if self._options.redeem_answer == "empty":
            return None
        return self.describe(self._store.benefits(id=benefit_id)[0])

    def validate(self, body: Mapping[str, Any], request: int) -> dict[str, Any]:
        """Check a code, or burn it, and tell what it is worth (S, D-VOU).

        :param body: a valid ``ValidateVoucherCommand``
        :param request: number of the request, as the log of requests has it
        :raise Refusal: it can't be used, or not here, or not by this member
        """
        row = self._find(body["code"], body.get("userIdentifier"))
        self._check_usable(row)
        self._check_venue(json.loads(row["reward"])["venues"], body.get("venueIdentifier"))
        now = time.time()
        if body.get("allowFutureValidation", False):
            self._store.change_benefit(row["id"], "validated_at", validated_at=stamp(now))
        else:
            self._burn(row, body, request, now)
        return self._answer(self._store.benefits(id=row["id"])[0])

    def _find(self, code: str, user: str | None) -> Any:
        """The benefit that a code stands for."""
        options = self._options
        rows = self._store.benefits(code=code)
        if not rows:
            raise Refusal(404, "There is no such voucher.")
        if self._is_anyones(rows[0]):
            return rows[0]
        if options.voucher_owner == "require" and user is None:
            raise Refusal(400, "userIdentifier is missing.")
        if user is not None and options.voucher_owner != "ignore":
            columns = ("id", "account_number", "auth_identifier")
            member = self._store.find_member(user, *columns)
            if member is None:
                raise Refusal(404, "There is no such user.")
            rows = [row for row in rows if row["member_id"] == member["id"]]
            if not rows:
                raise self._refusal("This voucher is another member's.")
        if len({row["member_id"] for row in rows}) > 1:
            raise self._refusal("Several members have this code: userIdentifier must say whose.")
        return min(rows, key=lambda row: row["burned_at"] is not None)

    def _is_anyones(self, row: Any) -> bool:
        static = json.loads(row["reward"])["codeType"] == "STATIC"
        return static and self._options.static_codes == "anyone"

    def _check_usable(self, row: Any) -> None:
        if (state := state_of(row)) in REASONS:
            raise self._refusal(REASONS[state])

    def _check_venue(self, venues: list[dict[str, str]], told: str | None) -> None:
        options = self._options
        keys = ("id", "externalIdentifier") if options.venue_by == "any" else (options.venue_by,)
        here = [venue for venue in demo.VENUES if told in [venue[key] for key in keys]]
        if told is not None and not here:
            raise Refusal(404, "There is no such venue.")
        if not venues or (told is None and options.missing_venue == "accept"):
            return
        if not {venue["id"] for venue in here} & {venue["id"] for venue in venues}:
            raise self._refusal("This voucher can't be used at this venue.")

    def _burn(self, row: Any, body: Mapping[str, Any], request: int, now: float) -> None:
        burn = {
            "burned_at": stamp(now),
            "request": request,
            "user_identifier": body.get("userIdentifier"),
            "venue_identifier": body.get("venueIdentifier"),
        }
        times = {"validated_at": stamp(now)}
        if not self._is_anyones(row):
            times["burned_at"] = stamp(now)
        event = _event("BURNED_VOUCHER", row, now)
        if not self._store.change_benefit(row["id"], "burned_at", event, burn, **times):
            # Another request was faster.
            raise self._refusal(REASONS["burned"])

    def _answer(self, row: Any) -> dict[str, Any]:
        place = self._options.voucher_answer
        benefit = self.describe(row, discounts=place in ("reward", "benefit"))
        if place == "benefit":
            return {"benefit": benefit}
        if place == "top":
            benefit["discounts"] = json.loads(row["reward"])["discounts"]
        return benefit

    def _refusal(self, message: str) -> Refusal:
        return Refusal(int(self._options.voucher_refusal), message)

    # What people and tests set up

    def give(self, member: Any, reward: dict[str, Any], **values: Any) -> Any:
        """Give a member a benefit of ``reward``, redeemed unless ``redeemed`` is false.

        :param values: ``code`` instead of one made up, ``redeemed``, ``expires_at``
        """
        now = stamp(time.time())
        code = values.get("code") or reward["code"]
        if code is None and reward["codeType"] != "POOL":
            code = "".join(secrets.choice(LETTERS) for _letter in range(8))
        return self._store.add_benefit(
            {
                "id": str(uuid.uuid4()),
                "reward_id": reward["id"],
                "member_id": member["id"],
                "code_id": str(uuid.uuid4()),
                "code": code,
                "created_at": now,
                "redeemed_at": now if values.get("redeemed", True) else None,
                "expires_at": values.get("expires_at"),
            }
        )


def state_of(row: Any) -> str:
    """What follows from a benefit's times: usable, burned, expired, or not redeemed (D-BEN)."""
    if row["burned_at"]:
        return "burned"
    if row["redeemed_at"]:
        return "usable"
    # Both are written alike, so that they compare as texts.
    expired = row["expires_at"] is not None and row["expires_at"] < stamp(time.time())
    return "expired" if expired else "not redeemed"


def _event(kind: str, row: Any, now: float) -> dict[str, Any]:
    """An intrinsic event (D-EVT). No reactor waits for it."""
    return {
        "type": kind,
        "subject": row["member_id"],
        "member_id": row["member_id"],
        "payload": json.dumps({"benefitId": row["id"], "rewardId": row["reward_id"]}),
        "occurred_at": stamp(now),
        "reported_at": now,
        "digest": f"{kind} {row['id']}",
        "react_at": now,
        "reacted_at": now,
    }

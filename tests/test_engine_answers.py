"""Every accepted spelling with its source, and every value that must not be guessed at."""

from __future__ import annotations

import json
import unittest
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from ..engine import EngineAnswerUnreadable, answers

UUID = "8d68cb91-202a-4c62-a867-8f9a8a1e2f50"

#: What is no number of JSON, or none that could be a balance.
NO_NUMBERS = (None, True, False, "100", "", [100], {"value": 100}, 10**16, -(10**16))


def parse(text: str) -> Any:
    return answers.parse_json(text.encode())


class TestParse(unittest.TestCase):
    def test_fractions_are_exact(self) -> None:
        self.assertEqual(parse("[0.1, 1e2, 7]"), [Decimal("0.1"), Decimal("1e2"), 7])
        self.assertIsInstance(parse("0.1"), Decimal)

    def test_refused(self) -> None:
        for text in (
            "",
            "{",
            "NaN",
            "[Infinity]",
            "-Infinity",
            "[" * 100_000,
            "1" * 5000,
            "1e9999999999999999999",
            "\x00",
        ):
            with self.subTest(text[:9]), self.assertRaises(EngineAnswerUnreadable):
                parse(text)


class TestUser(unittest.TestCase):
    def test_all(self) -> None:
        user = answers.read_user(
            {
                "id": UUID,  # D-TUT1
                "accountNumber": "0012345",  # D-TUT1
                "authIdentifier": "auth0|1",  # S, D-TUT1
                "externalIdentifier": "crm-7",  # C-SPEC UserDefinition
                "isRestricted": True,  # C-SPEC UserDefinition
                "profile": {"givenName": "Mia", "familyName": "Berg"},  # C-SPEC, D-USER
                "flags": {"vip": True},
            }
        )
        self.assertEqual(user.id, UUID)
        self.assertEqual(user.account_number, "0012345")
        self.assertEqual(user.auth_identifier, "auth0|1")
        self.assertEqual(user.external_identifier, "crm-7")
        self.assertEqual((user.given_name, user.family_name), ("Mia", "Berg"))
        self.assertIs(user.is_restricted, True)
        self.assertNotIn("Mia", repr(user))

    def test_what_no_database_takes_is_no_id(self) -> None:
        for text in ("a\0b", "\ud800"):
            with self.subTest(ascii(text)), self.assertRaises(EngineAnswerUnreadable):
                answers.read_user({"id": text})

    def test_least(self) -> None:
        user = answers.read_user({"id": UUID})
        self.assertEqual((user.account_number, user.auth_identifier, user.given_name), ("",) * 3)
        self.assertIs(user.is_restricted, False)

    def test_account_number_as_a_number(self) -> None:
        # Seven digits, D-USER
        self.assertEqual(
            answers.read_user({"id": "1", "accountNumber": 12345}).account_number, "0012345"
        )
        self.assertEqual(answers.read_user({"id": "1", "accountNumber": True}).account_number, "")

    def test_placeholders_are_no_names(self) -> None:
        # D-USER
        for word in ("REDACTED", "UNKNOWN", None, 5, ""):
            user = answers.read_user(
                {"id": "1", "profile": {"givenName": word, "familyName": word}}
            )
            self.assertEqual((user.given_name, user.family_name), ("", ""))

    def test_name_is_one_line(self) -> None:
        user = answers.read_user({"id": "1", "profile": {"givenName": "Mia\n\x1b" + "a" * 99}})
        self.assertTrue(user.given_name.isprintable())
        self.assertLessEqual(len(user.given_name), 64)

    def test_unreadable(self) -> None:
        for data in (
            None,
            [],
            "text",
            {},
            {"id": None},
            {"id": ""},
            {"id": True},
            {"id": 1.5},
            {"id": "a" * 513},
            {"id": "1", "isRestricted": "false"},
            {"id": "1", "isRestricted": 0},
        ):
            with self.subTest(str(data)[:30]), self.assertRaises(EngineAnswerUnreadable):
                answers.read_user(data)


class TestWallet(unittest.TestCase):
    """The names are unpublished; these three are the probable ones (I)."""

    def test_balance(self) -> None:
        for name in ("points", "pointsBalance", "balance"):  # C-SPEC ExpiryData has the second
            for text, balance in (
                ("0", 0),
                ("1250", 1250),
                ("-500", -500),  # S: balances may be negative
                ("12.5", Decimal("12.5")),
                ("1.25e3", 1250),
            ):
                with self.subTest(name=name, text=text):
                    wallet = answers.read_wallet(parse(f'{{"{name}": {text}}}'))
                    self.assertEqual(wallet.balance, balance)
                    self.assertIsInstance(wallet.balance, Decimal)

    def test_unknown_is_never_0(self) -> None:
        for value in NO_NUMBERS:
            with self.subTest(value=value):
                self.assertIsNone(answers.read_wallet({"points": value}).balance)
        for data in ({}, {"vouchers": []}, {"pointsTotal": 5}, {"points": 1, "balance": 2}):
            with self.subTest(data=data):
                self.assertIsNone(answers.read_wallet(data).balance)
        self.assertIsNone(answers.read_wallet(parse('{"points": 1e999999}')).balance)

    def test_the_same_twice(self) -> None:
        self.assertEqual(answers.read_wallet({"points": 5, "balance": 5}).balance, 5)
        self.assertEqual(answers.read_wallet({"points": 5, "balance": None}).balance, 5)

    def test_tier(self) -> None:
        for data, name in (
            ({"tier": "Gold"}, "Gold"),  # (I)
            ({"tier": {"name": "Gold"}}, "Gold"),  # C-REACT TierType
            ({"tier": {"details": {"name": "Gold"}}}, "Gold"),  # C-SPEC TierDefinition
            ({"currentTier": {"name": "Gold"}}, "Gold"),  # D-USERNEW "current tier"
            ({"tier": None, "currentTier": "Gold"}, "Gold"),
            ({"tier": {"name": 5}}, ""),
            ({"tier": []}, ""),
            ({}, ""),
        ):
            with self.subTest(data=data):
                self.assertEqual(answers.read_wallet(data).tier_name, name)

    def test_benefits(self) -> None:
        for name in ("vouchers", "benefits"):  # (I), the words of S and of D-BEN
            wallet = answers.read_wallet({"points": 5, name: [{"id": "b1"}, {"id": "b2"}]})
            self.assertEqual([benefit.id for benefit in wallet.benefits], ["b1", "b2"])
            self.assertIs(wallet.benefits_complete, True)
        self.assertIs(answers.read_wallet({"vouchers": []}).benefits_complete, True)

    def test_benefits_that_are_not_all(self) -> None:
        for data, count in (
            ({}, 0),
            ({"vouchers": None}, 0),
            ({"vouchers": {}}, 0),
            ({"vouchers": [], "benefits": [{"id": "b1"}]}, 0),
            ({"vouchers": [{"id": "b1"}, {"id": "b2", "burnedAt": "yes"}, None]}, 1),
        ):
            with self.subTest(data=data):
                wallet = answers.read_wallet({"points": 5, **data})
                self.assertEqual((wallet.balance, len(wallet.benefits)), (5, count))
                self.assertIs(wallet.benefits_complete, False)

    def test_unreadable(self) -> None:
        for data in (None, [], 5, "5"):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_wallet(data)


DAY = "2026-01-0{}T09:00:00.000Z"
REWARD = {
    "id": "r1",  # C-SPEC RewardDefinition, C-REACT, and all that follow
    "name": "Coffee on us",
    "summary": "One coffee.",
    "currency": "EUR",
    "minTransactionAmount": 10,
    "maxTransactionAmount": Decimal("99.5"),
    "venues": [{"id": "v1"}],
    "discounts": [{"type": "ABSOLUTE", "value": 500}],
    "codeType": "OTP",
}
#: D-BEN, the one answer that is published
BENEFIT = {
    "id": UUID,
    "type": "VOUCHER",
    "createdAt": DAY.format(1),
    "redeemedAt": DAY.format(2),
    "expiresAt": DAY.format(9),
    "burnedAt": DAY.format(4),
    "reward": REWARD,
    "owner": {"id": "m1"},
    "code": {
        "id": "c1",
        "createdAt": DAY.format(1),
        "updatedAt": DAY.format(3),
        "redeemedAt": DAY.format(2),
        "validatedAt": DAY.format(3),
        "value": " abc-123 ",
    },
}


def day(number: int) -> datetime:
    return datetime(2026, 1, number, 9, tzinfo=timezone.utc)


class TestBenefit(unittest.TestCase):
    def test_all(self) -> None:
        benefit = answers.read_benefit(BENEFIT)
        self.assertEqual((benefit.id, benefit.type, benefit.owner_id), (UUID, "VOUCHER", "m1"))
        self.assertEqual(benefit.code, " abc-123 ", "as it is")
        self.assertEqual((benefit.created_at, benefit.redeemed_at), (day(1), day(2)))
        self.assertEqual((benefit.validated_at, benefit.burned_at), (day(3), day(4)))
        self.assertEqual(benefit.expires_at, day(9))
        self.assertEqual(benefit.name, "Coffee on us")
        self.assertEqual(benefit.reward, answers.read_reward(REWARD))
        self.assertNotIn("abc-123", repr(benefit))

    def test_other_spellings(self) -> None:
        for change, field, value in (
            ({"code": "XYZ"}, "code", "XYZ"),  # (I)
            ({"code": None}, "code", ""),  # D-CODELESS
            ({"code": {**BENEFIT["code"], "value": "x" * 5000}}, "code", "x" * 5000),  # C-SPEC
            ({"code": {"value": 123}}, "code", ""),  # it may have lost its zeros
            ({"reward": {**REWARD, "hideCode": True}}, "code", ""),  # D-CODELESS
            ({"reward": {**REWARD, "hideCode": False}}, "code", " abc-123 "),
            ({"name": "Tea"}, "name", "Tea"),  # (I)
            ({"owner": "m2"}, "owner_id", "m2"),  # (I)
            ({"owner": None}, "owner_id", ""),
            ({"reward": None}, "reward", None),
            ({"code": "X", "validatedAt": DAY.format(5)}, "validated_at", day(5)),  # (I)
        ):
            with self.subTest(change=str(change)[:60]):
                self.assertEqual(getattr(answers.read_benefit({**BENEFIT, **change}), field), value)

    def test_least(self) -> None:
        least = answers.read_benefit({"id": 7, "burnedAt": None})
        self.assertEqual((least.id, least.code, least.owner_id, least.name), ("7", "", "", ""))
        self.assertEqual((least.burned_at, least.redeemed_at, least.reward), (None,) * 3)

    def test_never_unburned_or_unlimited_by_a_spelling(self) -> None:
        for name in ("burnedAt", "redeemedAt", "expiresAt", "createdAt"):
            for value in (True, False, 1767348672, "", "yesterday", {}):
                with (
                    self.subTest(name=name, value=value),
                    self.assertRaisesRegex(EngineAnswerUnreadable, name),
                ):
                    answers.read_benefit({**BENEFIT, name: value})
        for change in (
            {"id": None},
            {"reward": "r1"},
            {"reward": []},
            {"reward": {**REWARD, "minTransactionAmount": "10"}},
            {"code": {**BENEFIT["code"], "validatedAt": 5}},
        ):
            with self.subTest(change=str(change)[:60]), self.assertRaises(EngineAnswerUnreadable):
                answers.read_benefit({**BENEFIT, **change})


class TestReward(unittest.TestCase):
    def test_all(self) -> None:
        reward = answers.read_reward(REWARD)
        self.assertEqual((reward.id, reward.name), ("r1", "Coffee on us"))
        self.assertEqual((reward.summary, reward.currency), ("One coffee.", "EUR"))
        self.assertEqual((reward.min_amount, reward.max_amount), (10, Decimal("99.5")))
        self.assertEqual((reward.venues, reward.code_type), (("v1",), "OTP"))
        self.assertEqual(reward.discounts, REWARD["discounts"])

    def test_least(self) -> None:
        for data in ({}, {"venues": [], "discounts": None, "minTransactionAmount": None}):
            reward = answers.read_reward(data)
            self.assertEqual((reward.id, reward.currency, reward.venues), ("", "", ()))
            self.assertEqual((reward.min_amount, reward.max_amount, reward.discounts), (None,) * 3)

    def test_limits_that_cannot_be_read(self) -> None:
        for name in ("minTransactionAmount", "maxTransactionAmount"):
            for value in (*(value for value in NO_NUMBERS if value is not None), -1):
                with (
                    self.subTest(name=name, value=value),
                    self.assertRaisesRegex(EngineAnswerUnreadable, name),
                ):
                    answers.read_reward({name: value})
        for data in (None, [], "r1", {"venues": "v1"}, {"venues": [{}]}, {"currency": 978}):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_reward(data)


class TestVoucherCheck(unittest.TestCase):
    """Unpublished (I), but that it tells the discounts (D-VOU)."""

    def test_shapes(self) -> None:
        told, code = REWARD["discounts"], BENEFIT["code"]
        other = [{"type": "PERCENTAGE", "value": 5}]
        for data, discounts, reward_id, benefit_id in (
            ({"discounts": told}, told, "", None),
            ({"reward": REWARD}, told, "r1", None),
            ({"benefit": BENEFIT}, told, "r1", UUID),
            (BENEFIT, told, "r1", UUID),
            ({"benefit": BENEFIT, "discounts": other}, other, "r1", UUID),
            ({"reward": {"id": "r2"}, "benefit": BENEFIT}, told, "r2", UUID),
            ({**code, "benefit": BENEFIT}, told, "r1", UUID),
            ({"reward": {"id": "r2", "discounts": {}}}, None, "r2", None),
            ({"benefit": {"id": UUID}}, None, None, UUID),
            ({}, None, None, None),
            (None, None, None, None),
        ):
            with self.subTest(data=str(data)[:60]):
                check = answers.read_voucher_check(data)
                self.assertEqual(check.discounts, discounts)
                self.assertEqual(check.reward and check.reward.id, reward_id)
                self.assertEqual(check.benefit and check.benefit.id, benefit_id)

    def test_times(self) -> None:
        for data, burned, validated in (
            (BENEFIT, day(4), day(3)),
            ({"benefit": BENEFIT}, day(4), day(3)),
            ({**BENEFIT["code"], "burnedAt": DAY.format(5)}, day(5), day(3)),
            ({"reward": REWARD}, None, None),
        ):
            check = answers.read_voucher_check(data)
            self.assertEqual((check.burned_at, check.validated_at), (burned, validated))

    def test_limits_beside_the_discounts(self) -> None:
        check = answers.read_voucher_check({"id": "c1", "discounts": [], "minTransactionAmount": 3})
        self.assertEqual((check.reward.id, check.reward.min_amount), ("", 3))

    def test_unreadable(self) -> None:
        for data in (
            [],
            "ok",
            True,
            {"reward": "r1"},
            {"benefit": "b1"},
            {"benefit": {}},
            {"discounts": [], "venues": [None]},
            {"discounts": [], "minTransactionAmount": "3"},
            {"burnedAt": "yes"},
            {"valid": False},
            {"isValid": False, **BENEFIT},
            {"valid": "true"},
            {"valid": None},
        ):
            with self.subTest(data=str(data)[:60]), self.assertRaises(EngineAnswerUnreadable):
                answers.read_voucher_check(data)
        self.assertTrue(answers.read_voucher_check({"valid": True}))

    def test_redeemed(self) -> None:
        self.assertEqual(answers.read_redeemed(BENEFIT), answers.read_benefit(BENEFIT))
        for data in (None, {}, [], "ok", {"id": UUID, "redeemedAt": True}):
            self.assertIsNone(answers.read_redeemed(data))


class TestEvent(unittest.TestCase):
    def test_all(self) -> None:
        event = answers.read_event(
            {
                "id": UUID,  # (I)
                "type": "SOLD",  # D-VIEW, D-HOOK; and the next four
                "subject": UUID,
                "occurredAt": "2026-01-02T10:11:12.000Z",
                "reportedAt": "2026-01-02T10:11:13.250Z",
                "payload": {"transactionId": "1"},
                "reactedAt": "2026-01-02T10:11:14.5Z",  # D-VIEW "reacted at"
            }
        )
        base = datetime(2026, 1, 2, 10, 11, 12, tzinfo=timezone.utc)
        self.assertEqual((event.id, event.type, event.subject), (UUID, "SOLD", UUID))
        self.assertEqual(event.occurred_at, base)
        self.assertEqual(event.reported_at, base.replace(second=13, microsecond=250000))
        self.assertEqual(event.reacted_at, base.replace(second=14, microsecond=500000))
        self.assertEqual(event.payload, {"transactionId": "1"})

    def test_numeric_id(self) -> None:
        # C-SPEC HandleEventReactionCommand.eventId: number
        self.assertEqual(answers.read_event({"id": 4711}).id, "4711")

    def test_type_and_subject_as_objects(self) -> None:
        event = answers.read_event({"id": 1, "type": {"name": "SOLD"}, "subject": {"id": UUID}})
        self.assertEqual((event.type, event.subject), ("SOLD", UUID))  # (I)

    def test_least(self) -> None:
        event = answers.read_event({"id": "1", "payload": [], "occurredAt": "yesterday"})
        self.assertEqual((event.type, event.subject, event.payload), ("", "", None))
        self.assertIsNone(event.occurred_at)

    def test_unreadable(self) -> None:
        for data in (None, [], {}, {"id": False}, {"id": ""}, {"event": {"id": 1}}):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_event(data)


class TestTime(unittest.TestCase):
    def test_read(self) -> None:
        base = datetime(2026, 1, 2, 10, 11, 12, tzinfo=timezone.utc)
        for text, microsecond in (
            ("2026-01-02T10:11:12.000Z", 0),  # C-SPEC
            ("2026-01-02T10:11:12.000", 0),  # C-SPEC: Z is optional
            ("2026-01-02T10:11:12Z", 0),
            ("2026-01-02T10:11:12.1Z", 100000),
            ("2026-01-02T10:11:12.123456789Z", 123456),
            ("2026-01-02T11:11:12.000+01:00", 0),
            ("2026-01-02T04:41:12.000-0530", 0),
        ):
            with self.subTest(text):
                self.assertEqual(answers.read_time(text), base.replace(microsecond=microsecond))

    def test_unknown(self) -> None:
        for value in (
            None,
            1767348672,
            "",
            "2026-01-02",
            "2026-13-02T10:11:12.000Z",
            "2026-01-02T25:11:12.000Z",
            "0001-01-01T00:00:00.000+10:00",
            "2026-01-02T10:11:12.000Z ",
            "٢٠٢٦-01-02T10:11:12.000Z",
        ):
            with self.subTest(value):
                self.assertIsNone(answers.read_time(value))


class TestReactions(unittest.TestCase):
    """Unpublished (I)."""

    def test_read(self) -> None:
        for data, points, count in (
            ([], None, 0),
            ([{"points": 12}], 12, 1),
            ([{"points": 12}, {"points": -2}, {"voucher": {}}], 10, 3),
            ([{"points": None}], None, 1),
            ([{"points": True}, {"points": "5"}], None, 2),
            ({"reactions": [{"points": 3}]}, 3, 1),
            ({"points": 3, "reactions": [{"points": 3}]}, 3, 1),
            ({"points": 3, "reactions": [{"points": 4}]}, None, 1),
            ({"points": 3}, 3, 0),
            ({"points": 0, "reactions": []}, None, 0),
        ):
            with self.subTest(data=data):
                read = answers.read_reactions(data)
                self.assertEqual((read.points, read.count), (points, count))

    def test_unreadable(self) -> None:
        for data in (None, {}, "text", [1], {"reactions": {}}, {"points": "3"}):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_reactions(data)


class TestOthers(unittest.TestCase):
    def test_event_type(self) -> None:
        kind = answers.read_event_type(
            {
                "id": UUID,
                "name": "SOLD",  # C-SPEC EventTypeDefinition, and the next three
                "isPrivate": True,
                "isActive": False,
                "schema": {"type": "object"},
            }
        )
        self.assertEqual((kind.id, kind.name), (UUID, "SOLD"))
        self.assertEqual((kind.is_private, kind.is_active), (True, False))
        self.assertEqual(kind.schema, {"type": "object"})
        least = answers.read_event_type({"name": "SOLD", "schema": "", "isPrivate": "yes"})
        self.assertEqual((least.schema, least.is_private, least.is_active), (None,) * 3)
        for data in (None, {}, {"name": 5}, {"name": ""}):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_event_type(data)

    def test_tier(self) -> None:
        # C-REACT TierType
        tier = answers.read_tier(
            {"id": UUID, "name": "Gold", "pointsRequirement": 500, "priority": 2}
        )
        self.assertEqual((tier.id, tier.name, tier.priority), (UUID, "Gold", 2))
        self.assertEqual(tier.points_requirement, 500)
        # C-SPEC TierDefinition
        self.assertEqual(answers.read_tier({"id": "1", "details": {"name": "Gold"}}).name, "Gold")
        least = answers.read_tier({"id": 1, "priority": True, "details": []})
        self.assertEqual((least.name, least.priority, least.points_requirement), ("", None, None))
        with self.assertRaises(EngineAnswerUnreadable):
            answers.read_tier({"name": "Gold"})

    def test_setting(self) -> None:
        # C-SPEC: the value is a text; as an object with it, or alone (I)
        self.assertEqual(answers.read_setting({"name": "a", "value": "0.01"}), "0.01")
        self.assertEqual(answers.read_setting("0.01"), "0.01")
        for data in (None, 0.01, {}, {"value": 1}, {"value": None}, []):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_setting(data)

    def test_order_receipt(self) -> None:
        # Unpublished (I): the sibling POST /receipts answers with data.id (D-RECEIPTS)
        for data, receipt in (
            ({"id": UUID}, UUID),
            ({"id": 5}, "5"),
            ({"id": True}, ""),
            ({}, ""),
            (None, ""),
            ([], ""),
        ):
            self.assertEqual(answers.read_order_receipt(data).id, receipt)

    def test_list(self) -> None:
        # C-SDK: data is an array
        self.assertEqual(answers.read_list([{"id": 1}], answers.read_event, "events")[0].id, "1")
        for data in (None, {}, {"items": []}, "text", [None], [{}]):
            with self.subTest(data=data), self.assertRaises(EngineAnswerUnreadable):
                answers.read_list(data, answers.read_event, "events")

    def test_token(self) -> None:
        # C-SDK Auth0Payload
        document = {"access_token": "t", "expires_in": 86400, "scope": "a", "token_type": "Bearer"}
        self.assertEqual(answers.read_token(document), ("t", 86400.0))

    def test_failure(self) -> None:
        for document, code, message in (
            ({"status": "fail", "message": "No"}, "", "No"),  # C-REACT
            ({"message": "Forbidden"}, "", "Forbidden"),  # a gateway's (I)
            ({"code": "E1", "message": "No"}, "E1", "No"),  # (I)
            ({"code": 17, "message": ["a", 5, "b"]}, "17", "a; b"),  # (I)
            ({"error": "denied", "error_description": "No"}, "denied", "No"),  # RFC 6749, 5.2
            ({"code": True, "message": {"a": 1}}, "", ""),
            ({"code": "C" * 99}, "C" * 63 + "…", ""),
            ([], "", ""),
            (None, "", ""),
        ):
            with self.subTest(document=document):
                self.assertEqual(answers.read_failure(document), (code, message))

    def test_numbers_stay_exact(self) -> None:
        read = answers.read_wallet(json.loads('{"points": 0.1}', parse_float=Decimal))
        self.assertEqual(read.balance, Decimal("0.1"))

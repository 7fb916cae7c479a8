"""What goes out: exactly the facts, under the tenant's names, and nothing of a person."""

from __future__ import annotations

import json
import re
import unittest
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ..engine import (
    DEFAULT_EVENT_TEMPLATE,
    DEFAULT_ORDER_TEMPLATE,
    DEFAULT_REDEEM_TEMPLATE,
    DEFAULT_REFUND_TEMPLATE,
    BodyError,
    PointsFacts,
    Position,
    SaleFacts,
    SaleLine,
    SalePayment,
    SaleRedemption,
    TemplateError,
    build_order,
    build_points_event,
    build_sale_event,
    check_event_template,
    check_order_template,
    check_points_template,
    fact_path,
    points_path,
)
from ..engine.bodies import build_redeem_benefit, build_validate_voucher

UUID = "8d68cb91-202a-4c62-a867-8f9a8a1e2f50"
#: C-SPEC `EventDefinition.occurredAt`
OCCURRED_AT = r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d.\d+Z?"

FACTS = SaleFacts(
    transaction_id="00012-003-0007",
    receipt_number="2026-000123",
    store_id="372",
    till_id="pos-config-3",
    cashier_id="hr.employee,5",
    currency="EUR",
    currency_decimals=2,
    total=Decimal("12.50"),
    total_without_tax=Decimal("10.5"),
    tax=Decimal("2"),
    discount=Decimal("0"),
    earning_total=Decimal("10"),
    occurred_at=datetime(2026, 1, 2, 11, 11, 12, 345678, timezone(timedelta(hours=1))),
    lines=(
        SaleLine(
            sku="TEA-1",
            quantity=Decimal("2.000"),
            unit_price=Decimal("3.7500"),
            amount=Decimal("7.5"),
            amount_without_tax=Decimal("6.30"),
            discount=Decimal("-0.00"),
            category="Tea",
        ),
        SaleLine(quantity=Decimal("0.125"), amount=Decimal("5")),
    ),
    payments=(SalePayment(kind="cash", amount=Decimal("12.50")),),
    redemptions=(
        SaleRedemption(
            kind="voucher",
            redemption_id="r-1",
            amount=Decimal("5"),
            benefit_id="b-1",
            reward_id="w-1",
        ),
        SaleRedemption(
            kind="points", redemption_id="r-2", points=Decimal("250.0"), amount=Decimal("2.5")
        ),
    ),
)

POINTS = PointsFacts(
    redemption_id="7f1f6c1e-0000-4000-8000-000000000001",
    transaction_id="00012-003-0007",
    points=Decimal("500"),
    amount=Decimal("5"),
    currency="EUR",
    currency_decimals=2,
    store_id="372",
    till_id="pos-config-3",
    cashier_id="hr.employee,5",
    occurred_at=FACTS.occurred_at,
)


def event(
    facts: SaleFacts = FACTS, template: object = DEFAULT_EVENT_TEMPLATE, **other: Any
) -> bytes:
    arguments = {
        "event_type": "SOLD",
        "subject": UUID,
        "executor": "pos-config-3",
        "amount_unit": "decimal",
    }
    return build_sale_event(facts, template, **{**arguments, **other})


def points_event(
    facts: PointsFacts = POINTS, template: object = DEFAULT_REDEEM_TEMPLATE, **other: Any
) -> bytes:
    arguments = {"event_type": "REDEEMED_POINTS", "subject": UUID, "executor": "pos-config-3"}
    return build_points_event(facts, template, **{**arguments, **other})


def payload(template: object, facts: SaleFacts = FACTS, **other: Any) -> Any:
    return json.loads(event(facts, template, **other), parse_float=str)["payload"]


class TestSaleEvent(unittest.TestCase):
    def test_bytes(self) -> None:
        self.assertEqual(
            event(),
            b'{"executor":"pos-config-3","occurredAt":"2026-01-02T10:11:12.345Z",'
            b'"payload":{"cashierId":"hr.employee,5","currency":"EUR","discount":0.00,"earningTotal":10.00,'
            b'"lines":[{"amount":7.50,"amountWithoutTax":6.30,"category":"Tea","discount":0.00,'
            b'"quantity":2,"sku":"TEA-1","unitPrice":3.75},{"amount":5.00,"quantity":0.125}],'
            b'"payments":[{"amount":12.50,"kind":"cash"}],"receiptNumber":"2026-000123","redemptions":['
            b'{"amount":5.00,"benefitId":"b-1","kind":"voucher","redemptionId":"r-1",'
            b'"rewardId":"w-1"},'
            b'{"amount":2.50,"kind":"points","points":250,"redemptionId":"r-2"}],'
            b'"storeId":"372","tax":2.00,"tillId":"pos-config-3","total":12.50,'
            b'"totalWithoutTax":10.50,"transactionId":"00012-003-0007"},'
            b'"subject":"8d68cb91-202a-4c62-a867-8f9a8a1e2f50","type":"SOLD"}',
        )

    def test_same_bytes_whatever_the_order_of_keys(self) -> None:
        turned = dict(reversed(list(DEFAULT_EVENT_TEMPLATE.items())))
        self.assertEqual(event(template=turned), event())

    def test_without_a_member(self) -> None:
        body = json.loads(event(subject=None, executor=None))
        self.assertEqual(body.keys(), {"type", "occurredAt", "payload"})

    def test_least(self) -> None:
        facts = SaleFacts(
            transaction_id="1",
            currency="EUR",
            currency_decimals=2,
            total=Decimal(1),
            occurred_at=FACTS.occurred_at,
        )
        self.assertEqual(
            payload(DEFAULT_EVENT_TEMPLATE, facts),
            {
                "transactionId": "1",
                "currency": "EUR",
                "total": "1.00",
                "lines": [],
                "payments": [],
                "redemptions": [],
            },
        )

    def test_minor_units(self) -> None:
        for currency, decimals, total, minor in (
            ("EUR", 2, "12.50", 1250),
            ("EUR", 2, "-0.01", -1),
            ("JPY", 0, "1250", 1250),
            ("JPY", 0, "1.25E3", 1250),
            ("KWD", 3, "12.505", 12505),
            ("EUR", 2, "999999999999.99", 99999999999999),
        ):
            with self.subTest(currency=currency, total=total):
                facts = replace(
                    FACTS, currency=currency, currency_decimals=decimals, total=Decimal(total)
                )
                body = event(facts, {"total": "$total"}, amount_unit="minor")
                self.assertEqual(json.loads(body)["payload"], {"total": minor})

    def test_minor_units_are_exact(self) -> None:
        for decimals, total in ((2, "12.505"), (0, "0.5"), (3, "0.0001")):
            facts = replace(FACTS, currency_decimals=decimals, total=Decimal(total))
            with self.subTest(total=total), self.assertRaisesRegex(BodyError, "total is no whole"):
                event(facts, {"total": "$total"}, amount_unit="minor")

    def test_quantity_is_no_money(self) -> None:
        template = {
            "lines": [{"$each": "lines", "q": "$quantity"}],
            "used": [{"$each": "redemptions", "p": "$points", "a": "$amount"}],
        }
        self.assertEqual(
            payload(template, amount_unit="minor"),
            {"lines": [{"q": 2}, {"q": "0.125"}], "used": [{"a": 500}, {"p": 250, "a": 250}]},
        )

    def test_decimal_is_exact(self) -> None:
        for decimals, total, text in (
            (2, "12.5", "12.50"),
            (2, "12", "12.00"),
            (2, "12.505", "12.505"),
            (0, "1250", "1250"),
            (0, "1.25E+3", "1250"),
            (3, "0", "0.000"),
            (2, "-0", "0.00"),
            (2, "0.000001", "0.000001"),
            (2, "123456789012.123456", "123456789012.123456"),
        ):
            with self.subTest(total=total, decimals=decimals):
                facts = replace(FACTS, currency_decimals=decimals, total=Decimal(total))
                self.assertIn(b'"total":%s}' % text.encode(), event(facts, {"total": "$total"}))

    def test_time(self) -> None:
        for time, text in (
            (datetime(2026, 1, 2, 10, 11, 12, tzinfo=timezone.utc), "2026-01-02T10:11:12.000Z"),
            (
                datetime(2026, 1, 1, 0, 30, 0, 999999, timezone(timedelta(hours=2))),
                "2025-12-31T22:30:00.999Z",
            ),
        ):
            told = json.loads(event(replace(FACTS, occurred_at=time)))["occurredAt"]
            self.assertEqual(told, text)
            self.assertRegex(told, f"^{OCCURRED_AT}$")

    def test_type(self) -> None:
        # C-SPEC ^[A-Z]+(_[A-Z]+)*$, 2 to 64
        for name in ("AB", "POS_SALE", "A_B_C", "A" * 64):
            event(event_type=name)
        for name in (
            "",
            "A",
            "A" * 65,
            "POS_SALE_V2",
            "pos_sale",
            "_A",
            "A_",
            "A__B",
            "AB\n",
            "ÄB",
            None,
        ):
            with self.subTest(name), self.assertRaisesRegex(BodyError, "event type"):
                event(event_type=name)

    def test_subject_and_executor(self) -> None:
        # C-SPEC 1 to 128
        for name in ("subject", "executor"):
            event(**{name: "a" * 128})
            for value in ("", "a" * 129, "a\nb", "a\x00", 5, True, object()):
                with self.subTest(name=name, value=value), self.assertRaisesRegex(BodyError, name):
                    event(**{name: value})

    def test_other_characters(self) -> None:
        body = event(replace(FACTS, store_id='Zürich "é" \u2028 ☕'))
        self.assertTrue(body.isascii())
        self.assertEqual(json.loads(body)["payload"]["storeId"], 'Zürich "é" \u2028 ☕')

    def test_size(self) -> None:
        line = SaleLine(sku="S" * 256, quantity=Decimal(1), amount=Decimal(1), category="C" * 256)
        event(replace(FACTS, lines=(line,) * 1000))
        with self.assertRaisesRegex(BodyError, "larger"):
            event(replace(FACTS, lines=(line,) * 2000))

    def test_unit(self) -> None:
        for unit in ("cents", "", None):
            with self.assertRaisesRegex(BodyError, "unit"):
                event(amount_unit=unit)


class TestOrder(unittest.TestCase):
    def test_member(self) -> None:
        body = json.loads(build_order(FACTS, DEFAULT_ORDER_TEMPLATE, "auth0|1", "minor"))
        self.assertEqual(body["submitter"], {"authIdentifier": "auth0|1"})  # D-TX, D-RECEIPTS
        self.assertEqual(body["total"], 1250)
        self.assertEqual(body["occurredAt"], "2026-01-02T10:11:12.345Z")
        self.assertEqual(body["lines"][0]["sku"], "TEA-1")

    def test_no_member(self) -> None:
        body = json.loads(build_order(FACTS, DEFAULT_ORDER_TEMPLATE, None, "minor"))
        self.assertNotIn("submitter", body)
        self.assertEqual(
            body.keys(), {*DEFAULT_ORDER_TEMPLATE} - {"submitter"}, "everything else is told"
        )

    def test_auth_identifier(self) -> None:
        # C-SPEC, up to 512
        build_order(FACTS, DEFAULT_ORDER_TEMPLATE, "a" * 512, "decimal")
        for value in ("", "a" * 513, "a\n", 5, object()):
            with self.assertRaises(BodyError):
                build_order(FACTS, DEFAULT_ORDER_TEMPLATE, value, "decimal")  # type: ignore[arg-type]

    def test_nothing_left(self) -> None:
        template = {"submitter": {"authIdentifier": "$member_auth_identifier"}}
        self.assertEqual(build_order(FACTS, template, None, "decimal"), b"{}")

    def test_no_member_in_an_event(self) -> None:
        # It has a subject; and a template for both would tell the same twice.
        with self.assertRaises(TemplateError):
            check_event_template(DEFAULT_ORDER_TEMPLATE)
        check_order_template(DEFAULT_ORDER_TEMPLATE)


class TestPoints(unittest.TestCase):
    def test_bytes(self) -> None:
        # The keys of the published example (D-PTS, S), and our own id.
        self.assertEqual(
            points_event(),
            b'{"executor":"pos-config-3","occurredAt":"2026-01-02T10:11:12.345Z",'
            b'"payload":{"cashierId":"hr.employee,5","points":500,'
            b'"redemptionId":"7f1f6c1e-0000-4000-8000-000000000001","storeId":"372",'
            b'"tillId":"pos-config-3","transactionId":"00012-003-0007"},'
            b'"subject":"8d68cb91-202a-4c62-a867-8f9a8a1e2f50","type":"REDEEMED_POINTS"}',
        )
        self.assertEqual(points_event(template=DEFAULT_REFUND_TEMPLATE), points_event())

    def test_inverse_value(self) -> None:
        # S: "a compensating event with the inverse value"; which of the two inverts is the tenant's
        template = {"points": "$minus_points", "value": "$amount", "of": "$currency"}
        for unit, value in (("decimal", b"5.00"), ("minor", b"500")):
            body = points_event(template=template, amount_unit=unit)
            self.assertIn(b'"payload":{"of":"EUR","points":-500,"value":%s}' % value, body)
        half = points_event(replace(POINTS, points=Decimal("0.50")), template)
        self.assertIn(b'"points":-0.5,', half)

    def test_always_a_member(self) -> None:
        with self.assertRaisesRegex(BodyError, "subject"):
            points_event(subject=None)

    def test_templates(self) -> None:
        for template, words in (
            ({}, "must tell"),
            ({"redemptionId": "$redemption_id"}, "must tell"),
            ({"points": "$points", "total": "$total"}, "no fact"),
            ({"points": "$points", "a": [{"$each": "lines"}]}, "nothing to repeat"),
            (None, "JSON object"),
        ):
            for check in (check_points_template, lambda t: points_event(template=t)):
                with self.subTest(template=template), self.assertRaisesRegex(TemplateError, words):
                    check(template)
        for sale_template in (DEFAULT_EVENT_TEMPLATE, DEFAULT_ORDER_TEMPLATE):
            with self.assertRaises(TemplateError):
                check_points_template(sale_template)
        with self.assertRaises(TemplateError):
            check_event_template(DEFAULT_REDEEM_TEMPLATE)

    def test_path(self) -> None:
        self.assertEqual(points_path(DEFAULT_REDEEM_TEMPLATE), "redemptionId")
        self.assertEqual(points_path({"a": {"b": "$redemption_id"}}), "a.b")
        self.assertEqual(points_path({"points": "$points"}), "")

    def test_json_and_back(self) -> None:
        stored = json.loads(json.dumps(POINTS.to_json()))
        self.assertEqual(stored["points"], "500")
        self.assertEqual(PointsFacts.from_json(stored), POINTS)
        self.assertEqual(points_event(PointsFacts.from_json({**stored, "x": 1})), points_event())
        for change in ({"points": 500}, {"occurred_at": None}, {"points": "-1"}):
            with self.subTest(change=change), self.assertRaises(BodyError):
                PointsFacts.from_json({**stored, **change})
        with self.assertRaises(BodyError):
            PointsFacts.from_json({})

    def test_refused(self) -> None:
        for name, value in (
            ("points", Decimal(0)),
            ("points", Decimal(-5)),
            ("points", 500),
            ("points", Decimal("NaN")),
            ("amount", Decimal("-0.01")),
            ("redemption_id", ""),
            ("redemption_id", "Mia Berg"),
            ("transaction_id", None),
            ("cashier_id", "mia@example.com"),
            ("currency", "eur"),
            ("occurred_at", datetime(2026, 1, 2)),
        ):
            with (
                self.subTest(name=name, value=value),
                self.assertRaisesRegex(BodyError, name),
            ):
                replace(POINTS, **{name: value})


class TestCommands(unittest.TestCase):
    def test_redeem_benefit(self) -> None:
        # C-SPEC RedeemBenefitCommand
        self.assertEqual(build_redeem_benefit(UUID), b'{"benefitId":"%s"}' % UUID.encode())
        body = json.loads(build_redeem_benefit(UUID, Position(-180, 52.5)))
        self.assertEqual(body["position"], {"longitude": -180, "latitude": 52.5})

    def test_validate_voucher(self) -> None:
        # C-SPEC ValidateVoucherCommand
        self.assertEqual(
            build_validate_voucher("a B", True), b'{"allowFutureValidation":true,"code":"a B"}'
        )
        body = json.loads(build_validate_voucher("1", False, "m1", "v1", Position(8, 50)))
        self.assertEqual(
            body,
            {
                "code": "1",
                "allowFutureValidation": False,
                "userIdentifier": "m1",
                "venueIdentifier": "v1",
                "position": {"longitude": 8, "latitude": 50},
            },
        )

    def test_codes_are_passed_as_they_are(self) -> None:
        for code in (" abc ", "ÄÖ-ß ☕", "\x1d0109\n", "0007", "a" * 5000, '"\\'):
            with self.subTest(code[:9]):
                self.assertEqual(json.loads(build_validate_voucher(code, True))["code"], code)

    def test_refused(self) -> None:
        for arguments in (
            ("", True),
            ("s3cret" * 1000, True),
            (7, True),
            (None, True),
            ("s3cret", None),
            ("s3cret", 0),
            ("s3cret", True, None),
            ("s3cret", True, "a" * 513),
            ("s3cret", True, "", "a\n"),
            ("s3cret", True, "", "", (8, 50)),
        ):
            with self.subTest(str(arguments)[:30]), self.assertRaises(BodyError) as caught:
                build_validate_voucher(*arguments)  # type: ignore[arg-type]
            self.assertNotIn("s3cret", str(caught.exception))
        for value in ("", None, "a" * 513, 7):
            with self.assertRaises(BodyError):
                build_redeem_benefit(value)  # type: ignore[arg-type]
        for place in ((181, 0), (0, -91), (float("nan"), 0), (True, 0), ("8", 0)):
            with self.subTest(place=place), self.assertRaises(BodyError):
                Position(*place)  # type: ignore[arg-type]


class TestTemplate(unittest.TestCase):
    def test_facts_and_extras(self) -> None:
        self.assertEqual(
            payload(
                {
                    "id": "$transaction_id",
                    "at": "$occurred_at",
                    "decimals": "$currency_decimals",
                    "channel": "IN_STORE",
                    "price": "$$5",
                    "fixed": [1, "a", True, None, {"b": {}}, []],
                    "float": 0.5,
                }
            ),
            {
                "id": "00012-003-0007",
                "at": "2026-01-02T10:11:12.345Z",
                "decimals": 2,
                "channel": "IN_STORE",
                "price": "$5",
                "fixed": [1, "a", True, None, {"b": {}}, []],
                "float": "0.5",
            },
        )

    def test_facts_that_are_none(self) -> None:
        facts = replace(FACTS, store_id=None, till_id=None)
        self.assertEqual(
            payload(
                {
                    "store": "$store_id",
                    "place": {"store": "$store_id", "till": {"id": "$till_id"}},
                    "both": ["$store_id", "$currency"],
                    "kept": {},
                    "some": {"store": "$store_id", "country": "DE"},
                },
                facts,
            ),
            {"both": ["EUR"], "kept": {}, "some": {"country": "DE"}},
        )
        self.assertEqual(payload({"store": "$store_id"}, facts), {})

    def test_each(self) -> None:
        self.assertEqual(
            payload(
                {
                    "basket": {"items": [{"$each": "lines", "sku": "$sku", "in": "$currency"}]},
                    "skus": [{"$each": "lines", "sku": "$sku"}],
                    "paid": [{"$each": "payments", "by": {"kind": "$kind"}, "of": "$total"}],
                    "used": [{"$each": "redemptions", "id": "$redemption_id", "b": "$benefit_id"}],
                }
            ),
            {
                "basket": {"items": [{"sku": "TEA-1", "in": "EUR"}, {"in": "EUR"}]},
                "skus": [{"sku": "TEA-1"}],
                "paid": [{"by": {"kind": "cash"}, "of": "12.50"}],
                "used": [{"id": "r-1", "b": "b-1"}, {"id": "r-2"}],
            },
        )

    def test_refused(self) -> None:
        deep: Any = "$total"
        for _ in range(9):
            deep = {"a": deep}
        for template, words in (
            (None, "JSON object"),
            ([], "JSON object"),
            ("$total", "JSON object"),
            ({"a": "$totals"}, r"a: '\$totals' is no fact"),
            ({"a": "$"}, "a: .* is no fact"),
            ({"a": {"b": ["x", "$sku"]}}, r"a\.b\[1\]: '\$sku' is no fact"),
            ({"lines": [{"$each": "lines", "sku": "$kind"}]}, r"lines\[0\]\.sku: '\$kind'"),
            ({"lines": [{"$each": "partners"}]}, r"lines\[0\]: \$each must be"),
            ({"lines": [{"$each": 5}]}, r"lines\[0\]: \$each must be"),
            ({"lines": {"$each": "lines"}}, r"lines: '\$each' stands alone"),
            ({"lines": [{"$each": "lines"}, {}]}, r"lines\[0\]: '\$each' stands alone"),
            ({"$each": "lines"}, r"the template: '\$each'"),
            (
                {"a": [{"$each": "lines", "b": [{"$each": "payments"}]}]},
                r"a\[0\]\.b\[0\]: .*nothing to repeat",
            ),
            ({"$total": 1}, r"'\$total' is no key"),
            ({"": 1}, "a key"),
            ({5: 1}, "a key"),
            ({"a": object()}, "a: not a value"),
            ({"a": (1,)}, "a: not a value"),
            ({"a": float("nan")}, "a: not a number"),
            ({"a": float("inf")}, "a: not a number"),
            (deep, "deeper"),
            ({"a": "x" * 40000}, "longer"),
            ({"a": ["x"] * 40000}, "longer"),
        ):
            with self.subTest(str(template)[:60]):
                for check in (
                    check_event_template,
                    check_order_template,
                    lambda t: event(template=t),
                ):
                    with self.assertRaisesRegex(TemplateError, words):
                        check(template)

    def test_paths(self) -> None:
        for template, path in (
            (DEFAULT_EVENT_TEMPLATE, "transactionId"),
            ({"order": {"ref": {"id": "$transaction_id"}}}, "order.ref.id"),
            ({"a": ["$transaction_id"], "b": "$transaction_id"}, "b"),
            ({"a.b": "$transaction_id"}, None),
            ({"a": "$total"}, None),
            ({"a": [{"$each": "lines", "id": "$transaction_id"}]}, None),
            (None, None),
        ):
            with self.subTest(template=template):
                self.assertEqual(fact_path(template), path)
        self.assertEqual(fact_path(DEFAULT_EVENT_TEMPLATE, "total"), "total")


class TestFacts(unittest.TestCase):
    def test_json_and_back(self) -> None:
        stored = json.loads(json.dumps(FACTS.to_json()))
        self.assertEqual(SaleFacts.from_json(stored), FACTS)
        self.assertEqual(event(SaleFacts.from_json(stored)), event())
        self.assertEqual(stored["total"], "12.50")
        self.assertEqual(stored["occurred_at"], "2026-01-02T10:11:12.345678+00:00")
        self.assertEqual(stored["lines"][1]["sku"], None)

    def test_facts_that_were_stored_before_there_were_redemptions(self) -> None:
        stored = FACTS.to_json()
        del stored["redemptions"], stored["earning_total"]
        facts = SaleFacts.from_json(stored)
        self.assertEqual((facts.redemptions, facts.earning_total), ((), None))

    def test_fields_are_all_that_there_are(self) -> None:
        self.assertEqual(FACTS.to_json().keys(), {field.name for field in fields(SaleFacts)})
        for record in (FACTS, FACTS.lines[0], FACTS.payments[0], FACTS.redemptions[0], POINTS):
            with self.assertRaises((AttributeError, TypeError)):
                object.__setattr__(record, "partner_name", "Mia")

    def test_refused(self) -> None:
        for name, value in (
            ("transaction_id", None),
            ("transaction_id", ""),
            ("transaction_id", 7),
            ("transaction_id", "a" * 257),
            ("transaction_id", "a\n"),
            ("cashier_id", "Mia Berg"),
            ("cashier_id", "mia@example.com"),
            ("cashier_id", ""),
            ("store_id", 5),
            ("currency", "eur"),
            ("currency", "EURO"),
            ("currency", None),
            ("currency_decimals", 7),
            ("currency_decimals", True),
            ("total", 12.5),
            ("total", 12),
            ("total", True),
            ("total", None),
            ("total", "12.50"),
            ("total", Decimal("NaN")),
            ("total", Decimal("Infinity")),
            ("total", Decimal("1e12")),
            ("total", Decimal("0.0000001")),
            ("total", Decimal("0e-999999")),
            ("total", Decimal("0e999999")),
            ("total", Decimal("1." + "0" * 40 + "1")),
            ("tax", 1.0),
            ("occurred_at", datetime(2026, 1, 2)),
            ("occurred_at", datetime(1, 1, 1, tzinfo=timezone.utc)),
            ("occurred_at", "2026-01-02"),
            ("lines", []),
            ("lines", ({"sku": "a"},)),
            ("lines", None),
            ("payments", FACTS.lines),
        ):
            with (
                self.subTest(name=name, value=str(value)[:20]),
                self.assertRaisesRegex(BodyError, name),
            ):
                replace(FACTS, **{name: value})

    def test_parts_refused(self) -> None:
        for name, value in (("quantity", 1), ("amount", None), ("sku", 5), ("sku", "")):
            with self.subTest(name), self.assertRaisesRegex(BodyError, name):
                replace(FACTS.lines[0], **{name: value})
        for name, value in (("kind", "Mia's card"), ("kind", None), ("amount", 1.0)):
            with self.subTest(name), self.assertRaisesRegex(BodyError, name):
                replace(FACTS.payments[0], **{name: value})
        for name, value in (("kind", None), ("redemption_id", "a b"), ("benefit_id", 5)):
            with self.subTest(name), self.assertRaisesRegex(BodyError, name):
                replace(FACTS.redemptions[0], **{name: value})

    def test_stored_facts_that_are_none(self) -> None:
        stored = FACTS.to_json()
        for change in (
            {"total": 12.5},
            {"total": "twelve"},
            {"total": "1" * 99},
            {"occurred_at": None},
            {"occurred_at": "now"},
            {"lines": {}},
            {"lines": [None]},
            {"lines": [{"sku": "a"}]},
            {"payments": ["cash"]},
            {"redemptions": [{"kind": "voucher"}]},
        ):
            with self.subTest(change=change), self.assertRaises(BodyError):
                SaleFacts.from_json({**stored, **change})
        for name in ("transaction_id", "total", "occurred_at", "currency"):
            with self.subTest(name), self.assertRaises(BodyError):
                SaleFacts.from_json({key: stored[key] for key in stored if key != name})
        for data in (None, [], "text"):
            with self.assertRaises(BodyError):
                SaleFacts.from_json(data)  # type: ignore[arg-type]


PERSON = {
    "name": "Miriam Bergström",
    "email": "miriam@example.com",
    "phone": "+46701234567",
    "mobile": "+46707654321",
    "street": "Storgatan 7",
    "zip": "11122",
    "city": "Stockholm",
    "birthdate": "1984-05-06",
    "vat": "SE556677889901",
    "comment": "likes liquorice",
}


class Partner(dict[str, Any]):
    """A record full of personal data, that hands it out in every way that it can be asked."""

    def __init__(self) -> None:
        super().__init__(PERSON)
        self.__dict__.update(PERSON)

    def __str__(self) -> str:
        return "Miriam Bergström <miriam@example.com>"

    __repr__ = __str__

    def __format__(self, _spec: str) -> str:
        return str(self)

    def to_json(self) -> dict[str, Any]:
        return PERSON


class Talkative(str):
    """A text that carries a person."""

    partner = Partner()

    def __str__(self) -> str:
        return str(self.partner)

    __repr__ = __str__


class TestPersonalData(unittest.TestCase):
    """However a person is handed to a builder, no byte of them comes out."""

    def bodies(self, facts: Any) -> list[bytes]:
        """Return what each builder makes of `facts`, where it makes anything."""
        made = []
        for unit in ("decimal", "minor"):
            for build in (
                lambda unit=unit: event(facts, amount_unit=unit),
                lambda unit=unit: points_event(facts, amount_unit=unit),
                lambda unit=unit: build_order(facts, DEFAULT_ORDER_TEMPLATE, "auth0|1", unit),
                lambda unit=unit: build_order(facts, DEFAULT_ORDER_TEMPLATE, None, unit),
            ):
                try:
                    made.append(build())
                except ValueError as error:
                    self.assert_nobody(str(error).encode())
        return made

    def assert_nobody(self, body: bytes) -> None:
        text = body.decode()
        for value in PERSON.values():
            for word in re.findall(r"\w{4,}", value):
                self.assertNotIn(word, text)
                self.assertNotIn(json.dumps(word)[1:-1], text)

    def test_beside_the_facts(self) -> None:
        stored = FACTS.to_json()
        stored.update(PERSON, partner=PERSON, partner_id=[7, PERSON["name"]])
        for part in (*stored["lines"], *stored["payments"], *stored["redemptions"]):
            part.update(PERSON, partner=PERSON, customer_note=PERSON["comment"])
        bodies = self.bodies(SaleFacts.from_json(stored))
        self.assertEqual(len(bodies), 6)
        for body in bodies:
            self.assert_nobody(body)
        self.assertEqual(SaleFacts.from_json(stored), FACTS)
        stored = {**POINTS.to_json(), **PERSON, "partner": PERSON, "code": PERSON["name"]}
        bodies = self.bodies(PointsFacts.from_json(stored))
        self.assertEqual(len(bodies), 2)
        for body in bodies:
            self.assert_nobody(body)

    def test_in_place_of_a_fact(self) -> None:
        for value in (
            Partner(),
            PERSON,
            [PERSON],
            (Partner(),),
            Talkative("x"),
            7,
            PERSON.values(),
        ):
            for record in (FACTS, FACTS.lines[0], FACTS.payments[0], FACTS.redemptions[0], POINTS):
                for field in fields(record):
                    with self.subTest(value=type(value).__name__, field=field.name):
                        try:
                            made = replace(record, **{field.name: value})
                        except BodyError as error:
                            self.assert_nobody(str(error).encode())
                        else:
                            self.fail(f"{made} was accepted")

    def test_in_place_of_a_stored_fact(self) -> None:
        for value in (PERSON, [PERSON], 7):
            for name in FACTS.to_json():
                with self.subTest(name), self.assertRaises(BodyError) as caught:
                    SaleFacts.from_json({**FACTS.to_json(), name: value})
                self.assert_nobody(str(caught.exception).encode())
            for name in POINTS.to_json():
                with self.subTest(name), self.assertRaises(BodyError) as caught:
                    PointsFacts.from_json({**POINTS.to_json(), name: value})
                self.assert_nobody(str(caught.exception).encode())

    def test_in_place_of_the_facts(self) -> None:
        for value in (Partner(), PERSON, {**FACTS.to_json(), **PERSON}, None):
            self.assertEqual(self.bodies(value), [])

    def test_in_a_kind_of_facts(self) -> None:
        class Facts(SaleFacts):
            partner = Partner()

            def to_json(self) -> dict[str, Any]:
                return PERSON

        class Line(SaleLine):
            partner = Partner()

        values = {field.name: getattr(FACTS, field.name) for field in fields(FACTS)}
        self.assertEqual(self.bodies(Facts(**values)), [])
        with self.assertRaises(BodyError):
            replace(FACTS, lines=(Line(quantity=Decimal(1), amount=Decimal(1)),))

        class Points(PointsFacts):
            partner = Partner()

        self.assertEqual(
            self.bodies(Points(**{f.name: getattr(POINTS, f.name) for f in fields(POINTS)})), []
        )

    def test_in_place_of_other_arguments(self) -> None:
        for value in (Partner(), PERSON, Talkative("x")):
            for name in ("subject", "executor", "event_type", "amount_unit"):
                with self.subTest(name), self.assertRaises(BodyError) as caught:
                    event(**{name: value})
                self.assert_nobody(str(caught.exception).encode())
                with self.subTest(name), self.assertRaises(BodyError) as caught:
                    points_event(**{name: value})
                self.assert_nobody(str(caught.exception).encode())
            for build in (
                lambda value=value: build_order(FACTS, DEFAULT_ORDER_TEMPLATE, value, "decimal"),
                lambda value=value: build_redeem_benefit(value),
                lambda value=value: build_redeem_benefit(UUID, value),
                lambda value=value: build_validate_voucher(value, True),
                lambda value=value: build_validate_voucher("1", value),
                lambda value=value: build_validate_voucher("1", True, value),
                lambda value=value: build_validate_voucher("1", True, "", value),
                lambda value=value: build_validate_voucher("1", True, position=value),
                lambda value=value: Position(value, 0),
                lambda value=value: Position(0, value),
            ):
                with self.assertRaises(BodyError) as caught:
                    build()
                self.assert_nobody(str(caught.exception).encode())

    def test_template_that_asks_for_a_person(self) -> None:
        for name in (
            *PERSON,
            "partner",
            "partner.name",
            "lines",
            "payments",
            "__class__",
            "to_json",
        ):
            with self.subTest(name), self.assertRaises(TemplateError):
                event(template={"a": f"${name}"})
            with self.subTest(name), self.assertRaises(TemplateError):
                points_event(template={"points": "$points", "a": f"${name}"})

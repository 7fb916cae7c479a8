"""The error family: what each member says of the effect, and that its texts tell no more."""

from __future__ import annotations

import unittest

from ..engine import (
    EngineAnswerUnreadable,
    EngineAuthFailed,
    EngineError,
    EngineLookupCutShort,
    EngineLookupIncomplete,
    EngineOutcomeUnknown,
    EngineRejected,
    EngineThrottled,
    EngineUnreachable,
)
from ..engine.errors import MESSAGE_LIMIT, clean_text


class TestEffects(unittest.TestCase):
    def test_what_each_says(self) -> None:
        for kind, nothing_happened, may_resend in (
            (EngineUnreachable, True, True),
            (EngineThrottled, True, True),
            (EngineAuthFailed, True, True),
            (EngineRejected, True, False),
            (EngineOutcomeUnknown, False, False),
            (EngineAnswerUnreadable, False, False),
            (EngineLookupIncomplete, False, False),
            (EngineLookupCutShort, False, False),
        ):
            with self.subTest(kind.__name__):
                self.assertTrue(issubclass(kind, EngineError))
                self.assertIs(kind.nothing_happened, nothing_happened)
                self.assertIs(kind.may_resend, may_resend)

    def test_texts(self) -> None:
        for error, text in (
            (EngineUnreachable("refused", endpoint="GET /users/{id}"), "GET /users/{id}: refused"),
            (EngineUnreachable("refused"), "refused"),
            (EngineRejected(404, "E1", "No user"), "HTTP 404, E1, No user"),
            (EngineRejected(404), "HTTP 404"),
            (EngineThrottled(2.5), "HTTP 429, too many requests, wait 2.5 s"),
            (EngineThrottled(), "HTTP 429, too many requests"),
        ):
            self.assertEqual(str(error), text)


class TestCleanText(unittest.TestCase):
    def test_one_line_without_controls(self) -> None:
        self.assertEqual(clean_text(" a\r\n\tb\x00\x1b[0m\u202e\u2028c "), "a b [0m c")

    def test_bounded(self) -> None:
        self.assertEqual(clean_text("x" * MESSAGE_LIMIT), "x" * MESSAGE_LIMIT)
        self.assertEqual(len(clean_text("x y" * MESSAGE_LIMIT)), MESSAGE_LIMIT)
        self.assertEqual(clean_text("x" * 8_000_000), "…")
        self.assertEqual(clean_text(" " * 8_000_000), "…")

    def test_secrets(self) -> None:
        self.assertEqual(clean_text("key k-1, k-1!", ("k-1", "")), "key ***, ***!")
        # Cut first, half of it would be left.
        self.assertNotIn("s3", clean_text("x " * 149 + "s3cr3t" * 9, ("s3cr3t",)))

    def test_addresses_of_mail(self) -> None:
        self.assertEqual(clean_text('no <mia@example.com> or "a@b"'), "no *** or ***")
        self.assertNotIn("mia", clean_text("x " * 599 + "mia@example.com"))

    def test_no_text(self) -> None:
        for value in (None, 1, True, ["a"], {"a": 1}, b"a"):
            self.assertEqual(clean_text(value), "")

"""Addresses, secrets and limits of a connection."""

from __future__ import annotations

import ast
import pathlib
import unittest
from dataclasses import fields, replace

from ..engine import ENVIRONMENTS, EngineSettings, check_address

SECRETS = {
    "api_key": "key-4711",
    "client_id": "client-4711",
    "client_secret": "secret-4711",
    "event_secret": "event-4711",
}


def settings(**values: object) -> EngineSettings:
    return EngineSettings(
        **{
            "rewards_url": "https://api.example/v1",
            "token_url": "https://auth.example/oauth/token",
            **SECRETS,
            **values,
        }  # type: ignore[arg-type]
    )


class TestPlainPython(unittest.TestCase):
    def test_the_client_knows_no_odoo(self) -> None:
        folder = pathlib.Path(__file__).parents[1] / "engine"
        for file in folder.glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [
                    alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")
                ]
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                    self.assertLess(node.level, 2, f"{file.name} imports from outside")
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    roots = {name.partition(".")[0] for name in names}
                    self.assertNotIn("odoo", roots, file.name)


class TestCheckAddress(unittest.TestCase):
    def test_accepted(self) -> None:
        for url, kept in (
            ("https://api.example/v1", "https://api.example/v1"),
            ("https://api.example/v1/", "https://api.example/v1"),
            ("https://api.example:8443", "https://api.example:8443"),
            ("http://localhost:8069/v1", "http://localhost:8069/v1"),
            ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
            ("http://127.8.9.10/v1", "http://127.8.9.10/v1"),
            ("http://[::1]:8069/v1", "http://[::1]:8069/v1"),
        ):
            with self.subTest(url):
                self.assertEqual(check_address(url), kept)

    def test_refused(self) -> None:
        for url, word in (
            ("", "missing"),
            (None, "missing"),
            ("http://api.example/v1", "https"),
            ("http://localhost.example/v1", "https"),
            ("http://127.0.0.1.example/v1", "https"),
            ("http://10.0.0.1/v1", "https"),
            ("http://0.0.0.0/v1", "https"),
            ("http://127.1/v1", "https"),
            ("ftp://api.example/v1", "look like"),
            ("//api.example/v1", "look like"),
            ("api.example/v1", "look like"),
            ("https:///v1", "look like"),
            ("https://api.example:0/v1", "look like"),
            ("https://api.example:port/v1", "malformed"),
            ("https://api.example:99999/v1", "malformed"),
            ("https://[::1/v1", "malformed"),
            ("https://user@api.example/v1", "password"),
            ("https://user:word@api.example/v1", "password"),
            ("https://@api.example/v1", "password"),
            ("https://api.example/v1?a=1", r"\?"),
            ("https://api.example/v1?", r"\?"),
            ("https://api.example/v1#a", "#"),
            ("https://api.example/../v1", r"\.\."),
            ("https://api.example/v1 ", "space"),
            ("https://api.example/\nv1", "space"),
            ("https://api.exämple/v1", "character"),
            ("https://localhost\\@api.example/v1", "character"),
            ("https://api.example/" + "a" * 3000, "long"),
        ):
            with self.subTest(url), self.assertRaisesRegex(ValueError, word):
                check_address(url)  # type: ignore[arg-type]


class TestEngineSettings(unittest.TestCase):
    def test_repr_hides_secrets(self) -> None:
        text = repr(settings())
        self.assertIn("https://api.example/v1", text)
        for secret in SECRETS.values():
            self.assertNotIn(secret, text)

    def test_compares_and_hashes_by_value(self) -> None:
        self.assertEqual(settings(), settings(rewards_url="https://api.example/v1/"))
        self.assertEqual(hash(settings()), hash(settings()))
        self.assertNotEqual(settings(), settings(client_secret="another"))

    def test_every_field_is_bounded(self) -> None:
        for name, value in (
            ("rewards_url", ""),
            ("rewards_url", "http://api.example"),
            ("token_url", ""),
            ("receipts_url", "http://api.example"),
            ("api_key", ""),
            ("api_key", "a\r\nX: 1"),
            ("api_key", "a b"),
            ("client_id", "a\n"),
            ("client_id", ""),
            ("client_secret", "ä"),
            ("client_secret", ""),
            ("client_secret", "a" * 5000),
            ("event_secret", "a\n"),
            ("audience", ""),
            ("audience", "a\nb"),
            ("deadline", 0),
            ("deadline", float("nan")),
            ("deadline", 1000),
            ("deadline", True),
            ("background_deadline", -1),
            ("test_reaction_path", "/events"),
            ("locale", "en/../.."),
        ):
            with self.subTest(name=name, value=value), self.assertRaises(ValueError) as caught:
                settings(**{name: value})
            if name in SECRETS and value:
                self.assertNotIn(value, str(caught.exception))

    def test_what_may_be_missing(self) -> None:
        bare = settings(client_id="", client_secret="", event_secret="")
        self.assertEqual((bare.receipts_url, bare.locale), ("", ""))
        self.assertEqual((bare.deadline, bare.background_deadline), (5.0, 10.0))
        self.assertEqual(bare.test_reaction_path, "/events/test_reaction")
        self.assertEqual(replace(bare, locale="pt-BR").locale, "pt-BR")

    def test_all_fields_but_secrets_are_shown(self) -> None:
        hidden = {field.name for field in fields(EngineSettings) if not field.repr}
        self.assertEqual(hidden, SECRETS.keys())


class TestEnvironments(unittest.TestCase):
    """Each address with its published source; what is only probable is left for the owner."""

    def test_addresses(self) -> None:
        for code, rewards, receipts, token in (
            # D-REWARDS; D-RECEIPTS; D-TOKEN
            ("eu", "api.rewards", "api.receipts", "auth"),
            # D-REWARDS, D-TUT1; not published; D-TOKEN
            ("eu_staging", "api.staging.rewards", None, "auth"),
            # C-SDK; not published; D-TOKEN, C-SDK
            ("us", "api.rewards.us", None, "auth.us"),
            ("us_staging", "api.staging.rewards.us", None, "auth.us"),
            # not published; not published; D-TOKEN
            ("gcc", None, None, "auth.me"),
        ):
            with self.subTest(code):
                found = ENVIRONMENTS[code]
                for value, host, path in (
                    (found.rewards_url, rewards, "/v1"),
                    (found.receipts_url, receipts, "/v1"),
                    (found.token_url, token, "/oauth/token"),
                ):
                    expected = f"https://{host}.wlloyalty.net{path}" if host else ""
                    self.assertEqual(value, expected)

    def test_usable(self) -> None:
        for found in ENVIRONMENTS.values():
            for url in (found.rewards_url, found.receipts_url, found.token_url):
                if url:
                    self.assertEqual(check_address(url), url)

"""Where the engine is, and as whom one speaks to it."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

#: Both published paths of an event's rehearsal: C-SPEC has the first, the guide (S) the second.
TEST_REACTION_PATHS = ("/events/test_reaction", "/commands/test_reaction")

#: Longest time that a call may be given, in seconds.
MAX_DEADLINE = 120.0

_LONGEST_ADDRESS = 2048
_LONGEST_SECRET = 4096
_LOCALE = re.compile(r"[A-Za-z]{2}([-_][A-Za-z]{2})?")


@dataclass(frozen=True)
class Environment:
    """The published addresses of one environment; "" where none is: the owner fills it in."""

    name: str
    rewards_url: str
    receipts_url: str
    token_url: str


#: Only addresses with a published source; what could merely be guessed is "".
ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {
        "eu": Environment(
            name="Europe",
            rewards_url="https://api.rewards.wlloyalty.net/v1",  # D-REWARDS, C-SDK
            receipts_url="https://api.receipts.wlloyalty.net/v1",  # D-RECEIPTS
            token_url="https://auth.wlloyalty.net/oauth/token",  # D-TOKEN, D-ZD, C-SDK
        ),
        "eu_staging": Environment(
            name="Europe, staging",
            rewards_url="https://api.staging.rewards.wlloyalty.net/v1",  # D-REWARDS, D-TUT1, C-SDK
            receipts_url="",
            token_url="https://auth.wlloyalty.net/oauth/token",  # one per region: D-TOKEN, C-SDK
        ),
        "us": Environment(
            name="United States",
            rewards_url="https://api.rewards.us.wlloyalty.net/v1",  # C-SDK
            receipts_url="",
            token_url="https://auth.us.wlloyalty.net/oauth/token",  # D-TOKEN, C-SDK
        ),
        "us_staging": Environment(
            name="United States, staging",
            rewards_url="https://api.staging.rewards.us.wlloyalty.net/v1",  # C-SDK
            receipts_url="",
            token_url="https://auth.us.wlloyalty.net/oauth/token",  # one per region: C-SDK
        ),
        "gcc": Environment(
            name="Gulf states",
            rewards_url="",
            receipts_url="",
            token_url="https://auth.me.wlloyalty.net/oauth/token",  # D-TOKEN
        ),
    }
)


@dataclass(frozen=True)
class EngineSettings:
    """One tenant's connection. Compares and hashes by value; its repr hides every secret.

    Raises ValueError, in words for the owner and without the value of a secret, where something
    can't be used.
    """

    #: Base address of the Rewards service, up to and with "/v1".
    rewards_url: str
    #: Address of the token endpoint (D-TOKEN).
    token_url: str
    #: The tenant's key, sent with every request; not always a UUID.
    api_key: str = field(repr=False)
    #: Base address of the Receipts service, "" where the tenant has none.
    receipts_url: str = ""
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    #: Which environment the token is for; "wlloyalty.net" is valid for any (D-TOKEN, D-ZD).
    audience: str = "wlloyalty.net"
    #: Secret of a private event type; "" reports events with the admin token (D-TUT1).
    event_secret: str = field(default="", repr=False)
    #: Seconds for a whole call that a cashier waits for.
    deadline: float = 5.0
    #: Seconds for a whole call in the background.
    background_deadline: float = 10.0
    test_reaction_path: str = TEST_REACTION_PATHS[0]
    #: Language of names, such as "en"; "" leaves it to the engine.
    locale: str = ""
    #: File of CA certificates to trust instead of the usual ones.
    ca_file: str = ""

    def __post_init__(self) -> None:
        for name in ("rewards_url", "token_url", "receipts_url"):
            value = getattr(self, name)
            if value or name != "receipts_url":
                # Frozen: the only moment at which an address can be brought to its one spelling.
                object.__setattr__(self, name, check_address(value))
        if not self.api_key:
            raise ValueError("The API key is missing.")
        for name in ("api_key", "client_id", "client_secret", "event_secret"):
            _check_secret(name.replace("_", " "), getattr(self, name))
        if not self.audience.isprintable() or not 0 < len(self.audience) <= _LONGEST_ADDRESS:
            raise ValueError("The audience is missing, too long, or has a control character.")
        if bool(self.client_id) != bool(self.client_secret):
            raise ValueError("Client id and client secret are only of use together.")
        for name in ("deadline", "background_deadline"):
            check_deadline(getattr(self, name))
        if self.test_reaction_path not in TEST_REACTION_PATHS:
            raise ValueError(f"The test path must be one of {', '.join(TEST_REACTION_PATHS)}.")
        check_locale(self.locale)


def check_address(url: str) -> str:
    """Return `url` without a slash at its end; ValueError says what is wrong with it.

    Only https, because keys and tokens travel in headers; http is for this machine alone
    (localhost, 127.0.0.0/8, ::1).
    """
    if not isinstance(url, str) or not url:
        raise ValueError("The address is missing.")
    if len(url) > _LONGEST_ADDRESS:
        raise ValueError("The address is too long.")
    if "\\" in url or not all("!" <= char <= "~" for char in url):
        raise ValueError("The address has a space or a character that doesn't belong in one.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("The address can't be read: host or port is malformed.") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("The address must look like https://host/path.")
    if "@" in parts.netloc:
        raise ValueError("The address must not carry a user name or password.")
    if "?" in url or "#" in url:
        raise ValueError("The address must end with its path, without ? or #.")
    if any(segment in (".", "..") for segment in parts.path.split("/")):
        raise ValueError("The address must not have . or .. in its path.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("The address must begin with https; http is only for this machine.")
    return url.rstrip("/")


def check_locale(locale: str) -> None:
    """ValueError unless `locale` is "" or a language's code."""
    if locale and not _LOCALE.fullmatch(locale):
        raise ValueError("The language must be a code such as en or pt-BR.")


def check_deadline(seconds: float) -> float:
    """Return `seconds`, or raise ValueError unless it is a time that a call can be given."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError("A time limit must be a number of seconds.")
    if not math.isfinite(seconds) or not 0 < seconds <= MAX_DEADLINE:
        raise ValueError(f"A time limit must lie between 0 and {MAX_DEADLINE:g} seconds.")
    return float(seconds)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_secret(name: str, value: str) -> None:
    # A line break in a header value is refused by `requests` with the value in the error's text.
    if not isinstance(value, str) or not all("!" <= char <= "~" for char in value):
        raise ValueError(f"The {name} has a space or a character that doesn't belong in one.")
    if len(value) > _LONGEST_SECRET:
        raise ValueError(f"The {name} is too long.")

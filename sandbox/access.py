"""Who may ask, and how often."""

import threading
import time

from werkzeug.wrappers import Request

from . import demo
from .errors import Refusal
from .options import Options


class RateLimit:
    """A token bucket for each API key: 100 requests a second, 400 in a burst (D-REWARDS)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, options: Options) -> None:
        """Count one request of the tenant's ``key``.

        :raise Refusal: 429, too many
        """
        now = time.monotonic()
        with self._lock:
            level, since = self._buckets.get(key, (options.rate_burst, now))
            level = min(options.rate_burst, level + (now - since) * options.rate_limit)
            allowed = level >= 1
            self._buckets[key] = (level - allowed, now)
        if not allowed:
            raise too_many_requests(options.retry_after)

    def refill(self) -> None:
        with self._lock:
            self._buckets.clear()


def too_many_requests(retry_after: float) -> Refusal:
    """429, with ``Retry-After`` where it is above zero, in whole seconds."""
    headers = {"Retry-After": str(max(1, round(retry_after)))} if retry_after else None
    return Refusal(429, "Too Many Requests", headers, gateway=True)


def check_key(request: Request) -> str:
    """The API key, needed everywhere (D-AUTH, D-REWARDS, D-RECEIPTS).

    :raise Refusal: 403, no key or not the tenant's
    """
    key = request.headers.get("X-Api-Key", "")
    if key != demo.API_KEY:
        raise Refusal(403, "Forbidden", gateway=True)
    return key


def read_bearer(request: Request) -> str:
    """The token or secret in ``Authorization: Bearer`` (D-ADMIN, D-TUT1).

    :raise Refusal: 401, there is none
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise Refusal(401, "Authorization: Bearer is missing.")
    return value

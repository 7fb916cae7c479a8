"""How fast one may ask."""

from __future__ import annotations

import threading
import time


class Pace:
    """Spaces the requests of many threads evenly, `per_second` of them.

    What was missed in the last quarter of a second may be caught up, no more. The engine allows
    100 requests a second for an API key (D-REWARDS); what one sender leaves free is there for the
    others.
    """

    def __init__(self, per_second: float) -> None:
        if per_second <= 0:
            raise ValueError("A pace must be above 0 requests a second.")
        self._gap = 1 / per_second
        self._catch_up = 0.25
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may leave."""
        with self._lock:
            now = time.monotonic()
            turn = max(now - self._catch_up, self._next)
            self._next = turn + self._gap
        time.sleep(max(turn - now, 0))

"""Reactors: what an event does to a balance, some time after it was reported (D-REACT)."""

import threading
import time
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from . import demo
from .options import Options
from .store import Store

DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Decimals of the currencies (ISO 4217) that have other than two."""

MOST_POINTS = 10**12

LONGEST_WAIT = 5.0


def points_for(event_type: str, payload: dict[str, Any], options: Options) -> int | None:
    """Points for an event; ``None`` where no reactor fires.

    A sale gives ``points_per_unit`` points for each currency unit of its total; parts of a point
    are dropped, towards zero.
    """
    if event_type not in demo.SALE_EVENT_TYPES:
        return None
    total = payload.get(options.total_key)
    if isinstance(total, bool) or not isinstance(total, (int, float)):
        return None
    amount = Decimal(str(total))
    if options.money_unit == "minor":
        amount = amount.scaleb(-DECIMALS.get(str(payload.get("currency")), 2))
    points = amount * Decimal(str(options.points_per_unit))
    if abs(points) > MOST_POINTS:
        return None
    return int(points.to_integral_value(ROUND_DOWN))


class ReactorWorker(threading.Thread):
    """Lets the reactors fire in the background; what waited at a stop is done after the start."""

    def __init__(self, store: Store, options: Callable[[], Options]):
        super().__init__(name="reactors", daemon=True)
        self._store = store
        self._options = options
        self._news = threading.Condition()
        self._stopped = False

    def notice(self) -> None:
        """There may be something new to do."""
        with self._news:
            self._news.notify()

    def stop(self) -> None:
        with self._news:
            self._stopped = True
            self._news.notify()
        self.join(timeout=LONGEST_WAIT)

    def _points(self, event_type: str, payload: dict[str, Any]) -> int | None:
        return points_for(event_type, payload, self._options())

    def run(self) -> None:
        while not self._stopped:
            if self._store.react(self._points):
                continue
            with self._news:
                due = self._store.next_reaction_at()
                wait = LONGEST_WAIT if due is None else due - time.time()
                if not self._stopped and wait > 0:
                    self._news.wait(min(wait, LONGEST_WAIT))

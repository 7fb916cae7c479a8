"""Reactors: what an event does to a balance, some time after it was reported (D-REACT)."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

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


@dataclass(frozen=True)
class Reactor:
    """What moves points when an event arrives.

    :param name: as the engine shows it
    :param key: begins the names of its options
    :param points: of a payload, None where there are none to be had from it
    """

    name: str
    key: str
    points: Callable[[dict[str, Any], Options], Decimal | None]

    def state(self, options: Options) -> str:
        return getattr(options, f"{self.key}_reactor")

    def delay(self, options: Options) -> float:
        own = getattr(options, f"{self.key}_delay")
        return options.reactor_delay if own < 0 else own


def _sale_points(payload: dict[str, Any], options: Options) -> Decimal | None:
    """``points_per_unit`` for each currency unit of what earns, else of the total."""
    total = _number(payload.get(options.earning_key, payload.get(options.total_key)))
    if total is None:
        return None
    if options.money_unit == "minor":
        total = total.scaleb(-DECIMALS.get(str(payload.get("currency")), 2))
    return total * Decimal(str(options.points_per_unit))


def _spent_points(payload: dict[str, Any], options: Options) -> Decimal | None:
    """``$.points * -1``, as in the published example (D-PTS); or by the amount of money."""
    points = _number(payload.get("points"))
    if options.redeem_points_per_unit:
        points = _number(payload.get("amount"))
        points = points and points * Decimal(str(options.redeem_points_per_unit))
    return None if points is None else -points


def _returned_points(payload: dict[str, Any], options: Options) -> Decimal | None:
    """The inverse value (S); what a cap on earning leaves of it, the rest is forfeited (D-CAPS)."""
    points = _number(payload.get("points"))
    if points is None or options.refund_cap < 0:
        return points
    return min(points, Decimal(str(options.refund_cap)))


SALE = Reactor("Points for a sale", "sale", _sale_points)
REACTORS = {
    "POS_SALE": SALE,
    "ORDER_PLACED": SALE,
    "REDEEMED_POINTS": Reactor("Points spent", "redeem", _spent_points),
    "POINTS_REFUND": Reactor("Points given back", "refund", _returned_points),
}
"""The reactor of each event type that has one."""


def react(event_type: str, payload: dict[str, Any], options: Options) -> tuple[str, int] | None:
    """Name of the reactor that fires for an event, and its points; ``None`` where none does.

    Parts of a point are dropped, towards zero.
    """
    reactor = REACTORS.get(event_type)
    points = reactor and reactor.state(options) != "off" and reactor.points(payload, options)
    if not isinstance(points, Decimal) or abs(points) > MOST_POINTS:
        return None
    return reactor.name, int(points.to_integral_value(ROUND_DOWN))


def delay(event_type: str, options: Options) -> float:
    """Seconds from an event to its reaction."""
    return REACTORS[event_type].delay(options) if event_type in REACTORS else options.reactor_delay


def held_types(options: Options) -> list[str]:
    """Event types whose reactors wait until they are switched on."""
    return [name for name, reactor in REACTORS.items() if reactor.state(options) == "held"]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Decimal(str(value))


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

    def run(self) -> None:
        while not self._stopped:
            options = self._options()
            held = held_types(options)

            def rule(kind: str, payload: dict[str, Any], now: Options = options) -> Any:
                return react(kind, payload, now)

            if self._store.react(rule, held):
                continue
            with self._news:
                # Read again: what was changed before this lock was taken has notified nobody.
                due = self._store.next_reaction_at(held_types(self._options()))
                wait = LONGEST_WAIT if due is None else due - time.time()
                if not self._stopped and wait > 0:
                    self._news.wait(min(wait, LONGEST_WAIT))

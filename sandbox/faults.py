"""Failing on purpose: rules that say which requests go wrong, and how."""

import fnmatch
import itertools
import math
import random
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = {
    "latency": "answer after so many seconds",
    "error": "answer with a 5xx; nothing is done, or all of it with done: true",
    "refuse": "answer a 4xx, or 200 with status fail; nothing is done, or all with done: true",
    "throttle": "answer 429, nothing is done",
    "wrong_token": "answer 401 to what carries a token, nothing is done",
    "drop_before": "close the connection, nothing is done",
    "drop_after": "do it, then close the connection",
    "late": "answer nothing; do it so many seconds after the client gave up",
    "hold": "hold the request back until the rule is taken off, then do it and answer",
    "unreadable": "do it, then answer what nobody understands",
    "down": "reset the connection",
}

FORMS = ("html", "garbage", "empty", "incomplete")

BASE = re.compile(r"^(/receipts)?/v1(?=/|$)")

MOST_RULES = 50

LIMITS = {
    "latency": (0, 30),
    "late": (0, 120),
    "error": (500, 599),
    "refuse": (400, 499),
    "times": (1, 1_000_000),
    "skip": (0, 1_000_000),
    "rate": (0, 1),
    "retry_after": (0, 3600),
}
"""Lowest and highest value: seconds, HTTP status, requests, share of the requests."""


class FaultError(ValueError):
    """A rule that can't be. The text says why."""


@dataclass
class Fault:
    """One rule.

    :param kind: one of :data:`KINDS`
    :param method: only requests with this method
    :param path: only paths that fit this pattern, with ``/v1`` or without: ``*`` is anything
    :param body: only requests in whose body this text is, as it came: a burn is
        ``"allowFutureValidation":false``
    :param skip: so many fitting requests go well first
    :param times: go wrong that often, then no more
    :param rate: share of the fitting requests that go wrong, 0 to 1
    :param seconds: of ``latency`` and ``late``
    :param status: of ``error``, 503 where it isn't given; of ``refuse``, 422; 200 is told with
        status fail
    :param done: of ``error`` and ``refuse``: do the work all the same
    :param form: of ``unreadable``: one of :data:`FORMS`
    :param retry_after: of ``throttle``: seconds; the option of that name where it isn't given
    :param seen: how many fitting requests there were so far
    :param fired: how often it went wrong so far
    """

    kind: str
    method: str | None = None
    path: str | None = None
    body: str | None = None
    skip: int = 0
    times: int | None = None
    rate: float = 1
    seconds: float = 1
    status: int | None = None
    done: bool = False
    form: str = "html"
    retry_after: float | None = None
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"kind must be one of {', '.join(KINDS)}.")
        for name in ("method", "path", "body"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 200):
                raise FaultError(f"{name} must be a text.")
        if self.form not in FORMS:
            raise FaultError(f"form must be one of {', '.join(FORMS)}.")
        if not isinstance(self.done, bool):
            raise FaultError("done must be true or false.")
        _check_number("rate", self.rate, LIMITS["rate"])
        _check_number("skip", self.skip, LIMITS["skip"], whole=True)
        if self.times is not None:
            _check_number("times", self.times, LIMITS["times"], whole=True)
        if self.retry_after is not None:
            _check_number("retry_after", self.retry_after, LIMITS["retry_after"])
        if self.kind in ("latency", "late"):
            _check_number("seconds", self.seconds, LIMITS[self.kind])
        if self.kind in ("error", "refuse"):
            if self.status is None:
                self.status = {"error": 503, "refuse": 422}[self.kind]
            if (self.kind, self.status) != ("refuse", 200):
                _check_number("status", self.status, LIMITS[self.kind], whole=True)

    def fits(self, method: str, path: str, bearer: bool, body: str) -> bool:
        if self.times is not None and self.fired >= self.times:
            return False
        if self.body and self.body not in body:
            return False
        if self.method and self.method.upper() != method:
            return False
        if self.path and not any(
            fnmatch.fnmatchcase(name, self.path) for name in (path, BASE.sub("", path))
        ):
            return False
        return bearer or self.kind != "wrong_token"


def _check_number(name: str, value: Any, limits: tuple[float, float], whole: bool = False) -> None:
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or not limits[0] <= value <= limits[1]:
        kind = "a whole number" if whole else "a number"
        raise FaultError(f"{name} must be {kind} from {limits[0]} to {limits[1]}.")


class Faults:
    """The rules that are on now. They are gone with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[int, Fault] = {}
        self._numbers = itertools.count(1)

    def put(self, rules: Any, *, add: bool = False) -> None:
        """Replace all rules, or add some.

        :param rules: a list of JSON objects with the fields of :class:`Fault`
        :raise FaultError: one of them can't be; then nothing changes
        """
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise FaultError("rules must be a list of objects.")
        try:
            faults = [Fault(**rule) for rule in rules]
        except TypeError as error:
            raise FaultError("A rule needs a kind and has no other fields than those named.") from (
                error
            )
        with self._lock:
            kept = self._rules if add else {}
            if len(kept) + len(faults) > MOST_RULES:
                raise FaultError(f"There may be {MOST_RULES} rules at most.")
            self._rules = {**kept, **{next(self._numbers): fault for fault in faults}}

    def remove(self, number: int) -> None:
        with self._lock:
            self._rules.pop(number, None)

    def describe(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{"id": number, **asdict(fault)} for number, fault in self._rules.items()]

    def stands(self, fault: Fault) -> bool:
        """Whether a rule is still in force, or was taken off since."""
        with self._lock:
            return any(rule is fault for rule in self._rules.values())

    def pick(self, method: str, path: str, bearer: bool, body: str) -> tuple[float, Fault | None]:
        """What goes wrong with a request: seconds of latency in all, and the first other fault."""
        latency, found = 0.0, None
        with self._lock:
            for fault in self._rules.values():
                if found and fault.kind != "latency":
                    continue
                if not fault.fits(method, path, bearer, body):
                    continue
                fault.seen += 1
                if fault.seen <= fault.skip or random.random() >= fault.rate:
                    continue
                fault.fired += 1
                if fault.kind == "latency":
                    latency += fault.seconds
                else:
                    found = fault
        return latency, found

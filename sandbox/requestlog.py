"""The last requests that came in, for tests and the page."""

import base64
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Request

from .clock import stamp

LONGEST = 10_000
"""How many requests are remembered."""


@dataclass
class Entry:
    """One request. ``status`` stays ``None`` as long as, and where, nothing was answered."""

    number: int
    connection: str
    arrived_at: float
    method: str
    path: str
    query: str
    header_names: list[str]
    body: bytes
    status: int | None = None
    milliseconds: float | None = None
    fault: str | None = None

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "connection": self.connection,
            "arrivedAt": stamp(self.arrived_at),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.header_names,
            "body_base64": base64.b64encode(self.body).decode(),
            "status": self.status,
            "ms": self.milliseconds,
            "fault": self.fault,
        }


class RequestLog:
    """Bounded; the oldest go first. Header values are not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._entries: deque[Entry] = deque(maxlen=LONGEST)

    def open(self, request: Request) -> Entry:
        """Note a request that has arrived; the caller fills in how it ended."""
        with self._lock:
            entry = Entry(
                number=next(self._numbers),
                connection=request.environ["sandbox.connection"],
                arrived_at=time.time(),
                method=request.method,
                path=request.path,
                query=request.query_string.decode("ascii", "replace"),
                header_names=sorted(name.lower() for name, _value in request.headers),
                body=request.get_data(),
            )
            self._entries.append(entry)
        return entry

    def list(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The first ``limit`` of those numbered above ``after``."""
        with self._lock:
            entries = [entry for entry in self._entries if entry.number > after][:limit]
        return [entry.describe() for entry in entries]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

"""Time as the engine writes it: UTC, milliseconds, ``Z``."""

from datetime import datetime, timezone


def stamp(seconds: float) -> str:
    """``seconds`` since the epoch as ``2026-01-02T10:11:12.000Z``."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

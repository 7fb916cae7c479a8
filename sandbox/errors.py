"""How the sandbox says no."""

from typing import Any


class Refusal(Exception):
    """A request that is refused; nothing happened.

    :param status: HTTP status. Which status the engine gives for what is not public (I); a client
        may only rely on its class.
    :param message: what is wrong, for people
    :param headers: further response headers
    :param gateway: refused before the service itself, which may answer in another form (I)
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: dict[str, str] | None = None,
        *,
        gateway: bool = False,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.gateway = gateway


class Hangup(Exception):
    """Close the connection without an answer.

    :param reset: with a TCP reset instead of an orderly end
    """

    def __init__(self, reset: bool = False):
        super().__init__()
        self.reset = reset


def envelope(data: Any) -> dict[str, Any]:
    """The answer to what worked (D-BEN, D-RECEIPTS)."""
    return {"status": "success", "data": data}


def failure(message: str, status: str = "fail") -> dict[str, Any]:
    """The answer to what didn't: its text is in ``message`` (C-REACT)."""
    return {"status": status, "message": message}

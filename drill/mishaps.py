"""What can go wrong with a sale, one by one. A mishap is data; who meets it does it.

Those of the engine are rules of the sandbox, aimed at one request of one sale; those of the server
are places where a process is killed; those of the till are done by the till itself.
"""

from dataclasses import dataclass, field

#: Seconds. The engine answers a till after the first too late, and a request of the second is done
#: after the till has given up, long before the module believes that it can't come any more.
TOO_SLOW = 2.5
LATE = 4


@dataclass(frozen=True)
class Mishap:
    """:param name: as the table tells it
    :param where: "engine", "server" or "till"
    :param at: which request (engine), which place (server), which step (till)
    :param rule: of the sandbox
    """

    name: str
    where: str
    at: str
    rule: dict = field(default_factory=dict, hash=False)


#: What the engine does with a request, by name.
ENGINE_FAULTS = {
    "dropped before": {"kind": "drop_before"},
    "dropped after": {"kind": "drop_after"},
    "503": {"kind": "error", "status": 503},
    "500, done all the same": {"kind": "error", "status": 500, "done": True},
    "422": {"kind": "refuse", "status": 422},
    "409, done all the same": {"kind": "refuse", "status": 409, "done": True},
    "200 with status fail": {"kind": "refuse", "status": 200},
    "slow": {"kind": "latency", "seconds": 0.7},
    "too slow": {"kind": "latency", "seconds": TOO_SLOW},
    "late": {"kind": "late", "seconds": LATE},
    "429": {"kind": "throttle"},
    "a page of HTML": {"kind": "unreadable", "form": "html"},
    "garbage": {"kind": "unreadable", "form": "garbage"},
    "an empty answer": {"kind": "unreadable", "form": "empty"},
    "an answer without data": {"kind": "unreadable", "form": "incomplete"},
    "down": {"kind": "down"},
}
#: Which no sandbox can do: see ``inside/refusals.py``.
REFUSED = {"kind": "refused"}

#: Requests of a sale that a fault can be aimed at.
CHECK, SPEND, BALANCE, RETURN, REPORT = "check", "spend", "balance", "return", "report"
REQUESTS = (CHECK, SPEND, BALANCE, RETURN, REPORT)

#: What a till does, or suffers, at which step.
TILL_MISHAPS = (
    Mishap("gone while something is held", "till", "held"),
    Mishap("gone while it is spent", "till", "spending"),
    Mishap("gone after the spend", "till", "spent"),
    Mishap("gone at payment", "till", "paying"),
    Mishap("asks to spend twice at once", "till", "spend twice"),
    Mishap("asks to spend again afterwards", "till", "spend again"),
    Mishap("never hears of the spend", "till", "deaf"),
    Mishap("syncs the paid order twice", "till", "sync twice"),
    Mishap("deletes the order after the spend", "till", "delete"),
    Mishap("cancels the order after the spend", "till", "cancel"),
    Mishap("takes the discount off after the spend", "till", "take off"),
    Mishap("releases what it holds", "till", "release"),
    Mishap("takes the goods back at once", "till", "return"),
    Mishap("pays offline, the order comes later", "till", "offline"),
    Mishap("another till tries to delete the order at payment", "till", "deleted elsewhere"),
)


def engine_mishaps():
    """Every fault of the engine at every request."""
    return [
        Mishap(f"{at}: {name}", "engine", at, rule)
        for at in REQUESTS
        for name, rule in ENGINE_FAULTS.items()
    ] + [Mishap(f"{SPEND}: no connection", "engine", SPEND, REFUSED)]


def server_mishaps(places):
    """A process that is killed at each of these places."""
    return [Mishap(f"killed {place}", "server", place) for place in places]


def every_mishap(places):
    return [*engine_mishaps(), *server_mishaps(places), *TILL_MISHAPS]

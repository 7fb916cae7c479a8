"""What the sandbox remembers: members, events, vouchers, orders, tokens, in one SQLite file.

One connection, used by one thread at a time. With a write-ahead log and ``synchronous=NORMAL`` a
commit waits for no disk, and still survives a crash of the process.
"""

import json
import os
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import demo

APPLICATION_ID = 0x4C654E67
"""Marks a file as the sandbox's own, so that ``--reset`` empties no other."""

MEMBERS_AND_EVENTS = """
CREATE TABLE member (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account_number TEXT NOT NULL UNIQUE,
    auth_identifier TEXT UNIQUE,
    external_identifier TEXT UNIQUE,
    given_name TEXT NOT NULL,
    family_name TEXT NOT NULL,
    restricted INTEGER NOT NULL,
    points INTEGER NOT NULL,
    earned INTEGER NOT NULL,
    created_at REAL NOT NULL
);
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    subject TEXT,
    member_id TEXT,
    executor TEXT,
    payload TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    reported_at REAL NOT NULL,
    digest TEXT NOT NULL,
    react_at REAL,
    reacted_at REAL
);
CREATE INDEX event_digest ON event (digest);
CREATE INDEX event_waiting ON event (react_at) WHERE react_at IS NOT NULL AND reacted_at IS NULL;
CREATE TABLE reaction (
    id INTEGER PRIMARY KEY,
    event_id INTEGER NOT NULL REFERENCES event (id),
    reactor TEXT NOT NULL,
    points INTEGER NOT NULL,
    created_at REAL NOT NULL
);
CREATE INDEX reaction_event ON reaction (event_id);
CREATE TABLE placed_order (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    event_id INTEGER NOT NULL REFERENCES event (id),
    created_at REAL NOT NULL
);
CREATE TABLE token (value TEXT PRIMARY KEY, ends_at REAL NOT NULL);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

VOUCHERS = """
CREATE TABLE reward (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TABLE benefit (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    reward_id TEXT NOT NULL REFERENCES reward (id),
    member_id TEXT NOT NULL REFERENCES member (id),
    code_id TEXT NOT NULL,
    code TEXT NOT NULL,
    created_at TEXT NOT NULL,
    redeemed_at TEXT,
    validated_at TEXT,
    burned_at TEXT,
    expires_at TEXT
);
CREATE INDEX benefit_code ON benefit (code);
CREATE INDEX benefit_member ON benefit (member_id);
CREATE TABLE burn (
    number INTEGER PRIMARY KEY,
    benefit_id TEXT NOT NULL REFERENCES benefit (id),
    burned_at TEXT NOT NULL,
    request INTEGER NOT NULL,
    user_identifier TEXT,
    venue_identifier TEXT
);
CREATE INDEX burn_benefit ON burn (benefit_id);
"""

SCHEMAS = (MEMBERS_AND_EVENTS, VOUCHERS)
"""What each version added; a file of an older one gets what it lacks."""
VERSION = len(SCHEMAS)

TABLES = (
    *("burn", "benefit", "reward"),
    *("placed_order", "reaction", "event", "member", "token", "setting"),
)

EVENTS_WITH_POINTS = """
    SELECT event.*,
        (SELECT SUM(points) FROM reaction WHERE event_id = event.id) AS points,
        (SELECT given_name || ' ' || family_name FROM member WHERE id = member_id) AS member_name
    FROM event
"""

BENEFITS_WITH_REWARDS = """
    SELECT benefit.*, reward.body AS reward, member.account_number, member.auth_identifier,
        (SELECT COUNT(*) FROM burn WHERE benefit_id = benefit.id) AS burns
    FROM benefit
    JOIN reward ON reward.id = reward_id
    JOIN member ON member.id = member_id
"""

Rule = Callable[[str, dict[str, Any]], tuple[str, int] | None]
"""Name and points of the reactor that fires for an event's type and payload; ``None``: none."""


class StoreError(Exception):
    """The data file can't be used. The text says why and what mends it."""


class DuplicateEvent(Exception):
    """The same event is there already, and the options say to refuse it."""


class Store:
    """The data of one tenant.

    :param path: the SQLite file; it and its folder are made where they are missing
    :param reset: start over with the data of ``demo.py``
    :raise StoreError: no folder, no right to write, not a file of the sandbox, in use
    """

    def __init__(self, path: Path, reset: bool = False):
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Exclusive: a second sandbox on the same file is refused, not mixed in.
            self._db = sqlite3.connect(path, timeout=1, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The data file {path} can't be opened: {error}.") from error
        try:
            self._db.row_factory = sqlite3.Row
            self._open(path, reset)
        except sqlite3.Error as error:
            self._db.close()
            if "locked" in str(error):
                text = f"Another sandbox uses the data file {path}: stop it or name another file."
            elif isinstance(error, sqlite3.OperationalError):
                text = f"The data file {path} can't be written: {error}."
            else:
                text = f"The file {path} is not a data file of the sandbox: name another file."
            raise StoreError(text) from error
        except StoreError:
            self._db.close()
            raise

    def _open(self, path: Path, reset: bool) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (size,) = self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if size and application != APPLICATION_ID:
            raise StoreError(f"{path} is another program's database: name another file.")
        if size and not 1 <= version <= VERSION and not reset:
            raise StoreError(f"{path} is of another version of the sandbox: add --reset once.")
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        version = 0 if reset else version
        if version == VERSION:
            return
        with self._writing() as db:
            db.execute("BEGIN")
            for table in TABLES if reset else ():
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for schema in SCHEMAS[version:]:
                for statement in schema.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            if version < 1:
                self._seed_members(db)
            self._seed_vouchers(db)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def _one(self, query: str, *values: Any) -> sqlite3.Row | None:
        with self._lock:
            return self._db.execute(query, values).fetchone()

    # Everything

    @staticmethod
    def _seed_members(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO member (id, account_number, auth_identifier, external_identifier,"
            " given_name, family_name, restricted, points, earned, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    member.id,
                    member.account_number,
                    member.auth_identifier,
                    member.external_identifier,
                    member.given_name,
                    member.family_name,
                    member.restricted,
                    member.points,
                    member.earned,
                    time.time(),
                )
                for member in demo.MEMBERS
            ],
        )

    @staticmethod
    def _seed_vouchers(db: sqlite3.Connection) -> None:
        for reward in demo.REWARDS:
            _insert(db, "reward", {"id": reward["id"], "body": json.dumps(reward)})
        for benefit in demo.BENEFITS:
            _insert(db, "benefit", {**asdict(benefit), "validated_at": benefit.burned_at})

    def reset(self) -> None:
        """Back to the data of ``demo.py``; tokens live on, event numbers are not used again."""
        with self._writing() as db:
            for table in TABLES:
                if table != "token":
                    db.execute(f"DELETE FROM {table}")
            self._seed_members(db)
            self._seed_vouchers(db)

    def options(self) -> dict[str, Any]:
        """The options that were changed while the sandbox ran."""
        row = self._one("SELECT value FROM setting WHERE name = 'options'")
        return json.loads(row["value"]) if row else {}

    def keep_options(self, values: dict[str, Any]) -> None:
        with self._writing() as db:
            db.execute("REPLACE INTO setting VALUES ('options', ?)", (json.dumps(values),))

    # Tokens

    def give_token(self, lifetime: float) -> str:
        """A new admin token that lives ``lifetime`` seconds."""
        value = secrets.token_urlsafe(48)
        now = time.time()
        with self._writing() as db:
            db.execute("DELETE FROM token WHERE ends_at <= ?", (now,))
            db.execute("INSERT INTO token VALUES (?, ?)", (value, now + lifetime))
        return value

    def is_token(self, value: str) -> bool:
        query = "SELECT 1 FROM token WHERE value = ? AND ends_at > ?"
        return self._one(query, value, time.time()) is not None

    # Members

    def find_member(self, value: str, *columns: str) -> sqlite3.Row | None:
        """The member one of whose ``columns`` is ``value``; the first column that fits wins."""
        for column in columns:
            if row := self._one(f"SELECT * FROM member WHERE {column} = ?", value):
                return row
        return None

    def members(self, search: str, limit: int) -> tuple[list[sqlite3.Row], int]:
        """At most ``limit`` members in whose names or codes ``search`` is, and how many are."""
        where = (
            "?1 = '' OR instr(lower(given_name || ' ' || family_name || ' ' || id || ' ' ||"
            " account_number || ' ' || coalesce(auth_identifier, '')), lower(?1))"
        )
        rows = self._all(
            f"SELECT * FROM member WHERE {where} ORDER BY number LIMIT ?2", search, limit
        )
        return rows, self._one(f"SELECT COUNT(*) FROM member WHERE {where}", search)[0]

    def add_members(self, count: int, values: dict[str, Any]) -> list[sqlite3.Row]:
        """Add ``count`` invented members with ``values`` instead of what would be made up.

        Returns the first 1000 of them.

        :raise sqlite3.IntegrityError: an identifier that another member has
        """

        def invent(number: int) -> dict[str, Any]:
            return {
                "number": number,
                "id": str(uuid.uuid4()),
                "account_number": f"{2000000 + number}",
                "auth_identifier": f"demo|member-{number:04d}",
                "external_identifier": f"CRM-{number:04d}",
                "given_name": "Invented",
                "family_name": f"Member {number}",
                "restricted": False,
                "points": 0,
                "earned": max(0, values.get("points", 0)),
                "created_at": time.time(),
                **values,
            }

        with self._writing() as db:
            (highest,) = db.execute("SELECT MAX(number) FROM member").fetchone()
            first = (highest or 0) + 1
            columns = list(invent(first))
            db.executemany(
                f"INSERT INTO member ({', '.join(columns)})"
                f" VALUES ({', '.join(f':{column}' for column in columns)})",
                map(invent, range(first, first + count)),
            )
            return db.execute(
                "SELECT * FROM member WHERE number >= ? ORDER BY number LIMIT 1000", (first,)
            ).fetchall()

    def adjust_member(self, member_id: str, points: int, restricted: bool | None) -> None:
        """Add ``points`` (may be negative); say whether the member is restricted."""
        with self._writing() as db:
            self._give(db, member_id, points)
            if restricted is not None:
                db.execute("UPDATE member SET restricted = ? WHERE id = ?", (restricted, member_id))

    @staticmethod
    def _give(db: sqlite3.Connection, member_id: str, points: int) -> None:
        db.execute(
            "UPDATE member SET points = points + ?, earned = earned + ? WHERE id = ?",
            (points, max(points, 0), member_id),
        )

    # Events

    def add_event(
        self, values: dict[str, Any], *, once: bool, order: dict[str, Any] | None = None
    ) -> sqlite3.Row:
        """Store an event, and with it the order that it tells of.

        :param once: refuse what is there already
        :raise DuplicateEvent: it is
        """
        with self._writing() as db:
            same = "SELECT 1 FROM event WHERE digest = ?"
            if once and db.execute(same, (values["digest"],)).fetchone():
                raise DuplicateEvent
            number = self._insert_event(db, values)
            if order is not None:
                db.execute(
                    "INSERT INTO placed_order VALUES (?, ?, ?, ?)",
                    (order["id"], order["body"], number, values["reported_at"]),
                )
            return db.execute("SELECT * FROM event WHERE id = ?", (number,)).fetchone()

    @staticmethod
    def _insert_event(db: sqlite3.Connection, values: dict[str, Any]) -> int:
        return _insert(db, "event", {"uuid": str(uuid.uuid4()), **values})

    def find_event(self, column: str, value: Any) -> sqlite3.Row | None:
        return self._one(f"SELECT * FROM event WHERE {column} = ?", value)

    def list_events(
        self, limit: int, skip: int, descending: bool, before: float
    ) -> list[sqlite3.Row]:
        """Events reported ``before``, seconds since the epoch."""
        direction = "DESC" if descending else "ASC"
        return self._all(
            f"SELECT * FROM event WHERE reported_at <= ? ORDER BY id {direction} LIMIT ? OFFSET ?",
            before,
            limit,
            skip,
        )

    def events_with_points(
        self, after: int, limit: int, newest_first: bool = False
    ) -> list[sqlite3.Row]:
        """Events numbered above ``after``, with the member's name and the points they gave."""
        direction = "DESC" if newest_first else "ASC"
        return self._all(
            f"{EVENTS_WITH_POINTS} WHERE id > ? ORDER BY id {direction} LIMIT ?", after, limit
        )

    def count_events(self) -> tuple[int, int]:
        """How many events there are, and how many of them wait for their reactors."""
        query = "SELECT COUNT(*), COUNT(react_at) - COUNT(reacted_at) FROM event"
        return tuple(self._one(query))

    def orders(self, limit: int) -> list[sqlite3.Row]:
        return self._all("SELECT * FROM placed_order ORDER BY rowid LIMIT ?", limit)

    # Vouchers

    def rewards(self) -> list[dict[str, Any]]:
        rows = self._all("SELECT body FROM reward ORDER BY number")
        return [json.loads(row["body"]) for row in rows]

    def add_reward(self, reward: dict[str, Any]) -> None:
        with self._writing() as db:
            _insert(db, "reward", {"id": reward["id"], "body": json.dumps(reward)})

    def add_benefit(self, values: dict[str, Any]) -> sqlite3.Row:
        """Give a member a voucher; where no ``code`` is given, the pool's next one."""
        with self._writing() as db:
            if values["code"] is None:
                pool = "SELECT COUNT(*) FROM benefit WHERE code LIKE 'POOL-%'"
                (given,) = db.execute(pool).fetchone()
                values = {**values, "code": f"POOL-{given + 1:04d}"}
            _insert(db, "benefit", values)
        return self.benefits(id=values["id"])[0]

    def benefits(
        self, limit: int = -1, skip: int = 0, descending: bool = False, **columns: Any
    ) -> list[sqlite3.Row]:
        """Vouchers whose ``columns`` have these values, each with its reward."""
        where = " AND ".join(f"benefit.{name} = ?" for name in columns) or "TRUE"
        return self._all(
            f"{BENEFITS_WITH_REWARDS} WHERE {where}"
            f" ORDER BY benefit.number {'DESC' if descending else 'ASC'} LIMIT ? OFFSET ?",
            *columns.values(),
            limit,
            skip,
        )

    def change_benefit(
        self,
        benefit_id: str,
        unset: str,
        event: dict[str, Any] | None = None,
        burn: dict[str, Any] | None = None,
        **times: str,
    ) -> bool:
        """Set ``times`` where ``unset`` has none yet; whether that was so.

        With it, or not at all: the event that it raises, and the note of who burned it.
        """
        setters = ", ".join(f"{name} = coalesce({name}, :{name})" for name in times)
        with self._writing() as db:
            changed = db.execute(
                f"UPDATE benefit SET {setters} WHERE id = :id AND {unset} IS NULL",
                {"id": benefit_id, **times},
            ).rowcount
            if changed and event is not None:
                self._insert_event(db, event)
            if changed and burn is not None:
                _insert(db, "burn", {"benefit_id": benefit_id, **burn})
        return bool(changed)

    def burns(self) -> list[sqlite3.Row]:
        return self._all(
            "SELECT burn.*, code, member_id, reward_id FROM burn"
            " JOIN benefit ON benefit.id = benefit_id ORDER BY burn.number"
        )

    # Reactions

    def reactions(self, event_id: int) -> list[sqlite3.Row]:
        return self._all("SELECT * FROM reaction WHERE event_id = ? ORDER BY id", event_id)

    def next_reaction_at(self, held: Sequence[str] = ()) -> float | None:
        """When the next event, none of a type in ``held``, is due for its reactors."""
        return self._one(
            "SELECT MIN(react_at) FROM event WHERE react_at IS NOT NULL AND reacted_at IS NULL"
            f" AND type NOT IN ({', '.join('?' * len(held))})",
            *held,
        )[0]

    def react(self, rule: Rule, held: Sequence[str] = (), limit: int = 200) -> int:
        """Let the reactors fire for at most ``limit`` events that are due; how many were.

        :param held: event types that wait on
        """
        now = time.time()
        with self._writing() as db:
            due = db.execute(
                "SELECT * FROM event WHERE react_at <= ? AND reacted_at IS NULL"
                f" AND type NOT IN ({', '.join('?' * len(held))}) ORDER BY react_at LIMIT ?",
                (now, *held, limit),
            ).fetchall()
            for event in due:
                reaction = rule(event["type"], json.loads(event["payload"]))
                if reaction is not None:
                    reactor, points = reaction
                    db.execute(
                        "INSERT INTO reaction (event_id, reactor, points, created_at)"
                        " VALUES (?, ?, ?, ?)",
                        (event["id"], reactor, points, now),
                    )
                    self._give(db, event["member_id"], points)
                db.execute("UPDATE event SET reacted_at = ? WHERE id = ?", (now, event["id"]))
        return len(due)


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert a row; the number that it got."""
    cursor = db.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})",
        row,
    )
    return cursor.lastrowid


def default_path() -> Path:
    """The data file where none is named: in the project's cache folder."""
    home = os.environ.get("POS_LOYALTY_ENGINE_HOME")
    if home:
        return Path(home) / "sandbox.sqlite3"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pos_loyalty_engine" / "sandbox.sqlite3"

"""Live state in Redis: a copy of what PostgreSQL holds, made for reading. It can be thrown away and rebuilt.

Rows are JSON by id, so writing one twice changes nothing. Whoever reads PostgreSQL in order to write here
does it inside `writing()`: what was read cannot then overwrite what another process read later.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from alphapanda.push import totals
from alphapanda.push.connection import client

Row = dict[str, Any]
Making = tuple[int, int, list[list[int]]]  # price_e4, at_ms, bars in the making

VERSION = "3"  # of the shape of rows; another one counts as not built
PREFIX = "readmodel:"
TABLES = ("deployments", "positions", "portfolios", "books")
RECENT = ("signals", "decisions", "orders", "fills", "snapshots")
RECENT_KEPT = 200
SNAPSHOTS_KEPT = 500  # the curve of a day wants more points than a list wants lines
LOCK_HELD_S, LOCK_WAIT_S = 30, 5
WATCHED_S = 10  # a screen says every 4 s that it is there
CHARTED_S = 10  # a chart says so ten times a second
NEWEST_FIRST = """
local ids = redis.call('zrevrange', KEYS[1], 0, -1)
if #ids == 0 then return {} end
return redis.call('hmget', KEYS[2], unpack(ids))
"""


class ReadModelUnavailable(Exception):
    """Redis does not answer, or the read model has not been built."""


@contextmanager
def _redis() -> Iterator[redis.Redis]:
    try:
        yield client()
    except redis.RedisError as error:
        raise ReadModelUnavailable(f"Redis does not answer: {error}") from error


def _key(name: str) -> str:
    return PREFIX + name


@contextmanager
def writing() -> Iterator[None]:
    """Hold the write lock of the read model; raises ReadModelUnavailable."""
    with _redis() as server, server.lock(_key("lock"), timeout=LOCK_HELD_S, blocking_timeout=LOCK_WAIT_S):
        yield


# ---- writes ------------------------------------------------------------------------------------------------


def upsert(rows: Mapping[str, Iterable[Row]]) -> None:
    """Write rows by kind and id, atomically. Recent kinds are ordered by the row's `order` and capped."""
    with _redis() as server:
        pipe = server.pipeline()
        _put(pipe, rows)
        pipe.execute()
        _trim(server, [kind for kind in RECENT if kind in rows])


def replace(rows: Mapping[str, Iterable[Row]]) -> None:
    """Make these rows all there is (marks and stream statistics stay) and call the model built."""
    with _redis() as server:
        pipe = server.pipeline()
        for kind in (*TABLES, *RECENT):
            pipe.delete(_key(kind), _key(kind + ".order"))
        _put(pipe, rows)
        # pushes are numbered from the clock, so that numbers go on rising when Redis has lost the last one
        pipe.set(_key("sequence"), time.time_ns() // 1_000_000, nx=True)
        pipe.set(_key("version"), VERSION)
        pipe.execute()
        _trim(server, RECENT)


def _put(pipe: Any, rows: Mapping[str, Iterable[Row]]) -> None:
    for kind, changed in rows.items():
        by_id = {row["id"]: row for row in changed}
        if not by_id:
            continue
        pipe.hset(_key(kind), mapping={i: msgspec.json.encode(row) for i, row in by_id.items()})
        if kind in RECENT:
            pipe.zadd(_key(kind + ".order"), {i: row["order"] for i, row in by_id.items()})
    pipe.incr(_key("revision"))


def kept(kind: str) -> int:
    """How many rows of a recent kind are kept."""
    return SNAPSHOTS_KEPT if kind == "snapshots" else RECENT_KEPT


def _trim(server: redis.Redis, kinds: Iterable[str]) -> None:
    for kind in kinds:
        surplus = server.zrange(_key(kind + ".order"), 0, -kept(kind) - 1)
        if surplus:
            pipe = server.pipeline()
            pipe.hdel(_key(kind), *surplus)
            pipe.zrem(_key(kind + ".order"), *surplus)
            pipe.execute()


def marks_write(marks: Mapping[int, tuple[int, int]]) -> None:
    """Last prices by token: (price_e4, at_ms). One writer: the tick stream."""
    if not marks:
        return
    with _redis() as server:
        pipe = server.pipeline()
        pipe.hset(
            _key("marks"), mapping={token: f"{price},{at_ms}" for token, (price, at_ms) in marks.items()}
        )
        pipe.incr(_key("revision"))
        pipe.execute()


def marks_forget(tokens: Iterable[int]) -> None:
    """Let go of the last prices of tokens that are another instrument's now."""
    gone = list(tokens)
    if not gone:
        return
    with _redis() as server:
        server.hdel(_key("marks"), *gone)
        server.incr(_key("revision"))


def making_write(bars: Mapping[int, Iterable[Sequence[int]]]) -> None:
    """Bars in the making by token, each as [minutes, starts_ms, open_e4, high_e4, low_e4, close_e4, volume]. One
    writer: the tick stream. They fade, so that none is taken for one of now when the stream has stopped."""
    if not bars:
        return
    with _redis() as server:
        pipe = server.pipeline(transaction=False)
        for token, found in bars.items():
            pipe.set(_key(f"making:{token}"), msgspec.json.encode(list(found)), ex=CHARTED_S)
        pipe.execute()


# Sources whose time is that of their ticks, not of the wall, and what screens call their sessions
OWN_CLOCKS = {"recorded": "recorded", "simulator": "simulated"}


def stream_write(**stats: str | float) -> None:
    """Statistics of the tick stream. Known to the screens: `ticks_per_s`, `last_at_ms` (event time),
    `received_at_ms` (wall clock), `lag` (messages), `source` (of the settings, or simulator), `speed`."""
    _write_facts("stream", stats)


def session_write(**facts: Any) -> None:
    """What holds for everything now. Known to the screens: `phase`, `turn` (when it opens or closes), `halts`,
    `alerts`, `act` (the newest), `waits` (ids of what waits for a person), `orders_today`, `closes` (of the session
    before), `exits` (that wait for a price), `beat_at_ms` (wall clock)."""
    _write_facts("session", facts)


def _write_facts(name: str, facts: Mapping[str, Any]) -> None:
    with _redis() as server:
        pipe = server.pipeline()
        pipe.hset(_key(name), mapping={fact: msgspec.json.encode(value) for fact, value in facts.items()})
        pipe.incr(_key("revision"))
        pipe.execute()


def sequence_next() -> int:
    """The number of the next push."""
    with _redis() as server:
        return int(server.incr(_key("sequence")))


def revision() -> int:
    """Counts writes: unchanged means that nothing was written."""
    with _redis() as server:
        return int(server.get(_key("revision")) or 0)


def watch() -> None:
    """Somebody looks at a screen now: what changes is worth pushing for a while."""
    with _redis() as server:
        server.set(_key("watched"), 1, ex=WATCHED_S)


def chart_look(tokens: Iterable[int]) -> dict[int, Making]:
    """What is known of each token; absent where no price is. To look is to say that its bars are worth writing for a
    while."""
    wanted = sorted(set(tokens))
    if not wanted:
        return {}
    until = time.time() + CHARTED_S
    with _redis() as server:
        pipe = server.pipeline(transaction=True)
        pipe.zadd(_key("charted"), dict.fromkeys(wanted, until))
        pipe.hmget(_key("marks"), wanted)
        pipe.mget([_key(f"making:{token}") for token in wanted])
        _, marks, bars = pipe.execute()
    return {
        token: (*_mark(mark), msgspec.json.decode(made) if made else [])
        for token, mark, made in zip(wanted, marks, bars, strict=True)
        if mark
    }


# ---- reads -------------------------------------------------------------------------------------------------


def is_watched() -> bool:
    """Whether a screen has said of late that it is there."""
    with _redis() as server:
        return bool(server.exists(_key("watched")))


def charted() -> set[int]:
    """Tokens whose charts somebody looks at."""
    with _redis() as server:
        pipe = server.pipeline(transaction=False)
        pipe.zremrangebyscore(_key("charted"), "-inf", time.time())
        pipe.zrange(_key("charted"), 0, -1)
        return set(map(int, pipe.execute()[1]))


def is_built() -> bool:
    """Whether the model has been built since Redis last lost it; raises ReadModelUnavailable."""
    with _redis() as server:
        return server.get(_key("version")) == VERSION


def stream() -> dict[str, Any]:
    """The tick stream's statistics as last written; empty where there are none."""
    with _redis() as server:
        return _decoded(server.hgetall(_key("stream")))


def session() -> dict[str, Any]:
    """What holds for everything, as last written; empty where nothing was."""
    with _redis() as server:
        return _decoded(server.hgetall(_key("session")))


def marks() -> dict[int, tuple[int, int]]:
    """Last prices by token: (price_e4, at_ms), as far as they have been written."""
    with _redis() as server:
        return {int(token): _mark(text) for token, text in server.hgetall(_key("marks")).items()}


def positions() -> list[Row]:
    """All positions, flat ones too, with mark and unrealised profit where a mark is known."""
    return list(overview()["positions"])


def portfolios() -> list[Row]:
    """All portfolios with cash, cost, realised and unrealised profit, charges, equity."""
    return list(overview()["portfolios"])


def deployments() -> list[Row]:
    """All deployments, by name."""
    return list(overview()["deployments"])


def recent(kind: str, limit: int = RECENT_KEPT) -> list[Row]:
    """The newest rows of a recent kind, newest first."""
    if kind not in RECENT:
        raise KeyError(f"{kind} is none of {', '.join(RECENT)}")
    with _redis() as server:
        _require_built(server.get(_key("version")))
        ids = server.zrevrange(_key(kind + ".order"), 0, limit - 1)
        found = server.hmget(_key(kind), ids) if ids else []
    return [msgspec.json.decode(row) for row in found if row]


def overview() -> dict[str, Any]:
    """Everything that the overview shows, of one moment (marks may be newer), with the number of the last push."""
    with _redis() as server:
        pipe = server.pipeline(transaction=True)
        for name in ("version", "sequence", "revision"):
            pipe.get(_key(name))
        for name in ("stream", "session", *TABLES):
            pipe.hgetall(_key(name))
        for kind in RECENT:
            pipe.eval(NEWEST_FIRST, 2, _key(kind + ".order"), _key(kind))
        answers = iter(pipe.execute())
    _require_built(next(answers))
    numbers = {"sequence": int(next(answers) or 0), "revision": int(next(answers) or 0)}
    facts = {name: _decoded(next(answers)) for name in ("stream", "session")}
    tables = {name: list(_decoded(next(answers)).values()) for name in TABLES}
    lists = {kind: [msgspec.json.decode(row) for row in next(answers)] for kind in RECENT}
    marks = _marks_of(_tokens(tables))
    last_at_ms = int(facts["stream"].get("last_at_ms") or 0)
    return numbers | facts | totals.derived(tables, lists, marks, last_at_ms=last_at_ms)


def _tokens(tables: Mapping[str, list[Row]]) -> list[int]:
    """Of the instruments whose marks the tables need: few of the thousands that a feed may bring."""
    found = {row["token"] for row in tables["positions"]}
    found |= {item["token"] for row in tables["deployments"] for item in row["instruments"]}
    return sorted(found)


def _marks_of(tokens: list[int]) -> dict[int, tuple[int, int]]:
    if not tokens:
        return {}
    with _redis() as server:
        texts = server.hmget(_key("marks"), tokens)
    return {token: _mark(text) for token, text in zip(tokens, texts, strict=True) if text}


def _require_built(version: str | None) -> None:
    if version != VERSION:
        raise ReadModelUnavailable("The read model is not built: run `manage.py rebuild_read_model`.")


def _decoded(hashed: Mapping[str, str]) -> dict[str, Any]:
    return {name: msgspec.json.decode(text) for name, text in hashed.items()}


def _mark(text: str) -> tuple[int, int]:
    price_e4, _, at_ms = text.partition(",")
    return int(price_e4), int(at_ms)

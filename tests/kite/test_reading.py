"""Reads of Kite: what answers mean, the pace of requests, a new token without a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest
import redis
import requests

from alphapanda.kite import reading
from alphapanda.kite.client import Access, Client, KiteProblem, Refused, TokenDead, TooMany, Unavailable
from alphapanda.kite.reading import EVERY_MS, Family, Reader, family_of, pace
from alphapanda.push.connection import client as redis_client

TOKEN = "yMd7sUeJkPWnIs0dRZ5DSzZNvbG6yYKi"


def an_answer(body: object, *, status: int = 200, kind: str = "application/json") -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    answer.headers["content-type"] = kind
    answer._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer


def an_error(name: object, message: str = "no", *, status: int) -> requests.Response:
    return an_answer({"status": "error", "message": message, "error_type": name, "data": None}, status=status)


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], requests.Response]) -> None:
    """Every adapter of requests gives this answer."""

    def send(_adapter: object, request: requests.PreparedRequest, **_given: object) -> requests.Response:
        found = answer()
        found.request, found.url = request, request.url
        return found

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (an_error("TokenException", status=403), TokenDead),
        (an_error("PermissionException", status=403), Refused),
        (an_error("InputException", status=400), Refused),
        (an_error("UnheardOfException", status=400), Refused),
        (an_error("GeneralException", status=404), Refused),
        (an_error("NetworkException", "Too many requests", status=429), TooMany),
        (an_error("NetworkException", "Too many requests", status=200), TooMany),
        (an_error("NetworkException", status=503), Unavailable),
        (an_error("DataException", status=502), Unavailable),
        (an_error("GeneralException", status=500), Unavailable),
        (an_error("OrderException", status=504), Unavailable),
        (an_error(None, status=400), Unavailable),
        (an_answer({"status": "success"}), Unavailable),
        (an_answer([]), Unavailable),
        (an_answer(b"{a:b}"), Unavailable),
        (an_answer(b"<html>", kind="text/html"), Unavailable),
    ],
)
def test_what_goes_wrong_is_one_of_four_problems(
    monkeypatch: pytest.MonkeyPatch, answer: requests.Response, problem: type[KiteProblem]
) -> None:
    answering(monkeypatch, lambda: answer)

    with pytest.raises(KiteProblem) as met:
        Client("key", TOKEN).ask("user.profile")

    assert type(met.value) is problem
    assert str(met.value)
    assert met.value.__context__ is None  # that of the library holds addresses and headers


def test_no_token_goes_along_to_where_kite_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = an_answer(b"", status=302)
    moved.headers["location"] = "https://elsewhere.example.org/"
    asked = []
    answering(monkeypatch, lambda: asked.append(1) or moved)

    with pytest.raises(Unavailable, match="TooManyRedirects"):
        Client("key", TOKEN).ask("user.profile")
    assert len(asked) == 1


def test_words_of_kite_lose_what_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda: an_error("InputException", f"bad token {TOKEN}", status=400))

    with pytest.raises(Refused) as met:
        Client("key", TOKEN).ask("user.profile")
    assert TOKEN not in str(met.value)


def test_prices_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"status": "success", "data": {"a": 1412.10, "b": 0.1, "c": 7, "d": 123456789012345.6789}}'
    answering(monkeypatch, lambda: an_answer(body))

    assert Client("key", TOKEN).ask("market.quote") == {
        "a": Decimal("1412.10"),
        "b": Decimal("0.1"),
        "c": 7,
        "d": Decimal("123456789012345.6789"),
    }


def a_reader(tokens: list[str], died: list[str], slept: list[float]) -> Reader:
    """A reader that gets the tokens one after the other, the last one for ever."""

    def access() -> Access:
        return Access("key", tokens.pop(0) if len(tokens) > 1 else tokens[0], UUID(int=1))

    return Reader(access, lambda one, words: died.append(f"{one.access_token}: {words}"), sleep=slept.append)


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The authorizations that were sent, one an answer; `answers` are given in order, then successes."""
    monkeypatch.setattr(reading, "pace", lambda *_given, **_more: None)
    return []


def sending(monkeypatch: pytest.MonkeyPatch, headers: list[str], answers: list[requests.Response]) -> None:
    def send(_adapter: object, request: requests.PreparedRequest, **_given: object) -> requests.Response:
        headers.append(request.headers["Authorization"])
        found = answers.pop(0) if answers else an_answer({"status": "success", "data": {"ok": 1}})
        found.request, found.url = request, request.url
        return found

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)


def test_the_token_of_the_moment_is_sent_each_time(monkeypatch, headers) -> None:
    died: list[str] = []
    read = a_reader(["one", "two"], died, [])
    sending(monkeypatch, headers, [])

    read("user.profile")
    read("user.profile")

    assert headers == ["token key:one", "token key:two"]


def test_reads_are_tried_again_and_pick_up_a_new_token_meanwhile(monkeypatch, headers) -> None:
    slept: list[float] = []
    read = a_reader(["one", "two"], [], slept)
    sending(
        monkeypatch,
        headers,
        [an_error("NetworkException", status=503), an_error("NetworkException", status=429)],
    )

    assert read("user.profile") == {"ok": 1}
    assert headers == ["token key:one", "token key:two", "token key:two"]
    assert slept == [1.0, 2.0]


def test_they_are_not_tried_for_ever(monkeypatch, headers) -> None:
    sending(monkeypatch, headers, [an_error("GeneralException", status=500) for _ in range(9)])

    with pytest.raises(Unavailable):
        a_reader(["one"], [], [])("user.profile")
    assert len(headers) == 4


@pytest.mark.parametrize(
    ("name", "problem"), [("TokenException", TokenDead), ("PermissionException", Refused)]
)
def test_a_dead_token_is_told_once_and_never_tried_again(monkeypatch, headers, name, problem) -> None:
    died: list[str] = []
    sending(monkeypatch, headers, [an_error(name, status=403)])

    with pytest.raises(problem):
        a_reader(["one"], died, [])("user.profile")
    assert len(headers) == 1
    assert died == (["one: no"] if problem is TokenDead else [])


def test_each_route_counts_in_its_family() -> None:
    assert family_of("market.historical") is Family.HISTORICAL
    assert {family_of(f"market.quote{which}") for which in ("", ".ltp", ".ohlc")} == {Family.QUOTE}
    assert {family_of(route) for route in ("orders", "user.profile", "market.instruments")} == {Family.OTHER}
    assert all(1_000 / EVERY_MS[family] <= limit for family, limit in zip(Family, (1, 3, 10), strict=True))


def test_processes_take_turns() -> None:
    """Whoever comes waits until the turn of the one before is over, also where it was another process's."""
    redis_client().delete("kite:turn:k:historical")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        redis_client().delete("kite:turn:k:historical")  # as if so much time had passed

    pace("k", Family.HISTORICAL, sleep=sleep)
    assert waits == []
    assert 0 < redis_client().pttl("kite:turn:k:historical") <= EVERY_MS[Family.HISTORICAL]
    pace("k", Family.HISTORICAL, sleep=sleep)
    assert len(waits) == 1
    assert 0 < waits[0] <= 0.35
    pace("other", Family.HISTORICAL, sleep=sleep)
    pace("k", Family.QUOTE, sleep=sleep)
    assert len(waits) == 1


def test_without_redis_each_process_keeps_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> object:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(reading, "client", away)
    waits: list[float] = []

    pace("k", Family.QUOTE, sleep=waits.append)

    assert waits == [1.05]

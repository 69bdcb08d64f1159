"""Deny by default: every route x method x person, against a declared table made from the URL resolver."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from alphapanda.health import registry
from alphapanda.web.views import ApiView
from tests.api.role_table import ANY, OPERATOR, PAGES, ROUTES, VIEWER
from tests.people import a_person, client_of

METHODS = ("get", "post", "put", "patch", "delete")
REFUSED = {"anonymous": 401, "dora": 401, "charlie": 403}
MAY = {"bob": {ANY, VIEWER}, "alice": {ANY, VIEWER, OPERATOR}}


def routes(patterns: list, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if address != "admin/":
                yield from routes(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address


def test_every_route_is_declared():
    assert set(routes(get_resolver().url_patterns)) == set(ROUTES) | PAGES


@pytest.fixture
def all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else health answers 503 in a shape of its own."""
    monkeypatch.setattr(registry, "_checks", {})


@pytest.mark.django_db
@pytest.mark.usefixtures("all_is_well")
@pytest.mark.parametrize("person", ["anonymous", "charlie", "dora", "bob", "alice"])
@pytest.mark.parametrize("address", sorted(ROUTES))
def test_who_may_do_what(address: str, person: str):
    client = client_of(person)
    for method in METHODS:
        answer = getattr(client, method)(_url(address), {})
        _check(answer, ROUTES[address].methods.get(method), person, f"{method} {address} {person}")


def _url(address: str) -> str:
    filled = address.replace("<uuid:pk>", str(UUID(int=1))).replace("<int:pk>", "1")
    return f"/{filled}"


def _check(answer: Response, asked: str | None, person: str, what: str) -> None:
    if asked is None and ANY in _roles(what):
        assert answer.status_code == 405, what
    elif asked == ANY:
        assert answer.status_code in (400, 401), what
    elif person in REFUSED:
        assert answer.status_code == REFUSED[person], what
    elif asked in MAY[person]:
        assert answer.status_code not in (401, 403, 405, 500), (what, answer.status_code)
    else:
        assert answer.status_code in (403, 404, 405), what
    assert answer["Cache-Control"] == "no-store"
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"code", "message", "fields"}, what


def _roles(what: str) -> list[str]:
    return list(ROUTES[what.split()[1]].methods.values())


@pytest.mark.django_db
def test_a_view_that_declares_no_role_is_refused_even_to_an_operator():
    class Forgotten(ApiView):
        def get(self, request: object) -> Response:
            return Response({})

    request = APIRequestFactory().get("/")
    force_authenticate(request, user=a_person("alice", role="operator"))

    assert Forgotten.as_view()(request).status_code == 403

"""Requests of the API leave a line each, with who asked and what came of it; what nobody expected its traceback."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.people import client_of

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/alerts/"


def test_an_answer_is_a_line() -> None:
    client = client_of("bob")
    with capture_logs() as lines:
        client.get(ADDRESS)
        client.post(f"{ADDRESS}1/acknowledge/", {"reason": "me"})

    assert [
        (line["event"], line["method"], line["path"], line["status"], line["user"]) for line in lines
    ] == [
        ("api.answered", "GET", ADDRESS, 200, "bob"),
        ("api.answered", "POST", f"{ADDRESS}1/acknowledge/", 403, "bob"),
    ]


def test_what_was_not_expected_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr("risk.alerts_api.Alerts.get_queryset", broken)
    client = client_of("bob")
    client.raise_request_exception = False
    with capture_logs() as lines:
        assert client.get(ADDRESS).status_code == 500

    (line,) = lines
    assert (line["event"], line["log_level"], line["view"]) == ("api.failed", "error", "Alerts")
    assert isinstance(line["exc_info"], ZeroDivisionError)

"""Data and logs over REST: what the pages show, and no secret among it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accounts.services import audit
from alphapanda.core.envelope import FeedGap
from marketdata.services.feed_gaps import gap_tell
from tests.cockpit import world
from tests.cockpit.test_data_logs_keys import NOW, bars
from tests.people import client_of

pytestmark = pytest.mark.django_db


def asked(address: str) -> Any:
    return client_of("bob").get(f"/api/v1/{address}").json()


@pytest.mark.usefixtures("exchange_hours")
def test_data_is_what_the_page_shows() -> None:
    own = world.desk(count=1)
    bars(own.instruments[0], world.START, 300)
    gap_tell(FeedGap("kite", 1, 9, world.START, world.START + 65_000, "the socket closed"), now=NOW)

    told = asked("data/")
    days = asked("data/coverage/?days=2")["results"][0]

    assert [(one["exchange"], one["loaded_at"]) for one in told["lists"]] == [("NSE", None)]
    assert told["gaps"][0]["reason"] == "the socket closed"
    assert told["gaps"][0]["until"][:19] == "2019-07-09T09:16:05"
    assert told["candles"]["is_archiving"] is False
    assert "consent" in told["candles"]["why_not"]
    assert days["instrument"] == "NSE:INFY"
    assert days["days"][-1] == {"day": "2019-07-09", "stored": 300, "expected": 375, "missing": 75}
    assert len(days["days"]) == 2
    for query in ("days=0", "days=x", "until=soon", "until=0001-01-01", "most=1"):
        assert client_of("bob").get(f"/api/v1/data/coverage/?{query}").status_code == 400, query


def test_lines_and_acts_are_narrowed_and_hold_no_secret(settings: Any, tmp_path: Path) -> None:
    own = world.desk(count=1).deployments[0]
    settings.RUN_DIR = tmp_path
    (tmp_path / "logs").mkdir()
    said = [{"event": f"of {own.name}", "level": "error"}, {"event": "b", "level": "info", "token": "Canary"}]
    lines = [one | {"timestamp": "2019-07-09T04:00:00Z"} for one in said]
    (tmp_path / "logs" / "web.log").write_text("".join(json.dumps(one) + "\n" for one in lines))
    audit(actor="ann", action="halt.throw", target="everything", details={"api_key": "Canary"})
    audit(actor="bob", action="limitset.change", target="limitset:GLOBAL")

    queries = {
        "": 2, "file=web": 2, "level=error": 1, "words=B": 1, "limit=1": 1, f"deployment={own.pk}": 1,
    }  # fmt: skip
    for query, count in queries.items():
        found = asked(f"logs/?{query}")
        assert len(found["results"]) == count, query
        assert "Canary" not in str(found)
    bad = (
        f"deployment={world.START}",
        "deployment=00000000-0000-0000-0000-000000000001",
        "file=x",
        "level=x",
    )
    for query in bad:
        assert client_of("bob").get(f"/api/v1/logs/?{query}").status_code == 400, query
    acts = asked("audit/?actor=AN")["results"]
    assert [(one["actor"], one["details"]["api_key"]) for one in acts] == [("ann", "[redacted]")]
    assert len(asked("audit/")["results"]) == 2
    assert asked("audit/?until=2019-07-09T00:00:00Z")["results"] == []

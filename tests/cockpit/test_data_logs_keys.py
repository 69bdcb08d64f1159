"""Data, logs and keys: what is shown against what is stored, and no secret among it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry
from accounts.services import audit
from alphapanda import log_files
from alphapanda.core.clock import DAY_MS
from alphapanda.core.envelope import FeedGap
from alphapanda.dashboard import lists
from marketdata import coverage
from marketdata.models import Bar, MasterChange, MasterLoad
from marketdata.services.feed_gaps import gap_tell
from strategies.models import Deployment
from tests.cockpit import world
from tests.cockpit.test_pages import ROWS, browser
from tests.rows import SOME

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 7, 10, 12, tzinfo=UTC)


def rows(client, path: str, kind: str) -> dict[str, str]:
    return client.get(path, headers=ROWS).json()["rows"][kind]


# ---- data ----------------------------------------------------------------------------------------------------


def bars(instrument, start_ms: int, count: int, minutes: int = 1) -> None:
    price = dict.fromkeys(("open_e4", "high_e4", "low_e4", "close_e4"), 15_000_000)
    Bar.objects.bulk_create(
        Bar(
            instrument=instrument,
            minutes=minutes,
            starts_ms=start_ms + 60_000 * n,
            volume=1,
            ticks=1,
            **price,
        )
        for n in range(count)
    )


@pytest.mark.usefixtures("exchange_hours")
def test_bars_of_each_day_are_held_against_the_minutes_of_trading() -> None:
    own = world.desk(count=1)
    bars(own.instruments[0], world.START, 375)
    bars(own.instruments[0], world.START + DAY_MS, 300)
    bars(own.instruments[0], world.START + DAY_MS, 9, minutes=5)  # counted nowhere
    (infy, *_) = coverage.coverage(days=3)
    assert [(day.day, day.stored, day.expected, day.missing) for day in infy.days] == [
        (date(2019, 7, 8), 0, 375, 375),
        (date(2019, 7, 9), 375, 375, 0),
        (date(2019, 7, 10), 300, 375, 75),
    ]
    page = browser("viewer").get("/data/").content.decode()
    for words in (
        'class="n cell whole" title="2019-07-09: 375 of 375 minutes">375<',
        'class="n cell most" title="2019-07-10: 300 of 375 minutes, 75 missing">300<',
        'class="n cell none" title="2019-07-08: 0 of 375 minutes, 375 missing"',
        "manage.py kite_candles NSE:INFY --from 2019-06-20 --to 2019-07-10",
    ):
        assert words in page, words
    assert 'title="2019-07-10' not in browser("operator").get("/data/?until=2019-07-09").content.decode()


def test_lists_gaps_and_what_may_be_kept(settings) -> None:
    world.desk(count=1)
    viewer = browser("viewer")
    page = viewer.get("/data/").content.decode()
    assert "terms restrict permanent copies" in page
    assert "never: the shipped ones" in rows(viewer, "/data/", "masters")["NSE"]
    load = MasterLoad.objects.create(
        id=SOME, source="Kite NSE", exchanges="NSE", loaded_at=NOW, added=7, gone=3, changed=2, faulty=1
    )
    MasterChange.objects.create(
        load=load, kind="CHANGED", instrument="NSE:INFY", field="tick_size", before="0.05", after="0.10",
        uses=[{"kind": "deployment", "id": "1", "name": "ema on infy"}], is_touching=True,
    )  # fmt: skip
    gap = FeedGap("kite", 1, 9, world.START, 0, "the socket closed")
    gap_tell(gap, now=NOW)
    assert "still deaf" in next(iter(rows(viewer, "/data/", "gaps").values()))
    gap_tell(FeedGap("kite", 1, 9, world.START, world.START + 65_000, "the socket closed"), now=NOW)
    settings.KITE_ARCHIVE = True

    nse = rows(viewer, "/data/", "masters")["NSE"]
    assert all(f">{figure}<" in nse for figure in ("7", "3", "2", "1", "8"))
    assert "2019-07-10 17:30:00" in nse
    (told,) = rows(viewer, "/data/", "gaps").values()
    assert "1 min" in told
    page = viewer.get("/data/").content.decode()
    assert told in page
    assert "tick_size 0.05 is 0.10" in page
    assert "ema on infy" in page
    assert "terms restrict" not in page
    assert viewer.get("/data/?until=soon").status_code == 400


def test_data_without_anything_says_the_next_step() -> None:
    page = browser("viewer").get("/data/").content.decode()
    assert "No archive yet" in page
    assert "manage.py kite_instruments" in page


# ---- logs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def acts(db: None) -> None:
    audit(actor="ann", action="halt.throw", target="everything", reason="drill", ip="10.0.0.1")
    audit(actor="bob", action="limitset.change", target="limitset:GLOBAL",
          details={"changes": {"order_value": ["100", "200"]}, "api_key": "SECRETSECRET"})  # fmt: skip


def test_the_audit_trail_by_who_what_whom_and_day(acts) -> None:
    viewer, today = browser("viewer"), timezone.localdate()
    page = viewer.get("/logs/").content.decode()
    for query, count in {
        "actor=ann": 1, "action=limitset": 1, "target=every": 1, f"first={today}": 2, f"last={today}": 2,
        "last=2019-07-09": 0, "show=config": 1,
    }.items():  # fmt: skip
        assert len(rows(viewer, f"/logs/?{query}", "audits")) == count, query
    (changed,) = rows(viewer, "/logs/?show=config", "audits").values()
    assert "<code>order_value</code>" in changed
    assert "→ 200" in changed
    assert "SECRETSECRET" not in page + changed
    for query in ("first=x", "below=0", "show=all"):
        assert viewer.get(f"/logs/?{query}").status_code == 400, query


def test_older_acts_are_on_the_next_page(acts, monkeypatch) -> None:
    monkeypatch.setattr("alphapanda.dashboard.logs.PAGE", 1)
    assert lists.PAGE > 1
    viewer = browser("viewer")
    older = viewer.get("/logs/").context["older"]
    (row,) = rows(viewer, f"/logs/{older}", "audits").values()
    assert "halt.throw" in row
    assert viewer.get(f"/logs/{older}").context["older"] == ""


@pytest.fixture
def written(settings, tmp_path):
    settings.RUN_DIR = tmp_path
    (tmp_path / "logs").mkdir()
    key = "apk_" + "k" * 43
    said = [
        {"event": "feed.started", "level": "info", "timestamp": "2019-07-09T03:45:00Z", "logger": "alphapanda.feed"},
        {"event": "order.refused", "level": "error", "timestamp": "2019-07-09T03:46:00Z", "logger": "alphapanda.x",
         "access_token": "CanaryToken", "words": f"came with {key}", "order": 7},
    ]  # fmt: skip
    (tmp_path / "logs" / "trading.0.log").write_text(
        "\n".join(json.dumps(one) for one in said) + "\npassword=CanaryWord <script>\n"
    )
    (tmp_path / "logs" / "web.log").write_text("")
    return tmp_path


def test_the_tail_of_the_log_without_secrets(written) -> None:
    viewer = browser("viewer")
    page = viewer.get("/logs/?show=log").content.decode()
    found = rows(viewer, "/logs/?show=log", "loglines")
    assert len(found) == 3
    assert all(html in page for html in found.values())
    assert "order=7" in page
    assert "2019-07-09 09:16:00" in page
    assert "&lt;script&gt;" in page
    assert 'id="pause"' in page
    for secret in ("CanaryToken", "CanaryWord", "kkkkkkkk"):
        assert secret not in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("file=web", 0),
        ("file=trading.0", 3),
        ("level=warning", 1),
        ("words=STARTED", 1),
        ("words=nothing", 0),
    ],
)
def test_lines_are_narrowed(written, query: str, count: int) -> None:
    assert len(rows(browser("viewer"), f"/logs/?show=log&{query}", "loglines")) == count


def test_only_the_files_of_the_log_are_read(written) -> None:
    (written / "secrets.json").write_text('{"event": "x"}')
    viewer = browser("viewer")
    for name in ("../secrets.json", "../secrets", "/etc/passwd", "nothing"):
        assert viewer.get(f"/logs/?show=log&file={name}").status_code == 400
    assert log_files.tail(file="../secrets", count=9) == []


def test_a_long_file_is_read_from_its_end(written, monkeypatch) -> None:
    monkeypatch.setattr(log_files, "TAIL_BYTES", 40)
    (line,) = log_files.tail(file="trading.0", count=9)
    assert line.event.endswith("<script>")


def test_what_is_in_the_file_of_errors_too_stands_once(written) -> None:
    def line(at: str, event: str) -> str:
        told = {
            "event": event,
            "level": "error",
            "logger": "alphapanda.x",
            "timestamp": f"2019-07-09T04:00:{at}Z",
        }
        return json.dumps(told) + "\n"

    (written / "logs" / "web.log").write_text(line("01.000", "a") + line("02.000", "a") + line("02.900", "b"))
    (written / "logs" / "error.log").write_text(
        line("01.001", "a") + line("02.001", "a") + line("02.500", "b") + line("03.000", "of before")
    )
    found = [(one.file, one.event) for one in log_files.tail(level="error", count=9)]

    assert found == [
        ("error", "of before"),
        ("web", "b"),
        ("error", "b"),
        ("web", "a"),
        ("web", "a"),
        ("trading.0", "order.refused"),
    ]
    assert len(log_files.tail(file="error", count=9)) == 4


def test_a_deployment_shows_the_lines_that_name_it(written) -> None:
    own, other = world.desk(count=2).deployments
    Deployment.objects.filter(pk=other.pk).update(name=f"{own.name} longer")
    said = [f"of {own.name}!", f"of {own.name} longer", f"/deployments/{own.pk}/ asked", "of nobody"]
    lines = [{"event": one, "timestamp": f"2019-07-09T04:00:0{n}Z"} for n, one in enumerate(said)]
    (written / "logs" / "web.log").write_text("".join(json.dumps(one) + "\n" for one in lines))
    viewer = browser("viewer")

    found = list(rows(viewer, f"/strategies/{own.pk}/", "loglines").values())

    assert [one.partition("<b>")[2].partition("</b>")[0] for one in found] == [said[2], said[0]]
    page = viewer.get(f"/strategies/{own.pk}/").content.decode()
    assert all(one in page for one in found)
    assert "loglines" in page.partition('data-hints="')[2].partition('"')[0].split()
    past = viewer.get(f"/strategies/{own.pk}/?at={timezone.localtime():%Y-%m-%dT%H:%M:%S}")
    assert "Lines of the log" not in past.content.decode()


# ---- keys ----------------------------------------------------------------------------------------------------


def test_a_key_is_made_shown_once_and_revoked() -> None:
    operator = browser("operator")
    assert "You have no key" in operator.get("/keys/").content.decode()
    answer = operator.post("/keys/", {"name": "desk", "scope": "ACT", "days": ""})
    key = answer.context["key"]
    assert key in answer.content.decode()
    assert key not in operator.get("/keys/").content.decode()
    (row,) = rows(operator, "/keys/", "apikeys").values()
    assert "without end" in row
    assert "never" in row
    assert 'action="/keys/"' in operator.get("/keys/").content.decode()
    again = operator.post("/keys/", {"name": "desk", "scope": "READ", "days": "30"})
    assert again.status_code == 400
    assert "You have a key desk already" in again.content.decode()

    told = operator.post("/keys/", {"key": str(ApiKey.objects.get().pk), "reason": "lost"}).content.decode()
    assert "desk is revoked" in told
    assert "Revoke a key" not in told
    assert AuditEntry.objects.filter(action="api_key.revoke", reason="lost").exists()


@pytest.mark.parametrize(
    "sent",
    [
        {"name": ""},
        {"name": "x", "scope": "ALL"},
        {"name": "x", "scope": "ACT", "days": "1"},
        {"key": "x"},
        {"key": str(SOME)},
    ],
)
def test_a_form_that_makes_no_sense_is_told(sent: dict) -> None:
    assert browser("operator").post("/keys/", sent).status_code == 400
    assert not ApiKey.objects.exists()


def test_viewers_make_keys_that_read_and_see_their_own_alone() -> None:
    operator, viewer = browser("operator"), browser("viewer")
    operator.post("/keys/", {"name": "desk", "scope": "ACT", "days": "30"})
    page = viewer.get("/keys/").content.decode()
    assert "desk" not in page
    assert 'value="ACT"' not in page
    assert viewer.post("/keys/", {"name": "mine", "scope": "ACT", "days": "30"}).status_code == 400
    assert viewer.post("/keys/", {"name": "mine", "scope": "READ", "days": "30"}).context["key"]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize(
    "address",
    ["/data/?until={}", "/logs/?first={}", "/logs/?last={}", "/orders/?day={}", "/performance/?first={}",
     "/performance/?last={}"],
)  # fmt: skip
def test_a_day_at_an_end_of_time_is_refused_in_words(address: str, day: str) -> None:
    answer = browser("viewer").get(address.format(day))
    assert answer.status_code == 400
    assert "is before 1990" in answer.content.decode() or "is after 2999" in answer.content.decode()


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_the_api_is_asked_for_the_ends_of_time(at: str) -> None:
    client = browser("viewer")
    for end in ("since", "until"):
        assert client.get("/api/v1/decisions/", {end: at}).status_code in (200, 400)

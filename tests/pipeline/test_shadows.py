"""Another version or other parameters beside a running deployment, or in its place, at a step that is written down."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from alphapanda.deploying import BadDefinition, Definition
from alphapanda.engine.backtest import Run
from alphapanda.proof import parity
from alphapanda.shadows import (
    CannotBeShadowed,
    NoShadow,
    ShadowExists,
    shadow_compare,
    shadow_create,
)
from alphapanda.web.formats import rupees_signed
from marketdata.reference import YESBANK_FILES
from portfolio.models import Book, LedgerEntry
from risk.models import LimitSet
from strategies.models import Deployment, Signal
from strategies.services.lifecycle import ReasonMissing
from strategies.services.shard import Shard
from strategies.services.upgrades import (
    DoesNotFit,
    MemoryDoesNotFit,
    VersionNotFound,
    deployment_upgrade,
)
from tests.engine import libraries
from tests.pipeline.hand import Hand, packed, recording, seeded

pytestmark = pytest.mark.django_db(transaction=True)
FILES = [str(YESBANK_FILES[0])]
ACT = {"actor": "alice", "reason": "drill", "now": timezone.now()}
TREND = Definition(
    name="Trend",
    strategy="ema_cross",
    instruments=("NSE:YESBANK",),
    params={"fast": 5, "slow": 13, "quantity": 200},
    limits={"daily_orders": 60},
)
OTHER = {"fast": 8, "slow": 30, "quantity": 100}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The first two days of the recording, and the night between them."""
    return recording([two_days(tmp_path_factory.mktemp("days"))], [TREND]).source()


def two_days(folder: Path) -> str:
    header, *rows = gzip.decompress(YESBANK_FILES[0].read_bytes()).decode().splitlines()
    days = sorted({row[:10] for row in rows})[:2]
    path = folder / "lean_1min_2019-07_YESBANK.csv"
    path.write_text("\n".join([header, *(row for row in rows if row[:10] in days)]) + "\n")
    return str(path)


@pytest.fixture
def hand(monkeypatch, source) -> Hand:
    with override_settings(SHARDS=1):
        seeded([TREND])
    return a_hand(monkeypatch, source)


def a_hand(monkeypatch, source) -> Hand:
    made = Hand(packed(source.iter_from(), source=source.source, batch=100))
    made.attach(monkeypatch)
    monkeypatch.setattr(Shard, "_is_checkpoint_due", lambda _shard, _dirty: True)
    return made


def played(hand: Hand, until: int | None = None) -> None:
    """Run the pipeline over the first messages, or over all."""
    every, hand.readers[0].values = hand.readers[0].values, hand.readers[0].values[:until]
    hand.run()
    hand.readers[0].values = every


def original() -> Deployment:
    return Deployment.objects.get(name="Trend")


def shadow(**options: Any) -> Deployment:
    with override_settings(SHARDS=1):
        return shadow_create(deployment_id=original().pk, **ACT | options)


def backtest(source, definition: Definition) -> Run:
    [run] = recording(FILES, [definition]).backtest(source)
    return run


def test_a_shadow_of_the_same_code_decides_the_same(hand: Hand) -> None:
    shadow()
    played(hand, until=20)

    found = shadow_compare("Trend")
    assert found.counts["same"] == len(found.differences) > 20
    assert found.profit_difference == 0
    assert found.profit_here != 0


def test_a_shadow_has_a_name_that_can_be_kept_and_read(hand: Hand) -> None:
    for name in ("\x07", "x" * 81, " Slow"):
        with pytest.raises(BadDefinition, match="1 to 80 printable characters"):
            shadow(name=name)

    Deployment.objects.filter(name="Trend").update(name="T" * 80)
    made = shadow_create(deployment_id=Deployment.objects.get(name="T" * 80).pk, **ACT)
    assert made.name == f"{'T' * 71} (shadow)"


def test_a_shadow_trades_as_a_backtest_of_its_own_and_leaves_the_original_alone(hand: Hand, source) -> None:
    made = shadow(params=OTHER, name="Slow")
    played(hand)

    slow = msgspec.structs.replace(TREND, name="Slow", params=OTHER)
    runs = [backtest(source, TREND), backtest(source, slow)]
    expected = parity.of_accounts([run.account for run in runs])
    assert parity.compare(expected, parity.of_database()) == (0, [])
    found = shadow_compare("Slow")
    assert found.counts["only here"] > 10
    assert found.counts["only there"] > 10
    profits = [run.curve[-1].equity - run.starting_cash for run in runs]
    assert [found.profit_here, found.profit_there] == pytest.approx(profits)
    assert made.broker == "paper"


def test_limits_that_are_shared_count_a_shadow_by_itself(hand: Hand, source) -> None:
    LimitSet.objects.create(level="GLOBAL", daily_orders=6, self_trade=True)
    made = shadow()
    played(hand, until=25)

    assert (original().group, Deployment.objects.get(pk=made.pk).group) == ("", "")
    verdicts = [
        list(
            Signal.objects.filter(deployment=one)
            .order_by("step", "ordinal")
            .values_list("decision__rule", flat=True)
        )
        for one in (original(), made)
    ]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].count("daily_orders") > 0


def test_a_shadow_begins_where_its_original_stands_flat_and_with_a_memory_of_its_own(
    hand: Hand, source
) -> None:
    played(hand, until=10)
    before = original()
    assert Book.objects.get(pk=before.pk).positions.exclude(quantity=0).exists()
    made = shadow()
    played(hand)

    assert (made.step, made.seq, made.offset) == (before.step, before.seq, before.offset) != (0, -1, 0)
    first = Signal.objects.filter(deployment=made).order_by("step", "ordinal")[0]
    assert first.step > made.shadow_start["step"] == before.step
    found = shadow_compare("Trend (shadow)")
    # the averages have met again after a while, and from then on both want the same
    assert found.counts["same"] > 10
    assert found.differences[0].verdict != "same"
    assert parity.compare(
        parity.of_accounts([backtest(source, TREND).account]),
        {"Trend": parity.of_database()["Trend"]},
    ) == (0, [])
    cash = LedgerEntry.objects.filter(book_id=made.pk, account="CASH")
    [token] = original().instruments.values_list("instrument_token", flat=True)
    held = sum(row.quantity for row in Book.objects.get(pk=made.pk).positions.all())
    last_e4 = backtest(source, TREND).account.machine.state.marks[token].price_e4
    assert found.profit_there == sum(row.amount for row in cash) + held * Decimal(last_e4) / 10_000


def test_a_shadow_has_the_limits_of_its_original_and_a_book_that_does_not_count(hand: Hand) -> None:
    made = shadow()

    assert LimitSet.objects.get(deployment=made).daily_orders == 60
    assert Book.objects.get(pk=made.pk).portfolio.name == "Shadows"
    entry = AuditEntry.objects.get(action="deployment.shadow")
    assert (entry.target, entry.details["original"]) == ("deployment:Trend (shadow)", "Trend")


def test_a_shadow_never_trades_at_zerodha(hand: Hand) -> None:
    Deployment.objects.update(broker="zerodha")
    made = shadow()

    assert made.broker == "paper"
    with pytest.raises(IntegrityError, match="shadow_on_paper"), transaction.atomic():
        Deployment.objects.filter(pk=made.pk).update(broker="zerodha")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"reason": " "}, ReasonMissing, "Say why"),
        ({"version": "7"}, VersionNotFound, r"no version 7; there are: 1 \("),
        ({"params": {"fast": 99}}, DoesNotFit, "below `slow`"),
        ({"name": "Trend"}, ShadowExists, "named 'Trend' already"),
    ],
)
def test_nonsense_is_refused(hand: Hand, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        shadow(**options)
    assert Deployment.objects.count() == 1


def test_a_shadow_has_no_shadow_and_must_be_named_where_there_are_two(hand: Hand) -> None:
    first = shadow()
    shadow(name="second")

    with pytest.raises(CannotBeShadowed):
        shadow_create(deployment_id=first.pk, **ACT)
    with pytest.raises(NoShadow, match=r"several; it has 'Trend \(shadow\)', 'second'"):
        shadow_compare("Trend")
    with pytest.raises(NoShadow, match="no shadow and has none"):
        shadow_compare("nobody")


def test_the_admin_shadows_and_shows_how_decisions_differ(hand: Hand) -> None:
    desk = Client()
    root = User.objects.create_superuser("alice", password="x" * 20)
    desk.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    played(hand, 12)
    chosen = {"action": "shadow", "_selected_action": [str(original().pk)]}
    with override_settings(SHARDS=1):
        desk.post(reverse("admin:strategies_deployment_changelist"), chosen)
    made = Deployment.objects.get(shadow_of=original())
    played(hand, 24)

    page = desk.get(reverse("admin:strategies_deployment_change", args=[original().pk])).content.decode()
    address = reverse("admin:shadow_difference", args=[made.pk])
    assert address in page
    answer = desk.get(address)
    found = shadow_compare(made.name)
    assert answer.context["found"] == found
    differing = [one for one in found.differences if one.verdict != "same"]
    assert answer.context["rows"] == differing[::-1] != []
    assert all(text in answer.content.decode() for text in (made.name, rupees_signed(found.profit_there)))


def test_the_commands(hand: Hand) -> None:
    with override_settings(SHARDS=1):
        call_command("shadow", "Trend", params=json.dumps(OTHER), reason="drill", stdout=io.StringIO())
    played(hand, until=16)
    out, table = io.StringIO(), io.StringIO()
    call_command("shadow_diff", "Trend", "--json", stdout=out)
    call_command("shadow_diff", "Trend", stdout=table)

    found = json.loads(out.getvalue())
    assert {row["verdict"] for row in found["differences"]} >= {"only here", "only there"}
    assert Decimal(found["profit_here"]) != Decimal(found["profit_there"])
    assert "profit here" in table.getvalue()
    with pytest.raises(CommandError, match="no deployment named 'nobody'"):
        call_command("shadow", "nobody", reason="drill")
    with pytest.raises(CommandError, match="--params wants a JSON object"):
        call_command("shadow", "Trend", params="[1]", reason="drill")


# ---- upgrades


OWN = """import msgspec
from strategies.domain.base import Strategy


class Mine(Strategy):
    name = "mine"
    size = 1

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        bar_minutes: int = 1
        every: int = 5

    class State(msgspec.Struct):
        bars: int = 0

    def on_bar(self, state, bar, view):
        state.bars += 1
        if state.bars % self.params.every == 0:
            yield view.buy(self.size, reason=f"bar {state.bars}")
"""
MINE = Definition(name="Mine", strategy="mine", instruments=("NSE:YESBANK",))


@pytest.fixture
def own(monkeypatch, source) -> Iterator[tuple[Hand, Path]]:
    path = libraries.drop("mine", OWN)
    with override_settings(SHARDS=1):
        seeded([MINE])
    yield a_hand(monkeypatch, source), path
    libraries.taken_away(path)


def mine() -> Deployment:
    return Deployment.objects.get(name="Mine")


def upgrade(**options: Any) -> Deployment:
    return deployment_upgrade(deployment_id=mine().pk, **ACT | options)


def test_a_changed_file_changes_nothing_until_an_operator_says_so(own: tuple[Hand, Path]) -> None:
    hand, _path = own
    played(hand, until=3)
    libraries.drop("mine", OWN.replace("size = 1", "size = 7  # more"))
    played(hand, until=6)
    before = mine()
    hand.shards = [hand.shard(0)]  # a worker that starts anew finds the old code too
    upgrade()
    played(hand, until=9)

    rows = Signal.objects.filter(deployment=before, origin="STRATEGY").order_by("step", "ordinal")
    assert {row.quantity for row in rows if row.step <= before.step} == {1}
    assert {row.quantity for row in rows if row.step > before.step} == {7}
    bars = [int(row.reason.split()[1]) for row in rows]
    assert bars == list(range(5, 5 * len(bars) + 1, 5))  # the memory went on
    entry = AuditEntry.objects.get(action="deployment.upgrade")
    assert (entry.details["step"], entry.details["memory"]) == (before.step, "kept")
    assert entry.details["from"]["hash"] != entry.details["to"]["hash"]


def test_an_upgrade_that_changes_nothing_is_none(own: tuple[Hand, Path]) -> None:
    assert upgrade().revision == mine().revision == 0
    assert not AuditEntry.objects.exists()


def test_other_parameters_begin_a_memory_anew(own: tuple[Hand, Path]) -> None:
    hand, _ = own
    played(hand, until=4)
    upgrade(params={"every": 3})
    before = mine()
    played(hand, until=6)

    after = Signal.objects.filter(deployment=before, step__gt=before.step).order_by("step", "ordinal")
    assert [row.reason for row in after[:2]] == ["bar 3", "bar 6"]


def test_a_memory_that_does_not_fit_is_refused_or_begun_anew(own: tuple[Hand, Path]) -> None:
    hand, _path = own
    played(hand, until=4)
    libraries.drop("mine", OWN.replace("bars: int", "candles: int").replace("state.bars", "state.candles"))

    with pytest.raises(MemoryDoesNotFit, match="begin its memory anew"):
        upgrade()
    assert mine().revision == hand.shards[0].runners[mine().pk].revision
    upgrade(is_fresh=True)
    played(hand, until=6)
    assert mine().status == "RUNNING"


def test_an_upgrade_goes_back_to_a_version_by_its_hash(own: tuple[Hand, Path]) -> None:
    first = mine().strategy_version
    libraries.drop("mine", OWN.replace("size = 1", "size = 7  # more"))
    upgrade()
    assert mine().strategy_version != first

    upgrade(version=first.source_hash[:10])

    assert mine().strategy_version == first
    with pytest.raises(DoesNotFit, match="every"):
        upgrade(params={"every": "x"})
    call_command("deployments", "upgrade", "Mine", reason="drill", stdout=io.StringIO())
    assert mine().strategy_version != first

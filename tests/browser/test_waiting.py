"""What waits for a person: entries to approve, and differences to settle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda.core.clock import to_ms
from alphapanda.core.ids import signal_id
from alphapanda.proof.browser import PHONE, THEMES, Person
from alphapanda.web import formats
from alphapanda.web.roles import Role
from execution.models import BrokerDesk, Difference
from execution.services.differences import difference_settle
from marketdata.selectors import calendars
from risk.domain.wording import named
from risk.services.outlook import approval_outlook
from strategies.models import Approval, Command, Deployment, Signal
from strategies.services.approvals import approvals_expire
from tests.browser import axe
from tests.browser.test_content import texts
from tests.rows import a_signal, an_approval

pytestmark = pytest.mark.django_db(transaction=True)

APPROVE = "**/api/v1/approvals/approve/"
ENTRIES = 4
WAITS = "tbody[data-kind=waits] tr"
steps = iter(range(200_000, 300_000))  # no other test's


@pytest.fixture
def asked(desk: SimpleNamespace) -> Iterator[list[Approval]]:
    """Entries of as many deployments that wait now, the newest first; nothing else waits."""
    now = timezone.now()
    Approval.objects.filter(state="WAITING").update(state="EXPIRED", answered_at=now)
    made = [_asked(one, n, now) for n, one in enumerate(desk.deployments[:ENTRIES])]
    yield made[::-1]
    Approval.objects.filter(state__in=("WAITING", "APPROVED")).update(state="DROPPED", answered_at=now)


def _asked(deployment: Deployment, number: int, now: datetime, seconds: int = 1_800) -> Approval:
    """An entry of ten units that waits so long from now on."""
    like, step, later = a_signal(deployment, next(steps)), next(steps), now + timedelta(seconds=seconds)
    same = {field.name: getattr(like, field.name) for field in Signal._meta.concrete_fields}
    own = {"id": signal_id(deployment.pk, step, 0), "step": step, "instrument": deployment.instruments.get()}
    times = {"expires_at": later, "expires_at_ms": to_ms(later)}
    entry = Signal.objects.create(**same | own)
    return an_approval(entry, asked_at=now + timedelta(milliseconds=number), **times)


def states(asked: list[Approval]) -> list[str]:
    found = dict(Approval.objects.values_list("pk", "state"))
    return [found[one.pk] for one in asked]


def press(person: Person, *keys: str) -> None:
    for key in keys:
        person.page.keyboard.press(key)


def test_each_entry_tells_what_it_would_do_to_exposure_and_limits(
    operator: Person, asked: list[Approval]
) -> None:
    operator.open("/approvals/")
    shown = texts(operator, "waits")

    assert set(shown) == {str(one.pk) for one in asked}
    for one in asked:
        cells, seen = shown[str(one.pk)], approval_outlook(one, calendar=calendars(), now=timezone.now())
        numbers, symbol = seen["numbers"], one.signal.instrument.tradingsymbol
        assert cells[2] == f"BUY 10 {symbol} at 1,249.05\n{one.deployment.name}"
        assert cells[4] == formats.rupees(numbers["order_value"]) == "₹12,490.50"
        before, after = seen["gross_exposure_before"], numbers["gross_exposure"]
        assert cells[5] == f"{formats.rupees(before)} → {formats.rupees(after)}"
        assert cells[6] == "2.0 % order quantity"  # ten of the 500 that the desk allows
        denied = f"would be denied {named(seen['rule'])} {seen['reason']}"
        assert cells[7] == ("would pass" if seen["would_pass"] else denied)
        until, left = cells[8].split("\nin ")
        assert until == formats.ist_time(one.expires_at_ms)
        assert left.startswith("29 min ")
    operator.page.locator(f"{WAITS} summary").first.click()
    assert "10 of 500" in texts(operator, "waits")[str(asked[0].pk)][6]
    assert operator.faults == []


def test_by_keyboard_one_is_approved_one_denied_and_the_rest_at_once(
    operator: Person, asked: list[Approval]
) -> None:
    page = operator.page
    operator.open("/approvals/")
    press(operator, "j", "a")
    said = page.locator("#act-what").inner_text()
    page.keyboard.type("looks right")
    press(operator, "Enter")
    page.locator("#toast", has_text="Approved").wait_for()
    page.locator(f"#answers-{asked[0].pk}").wait_for()
    press(operator, "j", "d")
    page.keyboard.type("too late in the day")
    press(operator, "Enter")
    page.locator(f"#answers-{asked[1].pk}").wait_for()
    press(operator, "Shift+A", "a")
    both = page.locator("#act-what").inner_text()
    page.keyboard.type("the rest")
    press(operator, "Enter")
    page.locator("#title-waits ~ .empty").wait_for()

    name = asked[0].deployment.name
    assert said.startswith(f"BUY 10 {asked[0].signal.instrument} of {name}, worth ₹12,490.50.")
    assert both.startswith("2 entries, together worth ₹24,981.00: BUY 10 ")
    assert states(asked) == ["APPROVED", "DENIED", "APPROVED", "APPROVED"]
    commands = Command.objects.filter(entry__in=[one.pk for one in asked])
    assert {one.entry_id for one in commands} == {asked[number].pk for number in (0, 2, 3)}
    answers = texts(operator, "answers")
    by = [answers[str(one.pk)][2:4] for one in asked]
    waits = ["approved waits for the next step of its deployment", "the operator"]
    assert by == [waits, ["denied", "the operator"], waits, waits]
    assert [answers[str(one.pk)][5] for one in asked[:2]] == ["looks right", "too late in the day"]
    entries = AuditEntry.objects.filter(action__startswith="approval.", actor="the operator")
    assert entries.filter(reason="the rest").count() == 2
    assert operator.faults == []


def test_enter_pressed_twice_approves_once(operator: Person, asked: list[Approval]) -> None:
    held: list[Any] = []
    operator.page.route(APPROVE, held.append)
    operator.open("/approvals/")
    press(operator, "Shift+A", "a")
    operator.page.keyboard.type("twice")
    press(operator, "Enter", "Enter")
    operator.page.wait_for_timeout(100)
    assert len(held) == 1
    held[0].continue_()
    operator.page.locator("#act-dialog").wait_for(state="hidden")

    assert states(asked) == ["APPROVED"] * ENTRIES
    assert Command.objects.filter(reason="approve: twice").count() == ENTRIES
    assert AuditEntry.objects.filter(action="approval.approve", reason="twice").count() == ENTRIES


def test_where_nothing_is_chosen_nothing_is_asked(operator: Person, asked: list[Approval]) -> None:
    operator.open("/approvals/")
    press(operator, "a")

    assert operator.page.locator("#toast").inner_text().startswith("Nothing is chosen.")
    assert operator.page.locator("dialog[open]").count() == 0
    press(operator, "j", "Space")
    assert operator.page.locator(f"{WAITS} input:checked").count() == 1
    assert operator.faults == []


def test_what_is_over_meanwhile_is_refused_and_leaves_the_page(
    operator: Person, asked: list[Approval]
) -> None:
    operator.open("/approvals/")
    press(operator, "Shift+A", "a")
    Approval.objects.filter(pk=asked[0].pk).update(state="REPLACED", answered_at=timezone.now())
    operator.page.keyboard.type("all")
    press(operator, "Enter")
    operator.page.wait_for_function("() => document.getElementById('act-error').textContent")

    said = operator.page.locator("#act-error").inner_text()
    assert said.startswith(f"Done for {ENTRIES - 1} of {ENTRIES}, not for the rest: ")
    assert "waits no more: replaced" in said
    operator.page.locator(WAITS).first.wait_for(state="detached")
    assert states(asked) == ["REPLACED", "APPROVED", "APPROVED", "APPROVED"]
    assert texts(operator, "answers")[str(asked[0].pk)][5] == "its strategy has raised a newer entry since"


def test_what_nobody_answers_counts_down_and_is_over(operator: Person, asked: list[Approval]) -> None:
    late = _asked(asked[0].deployment, 9, timezone.now(), seconds=40)
    operator.open("/approvals/")
    left = operator.page.locator(f"#waits-{late.pk} .left-of")
    left.and_(operator.page.locator(".warn")).wait_for()
    before = left.inner_text()
    operator.page.wait_for_function(
        "([id, before]) => document.querySelector(`#waits-${id} .left-of`).textContent !== before",
        arg=[str(late.pk), before],
    )
    approvals_expire(now=late.expires_at)
    operator.page.locator(f"#answers-{late.pk}").wait_for()

    assert before.endswith(" s")
    cells = texts(operator, "answers")[str(late.pk)]
    assert (cells[2], cells[3], cells[5]) == ("expired", formats.UNKNOWN, "nobody answered in time")
    assert operator.faults == []


def test_a_phone_shows_all_of_an_entry_with_its_buttons(
    people: Callable[..., Person], asked: list[Approval]
) -> None:
    person = people(size=PHONE, has_touch=True, is_mobile=True)
    person.open("/approvals/")
    for part in ("Approve", "Deny"):
        box = person.page.locator(WAITS).first.get_by_role("button", name=part).bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"]
    boxes = person.page.locator(f"{WAITS} input")
    person.page.get_by_label("Choose all, or none").tap()
    assert boxes.count() == person.page.locator(f"{WAITS} input:checked").count() > 1
    for theme in THEMES:
        person.wear(theme)
        assert axe.findings(person.page, theme=theme) == []
    assert person.faults == []


# ---- differences ---------------------------------------------------------------------------------------------


@pytest.fixture
def differing(desk: SimpleNamespace) -> Iterator[Difference]:
    """A position that the broker does not show, and that has paused all; the broker's process has compared."""
    now = timezone.now()
    account, _ = BrokerDesk.objects.get_or_create(broker="zerodha", defaults={"house": "x"})
    BrokerDesk.objects.update(reconciled_at=now)
    yield Difference.objects.create(
        kind="POSITION",
        key="NSE:SBIN MIS",
        ours="200",
        theirs="150",
        first_seen_at=now - timedelta(minutes=14),
        seen_at=now,
        halted_at=now,
        rounds=3,
    )
    Difference.objects.filter(kind="POSITION", key="NSE:SBIN MIS", settled_at=None).update(settled_at=now)
    account.delete()


def ask_to_settle(person: Person, row: Difference, note: str) -> None:
    person.open("/reconciliation/")
    rows = person.page.locator("tbody[data-kind=differences] tr").evaluate_all(
        "all => all.map((one) => one.id)"
    )
    press(person, *["j"] * (rows.index(f"differences-{row.pk}") + 1), "s")
    person.page.locator("#act-dialog[open]").wait_for()
    person.page.keyboard.type(note)


def test_a_difference_is_settled_once_by_keyboard_and_is_gone(
    operator: Person, differing: Difference
) -> None:
    held: list[Any] = []
    operator.page.route("**/settle/", held.append)
    ask_to_settle(operator, differing, "sold in the app")
    shown = texts(operator, "differences")
    said = operator.page.locator("#act-what").inner_text()
    press(operator, "Enter", "Enter")
    operator.page.wait_for_timeout(100)
    assert len(held) == 1
    held[0].continue_()
    operator.page.locator(f"#differences-{differing.pk}").wait_for(state="detached")

    open_ones = Difference.objects.filter(settled_at=None).values_list("pk", flat=True)
    assert set(shown) == {str(pk) for pk in open_ones} | {str(differing.pk)}
    cells = shown[str(differing.pk)]
    assert cells[:4] == ["position", "NSE:SBIN MIS", "200", "150"]
    assert cells[4].startswith("14 min since ")
    assert cells[5:7] == ["3", "paused the account"]
    assert said.startswith("position of NSE:SBIN MIS: ours 200, the broker's 150.")
    differing.refresh_from_db()
    assert (differing.settled_by, differing.note) == ("the operator", "sold in the app")
    entry = AuditEntry.objects.get(action="difference.settle", target="difference:POSITION NSE:SBIN MIS")
    assert (entry.actor, entry.reason, entry.details["theirs"]) == ("the operator", "sold in the app", "150")
    settled = texts(operator, "settled")[str(differing.pk)]
    assert settled[5:] == ["the operator", "sold in the app"]
    place = operator.page.locator("#toast a").get_attribute("href")
    assert place.endswith("#title-settled")
    assert operator.page.locator("#title-settled").count() == 1
    assert operator.page.locator("#toast").inner_text().startswith("Settled.")
    assert operator.faults == []


def test_what_another_has_settled_meanwhile_is_refused_with_who_and_how(
    people: Callable[..., Person], differing: Difference
) -> None:
    late = people()
    late.tolerated = {409}
    ask_to_settle(late, differing, "I do not know")
    difference_settle(difference_id=differing.pk, actor="ann", reason="sold in the app", now=timezone.now())
    press(late, "Enter")
    late.page.wait_for_function("() => document.getElementById('act-error').textContent")

    said = late.page.locator("#act-error").inner_text()
    assert said.startswith("Not done: POSITION NSE:SBIN MIS was settled already, by ann at ")
    assert said.endswith(" IST: sold in the app.")
    late.page.locator(f"#differences-{differing.pk}").wait_for(state="detached")
    differing.refresh_from_db()
    assert (differing.settled_by, differing.note) == ("ann", "sold in the app")
    assert late.faults == []


def test_who_only_looks_cannot_settle(people: Callable[..., Person], differing: Difference) -> None:
    viewer = people(Role.VIEWER)
    viewer.open("/reconciliation/")
    press(viewer, "j", "s")

    assert viewer.page.locator("dialog[open], [data-act]:visible").count() == 0
    assert viewer.faults == []


def test_differences_fit_a_phone(people: Callable[..., Person], differing: Difference) -> None:
    person = people(size=PHONE, has_touch=True, is_mobile=True)
    person.open("/reconciliation/")
    box = person.page.locator(f"#differences-{differing.pk} [data-key-a]").bounding_box()

    assert box["x"] + box["width"] <= PHONE["width"]
    assert axe.findings(person.page) == []
    assert person.faults == []

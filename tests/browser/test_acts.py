"""Acts in the browser: one is one, however often Enter is pressed and whatever becomes of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from alphapanda.proof.browser import Person
from alphapanda.web.roles import Role
from execution.models import Order
from risk.models import KillSwitch
from risk.services.halts import halt_release
from strategies.models import Approval, Command

pytestmark = pytest.mark.django_db(transaction=True)

HALTS = "**/api/v1/halts/"


@pytest.fixture(autouse=True)
def _released() -> Iterator[None]:
    yield
    for halt in KillSwitch.objects.filter(released_at=None):
        halt_release(halt_id=halt.pk, reason="the test is over", actor="tests", now=timezone.now())


def asked_to_halt(person: Person, reason: str) -> None:
    person.open("/")
    person.page.keyboard.press("Shift+H")
    person.page.keyboard.type(reason)


def halts(reason: str) -> int:
    return KillSwitch.objects.filter(reason=reason).count()


def test_enter_pressed_twice_is_one_act(operator: Person) -> None:
    held: list[Any] = []
    operator.page.route(HALTS, held.append)  # the first is under way when the second is asked for
    asked_to_halt(operator, "twice")

    operator.page.keyboard.press("Enter")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_timeout(100)
    assert len(held) == 1
    assert operator.page.locator("#halt-send").is_disabled()
    held[0].continue_()
    operator.page.wait_for_selector("#halt-dialog", state="hidden")

    assert halts("twice") == 1
    assert operator.page.locator("#toast").inner_text().startswith("Halted")
    halt = KillSwitch.objects.get(reason="twice")
    assert operator.page.locator("#toast a").get_attribute("href") == f"/risk/#switches-{halt.pk}"
    assert operator.faults == []


def test_an_answer_that_is_lost_is_asked_for_again_and_is_the_same_act(operator: Person) -> None:
    lost: list[int] = []

    def lose(route: Any) -> None:
        answer = route.fetch()
        if lost:
            route.fulfill(response=answer)
        else:
            lost.append(answer.status)
            route.abort()

    operator.page.route(HALTS, lose)
    asked_to_halt(operator, "lost")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_function("() => document.getElementById('halt-error').textContent")
    said = operator.page.locator("#halt-error").inner_text()
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_selector("#halt-dialog", state="hidden")

    assert "Not known whether it was done" in said
    assert lost == [201]
    assert halts("lost") == 1


def test_an_answer_that_comes_late_is_told_and_ends_no_other_act(operator: Person) -> None:
    operator.page.clock.install()
    held: list[Any] = []
    operator.page.route(HALTS, held.append)
    asked_to_halt(operator, "late")
    sent_and_left(operator)
    operator.page.keyboard.press("Shift+H")
    operator.page.keyboard.type("next")
    held.pop().continue_()
    operator.page.locator("#toast:visible", has_text="Halted").wait_for()
    assert operator.page.locator("#halt-dialog").is_visible()

    operator.tolerated.add(503)
    sent_and_left(operator)
    assert held[0].request.post_data_json["reason"] == "next"
    held.pop().fulfill(status=503, json={"error": {"code": "odd", "message": "The database is away."}})
    failed = operator.page.locator("#toast p", has_text="Not done: The database is away.")
    failed.wait_for()
    operator.page.clock.fast_forward(60_000)
    assert failed.is_visible()  # nobody looked at that moment
    failed.get_by_role("button", name="Dismiss").click()
    operator.page.wait_for_selector("#toast", state="hidden")
    assert halts("late") == 1
    assert operator.faults == []


def test_what_is_asked_for_again_is_the_same_act_until_it_is_done(operator: Person) -> None:
    keys: list[str] = []

    def note(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
        else:
            route.abort()

    operator.page.route(HALTS, note)
    asked_to_halt(operator, "once")
    sent_and_left(operator)
    for _ in range(2):
        operator.page.keyboard.press("Shift+H")
        operator.page.keyboard.type("once more")
        operator.page.keyboard.press("Enter")
        operator.page.wait_for_selector("#halt-dialog", state="hidden")
    assert keys[0] == keys[1] != keys[2]


def sent_and_left(person: Person) -> None:
    """Out of the dialog before the answer is there."""
    with person.page.expect_request(HALTS):
        person.page.keyboard.press("Enter")
    person.page.keyboard.press("Escape")
    person.page.wait_for_selector("#halt-dialog", state="hidden")


def test_an_answer_that_never_comes_is_not_awaited_for_ever(operator: Person) -> None:
    operator.page.add_init_script(
        "const waits = AbortSignal.timeout; AbortSignal.timeout = () => waits.call(AbortSignal, 300)"
    )
    operator.page.route(HALTS, lambda _: None)
    asked_to_halt(operator, "silence")
    operator.page.keyboard.press("Enter")
    operator.page.locator("#halt-error", has_text="Not known whether it was done").wait_for()
    assert operator.page.locator("#halt-send").is_enabled()


def test_an_act_without_a_reason_is_not_sent(operator: Person) -> None:
    sent: list[str] = []
    operator.page.on("request", lambda request: sent.append(request.method))
    asked_to_halt(operator, "")
    operator.page.keyboard.press("Enter")

    assert "POST" not in sent
    assert operator.page.locator("#halt-dialog").is_visible()


def test_a_halt_is_on_every_page_and_goes_with_its_release(operator: Person) -> None:
    asked_to_halt(operator, "everywhere")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_selector("#halt-dialog", state="hidden")
    operator.open("/risk/")
    row = operator.page.locator("tbody[data-kind=switches] tr", has_text="everywhere")
    row.locator("[data-act]").click()
    operator.page.keyboard.type("seen")
    operator.page.keyboard.press("Enter")

    row.get_by_text("released", exact=True).wait_for()
    assert KillSwitch.objects.get(reason="everywhere").released_by == "the operator"
    assert operator.faults == []


@pytest.mark.parametrize(
    ("signals", "address"), [(["11"], "/signals/11/"), (["11", "12"], "/approvals/#title-answers")]
)
def test_an_approval_leads_to_what_became_of_it(operator: Person, signals: list[str], address: str) -> None:
    Approval.objects.update(state=Approval.State.WAITING, answered_at=None)  # a halt has dropped it
    answers = [{"signal": one, "state": "APPROVED", "problem": ""} for one in signals]
    operator.page.route("**/api/v1/approvals/approve/", lambda route: route.fulfill(json=answers))
    operator.open("/approvals/")
    operator.page.locator("tbody[data-kind=waits] [data-act]").first.click()
    operator.page.keyboard.type("looks right")
    operator.page.keyboard.press("Enter")

    assert operator.page.locator("#toast a").get_attribute("href") == address


def test_an_order_at_hand_is_cancelled_by_keyboard(operator: Person, desk: SimpleNamespace) -> None:
    order = Order.objects.filter(deployment__status="RUNNING", broker="paper").first()
    Order.objects.filter(pk=order.pk).update(status="OPEN")
    operator.open("/orders/")
    rows = operator.page.locator("tbody[data-kind=orders] tr").evaluate_all("all => all.map((one) => one.id)")
    for _ in range(rows.index(f"orders-{order.pk}") + 1):
        operator.page.keyboard.press("j")
    operator.page.keyboard.press("x")
    operator.page.locator("#act-dialog[open]").wait_for()
    operator.page.keyboard.type("not wanted any more")
    operator.page.keyboard.press("Enter")
    operator.page.locator("#toast", has_text="Told to cancel").wait_for()
    assert operator.page.locator("#toast a").get_attribute("href") == f"/orders/{order.pk}/"

    command = Command.objects.get(order_id=order.pk)
    assert (command.kind, command.reason) == ("CANCEL", "cancel: not wanted any more")
    assert operator.faults == []
    Order.objects.filter(pk=order.pk).update(status=order.status)


@pytest.mark.parametrize("name", ["BAJAJ-AUTO", "M&M", "NIFTY 50 (WEEKLY)", "A/B-C.D"])
def test_real_money_wants_its_name_typed_whatever_signs_are_in_it(
    name: str, operator: Person, desk: SimpleNamespace
) -> None:
    order = Order.objects.filter(deployment__status="RUNNING", broker="paper").first()
    Order.objects.filter(pk=order.pk).update(status="OPEN")
    asked: list[Any] = []
    operator.page.route("**/api/v1/orders/**", asked.append)
    operator.open("/orders/")
    cancel = operator.page.locator(f"#orders-{order.pk} [data-key-x]")
    cancel.evaluate("(button, name) => (button.dataset.type = name)", name)
    cancel.click()
    operator.page.fill("#act-reason", "not wanted")
    operator.page.fill("#act-typed", "anything")
    operator.page.keyboard.press("Enter")
    assert not operator.page.evaluate("document.getElementById('act-typed').checkValidity()")
    assert asked == []

    operator.page.fill("#act-typed", name)
    with operator.page.expect_request("**/api/v1/orders/**"):
        operator.page.keyboard.press("Enter")
    assert operator.faults == []
    Order.objects.filter(pk=order.pk).update(status=order.status)


def test_the_name_of_a_deployment_follows_its_instruments_until_a_person_writes_one(
    operator: Person,
) -> None:
    operator.open("/strategies/deploy/ema_cross/")
    name, instruments = (operator.page.locator(f"#id_{part}") for part in ("name", "instruments"))
    title = name.input_value().partition(" on ")[0]
    for typed, wanted in (("NSE:SBIN", "SBIN"), ("NSE:SBIN, nse:tcs", "SBIN, TCS")):
        instruments.fill(typed)
        assert name.input_value() == f"{title} on {wanted}"
    name.fill("mine")
    instruments.fill("NSE:INFY")
    assert name.input_value() == "mine"
    name.fill("")
    instruments.fill("NSE:TCS")
    assert name.input_value() == f"{title} on TCS"
    assert operator.faults == []


def test_who_only_looks_has_nothing_to_act_with(people: Callable[..., Person]) -> None:
    viewer = people(Role.VIEWER)
    for path in ("/", "/risk/", "/strategies/", "/approvals/"):
        viewer.open(path)
        viewer.page.keyboard.press("Shift+H")
        assert viewer.page.locator("dialog[open], [data-act]:visible").count() == 0
    assert viewer.faults == []

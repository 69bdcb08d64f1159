"""Acts in the browser against a whole stack: what a person approves trades, what is released goes on, and who has never
seen the product gets from the login to the reason for a fill of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry
from alphapanda.proof import browser, screens
from alphapanda.proof.browser import Person
from alphapanda.proof.private import command
from alphapanda.stack import Stack
from alphapanda.web.formats import price
from execution.models import Fill, Order
from strategies.models import Approval, Deployment, Signal
from tests.browser.test_content import texts
from tests.people import PASSWORD, a_person

OWN_DATABASE = "postgres"  # what a stack calls its database where it starts one
WAIT_S = 14_400  # at the pace of the session four minutes
SOON_S = 240
PATIENCE_S, LOOK_MS = 120.0, 30_000
ACTIONS_MAX = 2
HEAD = """
from collections.abc import Iterable
import msgspec
from marketdata.domain.bars import Bar
from strategies.domain.base import Intent, Strategy, View
"""
ASKS = '''
class Asks(Strategy):
    name = "asks"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        quantity: int = 1
        bar_minutes: int = 1

    class State(msgspec.Struct):
        seen: int = 0

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Buys once, at its third bar."""
        state.seen += 1
        return [view.buy(self.params.quantity, reason="third bar")] if state.seen == 3 else []
'''
CRACKED = '''
class Cracked(Strategy):
    name = "cracked"

    class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        bars: int = 4
        bar_minutes: int = 1

    class State(msgspec.Struct):
        seen: int = 0

    def on_bar(self, state: State, bar: Bar, view: View) -> Iterable[Intent]:
        """Divides by the bars that are left."""
        state.seen += 1
        return [] if bar.close_e4 // (self.params.bars - state.seen) else []
'''


def _environment(folder: Path) -> dict[str, str]:
    """Five deployments that ask for an entry, one of which nobody answers in time, and one that falls over."""
    code = folder / "code"
    code.mkdir()
    for name, text in {"asks": ASKS, "cracked": CRACKED}.items():
        (code / f"{name}.py").write_text(HEAD + text)
    asking = [
        {
            "strategy": "asks",
            "params": {"quantity": 100 * number},
            "execution": {"approval_s": SOON_S if number == 5 else WAIT_S},
            "limits": {"position_quantity": 1_000, "gross_exposure": "100000"},
        }
        for number in range(1, 6)
    ]
    names = [*(f"Asking {number}" for number in range(1, 6)), "Cracked"]
    made = [
        {"name": name, "instruments": ["NSE:YESBANK"], "broker": "paper"} | facts
        for name, facts in zip(names, [*asking, {"strategy": "cracked"}], strict=True)
    ]
    definitions = folder / "deployments.json"
    definitions.write_text(json.dumps(made))
    return {
        "ALPHAPANDA_DEPLOYMENTS": str(definitions),
        "ALPHAPANDA_STRATEGIES": str(code),
        "ALPHAPANDA_FEED_SPEED": "60",
        "ALPHAPANDA_SHARDS": "1",
        "ALPHAPANDA_TRADING_WORKERS": "1",
    }


@pytest.fixture(scope="module")
def playing(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[tuple[Callable[..., Person], Stack]]:
    """A stack that plays the recorded session, and who opens windows on it."""
    if problem := browser.why_not():
        pytest.skip(f"NOT TESTED IN A BROWSER: {problem}")
    environment = _environment(tmp_path_factory.mktemp("playing"))
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        connection.close()
        patch.setitem(connection.settings_dict, "NAME", OWN_DATABASE)
        with screens.logged_in(environment, without=("research",)) as (chromium, root, state, stack):

            def enter(**context: Any) -> Person:
                given = {"storage_state": state, "reduced_motion": "reduce"} | context
                person = Person(chromium, root, **given)
                person.page.set_default_timeout(LOOK_MS)
                return person

            yield enter, stack
        connection.close()


def _waiting() -> dict[str, Approval]:
    found = Approval.objects.filter(state="WAITING").select_related("deployment")
    return {one.deployment.name: one for one in found}


def _answer(person: Person, key: str, reason: str) -> None:
    person.page.keyboard.press(key)
    person.page.locator("#act-dialog[open]").wait_for()
    person.page.keyboard.type(reason)
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("Enter")
    person.page.locator("#act-dialog").wait_for(state="hidden")


def test_of_entries_that_wait_those_trade_that_a_person_approves_and_once(playing: Any) -> None:
    enter, stack = playing
    person = enter()
    stack.wait(lambda: len(_waiting()) >= 4, timeout_s=PATIENCE_S, what="entries that wait")
    person.open("/approvals/")
    asked = {
        f"Asking {number}": Approval.objects.get(deployment__name=f"Asking {number}")
        for number in range(1, 6)
    }
    person.page.locator(f"#waits-{asked['Asking 4'].pk}").wait_for()
    cells = texts(person, "waits")[str(asked["Asking 4"].pk)]
    assert cells[2] == "BUY 400 YESBANK\nAsking 4"
    assert cells[5] == f"₹0.00 → {cells[4]}"
    assert cells[6] == "40.0 % position"
    assert cells[7] == "would pass"

    rows = person.page.locator("tbody[data-kind=waits] tr")
    expired = person.page.locator(f"#answers-{asked['Asking 5'].pk}", has_text="nobody answered in time")
    expired.wait_for()
    for name, key in {"Asking 4": "a", "Asking 3": "d"}.items():
        ids = rows.evaluate_all("all => all.map((one) => one.id)")
        for _ in range(ids.index(f"waits-{asked[name].pk}") + 1):
            person.page.keyboard.press("j")
        _answer(person, key, f"{name} was looked at")
        person.page.locator(f"#answers-{asked[name].pk}").wait_for()
        person.page.reload()  # no row is at hand
        person.page.locator("#answers-" + str(asked[name].pk)).wait_for()
    person.page.keyboard.press("Shift+A")
    _answer(person, "a", "the rest")
    for name in ("Asking 1", "Asking 2", "Asking 4"):
        person.page.locator(f"#answers-{asked[name].pk} a", has_text="went out").wait_for()

    traded = {"Asking 1", "Asking 2", "Asking 4"}
    stack.wait(lambda: Fill.objects.count() >= len(traded), timeout_s=PATIENCE_S, what="fills")
    names = Order.objects.values_list("deployment__name", flat=True)
    assert sorted(names) == sorted(traded)
    assert {one.deployment.name: one.quantity for one in Fill.objects.select_related("deployment")} == {
        name: 100 * int(name[-1]) for name in traded
    }
    assert Signal.objects.exclude(approves=None).count() == len(traded)
    assert AuditEntry.objects.filter(action="approval.deny").get().reason == "Asking 3 was looked at"
    person.page.locator(f"#answers-{asked['Asking 4'].pk} a", has_text="went out").click()
    person.page.locator("#approved").wait_for()
    assert person.faults == []
    person.close()


def test_what_is_released_falls_again_as_it_was_and_goes_on_once_it_is_mended(playing: Any) -> None:
    enter, stack = playing
    person = enter()
    page = person.page

    def cracked() -> Deployment:
        return Deployment.objects.get(name="Cracked")

    stack.wait(lambda: cracked().status == "QUARANTINED", timeout_s=PATIENCE_S, what="quarantine")
    person.open(f"/strategies/{cracked().pk}/")
    why = page.locator("tbody[data-kind=quarantines] tr")
    assert "ZeroDivisionError" in why.inner_text()
    assert "in cracked.py, line " in why.inner_text()
    page.locator("tbody[data-kind=loglines] tr", has_text="quarantined").first.wait_for()
    _answer(person, "r", "perhaps it was the weather")
    fallen = AuditEntry.objects.filter(action="deployment.quarantine", target="deployment:Cracked")
    stack.wait(lambda: fallen.count() == 2, timeout_s=PATIENCE_S, what="the second quarantine")
    page.locator("tbody[data-kind=quarantines] .warn", has_text="raised at the same step again").wait_for()
    assert len({fall.details["raised_step"] for fall in fallen}) == 1
    step = cracked().step  # its checkpoint may have come nearer to where it raises

    command(stack, "deployments", "upgrade", "Cracked", "--params", '{"bars": 100000}', "--reason", "mended")
    _answer(person, "r", "it is mended")
    page.locator(".faulted").wait_for(state="hidden")
    stack.wait(lambda: cracked().step > step, timeout_s=PATIENCE_S, what="steps after the release")
    page.locator("tbody[data-kind=traders] .s-running").wait_for()
    assert cracked().status == "RUNNING"
    assert person.faults == []
    person.close()


class Walk:
    """What a person does by what stands on the page, and how many actions a step has taken so far: a link that is
    followed, a field that is filled, a button that is pressed. Nobody types an address."""

    def __init__(self, person: Person) -> None:
        self.page, self.faults, self._actions = person.page, person.faults, 0

    def step(self) -> None:
        assert self._actions <= ACTIONS_MAX
        self._actions = 0

    def follows(self, words: str, *, of: Any = None) -> None:
        self._actions += 1
        (of or self.page).get_by_role("link", name=words).first.click()

    def fills(self, name: str, value: str) -> None:
        self._actions += 1
        self.page.fill(f"input[name={name}]", value)

    def presses(self, button: str) -> None:
        self._actions += 1
        self.page.get_by_role("button", name=button, exact=True).click()

    def sees(self, words: str) -> None:
        self.page.get_by_text(words).first.wait_for()


def test_who_has_never_seen_it_gets_from_the_login_to_the_reason_for_the_first_fill(playing: Any) -> None:
    """No step takes more than two actions; the login has its two fields besides."""
    enter, stack = playing
    newcomer = enter(storage_state=None)
    a_person("newcomer", role="operator")
    walk = Walk(newcomer)

    # 1. log in
    newcomer.open("/")
    newcomer.log_in("newcomer", PASSWORD)

    # 2. find what can be run
    walk.follows("Strategies")
    walk.sees("Exponential-average cross")
    walk.step()

    # 3. choose one
    walk.follows("Deploy Exponential-average cross")
    walk.sees("Every field has a default")
    walk.step()

    # 4. let it run with a parameter of one's own
    walk.fills("params__fast", "5")
    walk.presses("Deploy on paper")
    walk.sees("It runs on paper.")
    made = Deployment.objects.get(params__fast=5)
    assert (made.status, made.broker) == ("RUNNING", "paper")
    walk.step()

    # 5. its chart, with the averages that it was asked for
    walk.follows("chart NSE:")
    walk.sees("EMA 5")
    walk.step()

    # 6. its first fill
    stack.wait(lambda: Fill.objects.filter(deployment=made).exists(), timeout_s=PATIENCE_S, what="a fill")
    first = Fill.objects.filter(deployment=made).earliest("step")
    walk.page.go_back()
    walk.follows("fills")
    row = walk.page.locator(f"#fills-{first.pk}", has_text=price(first.price_e4))
    row.wait_for()
    walk.step()

    # 7. why
    walk.follows(":", of=row)
    walk.sees(first.order.decision.signal.reason)
    walk.step()
    assert walk.faults == []
    newcomer.close()

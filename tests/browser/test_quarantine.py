"""A deployment that raised: its page says why and where, lets it out, and tells what became of that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import AuditEntry
from alphapanda import projections
from alphapanda.proof.browser import PHONE, THEMES, Person
from strategies.models import Deployment
from strategies.services.quarantine import quarantine
from tests.browser import axe
from tests.browser.test_content import texts

pytestmark = pytest.mark.django_db(transaction=True)

ERROR = """Traceback (most recent call last):
  File "machine.py", line 322, in ask_strategy
    wishes = strategy.on_bar(state, bar, turn.view(bar.instrument))
  File "breakout.py@3f2a6b1c", line 31, in on_bar
    share = bar.close_e4 // left
ZeroDivisionError: integer division or modulo by zero
"""
WHY = "tbody[data-kind=quarantines] tr"


@pytest.fixture
def running(desk: SimpleNamespace) -> Iterator[Deployment]:
    """A deployment that runs, and does again afterwards."""
    yield Deployment.objects.get(pk=desk.deployments[2].pk)
    Deployment.objects.filter(pk=desk.deployments[2].pk).update(status="RUNNING", error="")
    projections.rebuild()


@pytest.fixture
def said(running: Deployment) -> Iterator[str]:
    """What a worker has written of it in its log."""
    folder = Path(settings.RUN_DIR, "logs")
    folder.mkdir(exist_ok=True)
    line = {
        "timestamp": timezone.now().isoformat(),
        "level": "error",
        "logger": "alphapanda.trading",
        "event": "strategies.deployment.quarantined",
        "deployment": str(running.pk),
    }
    log = folder / "strategies-7.log"
    log.write_text(json.dumps(line) + "\n")
    yield line["event"]
    log.unlink()


def fell(deployment: Deployment) -> None:
    assert quarantine(deployment_id=deployment.pk, error=ERROR)
    projections.rebuild()


def test_it_is_seen_at_once_released_by_keyboard_and_told_when_it_falls_again(
    operator: Person, running: Deployment, said: str
) -> None:
    page = operator.page
    operator.open(f"/strategies/{running.pk}/")
    assert page.locator(".faulted").is_hidden()
    fell(running)
    page.locator(WHY).wait_for()
    words = page.locator(WHY).inner_text()
    step = Deployment.objects.get(pk=running.pk).step

    assert words.startswith(
        "ZeroDivisionError: integer division or modulo by zero in breakout.py, line 31, in on_bar"
    )
    assert f"behind step {step}" in words
    assert f'upgrade "{running.name}"' in words
    assert ERROR.strip() in words
    assert "released it" not in words
    assert any(said in cells[4] for cells in texts(operator, "loglines").values())

    page.keyboard.press("r")
    page.locator("#act-dialog[open]").wait_for()
    assert "reads the tick again" in page.locator("#act-what").inner_text()
    page.keyboard.type("the file is mended")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.locator("#toast", has_text="Released: it reads that tick again").wait_for()
    page.locator(".faulted").wait_for(state="hidden")
    assert Deployment.objects.get(pk=running.pk).status == "RUNNING"
    released = AuditEntry.objects.get(
        action="deployment.release_quarantine", target=f"deployment:{running.name}"
    )
    assert (released.actor, released.reason) == ("the operator", "the file is mended")
    newest = page.locator("tbody[data-kind=changes] tr").first
    assert "the file is mended" in newest.inner_text()

    fell(running)
    page.locator(WHY).wait_for()
    again = page.locator(f"{WHY} .warn").inner_text()
    assert again.startswith("the operator released it at ")
    assert again.endswith("(the file is mended), and it raised at the same step again.")
    assert operator.faults == []


def test_a_release_that_comes_too_late_says_so(operator: Person, running: Deployment) -> None:
    fell(running)
    operator.tolerated = {409}
    operator.open(f"/strategies/{running.pk}/")
    operator.page.keyboard.press("r")
    Deployment.objects.filter(pk=running.pk).update(status="STOPPED", error="")
    operator.page.keyboard.type("go on")
    operator.page.keyboard.press("Enter")
    operator.page.wait_for_function("() => document.getElementById('act-error').textContent")

    told = operator.page.locator("#act-error").inner_text()
    assert told == f"Not done: {running.name} is STOPPED: release_quarantine is not possible."
    assert operator.faults == []


def test_its_page_is_for_everybody_and_fits_a_phone(
    people: Callable[..., Person], running: Deployment, said: str
) -> None:
    fell(running)
    for size in ({}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        person = people(**size)
        person.open(f"/strategies/{running.pk}/")
        assert person.page.locator(WHY).is_visible()
        assert not person.is_wider_than_the_window()
        for theme in THEMES:
            person.wear(theme)
            assert axe.findings(person.page, theme=theme) == []
        wide = person.page.locator(f"{WHY} p, tbody[data-kind=changes] td, tbody[data-kind=loglines] .words")
        assert (
            wide.evaluate_all(
                "all => all.filter((one) => one.getBoundingClientRect().right > innerWidth).length"
            )
            == 0
        )
        assert person.faults == []

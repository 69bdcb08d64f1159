"""Statements and tax lots from rows: the command, its files, and the API."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alphapanda.core.money import to_e4
from alphapanda.core.vocabulary import Broker, Side
from alphapanda.push import readmodel
from portfolio.audit import books_differences
from portfolio.corporate import action_add, action_apply
from portfolio.models import LedgerEntry, Portfolio, Position
from portfolio.services import portfolio_create, postings_book, postings_receive
from portfolio.statement_files import as_csv
from portfolio.statements import statement_named
from portfolio.tax_report import tax_report
from tests.people import client_of
from tests.portfolio.rows import TOKENS, book_make, request, round_trip

pytestmark = pytest.mark.django_db
DAY = "2019-07-09"
CLOSE_MS = 1_562_666_399_000  # 15:29:59 of the day
NEXT_DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def marks() -> Any:
    """INFY at 700 and SBIN at 310 when the day ended."""
    readmodel.marks_write(
        {token: (to_e4(price), CLOSE_MS) for token, price in zip(TOKENS.values(), (700, 310), strict=True)}
    )
    yield
    with readmodel._redis() as server:
        server.delete(readmodel._key("marks"))


def traded(name: str = "ema", *, is_booked: bool = True) -> UUID:
    deployment = book_make(name)
    postings_receive(round_trip(deployment))
    if is_booked:
        postings_book(deployment_id=deployment, now=timezone.now())
    return deployment


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command(*arguments)
    return capsys.readouterr().out


def test_the_statement_of_a_portfolio_is_exact_and_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    found = json.loads(told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY, "--json"))

    # 100 at 700; 50 sold at 710; 50 sold and 50 sold short at 705; 10 SBIN at 300.05; charges 1.43000001 a fill
    assert found["opening"]["cash"] == found["opening"]["equity"] == "1000000.00"
    assert found["realised"] == "750.00"
    assert found["charges"] == {"gst": "0.72000004", "stt": "5.00"}
    assert found["charged"] == "5.72000004"
    assert found["net"] == "744.27999996"
    assert found["closing"]["cash"] == "1032993.77999996"
    assert found["closing"]["cost"] == "-32249.50"
    # 50 short from 705 at 700, and 10 from 300.05 at 310
    assert found["closing"]["unrealised"] == "349.50"
    assert found["closing"]["equity"] == "1001093.77999996"
    assert [trade["at"][:16] for trade in found["trades"]] == ["2019-07-09T09:15"] * 4
    assert [(p["instrument"], p["quantity"], p["mark"]["price"]) for p in found["positions"]] == [
        ("NSE:INFY", -50, "700.00"),
        ("NSE:SBIN", 10, "310.00"),
    ]
    assert found["adds_up"] is True
    assert {check["difference"] for check in found["checks"]} == {"0.00"}


def test_a_broker_is_the_sum_of_its_portfolios(capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    portfolio_create(name="second", broker=Broker.PAPER, starting_cash=Decimal(5))
    portfolio_create(name="real", broker=Broker.ZERODHA, starting_cash=Decimal(7))
    found = json.loads(told(capsys, "statement", "--broker", "paper", "--day", DAY, "--json"))
    assert (found["subject"], found["opening"]["cash"]) == ("account paper, all portfolios", "1000005.00")
    real = json.loads(told(capsys, "statement", "--broker", "zerodha", "--day", DAY, "--json"))
    assert (real["closing"]["equity"], real["trades"]) == ("7.00", [])


def test_a_price_of_a_later_day_is_no_mark_of_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    readmodel.marks_write({TOKENS["NSE:INFY"]: (to_e4(900), CLOSE_MS + NEXT_DAY_MS)})
    found = json.loads(told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY, "--json"))
    assert found["unmarked"] == ["NSE:INFY"]
    assert (found["closing"]["equity"], found["closing"]["cash"]) == (None, "1032993.77999996")
    assert found["adds_up"] is True

    text = told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY)
    assert "No price is known of NSE:INFY" in text
    [row] = [line for line in text.splitlines() if "│ equity " in line]
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["10,00,000.00", "–", "–"]  # noqa: RUF001


def test_a_ledger_that_differs_ends_the_command_with_1_and_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    traded()
    one = LedgerEntry.objects.filter(account="CASH").first()
    assert one is not None
    LedgerEntry.objects.create(
        id=UUID(int=9), book=one.book, portfolio=one.portfolio, instrument=one.instrument, fill_id=UUID(int=9),
        number=1, account="CASH", amount=Decimal("0.05"), at_ms=one.at_ms,
    )  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        call_command("statement", "--portfolio", "paper desk", "--day", DAY)
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "IT DOES NOT ADD UP" in out
    [row] = [line for line in out.splitlines() if "closing cash" in line]
    assert "-0.05" in row
    assert "DIFFERS" in row


def test_fills_that_wait_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    traded(is_booked=False)
    with pytest.raises(SystemExit):
        call_command("statement", "--portfolio", "paper desk", "--day", DAY)
    assert "cash of 4 fills that wait to be booked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--portfolio", "nobody", "--day", DAY), "there are: paper desk"),
        (("--day", DAY), "Name one portfolio, or one broker"),
        (
            ("--portfolio", "paper desk", "--broker", "paper", "--day", DAY),
            "Name one portfolio, or one broker",
        ),
        (("--broker", "shared", "--day", DAY), "no broker; there are paper, zerodha"),
        (("--portfolio", "paper desk", "--day", "09-07-2019"), "write YYYY-MM-DD"),
        (("--portfolio", "paper desk", "--day", DAY, "--csv", "nowhere/there.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_stated_is_said(arguments: tuple[str, ...], reason: str) -> None:
    traded()
    with pytest.raises(CommandError, match=reason):
        call_command("statement", *arguments)


def test_csv_holds_every_figure_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    path = tmp_path / "day.csv"
    told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY, "--csv", str(path))
    rows = list(csv.reader(io.StringIO(path.read_text())))
    assert rows[0] == ["statement", "paper desk", "paper", DAY]
    assert ["charges: gst", "-0.72000004"] in rows
    assert ["cash", "1000000.00", "1032993.77999996", "32993.77999996"] in rows
    trades = rows[rows.index(["Trades"]) + 2 :][:4]
    assert trades[0][2:] == ["NSE:INFY", "BUY", "100", "700.00", "70000.00", "0.00", "1.43000001"]


def test_no_name_becomes_a_formula_of_a_spreadsheet() -> None:
    traded("=HYPERLINK(1)")
    text = as_csv(statement_named(portfolio="paper desk", day=DAY))
    assert "'=HYPERLINK(1)" in text
    assert ",=HYPERLINK" not in text
    assert ",-50," in text


def test_pdf_is_a_document_of_the_day_and_the_same_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traded()
    paths = tmp_path / "one.pdf", tmp_path / "two.pdf"
    for path in paths:
        told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY, "--pdf", str(path))
    one, two = (path.read_bytes() for path in paths)
    assert one.startswith(b"%PDF-")
    assert b"Statement of paper desk, 2019-07-09" in one
    assert one == two


def asked(portfolio_id: UUID, query: str) -> Any:
    return client_of("bob").get(f"/api/v1/portfolios/{portfolio_id}/statement/{query}")


def test_the_api_states_the_day(capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    portfolio = Portfolio.objects.get()
    answer = asked(portfolio.pk, f"?day={DAY}")
    by_command = told(capsys, "statement", "--portfolio", "paper desk", "--day", DAY, "--json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(by_command)
    wrong = asked(portfolio.pk, "?day=yesterday")
    assert (wrong.status_code, "write YYYY-MM-DD" in wrong.json()["error"]["message"]) == (400, True)
    assert asked(portfolio.pk, "").status_code == 400
    assert asked(UUID(int=1), f"?day={DAY}").status_code == 404


def test_the_api_states_the_day_of_a_broker(capsys: pytest.CaptureFixture[str]) -> None:
    traded()
    client = client_of("alice")
    answer = client.get("/api/v1/statement/", {"broker": "paper", "day": DAY})
    assert answer.json() == json.loads(told(capsys, "statement", "--broker", "paper", "--day", DAY, "--json"))
    wrong = client.get("/api/v1/statement/", {"broker": "moon", "day": DAY})
    assert (wrong.status_code, "there are paper, zerodha" in str(wrong.json())) == (400, True)
    assert client.get("/api/v1/statement/", {"day": DAY}).status_code == 400


def test_tax_lots_of_a_portfolio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The day trade is intraday; the 50 sold beyond it and 10 SBIN are left."""
    traded()
    path = tmp_path / "tax.csv"
    found = json.loads(told(capsys, "tax_lots", "--portfolio", "paper desk", "--csv", str(path), "--json"))
    assert [(row["term"], row["quantity"], row["profit"]) for row in found["closed"]] == [
        ("INTRADAY", 50, "500.00"),
        ("INTRADAY", 50, "250.00"),
    ]
    assert [(row["instrument"], row["quantity"]) for row in found["open"]] == [
        ("NSE:INFY", -50),
        ("NSE:SBIN", 10),
    ]
    assert [(row["financial_year"], row["term"], row["profit"]) for row in found["sums"]] == [
        ("2019-20", "INTRADAY", "750.00")
    ]
    assert path.read_text().splitlines()[0].startswith("instrument,term,quantity")
    other = json.loads(told(capsys, "tax_lots", "--broker", "paper", "--year", "2020-21", "--json"))
    assert (other["closed"], len(other["open"])) == ([], 2)
    assert "INTRADAY" in told(capsys, "tax_lots", "--portfolio", "paper desk")
    with pytest.raises(CommandError, match="write 2026-27"):
        call_command("tax_lots", "--portfolio", "paper desk", "--year", "2026")


def test_an_action_that_two_books_booked_changes_their_lots_once() -> None:
    for name in ("one", "two"):
        deployment = book_make(name)
        fill = request(deployment, 1, Side.BUY, 10, 700)
        postings_receive([fill])
        postings_book(deployment_id=deployment, now=timezone.now())
    action = action_add(instrument="NSE:INFY", kind="BONUS", ex_date=date(2019, 7, 10), new=1, old=1)
    assert len(action_apply(action_id=action.pk, now=timezone.now())) == 2
    report = tax_report(list(Portfolio.objects.all()))
    assert [one.lot.quantity for one in report.left] == [10, 10, 20]


def test_books_with_one_share_each_and_their_lots_hold_the_same_after_a_bonus_of_one_for_two() -> None:
    """Two shares in one account bring one: it is in a book, as it is at the depository."""
    for name in ("one", "two"):
        deployment = book_make(name)
        postings_receive([request(deployment, 1, Side.BUY, 1, 700)])
        postings_book(deployment_id=deployment, now=timezone.now())
    action = action_add(instrument="NSE:INFY", kind="BONUS", ex_date=date(2019, 7, 10), new=1, old=2)
    done = action_apply(action_id=action.pk, now=timezone.now())

    assert sorted(one.quantity_after for one in done) == [1, 2]
    assert sorted(Position.objects.values_list("quantity", flat=True)) == [1, 2]
    assert [one.lot.quantity for one in tax_report(list(Portfolio.objects.all())).left] == [1, 1, 1]
    assert books_differences().adds_up

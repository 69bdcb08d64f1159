"""What came of a write: only proof that nothing was taken is a refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.domain.kite.outcomes import KNOWN, Outcome, Resend, Stage, Verdict, of_answer, of_failure
from tests.shared_data import SHARED, needs_shared_data

A, R, U, T = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.TOKEN_DEAD


def failed(http_status: int, error_type: str, message: str = "no") -> Outcome:
    body = {"status": "error", "error_type": error_type, "message": message, "data": None}
    return of_answer(http_status, json.dumps(body).encode())


@needs_shared_data
@pytest.mark.parametrize("sample", ["order_response", "order_modify", "order_cancel"])
def test_kites_own_samples_are_accepted(sample: str) -> None:
    outcome = of_answer(200, (SHARED / f"kite/rest/{sample}.json").read_bytes())

    assert (outcome.verdict, outcome.order_id) == (A, "151220000000000")
    assert outcome.order_ids == ("151220000000000",)
    assert not outcome.may_resend


def test_ids_of_nineteen_digits_stay_exact_whether_text_or_number() -> None:
    for order_id in ('"1953341975595868161"', "1953341975595868161"):
        outcome = of_answer(200, f'{{"status":"success","data":{{"order_id":{order_id}}}}}'.encode())
        assert outcome.order_id == "1953341975595868161"


@pytest.mark.parametrize(
    ("http_status", "error_type", "message", "verdict"),
    [
        (400, "InputException", "missing or invalid params", R),
        (400, "MarginException", "Insufficient funds.", R),
        (400, "HoldingException", "no such holding", R),
        (400, "OrderException", "Order cannot be cancelled", R),
        # a refusal whose words only resemble the trap
        (400, "MarginException", "Insufficient funds. Check the orderbook for open orders.", R),
        (400, "InputException", "Order request timed out. Please check the order book", U),
        (400, "OrderException", "Order request TIMED OUT", U),
        (400, "GeneralException", "something", U),
        (400, "CustomException", "something", U),  # an unknown name is General
        (400, "NetworkException", "something", U),
        (400, "DataException", "something", U),
        (403, "TokenException", "Incorrect `api_key` or `access_token`.", T),
        (403, "TokenException", "Session timed out", T),
        (401, "TokenException", "no", T),
        (402, "TokenException", "no", U),
        (500, "NetworkException", "Too many requests", U),
        (403, "PermissionException", "Insufficient permission", R),
        (403, "SomethingNew", "IP address not allowed", R),
        (403, "NetworkException", "?", U),
        (404, "GeneralException", "Route not found", R),
        (405, "GeneralException", "", R),
        (410, "GeneralException", "", R),
        (428, "HoldingException", "Authorise your holdings at the depository", R),
        (428, "SomethingNew", "", R),
        (408, "InputException", "", U),
        (408, "DataException", "Too many requests", U),
        (409, "SomethingNew", "", U),
        (500, "InputException", "?", U),
        (500, "OrderException", "?", U),
        (500, "GeneralException", "?", U),
        (502, "DataException", "?", U),
        (503, "NetworkException", "Too many requests", U),  # of a 503 nobody says that nothing was taken
        (504, "NetworkException", "Gateway timed out", U),
        (200, "InputException", "an error in a success", U),
        (200, "NetworkException", "?", U),
        (302, "InputException", "?", U),
    ],
)
def test_errors(http_status: int, error_type: str, message: str, verdict: Verdict) -> None:
    outcome = failed(http_status, error_type, message)

    assert outcome.verdict is verdict
    assert outcome.resend is Resend.NEVER
    assert (outcome.http_status, outcome.error_type) == (http_status, error_type)
    assert outcome.reason


@pytest.mark.parametrize(
    ("http_status", "error_type", "message"),
    [
        (429, "NetworkException", "Too many requests"),
        (429, "SomethingNew", ""),
        (200, "NetworkException", "Too many requests"),
        (400, "InputException", "too many requests in this second"),
    ],
)
def test_one_request_too_many_may_be_sent_again_with_its_tag(
    http_status: int, error_type: str, message: str
) -> None:
    outcome = failed(http_status, error_type, message)

    assert (outcome.verdict, outcome.resend) == (R, Resend.SAME_TAG)
    assert outcome.may_resend


def test_a_429_is_a_refusal_whatever_its_body_but_not_where_it_timed_out() -> None:
    assert of_answer(429, b"<html>").resend is Resend.SAME_TAG
    assert failed(429, "NetworkException", "request timed out").verdict is U


def test_what_never_left_the_house_may_be_sent_as_a_new_attempt_and_nothing_else() -> None:
    assert of_failure(Stage.NOT_SENT, "connection refused") == Outcome(
        R, "connection refused", Resend.NEW_TAG
    )
    outcome = of_failure(Stage.MAYBE_SENT, "connection reset")
    assert (outcome.verdict, outcome.may_resend) == (U, False)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>504</html>", b"{a:b}", b"null", b"[]", b"7", b"{}", b'{"status":"success"}', b"\xff\xfe",
        b'{"status":"success","data":null}', b'{"status":"success","data":{}}', b'{"status":"success","data":[]}',
        b'{"status":"success","data":{"order_id":""}}', b'{"status":"success","data":{"order_id":true}}',
        b'{"status":"success","data":{"order_id":null}}',
        b'{"status":"success","data":{"order_id":0}}', b'{"status":"success","data":{"order_id":"a b"}}',
        b'{"status":"maybe","data":{"order_id":"1"}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("http_status", [200, 400, 403, 404, 500])
def test_what_cannot_be_read_is_not_known(http_status: int, body: bytes) -> None:
    assert of_answer(http_status, body).verdict is U


def test_a_success_of_another_code_is_not_known() -> None:
    verdicts = [
        of_answer(code, b'{"status":"success","data":{"order_id":"1"}}').verdict
        for code in (199, 200, 299, 300, 500)
    ]
    assert verdicts == [U, A, A, U, U]


@pytest.mark.parametrize(
    ("http_status", "body", "verdict"),
    [
        (200, {"status": "success", "error_type": "InputException", "data": {"order_id": "1"}}, U),
        (400, {"status": "success", "error_type": "InputException", "data": {"order_id": "1"}}, R),
        (400, {"error_type": "InputException"}, R),
        (400, {"status": "error"}, U),
        (200, {"status": "error", "message": "Too many requests"}, R),
        (200, {"data": {"order_id": "1"}}, U),
        (400, {"status": "error", "error_type": 7, "message": ["no"]}, U),
    ],
)
def test_an_answer_is_a_success_or_an_error_by_both_its_names(
    http_status: int, body: dict[str, object], verdict: Verdict
) -> None:
    assert of_answer(http_status, json.dumps(body).encode()).verdict is verdict


def test_reasons_are_cut_at_what_a_column_holds() -> None:
    assert failed(400, "InputException", "x\0" * 150).reason == "x" * 150
    assert len(failed(400, "InputException", "x" * 300).reason) == 200
    assert failed(404, "", "").reason == "HTTP 404 "


SLICES = [
    {"order_id": "11"},
    {"error": {"code": 400, "error_type": "MarginException", "message": "Insufficient funds"}},
]


@pytest.mark.parametrize("data", [SLICES, {"order_id": "10", "children": SLICES}])
def test_a_sliced_order_in_both_shapes(data: object) -> None:
    outcome = of_answer(200, json.dumps({"status": "success", "data": data}).encode())

    assert outcome.verdict is A
    assert [(one.verdict, one.order_id, one.reason) for one in outcome.slices] == [
        (A, "11", ""),
        (R, "", "Insufficient funds"),
    ]
    assert outcome.order_ids == (("10", "11") if isinstance(data, dict) else ("11",))


@pytest.mark.parametrize(
    ("children", "verdict"),
    [
        (SLICES[1:], R),
        ([{"error": {"error_type": "InputException", "message": "no"}}], R),
        ([{"error": {"code": "400", "error_type": "InputException", "message": "no"}}], R),
        ([*SLICES, {"error": {"code": 400, "error_type": "OrderException", "message": "timed out"}}], U),
        ([*SLICES, {"error": {"error_type": "NetworkException", "message": "?"}}], U),
        ([*SLICES, {"error": {"code": 503, "error_type": "InputException", "message": "?"}}], U),
        ([*SLICES, {}], U),
        ([*SLICES, None], U),
    ],
)
def test_a_sliced_order_is_as_unknown_as_any_of_its_parts(children: list[object], verdict: Verdict) -> None:
    data = {"order_id": "10", "children": children}
    outcome = of_answer(200, json.dumps({"status": "success", "data": data}).encode())

    assert outcome.verdict is verdict
    assert outcome.reason


TEXTS = st.one_of(
    st.sampled_from(["no", "Request timed out", "Too many requests", ""]), st.text(max_size=300)
)


@given(st.integers(100, 599), st.one_of(st.sampled_from(sorted(KNOWN)), st.text(max_size=20)), TEXTS)
def test_no_error_is_accepted_and_none_is_refused_without_proof(
    http_status: int, error_type: str, message: str
) -> None:
    outcome = failed(http_status, error_type, message)

    assert outcome.verdict is not A
    is_timed_out = "timed out" in message.lower() and error_type != "TokenException"
    if http_status >= 500 or http_status == 408 or is_timed_out:
        assert outcome.verdict is U
    if outcome.may_resend:
        assert outcome.verdict is R
    if outcome.verdict is T:
        assert (http_status in (401, 403), error_type) == (True, "TokenException")
    assert len(outcome.reason) <= 200


@given(st.integers(100, 599), st.binary(max_size=60))
def test_any_bytes_are_an_answer(http_status: int, body: bytes) -> None:
    assert of_answer(http_status, body).verdict is (R if http_status == 429 else U)

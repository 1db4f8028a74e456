"""Answers of Bitso's that no page foresees: each costs its own row or its own request, and nothing beside it."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import LookupResult, OrderBridge, OrderRef, OrderRequest, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import (
    AmbiguousRef,
    AuthenticationFailed,
    ConfigurationError,
    InsufficientFunds,
    OrderBridgeError,
    OutcomeUnknown,
    RateLimited,
    UnexpectedResponse,
)
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.retry import Retries

QUICK = Retries(tries=2, first_wait=0.001, longest_wait=0.001)
_keys = itertools.count()
Answer = Callable[[str], tuple[int, Any]]


class Scripted:
    """A transport that answers by the request's target, and remembers it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.targets: list[str] = []

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.targets.append(request.target)
        status, body = self._answer(request.target)
        return WireResponse(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())

    async def aclose(self) -> None:
        """There is nothing to close."""


@pytest.fixture
async def bitso() -> AsyncIterator[Callable[[Answer], tuple[BitsoGateway, Scripted]]]:
    """Makes gateways over scripted answers, each with a key of its own."""
    made: list[BitsoGateway] = []

    def make(answer: Answer) -> tuple[BitsoGateway, Scripted]:
        transport = Scripted(answer)
        key = f"ODDKEY{next(_keys)}"
        gateway = BitsoGateway(api_key=key, api_secret="ODDSECRET", transport=transport, limits=None, retries=QUICK)
        made.append(gateway)
        return gateway, transport

    yield make
    for gateway in made:
        await gateway.aclose()


def row(oid: object, **changes: Any) -> dict[str, Any]:
    plain = {"book": "btc_mxn", "side": "buy", "type": "limit", "status": "open", "price": "1"}
    return {"oid": oid, **plain, "original_amount": "2", "unfilled_amount": "1", **changes}


def trade(**changes: Any) -> dict[str, Any]:
    plain = {"tid": 1, "oid": "A", "book": "btc_mxn", "side": "buy", "price": "1", "major": "1", "minor": "-1"}
    return {**plain, **changes}


def ok(*rows: Any) -> tuple[int, Any]:
    return 200, {"success": True, "payload": list(rows)}


def refusal(code: str, message: str = "no", status: int = 400) -> tuple[int, Any]:
    return status, {"success": False, "error": {"code": code, "message": message}}


async def test_amounts_too_far_apart_to_compute_with_cost_their_own_row(bitso: Any) -> None:
    """A row whose fills cannot be computed is a bad row; its neighbour is found."""
    gateway, _ = bitso(lambda target: ok(row("A", original_amount="1E90", unfilled_amount="1E-90"), row("B")))

    result = await gateway.lookup("bitso:A", "bitso:B")

    assert [order.order_id for order in result.orders] == ["B"]
    assert [bad.order_id for bad in result.bad_rows] == ["A"]
    assert result.undecided == ("bitso:A",)


async def test_trades_too_far_apart_to_add_up_leave_the_fills_unknown(bitso: Any) -> None:
    """An order whose trades have no computable sum is rebuilt without one."""

    def answer(target: str) -> tuple[int, Any]:
        trades = ok(trade(tid=1, major="1E90"), trade(tid=2, major="1E-90"))
        return trades if "order_trades" in target else ok()

    gateway, _ = bitso(answer)

    order = await gateway.get("bitso:A")

    assert (order.status, order.filled_quantity) == (OrderStatus.ENDED, None)
    assert len(order.anomalies) == 1


@pytest.mark.parametrize("code", ["0705", "0346", "0327", "0303", "0379", "1005"])
async def test_refusal_that_blames_no_id_is_not_split(bitso: Any, code: str) -> None:
    """A suspended account or new terms meet every list alike: the search stops within its first requests."""
    gateway, transport = bitso(lambda target: refusal(code))

    result = await gateway.lookup(*[f"bitso:{number:016}" for number in range(1000)])

    assert len(transport.targets) <= 8
    assert len(result.undecided) == 1000


@pytest.mark.parametrize("status", [420, 429])
@pytest.mark.parametrize("body", [b"<html>slow down</html>", b"", b"{}", {"error": "rate"}])
async def test_throttling_in_any_dress_locks_out(bitso: Any, status: int, body: object) -> None:
    """A 420 or 429 without Bitso's envelope is throttling all the same, and nothing is sent after it."""
    gateway, transport = bitso(lambda target: (status, body))

    result = await gateway.lookup("bitso:A", timeout=1)

    assert result.unreachable["bitso"].kind == "throttled"
    assert len(transport.targets) == 1


@pytest.mark.parametrize("oid", [None, "", True, {}])
async def test_row_without_an_id_may_be_that_of_any_id_asked_for(bitso: Any, oid: object) -> None:
    """What was shown and cannot be read is not "not seen"."""
    gateway, _ = bitso(lambda target: ok(row(oid), row("B")) if "/orders?" in target else ok())

    result = await gateway.lookup("bitso:A", "bitso:B")

    assert result.undecided == ("bitso:A",)
    assert [order.order_id for order in result.orders] == ["B"]


async def test_bad_row_keeps_an_id_that_is_a_number(bitso: Any) -> None:
    """An id that came as a number still says whose row could not be read."""
    gateway, _ = bitso(lambda target: ok(row(123, side="both")))

    result = await gateway.lookup("bitso:123")

    assert [bad.order_id for bad in result.bad_rows] == ["123"]


async def test_row_without_its_origin_id_may_be_the_one(bitso: Any) -> None:
    """A look-up by origin id that shows an order without one leaves the ref undecided."""
    gateway, _ = bitso(lambda target: ok(row("A")) if "/orders" in target else refusal("0357"))

    result = await gateway.lookup("bitso:client:mine")

    assert result.undecided == ("bitso:client:mine",)


async def test_venue_texts_are_short_and_without_secrets(bitso: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An error message that echoes the key, or is a million characters long, is cleaned like a body."""
    caplog.set_level(logging.DEBUG)
    gateway, _ = bitso(lambda target: refusal("0201", f"key ODDKEY{next(_keys) - 1} secret ODDSECRET " + "x" * 10**6))

    result = await gateway.lookup("bitso:A")
    with pytest.raises(AuthenticationFailed) as refused:
        await gateway.get("bitso:A")

    texts = [result.unreachable["bitso"].message, str(refused.value), *(record.message for record in caplog.records)]
    assert not [text for text in texts if "ODDSECRET" in text or len(text) > 1000]


async def test_page_of_another_server_discards_nothing_that_was_found(bitso: Any) -> None:
    """One request that lands on a 404 page fails its own ids; orders that others found stay."""
    gateway, _ = bitso(lambda target: (404, b"<html></html>") if "origin_ids" in target else ok(row("A"), row("B")))

    result = await gateway.lookup("A", "B")

    assert {order.order_id for order in result.orders} == {"A", "B"}
    assert result.unreachable["bitso"].kind == "unexpected"


async def test_path_that_bitso_does_not_know_is_a_wrong_address(bitso: Any) -> None:
    """Code 0322 says that base_url is wrong."""
    gateway, _ = bitso(lambda target: refusal("0322", status=404))

    with pytest.raises(ConfigurationError, match="base_url"):
        await gateway.lookup("bitso:A")


async def test_trades_of_another_client_id_are_not_taken(bitso: Any) -> None:
    """An order is rebuilt from its own trades only; others are bad rows."""

    def answer(target: str) -> tuple[int, Any]:
        return ok(trade(origin_id="other")) if "order_trades" in target else ok()

    gateway, _ = bitso(answer)

    result = await gateway.lookup("bitso:client:mine")

    assert result.orders == ()
    assert len(result.bad_rows) == 1


async def test_ref_with_an_impossible_oid_is_asked_for_by_its_client_id(bitso: Any) -> None:
    """Nothing is proven absent while one of its ids could be held."""
    gateway, transport = bitso(lambda target: ok(row("A", origin_id="good")))
    ref = OrderRef(gateway="bitso", order_id="a/b", client_order_id="good")

    result = await gateway.lookup(ref)

    assert [order.order_id for order in result.orders] == ["A"]
    assert transport.targets == ["/api/v3/orders?origin_ids=good"]


async def test_half_a_character_pair_can_be_printed_and_written(bitso: Any) -> None:
    """A text that no file can hold is escaped on reading, and the result is JSON and back."""
    body = json.dumps({"success": True, "payload": [row("A", status="\ud800", price="x\ud800"), row("B\ud800")]})
    gateway, _ = bitso(lambda target: (200, body.encode()))

    result = await gateway.lookup("bitso:A")

    assert LookupResult.model_validate_json(result.model_dump_json()) == result
    str(result).encode()


@pytest.mark.parametrize("symbol", ["BTC/MXN&limit=1#x", "BTC/M?N", "BTC_X/MXN"])
async def test_symbol_cannot_smuggle_anything_into_the_query(bitso: Any, symbol: str) -> None:
    """A symbol that is no book of Bitso's is refused before anything is sent."""
    gateway, transport = bitso(lambda target: ok())

    with pytest.raises(ConfigurationError):
        await gateway.open_orders(symbol=symbol)

    assert transport.targets == []


async def test_filter_that_the_server_ignores_is_applied_here(bitso: Any) -> None:
    """Open orders of one symbol hold that symbol only."""
    gateway, _ = bitso(lambda target: ok(row("A"), row("B", book="eth_mxn")))

    orders = await gateway.open_orders(symbol="ETH/MXN")

    assert [order.order_id for order in orders] == ["B"]


def test_naive_times_are_refused_when_fills_is_called(bitso: Any) -> None:
    """A time without its zone is told at the call, not at the first item."""
    gateway = BitsoGateway(api_key="k", api_secret="s", transport="httpx")

    with pytest.raises(ConfigurationError, match="zone"):
        gateway.fills(since=datetime(2026, 1, 1))


async def test_bridge_names_the_gateway_that_failed(bitso: Any) -> None:
    """An error of `bridge.get` carries the gateway whose answer it is."""
    gateway, _ = bitso(lambda target: refusal("0201"))

    async with OrderBridge(gateway) as bridge:
        with pytest.raises(AuthenticationFailed) as refused:
            await bridge.get("A")

    assert refused.value.gateway == "bitso"


async def test_transport_that_raises_anything_is_no_answer(bitso: Any) -> None:
    """A caller's own transport may fail in any way: the ref is undecided."""

    def broken(target: str) -> tuple[int, Any]:
        raise RuntimeError("socket on fire")

    gateway, _ = bitso(broken)

    result = await gateway.lookup("bitso:A")

    assert result.unreachable["bitso"].kind == "unreachable"


async def test_every_record_has_the_four_names(bitso: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A log format may use gateway, operation, order_id and client_order_id of any record."""
    caplog.set_level(logging.DEBUG)
    gateway, _ = bitso(lambda target: ok(row("A", unfilled_amount="3")))

    await gateway.get("bitso:A")

    names = ("gateway", "operation", "order_id", "client_order_id")
    assert caplog.records
    assert all(name in record.__dict__ for record in caplog.records for name in names)


@pytest.mark.parametrize("limits", ["off", 5, object()])
def test_limits_that_are_none_are_refused(limits: Any) -> None:
    """Limits are "venue", None or a Rate."""
    with pytest.raises(ConfigurationError, match="limits"):
        BitsoGateway(api_key="k", api_secret="s", transport="httpx", limits=limits)


BOOK = {
    "book": "btc_mxn",
    "minimum_amount": ".0000006",
    "maximum_amount": "600",
    "tick_size": "10",
    "fees": {"flat_rate": {"maker": "0.600", "taker": "0.780"}},
}
# One of every type that JSON has, and texts and numbers that are none.
ODD = [None, True, False, 0, -1, 10**30, 1.5, "", "x", "NaN", [], [None], [[]], [{}], {}, {"fees": None}, {"x": [1]}]


def fee(value: Any) -> dict[str, Any]:
    return {"book": "btc_mxn", "maker_fee_decimal": value, "taker_fee_decimal": value}


OPTIONAL: list[tuple[str, Callable[[Any], Any]]] = [
    ("/fees", lambda odd: odd),
    ("/fees", lambda odd: {"fees": odd}),
    ("/fees", lambda odd: {"fees": [odd, {"book": odd}]}),
    ("/fees", lambda odd: {"fees": [fee(odd)]}),
    ("/catalogues", lambda odd: odd),
    ("/catalogues", lambda odd: {"currencies": odd}),
    ("/catalogues", lambda odd: {"currencies": {"metadata": odd}}),
    ("/catalogues", lambda odd: {"currencies": {"metadata": [odd, {"code": odd, "precision": 2}]}}),
    ("/catalogues", lambda odd: {"currencies": {"metadata": [{"code": "btc", "precision": odd}]}}),
    ("/available_books", lambda odd: [odd, BOOK]),
    ("/available_books", lambda odd: [{**BOOK, "fees": odd}]),
    ("/available_books", lambda odd: [{**BOOK, "fees": {"flat_rate": odd}}]),
    ("/available_books", lambda odd: [{**BOOK, "fees": {"flat_rate": {"maker": odd, "taker": odd}}}]),
    # A number above zero is a bound.
    ("/available_books", lambda odd: [{**BOOK, "maximum_value": 0 if odd in (10**30, 1.5) else odd}]),
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(("path", "wrap"), OPTIONAL)
async def test_what_is_optional_may_be_anything(bitso: Any, path: str, wrap: Callable[[Any], Any], odd: Any) -> None:
    """Fees, steps or bounds of any JSON type stop no order, and take no rule of the market's along."""
    plain = {"/available_books": [BOOK], "/fees": {"fees": []}, "/catalogues": {"currencies": {"metadata": []}}}
    answers = {**plain, path: wrap(odd)}

    def answer(target: str) -> tuple[int, Any]:
        payload = {"oid": "A"} if target.endswith("/orders") else answers["/" + target.rpartition("/")[2]]
        return 200, {"success": True, "payload": payload}

    gateway, _ = bitso(answer)
    order = await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="1", price="560000"))
    market = (await gateway.markets())["BTC/MXN"]

    assert order.order_id == "A"
    assert (market.price_tick, market.max_quantity) == (10, 600)


async def test_a_rule_that_cannot_be_read_is_told(bitso: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A bound that is no number bounds nothing, and the log says which it was."""
    gateway, _ = bitso(lambda target: ok({**BOOK, "maximum_value": {}}) if "books" in target else ok())

    market = (await gateway.markets())["BTC/MXN"]

    assert market.max_value is None
    assert "BTC/MXN: its maximum_value is not known" in caplog.text


async def test_rows_of_one_oid_that_differ_in_book_or_side_are_two_orders(bitso: Any) -> None:
    """Neither hides the other or takes its fills: both are found, and which is meant is asked."""
    rows = [row("A"), row("A", book="eth_mxn", unfilled_amount="0"), row("A", side="sell"), row("A")]
    gateway, _ = bitso(lambda target: ok(*rows))

    found = (await gateway.lookup("bitso:A"))["bitso:A"]

    assert [(order.symbol, order.side, str(order.filled_quantity)) for order in found.orders] == [
        ("BTC/MXN", "buy", "1"),
        ("ETH/MXN", "buy", "2"),
        ("BTC/MXN", "sell", "1"),
    ]
    with pytest.raises(AmbiguousRef):
        _ = found.order


async def test_a_list_that_is_read_book_by_book_loses_no_order_to_its_namesake(bitso: Any) -> None:
    """The full page and those of the books overlap; what differs in book is another order all the same."""
    page = [row(f"O{n}") for n in range(499)] + [row("A")]

    def answer(target: str) -> tuple[int, Any]:
        if "available_books" in target:
            return ok({"book": "btc_mxn"}, {"book": "eth_mxn"})
        return (
            ok(row("A", book="eth_mxn")) if "book=eth_mxn" in target else ok(*page[1:] if "book=" in target else page)
        )

    gateway, _ = bitso(answer)

    listed = await gateway.open_orders()

    assert len(listed) == 501
    assert {order.symbol for order in listed if order.order_id == "A"} == {"BTC/MXN", "ETH/MXN"}


async def test_both_sides_of_a_trade_with_oneself_are_told_across_a_page(bitso: Any) -> None:
    """They have one number, and a page may end between them; what two pages show of one is told once."""
    sides = [trade(tid=100, oid="A"), trade(tid=100, oid="B", side="sell")]
    first = [trade(tid=200 - n, oid=f"O{n}") for n in range(99)] + sides[:1]

    gateway, _ = bitso(lambda target: ok(*sides) if "marker" in target else ok(*first))

    fills = [fill async for fill in gateway.fills()]

    assert [fill.order_id for fill in fills[-2:]] == ["A", "B"]
    assert len(fills) == 101


def answered(payload: Any) -> Answer:
    """Bitso with one market, which answers a new order with this."""
    return lambda target: (200, {"success": True, "payload": [BOOK] if "books" in target else payload})


async def test_figures_that_a_new_order_was_not_sent_with_are_anomalies(bitso: Any) -> None:
    """Bitso answers with an id alone; should it say more, the order is as it was asked for all the same."""
    gateway, _ = bitso(answered({"oid": "A", "original_amount": "0.004", "price": "550000", "stop": "x"}))

    order = await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))

    assert (order.quantity, order.price, order.filled_quantity) == (Decimal("0.01"), Decimal(560000), None)
    assert order.anomalies == (
        "price was sent as 560000, and the answer says 550000",
        "quantity was sent as 0.01, and the answer says 0.004",
    )


@pytest.mark.parametrize("wrong", [{"book": "eth_mxn"}, {"side": "sell"}, {"origin_id": "another"}])
async def test_an_answer_about_another_order_is_no_success(bitso: Any, wrong: dict[str, str]) -> None:
    """Nobody knows what became of ours; the one that is shown is named."""
    gateway, _ = bitso(answered({"oid": "A", **wrong}))

    with pytest.raises(OutcomeUnknown, match="shows another") as caught:
        await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))

    assert caught.value.order_id == "A"


@pytest.mark.parametrize("code", ["0379", "0404", "0301", "1001", "0312", "0356", "0206", "0203", "0213"])
@pytest.mark.parametrize("status", [420, 429, 500, 502, 503, 599])
async def test_a_refusal_with_the_status_of_no_answer_is_no_refusal(bitso: Any, status: int, code: str) -> None:
    """A throttled or failed request may be a proxy's word: whether the order was looked at is not known."""
    gateway, transport = bitso(lambda target: refusal(code, status=status) if target.endswith("/orders") else ok(BOOK))

    with pytest.raises(OutcomeUnknown) as caught:
        await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))

    throttled = status < 500
    assert isinstance(caught.value.__cause__, RateLimited) is throttled
    assert [target for target in transport.targets if target.endswith("/orders")] == ["/api/v3/orders"]


@pytest.mark.parametrize("code", ["0801", "0802"])
@pytest.mark.parametrize("status", [200, 400, 420, 503])
async def test_a_throttled_order_is_not_refused(bitso: Any, status: int, code: str) -> None:
    """By its code alone, too: whether the order was looked at before is not known, and the key is locked out."""
    gateway, _ = bitso(lambda target: refusal(code, status=status) if target.endswith("/orders") else ok(BOOK))

    with pytest.raises(OutcomeUnknown) as caught:
        await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))

    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.__cause__.retry_after == 60.0


@pytest.mark.parametrize("status", [200, 400, 403, 404, 409, 419, 421, 428, 430, 499])
async def test_a_refusal_with_any_other_status_is_one(bitso: Any, status: int) -> None:
    """Bitso's statuses do not always follow its codes: the code is what refuses."""
    gateway, _ = bitso(lambda target: refusal("0379", status=status) if target.endswith("/orders") else ok(BOOK))

    with pytest.raises(InsufficientFunds) as caught:
        await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))

    assert (caught.value.code, caught.value.http_status) == ("0379", status)


async def test_an_answer_full_of_empty_rows_ends_the_call_in_its_time(bitso: Any, caplog: Any) -> None:
    """Eight megabytes of `{}` neither hold the loop, nor fill the memory, nor the log."""
    full = b'{"success":true,"payload":[' + b",".join([b"{}"] * 2_700_000) + b"]}"
    gateway, _ = bitso(lambda target: (200, full))
    caplog.set_level(logging.WARNING)

    with pytest.raises(UnexpectedResponse, match="more rows than any sends"):
        await gateway.open_orders(timeout=5)

    assert len(caplog.records) < 10


async def test_rows_that_cannot_be_read_are_told_in_one_line(bitso: Any, caplog: Any) -> None:
    """A log line tells the first and the count, and not a line for each."""
    gateway, _ = bitso(lambda target: ok(*[{"oid": f"bad{number}"} for number in range(400)], row("A")))
    caplog.set_level(logging.WARNING)

    listed = await gateway.open_orders()

    assert (len(listed), len(listed.bad_rows)) == (1, 400)
    (line,) = [record.getMessage() for record in caplog.records if "unusable" in record.getMessage()]
    assert line.startswith("row 0 is unusable: ")
    assert line.endswith(", and 399 more")


@pytest.mark.parametrize(
    "absurd",
    [
        {"major": "1e-99", "minor": "1e99"},
        {"major": "1e100", "minor": "-1e-100"},
        {"major": "9e99", "minor": "9e99"},
        {"price": "1e9999"},
        {"major": [1]},
        {"major": "1e-100", "fees_amount": "1e400"},
        {"oid": {"a": 1}},
        {"book": "\x00_\x00"},
        {"created_at": "9999-12-31T23:59:59-23:59"},
    ],
)
async def test_an_absurd_trade_loses_none_of_its_neighbours(bitso: Any, absurd: dict[str, Any]) -> None:
    """A look-up goes on past trades that no order can be made of, and every other order is found."""

    def answer(target: str) -> tuple[int, Any]:
        if "/order_trades/ODD" in target:
            return ok(trade(**{"oid": "ODDODDODDODDODD1", **absurd}))
        if "/order_trades/" in target:
            return ok(trade(oid="NEXTNEXTNEXTNEX1"))
        if "/open_orders" in target:
            return ok()
        return ok(row("SEENSEENSEENSEE1"))

    gateway, _ = bitso(answer)

    refs = ["bitso:ODDODDODDODDODD1", "bitso:NEXTNEXTNEXTNEX1", "bitso:SEENSEENSEENSEE1"]

    result = await gateway.lookup(*refs)

    assert result["bitso:NEXTNEXTNEXTNEX1"].order is not None
    assert result["bitso:SEENSEENSEENSEE1"].order is not None
    assert "bitso" not in result.unreachable


@pytest.mark.parametrize("code", ["{key}", "0301 {key}", "x" * 7_000_000, {"a": "{key}"}, "\n\x1b[31m"])
@pytest.mark.parametrize("call", ["read", "write"])
async def test_a_code_that_repeats_the_key_or_fills_a_page_is_not_told(bitso: Any, code: Any, call: str) -> None:
    """No error holds a key, wherever the server puts it, nor megabytes of its text."""
    held: list[str] = []

    def answer(target: str) -> tuple[int, Any]:
        said = json.loads(json.dumps(code).replace("{key}", held[0]))
        return 400, {"success": False, "error": {"code": said, "message": f"key {held[0]} " + "x" * 7_000_000}}

    gateway, _ = bitso(answer)
    held.append(gateway._signer.secrets[0])

    request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="1", price="1")
    with pytest.raises(OrderBridgeError) as caught:
        await (gateway.open_orders() if call == "read" else gateway.submit(request))

    chain: BaseException | None = caught.value
    while chain is not None:
        told = f"{chain} {chain!r} {vars(chain)}"
        assert held[0] not in told
        assert len(told) < 5_000
        chain = chain.__cause__


async def test_what_a_cancel_lists_that_is_no_id_goes_nowhere(bitso: Any) -> None:
    """Ids that Bitso could not have issued are in no request and in no order."""
    odd = ["../user/withdraw", "A B", "", "x" * 1_000, "A?b=c", 7, None, {"oid": "A"}]

    def answer(target: str) -> tuple[int, Any]:
        if target.startswith("/api/v3/orders/all"):
            return ok("SEENSEENSEENSEE1", *odd)
        return (
            ok(row("SEENSEENSEENSEE1")) if "open_orders" in target else ok(row("SEENSEENSEENSEE1", status="cancelled"))
        )

    gateway, transport = bitso(answer)

    orders = await gateway.cancel_all()

    assert [order.order_id for order in orders] == ["SEENSEENSEENSEE1"]
    assert not [target for target in transport.targets if "withdraw" in target or "b=c" in target or "xxxx" in target]


async def test_a_cancel_that_lists_only_what_is_no_id_is_unclear(bitso: Any) -> None:
    """Something was done, and to what cannot be told."""
    gateway, _ = bitso(lambda target: ok("../x", 7) if "orders/" in target else ok())

    with pytest.raises(OutcomeUnknown):
        await gateway.cancel("bitso:SEENSEENSEENSEE1")

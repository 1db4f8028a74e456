"""Submitting: what is sent, what the answer becomes, and that it is sent once."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain.mapping import CAPABILITIES
from orderbridge.client_ids import is_ours
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.basics import OrderStatus, TimeInForce
from orderbridge.model.request import OrderRequest
from orderbridge.simulator import Simulator

CREATE = "POST /api/v1/orders"
AGENT = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"
PORTFOLIO = "0d0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"


def limit_buy(**changes: Any) -> OrderRequest:
    given: dict[str, Any] = {"symbol": "BTC/USDT", "side": "buy", "quantity": "0.5", "price": "60000"}
    return OrderRequest.limit(**{**given, **changes})


def sent_body(request: Any) -> dict[str, Any]:
    return json.loads(request.body)


async def test_the_bytes_of_a_limit_order(sim: Simulator, connect: Any) -> None:
    """Mode, exchange and source in the query, amounts as text, a bearer, and nothing that was not asked for."""
    order = await connect().submit(limit_buy(client_order_id="bot-1", quantity="1E-8", price=Decimal("6E4")))

    request = sim.bitcain.last_requests[-1]
    assert (request.method, request.target) == (
        "POST",
        "/api/v1/orders?trading_mode=paper&exchange=binanceus&source=manual",
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {sim.bitcain.token}"
    assert request.body == (
        b'{"symbol":"BTC/USDT","side":"buy","type":"limit","quantity":"0.00000001","price":"60000",'
        b'"time_in_force":"gtc","client_order_id":"bot-1","source":"manual","reduce_only":false,"post_only":false}'
    )
    assert (order.status, order.client_order_id, order.paper) == (OrderStatus.OPEN, "bot-1", True)
    assert order.anomalies == ()


async def test_every_documented_parameter_goes_out(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Source and agent stand in query and body alike; the time is UTC with Z."""
    server.writes = [kit.reply({"success": True, "order": kit.row(1, side="sell", trading_mode="live")})]
    until = datetime(2026, 1, 3, 4, 5, 6, 700, tzinfo=UTC)
    request = OrderRequest.stop_limit(
        symbol="BTC/USDT",
        side="sell",
        quantity="0.5",
        price="50000",
        stop_price="51000.5",
        time_in_force="gtt",
        expires_at=until,
        post_only=True,
        reduce_only=True,
        client_order_id="bot-1",
        options={"portfolio_id": PORTFOLIO, "source": "agent", "agent_id": AGENT, "exchange": "coinbase"},
    )

    await make(trading_mode="live").submit(request)

    assert dict(parse_qsl(urlsplit(server.sent[0].url).query)) == {
        "trading_mode": "live",
        "exchange": "coinbase",
        "source": "agent",
        "agent_id": AGENT,
    }
    assert sent_body(server.sent[0]) == {
        "symbol": "BTC/USDT",
        "side": "sell",
        "type": "stop_limit",
        "quantity": "0.5",
        "price": "50000",
        "portfolio_id": PORTFOLIO,
        "stop_price": "51000.5",
        "time_in_force": "gtt",
        "expires_at": "2026-01-03T04:05:06.000700Z",
        "reduce_only": True,
        "post_only": True,
        "client_order_id": "bot-1",
        "source": "agent",
        "agent_id": AGENT,
    }


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ({}, {}, ("manual", None, None, "binanceus")),
        ({"source": "agent", "agent_id": AGENT}, {}, ("agent", AGENT, None, "binanceus")),
        ({"source": "agent", "agent_id": AGENT}, {"source": "manual"}, ("manual", None, None, "binanceus")),
        ({"agent_id": AGENT}, {"source": "agent"}, ("agent", AGENT, None, "binanceus")),
        ({"portfolio_id": PORTFOLIO}, {"exchange": "kraken"}, ("manual", None, PORTFOLIO, "kraken")),
        ({"portfolio_id": PORTFOLIO}, {"portfolio_id": AGENT.upper()}, ("manual", None, AGENT, "binanceus")),
    ],
)
async def test_options_go_before_the_gateways_settings(
    sim: Simulator, connect: Any, settings: dict[str, Any], options: dict[str, str], expected: tuple[Any, ...]
) -> None:
    """For one order; an agent of the gateway's does not sign for another source."""
    await connect(**settings).submit(limit_buy(options=options))

    request = sim.bitcain.last_requests[-1]
    body, query = sent_body(request), request.parameters()
    assert (body["source"], body.get("agent_id"), body.get("portfolio_id"), query["exchange"]) == expected
    assert (query["source"], query.get("agent_id")) == expected[:2]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"options": {"source": "robot"}}, "source"),
        ({"options": {"source": "agent"}}, "agent_id"),
        ({"options": {"agent_id": "seven"}}, "agent_id"),
        ({"options": {"portfolio_id": "mine"}}, "portfolio_id"),
        ({"options": {"exchange": " "}}, "exchange"),
        ({"symbol": "ABCDEFGHIJK/ABCDEFGHI"}, "symbol"),
        ({"client_order_id": "x" * 65}, "client_order_id"),
        ({"client_order_id": "ä"}, "client_order_id"),
    ],
)
async def test_what_cannot_be_right_is_denied(sim: Simulator, connect: Any, changes: dict[str, Any], rule: str) -> None:
    """OrderDenied with its rule, and nothing is sent."""
    with pytest.raises(errors.OrderDenied) as caught:
        await connect().submit(limit_buy(**changes))

    assert (caught.value.rule, caught.value.gateway, caught.value.operation) == (rule, "bitcain", "submit")
    assert not sim.bitcain.requests


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (limit_buy(options={"leverage": "2"}), "leverage"),
        (limit_buy(options={"agent_id": 5}), "agent_id"),
        (OrderRequest.market(symbol="BTC/USDT", side="buy", quote_quantity="10"), "sized in quote"),
        (OrderRequest.market(symbol="BTC/USDT", side="buy", quantity="1", slippage_tolerance="1"), "slippage"),
        (OrderRequest(symbol="BTC/USDT", side="buy", type="trailing_stop", quantity="1"), "trailing distance"),
        (OrderRequest(symbol="BTC/USDT", side="buy", type="iceberg", quantity="1", price="1"), "visible size"),
        (OrderRequest(symbol="BTC/USDT", side="buy", type="oco", quantity="1", price="1"), "second leg"),
    ],
)
async def test_what_the_api_cannot_say_is_not_supported(
    sim: Simulator, connect: Any, request_: OrderRequest, text: str
) -> None:
    """With the reason, before anything is sent."""
    with pytest.raises(errors.NotSupported, match=text):
        await connect().submit(request_)

    assert not sim.bitcain.requests


SOON = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (OrderRequest.market(symbol="BTC/USDT", side="buy", quantity="0.5"), OrderStatus.FILLED),
        (limit_buy(time_in_force="ioc"), OrderStatus.CANCELLED),
        (limit_buy(time_in_force="fok", price="66000"), OrderStatus.FILLED),
        (limit_buy(time_in_force="gtt", expires_at=SOON), OrderStatus.OPEN),
        (limit_buy(post_only=True, reduce_only=True), OrderStatus.OPEN),
        (
            OrderRequest.stop_loss(symbol="BTC/USDT", side="buy", quantity="1", stop_price="70000"),
            OrderStatus.ACCEPTED,
        ),
        (
            OrderRequest.take_profit(symbol="BTC/USDT", side="buy", quantity="1", stop_price="50000"),
            OrderStatus.ACCEPTED,
        ),
        (
            OrderRequest.stop_limit(symbol="BTC/USDT", side="buy", quantity="1", stop_price="70000", price="70100"),
            OrderStatus.ACCEPTED,
        ),
    ],
)
async def test_every_type_and_life_is_taken(
    sim: Simulator, connect: Any, request_: OrderRequest, status: OrderStatus
) -> None:
    """And shown as the venue shows it, without contradiction."""
    order = await connect().submit(request_)

    assert (order.status, order.anomalies) == (status, ())
    assert (order.type, order.time_in_force) == (request_.type, request_.time_in_force)
    assert (order.expires_at, order.post_only) == (request_.expires_at, request_.post_only)


async def test_an_id_is_minted(sim: Simulator, connect: Any) -> None:
    """Where the caller gives none; it is sent, echoed and ours."""
    order = await connect().submit(limit_buy())

    assert is_ours(order.client_order_id)
    assert sent_body(sim.bitcain.last_requests[-1])["client_order_id"] == order.client_order_id


async def test_the_venues_spelling_is_sent(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The first that `symbols` gives; the answer is read back into ours."""
    server.writes = [kit.reply({"success": True, "order": kit.row(1, symbol="XBTUSDT")})]
    gateway = make(symbols={"XBTUSDT": "BTC/USDT", "BTCUSDT": "BTC/USDT"})

    order = await gateway.submit(limit_buy(client_order_id="bot-1"))

    assert sent_body(server.sent[0])["symbol"] == "XBTUSDT"
    assert (order.symbol, order.anomalies) == ("BTC/USDT", ())


@pytest.mark.parametrize("status", [201, 200, 202])
@pytest.mark.parametrize("envelope", ["success", "bare", "data", "success_data"])
@pytest.mark.parametrize("names", ["canonical", "variants", "camel"])
async def test_every_disguise_of_the_answer_is_read(
    sim: Simulator, connect: Any, status: Any, envelope: Any, names: Any
) -> None:
    """Whatever 2xx, envelope and names."""
    sim.bitcain.settings.create_status = status
    sim.bitcain.settings.envelope = envelope
    sim.bitcain.settings.names = names

    order = await connect().submit(limit_buy(client_order_id="bot-1"))

    assert (order.order_id, order.client_order_id) == (sim.bitcain.accepted()[0].order_id, "bot-1")
    assert (order.status, order.anomalies) == (OrderStatus.OPEN, ())
    assert sum(sim.bitcain.requests.values()) == 1


async def test_paper_and_live_are_kept_apart(sim: Simulator, connect: Any) -> None:
    """Each gateway sends its mode, and spends its own money only."""
    paper = await connect(trading_mode="paper").submit(limit_buy())
    live = await connect(trading_mode="live").submit(limit_buy(quantity="1"))

    assert (paper.paper, live.paper) == (True, False)
    locked = {mode: held["USDT"].locked for mode, held in sim.bitcain.balances.items()}
    assert locked == {"paper": Decimal(30000), "live": Decimal(60000)}


async def test_a_missing_mode_is_the_one_that_was_sent(sim: Simulator, connect: Any) -> None:
    """Flagged, in the answer and whenever the order is seen again; other orders stay of no stated mode."""
    sim.bitcain.settings.show_mode = False
    stranger = sim.bitcain.put()
    gateway = connect()

    order = await gateway.submit(limit_buy())

    assert order.paper is True
    assert "its trading mode is the one it was sent with: the row states none" in order.evidence
    assert (await gateway.get(order.order_id)).paper is True
    assert (await gateway.get(stranger.order_id)).paper is None


@pytest.mark.parametrize("place", ["top", "order", "data", "order_id"])
async def test_an_id_alone_is_read_by_it(server: Any, make: Callable[..., Any], kit: Any, place: str) -> None:
    """An answer that names the order and no more is completed by one read."""
    server.rows = [kit.row(1)]
    answers = {
        "top": {"success": True, "id": kit.uuid(1)},
        "order": {"success": True, "order": {"id": kit.uuid(1)}},
        "data": {"data": {"id": kit.uuid(1), "status": "open"}},
        "order_id": {"success": True, "message": "queued", "order_id": kit.uuid(1)},
    }
    server.writes = [kit.reply(answers[place], 202)]

    order = await make().submit(limit_buy(client_order_id="bot-1"))

    assert (order.order_id, order.status, order.price) == (kit.uuid(1), OrderStatus.OPEN, Decimal(60000))
    assert len(server.sent) == 1


async def test_an_id_alone_that_cannot_be_read_is_accepted(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """As asked for, fills unknown: the venue has it, whatever becomes of the reading."""
    server.writes = [kit.reply({"success": True, "order_id": kit.uuid(1)})]
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [kit.reply(b"busy", 503)]

    order = await make().submit(limit_buy(client_order_id="bot-1", post_only=True))

    assert (order.order_id, order.client_order_id) == (kit.uuid(1), "bot-1")
    assert (order.status, order.filled_quantity, order.paper) == (OrderStatus.ACCEPTED, None, True)
    assert (order.quantity, order.price, order.post_only) == (Decimal("0.5"), Decimal(60000), True)
    assert order.may_be_live


@pytest.mark.parametrize("way", ["order", "order_id"])
async def test_what_was_asked_is_what_an_order_is(
    server: Any, make: Callable[..., Any], kit: Any, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    """Size and price are the request's; another figure in the answer, or in a look at it, is an anomaly and warned."""
    row = kit.row(1, quantity="0.05", price="6000", stop_price="5")
    server.rows = [row]
    server.writes = [kit.reply({"success": True, **({"order": row} if way == "order" else {"order_id": kit.uuid(1)})})]

    with caplog.at_level(logging.WARNING, "orderbridge.bitcain"):
        order = await make().submit(limit_buy(client_order_id="bot-1"))

    assert (order.quantity, order.price, order.stop_price) == (Decimal("0.5"), Decimal(60000), None)
    assert order.raw == row
    assert any(anomaly.startswith("stop_price was not sent") for anomaly in order.anomalies)
    for name in ("quantity", "price"):
        assert any(anomaly.startswith(f"{name} was sent as") for anomaly in order.anomalies)
    assert "quantity was sent as 0.5, and the answer says 0.05" in caplog.text


NOTHING_STATED: dict[str, Any] = {"filled_quantity": None, "remaining_quantity": None}


@pytest.mark.parametrize(
    ("figures", "filled", "status"),
    [
        ({"quantity": "0.2", **NOTHING_STATED, "remaining_quantity": "0.2"}, None, OrderStatus.OPEN),
        ({"quantity": "0.2", **NOTHING_STATED, "remaining_quantity": "0"}, None, OrderStatus.OPEN),
        ({"amount": "0.2", "quantity": None, **NOTHING_STATED, "leavesQty": "0.1"}, None, OrderStatus.OPEN),
        ({"quantity": "0.2", "filled_quantity": "0.2"}, "0.2", OrderStatus.PARTIALLY_FILLED),
        ({"quantity": "0.2", "filled_quantity": "0.2", "status": "closed"}, "0.2", OrderStatus.CANCELLED),
        ({"quantity": "0.9", "filled_quantity": "0.9"}, None, OrderStatus.OPEN),
    ],
)
async def test_only_what_states_fills_is_a_fill(
    server: Any, make: Callable[..., Any], kit: Any, figures: dict[str, Any], filled: str | None, status: OrderStatus
) -> None:
    """A size that was not asked for makes no fills, and never leaves an order with nothing to fill."""
    server.writes = [kit.reply({"success": True, "order": kit.row(1, **figures)})]

    order = await make().submit(limit_buy(client_order_id="bot-1"))

    assert (order.quantity, order.status) == (Decimal("0.5"), status)
    assert order.filled_quantity == (None if filled is None else Decimal(filled))
    assert order.is_done or order.max_remaining == Decimal("0.5") - Decimal(filled or 0)
    assert any(anomaly.startswith("quantity was sent as 0.5, and") for anomaly in order.anomalies)


@pytest.mark.parametrize("way", ["order", "order_id"])
@pytest.mark.parametrize(
    "wrong", [{"client_order_id": "bot-2"}, {"symbol": "ETH/USDT"}, {"side": "sell"}, {"trading_mode": "live"}]
)
async def test_an_answer_about_another_order_is_no_success(
    server: Any, make: Callable[..., Any], kit: Any, wrong: dict[str, str], way: str
) -> None:
    """Nobody knows what became of ours; the one that is shown is named, and not taken for one of ours."""
    row = kit.row(1, **wrong)
    server.rows = [row]
    server.writes = [kit.reply({"success": True, **({"order": row} if way == "order" else {"order_id": kit.uuid(1)})})]
    gateway = make()

    with pytest.raises(errors.OutcomeUnknown, match=kit.uuid(1)) as caught:
        await gateway.submit(limit_buy(client_order_id="bot-1"))

    assert (caught.value.order_id, caught.value.client_order_id) == (kit.uuid(1), "bot-1")
    server.rows = [kit.row(1, trading_mode=None)]
    assert (await gateway.get(kit.uuid(1))).paper is None


@pytest.mark.parametrize(
    ("row", "is_ours"),
    [
        ({"quantity": "x"}, True),
        ({"quantity": "x", "side": None}, True),
        ({"symbol": None, "side": None}, True),
        ({"quantity": "x", "side": "sell"}, False),
        ({"quantity": "x", "symbol": "ETHUSDT"}, False),
        ({"side": "short"}, False),
        ({"symbol": "ETHUSDT"}, False),
    ],
)
async def test_an_answer_that_can_be_read_in_part(
    server: Any, make: Callable[..., Any], kit: Any, row: dict[str, Any], is_ours: bool
) -> None:
    """Sizes that cannot be read are those that were asked for; a symbol or side that cannot be is another order's."""
    server.writes = [kit.reply({"success": True, "order": kit.row(1, **row)})]
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [kit.reply(b"busy", 503)]
    gateway = make()

    if is_ours:
        order = await gateway.submit(limit_buy(client_order_id="bot-1"))
        assert (order.order_id, order.quantity, order.price) == (kit.uuid(1), Decimal("0.5"), Decimal(60000))
        assert (order.status, order.filled_quantity, order.side) == (OrderStatus.ACCEPTED, None, "buy")
    else:
        with pytest.raises(errors.OutcomeUnknown, match="another"):
            await gateway.submit(limit_buy(client_order_id="bot-1"))


async def test_an_id_that_is_not_echoed_is_known_all_the_same(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The order carries the client id it was sent with, flagged."""
    server.writes = [kit.reply({"success": True, "order": kit.row(1, client_order_id=None)})]

    order = await make().submit(limit_buy(client_order_id="mine"))

    assert (order.client_order_id, order.anomalies) == ("mine", ())
    assert "its client order id is the one it was sent with: the answer states none" in order.evidence


@pytest.mark.parametrize(
    "fault",
    ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said", "not_success", "error_5xx", "drop"],
)
async def test_a_lost_answer_is_outcome_unknown(sim: Simulator, connect: Any, fault: str) -> None:
    """No clear answer is no rejection; it names the client id, and exactly one POST was sent."""
    sim.bitcain.fault(fault, operation="place", nth=1)

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await connect().submit(limit_buy(client_order_id="bot-1"))

    assert caught.value.client_order_id == "bot-1"
    assert sim.bitcain.requests[CREATE] == 1
    assert len(sim.bitcain.accepted(client_order_id="bot-1")) == (fault not in {"drop", "error_5xx"})


async def test_a_throttled_order_is_unknown_and_locks_out(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The cause says for how long; until then nothing else is sent."""
    server.writes = [kit.reply({"detail": "Too Many Requests"}, 429, retry_after="7")]
    gateway = make()

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await gateway.submit(limit_buy())
    with pytest.raises(errors.NotSent):
        await gateway.submit(limit_buy(), timeout=0.05)

    assert isinstance(caught.value.__cause__, errors.RateLimited)
    assert caught.value.__cause__.retry_after == 7
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {"success": True, "message": "Order created"},
        {"success": True, "order": {"id": "not-a-uuid", "symbol": "BTC/USDT"}},
        {"success": True, "id": "00000000-0000-4000-8000-000000000001", "order_id": AGENT},
        [],
        {},
        None,
    ],
)
async def test_a_success_without_one_id_is_unknown(
    server: Any, make: Callable[..., Any], kit: Any, payload: Any
) -> None:
    """There is an order, and nobody knows which; nothing is sent again."""
    server.writes = [kit.reply(payload)]

    with pytest.raises(errors.OutcomeUnknown):
        await make().submit(limit_buy())

    assert len(server.requests) == 1


async def test_nothing_sent_is_not_sent(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """What never left may be tried again; what may have left may not."""
    server.writes = [NothingSent("refused"), NoAnswer("reset")]

    with pytest.raises(errors.NotSent):
        await make().submit(limit_buy())
    with pytest.raises(errors.OutcomeUnknown):
        await make().submit(limit_buy())

    assert len(server.sent) == 2


async def test_a_dead_server_is_not_sent(sim: Simulator, connect: Any) -> None:
    """A port that refuses took nothing."""
    await sim.bitcain.stop()

    with pytest.raises(errors.NotSent):
        await connect().submit(limit_buy())


async def test_too_late_is_not_sent(sim: Simulator, connect: Any) -> None:
    """Past `not_after` or without time left nothing leaves, and the permit is given back."""
    gateway = connect()
    permit = await gateway.permit("place")

    with pytest.raises(errors.NotSent):
        await gateway.submit(limit_buy(), permit=permit, not_after=asyncio.get_running_loop().time() - 1)
    with pytest.raises(errors.NotSent):
        await gateway.submit(limit_buy(), timeout=0)

    assert permit.spent
    assert not sim.bitcain.requests


async def test_a_permit_serves_once(sim: Simulator, connect: Any) -> None:
    """A spent one is a mistake of the caller's."""
    gateway = connect()
    permit = await gateway.permit("place")
    await gateway.submit(limit_buy(), permit=permit)

    with pytest.raises(errors.ConfigurationError, match="spent"):
        await gateway.submit(limit_buy(), permit=permit)

    assert sim.bitcain.requests[CREATE] == 1


async def test_a_refused_token_is_renewed_and_the_order_sent_again(sim: Simulator, connect: Any) -> None:
    """A 401 proves that nothing was taken: once more with a newer token, the same client id and bytes."""
    gateway = connect(email=sim.bitcain.email, password=sim.bitcain.password)
    await gateway.submit(limit_buy())
    sim.bitcain.expire_tokens()
    permit = await gateway.permit("place")

    order = await gateway.submit(limit_buy(client_order_id="bot-2"), permit=permit)

    assert sim.bitcain.requests[CREATE] == 3
    first, second = [request for request in sim.bitcain.last_requests if b"bot-2" in request.body]
    assert (first.body, first.target) == (second.body, second.target)
    assert first.headers["authorization"] != second.headers["authorization"]
    assert [each.order_id for each in sim.bitcain.accepted(client_order_id="bot-2")] == [order.order_id]


async def test_a_forbidden_missing_bearer_is_renewed_too(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Older servers answer 403 where 401 is meant."""
    server.writes = [
        kit.reply({"detail": "Not authenticated"}, 403),
        kit.reply({"success": True, "order": kit.row(1)}),
    ]
    tokens = iter(["one", "two"])

    order = await make(token=lambda: next(tokens)).submit(limit_buy(client_order_id="bot-1"))

    assert order.order_id == kit.uuid(1)
    assert [request.headers["authorization"] for request in server.sent] == ["Bearer one", "Bearer two"]


async def test_a_token_refused_twice_is_authentication_failed(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """It is sent twice at most, and once where there is no other token."""
    server.writes = [kit.reply({"detail": "Invalid token"}, 401)]

    with pytest.raises(errors.AuthenticationFailed, match="Invalid token"):
        await make(token=lambda: "same").submit(limit_buy())
    with pytest.raises(errors.AuthenticationFailed):
        await make().submit(limit_buy())

    assert len(server.sent) == 3


async def test_a_401_that_is_no_json_is_not_repeated(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Some proxy's page proves nothing."""
    server.writes = [kit.reply(b"<html>", 401)]

    with pytest.raises(errors.OutcomeUnknown):
        await make(token=lambda: "again").submit(limit_buy())

    assert len(server.sent) == 1


async def test_no_token_in_time_is_not_sent(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A login that gets no answer leaves the order unsent, and the permit is given back."""

    async def never(_: Any) -> Any:
        await asyncio.sleep(60)

    server.answers["/auth/login"] = [never]
    gateway = make(email="bot@example.com", password="secret-password")
    permit = await gateway.permit("place")

    with pytest.raises(errors.NotSent, match="token"):
        await gateway.submit(limit_buy(), permit=permit, timeout=0.05)

    assert permit.spent
    assert not [path for path in server.paths if path.startswith("/api")]
    await gateway.aclose()


async def test_a_renewal_that_fails_after_a_refusal_is_not_sent(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """The venue did nothing with the refused order, so it may be tried again."""
    server.writes = [kit.reply({"detail": "Token expired"}, 401)]
    server.answers["/auth/refresh"] = [kit.reply(b"", 503)]
    gateway = make(token="old-token", refresh_token="refresh-1")

    with pytest.raises(errors.NotSent, match="nothing was done"):
        await gateway.submit(limit_buy())

    assert len(server.sent) == 1


@pytest.mark.parametrize(("switch", "count"), [("allowed", 2), ("first", 1)])
async def test_a_client_id_that_is_used_again(sim: Simulator, connect: Any, switch: Any, count: int) -> None:
    """Bitcain promises nothing: a second order, or the first one's row, which contradicts the request."""
    sim.bitcain.settings.duplicate_client_order_id = switch
    gateway = connect()
    first = await gateway.submit(limit_buy(client_order_id="bot-1"))

    second = await gateway.submit(limit_buy(client_order_id="bot-1", quantity="0.7"))

    assert (second.order_id == first.order_id) is (switch == "first")
    assert bool(second.anomalies) is (switch == "first")
    assert len(sim.bitcain.accepted(client_order_id="bot-1")) == count


async def test_a_client_id_that_is_refused(sim: Simulator, connect: Any) -> None:
    """A 409 may mean that the order exists, so it is no rejection."""
    sim.bitcain.settings.duplicate_client_order_id = "409"
    gateway = connect()
    await gateway.submit(limit_buy(client_order_id="bot-1"))

    with pytest.raises(errors.OutcomeUnknown, match="409") as caught:
        await gateway.submit(limit_buy(client_order_id="bot-1"))

    assert caught.value.client_order_id == "bot-1"


@pytest.mark.parametrize(("status", "kind"), [(400, errors.OrderRejected), (402, errors.InsufficientFunds)])
async def test_lack_of_funds(sim: Simulator, connect: Any, status: Any, kind: type[Exception]) -> None:
    """A plain rejection where the status does not tell, and its own class where it does."""
    sim.bitcain.settings.funds_status = status

    with pytest.raises(errors.OrderRejected, match="Insufficient funds") as caught:
        await connect().submit(limit_buy(quantity="1000000000"))

    assert type(caught.value) is kind
    assert not sim.bitcain.accepted()


@pytest.mark.parametrize(("routing", "status"), [("fails", OrderStatus.FAILED), ("rejects", OrderStatus.REJECTED)])
async def test_an_order_that_ends_at_once_is_returned(
    sim: Simulator, connect: Any, routing: Any, status: OrderStatus
) -> None:
    """A 2xx is an order, with its end and its reason; it is no error."""
    sim.bitcain.settings.routing = routing

    order = await connect().submit(limit_buy())

    assert order.status is status
    assert order.reason


async def test_a_write_is_logged_without_secrets(
    sim: Simulator, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at INFO that says which order, and no token anywhere."""
    with caplog.at_level(logging.DEBUG, "orderbridge.bitcain"):
        await connect().submit(limit_buy(client_order_id="bot-1"))

    (record,) = [record for record in caplog.records if record.levelno == logging.INFO]
    assert (record.gateway, record.operation, record.client_order_id) == ("bitcain", "submit", "bot-1")
    assert sim.bitcain.token not in caplog.text


async def test_a_cancelled_task_has_sent_at_most_once(sim: Simulator, connect: Any) -> None:
    """Whoever gives up waiting does not make it go out twice."""
    sim.bitcain.fault("delay", operation="place", seconds=0.2)
    task = asyncio.create_task(connect().submit(limit_buy(client_order_id="bot-1")))
    await asyncio.sleep(0.1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(sim.bitcain.accepted(client_order_id="bot-1")) == 1


async def test_the_time_ends_after_sending(sim: Simulator, connect: Any) -> None:
    """Then the outcome is not known."""
    sim.bitcain.fault("delay", operation="place", seconds=1)

    with pytest.raises(errors.OutcomeUnknown):
        await connect().submit(limit_buy(), timeout=0.1)

    assert sim.bitcain.requests[CREATE] == 1


def test_lives_are_declared() -> None:
    """All four of the documented times in force, for orders at market too."""
    assert set(TimeInForce) == CAPABILITIES.times_in_force
    assert CAPABILITIES.market_lifetimes

"""Submitting to the simulated Bitso: what is sent, and what each answer means."""

import asyncio
import itertools
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import OrderRequest, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.adapters.bitso.codes import CODES
from orderbridge.client_ids import is_ours
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    MarketClosed,
    NotAdmitted,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    TooManyOpenOrders,
)
from orderbridge.http import WireRequest, WireResponse
from orderbridge.simulator import Simulator
from orderbridge.venue.meanings import Meaning

PLACE = "POST /api/v3/orders"
BOOKS = "GET /api/v3/available_books"
_keys = itertools.count()


def limit_buy(**changes: Any) -> OrderRequest:
    return OrderRequest(
        **{"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "560000", **changes}
    )


class Canned:
    """A transport that answers every request alike, and counts them."""

    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.requests: list[WireRequest] = []

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.requests.append(request)
        return WireResponse(self.status, {}, self.body)

    async def aclose(self) -> None:
        """There is nothing to close."""


def canned(status: int, body: object) -> tuple[BitsoGateway, Canned]:
    transport = Canned(status, body)
    # A key of its own: a lock-out holds for every gateway of a key.
    key = f"key-{next(_keys)}"
    return BitsoGateway(api_key=key, api_secret="s", transport=transport, markets=None, limits=None), transport


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (
            limit_buy(),
            {"type": "limit", "side": "buy", "major": "0.01", "price": "560000", "time_in_force": "goodtillcancelled"},
        ),
        (
            limit_buy(time_in_force="ioc"),
            {"type": "limit", "side": "buy", "major": "0.01", "price": "560000", "time_in_force": "immediateorcancel"},
        ),
        (
            limit_buy(time_in_force="fok"),
            {"type": "limit", "side": "buy", "major": "0.01", "price": "560000", "time_in_force": "fillorkill"},
        ),
        (
            limit_buy(post_only=True),
            {"type": "limit", "side": "buy", "major": "0.01", "price": "560000", "time_in_force": "postonly"},
        ),
        (
            OrderRequest.market(symbol="BTC/MXN", side="sell", quantity="0.001", slippage_tolerance="0.5"),
            {"type": "market", "side": "sell", "major": "0.001", "slippage_tolerance": "0.5"},
        ),
        (
            OrderRequest.market(symbol="BTC/MXN", side="buy", quote_quantity=500),
            {"type": "market", "side": "buy", "minor": "500"},
        ),
        (
            OrderRequest.stop_loss(symbol="BTC/MXN", side="sell", quantity="0.001", stop_price="1000000"),
            {"type": "market", "side": "sell", "major": "0.001", "stop": "1000000"},
        ),
        (
            OrderRequest.stop_limit(
                symbol="BTC/MXN", side="sell", quantity="0.01", price="990000", stop_price="1000000"
            ),
            {
                "type": "limit",
                "side": "sell",
                "major": "0.01",
                "price": "990000",
                "stop": "1000000",
                "time_in_force": "goodtillcancelled",
            },
        ),
    ],
)
async def test_every_kind_of_order_goes_out_as_documented(
    sim: Simulator, request_: OrderRequest, body: dict[str, str]
) -> None:
    """The body holds the documented fields and no other, amounts as plain text, and our client id."""
    async with sim.bitso.gateway(markets=None) as gateway:
        order = await gateway.submit(request_)

    (sent,) = [request for request in sim.bitso.last_requests if request.method == "POST"]
    assert sent.target == "/api/v3/orders"
    assert json.loads(sent.body) == {"book": "btc_mxn", **body, "origin_id": order.client_order_id}
    assert is_ours(order.client_order_id)
    assert (order.status, order.filled_quantity) == (OrderStatus.ACCEPTED, None)
    assert (order.symbol, order.side, order.type) == ("BTC/MXN", request_.side, request_.type)
    assert (order.quantity, order.quote_quantity) == (request_.quantity, request_.quote_quantity)
    (accepted,) = sim.bitso.accepted(client_order_id=order.client_order_id)
    assert accepted.order_id == order.order_id


async def test_tiny_amounts_are_written_plain(sim: Simulator) -> None:
    """No exponent leaves this machine."""
    async with sim.bitso.gateway(markets=None) as gateway:
        with pytest.raises(OrderRejected):
            await gateway.submit(limit_buy(quantity="1E-8"))

    assert json.loads(sim.bitso.last_requests[-1].body)["major"] == "0.00000001"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"time_in_force": "gtt", "expires_at": "2030-01-01T00:00:00Z"}, NotSupported),
        ({"reduce_only": True}, NotSupported),
        ({"options": {"leverage": 3}}, NotSupported),
        ({"options": {"major": "5"}}, NotSupported),
        ({"type": "take_profit", "stop_price": "700000"}, NotSupported),
        ({"type": "iceberg"}, NotSupported),
        ({"client_order_id": "with.dot"}, OrderDenied),
        ({"client_order_id": "x" * 41}, OrderDenied),
        ({"symbol": "NO/SUCH"}, OrderDenied),
        ({"price": "560001"}, OrderDenied),
        ({"quantity": "0.000000001"}, OrderDenied),
        ({"quantity": "601"}, OrderDenied),
        ({"price": "99990"}, OrderDenied),
        ({"quantity": "0.00001"}, OrderDenied),
    ],
)
async def test_what_bitso_would_not_take_is_refused_before_sending(
    sim: Simulator, changes: dict[str, Any], error: type[OrderBridgeError]
) -> None:
    """What is not declared, or breaks a rule of the market, never leaves."""
    async with sim.bitso.gateway() as gateway:
        with pytest.raises(error):
            await gateway.submit(limit_buy(**changes))

    assert sim.bitso.requests[PLACE] == 0


async def test_price_off_the_tick_names_the_nearest_two(sim: Simulator) -> None:
    """The refusal carries the legal prices on either side."""
    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OrderDenied) as denied:
            await gateway.submit(limit_buy(price="560004"))

    assert denied.value.rule == "price_tick"
    assert denied.value.nearest == (Decimal(560000), Decimal(560010))


async def test_markets_cost_the_hot_path_nothing(sim: Simulator) -> None:
    """Rules are loaded once, on first need; the orders after that cost one request each."""
    async with sim.bitso.gateway() as gateway:
        await asyncio.gather(*[gateway.submit(limit_buy()) for _ in range(5)])
        before = sum(sim.bitso.requests.values())
        await gateway.submit(limit_buy())

    assert sim.bitso.requests[BOOKS] == 1
    assert sum(sim.bitso.requests.values()) == before + 1


async def test_rules_that_bitso_has_changed_are_loaded_anew(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal by a rule of the market loads the rules again beside the orders; meanwhile the old ones hold."""
    monkeypatch.setattr("orderbridge.venue.markets._LEAST_AGE", 0.0)
    market = sim.bitso.engine.market("btc_mxn")
    known = market.instrument

    async with sim.bitso.gateway() as gateway:
        await gateway.submit(limit_buy())
        market.instrument = sim.bitso.engine.instruments["btc_mxn"] = replace(
            known, amounts=(Decimal("0.5"), Decimal(5000))
        )
        with pytest.raises(InvalidOrder):
            await gateway.submit(limit_buy())
        for _ in range(100):
            await asyncio.sleep(0.01)
            if (await gateway.markets())["BTC/MXN"].min_quantity == Decimal("0.5"):
                break
        with pytest.raises(OrderDenied):
            await gateway.submit(limit_buy())

    assert sim.bitso.requests[BOOKS] == 2


async def test_refusals_in_a_row_load_the_rules_once(sim: Simulator) -> None:
    """Rules that are fresh are not loaded again for every refusal: that would use up the public lane."""
    async with sim.bitso.gateway(limits="venue") as gateway:
        await gateway.submit(limit_buy())
        sim.bitso.engine.instruments["btc_mxn"] = replace(
            sim.bitso.engine.instruments["btc_mxn"], amounts=(Decimal("0.5"), Decimal(5000))
        )
        sim.bitso.engine.market("btc_mxn").instrument = sim.bitso.engine.instruments["btc_mxn"]
        for _ in range(5):
            with pytest.raises(InvalidOrder):
                await gateway.submit(limit_buy())

    assert sim.bitso.requests[BOOKS] == 1


async def test_old_rules_are_read_again_before_they_refuse(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that Bitso has relaxed since refuses nothing: before old rules deny an order they are loaded anew."""
    market = sim.bitso.engine.market("btc_mxn")
    market.instrument = sim.bitso.engine.instruments["btc_mxn"] = replace(
        market.instrument, amounts=(Decimal("0.5"), Decimal(5000))
    )
    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OrderDenied):
            await gateway.submit(limit_buy())
        market.instrument = sim.bitso.engine.instruments["btc_mxn"] = replace(
            market.instrument, amounts=(Decimal("0.001"), Decimal(5000))
        )
        monkeypatch.setattr("orderbridge.venue.markets._OLD", 0.0)
        order = await gateway.submit(limit_buy())

    assert order.status is OrderStatus.ACCEPTED


async def test_a_market_that_is_listed_later_is_found(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a symbol is refused as unknown the markets are loaded anew, but not for each order of that symbol."""
    listed = sim.bitso.engine.instruments.pop("eth_mxn")
    order = OrderRequest.limit(symbol="ETH/MXN", side="buy", quantity="0.1", price="30000")

    async with sim.bitso.gateway() as gateway:
        for _ in range(3):
            with pytest.raises(OrderDenied):
                await gateway.submit(order)
        asked = sim.bitso.requests[BOOKS]
        sim.bitso.engine.instruments["eth_mxn"] = listed
        monkeypatch.setattr("orderbridge.venue.markets._LEAST_AGE", 0.0)
        placed = await gateway.submit(order)

    assert placed.status is OrderStatus.ACCEPTED
    assert (asked, sim.bitso.requests[BOOKS]) == (1, 2)


async def test_stale_rules_are_loaded_beside_their_use(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour after their load the markets are answered from memory, and loaded once for all accounts meanwhile."""
    known = sim.bitso.engine.market("btc_mxn").instrument

    async with sim.bitso.gateway() as gateway, sim.bitso.gateway(account="other") as other:
        first = await gateway.markets()
        await other.markets()
        sim.bitso.engine.instruments["btc_mxn"] = replace(known, amounts=(Decimal("0.5"), Decimal(5000)))
        monkeypatch.setattr("orderbridge.venue.markets._LEAST_AGE", 0.0)
        monkeypatch.setattr("orderbridge.venue.markets._STALE", 0.0)
        stale = await gateway.markets()
        monkeypatch.setattr("orderbridge.venue.markets._STALE", 3600.0)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if (await other.markets())["BTC/MXN"].min_quantity == Decimal("0.5"):
                break
        renewed = await gateway.markets()

    assert stale["BTC/MXN"] == first["BTC/MXN"]
    assert renewed["BTC/MXN"].min_quantity == Decimal("0.5")
    assert sim.bitso.requests[BOOKS] == 2


async def test_unreachable_rules_keep_the_order_from_leaving(sim: Simulator) -> None:
    """Without its rules an order is not sent, and the error says that nothing was."""
    sim.bitso.fault("drop", operation="books")

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(NotSent):
            await gateway.submit(limit_buy(), timeout=0.3)

    assert sim.bitso.requests[PLACE] == 0


@pytest.mark.parametrize("fault", ["drop", "accept_then_drop", "cut", "html", "empty", "nothing_said", "error_5xx"])
@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_lost_answer_is_outcome_unknown_and_sent_once(sim: Simulator, fault: str, engine: str) -> None:
    """Whatever is no clear answer leaves the outcome unknown, carries the client id, and is not sent again."""
    sim.bitso.fault(fault, operation="place")

    async with sim.bitso.gateway(transport=engine) as gateway:
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.submit(limit_buy(client_order_id="ob-lost"))

    assert unknown.value.client_order_id == "ob-lost"
    assert sim.bitso.requests[PLACE] == 1
    assert len(sim.bitso.accepted(client_order_id="ob-lost")) == (0 if fault in ("drop", "error_5xx") else 1)


async def test_slow_answer_is_outcome_unknown_when_the_time_is_up(sim: Simulator) -> None:
    """A time limit that ends after the send is no rejection."""
    sim.bitso.fault("delay", operation="place", seconds=5)

    async with sim.bitso.gateway(markets=None) as gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.submit(limit_buy(), timeout=0.2)

    assert sim.bitso.requests[PLACE] == 1


async def test_dead_venue_is_not_sent(sim: Simulator) -> None:
    """A refused connection proves that nothing left."""
    async with sim.bitso.gateway(markets=None) as gateway:
        await sim.bitso.stop()
        with pytest.raises(NotSent):
            await gateway.submit(limit_buy())


async def test_refused_nonce_is_sent_once_more_with_a_fresh_one(sim: Simulator) -> None:
    """0207 precedes admission: the same order goes out again once, and then it is an error."""
    sim.bitso.fault("wrong_nonce", operation="place", times=1)

    async with sim.bitso.gateway() as gateway:
        order = await gateway.submit(limit_buy())
        sim.bitso.clear_faults()
        sim.bitso.fault("wrong_nonce", operation="place")
        with pytest.raises(AuthenticationFailed):
            await gateway.submit(limit_buy())

    first, second, *_ = [request for request in sim.bitso.last_requests if request.method == "POST"]
    assert first.body == second.body
    assert first.headers["authorization"] != second.headers["authorization"]
    assert sim.bitso.requests[PLACE] == 4
    assert len(sim.bitso.accepted()) == 1
    assert order.status is OrderStatus.ACCEPTED


async def test_duplicate_client_id_is_no_rejection(sim: Simulator) -> None:
    """0356 proves that an active order has the id."""
    async with sim.bitso.gateway() as gateway:
        await gateway.submit(limit_buy(client_order_id="ob-1"))
        with pytest.raises(DuplicateClientOrderId) as duplicate:
            await gateway.submit(limit_buy(client_order_id="ob-1"))

    assert duplicate.value.client_order_id == "ob-1"
    assert not isinstance(duplicate.value, OrderRejected)


async def test_lack_of_funds_is_told_apart(sim: Simulator) -> None:
    """0379 is InsufficientFunds, and nothing is on the book."""
    async with sim.bitso.gateway() as gateway:
        for _ in range(5):
            await gateway.submit(limit_buy(quantity="350", price="570000"))
        with pytest.raises(InsufficientFunds) as refused:
            await gateway.submit(limit_buy(quantity="350", price="570000"))

    assert refused.value.code == "0379"
    assert len(sim.bitso.accepted()) == 5


async def test_throttled_submit_is_unknown_and_locks_the_lanes(sim: Simulator) -> None:
    """A 420 may have come before or after admission: unknown, with RateLimited as its cause."""
    sim.bitso.fault("throttle", operation="place", times=1)

    async with sim.bitso.gateway(markets=None) as gateway:
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.submit(limit_buy())
        with pytest.raises(NotSent):
            await gateway.submit(limit_buy(), timeout=0.1)
        await gateway.permit("cancel", timeout=0.1)

    assert isinstance(unknown.value.__cause__, RateLimited)
    assert (unknown.value.__cause__.retry_after or 0) > 0
    assert sim.bitso.requests[PLACE] == 1


EXPECTED = {
    Meaning.CREDENTIALS: AuthenticationFailed,
    Meaning.NOT_ADMITTED: NotAdmitted,
    Meaning.PERMISSION: PermissionDenied,
    Meaning.FUNDS: InsufficientFunds,
    Meaning.INVALID: InvalidOrder,
    Meaning.RULE: InvalidOrder,
    Meaning.CLOSED: MarketClosed,
    Meaning.TOO_MANY: TooManyOpenOrders,
    Meaning.REFUSED: OrderRejected,
    Meaning.NOT_READY: OrderRejected,
    Meaning.NO_TRADES: OrderRejected,
    Meaning.EXISTS: DuplicateClientOrderId,
    Meaning.NOT_FOUND: OrderRejected,
    Meaning.THROTTLED: OutcomeUnknown,
    Meaning.UNCLEAR: OutcomeUnknown,
}


@pytest.mark.parametrize(("code", "meaning"), sorted(CODES.both.items()))
async def test_each_code_on_submit(code: str, meaning: Meaning) -> None:
    """Each documented code is refused, taken, throttled or unclear, as the table says, and sent but once."""
    status = {"08": 420}.get(code[:2], 400)
    gateway, transport = canned(status, {"success": False, "error": {"code": code, "message": "m"}})

    expected = EXPECTED[meaning]
    async with gateway:
        with pytest.raises(expected) as raised:
            await gateway.submit(limit_buy())

    assert type(raised.value) is expected
    assert len(transport.requests) == (2 if meaning is Meaning.NOT_ADMITTED else 1)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"success": True, "payload": {}}),
        (200, {"success": True, "payload": None}),
        (200, {"success": True, "payload": {"oid": ""}}),
        (200, {"success": True, "payload": {"oid": 7}}),
        (200, {"success": True, "payload": ["x"]}),
        (200, {"success": False}),
        (200, {"success": False, "error": {"code": "9999", "message": "?"}}),
        (200, {"oid": "x"}),
        (200, []),
        (200, b"null"),
        (400, {"success": False, "error": {"message": "no code"}}),
        (503, {"success": False, "error": {"code": "0379", "message": "from a proxy?"}}),
        (502, b"<html></html>"),
        (404, b"<html></html>"),
        (301, b""),
        (201, {"success": "maybe"}),
    ],
)
async def test_answer_that_is_not_clear_is_unknown(status: int, body: object) -> None:
    """Only a clear answer is a success or a rejection."""
    gateway, transport = canned(status, body)

    async with gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.submit(limit_buy())

    assert len(transport.requests) == 1


async def test_permit_is_spent_or_given_back(sim: Simulator) -> None:
    """A permit serves one submit; past `not_after` nothing is sent and the slot is returned."""
    loop = asyncio.get_running_loop()
    async with sim.bitso.gateway(markets=None) as gateway, sim.bitso.gateway(account="other") as other:
        permit = await gateway.permit("place")
        with pytest.raises(NotSent):
            await gateway.submit(limit_buy(), permit=permit, not_after=loop.time() - 1)
        with pytest.raises(ConfigurationError):
            await gateway.submit(limit_buy(), permit=permit)
        with pytest.raises(ConfigurationError):
            await gateway.submit(limit_buy(), permit=await other.permit("place"))
        await gateway.submit(limit_buy(), permit=await gateway.permit("place"))

    assert sim.bitso.requests[PLACE] == 1


async def test_permit_of_another_lane_or_key_is_refused(sim: Simulator) -> None:
    """A cancel permit, which never waits, is no way around the pace; nor is one of another key."""
    async with sim.bitso.gateway(markets=None) as gateway, sim.bitso.gateway(api_key="another") as other:
        for permit in (await gateway.permit("cancel"), await other.permit("place")):
            with pytest.raises(ConfigurationError):
                await gateway.submit(limit_buy(), permit=permit)

    assert sim.bitso.requests[PLACE] == 0


async def test_lock_out_after_the_permit_keeps_the_order_here(sim: Simulator) -> None:
    """A permit that was granted before a lock-out is given back, and nothing is sent into it."""
    sim.bitso.fault("throttle", operation="lookup", times=1)

    async with sim.bitso.gateway(markets=None) as gateway:
        permit = await gateway.permit("place")
        await gateway.lookup("bitso:x1", timeout=0.5)
        with pytest.raises(NotSent, match="locked"):
            await gateway.submit(limit_buy(), permit=permit)

    assert sim.bitso.requests[PLACE] == 0


async def test_error_that_echoes_the_key_is_cleaned() -> None:
    """What the venue writes into an error of a write is shown without secrets, and short."""
    gateway, transport = canned(
        400, {"success": False, "error": {"code": "0201", "message": "SECRETKEY " + "x" * 9999}}
    )
    gateway_with_key = BitsoGateway(api_key="SECRETKEY", api_secret="s", transport=transport, markets=None, limits=None)

    async with gateway_with_key:
        with pytest.raises(AuthenticationFailed) as refused:
            await gateway_with_key.submit(limit_buy())
    await gateway.aclose()

    assert "SECRETKEY" not in str(refused.value)
    assert len(str(refused.value)) < 1000

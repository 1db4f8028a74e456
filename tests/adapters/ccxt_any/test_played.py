"""Binance, Kraken and Coinbase: exchanges of different habits, played from cassettes with all sockets blocked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import pytest_socket

from orderbridge import OrderRequest, OrderStatus
from orderbridge.errors import (
    InsufficientFunds,
    InvalidOrder,
    NotSent,
    NotSupported,
    OrderDenied,
    OutcomeUnknown,
    RateLimited,
    UnexpectedResponse,
)
from orderbridge.model.basics import Idempotency, OrderType, TimeInForce
from tests.adapters.ccxt_any.played import gateway, player

pytestmark = [pytest.mark.ccxt, pytest.mark.cassette]


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Blocks every socket but the event loop's own pair."""
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@contextmanager
def played(name: str) -> Iterator[None]:
    """The cassette of this name, which must be used up whole."""
    with player().use_cassette(name) as cassette:
        yield
    assert cassette.all_played


def buy(symbol: str, **changes: Any) -> OrderRequest:
    plain = {"symbol": symbol, "side": "buy", "type": "limit", "quantity": "0.01", "price": "40000"}
    return OrderRequest(**{**plain, **changes})


async def test_binance_limit_order_from_placing_to_its_cancel() -> None:
    """Integer ids, a symbol with every look-up, and a client id that finds its order: all through one gateway."""
    with played("ccxt.binance/orders__limit_and_cancel.yaml"):
        async with gateway("binance") as binance:
            placed = await binance.submit(buy("BTC/USDT", client_order_id="my-order-1"))
            found = await binance.get(placed)
            by_client = await binance.get("ccxt.binance:client:my-order-1")
            (opened,) = await binance.open_orders()
            ended = await binance.cancel(placed)

    assert (placed.order_id, placed.client_order_id, placed.status) == ("28457", "my-order-1", OrderStatus.OPEN)
    assert (placed.quantity, placed.filled_quantity, placed.price) == (Decimal("0.01"), Decimal(0), Decimal(40000))
    assert (found.status, found.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.004"))
    assert found.filled_quote_quantity == Decimal("159.96")
    assert found.average_price is None, "ccxt's quotient of the two is no field of Binance"
    assert (
        by_client
        == opened.model_copy(update={"evidence": by_client.evidence})
        == found.model_copy(update={"evidence": by_client.evidence})
    )
    assert (ended.status, ended.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))


async def test_binance_market_order_says_its_fills_and_no_invented_lifetime() -> None:
    """A market order sized in quote goes out as quoteOrderQty; the answer's figures are the exchange's own."""
    request = OrderRequest.market(symbol="BTC/USDT", side="buy", quote_quantity="100")

    with played("ccxt.binance/submit__market_by_quote.yaml"):
        async with gateway("binance") as binance:
            order = await binance.submit(request.model_copy(update={"client_order_id": "my-order-2"}))

    assert (order.status, order.type, order.price) == (OrderStatus.FILLED, OrderType.MARKET, None)
    assert (order.filled_quantity, order.filled_quote_quantity) == (Decimal("0.0025"), Decimal("99.98"))
    assert order.time_in_force is TimeInForce.GTC, "Binance's own word, and not ccxt's IOC"


@pytest.mark.parametrize(
    ("cassette", "kind"),
    [
        ("ccxt.binance/submit__no_funds.yaml", InsufficientFunds),
        ("ccxt.binance/submit__server_error.yaml", OutcomeUnknown),
        ("ccxt.binance/submit__banned.yaml", NotSent),
        ("ccxt.binance/submit__no_id.yaml", OutcomeUnknown),
        ("ccxt.binance/submit__other_client_id.yaml", OutcomeUnknown),
    ],
)
async def test_binance_refused_or_unclear(cassette: str, kind: type[Exception]) -> None:
    """A lack of funds is a refusal; a ban came to nothing; a 5xx, no id or another order are unclear."""
    with played(cassette):
        async with gateway("binance") as binance:
            with pytest.raises(kind) as raised:
                await binance.submit(buy("BTC/USDT", client_order_id="my-order-3"))

    if cassette.endswith("banned.yaml"):
        assert isinstance(raised.value.__cause__, RateLimited)
        assert raised.value.__cause__.retry_after == 30.0
    if cassette.endswith("other_client_id.yaml"):
        assert isinstance(raised.value, OutcomeUnknown)
        assert raised.value.order_id == "28459"


async def test_binance_without_a_symbol_searches_open_orders_and_says_what_it_cannot_ask() -> None:
    """An id whose symbol nobody told is looked for among open orders; beyond them it is cannot_ask, not unseen."""
    with played("ccxt.binance/lookup__without_symbol.yaml"):
        async with gateway("binance") as binance:
            result = await binance.lookup("ccxt.binance:28457", "ccxt.binance:99999")

    found, missing = result["ccxt.binance:28457"], result["ccxt.binance:99999"]
    assert found.order is not None
    assert missing.answers == {"ccxt.binance": "cannot_ask"}
    assert "symbol" in missing.notes[0]


async def test_binance_lists_that_may_go_on_are_no_lists() -> None:
    """Fills need a symbol; a page as long as the limit is an error and no part of a list."""
    async with gateway("binance") as binance:
        with pytest.raises(NotSupported):
            binance.fills()
        assert binance.capabilities.idempotency is Idempotency.TAG_ONLY


async def test_kraken_limit_order_from_placing_to_its_cancel() -> None:
    """An answer with a description and a list of ids; look-ups without a symbol; a client id among open orders."""
    with played("ccxt.kraken/orders__limit_and_cancel.yaml"):
        async with gateway("kraken") as kraken:
            placed = await kraken.submit(buy("BTC/USD", client_order_id="myorder1", time_in_force="ioc"))
            part = await kraken.get(placed)
            by_client = (await kraken.lookup("ccxt.kraken:client:nobodysorder")).found[0]
            ended = await kraken.cancel(placed)

    assert (placed.order_id, placed.client_order_id) == ("OUF4EM-FRGI2-MQMWZD", "myorder1")
    assert (placed.status, placed.quantity, placed.filled_quantity) == (
        OrderStatus.ACCEPTED,
        Decimal("0.01"),
        None,
    )
    assert (part.status, part.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.004"))
    assert (part.average_price, part.filled_quote_quantity) == (Decimal(39990), Decimal("159.96000"))
    assert by_client.answers == {"ccxt.kraken": "partly_searched"}
    assert (ended.status, ended.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))


@pytest.mark.parametrize(
    ("cassette", "kind"),
    [
        ("ccxt.kraken/submit__no_funds.yaml", InsufficientFunds),
        ("ccxt.kraken/submit__rate_limit.yaml", OutcomeUnknown),
        ("ccxt.kraken/submit__service_unavailable.yaml", OutcomeUnknown),
        ("ccxt.kraken/submit__validated_only.yaml", OutcomeUnknown),
    ],
)
async def test_kraken_refused_or_unclear(cassette: str, kind: type[Exception]) -> None:
    """Kraken answers errors with status 200: each by its own text's class, and one without an id is unknown."""
    with played(cassette):
        async with gateway("kraken") as kraken:
            with pytest.raises(kind):
                await kraken.submit(buy("BTC/USD", client_order_id="myorder2"))


async def test_coinbase_limit_order_from_placing_to_its_cancel() -> None:
    """Nested answers, its required client id, and a list that says whether it goes on."""
    with played("ccxt.coinbase/orders__limit_and_cancel.yaml"):
        async with gateway("coinbase") as coinbase:
            placed = await coinbase.submit(buy("BTC/USD", client_order_id="my-order-1", post_only=True))
            found = await coinbase.get(placed)
            (opened,) = await coinbase.open_orders()
            with pytest.raises(UnexpectedResponse):
                await coinbase.open_orders()
            ended = await coinbase.cancel(placed)

    assert (placed.order_id, placed.client_order_id) == ("11111111-0000-4000-8000-000000000000", "my-order-1")
    assert placed.status is OrderStatus.ACCEPTED
    assert (found.status, found.quantity, found.price) == (OrderStatus.OPEN, Decimal("0.01"), Decimal(40000))
    assert found.post_only is True
    assert opened.order_id == found.order_id
    assert ended.status is OrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("cassette", "kind"),
    [
        ("ccxt.coinbase/submit__no_funds.yaml", InsufficientFunds),
        ("ccxt.coinbase/submit__bad_configuration.yaml", InvalidOrder),
        ("ccxt.coinbase/submit__unknown_failure.yaml", OutcomeUnknown),
    ],
)
async def test_coinbase_refuses_inside_good_answers(cassette: str, kind: type[Exception]) -> None:
    """`success: false` with a reason that is known is a refusal; a failure that Coinbase cannot name is unclear."""
    with played(cassette):
        async with gateway("coinbase") as coinbase:
            with pytest.raises(kind):
                await coinbase.submit(buy("BTC/USD", client_order_id="my-order-2"))


async def test_coinbase_sizes_a_market_buy_in_quote_only() -> None:
    """What ccxt would take for a cost, or ask the ticker about, is refused before sending."""
    async with gateway("coinbase") as coinbase:
        with pytest.raises(NotSupported, match="quote_quantity"):
            await coinbase.submit(OrderRequest.market(symbol="BTC/USD", side="buy", quantity="0.01"))
        with pytest.raises(NotSupported, match="base"):
            await coinbase.submit(OrderRequest.market(symbol="BTC/USD", side="sell", quote_quantity="100"))


@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase"])
async def test_what_is_off_the_step_is_refused_before_sending(exchange: str) -> None:
    """No exchange's amounts are rounded, by us or by ccxt; nothing leaves."""
    symbol = "BTC/USDT" if exchange == "binance" else "BTC/USD"

    async with gateway(exchange) as known:
        with pytest.raises(OrderDenied) as denied:
            await known.submit(buy(symbol, price="40000.001"))
        with pytest.raises(OrderDenied):
            await known.submit(buy(symbol, quantity="0.010000001"))

    assert denied.value.rule == "price_tick"

"""CcxtGateway over ccxt's Bitso on the simulator: what leaves, what it leaves alone, and how it ends."""

from __future__ import annotations

import asyncio
import decimal
import gc
import logging
import traceback
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest
from pydantic import SecretStr

from orderbridge import OrderBridge, OrderGateway, OrderRequest, OrderStatus
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.adapters.ccxt_any.exchanges import rate_of
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    InsufficientFunds,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http.limits import Rate
from tests.adapters.ccxt_any.conftest import MARKET, QUICK, config_of

pytestmark = pytest.mark.ccxt
PLACE = "POST /api/v3/orders"


def buy(**changes: Any) -> OrderRequest:
    plain = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "560000"}
    return OrderRequest(**{**plain, **changes})


FAULTS = [
    "accept_then_drop",
    "accept_then_5xx",
    "cut",
    "html",
    "empty",
    "nothing_said",
    "not_success",
    "drop",
    "throttle",
]


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_unclear_create_is_unknown_and_is_sent_once(
    sim: Any, make: Callable[..., CcxtGateway], fault: str, retries: int
) -> None:
    """Each way an answer can be lost leaves the outcome unknown, and ccxt's own retries double nothing."""
    gateway = make(config={"options": {"maxRetriesOnFailure": retries}})
    await gateway.markets()
    sim.bitso.fault(fault, operation="place")

    with pytest.raises(OutcomeUnknown):
        await gateway.submit(buy())

    assert sim.bitso.requests[PLACE] == 1
    assert len(sim.bitso.accepted()) <= 1


async def test_retries_for_one_path_repeat_no_write(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """Retries that ccxt takes from an endpoint's own options are kept from sending a second order."""
    gateway = make(config={"options": {"orders": {"maxRetriesOnFailure": 3}, "maxRetriesOnFailure": 3}})
    await gateway.markets()
    sim.bitso.fault("accept_then_drop", operation="place")

    with pytest.raises(OutcomeUnknown):
        await gateway.submit(buy())

    assert sim.bitso.requests[PLACE] == 1


async def test_a_refused_connection_is_not_sent(make: Callable[..., CcxtGateway], unused_tcp_port: int) -> None:
    """Nothing listens: what cannot connect has not left, and nothing is tried again by itself."""
    gateway = make()
    await gateway.markets()
    gateway._exchange.urls["api"]["rest"] = f"http://127.0.0.1:{unused_tcp_port}/api"

    with pytest.raises(NotSent):
        await gateway.submit(buy())
    with pytest.raises(VenueUnavailable):
        await gateway.open_orders(symbol="BTC/MXN")


async def test_markets_that_cannot_be_loaded_send_nothing(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """A submit whose markets fail is NotSent, and a later one loads them anew."""
    sim.bitso.fault("html", operation="books", times=1)
    gateway = make()

    with pytest.raises(NotSent):
        await gateway.submit(buy())
    assert sim.bitso.requests[PLACE] == 0
    assert (await gateway.submit(buy())).order_id


async def test_throttled_markets_lock_out_as_any_read_does(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """They are loaded beside the lanes, which stop all the same; the error says for how long."""
    sim.bitso.fault("throttle", operation="books", times=1)
    gateway = make()

    with pytest.raises(RateLimited) as caught:
        await gateway.markets()

    locked_for = gateway.parts.sender.session.limiter.locked_for
    assert 0 < locked_for <= (caught.value.retry_after or 0)


async def test_a_cancelled_caller_takes_nobody_along(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """Two wait for the markets; the one that is cancelled leaves the load to the other."""
    gateway = make()
    sim.bitso.fault("delay", operation="books", seconds=0.3)
    first = asyncio.create_task(gateway.submit(buy()))
    second = asyncio.create_task(gateway.submit(buy()))
    await asyncio.sleep(0.1)

    first.cancel()
    order = await second

    assert order.order_id
    assert first.cancelled()
    assert len(sim.bitso.accepted()) == 1


async def test_the_callers_decimal_context_is_left_alone(gateway: CcxtGateway) -> None:
    """ccxt changes rounding and traps of the thread: after our calls they are as they were, to the last flag."""
    with decimal.localcontext(decimal.DefaultContext):
        before = repr(decimal.getcontext())

        order = await gateway.submit(buy())
        await gateway.cancel(order)

        assert repr(decimal.getcontext()) == before
        assert Decimal("2.5").quantize(Decimal(1)) == 2


async def test_an_odd_context_of_the_caller_disturbs_nothing(sim: Any, gateway: CcxtGateway) -> None:
    """A host that computes with three digits and traps everything orders exact amounts all the same."""
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[decimal.Inexact])):
        order = await gateway.submit(buy(quantity="0.01234567", price="560010"))

    (accepted,) = sim.bitso.accepted()
    assert order.quantity == accepted.quantity == Decimal("0.01234567")


async def test_the_event_loop_policy_is_left_alone(gateway: CcxtGateway) -> None:
    """ccxt brings no loop of its own into the caller's process."""
    policy, loop = asyncio.get_event_loop_policy(), type(asyncio.get_running_loop())

    await gateway.markets()

    assert asyncio.get_event_loop_policy() is policy
    assert policy.__class__.__module__.startswith("asyncio")
    assert loop.__module__.startswith("asyncio")


async def test_numbers_are_exact_in_both_directions(sim: Any, gateway: CcxtGateway) -> None:
    """Every digit that the exchange takes goes out and comes back."""
    order = await gateway.submit(buy(quantity="0.12345678", price="560010"))
    found = await gateway.get(order)

    (accepted,) = sim.bitso.accepted()
    assert accepted.quantity == found.quantity == Decimal("0.12345678")
    assert found.price == Decimal(560010)


@pytest.mark.parametrize("quantity", ["0.123456789", "0.010000001"])
async def test_amounts_off_the_step_are_refused_and_not_cut(sim: Any, gateway: CcxtGateway, quantity: str) -> None:
    """ccxt would cut them silently."""
    with pytest.raises(OrderDenied) as denied:
        await gateway.submit(buy(quantity=quantity))

    assert denied.value.nearest
    assert sim.bitso.requests[PLACE] == 0


async def test_a_price_above_the_limit_is_never_sent(sim: Any, gateway: CcxtGateway) -> None:
    """ccxt rounds a buy's price up; here a price off the tick is refused with both neighbours."""
    with pytest.raises(OrderDenied) as denied:
        await gateway.submit(buy(price="560005"))

    assert denied.value.nearest == (Decimal(560000), Decimal(560010))
    assert sim.bitso.requests[PLACE] == 0


@pytest.mark.parametrize(
    "request_",
    [
        buy(time_in_force="ioc"),
        buy(post_only=True),
        buy(client_order_id="mine"),
        buy(symbol="DOGE/MXN"),
        OrderRequest.market(symbol="BTC/MXN", side="buy", quote_quantity="500"),
        OrderRequest.stop_loss(symbol="BTC/MXN", side="sell", quantity="0.01", stop_price="500000"),
    ],
)
async def test_what_ccxts_bitso_does_wrongly_is_refused(sim: Any, gateway: CcxtGateway, request_: OrderRequest) -> None:
    """Each would go out as another order than was asked for; each is refused before sending."""
    with pytest.raises(NotSupported):
        await gateway.submit(request_)

    assert sim.bitso.requests[PLACE] == 0


async def test_a_lack_of_funds_is_told_by_bitsos_code(sim: Any, gateway: CcxtGateway) -> None:
    """ccxt makes a plain ExchangeError of it."""
    sim.bitso.engine.accounts.deposit("bot", "mxn", -sim.bitso.balances["mxn"].total)

    with pytest.raises(InsufficientFunds) as refused:
        await gateway.submit(buy())

    assert (refused.value.code, refused.value.gateway) == ("0379", "ccxt.bitso")


@pytest.mark.parametrize("id", ["all", "ALL", "a/b", "../x", "a?b=c", "a b", "x,y"])
async def test_ids_that_are_no_ids_never_leave(sim: Any, gateway: CcxtGateway, id: str) -> None:
    """`all` would cancel everything; the others would be another path."""
    order = await gateway.submit(buy())

    with pytest.raises(OrderBridgeError):
        await gateway.cancel(f"ccxt.bitso:{id}")
    found = (await gateway.lookup(f"ccxt.bitso:{id}")).found[0]

    assert not found.orders
    assert (await gateway.get(order)).status is OrderStatus.OPEN
    assert not [request for request in sim.bitso.requests if request.startswith("DELETE")]


@pytest.mark.parametrize("fault", ["accept_then_drop", "html", "cut", "accept_then_5xx"])
async def test_a_lost_cancel_is_read_back(sim: Any, gateway: CcxtGateway, fault: str) -> None:
    """A cancel by the exchange's id may be repeated, and the order is read: it is cancelled, or it says so."""
    order = await gateway.submit(buy())
    sim.bitso.fault(fault, operation="cancel")

    assert (await gateway.cancel(order)).status is OrderStatus.CANCELLED


async def test_cancelling_what_was_filled_returns_it_filled(sim: Any, gateway: CcxtGateway) -> None:
    """Through ccxt such a cancel looks like a success; the order is read and says otherwise."""
    order = await gateway.submit(buy())
    sim.bitso.market("btc_mxn").fill(order.order_id)

    ended = await gateway.cancel(order.order_id)

    assert (ended.status, ended.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))


async def test_a_full_page_is_no_list_of_open_orders(sim: Any, gateway: CcxtGateway) -> None:
    """A hundred rows may hide more: it raises, and never gives a part for the whole."""
    for number in range(100):
        sim.bitso.put(oid=f"filler{number:010}", book="btc_mxn")

    with pytest.raises(UnexpectedResponse):
        await gateway.open_orders(symbol="BTC/MXN")
    sim.bitso.market("btc_mxn").fill("filler0000000000")
    assert len(await gateway.open_orders(symbol="BTC/MXN")) == 99


async def test_open_orders_of_all_symbols_come_from_each_market(sim: Any, gateway: CcxtGateway) -> None:
    """ccxt's Bitso lists by book only; all of them are asked."""
    sim.bitso.put(oid="one0000000000001", book="btc_mxn")
    sim.bitso.put(oid="two0000000000002", book="xrp_usdt")

    assert {order.order_id for order in await gateway.open_orders()} == {"one0000000000001", "two0000000000002"}


async def test_unknown_words_and_bad_rows_hide_no_neighbour(sim: Any, gateway: CcxtGateway) -> None:
    """A word that nobody knows is kept and may be live."""
    sim.bitso.put(oid="one0000000000001", book="btc_mxn")
    sim.bitso.fault("unknown_word", operation="lookup")

    order = await gateway.get("ccxt.bitso:one0000000000001")

    assert (order.status, order.raw_status, order.may_be_live) == (OrderStatus.UNKNOWN, "pending_review", True)


async def test_fills_of_an_order_and_of_a_market(sim: Any, gateway: CcxtGateway) -> None:
    """Trades come by order and by symbol; without a symbol the call is refused when it is made."""
    order = await gateway.submit(buy())
    sim.bitso.market("btc_mxn").fill(order.order_id, quantity="0.004")

    of_order = [fill async for fill in gateway.fills(order)]
    of_market = [fill async for fill in gateway.fills(symbol="BTC/MXN")]

    assert [fill.quantity for fill in of_order] == [Decimal("0.004")]
    assert of_order == of_market
    with pytest.raises(NotSupported):
        gateway.fills()


async def test_a_sale_at_market_and_its_fills(sim: Any, gateway: CcxtGateway) -> None:
    """Bitso signs the amounts of a sale; the order comes back filled, without an average that nobody stated."""
    order = await gateway.submit(OrderRequest.market(symbol="BTC/MXN", side="sell", quantity="0.01"))
    found = await gateway.get(order)
    fills = [fill async for fill in gateway.fills(symbol="BTC/MXN")]

    assert (found.status, found.filled_quantity, found.average_price) == (OrderStatus.FILLED, Decimal("0.01"), None)
    assert sum((fill.quantity for fill in fills), Decimal(0)) == Decimal("0.01")
    assert {(fill.side, fill.order_id) for fill in fills} == {("sell", order.order_id)}


async def test_an_order_of_another_account_is_not_found(gateway: CcxtGateway) -> None:
    """A miss is said to be one; it proves nothing."""
    with pytest.raises(OrderNotFound) as missing:
        await gateway.get("ccxt.bitso:nosuchorder00001")

    assert missing.value.found is not None
    assert not missing.value.found.proven_absent


async def test_a_slot_of_what_did_not_leave_is_given_back(
    make: Callable[..., CcxtGateway], unused_tcp_port: int
) -> None:
    """An order that could not connect, or that ccxt would not build, costs nothing of the pace."""
    gateway = make(limits=Rate(burst=1, per_second=0.001))
    gateway._exchange.set_markets([gateway._exchange.safe_market_structure(MARKET)])
    gateway._exchange.urls["api"]["rest"] = f"http://127.0.0.1:{unused_tcp_port}/api"

    for _ in range(3):
        with pytest.raises(NotSent, match="nothing was sent"):
            await gateway.submit(buy(), timeout=1)


async def test_a_row_of_another_order_is_not_the_one_that_was_asked_for(gateway: CcxtGateway) -> None:
    """ccxt gives whatever order comes back; one of another id is told apart, and nothing is decided."""
    await gateway.markets()
    other = {"id": "other00000000001", "symbol": "BTC/MXN", "side": "buy", "status": "open", "info": {}}

    async def fetch_order(*args: Any) -> Any:
        return other

    gateway._exchange.fetch_order = fetch_order
    result = await gateway.lookup("ccxt.bitso:asked00000000002")

    assert result.undecided == ("ccxt.bitso:asked00000000002",)
    assert [row.order_id for row in result.bad_rows] == ["other00000000001"]
    assert not result.orders


async def test_fills_of_an_order_that_is_shown_no_longer(sim: Any, gateway: CcxtGateway) -> None:
    """Given as an order, or seen here before, its trades are asked for without looking it up."""
    order = await gateway.submit(buy())
    sim.bitso.market("btc_mxn").fill(order.order_id)
    sim.clock.advance(7200)

    assert [fill.quantity for fill in [fill async for fill in gateway.fills(order)]] == [Decimal("0.01")]
    assert [fill.quantity for fill in [fill async for fill in gateway.fills(order.key)]] == [Decimal("0.01")]


async def test_permits_are_spent_once_and_given_back(make: Callable[..., CcxtGateway]) -> None:
    """A permit of another gateway or a spent one is refused; past its time nothing is sent."""
    gateway = make(limits=Rate(burst=5, per_second=0.001))
    await gateway.markets()
    async with await gateway.permit() as permit:
        await gateway.submit(buy(), permit=permit)
        with pytest.raises(ConfigurationError):
            await gateway.submit(buy(), permit=permit)

    with pytest.raises(NotSent):
        await gateway.submit(buy(), not_after=asyncio.get_running_loop().time() - 1)


async def test_every_request_is_paced_and_a_full_lane_sends_nothing(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """The markets' requests count too; without a slot in time a submit is NotSent."""
    gateway = make(limits=Rate(burst=3, per_second=0.001))
    await gateway.markets(timeout=5)
    await gateway.submit(buy(), timeout=5)

    with pytest.raises(NotSent):
        await gateway.submit(buy(), timeout=0.05)
    assert sim.bitso.requests[PLACE] == 1


def test_pace_by_ccxts_figures() -> None:
    """No 60 seconds hold more requests than ccxt's `rateLimit` allows."""
    for name in ccxt.async_support.exchanges:
        exchange = getattr(ccxt.async_support, name)()
        rate = rate_of(exchange)
        assert rate.burst + 60 * rate.per_second <= 60_000 / exchange.rateLimit + 1e-9, name
        assert rate.burst <= max(1, 1000 / exchange.rateLimit), name


@pytest.mark.parametrize("timeout", [0.0, 0.15])
async def test_every_call_ends(sim: Any, gateway: CcxtGateway, timeout: float) -> None:
    """On expiry: a look-up says undecided, another read VenueUnavailable, a submit unknown or not sent."""
    order = await gateway.submit(buy())
    for operation in ("lookup", "open_orders", "place"):
        sim.bitso.fault("delay", operation=operation, seconds=1.0)

    result = await gateway.lookup(order, timeout=timeout)
    with pytest.raises(VenueUnavailable):
        await gateway.open_orders(symbol="BTC/MXN", timeout=timeout)
    with pytest.raises(OutcomeUnknown if timeout else NotSent):
        await gateway.submit(buy(), timeout=timeout)

    assert result.undecided == (order,)


async def test_a_cancelled_task_ends_at_once(sim: Any, gateway: CcxtGateway) -> None:
    """A cancelled submit passes the cancellation on, and leaves the gateway usable."""
    await gateway.markets()
    sim.bitso.fault("delay", operation="place", seconds=1.0)
    task = asyncio.create_task(gateway.submit(buy()))
    await asyncio.sleep(0.1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await gateway.submit(buy())).order_id


async def test_closing_leaves_nothing_open(sim: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No session stays unclosed, no task pending, and a closed gateway says so."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        gateway = CcxtGateway("bitso", config=config_of(sim), limits=None)
        async with gateway:
            await gateway.submit(buy())
            assert gateway._exchange.timeout_on_exit == 0, "ccxt's pause at closing is not made"
        with pytest.raises(ConfigurationError):
            await gateway.lookup("x")
        await gateway.aclose()
        del gateway
        gc.collect()

    assert [each for each in seen if issubclass(each.category, ResourceWarning)] == []
    assert "release all resources" not in caplog.text
    assert len(asyncio.all_tasks()) == 1


async def test_an_object_of_the_callers_is_put_back_and_left_open(sim: Any) -> None:
    """While the gateway lives it works exactly; afterwards the object is as it was, and whoever made it closes it."""
    exchange = ccxt.async_support.bitso({**config_of(sim), "timeout_on_exit": 0, "options": {"maxRetriesOnFailure": 2}})
    before = dict(vars(exchange))
    async with CcxtGateway(exchange, limits=None, retries=QUICK) as gateway:
        order = await gateway.submit(buy())
        assert exchange.number is str
        assert exchange.enableRateLimit is False

    changed = {"session", "asyncio_loop", "tcp_connector", "ssl_context"}
    for name in ("number", "enableRateLimit", "verbose", "fetch", "fetch2", "safe_order", "nonce", "logger"):
        assert (name in vars(exchange)) is (name in before), name
    assert exchange.number is float
    assert exchange.enableRateLimit is True
    assert exchange.options["maxRetriesOnFailure"] == 2
    assert type(exchange.session).__name__ == "ClientSession", changed
    assert not exchange.session.closed
    exchange.enableRateLimit = False
    assert (await exchange.fetch_order(order.order_id))["price"] == 560000.0
    await exchange.close()


async def test_markets_that_were_loaded_here_are_not_left_behind(sim: Any) -> None:
    """With exact numbers, and with a session that replays nothing, the caller's own sums and calls would fail."""
    exchange = ccxt.async_support.bitso({**config_of(sim), "timeout_on_exit": 0})
    async with CcxtGateway(exchange, limits=None, retries=QUICK) as gateway:
        await gateway.open_orders(symbol="BTC/MXN")
        assert exchange.session._retry_connection is False
        assert isinstance(exchange.markets["BTC/MXN"]["precision"]["amount"], str)

    assert not exchange.markets
    assert exchange.session._retry_connection is True
    markets = await exchange.load_markets()
    await exchange.close()
    assert isinstance(markets["BTC/MXN"]["precision"]["amount"], float)


async def test_markets_of_the_callers_are_the_callers_again(sim: Any) -> None:
    """What was loaded before the gateway came is there after it, though it loaded anew."""
    exchange = ccxt.async_support.bitso({**config_of(sim), "timeout_on_exit": 0})
    before = await exchange.load_markets()
    currencies = exchange.currencies
    async with CcxtGateway(exchange, limits=None, retries=QUICK) as gateway:
        await gateway.markets(refresh=True)

    await exchange.close()
    assert exchange.markets is before
    assert exchange.currencies is currencies
    assert exchange.load_markets.__func__ is ccxt.async_support.bitso.load_markets


async def test_an_object_of_another_loop_is_refused_before_sending(sim: Any) -> None:
    """An object that was used in a loop that ended would fail with a bare RuntimeError."""
    other = asyncio.new_event_loop()
    exchange = ccxt.async_support.bitso({**config_of(sim), "asyncio_loop": other})
    async with CcxtGateway(exchange, limits=None) as gateway:
        for call in (gateway.submit(buy()), gateway.lookup("x"), gateway.open_orders(), gateway.permit()):
            with pytest.raises(ConfigurationError, match="loop"):
                await call
    other.close()

    assert sum(sim.bitso.requests.values()) == 0


def test_a_gateway_is_made_without_a_loop_and_used_in_one(sim: Any) -> None:
    """The constructor touches no loop and no network."""
    gateway = CcxtGateway("bitso", config={"apiKey": "k", "secret": "s"}, limits=None)

    async def use() -> None:
        await gateway.aclose()

    asyncio.run(use())
    assert isinstance(gateway, OrderGateway)


@pytest.mark.parametrize(
    ("exchange", "more", "kind", "text"),
    [
        ("krakn", {}, ConfigurationError, "kraken"),
        ("zzzz", {}, ConfigurationError, "zzzz"),
        ("Kraken", {}, ConfigurationError, "kraken"),
        (ccxt.async_support.kraken, {}, ConfigurationError, "object"),
        (object(), {}, ConfigurationError, "object"),
        (17, {}, ConfigurationError, "object"),
        ("bitso", {"config": {}}, ConfigurationError, "apiKey"),
        ("okx", {"config": {"apiKey": "k", "secret": "s"}}, ConfigurationError, "password"),
        ("coinspot", {}, NotSupported, "fetchOrder"),
        ("binanceusdm", {}, NotSupported, "spot"),
        ("kraken", {"sandbox": True}, ConfigurationError, "sandbox"),
        ("bitso", {"limits": "fast"}, ConfigurationError, "limits"),
        ("binance", {"sandbox": "false"}, ConfigurationError, "sandbox is True or False, not str"),
        ("binance", {"sandbox": 0}, ConfigurationError, "sandbox is True or False, not int"),
        ("binance", {"config": "key"}, ConfigurationError, "config is a mapping"),
        ("kraken", {"config": {"apiKey": "k", "secret": "s", "options": 7}}, ConfigurationError, "secret, options"),
    ],
)
def test_bad_input_is_one_clear_error(exchange: Any, more: dict[str, Any], kind: type[Exception], text: str) -> None:
    """Each mistake in making a gateway is named, before anything is sent."""
    settings = {"config": {"apiKey": "k", "secret": "s"}, **more}

    with pytest.raises(kind, match=f"(?i){text}"):
        CcxtGateway(exchange, **settings)


@pytest.mark.parametrize("name", ["socksProxy", "socks_proxy", "socksProxyCallback", "socks_proxy_callback"])
async def test_a_socks_proxy_is_refused(sim: Any, name: str) -> None:
    """ccxt sends through sessions of its own then, which repeat and follow redirects; set later, nothing leaves."""
    proxy: Any = "socks5://127.0.0.1:1080"
    if name.lower().endswith("callback"):

        def proxy(*args: Any) -> str:
            return "socks5://127.0.0.1:1080"

    with pytest.raises(ConfigurationError, match=name):
        CcxtGateway("bitso", config=config_of(sim, **{name: proxy}))
    async with CcxtGateway("bitso", config=config_of(sim), limits=None, retries=QUICK) as gateway:
        await gateway.markets()
        before = sum(sim.bitso.requests.values())
        setattr(gateway._exchange, name, proxy)
        with pytest.raises(ConfigurationError, match=name):
            await gateway.submit(buy())

    assert sum(sim.bitso.requests.values()) == before


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", b""], ids=["407", "drop"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_password_of_a_proxy_is_not_told(sim: Any, caplog: Any, scheme: str, answer: bytes) -> None:
    """A proxy that refuses or hangs up is in no error and no log with more than its host and port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    caplog.set_level("DEBUG")
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        proxy = f"http://someuser:s3cr3t@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = config_of(sim, **{f"{scheme}Proxy": proxy})
        config["urls"] = {"api": {"rest": f"{scheme}://venue.invalid/api"}}
        async with CcxtGateway("bitso", config=config, limits=None, retries=QUICK) as gateway:
            with pytest.raises(OrderBridgeError) as caught:
                await gateway.open_orders(timeout=5)
            told = [repr(gateway)]

    chain: BaseException | None = caught.value
    while chain is not None:
        told.append(f"{chain} {chain!r} {vars(chain)}")
        chain = chain.__cause__
    assert not [text for text in [*told, caplog.text] if "s3cr3t" in text or "someuser" in text]


def test_a_synchronous_object_is_refused() -> None:
    """It would block the loop."""
    import ccxt as synchronous

    with pytest.raises(ConfigurationError, match="async_support"):
        CcxtGateway(synchronous.kraken({"apiKey": "k", "secret": "s"}))


@pytest.mark.parametrize("symbol", ["BTC/MXN:MXN", "DOGE/MXN"])
async def test_unknown_symbols_and_contracts_are_not_supported(gateway: CcxtGateway, symbol: str) -> None:
    """Lists and cancels of a symbol that is not there say so, and what is near."""
    for call in (gateway.open_orders, gateway.cancel_all):
        with pytest.raises(NotSupported):
            await call(symbol=symbol)


async def test_no_secret_shows_anywhere(sim: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Keys and secrets are in no repr, log, error, cause or traceback, with ccxt's own logger at DEBUG."""
    caplog.set_level(logging.DEBUG)
    secrets = ("KEY-5f3c9a", "SECRET-77aa21")
    config = config_of(sim, apiKey=SecretStr(secrets[0]), secret=SecretStr(secrets[1]), verbose=True)
    told = []
    async with CcxtGateway("bitso", config=config, limits=None, retries=QUICK) as gateway:
        told.append(repr(gateway))
        for call in (gateway.submit(buy()), gateway.open_orders(symbol="BTC/MXN"), gateway.cancel("abcdefgh12345678")):
            try:
                await call
            except AuthenticationFailed as error:
                told += [str(error), repr(error), str(error.body), "".join(traceback.format_exception(error))]
                told.append(repr(error.__context__))
        sim.bitso.fault("accept_then_drop")
        result = await gateway.lookup("abcdefgh12345678")
        told.append(repr(result))

    assert len(told) > 6
    for text in (*told, caplog.text):
        assert not [secret for secret in secrets if secret in text]
        assert "Bitso KEY" not in text


def test_a_sandbox_shows() -> None:
    """In repr and as its mode; live money is `live`."""
    config = {"apiKey": "k", "secret": "s"}

    assert "sandbox" in repr(CcxtGateway("binance", config=config, sandbox=True))
    assert CcxtGateway("binance", config=config, sandbox=True).mode == "sandbox"
    assert CcxtGateway("binance", config=config).mode == "live"
    assert "sandbox" not in repr(CcxtGateway("binance", config=config))
    assert CcxtGateway("binance", config=config, account="mm").name == "ccxt.binance/mm"


def test_a_horizon_shorter_than_a_call_is_refused(make: Callable[..., CcxtGateway]) -> None:
    """An order that ccxt is still sending after the horizon would be called absent."""
    with pytest.raises(ConfigurationError, match=r"shorter than an attempt may take \(30 s\)"):
        OrderBridge(make(), settle_horizon=29.0)

    OrderBridge(make(), settle_horizon=30.0)

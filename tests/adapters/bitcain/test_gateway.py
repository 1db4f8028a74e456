"""The gateway as its callers meet it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitcain.venue import RATE
from orderbridge.gateway import OrderGateway
from orderbridge.model.basics import EditClass, Idempotency, OrderStatus, TimeInForce

LIST = "/api/v1/orders"
HISTORY = "/api/v1/orders/history"
DAY = datetime(2026, 1, 2, tzinfo=UTC)
SHADOW = {"detail": [{"loc": ["path", "order_id"], "msg": "Bad", "type": "uuid_parsing", "input": "history"}]}


async def numbers(stream: Any) -> list[int]:
    return [int(order.order_id[-12:]) async for order in stream]


def test_it_is_an_order_gateway(make: Callable[..., Any]) -> None:
    """By the Protocol; names and capabilities are those that are documented."""
    gateway = make(account="mm")

    assert isinstance(gateway, OrderGateway)
    assert (gateway.name, gateway.venue, gateway.account) == ("bitcain/mm", "bitcain", "mm")
    assert (gateway.capabilities.history, gateway.capabilities.lookup_batch) == (True, 1)
    assert gateway.capabilities.idempotency is Idempotency.TAG_ONLY
    assert gateway.capabilities.edit is EditClass.IN_PLACE
    assert gateway.capabilities.cancel_all
    assert (gateway.capabilities.fills, gateway.capabilities.markets) == (False, False)
    assert not gateway.capabilities.funds_refusal_is_distinct
    assert gateway.capabilities.times_in_force == frozenset(TimeInForce)


def test_repr_shows_where_and_which_mode(make: Callable[..., Any]) -> None:
    """And no secret."""
    text = repr(make(token="s3cret", trading_mode="live", base_url="https://b.test/"))

    assert text == "BitcainGateway(base_url='https://b.test', trading_mode='live', account='default')"


def test_the_pace_never_goes_over_600_a_minute() -> None:
    """Burst and refill together, cancels counted."""
    assert RATE.burst + 60 * RATE.per_second <= 600
    assert not RATE.free_lanes


WRONG = [
    {"base_url": ""},
    {"base_url": None},
    {"base_url": "bitcain.test"},
    {"base_url": "http://bitcain.test"},
    {"base_url": "https://bitcain.test/api/v1"},
    {"base_url": "https://u:p@bitcain.test"},
    {"base_url": "https://[bad"},
    {"trading_mode": ""},
    {"trading_mode": None},
    {"trading_mode": "Live"},
    {"source": "robot"},
    {"source": "agent"},
    {"agent_id": "7"},
    {"portfolio_id": "mine"},
    {"exchange": " "},
    {"scan_since": timedelta(0)},
    {"scan_since": 7},
    {"symbols": {"BTCUSDT": "BTCUSDT"}},
    {"symbols": ["BTCUSDT"]},
    {"transport": "curl"},
]


@pytest.mark.parametrize("settings", WRONG)
def test_wrong_settings_are_refused(make: Callable[..., Any], settings: dict[str, Any]) -> None:
    """At once, with ConfigurationError: live money and addresses are never guessed."""
    with pytest.raises(errors.ConfigurationError):
        make(**settings)


def test_nothing_at_all_is_refused() -> None:
    """Address and mode have no default, which a type checker sees; empty ones are told in words."""
    with pytest.raises(TypeError, match="trading_mode"):
        BitcainGateway()  # type: ignore[call-arg]
    with pytest.raises(errors.ConfigurationError, match="trading_mode"):
        BitcainGateway(base_url="https://bitcain.test", trading_mode="", token="t")


def test_right_settings_are_kept(make: Callable[..., Any], kit: Any) -> None:
    """For the orders that go out."""
    settings = make(source="agent", agent_id=kit.uuid(1), portfolio_id=kit.uuid(2), exchange="coinbase").settings

    assert (settings.source, settings.agent_id, settings.portfolio_id) == ("agent", kit.uuid(1), kit.uuid(2))
    assert make(base_url="http://127.0.0.1:8102").settings.base_url == "http://127.0.0.1:8102"
    assert make(base_url="http://10.0.0.5", allow_plain_http=True).settings.base_url == "http://10.0.0.5"


async def test_markets_are_refused(make: Callable[..., Any]) -> None:
    """Bitcain documents no rules, so nothing is pretended, by a closed gateway neither."""
    gateway = make()
    with pytest.raises(errors.NotSupported, match="documents no market rules"):
        await gateway.markets()
    await gateway.aclose()
    with pytest.raises(errors.NotSupported, match="documents no market rules"):
        await gateway.markets()


def test_fills_are_refused_when_called(make: Callable[..., Any]) -> None:
    """Not at the first item."""
    with pytest.raises(errors.NotSupported, match="documents no fills"):
        make().fills()


async def test_open_orders_reads_the_whole_list_unfiltered(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """To its end, without a date, status or symbol: words and spellings are not documented."""
    words = {1: "filled", 2: "mystery", 3: "pending"}
    server.rows = [kit.row(number, status=words.get(number, "open")) for number in range(450, 0, -1)]

    orders = await make().open_orders()

    assert [int(order.order_id[-12:]) for order in orders] == list(range(450, 1, -1))
    assert orders[-1].status is OrderStatus.UNKNOWN
    assert orders.as_of.timestamp() == kit.now
    assert all(set(query) <= {"limit", "offset"} for query in server.queries(LIST))


async def test_open_orders_of_one_symbol(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The symbol is applied here, in whatever spelling it comes."""
    spellings = ["BTC/USDT", "btc-usdt", "BTC_USDT", "BTCUSDT", "ETH/USDT"]
    server.rows = [kit.row(number, symbol=symbol) for number, symbol in enumerate(spellings)]

    orders = await make().open_orders(symbol="btc/usdt")

    assert [order.symbol for order in orders] == ["BTC/USDT"] * 4
    assert orders.bad_rows == ()


async def test_the_symbols_setting_names_pairs(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The venue's spelling is looked up before any rule."""
    server.rows = [kit.row(1, symbol="BTCUSDT")]

    assert (await make(symbols={"BTCUSDT": "btc/usdt"}).open_orders())[0].symbol == "BTC/USDT"
    assert "symbols={'BTCUSDT'" in (await make().open_orders()).bad_rows[0].reason


async def test_orders_of_the_other_mode_are_left_out(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Readable or not; a row without a mode stays, with `paper` unknown."""
    live = {"trading_mode": "live"}
    server.rows = [kit.row(4, **live), kit.row(3, side="?", **live), kit.row(2, trading_mode=None), kit.row(1)]

    paper = await make().open_orders()
    real = await make(trading_mode="live").open_orders()

    assert ([order.paper for order in paper], paper.bad_rows) == ([None, True], ())
    assert ([order.paper for order in real], len(real.bad_rows)) == ([False, None], 1)


async def test_one_broken_row_among_fifty(
    server: Any, make: Callable[..., Any], kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported with place, id and reason, and logged once; its neighbours are all there."""
    server.rows = [kit.row(number) for number in range(50, 0, -1)]
    server.rows[7] = kit.row(43, quantity="lots")
    gateway = make()

    orders = await gateway.open_orders()
    await gateway.open_orders()

    assert len(orders) == 49
    bad = orders.bad_rows[0]
    assert (bad.gateway, bad.position, bad.order_id, bad.raw) == ("bitcain", 7, kit.uuid(43), server.rows[7])
    assert "quantity" in bad.reason
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [(record.name, record.order_id) for record in warnings] == [("orderbridge.bitcain", kit.uuid(43))]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "", "BTC/USDT:USDT"])
async def test_a_symbol_must_be_one(make: Callable[..., Any], symbol: str) -> None:
    """Nothing is sent for a symbol in no spelling of ours."""
    with pytest.raises(errors.ConfigurationError):
        await make().open_orders(symbol=symbol)


async def test_open_orders_end_in_time(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A list that is not complete in time is no list."""

    async def never(request: Any) -> Any:
        await asyncio.sleep(60)

    server.answers[LIST] = [never]

    with pytest.raises(errors.VenueUnavailable, match="time limit"):
        await make().open_orders(timeout=0.05)


async def test_orders_merges_list_and_history(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Each order once, newest first, the better-known state of those in both."""
    server.rows = [kit.row(number) for number in (9, 7, 5, 3)]
    server.past = [kit.row(number, status="expired") for number in (8, 7, 2)]

    orders = [order async for order in make().orders(since=DAY)]

    assert [int(order.order_id[-12:]) for order in orders] == [9, 8, 7, 5, 3, 2]
    assert orders[2].status is OrderStatus.EXPIRED


async def test_orders_sends_what_is_documented(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Dates to both, a little wider than asked; filters where the operation has them; no symbol, no word of ours."""
    stream = make().orders(
        since=DAY,
        until=DAY + timedelta(hours=1),
        symbol="BTC/USDT",
        status="open",
        portfolio_id=kit.uuid(9),
        order_status="OPEN",
        limit=20,
    )
    await numbers(stream)

    dates = {"start_date": "2026-01-01T23:59:59.999000Z", "end_date": "2026-01-02T01:00:00.001000Z"}
    shared = {**dates, "order_status": "OPEN", "limit": "20"}
    assert server.queries(LIST) == [{**shared, "portfolio_id": kit.uuid(9)}]
    assert server.queries(HISTORY) == [shared]


async def test_orders_filters_on_our_side(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Symbol, status and dates hold whatever the server does with them; history is filtered by portfolio."""
    portfolio = {"portfolio_id": kit.uuid(9)}
    server.rows = [
        kit.row(50, **portfolio),
        kit.row(40, symbol="ETH-USDT"),
        kit.row(30, status="filled", filled_quantity="0.5"),
        kit.row(20, symbol="BTC_USDT"),
        kit.row(10),
        kit.row(5, created_at=None),
    ]
    server.past = [kit.row(3, status="open"), kit.row(2, status="open", **portfolio)]
    since, until = DAY + timedelta(seconds=1), DAY + timedelta(seconds=45)
    every = make()

    assert await numbers(every.orders(since=since, until=until, symbol="BTC/USDT", status="open")) == [5, 20, 10, 3, 2]
    assert await numbers(every.orders(since=since, portfolio_id=kit.uuid(9), status="open")) == [5, 50, 40, 20, 10, 2]


async def test_a_hidden_history_leaves_the_list(
    server: Any, make: Callable[..., Any], kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A server whose routes shadow it, or that lacks it, is read by its list, with a warning."""
    server.rows = [kit.row(2), kit.row(1)]
    for answer in (kit.reply(SHADOW, 422), kit.reply({"detail": "Not Found"}, 404)):
        server.answers[HISTORY] = [answer]
        assert await numbers(make().orders(since=DAY)) == [2, 1]

    assert [record.getMessage() for record in caplog.records] == [
        "history is not reachable on this server: only the list is read"
    ] * 2


async def test_another_422_of_history_is_an_error(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Only the exact shadow is taken for one."""
    fault = {"loc": ["query", "order_status"], "msg": "x", "type": "enum", "ctx": {"expected": "'open' or 'done'"}}
    server.answers[HISTORY] = [kit.reply({"detail": [fault]}, 422)]

    with pytest.raises(errors.VenueError, match="'open' or 'done'") as caught:
        await numbers(make().orders(since=DAY, order_status="OPEN"))
    assert caught.value.code == "enum"


async def test_bad_rows_come_after_the_good(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Each once, in the error that ends the stream."""
    server.rows = [kit.row(3), kit.row(2, side=None), kit.row(1)]
    server.past = [kit.row(2, side=None), kit.row(4, symbol=None)]
    stream = make().orders(since=DAY)

    good = [await anext(stream), await anext(stream)]
    with pytest.raises(errors.UnexpectedResponse) as caught:
        await anext(stream)

    assert [order.order_id for order in good] == [kit.uuid(3), kit.uuid(1)]
    assert [bad.order_id for bad in caught.value.bad_rows] == [kit.uuid(2), kit.uuid(4)]


async def test_a_long_history_is_read_window_by_window(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A full answer of 500 is narrowed by dates until all is there."""
    past = [kit.row(number, status="expired") for number in range(1200, 0, -1)]

    def answer(request: Any) -> Any:
        end = parse_qs(urlsplit(request.url).query).get("end_date", ["9"])[0]
        return kit.reply({"orders": [row for row in past if row["created_at"] <= end][:500]})

    server.answers[HISTORY] = [answer]

    assert await numbers(make().orders(since=DAY)) == list(range(1200, 0, -1))
    assert server.paths.count(HISTORY) == 3


WRONG_ARGUMENTS = [
    {"since": datetime(2026, 1, 1)},
    {"since": "2026-01-01"},
    {"since": None},
    {"since": DAY, "until": DAY - timedelta(days=1)},
    {"since": DAY, "symbol": "BTCUSDT"},
    {"since": DAY, "status": "resting"},
    {"since": DAY, "limit": 0},
    {"since": DAY, "limit": 201},
    {"since": DAY, "limit": "50"},
    {"since": DAY, "limit": True},
    {"since": DAY, "order_status": " "},
]


@pytest.mark.parametrize("arguments", WRONG_ARGUMENTS)
def test_arguments_are_checked_when_called(make: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Not at the first item."""
    with pytest.raises(errors.ConfigurationError):
        make().orders(**arguments)


def test_an_unknown_filter_names_the_known(make: Callable[..., Any]) -> None:
    """So that a typo filters nothing silently."""
    with pytest.raises(errors.ConfigurationError, match="portfolio_id, order_status, limit"):
        make().orders(since=DAY, portfolio="x")


async def test_a_closed_gateway_is_closed(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Its own engine is closed with it, a transport that was passed in is not."""
    async with make() as gateway:
        await gateway.open_orders()

    with pytest.raises(errors.ConfigurationError, match="closed"):
        await gateway.lookup(kit.uuid(1))
    with pytest.raises(errors.ConfigurationError, match="closed"):
        await gateway.permit()
    assert not server.closed


async def test_a_permit_is_given_for_a_lane(make: Callable[..., Any]) -> None:
    """And given back if it is not spent."""
    async with await make().permit("read", timeout=1) as permit:
        assert (permit.gateway, permit.lane) == ("bitcain", "read")
    assert permit.spent


async def test_requests_are_logged_without_query_or_body(
    make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with gateway and operation beside the text."""
    caplog.set_level(logging.DEBUG, logger="orderbridge.bitcain")

    await make().open_orders()

    record = caplog.records[0]
    assert record.getMessage().startswith("GET /api/v1/orders -> 200 in ")
    assert (record.gateway, record.operation) == ("bitcain", "open_orders")


async def test_an_anomaly_is_logged_once(
    server: Any, make: Callable[..., Any], kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As a warning that names the order."""
    server.rows = [kit.row(1, status="mystery")]
    gateway = make()

    for _ in range(3):
        assert (await gateway.get(kit.uuid(1))).anomalies

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert (warnings[0].order_id, warnings[0].client_order_id) == (kit.uuid(1), "bot-1")


ABSURD: list[dict[str, Any]] = [
    {"quantity": "1e9999"},
    {"quantity": "9" * 500},
    {"quantity": {"a": 1}},
    {"filled_quantity": "1e400"},
    {"price": [1]},
    {"symbol": "/" * 50},
    {"side": 7},
    {"created_at": 10**300},
    {"trading_mode": ["paper"], "is_paper": "x"},
]


async def test_absurd_rows_lose_none_of_their_neighbours_and_are_told_in_one_line(
    server: Any, make: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What no order can be made of stands aside, and a log line tells the first and the count, once."""
    server.rows = [kit.row(1), *(kit.row(2 + n, **odd) for n, odd in enumerate(ABSURD)), kit.row(50), {}, [], "x"]
    gateway = make()

    with caplog.at_level(logging.WARNING):
        listed = [await gateway.open_orders() for _ in range(2)][-1]

    assert {kit.uuid(1), kit.uuid(50)} <= {order.order_id for order in listed}
    assert len(listed.bad_rows) >= 8
    (line,) = [record.getMessage() for record in caplog.records if "is unusable" in record.getMessage()]
    assert line.endswith(f", and {len(listed.bad_rows) - 1} more")

"""What else a ccxt object has: markets, `has`, the rest of it, its end; and wrong settings."""

import asyncio
import inspect
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.ccxt_face import as_ccxt
from orderbridge.errors import ConfigurationError
from orderbridge.simulator import Simulator
from tests.ccxt_face.conftest import bridge_over, ccxt_settings
from tests.ccxt_face.kit import PLACE

pytestmark = pytest.mark.ccxt


async def test_precision_is_text_as_ccxt_writes_it(face: Any, theirs: Any) -> None:
    """Both give the same, in either spelling; what comes to nothing is an InvalidOrder in both."""
    import ccxt

    for value in (0.123456789, "5.5", 1e-5, 12):
        assert face.amount_to_precision("BTC/MXN", value) == theirs.amount_to_precision("BTC/MXN", value)
    for value in (560004.9, 560005, "999999.99"):
        assert face.priceToPrecision("BTC/MXN", value) == theirs.price_to_precision("BTC/MXN", value)
        assert face.cost_to_precision("BTC/MXN", value) == theirs.cost_to_precision("BTC/MXN", value)
    for exchange in (face, theirs):
        with pytest.raises(ccxt.InvalidOrder):
            exchange.amount_to_precision("BTC/MXN", 1e-9)
        with pytest.raises(ccxt.InvalidOrder):
            exchange.price_to_precision("BTC/MXN", 1)


async def test_markets_are_there_once_loaded(face_of: Any) -> None:
    """Before that they are None and `market` says so; after it an unknown symbol is a BadSymbol."""
    import ccxt

    face = face_of()

    assert face.markets is None
    assert face.symbols is None
    with pytest.raises(ccxt.ExchangeError, match="not loaded"):
        face.market("BTC/MXN")
    markets = await face.load_markets()

    assert face.markets is markets
    assert await face.load_markets() is markets
    assert face.market("BTC/MXN") is markets["BTC/MXN"]
    assert face.symbols == sorted(markets) == face.ids
    assert face.markets_by_id["BTC/MXN"] == [markets["BTC/MXN"]] == face.marketsById["BTC/MXN"]
    with pytest.raises(ccxt.BadSymbol):
        face.market("BTC/XXX")


async def test_markets_are_loaded_anew_when_asked(sim: Simulator, face: Any) -> None:
    """`reload` asks the exchange again."""
    before = sim.bitso.requests["GET /api/v3/available_books"]

    await face.load_markets(True)

    assert sim.bitso.requests["GET /api/v3/available_books"] == before + 1


async def test_has_names_every_call_of_ccxt_and_what_is_there_is_there(face: Any, theirs: Any) -> None:
    """A bot that asks `has` first never gets a KeyError, and what is said of orders is so."""
    assert set(theirs.has) <= set(face.has)
    about_orders = [name for name, there in face.has.items() if there and "Order" in name]
    assert "createOrders" in about_orders
    assert all(inspect.iscoroutinefunction(getattr(face, name)) for name in about_orders)
    assert not face.has["createTrailingAmountOrder"]
    assert not face.has["createReduceOnlyOrder"]
    assert face.has["createPostOnlyOrder"]
    assert not face.has["fetchTicker"]


async def test_features_have_ccxts_keys(face: Any, theirs: Any) -> None:
    """What ccxt's Bitso declares and cannot do (defect 7) is declared here, and done."""
    ours, others = face.features["spot"], theirs.features["spot"]

    assert set(others["createOrder"]) <= set(ours["createOrder"])
    assert ours["createOrder"]["timeInForce"] == {"GTC": True, "IOC": True, "FOK": True, "PO": True, "GTD": False}
    assert ours["createOrder"]["triggerPrice"] is True
    assert ours["createOrder"]["marketBuyByCost"] is True
    assert ours["fetchOrders"] is None
    assert set(others) - {"fetchOHLCV"} <= set(ours)


async def test_every_call_has_its_camel_case_twin(face: Any) -> None:
    """ccxt has both spellings of everything."""
    import ccxt

    names = [name for name in dir(ccxt.Exchange) if "_order" in name and not name.endswith("_ws")]
    ours = [name for name in names if name in dir(type(face))]

    assert len(ours) > 30
    for name in ours:
        first, *others = name.split("_")
        twin = first + "".join(map(str.title, others))
        assert getattr(type(face), twin) is getattr(type(face), name)
        assert hasattr(ccxt.Exchange(), twin)


async def test_the_rest_goes_to_the_callers_own_object(sim: Simulator, face_of: Any) -> None:
    """Tickers and balances, settings read and set; beside orders placed with the same key."""
    from ccxt.async_support import bitso

    rest = bitso(ccxt_settings(sim))
    face = face_of(rest_of=rest)
    await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)

    ticker = await face.fetch_ticker("BTC/MXN")
    balance = await face.fetchBalance()
    await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    again = await face.fetch_balance()
    face.timeout = 1234

    assert ticker["last"] > 0
    assert balance["MXN"]["used"] == 5600.0
    assert again["MXN"]["used"] == 11200.0
    assert rest.timeout == face.timeout == 1234
    assert face.has["fetchTicker"]
    assert face.iso8601(0) == "1970-01-01T00:00:00.000Z"


async def test_the_nonces_of_another_key_are_left_alone(sim: Simulator, face_of: Any) -> None:
    """An object that signs with a key of its own keeps its own nonces."""
    from ccxt.async_support import bitso

    rest = bitso({**ccxt_settings(sim), "apiKey": "another"})

    face_of(rest_of=rest)

    assert len(str(rest.nonce())) == 13


@pytest.mark.parametrize(
    "name",
    ["createTrailingAmountOrder", "create_order_ws", "edit_orders", "cancel_all_orders_after", "createTwapOrder"],
)
async def test_no_order_is_placed_past_the_bridge(sim: Simulator, face_of: Any, name: str) -> None:
    """What would place, edit or cancel on the caller's own object is NotSupported, and `has` says so."""
    import ccxt
    from ccxt.async_support import bitso

    face = face_of(rest_of=bitso(ccxt_settings(sim)))

    with pytest.raises(ccxt.NotSupported, match="bridge only"):
        getattr(face, name)
    assert not hasattr(face, name)


async def test_orders_are_never_read_at_another_exchange(sim: Simulator, face_of: Any) -> None:
    """Beside Bitcain an object of Bitso tells tickers and balances; what it would tell of orders is NotSupported."""
    import ccxt
    from ccxt.async_support import bitso

    bridge = bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"})
    face = face_of(bridge, "bitcain", rest_of=bitso(ccxt_settings(sim)))
    own = face_of(rest_of=bitso(ccxt_settings(sim)))

    for name in ("fetch_orders_ws", "fetchOpenOrdersWs", "watch_orders", "watchMyTrades"):
        with pytest.raises(ccxt.NotSupported, match="other orders"):
            getattr(face, name)
        assert callable(getattr(own, name))
    assert (await face.fetch_order_book("BTC/MXN"))["bids"]
    assert "MXN" in await face.fetch_balance()
    assert face.has["fetchOrder"]
    assert not face.has["fetchMyTrades"]


async def test_without_a_rest_the_message_says_what_is_missing(face: Any) -> None:
    """It is ccxt's NotSupported, and an AttributeError for `hasattr` and `getattr` with a default."""
    import ccxt

    with pytest.raises(ccxt.NotSupported, match="rest_of"):
        await face.fetch_ticker("BTC/MXN")
    with pytest.raises(ccxt.NotSupported, match="rest_of"):
        face.verbose = True
    with pytest.raises(AttributeError, match="told by the gateway"):
        face.markets = {}
    assert not hasattr(face, "fetch_ohlcv")
    assert getattr(face, "rateLimit", 7) == 7
    with pytest.raises(AttributeError):
        _ = face._no_such
    assert face.id == "bitso"


async def test_a_bot_has_its_clock_without_a_rest(face: Any) -> None:
    """What bots need for `since` and at their start is there: times, a name, and a rate limit that they may set."""
    assert face.iso8601(0) == "1970-01-01T00:00:00.000Z"
    assert face.parse8601("1970-01-01T00:00:01Z") == 1000
    assert face.milliseconds() > face.seconds() > 1_600_000_000
    assert face.name == "Bitso"
    face.enableRateLimit = False
    assert face.enableRateLimit is True
    assert not hasattr(face, "session")


async def test_markets_are_fetched_as_a_list(sim: Simulator, face: Any) -> None:
    """As ccxt has it: read anew, each as `market` gives it; and a bot can wait in milliseconds."""
    before = sim.bitso.requests["GET /api/v3/available_books"]
    began = asyncio.get_running_loop().time()

    listed = await face.fetch_markets()
    await face.sleep(20)

    assert face.has["fetchMarkets"]
    assert listed == [face.market(row["symbol"]) for row in listed]
    assert sim.bitso.requests["GET /api/v3/available_books"] == before + 1
    assert asyncio.get_running_loop().time() - began >= 0.02


async def test_bitcain_asks_the_rest_for_markets(sim: Simulator, face_of: Any) -> None:
    """It tells no rules of its own: those of the rest are told, its steps applied, and no other symbol taken."""
    import ccxt
    from ccxt.async_support import bitso

    def bridge() -> OrderBridge:
        return bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"})

    def bridge_of() -> Any:
        return face_of(bridge(), "bitcain", rest_of=bitso(ccxt_settings(sim)))

    helped, unloaded = bridge_of(), bridge_of()
    markets = await helped.load_markets()
    order = await unloaded.create_order("BTC/USDT", "limit", "buy", 0.1 + 0.2, 30000.123456)
    with pytest.raises(ccxt.BadSymbol):
        await unloaded.create_order("NOPE/USDT", "limit", "buy", 0.01, 300)

    assert order["amount"] == 0.3
    assert order["price"] == float(helped.price_to_precision("BTC/USDT", 30000.123456)) != 30000.123456

    assert helped.markets == markets
    assert helped.markets_by_id["btc_usdt"][0]["symbol"] == "BTC/USDT"
    assert helped.amount_to_precision("BTC/USDT", 0.123456789) == "0.12345678"
    assert helped.market("BTC/USDT")["symbol"] in helped.symbols


async def test_bitcain_alone_has_markets_without_rules(sim: Simulator, face_of: Any) -> None:
    """Nobody tells which there are: those that the gateway was told are listed, and any other is taken."""
    import ccxt

    told = {"trading_mode": "paper", "symbols": {"BTCUSDT": "BTC/USDT"}}
    face = face_of(bridge_over(sim, venue="bitcain", gateway=told), "bitcain")

    with pytest.raises(ccxt.ExchangeError, match="not loaded"):
        face.market("BTC/USDT")
    markets = await face.load_markets()

    assert list(markets) == face.symbols == ["BTC/USDT"]
    assert markets["BTC/USDT"]["precision"] == {"amount": None, "price": None}
    assert face.market("ETH/USDT")["base"] == "ETH"
    assert face.amount_to_precision("BTC/USDT", 0.1) == "0.1"
    assert (await face.create_order("ETH/USDT", "limit", "buy", 0.1, 3000))["amount"] == 0.1
    with pytest.raises(ccxt.BadSymbol):
        face.market("nothing")


async def test_a_market_has_the_venues_own_id_where_the_rest_knows_it(sim: Simulator, face_of: Any) -> None:
    """Loading loads those of the rest too, so that its own calls know the symbols."""
    from ccxt.async_support import bitso

    rest = bitso(ccxt_settings(sim))
    face = face_of(rest_of=rest)
    markets = await face.load_markets()

    assert set(rest.markets) >= {"BTC/MXN"}
    assert markets["BTC/MXN"]["id"] == rest.market_id("BTC/MXN") == "btc_mxn"
    assert face.markets_by_id["btc_mxn"] == [face.market("BTC/MXN")]
    assert await face.load_markets() is markets
    assert (await face.load_markets(True))["BTC/MXN"]["id"] == "btc_mxn"


async def test_closing_closes_what_it_owns(sim: Simulator) -> None:
    """The bridge and the rest, twice without harm; with `owns=False` neither. After that every call says closed."""
    import ccxt
    from ccxt.async_support import bitso

    kept, rest = bridge_over(sim), bitso(ccxt_settings(sim))
    async with as_ccxt(kept, "bitso", rest, owns=False) as borrowed:
        await borrowed.fetch_open_orders()
        await borrowed.fetch_ticker("BTC/MXN")
    async with as_ccxt(kept, "bitso", rest) as owner:
        await owner.fetch_open_orders()
    await owner.close()

    assert rest.session is None
    for call in (owner.create_order("BTC/MXN", "limit", "buy", 0.01, 560000), owner.fetch_open_orders()):
        with pytest.raises(ccxt.ExchangeError, match="closed"):
            await call
    assert sim.bitso.requests[PLACE] == 0


async def test_credentials_that_are_refused_are_ccxts_error(sim: Simulator, face_of: Any) -> None:
    """Nothing was placed, and bots do not retry it."""
    import ccxt

    face = face_of(bridge_over(sim, gateway={"api_secret": "wrong"}))

    with pytest.raises(ccxt.AuthenticationError):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    with pytest.raises(ccxt.AuthenticationError):
        await face.fetch_open_orders()
    assert sim.bitso.accepted() == []


async def test_refusals_have_ccxts_classes(sim: Simulator, face: Any) -> None:
    """Defect 15 of ccxt: there a lack of funds and others are plain ExchangeErrors."""
    import ccxt

    sim.bitso.settings.trading = "off"
    with pytest.raises(ccxt.MarketClosed):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    sim.bitso.settings.trading = "on"
    sim.bitso.settings.most_open_orders = 0
    with pytest.raises(ccxt.OperationRejected):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    sim.bitso.settings.most_open_orders = 10
    with pytest.raises(ccxt.InvalidOrder):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 50)


def test_a_second_event_loop_is_refused_before_anything_is_sent() -> None:
    """One clear error, and no order."""
    import ccxt

    first = asyncio.new_event_loop()
    with Simulator(seed=1) as sim:
        face = as_ccxt(bridge_over(sim), "bitso")
        first.run_until_complete(face.load_markets())

        for _ in range(2):
            with pytest.raises(ccxt.ExchangeError, match="loop"):
                asyncio.run(face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000))
        assert sim.bitso.requests[PLACE] == 0
        first.run_until_complete(face.close())
    first.close()


@pytest.mark.parametrize(
    "settings",
    [{"rounding": "up"}, {"resolve_for": -1}, {"resolve_for": "30"}, {"timeout": True}, {"send_within": float("nan")}],
)
async def test_settings_that_mean_nothing_are_refused(sim: Simulator, settings: dict[str, Any]) -> None:
    """When the face is made, by our own ConfigurationError."""
    bridge = bridge_over(sim)

    with pytest.raises(ConfigurationError):
        as_ccxt(bridge, "bitso", **settings)
    with pytest.raises(ConfigurationError, match="bitso"):
        as_ccxt(bridge, "kraken")
    for none in (None, bridge["bitso"], "bitso"):
        with pytest.raises(ConfigurationError, match="OrderBridge"):
            as_ccxt(none, "bitso")  # type: ignore[arg-type]
    await bridge.aclose()

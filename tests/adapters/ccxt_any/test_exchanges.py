"""What an exchange can do: read from ccxt for every one of them, and corrected with a reason."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt.async_support
import pytest

from orderbridge import OrderRequest
from orderbridge.adapters.ccxt_any import CcxtGateway, overrides
from orderbridge.adapters.ccxt_any.exchanges import ANY_ID, OLDEST, Traits, declared
from orderbridge.adapters.ccxt_any.overrides import OVERRIDES
from orderbridge.client_ids import SHORTEST, is_ours, mint
from orderbridge.errors import ConfigurationError, NotSupported
from orderbridge.model.basics import EditClass, Idempotency, OrderType, Side, TimeInForce
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt


@cache
def traits_of(name: str) -> Traits:
    return overrides.traits_of(getattr(ccxt.async_support, name)())


@pytest.mark.parametrize("name", ccxt.async_support.exchanges)
def test_every_exchange_has_capabilities(name: str) -> None:
    """None breaks the reading; client ids, stops and edits stand in our table only."""
    traits = traits_of(name)
    capabilities = traits.capabilities

    assert TimeInForce.GTC in capabilities.times_in_force
    assert (capabilities.order_types <= {OrderType.LIMIT, OrderType.MARKET}) is (traits.stops is None)
    assert capabilities.edit is (EditClass.IN_PLACE if traits.edits else EditClass.NONE)
    assert (capabilities.client_order_id is None) is (traits.client_ids is None)
    if name not in OVERRIDES:
        assert (traits.client_ids, traits.stops, traits.edits) == (None, None, False)
        assert capabilities.idempotency is Idempotency.NONE


@pytest.mark.parametrize("name", OVERRIDES)
def test_override_rows_correct_what_ccxt_declares(name: str) -> None:
    """Each row is of an exchange and a field that there are, and says something else than ccxt does."""
    # Newer versions do not have coinex.
    assert name in {*ccxt.async_support.exchanges, "coinex"}
    if name == "coinex":
        return
    told = declared(getattr(ccxt.async_support, name)())

    assert [field for field, value in OVERRIDES[name].items() if getattr(told, field) == value] == []


def test_bitso_declares_none_of_what_ccxt_does_wrongly() -> None:
    """The defects of ccxt's Bitso that reach an order are capabilities that it lacks."""
    capabilities = traits_of("bitso").capabilities

    assert capabilities.times_in_force == {TimeInForce.GTC}
    assert (capabilities.post_only, capabilities.quote_sizing, capabilities.reduce_only) == (False, False, False)
    assert capabilities.client_order_id is None
    assert capabilities.history is False


@pytest.mark.parametrize("name", [name for name, rows in OVERRIDES.items() if "client_ids" in rows])
def test_client_ids_of_ours_fit_the_rule(name: str) -> None:
    """An id that we make is one that the exchange takes."""
    ids = traits_of(name).client_ids
    if ids is None:
        return

    assert ids.rule.max_length >= SHORTEST
    made = mint(1_767_607_200.0, max_length=ids.rule.max_length)
    assert re.fullmatch(f"[{ids.rule.alphabet}]{{1,{ids.rule.max_length}}}", made)
    assert is_ours(made)
    assert traits_of(name).capabilities.idempotency is Idempotency.TAG_ONLY


def exchange(has: dict[str, Any] | None = None, spot: Any = None, **options: Any) -> Any:
    return SimpleNamespace(
        id="any", has={"createOrder": True, **(has or {})}, features={"spot": spot or {}}, options=options
    )


def test_none_means_no() -> None:
    """What ccxt does not say it cannot do."""
    traits = declared(
        exchange({"fetchOrders": None, "createMarketOrder": None}, {"createOrder": {"timeInForce": None}})
    )

    assert traits.order_types == {OrderType.LIMIT}
    assert traits.times_in_force == {TimeInForce.GTC}
    assert (traits.post_only, traits.orders.exists, traits.quote_sides) == (False, False, frozenset())


def test_no_features_at_all() -> None:
    """An exchange without features is read without them."""
    bare = SimpleNamespace(id="any", has={"createOrder": True}, features=None, options=None)

    assert declared(bare).capabilities.fills is False


@pytest.mark.parametrize(
    ("name", "by_symbol"), [("bitso", True), ("gate", False), ("binance", False), ("mexc", True), ("bithumb", True)]
)
def test_lists_by_symbol_are_declared(name: str, by_symbol: bool) -> None:
    """Where open orders are listed for one symbol at a time, whoever wants all must be told."""
    assert traits_of(name).capabilities.open_orders_by_symbol is by_symbol


@pytest.mark.parametrize(("told", "sides"), [(True, {Side.SELL}), (None, {Side.SELL}), (False, set(Side))])
def test_market_buys_in_base_must_be_shown(told: bool | None, sides: set[Side]) -> None:
    """Where ccxt does not say that a market buy's amount is base, it may be a cost: base is refused for buys."""
    known = exchange({"createMarketOrder": True}, createMarketBuyOrderRequiresPrice=told)

    assert declared(known).base_sides == sides


@pytest.mark.parametrize(
    ("buy", "sell", "both", "sides"),
    [
        (True, None, None, {Side.BUY}),
        (None, True, None, {Side.SELL}),
        (None, None, True, set(Side)),
        (True, False, True, {Side.BUY}),
        (False, False, False, set()),
    ],
)
def test_sides_that_can_be_sized_in_quote(
    buy: bool | None, sell: bool | None, both: bool | None, sides: set[Side]
) -> None:
    """A side that is denied is not claimed because both are: Kraken would take the quote of a sell for coins."""
    calls = {"createMarketBuyOrderWithCost": buy, "createMarketSellOrderWithCost": sell}

    assert declared(exchange({**calls, "createMarketOrderWithCost": both})).quote_sides == sides


@pytest.mark.parametrize("name", ["luno", "coinmate", "coincheck", "btcturk", "bit2c"])
async def test_an_exchange_that_spends_the_amount_gets_no_market_buy_in_base(name: str) -> None:
    """Half a coin would be half a dollar: refused before anything is sent, and a limit order is named instead."""
    async with stubbed(name, lambda *_: (200, {"id": "12345678"})) as known:
        with pytest.raises(NotSupported, match="limit order"):
            await known.gateway.submit(OrderRequest.market(symbol="BTC/USDT", side="buy", quantity="0.5"))

    assert known.sent == []


@pytest.mark.parametrize("name", ["binance", "kraken", "bitso", "okx", "mexc", "coinbaseexchange", "whitebit"])
def test_market_buys_in_base_that_were_shown(name: str) -> None:
    """Where the field of the request names the base, a market buy in base stays."""
    assert traits_of(name).base_sides == set(Side)


@pytest.mark.parametrize(
    "id", ["12345", "OUF4EM-FRGI2-MQMWZD", "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10", "yWTQGxDMZVimZgZk"]
)
def test_ids_that_may_be_asked_for(id: str) -> None:
    """Numbers, UUIDs, and letters as long as an id is."""
    assert Traits(id_shape=ANY_ID).could_be_id(id)


@pytest.mark.parametrize(
    "id",
    [
        "",
        "all",
        "open",
        "cancel_all",
        "a/1",
        "../1",
        "1..2",
        "1?x=2",
        "1&x",
        "1%2e",
        "1 2",
        "1,2",
        "é1",
        "-1",
        "x" * 200,
    ],
)
def test_ids_that_are_never_sent(id: str) -> None:
    """Words of a path, anything that would leave the path, and what is too short to be an id without a digit."""
    assert not Traits(id_shape=ANY_ID).could_be_id(id)


@pytest.mark.parametrize("version", ["4.5.9", "4.5.83"])
def test_an_older_ccxt_is_refused_in_words_that_say_what_to_do(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bots that pin one would place what nobody looked at; the oldest that is taken is the one that is asked for."""
    asked_for = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]

    monkeypatch.setattr("ccxt.__version__", version)
    with pytest.raises(ConfigurationError, match=f"ccxt {version} is too old .*>={OLDEST}"):
        CcxtGateway("kraken", config={"api_key": "k", "api_secret": "s"})
    monkeypatch.setattr("ccxt.__version__", OLDEST)
    CcxtGateway("kraken", config={"api_key": "k", "api_secret": "s"})

    assert asked_for["optional-dependencies"]["ccxt"] == [f"ccxt>={OLDEST}"]

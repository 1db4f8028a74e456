"""The markets of the simulated Bitso, and their rules."""

import asyncio
from decimal import Decimal

import pytest

from orderbridge import Market, OrderRequest
from orderbridge.adapters.bitso.markets import market_from_row
from orderbridge.errors import OrderDenied, VenueUnavailable
from orderbridge.http.policy import Retries
from orderbridge.simulator import Simulator

QUICK = Retries(tries=1)
ROW = {
    "book": "btc_mxn",
    "minimum_amount": ".0000006",
    "maximum_amount": "600",
    "minimum_price": "100000",
    "maximum_price": "40000000",
    "minimum_value": "10",
    "maximum_value": "200000000",
    "tick_size": "10",
    "fees": {"flat_rate": {"maker": "0.600", "taker": "0.780"}},
}


def test_row_of_available_books() -> None:
    """Bounds are by base, price and value; percents become fractions; a missing leading zero is no matter."""
    assert market_from_row(ROW, precision={"btc": 8}, fees={}) == Market(
        symbol="BTC/MXN",
        price_tick=Decimal(10),
        quantity_step=Decimal("0.00000001"),
        min_quantity=Decimal("0.0000006"),
        max_quantity=Decimal(600),
        min_price=Decimal(100000),
        max_price=Decimal(40000000),
        min_value=Decimal(10),
        max_value=Decimal(200000000),
        maker_fee=Decimal("0.006"),
        taker_fee=Decimal("0.0078"),
    )


def test_own_fees_go_before_the_general_ones() -> None:
    """What the account pays is what counts, zero included."""
    own = {"btc_mxn": {"book": "btc_mxn", "maker_fee_decimal": "0", "taker_fee_decimal": "0.001"}}

    market = market_from_row(ROW, precision={}, fees=own)

    assert (market.maker_fee, market.taker_fee) == (Decimal(0), Decimal("0.001"))
    assert market.quantity_step is None


async def test_markets_are_kept_until_refreshed(sim: Simulator) -> None:
    """One load serves everybody; `refresh` makes another."""
    async with sim.bitso.gateway() as gateway:
        first, second = await asyncio.gather(gateway.markets(), gateway.markets())
        loads = sim.bitso.requests["GET /api/v3/available_books"]
        await gateway.markets(refresh=True)

    assert first == second
    assert first["BTC/MXN"].price_tick == Decimal(10)
    assert (loads, sim.bitso.requests["GET /api/v3/available_books"]) == (1, 2)


async def test_caller_who_leaves_does_not_take_the_load_along(sim: Simulator) -> None:
    """A cancelled caller leaves the load to those who still wait."""
    sim.bitso.fault("delay", operation="books", seconds=0.2)

    async with sim.bitso.gateway() as gateway:
        leaving = asyncio.create_task(gateway.markets())
        staying = asyncio.create_task(gateway.markets())
        await asyncio.sleep(0.05)
        leaving.cancel()
        markets = await staying

    assert "BTC/MXN" in markets
    assert sim.bitso.requests["GET /api/v3/available_books"] == 1


async def test_failed_load_is_tried_anew(sim: Simulator) -> None:
    """A load that failed is an error for its callers, and none for those who come later."""
    sim.bitso.fault("error_5xx", operation="books", times=1)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        with pytest.raises(VenueUnavailable):
            await gateway.markets()
        assert "BTC/MXN" in await gateway.markets()


async def test_steps_and_fees_are_optional(sim: Simulator) -> None:
    """Without the catalogue and the account's fees the other rules hold all the same."""
    sim.bitso.fault("error_5xx", operation="catalogues")
    sim.bitso.fault("error_5xx", operation="fees")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        market = (await gateway.markets())["BTC/MXN"]

    assert (market.quantity_step, market.price_tick) == (None, Decimal(10))
    assert market.maker_fee == Decimal("0.006")


async def test_given_markets_are_used_without_asking(sim: Simulator) -> None:
    """A mapping given to the gateway is its rules."""
    given = {"BTC/MXN": Market(symbol="BTC/MXN", price_tick="1000")}

    async with sim.bitso.gateway(markets=given) as gateway:
        with pytest.raises(OrderDenied):
            await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560100"))

    assert sum(sim.bitso.requests.values()) == 0

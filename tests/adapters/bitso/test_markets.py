"""The markets of the simulated Bitso, and their rules."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import Market, OrderRequest
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.adapters.bitso.mapping import market_from_row
from orderbridge.errors import OrderDenied, VenueUnavailable
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.http.transport import NothingSent
from orderbridge.simulator import Simulator
from orderbridge.venue.markets import MarketRules, MarketStore, PublicRules

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


class Told:
    """A transport on which every account has fees of its own; `held` keeps the books back until it is set."""

    def __init__(self, *, held: bool = False, broken: bool = False) -> None:
        self.asked: Counter[str] = Counter()
        self.go = asyncio.Event()
        self.books_asked = asyncio.Event()
        self.tick = "10"
        self._broken = broken
        if not held:
            self.go.set()

    async def send(self, request: WireRequest, *, timeout: float, **_: object) -> WireResponse:
        path = request.target.removeprefix("/api/v3/").partition("?")[0]
        self.asked[f"{request.method} {path}"] += 1
        if path == "available_books":
            self.books_asked.set()
            await self.go.wait()
            if self._broken:
                raise NothingSent("this account's proxy is gone")
        payload: object = {"oid": f"oid{sum(self.asked.values())}"}
        if path == "available_books":
            payload = [{**ROW, "tick_size": self.tick}]
        elif path == "catalogues":
            payload = {"currencies": {"metadata": [{"code": "btc", "precision": 8}]}}
        elif path == "fees":
            own = request.headers["authorization"].split(":")[0].removeprefix("Bitso key")
            payload = {"fees": [{"book": "btc_mxn", "maker_fee_decimal": f"0.{own}", "taker_fee_decimal": "0"}]}
        return WireResponse(200, {}, json.dumps({"success": True, "payload": payload}).encode())

    async def aclose(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def accounts(*transports: Told) -> AsyncIterator[list[BitsoGateway]]:
    """An account for each transport, all at one address; the keys are key001, key002 and so on."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                BitsoGateway(
                    api_key=f"key{number:03}",
                    api_secret="secret",
                    account=f"a{number}",
                    transport=transport,
                    retries=QUICK,
                )
            )
            for number, transport in enumerate(transports, 1)
        ]


async def test_a_hundred_accounts_load_the_public_rules_once() -> None:
    """What Bitso tells everybody is asked for once for all accounts of an address, and all of them place."""
    told = Told()

    async with accounts(*[told] * 100) as gateways:
        request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560100")
        orders = await asyncio.gather(*(gateway.submit(request, timeout=15) for gateway in gateways))

    assert len(orders) == 100
    assert told.asked == {"GET available_books": 1, "GET catalogues": 1, "GET fees": 100, "POST orders": 100}


async def test_each_account_has_its_own_fees_over_the_shared_rules() -> None:
    """The rules are everybody's, the fees are those of the key that asked for them."""
    told = Told()

    async with accounts(told, told) as gateways:
        fees = [(await gateway.markets())["BTC/MXN"].maker_fee for gateway in gateways]

    assert fees == [Decimal("0.001"), Decimal("0.002")]
    assert told.asked["GET available_books"] == 1


async def test_rules_loaded_anew_by_one_account_are_those_of_all() -> None:
    """After a refresh no account holds its orders against the older rules, nor loads them a second time."""
    told = Told()

    async with accounts(told, told) as (one, other):
        await asyncio.gather(one.markets(), other.markets())
        told.tick = "20"
        await one.markets(refresh=True)
        market = (await other.markets())["BTC/MXN"]

    assert (market.price_tick, market.maker_fee) == (Decimal(20), Decimal("0.002"))
    assert told.asked["GET available_books"] == 2
    assert told.asked["GET fees"] == 3


async def test_account_that_closes_while_it_loads_leaves_the_load_to_another() -> None:
    """Those who waited for its load make one themselves, and none of them hears of the end of another."""
    told = Told(held=True)

    async with accounts(told, told, told) as (one, *others):
        loading = asyncio.ensure_future(one.markets())
        await told.books_asked.wait()
        waiting = [asyncio.ensure_future(other.markets()) for other in others]
        while told.asked["GET fees"] < 3:  # noqa: ASYNC110 - by then they wait for the load
            await asyncio.sleep(0)
        await one.aclose()
        told.go.set()
        found = await asyncio.gather(*waiting)
        with pytest.raises(VenueUnavailable, match="closed"):
            await loading

    assert [markets["BTC/MXN"].maker_fee for markets in found] == [Decimal("0.002"), Decimal("0.003")]
    assert told.asked["GET available_books"] == 2


@pytest.mark.parametrize("ends", ["closed", "failed"])
async def test_who_asks_in_the_very_turn_in_which_a_load_ends_makes_another(ends: str) -> None:
    """Between the end of a load and what follows from it nobody waits for it, in a circle or else."""
    rules, go = PublicRules(), asyncio.Event()
    one, other = (MarketStore(MarketRules(public=None, market=None), gateway=name, log=None) for name in "ab")  # type: ignore[arg-type]

    async def ending() -> Any:
        await go.wait()
        raise VenueUnavailable("this account's proxy is gone")

    async def loaded() -> Any:
        return "rules"

    async def at_once() -> Any:
        load = rules._load
        while load is not None and not load.done():  # noqa: ASYNC110 - to the turn in which it ends, and no further
            await asyncio.sleep(0)
        assert rules._load is load
        return await rules.get(loaded, loader=other, fresh=False)

    first = asyncio.ensure_future(rules.get(ending, loader=one, fresh=False))
    await asyncio.sleep(0.01)
    leaving = [asyncio.ensure_future(rules.leave(one))] if ends == "closed" else []
    go.set()
    asked = asyncio.ensure_future(at_once())
    await asyncio.gather(first, *leaving, return_exceptions=True)

    assert await asked == rules.known == "rules"


async def test_a_load_that_fails_for_one_account_is_tried_by_another() -> None:
    """A proxy that only one account goes through costs the others nothing but the wait."""
    broken, told = Told(held=True, broken=True), Told()

    async with accounts(broken, told, told) as (one, *others):
        loading = asyncio.ensure_future(one.markets())
        await broken.books_asked.wait()
        waiting = [asyncio.ensure_future(other.markets()) for other in others]
        while told.asked["GET fees"] < 2:  # noqa: ASYNC110 - by then they wait for the load
            await asyncio.sleep(0)
        broken.go.set()
        found = await asyncio.gather(*waiting)
        with pytest.raises(VenueUnavailable, match="proxy is gone"):
            await loading

    assert all("BTC/MXN" in markets for markets in found)
    assert told.asked["GET available_books"] == 1


async def test_where_nobody_can_load_the_rules_each_account_hears_it_as_its_own() -> None:
    """After two loads have failed the others give up too: the error names the gateway that was asked."""
    broken = Told(broken=True)

    async with accounts(*[broken] * 5) as gateways:
        errors = await asyncio.gather(*(gateway.markets() for gateway in gateways), return_exceptions=True)

    assert [getattr(error, "gateway", error) for error in errors] == [gateway.name for gateway in gateways]
    assert {type(error) for error in errors} == {VenueUnavailable}
    assert broken.asked["GET available_books"] == 2

"""Errors are ccxt's, of the class that its bots act on."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import LIMIT, LONG, SOON, put, unknown_create

pytestmark = pytest.mark.ccxt


def below(kind: type[errors.OrderBridgeError]) -> Iterator[type[errors.OrderBridgeError]]:
    """The classes of our tree of errors, from this one down, as far as errors.py has them."""
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from below(each)


# What a bot repeats as it is; and what it takes for the word of the exchange that the order is wrong.
REPEATED = {"NotSent", "NotAdmitted", "VenueUnavailable", "RateLimited", "OutcomeUnknown"}
WRONG = {"OrderDenied", "OrderRejected", "InvalidOrder", "OrderNotActive", "KeyInUse", "DuplicateClientOrderId"}
WRONG |= {"OrderNotFound"}  # a class of theirs below it


@pytest.mark.parametrize("kind", sorted(set(below(errors.OrderBridgeError)), key=lambda each: each.__name__))
def test_each_of_our_errors_has_its_class(kind: type[errors.OrderBridgeError]) -> None:
    """A NetworkError only for what may be repeated, an InvalidOrder only for what was refused."""
    import ccxt

    from orderbridge.ccxt.errors import translated

    facts: dict[str, Any] = {"placement": None} if kind is errors.KeyInUse else {}

    told = translated(kind("why", **facts))

    assert isinstance(told, ccxt.BaseError)
    assert "why" in str(told)
    assert isinstance(told, ccxt.NetworkError) is (kind.__name__ in REPEATED)
    assert isinstance(told, ccxt.InvalidOrder) is (kind.__name__ in WRONG)


def test_a_write_that_may_be_repeated_is_a_plain_timeout() -> None:
    """A cancel does no harm twice."""
    import ccxt

    from orderbridge.ccxt.errors import translated

    assert type(translated(errors.OutcomeUnknown("why"), repeatable=True)) is ccxt.RequestTimeout


async def test_what_they_carry_crosses_processes(sim: Simulator, exchange_of: Any) -> None:
    """They pickle, with the placement, the ids and the order."""
    from orderbridge.ccxt.errors import OrderNotPlaced, StrayFilled

    unknown = await unknown_create(sim, exchange_of(horizon=LONG, resolve_for=SOON))
    others = [OrderNotPlaced("absent", placement=unknown.placement), StrayFilled("filled", order={"id": "1"})]

    again, *others_again = pickle.loads(pickle.dumps([unknown, *others]))

    assert (str(again), again.client_order_id) == (str(unknown), unknown.client_order_id)
    assert again.placement == others_again[0].placement == unknown.placement
    assert others_again[1].order == {"id": "1"}


async def test_credentials_that_are_refused_are_ccxts_error(sim: Simulator, exchange_of: Any) -> None:
    """Nothing was placed, and bots do not retry it."""
    import ccxt

    exchange = exchange_of(bridge_over(sim, gateway={"api_secret": "wrong"}))

    with pytest.raises(ccxt.AuthenticationError):
        await exchange.create_order(*LIMIT)
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_open_orders()
    assert sim.bitso.accepted() == []


async def test_a_nonce_that_is_refused_is_ccxts_invalid_nonce(sim: Simulator, exchange_of: Any) -> None:
    """Of every call: nothing was done, and bots try again, after which one order is there."""
    import ccxt

    exchange = exchange_of()
    oid = put(sim)
    sim.bitso.fault("wrong_nonce")
    calls = [
        lambda: exchange.create_order(*LIMIT),
        lambda: exchange.fetch_order(oid),
        exchange.fetch_open_orders,
        exchange.fetch_my_trades,
        lambda: exchange.cancel_order(oid),
        exchange.cancel_all_orders,
    ]

    for call in calls:
        with pytest.raises(ccxt.InvalidNonce):
            await call()
    sim.bitso.clear_faults()

    order = await exchange.create_order(*LIMIT)
    assert [each.oid for each in sim.bitso.accepted()] == [oid, order["id"]]


async def test_refusals_have_ccxts_classes(sim: Simulator, exchange: Any) -> None:
    """Defect 15 of ccxt: there a lack of funds and others are plain ExchangeErrors."""
    import ccxt

    sim.bitso.settings.trading = "off"
    with pytest.raises(ccxt.MarketClosed):
        await exchange.create_order(*LIMIT)
    sim.bitso.settings.trading = "on"
    sim.bitso.settings.most_open_orders = 0
    with pytest.raises(ccxt.OperationRejected):
        await exchange.create_order(*LIMIT)
    sim.bitso.settings.most_open_orders = 10
    with pytest.raises(ccxt.InvalidOrder):
        await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 50)


@pytest.mark.parametrize("settings", [{"resolve_for": -1}, {"resolve_for": "30"}, {"timeout": float("nan")}])
async def test_settings_that_mean_nothing_are_refused(exchange_of: Any, settings: dict[str, Any]) -> None:
    """When the calls are set up, by our own ConfigurationError; a gateway that is not there too."""
    with pytest.raises(errors.ConfigurationError):
        exchange_of(**settings)
    with pytest.raises(errors.ConfigurationError, match="bitso"):
        exchange_of(name="kraken")

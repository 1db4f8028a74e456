"""What may be reached of the caller's own object: reads; nothing that writes, or that moves it without the orders."""

from collections.abc import Iterator
from typing import Any

import pytest

from orderbridge.ccxt_face import as_ccxt, as_ccxt_sync
from orderbridge.errors import ConfigurationError
from orderbridge.simulator import Simulator
from tests.ccxt_face.conftest import bridge_over, ccxt_settings
from tests.ccxt_face.kit import LIMIT, PLACE
from tests.kind import KIND

pytestmark = pytest.mark.ccxt

MOVES: dict[str, Any] = {
    "set_sandbox_mode": lambda face: face.set_sandbox_mode(True),
    "setSandboxMode": lambda face: face.setSandboxMode(True),
    "enable_demo_trading": lambda face: face.enable_demo_trading(True),
    "enableDemoTrading": lambda face: face.enableDemoTrading(True),
    **{
        name: lambda face, name=name: setattr(face, name, "x")
        for name in ("apiKey", "secret", "password", "uid", "urls", "hostname", "privateKey")
    },
}
WRITES = [
    *("private_post_orders", "privatePostOrders", "privateDeleteOrders", "private_delete_orders_oid"),
    *("privatePatchOrders", "privatePostSpeiWithdrawal", "close_all_positions", "closePosition", "request", "fetch"),
    *(
        "fetch2",
        "sign",
        "sign_in",
        "withdraw",
        "transfer",
        "set_leverage",
        "borrow_cross_margin",
        "add_margin",
        "clone",
    ),
    *("set_markets", "create_deposit_address", "reset_account", "do_something", "private_post_get_order"),
]
READS = [
    *("private_get_balance", "privateGetUserTrades", "publicGetTicker", "fetch_ticker", "fetchBalance", "watch_ticker"),
    *("milliseconds", "iso8601", "parse8601", "safe_string", "parse_ticker", "nonce", "currency", "calculate_fee"),
    *("describe", "decimal_to_precision", "load_fees", "throttle", "market_id"),
]


@pytest.fixture
def rest(sim: Simulator) -> Any:
    """ccxt's Bitso, with methods of its own that ccxt's base class does not have."""
    from ccxt.async_support import bitso

    class Own(bitso):  # type: ignore[misc]
        def reset_account(self) -> None: ...
        def do_something(self) -> None: ...
        def private_post_get_order(self) -> None: ...
        def load_fees(self) -> None: ...

    return Own(ccxt_settings(sim))


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues, served from a thread."""
    with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


@pytest.mark.parametrize("how", MOVES)
@pytest.mark.parametrize("is_alone", [True, False])
async def test_nothing_moves_the_rest_without_the_orders(
    sim: Simulator, face_of: Any, rest: Any, how: str, is_alone: bool
) -> None:
    """A sandbox, an address or a key is NotSupported and says where it is told; the object stays as it was."""
    import ccxt

    face = face_of(rest_of=None if is_alone else rest)
    before = rest.urls["api"], rest.apiKey, rest.secret

    with pytest.raises(ccxt.NotSupported, match="told to the gateway"):
        MOVES[how](face)

    assert (rest.urls["api"], rest.apiKey, rest.secret) == before
    assert not rest.isSandboxModeEnabled


async def test_urls_are_read_only(face_of: Any, rest: Any) -> None:
    """They can be read, and setting one, however deep, is NotSupported."""
    import ccxt

    face, before = face_of(rest_of=rest), rest.urls["api"]["rest"]

    assert face.urls["api"]["rest"] == before
    with pytest.raises(ccxt.NotSupported, match="told to the gateway"):
        face.urls["api"] = {"rest": "http://elsewhere"}
    with pytest.raises(ccxt.NotSupported, match="told to the gateway"):
        face.urls["api"]["rest"] = "http://elsewhere"
    with pytest.raises(ccxt.NotSupported, match="told to the gateway"):
        face.urls.update(api={})
    assert rest.urls["api"]["rest"] == before


@pytest.mark.parametrize("name", WRITES)
async def test_what_is_no_read_is_not_there(face_of: Any, rest: Any, name: str) -> None:
    """ccxt's own endpoints, positions, raw requests and an exchange's own methods do not pass the bridge by."""
    import ccxt

    face = face_of(rest_of=rest)

    assert callable(getattr(rest, name))
    with pytest.raises(ccxt.NotSupported, match="bridge only"):
        getattr(face, name)
    assert not hasattr(face, name)
    assert not face.has.get(name)


@pytest.mark.parametrize("name", READS)
async def test_what_reads_is_there(face_of: Any, rest: Any, name: str) -> None:
    """Reads, and ccxt's helpers that ask nobody."""
    assert callable(getattr(face_of(rest_of=rest), name))


async def test_has_denies_what_is_refused(face_of: Any, rest: Any) -> None:
    """Where ccxt's object can withdraw, the face says that it cannot; what it reads stays."""
    has = face_of(rest_of=rest).has

    assert rest.has["withdraw"]
    assert not has["withdraw"]
    assert has["fetchBalance"]
    assert has["fetchTicker"]


def test_without_await_the_same_is_refused(venue: Simulator) -> None:
    """Sandbox, keys and endpoints that write are NotSupported there too, and the order goes where it did."""
    import ccxt

    rest = ccxt.bitso(ccxt_settings(venue))
    with as_ccxt_sync(bridge_over(venue), "bitso", rest_of=rest) as face:
        for how in MOVES.values():
            with pytest.raises(ccxt.NotSupported, match="told to the gateway"):
                how(face)
        for name in ("private_post_orders", "closePosition", "fetch2"):
            with pytest.raises(ccxt.NotSupported, match="bridge only"):
                getattr(face, name)
        order = face.create_order(*LIMIT)

        assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]
        assert venue.bitso.requests[PLACE] == 1


def test_a_rest_of_the_other_kind_is_refused_at_once(venue: Simulator) -> None:
    """An object with `await` beside a face without it, or the reverse, is a ConfigurationError that names the right."""
    import ccxt
    import ccxt.async_support

    plain, awaited = ccxt.bitso(), ccxt.async_support.bitso()

    with pytest.raises(ConfigurationError, match="async_support"):
        as_ccxt(bridge_over(venue), "bitso", rest_of=plain)
    with pytest.raises(ConfigurationError, match="plain ccxt"):
        as_ccxt_sync(bridge_over(venue), "bitso", rest_of=awaited)

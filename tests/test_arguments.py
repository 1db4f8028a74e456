"""Wrong arguments: whatever a public call is given, what it raises is an error of ours, with its place."""

import asyncio
import contextlib
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import (
    Market,
    Order,
    OrderBridge,
    OrderEdit,
    OrderKey,
    OrderRef,
    OrderRequest,
    Placement,
    Symbol,
    connect,
)
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError, OrderBridgeError, OrderDenied
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.http.transport import NothingSent
from orderbridge.placement import MemoryJournal, SqliteJournal
from orderbridge.sync import SyncBridge

REQUEST = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000")
ORDER = Order(venue="bitso", order_id="o1", symbol="BTC/MXN", side="buy")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLACEMENT = Placement(placement_id="p1", gateway="bitso", request=REQUEST, created_at=NOW)
# What each parameter is when it is right.
RIGHT: dict[str, Any] = {
    "ref": "bitso:x", "request": REQUEST, "requests": {"k": REQUEST}, "changes": OrderEdit(price="1"),
    "placement": PLACEMENT, "order": ORDER, "gateway": "bitso", "symbol": "BTC/MXN", "key": "k", "since": NOW,
    "scope": "account", "timeout": 0.5, "send_within": 0.5,
}  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, 5, -1, 1.5, float("nan"), float("inf"), 10**400, Decimal("NaN"), "", "x", "a:b", ":", "\ud800", "\x00",
    b"x", object(), OrderRequest, [], ["x"], [5], {}, {"k": 5}, {5: REQUEST}, (), ("bitso", "x"), date(2026, 1, 1),
    datetime(2026, 1, 1), datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC),
    lambda: None, ValueError("x"), REQUEST, ORDER, PLACEMENT,
    OrderKey("bitso", "x"), OrderRef(id="x"), OrderEdit(price="1"), "open", "read", iter(()), range(3),
)  # fmt: skip


class Silent:
    """An engine through which nothing leaves."""

    async def send(self, request: WireRequest, *, timeout: float, **more: Any) -> WireResponse:
        raise NothingSent("no network")

    async def aclose(self) -> None:
        """Nothing to close."""


def bitso(**more: Any) -> BitsoGateway:
    """A gateway that reaches nothing."""
    given: dict[str, Any] = {"transport": Silent(), "retries": Retries(tries=1), "limits": None, "markets": None}
    return BitsoGateway(**{"api_key": "k", "api_secret": "s", **given, **more})


def bitcain(**more: Any) -> BitcainGateway:
    """A gateway that reaches nothing."""
    given: dict[str, Any] = {"transport": Silent(), "retries": Retries(tries=1), "limits": None, "token": "t"}
    return BitcainGateway(**{"base_url": "https://bitcain.example", "trading_mode": "paper", **given, **more})


def bridge() -> OrderBridge:
    """A bridge over both."""
    return OrderBridge(bitso(), bitcain())


MAKERS: dict[str, Callable[[], Any]] = {
    "bridge": bridge,
    "bound": lambda: bridge()["bitso"],
    "bitso": bitso,
    "bitcain": bitcain,
    "sync": lambda: SyncBridge(bridge()),
    "sync bound": lambda: SyncBridge(bridge())["bitso"],
}
# They take no argument.
BARE = {"aclose", "close", "recover"}


def calls(kind: object) -> Iterator[tuple[str, inspect.Signature]]:
    """The public calls of an object, with what they take."""
    for name in dir(type(kind)):
        call = getattr(type(kind), name)
        if not name.startswith("_") and inspect.isfunction(call) and name not in BARE:
            yield name, inspect.signature(getattr(kind, name))


async def outcome(call: Callable[..., Any], *args: Any, **options: Any) -> BaseException | None:
    """What a call raises, awaited or iterated to its end where it has one; in a thread where it blocks."""
    try:
        async with asyncio.timeout(20):
            result = call(*args, **options)
            if isinstance(result, AsyncIterator):
                async for _ in result:
                    pass
            elif isinstance(result, Awaitable):
                await result
            elif isinstance(result, Iterator):
                for _ in result:
                    pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked at
        return error
    return None


def arguments(taken: inspect.Signature, changes: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Right arguments but for the changes."""
    args: list[Any] = []
    options: dict[str, Any] = {}
    for name, parameter in taken.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            args.append(changes.get(name, RIGHT["ref"]))
        elif name in changes or parameter.default is parameter.empty or name in {"timeout", "send_within"}:
            options[name] = changes.get(name, RIGHT.get(name))
    if args:
        return args, options
    return [], options


def unexpected(error: BaseException | None) -> bool:
    """Whether it is none of ours."""
    return error is not None and not isinstance(error, OrderBridgeError)


@pytest.mark.parametrize("kind", MAKERS)
async def test_no_wrong_argument_raises_anything_but_ours(kind: str) -> None:
    """Each argument of each public call may be anything: what follows is an error of ours, with the call's name."""
    made = MAKERS[kind]()
    assert len(list(calls(made))) >= 10
    faults = []
    for name, taken in calls(made):
        for parameter in taken.parameters:
            if taken.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD:
                continue
            for junk in JUNK:
                args, options = arguments(taken, {parameter: junk})
                error = await outcome(getattr(made, name), *args, **options)
                if unexpected(error):
                    faults.append(f"{name}({parameter}={junk!r}) -> {error!r}")
                elif isinstance(error, OrderBridgeError) and error.operation is None:
                    faults.append(f"{name}({parameter}={junk!r}) names no operation: {error!r}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda b: b.place(REQUEST, "bitso"), "gateway is a text, not a OrderRequest"),
        (lambda b: b.place("bitso", {"symbol": "BTC/MXN"}), "or a Placement of prepare, not a dict"),
        (lambda b: b.place("bitso", REQUEST, timeout="5"), "timeout is a number .*, not '5'"),
        (lambda b: b.place("bitso", REQUEST, key=5), "key is a text .*, not 5"),
        (lambda b: b["bitso"].submit(PLACEMENT), "request is an OrderRequest, .*, not a Placement"),
        (lambda b: b["bitso"].place(REQUEST, send_within="5"), "send_within is a number of seconds"),
        (lambda b: b.place_many("bitso", [REQUEST]), "requests is a mapping of keys"),
        (lambda b: b.edit("bitso:x", {"price": "1"}), "changes is an OrderEdit"),
        (lambda b: b.cancel(["bitso:x"]), "ref is a str, OrderRef, .*, not a list"),
        (lambda b: b.lookup(["a", "b"]), "refs is a str, OrderRef, .*, not a list"),
        (lambda b: b.cancel(("bitso", "x")), "not a tuple"),
        (lambda b: b.lookup("x", gateways=5), "gateways is names of gateways, not 5"),
        (lambda b: b.fills(since=date(2026, 1, 1)), "since is a datetime with its zone"),
        (lambda b: b.orders(since=datetime(2026, 1, 1)), "since is a datetime with its zone"),
        (lambda b: b.resolve("k"), "placement is a Placement"),
        (lambda b: b.observe({}), "order is an Order, not a dict"),
        (lambda b: b["bitso"].permit(5), "lane is a text, not 5"),
    ],
)  # fmt: skip
async def test_a_wrong_argument_is_told_by_its_name(call: Callable[[Any], Any], said: str) -> None:
    """The sentence names the argument, what it has to be and what it was, and the error the call and its gateway."""
    error = await outcome(lambda: call(bridge()))

    assert type(error) is ConfigurationError, error
    assert re.search(said, str(error)), error
    assert isinstance(error, OrderBridgeError)
    assert error.operation is not None
    assert error.gateway in {"bitso", None}


async def test_a_keyword_that_is_not_there_is_pythons_own_error() -> None:
    """A misspelt keyword is a TypeError, as everywhere."""
    with pytest.raises(TypeError, match="tiemout"):
        await bridge().lookup("x", tiemout=5)  # type: ignore[call-arg]


def constructors() -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Everything that is made of settings, with what is needed to make it."""
    yield "BitsoGateway", BitsoGateway, {"api_key": "k", "api_secret": "s"}
    yield "BitcainGateway", BitcainGateway, {"base_url": "https://b.example", "trading_mode": "paper", "token": "t"}
    yield "OrderBridge", partial(OrderBridge, bitso()), {}
    yield "SyncBridge", partial(SyncBridge, bitso()), {}
    yield "SqliteJournal", SqliteJournal, {"path": "never-opened.db"}
    yield "MemoryJournal", MemoryJournal, {}
    yield (
        "connect",
        partial(connect, "bitso"),
        {"settings": {"gateways": {"bitso": {"api_key": "k", "api_secret": "s"}}}},
    )
    yield "OrderRef", OrderRef, {"id": "x"}
    yield "OrderRequest", OrderRequest, {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": 1, "price": 1}
    yield "OrderEdit", OrderEdit, {"price": 1}


@pytest.mark.parametrize(("name", "make", "right"), list(constructors()), ids=[each[0] for each in constructors()])
def test_no_constructor_raises_anything_but_ours(
    name: str, make: Callable[..., Any], right: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting of all that is made may be anything: requests and edits are denied, the rest is configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    make(**right)
    taken = inspect.signature(OrderBridge if name == "SyncBridge" else make).parameters
    options = [each for each, how in taken.items() if how.kind not in {how.VAR_POSITIONAL, how.VAR_KEYWORD}]
    ours = OrderDenied if name in {"OrderRequest", "OrderEdit"} else ConfigurationError
    faults = []
    for option in options:
        for junk in JUNK:
            try:
                with contextlib.suppress(ours):
                    make(**{**right, option: junk})
            except Exception as error:  # noqa: BLE001 - whatever else it is, it is a fault
                faults.append(f"{name}({option}={junk!r}) -> {error!r}")

    assert options
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("make", [bitso, bitcain, lambda **more: OrderBridge(bitso(), **more)])
async def test_a_setting_that_is_taken_does_not_fail_later(make: Callable[..., Any]) -> None:
    """What a constructor lets in is fit for the calls: none raises anything but ours, save a caller's function."""
    kind = type(make())
    faults = []
    for option in set(inspect.signature(kind).parameters) - {"clock", "ids"}:
        for junk in JUNK:
            try:
                made = make(**{option: junk})
            except (ConfigurationError, TypeError):  # the latter for `gateways`, which is no keyword
                continue
            acts = [made.place("bitso", REQUEST, timeout=0.5)] if kind is OrderBridge else [made.submit(REQUEST)]
            for act in [*acts, made.lookup("x", timeout=0.5), made.open_orders(timeout=0.5)]:
                error = await outcome(lambda act=act: act)
                if unexpected(error):
                    faults.append(f"{kind.__name__}({option}={junk!r}) -> {error!r}")

    assert not faults, "\n".join(faults)


@given(
    fields=st.dictionaries(
        st.sampled_from([*OrderRequest.model_fields, "qty"]),
        st.one_of(st.sampled_from(JUNK), st.text(), st.integers(), st.floats(), st.decimals(), st.datetimes()),
    ),
    right=st.booleans(),
)
def test_a_request_is_made_or_denied(fields: dict[str, Any], right: bool) -> None:
    """Of whatever fields, an order is one that can be written down and read again, or OrderDenied."""
    base: dict[str, Any] = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": 1, "price": 1}
    try:
        request = OrderRequest(**{**(base if right else {}), **fields})
    except OrderDenied:
        return

    assert OrderRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("call", ["round_price", "round_quantity", "check", "Symbol"])
def test_the_helpers_around_a_request_refuse_what_it_would(call: str) -> None:
    """A market's rounding, its check, and a symbol by itself take no float and nothing that is no amount or pair."""
    market = Market(symbol="BTC/MXN", price_tick="10")
    make: Callable[[Any], Any] = {
        "round_price": lambda junk: market.round_price(junk, "buy"),
        "round_quantity": market.round_quantity,
        "check": market.check,
        "Symbol": Symbol,
    }[call]
    for junk in JUNK:
        with contextlib.suppress(OrderBridgeError):
            make(junk)
    with pytest.raises(OrderBridgeError):
        make(0.5)
    with pytest.raises(ConfigurationError, match="a side is buy or sell"):
        market.round_price(1, "long")


@pytest.mark.ccxt
async def test_no_wrong_argument_of_an_exchange_of_ccxts_raises_anything_but_ours() -> None:
    """The gateway over ccxt holds to it, too: its calls, and each of its settings."""
    from orderbridge.adapters.ccxt_any import CcxtGateway

    def make(**more: Any) -> Any:
        given: dict[str, Any] = {"exchange": "kraken", "config": {"apiKey": "k", "secret": "c2VjcmV0"}}
        return CcxtGateway(**{**given, **more})

    made = make(
        config={"apiKey": "k", "secret": "c2VjcmV0", "httpsProxy": "http://127.0.0.1:1"}, retries=Retries(tries=1)
    )
    faults = []
    for name, taken in calls(made):
        for parameter in taken.parameters:
            if taken.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD:
                continue
            for junk in JUNK:
                args, options = arguments(taken, {"symbol": "BTC/USD", parameter: junk})
                error = await outcome(getattr(made, name), *args, **options)
                if unexpected(error):
                    faults.append(f"{name}({parameter}={junk!r}) -> {error!r}")
    await made.aclose()
    for option in ("exchange", "config", "account", "limits", "sandbox", "clock", "retries"):
        for junk in JUNK:
            try:
                with contextlib.suppress(OrderBridgeError):
                    await make(**{option: junk}).aclose()
            except Exception as error:  # noqa: BLE001 - whatever else it is, it is a fault
                faults.append(f"CcxtGateway({option}={junk!r}) -> {error!r}")

    assert not faults, "\n".join(faults)

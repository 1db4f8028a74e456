"""The modules that stand for ccxt's, and the classes in them."""

import copy
import importlib
import inspect
import pickle
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.ccxt

NAMES = ["ccxt", "ccxt.async_support", "ccxt.pro"]
# Exchanges that another one is derived from, and one that is derived twice in `pro`.
FAMILY = [("binanceus", "binance"), ("okxus", "okx"), ("bequant", "hitbtc"), ("gateeu", "gate")]


@pytest.fixture(params=NAMES)
def both(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType]:
    """One of ccxt's modules, and ours in its place."""
    return importlib.import_module(request.param), importlib.import_module(f"orderbridge.{request.param}")


def test_every_name_of_ccxts_is_there(both: tuple[ModuleType, ModuleType]) -> None:
    """Each is ccxt's own, but for the exchanges, which are subclasses of ccxt's; `dir` lists them all."""
    theirs, ours = both

    for name in dir(theirs):
        known = getattr(theirs, name)
        if name in theirs.exchanges:
            assert issubclass(getattr(ours, name), known), name
        elif not name.startswith("__") and not isinstance(known, ModuleType):
            assert getattr(ours, name) is known, name
    assert set(dir(theirs)) <= set(dir(ours))
    assert ours.exchanges == theirs.exchanges
    assert ours.__version__ if theirs.__name__ == "ccxt" else True
    with pytest.raises(AttributeError):
        _ = ours.no_such_exchange


def test_a_star_import_brings_what_ccxts_does(both: tuple[ModuleType, ModuleType]) -> None:
    """`from … import *` gives the same names, the exchanges among them ours."""
    theirs, ours = both
    told: dict[str, Any] = {}
    known: dict[str, Any] = {}

    exec(f"from {ours.__name__} import *", told)
    exec(f"from {theirs.__name__} import *", known)

    assert set(known) <= set(told) | {"__builtins__"}
    assert told["binance"] is ours.binance


def test_the_errors_of_ours_are_there() -> None:
    """A bot catches them by the module that it imports."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt

    assert issubclass(ccxt.OrderOutcomeUnknown, theirs.RequestTimeout)
    assert issubclass(ccxt.OrderNotPlaced, theirs.ExchangeError)
    assert ccxt.errors.NetworkError is theirs.NetworkError


def test_the_other_two_modules_are_reached_through_the_first() -> None:
    """`ccxt.pro` and `ccxt.async_support` of ours are ours, whatever of ccxt's was imported."""
    import ccxt.pro

    import orderbridge.ccxt
    import orderbridge.ccxt.async_support

    assert orderbridge.ccxt.pro.binance is importlib.import_module("orderbridge.ccxt.pro").binance
    assert orderbridge.ccxt.async_support.binance is not ccxt.async_support.binance


def test_a_class_is_made_once_and_is_an_exchange_of_ccxts(both: tuple[ModuleType, ModuleType]) -> None:
    """It is the same at each use, with ccxt's name, and passes wherever ccxt's is asked for."""
    theirs, ours = both
    kind = ours.kraken

    assert kind is ours.kraken
    assert kind is not theirs.kraken
    assert kind.__name__ == kind.__qualname__ == "kraken"
    assert kind.__module__ == ours.__name__
    assert isinstance(kind(), theirs.kraken)
    assert isinstance(kind(), theirs.Exchange)


@pytest.mark.parametrize(("child", "parent"), FAMILY)
def test_derived_exchanges_keep_their_relation(both: tuple[ModuleType, ModuleType], child: str, parent: str) -> None:
    """What is a subclass in ccxt is one here, and its order calls are ours."""
    theirs, ours = both
    assert issubclass(getattr(theirs, child), getattr(theirs, parent)), "the test's own premise"

    assert issubclass(getattr(ours, child), getattr(ours, parent))
    assert getattr(ours, child).create_order is not getattr(theirs, child).create_order


def test_pro_is_derived_from_async_support() -> None:
    """As in ccxt, an object with streams is one with `await`."""
    import orderbridge.ccxt.async_support
    import orderbridge.ccxt.pro

    for name in ("binance", "kucoin", "okx"):
        assert issubclass(getattr(orderbridge.ccxt.pro, name), getattr(orderbridge.ccxt.async_support, name))


@pytest.mark.parametrize("name", ["binance", "kraken", "mexc", "kucoin", "okx"])
def test_an_object_looks_as_ccxts(both: tuple[ModuleType, ModuleType], name: str) -> None:
    """`dir`, `str`, `repr`, `has`, `features`, the options and every signature are ccxt's; both spellings are one."""
    theirs, ours = getattr(both[0], name)(), getattr(both[1], name)()

    assert [each for each in dir(theirs) if not each.startswith("_")] == [
        each for each in dir(ours) if not each.startswith("_")
    ]
    assert (str(ours), repr(ours)) == (str(theirs), repr(theirs))
    assert repr(ours.describe()) == repr(theirs.describe())
    assert (ours.has, ours.features, ours.options) == (theirs.has, theirs.features, theirs.options)
    for each in dir(theirs):
        if "rder" in each and inspect.ismethod(getattr(theirs, each)):
            assert inspect.signature(getattr(ours, each)) == inspect.signature(getattr(theirs, each)), each
            assert inspect.iscoroutinefunction(getattr(ours, each)) == inspect.iscoroutinefunction(
                getattr(theirs, each)
            ), each
    assert type(ours).createOrder is type(ours).create_order
    assert type(ours).cancelAllOrders is type(ours).cancel_all_orders


def test_an_object_can_be_pickled_and_copied() -> None:
    """As ccxt's own, before and after it was used."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance({"apiKey": "one", "options": {"orderbridge": {"stray": "tell"}}})

    for again in (pickle.loads(pickle.dumps(exchange)), copy.deepcopy(exchange)):
        assert type(again) is ccxt.binance
        assert again.apiKey == "one"
        assert again.options["orderbridge"] == {"stray": "tell"}
        assert again.createOrder.__func__ is ccxt.binance.create_order


def test_a_class_of_ones_own_may_be_derived() -> None:
    """A bot's subclass overrides what it likes, and `super()` reaches ours."""
    import orderbridge.ccxt as ccxt

    class Mine(ccxt.binance):  # type: ignore[misc, name-defined]
        def describe(self) -> Any:
            return self.deep_extend(super().describe(), {"id": "mine"})

    assert Mine().id == "mine"
    assert Mine.create_order is ccxt.binance.create_order


def test_without_ccxt_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the usual error of a module that is not there."""
    import sys

    for name in [name for name in sys.modules if name.split(".")[:2] == ["orderbridge", "ccxt"]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ccxt", None)

    with pytest.raises(ModuleNotFoundError, match=r"orderbridge\[ccxt\]"):
        importlib.import_module("orderbridge.ccxt")

"""The calls without `await` are those with it: names, arguments, defaults and types."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from orderbridge import OrderBridge
from orderbridge.bound import BoundGateway, Fact
from orderbridge.fanout import BridgeListing
from orderbridge.sync import BridgeSettings, SyncBridge, SyncGateway
from orderbridge.sync.loop import SyncListing

TWINS = [(SyncBridge, OrderBridge), (SyncGateway, BoundGateway)]
# `close` closes; what a gateway is told by the bridge itself is no call of a program's.
NOT_HERE = {"aclose", "remember", "nonces_of"}


def calls(of: type) -> set[str]:
    """The public methods of a class, inherited ones too."""
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if name[0] != "_"}


def properties(of: type) -> dict[str, Any]:
    """The public properties of a class, and their types."""
    found = inspect.getmembers(of, lambda each: isinstance(each, property))
    return {name: get_type_hints(each.fget)["return"] for name, each in found if name[0] != "_"}


def facts(of: type) -> set[str]:
    """What an object of a class says of itself."""
    return {name for name, each in inspect.getmembers(of) if isinstance(each, (property, Fact)) and name[0] != "_"}


def awaited(hint: Any) -> Any:
    """The type that a call without `await` gives for one with it."""
    twins: dict[Any, Any] = {AsyncIterator: Iterator, BridgeListing: SyncListing}
    twin = twins.get(get_origin(hint))
    return hint if twin is None else twin[get_args(hint)[0]]


@pytest.mark.parametrize(("sync", "original"), TWINS)
def test_no_call_is_missing_and_none_is_made_up(sync: type, original: type) -> None:
    """The public surface is the same; what closes has the name that fits, and the bridge closes its gateways."""
    assert calls(sync) - {"close"} == calls(original) - NOT_HERE
    assert facts(sync) <= facts(original)
    assert properties(original).items() <= properties(sync).items()
    assert hasattr(sync, "__getitem__") == hasattr(original, "__getitem__")
    assert hasattr(sync, "__contains__") == hasattr(original, "__contains__")


@pytest.mark.parametrize(
    ("sync", "original", "name"),
    [(sync, original, name) for sync, original in TWINS for name in sorted(calls(original) - NOT_HERE)],
)
def test_a_call_takes_and_gives_the_same(sync: type, original: type, name: str) -> None:
    """Names, kinds, defaults and types of what it takes, and the type of what it gives."""
    mine, theirs = getattr(sync, name), getattr(original, name)
    my_hints, their_hints = get_type_hints(mine), get_type_hints(theirs)
    their_hints.pop("self", None)  # a mixin says what it is mixed into

    def shape(call: Any) -> list[Any]:
        return [(each.name, each.kind, each.default) for each in inspect.signature(call).parameters.values()]

    assert shape(mine) == shape(theirs)
    assert my_hints == {**their_hints, "return": awaited(their_hints["return"])}
    assert not inspect.iscoroutinefunction(mine)


def test_a_bridge_is_made_with_the_same_settings() -> None:
    """The constructor takes each keyword argument of `OrderBridge`, with its type."""
    parameters = inspect.signature(OrderBridge).parameters.values()
    names = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    hints = get_type_hints(OrderBridge.__init__)

    assert get_type_hints(BridgeSettings) == {name: hints[name] for name in names}
    assert BridgeSettings.__required_keys__ == frozenset()

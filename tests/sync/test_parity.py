"""The calls without `await` are those with it: names, arguments, defaults, docstrings, and none is missing."""

import inspect
from typing import get_type_hints

import pytest

from orderbridge import OrderBridge
from orderbridge.bound import BoundGateway
from orderbridge.sync import BridgeSettings, SyncBridge, SyncGateway

TWINS = [(SyncBridge, OrderBridge), (SyncGateway, BoundGateway)]
# `close` closes; what a gateway is told by the bridge itself is no call of a program's.
NOT_HERE = {"aclose", "remember", "nonces_of"}


def calls(of: type) -> set[str]:
    """The public methods of a class, inherited ones too."""
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if name[0] != "_"}


@pytest.mark.parametrize(("sync", "original"), TWINS)
def test_no_call_is_missing_and_none_is_made_up(sync: type, original: type) -> None:
    """The public surface is the same; what closes has the name that fits, and the bridge closes its gateways."""
    assert calls(sync) - {"close"} == calls(original) - NOT_HERE
    assert hasattr(sync, "__getitem__") == hasattr(original, "__getitem__")
    assert hasattr(sync, "__contains__") == hasattr(original, "__contains__")


@pytest.mark.parametrize(
    ("sync", "original", "name"),
    [(sync, original, name) for sync, original in TWINS for name in sorted(calls(original) - NOT_HERE)],
)
def test_a_call_takes_the_same_and_says_what_it_does(sync: type, original: type, name: str) -> None:
    """An editor and `help` show what the original shows; nothing is left to be awaited."""
    mine, theirs = getattr(sync, name), getattr(original, name)

    assert inspect.signature(mine).parameters == inspect.signature(theirs).parameters
    assert inspect.getdoc(mine) == inspect.getdoc(theirs)
    assert mine.__name__ == name
    assert not inspect.iscoroutinefunction(mine)
    assert "Async" not in str(inspect.signature(mine).return_annotation)


def test_a_bridge_is_made_with_the_same_settings() -> None:
    """The constructor takes each keyword argument of `OrderBridge`, with its type."""
    parameters = inspect.signature(OrderBridge).parameters.values()
    names = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    hints = get_type_hints(OrderBridge.__init__)

    assert get_type_hints(BridgeSettings) == {name: hints[name] for name in names}
    assert BridgeSettings.__required_keys__ == frozenset()

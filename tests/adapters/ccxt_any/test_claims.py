"""What leaves for everything that a gateway claims, on every exchange of ccxt's whose request can be shown offline."""

from __future__ import annotations

import re
from typing import Any, Final

import ccxt.async_support
import pytest

from orderbridge.adapters.ccxt_any.watch import Watch
from orderbridge.http.limits import Limiter
from tests.adapters.ccxt_any.captured import captured, exchange_of
from tests.adapters.ccxt_any.test_exchanges import traits_of

pytestmark = pytest.mark.ccxt
# Lighter signs with a library that is not part of ccxt, and Coinbase International with a key that is not made here.
UNSHOWN: Final = frozenset({"lighter", "coinbaseinternational"})
LIMIT: Final[dict[str, Any]] = {"side": "buy", "type": "limit", "quantity": "0.5", "price": "40000"}


def _is_usable(name: str) -> bool:
    known = getattr(ccxt.async_support, name)()
    return known.has.get("spot") is not False and bool(known.has.get("fetchOrder") or known.has.get("fetchOpenOrders"))


SHOWN: Final = [name for name in ccxt.async_support.exchanges if name not in UNSHOWN and _is_usable(name)]


@pytest.mark.parametrize("name", SHOWN)
async def test_an_order_leaves_alone(name: str) -> None:
    """One write leaves, and it is the order; no fee is approved for anyone, and none is named as who brought it."""
    left = await captured(name, **LIMIT)
    (order,) = [each for each in left if each.is_write]
    texts = " ".join(f"{each.path} {sorted(each.flat)}" for each in left)

    assert order is left[-1]
    assert re.search(r"builder|integrator|setReferrer|approve", texts, re.IGNORECASE) is None
    # Nado has its builder in the upper bits of a number.
    assert int(order.flat.get("place_order.order.appendix", 0)) < 2**32


def test_fees_for_ccxt_are_given_back_with_the_object() -> None:
    """A caller's own object is afterwards as the caller had it."""
    known = exchange_of("hyperliquid")
    before = {name: known.options.get(name) for name in ("builderFee", "approvedBuilderFee")}
    watch = Watch(known, Limiter(None), log="test")

    watch.release()

    assert {name: known.options.get(name) for name in before} == before
    assert "handle_builder_fee_approval" not in vars(known)


@pytest.mark.parametrize(
    ("name", "method", "path", "is_write"),
    [
        ("deribit", "GET", "/api/v2/private/sell", True),
        ("deribit", "GET", "/api/v2/private/get_order_state", False),
        ("hyperliquid", "POST", "/info", False),
        ("hyperliquid", "POST", "/exchange", True),
        ("kraken", "POST", "/0/private/QueryOrders", True),
        ("binance", "GET", "/api/v3/order", False),
    ],
)
def test_a_write_is_told_by_its_path(name: str, method: str, path: str, is_write: bool) -> None:
    """What is not known to read by POST, or to write by GET, is told by its method."""
    assert traits_of(name).writes(method, f"https://api.example.com{path}") is is_write

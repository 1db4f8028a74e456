"""Whatever one gateway does, the others' answers stand, and what it could have held is undecided."""

import asyncio
import urllib.error
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any

import pytest

from orderbridge import Failure, LookupResult, Order, OrderBridge, OrderList, RefLike, errors


def order(venue: str, order_id: str = "o1", **changes: Any) -> Order:
    """An open order at a venue."""
    return Order(
        **{"venue": venue, "order_id": order_id, "symbol": "BTC/MXN", "side": "buy", "status": "open", **changes}
    )


def raising(error: BaseException) -> Callable[[], Awaitable[object]]:
    """What raises the error when awaited."""

    async def first() -> object:
        raise error

    return first


async def forever() -> object:
    """Never end."""
    return await asyncio.Event().wait()


async def deaf() -> object:
    """Ignore the first cancel, as a badly written adapter may."""
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(2.0)
    return None


def clock() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("first", [forever, deaf])
async def test_a_slow_gateway_neither_delays_nor_hides(stub: Any, first: Callable[[], Awaitable[object]]) -> None:
    """The others' answers come within the limit; the slow one is unreachable and what it could hold undecided."""
    bridge = OrderBridge(stub("quick", {"x": order("quick")}), stub("slow", first=first))
    started = clock()

    result = await bridge.lookup("x", "y", "slow:z", timeout=0.1)

    assert clock() - started < 1.5
    assert result["x"].order == order("quick")
    assert result.undecided == ("y", "slow:z")
    assert result["y"].answers == {"quick": "not_seen", "slow": "timed_out"}
    assert (list(result.unreachable), result.unreachable["slow"].kind) == (["slow"], "timed_out")
    await asyncio.sleep(2.05 if first is deaf else 0)


class Unprintable(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


RAISED: list[tuple[BaseException, str]] = [
    (errors.VenueUnavailable("down"), "unreachable"),
    (errors.NotSent("no permit in time"), "unreachable"),
    (errors.AuthenticationFailed("wrong key", code="0201", http_status=401), "credentials"),
    (errors.NotAdmitted("too late", code="0206", http_status=401), "not_admitted"),
    (errors.PermissionDenied("may not"), "permission"),
    (errors.RateLimited("slow down", retry_after=7.0), "throttled"),
    (errors.UnexpectedResponse("odd"), "unexpected"),
    (errors.ConfigurationError("closed"), "unexpected"),
    (TimeoutError(), "timed_out"),
    (KeyError("oid"), "unexpected"),
    (RecursionError(), "unexpected"),
    (MemoryError(), "unexpected"),
    (OSError(111, "refused"), "unexpected"),
    (asyncio.CancelledError(), "timed_out"),
    (asyncio.InvalidStateError(), "unexpected"),
    (StopAsyncIteration(), "unexpected"),
    (ExceptionGroup("two", [KeyError("a"), ValueError("b")]), "unexpected"),
    (urllib.error.HTTPError("http://x", 503, "busy", Message(), None), "unexpected"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "unexpected"),
    (Unprintable("x"), "unexpected"),
]


@pytest.mark.parametrize(("error", "kind"), RAISED, ids=lambda value: type(value).__name__)
async def test_whatever_a_gateway_raises_hides_nobody(stub: Any, error: BaseException, kind: str) -> None:
    """A third party's adapter may raise anything: it is reported as its failure, and the others answer."""
    bridge = OrderBridge(stub("broken", first=raising(error)), stub("sound", {"x": order("sound")}))

    result = await bridge.lookup("x", "y", timeout=1)
    listed = await bridge.open_orders(timeout=1)

    assert result["x"].order == order("sound")
    assert result.undecided == ("y",)
    assert result.unreachable["broken"].kind == kind
    assert list(listed) == [order("sound")]
    assert listed.unreachable["broken"].kind == kind


@pytest.mark.parametrize("answer", [None, [], {}, "x", LookupResult()])
async def test_whatever_a_gateway_returns_hides_nobody(stub: Any, answer: Any) -> None:
    """An adapter that answers with something else, or leaves a ref out, leaves its refs undecided."""

    class Odd(stub):
        async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
            return answer  # type: ignore[no-any-return]

        async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
            return answer  # type: ignore[no-any-return]

    bridge = OrderBridge(Odd("odd"), stub("sound", {"x": order("sound")}))

    result, listed = await bridge.lookup("x", "y"), await bridge.open_orders()

    assert (result["x"].order, result.undecided) == (order("sound"), ("y",))
    assert result["y"].answers["odd"] == "failed"
    assert list(listed) == [order("sound")]
    assert listed.unreachable["odd"].kind == "unexpected"


async def test_a_failure_tells_what_the_venue_said(stub: Any) -> None:
    """Code, status and time to wait survive into the result."""
    refused = errors.RateLimited("slow down", retry_after=7.0, code="0801", http_status=420, gateway="b", operation="l")
    bridge = OrderBridge(stub("b", first=raising(refused)))

    result = await bridge.lookup("x")

    assert result.unreachable["b"] == Failure(
        kind="throttled", message="slow down", retry_after=7.0, code="0801", http_status=420
    )


async def test_get_gives_the_one_order(stub: Any) -> None:
    """Found at one venue, it is the answer, even while another venue is down."""
    down = stub("down", first=raising(errors.VenueUnavailable("down")))

    assert await OrderBridge(down, stub("a", {"x": order("a")})).get("x") == order("a")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.AuthenticationFailed("wrong key", code="0201"), errors.AuthenticationFailed),
        (errors.PermissionDenied("may not"), errors.PermissionDenied),
        (errors.RateLimited("slow down", retry_after=7.0), errors.RateLimited),
        (errors.UnexpectedResponse("odd"), errors.UnexpectedResponse),
        (KeyError("oid"), errors.UnexpectedResponse),
        (errors.VenueUnavailable("down"), errors.VenueUnavailable),
        (TimeoutError(), errors.VenueUnavailable),
    ],
)
async def test_get_raises_the_failure_behind_a_doubt(
    stub: Any, error: Exception, expected: type[errors.OrderBridgeError]
) -> None:
    """An order that could be at a venue that failed is neither found nor missing: the failure comes out."""
    bridge = OrderBridge(stub("a"), stub("b", first=raising(error)))

    with pytest.raises(expected) as failed:
        await bridge.get("x")

    assert type(failed.value) is expected
    assert failed.value.operation == "get"
    if isinstance(failed.value, errors.RateLimited):
        assert failed.value.retry_after == 7.0


async def test_get_raises_venue_unavailable_when_a_search_was_cut_short(stub: Any) -> None:
    """A partial search without a failure is a doubt as well."""
    with pytest.raises(errors.VenueUnavailable, match=r"could not be decided .*partly_searched"):
        await OrderBridge(stub("a", answer="partly_searched")).get("x")


@pytest.mark.parametrize(("names", "proven"), [(["proving"], True), (["a"], False), (["proving", "a"], False)])
async def test_get_raises_not_found_only_when_everybody_answered(stub: Any, names: list[str], proven: bool) -> None:
    """Not found carries who was asked, and whether that proves absence at all of them."""
    with pytest.raises(errors.OrderNotFound) as missing:
        await OrderBridge(*map(stub, names)).get("x")

    assert missing.value.found is not None
    assert missing.value.found.answers == dict.fromkeys(names, "not_seen")
    assert missing.value.found.proven_absent is proven


async def test_get_does_not_choose_between_orders(stub: Any) -> None:
    """Two venues with an order under one id: the caller is shown both."""
    bridge = OrderBridge(stub("a", {"x": order("a")}), stub("b", {"x": order("b")}))

    with pytest.raises(errors.AmbiguousRef) as ambiguous:
        await bridge.get("x")

    assert set(ambiguous.value.orders) == {order("a"), order("b")}


async def test_open_orders_of_all_name_who_is_missing(stub: Any) -> None:
    """The others' orders are complete, the failed one is named, and bad rows stand beside."""
    untidy = stub("untidy", {"x": order("untidy")})
    bridge = OrderBridge(
        untidy, stub("down", first=raising(errors.VenueUnavailable("down"))), stub("slow", first=forever)
    )

    listed = await bridge.open_orders(timeout=0.1)

    assert list(listed) == [order("untidy")]
    assert {name: failure.kind for name, failure in listed.unreachable.items()} == {
        "down": "unreachable", "slow": "timed_out",
    }  # fmt: skip
    assert [row.gateway for row in listed.bad_rows] == ["untidy"]


@pytest.mark.parametrize(
    ("error", "lines"), [(errors.PartialList("one page of several"), 2), (errors.VenueUnavailable("down"), 6)]
)
async def test_a_list_that_is_partial_is_logged_once(
    stub: Any, caplog: pytest.LogCaptureFixture, error: Exception, lines: int
) -> None:
    """It is so at every call, of each gateway; whatever else fails is told each time, as it passes."""
    bridge = OrderBridge(stub("one", first=raising(error)), stub("other", first=raising(error)))

    with caplog.at_level("WARNING", logger="orderbridge.bridge"):
        for _ in range(3):
            await bridge.open_orders()

    assert len([each for each in caplog.messages if each.startswith("open_orders failed")]) == lines

"""Many gateways as one: who is asked, under which names, and what the answers are keyed by."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from orderbridge import (
    Capabilities,
    Order,
    OrderBridge,
    OrderEdit,
    OrderGateway,
    OrderKey,
    OrderRef,
    RefLike,
    errors,
)
from orderbridge.errors import ConfigurationError
from orderbridge.simulator import Simulator
from tests.bridge.conftest import Stub

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def order(venue: str, order_id: str = "o1", **changes: Any) -> Order:
    """An open order at a venue."""
    return Order(
        **{"venue": venue, "order_id": order_id, "symbol": "BTC/MXN", "side": "buy", "status": "open", **changes}
    )


async def forever() -> object:
    """Never end."""
    return await asyncio.Event().wait()


def test_a_stub_is_a_gateway(stub: Any) -> None:
    """What the tests stand on satisfies the interface."""
    assert isinstance(stub("a"), OrderGateway)


def test_what_is_no_gateway_is_refused_at_once() -> None:
    """An adapter without `UnsupportedCalls` gets the facts that it lacks, or is refused before it breaks trading."""

    class Bare:
        name = venue = account = "bare"
        capabilities = Capabilities()

    class Closed(Bare):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    for wrong in (object(), Stub, Closed()):
        with pytest.raises(ConfigurationError, match=r"is made of gateways|lacks address, mode"):
            OrderBridge(wrong)  # type: ignore[arg-type]
    bound = OrderBridge(Bare())["bare"]  # type: ignore[arg-type]

    assert (bound.address, bound.mode, bound.settle_time, bound.remember(())) == ("", None, 120.0, False)


async def test_every_gateway_is_asked_at_once(stub: Any) -> None:
    """Gateways that wait for each other's question all answer: none is asked after another."""
    meeting = asyncio.Barrier(3)
    bridge = OrderBridge(*(stub(name, {"x": order(name)}, first=meeting.wait) for name in ("a", "b", "c")))

    result = await bridge.lookup("x", timeout=5)

    assert {one.venue for one in result["x"].orders} == {"a", "b", "c"}
    assert result["x"].answers == {"a": "found", "b": "found", "c": "found"}


async def test_the_same_order_found_twice_is_one(stub: Any) -> None:
    """By two ids, by one ref twice, or by two gateway objects of one venue: one order, merged."""
    early, late = order("v"), order("v", status="filled", filled_quantity=1)
    bridge = OrderBridge(stub("a", {"oid": early, "cid": early}), stub("b", {"oid": late}))

    result = await bridge.lookup("oid", "cid", "oid")

    assert result.refs == ("oid", "cid", "oid")
    assert result["oid"].order == late
    assert [one.status for one in result.orders] == ["filled"]


async def test_refs_go_only_where_they_can_be(stub: Any) -> None:
    """A prefix names the one gateway asked; equal refs are asked for once."""
    a, b = stub("a"), stub("b")

    await OrderBridge(a, b).lookup("a:x", "a:x", OrderKey("a", "x"), "y", "b:client:z")

    assert a.asked == [(OrderRef(gateway="a", order_id="x"), OrderRef(id="y"))]
    assert b.asked == [(OrderRef(id="y"), OrderRef(gateway="b", client_order_id="z"))]


async def test_every_kind_of_ref_is_its_own_key(stub: Any) -> None:
    """Text, refs, keys and orders find their answers under themselves."""
    held = order("a", client_order_id="c1")
    refs: list[RefLike] = ["o1", "a:o1", OrderRef(id="o1"), OrderKey("a", "o1"), held]

    result = await OrderBridge(stub("a", {"o1": held})).lookup(*refs)

    assert result.refs == tuple(refs)
    assert all(result[ref].order == held for ref in refs)


@pytest.mark.parametrize(
    "ref", ["kraken:x", OrderKey("kraken", "x"), OrderRef(gateway="kraken", order_id="x"), order("kraken")]
)
async def test_a_prefix_that_names_no_gateway_lists_the_names(stub: Any, ref: RefLike) -> None:
    """A wrong prefix is told before anybody is asked, with the names there are."""
    a, b = stub("a"), stub("b/mm")

    with pytest.raises(errors.ConfigurationError, match="names a gateway that is not asked; asked are: a, b/mm"):
        await OrderBridge(a, b).lookup("x", ref)

    assert a.asked == b.asked == []


@pytest.mark.parametrize("ref", ["", ":", "a:", "a:client:"])
async def test_text_that_names_no_order_is_a_wrong_setting(stub: Any, ref: str) -> None:
    """A text without an id is told in words, with the forms that would do."""
    with pytest.raises(errors.ConfigurationError, match="write an id, or gateway:id"):
        await OrderBridge(stub("a")).lookup(ref)


async def test_an_empty_call_gives_an_empty_result_and_asks_nobody(stub: Any) -> None:
    """No refs, no questions, no error."""
    a = stub("a")

    result = await OrderBridge(a).lookup()

    assert (result.refs, result.orders, result.unreachable, a.asked) == ((), (), {}, [])


@pytest.mark.parametrize("gateways", [["b"], "b", ("b", "b")])
async def test_only_the_named_gateways_are_asked(stub: Any, gateways: Any) -> None:
    """`gateways=` narrows who is asked, for look-ups and for open orders."""
    a, b = stub("a", {"x": order("a")}), stub("b", {"x": order("b")})
    bridge = OrderBridge(a, b)

    result, listed = await bridge.lookup("x", gateways=gateways), await bridge.open_orders(gateways=gateways)

    assert (result["x"].order, list(listed), a.asked) == (order("b"), [order("b")], [])


@pytest.mark.parametrize(
    ("gateways", "message"), [(["c"], "no gateway is named 'c'; there are: a, b"), ([], "no gateway is asked")]
)
async def test_a_wrong_choice_of_gateways_is_refused(stub: Any, gateways: list[str], message: str) -> None:
    """A name that is not there, or none at all, is told with the names there are."""
    bridge = OrderBridge(stub("a"), stub("b"))

    for call in (bridge.lookup("x", gateways=gateways), bridge.open_orders(gateways=gateways)):
        with pytest.raises(errors.ConfigurationError, match=message):
            await call


async def test_a_cancelled_look_up_cancels_its_questions(stub: Any) -> None:
    """A caller who gives up leaves nothing running behind."""
    stopped = asyncio.Event()

    async def first() -> object:
        try:
            return await forever()
        finally:
            stopped.set()

    task = asyncio.ensure_future(OrderBridge(stub("a", first=first)).lookup("x", timeout=None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await asyncio.wait_for(stopped.wait(), 1)


def test_a_bridge_needs_gateways_of_different_names(stub: Any) -> None:
    """None, or two of one name, is a wrong setting that says what to do."""
    with pytest.raises(errors.ConfigurationError, match="at least one gateway"):
        OrderBridge()
    with pytest.raises(errors.ConfigurationError, match="two gateways are named 'a'; tell them apart with account="):
        OrderBridge(stub("a"), stub("b"), stub("a"))


def test_a_bridge_is_indexed_by_names(stub: Any) -> None:
    """`bridge[name]` is over the gateway; another name lists those there are."""
    a = stub("a")
    bridge = OrderBridge(a, stub("b"))

    assert (bridge["a"].gateway, "a" in bridge, "c" in bridge, bridge.names) == (a, True, False, ("a", "b"))
    with pytest.raises(errors.ConfigurationError, match="no gateway is named 'c'; there are: a, b"):
        bridge["c"]


async def test_closing_a_bridge_closes_every_gateway(stub: Any) -> None:
    """One that fails to close keeps no other open, and is reported."""

    class Stuck(stub):
        async def aclose(self) -> None:
            raise OSError("stuck")

    sound = stub("sound")
    async with OrderBridge(sound):
        pass
    last = stub("last")
    with pytest.raises(BaseExceptionGroup, match="could not be closed"):
        await OrderBridge(Stuck("stuck"), last).aclose()

    assert (sound.closed, last.closed) == (True, True)


@pytest.mark.parametrize("call", ["submit", "cancel", "edit", "cancel_all", "orders", "fills", "markets"])
async def test_a_call_that_a_gateway_lacks_is_refused_when_called(stub: Any, call: str) -> None:
    """The refusal comes at the call, not at the first item, and names the gateway and the call."""
    arguments: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "submit": ((None,), {}), "cancel": (("x",), {}), "edit": (("x", None), {}), "orders": ((), {"since": NOW}),
    }  # fmt: skip
    positional, keywords = arguments.get(call, ((), {}))

    async def made() -> None:
        called = getattr(stub("a"), call)(*positional, **keywords)
        await called

    with pytest.raises(errors.NotSupported, match=f"a {call}: a has no {call}") as refused:
        await made()

    assert (refused.value.gateway, refused.value.operation) == ("a", call)


async def test_closed_bridge_says_so(stub: Any) -> None:
    """After it was closed, every call is a ConfigurationError and no answer."""
    bridge = OrderBridge(stub("bitso"))
    await bridge.aclose()

    with pytest.raises(errors.ConfigurationError, match="closed"):
        await bridge.lookup("x")
    with pytest.raises(errors.ConfigurationError, match="closed"):
        await bridge.open_orders()


async def test_symbol_that_is_none_is_told_at_once(stub: Any) -> None:
    """A venue's own spelling is an error of the caller's, not an empty list of orders."""
    async with OrderBridge(stub("bitso")) as bridge:
        with pytest.raises(errors.ConfigurationError, match="BASE/QUOTE"):
            await bridge.open_orders(symbol="btc_mxn")


@pytest.mark.parametrize(
    "form", ["{venue}:order:{id}", "{venue}:{id}", "{venue}: order: {id}\n", "{id}\r\n", "order:{id}\t"]
)
@pytest.mark.parametrize("venue", ["bitso", "bitcain"])
async def test_every_written_form_of_a_live_orders_id_finds_it(sim: Simulator, venue: str, form: str) -> None:
    """A kind named behind the gateway and white space of a file hide no order, and prove no live one absent."""
    put = getattr(sim, venue).put(status="open")
    ref = form.format(venue=venue, id=put.order_id)

    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway()) as bridge:
        result = await bridge.lookup(ref)
        cancelled = await bridge.cancel(ref)

    assert [found.order_id for found in result[ref].orders] == [put.order_id]
    assert not result[ref].proven_absent
    assert cancelled.status == "cancelled"


@pytest.mark.parametrize("ref", ["bitso:a/b", "bitcain:543cr2v32a1h6844", "bitcain:order:7", "bitso:order:x y"])
async def test_an_id_that_no_gateway_could_have_issued_is_not_seen_for_that_reason(sim: Simulator, ref: str) -> None:
    """It may be mis-written, so nothing is proven: not by look-up, get, cancel or edit, and nobody is asked."""
    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway()) as bridge:
        found = (await bridge.lookup(ref))[ref]
        errors_of = []
        for call in (bridge.get(ref), bridge.cancel(ref), bridge.edit(ref, OrderEdit(quantity=1))):
            with pytest.raises(errors.OrderNotFound) as missing:
                await call
            errors_of.append(missing.value.found)

    assert set(found.answers.values()) == {"not_seen"}
    assert found.notes
    assert "is not of a form that ids have here" in found.notes[0]
    assert not found.proven_absent
    assert not any(each is None or each.proven_absent for each in errors_of)
    assert not sim.bitso.requests
    assert not sim.bitcain.requests


@pytest.mark.parametrize("ref", ["a\nb", "bitso:a\x00b", "bitcain:client:x\u200by", "\x1b[31mx"])
async def test_a_mis_written_ref_is_a_wrong_setting(sim: Simulator, ref: str) -> None:
    """A control character within an id is told at once, by every call that takes a ref."""
    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway()) as bridge:
        for call in (bridge.lookup("x", ref), bridge.get(ref), bridge.cancel(ref), bridge.explain(ref)):
            with pytest.raises(errors.ConfigurationError, match="holds a control character"):
                await call
        with pytest.raises(errors.ConfigurationError, match="holds a control character"):
            bridge.fills(ref)

    assert not sim.bitso.requests

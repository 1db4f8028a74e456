"""A caller that goes when the answer is on its way: what it was to be told counts as not told."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ccxt.base.errors import InvalidOrder, RequestTimeout

from orderbridge import OrderBridge
from orderbridge.ccxt import bridges
from orderbridge.errors import JournalError
from orderbridge.placement import MemoryJournal
from orderbridge.simulator import Simulator
from orderbridge.sync import LoopThread
from tests.ccxt.conftest import bridge_over, ccxt_settings
from tests.ccxt.fake_binance import FakeBinance
from tests.ccxt.kit import LIMIT, PLACE
from tests.kind import KIND
from tests.placement.kit import until

pytestmark = pytest.mark.ccxt

ROW = dict(zip(("symbol", "type", "side", "amount", "price"), LIMIT, strict=True))
MARKET = ("BTC/MXN", "market", "buy", 0.01)

ROW = dict(zip(("symbol", "type", "side", "amount", "price"), LIMIT, strict=True))
MARKET = ("BTC/MXN", "market", "buy", 0.01)


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues, served from a thread."""
    with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running
        bridges.close_all()


def made(package: Any, venue: Simulator, **settings: Any) -> Any:
    """Our class for Bitso."""
    return package.bitso({**ccxt_settings(venue), "options": {"orderbridge": {"resolve_for": 5, **settings}}})


@pytest.fixture
async def ours(venue: Simulator) -> AsyncIterator[Any]:
    """One with `await` that has its markets and looked back."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = made(ccxt, venue)
    await exchange.load_markets()
    await exchange.fetch_open_orders()
    yield exchange
    await exchange.close()


def live(venue: Simulator) -> list[str]:
    """The orders that rest, and those that traded."""
    return [order.oid for order in venue.bitso.accepted()]


async def placed(venue: Simulator) -> bool:
    """True once an order was taken."""
    return bool(live(venue))


async def unreadable(*_: object, **__: object) -> Any:
    """What a journal does that cannot be read."""
    raise JournalError("the disk is gone")


def asked_for(venue: Simulator) -> int:
    """How often orders, or trades, were looked for."""
    return sum(count for call, count in venue.bitso.requests.items() if call.startswith("GET") and "/order" in call)


@contextmanager
def handing(loop: asyncio.AbstractEventLoop) -> Iterator[threading.Event]:
    """What is set once the outcome of a call was handed to the loop."""
    handed, hand = threading.Event(), loop.call_soon_threadsafe

    def seen(*args: Any, **more: Any) -> Any:
        handle = hand(*args, **more)
        if threading.current_thread().name == "orderbridge-sync":
            handed.set()
        return handle

    loop.call_soon_threadsafe = seen  # type: ignore[method-assign]
    try:
        yield handed
    finally:
        loop.call_soon_threadsafe = hand  # type: ignore[method-assign]


async def missed(call: Callable[[], Awaitable[Any]], turns: int) -> None:
    """
    Make a call, and cancel it once its outcome was handed to this loop, which is busy until then.

    `turns` of the loop later: with none, the outcome waits to be taken up; with one, the caller waits to be woken.
    """
    with handing(asyncio.get_running_loop()) as handed:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        assert handed.wait(20)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


CREATES: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "create_order": lambda bot: bot.create_order(*LIMIT),
    "create_orders": lambda bot: bot.create_orders([ROW]),
    "create_limit_order": lambda bot: bot.create_limit_order(*LIMIT[:1], *LIMIT[2:]),
    "at market": lambda bot: bot.create_order(*MARKET),
}


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("name", CREATES)
async def test_a_create_whose_answer_met_a_caller_that_was_gone_is_answered_by_it(
    venue: Simulator, ours: Any, name: str, turns: int
) -> None:
    """The repeat gets that very order, once; the next equal create is a new one."""
    await missed(lambda: CREATES[name](ours), turns)
    done = await CREATES[name](ours)
    ids = [each["id"] for each in (done if isinstance(done, list) else [done])]

    assert live(venue) == ids
    await CREATES[name](ours)
    assert len(live(venue)) == 2


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_repeat_whose_answer_is_missed_too_is_answered_by_the_first(
    venue: Simulator, ours: Any, turns: int
) -> None:
    """However often: one order."""
    for _ in range(3):
        await missed(lambda: ours.create_order(*LIMIT), turns)
    order = await ours.create_order(*LIMIT)

    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_read_that_nobody_got_shows_nothing(venue: Simulator, ours: Any, turns: int) -> None:
    """The bot gave a create up, and the list that has its order came too late: the repeat is answered by it."""
    await missed(lambda: ours.create_order(*LIMIT), turns)
    await missed(lambda: ours.fetch_open_orders("BTC/MXN"), turns)
    order = await ours.create_order(*LIMIT)

    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_list_that_nobody_got_shows_no_order_before_its_answer_came(venue: Simulator, turns: int) -> None:
    """Without client ids too, where it is known later which order of the list it was."""
    from orderbridge.ccxt.orders import CcxtOrders

    orders = CcxtOrders(bridge_over(venue, venue="ccxt.bitso"), "ccxt.bitso", resolve_for=20)
    thread = LoopThread()
    await thread.awaited(orders._gateway.markets)
    venue.bitso.fault("delay", operation="place", nth=1, seconds=1.5)
    task = asyncio.ensure_future(thread.awaited(partial(orders.create_order, *LIMIT)))
    await until(lambda: placed(venue))
    task.cancel()
    await thread.awaited(partial(asyncio.sleep, 0.05))  # what ends there tells this loop of it, which is no answer
    await missed(lambda: thread.awaited(partial(orders.fetch_open_orders, "BTC/MXN")), turns)
    order = await thread.awaited(partial(orders.create_order, *LIMIT))
    await asyncio.to_thread(thread.close, orders._bridge.aclose)

    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_stray_that_filled_is_told_until_somebody_hears_it(venue: Simulator, ours: Any, turns: int) -> None:
    """The error goes the way of a result: nothing is sent until the bot was told of what had traded."""
    from orderbridge.ccxt.errors import StrayFilled

    await missed(lambda: ours.create_order(*LIMIT), turns)
    (first,) = venue.bitso.accepted()
    venue.bitso.market("btc_mxn").fill(first)
    await missed(lambda: ours.create_order(*LIMIT[:-1], 550000), turns)
    with pytest.raises(StrayFilled) as caught:
        await ours.create_order(*LIMIT[:-1], 550000)

    assert caught.value.order["id"] == first.oid
    assert live(venue) == [first.oid]


async def test_how_a_stray_ended_is_asked_for_again_until_it_is_known(venue: Simulator, ours: Any) -> None:
    """Its cancel was answered and the look after that was not: once there is one, what was priced anew is sent."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    await missed(lambda: ours.create_order(*LIMIT), 0)
    venue.bitso.fault("error_5xx", operation="lookup")
    with pytest.raises(OrderOutcomeUnknown):
        await ours.create_order(*LIMIT[:-1], 570000)
    (first,) = venue.bitso.accepted()
    assert not first.active
    venue.bitso.clear_faults()
    order = await ours.create_order(*LIMIT[:-1], 570000)

    assert live(venue) == [first.oid, order["id"]]


async def test_a_caller_that_goes_while_the_trades_of_its_order_are_read_leaves_it(venue: Simulator, ours: Any) -> None:
    """An order at market is placed before its caller is told: the repeat is answered by it."""
    venue.bitso.fault("delay", operation="order_trades", nth=1, seconds=60.0)
    task = asyncio.ensure_future(ours.create_order(*MARKET))

    async def reads() -> bool:
        return any("order_trades" in each for each in venue.bitso.requests)

    await until(reads)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    venue.bitso.clear_faults()
    order = await ours.create_order(*MARKET)

    assert live(venue) == [order["id"]]


async def test_one_of_several_that_was_placed_is_left_with_the_others(venue: Simulator, ours: Any) -> None:
    """The caller of `create_orders` goes while the second is under way: a repeat places neither anew."""
    rows = [ROW, {**ROW, "side": "sell", "price": 990000}]
    venue.bitso.fault("delay", operation="place", nth=2, seconds=60.0)
    task = asyncio.ensure_future(ours.create_orders(rows))

    async def has_first() -> bool:
        return bool(live(venue)) and venue.bitso.requests[PLACE] == 2

    await until(has_first)
    await ours.fetch_open_orders("ETH/MXN")  # asked when the first was answered
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    venue.bitso.clear_faults()
    again = await ours.create_orders(rows[:1])

    assert again[0]["id"] == live(venue)[0]
    assert len([each for each in venue.bitso.accepted() if each.side == "buy"]) == 1


BINANCE = ("BTC/USDT", "limit", "buy", 0.01)


@pytest.fixture
def binance() -> Iterator[FakeBinance]:
    """A small Binance, whose orders are edited by cancelling and placing."""
    with FakeBinance() as running:
        yield running
        bridges.close_all()


def streamed(venue: FakeBinance, package: str) -> Any:
    """Our class for it."""
    return import_module(f"orderbridge.ccxt.{package}").binance(venue.config())


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize(("missing", "again"), [("_ws", "_ws"), ("_ws", ""), ("", "_ws")])
async def test_a_create_by_stream_that_was_missed_is_answered_by_it(
    binance: FakeBinance, missing: str, again: str, turns: int
) -> None:
    """By stream or not, the one and the other."""
    exchange = streamed(binance, "pro")
    await missed(lambda: getattr(exchange, f"create_order{missing}")(*BINANCE, 50000), turns)
    order = await getattr(exchange, f"create_order{again}")(*BINANCE, 50000)
    await exchange.close()

    assert [str(each["orderId"]) for each in binance.placed] == [order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("params", [{}, {"clientOrderId": "moved-1"}], ids=["", "named"])
@pytest.mark.parametrize(("package", "name"), [("async_support", "edit_order"), ("pro", "edit_order_ws")])
async def test_an_edit_whose_successor_was_missed_is_answered_by_it(
    binance: FakeBinance, package: str, name: str, params: dict[str, Any], turns: int
) -> None:
    """However often the edit is repeated: one successor, although its order is over; and then it is refused."""
    exchange = streamed(binance, package)
    first = await exchange.create_order(*BINANCE, 50000)

    async def edit() -> Any:
        return await getattr(exchange, name)(first["id"], *BINANCE, 51000, params)

    for _ in range(2):
        await missed(edit, turns)
    order = await edit()
    with pytest.raises(InvalidOrder):
        await edit()
    await exchange.close()

    assert [str(each["orderId"]) for each in binance.placed] == [first["id"], order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_create_after_a_missed_edit_is_answered_by_its_successor(binance: FakeBinance, turns: int) -> None:
    """A bot that edits by hand from then on places no second one beside it."""
    exchange = streamed(binance, "async_support")
    first = await exchange.create_order(*BINANCE, 50000)
    await missed(lambda: exchange.edit_order(first["id"], *BINANCE, 51000), turns)
    order = await exchange.create_order(*BINANCE, 51000)
    await exchange.close()

    assert [str(each["orderId"]) for each in binance.placed] == [first["id"], order["id"]]


async def test_a_successor_that_a_poller_is_shown_while_the_edit_is_repeated_is_not_doubled(
    binance: FakeBinance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat was begun before that, and is answered by it."""
    exchange = streamed(binance, "async_support")
    first = await exchange.create_order(*BINANCE, 50000)
    await missed(lambda: exchange.edit_order(first["id"], *BINANCE, 51000), 0)
    cancel, shown = OrderBridge.cancel, []

    async def beside_a_poller(bridge: OrderBridge, *args: Any, **more: Any) -> Any:
        (orders,) = (each._orders.values() for each in bridges._process.bridges.values())
        shown.extend(await next(iter(orders)).fetch_open_orders("BTC/USDT"))
        return await cancel(bridge, *args, **more)

    monkeypatch.setattr(OrderBridge, "cancel", beside_a_poller)
    order = await exchange.edit_order(first["id"], *BINANCE, 51000)
    await exchange.close()

    assert [each["id"] for each in shown] == [order["id"]]
    assert [str(each["orderId"]) for each in binance.placed] == [first["id"], order["id"]]


@pytest.mark.parametrize("params", [{}, {"clientOrderId": "moved-1"}], ids=["", "named"])
async def test_an_edit_that_the_next_process_repeats_is_answered_by_its_successor(
    binance: FakeBinance, tmp_path: Path, params: dict[str, Any]
) -> None:
    """As its first call, before anything else made it look back."""

    def journalled() -> Any:
        import orderbridge.ccxt.async_support as ccxt

        return ccxt.binance(binance.config(options={"orderbridge": {"journal": str(tmp_path / "orders.db")}}))

    exchange = journalled()
    first = await exchange.create_order(*BINANCE, 50000)
    await missed(lambda: exchange.edit_order(first["id"], *BINANCE, 51000, params), 0)
    await exchange.close()
    await asyncio.to_thread(bridges.close_all)
    exchange = journalled()
    order = await exchange.edit_order(first["id"], *BINANCE, 51000, params)
    await exchange.close()

    assert [str(each["orderId"]) for each in binance.placed] == [first["id"], order["id"]]


@pytest.mark.parametrize("turns", [0, 1])
async def test_an_edit_in_place_that_was_missed_is_made_again(venue: Simulator, ours: Any, turns: int) -> None:
    """It places nothing, however often."""
    order = await ours.create_order(*LIMIT)
    for _ in range(2):
        await missed(lambda: ours.edit_order(order["id"], *LIMIT[:-1], 550000), turns)
    edited = await ours.edit_order(order["id"], *LIMIT[:-1], 550000)

    assert live(venue) == [order["id"]] == [edited["id"]]


CANCELS: dict[str, Callable[[Callable[[], Awaitable[Any]]], Any]] = {
    "task": lambda call: asyncio.ensure_future(call()),
    "gather": lambda call: asyncio.gather(call(), asyncio.sleep(60)),
}


@pytest.mark.parametrize("name", ["create_order", "create_orders"])
@pytest.mark.parametrize("way", CANCELS)
async def test_a_create_in_the_same_step_as_a_cancel_is_answered_by_the_cancelled_one(
    venue: Simulator, ours: Any, way: str, name: str
) -> None:
    """However it was cancelled, and although it had no turn yet to say so."""
    venue.bitso.fault("delay", operation="place", nth=1, seconds=0.5)
    task = CANCELS[way](lambda: CREATES[name](ours))
    await until(lambda: placed(venue))
    task.cancel()
    order = await ours.create_order(*LIMIT)

    assert live(venue) == [order["id"]]
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("is_answered", [False, True], ids=["in flight", "answered"])
@pytest.mark.parametrize("is_closed", [False, True], ids=["stopped", "closed"])
def test_a_create_of_a_loop_that_runs_no_more_is_answered_by_it(
    venue: Simulator, is_closed: bool, is_answered: bool
) -> None:
    """Nobody cancelled it: its bot ran into an error beside it, and repeats it in another loop."""
    import orderbridge.ccxt.async_support as ccxt

    exchange, loop = made(ccxt, venue), asyncio.new_event_loop()
    asyncio.run(exchange.fetch_open_orders())
    if not is_answered:
        venue.bitso.fault("delay", operation="place", nth=1, seconds=1.5)
    with handing(loop) as handed:
        task = loop.create_task(exchange.create_order(*LIMIT))
        if is_answered:
            loop.run_until_complete(asyncio.sleep(0))
            assert handed.wait(20)
        else:
            loop.run_until_complete(until(lambda: placed(venue)))
            assert not handed.is_set()
    if is_closed:
        loop.close()
    order = asyncio.run(exchange.create_order(*LIMIT))
    second = asyncio.run(exchange.create_order(*LIMIT))

    assert live(venue) == [order["id"], second["id"]]
    assert not task.done()
    if not is_closed:
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()


@pytest.mark.parametrize("is_answered", [False, True], ids=["in flight", "answered"])
def test_a_create_beside_an_error_that_ended_the_run_is_answered_by_it(venue: Simulator, is_answered: bool) -> None:
    """`asyncio.run` was left by the error, and the bot starts over with the create that nobody waits for."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = made(ccxt, venue)
    asyncio.run(exchange.fetch_open_orders())
    if not is_answered:
        venue.bitso.fault("delay", operation="place", nth=1, seconds=1.5)

    async def bot() -> None:
        with handing(asyncio.get_running_loop()) as handed:
            task = asyncio.ensure_future(exchange.create_order(*LIMIT))
            await (asyncio.sleep(0) if is_answered else until(lambda: placed(venue)))
            assert handed.wait(20) if is_answered else not task.done()
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(bot())
    order = asyncio.run(exchange.create_order(*LIMIT))

    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("is_unclear", [False, True], ids=["in flight", "looked for"])
def test_a_create_of_a_loop_that_goes_on_after_another_call_is_told_as_unknown(
    venue: Simulator, is_unclear: bool
) -> None:
    """A bot that steps its loop, with a call without `await` between two steps: it learns which order may rest."""
    import orderbridge.ccxt.async_support as ccxt
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange, without_await = made(ccxt, venue), made(import_module("orderbridge.ccxt"), venue)
    with asyncio.Runner() as runner:
        runner.run(exchange.fetch_open_orders())
        asked = venue.bitso.requests.total()
        venue.bitso.fault("accept_then_drop" if is_unclear else "delay", operation="place", nth=1, seconds=60.0)
        if is_unclear:
            venue.bitso.fault("delay", operation="lookup", seconds=60.0)
        task = runner.get_loop().create_task(exchange.create_order(*LIMIT))

        async def is_sent() -> bool:
            return bool(live(venue)) and venue.bitso.requests.total() > asked + is_unclear

        runner.run(until(is_sent))
        without_await.fetch_open_orders("ETH/MXN")
        venue.bitso.clear_faults()
        runner.run(asyncio.wait([task]))
        error = task.exception()
        order = runner.run(exchange.create_order(*LIMIT))

    assert isinstance(error, OrderOutcomeUnknown)
    assert error.client_order_id == order["clientOrderId"]
    assert live(venue) == [order["id"]]


def test_it_is_told_as_unknown_though_its_journal_cannot_be_read(
    venue: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that reads a JournalError as "nothing was sent" would send it once more."""
    import orderbridge.ccxt.async_support as ccxt
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange, without_await = made(ccxt, venue), made(import_module("orderbridge.ccxt"), venue)
    with asyncio.Runner() as runner:
        runner.run(exchange.fetch_open_orders())
        venue.bitso.fault("delay", operation="place", nth=1, seconds=60.0)
        task = runner.get_loop().create_task(exchange.create_order(*LIMIT))
        runner.run(until(lambda: placed(venue)))
        monkeypatch.setattr(MemoryJournal, "find", unreadable)
        without_await.fetch_open_orders("ETH/MXN")
        runner.run(asyncio.wait([task]))
        monkeypatch.undo()
        venue.bitso.clear_faults()
        order = runner.run(exchange.create_order(*LIMIT))

    assert isinstance(task.exception(), OrderOutcomeUnknown)
    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("is_awaited", [False, True])
@pytest.mark.parametrize("kind", ["create", "repeat", "batch", "market"])
def test_what_may_be_live_as_its_bridge_is_closed_is_told(venue: Simulator, is_awaited: bool, kind: str) -> None:
    """By another thread, or at the program's end: what is looked for is unknown, and what is placed is given."""
    package = import_module("orderbridge.ccxt.async_support" if is_awaited else "orderbridge.ccxt")
    told: list[Any] = []

    def bot(**settings: Any) -> None:
        exchange = made(package, venue, **settings)
        calls = {"batch": lambda: exchange.create_orders([ROW, ROW]), "market": lambda: exchange.create_order(*MARKET)}
        call = calls.get(kind, lambda: exchange.create_order(*LIMIT))

        async def awaited() -> Any:
            return await call()

        try:
            told.append(asyncio.run(awaited()) if is_awaited else call())
        except BaseException as error:  # noqa: BLE001 - whatever reaches the bot is looked at
            told.append(error)

    if kind == "market":
        venue.bitso.fault("delay", operation="order_trades", seconds=60.0)
    else:
        venue.bitso.fault("accept_then_drop", operation="place")
        venue.bitso.fault("delay", operation="lookup", seconds=60.0)
    if kind == "repeat":
        bot(resolve_for=0.1)
    seen = asked_for(venue)

    async def is_waiting() -> bool:
        return asked_for(venue) > seen + (kind == "batch")

    waiting = threading.Thread(target=bot, kwargs={"resolve_for": 60})
    waiting.start()
    asyncio.run(until(is_waiting))
    bridges.close_all()
    waiting.join(timeout=60)
    venue.bitso.clear_faults()

    last = told[-1]
    if kind == "market":
        assert [last["id"]] == live(venue)
    else:
        errors = [row["info"]["error"] for row in last] if kind == "batch" else [type(last).__name__]
        assert {*errors} == {"OrderOutcomeUnknown"}
        assert len(errors) == len(live(venue))


async def test_a_repeat_beside_a_journal_that_cannot_be_read_is_told_as_unknown(
    venue: Simulator, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was left without a word: the second must not read as refused. It is answered by it later."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    venue.bitso.fault("delay", operation="place", nth=1, seconds=60.0)
    task = asyncio.create_task(ours.create_order(*LIMIT))
    await until(lambda: placed(venue))
    task.cancel()
    await asyncio.wait([task])
    with monkeypatch.context() as broken:
        broken.setattr(MemoryJournal, "find", unreadable)
        with pytest.raises(OrderOutcomeUnknown, match=r"no other was sent: .*the disk is gone"):
            await ours.create_order(*LIMIT)
        (row,) = await ours.create_orders([ROW])
    venue.bitso.clear_faults()
    order = await ours.create_order(*LIMIT)

    assert (row["status"], row["info"]["error"]) == (None, "OrderOutcomeUnknown")
    assert live(venue) == [order["id"]]


def test_an_order_that_was_answered_before_its_loop_stood_still_is_no_stray_of_a_bot_that_has_it(
    venue: Simulator,
) -> None:
    """It counts as not given once another call is made: its caller is told so in place of being given it after all."""
    import orderbridge.ccxt.async_support as ccxt
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange, without_await = made(ccxt, venue), made(import_module("orderbridge.ccxt"), venue)
    with asyncio.Runner() as runner:
        runner.run(exchange.fetch_open_orders())
        loop = runner.get_loop()
        with handing(loop) as handed:
            task = loop.create_task(exchange.create_order(*LIMIT))
            loop.run_until_complete(asyncio.sleep(0))
            assert handed.wait(20)
        without_await.fetch_open_orders("ETH/MXN")
        runner.run(asyncio.wait([task]))
        order = runner.run(exchange.create_order(*LIMIT))
        second = runner.run(exchange.create_order(*LIMIT))

    assert isinstance(task.exception(), OrderOutcomeUnknown)
    assert live(venue) == [order["id"], second["id"]]


def test_a_read_of_a_loop_that_goes_on_after_another_call_times_out(venue: Simulator) -> None:
    """Nobody cancelled it, and so it is not told as a cancel."""
    import orderbridge.ccxt.async_support as ccxt

    exchange, without_await = made(ccxt, venue), made(import_module("orderbridge.ccxt"), venue)
    with asyncio.Runner() as runner:
        runner.run(exchange.fetch_open_orders())
        asked = venue.bitso.requests.total()
        venue.bitso.fault("delay", operation="open_orders", seconds=60.0)
        task = runner.get_loop().create_task(exchange.fetch_open_orders("BTC/MXN"))

        async def is_asked() -> bool:
            return venue.bitso.requests.total() > asked

        runner.run(until(is_asked))
        venue.bitso.clear_faults()
        without_await.fetch_open_orders("ETH/MXN")
        runner.run(asyncio.wait([task]))

    assert isinstance(task.exception(), RequestTimeout)


def test_what_a_loop_that_runs_no_more_was_to_be_told_is_told_to_the_next_process(
    venue: Simulator, tmp_path: Any
) -> None:
    """Although nothing else is called before the program ends."""
    import orderbridge.ccxt.async_support as ccxt

    exchange, loop = made(ccxt, venue, journal=str(tmp_path / "orders.db")), asyncio.new_event_loop()
    with handing(loop) as handed:
        task = loop.create_task(exchange.create_order(*LIMIT))
        loop.run_until_complete(asyncio.sleep(0))
        assert handed.wait(20)
    loop.close()
    bridges.close_all()
    order = asyncio.run(exchange.create_order(*LIMIT))

    assert live(venue) == [order["id"]]
    assert not task.done()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError], ids=["Ctrl-C", "the bot's own alarm"])
def test_an_interrupt_when_the_answer_is_there_leaves_the_order(
    venue: Simulator, monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    """Without `await`: the outcome is there, and the signal comes before it is returned."""
    import orderbridge.ccxt as ccxt

    exchange = made(ccxt, venue)
    exchange.fetch_open_orders()
    result = Future.result

    def interrupted(future: Future[Any], timeout: float | None = None) -> Any:
        result(future, timeout)
        raise interrupt

    with monkeypatch.context() as patched:
        patched.setattr(Future, "result", interrupted)
        with pytest.raises(interrupt):
            exchange.create_order(*LIMIT)
    order = exchange.create_order(*LIMIT)

    assert live(venue) == [order["id"]]


async def test_the_next_process_is_told_that_nobody_got_the_answer(venue: Simulator, tmp_path: Any) -> None:
    """What was missed is noted in the journal, also of an order that was noted as told."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = made(ccxt, venue, journal=str(tmp_path / "orders.db"))
    await exchange.fetch_open_orders()
    for _ in range(2):
        await missed(lambda: exchange.create_order(*LIMIT), 1)
    await asyncio.to_thread(bridges.close_all)
    order = await exchange.create_order(*LIMIT)
    await exchange.close()

    assert live(venue) == [order["id"]]


@pytest.mark.parametrize("is_awaited", [False, True], ids=["", "await"])
def test_an_interrupt_once_the_outcome_was_taken_up_loses_no_order(venue: Simulator, is_awaited: bool) -> None:
    """On its way to the bot: where one may come in between, the order is left; else the bot has it."""
    exchange = made(import_module("orderbridge.ccxt.async_support" if is_awaited else "orderbridge.ccxt"), venue)
    create, have, has_returned = exchange.create_order, [], False
    asyncio.run(exchange.fetch_open_orders()) if is_awaited else exchange.fetch_open_orders()

    def interrupt(frame: Any, event: str, what: Any) -> None:
        nonlocal has_returned
        if event == "return" and frame.f_code in (LoopThread.call.__code__, LoopThread.awaited.__code__):
            has_returned = isinstance(what, dict)
        elif has_returned and event in ("call", "c_call") and "bot" not in frame.f_code.co_name:
            sys.setprofile(None)
            raise KeyboardInterrupt  # Python looks for signals as a call begins

    def bot() -> None:
        sys.setprofile(interrupt)
        order = create(*LIMIT)
        sys.setprofile(None)
        have.append(order)

    async def awaiting_bot() -> None:
        sys.setprofile(interrupt)
        order = await create(*LIMIT)
        sys.setprofile(None)
        have.append(order)

    with suppress(KeyboardInterrupt):
        asyncio.run(awaiting_bot()) if is_awaited else bot()
    assert has_returned
    if not have:
        have.append(asyncio.run(create(*LIMIT)) if is_awaited else create(*LIMIT))

    assert live(venue) == [have[0]["id"]]

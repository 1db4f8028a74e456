"""An object of ours as programs use ccxt's: made from a config, set while it lives, shared, wrapped, not closed."""

import asyncio
import copy
import logging
import pickle
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orderbridge.adapters.ccxt_any.watch import OPTIONS
from orderbridge.ccxt import bridges
from orderbridge.simulator import Simulator
from tests.ccxt.fake_binance import FakeBinance, Seen
from tests.kind import KIND

pytestmark = pytest.mark.ccxt

PAIR = "BTC/USDT"
ORDER = (PAIR, "limit", "buy", 0.01, 50000)
MEXICAN = ("BTC/MXN", "limit", "buy", 0.01, 560000)
POST = "POST /api/v3/order"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    bridges.close_all()


@pytest.fixture
def venue() -> Iterator[FakeBinance]:
    """A small Binance."""
    with FakeBinance() as running:
        yield running


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """The simulated venues, served from a thread."""
    with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


def bitso_config(sim: Simulator, **more: Any) -> dict[str, Any]:
    """What points ccxt's Bitso to the simulated one."""
    return {
        "apiKey": sim.bitso.api_key,
        "secret": sim.bitso.api_secret,
        "urls": {"api": {"rest": sim.bitso.origin + "/api"}},
        "enableRateLimit": False,
        "timeout": 10_000,
        "timeout_on_exit": 0,
        **more,
    }


def orders_seen(venue: FakeBinance) -> list[Seen]:
    """The requests that placed spot orders."""
    return [each for each in venue.seen if each.call == POST]


# As frameworks begin.


def test_a_framework_makes_its_object_by_name_and_sets_it_up(venue: FakeBinance) -> None:
    """`getattr(ccxt, name)(config)`, keys set later, no sandbox, another's markets: the order is placed once."""
    import orderbridge.ccxt as ccxt

    config = venue.config()
    keys = {name: config.pop(name) for name in ("apiKey", "secret")}
    first = getattr(ccxt, "binance")(venue.config())  # noqa: B009 - as they write it
    markets = first.load_markets()
    exchange = getattr(ccxt, "binance")(config)  # noqa: B009
    exchange.apiKey, exchange.secret = keys["apiKey"], keys["secret"]
    exchange.set_sandbox_mode(False)
    exchange.set_markets_from_exchange(first)
    exchange.set_markets(list(markets.values()))
    venue.lose = 1

    order = exchange.create_order(*ORDER)

    assert [each["orderId"] for each in venue.placed] == [int(order["id"])]
    assert exchange.markets.keys() == markets.keys()


def test_a_key_that_is_missing_is_ccxts_error(venue: FakeBinance) -> None:
    """As ccxt says it, and nothing is sent."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance({**venue.config(), "apiKey": ""})

    with pytest.raises(theirs.AuthenticationError, match="apiKey"):
        exchange.create_order(*ORDER)
    assert venue.calls[POST] == 0


def test_methods_may_be_wrapped(venue: FakeBinance) -> None:
    """On the object and by a subclass; what is wrapped is called, and places as before."""
    import orderbridge.ccxt as ccxt

    called: list[str] = []

    class Mine(ccxt.binance):  # type: ignore[misc, name-defined]
        def create_order(self, *args: Any, **more: Any) -> Any:
            called.append("subclass")
            return super().create_order(*args, **more)

    exchange = Mine(venue.config())
    inner = exchange.create_order

    def wrapped(*args: Any, **more: Any) -> Any:
        called.append("wrapped")
        return inner(*args, **more)

    exchange.create_order = wrapped
    exchange.create_limit_buy_order(PAIR, 0.01, 50000)

    assert called == ["wrapped", "subclass"]
    assert len(venue.placed) == 1


def test_a_lost_answer_places_one_order(venue: FakeBinance) -> None:
    """By one changed import line: two on ccxt, one here, without `await` and with it."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt
    import orderbridge.ccxt.async_support as awaited

    def placed(exchange: Any) -> int:
        before, venue.lose = len(venue.placed), 1
        try:
            exchange.create_order(*ORDER)
        except theirs.NetworkError:
            exchange.create_order(*ORDER)
        return len(venue.placed) - before

    async def placed_by_await() -> int:
        before, venue.lose = len(venue.placed), 1
        exchange = awaited.binance(venue.config())
        await exchange.create_order(*ORDER)
        await exchange.close()
        return len(venue.placed) - before

    assert placed(theirs.binance(venue.config())) == 2
    assert placed(ccxt.binance(venue.config())) == 1
    assert asyncio.run(placed_by_await()) == 1


# One bridge for each key.


def test_every_exchange_has_a_bridge_or_is_left_to_ccxt() -> None:
    """Of ccxt's hundred each is one or the other; those that trade contracts only have none."""
    import orderbridge.ccxt as ccxt

    keys = dict.fromkeys(ccxt.Exchange().requiredCredentials, "c2VjcmV0")
    keys |= {"walletAddress": "0x" + "1" * 40, "privateKey": "0x" + "2" * 64, "accountId": "1"}
    left = []
    for name in ccxt.exchanges:
        exchange = getattr(ccxt, name)(keys)

        async def made(exchange: Any = exchange) -> bridges.SharedBridge:
            return bridges.SharedBridge(exchange)

        try:
            bridges._process.bridges[name,] = bridges.thread().call(made)
        except bridges.Uncovered:
            left.append(name)

    assert len(bridges._process.bridges) > 80
    assert {"binanceusdm", "krakenfutures", "coinspot"} <= set(left)
    assert not {"binance", "bitso", "kraken", "coinbase", "okx", "bybit", "kucoin", "gate", "mexc"} & set(left)


def test_objects_of_one_key_share_a_bridge(venue: FakeBinance) -> None:
    """Whatever their kind: each sees the others' orders, and all are in one thread."""
    import orderbridge.ccxt as ccxt
    import orderbridge.ccxt.async_support as awaited
    import orderbridge.ccxt.pro as streamed

    async def by_await() -> list[str]:
        ids = []
        for package in (awaited, streamed):
            exchange = package.binance(venue.config())
            ids.append((await exchange.create_order(*ORDER))["id"])
            await exchange.close()
        return ids

    before = set(threading.enumerate())
    ids = [ccxt.binance(venue.config()).create_order(*ORDER)["id"], *asyncio.run(by_await())]

    assert len(bridges._process.bridges) == 1
    begun = set(threading.enumerate()) - before
    assert sum(thread.name == "orderbridge-sync" for thread in begun) == 1
    assert [each["id"] for each in ccxt.binance(venue.config()).fetch_open_orders(PAIR)] == ids


def test_another_key_or_place_is_another_bridge(venue: FakeBinance, tmp_path: Path) -> None:
    """Orders follow `urls`, the sandbox and the key as they are at the call, and the journal tells them apart."""
    import orderbridge.ccxt as ccxt

    with FakeBinance() as elsewhere:
        settings = {"orderbridge": {"journal": str(tmp_path / "orders.db")}}
        exchange = ccxt.binance(venue.config(options=settings))
        exchange.urls["test"] = elsewhere.config()["urls"]["api"]
        exchange.create_order(*ORDER)
        exchange.set_sandbox_mode(True)
        exchange.create_order(*ORDER)
        exchange.set_sandbox_mode(False)
        exchange.create_order(*ORDER)
        exchange.apiKey = "another"
        exchange.create_order(*ORDER)

        assert [each.headers["x-mbx-apikey"] for each in orders_seen(venue)] == ["key-of-fake"] * 2 + ["another"]
        assert len(orders_seen(elsewhere)) == 1
        names = [shared.bridge.names[0] for shared in bridges._process.bridges.values()]
        assert len(set(names)) == 3
        bridges.close_all()


def test_the_label_of_a_key_does_not_change(venue: FakeBinance) -> None:
    """A key at an exchange's usual address has the same name in every journal, and another in the sandbox."""
    import orderbridge.ccxt as ccxt

    usual = ccxt.binance({"apiKey": "k", "secret": "s"})
    sandbox = ccxt.binance({"apiKey": "k", "secret": "s"})
    sandbox.set_sandbox_mode(True)

    assert bridges._account_of(usual) == "8254c329a9"
    assert bridges._account_of(sandbox) != bridges._account_of(usual) != bridges._account_of(ccxt.binance())


def test_a_journal_keeps_orders_over_restarts(venue: FakeBinance, tmp_path: Path) -> None:
    """The same clientOrderId is the same order in the next process."""
    import orderbridge.ccxt as ccxt

    config = venue.config(options={"orderbridge": {"journal": str(tmp_path / "orders.db")}})
    first = ccxt.binance(config).create_order(*ORDER, {"clientOrderId": "a1"})
    bridges.close_all()  # the process ends, and another begins
    again = ccxt.binance(config).create_order(*ORDER, {"clientOrderId": "a1"})
    bridges.close_all()

    assert again["id"] == first["id"]
    assert len(venue.placed) == 1


def test_another_journal_for_the_same_key_is_an_error(
    venue: FakeBinance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would not know of each other's orders; one that names none takes part in the first's."""
    import orderbridge.ccxt as ccxt

    monkeypatch.setenv("ORDERBRIDGE_JOURNAL", str(tmp_path / "one.db"))
    ccxt.binance(venue.config()).create_order(*ORDER)
    other = ccxt.binance(venue.config(options={"orderbridge": {"journal": str(tmp_path / "two.db")}}))

    with pytest.raises(ccxt.ExchangeError, match=r"one\.db"):
        other.create_order(*ORDER)
    monkeypatch.delenv("ORDERBRIDGE_JOURNAL")
    assert ccxt.binance(venue.config()).create_order(*ORDER)["status"] == "open"
    assert len(venue.placed) == 2
    bridges.close_all()


@pytest.mark.parametrize(
    "settings",
    [{"jornal": "x"}, "orders.db", {"stray": "forget"}, {"resolve_for": "30"}, {"spot_only": 1}, {"journal": 7}],
)
def test_settings_that_mean_nothing_are_refused(venue: FakeBinance, settings: Any) -> None:
    """By ccxt's error at the first call, and nothing is sent."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config(options={"orderbridge": settings}))

    with pytest.raises(ccxt.ExchangeError):
        exchange.create_order(*ORDER)
    assert venue.calls[POST] == 0


def test_settings_of_ours_are_each_objects_own(venue: FakeBinance) -> None:
    """Two objects of one key may resolve for other times and number otherwise; what was placed is known to both."""
    import orderbridge.ccxt as ccxt

    one = ccxt.binance(venue.config(options={"orderbridge": {"resolve_for": 1, "stray": "tell"}}))
    two = ccxt.binance(venue.config())
    two.number = str

    assert one.create_order(*ORDER, {"clientOrderId": "a1"})["price"] == 50000.0
    assert two.create_order(*ORDER, {"clientOrderId": "a1"})["price"] == "50000"
    assert len(venue.placed) == 1


# Settings travel with the call.


def test_transport_settings_are_those_of_the_call(venue: FakeBinance, capsys: pytest.CaptureFixture[str]) -> None:
    """Headers, agent, proxy, verbosity and options as they are then, over one bridge that forgets nothing."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    exchange.create_order(*ORDER)
    exchange.headers = {"X-Desk": "7"}
    exchange.userAgent = "desk/1"
    exchange.options["recvWindow"] = 4321
    exchange.create_order(*ORDER)
    exchange.verbose = True
    with FakeBinance() as proxy:
        exchange.httpProxy = proxy.origin
        exchange.create_order(*ORDER)
        by_proxy = orders_seen(proxy)
    exchange.httpProxy, exchange.verbose, exchange.headers = None, False, {}
    exchange.create_order(*ORDER)
    plain, told, after = orders_seen(venue)

    assert "x-desk" not in plain.headers
    assert (told.headers["x-desk"], told.headers["user-agent"]) == ("7", "desk/1")
    assert (plain.params["recvWindow"], told.params["recvWindow"]) == ("10000", "4321")
    assert [each.by_proxy for each in by_proxy] == [True]
    assert "x-desk" not in after.headers
    assert "fetch Request: binance POST" in capsys.readouterr().out
    assert len(bridges._process.bridges) == 1


async def test_two_first_calls_at_once_go_by_their_own_options(venue: FakeBinance) -> None:
    """One of them makes the bridge of both; the other's options are its own all the same."""
    import orderbridge.ccxt.async_support as ccxt

    objects = [ccxt.binance(venue.config(options={"recvWindow": window})) for window in (4321, 8765)]
    await asyncio.gather(*(each.load_markets() for each in objects))

    await asyncio.gather(*(each.create_order(*ORDER[:-1], 50000 + n) for n, each in enumerate(objects)))
    await asyncio.gather(*(each.close() for each in objects))

    assert {each.params["recvWindow"] for each in orders_seen(venue)} == {"4321", "8765"}
    assert len(bridges._process.bridges) == 1


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_what_every_gateway_sets_is_not_changed_by_a_call(venue: FakeBinance, name: str) -> None:
    """A bot that turns its object to swaps between calls has no lost spot order sought among those, or sent twice."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    exchange.create_order(*ORDER)
    exchange.options[name] = "swap"
    (shared,) = bridges._process.bridges.values()

    assert name not in shared.changed(exchange)


def test_bitsos_orders_follow_the_same_settings(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway of our own sends with the object's headers, through its proxy, and shows no secret when verbose."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.bitso(bitso_config(sim))
    exchange.verbose = True
    exchange.headers = {"X-Desk": "7"}
    exchange.create_order(*MEXICAN)
    shown = capsys.readouterr().out
    exchange.verbose = False
    with FakeBinance() as proxy:
        exchange.http_proxy = proxy.origin
        with pytest.raises(ccxt.BaseError):
            exchange.cancel_order("nothing")
        assert proxy.seen
        assert all(each.by_proxy and each.headers["x-desk"] == "7" for each in proxy.seen)

    assert "fetch Request: bitso" in shown
    assert sim.bitso.api_secret not in shown
    assert "Bitso " not in shown
    assert len(sim.bitso.accepted()) == 1


def test_an_older_ccxt_has_its_orders_taken_over_at_bitso(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs pin a ccxt that is too old for the orders of its exchanges, and whose objects may have no `login`."""
    import orderbridge.ccxt as ccxt

    monkeypatch.setattr("ccxt.__version__", "4.5.28")
    for kind in ccxt.bitso.__mro__:
        if "login" in vars(kind):
            monkeypatch.delattr(kind, "login")
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    exchange = ccxt.bitso(bitso_config(sim))
    exchange.requiredCredentials = {"apiKey": True, "secret": True}  # this ccxt would look at its own `login`

    order = exchange.create_order(*MEXICAN)

    assert exchange.fetch_order(order["id"])["status"] == "open"
    assert exchange.cancel_order(order["id"])["status"] == "canceled"
    assert len(sim.bitso.accepted()) == 1


def test_a_dead_proxy_keeps_an_order_back(venue: FakeBinance, sim: Simulator) -> None:
    """It does not leave past it: nothing was sent, and the error says that it may be tried again."""
    import orderbridge.ccxt as ccxt

    for exchange, order in ((ccxt.binance(venue.config()), ORDER), (ccxt.bitso(bitso_config(sim)), MEXICAN)):
        for name, proxy in (("httpProxy", "http://127.0.0.1:9"), ("proxies", {"http": "http://127.0.0.1:9"})):
            setattr(exchange, name, proxy)
            with pytest.raises(ccxt.NetworkError):
                exchange.create_order(*order)
            setattr(exchange, name, None)
        assert exchange.create_order(*order)["status"] == "open"

    assert len(venue.placed) == len(sim.bitso.accepted()) == 1


def test_the_timeout_is_that_of_the_call(sim: Simulator) -> None:
    """An answer that comes later than the object waits is looked for, and the order is there once."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.bitso(bitso_config(sim))
    exchange.fetch_open_orders()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=60)
    exchange.timeout = 300

    began = time.monotonic()
    order = exchange.create_order(*MEXICAN)

    assert time.monotonic() - began < 60
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


@pytest.mark.parametrize("name", ["binance", "bitso"])
@pytest.mark.parametrize(
    "change",
    [
        lambda exchange: setattr(exchange, "socksProxy", "socks5://127.0.0.1:9"),
        lambda exchange: exchange.session.proxies.update(http="http://127.0.0.1:9"),
        lambda exchange: setattr(exchange.session, "verify", False),
        lambda exchange: exchange.session.headers.update({"X-Desk": "7"}),
        lambda exchange: setattr(exchange, "verify", False),
        lambda exchange: setattr(exchange, "requests_trust_env", True),
    ],
)
def test_what_orders_cannot_follow_is_refused(venue: FakeBinance, sim: Simulator, name: str, change: Any) -> None:
    """A SOCKS proxy, a session of one's own, TLS that changes: an error, and nothing is sent."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config()) if name == "binance" else ccxt.bitso(bitso_config(sim))
    order = ORDER if name == "binance" else MEXICAN
    exchange.create_order(*order)
    change(exchange)

    with pytest.raises(ccxt.ExchangeError):
        exchange.create_order(*order)
    assert len(venue.placed) + len(sim.bitso.accepted()) == 1


async def test_a_given_session_is_refused(venue: FakeBinance) -> None:
    """Orders have connections of their own, and would not go where those lead."""
    import aiohttp

    import orderbridge.ccxt.async_support as ccxt

    async with aiohttp.ClientSession() as session:
        exchange = ccxt.binance({**venue.config(), "session": session})
        with pytest.raises(ccxt.ExchangeError, match="session"):
            await exchange.create_order(*ORDER)
        await exchange.close()
    assert venue.calls[POST] == 0


def test_a_change_while_a_call_is_on_its_way_does_not_move_it(venue: FakeBinance) -> None:
    """What was asked for with one key is not placed with another."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    step = bridges.calling(
        exchange, "create_order", dict(zip(("symbol", "type", "side", "amount", "price"), ORDER, strict=True))
    )
    exchange.apiKey = "another"

    from orderbridge.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="meanwhile"):
        bridges.thread().call(step)
    assert venue.calls[POST] == 0


# Nonces.


def test_the_objects_own_calls_go_on_beside_orders(sim: Simulator) -> None:
    """Bitso refuses a nonce below one that it has seen, and those of orders are long: forty balances beside orders."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.bitso(bitso_config(sim))
    for _ in range(10):
        exchange.create_order(*MEXICAN)
        for _ in range(4):
            assert exchange.fetch_balance()["MXN"]["used"] > 0
    bridges.close_all()

    # The next process, whose first call is none of ours.
    assert ccxt.bitso(bitso_config(sim)).fetch_balance()["MXN"]["used"] > 0


def test_nonces_rise_over_all_objects_of_a_key(venue: FakeBinance) -> None:
    """Where they count milliseconds: no two requests of one moment have the same."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.kraken({**venue.config(), "urls": {}, "secret": "c2VjcmV0"})
    before = exchange.nonce()
    shared = bridges.SharedBridge(exchange)
    bridges._process.bridges[bridges._key_of(exchange)] = shared

    told = [nonce for _ in range(50) for nonce in (exchange.nonce(), shared.twin.nonce())]

    assert told[0] >= before
    assert all(one < two for one, two in pairwise(told))


def test_a_nonce_of_ones_own_is_followed(venue: FakeBinance) -> None:
    """A bot whose clock is wrong sets `exchange.nonce`, and orders are signed by it."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    ahead = 7_000_000
    exchange.nonce = lambda: exchange.milliseconds() - ahead
    exchange.create_order(*ORDER)
    exchange.fetch_balance()
    sent = [int(each.params["timestamp"]) for each in venue.seen if "timestamp" in each.params]

    assert len(sent) >= 2
    assert all(exchange.milliseconds() - each >= ahead for each in sent)


# Copies, threads, loops.


def test_a_copy_works_as_the_first(venue: FakeBinance) -> None:
    """Pickled or copied after use, it has the same key, and so the same bridge."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    exchange.create_order(*ORDER)

    for again in (pickle.loads(pickle.dumps(exchange)), copy.deepcopy(exchange)):
        again.create_order(*ORDER)

    assert len(venue.placed) == 3
    assert len(bridges._process.bridges) == 1


def test_threads_share_an_object(sim: Simulator) -> None:
    """Sixteen at once that place, read and cancel: no nonce is refused, and each has its own order."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.bitso(bitso_config(sim))
    exchange.load_markets()
    done: list[str] = []

    def work(step: int) -> None:
        order = exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 500000 + 10 * step)
        exchange.fetch_balance()
        done.append(exchange.cancel_order(order["id"], "BTC/MXN")["id"])

    threads = [threading.Thread(target=work, args=(step,)) for step in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(done)) == 16
    assert {each.oid for each in sim.bitso.accepted()} == set(done)


def test_an_awaited_object_outlives_its_loop(venue: FakeBinance) -> None:
    """`asyncio.run` twice: the orders of one object are in the same bridge, which has a loop of its own."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = ccxt.binance(venue.config())

    ids = [asyncio.run(exchange.create_order(*ORDER))["id"] for _ in range(2)]

    assert [each["orderId"] for each in venue.placed] == [int(id) for id in ids]


async def test_a_create_whose_caller_gives_up_is_answered_to_the_next(sim: Simulator) -> None:
    """A task that is cancelled cancels its call in the bridge's thread; the order that it had placed is remembered."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = ccxt.bitso(bitso_config(sim))
    await exchange.fetch_open_orders()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.5)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.create_order(*MEXICAN), 0.1)
    order = await exchange.create_order(*MEXICAN)
    await exchange.close()

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


def test_once_the_program_ends_only_what_is_safe_is_passed_on(
    venue: FakeBinance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot's own `atexit` may still cancel and read, by ccxt; nothing is placed unprotected."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config())
    exchange.create_order(*ORDER)
    bridges.close_all()
    monkeypatch.setattr(bridges._process, "is_over", True)

    with pytest.raises(ccxt.ExchangeNotAvailable, match="ending"):
        exchange.create_order(*ORDER)
    with pytest.raises(ccxt.ExchangeNotAvailable, match="ending"):
        exchange.edit_order("1000", PAIR, "limit", "buy", 0.01, 51000)
    assert exchange.cancel_order("1000", PAIR)["status"] == "canceled"
    assert len(venue.placed) == 1


def test_a_bridge_that_cannot_be_closed_hinders_no_other(
    venue: FakeBinance, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the next one is closed."""
    import orderbridge.ccxt as ccxt

    ccxt.binance(venue.config()).create_order(*ORDER)
    ccxt.bitso(bitso_config(sim)).create_order(*MEXICAN)
    first, second = bridges._process.bridges.values()
    close = first.aclose

    async def failing() -> None:
        await close()
        raise OSError("no way")

    first.aclose = failing  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        bridges.close_all()

    assert "no way" in caplog.text
    assert second.bridge._closed

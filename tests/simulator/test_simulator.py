"""Starting, stopping, the clock, the counters, and the use from plain synchronous code."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest

from orderbridge import OrderRequest
from orderbridge.errors import ConfigurationError
from orderbridge.simulator import SimClock, Simulator


def test_importing_loads_no_server_and_no_adapter() -> None:
    """
    `from orderbridge.simulator import Simulator` pulls in neither httptools, a web framework nor an adapter.
    """
    code = (
        "import sys; from orderbridge.simulator import Simulator; Simulator(); "
        "bad = {'httptools', 'uvicorn', 'starlette', 'orderbridge.adapters.bitso'}; "
        "sys.exit(bool(bad & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_stopping_leaves_nothing_behind() -> None:
    """After ten starts and stops with connections still open there is no task and no listening port of theirs."""
    before = asyncio.all_tasks()
    ports = []

    for _ in range(10):
        async with httpx.AsyncClient(trust_env=False) as http:
            async with Simulator() as sim:
                await http.get(sim.bitso.base_url + "/available_books")
                ports.append(httpx.URL(sim.bitso.base_url).port)
            assert asyncio.all_tasks() == before

    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_one_venue_goes_down_and_comes_back_on_its_port(sim: Any, http: httpx.AsyncClient) -> None:
    """Down: connections are refused. Up again: same port, same orders; the other venue never noticed."""
    sim.bitso.put(oid="A1")
    url = sim.bitso.base_url + "/available_books"
    assert (await http.get(url)).status_code == 200

    await sim.bitso.stop()
    with pytest.raises(httpx.TransportError):
        await http.get(url)
    assert (await http.get(sim.bitcain.base_url + "/nothing")).status_code == 404

    await sim.bitso.start()
    assert (await http.get(url)).status_code == 200
    assert [order.oid for order in sim.bitso.accepted()] == ["A1"]


def test_synchronous_users_get_a_thread() -> None:
    """Under plain `with`, servers answer from a thread while put, fault and stop are called from this one."""
    with Simulator() as sim:
        order = sim.bitcain.put()
        headers = {"authorization": f"Bearer {sim.bitcain.token}"}
        url = f"{sim.bitcain.base_url}/api/v1/orders/{order.id}"
        with httpx.Client(trust_env=False) as http:
            assert http.get(url, headers=headers).status_code == 200
            sim.bitcain.fault("error_5xx", times=1)
            assert http.get(url, headers=headers).status_code == 503
            sim.run(sim.bitcain.stop())
            with pytest.raises(httpx.TransportError):
                http.get(url, headers=headers)


async def test_the_ground_truth_counts_requests_and_orders(sim: Any, bitso: Any, clock: SimClock) -> None:
    """
    Counters by method and path, times by the simulated clock, raw requests, accepted orders by either id.
    """
    sim.bitso.put(oid="A1", client_order_id="me")
    clock.advance(5)

    await bitso.get("/orders?oids=A1")

    assert sim.bitso.requests == {"GET /api/v3/orders": 1}
    assert sim.bitso.request_times == [(clock.time(), "GET /api/v3/orders")]
    assert sim.bitso.last_requests[-1].target == "/api/v3/orders?oids=A1"
    assert sim.bitso.last_requests[-1].headers["authorization"].startswith("Bitso simulated-key:")
    assert [order.oid for order in sim.bitso.accepted(client_order_id="me")] == ["A1"]
    assert sim.bitso.accepted(client_order_id="me", order_id="B2") == []
    assert sim.bitso.balances["btc"].total > 0


def test_a_clock_moves_by_hand_and_never_back() -> None:
    """A standing clock moves only when told; a running one goes on by itself."""
    clock = SimClock(start=1000.0, running=False)
    clock.advance(3600)
    assert clock.time() == 4600.0
    assert clock.now().isoformat() == "1970-01-01T01:16:40+00:00"
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    assert abs(SimClock().time() - time.time()) < 1


def test_settings_refuse_unknown_names_and_values() -> None:
    """A typo in a setting or its value is an error, not a silent default."""
    with pytest.raises(TypeError):
        Simulator(bitso={"visibility": 0})
    with pytest.raises(ValueError, match="'empty', '0312', '0357'"):
        Simulator(bitso={"miss": "nothing"})
    sim = Simulator()
    with pytest.raises(ValueError, match="allowed"):
        sim.bitcain.settings.paging = "pages"
    with pytest.raises(AttributeError):
        sim.bitso.settings.misss = "empty"


@pytest.mark.parametrize(
    ("venue", "name", "value"),
    [
        ("bitso", "closed_books", 5), ("bitso", "closed_books", "btc_mxn"), ("bitso", "closed_books", [1]),
        ("bitso", "visibility_window", 1e12), ("bitso", "trade_lag", float("nan")), ("bitso", "lockout", 10**400),
        ("bitso", "lockout", -1), ("bitso", "lockout", True), ("bitso", "private_per_minute", -5),
        ("bitso", "private_per_minute", 5.0), ("bitso", "api_secret", "\ud800"), ("bitso", "pacing", 1),
        ("bitcain", "token_lifetime", float("inf")), ("bitcain", "create_status", 201.0),
        ("bitcain", "create_status", "201"), ("bitcain", "names", ["camel"]), ("bitcain", "email", None),
    ],
)  # fmt: skip
def test_settings_have_types_and_ranges(venue: str, name: str, value: Any) -> None:
    """What is of another type, not finite or out of range is a ValueError that names the setting; nothing changes."""
    settings = getattr(Simulator(), venue).settings
    before = getattr(settings, name)

    with pytest.raises(ValueError, match=name if name != "api_secret" else "surrogates"):
        setattr(settings, name, value)

    assert getattr(settings, name) == before


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("closed_books", "btc_mxn", "a list of names"), ("lockout", -1, "greater than or equal to 0"),
        ("lockout", 10**10, "less than or equal to 1000000000"), ("most_open_orders", 5.5, "a valid integer"),
        ("pacing", "yes", "a valid boolean"), ("api_key", 5, "a valid string"), ("miss", "never", "'empty', '0312'"),
    ],
)  # fmt: skip
def test_a_refused_setting_says_what_would_do(name: str, value: Any, wanted: str) -> None:
    """In one line: the name, the value, and what is taken instead."""
    with pytest.raises(ValueError, match=wanted) as refused:
        Simulator(bitso={name: value})

    assert str(refused.value).startswith(f"{name}={value!r}")
    assert "\n" not in str(refused.value)


def test_closed_books_may_be_any_list() -> None:
    """JSON knows no sets."""
    assert Simulator(bitso={"closed_books": ["btc_mxn"]}).bitso.settings.closed_books == {"btc_mxn"}


def test_put_refuses_floats_and_misspelt_keywords() -> None:
    """A float is no amount, and an unknown keyword is no field."""
    sim = Simulator()
    with pytest.raises(TypeError, match="float"):
        sim.bitso.put(price=1.5)
    with pytest.raises(TypeError, match="pric"):
        sim.bitso.put(pric="1")


async def test_bytes_that_are_no_http_get_400_and_large_ones_413(sim: Any) -> None:
    """Garbage is answered with 400, a body over a megabyte or endless headers with 413; then it is over."""
    port = int(sim.bitso.origin.rpartition(":")[2])
    cases = [
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"POST /api/v3/orders HTTP/1.1\r\ncontent-length: 2000000\r\n\r\n" + b"x" * 2_000_000, b"413"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2dc6c0\r\n" + b"x" * 3_000_000, b"413"),
        (b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n", b"413"),
    ]
    for sent, status in cases:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 " + status)
        writer.close()


async def test_a_client_that_sends_too_much_reads_why(sim: Any, http: httpx.AsyncClient) -> None:
    """413 reaches a common client that is still sending; one that never ends is cut off after a while."""
    assert (await http.post(sim.bitso.base_url + "/orders", content=b"x" * 20_000_000)).status_code == 413

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orderbridge.simulator.server.LINGER", 0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.bitso.origin.rpartition(":")[2]))
        writer.write(b"GET\r\n\r\n")
        await reader.read()
        for _ in range(100):
            await asyncio.sleep(0.01)
            writer.write(b"x")
        with pytest.raises(OSError):
            await writer.drain()
        writer.close()


async def test_a_bug_drops_one_connection_and_nothing_else(
    sim: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a request ever break the simulator, its connection closes without a byte and a line is logged."""
    monkeypatch.setattr(sim.bitso, "_act", lambda _: 1 / 0)
    broken, writer = await asyncio.open_connection("127.0.0.1", int(sim.bitso.origin.rpartition(":")[2]))

    writer.write(b"GET /v3/catalogues HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await broken.read() == b""

    writer.close()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("orderbridge")] == [
        "GET /v3/catalogues has no answer, its connection is dropped: ZeroDivisionError('division by zero')"
    ]
    monkeypatch.undo()
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(sim.bitso.base_url + "/catalogues")).status_code == 200


def test_a_market_trades_above_zero_only() -> None:
    """Prices and quantities of a trade or fill made by hand are positive."""
    sim = Simulator()
    market, order = sim.bitso.market("btc_mxn"), sim.bitso.put()

    for price, quantity in (("0", "1"), ("-1", None), ("1000000", "0"), ("1000000", "-0.1")):
        with pytest.raises(ValueError, match="above zero"):
            market.trade(price=price, quantity=quantity)
        with pytest.raises(ValueError, match="above zero"):
            market.fill(order, price=price, quantity=quantity)

    assert market.last == 1_200_000


async def test_pipelined_requests_are_answered_in_order(sim: Any) -> None:
    """Two requests in one packet get two answers, also when the first one is late."""
    sim.bitso.fault("delay", operation="books", nth=1, seconds=0.02)
    port = int(sim.bitso.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(b"GET /v3/available_books HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\nconnection: close\r\n\r\n")
    answer = await reader.read(-1)

    assert answer.index(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 404")
    writer.close()


async def test_chunked_bodies_and_100_continue(sim: Any) -> None:
    """A body in chunks is read whole, and a client that waits for leave gets it."""
    port = int(sim.bitcain.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    writer.write(
        b"POST /auth/login HTTP/1.1\r\nexpect: 100-continue\r\n"
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b'5\r\n{"ema\r\n3\r\nil"\r\n0\r\n\r\n'
    )
    answer = await reader.read(-1)

    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422")
    assert sim.bitcain.last_requests[-1].body == b'{"email"'
    writer.close()


async def test_an_idle_connection_stays_open(sim: Any) -> None:
    """No idle time-out is armed: after two minutes of silence the same connection still answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.bitso.origin.rpartition(":")[2]))
    writer.write(b"GET /v3/catalogues HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")

    loop: Any = asyncio.get_running_loop()
    armed = [handle for handle in loop._scheduled if not handle.cancelled() and handle.when() < loop.time() + 120]

    assert armed == []
    writer.close()


def test_binding_is_to_loopback_only() -> None:
    """A started simulator answers on 127.0.0.1 and not even on the machine's other loopback addresses."""
    with Simulator() as sim:
        port = int(sim.bitso.origin.rpartition(":")[2])
        with socket.socket() as probe:
            probe.settimeout(0.2)
            assert probe.connect_ex(("127.0.0.2", port)) != 0


@pytest.mark.allow_hosts(["127.0.0.2", "::1"])
@pytest.mark.parametrize(("host", "shown"), [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
async def test_both_venues_listen_where_they_are_told(host: str, shown: str) -> None:
    """The host is each venue's, stands in its origin as an address does in a URL, and answers there."""
    async with Simulator(host=host) as sim:
        for venue in (sim.bitso, sim.bitcain):
            assert venue.origin.startswith(f"http://{shown}:")
            port = int(venue.origin.rpartition(":")[2])
            _, writer = await asyncio.open_connection(host, port)
            writer.close()


async def test_stopping_does_not_wait_for_late_answers(clock: SimClock, http: httpx.AsyncClient) -> None:
    """A venue that owes somebody an answer in an hour stops at once, and that somebody learns it."""
    async with Simulator(clock=clock) as sim:
        sim.bitso.fault("delay", seconds=3600, times=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.bitso.origin.rpartition(":")[2]))
        writer.write(b"GET /v3/catalogues HTTP/1.1\r\n\r\n")
        await http.get(sim.bitso.base_url + "/catalogues")
        assert sim.bitso.requests.total() == 2

    assert await reader.read() == b""
    writer.close()


async def test_a_taken_port_is_an_error_and_nothing_stays_open(sim: Any) -> None:
    """If the second venue cannot listen, the first one does not either."""
    taken = int(sim.bitcain.origin.rpartition(":")[2])
    other = Simulator(bitcain_port=taken)

    with pytest.raises(OSError, match="in use"):
        await other.start()

    with pytest.raises(httpx.TransportError):
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.get(other.bitso.origin)


async def test_gateways_are_handed_out_ready_to_use(sim: Any) -> None:
    """Each venue gives a gateway of this library that finds its orders; the caller's settings win."""
    order, other = sim.bitso.put(origin_id="mine"), sim.bitcain.put()

    async with sim.bitso.gateway() as bitso, sim.bitcain.gateway() as bitcain:
        found = await bitso.get(f"bitso:{order.oid}", timeout=5)
        seen = await bitcain.get(f"bitcain:{other.id}", timeout=5)

    assert found.client_order_id == "mine"
    assert seen.order_id == other.id
    with pytest.raises(ConfigurationError):
        sim.bitso.gateway(no_such_setting=1)


async def test_a_second_account_is_handed_out_too(sim: Any) -> None:
    """`account="mm"` has the second key: what it places is its own, and no other account's to see or cancel."""
    request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="1000000")
    async with sim.bitso.gateway() as first, sim.bitso.gateway(account="mm") as second:
        placed = await second.submit(request)

        assert (await second.get(placed)).gateway == "bitso/mm"
        assert list(await first.open_orders()) == []
        assert (await first.lookup(placed.order_id)).not_seen == (placed.order_id,)
        assert [order.order_id for order in await second.cancel_all()] == [placed.order_id]
    assert [order.account for order in sim.bitso.accepted()] == ["mm"]

"""A simulation in a file survives restarts, also the rude ones."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from orderbridge.simulator import SimClock, Simulator
from orderbridge.simulator.store import StateFileError
from tests.kind import KIND


def ground_truth(sim: Simulator) -> list[Any]:
    """What both venues know."""
    orders = sim.bitso.accepted() + sim.bitcain.accepted()
    return [
        [(o.order_id, o.client_order_id, o.state, o.filled, o.locked, len(o.fills), o.raw) for o in orders],
        {name: (b.total, b.locked) for name, b in sim.bitso.balances.items()},
        {mode: {n: (b.total, b.locked) for n, b in all_.items()} for mode, all_ in sim.bitcain.balances.items()},
        sim.bitso.market("btc_mxn").last,
    ]


async def test_a_restart_shows_the_same_orders_and_they_go_on_living(
    tmp_path: Path, clock: SimClock, bitso_client: Any, bitcain_client: Any
) -> None:
    """
    Orders, fills, locks and prices come back; stops still wait, the book still matches, ids stay unique.
    """
    file = tmp_path / "state.db"
    async with (
        Simulator(seed=3, clock=clock, state=file, bitso=KIND) as sim,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        bitso, bitcain = bitso_client(sim, http), bitcain_client(sim, http)
        resting = await bitso.place(origin_id="mine", major="0.02")
        stop = await bitso.place(side="sell", type="market", major="0.01", stop="900000")
        sim.bitso.market("btc_mxn").trade(price="1000000", quantity="0.005")
        sim.bitso.put(oid="odd", status="melted", raw={"price": Decimal("1.10"), "side": ...})
        order = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}
        await bitcain.send("POST", "/api/v1/orders", json=order)
        before = ground_truth(sim)

    async with (
        Simulator(seed=3, clock=clock, state=file, bitso=KIND) as sim,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        assert ground_truth(sim) == before
        bitso = bitso_client(sim, http, first_nonce=2 * 10**18)
        sim.bitso.market("btc_mxn").trade(price="900000")
        assert (await bitso.row(resting))["status"] == "completed"
        assert (await bitso.row(stop))["status"] == "completed"
        assert await bitso.code("POST", "/orders", {}) == (400, "0303")
        assert await bitso.place(origin_id="mine") not in {resting, stop}
        assert sim.bitso.engine.total("mxn") == 2_000_000_000


async def test_nonces_and_sessions_are_kept(tmp_path: Path, bitso_client: Any, bitcain_client: Any) -> None:
    """A nonce cannot be used again after a restart, and a token from a log-in stays good."""
    file = tmp_path / "state.db"
    login = {"email": "bot@example.com", "password": "simulated-password"}
    async with Simulator(state=file) as sim, httpx.AsyncClient(trust_env=False) as http:
        await bitso_client(sim, http).send("GET", "/open_orders", nonce="1700000000000000005")
        bitcain = bitcain_client(sim, http)
        token = (await bitcain.send("POST", "/auth/login", json=login)).json()["session"]["access_token"]

    async with Simulator(state=file) as sim, httpx.AsyncClient(trust_env=False) as http:
        bitso, bitcain = bitso_client(sim, http), bitcain_client(sim, http)
        used = await bitso.send("GET", "/open_orders", nonce="1700000000000000005")
        again = (await bitcain.send("POST", "/auth/login", json=login)).json()["session"]["access_token"]
        assert used.json()["error"]["code"] == "0207"
        assert (await bitcain.send("GET", "/api/v1/orders", token=token)).status_code == 200
        assert again != token


async def test_a_vain_retry_is_counted_over_a_restart(tmp_path: Path, bitcain_client: Any) -> None:
    """`retry_count` of an order that still fails is kept."""
    file = tmp_path / "state.db"
    body = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}
    settings = {"routing": "fails"}
    async with Simulator(state=file, bitcain=settings) as sim, httpx.AsyncClient(trust_env=False) as http:
        bitcain = bitcain_client(sim, http)
        path = f"/api/v1/orders/{(await bitcain.send('POST', '/api/v1/orders', json=body)).json()['order']['id']}"
        await bitcain.send("POST", f"{path}/retry")

    async with Simulator(state=file) as sim, httpx.AsyncClient(trust_env=False) as http:
        assert (await bitcain_client(sim, http).get(path))["order"]["retry_count"] == 1


async def test_a_cancel_that_takes_its_time_takes_effect_after_a_restart(
    tmp_path: Path, clock: SimClock, bitcain_client: Any
) -> None:
    """A cancel that was acknowledged is not forgotten, and comes at its time."""
    file = tmp_path / "state.db"
    settings = {"cancel_answer": "still_open", "cancel_takes": 60}
    async with Simulator(state=file, clock=clock, bitcain=settings) as sim, httpx.AsyncClient(trust_env=False) as http:
        path = f"/api/v1/orders/{sim.bitcain.put().id}"
        await bitcain_client(sim, http).send("DELETE", path)

    async with Simulator(state=file, clock=clock) as sim, httpx.AsyncClient(trust_env=False) as http:
        bitcain = bitcain_client(sim, http)
        clock.advance(59)
        assert (await bitcain.get(path))["order"]["status"] == "open"
        clock.advance(1)
        assert (await bitcain.get(path))["order"]["status"] == "cancelled"


async def test_time_goes_on_where_it_was(tmp_path: Path, http: httpx.AsyncClient) -> None:
    """A clock that was moved on is as far ahead after a restart; one that the caller brings is left alone."""
    file = tmp_path / "state.db"
    async with Simulator(state=file, page=True) as sim:
        await http.post(sim.bitcain.origin + "/_simulator/clock", json={"seconds": 86_400})
        sim.clock.advance(0.5)

    async with Simulator(state=file) as sim:
        assert sim.clock.advanced == 86_400.5
        assert abs(sim.clock.time() - time.time() - 86_400.5) < 5
    async with Simulator(state=file, clock=SimClock(start=1000, running=False)) as sim:
        assert sim.clock.time() == 1000


def test_one_file_belongs_to_one_simulation(tmp_path: Path) -> None:
    """A second process, or a second simulator in this one, is refused at once; afterwards the file is free."""
    file = tmp_path / "state.db"
    with Simulator(state=file) as sim:
        sim.bitso.put(oid="A1")
        with pytest.raises(StateFileError, match="in use"):
            Simulator(state=file)
        ran = subprocess.run([sys.executable, "-c", CHILD, str(file)], capture_output=True, text=True, check=False)
        assert ran.returncode != 0
        assert "StateFileError" in ran.stderr
        assert "in use" in ran.stderr

    with Simulator(state=file) as sim:
        assert [order.oid for order in sim.bitso.accepted()] == ["A1"]


async def test_a_triggered_order_keeps_its_place_behind_those_before_it(tmp_path: Path, clock: SimClock) -> None:
    """A stop-limit that was placed first and triggered last is behind in the queue, after a restart as before."""
    file = tmp_path / "state.db"
    for _ in range(2):
        async with Simulator(clock=clock, state=file, bitso={"liquidity": False}) as sim:
            if not sim.bitso.accepted():
                sim.bitso.put(oid="stop", side="sell", price=1300000, stop=1100000)
                sim.bitso.put(oid="plain", side="sell", price=1300000)
                sim.bitso.market("btc_mxn").trade(price=1100000)
            orders = sim.bitso.engine.market("btc_mxn").book.asks.orders()
            assert [order.oid for order in orders if order.account == "bot"] == ["plain", "stop"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file that is no database, or has state of another version, is an error and is left alone."""
    text, newer = tmp_path / "text", tmp_path / "newer.db"
    text.write_text("not a database, but long enough to be looked at as one" * 20)
    with sqlite3.connect(newer) as connection:
        connection.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, body TEXT NOT NULL)")
        connection.execute("INSERT INTO facts VALUES ('version', '99')")
    connection.close()

    for path in (text, newer):
        before = path.read_bytes()
        with pytest.raises(StateFileError):
            Simulator(state=path)
        assert path.read_bytes()[:16] == before[:16]


CHILD = """
import sys
from orderbridge.simulator import Simulator
with Simulator(state=sys.argv[1]) as sim:
    print(sim.bitcain.base_url, flush=True)
    sys.stdin.read()
"""


def test_a_killed_simulation_comes_back_with_every_answered_order(tmp_path: Path) -> None:
    """After kill -9, each order whose creation was answered is there, with its client id, and no other."""
    file = str(tmp_path / "state.db")
    child = subprocess.Popen([sys.executable, "-c", CHILD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    url = child.stdout.readline().decode().strip()
    order = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}
    answered = {}
    with httpx.Client(trust_env=False, headers={"authorization": "Bearer simulated-token"}) as http:
        for number in range(20):
            response = http.post(f"{url}/api/v1/orders", json=order | {"client_order_id": f"n{number}"})
            answered[response.json()["order"]["id"]] = f"n{number}"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()

    with Simulator(state=file) as sim:
        assert {each.order_id: each.client_order_id for each in sim.bitcain.accepted()} == answered


def test_a_file_from_before_there_was_a_second_account_gives_it_its_funds(tmp_path: Path) -> None:
    """The first account's money is as it was kept, and the second's is not zero."""
    file = tmp_path / "state.db"
    with Simulator(state=file) as sim:
        sim.bitso.engine.accounts.deposit("bot", "btc", Decimal(5))
    with sqlite3.connect(file) as db:
        (body,) = db.execute("SELECT body FROM facts WHERE name = 'bitso'").fetchone()
        kept = json.loads(body)
        del kept["totals"]["mm"]
        db.execute("UPDATE facts SET body = ? WHERE name = 'bitso'", (json.dumps(kept),))
    db.close()

    with Simulator(state=file) as sim:
        totals = [sim.bitso.engine.accounts.get(account, "btc").total for account in ("bot", "mm")]

    assert totals == [Decimal(1_000_000_005), Decimal(1_000_000_000)]

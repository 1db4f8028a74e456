"""Programs as they are started: by the runner, with children that are spawned and forked, and with no call to close."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.ccxt.fake_binance import FakeBinance

pytestmark = pytest.mark.ccxt

ROOT = Path(__file__).parents[2]
POST = "POST /api/v3/order"
SECONDS = 60


@pytest.fixture
def venue() -> Iterator[FakeBinance]:
    """A small Binance, of which every first answer to an order gets lost, so that ccxt itself would place two."""
    with FakeBinance() as running:
        running.lose = 1
        yield running


class Program:
    """A program in a folder of its own."""

    def __init__(self, folder: Path, venue: FakeBinance) -> None:
        self.folder = folder
        self.head = f"CONFIG = {venue.config()!r}\nORDER = ('BTC/USDT', 'limit', 'buy', 0.01, 50000)\n"

    def run(self, body: str, *how: str, name: str = "bot.py", **more: str) -> subprocess.CompletedProcess[str]:
        """Run it: by the runner unless told otherwise. Everything that it says on stderr is kept."""
        (self.folder / name).write_text(self.head + dedent(body))
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [sys.executable, "-W", "default::ResourceWarning", *(how or ("-m", "orderbridge.ccxt", name))],
            cwd=self.folder,
            env={**environ, "PYTHONPATH": str(ROOT), **more},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture
def program(tmp_path: Path, venue: FakeBinance) -> Program:
    """A program to be written."""
    return Program(tmp_path, venue)


RETRIES = """
def retried(exchange):
    for _ in range(3):
        try:
            return exchange.create_order(*ORDER)
        except ccxt.NetworkError:
            continue
"""
AWAITED = """
import asyncio
async def main():
    exchange = binance(CONFIG)
    for _ in range(3):
        try:
            await exchange.create_order(*ORDER)
            break
        except NetworkError:
            continue
    await exchange.close()
"""
IMPORTS = {
    "import": "import ccxt" + RETRIES + "retried(ccxt.binance(CONFIG))",
    "from": "import ccxt\nfrom ccxt import binance" + RETRIES + "retried(binance(CONFIG))",
    "deep": "import ccxt\nfrom ccxt.binance import binance" + RETRIES + "retried(binance(CONFIG))",
    "derived": "import ccxt\nclass Mine(ccxt.binance): pass" + RETRIES + "retried(Mine(CONFIG))",
    "async": "from ccxt import NetworkError\nfrom ccxt.async_support import binance" + AWAITED + "asyncio.run(main())",
    "deep async": "from ccxt import NetworkError\nfrom ccxt.async_support.binance import binance"
    + AWAITED
    + "asyncio.run(main())",
    "pro": "import ccxt.pro\nfrom ccxt import NetworkError\nbinance = ccxt.pro.binance"
    + AWAITED
    + "asyncio.run(main())",
}


def test_without_the_runner_a_retrying_program_doubles(program: Program, venue: FakeBinance) -> None:
    """The premise of the tests below."""
    done = program.run(IMPORTS["import"], "bot.py")

    assert done.returncode == 0, done.stderr
    assert venue.calls[POST] == 2


@pytest.mark.parametrize("how", IMPORTS)
def test_a_program_runs_unchanged_however_it_imports(program: Program, venue: FakeBinance, how: str) -> None:
    """The classes are patched where they stand, so that no way of importing leads past."""
    done = program.run(IMPORTS[how])

    assert done.returncode == 0, done.stderr
    assert venue.calls[POST] == 1


def test_a_program_that_never_closes_ends_quietly(program: Program, venue: FakeBinance) -> None:
    """Nothing is said of sessions or journals that were left open, and the order is in the journal."""
    journal = program.folder / "orders.db"
    done = program.run(
        """
        import orderbridge.ccxt as ccxt
        exchange = ccxt.binance(CONFIG)
        exchange.create_order(*ORDER)
        print(exchange.fetch_balance()["USDT"]["free"])
        """,
        "bot.py",
        ORDERBRIDGE_JOURNAL=str(journal),
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "1000.0\n"
    assert journal.exists()
    assert not Path(f"{journal}-wal").exists()


def test_an_awaited_program_ends_quietly(program: Program, venue: FakeBinance) -> None:
    """So does one that closes its own object, and that of the bridge it does not know."""
    done = program.run(
        "from orderbridge.ccxt import NetworkError\nfrom orderbridge.ccxt.async_support import binance\n"
        + AWAITED
        + "asyncio.run(main())",
        "bot.py",
        ORDERBRIDGE_JOURNAL=str(program.folder / "orders.db"),
    )

    assert done.returncode == 0, done.stderr
    assert "nclosed" not in done.stderr
    assert venue.calls[POST] == 1


def test_what_a_program_does_at_its_end_is_done(program: Program, venue: FakeBinance) -> None:
    """A bot's own `atexit` cancels what is left."""
    venue.lose = 0
    done = program.run(
        """
        import atexit
        import orderbridge.ccxt as ccxt
        exchange = ccxt.binance(CONFIG)
        order = exchange.create_order(*ORDER)
        atexit.register(exchange.cancel_order, order["id"], "BTC/USDT")
        """,
        "bot.py",
    )

    assert done.returncode == 0, done.stderr
    assert [order["status"] for order in venue.placed] == ["CANCELED"]


@pytest.mark.parametrize(
    ("method", "has_begun"), [("spawn", True), ("forkserver", True), ("fork", True), ("fork", False)]
)
def test_children_are_reached(program: Program, venue: FakeBinance, method: str, has_begun: bool) -> None:
    """Under the runner, before and after the first order of the parent; each process has a bridge of its own."""
    journal = program.folder / "orders.db"
    done = program.run(
        f"""
        import multiprocessing, ccxt

        def work(exchange):
            order = exchange.create_order("BTC/USDT", "limit", "buy", 0.02, 50000)
            print(exchange.fetch_order(order["id"], "BTC/USDT")["status"], flush=True)

        if __name__ == "__main__":
            exchange = ccxt.binance(CONFIG)
            if {has_begun}:
                exchange.create_order(*ORDER)
            child = multiprocessing.get_context({method!r}).Process(target=work, args=(exchange,))
            child.start()
            child.join(30)
            assert child.exitcode == 0, child.exitcode
            exchange.create_order("BTC/USDT", "limit", "buy", 0.03, 50000)
        """,
        ORDERBRIDGE_JOURNAL=str(journal),
    )

    assert done.returncode == 0, done.stderr
    assert "open" in done.stdout
    assert "nclosed" not in done.stderr
    sizes = [order["origQty"] for order in venue.placed]
    assert sizes == ["0.01", "0.02", "0.03"] if has_begun else sizes == ["0.02", "0.03"]


def test_a_fork_in_the_middle_of_things_leaves_both_sides_whole(program: Program, venue: FakeBinance) -> None:
    """Threads place while the process forks again and again; every child places once, and so does every thread."""
    venue.lose = 0
    done = program.run(
        """
        import os, threading, warnings
        import orderbridge.ccxt as ccxt

        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, from 3.12 on
        exchange = ccxt.binance(CONFIG)
        exchange.load_markets()

        def work(number):
            for step in range(5):
                exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50000 + 10 * number + step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(6):
            child = os.fork()
            if child == 0:
                exchange.create_order("BTC/USDT", "limit", "buy", 0.02, 40000 + number)
                os._exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        for thread in threads:
            thread.join()
        """,
        "bot.py",
        ORDERBRIDGE_JOURNAL=str(program.folder / "orders.db"),
    )

    assert done.returncode == 0, done.stderr
    prices = [order["price"] for order in venue.placed]
    assert len(prices) == len(set(prices)) == 21


def test_a_child_by_another_command_is_reached(program: Program, venue: FakeBinance) -> None:
    """As celery or a scheduler starts its workers; a `sitecustomize` that was there before still runs."""
    own = program.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.FROM_SITE = 7\n")
    (program.folder / "worker.py").write_text(
        program.head + "import ccxt" + RETRIES + "retried(ccxt.binance(CONFIG))\nprint(FROM_SITE)\n"
    )
    done = program.run(
        """
        import subprocess, sys
        print(FROM_SITE)
        subprocess.run([sys.executable, "worker.py"], check=True)
        """,
        PYTHONPATH=os.pathsep.join([str(own), str(ROOT)]),
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "7\n7\n"
    assert venue.calls[POST] == 1


def test_a_module_runs_with_its_arguments(program: Program, venue: FakeBinance) -> None:
    """`-m`, as Python's own; `argv`, `__name__` and the folder on the path are the program's, and so is its exit."""
    (program.folder / "near.py").write_text("HERE = 1\n")
    body = """
    import sys, near
    print(__name__, sys.argv[1:], near.HERE)
    sys.exit(3)
    """

    by_module = program.run(body, "-m", "orderbridge.ccxt", "-m", "bot", "--level", "2")
    by_name = program.run(body, "-m", "orderbridge.ccxt", "bot.py", "--level", "2")

    for done in (by_module, by_name):
        assert done.returncode == 3, done.stderr
        assert done.stdout == "__main__ ['--level', '2'] 1\n"


@pytest.mark.parametrize("arguments", [(), ("-m",), ("--help",)])
def test_without_a_program_the_runner_says_how_it_is_used(program: Program, arguments: Any) -> None:
    """One line, and an exit code of its own."""
    done = program.run("", "-m", "orderbridge.ccxt", *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m orderbridge.ccxt")


def test_a_gateway_of_ones_own_works_beside_the_runner(program: Program, venue: FakeBinance) -> None:
    """A program of ours that uses ccxt through a bridge is run as before: the object of a gateway is the gateway's."""
    venue.lose = 0
    done = program.run(
        """
        import asyncio
        import ccxt.async_support as ccxt
        from orderbridge import OrderBridge, OrderRequest
        from orderbridge.adapters.ccxt_any import CcxtGateway

        async def main():
            exchange = ccxt.binance(CONFIG)
            async with OrderBridge(CcxtGateway(exchange)) as bridge:
                request = OrderRequest(symbol="BTC/USDT", side="buy", type="limit", quantity="0.01", price="50000")
                placement = await bridge.place("ccxt.binance", request, key="one")
                print(placement.order.status if hasattr(placement, "order") else placement.status)
            await exchange.close()

        asyncio.run(main())
        """
    )

    assert done.returncode == 0, done.stderr
    assert venue.calls[POST] == 1

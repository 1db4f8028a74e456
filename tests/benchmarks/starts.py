"""What a process costs until it can begin, and what the orders weigh that it holds."""

import os
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from tests.benchmarks.calls import our_page, theirs
from tests.benchmarks.figures import ROOT, Row, ratio
from tests.benchmarks.instant import body_of
from tests.benchmarks.serving import serving

_OURS = "from orderbridge.adapters.bitso import BitsoGateway; g = BitsoGateway(api_key='k', api_secret='s'{})"
_THEIRS = "import ccxt.async_support as ccxt; e = ccxt.bitso({'apiKey': 'k', 'secret': 's'})"
_FIRST = "\nasync def first():\n    {}\nimport asyncio; asyncio.run(first())"
# Not by getrusage: that also counts what the process was before it became this one.
_MEMORY = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
_HELD = 2_000


async def starts(rounds: int) -> AsyncIterator[Row]:
    """Fresh processes, in turn: CPU of user and system beside wall, and the most memory that they took."""
    with serving() as origin, tempfile.TemporaryDirectory(prefix="orderbridge-") as folder:
        ours = _OURS.format(f", base_url='{origin}'") + _FIRST.format("await g.get('bitso:Q1'); await g.aclose()")
        theirs = f"e.urls['api'] = {{'rest': '{origin}/api'}}; await e.fetch_order('Q1'); await e.close()"
        theirs = _THEIRS + _FIRST.format(theirs)
        command = ("-m", "orderbridge.cli")
        lookup = (*command, "lookup", "-g", "bitso", "bitso:Q1")
        pairs: dict[str, tuple[tuple[str, ...], str, float]] = {
            "`import orderbridge`": (("-c", "import orderbridge"), "import ccxt.async_support", 0.05),
            "the same with a gateway": (("-c", _OURS.format("")), _THEIRS, 0.30),
            "a fresh process to its first answer": (("-c", ours), theirs, 0.40),
            "`orderbridge --help` to ccxt's first answer": ((*command, "--help"), theirs, 0.25),
            "`orderbridge lookup` to ccxt's first answer": (lookup, theirs, 0.45),
        }
        # As an installed package is: compiled, and without what this process was told of compiling.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BITSO_"))}
        environment |= {"BITSO_API_KEY": "k", "BITSO_API_SECRET": "s", "BITSO_BASE_URL": origin}
        environment |= {"PYTHONPYCACHEPREFIX": folder, "ORDERBRIDGE_CONFIG": "", "NO_PROXY": "127.0.0.1"}
        for what, (our, their, goal) in pairs.items():
            taken = []
            for _ in range(rounds // 2 + 2):  # the first compiles
                taken.append((_process(our, environment), _process(("-c", their), environment)))
            cpu, wall = (ratio(kind, [(a[at], b[at]) for a, b in taken[1:]]) for at, kind in enumerate(("CPU", "wall")))
            yield Row("starts", what, (cpu, wall), goal)
        our_most, their_most = (
            _process(("-c", made + _MEMORY), environment)[2] for made in (_OURS.format(""), _THEIRS)
        )
        yield Row("starts", "memory with a gateway", (ratio("", [(our_most, their_most)], "B"),), 0.36)


def _process(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of CPU and of wall that a process of Python took, and the number that it wrote, if one."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall, 1024 * float(done.stdout if done.stdout.strip().isdigit() else 0)


async def held(_: int) -> AsyncIterator[Row]:
    """Bytes of an order that is kept, with the exchange's row and without."""
    body = body_of(_HELD)
    async with AsyncExitStack() as stack:
        await theirs(stack)
        import ccxt.async_support as ccxt

        exchange = ccxt.bitso()
        stack.push_async_callback(exchange.close)

        def their_page() -> Any:
            return exchange.parse_orders(exchange.parse_json(body.decode())["payload"])

        ways: dict[str, tuple[Callable[[], Any], Callable[[], Any], float]] = {
            "bytes of an order that is held": (lambda: our_page(body), their_page, 1.1),
            "the same without its raw row": (
                lambda: [order.model_copy(update={"raw": {}}) for order in our_page(body)],
                lambda: [{**order, "info": None} for order in their_page()],
                1.2,
            ),
        }
        for what, (our, their, goal) in ways.items():
            our(), their()  # what is made once is no order's
            yield Row("held", what, (ratio("", [(_weight(our), _weight(their))], "B"),), goal)


def _weight(make: Callable[[], Any]) -> float:
    tracemalloc.start()
    kept = make()
    weight = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    return weight

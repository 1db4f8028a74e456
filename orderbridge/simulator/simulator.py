"""Both simulated venues under one clock and one seed."""

import asyncio
from collections.abc import Coroutine, Mapping
from random import Random
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from orderbridge.simulator.bitcain.venue import SimBitcain
from orderbridge.simulator.bitso.venue import SimBitso
from orderbridge.simulator.clock import SimClock
from orderbridge.simulator.console import Console
from orderbridge.simulator.settings import BitcainSettings, BitsoSettings

T = TypeVar("T")


class Simulator:
    """
    A simulated Bitso and a simulated Bitcain, on loopback ports of their own.

    `async with Simulator() as sim` serves from the running loop. Plain `with Simulator() as sim` serves from
    a thread, for synchronous users; `put`, `fault` and the ground truth may be used from any thread either
    way.

    Args:
        seed: fixes ids, probabilities and the counter-party's sizes.
        clock: time; the machine's own unless given.
        bitso_port, bitcain_port: 0 picks free ports.
        host: the address to listen on.
        page: whether each venue shows a page about itself at `/` and takes controls below `/_simulator/`.
        bitso, bitcain: settings by name, see `BitsoSettings` and `BitcainSettings`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: SimClock | None = None,
        bitso_port: int = 0,
        bitcain_port: int = 0,
        host: str = "127.0.0.1",
        page: bool = False,
        bitso: Mapping[str, Any] | None = None,
        bitcain: Mapping[str, Any] | None = None,
    ) -> None:
        self.clock = clock or SimClock()
        rng = Random(seed)
        self.bitso = SimBitso(
            BitsoSettings(**(bitso or {})),
            clock=self.clock,
            rng=Random(rng.random()),
            port=bitso_port,
            host=host,
        )
        self.bitcain = SimBitcain(
            BitcainSettings(**(bitcain or {})),
            clock=self.clock,
            rng=Random(rng.random()),
            port=bitcain_port,
            host=host,
        )
        if page:
            self.bitso.show_page(Console("Bitso", self.bitso, {"bitso": self.bitso.engine}, self.clock))
            self.bitcain.show_page(Console("Bitcain", self.bitcain, self.bitcain.engines, self.clock))
        self._thread: _LoopThread | None = None

    async def start(self) -> None:
        """Serve both venues."""
        await self.bitso.start()
        try:
            await self.bitcain.start()
        except BaseException:
            await self.bitso.stop()
            raise

    async def stop(self) -> None:
        """Close both servers and every connection."""
        await self.bitso.stop()
        await self.bitcain.stop()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """
        Under plain `with`: run one of the async calls, such as `sim.run(sim.bitso.stop())`, and wait for it.
        """
        if self._thread is None:
            raise RuntimeError("run() is for `with Simulator()`; here, await the call")
        return self._thread.run(step)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = _LoopThread()
        try:
            self._thread.run(self.start())
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None and self._thread.is_here:
            self._thread.run(self.stop())
            self._thread.close()
            self._thread = None


class _LoopThread:
    """An event loop that runs in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="orderbridge-simulator", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """False in a forked child: threads stay in the parent, and whoever waited for one would wait for ever."""
        return self._thread.is_alive()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        if not self.is_here:
            step.close()
            raise RuntimeError("this simulator runs in the process that was forked; make a new one in the child")
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

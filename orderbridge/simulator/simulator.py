"""Both simulated venues under one clock and one seed: for a test, or served until told to stop."""

import asyncio
import contextlib
import ipaddress
import json
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from random import Random
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from orderbridge.simulator.basics import Checked, SimClock
from orderbridge.simulator.bitcain.venue import SimBitcain
from orderbridge.simulator.bitso.venue import SimBitso
from orderbridge.simulator.settings import BitcainSettings, BitsoSettings

T = TypeVar("T")
_SETTINGS: dict[str, type[Checked]] = {"bitso": BitsoSettings, "bitcain": BitcainSettings}


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
            BitsoSettings(**(bitso or {})), clock=self.clock, rng=Random(rng.random()), port=bitso_port, host=host
        )
        self.bitcain = SimBitcain(
            BitcainSettings(**(bitcain or {})), clock=self.clock, rng=Random(rng.random()), port=bitcain_port, host=host
        )
        if page:
            self.bitso.show_page()
            self.bitcain.show_page()
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


class NotExposed(Exception):
    """The address is reachable from other machines, and that was not asked for twice. Nothing was started."""


def check_host(host: str, *, yes_expose: bool) -> None:
    """
    Let loopback pass, and anything else only if it was asked for twice.

    Raises:
        NotExposed: another address, without `yes_expose`.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not yes_expose:
        raise NotExposed(
            f"{host} can be reached from other machines, and a simulation's keys are known to all: "
            "add --yes-expose if that is meant"
        )


def read_settings(texts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """
    Settings such as `bitso.miss=0312` or `bitcain.create_status=200`, by venue.

    Raises:
        ValueError: not of that form, of no venue, or of a name that the venue's settings lack.
    """
    found: dict[str, dict[str, Any]] = {"bitso": {}, "bitcain": {}}
    for text in texts:
        where, equals, value = text.partition("=")
        venue, dot, name = where.partition(".")
        if not (equals and dot) or venue not in found:
            raise ValueError(f"a setting is written venue.name=value, for bitso or bitcain; not {text!r}")
        try:
            found[venue][name] = _value(_SETTINGS[venue](), name, value)
        except AttributeError as error:
            raise ValueError(f"{venue}: {error}") from error
    return found


def _value(settings: Checked, name: str, text: str) -> Any:
    """The text, where the setting takes it, such as the code 0312; else what it is as JSON: a number, true, a list."""
    with contextlib.suppress(ValueError):
        setattr(settings, name, text)
        return text
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text  # to be refused where the settings are made, with what is allowed


def banner(sim: Simulator) -> list[str]:
    """The lines to show at the start: first of all that nothing here is real."""
    bitso = sim.bitso
    return [
        "SIMULATION: no real exchange, no real orders, no real money.",
        f"Bitso    {bitso.base_url}  key {bitso.api_key}, secret {bitso.api_secret}",
        f"bitso/mm {bitso.base_url}  key {bitso.settings.second_key}, secret {bitso.settings.second_secret}",
        f"Bitcain  {sim.bitcain.base_url}  {sim.bitcain.email} / {sim.bitcain.password}, token {sim.bitcain.token}",
        f"Look at  {bitso.origin}/  and  {sim.bitcain.origin}/",
    ]


async def serve(
    *,
    bitso_port: int = 8101,
    bitcain_port: int = 8102,
    host: str = "127.0.0.1",
    yes_expose: bool = False,
    seed: int = 0,
    pacing: bool = True,
    settings: Iterable[str] = (),
    announce: Callable[[str], None],
    until: asyncio.Event | None = None,
) -> None:
    """
    Run both venues, with their pages, until SIGINT, SIGTERM or `until`.

    Args:
        pacing: whether the simulated Bitso counts requests and locks out, as the real one does.
        settings: `venue.name=value` texts.
        announce: is given each line to show to the user.

    Raises:
        NotExposed: an address beyond loopback without `yes_expose`.
        ValueError: a wrong setting.
        OSError: a port that is taken.
    """
    check_host(host, yes_expose=yes_expose)
    chosen = read_settings(settings)
    sim = Simulator(
        seed=seed,
        bitso_port=bitso_port,
        bitcain_port=bitcain_port,
        host=host,
        page=True,
        bitso={"pacing": pacing, **chosen["bitso"]},
        bitcain=chosen["bitcain"],
    )
    stop = until or asyncio.Event()
    async with sim:
        with _signals_set(stop):
            for line in banner(sim):
                announce(line)
            await stop.wait()


@contextlib.contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the wait; where loops cannot handle signals, KeyboardInterrupt does."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    with contextlib.suppress(NotImplementedError, RuntimeError):
        for number in numbers:
            loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError, RuntimeError):
            for number in numbers:
                loop.remove_signal_handler(number)

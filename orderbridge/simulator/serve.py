"""Serving both venues until told to stop: what `orderbridge simulate` does."""

import asyncio
import contextlib
import ipaddress
import json
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any

from orderbridge.simulator.settings import BitcainSettings, BitsoSettings, is_text, unknown
from orderbridge.simulator.simulator import Simulator

_SETTINGS: dict[str, type[Any]] = {"bitso": BitsoSettings, "bitcain": BitcainSettings}


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
        kind = _SETTINGS[venue]
        if name not in {each.name for each in fields(kind)}:
            raise ValueError(f"{venue}: {unknown(name, kind)}")
        found[venue][name] = value if is_text(name, kind, value) else _value(value)
    return found


def _value(text: str) -> Any:
    """Numbers and true/false as such; codes such as 0312 have a leading zero and stay text, as any other word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def banner(sim: Simulator) -> list[str]:
    """What to tell at the start: first of all that nothing here is real."""
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

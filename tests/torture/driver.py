"""
The process that is killed: it places orders under keys until each has a verdict.

It is told what to do by one JSON argument, dies at the point that it is told, and can be started again and again.
"""

import asyncio
import json
import logging
import sys
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from orderbridge import Alarm, OrderBridge, OrderGateway, OrderRequest
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import NotSent, OrderBridgeError, OrderDenied
from orderbridge.model.basics import PlacementState
from tests.torture.doom import Doom, DoomedBitcain, DoomedBitso, DoomedJournal, DoomedTransport
from tests.torture.points import BOTH, OF_STRANGERS

AT_ONCE = 20
TRIES = 6
UNKNOWN = {PlacementState.SENDING, PlacementState.UNCERTAIN}
CENT = Decimal("0.01")


@dataclass
class Work:
    """What one start of the driver has at hand."""

    told: dict[str, Any]
    bridge: OrderBridge
    strangers: dict[str, OrderGateway]
    gate: asyncio.Semaphore


def asked_for(venue: str, number: int) -> OrderRequest:
    """
    The order of a number: a third are filled at once, a few are refused for lack of money or end without a fill.

    On Bitcain no two are equal, as equal ones wait for one another; on Bitso many are.
    """
    symbol, low, high = ("BTC/MXN", 100_000, 1_300_000) if venue == "bitso" else ("BTC/USDT", 10_000, 70_000)
    apart = 10 * (number % 40) if venue == "bitso" else CENT * number
    if number % 40 == 9:
        return OrderRequest.limit(symbol=symbol, side="buy", quantity="500000", price=high + apart)
    if number % 40 == 19:
        price = low + apart
        return OrderRequest.limit(symbol=symbol, side="buy", quantity="0.01", price=price, time_in_force="ioc")
    price = high + apart if number % 3 == 0 and not is_taken(number) else low + apart
    own = f"{OF_STRANGERS}{venue}-{number}" if is_taken(number) else None
    return OrderRequest.limit(symbol=symbol, side="buy", quantity="0.01", price=price, client_order_id=own)


def is_taken(number: int) -> bool:
    """Whether somebody else uses the client id first, so that the venue refuses ours as a duplicate."""
    return number % 20 == 5


async def one(work: Work, venue: str, number: int) -> bool:
    """Whether this key has its verdict, or was given up."""
    key, bridge = f"t-{number}", work.bridge
    if is_taken(number) and venue not in work.told["duplicates"]:
        # Where the venue allows a second order of one id, the stranger's would be one.
        return False
    async with work.gate:
        for _ in range(TRIES):
            placement = await bridge.placement(key=key, gateway=venue)
            if placement is not None and placement.state is not PlacementState.PREPARED:
                break
            await _place(work, venue, number, is_new=placement is None)
    if placement is None or placement.state is PlacementState.PREPARED:
        return False
    if placement.state in UNKNOWN and not placement.gave_up:
        placement = await bridge.resolve(placement, timeout=30)
    return placement.state not in UNKNOWN or placement.gave_up


async def _place(work: Work, venue: str, number: int, *, is_new: bool) -> None:
    request, key, bridge = asked_for(venue, number), f"t-{number}", work.bridge
    try:
        if is_new and is_taken(number):
            await _strangers(work, venue, request)
        if is_new and number % 4 == 0:
            prepared = await bridge.prepare(venue, request, key=key)
            await bridge.place(venue, prepared, send_within=2.0, timeout=1.0)
        else:
            await bridge.place(venue, request, key=key, send_within=2.0, timeout=1.0)
    except NotSent:
        await asyncio.sleep(0.05)
    except OrderBridgeError as error:
        logging.getLogger("driver").info("%s: %s", key, error)


async def _strangers(work: Work, venue: str, request: OrderRequest) -> None:
    try:
        await work.strangers[venue].submit(request, timeout=1.0)
    except OrderDenied:
        raise
    except OrderBridgeError as error:
        logging.getLogger("driver").info("the other one's order: %s", error)


def gateways(told: dict[str, Any], doom: Doom) -> tuple[list[OrderGateway], dict[str, OrderGateway]]:
    """The gateways of the bridge, and those of somebody else with the same keys."""
    settings: dict[str, dict[str, Any]] = {
        "bitso": {"api_key": "simulated-key", "api_secret": "simulated-secret", "markets": None},
        "bitcain": {"token": "simulated-token", "trading_mode": "paper", "scan_since": timedelta(hours=1)},
    }
    ours: list[OrderGateway] = []
    theirs: dict[str, OrderGateway] = {}
    kinds: dict[str, tuple[Any, Any]] = {
        "bitso": (DoomedBitso, BitsoGateway),
        "bitcain": (DoomedBitcain, BitcainGateway),
    }
    for venue in (name for name in BOTH if name in told["venues"]):
        settings["bitso"]["settle_time"] = told["horizon"]
        common = {**settings[venue], "base_url": told["venues"][venue], "limits": None, "allow_plain_http": True}
        doomed, plain = kinds[venue]
        gateway = doomed(**common, transport=DoomedTransport(doom, venue))
        gateway.doom = doom
        ours.append(gateway)
        theirs[venue] = plain(**common)
    return ours, theirs


async def main(told: dict[str, Any]) -> None:
    doom = Doom(**told["doom"])
    ours, theirs = gateways(told, doom)

    def on_alarm(alarm: Alarm) -> None:
        with Path(told["alarms"]).open("a") as file:
            file.write(f"{alarm.kind}\t{alarm.gateway}\t{alarm.message}\n")

    bridge = OrderBridge(
        *ours,
        journal=DoomedJournal(told["path"], doom),
        settle_horizon=told["horizon"],
        probe_times=tuple(told["horizon"] * n / 8 for n in range(1, 40)),
        on_stale=told["on_stale"],
        on_alarm=on_alarm,
    )
    work = Work(told, bridge, theirs, asyncio.Semaphore(AT_ONCE))
    recovery = asyncio.ensure_future(_recover(bridge, doom)) if told["recovers"] else None
    await asyncio.sleep(0)  # a recovery of our own goes before the one that the bridge would begin
    async with bridge:
        numbers = range(told["upto"])
        done = await asyncio.gather(*(one(work, venue, n) for venue in told["venues"] for n in numbers))
        if recovery is not None:
            await recovery
    for stranger in theirs.values():
        await stranger.aclose()
    sys.exit(0 if all(done) else 3)


async def _recover(bridge: OrderBridge, doom: Doom) -> None:
    """The recovery that the bridge would begin by itself, with its points named as such."""
    doom.recovering = True
    try:
        await bridge.recover()
    finally:
        doom.recovering = False


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(json.loads(sys.argv[1])))

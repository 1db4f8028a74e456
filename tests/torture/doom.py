"""What kills the driver: a journal, a gateway and a transport that die at the point that they were told."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from orderbridge import Order
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.placement import Event, Record, SqliteJournal
from tests.placement.kit import wire_bytes


class Doom:
    """
    Ends this process by SIGKILL at one point, as soon as that has been come to so often.

    Attributes:
        recovering: whether the recovery is under way; its reads and writes are points of their own.
    """

    def __init__(self, *, venue: str | None, point: str | None, nth: int) -> None:
        self._venue = venue
        self._point = point
        self._left = nth
        self.recovering = False

    def at(self, point: str, gateway: str) -> None:
        """Die here, if this is the place."""
        names = {point, f"recovery: {point}"} if self.recovering else {point}
        if gateway != self._venue or self._point not in names:
            return
        self._left -= 1
        if self._left <= 0:
            die(f"{gateway}: {self._point}")

    def is_at(self, point: str, gateway: str) -> bool:
        """Whether this is the place, for who has something to do before dying there."""
        if gateway != self._venue or point != self._point:
            return False
        self._left -= 1
        return self._left <= 0


def die(point: str) -> None:
    """Say where, and be gone."""
    os.write(sys.stderr.fileno(), f"{point}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal(SqliteJournal):
    """Dies before a placement is stored, inside the transaction of an event, and after its commit."""

    def __init__(self, path: str, doom: Doom) -> None:
        super().__init__(path)
        self._doom = doom

    async def create(self, record: Record, *then: Any, alone: bool = False) -> Record:
        gateway = record.placement.gateway
        self._doom.at("before it is stored", gateway)
        for step in then:
            self._doom.at(f"while {step.event.happened} is stored", gateway)
        kept = await super().create(record, *then, alone=alone)
        if kept.id == record.id:
            self._doom.at(f"after {kept.state} was stored", gateway)
        return kept

    async def change(self, placement_id: str, change: Any, *, alone: bool = False) -> Record:
        watched, happened = self._watched(change)
        return self._after(await super().change(placement_id, watched, alone=alone), happened)

    async def change_seeing(self, placement_id: str, order: Order, change: Any) -> Record:
        watched, happened = self._watched(change)
        return self._after(await super().change_seeing(placement_id, order, watched), happened)

    def _watched(self, change: Any) -> tuple[Any, list[Event]]:
        """A change that may be the last thing that is done, inside its transaction; and what it came to."""
        happened: list[Event] = []

        def watched(record: Record, *more: Any) -> Any:
            step = change(record, *more)
            if step is not None:
                happened.append(step.event)
                self._doom.at(f"while {step.event.happened} is stored", record.placement.gateway)
            return step

        return watched, happened

    def _after(self, record: Record, happened: list[Event]) -> Record:
        for event in happened:
            self._doom.at(f"after {event.happened} was stored", record.placement.gateway)
        return record


class DoomedTransport:
    """Dies with half of an order on the wire, or with all of it there and nobody to hear the answer."""

    def __init__(self, doom: Doom, gateway: str) -> None:
        self._doom = doom
        self._gateway = gateway
        self._inner = HttpxTransport()

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        if request.method == "POST" and request.target.partition("?")[0].endswith("/orders"):
            if self._doom.is_at("mid-write", self._gateway):
                self._die_writing(request, share=0.5, point="mid-write")
            if self._doom.is_at("after the bytes left", self._gateway):
                self._die_writing(request, share=1.0, point="after the bytes left")
        return await self._inner.send(request, timeout=timeout, not_after=not_after)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _die_writing(self, request: WireRequest, *, share: float, point: str) -> None:
        head, body = wire_bytes(request)
        parts = urlsplit(request.url)
        wire = socket.create_connection((parts.hostname or "", parts.port or 80))
        wire.sendall(head + body[: int(len(body) * share)])
        die(f"{self._gateway}: {point}")


class _Doomed:
    """Dies around the calls of a gateway."""

    doom: Doom
    name: str

    async def submit(self, *args: Any, **how: Any) -> Order:
        order: Order = await super().submit(*args, **how)  # type: ignore[misc]
        self.doom.at("after the reply", self.name)
        return order

    async def lookup(self, *refs: Any, **how: Any) -> Any:
        self.doom.at("before a look-up", self.name)
        result = await super().lookup(*refs, **how)  # type: ignore[misc]
        self.doom.at("after a look-up", self.name)
        return result

    async def open_orders(self, **how: Any) -> Sequence[Order]:
        self.doom.at("before open orders are read", self.name)
        listed: Sequence[Order] = await super().open_orders(**how)  # type: ignore[misc]
        self.doom.at("after open orders were read", self.name)
        return listed


class DoomedBitso(_Doomed, BitsoGateway):  # type: ignore[misc]
    """Bitso, with a mortal user."""


class DoomedBitcain(_Doomed, BitcainGateway):  # type: ignore[misc]
    """Bitcain, with a mortal user."""

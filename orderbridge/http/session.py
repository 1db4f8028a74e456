"""One account's way out: the lanes, the connections, one attempt through the engine, and the log."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from orderbridge.errors import ConfigurationError, NotSent, RateLimited, VenueUnavailable, printable
from orderbridge.http.limits import Limiter, LockedOut, NoPermit
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.transport import (
    Limits,
    NoAnswer,
    NothingSent,
    OneLoop,
    WireRequest,
    WireResponse,
    is_loopback,
    keeps_deadline,
    make_transport,
    told,
)
from orderbridge.model.permit import LANES, Lane, Permit

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

_ATTEMPT: Final = Limits().attempt
# Reads and orders on their way at once; the other connections of an engine's pool are kept for cancels, and for the
# look at what came of them.
_ON_THEIR_WAY: Final = 80
_KEPT_FOR: Final[frozenset[Lane]] = frozenset({"cancel", "resolve"})
# A caller's client has one pool for all the gateways that he gives it to.
_rooms: Final[WeakKeyDictionary[object, asyncio.Semaphore]] = WeakKeyDictionary()


class Session:
    """
    The way out of an adapter: it paces, sends once and logs.

    Touches no loop and no network until first used; refuses a second event loop.
    """

    def __init__(
        self,
        *,
        gateway: str,
        venue: str,
        transport: EngineLike,
        limiter: Limiter,
        retries: Retries | None = None,
    ) -> None:
        self.gateway = gateway
        self.limiter = limiter
        self.log = own_logger(f"orderbridge.{venue}")
        self._engine, self._owns_engine = make_transport(transport)
        self._keeps_deadline = keeps_deadline(self._engine)
        self._said_late = False
        self.retries = retries or Retries()
        self._loop = OneLoop(f"the gateway {gateway}")
        self._room = asyncio.Semaphore(_ON_THEIR_WAY)
        if hasattr(transport, "build_request"):
            self._room = _rooms.setdefault(transport, self._room)
        self._closed = False

    def beside(self, limiter: Limiter) -> Session:
        """A session over the same connections that is paced by another limiter. The first one closes them."""
        other = copy.copy(self)
        other.limiter, other._owns_engine = limiter, False
        return other

    def longest_attempt(self, base_url: str) -> float:
        """
        Seconds for which a write to an address may still be under way after its `not_after`.

        None of them where it stays on this machine, through an engine that keeps it.
        """
        here = self._keeps_deadline and is_loopback(urlsplit(base_url).hostname or "")
        return 0.0 if here else _ATTEMPT

    def check_usable(self) -> None:
        """Raise ConfigurationError when this session was closed or belongs to another event loop."""
        if self._closed:
            raise ConfigurationError("this gateway is closed; make a new one", gateway=self.gateway)
        self._loop.check()

    async def permit(self, lane: Lane, *, timeout: float | None) -> Permit:
        """The right to send one request. NotSent: no slot in time, or a lock-out lasts longer."""
        self.check_usable()
        if lane not in LANES:
            raise ConfigurationError(f"there is no lane {lane!r}: {', '.join(LANES)}", gateway=self.gateway)
        try:
            await self.limiter.acquire(lane, within=timeout)
        except (LockedOut, NoPermit) as error:
            raise NotSent(f"no permit to send: {error}", gateway=self.gateway, operation=lane) from error
        return Permit(
            gateway=self.gateway,
            lane=lane,
            granted_at=asyncio.get_running_loop().time(),
            issuer=self.limiter,
            give_back=lambda: self.limiter.give_back(lane),
        )

    async def exchange(
        self,
        request: WireRequest,
        *,
        deadline: Deadline,
        operation: str,
        not_after: float | None = None,
        **ids: str | None,
    ) -> WireResponse:
        """
        Send once and log; after `not_after` the engine writes nothing.

        Raises:
            NothingSent, NoAnswer: from the engine.
        """
        started = time.perf_counter()
        status: object = "no answer"
        try:
            timeout = min(_ATTEMPT, deadline.remaining())
            if not_after is None:
                response = await self._engine.send(request, timeout=timeout)
            elif self._keeps_deadline:
                response = await self._engine.send(request, timeout=timeout, not_after=not_after)
            else:
                self._say_late(operation)
                response = await self._engine.send(request, timeout=timeout)
            status = response.status
            return response
        except (NothingSent, NoAnswer) as error:
            status = f"{type(error).__name__} ({error})"
            raise
        except ConfigurationError:
            status = "not sent"
            raise
        except Exception as error:  # noqa: BLE001 - a caller's own transport may raise anything
            status = told(error, request)
        finally:
            if self.log.isEnabledFor(logging.DEBUG):
                took = (time.perf_counter() - started) * 1000
                extra = log_facts(self.gateway, operation, **ids)
                path = request.target.partition("?")[0]
                self.log.debug("%s %s -> %s in %.0f ms", request.method, path, status, took, extra=extra)
        # Bytes may have left by then. Without the error itself: its frames may hold the headers in clear.
        raise NoAnswer(status)

    def room(self, lane: Lane, deadline: Deadline) -> Room:
        """One of the connections, held for what this lane sends."""
        return Room(None if lane in _KEPT_FOR else self._room, deadline)

    def _say_late(self, operation: str) -> None:
        if not self._said_late:
            self._said_late = True
            self.log.warning(
                "%s takes no not_after: that a write leaves in time is seen to before it gets it, not after",
                type(self._engine).__name__,
                extra=log_facts(self.gateway, operation),
            )

    def check_permit(self, permit: Permit, operation: str) -> None:
        """Refuse a permit that was spent, or was granted for something else. ConfigurationError."""
        foreign = permit.gateway != self.gateway or permit.issuer is not self.limiter
        if foreign or permit.spent or permit.lane != "place":
            wrong = "spent already" if permit.spent else f"for {permit.gateway}, lane {permit.lane}"
            raise ConfigurationError(f"this permit is {wrong}", gateway=self.gateway, operation=operation)

    async def slot(self, lane: Lane, deadline: Deadline, operation: str) -> None:
        """Wait for the right to send a read. RateLimited: locked out for longer. VenueUnavailable: no slot in time."""
        try:
            await self.limiter.acquire(lane, within=deadline.as_timeout)
        except LockedOut as error:
            raise RateLimited(
                str(error), retry_after=error.seconds, gateway=self.gateway, operation=operation
            ) from error
        except NoPermit as error:
            raise VenueUnavailable(str(error), gateway=self.gateway, operation=operation) from error

    def lock_out(self, seconds: float, *, operation: str | None) -> None:
        """The venue throttles us: every lane of this key that counts stops for so long, an hour or so at most."""
        seconds = min(seconds, self.retries.longest_retry_after)
        self.limiter.lock_out(seconds)
        extra = log_facts(self.gateway, operation)
        self.log.warning("the venue throttles us: locked out for %.0f s", seconds, extra=extra)

    @property
    def is_the_parents(self) -> bool:
        """True where this process was forked after the first use: then there is nothing to close here."""
        return self._loop.is_the_parents

    async def aclose(self) -> None:
        """Close the engine, if it was made here. The session cannot be used again."""
        self._closed = True
        if self._owns_engine:
            await self._engine.aclose()


class Room:
    """A place among so many, held from entering to leaving. NothingSent: none was free in time."""

    __slots__ = ("_deadline", "_places")

    def __init__(self, places: asyncio.Semaphore | None, deadline: Deadline) -> None:
        self._places = places
        self._deadline = deadline

    async def __aenter__(self) -> None:
        if self._places is None:
            return
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with self._deadline.limit():
                await self._places.acquire()
        except TimeoutError as error:
            raise NothingSent("no connection was free in time") from error

    async def __aexit__(self, *exc: object) -> None:
        if self._places is not None:
            self._places.release()


def log_facts(
    gateway: str,
    operation: str | None,
    *,
    order_id: str | None = None,
    client_order_id: str | None = None,
) -> dict[str, str | None]:
    """The `extra` of every record: always the same four names, so that a format may use them."""
    return {
        "gateway": gateway,
        "operation": operation,
        "order_id": order_id,
        "client_order_id": client_order_id,
    }


class _Cleaner(logging.Filter):
    """Makes one line without escape sequences of every record: what venues and users say is in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = printable(str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(_clean(each) for each in record.args)
        for name in _FACTS & record.__dict__.keys():
            record.__dict__[name] = _clean(record.__dict__[name])
        return True


def _clean(value: object) -> object:
    if value is None or isinstance(value, (int, float)):
        return value
    try:
        return printable(str(value))
    except Exception:  # noqa: BLE001 - another's error whose text fails must not end the call that logs it
        return type(value).__name__


_FACTS: Final = frozenset(log_facts("", None))
_CLEANER: Final = _Cleaner()


def own_logger(name: str) -> logging.Logger:
    """The logger of that name, each record of which is one line whatever stands in it."""
    logger = logging.getLogger(name)
    logger.addFilter(_CLEANER)
    return logger

"""A write through a session, as the log tells it."""

import asyncio
import logging
from collections.abc import Awaitable

import pytest

from orderbridge.errors import ConfigurationError, NotSent, OutcomeUnknown
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.limits import Limiter, Rate
from orderbridge.http.retry import Deadline
from orderbridge.http.session import Session
from orderbridge.http.transport import NoAnswer, NothingSent


class Peer:
    """Answers, or fails as an engine does."""

    def __init__(self, outcome: WireResponse | Exception) -> None:
        self.outcome = outcome
        self.deadlines: list[float | None] = []

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        (WireResponse(201), None, "submit -> 201"),
        (NoAnswer("reset"), OutcomeUnknown, "submit -> no answer"),
        (NothingSent("refused"), NotSent, "submit -> nothing was sent"),
        (ConfigurationError("closed"), ConfigurationError, "submit -> nothing was sent"),
    ],
)
async def test_every_write_is_logged(
    caplog: pytest.LogCaptureFixture,
    outcome: WireResponse | Exception,
    error: type[Exception] | None,
    said: str,
) -> None:
    """One line at INFO with the ids, whatever becomes of it: the one without an answer is the one to be found."""
    session = Session(gateway="venue", venue="venue", transport=Peer(outcome), limiter=Limiter(None))
    caught: type[Exception] | None = None

    with caplog.at_level(logging.INFO, "orderbridge.venue"):
        try:
            await session.write(
                lambda: WireRequest("POST", "https://venue.test/orders"),
                permit=None,
                deadline=Deadline(1),
                operation="submit",
                client_order_id="bot-1",
            )
        except (OutcomeUnknown, NotSent, ConfigurationError) as raised:
            caught = type(raised)

    (record,) = caplog.records
    assert caught is error
    assert (record.getMessage(), record.__dict__["client_order_id"]) == (said, "bot-1")


class Punctual(Peer):
    """An engine that takes a deadline."""

    async def send(  # type: ignore[override]
        self, request: WireRequest, *, timeout: float, not_after: float | None = None
    ) -> WireResponse:
        self.deadlines.append(not_after)
        return await super().send(request, timeout=timeout)


async def test_the_deadline_of_a_write_reaches_the_engine() -> None:
    """What nothing may leave after is for the engine to keep, as only it knows when the first byte leaves."""
    peer = Punctual(WireResponse(200))
    session = Session(gateway="venue", venue="venue", transport=peer, limiter=Limiter(None))
    not_after = Deadline(100).at

    await session.write(
        lambda: WireRequest("POST", "https://venue.test/orders"),
        permit=None,
        deadline=Deadline(1),
        operation="submit",
        not_after=not_after,
    )

    assert peer.deadlines == [not_after]


async def test_an_engine_without_a_deadline_is_used_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """A transport of the caller's from before keeps working, and it is said that it cannot keep the deadline."""
    session = Session(gateway="venue", venue="venue", transport=Peer(WireResponse(200)), limiter=Limiter(None))

    for _ in range(3):
        await session.write(
            lambda: WireRequest("POST", "https://venue.test/orders"),
            permit=None,
            deadline=Deadline(1),
            operation="submit",
            not_after=Deadline(100).at,
        )

    assert [each.levelname for each in caplog.records if "Peer takes no not_after" in each.getMessage()] == ["WARNING"]


async def test_an_engine_that_cannot_be_used_costs_no_slot() -> None:
    """Nothing left, so that what is sent once it is mended waits for nobody."""
    limiter = Limiter(Rate(burst=1, per_second=0.001))
    session = Session(gateway="venue", venue="venue", transport=Peer(ConfigurationError("closed")), limiter=limiter)

    for _ in range(3):
        with pytest.raises(ConfigurationError, match="closed"):
            await session.write(
                lambda: WireRequest("POST", "https://venue.test/orders"),
                permit=None,
                deadline=Deadline(1),
                operation="submit",
            )


class Busy(Peer):
    """An engine without a deadline whose answers wait for one another."""

    def __init__(self) -> None:
        super().__init__(WireResponse(200))
        self.goes_on = asyncio.Event()
        self.sent = 0

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.sent += 1
        await self.goes_on.wait()
        return await super().send(request, timeout=timeout)


async def test_a_write_that_waits_for_a_connection_waits_no_longer_than_it_may_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever its time limit, and though its engine keeps no deadline: it is not sent, and says so."""
    monkeypatch.setattr("orderbridge.http.session._ON_THEIR_WAY", 1)
    peer = Busy()
    session = Session(gateway="venue", venue="venue", transport=peer, limiter=Limiter(None))

    def write(not_after: float) -> Awaitable[WireResponse]:
        return session.write(
            lambda: WireRequest("POST", "https://venue.test/orders"),
            permit=None,
            deadline=Deadline(30),
            operation="submit",
            not_after=not_after,
        )

    first = asyncio.ensure_future(write(Deadline(100).at))
    await asyncio.sleep(0)
    with pytest.raises(NotSent, match="no connection was free in time"):
        await asyncio.wait_for(write(Deadline(0.05).at), 5)
    peer.goes_on.set()
    await first

    assert peer.sent == 1

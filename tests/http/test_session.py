"""One account's way out: permits, one attempt and its log, reads repeated, and the end of it."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import orderbridge
from orderbridge.errors import ConfigurationError, NotSent, RateLimited, VenueUnavailable
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.limits import Limiter, Rate
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session, in_turns, log_facts, own_logger
from orderbridge.http.transport import NoAnswer, NothingSent

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]
SIGNED = {"authorization": "Bitso key:1:hunter2"}


class Engine:
    """Raises or returns each outcome in turn, the last again and again."""

    def __init__(self, *outcomes: Exception | WireResponse) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float] = []
        self.closed = False

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.timeouts.append(timeout)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        self.closed = True


def session(engine: Engine, rate: Rate | None = None, **more: Any) -> Session:
    """A session over the engine, by the running loop's clock."""
    lanes = Limiter(rate, clock=asyncio.get_running_loop().time)
    return Session(gateway="bitso", venue="bitso", transport=engine, limiter=lanes, **more)


def build() -> WireRequest:
    """A signed request."""
    return WireRequest("GET", "https://bitso.com/api/v3/orders?oids=secret-id", SIGNED)


async def read(one: Session, *, timeout: float | None = 10.0) -> int:
    """A read that takes the status for its answer."""
    return await one.read(build, lambda response: response.status, deadline=Deadline(timeout), operation="lookup")


def test_a_read_is_repeated_and_logged_without_secrets(
    in_simulated_time: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt is a line with method, path and status; a retry is a warning; no header, query or body shows."""
    caplog.set_level(logging.DEBUG, logger="orderbridge.bitso")
    engine = Engine(NothingSent("refused"), NoAnswer("cut"), WireResponse(200, {}, b"hunter2"))

    async def main() -> int:
        return await read(session(engine))

    assert in_simulated_time(main) == 200
    assert [record.levelname for record in caplog.records] == ["DEBUG", "WARNING", "DEBUG", "WARNING", "DEBUG"]
    assert all((vars(record)["gateway"], vars(record)["operation"]) == ("bitso", "lookup") for record in caplog.records)
    assert "GET /api/v3/orders -> 200 in" in caplog.text
    assert "hunter2" not in caplog.text
    assert "secret-id" not in caplog.text


def test_a_read_that_never_answers_is_unavailable_within_its_time(in_simulated_time: Simulate) -> None:
    """The error names gateway and call, and its whole traceback shows no secret."""

    async def main() -> None:
        await read(session(Engine(NoAnswer("cut")), retries=Retries(tries=100)), timeout=3.0)

    with pytest.raises(VenueUnavailable, match="bitso lookup: no answer: cut") as failed:
        in_simulated_time(main)

    assert "hunter2" not in "".join(traceback.format_exception(failed.value))


def test_an_attempt_gets_what_is_left_and_15_seconds_at_most(in_simulated_time: Simulate) -> None:
    """No attempt is given more time than the call has."""
    engine = Engine(WireResponse(200))

    async def main() -> None:
        await read(session(engine), timeout=4.0)
        await read(session(engine), timeout=None)

    in_simulated_time(main)

    assert engine.timeouts == pytest.approx([4.0, 15.0])


@pytest.mark.parametrize(("timeout", "answers"), [(10.0, False), (90.0, True)])
def test_a_lock_out_is_waited_for_only_within_the_call(
    in_simulated_time: Simulate, timeout: float, answers: bool
) -> None:
    """A throttled read waits if the end lies within its time, else it says how long at once."""
    engine = Engine(WireResponse(200))

    async def main() -> int:
        one = session(engine)
        one.throttled(RateLimited("slow down", gateway="bitso", operation="lookup"), seconds=60.0)
        return await read(one, timeout=timeout)

    if answers:
        assert in_simulated_time(main) == 200
    else:
        with pytest.raises(RateLimited, match="locked out for another 60") as limited:
            in_simulated_time(main)
        assert limited.value.retry_after == pytest.approx(60.0)
        assert engine.timeouts == []


def test_a_full_lane_is_no_lock_out(in_simulated_time: Simulate) -> None:
    """Out of our own permits, a read is unavailable and a permit not sent: the venue did not throttle us."""

    async def main() -> None:
        one = session(Engine(WireResponse(200)), Rate(1, 0.001))
        await read(one)
        with pytest.raises(VenueUnavailable, match="no free slot in the rate limit"):
            await read(one, timeout=2.0)
        with pytest.raises(NotSent, match="no permit to send"):
            await one.permit("place", timeout=2.0)

    in_simulated_time(main)


def test_an_unspent_permit_returns_its_slot(in_simulated_time: Simulate) -> None:
    """Left unspent the slot is free again, spent it is not."""

    async def main() -> None:
        one = session(Engine(WireResponse(200)), Rate(1, 0.001))
        async with await one.permit("place", timeout=1.0):
            pass
        async with await one.permit("place", timeout=1.0) as permit:
            assert permit.spend()
        with pytest.raises(NotSent):
            await one.permit("place", timeout=1.0)

    in_simulated_time(main)


async def test_a_closed_session_is_not_used_again() -> None:
    """Every use after the end is told as that, and an engine of the caller stays open."""
    engine = Engine(WireResponse(200))
    one = session(engine)

    await one.aclose()

    assert not engine.closed
    for call in (read(one), one.permit("read", timeout=1.0)):
        with pytest.raises(ConfigurationError, match="this gateway is closed; make a new one"):
            await call


async def test_closing_under_way_ends_the_read_in_our_words() -> None:
    """A read whose session is closed between two tries does not go on."""

    class Closing(Engine):
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            await one.aclose()
            return await super().send(request, timeout=timeout)

    engine = Closing(NoAnswer("cut"), WireResponse(200))
    one = session(engine, retries=Retries(first_wait=0.001))

    with pytest.raises(ConfigurationError, match="this gateway is closed"):
        await read(one)

    assert len(engine.timeouts) == 1


def test_a_second_event_loop_is_refused() -> None:
    """A gateway belongs to the loop of its first use."""

    async def main() -> Session:
        one = session(Engine(WireResponse(200)))
        await read(one)
        return one

    one = asyncio.run(main())
    with pytest.raises(ConfigurationError, match="the gateway bitso was first used in another event loop"):
        asyncio.run(read(one))


class Unspeakable(Exception):
    """An error of another library, whose text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("name", ["orderbridge.bitso", "orderbridge.placement", "orderbridge.bridge"])
def test_a_log_record_is_one_line(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Nothing of a venue or a caller forges a second line or a colour, in the message or in its facts; figures stay."""
    own_logger(name).warning(
        "%s is tried again in %.1f s: %s %s", "a\nERROR b", 1.25, ValueError("\x1b[31mred"), Unspeakable(),
        extra=log_facts("bitso", "get", order_id="o\u202e1", client_order_id="a[b]"),
    )  # fmt: skip

    (record,) = caplog.records
    assert record.getMessage() == r"a\nERROR b is tried again in 1.2 s: \x1b[31mred Unspeakable"
    assert (vars(record)["order_id"], vars(record)["client_order_id"]) == (r"o\u202e1", "a[b]")


def test_every_logger_of_the_library_is_of_the_one_kind() -> None:
    """No file makes a logger that lets through what the venue says."""
    package = Path(orderbridge.__file__).parent
    made = [
        file.name
        for file in package.rglob("*.py")
        if "getLogger(" in file.read_text() and file.relative_to(package).parts[0] not in {"simulator", "cli"}
    ]

    assert made == ["session.py"]


def test_a_lock_out_lasts_an_hour_at_most(in_simulated_time: Simulate) -> None:
    """A venue that says "for a year" is asked again after an hour, or after what the caller set."""

    async def go() -> list[float]:
        ordinary, patient = session(Engine()), session(Engine(), retries=Retries(longest_retry_after=7200.0))
        for one in (ordinary, patient):
            one.lock_out(31_536_000.0, operation="lookup")
        return [one.limiter.locked_for for one in (ordinary, patient)]

    assert in_simulated_time(go) == pytest.approx([3600.0, 7200.0], abs=0.01)


def test_a_lock_out_stops_no_cancel_where_cancels_do_not_count(in_simulated_time: Simulate) -> None:
    """It goes out at once, and one that is itself throttled is tried again soon, and not when the lock-out ends."""
    answers = iter([429, 429, 200])

    async def go() -> tuple[int, float]:
        one = session(Engine(WireResponse(200)), Rate(burst=1, per_second=1.0, free_lanes=frozenset({"cancel"})))
        one.lock_out(600.0, operation="lookup")

        def decode(response: WireResponse) -> int:
            if (status := next(answers)) == 429:
                raise one.throttled(RateLimited("slow"), seconds=600.0)
            return status

        began = asyncio.get_running_loop().time()
        status = await one.read(build, decode, deadline=Deadline(10), operation="cancel", lane="cancel")
        return status, asyncio.get_running_loop().time() - began

    status, took = in_simulated_time(go)

    assert (status, took < 2) == (200, True)


def test_where_cancels_count_a_cancel_waits_within_its_time(in_simulated_time: Simulate) -> None:
    """A lock-out that ends in time is waited for; one that does not is RateLimited, and says for how long."""

    def status(response: WireResponse) -> int:
        return response.status

    async def go() -> list[object]:
        one = session(Engine(WireResponse(200)), Rate(burst=1, per_second=1.0))
        ends: list[object] = []
        for seconds in (5.0, 60.0):
            one.lock_out(seconds, operation="lookup")
            try:
                ends.append(
                    await one.read(
                        build,
                        lambda response: response.status,
                        deadline=Deadline(10),
                        operation="cancel",
                        lane="cancel",
                    )
                )
            except RateLimited as limited:
                ends.append(round(limited.retry_after or 0))
        return ends

    assert in_simulated_time(go) == [200, 60]


def test_a_request_that_cannot_be_made_tells_no_secret(in_simulated_time: Simulate) -> None:
    """An error while signing comes out without its frames, which hold what signs."""

    def sign() -> WireRequest:
        secret = "hunter2"
        raise ValueError(secret)

    async def go() -> BaseException:
        with pytest.raises(NothingSent) as caught:
            await session(Engine()).exchange(sign, deadline=Deadline(1), operation="submit")
        return caught.value

    error = in_simulated_time(go)

    assert (error.__cause__, error.__context__) == (None, None)
    assert "hunter2" not in str(error)


def test_many_rows_have_their_turns_with_everything_else(in_simulated_time: Simulate) -> None:
    """However many rows an answer has, the rest of the program runs while they are read."""

    async def go() -> tuple[int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(tick())
        read, clock = 0, asyncio.get_running_loop()
        async for position, _ in in_turns(range(100)):
            read += position >= 0
            await_until = clock.time() + 0.05
            clock._selector.now = await_until  # type: ignore[attr-defined]
        task.cancel()
        return read, ticks

    read, ticks = in_simulated_time(go)

    assert (read, ticks >= 100) == (100, True)


def test_an_error_of_a_callers_transport_tells_no_secret(in_simulated_time: Simulate) -> None:
    """Bytes may have left by then; what is raised has no frame of the transport, which holds the signed headers."""

    class Odd(Engine):
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            raise ValueError(dict(request.headers)["authorization"])

    async def go() -> BaseException:
        with pytest.raises(NoAnswer, match="ValueError") as caught:
            await session(Odd()).exchange(build, deadline=Deadline(1), operation="submit")
        return caught.value

    error = in_simulated_time(go)

    assert (error.__cause__, error.__context__) == (None, None)
    assert "hunter2" not in str(error)

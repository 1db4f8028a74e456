"""One account's way out: permits, one attempt and its errors, lock-outs, and what is logged."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import orderbridge
from orderbridge.errors import NotSent
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.limits import Limiter, Rate
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session, log_facts, own_logger
from orderbridge.http.transport import NoAnswer

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]
SIGNED = WireRequest("GET", "https://bitso.com/api/v3/orders?oids=secret-id", {"authorization": "Bitso key:1:hunter2"})


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


def test_an_error_of_a_callers_transport_tells_no_secret(in_simulated_time: Simulate) -> None:
    """Bytes may have left by then; what is raised has no frame of the transport, which holds the signed headers."""

    class Odd(Engine):
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            raise ValueError(dict(request.headers)["authorization"])

    async def go() -> BaseException:
        with pytest.raises(NoAnswer, match="ValueError") as caught:
            await session(Odd()).exchange(SIGNED, deadline=Deadline(1), operation="submit")
        return caught.value

    error = in_simulated_time(go)

    assert (error.__cause__, error.__context__) == (None, None)
    assert "hunter2" not in str(error)

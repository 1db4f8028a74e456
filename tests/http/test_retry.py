"""What is repeated, how long is waited, and when it ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.errors import RateLimited, VenueUnavailable
from orderbridge.http.limits import Limiter
from orderbridge.http.retry import Deadline, Retries, TryAgain, retry_after
from orderbridge.http.session import Session
from orderbridge.http.transport import NoAnswer, NothingSent, WireRequest, WireResponse

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]


class Attempts:
    """Fails with each of the errors in turn, then answers; keeps when it was tried."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    @property
    def waits(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


class Unused:
    """An engine that nothing is sent through."""

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        raise NothingSent("never asked")

    async def aclose(self) -> None:
        """Nothing to close."""


async def run(attempts: Attempts, *, timeout: float | None = None, once: bool = False, **retries: Any) -> str:
    """Read through a session."""
    session = Session(
        gateway="venue", venue="venue", transport=Unused(), limiter=Limiter(None), retries=Retries(**retries)
    )
    return await session.repeat(attempts, deadline=Deadline(timeout), operation="get", once=once)


@pytest.mark.parametrize("error", [NothingSent("refused"), NoAnswer("cut"), TryAgain(RateLimited("slow"))])
def test_a_read_is_repeated_until_it_answers(in_simulated_time: Simulate, error: Exception) -> None:
    """Neither what was not sent nor what was not answered ends a read at once."""
    attempts = Attempts(error, error, error)

    answer = in_simulated_time(lambda: run(attempts))

    assert (answer, len(attempts.times)) == ("answer", 4)


@pytest.mark.parametrize("error", [RateLimited("no"), KeyError("bug"), VenueUnavailable("gone"), TimeoutError()])
def test_what_is_an_answer_or_a_bug_is_not_repeated(in_simulated_time: Simulate, error: Exception) -> None:
    """Only a failed exchange is repeated."""
    attempts = Attempts(error)

    with pytest.raises(type(error)):
        in_simulated_time(lambda: run(attempts))

    assert len(attempts.times) == 1


def test_the_fourth_failure_is_the_last(in_simulated_time: Simulate) -> None:
    """After all tries the error of the caller's making comes out, chained to what the engine said."""
    attempts = Attempts(*[NoAnswer(f"cut {number}") for number in range(9)])

    with pytest.raises(VenueUnavailable, match="no answer: cut 3") as failed:
        in_simulated_time(lambda: run(attempts))

    assert len(attempts.times) == 4
    assert isinstance(failed.value.__cause__, NoAnswer)


def test_an_answer_of_no_use_ends_in_its_own_error(in_simulated_time: Simulate) -> None:
    """TryAgain carries the error that stands if no try helps."""
    attempts = Attempts(*[TryAgain(RateLimited("slow down", retry_after=1.0)) for _ in range(4)])

    with pytest.raises(RateLimited, match="slow down"):
        in_simulated_time(lambda: run(attempts))


def test_waits_double_jittered_and_capped(in_simulated_time: Simulate) -> None:
    """Between half and the whole of 0.2, 0.4, 0.8 … seconds, never more than 5."""
    attempts = Attempts(*[NothingSent("refused") for _ in range(9)])

    in_simulated_time(lambda: run(attempts, tries=10))

    caps = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert all(cap / 2 - 1e-6 <= wait <= cap + 1e-6 for wait, cap in zip(attempts.waits, caps, strict=True))


@given(st.integers(1, 2000))
def test_a_wait_is_bounded_whatever_the_try(attempt: int) -> None:
    """No number of tries leads to an overflow or an endless wait."""
    assert 0.1 <= Retries().wait_before(attempt) <= 5.0


def test_a_venue_that_says_how_long_is_waited_for(in_simulated_time: Simulate) -> None:
    """`after` is kept to, unless our own wait is longer."""
    attempts = Attempts(TryAgain(RateLimited("x"), after=7.0), TryAgain(RateLimited("x"), after=0.01))

    in_simulated_time(lambda: run(attempts, timeout=30.0))

    assert attempts.waits[0] == pytest.approx(7.0)
    assert 0.2 - 1e-6 <= attempts.waits[1] <= 0.4 + 1e-6


def test_no_wait_goes_past_the_deadline(in_simulated_time: Simulate) -> None:
    """A wait that would outlast the call is not begun: the error comes at once."""
    attempts = Attempts(TryAgain(RateLimited("locked out"), after=60.0))

    with pytest.raises(RateLimited):
        in_simulated_time(lambda: run(attempts, timeout=10.0))

    assert len(attempts.times) == 1


def test_reads_end_within_their_time(in_simulated_time: Simulate) -> None:
    """However many tries are left, the time limit ends them."""
    attempts = Attempts(*[NoAnswer("cut") for _ in range(100)])

    with pytest.raises(VenueUnavailable):
        in_simulated_time(lambda: run(attempts, timeout=3.0, tries=100))

    assert attempts.times[-1] - attempts.times[0] <= 3.0
    assert len(attempts.times) > 3


def test_each_failure_that_is_repeated_is_told(in_simulated_time: Simulate, caplog: pytest.LogCaptureFixture) -> None:
    """The log hears of every repetition, and not of the failure that ends it."""
    attempts = Attempts(NoAnswer("one"), NoAnswer("two"), NoAnswer("three"))

    with pytest.raises(VenueUnavailable, match="three"):
        in_simulated_time(lambda: run(attempts, tries=3))

    told = [record.getMessage() for record in caplog.records if "is tried again" in record.getMessage()]
    assert [text.rpartition(" s: ")[2] for text in told] == ["venue get: no answer: one", "venue get: no answer: two"]


@pytest.mark.parametrize(
    ("errors", "tries"),
    [
        ([NothingSent("refused"), NothingSent("refused")], 3),
        ([NoAnswer("cut")], 1),
        ([TryAgain(RateLimited("slow"))], 1),
        ([NothingSent("refused"), NoAnswer("cut")], 2),
    ],
)
def test_what_is_asked_once_is_asked_until_it_may_have_been_done(
    in_simulated_time: Simulate, errors: list[Exception], tries: int
) -> None:
    """What did not leave is sent again; anything else may be its doing."""
    attempts = Attempts(*errors)

    with contextlib.suppress(VenueUnavailable, RateLimited):
        in_simulated_time(lambda: run(attempts, once=True))

    assert len(attempts.times) == tries


def test_a_deadline_counts_down_and_never_below_zero(in_simulated_time: Simulate) -> None:
    """A deadline is a point in loop time; without one there is no end."""

    async def main() -> tuple[float, float, float, bool, float | None]:
        ends, never = Deadline(2.0), Deadline(None)
        before = ends.remaining()
        await asyncio.sleep(3)
        return before, ends.remaining(), never.remaining(), ends.allows(0.0), never.as_timeout

    assert in_simulated_time(main) == (2.0, 0.0, float("inf"), False, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("Sunday, 01-Jan-40 00:00:00 GMT", 2208988800.0 - 1_000_000),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.2.3", None),
        ("²", None),
        ("١٢", None),
        ("nan", None),
        ("9" * 400, None),
        ("Wed, 99 Foo 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(header: str | None, seconds: float | None) -> None:
    """Both documented forms are understood; whatever else stands there is nothing said."""
    assert retry_after(header, now=1_000_000) == seconds


@given(st.text(max_size=30) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} \d{1,12} \d+:\d+:\d+ [+-]?\w+"))
def test_no_retry_after_whatever_raises(header: str) -> None:
    """A header that makes no sense is not waited for, and breaks nothing."""
    seconds = retry_after(header, now=0.0)

    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(("after", "tries"), [(3600.0, 2), (3601.0, 1)])
def test_a_wait_of_more_than_an_hour_is_not_waited(in_simulated_time: Simulate, after: float, tries: int) -> None:
    """What a venue asks for is heeded up to an hour; beyond it the call fails at once, time or not."""
    attempts = Attempts(TryAgain(VenueUnavailable("busy"), after=after))

    async def go() -> None:
        if tries == 1:
            with pytest.raises(VenueUnavailable, match="busy"):
                await run(attempts, timeout=None)
        else:
            await run(attempts, timeout=None)

    in_simulated_time(go)

    assert len(attempts.times) == tries

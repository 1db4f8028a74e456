"""What is sent for a venue: reads repeated, writes once, permits and slots, the log, and the end of it."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    NotSent,
    OrderBridgeError,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.limits import Limiter, Rate
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.permit import Lane
from orderbridge.venue.meanings import Codes, Meaning, Said
from orderbridge.venue.sender import HttpCall, HttpChannel, RefusedLater, Sender, Tries, VenueCall

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]


class Engine:
    """Raises or returns each outcome in turn, the last again and again."""

    def __init__(self, *outcomes: Exception | WireResponse) -> None:
        self.outcomes = list(outcomes)
        self.timeouts: list[float] = []
        self.times: list[float] = []
        self.closed = False

    @property
    def waits(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.timeouts.append(timeout)
        self.times.append(asyncio.get_running_loop().time())
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def aclose(self) -> None:
        self.closed = True


class Punctual(Engine):
    """An engine that takes a deadline."""

    def __init__(self, *outcomes: Exception | WireResponse) -> None:
        super().__init__(*outcomes)
        self.latest: list[float | None] = []

    async def send(  # type: ignore[override]
        self, request: WireRequest, *, timeout: float, not_after: float | None = None
    ) -> WireResponse:
        self.latest.append(not_after)
        return await super().send(request, timeout=timeout)


class Key:
    """Signs with one key, for ever."""

    renewals = 0
    secrets = ("hunter2",)

    async def ready(self) -> None:
        """A key is always there."""

    def sign(self, request: WireRequest) -> tuple[WireRequest, object]:
        return replace(request, headers={**request.headers, "authorization": "Bitso key:1:hunter2"}), None

    async def renew(self, stamp: object) -> bool:
        return False


def understand(response: WireResponse, call: HttpCall) -> Said:
    """The status is the answer, and the body its words."""
    text = response.body.decode()
    return Said(ok=response.status < 300, payload=response.status, key=str(response.status), text=text)


def sender(engine: Engine, rate: Rate | None = None, auth: Key | None = None, **more: Any) -> Sender:
    """A sender over the engine, by the running loop's clock."""
    lanes = Limiter(rate, clock=asyncio.get_running_loop().time)
    session = Session(gateway="bitso", venue="bitso", transport=engine, limiter=lanes, **more)
    channel = HttpChannel(session, base_url="https://bitso.com/api/v3", auth=auth or Key(), understand=understand)
    return Sender(channel, session, Codes(both={"404": Meaning.NOT_FOUND}))


LOOKUP = HttpCall(operation="lookup", path="/orders", query={"oids": "secret-id"})
CANCEL = HttpCall(operation="cancel", path="/orders/a", method="DELETE")
SUBMIT = HttpCall(operation="submit", path="/orders", method="POST", fields={}, client_order_id="bot-1")


async def read(one: Sender, *, timeout: float | None = 10.0) -> int:
    """A read whose answer is the status."""
    status: int = await one.read(LOOKUP, deadline=Deadline(timeout))
    return status


async def look(engine: Engine, *, timeout: float | None = 10.0, **more: Any) -> int:
    """A read through a sender of its own."""
    return await read(sender(engine, **more), timeout=timeout)


@pytest.mark.parametrize(
    "outcome", [NothingSent("refused"), NoAnswer("cut"), WireResponse(503), WireResponse(429, {"retry-after": "1"})]
)
def test_a_read_is_repeated_until_it_answers(in_simulated_time: Simulate, outcome: Exception | WireResponse) -> None:
    """Neither what was not sent, nor what was not answered, nor an answer of no use ends a read at once."""
    engine = Engine(outcome, outcome, outcome, WireResponse(200))

    assert in_simulated_time(lambda: look(engine)) == 200
    assert len(engine.times) == 4


def test_an_answer_is_not_repeated(in_simulated_time: Simulate) -> None:
    """A clear refusal ends the read."""
    engine = Engine(WireResponse(404))

    with pytest.raises(OrderNotFound):
        in_simulated_time(lambda: look(engine))

    assert len(engine.times) == 1


@pytest.mark.parametrize("error", [RateLimited("no"), KeyError("bug"), VenueUnavailable("gone"), TimeoutError()])
def test_what_is_no_answer_to_the_read_is_not_repeated(in_simulated_time: Simulate, error: Exception) -> None:
    """Only a failed exchange is: not what getting ready failed with, nor a bug."""
    asked = []

    class Failing(Key):
        async def ready(self) -> None:
            asked.append("ready")
            raise error

    with pytest.raises(type(error)):
        in_simulated_time(lambda: look(Engine(WireResponse(200)), auth=Failing()))

    assert asked == ["ready"]


def test_the_fourth_failure_is_the_last(in_simulated_time: Simulate) -> None:
    """After all tries it is unavailable, chained to what the engine said."""
    engine = Engine(*[NoAnswer(f"cut {number}") for number in range(9)])

    with pytest.raises(VenueUnavailable, match="no answer: cut 3") as failed:
        in_simulated_time(lambda: look(engine))

    assert len(engine.times) == 4
    assert isinstance(failed.value.__cause__, NoAnswer)


def test_a_try_that_may_have_left_outweighs_one_that_did_not(in_simulated_time: Simulate) -> None:
    """Whatever failed last, the cause of the error is what the caller may conclude from."""
    engine = Engine(NoAnswer("cut"), NothingSent("refused"))

    with pytest.raises(VenueUnavailable, match="no answer: refused") as failed:
        in_simulated_time(lambda: look(engine))

    assert isinstance(failed.value.__cause__, NoAnswer)


def test_an_answer_of_no_use_ends_in_its_own_error(in_simulated_time: Simulate) -> None:
    """What it stands for comes out if no try helps."""
    engine = Engine(WireResponse(429, {"retry-after": "1"}, b"slow down"))

    with pytest.raises(RateLimited, match="slow down"):
        in_simulated_time(lambda: look(engine))

    assert len(engine.times) == 4


def test_waits_double_jittered_and_capped(in_simulated_time: Simulate) -> None:
    """Between half and the whole of 0.2, 0.4, 0.8 … seconds, never more than 5."""
    engine = Engine(*[NothingSent("refused") for _ in range(9)], WireResponse(200))

    in_simulated_time(lambda: look(engine, retries=Retries(tries=10), timeout=None))

    caps = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert all(cap / 2 - 1e-6 <= wait <= cap + 1e-5 for wait, cap in zip(engine.waits, caps, strict=True))


def test_a_venue_that_says_how_long_is_waited_for(in_simulated_time: Simulate) -> None:
    """`Retry-After` is kept to, unless our own wait is longer."""
    engine = Engine(
        WireResponse(503, {"retry-after": "7"}), WireResponse(503, {"retry-after": "0.01"}), WireResponse(200)
    )

    in_simulated_time(lambda: look(engine, timeout=30.0))

    assert engine.waits[0] == pytest.approx(7.0, abs=1e-4)
    assert 0.2 - 1e-6 <= engine.waits[1] <= 0.4 + 1e-4


def test_no_wait_goes_past_the_deadline(in_simulated_time: Simulate) -> None:
    """A wait that would outlast the call is not begun: the error comes at once."""
    engine = Engine(WireResponse(429, {"retry-after": "60"}))

    with pytest.raises(RateLimited):
        in_simulated_time(lambda: look(engine, timeout=10.0))

    assert len(engine.times) == 1


def test_reads_end_within_their_time(in_simulated_time: Simulate) -> None:
    """However many tries are left, the time limit ends them."""
    engine = Engine(NoAnswer("cut"))

    with pytest.raises(VenueUnavailable):
        in_simulated_time(lambda: look(engine, retries=Retries(tries=100), timeout=3.0))

    assert engine.times[-1] - engine.times[0] <= 3.0
    assert len(engine.times) > 3


@pytest.mark.parametrize(("after", "tries"), [("3600", 2), ("3601", 1)])
def test_a_wait_of_more_than_an_hour_is_not_waited(in_simulated_time: Simulate, after: str, tries: int) -> None:
    """What a venue asks for is heeded up to an hour; beyond it the call fails at once, time or not."""
    engine = Engine(WireResponse(503, {"retry-after": after}, b"busy"), WireResponse(200))

    async def go() -> None:
        if tries == 1:
            with pytest.raises(VenueUnavailable, match="busy"):
                await read(sender(engine), timeout=None)
        else:
            await read(sender(engine), timeout=None)

    in_simulated_time(go)

    assert len(engine.times) == tries


def test_each_failure_that_is_repeated_is_told(in_simulated_time: Simulate, caplog: pytest.LogCaptureFixture) -> None:
    """The log hears of every repetition, and not of the failure that ends it."""
    engine = Engine(NoAnswer("one"), NoAnswer("two"), NoAnswer("three"))

    with pytest.raises(VenueUnavailable, match="three"):
        in_simulated_time(lambda: look(engine, retries=Retries(tries=3)))

    told = [record.getMessage() for record in caplog.records if "is tried again" in record.getMessage()]
    assert [text.rpartition(": ")[2] for text in told] == ["one", "two"]


@pytest.mark.parametrize(
    ("outcomes", "tries"),
    [
        ([NothingSent("refused"), NothingSent("refused"), WireResponse(200)], 3),
        ([NoAnswer("cut"), WireResponse(200)], 1),
        ([WireResponse(503), WireResponse(200)], 1),
        ([NothingSent("refused"), NoAnswer("cut"), WireResponse(200)], 2),
    ],
)
def test_what_is_sent_once_is_sent_until_it_may_have_been_done(
    in_simulated_time: Simulate, outcomes: list[Exception | WireResponse], tries: int
) -> None:
    """While nothing left it goes out again; after anything else it may have been done."""
    engine = Engine(*outcomes)

    async def go() -> None:
        with contextlib.suppress(OutcomeUnknown):
            await sender(engine).cancel(CANCEL, deadline=Deadline(10), once=True)

    in_simulated_time(go)

    assert len(engine.times) == tries


def test_a_read_is_repeated_and_logged_without_secrets(
    in_simulated_time: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt is a line with method, path and status; a retry is a warning; no header, query or body shows."""
    caplog.set_level(logging.DEBUG, logger="orderbridge.bitso")
    engine = Engine(NothingSent("refused"), NoAnswer("cut"), WireResponse(200, {}, b"hunter2"))

    async def main() -> int:
        return await read(sender(engine))

    assert in_simulated_time(main) == 200
    assert [record.levelname for record in caplog.records] == ["DEBUG", "WARNING", "DEBUG", "WARNING", "DEBUG"]
    assert all((vars(record)["gateway"], vars(record)["operation"]) == ("bitso", "lookup") for record in caplog.records)
    assert "GET /api/v3/orders -> 200 in" in caplog.text
    assert "hunter2" not in caplog.text
    assert "secret-id" not in caplog.text


def test_a_read_that_never_answers_is_unavailable_within_its_time(in_simulated_time: Simulate) -> None:
    """The error names gateway and call, and its whole traceback shows no secret."""

    async def main() -> None:
        await read(sender(Engine(NoAnswer("cut")), retries=Retries(tries=100)), timeout=3.0)

    with pytest.raises(VenueUnavailable, match="bitso lookup: no answer: cut") as failed:
        in_simulated_time(main)

    assert "hunter2" not in "".join(traceback.format_exception(failed.value))


def test_an_attempt_gets_what_is_left_and_15_seconds_at_most(in_simulated_time: Simulate) -> None:
    """No attempt is given more time than the call has."""
    engine = Engine(WireResponse(200))

    async def main() -> None:
        await read(sender(engine), timeout=4.0)
        await read(sender(engine), timeout=None)

    in_simulated_time(main)

    assert engine.timeouts == pytest.approx([4.0, 15.0])


@pytest.mark.parametrize(("timeout", "answers"), [(10.0, False), (90.0, True)])
def test_a_lock_out_is_waited_for_only_within_the_call(
    in_simulated_time: Simulate, timeout: float, answers: bool
) -> None:
    """A throttled read waits if the end lies within its time, else it says how long at once."""
    engine = Engine(WireResponse(200))

    async def main() -> int:
        one = sender(engine)
        one.session.lock_out(60.0, operation="lookup")
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
        one = sender(Engine(WireResponse(200)), Rate(1, 0.001))
        await read(one)
        with pytest.raises(VenueUnavailable, match="no free slot in the rate limit"):
            await read(one, timeout=2.0)
        with pytest.raises(NotSent, match="no permit to send"):
            await one.session.permit("place", timeout=2.0)

    in_simulated_time(main)


async def test_a_closed_session_is_not_used_again() -> None:
    """Every use after the end is told as that, and an engine of the caller stays open."""
    engine = Engine(WireResponse(200))
    one = sender(engine)

    await one.aclose()

    assert not engine.closed
    for call in (read(one), one.session.permit("read", timeout=1.0)):
        with pytest.raises(ConfigurationError, match="this gateway is closed; make a new one"):
            await call


async def test_closing_under_way_ends_the_read_in_our_words() -> None:
    """A read whose session is closed between two tries does not go on."""

    class Closing(Engine):
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            await one.aclose()
            return await super().send(request, timeout=timeout)

    engine = Closing(NoAnswer("cut"), WireResponse(200))
    one = sender(engine, retries=Retries(first_wait=0.001))

    with pytest.raises(ConfigurationError, match="this gateway is closed"):
        await read(one)

    assert len(engine.timeouts) == 1


def test_a_second_event_loop_is_refused() -> None:
    """A gateway belongs to the loop of its first use."""

    async def main() -> Sender:
        one = sender(Engine(WireResponse(200)))
        await read(one)
        return one

    one = asyncio.run(main())
    with pytest.raises(ConfigurationError, match="the gateway bitso was first used in another event loop"):
        asyncio.run(read(one))


def test_a_lock_out_stops_no_cancel_where_cancels_do_not_count(in_simulated_time: Simulate) -> None:
    """It goes out at once, and one that is itself throttled is tried again soon, and not when the lock-out ends."""

    async def go() -> tuple[int, float]:
        engine = Engine(WireResponse(429), WireResponse(429), WireResponse(200))
        one = sender(engine, Rate(burst=1, per_second=1.0, free_lanes=frozenset({"cancel"})))
        one.session.lock_out(600.0, operation="lookup")
        began = asyncio.get_running_loop().time()
        status = await one.cancel(CANCEL, deadline=Deadline(10))
        return status, asyncio.get_running_loop().time() - began

    status, took = in_simulated_time(go)

    assert (status, took < 2) == (200, True)


def test_where_cancels_count_a_cancel_waits_within_its_time(in_simulated_time: Simulate) -> None:
    """A lock-out that ends in time is waited for; one that does not is RateLimited, and says for how long."""

    async def go() -> list[object]:
        one = sender(Engine(WireResponse(200)), Rate(burst=1, per_second=1.0))
        ends: list[object] = []
        for seconds in (5.0, 60.0):
            one.session.lock_out(seconds, operation="lookup")
            try:
                ends.append(await one.cancel(CANCEL, deadline=Deadline(10)))
            except RateLimited as limited:
                ends.append(round(limited.retry_after or 0))
        return ends

    assert in_simulated_time(go) == [200, 60]


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
    one = sender(Engine(outcome))
    caught: type[Exception] | None = None

    with caplog.at_level(logging.INFO, "orderbridge.bitso"):
        try:
            await one.write(SUBMIT, deadline=Deadline(1))
        except (OutcomeUnknown, NotSent, ConfigurationError) as raised:
            caught = type(raised)

    (record,) = caplog.records
    assert caught is error
    assert (record.getMessage(), record.__dict__["client_order_id"]) == (said, "bot-1")


class Odd(Key):
    """Fails with the secret at hand."""

    def sign(self, request: WireRequest) -> tuple[WireRequest, object]:
        secret = "hunter2"
        raise ValueError(secret)


async def test_a_request_that_cannot_be_made_tells_no_secret() -> None:
    """An error while signing comes out without its frames, which hold what signs; nothing was sent, at no cost."""
    one = sender(Engine(WireResponse(200)), Rate(burst=1, per_second=0.001), auth=Odd())

    for _ in range(2):
        with pytest.raises(NotSent, match="the request could not be made: ValueError") as caught:
            await one.write(SUBMIT, deadline=Deadline(1))

    cause = caught.value.__cause__
    assert isinstance(cause, NothingSent)
    assert (cause.__cause__, cause.__context__) == (None, None)
    assert "hunter2" not in f"{caught.value}{cause}"


async def test_the_deadline_of_a_write_reaches_the_engine() -> None:
    """What nothing may leave after is for the engine to keep, as only it knows when the first byte leaves."""
    engine = Punctual(WireResponse(200))
    not_after = Deadline(100).at

    await sender(engine).write(SUBMIT, deadline=Deadline(1), not_after=not_after)

    assert engine.latest == [not_after]


async def test_an_engine_without_a_deadline_is_used_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """A transport of the caller's from before keeps working, and it is said that it cannot keep the deadline."""
    one = sender(Engine(WireResponse(200)))

    for _ in range(3):
        await one.write(SUBMIT, deadline=Deadline(1), not_after=Deadline(100).at)

    told = [each.levelname for each in caplog.records if "Engine takes no not_after" in each.getMessage()]
    assert told == ["WARNING"]


async def test_an_engine_that_cannot_be_used_costs_no_slot() -> None:
    """Nothing left, so that what is sent once it is mended waits for nobody."""
    one = sender(Engine(ConfigurationError("closed")), Rate(burst=1, per_second=0.001))

    for _ in range(3):
        with pytest.raises(ConfigurationError, match="closed"):
            await one.write(SUBMIT, deadline=Deadline(1))


class Busy(Engine):
    """An engine without a deadline whose answers wait for one another."""

    def __init__(self, *outcomes: Exception | WireResponse) -> None:
        super().__init__(*outcomes)
        self.goes_on = asyncio.Event()

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        response = await super().send(request, timeout=timeout)
        await self.goes_on.wait()
        return response


async def test_a_write_that_waits_for_a_connection_waits_no_longer_than_it_may_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever its time limit, and though its engine keeps no deadline: it is not sent, and says so."""
    monkeypatch.setattr("orderbridge.http.session._ON_THEIR_WAY", 1)
    engine = Busy(WireResponse(200))
    one = sender(engine)

    first = asyncio.ensure_future(one.write(SUBMIT, deadline=Deadline(30), not_after=Deadline(100).at))
    await asyncio.sleep(0.01)
    with pytest.raises(NotSent, match="no connection was free in time"):
        await asyncio.wait_for(one.write(SUBMIT, deadline=Deadline(30), not_after=Deadline(0.05).at), 5)
    engine.goes_on.set()
    await first

    assert len(engine.timeouts) == 1


async def test_what_waits_for_a_connection_does_not_leave_a_gateway_that_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller's own client goes on after it; a write that was not sent costs no slot."""
    monkeypatch.setattr("orderbridge.http.session._ON_THEIR_WAY", 1)
    engine = Busy(WireResponse(200))
    one = sender(engine, Rate(burst=3, per_second=0.001))

    first, *waiting = [
        asyncio.ensure_future(each)
        for each in (
            one.write(SUBMIT, deadline=Deadline(30)),
            one.write(SUBMIT, deadline=Deadline(30)),
            one.read(LOOKUP, deadline=Deadline(30)),
        )
    ]
    await asyncio.sleep(0.01)
    await one.aclose()
    engine.goes_on.set()
    await first

    for each in waiting:
        with pytest.raises(ConfigurationError, match="closed"):
            await each
    assert len(engine.timeouts) == 1
    await one.session.limiter.acquire("place", within=0)


def misunderstand(response: WireResponse, call: HttpCall) -> Said:
    """A defect of an adapter's."""
    raise KeyError("hunter2")


async def test_a_defect_in_understanding_an_answer_leaves_a_write_unknown() -> None:
    """The write was sent: a bare error would say nothing of it. A read gets no usable answer."""
    session = Session(gateway="v", venue="v", transport=Engine(WireResponse(200)), limiter=Limiter(None))
    channel = HttpChannel(session, base_url="https://venue.example", auth=Key(), understand=misunderstand)
    one = Sender(channel, session, Codes())

    with pytest.raises(OutcomeUnknown, match="cannot be understood: KeyError") as unknown:
        await one.write(SUBMIT, deadline=Deadline(1))
    with pytest.raises(UnexpectedResponse, match="cannot be understood: KeyError"):
        await one.read(LOOKUP, deadline=Deadline(0.01))

    assert unknown.value.client_order_id == "bot-1"


async def test_a_defect_in_judging_an_answer_leaves_a_write_unknown() -> None:
    """Whatever fails once the write was sent: a bare error would say nothing of it."""

    def judge(said: Said, operation: str) -> Meaning:
        raise KeyError("hunter2")

    session = Session(gateway="v", venue="v", transport=Engine(WireResponse(400)), limiter=Limiter(None))
    channel = HttpChannel(session, base_url="https://venue.example", auth=Key(), understand=understand)
    one = Sender(channel, session, judge)

    with pytest.raises(OutcomeUnknown, match=r"could not be taken in: KeyError$") as unknown:
        await one.write(SUBMIT, deadline=Deadline(1))

    assert (unknown.value.client_order_id, unknown.value.operation) == ("bot-1", "submit")


class Scripted:
    """A channel whose sends end one after the other as a test says."""

    def __init__(self, *ends: Exception | Said, renewals: int = 0) -> None:
        self.ends, self.renewals = list(ends), renewals

    def check_usable(self) -> None:
        """It is."""

    async def ready(self) -> None:
        """Nothing is needed."""

    async def renew(self, stamp: object) -> bool:
        return True

    async def send(self, call: Any, *, lane: Lane, deadline: Deadline, not_after: float | None, tries: Tries) -> Said:
        end = self.ends.pop(0)
        tries.left = tries.left or not isinstance(end, (NothingSent, ConfigurationError))
        if isinstance(end, Exception):
            raise end
        return end


BY_ID = VenueCall(operation="cancel", order_id="1")


def scripted(channel: Scripted) -> Sender:
    """A sender whose calls end as the channel says, each of which says what it means."""
    retries = Retries(tries=2, first_wait=0.001)
    session = Session(gateway="v", venue="v", transport=Engine(), limiter=Limiter(None), retries=retries)
    return Sender(channel, session, lambda said, operation: Meaning(said.key))


def answer(key: str) -> Said:
    return Said(key=key, text=key, status=400, retry_after=9.0 if key == "throttled" else None)


LOST, UNSENT = NoAnswer("reset"), NothingSent("refused")
FAILED: list[tuple[list[Exception | Said], type[OrderBridgeError]]] = [
    ([UNSENT, UNSENT], NotSent),
    ([LOST, LOST], OutcomeUnknown),
    ([LOST, UNSENT], OutcomeUnknown),
    ([answer("not_found")], OrderNotFound),
    ([UNSENT, answer("permission")], PermissionDenied),
    ([answer("unclear"), answer("permission")], RefusedLater),
    ([LOST, answer("permission")], RefusedLater),
    ([answer("throttled")], OutcomeUnknown),
    ([LOST, ConfigurationError("closed meanwhile")], OutcomeUnknown),
    ([LOST, KeyError("a defect")], OutcomeUnknown),
]


@pytest.mark.parametrize(("ends", "kind"), FAILED)
async def test_tries_that_may_have_left_outweigh(ends: list[Exception | Said], kind: type[OrderBridgeError]) -> None:
    """A refusal is the answer to the last try only; throttled is none."""
    channel = Scripted(*ends)

    with pytest.raises(kind) as caught:
        await scripted(channel).cancel(BY_ID, deadline=Deadline(1.0))

    assert type(caught.value) is kind
    assert (caught.value.operation, channel.ends) == ("cancel", [])


@pytest.mark.parametrize(
    ("ends", "renewals", "kind"),
    [
        ([answer("not_admitted"), Said(ok=True, payload="done")], 1, None),
        ([answer("not_admitted"), answer("not_admitted")], 1, AuthenticationFailed),
        ([answer("not_admitted"), LOST], 1, OutcomeUnknown),
        ([answer("not_admitted"), answer("permission")], 1, PermissionDenied),
        ([answer("not_admitted")], 0, AuthenticationFailed),
        ([LOST], 1, OutcomeUnknown),
    ],
)
async def test_what_is_sent_once_is_sent_again_after_it_was_not_admitted(
    ends: list[Exception | Said], renewals: int, kind: type[OrderBridgeError] | None
) -> None:
    """As often as the venue bears: it was refused before it was looked at. After anything else it may be done."""
    channel = Scripted(*ends, renewals=renewals)
    call = VenueCall(operation="cancel", client_order_id="c")

    if kind is None:
        assert await scripted(channel).cancel(call, deadline=Deadline(1.0), once=True) == "done"
    else:
        with pytest.raises(kind):
            await scripted(channel).cancel(call, deadline=Deadline(1.0), once=True)

    assert channel.ends == []


async def test_a_cancel_while_locked_out_is_told_as_throttled() -> None:
    """Nothing left, and the error says how long the lock-out lasts."""
    one = scripted(Scripted())
    one.session.lock_out(60.0, operation=None)

    with pytest.raises(RateLimited) as caught:
        await one.cancel(BY_ID, deadline=Deadline(1.0))

    assert 59 < (caught.value.retry_after or 0) <= 60

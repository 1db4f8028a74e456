"""The walk of a look-up, whatever the venue."""

from __future__ import annotations

import asyncio

import pytest

from orderbridge.errors import ConfigurationError, OrderBridgeError, OrderNotFound, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Answer
from orderbridge.venue.lookup import CLIENT, GIVE_UP_AFTER, ORDER, Ask, Lookup, LookupStep, Way
from tests.venue.test_lists import order


class Asked:
    """A venue that is asked for one id at a time: it answers with an order, with nothing, or with an error."""

    def __init__(self, look: Lookup, shown: dict[str, Order | OrderBridgeError | None]) -> None:
        self.look = look
        self.shown = shown
        self.ids: list[str] = []

    async def run(self, asks: list[Ask]) -> None:
        try:
            async with self.look.turn():
                self.ids.append(asks[0].id)
                await asyncio.sleep(0)
                shown = self.shown[asks[0].id]
                if isinstance(shown, OrderBridgeError):
                    raise shown
        except OrderNotFound:
            return
        except OrderBridgeError as error:
            self.look.fail(asks, error)
        else:
            self.look.take(asks, [] if shown is None else [shown])


def by_id(ref: OrderRef) -> list[Way]:
    return [Way(ORDER, ref.id or "")]


async def test_the_next_stage_gets_what_is_still_open() -> None:
    """An id that a step finds is done with; one that no step shows is not seen, which proves nothing."""
    look = Lookup("x", ["1", "2", "3"], deadline=Deadline(5))
    first, second = Asked(look, {"1": order("1"), "2": None, "3": None}), Asked(look, {"2": order("2"), "3": None})

    result = await look.run(by_id, [[LookupStep((ORDER,), first.run)], [LookupStep((ORDER, CLIENT), second.run)]])

    assert (first.ids, second.ids) == (["1", "2", "3"], ["2", "3"])
    assert [result[id].answers["x"] for id in "123"] == [Answer.FOUND, Answer.FOUND, Answer.NOT_SEEN]
    assert not result["3"].proven_absent


async def test_a_venue_that_answers_nothing_is_given_up() -> None:
    """After so many in a row the others fail unasked; an answer in between begins the count anew."""
    down, missing = VenueUnavailable("no answer"), OrderNotFound("no such order")
    ids = [str(number) for number in range(40)]
    look = Lookup("x", ids, deadline=Deadline(5))
    asked = Asked(look, {id: missing if id == "5" else down for id in ids})

    result = await look.run(by_id, [[LookupStep((ORDER,), asked.run)]])

    assert GIVE_UP_AFTER < len(asked.ids) < 30
    assert [ref.answers["x"] for ref in result.found].count(Answer.FAILED) == 39
    assert result.unreachable["x"].kind == "unreachable"


@pytest.mark.parametrize("is_found", [True, False])
async def test_a_wrong_address_is_raised_where_nothing_was_found(is_found: bool) -> None:
    """What was found before it showed is kept, and the failure told beside it."""
    look = Lookup("x", ["1", "2"], deadline=Deadline(5))
    asked = Asked(look, {"1": order("1") if is_found else None, "2": ConfigurationError("nothing is served here")})

    if is_found:
        result = await look.run(by_id, [[LookupStep((ORDER,), asked.run)]])
        assert (result["1"].answers["x"], result["2"].answers["x"]) == (Answer.FOUND, Answer.FAILED)
    else:
        with pytest.raises(ConfigurationError, match="nothing is served here"):
            await look.run(by_id, [[LookupStep((ORDER,), asked.run)]])


async def test_what_is_known_when_the_time_ends_is_the_result() -> None:
    """A step that is cut off may still tell, and what nothing came of ran out of time."""
    look = Lookup("x", ["1", "2"], deadline=Deadline(0.05))

    async def run(asks: list[Ask]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            look.take(asks, [order("1")])

    result = await look.run(by_id, [[LookupStep((ORDER,), run, 0)]])

    assert [result[id].answers["x"] for id in "12"] == [Answer.FOUND, Answer.TIMED_OUT]
    assert result.unreachable["x"].kind == "timed_out"

"""Several orders at once: what becomes of one does not hide the others."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, OrderRequest, PlacementState
from orderbridge.errors import InsufficientFunds, JournalError, OrderRejected
from orderbridge.placement import MemoryJournal, Record, SqliteJournal
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import limit_buy


async def test_two_of_one_client_id_place_one() -> None:
    """The second is denied with why, the third goes out, and nothing is raised."""
    venue = Accepting()
    bot = Bot(venue)
    requests = {
        "a": limit_buy(client_order_id="same"),
        "b": limit_buy(client_order_id="same", price="5"),
        "c": limit_buy(price="7"),
    }

    done = await bot.bridge.place_many("bitso", requests)
    await bot.bridge.aclose()

    assert {key: each.state.value for key, each in done.items()} == {"a": "placed", "b": "denied", "c": "placed"}
    assert "used before" in done["b"].evidence[0]
    assert sorted(str(request.price) for request in venue.sent) == ["100000", "7"]


class Odd(Accepting):
    """It does something odd with the order at one price."""

    def __init__(self, oddity: Exception) -> None:
        super().__init__()
        self._oddity = oddity

    async def submit(self, request: OrderRequest, **how: Any) -> Order:
        if str(request.price) == "13":
            raise self._oddity
        return await super().submit(request, **how)


@pytest.mark.parametrize(
    ("oddity", "state"),
    [
        (OrderRejected("no"), "rejected"),
        (InsufficientFunds("no"), "rejected"),
        (RuntimeError("an adapter's own mistake"), "uncertain"),
        (KeyError("oid"), "uncertain"),
    ],
    ids=repr,
)
async def test_one_that_goes_wrong_stands_beside_the_others(oddity: Exception, state: str) -> None:
    """Its placement says how it stands; the others are placed."""
    bot = Bot(Odd(oddity), settle_horizon=60.0)
    requests = {price: limit_buy(price=price) for price in ("12", "13", "14")}

    done = await bot.bridge.place_many("bitso", requests)
    await bot.bridge.aclose()

    assert {key: each.state.value for key, each in done.items()} == {"12": "placed", "13": state, "14": "placed"}


async def test_an_adapter_that_gives_no_permits_places_nothing_and_says_so() -> None:
    """Its mistake is alarmed, and what stands in the journal is returned."""
    venue = Accepting()

    async def broken(lane: Any = "place", *, timeout: float | None = None) -> Any:
        raise RuntimeError("an adapter's own mistake")

    venue.permit = broken  # type: ignore[method-assign]
    bot = Bot(venue)

    done = await bot.bridge.place_many("bitso", {"a": limit_buy(), "b": limit_buy(price="2")})
    await bot.bridge.aclose()

    assert [each.state for each in done.values()] == [PlacementState.PREPARED] * 2
    assert bot.kinds == ["background"] * 2
    assert venue.sent == []


class TakesNone(MemoryJournal):
    """A journal that cannot store the order at one price."""

    async def create(self, record: Record, *then: Any, alone: bool = False) -> Record:
        if str(record.placement.request.price) == "13":
            raise JournalError("the disk is full")
        return await super().create(record, *then, alone=alone)


async def test_one_that_cannot_be_stored_is_denied() -> None:
    """It was not sent, which its evidence says, and the journal knows nothing of it."""
    venue = Accepting()
    bot = Bot(venue, journal=TakesNone())

    done = await bot.bridge.place_many("bitso", {price: limit_buy(price=price) for price in ("12", "13")})
    stored = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert {key: each.state.value for key, each in done.items()} == {"12": "placed", "13": "denied"}
    assert done["13"].evidence == ("not stored, so not sent: JournalError: the disk is full",)
    assert [each.key for each in stored] == ["12"]
    assert len(venue.sent) == 1


class FullForReplies(SqliteJournal):
    """A journal whose disk is full when the venue's reply is to be stored."""

    async def change_seeing(self, *args: Any, **how: Any) -> Any:
        raise JournalError("the disk is full")


async def test_what_is_placed_while_the_disk_is_full_is_told_as_placed(tmp_path: Path) -> None:
    """The venue has it: that the journal still says that it is being sent is not what its caller is told."""
    bot = Bot(Accepting(), journal=FullForReplies(tmp_path / "orders.db"))

    done = await bot.bridge.place_many("bitso", {"k1": limit_buy()})
    resolved = await bot.bridge.resolve(done["k1"], timeout=0.1)
    await bot.bridge.aclose()

    assert done["k1"].order is not None
    assert (done["k1"].state.value, resolved.state.value) == ("placed", "placed")

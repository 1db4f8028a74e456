"""Which orders of the journal a bot may be about to repeat, by who has them and what its caller knows."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from orderbridge.placement import MemoryJournal
from orderbridge.placement.ledger import Ledger
from tests.placement.kit import NOW, record

pytestmark = pytest.mark.ccxt

# In another container, of which nothing can be told but by its lease.
ELSEWHERE = "another-boot@1:17:99:abcd"


class Wall:
    """A clock that is as far from the loop's as at the start."""

    def __init__(self) -> None:
        self.began = asyncio.get_running_loop().time()

    def __call__(self) -> float:
        return NOW.timestamp() + asyncio.get_running_loop().time() - self.began


async def earlier(ledger: Ledger) -> list[Any]:
    """What is looked at of everything that is in the journal."""
    from orderbridge.ccxt.stray import _earlier_orders

    return await _earlier_orders(ledger, "bitso", before=NOW + timedelta(days=1))


def ledger_of(journal: MemoryJournal) -> Ledger:
    """A ledger on the journal."""
    return Ledger(journal, clock=Wall(), watch_for=60)


async def kept(journal: MemoryJournal, *, owner: str | None = None, **about: Any) -> None:
    """Store a placement of an exchange."""
    made = record(**about)
    placement = made.placement.model_copy(update={"key": "ccxt-1"})
    await journal.create(made.model_copy(update={"placement": placement, "owner": owner}))


async def test_an_order_of_a_process_elsewhere_that_ended_is_looked_at() -> None:
    """Its lease is waited out: nobody renews it, so its bot may be the one that was started here."""
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    await kept(journal, owner=ELSEWHERE, state="uncertain")
    await journal.keep_alive(ELSEWHERE, 0.4)

    assert len(await earlier(ledger)) == 1


async def test_an_order_of_a_process_elsewhere_that_lives_is_not() -> None:
    """It renews its lease meanwhile: the order is its own bot's."""
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    await kept(journal, owner=ELSEWHERE, state="uncertain")
    await journal.keep_alive(ELSEWHERE, 5)
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, lambda: asyncio.ensure_future(journal.keep_alive(ELSEWHERE, 10)))

    assert await earlier(ledger) == []


@pytest.mark.parametrize(
    ("evidence", "is_looked_at"),
    [
        (("lookup",), True),
        (("lookup", "left"), True),
        (("left", "reply"), True),
        (("reply",), False),
        (("left", "lookup", "told"), False),
        (("left", "reply", "told"), False),
    ],
)
async def test_a_placed_order_is_looked_at_unless_its_caller_knows(
    evidence: tuple[str, ...], is_looked_at: bool
) -> None:
    """A reply tells its caller, unless that had left; being given or shown the order tells it always."""
    journal = MemoryJournal()
    ledger = ledger_of(journal)
    made = record(state="placed")
    placement = made.placement.model_copy(update={"key": "ccxt-1", "evidence": evidence})
    await journal.create(made.model_copy(update={"placement": placement}))

    assert bool(await earlier(ledger)) is is_looked_at

"""Both journals behave alike under any sequence of calls, whichever of two processes' journals makes them."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orderbridge.model.basics import PlacementState
from orderbridge.model.lifecycle import Sign
from orderbridge.model.placement import Placement
from orderbridge.placement import Happened, Journal, MemoryJournal, Record, SqliteJournal
from orderbridge.placement.journal import InFlight
from orderbridge.placement.states import Transition, step
from tests.placement.kit import NOW, limit_buy, seen

KEYS = st.sampled_from([None, "k1", "k2"])
SIDES = st.sampled_from(["buy", "sell"])
GATEWAYS = st.sampled_from(["bitso", "bitso/mm"])
STATES = st.lists(st.sampled_from(PlacementState), unique=True)
PRICES = st.sampled_from(["100000", "100001"])


def made(number: int, *, gateway: str, key: str | None, client: str | None, price: str, state: str) -> Record:
    """A new record, each a moment later than the one before."""
    request = limit_buy(price=price, client_order_id=client)
    placement = Placement(
        placement_id=f"p{number}",
        gateway=gateway,
        key=key,
        request=request,
        client_order_id=client,
        state=state,
        created_at=NOW + timedelta(milliseconds=number),
    )
    return Record(placement=placement, owner="me")


class Alike(RuleBasedStateMachine):
    """Makes each call on a journal in memory, and on one of two that share a file."""

    @initialize()
    def begin(self) -> None:
        """Fresh journals."""
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.memory: Journal = MemoryJournal()
        self.files = [SqliteJournal(self.folder / "orders.db") for _ in range(2)]
        self.number = 0

    def teardown(self) -> None:
        for journal in self.files:
            self.runner.run(journal.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    def outcome(self, call: Callable[[Journal], Awaitable[Any]], journal: Journal) -> Any:
        """What a call returns, or what it raises; of several twins any may be named."""

        async def run() -> Any:
            try:
                return await call(journal)
            except (ValueError, KeyError, InFlight) as error:
                return type(error), "" if isinstance(error, InFlight) else str(error)

        return self.runner.run(run())

    def same(self, call: Callable[[Journal], Awaitable[Any]], *, file: int = 0) -> Any:
        """Make a call on both kinds, and hold the outcomes against each other."""
        expected, found = self.outcome(call, self.memory), self.outcome(call, self.files[file])
        assert found == expected
        return expected

    @rule(
        gateway=GATEWAYS,
        key=KEYS,
        client=st.one_of(st.none(), st.integers(0, 12)),
        price=PRICES,
        then=st.sampled_from([None, Happened.SENDING, Happened.DENIED]),
        alone=st.booleans(),
        file=st.integers(0, 1),
    )
    def create(
        self, gateway: str, key: str | None, client: int | None, price: str, then: Any, alone: bool, file: int
    ) -> None:
        """A new placement, perhaps under a held key, an id that was used, or beside a twin."""
        self.number += 1
        id_ = None if client is None else f"c{client}"
        record = made(self.number, gateway=gateway, key=key, client=id_, price=price, state="prepared")
        steps = [] if then is None else [step(record, then, at=NOW, reason="r", placement={"attempts": 1})]
        self.same(lambda journal: journal.create(record, *steps, alone=alone), file=file)

    @precondition(lambda self: self.number)
    @rule(
        which=st.integers(0, 30),
        happened=st.sampled_from(Happened),
        alone=st.booleans(),
        order=st.booleans(),
        file=st.integers(0, 1),
    )
    def change(self, which: int, happened: Happened, alone: bool, order: bool, file: int) -> None:
        """Anything that may happen to a placement, listed or not; ids that are not there too."""
        told = {"order": seen(order_id=f"oid{which}")} if order else {"evidence": ("a", "b")}

        def change(current: Record) -> Transition | None:
            if happened is Happened.TAKEN and current.fence:
                return None
            return step(current, happened, at=NOW, facts={"n": which}, placement=told, fence=current.fence + 1)

        self.same(lambda journal: journal.change(f"p{which}", change, alone=alone), file=file)

    @rule(
        numbers=st.lists(st.integers(0, 3), max_size=4),
        status=st.sampled_from(["accepted", "open", "partially_filled", "filled", "cancelled", "unknown"]),
        filled=st.sampled_from([None, "0", "0.004", "0.01"]),
        client=st.sampled_from([None, "c1", "oid2"]),
        account=st.sampled_from(["default", "mm"]),
        side=SIDES,
        minute=st.integers(0, 5),
        file=st.integers(0, 1),
    )
    def observe(self, numbers: list[int], filled: str | None, minute: int, file: int, **fields: Any) -> None:
        """Looks at orders, newer and older, of whatever status."""
        fields |= {"filled_quantity": filled, "updated_at": NOW + timedelta(minutes=minute)}
        client = fields.pop("client")
        orders = [seen(order_id=f"oid{number}", client_order_id=client, **fields) for number in numbers]
        self.same(lambda journal: journal.observe(orders), file=file)

    @rule(number=st.integers(0, 3), side=SIDES, sign=st.sampled_from(Sign), file=st.integers(0, 1))
    def sign(self, number: int, side: str, sign: Sign, file: int) -> None:
        """Something is learnt of an order without its being shown."""
        order = seen(order_id=f"oid{number}", side=side)
        self.same(lambda journal: journal.sign(order, sign), file=file)

    @rule(owner=st.sampled_from("ab"), seconds=st.sampled_from([0, 60.0, -60.0]), file=st.integers(0, 1))
    def keep_alive(self, owner: str, seconds: float, file: int) -> None:
        """An owner says that it lives."""
        self.same(lambda journal: journal.keep_alive(owner, seconds), file=file)

    @rule(
        gateway=st.one_of(st.none(), GATEWAYS),
        key=KEYS,
        client=st.one_of(st.none(), st.integers(0, 12)),
        states=st.one_of(st.none(), STATES),
        some=st.fixed_dictionaries({"limit": st.sampled_from([None, 1, 3]), "newest_first": st.booleans()}),
        file=st.integers(0, 1),
    )
    def find(self, gateway: str | None, key: str | None, client: int | None, states: Any, some: Any, file: int) -> None:
        """Every filter, alone and with others; all that fit, or some from either end."""
        wanted = {"gateway": gateway, "key": key, "client_order_id": client and f"c{client}", "states": states}
        self.same(lambda journal: journal.find(**wanted, **some), file=file)

    @rule(
        gateway=st.one_of(st.none(), GATEWAYS),
        order_id=st.sampled_from([None, "oid1", "oid2", "other"]),
        client=st.sampled_from([None, "c1", "oid2"]),
        file=st.integers(0, 1),
    )
    def orders(self, gateway: str | None, order_id: str | None, client: str | None, file: int) -> None:
        """Orders by either id; each once, in whatever order."""

        async def found(journal: Journal) -> list[str]:
            orders = await journal.orders(gateway=gateway, order_id=order_id, client_order_id=client)
            return sorted(order.model_dump_json() for order in orders)

        self.same(found, file=file)

    @rule(file=st.integers(0, 1))
    def open_anew(self, file: int) -> None:
        """One of the processes ends, and another begins."""
        self.runner.run(self.files[file].aclose())
        self.files[file] = SqliteJournal(self.folder / "orders.db")

    @invariant()
    def every_record_and_event_is_the_same(self) -> None:
        """All that was ever stored."""
        if not getattr(self, "number", 0):
            return

        async def everything(journal: Journal) -> object:
            records = await journal.find()
            events = [await journal.events(record.id) for record in records]
            working = [await journal.working(gateway) for gateway in ("bitso", "bitso/mm")]
            live = [sorted(order.order_id for order in orders) for orders in working]
            return records, events, live, [await journal.lives(owner, grace) for owner in "ab" for grace in (0, 90)]

        self.same(everything, file=self.number % 2)


Alike.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAlike = Alike.TestCase

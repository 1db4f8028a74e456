"""What a run came to: the journal held against what the venues know to be true."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orderbridge.model.basics import PlacementState
from orderbridge.model.order import Order as Known
from orderbridge.placement import Event, Record
from orderbridge.simulator.engine.order import SimOrder
from tests.chains import breaches

# An order of one of these is live or filled at the venue only against our word.
NOTHING_THERE = {
    PlacementState.PREPARED,
    PlacementState.DENIED,
    PlacementState.REJECTED,
    PlacementState.NOT_PLACED,
}


@dataclass
class Counts:
    """
    What a run came to. Everything from `doubles` on must be empty.

    Attributes:
        verdicts: placements by gateway and state. `gave_up`: by gateway; no proof could be had.
        runs: how often the driver was started. `points`: where it was killed, and how often.
        struck: how often each fault hit an order on its way. `alarms`: by their kind.
        doubles: placements, or keys, with more than one live or filled order.
        unknown_orders: live or filled orders that the journal does not know.
        contradictions: placements whose verdict is not what the venue knows.
        wrong_ends: orders that the journal calls over and that are live, or filled otherwise. `ends`: those it does.
        without_verdict: keys that ended in no verdict. `illegal`: chains of events that cannot be.
        crashes: ends of the driver that nobody meant. `unmet`: named points that no run died at.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    points: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    doubles: list[str] = field(default_factory=list)
    unknown_orders: list[str] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    wrong_ends: list[str] = field(default_factory=list)
    without_verdict: list[str] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was placed twice, lost, or told wrongly, and all points were met."""
        wrong = (self.doubles, self.unknown_orders, self.contradictions, self.without_verdict, self.illegal)
        return not any((*wrong, self.wrong_ends, self.crashes, self.unmet))

    def compare(self, records: Sequence[Record], truth: Mapping[str, Iterable[SimOrder]], keys: Iterable[str]) -> None:
        """
        Hold the journal against the venues.

        Args:
            truth: every order that each gateway's venue ever took. keys: `gateway key`, of which each is to have
                come to its end.
        """
        taken = {name: list(orders) for name, orders in truth.items()}
        matters = {name: [order for order in orders if is_live_or_filled(order)] for name, orders in taken.items()}
        known = {(record.placement.gateway, record.placement.client_order_id): record for record in records}
        for name, orders in matters.items():
            self.unknown_orders += [
                f"{name} {order.client_order_id} {order.order_id}"
                for order in orders
                if (name, order.client_order_id) not in known
            ]
        by_key: Counter[str] = Counter()
        for record in records:
            placement = record.placement
            client_order_id = placement.client_order_id
            mine = [each for each in matters[placement.gateway] if each.client_order_id == client_order_id]
            every = [each.order_id for each in taken[placement.gateway] if each.client_order_id == client_order_id]
            self._judge(record, [each.order_id for each in mine], every)
            if placement.key is not None:
                by_key[f"{placement.gateway} {placement.key}"] += bool(mine)
        self.doubles += [
            f"{key}: {orders} placements of it have an order" for key, orders in by_key.items() if orders > 1
        ]
        ended = {f"{each.placement.gateway} {each.placement.key}" for each in records if _is_over(each)}
        self.without_verdict += sorted(set(keys) - ended)

    def _judge(self, record: Record, mine: list[str], every: list[str]) -> None:
        """One placement: `mine` are its live or filled orders, `every` all that the venue took under its id."""
        placement, state = record.placement, record.state
        name = f"{placement.gateway} {placement.key} {placement.client_order_id} {state}"
        self.verdicts[f"{placement.gateway} {state}"] += 1
        self.gave_up[placement.gateway] += placement.gave_up
        if len(mine) > 1:
            self.doubles.append(f"{name}: {', '.join(mine)}")
        if state in NOTHING_THERE and mine:
            self.contradictions.append(f"{name}: the venue has {', '.join(mine)}")
        if state is PlacementState.PLACED:
            shown = placement.order.order_id if placement.order else None
            if shown not in every or (mine and shown not in mine):
                self.contradictions.append(f"{name}: as {shown}, the venue has {', '.join(every) or 'none'}")

    def check_ends(self, orders: Iterable[Known], truth: Mapping[str, Iterable[SimOrder]]) -> None:
        """Hold what the journal says of orders that are over against the venues."""
        taken = {(name, order.order_id): order for name, orders in truth.items() for order in orders}
        for order in orders:
            true = taken.get((order.gateway, order.order_id))
            if true is None or order.may_be_live:
                continue
            self.ends[f"{order.gateway} {order.status} {order.known_by}"] += 1
            is_otherwise = order.filled_quantity is not None and order.filled_quantity != true.filled
            if true.active or is_otherwise:
                self.wrong_ends.append(f"{order}: the venue has {true.state}, filled {true.filled}")

    def check_chain(self, record: Record, events: Sequence[Event]) -> None:
        """Whether what happened to a placement could happen."""
        found = breaches(record, events)
        if found:
            self.illegal.append(f"{record.placement.client_order_id}: {'; '.join(found)}")

    def __str__(self) -> str:
        lines = [f"{self.runs} runs of the driver"]
        for name in ("points", "struck", "verdicts", "gave_up", "alarms", "ends"):
            shown = ", ".join(f"{key} {count}" for key, count in sorted(getattr(self, name).items()) if count)
            lines.append(f"{name}: {shown or 'none'}")
        wrong = (
            "doubles",
            "unknown_orders",
            "contradictions",
            "wrong_ends",
            "without_verdict",
            "illegal",
            "crashes",
            "unmet",
        )
        for name in wrong:
            found = getattr(self, name)
            lines.append(f"{name}: {len(found)}" + "".join(f"\n    {each}" for each in found[:20]))
        return "\n".join(lines)


def is_live_or_filled(order: SimOrder) -> bool:
    """Whether money is at stake: the order may still trade, or has traded."""
    return order.active or order.filled > 0


def _is_over(record: Record) -> bool:
    return record.placement.gave_up or record.state in {
        PlacementState.PLACED,
        PlacementState.DENIED,
        PlacementState.REJECTED,
        PlacementState.NOT_PLACED,
    }

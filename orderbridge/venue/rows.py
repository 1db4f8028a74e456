"""Rows of a venue to models: what every adapter reads alike, and what is told of rows that are odd."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Generic, Self, TypeVar

from pydantic import BaseModel, ValidationError

from orderbridge.errors import UnexpectedResponse
from orderbridge.http.session import Session, log_facts
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane
from orderbridge.model.results import BadRow
from orderbridge.venue.bounds import remember
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.sender import Sender

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
# How long reading rows may hold up everything else, in seconds.
_TURN: Final = 0.001
_LONG: Final = 100
# Orders of one answer whose anomalies are told one by one; of more, how many there are.
_ODD_TOLD: Final = 20


class Unusable(ValueError):
    """A row that cannot become an order or a fill; `id` is its id, where it has one."""

    def __init__(self, reason: str, *, id: str | None = None) -> None:
        super().__init__(reason)
        self.id = id


@dataclass(slots=True)
class Rows(Generic[T]):
    """The rows of a list: the good ones, and the bad ones beside them."""

    good: list[T] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Rows in the answer, good and bad."""
        return len(self.good) + len(self.bad)


class RowReader:
    """Reads the rows of one gateway. What is odd is logged once, since the same rows are read again and again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._told: dict[tuple[str | None, str], None] = {}

    async def read(
        self,
        values: object,
        convert: Callable[[Any], T | None],
        operation: str,
        *,
        first: int = 0,
        raw_of: Callable[[Any], Any] | None = None,
        unread: Sequence[BadRow] = (),
    ) -> Rows[T]:
        """
        Make models of rows; one that is unusable is a bad row beside its neighbours.

        Args:
            convert: Unusable: the row cannot be read. None: it is none of those that are asked for.
            first: the place of the first row. `raw_of`: the row as the venue sent it.
            unread: rows that could not even be given as values.

        Raises:
            UnexpectedResponse: these are no list of rows.
        """
        if not isinstance(values, (list, tuple)):
            message = f"the answer is no list but {type(values).__name__}"
            raise UnexpectedResponse(message, gateway=self._session.gateway, operation=operation)
        rows: Rows[T] = Rows(bad=list(unread))
        clock = asyncio.get_running_loop()
        # The text of a long list was parsed in one piece: others have their turn before its rows are read.
        turn_ends = clock.time() + (_TURN if len(values) < _LONG else 0.0)
        for position, value in enumerate(values, first):
            try:
                row = convert(value)
            except Unusable as error:
                raw = value if raw_of is None else raw_of(value)
                rows.bad.append(self.bad_row(position, str(error), id=error.id, raw=raw))
            else:
                if row is not None:
                    rows.good.append(row)
            if clock.time() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = clock.time() + _TURN
        if rows.bad:
            self.warn_bad(rows.bad, operation)
        if odd := [row for row in rows.good if isinstance(row, Order) and row.anomalies]:
            self.warn_odd(odd, operation)
        return rows

    def bad_row(self, position: int, reason: str, *, id: str | None = None, raw: Any = None) -> BadRow:
        """A row that could not be read."""
        return BadRow(gateway=self._session.gateway, position=position, reason=reason, order_id=id, raw=raw)

    def warn_bad(self, bad_rows: Iterable[BadRow], operation: str) -> None:
        """Tell the rows that were not told before, in one line."""
        # One without an id is told from others by all of it.
        names = ((bad, bad.reason if bad.order_id else f"{bad.reason} {hash(repr(bad.raw))}") for bad in bad_rows)
        news = [bad for bad, name in names if self._is_news(bad.order_id, name)]
        if news:
            first, more = news[0], f", and {len(news) - 1} more" if len(news) > 1 else ""
            extra = log_facts(self._session.gateway, operation, order_id=first.order_id)
            text = "row %d is unusable: %s%s"
            self._session.log.warning(text, first.position, first.reason, more, extra=extra)

    def warn_odd(self, orders: Iterable[Order], operation: str) -> None:
        """Tell the anomalies that were not told before."""
        news = [(order, [odd for odd in order.anomalies if self._is_news(order.order_id, odd)]) for order in orders]
        odd = [(order, texts) for order, texts in news if texts]
        log, gateway = self._session.log, self._session.gateway
        if len(odd) > _ODD_TOLD:
            log.warning("%d orders have anomalies; the first of them:", len(odd), extra=log_facts(gateway, operation))
        for order, texts in odd[:_ODD_TOLD]:
            extra = log_facts(gateway, operation, order_id=order.order_id, client_order_id=order.client_order_id)
            for text in texts:
                log.warning("%s: %s", order.order_id, text, extra=extra)

    def _is_news(self, order_id: str | None, text: str) -> bool:
        if (order_id, text) in self._told:
            return False
        remember(self._told, (order_id, text), None)
        return True


@dataclass(frozen=True, kw_only=True)
class VenueReads:
    """What the reads of one account are made of; an adapter adds what it asks for, and how that is read."""

    sender: Sender
    reader: RowReader
    memory: OrderMemory
    account: str
    clock: Callable[[], float]

    def in_lane(self, lane: Lane) -> Self:
        """The same reads, waiting in another lane; what they know and have logged is shared."""
        return replace(self, sender=self.sender.in_lane(lane))

    def now(self) -> datetime:
        """The moment, by the gateway's clock."""
        return datetime.fromtimestamp(self.clock(), UTC)


def built(model: type[M], id: str | None, /, **fields: Any) -> M:
    """The model of these fields. Unusable: one of them cannot be."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        what = ", ".join(".".join(map(str, item["loc"])) + f" ({item['type']})" for item in error.errors())
        raise Unusable(f"unusable fields: {what}", id=id) from error


@lru_cache(256)
def fold(word: str) -> str:
    """A status or type word in the form that tables use: lower case, trimmed, `-` and `_` as a space."""
    return " ".join(word.strip().lower().replace("-", " ").replace("_", " ").split())


def moment_of(text: str) -> datetime:
    """A time in ISO 8601, which without a zone is UTC. ValueError: it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("z", "Z"))
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error

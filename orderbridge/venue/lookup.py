"""A look-up at one gateway: what was asked for which ref, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orderbridge.errors import printable
from orderbridge.gateway import failure_of
from orderbridge.model.basics import Symbol
from orderbridge.model.lifecycle import united
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.results import Answer, BadRow, Failure, Found, LookupResult

# The worst of several answers is the answer: a ref is not seen only if every way of asking said so.
_WORST_FIRST: Final = (
    Answer.TIMED_OUT,
    Answer.FAILED,
    Answer.CANNOT_ASK,
    Answer.PARTLY_SEARCHED,
    Answer.NOT_SEEN,
)


@dataclass(slots=True, eq=False)
class Ask:
    """One id asked for in one way (`kind`), on behalf of one or more refs; of one symbol where it counts by market."""

    kind: str
    id: str
    symbol: Symbol | None = None
    refs: list[int] = field(default_factory=list)
    answer: Answer | None = None
    proven_absent: bool = False
    note: str = ""
    orders: tuple[Order, ...] = ()

    @property
    def is_pending(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.answer is None


class Search:
    """
    Collects what comes of a look-up, so that whatever is known when the time ends is the result.

    A ref without any ask is one that this venue could not have issued: not seen, for that reason, which proves nothing.

    Raises:
        ConfigurationError: a ref names another gateway.
    """

    def __init__(self, gateway: str, refs: Sequence[RefLike]) -> None:
        self.gateway = gateway
        self._given = tuple(refs)
        self.refs = tuple(parse_refs(refs, gateways=[gateway]))
        self._asks: dict[tuple[str, str, Symbol | None], Ask] = {}
        self._by_ref: list[list[Ask]] = [[] for _ in refs]
        self._failure: Failure | None = None
        self._bad_rows: list[BadRow] = []

    def ask(self, kind: str, id: str, *, ref: int, symbol: Symbol | None = None) -> Ask:
        """Note that `id` is to be asked for as a `kind`, for the ref at that position."""
        ask = self._asks.setdefault((kind, id, symbol), Ask(kind, id, symbol))
        ask.refs.append(ref)
        self._by_ref[ref].append(ask)
        return ask

    def pending(self, kind: str) -> list[Ask]:
        """The asks of a kind that nothing has come of yet."""
        return [ask for ask in self._asks.values() if ask.kind == kind and ask.is_pending]

    def answered(self, answer: Answer) -> list[Ask]:
        """The asks that got this answer."""
        return [ask for ask in self._asks.values() if ask.answer is answer]

    def found(self, ask: Ask, order: Order) -> None:
        """An order answers to this ask."""
        ask.orders = united([*ask.orders, order])
        ask.answer = Answer.FOUND

    def answer(self, asks: Iterable[Ask], answer: Answer, *, note: str = "", proven_absent: bool = False) -> None:
        """Give the asks that are still pending their answer."""
        for ask in asks:
            if ask.is_pending:
                ask.answer, ask.note, ask.proven_absent = answer, note, proven_absent

    def fail(self, asks: Iterable[Ask], error: BaseException) -> None:
        """The request for these asks failed; the first failure is what the gateway is reported with."""
        failure = failure_of(error)
        self._failure = self._failure or failure
        timed_out = failure.kind == "timed_out"
        self.answer(asks, Answer.TIMED_OUT if timed_out else Answer.FAILED, note=failure.message)

    def bad_row(self, *, position: int, reason: str, order_id: str | None = None, raw: Any = None) -> None:
        """A row that could not be read, or that nobody asked for."""
        self._bad_rows.append(
            BadRow(gateway=self.gateway, position=position, reason=reason, order_id=order_id, raw=raw)
        )

    def add_bad_rows(self, rows: Iterable[BadRow]) -> None:
        """Rows that could not be read, as a page reported them."""
        self._bad_rows.extend(rows)

    def result(self) -> LookupResult:
        """What is known now. Asks that nothing has come of ran out of time."""
        if self._failure is None and any(ask.is_pending for ask in self._asks.values()):
            self._failure = Failure(kind="timed_out", message="the time limit ended before every id was asked for")
        return LookupResult(
            refs=self._given,
            found=tuple(self._found(ref, asks) for ref, asks in zip(self.refs, self._by_ref, strict=True)),
            unreachable={self.gateway: self._failure} if self._failure else {},
            bad_rows=tuple(self._bad_rows),
        )

    def _found(self, ref: OrderRef, asks: list[Ask]) -> Found:
        if not asks:
            return no_id_of(self.gateway, ref)
        orders = united(order for ask in asks for order in ask.orders)
        answers = {ask.answer or Answer.TIMED_OUT for ask in asks}
        worst = next((answer for answer in _WORST_FIRST if answer in answers), Answer.NOT_SEEN)
        return Found(
            orders=orders,
            answers={self.gateway: Answer.FOUND if orders else worst},
            proven_absent=not orders and all(ask.proven_absent for ask in asks),
            notes=tuple(dict.fromkeys(ask.note for ask in asks if ask.note)),
        )


def no_id_of(gateway: str, ref: OrderRef) -> Found:
    """What is known of a ref that a gateway could not have issued: nothing, as it may be mis-written."""
    note = f"{printable(str(ref))} is not of a form that ids have here"
    return Found(answers={gateway: Answer.NOT_SEEN}, notes=(note,))

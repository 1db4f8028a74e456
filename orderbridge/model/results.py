"""Results of look-ups, lists and cancels: what became of the orders, and how sure that is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Self, overload

from pydantic import Field, model_validator

from orderbridge.errors import AmbiguousRef
from orderbridge.model.basics import Moment, OrderType, Told, VenueModel, Word
from orderbridge.model.lifecycle import united
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike

FailureKind = Literal[
    "unreachable", "timed_out", "throttled", "not_admitted", "credentials", "permission", "partial", "unexpected"
]


class Answer(Word):
    """The answer of one gateway about one ref. Only `not_seen` is a negative; the last four leave it undecided."""

    FOUND = "found"
    NOT_SEEN = "not_seen"
    PARTLY_SEARCHED = "partly_searched"
    FAILED = "failed"
    CANNOT_ASK = "cannot_ask"
    TIMED_OUT = "timed_out"


_UNDECIDED = frozenset({Answer.PARTLY_SEARCHED, Answer.FAILED, Answer.CANNOT_ASK, Answer.TIMED_OUT})


class Failure(VenueModel):
    """Why a gateway could not answer. `retry_after` is in seconds, None when not known."""

    kind: FailureKind
    message: Told
    retry_after: float | None = None
    code: str | None = None
    http_status: int | None = None


class BadRow(VenueModel):
    """
    A row of an answer that is no usable order: its place, its id if it has one, and what is wrong with it.

    Equality and JSON leave out `raw`.
    """

    gateway: str
    position: int
    reason: Told
    order_id: str | None = None
    raw: Any = Field(default=None, repr=False, exclude=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BadRow):
            return NotImplemented
        return {**self.__dict__, "raw": None} == {**other.__dict__, "raw": None}

    def __hash__(self) -> int:
        return hash((self.gateway, self.position, self.order_id))


class Found(VenueModel):
    """
    The verdict on one ref.

    Attributes:
        orders: every order that answers to it; several are possible by client id.
        answers: what each gateway asked said.
        proven_absent: every gateway asked proved that it has no such order: Bitcain said 404 to a UUID.
        notes: why an answer is what it is, where that is not plain.
    """

    orders: tuple[Order, ...] = ()
    answers: dict[str, Answer] = Field(default_factory=dict)
    proven_absent: bool = False
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> Order | None:
        """
        The one order, or None.

        Raises:
            AmbiguousRef: several orders answer; the error carries them.
        """
        if len(self.orders) > 1:
            ids = ", ".join(order.order_id for order in self.orders)
            raise AmbiguousRef(f"{len(self.orders)} orders answer to one ref: {ids}", orders=self.orders)
        return self.orders[0] if self.orders else None

    @property
    def is_undecided(self) -> bool:
        """Not found, while some gateway that could hold it gave no full answer."""
        return not self.orders and any(answer in _UNDECIDED for answer in self.answers.values())


class LookupResult(VenueModel):
    """
    The answer to a look-up: `result[ref]` is what is known of a ref, keyed exactly as it was given.

    Attributes:
        refs: as given. `found`: what is known of each, in the same order.
        unreachable: why a gateway could not answer, by gateway name.
        bad_rows: rows that could not be read; they hide none of their neighbours.
    """

    refs: tuple[RefLike, ...] = ()
    found: tuple[Found, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()

    @model_validator(mode="after")
    def _one_found_per_ref(self) -> Self:
        if len(self.refs) != len(self.found):
            raise ValueError(f"{len(self.refs)} refs need as many found, not {len(self.found)}")
        return self

    @cached_property
    def _by_ref(self) -> dict[RefLike, Found]:
        return dict(zip(self.refs, self.found, strict=True))

    def __getitem__(self, ref: RefLike) -> Found:
        # One ref alone, as most calls give, needs no index.
        return self.found[0] if self.refs == (ref,) else self._by_ref[ref]

    def __contains__(self, ref: object) -> bool:
        return ref in self._by_ref

    def __len__(self) -> int:
        return len(self.refs)

    def __bool__(self) -> bool:
        return True

    @property
    def orders(self) -> tuple[Order, ...]:
        """Every order found, each venue order once; what two refs saw of one order is merged."""
        return united(order for found in self.found for order in found.orders)

    @property
    def not_seen(self) -> tuple[RefLike, ...]:
        """Refs that every gateway that could hold them answered without showing. No proof of absence."""
        return tuple(
            ref for ref, found in zip(self.refs, self.found, strict=True) if not found.orders and not found.is_undecided
        )

    @property
    def undecided(self) -> tuple[RefLike, ...]:
        """Refs not found while a gateway failed, could not be asked, searched in part or ran out of time."""
        return tuple(ref for ref, found in zip(self.refs, self.found, strict=True) if found.is_undecided)


class _Orders(VenueModel, Sequence[Order]):
    """Orders in a row, beside which more is said."""

    orders: tuple[Order, ...] = ()

    def __len__(self) -> int:
        return len(self.orders)

    @overload
    def __getitem__(self, index: int) -> Order: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Order, ...]: ...
    def __getitem__(self, index: int | slice) -> Order | tuple[Order, ...]:
        return self.orders[index]

    # BaseModel iterates over its fields; a sequence of orders iterates over orders.
    def __iter__(self) -> Iterator[Order]:  # type: ignore[override]
        return iter(self.orders)


class OrderList(_Orders):
    """
    A complete list of orders, as of the moment it was asked for; rows that could not be read stand aside.

    Attributes:
        may_lack: types of which orders that wait for their trigger may be missing: of those it proves nothing.
    """

    as_of: Moment
    bad_rows: tuple[BadRow, ...] = ()
    may_lack: frozenset[OrderType] = frozenset()


class BridgeOrders(_Orders):
    """
    The open orders of several gateways; `unreachable` names those whose orders are missing, and why.

    Attributes:
        may_lack: by gateway, types of which orders that wait for their trigger may be missing from its list.
    """

    unreachable: Mapping[str, Failure] = Field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()
    may_lack: Mapping[str, frozenset[OrderType]] = Field(default_factory=dict)


class CancelledOrders(list[Order]):
    """
    The orders of a gateway after a cancel of everything.

    Attributes:
        may_lack: types of which orders that wait for their trigger may have been missed, and may be live; empty where
            the venue itself cancelled all.
    """

    def __init__(self, orders: Iterable[Order] = (), *, may_lack: frozenset[OrderType] = frozenset()) -> None:
        super().__init__(orders)
        self.may_lack = may_lack


class CancelReceipt(VenueModel):
    """
    The outcome of a `cancel_all`.

    Attributes:
        scope: whose orders were meant.
        orders: every order that was open or was cancelled, as it is after that.
        unreachable: gateways of which nothing is known for sure, and why; their orders may be live.
        may_lack: by gateway, types of which orders that wait for their trigger may have been missed, and may be live:
            what was cancelled is what a list showed that may leave them out.
    """

    scope: Literal["account"]
    orders: tuple[Order, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)
    may_lack: Mapping[str, frozenset[OrderType]] = Field(default_factory=dict)

    @property
    def still_live(self) -> tuple[Order, ...]:
        """Orders that may trade all the same: their venue has not said that they are over."""
        return tuple(order for order in self.orders if order.may_be_live)

    @property
    def is_complete(self) -> bool:
        """True where every gateway answered, no order may have been missed, and none may be live."""
        return not (self.unreachable or self.may_lack or self.still_live)

"""
The life of one order over time: what a new observation makes of what was known.

`merge` combines observations whose order does not matter; `advance` knows which came first, so that a stale read
or a contradiction is told apart from news. The rows, by the numbers that comments and tests use (working: accepted,
open, partially filled or unknown; done: over):

 15 accepted, seen working: as seen. 16 working, more filled: as filled. 17 working, a word of the end: that end.
 18 open, accepted again: unchanged, unless by a newer venue time. 19 cancel or replace sent: a flag.
 20 acknowledged without proof: the flag stays. 21 refused as too late: the flag goes. 22 refused as unknown: not
 cancelled by that. 23 not seen, no proof yet: unchanged. 24 not seen, fills of the whole size: filled, inferred.
 25 not seen, and that is proof: cancelled with its fills, inferred; of unknown size: ended. 26 replaced: cancelled.
 27 done, an older working word: unchanged. 28 done, a newer working word: an anomaly; two agreeing ones re-open it.
 29 done, more filled: the larger, or filled. 30 failed, seen working: working. 31 unknown, a known word: as known.
 32 done by inference or assumption, contradicted by the venue: as it says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import inf
from operator import itemgetter
from typing import Any, Final, NamedTuple

from orderbridge.model.basics import (
    EARLIEST,
    ZERO,
    KnownBy,
    OrderStatus,
    OrderType,
    Word,
    add,
    average,
    is_within_bounds,
    multiply,
    plain,
    subtract,
)
from orderbridge.model.order import FILL_FIGURES, UNSEEN, Fill, Identity, Order

_IDS: Final = ("client_order_id", "exchange_order_id", "replaces", "replaced_by")
_COMBINED: Final = frozenset({*_IDS, *FILL_FIGURES, "numbered_by_market", "evidence", "anomalies", "raw"})
_WHOLE: Final = tuple(name for name in Order.model_fields if name not in _COMBINED)
_stated: Final = itemgetter(*(name for name in Order.model_fields if name not in {"raw", "observed_at"}))
_STATUS_RANK: Final = {
    status: rank
    for rank, status in enumerate(
        (
            OrderStatus.UNKNOWN,
            OrderStatus.ACCEPTED,
            OrderStatus.OPEN,
            OrderStatus.PARTIALLY_FILLED,
            OrderStatus.ENDED,
            OrderStatus.EXPIRED,
            OrderStatus.CANCELLED,
            OrderStatus.FAILED,
            OrderStatus.REJECTED,
            OrderStatus.FILLED,
        )
    )
}


def merge(a: Order, b: Order) -> Order:
    """
    Combine two observations of one venue order, in whatever order they arrived.

    Commutative, associative and idempotent. Every plain field comes whole from the observation that ranks
    higher: done before not done, then the later venue time, then the status. The fill figures come together
    from the larger filling. Of differing ids the smaller text is kept, and an anomaly names each.

    Raises:
        ValueError: the two are different orders: of another gateway, id, symbol or side.
    """
    if a.identity != b.identity:
        raise ValueError(f"{_named(a)} and {_named(b)} are different orders")
    winner = a if _Rank(a) >= _Rank(b) else b
    changes: dict[str, Any] = {}
    anomalies = {*a.anomalies, *b.anomalies}
    for name in _IDS:
        values = {value for value in (getattr(a, name), getattr(b, name)) if value is not None}
        changes[name] = min(values, default=None)
        if len(values) > 1:
            anomalies |= {f"several values of {name}: {value}" for value in values}
    fuller = max(a, b, key=_fills_key)
    changes |= {name: getattr(fuller, name) for name in FILL_FIGURES}
    # Written by a version that did not know yet how the venue numbers, it is the same order all the same.
    changes["numbered_by_market"] = a.numbered_by_market or b.numbered_by_market
    changes["evidence"] = tuple(sorted({*a.evidence, *b.evidence}))
    changes["anomalies"] = tuple(sorted(anomalies))
    return winner.model_copy(update=changes)


def united(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Each order once, by its `identity`: what several observations show of one is merged, and none is lost."""
    unique: dict[Identity, Order] = {}
    for order in orders:
        identity = order.identity
        known = unique.get(identity)
        unique[identity] = order if known is None else merge(known, order)
    return tuple(unique.values())


def last_change(order: Order) -> datetime:
    """When the venue last changed an order, as far as it says."""
    return order.updated_at or order.created_at or EARLIEST


def _named(order: Order) -> str:
    return f"{order.gateway}:{order.order_id} ({order.symbol} {order.side})"


class _Rank:
    """Where an observation stands in the one total order; the costly text key only breaks ties of what we saw last."""

    __slots__ = ("_first", "_order")

    def __init__(self, order: Order) -> None:
        self._order = order
        venue_time = last_change(order)
        self._first = (order.is_done, venue_time, _STATUS_RANK[order.status], order.observed_at or EARLIEST)

    def __ge__(self, other: _Rank) -> bool:
        if self._first != other._first:
            return self._first > other._first
        return _text_key(self._order) >= _text_key(other._order)


def _text_key(order: Order) -> tuple[str, ...]:
    # What we saw last comes first, so that among equals the newer look wins.
    seen = order.observed_at.isoformat() if order.observed_at else ""
    return (seen, *(_as_text(getattr(order, name)) for name in _WHOLE), repr(order.raw))


def _as_text(value: object) -> str:
    return "" if value is None else repr(value)


def _fills_key(order: Order) -> tuple[tuple[bool, Decimal, str], ...]:
    values: tuple[Decimal | None, ...] = tuple(getattr(order, name) for name in FILL_FIGURES)
    return tuple((value is not None, value or ZERO, str(value)) for value in values)


# What is taken to be a venue's settle time where it is not known: seconds after which an order that it took is shown,
# and every trade of one that is over.
SETTLE_TIME: Final = 120.0
# Ends that may come before an order is filled whole.
_SHORT_ENDS: Final = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})
_NO_MORE: Final = "nothing more"
# How an anomaly begins that contradicts what was concluded.
_UNDONE: Final = "concluded to be "
# The smallest amount of base that venues reckon with.
_LEAST_BASE: Final = Decimal("1E-8")


class Sign(Word):
    """
    News of an order without being shown it.

    `gone`: it is proven to be over, and how much of it was filled is known.
    """

    CANCEL_SENT = "cancel_sent"
    REPLACE_SENT = "replace_sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED_TOO_LATE = "refused_too_late"
    REFUSED_UNKNOWN = "refused_unknown"
    NOT_SEEN = "not_seen"
    GONE = "gone"


class Lack(NamedTuple):
    """
    One round of reads in which look-up did not show an order that the venue itself had shown before.

    Attributes:
        began, ended: when it was asked, and when the last answer had come.
        lived: seconds of it that this process has lived through, as `Followed` tells.
        fills: its trades, read after the list of open orders; None when they are not told.
        why: what keeps it from being proof that the order is over; nothing when the complete list of open orders, and
            a second look-up after the trades, lack it too.
        evidence: what the reads said.
    """

    began: datetime
    ended: datetime
    lived: float
    fills: Sequence[Fill] | None
    why: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


class Followed:
    """
    Since when this process has seen orders lacking, by a clock that nobody sets: a wall clock may be set forward.

    Args:
        elapsed: seconds from any beginning. `most`: orders that are followed at once; those of longest ago are dropped.
    """

    def __init__(self, elapsed: Callable[[], float], *, most: int = 10_000) -> None:
        self.elapsed = elapsed
        self._most = most
        self._since: dict[Identity, float] = {}

    def lived(self, known: Order, *, began: float, ended: datetime) -> float:
        """
        How long an order had been lacking here when a round began; infinite where another process saw it begin.

        Args:
            began: of `elapsed`. `ended`: when the last answer of the round had come, by the wall clock.
        """
        since = known.unseen_since
        if since is None or since > ended:  # it begins now, or the clock was set back, and its waiting begins anew
            self._since.pop(known.identity, None)
            self._since[known.identity] = self.elapsed()
            if len(self._since) > self._most:
                del self._since[next(iter(self._since))]
        return began - self._since.get(known.identity, -inf)


class Change(Word):
    """The effect of an observation. `look_up`: read this order again, by its id; `stale`: nothing, it was old news."""

    STATUS = "status"
    FILL = "fill"
    ENDED = "ended"
    FLAG = "flag"
    REOPENED = "reopened"
    REPLACED = "replaced"
    STALE = "stale"
    ANOMALY = "anomaly"
    LOOK_UP = "look_up"


class _Phase(Word):
    """Where an order stands, as far as the table tells it apart."""

    WORKING = "working"
    UNKNOWN = "unknown"
    ENDED = "ended"  # reported: cancelled, expired or ended, which may still show a late fill
    CLOSED = "closed"  # reported: filled or rejected
    FAILED = "failed"
    SOFT_END = "soft_end"  # an end that is inferred or assumed


class _Rule(Word):
    """The rule for what is known and what is seen."""

    MERGE = "merge"  # rows 15 to 18, 31: as the later of both says
    STILL = "still"  # rows 27, 28: an end does not become undone by one word
    RETELL = "retell"  # row 29 for two ends: the same end again, perhaps with more filled
    REVIVE = "revive"  # row 30
    CORRECT = "correct"  # row 32: the venue's word in place of our conclusion
    ODD = "odd"  # not listed


_P, _R = _Phase, _Rule
_DONE: Final = (_P.ENDED, _P.CLOSED, _P.FAILED, _P.SOFT_END)
TABLE: Final[Mapping[tuple[_Phase, _Phase], _Rule]] = {
    (_P.WORKING, _P.WORKING): _R.MERGE,
    (_P.WORKING, _P.UNKNOWN): _R.ODD,
    **{(_P.WORKING, seen): _R.MERGE for seen in _DONE},
    (_P.UNKNOWN, _P.WORKING): _R.MERGE,
    (_P.UNKNOWN, _P.UNKNOWN): _R.MERGE,
    **{(_P.UNKNOWN, seen): _R.MERGE for seen in _DONE},
    **{(known, seen): _R.STILL for known in (_P.ENDED, _P.CLOSED) for seen in (_P.WORKING, _P.UNKNOWN)},
    **{(known, seen): _R.RETELL for known in (_P.ENDED, _P.CLOSED, _P.FAILED) for seen in _DONE},
    (_P.FAILED, _P.WORKING): _R.REVIVE,
    (_P.FAILED, _P.UNKNOWN): _R.STILL,
    **{(_P.SOFT_END, seen): _R.CORRECT for seen in (_P.WORKING, _P.UNKNOWN, *_DONE)},
}
_PHASES: Final = {
    OrderStatus.UNKNOWN: _P.UNKNOWN,
    OrderStatus.FILLED: _P.CLOSED,
    OrderStatus.REJECTED: _P.CLOSED,
    OrderStatus.FAILED: _P.FAILED,
    OrderStatus.CANCELLED: _P.ENDED,
    OrderStatus.EXPIRED: _P.ENDED,
    OrderStatus.ENDED: _P.ENDED,
}
# What an order was made with; an observation that leaves it out does not unsay it.
_LASTING: Final = (
    "quantity",
    "quote_quantity",
    "price",
    "stop_price",
    "time_in_force",
    "expires_at",
    "post_only",
    "reduce_only",
    "paper",
    "created_at",
    "triggered_at",
    "routed_to",
    "reason",
)
_FLAGS: Final = {Sign.CANCEL_SENT: "cancel_requested", Sign.REPLACE_SENT: "replace_requested"}
_NO_REQUESTS: Final[dict[str, Any]] = dict.fromkeys(_FLAGS.values(), False)


def advance(current: Order, observation: Order | Sign) -> tuple[Order, tuple[Change, ...]]:
    """
    Take an observation in: what is known of an order after it, and what changed.

    Fills never shrink; an end that the venue reported stays, unless two agreeing observations with a newer venue
    time say that the order works (row 28) or the broker retried it (row 30).

    Raises:
        ValueError: the observation is of another order; another symbol or side makes it one.
    """
    if isinstance(observation, Sign):
        return _signed(current, observation)
    if _stated(current.__dict__) == _stated(observation.__dict__):
        if observation.observed_at == current.observed_at:
            return current, ()
        if (later := _seen_again(current, observation)) is not None:
            return later, ()
    merged = merge(current, observation)
    rule = TABLE[_phase(current), _phase(observation)]
    if observation.replaced_by is not None and current.may_be_live and observation.may_be_live:
        order = _over(merged, OrderStatus.CANCELLED, "replaced by the venue")  # row 26
    elif rule is _R.MERGE:
        order = merged
    elif rule is _R.CORRECT:
        order = _corrected(current, observation, merged)
    elif rule is _R.RETELL:
        order = _retold(current, observation, merged)
    elif rule is _R.ODD:
        order = _kept(current, merged, f"{_said(observation)} of an order that is {current.status}")
    else:
        order = _contradicted(current, observation, merged, revive=rule is _R.REVIVE)
    order = _completed(order, current, observation)
    if rule is _R.CORRECT and _is_undone(current, order):
        seen_at = observation.observed_at or order.observed_at
        order = order.noted(anomalies=[_undone(current, order, seen_at)], observed_at=seen_at)
    return order, _changes(current, observation, order)


def say_the_same(a: Order, b: Order) -> bool:
    """True where two observations differ in nothing but when they were made, and what told it."""
    return a.__dict__ == {**b.__dict__, "observed_at": a.observed_at, "evidence": a.evidence, "raw": a.raw}


def _seen_again(current: Order, seen: Order) -> Order | None:
    """The later of two that differ in nothing but when they were made, where nothing else follows; else None."""
    later = max(seen, current, key=lambda order: order.observed_at or EARLIEST)
    is_plain = later.known_by is KnownBy.REPORTED and later.replaced_by is None
    return later if is_plain and by_numbers(later) is later else None


def lacking(known: Order, lack: Lack, *, settle_time: float) -> tuple[Order, str]:
    """
    Rows 23 to 25: an order that the venue does not show any more, and why nothing is concluded from that yet.

    Trades of its whole size tell at once that it was filled. Less is told only by a round that is proof and that
    began `settle_time` after the first in which it was lacking: a venue may show a new order, and trades, late. That
    time has passed once the wall clock says so, and this process has lived through it where it saw it begin. Until
    then the last known status stays. So it is told that nothing was filled of one that the venue itself called over.
    """
    order = with_fills(known, lack.fills or ())
    evidence = tuple(sorted({*order.evidence, *lack.evidence}))
    since = known.unseen_since
    since = lack.ended if since is None or since > lack.ended else since
    waited = max(0.0, min((lack.began - since).total_seconds(), lack.lived))
    if known.is_done and known.known_by is KnownBy.REPORTED:
        order = by_numbers(order.model_copy(update={"evidence": evidence}))
        if order.filled_quantity is not None or lack.fills is None or order.status not in _SHORT_ENDS:
            return order, ""
        # Its trades may be late too.
        noted = order.noted(unseen_note(since)) if waited < settle_time else _unfilled(order, lack.ended)
        return noted, ""
    inferred: dict[str, Any] = {"known_by": KnownBy.INFERRED, "evidence": evidence}
    is_whole = _is_whole(order) and lack.fills is not None
    concluded = known.is_done and known.unseen_since is None and known.known_by is KnownBy.INFERRED
    if concluded and not is_whole:
        return _told_again(known, by_numbers(order.model_copy(update=inferred)), lack), ""
    if is_whole and (not known.replace_requested or (waited >= settle_time and not lack.why)):
        status, why = OrderStatus.FILLED, ""
    elif lack.why or lack.fills is None:
        status, why = order.status, "; ".join(lack.why) or "its trades are not told"
    elif waited < settle_time:
        status, why = order.status, f"not shown since {since}, and its end is concluded {settle_time:g} s after that"
    else:
        status, why = _how_it_ended(order), ""
    if why:
        inferred["evidence"] = tuple(sorted({*evidence, unseen_note(since)}))
        return by_numbers(order.model_copy(update=inferred)), why
    if order.filled_quantity is None:
        order = _unfilled(order, lack.ended)
    order = order.model_copy(update={**inferred, "observed_at": lack.ended})
    return _told_again(known, _over(order, status, "fills: the whole quantity" if is_whole else _NO_MORE), lack), ""


def _unfilled(order: Order, at: datetime) -> Order:
    return order.noted(_NO_MORE, observed_at=at, filled_quantity=ZERO, filled_quote_quantity=ZERO)


def unseen_note(since: datetime) -> str:
    """The note by which an order's evidence tells `unseen_since`."""
    return f"{UNSEEN}{since.isoformat()}"


def with_fills(order: Order, fills: Sequence[Fill], *, at: datetime | None = None) -> Order:
    """An order of which at least these fills are told; as it was when more was known of it."""
    single = list({fill.fill_id: fill for fill in fills}.values())  # pages may overlap
    base = add(*(fill.quantity for fill in single))
    quote = add(*(fill.quote_quantity for fill in single))
    known = order.filled_quantity
    is_news = known is None or base > known or (base == known and order.filled_quote_quantity is None)
    if not single or not is_news or not (is_within_bounds(base) and is_within_bounds(quote)):
        return order
    figures: dict[str, Any] = dict(zip(FILL_FIGURES, (base, quote, average(quote, base)), strict=True))
    return order.noted("fills", **figures, observed_at=at or order.observed_at)


def may_be_left_out(order: Order, types: Collection[OrderType]) -> bool:
    """True of one that waits, as far as is known, and that a list of open orders may so leave out, by its type."""
    return order.type in types and order.triggered_at is None and not order.filled_quantity


def contradiction(order: Order) -> str | None:
    """The contradiction of its latest observation to what had been concluded of it (row 32); None without one."""
    seen = f", seen {order.observed_at}"
    return next((note for note in order.anomalies if note.startswith(_UNDONE) and note.endswith(seen)), None)


def _is_whole(order: Order) -> bool:
    filled = order.filled_quantity
    if filled is None or filled <= ZERO:
        return False
    if order.quantity is not None:
        return filled >= order.quantity
    if order.quote_quantity is None or order.filled_quote_quantity is None or order.average_price is None:
        return False
    # Sized in quote: what is left buys nothing any more.
    return subtract(order.quote_quantity, order.filled_quote_quantity) < multiply(order.average_price, _LEAST_BASE)


def _how_it_ended(order: Order) -> OrderStatus:
    if order.quantity is not None or not order.filled_quantity:
        return OrderStatus.CANCELLED
    return OrderStatus.ENDED  # how much was asked for is not known, or was told in quote


def _told_again(known: Order, order: Order, lack: Lack) -> Order:
    """A conclusion, and what it contradicts of an earlier one."""
    if not _is_undone(known, order):
        return order
    return order.noted(anomalies=[_undone(known, order, lack.ended)], observed_at=lack.ended)


def _is_undone(concluded: Order, order: Order) -> bool:
    """True where what was concluded turns out to be wrong. An end of which the size is not known says little."""
    if concluded.may_be_live or concluded.known_by is not KnownBy.INFERRED or concluded.unseen_since is not None:
        return False
    is_vague = concluded.status is OrderStatus.ENDED
    more = (order.filled_quantity or ZERO) > (concluded.filled_quantity or ZERO)
    return order.may_be_live or more or (order.status is not concluded.status and not is_vague)


def _undone(concluded: Order, order: Order, at: datetime | None) -> str:
    before, after = (plain(each.filled_quantity or ZERO) for each in (concluded, order))
    return f"{_UNDONE}{concluded.status} with {before} filled, and it is {order.status} with {after}, seen {at}"


def _phase(order: Order) -> _Phase:
    if order.status.is_end and order.known_by is not KnownBy.REPORTED:
        return _P.SOFT_END
    return _PHASES.get(order.status, _P.WORKING)


def _contradicted(current: Order, seen: Order, merged: Order, *, revive: bool) -> Order:
    """Rows 27, 28 and 30: a word that says it works, of an order that had ended."""
    older, newer = _is_newer(current, seen), _is_newer(seen, current)
    if revive and not older:
        return _taken(seen, merged)
    if not newer:
        return _kept(current, merged)
    said = f"said to be {seen.status} after it was {current.status}, seen "
    before = [note for note in current.anomalies if note.startswith(said)]
    note = f"{said}{seen.observed_at}"
    if before and note not in before:
        # The two agree; should it end and be contradicted again, that takes two more.
        left = {known for known in merged.anomalies if known not in before}
        return _taken(seen, merged, anomalies=tuple(sorted({*left, f"re-opened: {note}"})))
    return _kept(current, merged, note)


def _retold(current: Order, seen: Order, merged: Order) -> Order:
    """Row 29, and two ends that disagree: the first that the venue reported stays."""
    soft = _phase(seen) is _P.SOFT_END
    if seen.status is current.status and not soft:
        return merged
    late_fill = _phase(current) is _P.ENDED and seen.status is OrderStatus.FILLED and not soft
    if late_fill or (current.status is OrderStatus.ENDED and not soft):
        return _taken(seen, merged)
    if soft or seen.status is OrderStatus.ENDED:
        return _kept(current, merged)
    return _kept(current, merged, f"said to be {seen.status} after it was {current.status}")


def _corrected(current: Order, seen: Order, merged: Order) -> Order:
    """Row 32: what we concluded gives way to what the venue says, unless that is older than what we knew."""
    if _phase(seen) is _P.SOFT_END:
        is_vague = current.may_be_live or current.status is OrderStatus.ENDED
        return _taken(seen, merged) if is_vague else _kept(current, merged)
    is_old = seen.known_by is KnownBy.INFERRED or not _is_fresh(seen, current)
    return _kept(current, merged) if seen.may_be_live and is_old else _taken(seen, merged)


def _is_newer(a: Order, b: Order) -> bool:
    mine, theirs = _venue_time(a), _venue_time(b)
    return mine is not None and theirs is not None and mine > theirs


def _is_fresh(seen: Order, current: Order) -> bool:
    # Our own conclusion has no venue time of its own, so what counts is when either was seen.
    if seen.observed_at is None or current.observed_at is None:
        return not _is_newer(current, seen)
    return seen.observed_at > current.observed_at


def _venue_time(order: Order) -> datetime | None:
    return order.updated_at or order.created_at


def _taken(winner: Order, merged: Order, **more: Any) -> Order:
    """The winner's plain fields with what merge combined: ids, fills, evidence and anomalies."""
    return winner.model_copy(update={name: getattr(merged, name) for name in _COMBINED - {"raw"}} | more)


def _kept(current: Order, merged: Order, anomaly: str | None = None) -> Order:
    return _taken(current, merged).noted(anomalies=() if anomaly is None else [anomaly])


def _completed(order: Order, current: Order, seen: Order) -> Order:
    """Nothing that was known is unsaid, a request stands until the order is over, and numbers beat words."""
    changes: dict[str, Any] = {}
    for name in _LASTING:
        if getattr(order, name) is None:
            known = getattr(current, name) if getattr(current, name) is not None else getattr(seen, name)
            if known is not None:
                changes[name] = known
    if order.type is OrderType.UNKNOWN and current.type is not OrderType.UNKNOWN:
        changes |= {"type": current.type, "raw_type": current.raw_type}
    if order.may_be_live and current.may_be_live:
        changes |= {name: getattr(order, name) or getattr(current, name) for name in _FLAGS.values()}
    if current.unseen_since is not None and seen.known_by is KnownBy.REPORTED and seen.observed_at is not None:
        # It is shown again, be it by an old row.
        changes["observed_at"] = max(seen.observed_at, order.observed_at or seen.observed_at)
    order = order.model_copy(update=changes) if changes else order
    return by_numbers(order)


def by_numbers(order: Order) -> Order:
    """An order whose word follows its numbers: they are what the venue reckons with."""
    filled, quantity = order.filled_quantity, order.quantity
    may_lag = order.status is OrderStatus.ENDED and order.unseen_since is not None and quantity is not None
    if may_lag and (filled is None or filled < (quantity or ZERO)):
        # Trades may be late: that no more of it was filled is not concluded so soon.
        return order.model_copy(update={"status": OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED})
    if filled is None:
        return order
    if order.status in {OrderStatus.ACCEPTED, OrderStatus.OPEN} and filled > ZERO:
        return order.model_copy(update={"status": OrderStatus.PARTIALLY_FILLED})
    may_be_whole = order.status in {OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.ENDED}
    if may_be_whole and _is_whole(order):
        return _over(order, OrderStatus.FILLED, "fills: the whole quantity")  # rows 24, 29
    if quantity is not None and order.status is OrderStatus.ENDED:
        return _over(order, OrderStatus.CANCELLED, "over with a part filled")  # row 25
    return order


def _over(order: Order, status: OrderStatus, evidence: str) -> Order:
    return order.noted(evidence, status=status, known_by=KnownBy.INFERRED, trigger_waiting=False, **_NO_REQUESTS)


def _signed(current: Order, sign: Sign) -> tuple[Order, tuple[Change, ...]]:
    """Rows 19 to 25: what is learnt without the order being shown."""
    if current.is_done:
        return current, (Change.STALE,)
    if sign in _FLAGS:
        order = current.model_copy(update={_FLAGS[sign]: True})
        return order, (Change.FLAG,) if order != current else ()
    if sign is Sign.ACKNOWLEDGED:
        return current, ()
    if sign is Sign.REFUSED_TOO_LATE:
        order = current.model_copy(update=_NO_REQUESTS)
        return order, (Change.FLAG, Change.LOOK_UP)
    if sign is not Sign.GONE:
        return current, (Change.LOOK_UP,)
    order = by_numbers(_over(current, OrderStatus.ENDED, "not shown any more, and not among the open orders"))
    return order, (Change.STATUS, Change.ENDED)


def _changes(before: Order, seen: Order, after: Order) -> tuple[Change, ...]:
    found: list[Change] = []
    if after.status is not before.status:
        found.append(Change.STATUS)
    if (after.filled_quantity or ZERO) > (before.filled_quantity or ZERO):
        found.append(Change.FILL)
    if after.is_done and before.may_be_live:
        found.append(Change.ENDED)
    if before.is_done and after.may_be_live:
        found.append(Change.REOPENED)
    if after.replaced_by is not None and before.replaced_by is None:
        found.append(Change.REPLACED)
    if (after.cancel_requested, after.replace_requested) != (before.cancel_requested, before.replace_requested):
        found.append(Change.FLAG)
    # What contradicts a conclusion of ours is told by the change of the status, and asks for no further look.
    if any(not note.startswith(_UNDONE) for note in set(after.anomalies) - set(before.anomalies)):
        found.append(Change.ANOMALY)
        if before.is_done:
            found.append(Change.LOOK_UP)
    if not found and seen.status is not after.status:
        found.append(Change.STALE)
    return tuple(found)


def _said(order: Order) -> str:
    return f"said to be {order.raw_status or order.status}"

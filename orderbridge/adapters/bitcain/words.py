"""Bitcain's words for status, type, side, time in force and mode. None of the status words is documented."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from orderbridge.adapters.bitcain.wire import brief
from orderbridge.model.basics import KnownBy, OrderStatus, OrderType
from orderbridge.venue.rows import fold

# An enum of the server's own language that leaked its class: `OrderStatus.OPEN`, `TradeType.BUY`.
_CLASS_PREFIX: Final = re.compile(r"^(?:(?:order|trade|trading)_?(?:status|state|type|side|mode)|time_?in_?force)\.")

# Words whose status does not hang on the numbers.
STATUS_FROM_WIRE: Final[Mapping[str, OrderStatus]] = {
    **dict.fromkeys(
        (
            "pending",
            "created",
            "queued",
            "submitted",
            "received",
            "processing",
            "pending new",
            "pending submit",
            "new",
            "accepted",
            "untriggered",
        ),
        OrderStatus.ACCEPTED,
    ),
    **dict.fromkeys(
        ("partially filled", "partial", "partial fill", "partial filled", "partiallyfilled"),
        OrderStatus.PARTIALLY_FILLED,
    ),
    **dict.fromkeys(("filled", "executed", "completed", "complete", "fully filled"), OrderStatus.FILLED),
    **dict.fromkeys(
        ("cancelled", "canceled", "partially cancelled", "partially canceled"),
        OrderStatus.CANCELLED,
    ),
    **dict.fromkeys(("rejected", "denied", "risk rejected"), OrderStatus.REJECTED),
    **dict.fromkeys(("expired", "expired in match"), OrderStatus.EXPIRED),
    **dict.fromkeys(("failed", "error", "failure"), OrderStatus.FAILED),
}
# Open, or partially filled by the numbers.
WORKING_WORDS: Final = frozenset({"open", "active", "live", "working", "placed", "resting", "triggered"})
CANCEL_PENDING_WORDS: Final = frozenset({"pending cancel", "cancelling", "canceling", "cancel requested"})
# Over, and only the numbers can say how.
OVER_WORDS: Final = frozenset({"closed", "done"})

# Source: Bitcain, "Create Trading Order", body field `type`.
TYPE_FROM_WIRE: Final[Mapping[str, OrderType]] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop_loss": OrderType.STOP_LOSS,
    "take_profit": OrderType.TAKE_PROFIT,
    "stop_limit": OrderType.STOP_LIMIT,
    "trailing_stop": OrderType.TRAILING_STOP,
    "iceberg": OrderType.ICEBERG,
    "oco": OrderType.OCO,
}
# Source: Bitcain, "Create Trading Order", query parameter `trading_mode`: whether it is paper.
PAPER_FROM_WIRE: Final[Mapping[str, bool]] = {"paper": True, "live": False}


@dataclass(frozen=True, slots=True)
class StatusReading:
    """What a status word means beside the fill numbers; `doubts` are contradictions between the two."""

    status: OrderStatus
    known_by: KnownBy = KnownBy.REPORTED
    evidence: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    cancel_requested: bool = False
    trigger_waiting: bool = False


def bare(word: str) -> str:
    """A word as the tables have it, without an enum's class name."""
    return fold(_CLASS_PREFIX.sub("", word.strip().lower()))


def read_status(
    word: str, *, quantity: Decimal | None, filled: Decimal | None, cancel_sent: bool = False
) -> StatusReading:
    """
    What a status word means, given the sizes. Of an unknown word nothing is assumed: possibly live.

    Args:
        cancel_sent: we asked for a cancel of this order, so that `cancelled` is no surprise.
    """
    folded = bare(word)
    if folded in WORKING_WORDS or folded in CANCEL_PENDING_WORDS:
        working = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
        whole = filled is not None and quantity is not None and filled >= quantity
        at_odds = (f"status {brief(word)} while all is filled",) if whole else ()
        return StatusReading(working, doubts=at_odds, cancel_requested=folded in CANCEL_PENDING_WORDS)
    if folded in OVER_WORDS:
        return _read_end(word, quantity=quantity, filled=filled)
    status = STATUS_FROM_WIRE.get(folded, OrderStatus.UNKNOWN)
    doubts = _doubts(word, status, quantity=quantity, filled=filled)
    if status is OrderStatus.CANCELLED and cancel_sent:
        return StatusReading(status, evidence=("we asked for the cancel",), doubts=doubts)
    if status is OrderStatus.CANCELLED:
        # An update can set a status by hand, so the word alone is no act of the exchange.
        evidence = (f"the row says {brief(word)}; we did not ask for a cancel",)
        return StatusReading(status, KnownBy.INFERRED, evidence, doubts)
    return StatusReading(status, doubts=doubts, trigger_waiting=folded == "untriggered")


def _read_end(word: str, *, quantity: Decimal | None, filled: Decimal | None) -> StatusReading:
    if quantity is None or filled is None:
        return StatusReading(
            OrderStatus.UNKNOWN, doubts=(f"status {brief(word)} without sizes does not say how it ended",)
        )
    status = OrderStatus.FILLED if filled >= quantity else OrderStatus.CANCELLED
    evidence = (f"status {brief(word)} with {filled:f} of {quantity:f} filled",)
    return StatusReading(status, KnownBy.INFERRED, evidence)


def _doubts(word: str, status: OrderStatus, *, quantity: Decimal | None, filled: Decimal | None) -> tuple[str, ...]:
    if not word:
        return ("the row has no status",)
    if status is OrderStatus.UNKNOWN:
        return (f"status {brief(word)} is not known",)
    if filled is None:
        return ()
    short = quantity is not None and filled < quantity
    at_odds = {
        OrderStatus.ACCEPTED: filled > 0,
        OrderStatus.PARTIALLY_FILLED: not filled or (quantity is not None and not short),
        OrderStatus.FILLED: short,
        OrderStatus.REJECTED: filled > 0,
    }
    return (f"status {brief(word)} with {filled:f} filled",) if at_odds.get(status) else ()

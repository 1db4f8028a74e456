"""The closed vocabularies: enums whose values are their lower-case names, accepted in any case."""

from __future__ import annotations

from enum import StrEnum


class Word(StrEnum):
    """A lower-case word of a closed list; `Word("GTC")` and `Word("gtc")` are one."""

    def __repr__(self) -> str:
        return repr(self.value)

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        folded = value.strip().lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == folded), None)


class Side(Word):
    """Which way the base currency goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Word):
    """What kind of order it is. `unknown`: a word of the venue that we do not know, kept in `raw_type`."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    ICEBERG = "iceberg"
    OCO = "oco"
    UNKNOWN = "unknown"


class OrderStatus(Word):
    """
    Where an order stands. Only `accepted`, `open`, `partially_filled` and `unknown` may still trade.

    `ended` is over with the fills as given; whether it was complete is not known.
    """

    ACCEPTED = "accepted"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"
    ENDED = "ended"
    UNKNOWN = "unknown"

    @property
    def is_end(self) -> bool:
        """Whether this word, reported by a venue, means that nothing more will trade."""
        return self not in _WORKING


_WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN})


class KnownBy(Word):
    """Who says so: the venue (`reported`), other facts of the venue (`inferred`), our policy (`assumed`)."""

    REPORTED = "reported"
    INFERRED = "inferred"
    ASSUMED = "assumed"


class TimeInForce(Word):
    """How long an order works: until cancelled, at once or not, all or nothing, until a time."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTT = "gtt"


class Liquidity(Word):
    """Which side of a fill we were."""

    MAKER = "maker"
    TAKER = "taker"


class Idempotency(Word):
    """
    How far a venue keeps a client order id from making a second order.

    `forever`: unique without end. `while_active`: only until the first order ends. `tag_only`: stored, not
    promised unique. `none`: there is no client id.
    """

    FOREVER = "forever"
    WHILE_ACTIVE = "while_active"
    TAG_ONLY = "tag_only"
    NONE = "none"


class EditClass(Word):
    """What becomes of an order that is edited."""

    IN_PLACE = "in_place"
    REPLACE = "replace"
    REPLACE_EVEN_IF_FILLED = "replace_even_if_filled"
    NONE = "none"


class PlacementState(Word):
    """How far an act of placing has come. Only `denied`, `rejected` and `not_placed` free its key."""

    PREPARED = "prepared"
    DENIED = "denied"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    PLACED = "placed"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"

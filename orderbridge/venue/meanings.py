"""
The meaning of an answer, and the error that it stands for: one taxonomy, one table for a venue, two for the errors.

A venue states what its codes mean. What follows from a meaning is said here only: for reads, and for writes, of which
nothing but a clear answer in the venue's own form refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orderbridge import errors
from orderbridge.model.basics import Word
from orderbridge.model.results import Answer, Found

# Throttled, whatever else an answer says: it may be a proxy's.
_THROTTLED: Final = frozenset({420, 429})
# What a venue says only a moment after the fact: trades of a matched order are there within a second or so.
_NOT_READY_WAIT: Final = 0.5


class Meaning(Word):
    """
    The meaning of an answer for the request that got it.

    The first block proves that nothing was done: `not_admitted` for its nonce or time stamp, and `stale` for its token,
    before the request was looked at, so that it may go out again; `rule` by a rule of its markets, of which ours may be
    old; `bad_id` for one id of a list. `not_found` does not show the order, `absent` proves that there is none.
    `exists`: the client id is taken. `no_trades`: the order has none; `not_ready`: they cannot be read yet.

    The second block tells nothing of an order. `elsewhere`: the address is not this venue's; `hidden`: this server does
    not serve that list; `unexpected`: an answer that another try would get again; `garbled`: one that it might not;
    `unclear`: it may have been done.
    """

    NOT_ADMITTED = "not_admitted"
    STALE = "stale"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    REFUSED = "refused"
    INVALID = "invalid"
    RULE = "rule"
    FUNDS = "funds"
    CLOSED = "closed"
    TOO_MANY = "too_many"
    BAD_ID = "bad_id"
    NOT_FOUND = "not_found"
    ABSENT = "absent"
    NOT_ACTIVE = "not_active"
    EXISTS = "exists"
    NO_TRADES = "no_trades"
    NOT_READY = "not_ready"

    THROTTLED = "throttled"
    ELSEWHERE = "elsewhere"
    HIDDEN = "hidden"
    UNEXPECTED = "unexpected"
    GARBLED = "garbled"
    UNCLEAR = "unclear"


@dataclass(slots=True, kw_only=True)
class Said:
    """
    The answer of a venue to one request, with nothing in it that may not be shown.

    Attributes:
        ok: it was done, and `payload` is what it gave.
        key: how the venue's table is entered; empty where the answer has no form that is known.
        code: the venue's code for what went wrong. `text`: its words. `keys`: the names that were there instead.
        stamp: the credentials that it answers to.
        is_own: it is the venue's whatever its status, which at some venues is 500 for all that they refuse.
    """

    ok: bool = False
    payload: Any = None
    key: str = ""
    code: str | None = None
    text: str = ""
    keys: tuple[str, ...] = ()
    status: int = 0
    retry_after: float | None = None
    request_id: str | None = None
    body: str | None = None
    stamp: object = None
    is_own: bool = False

    @property
    def status_told(self) -> int:
        """The status, where it says something."""
        return 0 if self.is_own else self.status

    def facts(self, where: errors.Where) -> errors.VenueFacts:
        """The facts of an error about the answer."""
        return errors.VenueFacts(
            **where, code=self.code, http_status=self.status, request_id=self.request_id, body=self.body
        )


# By operation: of a read, a cancel, or a write.
Judge = Callable[[Said, str], Meaning]


def rows_of(*rows: tuple[Meaning, str]) -> dict[str, Meaning]:
    """
    Rows of codes, `(FUNDS, "0379 0601-0604")`, one by one.

    Raises:
        ValueError: a code stands twice.
    """
    table: dict[str, Meaning] = {}
    for meaning, codes in rows:
        for span in codes.split():
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last) + 1) if last.isdigit() and first.isdigit() else ()
            for code in [f"{number:0{len(first)}}" for number in numbers] or [span]:
                if code in table:
                    raise ValueError(f"{code} stands twice")
                table[code] = meaning
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """
    A venue's table, entered by `Said.key`: `reads`, and `columns` of their own for some operations, over `both`.

    Whatever is in none of them is unclear.
    """

    both: Mapping[str, Meaning] = field(default_factory=dict)
    reads: Mapping[str, Meaning] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Meaning]] = field(default_factory=dict)

    def __call__(self, said: Said, operation: str) -> Meaning:
        """The meaning of an answer to an operation."""
        return self.of(said.key, operation) if said.key else Meaning.GARBLED

    def of(self, key: str | None, operation: str = "") -> Meaning:
        """The meaning of a key to an operation, or to a read."""
        column = self.columns.get(operation, self.reads)
        return column.get(key or "", self.both.get(key or "", Meaning.UNCLEAR))


def judged(judge: Judge, said: Said, operation: str) -> Meaning:
    """The meaning of an answer that is no success, by its status where that outweighs what else it says."""
    return Meaning.THROTTLED if said.status in _THROTTLED else judge(said, operation)


class ListHidden(errors.UnexpectedResponse):
    """This server does not serve that list: another one is used instead."""


_ERRORS_OF_BOTH: Final[Mapping[Meaning, type[errors.VenueError]]] = {
    Meaning.NOT_ADMITTED: errors.NotAdmitted,
    Meaning.STALE: errors.AuthenticationFailed,
    Meaning.CREDENTIALS: errors.AuthenticationFailed,
    Meaning.PERMISSION: errors.PermissionDenied,
    Meaning.NOT_FOUND: errors.OrderNotFound,
    Meaning.ABSENT: errors.OrderNotFound,
    Meaning.NOT_ACTIVE: errors.OrderNotActive,
}
# The errors of reads, and of cancels, which may be repeated as reads are. What is not here is a VenueError.
READ_ERRORS: Final[Mapping[Meaning, type[errors.OrderBridgeError]]] = {
    **_ERRORS_OF_BOTH,
    Meaning.THROTTLED: errors.RateLimited,
    Meaning.ELSEWHERE: errors.ConfigurationError,
    Meaning.HIDDEN: ListHidden,
    Meaning.UNEXPECTED: errors.UnexpectedResponse,
    Meaning.GARBLED: errors.UnexpectedResponse,
    Meaning.UNCLEAR: errors.VenueUnavailable,
}
# An allow-list: whatever is not here leaves the outcome of a write unknown.
WRITE_ERRORS: Final[Mapping[Meaning, type[errors.VenueError]]] = {
    **_ERRORS_OF_BOTH,
    Meaning.REFUSED: errors.OrderRejected,
    Meaning.INVALID: errors.InvalidOrder,
    Meaning.RULE: errors.InvalidOrder,
    Meaning.FUNDS: errors.InsufficientFunds,
    Meaning.CLOSED: errors.MarketClosed,
    Meaning.TOO_MANY: errors.TooManyOpenOrders,
    Meaning.EXISTS: errors.DuplicateClientOrderId,
    Meaning.NO_TRADES: errors.OrderRejected,
    Meaning.NOT_READY: errors.OrderRejected,
}
# After these a request goes out once more, with newer credentials.
RENEWED: Final = frozenset({Meaning.NOT_ADMITTED, Meaning.STALE})
# What a venue says in its own code counts on a read, whatever status a proxy gave it.
_WHATEVER_THE_STATUS: Final = frozenset(
    {
        Meaning.NOT_ADMITTED,
        Meaning.STALE,
        Meaning.CREDENTIALS,
        Meaning.PERMISSION,
        Meaning.NOT_FOUND,
        Meaning.NOT_READY,
        Meaning.THROTTLED,
    }
)
# On a cancel these leave open whether it was done.
_TELLS_NOTHING: Final = frozenset({Meaning.THROTTLED, Meaning.UNEXPECTED, Meaning.GARBLED, Meaning.UNCLEAR})


def read_meaning(meaning: Meaning, status: int) -> Meaning:
    """The meaning of an answer to a read once its status is looked at: of a 5xx little counts."""
    return Meaning.UNCLEAR if status >= 500 and meaning not in _WHATEVER_THE_STATUS else meaning


def write_meaning(meaning: Meaning, status: int) -> Meaning:
    """The meaning of an answer to a write: with a 5xx it may be a proxy's, and refuses nothing."""
    return meaning if status < 500 or meaning is Meaning.THROTTLED else Meaning.UNCLEAR


def is_told(meaning: Meaning) -> bool:
    """True if an answer says that its request did nothing."""
    return meaning not in _TELLS_NOTHING


class TryAgain(Exception):
    """The answer to a read was no use, and another try may help, `after` so many seconds. `error` if none does."""

    def __init__(self, error: errors.OrderBridgeError, *, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def read_error(meaning: Meaning, said: Said, where: errors.Where) -> errors.OrderBridgeError | TryAgain:
    """The error for an answer to a read or a cancel; TryAgain where another try may help."""
    kind = READ_ERRORS.get(meaning, errors.VenueError)
    text = said.text if issubclass(kind, errors.VenueError) else f"HTTP {said.status}: {said.text}"
    if kind is errors.RateLimited:
        return TryAgain(
            errors.RateLimited(text, retry_after=said.retry_after, **said.facts(where)), after=said.retry_after
        )
    if kind is errors.VenueUnavailable:
        return TryAgain(errors.VenueUnavailable(text, **where), after=said.retry_after)
    if issubclass(kind, errors.UnexpectedResponse):
        unexpected = kind(text, keys=said.keys, body=said.body, **where)
        return TryAgain(unexpected, after=said.retry_after) if meaning is Meaning.GARBLED else unexpected
    if not issubclass(kind, errors.VenueError):
        return kind(text, **where)
    refusal = _refusal(kind, meaning, said, where)
    return TryAgain(refusal, after=_NOT_READY_WAIT) if meaning is Meaning.NOT_READY else refusal


def write_error(
    meaning: Meaning, said: Said, where: errors.Where, *, order_id: str | None, client_order_id: str | None
) -> errors.OrderBridgeError:
    """
    The error for a write that was refused, or of which the answer is not clear.

    Of a throttled one it is not either: whether it was looked at is documented nowhere.
    """
    kind = WRITE_ERRORS.get(meaning)
    if kind is errors.DuplicateClientOrderId:
        return errors.DuplicateClientOrderId(said.text, client_order_id=client_order_id, **said.facts(where))
    if kind is not None:
        return _refusal(kind, meaning, said, where)
    unclear = errors.OutcomeUnknown(
        f"sent, and no clear answer came: HTTP {said.status}: {said.text}",
        order_id=order_id,
        client_order_id=client_order_id,
        **where,
    )
    if meaning is Meaning.THROTTLED:
        unclear.__cause__ = errors.RateLimited(said.text, retry_after=said.retry_after, **said.facts(where))
    else:
        unclear.__cause__ = errors.VenueError(said.text, **said.facts(where))
    return unclear


def _refusal(kind: type[errors.VenueError], meaning: Meaning, said: Said, where: errors.Where) -> errors.VenueError:
    if meaning is Meaning.ABSENT:
        proof = Found(answers={where["gateway"] or "": Answer.NOT_SEEN}, proven_absent=True)
        return errors.OrderNotFound(said.text, found=proof, **said.facts(where))
    return kind(said.text, **said.facts(where))

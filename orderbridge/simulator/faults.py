"""
Misbehaviour by rule: which request is hit, and what happens to it.

kind              what the client sees
drop              the connection closes; the request was not acted upon
accept_then_drop  the request was acted upon, then the connection closes without an answer
error_5xx         an error answer (`status`, default 503); not acted upon
accept_then_5xx   acted upon, then the error answer (`status`, default 502)
cut               acted upon; the body ends after `share` of it (default 0.5)
html              acted upon; an HTML page instead of JSON (`status`, default 502)
empty             acted upon; an empty body (`status`, default 200)
nothing_said      acted upon; `{}` (`status`, default 200)
not_success       acted upon; `{"success": false, ...}` with `status`, default 200
delay             acted upon; the answer comes after `seconds` (default 1) of wall time
drip              acted upon; the answer comes in pieces of `piece` bytes, `seconds` apart (default 16, 0.05)
huge              acted upon; the answer padded with blanks to `size` bytes (default 30 MB)
throttle          refused as over the limit (Bitso 420, Bitcain 429 with `retry_after`); not acted upon
wrong_nonce       refused for its nonce (Bitso `0207`, Bitcain 401); not acted upon
late_visibility   acted upon; the new order is shown only after `seconds` (default 2) of simulated time
duplicate_rows    the list's first row comes twice
unknown_word      every row's status is `word` (default `pending_review`)
fill_first        cancel, edit, replace: the order fills whole just before the request is acted upon

Operations: Bitso place, lookup, open_orders, cancel, replace (v3), edit (v4), order_trades, user_trades, balance, fees,
books, catalogues, order_book, trades, ticker; Bitcain place, lookup, list (also as open_orders), history, cancel, edit,
retry, login, refresh.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Annotated

from pydantic import Field

from orderbridge.simulator.basics import MOST, Checked, Count, Seconds
from orderbridge.simulator.message import DROPPED, Delivery, Response

BEFORE = frozenset({"drop", "error_5xx", "throttle", "wrong_nonce"})
AFTER = frozenset(
    {"accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said", "not_success"}
    | {"delay", "drip", "huge"}
)
INSIDE = frozenset({"late_visibility", "duplicate_rows", "unknown_word", "fill_first"})
KINDS = BEFORE | AFTER | INSIDE

Share = Annotated[float, Field(ge=0, le=1)]
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class Fault(Checked):
    """
    One rule. It counts the requests of its operation and strikes at some of them.

    Attributes:
        operation: only this operation's requests; every request if None.
        nth: strike from the nth matching request on, counted from 1. `times` is then 1 unless given.
        times: strike so often at most.
        probability: strike with this chance, drawn from the simulator's seed.
    """

    kind: str
    operation: str | None = None
    nth: Annotated[int, Field(ge=1, le=MOST)] | None = None
    times: Count | None = None
    probability: Share | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    seconds: Seconds | None = None
    share: Share = 0.5
    piece: Annotated[int, Field(ge=1, le=MOST)] = 16
    size: Count = 30_000_000
    retry_after: Seconds | None = None
    word: str = "pending_review"
    seen: int = field(default=0, repr=False, init=False)
    struck: int = field(default=0, repr=False, init=False)

    def __post_init__(self) -> None:
        if self.nth is not None and self.times is None:
            self.times = 1

    def counts(self, operation: str) -> bool:
        """True for a request of the rule's operation, which is counted."""
        matches = self.operation is None or self.operation == operation
        self.seen += matches
        return matches

    def strikes(self, rng: Random) -> bool:
        """True if the request that was just counted is hit."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.nth is not None and self.seen < self.nth:
            return False
        if self.probability is not None and rng.random() >= self.probability:
            return False
        self.struck += 1
        return True


def spoil(response: Response, fault: Fault) -> Response:
    """Turn a good answer into what an `AFTER` fault leaves of it."""
    match fault.kind:
        case "accept_then_drop":
            return replace(response, delivery=DROPPED)
        case "cut":
            return replace(response, delivery=Delivery(cut=fault.share))
        case "html":
            return Response(fault.status or 502, _HTML, "text/html")
        case "empty":
            return replace(response, status=fault.status or 200, body=b"")
        case "nothing_said":
            return replace(response, status=fault.status or 200, body=b"{}")
        case "delay":
            return replace(response, delivery=Delivery(delay=1.0 if fault.seconds is None else fault.seconds))
        case "drip":
            return replace(response, delivery=Delivery(drip=fault.seconds or 0.05, piece=fault.piece))
        case "huge":
            return replace(response, body=response.body.ljust(fault.size))
        case _:
            raise ValueError(f"{fault.kind} does not spoil an answer")

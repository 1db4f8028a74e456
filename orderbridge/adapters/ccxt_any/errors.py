"""
What an exception of ccxt's means, by its class, by the exchange's own code, and by whether a request had left.

ccxt's exceptions carry a text only, and that text may hold a whole request. What is told from here on is cut and
searched for secrets, and no original is chained.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orderbridge.adapters.ccxt_any.meanings import (
    REFUSING,
    THROTTLE_STATUSES,
    Meaning,
    is_duplicate,
    is_passing,
    of_class,
)
from orderbridge.adapters.ccxt_any.wire import Call, Repeated, Sent, TooLate
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    VenueError,
    VenueFacts,
    Where,
)
from orderbridge.http.body import Unreadable, load, shown
from orderbridge.http.limits import LockedOut, NoPermit

_REFUSALS: Final[Mapping[Meaning, type[VenueError]]] = {
    Meaning.CREDENTIALS: AuthenticationFailed,
    Meaning.NOT_ADMITTED: AuthenticationFailed,
    Meaning.PERMISSION: PermissionDenied,
    Meaning.FUNDS: InsufficientFunds,
    Meaning.INVALID: InvalidOrder,
}
# What ccxt raises by itself for an order that it would not make a request of.
_DENIALS: Final = frozenset({"InvalidOrder", "BadRequest", "ArgumentsRequired", "NotSupported", "InsufficientFunds"})
_NOT_FOR_ROWS: Final = frozenset({"error", "errors", "warning", "warnings", "err", "details"})
_URL_QUERY: Final = re.compile(r"(\b[a-z]{2,5}://[^\s?\"']*)\?[^\s\"']*", re.IGNORECASE)
_SIGNED: Final = re.compile(
    r"\b((?:signature|sign|sig|api_?key|access_?key|secret|token|passphrase|nonce|recvwindow)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+",
    re.IGNORECASE,
)


class CcxtError(Exception):
    """What ccxt raised, by the name of its class and the text that is fit to be shown: a cause to look at."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call into ccxt that failed: the error, and every request that the call had made."""

    error: BaseException
    call: Call

    @property
    def last(self) -> Sent | None:
        """The request that counts: of a write the last that writes, else the last."""
        sent = self.call.writes or ([] if self.call.is_write else self.call.sent)
        return sent[-1] if sent else None

    @property
    def before(self) -> Sent | None:
        """The last request of all."""
        return self.call.sent[-1] if self.call.sent else None

    @property
    def may_have_left(self) -> bool:
        """Whether a request that counts may have left."""
        sent = self.call.writes if self.call.is_write else self.call.sent
        return any(each.left for each in sent)

    @property
    def cause(self) -> BaseException:
        """The error of the request itself, where ccxt tried to send it again and was kept from it."""
        last = self.last
        repeated = isinstance(self.error, Repeated) and last is not None and last.failed is not None
        return last.failed if repeated and last is not None and last.failed is not None else self.error


class Reader:
    """Reads failures at one exchange: its own codes before ccxt's classes, and no text but a redacted one."""

    def __init__(
        self,
        *,
        gateway: str,
        secrets: tuple[str, ...],
        refusals: Mapping[str, str],
        code_at: tuple[str, ...],
        order_rows_at: tuple[str, ...] | None = None,
    ) -> None:
        self.gateway = gateway
        self._secrets = secrets
        self._refusals = refusals
        self._code_at = code_at
        self._order_rows_at = order_rows_at

    def text(self, error: BaseException) -> str:
        """What an error says, fit to be shown: cut, without queries, signatures and secrets."""
        said = _SIGNED.sub(r"\1…", _URL_QUERY.sub(r"\1?…", str(error)))
        return shown(said.encode("utf-8", "replace"), self._secrets)

    def named(self, error: BaseException) -> str:
        """What an error was and says, fit to be shown. A time limit of ours is told in words, since it has no text."""
        if isinstance(error, (LockedOut, NoPermit, TooLate)):
            return str(error)
        if isinstance(error, TimeoutError) and not error.args:
            return "the time was over"
        said, name = self.text(error), type(error).__name__
        return f"{name}: {said}" if said else f"{name}, without a text"

    def stand_in(self, error: BaseException) -> CcxtError:
        """An error to chain in place of ccxt's own, whose text may hold a request."""
        return CcxtError(self.named(error))

    def code(self, sent: Sent | None) -> str:
        """The exchange's own code in an answer; empty where there is none that we know the place of."""
        return next(iter(self._codes(sent)), "")

    def _codes(self, sent: Sent | None) -> list[str]:
        """What stands at each place of a code; of a list the row that all its texts have, else they are joined."""
        codes = []
        for path in self._code_at:
            value = payload(sent)
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            texts = value if isinstance(value, list) else [value]
            if texts and all(isinstance(each, (str, int)) and str(each).strip() for each in texts):
                codes.append(self._one([str(each).strip().zfill(4) for each in texts]))
        return codes

    def _one(self, texts: list[str]) -> str:
        meanings = {self._refusals.get(text) for text in texts}
        return texts[0] if len(meanings) == 1 and None not in meanings else ", ".join(texts)

    def meaning(self, error: BaseException, sent: Sent | None, client_order_id: str | None = None) -> Meaning:
        """What an error means that came with this answer, which may repeat the client id that was sent."""
        status = sent.status if sent is not None else None
        if status in THROTTLE_STATUSES:
            return Meaning.THROTTLED
        words = sent.body if sent is not None else ""
        words = words.replace(client_order_id, "") if client_order_id else words
        rows = (self._refusals[code] for code in self._codes(sent) if code in self._refusals)
        known = next(map(Meaning, rows), None)
        if known is None:
            return of_class(error, words=words, status=status)
        if known in REFUSING and is_passing("", status):
            return Meaning.UNCLEAR
        return Meaning.EXISTS if known in REFUSING and is_duplicate(words) else known

    def facts(self, sent: Sent | None, operation: str) -> VenueFacts:
        """What an answer was, for the error that is made of it."""
        facts = VenueFacts(gateway=self.gateway, operation=operation)
        if sent is not None and sent.status is not None:
            facts["http_status"] = sent.status
            facts["code"] = self.code(sent) or None
            facts["body"] = shown(_SIGNED.sub(r"\1…", sent.body).encode("utf-8", "replace"), self._secrets)
            facts["request_id"] = sent.headers.get("x-request-id")
        return facts

    def of_write(self, failure: Failure, *, operation: str, client_order_id: str | None) -> OrderBridgeError:
        """
        The error for a write that failed. Only a whole, well-formed answer is a refusal.

        A refusal that comes with a 5xx is unclear all the same, since it may be a proxy's.
        """
        if not failure.may_have_left:
            return self._unsent(failure, operation)
        error, sent = failure.cause, failure.last
        text, facts = self.named(error), self.facts(sent, operation)
        meaning = self.meaning(error, sent, client_order_id)
        is_clear = sent is not None and sent.status is not None and sent.status < 500 and payload(sent) is not None
        is_clear = is_clear and _is_answer(error, sent)
        if is_clear and meaning in _REFUSALS:
            return _REFUSALS[meaning](text, **facts)
        if is_clear and meaning is Meaning.EXISTS and client_order_id:
            return DuplicateClientOrderId(text, client_order_id=client_order_id, **facts)
        unclear = OutcomeUnknown(
            f"sent, and no clear answer came: {text}",
            client_order_id=client_order_id,
            gateway=self.gateway,
            operation=operation,
        )
        throttled = meaning is Meaning.THROTTLED
        unclear.__cause__ = RateLimited(text, **facts) if throttled else self.stand_in(error)
        return unclear

    def _unsent(self, failure: Failure, operation: str) -> OrderBridgeError:
        """The order did not leave: by the lanes, by a request before it, or because ccxt would not build it."""
        error, before = failure.error, failure.before
        made: OrderBridgeError
        if isinstance(error, (LockedOut, NoPermit, TooLate, TimeoutError)):
            made = self._not_sent(error, operation)
        elif before is None:
            made = self.unbuilt(error, operation)
        elif before.failed is None:
            # Not by itself: ccxt that could not read an answer before the order says nothing about the order.
            is_denied = payload(before) is not None and bool(_class_names(error) & _DENIALS)
            made = self._denied(error, operation) if is_denied else self._not_sent(error, operation)
        else:
            made = self._unsent_after(error, before, operation)
        made.__cause__ = made.__cause__ or self.stand_in(error)
        return made

    def _unsent_after(self, error: BaseException, before: Sent, operation: str) -> OrderBridgeError:
        """The order did not leave, since a request before it failed."""
        meaning = self.meaning(error, before)
        is_told = before.status is not None and before.status < 500
        if is_told and meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION}:
            return _REFUSALS[meaning](self.named(error), **self.facts(before, operation))
        made = self._not_sent(error, operation)
        if before.status is not None and meaning is Meaning.THROTTLED:
            made.__cause__ = RateLimited(self.named(error), **self.facts(before, operation))
        return made

    def _not_sent(self, error: BaseException, operation: str) -> NotSent:
        return NotSent(f"nothing was sent: {self.named(error)}", gateway=self.gateway, operation=operation)

    def _denied(self, error: BaseException, operation: str) -> OrderDenied:
        text = f"ccxt refused the order: {self.named(error)}"
        return OrderDenied(text, rule="ccxt", gateway=self.gateway, operation=operation)

    def unbuilt(self, error: BaseException, operation: str) -> OrderBridgeError:
        """ccxt made no request at all of a call."""
        where = Where(gateway=self.gateway, operation=operation)
        text = self.named(error)
        names = _class_names(error)
        if names & {"AuthenticationError", "InvalidProxySettings", "ExchangeClosedByUser"}:
            return ConfigurationError(text, **where)
        if names & {"NotSupported", "ArgumentsRequired", "BadSymbol"}:
            return NotSupported(f"ccxt cannot ask for this: {text}", **where)
        if "NetworkError" in names or "OperationFailed" in names:
            return NotSent(f"nothing was sent: {text}", **where)
        return OrderDenied(f"ccxt could not make a request of this: {text}", rule="ccxt", **where)

    def of_answer(self, error: BaseException, sent: Sent | None, *, operation: str) -> VenueError | None:
        """The error for a read or a cancel that was answered with a clear refusal; None when it was not."""
        meaning, facts = self.meaning(error, sent), self.facts(sent, operation)
        text, status = self.named(error), (sent.status if sent is not None else None) or 500
        if meaning is Meaning.NOT_FOUND and payload(sent) is not None and status < 500:
            # Some exchanges say so by an empty list, of which ccxt makes this error afterwards: but also of no list.
            if _is_answer(error, sent) or is_list_answer(payload(sent), self._order_rows_at):
                return OrderNotFound(text, **facts)
            return None
        if not _is_answer(error, sent) or status >= 500:
            return None
        if meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION}:
            return _REFUSALS[meaning](text, **facts)
        if meaning is Meaning.THROTTLED or payload(sent) is None:
            return None
        if meaning is Meaning.UNCLEAR and is_passing(sent.body if sent is not None else "", status):
            return None
        names = _class_names(error)
        # ccxt's own class for what an exchange answers; OperationFailed says that it may pass.
        return VenueError(text, **facts) if "ExchangeError" in names and meaning is not Meaning.NOT_ADMITTED else None


def _class_names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _is_answer(error: BaseException, sent: Sent | None) -> bool:
    """
    Whether one of ccxt's errors is what the request was answered with.

    One that is raised after a good answer, or a bare KeyError, comes from code that could not read it.
    """
    return (
        "BaseError" in _class_names(error) and sent is not None and sent.status is not None and sent.failed is not None
    )


def is_list_answer(said: Any, rows_at: tuple[str, ...] | None) -> bool:
    """
    Whether an answer has a place for rows, be it empty: ccxt makes an empty list of an answer that has none.

    Args:
        rows_at: where the rows are (`()`: the answer is the list). None where that is not known: any list or mapping
            of rows will do, or an empty one that is not for errors.
    """
    if rows_at is None:
        return isinstance(said, list) or _has_place(said, 0)
    for name in rows_at:
        said = said.get(name) if isinstance(said, dict) else None
    return isinstance(said, (list, dict) if rows_at else list)


def _has_place(said: Any, depth: int) -> bool:
    if not isinstance(said, dict) or depth > 3:
        return False
    places = [value for name, value in said.items() if str(name).lower() not in _NOT_FOR_ROWS]
    return any(
        (isinstance(each, (list, dict)) and (not each or isinstance(each, list))) or _has_place(each, depth + 1)
        for each in places
    ) or (depth > 0 and bool(places) and all(isinstance(each, dict) for each in places))


def payload(sent: Sent | None) -> Any:
    """The JSON of an answer; None where it is none, or is no object or list."""
    if sent is None or not sent.body:
        return None
    try:
        loaded = load(sent.body.encode("utf-8", "replace"))
    except Unreadable:
        return None
    return loaded if isinstance(loaded, (dict, list)) else None

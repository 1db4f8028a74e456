"""
Bitcain's words: what is traded where, how orders are written and answers wrapped, and what clients may send.

An order has a canonical row, and disguises. Requests are validated for real: pydantic models with the documented types
and ranges, errors in the shapes of the framework that Bitcain seems to run on, `{"detail": text}` and the 422 list.
Bounds on quantity and price are not documented and hence not checked here. Unknown body fields are ignored.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, ValidationError, ValidationInfo
from pydantic_core import PydanticKnownError

from orderbridge.simulator.basics import PLACES, plain, ratio
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder, State
from orderbridge.simulator.message import Request, Response, json_response
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import SimRefusal

M = TypeVar("M", bound=BaseModel)
Row = dict[str, Any]

EXCHANGES = ("binanceus", "binance", "coinbase", "kraken")

# Symbol: reference price, tick, step of the amount.
_SYMBOLS = {
    "BTC/USDT": ("65000", "0.01", "0.00000001"),
    "ETH/USDT": ("2300", "0.01", "0.00000001"),
    "SOL/USDT": ("150", "0.01", "0.00001"),
    "XRP/USDT": ("0.62", "0.0001", "0.1"),
    "BTC/USD": ("65000", "0.01", "0.00000001"),
    "ETH/BTC": ("0.035", "0.00001", "0.0001"),
}
CURRENCIES = sorted({each for symbol in _SYMBOLS for each in symbol.split("/")})
_PLACES = {"USDT": 2, "USD": 2, "BTC": 8}


def name_of(exchange: str, symbol: str) -> str:
    """The engine's name of a market: every exchange has books of its own."""
    return f"{exchange}:{symbol}"


def _instrument(exchange: str, symbol: str) -> Instrument:
    base, quote = symbol.split("/")
    reference, tick, step = _SYMBOLS[symbol]
    return Instrument(
        name=name_of(exchange, symbol),
        base=base,
        quote=quote,
        reference=Decimal(reference),
        tick=Decimal(tick),
        step=Decimal(step),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        depth=Decimal("0.1") if quote == "BTC" else Decimal("5000"),
        quote_places=_PLACES[quote],
    )


MARKETS = {
    market.name: market for exchange in EXCHANGES for market in (_instrument(exchange, each) for each in _SYMBOLS)
}

STATUSES: Final = [
    "pending",
    "open",
    "partially_filled",
    "filled",
    "cancelled",
    "expired",
    "rejected",
    "failed",
]
FINAL: Final = frozenset({State.FILLED, State.CANCELLED, State.EXPIRED, State.REJECTED, State.FAILED})
UNKNOWN_WORD: Final = "pending_review"

_VARIANTS: Final = {
    "id": "order_id",
    "client_order_id": "client_oid",
    "exchange_order_id": "external_order_id",
    "symbol": "trading_pair",
    "side": "trade_type",
    "type": "order_type",
    "status": "order_status",
    "quantity": "original_quantity",
    "filled_quantity": "executed_quantity",
    "remaining_quantity": "leaves_qty",
    "price": "limit_price",
    "stop_price": "trigger_price",
    "average_fill_price": "avg_price",
    "fee": "commission",
    "fee_currency": "commission_asset",
    "time_in_force": "tif",
    "expires_at": "expire_time",
    "trading_mode": "mode",
    "source": "order_source",
    "error_message": "reject_reason",
    "retry_count": "retries",
    "created_at": "submitted_at",
    "updated_at": "last_updated",
}


def order_row(order: SimOrder, market: Instrument, settings: BitcainSettings) -> Row:
    """
    The order in the names, decimals, times and spelling that the settings ask for, with `raw` laid over it.
    """
    row = _canonical(order, market, settings)
    if not settings.show_mode:
        del row["trading_mode"]
    if settings.names == "variants":
        row = {_VARIANTS.get(name, name): value for name, value in row.items()}
    elif settings.names == "camel":
        row = {camel(name): value for name, value in row.items()}
    return order.laid_over(row)


def status_field(settings: BitcainSettings) -> str:
    """The name of the status field by the switch `names`."""
    return "order_status" if settings.names == "variants" else "status"


def _canonical(order: SimOrder, market: Instrument, settings: BitcainSettings) -> Row:
    facts = order.facts
    places = market.quote_places
    average = ratio(order.filled_quote, order.filled, PLACES) if order.filled else None

    def amount(value: Decimal | None, least: int) -> Any:
        return None if value is None else _number(value, least, settings)

    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "exchange_order_id": facts.get("exchange_order_id"),
        "portfolio_id": facts.get("portfolio_id"),
        "exchange": order.market.partition(":")[0],
        "trading_mode": facts["trading_mode"],
        "symbol": order.symbol,
        "side": order.side,
        "type": facts["type"],
        "status": spelled(status_of(order), settings),
        "quantity": amount(order.quantity, PLACES),
        "filled_quantity": amount(order.filled, PLACES),
        "remaining_quantity": amount(order.remaining, PLACES),
        "price": amount(order.price, places),
        "stop_price": amount(order.stop_price, places),
        "average_fill_price": amount(average, places),
        "fee": amount(order.fee, 0),
        "fee_currency": order.fills[0].fee_currency if order.fills else None,
        "time_in_force": order.time_in_force,
        "expires_at": when(order.expires_at, settings),
        "reduce_only": facts.get("reduce_only", False),
        "post_only": order.post_only,
        "source": facts.get("source", "manual"),
        "agent_id": facts.get("agent_id"),
        "error_message": order.reason,
        "retry_count": facts.get("retry_count", 0),
        "created_at": when(order.created_at, settings),
        "updated_at": when(order.updated_at or order.created_at, settings),
    }


def status_of(order: SimOrder) -> str:
    """The canonical status word."""
    if order.state is State.WAITING:
        return "pending"
    if order.state is State.OPEN:
        if order.filled:
            return "partially_filled"
        return "pending" if order.facts.get("queued") else "open"
    return order.state.value


def spelled(word: str, settings: BitcainSettings) -> str:
    """The word as the switch `status_spelling` has it."""
    match settings.status_spelling:
        case "canceled":
            return word.replace("cancelled", "canceled")
        case "upper":
            return word.upper()
        case "dotted":
            return f"OrderStatus.{word.upper()}"
        case "unknown":
            return UNKNOWN_WORD
    return word


def _number(value: Decimal, least: int, settings: BitcainSettings) -> str | Decimal:
    text = plain(value, least)
    return text if settings.decimals == "strings" else Decimal(text)


def when(moment: datetime | None, settings: BitcainSettings) -> str | None:
    """A time in the format that the settings ask for."""
    if moment is None:
        return None
    text = moment.isoformat(timespec="seconds" if settings.times == "no_fraction" else "microseconds")
    match settings.times:
        case "offset":
            return text
        case "naive":
            return text[:-6]
    return text[:-6] + "Z"


def camel(name: str) -> str:
    """snake_case to camelCase."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def single(row: Row, message: str, settings: BitcainSettings) -> Row:
    """One order."""
    match settings.envelope:
        case "bare":
            return row
        case "data":
            return {"data": row}
        case "success_data":
            return {"success": True, "data": {"order": row}}
    return {"success": True, "order": row, "message": message}


def many(rows: list[Row], paging: Row, settings: BitcainSettings) -> Row:
    """A list; `paging` are the fields beside it, which a bare envelope does without."""
    match settings.envelope:
        case "bare":
            return {"orders": rows}
        case "data":
            return {"data": rows, **paging}
        case "success_data":
            return {"success": True, "data": {"orders": rows, **paging}}
        case "items":
            return {"items": rows, **paging}
    return {"success": True, "orders": rows, **paging}


BEARER = {"www-authenticate": "Bearer"}


class BitcainRefusal(SimRefusal):
    """The request is refused with this status and detail."""

    def __init__(self, status: int, detail: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return json_response(self.status, {"detail": self.detail}, self.headers)


def invalid(*faults: Row) -> BitcainRefusal:
    """A 422 with one entry for each fault."""
    return BitcainRefusal(422, list(faults))


def _one_of(words: Iterable[str], given: Any) -> str:
    """The word, or the 422 entry for one outside its enum, which lists the whole vocabulary."""
    words = list(words)
    if isinstance(given, str) and given in words:
        return given
    quoted = [f"'{word}'" for word in words]
    expected = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    raise PydanticKnownError("enum", {"expected": expected})


def _enum(*words: str) -> PlainValidator:
    return PlainValidator(lambda given: _one_of(words, given))


def _status(given: str, info: ValidationInfo) -> str:
    """A status to look for; the context holds the words there are, if the switch has them checked."""
    return _one_of(info.context, given) if info.context else given


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last moment that there is
        return moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_as_utc)]
StatusWord = Annotated[str, AfterValidator(_status)]
TradeSide = Annotated[str, _enum("buy", "sell")]
TradeType = Annotated[
    str,
    _enum("market", "limit", "stop_loss", "take_profit", "stop_limit", "trailing_stop", "iceberg", "oco"),
]
Duration = Annotated[str, _enum("gtc", "ioc", "fok", "gtt")]
Source = Annotated[str, _enum("manual", "agent", "strategy")]


class ListQuery(BaseModel):
    """`GET /api/v1/orders`."""

    portfolio_id: UUID | None = None
    order_status: StatusWord | None = None
    symbol: str | None = None
    start_date: Moment | None = None
    end_date: Moment | None = None
    limit: int = Field(50, ge=1, le=200)
    offset: int = Field(0, ge=0)
    cursor: str | None = None


class HistoryQuery(BaseModel):
    """`GET /api/v1/orders/history`."""

    start_date: Moment | None = None
    end_date: Moment | None = None
    order_status: StatusWord | None = None
    limit: int = Field(100, ge=1, le=500)


class CreateQuery(BaseModel):
    """`POST /api/v1/orders`, the query. The default mode is live money, as documented."""

    trading_mode: str = "live"
    exchange: str = "binanceus"
    source: str = "manual"
    agent_id: UUID | None = None


class CreateBody(BaseModel):
    """`POST /api/v1/orders`, the body."""

    symbol: str = Field(max_length=20)
    side: TradeSide
    type: TradeType
    quantity: Decimal
    price: Decimal | None = None
    portfolio_id: UUID | None = None
    stop_price: Decimal | None = None
    time_in_force: Duration = "gtc"
    expires_at: Moment | None = None
    reduce_only: bool = False
    post_only: bool = False
    client_order_id: str | None = None
    source: Source = "manual"
    agent_id: UUID | None = None


class UpdateBody(BaseModel):
    """`PATCH /api/v1/orders/{order_id}`: everything is optional."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: Duration | None = None
    expires_at: Moment | None = None
    status: str | None = None


class OrderPath(BaseModel):
    """The path of the operations on one order."""

    order_id: UUID


NOTHING = object()


def read_body(request: Request) -> Any:
    """
    The body as the framework reads it before anything else is looked at.

    Raises:
        BitcainRefusal: 422 `json_invalid`, or 400 for bytes that are no text.
    """
    if not request.body:
        return NOTHING
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return request.body.decode("utf-8", "replace")
    try:
        return json.loads(request.body)
    except json.JSONDecodeError as e:
        fault = {"type": "json_invalid", "loc": ["body", e.pos], "msg": "JSON decode error", "input": {}}
        raise invalid(fault | {"ctx": {"error": e.msg}}) from e
    except (ValueError, RecursionError) as e:
        raise BitcainRefusal(400, "There was an error parsing the body") from e


def checked(model: type[M], value: Any, where: str, faults: list[Row], *, context: Any = None) -> M | None:
    """The model made of `value`; None, with the faults added to the list, if there are any."""
    if value is NOTHING:
        faults.append({"type": "missing", "loc": [where], "msg": "Field required", "input": None})
        return None
    try:
        return model.model_validate(value, from_attributes=True, context=context)
    except ValidationError as e:
        faults += [_fault(error, where) for error in e.errors(include_url=False)]
        return None


def _fault(error: Any, where: str) -> Row:
    found = {
        "type": error["type"],
        "loc": [where, *error["loc"]],
        "msg": error["msg"],
        "input": error["input"],
    }
    if error.get("ctx"):
        found["ctx"] = {
            name: value if isinstance(value, int | float) else str(value) for name, value in error["ctx"].items()
        }
    return found

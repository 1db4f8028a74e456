"""
Real validation of what clients send: pydantic models with the documented types and ranges, errors in
FastAPI's shape.

Bounds on quantity and price are not documented and hence not checked here. Unknown body fields are ignored.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from orderbridge.simulator.bitcain.errors import BitcainRefusal, invalid
from orderbridge.simulator.message import Request

M = TypeVar("M", bound=BaseModel)


class Side(StrEnum):
    """The docs call it "Trade type"."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """The eight documented types."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    ICEBERG = "iceberg"
    OCO = "oco"


class TimeInForce(StrEnum):
    """The four documented times in force."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTT = "gtt"


class Source(StrEnum):
    """Who placed the order."""

    MANUAL = "manual"
    AGENT = "agent"
    STRATEGY = "strategy"


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last moment that there is
        return moment.replace(tzinfo=UTC)


def _email(text: str) -> str:
    name, at, host = text.partition("@")
    if not (name and at and "." in host.strip(".")) or " " in text:
        reason = "An email address must have an @-sign." if not at else "The email address is not valid."
        raise PydanticCustomError("value_error", "value is not a valid email address: {reason}", {"reason": reason})
    return text


Moment = Annotated[datetime, AfterValidator(_as_utc)]
Email = Annotated[str, AfterValidator(_email)]


class ListQuery(BaseModel):
    """`GET /api/v1/orders`."""

    portfolio_id: UUID | None = None
    order_status: str | None = None
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
    order_status: str | None = None
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
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    portfolio_id: UUID | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: Moment | None = None
    reduce_only: bool = False
    post_only: bool = False
    client_order_id: str | None = None
    source: Source = Source.MANUAL
    agent_id: UUID | None = None


class UpdateBody(BaseModel):
    """`PATCH /api/v1/orders/{order_id}`: everything is optional."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    expires_at: Moment | None = None
    status: str | None = None


class OrderPath(BaseModel):
    """The path of the operations on one order."""

    order_id: UUID


class LoginBody(BaseModel):
    """`POST /auth/login`."""

    email: Email
    password: str


class SignupBody(BaseModel):
    """`POST /auth/signup`."""

    email: Email
    password: str = Field(min_length=8)


class RefreshBody(BaseModel):
    """`POST /auth/refresh`."""

    refresh_token: str


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


def checked(model: type[M], value: Any, where: str, faults: list[dict[str, Any]]) -> M | None:
    """The model made of `value`; None, with the faults added to the list, if there are any."""
    if value is NOTHING:
        faults.append({"type": "missing", "loc": [where], "msg": "Field required", "input": None})
        return None
    try:
        return model.model_validate(value, from_attributes=True)
    except ValidationError as e:
        faults += [_fault(error, where) for error in e.errors(include_url=False)]
        return None


def _fault(error: Any, where: str) -> dict[str, Any]:
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

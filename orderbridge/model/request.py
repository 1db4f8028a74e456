"""What a user asks for: a new order, a change of one, and which order is meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from orderbridge.model.amount import Amount, PositiveAmount
from orderbridge.model.base import Moment, UserModel
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from typing import Self, Unpack

    from typing_extensions import TypedDict

    class Extras(TypedDict, total=False):
        """What every kind of order may carry."""

        reduce_only: bool
        client_order_id: str | None
        options: Mapping[str, str]

    class Resting(Extras, total=False):
        """What an order with a limit price may carry."""

        time_in_force: TimeInForce | str
        expires_at: datetime | None
        post_only: bool


AmountLike = Decimal | str | int

_NEEDS_PRICE: Final = {OrderType.LIMIT, OrderType.STOP_LIMIT}
_TAKES_NO_PRICE: Final = {OrderType.MARKET, OrderType.STOP_LOSS}
_NEEDS_STOP: Final = {OrderType.STOP_LOSS, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT}
_TAKES_NO_STOP: Final = {OrderType.MARKET, OrderType.LIMIT}
_TRADES_AT_MARKET: Final = {OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT}
_TAKES_SLIPPAGE: Final = {OrderType.MARKET, OrderType.STOP_LOSS}


def _percent(number: Decimal) -> Decimal:
    if not 0 <= number <= 100:
        raise ValueError("a slippage tolerance is a percentage from 0 to 100; 0.5 means 0.5 %")
    return number


def _known_type(kind: OrderType) -> OrderType:
    if kind is OrderType.UNKNOWN:
        raise ValueError("an order of unknown type cannot be placed")
    return kind


class OrderRequest(UserModel):
    """
    An order to be placed. Takes str, int and Decimal for amounts, words in any case; refuses floats.

    Attributes:
        quantity: base units; quote_quantity: quote units instead, for orders that trade at market.
        price, stop_price: quote per base.
        expires_at: with `gtt` only.
        slippage_tolerance: percent, for market and stop-loss orders.
        options: a venue's extras by documented name (Bitcain: portfolio_id, source, agent_id, exchange).

    Raises:
        OrderDenied, which is a ValueError: a value or a combination that means nothing; the message says why.
    """

    symbol: Symbol
    side: Side
    type: Annotated[OrderType, AfterValidator(_known_type)]
    quantity: PositiveAmount | None = None
    quote_quantity: PositiveAmount | None = None
    price: PositiveAmount | None = None
    stop_price: PositiveAmount | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: Moment | None = None
    post_only: bool = False
    reduce_only: bool = False
    client_order_id: Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\s\pC]+$")] | None = None
    slippage_tolerance: Annotated[Amount, AfterValidator(_percent)] | None = None
    options: Mapping[str, str] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            symbol: str,
            side: Side | str,
            type: OrderType | str,
            quantity: AmountLike | None = None,
            quote_quantity: AmountLike | None = None,
            price: AmountLike | None = None,
            stop_price: AmountLike | None = None,
            time_in_force: TimeInForce | str = TimeInForce.GTC,
            expires_at: datetime | None = None,
            post_only: bool = False,
            reduce_only: bool = False,
            client_order_id: str | None = None,
            slippage_tolerance: AmountLike | None = None,
            options: Mapping[str, str] = ...,
        ) -> None: ...

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if (self.quantity is None) == (self.quote_quantity is None):
            raise ValueError("give quantity (base units) or quote_quantity (quote units), and not both")
        if self.quote_quantity is not None and (self.type not in _TRADES_AT_MARKET or self.price is not None):
            raise ValueError(f"a {self.type} order is sized in base: give quantity, not quote_quantity")
        return self

    @model_validator(mode="after")
    def _check_prices(self) -> Self:
        if self.type in _NEEDS_PRICE and self.price is None:
            raise ValueError(f"a {self.type} order needs a price")
        if self.type in _TAKES_NO_PRICE and self.price is not None:
            other = "limit" if self.type is OrderType.MARKET else "stop_limit"
            raise ValueError(f"a {self.type} order trades at the market's price; with a price it is a {other}")
        if self.type in _NEEDS_STOP and self.stop_price is None:
            raise ValueError(f"a {self.type} order needs a stop_price")
        if self.type in _TAKES_NO_STOP and self.stop_price is not None:
            other = "stop_loss" if self.type is OrderType.MARKET else "stop_limit"
            raise ValueError(f"a {self.type} order has no stop_price; with one it is a {other}")
        if self.slippage_tolerance is not None and self.type not in _TAKES_SLIPPAGE:
            raise ValueError("slippage_tolerance is for market and stop_loss orders; a price bounds the others")
        return self

    @model_validator(mode="after")
    def _check_life(self) -> Self:
        at_market = self.type in _TRADES_AT_MARKET and self.price is None
        if (self.time_in_force is TimeInForce.GTT) != (self.expires_at is not None):
            raise ValueError("time_in_force gtt needs expires_at, and expires_at needs gtt")
        if self.time_in_force is TimeInForce.GTT and self.type is OrderType.MARKET:
            raise ValueError("a market order trades at once: it cannot expire at a time")
        if self.post_only and at_market:
            raise ValueError(f"a {self.type} order takes from the book: it cannot be post_only")
        if self.post_only and self.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
            raise ValueError(f"post_only never trades at once, {self.time_in_force} does nothing else")
        return self

    @classmethod
    def limit(
        cls,
        *,
        symbol: str,
        side: Side | str,
        quantity: AmountLike,
        price: AmountLike,
        **more: Unpack[Resting],
    ) -> OrderRequest:
        """Buy or sell `quantity` (base) at `price` (quote per base) or better."""
        return cls(symbol=symbol, side=side, type=OrderType.LIMIT, quantity=quantity, price=price, **more)

    @classmethod
    def market(
        cls,
        *,
        symbol: str,
        side: Side | str,
        quantity: AmountLike | None = None,
        quote_quantity: AmountLike | None = None,
        slippage_tolerance: AmountLike | None = None,
        **more: Unpack[Extras],
    ) -> OrderRequest:
        """Trade at once at the book's prices: `quantity` in base or `quote_quantity` in quote."""
        return cls(
            symbol=symbol,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
            quote_quantity=quote_quantity,
            slippage_tolerance=slippage_tolerance,
            **more,
        )

    @classmethod
    def stop_loss(
        cls,
        *,
        symbol: str,
        side: Side | str,
        stop_price: AmountLike,
        quantity: AmountLike | None = None,
        quote_quantity: AmountLike | None = None,
        slippage_tolerance: AmountLike | None = None,
        **more: Unpack[Extras],
    ) -> OrderRequest:
        """Trade at market once the price reaches `stop_price`."""
        return cls(
            symbol=symbol,
            side=side,
            type=OrderType.STOP_LOSS,
            stop_price=stop_price,
            quantity=quantity,
            quote_quantity=quote_quantity,
            slippage_tolerance=slippage_tolerance,
            **more,
        )

    @classmethod
    def stop_limit(
        cls,
        *,
        symbol: str,
        side: Side | str,
        quantity: AmountLike,
        price: AmountLike,
        stop_price: AmountLike,
        **more: Unpack[Resting],
    ) -> OrderRequest:
        """Become a limit order at `price` once the market reaches `stop_price`."""
        return cls(
            symbol=symbol,
            side=side,
            type=OrderType.STOP_LIMIT,
            quantity=quantity,
            price=price,
            stop_price=stop_price,
            **more,
        )

    @classmethod
    def take_profit(
        cls,
        *,
        symbol: str,
        side: Side | str,
        quantity: AmountLike,
        stop_price: AmountLike,
        price: AmountLike | None = None,
        **more: Unpack[Resting],
    ) -> OrderRequest:
        """Close with a gain once the price reaches `stop_price`: at market, or at `price` if given."""
        return cls(
            symbol=symbol,
            side=side,
            type=OrderType.TAKE_PROFIT,
            quantity=quantity,
            stop_price=stop_price,
            price=price,
            **more,
        )


class OrderEdit(UserModel):
    """
    A change of a working order; what is None stays. `quantity` is the new TOTAL in base, not the rest.

    Raises:
        OrderDenied, which is a ValueError: nothing to change, or an amount that is not positive.
    """

    quantity: PositiveAmount | None = None
    price: PositiveAmount | None = None
    stop_price: PositiveAmount | None = None
    time_in_force: TimeInForce | None = None
    expires_at: Moment | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            quantity: AmountLike | None = None,
            price: AmountLike | None = None,
            stop_price: AmountLike | None = None,
            time_in_force: TimeInForce | str | None = None,
            expires_at: datetime | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if all(value is None for value in self.__dict__.values()):
            raise ValueError("an edit changes at least one of quantity, price, stop_price, time_in_force, expires_at")
        return self

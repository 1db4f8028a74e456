"""Requests: a new order, a change of one; and the rules of the market that it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from orderbridge.errors import ConfigurationError, OrderDenied
from orderbridge.model.basics import (
    EXACT,
    ZERO,
    Amount,
    Moment,
    OrderType,
    PositiveAmount,
    Side,
    Symbol,
    TimeInForce,
    UserModel,
    VenueModel,
    multiply,
    parse_amount,
    plain,
)

if TYPE_CHECKING:
    from typing import Self, Unpack

    from typing_extensions import TypedDict

    class Extras(TypedDict, total=False):
        """The options that every kind of order may carry."""

        reduce_only: bool
        client_order_id: str | None
        options: Mapping[str, JsonValue]

    class Resting(Extras, total=False):
        """The options that an order with a limit price may carry."""

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
        options: a venue's extras by documented name (Bitcain: portfolio_id, source, agent_id, exchange): texts, and
            whatever JSON has at a gateway with `any_options`.

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
    options: Mapping[str, JsonValue] = Field(default_factory=dict)

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
            options: Mapping[str, JsonValue] = ...,
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


class BrokenRule(VenueModel):
    """A rule of the market that a request breaks, with the nearest values that would keep it."""

    rule: str
    message: str
    nearest: tuple[Amount, ...] = ()

    def __str__(self) -> str:
        return self.message


class Market(VenueModel):
    """
    The rules of one market. Prices are quote per base, quantities base, values quote; None: no rule known.

    `maker_fee` and `taker_fee` are fractions: 0.0065 is 0.65 %. Where `price_digits` are counted, a price has no more
    significant ones, unless it is whole and `any_whole_price` is so.
    """

    symbol: Symbol
    price_tick: Amount | None = None
    price_digits: int | None = None
    any_whole_price: bool = False
    quantity_step: Amount | None = None
    min_quantity: Amount | None = None
    max_quantity: Amount | None = None
    min_price: Amount | None = None
    max_price: Amount | None = None
    min_value: Amount | None = None
    max_value: Amount | None = None
    maker_fee: Amount | None = None
    taker_fee: Amount | None = None

    def tick_at(self, price: Decimal | None) -> Decimal | None:
        """What a price there is a multiple of: the tick, or where digits are counted the place of the last of them."""
        if self.price_digits is None or not price:
            return self.price_tick
        place = Decimal((0, (1,), price.adjusted() + 1 - self.price_digits))
        place = min(place, Decimal(1)) if self.any_whole_price else place
        return max(place, self.price_tick or place)

    def round_price(self, price: AmountLike, side: Side | str) -> Decimal:
        """
        The nearest legal price that is no worse for the trader: buys go down, sells go up.

        Raises:
            OrderDenied: there is none, as that would be 0.
        """
        try:
            down = Side(side) is Side.BUY
        except ValueError as error:
            raise ConfigurationError(f"a side is buy or sell: {error}") from error
        asked = _amount(price)
        rounded = _to_step(asked, self.tick_at(asked), ROUND_FLOOR if down else ROUND_CEILING)
        if rounded <= ZERO:
            lowest = f"; the lowest price there is: {plain(self.price_tick)}" if self.price_tick else ""
            raise OrderDenied(f"price {price} rounds to no price for a {Side(side)}{lowest}", rule="price_tick")
        return rounded

    def round_quantity(self, quantity: AmountLike) -> Decimal:
        """The largest legal quantity that is not above `quantity`; 0 below one step, which is no size of an order."""
        return _to_step(_amount(quantity), self.quantity_step, ROUND_FLOOR)

    def check(self, request: OrderRequest) -> list[BrokenRule]:
        """Every rule of this market that the request breaks; an empty list when it may be sent."""
        if not isinstance(request, OrderRequest):
            raise ConfigurationError(f"check takes an OrderRequest, not a {type(request).__name__}")
        return self.check_amounts(
            quantity=request.quantity,
            quote_quantity=request.quote_quantity,
            price=request.price,
            stop_price=request.stop_price,
        )

    def check_amounts(
        self,
        *,
        quantity: Decimal | None = None,
        quote_quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> list[BrokenRule]:
        """Every rule that the amounts of an order break, new or changed; None is not checked."""
        value = quote_quantity
        if value is None and price is not None and quantity is not None:
            value = multiply(price, quantity)
        # At market, sized in base, the value is known only once it has traded.
        return [
            *_off_step("price_tick", "price", price, self.tick_at(price)),
            *_off_step("price_tick", "stop_price", stop_price, self.tick_at(stop_price)),
            *_off_step("quantity_step", "quantity", quantity, self.quantity_step),
            *_out_of("price", price, self.min_price, self.max_price),
            *_out_of("quantity", quantity, self.min_quantity, self.max_quantity),
            *_out_of("value", value, self.min_value, self.max_value),
        ]


def _amount(value: AmountLike) -> Decimal:
    try:
        return parse_amount(value)
    except ValueError as error:
        raise OrderDenied(str(error)) from error


def _to_step(number: Decimal, step: Decimal | None, rounding: str) -> Decimal:
    if step is None or not step:
        return number
    # Scaled to integers first: a quotient of decimals may be endless, a quotient of integers is exact.
    places = -min(_exponent(number), _exponent(step), 0)
    whole, unit = int(EXACT.scaleb(number, places)), int(EXACT.scaleb(step, places))
    steps = whole // unit if rounding is ROUND_FLOOR else -(-whole // unit)
    return multiply(Decimal(steps), step)


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is no amount")
    return exponent


def _off_step(rule: str, field: str, number: Decimal | None, step: Decimal | None) -> list[BrokenRule]:
    if number is None or step is None or not step or not EXACT.remainder(number, step):
        return []
    below, above = _to_step(number, step, ROUND_FLOOR), _to_step(number, step, ROUND_CEILING)
    nearest = (below, above) if below else (above,)  # zero is a multiple of every step, and no amount to order
    values = " and ".join(map(plain, nearest))
    message = (
        f"{field} {plain(number)} is no multiple of {plain(step)}; the nearest {'are' if below else 'is'} {values}"
    )
    return [BrokenRule(rule=rule, message=message, nearest=nearest)]


def _out_of(field: str, number: Decimal | None, low: Decimal | None, high: Decimal | None) -> list[BrokenRule]:
    if number is None:
        return []
    if low is not None and number < low:
        message = f"{field} {plain(number)} is below the minimum of {plain(low)}"
        return [BrokenRule(rule=f"min_{field}", message=message, nearest=(low,))]
    if high is not None and number > high:
        message = f"{field} {plain(number)} is above the maximum of {plain(high)}"
        return [BrokenRule(rule=f"max_{field}", message=message, nearest=(high,))]
    return []

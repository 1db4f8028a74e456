"""What a venue allows in one market, and how a request is held against it."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from orderbridge.errors import ConfigurationError, OrderDenied
from orderbridge.model.amount import EXACT, Amount, multiply, parse_amount, plain
from orderbridge.model.base import VenueModel
from orderbridge.model.request import AmountLike, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import Side


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

    `maker_fee` and `taker_fee` are fractions: 0.0065 is 0.65 %.
    """

    symbol: Symbol
    price_tick: Amount | None = None
    quantity_step: Amount | None = None
    min_quantity: Amount | None = None
    max_quantity: Amount | None = None
    min_price: Amount | None = None
    max_price: Amount | None = None
    min_value: Amount | None = None
    max_value: Amount | None = None
    maker_fee: Amount | None = None
    taker_fee: Amount | None = None

    def round_price(self, price: AmountLike, side: Side | str) -> Decimal:
        """The nearest legal price that is no worse for the trader: buys go down, sells go up."""
        try:
            down = Side(side) is Side.BUY
        except ValueError as error:
            raise ConfigurationError(f"a side is buy or sell: {error}") from error
        return _to_step(_amount(price), self.price_tick, ROUND_FLOOR if down else ROUND_CEILING)

    def round_quantity(self, quantity: AmountLike) -> Decimal:
        """The largest legal quantity that is not above `quantity`."""
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
            *_off_step("price_tick", "price", price, self.price_tick),
            *_off_step("price_tick", "stop_price", stop_price, self.price_tick),
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
    if number is None or step is None or not step:
        return []
    below, above = _to_step(number, step, ROUND_FLOOR), _to_step(number, step, ROUND_CEILING)
    if below == above:
        return []
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

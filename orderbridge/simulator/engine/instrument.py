"""What may be traded, in which steps and within which bounds."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Instrument:
    """
    One market. Prices are quote per base, fees are shares of what is received.

    Attributes:
        name: as the venue spells it.
        step: the smallest step of a base amount.
        reference: the price around which the counter-party quotes until a trade moves it.
        depth: the least value of one of the counter-party's quotes.
        quote_places: decimals with which prices and values are shown.
    """

    name: str
    base: str
    quote: str
    reference: Decimal
    tick: Decimal
    step: Decimal
    minimum_amount: Decimal
    maximum_amount: Decimal
    minimum_price: Decimal
    maximum_price: Decimal
    minimum_value: Decimal
    maximum_value: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    depth: Decimal
    quote_places: int = 2

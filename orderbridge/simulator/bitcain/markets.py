"""The exchanges that the simulated Bitcain routes to, and what is traded there."""

from decimal import Decimal

from orderbridge.simulator.engine.market import Instrument

FUNDS = Decimal(1_000_000_000)
EXCHANGES = ("binanceus", "binance", "coinbase", "kraken")
_D = Decimal

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
        reference=_D(reference),
        tick=_D(tick),
        step=_D(step),
        minimum_amount=_D(step),
        maximum_amount=_D("100000000"),
        minimum_price=_D(tick),
        maximum_price=_D("100000000"),
        minimum_value=_D("0"),
        maximum_value=_D("1000000000"),
        maker_fee=_D("0.001"),
        taker_fee=_D("0.001"),
        depth=_D("0.1") if quote == "BTC" else _D("5000"),
        quote_places=_PLACES[quote],
    )


MARKETS = {
    market.name: market for exchange in EXCHANGES for market in (_instrument(exchange, each) for each in _SYMBOLS)
}

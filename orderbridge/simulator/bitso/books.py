"""The books of the simulated Bitso, with bounds as ccxt's static markets and the facts page give them."""

from decimal import Decimal

from orderbridge.simulator.engine.market import Instrument

_D = Decimal

DEPTH = 2_000
# The first tier as seen in production in 2026.
MAKER_FEE, TAKER_FEE = _D("0.006"), _D("0.0078")


def _book(
    name: str,
    reference: str,
    tick: str,
    amounts: tuple[str, str],
    prices: tuple[str, str],
    values: tuple[str, str],
) -> Instrument:
    base, quote = name.split("_")
    return Instrument(
        name=name,
        base=base,
        quote=quote,
        reference=_D(reference),
        tick=_D(tick),
        step=_D(1).scaleb(-PRECISION.get(base, 8)),
        minimum_amount=_D(amounts[0]),
        maximum_amount=_D(amounts[1]),
        minimum_price=_D(prices[0]),
        maximum_price=_D(prices[1]),
        minimum_value=_D(values[0]),
        maximum_value=_D(values[1]),
        maker_fee=MAKER_FEE,
        taker_fee=TAKER_FEE,
        depth=_D(values[0]) * DEPTH,
        quote_places=PRECISION[quote],
    )


# Decimals of a currency, as `catalogues` tells them.
PRECISION = {
    "btc": 8,
    "eth": 8,
    "ltc": 8,
    "xrp": 6,
    "ada": 6,
    "mxn": 2,
    "usd": 2,
    "usdt": 2,
    "eur": 2,
    "brl": 2,
}
NAMES = {
    "btc": "Bitcoin",
    "eth": "Ether",
    "ltc": "Litecoin",
    "xrp": "XRP",
    "ada": "Cardano",
    "mxn": "Mexican Peso",
    "usd": "US Dollar",
    "usdt": "Tether",
    "eur": "Euro",
    "brl": "Brazilian Real",
}
FIAT = frozenset({"mxn", "usd", "eur", "brl"})

_MXN, _USD = ("10", "200000000"), ("0.5", "10000000")

BOOKS = {
    each.name: each
    for each in (
        _book("btc_mxn", "1200000", "10", ("0.00001", "600"), ("100000", "40000000"), _MXN),
        _book("eth_mxn", "42000", "1", ("0.00001", "8000"), ("1000", "1000000"), _MXN),
        _book("xrp_mxn", "11.5", "0.01", ("0.1", "20000000"), ("0.5", "500"), _MXN),
        _book("ltc_mxn", "1600", "0.1", ("0.0001", "100000"), ("50", "50000"), _MXN),
        _book("usdt_mxn", "18.5", "0.01", ("0.5", "10000000"), ("5", "100"), _MXN),
        _book("btc_usd", "65000", "1", ("0.0000006", "600"), ("800", "300000"), _USD),
        _book("eth_usd", "2300", "0.1", ("0.000008", "8000"), ("60", "20000"), _USD),
        _book("ltc_usd", "85", "0.001", ("0.0001", "100000"), ("3", "1000"), _USD),
        _book("btc_usdt", "65000", "1", ("0.0000006", "600"), ("800", "300000"), _USD),
        _book("xrp_usdt", "0.62", "0.00001", ("0.02", "20000000"), ("0.03", "10"), _USD),
    )
}

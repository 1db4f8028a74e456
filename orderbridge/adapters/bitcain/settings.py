"""The settings of a Bitcain gateway, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from orderbridge.adapters.bitcain.wire import as_uuid
from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import check_address
from orderbridge.model.basics import Symbol

Mode = Literal["paper", "live"]
_MODES: Final = ("paper", "live")
# Source: Bitcain, "Create Trading Order", parameter `source`.
SOURCES: Final = ("manual", "agent", "strategy")


@dataclass(frozen=True, slots=True)
class BitcainAccount:
    """The settings that a gateway was given, checked. `exchange` and below go out with new orders."""

    base_url: str
    mode: Mode
    symbols: Mapping[str, Symbol]
    scan_since: timedelta
    exchange: str
    portfolio_id: str | None
    source: str
    agent_id: str | None

    def spelling(self, symbol: Symbol) -> str:
        """A pair as the venue spells it: the first spelling that `symbols` has for it, else with its slash."""
        return next((theirs for theirs, ours in self.symbols.items() if ours == symbol), str(symbol))


def check_settings(
    *,
    base_url: str,
    trading_mode: str,
    allow_plain_http: bool,
    symbols: Mapping[str, str] | None,
    scan_since: timedelta,
    exchange: str,
    portfolio_id: str | None,
    source: str,
    agent_id: str | None,
) -> BitcainAccount:
    """
    Check what a gateway was given.

    Raises:
        ConfigurationError: missing or wrong; the message says which setting.
    """
    if trading_mode not in _MODES:
        raise ConfigurationError(
            f"trading_mode is 'paper' or 'live', not {trading_mode!r}; it has no default, since live is real money"
        )
    if not isinstance(scan_since, timedelta) or scan_since <= timedelta(0):
        raise ConfigurationError("scan_since is how far back client ids are sought: a timedelta above zero")
    if not isinstance(exchange, str) or not exchange.strip():
        raise ConfigurationError("exchange is the name of the exchange that orders go to, as in 'binanceus'")
    if source not in SOURCES:
        raise ConfigurationError(f"source is one of {', '.join(SOURCES)}, not {source!r}")
    if source == "agent" and agent_id is None:
        raise ConfigurationError("source 'agent' needs an agent_id")
    return BitcainAccount(
        base_url=_origin(base_url, allow_plain_http=allow_plain_http),
        mode=cast("Mode", trading_mode),
        symbols=_symbols(symbols or {}),
        scan_since=scan_since,
        exchange=exchange.strip(),
        portfolio_id=_uuid("portfolio_id", portfolio_id),
        source=source,
        agent_id=_uuid("agent_id", agent_id),
    )


def _origin(base_url: str, *, allow_plain_http: bool) -> str:
    origin = base_url.strip().rstrip("/")
    if not origin:
        raise ConfigurationError("base_url is missing: Bitcain documents no address, so there is no default")
    check_address(origin, allow_plain_http=allow_plain_http)
    path = urlsplit(origin).path
    if path.endswith(("/api", "/api/v1")):
        raise ConfigurationError(f"base_url is the origin, without {path}: the paths are added to it")
    return origin


def _symbols(symbols: Mapping[str, str]) -> dict[str, Symbol]:
    try:
        return {str(theirs): Symbol(ours) for theirs, ours in symbols.items()}
    except (AttributeError, ValueError) as error:
        raise ConfigurationError(f"symbols maps the venue's spelling to ours: {error}") from error


def _uuid(name: str, value: Any) -> str | None:
    if value is None:
        return None
    known = as_uuid(str(value))
    if known is None:
        raise ConfigurationError(f"{name} is a UUID, not {value!r}")
    return known

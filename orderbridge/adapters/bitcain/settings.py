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


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcainAccount:
    """
    The settings that a gateway was given. `exchange` and below go out with new orders, whose options go before them.

    Raises:
        ConfigurationError: one is wrong; the message says which.
    """

    base_url: str
    mode: Mode
    symbols: Mapping[str, Symbol]
    scan_since: timedelta
    exchange: str
    portfolio_id: str | None
    source: str
    agent_id: str | None

    def __post_init__(self) -> None:
        if not isinstance(self.scan_since, timedelta) or self.scan_since <= timedelta(0):
            raise ConfigurationError("scan_since is how far back client ids are sought: a timedelta above zero")
        if self.source not in SOURCES:
            raise ConfigurationError(f"source is one of {', '.join(SOURCES)}, not {self.source!r}")
        if self.source == "agent" and self.agent_id is None:
            raise ConfigurationError("source 'agent' needs an agent_id")

    def spelling(self, symbol: Symbol) -> str:
        """A pair as the venue spells it: the first spelling that `symbols` has for it, else with its slash."""
        return next((theirs for theirs, ours in self.symbols.items() if ours == symbol), str(symbol))


def mode_of(trading_mode: str) -> Mode:
    """The mode of a gateway, which has no default. ConfigurationError: there is no such mode."""
    if trading_mode not in _MODES:
        raise ConfigurationError(
            f"trading_mode is 'paper' or 'live', not {trading_mode!r}; it has no default, since live is real money"
        )
    return cast("Mode", trading_mode)


def exchange_of(name: object) -> str:
    """The name of the exchange that orders go to. ConfigurationError: it is none."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("exchange is the name of the exchange that orders go to, as in 'binanceus'")
    return name.strip()


def origin_of(base_url: str, *, allow_plain_http: bool) -> str:
    """The address of a server, to which the paths are added. ConfigurationError: it is none, or has a path."""
    origin = base_url.strip().rstrip("/")
    if not origin:
        raise ConfigurationError("base_url is missing: Bitcain documents no address, so there is no default")
    check_address(origin, allow_plain_http=allow_plain_http)
    path = urlsplit(origin).path
    if path.endswith(("/api", "/api/v1")):
        raise ConfigurationError(f"base_url is the origin, without {path}: the paths are added to it")
    return origin


def symbols_of(symbols: Mapping[str, str]) -> dict[str, Symbol]:
    """The venue's spellings of pairs, each with ours. ConfigurationError: one is no pair."""
    try:
        return {str(theirs): Symbol(ours) for theirs, ours in symbols.items()}
    except (AttributeError, ValueError) as error:
        raise ConfigurationError(f"symbols maps the venue's spelling to ours: {error}") from error


def uuid_of(name: str, value: Any) -> str | None:
    """A setting that is a UUID or None. ConfigurationError: another text."""
    if value is None:
        return None
    known = as_uuid(str(value))
    if known is None:
        raise ConfigurationError(f"{name} is a UUID, not {value!r}")
    return known

"""Making an exchange object of ccxt's, or taking one that the caller made; and refusing what cannot be used."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from orderbridge.errors import ConfigurationError, NotSupported

# Ours to ccxt's, so that settings read as those of every other gateway.
CREDENTIALS: Final[Mapping[str, str]] = {
    "api_key": "apiKey",
    "api_secret": "secret",
    "secret": "secret",
    "password": "password",
    "uid": "uid",
    "login": "login",
    "twofa": "twofa",
    "private_key": "privateKey",
    "wallet_address": "walletAddress",
    "account_id": "accountId",
    "token": "token",
}
_SECRETS: Final = ("apiKey", "secret", "password", "uid", "login", "twofa", "privateKey", "walletAddress", "token")
_SOCKS: Final = ("socksProxy", "socks_proxy", "socksProxyCallback", "socks_proxy_callback")
_SHORTEST_SECRET: Final = 4


def load_ccxt() -> Any:
    """ccxt.async_support, on first need: it takes most of a second. ConfigurationError: it is not installed."""
    try:
        return import_module("ccxt.async_support")
    except ImportError as error:
        raise ConfigurationError(f"ccxt is not installed: pip install 'orderbridge[ccxt]' ({error})") from error


def check_settings(config: object, sandbox: object) -> None:
    """ConfigurationError: of another kind than they have to be. The text "false" would be true."""
    if not isinstance(sandbox, bool):
        raise ConfigurationError(f"sandbox is True or False, not {type(sandbox).__name__}")
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(f"config is a mapping of ccxt's settings, not {type(config).__name__}")


def make_exchange(exchange: str, config: Mapping[str, Any] | None, *, sandbox: bool) -> Any:
    """
    An exchange object by ccxt's id.

    Raises:
        ConfigurationError: ccxt has no such exchange (near ids are named), it has no sandbox, or a setting that it
            does not take.
    """
    ccxt = load_ccxt()
    if exchange not in ccxt.exchanges:
        near = difflib.get_close_matches(exchange.lower(), ccxt.exchanges, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see ccxt.exchanges for those it has"
        raise ConfigurationError(f"ccxt has no exchange {exchange!r}; {hint}")
    settings = {CREDENTIALS.get(name, name): _revealed(value) for name, value in (config or {}).items()}
    kind = getattr(ccxt, exchange)
    try:
        made = kind(settings)
    except Exception:  # noqa: BLE001 - whatever a config of the wrong kind meets in ccxt
        # ccxt's own text may show the settings.
        names = ", ".join(map(str, settings))
        raise ConfigurationError(f"ccxt does not take this config: one of {names} is of a wrong kind") from None
    # Its pause at closing serves WebSockets, which are not used here.
    made.timeout_on_exit = 0
    return _sandboxed(made) if sandbox else made


def take_exchange(exchange: Any, config: Mapping[str, Any] | None, *, sandbox: bool) -> Any:
    """
    An exchange object that the caller made.

    Raises:
        ConfigurationError: it is none of ccxt.async_support, or comes with a config of its own.
    """
    is_ccxt = any(kind.__module__.startswith("ccxt.") for kind in type(exchange).__mro__)
    if not is_ccxt or isinstance(exchange, type):
        raise ConfigurationError("exchange is an id of ccxt's, such as 'kraken', or an object of ccxt.async_support")
    if getattr(exchange, "synchronous", True) is not False:
        raise ConfigurationError("the exchange object is a synchronous one: make it from ccxt.async_support")
    if config:
        raise ConfigurationError("an exchange object holds its own config: give config with an exchange's id only")
    if sandbox:
        raise ConfigurationError("an exchange object is set to its sandbox by its own set_sandbox_mode(True)")
    return exchange


def _sandboxed(exchange: Any) -> Any:
    try:
        exchange.set_sandbox_mode(True)
    except Exception:  # noqa: BLE001 - NotSupported, or a KeyError on the way to it
        raise ConfigurationError(f"ccxt knows no sandbox of {exchange.id}: leave sandbox out") from None
    return exchange


def check_calls(exchange: Any) -> None:
    """NotSupported: the exchange trades no spot market, or ccxt lacks a call without which orders cannot be kept."""
    has = exchange.has
    if has.get("spot") is False:
        raise NotSupported(f"{exchange.id} has no spot market; contracts are not traded here")
    missing = [name for name in ("createOrder", "cancelOrder") if not has.get(name)]
    if not (has.get("fetchOrder") or has.get("fetchOpenOrders")):
        missing.append("fetchOrder or fetchOpenOrders")
    if missing:
        raise NotSupported(f"ccxt's {exchange.id} lacks {', '.join(missing)}, so orders cannot be kept there")


def check_credentials(exchange: Any) -> None:
    """ConfigurationError: a credential that the exchange requires is missing; it is named."""
    ours = {ccxt_name: name for name, ccxt_name in reversed(list(CREDENTIALS.items()))}
    missing = [
        name for name, is_needed in exchange.requiredCredentials.items() if is_needed and not _has(exchange, name)
    ]
    if missing:
        names = ", ".join(f"{name} ({ours[name]})" if ours.get(name, name) != name else name for name in missing)
        raise ConfigurationError(f"{exchange.id} needs credentials that are missing: {names}")


def check_proxies(exchange: Any) -> None:
    """ConfigurationError: a SOCKS proxy, for which ccxt has other sessions, that may send a write again."""
    named = [name for name in _SOCKS if getattr(exchange, name, None)]
    if named:
        raise ConfigurationError(
            f"{exchange.id} has {', '.join(named)}: a SOCKS proxy may send an order twice; use httpProxy or httpsProxy"
        )


def _has(exchange: Any, name: str) -> bool:
    return bool(getattr(exchange, name, None))


def secrets_of(exchange: Any) -> tuple[str, ...]:
    """Every secret of an exchange object, as it could appear in a text."""
    found: list[str] = []
    for name in _SECRETS:
        value = getattr(exchange, name, None)
        if isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
            lines = [line for line in value.splitlines() if len(line) >= 16 and not line.startswith("-----")]
            found += [value, value.replace("\n", "\\n"), *lines]
    # The longest first, so that no rest of one stays.
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def digest_of(exchange: Any) -> str:
    """What tells one account's credentials from another's, without showing them."""
    named = "\n".join(f"{name}={getattr(exchange, name, None) or ''}" for name in _SECRETS)
    return hashlib.sha256(named.encode()).hexdigest()


def address_of(exchange: Any) -> str:
    """Where its requests go: the host of the first of its addresses, for messages."""
    urls = exchange.urls.get("api") if isinstance(exchange.urls, Mapping) else None
    for url in _texts(urls):
        parts = urlsplit(url.replace("{hostname}", str(getattr(exchange, "hostname", "") or "")))
        if parts.hostname:
            return f"{parts.scheme}://{parts.netloc}"
    return ""


def is_sandbox(exchange: Any) -> bool:
    """Whether the object was set to its exchange's sandbox."""
    return bool(getattr(exchange, "isSandboxModeEnabled", False))


def _texts(urls: Any) -> list[str]:
    if isinstance(urls, str):
        return [urls]
    # The private address, where it has one of its own.
    ordered = sorted(urls.items(), key=lambda item: item[0] != "private") if isinstance(urls, Mapping) else []
    return [text for _, value in ordered for text in _texts(value)]


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value

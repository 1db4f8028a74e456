"""From a gateway's name to the gateway: the only file that knows adapters by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from orderbridge.bridge import OrderBridge
from orderbridge.errors import ConfigurationError, NotSupported, OrderBridgeError
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import own_logger
from orderbridge.model.order import gateway_name
from orderbridge.placement import Journal, SqliteJournal
from orderbridge.settings import Settings, load_settings

# Loaded when first built, so that a bot pays only for the venues it uses.
_ADAPTERS: Final[Mapping[str, tuple[str, str]]] = {
    "bitso": ("orderbridge.adapters.bitso", "BitsoGateway"),
    "bitcain": ("orderbridge.adapters.bitcain", "BitcainGateway"),
}
_CCXT: Final = "ccxt."
# Settings of a `ccxt.…` gateway that are its own; every other goes into the config of ccxt's object.
_CCXT_OWN: Final = frozenset({"config", "limits", "sandbox", "clock", "retries"})
_ENTRY_POINTS: Final = "orderbridge.gateways"


def connect(
    *names: str,
    journal: Journal | str | Path | None = None,
    settings: Settings | Mapping[str, Any] | str | Path | None = None,
) -> OrderBridge:
    """
    A bridge over the named gateways, or over all that the settings and the environment speak of.

    Args:
        names: `bitso`, `bitcain`, `ccxt.kraken` for an exchange of ccxt's, or with an account, `bitso/mm`.
        journal: a journal, or the path of one; by default that of `[journal] path` in the settings, if any.
        settings: a settings file, or a mapping of its shape; by default that named by
            `ORDERBRIDGE_CONFIG`, or `orderbridge.toml` in the user's config folder. One in the working folder is used
            only if it is named, and a warning is logged if it is not.

    Raises:
        ConfigurationError: nothing to connect to, an unknown name, or a setting that is missing or wrong.
    """
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ConfigurationError(f'names of gateways are texts, as in "bitso", not a {type(wrong[0]).__name__}')
    known = load_settings(settings)
    if known.notice:
        own_logger("orderbridge.settings").warning("%s", known.notice)
    wanted = names or known.gateways
    if not wanted:
        ways = "; or ".join(f"for {venue} use {known.hint(venue)}" for venue in _ADAPTERS)
        raise ConfigurationError(f"no gateway is set up: {ways}" + (f"; {known.notice}" if known.notice else ""))
    gateways = [_build_named(name, known) for name in wanted]
    kept = known.journal_path if journal is None else journal
    return OrderBridge(*gateways, journal=SqliteJournal(kept) if isinstance(kept, str | Path) else kept)


def _build_named(name: str, settings: Settings) -> OrderGateway:
    venue, slash, account = name.partition("/")
    if slash and account in {"", "default"}:
        raise ConfigurationError(f"the account `default` has no name of its own: write {venue!r}", gateway=name)
    try:
        return build_gateway(venue, account or "default", settings.of(name))
    except ConfigurationError as error:
        message = f"{Exception.__str__(error)} (settings: {settings.hint(name)})"
        raise ConfigurationError(message, gateway=name) from error


def build_gateway(venue: str, account: str, settings: Mapping[str, Any]) -> OrderGateway:
    """
    One gateway from plain settings, by the adapter's constructor or a third party's entry point.

    Raises:
        ConfigurationError: no such venue, or settings that its adapter does not take or lacks.
    """
    if venue in _ADAPTERS:
        module, name = _ADAPTERS[venue]
        return _construct(getattr(import_module(module), name), venue, account, settings)
    if venue.startswith(_CCXT):
        return _build_ccxt(venue, account, settings)
    for entry in entry_points(group=_ENTRY_POINTS, name=venue):
        try:
            gateway: OrderGateway = entry.load()(account, settings)
        except OrderBridgeError:
            raise
        except Exception as error:
            message = f"{entry.value} made no gateway of these settings: {type(error).__name__}: {error}"
            raise ConfigurationError(message, gateway=gateway_name(venue, account)) from error
        return gateway
    others = sorted(entry.name for entry in entry_points(group=_ENTRY_POINTS))
    raise ConfigurationError(
        f"no venue is named {venue!r}; there are: {', '.join([*_ADAPTERS, 'ccxt.<exchange>', *others])}"
    )


def _build_ccxt(venue: str, account: str, settings: Mapping[str, Any]) -> OrderGateway:
    adapter = import_module("orderbridge.adapters.ccxt_any").CcxtGateway
    credentials = import_module("orderbridge.adapters.ccxt_any.exchanges").CREDENTIALS
    table = settings.get("config", {})
    if not isinstance(table, Mapping):
        raise ConfigurationError("config is no table", gateway=gateway_name(venue, account))
    unknown = sorted(set(settings) - _CCXT_OWN - set(credentials) - {"account"})
    if unknown:
        known = ", ".join([*credentials, *sorted(_CCXT_OWN)])
        message = f"unknown settings: {', '.join(unknown)}; known are: {known}; what is ccxt's own goes into config"
        raise ConfigurationError(message, gateway=gateway_name(venue, account))
    config = {**table, **{key: value for key, value in settings.items() if key not in _CCXT_OWN and key != "account"}}
    own = {key: value for key, value in settings.items() if key in _CCXT_OWN or key == "account"}
    exchange = venue.removeprefix(_CCXT)
    try:
        return _construct(partial(adapter, exchange), venue, account, {**own, "config": config})
    except NotSupported as error:
        raise ConfigurationError(Exception.__str__(error), gateway=gateway_name(venue, account)) from error


def _construct(
    adapter: Callable[..., OrderGateway], venue: str, account: str, settings: Mapping[str, Any]
) -> OrderGateway:
    name = gateway_name(venue, account)
    parameters = inspect.signature(adapter).parameters
    given = dict(settings)
    if "account" in given:
        raise ConfigurationError(
            f'write the account into the name, as in [gateways."{venue}/{given["account"]}"]', gateway=name
        )
    if "scan_since_days" in given and "scan_since" in parameters:
        given["scan_since"] = _days(given.pop("scan_since_days"), name)
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        known = ", ".join(key for key in parameters if key != "account")
        raise ConfigurationError(f"unknown settings: {', '.join(unknown)}; known are: {known}", gateway=name)
    missing = [
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in given and key != "account"
    ]
    if missing:
        raise ConfigurationError(f"missing settings: {', '.join(missing)}", gateway=name)
    try:
        return adapter(account=account, **given)
    except ConfigurationError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"a setting is of the wrong type: {error}", gateway=name) from error


def _days(number: object, gateway: str) -> timedelta:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < 100_000:
        raise ConfigurationError(f"scan_since_days is a number of days, not {number!r}", gateway=gateway)
    return timedelta(days=number)

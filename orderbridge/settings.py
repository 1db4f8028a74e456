"""
From names, environment and `orderbridge.toml` to a bridge: the only file that knows adapters by name.

Arguments come first, then the environment, then the file. One that only happens to lie in the working folder is not
read: with an address in it, whoever put it there would be sent the keys of the environment.
"""

from __future__ import annotations

import inspect
import os
import stat
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from orderbridge import placement
from orderbridge.bridge import OrderBridge
from orderbridge.errors import ConfigurationError, NotSupported, OrderBridgeError
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import own_logger

FILE_NAME: Final = "orderbridge.toml"
# Loaded when first built, so that a bot pays only for the venues it uses.
_ADAPTERS: Final[Mapping[str, tuple[str, str]]] = {
    "bitso": ("orderbridge.adapters.bitso", "BitsoGateway"),
    "bitcain": ("orderbridge.adapters.bitcain", "BitcainGateway"),
}
_CCXT: Final = "ccxt."
# Settings of a `ccxt.…` gateway that are its own; every other goes into the config of ccxt's object.
_CCXT_OWN: Final = frozenset({"config", "limits", "sandbox", "clock", "retries"})
_ENTRY_POINTS: Final = "orderbridge.gateways"
# Settings that the environment may hold, as in BITSO_API_KEY, and in CCXT_KRAKEN_SECRET for `ccxt.kraken`. Secrets are
# those of the account `default` only: another account names its variables in the file, as `api_key_env`.
_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "bitso": ("api_key", "api_secret", "base_url"),
    "bitcain": ("token", "email", "password", "base_url", "trading_mode"),
    _CCXT: ("api_key", "secret", "password", "uid", "private_key", "wallet_address", "token"),
}
# The variables that show that a gateway is wanted where no file names it.
_TELLING: Final[Mapping[str, tuple[str, ...]]] = {
    "bitso": ("BITSO_API_KEY",),
    "bitcain": ("BITCAIN_TOKEN", "BITCAIN_EMAIL"),
}
# Where orders go is the same for every account: one that stayed behind would trade with real money in a trial.
_OF_EVERY_ACCOUNT: Final = frozenset({"base_url", "trading_mode"})
_SECRETS: Final = frozenset(
    {"api_key", "api_secret", "token", "password", "refresh_token", "secret", "private_key", "uid", "login", "twofa"}
) | {"apiKey", "privateKey", "walletAddress", "wallet_address"}


def connect(
    *names: str,
    journal: placement.Journal | str | Path | None = None,
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
    return OrderBridge(*gateways, journal=placement.SqliteJournal(kept) if isinstance(kept, str | Path) else kept)


def _build_named(name: str, settings: Settings) -> OrderGateway:
    venue, slash, account = name.partition("/")
    if slash and account in {"", "default"}:
        raise ConfigurationError(f"the account `default` has no name of its own: write {venue!r}", gateway=name)
    try:
        return build_gateway(venue, account or "default", settings.of(name))
    except ConfigurationError as error:
        message = f"{Exception.__str__(error)} (settings: {settings.hint(name)})"
        raise ConfigurationError(message, gateway=name) from error


def build_gateway(venue: str, account: str, settings: Mapping[str, Any], *, exchange: Any = None) -> OrderGateway:
    """
    One gateway from plain settings, by the adapter's constructor or a third party's entry point.

    Args:
        exchange: the object of a `ccxt.…` gateway, in place of one that is made by its id.

    Raises:
        ConfigurationError: no such venue, or settings that its adapter does not take or lacks.
    """
    if venue in _ADAPTERS:
        module, name = _ADAPTERS[venue]
        return _construct(getattr(import_module(module), name), venue, account, settings)
    if venue.startswith(_CCXT):
        return _build_ccxt(venue, account, settings, exchange)
    for entry in entry_points(group=_ENTRY_POINTS, name=venue):
        try:
            gateway: OrderGateway = entry.load()(account, settings)
        except OrderBridgeError:
            raise
        except Exception as error:
            message = f"{entry.value} made no gateway of these settings: {type(error).__name__}: {error}"
            raise ConfigurationError(message) from error
        return gateway
    others = sorted(entry.name for entry in entry_points(group=_ENTRY_POINTS))
    raise ConfigurationError(
        f"no venue is named {venue!r}; there are: {', '.join([*_ADAPTERS, 'ccxt.<exchange>', *others])}"
    )


def _build_ccxt(venue: str, account: str, settings: Mapping[str, Any], exchange: Any) -> OrderGateway:
    adapter = import_module("orderbridge.adapters.ccxt_any").CcxtGateway
    credentials = import_module("orderbridge.adapters.ccxt_any.exchanges").CREDENTIALS
    table = _table(settings.get("config", {}), "config")
    unknown = sorted(set(settings) - _CCXT_OWN - set(credentials) - {"account"})
    if unknown:
        known = ", ".join([*credentials, *sorted(_CCXT_OWN)])
        raise ConfigurationError(
            f"unknown settings: {', '.join(unknown)}; known are: {known}; what is ccxt's own goes into config"
        )
    config = {**table, **{key: value for key, value in settings.items() if key not in _CCXT_OWN and key != "account"}}
    own = {key: value for key, value in settings.items() if key in _CCXT_OWN or key == "account"}
    try:
        return _construct(
            partial(adapter, exchange or venue.removeprefix(_CCXT)), venue, account, {**own, "config": config or None}
        )
    except NotSupported as error:
        raise ConfigurationError(Exception.__str__(error)) from error


def _construct(
    adapter: Callable[..., OrderGateway], venue: str, account: str, settings: Mapping[str, Any]
) -> OrderGateway:
    parameters = inspect.signature(adapter).parameters
    given = dict(settings)
    if "account" in given:
        raise ConfigurationError(f'write the account into the name, as in [gateways."{venue}/{given["account"]}"]')
    if "scan_since_days" in given and "scan_since" in parameters:
        given["scan_since"] = _days(given.pop("scan_since_days"))
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        known = ", ".join(key for key in parameters if key != "account")
        raise ConfigurationError(f"unknown settings: {', '.join(unknown)}; known are: {known}")
    missing = [
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in given and key != "account"
    ]
    if missing:
        raise ConfigurationError(f"missing settings: {', '.join(missing)}")
    try:
        return adapter(account=account, **given)
    except ConfigurationError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"a setting is of the wrong type: {error}") from error


def _days(number: object) -> timedelta:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < 100_000:
        raise ConfigurationError(f"scan_since_days is a number of days, not {number!r}")
    return timedelta(days=number)


class Settings:
    """
    The tables of a settings file under the environment, or a caller's own tables (`arguments`) over it.

    Attributes:
        file: the file that they were read from, if any.
        passed_over: a file in the working folder that nobody named, and that was not read.
    """

    def __init__(
        self,
        tables: Mapping[str, Any],
        *,
        source: str,
        environ: Mapping[str, str],
        arguments: bool = False,
        file: Path | None = None,
        passed_over: Path | None = None,
    ) -> None:
        self.file = file
        self.passed_over = passed_over
        self._environ = environ
        self._arguments = arguments
        unknown = set(tables) - {"gateways", "journal"}
        if unknown:
            odd = ", ".join(sorted(map(str, unknown)))
            raise ConfigurationError(
                f"{source} has tables that this version does not know: {odd}; it knows: gateways, journal"
            )
        self._gateways = _table(tables.get("gateways", {}), f"{source}: gateways")
        self._journal = _table(tables.get("journal", {}), f"{source}: journal")
        if set(self._journal) - {"path"} or not isinstance(self._journal.get("path", ""), str):
            raise ConfigurationError(f"{source}: [journal] holds a path, as text, and nothing else")
        for name, table in self._gateways.items():
            if not isinstance(name, str):
                raise ConfigurationError(f"{source}: a gateway's name is a text, not a {type(name).__name__}")
            _table(table, f"{source}: gateways.{name}")

    @property
    def journal_path(self) -> Path | None:
        """Where the journal is; None when the settings name none. A relative path starts in the working folder."""
        path = self._journal.get("path")
        return _home_expanded(path) if path else None

    @property
    def notice(self) -> str | None:
        """A notice of a file that lies in the working folder and is not used; None when there is none."""
        if self.passed_over is None:
            return None
        return (
            f"{self.passed_over} lies in the working folder and is not used: name it by --config or ORDERBRIDGE_CONFIG"
        )

    @property
    def gateways(self) -> list[str]:
        """Every gateway of the file, and those whose variables are set."""
        by_environment = [venue for venue, names in _TELLING.items() if any(self._environ.get(name) for name in names)]
        return list(dict.fromkeys([*self._gateways, *by_environment]))

    def of(self, name: str) -> dict[str, Any]:
        """The settings of one gateway: arguments over the environment over the file."""
        venue, _, account = name.partition("/")
        table = dict(self._gateways.get(name, {}))
        settings = {key: value for key, value in table.items() if not key.endswith("_env")}
        for key, variable in table.items():
            if key.endswith("_env"):
                settings[key.removesuffix("_env")] = self._variable(name, key, variable)
        for key, variable in _variables(venue).items():
            settled = f"{key}_env" in table or (self._arguments and key in table)
            if settled or not self._environ.get(variable) or (account and key not in _OF_EVERY_ACCOUNT):
                continue
            if key == "trading_mode" and table.get(key) == "paper" != self._environ[variable]:
                raise ConfigurationError(
                    f"{variable} is {self._environ[variable]!r} and the file says paper: one of them must go",
                    gateway=name,
                )
            settings[key] = self._environ[variable]
        return settings

    def hint(self, name: str) -> str:
        """Where the settings of a gateway could be put, for messages."""
        venue, _, account = name.partition("/")
        variables = ", ".join(_variables(venue).values()) if not account else ""
        file = self.file.name if self.file else FILE_NAME
        places = [f"[gateways.{name!r}] in {file}".replace("'", '"')]
        if variables:
            places.append(f"the environment ({variables})")
        return " or ".join(places)

    def _variable(self, gateway: str, key: str, variable: object) -> str:
        value = self._environ.get(variable) if isinstance(variable, str) else None
        if not value:
            raise ConfigurationError(f"{key} names the variable {variable}, which is not set", gateway=gateway)
        return value


def _variables(venue: str) -> Mapping[str, str]:
    """The variable of each setting of a venue's account `default`."""
    keys = _VARIABLES.get(_CCXT if venue.startswith(_CCXT) else venue, ())
    return {key: f"{venue.replace('.', '_')}_{key}".upper() for key in keys}


def load_settings(
    settings: Settings | Mapping[str, Any] | str | Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Settings:
    """
    The settings from a mapping or a file; by default the file in `ORDERBRIDGE_CONFIG`, or that in the user's config
    folder, and neither need exist. One in the working folder is used only if it is named.

    Raises:
        ConfigurationError: a named file is missing or unreadable, others can read the secrets in it, or can write it.
    """
    environ = os.environ if environ is None else environ
    if isinstance(settings, Settings):
        return settings
    if isinstance(settings, Mapping):
        return Settings(settings, source="settings", environ=environ, arguments=True)
    if not isinstance(settings, (str, Path, type(None))):
        raise ConfigurationError(f"settings are a mapping or the path of a file, not a {type(settings).__name__}")
    named = settings or environ.get("ORDERBRIDGE_CONFIG")
    if named:
        path = _home_expanded(named)
        return Settings(_read(path), source=str(path), environ=environ, file=path)
    found, near = _of_user(environ), Path(FILE_NAME)
    passed_over = near if os.path.isfile(near) and not (found and found.samefile(near)) else None
    if found is None:
        return Settings({}, source="no settings file", environ=environ, passed_over=passed_over)
    return Settings(_read(found), source=str(found), environ=environ, file=found, passed_over=passed_over)


def _of_user(environ: Mapping[str, str]) -> Path | None:
    """The file in the user's config folder. A folder that is not absolute would be one of the working folder's."""
    told = Path(environ.get("XDG_CONFIG_HOME") or "")
    folder = told if told.is_absolute() else Path(os.path.expanduser("~/.config"))  # unchanged where there is no home
    path = folder / "orderbridge" / FILE_NAME
    try:
        return path if path.is_absolute() and path.is_file() else None
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error


def _home_expanded(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    import tomllib  # most are set up by the environment alone

    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
            mode = os.fstat(file.fileno()).st_mode
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is no TOML: {error}") from error
    except (OSError, ValueError) as error:  # a ValueError for a path that no system could have
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the settings file {path} cannot be read: {why}") from error
    if os.name == "posix" and mode & stat.S_IWOTH:
        raise ConfigurationError(f"everybody can write {path}, and so send your keys elsewhere: chmod o-w it")
    if _holds_secret(tables) and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"{path} holds a secret and others can read it: chmod 600 it, or name a variable with …_env instead"
        )
    return tables


def _holds_secret(tables: Mapping[str, Any]) -> bool:
    return any(
        key in _SECRETS or (isinstance(value, Mapping) and _holds_secret(value)) for key, value in tables.items()
    )


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} is no table")
    return value

"""Where settings come from: arguments, then the environment, then `orderbridge.toml`."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orderbridge.errors import ConfigurationError

FILE_NAME: Final = "orderbridge.toml"
_SECRETS: Final = frozenset(
    {"api_key", "api_secret", "token", "password", "refresh_token", "secret", "private_key", "uid", "login", "twofa"}
) | {"apiKey", "privateKey", "walletAddress", "wallet_address"}
# Of the account `default` only: another account names its variables in the file, as `api_key_env`.
_VARIABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "bitso": {"api_key": "BITSO_API_KEY", "api_secret": "BITSO_API_SECRET", "base_url": "BITSO_BASE_URL"},
    "bitcain": {
        "token": "BITCAIN_TOKEN",
        "email": "BITCAIN_EMAIL",
        "password": "BITCAIN_PASSWORD",
        "base_url": "BITCAIN_BASE_URL",
        "trading_mode": "BITCAIN_TRADING_MODE",
    },
}
# Of `ccxt.kraken`: CCXT_KRAKEN_API_KEY and so on.
_CCXT_VARIABLES: Final = ("api_key", "secret", "password", "uid", "private_key", "wallet_address", "token")
# The variables that show that a gateway is wanted where no file names it.
_TELLING: Final[Mapping[str, tuple[str, ...]]] = {
    "bitso": ("BITSO_API_KEY",),
    "bitcain": ("BITCAIN_TOKEN", "BITCAIN_EMAIL"),
}


class Settings:
    """The tables of a settings file under the environment, or a caller's own tables (`arguments`) over it."""

    def __init__(
        self, tables: Mapping[str, Any], *, source: str, environ: Mapping[str, str], arguments: bool = False
    ) -> None:
        self._source = source
        self._environ = environ
        self._arguments = arguments
        unknown = set(tables) - {"gateways", "journal"}
        if unknown:
            odd = ", ".join(sorted(unknown))
            raise ConfigurationError(
                f"{source} has tables that this version does not know: {odd}; it knows: gateways, journal"
            )
        self._gateways = _table(tables.get("gateways", {}), f"{source}: gateways")
        self._journal = _table(tables.get("journal", {}), f"{source}: journal")
        if set(self._journal) - {"path"} or not isinstance(self._journal.get("path", ""), str):
            raise ConfigurationError(f"{source}: [journal] holds a path, as text, and nothing else")
        for name, table in self._gateways.items():
            _table(table, f"{source}: gateways.{name}")

    @property
    def journal_path(self) -> Path | None:
        """Where the journal is; None when the settings name none. A relative path starts in the working folder."""
        path = self._journal.get("path")
        return Path(path).expanduser() if path else None

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
        if not account:
            for key, variable in _variables(venue).items():
                settled = f"{key}_env" in table or (self._arguments and key in table)
                if self._environ.get(variable) and not settled:
                    settings[key] = self._environ[variable]
        return settings

    def hint(self, name: str) -> str:
        """Where the settings of a gateway could be put, for messages."""
        venue, _, account = name.partition("/")
        variables = ", ".join(_variables(venue).values()) if not account else ""
        places = [f"[gateways.{name!r}] in {FILE_NAME}".replace("'", '"')]
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
    kind, dot, exchange = venue.partition(".")
    if kind != "ccxt" or not dot:
        return _VARIABLES.get(venue, {})
    return {key: f"CCXT_{exchange.upper()}_{key.upper()}" for key in _CCXT_VARIABLES}


def load_settings(
    settings: Mapping[str, Any] | str | Path | None = None, *, environ: Mapping[str, str] | None = None
) -> Settings:
    """
    The settings from a mapping or a file; by default the file in `ORDERBRIDGE_CONFIG`, the working folder, or
    the user's config folder, and none of them need exist.

    Raises:
        ConfigurationError: a named file is missing or unreadable, or others can read the secrets in it.
    """
    environ = os.environ if environ is None else environ
    if isinstance(settings, Mapping):
        return Settings(settings, source="settings", environ=environ, arguments=True)
    named = settings or environ.get("ORDERBRIDGE_CONFIG")
    path = Path(named).expanduser() if named else _first_existing(environ)
    if path is None:
        return Settings({}, source="no settings file", environ=environ)
    return Settings(_read(path), source=str(path), environ=environ)


def _first_existing(environ: Mapping[str, str]) -> Path | None:
    config_home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    candidates = (Path(FILE_NAME), config_home / "orderbridge" / FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is no TOML: {error}") from error
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

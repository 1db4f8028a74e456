"""Settings: arguments before the environment before the file, and secrets only where nobody else reads them."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import connect
from orderbridge.errors import ConfigurationError
from orderbridge.settings import load_settings

FILE = """
[gateways.bitso]
base_url = "https://stage.bitso.com/api/v3"
[gateways."bitso/mm"]
api_key_env = "MM_KEY"
api_secret_env = "MM_SECRET"
[gateways.bitcain]
trading_mode = "paper"
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty config folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path


def write(path: Path, text: str = FILE, *, mode: int = 0o644) -> Path:
    """A settings file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_goes_before_the_file(elsewhere: Path) -> None:
    """A variable replaces what the file says, for the default account."""
    path = write(elsewhere / "x.toml")
    environ = {"BITSO_API_KEY": "k", "BITSO_API_SECRET": "s", "BITSO_BASE_URL": "https://other/api/v3"}

    settings = load_settings(path, environ=environ)

    assert settings.of("bitso") == {"api_key": "k", "api_secret": "s", "base_url": "https://other/api/v3"}
    assert load_settings(path, environ={}).of("bitso") == {"base_url": "https://stage.bitso.com/api/v3"}


def test_arguments_go_before_the_environment() -> None:
    """What the program says in code stands, and the environment fills in the rest."""
    environ = {"BITSO_API_KEY": "other", "BITSO_API_SECRET": "s", "BITSO_BASE_URL": "https://bitso.com/api/v3"}
    given = {"gateways": {"bitso": {"api_key": "mine", "base_url": "https://stage.bitso.com/api/v3"}}}

    settings = load_settings(given, environ=environ)

    assert settings.of("bitso") == {
        "api_key": "mine", "api_secret": "s", "base_url": "https://stage.bitso.com/api/v3",
    }  # fmt: skip


def test_another_account_takes_its_named_variables_and_no_others(elsewhere: Path) -> None:
    """`…_env` names a variable; the default account's secrets never reach another account."""
    environ = {"MM_KEY": "mk", "MM_SECRET": "ms", "BITSO_API_KEY": "k", "BITSO_API_SECRET": "s"}

    settings = load_settings(write(elsewhere / "x.toml"), environ=environ)

    assert settings.of("bitso/mm") == {"api_key": "mk", "api_secret": "ms"}


def test_a_named_variable_goes_before_the_usual_one() -> None:
    """A table that names its variable means that one."""
    given = {"gateways": {"bitso": {"api_key_env": "MINE"}}}

    settings = load_settings(given, environ={"MINE": "mine", "BITSO_API_KEY": "other"})

    assert settings.of("bitso")["api_key"] == "mine"


@pytest.mark.parametrize(("variable", "environ"), [("MM_KEY", {}), ("MM_KEY", {"MM_KEY": ""}), (5, {})])
def test_a_named_variable_must_be_set(variable: object, environ: dict[str, str]) -> None:
    """A missing secret is told by the name of its variable, never replaced by nothing."""
    settings = load_settings({"gateways": {"bitso": {"api_key_env": variable}}}, environ=environ)

    with pytest.raises(ConfigurationError, match=f"api_key_env names the variable {variable}, which is not set"):
        settings.of("bitso")


def test_gateways_are_those_of_the_file_and_of_the_environment(elsewhere: Path) -> None:
    """Every table is a gateway, and a venue whose secret is set is one as well."""
    only_bitso = write(elsewhere / "x.toml", "[gateways.bitso]\n")

    assert load_settings(only_bitso, environ={"BITCAIN_TOKEN": "t"}).gateways == ["bitso", "bitcain"]
    assert load_settings(only_bitso, environ={"BITSO_API_KEY": "k", "BITCAIN_EMAIL": ""}).gateways == ["bitso"]
    assert load_settings({}, environ={"BITCAIN_EMAIL": "a@b"}).gateways == ["bitcain"]
    assert load_settings({}, environ={}).gateways == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
@pytest.mark.parametrize("secret", ["api_key", "api_secret", "token", "password", "refresh_token"])
def test_a_secret_in_a_file_that_others_reach_is_refused(elsewhere: Path, mode: int, secret: str) -> None:
    """The refusal says what to do, and does not repeat the secret."""
    path = write(elsewhere / "x.toml", f'[gateways.bitso]\n{secret} = "hunter2"\n', mode=mode)

    with pytest.raises(ConfigurationError, match="holds a secret and others can read it: chmod 600") as refused:
        load_settings(path, environ={})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("text", "mode"), [('[gateways.bitso]\napi_key = "k"\n', 0o600), (FILE, 0o644)])
def test_a_secret_of_the_owner_alone_and_a_file_without_are_read(elsewhere: Path, text: str, mode: int) -> None:
    """The rule concerns secrets only."""
    assert "bitso" in load_settings(write(elsewhere / "x.toml", text, mode=mode), environ={}).gateways


@pytest.mark.parametrize("settings", ["file", "mapping"])
def test_one_address_moves_every_account_of_a_venue(elsewhere: Path, settings: str) -> None:
    """BITSO_BASE_URL and BITCAIN_BASE_URL hold for every account, whatever the file says of it; secrets do not."""
    tables = {
        "bitso": {"base_url": "https://stage.bitso.com/api/v3"}, "bitso/mm": {}, "bitso/arb": {"base_url": "https://x"},
        "bitcain/mm": {"trading_mode": "live"},
    }  # fmt: skip
    text = "".join(
        f'[gateways."{name}"]\n' + "".join(f'{key} = "{value}"\n' for key, value in table.items())
        for name, table in tables.items()
    )
    environ = {
        "BITSO_BASE_URL": "http://127.0.0.1:1", "BITCAIN_BASE_URL": "http://127.0.0.1:2",
        "BITCAIN_TRADING_MODE": "paper", "BITCAIN_TOKEN": "t",
    }  # fmt: skip

    if settings == "file":
        known = load_settings(write(elsewhere / "x.toml", text), environ=environ)
        assert {known.of(name)["base_url"] for name in tables if "bitso" in name} == {"http://127.0.0.1:1"}
        assert known.of("bitcain/mm") == {"base_url": "http://127.0.0.1:2", "trading_mode": "paper"}
    else:
        # What the program says in code goes before the environment, account by account.
        known = load_settings({"gateways": tables}, environ=environ)
        assert known.of("bitso")["base_url"] == "https://stage.bitso.com/api/v3"
        assert known.of("bitso/mm") == {"base_url": "http://127.0.0.1:1"}


@pytest.mark.parametrize("name", ["bitcain", "bitcain/mm"])
def test_the_environment_makes_no_paper_account_of_the_file_a_live_one(elsewhere: Path, name: str) -> None:
    """Paper in the file and live in the variable is a contradiction: nobody trades with real money by it."""
    path = write(elsewhere / "x.toml", f'[gateways."{name}"]\ntrading_mode = "paper"\n')

    with pytest.raises(ConfigurationError, match="BITCAIN_TRADING_MODE is 'live' and the file says paper"):
        load_settings(path, environ={"BITCAIN_TRADING_MODE": "live"}).of(name)
    assert load_settings(path, environ={"BITCAIN_TRADING_MODE": "paper"}).of(name) == {"trading_mode": "paper"}


def test_the_file_is_searched_for_in_its_two_places(elsewhere: Path) -> None:
    """The path in ORDERBRIDGE_CONFIG, then the user's config folder; the working folder's only when it is named."""
    config = elsewhere / "config"
    environ = {"XDG_CONFIG_HOME": str(config), "MM_KEY": "a", "MM_SECRET": "b"}

    found = []
    write(Path("orderbridge.toml"), "[gateways.work]\n")
    found += load_settings(environ=environ).gateways
    write(config / "orderbridge" / "orderbridge.toml", "[gateways.home]\n")
    found += load_settings(environ=environ).gateways
    found += load_settings(environ={**environ, "ORDERBRIDGE_CONFIG": "orderbridge.toml"}).gateways
    named = write(elsewhere / "named.toml", "[gateways.named]\n")
    found += load_settings(environ={**environ, "ORDERBRIDGE_CONFIG": str(named)}).gateways
    given = write(elsewhere / "given.toml", "[gateways.given]\n")
    found += load_settings(str(given), environ={**environ, "ORDERBRIDGE_CONFIG": str(named)}).gateways

    assert found == ["home", "work", "named", "given"]


def test_a_file_in_the_working_folder_is_told_and_not_used(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It sends the keys of the environment nowhere; a warning and the error without it say how to use it."""
    for name in ("ORDERBRIDGE_CONFIG", "BITSO_API_KEY", "BITCAIN_TOKEN", "BITCAIN_EMAIL", "BITCAIN_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(elsewhere / "none"))
    write(Path("orderbridge.toml"), '[gateways.bitcain]\nbase_url = "https://evil.example"\ntrading_mode = "paper"\n')

    with pytest.raises(ConfigurationError, match=r"orderbridge\.toml lies in the working folder and is not used"):
        connect()
    monkeypatch.setenv("BITCAIN_TOKEN", "t")
    with pytest.raises(ConfigurationError, match="missing settings: base_url, trading_mode"):
        connect()

    assert "lies in the working folder and is not used" in caplog.text


@pytest.mark.parametrize("home", ["", ".", "config"])
def test_a_config_folder_that_is_not_absolute_is_none(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """A relative folder would be one of the working folder's: it is not looked in."""
    monkeypatch.setenv("HOME", home)
    for folder in (home, f"{home}/.config", ".config"):
        write(Path("." if not folder else folder.lstrip("/")) / "orderbridge" / "orderbridge.toml", "[gateways.evil]\n")

    assert load_settings(environ={"XDG_CONFIG_HOME": home}).gateways == []


def test_a_file_that_everybody_can_write_is_refused(elsewhere: Path) -> None:
    """Whoever writes it chooses where the keys go."""
    path = write(elsewhere / "x.toml", mode=0o666)

    with pytest.raises(ConfigurationError, match=r"everybody can write .*: chmod o-w it"):
        load_settings(path, environ={})


def test_a_journals_path_starts_in_the_working_folder(elsewhere: Path) -> None:
    """Wherever the settings lie, the journal is where every version before looked for it: no held key is forgotten."""
    path = write(elsewhere / "config" / "x.toml", '[journal]\npath = "orders.db"\n')

    assert load_settings(path, environ={}).journal_path == Path("orders.db")
    assert load_settings({"journal": {"path": "orders.db"}}, environ={}).journal_path == Path("orders.db")
    assert load_settings({"journal": {"path": "/var/orders.db"}}, environ={}).journal_path == Path("/var/orders.db")


def test_without_any_file_there_are_no_settings(elsewhere: Path) -> None:
    """No file need exist."""
    assert load_settings(environ={"XDG_CONFIG_HOME": str(elsewhere / "none")}).gateways == []


def test_a_named_file_that_is_missing_is_an_error(elsewhere: Path) -> None:
    """A path that was named is meant: it is not passed over."""
    for settings, environ in (
        (str(elsewhere / "no.toml"), {}),
        (None, {"ORDERBRIDGE_CONFIG": str(elsewhere / "no.toml")}),
    ):
        with pytest.raises(ConfigurationError, match=r"no\.toml cannot be read: No such file"):
            load_settings(settings, environ=environ)


@pytest.mark.parametrize("content", [b"[gateways", b"gateways = \xff", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_says_so(elsewhere: Path, content: bytes) -> None:
    """A broken file is told with its path."""
    path = elsewhere / "broken.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"broken\.toml is no TOML"):
        load_settings(path, environ={})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"gatewys": {}}, "tables that this version does not know: gatewys; it knows: gateways"),
        ({"gateways": 5}, "settings: gateways is no table"),
        ({"gateways": {"bitso": "key"}}, "settings: gateways.bitso is no table"),
    ],
)
def test_tables_that_mean_nothing_are_refused(tables: dict[str, Any], message: str) -> None:
    """A misspelt table is not passed over in silence."""
    with pytest.raises(ConfigurationError, match=message):
        load_settings(tables, environ={})

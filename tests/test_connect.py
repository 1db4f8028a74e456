"""From a name to a gateway: our adapters, third parties' entry points, and every way to get it wrong."""

import textwrap
from pathlib import Path

import pytest

from orderbridge import connect
from orderbridge.errors import ConfigurationError

BITSO = {"api_key": "k", "api_secret": "hunter2"}
THIRD_PARTY = """
    from types import SimpleNamespace

    def make(account, settings):
        name = "kraken" if account == "default" else f"kraken/{account}"
        return SimpleNamespace(name=name, account=account, settings=dict(settings))
"""


@pytest.fixture(autouse=True)
def nothing_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file anywhere and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (
        "ORDERBRIDGE_CONFIG", "BITSO_API_KEY", "BITSO_API_SECRET", "BITSO_BASE_URL", "BITCAIN_TOKEN", "BITCAIN_EMAIL",
        "BITCAIN_PASSWORD", "BITCAIN_BASE_URL", "BITCAIN_TRADING_MODE",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package of somebody else that registers the venue `kraken`."""
    site = tmp_path / "site"
    info = site / "orderbridge_kraken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orderbridge-kraken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[orderbridge.gateways]\nkraken = orderbridge_kraken_of_a_test:make\n")
    (site / "orderbridge_kraken_of_a_test.py").write_text(textwrap.dedent(THIRD_PARTY))
    monkeypatch.syspath_prepend(site)
    return "kraken"


def test_a_bridge_from_settings() -> None:
    """Each named table becomes a gateway of that name, by the adapter's constructor."""
    bridge = connect("bitso", "bitso/mm", settings={"gateways": {"bitso": BITSO, "bitso/mm": BITSO}})

    assert bridge.names == ("bitso", "bitso/mm")
    assert (bridge["bitso"].venue, bridge["bitso/mm"].account) == ("bitso", "mm")


def test_without_names_everything_that_is_set_up_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's gateways, and those whose variables are set."""
    monkeypatch.setenv("BITSO_API_KEY", "k")
    monkeypatch.setenv("BITSO_API_SECRET", "s")

    assert connect().names == ("bitso",)
    assert connect(settings={"gateways": {"bitso/mm": BITSO}}).names == ("bitso/mm", "bitso")


def test_nothing_set_up_says_what_could_be() -> None:
    """The error names the file and the variables."""
    with pytest.raises(ConfigurationError, match="no gateway is set up") as refused:
        connect()

    assert all(word in str(refused.value) for word in ("orderbridge.toml", "BITSO_API_KEY", "BITCAIN_TOKEN"))


def test_a_third_partys_entry_point_makes_its_gateway(third_party: str) -> None:
    """An installed package's callable gets the account and the settings."""
    tables = {"gateways": {"kraken": {"token": "t"}, "kraken/mm": {"paper": True}}}

    bridge = connect("kraken", "kraken/mm", settings=tables)

    assert bridge.names == ("kraken", "kraken/mm")
    assert vars(bridge["kraken"].gateway)["settings"] == {"token": "t"}
    assert vars(bridge["kraken/mm"].gateway)["account"] == "mm"


def test_an_unknown_venue_lists_the_known_ones(third_party: str) -> None:
    """Ours and the installed ones are named."""
    with pytest.raises(ConfigurationError, match=r"no venue is named 'krakn'; there are: bitso, bitcain, .*kraken"):
        connect("krakn")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api_key": "k"}, "missing settings: api_secret"),
        ({}, "missing settings: api_key, api_secret"),
        ({**BITSO, "api_keyy": "k"}, "unknown settings: api_keyy; known are: api_key, api_secret, base_url"),
        ({**BITSO, "account": "mm"}, 'write the account into the name, as in .gateways."bitso/mm".'),
        ({**BITSO, "base_url": "http://bitso.com"}, "would send keys unencrypted"),
        ({**BITSO, "base_url": "bitso.com"}, "no absolute http"),
        ({**BITSO, "transport": "curl"}, "there is no engine 'curl'"),
        ({"api_key": "", "api_secret": "hunter2"}, "needs an api_key and an api_secret"),
    ],
)
def test_wrong_settings_are_told_with_the_gateway_and_the_place(settings: dict[str, str], message: str) -> None:
    """Each wrong setting is named with where it could be put right, and no secret is repeated."""
    with pytest.raises(ConfigurationError, match=message) as refused:
        connect("bitso", settings={"gateways": {"bitso": settings}})

    assert refused.value.gateway == "bitso"
    assert '[gateways."bitso"] in orderbridge.toml' in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_one_name_twice_is_refused() -> None:
    """Two gateways of one name could not be told apart."""
    with pytest.raises(ConfigurationError, match="two gateways are named 'bitso'"):
        connect("bitso", "bitso", settings={"gateways": {"bitso": BITSO}})


@pytest.mark.ccxt
def test_ccxt_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ccxt.kraken` takes its key and secret from variables of its own name."""
    monkeypatch.setenv("CCXT_KRAKEN_API_KEY", "k")
    monkeypatch.setenv("CCXT_KRAKEN_SECRET", "c2VjcmV0")

    bridge = connect("ccxt.kraken")

    assert bridge["ccxt.kraken"].name == "ccxt.kraken"


@pytest.mark.ccxt
def test_ccxt_from_a_table_with_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another account names its variables; ccxt's own settings go into `config`."""
    monkeypatch.setenv("MM_KEY", "k")
    table = {"api_key_env": "MM_KEY", "secret": "s", "password": "p", "config": {"timeout": 5000}, "sandbox": True}

    bridge = connect("ccxt.okx/mm", settings={"gateways": {"ccxt.okx/mm": table}})

    gateway = bridge["ccxt.okx/mm"]
    assert gateway.name == "ccxt.okx/mm"
    assert gateway.capabilities.markets


@pytest.mark.ccxt
@pytest.mark.parametrize(
    ("name", "table", "text"),
    [
        ("ccxt.krakn", {}, "kraken"),
        ("ccxt.kraken", {}, "CCXT_KRAKEN_API_KEY"),
        ("ccxt.kraken", {"apikey": "k"}, "unknown settings: apikey"),
        ("ccxt.kraken", {"config": "x"}, "config is no table"),
        ("ccxt.coinspot", {}, "lacks"),
        ("ccxt.", {"api_key": "k"}, "no exchange ''"),
    ],
)
def test_ccxt_mistakes(name: str, table: dict[str, object], text: str) -> None:
    """Each is one ConfigurationError that says what to correct."""
    with pytest.raises(ConfigurationError, match=text):
        connect(name, settings={"gateways": {name: table}})

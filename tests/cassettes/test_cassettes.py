"""Every cassette is replayed with all sockets blocked, used up whole, and free of secrets."""

from __future__ import annotations

import re
import socket
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_socket

from orderbridge import Order
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.settings import build_gateway
from tests.cassettes.kit import BITCAIN_PORT, BITSO_PORT, FOLDER, START, player
from tests.cassettes.scenarios import Scenario, all_scenarios

DOCUMENTED = {"bitso/lookup__documented_example.yaml"}
SCENARIOS = all_scenarios()
PLAYED_THROUGH_CCXT = Path(__file__).parents[1] / "adapters" / "ccxt_any" / "test_played.py"
SETTINGS = {
    "bitso": {
        "base_url": f"http://127.0.0.1:{BITSO_PORT}/api/v3",
        "api_secret": "simulated-secret",
    },
    "bitcain": {
        "base_url": f"http://127.0.0.1:{BITCAIN_PORT}",
        "trading_mode": "paper",
    },
}
# The keys of the simulator, of the tests, and the forms in which they could slip through.
SECRETS = [
    r"simulated-(?:key|secret|token|password)",
    r"played-key|cGxheWVkLXNlY3Jl",
    r"(?:signature|nonce|timestamp)=",
    r"not-the-(?:secret|token)",
    r"Bitso [^\s\"']+:\d+:",
    r"Bearer (?!\")\S+",
    r"[0-9a-f]{64}",
    r"(?i)authorization",
    r"\b1767607200\d{9}\b",
    r'"(?:access_token|refresh_token|password)"\s*:\s*"(?!removed)',
]


@pytest.fixture
def no_network() -> Iterator[None]:
    """Blocks every socket but the event loop's own pair."""
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.mark.cassette
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case.path)
async def test_replay(case: Scenario) -> None:
    """Played without a network, each cassette gives its scenario what it claims, and nothing in it is left over."""
    settings = {
        "transport": "httpx",
        "limits": None,
        "clock": lambda: START,
        "api_key" if case.venue == "bitso" else "token": case.key,
        **SETTINGS[case.venue],
        **case.gateway,
    }

    with player().use_cassette(case.path) as cassette:
        async with build_gateway(case.venue, "default", settings) as gateway:
            await case.run(gateway)

    assert cassette.all_played
    assert case.run.__doc__


@pytest.mark.cassette
@pytest.mark.usefixtures("no_network")
async def test_documented_example_field_by_field() -> None:
    """The two orders of Bitso's page "Look Up Orders" come out with every field right."""
    now = datetime(2026, 1, 5, 10, tzinfo=UTC)
    gateway = BitsoGateway(
        api_key="KEYEXAMPLE",
        api_secret="SECRETEXAMPLE",
        base_url="https://api-stage.bitso.com/api/v3",
        transport="httpx",
        clock=now.timestamp,
    )

    with player().use_cassette("bitso/lookup__documented_example.yaml") as cassette:
        async with gateway:
            result = await gateway.lookup("bitso:543cr2v32a1h6844", "bitso:qlbga6b600n3xta7a")

    first, second = result.orders
    assert first == Order(
        venue="bitso",
        order_id="543cr2v32a1h6844",
        symbol="BTC/MXN",
        side="buy",
        type="limit",
        raw_type="limit",
        status="partially_filled",
        raw_status="partially filled",
        evidence=("look-up: partially filled",),
        quantity=Decimal("0.01"),
        filled_quantity=Decimal("0.005"),
        price=Decimal(5600),
        created_at=datetime(2016, 4, 8, 17, 52, 31, tzinfo=UTC),
        updated_at=datetime(2016, 4, 8, 17, 52, 51, tzinfo=UTC),
        observed_at=now,
    )
    assert second == Order(
        venue="bitso",
        order_id="qlbga6b600n3xta7a",
        symbol="BTC/MXN",
        side="sell",
        type="limit",
        raw_type="limit",
        status="open",
        raw_status="open",
        evidence=("look-up: open",),
        quantity=Decimal("0.1268"),
        filled_quantity=Decimal(0),
        price=Decimal(4000),
        created_at=datetime(2016, 4, 8, 17, 52, 31, tzinfo=UTC),
        updated_at=datetime(2016, 4, 8, 17, 52, 41, tzinfo=UTC),
        observed_at=now,
    )
    assert (first.remaining_quantity, second.remaining_quantity) == (Decimal("0.005"), Decimal("0.1268"))
    assert cassette.all_played


@pytest.mark.usefixtures("no_network")
def test_sockets_are_blocked_here() -> None:
    """The fixture that the cassette tests use lets no socket through, loopback included."""
    with warnings.catch_warnings(action="ignore"), pytest.raises(pytest_socket.SocketBlockedError):
        socket.socket(socket.AF_INET)


def test_every_cassette_is_played_and_explained() -> None:
    """Each file is some test's, and `cassettes/README.md` says where it came from."""
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")}
    explained = set(re.findall(r"`([\w./]+\.yaml)`", (FOLDER / "README.md").read_text()))
    # Each of these is named, and used up, by a test that runs apart.
    through_ccxt = set(re.findall(r'"(ccxt\.[\w./]+\.yaml)"', PLAYED_THROUGH_CCXT.read_text()))

    assert files == {case.path for case in SCENARIOS} | DOCUMENTED | through_ccxt
    assert explained == files


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.name)
def test_no_cassette_holds_a_secret(path: object) -> None:
    """No key, signature, nonce, token or password of the recording is in any cassette."""
    text = Path(str(path)).read_text()

    assert not [pattern for pattern in SECRETS if re.search(pattern, text)]


def test_the_search_for_secrets_finds_planted_ones() -> None:
    """Each pattern would catch what it is for."""
    planted = (
        "simulated-secret not-the-token 'Bitso abc:1767607200123456789:ff' Bearer eyJhbGciOi "
        + "0a" * 32
        + ' Authorization 1767607200123456789 "password": "x" played-key nonce=1'
    )

    assert all(re.search(pattern, planted) for pattern in SECRETS)

"""An adapter of somebody's own, as docs/adding-a-venue.md makes it: it passes the contract, and is found by name."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import pytest

from orderbridge import connect
from orderbridge.testing import GatewayContract, StandIn
from tests.norte.stand_in import Norte
from tests.norte.venue import NorteGateway

HERE = Path(__file__).parent


class TestNorte(GatewayContract):
    """The whole contract."""

    @pytest.fixture
    def venue(self) -> StandIn:
        return Norte()


def make(account: str, settings: dict[str, Any]) -> NorteGateway:
    """What the entry point names."""
    return NorteGateway(account=account, **settings)


async def test_an_installed_adapter_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`connect("norte/mm")` makes the gateway of the package that names it in its entry points."""
    info = tmp_path / "orderbridge_norte-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orderbridge-norte\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[orderbridge.gateways]\nnorte = tests.norte.test_norte:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    exchange = Norte()
    account = {"api_key": "key", "api_secret": "secret", "transport": exchange, "limits": None, "retries": None}

    async with connect("norte/mm", settings={"gateways": {"norte/mm": account}}) as bridge:
        placed = await bridge["norte/mm"].submit(exchange.buy())
        found = await bridge.get(f"norte/mm:{placed.order_id}")

    assert (found.gateway, found.status) == ("norte/mm", "open")


def test_an_adapter_is_made_of_its_credentials_alone() -> None:
    """Engine, pace and retries have defaults, so that a settings file need not name them."""
    assert NorteGateway(api_key="key", api_secret="secret").name == "norte"


def test_a_plain_venue_is_four_small_files() -> None:
    """Codes, signing, mapping and venue: 250 lines of code at most, as the page promises."""
    lines = set()
    for name in ("auth", "codes", "mapping", "venue"):
        with (HERE / f"{name}.py").open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                is_text = token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""'))
                if token.type not in _NOT_CODE and not is_text:
                    lines.add((name, token.start[0]))

    assert len(lines) <= 250, f"{len(lines)} lines of code"


_NOT_CODE = {
    tokenize.ENCODING,
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

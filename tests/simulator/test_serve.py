"""The simulation as a command: its page, its controls, its addresses and its end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orderbridge.simulator import SimClock, Simulator
from orderbridge.simulator.simulator import NotExposed, check_host, read_settings, serve

COMMAND = "import typer; from orderbridge.cli.simulate import simulate; typer.run(simulate)"


@pytest.fixture
async def paged(clock: SimClock) -> AsyncIterator[Simulator]:
    """A simulation that shows its page."""
    async with Simulator(seed=1, clock=clock, page=True) as simulator:
        yield simulator


def run_command(*arguments: str) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


async def test_the_page_says_loudly_that_it_is_a_simulation(paged: Any, http: Any) -> None:
    """Plain HTML without anything from elsewhere; the API beside it is untouched."""
    page = await http.get(paged.bitso.origin + "/")

    assert page.headers["content-type"].startswith("text/html")
    assert "SIMULATION" in page.text
    assert "://" not in page.text
    assert (await http.get(paged.bitso.base_url + "/catalogues")).status_code == 200
    assert paged.bitso.requests.total() == 1


async def test_state_shows_books_orders_and_faults(paged: Any, http: Any) -> None:
    """What the page draws: the newest orders, the used books' best levels, every rule with its count."""
    paged.bitso.put(oid="A1", origin_id="me", status="partially filled")
    paged.bitcain.put(trading_mode="live")
    paged.bitso.fault("drop", operation="place", nth=2)

    bitso = (await http.get(paged.bitso.origin + "/_simulator/state")).json()
    bitcain = (await http.get(paged.bitcain.origin + "/_simulator/state")).json()

    assert (bitso["orders"][0]["order_id"], bitso["orders"][0]["state"]) == ("A1", "partly filled")
    assert bitso["books"][0]["market"] == "btc_mxn"
    assert len(bitso["books"][0]["asks"]) == 5
    assert (bitso["faults"][0]["kind"], bitso["faults"][0]["how"]) == ("drop", "nth=2, times=1")
    assert [order["book"] for order in bitcain["orders"]] == ["live"]


async def test_bots_in_any_language_can_command_it(paged: Any, http: Any) -> None:
    """Faults, clock, prices and settings are changed over HTTP; what makes no sense is a 400."""
    controls = paged.bitso.origin + "/_simulator/"
    before = paged.clock.time()

    await http.post(controls + "faults", json={"kind": "error_5xx", "operation": "books", "times": 1})
    await http.post(controls + "clock", json={"seconds": 90})
    await http.post(controls + "trade", json={"market": "btc_mxn", "price": "1000000"})
    await http.post(controls + "settings", json={"miss": "0312"})

    assert (await http.get(paged.bitso.base_url + "/available_books")).status_code == 503
    assert paged.clock.time() == before + 90
    assert paged.bitso.market("btc_mxn").last == 1_000_000
    assert paged.bitso.settings.miss == "0312"
    assert (await http.delete(controls + "faults")).status_code == 200
    assert paged.bitso.faults == []
    for what, body in (
        ("faults", {"kind": "explode"}),
        ("faults", {}),
        ("faults", {"kind": "delay", "seconds": -1}),
        ("clock", {"seconds": float("nan")}),
        ("clock", {"seconds": 1e300}),
        ("trade", {"market": "x", "price": "1"}),
        ("settings", {"miss": "never"}),
        ("settings", {"mis": "0312"}),
        ("settings", {"visibility_window": "long"}),
        ("clock", {"seconds": 10**400}),
        ("faults", {"kind": "drip", "piece": 0}),
        ("faults", {"kind": "throttle", "retry_after": "x"}),
        ("faults", {"kind": "html", "status": "abc\r\nX: y"}),
        ("settings", {"closed_books": 5}),
        ("settings", {"miss": "empty", "trade_lag": float("nan")}),
        ("trade", {"market": "btc_mxn", "price": "0"}),
        ("trade", {"market": "btc_mxn", "price": "5", "quantity": "-1"}),
        ("trade", {"market": ["btc_mxn"], "price": "5"}),
    ):
        content = json.dumps(body).encode()
        assert (await http.post(controls + what, content=content)).status_code == 400
    assert paged.bitso.settings.miss == "0312"
    assert (await http.get(controls + "nothing")).status_code == 404
    assert (await http.post(controls + "clock", content=b"\xff")).status_code == 400


async def test_pages_of_other_origins_have_no_say(paged: Any, http: Any) -> None:
    """A browser's cross-site request to a control is refused, and so is a name of the DNS that leads here."""
    control = paged.bitso.origin + "/_simulator/clock"
    body = {"seconds": 5}

    rebound = {"origin": "http://evil.example:80", "host": "evil.example:80"}
    for headers in ({"origin": "http://evil.example"}, {"origin": "http://["}, {"origin": "null"}, rebound):
        assert (await http.post(control, json=body, headers=headers)).status_code == 403
    assert (await http.post(control, json=body, headers={"origin": paged.bitso.origin})).status_code == 200


def test_only_loopback_unless_told_twice() -> None:
    """Any other address needs the second word."""
    for host in ("127.0.0.1", "::1", "localhost"):
        check_host(host, yes_expose=False)
    for host in ("0.0.0.0", "192.168.1.5", "example.com", ""):
        with pytest.raises(NotExposed, match="--yes-expose"):
            check_host(host, yes_expose=False)
    check_host("0.0.0.0", yes_expose=True)


def test_settings_from_the_command_line() -> None:
    """Numbers and booleans as such, codes as text, and a clear word for what is neither."""
    texts = ["bitso.miss=0312", "bitso.visibility_window=0", "bitcain.create_status=200", "bitcain.show_mode=false"]

    assert read_settings(texts) == {
        "bitso": {"miss": "0312", "visibility_window": 0},
        "bitcain": {"create_status": 200, "show_mode": False},
    }
    told = read_settings(["bitcain.duplicate_client_order_id=409", "bitso.api_key=12"])
    assert told == {"bitso": {"api_key": "12"}, "bitcain": {"duplicate_client_order_id": "409"}}
    with pytest.raises(ValueError, match=r"bitso: no setting 'mis'; there are: .*visibility_window"):
        read_settings(["bitso.mis=1"])
    for wrong in ("miss=0312", "kraken.x=1", "bitso.miss"):
        with pytest.raises(ValueError, match=r"venue\.name=value"):
            read_settings([wrong])


async def test_serve_announces_and_ends() -> None:
    """The first line says that it is a simulation; the addresses and keys follow; the event ends it."""
    lines: list[str] = []
    stop = asyncio.Event()

    def announce(line: str) -> None:
        lines.append(line)
        if len(lines) == 5:
            stop.set()

    await serve(bitso_port=0, bitcain_port=0, announce=announce, until=stop)

    assert lines[0].startswith("SIMULATION")
    assert "simulated-key" in lines[1]
    assert lines[2].startswith("bitso/mm")
    assert "key simulated-mm-key, secret simulated-mm-secret" in lines[2]
    assert "simulated-token" in lines[3]


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    """Free ports, a setting, a clean end on SIGTERM."""
    process = run_command("--bitso", "0", "--bitcain", "0", "--set", "bitso.miss=0312")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    url = lines[1].split()[1]

    assert httpx.get(f"{url}/available_books", trust_env=False).status_code == 200
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)

    assert lines[0].startswith("SIMULATION")
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--host", "0.0.0.0"], "--yes-expose"),
        (["--set", "bitso.miss=never"], "allowed"),
        (["--set", "bitso.mis=x"], "no setting 'mis'"),
    ],
)
def test_the_command_refuses_in_one_line(arguments: list[str], reason: str) -> None:
    """Exit 2 and one line that says what is wrong, never a traceback."""
    process = run_command("--bitso", "0", "--bitcain", "0", *arguments)
    _, errors = process.communicate(timeout=10)

    assert process.returncode == 2
    assert reason in errors
    assert len(errors.strip().splitlines()) == 1


def test_without_its_extra_the_command_says_how_to_get_it() -> None:
    """A missing httptools is one line with the install command."""
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['httptools'] = None; " + COMMAND, "--bitso", "0"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": root},
    )

    assert ran.returncode == 2
    assert "pip install 'orderbridge[simulator]'" in ran.stderr
    assert "Traceback" not in ran.stderr

"""`place` without a journal, `cancel` and `edit`: what they ask, what they send, how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from orderbridge.cli.app import app
from orderbridge.client_ids import is_ours
from orderbridge.simulator import Simulator

pytestmark = pytest.mark.usefixtures("keys", "terminal")
PLACE = "POST /api/v3/orders"
LIMIT = ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000")


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def complaints(result: Result) -> list[str]:
    """What stands on stderr beside where the settings are from and what is connected to."""
    return [line for line in result.stderr.splitlines() if not line.startswith(("Settings from ", "Connects to "))]


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def flat(text: str) -> str:
    return " ".join(text.split())


def start(*arguments: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "orderbridge.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


# Asking.


def test_place_asks_with_venue_account_money_and_order(venue: Simulator) -> None:
    """The question shows where the order goes, what money that is, and the order in one line."""
    result = run(*LIMIT, answer="y\n")

    assert result.exit_code == 0, result.output
    host = venue.bitso.base_url.split("/")[2]
    assert f"bitso, account default, at {host}: this machine, as a simulator is" in result.stderr
    assert "BUY 0.01 BTC at 560000 MXN = 5600 MXN (limit, gtc)" in result.stderr
    (order,) = venue.bitso.accepted()
    assert order.order_id in result.stdout
    assert str(order.client_order_id) in result.stderr
    assert is_ours(str(order.client_order_id))


@pytest.mark.parametrize(
    ("mode", "said"), [("paper", "paper, no real money"), ("live", "this machine, as a simulator is")]
)
def test_place_says_whether_bitcain_trades_on_paper(
    venue: Simulator, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
) -> None:
    """Bitcain's trading mode stands in the question, and the order goes out in it."""
    monkeypatch.setenv("BITCAIN_TRADING_MODE", mode)

    result = run("place", "bitcain", "sell", "0.5", "BTC/USDT", "--price", "90000", "--json", answer="y\n")

    assert result.exit_code == 0, result.output
    assert said in result.stderr
    assert lines(result)[0]["paper"] is (mode == "paper")


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "what\n"])
def test_nothing_is_sent_without_a_yes(venue: Simulator, answer: str) -> None:
    """No, nothing, and the end of the input are no yes: nothing reaches the venue, exit code 4."""
    result = run(*LIMIT, answer=answer)

    assert result.exit_code == 4
    assert "Nothing was sent." in result.stderr
    assert not venue.bitso.requests


def test_without_a_terminal_nothing_is_sent(venue: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that forgot `--yes` is told so; what is piped in is not taken for an answer."""
    monkeypatch.setattr("orderbridge.cli.command.at_terminal", lambda: False)

    refused = [
        run(*LIMIT, answer="y\n"),
        run("cancel", "--all", answer="y\n"),
    ]

    assert [result.exit_code for result in refused] == [2, 2]
    assert all("--yes" in result.stderr for result in refused)
    assert not venue.bitso.requests


def test_a_real_terminal_is_asked(venue: Simulator) -> None:
    """Over a pseudo-terminal the question comes and its answer counts."""
    ours, theirs = os.openpty()
    with start(*LIMIT, stdin=theirs) as running:
        os.write(ours, b"n\n")
        _, said = running.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert running.returncode == 4
    assert b"Place this order?" in said
    assert not venue.bitso.requests


# Placing without a journal.


def test_yes_sends_without_a_question(venue: Simulator) -> None:
    """`--yes` shows what is sent all the same, and `--json` leaves stdout to the model."""
    result = run(*LIMIT, "--yes", "--json", "--client-order-id", "mine-1", "--post-only")

    assert result.exit_code == 0, result.output
    assert "?" not in result.stderr
    assert "post only" in result.stderr
    (order,) = lines(result)
    assert (order["client_order_id"], order["quantity"], order["price"]) == ("mine-1", "0.01", "560000")
    assert venue.bitso.requests[PLACE] == 1


@pytest.mark.parametrize(
    ("arguments", "line", "kind"),
    [
        (("bitso", "buy", "1000", "BTC/MXN", "--quote"), "BUY BTC for 1000 MXN at the market's price", "market"),
        (
            ("bitcain", "sell", "1e-2", "BTC/USDT", "--stop-price", "50000"),
            "SELL 0.01 BTC at the market's price once the price reaches 50000 USDT (stop loss, gtc)",
            "stop_loss",
        ),
        (
            ("bitcain", "sell", "1", "BTC/USDT", "--stop-price", "50000", "--price", "49000", "--reduce-only"),
            "SELL 1 BTC at 49000 USDT once the price reaches 50000 USDT = 49000 USDT (stop limit, gtc, reduce only)",
            "stop_limit",
        ),
        (
            ("bitcain", "sell", "1", "BTC/USDT", "--stop-price", "99000", "--type", "take_profit"),
            "(take profit, gtc)",
            "take_profit",
        ),
        (
            ("bitcain", "buy", "1", "BTC/USDT", "--price", "5", "--tif", "gtt", "--expires-at", "2030-01-01"),
            "(limit, gtt, until 2030-01-01 00:00:00+00:00)",
            "limit",
        ),
        (("bitso", "buy", "0.01", "BTC/MXN", "--slippage", "0.5"), "slippage up to 0.5 %", "market"),
    ],
)
def test_every_kind_of_order(arguments: tuple[str, ...], line: str, kind: str) -> None:
    """Each option reaches the order, and the question tells it."""
    result = run("place", *arguments, "--json", answer="y\n")

    assert result.exit_code == 0, result.output
    assert line in result.stderr
    assert lines(result)[0]["type"] == kind


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bitso", "buy", "abc", "BTC/MXN"), "quantity: the amount is not a number"),
        (("bitso", "buy", "0", "BTC/MXN"), "quantity: the amount must be greater than zero"),
        (("bitso", "buy", "0.1", "BTC/MXN", "--price", ""), "price: the amount is not a number"),
        (("bitso", "hold", "0.1", "BTC/MXN"), "side: Input should be 'buy' or 'sell'"),
        (("bitso", "buy", "0.1", "btc_mxn"), "a symbol is written BASE/QUOTE"),
        (("bitso", "buy", "0.1", "BTC/MXN", "--type", "limit"), "a limit order needs a price"),
        (("bitso", "buy", "100", "BTC/MXN", "--quote", "--price", "5"), "sized in base"),
        (("bitso", "buy", "0.1", "BTC/MXN", "--price", "5", "--tif", "gtt"), "gtt needs expires_at"),
        (("bitso", "buy", "0.1", "BTC/MXN", "--price", "5", "--expires-at", "soon"), "--expires-at: 'soon' is no time"),
        (("kraken", "buy", "0.1", "BTC/MXN"), "no venue is named 'kraken'"),
    ],
)
def test_what_makes_no_order_is_told_in_one_line(venue: Simulator, arguments: tuple[str, ...], said: str) -> None:
    """A wrong argument is a sentence and exit code 2; nobody is asked, nothing is sent."""
    result = run("place", *arguments, answer="y\n")

    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert len(complaints(result)) == 1
    assert not venue.bitso.requests


def test_nothing_set_up_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings each command says where they go, and exits 2."""
    for name in ("BITSO_API_KEY", "BITCAIN_TOKEN"):
        monkeypatch.delenv(name)

    results = [run(*LIMIT), run("cancel", "x"), run("cancel", "--all"), run("edit", "x", "--price", "1"), run("open")]

    assert [result.exit_code for result in results] == [2] * 5
    assert all("BITSO_API_KEY" in result.stderr for result in results)
    assert all(len(complaints(result)) == 1 for result in results)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://bitso.com/api/v3", "bitso.com: LIVE, real money"),
        ("https://api.bitso.com/api/v3", "api.bitso.com: LIVE, real money"),
        ("https://stage.bitso.com/api/v3", "stage.bitso.com: paper, no real money"),
        ("https://api-stage.bitso.com/api/v3", "api-stage.bitso.com: paper, no real money"),
        ("https://proxy.example/api/v3", "proxy.example: LIVE, real money"),
        ("http://localhost:8101/api/v3", "localhost:8101: this machine, as a simulator is"),
    ],
)
def test_the_question_calls_live_what_is_real_money(monkeypatch: pytest.MonkeyPatch, address: str, said: str) -> None:
    """Bitso itself is real money; its staging and this machine are not called so; the unknown counts as it."""
    monkeypatch.setenv("BITSO_BASE_URL", address)

    result = run(*LIMIT, answer="n\n")

    assert result.exit_code == 4
    assert f"bitso, account default, at {said}" in result.stderr


def test_one_address_moves_every_account(venue: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With BITSO_BASE_URL at a simulator the second account of the file orders there too, not at the real exchange."""
    config = tmp_path / "accounts.toml"
    config.write_text('[gateways."bitso/mm"]\napi_key_env = "MM_KEY"\napi_secret_env = "MM_SECRET"\n')
    monkeypatch.setenv("MM_KEY", venue.bitso.api_key)
    monkeypatch.setenv("MM_SECRET", venue.bitso.api_secret)

    result = run("place", "bitso/mm", *LIMIT[2:], "--yes", "--config", str(config))

    assert result.exit_code == 0, result.output
    assert f"Settings from {config}.\nConnects to bitso/mm at {venue.bitso.base_url}." in result.stderr
    assert len(venue.bitso.accepted()) == 1


def test_an_order_off_the_tick_is_denied_unsent(venue: Simulator) -> None:
    """A broken rule of the market is told with the nearest prices, exit code 2, and nothing is sent."""
    result = run("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560001", "--yes")

    assert result.exit_code == 2
    assert "560000 and 560010" in result.stderr
    assert venue.bitso.requests[PLACE] == 0


def test_what_the_venue_cannot_do_is_denied_unsent(venue: Simulator) -> None:
    """A request that the gateway does not declare is refused with exit code 2."""
    result = run(*LIMIT, "--reduce-only", "--yes")

    assert result.exit_code == 2
    assert "bitso takes no reduce_only" in result.stderr
    assert venue.bitso.requests[PLACE] == 0


def test_a_rejection_exits_with_1_and_its_reason(venue: Simulator) -> None:
    """The venue's refusal is told in its words."""
    venue.bitso.balances["mxn"].total = Decimal(1)

    result = run(*LIMIT, "--yes")

    assert result.exit_code == 1, result.output
    assert "InsufficientFunds" in result.stderr
    assert not venue.bitso.accepted()


@pytest.mark.parametrize(
    ("routing", "said"),
    [("rejects", "rejected: rejected by the exchange"), ("fails", "failed: exchange is not reachable")],
)
def test_an_order_that_comes_back_refused_exits_with_1(venue: Simulator, routing: Any, said: str) -> None:
    """A broker's answer that shows the order rejected or failed is no success; the order is shown with its reason."""
    venue.bitcain.settings.routing = routing

    result = run("place", "bitcain", "buy", "0.5", "BTC/USDT", "--price", "50000", "--yes", "--json")

    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1] == said
    assert lines(result)[0]["status"] == said.split(":")[0]


def test_a_lost_answer_prints_the_look_up_that_finds_the_order(venue: Simulator) -> None:
    """Exit code 3, nothing is sent twice, and the very line that is printed finds the order."""
    venue.bitso.fault("accept_then_drop", operation="place", nth=1)

    lost = run(*LIMIT, "--resolve", "0", answer="y\n")

    assert lost.exit_code == 3, lost.output
    line = lost.stderr.splitlines()[-1]
    (order,) = venue.bitso.accepted()
    assert line == f"orderbridge lookup bitso:client:{order.client_order_id}"
    assert venue.bitso.requests[PLACE] == 1
    found = run(*line.split()[1:])
    assert found.exit_code == 0
    assert order.order_id in found.stdout


def test_the_look_up_line_names_the_settings_file(venue: Simulator, tmp_path: Path) -> None:
    """The printed line works as it is, `--config` with it."""
    config = tmp_path / "my settings.toml"
    config.write_text("[gateways.bitso]\n")
    venue.bitso.fault("accept_then_5xx", operation="place", nth=1)

    lost = run(*LIMIT, "--yes", "--client-order-id", "mine", "--config", str(config), "--resolve", "0")

    assert lost.exit_code == 3
    assert lost.stderr.splitlines()[-1] == f"orderbridge lookup --config '{config}' bitso:client:mine"


def test_ctrl_c_while_sending_leaves_the_outcome_unknown(venue: Simulator) -> None:
    """Interrupted after the order left: exit code 3 and the line that looks it up, and no traceback."""
    venue.bitso.fault("delay", operation="place", seconds=30)

    with start(*LIMIT, "--yes", "--client-order-id", "mine") as running:
        until = time.monotonic() + 30
        while not venue.bitso.requests[PLACE] and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)

    assert running.returncode == 3, said
    assert said.decode().splitlines()[-1] == "orderbridge lookup bitso:client:mine"
    assert b"Traceback" not in said
    assert len(venue.bitso.accepted(client_order_id="mine")) == 1


def test_an_unreachable_venue_means_that_nothing_was_sent(venue: Simulator) -> None:
    """Exit code 4 tells a script that it may try again."""
    venue.run(venue.bitso.stop())

    result = run(*LIMIT, "--yes", "--timeout", "1")

    assert result.exit_code == 4
    assert "Nothing was sent." in result.stderr


def test_a_client_id_that_is_taken_is_looked_up(venue: Simulator) -> None:
    """A duplicate is no rejection: exit code 1 and the line that shows the order that has the id."""
    venue.bitso.put(origin_id="mine", status="open", quantity="0.01")

    result = run(*LIMIT, "--yes", "--client-order-id", "mine", "--resolve", "1")

    assert result.exit_code == 1
    assert "DuplicateClientOrderId" in result.stderr
    assert result.stderr.splitlines()[-1] == "orderbridge lookup bitso:client:mine"


def test_help_says_what_is_so_without_a_journal() -> None:
    """Whoever reads the help knows that it is one send of which nothing is kept, and what exit code 3 means."""
    said = flat(run("place", "--help").output)

    assert "Without a journal" in said
    assert "it is sent once, and nothing but the venue knows of it after that" in said
    assert "MAY BE LIVE" in said


# Cancelling.


def test_cancel_prints_each_order_as_it_is_after(venue: Simulator) -> None:
    """Orders of both venues are cancelled without a question, and 0 says that all are over."""
    bitso = venue.bitso.put(origin_id="mine", status="partially filled", quantity="0.01", price="560000")
    bitcain = venue.bitcain.put(status="open", quantity="0.5", price="59000")

    result = run("cancel", "bitso:client:mine", f"bitcain:{bitcain.order_id}", "--wait", "--json")

    assert result.exit_code == 0, result.output
    assert {order["order_id"]: order["status"] for order in lines(result)} == {
        bitso.order_id: "cancelled",
        bitcain.order_id: "cancelled",
    }


def test_cancel_of_one_that_is_not_there_cancels_the_other(venue: Simulator) -> None:
    """Each ref stands for itself: what was not found is named, and the exit code is 1."""
    put = venue.bitso.put(status="open", quantity="0.01")

    result = run("cancel", "bitso:nosuchorder00001", f"bitso:{put.order_id}")

    assert result.exit_code == 1
    assert "cancelled" in result.stdout
    assert "bitso:nosuchorder00001: OrderNotFound" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name the orders to cancel, or say --all"),
        (("x", "--all"), "and not both"),
        (("--all", "--wait"), "--wait is for orders named one by one"),
        (("bitso:x", "--symbol", "BTC/MXN"), "--symbol goes with --all"),
        (("bitso:x", "kraken:x"), "kraken:x names a gateway"),
        (("--all", "-g", "kraken"), "no venue is named 'kraken'"),
    ],
)
def test_a_cancel_that_is_not_clear_cancels_nothing(venue: Simulator, arguments: tuple[str, ...], said: str) -> None:
    """A wrong argument is a sentence and exit code 2, before anything is sent."""
    result = run("cancel", *arguments, answer="y\n")

    assert result.exit_code == 2
    assert said in result.stderr
    assert not venue.bitso.requests


def test_cancel_all_asks_and_cancels_what_is_open(venue: Simulator) -> None:
    """The question names every gateway and account; after a yes nothing is open."""
    venue.bitso.put(status="open", quantity="0.01")
    venue.bitcain.put(status="open", quantity="0.5")

    kept = run("cancel", "--all", answer="n\n")
    still_open = run("open", "--json")
    cancelled = run("cancel", "--all", "--json", answer="y\n")

    assert kept.exit_code == 4
    assert "bitso, account default" in kept.stderr
    assert "bitcain, account default" in kept.stderr
    assert len(lines(still_open)) == 2
    assert cancelled.exit_code == 0, cancelled.output
    assert [order["status"] for order in lines(cancelled)] == ["cancelled", "cancelled"]
    assert run("open").stdout == "No open orders are listed.\n"


def test_cancel_all_of_one_symbol_at_one_gateway(venue: Simulator) -> None:
    """`--gateway` and `--symbol` leave the others alone; a stop that is not listed may be live, so exit code 1."""
    venue.bitso.put(status="open", quantity="0.01")
    ether = venue.bitso.put(status="open", book="eth_mxn", quantity="0.2")
    venue.bitcain.put(status="open", quantity="0.5")

    result = run("cancel", "--all", "--gateway", "bitso", "--symbol", "ETH/MXN", "--yes", "--json")

    assert result.exit_code == 1, result.output
    assert "bitso may not list orders that wait for their trigger" in result.stderr
    assert [order["order_id"] for order in lines(result)] == [ether.order_id]
    assert len(lines(run("open", "--json"))) == 2


def test_cancel_all_of_a_symbol_does_not_claim_that_none_was_open(venue: Simulator) -> None:
    """Where the list may leave out stops, an empty one is no proof."""
    result = run("cancel", "--all", "--symbol", "BTC/MXN", "-g", "bitso", "--yes")

    assert (result.exit_code, result.stdout) == (1, "No order was listed as open.\n")


def test_cancel_all_with_a_venue_down_does_not_claim_success(venue: Simulator) -> None:
    """The gateway whose orders may be live is named, exit code 1."""
    venue.run(venue.bitcain.stop())

    result = run("cancel", "--all", "--yes", "--timeout", "2")

    assert result.exit_code == 1
    assert "bitcain could not answer" in result.stderr
    assert "may be live" in result.stderr


# Editing.


def test_edit_asks_and_changes(venue: Simulator) -> None:
    """The question shows the order as it is and the change; the order is shown after it."""
    put = venue.bitso.put(origin_id="mine", status="open", quantity="0.01", price="560000")

    result = run("edit", "client:mine", "-g", "bitso", "--price", "550000", "--quantity", "0.02", answer="y\n")

    assert result.exit_code == 0, result.output
    assert "this machine, as a simulator is" in result.stderr
    assert f"bitso:{put.order_id} BTC/MXN buy limit at 560000: open, filled 0 / 0.01" in result.stderr
    assert "to quantity 0.02 BTC in all, price 550000 MXN" in result.stderr
    assert "BTC/MXN buy limit at 550000" in result.stdout


def test_edit_without_a_yes_changes_nothing(venue: Simulator) -> None:
    """The order is read for the question, and nothing is changed at a no."""
    put = venue.bitcain.put(status="open", quantity="0.5", price="59000")

    result = run("edit", f"bitcain:{put.order_id}", "--quantity", "0.4", answer="n\n")

    assert result.exit_code == 4
    assert "paper, no real money" in result.stderr
    assert {request.split()[0] for request in venue.bitcain.requests} == {"GET"}


def test_edit_of_an_order_that_has_ended_shows_it(venue: Simulator) -> None:
    """Too late: exit code 1, and how the order ended."""
    put = venue.bitcain.put(status="filled", quantity="0.5", price="59000")

    result = run("edit", f"bitcain:{put.order_id}", "--quantity", "0.4", "--yes", "--json")

    assert result.exit_code == 1
    assert lines(result)[0]["status"] == "filled"
    assert "OrderNotActive" in result.stderr


def test_a_lost_answer_to_an_edit_exits_with_3(venue: Simulator) -> None:
    """Whether the change was made is not known, and the exit code says so."""
    put = venue.bitcain.put(status="open", quantity="0.5", price="59000")
    venue.bitcain.fault("accept_then_drop", operation="edit")

    result = run("edit", f"bitcain:{put.order_id}", "--quantity", "0.4", "--yes")

    assert result.exit_code == 3
    assert "OutcomeUnknown" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("bitso:x",), 2, "an edit changes at least one of"),
        (("bitso:x", "--price", "abc"), 2, "price: the amount is not a number"),
        (("bitso:nosuchorder00001", "--price", "5"), 1, "OrderNotFound"),
    ],
)
def test_an_edit_of_nothing_is_told_in_one_line(arguments: tuple[str, ...], code: int, said: str) -> None:
    """A change that says nothing, or an order that is not there, is a sentence."""
    result = run("edit", *arguments, answer="y\n")

    assert result.exit_code == code
    assert said in result.stderr
    assert len(complaints(result)) == 1


def test_a_forgotten_price_is_no_market_order(venue: Simulator) -> None:
    """Without a price the type must be said: `--yes` sends nothing that trades at whatever the market asks."""
    result = run("place", "bitso", "buy", "0.01", "BTC/MXN", "--yes")
    said = run("place", "bitso", "buy", "0.01", "BTC/MXN", "--type", "market", "--yes")

    assert result.exit_code == 2
    assert "--type market" in result.stderr
    assert said.exit_code == 0
    assert venue.bitso.requests[PLACE] == 1

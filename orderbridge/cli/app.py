"""Every command of `orderbridge`: registered here, written in the files beside this one."""

from __future__ import annotations

import logging
import sys
from contextlib import aclosing
from typing import Annotated

import typer

from orderbridge.cli.journal import app as journal
from orderbridge.cli.orders import fills, open_orders, orders
from orderbridge.cli.placing import explain, place, recover
from orderbridge.cli.running import Config, Gateways, Json, Timeout, connected, run, used_settings
from orderbridge.cli.simulate import simulate
from orderbridge.cli.tables import lookup_json, print_lookup
from orderbridge.cli.trading import cancel, edit
from orderbridge.model.results import LookupResult

app = typer.Typer(
    help="Look orders up, place and follow them on several exchanges.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log to stderr: -v warnings, -vv every request.")
    ] = 0,
) -> None:
    """Look orders up, place and follow them on several exchanges."""
    level = (logging.ERROR, logging.WARNING, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("orderbridge").setLevel(level)


@app.command()
def lookup(
    ids: Annotated[list[str], typer.Argument(help="x, bitso:x, bitso/mm:x or bitso:client:x", metavar="ID...")],
    gateways: Gateways = None,
    timeout: Timeout = 10.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Tell what became of orders, by any of their ids. Exits 0 when all were found, 1 when not, 2 on an error."""

    used = used_settings(config)

    async def look() -> LookupResult:
        async with aclosing(connected(*(gateways or ()), settings=used)) as bridge:
            return await bridge.lookup(*ids, timeout=timeout)

    result = run(look())
    if json:
        typer.echo(lookup_json(result))
    else:
        print_lookup(result, title="Look-up")
    sys.exit(0 if all(found.orders for found in result.found) else 1)


@app.command()
def demo() -> None:
    """Look a dozen orders up on two simulated exchanges, one of which goes down. Needs no keys."""
    from orderbridge.cli.demo import run_demo

    sys.exit(0 if run(run_demo()) else 1)


app.command("open")(open_orders)
app.command()(orders)
app.command()(fills)
app.command()(place)
app.command()(explain)
app.command()(recover)
app.add_typer(journal, name="journal")
app.command()(cancel)
app.command()(edit)
app.command()(simulate)
